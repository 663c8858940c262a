"""Array modules and devices: which of NumPy and CuPy an array is of, and how arrays get from one to the other.

A kernel asks the arrays that it gets for their module, with `array_module`.  So every kernel runs on both.
"""
from __future__ import annotations

import ctypes
import os
import re
import sys
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError, brief
from .outside import package
from .tree import Tree, tree_map

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
# NumPy in a web page is built without BLAS
HAS_BLAS = sys.platform != "emscripten"
OTHER_SENSE = (np.ma.MaskedArray, np.matrix)
# numpy.ndarray or cupy.ndarray: neither is a subtype of the other, and both have the same methods, so the checker of
# types sees NumPy's
if TYPE_CHECKING:
    Array = np.ndarray
else:
    Array = Any


def array_module(array: Array, *others: Array) -> ModuleType:
    """Return the module that made these arrays, numpy or cupy.

    Parameters
    ----------
    array, *others : array
        One array or more, all of one module.

    Returns
    -------
    module

    Raises
    ------
    TypeError
        If the arrays come from two modules, as a silent copy between host and device would be slow at best; if one of
        them is no array; if it is a masked array, whose mask nothing here respects; or if it is a numpy.matrix, whose
        products are others.

    Examples
    --------
    >>> import numpy as np
    >>> array_module(np.ones(3), np.zeros(2)) is np
    True
    """
    kind: Any = type(array)
    for other in others:
        if type(other) is not kind:
            return _module_of(kind, *map(type, others))
    return _module_of(kind)


@lru_cache(64)  # asked in every kernel, 25 times in a step of a small network
def _module_of(*kinds: type) -> ModuleType:
    """Return the module of arrays of these types."""
    names = {kind.__module__.partition(".")[0] for kind in kinds}
    module = sys.modules.get(names.pop()) if len(names) == 1 else None
    if module is None or not hasattr(module, "ndarray") or any(issubclass(kind, OTHER_SENSE) for kind in kinds):
        came = ", ".join(f"{kind.__module__}.{kind.__name__}" for kind in kinds)
        raise TypeError(f"expected arrays of one module, numpy or cupy, got: {came}")
    return module


def a_generator(rng: object) -> np.random.Generator:
    """Return a generator of NumPy's as it is; raise InputError if it is none.

    Examples
    --------
    >>> a_generator(0)
    Traceback (most recent call last):
    nobackprop.errors.InputError: rng is 0, expected a generator, such as numpy.random.default_rng(0)
    """
    if not isinstance(rng, np.random.Generator):
        raise InputError(f"rng is {brief(rng)}, expected a generator, such as numpy.random.default_rng(0)")
    return rng


def type_name(dtype: object) -> str:
    """Return the name of a type of numbers, such as "float32"; an empty text if NumPy knows no such type.

    Parameters
    ----------
    dtype : object
        What a user gave: a name, a type of NumPy's or of Python's.

    Returns
    -------
    str

    Examples
    --------
    >>> type_name(float), type_name("<f4"), type_name("floaty")
    ('float64', 'float32', '')
    """
    try:
        return str(np.dtype(dtype).name) if dtype is not None else ""  # type: ignore[call-overload]
    except (TypeError, ValueError, SyntaxError):  # NumPy's own reader of such names fails in these ways
        return ""


def alike(*arrays: Array) -> tuple[Array, ...]:
    """Return arrays in the one floating dtype that holds all of them, which is their result_type.

    Parameters
    ----------
    *arrays : array
        One array or more, all of one module.

    Returns
    -------
    tuple of array
        An array that has this dtype already is returned itself.  If all are integers, the dtype is the smallest float
        that holds them, but float32 at least: the same as next to an array of float32.

    Raises
    ------
    TypeError
        If they are of different dtypes and `array_module` refuses them.

    Examples
    --------
    >>> import numpy as np
    >>> [array.dtype.name for array in alike(np.ones(3, "uint8"), np.ones(3, "float32"))]
    ['float32', 'float32']
    """
    dtypes = [array.dtype for array in arrays]
    if dtypes.count(dtypes[0]) == len(dtypes) and dtypes[0].kind in "fc":
        return arrays
    xp = array_module(*arrays)
    dtype = xp.result_type(*arrays)
    if dtype.kind not in "fc":
        dtype = xp.result_type(dtype, xp.float32)
    return tuple(array.astype(dtype, copy=False) for array in arrays)


