"""What a training step stores and moves, counted as in the thesis on ASAP and measured on a real tape.

The thesis (Woo 2023, chapter 6) counts accesses to external memory: a step reads and writes the parameters P and the
activations A a fixed number of times.  `accesses` computes that count.  `held` measures something else: the bytes of
all arrays that the tape of a real forward pass keeps alive until the update.  `measure` reports both for one network.
"""
from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from .. import figures, models, network, rules
from ..data import source
from ..data.tasks import TASKS
from ..errors import InputError, integer
from ..feedback import weights
from ..network import Network, Tape
from ..room import check_room
from ..rules.activation_sharing import ASFP, ActivationSharing
from ..sharing import Plan, plan
from ..tape import Keep, Kept
from ..tree import Tree, leaves, tree_map
from .text import aligned

WRITTEN = 0.45  # the opacity of a bar of what is written, next to what is read

# ---------------------------------------------------------------- the count of the thesis


@dataclass(frozen=True)
class Accesses:
    """The numbers that one step reads and writes, forward and backward pass together.

    Attributes
    ----------
    read, written : int
        How many numbers are read from external memory, and how many are written to it.

    Examples
    --------
    >>> step = Accesses(read=25, written=15)
    >>> step.read + step.written
    40
    """

    read: int
    written: int


def accesses(parameters: int, stored: int, sets: int = 1) -> Accesses:
    """Count the accesses of one step to external memory.

    Parameters
    ----------
    parameters : int
        The number of parameters, P.
    stored : int
        The number of activations that are stored for the update, A.
    sets : int
        The number of sets of weights that the backward pass reads and writes: 1 as the thesis counts, 2 if the feedback
        weights B are counted as well as W.

    Returns
    -------
    Accesses
        The numbers read and written.

    Notes
    -----
    Woo 2023, (6.1) for the forward pass and (6.2) for the backward pass.

    Examples
    --------
    >>> accesses(parameters=10, stored=5)
    Accesses(read=25, written=15)
    >>> accesses(parameters=10, stored=5, sets=2)
    Accesses(read=35, written=25)
    """
    forward = Accesses(parameters, stored)                                                       # ASAP (6.1)
    backward = Accesses(sets * parameters + stored, sets * parameters)                           # ASAP (6.2)
    return Accesses(forward.read + backward.read, forward.written + backward.written)


def stored(plan: Plan) -> frozenset[int]:
    """Return the layers whose input the updates of a plan need.

    Parameters
    ----------
    plan : Plan
        For each layer with weights, the layer whose input it learns from, see `nobackprop.sharing`.

    Returns
    -------
    frozenset of int
        The layers, counted from 0.  Layer 0 is not among them, because its input is the batch x itself.

    Examples
    --------
    >>> sorted(stored((0, 1, 1, 3, 3)))
    [1, 3]
    """
    return frozenset(plan) - {0}


# ---------------------------------------------------------------- the bytes of a real tape


def buffers(kept: Kept) -> Iterator[Any]:
    """Yield the arrays that own the memory of what a tape keeps.

    Parameters
    ----------
    kept : Kept
        What a tape keeps: arrays, or lists, tuples and dataclasses that hold them.

    Yields
    ------
    Array
        For a view, the array that it is a view of.  An array that is met twice is yielded twice.

    Examples
    --------
    >>> import numpy as np
    >>> h = np.zeros(6)
    >>> [array is h for array in buffers([h, h[:3]])]
    [True, True]
    """
    if isinstance(kept, list | tuple):
        for child in kept:
            yield from buffers(child)
    elif is_dataclass(kept):
        for part in fields(kept):
            yield from buffers(getattr(kept, part.name))
    elif hasattr(kept, "nbytes") and hasattr(kept, "dtype"):
        yield kept if kept.base is None else kept.base


def held(net: Network, tape: Tape) -> list[int]:
    """Count the bytes that a tape holds, layer by layer.

    Parameters
    ----------
    net : Network
        The network.
    tape : Tape
        What a forward pass of the network has recorded.

    Returns
    -------
    list of int
        The bytes of each layer with weights along the main path; the last number is the bytes of everything else.

    Notes
    -----
    Arrays between two of those layers, such as masks and the input of batch-norm, count for the lower layer.  Every
    piece of memory is counted once, at the lowest layer that keeps it.  The batch x is not counted.

    Examples
    --------
    >>> import numpy as np
    >>> from nobackprop import models, network
    >>> net = models.build("mlp:4,3", (5,), 2)
    >>> params, _ = network.init(net, np.random.default_rng(0), (5,))
    >>> held(net, network.forward(net, params, np.zeros((10, 5), "float32")))  # h_1, h_2, nothing new, and a_L
    [160, 120, 0, 80]
    """
    seen = {id(buffer) for buffer in buffers(tape.h[0])}
    count = sum(len(block.weighted()) for block in net)
    spent, here, index = [0] * (count + 1), 0, 0

    def take(layer: int, kept: Kept) -> Kept:
        for buffer in buffers(kept):
            if id(buffer) not in seen:
                seen.add(id(buffer))
                spent[layer] += buffer.nbytes
        return kept

    def before(index: int, kept: Kept) -> Kept:
        nonlocal here
        here = index
        return take(index, kept)

    listener = Keep(before, lambda name, kept: take(here, kept), lambda kept: take(here, kept))
    for block, cache in zip(net, tape.caches, strict=True):
        _, index = block.keep(cache, listener, index)
    take(count, [tape.h, tape.caches])
    return spent


