"""A trained network as a torch.nn.Module, and back: the same outputs and gradients, in PyTorch's own layers.

    from nobackprop.interop import torch as to_torch
    module = to_torch.module(nb.load("digits.safetensors")).eval()   # takes raw images, (N, C, H, W)
    to_torch.save(module, "module.safetensors")
    model = to_torch.predictor(to_torch.load("module.safetensors"), nb.load("digits.safetensors"))

The parts of the module are PyTorch's own layers.  Four things that PyTorch has no layer for are small modules here: the
standardisation of raw samples, the sum of a residual block, the move of the channels to another axis, and the units of
predicted numbers.  A name in the state dict says where it belongs: block_0.conv.weight.

Dense weights keep their order.  PyTorch's images are (N, C, H, W), and the library flattens (N, H, W, C).  So a small
module moves the channels to the end before nn.Flatten.  To permute the columns of the next dense layer instead would be
right only if that layer follows at once: with a normalisation or a residual block between the two it would be wrong.
"""
from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from ..checks import init
from ..errors import InputError, brief
from ..files import named as checked_path
from ..files import writing
from ..kernels.activation import ACTIVATIONS
from ..layers import (
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
    Shape,
    UnitLength,
)
from ..learn import Run
from ..network import Network, a_shape
from ..outside import package
from ..predictor import Predictor
from ..tree import Tree, fill, leaves, outline
from .parts import blocks, dtype, named, no_form, own, trained

FIRST, LAST = "standardise", "units"  # the names of what stands before and after the blocks
COUNTER = "num_batches_tracked"  # of PyTorch's batch-norm, which reads it only if there is no momentum


def module(source: Predictor | Run | Network, params: Tree = None, shape: Shape | None = None) -> Any:
    """Return a trained network as a torch.nn.Module.

    Parameters
    ----------
    source : Predictor, Run or Network
        What was trained.  If it is a Predictor or a Run, the module takes raw samples, and standardises them first.
    params : list, optional
        The parameters of a network.
    shape : tuple of int, optional
        The shape of one sample of a network, (F,) or (H, W, C).

    Returns
    -------
    torch.nn.Sequential
        On the host, in training mode, of the type of the parameters.  It takes (N, F) or (N, C, H, W) and gives the
        outputs a_L (N, k); if numbers were learnt in units of their own, it gives numbers in these units.

    Raises
    ------
    InputError
        If PyTorch is not installed, if the network does not fit its parameters, or if it has layers of your own.

    Notes
    -----
    Mean and scale are buffers of the type of the parameters.  The Predictor subtracts in float64; so for raw float32
    samples with a mean far above their deviation, the module is less exact than the Predictor is.  Dropout draws from
    PyTorch's own generator.  PyTorch's generators are not drawn from in making the module.

    Examples
    --------
    >>> import nobackprop as nb
    >>> net = nb.models.build("mlp:8", (8, 8, 1), 10)
    >>> params, _ = nb.network.init(net, np.random.default_rng(0), (8, 8, 1))
    >>> list(module(net, params, (8, 8, 1)).state_dict())  # doctest: +SKIP
    ['block_0.dense.weight', 'block_0.dense.bias', 'block_1_dense.weight', 'block_1_dense.bias']
    """
    model = trained(source, params, shape)
    torch = package("torch", "torch")
    parts: list[tuple[str, Any]] = []
    state: dict[str, np.ndarray] = {}
    at = model.shape
    with torch.device("meta"):  # without numbers, so nothing is drawn
        for name, block in blocks(model.net):
            parts.append((name, _layer(torch, block, at)))
            at = block.out_shape(at)
        for ends, name, values in _ends(model):
            made = _kinds()[ends](values)
            parts = [(name, made), *parts] if ends == "Standardise" else [*parts, (name, made)]
            state |= {f"{name}.{key}": value for key, value in values.items()}
    state |= {key: _there(layer, array) for (key, layer), (_, array) in
              zip(_keys(model.net, model.shape), leaves(model.params), strict=True)}
    made = torch.nn.Sequential(OrderedDict(parts))
    kind = dtype(model.params)
    tensors = {key: torch.from_numpy(np.array(value, kind, order="C")) for key, value in state.items()}
    counters = {key: torch.tensor(0) for key in made.state_dict() if key.endswith(COUNTER)}
    made.load_state_dict(tensors | counters, assign=True)
    return made


