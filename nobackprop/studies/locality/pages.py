"""The locality table in words: for a terminal, and as the page docs/locality.md."""
from __future__ import annotations

from collections.abc import Callable, Mapping

from ...rules import summary
from . import EVERY, HIDDEN, SEEDS, Locality, Reads, table


def condense(blocks: frozenset[int], every: frozenset[int] = EVERY) -> str:
    """A set of blocks in words.

    >>> [condense(frozenset(blocks)) for blocks in ((1, 2, 3, 4), (), (4,), (3, 1, 2))]
    ['all', '-', 'last hidden only', '1, 2, 3']
    """
    if not blocks:
        return "-"
    if blocks == every:
        return "all"
    return "last hidden only" if blocks == {len(HIDDEN)} else ", ".join(map(str, sorted(blocks)))


def span(blocks: frozenset[int]) -> str:
    """The weights of a set of blocks in words.

    >>> span(frozenset({2, 3, 4})), span(frozenset({5})), span(frozenset({1, 3})), span(frozenset())
    ('W_2 to W_4', 'W_5', 'W_1, W_3', '-')
    """
    low, high = min(blocks, default=0), max(blocks, default=0)
    if len(blocks) > 2 and len(blocks) == high - low + 1:
        return f"W_{low} to W_{high}"
    return ", ".join(f"W_{j}" for j in sorted(blocks)) or "-"


COLUMNS = ("weight transport", "waits for the error", "backward locking", "bidirectional pairing")
FEEDBACK_COLUMNS = ("learns", "weights", "a_L", "y*", "recorded above")


def entries(row: Locality) -> tuple[str, ...]:
    """A row of the table, one entry for each of COLUMNS."""
    reads = row.hidden
    return (condense(reads.transport) + " (signs)" * reads.signs_alone, condense(reads.output),
            condense(reads.above), condense(reads.presynaptic))


def feedback_entries(row: Locality) -> tuple[str, ...]:
    """A row of the second table, one entry for each of FEEDBACK_COLUMNS."""
    reads, last = row.feedback, len(HIDDEN) + 1
    of = {i: reads.of(i) for i in sorted(reads.learns)}
    if all(js == {i} for i, js in of.items()):
        read = "W_i"
    elif all(js == set(range(i + 1, last + 1)) for i, js in of.items()):
        read = f"W_(i+1) to W_{last}"
    elif len(set(of.values())) == 1:
        read = span(of[min(of)])
    else:
        read = "; ".join(f"B_{i}: {span(js)}" for i, js in of.items() if js)
    return ("with the error" if row.error_driven else "before the error", read,
            *(condense(blocks, reads.learns) for blocks in (reads.output, reads.target, reads.above)))


def _rows(rows: Mapping[str, Locality]) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    return ([(name, *entries(row)) for name, row in rows.items()],
            [(name, *feedback_entries(row)) for name, row in rows.items() if row.feedback.learns])


def _idle(rows: Mapping[str, Locality]) -> list[str]:
    return [f"{name}: hidden blocks {condense(EVERY - row.hidden.learns)} do not learn at all."
            for name, row in rows.items() if row.hidden.learns != EVERY]


# ---------------------------------------------------------------- for a terminal


LEGEND = f"""\
Measured with NaN on {len(HIDDEN)} hidden blocks, h_1 to h_{len(HIDDEN)}; an entry names those whose gradients change.
weight transport       they read the W of another block
waits for the error    they read a_L, so nothing moves before the network has answered
backward locking       they read what hidden blocks above recorded, so those come first
bidirectional pairing  they read the synapse's own presynaptic activity
(signs): of those weights the signs alone.  `nobackprop rules` says what each rule is."""

FEEDBACK_LEGEND = """\
How the feedback learns: what moves B_i (on h_i in direct rules, in the place of W_i in wm and kp)."""


def show() -> str:
    """Both tables for a terminal of 100 columns."""
    rows = table()
    first, second = _rows(rows)
    return "\n\n".join([_aligned(("rule", *COLUMNS), first), "\n".join([LEGEND, *_idle(rows)]), FEEDBACK_LEGEND,
                        _aligned(("rule", *FEEDBACK_COLUMNS), second)])


def _aligned(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
                     for line in (head, *rows))


# ---------------------------------------------------------------- for a code host


