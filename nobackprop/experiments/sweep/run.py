"""Running a sweep: every run has a folder of its own, local processes or a Dask cluster train them, none is run twice.

    DIR/results.json         the sweep, what the search has found, and the runs of the best settings
    DIR/figure.png           validation accuracy against the learning rate
    DIR/runs/KEY/            one run: results.json and checkpoints, as loop.py writes them

The search never reads the test set: a run of it is given its validation samples in the place of the test samples.
"""
from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from ... import __version__, workers
from ...backend import open_device
from ...data import Dataset, load
from ...data.tasks import score as last_score
from ...errors import InputError
from ...outside import package
from ..compare import environment, resolve, trial
from ..folder import PAUSE, RESULTS, Folder, remove_strays
from ..loop import MINUTE, Every, Job, digest, has_ended, take_over, train
from ..results import FORMAT, check, read
from . import choice
from .spec import Point, Sweep, parse

RUNS = "runs"  # the folder of all runs
CONNECT = 10  # seconds until a scheduler must have answered
TRIES = 3  # how often a process may die in a row before the sweep gives up
Results = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Task:
    """One run of a sweep, as it is handed to another process.

    Parameters
    ----------
    key : str
        The name of its folder.
    config : dict
        Its settings, as `compare.resolve` gives them.
    searching : bool
        Whether it belongs to the search, and must not see the test set.

    Examples
    --------
    >>> Task("xor-bp-1", {}, True).searching
    True
    """

    key: str
    config: Mapping[str, Any]
    searching: bool


def tasks(points: Sequence[Point], seeds: Sequence[int], threads: int, searching: bool) -> list[Task]:
    """Return a task for every point and seed; all points of the first seed come first.

    Parameters
    ----------
    points : sequence of Point
    seeds : sequence of int
    threads : int
        The number of workers of each run.
    searching : bool
        As of `Task`.

    Returns
    -------
    list of Task

    Examples
    --------
    >>> [task.config["seeds"] for task in tasks([Point("xor", "bp", {})], [0, 1], 1, True)]
    [[0], [1]]
    """
    return [Task(point.key(seed), resolve(point.data, [point.rule], [seed], point.settings, threads=threads), searching)
            for seed in seeds for point in points]


@lru_cache(maxsize=2)
def _data(name: str, data_dir: str | None, download: bool) -> Dataset:
    """A data set, which the next run of this process most likely needs again."""
    return load(name, data_dir, download)


def work(task: Task, place: str | None, data_dir: str | None = None, download: bool = False,
         checkpoint: Every = MINUTE) -> Results:
    """Train one run of a sweep, and return its results.

    Parameters
    ----------
    task : Task
        The run.
    place : str or None
        Its folder, new or with what an earlier process has left; None writes nothing.
    data_dir : str, optional
        The folder with the data set's files.
    download : bool
        Whether files that are missing may be fetched.
    checkpoint : Every
        How often a checkpoint is written.

    Returns
    -------
    dict
        Of the form in nobackprop/experiments/results.py, with one run.

    Examples
    --------
    >>> task, = tasks([Point("xor", "bp", {"epochs": 1})], [0], 1, True)
    >>> work(task, None)["runs"][0]["test_accuracy"] is None
    False
    """
    config, (rule,), (seed,) = dict(task.config), task.config["rules"], task.config["seeds"]
    data = _data(config["data"], data_dir, download)
    if task.searching:
        data = replace(data, x_test=data.x_validation, y_test=data.y_validation)
    results: Results = {"format": FORMAT, "command": "sweep", "config": config, "runs": [],
                        "environment": environment(open_device(config["device"]), config["threads"], data)}
    folder = None
    if place is not None:
        with suppress(OSError):  # if it is lost, the process that runs the sweep says so, and where all goes
            Path(place).mkdir(parents=True, exist_ok=True)
        remove_strays(Path(place))
        stored = kept(Path(place))
        folder = Folder(Path(place), stored, fallback=False)
        if stored:
            take_over(results, stored)
    train([Job(trial(config, rule, data.shape, data.classes), data, seed, config["device"])], results, folder,
          checkpoint=checkpoint, silent=True)  # the process that runs the sweep says how far all runs are
    return results


