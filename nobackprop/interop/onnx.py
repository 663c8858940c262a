"""A trained network as an ONNX file, which onnxruntime and many other programs run without Python or this library.

    from nobackprop.interop import onnx as to_onnx
    to_onnx.export(nb.load("digits.safetensors"), "digits.onnx")

The file has one input, `input`, and one output, `output`; the number of samples is free.  It is for prediction: Dropout
is left out, and batch normalisation uses running statistics.  All numbers are float32.

ONNX has operators in numbered sets.  The file needs set 17, the first one with layer normalisation, which programs
can read since 2022.  So gelu is written as the formula that it is here, and not as the operator of set 20.
"""
from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError, check_name
from ..files import writing
from ..kernels.activation import CUBIC, SLOPE
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
from ..network import Network
from ..outside import package
from ..predictor import Predictor
from ..tree import Tree
from ..version import __version__
from .parts import blocks, named, no_form, own, trained

OPSET = 17
FORMAT = 8  # the version of the file format that came with this set
LARGEST = 2**31 - 2**20  # bytes of weights: the format holds 2 GiB, names and all
LAYOUTS = ("NHWC", "NCHW")


def export(source: Predictor | Run | Network, path: str | os.PathLike[str], params: Tree = None,
           shape: Shape | None = None, layout: str = "NHWC") -> None:
    """Write a trained network to an ONNX file, all of it or nothing.

    Parameters
    ----------
    source : Predictor, Run or Network
        What was trained.  If it is a Predictor or a Run, the file takes raw samples, and standardises them first.
    path : path
        The file, such as digits.onnx; what was there is replaced.
    params : list, optional
        The parameters of a network.
    shape : tuple of int, optional
        The shape of one sample of a network, (F,) or (H, W, C).
    layout : {"NHWC", "NCHW"}
        The order of the input's axes, if samples are images: channels last or second.  The default is that of this
        library and of programs that decode images: the file takes the arrays that the Predictor takes.  NCHW is that of
        PyTorch.

    Raises
    ------
    InputError
        If onnx is not installed, if the file cannot be written, if the network does not fit its parameters or has
        layers of your own, or if float32 cannot hold a number of it.

    Notes
    -----
    The output is a_L; if numbers were learnt in units of their own, it is in these units.  The file's metadata has
    `classes` (a list as JSON, in the order of the outputs), `task`, `loss` and, for images, `layout`.

    Networks of float64 are rounded, as onnxruntime has its convolutions in float32 alone.  Mean and scale are float32,
    too: for raw samples with a mean far above their deviation, the file is less exact than the Predictor is.

    Examples
    --------
    >>> import nobackprop as nb
    >>> export(nb.load("digits.safetensors"), "digits.onnx")  # doctest: +SKIP
    >>> export("digits.safetensors", "digits.onnx")
    Traceback (most recent call last):
    nobackprop.errors.InputError: what is to be handed over is 'digits.safetensors', expected a Predictor, a Run or a \
Network
    """
    check_name("layout", layout, LAYOUTS)
    model = trained(source, params, shape)
    onnx = package("onnx", "onnx")
    graph = _Graph(onnx)
    h = "input"
    if layout == "NHWC":
        h = graph.move(h, "channels_second", len(model.shape), last=False)
    image = (-1, *(1,) * (len(model.shape) - 1))
    for values, op in ((model.mean, "Sub"), (model.scale, "Div")):
        if values is not None:
            h = graph.add(op, "standardise", h, graph.weight(f"standardise.{op}", values.reshape(image)))
    at = model.shape
    for (name, block), p in zip(blocks(model.net), model.params, strict=True):
        h, at = _emit(graph, block, p, h, at, name), block.out_shape(at)
    for values, op in ((model.y_scale, "Mul"), (model.y_mean, "Add")):
        if values is not None:
            h = graph.add(op, "units", h, graph.weight(f"units.{op}", values))
    graph.nodes.append(onnx.helper.make_node("Identity", [h], ["output"], name="output"))
    samples = model.shape if layout == "NHWC" else (model.shape[-1], *model.shape[:-1])
    made = graph.model(("N", *samples), ("N", len(model.classes)))
    onnx.helper.set_model_props(made, {
        "classes": json.dumps(np.asarray(model.classes).tolist()), "task": model.task, "loss": model.net.loss,
        **({"layout": layout} if len(model.shape) > 1 else {})})
    onnx.checker.check_model(made, full_check=True)
    with writing(path) as partial:
        partial.write_bytes(made.SerializeToString())