def floats(array: Array) -> Array:
    """Return an array of integers as floats, and every other array itself.

    Parameters
    ----------
    array : array

    Returns
    -------
    array
        The dtype is that of `alike`.

    Examples
    --------
    >>> import numpy as np
    >>> floats(np.arange(3, dtype="uint8")).dtype.name
    'float32'
    """
    return array if array.dtype.kind in "fc" else alike(array)[0]


def open_device(device: str = "cpu") -> ModuleType:
    """Return the array module of a device, and make the device the current one.

    Parameters
    ----------
    device : str
        'cpu', 'cuda' or 'cuda:N', with N counted from 0.

    Returns
    -------
    module
        numpy or cupy.

    Raises
    ------
    InputError
        If no device has that name, or if CuPy or the GPU is missing.

    Examples
    --------
    >>> open_device("cpu").__name__
    'numpy'
    """
    found = re.fullmatch(r"cpu|cuda(:(?P<number>[0-9]{1,9}))?", device) if isinstance(device, str) else None
    if found is None:
        raise InputError(f"unknown device {brief(device)}: expected cpu, cuda or cuda:N")
    if device == "cpu":
        return np
    number = int(found["number"] or 0)
    cupy = package("cupy", "gpu", f"device '{device}'")
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise InputError(f"device '{device}' needs a CUDA GPU, and CuPy finds none: {error}") from None
    if number >= count:
        raise InputError(f"device '{device}' does not exist: this machine has {count} CUDA device(s), "
                         "counted from 0")
    cupy.cuda.Device(number).use()
    return cupy


def to_module(tree: Tree, xp: ModuleType) -> Tree:
    """Return a tree of NumPy arrays in the memory of another array module.

    Parameters
    ----------
    tree : tree of numpy.ndarray
    xp : module
        numpy, which leaves the arrays as they are, or cupy.

    Returns
    -------
    tree of array

    Examples
    --------
    >>> import numpy as np
    >>> tree = {"W": np.ones(2)}
    >>> to_module(tree, np)["W"] is tree["W"]
    True
    """
    return tree_map(xp.asarray, tree)


def to_numpy(tree: Tree) -> Tree:
    """Return a tree of arrays in the host's memory.

    Parameters
    ----------
    tree : tree of array

    Returns
    -------
    tree of numpy.ndarray
        Arrays of NumPy stay as they are.

    Examples
    --------
    >>> import numpy as np
    >>> to_numpy([np.ones(2), None])
    [array([1., 1.]), None]
    """
    return tree_map(lambda array: array if isinstance(array, np.ndarray) else array.get(), tree)


def keep_freed_memory() -> None:
    """Make the C library keep up to 512 MB of what one training step frees, for the next step.

    Without it the memory goes back to the system, and fresh pages cost time.  The setting is glibc's; with another C
    library nothing happens.

    Examples
    --------
    >>> keep_freed_memory()
    """
    # fresh pages for the arrays of a step cost deep networks up to a fifth of their time; 32 MiB is the largest
    # threshold that glibc takes
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 << 20)
        mallopt(M_TRIM_THRESHOLD, 512 << 20)


def synchronize(xp: ModuleType) -> None:
    """Wait until a device has done all that it was asked to do.

    Parameters
    ----------
    xp : module
        The array module of the device; with numpy there is nothing to wait for.

    Examples
    --------
    >>> import numpy as np
    >>> synchronize(np)
    """
    if xp is not np:
        xp.cuda.get_current_stream().synchronize()
