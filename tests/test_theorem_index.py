"""The index of theorems is complete: every proof is that of a statement in it, and every statement has a title, a
condition for a terminal and tests that exist."""
from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_errata import FENCED, THEORY, names_in

from nobackprop import InputError, cli
from nobackprop.studies import theorems
from nobackprop.studies.equations.tags import ROOT
from nobackprop.studies.theorems import Statement, parse, show, statements

NAME = re.compile(r"(Theorem|Lemma|Proposition|Corollary|Open)( [A-Z]{0,2}\d+[a-z]?)?")
PAGES = [path for path in THEORY if path.name != "README.md"]


# What must hold of a page, as lists of what is wrong

def incomplete(found: list[Statement]) -> list[str]:
    """What a statement lacks, or has in a form that no terminal shows."""
    wrong = []
    for one in found:
        text = f"{one.title}{one.condition}"
        checks = {"its name is none": NAME.fullmatch(one.name), "it has no title": one.title,
                  "it has no condition": one.condition, "it has no test": one.tests,
                  "its condition is too long": len(one.condition) <= 200,
                  "its condition is not for a terminal": text.isascii() and not set("$\\`") & set(text)}
        wrong += [f"{one.page}, {one.name}: {what}" for what, right in checks.items() if not right]
    names = [(one.page, one.name) for one in found]
    return wrong + [f"{page}, {name}: it is there twice" for page, name in set(names) if names.count((page, name)) > 1]


def missing(found: list[Statement]) -> list[str]:
    """Tests that are not there."""
    named = sorted({test for one in found for test in one.tests})
    files = {test: ROOT / test.partition("::")[0] for test in named}
    return [test for test, file in files.items() if not file.is_file()
            or test.partition("::")[2] not in names_in(file.read_text(encoding="utf-8"), file.suffix)]


def homeless(page: str) -> list[str]:
    """Proofs with no statement above them in their section, conditions of none, and statements that the index lacks."""
    wrong, text = [], FENCED.sub("", page)
    for section in re.split(r"^## ", text, flags=re.MULTILINE):
        parts = re.split(r"\n\s*\n", section)
        first = next((i for i, part in enumerate(parts) if theorems.HEAD.match(part)), len(parts))
        wrong += [part[:60] for part in parts[:first] if part.startswith("*Proof")]
    indexed = [one.name for one in parse("page", page)]
    if text.count("\n*Condition:*") > len(indexed):
        wrong.append("there are more conditions than statements")
    bold = re.findall(r"^\W*\*\*((?:Theorem|Lemma|Proposition|Corollar|Open)\w*[^*.(]*)", text, re.MULTILINE)
    return wrong + [head for head in bold if head.strip() not in indexed]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_statement_of_a_page_is_complete_and_every_proof_has_one(path):
    page = path.read_text(encoding="utf-8")
    found = parse(path.stem, page)
    assert found and not incomplete(found) and not homeless(page)


@pytest.mark.slow
def test_every_test_of_the_index_exists():
    assert len(statements()) > 15 and not missing(statements())


def test_the_list_of_pages_names_every_page_once():
    readme = (ROOT / "docs" / "theory" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- \[[^\]]+\]\(([^)]+)\)", readme, re.MULTILINE)
    assert sorted(listed) == [path.name for path in PAGES]


# That these checks can fail

PAGE = """# A page

## A section

**Theorem 1** (a title). It is so.

*Condition:* C of full
column rank

*Proof.* Because. \u220e

*Tests:*
[`test_every_test_of_the_index_exists`](../../tests/test_theorem_index.py#test_every_test_of_the_index_exists)

**Open 2** (whether it is always so). Nobody knows.

*Condition:* any C

*Tests:*
[`test_that_is_an_example`](../../tests/test_theorem_index.py#test_that_is_an_example)
"""


def test_a_page_in_order_passes():
    found = parse("page", PAGE)
    assert [(one.name, one.title, one.condition) for one in found] == [
        ("Theorem 1", "a title", "C of full column rank"), ("Open 2", "whether it is always so", "any C")]
    assert found[0].tests == ("tests/test_theorem_index.py::test_every_test_of_the_index_exists",)
    assert not incomplete(found) and not homeless(PAGE)
    assert missing(found) == ["tests/test_theorem_index.py::test_that_is_an_example"]


