"""Which array module: asked of the arrays themselves, so that every kernel runs on NumPy and on CuPy."""
from __future__ import annotations

import ctypes
import importlib
import os
import sys
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from .errors import InputError
from .tree import Tree, tree_map

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
OTHER_SENSE = (np.ma.MaskedArray, np.matrix)
Array = Any  # numpy.ndarray or cupy.ndarray; neither is a subtype of the other


def array_module(*arrays: Array) -> ModuleType:
    """The module that made these arrays, numpy or cupy.

    Raises TypeError where they come from two modules, or are no arrays: a silent copy between host and
    device would be slow at best.  So it does for masked arrays, whose masks nothing here respects, and for matrices,
    whose products are others.
    """
    return _module_of(*map(type, arrays))


@lru_cache(64)  # asked in every kernel: 4 % of a step of a small network
def _module_of(*kinds: type) -> ModuleType:
    names = {kind.__module__.partition(".")[0] for kind in kinds}
    module = sys.modules.get(names.pop()) if len(names) == 1 else None
    if module is None or not hasattr(module, "ndarray") or any(issubclass(kind, OTHER_SENSE) for kind in kinds):
        came = ", ".join(f"{kind.__module__}.{kind.__name__}" for kind in kinds)
        raise TypeError(f"expected arrays of one module, numpy or cupy, got: {came}")
    return module


def alike(*arrays: Array) -> tuple[Array, ...]:
    """The arrays in the one floating dtype that holds them all, their result_type; those that have it as they are.

    Integers alone become the smallest float from float32 up that holds them, as they do next to a float32.
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
    """The array itself; integers as floats, as in `alike`."""
    return array if array.dtype.kind in "fc" else alike(array)[0]


def open_device(device: str = "cpu") -> ModuleType:
    """The array module behind 'cpu', 'cuda' or 'cuda:N', with that device made current.

    Raises InputError where the name is unknown, or where CuPy or the GPU is missing.
    """
    kind, colon, number = device.partition(":")
    if device == "cpu":
        return np
    if kind != "cuda" or (colon and not (number.isascii() and number.isdecimal())):
        raise InputError(f"unknown device '{device}': expected cpu, cuda or cuda:N")
    try:
        cupy = importlib.import_module("cupy")
    except ImportError:
        raise InputError(f"device '{device}' needs CuPy, which is not installed: "
                         "pip install 'nobackprop[gpu]'") from None
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise InputError(f"device '{device}' needs a CUDA GPU, and CuPy finds none: {error}") from None
    if int(number or 0) >= count:
        raise InputError(f"device '{device}' does not exist: this machine has {count} CUDA device(s), "
                         "counted from 0")
    cupy.cuda.Device(int(number or 0)).use()
    return cupy


def to_module(tree: Tree, xp: ModuleType) -> Tree:
    """The same tree with its NumPy arrays moved into the memory of `xp`; NumPy arrays stay as they are."""
    return tree_map(xp.asarray, tree)


def to_numpy(tree: Tree) -> Tree:
    """The same tree in host memory."""
    return tree_map(lambda array: array if isinstance(array, np.ndarray) else array.get(), tree)


def keep_freed_memory() -> None:
    """Have glibc keep up to 512 MB of what a step frees for the next one, instead of giving it back; else nothing."""
    # fresh pages for the arrays of a step cost deep networks up to a fifth of their time; 32 MiB is the largest
    # threshold that glibc takes
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 << 20)
        mallopt(M_TRIM_THRESHOLD, 512 << 20)


def synchronize(xp: ModuleType) -> None:
    """Wait until the device has done what it was asked; the host always has."""
    if xp is not np:
        xp.cuda.get_current_stream().synchronize()
