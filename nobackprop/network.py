"""A network, the tape of a forward pass, and the one backward walk of this package.

A network is a tuple of blocks.  A *block* is a layer, most often several in a row: it is the unit on which a learning
rule acts.  The *tape* is the record of one forward pass: the outputs of all blocks, and what their backward passes
need.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, overload

import numpy as np

from .backend import Array, a_generator, array_module, type_name
from .errors import InputError, brief, check_name
from .kernels.loss import DEFAULT_LOSS, LOSSES
from .layers import Activation, Flatten, GlobalPool, Layer, Sequential, Shape, is_shape, tuple_of_layers
from .tape import Keep, Kept, generator
from .tree import Tree, leaves, tree_map


@dataclass(frozen=True, repr=False)
class Network:
    """Blocks from the input up, and the loss on the output of the last one.

    Parameters
    ----------
    blocks : tuple of Layer
        The blocks.  A learning rule may act between two of them.
    loss : str
        The name of a loss in `kernels.loss.LOSSES`.

    Raises
    ------
    InputError
        If the blocks are no layers, or if there is no loss of that name.

    Notes
    -----
    With one (dense, activation) pair in each block, the code computes the papers' equations for fully connected
    networks.  The last block is linear, because softmax belongs to the loss.  A network can be indexed and sliced as a
    tuple can; a slice is a network.

    A network has no input shape.  A layer says how many units it has; `init` draws its weights for the samples that
    come.  So one network can be trained on samples of other shapes too, as long as all its layers take them.

    Examples
    --------
    >>> from nobackprop.layers import Activation, Dense, Sequential
    >>> net = Network((Sequential((Dense(8), Activation("tanh"))), Dense(3)))
    >>> len(net), len(net[1:]), net.loss
    (2, 1, 'cross_entropy')
    """

    blocks: tuple[Layer, ...]
    loss: str = DEFAULT_LOSS

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", tuple_of_layers("blocks of a Network", self.blocks))
        check_name("loss", self.loss, LOSSES)

    def __repr__(self) -> str:
        """The network as code, a line for each block if there are several."""
        blocks = [f"{block!r}," for block in self.blocks]
        inside = f"({' '.join(blocks)})" if len(blocks) < 2 else "\n".join(["(", *(f"    {b}" for b in blocks), ")"])
        return f"Network({inside}, {self.loss!r})"

    def __len__(self) -> int:
        return len(self.blocks)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.blocks)

    @overload
    def __getitem__(self, i: int) -> Layer: ...

    @overload
    def __getitem__(self, i: slice) -> Network: ...

    def __getitem__(self, i: int | slice) -> Layer | Network:
        return replace(self, blocks=self.blocks[i]) if isinstance(i, slice) else self.blocks[i]

    @cached_property
    def draws(self) -> tuple[bool, ...]:
        """For each block, whether it draws random numbers in a training pass, as Dropout does."""
        return tuple(block.draws() for block in self)

    @cached_property
    def remembers(self) -> tuple[int, ...]:
        """The blocks with running statistics, as BatchNorm has them."""
        return tuple(i for i, block in enumerate(self) if block.remembers())

    def value(self, a: Array, y: Array) -> Array:
        """Return the loss of the outputs a_L (N, C) for the targets y* (N, C): a scalar, the mean over the batch."""
        return LOSSES[self.loss][0](a, y)

    def error(self, a: Array, y: Array) -> Array:
        """Return e = dL/da_L, (N, C), for the outputs a_L (N, C) and the targets y* (N, C)."""
        return LOSSES[self.loss][1](a, y)                                          # LAS (5)

    def weigh(self, e: Array) -> Array:
        """Return an error (N, C) of the batch's samples as it counts: unchanged; see `Weighted`."""
        return e

    def batch(self, rows: np.ndarray) -> Network:
        """Return the network as it learns from these rows of the training set: itself; see `Weighted`."""
        return self


