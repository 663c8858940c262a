"""Networks as ONNX files: onnxruntime computes what the library does, and the file says what it is."""
from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shaped import passed, random_params, shaped_networks
from tolerance import SLACK, assert_close

import nobackprop as nb
from nobackprop import network
from nobackprop.errors import InputError
from nobackprop.interop import onnx as to_onnx
from nobackprop.kernels.activation import ACTIVATIONS
from nobackprop.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    LayerNorm,
    MaxPool,
    Residual,
    Sequential,
    UnitLength,
)
from nobackprop.models import MODELS
from nobackprop.network import Network
from nobackprop.tree import tree_map

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def session(path):
    """A file as onnxruntime has it, on one thread."""
    how = onnxruntime.SessionOptions()
    how.intra_op_num_threads = how.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, how, providers=["CPUExecutionProvider"])


def outputs(path, x: np.ndarray) -> np.ndarray:
    return session(path).run(["output"], {"input": x.astype("float32")})[0]


def holds(folder, net, shape, x, params=None, slack=SLACK) -> None:
    """Export a network, and compare what it says of a batch with what onnxruntime says, in both orders of axes."""
    params = random_params(net, shape, 0, "float32") if params is None else params
    expected, of = network.predict(net, params, x), passed(net, params, x)
    for layout, there in (("NHWC", x), ("NCHW", np.moveaxis(x, -1, 1))):
        to_onnx.export(net, folder / "a.onnx", params, shape, layout)
        found = outputs(folder / "a.onnx", there)
        assert found.dtype == "float32"
        assert_close(found, expected, of=of, slack=slack, message=layout)