def kept(place: Path) -> Results | None:
    """Return the results that a run has left in its folder, or None if there are none, or none that are of use.

    Examples
    --------
    >>> kept(Path("nowhere")) is None
    True
    """
    try:
        found = read(place / RESULTS, begun=True)
    except InputError:
        return None
    return found if found.get("environment", {}).get("nobackprop") == __version__ else None


def has_finished(results: Results | None) -> bool:
    """Say whether a run has ended; None stands for one that has not begun.

    Examples
    --------
    >>> has_finished(None), has_finished({"runs": [{"test_accuracy": 0.5}]})
    (False, True)
    """
    return bool(results and results["runs"] and has_ended(results["runs"][0]))


# ---------------------------------------------------------------- where runs are trained

Done = Callable[[Task, Results], None]


def _begin() -> None:
    """What a process of the pool does first: it ends with its parent, and leaves signals from the keyboard to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        def watch() -> None:
            wait([parent.sentinel])
            os._exit(1)
        threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach, and that print no warning of semaphores if they are killed."""
    name = "PYTHONWARNINGS"
    before, masks = os.environ.get(name), hasattr(signal, "pthread_sigmask")
    os.environ[name] = "ignore:resource_tracker:UserWarning" + (f",{before}" if before else "")
    if masks:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        resource_tracker.ensure_running()
        yield
    finally:
        os.environ.pop(name) if before is None else os.environ.update({name: before})
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class Processes:
    """Processes of this machine that train tasks; one that dies is replaced, and its run goes on.

    It is used in a `with` block, at the end of which all of them end.

    Parameters
    ----------
    number : int
        How many tasks are trained at the same time.

    Examples
    --------
    >>> with Processes(2) as processes:
    ...     processes.run([], lambda task, results: None, lambda task: None)
    """

    def __init__(self, number: int):
        self.number, self.pool = number, self._pool(number)

    @staticmethod
    def _pool(number: int) -> ProcessPoolExecutor:
        """A pool whose processes start when the first tasks come."""
        return ProcessPoolExecutor(number, multiprocessing.get_context("spawn"), _begin)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:  # what ended the sweep does not wait for runs that nobody asks for any more
            for child in multiprocessing.active_children():
                child.terminate()
        self.pool.shutdown(cancel_futures=True)

    def run(self, todo: Sequence[Task], done: Done, place: Callable[[Task], str | None], *rest: Any) -> None:
        """Train tasks.

        Parameters
        ----------
        todo : sequence of Task
        done : callable
            done(task, results), called in this process as soon as a task is done.
        place : callable
            place(task) is its folder.
        *rest
            The further arguments of `work`.

        Raises
        ------
        InputError
            If processes died three times without finishing a run.
        """
        waiting, died = dict.fromkeys(todo), 0
        while waiting:
            before = len(waiting)
            try:
                with _quiet_start():
                    futures = {self.pool.submit(work, task, place(task), *rest): task for task in waiting}
                for future in as_completed(futures):
                    results = future.result()
                    del waiting[futures[future]]
                    done(futures[future], results)
            except BrokenProcessPool:
                died = died + 1 if len(waiting) == before else 1
                if died >= TRIES:
                    raise InputError(f"processes of the sweep died {TRIES} times without finishing a run: there may be "
                                     "too little memory for that many at a time, see --processes") from None
                self.pool.shutdown()
                self.pool = self._pool(self.number)


def on_cluster(todo: Sequence[Task], done: Done, address: str, *rest: Any) -> None:
    """Train tasks on a Dask cluster that runs already; if a worker of it dies, others do its runs.

    Parameters
    ----------
    todo : sequence of Task
    done : callable
        As of `Processes.run`.
    address : str
        The address of the scheduler, such as tcp://10.0.0.1:8786.
    *rest
        The further arguments of `work`.

    Raises
    ------
    InputError
        If Dask is not installed, if the scheduler cannot be reached or goes away, or if its workers have another
        version of this library.
    """
    distributed = package("distributed", "dask", "--scheduler")
    try:
        client = distributed.Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        why = str(error) or f"no answer in {CONNECT} seconds"
        raise InputError(f"cannot reach the Dask scheduler at {address}: {why}") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes wrong is said here, in one sentence
    with client:
        futures = {client.submit(work, task, None, *rest, pure=False): task for task in todo}
        try:
            for future in distributed.as_completed(futures, loop=client.loop):
                results = future.result()
                if (there := results["environment"]["nobackprop"]) != __version__:
                    raise InputError(f"a worker of {address} has nobackprop {there}, expected {__version__} as here")
                done(futures[future], results)
        except (distributed.CancelledError, distributed.KilledWorker, distributed.client.FutureCancelledError) as error:
            raise InputError(f"the Dask scheduler at {address} gave a run up: {' '.join(str(error).split())[:200]}"
                             ) from None
        finally:
            client.cancel(list(futures))


