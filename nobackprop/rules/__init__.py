"""The learning rules by the names that a user types."""
from __future__ import annotations

from ..errors import unknown
from .alignment_support import LAS, LTAS
from .backprop import BP, Shallow
from .base import Credit, Rule
from .direct_feedback import DFA
from .feedback_alignment import FA

RULES: dict[str, Rule] = {
    "bp": BP(),
    "shallow": Shallow(),
    "fa": FA(),
    "dfa": DFA(),
    "las": LAS(),
    "ltas": LTAS(),
}


def get(name: str) -> Rule:
    """The rule of that name.

    Raises InputError, with the nearest name, where there is none.
    """
    if name not in RULES:
        raise unknown("rule", name, RULES)
    return RULES[name]


__all__ = ["BP", "DFA", "FA", "LAS", "LTAS", "RULES", "Credit", "Rule", "Shallow", "get"]
