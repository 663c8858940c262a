"""Learning: the training step that serves every rule, and the run of it over epochs."""
from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import metrics, network
from .backend import Array, keep_freed_memory, open_device, to_module, to_numpy
from .data import Dataset, one_hot
from .data.augment import parse
from .errors import InputError, unknown
from .network import Network, Tape
from .optim import SCHEDULES, Optimizer, bind
from .rules import Rule
from .tree import Tree, tree_map

ALIGNMENT_SAMPLES = 256


def step(net: Network, rule: Rule, params: Tree, state: Tree, opt: Optimizer, opt_state: Optimizer,
         x: Array, y: Array, rng: np.random.Generator) -> Tape:
    """One training step on a batch x (N, ...), y (N, C), in place, and the tape of its one forward pass.

    align comes before credit as in Algorithms 1 and 2 of Yang, Lee, Park 2024: B moves, then is used.
    """
    state = rule.refresh(rng, state)
    tape = rule.forward(net, params, state, x)
    opt_state(rule.align(net, params, state, tape, y, rng))
    credit = rule.credit(net, params, state, tape, y)
    opt_state(credit.state)
    opt(credit.grads)
    network.remember(net, params, tape)
    return tape


@dataclass(frozen=True)
class Settings:
    """How to train; what is not said here does not depend on the machine.

    The same optimiser and learning rate serve the parameters and the rule's state.
    """

    epochs: int = 30
    batch_size: int = 64
    optimizer: str = "adam"
    lr: float = 1e-3
    schedule: str = "constant"
    weight_decay: float = 0.0
    augment: str = ""
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name, low in (("epochs", 1), ("batch_size", 1)):
            if getattr(self, name) < low:
                raise InputError(f"{name} must be at least {low}, got {getattr(self, name)}")
        for name in ("lr", "weight_decay"):
            value = getattr(self, name)
            if not np.isfinite(value) or value < 0 or (name == "lr" and value == 0):
                raise InputError(f"{name} must be a {'positive' if name == 'lr' else 'non-negative'} number, "
                                 f"got {value}")
        if self.schedule not in SCHEDULES:
            raise unknown("schedule", self.schedule, SCHEDULES)
        if self.augment:
            parse(self.augment)


class History(list[dict[str, Any]]):
    """One record an epoch: epoch (from 1), train_loss, validation_accuracy, alignment, alignment_at_a."""

    def column(self, name: str) -> list[Any]:
        """One quantity over the epochs."""
        return [record[name] for record in self]


class Diverged(InputError):
    """The training loss is no longer a number."""


