"""The command line as people use it: near misses that say the right command, lines that fit, completion in a shell."""
from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nobackprop
from nobackprop import cli
from nobackprop.cli import completion, output
from nobackprop.data import DATASETS
from nobackprop.experiments.papers import EXHIBITS
from nobackprop.models import MODELS
from nobackprop.rules import RULES
from nobackprop.studies.text import fit

pytestmark = pytest.mark.usefixtures("unrendered")
ROOT = Path(nobackprop.__file__).parents[1]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(capsys):
    def run(*argv):
        code = cli.main([str(word) for word in argv])
        return code, *capsys.readouterr()
    return run


# ---------------------------------------------------------------- near misses


SWEEP = "expected one value; this tries several: nobackprop sweep FILE.toml (see docs/runs.md)"
DATA = "expected one data set; run the command once for each: --data xor, then --data digits"
PAPER = "a table or figure of a paper has its own"
MISSES = {
    "train --rules las,dfa": "this trains under one rule, --rule; under several: nobackprop compare --rules las,dfa",
    "train --rules=las,dfa": "this trains under one rule, --rule; under several: nobackprop compare --rules las,dfa",
    "train --rule las,dfa": "got 'las,dfa', expected one rule; this trains under several: nobackprop compare --rules",
    "train --lr 1e-4,1e-3": f"argument --lr: got '1e-4,1e-3', {SWEEP}",
    "compare --lr 1e-4,1e-3": f"argument --lr: got '1e-4,1e-3', {SWEEP}",
    "train --optimizer sgd,adam": f"argument --optimizer: got 'sgd,adam', {SWEEP}",
    **{f"{name} --data xor,digits": f"argument --data: got 'xor,digits', {DATA}"
       for name in ("train", "compare", "bench", "memory", "models --show mlp")},
    "papers run al:table-2 --data xor": f"{PAPER} data set; for others: nobackprop compare --data xor",
    "papers --rule bp": f"{PAPER} rules; for others: nobackprop compare --rules bp",
    "papers --model=mlp": f"{PAPER} network; for others: nobackprop compare --model mlp",
    "compare --checkpoint-every -1s": "argument --checkpoint-every: got '-1s', expected a number of epochs such as 5",
    "sweep a.toml --checkpoint-every -1s": "argument --checkpoint-every: got '-1s', expected a number of epochs",
    "train --lr -1e-3x": "argument --lr: got '-1e-3x', expected a number above 0",
    "train --lr -inf": "argument --lr: got '-inf', expected a number above 0",
    "compare --seeds -1,0": "argument --seeds: got '-1,0', expected integers from 0 on",
    "compare --rules -bp": "unknown rule '-bp': did you mean 'bp'?",
    "train --data -xor": "unknown data set '-xor': did you mean 'xor'?",
    "train --threads -all": "argument --threads: got '-all', expected an integer from 1 to 1024, or all",
    "train --lr --epochs 3": "argument --lr: expected one argument",
    "train --lr -h": "argument --lr: expected one argument",
}


@pytest.mark.parametrize("line", MISSES)
def test_a_near_miss_says_the_right_command_in_one_line(command, line, place):
    code, out, err = command(*line.split())
    assert (code, out) == (2, "") and MISSES[line] in err and err.count("\n") == 1 and not list(place.iterdir())


@pytest.mark.slow
def test_a_value_that_begins_with_a_minus_is_a_value(command, place):
    """Such as a folder; whoever types it can get it back."""
    assert command("train", "--data", "xor", "--model", "mlp:4", "--epochs", "1", "--seeds", "0", "--out", "-x")[0] == 0
    assert (place / "-x" / "results.json").exists()
    assert command("train", "--resume", "-x", "--lr", "1")[2].startswith("nobackprop: --lr cannot be given")


@pytest.mark.slow
def test_a_file_whose_name_has_a_comma_is_one_data_set(command, place):
    (place / "a.csv,b.csv").write_text("x,y\n" + "1,a\n2,b\n" * 20)
    (place / "a.csv").touch()
    assert command("bench", "--data", "./a.csv,b.csv", "--model", "mlp:2", "--steps", "1", "--batch-size", "2")[0] == 0


@pytest.mark.slow
def test_compare_without_rules_says_how_to_choose(command):
    how = ["--data", "xor", "--model", "mlp:4", "--epochs", "1", "--seeds", "0", "--batch-size", "2000"]
    code, _, err = command("compare", *how)
    assert code == 0 and err.startswith("no --rules: these 6 are compared; for others: --rules bp,dfa (see nobackprop "
                                        "rules)\n")
    assert "no --rules" not in command("compare", "--rules", "bp", *how)[2]
    assert "no --rules" not in command("train", *how)[2]


# ---------------------------------------------------------------- data of one's own


@pytest.mark.slow
@pytest.mark.parametrize("last, words", [("0.5", "1 number"), ("a", "2 classes")])
def test_bench_memory_and_models_take_a_file(command, place, last, words):
    (place / "mine.csv").write_text("u,v,y\n" + f"1,2,{last}\n3,4,{'b' if last == 'a' else 0.25}\n" * 20)
    code, out, _ = command("bench", "--data", "mine.csv", "--model", "mlp:4", "--steps", "2", "--batch-size", "4")
    assert code == 0 and "mine.csv" in out
    code, out, _ = command("memory", "--data", "mine.csv", "--model", "mlp:4,4,4,4", "--batch-size", "2")
    assert code == 0 and out.startswith("mlp:4,4,4,4 on mine.csv")
    code, out, _ = command("models", "--show", "mlp:4", "--data", "mine.csv")
    assert code == 0 and out.startswith(f"mlp:4 for mine.csv: samples of shape 2, {words}\n")
    assert command("bench", "--data", "gone.csv")[2].startswith("nobackprop: cannot read gone.csv")


