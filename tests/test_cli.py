"""The command line: what it prints, what it says to wrong use, its exit codes, and how it can be stopped."""
from __future__ import annotations

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import nobackprop
from nobackprop import cli, learn
from nobackprop.data import DATASETS
from nobackprop.data.augment import AUGMENTATIONS
from nobackprop.experiments import results
from nobackprop.kernels.activation import ACTIVATIONS
from nobackprop.kernels.loss import LOSSES
from nobackprop.models import MODELS
from nobackprop.optim import OPTIMIZERS, SCHEDULES
from nobackprop.rules import RULES
from nobackprop.settings import DTYPES, NAMES

ROOT = str(Path(nobackprop.__file__).parents[1])
TINY = ["--model", "mlp:8", "--epochs", "1", "--seeds", "0"]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(capsys):
    """Run a command line here; gives exit code, stdout and stderr."""
    def run(*argv):
        code = cli.main([str(word) for word in argv])
        return code, *capsys.readouterr()
    return run


def process(*argv, **kwargs):
    """The same as a process of its own, not yet waited for."""
    environment = os.environ | {"PYTHONPATH": ROOT, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": ""}
    # a shell's background jobs ignore Ctrl-C, and so would all that they start
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen([sys.executable, "-W", "error", "-m", "nobackprop", *argv], env=environment,
                                stdout=subprocess.PIPE, **{"stderr": subprocess.PIPE, "text": True} | kwargs)
    finally:
        signal.signal(signal.SIGINT, before)


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# ---------------------------------------------------------------- what is listed


@pytest.mark.parametrize("name, known", [("rules", RULES), ("models", MODELS), ("datasets", DATASETS)])
def test_lists_have_a_line_for_every_name(command, name, known):
    code, out, err = command(name)
    assert (code, err) == (0, "")
    lines = [line for line in out.splitlines() if not line.startswith(" ")]  # the others go on with the line above
    assert [line.split()[0] for line in lines] == list(known)
    assert all(len(line.split()) > 2 for line in lines)
    assert max(map(len, out.splitlines())) <= 80


def test_rules_are_told_by_the_first_line_of_their_docstring(command):
    _, out, _ = command("rules")
    told = " ".join(out.split())
    assert f" dfa {str(RULES['dfa'].__doc__).splitlines()[0]} " in told
    assert re.search(r" sdfa [^:]* Here draw=sparse: weights by which ", told)


def test_alone_it_prints_its_help(command):
    code, out, err = command()
    assert code == 0 and err == "" and out.startswith("usage: nobackprop")
    for name in ("compare", "train", "plot", "rules", "models", "datasets", "equations", "theorems", "locality", "draw",
                 "bench"):
        assert re.search(rf"^    {name}\b", out, re.M)


@pytest.mark.parametrize("line", ["-h", "compare --help", "train -h", "plot -h", "equations -h", "theorems -h",
                                  "bench -h"])
def test_help_is_no_mistake(command, line):
    code, out, err = command(*line.split())
    assert code == 0 and err == "" and out.startswith("usage: nobackprop")


@pytest.mark.parametrize("name", ["compare", "train"])
def test_every_setting_is_an_option_whose_help_names_all_that_there_is(command, name):
    _, out, _ = command(name, "--help")
    told = " ".join(out.split()).replace("- ", "-")  # argparse breaks lines after hyphens
    for option in NAMES:
        assert f" --{option.replace('_', '-')} " in told
    summaries = [*(entry[0] for entry in OPTIMIZERS.values()), *(entry.summary for entry in AUGMENTATIONS.values())]
    for word in (*ACTIVATIONS, *LOSSES, *OPTIMIZERS, *SCHEDULES, *AUGMENTATIONS, *DTYPES, *summaries):
        assert word in told


def test_version(command):
    assert command("--version") == (0, f"nobackprop {nobackprop.__version__}\n", "")


@pytest.mark.slow
def test_lists_wait_for_no_slow_import():
    script = ("import sys; from nobackprop.cli import main; code = main(['rules']) + main(['datasets']); "
              "print(code, {'matplotlib', 'sklearn', 'scipy', 'pooch'} & set(sys.modules))")
    done = subprocess.run([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": ROOT},
                          capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 set()"


@pytest.mark.slow
def test_nothing_imports_pyplot():
    script = ("import sys, nobackprop.experiments.plots, nobackprop.experiments.compare; "
              "print('matplotlib.pyplot' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": ROOT},
                          capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# ---------------------------------------------------------------- mistakes

COMPARE = "nobackprop compare: error: argument "
UNKNOWN = "nobackprop compare: error: unknown option "
INTEGERS = "expected integers from 0 on with commas between, such as 0,1,2"
NINES = "9" * 5000
SHORT_NINES = f"{'9' * 59}...{'9' * 18}"
MISTAKES = {
    "comparre": "nobackprop: unknown command 'comparre': did you mean 'compare'?",
    "--verbose": "nobackprop: error: unknown option '--verbose': did you mean '--version'?",
    "rules bp": "nobackprop rules: error: unexpected argument 'bp'",
    "compare bp": "nobackprop compare: error: unexpected argument 'bp'",
    "compare --optimiser adam": f"{UNKNOWN}'--optimiser': did you mean '--optimizer'?",
    "compare --seed=0": f"{UNKNOWN}'--seed': did you mean '--seeds'?",
    "compare --epochs": f"{COMPARE}--epochs: expected one argument",
    "compare --epochs 0": f"{COMPARE}--epochs: got '0', expected an integer from 1 on",
    "compare --epochs 1.5": f"{COMPARE}--epochs: got '1.5', expected an integer from 1 on",
    "compare --batch-size -3": f"{COMPARE}--batch-size: got '-3', expected an integer from 1 on",
    "compare --epochs 99999999999999999999":
        f"{COMPARE}--epochs: got '99999999999999999999', expected at most 9223372036854775807",
    f"compare --batch-size {NINES}":
        f"{COMPARE}--batch-size: got '{SHORT_NINES}', expected at most 9223372036854775807",
    f"compare --threads {NINES}": f"{COMPARE}--threads: got '{SHORT_NINES}', expected at most 1024",
    f"compare --seeds {NINES}": f"{COMPARE}--seeds: got '{SHORT_NINES}', expected integers from 0 on",
    f"compare --lr {NINES}": f"{COMPARE}--lr: got '{SHORT_NINES}', expected a number above 0",
    f"compare --device cuda:{NINES}": "nobackprop: unknown device 'cuda:999",
    f"compare --rules asap:k={NINES}": "nobackprop: rule 'asap:k=999",
    "compare --lr 0": f"{COMPARE}--lr: got '0', expected a number above 0",
    "compare --lr nan": f"{COMPARE}--lr: got 'nan', expected a number above 0",
    "compare --lr inf": f"{COMPARE}--lr: got 'inf', expected a number above 0",
    "compare --lr fast": f"{COMPARE}--lr: got 'fast', expected a number above 0",
    "compare --weight-decay=-1e-3": f"{COMPARE}--weight-decay: got '-1e-3', expected a number from 0 on",
    "compare --threads 0": f"{COMPARE}--threads: got '0', expected an integer from 1 to 1024, or all",
    "compare --threads many": f"{COMPARE}--threads: got 'many', expected an integer from 1 to 1024, or all",
    "compare --seeds one": f"{COMPARE}--seeds: got 'one', {INTEGERS}",
    "compare --seeds 0,1.5": f"{COMPARE}--seeds: got '0,1.5', {INTEGERS}",
    "compare --seeds 0,,1": f"{COMPARE}--seeds: got '0,,1', {INTEGERS}",
    "compare --seeds=-1": f"{COMPARE}--seeds: got '-1', {INTEGERS}",
    "compare --seeds 0,1,00": f"{COMPARE}--seeds: got '0,1,00', expected every seed once, not 0 again",
    "compare --rules bp,las,bp": f"{COMPARE}--rules: got 'bp,las,bp', expected every rule once, not bp again",
    "compare --rules bp,": f"{COMPARE}--rules: got 'bp,', expected names of rules with commas between",
    "compare --rules bp,lass": "nobackprop: unknown rule 'lass': did you mean 'las'?",
    "compare --data digit": "nobackprop: unknown data set 'digit': did you mean 'digits'?",
    "compare --model mpl:8": "nobackprop: unknown model 'mpl': did you mean 'mlp'?",
    "compare --model mlp:8,x": "nobackprop: model 'mlp:8,x': expected hidden layer sizes",
    "compare --model mlp:999999999999":
        "nobackprop: model 'mlp:999999999999' has 63,999,999,999,936 parameters or more, expected at most ",
    f"compare --model mlp:8,{NINES}": "nobackprop: model 'mlp:8,99",
    f"compare --model vgg:{NINES}": "nobackprop: model 'vgg:999",
    "compare --model conv3:1e9": "nobackprop: model 'conv3:1e9': expected a width factor above 0 and up to 16",
    "compare --model resnet18:inf": "nobackprop: model 'resnet18:inf': expected a width factor above 0 and up to 16",
    "compare --model vgg:nan": "nobackprop: model 'vgg:nan': expected a width factor above 0 and up to 16",
    f"compare --augment crop:{NINES}": "nobackprop: augmentation 'crop:999",
    "compare --augment crop:999999999999": "nobackprop: the number of crop must be at most 256, got 9999",
    "compare --activation rely": "nobackprop: unknown activation 'rely': did you mean 'relu'?",
    "compare --loss sqared": "nobackprop: unknown loss 'sqared': did you mean 'squared'?",
    "compare --dtype float16": "nobackprop: dtype is 'float16', expected float32 or float64",
    "compare --optimizer adm": "nobackprop: unknown optimizer 'adm': did you mean 'adam'?",
    "compare --schedule cosinus": "nobackprop: unknown schedule 'cosinus': did you mean 'cosine'?",
    "compare --device gpu": "nobackprop: unknown device 'gpu': expected cpu, cuda or cuda:N",
    "compare --data mnist --data-dir nowhere": "nobackprop: no mnist in nowhere",
    "compare --data mnist --data-dir nowhere --optimizer adm": "nobackprop: unknown optimizer 'adm'",
    "compare --data mnist --data-dir nowhere --device gpu": "nobackprop: unknown device 'gpu'",
    "compare --out file": "nobackprop: cannot write to the folder file (Not a directory)",
    "compare --out file/below/it": "nobackprop: cannot write to the folder file/below/it (Not a directory)",
    f"compare --out {'x' * 300}": "nobackprop: cannot write to the folder x",
    "compare --out full": "nobackprop: the folder full is already used, expected a new or an empty one",
    "train --rule bp,las": "nobackprop train: error: argument --rule: got 'bp,las', expected one rule; this trains "
                           "under several: nobackprop compare --rules bp,las\n",
    "train --rule=bp,,las,": "nobackprop train: error: argument --rule: got 'bp,,las,', expected one rule; this trains "
                             "under several: nobackprop compare --rules bp,las\n",
    "bench --rule bp,las": "nobackprop bench: error: argument --rule: got 'bp,las', expected one rule; ",
    "memory --rule as,asap": "nobackprop memory: error: argument --rule: got 'as,asap', expected one rule; ",
    "locality --rule las": "nobackprop locality: error: unknown option '--rule': this command has no options\n",
    "locality lass": "nobackprop: unknown rule 'lass': did you mean 'las'?",
    "rules --json": "nobackprop rules: error: unknown option '--json': this command has no options\n",
    "models --x=3": "nobackprop models: error: unknown option '--x' (known: --help, --show, --data)\n",
    "models --data digits": "nobackprop: --data says for which samples --show shows a network: expected both or none\n",
    "models --show conv33": "nobackprop: unknown model 'conv33': did you mean 'conv3'?",
    "models --show conv3 --data xor": "nobackprop: model 'conv3': expected images (height, width, channels), got ",
    "check-rule": "nobackprop check-rule: error: the following arguments are required: RULE\n",
    "check-rule bp,las": "nobackprop check-rule: error: argument RULE: got 'bp,las', expected one rule; ",
    "datasets --h": "nobackprop datasets: error: unknown option '--h': this command has no options\n",
    "equations --paper LAS": "nobackprop equations: error: unknown option '--paper': this command has no options\n",
    "compare --rules bp las": "nobackprop compare: error: unexpected argument 'las': the values of --rules are one "
                              "word, with commas between them\n",
    "train --seeds 0 1 2": "nobackprop train: error: unexpected argument '1': the values of --seeds are one word",
    "train --lr 1 2": "nobackprop train: error: unexpected argument '2'\n",
    "compare --": "nobackprop compare: error: unexpected argument '--'\n",
    "compare --rules bp --rules las": "nobackprop compare: error: the option --rules is there 2 times, expected it",
    "train --seeds=0 --lr 1 --seeds 1 --seeds=2": "nobackprop train: error: the option --seeds is there 3 times",
    "papers run al:table-2 --only a --only b": "nobackprop papers: error: the option --only is there 2 times",
    "papers list al:table-2": "nobackprop: papers list shows all of them: expected no name, or papers show al:tab",
    "papers show al:table-2 --out a": "nobackprop: papers show runs nothing: expected no --out\n",
    "papers run al:table-2 --only a;b;a": "nobackprop papers: error: argument --only: got 'a;b;a', expected every arm "
                                          "once, not a again\n",
    "papers run al:table-2 --only a b": "nobackprop papers: error: unexpected argument 'b': the values of --only are "
                                        "one word, with semicolons between them\n",
    "papers --seeds 0": "nobackprop: papers list runs nothing: expected no --seeds\n",
    "papers --data-dir a": "nobackprop: papers list runs nothing: expected no --data-dir\n",
    "papers --download": "nobackprop: papers list runs nothing: expected no --download\n",
    "train --rules bp,las": "nobackprop train: error: this trains under one rule, --rule; under several: nobackprop "
                            "compare --rules bp,las\n",
    "train --rules=bp,las": "nobackprop train: error: this trains under one rule, --rule; under several: nobackprop "
                            "compare --rules bp,las\n",
    **{f"{command} {option}": f"nobackprop {command}: error: argument {option.split()[0]}: got "
       f"'{option.split()[1]}', expected one value; this tries several: nobackprop sweep FILE.toml "
       for command in ("compare", "train") for option in ("--lr 1e-4,1e-3", "--epochs 1,2", "--weight-decay 0,0.1",
                                                          "--optimizer adam,sgd", "--loss squared,cross_entropy")},
    "compare --lr 1e-4,fast": f"{COMPARE}--lr: got '1e-4,fast', expected a number above 0",
    "plot": "nobackprop plot: error: the following arguments are required: results.json",
    "plot nothing.json": "nobackprop: cannot read nothing.json: No such file or directory, expected a results.json",
    "plot full": "nobackprop: cannot read full: Is a directory",
    "plot file": "nobackprop: file is not JSON, expected a results.json: ",
    "plot full/results.json": "nobackprop: full/results.json: the key 'config' is missing",
    "plot file --out=": "nobackprop: got '', expected the name of a file or a folder\n",
    "train --out=": "nobackprop: got '', expected the name of a file or a folder\n",
    "train --data mnist --data-dir=": "nobackprop: got '', expected the name of a file or a folder\n",
    "memory --figure=": "nobackprop: got '', expected the name of a file or a folder\n",
    "plot nothing.json --out a.jpg": "nobackprop: cannot draw to 'a.jpg': expected a name that ends in .png",
    "plot .": "nobackprop: cannot read .: Is a directory",
    "plot ..": "nobackprop: cannot read ..: Is a directory",
    "plot /": "nobackprop: cannot read /: Is a directory",
    "memory --model mlp:8 --data digits --batch-size 9999999999999999":
        "nobackprop: batch size 9999999999999999 has 639,999,999,999,999,936 inputs or more, expected at most ",
    "bench --model mlp:8 --batch-size 9999999999999999":
        "nobackprop: batch size 9999999999999999 has 7,839,999,999,999,999,216 inputs or more, expected at most ",
    "bench --model mlp:999999999999": "nobackprop: model 'mlp:999999999999' has 783,999,999,999,216 parameters or more",
    "bench --steps 0": "nobackprop bench: error: argument --steps: got '0', expected an integer from 1 on",
    "bench --model mpl:8": "nobackprop: unknown model 'mpl': did you mean 'mlp'?",
}


@pytest.mark.slow
@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_sentence_and_leaves_nothing(command, place, line):
    (place / "file").touch()
    (place / "full").mkdir()
    (place / "full" / "results.json").write_text("{}")
    before = everything(place)
    code, out, err = command(*line.split())
    assert (code, out) == (2, "")
    assert err.startswith(MISTAKES[line]) and err.endswith("\n") and err.count("\n") == 1
    assert everything(place) == before


def test_a_newline_in_what_was_typed_breaks_no_sentence(command):
    for argv in (["compare", "--data", "a\nb"], ["compare", "--lr", "a\nb"]):
        code, out, err = command(*argv)
        assert (code, out, err.count("\n")) == (2, "", 1) and "a\\nb" in err


def test_a_sentence_is_one_that_a_terminal_can_show(command):
    code, out, err = command("compare", "--data", "\x1b[2J\udcff" + "x" * 200 + " y")
    assert (code, out) == (2, "") and err.startswith("nobackprop: unknown data set '\\x1b[2J\\udcffxxx")
    assert "x..." in err and max(map(len, err.split())) <= 90


def test_too_little_memory_is_a_sentence(command, monkeypatch):
    def fail(*args, **kwargs):
        raise MemoryError("Unable to allocate 1 TiB")
    monkeypatch.setattr("nobackprop.experiments.compare.load", fail)
    assert command("train", *TINY) == (1, "", "nobackprop: out of memory: Unable to allocate 1 TiB\n")


@pytest.mark.slow
@pytest.mark.parametrize("argv, expected", [
    ([], 0),
    (["models"], 0),
    (["compare", "--lr", "0"], 2),
    (["compare", "--data", "digit"], 2),
])
def test_exit_codes_of_the_process(argv, expected):
    child = process(*argv)
    out, err = child.communicate()
    assert child.returncode == expected
    assert (err.count("\n"), out) == (1, "") if expected else (err == "" and out)


def test_an_unexpected_exception_is_not_hidden(monkeypatch):
    monkeypatch.setattr(learn.Run, "test", lambda run: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["train", *TINY])


@pytest.mark.slow
def test_a_reader_who_goes_away_is_no_error():
    child = process("rules")
    child.stdout.close()
    assert child.stderr.read() == ""
    child.stderr.close()
    assert child.wait() == 1


# ---------------------------------------------------------------- stdin, stdout or stderr closed or full

posix = pytest.mark.skipif(os.name != "posix" or not Path("/dev/full").exists(), reason="no shell, or no /dev/full")
LIST = ["rules"]
HELP = ["compare", "--help"]
MISTAKE = ["rules", "bp"]
RUN = ["train", *TINY, "--out", "o"]
PLOT = ["plot", "stored.json"]
CANNOT = "nobackprop: cannot write to standard output ({}): expected a terminal, a pipe or a file with room\n"
BENCH = ["bench", "--model", "mlp:8", "--data", "digits", "--steps", "1", "--threads", "1"]


def redirected(how: str, *argvs: list[str], unbuffered: str = "") -> tuple[list[int], int, str, str]:
    """Exit codes of these command lines, one after another in one process; its own code, stdout and stderr."""
    script = ("import json, pathlib, sys; from nobackprop.cli import main; "
              "codes = [main(argv) for argv in json.loads(sys.argv[1])]; "
              "pathlib.Path('codes').write_text(json.dumps(codes)); sys.exit(codes[-1])")
    done = subprocess.run(["sh", "-c", f'exec "$0" "$@" {how}', sys.executable, "-W", "error", "-c", script,
                           json.dumps(argvs)], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": ROOT, "OPENBLAS_NUM_THREADS": "1",
                                            "PYTHONUNBUFFERED": unbuffered})
    return json.loads(Path("codes").read_text()), done.returncode, done.stdout, done.stderr


@pytest.fixture
def stored(place):
    """A results.json and a picture that is out of date."""
    record = {"epoch": 1, "train_loss": 1.0, "validation_accuracy": 0.5, "alignment": [], "alignment_at_a": []}
    run = {"rule": "bp", "seed": 0, "seconds": 1.0, "test_accuracy": 0.5, "history": [record]}
    (place / "stored.json").write_text(json.dumps({"config": {"data": "digits", "model": "mlp"}, "runs": [run]}))


@pytest.mark.slow
@posix
@pytest.mark.parametrize("how", ["2>/dev/full", "<&- 2>&-", *(
    pytest.param(how, marks=pytest.mark.slow) for how in ("2>&-", "<&-"))])
def test_without_stderr_or_stdin_all_is_done_quietly(stored, place, how):
    codes, code, out, err = redirected(how, LIST, HELP, MISTAKE, RUN, PLOT, BENCH, ["papers"])
    assert codes == [0, 0, 2, 0, 0, 0, 0] and code == 0
    assert out.count("wrote o/results.json and o/figure.png\n") == 1 and "usage: " in out and "GFLOP" in out
    told = "nobackprop rules: error: unexpected argument 'bp'\nlas seed 0 (1 of 1) ... 0."
    assert err == "" if "2" in how else err.startswith(told) and err.count("\n") == 2
    results.read("o/results.json")
    assert Path("o/figure.png").read_bytes()[:4] == Path("figure.png").read_bytes()[:4] == b"\x89PNG"
    assert everything(place) == ["codes", "figure.png", "o", "o/figure.png", "o/results.json", "stored.json"]


@pytest.mark.slow
@posix
@pytest.mark.parametrize("how", [">&-", ">&- 2>&-", ">&- <&-"])
def test_without_stdout_nothing_is_begun(stored, place, how):
    codes, code, out, err = redirected(how, LIST, HELP, RUN, PLOT, BENCH)
    assert codes == [2] * 5 and code == 2 and out == ""
    assert err == ("" if "2" in how else CANNOT.format("Bad file descriptor") * 5)
    assert everything(place) == ["codes", "stored.json"]


@pytest.mark.slow
@posix
@pytest.mark.parametrize("argv, errors, unbuffered, made", [
    (LIST, "", "", []), (LIST, "", "1", []), (LIST, "2>/dev/full", "", []), (HELP, "", "", []),
    (["--version"], "", "", []), (PLOT, "", "", ["figure.png"]), (RUN, "", "", []), (RUN, "", "1", [])])
def test_a_full_stdout_is_one_sentence_and_no_training(stored, place, argv, errors, unbuffered, made):
    codes, code, out, err = redirected(f">/dev/full {errors}", argv, unbuffered=unbuffered)
    assert codes == [2] and code == 2 and out == ""
    assert err == ("" if errors else CANNOT.format("No space left on device"))
    assert everything(place) == sorted(["codes", "stored.json", *made])


class Filling(io.StringIO):
    """Stdout on a disk that is full after so many lines."""

    def __init__(self, lines: int, descriptor: int):
        super().__init__()
        self.lines, self.descriptor = lines, descriptor

    def write(self, text: str) -> int:
        if self.lines <= self.getvalue().count("\n"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)

    def fileno(self) -> int:
        return self.descriptor


@pytest.mark.slow
@pytest.mark.parametrize("lines", [0, 1, 18, 21])  # no line, one, all settings, all but the end of the table
def test_a_stdout_that_fills_up_costs_nothing_that_was_measured(place, monkeypatch, capsys, lines):
    with (place / "there").open("w") as there, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Filling(lines, there.fileno()))
        assert cli.main(RUN) == 2
    *_, err = capsys.readouterr().err.splitlines()
    assert err.startswith("nobackprop: cannot write to standard output (No space left on device)")
    assert Path("o").exists() == (lines > 1)
    if lines > 1:
        results.read("o/results.json")


@pytest.mark.slow
@posix
def test_a_closed_descriptor_is_given_to_no_file(place):
    """Without stderr the next file that is opened would have its number, and warnings would go into it."""
    script = ("import os, sys; from nobackprop.cli import main; main(['rules']); file = open('file', 'w'); "
              "print(file.fileno() > 2, flush=True); os.write(2, b'for stderr')")
    done = subprocess.run(["sh", "-c", 'exec "$0" "$@" <&- 2>&-', sys.executable, "-c", script],
                          env=os.environ | {"PYTHONPATH": ROOT}, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True" and (place / "file").read_text() == ""


# ---------------------------------------------------------------- runs


def test_compare_prints_settings_table_and_paths_and_draws(command):
    code, out, err = command("compare", *TINY, "--rules", "bp,las", "--model", "mlp:8,8")
    assert code == 0
    settings, table, paths = re.split(r"\n\ntest accuracy(?:.*\n)+?\n|\n\n", out)
    assert "rules         bp, las\nseeds         0\nmodel         mlp:8,8\n" in settings
    assert settings.endswith("out           runs/digits-001")
    head, bp, las = table.splitlines()
    assert head.split() == ["rule", "test", "accuracy", "training", "loss", "delta_1", "delta_2", "s/run"]
    assert bp.split()[0] == "bp" and bp.split()[5:7] == ["1.000", "1.000"]
    assert las.split()[0] == "las" and re.fullmatch(r"0\.\d{4}", las.split()[1])
    assert paths == "wrote runs/digits-001/results.json and runs/digits-001/figure.png\n"
    assert re.fullmatch(r"bp seed 0 \(1 of 2\) \.\.\. 0\.\d{4}, loss \S+ in \d+\.\d s, \d\d:\d\d left\n"
                        r"las seed 0 \(2 of 2\) \.\.\. 0\.\d{4}, loss \S+ in \d+\.\d s\n", err)
    assert Path("runs/digits-001/figure.png").read_bytes().startswith(b"\x89PNG")
    assert everything(Path("runs/digits-001")) == ["figure.png", "results.json"]


@pytest.mark.slow
def test_train_is_a_comparison_of_one_rule(command):
    code, _, err = command("train", *TINY, "--out", "here")
    assert code == 0 and err.startswith("las seed 0 (1 of 1) ... ")
    assert command("train", *TINY, "--rule", "fa", "--out", "there")[0] == 0
    here, there = (json.loads(Path(out, "results.json").read_text()) for out in ("here", "there"))
    assert here["config"]["rules"] == ["las"] and [run["rule"] for run in here["runs"]] == ["las"]
    assert there["config"]["rules"] == ["fa"] and [run["rule"] for run in there["runs"]] == ["fa"]


@pytest.mark.slow
def test_everything_typed_arrives(command):
    line = ("compare --rules bp --model mlp:4 --activation tanh --loss squared --epochs 2 --batch-size 100 "
            "--optimizer momentum --lr 0.02 --schedule cosine --weight-decay 0.01 --dtype float64 --seeds 3,5 "
            "--threads 2 --device cpu --out o")
    assert command(*line.split())[0] == 0
    config = json.loads(Path("o", "results.json").read_text())["config"]
    typed = {
        "data": "digits", "rules": ["bp"], "seeds": [3, 5], "model": "mlp:4", "activation": "tanh", "loss": "squared",
        "epochs": 2, "batch_size": 100, "optimizer": "momentum", "lr": 0.02, "schedule": "cosine",
        "weight_decay": 0.01, "augment": "", "dtype": "float64", "device": "cpu", "threads": 2, "rule_settings": {},
    }
    # a further setting has its default
    assert {key: config[key] for key in typed} == typed
    assert config.keys() - typed.keys() <= set(NAMES)


@pytest.mark.slow
def test_plot_draws_again_from_the_file_alone(command):
    assert command("train", *TINY, "--out", "o")[0] == 0
    first = Path("o/figure.png").read_bytes()
    Path("o/figure.png").write_text("old")
    assert command("plot", "o/results.json") == (0, "wrote o/figure.png\n", "")
    assert Path("o/figure.png").read_bytes() == first
    for ending, start in ((".svg", b"<?xml"), (".pdf", b"%PDF"), (".PNG", b"\x89PNG")):
        assert command("plot", "o/results.json", "--out", f"other{ending}")[0] == 0
        assert Path(f"other{ending}").read_bytes().startswith(start)
    code, out, err = command("plot", "o/results.json", "--out", "nowhere/figure.png")
    assert (code, out) == (2, "")
    assert err.startswith("nobackprop: cannot write nowhere/figure.png (No such file or directory)")
    assert everything(Path("o")) == ["figure.png", "results.json"]


# ---------------------------------------------------------------- stopping


def stopping(monkeypatch, after: int, error: BaseException):
    """Make the epoch after so many raise, in place of being trained."""
    epoch, left = learn.Run.epoch, iter(range(after))

    def stop(run):
        if next(left, None) is None:
            raise error
        return epoch(run)

    monkeypatch.setattr(learn.Run, "epoch", stop)


SHORT = ["compare", "--rules", "bp,fa", "--model", "mlp:8", "--epochs", "2", "--seeds", "0,1"]


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_measured(command, monkeypatch):
    stopping(monkeypatch, 3, KeyboardInterrupt())
    code, out, err = command(*SHORT, "--order", "rules")
    assert code == 130 and err.splitlines()[-1] == "bp seed 1 (2 of 4) ... stopped"
    assert out.endswith("\nwrote runs/digits-001/results.json and runs/digits-001/figure.png\n"
                        "interrupted: 1 of 4 runs ended, bp seed 1 at epoch 1; go on with: "
                        "nobackprop compare --resume runs/digits-001\n")
    results = json.loads(Path("runs/digits-001/results.json").read_text())
    assert results["config"]["interrupted"] is True
    whole, part = results["runs"]
    assert len(whole["history"]) == 2 and 0 < whole["test_accuracy"] < 1
    assert len(part["history"]) == 1 and part["test_accuracy"] is None and part["seconds"] > 0
    assert command("plot", "runs/digits-001/results.json")[0] == 0


def test_ctrl_c_before_the_first_epoch_leaves_nothing(command, monkeypatch, place):
    stopping(monkeypatch, 0, KeyboardInterrupt())
    code, out, err = command(*SHORT)
    assert (code, err) == (130, "bp seed 0 (1 of 4) ... stopped\n")
    assert out.endswith("\ninterrupted after less than one epoch; wrote nothing\n")
    (place / "empty").mkdir()
    assert command(*SHORT, "--out", "empty")[0] == 130
    assert everything(place) == ["empty"]


def test_ctrl_c_before_the_run_is_said(command, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt
    monkeypatch.setattr("nobackprop.experiments.compare.load", stop)
    assert command(*SHORT) == (130, "", "nobackprop: interrupted\n")


@pytest.mark.slow
def test_a_diverged_run_costs_no_other(command, monkeypatch):
    """It is that of fa with the first seed, after its first epoch."""
    epoch = learn.Run.epoch

    def leave(run):
        if (run.name, run.seed, len(run.history)) == ("fa", 0, 1):
            raise learn.Diverged("the loss left")
        return epoch(run)

    monkeypatch.setattr(learn.Run, "epoch", leave)
    code, out, err = command(*SHORT)
    assert code == 2 and err.splitlines()[-1] == "nobackprop: the loss left"
    assert "\n\ndiverged, and in no mean: the loss left\n\nwrote runs/digits-001/results.json and " in out
    found = results.read("runs/digits-001/results.json")
    assert [(run["rule"], run["seed"], len(run["history"]), run.get("diverged")) for run in found["runs"]] == [
        ("bp", 0, 2, None), ("bp", 1, 2, None), ("fa", 0, 1, "the loss left"), ("fa", 1, 2, None)]
    assert not {"diverged", "interrupted"} & set(found["config"]) and found["runs"][2]["test_accuracy"] is None
    # it has ended: it is not run again, and the exit code stays what it was
    assert command("compare", "--resume", "runs/digits-001")[0] == 2
    assert results.read("runs/digits-001/results.json") == found


def test_a_run_that_really_diverges_is_one_sentence(command, place):
    code, out, err = command("compare", *TINY, "--rules", "bp,fa", "--optimizer", "sgd", "--lr", "1e30", "--out", "o")
    bp, fa, last = err.splitlines()
    assert bp.startswith("bp seed 0 (1 of 2) ... diverged in ") and fa.startswith("fa seed 0 (2 of 2) ... diverged in ")
    assert last.startswith("nobackprop: rule bp, seed 0: the training loss became ") and code == 2
    assert last.endswith(" (and 1 more of the runs diverged)") and everything(place) == ["o", "o/results.json"]
    assert [line.split() for line in out.splitlines() if line.startswith(("bp", "fa"))] == [
        [rule, "diverged", "-", "-"] for rule in ("bp", "fa")]
    assert out.count("diverged, and in no mean: rule ") == 2 and out.endswith("\nwrote o/results.json\n")
    assert command("plot", "o/results.json") == (
        2, "", "nobackprop: there is no run to draw: expected one at least that did not diverge\n")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals on this system")
def test_a_real_ctrl_c_in_a_terminal(place):
    """The bar on the terminal tells when an epoch is finished, so that nothing here depends on the clock."""
    import termios

    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    child = process("compare", *TINY, "--epochs", "100000", "--rules", "bp", "--out", "o", stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while not re.search(rb"bp seed 0.* [1-9]\d*/100000", shown):
            shown += os.read(ours, 1000)
        child.send_signal(signal.SIGINT)
        # a terminal that nobody reads would fill up
        try:
            while shown:
                shown = os.read(ours, 1000)
        except OSError:
            pass
        out = child.stdout.read()
        assert child.wait() == 130
    finally:
        child.kill()
        child.stdout.close()
        child.wait()
        os.close(ours)
    results = json.loads((place / "o" / "results.json").read_text())
    run, = results["runs"]
    assert results["config"]["interrupted"] is True and run["test_accuracy"] is None
    assert [record["epoch"] for record in run["history"]] == list(range(1, len(run["history"]) + 1))
    assert out.endswith(f"wrote o/results.json and o/figure.png\ninterrupted: 0 of 1 runs ended, bp seed 0 at epoch "
                        f"{len(run['history'])}; go on with: nobackprop compare --resume o\n")
    assert everything(place / "o") == ["figure.png", "results.json"]


@pytest.mark.slow
def test_a_real_ctrl_c_without_a_terminal(place):
    seeds = ",".join(map(str, range(5000)))
    child = process("compare", *TINY[:-2], "--seeds", seeds, "--rules", "bp", "--out", "o")
    first = child.stderr.readline()
    child.send_signal(signal.SIGINT)
    out, err = child.communicate()
    told = re.fullmatch(r"bp seed 0 \(1 of 5000\) \.\.\. (0\.\d{4}), loss .* left\n", first)
    assert told and "Traceback" not in err
    assert child.returncode == 130 and re.search(r"\ninterrupted: \d+ of 5000 runs ended", out)
    results = json.loads((place / "o" / "results.json").read_text())
    assert results["config"]["interrupted"] is True
    assert results["runs"][0]["test_accuracy"] == pytest.approx(float(told[1]), abs=1e-4)


# ---------------------------------------------------------------- commands that others answer


def test_equations_asks_for_what_was_typed(command, monkeypatch):
    module = SimpleNamespace(show=lambda paper, number: f"{paper} {number}")
    monkeypatch.setitem(sys.modules, "nobackprop.studies.equations", module)
    assert command("equations") == (0, "None None\n", "")
    assert command("equations", "LAS") == (0, "LAS None\n", "")
    assert command("equations", "LAS", "24") == (0, "LAS 24\n", "")


@pytest.fixture
def bench(monkeypatch) -> ModuleType:
    """A bench that measures nothing and gives back what it was asked for."""
    from nobackprop.studies.speed import bench

    monkeypatch.setattr(bench, "measure", lambda **asked: asked | {"share": float("nan")})
    monkeypatch.setattr(bench, "describe", lambda result: f"step of {result['model']}")
    return bench


def test_bench_asks_for_what_was_typed(command, bench):
    line = "bench --model mlp:4 --data xor --rule fa --batch-size 7 --optimizer sgd --steps 3 --threads 2"
    assert command(*line.split()) == (0, "step of mlp:4\n", "")
    code, out, _ = command(*line.split(), "--json")
    assert code == 0 and json.loads(out, parse_constant=pytest.fail) == {
        "model": "mlp:4", "data": "xor", "rule": "fa", "batch_size": 7, "optimizer": "sgd", "device": "cpu",
        "threads": 2, "steps": 3, "against": None, "convolution": "fast", "share": None}


def test_bench_alone_measures_the_large_network(command, bench):
    _, out, _ = command("bench", "--json")
    assert json.loads(out) == {
        "model": "mlp:1024,1024", "data": "mnist", "rule": "bp", "batch_size": 64, "optimizer": "adam",
        "device": "cpu", "threads": None, "steps": None, "against": None, "convolution": "fast", "share": None}
