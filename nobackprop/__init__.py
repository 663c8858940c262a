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
from .predictor import Predictor, load
from .settings import Settings
from .version import __version__

__all__ = ["InputError", "Predictor", "Run", "Settings", "__version__", "data", "evaluate", "feedback", "fit", "heads",
           "kernels", "layers", "load", "metrics", "models", "network", "optim", "rules", "step", "tree"]
