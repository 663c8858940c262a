"""PyTorch's twin of a network: the same loss, gradients, running statistics and steps."""
from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from tolerance import assert_close

from nobackprop import learn, network, rules
from nobackprop.errors import InputError
from nobackprop.kernels.activation import ACTIVATIONS
from nobackprop.kernels.loss import LOSSES
from nobackprop.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    LayerNorm,
    MaxPool,
    Residual,
    Sequential,
    UnitLength,
)
from nobackprop.leaf_names import RUNNING, leaf_name
from nobackprop.network import Network
from nobackprop.optim import OPTIMIZERS, bind
from nobackprop.studies.speed import torch_twin
from nobackprop.studies.speed.bench import random_run, stepper
from nobackprop.tree import Tree, leaves, tree_map

pytestmark = pytest.mark.torch

POOLED = Network((
    Sequential((Conv(6, 5, pad=2), BatchNorm(eps=1e-3, momentum=0.3), Activation("relu"), MaxPool(3, 2, 1))),
    Residual(Sequential((Conv(7, 3, 2, 1, bias=False), Activation("elu"), Conv(5, 1))), Conv(5, 1, 2)),
    Residual(Sequential((Conv(5, 3, pad=1), Activation("identity")))),
    Sequential((AvgPool(3, 1, 1), MaxPool(2), Activation("tanh"))),
    Sequential((GlobalPool(), Dense(8), BatchNorm(), Activation("sigmoid"))),
    Dense(4),
))
NORMED = Network((
    Sequential((Conv(6, 3, pad=1), LayerNorm(eps=1e-3), Activation("gelu"), MaxPool(2))),
    Sequential((Flatten(), Dense(9), LayerNorm(), Activation("silu"), Dropout(0.0))),
    Sequential((Dense(8), Activation("leaky_relu"), UnitLength(eps=0.1))), Dense(4),
))
FLAT = Network((Sequential((Conv(3, 2), AvgPool(2))), Sequential((Flatten(), Dense(9), Activation("relu"))), Dense(4)),
               "squared")


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


def gradients(layer: Layer, params: Tree) -> Tree:
    """What the twin's parameters have gathered, in the library's shapes; None where there is none."""
    if isinstance(layer, Sequential):
        return [gradients(inner, p) for inner, p in zip(layer.layers, params, strict=True)]
    if isinstance(layer, Residual):
        shortcut = None if layer.shortcut is None else gradients(layer.shortcut, params["shortcut"])
        return {"body": gradients(layer.body, params["body"]), "shortcut": shortcut}
    return tree_map(lambda w: None if w.grad is None else flat(w.grad), params)


def flat(w) -> np.ndarray:
    """A tensor as the library has it, a kernel (F, C, k, k) as (F, k k C)."""
    return w.detach().numpy() if w.ndim < 4 else w.detach().numpy().transpose(0, 2, 3, 1).reshape(len(w), -1)


@pytest.mark.parametrize("net", [POOLED, NORMED, FLAT], ids=["pooled", "normed", "flat"])
def test_the_twin_computes_what_the_library_does(torch, net):
    rng = np.random.default_rng(5)
    params, _ = network.init(net, rng, (10, 10, 3), "float64")
    params = tree_map(lambda w: w if w.ndim > 1 else rng.uniform(0.5, 1.5, w.shape), params)
    x = rng.standard_normal((7, 10, 10, 3))
    labels = rng.integers(4, size=7)
    y = np.eye(4)[labels]

    whole = Sequential(net.blocks)
    twin = torch_twin.tensors(torch, whole, params)
    target = torch.from_numpy(labels if net.loss == "cross_entropy" else y)
    loss = torch_twin.loss(torch, net, twin, torch.from_numpy(x), target)
    loss.backward()

    tape = network.forward(net, params, x)
    grads = network.backward(net, params, tape, {len(net) - 1: net.error(tape.output, y)})
    network.remember(net, params, tape)
    assert_close(float(loss.detach()), net.value(tape.output, y))
    expected = dict(leaves(grads))
    assert len(expected) > 5
    found = dict(leaves(gradients(whole, twin)))
    assert found.keys() == expected.keys()
    for path, g in expected.items():
        assert_close(found[path], g, of=grads, message=path)
    # the batch's statistics have moved the running ones
    for (path, w), (_, ours) in zip(leaves(twin), leaves(params), strict=True):
        assert_close(flat(w), ours, of=1, message=path)


