"""The built site in Chromium: formulas are drawn, links and pictures are there, pages fit, all is local."""
import os
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILT = Path(os.environ.get("NOBACKPROP_SITE") or ROOT / "no-site")
PLAYGROUND = (ROOT / "docs" / "build_playground.py").is_file()
WITH_FORMULAS = sorted(path.relative_to(BUILT).as_posix() for folder in ("equations", "rules", "docs", "docs/theory")
                       for path in (BUILT / folder).glob("*.html"))
# ten pages of all kinds
TEN = ["index.html", "docs/index.html", "docs/theory/las.html", "docs/results.html", "equations/index.html",
       "equations/las-24.html", "rules/index.html", "rules/las.html", "notebooks/03-las.html",
       "api/nobackprop.rules.html"]
# formulas in the page, what MathJax has made of them, and its errors
COUNTS = """async () => {
  await (window.MathJax?.startup?.promise ?? null);
  const all = (query) => document.querySelectorAll(query).length;
  return [all("span.math, div.math"), all("mjx-container"), all("[data-mml-node=merror], mjx-merror"),
          [...document.querySelectorAll("mjx-container svg")].filter((one) => !one.getBBox().width).length];
}"""
# display formulas that are wider than their place: on a desktop none has to be scrolled
CUT = """() => [...document.querySelectorAll('mjx-container[display="true"]')]
  .filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.scrollWidth)"""
# formulas in a line of text that are wider than the text: a page cannot be moved sideways to read them
LONG = """() => [...document.querySelectorAll('p mjx-container:not([display="true"]) svg')].filter((one) =>
  one.getBoundingClientRect().right > one.closest("p").getBoundingClientRect().right + 1).length"""
PICTURES = """async () => {
  const all = [...document.images];
  await Promise.all(all.map((one) => { one.loading = "eager"; return one.decode().catch(() => null); }));
  return all.filter((one) => !one.naturalWidth).map((one) => one.src);
}"""


