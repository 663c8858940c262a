"""The weight mirror: B learns W from noise that goes through W, one layer at a time."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..backend import Array, array_module
from ..feedback import weights
from ..kernels import linear
from ..network import Network, Tape
from ..tree import Tree, tree_map
from .feedback_alignment import FA


@dataclass(frozen=True)
class WeightMirror(FA):
    """The weight mirror learns feedback weights from noise that each layer sends through W (Akrout et al. 2019).

    Parameters
    ----------
    draw : callable
        Draws the first B, as in `FA`.
    sigma : float
        The standard deviation of the noise.
    samples : int
        The number of noise samples that one mirror step sends through a layer.
    period : int
        The mirror learns before about one step in `period`; which steps these are is drawn at random.

    Notes
    -----
    What is substituted: the feedback weights, as in feedback alignment.  B learns in a mode of its own:

    - engage mode (`credit`, inherited from `FA`) is feedback alignment with the present B;
    - mirror mode (`align`) sends noise of mean zero through each layer alone.  The correlation of a layer's output
      with its input is on average a multiple of W.

    State: B, one array of the shape of W for every W.

    Source: Akrout et al. 2019; Woo 2023 (the thesis on ASAP), section 2.2, equations (2.1) and (2.6), and section
    4.2.3.

    Deviations from print: with the printed sign of (2.6) the mirror would learn -W, and (2.6) has no weight decay.
    Here the mirror learns with the sign +, and B decays at the rate that makes W the point where it rests.  The output
    is measured after W, before the bias and the activation function f.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.rules import WeightMirror
    >>> rng = np.random.default_rng(0)
    >>> W, B = rng.standard_normal((3, 4)), np.zeros((3, 4))
    >>> gradient = WeightMirror(samples=10_000).mirror(B, W, rng)
    >>> bool(abs(gradient - (B - W)).max() < 0.2)
    True
    """

    sigma: float = 1.0
    samples: int = 64
    period: int = 1

    def align(self, net: Network, params: Tree, B: Tree, tape: Tape, y: Array,
              rng: np.random.Generator) -> Tree:
        """Run mirror mode: each layer learns by itself, and no layer sees the task; see `Rule.align`."""
        if rng.integers(self.period):
            return None
        return tree_map(lambda b, W: self.mirror(b, W, rng), B, weights(params))

    def mirror(self, b: Array, W: Array, rng: np.random.Generator) -> Array:
        """Estimate the gradient b - W of one array of feedback weights from activities alone.

        Parameters
        ----------
        b : array (F', F)
            The feedback weights of one layer.
        W : array (F', F)
            The forward weights of that layer.  Only products of W with noise are used.
        rng : numpy.random.Generator
            The generator from which the noise is drawn.

        Returns
        -------
        array (F', F)
            An estimate whose mean is b - W.
        """
        xp = array_module(W)
        h_in = xp.asarray((self.sigma * rng.standard_normal((self.samples, W.shape[1]))).astype(W.dtype))
        h_out = linear.forward(W, h_in)                                                  # ASAP (2.1)
        return b - linear.outer(h_out, h_in) / (self.samples * self.sigma**2)            # ASAP (2.6)