PAGE = """\
# What each rule reads

Backpropagation asks things of a synapse that a synapse cannot know, and most papers on learning without it begin with
a list of them. Here that list is a measurement. A forward pass is recorded; then one thing is replaced by
NaN and the rule is asked for its gradients again, everything else being as it was. A block whose gradients stay the
same, bit for bit, has not read that thing. No entry on this page is typed: `make locality` writes it, and a test fails
where it is not what the rules do. `nobackprop locality` prints the tables.

The network has {hidden} hidden blocks of one dense layer and tanh each, and an output block. Entries name hidden
blocks, counted **from 1** as the papers count h_1, h_2, ...; block i has the weights W_i, and W_{last} is the output
block's, the papers' W_L. The output block itself is left out: under most rules it learns alike, from its
own input by the output error (not under `foa`, `as`, `asap`, `al` and `spsa`). Every entry is over {seeds} seeds.

{table}

{idle}

## The four columns

**Weight transport.** The block reads the W of another block, which no known synapse can do: in backpropagation δ_i
comes down through W_{{i+1}}ᵀ, LAS (7). *Measured:* NaN for the W of one other block at a time, in the parameters that
`credit` is given after the tape was recorded. *(signs)* stands where other magnitudes of the same signs change
nothing. Whose W it is:

{transport}

So LAS and LTAS are not wholly free of it: their last hidden block is taught by W_Lᵀ e, LAS (23), and that one alone.

**Waits for the error.** The block reads the network's output, so none of its synapses can move before the whole
network has answered. *Measured:* NaN for a_L on the tape; not for y\\*, so a rule that reads the target alone
passes. (A rule that computed a_L again by itself would stand in the columns before and after this one instead.)

**Backward locking.** The block reads what hidden blocks above it recorded, so they have to work out their part of the
error first, one after the other. *Measured:* for block i, NaN for the output and the caches of all hidden blocks above
i; a_L stays. The last hidden block has none above it and can never be on the list.

**Bidirectional pairing.** The error that reaches a neuron is multiplied with the activity that came in through the
very same synapse, so forward and feedback neurons have to be paired one to one (ASAP, section 2.4). *Measured:* NaN
for the input activity of the block's dense layer; its output, of which f′ is taken, stays.

## How the feedback learns

The table above is about W. Some rules have feedback weights that learn as well, and what those read is another matter:
blocks that transport no weights may owe it to feedback weights that do. B_i is the matrix on hidden block i in
direct rules (B_{{i+1}} in the LAS paper), and the one in the place of W_i in `wm` and `kp`. *Before the error* is
`align` in the code, *with the error* is `credit`. The poisons are the same, and NaN for y\\* beside them:
*weights* are the W that B_i reads; *a_L*, *y\\** and *recorded above* name the B_i that read those, of all that learn.

{feedback}

NaN shows who is reached by a number, not on which way. `wm` and `fdfa` never look at a W: they send noise through
the layers and read the activity that arrives, which for `wm` is that of one layer alone, and for `fdfa` a second
pass through all blocks above the first, whose noises arrive together. `adaptive-dfa` multiplies the matrices
themselves: that is weight transport, only delayed.

## What follows

{follows}
"""


def markdown() -> str:
    """The page docs/locality.md, whole."""
    rows = table()
    first, second = _rows(rows)
    described = [(f"`{name}`", *rest, summary(name))
                 for name, *rest in first]
    return PAGE.format(
        hidden=len(HIDDEN), last=len(HIDDEN) + 1, seeds=len(SEEDS),
        table=_piped(("rule", *COLUMNS, "what it is"), described), idle="\n".join(_idle(rows)),
        transport=_piped(("rules", *(f"h_{i}" for i in sorted(EVERY))), _transported(rows)),
        feedback=_piped(("rule", *FEEDBACK_COLUMNS), [(f"`{name}`", *rest) for name, *rest in second]),
        follows=_follows(rows))


def _transported(rows: Mapping[str, Locality]) -> list[tuple[str, ...]]:
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, row in rows.items():
        signs = "signs of " * row.hidden.signs_alone
        read = [row.hidden.of(i) - {i} for i in sorted(EVERY)]
        groups.setdefault(tuple(f"{signs}{span(js)}" if js else "-" for js in read), []).append(f"`{name}`")
    return [(", ".join(names), *read) for read, names in groups.items()]


def _follows(rows: Mapping[str, Locality]) -> str:
    """Which blocks could learn when, as a list; of rules that train every hidden block."""
    full = {name: row for name, row in rows.items() if row.hidden.learns == EVERY}

    def names(those: Callable[[Locality], object]) -> str:
        return ", ".join(f"`{name}`" for name, row in full.items() if those(row)) or "none"

    def early(reads: Reads) -> bool:
        return not (reads.output or reads.above or reads.transport)

    return "\n".join([
        "Of the rules that train every hidden block, by the entries above (`al` learns by components: what its block 2 "
        "reads of block 3 is its own, as both are parts of the last component; between components nothing is read, see "
        "[pipeline.md](pipeline.md)):\n",
        "- *During the forward pass*: a block could learn as soon as its own output is there, before the blocks above "
        f"have even begun: {names(lambda row: early(row.hidden))}.",
        "- *All blocks at once*, as soon as the output error is known, none waiting for another: "
        f"{names(lambda row: not row.hidden.above and not early(row.hidden))}.",
        f"- *One after the other*, from the top down: {names(lambda row: row.hidden.above)}.",
        "- The feedback weights themselves could learn *during the forward pass*, needing neither output nor anything "
        "above, weights included: "
        f"{names(lambda row: row.feedback.learns and early(row.feedback))}.",
        "- No block and no feedback weight reads another block's W, directly or through a pass: "
        f"{names(lambda row: not row.hidden.transport and not row.feedback.transport)}."])


def _piped(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('*', chr(92) + '*') for cell in line)} |" for line in lines)
