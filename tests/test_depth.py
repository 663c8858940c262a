"""What depth does to an update at the start: the two measurements against networks in which the answer is known."""
from __future__ import annotations

import numpy as np
import pytest
from tolerance import assert_close

from nobackprop import models
from nobackprop.data import load
from nobackprop.rules import get
from nobackprop.studies import depth
from nobackprop.tree import tree_map


@pytest.mark.parametrize("rule", ["shallow", "las", "as", "foa"])
def test_every_rule_begins_with_the_same_weights(rule):
    """The output block of the first two has the gradient of backpropagation; all have its bias."""
    net = models.build("mlp:6,5", (3,), 2)
    ours, true = (depth.first_gradients(net, name, np.eye(3), np.eye(2)[[0, 1, 0]], 0) for name in (rule, "bp"))
    np.testing.assert_array_equal(ours[-1]["b"], true[-1]["b"])
    if rule in ("shallow", "las"):
        np.testing.assert_array_equal(ours[-1]["W"], true[-1]["W"])


def test_an_update_from_a_positive_multiple_of_the_activity_is_nearest(monkeypatch):
    """If every rule is backpropagation at three times the length, all cosines are 1."""
    def longer(net, rule, x, y, seed):
        return tree_map(lambda t: t if rule == "bp" else 3 * t, first_gradients(net, "bp", x, y, seed))

    first_gradients = depth.first_gradients
    monkeypatch.setattr(depth, "first_gradients", longer)
    assert_close(depth.nearness("mlp:6,5,4", 2, seeds=[0, 1], samples=8), 1.0)


def test_the_layer_that_shares_its_own_input_does_not_count():
    """With groups of two over three dense layers, only the third layer learns from what is not its input."""
    net = models.build("mlp:6,5", (16, 16, 1), 10)
    assert get("as:k=2").sharing(net, [None] * 3).plan == (0, 1, 1)
    data = load("digits")
    x = np.kron(data.x_train[:8, :, :, 0], np.ones((2, 2)))[..., None].astype("float64")
    ours, true = (depth.first_gradients(net, rule, x, np.eye(10)[data.y_train[:8]], 0) for rule in ("as:k=2", "bp"))
    g, t = ours[2]["W"].ravel(), true[2]["W"].ravel()
    cosine = float(g @ t / np.linalg.norm(g) / np.linalg.norm(t))
    assert cosine < 0.9
    assert_close(depth.nearness("mlp:6,5", 2, seeds=[0], samples=8), cosine, of=1.0)


def test_a_group_of_two_is_a_residual_block():
    """A shortcut carries what is shared to the second convolution of its block, and to no other."""
    found = {name: [depth.nearness(model, k, seeds=[0], samples=8) for k in (2, 4)]
             for name, model in depth.RESNETS.items()}
    assert found["with shortcuts"][0] > found["with shortcuts"][1] + 0.05
    assert abs(found["without shortcuts"][0] - found["without shortcuts"][1]) < 0.1


@pytest.mark.parametrize("blocks", [4, 6, 8])
def test_a_layer_of_sigmoid_units_shrinks_the_gradient_of_bp_by_more_than_the_largest_slope(blocks):
    """The slope of sigmoid is at most 1/4, and weights keep the mean length: two layers shrink it 16-fold."""
    assert depth.shrinkage("bp", blocks + 2, seeds=[0, 1, 2]) < depth.shrinkage("bp", blocks, seeds=[0, 1, 2]) / 16


@pytest.mark.parametrize("activation", ["sigmoid", "elu,sigmoid"])
def test_components_do_not_shrink_it(activation):
    few, many = (depth.shrinkage("al", blocks, activation, seeds=[0, 1, 2]) for blocks in (4, 16))
    assert few / 2 < many < 2 * few


def test_the_command_prints_both_tables(monkeypatch, capsys):
    monkeypatch.setattr(depth, "nearness", lambda model, k: k / 10)
    monkeypatch.setattr(depth, "shrinkage", lambda rule, blocks, activation: len(activation) / blocks)
    print(depth.tables())
    out = capsys.readouterr().out
    assert "with shortcuts                             0.20         0.40" in out
    assert "8          8.8e-01      8.8e-01   5.0e-01          1.4e+00" in out
