"""The pages of the site, as they are before Sphinx makes HTML of them: complete, with links that lead somewhere."""
from __future__ import annotations

import importlib
import inspect
import json
import posixpath
import re
import sys
from html import escape, unescape

import pytest

from nobackprop.cli import main
from nobackprop.rules import RULES
from nobackprop.studies.equations import PAPERS
from nobackprop.studies.equations.pages import address
from nobackprop.studies.equations.tags import ROOT
from nobackprop.studies.theorems import statements

sys.path.insert(0, str(ROOT / "docs" / "_ext"))
pytest.importorskip("pygments", reason="Pygments, which comes with pytest, colours the code")

import site_directives  # noqa: E402  found by the line above
import site_pages  # noqa: E402
from site_pages import equations, links, rules, sources  # noqa: E402

EQUATIONS = [(paper, equation) for paper in PAPERS for equation in paper.equations]
NAMED = [f"{paper.key}-{equation.number}" for paper, equation in EQUATIONS]
PLAYGROUND = ("playground.html", "lite/")  # made by docs/build_playground.py


@pytest.fixture(scope="module")
def used():
    return set()


@pytest.fixture(scope="module")
def pages(used):
    """All pages, by their paths on the site; their code has no colours, which are another package's and take long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "highlight", lambda text, lexer, formatter: f"{escape(text)}\n")
        return site_pages.everything(used)


def prose_of(text):
    """Markdown without its blocks of code and of pictures."""
    return re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)


# ---------------------------------------------------------------- equations


@pytest.mark.slow
@pytest.mark.parametrize("paper, equation", EQUATIONS, ids=NAMED)
def test_every_equation_has_a_page_with_its_forms_its_code_and_its_tests(paper, equation, pages):
    page = pages[address(paper, equation).replace(".html", ".md")]
    formulas = re.findall(r"^```\{math\}\n(.*?)\n```$", page, re.MULTILINE | re.DOTALL)
    assert formulas == [equation.tex, *([equation.corrected_tex] if equation.corrected else [])]
    assert equations.prose(equation.meaning) in page and equations.prose(equation.reason) in page
    for place in equations.collected():
        if (place.paper, place.number) == (paper.key, equation.number):
            assert place.source in page
            if not place.cell:
                assert f"{place.path}.html#L{place.line}" in page or f"`{place.path}:" in page
                first, last = equations.around(place)
                assert first <= place.line <= last
    assert f"nobackprop equations {paper.key} {equation.number}`" in page


@pytest.mark.parametrize("paper, equation", EQUATIONS, ids=NAMED)
def test_the_tex_of_every_equation_is_whole(paper, equation):
    for formula in filter(None, (equation.tex, equation.corrected_tex)):
        bare = re.sub(r"\\[{}\\]", "", formula)
        depth = 0
        for sign in bare:
            depth += {"{": 1, "}": -1}.get(sign, 0)
            assert depth >= 0, formula
        assert depth == 0 and formula.count(r"\left") - formula.count(r"\leftarrow") == formula.count(
            r"\right") - formula.count(r"\rightarrow"), formula
    assert equation.tex and bool(equation.corrected) == bool(equation.corrected_tex)


def test_the_marked_line_is_the_tagged_one(pages):
    """By hand: LAS (24) is the line that sends e through the modules."""
    page = pages["equations/las-24.md"]
    for block in re.findall(r"^````\{code-block\} python\n(.*?)^````$", page, re.MULTILINE | re.DOTALL):
        if "def credit" in block:
            options, _, code = block.partition("\n\n")
            marked = [int(number) for number in re.search(r":emphasize-lines: (.*)", options)[1].split(",")]
            start = int(re.search(r":lineno-start: (.*)", options)[1])
            lines = code.split("\n")
            assert ["# LAS (24)" in lines[number - 1] or "# LAS (23)-(24)" in lines[number - 1]
                    for number in marked] == [True] * len(marked)
            source = (ROOT / "nobackprop/rules/alignment_support.py").read_text().split("\n")
            assert source[start - 1] == lines[0]
            break
    else:
        pytest.fail("the page of LAS (24) does not show LAS.credit")


@pytest.mark.parametrize("key, number, wanted", [
    ("LAS", "24", [r"$\mathbf e$", r"$\mathbf B_{i+1}$", r"$f_i$, $f_i'$", r"$\delta_i$"]),
    ("ASAP", "3.21", [r"$M$, $M'$", r"$\mathbf K$", r"$\mathbf E$", r"$\mathbf C_l$", r"$\text{tr}$"]),
    ("ASAP", "3.25", [r"$\mathbf C^+$", r"$\mathbf T$"]), ("AL", "4.8", [r"$\hat y$", "$h_i$"])])
def test_the_page_of_an_equation_explains_its_symbols(pages, key, number, wanted):
    page = pages[f"equations/{key.lower()}-{number.replace('.', '-')}.md"]
    told = re.findall(r"^\| (\S.*?) \| .+ \|$", page.partition("## Symbols")[2].partition("## Where")[0], re.MULTILINE)
    assert set(wanted) <= set(told)
    if number == "24":  # T is a map of the thesis, and ^T is the transpose
        assert not any("mathbf T" in one for one in told)


def test_no_equation_is_without_symbols_and_a_link_to_the_glossary(pages):
    for paper, equation in EQUATIONS:
        assert equations.symbols(paper, equation), equation
        assert "](../docs/glossary.md#symbols-of-" in pages[address(paper, equation).replace(".html", ".md")]


def test_no_page_offers_a_rule_that_does_not_use_its_equation(pages):
    for paper, equation in EQUATIONS:
        page = pages[address(paper, equation).replace(".html", ".md")]
        assert ("none computes it in a step" in page) != ("playground.html#rule=" in page), equation


def test_a_search_finds_rules_by_their_words_and_equations_by_their_numbers(pages):
    assert "```{index} ! dfa, ! direct feedback alignment\n```" in pages["rules/dfa.md"].lower()
    assert "```{index} ! LAS (24), ! LAS 24, ! equation 24 of LAS" in pages["equations/las-24.md"]
    for name in RULES:
        assert 0 < len(rules.called(name).split()) <= 4, name


def test_the_command_gives_the_address_of_the_page(capsys):
    assert main(["equations", "LAS", "24"]) == 0
    assert "equations/las-24.html" in capsys.readouterr().out


def test_the_index_has_the_order_of_the_papers(pages):
    listed = re.findall(r"^\| \[\(([^)]*)\)\]\(([^)]*)\.md\)", pages["equations/index.md"], re.MULTILINE)
    assert [page for _, page in listed] == [equations.name_of(*one) for one in EQUATIONS]
    trees = re.findall(r"```\{toctree\}.*?```", pages["equations/index.md"], re.DOTALL)
    assert [name for tree in trees for name in re.findall(r"^[a-z]+-[\w-]+$", tree, re.MULTILINE)] == [
        page for _, page in listed]


def code_of(key, number):
    """The places of code where an equation stands."""
    return [one for one in equations.collected() if (one.paper, one.number, one.kind) == (key, number, "code")]


@pytest.mark.parametrize("key, number, names", [
    ("LAS", "24", {"las", "ltas"}),                       # the class and one that inherits the method
    ("LAS", "20", {"las"}),                               # ltas has a loss of its own
    ("LAS", "25", {"ltas"}),
    ("LAS", "11", {"fa", "wm", "kp"}),                    # wm and kp call the method of fa
    ("LAS", "28", {"adaptive-dfa"}),                      # a function that its file imports
    ("AL", "4.7", {"al"})])
def test_the_rules_that_use_an_equation_are_known(key, number, names):
    assert set(equations.rules_of(code_of(key, number))[0]) == names


def test_a_line_of_the_core_is_used_by_every_rule():
    assert equations.rules_of(code_of("LAS", "2")) == ([], True)


# ---------------------------------------------------------------- rules


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_every_rule_has_a_page_with_its_picture_and_in_plain_words(name, pages):
    page = pages[f"rules/{name}.md"]
    assert rules.picture(name).split("\n")[0] in page
    for heading in ("In plain words", "What it reads", "What it keeps", "Source", "Results", "Ten lines that run it"):
        assert f"\n## {heading}\n" in page or (name == "brsf" and heading in ("What it keeps", "Source")), heading
    words = page.split("## In plain words\n")[1].split("## What it reads")[0]
    assert len(words.split()) > 15
    assert f'<a href="{name}.html">' in pages["rules/index.md"]
    for paper, equation in equations.of_rule(name):
        assert f"[{paper.key} ({equation.number})]" in page


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_the_ten_lines_of_every_rule_run(name, capsys):
    code = rules.lines(name)
    assert len(code.splitlines()) <= 10
    exec(compile(code, f"rules/{name}", "exec"), {})
    assert 0 <= float(capsys.readouterr().out.splitlines()[-1]) <= 1


def test_results_are_those_of_the_files(pages):
    stored = json.loads((ROOT / "docs" / "results" / "digits.json").read_text())
    las = [run["test_accuracy"] for run in stored["runs"] if run["rule"] == "las"]
    assert f"| digits | mlp:128,128 | las | {sum(las) / len(las):.4f} ±" in pages["rules/las.md"]


def test_every_row_of_results_says_which_experiment_it_is(pages):
    for name in RULES:
        rows = [line.split(" | ") for line in pages[f"rules/{name}.md"].partition("## Results")[2].splitlines()
                if line.startswith("| ") and not line.startswith("| experiment")]
        assert len({tuple(row[:4]) for row in rows}) == len(rows), name
        for row in rows:
            assert (ROOT / "docs" / "results" / f"{row[0][2:]}.json").is_file() and len(row) == 8
            assert int(row[7].rstrip(" |")) > 0, (name, row)


def test_errata_of_a_rule_are_those_of_its_equations(pages):
    page = pages["rules/las.md"]
    assert "LAS 2. The sign of the module's update" in page and "AL 5." not in page
    assert "FDFA 1." in pages["rules/fdfa.md"] and "LAS 2." not in pages["rules/bp.md"]


# ---------------------------------------------------------------- all pages


def test_every_page_of_the_repository_is_on_the_site_and_on_a_list(pages):
    named = [name for names in site_pages.GUIDE.values() for name in names]
    assert sorted(named) == sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
    for path in site_pages.pages():
        assert ("index.md" if path == "README.md" else path) in pages
    assert set(site_pages.WIDGETS) <= {path.stem for path in (ROOT / "docs" / "theory").glob("*.md")}


def test_widgets_have_their_places(pages):
    for page, widget in site_pages.WIDGETS.items():
        assert f'<div class="nobackprop-widget" data-widget="{widget}"></div>' in pages[f"docs/theory/{page}.md"]


def test_every_statement_has_an_anchor_to_which_the_index_leads(pages):
    for one in statements():
        name = rules.anchor(one.name)
        assert f'<a id="{name}"></a>**{one.name}' in pages[f"docs/theory/{one.page}.md"]
        assert f'href="{one.page}.html#{name}"' in pages["docs/theory/README.md"]


@pytest.mark.slow
def test_links_lead_to_pages_lines_and_names(pages, used):
    names = {path: set().union(*sources.anchors((ROOT / path).read_text(encoding="utf-8")).values())
             for path in links.tracked()}
    length = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in names}
    for path, text in pages.items():
        if path.endswith(".ipynb"):
            text = "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"]
                               if cell["cell_type"] == "markdown")
        text = prose_of(text)
        found = [unescape(target) for target in re.findall(r'href="([^"]+)"', text)]
        found += [target for picture, target in re.findall(r"(!?)\[[^\[\]]*\]\(([^)\s]+)\)", text)
                  if not picture and target.split("#")[0].endswith((".md", ".ipynb"))]
        for target in found:
            where, _, anchor = target.partition("#")
            there = posixpath.normpath(posixpath.join(posixpath.dirname(path), where)) if where else path
            if "://" in target or there.startswith(PLAYGROUND):
                continue
            if there.startswith("files/"):
                assert there.removeprefix("files/") in used, target
            elif there.startswith("_static/rules/"):
                assert there.removeprefix("_static/rules/").removesuffix(".svg") in RULES, target
            elif there.startswith("source/") and there.endswith(".py.html"):
                code = there.removeprefix("source/").removesuffix(".html")
                assert there.replace(".html", ".md") in pages, (path, target)
                line = re.fullmatch(r"L(\d+)", anchor)
                assert not anchor or (int(line[1]) <= length[code] if line else anchor in names[code]), (path, target)
            else:
                page = re.sub(r"\.html$", "", there)
                assert {there, f"{page}.md", f"{page}.ipynb"} & set(pages), (path, target)


def test_nothing_of_the_sites_own_source_names_an_address_elsewhere():
    for folder in ("_static", "_templates"):
        for file in (ROOT / "docs" / folder).iterdir():
            # the name of SVG's namespace is no address that anything is loaded from
            text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            assert "http" not in text, file.name


# ---------------------------------------------------------------- links, one by one


@pytest.mark.parametrize("text, path, expected", [
    ("[a](docs/errata.md#x)", "README.md", "[a](docs/errata.md#x)"),
    ("[a](../README.md)", "docs/runs.md", "[a](../index.md)"),
    ("[a](../../notebooks/03-las.ipynb)", "docs/theory/las.md", "[a](../../notebooks/03-las.ipynb)"),
    ("[`t`](../tests/test_docs.py#L3)", "docs/runs.md", '<a href="../source/tests/test_docs.py.html#L3">`t`</a>'),
    ("[a](https://example.org)", "docs/runs.md", "[a](https://example.org)"),
    ("[a](#here)", "docs/runs.md", "[a](#here)"),
    ("f[a](y)", "docs/runs.md", "f[a](y)"),
    ("```\n[a](../README.md)\n```", "docs/runs.md", "```\n[a](../README.md)\n```"),
    ("![a](docs/results/digits.png)", "README.md", "![a](docs/results/digits.png)"),
    ("[a](../tests/theorems)", "docs/runs.md", '<a href="../source/index.html#folder-tests-theorems">a</a>'),
    ("[a](results/)", "docs/runs.md", "a"),
    ("[errata.md](../errata.md)", "docs/theory/las.md", "[errata](../errata.md)"),
    ("[docs/runs.md](runs.md)", "docs/results.md", "[runs](runs.md)"),
    ("[a.md](runs.md)", "docs/errata.md", "[a.md](runs.md)"),
    ("[a](../noxfile.py)", "docs/runs.md", '<a href="../files/noxfile.py">a</a>'),
    ("[a](../tests/golden.txt)", "docs/runs.md", '<a href="../files/tests/golden.txt">a</a>')])
def test_links_are_rewritten(text, path, expected):
    used = set()
    assert links.rewritten(text, path, used) == expected
    assert used == {name for name in ("tests/golden.txt", "noxfile.py") if name in text}


def test_a_name_leads_to_the_first_line_that_defines_it():
    text = "def a():\n    pass\n\n\nclass B:\n    @property\n    def a(self):\n        pass\n\n\ndef a():\n    pass\n"
    assert sources.anchors(text) == {1: ["a"], 5: ["B"], 7: ["B.a"]}
    page = sources.page("x.py", text)
    assert '<pre><span id="a"></span><span id="L1" class="line" data-line="1"><span class="k">def</span>' in page
    assert page.count('class="line"') == 12 and '<span id="B.a"></span><span id="L7"' in page


def test_only_what_is_new_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(site_pages, "everything", lambda used: {"a.md": "a", "b/c.md": "c"})
    site_pages.write(tmp_path)
    first = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.md")}
    monkeypatch.setattr(site_pages, "everything", lambda used: {"a.md": "a", "d.md": "d"})
    site_pages.write(tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.md")} == {"a.md", "d.md"}
    assert (tmp_path / "a.md").stat().st_mtime_ns == first[tmp_path / "a.md"]


@pytest.mark.parametrize("text, expected", [
    ("Title.\n\n    a = b * c\n\n    d\n\nA * and a | in prose.",
     "Title.\n\n::\n\n    a = b * c\n\n    d\n\nA \\* and a \\| in prose."),
    ("First\n\n    one | two\n    three *", "First\n\n::\n\n    one | two\n    three *"),
    ("- a point\n\n    that goes on", "- a point\n\n    that goes on"),
    ("A line\n    that hangs", "A line\n    that hangs"),
    ("One.\n\n    x\n\nTwo.\n\n    y", "One.\n\n::\n\n    x\n\nTwo.\n\n::\n\n    y"),
    ("Title.\n\nParameters\n----------\nx : int\n\n    A number.",
     "Title.\n\nParameters\n----------\nx : int\n\n    A number."),
    ("Title.\n\n>>> a * b", "Title.\n\n>>> a * b")])
def test_an_indented_example_of_a_docstring_is_code(text, expected):
    lines = text.split("\n")
    site_directives.mended(None, "module", "a", None, None, lines)
    assert "\n".join(lines) == expected


def test_no_module_shows_an_example_as_a_quotation():
    for name in site_pages.reference.modules():
        lines = (inspect.getdoc(importlib.import_module(name)) or "").split("\n")
        site_directives.mended(None, "module", name, None, None, lines)
        for i, line in enumerate(lines):
            begins = line.startswith("    ") and not lines[i - 1].strip()
            assert not begins or "::" in lines[:i], (name, line)
