"""The locality tables in words: for a terminal, and as the page docs/locality.md."""
from __future__ import annotations

from collections.abc import Callable, Mapping

from ...rules import RULES, Rule, summary
from ..text import aligned, fold
from . import EVERY, HIDDEN, SEEDS, Locality, Reads, table


def condense(blocks: frozenset[int], every: frozenset[int] = EVERY) -> str:
    """Return a set of blocks in words.

    Parameters
    ----------
    blocks : frozenset of int
        The blocks, counted from 1.
    every : frozenset of int
        The set that is called 'all'.

    Returns
    -------
    str
        'all', '-' for none, 'last hidden only', or the numbers.

    Examples
    --------
    >>> [condense(frozenset(blocks)) for blocks in ((1, 2, 3, 4), (), (4,), (3, 1, 2))]
    ['all', '-', 'last hidden only', '1, 2, 3']
    """
    if not blocks:
        return "-"
    if blocks == every:
        return "all"
    return "last hidden only" if blocks == {len(HIDDEN)} else ", ".join(map(str, sorted(blocks)))


def span(blocks: frozenset[int]) -> str:
    """Return the weights of a set of blocks in words.

    Parameters
    ----------
    blocks : frozenset of int
        The blocks, counted from 1.

    Returns
    -------
    str
        A list of W_i, or the first and the last of three or more in a row.

    Examples
    --------
    >>> span(frozenset({2, 3, 4})), span(frozenset({5})), span(frozenset({1, 3})), span(frozenset())
    ('W_2 to W_4', 'W_5', 'W_1, W_3', '-')
    """
    low, high = min(blocks, default=0), max(blocks, default=0)
    if len(blocks) > 2 and len(blocks) == high - low + 1:
        return f"W_{low} to W_{high}"
    return ", ".join(f"W_{j}" for j in sorted(blocks)) or "-"


COLUMNS = ("weight transport", "waits for error", "backward locking", "bidirectional pairing", "by a pass")
FEEDBACK_COLUMNS = ("learns", "weights", "a_L", "y*", "recorded above")


def entries(row: Locality) -> tuple[str, ...]:
    """Return a row of the first table.

    Parameters
    ----------
    row : Locality
        What a rule reads.

    Returns
    -------
    tuple of str
        One entry for each of COLUMNS.

    Examples
    --------
    >>> entries(Locality(Reads(output=frozenset({1, 2, 3, 4})), Reads()))
    ('-', 'all', '-', '-', '-')
    """
    reads = row.hidden
    return (condense(reads.transport) + " (signs)" * reads.signs_alone, condense(reads.output),
            condense(reads.above), condense(reads.presynaptic), condense(reads.passes))


def feedback_entries(row: Locality) -> tuple[str, ...]:
    """Return a row of the second table.

    Parameters
    ----------
    row : Locality
        What a rule reads.

    Returns
    -------
    tuple of str
        One entry for each of FEEDBACK_COLUMNS.

    Examples
    --------
    >>> reads = Reads(learns=frozenset({1}), weights=frozenset({(1, 1)}), target=frozenset({1}))
    >>> feedback_entries(Locality(Reads(), reads, error_driven=True))
    ('with the error', 'W_i', '-', 'all', '-')
    """
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
    """Return the rows of the first table, and those of the second: the rules whose state learns."""
    return ([(name, *entries(row)) for name, row in rows.items()],
            [(name, *feedback_entries(row)) for name, row in rows.items() if row.feedback.learns])


def _idle(rows: Mapping[str, Locality]) -> list[str]:
    """Return a sentence for every rule under which some hidden blocks do not learn."""
    return [f"{name}: hidden block{'s' if len(idle) > 1 else ''} {condense(idle)} "
            f"{'do' if len(idle) > 1 else 'does'} not learn at all."
            for name, row in rows.items() if (idle := EVERY - row.hidden.learns)]


# ---------------------------------------------------------------- for a terminal


LEGEND = f"""\
Measured on a network of {len(HIDDEN)} hidden blocks, h_1 to h_{len(HIDDEN)}: NaN takes the place of one
thing, and an entry names the blocks whose gradients then change.
weight transport       the W of another block carries errors to them, or they
                       read it themselves
waits for error        they read a_L, so nothing moves before the network has
                       answered
backward locking       they read what hidden blocks above recorded, so those
                       come first
bidirectional pairing  they read the presynaptic activity of the very synapse
by a pass              they read the W of another block, only by running it
                       forwards once more
(signs)                they read only the signs of those weights
last hidden            the last hidden block only
`nobackprop rules` says what each rule is."""

