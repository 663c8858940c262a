"""The tolerance itself: what it lets pass is what another order of adding makes, and nothing more."""
from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeds
from tolerance import SLACK, assert_close, assert_zero, bound, size

EPS = np.finfo("float64").eps


@given(seeds, st.integers(1, 300))
def test_another_order_of_adding_passes_even_where_the_sum_cancels(seed, terms):
    x = np.random.default_rng(seed).standard_normal(terms)
    x = np.concatenate([x, -x, [1e-9]])
    assert_close(np.random.default_rng([seed, 1]).permutation(x).sum(), x.sum(), of=x)


def test_an_entry_that_cancels_is_measured_on_the_scale_of_its_array():
    expected = np.array([5e-2, 4e-6])
    assert_close(expected + [0, 5e-2 * EPS], expected)
    with pytest.raises(AssertionError, match=r"at \(1,\), expected np.float64\(4e-06\): off by 1e-13"):
        assert_close(expected + [0, 1e-13], expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_twice_the_bound_fails_and_half_of_it_passes(dtype):
    expected = np.array([3, -1], dtype)
    limit = bound(expected, expected)
    assert limit == SLACK * np.finfo(dtype).eps * 3
    assert_close(expected + dtype_of(dtype, limit / 2), expected)
    with pytest.raises(AssertionError, match="rounding explains"):
        assert_close(expected + dtype_of(dtype, limit * 2), expected)


def dtype_of(dtype, value):
    return np.array([0, value], dtype)


def test_the_coarser_of_two_types_decides():
    assert bound(np.ones(1, "float32"), np.ones(1)) == SLACK * np.finfo("float32").eps
    assert bound(1, 1) == SLACK * EPS


@pytest.mark.parametrize("found, expected, sentence", [
    (np.nan, 1.0, "nan"), (np.nan, np.nan, "nan"), (np.inf, 1.0, "inf"), (1.0, np.inf, "expected inf|expected np.*inf"),
    (np.ones(2), np.ones(3), r"shape \(2,\), expected \(3,\)"), (np.ones((2, 1)), np.ones(2), "shape"),
    ([{"W": np.ones(2)}], [{"W": np.array([1, 1.1])}], "0/W: "),
    (1e-300, 0.0, "rounding explains 0"),
])
def test_what_is_no_rounding_fails(found, expected, sentence):
    with pytest.raises(AssertionError, match=sentence):
        assert_close(found, expected)


def test_other_structure_fails():
    with pytest.raises(ValueError, match="trees differ at 0"):
        assert_close([None], [np.ones(1)])


def test_what_passes():
    assert_close([{"W": np.ones(2)}, None], [{"W": np.ones(2)}, None])
    assert_close(np.array([np.inf, 1]), np.array([np.inf, 1]))
    assert_close(np.zeros((0, 3)), np.zeros((0, 3)))
    assert_close(1e-17, 0.0, of=1)


def test_the_size_of_nothing_is_0():
    assert size() == size(np.zeros((0, 2))) == size(None) == 0
    assert size(3, [np.array([-5.0, 2])], {"b": np.array(4j)}) == 5


def test_zero_is_what_rounding_leaves():
    assert_zero({"W": np.array([1e-17])}, of=1)
    with pytest.raises(AssertionError, match="W: .*rounding explains"):
        assert_zero({"W": np.array([1e-11])}, of=1)


# The other tests

RELATIVE = {"assert_allclose": "rtol", "allclose": "rtol", "isclose": "rtol", "approx": "rel"}
ABSOLUTE = {"rtol": "atol", "rel": "abs"}
LEAST = 1e-9    # below this it is rounding that is meant, and a fixed number does not know its scale
ROUGH = 1e-3    # from here on an estimate is meant, which may well be relative


def faults(source: str) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) for every comparison whose tolerance is relative to the entry alone, or fixed and tiny."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        name = ast.unparse(call.func).rpartition(".")[2]
        if name not in RELATIVE:
            continue
        relative, own = RELATIVE[name], ABSOLUTE[RELATIVE[name]]
        given = {word.arg: word.value for word in call.keywords}
        fixed: dict[str | None, Any] = {
            word: value.value for word, value in given.items() if isinstance(value, ast.Constant)}
        if own in given and own not in fixed:  # computed from a scale
            continue
        if own not in given and (name == "assert_allclose" or relative in given) and fixed.get(relative, 0) < ROUGH:
            yield call.lineno, f"{name} without {own}"
        yield from ((call.lineno, f"{word}={fixed[word]}") for word in (relative, own)
                    if 0 < fixed.get(word, 0) < LEAST)


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(Path(__file__).parent.rglob("*.py")), ids=lambda path: path.stem)
def test_no_test_asks_for_digits_that_another_processor_need_not_give(path):
    found = list(faults(path.read_text(encoding="utf-8")))
    assert not found, f"compare by tolerance.assert_close, with of= whatever may cancel: {found}"


@pytest.mark.parametrize("line, wrong", [
    ("np.testing.assert_allclose(a, b)", True), ("assert_allclose(a, b, rtol=1e-12)", True),
    ("assert_allclose(a, b, rtol=1e-12, atol=1e-12)", True), ("assert_allclose(a, b, atol=1e-15)", True),
    ("assert_allclose(a, b, rtol=0, atol=1e-12 * scale)", False), ("assert_allclose(a, b, atol=1e-6)", False),
    ("a == pytest.approx(b, rel=1e-12)", True), ("a == pytest.approx(b, abs=1e-12)", True),
    ("a == pytest.approx(b, rel=0.1)", False), ("a == pytest.approx(b)", False),
    ("np.allclose(a, b, rtol=1e-10)", True), ("math.isclose(a, b)", False), ("assert_close(a, b)", False),
])
def test_what_is_asked_for_is_seen(line, wrong):
    assert bool(list(faults(line))) is wrong
