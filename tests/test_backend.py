"""The array module is asked of the arrays: every rule runs on a device, unchanged, unmixed and unhindered."""
from __future__ import annotations

import ast
import copy
import sys
import warnings
from pathlib import Path

import fakecupy
import numpy as np
import pytest

import nobackprop
from nobackprop import backend, learn, models, network
from nobackprop.backend import array_module, open_device, synchronize, to_module, to_numpy
from nobackprop.data import Dataset
from nobackprop.errors import InputError
from nobackprop.optim import OPTIMIZERS, bind
from nobackprop.rules import RULES
from nobackprop.tree import leaves

PACKAGE = Path(nobackprop.__file__).parent


# The stand-in for CuPy


@pytest.fixture
def pair():
    host = np.arange(1.0, 7.0).reshape(2, 3)
    return host, fakecupy.asarray(host)


@pytest.mark.parametrize("mix", [
    lambda host, device: host + device,
    lambda host, device: device + host,
    lambda host, device: device @ host.T,
    lambda host, device: device == host,
    lambda host, device: np.exp(device),
    lambda host, device: np.asarray(device),
    lambda host, device: np.stack([device]),
    lambda host, device: fakecupy.exp(host),
    lambda host, device: fakecupy.stack([device, host]),
    lambda host, device: fakecupy.add(device, device, out=host),
    lambda host, device: device.dot(host.T),
    lambda host, device: device[host > 2],
    lambda host, device: device.__setitem__(0, host[0]),
    lambda host, device: device.__iadd__(host),
    lambda host, device: host.__iadd__(device) + 0,
    lambda host, device: device + [1.0, 2.0, 3.0],
    lambda host, device: fakecupy.exp([1.0, 2.0]),
    lambda host, device: fakecupy.sum([1.0, 2.0]),
    lambda host, device: fakecupy.sum(device, where=device > 2),
    lambda host, device: range(device[0, 0].astype("int64")),
])
def test_the_stand_in_does_not_mix_with_the_host(pair, mix):
    with pytest.raises(TypeError):
        mix(*pair)


@pytest.mark.parametrize("name", ["frompyfunc", "einsum_path", "asmatrix", "no_such_function"])
def test_the_stand_in_has_only_what_cupy_has(pair, name):
    with pytest.raises(AttributeError):
        getattr(fakecupy, name)
    with pytest.raises(AttributeError):
        getattr(pair[1], name)


@pytest.mark.parametrize("compute", [
    lambda xp, a: 2 - a * a / 3.0 + np.float64(1),
    lambda xp, a: (a > 2) & (a <= 5),
    lambda xp, a: a[1, 2],
    lambda xp, a: a[:, 0].sum(),
    lambda xp, a: a[a > 2],
    lambda xp, a: a[xp.asarray([1, 0])],
    lambda xp, a: xp.maximum(-a, 0).T.reshape(-1),
    lambda xp, a: xp.matmul(a, a.T, out=xp.zeros((2, 2))),
    lambda xp, a: xp.stack([row.max() for row in a]),
    lambda xp, a: xp.allclose(a, a),
    lambda xp, a: copy.deepcopy(a),
])
def test_the_stand_in_computes_what_numpy_does(pair, compute):
    host, device = (compute(xp, array) for xp, array in zip((np, fakecupy), pair, strict=True))
    assert isinstance(device, fakecupy.ndarray) and device.dtype == np.asarray(host).dtype
    np.testing.assert_array_equal(device.get(), host)


def test_the_stand_in_keeps_data_of_its_own_and_gives_views_of_it(pair):
    host, device = pair
    host[:] = 0
    device.reshape(-1)[1:][0] += 10
    one = device[1, 2]
    one *= 2
    np.testing.assert_array_equal(device.get(), [[1, 12, 3], [4, 5, 12]])
    device.get()[:] = 0
    assert fakecupy.asarray(device) is device and fakecupy.array(device) is not device
    assert fakecupy.multiply(device, 2, out=device) is device


@pytest.mark.parametrize("reads, act", [
    (1, lambda a: bool(a.sum() > 0)),
    (1, lambda a: float(a.sum())),
    (1, lambda a: int(a.sum())),
    (1, lambda a: a.get()),
    (1, lambda a: a.sum().item()),
    (1, lambda a: a[a > 2]),
    (1, lambda a: fakecupy.where(a > 2)),
    (1, repr),
    (0, lambda a: fakecupy.where(a > 2, a, 0)),
    (0, lambda a: a.reshape(-1, a.shape[-1])[:len(a)] + a.size),
])
def test_the_stand_in_counts_what_the_host_reads(pair, reads, act):
    with fakecupy.watch() as seen:
        act(pair[1])
    assert seen.reads == reads


def test_the_stand_in_notes_the_names_used(pair):
    with fakecupy.watch() as seen:
        fakecupy.tanh(pair[1]).sum(0)
    fakecupy.exp(pair[1])
    assert seen.names == {"tanh", "ndarray.sum"}


