"""What the three papers claim, and what became of it: docs/claims.md, made of data.

`python -m nobackprop.experiments.claims [FILE]` prints the page, or writes it to FILE.

A claim says in a few words of our own what a paper says and where, what decides it, and the verdict.  What decides it
is a theorem of docs/theory, stored runs, what a rule was measured to read, or the paper's own table.  Numbers on the
page are read from there; none is typed.  A run, a measurement and a table come with a function that says whether they
show what the claim says: a test holds every verdict against it.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from ... import rules
from ...errors import InputError
from ...studies.locality import EVERY, measured
from ...studies.theorems import Statement, statements
from ..shelf import Shelf, spelt

Verdict = Literal["holds", "does not hold", "holds under a condition", "not tested at this scale"]
VERDICTS: tuple[Verdict, ...] = ("holds", "does not hold", "holds under a condition", "not tested at this scale")


@dataclass(frozen=True)
class Theorem:
    """A statement of docs/theory that decides a claim.

    Parameters
    ----------
    page, name : str
        The name of the page, and what the page calls the statement.

    Examples
    --------
    >>> Theorem("kolen-pollack", "Theorem 5").statement.tests != ()
    True
    """

    page: str
    name: str

    @property
    def statement(self) -> Statement:
        """The statement, as the index of theorems has it."""
        found = [one for one in _index() if (one.page, one.name) == (self.page, self.name)]
        if len(found) != 1:
            raise InputError(f"there are {len(found)} statements {self.name} on the page {self.page}, expected one")
        return found[0]

    def command(self, shelf: Shelf) -> str:
        """Return the command that shows it."""
        return f'nobackprop theorems {self.page} "{self.name}"'

    def text(self, shelf: Shelf) -> str:
        """Return what is said of it: its condition."""
        one = self.statement
        return f"[{one.name}](theory/{one.page}.md) ({one.title}). Condition: {one.condition}."

    def shows(self, shelf: Shelf) -> bool | None:
        """Return None: a theorem is held by its own tests."""
        return None

    def denies(self, shelf: Shelf) -> bool | None:
        """Return None, as `shows`."""
        return None


@cache
def _index() -> tuple[Statement, ...]:
    return tuple(statements())


@dataclass(frozen=True)
class Shown:
    """What shows a claim or denies it, by a function of facts: the base of the four kinds below.

    Parameters
    ----------
    source : str
        Where the facts come from.
    says : str
        What they show, as a format string on `fields`.
    holds : callable
        holds(facts) says whether they show what the claim says.
    fails : callable, optional
        fails(facts) says whether they show that it fails; of a claim that holds under a condition, without the
        condition.  A claim that is not tested may have small runs, of which both functions say no.

    Examples
    --------
    >>> runs = Runs("xor", "{xor[bp].test:.2f}", lambda shelf: shelf["xor"]["bp"].above(shelf["xor"]["dfa"]))
    >>> runs.text(Shelf()), runs.shows(Shelf()), runs.denies(Shelf())
    ('0.96 (runs: [xor](results/xor.json))', True, None)
    """

    source: str
    says: str
    holds: Callable[[Any], bool]
    fails: Callable[[Any], bool] | None = None

    def facts(self, shelf: Shelf) -> Any:
        """Return what `holds` and `fails` are asked about."""
        return shelf

    def fields(self, shelf: Shelf) -> Mapping[str, Any]:
        """Return what `says` names."""
        return shelf

    def link(self) -> str:
        """Return words that say where the facts come from."""
        raise NotImplementedError

    def command(self, shelf: Shelf) -> str:
        """Return the command that shows them."""
        raise NotImplementedError

    def text(self, shelf: Shelf) -> str:
        """Return what the facts show, and where they come from."""
        return f"{self.says.format_map(self.fields(shelf))} ({self.link()})"

    def shows(self, shelf: Shelf) -> bool | None:
        """Say whether the facts show what the claim says."""
        return bool(self.holds(self.facts(shelf)))

    def denies(self, shelf: Shelf) -> bool | None:
        """Say whether they show that it fails without the condition; None if nothing is said of that."""
        return None if self.fails is None else bool(self.fails(self.facts(shelf)))


class Runs(Shown):
    """Stored runs; `source` is the name of a file in docs/results, without .json.

    Examples
    --------
    >>> Runs("xor", "", lambda shelf: True).command(Shelf())[:30]
    'nobackprop compare --data xor '
    """

    def link(self) -> str:
        """Return words that lead to the file."""
        return f"runs: [{self.source}](results/{self.source}.json)"

    def command(self, shelf: Shelf) -> str:
        """Return the command that runs them again."""
        return str(shelf[spelt(self.source)].command)


class Table(Shown):
    """The paper's own printed numbers; `source` is the table as `nobackprop papers` names it.

    Examples
    --------
    >>> table = Table("las:table-2-mnist", "{printed[las:table-2-mnist | las]:.2f}", lambda shelf: False)
    >>> table.text(Shelf()), table.command(Shelf())
    ("98.71 (the paper's own numbers)", 'nobackprop papers show las:table-2-mnist')
    """

    def link(self) -> str:
        """Return words that say that the numbers are the paper's."""
        return "the paper's own numbers"

    def command(self, shelf: Shelf) -> str:
        """Return the command that shows them."""
        return f"nobackprop papers show {self.source}"


