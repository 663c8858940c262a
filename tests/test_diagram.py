"""The picture of a rule says what was measured of it: its arrows are read back from the SVG, and give its row."""
from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from functools import cache

import pytest

from nobackprop.cli import main
from nobackprop.errors import InputError
from nobackprop.rules import RULES, get
from nobackprop.studies import diagram
from nobackprop.studies.diagram import LAST, NAMES, Arrow, sentences, svg
from nobackprop.studies.locality import EVERY, measured

SPACE = "{http://www.w3.org/2000/svg}"
OWN = '''
from dataclasses import dataclass
from nobackprop.rules import FA, DFA
@dataclass(frozen=True)
class Mine(DFA):
    """DFA under another name."""
'''


@cache
def picture(name):
    return ET.fromstring(svg(get(name), name, measured(get(name))))


def read_back(root):
    """The arrows of a picture, as its SVG holds them."""
    return [Arrow(g.get("data-kind"), NAMES.index(g.get("data-from")), NAMES.index(g.get("data-to")),
                  g.get("data-through"), g.get("data-state"))
            for g in root.iter(f"{SPACE}g") if g.get("data-kind")]


def signals(found):
    return [arrow for arrow in found if arrow.kind == "signal"]


def reached(found, start):
    """The hidden blocks that something from `start` reaches along signals, and along a further pass it enters."""
    places, old = {start}, None
    while places != old:
        old = set(places)
        entered = {arrow.end for arrow in signals(found) if arrow.start == start and arrow.end < 2}
        places |= {arrow.end for arrow in found if arrow.start in places
                   and (arrow.kind == "signal" or arrow.kind == "pass" and entered)}
    return places & EVERY


def through_w(found, kinds):
    """Pairs of a block and a W through which a signal was carried that comes to the block along arrows of these kinds.

    If activities settle, what came down through W also goes up again, in the further pass.
    """
    pairs = set()
    for arrow in signals(found):
        for j in map(int, re.findall(r"W_(\d)", arrow.through)):
            places, old = {arrow.end}, None
            while places != old:
                old = set(places)
                places |= {other.end for other in found if other.kind in kinds and other.start in places}
            pairs |= {(i, j) for i in places & EVERY if i != j}
    return pairs


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_the_arrows_agree_with_the_row_of_the_locality_table(name):
    found, hidden = read_back(picture(name)), measured(get(name)).hidden
    assert reached(found, LAST) == hidden.output
    assert {arrow.end for arrow in signals(found) if arrow.start in EVERY} == hidden.above
    carried = {(i, j) for i, j in hidden.carried if i != j}
    assert through_w(found, ("signal",)) <= carried <= through_w(found, ("signal", "pass"))
    assert bool(hidden.passes) == any(arrow.kind == "pass" for arrow in found)
    assert hidden.passes <= {arrow.end for arrow in found if arrow.kind == "pass"}
    signs = [arrow.through.startswith("sign(") for arrow in signals(found) if "W" in arrow.through]
    assert all(signs) if hidden.signs_alone else not any(signs)
    dots = [c.get("class") for c in picture(name).findall(f"{SPACE}circle")][:len(hidden.learns & EVERY)]
    assert ["forward-head" in dot for dot in dots] == [i in hidden.presynaptic for i in sorted(hidden.learns & EVERY)]


@pytest.mark.parametrize("name", RULES)
def test_the_picture_is_well_formed_and_says_in_words_what_it_shows(name):
    root = picture(name)
    ids = [node.get("id") for node in root.iter() if node.get("id")]
    assert root.get("role") == "img" and sorted(root.get("aria-labelledby").split()) == sorted(ids)
    assert root.find(f"{SPACE}title").text == f"How {name} learns"
    told = root.find(f"{SPACE}desc").text
    for arrow in signals(read_back(root)):
        assert str(arrow)[1:] in told, arrow
    for sentence in sentences(get(name), measured(get(name))):
        assert sentence in told
    assert "http" not in re.sub(r'xmlns="[^"]*"', "", ET.tostring(root, encoding="unicode")).replace(SPACE[1:-1], "")
    width, height = (float(root.get(side)) for side in ("width", "height"))
    for text in root.iter(f"{SPACE}text"):
        # a letter is at most 0.65 of its size wide in the fonts that are named
        wide = sum(len(part) for part in text.itertext()) * 0.65 * float(text.get("font-size"))
        left = float(text.get("x")) - {"start": 0, "middle": wide / 2, "end": wide}[text.get("text-anchor")]
        assert left >= 0 and left + wide <= width and float(text.get("y")) < height, "".join(text.itertext())


def test_what_is_known_of_some_rules():
    """Anchors outside of the code: what the papers say."""
    of = {name: {str(arrow) for arrow in signals(read_back(picture(name)))} for name in ("bp", "fa", "dfa", "drtp",
                                                                                       "las", "pepita", "softhebb")}
    assert of["bp"] == {"the error e to h_4 through W_5", *(f"h_{i + 1} to h_{i} through W_{i + 1}" for i in (1, 2, 3))}
    assert "h_2 to h_1 through B_2 (fixed)" in of["fa"] and len(of["fa"]) == 4
    assert of["dfa"] == {f"the error e to h_{i} through B_{i} (fixed)" for i in EVERY}
    assert of["drtp"] == {f"y* to h_{i} through B_{i} (fixed)" for i in EVERY}
    assert of["las"] == {"the error e to h_4 through W_5",
                         *(f"the error e to h_{i} through B_{i} (learned)" for i in (1, 2, 3))}
    assert of["pepita"] == {"the error e to x through B (fixed)"}
    assert of["softhebb"] == set()


@pytest.mark.slow
def test_options_and_rules_of_ones_own_are_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(OWN)
    assert main(["draw", "mine.py:Mine", "--out", "mine.svg"]) == 0
    root = ET.parse(tmp_path / "mine.svg").getroot()
    assert signals(read_back(root)) == signals(read_back(picture("dfa")))
    assert main(["draw", "asap:k=4"]) == 0
    out = capsys.readouterr().out
    assert "asap:k=4" in ET.fromstring(out[out.index("<svg"):]).find(f"{SPACE}title").text


@pytest.mark.parametrize("typed, said", [
    (["draw", "lass"], "unknown rule 'lass': did you mean 'las'?"),
    (["draw", "asap:k=none"], "expected an integer for k"),
    (["draw", "las", "--out", "las.png"], "expected a name that ends in .svg"),
    (["draw", "las", "--out", "nowhere/las.svg"], "nowhere"),
    (["draw", "las,bp"], "expected one rule"),
    (["draw"], "RULE")])
def test_bad_input_is_told_in_one_sentence(typed, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(typed) == 2
    err = capsys.readouterr().err.strip()
    assert said in err and "Traceback" not in err and not list(tmp_path.iterdir())


def test_a_rule_that_cannot_learn_has_no_picture():
    from nobackprop.rules import Rule
    with pytest.raises(InputError, match="has no method 'credit'"):
        svg(Rule(), "nothing")


def test_a_name_with_signs_of_xml_is_text():
    root = ET.fromstring(diagram.svg(get("bp"), 'a<b>&"c".py:Mine'))
    assert root.find(f"{SPACE}title").text == 'How a<b>&"c".py:Mine learns'
