"""The one thing that setup.cfg cannot say: the README as a package index shows it; all else stands in setup.cfg.

An index has neither the pages nor the pictures that the README links to.  So a link into the repository becomes its
text and the name of the file, and a picture becomes its caption.  Code and links to the web stay as they are.
"""
import re
from pathlib import Path

from setuptools import setup

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


setup(long_description=description((Path(__file__).parent / "README.md").read_text(encoding="utf-8")))