@dataclass(frozen=True, repr=False, eq=False)
class Weighted(Network):
    """A network whose loss is a weighted mean: a sample of weight 2 counts as if it were there twice.

    A rule hears of weights by `value`, `error` and `weigh` alone, see `Rule.weighs`.

    Parameters
    ----------
    blocks, loss
        As of `Network`.
    weights : array (N,)
        What each sample counts, with the mean 1 over the training set.

    Examples
    --------
    >>> net, a, y = Weighted((Activation("relu"),), "squared", np.array([1.5, 0.5])), np.ones((2, 1)), np.zeros((2, 1))
    >>> net.error(a, y).tolist(), float(net.value(a, y)), net.batch(np.array([1])).weights.tolist()
    ([[0.75], [0.25]], 0.5, [0.5])
    """

    weights: Any = None

    def value(self, a: Array, y: Array) -> Array:
        return LOSSES[self.loss][0](a, y, self.weights[:, None])

    def error(self, a: Array, y: Array) -> Array:
        return self.weigh(super().error(a, y))

    def weigh(self, e: Array) -> Array:
        return e * self.weights[:, None]

    def batch(self, rows: np.ndarray) -> Network:
        return replace(self, weights=self.weights[rows])


@dataclass(frozen=True)
class Tape:
    """What one forward pass leaves for learning.

    Parameters
    ----------
    h : list
        h[0] is the input x; h[i] is the output of block i - 1, which the papers call h_i.
    caches : list
        For each block, what its backward pass needs.
    seeds : sequence of int or None
        For each block, the seed of what it drew; None if it drew nothing.  A second forward pass with these seeds draws
        the same numbers.  Left out, it is None for every block.

    Notes
    -----
    If a learning rule does not need an array, the tape may keep less than it, or an object that makes it when it is
    called: see `tape.Keep`.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.layers import Activation
    >>> tape = forward(Network((Activation("relu"),)), [None], np.array([[-1.0, 2.0]]))
    >>> tape.output.tolist(), len(tape.h), list(tape.seeds)
    ([[0.0, 2.0]], 2, [None])
    """

    h: list[Kept]
    caches: list[Any]
    seeds: Sequence[int | None] = ()

    def __post_init__(self) -> None:
        if not self.seeds:
            object.__setattr__(self, "seeds", [None] * len(self.caches))

    @property
    def output(self) -> Array:
        """The output a_L of the network, (N, C)."""
        return self.h[-1]

    def above(self, i: int) -> Tape:
        """Return the tape of the network net[i:]."""
        return Tape(self.h[i:], self.caches[i:], self.seeds[i:])


def sequential(layers: Sequence[Layer], loss: str = DEFAULT_LOSS) -> Network:
    """Return the network of a flat list of layers, which are grouped into blocks.

    Parameters
    ----------
    layers : sequence of Layer
        From the input up.  A Sequential or a Residual among them stays as it is.
    loss : str
        The name of a loss in `kernels.loss.LOSSES`.

    Returns
    -------
    Network
        Every layer with weights has a block of its own, in which the layers after it stand, too, up to the next one.
        Flatten and GlobalPool stand in the block above them, because they say how it reads its input.

    Raises
    ------
    InputError
        If these are no layers, or if none of them has weights.

    Examples
    --------
    >>> from nobackprop.layers import Dense, Flatten
    >>> sequential([Flatten(), Dense(8), Activation("relu"), Dense(3)])
    Network((
        Sequential(layers=(Flatten(), Dense(units=8, gain=2.0), Activation(name='relu'))),
        Dense(units=3, gain=2.0),
    ), 'cross_entropy')
    """
    blocks: list[list[Layer]] = [[]]
    for layer in tuple_of_layers("layers of sequential", layers):
        if (layer.weighted() or isinstance(layer, Flatten | GlobalPool)) and any(one.weighted() for one in blocks[-1]):
            blocks.append([])
        blocks[-1].append(layer)
    if not any(one.weighted() for one in blocks[-1]):  # what comes after the last weights belongs to them
        last = blocks.pop()
        if not blocks:
            raise InputError(f"layers of sequential are {brief(layers)}, expected at least one with weights")
        blocks[-1] += last
    return Network(tuple(block[0] if len(block) == 1 else Sequential(tuple(block)) for block in blocks), loss)


