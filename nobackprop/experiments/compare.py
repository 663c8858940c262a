"""Comparing rules: the same data, networks, batches and seeds under every one of them."""
from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import ModuleType
from typing import Any

import numpy as np
from tqdm import tqdm

from .. import __version__, checks, metrics, models, rules, workers
from ..backend import open_device
from ..data import DATASETS, Dataset, load
from ..errors import check_name, integer
from ..learn import Run, Settings
from . import progress

RULES = ("bp", "shallow", "fa", "dfa", "las", "ltas")
SEEDS = (0, 1, 2)
TRAINING = ("model", "activation", "epochs", "batch_size", "optimizer", "lr", "schedule", "weight_decay",
            "augment")


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
    common = asdict(Settings()) | dict(DATASETS[data].defaults) | dict(overrides)
    # Python's own numbers, which a results.json can hold
    common |= asdict(Settings(**{key: common[key] for key in asdict(Settings())}))
    seeds = [checks.seed(seed) for seed in seeds]
    threads = integer("threads", common["threads"] or workers.cores() if threads is None else threads, 1)
    own = {name: {key: value for key, value in rules.get(name).defaults.items()
                  if key not in overrides and value != common[key]} for name in names}
    return {"data": data, "rules": list(names), "seeds": seeds,
            **{key: common[key] for key in (*TRAINING, "dtype")}, "device": device, "threads": threads,
            "rule_settings": {name: settings for name, settings in own.items() if settings}}


class Trial:
    """One rule with its network and settings.

    Raises InputError where the model, the activation, the optimiser, the schedule or a number is wrong.
    """

    def __init__(self, config: dict[str, Any], name: str, shape: tuple[int, ...], classes: int):
        chosen = config | config["rule_settings"].get(name, {})
        self.name, self.rule = name, rules.get(name)
        self.net = models.build(chosen["model"], shape, classes, chosen["activation"])
        self.settings = Settings(**{key: chosen[key] for key in asdict(Settings())})

    def start(self, data: Dataset, seed: int, device: str) -> Run:
        """The run of that seed, at its first epoch."""
        return Run(self.net, self.rule, data, self.settings, seed, device, self.name)


class Comparison:
    """What `resolve` gave, checked as a whole; `run` fills `results`, of the form in nobackprop/experiments/results.py.

    Raises InputError where anything in it, the device and the data set's files included, cannot be had.
    """

    def __init__(self, config: dict[str, Any], data_dir: str | None = None, download: bool = False):
        self.config, source = config, DATASETS[config["data"]]
        for name in config["rules"]:  # so that mistakes are said before anything is read
            Trial(config, name, source.shape, source.classes)
        xp = open_device(config["device"])
        self.data = load(config["data"], data_dir, download)
        # files may hold fewer classes than the publisher's
        self.trials = [Trial(config, name, self.data.shape, self.data.classes) for name in config["rules"]]
        for trial in self.trials:
            trial.start(self.data, config["seeds"][0], config["device"])
        self.results: dict[str, Any] = {
            "config": config, "environment": environment(xp, config["threads"]) | {"dataset": self.data.name},
            "runs": []}

    def run(self) -> None:
        """Every rule with every seed, a bar of epochs on stderr; a line per run where that is no terminal.

        After each epoch `results` holds all that was measured: stopping it by an exception loses nothing.
        """
        seeds, device = self.config["seeds"], self.config["device"]
        total = len(seeds) * sum(trial.settings.epochs for trial in self.trials)
        convolutional = any(trial.net.convolutional for trial in self.trials)
        with (workers.limit(self.config["threads"], convolutional),
              progress.bar(total) as bar):
            for trial in self.trials:
                for seed in seeds:
                    bar.set_description(f"{trial.name} seed {seed}")
                    accuracy = self._one(trial.start(self.data, seed, device), bar)
                    progress.line(bar, f"{trial.name} seed {seed}: {accuracy:.4f}")

    def _one(self, run: Run, bar: tqdm) -> float:
        record: dict[str, Any] = {"rule": run.name, "seed": run.seed, "parameters": metrics.size(run.params),
                                  "seconds": 0.0, "test_accuracy": None, "history": run.history}
        for _ in range(run.settings.epochs):
            run.epoch()
            record["seconds"] = run.seconds
            if len(run.history) == 1:
                self.results["runs"].append(record)
            bar.update()
        record["test_accuracy"] = run.test_accuracy()
        return record["test_accuracy"]

    def finished(self) -> list[dict[str, Any]]:
        """The runs that reached their end."""
        return [run for run in self.results["runs"] if run["test_accuracy"] is not None]


def environment(xp: ModuleType, threads: int) -> dict[str, Any]:
    """What the numbers of a run may depend on besides its settings."""
    device = "cpu"
    if xp is not np:
        device = xp.cuda.runtime.getDeviceProperties(xp.cuda.Device().id)["name"].decode()
    return {"nobackprop": __version__, "numpy": np.__version__, "python": platform.python_version(),
            "platform": platform.platform(), "device": device, "threads": threads}
