"""Callbacks that write what is measured to files of other tools: a CSV table, and TensorBoard's event files.

Each epoch is written as soon as it is measured, so that a process that is killed loses the last row at most.
"""
from __future__ import annotations

import csv
import itertools
import json
import os
import re
import struct
from pathlib import Path
from typing import Any

from .callbacks import Moment
from .errors import InputError
from .files import named, writing
from .outside import package

FIRST = ("run", "rule", "seed", "epoch")  # the columns by which a row is found


def flat(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record in which each value of a list has a key of its own.

    Examples
    --------
    >>> flat({"epoch": 1, "alignment": [0.5, None]})
    {'epoch': 1, 'alignment_1': 0.5, 'alignment_2': None}
    """
    row: dict[str, Any] = {}
    for key, value in record.items():
        row |= {f"{key}_{i}": one for i, one in enumerate(value, start=1)} if isinstance(value, list) else {key: value}
    return row


class Runs:
    """Which run of several an epoch belongs to: runs are known by rule, seed, and the losses of their epochs.

    Two runs may have the same rule and seed, such as those of a loop over learning rates.  A run that goes on from a
    checkpoint is known by the training losses before it, which are equal to the last bit.

    Examples
    --------
    >>> runs = Runs()
    >>> runs.put("1", "dfa", 0, [0.5, 0.25])
    >>> [runs.find("dfa", 0, before) for before in ([0.5, 0.25], [0.5], [0.75], [])]
    ['1', '1', None, None]
    """

    def __init__(self) -> None:
        self.known: dict[str, tuple[str, int, list[float]]] = {}

    def put(self, key: str, rule: str, seed: int, losses: list[float]) -> None:
        """Keep the losses of a run."""
        self.known[key] = rule, seed, losses

    def find(self, rule: str, seed: int, before: list[float]) -> str | None:
        """Return the last run that had these losses before; None if there is none, as of a run that begins."""
        there = [key for key, (whose, number, losses) in self.known.items()
                 if before and (whose, number) == (rule, seed) and losses[:len(before)] == before]
        return next((key for key in reversed(there) if len(self.known[key][2]) == len(before)),
                    there[-1] if there else None)


def losses_before(now: Moment) -> list[float]:
    """Return the training losses of all epochs of a run before this one.

    Examples
    --------
    >>> import nobackprop as nb
    >>> seen, data = [], nb.data.load("xor")
    >>> net = nb.models.build("mlp:8", data.shape, data.classes)
    >>> _ = nb.fit(net, "bp", data, nb.Settings(epochs=2), callbacks=[lambda now: seen.append(len(losses_before(now)))])
    >>> seen
    [0, 1]
    """
    # not by now.history, which would make a copy of all that was recorded after every epoch
    return [record["train_loss"] for record in now._run.history[:now.epoch - 1]]


class CSV:
    """A callback that writes a row for each epoch to a table: run, rule, seed, and all that the epoch's record has.

    Callbacks that stand before it in the list have recorded already, and so are in the row.  The same object serves all
    runs of a comparison.

    Parameters
    ----------
    path : path
        The file.  If it is there, its rows stay: each run has a number of its own, in the column "run", even if rule
        and seed are the same.  Only a run that goes on from a checkpoint replaces rows, those of its own that it writes
        again.

    Raises
    ------
    InputError
        If the file cannot be written, or if it holds another table.

    Notes
    -----
    A value that is a list has a column for each entry, and a cell stays empty if there is no value.  A run that goes on
    is known by the training losses of its earlier epochs; if the table does not have them, it gets a new number.

    Examples
    --------
    >>> import tempfile
    >>> import nobackprop as nb
    >>> data = nb.data.load("xor")
    >>> net = nb.models.build("mlp:8", data.shape, data.classes)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for lr in (0.1, 0.01):
    ...         how = nb.Settings(epochs=2, lr=lr)
    ...         _ = nb.fit(net, "dfa", data, how, callbacks=[nb.writers.CSV(f"{folder}/runs.csv")])
    ...     lines = Path(folder, "runs.csv").read_text().splitlines()
    >>> lines[0], [line[:9] for line in lines[1:]]
    ('run,rule,seed,epoch,train_loss,validation_accuracy,alignment_1,alignment_at_a_1', ['1,dfa,0,1', '1,dfa,0,2', \
'2,dfa,0,1', '2,dfa,0,2'])
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = named(path)
        self.columns: list[str] = []
        self.runs = Runs()
        if not self.path.parent.is_dir():
            raise InputError(f"cannot write {self.path}: there is no folder {self.path.parent}")
        self._rows()

    def on_epoch(self, now: Moment) -> None:
        """Write the row of an epoch."""
        before = losses_before(now)
        found = self.runs.find(now.name, now.seed, before)
        if found is None:  # others may have written to the file
            self.runs = self._runs()
            found = self.runs.find(now.name, now.seed, before)
        run = str(max(map(int, self.runs.known), default=0) + 1) if found is None else found
        row = {"run": run, "rule": now.name, "seed": now.seed, **flat(now.record)}
        goes_on = found is None or len(self.runs.known[found][2]) == len(before)
        try:
            if goes_on and row.keys() <= set(self.columns) and self._whole():
                with self.path.open("a", newline="", encoding="utf-8") as file:
                    csv.DictWriter(file, self.columns).writerow(_cells(row))
            else:
                self._write(run, now.epoch, row)
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {error.strerror}") from error
        self.runs.put(run, now.name, now.seed, [*before, now.record["train_loss"]])

    def _whole(self) -> bool:
        """Say whether the file has the known columns and ends with a whole row, so that a row can be appended."""
        if not self.path.exists():
            return False
        with self.path.open("rb") as file:
            head = next(csv.reader([file.readline().decode("utf-8", "replace")]), [])
            file.seek(-1, os.SEEK_END)
            return head == self.columns and file.read() == b"\n"

    def _write(self, run: str, epoch: int, row: dict[str, Any]) -> None:
        """Write the whole file anew, with columns for all of the row, and without rows that the run writes again."""
        kept = [one for one in self._rows() if one["run"] != run or int(one["epoch"]) < epoch]
        self.columns += [key for key in row if key not in self.columns]
        with writing(self.path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, self.columns)
            table.writeheader()
            table.writerows([*kept, _cells(row)])

    def _runs(self) -> Runs:
        """The runs that the file holds, with their losses."""
        found: dict[str, list[dict[str, str]]] = {}
        for row in self._rows():
            found.setdefault(row["run"], []).append(row)
        runs = Runs()
        for run, rows in found.items():
            try:
                losses = [float(row["train_loss"]) for row in rows]
            except (KeyError, ValueError):
                losses = []
            whole = [row["epoch"] for row in rows] == [str(i + 1) for i in range(len(rows))]
            seed = int(rows[0]["seed"]) if rows[0]["seed"].isdecimal() else -1
            runs.put(run, rows[0]["rule"], seed, losses if whole else [])
        return runs

    def _rows(self) -> list[dict[str, str]]:
        """Read the rows that are there and whole, and the columns; a row that a kill has cut off is left out."""
        try:
            text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {self.path}, expected a new file, or one that this writer has "
                             "written") from error
        if not text:
            return []
        table = csv.DictReader(text[:text.rfind("\n") + 1].splitlines(keepends=True))
        self.columns = list(table.fieldnames or [])
        rows = [row for row in table if None not in row and None not in row.values()]
        if tuple(self.columns[:4]) != FIRST or not all(row["epoch"].isdecimal() and row["run"].isdecimal()
                                                       for row in rows):
            raise InputError(f"{self.path} holds another table, expected a new file, or one whose first columns are "
                             f"{', '.join(FIRST)}")
        return rows


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    """A row as cells: what is no number or text is written as JSON."""
    return {key: json.dumps(value) if isinstance(value, list | dict | bool) else value for key, value in row.items()}


