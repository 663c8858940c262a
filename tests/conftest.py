"""What all tests share: the array modules present, the data folder, and that no global generator moves."""
from __future__ import annotations

import gc
import os
import random
import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import fakecupy
import numpy as np
import pytest
import sklearn.manifold  # noqa: F401  its first import moves Python's generator, whichever test it falls into
from hypothesis import settings

with suppress(ImportError):
    import rich.style  # noqa: F401  scikit-learn imports it if it is there, and its first import draws a number


gc.disable()  # until all tests are collected: nothing that collecting makes is garbage
settings.register_profile("fast", max_examples=10, deadline=None)
settings.register_profile("dev", max_examples=30, deadline=None)
settings.register_profile("ci", max_examples=50, deadline=None, derandomize=True, database=None)
settings.register_profile("thorough", max_examples=300, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two processes must collect the same names: a name with an address in it is another one in each."""
    wrong = [item.nodeid for item in items if re.search(r" at 0x[0-9a-fA-F]{6,}", item.nodeid)]
    if wrong:
        raise pytest.UsageError(f"the name of a test holds an address, give its parameters ids: {wrong[0]}")


def pytest_collection_finish() -> None:
    """Thousands of tests and all modules stay to the end, so no collection of garbage has to look at them again."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made and their files are written, but no pixel is computed, which takes longer than a short training.

    It is for tests of what runs, and of what it leaves; tests/test_plots.py looks at figures.
    """
    monkeypatch.setattr("matplotlib.figure.Figure.savefig",
                        lambda figure, path, **how: Path(path).write_bytes(b"a figure"))


@pytest.fixture(scope="session")
def cupy() -> ModuleType:
    """CuPy with a GPU behind it; skips the test where either is missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("cupy", reason="CuPy is not installed")
    try:
        module.cuda.runtime.getDeviceCount()
    except module.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"CuPy finds no GPU: {error}")
    return module


@pytest.fixture(scope="session", params=["numpy", "fakecupy", pytest.param("cupy", marks=pytest.mark.gpu)])
def xp(request: pytest.FixtureRequest) -> ModuleType:
    """Every array module: NumPy, CuPy, and the stand-in for CuPy."""
    return {"numpy": np, "fakecupy": fakecupy}.get(request.param) or request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of data sets: NOBACKPROP_DATA, else ../shared/data beside the repository."""
    folder = Path(os.environ.get("NOBACKPROP_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no data sets: {folder} is no folder; name one in NOBACKPROP_DATA")
    return folder


@pytest.fixture(autouse=True)
def no_global_random_state() -> Iterator[None]:
    """Fails a test that moves Python's or NumPy's global generator; Hypothesis puts them back by itself."""
    before = _global_states()
    yield
    moved = _global_states() != before  # apart from the assert, which would print both
    assert not moved, "the test moved a global generator: use numpy.random.default_rng"


def _global_states() -> tuple[object, ...]:
    name, keys, *rest = np.random.get_state(legacy=True)
    return random.getstate(), name, np.asarray(keys).tobytes(), *rest
