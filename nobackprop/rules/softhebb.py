"""SoftHebb: the units of a hidden layer compete for each input, and each learns from what it wins, without an error."""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..backend import Array, array_module
from ..errors import InputError
from ..feedback import weights
from ..kernels.activation import softmax
from ..network import Network, Tape, apart, backward, local, straight
from ..tree import Tree, leaves
from .base import Credit, Rule


@dataclass(frozen=True)
class SoftHebb(Rule):
    """SoftHebb makes the hidden units of a block compete for each input; the winners learn it (Moraitis et al. 2022).

    Parameters
    ----------
    tau : float
        The temperature of the competition: the smaller it is, the fewer units win.

    Raises
    ------
    InputError
        If a hidden block has not exactly one array of weights.  `init` raises it.

    Notes
    -----
    What is substituted: the signals and the network that is walked.  Let u be what a hidden block gives without its
    activation, and r = softmax(u / tau) over its units; on images over the planes, at every position.  Unit k moves its
    weights by r_k (x - u_k W_k).  No error, target or other block is read.  The output block hears e.

    The second part, - r_k u_k W_k, holds the length of W_k near 1: <W_k, step> = r_k u_k (1 - |W_k|^2), if u = W x.

    State: none.

    Source: Moraitis et al. 2022; with convolutions Journe et al. 2023.

    Deviations from print: the biases follow r_k - exp(b_k) / n, so that they go to the logarithm of n times the part of
    the inputs that unit k wins, where the paper has the logarithm of that part: the competition is the same, and the
    activity starts from a bias of 0.  Weights are updated by the optimiser, and not by the paper's own rates.  On
    images the units that lose are not pushed away.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:1", (6,), 3, "relu")
    >>> params, _ = network.init(net, rng, (6,), "float64")
    >>> x, y = np.ones((4, 6)), np.eye(3)[[0, 1, 2, 0]]
    >>> found = rules.SoftHebb().credit(net, params, None, network.forward(net, params, x), y).grads[0][0]["W"]
    >>> W = params[0][0]["W"]
    >>> bool(abs(found + x[0] - (W @ x[0]) * W).max() < 1e-12)        # Oja's rule, as one unit always wins
    True
    """

    tau: float = 0.2

    def passes(self, net: Network) -> int:
        """Count the forward pass, and the one of the hidden blocks without activations; see `Rule.passes`."""
        return 2 if len(net) > 1 else 1

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Raise InputError unless each hidden block has one array of weights, whose rows compete; see `Rule.init`."""
        for i, p in enumerate(params[:-1]):
            found = [W.shape for _, W in leaves(weights(p))]
            if len(found) != 1 or found[0][0] != shapes[i + 1][-1]:
                raise InputError(f"softhebb needs one layer with weights in each hidden block, and one row of them for "
                                 f"each unit or plane, got in block {i} weights of shapes {found}")
        return None

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Let the units of every hidden block compete, and update them by what they win; see `Rule.credit`."""
        last, grads = len(net) - 1, []
        if last:
            lone = straight(net[:last])
            before = apart(lone, params[:last], tape.h[:last], tape.seeds[:last])
            u = before.h[1:]
            r = [softmax(u_i / self.tau) for u_i in u]
            shares = [math.prod(r_i.shape[:-1]) for r_i in r]
            _, won = local(lone, params[:last], before, {i: -r_i / n for i, (r_i, n) in enumerate(zip(r, shares))})
            grads = [held(g, p, (r_i * u_i).reshape(-1, r_i.shape[-1]).sum(0) / n)
                     for g, p, r_i, u_i, n in zip(won, params, r, u, shares)]
        e = net.error(tape.output, y)
        return Credit([*grads, *backward(net[last:], params[last:], tape.above(last), {0: e})])


def held(grads: Tree, params: Tree, lost: Array) -> Tree:
    """Return gradients that hold the lengths of the rows of W and the sum of exp(b).

    Parameters
    ----------
    grads, params : tree
        The gradients and the parameters of one block.
    lost : array (F,)
        The mean of r_k u_k for each unit.

    Returns
    -------
    tree
        With r_k u_k W_k added to the gradient of each row W_k, and exp(b_k) / F to that of b.

    Examples
    --------
    >>> import numpy as np
    >>> grads, params = ({"W": np.full((2, 1), w), "b": np.zeros(2)} for w in (0.0, 1.0))
    >>> {name: g.ravel().tolist() for name, g in held(grads, params, np.array([3.0, 4.0])).items()}
    {'W': [3.0, 4.0], 'b': [0.5, 0.5]}
    """
    if isinstance(grads, dict):
        more: dict[str, Callable[[Array], Array]] = {"W": lambda W: lost[:, None] * W,
                                                     "b": lambda b: array_module(b).exp(b) / len(b)}
        return {key: g + more[key](params[key]) if key in more else held(g, params[key], lost)
                for key, g in grads.items()}
    if isinstance(grads, list | tuple):
        return type(grads)(held(*pair, lost) for pair in zip(grads, params, strict=True))
    return grads