# ---------------------------------------------------------------- a network under several rules


def measure(model: str = "resnet18", data: str = "cifar-10", rule: str = "asap", k: int | None = None,
            batch_size: int = 128) -> dict[str, Any]:
    """Report what backpropagation and activation sharing store for one batch.

    The batch holds random inputs of the shape of a data set, so the data set need not be there.

    Parameters
    ----------
    model : str
        The name of the model.
    data : str
        The name of the data set whose shape and classes are taken, or of a file of your own, as `data.load` takes it.
    rule : str
        The rule that shares activations, 'as' or 'asap', with its options.
    k : int, optional
        A number of layers in a block of sharing that is reported in addition to 2 and 4.  None takes that of the rule.
    batch_size : int
        The number of samples in the batch.

    Returns
    -------
    dict
        - "model", "data", "batch_size": what was asked for; "parameters": the number of weights.
        - "layers": for each layer with weights its "name", its "shape" (the input of one sample) and its "activations"
          (the numbers in the inputs of a batch).
        - "columns": one dict for each rule, by name: bp, and the rule with each number k of layers.  It has "stored"
          (the layers whose input is kept, counted from 0), "activations" (how many numbers they are), "accesses" and
          "accesses_both_sets" ("read" and "written", without and with B), "bytes" (for each layer and, last, for all
          else) and "total_bytes".

    Raises
    ------
    InputError
        If a name is unknown, if the rule shares no activations, or if a number is below 1.

    Examples
    --------
    >>> columns = measure("mlp:4,4,4,4,4", "digits", "asap", batch_size=2)["columns"]
    >>> {name: column["stored"] for name, column in columns.items()}
    {'bp': [1, 2, 3, 4, 5], 'asap:k=2': [1, 3], 'asap:k=4': [1]}
    """
    known = source(data)
    integer("batch_size", batch_size, 1)
    if k is not None:
        integer("k, the number of layers that share one activity,", k, 1)
    asked = rules.get(rule)
    parts = rule.split(":")
    options = [part for part in parts if "=" in part]  # they stand at the end
    name = ":".join(parts[:len(parts) - len(options)])
    if not isinstance(asked, ActivationSharing) or isinstance(asked, ASFP):
        raise InputError(f"rule '{rule}' stores as much as backpropagation: expected as or asap")
    options = [option for option in options if not option.startswith("k=")]
    given = [k] if k is not None else [asked.k]
    specs = ["bp", *(":".join([name, f"k={size}", *options]) for size in sorted({2, 4, *given}))]
    shape, classes = known.sizes()
    net = models.build(model, shape, classes, str(known.defaults.get("activation", "relu"))
                       if models.takes(model, "activation") else None,
                       str(known.defaults.get("loss", TASKS[known.task].loss)))
    check_room(f"batch size {batch_size}", "inputs", batch_size * math.prod(shape), 4)
    rng = np.random.default_rng(0)
    params, _ = network.init(net, rng, shape)
    x = rng.standard_normal((batch_size, *shape), dtype=np.float32)
    leaf_layers = [layer for block in net for layer in block.weighted()]
    inputs: dict[int, tuple[int, ...]] = {}
    recorder = Keep(before=lambda index, h: inputs.setdefault(index, h.shape))
    network.forward(net, params, x[:1], False, lambda i: recorder)
    layers: list[dict[str, Any]] = [{"name": f"W_{j + 1} {type(layer).__name__.lower()}",
               "shape": list(inputs[j][1:]), "activations": batch_size * math.prod(inputs[j][1:])}
              for j, layer in enumerate(leaf_layers)]
    parameters = sum(W.size for _, W in leaves(weights(params)))
    columns = {}
    for spec in specs:
        the_rule = rules.get(spec)
        the_plan = (plan(net, the_rule.k, the_rule.plan) if isinstance(the_rule, ActivationSharing)
                    else tuple(range(len(layers))))
        numbers = sum(layers[j]["activations"] for j in stored(the_plan))
        columns[spec] = {
            "stored": sorted(stored(the_plan)), "activations": numbers,
            "accesses": vars(accesses(parameters, numbers)),
            "accesses_both_sets": vars(accesses(parameters, numbers, 1 if spec == "bp" else 2)),
            "bytes": (spent := _one_tape(net, the_rule, params, x)), "total_bytes": sum(spent)}
    return {"model": model, "data": data, "batch_size": batch_size, "parameters": parameters, "layers": layers,
            "columns": columns}


