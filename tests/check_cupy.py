"""`make check-cupy`: what the tests do with the stand-in for CuPy, held against the real CuPy, without a GPU.

1. The tests that use the stand-in run, and each kind of call is noted (fakecupy.py).
2. The oldest CuPy that setup.cfg allows, and the newest that there is, are installed, each in an environment of its own
   in .cupy/.  Without a GPU, CuPy makes no array.  But it can be imported, and has its names, the signatures of its
   functions, and the tables of types of its ufuncs.
3. Each noted call must bind to the signature, and each ufunc's table must give the type that the stand-in gave.
4. tests/cupy_names.txt is written again: the names that both have.

The exit code is 1 if a call does not fit, or if the list of names has changed.
"""
from __future__ import annotations

import ast
import configparser
import inspect
import json
import os
import re
import subprocess
import sys
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
NAMES, HOME = ROOT / "tests" / "cupy_names.txt", ROOT / ".cupy"
TITLES = ("functions", "types and constants", "ndarray")
# by the operator's name without reflection and place: the ufunc behind it
OPERATORS = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide",
             "mod": "remainder", "pow": "power", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
             "lshift": "left_shift", "rshift": "right_shift", "neg": "negative", "abs": "absolute", "invert": "invert",
             "lt": "less", "le": "less_equal", "eq": "equal", "ne": "not_equal", "gt": "greater", "ge": "greater_equal"}
WEAK = {"bool": "b", "int": "i", "float": "f", "complex": "c"}
Call = tuple[str, list[Any], dict[str, Any], Any]


# ---------------------------------------------------------------- beside the real CuPy


def named(module: Any, name: str) -> Any:
    """What a dotted name of the module names; raises AttributeError if it names nothing."""
    for part in name.split("."):
        module = getattr(module, part)
    return module


def signature(f: Any) -> inspect.Signature | None:
    """The signature of a function; where Python knows none, or none of use, that of the first line of its docstring."""
    try:
        found = inspect.signature(f)
    except (TypeError, ValueError):
        found = None
    variable = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    if found is None or all(p.kind in variable for p in found.parameters.values()):
        found = written(f.__doc__ or "") or found
    return found


def written(doc: str) -> inspect.Signature | None:
    """The signature that a docstring begins with, as Cython and CuPy's ufuncs have it, or None.

    >>> print(written("ndarray.swapaxes(self, Py_ssize_t axis1, *, order=u'C') -> ndarray"))
    (self, axis1, *, order='C')
    """
    start = re.match(r"\s*[\w.]+(\(.*\))", doc)
    if start is None:
        return None
    text = re.sub(r"(?<=[(,])(\s*)[\w.]+ (?=\w+\s*[=,)])", r"\1", start[1].replace("\\", ""))  # types, as in C
    try:
        lines = ast.parse(f"def f{text}: pass")
    except SyntaxError:
        return None
    arguments: Any = {}
    exec(compile(lines, "a docstring", "exec"), {}, arguments)
    return inspect.signature(arguments["f"])


def kind_of(argument: Any, weak: bool = False) -> np.dtype[Any] | str | None:
    """The dtype of a noted array, the kind of a number of Python's, or None for what has no part in the choice.

    A scalar of NumPy's has a dtype too; `weak` treats it as a number of Python's, as CuPy 13 does.
    """
    if isinstance(argument, bool):
        return "b"
    if not isinstance(argument, dict):
        return None
    if "array" in argument or ("scalar" in argument and not weak):
        return np.dtype(argument.get("array", argument.get("scalar")))
    if "scalar" in argument:
        return np.dtype(argument["scalar"]).kind
    return WEAK.get(argument.get("python", ""))


def rank(kind: str) -> int:
    """The place of a kind of numbers, such as 'f', among truth values, integers, floats and complex numbers."""
    return next(i for i, kinds in enumerate(("b?", "iu", "f", "c")) if kind in kinds)


def chosen(ufunc: Any, arguments: list[Any], weak: bool = False) -> str | None:
    """The type of what a ufunc of CuPy gives: that of the first row of its table that takes all arrays safely.

    A number of Python's asks for its own kind at least, and for nothing more.  None if no row does.
    """
    kinds = [kind_of(argument, weak) for argument in arguments[:ufunc.nin]]
    least = max((rank(kind) for kind in kinds if isinstance(kind, str)), default=0)
    for row in ufunc.types:
        takes, gives = row.split("->")
        if all(rank(np.dtype(char).kind) >= least if isinstance(kind, str) else np.can_cast(kind, char)
               for kind, char in zip(kinds, takes, strict=False) if kind is not None):
            return str(np.dtype(gives[0]).name)
    return None


def operator(name: str) -> tuple[str, str] | None:
    """Of the name of an operator: "r" if it is reflected, "i" if it is in place, and its ufunc; of others None.

    >>> operator("ndarray.__rsub__"), operator("ndarray.__rshift__"), operator("ndarray.reshape")
    (('r', 'subtract'), ('', 'right_shift'), None)
    """
    for how, what in re.findall(r"^ndarray\.__()(\w+)__$", name) + re.findall(r"^ndarray\.__([ri])(\w+)__$", name):
        if what in OPERATORS:
            return how, OPERATORS[what]
    return None


