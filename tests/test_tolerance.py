"""The tolerance itself: what it lets pass is what another order of adding makes, and nothing more."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeds
from tolerance import SLACK, assert_close, bound, size

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
