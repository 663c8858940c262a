"""docs/results.md, made of docs/results/template.txt: words, and fields that are read from the stored results.

`python -m nobackprop.experiments.report [FILE]` prints the page, or writes it to FILE.  A field such as
{xor[bp].test:.3f} is one of a `shelf.Shelf`; {papers.table} is the table of what was run of the papers.
"""
from __future__ import annotations

import re
import sys
import textwrap
from collections import ChainMap
from collections.abc import Mapping
from itertools import combinations
from typing import Any, cast

from ..studies.text import write_page
from .papers import EXHIBITS
from .shelf import STORED, Arm, File, Shelf

WIDTH = 124
TEMPLATE = STORED / "template.txt"


class Papers:
    """What was run of the papers' tables and figures.

    Parameters
    ----------
    shelf : Shelf
        The stored results.

    Examples
    --------
    >>> Papers(Shelf()).table.splitlines()[0]
    '| table or figure | what it shows | stored | scale | images | epochs | seeds | in order |'
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    @property
    def table(self) -> str:
        """A table with a line for each exhibit."""
        rows = [["table or figure", "what it shows", "stored", "scale", "images", "epochs", "seeds", "in order"],
                ["---"] * 8]
        for name, exhibit in EXHIBITS.items():
            found = self.shelf.of(name)
            rows.append([f"`{name}`", exhibit.title, *(["not run", *["-"] * 5] if found is None else self.told(found))])
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    @property
    def why_on_digits(self) -> str:
        """What the comparison on digits says of DFA and the floor, see `why`."""
        return why(self.shelf["digits_conv"], RULES, 2)

    @property
    def why_on_digits_later(self) -> str:
        """The same after more epochs."""
        return why(self.shelf["digits_conv_60"], RULES, 2)

    @property
    def why(self) -> str:
        """What las:order says of DFA and the floor, see `why`; or how to run it, if it was not run."""
        found = self.shelf.of("las:order")
        return why(found) if found else (
            "Whether DFA lies above or below the floor after a longer training, and why, is open: `make papers-runs "
            "PAPERS=las:order` runs it, with both kinds of B, with the modules of the text and of the published code, "
            "and with a control whose convolutions keep their first weights.")

    def told(self, found: File) -> list[str]:
        """Return what is told of a file of results."""
        config = found.config
        right, wrong, pairs = order(found)
        return [f"[{len(found.arms)} of {len(EXHIBITS[config['exhibit']].arms)} arms](results/{found.name}.json)",
                config["scale"], f"{config['training_samples']:,}", str(found.epochs),
                str(max(arm.seeds for arm in found.arms.values())),
                f"{right} of {pairs}, {wrong} contrary" if pairs else "-"]


def order(found: File) -> tuple[int, int, int]:
    """Compare the order of arms with the printed one.

    Parameters
    ----------
    found : File
        The stored results of an exhibit.

    Returns
    -------
    right, wrong, pairs : int
        How many pairs of arms stand in the printed order; how many in the contrary one by more than the larger spread;
        and how many have different printed numbers.

    Examples
    --------
    >>> order(Shelf()["asap_table_5_5"])
    (6, 0, 6)
    """
    printed = {label: number for label, number in found.config["printed"].items() if number is not None}
    pairs = [(high, low) for high, low in combinations(sorted((label for label in found.arms if label in printed),
                                                              key=lambda label: -printed[label]), 2)
             if printed[high] != printed[low]]
    return (sum(found[high].test > found[low].test for high, low in pairs),
            sum(found[low].above(found[high]) for high, low in pairs), len(pairs))


LABELS = {"kernel": "dfa, kernel", "control": "dfa, dense blocks alone"}  # of las:order
RULES = {"kernel": "dfa:kernel=yes", "control": "nobackprop.experiments.papers.las:DenseBlocksDFA"}  # of a comparison


def why(found: File, labels: Mapping[str, str] = LABELS, convolutions: int = 3) -> str:
    """Say where DFA lies next to the floor in runs of a convolutional network, and which run shows the reason.

    Parameters
    ----------
    found : File
        The stored results of las:order, or of a comparison.
    labels : mapping
        What DFA with one kernel-shaped B is called there, "kernel", and the control whose convolutions keep their first
        weights, "control".
    convolutions : int
        How many convolutions the network has.

    Returns
    -------
    str
        Sentences whose words, as well as numbers, follow from the results.
    """
    floor, dense, kernel, control, las = (found[label] for label in (
        "shallow", "dfa", labels["kernel"], labels["control"], "las"))
    if control.above(dense):
        reason, but = "because what it teaches the convolutions is worse than nothing", "it reaches"
    elif dense.above(control):
        reason, but = "because it teaches the convolutions something", "it reaches only"
    else:
        helps = [one > other for one, other in zip(dense.each, control.each, strict=False)]
        reason, but = ("and what it teaches the convolutions matters little" if len(set(helps)) == 1 else
                       f"and what it teaches the convolutions helps with {sum(helps)} of {len(helps)} seeds and harms "
                       "with the others"), "it reaches"
    late = 100 * (dense.validation(-1) - dense.validation(-1 - dense.epochs // 3))
    length = "Longer training may change this:" if abs(late) > 1 else "At the end it hardly changes any more:"
    rates = {own["lr"] for own in found.config["rule_settings"].values()} or {found.config["lr"]}
    rate = (f"All rules have the rate {rates.pop():g}, which was not searched." if len(rates) == 1
            else "Each rule has a rate of its own.")
    return (f"**DFA lies {place(dense, floor)} the floor after {dense.epochs} epochs** ({dense.both}, the floor "
            f"{floor.both}) **{reason}**: if they keep their first weights, and the same signals reach the dense "
            f"blocks alone, {but} {control.both}, which is {place(control, floor)} the floor. The cosines of its "
            f"signals with BP's in the convolutions are {_cosines(dense, convolutions)}; those of LAS are "
            f"{_cosines(las, convolutions)}. {length} in the last third of the epochs its validation accuracy changes "
            f"by {late:+.1f} points. {rate} With one kernel-shaped B for all positions, as in the published code, it "
            f"reaches {kernel.both}, which is {place(kernel, dense)} the dense B and {place(kernel, floor)} the floor.")


def _cosines(arm: Arm, blocks: int) -> str:
    """The cosines in the lowest blocks."""
    return ", ".join(f"{cosine or 0:z.3f}" for cosine in arm.cosine[:blocks])


def place(one: Arm, other: Arm) -> str:
    """Say where an arm lies next to another one.

    Examples
    --------
    >>> place(Arm(({"test_accuracy": 0.5},)), Arm(({"test_accuracy": 0.75},)))
    'below'
    """
    return "above" if one.above(other) else "below" if other.above(one) else "level with"


def markdown(shelf: Shelf | None = None, template: str | None = None) -> str:
    """Return docs/results.md.

    Parameters
    ----------
    shelf : Shelf, optional
        The stored results; those of the repository if it is left out.
    template : str, optional
        The words and the fields; those of docs/results/template.txt if they are left out.

    Returns
    -------
    str
        The page.

    Raises
    ------
    InputError
        If a field names what is not stored.

    Examples
    --------
    >>> markdown(template="BP reaches {xor[bp].test:.2f}.")
    'BP reaches 0.96.'
    """
    shelf = Shelf() if shelf is None else shelf
    text = TEMPLATE.read_text(encoding="utf-8") if template is None else template
    fields: Any = ChainMap({"papers": Papers(shelf)}, cast(Any, shelf))
    return filled(text.format_map(fields))


def filled(text: str) -> str:
    r"""Return a Markdown text whose paragraphs and list items have lines of up to WIDTH letters.

    Code, tables, headings and pictures stay as they are.

    Examples
    --------
    >>> filled("one\ntwo\n\n- three\n  four\n- five\n\n| a |\n| b |")
    'one two\n\n- three four\n- five\n\n| a |\n| b |'
    """
    done, code = [], False
    for paragraph in text.split("\n\n"):
        fences = paragraph.count("```")
        if code or fences or paragraph.lstrip("\n").startswith(("|", "#", "!")):
            done.append(paragraph)
        else:
            items = re.split(r"\n(?=- )", paragraph)
            done.append("\n".join(textwrap.fill(" ".join(item.split()), WIDTH, break_long_words=False,
                                                break_on_hyphens=False, subsequent_indent="  " * item.startswith("- "))
                                  for item in items) + "\n" * (paragraph.endswith("\n")))
        code ^= fences % 2 == 1
    return "\n\n".join(done)


if __name__ == "__main__":
    write_page(sys.argv[1:], "nobackprop.experiments.report", markdown)
