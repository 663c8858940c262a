"""The papers' tables and figures, as data with the numbers that they print, and as runs."""
from __future__ import annotations

import math
from typing import Any

from matplotlib.figure import Figure

from ...errors import InputError, check_name
from .. import plots
from ..loop import take_over
from ..results import Number, check
from ..sweep import show
from . import al, asap, field, las
from .exhibit import Arm, Exhibit, Plan, Scale, compare

EXHIBITS: dict[str, Exhibit] = {**las.EXHIBITS, **asap.EXHIBITS, **al.EXHIBITS, **field.EXHIBITS}


def get(name: str) -> Exhibit:
    """Return the exhibit of a name such as asap:table-5.2.

    Raises
    ------
    InputError
        If there is none; the message has the nearest name.

    Examples
    --------
    >>> len(get("al:table-2").arms)
    5
    """
    check_name("table or figure", name, EXHIBITS)
    return EXHIBITS[name]


def resumed(stored: dict[str, Any], data_dir: str | None = None, download: bool = False) -> Plan:
    """Return the run of an exhibit that an earlier process has begun; its `run` goes on.

    Parameters
    ----------
    stored : dict
        The results that it has left, as `folder.reopen` reads them.
    data_dir : str, optional
        The folder with the data set's files.
    download : bool
        Whether files that are missing may be fetched.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        If the stored settings are damaged or are not those of the exhibit, or if the results were made on other data.

    Examples
    --------
    >>> resumed({"config": {"exhibit": "al:table-5"}})
    Traceback (most recent call last):
    nobackprop.errors.InputError: results.json: the key 'config.scale' is missing
    """
    whole = Number(0, math.inf, whole=True)
    check("results.json", stored, {"config": {"exhibit": str, "scale": str, "rules": [str], "seeds": [whole],
                                              "threads": whole, "device": str}, "environment": {}})
    config = stored["config"]
    plan = get(config["exhibit"]).check(config["scale"], config["seeds"], data_dir, download, config["threads"],
                                        config["device"], config["rules"])
    take_over(plan.results, stored)
    return plan


def draw(results: dict[str, Any]) -> Figure:
    """Draw the figure of a results.json: that of the exhibit or of the sweep that it is of, else that of a comparison.

    Parameters
    ----------
    results : dict
        Of the form in nobackprop/experiments/results.py.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    InputError
        If the results of an exhibit lack what its figure shows, or if none of its runs has reached its end.

    Examples
    --------
    >>> draw({"config": {"exhibit": "al:table-5"}, "runs": []})
    Traceback (most recent call last):
    nobackprop.errors.InputError: results of al:table-5: the key 'config.scale' is missing
    """
    if results.get("command") == "sweep":
        return show.draw(results)
    exhibit = EXHIBITS.get(results["config"].get("exhibit", ""))
    if exhibit is None:
        return plots.draw(results)
    exhibit.accept(results)
    # what an exhibit shows may be there in the last epoch alone
    whole = results | {"runs": [run for run in results["runs"] if run["test_accuracy"] is not None]}
    if not whole["runs"]:
        raise InputError(f"results of {exhibit.name}: no run has reached its end, expected one at least")
    if exhibit.draw is None:
        return plots.draw(whole, {arm.label: arm.rule for arm in exhibit.arms}, exhibit.title)
    return exhibit.draw(whole)


__all__ = ["EXHIBITS", "Arm", "Exhibit", "Plan", "Scale", "compare", "draw", "get", "resumed"]
