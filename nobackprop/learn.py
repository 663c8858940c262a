"""Learning: the training step that serves every rule, and the run of it over epochs."""
from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from . import checks, metrics, network
from .backend import Array, array_module, keep_freed_memory, open_device, to_module, to_numpy
from .data import Dataset, one_hot
from .data.augment import parse
from .errors import InputError, brief, integer
from .network import Network, Tape
from .optim import SCHEDULES, Optimizer, bind
from .rules import Rule, get
from .settings import Settings
from .tree import Tree, leaves, tree_map

ALIGNMENT_SAMPLES = 256
augmentation = cache(parse)


def step(net: Network, rule: Rule, params: Tree, state: Tree, opt: Optimizer, opt_state: Optimizer,
         x: Array, y: Array, rng: np.random.Generator) -> Tape:
    """One training step on a batch x (N, ...), y (N, C), in place, and the tape of its one forward pass.

    align comes before credit as in Algorithms 1 and 2 of Yang, Lee, Park 2024: B moves, then is used.
    Raises InputError, before anything has moved, if these do not fit each other.
    """
    checks.step(net, rule, params, state, opt, opt_state, x, y)
    state = rule.refresh(rng, state)
    tape = rule.forward(net, params, state, x)
    opt_state(rule.align(net, params, state, tape, y, rng))
    credit = rule.credit(net, params, state, tape, y)
    opt_state(credit.state)
    opt(credit.grads)
    network.remember(net, params, tape)
    return tape


class History(list[dict[str, Any]]):
    """One record an epoch: epoch (from 1), train_loss, validation_accuracy, and what metrics.METRICS lists."""

    def column(self, name: str) -> list[Any]:
        """One quantity over the epochs."""
        return [record[name] for record in self]


class Diverged(InputError):
    """What is learnt, or the loss, is no longer made of finite numbers."""


class Run:
    """One network learning under one rule: `epoch()` goes on by one; everything reached so far stands in it.

    The seed draws four independent streams, for parameters, for the rule, for the order of samples and for
    augmentation, so that rules with one seed start from the same network and see the same batches.

    `params` and `state` may be assigned: the numbers are copied into the arrays that are there, and the optimisers go
    on as they were.  A run can be copied and pickled; its copy goes on as it would have.
    rule: a Rule, or the name that `rules.get` knows it by.
    Raises InputError if these do not fit each other.
    """

    def __init__(self, net: Network, rule: Rule | str, data: Dataset, settings: Settings | None = None,
                 seed: int = 0, device: str = "cpu", name: str = ""):
        self.rule = get(rule) if isinstance(rule, str) else rule
        self.net, self.data, self.settings = net, data, Settings() if settings is None else settings
        checks.network_and_rule(net, self.rule)
        for what, came, kind in (("data", data, Dataset), ("settings", self.settings, Settings)):
            if not isinstance(came, kind):
                raise InputError(f"{what} is {brief(came)}, expected a {kind.__name__}")
        self.seed = checks.seed(seed)
        self.name = name or (rule if isinstance(rule, str) else checks.name_of(rule))
        draw_params, draw_state, self.rng, self.draw_augment = map(
            np.random.default_rng, np.random.SeedSequence(self.seed).spawn(4))
        if self.settings.augment and len(data.shape) != 3:
            raise InputError(f"augment '{self.settings.augment}' needs images (N, H, W, C), {data.name} has samples "
                             f"of shape {data.shape}")
        xp = open_device(device)
        keep_freed_memory()
        params, shapes = checks.init(net, draw_params, data.shape, self.settings.dtype)
        if shapes[-1] != (data.classes,):
            raise InputError(f"the network's output has shape {shapes[-1]}, expected ({data.classes},): "
                             f"{data.name} has {data.classes} classes")
        least, samples = network.least_batch(net, data.shape), len(data.y_train)
        checks.enough("batch_size", self.settings.batch_size, least)
        checks.enough("the number of training samples", samples, least)
        self.cuts = cuts(samples, self.settings.batch_size, least)
        state = tree_map(lambda array: array.astype(self.settings.dtype),
                         self.rule.init(draw_state, net, params, shapes))
        self.optimizers = [bind(self.settings.optimizer, to_module(tree, xp), self.settings.lr,
                                self.settings.weight_decay) for tree in (params, state)]
        self.optimizers[0].fits = checks.Fits(net, self.rule, data.shape, shapes[-1], least)
        self.x, self.y = self._pair(data.x_train, data.y_train, xp)
        self.validation = self._pair(data.x_validation, data.y_validation, xp)
        self.probe = tuple(array[:ALIGNMENT_SAMPLES] for array in self.validation)
        self.history, self.seconds = History(), 0.0

    @property
    def xp(self) -> ModuleType:
        """The array module of the run's device."""
        return array_module(self.x)

    @property
    def params(self) -> Tree:
        """What prediction needs: the tree that the first optimiser writes into."""
        return self.optimizers[0].tree

    @params.setter
    def params(self, tree: Tree) -> None:
        self._copy("params", tree, self.params)

    @property
    def state(self) -> Tree:
        """What only learning needs: the tree that the second one writes into."""
        return self.optimizers[1].tree

    @state.setter
    def state(self, tree: Tree) -> None:
        self._copy("state", tree, self.state)

    def _copy(self, name: str, tree: Tree, into: Tree) -> None:
        checks.tree(name, tree, into, "this run")

        def copy(array: Array, there: Array) -> None:
            there[...] = self.xp.asarray(to_numpy(array))
        tree_map(copy, tree, into)

    def epoch(self) -> dict[str, Any]:
        """Train for one epoch and return its record.

        Raises Diverged if a step's loss, anything learnt, or an output for the validation set is not finite.
        """
        settings, losses = self.settings, []
        for opt in self.optimizers:
            opt.lr = settings.lr * SCHEDULES[settings.schedule](len(self.history) / settings.epochs)
        opt, opt_state = self.optimizers
        order = self.rng.permutation(len(self.y))
        start = time.perf_counter()
        with np.errstate(over="ignore", invalid="ignore"):
            for begin, end in zip(self.cuts, self.cuts[1:]):
                x, y = self._batch(order[begin:end])
                tape = step(self.net, self.rule, self.params, self.state, opt, opt_state, x, y, self.rng)
                losses.append(self.net.value(tape.output, y))
        loss = to_numpy(self.xp.stack(losses)).astype("float64")
        self.seconds += time.perf_counter() - start
        if not np.isfinite(loss).all():
            first = int(np.flatnonzero(~np.isfinite(loss))[0])
            raise self._diverged(f"the training loss became {loss[first]}", f", step {first + 1}")
        broken = self._broken()
        if broken:
            raise self._diverged(f"{broken} is no longer finite", "'s end")
        record = {"epoch": len(self.history) + 1, "train_loss": float(np.average(loss, weights=np.diff(self.cuts)))}
        self.history.append(record | self._measure())
        return self.history[-1]

    def _batch(self, rows: np.ndarray) -> tuple[Array, Array]:
        there = self.xp.asarray(rows)
        if not self.settings.augment:
            return self.x[there], self.y[there]
        # images are changed on the host, where the generator is
        images = self.data.x_train[rows].astype(self.settings.dtype, copy=False)
        return self.xp.asarray(augmentation(self.settings.augment)(self.draw_augment, images)), self.y[there]

    def _broken(self) -> str:
        """The first leaf of params or state that is not finite, running statistics included; one read of the device."""
        learnt = dict(leaves({"params": self.params, "state": self.state}))
        if not learnt:
            return ""
        sound = to_numpy(self.xp.stack([self.xp.isfinite(array).all() for array in learnt.values()]))
        return next((path for path, fine in zip(learnt, sound, strict=True) if not fine), "")

    def _diverged(self, what: str, when: str) -> Diverged:
        spoilt = [part for part in ("x_train", "x_validation") if not np.isfinite(getattr(self.data, part)).all()]
        return Diverged(f"rule {self.name}, seed {self.seed}: {what} at epoch {len(self.history) + 1}{when}; " + (
            f"{' and '.join(spoilt)} of {self.data.name} hold{'s' * (len(spoilt) == 1)} numbers that are not finite"
            if spoilt else f"try a learning rate below {self.settings.lr:g}"))

    def _measure(self) -> dict[str, Any]:
        found = evaluate(self.net, self.params, *self.validation)
        if not np.isfinite(found["loss"]):
            raise self._diverged(f"the loss for the validation set became {found['loss']}", "'s end")
        return {"validation_accuracy": found["accuracy"], **metrics.measure(self)}

    def test_accuracy(self) -> float:
        """On the test set, which nothing else ever reads."""
        test = self._pair(self.data.x_test, self.data.y_test, self.xp)
        return evaluate(self.net, self.params, *test)["accuracy"]

    def _pair(self, x: Array, labels: Array, xp: ModuleType) -> tuple[Array, Array]:
        """Inputs and one-hot targets of the network's dtype, on its device."""
        y = one_hot(labels, self.data.classes, self.settings.dtype)
        return xp.asarray(x.astype(self.settings.dtype, copy=False)), xp.asarray(y)