def test_the_twin_has_its_own_memory_and_lies_as_the_library_does(torch):
    params, _ = network.init(POOLED, np.random.default_rng(0), (10, 10, 3))
    twin = dict(leaves(torch_twin.tensors(torch, Sequential(POOLED.blocks), params)))
    for path, w in leaves(params):
        assert not np.shares_memory(w, twin[path].detach().numpy())
        assert twin[path].requires_grad == (leaf_name(path) not in RUNNING)
        np.testing.assert_array_equal(flat(twin[path]), w)
    assert twin["0/0/W"].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_its_steps_are_the_librarys(torch, monkeypatch, optimizer):
    run = random_run("mlp:6,5", "xor", "las", 8, optimizer)
    run.optimizers[0] = bind(optimizer, tree_map(lambda w: w.astype("float64"), run.params), run.settings.lr)
    run.x, run.y = run.x.astype("float64"), run.y.astype("float64")
    kept = []
    make = torch_twin.tensors
    monkeypatch.setattr(torch_twin, "tensors", lambda *a: [kept.append(make(*a)), kept[-1]][1])
    one_step = torch_twin.stepper(run)
    opt, none = bind(optimizer, run.params, run.settings.lr), bind(optimizer, None, 1.0)
    order = np.random.default_rng(0).permutation(len(run.x)).reshape(-1, 8)
    for i in order[:3]:
        one_step()
        learn.step(run.net, rules.get("bp"), run.params, None, opt, none, run.x[i], run.y[i], run.rng)
    for (path, w), (_, ours) in zip(leaves(kept[-1]), leaves(run.params), strict=True):
        assert_close(w.detach().numpy(), ours, slack=2.0**20, message=path)


def test_it_leaves_the_run_as_it_was(torch):
    alone, beside = (random_run("mlp:6", "xor", "bp", 8, "adam") for _ in range(2))
    torch_twin.stepper(beside)()
    for run in alone, beside:
        stepper(run)()
    for (path, w), (_, v) in zip(leaves(alone.params), leaves(beside.params), strict=True):
        np.testing.assert_array_equal(w, v, err_msg=path)


def test_the_threads_are_put_back(torch):
    before = torch.get_num_threads()
    with pytest.raises(KeyError), torch_twin.threads_of(torch, before + 1):
        assert torch.get_num_threads() == before + 1
        raise KeyError
    assert torch.get_num_threads() == before


def test_a_layer_that_it_does_not_know(torch):
    class Own(Layer):
        def __repr__(self):
            return "Own()"

    with pytest.raises(InputError, match=r"has no layer like Own\(\)$"):
        torch_twin.forward(torch, Own(), None, torch.zeros(2, 3))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_has_one_there(torch, name):
    a = np.linspace(-4, 4, 30).reshape(5, 6)
    found = torch_twin.forward(torch, Activation(name), None, torch.from_numpy(a))
    assert_close(found.numpy(), ACTIVATIONS[name].function(a), of=1)


def test_dropout_there_silences_as_many(torch):
    found = torch_twin.forward(torch, Dropout(0.25), None, torch.ones(100, 100)).numpy()
    assert_close(np.unique(found), np.array([0, 1 / 0.75], "float32"))
    assert abs((found == 0).mean() - 0.25) < 0.05


def test_every_optimizer_has_one_there():
    assert torch_twin.OPTIMIZERS.keys() == OPTIMIZERS.keys()


def test_a_loss_that_it_does_not_know(monkeypatch):
    """It is refused, and not taken for the squared one; PyTorch itself need not be there to say so."""
    stand_in = SimpleNamespace(nn=SimpleNamespace(functional=None))
    a, y = np.zeros((2, 3)), np.ones((2, 3))
    assert torch_twin.loss(stand_in, Network((), "squared"), [], a, y) == 1.5
    for name in ("absolute", "mse", "Squared", ""):
        monkeypatch.setitem(LOSSES, name, LOSSES["squared"])
        with pytest.raises(InputError, match=f"^PyTorch's twin of the network has no loss like '{name}'$"):
            torch_twin.loss(stand_in, Network((), name), [], a, y)


@pytest.mark.parametrize("loss", ["cross_entropy", "squared"])
def test_the_losses_that_are_there(torch, loss):
    """Its value by hand: of outputs (0, 0, 0), the target being the second class."""
    net = Network((Dense(3),), loss)
    twin = [{"W": torch.zeros(3, 2), "b": torch.zeros(3)}]
    y = torch.tensor([1]) if loss == "cross_entropy" else torch.tensor([[0.0, 1, 0]])
    expected = {"cross_entropy": np.log(3), "squared": 0.5}[loss]
    assert_close(np.float32(torch_twin.loss(torch, net, twin, torch.ones(1, 2), y)), expected)


def test_without_pytorch_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"^a comparison with PyTorch needs torch, which is not installed: pip install "
                                         r"'nobackprop\[torch\]'$"):
        torch_twin.load()