class _Graph:
    """Nodes and weights in the order in which they are computed; a node's output has the node's name."""

    def __init__(self, onnx: Any) -> None:
        self.onnx, self.size = onnx, 0
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.names: set[str] = set()

    def add(self, op: str, name: str, *inputs: str, **attributes: Any) -> str:
        """Compute something, and return its name."""
        name = f"{name}/{op}"
        while name in self.names:
            name += "_"
        self.names.add(name)
        self.nodes.append(self.onnx.helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def weight(self, name: str, values: Any) -> str:
        """Keep an array or a number, and return its name."""
        with np.errstate(over="ignore"):
            array = np.array(values, "float32", order="C")
        if not np.isfinite(array).all():
            raise InputError(f"{name} has numbers that float32 cannot hold, expected finite ones")
        self.size += array.nbytes
        if self.size > LARGEST:
            raise InputError(f"the network has more than {LARGEST:,} bytes of weights, which an ONNX file cannot hold")
        self.weights.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def move(self, h: str, name: str, axes: int, last: bool) -> str:
        """Move the channels of samples with so many axes to the last place, or from there to the second one."""
        order = [0, *range(2, axes + 1), 1] if last else [0, axes, *range(1, axes)]
        return self.add("Transpose", name, h, perm=order) if axes > 1 else h

    def model(self, samples: Sequence[str | int], outputs: Sequence[str | int]) -> Any:
        """Return all of it as ONNX has it."""
        helper, kind = self.onnx.helper, self.onnx.TensorProto.FLOAT
        graph = helper.make_graph(self.nodes, "nobackprop", [helper.make_tensor_value_info("input", kind, samples)],
                                  [helper.make_tensor_value_info("output", kind, outputs)], self.weights)
        return helper.make_model(graph, producer_name="nobackprop", producer_version=__version__, ir_version=FORMAT,
                                 opset_imports=[helper.make_opsetid("", OPSET)])


def _gelu(graph: _Graph, a: str, name: str) -> str:
    """a / 2 (1 + tanh(sqrt(2 / pi) (a + 0.044715 a^3)))."""
    def constant(value: float) -> str:
        return graph.weight(f"{name}.{value:.6g}", value)

    cube = graph.add("Mul", name, graph.add("Mul", name, a, a), a)
    inner = graph.add("Add", name, a, graph.add("Mul", name, cube, constant(CUBIC)))
    bend = graph.add("Tanh", name, graph.add("Mul", name, inner, constant(math.sqrt(2 / math.pi))))
    half = graph.add("Mul", name, a, constant(0.5))
    return graph.add("Mul", name, half, graph.add("Add", name, bend, constant(1.0)))


FORMS: dict[str, Callable[[_Graph, str, str], str]] = {
    "identity": lambda graph, a, name: a,
    "relu": lambda graph, a, name: graph.add("Relu", name, a),
    "tanh": lambda graph, a, name: graph.add("Tanh", name, a),
    "sigmoid": lambda graph, a, name: graph.add("Sigmoid", name, a),
    "elu": lambda graph, a, name: graph.add("Elu", name, a),
    "leaky_relu": lambda graph, a, name: graph.add("LeakyRelu", name, a, alpha=SLOPE),
    "gelu": _gelu,
    "silu": lambda graph, a, name: graph.add("Mul", name, a, graph.add("Sigmoid", name, a)),
}


def _emit(graph: _Graph, layer: Layer, p: Tree, h: str, shape: Shape, name: str) -> str:
    """Write what a layer computes of h, for samples of that shape, and return the name of the result."""
    def weights(*keys: str) -> list[str]:
        return [graph.weight(f"{name}.{key}", p[key]) for key in keys]

    def windows(side: int, stride: int | None, pad: int) -> dict[str, list[int]]:
        return {"kernel_shape": [side] * 2, "strides": [stride or side] * 2, "pads": [pad] * 4}

    own("ONNX", layer)
    match layer:
        case Sequential(layers):
            for (inside, inner), q in zip(named(layers), p, strict=True):
                h, shape = _emit(graph, inner, q, h, shape, f"{name}.{inside}"), inner.out_shape(shape)
            return h
        case Residual(body, shortcut):
            beside = h if shortcut is None else _emit(graph, shortcut, p["shortcut"], h, shape, f"{name}.shortcut")
            return graph.add("Add", name, _emit(graph, body, p["body"], h, shape, f"{name}.body"), beside)
        case Dense():
            return graph.add("Gemm", name, h, *weights("W", "b"), transB=1)
        case Conv(planes, kernel, stride, pad):
            W = p["W"].reshape(planes, kernel, kernel, -1).transpose(0, 3, 1, 2)
            return graph.add("Conv", name, h, graph.weight(f"{name}.W", W), *weights(*(["b"] if layer.bias else [])),
                             **windows(kernel, stride, pad))
        case BatchNorm(eps):
            return graph.add("BatchNormalization", name, h, *weights("gamma", "beta", "mean", "var"), epsilon=eps)
        case LayerNorm(eps):
            h = graph.move(h, f"{name}.channels_last", len(shape), last=True)
            h = graph.add("LayerNormalization", name, h, *weights("gamma", "beta"), axis=-1, epsilon=eps)
            return graph.move(h, f"{name}.channels_second", len(shape), last=False)
        case UnitLength(eps):
            squares = graph.add("ReduceMean", name, graph.add("Mul", name, h, h), axes=list(range(1, len(shape) + 1)))
            return graph.add("Div", name, h, graph.add("Sqrt", name, graph.add(
                "Add", name, squares, graph.weight(f"{name}.eps", eps))))
        case Dropout():
            return h
        case MaxPool(size, stride, pad):
            return graph.add("MaxPool", name, h, **windows(size, stride, pad))
        case AvgPool(size, stride, pad):
            return graph.add("AveragePool", name, h, count_include_pad=1, **windows(size, stride, pad))
        case GlobalPool():
            return graph.add("Flatten", name, graph.add("GlobalAveragePool", name, h))
        case Flatten():
            return graph.add("Flatten", name, graph.move(h, f"{name}.channels_last", len(shape), last=True))
        case Activation(f) if f in FORMS:
            return FORMS[f](graph, h, name)
    raise no_form("ONNX", layer)
