"""One loss curve per rule, kept in a text file: catches what properties miss.

`python tests/test_golden.py` writes the file again; look at the difference before committing it.
"""
from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from tolerance import assert_close

from nobackprop import learn, models, network
from nobackprop.optim import SGD
from nobackprop.rules import RULES

FILE = Path(__file__).with_name("golden.txt")


def curve(name: str) -> list[float]:
    """Forty steps of gradient descent in float64 on one small batch."""
    rng = np.random.default_rng(0)
    net = models.build("mlp:12,12,12", (8,), 5, "relu")
    params, shapes = network.init(net, rng, (8,), "float64")
    state = RULES[name].init(np.random.default_rng(1), net, params, shapes)
    x, y = rng.standard_normal((40, 8)), np.eye(5)[rng.integers(5, size=40)]
    opts = SGD(params, lr=0.1), SGD(state, lr=0.1)
    return [float(net.value(learn.step(net, RULES[name], params, state, *opts, x, y, rng).output, y))
            for _ in range(40)]


def kept() -> dict[str, list[float]]:
    return {name: [float(value) for value in values]
            for name, *values in map(str.split, FILE.read_text().splitlines())}


@pytest.mark.parametrize("name", RULES)
def test_the_loss_falls_as_it_always_did(name):
    assert_close(np.array(curve(name)), np.array(kept()[name]), slack=2.0**22)


def test_no_curve_is_kept_of_a_rule_that_is_gone():
    assert set(kept()) == set(RULES)


if __name__ == "__main__":
    sys.exit(FILE.write_text("".join(f"{name} {' '.join(f'{x:.12g}' for x in curve(name))}\n"
                                     for name in RULES)) and None)
