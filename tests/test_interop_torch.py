"""Networks as torch.nn.Module and back: outputs, gradients, running statistics, every bit of the parameters, files."""
from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shaped import passed, random_params, shaped_networks
from tolerance import assert_close

import nobackprop as nb
from nobackprop import network
from nobackprop.errors import InputError
from nobackprop.interop import torch as to_torch
from nobackprop.kernels.activation import ACTIVATIONS
from nobackprop.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    LayerNorm,
    MaxPool,
    Residual,
    Sequential,
    UnitLength,
)
from nobackprop.leaf_names import RUNNING, leaf_name
from nobackprop.models import MODELS
from nobackprop.network import Network
from nobackprop.tree import leaves, tree_map

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make test-torch installs it")

pytestmark = pytest.mark.torch
PRECISIONS = st.sampled_from(["float32", "float64"])
SEEDS = st.integers(0, 2**32 - 1)


def there(x: np.ndarray):
    """Samples in PyTorch's order of axes, as a tensor of its own."""
    return torch.from_numpy(np.moveaxis(x, -1, 1).copy())


def same_bits(found, expected) -> None:
    assert dict(leaves(found)).keys() == dict(leaves(expected)).keys()
    for (path, u), (_, v) in zip(leaves(found), leaves(expected), strict=True):
        assert u.dtype == v.dtype, path
        np.testing.assert_array_equal(u, v, err_msg=path)


def gradients(net, params, shape, x, r):
    """Ours and PyTorch's gradients of <output, r> in training, and both sets of parameters after the pass."""
    module = to_torch.module(net, params, shape)
    ours = tree_map(np.copy, params)
    (module(there(x)) * torch.from_numpy(r)).sum().backward()
    held = {name: torch.zeros_like(tensor) for name, tensor in module.state_dict().items()}
    held |= {name: w.grad for name, w in module.named_parameters()}
    found = {path: g for path, g in leaves(to_torch.params(held, net, shape)) if leaf_name(path) not in RUNNING}
    tape = network.forward(net, ours, x)
    expected = dict(leaves(network.backward(net, ours, tape, {len(net) - 1: r})))
    network.remember(net, ours, tape)
    return found, expected, to_torch.params(module, net, shape), ours


@given(shaped_networks(), SEEDS, PRECISIONS)
def test_in_prediction_the_outputs_are_equal(drawn, seed, dtype):
    net, shape = drawn
    params = random_params(net, shape, seed, dtype)
    x = np.random.default_rng(seed).standard_normal((4, *shape)).astype(dtype)
    with torch.no_grad():
        found = to_torch.module(net, params, shape).eval()(there(x))
    assert_close(found.numpy(), network.predict(net, params, x), of=passed(net, params, x))


@given(shaped_networks(silent=False), SEEDS)
def test_in_training_gradients_and_running_statistics_are_equal(drawn, seed):
    net, shape = drawn
    rng = np.random.default_rng(seed)
    x, r = rng.standard_normal((6, *shape)), rng.standard_normal((6, net[-1].units))
    found, expected, after, ours = gradients(net, random_params(net, shape, seed, "float64"), shape, x, r)
    assert found.keys() == expected.keys()
    for path, g in expected.items():
        assert_close(found[path], g, of=[list(expected.values()), r], message=path)
    assert_close(after, ours, of=1)


@given(shaped_networks(), SEEDS, PRECISIONS)
def test_and_back_they_have_every_bit(drawn, seed, dtype):
    net, shape = drawn
    params = random_params(net, shape, seed, dtype)
    module = to_torch.module(net, params, shape)
    for state in (module, module.state_dict(), {name: w.numpy() for name, w in module.state_dict().items()}):
        same_bits(to_torch.params(state, net, shape), params)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_of_the_library(name):
    small = {"mlp": "mlp:4", "mlp-bn": "mlp-bn:4"}.get(name, f"{name}:0.05")
    shape = (8, 8, 3) if name == "conv-small" else (32, 32, 3)
    net = nb.models.build(small, shape, 3, "elu")
    params = random_params(net, shape, 0, "float64")
    x = np.random.default_rng(0).standard_normal((2, *shape))
    module = to_torch.module(net, params, shape)
    same_bits(to_torch.params(module, net, shape), params)
    with torch.no_grad():
        found = module.eval()(there(x)).numpy()
    assert_close(found, network.predict(net, params, x), of=passed(net, params, x))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation(name):
    """Its values and its derivative, on both sides of 0 and far out."""
    net, a = Network((Activation(name),)), np.linspace(-9, 9, 36).reshape(6, 6)
    module, x = to_torch.module(net, [None], (6,)), torch.from_numpy(a).requires_grad_()
    module(x).sum().backward()
    assert_close(module(x).detach().numpy(), ACTIVATIONS[name].function(a), of=1)
    out, cache = net[0].forward(None, a)
    assert_close(x.grad.numpy(), net[0].backward(None, cache, np.ones_like(out))[0], of=1)


