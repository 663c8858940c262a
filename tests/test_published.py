"""What the papers' published code does and their text does not say, by name."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerance import assert_close

from nobackprop import cli, learn, metrics, models, network, rules
from nobackprop.errors import InputError
from nobackprop.heads import ConvHead, DenseHead, MaxConvHead
from nobackprop.kernels import convolution
from nobackprop.layers import BatchNorm, Residual, Sequential
from nobackprop.optim import SGD
from nobackprop.studies import check_rule
from nobackprop.tree import leaves, tree_map

seeds = st.integers(0, 2**32 - 1)


class Case:
    """A small network of images under a rule, in float64, with a batch."""

    def __init__(self, spec, model, seed=0, side=8, activation="tanh"):
        self.rule, self.rng = rules.get(spec), np.random.default_rng(seed)
        shape = (side, side, 2)
        self.net = models.build(model, shape, 3, activation)
        self.params, self.shapes = network.init(self.net, self.rng, shape, "float64")
        self.state = self.rule.init(self.rng, self.net, self.params, self.shapes)
        self.x, self.y = self.rng.standard_normal((4, *shape)), np.eye(3)[self.rng.integers(3, size=4)]

    def tape(self):
        return self.rule.forward(self.net, self.params, self.state, self.x)

    def credit(self):
        return self.rule.credit(self.net, self.params, self.state, self.tape(), self.y, np.random.default_rng(1))

    def step(self):
        opts = SGD(self.params, lr=0.1), SGD(self.state, lr=0.1)
        learn.step(self.net, self.rule, self.params, self.state, *opts, self.x, self.y, np.random.default_rng(2))


def equal(found, expected):
    for (path, u), (other, v) in zip(leaves(found), leaves(expected), strict=True):
        assert path == other
        np.testing.assert_array_equal(u, v)


# ---------------------------------------------------------------- dfa:kernel=yes


@pytest.mark.parametrize("name", ["dfa", "sdfa", "drtp"])
def test_a_block_below_a_convolution_has_a_matrix_of_its_kernels(name):
    """conv-small: 3x3 with 16 and 32 planes, then 64 units; 8 x 8 pixels, halved twice."""
    case = Case(f"{name}:kernel=yes", "conv-small")
    assert case.shapes == [(8, 8, 2), (4, 4, 16), (2, 2, 32), (64,), (3,)]
    assert [B.shape for B in case.state] == [(3, 9 * 16), (3, 2 * 2 * 32), (3, 64)]
    assert [B.shape for B in Case(name, "conv-small").state] == [(3, 4 * 4 * 16), (3, 2 * 2 * 32), (3, 64)]


@given(seed=seeds)
def test_what_it_sends_is_the_adjoint_of_a_convolution_summed_over_positions(seed):
    """One kernel for all positions: <signal, h> is what e weighs of the sum of a convolution with B, of any h."""
    case = Case("dfa:kernel=yes", "conv-small", seed)
    heard = metrics.signals(case.net, case.rule, case.params, case.state, case.x, case.y)[0]
    e = case.net.error(case.tape().output, case.y)
    h = case.rng.standard_normal(heard.shape)
    summed = convolution.plain_forward(case.state[0], h, 3, 1, 1).sum((1, 2))
    assert_close((heard * h).sum(), (e * summed).sum(), of=np.abs(heard * h).sum())
    # far from the border every position hears the same
    assert_close(heard[:, 1, 1], heard[:, 2, 2])
    other = Case("dfa", "conv-small", seed)
    dense = metrics.signals(case.net, other.rule, case.params, other.state, case.x, case.y)
    assert np.abs(dense[0][:, 1, 1] - dense[0][:, 2, 2]).max() > 1e-6 * np.abs(dense[0]).max()


@pytest.mark.parametrize("name", ["dfa", "bdfa", "dfa-shared", "drtp", "adaptive-dfa", "dkp", "fdfa"])
def test_dense_networks_have_no_kernels(name):
    plain, kernel = Case(name, "mlp:6,5,4"), Case(f"{name}:kernel=yes", "mlp:6,5,4")
    equal(kernel.state, plain.state)
    equal(kernel.credit().grads, plain.credit().grads)
    plain.step(), kernel.step()
    equal([kernel.params, kernel.state], [plain.params, plain.state])


@pytest.mark.parametrize("name", ["dfa-shared", "dkp", "fdfa", "drtp"])
def test_every_rule_of_the_family_learns_through_kernels(name):
    case = Case(f"{name}:kernel=yes", "conv-small")
    before = tree_map(np.copy, [case.params, case.state])
    case.step()
    assert all(np.isfinite(array).all() for _, array in leaves([case.params, case.state]))
    moved = {path for (path, u), (_, v) in zip(leaves(before), leaves([case.params, case.state])) if (u != v).any()}
    assert {path for path, _ in leaves(before) if path.startswith("0/")} <= moved
    assert any(path.startswith("1") for path in moved) == (name in ("dkp", "fdfa"))


def test_shared_feedback_has_as_many_columns_as_the_widest_kernel_or_block():
    case = Case("dfa-shared:kernel=yes", "conv-small")
    assert case.state.shape == (3, 144)                    # 9 x 16 is more than 2 x 2 x 32 and 64
    assert [B.shape[1] for B in case.rule.matrices(case.net, case.state, case.tape())] == [144, 128, 64]


# ---------------------------------------------------------------- las:beside=published


def test_the_modules_of_the_published_code_have_a_name():
    net = models.build("conv-small", (8, 8, 2), 3)
    assert rules.get("las").heads(net) == [ConvHead(3, 1, 1), DenseHead()]
    for name in ("las", "ltas"):
        rule = rules.get(f"{name}:beside=published")
        assert rule.heads(net) == [MaxConvHead(3, 1, 1), DenseHead()]
        assert rules.describe(rule) == f"{name}:beside=published"
    with pytest.raises(InputError, match="unknown kind of module 'publishd': did you mean 'published'"):
        rules.get("las:beside=publishd")


def test_the_published_modules_learn_by_their_maximum():
    """The gradient of 1/2 |max over positions - a_L|^2, by complex step through the positions that win."""
    case = Case("las:beside=published", "conv-small", side=8)
    tape = case.tape()
    grad = case.rule.align(case.net, case.params, case.state, tape, case.y, case.rng)[0]

    def said(B):
        a = convolution.plain_forward(B, tape.h[1], 3, 1, 1)
        flat = a.reshape(len(a), -1, a.shape[-1])
        return np.take_along_axis(flat, flat.real.argmax(1)[:, None], 1)[:, 0]

    direction = case.rng.standard_normal(case.state[0].shape)
    error = (said(case.state[0] + 1e-20j * direction) - tape.output)
    slope = ((error**2).sum() / (2 * len(case.x))).imag / 1e-20
    assert_close((grad * direction).sum(), slope, of=np.abs(grad * direction).sum())


# ---------------------------------------------------------------- the exact path through shortcuts


def by_hand(case, params, frozen):
    """The activities of resnet18-published if the first layer of each stage reads what it read in the pass `frozen`."""
    h = [case.x]
    for i, (block, p) in enumerate(zip(case.net, params, strict=True)):
        if 0 < i < len(case.net) - 1:
            (residual, activation), (q, _) = block.layers[0].layers, p[0]
            body, _ = residual.body.forward(q["body"], frozen[i])
            beside = h[-1] if residual.shortcut is None else residual.shortcut.forward(q["shortcut"], h[-1])[0]
            middle, _ = activation.forward(None, body + beside)
            out, _ = block.layers[1].forward(p[1], middle)
        else:
            out, _ = block.forward(p, h[-1])
        h.append(out)
    return h


def shifted(params, direction):
    """The parameters, moved by a complex step in a direction that names some of their leaves."""
    paths = iter([path for path, _ in leaves(params)])
    return tree_map(lambda w: w + 1e-20j * direction.get(next(paths), 0), params)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("modules", [0.0, 1.0])
def test_through_shortcuts_the_exact_error_comes_down_next_to_that_of_the_modules(seed, modules):
    """Each gradient is the derivative of the loss through shortcuts alone, and of <B^T e, h_i> with e held."""
    case = Case("las:beside=published:shortcuts=yes", "resnet18-published:0.05", seed, side=16)
    assert len(case.state) == 4 and [type(block) for block in case.net[1:-1]] == [Sequential] * 4
    case.state = tree_map(lambda B: modules * B, case.state)
    tape, grads = case.tape(), case.credit().grads
    assert_close(by_hand(case, case.params, tape.h)[-1], tape.output)
    e = case.net.error(tape.output, case.y)
    sent = [head.send(B, e, h.shape) for head, B, h in zip(case.rule.heads(case.net), case.state, tape.h[1:])]
    learned = dict(leaves(grads))
    for block in range(len(case.net)):
        direction = {path: case.rng.standard_normal(array.shape) for path, array in learned.items()
                     if path.split("/")[0] == str(block)}
        h = by_hand(case, shifted(case.params, direction), tape.h)
        slope = (case.net.value(h[-1], case.y).imag
                 + sum((one * out.imag).sum() for one, out in zip(sent, h[1:]))) / 1e-20
        products = [learned[path] * direction[path] for path in direction]
        assert_close(sum(array.sum() for array in products), slope, of=sum(np.abs(array).sum() for array in products))
    if not modules:
        assert np.abs(learned["0/0/W"]).max() > 0            # something comes down though no module speaks
        silent = Case("las:beside=published", "resnet18-published:0.05", seed, side=16)
        silent.state = tree_map(np.zeros_like, silent.state)
        assert np.abs(dict(leaves(silent.credit().grads))["0/0/W"]).max() == 0


def test_what_is_measured_is_what_the_blocks_hear():
    """The listeners of `metrics` stand for whole blocks: a shortcut inside of one counts there, too."""
    case = Case("las:beside=published:shortcuts=yes", "resnet18-published:0.05", side=16)
    heard = metrics.signals(case.net, case.rule, case.params, case.state, case.x, case.y)
    bp = metrics.signals(case.net, rules.get("bp"), case.params, None, case.x, case.y)
    modules, case.state = case.state, tree_map(np.zeros_like, case.state)
    silent = metrics.signals(case.net, case.rule, case.params, case.state, case.x, case.y)
    for i in (4, 5):  # the output block and the one below it
        np.testing.assert_array_equal(heard[i], bp[i])
    for i in range(4):
        assert min(np.abs(silent[i]).max(), np.abs(silent[i] - bp[i]).max()) > 0
    # what the topmost module adds to the path through the shortcut is what it sends
    tape = case.tape()
    sent = case.rule.heads(case.net)[3].send(modules[3], case.net.error(tape.output, case.y), tape.h[4].shape)
    assert_close(heard[3] - silent[3], sent, of=[heard[3], silent[3]])


@pytest.mark.parametrize("model", ["conv-small", "mlp:6,5,4", "resnet18-noshortcut:0.05"])
def test_without_shortcuts_it_is_las_bit_for_bit(model):
    for name in ("las", "ltas"):
        plain, through = (Case(name + more, model).credit() for more in ("", ":shortcuts=yes"))
        equal(through.grads, plain.grads)


def test_the_weights_of_shortcuts_are_transported_then():
    """NaN in the 1x1 convolution of a shortcut reaches the block below with `shortcuts`, and without it does not."""
    for more, reached in (("", False), (":shortcuts=yes", True)):
        case = Case(f"las{more}", "resnet18-published:0.05", side=16)
        tape = case.tape()
        residual = case.params[2][0][0]
        assert isinstance(case.net[2].layers[0].layers[0], Residual)
        residual["shortcut"][0]["W"] = np.full_like(residual["shortcut"][0]["W"], np.nan)
        grads = case.rule.credit(case.net, case.params, case.state, tape, case.y).grads
        assert np.isnan(grads[1][0][0]["body"][0]["W"]).any() == reached


# ---------------------------------------------------------------- the first batch-norm under activation sharing


def first(tree):
    return dict(leaves(tree[0]))


@pytest.mark.parametrize("name", ["as", "asap", "asfp", "asfp-lc", "asap:plan=published:k=4", "asap:match=random"])
def test_gamma_and_beta_of_the_first_block_learn_alone(name):
    case, none, whole = (Case(f"{name}:{more}", "resnet18:0.05", activation="relu")
                         for more in ("train_norm=yes", "train_norm=no", "train_first=yes"))
    assert isinstance(case.net[0].layers[1], BatchNorm) and none.credit().grads[0] is None
    for other in (none, whole):
        other.params, other.x, other.y = case.params, case.x, case.y
        other.state[1:] = case.state[1:]
    grads = case.credit().grads
    assert set(first(grads)) == {"1/gamma", "1/beta"}
    exact = first(whole.credit().grads)
    for path, array in first(grads).items():
        assert np.abs(array).max() > 0
        if name != "asfp-lc":  # which puts a classifier on a first block that learns
            np.testing.assert_array_equal(array, exact[path])
    equal(grads[1:], none.credit().grads[1:])
    before = tree_map(np.copy, case.params)
    case.step()
    moved = {path for path, array in first(case.params).items() if (array != first(before)[path]).any()}
    assert moved == {"1/gamma", "1/beta", "1/mean", "1/var"}


def test_with_the_whole_first_block_its_norm_learns_anyway():
    both, whole = (Case(f"asap:{more}", "resnet18:0.05").credit()
                   for more in ("train_first=yes:train_norm=yes", "train_first=yes"))
    equal(both.grads, whole.grads)


def test_a_first_block_without_norm_stays_as_it_is():
    case = Case("asap:train_norm=yes", "mlp:6,5,4")
    before = tree_map(np.copy, case.params)
    case.step()
    equal(case.params[0], before[0])
    assert list(case.rule.untrained(case.net)) == [0]


@pytest.mark.parametrize("rule", ["dfa:kernel=yes", "las:beside=published:shortcuts=yes", "asap:train_norm=yes"])
def test_each_of_them_passes_what_is_asked_of_all_rules(rule):
    assert all(check(rules.get(rule)) == "" for check in check_rule.CHECKS.values())


# ---------------------------------------------------------------- from the command line


@pytest.mark.parametrize("rule, model", [("dfa:kernel=yes", "conv-small:0.2"),
                                         ("las:beside=published:shortcuts=yes", "resnet18-published:0.03"),
                                         ("asap:plan=published:train_norm=yes", "resnet18:0.03")])
def test_all_of_it_can_be_typed(rule, model, tmp_path, capsys):
    assert cli.main(["train", "--rule", rule, "--model", model, "--epochs", "1", "--batch-size", "512", "--seeds", "0",
                     "--out", str(tmp_path / "out")]) == 0
    assert rule in capsys.readouterr().out


@pytest.mark.parametrize("rule, sentence", [("dfa:kernel=5", "expected yes or no for kernel, got '5'"),
                                            ("las:shortcuts=exact", "expected yes or no for shortcuts"),
                                            ("asap:train_norm=gamma", "expected yes or no for train_norm")])
def test_what_cannot_be_is_said(rule, sentence):
    with pytest.raises(InputError, match=sentence):
        rules.get(rule)
