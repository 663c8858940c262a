"""results.json, the one contract between running and showing: its file, its table.

    {"format": 2, "command": "compare", "config": {...}, "environment": {...},
     "runs": [{"rule", "seed", "parameters", "seconds", "test_accuracy",
               "history": [{"epoch", "train_loss", "validation_accuracy",
                            "alignment": [one cosine per hidden block], "alignment_at_a": [...]}]}]}

This is what classes are measured by.  Of numbers there are `test_r2` and `test_mean_error` in the place of
`test_accuracy`, and of labels `test_exact_match` and `test_label_accuracy`; the same names with `validation_` stand in
the history (see nobackprop/data/tasks.py).  `test_accuracy` is null if the run did not reach its end, and a cosine is
null if the rule sends no signal.  A run whose numbers were no longer finite has "diverged" with a sentence, and its
history is as long as it came, perhaps empty.  A run that a callback has stopped has "stopped" with the reason.

"config" has "interrupted": true as long as not all runs have ended, and "command" says which one can go on with them.
Files without "format" are of format 1, in which "diverged" stands in "config", as such a run ended the others too.
There may be other keys, such as what callbacks have recorded, or settings that an older version did not have.  Table
and figure read the keys that FORM names, whose values are checked, and of other keys of an epoch those that hold
numbers, see `recorded`; any other key may hold anything.
"""
from __future__ import annotations

import json
import math
import os
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..data.tasks import TASKS, Measure, Task, measures_of, task_of
from ..errors import InputError, brief
from ..files import contents, writing
from ..outside import split
from ..rules import RULES
from ..studies.text import aligned

FORMAT = 2  # which `read` refuses to exceed, so that a newer file is not misread
LARGEST = 1e300  # of a number: differences of what is larger are beyond float64, and so beyond a figure
ROUNDING = 1e-6  # by which a share or a cosine may be off
BYTES = 2**28  # of a file


@dataclass(frozen=True)
class Number:
    """The form of a number from `low` to `high`.

    Parameters
    ----------
    low, high : float
        The smallest and the largest number that is allowed.
    null : bool
        Whether null is allowed, too.
    whole : bool
        Whether it must be an integer.

    Examples
    --------
    >>> check("here", 0.5, Number(0, 1))
    >>> check("here", 2, Number(0, 1))
    Traceback (most recent call last):
    nobackprop.errors.InputError: here: what it holds is 2, expected a number from 0 to 1
    """

    low: float = -LARGEST
    high: float = LARGEST
    null: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Maybe:
    """The form of a key that may be missing.

    Parameters
    ----------
    form : form
        The form that its value must have if it is there.

    Examples
    --------
    >>> check("here", {}, {"a": Maybe(str)})
    """

    form: Any


NUMBER, NUMBER_OR_NULL, COUNT = Number(), Number(null=True), Number(0, math.inf, whole=True)
SHARE, COSINE = Number(0, 1), Number(-1, 1, null=True)


def of_measure(measure: Measure, null: bool = False) -> Number:
    """Return the form of a measure, see nobackprop/data/tasks.py.

    Examples
    --------
    >>> of_measure(TASKS["numbers"].measures[0]).high
    1.0
    """
    return Number(-LARGEST if measure.low is None else measure.low, LARGEST if measure.high is None else measure.high,
                  null)


MEASURES = [measure for task in TASKS.values() for measure in task.measures]
# What a reader relies on.  A dict is an object that has at least these keys, a list with one form stands for any number
# of values of that form, a tuple for a list of exactly these, str for a text of one line, and bool for true or false.
# All measures of a run's task must be there: `read` looks for them.
FORM: Any = {
    "format": Maybe(Number(1, FORMAT, whole=True)),
    "command": Maybe(str),
    "config": {"data": str, "model": str, "exhibit": Maybe(str), "scale": Maybe(str), "printed": Maybe({}),
               "interrupted": Maybe(bool), "diverged": Maybe(str)},
    "environment": Maybe({"dataset": Maybe(str)}),
    "runs": [{
        "rule": str,
        "seed": COUNT,
        "seconds": Number(0, LARGEST),
        **{f"test_{measure.name}": Maybe(of_measure(measure, null=True)) for measure in MEASURES},
        "diverged": Maybe(str),
        "stopped": Maybe(str),
        "history": [{
            "epoch": COUNT,
            "train_loss": NUMBER,
            **{f"validation_{measure.name}": Maybe(of_measure(measure)) for measure in MEASURES},
            "alignment": [COSINE],
            "alignment_at_a": [COSINE],
        }],
    }],
}


