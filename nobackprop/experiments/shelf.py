"""The shelf: what the stored results say, by name, so that a page shows a number that is read and not typed.

    shelf = Shelf()
    "DFA reaches {xor[dfa].test:.3f}".format_map(shelf)

A file docs/results/NAME.json is found under its name, in which every other sign than a letter or a digit is '_'.  What
a paper prints stands under `printed`: shelf["printed"]["las:table-2-mnist | las"].
"""
from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import InputError, unknown
from ..studies.equations.tags import ROOT
from . import results as files
from .papers import EXHIBITS, compare

STORED = ROOT / "docs" / "results"
MINUS = " - "  # between two labels: the difference of what they have


@dataclass(frozen=True)
class Arm:
    """The runs of one rule in a file, all seeds: means at the last epoch.

    Parameters
    ----------
    runs : tuple of dict
        The runs that have reached their end.

    Examples
    --------
    >>> history = [{"train_loss": 0.5, "alignment": [0.25], "alignment_at_a": [None]}]
    >>> arm = Arm(({"test_accuracy": 0.5, "history": history}, {"test_accuracy": 0.75, "history": history}))
    >>> arm.test, round(arm.spread, 3), arm.points, arm.cosine, f"{arm:.3f}"
    (0.625, 0.177, 62.5, [0.25], '0.625')
    """

    runs: tuple[Mapping[str, Any], ...]

    @property
    def test(self) -> float:
        """The mean test accuracy."""
        return statistics.fmean(self.each)

    @property
    def each(self) -> list[float]:
        """The test accuracy of every seed."""
        return [run["test_accuracy"] for run in self.runs]

    @property
    def spread(self) -> float:
        """The sample standard deviation of the test accuracy over the seeds; 0 of a single one."""
        return statistics.stdev(self.each) if len(self.runs) > 1 else 0.0

    @property
    def points(self) -> float:
        """The mean test accuracy in per cent."""
        return 100 * self.test

    @property
    def both(self) -> str:
        """The mean test accuracy and its spread, as the tables write them."""
        return f"{self.test:.4f} ± {self.spread:.4f}"

    @property
    def seeds(self) -> int:
        """The number of runs."""
        return len(self.runs)

    @property
    def epochs(self) -> int:
        """The number of epochs of the first run."""
        return len(self.runs[0]["history"])

    @property
    def loss(self) -> float:
        """The mean training loss."""
        return statistics.fmean(run["history"][-1]["train_loss"] for run in self.runs)

    @property
    def parameters(self) -> int:
        """The number of parameters of the first run."""
        return int(self.runs[0]["parameters"])

    @property
    def cosine(self) -> list[float | None]:
        """The mean cosine of the error signal of each hidden block with that of BP, at the last epoch."""
        return self.cosine_at(-1)

    @property
    def first_cosine(self) -> list[float | None]:
        """The same at the end of the first epoch."""
        return self.cosine_at(0)

    @property
    def highest_cosine(self) -> list[float | None]:
        """The mean cosine of each hidden block at the end of the epoch in which it was highest."""
        epochs = [self.cosine_at(epoch) for epoch in range(self.epochs)]
        return [max((value for value in of_block if value is not None), default=None)
                for of_block in zip(*epochs, strict=True)]

    def validation(self, epoch: int) -> float:
        """Return the mean validation accuracy at an epoch, which is counted from 0; -1 is the last one."""
        return statistics.fmean(run["history"][epoch]["validation_accuracy"] for run in self.runs)

    def cosine_at(self, epoch: int) -> list[float | None]:
        """Return the mean cosines at an epoch, which is counted from 0; -1 is the last one."""
        records = [run["history"][epoch] for run in self.runs]
        return [files.mean([files.cosine(record, i) for record in records])
                for i in range(len(records[0]["alignment"]))]

    @property
    def angles(self) -> list[float]:
        """The mean angles between W and C of forward alignment, at the last epoch."""
        return self._all("angles")

    @property
    def associated(self) -> list[float]:
        """The mean associated loss of each component, at the last epoch."""
        return self._all("associated")

    def _all(self, key: str) -> list[float]:
        """The mean of every number in a list that the last epochs recorded."""
        return [self.last(key, i) for i in range(len(self.runs[0]["history"][-1][key]))]

    @property
    def ratio(self) -> float:
        """The mean distance between classes over that within them, which al:table-7 records."""
        return self.last("inter") / self.last("intra")

    def last(self, key: str, place: int | None = None) -> float:
        """Return the mean of what the last epochs recorded under a key; of a list the number at that place."""
        values = [run["history"][-1][key] for run in self.runs]
        return statistics.fmean(value if place is None else value[place] for value in values)

    def above(self, other: Arm) -> bool:
        """Say whether the mean test accuracy is above that of another arm by more than the larger spread of the two."""
        return self.test - other.test > max(self.spread, other.spread)

    def near(self, other: Arm) -> bool:
        """Say whether neither of two arms is above the other."""
        return not self.above(other) and not other.above(self)

    def __format__(self, form: str) -> str:
        return format(self.test, form)


@dataclass(frozen=True)
class Gap:
    """The difference of two arms' test accuracies.

    Parameters
    ----------
    test : float
        The difference.

    Examples
    --------
    >>> f"{Gap(0.125).points:.1f}"
    '12.5'
    """

    test: float

    @property
    def points(self) -> float:
        """The difference in points: of accuracies in per cent."""
        return 100 * self.test