def _one_tape(net: Network, rule: rules.Rule, params: Tree, x: Any) -> list[int]:
    """Return the bytes that the tape of one forward pass under a rule holds, as `held` counts them."""
    state = rule.init(np.random.default_rng(1), net, params, [x.shape[1:]])
    state = tree_map(lambda array: array.astype(x.dtype), state)
    return held(net, rule.forward(net, params, state, x))


def describe(result: dict[str, Any]) -> str:
    """Return the tables that tell a person what `measure` found.

    Parameters
    ----------
    result : dict
        What `measure` returned.

    Returns
    -------
    str
        Several lines for a terminal; numbers are in millions.

    Examples
    --------
    >>> text = describe(measure("mlp:4,4,4", "digits", "asap", batch_size=2))
    >>> text.splitlines()[0]
    'mlp:4,4,4 on digits, batch size 2: 0.00 weights (all numbers in millions)'
    """
    columns, layers = result["columns"], result["layers"]
    names = list(columns)
    rows: list[list[str]] = [["layer", "input", "numbers", *names, *(f"{name} bytes" for name in names)]]
    for j, layer in enumerate(layers):
        rows.append([layer["name"], "x".join(map(str, layer["shape"])), _mega(layer["activations"]),
                     *("stored" if j in column["stored"] else "x itself" if not j else "-"
                       for column in columns.values()),
                     *(_mega(column["bytes"][j]) for column in columns.values())])
    rows.append(["else", "", "", *[""] * len(names), *(_mega(column["bytes"][-1]) for column in columns.values())])
    rows.append(["total", "", _mega(sum(layer["activations"] for layer in layers[1:])),
                 *(_mega(column["activations"]) for column in columns.values()),
                 *(_mega(column["total_bytes"]) for column in columns.values())])
    bp = columns["bp"]
    lines = [f"{result['model']} on {result['data']}, batch size {result['batch_size']}: "
             f"{_mega(result['parameters'])} weights (all numbers in millions)",
             aligned(rows, left=2),
             "accesses to external memory in a step, as (6.1)-(6.2) count them: reads + writes, and against bp"]
    for key, what in (("accesses", "as printed"), ("accesses_both_sets", "with both W and B")):
        base = sum(bp[key].values())
        lines.append(f"  {what:18}" + "   ".join(
            f"{name} {_mega(column[key]['read'])} + {_mega(column[key]['written'])} = "
            f"{_mega(total := sum(column[key].values()))} ({total / base:.2f})" for name, column in columns.items()))
    lines.append("bytes that the tape of a real step holds, against bp: " + ", ".join(
        f"{name} {_mega(column['total_bytes'])} MB ({column['total_bytes'] / bp['total_bytes']:.3f})"
        for name, column in columns.items()))
    return "\n".join(lines)


def _mega(number: float) -> str:
    """Return a number in millions, with two decimals."""
    return f"{number / 1e6:.2f}"


def draw(result: dict[str, Any]) -> Figure:
    """Draw what `measure` found: the accesses of a step, and the bytes that a real tape holds.

    Parameters
    ----------
    result : dict
        What `measure` returned.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels: accesses as in Fig. 6.1 of the thesis, accesses with both W and B, and the measured bytes.

    Examples
    --------
    >>> [axes.get_xlabel() for axes in draw(measure("mlp:4,4,4", "digits", "asap", batch_size=2)).axes]
    ['accesses a step (millions)', 'accesses a step (millions)', 'MB']
    """
    columns = result["columns"]
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    colours = [figures.colour_of(figures.split(label)[0]) for label in columns]
    places = range(len(columns))
    for axes, key, title in zip(panels, ("accesses", "accesses_both_sets"), ("as (6.1)-(6.2) count",
                                                                             "with both W and B")):
        read = [column[key]["read"] / 1e6 for column in columns.values()]
        axes.barh(places, read, color=colours)
        axes.barh(places, [column[key]["written"] / 1e6 for column in columns.values()], left=read, color=colours,
                  alpha=WRITTEN)
        axes.set_title(title)
        axes.set_xlabel("accesses a step (millions)")
    panels[2].barh(places, [column["total_bytes"] / 1e6 for column in columns.values()], color=colours)
    panels[2].set_title("held by the tape, measured")
    panels[2].set_xlabel("MB")
    figures.names(panels[0], list(columns))
    panels[0].invert_yaxis()
    figures.legend(figure, [Patch(color=figures.GREY), Patch(color=figures.GREY, alpha=WRITTEN)], ["read", "written"])
    figures.title(figure, f"What a step reads, writes and keeps: {result['model']} on {result['data']}, "
                          f"batch size {result['batch_size']}")
    for axes in panels:
        axes.xaxis.set_major_locator(MaxNLocator(3))
        figures.open_frame(axes)
    return figure
