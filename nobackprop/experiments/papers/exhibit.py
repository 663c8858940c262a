"""A table or a figure of a paper as data: what was printed, what is run for it, at which scale."""
from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from matplotlib.figure import Figure

from ... import models, rules
from ...backend import open_device
from ...data import Dataset, load
from ...errors import unknown
from ...kernels.pool import avg_pool
from ...learn import Run
from ...models.parts import scaled
from ...settings import Settings
from .. import plots
from ..compare import Trial, environment, train
from ..results import NUMBER_OR_NULL, by_rule, mean
from ..results import check as check_form


@dataclass(frozen=True)
class Arm:
    """One row or column of a table: a rule on a model, the number that the paper prints for it, and own settings.

    printed: test accuracy in per cent, None where only a figure shows it.  settings: fields of learn.Settings that
    differ from the scale's; at: of those, by scale.
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
    """How much is run: training images (None for all), a factor on the models' widths, settings, seeds.

    held_back: validation images that are looked at, None for all; for "smoke" of the test images, too.  reduce: side of
    the squares of pixels that are averaged, so that images of 32 x 32 become 16 x 16 with 2.
    """

    train: int | None
    factor: float
    settings: Mapping[str, Any]
    seeds: tuple[int, ...] = (0, 1, 2)
    held_back: int | None = None
    reduce: int = 1


def nothing(run: Run) -> dict[str, Any]:
    """No further measurement."""
    return {}


@dataclass(frozen=True)
class Exhibit:
    """A table or figure: `nobackprop papers run NAME`.

    reading: how the paper was read where it leaves something open, and where the settings come from.
    measure: what else is recorded of a run after every epoch.  form: of that, in the words of results.FORM; what it
    names must be there in the last epoch of a run.  draw: its figure, from a results.json alone.
    """

    name: str
    title: str
    data: str
    arms: tuple[Arm, ...]
    scales: Mapping[str, Scale]
    reading: str
    measure: Callable[[Run], dict[str, Any]] = nothing
    form: Mapping[str, Any] = field(default_factory=dict)
    draw: Callable[[dict[str, Any]], Figure] = plots.draw

    def accept(self, results: dict[str, Any]) -> None:
        """Raises InputError where results, of results.FORM, are not of this exhibit."""
        source = f"results of {self.name}"
        check_form(source, results, {"config": {"scale": str}})
        for i, run in enumerate(results["runs"]):
            if run["rule"] not in [arm.label for arm in self.arms]:
                raise unknown(f"arm of {self.name}", run["rule"], [arm.label for arm in self.arms])
            for j, record in enumerate(run["history"]):
                last = j == len(run["history"]) - 1
                check_form(source, record, {key: form for key, form in self.form.items() if last or key in record},
                           f"runs[{i}].history[{j}]")

    def describe(self) -> str:
        """What the paper prints, how it was read, and what each scale runs."""
        width = max(len(arm.label) for arm in self.arms)
        return "\n".join([
            f"{self.name}: {self.title} ({self.data})", "",
            *(f"{arm.label:{width}}  {'not printed' if arm.printed is None else f'{arm.printed:.2f} %'}  "
              f"(rule {arm.rule}, {arm.model})" for arm in self.arms), "", self.reading, "",
            *(f"{name}: {scale.train or 'all'} training images"
              f"{f', {scale.reduce} x {scale.reduce} pixels averaged' * (scale.reduce > 1)}, "
              f"widths times {scale.factor:g}, seeds "
              f"{', '.join(map(str, scale.seeds))}, "
              + ", ".join(f"{key} {value}" for key, value in scale.settings.items())
              for name, scale in self.scales.items())])

    def check(self, scale: str = "smoke", seeds: Sequence[int] | None = None, data_dir: str | None = None,
              download: bool = False, threads: int = 1, device: str = "cpu",
              only: Sequence[str] | None = None) -> Plan:
        """All that a run needs, read and checked before anything is trained.

        only: labels of the arms to run.  Raises InputError for an unknown scale or arm, and where the data set's
        files or the device are not there.
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
        return Plan(trials, data, self.measure, config, environment(xp, threads) | {"dataset": data.name})


@dataclass(frozen=True)
class Plan:
    """A checked run of an exhibit."""

    trials: list[Trial]
    data: Dataset
    measure: Callable[[Run], dict[str, Any]]
    config: dict[str, Any]
    environment: dict[str, Any]

    def run(self) -> dict[str, Any]:
        """Train every arm with every seed, a bar of epochs on stderr; a line per run where that is no terminal.

        Of the form in nobackprop/experiments/results.py, an arm's label in the place of a rule's name.
        """
        runs: list[dict[str, Any]] = []
        train([(trial, seed) for seed in self.config["seeds"] for trial in self.trials], self.data, self.config, runs,
              self.measure)
        runs.sort(key=lambda run: self.config["rules"].index(run["rule"]))
        return {"config": self.config, "environment": self.environment, "runs": runs}


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
    images = {name: avg_pool(getattr(data, name), scale.reduce, scale.reduce)
              for name in ("x_train", "x_validation", "x_test")}
    return replace(data, name=f"{data.name}, {scale.reduce} x {scale.reduce} pixels averaged", **images)


def compare(results: dict[str, Any]) -> str:
    """What was printed next to what was found, a line for each arm.

    Raises InputError where the results have no such number for an arm.
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