def init(net: Network, rng: np.random.Generator, shape: Shape,
         dtype: str = "float32") -> tuple[Tree, list[Shape]]:
    """Draw the parameters that training starts from.

    Parameters
    ----------
    net : Network
    rng : numpy.random.Generator
        The generator that everything is drawn from.
    shape : tuple of int
        The shape of one sample, without the batch axis.
    dtype : str
        The type of the parameters.  They are drawn in float64 and rounded, so that networks of two types start from the
        same numbers.

    Returns
    -------
    params : list
        The parameters of each block, on the host.
    shapes : list of tuple of int
        The shape of one sample at the input and after every block.

    Raises
    ------
    InputError
        If the network does not take samples of that shape, if the type is no type of floats, or if `rng` is no
        generator.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.models import mlp
    >>> params, shapes = init(mlp((4,), 3, (8,)), np.random.default_rng(0), (4,))
    >>> shapes, params[-1]["W"].shape, str(params[-1]["W"].dtype)
    ([(4,), (8,), (3,)], (3, 8), 'float32')
    """
    a_network(net)
    a_generator(rng)
    params, shapes = [], [a_shape(shape)]
    kind = type_name(dtype)
    if not kind.startswith(("float", "complex")):  # anything else would round the weights to whole numbers
        raise InputError(f"dtype is {brief(dtype)}, expected a type of floats, such as 'float32'")
    for block in net:
        p, out = block.init(rng, shapes[-1])
        params.append(tree_map(lambda array: array.astype(kind), p))
        shapes.append(out)
    return params, shapes


def a_network(net: object) -> None:
    """Raise InputError unless this is a Network.

    Examples
    --------
    >>> a_network("mlp:4")
    Traceback (most recent call last):
    nobackprop.errors.InputError: net is 'mlp:4', expected a Network as models.build makes them
    """
    if not isinstance(net, Network):
        raise InputError(f"net is {brief(net)}, expected a Network as models.build makes them")


def a_shape(shape: Any) -> Shape:
    """Return the shape of one sample as a tuple; raise InputError if it is none.

    Examples
    --------
    >>> a_shape([28, 28, 1])
    (28, 28, 1)
    """
    if not is_shape(shape):
        raise InputError(f"shape is {brief(shape)}, expected that of one sample, such as (784,) or (28, 28, 1)")
    return tuple(map(int, shape))


def least_batch(net: Network, shape: Shape) -> int:
    """Return the number of samples of `shape` that a batch needs at least: 2 if a batch-norm sees one value a channel.

    Parameters
    ----------
    net : Network
    shape : tuple of int
        The shape of one sample, without the batch axis.

    Returns
    -------
    int
        2 if some batch-norm would see a single value in each channel, which has no variance; else 1.

    Examples
    --------
    >>> from nobackprop.layers import BatchNorm, Conv, GlobalPool
    >>> [least_batch(Network(blocks), (8, 8, 3)) for blocks in [(Conv(4, 3), BatchNorm()), (GlobalPool(), BatchNorm())]]
    [1, 2]
    """
    a_network(net)
    return Sequential(net.blocks).least_batch(a_shape(shape))


def check(net: Network, params: Tree, x: Array) -> None:
    """Check that x is a batch of samples that fit the network and its parameters.

    Parameters
    ----------
    net : Network
    params : list
        The parameters of the network.
    x : array (N, ...)
        What came as a batch.

    Raises
    ------
    InputError
        If x is no array of numbers, or if its samples or the parameters do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.models import mlp
    >>> net = mlp((4,), 3, (8,))
    >>> check(net, init(net, np.random.default_rng(0), (4,))[0], np.zeros((2, 4)))
    """
    a_network(net)
    _batch(x)
    if params is None:
        raise InputError(f"params is None, expected a list with the parameters of {len(net)} blocks")
    Sequential(net.blocks).out_shape(x.shape[1:], params)
    for path, array in leaves(params):
        try:
            array_module(x, array)
            fits = array.dtype.kind in "biufc"
        except TypeError:
            fits = False
        if not fits:
            raise InputError(f"the parameters have {brief(array)} at {path}, expected an array of numbers, of NumPy if "
                             "the samples are, else of CuPy")


