"""Where the time of a step goes: who is charged for what, and that the page shows what is stored."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tolerance import assert_close

from nobackprop.kernels import linear
from nobackprop.studies.speed import shares
from nobackprop.studies.speed.shares import COLUMNS, OTHER, PACKAGE, PARTS, part

ROOT = Path(__file__).resolve().parent.parent
SQRT, REDUCE, MEAN = ("~", 0, "sqrt"), ("~", 0, "reduce"), ("/elsewhere/numpy/_methods.py", 3, "_mean")
ADAM, PRODUCT, NORM = ((str(PACKAGE / file), 1, name) for file, name in (
    ("optim.py", "update"), ("kernels/linear.py", "_product"), ("kernels/normalize.py", "forward")))


def edge(itself, calls=1):
    return calls, calls, itself, itself


def shared(stats, added=0.0):
    """What is not zero."""
    return {name: share for name, share in shares.shares(stats, added).items() if share}


def test_a_function_outside_is_charged_to_who_called_it():
    """By hand: of sqrt's 4 seconds Adam caused 3; the mean and what it calls in C belong to the normalisation."""
    found = shared({
        ADAM: (1, 1, 2.0, 5.0, {}), PRODUCT: (1, 1, 8.0, 9.0, {}), NORM: (1, 1, 1.0, 6.0, {}),
        SQRT: (4, 4, 4.0, 4.0, {ADAM: edge(3.0, 3), PRODUCT: edge(1.0)}),
        MEAN: (1, 1, 2.0, 5.0, {NORM: (1, 1, 2.0, 5.0)}), REDUCE: (1, 1, 3.0, 3.0, {MEAN: edge(3.0)})})
    assert_close(found, {"products": 9 / 20, "normalisation": 6 / 20, "optimiser": 5 / 20})


def test_what_nobody_of_the_package_called_is_something_else():
    assert shared({SQRT: (1, 1, 4.0, 4.0, {}), ADAM: (1, 1, 4.0, 4.0, {})}) == {"optimiser": 0.5, OTHER: 0.5}


def test_functions_that_call_each_other_come_to_an_end():
    first, second = ("/elsewhere/a.py", 1, "f"), ("/elsewhere/b.py", 1, "g")
    found = shared({
        ADAM: (1, 1, 1.0, 6.0, {}), first: (1, 3, 2.0, 5.0, {ADAM: edge(1.0), second: edge(1.0), first: edge(0.0)}),
        second: (1, 1, 3.0, 5.0, {first: edge(3.0)})})
    assert_close(found, {"optimiser": 1.0})


def test_calls_that_take_no_time_are_divided_by_their_number():
    stats = {ADAM: (1, 1, 0.0, 0.0, {}), PRODUCT: (1, 1, 4.0, 4.0, {}),
             SQRT: (4, 4, 4.0, 0.0, {ADAM: edge(0.0, 3), PRODUCT: edge(0.0, 1)})}
    assert_close(shared(stats), {"products": 5 / 8, "optimiser": 3 / 8})


def test_what_the_profiler_adds_to_each_call_is_subtracted_from_the_caller():
    """Adam makes 4 calls, and takes 2 seconds without what they add; to a product a call adds more than it took."""
    stats = {ADAM: (1, 1, 4.0, 4.5, {}), PRODUCT: (4, 4, 0.25, 0.5, {}), NORM: (9, 9, 5.0, 5.0, {}),
             SQRT: (5, 5, 1.0, 1.0, {ADAM: edge(1.0, 4), PRODUCT: edge(0.0, 1)})}
    assert_close(shared(stats, added=0.5), {"normalisation": 5 / 8, "optimiser": 3 / 8})


@pytest.mark.parametrize("file, name, expected", [
    ("kernels/winograd.py", "_products", "products"), ("kernels/winograd.py", "<lambda>", "products"),
    ("kernels/winograd.py", "_tiles", "patches and tiles"),
    ("kernels/unfold.py", "elementwise", "activations and sums"), ("kernels/unfold.py", "unfold", "patches and tiles"),
    ("layers.py", "<lambda>", "activations and sums"), ("layers.py", "backward", "engine and rule"),
    ("rules/backprop.py", "credit", "engine and rule"), ("studies/speed/bench.py", "one_step", "the batch")])
def test_a_function_of_the_package_has_a_part(file, name, expected):
    assert part((str(PACKAGE / file), 7, name)) == expected


def test_every_name_of_a_part_is_in_the_package():
    for file, *names in PARTS:
        source = (PACKAGE / file).read_text(encoding="utf-8")
        assert all(f"def {name}(" in source or name == "<lambda>" for name in names)
    assert set(PARTS.values()) <= set(COLUMNS)


def test_a_real_profile_charges_a_product_to_the_products():
    W = np.ones((40, 40))
    found = shared(shares.profiled(lambda: linear.forward(W, W), 2))
    assert "products" in found and "optimiser" not in found


def test_a_network_that_cannot_learn_is_named():
    [row] = shares.measure({"model": "conv3:0.03", "data": "cifar-10", "rule": "al", "batch_size": 2})
    assert set(row) == {"refused"} and "halves" in row["refused"]


def test_the_page_shows_what_is_stored():
    path, page = ROOT / shares.STORE.path, (ROOT / shares.PAGE).read_text(encoding="utf-8")
    stored = replace(shares.STORE, path=path).read() if path.exists() else {"rows": []}
    assert shares.STORE.put(page, shares.text(stored)) == page
    assert all(set(row["shares"]) == set(COLUMNS) for row in stored["rows"] if "shares" in row)


def test_a_mistaken_command_is_told_the_usage():
    with pytest.raises(SystemExit, match="usage"):
        shares.main(["--pages"])
