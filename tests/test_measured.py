"""What commands measure and store: it goes on where it stopped, on the same machine alone, and a page shows it."""
from __future__ import annotations

import platform

import numpy as np
import pytest

from nobackprop.errors import InputError
from nobackprop.studies import measured
from nobackprop.studies.measured import Store, machine

HERE = {"processor": "a processor", "cores": "2"}
CELLS = [{"model": model, "threads": threads} for model in ("a", "b") for threads in (1, 2)]


@pytest.fixture
def store(tmp_path):
    return Store("it", tmp_path / "below" / "it.json", "rows of it")


def rows(cell):
    return [{"rule": "bp", "ms": 3.0}, {"rule": "al", "refused": "a sentence"}]


def test_every_cell_is_measured_once_and_written_before_the_next(store):
    seen, more = [], []

    def measure(cell):
        assert len(store.read()["rows"] if seen else []) == 2 * len(seen)
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(cell)
        return rows(cell)
    with pytest.raises(KeyboardInterrupt):
        store.fill(HERE, CELLS, measure)
    assert len(store.read()["rows"]) == 6
    found = store.fill(HERE, CELLS, lambda cell: (more.append(cell), rows(cell))[1])
    assert seen + more == CELLS
    assert found == store.read() == {"format": "rows of it", "machine": HERE, "rows": [
        cell | row for cell in CELLS for row in rows(cell)]}
    assert store.fill(HERE, CELLS, lambda cell: pytest.fail("all is there")) == found


def test_numbers_of_two_machines_are_not_mixed(store):
    store.fill(HERE, CELLS[:1], rows)
    with pytest.raises(InputError, match="numbers of another machine, .*: remove it to measure all again"):
        store.fill(HERE | {"cores": "3"}, CELLS, rows)
    assert len(store.read()["rows"]) == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "other", "rows": [], "machine": {}}',
                                  '{"format": "rows of it", "rows": {}, "machine": {}}',
                                  '{"format": "rows of it", "rows": [], "machine": []}', "\xff", None])
def test_a_file_of_another_kind_is_one_sentence(store, text):
    store.path.parent.mkdir()
    if text is not None:
        store.path.write_text(text, encoding="latin-1")
    for act in (store.read, lambda: store.fill(HERE, CELLS, rows)) if text is not None else (store.read,):
        with pytest.raises(InputError, match=r"it\.json: expected what make it writes, got "):
            act()


@pytest.mark.parametrize("page", ["a page", "<!-- begin: written by make it -->\n", "<!-- end -->",
                                  "<!-- end -->\n<!-- begin: written by make it -->\n",
                                  "<!-- begin: written by make its -->\n<!-- end -->"])
def test_a_page_without_the_place_is_refused(store, page):
    with pytest.raises(InputError, match="the page has no place for what make it writes"):
        store.put(page, "")


def test_each_target_has_its_own_place():
    page = "".join(f"<!-- begin: written by make {name} -->\nold\n<!-- end -->\n" for name in ("a", "b", "ab"))
    assert Store("b", None, "").put(page, "new\n") == page.replace("make b -->\nold", "make b -->\nnew")


def test_the_machine_is_named_with_its_versions(monkeypatch):
    found = machine("numpy")
    assert found["numpy"] == np.__version__ and found["python"] == platform.python_version()
    assert int(found["cores"]) >= 1 and found["processor"]
    assert measured.said(HERE) == "Machine: processor a processor, cores 2."
    with pytest.raises(InputError, match="a measurement needs no_such_module, which is not installed"):
        machine("no_such_module")
