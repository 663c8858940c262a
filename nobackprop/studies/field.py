"""A map of the field: which rules are equal under which conditions, and what a step of each rule costs.

`python -m nobackprop.studies.field [FILE]` prints the page docs/field.md, or writes it to FILE.  What the page says of
costs is counted while each rule takes a step; only the times depend on the machine.  What it says of accuracies is read
from the stored results.
"""
from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass, fields
from statistics import fmean, stdev
from typing import Any

import numpy as np

from .. import workers
from ..layers import Layer
from ..network import Network
from ..rules import RULES
from ..tree import leaves
from .equations.tags import ROOT
from .speed.bench import count_flops, random_run, stepper, time_in_turns
from .text import write_page

MODEL, DATA, BATCH = "mlp:128,128,128,128", "digits", 64
ROUNDS = 30


@dataclass(frozen=True)
class Edge:
    """Two rules that are equal under a condition.

    Parameters
    ----------
    rule, becomes : str
        The names of the rules: the first is the second if the condition holds.
    condition : str
        The condition, in a few words.
    test : str
        The file in the folder of tests, '::', and the name of the test that holds it.
    theory : str
        The page of theory with its statement, without the ending, a space and the statement's name; empty if the test
        is all there is.

    Examples
    --------
    >>> Edge("fa", "bp", "B = W", "test_rules.py::test_fa").becomes
    'bp'
    """

    rule: str
    becomes: str
    condition: str
    test: str
    theory: str = ""


THEOREMS = "theorems/test_"
EDGES = (
    Edge("fa", "bp", "B = W", "test_rules.py::test_fa_with_its_own_weights_for_B_is_bp_bit_for_bit"),
    Edge("frsf", "bp", "the magnitudes are those of W",
         f"{THEOREMS}sign_symmetry.py::test_with_the_magnitudes_of_w_it_is_backpropagation"),
    Edge("kp", "bp", "in the limit, as B goes to W",
         f"{THEOREMS}kolen_pollack.py::test_the_difference_shrinks_by_one_factor_whatever_the_gradients",
         "kolen-pollack Theorem 5"),
    Edge("wm", "fa", "between its mirror steps",
         f"{THEOREMS}weight_mirror.py::test_its_engage_mode_is_feedback_alignment"),
    Edge("adaptive-dfa", "bp", "linear, B at rest",
         f"{THEOREMS}direct_feedback.py::test_there_its_signals_are_those_of_bp_in_linear_networks_alone"),
    Edge("las", "bp", "one hidden layer", f"{THEOREMS}las.py::test_with_one_hidden_layer_it_is_bp"),
    Edge("ltas", "bp", "one hidden layer", f"{THEOREMS}las.py::test_with_one_hidden_layer_it_is_bp"),
    Edge("foa", "fa", "two linear layers read backwards, white inputs",
         f"{THEOREMS}feedback_alignment.py::test_it_is_forward_alignment_read_backwards",
         "forward-alignment Theorem 4"),
    Edge("as", "foa", "C is the identity",
         f"{THEOREMS}activation_sharing.py::test_activation_sharing_is_forward_alignment_through_identities"),
    Edge("dtp", "bp", "linear, the inverses are transposes",
         f"{THEOREMS}target_propagation.py::test_with_the_transpose_for_the_inverse_it_is_bp_in_a_linear_network"),
    Edge("spsa", "bp", "on average",
         "test_gradient_free.py::test_the_mean_estimate_is_the_gradient_and_its_variance_is_n_minus_1_times_its_square"),
    Edge("activity", "bp", "m orthogonal directions for m units",
         f"{THEOREMS}activity_perturbation.py::test_as_many_orthogonal_directions_as_units_are_backpropagation",
         "activity-perturbation Theorem AP3"),
    Edge("activity", "bp", "on average",
         f"{THEOREMS}activity_perturbation.py::test_the_mean_over_all_patterns_is_backpropagation",
         "activity-perturbation Theorem AP1"),
    Edge("pepita", "dfa", "linear", f"{THEOREMS}pepita.py::test_in_a_linear_network_it_is_dfa", "pepita Theorem PE1"),
    Edge("zil", "bp", "step 1", f"{THEOREMS}predictive_coding.py::test_zil_is_backpropagation",
         "predictive-coding Theorem PC1"),
    Edge("pc-fixed", "bp", "step 1, as many steps as hidden blocks",
         f"{THEOREMS}predictive_coding.py::test_fixed_prediction_with_whole_steps_is_backpropagation_bit_for_bit",
         "predictive-coding Theorem PC2"),
    Edge("pc-fixed", "fa", "through B in the place of W",
         f"{THEOREMS}predictive_coding.py::test_fixed_prediction_through_other_weights_is_feedback_alignment",
         "predictive-coding Theorem PC2"),
    Edge("pc", "bp", "settled, small nudge: error of the order beta",
         f"{THEOREMS}predictive_coding.py::test_the_error_of_one_nudge_falls_as_beta_and_that_of_two_as_its_square",
         "predictive-coding Theorem PC4"),
    Edge("pc-centred", "bp", "settled, small nudge: error of the order beta^2",
         f"{THEOREMS}predictive_coding.py::test_the_error_of_one_nudge_falls_as_beta_and_that_of_two_as_its_square",
         "predictive-coding Theorem PC4"),
    Edge("dp", "bp", "piecewise linear, nudge below a bound",
         f"{THEOREMS}dual_propagation.py::test_it_is_backpropagation_up_to_a_finite_nudge",
         "dual-propagation Theorem DP1"),
)
SUBSTITUTIONS = (
    ("the weights that carry errors down", "fa usf frsf brsf wm kp asap asfp"),
    ("the activity that an update uses", "foa as asap pepita"),
    ("the places where errors enter, and what enters there",
     "dfa sdfa bdfa dfa-lowrank dfa-shared drtp adaptive-dfa dkp fdfa las ltas mostafa pred sim predsim phsic pepita "
     "activity ff softhebb zil pc pc-fixed pc-centred dp ep"),
    ("the network that is walked", "pepita softhebb dp ep"),
    ("everything: there is no backward walk through the whole network", "spsa al dtp"),
)
OWN = ("ff", "softhebb", "ep", "al", "phsic", "mostafa", "pred", "sim")  # no known condition makes them another rule


