"""Put the playground into a site: `python docs/build_playground.py FOLDER`, which `make site` does for its own folder.

The page runs the package's own wheel under Pyodide, which is Python in the browser.  Pyodide is copied beside the page
if there is a folder with it: the one that NOBACKPROP_PYODIDE names, or ../shared/pyodide beside the repository.  If
there is none, the page loads the same version from Pyodide's public address.
"""
from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "docs" / "playground"
sys.path.insert(0, str(ROOT))

import nobackprop as nb  # noqa: E402  found by the line above
from nobackprop import figures  # noqa: E402
from nobackprop.data import DATASETS, stored  # noqa: E402
from nobackprop.kernels.activation import ACTIVATIONS  # noqa: E402

VERSION = "0.27.7"
PUBLIC = f"https://cdn.jsdelivr.net/pyodide/v{VERSION}/full/"
# what the page itself loads; JupyterLite needs the other packages, too
CORE = ("pyodide.js", "pyodide.mjs", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")
# what the notebooks import, in the words of Pyodide's list of packages
NEEDED = ("numpy", "scipy", "matplotlib", "scikit-learn", "threadpoolctl")
# what a notebook imports and Pyodide does not bring; and what JupyterLite's kernel takes from a package index
BESIDE, KERNEL = "hypothesis", "comm"
TASKS = {"spirals": "Spirals", "circles": "Circles", "quadrants": "XOR", "digits": "Digits"}


def pyodide() -> Path | None:
    """Return the folder with Pyodide, or None if there is none."""
    folder = Path(os.environ.get("NOBACKPROP_PYODIDE") or ROOT.parent / "shared" / "pyodide")
    return folder if (folder / "pyodide.js").is_file() else None


def wheel(to: Path) -> Path:
    """Build the wheel of this package into a folder, and return it.

    It is built from a copy, so that nothing that an earlier build has left gets into it.
    """
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name, "source")
        copy.mkdir()
        for file in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
            shutil.copyfile(ROOT / file, copy / file)
        for folder in ("nobackprop", "docs/theory"):
            shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
        here = [] if find_spec("wheel") is None else ["--no-isolation"]
        done = subprocess.run([sys.executable, "-m", "build", "--wheel", *here, "--outdir", name, copy], cwd=name,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            sys.exit(f"build_playground.py: the wheel cannot be built:\n{done.stdout[-2000:]}")
        built = next(Path(name).glob("*.whl"))
        to.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copyfile(built, to / built.name))


def catalogue() -> dict[str, Any]:
    """Return what the page can offer before Python has started: rules with their colours, tasks, activations."""
    rules = {name: {"summary": nb.rules.summary(name), "colour": figures.colour_of(name)}
             for name in nb.rules.RULES}
    tasks = {name: {"words": words, "model": DATASETS[name].defaults["model"], "lr": DATASETS[name].defaults["lr"]}
             for name, words in TASKS.items()}
    tasks["points"] = {**tasks["circles"], "words": "Your own points"}
    return {"rules": rules, "tasks": tasks, "activations": list(ACTIVATIONS)}


def build(site: Path) -> None:
    """Put the playground into the folder of a site, and the notebooks that run in the browser.

    The page is playground.html, and all that it loads is in playground/.
    """
    to = site / "playground"
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(SOURCE, to)
    shutil.move(to / "playground.html", site / "playground.html")
    stored.write(nb.data.load("digits"), to / f"digits{stored.ENDING}")
    from_folder = pyodide()
    if from_folder is not None:
        (to / "pyodide").mkdir()
        for file in (*CORE, *(path.name for path in from_folder.glob("numpy-*.whl"))):
            shutil.copyfile(from_folder / file, to / "pyodide" / file)
    there = {"pages": sorted(path.stem for path in site.glob("rules/*.html")),
             "drawings": sorted(path.stem for path in site.glob("_static/rules/*.svg"))}
    where = {"pyodide": PUBLIC if from_folder is None else "pyodide/", "wheel": wheel(to).name,
             "files": {f"digits{stored.ENDING}": f"digits{stored.ENDING}"}}
    (to / "catalogue.json").write_text(json.dumps(catalogue() | there | where), encoding="utf-8")
    widgets(site)
    lite(site)


