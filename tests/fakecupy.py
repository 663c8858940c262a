"""A stand-in for CuPy on a machine without a GPU: NumPy behind CuPy's fences.

Device arrays wrap NumPy arrays and never mix with them; `asarray` and `array` bring data in, `get` takes it
out.  Only names in cupy_names.txt exist.  `watch` tells which of them were used, and how often the host read
from the device, which on a GPU makes it wait.  With a file named in NOBACKPROP_CUPY_CALLS, every kind of call is noted
there when the process ends, for tests/check_cupy.py to hold against the real CuPy.
"""
from __future__ import annotations

import atexit
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np


def _sections() -> dict[str, frozenset[str]]:
    """The lists of cupy_names.txt by their titles."""
    paragraphs = Path(__file__).with_name("cupy_names.txt").read_text().split("\n\n")[1:]
    return {title.removeprefix("# "): frozenset(names)
            for title, *names in (paragraph.splitlines() for paragraph in paragraphs)}


_LISTED = _sections()
FUNCTIONS, TYPES, METHODS = (_LISTED[title] for title in ("functions", "types and constants", "ndarray"))

# what cannot return before the device has said how much there is, or what it is
_READING = {"argwhere", "asnumpy", "compress", "extract", "flatnonzero", "get", "item", "nonzero", "tobytes",
            "tolist", "unique"}


@dataclass
class Seen:
    """The names that were used, methods as 'ndarray.NAME', and the number of reads by the host."""

    names: set[str] = field(default_factory=set)
    reads: int = 0


_watching: list[Seen] = []


@contextmanager
def watch() -> Iterator[Seen]:
    """Everything that happens inside the block."""
    seen = Seen()
    _watching.append(seen)
    try:
        yield seen
    finally:
        _watching.pop()


def _use(name: str, reads: bool = False) -> None:
    for seen in _watching:
        seen.names.add(name)
        seen.reads += reads


_calls: set[str] = set()


def kind(value: Any) -> Any:
    """What a call's signature and types see of an argument or a result: JSON."""
    match value:
        case ndarray():
            return {"array": value.dtype.name}
        case np.generic():
            return {"scalar": value.dtype.name}
        case list() | tuple():
            return {"sequence": [json.loads(text) for text in sorted({json.dumps(kind(item)) for item in value})]}
        case np.dtype():
            return {"dtype": value.name}
        case np.ndarray():
            return {"host": value.dtype.name}
        case None | bool() | str():
            return value
        case type():
            return {"dtype": np.dtype(value).name}
    return {"python": type(value).__name__}


def _note(name: str, args: tuple[Any, ...], options: dict[str, Any], result: Any) -> None:
    """Remember a kind of call, and what it gave."""
    if NOTES:
        options = {key: kind(option) for key, option in sorted(options.items())}
        _calls.add(json.dumps([name, [kind(arg) for arg in args], options, kind(result)]))


NOTES = os.environ.get("NOBACKPROP_CUPY_CALLS")


@atexit.register
def _write() -> None:
    if NOTES and _calls:
        with Path(NOTES).open("a", encoding="utf-8") as file:
            file.writelines(f"{call}\n" for call in sorted(_calls))


def _host(value: Any) -> Any:
    """The value with NumPy arrays in the place of device arrays; raises TypeError where it has its own."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>: a host array came to the device")
    if isinstance(value, list | tuple):
        return type(value)(_host(item) for item in value)
    return value


def _device(value: Any) -> Any:
    """The value with device arrays in the place of NumPy's arrays and scalars."""
    if isinstance(value, np.ndarray | np.generic):
        return ndarray(np.asarray(value))
    if isinstance(value, list | tuple):
        return type(value)(_device(item) for item in value)
    return value


def _call(name: str, f: Callable[..., Any], *args: Any, **options: Any) -> Any:
    unknown = options.keys() & ({"initial", "subok"} | ({"where"} if name != "copyto" else set()))
    if unknown:
        raise TypeError(f"{name} got an unexpected keyword argument '{unknown.pop()}'")
    if (isinstance(f, np.ufunc) or name in METHODS) and args and isinstance(args[0], list | tuple):
        raise TypeError(f"{name}: Unsupported type {type(args[0])}")
    given = (*args, *options.values())
    result = f(*_host(args), **{key: _host(value) for key, value in options.items()})
    same = [value for value in given if isinstance(value, ndarray) and value._host is result]
    return same[0] if same else _device(result)