def params(state: Any, net: Network, shape: Shape) -> Tree:
    """Return the parameters of a network that a state dict holds.

    Parameters
    ----------
    state : torch.nn.Module or mapping of str to tensor
        What `module` made, or a state dict of it, after whatever training.  NumPy arrays will do, too.
    net : Network
        The network that `module` was made of.
    shape : tuple of int
        The shape of one sample, (F,) or (H, W, C).

    Returns
    -------
    list
        New NumPy arrays, of float64 if the state has any, else of float32.

    Raises
    ------
    InputError
        If an array is missing, has another shape or is not finite, or if there are others.

    Examples
    --------
    >>> net = Network((Dense(2),))
    >>> params({"block_0_dense.weight": np.ones((2, 3)), "block_0_dense.bias": np.zeros(2)}, net, (3,))[0]["W"].shape
    (2, 3)
    >>> params({"block_0_dense.weight": np.ones((3, 2)), "block_0_dense.bias": np.zeros(2)}, net, (3,))
    Traceback (most recent call last):
    nobackprop.errors.InputError: block_0_dense.weight in the state dict has the shape (3, 2), expected (2, 3)
    """
    arrays, shape = _arrays(state), a_shape(shape)
    if not isinstance(net, Network):
        raise InputError(f"net is {brief(net)}, expected the Network that the module was made of")
    fresh, shapes = init(net, np.random.default_rng(0), shape)
    keys = list(_keys(net, shape))
    known = {key for key, _ in keys} | {f"{FIRST}.mean", f"{FIRST}.scale", f"{LAST}.mean", f"{LAST}.scale"}
    for what, names in (("has no", sorted({key for key, _ in keys} - arrays.keys())),
                        ("has also", sorted(key for key in arrays.keys() - known if not key.endswith(COUNTER)))):
        if names:
            raise InputError(f"the state dict {what} {names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}, "
                             "expected the names that interop.torch.module gives for this network")
    kind = "float64" if any(arrays[key].dtype == "float64" for key, _ in keys) else "float32"
    found = []
    for (key, layer), (_, first) in zip(keys, leaves(fresh), strict=True):
        expected = _there(layer, first).shape
        if arrays[key].shape != expected:
            raise InputError(f"{key} in the state dict has the shape {arrays[key].shape}, expected {expected}")
        found.append(np.array(_here(arrays[key]), kind, order="C"))
    return fill(outline(fresh), iter(found))


def predictor(state: Any, like: Predictor | Run) -> Predictor:
    """Return a Predictor with the numbers of a state dict.

    Parameters
    ----------
    state : torch.nn.Module or mapping of str to tensor
        As of `params`.
    like : Predictor or Run
        What `module` was made of: it has the network, the shape and the classes.

    Returns
    -------
    Predictor

    Raises
    ------
    InputError
        As `params` does.

    Examples
    --------
    >>> predictor({}, "digits.safetensors")
    Traceback (most recent call last):
    nobackprop.errors.InputError: what was handed over is 'digits.safetensors', expected a Predictor or a Run
    """
    if not isinstance(like, Predictor | Run):
        raise InputError(f"what was handed over is {brief(like)}, expected a Predictor or a Run")
    model, arrays = trained(like), _arrays(state)
    learnt = params(arrays, model.net, model.shape)
    found: dict[str, Any] = {}
    for _, name, values in _ends(model):
        for key, value in values.items():
            came = arrays.get(f"{name}.{key}")
            if came is None or came.size != value.size:
                raise InputError(f"the state dict has {'nothing' if came is None else f'the shape {came.shape}'} at "
                                 f"{name}.{key}, expected {value.size} numbers")
            # as they were, if rounding to the module's type is all that happened to them
            field = key if name == FIRST else f"y_{key}"
            same = np.array_equal(came.ravel(), value.ravel().astype(came.dtype))
            found[field] = getattr(model, field) if same else came.ravel().astype("float64")
    return replace(model, params=learnt, **found)


