"""A comparison in Python: what `nobackprop compare` does, as a function whose result can be looked at."""
from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..callbacks import Callback
from ..data import Dataset
from ..errors import InputError, brief, carrying, unknown, yes_or_no
from ..network import Network, a_network
from ..outside import package
from ..rules import RULES as KNOWN
from ..rules import Rule, describe, recall
from ..writers import flat
from . import RULES, SEEDS
from . import results as files
from .compare import Comparison, resolve
from .folder import claim

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Outcome:
    """What a comparison has measured.

    Parameters
    ----------
    results : dict
        What a results.json holds, see nobackprop/experiments/results.py: "config", "environment" and "runs".

    Examples
    --------
    >>> record = {"epoch": 1, "train_loss": 0.5, "validation_accuracy": 1.0,
    ...           "alignment": [1.0], "alignment_at_a": [1.0]}
    >>> run = {"rule": "bp", "seed": 0, "seconds": 2.0, "test_accuracy": 0.9, "history": [record]}
    >>> print(Outcome({"config": {}, "runs": [run]}).table().splitlines()[-1])
    bp    0.9000 ± -              0.5000    1.000    2.0
    """

    results: dict[str, Any]

    def __repr__(self) -> str:
        """The table, so that the result can be read where it stands."""
        return self.table()

    def table(self) -> str:
        """Return the table that the command prints."""
        return files.table(self.results)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """Return the figure that the command draws, and write it to a .png, .svg or .pdf file if one is named.

        Parameters
        ----------
        path : path, optional
            The file; what was there is replaced.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        InputError
            If the name has another ending, or if the file cannot be written.
        """
        from .. import figures
        from . import plots  # matplotlib takes longer to come than all else, and a web page may not have it

        if path is not None:
            figures.check_ending(path)
        figure = plots.draw(self.results)
        if path is not None:
            figures.write(figure, path)
        return figure

    def rows(self) -> list[dict[str, Any]]:
        """Return a flat record for each epoch of each run.

        Returns
        -------
        list of dict
            "rule", "seed", "test_accuracy" and "seconds" of the run, and all that was measured after the epoch.  Of a
            list, such as "alignment", each value has a key: "alignment_1", "alignment_2", ...
        """
        found = []
        for run in self.results["runs"]:
            of_run = {key: run[key] for key in ("rule", "seed", "test_accuracy", "seconds")}
            for record in run["history"]:
                found.append(of_run | flat(record))
        return found

    def to_pandas(self) -> pandas.DataFrame:
        """Return `rows` as a frame of pandas.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        frame: pandas.DataFrame = package("pandas", "pandas", "to_pandas").DataFrame(self.rows())
        return frame

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the results to a file that `nobackprop plot` reads.

        Parameters
        ----------
        path : path
            The file, such as results.json; what was there is replaced.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        files.write(path, self.results)


def compare(data: str | os.PathLike[str] | Dataset = "digits", rules: Sequence[str | Rule] = RULES,
            seeds: Sequence[int] = SEEDS, *, net: Network | None = None, out: str | None = None, device: str = "cpu",
            threads: int | None = None,
            data_dir: str | None = None, download: bool = False, callbacks: Sequence[Callback] = (),
            progress: bool = True,
            **settings: Any) -> Outcome:
    """Train the same networks under several rules, as `nobackprop compare` does, and return what was measured.

    Parameters
    ----------
    data : str, path or Dataset
        The name of a data set or of a file of your own, or a data set of your own.
    rules : sequence of str or Rule
        The rules, by the texts that `rules.get` knows, or themselves.
    seeds : sequence of int
        Every rule is run once with each.
    net : Network, optional
        A network of your own; by default the setting `model` says which is built.
    out : str, optional
        A new or empty folder for results.json and figure.png; nothing is written if it is left out.
    device : str
        "cpu", "cuda" or "cuda:N".
    threads : int, optional
        The number of workers; what suits the data set if it is left out.
    data_dir, download
        As `data.load` takes them.
    callbacks : sequence
        What is called in every run after every batch or every epoch, to record, to stop or to save; see
        `nobackprop.callbacks`.  Numbers that they record are in the table and in the figure.
    progress : bool
        Whether stderr shows how far it is.
    **settings
        Any of `Settings` and `NetworkSettings`, such as epochs=3 or model="mlp:32".  What is left out suits the data
        set and the rule, as on the command line.

    Returns
    -------
    Outcome
        With `table()`, `plot()`, `to_pandas()`, `rows()`, `save()` and `results`.

    Raises
    ------
    InputError
        If these do not fit each other.

    Notes
    -----
    A run that diverges is recorded, and the others go on.  An error that ends the
    comparison, such as one of a callback or that of Ctrl-C, has what was measured until then as its attribute
    `outcome`.

    Examples
    --------
    >>> import nobackprop as nb
    >>> found = nb.compare("xor", ["bp", nb.rules.DFA()], seeds=[0], progress=False, epochs=1, model="mlp:8")
    >>> [(run["rule"], len(run["history"])) for run in found.results["runs"]]
    [('bp', 1), ('dfa', 1)]
    """
    data = os.fspath(data) if isinstance(data, os.PathLike) else data
    if not isinstance(data, str | Dataset):
        raise InputError(f"data is {brief(data)}, expected the name of a data set or a Dataset")
    if isinstance(rules, str | Rule) or not isinstance(rules, Sequence) or not rules:
        raise InputError(f"rules is {brief(rules)}, expected a list of rules or of their names")
    if net is not None and (twice := {"model", "activation", "loss"} & settings.keys()):
        raise InputError(f"got {min(twice)} and net, expected one of the two: a network has activations and a loss")
    if net is not None:
        a_network(net)
    silent = not yes_or_no("progress", progress)
    names = [_name(rule) if isinstance(rule, Rule) else rule for rule in rules]
    for name in names:
        if not isinstance(name, str):
            raise unknown("rule", name, KNOWN)
    named = {name: rule for name, rule in zip(names, rules, strict=True) if isinstance(rule, Rule)}
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"rules has {min(twice)} twice, expected each once")
    config = resolve(data, names, seeds, settings, device, threads, named)
    if net is not None:
        config |= {"model": "own", "activation": None, "loss": net.loss}
        for of in config["rule_settings"].values():
            of.pop("activation", None)
    comparison = Comparison(config, data_dir, download, data=None if isinstance(data, str) else data, own=named,
                            net=net, callbacks=callbacks)
    with carrying("outcome", lambda: Outcome(comparison.results)):
        if out is None:
            comparison.run(silent=silent)
        else:
            from . import plots

            with claim(out, config["data"]) as folder:
                comparison.run(folder, silent=silent)
                folder.draw(plots.draw(comparison.results))
    return Outcome(comparison.results)


def _name(rule: Rule) -> str:
    """What results call a rule: the text that gives it, or the name of a class that no text gives."""
    text = describe(rule)
    with suppress(InputError):
        recall(text)
        return text
    return type(rule).__name__
