"""The learning rules by the names that a user types."""
from __future__ import annotations

import inspect
from dataclasses import fields

from ..errors import unknown
from ..feedback import binary, low_rank, sparse
from .adaptive_feedback import AdaptiveDFA
from .alignment_support import LAS, LTAS
from .backprop import BP, Shallow
from .base import Credit, Rule
from .direct_feedback import DFA, DRTP, SharedDFA
from .direct_kolen_pollack import DKP
from .feedback_alignment import FA
from .forward_direct_feedback import FDFA
from .kolen_pollack import KolenPollack
from .sign_symmetry import USF, BrSF, FrSF
from .weight_mirror import WeightMirror

RULES: dict[str, Rule] = {
    "bp": BP(),
    "shallow": Shallow(),
    "fa": FA(),
    "usf": USF(),
    "frsf": FrSF(),
    "brsf": BrSF(),
    "wm": WeightMirror(),
    "kp": KolenPollack(),
    "dfa": DFA(),
    "sdfa": DFA(draw=sparse),
    "bdfa": DFA(draw=binary),
    "dfa-lowrank": DFA(draw=low_rank),
    "dfa-shared": SharedDFA(),
    "drtp": DRTP(),
    "adaptive-dfa": AdaptiveDFA(),
    "dkp": DKP(),
    "fdfa": FDFA(),
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


def summary(name: str) -> str:
    """The first line of a rule's docstring, and what this one has other than its class."""
    rule = get(name)
    own = [f"{field.name} {getattr(value, '__name__', value)}" for field in fields(rule)  # type: ignore[arg-type]
           if (value := getattr(rule, field.name)) != field.default]
    return " ".join([(inspect.getdoc(rule) or "").partition("\n")[0], *(f"Here: {text}." for text in own)])


__all__ = ["BP", "DFA", "DKP", "DRTP", "FA", "FDFA", "LAS", "LTAS", "RULES", "USF", "AdaptiveDFA", "BrSF", "Credit",
           "FrSF", "KolenPollack", "Rule", "Shallow", "SharedDFA", "WeightMirror", "get", "summary"]
