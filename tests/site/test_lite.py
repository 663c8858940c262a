"""The notebooks in the browser: JupyterLite on the hosted Pyodide, with the network closed."""
import json
import re
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
PATIENCE = 600_000  # milliseconds: a notebook loads 40 MB of Python and trains eight networks
CELLS = """Array.from(jupyterapp.shell.currentWidget.content.model.cells, cell => cell.toJSON())
    .filter(cell => cell.cell_type === 'code')"""


@pytest.fixture
def ran(visit, site):
    """A function that runs a notebook in JupyterLite, without the cells that have a text, and returns the others."""
    if not (site / "lite").is_dir():
        pytest.skip("no notebooks in this site: they need Pyodide (NOBACKPROP_PYODIDE) and JupyterLite")

    def run(name, without="no cell has this"):
        page = visit(f"lite/lab/index.html?path={name}.ipynb")
        page.set_default_timeout(PATIENCE)
        page.wait_for_function("window.jupyterapp?.shell.currentWidget?.content?.model?.cells?.length > 3")
        page.evaluate("""text => {
            const {cells, sharedModel} = jupyterapp.shell.currentWidget.content.model;
            for (let i = cells.length - 1; i >= 0; i--)
                if (cells.get(i).sharedModel.source.includes(text)) sharedModel.deleteCell(i);
        }""", without)
        page.evaluate("""jupyterapp.shell.currentWidget.context.sessionContext.ready
            .then(() => jupyterapp.commands.execute('notebook:run-all-cells')).then(() => { window.ran = true })""")
        page.wait_for_function("window.ran")
        cells = page.evaluate(CELLS)
        faults = [f"{output['ename']}: {output['evalue']}" for cell in cells for output in cell["outputs"]
                  if output["output_type"] == "error"]
        assert not faults, faults
        assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
        return cells

    return run


def outputs(cells):
    """What the cells print, and how many pictures they show; on stderr matplotlib says that it looks for fonts."""
    shown = [output for cell in cells for output in cell["outputs"]]
    return ("".join(text for output in shown if output.get("name") == "stdout" for text in output["text"]),
            sum("image/png" in output.get("data", {}) for output in shown))


def test_the_first_notebook_runs_to_its_end_and_shows_what_is_stored(ran):
    first = min(NOTEBOOKS.glob("*.ipynb"))
    stored = [cell for cell in json.loads(first.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    cells = ran(first.stem)
    assert len(cells) == len(stored) and outputs(cells)[1] == outputs(stored)[1] > 0
    for i, (one, other) in enumerate(zip(cells[:-1], stored[:-1], strict=True), start=1):
        # numbers differ in their last digits, and are compared natively; and JupyterLite may hold a line twice if it
        # has come while the cell was running
        words = [set(re.findall(r"[A-Za-z]{2,}", outputs([cell])[0])) for cell in (one, other)]
        assert words[0] == words[1], f"code cell {i}"


def test_the_notebook_that_needs_hypothesis_finds_it(ran):
    said = outputs(ran("07-invent-a-rule", without="nb.compare("))[0]  # these two cells train for minutes
    assert "no counterexample in 100 networks" in said and "no counterexample in 50 networks" in said
    assert "there is a counterexample, as there should be" in said and "Hypothesis 6." in said
