"""Build the site: `python docs/make_site.py [FOLDER]`, which is what `make site` runs; FOLDER is site/ if left out.

It writes all pages as Markdown into build/site-source, lets Sphinx make HTML of them (a warning is an error), and puts
beside them what pages load: MathJax, the pictures, and the playground with the package's own wheel.
"""
from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
# what pages load, from npm: the package, its version, the file
SCRIPTS = (("mathjax", "3.2.2", "es5/tex-svg-full.js"), ("mermaid", "11.12.0", "dist/mermaid.min.js"))
# what holds a long name on a page: words of code, titles, and links to modules beside the page
NAMES = re.compile(r'(<span class="pre">|<h1>|<p class="prev-next-title">|<a class="reference internal" href="[^"]*">)'
                   r"([^<\s]{12,})(?=<)")
sys.path[:0] = [str(ROOT / "docs" / "_ext"), str(ROOT / "docs"), str(ROOT)]


def fetched(package: str, version: str, member: str) -> Path:
    """Return a file of a package of npm, which npm fetches once.

    Parameters
    ----------
    package, version : str
        The name of the package and its version.
    member : str
        The path of the file in the package.

    Returns
    -------
    Path
    """
    folder = BUILD / f"{package}-{version}"
    file = folder / Path(member).name
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        # the extra 'site' brings an npm into the environment
        npm = shutil.which("npm", path=str(Path(sys.executable).parent)) or shutil.which("npm")
        if npm is None:
            sys.exit(f"make_site.py: there is no npm, which fetches {package}: pip install '.[site]' brings one")
        subprocess.run([npm, "pack", f"{package}@{version}", "--silent"], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
        with tarfile.open(folder / f"{package}-{version}.tgz") as packed:
            held = packed.extractfile(f"package/{member}")
            assert held is not None
            partial = file.with_suffix(".partial")
            partial.write_bytes(held.read())
            partial.rename(file)
    return file


def breakable(text: str) -> str:
    """Return a page in which a long name may go on in the next line after a dot, a slash or the like, and nowhere else.

    A phone is narrower than `test_a_linear_network_is_the_product_of_its_weights`.  What is copied stays the same.
    """
    return NAMES.sub(lambda found: found[1] + re.sub(r"(?<=\w)([./_:=]+)(?=\w)", r"\1<wbr>", found[2]), text)


def build(to: Path) -> None:
    """Build the whole site into a folder."""
    import site_pages

    source = BUILD / "site-source"
    used = site_pages.write(source)
    # -a writes all pages: a search index that is made of an old one and of some new pages loses the pages' titles
    arguments = ["-W", "--keep-going", "-q", "-a", "-j", "2", "-c", ROOT / "docs", "-d", BUILD / "site-doctrees",
                 source, to]
    subprocess.run([sys.executable, "-m", "sphinx", *map(str, arguments)], check=True)
    for page in to.rglob("*.html"):
        if not {"lite", "_static"} & set(page.relative_to(to).parts):
            text = page.read_text(encoding="utf-8")
            if breakable(text) != text:
                page.write_text(breakable(text), encoding="utf-8")
    for package, version, member in SCRIPTS:
        (to / "_static" / package).mkdir(exist_ok=True)
        shutil.copyfile(fetched(package, version, member), to / "_static" / package / Path(member).name)
    for path in used:
        (to / "files" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, to / "files" / path)
    site_pages.rules.draw_all(to / "_static" / "rules")
    shutil.copyfile(ROOT / "docs" / "_static" / "404.html", to / "404.html")
    (to / "_static" / "diagram.css").write_text(site_pages.rules.colours(), encoding="utf-8")
    if (ROOT / "docs" / "build_playground.py").is_file():
        import build_playground

        build_playground.build(to)


if __name__ == "__main__":
    if len(sys.argv) > 2 or any(word.startswith("-") for word in sys.argv[1:]):
        sys.exit("usage: python docs/make_site.py [FOLDER]")
    try:
        build(Path(sys.argv[1] if sys.argv[1:] else ROOT / "site").resolve())
    except subprocess.CalledProcessError as error:
        sys.exit(f"make_site.py: {Path(error.cmd[0]).name} {' '.join(error.cmd[1:3])} ended with {error.returncode}")