class Page(HTMLParser):
    """The anchors of a page, where its links lead, and what it loads."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loads = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[key] for key in ("id", "name") if given.get(key)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "link" and given.get("rel") not in ("canonical",) and given.get("href"):
            self.loads.append(given["href"])
        self.loads += [given["src"] for _ in [0] if tag in ("script", "img", "iframe", "source") and given.get("src")]


@pytest.fixture(scope="module")
def parsed(site):
    """Every page that Sphinx has made, by its path."""
    theirs = {site / folder for folder in ("lite", "pyodide", "_static")}
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if not theirs & set(path.parents)}


def test_no_link_is_dead(site, parsed):
    wrong = []
    for path, page in parsed.items():
        for link in dict.fromkeys([*page.links, *page.loads]):
            if re.match(r"[a-z]+:", link):
                continue
            where, _, anchor = unquote(link).partition("#")
            where = where.partition("?")[0]
            there = (path.parent / where).resolve() if where else path
            there = there / "index.html" if there.is_dir() else there
            if not PLAYGROUND and (there == site / "playground.html" or site / "lite" in there.parents):
                continue
            if not there.is_file():
                wrong.append(f"{path.relative_to(site)}: {link} leads nowhere")
            elif anchor and there in parsed and anchor not in parsed[there].anchors and there.name != "playground.html":
                wrong.append(f"{path.relative_to(site)}: {link} has no such place")
    assert not wrong, "\n".join(wrong[:40])


def test_pages_load_nothing_from_elsewhere(site, parsed):
    wrong = [f"{path.relative_to(site)}: {address}" for path, page in parsed.items() for address in page.loads
             if re.match(r"(https?:)?//", address)]
    styles = [f"{path.relative_to(site)}" for path in site.rglob("*.css") if "lite" not in path.parts
              and re.search(r"url\(\s*['\"]?(https?:)?//", path.read_text(encoding="utf-8"))]
    assert not wrong + styles, "\n".join((wrong + styles)[:40])


def test_a_long_name_breaks_after_a_dot_or_the_like_and_fits_on_a_phone(site, parsed):
    """A word of code breaks only where there is a <wbr>, and a phone has room for 36 letters."""
    there = (site / "equations" / "asap-3-21.html").read_text(encoding="utf-8")
    assert '>nobackprop/<wbr>studies/<wbr>forward_<wbr>alignment_<wbr>flow.<wbr>py:<wbr>' in there
    assert "<h1>nobackprop.<wbr>rules.<wbr>alignment_<wbr>support<" in (
        site / "api" / "nobackprop.rules.alignment_support.html").read_text(encoding="utf-8")
    wrong = [f"{path.relative_to(site)}: {word}" for path in parsed
             for word in re.findall(r'<span class="pre">(.*?)</span>', path.read_text(encoding="utf-8"))
             for piece in word.split("<wbr>") if len(unescape(piece)) > 36]
    assert not wrong, "\n".join(wrong[:40])


def test_there_are_pages_of_all_equations_and_rules(site):
    from nobackprop.rules import RULES
    from nobackprop.studies.equations import PAPERS
    from nobackprop.studies.equations.pages import address

    for paper in PAPERS:
        for equation in paper.equations:
            assert (site / address(paper, equation)).is_file()
    for name in RULES:
        assert (site / "rules" / f"{name}.html").is_file() and (site / "_static" / "rules" / f"{name}.svg").is_file()


@pytest.mark.parametrize("address", WITH_FORMULAS)
def test_all_formulas_are_drawn_and_pictures_are_there(address, visit):
    page = visit(address)
    formulas, drawn, errors, empty = page.evaluate(COUNTS)
    assert (drawn, errors, empty) == (formulas, 0, 0)
    if address.startswith("equations/") and "index" not in address:
        assert formulas >= 1
    assert page.evaluate(PICTURES) == []
    assert page.evaluate(CUT) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("address", TEN)
def test_no_page_is_wider_than_a_phone(address, dark, visit):
    page = visit(address, width=390, height=844, dark=dark)
    page.evaluate(COUNTS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390 and page.evaluate(LONG) == 0
    assert page.evaluate("document.documentElement.dataset.theme") == ("dark" if dark else "light")


@pytest.mark.parametrize("address", ["equations/las-24.html", "docs/how-do-i.html", "api/nobackprop.rules.html",
                                     "source/nobackprop/network.py.html", "notebooks/03-las.html"])
def test_a_line_of_120_letters_of_code_fits_on_a_desktop(address, visit):
    wide = visit(address, width=1280).evaluate("""() => {
      const pre = [...document.querySelectorAll(".highlight pre")].sort((a, b) => b.clientWidth - a.clientWidth)[0];
      const letter = document.createElement("span");
      letter.textContent = "x".repeat(120);
      pre.append(letter);
      const style = getComputedStyle(pre);
      const room = pre.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
      return room / letter.getBoundingClientRect().width;
    }""")
    assert wide >= 1


def test_the_table_of_rules_sorts_and_filters_by_keys(visit):
    page = visit("rules/index.html")
    names = "() => [...document.querySelectorAll('.nobackprop-rules tbody tr:not([hidden]) th')].map(t => t.innerText)"
    before = page.evaluate(names)
    page.focus(".nobackprop-rules thead button")
    page.keyboard.press("Enter")
    assert page.evaluate(names) == sorted(before)
    assert page.get_attribute(".nobackprop-rules thead th", "aria-sort") == "ascending"
    page.keyboard.press("Space")
    assert page.evaluate(names) == sorted(before, reverse=True)
    page.fill("#rules-filter", "yang park 2024")
    assert set(page.evaluate(names)) == {"las", "ltas", "shallow"}
    assert page.inner_text("#rules-count").startswith("3 of ")
    page.fill("#rules-filter", "no such rule")
    assert page.evaluate(names) == []


@pytest.mark.parametrize("words, address", [
    ("equation 24", "equations/las-24"), ("LAS (24)", "equations/las-24"), ("LAS 24", "equations/las-24"),
    ("equation 3.21", "equations/asap-3-21"), ("direct feedback alignment", "rules/dfa"), ("weight mirror", "rules/wm"),
    ("weight mirrors", "rules/wm"), ("target propagation", "rules/dtp"), ("Kolen-Pollack", "rules/kp")])
def test_the_search_lists_first_what_a_reader_looks_for(words, address, visit):
    page = visit(f"search.html?q={quote(words)}")
    page.wait_for_selector("#search-results li a")  # results come one by one, the best first
    found = page.eval_on_selector_all("#search-results li a", "all => all.map(one => new URL(one.href).pathname)")
    assert f"/{address}.html" in found[:2]


def test_a_search_for_any_equation_or_rule_lists_its_page_first(visit):
    """In what order Sphinx's script puts its results, without the page that shows them."""
    from nobackprop.rules import RULES
    from nobackprop.studies.equations import PAPERS
    from nobackprop.studies.equations.pages import address

    wanted = {f"{paper.key} ({one.number})": address(paper, one) for paper in PAPERS for one in paper.equations}
    wanted |= {name: f"rules/{name}.html" for name in RULES}
    page = visit("search.html?q=nothing+here")
    page.wait_for_function("Search.hasIndex()")
    found = page.evaluate("""words => words.map(one => Search._performSearch(...Search._parseQuery(one)).at(-1))
        .map(best => `${best[0]}.html`)""", list(wanted))
    assert dict(zip(wanted, found, strict=True)) == wanted


