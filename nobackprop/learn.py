"""Learning: the training step that serves every rule, and the run of it over epochs."""
from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from . import blueprint, checks, errors, metrics, network, saving
from . import callbacks as callback
from .backend import Array, array_module, keep_freed_memory, open_device, to_module, to_numpy
from .data import DATASETS, Dataset
from .data import load as load_data
from .data.augment import parse
from .data.tasks import TASKS
from .errors import InputError, brief, check_name, integer
from .kernels import winograd
from .network import Network, Tape
from .optim import SCHEDULES, Optimizer, bind
from .predictor import PLAIN, Predictor
from .rules import Rule, describe, get, recall
from .settings import Settings, choose, suited
from .tree import Tree, leaves, tree_map
from .version import __version__

ALIGNMENT_SAMPLES = 256
LOG = logging.getLogger(__name__)
CHECKPOINT = "checkpoint"  # the kind of file that holds a run
augmentation = cache(parse)


def step(net: Network, rule: Rule, params: Tree, state: Tree, opt: Optimizer, opt_state: Optimizer,
         x: Array, y: Array, rng: np.random.Generator) -> Tape:
    """Take one training step on one batch, and change the parameters, the state and both optimisers in place.

    Parameters
    ----------
    net : Network
        The network.
    rule : Rule
        The learning rule.
    params, state : Tree
        What prediction needs, and what only learning needs.  They are changed in place.
    opt, opt_state : Optimizer
        The optimisers of these two trees, as `optim.bind` makes them.
    x : Array
        Samples (N, ...), of NumPy or CuPy.  Whether they hold NaN or infinity is not checked, as that takes time in
        every step; such numbers make the parameters NaN.  (`data.from_arrays` checks the data of a `Run`.)
    y : Array
        Targets (N, C), one row for each sample.  The target of a class is its one-hot row; under cross-entropy each row
        is made of probabilities.  In a regression they are the numbers themselves, with the loss "squared"; with
        several labels for each sample they are 0 and 1, with the loss "binary_cross_entropy".  A rule that cannot learn
        such targets refuses them (`Rule.learns`).  NumPy arrays are checked in every step, CuPy arrays in the first
        step only.
    rng : numpy.random.Generator
        The generator from which the rule draws what it draws anew in every step.

    Returns
    -------
    Tape
        What the step's one forward pass has left.

    Raises
    ------
    InputError
        If the arguments do not fit each other.  Then nothing has changed.

    Notes
    -----
    `align` comes before `credit` as in Algorithms 1 and 2 of Yang, Lee, Park 2024: the feedback weights B move first,
    and are used after that.

    Examples
    --------
    >>> import numpy as np
    >>> import nobackprop as nb
    >>> net, rule, rng = nb.models.build("mlp:4", (3,), 2), nb.rules.get("fa"), np.random.default_rng(0)
    >>> params, shapes = nb.network.init(net, rng, (3,))
    >>> state = rule.init(rng, net, params, shapes)
    >>> opt, opt_state = (nb.optim.bind("sgd", tree, lr=0.1) for tree in (params, state))
    >>> before = params[0][0]["W"].copy()
    >>> x, y = np.ones((5, 3), "float32"), np.eye(2, dtype="float32")[[0, 1, 0, 0, 1]]
    >>> tape = step(net, rule, params, state, opt, opt_state, x, y, rng)
    >>> tape.output.shape, bool((params[0][0]["W"] == before).all())
    ((5, 2), False)
    """
    checks.step(net, rule, params, state, opt, opt_state, x, y, rng)
    state = rule.refresh(rng, state)
    tape = rule.forward(net, params, state, x, rng)
    opt_state(rule.align(net, params, state, tape, y, rng))
    credit = rule.credit(net, params, state, tape, y, rng)
    checks.credit(net, rule, credit)
    opt_state(credit.state)
    opt(credit.grads)
    network.remember(net, params, tape)
    return tape


