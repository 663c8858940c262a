"""Comparing rules: the same data, networks, batches and seeds under every one of them."""
from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

import numpy as np

from .. import __version__, checks, metrics, models, rules, workers
from ..backend import open_device
from ..data import DATASETS, Dataset, load
from ..errors import InputError, check_name, integer
from ..learn import Run
from ..network import Network
from ..rules import Rule
from ..settings import NAMES, NetworkSettings, Settings, choose
from . import RULES, SEEDS, progress

TRAINING = NAMES
# samples in place of those of a data set whose shape is not known yet: one number, and an image
STAND_INS = ((1,), (64, 64, 3))


def resolve(data: str, names: Sequence[str] = RULES, seeds: Sequence[int] = SEEDS,
            overrides: Mapping[str, Any] | None = None, device: str = "cpu",
            threads: int | None = None) -> dict[str, Any]:
    """All settings of a comparison: the data set's defaults, below each rule's, below what the user overrides.

    overrides: any of TRAINING.  What holds for one rule only stands in "rule_settings".  Raises InputError for a
    data set, a rule or a setting that there is none of, and for a number that cannot be.
    """
    check_name("data set", data, DATASETS)
    overrides = overrides or {}
    for key in overrides:
        check_name("setting", key, TRAINING)
    defaults = dict(DATASETS[data].defaults)
    wanted = defaults | dict(overrides)
    common = asdict(choose(NetworkSettings, wanted)) | asdict(choose(Settings, wanted))
    seeds = [checks.seed(seed) for seed in seeds]
    threads = integer("threads", defaults.get("threads", 1) or workers.cores() if threads is None else threads, 1)
    own = {name: {key: value for key, value in rules.get(name).defaults.items()
                  if key not in overrides and value != common[key]} for name in names}
    return {"data": data, "rules": list(names), "seeds": seeds, **common, "device": device, "threads": threads,
            "rule_settings": {name: settings for name, settings in own.items() if settings}}


@dataclass(frozen=True)
class Trial:
    """One rule, under the name that results give it, with its network and settings."""

    name: str
    rule: Rule
    net: Network
    settings: Settings


def trial(config: dict[str, Any], name: str, shape: tuple[int, ...], classes: int) -> Trial:
    """The trial of one rule of a config, for samples of that shape.

    Raises InputError if the model, the activation, the optimiser, the schedule or a number is wrong.
    """
    chosen = config | config["rule_settings"].get(name, {})
    which = choose(NetworkSettings, chosen)
    net = models.build(which.model, shape, classes, which.activation, which.loss)
    return Trial(name, rules.get(name), net, choose(Settings, chosen))


def train(jobs: Sequence[tuple[Trial, int]], data: Dataset, config: dict[str, Any], runs: list[dict[str, Any]],
          measure: Callable[[Run], dict[str, Any]] = lambda run: {}) -> None:
    """Train every trial with its seed, a bar of epochs on stderr; a line per run if that is no terminal.

    runs: a record of each run is put there after its first epoch, and holds all that was measured after each: stopping
    by an exception loses nothing.  measure: what else is recorded after an epoch.
    """
    convolutional = any(trial.net.convolutional for trial, _ in jobs)
    with (workers.limit(config["threads"], convolutional),
          progress.bar(sum(trial.settings.epochs for trial, _ in jobs)) as bar):
        for trial, seed in jobs:
            bar.set_description(f"{trial.name} seed {seed}")
            run = Run(trial.net, trial.rule, data, trial.settings, seed, config["device"], trial.name)
            record: dict[str, Any] = {"rule": run.name, "seed": run.seed, "parameters": metrics.size(run.params),
                                      "seconds": 0.0, "test_accuracy": None, "history": run.history}
            for _ in range(run.settings.epochs):
                run.epoch().update(measure(run))
                record["seconds"] = run.seconds
                if len(run.history) == 1:
                    runs.append(record)
                bar.update()
            record["test_accuracy"] = run.test_accuracy()
            progress.line(bar, f"{trial.name} seed {seed}: {record['test_accuracy']:.4f}")


class Comparison:
    """What `resolve` gave, checked as a whole; `run` fills `results`, of the form in nobackprop/experiments/results.py.

    Raises InputError where anything in it, the device and the data set's files included, cannot be had.
    """

    def __init__(self, config: dict[str, Any], data_dir: str | None = None, download: bool = False):
        self.config = config
        for name in config["rules"]:  # so that mistakes are said before anything is read
            _check_before_loading(config, name)
        xp = open_device(config["device"])
        self.data = load(config["data"], data_dir, download)
        # files may hold fewer classes than the publisher's
        self.trials = [trial(config, name, self.data.shape, self.data.classes) for name in config["rules"]]
        for one in self.trials:
            Run(one.net, one.rule, self.data, one.settings, config["seeds"][0], config["device"], one.name)
        self.results: dict[str, Any] = {
            "config": config, "environment": environment(xp, config["threads"]) | {"dataset": self.data.name},
            "runs": []}

    def run(self) -> None:
        """Train every rule with every seed.

        After each epoch `results` holds all that was measured: stopping it by an exception loses nothing.
        """
        train([(one, seed) for one in self.trials for seed in self.config["seeds"]], self.data, self.config,
              self.results["runs"])

    def finished(self) -> list[dict[str, Any]]:
        """The runs that reached their end."""
        return [run for run in self.results["runs"] if run["test_accuracy"] is not None]


def _check_before_loading(config: dict[str, Any], name: str) -> None:
    """Raise the InputError of a trial that cannot be, whatever the data set's samples are."""
    source = DATASETS[config["data"]]
    shapes = STAND_INS if source.shape is None else (source.shape,)
    for i, shape in enumerate(shapes, start=1):
        try:
            trial(config, name, shape, source.classes or 2)
            return
        except InputError:
            if i == len(shapes):
                raise


def environment(xp: ModuleType, threads: int) -> dict[str, Any]:
    """What the numbers of a run may depend on besides its settings."""
    device = "cpu"
    if xp is not np:
        device = xp.cuda.runtime.getDeviceProperties(xp.cuda.Device().id)["name"].decode()
    return {"nobackprop": __version__, "numpy": np.__version__, "python": platform.python_version(),
            "platform": platform.platform(), "device": device, "threads": threads}