FEEDBACK_LEGEND = """\
How the feedback learns: what moves B_i.
B_i is the matrix on h_i in direct rules, and the one in the place of W_i in wm
and kp."""


def show(rules: Mapping[str, Rule] = RULES, width: int = 80) -> str:
    """Return both tables for a terminal.

    Parameters
    ----------
    rules : mapping of str to Rule
        The rules, by the names that a user types.
    width : int
        The number of letters in a line.

    Returns
    -------
    str
        The tables and their legends.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> print(show({"dfa": get("dfa")}).splitlines()[2])
    dfa   -          all        -         all            -
    """
    rows = table(rules)
    first, second = _rows(rows)
    above, below = ([column.rpartition(" ")[part] for column in COLUMNS] for part in (0, 2))
    short = [[cell.replace(" only", "") for cell in row] for row in first]
    idle = [line for sentence in _idle(rows) for line in fold(sentence, width)]
    parts = [aligned([("", *above), ("rule", *below), *short], width=width), "\n".join([LEGEND, *idle])]
    if second:
        parts += [FEEDBACK_LEGEND, aligned([("rule", *FEEDBACK_COLUMNS), *second], width=width)]
    return "\n\n".join(parts)


# ---------------------------------------------------------------- for a code host


PAGE = """\
# What each rule reads

Backpropagation asks things of a synapse that a synapse cannot know, and most papers on learning without it begin with
a list of them. Here that list is a measurement. A forward pass is recorded. Then one thing is replaced by NaN,
everything else stays as it was, and the rule is asked for its gradients again. If the gradients of a block stay the
same, bit for bit, the block has not read that thing. No entry on this page is written by hand: `make locality` writes
it, and a test fails if it is not what the rules do. `nobackprop locality` prints the tables.

The network has {hidden} hidden blocks of one dense layer and tanh each, and an output block. Entries name hidden
blocks, counted **from 1** as the papers count h_1, h_2, ...; block i has the weights W_i, and W_{last} belongs to the
output block (W_L in the papers). The output block itself is left out, because most rules train it in the same way:
from its own input and the output error ({own} do not). Every entry is over {seeds} seeds.

{table}

{idle}

## The five columns

**Weight transport.** The W of another block is carried to the block, which no known synapse can do: in
backpropagation δ_i comes down through W_{{i+1}}ᵀ, LAS (7). *Measured:* NaN for the W of one other block at a time, in
the parameters that `credit` is given after the tape was recorded. That block itself is healthy upwards: in a further
forward pass it computes with its own W, and if the error is 0, what it sends down is 0. So whatever NaN reaches has
read W downwards, or as a number. *(signs)* means that other magnitudes with the same signs change nothing. This table
says whose W each hidden block reads in this way:

{transport}

So LAS and LTAS are not wholly free of weight transport: their last hidden block, and only that one, is taught by
W_Lᵀ e, LAS (23).

**Waits for the error.** The block reads the output of the network, so none of its synapses can move before the whole
network has answered. *Measured:* NaN for a_L on the tape. The target y\\* stays, so a rule that reads only the
target does not wait. Some rules compute a_L again, as predictive coding does. For them the output block says NaN if it
is given the input of the forward pass a second time, and this is measured as well.

**Backward locking.** The block reads what hidden blocks above it recorded, so these have to compute their part of the
error first, one after the other. *Measured:* for block i, NaN for the output and the caches of all hidden blocks above
i; a_L stays. The last hidden block has no hidden block above it, so it can never be in this column.

**Bidirectional pairing.** The error that reaches a neuron is multiplied with the activity that came in through the
very same synapse, so forward and feedback neurons have to be paired one to one (ASAP, section 2.4). *Measured:* NaN
for the input activity of the dense layer of the block. The output of that layer, at which f′ is taken, stays.

**By a pass.** The block reads the W of another block, but only because the rule runs that other block forwards once
more, as a synapse can do. *Measured:* NaN for W changes the gradients of the block, and no longer reaches them if the
other block is healthy upwards. `spsa` is in this column and not in the first one: it compares the losses of two
forward passes, and carries nothing down. The rules whose activities settle are in both columns: errors come down
through Wᵀ, and activities go up through W again.

## How the feedback learns

The table above is about W. Some rules have feedback weights that learn as well, and this section is about what those
read: a block may need no weight transport only because its feedback weights do the transport. B_i is the matrix on
hidden block i in direct rules (B_{{i+1}} in the LAS paper), and the one in the place of W_i in `wm` and `kp`. *Before
the error* is `align` in the code, *with the error* is `credit`. The poisons are the same, and there is one more, NaN
for y\\*. *weights* are the W that B_i reads; *a_L*, *y\\** and *recorded above* name the B_i, among those that
learn, that read these.

{feedback}

NaN shows that a number reaches someone. It does not show on which way. `wm` and `fdfa` never look at a W: they send
noise through the layers and read the activity that arrives. For `wm` this is the activity of one layer alone. For
`fdfa` it is a second pass through all blocks above the first, in which the noises of all blocks arrive together.
`adaptive-dfa` multiplies the matrices themselves: that is weight transport with a delay.

## What follows

{follows}
"""