def _batch(x: Array) -> None:
    """Raise InputError unless x is a batch of samples."""
    try:
        array_module(x)
    except TypeError:
        raise InputError(f"expected samples as a NumPy or CuPy array (N, ...), got: {type(x).__name__}") from None
    if x.ndim < 2 or x.dtype.kind not in "biufc":
        raise InputError("expected samples as an array of numbers (N, ...), got: "
                         f"{type(x).__name__} of shape {x.shape}, {x.dtype}")


def forward(net: Network, params: Tree, x: Array, train: bool = True, keep: Callable[[int], Keep] | None = None,
            rng: np.random.Generator | None = None, seeds: Sequence[int | None] = ()) -> Tape:
    """Run the network on a batch and record what learning needs.

    Parameters
    ----------
    net : Network
    params : list
        The parameters of each block.
    x : array (N, ...)
        The batch.
    train : bool
        Whether batch-norm uses the statistics of this batch, and Dropout silences units.
    keep : callable, optional
        keep(i) says what the tape keeps of block i; it keeps x and the output in any case.  By default it keeps all.
    rng : numpy.random.Generator or None
        The generator of this training step.  It is drawn from only if a block draws, once for each such block.
    seeds : sequence of int or None
        The seeds of an earlier tape, for a pass that draws the same numbers as that one did; `rng` is then left alone.

    Returns
    -------
    Tape

    Raises
    ------
    InputError
        If x is no batch, if a layer cannot compute because the samples or the parameters do not fit, or if `rng` is no
        generator.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.layers import Dropout
    >>> net, x = Network((Dropout(0.5),)), np.ones((4, 8))
    >>> first = forward(net, [None], x, rng=np.random.default_rng(0))
    >>> again = forward(net, [None], x, seeds=first.seeds)
    >>> np.array_equal(first.output, again.output)
    True
    """
    a_network(net)
    _batch(x)
    if rng is not None:
        a_generator(rng)
    if not seeds:
        seeds = [int(rng.integers(2**63)) if draws and train and rng is not None else None for draws in net.draws]
    h, outputs, caches, index = x, [x], [], 0
    try:
        for i, (block, p, seed) in enumerate(zip(net.blocks, params, seeds, strict=True)):
            h, cache = block.forward(p, h, train, generator(seed))
            kept = h
            if keep is not None:
                what = keep(i)
                cache, index = block.keep(cache, what, index)
                kept = what.between(h)
            outputs.append(kept)
            caches.append(cache)
    except (AttributeError, LookupError, TypeError, ValueError):
        check(net, params, x)  # it costs too much for every step, and says what came and what was expected
        raise
    outputs[-1] = h
    return Tape(outputs, caches, seeds)


def with_presynaptic(net: Network, tape: Tape, before: Callable[[int, Kept], Kept]) -> Tape:
    """Return a tape in which other activities stand in front of the weights.

    Parameters
    ----------
    net : Network
    tape : Tape
        The tape of a forward pass; it stays as it is.
    before : callable
        before(index, h) returns what takes the place of the input h of a layer with weights.  `index` counts these
        layers along the main path from 0; the layers of a shortcut have the indices of the body next to it.

    Returns
    -------
    Tape

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.layers import Dense
    >>> net, x = Network((Dense(1, gain=1.0),)), np.ones((2, 3))
    >>> params, _ = init(net, np.random.default_rng(0), (3,), "float64")
    >>> other = with_presynaptic(net, forward(net, params, x), lambda index, h: 2 * h)
    >>> backward(net, params, other, {0: np.ones((2, 1))})[0]["W"].tolist()
    [[4.0, 4.0, 4.0]]
    """
    caches, index, what = [], 0, Keep(before=before)
    for block, cache in zip(net, tape.caches, strict=True):
        cache, index = block.keep(cache, what, index)
        caches.append(cache)
    return replace(tape, caches=caches)


