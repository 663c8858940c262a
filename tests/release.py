"""`make release-check`: whether what a release would publish is complete, installs, and works away from the source.

- It builds the source distribution and, from that, the wheel, and compares their files with those that git tracks.
- It renders the README as a package index does.
- It installs the wheel into a new environment, and runs the main job there in an empty folder.
- It runs the tests of the unpacked source distribution against the installed wheel.

`--fast` leaves out the tests that are marked slow.  pip needs a package index.  The exit code is 1 if anything failed.
"""
from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# what setuptools adds to a source distribution
MADE = re.compile(r"PKG-INFO|nobackprop\.egg-info/.*")


class Failed(Exception):
    """A check that did not hold, in one sentence."""


def tracked() -> list[str]:
    """The files that git tracks and that are there, relative to the root.

    Raises Failed if this is no checkout.
    """
    asked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if asked.returncode or not (ROOT / ".git").exists():
        raise Failed(f"{ROOT} is no git checkout: nothing says which files belong to a release")
    return sorted(name for name in asked.stdout.split("\0") if (ROOT / name).is_file())


def copy(names: Iterable[str], to: Path) -> Path:
    """The folder `to` with a copy of those files; an old egg-info would add its own to a source distribution."""
    for name in names:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, to / name)
    return to


def files_of_sdist(path: Path) -> list[str]:
    """The files of a source distribution without its first folder and without what setuptools adds."""
    with tarfile.open(path) as archive:
        names = [member.name.partition("/")[2] for member in archive if member.isfile()]
    return sorted(name for name in names if not MADE.fullmatch(name))


def files_of_wheel(path: Path) -> list[str]:
    """The files of a wheel without its metadata."""
    with zipfile.ZipFile(path) as archive:
        return sorted(name for name in archive.namelist() if ".dist-info/" not in name)


def in_wheel(names: Iterable[str]) -> list[str]:
    """The files that a wheel should hold: those of the package, and copies of the pages of theory."""
    return sorted(name.replace("docs/theory/", "nobackprop/studies/theory/") for name in names
                  if name.startswith("nobackprop/") or re.fullmatch(r"docs/theory/[^/]+\.md", name))


def description(sdist: Path) -> str:
    """The long description in the metadata of a source distribution; a wheel that is built of it has the same."""
    with tarfile.open(sdist) as archive:
        file = archive.extractfile(f"{sdist.name.removesuffix('.tar.gz')}/PKG-INFO")
        assert file is not None
        return file.read().decode("utf-8").partition("\n\n")[2]


def relative_links(page: str) -> list[str]:
    """The targets of a page, HTML or Markdown, that lead to files: a package index has none of them."""
    targets = re.findall(r"""(?:href|src)=["']([^"']*)["']""", page)
    targets += re.findall(r"\]\(([^)\s]+)[^)]*\)", re.sub(r"```.*?```|`[^`\n]*`", "", page, flags=re.DOTALL))
    return [target for target in targets if not re.match(r"https?://|mailto:|#", target)]


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """What the command prints, which is shown as well.

    Raises Failed with the command if its exit code is not 0.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    print(f"$ {' '.join(map(str, command))}", flush=True)
    with subprocess.Popen(command, cwd=cwd, env=environment | variables, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        raise Failed(f"exit code {process.returncode}: {' '.join(map(str, command))}")
    return "".join(lines)


def check_same(what: str, found: list[str], expected: list[str]) -> None:
    """Raises Failed if the two lists of files differ, with the files that do."""
    lacks, has = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if lacks or has:
        raise Failed(f"the {what} lacks {lacks} and has beyond what git tracks {has}")
    print(f"the {what} holds what it should: {len(found)} files", flush=True)


def check_readme(sdist: Path, wheel: Path) -> None:
    """Raises Failed if an index cannot render the README, or if the rendered page has links that lead nowhere."""
    from readme_renderer import markdown
    run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel, cwd=sdist.parent)
    page = markdown.render(description(sdist))
    if page is None:
        raise Failed("the README was not rendered: is readme-renderer[md] installed?")
    if found := relative_links(page):
        raise Failed(f"the rendered README has links that lead nowhere on an index: {found}")
    print(f"the README renders, without a link that leads nowhere: {len(page)} characters", flush=True)


def check_main_job(binaries: Path, work: Path) -> None:
    """Raises Failed if the main job does not run in an empty folder, or learns nothing there."""
    work.mkdir()
    print(run(binaries / "python", "-c", "import nobackprop; print(nobackprop.__file__)", cwd=work))
    run(binaries / "nobackprop", "compare", "--out", "out", cwd=work)
    runs = json.loads((work / "out" / "results.json").read_text(encoding="utf-8"))["runs"]
    reached = {one["rule"]: one["test_accuracy"] for one in runs}
    if min(reached.values()) < 0.9 or not (work / "out" / "figure.png").stat().st_size:
        raise Failed(f"the main job did not reach 90 % on digits under every rule: {reached}")


def check_tests(binaries: Path, sdist: Path, wheel: Path, work: Path, markers: str) -> None:
    """Raises Failed if a test of the source distribution fails against the installed wheel."""
    run(binaries / "python", "-m", "pip", "install", "--quiet", f"{wheel}[dev]", cwd=work)
    with tarfile.open(sdist) as archive:
        archive.extractall(work, filter="data")
    source = work / sdist.name.removesuffix(".tar.gz")
    # the tests, and the index of equations, read pages and tests next to the package: let the wheel's files stand
    # there, and nothing that the wheel lacks
    shutil.rmtree(source / "nobackprop")
    installed = run(binaries / "python", "-c", "import nobackprop; print(nobackprop.__path__[0])", cwd=work).strip()
    shutil.copytree(installed, source / "nobackprop", ignore=shutil.ignore_patterns("__pycache__"))
    run(binaries / "python", "-m", "pytest", "-p", "no:cacheprovider", "-n", "logical", "--dist", "worksteal",
        "-m", markers, cwd=source, OPENBLAS_NUM_THREADS="1")


def main(fast: bool, work: Path) -> None:
    """Every check in turn, in the folder `work`.

    Raises Failed at the first one that does not hold.
    """
    names = tracked()
    source = copy(names, work / "source")
    run(sys.executable, "-m", "build", "--outdir", work / "dist", source, cwd=work)
    sdist, = (work / "dist").glob("*.tar.gz")
    wheel, = (work / "dist").glob("*.whl")
    check_same("source distribution", files_of_sdist(sdist), names)
    check_same("wheel", files_of_wheel(wheel), in_wheel(names))
    check_readme(sdist, wheel)
    run(sys.executable, "-m", "venv", work / "environment", cwd=work)
    binaries = work / "environment" / "bin"
    run(binaries / "python", "-m", "pip", "install", "--quiet", wheel, cwd=work)
    check_main_job(binaries, work / "empty")
    check_tests(binaries, sdist, wheel, work, "not gpu and not slow" if fast else "not gpu")
    print(f"{sdist.name} and {wheel.name} are fit for a release")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="release.py", description=__doc__)
    parser.add_argument("--fast", action="store_true", help="leave out the tests that are marked slow")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nobackprop-release-") as folder:
        try:
            main(arguments.fast, Path(folder))
        except Failed as error:
            sys.exit(f"release-check: {error}")
