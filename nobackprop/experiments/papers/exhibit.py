"""A table or a figure of a paper as data: what was printed, what is run for it, at which scale."""
from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from matplotlib.figure import Figure

from ... import models, rules
from ...backend import open_device
from ...callbacks import Callback
from ...data import Dataset, load
from ...errors import unknown
from ...kernels.pool import avg_pool
from ...learn import Run
from ...models.parts import scaled
from ...settings import Settings
from ..compare import environment
from ..folder import Folder
from ..loop import MINUTE, Every, Job, Trial, train
from ..results import FORMAT, NUMBER_OR_NULL, by_rule, mean
from ..results import check as check_form


@dataclass(frozen=True)
class Arm:
    """One row or column of a table: a rule on a model, and the number that the paper prints for it.

    Parameters
    ----------
    label : str
        What the table calls it.
    rule, model : str
        As `rules.get` and `models.build` take them.
    printed : float, optional
        The test accuracy that the paper prints, in per cent; None if only a figure shows it.
    settings : mapping
        Fields of `Settings` that differ from those of the scale.
    activation : str
        The activation of the model.
    at : mapping
        Further fields of `Settings`, by the name of the scale.

    Examples
    --------
    >>> Arm("bp, mlp", "bp", "mlp:128", 98.5).printed
    98.5
    """

    label: str
    rule: str
    model: str
    printed: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    activation: str = "relu"
    at: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Scale:
    """How much of a table or figure is run.

    Parameters
    ----------
    train : int or None
        The number of training images; None for all.
    factor : float
        What the widths of the models are multiplied by.
    settings : mapping
        Fields of `Settings`.
    seeds : tuple of int
        Every arm is run once with each.
    held_back : int, optional
        The number of validation images, and at the scale "smoke" of test images, too; None for all.
    reduce : int
        The side, in pixels, of the squares that are averaged: with 2, images of 32 x 32 become 16 x 16.

    Examples
    --------
    >>> Scale(2000, 0.125, {"epochs": 2}, seeds=(0,)).reduce
    1
    """

    train: int | None
    factor: float
    settings: Mapping[str, Any]
    seeds: tuple[int, ...] = (0, 1, 2)
    held_back: int | None = None
    reduce: int = 1


