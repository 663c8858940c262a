"""What a step stores: the count of the thesis, and the bytes that a real tape holds."""
from __future__ import annotations

import gc
import json
import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerance import assert_close

from nobackprop import cli, models, network, rules
from nobackprop.errors import InputError
from nobackprop.layers import Activation, BatchNorm, Conv, Dense, Dropout, Flatten, LayerNorm, Residual, Sequential
from nobackprop.network import Network
from nobackprop.sharing import plan
from nobackprop.studies import memory
from nobackprop.studies.memory import accesses, buffers, held, measure, stored
from nobackprop.tape import Keep, derivative
from nobackprop.tree import leaves, tree_map

numbers = st.integers(0, 10**9)


@given(numbers, numbers)
def test_accesses_come_to_the_totals_of_the_thesis(P, A):
    bp, both = accesses(P, A), accesses(P, A, 2)
    assert (bp.read, bp.written) == (2 * P + A, P + A)                             # ASAP (6.1)-(6.2)
    assert bp.read + bp.written == 3 * P + 2 * A
    assert both.read + both.written == 5 * P + 2 * A


@pytest.mark.parametrize("P, A, worse", [(10, 1, True), (1, 10, False)])
def test_with_both_weight_sets_sharing_pays_only_if_activations_dominate(P, A, worse):
    """Errata of (6.2): the figure of the thesis leaves out that B is read and written, too."""
    bp, asap = accesses(P, 2 * A), accesses(P, A, 2)
    assert (asap.read + asap.written > bp.read + bp.written) == worse


def test_what_a_plan_stores():
    assert stored((0, 1, 1, 1, 3, 3)) == {1, 3}
    assert stored((0, 1, 2, 3)) == {1, 2, 3}


@pytest.fixture(scope="module")
def found():
    return measure("resnet18:0.125", batch_size=4)


def test_more_sharing_holds_less(found):
    bp, two, four = (found["columns"][name] for name in ("bp", "asap:k=2", "asap:k=4"))
    assert four["total_bytes"] < two["total_bytes"] < bp["total_bytes"]
    assert four["activations"] < two["activations"] < bp["activations"]
    assert bp["activations"] == sum(layer["activations"] for layer in found["layers"][1:])
    assert all(sum(column["bytes"]) == column["total_bytes"] for column in found["columns"].values())


def test_activations_by_hand(found):
    """ResNet-18 at an eighth: 5 inputs of 32x32x8, 4 of 16x16x16, 4 of 8x8x32, 3 of 4x4x64, and 64."""
    per_sample = 5 * 8192 + 4 * 4096 + 4 * 2048 + 3 * 1024 + 64
    assert found["columns"]["bp"]["activations"] == 4 * per_sample
    # h_1, h_3, h_5, ..., h_15
    assert found["columns"]["asap:k=2"]["activations"] == 4 * (3 * 8192 + 2 * 4096 + 2 * 2048 + 1 * 1024)


@pytest.mark.parametrize("rule", ["bp", "asap:k=2", "asap:k=4", "as", "asfp"])
def test_held_counts_what_python_holds(rule):
    """The bytes are all memory that NumPy has allocated for the tape at the end of the pass, without the batch."""
    net = models.build("resnet18:0.125", (32, 32, 3), 10)
    params, shapes = network.init(net, np.random.default_rng(0), (32, 32, 3))
    x = np.random.default_rng(1).standard_normal((4, 32, 32, 3), dtype="float32")
    the_rule = rules.get(rule)
    state = tree_map(lambda a: a.astype("float32"), the_rule.init(np.random.default_rng(2), net, params, shapes))
    the_rule.forward(net, params, state, x)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tape = the_rule.forward(net, params, state, x)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    # the rest are Python's own objects
    assert 0 <= grown - sum(held(net, tape)) < 100_000


def test_memory_is_counted_once():
    net = models.build("mlp:4,4", (3,), 2)
    params, _ = network.init(net, np.random.default_rng(0), (3,))
    tape = network.forward(net, params, np.zeros((5, 3), "float32"))
    # h_1 and h_2, which are input here and output there, and a_L
    assert sum(held(net, tape)) == 5 * (4 + 4 + 2) * 4


