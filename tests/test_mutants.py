"""The list of mutants keeps up with the code, and the runner tells those that are caught from those that are not."""
from __future__ import annotations

import ast
import os
import re
import select
from functools import cache
from pathlib import Path

import mutants
import pytest
from mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[1]
LIST = [pytest.param(file, mutant, id=f"{file}: {mutant.says}") for file, those in MUTANTS.items() for mutant in those]


@cache
def tree(text: str) -> str:
    return ast.dump(ast.parse(text))


@pytest.mark.slow
@pytest.mark.parametrize("file, mutant", LIST)
def test_each_changes_one_place_of_the_code_and_names_tests_that_are_there(file, mutant):
    text = (ROOT / file).read_text(encoding="utf-8")
    assert ast.dump(ast.parse(mutant.of(text))) != tree(text), "nothing but a comment or the layout is another"
    assert mutant.tests.split() and all((ROOT / test).is_file() for test in mutant.tests.split())


def test_there_are_many_and_no_two_are_one():
    assert len(LIST) >= 100
    assert len({(file, mutant.old, mutant.new) for file, those in MUTANTS.items() for mutant in those}) == len(LIST)
    assert len({param.id for param in LIST}) == len(LIST)


def test_the_page_names_those_that_survive_and_why():
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    section = page.partition("### Survivors")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| (.*?) \| (.*?) \|$", section, re.M))
    named = {f"`{file}`: {mutant.says}": mutant.survives for file, those in MUTANTS.items() for mutant in those
             if mutant.survives}
    assert {mutant: reason for mutant, reason in rows.items() if mutant.startswith("`")} == named
    assert len(named) <= (1 - mutants.ENOUGH) * len(LIST)


@pytest.mark.parametrize("text, times", [("x = 2", 0), ("x = 1\ny = x = 1", 2)])
def test_one_that_has_lost_its_place_is_told(text, times):
    with pytest.raises(ValueError, match=f"'one': its old text stands in the file {times} times, not once"):
        Mutant("one", "x = 1", "x = 2", "tests/test_x.py").of(text)


# A repository of one function, which is to double


@pytest.fixture
def source(tmp_path):
    head = "from double import double\n\n\n"
    for name, text in {
            "setup.cfg": "[tool:pytest]\n", "double.py": "def double(x):\n    return 2 * x\n",
            "test_two.py": f"{head}def test_two():\n    assert double(2) == 4\n",
            "test_double.py": f"{head}def test_zero():\n    assert double(0) == 0\n\n\n"
                              "def test_four():\n    assert double(4) == 8\n"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def of_double(new: str, tests: str, survives: str = "") -> Mutant:
    return Mutant(f"it is {new}", "2 * x", new, tests, survives)


def tried(source, *those, **how):
    return mutants.run({"double.py": list(those)}, source=source, **how)


@pytest.mark.slow
def test_the_caught_are_told_from_the_survivors(source, capsys):
    """Of one length and one after the other, so that Python might take one's compiled file for the next one's."""
    assert not tried(source, of_double("3 * x", "test_double.py"), of_double("x * x", "test_two.py"),
                     of_double("x + x", "test_double.py", "the same"), of_double("4 * x", "test_two.py"), jobs=1)
    *lines, score, surprise = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["caught", "survived", "survived", "caught"]
    assert lines[0].endswith("double.py: it is 3 * x  [test_double.py::test_four]")
    assert "AND SHOULD NOT" in lines[1] and lines[2].endswith("[the same]") and "AND SHOULD NOT" not in lines[2]
    assert score == "2 of 4 mutants caught, 50.0%" and surprise == "double.py: it is x * x"
    assert (source / "double.py").read_text(encoding="utf-8") == "def double(x):\n    return 2 * x\n"


@pytest.fixture
def answers(monkeypatch):
    """Pytest's exit codes, in the order of the trials, without its being run."""
    def of(*codes):
        queue = list(codes)
        monkeypatch.setattr(mutants, "trial", lambda root, tests: (queue.pop(0), "what it said", 1.0))
    return of


@pytest.mark.parametrize("survives, code, good", [
    ("", 1, True), ("", None, True),  # too long is caught
    ("", 0, False), ("it doubles, too", 1, False),
    ("it doubles, too", 0, False),  # a reason does not raise the score
])
def test_when_it_is_good_enough(source, answers, survives, code, good):
    answers(0, code)
    assert tried(source, of_double("3 * x", "test_two.py", survives)) == good


def test_one_in_twenty_may_survive_with_a_reason(source, answers):
    those = [of_double(f"{k} * x", "test_two.py") for k in range(3, 21)]
    survivor = of_double("x + x", "test_two.py", "the same")
    answers(0, *[1] * 18, 0)
    assert not tried(source, *those, survivor, jobs=1)
    answers(0, *[1] * 19, 0)
    assert tried(source, *those, of_double("21 * x", "test_two.py"), survivor, jobs=1)


@pytest.mark.parametrize("codes, sentence", [
    ((1, 1), "test_two.py: fails without any mutant, at what it said"),
    ((4, 1), "test_two.py: fails without any mutant, at what it said"),
    ((0, 2), "double.py, 'it is 3 . x': pytest ended with 2\nwhat it said"),  # as if the file cannot be imported
    ((0, 5), "double.py, 'it is 3 . x': pytest ended with 5"),
])
def test_what_says_nothing_of_a_mutant_is_an_error(source, answers, codes, sentence):
    answers(*codes)
    with pytest.raises(ValueError, match=sentence):
        tried(source, of_double("3 * x", "test_two.py"))


@pytest.mark.slow
def test_what_a_test_has_started_ends_with_it(source):
    """The child holds a pipe open until it ends; the test that has started it waits for it in vain."""
    os.mkfifo(source / "pipe")
    (source / "test_child.py").write_text(
        "import subprocess, sys\n\ndef test_child():\n"
        "    subprocess.run([sys.executable, '-c', 'import signal; held = open(\"pipe\", \"w\"); signal.pause()'])\n")
    reading = os.open(source / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    code, _, _ = mutants.trial(source, "test_child.py", limit=3)
    assert code is None and select.select([reading], [], [], 60)[0] and os.read(reading, 1) == b""
    os.close(reading)


def test_what_takes_too_long_is_ended(source):
    code, said, _ = mutants.trial(source, "test_two.py", limit=0.01)
    assert code is None and said == "more than 0.01 s"


def test_those_of_one_file_can_be_asked_for(source, answers, capsys):
    answers(0, 1)
    assert tried(source, *(of_double(f"{k} * x", "test_two.py") for k in (3, 4)), only="double.py: .* 4")
    assert "it is 4" in capsys.readouterr().out
