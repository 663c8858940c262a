"""Callbacks: functions of your own that are called while a run learns, to record, to stop and to save.

A callback is a function that is called after every epoch, or an object with a method `on_epoch`, a method `on_batch`,
which is called after every training step, or both.  It gets a `Moment`: what the run is then, to be read only.  What it
returns, a dict, is recorded in the history, in which a number that is not finite becomes None, as in results.json.
`raise Stop(why)` ends the training.

A callback cannot change what is computed: arrays are read-only or copies, and the random numbers are its own.
"""
from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import FrozenInstanceError, dataclass, field, fields
from typing import Any

import numpy as np

from .data import Dataset
from .data.tasks import TASKS
from .errors import InputError, brief
from .network import Network
from .predictor import Predictor
from .rules import Rule
from .tree import Tree, nodes

WHEN = ("on_batch", "on_epoch")
DRAWS = 4  # a run's own generators have the keys (0,) to (3,) below its seed; those of callbacks begin with this number
DEPTH = 8  # of lists in lists that can be recorded
# what records of epochs and of runs hold already, or what stands beside them in a table
OWN = {"epoch", "train_loss", "alignment", "alignment_at_a", "rule", "seed", "seconds", "parameters", "history",
       "diverged", "stopped", *(f"{part}_{measure.name}" for part in ("validation", "test") for task in TASKS.values()
                                for measure in task.measures)}
Callback = Any  # a function of a Moment, or an object with on_batch or on_epoch
Hook = Callable[["Moment"], Any]


class Stop(Exception):
    """What a callback raises to end the training, with a sentence that says why.

    After an epoch, the run ends there.  After a batch, the epoch ends with that batch, and is measured and recorded as
    any other.  The sentence is `Run.stopped`, and stands in results.json.

    Examples
    --------
    >>> import nobackprop as nb
    >>> def good_enough(now):
    ...     if now.record["validation_accuracy"] > 0.5:
    ...         raise nb.Stop("half of the answers are right")
    >>> data = nb.data.load("digits")
    >>> net = nb.models.build("mlp:32", data.shape, data.classes)
    >>> run = nb.fit(net, "bp", data, nb.Settings(epochs=30), callbacks=[good_enough])
    >>> len(run.history) < 30, run.stopped
    (True, 'half of the answers are right')
    """


@dataclass(frozen=True, eq=False)
class Batch:
    """The training step after which a callback is called.

    Parameters
    ----------
    number : int
        Its number in the epoch, from 1.
    x, y, output : Array
        The samples (N, ...), their targets (N, C), and what the network gave for them before the step, (N, C).
    value : Array
        The loss, as a scalar on the device.

    Examples
    --------
    >>> Batch(1, np.ones((2, 3)), np.eye(2), np.eye(2), np.array(0.5)).loss
    0.5
    """

    number: int
    x: Any
    y: Any
    output: Any
    value: Any = field(repr=False)

    @property
    def loss(self) -> float:
        """The loss of the samples, before the step; to read it waits for the device."""
        return float(self.value)


