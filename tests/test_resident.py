"""The memory of a training process, read from outside: what is measured, and that the page shows what is stored."""
from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nobackprop.errors import InputError
from nobackprop.studies import resident
from nobackprop.studies.resident import FREED, TORCH, WHO, outside
from nobackprop.studies.speed.bench import random_run
from nobackprop.tree import leaves

ROOT = Path(__file__).resolve().parent.parent
MB = 1_000_000  # what is told may be off by less: the system adds up what it counts on each processor now and then
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory of a process is read on Linux")


def said_by(code):
    return outside([sys.executable, "-c", f"import sys\n{code}\nprint('ready', flush=True); sys.stdin.read()"])


@linux
@pytest.mark.slow
def test_the_peak_is_that_of_the_process_when_it_was_largest():
    """100 MB that are freed again count; so do not 800 MB of the parent, nor 100 MB that nobody wrote to."""
    mine = bytearray(b"x") * (800 * MB)
    line, nothing = said_by("a = bytes(100_000_000)")
    _, held = said_by("a = b'x' * 100_000_000")
    _, freed = said_by("a = b'x' * 100_000_000; del a")
    assert line == "ready\n" and len(mine) == 800 * MB and nothing < 50 * MB
    for peak in (held, freed):
        assert abs(peak - nothing - 100 * MB) < 5 * MB


@linux
@pytest.mark.parametrize("code", ["sys.exit(3)", "print('ready', flush=True); sys.exit(3)"])
def test_a_process_that_fails_is_one_sentence(code):
    with pytest.raises(InputError, match="the measured process ended with code 3|/status says nothing"):
        outside([sys.executable, "-c", f"import sys\n{code}"])


def test_elsewhere_than_on_linux_it_is_one_sentence():
    for process, what in (("no-such-process", "VmRSS"), ("self", "VmNothing")):
        with pytest.raises(InputError, match="measured on Linux alone"):
            resident.resident(what, process)


@linux
@pytest.mark.slow
@pytest.mark.parametrize("freed", FREED)
def test_a_process_that_trains_says_what_it_took(freed):
    """A small network in a real process; its parts by hand."""
    code = ("import json, sys\nfrom nobackprop.studies import resident\n"
            f"print(json.dumps(resident.train('asap:k=2', '{freed}', 'conv3:0.03', 8)), flush=True)\nsys.stdin.read()")
    line, peak = outside([sys.executable, "-c", code])
    found = json.loads(line)
    assert found["data"] == 4096 * 4 * (32 * 32 * 3 + 10)
    assert len(found["high"]) == resident.STEPS and found["high"] == sorted(found["high"])
    assert found["imports"] < found["high"][0] < peak + MB
    assert found["trimmed"] - MB < found["after"] < peak + MB
    run = random_run("conv3:0.03", "cifar-10", "asap:k=2", 8, "momentum")
    # W and B, and what momentum remembers of each
    assert found["own"] == 2 * 4 * sum(array.size for _, array in leaves([run.params, run.state]))


@pytest.mark.slow
def test_what_is_counted_is_the_count_of_the_thesis(monkeypatch):
    monkeypatch.setattr(resident, "MODEL", "mlp:6,6,6,6,6")
    monkeypatch.setattr(resident, "BATCH", 2)
    monkeypatch.setattr(resident, "DATA", "digits")
    bp, two, four = resident.counted()
    assert [row["rule"] for row in (bp, two, four)] == list(WHO[:3])
    P = 64 * 6 + 4 * 36 + 6 * 10
    assert [row["accesses"] for row in (bp, two, four)] == [3 * P + 2 * 12 * stored for stored in (5, 2, 1)]
    assert [row["accesses_both_sets"] for row in (bp, two)] == [3 * P + 2 * 12 * 5, 5 * P + 2 * 12 * 2]
    assert 0 < two["tape"] < bp["tape"] and min(row["allocated"] for row in (bp, two, four)) > 0


