"""The pages of the site: those of the repository with links that work there, and those made from what the code knows.

`write(to)` writes them all into a folder, as Markdown from which Sphinx builds the site.  Nothing here needs Sphinx.
"""
from __future__ import annotations

import json
import re
from functools import cache
from html import escape
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

from . import equations, reference, rules, sources
from .links import ROOT, rewritten

# the pages of docs/ by what a reader wants; a page that is on no list is told by a test
GUIDE = {
    "To use it": ["tutorial", "how-do-i", "how-do-i-data", "signals", "runs"],
    "To read it": ["glossary", "notation", "equations", "errata", "locality", "field", "gradient-free", "convolution"],
    "To build on it": ["adding-a-rule", "extending", "testing", "site"],
    "What was measured": ["results", "claims", "estimators", "performance", "memory", "pipeline", "reliability"],
}
ABOUT = ["CHANGELOG", "CONTRIBUTING"]
WIDGETS = {"las": "las-sign", "forward-alignment": "forward-alignment", "kolen-pollack": "kolen-pollack",
           "associated-learning": "makespan"}
MERMAID = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SCRIPT = '<script src="../_static/mermaid/mermaid.min.js" defer></script>'
WIDGET_SCRIPT = '\n<script type="module" src="../../playground/widgets.js"></script>\n'
PICTURES = ("*.png", "*.svg")


def write(to: Path) -> list[str]:
    """Write all pages of the site.

    Parameters
    ----------
    to : Path
        The folder.  Files that would stay the same are left alone, so that Sphinx reads only what is new; files that
        belong to no page are taken away.

    Returns
    -------
    list of str
        The files of the repository that pages link to and that are no pages; they belong into files/ on the site.
    """
    used: set[str] = set()
    made = {path: text.encode() for path, text in everything(used).items()}
    for picture in (one for pattern in PICTURES for one in (ROOT / "docs").rglob(pattern)):
        path = picture.relative_to(ROOT)
        if not {"_static", "_templates", "playground"} & set(path.parts):
            made[path.as_posix()] = picture.read_bytes()
    for path, content in made.items():
        file = to / path
        if not file.is_file() or file.read_bytes() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    for file in to.rglob("*"):
        if file.is_file() and file.relative_to(to).as_posix() not in made:
            file.unlink()
    return sorted(used)


def everything(used: set[str]) -> dict[str, str]:
    """Return the text of all pages by their paths on the site.

    Parameters
    ----------
    used : set of str
        The paths of linked files that are no page and no code; this function adds to it.

    Returns
    -------
    dict of str to str
    """
    texts = {path: (ROOT / path).read_text(encoding="utf-8") for path in pages()}
    notebooks = [path for path in texts if path.endswith(".ipynb")]
    made = {"index.md" if path == "README.md" else path:
            notebook(text, path, used) if path in notebooks else own(text, path, used) for path, text in texts.items()}
    return (made | {"docs/index.md": guide(), "notebooks/index.md": notebook_index(notebooks)}
            | equations.pages() | rules.pages() | reference.pages() | sources.pages())


def pages() -> list[str]:
    """Return the paths of all pages and notebooks of the repository that are pages of the site."""
    found = ["README.md", *(f"{name}.md" for name in ABOUT)]
    for folder in ("docs", "docs/theory", "notebooks"):
        found += [path.relative_to(ROOT).as_posix() for ending in ("md", "ipynb")
                  for path in sorted((ROOT / folder).glob(f"[!.]*.{ending}"))]
    return found


def own(text: str, path: str, used: set[str]) -> str:
    """Return a page of the repository as a page of the site."""
    text = MERMAID.sub(lambda found: f'```{{raw}} html\n<pre class="mermaid">{escape(found[1])}</pre>\n{SCRIPT}\n```',
                       rewritten(text, path, used))
    name = Path(path).stem
    if path == "README.md":
        tree = ["docs/index", "rules/index", "equations/index", "docs/theory/README", "notebooks/index", "api/index"]
        return text + toctree(tree, hidden=True) + toctree(ABOUT, hidden=True, caption="About")
    if path == "docs/theory/README.md":
        names = sorted(page.stem for page in (ROOT / "docs" / "theory").glob("*.md") if page.stem != "README")
        return text + "\n" + rules.statements_table() + toctree([f"{one}" for one in names], hidden=True)
    if path.startswith("docs/theory/"):
        text = rules.anchored(text)
        widget = f'\n## Try it\n\n<div class="nobackprop-widget" data-widget="{WIDGETS.get(name)}"></div>\n'
        script = WIDGET_SCRIPT if (ROOT / "docs" / "playground" / "widgets.js").is_file() else ""
        return text + widget + script if name in WIDGETS else text
    if path == "docs/equations.md":
        return text.replace("\n\n", "\n\nEach equation also has [a page of its own](../equations/index.md).\n\n", 1)
    return text


def notebook(text: str, path: str, used: set[str]) -> str:
    """Return a notebook as a page of the site: with links that work there, and with a button to run it."""
    content = json.loads(text)
    for cell in content["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = rewritten("".join(cell["source"]), path, used)
    name = Path(path).name
    button = (f'<a class="nobackprop-button" href="../lite/lab/index.html?path={name}">Run this notebook in the '
              f'browser</a>')
    first = content["cells"][0]
    title, _, rest = first["source"].partition("\n") if first["cell_type"] == "markdown" else ("", "", "")
    if title and runs_notebooks():
        first["source"] = f"{title}\n\n{button}\n{rest}"
    return json.dumps(content)


@cache
def runs_notebooks() -> bool:
    """Say whether the site will have JupyterLite, which needs Pyodide beside the pages."""
    file = ROOT / "docs" / "build_playground.py"
    if not file.is_file() or find_spec("jupyterlite_core") is None:
        return False
    spec = spec_from_file_location("build_playground", file)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pyodide() is not None


def toctree(names: list[str], hidden: bool = False, caption: str = "", depth: int = 1) -> str:
    """Return a list of pages as Sphinx reads it."""
    options = [":hidden:"] * hidden + ([f":caption: {caption}"] if caption else []) + [f":maxdepth: {depth}"]
    return "\n".join(["\n```{toctree}", *options, "", *names, "```\n"])


def guide() -> str:
    """Return the list of the pages of docs/."""
    there = {Path(path).stem for path in pages() if path.startswith("docs/") and path.count("/") == 1}
    parts = ["# Guide\n", "The pages of the repository, by what you want to do.\n"]
    for title, names in GUIDE.items():
        parts.append(f"## {title}\n" + toctree([name for name in names if name in there]))
    return "\n".join(parts)


def notebook_index(paths: list[str]) -> str:
    """Return the list of all notebooks."""
    button = " The button on it opens the notebook in your browser, where you can change it and run it."
    return (f"# Notebooks\n\nEach notebook is a page with the outputs of its last run.{button * runs_notebooks()}\n"
            + toctree([Path(path).stem for path in paths]))
