"""What may be handed to other libraries, the sentences for all else, and that nothing is imported before it is used."""
from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import nobackprop as nb
from nobackprop import network
from nobackprop.errors import InputError
from nobackprop.interop import onnx as to_onnx
from nobackprop.interop import parts
from nobackprop.interop import torch as to_torch
from nobackprop.layers import Activation, Dense, Sequential
from nobackprop.network import Network

NET = Network((Sequential((Dense(4), Activation("relu"))), Dense(2)))
PARAMS, _ = network.init(NET, np.random.default_rng(0), (3,))


class Doubled(Dense):
    """Computes something else than its base class, which no other library knows."""

    def forward(self, params, h, train=True, rng=None):
        out, cache = super().forward(params, h, train, rng)
        return 2 * out, cache


@pytest.mark.slow
def test_importing_the_library_imports_neither():
    code = ("import sys, nobackprop, nobackprop.cli, nobackprop.interop.torch, nobackprop.interop.onnx; "
            "print(sorted({'torch', 'onnx', 'onnxruntime'} & sys.modules.keys()))")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(("name", "use"), [
    ("torch", lambda path: to_torch.module(NET, PARAMS, (3,))), ("torch", lambda path: to_torch.save({}, path)),
    ("torch", to_torch.load), ("onnx", lambda path: to_onnx.export(NET, path, PARAMS, (3,)))],
    ids=["module", "save", "load", "export"])
def test_without_the_other_library_one_sentence(monkeypatch, tmp_path, name, use):
    monkeypatch.setitem(sys.modules, name, None)  # an import of it fails
    with pytest.raises(InputError) as told:
        use(tmp_path / "a")
    assert str(told.value) == f"this needs {name}, which is not installed: pip install 'nobackprop[{name}]'"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("given", "sentence"), [
    (("mlp:4",), "what is to be handed over is 'mlp:4', expected a Predictor, a Run or a Network"),
    ((NET,), "came without its parameters or without the shape"),
    ((NET, PARAMS), "came without its parameters or without the shape"),
    ((NET, None, (3,)), "came without its parameters or without the shape"),
    ((NET, PARAMS, (4,)), "cannot belong to"),
    ((NET, PARAMS[:1], (3,)), "cannot belong to"),
    ((NET, PARAMS, 3), "shape is 3, expected that of one sample"),
    ((NET, PARAMS, (8, 8, 1)), r"expected vectors \(F,\)"),
    ((nb.Predictor(NET, PARAMS, (3,), "ab"), PARAMS), "which has its own: expected nothing"),
    ((nb.Predictor(NET, PARAMS, (3,), "ab", rule=nb.rules.get("ep")),), "rule ep predicts in a way of its own"),
    ((Network((Activation("relu"),)), [None], (4, 4, 1)), "output has shape"),
])
def test_what_cannot_be_handed_over(given, sentence):
    with pytest.raises(InputError, match=sentence):
        parts.trained(*given)


@pytest.mark.parametrize(("name", "use"), [
    pytest.param("torch", lambda net, params, path: to_torch.module(net, params, (3,)), marks=pytest.mark.torch),
    ("onnx", lambda net, params, path: to_onnx.export(net, path, params, (3,)))], ids=["torch", "onnx"])
def test_a_layer_of_ones_own_is_refused_also_if_it_is_derived_from_another(name, use, tmp_path):
    pytest.importorskip(name, reason=f"{name} is not installed")
    net = Network((Doubled(2),))
    params, _ = network.init(net, np.random.default_rng(0), (3,))
    with pytest.raises(InputError, match="has no layer like Doubled"):
        use(net, params, tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_a_run_and_what_it_predicts_with_are_the_same():
    data = nb.data.load("xor")
    run = nb.fit(nb.models.build("mlp:4", data.shape, data.classes), "dfa", data, nb.Settings(epochs=1))
    assert parts.trained(run).net is parts.trained(run.predictor()).net is run.net


def test_whole_numbers_as_parameters_become_floats():
    assert parts.dtype([{"W": np.ones((2, 2), int), "b": np.ones(2, "float32")}]) == "float64"
    assert parts.dtype([{"W": np.ones((2, 2), "float16")}, None]) == "float32"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_state_dict_with_numbers_that_are_not_finite_is_refused(value):
    from nobackprop.interop import torch as to_torch

    net = nb.network.Network((nb.layers.Dense(2),))
    state = {"block_0_dense.weight": np.ones((2, 3)), "block_0_dense.bias": np.array([0, value])}
    with pytest.raises(InputError, match="block_0_dense.bias in the state dict holds NaN or infinity"):
        to_torch.params(state, net, (3,))
