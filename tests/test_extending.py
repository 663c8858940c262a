"""docs/extending.md keeps its word: what it shows makes an activation and a layer, with no other change."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "extending.md"


def section(title: str) -> str:
    """One section of the page."""
    whole = PAGE.read_text(encoding="utf-8")
    return re.split(r"^## ", whole.partition(f"\n## {title}\n")[2], flags=re.MULTILINE)[0]


def diffs(title: str) -> list[tuple[str, str]]:
    """The file and the lines of every diff in a section, in order."""
    return re.findall(r"^In `([^`]+)`[^`]*?(?:`[^`\n]+`[^`]*?)*\n\n```diff\n(.*?)^```$", section(title),
                      re.MULTILINE | re.DOTALL)


def apply(file: Path, diff: str) -> None:
    """Put each new line after the line before it; the lines that are there already must be found in their order."""
    lines, place = file.read_text(encoding="utf-8").splitlines(), -1
    for line in diff.splitlines():
        sign, text = line[:1], line[1:]
        if sign == "+":
            place += 1
            lines.insert(place, text)
        else:
            assert sign == " " and text in lines[place + 1:], f"the page's diff has lost its place: {line}"
            place = lines.index(text, place + 1)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the repository in which somebody has done what the page says and nothing else."""
    root = tmp_path_factory.mktemp("checkout")
    for folder in ("nobackprop", "tests"):
        # with what is compiled, but for what another process is just writing
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("*.pyc.*"))
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    for title in ("An activation", "A layer"):
        for file, diff in diffs(title):
            apply(root / file, diff)
    return root


def python(root: Path, *argv: str) -> str:
    # that the tests hold here, too, is the point, and not how many examples they draw
    environment = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root / 'tests'}", "OPENBLAS_NUM_THREADS": "1",
                                "HYPOTHESIS_PROFILE": "fast"}
    done = subprocess.run([sys.executable, *argv], cwd=root, env=environment, capture_output=True, text=True,
                          timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def passed(out: str) -> int:
    """How many tests pytest says that it has passed."""
    return int(re.findall(r"(\d+) passed", out)[-1])


@pytest.mark.parametrize("title, files", [
    ("An activation", ["nobackprop/kernels/activation.py", "tests/test_kernels.py"]),
    ("A layer", ["nobackprop/layers.py", "tests/test_layers.py"])])
def test_a_section_shows_all_files_that_it_touches(title, files):
    found = diffs(title)
    assert sorted({file for file, _ in found}) == files
    assert len(found) == section(title).count("```diff")


@pytest.mark.slow
def test_the_librarys_own_tests_pass_with_the_activation(checkout):
    out = python(checkout, "-m", "pytest", "-p", "no:cacheprovider", "tests/test_kernels.py", "tests/test_layers.py",
                 "tests/test_interop_torch.py", "nobackprop/kernels/activation.py",
                 "-k", "mish or activations_are_what or every_layer or doctest")
    assert passed(out) > 30


@pytest.mark.slow
def test_the_librarys_own_tests_pass_with_the_layer(checkout):
    out = python(checkout, "-m", "pytest", "-p", "no:cacheprovider", "tests/test_layers.py", "nobackprop/layers.py",
                 "-k", "rmsnorm or every_layer or RMSNorm")
    assert passed(out) > 15


@pytest.mark.slow
def test_the_tests_find_what_is_left_out(checkout, tmp_path):
    """Without `keep` the layer fails, and without an entry in the tests each of the two does."""
    root = tmp_path / "checkout"
    shutil.copytree(checkout, root)
    layers = root / "nobackprop" / "layers.py"
    whole, start = layers.read_text(encoding="utf-8"), layers.read_text(encoding="utf-8").index("class RMSNorm")
    own, without = "return what.within(cache), index", "return cache, index"
    layers.write_text(whole[:start] + whole[start:].replace(own, without, 1))
    kernels = root / "tests" / "test_kernels.py"
    kernels.write_text("".join(line for line in kernels.read_text().splitlines(True) if '"mish": host' not in line))
    environment = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root / 'tests'}"}
    done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/test_layers.py",
                           "tests/test_kernels.py", "-k", "(rmsnorm and says_of_every) or activations_are_what"],
                          cwd=root, env=environment, capture_output=True, text=True, timeout=300)
    failed = re.findall(r"^FAILED (\S+)", done.stdout, re.MULTILINE)
    assert {name.partition("[")[0].partition("::")[2] for name in failed} == {
        "test_a_layer_says_of_every_array_in_its_cache_what_it_is", "test_activations_are_what_their_names_say"}


@pytest.mark.slow
def test_the_command_line_knows_the_activation(checkout):
    table = python(checkout, "-m", "nobackprop", "train", "--rule", "asap", "--activation", "mish", "--model",
                   "conv-small:0.25", "--epochs", "1", "--seeds", "0", "--out", "out")
    assert "asap" in table
    assert "mish" in python(checkout, "-m", "nobackprop", "train", "--help")


@pytest.mark.slow
def test_the_layer_learns_in_a_network(checkout):
    code = re.findall(r"^```python\n(.*?)^```$", section("A layer"), re.MULTILINE | re.DOTALL)[0]
    (checkout / "run.py").write_text(code)
    assert python(checkout, "run.py") == "True\n"
