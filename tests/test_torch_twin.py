"""PyTorch's twin of a network: the same loss, gradients, running statistics and steps."""
from __future__ import annotations

import sys

import numpy as np
import pytest
from tolerance import assert_close

from nobackprop import learn, network, rules
from nobackprop.errors import InputError
from nobackprop.interop import torch as to_torch
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
SHAPE = (10, 10, 3)
FLAT = Network((Sequential((Conv(3, 2), AvgPool(2))), Sequential((Flatten(), Dense(9), Activation("relu"))), Dense(4)),
               "squared")


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


def drawn(net: Network, dtype: str = "float64") -> Tree:
    """Parameters with biases and running statistics away from 0 and 1."""
    rng = np.random.default_rng(5)
    params, _ = network.init(net, rng, SHAPE, dtype)
    return tree_map(lambda w: w if w.ndim > 1 else rng.uniform(0.5, 1.5, w.shape).astype(dtype), params)


@pytest.mark.parametrize("net", [POOLED, NORMED, FLAT], ids=["pooled", "normed", "flat"])
def test_the_twin_computes_what_the_library_does(torch, net):
    params, rng = drawn(net), np.random.default_rng(6)
    x, labels = rng.standard_normal((7, *SHAPE)), rng.integers(4, size=7)
    y = np.eye(4)[labels]
    twin = torch_twin.twin(net, params, SHAPE)
    a = twin(torch.from_numpy(x).permute(0, 3, 1, 2))
    loss = torch_twin.loss(torch, net.loss, a, torch.from_numpy(labels if net.loss == "cross_entropy" else y))
    loss.backward()

    tape = network.forward(net, params, x)
    grads = network.backward(net, params, tape, {len(net) - 1: net.error(tape.output, y)})
    network.remember(net, params, tape)
    assert_close(float(loss.detach()), net.value(tape.output, y))
    state = twin.state_dict() | {name: w.grad for name, w in twin.named_parameters()}
    found, expected = (dict(leaves(tree)) for tree in (to_torch.params(state, net, SHAPE), grads))
    assert expected.keys() == {path for path in found if leaf_name(path) not in RUNNING} and len(expected) > 5
    for path, g in expected.items():
        assert_close(found[path], g, of=grads, message=path)
    # the batch's statistics have moved the running ones
    for (path, w), (_, ours) in zip(leaves(to_torch.params(twin, net, SHAPE)), leaves(params), strict=True):
        assert_close(w, ours, of=1, message=path)


def test_the_twin_has_its_own_memory_and_lies_as_the_library_does(torch):
    params = drawn(POOLED, "float32")
    before, twin = tree_map(np.copy, params), torch_twin.twin(POOLED, params, SHAPE)
    kernels = [w for w in twin.parameters() if w.ndim == 4]
    assert len(kernels) == 5 and all(w.is_contiguous(memory_format=torch.channels_last) for w in kernels)
    with torch.no_grad():
        for w in twin.parameters():
            w.zero_()
    for (path, w), (_, old) in zip(leaves(params), leaves(before), strict=True):
        np.testing.assert_array_equal(w, old, err_msg=path)


@pytest.mark.parametrize("model, data", [("conv3:0.1", "cifar-10"), ("mlp:6", "xor")])
def test_it_sees_images_with_their_channels_last_in_memory(torch, monkeypatch, model, data):
    make, seen = torch_twin.twin, []

    def watched(*given):
        module = make(*given)
        module.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        return module

    monkeypatch.setattr(torch_twin, "twin", watched)
    run = random_run(model, data, "bp", 4, "sgd")
    torch_twin.stepper(run)()
    h, = seen
    if h.ndim == 4:
        assert h.shape[1] == 3 and h.is_contiguous(memory_format=torch.channels_last)
    rows = np.random.default_rng(0).permutation(len(run.x))[:4]
    np.testing.assert_array_equal(h.numpy(), np.moveaxis(run.x[rows], -1, 1))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_its_steps_are_the_librarys(torch, monkeypatch, optimizer):
    run = random_run("mlp:6,5", "xor", "las", 8, optimizer)
    run.optimizers[0] = bind(optimizer, tree_map(lambda w: w.astype("float64"), run.params), run.settings.lr)
    run.x, run.y = run.x.astype("float64"), run.y.astype("float64")
    kept = []
    make = torch_twin.twin
    monkeypatch.setattr(torch_twin, "twin", lambda *a: [kept.append(make(*a)), kept[-1]][1])
    one_step = torch_twin.stepper(run)
    opt, none = bind(optimizer, run.params, run.settings.lr), bind(optimizer, None, 1.0)
    order = np.random.default_rng(0).permutation(len(run.x)).reshape(-1, 8)
    for i in order[:3]:
        one_step()
        learn.step(run.net, rules.get("bp"), run.params, None, opt, none, run.x[i], run.y[i], run.rng)
    found = to_torch.params(kept[-1], run.net, run.data.shape)
    for (path, w), (_, ours) in zip(leaves(found), leaves(run.params), strict=True):
        assert_close(w, ours, slack=2.0**20, message=path)


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


def test_every_optimizer_has_one_there():
    assert torch_twin.OPTIMIZERS.keys() == OPTIMIZERS.keys()


def test_a_loss_that_it_does_not_know(monkeypatch):
    """It is refused, and not taken for the squared one; PyTorch itself need not be there to say so."""
    a, y = np.zeros((2, 3)), np.ones((2, 3))
    assert torch_twin.loss(None, "squared", a, y) == 1.5
    for name in ("absolute", "mse", "Squared", ""):
        with pytest.raises(InputError, match=f"^PyTorch's twin of the network has no loss like '{name}'$"):
            torch_twin.loss(None, name, a, y)


@pytest.mark.parametrize("loss", ["cross_entropy", "squared"])
def test_the_losses_that_are_there(torch, loss):
    """Its value by hand: of outputs (0, 0, 0), the target being the second class."""
    y = torch.tensor([1]) if loss == "cross_entropy" else torch.tensor([[0.0, 1, 0]])
    expected = {"cross_entropy": np.log(3), "squared": 0.5}[loss]
    assert_close(np.float32(torch_twin.loss(torch, loss, torch.zeros(1, 3), y)), expected)


def test_without_pytorch_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"^a comparison with PyTorch needs torch, which is not installed: pip install "
                                         r"'nobackprop\[torch\]'$"):
        torch_twin.load()
