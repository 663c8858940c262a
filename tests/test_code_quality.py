"""The measurements of Kao and Chen 2020, sections 5.3 and 5.4, on codes whose figures are known."""
from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Case
from tolerance import assert_close

from nobackprop import learn, network
from nobackprop.models import build
from nobackprop.optim import Adam
from nobackprop.rules import AssociatedLearning
from nobackprop.studies.code_quality import activities, associated_losses, distances, embed

# scikit-learn imports rich if it is installed, and rich draws from Python's global generator while it is imported
with suppress(ImportError):
    import rich.style  # noqa: F401

AL = AssociatedLearning()


@given(seed=st.integers(0, 2**32 - 1))
def test_associated_losses_are_those_that_the_codes_have(seed):
    case = Case(AL, seed, sizes=(4, 3, 3, 4), activation="elu,sigmoid")
    found = associated_losses(case.net, AL, case.params, case.state, case.x, case.y)

    def sigmoid(p, h):
        return 1 / (1 + np.exp(-(h @ p["W"].T + p["b"])))

    h = activities(case.net, case.params, case.x, [1, 2, 3])
    t_1 = sigmoid(case.state[0]["g"][0], case.y)
    t_2 = sigmoid(case.state[1]["g"][0], t_1)
    pairs = [((sigmoid(case.state[0]["b"][0][0], h[0]), t_1), (sigmoid(case.params[4], t_1), case.y)),
             ((h[2], t_2), (sigmoid(case.params[3][0], t_2), t_1))]
    expected = [[((a - b)**2).mean() for a, b in two] for two in pairs]            # AL (4.3), (4.6)
    assert_close(np.array(found), np.array(expected))


def test_associated_losses_fall_with_learning():
    case = Case(AL, 0, sizes=(16, 16), samples=24, activation="elu,sigmoid")
    opts = Adam(case.params, 1e-2), Adam(case.state, 1e-2)
    before = associated_losses(case.net, AL, case.params, case.state, case.x, case.y)
    for _ in range(200):
        learn.step(case.net, AL, case.params, case.state, *opts, case.x, case.y, case.rng)
    after = associated_losses(case.net, AL, case.params, case.state, case.x, case.y)
    assert (np.array(after) < 0.2 * np.array(before)).all()


def test_activities_are_those_of_prediction():
    case = Case(AL, 0)
    x, first, last = activities(case.net, case.params, case.x, [0, 1, len(case.net)])
    np.testing.assert_array_equal(x, case.x)
    np.testing.assert_array_equal(first, case.tape().h[1])
    np.testing.assert_array_equal(last, case.tape().output)


def test_activities_come_in_the_order_that_was_asked_for_and_use_running_statistics():
    net = build("mlp-bn:5,4", (2, 3), 3, "tanh")
    rng = np.random.default_rng(0)
    params, _ = network.init(net, rng, (2, 3), "float64")
    norm = params[0][2]
    norm["mean"] += 0.5
    norm["var"] *= 4.0
    x = rng.standard_normal((7, 2, 3))
    second, first = activities(net, params, x, [2, 1])
    assert second.shape == (7, 4)
    a = x.reshape(7, 6) @ params[0][1]["W"].T
    assert_close(first, np.tanh((a - 0.5) / np.sqrt(4 + 1e-5)))


def test_distances_of_three_squares():
    """Corners of three squares of side 2 around the points 0, 30 and 30 + 40i."""
    square = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    h = np.concatenate([square, square + [30, 0], square + [30, 40]]).astype("float32")
    found = distances(h, np.repeat([4, 7, 9], 4))
    assert found.inter == pytest.approx((30 + 40 + 50) / 3)
    assert found.intra == pytest.approx((4 * 2 + 2 * np.sqrt(8)) / 6)
    assert found.ratio == found.inter / found.intra


def test_every_class_has_the_same_weight_whatever_the_number_of_its_pairs():
    """Three classes of unequal size, whose own mean distances are 1, 2 and 9."""
    h = np.array([0.0, 1, 20, 22, 40, 40 + 9])[:, None]
    found = distances(np.concatenate([h, h[:1], h[1:2]]), np.array([0, 0, 1, 1, 2, 2, 0, 0]))
    assert found.intra == pytest.approx((4 / 6 + 2 + 9) / 3)


def test_distances_are_taken_in_double_precision():
    """The mean of 2^24 and 2^24 + 2 cannot be written in float32."""
    h = np.array([[2**24], [2**24 + 2], [0], [0]], "float32")
    assert distances(h, np.array([0, 0, 1, 1])).inter == 2**24 + 1


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.1, 10))
def test_the_ratio_does_not_see_scale_turning_and_shift(seed, scale):
    rng = np.random.default_rng(seed)
    h, labels = rng.standard_normal((20, 4)), np.arange(20) % 3
    turn, _ = np.linalg.qr(rng.standard_normal((4, 4)))
    moved = scale * h @ turn + rng.standard_normal(4)
    assert_close(distances(moved, labels).ratio, distances(h, labels).ratio, slack=2.0**16)


def test_a_class_of_one_has_a_centre_and_no_pair():
    found = distances(np.array([[0.0], [2.0], [11.0]]), np.array([0, 0, 1]))
    assert (found.inter, found.intra) == (10.0, 2.0)


@pytest.mark.slow
def test_an_embedding_has_two_coordinates_and_is_the_same_every_time():
    h = np.random.default_rng(0).standard_normal((40, 6))
    a, b = embed(h), embed(h)
    assert a.shape == (40, 2)
    np.testing.assert_array_equal(a, b)
    # fewer rows than t-SNE's own perplexity
    assert np.isfinite(embed(h[:8])).all()
