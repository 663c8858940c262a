"""`python -m nobackprop.studies.locality [FILE]` prints the page docs/locality.md, or writes it."""
from __future__ import annotations

import sys

from ...errors import InputError
from ...files import atomic
from .pages import markdown


def main(argv: list[str]) -> None:
    """Print the page, or write it to the one file named.

    Raises SystemExit with a sentence where it cannot.
    """
    if len(argv) > 1 or any(argument.startswith("-") for argument in argv):
        sys.exit("usage: python -m nobackprop.studies.locality [FILE]")
    try:
        if argv:
            with atomic(argv[0]) as partial:
                partial.write_text(markdown(), encoding="utf-8")
        else:
            sys.stdout.write(markdown())
    except (InputError, OSError) as error:
        sys.exit(f"nobackprop.studies.locality: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
