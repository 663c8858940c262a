"""The page of errata names tests that exist, and treats exactly the equations that are marked as printed wrongly.

The pages of theory name tests that exist, too.
"""
from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from nobackprop.studies.equations import PAPERS
from nobackprop.studies.equations.tags import ROOT, parse

PAGE = ROOT / "docs" / "errata.md"
THEORY = sorted((ROOT / "docs" / "theory").glob("*.md"))
FIELDS = ["Printed", "Computed", "Why", "Tests"]
UNDECIDED = re.compile(r"No test can decide this: .{20,}", re.DOTALL)
LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def items(page: str) -> dict[str, str]:
    """The text of every item by its heading."""
    _, *parts = re.split(r"^### ", re.sub(r"^## .*$", "", page, flags=re.MULTILINE), flags=re.MULTILINE)
    return {heading: text for heading, _, text in (part.partition("\n") for part in parts)}


def fields(text: str) -> dict[str, str]:
    parts = re.split(r"^- \*(\w+):\*\s*", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def wrong(text: str) -> list[tuple[str, str]]:
    """The (paper, number) pairs that an item says are printed wrongly."""
    return [pair for line in re.findall(r"^\*\*Printed wrongly:\*\* (.*)$", text, re.MULTILINE)
            for pair in parse(f"# {line}")]


@cache
def names_in(text: str, suffix: str) -> set[str]:
    """The tests of a Python file; what code hosts make of the headings of a page."""
    if suffix == ".md":
        heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        return {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}
    return {node.name for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


# What must hold of the page, as lists of what is wrong

def misshapen(page: str) -> list[str]:
    return [heading for heading, text in items(page).items()
            if list(fields(text)) != FIELDS or not all(fields(text).values())]


def undecided(page: str) -> list[str]:
    """Items that name no test and do not say why there is none."""
    return [heading for heading, text in items(page).items()
            if not re.search(r"\]\(\.\./tests/", fields(text)["Tests"])
            and not UNDECIDED.match(fields(text)["Tests"])]


def broken(path: Path) -> list[str]:
    """A page's links to no file, to no test or heading, and to a test of another name than is shown."""
    found = []
    for shown, target in LINK.findall(FENCED.sub("", path.read_text(encoding="utf-8"))):
        file, _, name = target.partition("#")
        there = path.parent / file if file else path
        missing = not there.is_file() or (name and name not in names_in(there.read_text("utf-8"), there.suffix))
        if missing or (name and there.suffix == ".py" and shown != f"`{name}`"):
            found.append(target)
    return found


def unlinked(page: str) -> list[str]:
    return re.findall(r"(?<!\[`)\btest_\w+", LINK.sub("", page))


def untreated(page: str, papers) -> set[tuple[str, str]]:
    """Equations that the lists mark as wrong and the page does not, or the other way round."""
    listed = [(paper.key, e.number) for paper in papers for e in paper.equations if e.corrected]
    treated = [pair for text in items(page).values() for pair in wrong(text)]
    twice = {pair for pair in treated if treated.count(pair) > 1}
    return set(listed) ^ set(treated) | twice


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_every_item_says_what_is_printed_what_is_computed_and_why(page):
    assert len(items(page)) > 20 and not misshapen(page)


def test_items_are_numbered_through(page):
    heads = [re.match(r"([A-Z]+) (\d+)\. \S", heading) for heading in items(page)]
    assert all(heads)
    for key in {head[1] for head in heads}:
        numbers = [int(head[2]) for head in heads if head[1] == key]
        assert numbers == list(range(1, len(numbers) + 1)), key


def test_every_item_names_a_test_or_says_why_none_can_decide(page):
    assert not undecided(page)


@pytest.mark.slow
@pytest.mark.parametrize("path", [PAGE, *THEORY], ids=lambda path: path.name)
def test_every_test_that_is_named_exists(path):
    assert not broken(path) and not unlinked(path.read_text(encoding="utf-8"))


def test_every_statement_of_the_theory_names_its_tests():
    """Whatever has a proof, and every section, stands before a list of tests in its section."""
    sections = [section for path in THEORY
                for section in re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]]
    assert len(sections) > 10
    for section in sections:
        *_, last = re.split(r"^\*Tests:\*|^\| printed \|", section, flags=re.MULTILINE)
        assert "](../../tests/" in last and "*Proof.*" not in last, section.splitlines()[0]


def test_an_equation_is_marked_wrong_if_and_only_if_it_is_treated(page):
    assert not untreated(page, PAPERS)


def test_table_5_of_associated_learning_shows_what_is_said_of_it(page):
    """Kao and Chen 2020, Table 5: the associated loss of each component, in networks of one, two and three."""
    table = [[1.2488e-5], [1.5469e-5, 3.5818e-7], [1.2219e-5, 3.8033e-7, 6.7192e-10]]
    item, = (" ".join(text.split()) for heading, text in items(page).items() if heading.startswith("AL 12."))
    for i, words in enumerate(["the first loss rises by {:.0f} % from one layer to two and falls by {:.0f} %",
                               "the second rises by {:.0f} % from two to three"]):
        losses = [column[i] for column in table[i:]]
        assert words.format(*(100 * abs(b / a - 1) for a, b in zip(losses, losses[1:], strict=False))) in item
    tops = [column[-1] for column in table]
    assert tops == sorted(tops, reverse=True) and "loss of the top component" in item
    assert all(column == sorted(column, reverse=True) for column in table)


# That these checks can fail

ITEM = ("# Errata\n\n## A paper\n\n### LAS 1. A title\n\n**Printed wrongly:** LAS (21)\n\n- *Printed:* a\n"
        "- *Computed:* b\n- *Why:* c\n- *Tests:* [`test_a`](../tests/test_a.py#test_a)\n\n## Another\n")


@pytest.fixture
def docs(tmp_path) -> Path:
    """Where a page may stand, beside a folder of tests."""
    for folder in ("docs", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("def test_a():\n    pass\n")
    return tmp_path / "docs" / "page.md"


def test_an_item_in_order_passes(docs):
    docs.write_text(f"{ITEM}\nSee [here](#las-1-a-title) and [there](page.md#errata).\n")
    assert list(items(ITEM)) == ["LAS 1. A title"] and wrong(ITEM) == [("LAS", "21")]
    assert not misshapen(ITEM) and not undecided(ITEM) and not broken(docs) and not unlinked(ITEM)


@pytest.mark.parametrize("was, becomes, check", [
    ("- *Why:* c\n", "", misshapen),
    ("- *Why:* c\n", "- *Why:*\n", misshapen),
    ("[`test_a`](../tests/test_a.py#test_a)", "none", undecided),
    ("[`test_a`](../tests/test_a.py#test_a)", "No test can decide this.", undecided),
    ("[`test_a`](../tests/test_a.py#test_a)", "`test_a`", unlinked),
])
def test_what_is_missing_is_found(was, becomes, check):
    assert check(ITEM.replace(was, becomes)) and not check(ITEM)


@pytest.mark.parametrize("was, becomes", [
    ("test_a.py#", "test_b.py#"), ("#test_a", "#test_b"), ("`test_a`", "`test_b`"),
    ("\n## Another", "\n[here](#la-1-a-title)"), ("\n## Another", "\n[there](page.md#erata)")])
def test_a_link_that_leads_nowhere_is_found(docs, was, becomes):
    docs.write_text(ITEM.replace(was, becomes))
    assert broken(docs)


def test_an_equation_that_is_missing_or_too_many_is_found(page):
    assert untreated(ITEM, PAPERS) > {("LAS", "20"), ("ASAP", "2.7")}
    assert untreated(page.replace("LAS (20), (25)", "LAS (20)"), PAPERS) == {("LAS", "25")}
    assert untreated(page.replace("LAS (20), (25)", "LAS (20), (24), (25)"), PAPERS) == {("LAS", "24")}
    assert untreated(page.replace("LAS (20), (25)", "LAS (20), (22), (25)"), PAPERS) == {("LAS", "22")}
