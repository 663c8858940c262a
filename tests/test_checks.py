"""What comes in from outside: whatever does not fit is told in one sentence, and nothing has moved by then."""
from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import fakecupy
import numpy as np
import pytest
from networks import Case

from nobackprop import checks, learn, models, network, rules, writers
from nobackprop.data import from_arrays
from nobackprop.errors import InputError
from nobackprop.learn import Run, Settings
from nobackprop.network import Network
from nobackprop.optim import SGD, bind
from nobackprop.rules import RULES
from nobackprop.tree import leaves, tree_map

every_rule = pytest.mark.parametrize("name", RULES)


class Stepped(Case):
    """A case with its optimisers, whose step is refused without a trace."""

    def __init__(self, name: str, **how):
        super().__init__(RULES[name], 0, **how)
        self.opts = [bind("adam", tree, 1e-2) for tree in (self.params, self.state)]

    def step(self, **other):
        given = {"params": self.params, "state": self.state, "opt": self.opts[0], "opt_state": self.opts[1],
                 "x": self.x, "y": self.y} | other
        return learn.step(self.net, other.pop("rule", self.rule), *(given[key] for key in (
            "params", "state", "opt", "opt_state", "x", "y")), self.rng)

    def refuses(self, sentence: str, **other):
        before = self.everything()
        with pytest.raises(InputError, match=sentence) as caught:
            self.step(**other)
        assert "\n" not in str(caught.value) and self.everything() == before

    def everything(self):
        moved = [[w.tobytes(), *(m.tobytes() for m in memories)] for opt in self.opts
                 for w, memories in opt.slots.values()]
        return moved, [opt.steps.copy() for opt in self.opts], self.rng.bit_generator.state


# ---------------------------------------------------------------- targets and inputs


TARGETS = {
    "labels": lambda y: y.argmax(1),
    "labels (N, 1)": lambda y: y.argmax(1)[:, None],
    "labels (N, 1) in floats": lambda y: y.argmax(1)[:, None].astype(y.dtype),
    "labels (1, N)": lambda y: y.argmax(1)[None],
    "one sample's": lambda y: y[:1],
    "one sample fewer": lambda y: y[1:],
    "one class more": lambda y: np.hstack([y, y[:, :1]]),
    "one axis more": lambda y: y[:, None],
    "one axis more at the end": lambda y: y[..., None],
    "a number": lambda y: y[0, 0],
    "none": lambda y: y[:0],
}


@pytest.mark.slow
@pytest.mark.parametrize("wrong", TARGETS)
@every_rule
def test_no_rule_learns_from_targets_that_are_no_rows_of_its_outputs_shape(name, wrong):
    """Also those that never look at the loss."""
    case = Stepped(name)
    y = TARGETS[wrong](case.y)
    case.refuses(rf"^y has shape \({', '.join(map(str, y.shape))},?\)( and type float64)?, expected ", y=y)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "float32"])
def test_one_hot_rows_may_be_of_any_numbers(dtype):
    case, other = Stepped("las"), Stepped("las")
    case.step(y=case.y.astype(dtype))
    other.step()
    for (_, u), (_, v) in zip(leaves(case.params), leaves(other.params), strict=True):
        np.testing.assert_array_equal(u, v)


@pytest.mark.parametrize("where", ["x", "y"])
@pytest.mark.parametrize("make, sentence", [
    (lambda a: a.tolist(), "is a list"), (lambda a: tuple(a), "is a tuple"), (lambda a: None, "is a NoneType"),
    (lambda a: 3.0, "is a float"), (lambda a: "x", "is a str"),
    (lambda a: np.ma.masked_array(a, a > 0), r"is a numpy\.ma.*MaskedArray"),
    (lambda a: a.astype(object), "of type object|and type object"), (lambda a: a.astype("U8"), "and type <U8"),
    (lambda a: fakecupy.asarray(a), "is a fakecupy"),
    (lambda a: np.float64(1.0), r"has shape \(\)"),
])
def test_a_step_and_an_evaluation_take_arrays_of_numbers_of_one_module(where, make, sentence):
    case = Stepped("bp")
    wrong = make(getattr(case, where))
    case.refuses(sentence, **{where: wrong})
    with pytest.raises(InputError, match=sentence):
        learn.evaluate(case.net, case.params, **({"x": case.x, "y": case.y} | {where: wrong}))