def rows():
    """Peaks that are easy to divide: above imports and data bp has 100, 200 and 300 MB, asap half of it, and so on."""
    parts = {"bp": 1.0, "asap:k=2": 0.5, "asap:k=4": 0.25, TORCH: 2.0}
    found = [{"rule": rule, "tape": part * 40 * MB, "allocated": part * 80 * MB, "accesses": 10 * part,
              "accesses_both_sets": 20 * part} for rule, part in parts.items() if rule != TORCH]
    return found + [
        cell | {"imports": 30 * MB, "data": 20 * MB, "high": [0], "own": 7 * MB, "after": 3 * MB, "trimmed": 2 * MB,
                "peak": 50 * MB + int(100 * MB * cell["repeat"] * parts[cell["who"]])}
        for cell in resident.cells()]


def test_the_table_by_hand():
    text = resident.text({"machine": {"cores": "2"}, "rows": rows()})
    lines = [[field.strip() for field in line.strip("|").split("|")] for line in text.splitlines() if "`bp`" in line]
    assert lines[1] == ["`bp`", "1.00", "1.00", "1.00", "7", "80", "250 (150, 350)", "200 (100, 300)", "**1.00**",
                        "200 (100, 300)", "**1.00**"]
    assert "| `asap:k=4` | 0.25 | 0.25 | 0.25 | 7 | 20 | 100 (75, 125) | 50 (25, 75) | **0.25** |" in text
    assert f"| {TORCH} |  |  |  | 7 |  | 450 (250, 650) | 400 (200, 600) | **2.00** |" in text
    assert "| `bp` | 3 | 2 | 3 | 2 |" in text


def test_a_part_of_the_rows_is_not_shown():
    assert all(resident.text({"machine": {}, "rows": some}).startswith("Not measured yet") for some in (
        [], rows()[:3], rows()[3:], [row for row in rows() if row.get("who") != TORCH]))


def test_the_page_shows_what_is_stored():
    path, page = ROOT / resident.STORE.path, (ROOT / resident.PAGE).read_text(encoding="utf-8")
    stored = replace(resident.STORE, path=path).read() if path.exists() else {"machine": {}, "rows": []}
    assert resident.STORE.put(page, resident.text(stored)) == page
    for row in stored["rows"]:
        if "peak" in row:
            assert row["imports"] < row["high"][0] <= row["high"][-1] < row["peak"] + MB
            # it had come to rest
            assert row["peak"] < 1.02 * row["high"][1] or (row["who"], row["freed"]) == (TORCH, "kept")


def test_what_is_stored_says_what_the_page_says():
    """Two ways to measure agree; and sharing saves memory, but less than half of what the thesis counts."""
    rows = replace(resident.STORE, path=ROOT / resident.STORE.path).read()["rows"]
    count = {row["rule"]: row for row in rows if "rule" in row}
    least = {(who, freed): min(resident.above(row) for row in rows
                               if (row.get("who"), row.get("freed")) == (who, freed))
             for who in count for freed in FREED}
    for row in rows:
        if row.get("freed") == "returned" and row["who"] != TORCH:
            assert abs(row["own"] + count[row["who"]]["allocated"] - resident.above(row)) < 0.02 * resident.above(row)
    for freed in FREED:
        bp, two, four = (least[who, freed] for who in ("bp", "asap:k=2", "asap:k=4"))
        assert four < two < bp
        for who, mine in (("asap:k=2", two), ("asap:k=4", four)):
            assert 2 * (1 - mine / bp) < 1 - count[who]["accesses"] / count["bp"]["accesses"]


def test_every_cell_has_a_process_of_its_own(monkeypatch):
    asked = []
    monkeypatch.setattr(resident, "outside", lambda command: (asked.append(command), ('{"imports": 1}', 5))[1])
    assert [resident.in_process(cell) for cell in resident.cells()] == 24 * [[{"imports": 1, "peak": 5}]]
    assert [command[-2:] for command in asked[:5]] == [["bp", "kept"], ["asap:k=2", "kept"], ["asap:k=4", "kept"],
                                                      [TORCH, "kept"], ["bp", "returned"]]


def test_a_mistaken_command_is_told_the_usage():
    with pytest.raises(SystemExit, match="usage"):
        resident.main(["--pages"])
