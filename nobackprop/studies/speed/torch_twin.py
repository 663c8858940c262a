"""The same networks in PyTorch, for `nobackprop bench --against torch` and other measurements.

Images stay in memory as the library has them, (N, H, W, C): PyTorch sees them as (N, C, H, W) with channels last.
"""
from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...backend import to_numpy
from ...errors import InputError
from ...interop import torch as to_torch
from ...layers import Shape
from ...learn import Run
from ...network import Network
from ...outside import package
from ...tree import Tree

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
    return package("torch", "torch", "a comparison with PyTorch")


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


def twin(net: Network, params: Tree, shape: Shape) -> Any:
    """Return PyTorch's form of a network, in training mode, with a copy of its parameters.

    Parameters
    ----------
    net : Network
    params : list
        The parameters of each block.
    shape : tuple of int
        The shape of one sample, (F,) or (H, W, C).

    Returns
    -------
    torch.nn.Module
        It takes (N, F) or (N, C, H, W).  Kernels have their channels last in memory, as images do.

    Raises
    ------
    InputError
        If PyTorch is not installed, or if the network has layers of your own.

    Examples
    --------
    >>> from nobackprop.layers import Dense
    >>> twin(Network((Dense(2),)), [{"W": np.ones((2, 3)), "b": np.ones(2)}], (3,))  # doctest: +SKIP
    Sequential(
      (block_0_dense): Linear(in_features=3, out_features=2, bias=True)
    )
    """
    made = to_torch.module(net, params, shape).to(memory_format=load().channels_last)
    for part in made.modules():
        if hasattr(part, to_torch.COUNTER):
            setattr(part, to_torch.COUNTER, None)  # to count batches takes time, and only other batch-norms read it
    return made


def loss(torch: Any, name: str, a: Any, y: Any) -> Any:
    """Compute the loss of outputs, in PyTorch.

    Parameters
    ----------
    torch : module
    name : str
        The loss of the network.
    a : tensor (N, C)
        The outputs.
    y : tensor
        Labels (N,) under cross-entropy, else targets (N, C).

    Returns
    -------
    tensor
        A scalar.

    Raises
    ------
    InputError
        If the loss is not known here.

    Examples
    --------
    >>> torch = load()  # doctest: +SKIP
    >>> loss(torch, "cross_entropy", torch.zeros(1, 2), torch.tensor([0])).item()  # doctest: +SKIP
    0.693...
    """
    match name:
        case "cross_entropy":
            return torch.nn.functional.cross_entropy(a, y)
        case "squared":
            return ((a - y) ** 2).sum() / (2 * len(a))
    raise InputError(f"PyTorch's twin of the network has no loss like '{name}'")


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
    module = twin(net, to_numpy(run.params), run.data.shape).to(device)
    kind, how = OPTIMIZERS[run.settings.optimizer]
    opt = getattr(torch.optim, kind)(module.parameters(), lr=run.settings.lr, weight_decay=run.settings.weight_decay,
                                     **how)
    x, y = (torch.from_numpy(to_numpy(array)).to(device) for array in (run.x, run.y))
    if net.loss == "cross_entropy":
        y = y.argmax(-1)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(run.x))).to(device)
    batches = itertools.cycle(order.reshape(-1, run.settings.batch_size))

    def one_step() -> None:
        i = next(batches)
        h = x[i].permute(0, 3, 1, 2) if x.ndim == 4 else x[i]
        opt.zero_grad()
        loss(torch, net.loss, module(h), y[i]).backward()
        opt.step()
    return one_step
