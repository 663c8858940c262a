"""`make bench-gpu`, as far as it can be seen without a GPU: CuPy's stand-in and a PyTorch that does nothing."""
from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import fakecupy
import numpy as np
import pytest

from nobackprop.studies.speed import bench, gpu, overview, torch_twin
from nobackprop.studies.speed.overview import RULES

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def pair(monkeypatch):
    """The stand-in as CuPy, and a PyTorch whose steps are noted; log has what happened, in order."""
    log: list[str] = []
    flags = SimpleNamespace(matmul=SimpleNamespace(allow_tf32=True)), SimpleNamespace(allow_tf32=True)
    torch = SimpleNamespace(
        cuda=SimpleNamespace(synchronize=lambda: log.append("waited for torch"), get_device_name=lambda: "a GPU"),
        backends=SimpleNamespace(cuda=flags[0], cudnn=flags[1]),
        get_num_threads=lambda: 1, set_num_threads=lambda n: None)
    monkeypatch.setitem(sys.modules, "cupy", fakecupy)
    monkeypatch.setattr(fakecupy.cuda, "get_current_stream", lambda: SimpleNamespace(
        synchronize=lambda: log.append("waited for cupy")))
    monkeypatch.setattr(torch_twin, "load", lambda: torch)
    monkeypatch.setattr(torch_twin, "stepper", lambda run, device: lambda: log.append(f"torch on {device}"))
    monkeypatch.setattr(bench, "POOL", 1)
    return torch, log


@pytest.mark.slow
def test_all_rules_take_turns_on_the_device(pair, monkeypatch):
    """A turn ends with PyTorch; after each step the clock waits for the device that took it."""
    torch, log = pair
    monkeypatch.setattr(overview, "SECONDS", 0.0)
    monkeypatch.setattr(overview, "turns", lambda steps, seconds, threads: np.array([
        [one_step() or 1.0 + i, 2.0 + i] for i, one_step in enumerate(steps)]))
    monkeypatch.setattr(gpu, "NETWORKS", (("conv3:0.03", "cifar-10", 2),))
    rows = gpu.on_device(gpu.cells()[0])
    assert log[-2:] == ["torch on cuda", "waited for torch"] and set(log[:-2]) == {"waited for cupy"}
    assert [row["rule"] for row in rows] == [*(rule for rule in RULES if rule != "al"), "al"]
    assert len(log) == 2 + 4 and "halves" in rows[-1]["refused"]
    assert all(len(row["date"]) == 10 for row in rows)
    assert not torch.backends.cuda.matmul.allow_tf32 and not torch.backends.cudnn.allow_tf32


def test_the_command_measures_each_network_and_writes_the_page(pair, monkeypatch, tmp_path):
    page = tmp_path / "performance.md"
    page.write_text("<!-- begin: written by make bench-gpu -->\n<!-- end -->\n")
    monkeypatch.setattr(gpu, "PAGE", page)
    monkeypatch.setattr(gpu, "STORE", replace(gpu.STORE, path=tmp_path / "gpu.json"))
    monkeypatch.setattr(gpu, "machine", lambda *modules: dict.fromkeys(modules, "1.0"))
    monkeypatch.setattr(gpu, "on_device", lambda cell: [
        {"date": "2030-01-02", "rule": "bp", "ms": 3.0, "torch_ms": 4.0, "low": 0.7, "median": 0.75, "high": 0.8},
        {"date": "2030-01-02", "rule": "al", "refused": "a sentence"}])
    gpu.main([])
    text = page.read_text()
    assert "numpy 1.0, cupy 1.0, torch 1.0, gpu a GPU. Measured on 2030-01-02." in text
    assert "| resnet18, batch 128 | 4 | **0.75** (0.70, 0.80) |  |  |  | - |" in text
    gpu.main(["--page"])
    assert page.read_text() == text


def test_without_cupy_or_a_gpu_it_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(SystemExit, match="device 'cuda' needs cupy"):
        gpu.main([])
    with pytest.raises(SystemExit, match="usage"):
        gpu.main(["--pages"])


def test_the_page_shows_what_is_stored():
    path, page = ROOT / gpu.STORE.path, (ROOT / gpu.PAGE).read_text(encoding="utf-8")
    stored = replace(gpu.STORE, path=path).read() if path.exists() else {"rows": []}
    assert gpu.STORE.put(page, gpu.text(stored)) == page


@pytest.mark.torch
def test_pytorch_takes_the_steps_of_a_run_that_is_on_a_device(monkeypatch):
    """Its tensors come from the device through the host; here they go to PyTorch's own host."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    monkeypatch.setitem(sys.modules, "cupy", fakecupy)
    run = bench.random_run("mlp:6", "xor", "bp", 8, "adam", "cuda")
    assert isinstance(run.x, fakecupy.ndarray)
    torch_twin.stepper(run, "cpu")()


@pytest.mark.gpu
def test_on_a_gpu(cupy, monkeypatch):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    rows = overview.measure("mlp:64", "mnist", 32, 1, 0.1, "cuda")
    assert all(row["ms"] > 0 for row in rows if "ms" in row)
