"""The same networks in PyTorch, for `nobackprop bench --against torch` and other measurements.

Images stay in memory as the library has them, (N, H, W, C): PyTorch sees them as (N, C, H, W) with channels last.
"""
from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...backend import to_numpy
from ...errors import InputError
from ...kernels.activation import ACTIVATIONS
from ...layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    LayerNorm,
    MaxPool,
    Residual,
    Sequential,
    UnitLength,
)
from ...leaf_names import RUNNING
from ...learn import Run
from ...network import Network
from ...tree import Tree, leaves

OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {}),
    "adamw": ("AdamW", {}),
}


def load() -> Any:
    """Import PyTorch.

    Returns
    -------
    module
        torch.

    Raises
    ------
    InputError
        If it is not installed.

    Examples
    --------
    >>> load().__name__  # doctest: +SKIP
    'torch'
    """
    try:
        return importlib.import_module("torch")
    except ImportError:
        raise InputError("a comparison with PyTorch needs it installed, and it is not: "
                         "pip install 'nobackprop[torch]'") from None


@contextmanager
def threads_of(torch: Any, threads: int) -> Iterator[None]:
    """Let PyTorch use a number of threads inside a `with` block, and the number from before after it.

    Parameters
    ----------
    torch : module
    threads : int

    Examples
    --------
    >>> with threads_of(load(), 1):  # doctest: +SKIP
    ...     pass
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def tensors(torch: Any, layer: Layer, params: Tree, device: str = "cpu") -> Tree:
    """Copy parameters into tensors that gather gradients.

    Parameters
    ----------
    torch : module
    layer : Layer
        The layer whose parameters they are.
    params : tree
        NumPy arrays.
    device : str
        Where the tensors are to be, as PyTorch names it.

    Returns
    -------
    tree
        Tensors, in a tree of the same structure.  A convolution's W (F, k k C) becomes (F, C, k, k); its numbers lie in
        memory as before.

    Examples
    --------
    >>> tensors(load(), Dense(2), {"W": np.ones((2, 3)), "b": np.ones(2)})["W"].shape  # doctest: +SKIP
    torch.Size([2, 3])
    """
    def tensor(array: np.ndarray) -> Any:
        return torch.from_numpy(array).clone(memory_format=torch.preserve_format).to(device)

    if isinstance(layer, Sequential):
        return [tensors(torch, inner, p, device) for inner, p in zip(layer.layers, params, strict=True)]
    if isinstance(layer, Residual):
        shortcut = None if layer.shortcut is None else tensors(torch, layer.shortcut, params["shortcut"], device)
        return {"body": tensors(torch, layer.body, params["body"], device), "shortcut": shortcut}
    if isinstance(layer, Conv):
        W = params["W"].reshape(layer.planes, layer.kernel, layer.kernel, -1)
        params = params | {"W": W.transpose(0, 3, 1, 2)}
    if params is None:
        return None
    return {name: tensor(array).requires_grad_(name not in RUNNING) for name, array in params.items()}


def forward(torch: Any, layer: Layer, p: Tree, h: Any) -> Any:
    """Compute what a layer makes of its input in training, in PyTorch.

    Parameters
    ----------
    torch : module
    layer : Layer
    p : tree
        The layer's parameters, as `tensors` makes them.
    h : tensor (N, F) or (N, C, H, W)

    Returns
    -------
    tensor
        Dropout draws from PyTorch's own generator.

    Raises
    ------
    InputError
        If the layer is of a kind that is not known here.

    Examples
    --------
    >>> torch = load()  # doctest: +SKIP
    >>> forward(torch, Activation("relu"), None, -torch.ones(1, 2)).tolist()  # doctest: +SKIP
    [[0.0, 0.0]]
    """
    F = torch.nn.functional
    match layer:
        case Sequential(layers):
            for inner, q in zip(layers, p, strict=True):
                h = forward(torch, inner, q, h)
            return h
        case Residual(body, shortcut):
            beside = h if shortcut is None else forward(torch, shortcut, p["shortcut"], h)
            return forward(torch, body, p["body"], h) + beside
        case Dense():
            return F.linear(h, p["W"], p["b"])
        case Conv():
            return F.conv2d(h, p["W"], p.get("b"), layer.stride, layer.pad)
        case BatchNorm():
            return F.batch_norm(h, p["mean"], p["var"], p["gamma"], p["beta"], True, layer.momentum, layer.eps)
        case MaxPool():
            return F.max_pool2d(h, layer.size, layer.stride, layer.pad)
        case AvgPool():
            return F.avg_pool2d(h, layer.size, layer.stride, layer.pad)
        case GlobalPool():
            return h.mean((2, 3))
        case Flatten():
            return (h.permute(0, 2, 3, 1) if h.ndim == 4 else h).reshape(len(h), -1)
        case Activation(name):
            f = ACTIVATIONS[name]
            return h if f.torch is None else getattr(F, f.torch)(h, **f.torch_options)
        case LayerNorm():
            # over the channels, which are the last axis of the library's images and the second one of PyTorch's
            h = h.permute(0, 2, 3, 1) if h.ndim == 4 else h
            h = F.layer_norm(h, h.shape[-1:], p["gamma"], p["beta"], layer.eps)
            return h.permute(0, 3, 1, 2) if h.ndim == 4 else h
        case Dropout(p=silent):
            return F.dropout(h, silent)
        case UnitLength():
            return F.rms_norm(h, h.shape[1:], eps=layer.eps)
    raise InputError(f"PyTorch's twin of the network has no layer like {layer}")


def loss(torch: Any, net: Network, params: Tree, x: Any, y: Any) -> Any:
    """Compute the loss of a network, in PyTorch.

    Parameters
    ----------
    torch : module
    net : Network
    params : list
        The parameters, as `tensors` makes them.
    x : tensor (N, H, W, C) or (N, F)
    y : tensor
        Labels (N,) under cross-entropy, else targets (N, C).

    Returns
    -------
    tensor
        A scalar.

    Raises
    ------
    InputError
        If the loss, or a layer, is not known here.

    Examples
    --------
    >>> torch = load()  # doctest: +SKIP
    >>> loss(torch, Network(()), [], torch.zeros(1, 2), torch.tensor([0])).item()  # doctest: +SKIP
    0.693...
    """
    a = forward(torch, Sequential(net.blocks), params, x.permute(0, 3, 1, 2) if x.ndim == 4 else x)
    match net.loss:
        case "cross_entropy":
            return torch.nn.functional.cross_entropy(a, y)
        case "squared":
            return ((a - y) ** 2).sum() / (2 * len(a))
    raise InputError(f"PyTorch's twin of the network has no loss like '{net.loss}'")


def stepper(run: Run, device: str = "cpu") -> Callable[[], None]:
    """Return a function that takes the next step of backpropagation in PyTorch.

    Parameters
    ----------
    run : Run
        A run of the library: its network, first parameters, batches and optimiser are used, whatever its rule.
    device : str
        Where PyTorch computes, as it names it.

    Returns
    -------
    callable
        A function without arguments; the run itself stays as it is.  On a GPU it returns before the step has ended.

    Examples
    --------
    >>> one_step = stepper(random_run("mlp:6", "xor", "bp", 8, "adam"))  # doctest: +SKIP
    >>> one_step()  # doctest: +SKIP
    """
    torch, net = load(), run.net
    params = tensors(torch, Sequential(net.blocks), to_numpy(run.params), device)
    learnt = [w for _, w in leaves(params) if w.requires_grad]
    kind, how = OPTIMIZERS[run.settings.optimizer]
    opt = getattr(torch.optim, kind)(learnt, lr=run.settings.lr, weight_decay=run.settings.weight_decay, **how)
    x, y = (torch.from_numpy(to_numpy(array)).to(device) for array in (run.x, run.y))
    if net.loss == "cross_entropy":
        y = y.argmax(-1)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(run.x))).to(device)
    batches = itertools.cycle(order.reshape(-1, run.settings.batch_size))

    def one_step() -> None:
        i = next(batches)
        opt.zero_grad()
        loss(torch, net, params, x[i], y[i]).backward()
        opt.step()
    return one_step
