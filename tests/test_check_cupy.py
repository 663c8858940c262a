"""`make check-cupy` finds what does not fit: on a small module whose signatures and tables are known."""
from __future__ import annotations

import json
from types import SimpleNamespace

import check_cupy
import fakecupy
import numpy as np
import pytest
from check_cupy import chosen, fault, listed, names, operator, requirements, signature, written


class Ufunc:
    """As CuPy's: a table of types, and a signature in the docstring alone."""

    __signature__ = "none that Python knows"

    def __init__(self, doc, nin, *types):
        self.__doc__, self.nin, self.types = doc, nin, [*types]

    def __call__(self, *args, **options):
        """Nothing."""


class Method:
    """As a method that Cython compiled."""

    __signature__ = "none that Python knows"
    __doc__ = "_ndarray_base.swapaxes(self, Py_ssize_t axis1, Py_ssize_t axis2) -> _ndarray_base\n\nMore."

    def __call__(self):
        """Nothing."""


def stack(tup, axis=0, *, dtype=None):
    """As CuPy's."""


def einsum(*operands, **kwargs):
    """einsum(subscripts, *operands, dtype=None)"""


ADD = Ufunc(r"add(x1, x2, /, out=None, \*, dtype=None)", 2, "??->?", "bb->b", "ll->l", "ff->f", "dd->d")
SQRT = Ufunc(r"sqrt(x, /, out=None)", 1, "e->e", "f->f", "d->d")
LESS = Ufunc(r"less(x1, x2, /)", 2, "bb->?", "ll->?", "ff->?", "dd->?")
MODULE = SimpleNamespace(
    ufunc=Ufunc, add=ADD, sqrt=SQRT, less=LESS, stack=stack, einsum=einsum, pi=3.0, shown=True, json=json, _hidden=1,
    ndarray=SimpleNamespace(swapaxes=Method(), __add__=None, __radd__=None, __iadd__=None, __lt__=None))


def of(name):
    return {"array": name}


F, D, L, B = map(of, ("float32", "float64", "int64", "bool"))
ONE, HALF, SCALAR = {"python": "int"}, {"python": "float"}, {"scalar": "float64"}


@pytest.mark.parametrize("doc, expected", [
    ("f(a, b=1, *, c=u'C') -> int", "(a, b=1, *, c='C')"),
    ("a.f(self, *shape, order='C')", "(self, *shape, order='C')"),
    (r"add(x1, x2, /, out=None, \*, casting='same_kind')", "(x1, x2, /, out=None, *, casting='same_kind')"),
    ("f(self, Py_ssize_t axis1, bint deep=True)", "(self, axis1, deep=True)"), ("f()", "()"),
    (r"matmul(x1, /, \*\*kwargs)", "(x1, /, **kwargs)"), ("Return the sum.", None), ("", None), ("f(a, b", None),
    ("f(a=<object>)", None)])
def test_a_signature_is_read_from_a_docstring(doc, expected):
    found = written(doc)
    assert found is None if expected is None else str(found) == expected


def test_a_signature_is_python_s_own_if_there_is_one():
    assert str(signature(stack)) == "(tup, axis=0, *, dtype=None)"
    assert str(signature(einsum)) == "(subscripts, *operands, dtype=None)"
    assert str(signature(MODULE.ndarray.swapaxes)) == "(self, axis1, axis2)"


@pytest.mark.parametrize("ufunc, given, strong, weak", [
    (ADD, [F, F], "float32", "float32"), (ADD, [F, D], "float64", "float64"), (ADD, [L, L], "int64", "int64"),
    (ADD, [F, ONE], "float32", "float32"), (ADD, [HALF, F], "float32", "float32"),
    (ADD, [L, HALF], "float64", "float64"), (ADD, [B, ONE], "int8", "int8"), (ADD, [F, SCALAR], "float64", "float32"),
    (ADD, [F, L], "float64", "float64"),
    (SQRT, [F], "float32", "float32"), (SQRT, [L], "float64", "float64"), (LESS, [F, ONE], "bool", "bool"),
    (ADD, [of("complex64"), F], None, None)])
def test_the_type_is_that_of_the_first_row_that_takes_all(ufunc, given, strong, weak):
    assert (chosen(ufunc, given), chosen(ufunc, given, weak=True)) == (strong, weak)


