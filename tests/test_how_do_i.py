"""docs/how-do-i.md: every snippet runs, in the order in which it stands on the page."""
from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from nobackprop import cli

PAGE = (Path(__file__).parents[1] / "docs" / "how-do-i.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
OPTIONAL = ("torch", "onnx", "onnxruntime")  # a snippet that imports one of these runs if it is installed
RULE = next(text for _, text in SNIPPETS if text.startswith("# sign_dfa.py"))


@pytest.mark.slow
@pytest.mark.torch
def test_every_snippet_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ran = 0
    for language, text in SNIPPETS:
        if file := re.match(r"# (\S+\.\w+)\n", text):
            (tmp_path / file[1]).write_text(text, encoding="utf-8")
        elif language == "python" and any(re.search(rf"import {name}\b", text) and not importlib.util.find_spec(name)
                                          for name in OPTIONAL):
            continue
        elif language == "python":
            exec(compile(text, "how-do-i.md", "exec"), {})
            ran += 1
        elif language == "sh":
            for line in text.splitlines():
                word, *argv = shlex.split(line)
                assert (word, cli.main(argv)) == ("nobackprop", 0), f"{line}: {capsys.readouterr().err}"
                ran += 1
        else:
            assert language == "toml" and "nobackprop.rules" in text  # tests/test_own_code.py installs such a package
    assert ran >= 12


def test_ten_lines_are_enough_for_a_rule():
    assert len(RULE.splitlines()) <= 11 and RULE.splitlines()[0] == "# sign_dfa.py"


def test_the_list_of_recipes_is_the_page():
    titles = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert re.findall(r"^\d+\. \[(.*?)\]", PAGE, re.MULTILINE) == titles
    anchors = [re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles]
    assert re.findall(r"^\d+\. \[.*\]\(#(.*)\)$", PAGE, re.MULTILINE) == anchors
