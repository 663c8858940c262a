"""Every equation is at the place that the page gives, every tag names an equation, and only tags are collected."""
from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from nobackprop import InputError
from nobackprop.studies.equations import PAPERS, Equation, Paper, Place, collect, markdown, pages, show
from nobackprop.studies.equations.__main__ import main
from nobackprop.studies.equations.paper import KINDS
from nobackprop.studies.equations.tags import ROOT

CORE = ("nobackprop/layers.py", "nobackprop/network.py", "nobackprop/optim.py", "nobackprop/kernels/")


@pytest.fixture(scope="module")
def places() -> list[Place]:
    return collect()


# What must hold of tags, as lists of what is wrong

def uncovered(papers, places) -> list[str]:
    """Equations in scope that no code computes and no test checks."""
    wrong = []
    for paper in papers:
        for equation in paper.equations:
            found = pages.places_of(paper, equation, places)
            tests = [place for place in found["test"] if place.test]
            if not equation.later and not tests and (equation.kind != "code" or not found["code"]):
                wrong.append(f"{paper.key} ({equation.number}) has no {equation.kind} line and no test")
    return wrong


def unlisted(papers, places) -> list[str]:
    listed = {(paper.key, equation.number) for paper in papers for equation in paper.equations}
    return [f"{place.path}:{place.line}: {place.paper} ({place.number}) is on no list"
            for place in places if (place.paper, place.number) not in listed]


def not_executable(places) -> list[str]:
    return [f"{place.path}:{place.line}: {place.paper} ({place.number}) stands next to no line of a function"
            for place in places if not place.executable]


def scattered(places) -> list[str]:
    """Tags in the code of more than one file outside the core, which serves every rule."""
    files = defaultdict(set)
    for place in places:
        if place.kind == "code" and not place.path.startswith(CORE):
            files[place.paper, place.number].add(place.path)
    return [f"{paper} ({number}) is in {', '.join(sorted(paths))}"
            for (paper, number), paths in files.items() if len(paths) > 1]


@pytest.mark.slow
def test_every_equation_in_scope_has_code_or_a_test(places):
    assert not uncovered(PAPERS, places)


def test_every_tag_names_an_equation(places):
    assert not unlisted(PAPERS, places)


def test_every_tag_stands_next_to_an_executable_line(places):
    assert not not_executable(places)


def test_no_tag_serves_two_files(places):
    assert not scattered(places)


def test_the_page_is_not_stale():
    page = ROOT / "docs" / "equations.md"
    assert page.is_file() and page.read_text(encoding="utf-8") == markdown(), \
        "docs/equations.md is stale: run `make equations`"


# That these checks can fail

AT = Place("LAS", "24", "nobackprop/rules/a.py", 5, None, "A.credit", "e = 1", True)
HELD = replace(AT, path="tests/test_a.py", name="test_a")


def paper(**fields) -> Paper:
    return Paper("LAS", "title", "reading", (Equation("24", "I", "a = b", "a = b", "meaning", **fields),))


def test_coverage_asks_for_code_or_a_test_of_code_and_for_a_test_of_anything_else():
    code, later = paper(), paper(later="not yet")
    helper = replace(HELD, path="tests/networks.py", name="helper")
    cell = replace(AT, path="notebooks/a.ipynb", cell=1, name="")
    assert not uncovered([code], [AT]) and not uncovered([code], [HELD])
    assert uncovered([code], []) and uncovered([code], [cell]) and uncovered([code], [helper])
    for kind in ("definition", "property"):
        other = paper(kind=kind)
        assert not uncovered([other], [HELD]) and uncovered([other], [AT]) and uncovered([other], [helper])
    assert not uncovered([later], [])


def test_a_tag_of_no_equation_is_found():
    assert not unlisted([paper()], [AT])
    assert unlisted([paper()], [replace(AT, number="25")]) and unlisted([paper()], [replace(AT, paper="AL")])


def test_a_tag_in_two_files_is_found_outside_the_core_only():
    other = replace(AT, path="nobackprop/rules/b.py")
    core = [replace(AT, path=path) for path in ("nobackprop/layers.py", "nobackprop/kernels/linear.py")]
    assert not scattered([AT, replace(AT, line=9), HELD, *core])
    assert scattered([AT, other])


# The collector, on small files