def spoilt(y, value):
    y = y.copy()
    y[2, 1] = value
    return y


def test_a_rule_whose_credit_takes_no_generator_is_told_in_one_sentence():
    class Old(rules.Rule):
        def credit(self, net, params, state, tape, y):
            return rules.Credit([None])

    with pytest.raises(InputError) as told:
        checks.network_and_rule(models.build("mlp:4", (3,), 2), Old())
    assert str(told.value) == ("the method credit of rule Old does not take what a step hands it, expected "
                               "credit(self, net, params, state, tape, y, rng=None)")


NO_PROBABILITIES = {
    "zeros": lambda y: y * 0, "negative": lambda y: -y, "five": lambda y: y * 5, "half": lambda y: y / 2,
    "NaN": lambda y: y * np.nan, "inf": lambda y: spoilt(y, np.inf), "-inf": lambda y: spoilt(y, -np.inf),
    "one NaN": lambda y: spoilt(y, np.nan), "one too large": lambda y: spoilt(y, 1.5),
    "below 0, of sum 1": lambda y: np.full_like(y, [1.5, -0.25, -0.25]),
    "two classes": lambda y: np.minimum(y + y[::-1], 1),
    "huge": lambda y: np.full_like(y, 1e308), "integers": lambda y: 2 * y.astype("uint8"),
    "negative integers": lambda y: -y.astype("int8"), "all true": lambda y: y < 2,
    "off by a ten-thousandth": lambda y: y * 1.0001, "columns sum to 1": lambda y: y / y.sum(0).clip(1),
}


@pytest.mark.parametrize("wrong", NO_PROBABILITIES)
@pytest.mark.parametrize("name", ["bp", "drtp", "spsa", "al"])
def test_cross_entropy_is_of_probabilities(name, wrong):
    """In the first step, and in every later one; NumPy would compute some number of the others."""
    y = NO_PROBABILITIES[wrong](Case(RULES[name], 0).y)
    sentence = r"^row \d of y is \[.*, expected probabilities: numbers from 0 on that sum to 1$"
    case = Stepped(name)
    case.refuses(sentence, y=y)
    case.step()
    case.refuses(sentence, y=y)
    for batch_size in (1, 256):
        with pytest.raises(InputError, match=sentence):
            learn.evaluate(case.net, case.params, case.x, y, batch_size)


def test_the_row_that_is_wrong_is_named():
    case = Stepped("bp")
    y = np.where(np.arange(7)[:, None] == 2, [0.0, 7.0, 0.0], np.eye(3)[0])
    case.refuses(r"^row 2 of y is \[0.0, 7.0, 0.0\], expected", y=y)


@pytest.mark.parametrize("classes, dtype, given", [
    (3, "float64", "float64"), (1000, "float32", "float32"), (1000, "float32", "float64"), (10, "float16", "float16")])
def test_probabilities_are_right_up_to_rounding(classes, dtype, given):
    """Those of softmax in any type, also if they came to the step in a wider one; and labels that are smoothed."""
    rng = np.random.default_rng(0)
    p = np.exp(rng.standard_normal((64, classes))).astype(dtype)
    p /= p.sum(1, keepdims=True, dtype=dtype)
    net = models.build("mlp:4", (5,), classes)
    for y in (p.astype(given), (0.9 * np.eye(classes)[rng.integers(classes, size=64)] + 0.1 / classes).astype(dtype)):
        checks.values(net, RULES["bp"], y)


@pytest.mark.parametrize("y", [-5.0, 0.0, 1e60])
def test_the_squared_loss_is_of_any_finite_numbers(y):
    case = Stepped("bp", loss="squared")
    case.step(y=np.full((7, 3), y))
    learn.evaluate(case.net, case.params, case.x, np.full((7, 3), y), task="numbers")
    with pytest.raises(InputError, match="^row 0 of y is .*, which is no class: expected .* or task='numbers'"):
        learn.evaluate(case.net, case.params, case.x, np.full((7, 3), y))
    for wrong in (np.nan, np.inf, -np.inf):
        sentence = r"^row 2 of y is \[.*, expected finite numbers$"
        case.refuses(sentence, y=spoilt(case.y, wrong))
        with pytest.raises(InputError, match=sentence):
            learn.evaluate(case.net, case.params, case.x, spoilt(case.y, wrong))


