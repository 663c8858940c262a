"""The picture of a rule: the forward path, the feedback path and the signals, drawn from what the rule reads.

Nothing here knows a rule by its name.  `arrows` measures, by the poisons of `locality`, from where the error comes to
each hidden block and through which weights; `svg` draws what was measured, as a file that needs nothing else.

A picture has the network of `locality`: x at the bottom, hidden blocks h_1 to h_4, the output a_L, and the target y*
next to it.  The error e is where a_L and y* meet.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from html import escape
from typing import Any, Literal

import numpy as np

from ..feedback import weights
from ..network import Network
from ..rules import Rule, describe
from ..tree import Tree, leaves, tree_map
from .locality import EVERY, HIDDEN, Given, Locality, gradients, locality, nan, same_bits, trial
from .locality.pages import condense

LAST = len(HIDDEN) + 1  # the output block, whose output is a_L
TARGET = LAST + 1
NAMES = ("x", *(f"h_{i}" for i in sorted(EVERY)), "a_L", "y*")
Kind = Literal["forward", "signal", "pass", "activity"]
State = Literal["", "fixed", "learned", "drawn anew"]


@dataclass(frozen=True)
class Arrow:
    """One arrow of a picture, from one place to another.

    Attributes
    ----------
    kind : {"forward", "signal", "pass", "activity"}
        *forward*: the forward path.  *signal*: what tells a block how to change, from above.  *pass*: a further pass
        forwards.  *activity*: other weights than W, through which the activity of an update comes.
    start, end : int
        Places: 0 is x, 1 to 4 are the hidden blocks, 5 is a_L and 6 is y*.
    through : str
        What carries it: W and a number, B and a number, or nothing.
    state : {"", "fixed", "learned", "drawn anew"}
        Of weights B: whether they move.

    Examples
    --------
    >>> str(Arrow("signal", 5, 1, "B_1", "fixed"))
    'the error e to h_1 through B_1 (fixed)'
    """

    kind: Kind
    start: int
    end: int
    through: str = ""
    state: State = ""

    def __str__(self) -> str:
        start = "the error e" if self.kind == "signal" and self.start == LAST else NAMES[self.start]
        through = f" through {self.through}" if self.through else ""
        return f"{start} to {NAMES[self.end]}{through}{f' ({self.state})' if self.state else ''}"


@dataclass(frozen=True)
class _Weights:
    """Weights in the state of a rule: their shape, the hidden blocks that read them, and those that need them."""

    shape: tuple[int, ...]
    readers: frozenset[int]
    needed: frozenset[int]  # whose gradients are 0 if these weights are
    state: State


def arrows(rule: Rule, row: Locality | None = None) -> list[Arrow]:
    """Measure from where signals come to each hidden block, and through which weights.

    Parameters
    ----------
    rule : Rule
        The rule.
    row : Locality, optional
        What `locality` has measured of it; it is measured again if it is left out.

    Returns
    -------
    list of Arrow
        The forward path, from x to a_L, and then all other arrows.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> [str(arrow) for arrow in arrows(get("las")) if arrow.kind == "signal"][:2]
    ['the error e to h_4 through W_5', 'the error e to h_3 through B_3 (learned)']
    """
    row = locality(rule) if row is None else row
    net, given = trial(rule, 0)
    shapes = [next(W.shape for _, W in leaves(weights(params))) for params in given.params]
    held = _held(rule, net, given)
    found = [Arrow("forward", i, i + 1, f"W_{i + 1}") for i in range(LAST)]
    below = _enters(held, row, shapes)
    if below:
        start = LAST if below[1].readers <= row.hidden.output else TARGET
        found.append(Arrow("signal", start, below[0], "B", below[1].state))
    for i in sorted(row.hidden.learns & EVERY, reverse=True):
        if i in row.hidden.above:
            start = i + 1
        elif below:
            continue  # what enters below reaches the block in the further pass
        elif i in row.hidden.output:
            start = LAST
        elif i in row.hidden.target:
            start = TARGET
        else:
            continue  # nothing from above tells the block how to change
        found.append(Arrow("signal", start, i, *_carrier(i, start, row, held, shapes)))
    again = {j for i, j in row.hidden.weights - row.hidden.carried if i != j} | row.hidden.passes
    found += [Arrow("pass", j - 1, j) for j in range((below[0] if below else 0) + 1, max(again, default=0) + 1)]
    for i in range(1, LAST):
        beside = [one for one in held if one.shape == shapes[i - 1] and min(one.readers, default=0) > i
                  and not one.needed]
        found += [Arrow("activity", i - 1, i, f"B_{i}", one.state) for one in beside]
    return found


def _held(rule: Rule, net: Network, given: Given) -> list[_Weights]:
    """Measure which hidden blocks read each of the matrices in the state of a rule, and which need it."""
    def learn(leaf: Any, new: Callable[[Any], Any]) -> list[Tree]:
        state = tree_map(lambda other: new(other) if other is leaf else other, given.state)
        with np.errstate(all="ignore"):
            return gradients(net, rule, replace(given, state=state))[0][:-1]

    def blocks(those: Iterable[bool]) -> frozenset[int]:
        return frozenset(i for i, that in enumerate(those, 1) if that)

    rng = [np.random.default_rng(seed) for seed in (0, 0, 1)]
    align = rule.align(net, given.params, given.state, given.tape, given.y, rng[0])
    credit = rule.credit(net, given.params, given.state, given.tape, given.y, rng[1])
    moved = {path for tree in (align, credit.state) for path, _ in leaves(tree)}
    again = dict(leaves(rule.refresh(rng[2], given.state)))
    before, found = learn(None, nan), []
    for path, leaf in leaves(given.state):
        if getattr(leaf, "ndim", 0) == 2 and leaf.dtype.kind == "f":
            ill, none = learn(leaf, nan), learn(leaf, np.zeros_like)
            state: State = ("learned" if path in moved
                            else "fixed" if np.array_equal(again[path], leaf) else "drawn anew")
            found.append(_Weights(
                leaf.shape, blocks(not same_bits(u, v) for u, v in zip(before, ill, strict=True)),
                blocks(any(True for _ in leaves(tree)) and not any(np.any(g) for _, g in leaves(tree))
                       for tree in none), state))
    return found


def _width(shapes: list[tuple[int, ...]], i: int) -> int:
    """Return the number of units of h_i; h_0 is x."""
    return shapes[i - 1][0] if i else shapes[0][1]


def _enters(held: list[_Weights], row: Locality, shapes: list[tuple[int, ...]]) -> tuple[int, _Weights] | None:
    """Return the lowest place that weights lead to from the output, and the weights, if blocks above it read them.

    They can read them only in a further pass, which what enters there goes up in.
    """
    return next(((i, one) for i in range(LAST) for one in held
                 if row.hidden.passes and one.shape == (_width(shapes, LAST), _width(shapes, i))
                 and max(one.readers, default=0) > i), None)


def _carrier(i: int, start: int, row: Locality, held: list[_Weights],
             shapes: list[tuple[int, ...]]) -> tuple[str, State]:
    """Return the weights through which a signal comes to block i, and whether they move."""
    own = (_width(shapes, LAST), _width(shapes, i))
    direct = [one for one in held if one.shape == own and (i in one.needed or one.readers == {i})]
    if start == i + 1:
        if (i, start) in row.hidden.carried:
            return f"{'sign(' * row.hidden.signs_alone}W_{start}{')' * row.hidden.signs_alone}", ""
        above = shapes[start - 1]
        # direct rules have a matrix for each block; that of the last hidden block has the shape of the output's W
        others = any(one.readers == {k} and one.shape == (own[0], _width(shapes, k))
                     for k in range(1, LAST - 1) for one in held)
        for one in held:
            if one.shape in (above, above[::-1]) and i in one.needed and not (others and one in direct):
                return f"B_{start}", one.state
    # one matrix may serve several blocks, which use as many of its columns as they have units
    shared = [one for one in held if one.shape[0] == own[0] and i in one.needed
              and len(one.readers - row.hidden.above) > 1]
    for one in (shared if start > i + 1 or not direct else []):
        return "B", one.state
    return next(((f"B_{i}", one.state) for one in direct), ("", ""))


# ---------------------------------------------------------------- in words


def sentences(rule: Rule, row: Locality | None = None) -> list[str]:
    """Say in sentences what a rule reads: its row of the table of `locality`.

    Parameters
    ----------
    rule : Rule
        The rule.
    row : Locality, optional
        What `locality` has measured of it; it is measured again if it is left out.

    Returns
    -------
    list of str
        One sentence for each column of the table, and one about blocks that do not learn if there are any.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> sentences(get("dfa"))[0]
    'Weight transport: none. No hidden block is sent anything through the W of another block.'
    """
    row = locality(rule) if row is None else row
    reads = row.hidden
    signs = "the signs of " if reads.signs_alone else ""
    found = [_said("Weight transport", reads.transport,
                   f"{{}} sent errors through {signs}the W of another block, or reads it",
                   "No hidden block is sent anything through the W of another block"),
             _said("Waits for the error", reads.output, "{} reads a_L, so it cannot move before the network has "
                   "answered", "No hidden block reads a_L: each can move before the network has answered"),
             _said("Backward locking", reads.above, "{} waits for what hidden blocks above it have recorded",
                   "No hidden block waits for another one above it"),
             _said("Bidirectional pairing", reads.presynaptic, "The update of {} multiplies the error with the "
                   "activity that came through the very same synapses", "No update does so"),
             _said("Further passes", reads.passes, "{} reads the W of another block, because the rule runs that block "
                   "forwards once more", "No hidden block depends on a further pass through another one")]
    learned = row.feedback.learns
    if learned:
        when = "with the error" if row.error_driven else "before the error is known"
        found.append(f"What learns in addition to W, such as feedback weights: it moves {when}.")
    if EVERY - reads.learns:
        found.append(f"Not trained at all: {_blocks(EVERY - reads.learns)}.")
    return found


def plain(rule: Rule, row: Locality | None = None) -> str:
    """Say in a few plain sentences from where the signals come to the hidden blocks.

    Parameters
    ----------
    rule : Rule
        The rule.
    row : Locality, optional
        What `locality` has measured of it; it is measured again if it is left out.

    Returns
    -------
    str
        The sentences.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> plain(get("dfa"))
    'The output error e comes directly to every hidden block, through fixed weights B.'
    """
    found = arrows(rule, locality(rule) if row is None else row)
    signals = [arrow for arrow in found if arrow.kind == "signal"]
    groups: dict[tuple[str, str], set[int]] = {}
    for arrow in signals:
        way = ("enters" if any(other.kind == "pass" for other in found) and arrow.end < 2 and len(signals) == 1
               else "target" if arrow.start == TARGET
               else "above" if arrow.start - arrow.end == 1 and (arrow.end, arrow.start) != (LAST - 1, LAST)
               else "error")
        groups.setdefault((way, _weights(arrow)), set()).add(arrow.end)
    said = {"enters": "The error enters the network again at {place}{through}, and a further pass carries it up.",
            "target": "The target y* comes directly to {blocks}{through}.",
            "error": "The output error e comes directly to {blocks}{through}.",
            "above": "What a block has heard goes down from h_{top} to {blocks}{through}: each block waits for the one "
                     "above it.",
            "all": "The output error e goes down block by block{through}: each block waits for the one above it."}
    for way, through in list(groups):
        if way == "above" and groups.get(("error", through)) == {LAST - 1}:
            groups["all", through] = groups.pop((way, through)) | groups.pop(("error", through))
    last = f"the last hidden block, h_{LAST - 1}"
    texts = [said[way].format(place=NAMES[min(ends)], top=max(ends) + 1, through=through,
                              blocks=last if ends == {LAST - 1} else _blocks(frozenset(ends)))
             for (way, through), ends in groups.items()]
    if any(arrow.kind == "pass" for arrow in found) and not any(way == "enters" for way, _ in groups):
        texts.append("The rule also runs blocks forwards once more before they learn.")
    if any(arrow.kind == "activity" for arrow in found):
        texts.append("The updates use an activity that came through other weights than W.")
    if not signals:
        texts = ["Nothing from above tells a hidden block how to change: it learns from its own input and output."]
    return " ".join(texts)


def _weights(arrow: Arrow) -> str:
    """Return in words what a signal goes through."""
    if not arrow.through:
        return ""
    if "W" in arrow.through:
        return f", through {'the signs of ' * arrow.through.startswith('sign')}the network's own weights W"
    return {"fixed": ", through fixed weights B", "learned": ", through weights B that learn",
            "drawn anew": ", through weights B that are drawn anew at each step"}[arrow.state]


def _blocks(blocks: frozenset[int]) -> str:
    """Return hidden blocks in words."""
    named = condense(blocks)
    return {"all": "every hidden block", "last hidden only": f"the last hidden block, h_{len(HIDDEN)}, alone"}.get(
        named, " and ".join(f"h_{name}" for name in named.split(", ")).replace(" and ", ", ", named.count(", ") - 1))


def _said(title: str, blocks: frozenset[int], some: str, none: str) -> str:
    """Return a sentence about the blocks of one column."""
    if not blocks:
        return f"{title}: none. {none}."
    text = some.format(_blocks(blocks))
    if some.startswith("{}") and len(blocks) > 1 and blocks != EVERY:
        text = text.replace(" reads ", " read ").replace(" waits ", " wait ").replace(" it ", " they ").replace(
            "above they", "above them")
    if title == "Weight transport":
        text = text.replace(" sent ", " is sent " if len(blocks) == 1 or blocks == EVERY else " are sent ", 1)
    return f"{title}: {condense(blocks)}. {text if text.startswith('h_') else text[0].upper() + text[1:]}."


# ---------------------------------------------------------------- as a picture


WIDTH, TOP, STEP, BOX, TALL = 456, 70, 88, (92, 204), 36  # the picture's width; rows; the left and right of a block
FORWARD, BACK, AGAIN, GOAL = 122, 174, 44, 150  # columns: forward path, feedback path, further pass, y* from a block on
INK = {"light": {"ground": "#ffffff", "ink": "#1f2933", "faint": "#6b7783", "box": "#f1f4f7", "signal": "#b04a00",
                 "pass": "#0065a3", "activity": "#00724f"},
       "dark": {"ground": "#14181d", "ink": "#e6eaee", "faint": "#9aa7b4", "box": "#252c34", "signal": "#ff9c5a",
                "pass": "#6cb8f0", "activity": "#5fd3a8"}}
SUBSCRIPT = re.compile(r"(?<=\b[WBha])_([0-9L])")
LEGEND = {"forward": "forward path", "signal": "what tells a block how to change", "pass": "a further pass forwards",
          "activity": "activity of the update, through other weights"}


def style(theme: str, scope: str = ".nobackprop-diagram") -> str:
    """Return the colours of all pictures as CSS.

    Parameters
    ----------
    theme : {"light", "dark"}
        Which colours.
    scope : str
        A CSS selector of the pictures.

    Returns
    -------
    str

    Examples
    --------
    >>> style("light").splitlines()[0]
    '.nobackprop-diagram .ground{fill:#ffffff}'
    """
    ink = INK[theme]
    lines = [f".ground{{fill:{ink['ground']}}}", f".box{{fill:{ink['box']};stroke:{ink['ink']}}}",
             f".text{{fill:{ink['ink']}}}", f".faint{{fill:{ink['faint']}}}",
             f".forward{{stroke:{ink['ink']}}}", f".forward-head{{fill:{ink['ink']}}}"]
    for kind in ("signal", "pass", "activity"):
        lines += [f".{kind}{{stroke:{ink[kind]}}}", f".{kind}-head,.{kind}-text{{fill:{ink[kind]}}}"]
    return "\n".join(",".join(f"{scope} {one}" for one in _selectors(line)) + line[line.index("{"):] for line in lines)


def _selectors(line: str) -> list[str]:
    return line[:line.index("{")].split(",")


def svg(rule: Rule, name: str | None = None, row: Locality | None = None) -> str:
    """Draw a rule.

    Parameters
    ----------
    rule : Rule
        The rule; its options count.
    name : str, optional
        What the picture calls it; the text by which `rules.get` knows it if it is left out.
    row : Locality, optional
        What `locality` has measured of it; it is measured again if it is left out.

    Returns
    -------
    str
        A picture in SVG, with a title and a description in words, in light and dark colours as the reader has chosen.

    Raises
    ------
    InputError
        If the rule cannot learn, or not with the network of `locality`.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> svg(get("dfa")).count('data-kind="signal"')
    4
    """
    name = describe(rule) if name is None else name
    row = locality(rule) if row is None else row
    found = arrows(rule, row)
    kinds = [kind for kind in LEGEND if any(arrow.kind == kind for arrow in found)]
    dots = [(len(row.hidden.presynaptic), "filled", "this update pairs the error with this activity"),
            (len(row.hidden.learns & EVERY - row.hidden.presynaptic), "hollow", "this update uses another activity")]
    notes = [(mark, text) for count, mark, text in dots if count]
    height = _y(0) + TALL // 2 + 28 + 20 * (len(kinds) + len(notes))
    told = " ".join([*(f"{str(arrow)[0].upper()}{str(arrow)[1:]}." for arrow in found if arrow.kind != "forward"),
                     *sentences(rule, row)])
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" class="nobackprop-diagram" role="img" '
             f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
             f'font-family="system-ui, \'DejaVu Sans\', sans-serif" font-size="15" '
             f'aria-labelledby="{_id(name)}-title {_id(name)}-desc">',
             f'<title id="{_id(name)}-title">{escape(f"How {name} learns")}</title>',
             f'<desc id="{_id(name)}-desc">{escape(f"Forward from x through h_1 to h_{len(HIDDEN)} to a_L. {told}")}'
             "</desc>",
             f'<style>\n{style("light")}\n@media (prefers-color-scheme: dark) {{\n{style("dark")}\n}}\n</style>',
             f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
             _text(16, 26, name, "text", size=17, bold=True)]
    parts += [_box(i, i not in row.hidden.learns and i in EVERY) for i in range(TARGET)]
    parts += [_box(TARGET, False), *_meeting(found)]
    lanes = sorted({arrow.end for arrow in found if arrow.kind == "signal" and arrow.start - arrow.end > 1})
    parts += [_drawn(arrow, lanes) for arrow in found]
    parts += [_dot(i, "filled" if i in row.hidden.presynaptic else "hollow")
              for i in sorted(row.hidden.learns & EVERY)]
    y = _y(0) + TALL // 2 + 30
    for kind in kinds:
        parts += [_line(kind, f"M16,{y - 5} H46", False), _text(56, y, LEGEND[kind], "faint", size=13)]
        y += 20
    for mark, text in notes:
        parts += [_circle(31, y - 5, mark), _text(56, y, text, "faint", size=13)]
        y += 20
    return "\n".join([*parts, "</svg>\n"])


def _id(name: str) -> str:
    """Return a name as an id of XML."""
    return "nobackprop-" + "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in name)


def _y(place: int) -> int:
    """Return the middle of a place's row."""
    return TOP + STEP * (LAST - min(place, LAST))