@pytest.fixture
def checkout(tmp_path) -> Path:
    """An empty repository."""
    for folder in ("nobackprop", "tests", "notebooks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def found(root: Path) -> list[tuple[str, int, str, str]]:
    return [(place.number, place.line, place.name, place.source) for place in collect(root)]


def test_a_tag_gives_its_line_its_function_and_the_source(checkout):
    (checkout / "nobackprop" / "a.py").write_text(
        "class A:\n    def f(self):\n        x = [1,  # LAS (24)\n             2]\n        return x\n")
    assert collect(checkout) == [
        Place("LAS", "24", "nobackprop/a.py", 3, None, "A.f", "x = [1,", True)]


@pytest.mark.parametrize("tag, numbers", [
    ("# LAS (7)-(9)", ["7", "8", "9"]),
    ("# LAS (21), (27)", ["21", "27"]),
    ("# LAS (5), (7)-(9), (8)", ["5", "7", "8", "9"]),
    ("# noqa: B023  # LAS (7)", ["7"]),
    ("# ASAP (4.5)-(4.6)", ["4.5", "4.6"]),
    ("# AL (A.2)", ["A.2"]),
    ("# LAS (8), ASAP (2.3)", ["8", "2.3"]),
    ("# LAS (7)-(8), (9), ASAP (2.2), (2.4), AL (4.1)", ["7", "8", "9", "2.2", "2.4", "4.1"]),
    ("# LAS (8) ASAP (2.3)", ["8) ASAP (2.3)"]),
    ("# as LAS (7) has it", []),
    ("# a list (7)", []),
    # what can be no tag but was meant as one must not vanish: it is then on no list
    ("# LAS (9)-(7)", ["9)-(7"]),
    ("# LAS (4.5)-(5.1)", ["4.5)-(5.1"]),
    ("# LAS (7),(8)", ["7),(8)"]),
    ("# LAS(7)", ["7)"]),
    ("# LAS (7) and more", ["7) and more"]),
])
def test_ranges_lists_and_what_is_no_tag(checkout, tag, numbers):
    (checkout / "nobackprop" / "a.py").write_text(f"def f():\n    return 1  {tag}\n")
    assert [place.number for place in collect(checkout)] == numbers
    assert all(place.executable for place in collect(checkout))


def test_a_tag_within_a_string_is_none(checkout):
    (checkout / "nobackprop" / "a.py").write_text(
        'def f():\n    """One.\n\n    x = 1  # LAS (1)\n    """\n'
        '    text = "  # LAS (2)"\n    return f"""\n    x  # LAS (3)\n    {text}"""  # LAS (4)\n')
    assert found(checkout) == [("4", 9, "f", '{text}"""')]


@pytest.mark.parametrize("text", [
    "def f():\n    x = 1\n    # LAS (1)\n    return x\n",
    "x = 1  # LAS (1)\n",
    "class A:\n    x = 1  # LAS (1)\n",
    "def f(x):  # LAS (1)\n    return x\n",
    'def f():\n    """One."""  # LAS (1)\n    return 1\n',
    'def f():\n    """One."""  # LAS (1)\n',
])
def test_a_tag_next_to_no_line_of_a_function_is_found(checkout, text):
    (checkout / "nobackprop" / "a.py").write_text(text)
    place, = collect(checkout)
    assert not place.executable and not_executable([place])


def test_prose_on_a_line_of_its_own_may_begin_with_an_equation(checkout):
    (checkout / "nobackprop" / "a.py").write_text("def f():\n    # LAS (1) says this\n    return 1\n")
    assert collect(checkout) == []


def test_the_innermost_function_counts_and_a_test_is_known_by_its_own_name(checkout):
    (checkout / "tests" / "theorems").mkdir()
    (checkout / "tests" / "theorems" / "test_a.py").write_text(
        "class TestA:\n    def test_a(self):\n        async def value():\n            return 1  # LAS (1)\n"
        "        return value  # LAS (2)\n\ndef helper():\n    return 1  # LAS (3)\n")
    places = collect(checkout)
    assert [place.name for place in places] == ["TestA.test_a.value", "TestA.test_a", "helper"]
    assert [place.test for place in places] == ["TestA.test_a", "TestA.test_a", ""]
    assert {place.kind for place in places} == {"test"}


def notebook(*cells: tuple[str, str | list[str]]) -> str:
    return json.dumps({"cells": [{"cell_type": kind, "source": source} for kind, source in cells]})


def test_notebook_cells_are_counted_among_code_cells(checkout):
    (checkout / "notebooks" / "a.ipynb").write_text(notebook(
        ("code", "%matplotlib inline\n!echo it's\nx = 1"),
        ("markdown", "y = 1  # LAS (1)"),
        ("code", "%%bash\necho it's  # LAS (2)"),
        ("code", ["if x:\n", "    !echo '''\n", "    y = x  # LAS (3)\n", "# LAS (4)\n"]),
        ("code", "z = '# LAS (5)'")))
    assert collect(checkout) == [
        Place("LAS", "3", "notebooks/a.ipynb", 3, 3, "", "y = x", True),
        Place("LAS", "4", "notebooks/a.ipynb", 4, 3, "", "", False)]
    assert [place.kind for place in collect(checkout)] == ["cell", "cell"]


def test_files_come_in_order_and_copies_that_editors_keep_do_not(checkout):
    tagged = notebook(("code", "x = 1  # LAS (9)"))
    (checkout / "notebooks" / "a.ipynb").write_text(tagged)
    (checkout / "notebooks" / ".a.ipynb").write_text(tagged)
    (checkout / "notebooks" / ".ipynb_checkpoints").mkdir()
    (checkout / "notebooks" / ".ipynb_checkpoints" / "a.ipynb").write_text(tagged)
    for name in ("tests/test_b.py", "nobackprop/b.py", "nobackprop/a.py"):
        (checkout / name).write_text("def test_f():\n    return 1  # LAS (1)\n")
    assert [place.path for place in collect(checkout)] == [
        "nobackprop/a.py", "nobackprop/b.py", "tests/test_b.py", "notebooks/a.ipynb"]


def test_an_installed_package_has_code_alone(checkout):
    (checkout / "nobackprop" / "a.py").write_text("def f():\n    return 1  # LAS (1)\n")
    (checkout / "tests" / "test_a.py").write_text("def test_f():\n    return 1  # LAS (1)\n")
    assert len(collect(checkout)) == 2
    (checkout / "pyproject.toml").unlink()
    assert [place.path for place in collect(checkout)] == ["nobackprop/a.py"]


@pytest.mark.parametrize("name, text, said", [
    ("nobackprop/a.py", "def f(: # LAS (1)\n", "nobackprop/a.py: it is not Python"),
    ("nobackprop/a.py", "# coding: latin-2000\n", "nobackprop/a.py: it is not Python"),
    ("nobackprop/a.py", b"x = '\xff'\n  # LAS (1)", "nobackprop/a.py: it is not Python"),
    ("nobackprop/a.py", "x = 1\0  # LAS (1)\n", "nobackprop/a.py: it is not Python"),
    ("notebooks/a.ipynb", "", "notebooks/a.ipynb: it is not a notebook"),
    ("notebooks/a.ipynb", "[]", "notebooks/a.ipynb: it is not a notebook"),
    ("notebooks/a.ipynb", '{"cells": [{}]}', "notebooks/a.ipynb: it is not a notebook"),
    ("notebooks/a.ipynb", b"\xff", "notebooks/a.ipynb: it is not a notebook"),
    ("notebooks/a.ipynb", notebook(("code", "x"), ("code", "x = (1  # LAS (1)")),
     "a.ipynb: code cell 2 is not Python"),
])
def test_a_file_that_cannot_be_read_is_named_in_one_sentence(checkout, name, text, said):
    (checkout / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=said) as error:
        collect(checkout)
    assert "\n" not in str(error.value)


def test_a_file_that_mentions_no_equation_may_be_broken(checkout):
    (checkout / "tests" / "draft.py").write_text("def f(:\n")
    (checkout / "notebooks" / "draft.ipynb").write_text(notebook(("code", "x = (1")))
    assert collect(checkout) == []


# The lists

def test_the_las_list_is_complete_and_corrections_come_with_a_reason():
    las, = (paper for paper in PAPERS if paper.key == "LAS")
    assert [e.number for e in las.equations] == [str(n) for n in range(1, 31)]
    assert [e.number for e in las.equations if e.kind == "property"] == ["28", "29", "30"]
    assert [e.number for e in las.equations if e.corrected] == ["20", "21", "22", "25", "27", "30"]
    assert [e.number for e in las.equations if e.later] == []


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.key)
def test_a_list_can_be_shown_anywhere(paper):
    """Each number occurs once, formulas are ASCII and have closed braces, and corrections are complete."""
    assert paper.key.isalpha() and paper.key.isupper()
    assert len({e.number for e in paper.equations}) == len(paper.equations)
    for e in paper.equations:
        assert f"{e.text}{e.corrected}".isascii()
        assert bool(e.corrected) == bool(e.corrected_tex) == bool(e.reason)
        for tex in (e.tex, e.corrected_tex):
            assert tex.count("{") == tex.count("}") and tex.count(r"\left") >= tex.count(r"\right")


