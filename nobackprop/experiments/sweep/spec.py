"""What a sweep is asked for: a TOML file, the settings that it tries, and the runs that these make.

    data = "digits"                  # one or several
    rules = ["bp", "las", "dfa"]
    model = "mlp:64,64"              # of any setting, one value or a list of values that are tried
    epochs = 10
    lr = [1e-4, 1e-3, 1e-2]
    seeds = [0, 1, 2]                # of every setting that is tried
    fresh_seeds = [10, 11, 12]       # of the best setting of each rule

    [of.kp]                          # other values for one rule
    lr = [1e-3, 1e-2]

A grid tries all combinations.  With search = "random", a setting may be a range such as {from = 1e-5, to = 1e-1}, and
`trials` says how many combinations are drawn.
"""
from __future__ import annotations

import hashlib
import json
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from ... import checks, rules
from ...data import source
from ...errors import InputError, brief, check_name, integer, number, unknown
from ...files import contents
from ...settings import NAMES, NetworkSettings, Settings, choose
from .. import SEEDS

LARGEST = 2**20  # bytes of a file
MOST = 100_000  # runs of a sweep
SEARCHES = ("grid", "random")
FRESH = tuple(seed + 1000 for seed in SEEDS)
OWN = ("data", "rules", "seeds", "fresh_seeds", "search", "trials", "draw", "threads", "of")
GROUP = ("data", "model")  # what is compared side by side, and not searched: each has a best setting of its own


@dataclass(frozen=True)
class Range:
    """All numbers from `low` to `high`, on a logarithmic scale: 0.001 to 0.01 is as likely as 0.01 to 0.1.

    Parameters
    ----------
    low, high : float
        Both above 0.
    whole : bool
        Whether only integers are drawn.

    Examples
    --------
    >>> Range(1, 100, True).draw(np.random.default_rng(0)) in range(1, 101)
    True
    """

    low: float
    high: float
    whole: bool

    def draw(self, rng: np.random.Generator) -> float | int:
        """Draw a number; others than integers are rounded to three digits, so that they can be typed."""
        value = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        if self.whole:
            return min(max(round(value), math.ceil(self.low)), math.floor(self.high))
        return min(max(float(f"{value:.3g}"), self.low), self.high)


@dataclass(frozen=True)
class Point:
    """A setting that is tried: a rule on a data set, and the settings that differ from what suits them.

    Parameters
    ----------
    data, rule : str
        As `data.load` and `rules.get` take them.
    settings : mapping
        Settings by name, fields of `NetworkSettings` and `Settings`.

    Examples
    --------
    >>> Point("digits", "las", {"lr": 0.1}).group
    ('digits', '', 'las')
    """

    data: str
    rule: str
    settings: Mapping[str, Any]

    def __hash__(self) -> int:
        return hash(self.key(0))

    @property
    def group(self) -> tuple[str, str, str]:
        """Data set, model and rule: of all points with the same ones the best is looked for."""
        return self.data, str(self.settings.get("model", "")), self.rule

    def key(self, seed: int) -> str:
        """Return the name of the run with a seed: readable, and another one for every other run.

        Parameters
        ----------
        seed : int

        Returns
        -------
        str
            Letters, digits and signs that every file system takes.
        """
        exact = json.dumps([self.data, self.rule, dict(sorted(self.settings.items())), seed])
        readable = "".join(c if c.isalnum() or c in "-." else "-" for c in f"{self.data}-{self.rule}")[:60]
        return f"{readable}-{hashlib.sha256(exact.encode()).hexdigest()[:12]}-{seed}"