def widgets(site: Path) -> None:
    """Let every page of a site that has a place for a widget load the script that fills it."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if 'class="nobackprop-widget"' in text and "playground/widgets.js" not in text:
            script = "../" * len(page.relative_to(site).parent.parts) + "playground/widgets.js"
            page.write_text(text.replace("</body>", f'<script type="module" src="{script}"></script>\n</body>'),
                            encoding="utf-8")


def lite(site: Path) -> None:
    """Put JupyterLite with all notebooks into lite/ of a site which has the playground.

    Its Python is the hosted Pyodide, whose list of packages has ours besides, and those that only notebooks need: a
    cell that imports one of them gets it.  Nothing is built if there is no Pyodide to host, or if JupyterLite is not
    installed.
    """
    from_folder = pyodide()
    if from_folder is None or find_spec("jupyterlite_core") is None:
        print("build_playground.py: no notebooks in the browser: they need a folder with Pyodide "
              "(NOBACKPROP_PYODIDE), and JupyterLite: pip install '.[site]'", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as name:
        to = Path(name, "static", "pyodide")
        shutil.copytree(from_folder, to, copy_function=shutil.copyfile)
        to.chmod(0o755)
        listed = to / "pyodide-lock.json"
        known = json.loads(listed.read_text(encoding="utf-8"))
        python = known["info"]["python"]
        ours = next((site / "playground").glob("nobackprop-*.whl"))
        beside = fetched(BESIDE, python, Path(name, "beside"))
        for file in (ours, *beside):
            shutil.copyfile(file, to / file.name)
            package = entry(file)
            package["depends"] = {"nobackprop": list(NEEDED), BESIDE: [
                entry(one)["name"] for one in beside if one != file]}.get(package["name"], [])
            known["packages"][package["name"]] = package
        listed.unlink()
        listed.write_text(json.dumps(known), encoding="utf-8")
        fetched(KERNEL, python, Path(name, "pypi"))
        import nbformat  # JupyterLite brings it

        notebooks = Path(name, "notebooks")
        notebooks.mkdir()
        for file in (ROOT / "notebooks").glob("*.ipynb"):
            # a text is a list of lines in the file; JupyterLab waits for one string
            (notebooks / file.name).write_text(json.dumps(nbformat.read(file, as_version=4)), encoding="utf-8")
        kernel = {"disablePyPIFallback": True, "pyodideUrl": "./static/pyodide/pyodide.js"}
        Path(name, "jupyter-lite.json").write_text(json.dumps({
            "jupyter-lite-schema-version": 0, "jupyter-config-data": {
                "appName": "nobackprop", "exposeAppInBrowser": True,
                "litePluginSettings": {"@jupyterlite/pyodide-kernel-extension:kernel": kernel}}}), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "jupyterlite_core", "build", "--contents", notebooks, "--lite-dir", name,
             "--output-dir", site / "lite", "--no-sourcemaps", "--apps", "lab"], cwd=name, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            sys.exit(f"build_playground.py: JupyterLite cannot be built:\n{done.stdout[-2000:]}")
    page = site / "lite" / "lab" / "index.html"
    text = page.read_text(encoding="utf-8")
    if 'rel="icon"' not in text:  # without it a browser asks for /favicon.ico, which is not there
        page.write_text(text.replace("<head>", '<head>\n    <link rel="icon" href="data:,">', 1), encoding="utf-8")


def fetched(package: str, python: str, to: Path) -> list[Path]:
    """Return the wheels of a package and of what it needs, which pip fetches into a folder; all are of Python alone."""
    pure = ["--only-binary", ":all:", "--implementation", "py", "--abi", "none", "--platform", "any"]
    done = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *pure,
                           "--python-version", python, "--dest", to, package], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.exit(f"build_playground.py: the package {package} cannot be fetched:\n{done.stdout[-2000:]}")
    return sorted(to.glob("*.whl"))


def entry(file: Path) -> dict[str, Any]:
    """Return what Pyodide's list of packages says of a wheel, but for the packages that it depends on."""
    name, version = file.name.split("-")[:2]
    with zipfile.ZipFile(file) as packed:
        tops = {path.partition("/")[0].removesuffix(".py") for path in packed.namelist()}
    return {"name": name, "version": version, "file_name": file.name, "install_dir": "site",
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "package_type": "package",
            "imports": sorted(top for top in tops if "." not in top), "unvendored_tests": False}


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python docs/build_playground.py FOLDER")
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    build(Path(sys.argv[1]).resolve())
