"""results.json, the one contract between running and showing: its folder, its file, its table.

    {"config": {...}, "environment": {...},
     "runs": [{"rule", "seed", "parameters", "seconds", "test_accuracy",
               "history": [{"epoch", "train_loss", "validation_accuracy",
                            "alignment": [one cosine per hidden block], "alignment_at_a": [...]}]}]}

`test_accuracy` is null in a run that did not reach its end, a cosine where a rule sends no signal.  "config"
has "interrupted": true where Ctrl-C ended it all, and in "diverged" the sentence where a diverging run did.
"""
from __future__ import annotations

import json
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from .errors import InputError
from .files import atomic

NUMBER = (int, float)
NUMBER_OR_NULL = (int, float, type(None))
# what a reader relies on: a list of one form is any number of them, a dict has at least these keys
FORM: Any = {
    "config": {"data": str, "model": str},
    "runs": [{
        "rule": str,
        "seed": int,
        "seconds": NUMBER,
        "test_accuracy": NUMBER_OR_NULL,
        "history": [{
            "epoch": int,
            "train_loss": NUMBER,
            "validation_accuracy": NUMBER,
            "alignment": [NUMBER_OR_NULL],
            "alignment_at_a": [NUMBER_OR_NULL],
        }],
    }],
}
FORM_NAMES = {str: "a text", int: "an integer", NUMBER: "a number", NUMBER_OR_NULL: "a number or null"}


@contextmanager
def folder(out: str | None, name: str) -> Iterator[Path]:
    """A new folder to write to: `out`, else the first free of runs/NAME-001, runs/NAME-002, ...

    Where it is still empty at the end, it goes again, and with it the parents made for it.  Raises InputError
    where `out` is in use or no folder can be made.
    """
    paths = [Path(out)] if out is not None else (Path("runs", f"{name}-{n:03}") for n in count(1))
    for path in paths:
        made = [place for place in (path, *path.parents) if not os.path.lexists(place)]
        if out is None and path not in made:
            continue
        try:
            if path not in made and any(path.iterdir()):
                raise InputError(f"the folder {path} is already used, expected a new or an empty one")
            path.mkdir(parents=True, exist_ok=out is not None)
            tempfile.TemporaryFile(dir=path).close()
            break
        except FileExistsError:
            # another process was faster
            continue
        except OSError as error:
            _remove(made)
            raise InputError(f"cannot write to the folder {path} ({error.strerror}): "
                             "name another one with --out DIR") from None
    try:
        yield path
    finally:
        _remove(made)


def _remove(folders: list[Path]) -> None:
    """Those that are empty, from the innermost out."""
    for place in folders:
        with suppress(OSError):
            place.rmdir()


