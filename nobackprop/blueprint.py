"""A network as plain values, which JSON can hold, and back.

A layer becomes a dict: the name of its class, and the fields of its dataclass by name.  Going back, a name is looked up
among the classes of layers that this process knows.  So a layer of your own works as soon as its module is imported,
and a file cannot make anything else run.
"""
from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from .errors import InputError, brief, unknown
from .layers import Layer
from .network import Network

OF = "layer"  # the key of the class's name
MODEL = "model"  # the kind of file that holds a trained network


def draw(net: Network) -> dict[str, Any]:
    """Return a network as plain values.

    Parameters
    ----------
    net : Network

    Returns
    -------
    dict
        Its loss, and its blocks from the input up.

    Raises
    ------
    InputError
        If a layer is no dataclass, or if a field of it holds anything but numbers, texts, layers and tuples of them.

    Examples
    --------
    >>> from nobackprop.layers import Dense
    >>> draw(Network((Dense(2),)))["blocks"]
    [{'layer': 'Dense', 'units': 2, 'gain': 2.0}]
    """
    return {"loss": net.loss, "blocks": [_plain(block) for block in net]}


def build(plan: Any) -> Network:
    """Return the network that `draw` drew.

    Parameters
    ----------
    plan : dict
        What `draw` gave, as a reader of JSON gives it back.

    Returns
    -------
    Network

    Raises
    ------
    InputError
        If a layer is not known, or if a field of it is missing, is not known or has a value that it cannot have.

    Examples
    --------
    >>> build({"loss": "squared", "blocks": [{"layer": "Dense", "units": 2}]})
    Network((Dense(units=2, gain=2.0),), 'squared')
    """
    if not isinstance(plan, dict) or not isinstance(plan.get("blocks"), list) or plan.keys() != {"loss", "blocks"}:
        raise InputError(f"a network is {brief(plan)}, expected an object with 'loss' and 'blocks'")
    return Network(tuple(_layer(block) for block in plan["blocks"]), plan["loss"])


def _plain(value: Any) -> Any:
    """A layer or the value of a field, as JSON can hold it."""
    if isinstance(value, Layer):
        if not is_dataclass(value):
            raise InputError(f"the layer {brief(value)} cannot be written to a file, expected a dataclass")
        return {OF: _name(type(value)), **{field.name: _plain(getattr(value, field.name)) for field in fields(value)}}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(f"a layer's field {brief(value)} cannot be written to a file, expected numbers, texts or layers")


def _layer(plan: Any) -> Layer:
    """The layer that `_plain` made plain."""
    if not isinstance(plan, dict) or not isinstance(plan.get(OF), str):
        raise InputError(f"a layer is {brief(plan)}, expected an object with '{OF}'")
    known = {_name(kind): kind for kind in _kinds(Layer)}
    if plan[OF] not in known:
        raise unknown("layer", plan[OF], known)
    try:
        return known[plan[OF]](**{key: _value(value) for key, value in plan.items() if key != OF})
    except TypeError as error:
        raise InputError(f"the layer {plan[OF]} cannot be made: {error}") from None


def _value(plan: Any) -> Any:
    """The value of a field that `_plain` made plain; lists were tuples."""
    if isinstance(plan, dict):
        return _layer(plan)
    return tuple(map(_value, plan)) if isinstance(plan, list) else plan


def _kinds(kind: type[Layer]) -> list[type[Layer]]:
    """All classes of layers that exist in this process."""
    return [found for below in kind.__subclasses__() for found in (below, *_kinds(below))]


def _name(kind: type[Layer]) -> str:
    """What a file calls a class of layers; those of other libraries are named with their modules."""
    return kind.__name__ if kind.__module__ == Layer.__module__ else f"{kind.__module__}:{kind.__qualname__}"
