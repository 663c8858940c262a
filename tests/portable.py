"""`make portable`: the numeric tests on other processors' kernels and on other versions, as far as they are here.

OpenBLAS has kernels of its own for each kind of processor, adds up in another order in each, and lets one choose by
OPENBLAS_CORETYPE.  Every kind runs with one BLAS thread and with two, each under five seeds of Hypothesis with ten
examples each.  Then nox runs the fast tests on other Pythons, and on the oldest and the newest versions that setup.cfg
allows.

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
THREADS = (1, 2)
TESTS = ["tests/test_golden.py", "tests/test_tolerance.py", "tests/test_kernels.py", "tests/test_convolution.py",
         "tests/test_winograd.py", "tests/test_layers.py", "tests/theorems"]
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


def trial(kind: str, threads: int, seed: int) -> bool:
    run = python("-m", "pytest", "-p", "no:cacheprovider", "-m", "not gpu", f"--hypothesis-seed={seed}", *TESTS,
                 OPENBLAS_CORETYPE=kind, OPENBLAS_NUM_THREADS=str(threads), HYPOTHESIS_PROFILE="fast")
    failed = re.findall(r"^(?:FAILED|ERROR) .*", run.stdout, re.M)
    print("\n".join([f"{kind}, {threads} BLAS threads, seed {seed}: {run.stdout.strip().splitlines()[-1]}", *failed]),
          flush=True)
    return run.returncode == 0


def kernels() -> tuple[bool, list[str]]:
    """(whether all passed, a table of kinds, threads and seeds)."""
    absent = {kind: why_not(kind) for kind in KINDS}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = {(kind, threads): [pool.submit(trial, kind, threads, seed) for seed in SEEDS]
                   for kind in KINDS if not absent[kind] for threads in THREADS}
        found = {at: [future.result() for future in row] for at, row in futures.items()}
    rows = [f"{'BLAS kernels':<14}{'threads':<9}" + "".join(f"{f'seed {seed}':<8}" for seed in SEEDS)]
    rows += [f"{kind:<14}not run: {absent[kind]}" for kind in KINDS if absent[kind]]
    rows += [f"{kind:<14}{threads:<9}" + "".join(f"{'ok' if passed else 'FAILED':<8}" for passed in row)
             for (kind, threads), row in found.items()]
    return all(map(all, found.values())), rows


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
