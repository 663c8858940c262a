"""docs/tutorial.md: every command and every line of Python runs, in one folder, and prints what stands there."""
from __future__ import annotations

import doctest
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from nobackprop import cli

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"\d+\.\d+")
NEAR = 0.1  # trained numbers differ by less from machine to machine
FROM_TRAINING = ("compare", "sweep")


def alike(shown: str, printed: str, near: float) -> bool:
    """Whether two lines have the same words, and decimal fractions that are near; the last one may be a time."""
    if NUMBER.sub("0", " ".join(shown.split())) != NUMBER.sub("0", " ".join(printed.split())):
        return False
    pairs = zip(map(float, NUMBER.findall(shown)), map(float, NUMBER.findall(printed)), strict=True)
    return all(abs(one - other) <= near for one, other in list(pairs)[:-1 if near else None])


def missing(shown: str, printed: str, near: float) -> str | None:
    """The first shown line that is not printed where it should be; '...' stands for any lines."""
    lines, at, free = printed.splitlines(), 0, False
    for line in shown.splitlines():
        if line == "...":
            free = True
            continue
        places = range(at, len(lines)) if free else range(at, min(at + 1, len(lines)))
        at = next((i + 1 for i in places if alike(line, lines[i], near)), 0)
        if not at:
            return line
        free = False
    return None if free or at == len(lines) else f"(the end; printed is {lines[at]!r})"


@pytest.mark.slow
def test_every_command_and_every_line_of_python_does_what_the_page_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    known: dict[str, object] = {}
    counts = {"console": 0, "python": 0, "toml": 0, "": 0}
    for language, text in BLOCKS:
        counts[language] += 1
        if file := re.match(r"# (\S+\.\w+)\n", text):
            (tmp_path / file[1]).write_text(text, encoding="utf-8")
        elif language == "python":
            test = doctest.DocTestParser().get_doctest(text, known, "tutorial.md", None, 0)
            result = doctest.DocTestRunner().run(test, clear_globs=False)
            known = test.globs
            assert result.attempted and not result.failed, text
        elif language == "console":
            (prompt, command), shown = (line := text.splitlines()[0]).split(" ", 1), text.partition("\n")[2]
            word, *argv = shlex.split(command)
            capsys.readouterr()
            assert (prompt, word, cli.main(argv)) == ("$", "nobackprop", 0), line
            printed = capsys.readouterr().out
            assert (gone := missing(shown, printed, NEAR if argv[0] in FROM_TRAINING else 0)) is None, (
                f"{line} does not print {gone!r}, but\n{printed}")
        else:
            assert text == "make demo\n"
    assert counts == {"console": 7, "python": 4, "toml": 1, "": 1}
    assert (tmp_path / "second.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_make_demo_is_the_command_that_the_page_says():
    said = subprocess.run(["make", "--no-print-directory", "-n", "demo"], cwd=ROOT, capture_output=True, text=True,
                          check=True).stdout
    assert said.splitlines()[-1].split("/")[-1] == "nobackprop compare"


def test_the_list_of_contents_is_the_page():
    titles = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert re.findall(r"^\d+\. \[(.*?)\]", PAGE, re.MULTILINE) == titles
    anchors = [re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles]
    assert re.findall(r"^\d+\. \[.*\]\(#(.*)\)$", PAGE, re.MULTILINE) == anchors


@pytest.mark.parametrize("shown, printed, near, gone", [
    ("a\n...\nb 0.50 0.1\n", "a\nx\ny\nb  0.52   7.0\n", 0.1, None), ("b 0.5 0.1\n", "b 0.7 0.1\n", 0.1, "b 0.5 0.1"),
    ("a\n", "a\nb\n", 0, "(the end; printed is 'b')"), ("a\nb\n", "a\nc\nb\n", 0, "b"),
    ("a 0.5\n", "a 0.6\n", 0, "a 0.5"), ("a\n...\n", "a\nb\n", 0, None), ("a\nb\n", "a\n", 0, "b")])
def test_a_wrong_line_is_found(shown, printed, near, gone):
    assert missing(shown, printed, near) == gone