def edges() -> list[Edge]:
    """Return the edges between rules that the library has.

    Examples
    --------
    >>> {"bp", "dfa", "fa", "foa"} <= {edge.becomes for edge in edges()} <= set(RULES)
    True
    """
    return [edge for edge in EDGES if {edge.rule, edge.becomes} <= set(RULES)]


def mermaid() -> str:
    """Return the map as a diagram of Mermaid, which GitHub draws.

    Examples
    --------
    >>> mermaid().splitlines()[0]
    'graph LR'
    """
    lines = [f'  {_node(edge.rule)} -- "{number}: {edge.condition}" --> {_node(edge.becomes)}'
             for number, edge in enumerate(edges(), 1)]
    return "\n".join(["graph LR", *lines, *(f"  {_node(name)}" for name in OWN if name in RULES)])


def _node(rule: str) -> str:
    """A rule in the diagram: a name of letters alone, and the rule's own name in brackets."""
    return f'{rule.replace("-", "_")}["{rule}"]'


def counted(block: Layer, calls: Counter[str]) -> Layer:
    """Return a block that does what a block does, is of its type, and counts its passes.

    Parameters
    ----------
    block : Layer
    calls : collections.Counter
        Under "forward" and "backward".

    Returns
    -------
    Layer

    Examples
    --------
    >>> from nobackprop.layers import Activation
    >>> calls = Counter()
    >>> h, cache = counted(Activation("relu"), calls).forward(None, np.ones((1, 2)))
    >>> dict(calls)
    {'forward': 1}
    """
    kind: Any = type(block)

    def counting(name: str) -> Any:
        def method(self: Any, *args: Any, **how: Any) -> Any:
            calls[name] += 1
            return getattr(kind, name)(self, *args, **how)
        return method

    made = type("Counted", (kind,), {name: counting(name) for name in ("forward", "backward")})
    again: Layer = made(**{field.name: getattr(block, field.name) for field in fields(kind)})
    return again


