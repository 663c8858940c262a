"""What each rule reads: the page, the facts that the papers claim, and the poisons that find them."""
from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pytest

from nobackprop import cli, network
from nobackprop.feedback import weights
from nobackprop.kernels import linear
from nobackprop.layers import Dense, Flatten, Sequential
from nobackprop.models import mlp
from nobackprop.rules import BP, DFA, FA, RULES, Credit, Rule, WeightMirror
from nobackprop.studies import locality
from nobackprop.studies.equations.tags import ROOT
from nobackprop.studies.locality import EVERY, Given, Reads, __main__, pages, trial
from nobackprop.studies.locality.pages import condense, entries, feedback_entries
from nobackprop.tape import materialise
from nobackprop.tree import leaves, tree_map

LAST = max(EVERY)
OUTPUT = LAST + 1


@pytest.fixture(scope="module")
def table() -> dict[str, locality.Locality]:
    return {name: locality.measured(rule) for name, rule in RULES.items()}


@contextmanager
def measured(table: dict[str, locality.Locality]) -> Iterator[None]:
    """The page and the terminal show this table, and measure none again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "table", lambda rules: {name: table[name] for name in rules})
        yield


@pytest.fixture(scope="module")
def page(table: dict[str, locality.Locality]) -> str:
    with measured(table):
        return pages.markdown()


@pytest.fixture(scope="module")
def shown(table: dict[str, locality.Locality]) -> str:
    with measured(table):
        return pages.show()


# The page and the command

@pytest.mark.slow
def test_the_page_is_not_stale(page):
    file = ROOT / "docs" / "locality.md"
    assert file.is_file() and file.read_text(encoding="utf-8") == page, \
        "docs/locality.md is stale: run `make locality`"


@pytest.mark.slow
def test_every_rule_has_its_row_on_the_page_and_in_the_terminal(table, page, shown):
    page, shown = page.splitlines(), shown.splitlines()
    assert list(table) == list(RULES)
    for name, row in table.items():
        assert sum(line.startswith(f"| `{name}` | {' | '.join(entries(row))} |") for line in page) == 1, name
        assert [name, *" ".join(entries(row)).replace(" only", "").split()] in [line.split() for line in shown], name
        if row.feedback.learns:
            cells = " ".join(feedback_entries(row))
            assert [name, *cells.split()] in [line.split() for line in shown], name


def test_the_second_table_has_the_rules_whose_state_learns(table):
    assert {name for name, row in table.items() if row.feedback.learns} == {
        name for name, rule in RULES.items() for net, given in [trial(rule, 0)]
        if any(True for _ in leaves(locality.gradients(net, rule, given)[1]))}


def test_it_fits_a_terminal(shown):
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.slow
def test_the_command_prints_it(table, shown, capsys):
    with measured(table):
        assert cli.main(["locality"]) == 0
    assert capsys.readouterr().out == shown + "\n"


def test_the_module_writes_the_page(page, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(__main__, "markdown", lambda: page)
    __main__.main([str(tmp_path / "page.md")])
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == page
    __main__.main([])
    assert capsys.readouterr().out == page


@pytest.mark.parametrize("argv, sentence", [
    (["a", "b"], "usage"), (["--help"], "usage"), (["nowhere/page.md"], "nobackprop.studies.locality: .*nowhere")])
def test_the_module_says_what_is_wrong(argv, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=sentence):
        __main__.main(argv)


@pytest.mark.slow
def test_the_page_says_when_blocks_could_learn(page):
    early, together, down, feedback, none = (line for line in page.splitlines()[-5:])
    assert "`drtp`" in early and "`las`" not in early and "`dfa`" not in early
    assert all(f"`{name}`" in together for name in ("dfa", "las", "ltas")) and "`drtp`" not in together
    assert all(f"`{name}`" in down for name in ("bp", "fa", "frsf", "wm", "kp")) and "`dfa`" not in down
    assert all(f"`{name}`" in feedback for name in ("ltas", "wm"))
    assert not any(f"`{name}`" in feedback for name in ("las", "kp", "fdfa", "adaptive-dfa", "fa"))
    assert all(f"`{name}`" in none for name in ("fa", "dfa", "kp", "wm"))
    assert not any(f"`{name}`" in none for name in ("bp", "las", "ltas", "adaptive-dfa", "frsf", "shallow"))


# What the papers say of their rules

@pytest.mark.parametrize("name, expected", [
    ("bp", ("all", "all", "1, 2, 3", "all")),
    ("shallow", ("last hidden only", "last hidden only", "-", "last hidden only")),
    ("fa", ("-", "all", "1, 2, 3", "all")),
    ("frsf", ("all (signs)", "all", "1, 2, 3", "all")),
    ("wm", ("-", "all", "1, 2, 3", "all")),
    ("kp", ("-", "all", "1, 2, 3", "all")),
    ("dfa", ("-", "all", "-", "all")),
    ("drtp", ("-", "-", "-", "all")),
    ("las", ("last hidden only", "all", "-", "all")),
    ("ltas", ("last hidden only", "all", "-", "all")),
    ("foa", ("all", "all", "1, 2, 3", "1")),
    ("as", ("2, 3, 4", "2, 3, 4", "2, 3", "2")),
    ("asap", ("-", "2, 3, 4", "2, 3", "2")),
    ("asfp", ("-", "2, 3, 4", "2, 3", "2, 3, 4")),
    *((name, ("-", "-", "-", "all")) for name in ("mostafa", "pred", "sim", "predsim", "phsic")),
    ("spsa", ("-", "all", "-", "1")),  # the input of the first block is x, with which the second loss is computed
    # f_c reads the last bridge, which is in its own component; a decoder learns from g_i and not from what it decodes
    ("al", ("2", "-", "2", "1, 2, 3")),
    ("dtp", ("all", "all", "1, 2, 3", "all")),
    *((name, ("all", "all", "1, 2, 3", "all")) for name in ("zil", "pc", "pc-fixed", "pc-centred", "dp", "ep")),
])
def test_what_hidden_blocks_read(table, name, expected):
    assert entries(table[name])[:-1] == expected


def test_which_hidden_blocks_read_weights_by_a_further_pass_alone(table):
    found = {name: entries(row)[-1] for name, row in table.items() if row.hidden.passes}
    assert found == {**dict.fromkeys(("spsa", "activity"), "all"),
                     **dict.fromkeys(("zil", "pc", "pc-centred", "ep", "ff", "pepita"), "2, 3, 4")}


def test_what_a_rule_multiplies_with_0_it_has_not_read(table):
    """The error of zil climbs down by one block a step: block i learns before it could hear of what is below."""
    assert table["zil"].hidden.carried == table["bp"].hidden.carried


@pytest.mark.parametrize("name, expected", [
    ("wm", ("before the error", "W_i", "-", "-", "-")),
    ("kp", ("with the error", "-", "all", "all", "1, 2, 3")),
    ("adaptive-dfa", ("before the error", "W_(i+1) to W_5", "-", "-", "-")),
    ("dkp", ("with the error", "-", "all", "all", "-")),
    ("fdfa", ("before the error", "W_2 to W_5", "all", "-", "-")),
    ("las", ("before the error", "-", "all", "-", "-")),
    ("ltas", ("before the error", "-", "-", "all", "-")),
    ("asap", ("with the error", "-", "all", "all", "2, 3")),
    ("asfp", ("with the error", "-", "all", "all", "2, 3")),
    *((name, ("before the error", "-", "-", "all", "-")) for name in ("pred", "sim", "predsim")),
    # g_i learns through its decoder h_i
    ("al", ("with the error", "B_1: W_5; B_2: W_4", "-", "all", "-")),
    ("dtp", ("before the error", "W_i", "-", "-", "-")),
])
def test_what_feedback_weights_read(table, name, expected):
    assert feedback_entries(table[name]) == expected


def test_bp_reads_all_weights_above_a_block_and_none_else(table):
    above = {(i, j) for i in EVERY for j in range(i + 1, OUTPUT + 1)}
    assert table["bp"].hidden.weights == table["bp"].hidden.carried == above                          # LAS (7)


def test_al_reads_no_weights_but_those_of_its_own_component(table):
    rule, net = RULES["al"], trial(RULES["al"], 0)[0]
    component = {block + 1: i for i in (1, 2) for block in rule.blocks(net, i)}
    assert component == {1: 1, 2: 2, 3: 2, 4: 2, 5: 1}
    for reads in (table["al"].hidden, table["al"].feedback):
        assert reads.weights and all(component[i] == component[j] for i, j in reads.weights)


def test_dtp_transports_the_output_weights_and_no_others(table):
    """The output weights reach all blocks through the target of the last hidden block."""
    assert table["dtp"].hidden.weights == {(i, OUTPUT) for i in EVERY}


@pytest.mark.parametrize("name", ["las", "ltas"])
def test_las_transports_the_output_weights_to_the_last_hidden_block_alone(table, name):
    assert table[name].hidden.weights == {(LAST, OUTPUT)}                          # LAS (23)


def test_sign_symmetry_reads_the_signs_of_what_bp_reads(table):
    assert table["frsf"].hidden.weights == table["bp"].hidden.weights              # LAS (14)
    assert not table["frsf"].hidden.magnitudes and table["bp"].hidden.magnitudes == table["bp"].hidden.weights


@pytest.mark.parametrize("name", RULES)
def test_which_hidden_blocks_learn(table, name):
    assert table[name].hidden.learns == EVERY - {i + 1 for i in RULES[name].untrained(trial(RULES[name], 0)[0])}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_that_learns_reads_the_target_or_the_output(table, name):
    """Only drtp does so without the output. The target itself reaches every block of every rule but softhebb's."""
    assert table[name].hidden.target == (frozenset() if name == "softhebb" else table[name].hidden.learns)