class Reads(Shown):
    """What a rule was measured to read; `source` is the rule, and facts are a `Locality`.

    Examples
    --------
    >>> Reads("las", "blocks {transport} of {blocks}", lambda found: True).text(Shelf())
    'blocks 4 of 5 (measured: [locality](locality.md))'
    """

    def facts(self, shelf: Shelf) -> Any:
        """Return the measurement."""
        return measured(rules.get(self.source))

    def fields(self, shelf: Shelf) -> Mapping[str, Any]:
        """Return the blocks, counted from 1, that read this or that."""
        hidden = measured(rules.get(self.source)).hidden
        return {"blocks": len(EVERY) + 1} | {
            name: ", ".join(map(str, sorted(getattr(hidden, name)))) or "none"
            for name in ("transport", "learns", "output", "target", "above", "presynaptic")}

    def link(self) -> str:
        """Return words that lead to the table of all rules."""
        return "measured: [locality](locality.md)"

    def command(self, shelf: Shelf) -> str:
        """Return the command that measures."""
        return "nobackprop locality"


@dataclass(frozen=True)
class Counted(Shown):
    """Numbers that are computed without training; `source` is the command that shows them.

    Parameters
    ----------
    source, says, holds, fails
        As of `Shown`.
    count : callable
        count() returns the facts, a mapping.

    Examples
    --------
    >>> Counted("nobackprop memory", "{ratio}", lambda found: True, count=lambda: {"ratio": 0.5}).text(Shelf())
    '0.5 (computed)'
    """

    count: Callable[[], Mapping[str, Any]] = dict

    def facts(self, shelf: Shelf) -> Any:
        """Return the numbers."""
        return self.count()

    def fields(self, shelf: Shelf) -> Mapping[str, Any]:
        """Return the numbers."""
        return self.count()

    def link(self) -> str:
        """Return words that say how they came about."""
        return "computed from the paper's own numbers" if " papers show " in self.source else "computed"

    def command(self, shelf: Shelf) -> str:
        """Return the command that shows them."""
        return self.source


Evidence = Theorem | Shown


