"""Code from outside: that of the user, named by a text, and libraries that only a part of this one needs.

The text is FILE.py:NAME, or MODULE:NAME for what Python can import.

Such a text runs code.  So it may come from the user, and not from a file that somebody else may have written:
`recall` takes only what this process has run already.
"""
from __future__ import annotations

import hashlib
import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import InputError, unknown
from .files import contents, named

LARGEST = 2**22  # bytes of a file with code
# the first ".py:" ends a file's name, so the colon of a drive (C:\sign.py) is a part of it
FORM = re.compile(r"(?P<where>.+?\.py|[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*)(?P<rest>(?::.*)?)", re.DOTALL)


def package(name: str, extra: str, what: str = "this") -> ModuleType:
    """Import a library that an extra of this one installs.

    Parameters
    ----------
    name : str
        The module.
    extra : str
        The extra.
    what : str
        What needs it, as the message begins.

    Returns
    -------
    module

    Raises
    ------
    InputError
        If it is not installed.

    Examples
    --------
    >>> package("math", "arithmetic").sqrt(4)
    2.0
    >>> package("nosuchpackage", "sums")
    Traceback (most recent call last):
    nobackprop.errors.InputError: this needs nosuchpackage, which is not installed: pip install 'nobackprop[sums]'
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"{what} needs {name.partition('.')[0]}, which is not installed: "
                         f"pip install 'nobackprop[{extra}]'") from None


def split(text: str) -> tuple[str, str, str] | None:
    """Take a text apart that names code of the user's own.

    Parameters
    ----------
    text : str
        FILE.py:NAME or MODULE:NAME, with anything behind a further colon.

    Returns
    -------
    tuple of str, or None
        The file or the module, the name in it, and the rest without its colon; None if the text has another form.

    Examples
    --------
    >>> split("./sign_dfa.py:SignDFA:scale=2"), split("my.rules:SignDFA")
    (('./sign_dfa.py', 'SignDFA', 'scale=2'), ('my.rules', 'SignDFA', ''))
    >>> split(r"C:\\rules\\sign_dfa.py:SignDFA"), split("asap:k=4")
    (('C:\\\\rules\\\\sign_dfa.py', 'SignDFA', ''), None)
    """
    found = FORM.fullmatch(text)
    return (found["where"], found["name"], found["rest"][1:]) if found else None


def find(where: str, name: str, wanted: Callable[[Any], bool] = callable) -> Any:
    """Run a file or import a module, and return what has a name in it.

    A file runs once, and once more if its text has changed since.

    Parameters
    ----------
    where : str
        The path of a file that ends in .py, or the name of a module.
    name : str
        A name that the code defines.
    wanted : callable
        wanted(value) says whether a value could be meant: a message names those of them that the code defines.

    Returns
    -------
    object

    Raises
    ------
    InputError
        If the file or the module is not there, does not run to its end, or does not define the name.

    Examples
    --------
    >>> find("math", "tau") > 6
    True
    >>> find("math", "tow")
    Traceback (most recent call last):
    nobackprop.errors.InputError: unknown name in math 'tow': did you mean 'pow'? (known: acos, acosh, asin, ...
    """
    module = _file(where) if where.endswith(".py") else _module(where)
    try:
        return getattr(module, name)
    except AttributeError:
        there = {known: value for known, value in vars(module).items() if wanted(value) and not known.startswith("_")}
        # a module that only collects what others define offers that
        own = [known for known, value in there.items() if getattr(value, "__module__", None) == module.__name__]
        raise unknown(f"name in {where}", name, own or there) if there else InputError(
            f"{where} defines nothing{' of that kind' * any(map(callable, vars(module).values()))}, expected {name}"
            ) from None


def recall(where: str, name: str) -> Any:
    """Return what `find` returns, and run nothing: only what this process has already run is found.

    Raises InputError if it has not run it.

    Examples
    --------
    >>> recall("somewhere/else.py", "Rule")
    Traceback (most recent call last):
    nobackprop.errors.InputError: Rule of somewhere/else.py is code that this process has not loaded
    """
    module = sys.modules.get(_key(*_read(where)) if where.endswith(".py") and Path(where).is_file() else where)
    if not hasattr(module, name):
        raise InputError(f"{name} of {where} is code that this process has not loaded")
    return getattr(module, name)


def text_of(kind: type | Callable[..., Any]) -> str | None:
    """Return the text that names a class or a function, as `split` takes it; None if no other process could use it.

    A file below the working folder is named from there, any other one by its whole path.

    Examples
    --------
    >>> from fractions import Fraction
    >>> text_of(Fraction), text_of(lambda: 0)
    ('fractions:Fraction', None)
    """
    module = sys.modules.get(kind.__module__)
    if module is None or kind.__module__ == "__main__" or getattr(module, kind.__qualname__, None) is not kind:
        return None
    name, file = kind.__qualname__, vars(module).get("__own_file__")
    if file is None:
        return f"{kind.__module__}:{name}"
    path, here = Path(file), Path.cwd()
    return f"./{path.relative_to(here).as_posix()}:{name}" if path.is_relative_to(here) else f"{path.as_posix()}:{name}"


def _read(where: str) -> tuple[Path, bytes]:
    """The whole path of a file, and its bytes."""
    source = contents(where, LARGEST, "a file with Python code")
    return named(where).resolve(), source


def _key(path: Path, source: bytes) -> str:
    """The name of the module that a file with this text becomes: of another text it is another module."""
    return f"{path.stem} ({hashlib.sha256(repr((str(path), source)).encode()).hexdigest()[:16]})"


def _file(where: str) -> ModuleType:
    """The module that a file becomes."""
    path, source = _read(where)
    key = _key(path, source)
    if key in sys.modules:
        return sys.modules[key]
    module = ModuleType(key)
    module.__file__ = str(path)
    vars(module)["__own_file__"] = str(path)
    sys.modules[key] = module  # dataclasses look for it there
    try:
        exec(compile(source, str(path), "exec"), vars(module))
    except BaseException as error:
        del sys.modules[key]
        raise _broken(where, error, path) from error
    return module


def _module(where: str) -> ModuleType:
    """The module of that name; one of the working folder is found, too."""
    here = str(Path.cwd())
    sys.path.append(here)
    try:
        return importlib.import_module(where)
    except BaseException as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{where}.".startswith(f"{error.name}."):
            raise InputError(f"there is no module {where}, expected the name of one that Python can import, or a file "
                             "such as ./mine.py") from None
        raise _broken(where, error) from error
    finally:
        sys.path.remove(here)


def _broken(where: str, error: BaseException, path: Path | None = None) -> BaseException:
    """What is raised if code does not run to its end: a sentence, or Ctrl-C as it came."""
    if isinstance(error, KeyboardInterrupt):
        return error
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(path) else None
    step = error.__traceback__
    while step is not None:
        if path is not None and step.tb_frame.f_code.co_filename == str(path):
            line = step.tb_lineno
        step = step.tb_next
    what = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())[:200]
    return InputError(f"{where} does not run to its end: {type(error).__name__}{f' at line {line}' if line else ''}"
                      f"{f': {what}' if what else ''}")
