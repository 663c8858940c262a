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
    """Collect all settings of a comparison in one dict, which a results.json can hold.

    What the user overrides wins over what a rule asks for, this wins over what suits the data set, and this wins over
    the defaults in settings.py.

    Parameters
    ----------
    data : str
        A name in `data.DATASETS`.
    names : sequence of str
        The rules, by the names that `rules.get` knows.
    seeds : sequence of int
        Every rule is run once with each.
    overrides : mapping, optional
        Settings by name, any of TRAINING.
    device : str
        "cpu", "cuda" or "cuda:N".
    threads : int, optional
        The number of workers; what suits the data set if it is left out.

    Returns
    -------
    dict
        The settings that hold for all rules; what holds for one rule only is in "rule_settings", by rule.

    Raises
    ------
    InputError
        If there is no such data set, rule or setting, or if a setting has a value that it cannot have.

    Examples
    --------
    >>> config = resolve("digits", ["bp", "kp"], overrides={"epochs": 3})
    >>> config["epochs"], config["optimizer"], config["rule_settings"]["kp"]["optimizer"]
    (3, 'adam', 'adamw')
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
    """One rule, under the name that results give it, with its network and its settings.

    Parameters
    ----------
    name : str
        What results call it.
    rule : Rule
        The learning rule.
    net : Network
        The network that it trains.
    settings : Settings
        How it trains.

    Examples
    --------
    >>> trial(resolve("xor", ["bp"]), "bp", (30,), 4).settings.epochs
    30
    """

    name: str
    rule: Rule
    net: Network
    settings: Settings


def trial(config: dict[str, Any], name: str, shape: tuple[int, ...], classes: int) -> Trial:
    """Make the trial of one rule of a config, for samples of that shape.

    Parameters
    ----------
    config : dict
        What `resolve` gives.  A config that was stored before a setting was there has the setting's default.
    name : str
        One of the config's rules.
    shape : tuple of int
        The shape of one sample.
    classes : int
        The number of classes.

    Returns
    -------
    Trial
        The rule with its network and its settings.

    Raises
    ------
    InputError
        If the network cannot be built, or if a setting has a value that it cannot have.

    Examples
    --------
    >>> len(trial(resolve("xor", ["bp"]), "bp", (30,), 4).net)
    4
    """
    chosen = config | config["rule_settings"].get(name, {})
    which = choose(NetworkSettings, chosen)
    net = models.build(which.model, shape, classes, which.activation, which.loss)
    return Trial(name, rules.get(name), net, choose(Settings, chosen))


def train(jobs: Sequence[tuple[Trial, int]], data: Dataset, config: dict[str, Any], runs: list[dict[str, Any]],
          measure: Callable[[Run], dict[str, Any]] = lambda run: {}) -> None:
    """Train every trial with its seed, and show a bar of epochs on stderr, or a line for each run if it is no terminal.

    Parameters
    ----------
    jobs : sequence of (Trial, int)
        The trials with their seeds, in the order in which they are run.
    data : Dataset
        What all of them learn from.
    config : dict
        Its "device" and "threads" are used.
    runs : list of dict
        A record of each run is put here after the run's first epoch, of the form in results.py.  From then on the
        record holds all that was measured, so that an exception, such as that of Ctrl-C, loses nothing.
    measure : callable, optional
        What else is recorded after an epoch: a function of the run that gives a dict.

    Raises
    ------
    Diverged
        If a run's numbers are no longer finite.

    Examples
    --------
    >>> import contextlib, io
    >>> from nobackprop.data import load
    >>> config, data, runs = resolve("xor", ["bp"], overrides={"epochs": 1}), load("xor"), []
    >>> with contextlib.redirect_stderr(io.StringIO()):
    ...     train([(trial(config, "bp", data.shape, data.classes), 0)], data, config, runs)
    >>> runs[0]["rule"], len(runs[0]["history"])
    ('bp', 1)
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
    """A comparison of rules: all of it is checked when it is made, and `run` does it.

    Parameters
    ----------
    config : dict
        What `resolve` gives.
    data_dir : str, optional
        The folder with the data set's files.
    download : bool
        Whether files that are missing may be fetched.

    Attributes
    ----------
    data : Dataset
        What all rules learn from.
    trials : list of Trial
        One for each rule.
    results : dict
        Of the form in nobackprop/experiments/results.py; `run` fills it.

    Raises
    ------
    InputError
        If a setting, the device or the data set's files are wrong or missing.  Mistakes that need no data are told
        before a file is read.

    Examples
    --------
    >>> comparison = Comparison(resolve("xor", ["bp", "las"]))
    >>> [one.name for one in comparison.trials], comparison.results["runs"]
    (['bp', 'las'], [])
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

        After each epoch `results` holds all that was measured, so that an exception loses nothing.
        """
        train([(one, seed) for one in self.trials for seed in self.config["seeds"]], self.data, self.config,
              self.results["runs"])

    def finished(self) -> list[dict[str, Any]]:
        """Return the records of the runs that reached their end."""
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
    """Say on which versions and which machine a run is made: its numbers may depend on them.

    Parameters
    ----------
    xp : module
        NumPy or CuPy.
    threads : int
        The number of workers.

    Returns
    -------
    dict
        Texts by name, and "threads".

    Examples
    --------
    >>> import numpy as np
    >>> environment(np, 1)["device"]
    'cpu'
    """
    device = "cpu"
    if xp is not np:
        device = xp.cuda.runtime.getDeviceProperties(xp.cuda.Device().id)["name"].decode()
    return {"nobackprop": __version__, "numpy": np.__version__, "python": platform.python_version(),
            "platform": platform.platform(), "device": device, "threads": threads}