class Run:
    """One network learning under one rule: `epoch()` goes on by one; everything reached so far stands in it.

    The seed draws four independent streams, for parameters, for the rule, for the order of samples and for
    augmentation, so that rules with one seed start from the same network and see the same batches.
    """

    def __init__(self, net: Network, rule: Rule, data: Dataset, settings: Settings, seed: int = 0,
                 device: str = "cpu", name: str = ""):
        self.net, self.rule, self.settings, self.seed = net, rule, settings, seed
        self.name, self.data = name or type(rule).__name__, data
        draw_params, draw_state, self.rng, self.draw_augment = map(
            np.random.default_rng, np.random.SeedSequence(seed).spawn(4))
        if settings.augment and len(data.shape) != 3:
            raise InputError(f"augment '{settings.augment}' needs images (N, H, W, C), {data.name} has samples of "
                             f"shape {data.shape}")
        self.augment = parse(settings.augment) if settings.augment else None
        self.xp = open_device(device)
        keep_freed_memory()
        params, shapes = network.init(net, draw_params, data.shape, settings.dtype)
        if shapes[-1] != (data.classes,):
            raise InputError(f"the network's output has shape {shapes[-1]}, expected ({data.classes},): "
                             f"{data.name} has {data.classes} classes")
        state = tree_map(lambda array: array.astype(settings.dtype), rule.init(draw_state, net, params, shapes))
        self.params, self.state = to_module(params, self.xp), to_module(state, self.xp)
        self.optimizers = [bind(settings.optimizer, tree, settings.lr, settings.weight_decay)
                           for tree in (self.params, self.state)]
        self.x, self.y = self._pair(data.x_train, data.y_train)
        self.validation = self._pair(data.x_validation, data.y_validation)
        self.probe = tuple(array[:ALIGNMENT_SAMPLES] for array in self.validation)
        self.history, self.seconds = History(), 0.0

    def epoch(self) -> dict[str, Any]:
        """Train for one epoch and return its record.

        Raises Diverged where a step's loss is not a number.
        """
        losses, batch = [], self.settings.batch_size
        for opt in self.optimizers:
            opt.lr = self.settings.lr * SCHEDULES[self.settings.schedule](len(self.history) / self.settings.epochs)
        opt, opt_state = self.optimizers
        order = self.rng.permutation(len(self.y))
        start = time.perf_counter()
        with np.errstate(over="ignore", invalid="ignore"):
            for i in range(0, len(order), batch):
                x, y = self._batch(order[i:i + batch])
                tape = step(self.net, self.rule, self.params, self.state, opt, opt_state, x, y, self.rng)
                losses.append(self.net.value(tape.output, y))
        loss = to_numpy(self.xp.stack(losses))
        self.seconds += time.perf_counter() - start
        if not np.isfinite(loss).all():
            first = int(np.flatnonzero(~np.isfinite(loss))[0]) + 1
            raise Diverged(f"rule {self.name}, seed {self.seed}: the training loss became {loss[first - 1]} at "
                           f"epoch {len(self.history) + 1}, step {first}; try a learning rate below "
                           f"{self.settings.lr:g}")
        self.history.append({"epoch": len(self.history) + 1, "train_loss": float(loss.mean())} | self._measure())
        return self.history[-1]

    def _batch(self, rows: np.ndarray) -> tuple[Array, Array]:
        there = self.xp.asarray(rows)
        if self.augment is None:
            return self.x[there], self.y[there]
        # images are changed on the host, where the generator is
        images = self.augment(self.draw_augment, self.data.x_train[rows].astype(self.settings.dtype, copy=False))
        return self.xp.asarray(images), self.y[there]

    def _measure(self) -> dict[str, Any]:
        x, y = self.probe
        return {"validation_accuracy": evaluate(self.net, self.params, *self.validation)["accuracy"],
                **metrics.alignment(self.net, self.rule, self.params, self.state, x, y)}

    def test_accuracy(self) -> float:
        """On the test set, which nothing else ever reads."""
        return evaluate(self.net, self.params, *self._pair(self.data.x_test, self.data.y_test))["accuracy"]

    def _pair(self, x: Array, labels: Array) -> tuple[Array, Array]:
        """Inputs and one-hot targets of the network's dtype, on its device."""
        y = one_hot(labels, self.data.classes, self.settings.dtype)
        return self.xp.asarray(x.astype(self.settings.dtype, copy=False)), self.xp.asarray(y)


def fit(net: Network, rule: Rule, data: Dataset, settings: Settings | None = None, seed: int = 0,
        device: str = "cpu", on_epoch: Callable[[dict[str, Any]], None] = lambda record: None) -> Run:
    """Train to the end and return the run: params, state, history, seconds, test_accuracy()."""
    run = Run(net, rule, data, settings or Settings(), seed, device)
    for _ in range(run.settings.epochs):
        on_epoch(run.epoch())
    return run


def evaluate(net: Network, params: Tree, x: Array, y: Array, batch_size: int = 256) -> dict[str, float]:
    """Accuracy and mean loss of x (N, ...) with one-hot targets y (N, C).

    Raises InputError where the lengths differ or there is nothing to evaluate.
    """
    if len(x) != len(y) or not len(x):
        raise InputError(f"expected as many targets as inputs, and at least one, got {len(y)} for {len(x)}")
    right = loss = 0.0
    for i in range(0, len(x), batch_size):
        a, y_part = network.predict(net, params, x[i:i + batch_size]), y[i:i + batch_size]
        right += float((a.argmax(-1) == y_part.argmax(-1)).sum())
        loss += float(net.value(a, y_part)) * len(a)
    return {"accuracy": right / len(x), "loss": loss / len(x)}