def cost(rule: str) -> dict[str, float]:
    """Count what one step of a rule costs, in passes through the whole network.

    Parameters
    ----------
    rule : str
        The name of the rule.

    Returns
    -------
    dict
        "forward" and "backward": how often blocks run forwards and backwards, over the number of blocks.  "products":
        the multiplications of all products of matrices, over those of one forward pass.

    Examples
    --------
    >>> {name: round(value, 2) for name, value in cost("bp").items()}
    {'forward': 1.0, 'backward': 1.0, 'products': 2.86}
    """
    run, calls = random_run(MODEL, DATA, rule, BATCH, "sgd"), Counter[str]()
    once = sum(2 * BATCH * w.size for path, w in leaves(run.params) if path.endswith("W"))
    run.net = Network(tuple(counted(block, calls) for block in run.net), run.net.loss)
    stepper(run)()
    passes = {name: calls[name] / len(run.net) for name in ("forward", "backward")}
    return {**passes, "products": count_flops(random_run(MODEL, DATA, rule, BATCH, "sgd"))["matmul"] / once}


def times() -> dict[str, tuple[float, float]]:
    """Measure the time of a step of every rule, all rules taking turns.

    Returns
    -------
    dict
        For each rule the median in milliseconds, and the median of its ratio to backpropagation in the same turn.

    Examples
    --------
    It takes several seconds.

    >>> times()["bp"]                                                  # doctest: +SKIP
    (0.8, 1.0)
    """
    with workers.limit(1), np.errstate(over="ignore", invalid="ignore"):
        spent = time_in_turns([stepper(random_run(MODEL, DATA, rule, BATCH, "adam")) for rule in RULES], ROUNDS)
    ratios = np.median(spent / spent[list(RULES).index("bp")], axis=1)
    return {rule: (float(median), float(ratio)) for rule, median, ratio in
            zip(RULES, np.median(1e3 * spent, axis=1), ratios, strict=True)}


def costs(measured: dict[str, tuple[float, float]]) -> str:
    """Return the table of costs, of which the last two columns are empty for a rule that was not measured.

    Examples
    --------
    >>> costs({"bp": (0.52, 1.0)}).splitlines()[2]
    '| `bp` | 1 | 1 | 2.86 | 0.52 | 1.0 |'
    """
    rows = ["| rule | forward passes | backward passes | products | ms | time over `bp` |", "|---|---|---|---|---|---|"]
    for rule in RULES:
        found, there = cost(rule), measured.get(rule)
        rows.append(f"| `{rule}` | {found['forward']:.3g} | {found['backward']:.3g} | {found['products']:.2f} | "
                    + (" |  |" if there is None else f"{there[0]:.2f} | {there[1]:.1f} |"))
    return "\n".join(rows)


def substitutions() -> str:
    """Return the table of what each rule puts in the place of a part of backpropagation.

    Examples
    --------
    >>> substitutions().count("`pepita`")
    3
    """
    rows = ["| what is substituted | rules |", "|---|---|"]
    for what, names in SUBSTITUTIONS:
        rows.append(f"| {what} | {', '.join(f'`{name}`' for name in names.split() if name in RULES)} |")
    return "\n".join(rows)


def links() -> str:
    """Return the table of the edges of the map, each with its theorem and its test.

    Examples
    --------
    >>> links().splitlines()[2].startswith("| 1 | `fa` is `bp` | B = W | - | [`test_fa_with_its_own")
    True
    """
    rows = ["| edge | equal | if | statement | test |", "|---|---|---|---|---|"]
    for number, edge in enumerate(edges(), 1):
        page, _, name = edge.theory.partition(" ")
        file, _, test = edge.test.partition("::")
        stated = f"[{name}](theory/{page}.md)" if page else "-"
        rows.append(f"| {number} | `{edge.rule}` is `{edge.becomes}` | {edge.condition} | {stated} | "
                    f"[`{test}`](../tests/{file}#{test}) |")
    return "\n".join(rows)


def markdown(measured: dict[str, tuple[float, float]] | None = None) -> str:
    """Return the page docs/field.md.

    Parameters
    ----------
    measured : dict, optional
        What `times` returns; it is measured if it is left out.

    Returns
    -------
    str

    Examples
    --------
    >>> markdown({}).splitlines()[0]
    '# A map of the field'
    """
    return PAGE.format(substitutions=substitutions(), map=mermaid(), links=links(), model=MODEL, data=DATA, batch=BATCH,
                       reached=reached(), beside_print=beside_print(),
                       costs=costs(times() if measured is None else measured))