def markdown(rules: Mapping[str, Rule] = RULES) -> str:
    """Return the page docs/locality.md as a whole.

    Parameters
    ----------
    rules : mapping of str to Rule
        The rules, by the names that a user types.

    Returns
    -------
    str
        The page, in Markdown.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> print(markdown({"dfa": get("dfa")}).splitlines()[0])
    # What each rule reads
    """
    rows = table(rules)
    first, second = _rows(rows)
    described = [(f"`{name}`", *rest, summary(name))
                 for name, *rest in first]
    return PAGE.format(
        hidden=len(HIDDEN), last=len(HIDDEN) + 1, seeds=len(SEEDS),
        own=", ".join(f"`{name}`" for name, rule in rules.items() if rule.output_learns != "from the error") or "none",
        table=_piped(("rule", *COLUMNS, "what it is"), described), idle="\n".join(_idle(rows)),
        transport=_piped(("rules", *(f"h_{i}" for i in sorted(EVERY))), _transported(rows)),
        feedback=_piped(("rule", *FEEDBACK_COLUMNS), [(f"`{name}`", *rest) for name, *rest in second]),
        follows=_follows(rows))


def _transported(rows: Mapping[str, Locality]) -> list[tuple[str, ...]]:
    """Return the rows that say whose W each hidden block reads; rules that read alike share a row."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, row in rows.items():
        signs = "signs of " * row.hidden.signs_alone
        read = [frozenset(j for k, j in row.hidden.carried if k == i != j) for i in sorted(EVERY)]
        groups.setdefault(tuple(f"{signs}{span(js)}" if js else "-" for js in read), []).append(f"`{name}`")
    return [(", ".join(names), *read) for read, names in groups.items()]


def _follows(rows: Mapping[str, Locality]) -> str:
    """Return a list that says when blocks could learn, for the rules that train every hidden block."""
    full = {name: row for name, row in rows.items() if row.hidden.learns == EVERY}

    def names(those: Callable[[Locality], object]) -> str:
        return ", ".join(f"`{name}`" for name, row in full.items() if those(row)) or "none"

    def early(reads: Reads) -> bool:
        return not (reads.output or reads.above or reads.transport or reads.passes)

    return "\n".join([
        "This list has the rules that train every hidden block, and follows from the entries above. (`al` learns by "
        "components. Its block 2 reads block 3, but both are parts of the last component; no component reads another, "
        "see [pipeline.md](pipeline.md).)\n",
        "- *During the forward pass*: a block could learn as soon as its own output is there, before the blocks above "
        f"have even begun: {names(lambda row: early(row.hidden))}.",
        "- *All blocks at once*: as soon as the output error is known, no block waits for another: "
        f"{names(lambda row: not row.hidden.above and not early(row.hidden))}.",
        f"- *One after the other*, from the top down: {names(lambda row: row.hidden.above)}.",
        "- The feedback weights themselves could learn *during the forward pass*, because they read neither the output "
        "nor anything above, not even weights: "
        f"{names(lambda row: row.feedback.learns and early(row.feedback))}.",
        "- No block and no feedback weight reads the W of another block, directly or through a pass: "
        f"{names(lambda row: not any(r.transport or r.passes for r in (row.hidden, row.feedback)))}."])


def _piped(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('*', chr(92) + '*') for cell in line)} |" for line in lines)