def test_a_run_looks_at_no_targets_again(monkeypatch):
    """It has made them itself, of labels."""
    run = Run(NET, "bp", tiny(), Settings(batch_size=5))
    asked, values = [], checks.values
    monkeypatch.setattr(checks, "values", lambda net, rule, y: asked.append(len(y)) or values(net, rule, y))
    run.epoch()
    assert asked == [6]  # those of the validation set


@every_rule
@pytest.mark.parametrize("rng", [0, None, np.random.RandomState(0), np.random, "x"], ids=lambda rng: type(rng).__name__)
def test_a_step_draws_from_a_generator_alone(name, rng):
    """Under every rule, or the mistake would show with the next rule that is tried."""
    case = Stepped(name)
    case.rng, kept = rng, case.rng
    with pytest.raises(InputError, match="^rng is .*, expected a generator, such as numpy.random.default_rng"):
        case.step()
    case.rng = kept
    case.step()


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_a_matrix_is_refused_as_its_products_are_others():
    case = Stepped("bp")
    case.refuses("numpy.*matrix", y=np.matrix(case.y))


@pytest.mark.parametrize("shape", [(7, 6), (7, 4), (7,), (7, 5, 1), (7, 1, 5), (7, 2, 2, 5), (0, 5)])
def test_inputs_of_another_shape_are_refused(shape):
    case = Stepped("las")
    case.refuses("samples of shape|samples in x|a row for each sample", x=np.ones(shape), y=case.y[:shape[0]])
    if len(shape) > 1 and shape[-1] != 5:
        with pytest.raises(InputError, match=rf"\(7, {shape[1]}|\({shape[1]},"):
            learn.evaluate(case.net, case.params, np.ones(shape), case.y)


# ---------------------------------------------------------------- trees and their optimisers


def test_a_step_refuses_an_optimiser_of_another_tree():
    for name in ("params", "state"):
        case = Stepped("las")
        case.refuses(f"the optimiser of {name} writes into other arrays", **{name: copy.deepcopy(getattr(case, name))})
        case.step()


@pytest.mark.parametrize("name", ["params", "state"])
@pytest.mark.parametrize("replace", [
    lambda tree: tree[0][0].update(W=tree[0][0]["W"].copy()),
    lambda tree: tree[0].__setitem__(0, dict(tree[0][0])),
    lambda tree: tree.__setitem__(2, copy.deepcopy(tree[2])),
])
def test_a_step_notices_an_array_that_was_put_in_the_place_of_another(name, replace):
    """Else it would stand still for ever, and nobody would know."""
    case = Stepped("fa")
    case.step()
    replace(getattr(case, name))
    case.refuses(f"the optimiser of {name} writes into other arrays")


def test_what_changes_inside_the_arrays_is_the_users_business():
    case = Stepped("fa")
    case.step()
    tree_map(lambda w: w.__setitem__(..., 0.5), case.params)
    case.step()


def test_optimisers_in_the_wrong_order_or_of_no_kind():
    case = Stepped("las")
    case.refuses("the optimiser of params writes into other arrays", opt=case.opts[1], opt_state=case.opts[0])
    case.refuses("the optimiser of state is 0.01, expected one as optim.bind makes them", opt_state=0.01)
    case.refuses("^params is None, expected the tree that its optimiser was bound to$", params=None)
    case.refuses("^state is None, expected the tree that its optimiser was bound to$", state=None)


def shapes(tree):
    return [(path, array.shape) for path, array in leaves(tree)]


@every_rule
def test_the_state_of_a_deeper_network_is_refused(name):
    """One matrix for all blocks is the same, whatever the depth, and so is one for the input."""
    case, deep = Stepped(name), Case(RULES[name], 0, sizes=(6, 5, 5, 5, 4))
    if shapes(deep.state) == shapes(case.state):
        assert name in ("dfa-shared", "ff", "pepita") or not list(leaves(case.state))
        return
    case.step()
    case.refuses(f"the state that came cannot belong to rule {name} with this network: trees differ at ",
                 state=deep.state, opt_state=SGD(deep.state, 0.1), opt=SGD(case.params, 0.1))