def with_activations(net: Network, other: Callable[[Activation], Layer]) -> Network:
    """Return a network in which other layers stand in the places of the activations.

    Parameters
    ----------
    net : Network
        The network; it stays as it is.
    other : callable
        other(f) returns what takes the place of the activation f.  It has no parameters.

    Returns
    -------
    Network
        The parameters of `net` are its parameters, too.  A tape of the one fits the other if both activations keep
        what the other needs.

    Examples
    --------
    >>> from nobackprop.layers import Dense
    >>> with_activations(Network((Dense(2), Activation("tanh"))), lambda f: Activation("relu")).blocks
    (Dense(units=2, gain=2.0), Activation(name='relu'))
    """
    return replace(net, blocks=tuple(block.with_activations(other) for block in net))


def straight(net: Network) -> Network:
    """Return the network without activations: the identity stands in the place of each.

    Parameters
    ----------
    net : Network
        The network; it stays as it is.

    Returns
    -------
    Network
        It takes the tapes of `net`.  In its backward walk no f' is multiplied, so the signals that it is given are
        those at the input of the activation, dL/da, and not those at the output.

    Examples
    --------
    >>> import numpy as np
    >>> net = Network((Activation("relu"),))
    >>> _, cache = net[0].forward(None, np.array([[-1.0, 2.0]]))
    >>> [each[0].backward(None, cache, np.ones((1, 2)))[0].tolist() for each in (net, straight(net))]
    [[[0.0, 1.0]], [[1.0, 1.0]]]
    """
    return with_activations(net, lambda f: Activation("identity"))


def apart(net: Network, params: Tree, inputs: Sequence[Array], seeds: Sequence[int | None] = ()) -> Tape:
    """Run every block on an input of its own, and record what learning needs.

    Parameters
    ----------
    net : Network
    params : list
        The parameters of each block.
    inputs : sequence of array (N, ...)
        The input of each block.
    seeds : sequence of int or None
        The seeds of an earlier tape, see `forward`.

    Returns
    -------
    Tape
        Its h[0] is the first input, and its h[i] is what block i - 1 makes of its own input.

    Examples
    --------
    >>> import numpy as np
    >>> net = Network((Activation("relu"), Activation("identity")))
    >>> [h.tolist() for h in apart(net, [None, None], [np.array([[-1.0]]), np.array([[5.0]])]).h]
    [[[-1.0]], [[0.0]], [[5.0]]]
    """
    outputs, caches, seeds = [inputs[0]], [], seeds or [None] * len(net)
    for block, p, h, seed in zip(net, params, inputs, seeds, strict=True):
        out, cache = block.forward(p, h, True, generator(seed))
        outputs.append(out)
        caches.append(cache)
    return Tape(outputs, caches, seeds)


