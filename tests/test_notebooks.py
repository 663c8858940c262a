"""Every notebook runs, quickly, and is stored as run.

`python tests/test_notebooks.py` runs all notebooks, or those that are named, and stores what they show.
"""
from __future__ import annotations

import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

# the first cell of a test: an epoch has three steps, fewer than in what is stored; every line of a notebook runs
SHORT = """
import nobackprop.learn

def short(self, *args, whole=nobackprop.learn.Run.__init__, **kwargs):
    whole(self, *args, **kwargs)
    self.cuts = self.cuts[:4]

nobackprop.learn.Run.__init__ = short
"""
NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))


def run(path: Path, before: str = "") -> nbformat.NotebookNode:
    """The notebook with what its cells give, and with the cell `before` in front of them if there is one."""
    notebook = nbformat.read(path, as_version=4)
    if before:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(before))
    where = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=300, record_timing=False, resources=where).execute()
    return notebook


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_from_top_to_bottom(path):
    run(path, before=SHORT)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_stored_as_run(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs)
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:] or NOTEBOOKS):
        nbformat.write(run(path), path)
