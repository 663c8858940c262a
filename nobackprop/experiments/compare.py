"""Comparing rules: the same data, networks, batches and seeds under every one of them."""
from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from .. import __version__, checks, models, rules, workers
from ..backend import open_device
from ..callbacks import Callback, checked
from ..data import DATASETS, Dataset, load, source
from ..data.tasks import score
from ..errors import InputError, brief, integer
from ..learn import Run
from ..network import Network
from ..rules import Rule
from ..settings import NAMES, NetworkSettings, Settings, choose, suited
from . import RULES, SEEDS
from .folder import Folder
from .loop import MINUTE, Every, Job, Trial, take_over, train
from .results import FORMAT, Number, check

TRAINING = NAMES
# samples in place of those of a data set whose shape is not known yet: one number, and an image
# what `Comparison.resumed` relies on in a stored config; the settings are checked when they are used
CONFIG = {"data": str, "rules": [str], "seeds": [Number(0, math.inf, whole=True)], "device": str,
          "threads": Number(1, 1024, whole=True), "rule_settings": {}}
STAND_INS = ((1,), (64, 64, 3))


def resolve(data: str | Dataset, names: Sequence[str] = RULES, seeds: Sequence[int] = SEEDS,
            overrides: Mapping[str, Any] | None = None, device: str = "cpu", threads: int | None = None,
            own: Mapping[str, Rule] | None = None) -> dict[str, Any]:
    """Collect all settings of a comparison in one dict, which a results.json can hold.

    What the user overrides wins over what a rule asks for, this wins over what suits the data set, and this wins over
    the defaults in settings.py.

    Parameters
    ----------
    data : str or Dataset
        A name in `data.DATASETS`, the name of a file of your own, as `data.load` takes it, or a data set of your own.
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
    own : mapping, optional
        Rules that `rules.get` need not know, by name.

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
    if isinstance(data, Dataset):
        name, defaults = data.name, dict(DATASETS[data.name].defaults if data.name in DATASETS else {"loss": data.loss})
    else:
        name, defaults = data, dict(source(data).defaults)
    common = suited(defaults, None, overrides)
    seeds = _seeds(seeds)
    threads = integer("threads", defaults.get("threads", 1) or workers.cores() if threads is None else threads, 1)
    found = {rule: suited(defaults, _rule(rule, own), overrides) for rule in names}
    for settings in (common, *found.values()):
        if isinstance(model := settings["model"], str) and models.is_own(model) \
                and not models.takes(model, "activation"):
            settings["activation"] = (overrides or {}).get("activation")  # which the network then refuses
    differ = {rule: {key: value for key, value in of.items() if value != common[key]} for rule, of in found.items()}
    return {"data": name, "rules": list(names), "seeds": seeds, **common, "device": device, "threads": threads,
            "rule_settings": {rule: settings for rule, settings in differ.items() if settings}}


def _seeds(seeds: object) -> list[int]:
    """The seeds of runs; InputError unless they are a list of at least one, each once."""
    if not isinstance(seeds, Iterable) or isinstance(seeds, str | bytes | Mapping):
        raise InputError(f"seeds is {brief(seeds)}, expected a list of integers from 0 on, such as [0, 1]")
    found = [checks.seed(seed) for seed in seeds]
    if not found or len(set(found)) < len(found):
        raise InputError(f"seeds is {brief(found)}, expected at least one integer from 0 on, and each once")
    return found


def _rule(name: str, own: Mapping[str, Rule] | None) -> Rule:
    """The rule of a name."""
    return own[name] if own and name in own else rules.get(name)


def trial(config: dict[str, Any], name: str, shape: tuple[int, ...], classes: int,
          own: Mapping[str, Rule] | None = None, net: Network | None = None) -> Trial:
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
    own : mapping, optional
        Rules that `rules.get` need not know, by name.
    net : Network, optional
        The network, if it is not the one that the config names.

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
    if net is None:
        which = choose(NetworkSettings, chosen)
        net = models.build(which.model, shape, classes, which.activation, which.loss)
    return Trial(name, _rule(name, own), net, choose(Settings, chosen))


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
    command : str
        The command of nobackprop that can go on with the results.
    data : Dataset, optional
        The data set, if it is one of your own.
    own, net
        As `trial` takes them.
    callbacks : sequence
        What is called in every run, see nobackprop/callbacks.py.

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

    def __init__(self, config: dict[str, Any], data_dir: str | None = None, download: bool = False,
                 command: str = "compare", data: Dataset | None = None, own: Mapping[str, Rule] | None = None,
                 net: Network | None = None, callbacks: Sequence[Callback] = ()):
        self.callbacks = checked(callbacks)
        self.config = config = dict(config)
        if data is None and net is None:
            for name in config["rules"]:  # so that mistakes are said before anything is read
                _check_before_loading(config, name, own)
        xp = open_device(config["device"])
        self.data = load(config["data"], data_dir, download) if data is None else data
        # files may hold fewer classes than the publisher's
        self.trials = [trial(config, name, self.data.shape, self.data.classes, own, net) for name in config["rules"]]
        for one in self.trials:
            Run(one.net, one.rule, self.data, one.settings, config["seeds"][0], config["device"], one.name)
        self.results: dict[str, Any] = {
            "format": FORMAT, "command": command, "config": config,
            "environment": environment(xp, config["threads"], self.data), "runs": []}

    @classmethod
    def resumed(cls, stored: dict[str, Any], data_dir: str | None = None, download: bool = False) -> Comparison:
        """Return the comparison that an earlier process has begun; its `run` goes on.

        Parameters
        ----------
        stored : dict
            The results that it has left, as `folder.reopen` reads them.
        data_dir, download
            As for a new comparison.

        Returns
        -------
        Comparison

        Raises
        ------
        InputError
            If the stored settings are damaged, or if the results were made on other data.
        """
        check("results.json", stored, {"config": CONFIG, "environment": {}})
        config = {key: value for key, value in stored["config"].items() if key != "interrupted"}
        _seeds(config["seeds"])
        made = cls(config, data_dir, download, stored["command"])
        take_over(made.results, stored)
        return made

    @property
    def jobs(self) -> list[Job]:
        """Every rule with every seed."""
        return [Job(one, self.data, seed, self.config["device"], self.callbacks) for one in self.trials
                for seed in self.config["seeds"]]

    def run(self, folder: Folder | None = None, order: str = "seeds", checkpoint: Every = MINUTE,
            log_every: int | None = None, silent: bool = False) -> None:
        """Train every rule with every seed, as `loop.train` does.

        After each epoch `results` holds all that was measured, so that an exception loses nothing.  A run that diverges
        has a record that says so.

        Parameters
        ----------
        folder, order, checkpoint, log_every, silent
            As `loop.train` takes them.  Without a folder nothing is written.
        """
        train(self.jobs, self.results, folder, order, checkpoint, log_every, silent)

    def finished(self) -> list[dict[str, Any]]:
        """Return the records of the runs that reached their end."""
        return [run for run in self.results["runs"] if score(run, "test") is not None]


def _check_before_loading(config: dict[str, Any], name: str, own: Mapping[str, Rule] | None) -> None:
    """Raise InputError if a trial is impossible whatever the shape of the data set's samples is."""
    known = source(config["data"])
    if known.shape is None and models.is_own(config["model"]):
        return  # a function of the user's own may rely on the samples' shape
    shapes = STAND_INS if known.shape is None else (known.shape,)
    for i, shape in enumerate(shapes, start=1):
        try:
            trial(config, name, shape, known.classes or 2, own)
            return
        except InputError:
            if i == len(shapes):
                raise


def environment(xp: ModuleType, threads: int, data: Dataset) -> dict[str, Any]:
    """Say on which versions and which machine a run is made: its numbers may depend on them.

    Parameters
    ----------
    xp : module
        NumPy or CuPy.
    threads : int
        The number of workers.
    data : Dataset
        What is learnt from.

    Returns
    -------
    dict
        Texts by name, and "threads".

    Examples
    --------
    >>> import numpy as np
    >>> environment(np, 1, load("xor"))["device"]
    'cpu'
    """
    device = "cpu"
    if xp is not np:
        device = xp.cuda.runtime.getDeviceProperties(xp.cuda.Device().id)["name"].decode()
    return {"nobackprop": __version__, "numpy": np.__version__, "python": platform.python_version(),
            "platform": platform.platform(), "device": device, "threads": threads,
            "dataset": data.name, "fingerprint": data.fingerprint}