def save(module: Any, path: str | os.PathLike[str]) -> None:
    """Write the state dict of a module to a file of the format safetensors, all of it or nothing.

    Parameters
    ----------
    module : torch.nn.Module or mapping of str to tensor
        A module, or a state dict.
    path : path
        The file; what was there is replaced.

    Raises
    ------
    InputError
        If the file cannot be written, or if this is no module and no state dict.

    Examples
    --------
    >>> save(module(nb.load("digits.safetensors")), "module.safetensors")  # doctest: +SKIP
    """
    package("torch", "torch")
    from safetensors.torch import save as packed

    state = module.state_dict() if hasattr(module, "state_dict") else module
    if not isinstance(state, Mapping) or not all(hasattr(tensor, "detach") for tensor in state.values()):
        raise InputError(f"what is to be saved is {brief(module)}, expected a torch.nn.Module or a state dict")
    # a copy of each: safetensors takes no two tensors with one memory, and none whose axes lie in another order
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    with writing(path) as partial:
        partial.write_bytes(packed(tensors, {"format": "pt"}))


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a state dict that `save` wrote, or another library in the same format; no code of the file's is run.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict of str to tensor
        For `params`, `predictor` or the module's own `load_state_dict`.

    Raises
    ------
    InputError
        If the file cannot be read.

    Examples
    --------
    >>> net.load_state_dict(load("module.safetensors"))  # doctest: +SKIP
    """
    package("torch", "torch")
    from safetensors import SafetensorError
    from safetensors.torch import load as unpacked

    try:
        found: dict[str, Any] = unpacked(checked_path(path).read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror or error}): expected a state dict as safetensors"
                         ) from None
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        came = " ".join(str(error).split())[:200]
        raise InputError(f"cannot read {path}: expected a state dict as safetensors, got: {came}") from None
    return found


def _ends(model: Predictor) -> Iterator[tuple[str, str, dict[str, np.ndarray]]]:
    """What stands before and after the blocks: the name of its class, its own name, and its buffers."""
    axes = (1,) * (len(model.shape) - 1)  # the channels are the first axis of a sample
    for kind, name, mean, scale in (("Standardise", FIRST, model.mean, model.scale),
                                    ("Units", LAST, model.y_mean, model.y_scale)):
        if mean is not None or scale is not None:
            size = len(model.classes) if kind == "Units" else model.shape[-1]
            more = axes if kind == "Standardise" else ()
            yield kind, name, {"mean": np.reshape(np.zeros(size) if mean is None else mean, (size, *more)),
                               "scale": np.reshape(np.ones(size) if scale is None else scale, (size, *more))}


def _keys(net: Network, shape: Shape) -> Iterator[tuple[str, Layer]]:
    """For each leaf of the parameters, in the order of `leaves`: its name in the state dict, and its layer."""
    for name, block in blocks(net):
        yield from ((f"{name}.{key}", layer) for key, layer in _keys_of(block, shape))
        shape = block.out_shape(shape)


def _keys_of(layer: Layer, shape: Shape) -> Iterator[tuple[str, Layer]]:
    own("PyTorch", layer)
    match layer:
        case Sequential(layers):
            for name, inner in named(layers):
                yield from ((f"{name}.{key}", leaf) for key, leaf in _keys_of(inner, shape))
                shape = inner.out_shape(shape)
        case Residual(body, shortcut):
            for name, part in (("body", body), ("shortcut", shortcut)):
                if part is not None:
                    yield from ((f"{name}.{key}", leaf) for key, leaf in _keys_of(part, shape))
        case Dense() | Conv():
            yield "weight", layer
            if not isinstance(layer, Conv) or layer.bias:
                yield "bias", layer
        case BatchNorm():
            yield from ((key, layer) for key in ("weight", "bias", "running_mean", "running_var"))
        case LayerNorm():
            yield from ((f"{'norm.' if len(shape) > 1 else ''}{key}", layer) for key in ("weight", "bias"))


def _there(layer: Layer, array: np.ndarray) -> np.ndarray:
    """An array as PyTorch has it: a kernel (F, k k C) as (F, C, k, k)."""
    if not isinstance(layer, Conv) or array.ndim < 2:
        return array
    return array.reshape(len(array), layer.kernel, layer.kernel, -1).transpose(0, 3, 1, 2)


def _here(array: np.ndarray) -> np.ndarray:
    """An array as the library has it: a kernel (F, C, k, k) as (F, k k C)."""
    return array if array.ndim < 4 else array.transpose(0, 2, 3, 1).reshape(len(array), -1)


def _arrays(state: Any) -> dict[str, np.ndarray]:
    """A state dict with NumPy arrays in it, those of half precision as float32."""
    state = state.state_dict() if hasattr(state, "state_dict") else state
    if not isinstance(state, Mapping):
        raise InputError(f"the state is {brief(state)}, expected a torch.nn.Module or a state dict")
    found = {}
    for name, tensor in state.items():
        if hasattr(tensor, "detach"):
            tensor = tensor.detach().cpu()
            tensor = (tensor.float() if tensor.is_floating_point() and tensor.element_size() < 4 else tensor).numpy()
        array = np.asarray(tensor)
        if array.dtype not in ("float32", "float64") and not str(name).endswith(COUNTER):
            raise InputError(f"{name} in the state dict is {brief(tensor)}, expected floating-point numbers")
        if not np.isfinite(array).all():
            raise InputError(f"{name} in the state dict holds NaN or infinity, expected finite numbers")
        found[str(name)] = array
    return found


@cache
def _kinds() -> dict[str, Any]:
    """The small modules that PyTorch has no layers for; they are made at the first use, as PyTorch may not be there."""
    torch = package("torch", "torch")
    base: Any = torch.nn.Module

    class Standardise(base):  # type: ignore[misc,unused-ignore]
        """(x - mean) / scale, for raw samples."""

        def __init__(self, values: Mapping[str, np.ndarray]) -> None:
            super().__init__()
            for name, array in values.items():
                self.register_buffer(name, torch.empty(array.shape))

        def forward(self, x: Any) -> Any:
            return (x - self.mean) / self.scale

    class Units(Standardise):
        """h scale + mean: numbers in the units of the raw targets."""

        def forward(self, h: Any) -> Any:
            return h * self.scale + self.mean

    class Residual(base):  # type: ignore[misc,unused-ignore]
        """body(h) + shortcut(h)."""

        def __init__(self, body: Any, shortcut: Any) -> None:
            super().__init__()
            self.body, self.shortcut = body, shortcut

        def forward(self, h: Any) -> Any:
            return self.body(h) + self.shortcut(h)

    class MoveAxis(base):  # type: ignore[misc,unused-ignore]
        """An axis in another place."""

        def __init__(self, source: int, target: int) -> None:
            super().__init__()
            self.source, self.target = source, target

        def forward(self, h: Any) -> Any:
            return h.movedim(self.source, self.target)

        def extra_repr(self) -> str:
            return f"{self.source}, {self.target}"

    return {kind.__name__: kind for kind in (Standardise, Units, Residual, MoveAxis)}


def _layer(torch: Any, layer: Layer, shape: Shape) -> Any:
    """PyTorch's form of a layer, for samples of that shape, with any numbers in it."""
    nn, kinds, image = torch.nn, _kinds(), len(shape) > 1

    def row(**parts: Any) -> Any:
        return nn.Sequential(OrderedDict(parts))

    own("PyTorch", layer)
    match layer:
        case Sequential(layers):
            parts = OrderedDict()
            for name, inner in named(layers):
                parts[name] = _layer(torch, inner, shape)
                shape = inner.out_shape(shape)
            return nn.Sequential(parts)
        case Residual(body, shortcut):
            beside = nn.Identity() if shortcut is None else _layer(torch, shortcut, shape)
            return kinds["Residual"](_layer(torch, body, shape), beside)
        case Dense(units):
            return nn.Linear(shape[0], units)
        case Conv(planes, kernel, stride, pad, _, bias):
            return nn.Conv2d(shape[-1], planes, kernel, stride, pad, bias=bias)
        case BatchNorm(eps, momentum) if len(shape) <= 4:
            norm = [nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d][len(shape) - 1]
            return norm(shape[-1], eps, momentum)
        case LayerNorm(eps):
            norm = nn.LayerNorm(shape[-1], eps)
            return row(channels_last=kinds["MoveAxis"](1, -1), norm=norm,
                       channels_second=kinds["MoveAxis"](-1, 1)) if image else norm
        case UnitLength(eps):
            return nn.RMSNorm((shape[-1], *shape[:-1]), eps, elementwise_affine=False)
        case Dropout(p):
            return nn.Dropout(p)
        case MaxPool(size, stride, pad):
            return _framed(row, nn.ConstantPad2d(pad, -float("inf")), size, pad,
                           lambda frame: nn.MaxPool2d(size, stride or size, frame))
        case AvgPool(size, stride, pad):
            return _framed(row, nn.ZeroPad2d(pad), size, pad, lambda frame: nn.AvgPool2d(size, stride or size, frame))
        case GlobalPool():
            return row(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
        case Flatten():
            return row(channels_last=kinds["MoveAxis"](1, -1), flatten=nn.Flatten()) if image else nn.Flatten()
        case Activation(name):
            f = ACTIVATIONS[name]
            # the class that belongs to PyTorch's function: LeakyReLU to leaky_relu
            known = {"none": "Identity"} | {one.lower(): one for one in nn.modules.activation.__all__}
            if (found := known.get(str(f.torch).lower().replace("_", ""))) is not None:
                return getattr(nn, found)(**f.torch_options)
    raise no_form("PyTorch", layer)


def _framed(row: Any, frame: Any, size: int, pad: int, pool: Any) -> Any:
    """A pooling layer; PyTorch's own frame is at most half of the window, so a wider one is a layer before it."""
    return pool(pad) if 2 * pad <= size else row(frame=frame, pool=pool(0))