@every_rule
def test_the_state_of_another_rule_is_refused(name):
    case = Stepped(name, sizes=(6, 5, 6))
    for other in RULES:
        theirs = RULES[other].init(np.random.default_rng(0), case.net, case.params, case.shapes)
        if shapes(theirs) != shapes(case.state):
            case.refuses(f"the state that came cannot belong to rule {name} with this network",
                         state=theirs, opt_state=SGD(theirs, 0.1), opt=SGD(case.params, 0.1))


def test_the_parameters_of_another_network_are_refused():
    case, other = Stepped("bp"), Case(RULES["bp"], 0, sizes=(6, 5))
    case.refuses(r"the params that came cannot belong to this network with samples of shape \(5,\)",
                 params=other.params, opt=SGD(other.params, 0.1))


def test_a_rule_that_changes_in_the_middle_is_looked_at_again():
    """What was found out about one rule holds for no other."""
    case = Stepped("las")
    case.step()
    case.refuses("cannot belong to rule dfa", rule=RULES["dfa"])
    case.step()


def test_trees_are_looked_at_once(monkeypatch):
    case, asked = Stepped("las"), []
    monkeypatch.setattr(network, "init", lambda *args, init=network.init: asked.append(args) or init(*args))
    for _ in range(3):
        case.step(rule=rules.get("las"))  # equal each time, and not the same
    assert len(asked) == 1


@every_rule
def test_a_run_need_not_look_at_what_it_has_made(name, monkeypatch):
    data, asked = tiny(), []
    run = Run(models.build("mlp:4,3,4", data.shape, 3), name, data)
    monkeypatch.setattr(network, "init", lambda *args: asked.append(args))
    run.epoch()
    assert not asked


# ---------------------------------------------------------------- batch-norm


def test_one_sample_is_no_batch_where_a_channel_has_one_value():
    net = models.build("mlp-bn:4", (5,), 3)
    params, _ = network.init(net, np.random.default_rng(0), (5,))
    opt, none, x, y = SGD(params, 0.1), SGD(None, 0.1), np.ones((2, 5), "float32"), np.eye(3, dtype="float32")[:2]
    before = [w.tobytes() for _, w in leaves(params)]
    with pytest.raises(InputError, match="the number of samples in x must be at least 2, got 1: a batch-norm needs"):
        learn.step(net, RULES["bp"], params, None, opt, none, x[:1], y[:1], np.random.default_rng(0))
    assert [w.tobytes() for _, w in leaves(params)] == before
    learn.step(net, RULES["bp"], params, None, opt, none, x, y, np.random.default_rng(0))


# ---------------------------------------------------------------- runs


def tiny():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, 5)), np.arange(30) % 3
    return from_arrays("tiny", x, y, x, y, validation=6)


class NoCredit(rules.Rule):
    pass


NET = models.build("mlp:4", (5,), 3)


@pytest.mark.parametrize("wrong, sentence", [
    ({"net": "mlp:4"}, "^net is 'mlp:4', expected a Network"),
    ({"net": NET.blocks}, "^net is .*, expected a Network"),
    ({"net": None}, "^net is None, expected a Network"),
    ({"net": Network(())}, "^net has no blocks, expected at least one$"),
    ({"rule": rules.LAS}, r"^rule is the class LAS, expected an instance: LAS\(\)$"),
    ({"rule": "lass"}, "unknown rule 'lass': did you mean 'las'"),
    ({"rule": 3}, "^rule is 3, expected a Rule"),
    ({"rule": None}, "^rule is None, expected a Rule"),
    ({"rule": NoCredit()}, "^rule NoCredit gives no gradients: it has no method credit$"),
    ({"data": "digits"}, "^data is 'digits', expected a Dataset$"),
    ({"data": (np.ones((5, 5)), np.ones(5))}, "^data is .*, expected a Dataset$"),
    ({"settings": {"epochs": 3}}, "^settings is {'epochs': 3}, expected a Settings$"),
    ({"settings": 3}, "^settings is 3, expected a Settings$"),
    ({"seed": -1}, "^seed must be at least 0, got -1$"),
    ({"seed": "x"}, "^seed must be an integer, got 'x'$"),
    ({"seed": 1.5}, "^seed must be an integer, got 1.5$"),
    ({"seed": True}, "^seed must be an integer, got True$"),
    ({"seed": None}, "^seed must be an integer, got None$"),
    ({"seed": 2**64}, f"^seed must be at most {2**64 - 1}, got {2**64}$"),
    ({"seed": 10**5000}, "^seed must be at most .*, got an integer of 16610 bits$"),
])
def test_what_a_run_is_made_of_is_told_in_a_sentence(wrong, sentence):
    for make in (Run, learn.fit):
        with pytest.raises(InputError, match=sentence) as caught:
            make(**({"net": NET, "rule": RULES["bp"], "data": tiny(), "settings": Settings(epochs=1)} | wrong))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [3, None, b"las", ["las"], np.ones(2)], ids=repr)