def test_what_each_layer_holds_by_hand():
    """Float32, four images of 4 x 4: numbers between two layers count for the lower layer, each of them once."""
    net = Network((Sequential((Conv(2, 3, 1, 1), BatchNorm(), Activation("relu"))),
                   Sequential((Flatten(), Dense(5), Activation("relu"))), Dense(4), Dense(3)))
    params, _ = network.init(net, np.random.default_rng(0), (4, 4, 1))
    x = np.random.default_rng(1).standard_normal((4, 4, 4, 1), dtype="float32")
    maps = 4 * 4 * 4 * 2
    # the input of batch-norm and h_1; h_2; nothing, as h_2 is counted; h_3; at last a_L, mean and variance
    expected = [4 * n for n in (2 * maps, 4 * 5, 0, 4 * 4, 4 * 3 + 2 + 2)]
    assert held(net, network.forward(net, params, x)) == expected
    # without what batch-norm asks for, and a bit a unit in the place of what relu's derivative asks for; the input of
    # the first dense layer is kept for its product
    slim = network.forward(net, params, x, keep=lambda i: Keep(after=derivative, within=lambda h: None,
                                                               between=lambda h: None))
    # h_2, kept as the input of layer 2, now stands there
    assert held(net, slim) == [maps // 8, 4 * maps + -(-20 // 8), 4 * 20, 4 * 16, 4 * (12 + 4)]


def layer_norms(layer):
    """The same layer with layer normalisation in the place of batch normalisation."""
    if isinstance(layer, Sequential):
        return Sequential(tuple(map(layer_norms, layer.layers)))
    if isinstance(layer, Residual):
        return Residual(layer_norms(layer.body), layer.shortcut and layer_norms(layer.shortcut))
    return LayerNorm() if isinstance(layer, BatchNorm) else layer


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh", "gelu"])
def test_sharing_saves_as_much_with_layer_normalisation(activation):
    """As with batch-norm, which is kept by its input too; what differs are the batch's statistics."""
    net = models.build("resnet18:0.125", (32, 32, 3), 10, activation)
    x = np.random.default_rng(1).standard_normal((4, 32, 32, 3), dtype="float32")
    totals = {}
    for kind, blocks in (("batch", net.blocks), ("layer", tuple(map(layer_norms, net.blocks)))):
        params, _ = network.init(Network(blocks), np.random.default_rng(0), x.shape[1:])
        for spec in ("bp", "asap:k=4"):
            rule = rules.get(spec)
            state = rule.init(np.random.default_rng(1), Network(blocks), params, [x.shape[1:]])
            state = tree_map(lambda a: a.astype("float32"), state)
            totals[kind, spec] = sum(held(Network(blocks), rule.forward(Network(blocks), params, state, x)))
    statistics = sum(array.nbytes for path, array in leaves(network.init(net, np.random.default_rng(0), x.shape[1:])[0])
                     if path.endswith(("/mean", "/var")))
    assert totals["batch", "bp"] == totals["layer", "bp"] + statistics
    assert totals["batch", "asap:k=4"] == totals["layer", "asap:k=4"] + statistics
    assert totals["layer", "asap:k=4"] < (0.8 if "relu" in activation else 1.0) * totals["layer", "bp"]


def test_dropout_is_kept_as_a_bit_a_unit():
    net = Network((Sequential((Dense(64), Dropout(0.5))), Dense(3)))
    params, _ = network.init(net, np.random.default_rng(0), (5,))
    tape = network.forward(net, params, np.ones((8, 5), "float32"), rng=np.random.default_rng(0))
    # h_1 and a_L in float32, and the mask
    assert sum(held(net, tape)) == 4 * 8 * (64 + 3) + 8 * 64 // 8


def test_accesses_by_hand(found):
    P, columns = found["parameters"], found["columns"]
    A, A_2 = columns["bp"]["activations"], columns["asap:k=2"]["activations"]
    once = {"read": 2 * P + A, "written": P + A}
    assert columns["bp"]["accesses"] == columns["bp"]["accesses_both_sets"] == once
    assert columns["asap:k=2"]["accesses"] == {"read": 2 * P + A_2, "written": P + A_2}
    assert columns["asap:k=2"]["accesses_both_sets"] == {"read": 3 * P + A_2, "written": 2 * P + A_2}


@pytest.mark.parametrize("rule, k, names", [
    ("asap:plan=text:k=3", None, ["bp", "asap:k=2:plan=text", "asap:k=3:plan=text", "asap:k=4:plan=text"]),
    ("as", 4, ["bp", "as:k=2", "as:k=4"]), ("as:k=3", 5, ["bp", "as:k=2", "as:k=4", "as:k=5"])])
def test_the_columns_are_the_sizes_of_block_that_were_asked_for(rule, k, names):
    found = measure("mlp:4,4,4,4,4", "digits", rule, k, batch_size=2)
    assert list(found["columns"]) == names
    for spec, column in found["columns"].items():
        if spec != "bp":
            the_rule = rules.get(spec)
            expected = set(plan(models.build("mlp:4,4,4,4,4", (8, 8, 1), 10), the_rule.k, the_rule.plan)) - {0}
            assert column["stored"] == sorted(expected)


@pytest.mark.parametrize("call, sentence", [
    (lambda: measure(rule="bp"), "rule 'bp' stores as much as backpropagation: expected as or asap"),
    (lambda: measure(rule="asfp"), "rule 'asfp' stores"),
    (lambda: measure(rule="asapp"), "unknown rule 'asapp'"),
    (lambda: measure(data="cifar"), "unknown data set 'cifar'"),
    (lambda: measure(k=0), "k, the number of layers that share one activity, must be at least 1, got 0"),
    (lambda: measure(batch_size=0), "batch_size must be at least 1"),
])
def test_mistakes_are_said(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()


@pytest.mark.slow
def test_the_command(tmp_path, capsys):
    typed = ["memory", "--model", "conv-small", "--data", "digits", "--batch-size", "2", "--k", "3"]
    assert cli.main([*typed, "--figure", str(tmp_path / "figure.png")]) == 0
    out = capsys.readouterr().out
    assert "asap:k=3 bytes" in out and "against bp" in out and "with both W and B" in out
    assert (tmp_path / "figure.png").stat().st_size > 1000
    assert cli.main([*typed, "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["columns"]) == ["bp", "asap:k=2", "asap:k=3", "asap:k=4"]
    assert cli.main([*typed, "--rule", "bp"]) == 2
    assert cli.main([*typed, "--figure", "figure.txt"]) == 2


def test_the_tables_fit_together(found):
    text = memory.describe(found)
    assert "W_18 dense" in text and "(1.000)" in text
    lines = text.splitlines()
    # a head, eighteen layers, all else and the total stand below one another
    assert {len(line.split()) for line in lines[3:20]} == {10} and len({len(line) for line in lines[3:22]}) == 1


def test_ratios_are_those_to_bp(found):
    """Of what is told in the text: accesses as counted, and bytes as measured, over those of bp."""
    text, columns = memory.describe(found), found["columns"]
    told = re.findall(r"(\S+) [\d.]+ MB \(([\d.]+)\)", text)
    assert told == [(name, f"{column['total_bytes'] / columns['bp']['total_bytes']:.3f}")
                    for name, column in columns.items()]
    assert told[0] == ("bp", "1.000") and all(0 < float(ratio) < 0.8 for _, ratio in told[1:])
    told = re.findall(r"(\S+) [\d.]+ \+ [\d.]+ = [\d.]+ \(([\d.]+)\)", text)
    assert told == [(name, f"{sum(column[key].values()) / sum(columns['bp'][key].values()):.2f}")
                    for key in ("accesses", "accesses_both_sets") for name, column in columns.items()]


def test_every_bar_is_what_it_is_called(found):
    """Of each column what is read from 0 on, then what is written; in the third panel the bytes."""
    figure, columns = memory.draw(found), list(found["columns"].values())
    for axes, key in zip(figure.axes, ("accesses", "accesses_both_sets")):
        bars = np.array([[bar.get_x(), bar.get_width()] for bar in axes.patches])
        read, written = (np.array([column[key][what] / 1e6 for column in columns]) for what in ("read", "written"))
        assert_close(bars, np.concatenate([np.stack([0 * read, read], 1), np.stack([read, written], 1)]))
    bars = [[bar.get_x(), bar.get_width()] for bar in figure.axes[2].patches]
    assert_close(np.array(bars), np.array([[0, column["total_bytes"] / 1e6] for column in columns]))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(found["columns"])


def test_what_is_measured_has_the_networks_own_type(monkeypatch):
    """Matrices, too, that make an activity fit: in float64 they would count twice."""
    tapes = []
    monkeypatch.setattr(memory, "held", lambda net, tape: [tapes.append(tape), 0][1:])
    measure("mlp:6,4,6,4", "digits", "asap:match=random", batch_size=2)
    kinds = [{buffer.dtype.name for buffer in buffers([tape.h, tape.caches])} for tape in tapes]
    assert len(kinds) == 3 and all("float32" in kind <= {"float32", "bool", "uint8"} for kind in kinds)
