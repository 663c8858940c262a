"""What PyTorch's form of a network and ONNX's have in common: what may be handed over, and the names of layers.

Both libraries have images as (N, C, H, W), so inside either form the channels are the second axis.  The result of
two layers, Flatten and LayerNorm, depends on the order of the axes: before them the channels move to the last place,
where the library has them.  So all weights keep their order, whatever stands between Flatten and the next dense layer.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from ..backend import to_numpy
from ..checks import init
from ..errors import InputError, brief
from ..layers import Activation, Layer, Sequential, Shape
from ..learn import Run
from ..network import Network, a_shape
from ..predictor import Predictor
from ..rules import Rule, describe
from ..tree import Tree, leaves, tree_map


def trained(source: Predictor | Run | Network, params: Tree = None, shape: Shape | None = None) -> Predictor:
    """Return what is to be handed over, in one form.

    Parameters
    ----------
    source : Predictor, Run or Network
        With a network come its parameters, and the shape of one sample.
    params : list, optional
        The parameters of a network.
    shape : tuple of int, optional
        The shape of one sample of a network, (F,) or (H, W, C).

    Returns
    -------
    Predictor
        Of a network, one without mean and scale, whose classes are numbers.

    Raises
    ------
    InputError
        If these do not fit each other, if the network answers in another way than by its forward pass, or if it has
        layers that are not this library's.

    Examples
    --------
    >>> from nobackprop.layers import Dense
    >>> net = Network((Dense(2),))
    >>> trained(net, init(net, np.random.default_rng(0), (3,))[0], (3,)).classes
    (0, 1)
    >>> trained("mlp:4")
    Traceback (most recent call last):
    nobackprop.errors.InputError: what is to be handed over is 'mlp:4', expected a Predictor, a Run or a Network
    """
    if not isinstance(source, Predictor | Run | Network):
        raise InputError(f"what is to be handed over is {brief(source)}, expected a Predictor, a Run or a Network")
    if isinstance(source, Network):
        if params is None or shape is None:
            raise InputError("a network came without its parameters or without the shape of one sample, expected "
                             "both, such as (net, params, (8, 8, 1)); a Predictor or a Run has them")
        _, shapes = init(source, np.random.default_rng(0), a_shape(shape))
        classes = tuple(range(shapes[-1][0]))
        source = Predictor(source, tree_map(to_numpy, params), a_shape(shape), classes)
    elif params is not None or shape is not None:
        raise InputError("parameters or a shape came next to a Predictor or a Run, which has its own: expected nothing")
    found = source.predictor() if isinstance(source, Run) else source
    if type(found.rule).predict is not Rule.predict:
        raise InputError(f"rule {describe(found.rule)} predicts in a way of its own, which no other library has: "
                         "expected a rule that predicts by the network's forward pass")
    return found


def dtype(params: Tree) -> str:
    """Return the type of floats that holds the parameters of a network: "float32" if it does, else "float64".

    Examples
    --------
    >>> dtype([{"W": np.ones((1, 1))}]), dtype([None])
    ('float64', 'float32')
    """
    return "float32" if np.result_type("float32", *(array for _, array in leaves(params))) == "float32" else "float64"


def kind(layer: Layer) -> str:
    """Return what a layer is called in names: its class, or its function if it is an activation.

    Examples
    --------
    >>> from nobackprop.layers import BatchNorm
    >>> kind(BatchNorm()), kind(Activation("relu"))
    ('batch_norm', 'relu')
    """
    if isinstance(layer, Activation):
        return layer.name
    name = type(layer).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)[1:]


def named(layers: tuple[Layer, ...]) -> Iterator[tuple[str, Layer]]:
    """Give each of some layers a name that no other one of them has.

    Examples
    --------
    >>> from nobackprop.layers import Dense
    >>> [name for name, _ in named((Dense(2), Activation("relu"), Dense(3)))]
    ['dense', 'relu', 'dense_2']
    """
    seen: Counter[str] = Counter()
    for layer in layers:
        name = kind(layer)
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name}_{seen[name]}", layer


def blocks(net: Network) -> Iterator[tuple[str, Layer]]:
    """Give each block of a network a name: its number, and its kind if it is a single layer.

    Examples
    --------
    >>> from nobackprop.layers import Dense
    >>> [name for name, _ in blocks(Network((Sequential((Dense(4), Activation("relu"))), Dense(2))))]
    ['block_0', 'block_1_dense']
    """
    for i, block in enumerate(net):
        yield f"block_{i}" if type(block) is Sequential else f"block_{i}_{kind(block)}", block


def no_form(where: str, layer: Layer) -> InputError:
    """Return the error for a layer that another library does not have.

    Examples
    --------
    >>> from nobackprop.layers import Dense
    >>> no_form("PyTorch", Dense(2))
    InputError('PyTorch has no layer like Dense(units=2, gain=2.0), expected layers of nobackprop itself')
    """
    return InputError(f"{where} has no layer like {brief(layer)}, expected layers of nobackprop itself")


def own(where: str, layer: Layer) -> None:
    """Raise InputError if a layer is not this library's own: a class derived from Dense may compute something else.

    Examples
    --------
    >>> from nobackprop.layers import Dense
    >>> class Doubled(Dense):
    ...     pass
    >>> own("ONNX", Doubled(2))
    Traceback (most recent call last):
    nobackprop.errors.InputError: ONNX has no layer like ...
    """
    if type(layer).__module__ != Layer.__module__:
        raise no_form(where, layer)
