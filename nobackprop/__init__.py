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
from typing import TYPE_CHECKING, Any

from . import data, feedback, heads, kernels, layers, metrics, models, network, optim, rules, tree
from .errors import InputError
from .learn import Run, evaluate, fit, step
from .predictor import Predictor, load
from .settings import Settings
from .version import __version__

if TYPE_CHECKING:
    from .experiments.outcome import compare
else:
    def __getattr__(name: str) -> Any:
        """Give `compare` to who asks for it: what trains and draws takes longer to come than all else."""
        if name == "compare":
            from .experiments.outcome import compare
            return compare
        raise AttributeError(f"module 'nobackprop' has no attribute '{name}'")

__all__ = ["InputError", "Predictor", "Run", "Settings", "__version__", "compare", "data", "evaluate", "feedback",
           "fit", "heads", "kernels", "layers", "load", "metrics", "models", "network", "optim", "rules", "step",
           "tree"]