# ---------------------------------------------------------------- lines


TABLES = ["rules", "models", "datasets", "locality dfa las", "equations", "theorems", "papers",
          "papers show asap:table-5.2", "models --show conv3", "check-rule dfa", "equations LAS 24", ""]


class Terminal(io.StringIO):
    """Standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.slow
@pytest.mark.parametrize("line", TABLES)
@pytest.mark.parametrize("columns", [0, 40, 300])
def test_lines_fit_a_terminal_and_a_pipe_has_80_letters(command, monkeypatch, line, columns):
    """Only what would be broken in the middle is longer: the name of a test, or a path."""
    if columns:
        monkeypatch.setattr(shutil, "get_terminal_size", lambda *_: os.terminal_size((columns, 24)))
        out = Terminal()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            assert cli.main(line.split()) == 0
        text = out.getvalue()
    else:
        code, text, _ = command(*line.split())
        assert code == 0
    long = [one for one in text.splitlines() if len(one) > max(80, columns) and len(one.split()) > 1]
    assert not long
    if columns == 300 and line in ("rules", "datasets"):
        assert len(text.splitlines()) == len(RULES if line == "rules" else DATASETS)


@pytest.mark.parametrize("text, width, expected", [
    ("one two", 20, "one two"), ("one two", 5, "one\ntwo"), ("  one two", 5, "  one\n  two"),
    ("(24)  one two three", 12, "(24)  one\n      two\n      three"), ("a" * 30, 10, "a" * 30),
    ("      tests/a.py::" + "b" * 30, 20, "      tests/a.py::" + "b" * 30), ("", 5, ""), ("a\n\nb", 5, "a\n\nb")])
def test_fit(text, width, expected):
    assert fit(text, width) == expected


def test_a_closed_stdout_has_a_width(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert output.width() == 80


# ---------------------------------------------------------------- completion


def test_without_argcomplete_nothing_happens(monkeypatch):
    monkeypatch.setitem(sys.modules, "argcomplete", None)
    parser, commands = cli.parsers()
    completion.complete(parser, commands)


def test_numbers_of_equations_and_options_of_rules_are_completed():
    _, commands = cli.parsers()
    completion.attach(commands)
    number = next(action for action in commands["equations"]._actions if action.dest == "number").completer
    assert number("24", parsed_args=argparse.Namespace(paper="LAS")) == ["24"]
    assert number("", parsed_args=argparse.Namespace(paper=None)) == []
    rules = next(action for action in commands["compare"]._actions if action.dest == "rules").completer
    assert rules("bp,asap:k") == ["bp,asap:k="] and rules("asap:k=4:m") == ["asap:k=4:match="]


@pytest.mark.slow
@pytest.mark.parametrize("argv, said", [
    ("equations LAS 99", "unknown equation of LAS '99' (known:"),
    ("equations LAS (99)", "unknown equation of LAS '99' (known"),
    ("train --lr 1e400", "got '1e400', expected a number above 0 of at most 1.8e308"),
    ("train --lr inf", "got 'inf', expected a number above 0")])
def test_a_number_that_is_not_there_is_not_a_near_miss(argv, said, capsys):
    try:
        assert cli.main(argv.split()) == 2
    except SystemExit as end:
        assert end.code == 2
    assert said in capsys.readouterr().err


def test_what_is_completed_is_what_options_are_called():
    _, commands = cli.parsers()
    there = {name for parser in commands.values() for action in parser._actions
             for name in (*action.option_strings, action.dest)}
    assert set(completion.NAMES) <= there and set(completion.FILES) <= there
    assert all(list(names()) for names in completion.NAMES.values())


TYPED = {
    "nobackprop loc": {"locality"},
    "nobackprop compare --rules bp,sd": {"bp,sdfa"}, "nobackprop train --data cifar-": {"cifar-10", "cifar-100"},
    "nobackprop train --data mine": {"mine.csv"}, "nobackprop train --check": {"--checkpoint-every"},
    "nobackprop bench --model conv": {name for name in MODELS if name.startswith("conv")},
    "nobackprop papers show asap:table-5": {name.removeprefix("asap:") for name in EXHIBITS
                                            if name.startswith("asap:table-5")}}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix" or not shutil.which("bash"), reason="there is no bash")
def test_bash_completes(place):
    pytest.importorskip("argcomplete", reason="argcomplete is not installed: pip install 'nobackprop[completion]'")
    (place / "mine.csv").touch()
    (place / "bin").mkdir()
    for name, module in (("nobackprop", "nobackprop"), ("register-python-argcomplete",
                                                        "argcomplete.scripts.register_python_argcomplete")):
        script = place / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        script.chmod(0o755)
    asked = "\n".join(f"""
        COMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}; COMP_TYPE=9; COMP_KEY=9; COMPREPLY=()
        COMP_WORDS=($COMP_LINE); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        $hook nobackprop "${{COMP_WORDS[-1]}}" "${{COMP_WORDS[-2]}}"
        echo "= $COMP_LINE"; printf '%s\\n' "${{COMPREPLY[@]}}" """ for line in TYPED)
    bash = ('eval "$(register-python-argcomplete nobackprop)"\n'
            "hook=$(complete -p nobackprop | sed 's/.*-F \\([^ ]*\\) .*/\\1/')\n" + asked)
    done = subprocess.run(["bash", "--norc", "-c", bash], cwd=place, capture_output=True, text=True, timeout=300,
                          env=os.environ | {"PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}",
                                            "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"})
    found = {part.splitlines()[0]: {word.strip() for word in part.splitlines()[1:]} - {""}
             for part in done.stdout.split("= ")[1:]}
    assert found == TYPED, done.stderr
