"""The papers' tables and figures: as data with the numbers that they print, and as runs."""
from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from ...errors import unknown
from .. import plots
from . import al, asap
from .exhibit import Arm, Exhibit, Scale, compare

EXHIBITS: dict[str, Exhibit] = {**asap.EXHIBITS, **al.EXHIBITS}


def get(name: str) -> Exhibit:
    """The exhibit of that name, as asap:table-5.2.

    Raises InputError, with the nearest name, where there is none.
    """
    if name not in EXHIBITS:
        raise unknown("table or figure", name, EXHIBITS)
    return EXHIBITS[name]


def draw(results: dict[str, Any]) -> Figure:
    """The figure of a results.json: an exhibit's own where it is one's, else that of a comparison.

    Raises InputError where an exhibit's results do not hold what its figure shows.
    """
    exhibit = EXHIBITS.get(results["config"].get("exhibit", ""))
    if exhibit is None:
        return plots.draw(results)
    exhibit.accept(results)
    return exhibit.draw(results)


__all__ = ["EXHIBITS", "Arm", "Exhibit", "Scale", "compare", "draw", "get"]