@pytest.mark.parametrize("name", ["wm", "fdfa", "adaptive-dfa"])
def test_wm_and_fdfa_read_weights_only_by_sending_activity_through_them(name, monkeypatch):
    """If the poison is removed from the products W h, their B reads nothing of it. adaptive-dfa reads W itself."""
    net, given = trial(RULES[name], 0)
    before = locality.gradients(net, RULES[name], given)[1]
    through = linear.forward
    for j in range(1, len(net)):
        poisoned = locality.poison_weights(given, j)
        (_, W), = leaves(weights(given.params[j]))
        (_, ill), = leaves(weights(poisoned.params[j]))
        monkeypatch.setattr(linear, "forward", lambda w, u, W=W, ill=ill: through(W if w is ill else w, u))
        healed = locality.gradients(net, RULES[name], poisoned)[1]
        assert locality.same_bits(before, healed) == (name != "adaptive-dfa")


# The poisons: they change what they should and nothing else

NET, GIVEN = trial(FA(), 0)
H = [f"tape/h/{k}" for k in range(OUTPUT + 1)]


def spoilt(given: Given, of: Given = GIVEN) -> set[str]:
    """Return the paths of the arrays that differ, after a check that these hold nothing but NaN."""
    trees = [{"params": g.params, "state": g.state, "y": g.y, "tape": {"h": g.tape.h, "caches": g.tape.caches}}
             for g in (of, given)]
    found = set()
    for (path, old), (_, new) in zip(*map(leaves, trees), strict=True):
        if not locality.same_bits(old, new):
            assert np.isnan(new).all() and new.shape == old.shape and new.dtype == old.dtype, path
            found.add(path)
    return found


