"""Where every numbered equation of the papers stands: in the code, in the tests, and in the notebooks.

A line that computes an equation ends in a tag, which is a comment such as `# LAS (24)`.  Tags are collected by reading
files when somebody asks for them; nothing here runs when a network learns.
"""
from __future__ import annotations

from .pages import markdown, show
from .paper import Equation, Paper
from .papers import PAPERS
from .tags import Place, collect

__all__ = ["PAPERS", "Equation", "Paper", "Place", "collect", "markdown", "show"]