@dataclass(frozen=True)
class Exhibit:
    """A table or figure of a paper: `nobackprop papers run NAME` runs it again.

    Parameters
    ----------
    name, title : str
        What the user types, and what it shows.
    data : str
        A name in `data.DATASETS`.
    arms : tuple of Arm
        The rows or columns.
    scales : mapping
        How much is run, by name.
    reading : str
        How the paper was read if it leaves something open, and where the settings come from.
    measure : callable, optional
        What else is recorded after every epoch: a callback that gives a dict.
    form : mapping
        The form of that, as in results.FORM.  What it names must be there in the last epoch of a run.
    draw : callable, optional
        Its figure, as a function of the contents of a results.json; that of a comparison if it is left out.

    Examples
    --------
    >>> from nobackprop.experiments.papers import get
    >>> get("asap:table-5.2").data
    'cifar-10'
    """

    name: str
    title: str
    data: str
    arms: tuple[Arm, ...]
    scales: Mapping[str, Scale]
    reading: str
    measure: Callable[[Run], dict[str, Any]] | None = None
    form: Mapping[str, Any] = field(default_factory=dict)
    draw: Callable[[dict[str, Any]], Figure] | None = None

    def accept(self, results: dict[str, Any]) -> None:
        """Raise InputError if results that have the form results.FORM are not those of this exhibit."""
        source = f"results of {self.name}"
        check_form(source, results, {"config": {"scale": str}})
        for i, run in enumerate(results["runs"]):
            if run["rule"] not in [arm.label for arm in self.arms]:
                raise unknown(f"arm of {self.name}", run["rule"], [arm.label for arm in self.arms])
            for j, record in enumerate(run["history"]):
                last = j == len(run["history"]) - 1 and run["test_accuracy"] is not None
                check_form(source, record, {key: form for key, form in self.form.items() if last or key in record},
                           f"runs[{i}].history[{j}]")

    def describe(self) -> str:
        """Return a text: what the paper prints, how it was read, and what each scale runs."""
        width = max(len(arm.label) for arm in self.arms)
        return "\n".join([
            f"{self.name}: {self.title} ({self.data})", "",
            *(f"{arm.label:{width}}  {'not printed' if arm.printed is None else f'{arm.printed:.2f} %'}  "
              f"({', '.join([f'rule {arm.rule}', arm.model, *_own(arm)])})" for arm in self.arms), "",
            # a line that begins with a space stays a line; the others are one paragraph, which the reader's width folds
            re.sub(r"(?m)^(?! )(.*)\n(?! )", r"\1 ", self.reading), "",
            *(f"{name}: {scale.train or 'all'} training images"
              f"{f', {scale.reduce} x {scale.reduce} pixels averaged' * (scale.reduce > 1)}, "
              f"widths times {scale.factor:g}, seeds "
              f"{', '.join(map(str, scale.seeds))}, "
              + ", ".join(f"{key} {value}" for key, value in scale.settings.items())
              for name, scale in self.scales.items())])

    def check(self, scale: str = "smoke", seeds: Sequence[int] | None = None, data_dir: str | None = None,
              download: bool = False, threads: int = 1, device: str = "cpu",
              only: Sequence[str] | None = None) -> Plan:
        """Read and check all that a run needs, before anything is trained.

        Parameters
        ----------
        scale : str
            A name in `scales`.
        seeds : sequence of int, optional
            The seeds; those of the scale if they are left out.
        data_dir : str, optional
            The folder with the data set's files.
        download : bool
            Whether files that are missing may be fetched.
        threads : int
            The number of workers.
        device : str
            "cpu", "cuda" or "cuda:N".
        only : sequence of str, optional
            The labels of the arms to run; all if it is left out.

        Returns
        -------
        Plan
            Its method `run` does the training.

        Raises
        ------
        InputError
            If the scale or an arm is unknown, or if the data set's files or the device are not there.
        """
        if scale not in self.scales:
            raise unknown("scale", scale, self.scales)
        for label in only or ():
            if label not in [arm.label for arm in self.arms]:
                raise unknown("arm", label, [arm.label for arm in self.arms])
        chosen = self.scales[scale]
        arms = [arm for arm in self.arms if only is None or arm.label in only]
        data = _part(load(self.data, data_dir, download), chosen, scale == "smoke")
        xp = open_device(device)
        trials = [Trial(arm.label, rules.get(arm.rule),
                        models.build(_model(arm, chosen), data.shape, data.classes, arm.activation),
                        Settings(**{**chosen.settings, **arm.settings, **arm.at.get(scale, {})})) for arm in arms]
        seeds = list(chosen.seeds if seeds is None else seeds)
        config = {"data": self.data, "model": ", ".join(dict.fromkeys(_model(arm, chosen) for arm in arms)),
                  "exhibit": self.name, "scale": scale, "rules": [arm.label for arm in arms], "seeds": seeds,
                  "training_samples": len(data.y_train), "threads": threads, "device": device,
                  "printed": {arm.label: arm.printed for arm in arms},
                  "rule_settings": {arm.label: {"rule": arm.rule, "model": _model(arm, chosen),
                                                "activation": arm.activation, **asdict(trial.settings)}
                                    for arm, trial in zip(arms, trials, strict=True)}}
        callbacks = () if self.measure is None else (self.measure,)
        return Plan(trials, data, callbacks, config, environment(xp, threads, data))