def test_a_run_is_called_by_a_text(name):
    with pytest.raises(InputError, match="^name is .*, expected a text$"):
        Run(NET, "bp", tiny(), name=name)


@pytest.mark.parametrize("wrong", [3, "print", print, ["print"], [writers.CSV], [{"epoch": 1}]], ids=str)
def test_what_is_called_after_an_epoch_is_a_function(wrong):
    """It is said before the first epoch, and not after it."""
    with pytest.raises(InputError, match="^callbacks (is|holds) .*, expected a"):
        learn.fit(NET, "bp", None, callbacks=wrong)


def test_nothing_need_be_called_after_an_epoch():
    seen = []
    runs = [learn.fit(NET, "bp", tiny(), Settings(epochs=2), callbacks=call)
            for call in ((), [lambda now: seen.append(dict(now.record))])]
    assert runs[0].history == runs[1].history == seen


def test_a_network_for_images_is_refused_for_vectors():
    with pytest.raises(InputError, match=r"shape \(5,\)"):
        Run(models.build("conv-small:0.1", (8, 8, 1), 3), "bp", tiny())


def test_a_dense_network_is_refused_for_images():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, 5, 5, 1)), np.arange(30) % 3
    with pytest.raises(InputError, match=r"\(5, 5, 1\)"):
        Run(NET, "bp", from_arrays("images", x, y, x, y, validation=6))


@pytest.mark.parametrize("seed", [np.int64(3), np.uint8(3), 3])
def test_a_seed_may_be_an_integer_of_numpys(seed):
    run = Run(NET, "bp", tiny(), seed=seed)
    assert type(run.seed) is int and run.seed == 3
    np.testing.assert_array_equal(run.params[0][0]["W"], Run(NET, "bp", tiny(), seed=3).params[0][0]["W"])


def test_a_rule_may_be_named():
    data = tiny()
    by_name, by_hand = (learn.fit(NET, rule, data, Settings(epochs=2)) for rule in ("dfa", rules.DFA()))
    assert by_name.history == by_hand.history and by_name.name == by_hand.name == "dfa"
    assert learn.fit(NET, "asap:k=4", data, Settings(epochs=1)).rule == rules.ASAP(k=4)


@pytest.mark.parametrize("rule, name", [
    ("sdfa", "sdfa"), (RULES["sdfa"], "sdfa"), (rules.get("sdfa"), "sdfa"), (rules.DFA(), "dfa"),
    (rules.ASAP(k=7), "ASAP"), ("asap:k=7", "asap:k=7"), (RULES["usf"], "usf")])
def test_a_run_is_called_what_the_user_typed(rule, name):
    assert Run(models.build("mlp:4,4,4", (5,), 3), rule, tiny()).name == name


# ---------------------------------------------------------------- evaluation


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, "3", True, None])
def test_an_evaluations_batches_are_counted(batch_size):
    case = Case(RULES["bp"], 0)
    with pytest.raises(InputError, match="^batch_size must be "):
        learn.evaluate(case.net, case.params, case.x, case.y, batch_size)


@pytest.mark.parametrize("wrong", [wrong for wrong in TARGETS if wrong != "labels (1, N)"])
def test_an_evaluation_takes_rows_of_the_outputs_shape_alone(wrong):
    case = Case(RULES["bp"], 0)
    with pytest.raises(InputError, match="expected"):
        learn.evaluate(case.net, case.params, case.x, TARGETS[wrong](case.y))