def cuts(samples: int, batch_size: int, least: int = 1) -> list[int]:
    """Where an epoch's batches begin, and where the last one ends.

    What is left over at the end is a batch of its own, or joins the last one if it is too small to learn from.

    >>> cuts(9, 4), cuts(9, 4, least=2)
    ([0, 4, 8, 9], [0, 4, 9])
    """
    begins = list(range(0, samples, batch_size))
    return [*(begins if samples - begins[-1] >= least else begins[:-1]), samples]


def fit(net: Network, rule: Rule | str, data: Dataset, settings: Settings | None = None, seed: int = 0,
        device: str = "cpu", on_epoch: Callable[[dict[str, Any]], None] = lambda record: None) -> Run:
    """Train to the end and return the run: params, state, history, seconds, test_accuracy().

    rule: a Rule, or the name of one, as in 'las'.
    """
    run = Run(net, rule, data, settings, seed, device)
    for _ in range(run.settings.epochs):
        on_epoch(run.epoch())
    return run


def evaluate(net: Network, params: Tree, x: Array, y: Array, batch_size: int = 256) -> dict[str, float]:
    """Accuracy and mean loss of x (N, ...) with one-hot targets y (N, C).

    A sample whose output is not finite is not answered right, and makes the loss NaN.
    Raises InputError if the lengths or the shapes differ, or if there is nothing to evaluate.
    """
    checks.a_network(net)
    checks.arrays(x, y)
    batch_size = integer("batch_size", batch_size, 1)
    if len(x) != len(y) or not len(x):
        raise InputError(f"expected as many targets as inputs, and at least one, got {len(y)} for {len(x)}")
    right = loss = 0.0
    for i in range(0, len(x), batch_size):
        with np.errstate(over="ignore", invalid="ignore"):
            a, y_part = network.predict(net, params, x[i:i + batch_size]), y[i:i + batch_size]
            checks.targets(y, (len(y), *a.shape[1:]))
            finite = array_module(a).isfinite(a).all(-1)
            right += float(((a.argmax(-1) == y_part.argmax(-1)) & finite).sum())
            loss += float(net.value(a, y_part)) * len(a) if finite.all() else float("nan")
    return {"accuracy": right / len(x), "loss": loss / len(x)}