def fault(module: Any, call: Call) -> str:
    """What is wrong with a call, if it is made to this module; an empty text if nothing is."""
    name, arguments, options, result = call
    try:
        ufunc = f = named(module, name)
    except AttributeError:
        return "there is no such name"
    how, what = operator(name) or ("", "")
    if what:
        ufunc = named(module, what)
    elif not name.startswith("ndarray.__"):
        found = signature(f)
        if found is None:
            return "its signature is not known"
        try:
            found.bind(*arguments, **options)
        except TypeError as error:
            return f"{error}: it takes {found}"
    if isinstance(ufunc, module.ufunc) and isinstance(result, dict) and "array" in result:
        given, there = arguments[::-1] if how == "r" else arguments, result["array"]
        into = how == "i" or "out" in options or len(arguments) > ufunc.nin
        for came in {chosen(ufunc, given), chosen(ufunc, given, weak=True)}:
            if came is None or not (np.can_cast(came, there, "same_kind") if into else came == there):
                return f"it gives {came}, and the stand-in {there}"
    return ""


def names(module: Any) -> dict[str, list[str]]:
    """The public names of the module and of its arrays, by title."""
    public = {name: getattr(module, name) for name in sorted(dir(module))
              if not name.startswith("_") and not isinstance(getattr(module, name), bool | types.ModuleType)}
    functions = [name for name, what in public.items() if callable(what) and not isinstance(what, type)]
    return {"functions": functions, "types and constants": [name for name in public if name not in functions],
            "ndarray": [name for name in sorted(dir(module.ndarray)) if not name.startswith("_")]}


def inside(path: Path) -> dict[str, Any]:
    """What the CuPy of this environment says of the calls in a file."""
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import cupy
        calls = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        faults = [[json.dumps(call[:3]), wrong] for call in calls if (wrong := fault(cupy, call))]
        # what the package asks for by other ways than an array's module
        faults += [[name, "there is no such name"] for name in (
            "cuda.Device.use", "cuda.Device.id", "cuda.runtime.getDeviceCount", "cuda.runtime.CUDARuntimeError",
            "cuda.runtime.getDeviceProperties", "cuda.get_current_stream", "cuda.Stream.synchronize",
            "get_default_memory_pool", "cuda.MemoryPool.free_all_blocks", "cuda.MemoryPool.total_bytes")
            if not _has(cupy, name)]
        return {"version": cupy.__version__, "names": names(cupy), "faults": faults}


def _has(module: Any, name: str) -> bool:
    try:
        named(module, name)
    except AttributeError:
        return False
    return True


# ---------------------------------------------------------------- here


def requirements() -> tuple[str, str]:
    """What pip installs: the oldest CuPy that setup.cfg allows, and the newest."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    asked = config["options.extras_require"]["gpu"].strip()
    package, oldest = asked.split(">=")
    return f"{package}=={oldest}.0", asked


def environment(requirement: str) -> Path:
    """The interpreter of an environment with that CuPy; it is made if it is not there."""
    home = HOME / re.sub(r"\W+", "-", requirement)
    interpreter = home / "bin" / "python"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        subprocess.run([interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement],
                       check=True)
        (home / "ready").touch()
    return interpreter


def record(path: Path) -> None:
    """Run the tests that use the stand-in, and note its calls in a file."""
    files = sorted(path for path in (ROOT / "tests").rglob("test_*.py")
                   if re.search(r"\bxp\b|fakecupy", path.read_text(encoding="utf-8")))
    path.unlink(missing_ok=True)
    noting = os.environ | {"NOBACKPROP_CUPY_CALLS": str(path), "HYPOTHESIS_PROFILE": "fast"}
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not gpu", *files],
                   check=True, cwd=ROOT, env=noting)


def listed(found: Iterable[dict[str, Any]]) -> str:
    """The text of cupy_names.txt: the names that all of these versions have."""
    found = list(found)
    head = f"# The names that CuPy {' and '.join(one['version'] for one in found)} have. Written by make check-cupy."
    parts = ["\n".join([f"# {title}", *(name for name in found[0]["names"][title]
                                        if all(name in one["names"][title] for one in found))]) for title in TITLES]
    return "\n\n".join([head, *parts]) + "\n"


def main() -> int:
    calls = HOME / "calls.jsonl"
    HOME.mkdir(exist_ok=True)
    record(calls)
    found = []
    for requirement in requirements():
        run = subprocess.run([environment(requirement), __file__, str(calls)], check=True, stdout=subprocess.PIPE,
                             text=True)
        found.append(json.loads(run.stdout))
    number = len(calls.read_text(encoding="utf-8").splitlines())
    for one in found:
        print(f"CuPy {one['version']}: {number} kinds of call, {len(one['faults'])} that do not fit")
        for call, wrong in one["faults"]:
            print(f"  {call}: {wrong}")
    text = listed(found)
    changed = text != NAMES.read_text(encoding="utf-8")
    NAMES.write_text(text, encoding="utf-8")
    print(f"{NAMES.relative_to(ROOT)}: {'written anew' if changed else 'as it was'}")
    return int(changed or any(one["faults"] for one in found))


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print(json.dumps(inside(Path(sys.argv[1]))))
    else:
        sys.exit(main())
