"""Every notebook runs, and gives what is stored in it: the same texts, numbers, and data behind the figures.

`python tests/test_notebooks.py` runs all notebooks, or those that are named, and stores what they show.

How two runs are compared.  Words must be the same.  A number may differ by one unit of its last printed digit, which is
what rounding at the end can do, and a number behind a figure by a thousandth of the largest in its array.  A cell says
by a tag, in its metadata, if it shows more than that:

- "trained": its numbers come out of training.  Processors and libraries add up in different orders, and after some
  hundred steps a difference in the last digit can be seen.  These numbers may differ by a tenth of their size, or 0.05.
- "chaotic": the same, of a training that does not converge, as Kolen-Pollack's in a deep network without shortcuts.
  These numbers may differ by three tenths of their size, or 0.15.
- "varies": its output says something of this machine, such as a time or a version.  It is not compared.
"""
from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))
DRAWN = "application/vnd.nobackprop.drawn+json"  # as in drawn.py
TEXTS = ("text/plain", "text/markdown", "text/html", "image/svg+xml")
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.]*\w)")
PICTURE = re.compile(r"data:image/png;base64,[\w+/=]+")
# by a tag of the cell: of the size of a number, and of any number
SLACK = {"trained": (0.1, 0.05), "chaotic": (0.3, 0.15)}
DATA = 1e-3          # of the largest number of an array behind a figure


def run(path: Path) -> nbformat.NotebookNode:
    """The notebook with what its cells give."""
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}
    first = f"--IPKernelApp.exec_files={[str(Path(__file__).with_name('drawn.py'))]!r}"
    NotebookClient(notebook, timeout=300, record_timing=False, resources=where, extra_arguments=[first]).execute()
    return notebook


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell: nbformat.NotebookNode) -> tuple[str, list[Any]]:
    """What a cell shows: its texts, without the pictures in them, and the data behind its figures."""
    texts, data = [], []
    for output in cell.outputs:
        if output.output_type == "stream":
            texts.append(output.text if output.name == "stdout" else f"({output.name}) {output.text}")
        else:
            forms = output.get("data", {})
            data += [forms[DRAWN]] if DRAWN in forms else []
            # a text that stands for a picture has the size of the figure in it, or the address of an object
            texts += [PICTURE.sub("a picture", "".join(forms[kind])) for kind in TEXTS
                      if kind in forms and not (kind == "text/plain" and len(forms) > 1)]
    return "".join(texts), data


def differs(found: str, stored: str, slack: tuple[float, float] = (0, 0)) -> str:
    """What differs between two texts, or nothing."""
    words = [" ".join(NUMBER.sub("#", text).split()) for text in (found, stored)]
    if words[0] != words[1]:
        at = next((i for i, (a, b) in enumerate(zip(*words)) if a != b), min(map(len, words)))
        return f"{words[0][max(0, at - 30):at + 30]!r}, stored {words[1][max(0, at - 30):at + 30]!r}"
    for a, b in zip(NUMBER.findall(found), NUMBER.findall(stored)):
        if abs(float(a) - float(b)) > max(slack[0] * abs(float(b)), slack[1], 1.001 * unit(b)):
            return f"{a}, stored {b}"
    return ""


def unit(number: str) -> float:
    """One unit of the last printed digit; 0 for a whole number, which is exact."""
    digits, _, power = number.lower().partition("e")
    places = len(digits.partition(".")[2])
    return 10.0 ** (int(power or 0) - places) if places or power else 0.0


def data_differ(found: Any, stored: Any, slack: tuple[float, float] = (0, 0)) -> str:
    """What differs between the data behind two figures, or nothing."""
    if isinstance(stored, dict) and isinstance(found, dict) and found.keys() == stored.keys():
        return next(filter(None, (data_differ(found[key], stored[key], slack) for key in stored)), "")
    if isinstance(stored, str) and isinstance(found, str):
        return differs(found, stored, slack)
    if isinstance(stored, list) and isinstance(found, list) and len(found) == len(stored):
        size = max((abs(value) for value in stored if isinstance(value, int | float)), default=0.0)
        limit = max(DATA * size, slack[0] * size, slack[1])
        return next((told for a, b in zip(found, stored) if (told := _item(a, b, limit, slack))), "")
    return f"{str(found)[:60]}, stored {str(stored)[:60]}"


def _item(found: Any, stored: Any, limit: float, slack: tuple[float, float]) -> str:
    """What differs between two items of a list, of which numbers may differ by a limit."""
    if isinstance(found, int | float) and isinstance(stored, int | float):
        return f"{found:g}, stored {stored:g}" if abs(found - stored) > limit else ""
    return data_differ(found, stored, slack)