@pytest.mark.slow
def test_an_equation_with_no_line_of_code_says_what_it_is(places, monkeypatch):
    """Each of the papers' equations has a line, or is a definition or a property that a test checks."""
    monkeypatch.setattr(pages, "collect", lambda: places)  # the repository is read once and not for each equation
    page = markdown()
    for paper in PAPERS:
        listed = show(paper.key)
        for e in paper.equations:
            silent = not pages.places_of(paper, e, places)["code"]
            assert silent <= (e.kind != "code"), f"{paper.key} ({e.number})"
            for text in (show(paper.key, e.number), pages._section(paper, e, places)):
                assert (KINDS["definition"] in " ".join(text.split())) == (silent and e.kind == "definition")
                assert (KINDS["property"] in " ".join(text.split())) == (silent and e.kind == "property")
        silent = [e for e in paper.equations if not pages.places_of(paper, e, places)["code"]]
        for kind in ("definition", "property"):
            count = sum(e.kind == kind for e in silent)
            assert " ".join(listed.split()).count(KINDS[kind]) == count
            assert pages._section(paper, silent[0], places) in page if silent else not count


def test_adaptive_feedback_has_no_tag_of_a_property_that_it_does_not_compute(places):
    """It moves B towards the product of (28); the product itself is a line of `feedback.products`."""
    at = {(place.number, place.path) for place in places if place.kind == "code" and place.paper == "LAS"}
    assert {path for number, path in at if number in ("28", "29")} == {"nobackprop/feedback.py"}
    assert not any("adaptive_feedback" in path for _, path in at)


