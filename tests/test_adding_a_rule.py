"""docs/adding-a-rule.md keeps its word: its file and its two lines make a rule, and it names all that tests ask for."""
from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import test_golden
import test_rules
from hypothesis import Phase, settings
from networks import Case
from tolerance import assert_close

import nobackprop as nb
from nobackprop import cli
from nobackprop.rules import RULES
from nobackprop.tree import leaves

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "adding-a-rule.md"
NAME, FILE = "block-dfa", "block_direct_feedback"
# `make field` without the times of all rules' steps, which take longest, and of which no test asks anything
UNTIMED = "import sys; from nobackprop.studies import field; field.times = dict; field.main(sys.argv[1:])"


def blocks(language: str) -> list[str]:
    """The page's fenced code of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def run_block(number: int, name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """One of the page's Python blocks as the module of that name, as long as the test lasts."""
    module = ModuleType(name)
    module.__package__ = name.rpartition(".")[0]
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(blocks("python")[number], f"{PAGE.name}, block {number}", "exec"), vars(module))
    return module


@pytest.fixture
def BlockDFA(monkeypatch):
    """The page's rule, on the list while the test lasts."""
    rule = run_block(0, f"nobackprop.rules.{FILE}", monkeypatch).BlockDFA
    monkeypatch.setitem(RULES, NAME, rule())
    return rule


def over_every_rule():
    """(test, its other parameters) of all that tests/test_rules.py asks of every rule on the list."""
    for name, test in vars(test_rules).items():
        lists = {mark.args[0]: mark.args[1] for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"}
        if lists.pop("name", None) is RULES:
            for values in product(*lists.values()):
                yield pytest.param(test, dict(zip(lists, values)), id="-".join(map(str, (name, *values))))


def test_there_are_tests_over_every_rule():
    assert len(list(over_every_rule())) >= 8


@pytest.mark.parametrize("test, values", list(over_every_rule()))
def test_what_holds_of_every_rule_holds_of_it(test, values, BlockDFA, request):
    fixtures = {name: request.getfixturevalue(name) for name in inspect.signature(test).parameters
                if name not in {"name", *values}}
    test(name=NAME, **values, **fixtures)


def test_what_each_block_hears(BlockDFA):
    """Of three hidden blocks with every = 2 the middle one hears the error itself."""
    case = Case(BlockDFA(), 0)
    tape, direct, grads = case.tape(), case.state["direct"], case.grads()
    down = [block[0]["W"] for block in case.state["down"][:-1]] + [case.state["down"][-1]["W"]]
    assert [b is None for b in direct] == [True, False, True]
    e = case.net.error(tape.output, case.y)
    delta_2 = (e @ down[3]) * (1 - tape.h[3]**2)                                   # LAS (11)
    delta_1 = (e @ direct[1]) * (1 - tape.h[2]**2)                                 # LAS (16)
    delta_0 = (delta_1 @ down[1]) * (1 - tape.h[1]**2)                             # LAS (11)
    for i, delta in enumerate((delta_0, delta_1, delta_2)):
        assert_close(grads[i][0]["W"], delta.T @ tape.h[i])                        # LAS (12), (17)
        assert_close(grads[i][0]["b"], delta.sum(0), of=delta)                     # LAS (13), (18)


def test_the_theorem_on_the_page_holds(BlockDFA, monkeypatch):
    theorem = run_block(1, "theorem_on_the_page", monkeypatch)
    theorem.test_it_is_dfa_where_every_block_hears_and_fa_where_none_does()


@pytest.mark.slow
@pytest.mark.parametrize("wrong, right", [("(last - i) % self.every", "i % self.every"),
                                          ('with_feedback(params, B["down"])', "params")])
def test_the_theorem_on_the_page_can_fail(wrong, right, monkeypatch):
    whole = blocks("python")
    assert wrong in whole[0]
    monkeypatch.setattr(sys.modules[__name__], "blocks", lambda language: [whole[0].replace(wrong, right), whole[1]])
    run_block(0, f"nobackprop.rules.{FILE}", monkeypatch)
    theorem = run_block(1, "theorem_on_the_page", monkeypatch)
    # the first example that fails is enough
    quick = settings(phases=[Phase.generate], database=None)(
        theorem.test_it_is_dfa_where_every_block_hears_and_fa_where_none_does)
    with pytest.raises(AssertionError):
        quick()


@pytest.mark.slow
def test_it_learns_what_shallow_learning_does_not(BlockDFA):
    data = nb.data.load("xor")
    net = nb.models.build("mlp:64,64,64", data.shape, data.classes, "tanh")
    reached = {name: nb.fit(net, RULES[name], data, nb.Settings(epochs=30)).history[-1]["validation_accuracy"]
               for name in (NAME, "shallow")}
    assert reached[NAME] > reached["shallow"] + 0.2
    assert reached[NAME] > 0.75


def test_its_loss_falls_on_the_golden_batch(BlockDFA):
    curve = test_golden.curve(NAME)
    assert curve[-1] < 0.95 * curve[0]


@pytest.mark.slow
def test_the_command_line_knows_it(BlockDFA, tmp_path, capsys):
    assert cli.main(["rules"]) == 0
    assert f"{NAME}  " in capsys.readouterr().out
    out = tmp_path / "out"
    assert cli.main(["train", "--rule", NAME, "--data", "digits", "--model", "mlp:16,16", "--epochs", "2",
                     "--seeds", "0", "--out", str(out)]) == 0
    run, = json.loads((out / "results.json").read_text())["runs"]
    assert run["rule"] == NAME
    assert all(cosine is not None for cosine in run["history"][-1]["alignment"])
    assert (out / "figure.png").is_file()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of package and tests, in which somebody has done what the page says and nothing else."""
    root = tmp_path_factory.mktemp("checkout")
    for folder in ("nobackprop", "tests"):
        # with what is compiled, but for what another process is just writing
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("*.pyc.*"))
    (root / "nobackprop" / "rules" / f"{FILE}.py").write_text(blocks("python")[0])
    patch(root / "nobackprop" / "rules" / "__init__.py", blocks("diff")[0])
    return root


def patch(path: Path, diff: str) -> None:
    """Add the lines with a plus after those that stand above them in the page's diff."""
    lines, place = path.read_text(encoding="utf-8").splitlines(), 0
    for line in diff.splitlines():
        sign, text = line[0], line[1:]
        if sign == "+":
            lines.insert(place + 1, text)
        else:
            assert lines.count(text) == 1, f"the page's diff has lost its place: {text}"
            place = lines.index(text)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def python(root: Path, *argv: str) -> str:
    environment = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root / 'tests'}", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-W", "error", *argv], cwd=root, env=environment, capture_output=True,
                          text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_file_and_two_lines_are_all_it_takes(checkout):
    assert NAME in python(checkout, "-m", "nobackprop", "rules")
    table = python(checkout, "-m", "nobackprop", "train", "--rule", NAME, "--model", "mlp:8,8", "--epochs", "1",
                   "--seeds", "0", "--out", "out")
    assert NAME in table
    assert json.loads((checkout / "out" / "results.json").read_text())["runs"][0]["rule"] == NAME


