"""The reference: a page for each public module, which Sphinx fills with its docstrings."""
from __future__ import annotations

import ast
import importlib

from .links import ROOT, tracked

# __main__ has no docstrings to show, and the lists of equations are shown on pages of their own
HIDDEN = ("__main__", "conftest")


def modules() -> dict[str, str]:
    """Return the public modules of the package, and the first line of the docstring of each.

    Returns
    -------
    dict of str to str
        From the name of a module to a sentence.
    """
    found = {}
    for path in tracked():
        parts = path.removesuffix(".py").split("/")
        if parts[0] != "nobackprop" or any(part.startswith("_") and part != "__init__" for part in parts):
            continue
        name = ".".join(part for part in parts if part != "__init__")
        text = ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8"))) or ""
        found[name] = text.partition("\n")[0]
    return dict(sorted(found.items()))


def pages() -> dict[str, str]:
    """Return the pages of the reference: an index, and one for each module."""
    found = modules()
    groups: dict[str, list[str]] = {}
    for name in found:
        groups.setdefault(".".join(name.split(".")[:2]), []).append(name)
    rooms = {room: names for room, names in groups.items() if len(names) > 1 and room != "nobackprop"}
    core = [name for names in groups.values() for name in names if ".".join(name.split(".")[:2]) not in rooms]
    parts = ["# Reference\n", "Every public module, class and function, with its shapes, its exceptions and an "
                              "example that is run by the tests.\n"]
    for title, names in {"The core": core, **{f"`{room}`": names for room, names in rooms.items()}}.items():
        rows = "\n".join(f"| [`{name}`]({name}.md) | {found[name].replace('|', chr(92) + '|')} |" for name in names)
        parts.append(f"## {title}\n\n| module | |\n| --- | --- |\n{rows}\n")
    shorter = [f"{name.removeprefix('nobackprop.')} <{name}>" for name in found]
    parts.append("\n".join(["```{toctree}", ":hidden:", "", *shorter, "```\n"]))
    return {"api/index.md": "\n".join(parts)} | {f"api/{name}.md": page(name) for name in found}


def page(name: str) -> str:
    """Return the page of one module: what it defines, and after that what it offers of other modules."""
    text = f"# {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :ignore-module-all:\n```\n"
    module = importlib.import_module(name)
    others = {what: home for what in getattr(module, "__all__", ())
              if (home := getattr(getattr(module, what), "__module__", name)) != name and home.startswith("nobackprop")}
    if others:
        rows = "\n".join(f"| [`{what}`](#{home}.{what}) | `{home}` |" for what, home in others.items())
        text += f"\n## Also here\n\n| name | its home |\n| --- | --- |\n{rows}\n"
    return text
