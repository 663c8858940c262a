"""Experiments: runs of rules side by side, what they leave on disk, and the papers' tables and figures."""

# what is compared if nothing else is asked for
RULES = ("bp", "shallow", "fa", "dfa", "las", "ltas")
SEEDS = (0, 1, 2)
