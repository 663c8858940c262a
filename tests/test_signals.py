"""docs/signals.md: every snippet runs, and its picture is drawn."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "signals.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_snippet_runs_and_the_page_says_what_they_find(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    known: dict = {}
    for text in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(text, "signals.md", "exec"), known)
    assert (tmp_path / "signals.png").stat().st_size > 10_000
    assert len(capsys.readouterr().out.splitlines()) == 5
    last = {name: run.history[-1] for name, run in known["runs"].items()}
    assert min(last["las"]["alignment"]) > max(last["fa"]["alignment"][0], last["dfa"]["alignment"][0])