def test_cupy_has_what_the_list_says():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
        missing = {name for name in fakecupy.FUNCTIONS | fakecupy.TYPES if not hasattr(cupy, name)}
    assert not missing and set(dir(cupy.ndarray)) >= fakecupy.METHODS


# Which module


def test_arrays_name_their_module(xp):
    a = xp.asarray(np.ones(3))
    assert array_module(a) is xp and array_module(a, a[1:], a.sum()) is xp


@pytest.mark.parametrize("arrays, kinds", [
    ([np.ones(2), fakecupy.ones(2)], "numpy.ndarray, fakecupy.ndarray"),
    ([[1.0, 2.0]], "builtins.list"),
    ([np.ones(2), 1.0], "numpy.ndarray, builtins.float"),
    ([None], "builtins.NoneType"),
    ([], "missing"),
])
def test_arrays_of_two_modules_or_none_are_refused(arrays, kinds):
    with pytest.raises(TypeError, match=kinds):
        array_module(*arrays)


def test_trees_go_there_and_back(xp):
    tree = {"W": np.arange(6.0).reshape(2, 3), "below": [None, (np.ones(2, "float32"),)]}
    there = to_module(tree, xp)
    assert {array_module(array) for _, array in leaves(there)} == {xp}
    back = to_numpy(there)
    for (path, a), (other, b) in zip(leaves(tree), leaves(back), strict=True):
        assert path == other and a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    synchronize(xp)


# Devices


def refused(device: str) -> str:
    with pytest.raises(InputError) as caught:
        open_device(device)
    assert "\n" not in str(caught.value) and f"'{device}'" in str(caught.value)
    return str(caught.value)


@pytest.fixture
def with_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", fakecupy)


def test_the_host_is_a_device():
    assert open_device() is np and open_device("cpu") is np


@pytest.mark.parametrize("name", ["tpu", "cuda:x", "cuda:", "cuda:-1", "cuda:1.5", "cpu:0", "CUDA", ""])
def test_a_device_of_no_known_name(with_cupy, name):
    assert "unknown device" in refused(name) and "expected cpu, cuda or cuda:N" in refused(name)


@pytest.mark.parametrize("device", [0, None, 1.5, ["cpu"], ("cuda", 0), b"cpu", np.int64(0)], ids=repr)
def test_a_device_is_named_by_a_text(with_cupy, device):
    for act in (lambda: open_device(device), lambda: run("bp", 30, device)):
        with pytest.raises(InputError, match="^unknown device .*: expected cpu, cuda or cuda:N$"):
            act()


@pytest.mark.parametrize("digits", [10, 5000])
def test_a_device_of_very_many_digits(with_cupy, digits):
    """Python reads no integer of 5000 digits."""
    with pytest.raises(InputError, match="^unknown device 'cuda:999.*: expected cpu, cuda or cuda:N$") as caught:
        open_device("cuda:" + "9" * digits)
    assert len(str(caught.value)) < 100


def test_no_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    for device in ("cuda", "cuda:1"):
        sentence = f"device '{device}' needs cupy, which is not installed: pip install 'nobackprop[gpu]'"
        assert sentence in refused(device)


def test_cupy_without_a_gpu(with_cupy, monkeypatch):
    def fail():
        raise fakecupy.CUDARuntimeError("cudaErrorNoDevice")
    monkeypatch.setattr(fakecupy.cuda.runtime, "getDeviceCount", fail)
    assert "needs a CUDA GPU" in refused("cuda") and "cudaErrorNoDevice" in refused("cuda:0")


def test_a_gpu_of_no_such_number(with_cupy):
    assert "1 CUDA device(s), counted from 0" in refused("cuda:1")


@pytest.mark.parametrize("name, number", [("cuda", 0), ("cuda:0", 0), ("cuda:2", 2)])
def test_a_gpu_is_made_current(with_cupy, monkeypatch, name, number):
    used = []
    monkeypatch.setattr(fakecupy.cuda.runtime, "getDeviceCount", lambda: 3)
    monkeypatch.setattr(fakecupy.Device, "use", lambda self: used.append(self.number))
    assert open_device(name) is fakecupy and used == [number]


@pytest.mark.gpu
def test_the_gpu(cupy):
    assert open_device("cuda") is cupy


# Learning on a device