@pytest.mark.slow
def test_the_page_names_all_that_the_tests_ask_for(checkout):
    """After its diffs and its commands, the tests that look at every rule pass; `make golden` has added its curve."""
    golden = checkout / "tests" / "golden.txt"
    curves = {line.split()[0] for line in golden.read_text().splitlines()}
    for name in ("docs", "notebooks"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "Makefile", "pyproject.toml", "setup.cfg"):
        shutil.copy(ROOT / name, checkout / name)
    page, makefile = PAGE.read_text(encoding="utf-8"), (ROOT / "Makefile").read_text(encoding="utf-8")
    patch(checkout / "README.md", blocks("diff")[1])
    section = page.split("## The entry")[1].split("\n## ")[0]
    targets = list(dict.fromkeys(re.findall(r"`make (\w+)`", section)))
    assert targets == ["golden", "locality", "field"]
    for target in targets:
        command, = re.findall(rf"^{target}:.*\n\t\$\(BIN\)/python (.*)$", makefile, re.MULTILINE)
        if command == "-m nobackprop.studies.field docs/field.md":
            python(checkout, "-c", UNTIMED, "docs/field.md")
        else:
            python(checkout, *command.split())
    assert {line.split()[0] for line in golden.read_text().splitlines()} == curves | {NAME}
    python(checkout, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k",
           f"{NAME} or every_rule or options_of_every_kind or rule_that_is_gone or page or table",
           "tests/test_rules.py", "tests/test_golden.py", "tests/test_locality.py",
           "tests/test_field.py::test_the_page_is_what_the_code_says",
           "tests/test_docs.py::test_the_readme_names_every_rule")


def test_the_page_holds_to_its_own_conventions():
    """Tags at line ends, lines no longer than ruff allows, and no import that is not used."""
    code = blocks("python")[0]
    assert max(map(len, code.splitlines())) <= 120
    assert re.findall(r"\S.*# (LAS \(\d+\).*)$", code, re.MULTILINE)
    for names in re.findall(r"^from \S+ import (.*)$", code.replace("from __future__ import annotations", ""),
                            re.MULTILINE):
        for name in names.split(", "):
            assert len(re.findall(rf"\b{name}\b", code)) > 1, f"{name} is imported and not used"


def test_the_rule_keeps_its_state_in_a_tree_that_can_be_saved(BlockDFA, tmp_path):
    state = Case(BlockDFA(), 0).state
    nb.tree.save(tmp_path / "state.npz", state)
    for (path, array), (other, again) in zip(leaves(state), leaves(nb.tree.load(tmp_path / "state.npz")), strict=True):
        assert path == other
        np.testing.assert_array_equal(array, again)