def strict(value: Any) -> Any:
    """The same value as strict JSON can hold it: None for numbers that are not finite."""
    if isinstance(value, dict):
        return {key: strict(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [strict(child) for child in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write(path: str | os.PathLike[str], results: dict[str, Any]) -> None:
    """Write results.json, all of it or nothing."""
    text = json.dumps(strict(results), indent=1, allow_nan=False)
    with atomic(path) as partial:
        partial.write_text(f"{text}\n", encoding="utf-8")


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `write` wrote.

    Raises InputError, naming the key, where a key is missing or holds something else.
    """
    try:
        results = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_no_number)
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror}): expected a results.json") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON, expected a results.json: {error}") from None
    _check(path, "", results, FORM)
    for i, run in enumerate(results["runs"]):
        if not run["history"]:
            raise InputError(f"{path}: 'runs[{i}].history' is empty, expected at least one epoch")
    if not results["runs"]:
        raise InputError(f"{path}: 'runs' is empty, expected at least one run")
    return results


def _no_number(constant: str) -> None:
    raise ValueError(f"strict JSON has no {constant}")


def _check(path: str | os.PathLike[str], at: str, value: Any, form: Any) -> None:
    """Raises InputError where a value is not of that form."""
    if isinstance(form, dict | list):
        kind, name = (dict, "an object") if isinstance(form, dict) else (list, "a list")
    else:
        kind, name = form, FORM_NAMES[form]
    fits = isinstance(value, kind) and not isinstance(value, bool)
    if fits and name.startswith("a number") and value is not None:
        fits = abs(value) <= sys.float_info.max
    if not fits:
        came = json.dumps(value)
        place = f"'{at}'" if at else "what it holds"
        raise InputError(f"{path}: {place} is {came[:40]}{'...' * (len(came) > 40)}, "
                         f"expected {name}")
    if isinstance(form, list):
        for i, child in enumerate(value):
            _check(path, f"{at}[{i}]", child, form[0])
    if isinstance(form, dict):
        for key, below in form.items():
            place = f"{at}.{key}" if at else key
            if key not in value:
                raise InputError(f"{path}: the key '{place}' is missing")
            _check(path, place, value[key], below)


def by_rule(results: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The runs of every rule that has any, in the order in which they came."""
    rules: dict[str, list[dict[str, Any]]] = {}
    for run in results["runs"]:
        rules.setdefault(run["rule"], []).append(run)
    return rules


def seeds(results: dict[str, Any]) -> int:
    """How many different seeds were run."""
    return len({run["seed"] for run in results["runs"]})


def mean(values: list[float | None]) -> float | None:
    """Of those that are there, or None."""
    there = [value for value in values if value is not None]
    return statistics.fmean(there) if there else None


def cosine(record: dict[str, Any], block: int) -> float | None:
    """Of one block's error signal with that of BP: of the papers' delta = dL/da where the block ends in an activation.

    Of dL/dh at its output where it does not, a convolutional block that ends in pooling for one.
    """
    return next((record[name][block] for name in ("alignment_at_a", "alignment")
                 if block < len(record[name]) and record[name][block] is not None), None)


def column(runs: list[dict[str, Any]], of: Callable[[dict[str, Any]], float | None]) -> list[list[float | None]]:
    """For every epoch, that quantity of its record, of all runs that reached it."""
    series = [[of(record) for record in run["history"]] for run in runs]
    return [[values[i] for values in series if i < len(values)] for i in range(max(map(len, series)))]


def table(results: dict[str, Any]) -> str:
    """The comparison as plain text, a line per rule."""
    rules = by_rule(results)
    number = max(len(run["history"][-1]["alignment"]) for run in results["runs"])
    # of a deep network five, the first and the last among them: more would not fit a terminal
    blocks = sorted({round(i * (number - 1) / 4) for i in range(5)}) if number > 5 else list(range(number))
    heads = ["rule", "test accuracy", "training loss", *(f"delta_{i + 1}" for i in blocks), "s/run"]
    rows = [[rule, _accuracy(runs),
             _text(mean([run["history"][-1]["train_loss"] for run in runs]), ".4f"),
             *(_text(mean([cosine(run["history"][-1], i) for run in runs]), ".3f") for i in blocks),
             _text(mean([run["seconds"] for run in runs]), ".1f")] for rule, runs in rules.items()]
    widths = [max(map(len, cells)) for cells in zip(heads, *rows, strict=True)]
    lines = ["  ".join([cells[0].ljust(widths[0]),
                        *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))])
             for cells in (heads, *rows)]
    number = seeds(results)
    return "\n".join([
        f"test accuracy: mean ± sample standard deviation over {number} seed{'s' * (number != 1)}",
        "training loss, and cosine of delta_i with that of bp at hidden block i: mean at the last epoch",
        "", *lines])


def _accuracy(runs: list[dict[str, Any]]) -> str:
    values = [run["test_accuracy"] for run in runs if run["test_accuracy"] is not None]
    spread = f"{statistics.stdev(values):.4f}" if len(values) > 1 else "-".ljust(6)
    return f"{statistics.fmean(values):.4f} ± {spread}" if values else "-"


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
