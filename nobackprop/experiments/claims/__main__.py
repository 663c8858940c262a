"""`python -m nobackprop.experiments.claims [FILE]`: docs/claims.md."""
import sys

from ...studies.text import write_page
from . import markdown

if __name__ == "__main__":
    write_page(sys.argv[1:], "nobackprop.experiments.claims", markdown)
