"""Activity perturbation: all hidden units are shaken, and the change of the output says what each contributes."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..backend import Array, a_generator, array_module
from ..network import Network, Tape, backward
from ..tape import generator
from ..tree import Tree
from .base import Credit, Rule


@dataclass(frozen=True)
class ActivityPerturbation(Rule):
    """Activity perturbation weighs random directions of all hidden units by what they do to the loss (Ren et al. 2023).

    Parameters
    ----------
    directions : int
        How many directions are tried in a step; their mean is taken.
    epsilon : float
        The size of the perturbation.

    Notes
    -----
    What is substituted: the signals.  A direction u has a random sign for each hidden unit and sample.  With epsilon
    u_i added to every h_i on the way up, the output moves by epsilon d.  Hidden block i hears <e, d> u_i, where the
    product <e, d> is one number for each sample.  The output block hears e.  Inside a block gradients are exact.

    Over all directions the mean is the signal of backpropagation, up to an error of the order epsilon.  With m hidden
    units the variance is m - 1 times the square of that signal, divided by the number of directions.

    State: none.  The directions are drawn in `credit`.

    Source: Ren et al. 2023.

    Deviations from print: d is a difference quotient, and not the exact derivative of forward-mode differentiation; the
    directions are signs, and not normal numbers; there is one loss, that of the network, and not one for each group of
    units.

    If the samples of a batch depend on each other, as under batch-norm, <e, d> of a sample leaves out what its units do
    to the outputs of other samples.  It contains what their units do to its own output, which is noise.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:1", (6,), 3, "tanh")
    >>> params, _ = network.init(net, rng, (6,), "float64")
    >>> x, y = rng.standard_normal((4, 6)), np.eye(3)[[0, 1, 2, 0]]
    >>> tape = network.forward(net, params, x)
    >>> ours, bp = (rule.credit(net, params, None, tape, y, rng).grads[0][0]["b"]
    ...             for rule in (rules.ActivityPerturbation(), rules.BP()))
    >>> bool(abs(ours - bp) < 1e-6)                                   # with one unit there is no variance
    True
    """

    directions: int = 16
    epsilon: float = 1e-3

    def credit(self, net: Network, params: Tree, state: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Shake the hidden units, and weigh each direction by its effect on the loss; see `Rule.credit`."""
        e = net.error(tape.output, y)
        signals = [0 * h for h in tape.h[1:-1]]
        for _ in range(self.directions if signals else 0):
            u = [signs(rng, h) for h in signals]
            effect = (e * self.change(net, params, tape, u)).sum(1)
            for signal, u_i in zip(signals, u, strict=True):
                signal += effect.reshape(-1, *[1] * (u_i.ndim - 1)) * u_i / self.directions
        return Credit(backward(net, params, tape, dict(enumerate([*signals, e]))))

    def change(self, net: Network, params: Tree, tape: Tape, u: list[Array]) -> Array:
        """Return d (N, C): how the output moves if the hidden units move along u, per unit of length."""
        h = tape.h[1]
        for block, p, seed, u_i in zip(net[1:], params[1:], tape.seeds[1:], u, strict=True):
            h, _ = block.forward(p, h + self.epsilon * u_i, True, generator(seed))
        moved: Array = (h - tape.output) / self.epsilon
        return moved


def signs(rng: np.random.Generator | None, h: Array) -> Array:
    """Draw a random sign for every element of an array.

    Parameters
    ----------
    rng : numpy.random.Generator or None
        The generator that is drawn from.
    h : array (...)

    Returns
    -------
    array (...)
        1 and -1, in the type of h.

    Raises
    ------
    InputError
        If `rng` is no generator.

    Examples
    --------
    >>> import numpy as np
    >>> np.unique(signs(np.random.default_rng(0), np.zeros((4, 5)))).tolist()
    [-1.0, 1.0]
    """
    rng = a_generator(rng)
    drawn: Array = array_module(h).asarray((2 * rng.integers(2, size=h.shape) - 1).astype(h.dtype))
    return drawn
