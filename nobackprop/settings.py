"""What can be set about a network and its training: each setting is one field, and all else is derived from the fields.

A field says what the setting is for (`help`), which values it may have (`kind`, `check`) and its default.  From the
field come the option of the command line, the key in the config of a results.json, and the check of its value.
So a new setting is one line here, and the code that uses it.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

from .backend import type_name
from .data import DATASETS
from .data.augment import AUGMENTATIONS, parse
from .errors import InputError, brief, check_name, integer, number
from .kernels.activation import ACTIVATIONS
from .kernels.loss import DEFAULT_LOSS, LOSSES
from .optim import OPTIMIZERS, SCHEDULES
from .rules import Rule

DTYPES, CONVOLUTIONS = ("float32", "float64"), ("fast", "patches")
MOST = 2**63 - 1  # no machine counts further in a lifetime, and floats would soon round such a number to infinity
Check = Callable[[str, Any], Any]


# ---------------------------------------------------------------- kinds of settings


def count(default: int, help: str) -> Any:
    """Make the field of a setting that is an integer from 1 to 2**63 - 1.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Mine(Checked):
    ...     patience: int = count(3, "epochs to wait")
    >>> Mine(patience=0)
    Traceback (most recent call last):
    nobackprop.errors.InputError: patience must be at least 1, got 0
    """
    return _setting(default, help, "count", lambda name, value: integer(name, value, 1, MOST))


def real(default: float, help: str, kind: str = "positive") -> Any:
    """Make the field of a setting that is a number, "positive" or "non-negative".

    Examples
    --------
    >>> real(0.5, "a factor").metadata["kind"]
    'positive'
    """
    return _setting(default, help, kind, lambda name, value: number(name, value, kind))


def one_of(known: Iterable[str], default: str, help: str) -> Any:
    """Make the field of a setting that is one of the names in a table.

    Examples
    --------
    >>> one_of(["sum", "mean"], "mean", "how to reduce").metadata["check"]("how", "sum")
    'sum'
    """
    def check(name: str, value: object) -> object:
        check_name(name, value, known)
        return value
    return _setting(default, help, "name", check, known)


def text(default: str, help: str, check: Check = lambda name, value: value) -> Any:
    """Make the field of a setting that is a text, checked by a function of the setting's name and its value.

    Examples
    --------
    >>> text("", "a remark").metadata["help"]
    'a remark'
    """
    return _setting(default, help, "name", check)


def _setting(default: object, help: str, kind: str, check: Check, known: Iterable[str] = ()) -> Any:
    """A field with what the command line and the check need to know of it."""
    return field(default=default, metadata={"help": help, "kind": kind, "check": check, "known": known})


def _augment(name: str, value: Any) -> str:
    """The check of `augment`."""
    if not isinstance(value, str):
        raise InputError(f"{name} is {brief(value)}, expected a text such as 'flip,crop:4'")
    parse(value)
    return value


def _dtype(name: str, value: Any) -> str:
    """The name of a type that networks are trained in."""
    found = type_name(value)
    if found not in DTYPES:
        raise InputError(f"{name} is {brief(value)}, expected {' or '.join(DTYPES)}")
    return found


# ---------------------------------------------------------------- the settings


@dataclass(frozen=True)
class Checked:
    """A frozen dataclass whose fields are settings; each value is checked, and becomes a value of Python's own.

    Raises
    ------
    InputError
        If a setting has a value that it cannot have.

    Examples
    --------
    >>> import numpy as np
    >>> type(Settings(epochs=np.int64(3)).epochs)
    <class 'int'>
    """

    def __post_init__(self) -> None:
        for option in fields(self):
            object.__setattr__(self, option.name, option.metadata["check"](option.name, getattr(self, option.name)))


@dataclass(frozen=True)
class NetworkSettings(Checked):
    """Which network is trained, as `models.build` takes it.

    `models.build` checks the model and the activation, as they depend on each other and on the samples.

    Examples
    --------
    >>> NetworkSettings(loss="squared")
    NetworkSettings(model='mlp:128,128', activation='relu', loss='squared')
    """

    model: str = text("mlp:128,128", "the network, such as mlp:128,128; see nobackprop models")
    activation: str | None = text("relu", f"the function of every hidden unit: {', '.join(ACTIVATIONS)}; a model that "
                                          "folds takes two of them, such as elu,sigmoid")
    loss: str = one_of(LOSSES, DEFAULT_LOSS, f"what training makes small: {', '.join(LOSSES)}")


@dataclass(frozen=True)
class Settings(Checked):
    """How to train: every choice that does not depend on the machine.

    The same optimiser and learning rate serve the parameters and the rule's state.

    Parameters
    ----------
    epochs : int
        How many times every training sample is seen, at least 1.
    batch_size : int
        The number of samples in a training step, at least 1.
    optimizer : str
        A name in `optim.OPTIMIZERS`.
    lr : float
        The learning rate, above 0.
    schedule : str
        A name in `optim.SCHEDULES`: how the learning rate changes over the epochs.
    weight_decay : float
        How strongly weights are pulled towards 0, at least 0.
    augment : str
        What is done to training images, such as 'flip,crop:4'; see `data.augment.parse`.  Nothing if it is empty.
    convolution : str
        'fast' lets float32 be convolved in another basis if that is faster, which rounds more (kernels/winograd.py);
        'patches' never does.
    dtype : str
        'float32' or 'float64'; anything that NumPy reads as one of them is accepted.

    Raises
    ------
    InputError
        If a setting has a value that it cannot have.

    Examples
    --------
    >>> Settings(epochs=3, lr=0.1).optimizer
    'adam'
    >>> Settings(epochs=0)
    Traceback (most recent call last):
    nobackprop.errors.InputError: epochs must be at least 1, got 0
    """

    epochs: int = count(30, "how many times every training sample is seen")
    batch_size: int = count(64, "the number of samples in a training step")
    optimizer: str = one_of(OPTIMIZERS, "adam", "; ".join(f"{name} ({entry[0]})" for name, entry in OPTIMIZERS.items()))
    lr: float = real(1e-3, "the learning rate")
    schedule: str = one_of(SCHEDULES, "constant",
                           f"how the learning rate changes over the epochs: {', '.join(SCHEDULES)}")
    weight_decay: float = real(0.0, "how strongly weights are pulled towards 0", "non-negative")
    augment: str = text("", "what is done to training images, names with commas between: " + "; ".join(
        f"{name} ({entry.summary})" for name, entry in AUGMENTATIONS.items()), _augment)
    convolution: str = one_of(CONVOLUTIONS, "fast", "how float32 is convolved: fast, which rounds a little more, "
                                                    "or by patches; float64 always takes patches")
    dtype: str = text("float32", f"the type of all numbers: {' or '.join(DTYPES)}", _dtype)


NAMES = tuple(option.name for group in (NetworkSettings, Settings) for option in fields(group))


Group = TypeVar("Group", bound=Checked)


def choose(group: type[Group], values: Mapping[str, Any]) -> Group:
    """Make a group of settings from those of its fields that a mapping has; the others have their defaults.

    So the config of a results.json that was stored before a setting was there still makes a run.

    Examples
    --------
    >>> choose(Settings, {"epochs": 2, "data": "xor"}).epochs
    2
    """
    return group(**{option.name: values[option.name] for option in fields(group) if option.name in values})


def suited(data: str | Mapping[str, Any], rule: Rule | None = None,
           given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the settings that suit a data set and a rule: the defaults of `learn.Run`, and of the command line.

    What is given wins over what the rule needs, this wins over what suits the data set, and this wins over the defaults
    of the fields.

    Parameters
    ----------
    data : str or mapping
        The name of the data set, or settings that suit it.  Of a name that is not in `data.DATASETS` nothing is known.
    rule : Rule, optional
        The rule.
    given : mapping, optional
        Settings by name.

    Returns
    -------
    dict
        A value for each of NAMES, checked.

    Raises
    ------
    InputError
        If there is no such setting, or if a setting has a value that it cannot have.

    Examples
    --------
    >>> from nobackprop import rules
    >>> found = suited("xor", rules.get("kp"), {"epochs": 3})
    >>> found["optimizer"], found["weight_decay"], found["activation"], found["epochs"]
    ('adamw', 0.3, 'tanh', 3)
    """
    own = {} if rule is None else rule.defaults
    for key in (*own, *(given or {})):
        check_name("setting", key, NAMES)
    suit = data if isinstance(data, Mapping) else DATASETS[data].defaults if data in DATASETS else {}
    wanted = dict(suit) | dict(own) | dict(given or {})
    return asdict(choose(NetworkSettings, wanted)) | asdict(choose(Settings, wanted))