@pytest.mark.parametrize("j, path", [(0, "params/0/0/W"), (3, "params/3/0/W"), (4, "params/4/W")])
def test_the_poison_of_weights(j, path):
    assert spoilt(locality.poison_weights(GIVEN, j)) == {path}


def test_the_poison_of_weights_reaches_views_of_them_in_the_state():
    state = tree_map(lambda W: W.T, weights(GIVEN.params))
    sharing = replace(GIVEN, state=state)
    assert spoilt(locality.poison_weights(sharing, 3), sharing) == {"params/3/0/W", "state/3/0/W"}


def test_other_magnitudes_keep_signs_and_all_else():
    other = locality.rescale_weights(GIVEN, 2, np.random.default_rng(0))
    W, new = (given.params[2][0]["W"] for given in (GIVEN, other))
    assert (np.sign(W) == np.sign(new)).all() and (new != W).all()
    assert np.ptp(new / W) > 0.1  # each has a factor of its own, so ratios of weights are other ones, too
    other.params[2][0]["W"] = W
    assert not spoilt(other)


def test_the_poison_of_the_output():
    assert spoilt(locality.poison_output(GIVEN)) == {H[-1]}


def test_the_poison_of_the_target():
    assert spoilt(locality.poison_target(GIVEN)) == {"y"}