@dataclass(frozen=True)
class Sweep:
    """What a sweep tries, checked.

    `parse` makes one of the contents of a TOML file, and `read` of a file.

    Parameters
    ----------
    data, rules : tuple of str
    axes : mapping
        For each setting the tuple of its values, or a Range.
    of : mapping
        By rule, the axes that replace these.
    seeds, fresh_seeds : tuple of int
        The seeds of the search, and those of the best settings; none is in both.
    search : str
        "grid" or "random".
    trials : int
        The number of points of a random search, for each rule, data set and model.
    draw : int
        The seed of the random search.
    threads : int
        The number of workers and BLAS threads of one run.

    Examples
    --------
    >>> sweep = parse({"data": "xor", "rules": ["bp", "fa"], "lr": [0.1, 0.01], "seeds": [0, 1]})
    >>> len(sweep.points), sweep.points[0].settings
    (4, {'lr': 0.1})
    """

    data: tuple[str, ...]
    rules: tuple[str, ...]
    axes: Mapping[str, tuple[Any, ...] | Range]
    of: Mapping[str, Mapping[str, tuple[Any, ...] | Range]] = field(default_factory=dict)
    seeds: tuple[int, ...] = SEEDS
    fresh_seeds: tuple[int, ...] = FRESH
    search: str = "grid"
    trials: int = 20
    draw: int = 0
    threads: int = 1

    @property
    def points(self) -> list[Point]:
        """Everything that is tried, in the order in which it is run: the same for the same sweep, always."""
        found = []
        for data, rule in product(self.data, self.rules):
            axes: dict[str, Any] = dict(self.axes) | dict(self.of.get(rule, {}))
            if self.search == "grid":
                found += [Point(data, rule, dict(zip(axes, values, strict=True))) for values in product(*axes.values())]
                continue
            models = axes.pop("model", None)
            for model in models or (None,):
                own = {} if model is None else {"model": model}
                # a stream of its own for each group, so that a further rule changes nothing for the others
                rng = np.random.default_rng([self.draw, *f"{data} {model} {rule}".encode()])
                drawn = [Point(data, rule, own | {name: _drawn(axis, rng) for name, axis in axes.items()})
                         for _ in range(self.trials)]
                found += {point.key(0): point for point in drawn}.values()  # the same values may be drawn twice
        return found


def _drawn(axis: tuple[Any, ...] | Range, rng: np.random.Generator) -> Any:
    """A value of an axis."""
    return axis.draw(rng) if isinstance(axis, Range) else axis[int(rng.integers(len(axis)))]