def predict(net: Network, params: Tree, x: Array) -> Array:
    """Return the output of the network for a batch, in prediction: nothing is recorded.

    Parameters
    ----------
    net : Network
    params : list
        The parameters of each block.
    x : array (N, ...)
        The batch.

    Returns
    -------
    array (N, C)
        a_L.  The largest entry of a row is the class that is predicted.

    Raises
    ------
    InputError
        If x is no batch of samples that fit the network and its parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.models import mlp
    >>> net = mlp((4,), 3, (8,))
    >>> predict(net, init(net, np.random.default_rng(0), (4,))[0], np.zeros((2, 4), "float32")).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    check(net, params, x)
    for block, p in zip(net, params, strict=True):
        x, _ = block.forward(p, x, False)
    return x


def remember(net: Network, params: Tree, tape: Tape) -> None:
    """Fold what a training pass has seen into the running statistics that prediction uses, in place.

    Parameters
    ----------
    net : Network
    params : list
        The parameters of each block; their leaves `mean` and `var` are written to.
    tape : Tape
        The tape of the training pass.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.layers import BatchNorm
    >>> net, x = Network((BatchNorm(),)), np.array([[10.0], [20.0]])
    >>> params, _ = init(net, np.random.default_rng(0), (1,), "float64")
    >>> remember(net, params, forward(net, params, x))
    >>> params[0]["mean"].tolist()
    [1.5]
    """
    for i in net.remembers:
        net[i].remember(params[i], tape.caches[i])


def backward(net: Network, feedback: Tree, tape: Tape, signals: Mapping[int, Array]) -> list[Tree]:
    """Walk down through the blocks and return their gradients.

    Parameters
    ----------
    net : Network
    feedback : list
        The tree that carries errors down.  If it is the parameters themselves, the walk is backpropagation.
    tape : Tape
        The tape of the forward pass.
    signals : mapping of int to array
        For some blocks, dL/dh at their output.  A block without an entry listens to the block above it.

    Returns
    -------
    list
        The gradients of each block, None for a block without parameters.

    Raises
    ------
    InputError
        If a block has no signal, and nothing comes down to it from above; or if a signal has another shape than the
        output that it is for.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop.models import mlp
    >>> net, x, y = mlp((4,), 3, (8,)), np.ones((2, 4)), np.eye(3)[:2]
    >>> params, _ = init(net, np.random.default_rng(0), (4,), "float64")
    >>> tape = forward(net, params, x)
    >>> grads = backward(net, params, tape, {1: net.error(tape.output, y)})
    >>> [grads[0][0]["W"].shape, grads[1]["b"].shape]
    [(8, 4), (3,)]
    """
    blocks, grads, down = net.blocks, [None] * len(net), None
    for i in reversed(range(len(blocks))):
        delta = signals.get(i, down)
        if delta is None:
            raise InputError(f"block {i} hears nothing: expected an entry {i} in signals, as no block above sends "
                             "a signal down")
        check_signal(i, delta, tape.h[i + 1])
        down, grads[i] = blocks[i].backward(feedback[i], tape.caches[i], delta,
                                            want_down=i > 0 and i - 1 not in signals)
    return grads


def check_signal(i: int, signal: Array, output: Kept) -> None:
    """Raise InputError if the signal of block i has another shape than the block's output.

    NumPy would spread a signal of the shape (N, 1) over all units of an activation, and train on.

    Parameters
    ----------
    i : int
        The place of the block in the network, counted from 0.
    signal : array (N, ...)
        What the block hears.
    output : array (N, ...), object or None
        What the tape keeps of the block's output.  If that is nothing, there is nothing to compare.

    Examples
    --------
    >>> import numpy as np
    >>> check_signal(1, np.ones((4, 1)), np.ones((4, 2)))
    Traceback (most recent call last):
    nobackprop.errors.InputError: the signal of block 1, counted from 0, has shape (4, 1), expected (4, 2) as its output
    """
    came, expected = getattr(signal, "shape", ()), getattr(output, "shape", None)
    if expected is not None and came != expected:
        raise InputError(f"the signal of block {i}, counted from 0, has shape {came}, expected {expected} as its "
                         "output")


def local(net: Network, feedback: Tree, tape: Tape, signals: Mapping[int, Array]) -> tuple[list[Any], list[Tree]]:
    """Ask every block that has a signal for what it sends down and for its gradients; no block listens to another.

    Parameters
    ----------
    net : Network
    feedback : list
        The tree that carries errors down, as in `backward`.
    tape : Tape
        The tape of a forward pass, or of `apart`.
    signals : mapping of int to array
        For some blocks, dL/dh at their output.

    Returns
    -------
    down : list of array or None
        down[i] is dL/dh at the input of block i, (N, ...).  It is None for a block without a signal, and for the first
        block, below which nobody listens.
    grads : list
        The gradients of each block, None for a block without a signal or without parameters.

    Raises
    ------
    InputError
        If a signal has another shape than the output that it is for.

    Examples
    --------
    >>> import numpy as np
    >>> net = Network((Activation("relu"), Activation("relu"), Activation("relu")))
    >>> tape = forward(net, [None] * 3, np.ones((1, 2)))
    >>> down, _ = local(net, [None] * 3, tape, {1: np.ones((1, 2)), 0: np.zeros((1, 2))})
    >>> [None if sent is None else sent.tolist() for sent in down]
    [None, [[1.0, 1.0]], None]
    """
    down: list[Any] = [None] * len(net)
    grads: list[Tree] = [None] * len(net)
    for i, delta in signals.items():
        check_signal(i, delta, tape.h[i + 1])
        sent, grads[i] = net[i].backward(feedback[i], tape.caches[i], delta, want_down=i > 0)
        down[i] = sent if i > 0 else None
    return down, grads
