"""The learning rules, and the names by which a user chooses them: ``rules.get("las")``.

Each file holds the rules of one idea.  `rules.base` says what a rule is.  A rule takes backpropagation and substitutes
up to four things: the weights that carry errors down, the activity in the weight update (the tape), the places where
errors enter the network (the signals), and the network that is walked, which may have other activations or none.  Each
class says which, under "What is substituted".

The methods of all rules take some of these arguments:

- `net`: the network, a sequence of blocks; `params`: its parameters, everything that prediction needs;
- `state`: everything that only learning needs, such as feedback weights and local modules; None if there is nothing.
  Some rules give it another name, such as B;
- `tape`: what the forward pass left, with ``tape.h[0]`` = x, ``tape.h[i]`` = h_i and ``tape.output`` = a_L;
- `y`: the targets y* of the batch, an array (N, C); one-hot rows if they are classes;
- `rng`: the generator from which the rule draws.

The output error is e = dL/da_L, which ``net.error`` computes.  For a batch of N samples it is the prediction minus y*,
divided by N.  So the mean over the batch is taken there, once, and all products after it are plain sums.
"""
from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from .. import outside
from ..errors import InputError, brief, unknown
from ..feedback import binary, low_rank, sparse
from .activation_sharing import ASAP, ASFP, ASFPLC, ActivationSharing, FoA
from .activity_perturbation import ActivityPerturbation
from .adaptive_feedback import AdaptiveDFA
from .alignment_support import LAS, LTAS
from .associated_learning import AssociatedLearning
from .backprop import BP, Shallow
from .base import Credit, Rule
from .direct_feedback import DFA, DRTP, SharedDFA
from .direct_kolen_pollack import DKP
from .dual_propagation import DualPropagation
from .equilibrium_propagation import EquilibriumPropagation
from .feedback_alignment import FA
from .forward_direct_feedback import FDFA
from .forward_forward import ForwardForward
from .hsic_bottleneck import PHSIC
from .kolen_pollack import KolenPollack
from .local_classifier import LocalClassifier
from .local_loss import LocalLoss, LocalPrediction, LocalSimilarity, PredSim
from .pepita import Pepita
from .predictive_coding import ZIL, CentredPredictiveCoding, FixedPrediction, PredictiveCoding
from .sign_symmetry import USF, BrSF, FrSF
from .softhebb import SoftHebb
from .spsa import SPSA
from .target_propagation import DifferenceTargetPropagation
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
    "foa": FoA(),
    "as": ActivationSharing(),
    "asap": ASAP(),
    "asfp": ASFP(),
    "asfp-lc": ASFPLC(),
    "mostafa": LocalClassifier(),
    "pred": LocalPrediction(),
    "sim": LocalSimilarity(),
    "predsim": PredSim(),
    "phsic": PHSIC(),
    "spsa": SPSA(),
    "al": AssociatedLearning(),
    "dtp": DifferenceTargetPropagation(),
    "zil": ZIL(),
    "pc": PredictiveCoding(),
    "pc-fixed": FixedPrediction(),
    "pc-centred": CentredPredictiveCoding(),
    "dp": DualPropagation(),
    "ep": EquilibriumPropagation(),
    "ff": ForwardForward(),
    "pepita": Pepita(),
    "activity": ActivityPerturbation(),
    "softhebb": SoftHebb(),
}


GROUP = "nobackprop.rules"  # of the entry points by which an installed package offers rules


def get(spec: str) -> Rule:
    """Return the rule that a text names.

    Parameters
    ----------
    spec : str
        'RULE' or 'RULE:OPTION=VALUE:...', such as 'asap', 'asap:k=4' or 'asap:plan=text:match=avg'.  RULE is a key of
        `RULES`, a name that an installed package offers in the group of entry points nobackprop.rules, or a class of
        your own: 'FILE.py:CLASS' or 'MODULE:CLASS'.  The options are those fields of the rule that hold numbers,
        names, or yes and no.

    Returns
    -------
    Rule
        The rule of that name, with these options.

    Raises
    ------
    InputError
        If no rule has this name (the message then says the nearest name), if the rule has no such option, or if the
        option cannot have this value; of a class of your own, if its file or module does not run to its end, or if it
        is no class of a rule.

    Notes
    -----
    A class of your own is code that runs.  Of a text that comes out of a file use `recall`.

    Examples
    --------
    >>> from nobackprop import rules
    >>> rules.get("asap:k=4").k, rules.get("nobackprop.rules:DFA") == rules.get("dfa")
    (4, True)
    >>> rules.get("lass")
    Traceback (most recent call last):
    nobackprop.errors.InputError: unknown rule 'lass': did you mean 'las'? (known: bp, shallow, ...
    """
    return _get(spec, partial(outside.find, wanted=lambda value: isinstance(value, type) and issubclass(value, Rule)))