def test_pages_of_equations_lead_on_and_back(visit):
    page = visit("equations/las-24.html")
    assert page.get_attribute("a.right-next", "href") == "las-25.html"
    assert page.get_attribute("a.left-prev", "href") == "las-23.html"


def test_a_line_of_code_is_found_by_its_number(visit):
    page = visit("source/nobackprop/network.py.html#L20")
    page.wait_for_function("document.querySelector(':target').getBoundingClientRect().top < 900")


def test_a_fault_on_a_page_ends_a_test(visit):
    page = visit("index.html")
    page.evaluate("fetch('nowhere.json').catch(() => null)")
    page.evaluate("fetch('http://example.org/').catch(() => null)")
    page.evaluate("console.error('a fault')")
    said = "\n".join(visit.faults)
    assert "404" in said and "elsewhere: http://example.org/" in said and "failed: http://example.org/" in said
    assert "console: a fault" in said
    visit.faults.clear()


@pytest.mark.parametrize("address", ["nowhere.html", "docs/theory/nowhere.html"])
def test_a_wrong_address_shows_a_way_back(address, site, visit):
    """A server shows 404.html at the wrong address; from every folder it leads to the start."""
    page = visit("404.html")
    page.route("**/nowhere.html", lambda route: route.fulfill(status=200, path=site / "404.html"))
    asked = []
    page.on("response", lambda answer: asked.append(answer.status))
    page.goto(f"{page.url.rpartition('/')[0]}/{address}")
    page.wait_for_function("new URL(document.getElementById('home').href).pathname === '/index.html'")
    page.get_by_role("heading", name="There is no page at this address").wait_for()
    visit.faults[:] = [fault for fault in visit.faults if "searchindex.js" not in fault and "404" not in fault]


@pytest.mark.parametrize("address, there", [
    ("equations/al-4-8.html", "AL (4.7)"), ("equations/las-24.html", "LAS (23)"), ("docs/theory/las.html", "")])
def test_the_next_page_is_of_the_same_part_of_the_site(address, there, visit, site):
    page = visit(address)
    links = page.eval_on_selector_all(".prev-next-area a", "all => all.map(one => new URL(one.href).pathname)")
    assert all(link.rpartition("/")[0] == f"/{address}".rpartition("/")[0] for link in links) and links
    assert there in page.locator(".prev-next-area").inner_text()