@dataclass(frozen=True, eq=False)
class Moment:
    """What a callback sees of a run: what is here has the same name as on the run, and can only be read.

    Arrays of NumPy are read-only views of the run's own, which go on changing: copy what you keep.  Arrays on a GPU are
    copies.

    Parameters
    ----------
    run : Run
        The run, which is kept out of the callback's sight.
    epoch : int
        The number of the epoch, from 1.
    batch : Batch or None
        The training step, in `on_batch`; None in `on_epoch`.
    place : int
        The number of the callback in the list, from which its random numbers come.
    saves : list
        Where `save` puts the names of files that are to be written.

    Examples
    --------
    >>> import nobackprop as nb
    >>> seen = []
    >>> data = nb.data.load("xor")
    >>> net = nb.models.build("mlp:8", data.shape, data.classes)
    >>> _ = nb.fit(net, "dfa", data, nb.Settings(epochs=2), callbacks=[lambda now: seen.append((now.name, now.epoch))])
    >>> seen
    [('dfa', 1), ('dfa', 2)]
    """

    _run: Any = field(repr=False)
    epoch: int
    batch: Batch | None = None
    _place: int = 0
    _saves: list[str | os.PathLike[str]] = field(default_factory=list, repr=False)
    _given: list[Any] = field(default_factory=list, repr=False)

    def _shown(self, value: Any) -> Any:
        """Return the same tree of arrays that cannot be written into, and remember how it was given."""
        shown = read_only(value)
        self._given.append((shown, list(nodes(shown))))
        return shown

    def changed(self) -> bool:
        """Say whether somebody has changed a list or a dict that was handed out."""
        return any(len(before) != len(now := list(nodes(given))) or any(
            (key, id(child)) != (key_now, id(child_now))
            for (_, key, child), (_, key_now, child_now) in zip(before, now, strict=True))
            for given, before in self._given)

    @property
    def net(self) -> Network:
        """The network."""
        found: Network = self._run.net
        return found

    @property
    def rule(self) -> Rule:
        """The learning rule."""
        found: Rule = self._run.rule
        return found

    @property
    def name(self) -> str:
        """What messages and results call the run."""
        return str(self._run.name)

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return int(self._run.seed)

    @property
    def settings(self) -> Any:
        """How the run is trained, a `Settings`."""
        return self._run.settings

    @property
    def data(self) -> Dataset:
        """The data set."""
        shown: Dataset = copy.copy(self._run.data)
        for part in fields(shown):
            object.__setattr__(shown, part.name, read_only(getattr(shown, part.name)))
        return shown

    @property
    def params(self) -> Tree:
        """The parameters, which prediction needs."""
        return self._shown(self._run.params)

    @property
    def state(self) -> Tree:
        """The state, which only learning needs."""
        return self._shown(self._run.state)

    @property
    def x(self) -> Any:
        """All training samples (N, ...)."""
        return read_only(self._run.x)

    @property
    def y(self) -> Any:
        """The targets of all training samples, (N, C)."""
        return read_only(self._run.y)

    @property
    def validation(self) -> Any:
        """Samples and targets of the validation set."""
        return read_only(self._run.validation)

    @property
    def probe(self) -> Any:
        """The first 256 samples and targets of the validation set, on which alignment is measured."""
        return read_only(self._run.probe)

    @property
    def history(self) -> list[dict[str, Any]]:
        """A record for each epoch that has ended; in `on_epoch` the last one is that of this epoch."""
        shown: list[dict[str, Any]] = self._shown(list(self._run.history))
        return shown

    @property
    def record(self) -> dict[str, Any]:
        """The record of this epoch, in `on_epoch`: all that was measured, and what callbacks before this one recorded.

        Raises
        ------
        InputError
            If it is read in `on_batch`.
        """
        if self.batch is not None:
            raise InputError("an epoch has a record at its end, and this is a batch: read now.record in on_epoch, and "
                             "now.batch.loss or now.history here")
        shown: dict[str, Any] = self._shown(self._run.history[-1])
        return shown

    @property
    def rng(self) -> np.random.Generator:
        """A new generator, the same one in every run with the same seed; no other generator of the run moves."""
        batch = 0 if self.batch is None else self.batch.number
        return np.random.default_rng(np.random.SeedSequence(
            self.seed, spawn_key=(DRAWS, self._place, self.epoch, batch)))

    def predictor(self) -> Predictor:
        """Return a copy of the network as it is now, with all that prediction on raw samples needs."""
        found: Predictor = self._run.predictor()
        return found

    def save_model(self, path: str | os.PathLike[str]) -> None:
        """Write the network as it is now to a file that `nobackprop.load` reads; see `Run.save_model`."""
        self._run.save_model(path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint of the run as soon as all callbacks have recorded this epoch; see `Run.save`.

        Parameters
        ----------
        path : path
            The file; what was there is replaced.

        Raises
        ------
        InputError
            If it is called in `on_batch`, as a checkpoint belongs between epochs.
        """
        if self.batch is not None:
            raise InputError("a checkpoint belongs between epochs, and this is a batch: call now.save in on_epoch, or "
                             "now.save_model here")
        self._saves.append(path)


def read_only(value: Any) -> Any:
    """Return a tree of the same arrays that cannot be written into: views of NumPy's, copies of a GPU's.

    Examples
    --------
    >>> read_only({"W": np.ones(2)})["W"][0] = 3
    Traceback (most recent call last):
    ValueError: assignment destination is read-only
    """
    if isinstance(value, dict):
        return {key: read_only(child) for key, child in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(read_only, value))
    if isinstance(value, np.ndarray):
        view = value.view()
        view.flags.writeable = False
        return view
    return value.copy() if hasattr(value, "dtype") else value


def checked(callbacks: object) -> tuple[Callback, ...]:
    """Return callbacks as a tuple; raise InputError if one of them is none.

    Examples
    --------
    >>> checked([print]) == (print,)
    True
    >>> checked(3)
    Traceback (most recent call last):
    nobackprop.errors.InputError: callbacks is 3, expected a list of functions such as print, or of objects with \
on_epoch or on_batch
    """
    wanted = "functions such as print, or of objects with on_epoch or on_batch"
    if not isinstance(callbacks, list | tuple):
        raise InputError(f"callbacks is {brief(callbacks)}, expected a list of {wanted}")
    for one in callbacks:
        if isinstance(one, type):
            raise InputError(f"callbacks holds the class {one.__name__}, expected an instance: {one.__name__}(...)")
        if not callable(one) and not any(callable(getattr(one, when, None)) for when in WHEN):
            raise InputError(f"callbacks holds {brief(one)}, expected a list of {wanted}")
    return tuple(callbacks)


def hooks(callbacks: Sequence[Callback], when: str) -> list[tuple[int, Hook]]:
    """Return what is called "on_batch" or "on_epoch", with the place of each callback in the list.

    Examples
    --------
    >>> hooks([print], "on_batch"), hooks([print], "on_epoch") == [(0, print)]
    ([], True)
    """
    found = []
    for place, one in enumerate(callbacks):
        methods = [name for name in WHEN if callable(getattr(one, name, None))]
        if when in methods:
            found.append((place, getattr(one, when)))
        elif not methods and when == "on_epoch":
            found.append((place, one))
    return found


def recordable(name: str, value: Any, depth: int = 0) -> Any:
    """Return a value as a results.json can hold it; None takes the place of a number that is not finite.

    Parameters
    ----------
    name : str
        What the message calls the value.
    value : object
        A number, a text, None, True or False, an array, or lists and dicts of these.
    depth : int
        How many lists and dicts it stands in already.

    Raises
    ------
    InputError
        If it is something else.

    Examples
    --------
    >>> recordable("mine", {"w": np.array([1.5, np.nan])})
    {'w': [1.5, None]}
    """
    value = value.tolist() if hasattr(value, "tolist") else value
    if depth < DEPTH and isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {recordable(name, key): recordable(name, child, depth + 1) for key, child in value.items()}
    if depth < DEPTH and isinstance(value, list | tuple):
        return [recordable(name, child, depth + 1) for child in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool) or isinstance(value, str) and value.isprintable():
        return value
    if isinstance(value, int) and value.bit_length() <= 64:
        return int(value)
    raise InputError(f"a callback recorded {brief(value)} as '{name}', expected numbers, printable texts, None, "
                     f"arrays, or lists and dicts of these, at most {DEPTH} deep")


class Round:
    """The callbacks of one epoch of a run: it calls them, and collects what they record.

    Parameters
    ----------
    run : Run
        The run, whose `callbacks` are called, and whose `stopped` is set.

    Examples
    --------
    >>> import nobackprop as nb
    >>> data = nb.data.load("xor")
    >>> net = nb.models.build("mlp:8", data.shape, data.classes)
    >>> run = nb.Run(net, "dfa", data, callbacks=[lambda now: {"twice": 2 * now.epoch}])
    >>> record = {"epoch": 1}
    >>> run.history.append(record)
    >>> Round(run, 1).after_epoch(record)
    >>> record
    {'epoch': 1, 'twice': 2}
    """

    def __init__(self, run: Any, epoch: int):
        self.run, self.epoch = run, epoch
        self.on_batch, self.on_epoch = (hooks(run.callbacks, when) for when in WHEN)
        self.batches = 0
        self.series: dict[str, dict[int, Any]] = {}  # by name: values by the number of the batch
        self.saves: list[str | os.PathLike[str]] = []

    def after_batch(self, x: Any, y: Any, output: Any, loss: Any) -> None:
        """Call what is called after a training step."""
        self.batches += 1
        if not self.on_batch:
            return
        batch, seen = Batch(self.batches, read_only(x), read_only(y), read_only(output), loss), set[str]()
        for place, hook in self.on_batch:
            for name, value in self._call(place, hook, batch, seen).items():
                self.series.setdefault(name, {})[self.batches] = value

    def after_epoch(self, record: dict[str, Any]) -> None:
        """Put what was recorded into the epoch's record, and write the checkpoints that were asked for."""
        for name in self.series.keys() & record.keys():
            raise InputError(f"a callback recorded something after a batch as '{name}', which is recorded already: "
                             "expected another name")
        record |= {name: [values.get(i + 1) for i in range(self.batches)] for name, values in self.series.items()}
        try:
            for place, hook in self.on_epoch:
                record |= self._call(place, hook, None, set(record))
        finally:
            for path in self.saves:
                self.run.save(path)

    def _call(self, place: int, hook: Hook, batch: Batch | None, taken: set[str]) -> dict[str, Any]:
        """Call one callback, and return what it records; `taken` has the names that others have recorded under."""
        now = Moment(self.run, self.epoch, batch, place, self.saves)
        whose = f"the callback {_called(hook)}"
        given: Any = None
        try:
            given = hook(now)
        except Stop as stop:
            self.run.stopped = self.run.stopped or str(stop) or f"{whose} stopped it"
        except (FrozenInstanceError, ValueError) as error:
            if isinstance(error, ValueError) and "read-only" not in str(error) or isinstance(error, InputError):
                raise
            raise _written(whose) from error
        if now.changed():
            raise _written(whose)
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            raise InputError(f"{whose} returned {brief(given)}, expected a dict of what is to be recorded, or None")
        for name in given:
            if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= 60:
                raise InputError(f"{whose} recorded something as {brief(name)}, expected a printable name of 1 to 60 "
                                 "letters")
            if name in OWN or name in taken:
                raise InputError(f"{whose} recorded something as '{name}', which is recorded already: expected another "
                                 "name")
        taken |= set(given)
        return {name: recordable(name, value) for name, value in given.items()}


def _called(hook: Hook) -> str:
    """What messages call a callback."""
    return str(getattr(hook, "__qualname__", type(hook).__name__))


def _written(whose: str) -> InputError:
    """The error for a callback that would change the run."""
    return InputError(f"{whose} wrote into what it was given, which is for reading: expected it to change a copy, such "
                      "as copy.deepcopy(now.params)")