def recall(spec: str) -> Rule:
    """Do what `get` does, but run no code of a file or a module that this process has not run before.

    Parameters
    ----------
    spec : str
        A text that stands in a file, as `describe` has made it.

    Returns
    -------
    Rule

    Raises
    ------
    InputError
        As `get`, and if the text names code that this process has not loaded.

    Examples
    --------
    >>> from nobackprop import rules
    >>> rules.recall("las") == rules.LAS()
    True
    >>> rules.recall("wave:Wave_read")
    Traceback (most recent call last):
    nobackprop.errors.InputError: rule 'wave:Wave_read': Wave_read of wave is code that this process has not loaded
    """
    return _get(spec, outside.recall)


def _get(spec: str, find: Callable[[str, str], Any]) -> Rule:
    """The rule that a text names; `find` finds a name in a file or a module."""
    if not isinstance(spec, str):
        raise unknown("rule", spec, RULES)
    name, _, rest = spec.partition(":")
    if name in RULES:
        rule = RULES[name]
    elif own := outside.split(spec):
        where, kind, rest = own
        name = f"{where}:{kind}"
        rule = _made(spec, name, where, kind, find)
    elif name in (others := offered()):
        rule = _made(spec, name, others[name].module, others[name].attr, find)
    elif name.endswith(".py"):
        raise InputError(f"rule '{spec}': expected the name of a class after the file, such as {name}:MyRule")
    else:
        raise unknown("rule", name, [*RULES, *others])
    return _with(spec, name, rule, rest.split(":") if rest else [])


def offered() -> dict[str, EntryPoint]:
    """Return the rules that installed packages offer, by name.

    Returns
    -------
    dict
        The entry points of the group nobackprop.rules.  A name that is in `RULES` means the rule there.

    Examples
    --------
    >>> "las" in offered()
    False
    """
    return {point.name: point for point in entry_points(group=GROUP)}


def _made(spec: str, name: str, where: str, kind: str, find: Callable[[str, str], Any]) -> Rule:
    """A rule of a class that is not one of this package."""
    try:
        found = find(where, kind)
    except InputError as error:
        raise InputError(f"rule '{spec}': {error}") from None
    if not (isinstance(found, type) and issubclass(found, Rule)):
        raise InputError(f"rule '{spec}': {kind} is {brief(found)}, expected a class that is derived from "
                         "nobackprop.rules.Rule")
    try:
        return found()
    except Exception as error:
        raise InputError(f"rule '{spec}': {kind}() cannot be made without arguments, expected a default for each "
                         f"option: {error}") from error


def _with(spec: str, name: str, rule: Rule, options: list[str]) -> Rule:
    """The same rule with options as a user types them."""
    known = {field.name: getattr(rule, field.name) for field in fields(rule)
             if isinstance(getattr(rule, field.name), str | int | float)}
    chosen: dict[str, Any] = {}
    for option in options:
        key, _, text = option.partition("=")
        if key not in known:
            raise unknown(f"option of rule {name}", key, known) if known else InputError(
                f"rule {name} has no options, got '{option}'")
        if key in chosen:
            raise InputError(f"rule '{spec}': expected the option {key} once, got it twice")
        chosen[key] = _value(spec, key, text, known[key])
    try:
        return replace(rule, **chosen)
    except InputError as error:
        raise InputError(f"rule '{spec}': {error}") from None


