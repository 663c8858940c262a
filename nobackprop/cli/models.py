"""`nobackprop models` lists the networks, and shows the blocks of one."""
from __future__ import annotations

import argparse
from dataclasses import Field, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .options import Parser, data
from .output import say, show_list, width

if TYPE_CHECKING:
    from ..layers import Layer

SUMMARY = "list the networks, or show the blocks of one"
USUAL = ("digits", "cifar-10", "tiny-imagenet")  # the first whose samples the network takes is shown


def add_options(parser: Parser) -> None:
    """Give the command its options.

    Examples
    --------
    >>> parser = Parser()
    >>> add_options(parser)
    >>> parser.parse(["--show", "conv3"]).show
    'conv3'
    """
    parser.add_argument("--show", metavar="MODEL", help="show the blocks of this network: a name of the list, a file "
                                                        "of a trained network, or ./FILE.py:FUNCTION")
    parser.add_argument("--data", type=data, metavar="NAME",
                        help="the data set, or the file of your own, whose shape the inputs have; default: the first "
                             f"of {', '.join(USUAL)} that the network takes")


def run(args: argparse.Namespace) -> int:
    """Do what the command line asks for, and return the exit code.

    Examples
    --------
    >>> from nobackprop.cli import main
    >>> main(["models"])  # doctest: +ELLIPSIS
    mlp ...
    ...
    0
    """
    from ..models import MODELS

    if args.show is not None:
        say(show(args.show, args.data, width()))
        return 0
    if args.data is not None:
        raise InputError("--data says for which samples --show shows a network: expected both or none")
    return show_list({name: model.summary for name, model in MODELS.items()})


def show(model: str, data: str | None, width: int = 80) -> str:
    """Return the blocks of a network with shapes and numbers of parameters, in lines of `width` letters or fewer.

    Examples
    --------
    >>> print(show("mlp:8", "digits"))
    mlp:8 for digits: samples of shape 8 x 8 x 1, 10 classes
    <BLANKLINE>
    block  output  parameters  layers
    0           8         520  Flatten, Dense 8, relu
    1          10          90  Dense 10
    all                   610
    """
    import numpy as np

    from ..data import source
    from ..metrics import size
    from ..models import build, is_own
    from ..network import init
    from ..studies.text import fold

    tried, first = USUAL if data is None else (data,), ""
    for name in tried:
        known = source(name)
        shape, classes = known.sizes()
        try:
            net = build(model, shape, classes)
            break
        except InputError as error:
            first = first or str(error)
            if name == tried[-1] and is_own(model) and data is None:
                raise InputError(f"{first}; without --data, samples are as those of {tried[0]}") from None
            if name == tried[-1]:
                raise
    params, shapes = init(net, np.random.default_rng(0), shape)
    total = size(params)
    rows = [(str(i), by(out), f"{size(p):,}", in_words(block))
            for i, (block, out, p) in enumerate(zip(net, shapes[1:], params, strict=True))]
    head = ("block", "output", "parameters", "layers")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(3)]
    before = sum(widths) + 6
    outputs = f"{classes} {known.task if classes > 1 else known.task[:-1]}"
    lines = [f"{model} for {name}: samples of shape {by(shape)}, {outputs}", ""]
    for row in [head, *rows, ("all", "", f"{total:,}", "")]:
        cells = f"{row[0]:{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}"
        first, *more = fold(row[3], width - before) or [""]
        lines += [f"{cells}  {first}".rstrip(), *(" " * before + line for line in more)]
    return "\n".join(lines)


def in_words(layer: Layer) -> str:
    """Return what a layer is: its class, and those of its fields that have another value than usual.

    Examples
    --------
    >>> from nobackprop.layers import Activation, Conv, Residual, Sequential
    >>> in_words(Sequential((Residual(Conv(8, 3, pad=1)), Activation("relu"))))
    'Residual(Conv 8 kernel=3 pad=1), relu'
    """
    from ..layers import Activation, Residual, Sequential

    if isinstance(layer, Sequential):
        return ", ".join(map(in_words, layer.layers))
    if isinstance(layer, Residual):
        beside = "" if layer.shortcut is None else f"; shortcut: {in_words(layer.shortcut)}"
        return f"Residual({in_words(layer.body)}{beside})"
    if isinstance(layer, Activation):
        return layer.name
    options: tuple[Field[Any], ...] = fields(layer) if is_dataclass(layer) else ()
    told = [f"{option.name}={value}" if i else f"{value}" for i, option in enumerate(options)
            if (value := getattr(layer, option.name)) != option.default and option.name != "gain"]
    return " ".join([type(layer).__name__, *told])


def by(shape: tuple[int, ...]) -> str:
    """Return a shape as people write it.

    Examples
    --------
    >>> by((8, 8, 1))
    '8 x 8 x 1'
    """
    return " x ".join(map(str, shape))