def test_the_rule_of_the_table_is_numpy_s_own():
    """NumPy's ufuncs have such tables too, and choose by them; Python's numbers are those of NumPy 2."""
    arrays = [np.ones(2, name) for name in ("bool", "uint8", "int32", "int64", "float32", "float64", "complex64")]
    for ufunc in (np.add, np.multiply, np.maximum, np.sqrt, np.exp, np.less, np.arctan2):
        rows = SimpleNamespace(nin=ufunc.nin, types=[row for row in ufunc.types if not set(row) & set("OmMgG")])
        for first in arrays:
            for other in arrays if ufunc.nin == 2 else [None]:
                given = [first] if other is None else [first, other]
                try:
                    expected = ufunc(*given).dtype.name
                except TypeError:
                    continue
                assert chosen(rows, [fakecupy.kind(fakecupy.asarray(a)) for a in given]) == expected, (ufunc, given)


@pytest.mark.parametrize("call, says", [
    (["add", [F, F], {}, F], ""), (["add", [F, F, F], {}, F], ""), (["add", [F, F], {"out": F}, F], ""),
    (["ndarray.__add__", [F, ONE], {}, F], ""), (["ndarray.__radd__", [F, ONE], {}, F], ""),
    (["ndarray.__iadd__", [L, L], {}, L], ""), (["ndarray.__lt__", [F, F], {}, B], ""),
    (["stack", [{"sequence": [F]}], {"axis": ONE}, F], ""), (["einsum", ["ij->i", F], {}, F], ""),
    (["ndarray.swapaxes", [F, ONE, ONE], {}, F], ""),
    (["subtract", [F, F], {}, F], "no such name"), (["ndarray.__sub__", [F, F], {}, F], "no such name"),
    (["ndarray.take", [F], {}, F], "no such name"),
    (["add", [F, F], {"where": B}, F], "unexpected keyword argument 'where'"),
    (["stack", [{"sequence": [F]}, ONE, ONE], {}, F], "too many positional"),
    (["ndarray.swapaxes", [F, ONE], {}, F], "missing a required argument"),
    (["sqrt", [L], {}, F], "gives float64, and the stand-in float32"),
    (["ndarray.__iadd__", [L, HALF], {}, L], "gives float64, and the stand-in int64"),
    (["ndarray.__add__", [F, SCALAR], {}, D], "gives float32, and the stand-in float64"),
    (["add", [of("complex64"), F], {}, of("complex64")], "gives None"),
    (["pi", [], {}, None], "signature is not known")])
def test_a_call_that_does_not_fit_is_named(call, says):
    found = fault(MODULE, call)
    assert says in found and bool(says) == bool(found)


def test_operators_have_a_ufunc():
    assert operator("ndarray.__matmul__") is None and operator("ndarray.__len__") is None
    assert operator("ndarray.__invert__") == ("", "invert") and operator("ndarray.__imul__") == ("i", "multiply")
    assert operator("ndarray.__rrshift__") == ("r", "right_shift")


def test_names_are_public_and_in_both_versions():
    first = names(MODULE)
    assert first["functions"] == ["add", "einsum", "less", "sqrt", "stack"]
    assert first["types and constants"] == ["ndarray", "pi", "ufunc"]
    second = {title: [name for name in there if name != "add"] for title, there in first.items()}
    text = listed([{"version": "1", "names": first}, {"version": "2", "names": second}])
    assert text.startswith("# The names that CuPy 1 and 2 have.") and "\nadd\n" not in text and "\nsqrt\n" in text
    assert [part.splitlines()[0] for part in text.split("\n\n")[1:]] == [f"# {title}" for title in check_cupy.TITLES]


def test_the_oldest_is_the_one_that_setup_cfg_allows():
    oldest, newest = requirements()
    assert oldest == newest.replace(">=", "==") + ".0" and newest.startswith("cupy-cuda")


def test_the_stand_in_notes_kinds_of_call_and_no_numbers(monkeypatch):
    monkeypatch.setattr(fakecupy, "NOTES", "a file")
    monkeypatch.setattr(fakecupy, "_calls", set())
    for n in (2, 3):
        a = fakecupy.asarray(np.ones((n, 4), "float32"))
        fakecupy.sum(a.reshape(-1, 2) * n, axis=0, keepdims=True)
    assert sorted(map(json.loads, fakecupy._calls)) == [
        ["array", [{"host": "float32"}, None, True], {}, F], ["asarray", [{"host": "float32"}, None], {}, F],
        ["ndarray.__mul__", [F, ONE], {}, F], ["ndarray.reshape", [F, ONE, ONE], {}, F],
        ["sum", [F], {"axis": ONE, "keepdims": True}, F]]
