"""How networks learn without backpropagation: rules, their equations and their theorems, in NumPy and CuPy."""
from . import data, feedback, heads, kernels, layers, metrics, models, network, optim, rules, tree
from .errors import InputError
from .learn import Run, Settings, evaluate, fit, step

__version__ = "0.2.0"

__all__ = ["InputError", "Run", "Settings", "data", "evaluate", "feedback", "fit", "heads", "kernels", "layers",
           "metrics", "models", "network", "optim", "rules", "step", "tree"]