STORED = ("the-field", "the-field-xor", "field-mnist")  # in docs/results: digits, two noisy XORs, MNIST
LACKS = {
    "shallow": "hidden blocks below the last one do not learn",
    "pc": "with one nudge the error of its gradients is of the order beta (Theorem PC4); `pc:beta=1`, which the paper "
          "has, reached 0.70 on XOR",
    "ff": "the pass that predicts has no label: the output block reads units that learnt to see pairs of an input and "
          "a label",
    "pepita": "feedback through the weights below a block says nothing of those above it",
    "activity": "the variance is large: with 4 directions XOR is not learnt",
    "ep": "the weights between its hidden blocks have a norm of about 2, so 10 sweeps leave it unsettled (Theorem "
          "EP1), and what it compares are no equilibria",
    "softhebb": "hidden blocks know no target, so what they learn is what is frequent, and on XOR no class has a "
                "direction of large spread",
}


def accuracies(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Return the mean test accuracy of every rule in stored results, in their order.

    Parameters
    ----------
    runs : list of dict
        The "runs" of a results.json.

    Returns
    -------
    dict

    Examples
    --------
    >>> accuracies([{"rule": "bp", "test_accuracy": 0.5}, {"rule": "bp", "test_accuracy": 0.75}])
    {'bp': 0.625}
    """
    names = dict.fromkeys(run["rule"] for run in runs)
    return {name: fmean(run["test_accuracy"] for run in runs if run["rule"] == name) for name in names}


def reached() -> str:
    """Return the table of what rules reach with default settings, of the results in docs/results.

    Examples
    --------
    >>> reached().splitlines()[2].startswith("| `bp` | 0.9")
    True
    """
    digits, *others = (accuracies(_stored(name)["runs"]) for name in STORED)
    rows = ["| rule | digits | XOR | MNIST | what it lacks |", "|---|---|---|---|---|"]
    rows += [f"| `{rule}` | {' | '.join(f'{one[rule]:.3f}' for one in (digits, *others))} | {LACKS.get(rule, '')} |"
             for rule in digits]
    return "\n".join(rows)


def _stored(name: str) -> dict[str, Any]:
    """The results of that name in docs/results."""
    found: dict[str, Any] = json.loads((ROOT / "docs" / "results" / f"{name}.json").read_text(encoding="utf-8"))
    return found


def beside_print() -> str:
    """Return the table of what is printed and what was found on MNIST, in per cent, of the results in docs/results.

    Examples
    --------
    >>> beside_print().splitlines()[2].startswith("| `bp` | 98.62 | 9")
    True
    """
    found = _stored("field-mnist")
    config, rows = found["config"], ["| rule | printed | here | rate |", "|---|---|---|---|"]
    for rule in accuracies(found["runs"]):
        here = [100 * run["test_accuracy"] for run in found["runs"] if run["rule"] == rule]
        printed, lr = config["printed"][rule], config["rule_settings"][rule]["lr"]
        rows.append(f"| `{rule}` | {'-' if printed is None else f'{printed:.2f}'} | {fmean(here):.2f} ± "
                    f"{stdev(here):.2f} | {lr:g} |")
    return "\n".join(rows)


PAGE = """# A map of the field

Most rules of this library are backpropagation in which one thing is replaced by another; a few replace the whole
backward walk. This page says what each rule replaces, which rules are equal under which conditions, and what a step
costs. `python -m nobackprop.studies.field docs/field.md` writes it, and a test fails if it is not what the code says.
The symbols are in [glossary.md](glossary.md).

## What is substituted

A rule that substitutes two things stands in two rows.

{substitutions}

## Which rules are equal

An arrow from one rule to another says that the first is the second if what stands at the arrow holds. The numbers are
those of the table below, in which each arrow has its statement and its test. Rules without an arrow are those for which
no such condition is known here.

```mermaid
{map}
```

{links}

Two more ties are not between whole rules. The Hebbian form of PEPITA is a difference of two goodnesses, as
Forward-Forward has them ([Theorem PE3](theory/pepita.md)). SPSA and activity perturbation have one law of variance,
with the number of weights in the one and of units in the other ([Theorem AP2](theory/activity-perturbation.md)).

## What a step costs

Counted during one step of {model} on inputs of the shape of {data}, {batch} samples a batch.

- *Forward passes*, *backward passes*: how often blocks run forwards and backwards, over the number of blocks. A rule
  that lets only some of its blocks run has a fraction. What a rule has next to the network does not count here.
- *Products*: the multiplications in all products of matrices, those of feedback weights and local modules too, over
  those of one forward pass. Backpropagation has a little less than 3: one product on the way up and two on the way
  down, but none down to the input.
- *ms*, *time over `bp`*: the median of the milliseconds of a step with Adam, and of their ratio to backpropagation in
  the same turn, all rules taking turns on one thread of one processor. Only these two columns depend on the machine. On
  a network as small as this one most of a step is not products.

{costs}

## What these rules reach

The mean test accuracy of three seeds, next to backpropagation, its floor and direct feedback: on digits and XOR with
default settings, on MNIST as the next section says. All runs are in [results](results.md#the-field-around).

{reached}

On digits every rule is above 0.93 but `softhebb`: no hidden block of it knows the classes, and the output block has to
build on the patterns that are frequent.

## MNIST, next to what is printed

`nobackprop papers run field:mnist --scale small` trains all rules on one network, 784-128-128-10, with 10,000 images
for 5 epochs and three seeds. The learning rate of each rule was
[chosen on validation data](results.md#the-field-on-mnist). Accuracies are in per cent. The printed numbers are those of
wider networks, all images and longer training, so a gap says little: `nobackprop papers show field:mnist` names the
sources.

{beside_print}

`zil` has the gradients of `bp`; it is above it because another rate won its search, which had one seed.

## What was not run

- *MNIST in the papers' length, and CIFAR-10*: with wide networks, all images and many epochs, eleven rules and three
  seeds need days of a processor, because a step of `pc` or `ep` is as long as ten or more of backpropagation. That time
  was not there. So nothing here reproduces a number of these papers. Numbers that others give are below. **They were
  not checked against the papers**, but for those that stand in an abstract.
- *Error broadcast and decorrelation* (`ebd`, Erdogan, Pehlevan, Erdogan 2025) is no rule here, because only the
  abstract of the paper was at hand. It says that each block has a loss which punishes correlations between its
  activities and the output error, but not how these are followed over the batches, and which other terms there are.
- *Equation numbers*: the text of these papers was not at hand, so the numbers of their equations are not known here,
  and `nobackprop equations` does not list them. The formulas stand in the docstrings of the rules and in
  [theory](theory/README.md).

| rule | data | printed | where the number is from |
|---|---|---|---|
| predictive coding | MNIST, MLP | 98.45 % | a table of the PCX benchmark, Pinchetti et al. 2025 |
| predictive coding, centred | CIFAR-10, VGG-5 | 89.47 % | the same |
| predictive coding | CIFAR-100 | 67.19 ± 0.24 %, `bp` 60.82 ± 0.10 % | the same; the best epoch of each run |
| Forward-Forward | MNIST | 1.36 % errors | Hinton 2022; two public programs: 1.47 and 1.45 % |
| Forward-Forward | CIFAR-10 | 59.0 % | Hinton 2022 |
| PEPITA | MNIST | 98.01 ± 0.09 % | Dellaferrera and Kreiman 2022 |
| PEPITA | CIFAR-10 | 52.57 ± 0.36 % | the same |
| equilibrium propagation | CIFAR-10 | 11.7 % errors, 86 % with one nudge | Laborieux et al. 2021, in the abstract |
| SoftHebb | MNIST, convolutions | 99.4 % | Journe et al. 2023, in the abstract |
| SoftHebb | CIFAR-10, convolutions | 80.3 % | the same |
"""


def main(argv: list[str]) -> None:
    """Print the page, or write it to the one file that is named.

    Parameters
    ----------
    argv : list of str
        The arguments of the command: nothing, or the name of a file.

    Raises
    ------
    SystemExit
        If there are other arguments, or if the page cannot be written.

    Examples
    --------
    >>> main(["--help"])
    Traceback (most recent call last):
    SystemExit: usage: python -m nobackprop.studies.field [FILE]
    """
    write_page(argv, "nobackprop.studies.field", markdown)


if __name__ == "__main__":
    main(sys.argv[1:])