def test_an_evaluation_of_no_network():
    case = Case(RULES["bp"], 0)
    with pytest.raises(InputError, match="^net is None, expected a Network"):
        learn.evaluate(None, case.params, case.x, case.y)


def test_an_evaluation_with_parameters_of_another_network():
    case, other = Case(RULES["bp"], 0), Case(RULES["bp"], 0, sizes=(6, 5))
    with pytest.raises(InputError, match="params|parameters"):
        learn.evaluate(case.net, other.params, case.x, case.y)


@pytest.mark.parametrize("which", ["x", "y"])
def test_complex_numbers_are_refused_before_anything_moves(which):
    """The parameters are real: a step would fail in the middle, after the state has moved."""
    case = Stepped("las")
    changed = {which: getattr(case, which) * 1j}
    case.refuses(f"^{which} has shape .* and type complex128, expected real numbers", **changed)
    pair = {"x": case.x, "y": case.y} | changed
    with pytest.raises(InputError, match="expected real numbers"):
        learn.evaluate(case.net, case.params, **pair)


# ---------------------------------------------------------------- rules of one's own


@dataclass(frozen=True)
class Mine(rules.BP):
    """Backpropagation that returns what it is told to, or the true thing for "true"."""

    returned: object = "true"
    state: object = None

    def __post_init__(self):
        """Options of these kinds are for tests alone."""

    def init(self, rng, net, params, shapes):
        return self.state

    def credit(self, net, params, state, tape, y, rng=None):
        true = super().credit(net, params, state, tape, y, rng)
        return true if self.returned == "true" else self.returned


@pytest.mark.parametrize("returned, sentence", [
    (None, "returned None, expected a Credit"), ([], r"returned \[\], expected a Credit"),
    (3, "returned 3, expected a Credit"),
    (rules.Credit([]), "returned gradients for 0 blocks, expected a list of 2, with None for a block that does not "
                       "move$"),
    (rules.Credit([None] * 3), "returned gradients for 3 blocks, expected a list of 2"),
    (rules.Credit(None), "returned gradients None, expected a list of 2"),
    (rules.Credit({}), "returned gradients {}, expected a list of 2"),
    (rules.Credit("ab"), "returned gradients 'ab', expected a list of 2"),
])
def test_what_credit_returns_is_looked_at(returned, sentence):
    sentence = f"^the method credit of rule Mine {sentence}"
    case = Stepped("bp")
    case.net, case.params = NET, network.init(NET, np.random.default_rng(0), (5,))[0]
    with pytest.raises(InputError, match=sentence):
        learn.step(NET, Mine(returned), case.params, None, SGD(case.params, 0.1), SGD(None, 0.1), case.x, case.y,
                   case.rng)
    with pytest.raises(InputError, match=sentence):
        learn.fit(NET, Mine(returned), tiny())


@pytest.mark.parametrize("state", ["x", 3, ["x"], {"B": 1.0}, [np.arange(3)], [np.array(["x"])], [np.ones(2) * 1j]],
                         ids=repr)
def test_a_state_is_made_of_floats(state):
    params = network.init(NET, np.random.default_rng(0), (5,))[0]
    sentence = "^the method init of rule Mine returned .*, expected a tree of arrays of floats, or None$"
    with pytest.raises(InputError, match=sentence):
        Run(NET, Mine(state=state), tiny())
    with pytest.raises(InputError, match=sentence):
        learn.step(NET, Mine(state=state), params, None, SGD(params, 0.1), SGD(None, 0.1), np.ones((2, 5)),
                   np.eye(3)[:2], np.random.default_rng(0))


@pytest.mark.parametrize("wrong", [
    lambda rng, shape: rng.random((shape[0] + 1, *shape[1:])), lambda rng, shape: rng.random(), lambda rng, shape: None,
    lambda rng, shape: np.ones((*shape, 1)), lambda rng, shape: rng.random(shape).tolist(),
    lambda rng, shape: np.ones(shape, int)], ids=["a row more", "a number", "None", "an axis more", "a list",
                                                  "integers"])