class History(list[dict[str, Any]]):
    """A list with one record, a dict, for each epoch that a run has finished.

    A record has "epoch" (counted from 1), "train_loss" (the mean over the epoch's samples, each measured before the
    step that it took part in), "validation_accuracy" (from 0 to 1), what the functions in `metrics.METRICS` give, and
    what callbacks record.
    In the place of the accuracy, it has "validation_r2" and "validation_mean_error" if numbers are learnt, and
    "validation_exact_match" and "validation_label_accuracy" if it is labels, see `data.tasks`.

    Examples
    --------
    >>> History([{"epoch": 1, "train_loss": 0.5}, {"epoch": 2, "train_loss": 0.25}]).column("train_loss")
    [0.5, 0.25]
    """

    def column(self, name: str) -> list[Any]:
        """Return one quantity over the epochs, as a list."""
        return [record[name] for record in self]


class Diverged(InputError):  # noqa: N818  it says how a run went, and its name is a public one
    """The error for a run whose loss, parameters or state are no longer finite numbers.

    Examples
    --------
    >>> issubclass(Diverged, InputError)
    True
    """


class Run:
    """One network that learns under one rule, epoch by epoch; it holds all that was reached so far.

    Parameters
    ----------
    net : Network
        The network; its output must have one unit for each class, number or label.
    rule : Rule or str
        The learning rule, or the name by which `rules.get` knows it.
    data : Dataset
        The training, validation and test samples.
    settings : Settings, optional
        How to train.  If it is left out: what suits the data set and the rule, as on the command line; see
        `settings.suited`.  `Settings()` is what it says, whatever they are.
    seed : int
        From 0 to 2**64 - 1.  Four independent generators come from it: for the parameters, for the rule, for the order
        of samples and for augmentation.  So rules with the same seed start from the same network and see the same
        batches.
    device : str
        "cpu", "cuda" or "cuda:N".
    name : str, optional
        What messages and results call the run; the rule's name if it is left out.
    callbacks : sequence
        What is called after every batch or every epoch, see `nobackprop.callbacks`.

    Attributes
    ----------
    params, state : Tree
        What prediction needs, and what only learning needs.  Both may be assigned: the numbers are copied into the
        arrays that are there, and the optimisers go on as they were.
    history : History
        One record for each finished epoch.
    seconds : float
        The time that training steps took so far.
    stopped : str
        Why a callback has stopped the run; empty if none has.
    x, y : Array
        All training samples (N, ...) and their targets (N, C), on the device; of classes, one-hot rows.
    validation, probe : tuple of Array
        Samples and targets of the validation set, and the first 256 of them, on which alignment is measured.

    Raises
    ------
    InputError
        If the arguments do not fit each other.

    Notes
    -----
    A run can be copied and pickled; its copy goes on as the run itself would have.

    Examples
    --------
    >>> import nobackprop as nb
    >>> data = nb.data.load("xor")
    >>> run = Run(nb.models.build("mlp:8", data.shape, data.classes), "dfa", data, nb.Settings(batch_size=500))
    >>> sorted(run.epoch())
    ['alignment', 'alignment_at_a', 'epoch', 'train_loss', 'validation_accuracy']
    """

    def __init__(self, net: Network, rule: Rule | str, data: Dataset, settings: Settings | None = None,
                 seed: int = 0, device: str = "cpu", name: str = "", callbacks: Sequence[callback.Callback] = ()):
        self.callbacks = callbacks
        self.rule = get(rule) if isinstance(rule, str) else rule
        checks.network_and_rule(net, self.rule)
        for what, came, kind in (("data", data, Dataset), ("settings", settings, Settings)):
            if not isinstance(came, kind) and (came is not None or what == "data"):
                raise InputError(f"{what} is {brief(came)}, expected a {kind.__name__}")
        self.net, self.data = net, data
        self.settings = choose(Settings, suited(data.name, self.rule)) if settings is None else settings
        if not isinstance(name, str):
            raise InputError(f"name is {brief(name)}, expected a text")
        self.seed = checks.seed(seed)
        self.name = name or (rule if isinstance(rule, str) else checks.name_of(rule))
        draw_params, draw_state, self.rng, self.draw_augment = map(
            np.random.default_rng, np.random.SeedSequence(self.seed).spawn(4))
        checks.data(data, self.settings.augment, net, self.rule, self.name)
        xp = open_device(device)
        keep_freed_memory()
        params, shapes = checks.init(net, draw_params, data.shape, self.settings.dtype)
        if shapes[-1] != (data.classes,):
            raise InputError(f"the network's output has shape {shapes[-1]}, expected ({data.classes},): "
                             f"{data.name} has {data.outputs_in_words}")
        least, samples = network.least_batch(net, data.shape), len(data.y_train)
        checks.enough("batch_size", self.settings.batch_size, least)
        checks.enough("the number of training samples", samples, least)
        self.cuts = cuts(samples, self.settings.batch_size, least)
        state = tree_map(lambda array: array.astype(self.settings.dtype),
                         checks.state_of(self.rule, self.rule.init(draw_state, net, params, shapes)))
        self.optimizers = [bind(self.settings.optimizer, to_module(tree, xp), self.settings.lr,
                                self.settings.weight_decay) for tree in (params, state)]
        self.optimizers[0].fits = checks.Fits(net, self.rule, data.shape, shapes[-1], least, one_hot=True)
        self.x, self.y = self._pair(data.x_train, data.y_train, xp)
        self.validation = self._pair(data.x_validation, data.y_validation, xp)
        x, y = (array[:ALIGNMENT_SAMPLES] for array in self.validation)
        self.probe = x, y
        self.history, self.seconds, self.stopped = History(), 0.0, ""

    @property
    def xp(self) -> ModuleType:
        """The array module of the run's device, NumPy or CuPy."""
        return array_module(self.x)

    @property
    def history(self) -> History:
        """One record for each finished epoch."""
        return self._history

    @history.setter
    def history(self, records: list[dict[str, Any]]) -> None:
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise InputError(f"history is {brief(records)}, expected a list with a dict for each epoch")
        self._history = records if isinstance(records, History) else History(records)

    @property
    def callbacks(self) -> tuple[callback.Callback, ...]:
        """What is called after every batch or every epoch."""
        return self._callbacks

    @callbacks.setter
    def callbacks(self, given: Sequence[callback.Callback]) -> None:
        self._callbacks = callback.checked(given)

    @property
    def ended(self) -> bool:
        """Whether all epochs are done, or a callback has stopped the run."""
        return bool(self.stopped) or len(self.history) >= self.settings.epochs

    def __repr__(self) -> str:
        epochs = f"{len(self.history)} of {self.settings.epochs} epochs"
        return f"Run({self.name}, {self.data!r}, seed {self.seed}, {epochs})"

    @property
    def params(self) -> Tree:
        """The parameters, which prediction needs: the tree that the first optimiser writes into."""
        return self.optimizers[0].tree

    @params.setter
    def params(self, tree: Tree) -> None:
        self._copy("params", tree, self.params)

    @property
    def state(self) -> Tree:
        """The state, which only learning needs: the tree that the second optimiser writes into."""
        return self.optimizers[1].tree

    @state.setter
    def state(self, tree: Tree) -> None:
        self._copy("state", tree, self.state)

    def _copy(self, name: str, tree: Tree, into: Tree) -> None:
        """Copy the numbers of a tree into the arrays of another one."""
        checks.tree(name, tree, into, "this run")

        def copy(array: Array, there: Array) -> None:
            there[...] = self.xp.asarray(to_numpy(array))
        tree_map(copy, tree, into)

    def train(self) -> None:
        """Train until all epochs of the settings are done, or until a callback stops the run.

        Raises
        ------
        Diverged
            As `epoch` raises it.

        Notes
        -----
        If an exception ends it, such as one of a callback or that of Ctrl-C, `history` has all epochs that were
        measured.

        Examples
        --------
        >>> import nobackprop as nb
        >>> data = nb.data.load("xor")
        >>> run = Run(nb.models.build("mlp:8", data.shape, data.classes), "dfa", data, nb.Settings(epochs=2))
        >>> run.train()
        >>> run.ended, len(run.history)
        (True, 2)
        """
        while not self.ended:
            self.epoch()

    def epoch(self) -> dict[str, Any]:
        """Train for one epoch and return its record, which is also the last one of `history`.

        Raises
        ------
        Diverged
            If the loss of a step, anything that is learnt, or an output for the validation set is not finite.

        Notes
        -----
        What the library measures is in `history` before a callback is called.  An error of a callback passes through.
        """
        with winograd.allowed(self.settings.convolution == "fast"):
            return self._epoch()

    def _epoch(self) -> dict[str, Any]:
        """Do what `epoch` does; which kind of convolution is used is set already."""
        if not self.history:
            LOG.info("%r begins", self)
        called, spent = callback.Round(self, len(self.history) + 1), 0.0
        settings, losses, self.stopped = self.settings, [], ""
        for opt in self.optimizers:
            opt.lr = settings.lr * SCHEDULES[settings.schedule](len(self.history) / settings.epochs)
        opt, opt_state = self.optimizers
        order = self.rng.permutation(len(self.y))
        start = time.perf_counter()
        with np.errstate(over="ignore", invalid="ignore"):
            for begin, end in zip(self.cuts, self.cuts[1:]):
                net, (x, y) = self.net.batch(order[begin:end]), self._batch(order[begin:end])
                tape = step(net, self.rule, self.params, self.state, opt, opt_state, x, y, self.rng)
                losses.append(net.value(tape.output, y))
                if called.on_batch:
                    paused = time.perf_counter()
                    called.after_batch(x, y, tape.output, losses[-1])
                    spent += time.perf_counter() - paused
                    if self.stopped:
                        break
        loss = to_numpy(self.xp.stack(losses)).astype("float64")
        self.seconds += time.perf_counter() - start - spent
        if not np.isfinite(loss).all():
            first = int(np.flatnonzero(~np.isfinite(loss))[0])
            raise self._diverged(f"the training loss became {loss[first]}", f", step {first + 1}",
                                 moved=bool(first or self.history))
        broken = self._broken()
        if broken:
            raise self._diverged(f"{broken} is no longer finite", "'s end")
        mean = float(np.average(loss, weights=np.diff(self.cuts)[:len(loss)]))
        record = {"epoch": len(self.history) + 1, "train_loss": mean}
        self.history.append(record | self._measure())
        called.after_epoch(self.history[-1])
        LOG.debug("%r: %s", self, self.history[-1])
        if self.ended:
            LOG.info("%r ended%s", self, self.stopped and f": {self.stopped}")
        return self.history[-1]

    def _batch(self, rows: np.ndarray) -> tuple[Array, Array]:
        """Samples and targets of these rows of the training set, augmented if the settings say so."""
        there = self.xp.asarray(rows)
        if not self.settings.augment:
            return self.x[there], self.y[there]
        # images are changed on the host, where the generator is
        images = self.data.x_train[rows].astype(self.settings.dtype, copy=False)
        return self.xp.asarray(augmentation(self.settings.augment)(self.draw_augment, images)), self.y[there]

    def _broken(self) -> str:
        """The path of the first leaf of params or state that is not finite, or an empty text.

        Running statistics count, too.  The device is read only once.
        """
        learnt = dict(leaves({"params": self.params, "state": self.state}))
        if not learnt:
            return ""
        sound = to_numpy(self.xp.stack([self.xp.isfinite(array).all() for array in learnt.values()]))
        return next((path for path, fine in zip(learnt, sound, strict=True) if not fine), "")

    def _diverged(self, what: str, when: str, moved: bool = True) -> Diverged:
        """The error that says what is not finite, when, and what to try; `moved` says whether a step came before."""
        error = Diverged(f"rule {self.name}, seed {self.seed}: {what} at epoch {len(self.history) + 1}{when}; "
                         f"{self._why(moved)}")
        LOG.warning("%s", error)
        return error

    def _why(self, moved: bool) -> str:
        """Why numbers are not finite, as far as it is known, and what to try."""
        spoilt = [part for part in ("x_train", "x_validation") if not np.isfinite(getattr(self.data, part)).all()]
        if spoilt:
            hold = "holds" if len(spoilt) == 1 else "hold"
            return f"{' and '.join(spoilt)} of {self.data.name} {hold} numbers that are not finite"
        if not moved:
            return "the network's first outputs are too large already"
        shrunk = self.settings.lr * self.settings.weight_decay
        return (f"lr times weight_decay is {shrunk:g}, try less than 1" if shrunk >= 1
                else f"try a learning rate below {self.settings.lr:g}")

    def _measure(self) -> dict[str, Any]:
        """What an epoch's record says besides the training loss."""
        found = self._evaluated(*self.validation)
        if not np.isfinite(loss := found.pop("loss")):
            raise self._diverged(f"the loss for the validation set became {loss}", "'s end")
        return {**{f"validation_{name}": value for name, value in found.items()}, **metrics.measure(self)}

    def _evaluated(self, x: Array, y: Array) -> dict[str, float]:
        """What `evaluate` finds, in the units of the raw targets."""
        return evaluate(self.net, self.params, x, y, rule=self.rule, task=self.data.task, scale=self.data.y_scale)

    def test(self) -> dict[str, float]:
        """Measure the network on the test set; nothing else ever reads this set.

        Returns
        -------
        dict
            "accuracy" if classes are learnt; "r2" and "mean_error", in the units of the raw targets, if it is numbers;
            "exact_match" and "label_accuracy" if it is labels.

        Raises
        ------
        Diverged
            If numbers are learnt, and an output is not finite.
        """
        test = self._pair(self.data.x_test, self.data.y_test, self.xp)
        with winograd.allowed(self.settings.convolution == "fast"):
            found = self._evaluated(*test)
        del found["loss"]
        for name, value in found.items():
            if not np.isfinite(value):
                raise self._diverged(f"{name} for the test set became {value}", "")
        return found

    def test_accuracy(self) -> float:
        """Return the accuracy on the test set, from 0 to 1; raise InputError if no classes are learnt, see `test`."""
        if self.data.task != "classes":
            raise InputError(f"{self.data.name} has {self.data.task}, which have no accuracy: Run.test() measures them")
        return self.test()["accuracy"]

    def predictor(self) -> Predictor:
        """Return a copy of the network as it is now, with all that prediction on raw samples needs.

        Returns
        -------
        Predictor
            With `predict`, `predict_proba`, `score` and `save`.

        Examples
        --------
        >>> import nobackprop as nb
        >>> data = nb.data.load("digits")
        >>> run = nb.fit(nb.models.build("mlp:32", data.shape, data.classes), "bp", data, nb.Settings(epochs=3))
        >>> run.predictor().score(*data.raw("test")) == run.test_accuracy()
        True
        """
        params = tree_map(lambda array: to_numpy(array).copy(), self.params)
        data = self.data
        return Predictor(self.net, params, data.shape, data.names or tuple(range(data.classes)), data.mean, data.scale,
                         self.rule, data.task, data.y_mean, data.y_scale, data.columns)

    def save_model(self, path: str | os.PathLike[str]) -> None:
        """Write the trained network to a file that `nobackprop.load` reads.

        The file holds what prediction needs: the network, its parameters and running statistics, the mean and the scale
        of the raw samples, and the classes.

        Parameters
        ----------
        path : path
            The file, such as wine.safetensors; what was there is replaced.

        Raises
        ------
        InputError
            If the file cannot be written, or if the network has layers that a file cannot hold.
        """
        self.predictor().save(path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint: all that `Run.load` needs to go on as this run would, bit for bit.

        The file holds parameters, state, the optimisers' memories, generators, history, settings and the network.  It
        does not hold the data set, but a checksum of it.

        Parameters
        ----------
        path : path
            The file, such as run.safetensors; what was there is replaced, or stays if the new one cannot be written.

        Raises
        ------
        InputError
            If the file cannot be written, or if the network has layers that a file cannot hold.

        Notes
        -----
        A checkpoint belongs between epochs.  If an epoch was interrupted, load the last checkpoint.  What callbacks
        have recorded is in it; the callbacks are not.
        """
        header = {
            "nobackprop": __version__, "network": blueprint.draw(self.net), "rule": describe(self.rule),
            "name": self.name, "seed": self.seed, "settings": asdict(self.settings), "data": self.data.name,
            "fingerprint": self.data.fingerprint, "history": list(self.history), "seconds": self.seconds,
            "stopped": self.stopped,
            "generators": [rng.bit_generator.state for rng in (self.rng, self.draw_augment)],
            "steps": [opt.steps for opt in self.optimizers]}
        saving.write(path, CHECKPOINT, header, self._learnt(to_numpy))
        LOG.info("%r: wrote the checkpoint %s", self, path)

    def _learnt(self, f: Callable[[Array], Any]) -> dict[str, Tree]:
        """Everything that training changes in place, with f of each array: params, state and optimisers' memories."""
        return {"params": tree_map(f, self.params), "state": tree_map(f, self.state),
                "memories": [{path: [f(memory) for memory in memories] for path, (_, memories) in opt.slots.items()}
                             for opt in self.optimizers]}

    @classmethod
    def load(cls, path: str | os.PathLike[str], data: Dataset | str | None = None, net: Network | None = None,
             rule: Rule | str | None = None, device: str = "cpu", callbacks: Sequence[callback.Callback] = ()) -> Run:
        """Read a checkpoint that `save` wrote, and return a run that goes on from there, bit for bit.

        Parameters
        ----------
        path : path
            The file.
        data : Dataset or str, optional
            The data set of the run, or its name; by default that of the same name in `data.DATASETS`.
        net : Network, optional
            The network of the run; by default the file says which it is.
        rule : Rule or str, optional
            The rule of the run, or its name; by default the file says which it is.  A rule of your own has to be given,
            unless its code has run in this process already: a file never makes code run.
        device : str
            "cpu", "cuda" or "cuda:N".
        callbacks : sequence
            As for a new run: a file holds no callbacks.

        Returns
        -------
        Run

        Raises
        ------
        InputError
            If the file cannot be read, is damaged, was written by another version of this library, or is of another
            network, rule or data set than those given.
        """
        header, trees = saving.read(path, CHECKPOINT)
        try:
            if header["nobackprop"] != __version__:
                raise InputError(f"nobackprop {header['nobackprop']} wrote it, and this is {__version__}: "
                                 "one version must do the whole of a run")
            of = header["data"]
            if data is None and of not in DATASETS:
                raise InputError(f"it is of the data set '{of}': pass it as data=...")
            if rule is None:
                rule = recall(header["rule"])
            rule = get(rule) if isinstance(rule, str) else rule
            net = blueprint.build(header["network"]) if net is None else net
            checks.network_and_rule(net, rule)
            given = of if data is None else data
            found = load_data(given) if isinstance(given, str) else given
            if not isinstance(found, Dataset):
                raise InputError(f"data is {brief(data)}, expected a Dataset or the name of one")
            if found.fingerprint != header["fingerprint"]:
                raise InputError("it is of another data set than the one given" if data is not None
                                 else f"it is of another data set than the library's own '{of}': pass it as data=...")
            for what, came, there in (("rule", describe(rule), header["rule"]),
                                      ("network", blueprint.draw(net), header["network"])):
                if came != there:
                    raise InputError(f"it is of another {what} than the one given")
            run = cls(net, rule, found, Settings(**header["settings"]), header["seed"], device, header["name"],
                      callbacks)
            run._restore(header, trees)
            return run
        except (InputError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"cannot go on from {path}: {error}") from None

    def _restore(self, header: dict[str, Any], trees: dict[str, Tree]) -> None:
        """Take over everything that a checkpoint holds."""
        here = self._learnt(lambda array: array)
        for name in here:
            self._copy(name, trees[name], here[name])
        for opt, steps in zip(self.optimizers, header["steps"], strict=True):
            opt.steps.update({path: int(steps[path]) for path in opt.steps})
        for rng, state in zip((self.rng, self.draw_augment), header["generators"], strict=True):
            rng.bit_generator.state = state
        self.history, self.seconds = History(header["history"]), float(header["seconds"])
        self.stopped = str(header.get("stopped", ""))

    def _pair(self, x: Array, targets: Array, xp: ModuleType) -> tuple[Array, Array]:
        """Inputs and the rows of their targets, in the dtype of the settings, on the device of `xp`."""
        y = TASKS[self.data.task].rows(targets, self.data.classes, self.settings.dtype)
        return xp.asarray(x.astype(self.settings.dtype, copy=False)), xp.asarray(y)


def cuts(samples: int, batch_size: int, least: int = 1) -> list[int]:
    """Return where the batches of an epoch begin and, as the last number, where the last batch ends.

    The samples that are left over at the end make a batch of their own.  If they are fewer than `least`, they join the
    last batch instead.

    Parameters
    ----------
    samples, batch_size : int
        The number of samples in an epoch, and in a batch.
    least : int
        The smallest number of samples that a network can learn from, see `network.least_batch`.

    Returns
    -------
    list of int
        One number more than there are batches.

    Examples
    --------
    >>> cuts(9, 4), cuts(9, 4, least=2)
    ([0, 4, 8, 9], [0, 4, 9])
    """
    begins = list(range(0, samples, batch_size))
    return [*(begins if samples - begins[-1] >= least else begins[:-1]), samples]


def fit(net: Network, rule: Rule | str, data: Dataset, settings: Settings | None = None, seed: int = 0,
        device: str = "cpu", callbacks: Sequence[callback.Callback] = ()) -> Run:
    """Train a network under one rule for all epochs of the settings, and return the run.

    Parameters
    ----------
    net : Network
        The network, as `models.build` makes it for the data set's samples and classes.
    rule : Rule or str
        The learning rule, or its name, such as 'las'; `rules.RULES` has all names.
    data : Dataset
        The training, validation and test samples, as `data.load` or `data.from_arrays` makes them.
    settings : Settings, optional
        Epochs, batch size, optimiser and so on.  If it is left out: what suits the data set and the rule, as on the
        command line.  `Settings()` is what it says, whatever they are.
    seed : int
        All that is drawn at random comes from it: the same seed gives the same numbers again.
    device : str
        "cpu", "cuda" or "cuda:N".
    callbacks : sequence
        What is called after every batch or every epoch, to record, to stop or to save; see `nobackprop.callbacks`.

    Returns
    -------
    Run
        With `params`, `state`, `history`, `seconds` and `test_accuracy()`.

    Raises
    ------
    InputError
        If the arguments do not fit each other.
    Diverged
        If the loss, the parameters or the state are no longer finite numbers.

    Notes
    -----
    An error that ends it, such as one of a callback or that of Ctrl-C, has the run so far as its attribute `run`.

    Examples
    --------
    >>> import nobackprop as nb
    >>> data = nb.data.load("digits")
    >>> net = nb.models.build("mlp:32", data.shape, data.classes)
    >>> run = nb.fit(net, "las", data, nb.Settings(epochs=3))
    >>> [record["epoch"] for record in run.history], run.test_accuracy() > 0.5
    ([1, 2, 3], True)
    """
    run = Run(net, rule, data, settings, seed, device, callbacks=callbacks)
    with errors.carrying("run", lambda: run):
        run.train()
    return run


def signals(run: metrics.Measurable, x: Any = None, y: Any = None) -> list[metrics.Received]:
    """Return what each block receives under a run's rule, beside what backpropagation would send it.

    Parameters
    ----------
    run : Run or callbacks.Moment
        The run as it is now; nothing of it changes.
    x, y : Array, optional
        Samples (N, ...), standardised as those of the run's data set are, and their targets (N, C).  If they are left
        out: the run's probe, on which alignment is measured.

    Returns
    -------
    list of metrics.Received
        One for each block, from the input up: `sent`, `backprop`, and how they compare, `cosine` and `ratio`.

    Raises
    ------
    InputError
        If x and y do not fit the network, if only one of them came, or if x is empty or not finite.

    Examples
    --------
    >>> import nobackprop as nb
    >>> data = nb.data.load("xor")
    >>> run = nb.Run(nb.models.build("mlp:8,8", data.shape, data.classes), "dfa", data)
    >>> found = nb.signals(run, run.x[:5], run.y[:5])
    >>> [one.sent.shape for one in found], round(found[-1].cosine, 3)
    ([(5, 8), (5, 8), (5, 4)], 1.0)
    """
    if not isinstance(run, Run | callback.Moment):
        raise InputError(f"run is {brief(run)}, expected a Run or the moment that a callback gets")
    if x is None and y is None:
        x, y = run.probe
    checks.arrays(x, y)
    if not len(x):
        raise InputError("x holds no sample, expected at least one")
    if not bool(array_module(x).isfinite(x).all()):
        raise InputError("x holds NaN or infinity, expected finite numbers")
    shapes = checks.init(run.net, np.random.default_rng(0), x.shape[1:])[1]
    checks.targets(y, (len(x), *shapes[-1]))
    checks.values(run.net, run.rule, y)
    samples, rows = run.probe
    xp = array_module(samples)
    return metrics.received(run.net, run.rule, run.params, run.state, xp.asarray(x).astype(samples.dtype),
                            xp.asarray(y).astype(rows.dtype))


def evaluate(net: Network, params: Tree, x: Array, y: Array, batch_size: int = 256,
             rule: Rule = PLAIN, task: str = "classes", scale: np.ndarray | float | None = None) -> dict[str, float]:
    """Measure how good a network's answers for samples are, and its mean loss, as in prediction.

    Parameters
    ----------
    net : Network
        The network.
    params : Tree
        Its parameters.
    x : Array
        Samples (N, ...).
    y : Array
        Targets (N, C): one-hot rows, or any that the network's loss takes.
    batch_size : int
        The number of samples that go through the network at once; the result does not depend on it.
    rule : Rule
        The rule whose `predict` says what the network answers; by default the answer is the network's own pass.
    task : {"classes", "numbers", "labels"}
        What the targets are, see `data.Dataset`.
    scale : array (C,) or float, optional
        What outputs and targets are multiplied by before numbers are compared, such as `Dataset.y_scale`.

    Returns
    -------
    dict
        "loss", and of classes "accuracy", the share of samples whose largest output is the right class, from 0 to 1; of
        numbers "r2" and "mean_error"; of labels "exact_match", the share of samples of which all labels are right, and
        "label_accuracy".  If the output for a sample is not finite, the answer counts as wrong, and the loss is NaN.
        Of several largest numbers, such as those of a row of 0.5 in y, the first one counts.

    Raises
    ------
    InputError
        If the lengths or the shapes differ, if there are no samples, if the loss is cross-entropy and a row of y is not
        made of probabilities, or if there is one class only.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.layers import Dense
    >>> net, x = Network((Dense(2),), "squared"), np.eye(2)
    >>> evaluate(net, [{"W": np.eye(2), "b": np.zeros(2)}], x, np.eye(2)[[0, 0]])
    {'accuracy': 0.5, 'loss': 0.5}
    """
    checks.network_and_rule(net, rule)
    checks.arrays(x, y)
    batch_size = integer("batch_size", batch_size, 1)
    if len(x) != len(y) or not len(x):
        raise InputError(f"x has {len(x)} samples and y has {len(y)} targets, expected a target for each sample, and "
                         "at least one sample")
    check_name("task", task, TASKS)
    outputs, loss = [], 0.0
    for i in range(0, len(x), batch_size):
        with np.errstate(over="ignore", invalid="ignore"):
            a, y_part = rule.predict(net, params, x[i:i + batch_size]), y[i:i + batch_size]
            if not i:
                checks.targets(y, (len(y), *a.shape[1:]))
                checks.values(net, PLAIN, y)
                if task == "classes" and a.shape[1] < 2:
                    raise InputError("y has one class only, of which every answer would be right: expected 2 or more, "
                                     "or task='numbers'")
                checks.answers(y, task)
            outputs.append(to_numpy(a))
            loss += float(net.value(a, y_part)) * len(a) if np.isfinite(outputs[-1]).all() else float("nan")
    with np.errstate(over="ignore", invalid="ignore"):
        pair = np.concatenate(outputs), to_numpy(y)
        a, rows = pair if scale is None else (array * np.asarray(scale) for array in pair)
        return {**TASKS[task].measured(a, rows), "loss": loss / len(x)}
