"""Rules and networks of the user's own, outside the package: wherever a rule or a model is named."""
from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass

import numpy as np
import pytest

import nobackprop as nb
from nobackprop import cli, network, outside, rules, saving
from nobackprop.errors import InputError
from nobackprop.feedback import weights
from nobackprop.layers import Activation, BatchNorm, Conv, Dense, Dropout, Flatten, GlobalPool, MaxPool, Sequential
from nobackprop.learn import CHECKPOINT, Run
from nobackprop.network import backward, sequential
from nobackprop.rules import BP, DFA, Credit, Rule
from nobackprop.studies.check_rule import CHECKS, NEEDS, check, describe
from nobackprop.tree import leaves

pytestmark = pytest.mark.usefixtures("unrendered")
SIGN = '''\
from dataclasses import dataclass
import numpy as np
from nobackprop.network import backward
from nobackprop.rules import DFA, Credit

@dataclass(frozen=True)
class SignDFA(DFA):
    """DFA that sends the signs of the error."""
    scale: float = 1.0
    def credit(self, net, params, B, tape, y, rng=None):
        e = net.error(tape.output, y)
        signals = {i: self.scale / len(y) * np.sign(e) @ b for i, b in enumerate(B)}
        return Credit(backward(net, params, tape, signals | {len(net) - 1: e}))
'''
SPEC = "./sign_dfa.py:SignDFA"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty working folder with the rule in a file."""
    (tmp_path / "sign_dfa.py").write_text(SIGN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys, *argv: str, code: int = 0) -> str:
    assert cli.main(list(argv)) == code
    out, err = capsys.readouterr()
    return out if code == 0 else err


# ---------------------------------------------------------------- the texts


@pytest.mark.parametrize("spec", [SPEC, "sign_dfa.py:SignDFA", "{place}/sign_dfa.py:SignDFA", "sign_dfa:SignDFA"])
def test_every_way_to_name_it_gives_the_rule_and_its_options(spec, place, monkeypatch):
    monkeypatch.delitem(sys.modules, "sign_dfa", raising=False)
    spec = spec.format(place=place)
    rule, other = rules.get(spec), rules.get(f"{spec}:scale=2")
    assert (type(rule).__name__, rule.scale, other.scale) == ("SignDFA", 1.0, 2.0)
    assert type(rule) is type(other) and rules.get(spec) == rule != other
    for one in (rule, other):
        assert rules.get(rules.describe(one)) == one
        assert rules.recall(rules.describe(one)) == one
    monkeypatch.delitem(sys.modules, "sign_dfa", raising=False)


@pytest.mark.parametrize("text, parts", [
    (r"C:\my rules\sign.py:Sign:scale=2", (r"C:\my rules\sign.py", "Sign", "scale=2")),
    ("/a/b.py:Sign:plan=a.py:b=1", ("/a/b.py", "Sign", "plan=a.py:b=1")),
    ("/a/b.py:Sign:plan=c.py:d", ("/a/b.py", "Sign", "plan=c.py:d")),
    ("a.b:Sign", ("a.b", "Sign", "")), ("asap:k=4", None), ("mlp:8,8", None), ("conv3:0.25", None), ("a.py", None),
    ("./a.py:Sign.inner", None), ("", None), (":", None), ("a:b:c", ("a", "b", "c"))])
def test_a_text_is_taken_apart_in_one_way(text, parts):
    assert outside.split(text) == parts


def test_it_is_described_from_the_working_folder(place, monkeypatch):
    rule = rules.get(f"{place}/sign_dfa.py:SignDFA:scale=0.5")
    assert rules.describe(rule) == f"{SPEC}:scale=0.5"
    (place / "below").mkdir()
    monkeypatch.chdir(place / "below")
    assert rules.describe(rule) == f"{place.resolve().as_posix()}/sign_dfa.py:SignDFA:scale=0.5"
    assert rules.get(rules.describe(rule)) == rule


def test_a_file_that_has_changed_runs_again_and_others_do_not(place):
    first = rules.get(SPEC)
    (place / "sign_dfa.py").write_text(SIGN.replace("1.0", "3.0"))
    assert (first.scale, rules.get(SPEC).scale) == (1.0, 3.0)
    (place / "counted.py").write_text("import sys\nsys.runs = getattr(sys, 'runs', 0) + 1\n" + SIGN)
    try:
        assert rules.get("counted.py:SignDFA") == rules.get("./counted.py:SignDFA:scale=1") and sys.runs == 1
    finally:
        del sys.runs


def test_a_plain_class_without_options_is_enough(place):
    (place / "plain.py").write_text("from nobackprop.rules import BP\nclass Plain(BP):\n    pass\n")
    rule = rules.get("plain.py:Plain")
    assert rules.describe(rule) == "./plain.py:Plain" and rules.get("plain.py:Plain") == rule != BP()


@pytest.mark.parametrize("text, spec, sentence", [
    ("", "./none.py:A", "rule './none.py:A': cannot read ./none.py: No such file or directory, expected a file with "),
    ("1 +", "./a.py:A", "rule './a.py:A': ./a.py does not run to its end: SyntaxError at line 1: invalid syntax"),
    ("\nx = 1 / 0", "./a.py:A", "./a.py does not run to its end: ZeroDivisionError at line 2: division by zero"),
    ("import nowhere_at_all", "./a.py:A", "ModuleNotFoundError at line 1: No module named 'nowhere_at_all'"),
    ("raise SystemExit", "./a.py:A", "./a.py does not run to its end: SystemExit at line 1"),
    ("x\0", "./a.py:A", "./a.py does not run to its end: SyntaxError"),
    ("", "./a.py:A", "rule './a.py:A': ./a.py defines nothing, expected A"),
    (SIGN, "./a.py:SingDFA", "unknown name in ./a.py 'SingDFA': did you mean 'SignDFA'?"),
    ("A = 3", "./a.py:A", "rule './a.py:A': A is 3, expected a class that is derived from nobackprop.rules.Rule"),
    ("class A: pass", "./a.py:A", "expected a class that is derived from nobackprop.rules.Rule"),
    (f"{SIGN}A = SignDFA()", "./a.py:A", "expected a class that is derived from nobackprop.rules.Rule"),
    (SIGN.replace(" = 1.0", "") .replace("(DFA)", "(DFA, kw_only=True)"), "./a.py:SignDFA", "TypeError"),
    (f"{SIGN}\nclass A(SignDFA):\n    def __init__(self, n): pass", "./a.py:A", "expected a default for each option"),
    (SIGN, "./a.py", "rule './a.py': expected the name of a class after the file, such as ./a.py:MyRule"),
    (SIGN, "./a.py:SignDFA:skale=2", "unknown option of rule ./a.py:SignDFA 'skale': did you mean 'scale'?"),
    (SIGN, "./a.py:SignDFA:scale=-2", "rule './a.py:SignDFA:scale=-2': scale must be a positive number, got -2.0"),
    ("", "no_such_module:A", "rule 'no_such_module:A': there is no module no_such_module, expected the name of one"),
    ("", "nobackprop.nothing:A", "there is no module nobackprop.nothing, expected"),
    ("", "nobackprop.rules:DFB", "unknown name in nobackprop.rules 'DFB': did you mean 'DFA'?"),
])
def test_what_is_no_rule_is_one_sentence(text, spec, sentence, place, capsys):
    (place / "a.py").write_text(text)
    with pytest.raises(InputError) as found:
        rules.get(spec)
    assert sentence in str(found.value) and "\n" not in str(found.value)
    for argv in (["train", "--rule", spec], ["check-rule", spec], ["locality", spec], ["bench", "--rule", spec]):
        err = told(capsys, *argv, code=2)
        assert err.startswith("nobackprop: ") and err.count("\n") == 1
    assert sorted(path.name for path in place.iterdir() if path.name != "__pycache__") == ["a.py", "sign_dfa.py"]


# ---------------------------------------------------------------- packages that offer rules


def test_an_installed_package_offers_rules(place, monkeypatch, capsys):
    (place / "offered_rules.py").write_text(SIGN)
    info = place / "offered-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nobackprop.rules]\nsign-dfa = offered_rules:SignDFA\n"
                                           "bp = offered_rules:SignDFA\n")
    monkeypatch.syspath_prepend(str(place))
    rule = rules.get("sign-dfa:scale=2")
    assert rule.scale == 2.0 and rules.describe(rule) == "sign-dfa:scale=2.0"
    assert rules.get("bp") == BP()  # a name of this package keeps its meaning
    assert "sign-dfa" in told(capsys, "rules")
    with pytest.raises(InputError, match="^unknown rule 'sign-dfb': did you mean 'sign-dfa'"):
        rules.get("sign-dfb")
    monkeypatch.delitem(sys.modules, "offered_rules")


# ---------------------------------------------------------------- everywhere a rule is named


SMALL = ("--model", "mlp:8,8", "--epochs", "1", "--seeds", "0")


@pytest.mark.slow
def test_it_is_compared_with_the_built_in_ones(place, capsys):
    names = ["bp", "shallow", "fa", "dfa", "las", "ltas", SPEC]
    out = told(capsys, "compare", "--rules", ",".join(names), *SMALL, "--out", "out")
    assert all(re.search(rf"^{name} +0\.\d", out, re.M) for name in [*names[:-1], "SignDFA"])
    assert [run["rule"] for run in json.loads((place / "out" / "results.json").read_text())["runs"]] == names
    assert (place / "out" / "figure.png").is_file()
    told(capsys, "plot", "out/results.json")


@pytest.mark.slow
def test_an_interrupted_run_of_it_goes_on(place, capsys, monkeypatch):
    def train(folder):
        return ["train", "--rule", f"{SPEC}:scale=2", "--model", "mlp:8", "--epochs", "3", "--seeds", "0",
                "--checkpoint-every", "1", "--out", folder]
    told(capsys, *train("whole"))
    epoch = Run.epoch

    def stop(run):
        if len(run.history) == 2:
            raise KeyboardInterrupt
        return epoch(run)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "epoch", stop)
        told(capsys, *train("cut"), code=130)
    assert list((place / "cut" / "checkpoints").iterdir())
    told(capsys, "train", "--resume", "cut")
    histories = [json.loads((place / folder / "results.json").read_text())["runs"][0]["history"]
                 for folder in ("whole", "cut")]
    assert histories[0] == histories[1] and len(histories[0]) == 3


@pytest.mark.slow
def test_a_sweep_a_measurement_and_a_table_take_it(place, capsys):
    (place / "sweep.toml").write_text(f'rules = ["{SPEC}"]\nlr = [0.01, 0.001]\nepochs = 1\nmodel = "mlp:4"\n'
                                      "seeds = [0]\nfresh_seeds = [1]\n")
    out = told(capsys, "sweep", "sweep.toml", "--processes", "1", "--out", "swept")
    assert "\nSignDFA " in out and f"\n{SPEC} " not in out
    assert SPEC in told(capsys, "bench", "--rule", SPEC, "--model", "mlp:4", "--data", "digits", "--steps", "1")
    out = told(capsys, "locality", SPEC, "dfa")
    lines = out.splitlines()
    own, dfa = ([line.split() for line in lines if line.startswith(f"{name} ")] for name in (SPEC, "dfa"))
    assert own[0][1:] == dfa[0][1:] and max(map(len, lines)) <= 80
    (place / "shares.py").write_text("from nobackprop.rules import ASAP\nclass Mine(ASAP):\n    pass\n")
    assert "shares.py:Mine" in told(capsys, "memory", "--rule", "./shares.py:Mine", "--model", "mlp:8,8,8,8",
                                    "--data", "digits", "--batch-size", "4")


# ---------------------------------------------------------------- a file runs no code


def test_neither_a_checkpoint_nor_a_model_makes_code_run(place):
    (place / "bomb.py").write_text(f"open('went off', 'w').close()\n{SIGN}")
    data = nb.data.load("xor")
    run = Run(nb.models.build("mlp:4", data.shape, data.classes), "dfa", data)
    run.save("run.safetensors")
    run.save_model("model.safetensors")
    for name, kind, read in (("run", CHECKPOINT, Run.load), ("model", "model", nb.load)):
        header, trees = saving.read(f"{name}.safetensors", kind)
        for rule in ("./bomb.py:SignDFA", "bomb:SignDFA", "antigravity:SignDFA", "wave:Wave_read"):
            sys.modules.pop("wave", None)
            saving.write(f"{name}.safetensors", kind, header | {"rule": rule}, trees)
            with pytest.raises(InputError, match="is code that this process has not loaded"):
                read(f"{name}.safetensors")
    assert not (place / "went off").exists() and not {"bomb", "antigravity", "wave"} & set(sys.modules)


def test_a_checkpoint_of_it_is_read_once_its_code_has_run(place):
    data = nb.data.load("xor")
    run = Run(nb.models.build("mlp:4", data.shape, data.classes), SPEC, data)
    run.epoch()
    run.save("run.safetensors")
    again = Run.load("run.safetensors")
    assert again.epoch() == run.epoch() and again.rule == run.rule


# ---------------------------------------------------------------- check-rule


def test_check_rule_shows_a_sound_rule_and_its_row(place, capsys):
    out = told(capsys, "check-rule", SPEC)
    assert "DFA that sends the signs of the error." in out
    assert [line[6:] for line in out.splitlines() if line.startswith("ok    ")] == list(CHECKS)
    assert re.search(rf"^{re.escape(SPEC)} +- +all +- +all +-$", out, re.M)
    assert max(map(len, out.splitlines())) <= 80


SENT = {"one number a sample": lambda h: h[:, :1], "no axis of units": lambda h: h[:, 0],
        "one sample": lambda h: h[:1], "a sample less": lambda h: h[1:], "a unit less": lambda h: h[:, 1:],
        "turned": lambda h: h.T, "one number": lambda h: h[0, 0], "an axis more": lambda h: h[..., None]}


@dataclass(frozen=True)
class Forged(Rule):
    """Backpropagation with one fault, which one of the checks must find, and a state that goes with it."""

    fault: str = "none"

    def init(self, rng, net, params, shapes):
        if self.fault == "memory":
            return weights(params)
        return [np.arange(float(shape[0])) for shape in shapes[1:-1]]

    def untrained(self, net):
        return {0: "it was forged"} if self.fault == "reason" else {}

    def credit(self, net, params, state, tape, y, rng=None):
        e = net.error(tape.output, y)
        sent = {1: SENT[self.fault](tape.h[2])} if self.fault in SENT else {}
        grads = backward(net, params, tape, sent | {len(net) - 1: e})
        W = grads[1][0]["W"]
        match self.fault:
            case "shape":
                grads[1][0]["W"] = W.T
            case "place":
                grads[1] = [grads[1][0], {"W": W}]
            case "dtype":
                grads[1][0]["W"] = W.astype("float64")
            case "writes":
                tape.h[0][...] = 0
            case "writes into the tape":
                tape.h[2][...] = 0
            case "writes into a cache":
                tape.caches[1][0][...] = 0
            case "still":
                grads[1][0]["W"] = W * 0
            case "lost":
                grads[1] = None
            case "output":
                grads[-1]["W"] = 2 * grads[-1]["W"]
            case "by place":
                grads[1][0]["b"] = grads[1][0]["b"] * np.arange(len(W), dtype=W.dtype)
            case "drawn":
                grads[1][0]["W"] = W * np.random.default_rng().uniform(0.5, 2)
            case "raises":
                raise IndexError("the fault")
        return Credit(grads, state if self.fault == "returns its state" else None)


FAULTS = {
    "shape": ("gradients have", "the gradient at 1/0/W of the parameters has shape (6, 7), expected (7, 6)"),
    "place": ("gradients have", "there is a gradient at 1/1/W of the parameters, where nothing is"),
    "lost": ("gradients have", "there is no gradient at 1/0/W of the parameters, and `untrained` gives no reason"),
    "dtype": ("float32", "of float32 it makes float64, at 1/0/W of the parameters"),
    "writes": ("what it is given", "it writes into an array that it is given, expected new arrays"),
    "writes into the tape": ("what it is given", "it writes into an array that it is given, expected new arrays"),
    "writes into a cache": ("what it is given", "it writes into an array that it is given, expected new arrays"),
    "memory": ("no two arrays", "of the state and 0/0/W of the parameters are in the same memory, expected a copy"),
    "returns its state": ("no two arrays", "the gradient at 0 of the state is in the memory of 0 of the state"),
    "still": ("every weight", "1/0/W of the parameters does not move, and `untrained` gives no reason"),
    "reason": ("every weight", "0/0/W of the parameters moves, and `untrained` says that it does not"),
    "output": ("the output block", "the output block learns from another activity, and output_learns is 'from the err"),
    "by place": ("hidden units", "depends on the places of the hidden units, and `by_place` is False"),
    "drawn": ("the same seed", "two runs from the same seed differ: draw from `rng`, and keep no memory"),
    "raises": ("signals have", "it raises IndexError: the fault"),
    **{fault: ("signals have", f"the signal of block 1, counted from 0, has shape {sent(np.ones((64, 7))).shape}, "
                               "expected (64, 7) as its output") for fault, sent in SENT.items()},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_found_once(fault):
    """By the one check that it belongs to: no other one names a consequence of it."""
    found, (which, sentence) = check(Forged(fault)), FAULTS[fault]
    (what, text), = [(what, text) for what, text in found.items() if text]
    assert what.startswith(which) and sentence in text


@pytest.mark.parametrize("fault", SENT)
def test_training_refuses_a_signal_of_another_shape_before_anything_has_moved(fault):
    data = nb.data.load("xor")
    run = nb.Run(nb.models.build("mlp:6,7,8", data.shape, data.classes), Forged(fault), data)
    before = [w.copy() for _, w in leaves(run.params)]
    with pytest.raises(InputError, match="^the signal of block 1, counted from 0, has shape .* as its output$"):
        run.epoch()
    assert all(np.array_equal(w, old) for (_, w), old in zip(leaves(run.params), before, strict=True))


def test_a_rule_that_asks_blocks_by_itself_is_held_to_the_same():
    class Alone(Forged):
        def credit(self, net, params, state, tape, y, rng=None):
            grads = backward(net, params, tape, {len(net) - 1: net.error(tape.output, y)})
            grads[1] = net[1].backward(params[1], tape.caches[1], tape.h[2][:, :1], False)[1]
            return Credit(grads)

    assert "the signal of block 1, counted from 0, has shape (64, 1), expected (64, 7)" in check(Alone())[SIGNALS]


def test_without_a_fault_none_is_found_and_no_check_is_left_out():
    assert check(Forged()) == dict.fromkeys(CHECKS, "")


SIGNALS, GRADIENTS, PURE, SEED = (next(what for what in CHECKS if what.startswith(start)) for start in (
    "signals", "gradients", "what it is given", "the same seed"))
LAST = [what for what in CHECKS if what.startswith(("the output block", "hidden units"))]
LEARNING = [what for what in CHECKS if what.startswith("every weight")] + [SEED, *LAST]


@pytest.mark.parametrize("fault, cause, left", [
    ("raises", SIGNALS, [what for what in CHECKS if what != SIGNALS]),
    ("turned", SIGNALS, [what for what in CHECKS if what != SIGNALS]),
    ("shape", GRADIENTS, LEARNING), ("writes", PURE, LEARNING), ("drawn", SEED, LAST),
    ("memory", "no two arrays share memory", LAST[1:]),
    ("dtype", "float32 stays float32, and float64 stays", []), ("by place", LAST[1], [])])
def test_the_first_cause_names_what_could_not_be_checked_because_of_it(fault, cause, left):
    found = check(Forged(fault))
    assert [what for what in CHECKS if what not in found] == left
    lines = describe("forged", Forged(fault), found).splitlines()
    assert [line for line in lines if line.startswith("NO ")] == [f"NO    {cause}:"]
    assert [line[8:] for line in lines if line.startswith("      - ")] == left
    told = [line for line in lines if line == "      Because of this, the following could not be checked:"]
    assert len(told) == (1 if left else 0) and max(map(len, lines[1:])) <= 80


def test_of_two_causes_each_names_what_it_keeps_from_being_checked():
    """A rule that writes into its samples, and whose gradient has another shape: the first one is named for both."""
    @dataclass(frozen=True)
    class Twice(Forged):
        def credit(self, net, params, state, tape, y, rng=None):
            grads = Forged("shape").credit(net, params, state, tape, y, rng).grads
            tape.h[0][...] = 0
            return Credit(grads)

    found = check(Twice())
    assert [what for what, text in found.items() if text] == [GRADIENTS, PURE]
    lines = describe("twice", Twice(), found).splitlines()
    assert [line[8:] for line in lines if line.startswith("      - ")] == LEARNING
    assert lines.index(f"NO    {GRADIENTS}:") < lines.index(f"      - {LEARNING[0]}") < lines.index(f"NO    {PURE}:")


def test_no_check_needs_a_later_one():
    order = list(CHECKS.values())
    assert all(order.index(earlier) < order.index(one) for one, needed in NEEDS.items() for earlier in needed)
    assert set(order) - set(NEEDS) == {order[0]}


def test_check_rule_says_what_is_wrong_and_exits_with_1(place, capsys):
    (place / "bad.py").write_text(SIGN.replace("self.scale / len(y) *", "self.scale / len(y) * 0 *"))
    assert cli.main(["check-rule", "./bad.py:SignDFA"]) == 1
    out = capsys.readouterr().out
    assert "NO    every weight moves, or `untrained` says why not:\n      0/0/W of the parameters does not move" in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_reason_is_shown(capsys):
    assert "block 0 does not learn: only the last two blocks learn" in told(capsys, "check-rule", "shallow")


def test_places_that_do_not_matter_are_no_matter_of_places():
    class Said(DFA):
        by_place = True
    assert "`by_place` is True" in check(Said())["hidden units may change places, or `by_place` is True"]


# ---------------------------------------------------------------- networks


NETS = '''\
from nobackprop.layers import Activation, Dense, Flatten
from nobackprop.network import sequential

def tiny(shape, classes, activation="relu", loss="cross_entropy"):
    return sequential([Flatten(), Dense(6), Activation(activation), Dense(classes)], loss)

def fixed(shape, classes):
    return tiny(shape, classes)

def broken(shape, classes):
    return shape[7]

def squared(shape, classes):
    return tiny(shape, classes, "tanh", "squared")

def anything(shape, classes, **more):
    return tiny(shape, classes, **more)

def flattened(shape, classes):
    return sequential([Dense(6), Activation("relu"), Dense(classes)])

number = 3

def none(shape, classes):
    return None
'''


def test_a_flat_list_is_grouped_into_blocks():
    conv = [Conv(4, 3), BatchNorm(), Activation("relu"), MaxPool(2)]
    flat = [*conv, Conv(6, 3), Activation("relu"), Dropout(0.1), GlobalPool(), Dense(8), Activation("tanh"), Dense(3),
            Activation("identity")]
    blocks = sequential(flat, "squared").blocks
    assert blocks == (Sequential(tuple(conv)), Sequential(tuple(flat[4:7])), Sequential(tuple(flat[7:10])),
                      Sequential(tuple(flat[10:])))
    assert sequential([Dense(3)]).blocks == (Dense(3),)
    assert sequential([Conv(4, 3), Activation("relu"), GlobalPool()]).blocks == (
        Sequential((Conv(4, 3), Activation("relu"), GlobalPool())),)
    inner = Sequential((Dense(4), Activation("relu")))
    assert sequential([Flatten(), inner, Dense(2)]).blocks == (Sequential((Flatten(), inner)), Dense(2))


@pytest.mark.parametrize("name", ["mlp:8,8", "mlp-bn:8,8", "conv-small", "conv3-bn", "conv3-stride", "alexnet-small",
                                  "vgg", "resnet20", "cnn"])
def test_the_models_are_grouped_like_that(name):
    net = nb.models.build(name, (32, 32, 3), 5)
    assert sequential([layer for block in net for layer in getattr(block, "layers", (block,))]) == net


@pytest.mark.parametrize("wrong", [[], [Flatten()], [Dense], "mlp:8", None, [Dense(2), 3]])
def test_what_is_no_list_of_layers(wrong):
    with pytest.raises(InputError, match="^layers of sequential"):
        sequential(wrong)


def test_a_network_prints_itself_as_code_that_makes_it():
    net = nb.models.build("conv-small:0.1", (8, 8, 1), 3)
    names = {kind.__name__: kind for kind in (*vars(nb.layers).values(), nb.network.Network) if isinstance(kind, type)}
    assert eval(repr(net), names) == net and len(repr(net).splitlines()) == len(net) + 2


@pytest.mark.slow
def test_a_model_is_a_function_or_a_file(place, capsys):
    (place / "nets.py").write_text(NETS)
    shape, classes = (8, 8, 1), 10
    net = nb.models.build("./nets.py:tiny", shape, classes, "tanh", "squared")
    assert (net.loss, net[0].layers[2]) == ("squared", Activation("tanh"))
    assert nb.models.build("./nets.py:fixed", shape, classes) == nb.models.build("./nets.py:tiny", shape, classes)
    out = told(capsys, "train", "--rule", "dfa", "--model", "./nets.py:tiny", "--activation", "tanh", "--epochs", "1",
               "--seeds", "0", "--out", "out")
    assert json.loads((place / "out" / "results.json").read_text())["config"]["model"] == "./nets.py:tiny"
    assert "dfa" in out
    nb.fit(net, "dfa", nb.data.load("digits"), nb.Settings(epochs=1)).save_model("tiny.safetensors")
    assert nb.models.build("tiny.safetensors", shape, classes, loss="squared") == net
    told(capsys, "compare", "--rules", "bp", "--model", "tiny.safetensors", "--loss", "squared", "--epochs", "1",
         "--seeds", "0")
    assert "Flatten, Dense 6, relu" in told(capsys, "models", "--show", "./nets.py:tiny")


@pytest.mark.slow
def test_an_activation_is_not_asked_of_a_model_that_takes_none(place, capsys):
    (place / "nets.py").write_text(NETS)
    net = nb.models.build("./nets.py:tiny", (8, 8, 1), 10, "tanh")
    nb.fit(net, "dfa", nb.data.load("digits"), nb.Settings(epochs=1)).save_model("m.safetensors")
    argv = ["train", "--rule", "dfa", "--epochs", "1", "--seeds", "0", "--model"]
    for model in ("./nets.py:fixed", "m.safetensors"):
        for activation in ("tanh", "sigmoid"):
            assert cli.main([*argv, model, "--activation", activation]) == 2
            said = capsys.readouterr().err
            assert f"model '{model}' has activations of its own and takes no other one, got '{activation}'" in said
        assert ("by an argument activation" in said) == model.endswith("fixed")
        out = told(capsys, *argv, model, "--out", f"out-{model[-5:]}")
        assert "activation    the model's own" in out
        config = json.loads((place / f"out-{model[-5:]}" / "results.json").read_text())["config"]
        assert config["activation"] is None
        told(capsys, "memory", "--model", model, "--data", "xor") if model.endswith("fixed") else None
    assert "activation    tanh" in told(capsys, *argv, "./nets.py:anything", "--activation", "tanh")
    net = nb.models.build("mlp:4,4", (30,), 4)
    found = nb.compare("xor", ["dfa", "kp"], seeds=[0], epochs=1, net=net, progress=False)
    assert capsys.readouterr().err == ""
    assert found.results["config"]["activation"] is None
    assert not any("activation" in one for one in found.results["config"]["rule_settings"].values())


def test_what_a_function_lacks_is_said(place, capsys):
    (place / "nets.py").write_text(NETS)
    assert cli.main(["train", "--model", "./nets.py:fixed", "--data", "diabetes"]) == 2
    assert "a function with an argument loss gets the one that came" in capsys.readouterr().err
    assert cli.main(["models", "--show", "./nets.py:flattened"]) == 2
    said = capsys.readouterr().err
    assert "(8, 8, 1)" in said and "without --data, samples are as those of digits" in said
    assert cli.main(["models", "--show", "./nets.py:flattened", "--data", "cifar-10"]) == 2
    assert "--data names others" not in capsys.readouterr().err
    assert cli.main(["train", "--model", "./nets.py:tinny"]) == 2
    said = capsys.readouterr().err
    assert "(known: tiny, fixed, broken, squared, anything, flattened, none)" in said


def test_only_rules_are_offered_for_a_rule(place, capsys):
    (place / "mine.py").write_text(f"{SIGN}\nfrom fractions import Fraction\ndef other(): pass\nclass NoRule: pass\n")
    assert cli.main(["check-rule", "./mine.py:Missing"]) == 2
    assert "(known: SignDFA)" in capsys.readouterr().err


@pytest.mark.parametrize("model, sentence", [
    ("./nets.py:broken", "model './nets.py:broken': broken((8, 8, 1), 10) does not give a network: IndexError: tuple "),
    ("./nets.py:number", "model './nets.py:number': number is 3, expected a function of a shape and a number"),
    ("./nets.py:none", "none((8, 8, 1), 10) gave None, expected a Network"),
    ("./nets.py:tiny:8", "model './nets.py:tiny:8': expected nothing behind the function tiny, got '8'"),
    ("./nets.py:tinny", "unknown name in ./nets.py 'tinny': did you mean 'tiny'?"),
    ("./other.py:tiny", "cannot read ./other.py: No such file or directory"),
    ("other.safetensors", "cannot read other.safetensors (No such file or directory): expected a model"),
    ("nets.py", "unknown model 'nets.py'"),
])
def test_what_gives_no_network_is_one_sentence(model, sentence, place, capsys):
    (place / "nets.py").write_text(NETS)
    err = told(capsys, "train", "--model", model, code=2)
    assert sentence in err and err.count("\n") == 1
    assert not (place / "runs").exists()


def test_another_loss_than_the_networks_is_refused(place, capsys):
    (place / "nets.py").write_text(NETS)
    assert "is a network with the loss cross_entropy, and the loss that came is squared" in told(
        capsys, "train", "--model", "./nets.py:fixed", "--loss", "squared", code=2)


@pytest.mark.slow
@pytest.mark.parametrize("model, data", [("conv3", "cifar-10"), ("resnet18", "cifar-10"), ("mlp:8,8", "xor"),
                                         ("conv-small", "digits")])
def test_a_table_shows_every_parameter(model, data, capsys):
    lines = told(capsys, "models", "--show", model, "--data", data).splitlines()
    shape, classes = nb.data.DATASETS[data].sizes()
    net = nb.models.build(model, shape, classes)
    params, _ = network.init(net, np.random.default_rng(0), shape)
    learnt = sum(array.size for path, array in leaves(params) if not path.endswith(("/mean", "/var")))
    assert lines[-1].split() == ["all", f"{learnt:,}"] and max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[3:-1] if line[0] != " "] == [str(i) for i in range(len(net))]
