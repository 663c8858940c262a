"""What a step stores and moves: activations as the thesis on ASAP counts them, and as a real tape holds them.

Woo 2023, chapter 6, counts accesses to external memory: parameters P and activations A are read and written a fixed
number of times a step.  Beside the count stands a measurement: the bytes of all arrays that the tape of a real
forward pass keeps alive until the update.
"""
from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .. import figures, models, network, rules
from ..data import DATASETS
from ..errors import InputError, unknown
from ..feedback import weights
from ..network import Network, Tape
from ..room import check_room
from ..rules.activation_sharing import ASFP, ActivationSharing
from ..sharing import Plan, plan
from ..tape import Keep, Kept
from ..tree import Tree, leaves, tree_map

# ---------------------------------------------------------------- as the thesis counts


@dataclass(frozen=True)
class Accesses:
    """Numbers read and written in one step, forward and backward together."""

    read: int
    written: int


def accesses(parameters: int, stored: int, sets: int = 1) -> Accesses:
    """A step's accesses to external memory, where so many activations are stored for the update.  Woo 2023, chapter 6.

    sets: of weights that the backward pass reads and writes: 1 as the thesis counts, 2 with B beside W.
    """
    forward = Accesses(parameters, stored)                                                       # ASAP (6.1)
    backward = Accesses(sets * parameters + stored, sets * parameters)                           # ASAP (6.2)
    return Accesses(forward.read + backward.read, forward.written + backward.written)


def stored(plan: Plan) -> frozenset[int]:
    """The layers, counted from 0, whose input the updates of a plan need; x, the input of layer 0, is not counted."""
    return frozenset(plan) - {0}


# ---------------------------------------------------------------- as a tape holds


def buffers(kept: Kept) -> Iterator[Any]:
    """The arrays that own the memory of what a tape keeps, each as often as it is met."""
    if isinstance(kept, list | tuple):
        for child in kept:
            yield from buffers(child)
    elif is_dataclass(kept):
        for part in fields(kept):
            yield from buffers(getattr(kept, part.name))
    elif hasattr(kept, "nbytes") and hasattr(kept, "dtype"):
        yield kept if kept.base is None else kept.base


def held(net: Network, tape: Tape) -> list[int]:
    """Bytes that a tape holds, for each layer with weights along the main path; the last number is of all else.

    What stands between two of those layers, as masks and the input of batch-norm, goes to the lower one.  Every piece
    of memory is counted once, at the lowest layer that keeps it; the batch x itself is not.
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
    """What backpropagation and activation sharing store for a batch of random inputs of a data set's shape.

    The columns are bp, the rule with k = 2 and k = 4, and with `k` where that is another.  Returns "layers", a list
    over layers with weights of "name", "shape" (one sample's input) and "activations" (numbers in a batch); and
    "columns", by name, each with "stored" (layers whose input is kept, counted from 0), "activations" (numbers),
    "accesses" and "accesses_both_sets" ("read", "written"), "bytes" (over layers and, last, of all else) and
    "total_bytes".

    Raises InputError for an unknown name, a rule that shares no activations, and numbers below 1.
    """
    if data not in DATASETS:
        raise unknown("data set", data, DATASETS)
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    if k is not None and k < 1:
        raise InputError(f"a block of activation sharing has at least 1 layer, got k = {k}")
    name, *options = rule.split(":")
    asked = rules.get(rule)
    if not isinstance(asked, ActivationSharing) or isinstance(asked, ASFP):
        raise InputError(f"rule '{rule}' stores what backpropagation stores: expected as or asap")
    options = [option for option in options if not option.startswith("k=")]
    given = [k] if k is not None else [asked.k]
    specs = ["bp", *(":".join([name, f"k={size}", *options]) for size in sorted({2, 4, *given}))]
    source = DATASETS[data]
    shape, classes = source.sizes()
    net = models.build(model, shape, classes, str(source.defaults.get("activation", "relu")))
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
    state = rule.init(np.random.default_rng(1), net, params, [x.shape[1:]])
    state = tree_map(lambda array: array.astype(x.dtype), state)
    return held(net, rule.forward(net, params, state, x))


def describe(result: dict[str, Any]) -> str:
    """The tables that tell a person what `measure` found."""
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
             _aligned(rows),
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
    return f"{number / 1e6:.2f}"


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(text.ljust(width) if i < 2 else text.rjust(width)
                               for i, (text, width) in enumerate(zip(row, widths))).rstrip() for row in rows)


def draw(result: dict[str, Any]) -> Figure:
    """Fig. 6.1 of the thesis: accesses a step, counted; next to them the bytes that a real tape holds."""
    columns = result["columns"]
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    places = range(len(columns))
    for axes, key, title in zip(panels, ("accesses", "accesses_both_sets"), ("as (6.1)-(6.2) count",
                                                                             "with both W and B")):
        read = [column[key]["read"] / 1e6 for column in columns.values()]
        axes.barh(places, read, color=figures.BLUE, label="read")
        axes.barh(places, [column[key]["written"] / 1e6 for column in columns.values()], left=read,
                  color="#E69F00", label="written")
        axes.set_title(title)
        axes.set_xlabel("accesses a step (millions)")
    panels[2].barh(places, [column["total_bytes"] / 1e6 for column in columns.values()], color="#009E73")
    panels[2].set_title("held by the tape, measured")
    panels[2].set_xlabel("MB")
    figures.names(panels[0], list(columns))
    panels[0].invert_yaxis()
    figures.legend(figure, *panels[0].get_legend_handles_labels())
    figures.title(figure, f"{result['model']} on {result['data']}, batch size {result['batch_size']}")
    for axes in panels:
        axes.xaxis.set_major_locator(MaxNLocator(3))
        figures.open_frame(axes)
    return figure
