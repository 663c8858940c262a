"""What a release holds, what says its version, and that the contract of imports can be broken."""
from __future__ import annotations

import ast
import configparser
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import release

import nobackprop
from nobackprop.studies import theorems

ROOT = release.ROOT
BUILD = ["setup.py", "--quiet", "sdist", "--formats", "gztar", "build", "--build-lib", "library"]
LINT_IMPORTS = Path(sysconfig.get_path("scripts"), "lint-imports")


@pytest.fixture(scope="module")
def names():
    try:
        return release.tracked()
    except release.Failed as why:
        pytest.skip(str(why))


@pytest.fixture(scope="module")
def built(names, tmp_path_factory):
    """(a source distribution, the folder of what a wheel installs), built without a package index."""
    source = release.copy(names, tmp_path_factory.mktemp("source"))
    done = subprocess.run([sys.executable, *BUILD], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    sdist, = (source / "dist").iterdir()
    return sdist, source / "library"


@pytest.mark.slow
def test_the_source_distribution_holds_what_git_tracks(built, names):
    assert release.files_of_sdist(built[0]) == names


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(built, names):
    found = [path.relative_to(built[1]).as_posix() for path in built[1].rglob("*") if path.is_file()]
    assert sorted(found) == release.in_wheel(names)


@pytest.mark.slow
def test_the_wheel_lists_the_theorems_without_the_repository(built):
    """It has no docs, tests or pyproject.toml beside it."""
    ask = "from nobackprop.studies import theorems; print(theorems.INSTALLED, theorems.show(), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", ask], cwd=built[1], capture_output=True, text=True, encoding="utf-8")
    where, _, listed = done.stdout.partition("\n")
    assert Path(where) == built[1] / "nobackprop" / "studies" / "theory", done.stderr
    assert listed.strip() == theorems.show()


@pytest.mark.slow
def test_the_readme_of_an_index_leads_nowhere_but_to_the_web(built):
    text, readme = release.description(built[0]), (ROOT / "README.md").read_text(encoding="utf-8")
    assert release.relative_links(readme) != [] == release.relative_links(text)
    assert re.findall(r"^```.*?^```$", text, re.M | re.S) == re.findall(r"^```.*?^```$", readme, re.M | re.S)
    assert "`docs/equations.md`" in text and "gradient-free learning (`docs/gradient-free.md`)" in text


@pytest.mark.parametrize("page, found", [
    ('<a href="docs/a.md">a</a> <img src="b.png"> <a href="https://c.d/e">', ["docs/a.md", "b.png"]),
    ("[a](docs/a.md), ![b](b.png), [c](https://c.d/e), [d](#d), `[e](e.md)`", ["docs/a.md", "b.png"])])
def test_what_a_link_that_leads_nowhere_is(page, found):
    assert release.relative_links(page) == found


def test_a_file_that_a_release_lacks_or_has_too_many_is_named():
    release.check_same("wheel", ["a", "b"], ["b", "a"])
    with pytest.raises(release.Failed, match=r"the wheel lacks \['a'\] and has beyond what git tracks \['c'\]"):
        release.check_same("wheel", ["b", "c"], ["a", "b"])


def test_a_command_that_fails_is_named(tmp_path):
    with pytest.raises(release.Failed, match=r"exit code 3: .*raise SystemExit\(3\)"):
        release.run(sys.executable, "-c", "raise SystemExit(3)", cwd=tmp_path)