class TensorBoard:
    """A callback that writes every number of an epoch's record to event files, which TensorBoard shows.

    Each run has a folder of its own below the folder that is named: RULE-SEED, or RULE-SEED-2 and so on if there is
    one of another run with the same rule and seed.  Entries of a list have the tags NAME/1, NAME/2 and so on.

    Parameters
    ----------
    folder : path
        Where the folders of the runs are made.

    Raises
    ------
    InputError
        If tensorboardX is not installed, which writes the files: ``pip install 'nobackprop[tensorboard]'``; or if the
        files cannot be written.

    Notes
    -----
    Neither TensorFlow nor PyTorch is needed.  A run that goes on from a checkpoint takes the place of what it had
    written after it; it is known by the training losses of its earlier epochs.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder, self.run, self.runs = named(folder), "", Runs()
        self.writer: Any = None
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"{self.folder} is a file, expected a folder for the event files")
        self.open: Any = package("tensorboardX", "tensorboard", "the writer for TensorBoard").SummaryWriter

    def on_epoch(self, now: Moment) -> None:
        """Write the numbers of an epoch."""
        before = losses_before(now)
        run = self.runs.find(now.name, now.seed, before)
        goes_on = run is not None and run == self.run and len(self.runs.known[run][2]) == len(before)
        try:
            if not goes_on:
                run = self._begin(now, before, run)
            self._write(now)
        except OSError as error:
            raise InputError(f"cannot write to {self.folder}: {error.strerror or error}") from error
        self.runs.put(str(run), now.name, now.seed, [*before, now.record["train_loss"]])
        if now.epoch == now.settings.epochs:
            self.close()

    def _begin(self, now: Moment, before: list[float], run: str | None) -> str:
        """Open the folder of a run: its own if it was found or is on disk, else a new one."""
        self.close()
        stem = f"{re.sub(r'[^A-Za-z0-9_.=-]+', '-', now.name)}-{now.seed}"
        names = (stem if i == 1 else f"{stem}-{i}" for i in itertools.count(1))
        there = [] if run else list(itertools.takewhile(lambda name: Path(self.folder, name).exists(), names))
        for name in there if before else ():
            found = _losses(Path(self.folder, name))
            there_too = {i: _as_stored(loss) for i, loss in enumerate(before, start=1) if i in found}
            if there_too and all(found[i] == loss for i, loss in there_too.items()):
                run = name  # the last epochs may be missing, as a kill loses them
        run = run or (stem if not there else f"{stem}-{len(there) + 1}")
        # tensorboardX names a file by the second, and would begin one of the same second anew
        suffix = f".{len(list(Path(self.folder, run).glob('*')))}"
        self.run, self.writer = run, self.open(str(Path(self.folder, run)), purge_step=now.epoch,
                                               filename_suffix=suffix)
        return run

    def _write(self, now: Moment) -> None:
        """Write the numbers of an epoch's record."""
        for key, value in now.record.items():
            for i, number in enumerate(value if isinstance(value, list) else [value], start=1):
                if isinstance(number, int | float) and key != "epoch":
                    self.writer.add_scalar(f"{key}/{i}" if isinstance(value, list) else key, number, now.epoch)
        self.writer.flush()

    def close(self) -> None:
        """Close the file of the run that was written last; a run that ends with its last epoch does so itself."""
        if self.writer is not None:
            self.writer.close()
        self.run, self.writer = "", None


def _as_stored(loss: float) -> float:
    """A number as an event file gives it back, which holds it in float32."""
    return float(struct.unpack("<f", struct.pack("<f", loss))[0])


def _losses(folder: Path) -> dict[int, float]:
    """The training losses in the event files of a folder, by the epoch; what a kill has cut off is left out."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[int, float] = {}
    for file in sorted(folder.glob("*tfevents*")):
        content, at = file.read_bytes(), 0
        while at + 12 <= len(content):  # the length, its checksum, the event, its checksum
            size = int.from_bytes(content[at:at + 8], "little")
            if at + 16 + size > len(content):
                break
            event = Event.FromString(content[at + 12:at + 12 + size])
            found.update((event.step, value.simple_value) for value in event.summary.value if value.tag == "train_loss")
            at += 16 + size
    return found
