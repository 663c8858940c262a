"""How networks learn without backpropagation: rules, their equations and their theorems, in NumPy and CuPy.

Examples
--------
>>> import nobackprop as nb
>>> data = nb.data.load("digits")
>>> net = nb.models.build("mlp:32", data.shape, data.classes)
>>> run = nb.fit(net, "las", data, nb.Settings(epochs=2))
>>> len(run.history)
2
"""
import logging
from typing import TYPE_CHECKING, Any

from . import callbacks, data, feedback, heads, kernels, layers, metrics, models, network, optim, rules, tree, writers
from .callbacks import Stop
from .errors import InputError
from .learn import Run, evaluate, fit, signals, step
from .predictor import Predictor, load
from .settings import Settings
from .version import __version__

if TYPE_CHECKING:
    from .experiments.outcome import compare
else:
    def __getattr__(name: str) -> Any:
        """Import `compare` only when it is asked for: what it needs takes longer to import than all else."""
        if name == "compare":
            from .experiments.outcome import compare
            return compare
        raise AttributeError(f"module 'nobackprop' has no attribute '{name}'")

__all__ = ["InputError", "Predictor", "Run", "Settings", "Stop", "__version__", "callbacks", "compare", "data",
           "evaluate", "feedback", "fit", "heads", "kernels", "layers", "load", "metrics", "models", "network", "optim",
           "rules", "signals", "step", "tree", "writers"]

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent unless the user asks for more
