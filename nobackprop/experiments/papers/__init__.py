"""The papers' tables and figures, as data with the numbers that they print, and as runs."""
from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from ...errors import check_name
from .. import plots
from . import al, asap
from .exhibit import Arm, Exhibit, Scale, compare

EXHIBITS: dict[str, Exhibit] = {**asap.EXHIBITS, **al.EXHIBITS}


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


def draw(results: dict[str, Any]) -> Figure:
    """Draw the figure of a results.json: the exhibit's own if it is the result of one, else that of a comparison.

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
        If the results of an exhibit lack what its figure shows.

    Examples
    --------
    >>> draw({"config": {"exhibit": "al:table-5"}, "runs": []})
    Traceback (most recent call last):
    nobackprop.errors.InputError: results of al:table-5: the key 'config.scale' is missing
    """
    exhibit = EXHIBITS.get(results["config"].get("exhibit", ""))
    if exhibit is None:
        return plots.draw(results)
    exhibit.accept(results)
    return exhibit.draw(results)


__all__ = ["EXHIBITS", "Arm", "Exhibit", "Scale", "compare", "draw", "get"]