@dataclass(frozen=True)
class Plan:
    """A run of an exhibit, checked and ready.

    Parameters
    ----------
    trials : list of Trial
        One for each arm.
    data : Dataset
        What all of them learn from.
    callbacks : sequence
        What else is recorded after every epoch.
    config, environment : dict
        As a results.json has them.

    Examples
    --------
    >>> Plan([], None, (), {"seeds": [0], "rules": [], "threads": 1, "device": "cpu"}, {}).run()["runs"]
    []
    """

    trials: list[Trial]
    data: Dataset
    callbacks: Sequence[Callback]
    config: dict[str, Any]
    environment: dict[str, Any]

    @cached_property
    def results(self) -> dict[str, Any]:
        """Of the form in nobackprop/experiments/results.py; "rule" is the label of an arm.  `run` fills it."""
        return {"format": FORMAT, "command": "papers", "config": dict(self.config), "environment": self.environment,
                "runs": []}

    @property
    def jobs(self) -> list[Job]:
        """Every arm with every seed."""
        return [Job(trial, self.data, seed, self.config["device"], self.callbacks) for trial in self.trials
                for seed in self.config["seeds"]]

    def run(self, folder: Folder | None = None, order: str = "seeds", checkpoint: Every = MINUTE,
            log_every: int | None = None) -> dict[str, Any]:
        """Train every arm with every seed, and return the results.

        Parameters
        ----------
        folder, order, checkpoint, log_every
            As `loop.train` takes them.  Without a folder nothing is written.

        Returns
        -------
        dict
            `results`.
        """
        train(self.jobs, self.results, folder, order, checkpoint, log_every)
        return self.results


def _own(arm: Arm) -> list[str]:
    """The settings of an arm that are not those of the scale, in words."""
    texts = {scale: ", ".join(f"{key} {value}" for key, value in some.items())
             for scale, some in {"": arm.settings, **arm.at}.items() if some}
    return [text + " at " * any(scales) + " and ".join(scales) for text in dict.fromkeys(texts.values())
            if (scales := [scale for scale in texts if texts[scale] == text])]


def _model(arm: Arm, scale: Scale) -> str:
    """The arm's model at the scale's width: 'mlp:1024,5120' becomes 'mlp:128,640' for 0.125."""
    name, _, sizes = arm.model.partition(":")
    if sizes:
        return f"{name}:{','.join(str(scaled(int(size), scale.factor)) for size in sizes.split(','))}"
    return name if scale.factor == 1 else f"{name}:{scale.factor:g}"


def _part(data: Dataset, scale: Scale, smoke: bool) -> Dataset:
    """As much of a data set as the scale asks for."""
    n, held = scale.train, scale.held_back
    data = replace(data, x_train=data.x_train[:n], y_train=data.y_train[:n],
                   x_validation=data.x_validation[:held], y_validation=data.y_validation[:held])
    data = replace(data, x_test=data.x_test[:held], y_test=data.y_test[:held]) if smoke else data
    if scale.reduce == 1:
        return data
    images: dict[str, Any] = {name: avg_pool(getattr(data, name), scale.reduce, scale.reduce)
                              for name in ("x_train", "x_validation", "x_test")}
    return replace(data, name=f"{data.name}, {scale.reduce} x {scale.reduce} pixels averaged", **images)


def compare(results: dict[str, Any]) -> str:
    """Return a text with what was printed next to what was found, a line for each arm.

    Parameters
    ----------
    results : dict
        What `Plan.run` gives.

    Returns
    -------
    str
        Test accuracies in per cent, with the sample standard deviation over the seeds.

    Raises
    ------
    InputError
        If the results do not say what was printed for an arm.

    Examples
    --------
    >>> runs = [{"rule": "bp", "test_accuracy": accuracy} for accuracy in (0.5, 0.6)]
    >>> print(compare({"config": {"printed": {"bp": 94.93}}, "runs": runs}).splitlines()[1])
    bp    94.93  55.00 ± 7.07
    """
    found = by_rule(results)
    check_form("results of a paper", results, {"config": {"printed": dict.fromkeys(found, NUMBER_OR_NULL)}})
    printed, width = results["config"]["printed"], max(map(len, found))
    lines = [f"{'':{width}}  printed  here"]
    for label, runs in found.items():
        here = [100 * run["test_accuracy"] for run in runs if run["test_accuracy"] is not None]
        there = "-" if printed[label] is None else f"{printed[label]:.2f}"
        spread = f" ± {statistics.stdev(here):.2f}" if len(here) > 1 else ""
        lines.append(f"{label:{width}}  {there:>7}  {f'{mean(here):.2f}{spread}' if here else '-'}")
    return "\n".join(lines)