def test_an_activation_that_pytorch_has_no_class_for_is_refused(monkeypatch):
    monkeypatch.setitem(ACTIVATIONS, "square", replace(ACTIVATIONS["tanh"], torch="square"))
    with pytest.raises(InputError, match="PyTorch has no layer like Activation.name='square'."):
        to_torch.module(Network((Activation("square"),)), [None], (3,))


@pytest.mark.parametrize("pool", [MaxPool, AvgPool])
@pytest.mark.parametrize("pad", [0, 1, 2, 3])
def test_a_frame_may_be_wider_than_half_of_the_window(pool, pad):
    """PyTorch's own pooling layers refuse that."""
    net = Network((pool(4, 1, pad), Flatten(), Dense(2)))
    params = random_params(net, (5, 4, 2), 0, "float64")
    x = np.random.default_rng(1).standard_normal((3, 5, 4, 2)) - 5  # a frame of zeros would win
    module = to_torch.module(net, params, (5, 4, 2))
    assert_close(module(there(x)).detach().numpy(), network.predict(net, params, x), of=[x])
    assert (type(module[0]) is torch.nn.Sequential) == (pad > 2)


@pytest.mark.parametrize("between", [
    (), (BatchNorm(),), (LayerNorm(),), (Residual(Dense(30)),), (Residual(Activation("tanh"), Dense(30)), Dropout())],
    ids=["nothing", "batch-norm", "layer-norm", "residual", "shortcut"])
def test_the_order_of_pixels_survives_what_stands_behind_flatten(between):
    net = Network((Sequential((Conv(2, 1), Flatten(), *between, Dense(4))),))
    params = random_params(net, (5, 3, 2), 0, "float64")
    x = np.random.default_rng(1).standard_normal((3, 5, 3, 2))
    found = to_torch.module(net, params, (5, 3, 2)).eval()(there(x)).detach().numpy()
    assert_close(found, network.predict(net, params, x), of=[x])


def test_the_parts_are_pytorchs_own_with_names_to_read():
    net = Network((Sequential((Conv(2, 3, pad=1, bias=False), BatchNorm(momentum=0.3, eps=1e-3), Activation("gelu"))),
                   Residual(Sequential((Conv(2, 1), Conv(2, 1)))), Sequential((Flatten(), Dense(3), LayerNorm())),
                   UnitLength(0.5), Dense(2)))
    module = to_torch.module(net, random_params(net, (4, 4, 1), 0, "float32"), (4, 4, 1))
    assert list(module.state_dict()) == [
        "block_0.conv.weight", "block_0.batch_norm.weight", "block_0.batch_norm.bias",
        "block_0.batch_norm.running_mean", "block_0.batch_norm.running_var", "block_0.batch_norm.num_batches_tracked",
        "block_1_residual.body.conv.weight", "block_1_residual.body.conv.bias",
        "block_1_residual.body.conv_2.weight", "block_1_residual.body.conv_2.bias",
        "block_2.dense.weight", "block_2.dense.bias", "block_2.layer_norm.weight", "block_2.layer_norm.bias",
        "block_4_dense.weight", "block_4_dense.bias"]
    own = {type(part).__name__ for part in module.modules() if not type(part).__module__.startswith("torch.nn")}
    assert own == {"Residual", "MoveAxis"}
    norm = module.block_0.batch_norm
    assert (norm.momentum, norm.eps, module.block_0.gelu.approximate) == (0.3, 1e-3, "tanh")
    assert all(w.requires_grad and w.is_contiguous() for w in module.parameters()) and module.training