def three_steps(xp, rule, optimizer: str):
    """Parameters and state after three steps, on the host, and what the steps did on the stand-in."""
    rng = np.random.default_rng(0)
    net = models.build("mlp:7,6,7", (2, 2, 1), 3, "tanh")
    params, shapes = network.init(net, rng, (2, 2, 1), "float64")
    state = to_module(rule.init(rng, net, params, shapes), xp)
    params = to_module(params, xp)
    opt, opt_state = (bind(optimizer, tree, 0.01, weight_decay=0.1) for tree in (params, state))
    batches = [(xp.asarray(rng.standard_normal((8, 2, 2, 1))), xp.asarray(np.eye(3)[rng.integers(3, size=8)]))
               for _ in range(3)]
    with fakecupy.watch() as seen:
        for x, y in batches:
            learn.step(net, rule, params, state, opt, opt_state, x, y, rng)
    return [*leaves(to_numpy(params)), *leaves(to_numpy(state))], seen


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", RULES)
def test_a_step_on_a_device_does_what_it_does_on_the_host(xp, name, optimizer):
    expected, _ = three_steps(np, RULES[name], optimizer)
    came, seen = three_steps(xp, RULES[name], optimizer)
    for (path, a), (other, b) in zip(expected, came, strict=True):
        assert path == other and a.dtype == b.dtype
        if xp.__name__ == "cupy":
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)
        else:
            np.testing.assert_array_equal(a, b)
    assert seen.reads == (xp is fakecupy)  # the first step looks at its targets, and no later one does
    assert bool(seen.names) == (xp is fakecupy)
    assert seen.names <= fakecupy.FUNCTIONS | {f"ndarray.{method}" for method in fakecupy.METHODS}


def data(samples: int) -> Dataset:
    rng = np.random.default_rng(1)
    parts = [(rng.standard_normal((n, 4)).astype("float32"), rng.integers(3, size=n))
             for n in (40, 20, samples)]
    (x_validation, y_validation), (x_test, y_test), (x, y) = parts
    return Dataset("small", 3, x, y, x_validation, y_validation, x_test, y_test)


def run(name: str, samples: int, device: str):
    part = data(samples)
    return learn.Run(models.build("mlp:6,6", part.shape, 3, "tanh"), RULES[name], part,
                     learn.Settings(epochs=2, batch_size=8), device=device, name=name)


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_a_run_on_a_device_writes_the_same_history(with_cupy, name):
    host, device = (run(name, 30, where) for where in ("cpu", "cuda"))
    assert device.xp is fakecupy
    for _ in range(2):
        assert host.epoch() == device.epoch()
    assert host.history == device.history and host.test_accuracy() == device.test_accuracy()


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_what_an_epoch_reads_does_not_grow_with_its_steps(with_cupy, name):
    reads = []
    for samples in (16, 160):
        on_device = run(name, samples, "cuda")
        with fakecupy.watch() as seen:
            on_device.epoch()
        reads.append(seen.reads)
    assert 0 < reads[0] == reads[1] < 30


# No module but the arrays' own


def computing_with_numpy(source: str) -> list[str]:
    """The places where a file uses NumPy, but in annotations and in `init`, which draws on the host."""
    tree = ast.parse(source)
    spared: set[ast.AST] = set()
    for node in ast.walk(tree):
        kept: list[ast.AST | None] = []
        if isinstance(node, ast.arg | ast.AnnAssign):
            kept = [node.annotation]
        elif isinstance(node, ast.FunctionDef):
            kept = [node.returns, *(node.body if node.name == "init" else [])]
        spared.update(below for part in kept if part for below in ast.walk(part))
    return [f"line {node.lineno}: {ast.unparse(node)}" for node in ast.walk(tree)
            if (isinstance(node, ast.Name) and node.id == "np" and node not in spared)
            or (isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in ARRAYS)
            or (isinstance(node, ast.Import) and any(_hidden(alias) for alias in node.names))]


ARRAYS = ("numpy", "cupy", "scipy")


def _hidden(alias: ast.alias) -> bool:
    """Whether an import could bring in array functions under a name other than np."""
    return alias.name.partition(".")[0] in ARRAYS and (alias.name, alias.asname) != ("numpy", "np")


@pytest.mark.parametrize("source, wrong", [
    ("import numpy as np\ndef f(rng: np.random.Generator) -> np.ndarray: ...", 0),
    ("import numpy as np\ndef init(rng):\n    return np.zeros(3)", 0),
    ("import numpy as np\nx: np.ndarray", 0),
    ("import numpy as np\ndef f(x: np.ndarray):\n    return np.exp(x)", 1),
    ("import numpy as np\ndef f(x=np.nan): ...", 1),
    ("import numpy as np\nx: float = np.pi", 1),
    ("from numpy import exp", 1),
    ("from numpy.linalg import qr", 1),
    ("import numpy", 1),
    ("import cupy as np", 1),
    ("import scipy.special", 1),
    ("from .. import numpy_free", 0),
])
def test_the_search_for_numpy_finds_it(source, wrong):
    assert len(computing_with_numpy(source)) == wrong


@pytest.mark.parametrize("path", [
    *sorted((PACKAGE / "kernels").glob("*.py")), *sorted((PACKAGE / "rules").glob("*.py")),
    *(PACKAGE / name for name in ("layers.py", "heads.py", "network.py")),
], ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_that_learns_computes_with_numpy(path):
    source = path.read_text()
    assert not computing_with_numpy(source)
    if path.parent.name == "kernels":
        imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import)]
        assert not [name for node in imports for name in node.names if name.name in ARRAYS]


def test_only_the_backend_opens_a_device():
    """Everybody else would need CuPy to be imported."""
    others = {path.name for path in PACKAGE.rglob("*.py") if 'package("cupy"' in path.read_text()}
    assert others == {Path(backend.__file__).name}