@pytest.mark.parametrize("was, becomes, said", [
    (" (a title)", "", "no title"), ("*Condition:* C", "If C", "no condition"), ("full\ncolumn", "$C$", "terminal"),
    ("full\ncolumn", "\u03a3", "terminal"), ("full\ncolumn", "very " * 50, "too long"),
    ("Open 2", "Theorem 1", "twice"), ("Theorem 1", "Theorem one", "name"), ("*Tests:*", "Tests:", "no test")])
def test_what_a_statement_lacks_is_found(was, becomes, said):
    wrong = incomplete(parse("page", PAGE.replace(was, becomes)))
    assert wrong and all(said in one for one in wrong)


@pytest.mark.parametrize("was, becomes", [
    ("**Theorem 1** (a title). It", "It"), ("*Proof.*", "## Another section\n\n*Proof.*"),
    ("**Open 2** (whether", "**Corollaries.** (Whether"), ("**Open 2**", "* **Open 2**"),
    ("**Open 2** (whether", "**Unknown.** (Whether")])
def test_a_proof_without_a_statement_and_a_statement_without_its_form_are_found(was, becomes):
    assert homeless(PAGE.replace(was, becomes)) and not homeless(PAGE)


def test_a_test_that_is_not_there_is_found():
    assert missing([Statement("a", "b", "c", "d", ("tests/test_errata.py::test_x", "tests/none.py::test_y"))]) == [
        "tests/none.py::test_y", "tests/test_errata.py::test_x"]


# What is shown

def test_the_list_has_every_statement_with_its_condition_its_page_and_its_tests():
    text = show()
    assert [line for line in text.splitlines() if line.startswith("docs/")] == [
        f"docs/theory/{path.name}" for path in PAGES]
    assert [line for line in text.splitlines() if re.match(r"[A-Z]", line)] == [
        f"{one.name} ({one.title})" for one in statements()]
    assert text.count("\n      if: ") == len(statements())
    for one in statements():
        assert " ".join(one.condition.split()) in " ".join(text.split())
        assert all(f"\n      {test}" in text for test in one.tests)


def test_one_page_and_one_statement_are_found_by_their_names(capsys):
    one, page = show("Forward-Alignment", "theorem 2B"), show("forward-alignment")
    assert one.partition("\n\n")[2] in page and page in show() and one.count(" (") == 1 < page.count(" (")
    assert cli.main(["theorems", "forward-alignment", "Theorem", "2b"]) == 0
    assert capsys.readouterr().out.splitlines()[:3] == ["docs/theory/forward-alignment.md", "",
                                                        "Theorem 2b (mini-batches)"]


@pytest.mark.parametrize("page, name, said", [
    ("forward-alignement", None, "unknown page of theory 'forward-alignement': did you mean 'forward-alignment'?"),
    ("", None, "unknown page of theory ''"), ("forward-alignment", "Theorem 20", "unknown statement 'Theorem 20'"),
    ("forward-alignment", "", "unknown statement ''")])
def test_names_that_are_not_there_are_said(page, name, said):
    with pytest.raises(InputError, match=re.escape(said)):
        show(page, name)


def test_an_installed_package_reads_its_own_copy_of_the_pages(monkeypatch, tmp_path):
    monkeypatch.setattr(theorems, "in_checkout", lambda: False)
    monkeypatch.setattr(theorems, "INSTALLED", tmp_path)
    with pytest.raises(InputError, match=f"no pages of theory in {re.escape(str(tmp_path))}"):
        show()
    Path(tmp_path, "las.md").write_text(PAGE, encoding="utf-8")
    Path(tmp_path, "README.md").write_text(PAGE, encoding="utf-8")
    assert show().splitlines()[:4] == [
        "docs/theory/las.md", "", "Theorem 1 (a title)", "      if: C of full column rank"]
