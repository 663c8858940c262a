"""The papers, in the order in which they are shown."""
from __future__ import annotations

from .al import AL
from .asap import ASAP
from .las import LAS
from .paper import Paper

PAPERS: tuple[Paper, ...] = (LAS, ASAP, AL)
