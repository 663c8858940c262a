"""How feedback weights are drawn: from a generator, for a map with inputs and outputs, by options that make sense."""
from __future__ import annotations

import numpy as np
import pytest

from nobackprop import models, network
from nobackprop.errors import InputError
from nobackprop.feedback import binary, gaussian, low_rank, products, sparse, uniform
from nobackprop.rules import DFA

DRAWS = pytest.mark.parametrize("draw", [gaussian, uniform, binary, sparse, low_rank], ids=lambda draw: draw.__name__)


@DRAWS
@pytest.mark.parametrize("rng", [0, None, np.random.RandomState(0), "x"], ids=lambda rng: type(rng).__name__)
def test_only_a_generator_is_drawn_from(draw, rng):
    with pytest.raises(InputError, match="^rng is .*, expected a generator"):
        draw(rng, (3, 4))


@DRAWS
@pytest.mark.parametrize("shape", [(), (3,), (3, 0), (0, 4), (3, -1), (3, 2.0), (3, True), 3, None, "34", (3, None)],
                         ids=repr)
def test_a_map_has_inputs_and_outputs(draw, shape):
    with pytest.raises(InputError, match="^shape is .*, expected that of feedback weights"):
        draw(np.random.default_rng(0), shape)


@pytest.mark.parametrize("draw, name", [(sparse, "fan_out"), (low_rank, "rank")])
def test_numbers_that_cannot_be(draw, name):
    """0 would be divided by; a negative number would be a root of a negative one."""
    for wrong, sentence in ((0, "at least 1, got 0"), (-1, "at least 1, got -1"), (1.0, "an integer, got 1.0"),
                            ("2", "an integer, got '2'"), (None, "an integer, got None"),
                            (True, "an integer, got True")):
        with pytest.raises(InputError, match=f"^{name} must be {sentence}$"):
            draw(np.random.default_rng(0), (3, 4), wrong)


@DRAWS
def test_a_refused_draw_draws_nothing(draw):
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    with pytest.raises(InputError):
        draw(rng, (3, 0))
    assert rng.bit_generator.state == before


def test_more_than_all_is_all():
    rng = np.random.default_rng(0)
    assert (sparse(rng, (3, 4), 9) != 0).all() and np.linalg.matrix_rank(low_rank(rng, (3, 4), 9)) == 3


def test_a_rule_says_so_too():
    net = models.build("mlp:4", (3,), 2)
    params, shapes = network.init(net, np.random.default_rng(0), (3,))
    for draw in (gaussian, sparse):
        with pytest.raises(InputError, match="^rng is 0"):
            DFA(draw=draw).init(0, net, params, shapes)


@pytest.mark.parametrize("params", [None, [], 3, "x", [None], [{"b": np.ones(3)}]], ids=repr)
def test_no_weights_have_no_products(params):
    with pytest.raises(InputError, match="^the product of the weights above needs one dense layer a block"):
        products(params)