def test_the_version_stands_in_one_place_and_all_others_agree():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    version, released = re.findall(r"^(?:version|date-released): (.*)$", citation, re.M)
    first = re.search(r"^## \[(\d.*)\] - (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert first is not None
    assert (nobackprop.__version__, released) == (version, released) == first.groups()
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert config["metadata"]["version"] == "attr: nobackprop.version.__version__"


def test_the_changelog_keeps_to_its_form():
    """https://keepachangelog.com: versions from the newest on, dates, and six kinds of changes."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (.*)$", text, re.M)
    assert versions[0] == "[Unreleased]"
    dates = [re.fullmatch(r"\[\d+\.\d+\.\d+\] - (\d{4}-\d\d-\d\d)", version) for version in versions[1:]]
    found = [date[1] for date in dates if date]
    assert len(found) == len(dates) and found == sorted(found, reverse=True)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.M)) <= kinds


def test_the_hooks_before_a_commit_run_what_make_runs():
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"^ *entry: (.*)$", text, re.M) == ["make --silent lint", "make --silent types"]
    assert "repo: local" in text and "://" not in text


# ---------------------------------------------------------------- the contract of imports

def lint_imports(root: Path) -> tuple[int, str]:
    done = subprocess.run([LINT_IMPORTS, "--no-cache"], cwd=root, capture_output=True, text=True)
    return done.returncode, done.stdout


@pytest.fixture
def tree(tmp_path):
    shutil.copytree(ROOT / "nobackprop", tmp_path / "nobackprop", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    return tmp_path


ONE_WAY = "Imports go one way: the core knows nothing of what runs, studies or shows it"
CIRCLE = "No circle inside a room either, and none for types"
BROKEN = {
    "the core imports what runs it": ("kernels/linear.py", "from .. import experiments", ONE_WAY),
    "a study imports the command line": ("studies/memory.py", "from .. import cli", ONE_WAY),
    "for a type only": ("network.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .learn import Run",
                        ONE_WAY),
    "inside a function": ("tree.py", "def late():\n    from . import network", ONE_WAY),
    "a module that is on no line": ("attic.py", "", ONE_WAY),
    "a circle inside a room": ("kernels/unfold.py", "from . import convolution", CIRCLE),
}


@pytest.mark.slow
@pytest.mark.parametrize("file, line, contract", BROKEN.values(), ids=BROKEN)
def test_the_contract_of_imports_notices(tree, file, line, contract):
    with (tree / "nobackprop" / file).open("a", encoding="utf-8") as module:
        module.write(f"\n{line}\n")
    code, said = lint_imports(tree)
    assert code == 1
    assert contract in re.findall(r"^(.*) BROKEN$", said, re.M)


@pytest.mark.slow
def test_the_contract_of_imports_holds(tree):
    code, said = lint_imports(tree)
    assert code == 0, said
    assert "2 kept, 0 broken" in said


# ---------------------------------------------------------------- what is installed


# the packages whose modules have other names
DISTRIBUTIONS = {"sklearn": "scikit-learn", "PIL": "pillow", "cupy": "cupy-cuda12x", "tensorboardX": "tensorboardx"}


def imported() -> dict[str, set[str]]:
    """The packages that the modules of nobackprop import, wherever in a file, with the files that do."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "nobackprop").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) and not node.level else []
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "package")):
                # of a name that is not written here, a user has typed it
                names += [str(arg.value) for arg in node.args[:1] if isinstance(arg, ast.Constant)]
            for name in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"nobackprop"}:
                found.setdefault(DISTRIBUTIONS.get(name, name), set()).add(str(path.relative_to(ROOT)))
    return found


def declared() -> dict[str, list[str]]:
    """The packages that setup.cfg names, by the extra that installs them; "" for what everybody gets."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lists = {"": config["options"]["install_requires"], **config["options.extras_require"]}
    return {extra: [line for line in text.splitlines() if line and not line.startswith("#")]
            for extra, text in lists.items()}


@pytest.mark.slow
def test_what_the_package_imports_is_what_it_declares():
    """A package that another one happens to install may be gone with that one's next version."""
    found, lists = imported(), declared()
    names = {extra: {line.partition(">=")[0].partition("[")[0] for line in lines} for extra, lines in lists.items()}
    assert {"numpy", "requests", "pooch", "scikit-learn", "pillow"} <= set(found)
    missing = set(found) - names[""] - names["gpu"] - names["torch"] - names["dask"] - names["pandas"]
    missing -= names["tensorboard"] | names["completion"] | names["onnx"]
    assert not missing, {name: found[name] for name in missing}
    assert not names[""] - set(found), "setup.cfg declares what nothing imports"


def test_who_needs_an_extra_names_the_one_that_installs_it():
    """And the sentence for what is missing stands in one place."""
    extras, told = declared(), set()
    for path in (ROOT / "nobackprop").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        told |= {path.name} if "which is not installed: " in text.replace('"\n', "") and "raise" in text else set()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "package":
                name, extra = (arg.value for arg in node.args[:2] if isinstance(arg, ast.Constant))
                packages = [re.match(r"[a-z0-9-]+", line)[0] for line in extras[extra]]
                assert DISTRIBUTIONS.get(name, name) in packages, path
    assert told == {"outside.py"}


def test_every_package_has_a_lower_bound():
    for lines in declared().values():
        for line in lines:
            assert re.fullmatch(r"[a-z0-9-]+(\[[a-z]+\])?>=[0-9.]+(,<[0-9.]+)?", line), line