@pytest.mark.parametrize("i, paths", [
    (0, {*H[2:5], *(f"tape/caches/{k}/{side}" for k in (1, 2, 3) for side in (0, 1)), "tape/caches/4"}),
    (2, {H[4], "tape/caches/3/0", "tape/caches/3/1", "tape/caches/4"}),
    (3, set()),
    (4, set()),
])
def test_the_poison_of_what_is_above(i, paths):
    assert spoilt(locality.poison_above(GIVEN, i)) == paths


@pytest.mark.parametrize("i, paths", [
    (0, {H[0], "tape/caches/0/0"}), (3, {H[3], "tape/caches/3/0"}), (4, {H[4], "tape/caches/4"})])
def test_the_poison_of_presynaptic_activity(i, paths):
    assert spoilt(locality.poison_presynaptic(NET, GIVEN, i)) == paths


@pytest.mark.parametrize("i", range(OUTPUT))
def test_what_stands_on_the_tape_in_place_of_the_input_stays(i):
    """As under activation sharing: an update that uses it does not read the input."""
    shared = replace(GIVEN, tape=network.with_presynaptic(NET, GIVEN.tape, lambda index, h: h + 1))
    assert spoilt(locality.poison_presynaptic(NET, shared, i), shared) == {H[i]}


def test_what_is_no_array_of_floats_stays():
    net = mlp((2, 2, 1), 3, (4,), "tanh")
    assert isinstance(net[0], Sequential) and net[0].layers[:2] == (Flatten(), Dense(4, gain=1.0))
    x = np.ones((2, 2, 2, 1))
    params, _ = network.init(net, np.random.default_rng(0), x.shape[1:], "float64")
    given = Given(params, None, network.forward(net, params, x), np.eye(3)[:2])
    shape, below, _ = locality.poison_presynaptic(net, given, 0).tape.caches[0]
    assert shape == x.shape and np.isnan(below).all()
    shape, order, names = locality.nan((x.shape, np.arange(3), np.array(["a"])))
    assert shape == x.shape and order.tolist() == [0, 1, 2] and names.tolist() == ["a"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_float_becomes_nan(dtype):
    ill = locality.nan(np.zeros((2, 3), dtype))
    assert np.isnan(ill).all() and (ill.shape, ill.dtype) == ((2, 3), dtype)


@pytest.mark.parametrize("name", RULES)
def test_nan_never_enters_the_unpoisoned_run(name):
    for seed in locality.SEEDS:
        net, given = trial(RULES[name], seed)
        found = locality.gradients(net, RULES[name], given)
        assert all(np.isfinite(array).all() for _, array in leaves(found))
        trees = (given.params, given.state, given.tape.h, given.tape.caches, given.y)
        assert all(np.isfinite(materialise(kept)).all() for tree in trees for _, kept in leaves(tree))


# Forged rules: one that reads what it should not is found out, and one that reads nothing is clean

@dataclass(frozen=True)
class Forged(Rule):
    """Every gradient is 1, except that the leak is added to that of one leaf of block 2 (counted from 1)."""

    leak: object = None

    def init(self, rng, net, params, shapes):
        return weights(params) if self.leak == "view" else [np.ones(1)] * len(net)

    def reading(self, net, params, state, tape, y):
        return {None: lambda: 0.0, "view": lambda: state[3][0]["W"].sum(), "below": lambda: params[0][0]["W"].sum(),
                "own": lambda: params[1][0]["W"].sum(), "sign": lambda: np.sign(params[4]["W"]).sum(),
                "bias": lambda: params[4]["b"].sum(), "output": lambda: tape.output.sum(), "target": lambda: y.sum(),
                "above": lambda: tape.h[3].sum(), "cache above": lambda: tape.caches[4].sum(),
                "record": lambda: tape.h[1].sum(), "cache": lambda: tape.caches[1][0].sum(),
                "own output": lambda: tape.h[2].sum() + tape.caches[1][1].sum(),
                "pass": lambda: net[2].forward(params[2], np.ones_like(tape.h[2]))[0].sum(),
                "answer": lambda: net[4].forward(params[4], tape.h[4])[0].sum() * 0,
                "another question": lambda: net[4].forward(params[4], tape.h[4] + 1)[0].sum() * 0}[self.leak]()

    def credit(self, net, params, state, tape, y, rng=None):
        grads = tree_map(np.ones_like, params)
        grads[1][0]["b"] = grads[1][0]["b"] + self.reading(net, params, state, tape, y)
        return Credit(grads)


CLEAN = Reads(learns=EVERY)


@pytest.mark.parametrize("leak, found", [
    (None, {}),
    ("bias", {}),
    ("own output", {}),
    ("view", dict.fromkeys(("weights", "carried", "magnitudes"), {(2, 4)})),
    ("below", dict.fromkeys(("weights", "carried", "magnitudes"), {(2, 1)})),
    ("own", dict.fromkeys(("weights", "carried", "magnitudes"), {(2, 2)})),
    ("sign", dict.fromkeys(("weights", "carried"), {(2, 5)})),
    ("pass", dict.fromkeys(("weights", "magnitudes"), {(2, 3)})),
    ("answer", {"output": {2}, "above": {2}, "weights": {(2, 5)}}),
    ("another question", {"above": {2}, "weights": {(2, 5)}}),
    ("output", {"output": {2}}),
    ("target", {"target": {2}}),
    ("above", {"above": {2}}),
    ("cache above", {"above": {2}}),
    ("record", {"presynaptic": {2}}),
    ("cache", {"presynaptic": {2}}),
])
def test_what_a_forged_rule_reads_is_found_and_nothing_else(leak, found):
    expected = replace(CLEAN, **{field: frozenset(blocks) for field, blocks in found.items()})
    result = locality.locality(Forged(leak))
    assert result.hidden == expected
    assert result.feedback == Reads() and not result.error_driven


@pytest.mark.parametrize("seed", locality.SEEDS)
def test_what_is_read_with_one_seed_alone_is_found(seed):
    once = trial(FA(), seed)[1].tape.h[0]

    class Seldom(Forged):
        def reading(self, net, params, state, tape, y):
            return tape.output.sum() if np.array_equal(tape.h[0], once) else 0.0

    class SeldomDFA(DFA):
        def align(self, net, params, B, tape, y, rng):
            return [b + y.sum() * np.array_equal(tape.h[0], once) if i == 2 else b for i, b in enumerate(B)]

    assert locality.locality(Seldom()).hidden == replace(CLEAN, output=frozenset({2}))
    assert locality.locality(SeldomDFA()).feedback.target == {3}


def test_a_weight_of_the_own_block_is_no_transport():
    assert entries(locality.locality(Forged("own")))[0] == "-"
    assert entries(locality.locality(Forged("below")))[0] == "2"


def test_when_blocks_could_learn_follows_from_what_they_read():
    """A rule for each thing that can be read, and one that reads nothing."""
    one = frozenset({1})
    reads = {"nothing": Reads(EVERY), "output": Reads(EVERY, output=one), "above": Reads(EVERY, above=one),
             "weights": Reads(EVERY, carried=frozenset({(1, 2)})), "own": Reads(EVERY, carried=frozenset({(1, 1)})),
             "pass": Reads(EVERY, weights=frozenset({(1, 2)})),
             "idle": Reads(one), "target": Reads(EVERY, target=EVERY)}
    rows = {name: locality.Locality(read, Reads()) for name, read in reads.items()}
    rows["learning feedback"] = locality.Locality(Reads(EVERY, above=one), Reads(EVERY))
    rows["waiting feedback"] = locality.Locality(Reads(EVERY, above=one), Reads(EVERY, above=one))
    rows["carried feedback"] = locality.Locality(Reads(EVERY, above=one), Reads(EVERY, carried=frozenset({(1, 2)})))
    found = [re.findall("`([^`]+)`", line.rpartition(": ")[2]) for line in pages._follows(rows).splitlines()[-5:]]
    assert found == [
        ["nothing", "own", "target"], ["output", "weights", "pass"],
        ["above", "learning feedback", "waiting feedback", "carried feedback"], ["learning feedback"],
        ["nothing", "output", "above", "own", "target", "learning feedback", "waiting feedback"]]


class TransportingDFA(DFA):
    """Direct feedback whose B learns from the weights of another block."""

    def align(self, net, params, B, tape, y, rng):
        return [b + params[0][0]["W"].sum() if i == 2 else b for i, b in enumerate(B)]


def test_a_forged_learning_of_the_state_is_found():
    result = locality.locality(TransportingDFA())
    assert result.feedback.weights == {(3, 1)} and result.feedback.learns == EVERY
    assert feedback_entries(result) == ("before the error", "B_3: W_1", "-", "-", "-")


class Restless(WeightMirror):
    """A rule that draws other numbers each time, so that no two runs are equal."""

    draws = np.random.default_rng(0)

    def align(self, net, params, B, tape, y, rng):
        return super().align(net, params, B, tape, y, self.draws)


@pytest.mark.slow
def test_align_draws_the_same_noise_in_both_runs():
    """Otherwise the rules that draw would seem to read everything."""
    assert not locality.locality(WeightMirror()).feedback.target
    assert locality.locality(Restless()).feedback.target


class Unordered(BP):
    def align(self, net, params, state, tape, y, rng):
        return {"B": np.ones(1)}


def test_a_state_that_belongs_to_no_block_is_refused():
    with pytest.raises(ValueError, match="the state of rule Unordered are a dict, expected a list"):
        locality.locality(Unordered())


# Entries

def test_bits_are_compared_and_not_numbers():
    zero, nothing = np.zeros(2), np.full(2, np.nan)
    assert locality.same_bits([nothing, None], [nothing.copy(), None])
    for other in (-zero, zero.astype("float32").repeat(2), nothing, np.zeros((2, 1)), None):
        assert not locality.same_bits([zero], [other])
    assert not locality.same_bits({"W": zero}, {"b": zero}) and not locality.same_bits([zero, None], [None, zero])


def test_two_measurements_add_up():
    a, b = Reads(learns=frozenset({1}), weights=frozenset({(1, 2)})), Reads(output=frozenset({3}))
    assert a | b == Reads(learns=frozenset({1}), weights=frozenset({(1, 2)}), output=frozenset({3}))


def test_signs_alone_is_said_of_rules_that_read_nothing_more():
    pair, other = frozenset({(1, 2)}), frozenset({(1, 1)})
    assert Reads(carried=pair).signs_alone and Reads(carried=pair | other, magnitudes=other).signs_alone
    assert not Reads(carried=pair, magnitudes=pair).signs_alone and not Reads(carried=other).signs_alone


def test_all_is_all_of_those_that_learn():
    assert condense(frozenset({1, 2, 3}), frozenset({1, 2, 3})) == "all"
    assert condense(frozenset({1, 3})) == "1, 3"
