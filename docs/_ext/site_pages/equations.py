"""A page for each equation: as printed, as computed, the code with its line marked, tests, notebook cells, rules."""
from __future__ import annotations

import ast
import inspect
import json
import re
from collections import defaultdict
from functools import cache
from html import escape

from nobackprop.rules import RULES, Rule
from nobackprop.studies.equations import PAPERS, Equation, Paper, Place, collect
from nobackprop.studies.equations.pages import address, places_of
from nobackprop.studies.equations.paper import KINDS

from .links import ROOT, link, relative

SHORT = {"code": "Code", "test": "Tests", "cell": "Notebooks"}
GLOSSARY = {"LAS": "Symbols of LAS", "ASAP": "Symbols of the thesis on ASAP", "AL": "Symbols of associated learning"}
KEYS = [(paper, equation) for paper in PAPERS for equation in paper.equations]


@cache
def collected() -> list[Place]:
    """Return every tag of the repository, collected once."""
    return collect()


def pages() -> dict[str, str]:
    """Return the pages of all equations and their index, by their paths on the site."""
    places = collected()
    made = {"equations/index.md": index(places)}
    for paper, equation in KEYS:
        made[address(paper, equation).replace(".html", ".md")] = page(paper, equation, places)
    return made


def prose(text: str) -> str:
    """Return a text in which no sign is markup of Markdown."""
    return escape(text, quote=False).replace("*", r"\*").replace("_", r"\_").replace("$", r"\$")


def found_by(*words: str) -> str:
    """Return what makes a page the first that a search for these words lists; there is no comma in them."""
    return f"```{{index}} {', '.join(f'! {one}' for one in words)}\n```\n"


def index(places: list[Place]) -> str:
    """Return the list of all equations in the order of their papers."""
    parts = ["# Equations\n", "Each numbered equation of the papers has a page: its printed form, the form that is "
             "computed, the line of code that computes it, the tests that hold it, and the rules that use it. "
             "`nobackprop equations LAS 24` says the same in a terminal.\n"]
    for paper in PAPERS:
        rows = []
        for equation in paper.equations:
            found = places_of(paper, equation, places)
            counts = [str(len({(place.path, place.test or place.name, place.cell) for place in found[kind]}) or "")
                      for kind in SHORT]
            wrong = "printed wrongly" if equation.corrected else ""
            rows.append(f"| [({equation.number})]({name_of(paper, equation)}.md) | {equation.section} | "
                        f"{prose(equation.meaning)} | {wrong} | {' | '.join(counts)} |")
        parts += [f"## {prose(paper.title)}\n", f"{prose(paper.reading)}\n",
                  "| number | section | what it says | | code | tests | cells |\n|---|---|---|---|---|---|---|",
                  *rows, "\n```{toctree}", ":hidden:", f":caption: {paper.key}", "",
                  *(name_of(paper, equation) for equation in paper.equations), "```\n"]
    return "\n".join(parts)


def name_of(paper: Paper, equation: Equation) -> str:
    """Return the name of the page of an equation, without its folder and its ending."""
    return address(paper, equation).rpartition("/")[2].removesuffix(".html")