def strict(value: Any) -> Any:
    """Return the same value as strict JSON can hold it: None in place of numbers that are not finite.

    Examples
    --------
    >>> strict({"a": [1.5, float("nan")]})
    {'a': [1.5, None]}
    """
    if isinstance(value, dict):
        return {key: strict(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [strict(child) for child in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write(path: str | os.PathLike[str], results: dict[str, Any]) -> None:
    """Write a results.json, all of it or nothing.

    Parameters
    ----------
    path : path
        The file; what was there is replaced.
    results : dict
        Of the form above.

    Raises
    ------
    InputError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     write(f"{place}/results.json", {"config": {}, "runs": []})
    ...     with open(f"{place}/results.json") as file:
    ...         json.load(file)
    {'config': {}, 'runs': []}
    """
    text = json.dumps(strict(results), indent=1, allow_nan=False)
    with writing(path) as partial:
        partial.write_text(f"{text}\n", encoding="utf-8")


def read(path: str | os.PathLike[str], begun: bool = False) -> dict[str, Any]:
    """Read what `write` wrote.

    Parameters
    ----------
    path : path
        The file.
    begun : bool
        Whether it may hold no run, as at the start of the first one.

    Returns
    -------
    dict
        Of the form above.

    Raises
    ------
    InputError
        If the file cannot be read, if a key is missing or has a value of another form, if the epochs of a run are not
        1, 2, 3, ..., or if two runs have the same rule and seed; the message names the key.

    Examples
    --------
    >>> read("nowhere/results.json")
    Traceback (most recent call last):
    nobackprop.errors.InputError: cannot read nowhere/results.json: No such file or directory, expected a results.json
    """
    results: dict[str, Any] = _parsed(path, contents(path, BYTES, "a results.json"))
    newer = results.get("format") if isinstance(results, dict) else None
    if isinstance(newer, int) and newer > FORMAT:
        raise InputError(f"{path} has format {brief(newer)}, expected {FORMAT} at most: a newer nobackprop wrote it")
    check(path, results, FORM)
    if not results["runs"] and not begun and not results.get("search"):  # a sweep begins with a search
        raise InputError(f"{path}: 'runs' is empty, expected at least one run")
    seen: dict[tuple[str, int], int] = {}
    for i, run in enumerate(results["runs"]):
        if not run["history"] and "diverged" not in run:
            raise InputError(f"{path}: 'runs[{i}].history' is empty, expected at least one epoch")
        task = task_of(run, "test")
        _complete(path, run, task, "test", f"runs[{i}]")
        # the figure draws records by their places
        for j, record in enumerate(run["history"]):
            _complete(path, record, task, "validation", f"runs[{i}].history[{j}]")
            if record["epoch"] != j + 1:
                came = f"'runs[{i}].history[{j}].epoch' is {brief(record['epoch'])}"
                raise InputError(f"{path}: {came}, expected {j + 1}")
        # means would count one run twice
        first = seen.setdefault((run["rule"], run["seed"]), i)
        if first != i:
            raise InputError(f"{path}: 'runs[{i}]' has the rule and the seed of 'runs[{first}]', "
                             "expected each pair once")
    return results


def _complete(path: str | os.PathLike[str], record: dict[str, Any], task: Task, part: str, at: str) -> None:
    """Raise InputError if a record lacks a measure of its task."""
    for measure in task.measures:
        if f"{part}_{measure.name}" not in record:
            raise InputError(f"{path}: the key '{at}.{part}_{measure.name}' is missing")


def _parsed(path: str | os.PathLike[str], content: bytes) -> Any:
    """What the JSON in a file says; InputError, in words of our own, if it is not JSON or too large for Python."""
    try:
        # some editors put a mark of UTF-8 at the beginning
        return json.loads(content.decode("utf-8-sig"), parse_constant=_no_number, parse_int=_integer,
                          object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        wrong = f"byte {error.start} is not UTF-8"
    except json.JSONDecodeError as error:
        wrong = f"it goes wrong at line {error.lineno}, column {error.colno}"
    except RecursionError:
        wrong = "its lists or objects are nested too deeply"
    except _Unfit as error:
        wrong = str(error)
    raise InputError(f"{path} is not JSON, expected a results.json: {wrong}")


class _Unfit(Exception):
    """Something in a file that Python's reader of JSON would take, or refuse in its own words."""


def _no_number(constant: str) -> None:
    """Refuse NaN and infinities, which Python's reader of JSON would take."""
    raise _Unfit(f"strict JSON has no {constant}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its keys and values; Python's reader of JSON would drop one of two equal keys."""
    if len(found := dict(pairs)) < len(pairs):
        raise _Unfit("an object has one of its keys twice")
    return found


def _integer(text: str) -> int:
    """Read an integer; Python converts no more than 4300 digits."""
    if len(text) > 1000:
        raise _Unfit(f"it holds an integer of {len(text)} digits")
    return int(text)


def check(source: Any, value: Any, form: Any, at: str = "") -> None:
    """Raise InputError if a value is not of a form, such as FORM.

    Parameters
    ----------
    source : object
        What the message calls the place that the value came from.
    value : object
        What a reader of JSON gave.
    form : form
        What it must be; the comment above FORM says how a form is written.
    at : str
        The key below which the value stands.

    Examples
    --------
    >>> check("a.json", {"runs": [{"seed": "0"}]}, {"runs": [{"seed": COUNT}]})
    Traceback (most recent call last):
    nobackprop.errors.InputError: a.json: 'runs[0].seed' is "0", expected an integer
    """
    if wanted := _wanted(value, form):
        place = f"'{at}'" if at else "what it holds"
        raise InputError(f"{source}: {place} is {_came(value)}, expected {wanted}")
    if isinstance(form, list | tuple):
        for i, child in enumerate(value):
            check(source, child, form[i if isinstance(form, tuple) else 0], f"{at}[{i}]")
    if isinstance(form, dict):
        for key, below in form.items():
            place = f"{at}.{key}" if at else key
            if key in value:
                check(source, value[key], below.form if isinstance(below, Maybe) else below, place)
            elif not isinstance(below, Maybe):
                raise InputError(f"{source}: the key '{place}' is missing")


def _wanted(value: Any, form: Any) -> str:
    """What was expected in place of a value, in words; empty if it has that form.  Its members are not looked at."""
    if isinstance(form, Number):
        name = f"{'an integer' if form.whole else 'a number'}{' or null' * form.null}"
        if value is None and form.null:
            return ""
        if isinstance(value, bool) or not isinstance(value, int if form.whole else int | float):
            return name
        off = 0 if form.whole else ROUNDING
        if not form.low - off <= value <= form.high + off:
            finite = abs(value) <= sys.float_info.max
            to = f" to {form.high:g}" if form.high < math.inf else " on"
            return f"{name} from {form.low:g}{to}" if finite else name
        return ""
    if form is bool:
        return "" if isinstance(value, bool) else "true or false"
    if form is str:
        return "a text" if not isinstance(value, str) else "a printable text" if not value.isprintable() else ""
    if isinstance(form, dict):
        return "" if isinstance(value, dict) else "an object"
    many = f" of {len(form)}" if isinstance(form, tuple) else ""
    return "" if isinstance(value, list) and (not many or len(value) == len(form)) else f"a list{many}"


def _came(value: Any) -> str:
    """A value in few letters, however deep it is."""
    if value and isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = json.dumps(value)
    return f"{text[:40]}{'...' * (len(text) > 40)}"


def by_rule(results: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the runs of every rule, in the order in which the rules first came.

    Examples
    --------
    >>> {rule: len(runs) for rule, runs in by_rule({"runs": [{"rule": "bp"}, {"rule": "fa"}, {"rule": "bp"}]}).items()}
    {'bp': 2, 'fa': 1}
    """
    rules: dict[str, list[dict[str, Any]]] = {}
    for run in results["runs"]:
        rules.setdefault(run["rule"], []).append(run)
    return rules


def shown(arms: Iterable[str]) -> dict[str, str]:
    """Return what a table or a figure calls each arm: a rule of the user's own without its file or module.

    Parameters
    ----------
    arms : iterable of str
        All arms that are shown: rules as `rules.get` takes them, or labels.

    Returns
    -------
    dict
        The name of each arm.  Where the short name would be that of another arm, or of a rule of the library, it is the
        long one.

    Examples
    --------
    >>> shown(["dfa", "./mine.py:Sign", "my.rules:Sign:scale=2"])
    {'dfa': 'dfa', './mine.py:Sign': 'Sign', 'my.rules:Sign:scale=2': 'Sign:scale=2'}
    >>> shown(["./mine.py:Sign", "./other.py:Sign"])
    {'./mine.py:Sign': './mine.py:Sign', './other.py:Sign': './other.py:Sign'}
    """
    short = {arm: ":".join(filter(None, own[1:])) if (own := split(arm)) else arm for arm in arms}
    taken = Counter(short.values())
    return {arm: name if taken[name] == 1 and name.partition(":")[0] not in RULES else arm
            for arm, name in short.items()}


def sound(results: dict[str, Any]) -> dict[str, Any]:
    """Return the same results without the runs that diverged, which no mean and no curve may hold.

    Examples
    --------
    >>> sound({"runs": [{"rule": "bp"}, {"rule": "fa", "diverged": "the loss became inf"}]})
    {'runs': [{'rule': 'bp'}]}
    """
    return results | {"runs": [run for run in results["runs"] if "diverged" not in run]}


def seeds(results: dict[str, Any]) -> int:
    """Count the different seeds of the runs.

    Examples
    --------
    >>> seeds({"runs": [{"seed": 0}, {"seed": 1}, {"seed": 0}]})
    2
    """
    return len({run["seed"] for run in results["runs"]})


def mean(values: list[float | None]) -> float | None:
    """Return the mean of the values that are not None, or None if there are no others.

    Examples
    --------
    >>> mean([1.0, None, 2.0]), mean([None])
    (1.5, None)
    """
    there = [value for value in values if value is not None]
    return statistics.fmean(there) if there else None


def cosine(record: dict[str, Any], block: int) -> float | None:
    """Return the cosine of one hidden block's error signal with that of BP, at one epoch.

    It is the cosine of the papers' delta = dL/da if the block ends in an activation.  If not, such as a convolutional
    block that ends in pooling, it is that of dL/dh at the block's output.

    Parameters
    ----------
    record : dict
        An epoch's record.
    block : int
        The hidden block, from 0.

    Returns
    -------
    float or None
        None if the rule sends the block no signal, or if there is no such block.

    Examples
    --------
    >>> cosine({"alignment": [0.5, 0.25], "alignment_at_a": [0.75, None]}, 0)
    0.75
    >>> cosine({"alignment": [0.5, 0.25], "alignment_at_a": [0.75, None]}, 1)
    0.25
    """
    return next((record[name][block] for name in ("alignment_at_a", "alignment")
                 if block < len(record[name]) and record[name][block] is not None), None)


def column(runs: list[dict[str, Any]], of: Callable[[dict[str, Any]], float | None]) -> list[list[float | None]]:
    """Return for every epoch one quantity of its record, of all runs that reached the epoch.

    Examples
    --------
    >>> column([{"history": [{"epoch": 1}, {"epoch": 2}]}, {"history": [{"epoch": 1}]}], lambda record: record["epoch"])
    [[1, 1], [2]]
    """
    return by_place([[of(record) for record in run["history"]] for run in runs])


def by_place(series: list[list[float | None]]) -> list[list[float | None]]:
    """Return for every place of the longest list the values there of all lists that are long enough.

    Examples
    --------
    >>> by_place([[1.0, 2.0], [3.0]])
    [[1.0, 3.0], [2.0]]
    """
    return [[values[i] for values in series if i < len(values)] for i in range(max(map(len, series)))]


def table(results: dict[str, Any], width: int | None = None) -> str:
    """Return a comparison as plain text, a line for each rule.

    Parameters
    ----------
    results : dict
        Of the form above.
    width : int, optional
        How long lines may be: there are fewer cosines if there is no room for them.

    Returns
    -------
    str
        Two lines that say what the columns are, the table, and a line for each run that diverged.

    Examples
    --------
    >>> record = {"epoch": 1, "train_loss": 0.5, "validation_accuracy": 1.0,
    ...           "alignment": [1.0], "alignment_at_a": [1.0]}
    >>> run = {"rule": "bp", "seed": 0, "seconds": 2.0, "test_accuracy": 0.9, "history": [record]}
    >>> print(table({"runs": [run]}).splitlines()[-1])
    bp    0.9000 ± -              0.5000    1.000    2.0
    """
    rules = by_rule(results)
    of = {rule: sound({"runs": runs})["runs"] for rule, runs in rules.items()}
    last = {rule: [run["history"][-1] for run in runs] for rule, runs in of.items()}
    number = max((len(record["alignment"]) for records in last.values() for record in records), default=0)
    measures, names, over = measures_of(results["runs"]), shown(rules), seeds(results)

    def lines(blocks: Sequence[int]) -> str:
        heads = ["rule", *(f"test {one.words}" for one in measures), "training loss",
                 *(f"delta_{i + 1}" for i in blocks), "s/run"]
        rows = [[names[rule], *(_spread([run.get(f"test_{one.name}") for run in runs]) if runs else "diverged"
                                for one in measures),
                 _text(mean([record["train_loss"] for record in last[rule]]), ".4f"),
                 *(_text(mean([cosine(record, i) for record in last[rule]]), ".3f") for i in blocks),
                 _text(mean([run["seconds"] for run in runs]), ".1f")] for rule, runs in of.items()]
        return aligned([heads, *rows], left=1)

    # of a deep network five cosines, the first and the last among them: more would not fit a terminal
    for most in range(min(number, 5), -1, -1):
        found = lines([round(i * (number - 1) / max(most - 1, 1)) for i in range(most)])
        if width is None or max(map(len, found.split("\n"))) <= width:
            break
    return "\n".join([
        f"{', '.join(f'test {one.words}' for one in measures)}: mean ± sample standard deviation over {over} "
        f"seed{'s' * (over != 1)}",
        "training loss, and cosine of delta_i with that of bp at hidden block i: mean at the last epoch",
        "", found, *_recorded_table(of, last, names), *stopped(results), *diverged(results)])


def recorded(runs: list[dict[str, Any]]) -> list[str]:
    """Return under which names the epochs of some runs hold numbers that the library did not measure itself.

    Examples
    --------
    >>> recorded([{"history": [{"epoch": 1, "length": 2.5, "series": [1, 2], "note": "a text"}]}])
    ['length']
    """
    return _found(runs, lambda value: drawable(value) is not None)


def _found(runs: list[dict[str, Any]], is_it: Callable[[Any], bool]) -> list[str]:
    """The names of what callbacks recorded, if it is of some kind."""
    known = {*FORM["runs"][0]["history"][0]}
    return list(dict.fromkeys(key for run in runs for record in run["history"] for key, value in record.items()
                              if key not in known and key.isprintable() and is_it(value)))


def drawable(value: Any) -> float | None:
    """Return a value of a record if it is a number that a figure can show, and None otherwise.

    Examples
    --------
    >>> drawable(2), drawable(True), drawable("2"), drawable(1e301)
    (2, None, None, None)
    """
    return value if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST else None


def _recorded_table(of: dict[str, list[dict[str, Any]]], last: dict[str, list[dict[str, Any]]],
                    names: dict[str, str]) -> list[str]:
    """The lines of the table of what callbacks recorded, if they recorded numbers."""
    keys = _found([run for runs in of.values() for run in runs], lambda value: drawable(value) is not None or (
        isinstance(value, list) and 0 < len(value) <= 5 and any(drawable(one) is not None for one in value)))
    if not keys:
        return []
    rows = [["rule", *keys], *([names[rule], *(_means([record.get(key) for record in records]) for key in keys)]
                               for rule, records in last.items())]
    return ["", "also recorded: mean at the last epoch", "", aligned(rows, left=1)]


def _means(values: list[Any]) -> str:
    """The mean of numbers as text; of short lists of numbers the mean at each place."""
    if any(isinstance(value, list) for value in values):
        return ", ".join(_text(mean([drawable(value) for value in place]), ".4g")
                         for place in by_place([value for value in values if isinstance(value, list)]))
    return _text(mean([drawable(value) for value in values]), ".4g")


def stopped(results: dict[str, Any]) -> list[str]:
    """Return a line for each run that a callback has stopped.

    Examples
    --------
    >>> stopped({"runs": [{"rule": "fa", "seed": 1, "stopped": "good enough", "history": [{"epoch": 1}]}]})
    ['', 'stopped after 1 epoch: fa, seed 1: good enough']
    """
    told = [f"stopped after {len(run['history'])} epoch{'s' * (len(run['history']) != 1)}: {run['rule']}, seed "
            f"{run['seed']}: {run['stopped']}" for run in results["runs"] if "stopped" in run]
    return ["", *told] if told else []


def diverged(results: dict[str, Any]) -> list[str]:
    """Return a line for each run that diverged; it says so, and that the means leave the run out.

    Examples
    --------
    >>> diverged({"runs": [{"rule": "fa", "seed": 1, "diverged": "rule fa, seed 1: the loss became inf at epoch 2"}]})
    ['', 'diverged, and in no mean: rule fa, seed 1: the loss became inf at epoch 2']
    """
    told = [f"diverged, and in no mean: {run['diverged']}" for run in results["runs"] if "diverged" in run]
    return ["", *told] if told else []


def _spread(found: list[float | None]) -> str:
    """What was measured of some runs, as a mean with its spread."""
    values = [value for value in found if value is not None]
    spread = _text(statistics.stdev(values), ".4f") if len(values) > 1 else "-".ljust(6)
    return f"{_text(statistics.fmean(values), '.4f')} ± {spread}" if values else "-"


def _text(value: float | None, form: str) -> str:
    """A number in few letters, or a dash if there is none."""
    if value is None:
        return "-"
    # as a decimal fraction a loss may have hundreds of digits
    return format(value, form) if abs(value) < 1e6 else f"{value:.3e}"
