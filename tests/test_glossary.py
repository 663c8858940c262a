"""docs/glossary.md: its names are in the code, its equations are the first, and no symbol and no option is missing."""
from __future__ import annotations

import ast
import re
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from nobackprop.rules import RULES
from nobackprop.studies.equations import PAPERS

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "glossary.md").read_text(encoding="utf-8")
SECTIONS = {"LAS": "Symbols of LAS", "ASAP": "Symbols of the thesis on ASAP", "AL": "Symbols of associated learning"}
OTHERS = "Symbols and options of other rules"
# letters of a derivative, of a printed word, and of a name that one row has whole
NO_SYMBOL = {"LAS": {"dL", "da", "cross", "entropy"}, "ASAP": {"read", "write", "n"}, "AL": {"local", "obj", "o", "l"}}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line[1:-1].split("|")]


TABLES = {title: [cells(line) for line in text.splitlines() if line.startswith("|")][2:]
          for title, text in re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)}
SYMBOLS = [pytest.param(row, id=f"{title}: {row[0]} {row[4]}") for title in (*SECTIONS.values(), OTHERS)
           for row in TABLES[title]]


def plain(tex: str) -> str:
    r"""A symbol as the equations' plain text has it: \mathbf B_{i+1} is B_{i+1}, \tilde{\mathbf h}_l is h~_l."""
    text = re.sub(r"\\(?:mathbf|mathcal|mathrm|text)\b\s*", " ", tex.strip("$"))
    text = re.sub(r"\\tilde\s*\{?\s*\\?([A-Za-z]+)\}?", r"\1~", text)
    text = re.sub(r"\\hat\s*\{?\s*(\w)\}?", r"\1^", text)
    return re.sub(r"[{}\\]", "", text).replace("^*", "*").replace("ell", "l").strip()


def tokens(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z]+'?", text))


@cache
def names(file: Path) -> set[str]:
    """Every name, argument, attribute and key in a file of code."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        for field in ("id", "attr", "arg", "name"):
            if isinstance(getattr(node, field, None), str):
                found.add(getattr(node, field))
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found


@pytest.mark.parametrize("row", SYMBOLS)
def test_the_names_in_the_code_are_there(row):
    assert len(row) == 6 and row[1], row
    file = DOCS / re.fullmatch(r"\[(.*)\]\((.*)\)", row[5])[2]
    assert file.is_file() and file.name == re.match(r"\[(.*?)\]", row[5])[1]
    wanted = {name for code in re.findall(r"`(.*?)`", row[4]) for name in re.findall(r"[A-Za-z_]\w*", code)} - {"len"}
    assert wanted and wanted <= names(file), wanted - names(file)
    for rule in re.findall(r"`(.*?)`", row[2]):
        assert rule in RULES or row[2] == "most with `B`"


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.key)
def test_the_equation_is_the_first_with_the_symbol(paper):
    numbers = [equation.number for equation in paper.equations]
    found = 0
    for symbol, _, first, *_ in TABLES[SECTIONS[paper.key]]:
        if not (told := re.fullmatch(rf"{paper.key} \((.*)\)", first)):
            assert first.split()[0] in ("section", "Algorithm", "Fig."), first
            continue
        assert told[1] in numbers
        head = re.match(r"[A-Za-z]+(?:-[a-z]+)?(?:\^\+?|[~'*]*)", plain(re.findall(r"\$.*?\$", symbol)[0]))
        if head is None or head[0] == "circ":
            continue
        before = "A-Za-z" if symbol.startswith("$\\text") else "A-Za-z^"  # BP stands above a delta, and T may do so
        alone = "" if "_" in symbol or "'" in symbol else "_"
        pattern = rf"(?<![{before}]){re.escape(head[0])}" + rf"(?![A-Za-z~'*{alone}])" * head[0][-1].isalpha()
        at = next((one.number for one in paper.equations if re.search(pattern, one.text)), None)
        assert at == told[1], (symbol, head[0])
        found += 1
    assert found >= 12


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.key)
def test_no_symbol_of_an_equation_is_missing(paper):
    there = tokens(" ".join(plain(tex) for row in TABLES[SECTIONS[paper.key]]
                            for tex in re.findall(r"\$.*?\$", row[0])))
    used = set().union(*(tokens(one.text) for one in paper.equations))
    missing = {token for token in used if token not in there and token.rstrip("'") not in there}
    assert missing <= NO_SYMBOL[paper.key], missing


def test_no_option_of_a_rule_is_missing():
    options = {(name, field.name) for name, rule in RULES.items() for field in fields(rule)}
    told = {(rule, option) for _, text, rules, _, code, _ in TABLES[OTHERS]
            for rule in re.findall(r"`(.*?)`", rules) for option in re.findall(r"`(.*?)`", code + text)}
    assert {one for one in options if one[1] != "draw"} <= told, options - told
    assert any(one[1] == "draw" for one in told)


def test_no_symbol_of_the_notation_is_missing():
    words = tokens(plain(PAGE))
    page = (DOCS / "notation.md").read_text(encoding="utf-8")
    for tex in re.findall(r"\$(.*?)\$", page):
        assert {token.rstrip("'") for token in tokens(plain(tex))} - {"cdot", "partial", "times"} <= words, tex


def test_words_stand_in_order_and_lead_somewhere():
    words = [row[0] for row in TABLES["Words"]]
    assert words == sorted(words) and len(words) == len(set(words)) >= 40
    for word, what, more in TABLES["Words"]:
        assert what and (DOCS / re.fullmatch(r"\[.*\]\((.*?)(#.*)?\)", more)[1]).is_file(), word


def test_the_list_of_contents_is_the_page():
    assert re.findall(r"^\d+\. \[(.*?)\]", PAGE, re.MULTILINE) == list(TABLES)
