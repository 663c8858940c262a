"""Sign symmetry: feedback weights have the signs of the forward weights, but other magnitudes."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..backend import Array, array_module
from ..feedback import Draw, draw_like, drawn, gaussian, weights, with_feedback
from ..network import Network, Tape, backward
from ..tree import Tree, tree_map
from .base import Credit, Rule


@dataclass(frozen=True)
class FrSF(Rule):
    """FrSF carries the error through weights with W's signs and fixed random magnitudes (Liao, Leibo, Poggio 2016).

    Parameters
    ----------
    draw : callable
        Draws one array ``draw(rng, shape)``, of which the absolute values are the magnitudes.

    Notes
    -----
    What is substituted: the feedback weights, by M sign(W), element by element.  sign(W) is read at every step, so the
    rule transports the signs of the weights.

    State: M, one array of positive numbers of the shape of W for every W.  It is drawn once, before training.

    Source: Liao, Leibo, Poggio 2016; Yang, Lee, Park 2024 (the LAS paper), section II-B, equation (14).

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> M = rules.FrSF().init(rng, net, params, shapes)
    >>> M[2]["W"].shape == params[2]["W"].shape, bool((M[2]["W"] > 0).all())
    (True, True)
    """

    draw: Draw = gaussian

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Draw the magnitudes M; see `Rule.init`."""
        return tree_map(abs, draw_like(rng, params, self.draw))

    def signed(self, params: Tree, M: Tree) -> Tree:
        """Return the feedback weights M sign(W)."""
        return tree_map(lambda m, W: m * array_module(W).sign(W), M, weights(params))    # LAS (14)

    def credit(self, net: Network, params: Tree, M: Tree, tape: Tape, y: Array,
               rng: np.random.Generator | None = None) -> Credit:
        """Walk down the network with M sign(W) in the place of W; see `Rule.credit`."""
        e = net.error(tape.output, y)
        B = self.signed(params, M)
        return Credit(backward(net, with_feedback(params, B), tape, {len(net) - 1: e}))  # LAS (14)


@dataclass(frozen=True)
class BrSF(FrSF):
    """BrSF is FrSF with random magnitudes that are drawn anew before every step (Liao, Leibo, Poggio 2016).

    Parameters
    ----------
    draw : callable
        Draws the magnitudes, as in `FrSF`.

    Notes
    -----
    What is substituted, State, Source: as `FrSF`, but M is drawn for one batch only.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.rules import BrSF
    >>> rng = np.random.default_rng(0)
    >>> M = [{"W": np.ones((3, 4))}]
    >>> again = BrSF().refresh(rng, M)
    >>> again[0]["W"].shape, bool((again[0]["W"] == M[0]["W"]).any())
    ((3, 4), False)
    """

    def refresh(self, rng: np.random.Generator, M: Tree) -> Tree:
        """Draw new magnitudes M for this step; see `Rule.refresh`."""
        return tree_map(lambda m: array_module(m).asarray(abs(drawn(rng, m.shape, self.draw)).astype(m.dtype)), M)


@dataclass(frozen=True)
class USF(FrSF):
    """USF carries the error through sign(W) times one constant for each layer (Liao, Leibo, Poggio 2016).

    Parameters
    ----------
    draw : callable
        Not used: nothing is drawn.

    Notes
    -----
    What is substituted, Source: as `FrSF`.

    State: M = 1 / sqrt(fan-in) at every place, one array of the shape of W for every W.  It never changes.

    Deviations from print: the paper has the constant 1, and uses batch-norm to tame what this constant does to deep
    networks.  The constant here keeps the size of a signal about the same from layer to layer.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network, rules
    >>> rng, net = np.random.default_rng(0), models.build("mlp:5,4", (6,), 3)
    >>> params, shapes = network.init(net, rng, (6,))
    >>> M = rules.USF().init(rng, net, params, shapes)
    >>> bool((M[2]["W"] == 0.5).all())                               # fan-in 4
    True
    """

    def init(self, rng: np.random.Generator, net: Network, params: Tree, shapes: list[tuple[int, ...]]) -> Tree:
        """Set every magnitude to 1 / sqrt(fan-in); see `Rule.init`."""
        return tree_map(lambda W: np.full(W.shape, W[0].size ** -0.5), weights(params))