@pytest.mark.slow
@given(shaped_networks(), st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_the_outputs_are_equal(tmp_path_factory, drawn, seed, size):
    net, shape = drawn
    x = np.random.default_rng(seed).standard_normal((size, *shape)).astype("float32")
    holds(tmp_path_factory.mktemp("onnx"), net, shape, x, random_params(net, shape, seed, "float32"))


@pytest.mark.parametrize("name", to_onnx.FORMS)
def test_every_activation(tmp_path, name):
    """Values on both sides of 0, near it and far out; close enough to see the last digit of gelu's number."""
    for far in (2, 9):
        a = np.linspace(-far, far, 36, dtype="float32").reshape(6, 6)
        holds(tmp_path, Network((Activation(name),)), (6,), a, slack=8)


def test_an_activation_without_a_form_is_refused(tmp_path, monkeypatch):
    assert {"identity", "relu", "tanh", "sigmoid", "elu", "leaky_relu", "gelu", "silu"} <= to_onnx.FORMS.keys()
    monkeypatch.setitem(ACTIVATIONS, "square", ACTIVATIONS["tanh"])
    with pytest.raises(InputError, match="ONNX has no layer like Activation.name='square'."):
        to_onnx.export(Network((Activation("square"),)), tmp_path / "a.onnx", [None], (3,))
    assert not list(tmp_path.iterdir())


LAYERS = {
    "dense": Sequential((Flatten(), Dense(3))), "conv": Conv(3, 3), "conv-stride": Conv(3, 2, 2, 1, bias=False),
    "batch-norm": BatchNorm(eps=0.1), "layer-norm": LayerNorm(0.1), "unit-length": UnitLength(0.1),
    "dropout": Dropout(0.5),
    "max": MaxPool(2), "max-overlapping": MaxPool(3, 2, 1), "max-wide-frame": MaxPool(4, 1, 3),
    "avg": AvgPool(2), "avg-overlapping": AvgPool(3, 2, 1), "avg-wide-frame": AvgPool(4, 1, 3),
    "global": GlobalPool(), "residual": Residual(Conv(2, 3, pad=1)), "shortcut": Residual(Conv(4, 3), Conv(4, 3)),
}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_every_layer(tmp_path, layer):
    shape = (5, 4, 2)
    more = [Flatten()] if len(layer.out_shape(shape)) > 1 else []
    x = np.random.default_rng(1).standard_normal((3, *shape)).astype("float32") - 2  # a frame of zeros would win
    holds(tmp_path, Network((layer, Sequential((*more, Dense(2))))), shape, x)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_of_the_library(tmp_path, name):
    small = {"mlp": "mlp:4", "mlp-bn": "mlp-bn:4"}.get(name, f"{name}:0.05")
    shape = (8, 8, 3) if name == "conv-small" else (32, 32, 3)
    x = np.random.default_rng(0).standard_normal((2, *shape)).astype("float32")
    holds(tmp_path, nb.models.build(small, shape, 3, "elu"), shape, x)


@pytest.fixture(scope="module")
def digits():
    """A trained network of images, and raw images."""
    from sklearn.datasets import load_digits
    data = nb.data.load("digits")
    net = nb.models.build("conv-small", data.shape, data.classes)
    return nb.fit(net, "las", data, nb.Settings(epochs=1)), load_digits().data.reshape(-1, 8, 8, 1)


@pytest.mark.slow
def test_a_trained_network_takes_raw_samples_in_any_number(digits, tmp_path):
    run, raw = digits
    model = run.predictor()
    to_onnx.export(model, tmp_path / "digits.onnx")
    expected, of = model.output(raw), passed(model.net, model.params, run.data.prepare(raw))
    for size in (1, 7, len(raw)):
        assert_close(outputs(tmp_path / "digits.onnx", raw[:size]), expected[:size], of=of, slack=8)  # 1e-6
    found = outputs(tmp_path / "digits.onnx", raw)
    assert (found.argmax(1) == model.predict(raw)).mean() > 0.999


def test_what_the_file_says_of_itself(digits, tmp_path):
    run, _ = digits
    model = nb.Predictor(run.net, run.params, (8, 8, 1), [f"digit {i}" for i in range(10)], run.data.mean)
    for layout, samples in (("NHWC", ["N", 8, 8, 1]), ("NCHW", ["N", 1, 8, 8])):
        to_onnx.export(model, tmp_path / "a.onnx", layout=layout)
        there = session(tmp_path / "a.onnx")
        (given,), (gives,) = there.get_inputs(), there.get_outputs()
        assert (given.name, given.shape, given.type) == ("input", samples, "tensor(float)")
        assert (gives.name, gives.shape, gives.type) == ("output", ["N", 10], "tensor(float)")
        about = there.get_modelmeta()
        more = dict(about.custom_metadata_map)
        assert about.producer_name == "nobackprop"
        assert json.loads(more.pop("classes")) == [f"digit {i}" for i in range(10)]
        assert more == {"task": "classes", "loss": "cross_entropy", "layout": layout}
    made = onnx.load(tmp_path / "a.onnx")
    assert [(one.domain, one.version) for one in made.opset_import] == [("", 17)] and made.ir_version == 8
    assert "block_0.conv.W" in [weight.name for weight in made.graph.initializer]


def test_numbers_come_in_their_own_units(tmp_path):
    data = nb.data.load("diabetes")
    run = nb.fit(nb.models.build("mlp:8", data.shape, data.classes, loss="squared"), "bp", data, nb.Settings(epochs=2))
    model = run.predictor()
    x = data.x_test * (1 if model.scale is None else model.scale) + (0 if model.mean is None else model.mean)
    to_onnx.export(run, tmp_path / "a.onnx")
    assert_close(outputs(tmp_path / "a.onnx", x)[:, 0], model.predict(x).astype("float32"), of=model.y_mean)


def test_a_network_of_float64_is_rounded(tmp_path):
    net = Network((Sequential((Conv(2, 3), Activation("gelu"), Flatten())), Dense(2)))
    params = random_params(net, (4, 4, 1), 0, "float64")
    x = np.random.default_rng(0).standard_normal((3, 4, 4, 1)).astype("float32")
    holds(tmp_path, net, (4, 4, 1), x, params)


@pytest.mark.parametrize("value", [1e39, np.inf, np.nan])
def test_numbers_that_float32_cannot_hold(tmp_path, value):
    net = Network((Dense(2),))
    params = tree_map(lambda w: np.full_like(w, value), random_params(net, (3,), 0, "float64"))
    with pytest.raises(InputError, match=r"^block_0_dense\.W has numbers that float32 cannot hold"):
        to_onnx.export(net, tmp_path / "a.onnx", params, (3,))
    assert not list(tmp_path.iterdir())


def test_a_network_that_is_too_large_for_the_format(tmp_path, monkeypatch):
    net = Network((Dense(2),))
    monkeypatch.setattr(to_onnx, "LARGEST", 31)
    with pytest.raises(InputError, match="more than 31 bytes of weights, which an ONNX file cannot hold"):
        to_onnx.export(net, tmp_path / "a.onnx", random_params(net, (3,), 0, "float32"), (3,))


def test_mistakes_leave_what_was_there(tmp_path, monkeypatch):
    net, path = Network((Dense(2),)), tmp_path / "a.onnx"
    params = random_params(net, (3,), 0, "float32")
    path.write_text("was there")
    with pytest.raises(InputError, match="unknown layout 'NHCW': did you mean 'N"):
        to_onnx.export(net, path, params, (3,), "NHCW")
    with pytest.raises(InputError, match="cannot write"):
        to_onnx.export(net, tmp_path / "none" / "a.onnx", params, (3,))
    monkeypatch.setattr(onnx.checker, "check_model", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        to_onnx.export(net, path, params, (3,))
    assert path.read_text() == "was there" and list(tmp_path.iterdir()) == [path]
