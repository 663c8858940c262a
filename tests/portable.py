"""`make portable`: the numeric tests on other processors' kernels and on other versions, as far as they are here.

OpenBLAS has kernels of its own for each kind of processor, adds up in another order in each, and lets one choose by
OPENBLAS_CORETYPE.  Every kind runs under five seeds of Hypothesis, by turns with two BLAS threads and with one: half of
the product of kinds, threads and seeds.  Then nox runs the fast tests on other
Pythons, and on the oldest and the newest versions that setup.cfg allows.

What cannot run here is named with the reason, and the exit code is 1 if anything failed.
"""
from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("Prescott", "Sandybridge", "Haswell", "Zen", "SkylakeX")
ALIASES = {"Prescott": "Katmai"}  # the oldest kernels of a build go by the oldest name
SEEDS = range(1, 6)
TESTS = ["tests/test_golden.py", "tests/test_tolerance.py", "tests/test_kernels.py", "tests/test_convolution.py",
         "tests/test_layers.py", "tests/theorems"]
ASK = """
import numpy, threadpoolctl
numpy.ones((99, 99)) @ numpy.ones((99, 99))
print(*{library["architecture"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"})
"""


def python(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=os.environ | variables, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def why_not(kind: str) -> str | None:
    """Why these kernels cannot run here, or None: whoever asks for them may get others, or an illegal instruction."""
    answer = python("-c", ASK, OPENBLAS_CORETYPE=kind)
    if answer.returncode < 0:
        return f"this processor stops with signal {-answer.returncode}"
    came = answer.stdout.strip()
    if came in (kind, ALIASES.get(kind)):
        return None
    return f"this NumPy has {came}'s kernels in their place" if came else "NumPy's BLAS is no OpenBLAS"


def trial(kind: str, seed: int) -> tuple[bool, str]:
    threads = str(1 + seed % 2)
    run = python("-m", "pytest", "-p", "no:cacheprovider", "-m", "not gpu", f"--hypothesis-seed={seed}", *TESTS,
                 OPENBLAS_CORETYPE=kind, OPENBLAS_NUM_THREADS=threads, HYPOTHESIS_PROFILE="dev")
    failed = re.findall(r"^(?:FAILED|ERROR) .*", run.stdout, re.M)
    print("\n".join([f"{kind}, seed {seed}, {threads} BLAS threads: {run.stdout.strip().splitlines()[-1]}", *failed]),
          flush=True)
    return run.returncode == 0, f"{'ok' if run.returncode == 0 else 'FAILED'} ({threads})"


def kernels() -> tuple[bool, list[str]]:
    """(whether all passed, a table of kinds and seeds)."""
    absent = {kind: why_not(kind) for kind in KINDS}
    here = [kind for kind in KINDS if not absent[kind]]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = {(kind, seed): pool.submit(trial, kind, seed) for kind in here for seed in SEEDS}
        found = {at: future.result() for at, future in futures.items()}
    rows = [f"{'BLAS kernels':<14}" + "".join(f"{f'seed {seed}':<12}" for seed in SEEDS) + "(BLAS threads)"]
    rows += [f"{kind:<14}" + (f"not run: {absent[kind]}" if absent[kind] else
                              "".join(f"{found[kind, seed][1]:<12}" for seed in SEEDS)) for kind in KINDS]
    return all(passed for passed, _ in found.values()), rows


def versions() -> tuple[bool, list[str]]:
    """(whether no session failed, what nox says of each)."""
    if importlib.util.find_spec("nox") is None:
        return True, ["versions: not run: nox is not installed"]
    run = python("-m", "nox", "--no-error-on-missing-interpreters")
    print(run.stdout, flush=True)
    return run.returncode == 0, re.findall(r"^nox > \* (.*)", run.stdout, re.M) or ["versions: nox ran no session"]


if __name__ == "__main__":
    results = [kernels(), versions()]
    print("\n" + "\n\n".join("\n".join(rows) for _, rows in results))
    sys.exit(not all(passed for passed, _ in results))
