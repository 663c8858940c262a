"""Which setting of a rule is the best: decided on validation data alone, over the seeds of the search.

What decides is the first measure of the task in nobackprop/data/tasks.py: the accuracy if classes are learnt.
"""
from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ...data import tasks
from ...data.tasks import Measure, task_of
from .spec import Point

Record = Mapping[str, Any]


def found(results: Record) -> dict[str, Any]:
    """Return what a search keeps of one run: nothing of the test set, which the search never reads.

    Parameters
    ----------
    results : mapping
        The results of a single run, of the form in nobackprop/experiments/results.py.

    Returns
    -------
    dict
        "seed", "validation_accuracy" and "train_loss" at the last epoch, "epochs", "seconds", and "diverged" if it did.
        The accuracy of a run that diverged is 0.  In the place of the accuracy stands "validation_r2" or
        "validation_exact_match"; an R^2 below -1 counts as -1, as that of a run that diverged.

    Examples
    --------
    >>> record = {"epoch": 1, "train_loss": 0.5, "validation_accuracy": 0.75}
    >>> found({"runs": [{"seed": 3, "seconds": 1.0, "history": [record]}]})["validation_accuracy"]
    0.75
    """
    run, = results["runs"]
    first = task_of(run, "test").measures[0]
    key = f"validation_{first.name}"
    last = run["history"][-1] if run["history"] else {}
    kept = {"seed": run["seed"], "epochs": len(run["history"]), "seconds": run["seconds"],
            key: max(last.get(key, first.floor), first.floor), "train_loss": last.get("train_loss")}
    if "diverged" in run:
        kept |= {key: first.floor, "diverged": run["diverged"]}
    return kept


def score(runs: Sequence[Record]) -> float:
    """Return the mean validation accuracy, or what stands in its place, of the runs of one point; see `found`.

    Examples
    --------
    >>> score([{"validation_accuracy": 0.5}, {"validation_accuracy": 1.0}])
    0.75
    """
    return statistics.fmean(tasks.score(run, "validation") for run in runs)


def measure(runs: Sequence[Record]) -> Measure:
    """Return what was measured of runs, see `found`.

    Examples
    --------
    >>> measure([{"validation_r2": 0.5}]).words
    'R2'
    """
    return task_of(runs[0], "validation").measures[0]


def best(points: Sequence[Point], runs: Mapping[Point, Sequence[Record]]) -> list[Point]:
    """Return for every group, which is a rule with its data set and model, the point with the highest score.

    Of two points with the same score the one that the sweep names first is taken.  A group of which every run diverged
    has no best point.

    Parameters
    ----------
    points : sequence of Point
        All that was tried.
    runs : mapping of Point to sequence of mapping
        What `found` gives, for every seed of every point.

    Returns
    -------
    list of Point
        In the order in which the groups come.

    Examples
    --------
    >>> points = [Point("xor", "bp", {"lr": lr}) for lr in (0.1, 0.2, 0.3)]
    >>> accuracies = dict(zip(points, (0.5, 0.9, 0.9), strict=True))
    >>> runs = {point: [{"validation_accuracy": accuracy}] for point, accuracy in accuracies.items()}
    >>> [point.settings for point in best(points, runs)]
    [{'lr': 0.2}]
    """
    chosen: dict[tuple[str, str, str], Point] = {}
    for point in points:
        if all("diverged" in run for run in runs[point]):
            continue
        if point.group not in chosen or score(runs[point]) > score(runs[chosen[point.group]]):
            chosen[point.group] = point
    return list(chosen.values())


def varied(settings: Sequence[Record]) -> list[str]:
    """Return the names of the settings that have several values, which tell the points apart.

    Examples
    --------
    >>> varied([{"lr": 0.1, "epochs": 3}, {"lr": 0.2, "epochs": 3}])
    ['lr']
    """
    names = dict.fromkeys(name for one in settings for name in one if name != "model")  # labels name the models
    return [name for name in names if any(one.get(name) != settings[0].get(name) for one in settings)]


def in_words(settings: Record, names: Sequence[str]) -> str:
    """Return the settings of these names in a few words.

    Examples
    --------
    >>> in_words({"lr": 0.001, "optimizer": "sgd", "epochs": 3}, ["lr", "optimizer"]), in_words({}, ["lr"])
    ('lr 0.001, optimizer sgd', 'defaults')
    """
    return ", ".join(f"{name.replace('_', ' ')} {settings[name]:g}" if isinstance(settings[name], float) else
                     f"{name.replace('_', ' ')} {settings[name]}" for name in names if name in settings) or "defaults"


def labels(points: Sequence[Point]) -> dict[Point, str]:
    """Return what results call the group of each point: the rule, and the data set and the model if there are several.

    Examples
    --------
    >>> points = [Point("xor", "bp", {}), Point("digits", "bp", {})]
    >>> list(labels(points).values()), list(labels(points[:1]).values())
    (['bp, xor', 'bp, digits'], ['bp'])
    """
    several = [i for i in range(2) if len({point.group[i] for point in points}) > 1]
    return {point: ", ".join([point.rule, *(point.group[i] for i in several)]) for point in points}
