"""`make mutants`: break the code in one place, see whether the tests notice, mend it, and so on down the list below.

A mutant that no test notices shows a number or a promise that nothing holds.  Each runs the few test files that should
notice it, in a copy of the repository; before that the same files must pass there without it.  docs/testing.md says
more, and names the mutants that survive with the reason.

The exit code is 1 if fewer than 95 % are caught, or if one survives that has no reason here, or has one and is caught.
"""
from __future__ import annotations

import argparse
import contextlib
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent
ENOUGH = 0.95
LIMIT = 600  # seconds: a mutant that takes longer hangs, and is caught
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Mutant:
    """One text of a file in the place of another one.

    says: what is wrong then.  old stands in the file once.  tests: the files, separated by blanks, that should notice.
    survives: why no test can, of a mutant that changes nothing that anybody could see.
    """

    says: str
    old: str
    new: str
    tests: str
    survives: str = ""

    def of(self, text: str) -> str:
        """The text of a file with the mutant in it.

        Raises ValueError unless the old text stands there exactly once.
        """
        if text.count(self.old) != 1:
            raise ValueError(f"'{self.says}': its old text stands in the file {text.count(self.old)} times, not once")
        return text.replace(self.old, self.new)


MUTANTS: dict[str, list[Mutant]] = {
    "nobackprop/kernels/winograd.py": [
        Mutant("the basis lacks what Lagrange divides by", "x**j / math.prod(x - y for y in p if y != x)", "x**j",
               "tests/test_winograd.py"),
        Mutant("points that round more", '("0", "5/8", "-5/8", "3/2", "-3/2")', '("0", "1/8", "-1/8", "3", "-3")',
               "tests/test_winograd.py"),
        Mutant("errors go down through a kernel that is not turned", "-1)[:, ::-1].swapaxes(0, 1)",
               "-1).swapaxes(0, 1)", "tests/test_winograd.py"),
        Mutant("planes of a part stand where others should", "        out[part] = xp.matmul(G.T, S)",
               "        out[len(out) - part.stop:len(out) - part.start] = xp.matmul(G.T, S)", "tests/test_winograd.py"),
        Mutant("weights of a part of the channels stand where others should", "planes * part.start:planes * part.stop",
               "planes * (channels - part.stop):planes * (channels - part.start)", "tests/test_winograd.py"),
        Mutant("the frame below is forgotten", "first, end = max(top, 0), min(top + x.shape[1], height)",
               "first, end = max(top, 0), min(top + x.shape[1], height - 1)", "tests/test_winograd.py"),
        Mutant("the last band of tiles is too high", "to[...] = a[:, :to.shape[1], :columns]",
               "to[...] = a[:, -to.shape[1]:, :columns]", "tests/test_winograd.py"),
        Mutant("one channel too few is enough", "LEAST = {3: 32, 5: 24}", "LEAST = {3: 31, 5: 23}",
               "tests/test_winograd.py"),
        Mutant("a wider frame than the kernel takes it", "pad >= kernel or", "pad > kernel or",
               "tests/test_winograd.py"),
        Mutant("the weights' gradient forgets the second half of the groups",
               "S = sum((other[:, part] for other in others), first[:, part])", "S = first[:, part]",
               "tests/test_winograd.py"),
        Mutant("float64 takes the other basis", 'if h.dtype != "float32" or', "if", "tests/test_winograd.py"),
        Mutant("the switch does nothing", " or not _allowed.get():", ":", "tests/test_winograd.py"),
        Mutant("few tiles take the other basis", " and tiles >= FEWEST_TILES and", " and",
               "tests/test_winograd.py"),
        Mutant("images smaller than a tile take it", "filled = 3 * samples * rows * columns >= 2 * TILE**2 * tiles",
               "filled = True",
               "tests/test_winograd.py"),
        Mutant("one worker adds up otherwise than two", "max(2, count(h))", "count(h)", "tests/test_winograd.py"),
        Mutant("the frame above is forgotten", "x[:, first - top:end - top, pad:pad + width]",
               "x[:, first - top:end - top, :width]", "tests/test_winograd.py"),
        Mutant("a whole batch is one group", "HOST_TILES = 256", "HOST_TILES = 1 << 30", "tests/test_winograd.py"),
        Mutant("the workers share nothing", "    shares = split_among_workers(lambda mine: [work(part) for part in "
               "parts[mine]], len(parts), h)", "    shares = [[work(part) for part in parts]]",
               "tests/test_winograd.py"),
    ],
    "nobackprop/exercises/marking.py": [
        Mutant("a function is marked on one input alone", "SEEDS = (0, 1, 2)", "SEEDS = (0,)",
               "tests/test_exercises.py"),
        Mutant("an answer with NaN is compared", "if not np.isfinite(_real(array)).all():", "if False:",
               "tests/test_exercises.py"),
        Mutant("the place of a difference is the first one", "int(np.argmax(off))", "0", "tests/test_exercises.py"),
    ],
    "nobackprop/kernels/unfold.py": [
        Mutant("an axis of length 1 has the stride that it says", "h.itemsize, h.itemsize * channels",
               "h.strides[3], h.strides[2]", "tests/test_convolution.py"),
        Mutant("numbers of two types are written into one", "array.dtype not in (first.dtype, bool)", "False",
               "tests/test_workers.py"),
    ],
    "nobackprop/workers.py": [
        Mutant("a forked child waits for a worker that it has not", "if self.process != _process and "
               "self.ended.locked():", "if False:", "tests/test_workers.py"),
        Mutant("a thread that waits keeps what it had", "            del task  # and", "            # and",
               "tests/test_workers.py"),
        Mutant("a mistake keeps all arrays", "            del error  # it", "            pass  # it",
               "tests/test_workers.py"),
    ],
    "nobackprop/studies/speed/overview.py": [
        Mutant("a ratio is that of the medians", "np.quantile(ratios[i], (0.25, 0.5, 0.75))",
               "np.quantile(np.median(spent[i]) / np.median(spent[-1]), (0.25, 0.5, 0.75))", "tests/test_overview.py"),
        Mutant("the clock does not wait for the device", "    one_step()\n    wait()\n", "    one_step()\n",
               "tests/test_gpu_bench.py"),
    ],
    "nobackprop/studies/measured.py": [
        Mutant("a cell is measured again after an interruption", "if not any(cell.items() <= row.items() for row in "
               'found["rows"]):', "if True:", "tests/test_measured.py"),
        Mutant("rows of two machines in one file", 'if found["machine"] != here:', "if False:",
               "tests/test_measured.py"),
        Mutant("rows are written only at the end", f"{'':16}self.path.parent.mkdir(parents=True, exist_ok=True)",
               f"{'':8}if found:", "tests/test_measured.py"),
    ],
    "nobackprop/studies/resident.py": [
        Mutant("the peak is that of the process that asks", 'resident("VmHWM", process.pid) if line',
               'resident("VmHWM") if line', "tests/test_resident.py"),
        Mutant("what is in memory at the end stands for the peak", 'resident("VmHWM", process.pid) if line',
               'resident("VmRSS", process.pid) if line', "tests/test_resident.py"),
        Mutant("the data are counted as the training's", ' - int(row["data"])', "", "tests/test_resident.py"),
        Mutant("what momentum remembers is left out", "leaves([run.params, run.state, memories])",
               "leaves([run.params, run.state])", "tests/test_resident.py"),
    ],
    "nobackprop/studies/speed/shares.py": [
        Mutant("NumPy's time is charged to nobody", "(causes(function, frozenset({function})) or {OTHER: 1.0})",
               "{part(function) or OTHER: 1.0}", "tests/test_shares.py"),
        Mutant("callers share equally what they caused", "(edge[2] if timed else edge[1])", "1",
               "tests/test_shares.py"),
        Mutant("the profiler's own time counts", "max(0.0, itself - added * made[function])", "itself",
               "tests/test_shares.py"),
    ],
    "nobackprop/learn.py": [
        Mutant("a run that was stopped goes on after a checkpoint", 'str(header.get("stopped", ""))', '""',
               "tests/test_callbacks.py"),
        Mutant("a stop in a batch waits for the epoch's end", """                    if self.stopped:
                        break
""", "", "tests/test_callbacks.py"),
        Mutant("the test accuracy is that of the validation set",
               "test = self._pair(self.data.x_test, self.data.y_test, self.xp)", "test = self.validation",
               "tests/test_numbers.py"),
        Mutant("the validation accuracy is that of the training set",
               "self._evaluated(*self.validation)", "self._evaluated(self.x, self.y)",
               "tests/test_numbers.py"),
        Mutant("alignment is measured on training samples", "array[:ALIGNMENT_SAMPLES] for array in self.validation)",
               "array[:ALIGNMENT_SAMPLES] for array in (self.x, self.y))", "tests/test_numbers.py"),
        Mutant("alignment is measured on more samples than it says", "ALIGNMENT_SAMPLES = 256",
               "ALIGNMENT_SAMPLES = 512", "tests/test_numbers.py"),
        Mutant("the training loss is that of the last batch",
               "float(np.average(loss, weights=np.diff(self.cuts)[:len(loss)]))",
               "float(loss[-1])", "tests/test_numbers.py"),
        Mutant("the training loss is a mean over batches",
               "float(np.average(loss, weights=np.diff(self.cuts)[:len(loss)]))",
               "float(loss.mean())", "tests/test_numbers.py"),
        Mutant("two streams of the seed are exchanged", "draw_params, draw_state, self.rng, self.draw_augment = map(",
               "draw_state, draw_params, self.rng, self.draw_augment = map(", "tests/test_numbers.py"),
        Mutant("augmentation draws from the stream of the order", "(self.draw_augment, images)", "(self.rng, images)",
               "tests/test_numbers.py"),
        Mutant("seconds are those of the last epoch", "self.seconds += time", "self.seconds = time",
               "tests/test_numbers.py"),
        Mutant("epochs are counted from 0", '{"epoch": len(self.history) + 1, "train',
               '{"epoch": len(self.history), "train', "tests/test_numbers.py"),
        Mutant("the schedule is one epoch ahead", "len(self.history) / settings.epochs",
               "(len(self.history) + 1) / settings.epochs", "tests/test_learn.py"),
        Mutant("weight decay is forgotten", "self.settings.weight_decay) for tree in", "0.0) for tree in",
               "tests/test_learn.py"),
        Mutant("one epoch fewer than asked for", "len(self.history) >= self.settings.epochs",
               "len(self.history) >= self.settings.epochs - 1", "tests/test_learn.py"),
        Mutant("an evaluation's last batch weighs as much as the others", "float(net.value(a, y_part)) * len(a)",
               "float(net.value(a, y_part)) * batch_size", "tests/test_learn.py"),
        Mutant("weights that the last update broke are not looked at", "broken = self._broken()", 'broken = ""',
               "tests/test_learn.py"),
        Mutant("an infinite loss for the validation set is one", 'if not np.isfinite(loss := found.pop("loss")):',
               'if np.isnan(loss := found.pop("loss")):', "tests/test_learn.py tests/test_compare.py"),
        Mutant("a diverged step is counted from 0", 'f", step {first + 1}"', 'f", step {first}"',
               "tests/test_learn.py"),
        Mutant("a rest that is just large enough joins the last batch", "samples - begins[-1] >= least",
               "samples - begins[-1] > least", "tests/test_learn.py"),
        Mutant("B carries the error before it moves",
               "    opt_state(rule.align(net, params, state, tape, y, rng))\n"
               "    credit = rule.credit(net, params, state, tape, y, rng)\n",
               "    credit = rule.credit(net, params, state, tape, y, rng)\n"
               "    opt_state(rule.align(net, params, state, tape, y, rng))\n", "tests/test_rules.py"),
        Mutant("a step remembers no running statistics", "    network.remember(net, params, tape)\n", "",
               "tests/test_gradient_free.py"),
        Mutant("assigned parameters are not copied", "there[...] = self.xp.asarray(to_numpy(array))", "pass",
               "tests/test_learn.py"),
    ],
    "nobackprop/metrics.py": [
        Mutant("signals at a are compared with those at h", "at_activation(block, cache, v) if at_a else v, at_a",
               "v, at_a", "tests/test_callbacks.py"),
        Mutant("cosines are taken in the network's own type", 'array.reshape(len(array), -1).astype("float64")',
               "array.reshape(len(array), -1)", "tests/test_learn.py"),
        Mutant("a cosine is over all samples together", "array.reshape(len(array), -1)", "array.reshape(1, -1)",
               "tests/test_numbers.py"),
        Mutant("a cosine has the length of one signal twice", "(u * u).sum(-1) * (v * v).sum(-1)",
               "(u * u).sum(-1) * (u * u).sum(-1)", "tests/test_numbers.py"),
        Mutant("samples without a signal count", "there = length > 0", "there = length >= 0", "tests/test_learn.py"),
        Mutant("a cosine is the best sample's", "/ length[there]).mean()", "/ length[there]).max()",
               "tests/test_numbers.py"),
        Mutant("a rule is compared with itself", "signals(net, BP(), params, None, x, y)",
               "signals(net, rule, params, state, x, y)", "tests/test_numbers.py"),
        Mutant("the output block has an alignment", "in _beside(net, rule, params, state, x, y)[:-1]:",
               "in _beside(net, rule, params, state, x, y):",
               "tests/test_numbers.py"),
        Mutant("alignment at a is that at h", "block.backward(None, cache, delta)[0]", "delta",
               "tests/test_numbers.py"),
        Mutant("an activation is looked for one level deep alone",
               "while isinstance(block, Sequential) and block.layers:",
               "if isinstance(block, Sequential) and block.layers:", "tests/test_learn.py"),
        Mutant("an alignment without a signal is no number", "None if value is None or np.isnan(value) else value",
               "value", "tests/test_learn.py"),
        Mutant("running variances count as parameters", "leaf_name(path) not in RUNNING)",
               'leaf_name(path) != "mean")', "tests/test_models.py"),
        Mutant("what a block heard first counts", "[None, *listener.heard][-1]", "[*listener.heard, None][0]",
               "tests/test_learn.py"),
        Mutant("what a block heard last counts, whatever it learnt from", "if one.grads is g", "if one.grads is None",
               "tests/test_learn.py"),
    ],
    "nobackprop/checks.py": [
        Mutant("an optimiser of other arrays is taken", "if not its.holds(its_tree):", "if not its:",
               "tests/test_checks.py"),
        Mutant("another rule on the same network is not looked at",
               "(net, rule, samples) != (fits.net, fits.rule, fits.samples)",
               "(net, samples) != (fits.net, fits.samples)", "tests/test_checks.py"),
        Mutant("a state of another network is taken", 'tree("state", state, owned,',
               'tree("state", state, state,', "tests/test_checks.py"),
        Mutant("parameters of another network are taken", 'tree("params", params, fresh,',
               'tree("params", params, params,', "tests/test_checks.py"),
        Mutant("a batch of one sample is always enough", 'enough("the number of samples in x", len(x), fits.least)',
               'enough("the number of samples in x", len(x), 1)', "tests/test_checks.py"),
        Mutant("targets may be fewer or more than samples", "targets(y, (len(x), *fits.output))",
               "targets(y, (len(y), *fits.output))", "tests/test_checks.py"),
        Mutant("targets of any shape are taken, if they are as many", "if y.shape != expected:",
               "if y.shape[:1] != expected[:1]:", "tests/test_checks.py"),
        Mutant("texts are numbers", 'array.dtype.kind not in "biuf"', 'array.dtype.kind not in "biufcSU"',
               "tests/test_checks.py"),
        Mutant("one sample fewer is enough", "if came < least:", "if came < least - 1:", "tests/test_checks.py"),
        Mutant("a rule without credit is a rule", "type(rule).credit is Rule.credit", "rule.credit is Rule.credit",
               "tests/test_checks.py"),
        Mutant("a large seed is refused", "value, 0, 2**64 - 1", "value, 0, 2**63 - 1", "tests/test_numbers.py"),
        Mutant("complex numbers are real ones", '"same_kind"', '"unsafe"', "tests/test_learn.py"),
        Mutant("a rule's shape is not compared", "same_shapes(came, expected)", "list(leaves(came))",
               "tests/test_checks.py"),
        Mutant("rules of one class have one name", "if known == rule", "if type(known) is type(rule)",
               "tests/test_checks.py"),
    ],
    "nobackprop/network.py": [
        Mutant("prediction uses the batch's statistics", "x, _ = block.forward(p, x, False)",
               "x, _ = block.forward(p, x, True)", "tests/test_network.py"),
        Mutant("one sample alone is a batch of numbers", "if x.ndim < 2 or", "if x.ndim < 1 or",
               "tests/test_network.py"),
        Mutant("a signal gives way to what comes down", "delta = signals.get(i, down)",
               "delta = signals.get(i) if down is None else down", "tests/test_network.py"),
        Mutant("a signal of any shape is spread over the units", "came != expected", "False",
               "tests/test_network.py"),
        Mutant("every block sends an error down", "i > 0 and i - 1 not in signals", "i > 0", "tests/test_rules.py"),
        Mutant("nothing is sent to the first block", "i > 0 and i - 1 not in signals", "i > 1 and i - 1 not in signals",
               "tests/test_rules.py"),
    ],
    "nobackprop/interop/onnx.py": [
        Mutant("pixels are flattened in ONNX's order", 'f"{name}.channels_last", len(shape), last=True))\n',
               'f"{name}.channels_last", 1, last=True))\n', "tests/test_interop_onnx.py"),
        Mutant("a frame does not count in an average", "count_include_pad=1", "count_include_pad=0",
               "tests/test_interop_onnx.py"),
        Mutant("raw samples are standardised the wrong way round", '((model.mean, "Sub"), (model.scale, "Div"))',
               '((model.scale, "Div"), (model.mean, "Sub"))', "tests/test_interop_onnx.py"),
        Mutant("images are read in the other order of axes", 'if layout == "NHWC":', 'if layout == "NCHW":',
               "tests/test_interop_onnx.py"),
    ],
    "nobackprop/layers.py": [
        Mutant("the initial variance of weights is twice as large", "drawn * math.sqrt(layer.gain / fan_in)",
               "drawn * math.sqrt(2 * layer.gain / fan_in)", "tests/test_network.py"),
        Mutant("a bias learns by the mean over the batch", '"b": delta.sum(0)}', '"b": delta.mean(0)}',
               "tests/test_layers.py"),
        Mutant("running variances are not those of a sample", "var * (count / (count - 1))", "var",
               "tests/test_convolution.py"),
        Mutant("one value a channel is remembered", "if count < 2:", "if count < 1:", "tests/test_convolution.py"),
        Mutant("batch-norm's adjoint is that of its own statistics in prediction, too",
               "count = h.size // h.shape[-1] if train else 0", "count = h.size // h.shape[-1]",
               "tests/test_convolution.py"),
    ],
    "nobackprop/kernels/activation.py": [
        Mutant("softmax is shifted by the batch's maximum", "exp(a - a.max(-1, keepdims=True))", "exp(a - a.max())",
               "tests/test_kernels.py"),
    ],
    "nobackprop/sklearn.py": [
        Mutant("the penalty is not divided by the samples of a batch", ' / min(found["batch_size"], len(x))', "",
               "tests/test_sklearn.py"),
        Mutant("the penalty is divided by a batch larger than all samples", 'min(found["batch_size"], len(x))',
               'found["batch_size"]', "tests/test_sklearn.py"),
        Mutant("weights are not brought to the mean 1", "weights = weights * (len(weights) / weights.sum())", "pass",
               "tests/test_sklearn.py"),
        Mutant("a sample of weight 0 is there", "there = weights > 0", "there = weights >= 0", "tests/test_sklearn.py"),
        Mutant("every rule takes weights", "and not weighs(rule):", "and False:", "tests/test_sklearn.py"),
        Mutant("numbers are scaled without their weights", "(y - self.y_mean_) ** 2, axis=0, weights=weights",
               "(y - self.y_mean_) ** 2, axis=0", "tests/test_sklearn.py"),
        Mutant("numbers that are all the same are divided by 0", "np.where(constant, 1.0, scale)", "scale",
               "tests/test_sklearn.py"),
        Mutant("the last network is kept, not the best", "if now > best:", "if True:", "tests/test_sklearn.py"),
        Mutant("a network is the best one as long as training goes on", "found = tree_map(np.copy, run.params)",
               "found = run.params", "tests/test_sklearn.py"),
        Mutant("training ends an epoch early", "if still > count:", "if still >= count:", "tests/test_sklearn.py"),
        Mutant("a fitted estimator keeps its samples", "            self._epoch()\n            self._end()",
               "            self._epoch()", "tests/test_sklearn.py"),
        Mutant("what is set between two fits is forgotten", "self._run.settings = settings", "pass",
               "tests/test_sklearn.py"),
    ],
    "nobackprop/kernels/loss.py": [
        Mutant("the weights of samples are forgotten", "(w * (xp.log", "((xp.log", "tests/test_sklearn.py"),
        Mutant("cross-entropy is shifted by the batch's maximum", "a = a - a.max(-1, keepdims=True)", "a = a - a.max()",
               "tests/test_kernels.py"),
        Mutant("the squared loss is not half of it", "/ (2 * len(y))", "/ len(y)", "tests/test_kernels.py"),
    ],
    "nobackprop/rules/alignment_support.py": [
        Mutant("modules stand one block too low", "for block in net[1:-1]]", "for block in net[:-2]]",
               "tests/test_rules.py"),
        Mutant("the local target of LAS is y*", "d_squared(y_i, tape.output)", "d_squared(y_i, y)",
               "tests/theorems/test_las.py"),
    ],
    "nobackprop/rules/forward_direct_feedback.py": [
        Mutant("the second pass is a prediction", "h + self.epsilon * noise[-1], True,",
               "h + self.epsilon * noise[-1], False,", "tests/theorems/test_direct_feedback.py"),
        Mutant("the step is a hundred times longer", "epsilon: float = 1e-4", "epsilon: float = 1e-2",
               "tests/theorems/test_direct_feedback.py"),
        Mutant("the Jacobian is no mean over the batch", "(self.epsilon * len(y))", "self.epsilon",
               "tests/theorems/test_direct_feedback.py"),
    ],
    "nobackprop/rules/predictive_coding.py": [
        Mutant("the input of a block is predicted with other silent units", "own = apart(net, params, x, tape.seeds)\n"
               "            s = errors(net, own, x, y, 1.0)", "own = apart(net, params, x, [5] * len(net))\n"
               "            s = errors(net, own, x, y, 1.0)", "tests/theorems/test_predictive_coding.py"),
        Mutant("an error is what the activity lacks", "(mu - h) / len(y)", "(h - mu) / len(y)",
               "tests/theorems/test_predictive_coding.py"),
        Mutant("the loss weighs 1 whatever beta is", "{len(net) - 1: beta * net.error", "{len(net) - 1: net.error",
               "tests/theorems/test_predictive_coding.py"),
        Mutant("errors do not fade", "self.gamma * (sent - s[i])", "self.gamma * sent",
               "tests/theorems/test_predictive_coding.py"),
        Mutant("both nudges go one way", "for beta in (-self.beta, self.beta))", "for beta in (0.0, 2 * self.beta))",
               "tests/theorems/test_predictive_coding.py"),
    ],
    "nobackprop/rules/dual_propagation.py": [
        Mutant("the two states are as far apart again", "half = delta * (nudge / 2)", "half = delta * nudge",
               "tests/theorems/test_dual_propagation.py"),
        Mutant("one state stays where it is", "(f(a + half) - f(a - half)) / nudge", "2 * (f(a + half) - f(a)) / nudge",
               "tests/theorems/test_dual_propagation.py"),
    ],
    "nobackprop/rules/equilibrium_propagation.py": [
        Mutant("nothing comes down", "a if sent is None else a + sent", "a",
               "tests/theorems/test_equilibrium_propagation.py"),
        Mutant("both nudges go one way", "for beta in (-self.beta, self.beta)", "for beta in (self.beta, self.beta)",
               "tests/theorems/test_equilibrium_propagation.py"),
        Mutant("it answers with the forward pass", "return self.forward(net, params, None, x).output",
               "return network.predict(net, params, x)", "tests/theorems/test_equilibrium_propagation.py"),
    ],
    "nobackprop/rules/spsa.py": [
        Mutant("all weights of a row have one sign", "2 * rng.integers(2, size=d.shape) - 1)",
               "2 * rng.integers(2, size=(*d.shape[:-1], 1)) - 1 + np.zeros(d.shape))", "tests/test_gradient_free.py"),
        Mutant("the difference is divided by one step and not by two", "/ (2 * self.c)", "/ self.c",
               "tests/test_gradient_free.py"),
    ],
    "nobackprop/rules/forward_forward.py": [
        Mutant("both labels ask for the same", "sigmoid(-s * (g - self.theta))", "sigmoid(s * (g - self.theta))",
               "tests/theorems/test_forward_forward.py"),
        Mutant("the label's weights learn nothing", "return grads, gradients[0]", "return grads, 0 * gradients[0]",
               "tests/theorems/test_forward_forward.py"),
        Mutant("every activation of the first block hears the label", "chain([other], repeat(lambda f: f))",
               "repeat(other)", "tests/theorems/test_forward_forward.py"),
        Mutant("the goodness is half as steep", "(-2 * s / h.size)", "(-s / h.size)",
               "tests/theorems/test_forward_forward.py"),
        Mutant("labels are drawn with half the noise", "a + noise, -xp.inf", "a + noise / 2, -xp.inf",
               "tests/theorems/test_forward_forward.py"),
        Mutant("the first block learns nothing", "enumerate(seen.h[1:])})", "enumerate(seen.h[1:]) if i})",
               "tests/theorems/test_forward_forward.py"),
    ],
    "nobackprop/rules/pepita.py": [
        Mutant("f' is multiplied", "backward(straight(net), params, second", "backward(net, params, second",
               "tests/theorems/test_pepita.py"),
        Mutant("hidden layers learn the other way", "{i: (h - moved) / N", "{i: (moved - h) / N",
               "tests/theorems/test_pepita.py"),
        Mutant("updates use the first pass", "params, second, signals", "params, tape, signals",
               "tests/theorems/test_pepita.py"),
    ],
    "nobackprop/rules/activity_perturbation.py": [
        Mutant("directions are added up", "* u_i / self.directions", "* u_i",
               "tests/theorems/test_activity_perturbation.py"),
        Mutant("the perturbation has no sign", "h + self.epsilon * u_i", "h + self.epsilon * abs(u_i)",
               "tests/theorems/test_activity_perturbation.py"),
    ],
    "nobackprop/rules/softhebb.py": [
        Mutant("weights lose a constant", "lost[:, None] * W", "lost[:, None]", "tests/theorems/test_softhebb.py"),
        Mutant("biases forget how many units there are", ".exp(b) / len(b)", ".exp(b)",
               "tests/theorems/test_softhebb.py"),
        Mutant("the competition has no temperature", "softmax(u_i / self.tau)", "softmax(u_i)",
               "tests/theorems/test_softhebb.py"),
    ],
    "nobackprop/rules/activation_sharing.py": [
        Mutant("no local classifier stands on the last hidden block", "set(range(self.first, len(net) - 1))",
               "set(range(self.first, len(net) - 2))", "tests/test_sharing.py"),
        Mutant("the local error comes in through the classifier that learns", 'PoolHead().send(own["R"], net.error',
               'PoolHead().send(own["V"], net.error', "tests/test_sharing.py"),
    ],
    "nobackprop/rules/kolen_pollack.py": [
        Mutant("B learns what backpropagation says", "return Credit(grads, weights(grads))",
               "return Credit(grads, weights(super().credit(net, params, weights(params), tape, y, rng).grads))",
               "tests/theorems/test_kolen_pollack.py"),
    ],
    "nobackprop/optim.py": [
        Mutant("Nesterov looks ahead with the square of mu", "xp.multiply(v, mu, out=s)",
               "xp.multiply(v, mu * mu, out=s)", "tests/theorems/test_kolen_pollack.py"),
        Mutant("coupled decay is a thousandth larger", "g = g + decay * w",
               "g = g + 1.001 * decay * w", "tests/theorems/test_kolen_pollack.py"),
        Mutant("decoupled decay takes the square of the rate", "w *= 1 - self.lr * decay",
               "w *= 1 - self.lr**2 * decay", "tests/theorems/test_kolen_pollack.py"),
    ],
    "nobackprop/rules/weight_mirror.py": [
        Mutant("the noise counts with its size and not with its square", "(self.samples * self.sigma**2)",
               "(self.samples * self.sigma)", "tests/theorems/test_weight_mirror.py"),
    ],
    "nobackprop/settings.py": [
        Mutant("a rule's own settings come before what was typed", "| dict(own) | dict(given or {})",
               "| dict(given or {}) | dict(own)", "tests/test_compare.py"),
        Mutant("the library's settings come before the data set's",
               "asdict(choose(Settings, wanted))", "asdict(Settings())", "tests/test_compare.py"),
    ],
    "nobackprop/experiments/compare.py": [
        Mutant("the settings of all rules come before a rule's own", 'config | config["rule_settings"].get(name, {})',
               'config["rule_settings"].get(name, {}) | config', "tests/test_compare.py"),
        Mutant("the data set's number of threads is not asked for", 'defaults.get("threads", 1) or ', "defaults and ",
               "tests/test_compare.py"),
        Mutant("the runs that reached their end are the others", 'if score(run, "test") is not None]',
               'if score(run, "test") is None]', "tests/test_compare.py"),
        Mutant("networks are as the publisher's data set, not as the files",
               "[trial(config, name, self.data.shape, self.data.classes,",
               '[trial(config, name, *DATASETS[config["data"]].sizes(),', "tests/test_compare.py"),
    ],
    "nobackprop/experiments/results.py": [
        Mutant("two rules of the user's own have one name", "if taken[name] == 1 and name", "if name",
               "tests/test_compare.py"),
        Mutant("a rule of the user's own passes for one of the library", 'and name.partition(":")[0] not in RULES', "",
               "tests/test_compare.py"),
        Mutant("the deviation is that of a whole population", "statistics.stdev(values)", "statistics.pstdev(values)",
               "tests/test_compare.py"),
        Mutant("the cosine at h comes before that at a", '("alignment_at_a", "alignment")',
               '("alignment", "alignment_at_a")', "tests/test_plots.py"),
        Mutant("a 0 is no value", "there = [value for value in values if value is not None]",
               "there = [value for value in values if value]", "tests/test_plots.py"),
        Mutant("as many seeds as runs", 'len({run["seed"] for run in results["runs"]})', 'len(results["runs"])',
               "tests/test_compare.py"),
        Mutant("an infinite number is written", "not math.isfinite(value)", "math.isnan(value)",
               "tests/test_compare.py"),
        Mutant("a curve is as short as its shortest run", "range(max(map(len, series)))",
               "range(min(map(len, series)))", "tests/test_plots.py"),
        Mutant("of a deep network the table leaves out the last block", "(number - 1) / max(most - 1, 1)",
               "(number - 1) / most", "tests/test_compare.py"),
        Mutant("a table is wider than its line", "if width is None or max(", "if True or max(",
               "tests/test_compare.py"),
        Mutant("true is a number", "if isinstance(value, bool) or not isinstance(value, int if",
               "if not isinstance(value, int if", "tests/test_compare.py"),
        Mutant("a negative cosine is none", "Number(-1, 1, null=True)", "Number(0, 1, null=True)",
               "tests/test_compare.py"),
        Mutant("the table is that of the first epoch", '[run["history"][-1] for run in runs] for rule, runs in of',
               '[run["history"][0] for run in runs] for rule, runs in of', "tests/test_compare.py"),
        Mutant("a run without epochs is read", 'if not run["history"] and "diverged" not in run:',
               'if run["history"] is None:', "tests/test_compare.py"),
        Mutant("a run that diverged is in the means", 'if "diverged" not in run]}', 'if run["history"]]}',
               "tests/test_compare.py"),
        Mutant("a newer format is read", "newer > FORMAT:", "newer > FORMAT + 1:", "tests/test_compare.py"),
        Mutant("a missing key is no mistake", "elif not isinstance(below, Maybe):", "elif isinstance(below, Maybe):",
               "tests/test_compare.py"),
    ],
    "nobackprop/callbacks.py": [
        Mutant("a callback can write into the run's arrays", "view.flags.writeable = False", "pass",
               "tests/test_callbacks.py"),
        Mutant("a leaf that a callback replaced goes unnoticed", "if now.changed():", "if False:",
               "tests/test_callbacks.py"),
        Mutant("a callback draws from the run's generator", """return np.random.default_rng(np.random.SeedSequence(
            self.seed, spawn_key=(DRAWS, self._place, self.epoch, batch)))""", "return self._run.rng",
               "tests/test_callbacks.py"),
        Mutant("all callbacks draw the same", "(DRAWS, self._place, self.epoch, batch)", "(DRAWS, self.epoch, batch)",
               "tests/test_callbacks.py"),
        Mutant("a checkpoint lacks what later callbacks record", "self._saves.append(path)", "self._run.save(path)",
               "tests/test_callbacks.py"),
        Mutant("what is not finite is recorded", "float(value) if math.isfinite(value) else None", "float(value)",
               "tests/test_callbacks.py"),
        Mutant("a name of the library's own can be taken", "if name in OWN or name in taken:", "if name in taken:",
               "tests/test_callbacks.py"),
        Mutant("steps without a value are left out", "values.get(i + 1) for i in range(self.batches)",
               "value for value in values.values()", "tests/test_callbacks.py"),
        Mutant("on a GPU a callback gets the run's own arrays", 'value.copy() if hasattr(value, "dtype") else value',
               "value", "tests/test_callbacks.py"),
    ],
    "nobackprop/writers.py": [
        Mutant("a row that was cut off stays", 'text[:text.rfind("\\n") + 1]', "text", "tests/test_callbacks.py"),
        Mutant("a run that goes on has its rows twice", 'int(one["epoch"]) < epoch', 'True',
               "tests/test_callbacks.py"),
    ],
    "nobackprop/experiments/loop.py": [
        Mutant("an error of a callback costs the epoch", 'record["history"] = list(run.history)\n        if', "if",
               "tests/test_callbacks.py"),
        Mutant("a stopped run is trained again", 'and "stopped" not in run', "", "tests/test_callbacks.py"),
        Mutant("what an exhibit measures is not recorded", "self.trial.name, self.callbacks)",
               "self.trial.name)", "tests/test_papers.py"),
        Mutant("seconds are added up twice", 'record["seconds"] = run.seconds', 'record["seconds"] += run.seconds',
               "tests/test_numbers.py"),
        Mutant("every seed runs as the first one", "self.trial.settings, self.seed, self.device",
               "self.trial.settings, 3, self.device", "tests/test_numbers.py"),
        Mutant("the test accuracy is the last validation accuracy", "run.test().items()",
               '{"accuracy": run.history[-1]["validation_accuracy"]}.items()', "tests/test_numbers.py"),
        Mutant("one thread, whatever was asked for", 'workers.limit(results["config"]["threads"])',
               "workers.limit(1)", "tests/test_compare.py"),
        Mutant("the number of parameters is that of the state", "metrics.size(run.params)", "metrics.size(run.state)",
               "tests/test_numbers.py"),
        Mutant("runs stay in the order of training", "[by_key[job.key] for job in jobs if job.key in by_key]",
               "list(by_key.values())", "tests/test_papers.py"),
        Mutant("an epoch that was measured in part is recorded",
               '**dict.fromkeys(measured), "history": list(run.history)',
               '**dict.fromkeys(measured), "history": run.history', "tests/test_loop.py"),
        Mutant("a diverged run is trained again", 'or "diverged" in record)', ")", "tests/test_cli.py"),
        Mutant("a killed comparison looks whole", 'results["config"]["interrupted"] = True', "pass",
               "tests/test_loop.py"),
        Mutant("the results are not written at the end", """        finally:
            if folder is not None:
                folder.write(results)""", """        finally:
            pass""", "tests/test_loop.py"),
        Mutant("a checkpoint of other settings is taken", "(run.name, run.seed, run.settings) == (*job.key, "
               "job.trial.settings)", "(run.name, run.seed) == job.key", "tests/test_loop.py"),
    ],
    "nobackprop/data/dataset.py": [
        Mutant("mean and scale are no part of the fingerprint", "for part in fields(self)[2:]:",
               "for part in fields(self)[2:8]:", "tests/test_saving.py"),
        Mutant("raw samples are scaled first and shifted then", "part /= scale", "part *= scale",
               "tests/test_saving.py"),
    ],
    "nobackprop/data/tasks.py": [
        Mutant("an accuracy counts outputs that are not finite",
               "(a.argmax(-1) == y.argmax(-1)) & np.isfinite(a).all(-1)",
               "(a.argmax(-1) == y.argmax(-1))", "tests/test_learn.py"),
        Mutant("R2 is over all numbers together", "((d * d).sum(0) for d in", "((d * d).sum() for d in",
               "tests/test_own_data.py"),
        Mutant("a label is right if its output is above 1/2", "right = ((a > 0) ==", "right = ((a > 0.5) ==",
               "tests/test_own_data.py"),
        Mutant("raw numbers are shifted first", "(a if scale is None else a * scale) + (0 if mean is None else mean)",
               "((0 if mean is None else mean) + a) * (1 if scale is None else scale)", "tests/test_own_data.py"),
    ],
    "nobackprop/saving.py": [
        Mutant("an edited array is taken", "if checksum != _checksum(text, arrays):", "if checksum is None:",
               "tests/test_saving.py"),
        Mutant("a model is taken for a checkpoint", 'if about["kind"] != kind:', 'if about["kind"] is None:',
               "tests/test_saving.py"),
    ],
    "nobackprop/experiments/sweep/choice.py": [
        Mutant("the worst setting is chosen", "score(runs[point]) > score(runs[chosen[point.group]])",
               "score(runs[point]) < score(runs[chosen[point.group]])", "tests/test_sweep.py"),
        Mutant("the last of two equal settings is chosen", "score(runs[point]) > score(",
               "score(runs[point]) >= score(", "tests/test_sweep.py"),
        Mutant("a run that diverged counts with what it had", 'kept |= {key: first.floor, "diverged"',
               'kept |= {"diverged"', "tests/test_sweep.py"),
    ],
    "nobackprop/experiments/sweep/run.py": [
        Mutant("the search reads the test set", "    if task.searching:", "    if not task:",
               "tests/test_sweep_run.py"),
        Mutant("the best settings are run on the seeds of the search", "do(tasks(chosen, sweep.fresh_seeds,",
               "do(tasks(chosen, sweep.seeds,", "tests/test_sweep_run.py"),
    ],
    "nobackprop/experiments/folder.py": [
        Mutant("a folder in use is written to", "if any(entry.name != LOCK for entry in path.iterdir()):",
               "if all(entry.name != LOCK for entry in path.iterdir()):", "tests/test_compare.py"),
        Mutant("a lock counts as use", "if any(entry.name != LOCK for entry in path.iterdir()):",
               "if any(path.iterdir()):", "tests/test_loop.py"),
        Mutant("a full disk ends the run", "if not isinstance(error, OSError) and not isinstance(error.__context__, "
               "OSError):", "if not isinstance(error, OSError):", "tests/test_loop.py"),
        Mutant("results stay behind in a lost folder", "if self.results is not None:", "if self.results is None:",
               "tests/test_loop.py"),
        Mutant("every epoch waits for the disk", "if soon and time.monotonic()", "if not soon and time.monotonic()",
               "tests/test_loop.py"),
        Mutant("checkpoints of two rules have one name", "repr(key).encode()", "str(key[1]).encode()",
               "tests/test_loop.py"),
    ],
    "nobackprop/experiments/progress.py": [
        Mutant("the time left is that of the epochs that are done", "/ self.done * (self.epochs - self.done)",
               "/ self.done * self.done", "tests/test_loop.py"),
        Mutant("the bar waits for the epochs of a diverged run", "self.skip(self.of - self.at)", "pass",
               "tests/test_loop.py"),
        Mutant("a line of the log waits one epoch", "self.at % self.log_every == 0", "self.at % self.log_every == 1",
               "tests/test_loop.py"),
    ],
    "nobackprop/cli/ends.py": [
        Mutant("a second signal breaks what is written", "if len(heard) == 1:", "if heard:", "tests/test_loop.py"),
        Mutant("a signal that was ignored is heard", "not in (signal.SIG_IGN, None):", "is not None:",
               "tests/test_loop.py"),
    ],
    "nobackprop/experiments/papers/exhibit.py": [
        Mutant("every seed runs as seed 0", "return [Job(trial, self.data, seed, self.config",
               "return [Job(trial, self.data, 0, self.config", "tests/test_papers.py"),
        Mutant("the training labels are in the reverse order", "y_train=data.y_train[:n],",
               "y_train=data.y_train[:n][::-1],", "tests/test_papers.py"),
        Mutant("the reduced images are in the reverse order",
               "avg_pool(getattr(data, name), scale.reduce, scale.reduce)",
               "avg_pool(getattr(data, name), scale.reduce, scale.reduce)[::-1]", "tests/test_papers.py"),
        Mutant("few test images at every scale but the smallest", "if smoke else data", "if not smoke else data",
               "tests/test_papers.py"),
        Mutant("an arm's settings of a scale are forgotten", ", **arm.at.get(scale, {})}", "}", "tests/test_papers.py"),
        Mutant("the scale's settings come before an arm's own", "{**chosen.settings, **arm.settings,",
               "{**arm.settings, **chosen.settings,", "tests/test_papers.py"),
        Mutant("dense networks keep their widths at every scale", "str(scaled(int(size), scale.factor))", "size",
               "tests/test_papers.py"),
        Mutant("accuracies stand next to per cents", '100 * run["test_accuracy"]', 'run["test_accuracy"]',
               "tests/test_papers.py"),
        Mutant("only the last epoch is looked at when it is read", "if last or key in record}", "if last}",
               "tests/test_papers.py"),
    ],
    "nobackprop/experiments/papers/al.py": [
        Mutant("the training accuracy is the validation accuracy",
               'evaluate(run.net, run.params, run.x, run.y, ',
               'evaluate(run.net, run.params, *run.validation, ', "tests/test_papers.py"),
        Mutant("losses are those of the validation set", "run.state, run.x[:SAMPLES], run.y[:SAMPLES])",
               "run.state, *(part[:SAMPLES] for part in run.validation))", "tests/test_papers.py"),
        Mutant("distances are those of the output", "[len(run.net) - 1], SAMPLES", "[len(run.net)], SAMPLES",
               "tests/test_papers.py"),
        Mutant("pictures are of other layers", "(0, 2, 4, None)) -> dict", "(0, 1, 3, None)) -> dict",
               "tests/test_papers.py"),
        Mutant("the last samples are left out", "range(0, len(x), CHUNK)", "range(0, len(x) - CHUNK + 1, CHUNK)",
               "tests/test_papers.py"),
        Mutant("the ratio of distances is upside down", 'record["inter"] / record["intra"] if',
               'record["intra"] / record["inter"] if', "tests/test_papers.py"),
        Mutant("the middle of a range is the median", "statistics.fmean(there)", "statistics.median(there)",
               "tests/test_papers.py"),
        Mutant("another loss is drawn", '[run["history"][-1]["associated"] for',
               '[run["history"][-1]["autoencoder"] for', "tests/test_papers.py"),
        Mutant("pictures are of the last seed", 'runs[0]["history"][-1]', 'runs[-1]["history"][-1]',
               "tests/test_papers.py"),
        Mutant("pictures have the labels of training samples", "run.data.y_validation[:POINTS]",
               "run.data.y_train[:POINTS]", "tests/test_papers.py"),
    ],
    "nobackprop/experiments/papers/asap.py": [
        Mutant("every layer has the angle of the first", "partial(_angle_of, layer=layer)",
               "partial(_angle_of, layer=0)", "tests/test_papers.py"),
    ],
    "nobackprop/studies/depth.py": [
        Mutant("the other one is not backpropagation", '(f"as:k={k}", "bp")', '(f"as:k={k}", "fa")',
               "tests/test_depth.py"),
        Mutant("a layer that shares its own input counts", "seed)[1:]))][1:]", "seed)[1:]))]", "tests/test_depth.py"),
        Mutant("rules begin with other weights", "rng, learns = np.random.default_rng(seed), get(rule)",
               "rng, learns = np.random.default_rng([seed, len(rule)]), get(rule)", "tests/test_depth.py"),
        Mutant("the length of a gradient counts", "/ np.sqrt((g * g).sum() * (t * t).sum())", "/ (t * t).sum()",
               "tests/test_depth.py"),
        Mutant("the last gradient is compared with itself", "np.mean(found[0] ** 2)", "np.mean(found[-1] ** 2)",
               "tests/test_depth.py"),
    ],
    "nobackprop/studies/turning.py": [
        Mutant("an angle is in radians", "float(np.degrees(np.arccos(", "float((np.arccos(", "tests/test_turning.py"),
        Mutant("an angle sees the length of one matrix alone", "(W * W).sum() * (B * B).sum()",
               "(W * W).sum() * (W * W).sum()", "tests/test_turning.py"),
        Mutant("blocks are counted from 0", "Pair(int(block) + 1,", "Pair(int(block),", "tests/test_turning.py"),
        Mutant("magnitudes are taken for weights", "isinstance(rule, FrSF)", "False", "tests/test_turning.py"),
    ],
    "nobackprop/studies/illustrations.py": [
        Mutant("the printed sign is that of a descent", '("printed", -eta)', '("printed", eta)',
               "tests/test_illustrations.py"),
        Mutant("a worker does not wait for the one before", "max(ready, free)", "free", "tests/test_illustrations.py"),
        Mutant("Nesterov has the bound of the heavy ball", "2 * (1 + mu) / (1 + 2 * mu)", "2 * (1 + mu)",
               "tests/test_illustrations.py"),
    ],
    "nobackprop/data/split.py": [
        Mutant("the smallest remainders get what is left over", "np.unique(rest)[::-1]", "np.unique(rest)",
               "tests/test_stored.py"),
        Mutant("the parts are not mixed again", "(draw.permutation(np.concatenate(part)) for part in parts)",
               "(np.concatenate(part) for part in parts)", "tests/test_stored.py"),
    ],
    "nobackprop/data/stored.py": [
        Mutant("other numbers than the stored ones are not noticed", "data.fingerprint != wanted", "False",
               "tests/test_stored.py"),
    ],
    "nobackprop/data/plane.py": [
        Mutant("the quadrants have each other's class", "np.where(y == 0, right, -right)",
               "np.where(y == 0, -right, right)", "tests/test_stored.py"),
    ],
    "nobackprop/studies/code_quality.py": [
        Mutant("every component has y* for its target", "s, t = learnt.tape.h[1], learnt.t",
               "s, t = learnt.tape.h[1], t", "tests/test_code_quality.py"),
        Mutant("the two losses are exchanged", "(float(associated), float(autoencoder))",
               "(float(autoencoder), float(associated))", "tests/test_code_quality.py"),
        Mutant("activities are those of training", "train=False", "train=True", "tests/test_code_quality.py"),
        Mutant("blocks come in the order of the network", "for i in blocks]", "for i in sorted(blocks)]",
               "tests/test_code_quality.py"),
        Mutant("distances are taken in the network's own type", 'h = h.astype("float64", copy=False)', "h = h.copy()",
               "tests/test_code_quality.py"),
        Mutant("a class of two samples is left out", "(labels == k).sum() > 1]", "(labels == k).sum() > 2]",
               "tests/test_code_quality.py"),
        Mutant("the mean over classes is a median", "np.mean(inside)", "np.median(inside)",
               "tests/test_code_quality.py"),
        Mutant("a centre is the first sample", "h[labels == k].mean(0) for", "h[labels == k][0] for",
               "tests/test_code_quality.py"),
        Mutant("the ratio is upside down", "self.inter / self.intra", "self.intra / self.inter",
               "tests/test_code_quality.py"),
        Mutant("an embedding asks for more neighbours than there are", "min(30, (len(h) - 1) / 3)", "30",
               "tests/test_code_quality.py"),
    ],
    "nobackprop/studies/memory.py": [
        Mutant("the forward pass writes nothing", "Accesses(parameters, stored)  ", "Accesses(parameters, 0)  ",
               "tests/test_memory.py"),
        Mutant("the backward pass reads no activities", "Accesses(sets * parameters + stored, sets * parameters)",
               "Accesses(sets * parameters, sets * parameters)", "tests/test_memory.py"),
        Mutant("x is stored", "frozenset(plan) - {0}", "frozenset(plan)", "tests/test_memory.py"),
        Mutant("memory is counted as often as it is met", "if id(buffer) not in seen:", "if id(buffer):",
               "tests/test_memory.py"),
        Mutant("the batch is counted", "seen = {id(buffer) for buffer in buffers(tape.h[0])}", "seen = set()",
               "tests/test_memory.py"),
        Mutant("a view is counted in the place of its memory", "yield kept if kept.base is None else kept.base",
               "yield kept", "tests/test_memory.py"),
        Mutant("backpropagation has two sets of weights", '1 if spec == "bp" else 2', "2", "tests/test_memory.py"),
        Mutant("activations are those of one sample", '"activations": batch_size * math.prod',
               '"activations": math.prod', "tests/test_memory.py"),
        Mutant("blocks of four are left out", "sorted({2, 4, *given})", "sorted({2, *given})", "tests/test_memory.py"),
        Mutant("the ratio of bytes is upside down", "column['total_bytes'] / bp['total_bytes']",
               "bp['total_bytes'] / column['total_bytes']", "tests/test_memory.py"),
        Mutant("bars of what is written begin at 0", "left=read,", "left=0,", "tests/test_memory.py"),
        Mutant("the state's matrices are of another type", "tree_map(lambda array: array.astype(x.dtype), state)",
               "state", "tests/test_memory.py"),
    ],
    "nobackprop/studies/locality/__init__.py": [
        Mutant("a block's own output is poisoned with those above", "if i + 1 < k < len(h) - 1",
               "if i + 1 <= k < len(h) - 1", "tests/test_locality.py"),
        Mutant("a_L is left whole", "nan(given.tape.h[-1])], given", "given.tape.h[-1]], given",
               "tests/test_locality.py"),
        Mutant("the target is left whole", "y=nan(given.y)", "y=given.y", "tests/test_locality.py"),
        Mutant("weights of all blocks above are poisoned, too", "with_feedback(p, new) if i == j",
               "with_feedback(p, new) if i >= j", "tests/test_locality.py"),
        Mutant("other magnitudes have other signs", "rng.uniform(0.5, 2, W.shape)", "rng.uniform(-2, 2, W.shape)",
               "tests/test_locality.py"),
        Mutant("the state's views of weights are left whole", "nan(s) if any(", "s if any(", "tests/test_locality.py"),
        Mutant("the shape of a gradient is not compared", "(path, array.shape, array.tobytes())",
               "(path, array.tobytes())", "tests/test_locality.py"),
        Mutant("only weights of blocks above are transported", "for i, j in self.carried if i != j)",
               "for i, j in self.carried if i < j)", "tests/test_locality.py"),
        Mutant("a further pass carries weights", "np.where(np.isnan(came), own, came)", "came",
               "tests/test_locality.py"),
        Mutant("NaN times 0 has been read", "np.where(np.isnan(down) & (true == 0), 0, down)", "down",
               "tests/test_locality.py"),
        Mutant("a_L may be computed again", "output[kind] | answer[kind]", "output[kind]", "tests/test_locality.py"),
        Mutant("only the last seed counts", "result.hidden | hidden,", "hidden,", "tests/test_locality.py"),
        Mutant("noise is drawn anew under each poison", "np.random.default_rng([seed, 2])", "np.random.default_rng()",
               "tests/test_locality.py"),
        Mutant("signs alone are read if no block above is", "all(i == j for i, j in self.magnitudes)",
               "all(i >= j for i, j in self.magnitudes)", "tests/test_locality.py"),
        Mutant("what learns before the error learns with it", "state is not None\n", "state is None\n",
               "tests/test_locality.py"),
        Mutant("a block learns if nothing says that it does", "if any(True for _ in leaves(trees[i]))",
               "if trees[i] is not None", "tests/test_locality.py"),
        Mutant("the tape's own copy of the input is left whole", "    h[i] = nan(h[i])\n", "",
               "tests/test_locality.py"),
        Mutant("no float32 is poisoned", 'in (np.float32, np.float64)', 'in (np.float64,)', "tests/test_locality.py"),
        Mutant("biases are poisoned with the weights", "nan(weights(given.params[j]))", "nan(given.params[j])",
               "tests/test_locality.py"),
        Mutant("one factor rescales all weights of a block", "rng.uniform(0.5, 2, W.shape)", "rng.uniform(0.5, 2)",
               "tests/test_locality.py"),
        Mutant("a shared activity is poisoned as an input", """nan(kept) if np.array_equal(
        materialise(kept), next(in_turn)) else kept""", "nan(kept)", "tests/test_locality.py"),
        Mutant("errors go down through healthy weights", "self.block.backward(feedback, cache",
               "self.block.backward(self.clean, cache", "tests/test_locality.py"),
        Mutant("the output block answers nothing at all", "nan(out) if np.array_equal(h, self.asked) else out",
               "nan(out)", "tests/test_locality.py"),
        Mutant("a further pass is one that carries, too", "for i, j in self.weights - self.carried if",
               "for i, j in self.weights if", "tests/test_locality.py"),
        Mutant("a block reads what reads it", "frozenset(j for i, j in self.weights if i == block)",
               "frozenset(i for i, j in self.weights if j == block)", "tests/test_locality.py"),
        Mutant("f' of relu swallows the poison", 'rule.trial_sizes(HIDDEN), "tanh")',
               'rule.trial_sizes(HIDDEN), "relu")', "tests/test_locality.py"),
        Mutant("the output block counts as a hidden one", "[*credit.grads[:-1], None]", "credit.grads",
               "tests/test_locality.py"),
        Mutant("what the state learns with the error is not measured", "for tree in (align, credit.state)]\n",
               "for tree in (align,)]\n", "tests/test_locality.py"),
        Mutant("the same numbers at another place are the same", "[(path, array.shape, array.tobytes())",
               "[(array.shape, array.tobytes())", "tests/test_locality.py"),
        Mutant("all leaves of a block must carry the poison", "if any(np.isnan(g).any() for _, g",
               "if all(np.isnan(g).any() for _, g", "tests/test_locality.py"),
        Mutant("the weights of the output block are left whole", "    every = range(len(net))\n",
               "    every = range(len(net) - 1)\n", "tests/test_locality.py"),
    ],
    "nobackprop/studies/check_rule.py": [
        Mutant("a rule may write into its tape", "lambda tape: keep([tape.h, tape.caches])", "lambda tape: None",
               "tests/test_own_code.py"),
        Mutant("a rule that asks blocks by itself may spread a signal over all units",
               "network.check_signal(i, signal.delta, output)", "pass", "tests/test_own_code.py"),
        Mutant("consequences are told as mistakes", "        if _cause(one, found) is None:\n", "        if True:\n",
               "tests/test_own_code.py"),
        Mutant("what a check needs may need nothing itself", "what if found.get(what) else _cause(earlier, found)",
               "what if found.get(what) else None", "tests/test_own_code.py"),
        Mutant("memory that is shared is told as a matter of places", "units: (memory, seeds)}", "units: (seeds,)}",
               "tests/test_own_code.py"),
        Mutant("a later mistake is named for what an earlier one prevents", "and _cause(one, found) == what]", "]",
               "tests/test_own_code.py"),
    ],
    "nobackprop/outside.py": [
        Mutant("the extra is taken for the module", "f\"pip install 'nobackprop[{extra}]'\"",
               "f\"pip install 'nobackprop[{name}]'\"", "tests/test_backend.py"),
    ],
    "nobackprop/studies/field.py": [
        Mutant("seconds are called milliseconds", "np.median(1e3 * spent, axis=1)", "np.median(spent, axis=1)",
               "tests/test_field.py"),
        Mutant("a ratio is that of the medians", 'np.median(spent / spent[list(RULES).index("bp")], axis=1)',
               'np.median(spent, axis=1) / np.median(spent[list(RULES).index("bp")])', "tests/test_field.py"),
    ],
    "nobackprop/studies/locality/pages.py": [
        Mutant("the last hidden block is the first", "blocks == {len(HIDDEN)}", "blocks == {1}",
               "tests/test_locality.py"),
        Mutant("what learns with the error learns before it",
               '"with the error" if row.error_driven else "before the error"',
               '"before the error" if row.error_driven else "with the error"', "tests/test_locality.py"),
        Mutant("two blocks are a span", "if len(blocks) > 2 and", "if len(blocks) > 1 and", "tests/test_locality.py"),
    ],
    "nobackprop/studies/linear_feedback.py": [
        Mutant("under DFA K takes the matrix above in the place of its inverse", "b.T @ np.linalg.pinv(up.T) for",
               "b.T @ up for", "tests/theorems/test_linear_feedback.py"),
        Mutant("both rules ascend", "G = (task.T - Q[-1]) @ task.Sigma", "G = (Q[-1] - task.T) @ task.Sigma",
               "tests/theorems/test_linear_feedback.py"),
        Mutant("the flow takes all inputs for white", "G = (task.T - Q[-1]) @ task.Sigma", "G = task.T - Q[-1]",
               "tests/theorems/test_linear_feedback.py"),
        Mutant("K has twice the square of W", "s.T - w @ w.T", "s.T - 2 * w @ w.T",
               "tests/theorems/test_linear_feedback.py"),
        Mutant("H has the whole square of W_L", "return float(0.5 * (W[-1]**2)", "return float((W[-1]**2)",
               "tests/theorems/test_linear_feedback.py"),
        Mutant("H has D_1 in the place of its inverse", "np.linalg.pinv(task.D[0].T) @ W[0]", "task.D[0] @ W[0]",
               "tests/theorems/test_linear_feedback.py"),
        Mutant("a path that has lost its rank passes", ") < outputs:", ") < 0:",
               "tests/theorems/test_linear_feedback.py"),
        Mutant("the chain has half of H", "math.sqrt(2 * (room + tau * v))", "math.sqrt(room + tau * v)",
               "tests/theorems/test_linear_feedback.py"),
        Mutant("the chain has no room for the steps", "max(0.0, -trace) + 1)", "max(0.0, -trace))",
               "tests/theorems/test_linear_feedback.py"),
        Mutant("the chain has the other sign of K", "max(0.0, -trace)", "max(0.0, trace)",
               "tests/theorems/test_linear_feedback.py"),
        Mutant("the bound is not followed to its end", "for _ in range(60):", "for _ in range(2):",
               "tests/theorems/test_linear_feedback.py"),
        Mutant("a safe rate is twice as large in the lower layers", "*(2 * (room + _reach", "*((room + _reach",
               "tests/theorems/test_linear_feedback.py"),
        Mutant("a safe rate takes norms for squares", "*(v**2 for v in w[:-1])", "*(v for v in w[:-1])",
               "tests/theorems/test_linear_feedback.py"),
        Mutant("a safe rate takes another norm of D", "np.linalg.norm(d, 2)**2", "np.linalg.norm(d)**2",
               "tests/theorems/test_linear_feedback.py"),
        Mutant("the closed form has one power less", "power, span = 2**len(k) - 1,", "power, span = 2**len(k) - 2,",
               "tests/theorems/test_linear_feedback.py"),
        Mutant("the closed form forgets how D scales", "k.append(v * k[-1]**2", "k.append(k[-1]**2",
               "tests/theorems/test_linear_feedback.py"),
        Mutant("the closed form halves once in every layer", "v * k[-1]**2 / 2**i", "v * k[-1]**2 / 2",
               "tests/theorems/test_linear_feedback.py"),
        Mutant("the chain has less of N", "math.sqrt(2 * float(np.linalg.norm", "math.sqrt(float(np.linalg.norm",
               "tests/theorems/test_linear_feedback.py"),
        Mutant("R exchanges what a layer learns from and what it computes from", "(S @ q.T @ o).T", "(S @ o.T @ q).T",
               "tests/theorems/test_linear_feedback.py"),
    ],
    "nobackprop/studies/las_theory.py": [
        Mutant("the ball is twice as large", "lo = [float(values[-1]) / 2", "lo = [float(values[-1])",
               "tests/theorems/test_las.py"),
        Mutant("a module misses nothing", "r = [1 + p[i] /", "r = [1 + 0 * p[i] /", "tests/theorems/test_las.py"),
        Mutant("the error bends a third as much", "+ 3 * math.sqrt", "+ 1 * math.sqrt", "tests/theorems/test_las.py"),
        Mutant("the way is half as long", "(4 * x))**2", "(2 * x))**2", "tests/theorems/test_las.py"),
        Mutant("modules may be half as fast", "max(2 * c[i]", "max(c[i]", "tests/theorems/test_las.py"),
        Mutant("the slope is twice as steep", "mu = p[0]**2 * least", "mu = 2 * p[0]**2 * least",
               "tests/theorems/test_las.py"),
    ],
    "nobackprop/studies/forward_alignment_flow.py": [
        Mutant("the pace of steps is half as large", "pace = 2 * number(",
               "pace = number(", "tests/theorems/test_forward_alignment.py"),
        Mutant("the bound forgets the largest batch", '"non-negative") * _fastest(task, s)',
               '"non-negative") * largest(task)', "tests/theorems/test_forward_alignment.py"),
        Mutant("K has twice the square of W_2", "= S + S.T - W2.T @ W2", "= S + S.T - 2 * W2.T @ W2",
               "tests/theorems/test_forward_alignment.py"),
        Mutant("H has the whole square of W_1", "0.5 * (W1**2).sum()", "(W1**2).sum()",
               "tests/theorems/test_forward_alignment.py"),
        Mutant("the first layer hears through a W_2 that went back", "(W2 + ORDERS[order] * dW2).T",
               "(W2 - ORDERS[order] * dW2).T", "tests/theorems/test_forward_alignment.py"),
        Mutant("the midpoint lies elsewhere", '"midpoint": 0.5', '"midpoint": 0.4',
               "tests/theorems/test_forward_alignment.py"),
        Mutant("M' has the second square once", ".sum() - 2 * ((W2.T @ Z)**2)", ".sum() - ((W2.T @ Z)**2)",
               "tests/theorems/test_forward_alignment.py"),
        Mutant("a mode rests elsewhere", "rate = np.cbrt(mu / 2)", "rate = np.cbrt(mu / 3)",
               "tests/theorems/test_forward_alignment.py"),
        Mutant("M' is as printed", ".sum()) - twisted ", ".sum()) ", "tests/theorems/test_forward_alignment.py"),
        Mutant("the bound is not followed to its end", "for _ in range(200):", "for _ in range(3):",
               "tests/theorems/test_forward_alignment.py"),
        Mutant("the bound begins at half the height", "2 * max(1.0, u(task, W1, W2))",
               "max(1.0, u(task, W1, W2))", "tests/theorems/test_forward_alignment.py"),
        Mutant("a safe rate is twice as large", "bound(task, W1, W2, eta, s) > 1:", "bound(task, W1, W2, eta, s) > 2:",
               "tests/theorems/test_forward_alignment.py"),
        Mutant("the largest eigenvalue is the least", "eigvalsh(task.Sigma)[-1]", "eigvalsh(task.Sigma)[0]",
               "tests/theorems/test_forward_alignment.py"),
        Mutant("inputs are white, whatever Sigma is", "E if self.Sigma is None else E @ self.Sigma", "E",
               "tests/theorems/test_forward_alignment.py"),
        Mutant("W_1 is twice as large from zero", "(s * p**2 / 2) @", "(s * p**2) @",
               "tests/theorems/test_forward_alignment.py"),
        Mutant("the series for a mode's start is used too long", "s < 1e-3", "s < 1e-1",
               "tests/theorems/test_forward_alignment.py"),
    ],
    "nobackprop/studies/pipeline.py": [
        Mutant("the belt is one deeper", "len(self.items) < self.depth", "len(self.items) <= self.depth",
               "tests/test_pipeline.py"),
        Mutant("the belts of a run are one deeper", "belts = [Belt(depth) for", "belts = [Belt(depth + 1) for",
               "tests/test_pipeline.py"),
        Mutant("the slowest worker counts once more", "(n - 1) * max(costs)", "n * max(costs)",
               "tests/test_pipeline.py"),
        Mutant("work is shared out by the lightest share", "min((max(heaviest[k - 1, start][0], sum(",
               "min((min(heaviest[k - 1, start][0], sum(", "tests/test_pipeline.py"),
        Mutant("a component remembers no running statistics",
               "        network.remember(self.net[part], self.params[part], learnt.tape)\n", "",
               "tests/test_pipeline.py"),
        Mutant("every component has y* for its target", "(learnt.tape.h[1], learnt.t), learnt.losses",
               "(learnt.tape.h[1], t), learnt.losses", "tests/test_pipeline.py"),
        Mutant("a component weighs its blocks alone", "metrics.size(self.own) + metrics.size(state[i - 1])",
               "metrics.size(self.own)", "tests/test_pipeline.py"),
        Mutant("workers have one thread of BLAS, whatever was asked for", "with limit(1, blas=blas):",
               "with limit(1, blas=1):", "tests/test_pipeline.py"),
        Mutant("what lies on a belt that was left can be taken", "if self.left or not self.items:",
               "if not self.items:", "tests/test_pipeline.py"),
        Mutant("no rule is refused because some blocks do not learn", "locality.EVERY - row.hidden.learns)", "False)",
               "tests/test_pipeline.py"),
        Mutant("0 workers are workers", "integer(name, value, 1)", "integer(name, value, 0)", "tests/test_pipeline.py"),
        Mutant("the first worker has all batches before anybody works", "deque(batches), *(deque()",
               "deque(), *(deque(batches)", "tests/test_pipeline.py"),
    ],
    "nobackprop/figures.py": [
        Mutant("all rules of other packages look alike", "% len(palette)]", "% 1]", "tests/test_plots.py"),
        Mutant("ceiling and floor are not named", "ROLES.get(label, label)", "label", "tests/test_plots.py"),
        Mutant("the line is that of the place, not of the variant", "else variants.index(variant)", "else len(found)",
               "tests/test_plots.py"),
        Mutant("two arms look the same", "if (colour, line) not in taken), lines[0])", "), lines[0])",
               "tests/test_plots.py"),
        Mutant("names at the ends of curves cover each other", "while rows and middle - rows[-1][1] <",
               "while False and middle - rows[-1][1] <", "tests/test_plots.py tests/test_pictures.py"),
        Mutant("names leave the panel", "            middle = max(min(middle, high - half), low + half)\n", "",
               "tests/test_pictures.py"),
    ],
    "nobackprop/experiments/plots.py": [
        Mutant("the arms of a network are torn apart", "ceilings == set(variants)", "not variants",
               "tests/test_plots.py"),
        Mutant("the training loss is drawn", 'partial(score, part="validation")',
               'lambda record: record["train_loss"]',
               "tests/test_plots.py"),
        Mutant("the second block's alignment is drawn", "partial(cosine, block=0)", "partial(cosine, block=1)",
               "tests/test_plots.py"),
        Mutant("a band reaches to the first seed", "[max(values) for values in there]",
               "[values[0] for values in there]", "tests/test_plots.py"),
        Mutant("a figure ends with its shortest run", "last = max((len(epochs)", "last = min((len(epochs)",
               "tests/test_plots.py"),
        Mutant("two epochs are a course", "FEW = 2", "FEW = 1", "tests/test_plots.py"),
        Mutant("two seeds are one", '"1 seed" if number == 1', '"1 seed" if number <= 2', "tests/test_plots.py"),
        Mutant("the axis begins at 0", "(min(least, 0) - 0.04, 1.04)", "(-0.04, 1.04)", "tests/test_plots.py"),
        Mutant("the alignment of bp alone has a panel", "if any(first(record) is not None for run in of_others",
               'if any(first(record) is not None for run in results["runs"]', "tests/test_plots.py"),
        Mutant("the ceiling is in the first panel alone", "[everywhere + group for group in found]",
               "[everywhere * (group is found[0]) + group for group in found]", "tests/test_plots.py"),
        Mutant("epochs are drawn from 0 on", "range(1, len(epochs) + 1), [math.nan", "range(len(epochs)), [math.nan",
               "tests/test_plots.py"),
        Mutant("the largest figure is one rule smaller", "if len(arms) > MOST_RULES:", "if len(arms) >= MOST_RULES:",
               "tests/test_plots.py"),
        Mutant("a figure for many rules promises ranges",
               "'mean and range' if ranges else 'mean'", "'mean and range'",
               "tests/test_plots.py"),
        Mutant("an interrupted comparison looks whole", 'for end in ("interrupted", "diverged")',
               'for end in ("diverged",)', "tests/test_plots.py"),
    ],
}


