"""The two things that setup.cfg cannot say: the README as a package index shows it, and the pages of theory in a wheel.

An index has neither the pages nor the pictures that the README links to.  So a link into the repository becomes its
text and the name of the file, and a picture becomes its caption.  Code and links to the web stay as they are.

`nobackprop theorems` reads the pages of theory.  A wheel has no docs, so it takes copies of these pages along.
"""
import re
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CODE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
WHERE = "\n*The files that this page names are in the source distribution.*\n"


def as_text(link: re.Match[str]) -> str:
    """The text of a link into the repository with the file's name, the caption of a picture, any other link itself."""
    picture, text, target = link.groups()
    if "://" in target:
        return link[0]
    if picture:
        return f"*Picture: {text} (`{target}`).*"
    return f"`{target}`" if text.strip("`") == target else f"{text} (`{target}`)"


def description(readme: str) -> str:
    """The README without links that lead nowhere outside the repository."""
    parts = CODE.split(readme)
    parts[::2] = [LINK.sub(as_text, part) for part in parts[::2]]
    return "".join(parts) + WHERE


class WithTheory(build_py):
    """The modules of the package, and copies of docs/theory next to the one that reads them."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            to = Path(self.build_lib, "nobackprop", "studies", "theory")
            to.mkdir(parents=True, exist_ok=True)
            for page in sorted(Path(__file__).parent.glob("docs/theory/*.md")):
                self.copy_file(str(page), str(to / page.name))


setup(cmdclass={"build_py": WithTheory},
      long_description=description((Path(__file__).parent / "README.md").read_text(encoding="utf-8")))