# ---------------------------------------------------------------- a sweep


def begin(sweep: Sweep, data_dir: str | None = None, download: bool = False) -> Results:
    """Check all that a sweep asks for, and return its results before anything is trained.

    Parameters
    ----------
    sweep : Sweep
    data_dir, download
        As of `work`.

    Returns
    -------
    dict
        Of the form in nobackprop/experiments/results.py, without runs.

    Raises
    ------
    InputError
        If a network cannot be built, or if a data set's files are wrong or missing.

    Examples
    --------
    >>> from nobackprop.experiments.sweep.spec import parse
    >>> begin(parse({"data": "xor", "rules": "bp", "lr": [0.1, 0.01]}))["config"]["rules"]
    ['bp']
    """
    points = sweep.points
    models: dict[tuple[Any, ...], str] = {}
    for point in points:
        network = (point.data, point.rule, *(point.settings.get(name) for name in ("model", "activation", "loss")))
        if network not in models:
            config = resolve(point.data, [point.rule], sweep.seeds, point.settings, threads=sweep.threads)
            data = _data(point.data, data_dir, download)
            trial(config, point.rule, data.shape, data.classes)
            models[network] = config["model"]
    labels = choice.labels(points).values()
    first = _data(points[0].data, data_dir, download)
    results: Results = {"format": FORMAT, "command": "sweep",
            "config": {"data": ", ".join(sweep.data), "model": ", ".join(dict.fromkeys(models.values())),
                       "sweep": as_json(sweep), "rules": list(dict.fromkeys(labels)), "seeds": list(sweep.fresh_seeds),
                       "threads": sweep.threads},
            "environment": environment(open_device("cpu"), sweep.threads, first) | {"dataset": ", ".join(sweep.data)},
            "search": [], "best": [], "runs": []}
    results["environment"]["settings"] = digest(results["config"])
    return results


def asked(stored: Results) -> Sweep:
    """Return the sweep that results are of.

    Parameters
    ----------
    stored : dict
        The contents of a results.json.

    Returns
    -------
    Sweep

    Raises
    ------
    InputError
        If they are not those of a sweep, or are damaged.

    Examples
    --------
    >>> asked({"config": {"sweep": {"rules": ["bp"]}}}).rules
    ('bp',)
    """
    check("results.json", stored, {"config": {"sweep": {}}})
    return parse(stored["config"]["sweep"])


def as_json(sweep: Sweep) -> dict[str, Any]:
    """Return a sweep as `spec.parse` takes it, of values that JSON can hold.

    Examples
    --------
    >>> asked = {"rules": ["bp"], "lr": {"from": 0.1, "to": 1.0}, "search": "random"}
    >>> parse(as_json(parse(asked))) == parse(asked)
    True
    """
    def plain(axis: Any) -> Any:
        return list(axis) if isinstance(axis, tuple) else {"from": axis.low, "to": axis.high}
    asked = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(sweep).items()
             if key not in ("axes", "of", *(("trials", "draw") if sweep.search == "grid" else ()))}
    asked |= {name: plain(axis) for name, axis in sweep.axes.items()}
    of = {rule: {name: plain(axis) for name, axis in axes.items()} for rule, axes in sweep.of.items()}
    return asked | ({"of": of} if of else {})