@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if hasattr(rule, "draw") and name != "usf"])
def test_what_a_draw_returns_is_looked_at(name, wrong):
    data = tiny()
    sizes = "4,3,4" if name in ("al", "asap") else "4,3"
    with pytest.raises(InputError, match="^draw returned .*, expected floats of shape"):
        run = Run(models.build(f"mlp:{sizes}", data.shape, 3), replace(RULES[name], draw=wrong), data)
        run.epoch()  # brsf draws anew in every step


@pytest.mark.parametrize("take", [lambda params: params[0][0].pop("b"), lambda params: params.pop(),
                                  lambda params: params[0].pop(), lambda params: params[0].clear(),
                                  lambda params: params[-1].clear()])
def test_a_step_notices_an_array_that_was_taken_out(take):
    case = Stepped("fa")
    case.step()
    take(case.params)
    case.refuses("the optimiser of params writes into other arrays")


def test_a_draw_that_is_not_finite_is_refused_before_training():
    """Or it would be the learning rate that is blamed."""
    for number in (np.nan, np.inf):
        with pytest.raises(InputError, match="^draw returned an array with NaN or infinity, expected finite floats"):
            Run(NET, rules.DFA(draw=lambda rng, shape, number=number: np.full(shape, number)), tiny())


# ---------------------------------------------------------------- the task, of which a step knows the targets alone


NUMBERS, LABELS = np.linspace(-2, 2, 21).reshape(7, 3), np.arange(21).reshape(7, 3) % 2


def stepped(name, y, loss):
    """One training step on targets of some task; gives what it has moved."""
    rule, rng = RULES[name], np.random.default_rng(0)
    net = models.build("mlp:6,6", (4,), y.shape[1], "sigmoid", loss)
    params, shapes = network.init(net, rng, (4,))
    state = rule.init(rng, net, params, shapes)
    opt, opt_state = (bind("sgd", tree, 0.1) for tree in (params, state))
    before = copy.deepcopy([params, state])
    try:
        learn.step(net, rule, params, state, opt, opt_state, rng.normal(size=(7, 4)), y, rng)
    finally:
        moved = [not np.array_equal(a, b) for (_, a), (_, b) in zip(leaves(before), leaves([params, state]))]
    return moved


@pytest.mark.parametrize("y, loss, task", [(NUMBERS, "squared", "numbers"), (LABELS, "binary_cross_entropy", "labels"),
                                           (NUMBERS[:, :1], "squared", "numbers")], ids=["numbers", "labels", "one"])
@pytest.mark.parametrize("name", RULES)
def test_a_step_learns_what_the_rule_can_learn_and_refuses_the_rest(name, y, loss, task):
    """As a `Run` does, which knows the task."""
    if task in RULES[name].learns and not (y.shape[1] == 1 and name in ("sim", "predsim")):
        assert any(stepped(name, y, loss))
    else:
        with pytest.raises(InputError, match=f"rule {name} can learn .* only$|at least 2 outputs, got 1$"):
            stepped(name, y, loss)


def test_targets_that_a_rule_cannot_learn_are_refused_in_any_step():
    rule, rng, net = RULES["ff"], np.random.default_rng(0), models.build("mlp:6", (4,), 3, "relu", "squared")
    params, shapes = network.init(net, rng, (4,))
    state = rule.init(rng, net, params, shapes)
    opt, opt_state = (bind("sgd", tree, 0.1) for tree in (params, state))
    learn.step(net, rule, params, state, opt, opt_state, np.ones((7, 4)), np.eye(3)[np.arange(7) % 3], rng)
    before = copy.deepcopy(params)
    with pytest.raises(InputError, match="^row 0 of y is .*, as rule ff can learn classes only$"):
        learn.step(net, rule, params, state, opt, opt_state, np.ones((7, 4)), NUMBERS, rng)
    for (_, a), (_, b) in zip(leaves(before), leaves(params), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_accuracy_of_labels_is_not_that_of_classes():
    net = models.build("mlp:6", (4,), 3, "relu", "binary_cross_entropy")
    params, _ = network.init(net, np.random.default_rng(0), (4,))
    assert set(learn.evaluate(net, params, np.ones((7, 4)), LABELS, task="labels")) == {
        "exact_match", "label_accuracy", "loss"}
    with pytest.raises(InputError, match="which is no class: expected .* or task='labels'$"):
        learn.evaluate(net, params, np.ones((7, 4)), LABELS)
