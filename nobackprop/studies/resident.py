"""How much memory a training process takes, seen from outside: ResNet-18 under sharing, and in PyTorch.

    python -m nobackprop.studies.resident           # measure what is missing, then write the page docs/memory.md
    python -m nobackprop.studies.resident --page    # write the page from what is stored

The count of the thesis on ASAP, (6.1)-(6.2), and the bytes of a tape (`studies.memory`) say what sharing saves of what
they count.  The operating system counts everything: the most memory that was resident, which is the memory that was in
use at one moment.  Every row is measured in a new process, which takes a few steps.  The parent process asks the system
for its peak.
"""
from __future__ import annotations

import ctypes
import gc
import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import workers
from ..backend import M_MMAP_THRESHOLD
from ..errors import InputError
from ..learn import Run
from ..tree import leaves
from . import memory
from .measured import Row, Store, machine, said, table
from .speed import torch_twin
from .speed.bench import peak_bytes, random_run, stepper

MODULE = "nobackprop.studies.resident"
STORE = Store("memory", Path("docs") / "results" / "studies" / "memory.json", "nobackprop memory 1")
PAGE = Path("docs") / "memory.md"
TORCH = "bp in PyTorch"
WHO = ("bp", "asap:k=2", "asap:k=4", TORCH)
# what glibc does with the memory of an array that is freed: the library's setting, or back to the system at once
FREED = ("kept", "returned")
REPEATS, STEPS = 3, 3
SMALLEST_MAP = 128 << 10  # bytes: each array from here on is memory of its own, which goes back when it is freed
MODEL, DATA, BATCH, OPTIMIZER = "resnet18", "cifar-10", 128, "momentum"


# ---------------------------------------------------------------- inside a process that trains


def resident(what: str = "VmRSS", process: int | str = "self") -> int:
    """Return the bytes of a process that are in memory now, or those at its peak if `what` is "VmHWM".

    Raises
    ------
    InputError
        If the system does not say it, as only Linux does.

    Examples
    --------
    >>> resident("VmHWM") >= resident() > 1000000
    True
    """
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith(f"{what}:")).split()[1])
    except (OSError, StopIteration):
        raise InputError(f"the memory of a process is measured on Linux alone: /proc/{process}/status says nothing of "
                         f"{what}") from None


def own(run: Run) -> int:
    """Return the bytes of the parameters of a run, of its state, and of what its optimisers remember.

    Examples
    --------
    >>> own(random_run("mlp:4", "digits", "bp", 2, "sgd")) // 4
    310
    """
    memories = [array for opt in run.optimizers for _, arrays in opt.slots.values() for array in arrays]
    return sum(array.nbytes for _, array in leaves([run.params, run.state, memories]))


def train(who: str, freed: str, model: str = MODEL, batch_size: int = BATCH) -> Row:
    """Take a few steps in this process, and return what it has taken.

    Parameters
    ----------
    who : str
        A rule, or TORCH.
    freed : {"kept", "returned"}
        What glibc does with the memory of a freed array.
    model : str
    batch_size : int

    Returns
    -------
    dict
        In bytes: "imports", resident when all modules are there; "data", the random samples and their targets; "own",
        parameters, state and the optimisers' memories (not of PyTorch); "high", the peak of the process after each
        step; "after", resident after the last step; "trimmed", resident when glibc has given back what it can.

    Examples
    --------
    >>> found = train("bp", "kept", "mlp:4", 2)  # doctest: +SKIP
    """
    torch = torch_twin.load() if who == TORCH else None
    imports = resident()
    libc = ctypes.CDLL(None)
    run = random_run(model, DATA, "bp" if torch else who, batch_size, OPTIMIZER)
    found: Row = {"imports": imports, "data": run.x.nbytes + run.y.nbytes}
    with workers.limit(1), np.errstate(over="ignore", invalid="ignore"):
        if torch:
            torch.set_num_threads(1)
            one_step = torch_twin.stepper(run)
            del run
        else:
            found["own"], one_step = own(run), stepper(run)
        if freed == "returned":
            libc.mallopt(M_MMAP_THRESHOLD, SMALLEST_MAP)
        gc.collect()
        libc.malloc_trim(0)
        found["high"] = []
        for _ in range(STEPS):
            one_step()
            found["high"].append(resident("VmHWM"))
        gc.collect()
        found["after"] = resident()
        libc.malloc_trim(0)
        found["trimmed"] = resident()
    return found


# ---------------------------------------------------------------- outside


def outside(command: Sequence[str]) -> tuple[str, int]:
    """Run a command, and return the line that it prints and the most memory that it had at a moment, in bytes.

    Parameters
    ----------
    command : sequence of str
        It prints one line, and then waits until its standard input is closed.  Then its peak is read.

    Returns
    -------
    tuple of str and int

    Raises
    ------
    InputError
        If the command prints nothing, or fails.

    Notes
    -----
    The system also counts the peak of a child that has ended (getrusage).  That number is at least what the parent had
    in memory when it started the child, so it is not used here.

    Examples
    --------
    >>> code = "import sys; a = b'x' * 200_000_000; print(len(a), flush=True); sys.stdin.read()"
    >>> line, peak = outside([sys.executable, "-c", code])
    >>> line, 200_000_000 < peak < 250_000_000
    ('200000000\\n', True)
    """
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        line = process.stdout.readline()
        peak = resident("VmHWM", process.pid) if line else 0
        process.stdin.close()
    if process.returncode or not line:
        raise InputError(f"the measured process ended with code {process.returncode}")
    return line, peak


