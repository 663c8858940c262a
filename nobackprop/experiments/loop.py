"""The loop through which everything goes that trains: jobs, each trained epoch by epoch and written down as it goes.

    with claim("out", "digits") as folder:
        train(jobs, results, folder)

`jobs` are in the order in which a results.json lists their runs; `results` has the form in results.py, with no runs or
with those that an earlier process has left.  A run that has ended, with a test accuracy or with a sentence that says
how it diverged, is not trained again.  One that was interrupted goes on from its checkpoint, or from its beginning.
"""
from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import metrics, workers
from ..callbacks import Callback
from ..data import Dataset
from ..data.tasks import TASKS, score
from ..errors import InputError, check_name
from ..learn import Diverged, Run
from ..network import Network
from ..rules import Rule
from ..settings import Settings
from .folder import Folder
from .progress import Progress

ORDERS = ("seeds", "rules")


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
    >>> from nobackprop.experiments.compare import resolve, trial
    >>> trial(resolve("xor", ["bp"]), "bp", (30,), 4).settings.epochs
    30
    """

    name: str
    rule: Rule
    net: Network
    settings: Settings


@dataclass(frozen=True)
class Job:
    """One run that is to be trained.

    Parameters
    ----------
    trial : Trial
        Rule, network and settings, under the name that results give them.  No two jobs of a list have the same name and
        the same seed.
    data : Dataset
        What it learns from.
    seed : int
        The seed of the run.
    device : str
        "cpu", "cuda" or "cuda:N".
    callbacks : sequence
        What is called after every batch or every epoch, see nobackprop/callbacks.py.
    extra : mapping
        What else the record of the run holds, such as the settings that a sweep has chosen for it.

    Examples
    --------
    >>> from nobackprop.data import load
    >>> from nobackprop.experiments.compare import resolve, trial
    >>> data = load("xor")
    >>> Job(trial(resolve("xor", ["bp"]), "bp", data.shape, data.classes), data, seed=3).key
    ('bp', 3)
    """

    trial: Trial
    data: Dataset
    seed: int
    device: str = "cpu"
    callbacks: Sequence[Callback] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, int]:
        """The name and the seed, by which a record is found."""
        return self.trial.name, self.seed

    def begin(self) -> Run:
        """Return the run before its first epoch."""
        return Run(self.trial.net, self.trial.rule, self.data, self.trial.settings, self.seed, self.device,
                   self.trial.name, self.callbacks)


@dataclass(frozen=True)
class Every:
    """How often a checkpoint is written: after so many epochs or seconds; never if both are left out.

    Parameters
    ----------
    epochs : int, optional
        The number of epochs from one checkpoint to the next.
    seconds : float, optional
        A checkpoint is written at the end of the first epoch after that time.

    Examples
    --------
    >>> Every(epochs=5).is_due(5, 0.0), Every(seconds=60.0).is_due(5, 0.0), Every().is_due(1000, 1e6)
    (True, False, False)
    """

    epochs: int | None = None
    seconds: float | None = None

    def is_due(self, epochs: int, seconds: float) -> bool:
        """Say whether that many epochs or seconds after the last checkpoint the next one is written."""
        return (self.epochs is not None and epochs >= self.epochs
                or self.seconds is not None and seconds >= self.seconds)


MINUTE = Every(seconds=60.0)


def train(jobs: Sequence[Job], results: dict[str, Any], folder: Folder | None = None, order: str = "seeds",
          checkpoint: Every = MINUTE, log_every: int | None = None, silent: bool = False) -> None:
    """Train all jobs that have not ended yet, and show on stderr how far they are.

    Parameters
    ----------
    jobs : sequence of Job
        In the order in which the results list their runs.
    results : dict
        Of the form in results.py.  Its runs are filled: a record is there after the first epoch of its run, and from
        then on it holds all that was measured, so that an exception, such as that of Ctrl-C, loses nothing.  As long as
        jobs wait, its config has "interrupted": true.  Its config's "threads" are used.
    folder : Folder, optional
        Where results.json and checkpoints are written, see folder.py.  The results are written at the start, after an
        epoch if two seconds have passed, after every run, and at the end, whatever ended the loop.
    order : {"seeds", "rules"}
        "seeds" trains every job of the first seed, then those of the next one; "rules" trains the jobs as they come.
    checkpoint : Every
        How often the running job's checkpoint is written.
    log_every : int, optional
        The number of epochs after which a line is printed.
    silent : bool
        Whether nothing is shown.

    Raises
    ------
    InputError
        If the results hold a run that is of no job, or if `order` is unknown.

    Notes
    -----
    A run that diverges ends with a record that says so in "diverged"; the other jobs are trained.  A run that a
    callback stops has "stopped" with the reason, and fewer epochs.  Any other error of a callback ends the loop.

    Examples
    --------
    >>> import contextlib, io
    >>> from nobackprop.data import load
    >>> from nobackprop.experiments.compare import resolve, trial
    >>> config, data = resolve("xor", ["bp"], overrides={"epochs": 1}), load("xor")
    >>> results = {"config": config, "runs": []}
    >>> with contextlib.redirect_stderr(io.StringIO()):
    ...     train([Job(trial(config, "bp", data.shape, data.classes), data, 0)], results)
    >>> [(run["rule"], len(run["history"])) for run in results["runs"]]
    [('bp', 1)]
    """
    check_name("order", order, ORDERS)
    records = _matched(jobs, results["runs"])
    waiting = [job for job in _in_order(jobs, order) if not has_ended(records.get(job.key))]
    results.setdefault("environment", {}).setdefault("settings", digest(results["config"]))
    if waiting:
        results["config"]["interrupted"] = True  # until all have ended, however the process ends
    todo = sum(job.trial.settings.epochs for job in waiting)
    with (workers.limit(results["config"]["threads"]),
          Progress(len(jobs), len(waiting), todo, log_every, silent) as shown):
        if folder is not None:
            folder.tell = shown.note
        try:
            if folder is not None:
                folder.write(results)
            for job in waiting:
                _train(job, jobs, results, folder, checkpoint, shown)
            results["config"].pop("interrupted", None)
        finally:
            if folder is not None:
                folder.write(results)


def _train(job: Job, jobs: Sequence[Job], results: dict[str, Any], folder: Folder | None, checkpoint: Every,
           shown: Progress) -> None:
    """Train one job to its end, and keep its record up to date."""
    shown.begin(f"{job.trial.name} seed {job.seed}", job.trial.settings.epochs)
    run = _begun(job, folder, shown)
    shown.skip(len(run.history))
    measured = [f"test_{measure.name}" for measure in TASKS[run.data.task].measures]
    record: dict[str, Any] = {"rule": run.name, "seed": run.seed, "parameters": metrics.size(run.params),
                              "seconds": run.seconds, **dict.fromkeys(measured), "history": list(run.history),
                              **job.extra}
    since, last = 0, time.monotonic()
    try:
        while not run.ended:
            run.epoch()
            # only now, so that the record never holds an epoch that is measured in part
            record["history"].append(run.history[-1])
            record["seconds"] = run.seconds
            _put(results["runs"], record, jobs)
            shown.epoch(run.history[-1])
            since += 1
            if folder is not None:
                if not run.ended and checkpoint.is_due(since, time.monotonic() - last):
                    folder.checkpoint(job.key, run)
                    since, last = 0, time.monotonic()
                folder.write(results, soon=True)
        record.update({f"test_{name}": value for name, value in run.test().items()})
        end = f"{record[measured[0]]:.4f}"
        if run.stopped:
            record["stopped"], end = run.stopped, f"{end}, stopped after {len(run.history)} epochs"
    except Diverged as error:
        record["diverged"], end = str(error), "diverged"
    except Exception:  # of a callback: what the library has measured of the epoch is whole
        record["history"] = list(run.history)
        if run.history:
            _put(results["runs"], record, jobs)
        raise
    _put(results["runs"], record, jobs)
    if folder is not None:
        folder.write(results)
        folder.drop_checkpoint(job.key)
    shown.end(end, run.seconds)


def _begun(job: Job, folder: Folder | None, shown: Progress) -> Run:
    """The run of a job: from its checkpoint if there is one that can be read, else from its beginning."""
    path = folder.checkpoint_of(job.key) if folder is not None else None
    if path is None or not path.exists():
        return job.begin()
    try:
        run = Run.load(path, job.data, job.trial.net, job.trial.rule, job.device, job.callbacks)
        if (run.name, run.seed, run.settings) == (*job.key, job.trial.settings):
            return run
        why = f"{path} is a checkpoint of another run"
    except InputError as error:
        why = str(error)
    shown.note(f"{job.trial.name} seed {job.seed} begins again: {why}")
    return job.begin()


def _put(runs: list[dict[str, Any]], record: dict[str, Any], jobs: Sequence[Job]) -> None:
    """Put a record into the list in the place of its job, and in the place of an older record of the same run."""
    by_key = {(one["rule"], one["seed"]): one for one in [*runs, record]}
    runs[:] = [by_key[job.key] for job in jobs if job.key in by_key]


def _matched(jobs: Sequence[Job], runs: Sequence[dict[str, Any]]) -> dict[tuple[str, int], dict[str, Any]]:
    """The records by the keys of their jobs; InputError if one of them cannot be of its job."""
    epochs = {job.key: job.trial.settings.epochs for job in jobs}
    for run in runs:
        key, reached = (run["rule"], run["seed"]), len(run["history"])
        if key not in epochs:
            raise InputError(f"the results hold a run of {run['rule']}, seed {run['seed']}, for which their settings "
                             "do not ask")
        short = reached < epochs[key] and score(run, "test") is not None and "stopped" not in run
        if reached > epochs[key] or short:
            raise InputError(f"the results hold a run of {run['rule']}, seed {run['seed']}, with {reached} epochs, "
                             f"expected {epochs[key]}")
    return {(run["rule"], run["seed"]): run for run in runs}


def _in_order(jobs: Sequence[Job], order: str) -> list[Job]:
    """The jobs as `order` says."""
    seeds = list(dict.fromkeys(job.seed for job in jobs))
    return sorted(jobs, key=lambda job: seeds.index(job.seed)) if order == "seeds" else list(jobs)


def has_ended(record: Mapping[str, Any] | None) -> bool:
    """Say whether a record is that of a run that reached its end or diverged.

    Examples
    --------
    >>> has_ended({"test_accuracy": 0.5}), has_ended({"test_accuracy": None}), has_ended(None)
    (True, False, False)
    """
    return record is not None and (score(record, "test") is not None or "diverged" in record)


def digest(config: Mapping[str, Any]) -> str:
    """Return a SHA-256 of settings, by which it is noticed if they are edited between two parts of a run.

    Examples
    --------
    >>> digest({"lr": 0.1, "interrupted": True}) == digest({"lr": 0.1})
    True
    """
    kept = {key: value for key, value in config.items() if key != "interrupted"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def take_over(results: dict[str, Any], stored: dict[str, Any]) -> None:
    """Put the runs that an earlier process has left into the results of the same settings, which then can go on.

    Parameters
    ----------
    results : dict
        The results that are to be filled, of the form in results.py.
    stored : dict
        What `folder.reopen` has read.

    Raises
    ------
    InputError
        If the stored results are of other settings or of other data.

    Examples
    --------
    >>> results = {"config": {"data": "xor"}, "environment": {"fingerprint": "0"}, "runs": []}
    >>> stored = {"config": {"data": "xor", "interrupted": True}, "environment": {"fingerprint": "1"}, "runs": []}
    >>> take_over(results, stored)
    Traceback (most recent call last):
    nobackprop.errors.InputError: the results were made on other data: the fingerprint of xor was '1' and is '0'
    """
    before, now = stored.get("environment", {}).get("fingerprint"), results["environment"]["fingerprint"]
    if before != now:
        raise InputError(f"the results were made on other data: the fingerprint of {results['config']['data']} was "
                         f"{before!r} and is {now!r}")
    config = {key: value for key, value in stored["config"].items() if key != "interrupted"}
    if stored["environment"].get("settings", "") != digest(config):
        raise InputError("the settings in results.json were edited: the runs that are there were made with others")
    ours = json.loads(json.dumps(results["config"]))
    if ours != config:
        different = next(key for key in {**config, **ours} if config.get(key, ...) != ours.get(key, ...))
        raise InputError(f"the results were made with other settings: '{different}' is not what this nobackprop would "
                         "run")
    results["environment"], results["runs"] = stored["environment"], stored["runs"]