class ndarray:
    """An array on the device that is not there."""

    __slots__ = ("_host",)
    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, host: np.ndarray):
        self._host = host

    def __array__(self, *args: Any, **options: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. "
                        "Please use `.get()` to construct a NumPy array explicitly.")

    def __getattr__(self, name: str) -> Any:
        if name not in METHODS:
            raise AttributeError(f"cupy.ndarray has no attribute '{name}'")
        if not hasattr(np.ndarray, name):
            raise NotImplementedError(f"cupy.ndarray.{name} has no stand-in")
        value = getattr(self._host, name)
        if not callable(value):
            return _device(value)

        def method(*args: Any, **options: Any) -> Any:
            _use(f"ndarray.{name}", name in _READING)
            result = _call(f"ndarray.{name}", value, *args, **options)
            _note(f"ndarray.{name}", (self, *args), options, result)
            return result
        return method

    @property
    def flags(self) -> SimpleNamespace:
        flags = self._host.flags
        return SimpleNamespace(c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous,
                               owndata=flags.owndata)

    def get(self) -> np.ndarray:
        _use("ndarray.get", reads=True)
        return self._host.copy()

    def __bool__(self) -> bool:
        return bool(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __float__(self) -> float:
        return float(self.get())

    def __complex__(self) -> complex:
        return complex(self.get())

    def __repr__(self) -> str:
        return repr(self.get())

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Iterator[ndarray]:
        return (self[i] for i in range(len(self)))

    def __copy__(self) -> ndarray:
        return ndarray(self._host.copy())

    def __deepcopy__(self, memo: Any) -> ndarray:
        return ndarray(self._host.copy())

    def __getitem__(self, index: Any) -> ndarray:
        return ndarray(self._host[_index(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._host[_index(index)] = _operand(value)


def _operand(value: Any) -> Any:
    if isinstance(value, bool | int | float | complex | np.generic | ndarray):
        return _host(value)
    raise TypeError(f"Unsupported type {type(value)}")


def _index(index: Any) -> tuple[Any, ...]:
    """The index on the host, with the ellipsis that makes NumPy give a view of one element, as CuPy does."""
    index = index if isinstance(index, tuple) else (index,)
    for item in index:
        if isinstance(item, ndarray) and item.dtype == bool:
            _use("ndarray.nonzero", reads=True)
    return _host(index) if any(item is Ellipsis for item in index) else (*_host(index), ...)


def _operator(name: str) -> Callable[..., Any]:
    def method(self: ndarray, *others: Any) -> Any:
        result = getattr(self._host, name)(*map(_operand, others))
        result = self if result is self._host else _device(result)
        _note(f"ndarray.{name}", (self, *others), {}, result)
        return result
    method.__name__ = name
    return method


_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift",
           "rshift")
for _name in ("neg", "pos", "abs", "invert", "lt", "le", "eq", "ne", "gt", "ge", "divmod", "rdivmod",
              *(f"{before}{name}" for before in ("", "r", "i") for name in _BINARY)):
    if _name != "imatmul":  # CuPy's arrays have none
        setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))


def array(a: Any, dtype: Any = None, copy: bool = True) -> ndarray:
    """A device array of what a host or device array, a number or a list holds."""
    _use("array")
    made = ndarray(np.array(a if isinstance(a, np.ndarray) else _host(a), dtype))
    _note("array", (a, dtype, copy), {}, made)
    return made


def asarray(a: Any, dtype: Any = None) -> ndarray:
    """`array`, or the device array itself where it is one already."""
    _use("asarray")
    made = a if isinstance(a, ndarray) and dtype in (None, a.dtype) else array(a, dtype)
    _note("asarray", (a, dtype), {}, made)
    return made


def asnumpy(a: ndarray) -> np.ndarray:
    """The array in host memory."""
    return a.get()


def __getattr__(name: str) -> Any:
    if name in TYPES:
        return getattr(np, name)
    if name not in FUNCTIONS:
        raise AttributeError(f"cupy has no function '{name}', says cupy_names.txt")
    if not hasattr(np, name):
        raise NotImplementedError(f"cupy.{name} has no stand-in")
    f = getattr(np, name)

    def function(*args: Any, **options: Any) -> Any:
        _use(name, name in _READING or (name == "where" and len(args) == 1))
        result = _call(name, f, *args, **options)
        # these three are Python's bool in NumPy, an array that nobody has read in CuPy
        result = ndarray(np.asarray(result)) if name in ("allclose", "array_equal", "array_equiv") else result
        _note(name, args, options, result)
        return result
    return function


class CUDARuntimeError(RuntimeError):
    """What CuPy raises where there is no GPU."""


class Device:
    """One of `cuda.runtime.getDeviceCount()`."""

    def __init__(self, number: int = 0):
        self.number = number

    def use(self) -> None:
        """Make it current."""


def _as_strided(x: ndarray, shape: tuple[int, ...], strides: tuple[int, ...]) -> ndarray:
    _use("lib.stride_tricks.as_strided")
    seen = ndarray(np.lib.stride_tricks.as_strided(x._host, shape, strides))
    _note("lib.stride_tricks.as_strided", (x, shape, strides), {}, seen)
    return seen


lib = SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=_as_strided))

cuda = SimpleNamespace(
    Device=Device,
    get_current_stream=lambda: SimpleNamespace(synchronize=lambda: None),
    runtime=SimpleNamespace(getDeviceCount=lambda: 1, CUDARuntimeError=CUDARuntimeError),
)
