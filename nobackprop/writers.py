"""Callbacks that write what is measured to files of other tools: a CSV table, and TensorBoard's event files.

Each epoch is written as soon as it is measured, so that a process that is killed loses the last row at most.
"""
from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path
from typing import Any

from .callbacks import Moment
from .errors import InputError
from .files import named, writing

FIRST = ("rule", "seed", "epoch")  # the columns by which a row is found


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


class CSV:
    """A callback that writes a row for each epoch to a table: rule, seed, and all that the epoch's record has.

    Callbacks that stand before it in the list have recorded already, and so are in the row.  The same object serves all
    runs of a comparison.

    Parameters
    ----------
    path : path
        The file.  If it is there, the rows of the same rule and seed are replaced from the first epoch that is written
        on, as if a checkpoint went on or a run began again; other rows stay.

    Raises
    ------
    InputError
        If the file cannot be written, or if it holds another table.

    Notes
    -----
    A value that is a list has a column for each entry, and a cell stays empty if there is no value.

    Examples
    --------
    >>> import tempfile
    >>> import nobackprop as nb
    >>> data = nb.data.load("xor")
    >>> net = nb.models.build("mlp:8", data.shape, data.classes)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = nb.fit(net, "dfa", data, nb.Settings(epochs=2), callbacks=[CSV(f"{folder}/run.csv")])
    ...     lines = Path(folder, "run.csv").read_text().splitlines()
    >>> lines[0], len(lines)
    ('rule,seed,epoch,train_loss,validation_accuracy,alignment_1,alignment_at_a_1', 3)
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = named(path)
        self.columns: list[str] = []
        self.begun: set[tuple[str, int]] = set()
        if not self.path.parent.is_dir():
            raise InputError(f"cannot write {self.path}: there is no folder {self.path.parent}")
        self._rows()

    def on_epoch(self, now: Moment) -> None:
        """Write the row of an epoch."""
        row = {"rule": now.name, "seed": now.seed, **flat(now.record)}
        try:
            if (now.name, now.seed) in self.begun and row.keys() <= set(self.columns):
                with self.path.open("a", newline="", encoding="utf-8") as file:
                    csv.DictWriter(file, self.columns).writerow(_cells(row))
            else:
                self._begin(now, row)
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {error.strerror}") from error

    def _begin(self, now: Moment, row: dict[str, Any]) -> None:
        """Write the whole file anew, with columns for all of the row, and without rows that the run writes again."""
        kept = [one for one in self._rows() if (one["rule"], one["seed"]) != (now.name, str(now.seed))
                or int(one["epoch"]) < now.epoch]
        self.columns += [key for key in row if key not in self.columns]
        with writing(self.path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, self.columns)
            table.writeheader()
            table.writerows([*kept, _cells(row)])
        self.begun.add((now.name, now.seed))

    def _rows(self) -> list[dict[str, str]]:
        """Read the rows that are there and whole, and the columns; a row that a kill has cut off is left out."""
        try:
            text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {self.path}, expected a new file, or one that this has written") from error
        if not text:
            return []
        table = csv.DictReader(text[:text.rfind("\n") + 1].splitlines(keepends=True))
        self.columns = list(table.fieldnames or [])
        rows = [row for row in table if None not in row and None not in row.values()]
        if tuple(self.columns[:3]) != FIRST or not all(row["epoch"].isdecimal() for row in rows):
            raise InputError(f"{self.path} holds another table, expected a new file, or one whose first columns are "
                             f"{', '.join(FIRST)}")
        return rows


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    """A row as cells: what is no number or text is written as JSON."""
    return {key: json.dumps(value) if isinstance(value, list | dict | bool) else value for key, value in row.items()}


class TensorBoard:
    """A callback that writes every number of an epoch's record to event files, which TensorBoard shows.

    Each run has a folder of its own, RULE-SEED, below the folder that is named.  Entries of a list have the tags
    NAME/1, NAME/2 and so on.

    Parameters
    ----------
    folder : path
        Where the folders of the runs are made.

    Raises
    ------
    InputError
        If tensorboardX is not installed, which writes the files: ``pip install 'nobackprop[tensorboard]'``.

    Notes
    -----
    Neither TensorFlow nor PyTorch is needed.  A run that goes on from a checkpoint takes the place of what it had
    written after it.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder, self.run = named(folder), ""
        self.writer: Any = None
        try:
            import tensorboardX
        except ImportError:
            raise InputError("the writer for TensorBoard needs tensorboardX, which is not installed: pip install "
                             "'nobackprop[tensorboard]'") from None
        self.open: Any = tensorboardX.SummaryWriter

    def on_epoch(self, now: Moment) -> None:
        """Write the numbers of an epoch."""
        run = f"{re.sub(r'[^A-Za-z0-9_.=-]+', '-', now.name)}-{now.seed}"
        if run != self.run or now.epoch == 1:
            self.close()
            self.run, self.writer = run, self.open(str(Path(self.folder, run)), purge_step=now.epoch)
        for key, value in now.record.items():
            for i, number in enumerate(value if isinstance(value, list) else [value], start=1):
                if isinstance(number, int | float) and key != "epoch":
                    self.writer.add_scalar(f"{key}/{i}" if isinstance(value, list) else key, number, now.epoch)
        self.writer.flush()
        if now.epoch == now.settings.epochs:
            self.close()

    def close(self) -> None:
        """Close the file of the run that was written last; a run that ends with its last epoch does so itself."""
        if self.writer is not None:
            self.writer.close()
        self.run, self.writer = "", None
