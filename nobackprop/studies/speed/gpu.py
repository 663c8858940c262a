"""`make bench-gpu`: three networks under several rules on a GPU, against PyTorch's backpropagation there, by turns.

    python -m nobackprop.studies.speed.gpu            # measure what is missing, then write the page
    python -m nobackprop.studies.speed.gpu --page     # write the page docs/performance.md from what is stored

Nobody has run this on a GPU yet.  The tests run it on the stand-in for CuPy.
"""
from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any

from ...backend import open_device
from ..measured import Row, Store, machine, said, table
from . import torch_twin
from .overview import PAGE, RULES, measure

MODULE = "nobackprop.studies.speed.gpu"
STORE = Store("bench-gpu", Path("docs") / "results" / "studies" / "gpu.json", "nobackprop gpu 1")
NETWORKS = (("mlp:1024,1024", "mnist", 1024), ("conv3", "cifar-10", 256), ("resnet18", "cifar-10", 128))
DEVICE = "cuda"


def cells() -> list[Row]:
    """Return all that is measured, in order.

    Examples
    --------
    >>> cells()[0]
    {'model': 'mlp:1024,1024', 'data': 'mnist', 'batch_size': 1024}
    """
    return [{"model": model, "data": data, "batch_size": batch} for model, data, batch in NETWORKS]


def on_device(cell: Row) -> list[Row]:
    """Measure a cell on the GPU: the rows of `overview.measure`, with the date.

    PyTorch computes in float32 as CuPy does: TF32, which rounds its factors to 10 bits, is switched off.

    Examples
    --------
    >>> rows = on_device(cells()[0])  # doctest: +SKIP
    """
    torch = torch_twin.load()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return [{"date": today, **row} for row in measure(cell["model"], cell["data"], cell["batch_size"], 1,
                                                      device=DEVICE)]


def text(stored: dict[str, Any]) -> str:
    """Return the part of docs/performance.md about GPUs.

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
    >>> row = cells()[0] | {"date": "2026-11-26", "rule": "bp", "ms": 2.0, "torch_ms": 1.0, "low": 1.5, "median": 2.0,
    ...                     "high": 2.5}
    >>> print(text({"machine": {"gpu": "a GPU"}, "rows": [row]}).splitlines()[-1])
    | mlp:1024,1024, batch 1024 | 1 | **2.00** (1.50, 2.50) |  |  |  |  |
    """
    rows = stored["rows"]
    if not rows:
        return "Nothing has been timed on a GPU yet: `make bench-gpu` does it, and writes this place.\n"
    lines = []
    for cell in cells():
        found = {row["rule"]: row for row in rows if cell.items() <= row.items()}
        timed = [row for row in found.values() if "median" in row]
        if timed:
            lines.append([f"{cell['model']}, batch {cell['batch_size']}", f"{timed[0]['torch_ms']:.3g}", *(
                "" if rule not in found else "-" if "refused" in found[rule] else
                "**{median:.2f}** ({low:.2f}, {high:.2f})".format(**found[rule]) for rule in RULES)])
    dates = ", ".join(sorted({row["date"] for row in rows}))
    return f"{said(stored['machine'])} Measured on {dates}.\n\n{table(['network', 'PyTorch (ms)', *RULES], lines)}\n"


def main(argv: list[str]) -> None:
    """Do what the command line asks for.

    Parameters
    ----------
    argv : list of str
        Nothing, or "--page".

    Raises
    ------
    SystemExit
        After other arguments, or if there is no GPU, or if something cannot be written; it holds one sentence.

    Examples
    --------
    >>> main(["--help"])
    Traceback (most recent call last):
    SystemExit: usage: python -m nobackprop.studies.speed.gpu [--page]
    """
    def measure_all() -> None:
        open_device(DEVICE)
        here = machine("numpy", "cupy", "torch") | {"gpu": torch_twin.load().cuda.get_device_name()}
        STORE.fill(here, cells(), on_device)
    STORE.command(argv, MODULE, measure_all, PAGE, text)


if __name__ == "__main__":
    main(sys.argv[1:])