def cells() -> list[Row]:
    """Return all that is measured, in order: repeats are apart in time.

    Examples
    --------
    >>> len(cells()), cells()[1]
    (24, {'who': 'asap:k=2', 'freed': 'kept', 'repeat': 1})
    """
    return [{"who": who, "freed": freed, "repeat": repeat}
            for repeat in range(1, REPEATS + 1) for freed in FREED for who in WHO]


def in_process(cell: Row) -> list[Row]:
    """Measure a cell in a process of its own, and return its one row: what `train` returns, and "peak".

    Examples
    --------
    >>> rows = in_process(cells()[0])  # doctest: +SKIP
    """
    print(*cell.values(), file=sys.stderr, flush=True)
    line, peak = outside([sys.executable, "-m", MODULE, "--train", cell["who"], cell["freed"]])
    return [{**json.loads(line), "peak": peak}]


def counted() -> list[Row]:
    """Return what is counted inside, a row for each rule.

    Returns
    -------
    list of dict
        "rule"; "accesses" and "accesses_both_sets" as (6.1)-(6.2) count them; in bytes "tape", and "allocated", the
        most that a step allocates on top of what stays.

    Examples
    --------
    >>> rows = counted()  # doctest: +SKIP
    """
    rows = []
    with workers.limit(1), np.errstate(over="ignore", invalid="ignore"):
        for rule, column in memory.measure(MODEL, DATA, "asap", None, BATCH)["columns"].items():
            one_step = stepper(random_run(MODEL, DATA, rule, BATCH, OPTIMIZER))
            one_step()
            rows.append({"rule": rule, "tape": column["total_bytes"], "allocated": peak_bytes(one_step, np),
                         **{key: sum(column[key].values()) for key in ("accesses", "accesses_both_sets")}})
    return rows


# ---------------------------------------------------------------- the page


def above(row: Row) -> int:
    """Return the peak of a process above its imports and data, in bytes.

    Examples
    --------
    >>> above({"peak": 100, "imports": 30, "data": 10})
    60
    """
    return int(row["peak"]) - int(row["imports"]) - int(row["data"])


def text(stored: dict[str, Any]) -> str:
    """Return the part of docs/memory.md that shows what was measured.

    Parameters
    ----------
    stored : dict
        What `STORE` reads.

    Returns
    -------
    str
        Markdown.

    Examples
    --------
    >>> text({"machine": {}, "rows": []})
    'Not measured yet: `make memory` writes this place.\\n'
    """
    rows = stored["rows"]
    of = {(who, freed): [row for row in rows if (row.get("who"), row.get("freed")) == (who, freed)]
          for who in WHO for freed in FREED}
    count = {row["rule"]: row for row in rows if "rule" in row}
    if not count or not all(of.values()):
        return STORE.nothing
    middle = {key: statistics.median(map(above, found)) for key, found in of.items()}
    lines = []
    for who in WHO:
        mine, bp = of[who, "kept"], count["bp"]
        lines.append([
            f"`{who}`" if who in count else who,
            *([f"{count[who][key] / bp[key]:.2f}" for key in ("accesses", "accesses_both_sets", "tape")]
              if who in count else [""] * 3),
            _mega(mine[0].get("own")), _mega(count.get(who, {}).get("allocated")),
            _spread([row["peak"] for row in mine]),
            *(field for freed in FREED for field in (
                _spread(list(map(above, of[who, freed]))),
                f"**{middle[who, freed] / middle['bp', freed]:.2f}**"))])
    kept = [[f"`{who}`" if who in count else who,
             *(_mega(statistics.median(row[key] for row in of[who, freed]))
               for freed in FREED for key in ("after", "trimmed"))] for who in WHO]
    return "\n\n".join([
        said(stored["machine"]) + f" {STEPS} steps of {MODEL} on inputs as of {DATA}, batch size {BATCH}, {OPTIMIZER}, "
        "one thread. Bytes are in millions: the median of "
        f"{max(map(len, of.values()))} processes, and in brackets the least and the largest. Ratios are to `bp`.",
        table(["", "accesses, (6.1)-(6.2)", "with both W and B", "tape", "stays: W, B, momentum", "a step adds",
               "peak of the process", "above imports and data", "ratio", "if freed memory goes back", "ratio"], lines),
        "Resident after the last step, and after glibc was told to give back what it can (`malloc_trim`):",
        table(["", "freed memory is kept", "trimmed", "freed memory goes back", "trimmed"], kept)]) + "\n"


def _mega(count: float | None) -> str:
    """Bytes in millions."""
    return "" if count is None else f"{count / 1e6:.0f}"


def _spread(counts: Sequence[float]) -> str:
    """The median, and the least and the largest."""
    return f"{_mega(statistics.median(counts))} ({_mega(min(counts))}, {_mega(max(counts))})"


def main(argv: list[str]) -> None:
    """Do what the command line asks for.

    Parameters
    ----------
    argv : list of str
        Nothing, or "--page".

    Raises
    ------
    SystemExit
        After other arguments, or if something cannot be measured or written; it holds one sentence.

    Examples
    --------
    >>> main(["--help"])
    Traceback (most recent call last):
    SystemExit: usage: python -m nobackprop.studies.resident [--page]
    """
    if argv[:1] == ["--train"] and len(argv) == 3:
        print(json.dumps(train(argv[1], argv[2])), flush=True)
        sys.stdin.read()  # until the parent has read the peak
        return

    def measure() -> None:
        here = machine("numpy", "torch") | {"libc": " ".join(platform.libc_ver())}
        STORE.fill(here, cells(), in_process)
        STORE.fill(here, [{"rule": "bp"}], lambda cell: counted())
    STORE.command(argv, MODULE, measure, PAGE, text)


if __name__ == "__main__":
    main(sys.argv[1:])
