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
from . import data, feedback, heads, kernels, layers, metrics, models, network, optim, rules, tree
from .errors import InputError
from .learn import Run, evaluate, fit, step
from .settings import Settings

__version__ = "0.2.0"

__all__ = ["InputError", "Run", "Settings", "data", "evaluate", "feedback", "fit", "heads", "kernels", "layers",
           "metrics", "models", "network", "optim", "rules", "step", "tree"]