@dataclass(frozen=True)
class File:
    """A stored results.json.

    Parameters
    ----------
    name : str
        Its name, without .json.
    results : dict
        What it holds.

    Examples
    --------
    >>> run = {"rule": "bp", "test_accuracy": 0.5, "history": [{}]}
    >>> File("a", {"config": {"epochs": 1}, "runs": [run]})["bp"].test
    0.5
    """

    name: str
    results: Mapping[str, Any]

    @cached_property
    def arms(self) -> dict[str, Arm]:
        """The arms that have a run which reached its end, by label."""
        return {label: Arm(tuple(there)) for label, runs in files.by_rule(dict(self.results)).items()
                if (there := [run for run in runs if run["test_accuracy"] is not None])}

    @property
    def table(self) -> str:
        """The table of all runs."""
        return files.table(dict(self.results))

    @property
    def compared(self) -> str:
        """What is printed next to what was found."""
        return compare(dict(self.results))

    @property
    def angle_table(self) -> str:
        """A table of the angle, in degrees, between a rule's first error signal and that of BP, for every epoch.

        Only of rules whose signal is not that of BP itself.
        """
        rows = {}
        for label, arm in self.arms.items():
            cosines = [[files.cosine(record, 0) for record in run["history"]] for run in arm.runs]
            if all(one is not None and one < 1 - files.ROUNDING for run in cosines for one in run):
                angles = [statistics.fmean(math.degrees(math.acos(one)) for one in epoch) for epoch in zip(*cosines)]
                rows[label] = [f"{angle:.1f}" for angle in angles]
        head = ["epoch", *(str(i + 1) for i in range(self.epochs))]
        return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head),
                                                               *([label, *row] for label, row in rows.items())))

    @property
    def config(self) -> Mapping[str, Any]:
        """The stored settings."""
        config: Mapping[str, Any] = self.results["config"]
        return config

    @property
    def epochs(self) -> int:
        """The number of epochs of the first arm."""
        return next(iter(self.arms.values())).epochs

    @property
    def command(self) -> str:
        """The command that runs it again."""
        config = self.config
        if "exhibit" in config:
            exhibit = EXHIBITS[config["exhibit"]]
            some = "" if config["rules"] == [arm.label for arm in exhibit.arms] else (
                f" --only \"{';'.join(config['rules'])}\"")
            if config["seeds"] != list(exhibit.scales[config["scale"]].seeds):
                some += f" --seeds {','.join(map(str, config['seeds']))}"
            return f"nobackprop papers run {config['exhibit']} --scale {config['scale']}{some}"
        own = config.get("rule_settings") or {}
        rates = {(own.get(rule) or {}).get("lr", config.get("lr")) for rule in config["rules"]}
        rate, = rates if len(rates) == 1 else (None,)
        more = [f" --{name.replace('_', '-')} {value:g}" for name, value in (("lr", rate), ("batch_size", config.get(
            "batch_size"))) if value is not None]
        return (f"nobackprop compare --data {config['data']} --model {config['model']} --rules "
                f"{','.join(config['rules'])} --epochs {config['epochs']} --seeds "
                f"{','.join(map(str, config['seeds']))}{''.join(more)}"
                + "  # rates differ by rule: see the file" * (len(rates) > 1))

    def __getitem__(self, label: str) -> Any:
        """Return the arm of a label, or the difference of two labels with ' - ' between them."""
        first, minus, second = label.partition(MINUS)
        if minus:
            return Gap(self[first].test - self[second].test)
        if label not in self.arms:
            raise unknown(f"arm of {self.name}", label, self.arms)
        return self.arms[label]


class Printed:
    """What the papers print, by 'EXHIBIT | LABEL', in per cent; 'EXHIBIT | LABEL - LABEL' is a difference.

    Examples
    --------
    >>> round(Printed()["las:table-2-mnist | las - shallow"], 2)
    0.09
    """

    def __getitem__(self, name: str) -> float:
        exhibit, _, label = name.partition(" | ")
        first, minus, second = label.partition(MINUS)
        numbers = {arm.label: arm.printed for arm in EXHIBITS[exhibit].arms}
        for one in (first, second) if minus else (first,):
            if numbers.get(one) is None:
                raise unknown(f"printed number of {exhibit}", one, [key for key in numbers if numbers[key] is not None])
        return float(numbers[first] or 0) - (float(numbers[second] or 0) if minus else 0)


class Shelf(Mapping[str, Any]):
    """All stored results, by name, and what the papers print, under "printed".

    Parameters
    ----------
    folder : Path
        Where the files lie.

    Examples
    --------
    >>> "{xor[bp].test:.2f} {printed[las:table-2-mnist | bp]}".format_map(Shelf())
    '0.96 98.62'
    """

    def __init__(self, folder: Path = STORED) -> None:
        self.paths = {spelt(path.stem): path for path in sorted(folder.glob("*.json")) if path.stem != "performance"}
        self.read: dict[str, Any] = {"printed": Printed()}

    def __getitem__(self, name: str) -> Any:
        if name not in self.read:
            if name not in self.paths:
                raise unknown("stored result", name, self.paths)
            self.read[name] = File(self.paths[name].stem, files.read(self.paths[name]))
        return self.read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __contains__(self, name: object) -> bool:
        return name in self.paths

    def of(self, exhibit: str) -> File | None:
        """Return the stored results of an exhibit, or None if there are none."""
        found = [self[name] for name in self if self[name].config.get("exhibit") == exhibit]
        if len(found) > 1:
            raise InputError(f"{exhibit} has {len(found)} files of results, expected one")
        return found[0] if found else None


def spelt(name: str) -> str:
    """Return the name of a file as a field of a format string has it.

    Examples
    --------
    >>> spelt("asap-table-5.2")
    'asap_table_5_2'
    """
    return re.sub(r"\W", "_", name)