def _value(spec: str, key: str, text: str, default: object) -> object:
    """Read `text` as a value of the default's kind; raise InputError if it is none."""
    kinds = {bool: ("yes or no", {"yes": True, "no": False}.__getitem__), int: ("an integer", int),
             float: ("a number", float), str: ("a name", str)}
    wanted, read = kinds[type(default)]
    try:
        if not text.isascii() or "_" in text and type(default) in (int, float):
            raise ValueError(text)  # Python reads digits of other scripts, and 1_000
        # the type checker takes the common type of the four functions, which is object
        return read(text)  # type: ignore[operator]
    except (KeyError, ValueError):
        raise InputError(f"rule '{spec}': expected {wanted} for {key}, got {brief(text)}") from None


def describe(rule: Rule) -> str:
    """Return the text by which `get` knows a rule, with the options that differ from those of the name.

    Parameters
    ----------
    rule : Rule

    Returns
    -------
    str
        If no text makes `get` give this rule, such as for a class that was typed at a prompt, the name of its class
        with its module, and its options.  No text that `get` takes has the form of such a one.

    Examples
    --------
    >>> from nobackprop import rules
    >>> rules.describe(rules.DFA()), rules.describe(rules.ASAP(k=4))
    ('dfa', 'asap:k=4')
    """
    kind = type(rule)
    options = {field.name: getattr(rule, field.name) for field in fields(rule)}
    alike = [(name, known) for name, known in RULES.items() if type(known) is kind]
    if not alike and (text := outside.text_of(kind)) is not None:
        names = [name for name, point in offered().items() if point.value == f"{kind.__module__}:{kind.__qualname__}"]
        with suppress(Exception):  # a class that cannot be made without arguments
            alike = [(name, kind()) for name in (*names, text)]
    others = [(name, known, [key for key, value in options.items() if getattr(known, key) != value])
              for name, known in alike]
    for name, known, keys in sorted(others, key=lambda found: len(found[2])):
        typed = [f"{key}={_typed(options[key])}" for key in keys]
        with suppress(InputError):
            if _with(name, name, known, typed) == rule:
                return ":".join([name, *typed])
    return f"{kind.__module__}.{kind.__qualname__}({', '.join(f'{key}={_plain(options[key])}' for key in options)})"


def _typed(value: object) -> str:
    """An option's value as `_value` reads it."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _plain(value: object) -> str:
    """An option's value as a text that is the same in every process; a function by its name."""
    name = getattr(value, "__qualname__", None)
    return f"{value.__module__}.{name}" if name else repr(value)


def summary(name: str) -> str:
    """Describe a rule in one line: the first line of its docstring, and the options that its name sets.

    Parameters
    ----------
    name : str
        The name of a rule, with or without options, as `get` takes it.

    Returns
    -------
    str
        One line of text.

    Raises
    ------
    InputError
        As `get`.

    Examples
    --------
    >>> from nobackprop import rules
    >>> rules.summary("dfa-lowrank").partition("(Nokland 2016). ")[2]
    'Here draw=low_rank: a matrix of low rank: a product of two gaussian factors, with the variance 1 / fan-in.'
    """
    rule = get(name)
    own = [f"Here {field.name}={_in_words(value)}" for field in fields(rule)
           if (value := getattr(rule, field.name)) != field.default]
    return " ".join([(inspect.getdoc(rule) or "").partition("\n")[0], *own])


def _in_words(value: object) -> str:
    """Return an option's value and a full stop; of a function its name, and what it draws by its docstring."""
    if not inspect.isfunction(value):
        return f"{value}."
    return f"{value.__name__}: {(inspect.getdoc(value) or '').partition(chr(10))[0].removeprefix('Draw ')}"


__all__ = ["ASAP", "ASFP", "ASFPLC", "BP", "DFA", "DKP", "DRTP", "FA", "FDFA", "LAS", "LTAS", "PHSIC", "RULES", "SPSA",
           "USF", "ZIL", "ActivationSharing", "ActivityPerturbation", "AdaptiveDFA", "AssociatedLearning", "BrSF",
           "CentredPredictiveCoding", "Credit", "DifferenceTargetPropagation", "DualPropagation",
           "EquilibriumPropagation", "FixedPrediction", "FoA", "ForwardForward", "FrSF", "KolenPollack",
           "LocalClassifier", "LocalLoss", "LocalPrediction", "LocalSimilarity", "Pepita", "PredSim",
           "PredictiveCoding", "Rule", "Shallow", "SharedDFA", "SoftHebb", "WeightMirror", "describe", "get",
           "offered", "recall", "summary"]