class Ledger:
    """What is known of the runs of a sweep while it goes on: it is written to the folder, and told.

    Parameters
    ----------
    sweep, results, folder, tell
        As of `run`.

    Attributes
    ----------
    known : dict
        The results of every run that has ended, by the key of its task.

    Examples
    --------
    >>> sweep = parse({"rules": ["bp"], "lr": [0.1, 0.2], "seeds": [0], "fresh_seeds": [1]})
    >>> ledger = Ledger(sweep, {}, Folder(Path("nowhere")), print)
    >>> ledger.total, ledger.known
    (3, {})
    """

    def __init__(self, sweep: Sweep, results: Results, folder: Folder,
                 tell: Callable[[str, int, int], None]) -> None:
        self.sweep, self.results, self.folder, self.tell = sweep, results, folder, tell
        self.known: dict[str, Results] = {}
        points = sweep.points
        self.total = len(points) * len(sweep.seeds) + len({point.group for point in points}) * len(sweep.fresh_seeds)
        labels, several = choice.labels(points), choice.varied([point.settings for point in points])
        self.words = {point.key(seed): ", ".join([
            labels[point], *([choice.in_words(point.settings, several)] if several else []), f"seed {seed}"])
            for point in points for seed in (*sweep.seeds, *sweep.fresh_seeds)}
        self.filled, self.written = 0.0, folder.path

    def place(self, task: Task) -> Path | None:
        """Return the folder of a run; None if nothing can be written."""
        return self.folder.path / RUNS / task.key if self.folder.path is not None else None

    def path(self, task: Task) -> str | None:
        """Return the same as a text, which is handed to another process."""
        where = self.place(task)
        return None if where is None else str(where)

    def missing(self, wanted: Sequence[Task]) -> list[Task]:
        """Return those tasks whose runs have not ended yet, and keep the results of the others."""
        todo = []
        for task in wanted:
            where = self.place(task)
            found = kept(where) if where is not None else None
            if found is not None and has_finished(found):
                self.known[task.key] = found
            else:
                todo.append(task)
        return todo

    def enter(self, task: Task, found: Results) -> None:
        """Keep the results of a run that has just ended, write them where they are not yet, and tell of it."""
        self.known[task.key] = found
        where = self.place(task)
        if where is not None and not (where / RESULTS).exists():  # trained on another machine, or the disk is full
            self.folder.write_below(f"{RUNS}/{task.key}", found)
        path = self.folder.path  # now, as the write may have lost the folder
        if path is not None and path != self.written:  # all goes to the new one
            self.written = path
            for key, one in self.known.items():
                self.folder.write_below(f"{RUNS}/{key}", one)
        if time.monotonic() - self.filled > PAUSE:
            self.write()
            self.filled = time.monotonic()
        one, = found["runs"]
        outcome = "diverged" if "diverged" in one else f"{last_score(one['history'][-1], 'validation'):.4f}"
        self.tell(f"{self.words[task.key]}: {outcome}", len(self.known), self.total)

    def write(self) -> None:
        """Put all that is known into the results, and write them."""
        _fill(self.results, self.sweep, self.sweep.points, self.known)
        self.folder.write(self.results)