def trial(root: Path, tests: str, limit: float = LIMIT) -> tuple[int | None, str, float]:
    """(pytest's exit code, None if it took too long; the test that failed first, else its last lines; seconds)."""
    shutil.rmtree(root / ".hypothesis", ignore_errors=True)  # examples of another mutant
    start = time.monotonic()
    variables = {"PYTHONPATH": str(root), "OPENBLAS_NUM_THREADS": "1", "HYPOTHESIS_PROFILE": "dev"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-n", "0", "--hypothesis-seed=0"]
    # in a session of its own, so that what a test has started ends with it
    with subprocess.Popen([*command, *tests.split()], cwd=root, env=os.environ | variables, text=True,
                          start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            printed, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            return None, f"more than {limit:g} s", time.monotonic() - start
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    failed = re.search(r"^(?:FAILED|ERROR) (.*?)(?: - |$)", printed, re.M)
    return process.returncode, failed[1] if failed else printed.strip()[-2000:], time.monotonic() - start


def judged(root: Path, number: int, file: str, mutant: Mutant) -> tuple[str, str, float]:
    """("caught" or "survived", by which test, seconds) of a mutant, in a copy of the repository that stays as it was.

    number: from 1, its own.  Raises ValueError if it cannot be tried.
    """
    whole = (root / file).stat().st_mtime
    text = (root / file).read_text(encoding="utf-8")
    try:
        (root / file).write_text(mutant.of(text), encoding="utf-8")
        # Python takes a compiled file for right if time and size are: no two mutants may have one time
        os.utime(root / file, (number, number))
        code, said, seconds = trial(root, mutant.tests)
    finally:
        (root / file).write_text(text, encoding="utf-8")
        os.utime(root / file, (whole, whole))
    if code not in (None, 0, 1):
        raise ValueError(f"{file}, '{mutant.says}': pytest ended with {code}\n{said}")
    return ("survived", "", seconds) if code == 0 else ("caught", said, seconds)


def in_copies(jobs: int, source: Path, work: Callable[[Path, T], R], items: Sequence[T]) -> list[R]:
    """work(copy, item) for every item, so many at a time, each in a copy of the repository of its own."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        free: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for k in range(jobs):
            free.put(shutil.copytree(source, Path(folder, str(k)), ignore=shutil.ignore_patterns(
                ".*", "__pycache__", "runs", "build", "*.egg-info")))

        def one(item: T) -> R:
            copy = free.get()
            try:
                return work(copy, item)
            finally:
                free.put(copy)

        futures = [pool.submit(one, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def fault(root: Path, tests: str) -> str:
    """What is wrong with these tests as things are, or nothing."""
    code, said, _ = trial(root, tests)
    return f"{tests}: fails without any mutant, at {said}" if code != 0 else ""


def run(mutants: dict[str, list[Mutant]], only: str = "", jobs: int = 2, source: Path = ROOT) -> bool:
    """Try those whose file or sentence holds `only`, print what came of each, and return whether that is good enough.

    Raises ValueError if a mutant does not apply, or if its tests fail without it, too.
    """
    chosen = [(file, mutant) for file, those in mutants.items() for mutant in those
              if re.search(only, f"{file}: {mutant.says}")]
    for file, mutant in chosen:
        mutant.of((source / file).read_text(encoding="utf-8"))
    faults = in_copies(jobs, source, fault, list(dict.fromkeys(mutant.tests for _, mutant in chosen)))
    if any(faults):
        raise ValueError("\n".join(filter(None, faults)))

    def one(root: Path, item: tuple[int, tuple[str, Mutant]]) -> bool:
        number, (file, mutant) = item
        found, by, seconds = judged(root, number, file, mutant)
        wrong = (found == "survived") != bool(mutant.survives)
        print(f"{found}{' AND SHOULD NOT' * wrong:16}{seconds:5.0f} s  {file}: {mutant.says}  "
              f"[{by or mutant.survives}]", flush=True)
        if wrong:
            surprises.append(f"{file}: {mutant.says}")
        return found == "caught"

    surprises: list[str] = []
    caught = sum(in_copies(jobs, source, one, list(enumerate(chosen, start=1))))
    print(f"{caught} of {len(chosen)} mutants caught, {caught / max(len(chosen), 1):.1%}", *surprises, sep="\n")
    return not surprises and caught >= ENOUGH * len(chosen)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--only", default="", metavar="PATTERN", help="those whose file or sentence has this in it")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (2)")
    asked = parser.parse_args(argv)
    try:
        return 0 if run(MUTANTS, asked.only, asked.jobs) else 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