# What is shown

@pytest.mark.slow
def test_one_equation_in_full():
    text = show("las", "24")
    assert text == show("LAS", "(24)") == show(None, "24")
    assert "delta_i^LAS = (B_{i+1} e) .* f_i'(a_i)" in text
    place = next(p for p in collect() if (p.number, p.kind) == ("24", "code"))
    assert f"{place.path}:{place.line} {place.name}\n      {place.source}" in text


@pytest.mark.slow
def test_a_wrong_printed_form_stands_next_to_the_corrected_one():
    text = show("LAS", "21")
    assert "printed   Delta B_{i+1} = -eta" in text and "computed  Delta B_{i+1} = +eta" in text
    assert "climbs the loss" in text
    assert "computed" not in show("LAS", "24")
    assert "printed wrongly: Delta B_{i+1} = -eta" in show("LAS")


@pytest.mark.slow
def test_an_equation_out_of_scope_is_shown_as_such(monkeypatch):
    monkeypatch.setattr(pages, "PAPERS", (paper(later="not yet"),))
    assert "not in scope: not yet" in show("LAS") and "Not in scope: not yet" in show("LAS", "24")
    assert "*Not in scope: not yet" in markdown()


@pytest.mark.slow
def test_a_list_has_every_equation_once():
    def heads(text: str) -> list[str]:
        return [line.split()[0] for line in text.splitlines() if line.startswith("(")]

    assert heads(show("Las")) == [f"({n})" for n in range(1, 31)]
    assert heads(show()) == [f"({e.number})" for paper in PAPERS for e in paper.equations]


@pytest.mark.parametrize("paper, number, said", [
    ("lsa", None, "unknown paper 'lsa': did you mean 'las'?"),
    ("", None, "unknown paper ''"),
    ("lsa", "24", "unknown paper 'lsa'"),
    ("las", "24a", "unknown equation of LAS '24a': did you mean '24'?"),
    ("las", "(31)", "unknown equation of LAS '31'"),
    ("las", "", "unknown equation of LAS ''"),
])
def test_unknown_names_are_said(paper, number, said):
    with pytest.raises(InputError, match=re.escape(said)):
        show(paper, number)


def test_without_a_checkout_the_text_says_where_tests_are(monkeypatch):
    monkeypatch.setattr(pages, "in_checkout", lambda: False)
    assert pages.ELSEWHERE in show("LAS", "24") and pages.ELSEWHERE in markdown()


def test_links_of_the_page_lead_to_files_and_headings():
    page = markdown()
    links = re.findall(r"\]\(((?:\.\.|#)[^)]+)\)", page)
    headings = {re.sub(r"[^\w -]", "", line[4:]).lower().replace(" ", "-")
                for line in page.splitlines() if line.startswith("### ")}
    assert len(links) > 60
    for link in links:
        path, _, anchor = link.partition("#")
        assert (ROOT / "docs" / path).is_file() if path else anchor in headings, link


def test_a_test_is_linked_once_however_many_of_its_lines_carry_the_tag():
    las = PAPERS[0]
    twice = [HELD, replace(HELD, line=9), replace(HELD, name="test_a.value", line=11)]
    section = pages._section(las, las.equations[23], twice)
    assert section.count("test_a.py") == 1 and "#L5)" in section


@pytest.mark.slow
def test_the_module_writes_the_page_whole_or_not_at_all(tmp_path, capsys):
    main([str(tmp_path / "equations.md")])
    assert (tmp_path / "equations.md").read_text(encoding="utf-8") == markdown()
    main([])
    assert capsys.readouterr().out == markdown()
    assert [path.name for path in tmp_path.iterdir()] == ["equations.md"]


@pytest.mark.parametrize("argv", [["--write"], ["a", "b"], ["no/such/folder/page.md"]])
def test_the_module_says_what_it_cannot_do(argv):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert isinstance(stop.value.code, str) and "\n" not in stop.value.code