def test_the_module_has_its_own_memory_and_draws_nothing():
    net = Network((Dense(2), BatchNorm()))
    params = random_params(net, (3,), 0, "float32")
    before, state = tree_map(np.copy, params), torch.get_rng_state()
    module = to_torch.module(net, params, (3,))
    back = to_torch.params(module, net, (3,))
    with torch.no_grad():
        for w in (*module.parameters(), *module.buffers()):
            w.add_(1)
    same_bits(params, before)
    same_bits(back, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert copy.deepcopy(module)(torch.zeros(2, 3)).shape == (2, 2)


def test_dropout_silences_in_training_alone():
    net = Network((Dropout(0.25),))
    module = to_torch.module(net, [None], (100,))
    assert module.block_0_dropout.p == 0.25 and module.training
    assert torch.equal(module.eval()(torch.ones(2, 100)), torch.ones(2, 100))


@pytest.fixture(scope="module")
def digits():
    """A trained network of images, and raw images that it was not trained on."""
    data = nb.data.load("digits")
    net = nb.models.build("conv-small", data.shape, data.classes)
    run = nb.fit(net, "las", data, nb.Settings(epochs=1))
    from sklearn.datasets import load_digits
    return run, load_digits().data.reshape(-1, 8, 8, 1).astype("float32")


def test_a_trained_network_takes_raw_samples(digits, tmp_path):
    run, raw = digits
    run.save_model(tmp_path / "a.safetensors")
    model = nb.load(tmp_path / "a.safetensors")
    expected = model.output(raw)
    for source in (run, model):
        with torch.no_grad():
            found = to_torch.module(source).eval()(there(raw)).numpy()
        assert found.dtype == "float32"
        assert_close(found, expected, of=passed(model.net, model.params, run.data.prepare(raw)), slack=8)  # 1e-6
        assert (found.argmax(1) == model.predict(raw)).mean() > 0.999
    assert_close(to_torch.module(run).standardise.mean.numpy().ravel(), run.data.mean.astype("float32"))


def test_a_file_of_tensors(digits, tmp_path):
    run, raw = digits
    module, model = to_torch.module(run), run.predictor()
    to_torch.save(module, tmp_path / "b.safetensors")
    state = to_torch.load(tmp_path / "b.safetensors")
    assert all(torch.equal(state[name], w) for name, w in module.state_dict().items())
    back = to_torch.predictor(state, model)
    np.testing.assert_array_equal(back.output(raw), model.output(raw))
    same_bits([back.mean, back.scale], [model.mean, model.scale])
    again = to_torch.module(run)
    again.load_state_dict(state)
    to_torch.save(module.to(memory_format=torch.channels_last).state_dict(), tmp_path / "c.safetensors")
    assert (tmp_path / "c.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_what_was_trained_there_comes_back(digits):
    """A step of PyTorch's optimiser, and another scale."""
    run, raw = digits
    model, module = run.predictor(), to_torch.module(run)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    torch.nn.functional.cross_entropy(module(there(raw[:32])), torch.arange(32) % 10).backward()
    optimizer.step()
    module.standardise.scale *= 2
    found = to_torch.predictor(module, model)
    assert_close(found.scale, 2 * model.scale.astype("float32").astype("float64"))
    assert not np.array_equal(found.params[0][0]["W"], model.params[0][0]["W"])
    with torch.no_grad():
        assert_close(found.output(raw[:9]), module.eval()(there(raw[:9])).numpy(), of=raw)


def test_numbers_come_in_their_own_units():
    data = nb.data.load("diabetes")
    net = nb.models.build("mlp:8", data.shape, data.classes, loss="squared")
    run = nb.fit(net, "bp", data, nb.Settings(epochs=2))
    model, module = run.predictor(), to_torch.module(run).eval()
    assert model.y_mean is not None
    x = data.x_test * (1 if model.scale is None else model.scale) + (0 if model.mean is None else model.mean)
    with torch.no_grad():
        found = module(torch.from_numpy(x.astype("float32"))).numpy()
    assert_close(found[:, 0], model.predict(x).astype("float32"), of=model.y_mean)
    same_bits([to_torch.predictor(module, run).y_mean], [model.y_mean])


def test_a_mean_without_a_scale_and_the_other_way_round():
    net, x = Network((Dense(2),)), np.arange(12.0).reshape(4, 3)
    params, mean, scale = random_params(net, (3,), 0, "float64"), np.array([1.0, 5, 2]), np.array([2.0, 0.5, 3])
    for ends in ({"mean": mean}, {"scale": scale}, {"y_mean": mean[:2]}, {"y_scale": scale[:2]}, {}):
        model = nb.Predictor(net, params, (3,), ("a", "b"), task="numbers", **ends)
        module = to_torch.module(model)
        # the Predictor prepares samples in float32
        assert_close(module(torch.from_numpy(x)).detach().numpy(), model.predict(x).astype("float32"), of=x)
        back = to_torch.predictor(module, model)
        for name in ("mean", "scale", "y_mean", "y_scale"):
            assert getattr(back, name) is ends.get(name)


def test_half_precision_comes_back_as_float32():
    net = Network((Dense(2),))
    params = random_params(net, (3,), 0, "float32")
    for kind in (torch.bfloat16, torch.float16):
        module = to_torch.module(net, params, (3,)).to(kind)
        back = to_torch.params(module, net, (3,))
        assert back[0]["W"].dtype == "float32"
        np.testing.assert_array_equal(back[0]["W"], module.block_0_dense.weight.detach().float().numpy())


def test_a_state_of_two_precisions_comes_back_in_the_finer_one():
    net = Network((Dense(2),))
    state = state_of(net, (3,))
    state["block_0_dense.bias"] = torch.full((2,), 1 / 3, dtype=torch.float64)
    back = to_torch.params(state, net, (3,))[0]
    assert back["W"].dtype == "float64" and back["b"].tolist() == [1 / 3, 1 / 3]


def state_of(net, shape):
    return dict(to_torch.module(net, random_params(net, shape, 0, "float32"), shape).state_dict())


@pytest.mark.parametrize(("change", "sentence"), [
    (lambda state: state.pop("block_0_dense.bias"), "the state dict has no block_0_dense.bias, expected the names"),
    (lambda state: state.clear(), "the state dict has no block_0_dense.bias and 1 more, expected the names"),
    (lambda state: state.update({"fc.weight": torch.ones(1)}), "the state dict has also fc.weight, expected the names"),
    (lambda state: state.update({"block_0_dense.weight": torch.ones(3, 2)}),
     "block_0_dense.weight in the state dict has the shape (3, 2), expected (2, 3)"),
    (lambda state: state.update({"block_0_dense.bias": torch.ones(2, dtype=torch.int64)}),
     "expected floating-point numbers"),
    (lambda state: state.update({"block_0_dense.bias": "no"}), "expected floating-point numbers")],
    ids=["missing", "empty", "more", "shape", "integers", "text"])
def test_a_state_that_does_not_fit(change, sentence):
    net = Network((Dense(2),))
    state = state_of(net, (3,))
    change(state)
    with pytest.raises(InputError) as told:
        to_torch.params(state, net, (3,))
    assert sentence in str(told.value)


def test_mean_and_scale_that_do_not_fit(digits):
    run, _ = digits
    state = dict(to_torch.module(run).state_dict())
    del state["standardise.mean"]
    with pytest.raises(InputError, match="has nothing at standardise.mean, expected 1 numbers"):
        to_torch.predictor(state, run)
    with pytest.raises(InputError, match="has the shape .2,. at standardise.mean"):
        to_torch.predictor(state | {"standardise.mean": torch.ones(2)}, run)


def test_files_that_are_none(tmp_path):
    (tmp_path / "a").write_bytes(b"not a file of tensors")
    for path, sentence in ((tmp_path / "a", "expected a state dict as safetensors, got: "),
                           (tmp_path / "b", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(InputError, match=sentence):
            to_torch.load(path)
    with pytest.raises(InputError, match="No such file or directory"):
        to_torch.save({}, tmp_path / "none" / "a.safetensors")
    for wrong in (3, {"a": 1}, [torch.ones(2)]):
        with pytest.raises(InputError, match="expected a torch.nn.Module or a state dict"):
            to_torch.save(wrong, tmp_path / "c")
    assert not (tmp_path / "c").exists()