def page(paper: Paper, equation: Equation, places: list[Place]) -> str:
    """Return the page of one equation.

    Parameters
    ----------
    paper : Paper
        The paper.
    equation : Equation
        The equation.
    places : list of Place
        All places that carry a tag.

    Returns
    -------
    str
        The page, in Markdown.
    """
    found, here = places_of(paper, equation, places), address(paper, equation)
    used, everywhere = rules_of(found["code"])
    key, number = paper.key, equation.number
    parts = [f"# {key} ({number})\n",
             found_by(f"{key} ({number})", f"{key} {number}", f"equation {number} of {key}",
                      f"equation ({number}) of {key}"),
             f"{prose(paper.title)}, section {equation.section}.\n", f"**{prose(equation.meaning)}**\n"]
    if equation.corrected:
        parts += ["## As printed\n", tex(equation.tex), "## As computed\n", tex(equation.corrected_tex),
                  f":::{{warning}}\nPrinted wrongly. {prose(equation.reason)} See [errata](../docs/errata.md).\n:::\n"]
    else:
        parts.append(tex(equation.tex))
    parts += [f"*{note}*\n" for note in (
        prose(equation.note), prose(f"Not in scope: {equation.later}.") if equation.later else "",
        KINDS[equation.kind] if not found["code"] else "") if note]
    parts += ["## Symbols\n", "| symbol | is |\n|---|---|",
              *(f"| {symbol} | {what} |" for symbol, what in symbols(paper, equation)),
              f"\nThe [glossary](../docs/glossary.md#{GLOSSARY[paper.key].lower().replace(' ', '-')}) has their shapes "
              "and their names in the code. [Notation](../docs/notation.md) says which way round a matrix stands.\n"]
    told = ("every rule; this line belongs to the network or to the optimiser" if everywhere
            else ", ".join(f"[{name}](../rules/{name}.md)" for name in used) or "none computes it in a step")
    parts += ["## Where it is used\n", f"**Rules that use it:** {told}.\n"]
    if first := next(iter(used), "bp" if everywhere else ""):
        parts.append(f'<a class="nobackprop-button" href="../playground.html#rule={first}&amp;task=digits">Try it: '
                     f"<code>{first}</code> in your browser</a>\n")
    parts += [f"In a terminal, `nobackprop equations {paper.key} {equation.number}` says what is on this page.\n"]
    for kind in ("code", "test"):
        if found[kind]:
            parts.append(f"## {SHORT[kind]}\n")
        parts += [shown(path, span, group, here, kind == "code") for (path, span), group in
                  grouped(found[kind]).items()]
    if found["cell"]:
        parts.append(f"## {SHORT['cell']}\n")
        cells: dict[tuple[str, int], list[Place]] = defaultdict(list)
        for place in found["cell"]:
            assert place.cell is not None
            cells[place.path, place.cell].append(place)
        parts += [cell(path, number, group) for (path, number), group in cells.items()]
    return "\n".join(parts)


@cache
def glossary(key: str) -> list[list[str]]:
    """Return the rows of the glossary's table of the symbols of a paper."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    section = text.split(f"\n## {GLOSSARY[key]}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]


def symbols(paper: Paper, equation: Equation) -> list[tuple[str, str]]:
    """Return the symbols of an equation, each with what the glossary says of it.

    Parameters
    ----------
    paper : Paper
        The paper.
    equation : Equation
        The equation.

    Returns
    -------
    list of (str, str)
        In the order of the glossary.
    """
    there = set(re.findall(NAME, f"{equation.text} {equation.corrected}"))
    there |= {name.lstrip("^") for name in there - {"^T"}}  # a transpose is no T
    there |= {name.rstrip("~'*^+") for name in there}
    found = []
    for symbol, what, first, *_ in glossary(paper.key):
        names = {name for formula in re.findall(r"\$.*?\$", symbol) for name in re.findall(NAME, plain(formula))[:1]}
        elsewhere = first.startswith("section") and first.split()[1].split(".")[0] != equation.section.split(".")[0]
        if names & there and not elsewhere and not first.startswith("Algorithm"):
            found.append((symbol, what))
    return found


NAME = r"\^?[A-Za-z]+(?:[~'*]|\^\+)*"


def plain(formula: str) -> str:
    r"""Return a formula as an equation's plain text has it: \mathbf B_{i+1} is B_{i+1}, \tilde{\mathbf h}_l is h~_l."""
    text = re.sub(r"\\(?:mathbf|mathcal|mathrm|text)\b\s*", " ", formula.strip("$"))
    text = re.sub(r"\\tilde\s*\{?\s*\\?([A-Za-z]+)\}?", r"\1~", text)
    text = re.sub(r"\\hat\s*\{?\s*(\w)\}?", r"\1", text)
    return re.sub(r"[{}\\]", "", text).replace("^*", "*").replace("ell", "l").strip()


def tex(formula: str) -> str:
    """Return a formula on lines of its own."""
    return f"```{{math}}\n{formula}\n```\n"


def grouped(places: list[Place]) -> dict[tuple[str, tuple[int, int]], list[Place]]:
    """Return places by the file and by the lines of the function around them."""
    groups: dict[tuple[str, tuple[int, int]], list[Place]] = defaultdict(list)
    for place in places:
        groups[place.path, around(place)].append(place)
    return groups


