"""docs/extending.md keeps its word: its changes add a data set, a metric, a loss and an option, and are enough."""
from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nobackprop.experiments import plots, results

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = {"A data set": ["nobackprop/data/sources.py"],
         "A metric": ["nobackprop/metrics.py", "tests/test_weight_size.py"],
         "A loss": ["nobackprop/kernels/loss.py"],
         "An option": ["nobackprop/settings.py", "nobackprop/learn.py"]}


def section(title: str) -> str:
    """What the page says under a heading."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def files(text: str) -> dict[str, str]:
    """The changes, and the whole new files, by the names of the files that they are for."""
    changed = {block.partition("\n")[0].removeprefix("+++ "): block for block in blocks("diff", text)}
    named = re.findall(r"`(tests/\S+\.py)`:\n\n```python\n", text)
    return changed | dict(zip(named, blocks("python", text), strict=True))


def applied(change: str, text: str) -> str:
    """A file's text after a change, whose every part must fit in one place."""
    for part in change.partition("@@\n")[2].split("@@\n"):
        before, after = ("".join(line[1:] for line in part.splitlines(keepends=True) if line[0] in signs)
                         for signs in (" -", " +"))
        assert text.count(before) == 1, f"the page has lost its place: {before}"
        text = text.replace(before, after)
    return text


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of package and tests, in which somebody has done what the page says and nothing else."""
    root = tmp_path_factory.mktemp("checkout")
    for folder in ("nobackprop", "tests", "docs"):
        # with what is compiled, but for what another process is just writing
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("*.pyc.*", "*.png"))
    shutil.copy(ROOT / "setup.cfg", root)
    for name, content in files("".join(map(section, FILES))).items():
        path = root / name
        path.write_text(applied(content, path.read_text(encoding="utf-8")) if path.exists() else content,
                        encoding="utf-8")
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    rows = np.column_stack([rng.standard_normal((60, 4)) + y[:, None], y])
    np.savetxt(root / "flowers.csv", rows, delimiter=",", header="a,b,c,d,class", fmt="%.4f")
    return root


def python(root: Path, *argv: str) -> str:
    # that the tests hold here, too, is the point, and not how many examples they draw
    environment = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root / 'tests'}", "OPENBLAS_NUM_THREADS": "1",
                                "HYPOTHESIS_PROFILE": "fast"}
    done = subprocess.run([sys.executable, "-W", "error", *argv], cwd=root, env=environment, capture_output=True,
                          text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commands(root: Path, *argvs: tuple[str, ...]) -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of each of these command lines, one after another in one process."""
    script = ("import contextlib, io, json, sys; from nobackprop.cli import main; answers = []\n"
              "for argv in json.loads(sys.argv[1]):\n"
              "    with (contextlib.redirect_stdout(io.StringIO()) as out,\n"
              "          contextlib.redirect_stderr(io.StringIO()) as err):\n"
              "        code = main(argv)\n"
              "    answers.append((code, out.getvalue(), err.getvalue()))\n"
              "print(json.dumps(answers))")
    return list(map(tuple, json.loads(python(root, "-c", script, json.dumps(argvs)))))


TRAIN = ("train", "--data", "flowers", "--data-dir", ".", "--epochs", "2", "--seeds", "0")


@pytest.mark.parametrize("title", FILES)
def test_the_page_counts_its_files(title):
    assert list(files(section(title))) == FILES[title]
    row = re.search(rf"^\| {title.lower()} \| (\d) \|", PAGE, re.MULTILINE)
    assert row and int(row[1]) == len(FILES[title])


@pytest.mark.slow
def test_all_of_it_works_from_the_command_line(checkout):
    (done, _, told), (_, said, _), (_, listed, _) = commands(
        checkout, (*TRAIN, "--loss", "pseudo_huber", "--smoothing", "0.1", "--out", "out"), ("train", "--help"),
        ("datasets",))
    assert done == 0, told
    stored = json.loads((checkout / "out" / "results.json").read_text())
    config, (run,) = stored["config"], stored["runs"]
    assert (config["data"], config["model"]) == ("flowers", "mlp:16,16")
    assert (config["loss"], config["smoothing"]) == ("pseudo_huber", 0.1)
    assert [list(record)[-1] for record in run["history"]] == ["weight_size"] * 2
    assert all(record["weight_size"] > 0 for record in run["history"])
    assert "pseudo_huber" in said and "--smoothing X" in said
    assert "flowers" in listed


@pytest.mark.slow
def test_results_are_read_by_the_library_without_it_and_the_other_way_round(checkout):
    there, new = commands(checkout, (*TRAIN, "--loss", "pseudo_huber", "--out", "there"),
                          ("plot", str(ROOT / "docs" / "results" / "digits.json"), "--out", "new.png"))
    assert there[0] == new[0] == 0, there[2] + new[2]
    plots.save(results.read(checkout / "there" / "results.json"), checkout / "old.png")


@pytest.mark.slow
def test_mistakes_that_need_no_data_are_told_before_it_is_read(checkout):
    wrong = {
        "--optimizer adm": "unknown optimizer 'adm'",
        "--loss huber": "unknown loss 'huber': did you mean 'pseudo_huber'?",
        "--model mpl:8": "unknown model 'mpl'",
        "--activation rely": "unknown activation 'rely'",
        "": "cannot read nowhere/flowers.csv",
        "--smoothing=-1": "got '-1', expected a number from 0 on",
    }
    answers = commands(checkout, *((*TRAIN, "--data-dir", "nowhere", *line.split()) for line in wrong))
    for (code, _, said), sentence in zip(answers, wrong.values(), strict=True):
        assert code == 2 and sentence in said and said.count("\n") == 1, said


@pytest.mark.slow
def test_a_model_that_cannot_take_the_samples_is_refused_after_they_are_read(checkout):
    (code, _, said), (good, _, _) = commands(checkout, (*TRAIN, "--model", "conv3", "--out", "of-con"),
                                             (*TRAIN, "--model", "mlp:8", "--out", "of-mlp"))
    assert code == 2 and "expected images" in said
    assert good == 0


@pytest.mark.slow
def test_a_shape_that_is_not_known_cannot_be_measured(checkout):
    for code, _, said in commands(checkout, ("bench", "--data", "flowers"), ("memory", "--data", "flowers")):
        assert code == 2 and "has a shape only after it is loaded" in said and said.count("\n") == 1


@pytest.mark.slow
def test_what_holds_of_all_holds_of_these(checkout):
    """The tests of losses, data sets, settings, records and stored results, and the page's own, in the copy."""
    python(checkout, "-m", "pytest", "-p", "no:cacheprovider", "tests/test_weight_size.py", "tests/test_compare.py",
           "tests/test_learn.py", "tests/test_numbers.py", "--doctest-modules", "nobackprop/kernels/loss.py",
           "nobackprop/data/sources.py", "nobackprop/metrics.py", "nobackprop/settings.py")
    python(checkout, "-m", "pytest", "-p", "no:cacheprovider", "tests/test_kernels.py", "tests/test_cli.py",
           "tests/test_data.py", "tests/test_torch_twin.py", "-k", "loss or targets or option or typed or registry")
