"""README and pages say what the code does: tables, code, commands and links."""
from __future__ import annotations

import configparser
import inspect
import itertools
import re
import subprocess
from pathlib import Path

import pytest

from nobackprop import rules
from nobackprop.experiments import results
from nobackprop.rules import RULES
from nobackprop.rules.alignment_support import LAS
from nobackprop.studies.field import SUBSTITUTIONS

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "theory").glob("*.md"))]
README = PAGES[0].read_text(encoding="utf-8")


def test_the_readme_shows_the_table_of_the_stored_demo():
    assert results.table(results.read(ROOT / "docs" / "results" / "digits.json")) in README


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "docs" / "results").glob("*.json")
                                        if path.name != "performance.json"))
def test_the_results_page_shows_the_stored_tables(name):
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert results.table(results.read(ROOT / "docs" / "results" / f"{name}.json")) in page


def test_the_readme_shows_las_as_it_is():
    source = inspect.getsource(LAS)
    methods = source[source.index("    def align"):].rstrip()
    assert methods in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(r"(```.*?```|`[^`\n]*`)", "code", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_readme_maps_the_package():
    """Every module and folder is on the map, and above what imports it, as the contract in setup.cfg says."""
    section = README.split("## Where things are")[1].split("```")[1]
    lines = [re.split(r" {2,}", line.strip())[0].replace("/", "").split() for line in section.splitlines()[2:]]
    package = ROOT / "nobackprop"
    there = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    named = [name for line in lines for name in line]
    assert sorted(named) == sorted(name for name in there if not name.startswith("__"))
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    layers = config["importlinter:contract:rooms"]["layers"].replace("|", " ").split()
    place = {name: number for number, line in enumerate(lines) for name in line}
    for importer, imported in itertools.combinations([name for name in layers if name in place], 2):
        assert place[importer] >= place[imported], f"{imported} stands below {importer}"


def test_the_readme_names_every_rule():
    section = README.split("## The rules")[1].split("\n## ")[0]
    named = re.findall(r"`([^`]+)`", "".join(re.findall(r"^\|.*\|(.*)\|$", section, re.MULTILINE)))
    assert set(named) == set(RULES)


def test_every_command_of_the_readme_is_there():
    from nobackprop.cli import parsers
    _, commands = parsers()
    named = re.findall(r"^\| (`[^|]+`) \|", README.split("## The command line")[1], re.MULTILINE)
    assert {word.split()[0] for cell in named for word in re.findall(r"`([^`]+)`", cell)} == set(commands)


def test_every_make_target_of_the_pages_is_there():
    listed = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = {line.split()[0] for line in listed.splitlines()}
    for page in PAGES:
        for target in re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)`", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert "".join(target) in targets, f"{page.name}: make {''.join(target)}"


@pytest.mark.parametrize("text", [README, (ROOT / "docs" / "adding-a-rule.md").read_text(encoding="utf-8"),
                                  inspect.getdoc(rules), "\n".join(what for what, _ in SUBSTITUTIONS)],
                         ids=["README", "adding-a-rule", "rules", "field"])
def test_the_four_substitutions_are_named_wherever_the_idea_is(text):
    words = " ".join(text.split())
    for what in ("weights that carry (the )?errors? down", "activity (in|that)", "places where errors enter",
                 "network that is walked"):
        assert re.search(what, words), what
    assert not re.search(r"three (things|substitutions)", words)