@cache
def functions(path: str) -> list[tuple[str, int, int]]:
    """Return the functions of a file: the qualified name, the first line (that of a decorator), and the last one."""
    found = []

    def walk(node: ast.AST, outer: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = outer
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{outer}.{child.name}".lstrip(".")
                if not isinstance(child, ast.ClassDef):
                    first = min([child.lineno, *(one.lineno for one in child.decorator_list)])
                    found.append((name, first, child.end_lineno or child.lineno))
            walk(child, name)

    walk(ast.parse((ROOT / path).read_text(encoding="utf-8")), "")
    return found


def around(place: Place) -> tuple[int, int]:
    """Return the first and the last line of the function around a place, or of the whole test."""
    name = place.test or place.name
    fitting = [(first, last) for one, first, last in functions(place.path)
               if one == name and first <= place.line <= last]
    return max(fitting, default=(max(place.line - 3, 1), place.line + 3))


def shown(path: str, span: tuple[int, int], places: list[Place], page: str, whole: bool) -> str:
    """Return a function of the package or a test, with the tagged lines marked.

    Parameters
    ----------
    path : str
        The file in the repository.
    span : (int, int)
        The first and the last line.
    places : list of Place
        The tagged lines in it.
    page : str
        The page of the site on which it is shown.
    whole : bool
        Whether the function is there to read at once; if not, the tagged lines are, and the rest unfolds.

    Returns
    -------
    str
    """
    first, last = span
    lines = (ROOT / path).read_text(encoding="utf-8").split("\n")
    tagged = sorted({place.line for place in places})
    name = places[0].test or places[0].name
    head = f"{link(f'`{path}:{tagged[0]}`', path, page, f'L{tagged[0]}')} in `{name}`\n"
    block = code(lines[first - 1:last], first, [line - first + 1 for line in tagged])
    if whole:
        return f"{head}\n{block}"
    short = code([lines[line - 1].strip() for line in tagged], 0, [])
    return f"{head}\n{short}\n<details><summary>the whole test</summary>\n\n{block}\n</details>\n"


def code(lines: list[str], start: int, marked: list[int]) -> str:
    """Return lines of Python as a block; a `start` of 0 numbers no lines."""
    options = ([f":lineno-start: {start}"] if start else []) + (
        [f":emphasize-lines: {','.join(map(str, marked))}"] if marked else [])
    return "\n".join(["````{code-block} python", *options, "", *lines, "````\n"])


def cell(path: str, number: int, places: list[Place]) -> str:
    """Return a code cell of a notebook, with the tagged lines marked."""
    notebook = json.loads((ROOT / path).read_text(encoding="utf-8"))
    source = [one for one in notebook["cells"] if one["cell_type"] == "code"][number - 1]["source"]
    stem = path.rpartition("/")[2]
    return (f"[{stem.removesuffix('.ipynb')}](../notebooks/{stem}), code cell {number}\n\n"
            + code("".join(source).split("\n"), 0, sorted({place.line for place in places})))


# ---------------------------------------------------------------- which rules use an equation


CORE = ("nobackprop/layers.py", "nobackprop/network.py", "nobackprop/optim.py")


def rules_of(places: list[Place]) -> tuple[list[str], bool]:
    """Return the rules that run one of these lines of code, and whether every rule does.

    Parameters
    ----------
    places : list of Place
        Places in the code of the package.

    Returns
    -------
    list of str
        The names, in the order of `RULES`.
    bool
        True if a line belongs to layers, to the network or to an optimiser, which every rule uses.
    """
    used = [name for name, rule in RULES.items() if any(runs(rule, place) for place in places)]
    return used, not used and any(place.path in CORE for place in places)


def runs(rule: Rule, place: Place) -> bool:
    """Say whether a rule runs a tagged line: it has the method around it, or its file uses the function around it."""
    module = place.path.removesuffix(".py").replace("/", ".")
    owner, _, method = place.name.partition(".")
    if place.path.startswith("nobackprop/rules/"):
        for kind in type(rule).__mro__:
            own = vars(kind).get(method.partition(".")[0])
            if own is None:
                continue
            if (kind.__module__, kind.__name__) == (module, owner):
                return True
            if "super()." not in inspect.getsource(own):
                return False
        return False
    return place.path not in CORE and owner in imported(type(rule).__module__).get(module.rpartition(".")[2], ())


@cache
def imported(module: str) -> dict[str, set[str]]:
    """Return the names that a file of rules takes from each other module of the package."""
    found: dict[str, set[str]] = defaultdict(set)
    path = ROOT / f"{module.replace('.', '/')}.py"
    if path.is_file():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                found[node.module.rpartition(".")[2]] |= {alias.name for alias in node.names}
    return found


@cache
def of_rule(name: str) -> list[tuple[Paper, Equation]]:
    """Return the equations that are special to a rule: those whose lines it runs and not every rule."""
    places = collected()
    return [(paper, equation) for paper, equation in KEYS
            if any(runs(RULES[name], place) for place in places_of(paper, equation, places)["code"])]


def go(page: str, paper: Paper, equation: Equation) -> str:
    """Return the way from a page of the site to the page of an equation."""
    return relative(address(paper, equation), page)
