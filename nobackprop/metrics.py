"""How a rule's error signals align with those of backpropagation."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .backend import Array, array_module
from .layers import Activation, Layer, Sequential, Shape
from .leaf_names import RUNNING, leaf_name
from .network import Network
from .rules import BP, Rule
from .tape import Keep
from .tree import Tree, leaves


def cosine(u: Array, v: Array) -> Array:
    """The cosine between u and v (N, ...), sample by sample, averaged over the samples where both are non-zero.

    Not a number where there are none.
    """
    xp = array_module(u, v)
    # in float64: the signals of a trained network are so small that their squares leave float32
    u, v = (array.reshape(len(array), -1).astype("float64") for array in (u, v))
    length = xp.sqrt((u * u).sum(-1) * (v * v).sum(-1))
    there = length > 0
    if not there.any():
        return xp.asarray(xp.nan)
    return ((u * v).sum(-1)[there] / length[there]).mean()


@dataclass(frozen=True)
class Listener(Layer):
    """A block that notes the signal dL/dh arriving at its output, and else is the block it stands for."""

    block: Layer
    heard: list[Array] = field(default_factory=list)

    def init(self, rng: np.random.Generator, shape: Shape) -> tuple[Tree, Shape]:
        return self.block.init(rng, shape)

    def forward(self, params: Tree, h: Array, train: bool = True,
                rng: np.random.Generator | None = None) -> tuple[Array, Any]:
        return self.block.forward(params, h, train, rng)

    def backward(self, feedback: Tree, cache: Any, delta: Array,
                 want_down: bool = True) -> tuple[Array | None, Tree]:
        self.heard.append(delta)
        return self.block.backward(feedback, cache, delta, want_down)

    def draws(self) -> bool:
        return self.block.draws()

    def head(self) -> Any:
        return self.block.head()

    def weighted(self) -> tuple[Layer, ...]:
        return self.block.weighted()

    def keep(self, cache: Any, what: Keep, index: int = 0) -> tuple[Any, int]:
        return self.block.keep(cache, what, index)


def signals(net: Network, rule: Rule, params: Tree, state: Tree, x: Array, y: Array) -> list[Array | None]:
    """dL/dh at every block's output as the rule would send it for this batch; None where it sends none."""
    listeners = tuple(Listener(block) for block in net)
    listening = Network(listeners, net.loss)
    tape = rule.forward(listening, params, state, x, np.random.default_rng(0))
    rule.credit(listening, params, state, tape, y)
    return [listener.heard[0] if listener.heard else None for listener in listeners]


def alignment(net: Network, rule: Rule, params: Tree, state: Tree, x: Array,
              y: Array) -> dict[str, list[float | None]]:
    """How a rule's error signals align with those of BP on one batch, per hidden block, from the input up.

    "alignment" compares dL/dh at the block's output; "alignment_at_a" compares the papers' delta_i = dL/da_i,
    behind f' (LAS, Fig. 4), where a block ends in an activation.  Both are cosines per sample, averaged over
    the batch.  None stands where a rule sends no signal.

    The pass is one of training: batch-norm uses the statistics of this batch, and layers that draw, such as Dropout,
    draw from a generator of seed 0.  So the rule and BP are compared with the same silent units, and no generator of
    the run moves.
    """
    tape = BP().forward(net, params, None, x, np.random.default_rng(0))
    ours, true = signals(net, rule, params, state, x, y), signals(net, BP(), params, None, x, y)
    result: dict[str, list[float | None]] = {"alignment": [], "alignment_at_a": []}
    for last, cache, u, v in zip(net[:-1], tape.caches, ours, true, strict=False):
        result["alignment"].append(_number(u, v))
        while isinstance(last, Sequential) and last.layers:
            last, cache = last.layers[-1], cache[-1]
        if isinstance(last, Activation):
            u, v = (None if d is None else last.backward(None, cache, d)[0] for d in (u, v))
            result["alignment_at_a"].append(_number(u, v))
        else:
            result["alignment_at_a"].append(None)
    return result


def _number(u: Array | None, v: Array | None) -> float | None:
    value = None if u is None or v is None else float(cosine(u, v))
    return None if value is None or np.isnan(value) else value


def size(params: Tree) -> int:
    """How many numbers a tree of parameters holds, running statistics not counted."""
    return sum(array.size for path, array in leaves(params) if leaf_name(path) not in RUNNING)