def run(sweep: Sweep, results: Results, folder: Folder, processes: int | None = None, scheduler: str | None = None,
        data_dir: str | None = None, download: bool = False, checkpoint: Every = MINUTE,
        tell: Callable[[str, int, int], None] = lambda text, ended, of: None) -> None:
    """Do all runs of a sweep that have not ended yet: the search, and then the best settings with fresh seeds.

    Parameters
    ----------
    sweep : Sweep
    results : dict
        What `begin` gave; it is filled, and written to the folder after every run.
    folder : Folder
        The folder of the sweep.
    processes : int, optional
        The number of local processes; as many as the cores have room for if it is left out.
    scheduler : str, optional
        The address of a Dask scheduler; then its workers train, and no local process.
    data_dir, download, checkpoint
        As of `work`.
    tell : callable
        tell(text, ended, of), called after every run: what it came to, how many have ended, and of how many.

    Raises
    ------
    InputError
        If the runs cannot be done.
    """
    ledger = Ledger(sweep, results, folder, tell)
    count = max(1, workers.cores() // sweep.threads) if processes is None else processes
    results["config"]["interrupted"] = True  # until all have ended, however the process ends

    def do(wanted: Sequence[Task]) -> None:
        todo = ledger.missing(wanted)
        ledger.write()
        if todo and scheduler is not None:
            on_cluster(todo, ledger.enter, scheduler, data_dir, download)
        elif todo:
            local.run(todo, ledger.enter, ledger.path, data_dir, download, checkpoint)

    try:
        with Processes(count) as local:
            do(tasks(sweep.points, sweep.seeds, sweep.threads, True))
            chosen = choice.best(sweep.points, _found(sweep, sweep.points, ledger.known))
            do(tasks(chosen, sweep.fresh_seeds, sweep.threads, False))
        results["config"].pop("interrupted", None)
    finally:
        ledger.write()


def _found(sweep: Sweep, points: Sequence[Point], known: Mapping[str, Results]) -> dict[Point, list[dict[str, Any]]]:
    """What the search has found so far, by point."""
    keys = {point: [point.key(seed) for seed in sweep.seeds] for point in points}
    return {point: [choice.found(known[key]) for key in keys[point] if key in known] for point in points}


def _fill(results: Results, sweep: Sweep, points: Sequence[Point], known: Mapping[str, Results]) -> None:
    """Put all that is known into the results."""
    found, labels = _found(sweep, points, known), choice.labels(points)
    results["search"] = [{"label": labels[point], "data": point.data, "rule": point.rule,
                          "settings": dict(point.settings), "runs": runs} for point, runs in found.items() if runs]
    if any(len(runs) < len(sweep.seeds) for runs in found.values()):
        return  # there is no best one before all have been tried
    chosen = choice.best(points, found)
    results["best"] = [{"label": labels[point], "settings": dict(point.settings),
                        f"validation_{choice.measure(found[point]).name}": choice.score(found[point])}
                       for point in chosen]
    results["runs"] = [known[key]["runs"][0] | {"rule": labels[point], "settings": dict(point.settings)}
                       for point in chosen for key in map(point.key, sweep.fresh_seeds) if key in known]


# ---------------------------------------------------------------- where it stands


def status(path: str | os.PathLike[str]) -> str:
    """Say where a sweep stands, whether it runs at this moment or not.

    Parameters
    ----------
    path : path
        The folder of the sweep.

    Returns
    -------
    str
        A few lines: how many runs have ended, which ones go on, and the best setting of each rule so far.

    Raises
    ------
    InputError
        If the folder is not that of a sweep.

    Examples
    --------
    >>> status("nowhere")
    Traceback (most recent call last):
    nobackprop.errors.InputError: cannot read nowhere/results.json: No such file or directory, expected a results.json
    """
    stored = read(Path(path) / RESULTS, begun=True)
    if stored.get("command") != "sweep":
        raise InputError(f"{path} holds no sweep, expected a folder that nobackprop sweep has written")
    sweep = asked(stored)
    points = sweep.points
    here = {point: [kept(Path(path) / RUNS / point.key(seed)) for seed in sweep.seeds] for point in points}
    ended = {point: [results for results in runs if has_finished(results)] for point, runs in here.items()}
    total, number = len(points) * len(sweep.seeds), sum(map(len, ended.values()))
    diverged = sum("diverged" in results["runs"][0] for runs in ended.values() for results in runs if results)
    labels, several = choice.labels(points), choice.varied([point.settings for point in points])

    def words(point: Point) -> str:
        return choice.in_words(point.settings, several or list(point.settings))
    lines = [f"search: {number} of {total} runs have ended" + f", {diverged} of them diverged" * bool(diverged)]
    for point, runs in here.items():
        for seed, results in zip(sweep.seeds, runs, strict=True):
            if results and results["runs"] and not has_finished(results):
                lines.append(f"begun: {labels[point]}, {words(point)}, seed {seed}: epoch "
                             f"{len(results['runs'][0]['history'])} of {results['config']['epochs']}")
    complete = {point: [choice.found(results) for results in runs if results] for point, runs in ended.items() if runs}
    for point in choice.best(list(complete), complete):
        of = complete[point]
        lines.append(f"best of {labels[point]} so far: {words(point)}, validation "
                     f"{choice.measure(of).words} {choice.score(of):.4f} over {len(of)} of {len(sweep.seeds)} seeds")
    if number == total:
        chosen = choice.best(points, {point: complete[point] for point in points})
        fresh = [kept(Path(path) / RUNS / point.key(seed)) for point in chosen for seed in sweep.fresh_seeds]
        lines.append(f"fresh seeds: {sum(map(has_finished, fresh))} of {len(fresh)} runs have ended")
    return "\n".join(lines)