def read(path: str | os.PathLike[str]) -> Sweep:
    """Read a sweep from a TOML file.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Sweep

    Raises
    ------
    InputError
        If the file cannot be read, is no TOML, or asks for what there is not.

    Examples
    --------
    >>> read("no-such-file.toml")
    Traceback (most recent call last):
    nobackprop.errors.InputError: cannot read no-such-file.toml: No such file or directory, expected a TOML file
    """
    try:
        asked = tomllib.loads(contents(path, LARGEST, "a TOML file").decode())
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no TOML file: {' '.join(str(error).split())[:200]}") from None
    try:
        return parse(asked)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def parse(asked: Mapping[str, Any]) -> Sweep:
    """Return the sweep that a mapping asks for, of the form of the TOML file above.

    Parameters
    ----------
    asked : mapping
        What a reader of TOML gives.

    Returns
    -------
    Sweep

    Raises
    ------
    InputError
        If a key or a name is unknown, if a value is one that the setting cannot have, or if there are more than 100,000
        runs.

    Examples
    --------
    >>> parse({"rules": "bp", "lr": [0.1, 0.01]}).axes
    {'lr': (0.1, 0.01)}
    >>> parse({"rules": "bp", "lr": [0.1, -0.1]})
    Traceback (most recent call last):
    nobackprop.errors.InputError: lr must be a positive number, got -0.1
    """
    for key in asked:
        if key not in (*OWN, *NAMES):
            raise unknown("key", key, (*OWN, *NAMES))
    if "rules" not in asked:
        raise InputError("the key 'rules' is missing, expected one rule or a list of them")
    search = asked.get("search", "grid")
    check_name("search", search, SEARCHES)
    names = _list("rules", asked["rules"])
    for name in names:
        rules.get(name)
    sets = _list("data", asked.get("data", "digits"))
    for name in sets:
        source(name)
    own = asked.get("of", {})
    if not isinstance(own, Mapping) or not all(isinstance(axes, Mapping) for axes in own.values()):
        raise InputError(f"of is {brief(own)}, expected a table such as [of.kp] for one rule")
    for rule, given in own.items():
        if rule not in names:
            raise unknown("rule of this sweep", rule, names)
        for key in given:
            check_name("setting", key, NAMES)
    seeds = tuple(checks.seed(seed) for seed in _list("seeds", asked.get("seeds", list(SEEDS))))
    fresh = tuple(checks.seed(seed) for seed in _list("fresh_seeds", asked.get("fresh_seeds", list(FRESH))))
    if both := set(seeds) & set(fresh):
        raise InputError(f"the seed {min(both)} is in seeds and in fresh_seeds, expected other seeds for the best "
                         "settings than for the search")
    axes = {key: _axis(key, asked[key], search) for key in NAMES if key in asked}
    of = {rule: {key: _axis(key, value, search) for key, value in given.items()} for rule, given in own.items()}
    trials, draw, threads = (integer(key, asked.get(key, default), low, high) for key, default, low, high in (
        ("trials", 20, 1, MOST), ("draw", 0, 0, 2**32 - 1), ("threads", 1, 1, 1024)))
    for key in ("trials", "draw"):
        if key in asked and search != "random":
            raise InputError(f'{key} is {asked[key]}, but a grid tries all combinations: expected search = "random" '
                             "next to it")
    sweep = Sweep(sets, names, axes, of, seeds, fresh, search, trials, draw, threads)
    size = max(math.prod(len(axis) for axis in (dict(sweep.axes) | dict(sweep.of.get(rule, {}))).values()
                         if not isinstance(axis, Range)) if search == "grid" else sweep.trials for rule in names)
    if (runs := size * len(names) * len(sets) * len(seeds)) > MOST:
        raise InputError(f"the sweep has up to {runs:,} runs, expected at most {MOST:,}")
    return sweep


def _list(key: str, value: Any) -> tuple[Any, ...]:
    """One value or a list of different ones, as a tuple."""
    values = value if isinstance(value, list | tuple) else [value]
    if not values:
        raise InputError(f"{key} is an empty list, expected at least one value")
    for i, one in enumerate(values):
        if one in values[:i]:
            raise InputError(f"{key} holds {brief(one)} twice, expected each value once")
    return tuple(values)


def _axis(key: str, value: Any, search: str) -> tuple[Any, ...] | Range:
    """The values of a setting that are tried."""
    if isinstance(value, Mapping):
        if search != "random":
            raise InputError(f'{key} is a range, expected a list of values, or search = "random"')
        if value.keys() != {"from", "to"}:
            raise InputError(f"{key} is {brief(dict(value))}, expected a range such as {{from = 1e-5, to = 1e-1}}")
        low, high = (number(f"{end} in {key}", value[end]) for end in ("from", "to"))
        if low >= high:
            raise InputError(f"{key} is a range from {low:g} to {high:g}, expected the smaller number first")
        kinds = {name: kind for group in (NetworkSettings, Settings)
                 for name, kind in ((one.name, one.metadata["kind"]) for one in group.__dataclass_fields__.values())}
        if kinds[key] == "name":
            raise InputError(f"{key} is a range, expected a list of names")
        whole = kinds[key] == "count"
        if whole and math.ceil(low) > math.floor(high):
            raise InputError(f"{key} is a range from {low:g} to {high:g}, expected an integer in it")
        for end in (low, high):
            _checked(key, math.ceil(end) if whole else end)
        return Range(low, high, whole)
    return tuple(_checked(key, one) for one in _list(key, value))


def _checked(key: str, value: Any) -> Any:
    """The value of a setting as its dataclass holds it, so that one value has one spelling."""
    group: Any = NetworkSettings if key in NetworkSettings.__dataclass_fields__ else Settings
    return getattr(choose(group, {key: value}), key)
