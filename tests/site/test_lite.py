"""The notebooks in the browser: JupyterLite on the hosted Pyodide, with the network closed."""
import pytest

PATIENCE = 600_000  # milliseconds: a notebook loads 40 MB of Python and trains eight networks
CELLS = """Array.from(jupyterapp.shell.currentWidget.content.model.cells, cell => cell.toJSON())
    .filter(cell => cell.cell_type === 'code')"""


def test_the_first_notebook_runs_to_its_end(visit, site):
    if not (site / "lite").is_dir():
        pytest.skip("no notebooks in this site: they need Pyodide (NOBACKPROP_PYODIDE) and JupyterLite")
    page = visit("lite/lab/index.html?path=02-the-engine.ipynb")
    page.set_default_timeout(PATIENCE)
    page.wait_for_function("window.jupyterapp?.shell.currentWidget?.content?.model?.cells?.length > 3")
    page.evaluate("""jupyterapp.shell.currentWidget.context.sessionContext.ready
        .then(() => jupyterapp.commands.execute('notebook:run-all-cells')).then(() => { window.ran = true })""")
    page.wait_for_function("window.ran")
    cells = page.evaluate(CELLS)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    said = "".join(text for output in outputs for text in output.get("text", []))
    assert said.count("as the library: True") == 3 and "bit for bit: True" in said
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