def compare(found: nbformat.NotebookNode, stored: nbformat.NotebookNode) -> list[str]:
    """What differs between two runs of a notebook, cell by cell."""
    told = []
    for number, (a, b) in enumerate(zip(code(found), code(stored), strict=True), start=1):
        tags = b.metadata.get("tags", [])
        if "varies" in tags:
            continue
        (text_a, data_a), (text_b, data_b) = shown(a), shown(b)
        slack = next((SLACK[tag] for tag in tags if tag in SLACK), (0, 0))
        for what, difference in (("text", differs(text_a, text_b, slack)),
                                 ("figure", data_differ(data_a, data_b, slack))):
            told += [f"cell {number}, {what}: {difference}"] if difference else []
    return told


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_stored_is_what_a_run_gives(path):
    assert compare(run(path), nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_stored_as_run(path):
    cells = code(nbformat.read(path, as_version=4))
    outputs = [output for cell in cells for output in cell.outputs]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert all(DRAWN in output.data for output in outputs if "image/png" in output.get("data", {}))
    assert not any(output.output_type == "error" or output.get("name") == "stderr" for output in outputs)


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path.stem[:2].isdecimal()], ids=lambda path: path.stem)
def test_it_says_at_first_what_it_is_for_and_at_last_with_what_it_ran(path):
    first, *_, last = nbformat.read(path, as_version=4).cells
    assert re.match(r"# \w", first.source) and "**You will be able to**" in first.source
    assert re.search(r"\*\*(Time|It takes)\*\*", first.source)
    assert re.search(r"\*\*(You need|It assumes)\*\*", first.source)
    assert "varies" in last.metadata.tags and "nb.__version__" in last.source


def test_the_notebooks_have_an_order():
    numbers = [path.stem[:2] for path in NOTEBOOKS if path.stem[:2].isdecimal()]
    assert len(set(numbers)) == len(numbers)


# ---------------------------------------------------------------- the comparison itself

def cell(*outputs: dict[str, Any], tags: tuple[str, ...] = ()) -> nbformat.NotebookNode:
    """A notebook of one cell."""
    made = [nbformat.v4.new_output("stream", text=one["text"]) if "text" in one else
            nbformat.v4.new_output("display_data", one) for one in outputs]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=made, metadata={"tags": list(tags)})])


@pytest.mark.parametrize(("found", "stored", "tags", "same"), [
    ("loss 0.123", "loss 0.123", (), True),
    ("loss 0.124", "loss 0.123", (), True),               # one unit of the last digit
    ("loss 0.125", "loss 0.123", (), False),
    ("loss 0.15", "loss 0.123", ("trained",), True),
    ("loss 0.2", "loss 0.123", ("trained",), False),
    ("angle 44.1", "angle 41.0", ("trained",), True),
    ("angle 47.1", "angle 41.0", ("trained",), False),
    ("accuracy 0.51", "accuracy 0.64", ("chaotic",), True),
    ("accuracy 0.44", "accuracy 0.64", ("chaotic",), False),
    ("4 rules", "5 rules", (), False),                    # a count is exact
    ("1e-16", "2e-16", (), True),
    ("3.4e-05", "3.1e-05", (), False),
    ("a  1.00", "a 1.00", (), True),                      # columns move with the widths of their numbers
    ("loses 0.123", "loss 0.123", ("trained",), False),   # a word is a word
    ("h_1 (64, 128)", "h_2 (64, 128)", ("trained",), False),
    ("numpy 2.0.0", "numpy 2.3.1", ("varies",), True),
    ("", "loss 0.123", (), False),
    ("nan", "0.123", ("trained",), False),
])
def test_texts_are_compared_as_said_above(found, stored, tags, same):
    assert (compare(cell({"text": found}), cell({"text": stored}, tags=tags)) == []) == same


@pytest.mark.parametrize(("found", "stored", "tags", "same"), [
    ([1.0, 2.0], [1.0, 2.0], (), True),
    ([1.001, 2.0], [1.0, 2.0], (), True),
    ([1.01, 2.0], [1.0, 2.0], (), False),
    ([1.15, 2.0], [1.0, 2.0], ("trained",), True),
    ([1.3, 2.0], [1.0, 2.0], ("trained",), False),
    ([1.0], [1.0, 2.0], (), False),
    ([1.0, "nan"], [1.0, "nan"], (), True),
    ([1.0, "nan"], [1.0, 2.0], (), False),
])
def test_data_behind_figures_are_compared_as_said_above(found, stored, tags, same):
    def figure(line):
        return {DRAWN: [{"texts": ["Loss"], "lines": [[[0, 1], line]]}], "image/png": "x", "text/plain": "<Figure>"}
    assert (compare(cell(figure(found)), cell(figure(stored), tags=tags)) == []) == same


def test_a_figure_that_is_missing_or_has_another_title_differs():
    figure = {DRAWN: [{"texts": ["Loss"]}]}
    assert compare(cell(), cell(figure)) and compare(cell(figure), cell())
    assert compare(cell({DRAWN: [{"texts": ["Accuracy"]}]}), cell(figure, tags=("trained",)))


def test_a_warning_that_comes_new_differs():
    new = cell()
    new.cells[0].outputs = [nbformat.v4.new_output("stream", name="stderr", text="Warning: beware")]
    assert compare(new, cell())


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:] or NOTEBOOKS):
        done = run(path)
        for one in code(done):
            json.dumps(one.outputs, allow_nan=False)  # what browsers and other tools can read
        nbformat.write(done, path)