@dataclass(frozen=True)
class Claim:
    """One claim of a paper.

    Parameters
    ----------
    words : str
        What the paper claims, in a few words of our own.
    place : str
        Where it stands.
    verdict : str
        One of VERDICTS.
    by : tuple
        What decides it; of a claim that is not tested nothing, or small runs that do not decide.
    note : str
        The condition, or why it fails, or what is missing.
    exhibit : str
        Of a claim that is not tested: the table or figure that would test it.

    Examples
    --------
    >>> Claim("B comes near W", "section 4.2.1", "holds under a condition",
    ...       (Theorem("kolen-pollack", "Theorem 5"),), "with decay").check(Shelf())
    """

    words: str
    place: str
    verdict: Verdict
    by: tuple[Evidence, ...] = ()
    note: str = ""
    exhibit: str = ""

    def check(self, shelf: Shelf) -> None:
        """Raise InputError if the verdict is not what the evidence says."""
        said, against = [one.shows(shelf) for one in self.by], [one.denies(shelf) for one in self.by]
        match self.verdict:
            case "holds":
                fits = bool(self.by) and False not in said and True not in against
            case "does not hold":
                fits = bool(self.by) and True not in said and False not in against
            case "holds under a condition":
                fits = bool(self.note) and bool(self.by) and False not in said and (
                    True in against or any(isinstance(one, Theorem) for one in self.by)) and False not in against
            case _:
                undecided = bool(said) and not any(answer is None or answer for answer in said + against)
                fits = bool(self.exhibit) and (undecided or not said and shelf.of(self.exhibit) is None)
        if not fits:
            raise InputError(f"'{self.words}' has the verdict '{self.verdict}', and what decides it says "
                             f"{said}, {against}{f', {self.exhibit}' * bool(self.exhibit)}")

    def commands(self, shelf: Shelf) -> list[str]:
        """Return the commands that show it."""
        if not self.by:
            return [f"nobackprop papers run {self.exhibit} --scale small"]
        return list(dict.fromkeys(one.command(shelf) for one in self.by))


HEAD = """# What the papers claim, and what became of it

Generated by `python -m nobackprop.experiments.claims docs/claims.md`; `make claims` makes this page and
[results.md](results.md) again. All numbers are read from [results/](results/), from the index of
[theorems](theory/README.md), from measurements, or from the papers' own tables. `tests/test_claims.py` fails if one of
them no longer fits its verdict.

A claim *holds* if everything that decides it shows it. It *holds under a condition* if it is true when the condition is
met, and if something here shows that it can fail when the condition is not met. It *does not hold* if what decides it
contradicts the sentence of the paper; the note says which part of the sentence is true. Many runs here are far smaller
than those of the papers: if only a run of another size could decide, the claim is *not tested at this scale*, even if
there is a small run. "Above" means here: by more than the larger spread over the seeds of the two.
"""


def summary(papers: Mapping[str, Sequence[Claim]]) -> str:
    """Return a table with the number of claims by paper and verdict.

    Examples
    --------
    >>> print(summary({"One": [Claim("a", "b", "holds")]}).splitlines()[2])
    | One | 1 | 0 | 0 | 0 | 1 |
    """
    rows = [["paper", *VERDICTS, "all"]]
    for paper, claims in papers.items():
        counts = [sum(claim.verdict == verdict for claim in claims) for verdict in VERDICTS]
        rows.append([paper, *map(str, counts), str(len(claims))])
    return "\n".join(["| " + " | ".join(rows[0]) + " |", "|---" * len(rows[0]) + "|",
                      *("| " + " | ".join(row) + " |" for row in rows[1:])])


def markdown(shelf: Shelf | None = None) -> str:
    """Return docs/claims.md.

    Parameters
    ----------
    shelf : Shelf, optional
        The stored results; those of the repository if it is left out.

    Returns
    -------
    str
        The page.

    Raises
    ------
    InputError
        If a verdict is not what the evidence says.

    Examples
    --------
    >>> markdown().splitlines()[0]
    '# What the papers claim, and what became of it'
    """
    from . import al, asap, las

    shelf = Shelf() if shelf is None else shelf
    papers = {las.PAPER: las.CLAIMS, asap.PAPER: asap.CLAIMS, al.PAPER: al.CLAIMS}
    parts = [HEAD, summary(papers)]
    number = 0
    for paper, claims in papers.items():
        parts += ["", f"## {paper}"]
        for claim in claims:
            claim.check(shelf)
            number += 1
            parts += ["", f"### {number}. {claim.words[0].upper()}{claim.words[1:]}", "",
                      f"*Where:* {claim.place}. *Verdict:* **{claim.verdict}**."]
            if claim.note:
                parts[-1] += f" {claim.note}"
            parts += ["", *(f"- {one.text(shelf)}" for one in claim.by)] if claim.by else []
            parts += ["", "```", *claim.commands(shelf), "```"]
    return "\n".join(parts) + "\n"