def _box(place: int, idle: bool) -> str:
    """Draw a place: a block with what it gives, x, or the target."""
    left, right = (BOX[1] + GOAL, WIDTH - 16) if place == TARGET else BOX
    dashed = ' stroke-dasharray="5 4" opacity="0.7"' if idle else ""
    round_ = TALL // 2 if place in (0, TARGET) else 6
    return (f'<rect class="box" x="{left}" y="{_y(place) - TALL // 2}" width="{right - left}" height="{TALL}" '
            f'rx="{round_}"{dashed}/>'
            + _text((left + right) / 2, _y(place) + 5, NAMES[place], "text", "middle"))


def _meeting(found: list[Arrow]) -> list[str]:
    """Draw where the output and the target meet: the error e."""
    if not any(arrow.start == LAST and arrow.kind == "signal" for arrow in found):
        return []
    y, left, right = _y(LAST), BOX[1], BOX[1] + GOAL
    return [f'<path class="faint-line signal" d="M{left},{y} H{right}" fill="none" stroke-width="1.2" '
            'stroke-dasharray="2 3"/>', _text((left + right) / 2, y - 8, "e = a_L \N{MINUS SIGN} y*", "signal-text",
                                              "middle", size=13)]


def _drawn(arrow: Arrow, lanes: list[int]) -> str:
    """Draw an arrow and what it goes through."""
    start, end = _y(arrow.start), _y(arrow.end)
    label = arrow.through + "ᵀ" * (arrow.kind == "signal" and "W" in arrow.through)
    if arrow.kind == "forward":
        path, at, anchor = f"M{FORWARD},{start - TALL // 2} V{end + TALL // 2 + 3}", (FORWARD - 10, end + 50), "end"
    elif arrow.kind in ("pass", "activity"):
        x = AGAIN if arrow.kind == "pass" else AGAIN - 4
        path = f"M{BOX[0]},{start - 8} C{x},{start - 20} {x},{end + 24} {BOX[0] - 3},{end + 8}"
        at, anchor = (x + 2, (start + end) // 2 + 5), "end"
    elif arrow.start - arrow.end == 1 and arrow.start <= LAST:
        path, at, anchor = f"M{BACK},{start + TALL // 2} V{end - TALL // 2 - 3}", (BACK + 9, end - 36), "start"
    else:
        # a lane of its own for each block, so that no two arrows lie on each other
        lane = BOX[1] + 84 + 18 * (len(lanes) - 1 - lanes.index(arrow.end))
        if arrow.start == TARGET:
            lane += 78
            path = f"M{lane},{start + TALL // 2} V{end - 10} Q{lane},{end} {lane - 10},{end} H{BOX[1] + 3}"
        else:
            path = (f"M{BOX[1]},{start + 6} H{lane - 10} Q{lane},{start + 6} {lane},{start + 16} V{end - 10} "
                    f"Q{lane},{end} {lane - 10},{end} H{BOX[1] + 3}")
        at, anchor = (BOX[1] + 12, end - 7), "start"
    said = _text(*at, label, "faint" if arrow.kind == "forward" else f"{arrow.kind}-text", anchor, size=14,
                 note=arrow.state if arrow.kind == "signal" else "") if label else ""
    return (f'<g data-kind="{arrow.kind}" data-from="{escape(NAMES[arrow.start])}" data-to="{NAMES[arrow.end]}" '
            f'data-through="{arrow.through}" data-state="{arrow.state}">'
            f"{_line(arrow.kind, path, True)}{_head(arrow, lanes)}{said}</g>")


def _line(kind: str, path: str, thick: bool) -> str:
    """Draw the line of an arrow."""
    dashes = {"pass": ' stroke-dasharray="3 4"', "activity": ' stroke-dasharray="8 4"'}.get(kind, "")
    return f'<path class="{kind}" d="{path}" fill="none" stroke-width="{2 if thick else 2.4}"{dashes}/>'


def _head(arrow: Arrow, lanes: list[int]) -> str:
    """Draw the head of an arrow; a marker would not take the colour of its line everywhere."""
    end = _y(arrow.end)
    if arrow.kind == "forward":
        x, y, way = FORWARD, end + TALL // 2 + 1, (0, 1)
    elif arrow.kind in ("pass", "activity"):
        x, y, way = BOX[0] - 1, end + 8, (-1, 0)
    elif arrow.start - arrow.end == 1 and arrow.start <= LAST:
        x, y, way = BACK, end - TALL // 2 - 1, (0, -1)
    else:
        x, y, way = BOX[1] + 1, end, (1, 0)
    dx, dy = way
    return (f'<path class="{arrow.kind}-head" d="M{x},{y} L{x + 9 * dx - 5 * dy},{y + 9 * dy - 5 * dx} '
            f'L{x + 9 * dx + 5 * dy},{y + 9 * dy + 5 * dx} Z"/>')


def _dot(block: int, mark: str) -> str:
    """Draw the synapse of a block: filled if its update reads the activity that came through it."""
    return _circle(FORWARD, _y(block) + TALL // 2 + 30, mark)


def _circle(x: float, y: float, mark: str) -> str:
    """Draw a synapse."""
    return f'<circle class="forward {"forward-head" if mark == "filled" else "ground"}" cx="{x}" cy="{y}" r="4.5" ' \
           'stroke-width="1.6"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start", *, size: int = 15, bold: bool = False,
          note: str = "") -> str:
    """Write a text; in a name such as W_5 what follows the _ is set lower and smaller."""
    low, spans = 0.25 * size, [""]
    for number, part in enumerate(SUBSCRIPT.split(text)):
        if number % 2:
            spans.append(f'<tspan dy="{low:g}" font-size="{0.72 * size:g}">{escape(part)}</tspan>')
        elif part:
            spans.append(f'<tspan dy="{-low:g}">{escape(part)}</tspan>' if number else escape(part))
    if note:
        back = f' dy="{-low:g}"' if "font-size" in spans[-1] else ""
        spans.append(f'<tspan dx="5"{back} font-size="{0.8 * size:g}">{note}</tspan>')
    weight = ' font-weight="bold"' if bold else ""
    return (f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}"{weight}>'
            f'{"".join(spans)}</text>')
