"""Backpropagation with Adam, written out for one kind of network: as fast as NumPy goes without an engine.

    python -m tests.reference.fused --model mlp:1024,1024 --batch-size 64 --threads 1

measures the library's steps in alternation with it.
"""
from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from nobackprop.studies.speed.bench import REST, random_run, stepper
from nobackprop.tree import leaves
from nobackprop.workers import cores, limit

RULES = ("bp", "las", "dfa")
BLOCK = 1 << 16  # elements that Adam treats at a time, so that they stay in the cache


class Fused:
    """A ReLU network with softmax and cross-entropy under Adam; `params` are changed in place.

    params: (W (F, K), b (F,)) of each layer, from the input up.
    """

    def __init__(self, params: list[tuple[np.ndarray, np.ndarray]], lr: float):
        self.params, self.lr, self.steps, self.samples = params, lr, 0, 0

        dtype = params[0][0].dtype
        self.grads = [(np.empty_like(W), np.empty_like(b)) for W, b in params]
        scratch = np.empty(BLOCK, dtype)
        self.parts = []
        for pair, grads in zip(params, self.grads, strict=True):
            parts = []
            for w, g in zip(pair, grads, strict=True):
                flat = w.reshape(-1), g.reshape(-1), np.zeros(w.size, dtype), np.zeros(w.size, dtype)
                for start in range(0, w.size, BLOCK):
                    block = [a[start:start + BLOCK] for a in flat]
                    parts.append((*block, scratch[:len(block[0])]))
            self.parts.append(parts)

    def step(self, x: np.ndarray, y: np.ndarray) -> None:
        """One training step on x (N, K) with one-hot targets y (N, C)."""
        if len(x) != self.samples:
            self.samples = len(x)
            # a column a sample: OpenBLAS multiplies W by a narrow matrix faster than a flat one by W^T
            self.h = [np.empty((len(b), len(x)), b.dtype) for _, b in self.params]
            self.delta = [np.empty_like(h) for h in self.h]
            self.on = [np.empty(h.shape, bool) for h in self.h]

        last = len(self.params) - 1
        below = x.T
        for i, (W, b) in enumerate(self.params):
            h = self.h[i]
            np.matmul(W, below, out=h)
            h += b[:, None]
            if i < last:
                np.maximum(h, 0, out=h)
            below = h

        delta = self.h[last]
        delta -= delta.max(0)
        np.exp(delta, out=delta)
        delta /= delta.sum(0)
        delta -= y.T
        delta /= len(x)

        self.steps += 1
        beta1, beta2 = 0.9, 0.999
        root = math.sqrt((1 - beta2**self.steps) / (1 - beta2))
        eps, k = 1e-8 * root, self.lr * (1 - beta1) / (1 - beta1**self.steps) * root
        for i in range(last, -1, -1):
            below = self.h[i - 1] if i else x.T
            W_grad, b_grad = self.grads[i]
            np.matmul(delta, below.T, out=W_grad)
            np.sum(delta, 1, out=b_grad)
            if i:
                W, down, on = self.params[i][0], self.delta[i - 1], self.on[i - 1]
                np.matmul(W.T, delta, out=down)
                np.greater(below, 0, out=on)
                down *= on
                delta = down
            for w, g, M, V, s in self.parts[i]:
                M *= beta1
                M += g
                V *= beta2
                np.multiply(g, g, out=s)
                V += s
                np.sqrt(V, out=s)
                s += eps
                np.divide(M, s, out=s)
                s *= k
                w -= s


def fused_step(model: str, data: str, batch_size: int) -> Callable[[], None]:
    """The next step of the network that the library would train, on batches gathered from the same inputs."""
    run = random_run(model, data, "bp", batch_size, "adam")
    arrays = [array for _, array in leaves(run.params)]
    fused = Fused(list(zip(arrays[::2], arrays[1::2], strict=True)), run.settings.lr)
    x, y = run.x.reshape(len(run.x), -1), run.y

    def one_step() -> None:
        i = run.rng.integers(len(x), size=batch_size)
        fused.step(x[i], y[i])
    return one_step


def race(steps: dict[str, Callable[[], None]], rounds: int, block: int, threads: int) -> dict[str, np.ndarray]:
    """Milliseconds a step, (rounds,) for each: by turns, so that all see the machine in the same state.

    The fused step has so many threads of BLAS, and the library's steps have so many workers.
    """
    ms = {name: np.empty(rounds) for name in steps}
    for i in range(-1, rounds):  # the first round warms up
        for name, one_step in steps.items():
            with threadpool_limits(threads, user_api="blas") if name == "fused" else limit(threads):
                time.sleep(REST if threads > 1 else 0.0)
                one_step()  # finds the arrays of another in the cache, and so is not counted
                start = time.perf_counter()
                for _ in range(block):
                    one_step()
                ms[name][max(i, 0)] = (time.perf_counter() - start) / block * 1e3
    return ms


def main() -> None:
    """Print how many times as long as the fused step the library's steps take, with the quartiles."""
    parser = argparse.ArgumentParser(description="the library's training steps against straight-line NumPy")
    parser.add_argument("--model", default="mlp:1024,1024", help="default: %(default)s")
    parser.add_argument("--data", default="mnist", help="whose shape; default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=cores(), metavar="N", help="default: all cores")
    parser.add_argument("--rounds", type=int, default=30, metavar="N", help="default: %(default)s")
    parser.add_argument("--block", type=int, default=8, metavar="N",
                        help="steps a turn; default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    args = parser.parse_args()
    steps = {"fused": fused_step(args.model, args.data, args.batch_size)}
    for rule in RULES:
        steps[rule] = stepper(random_run(args.model, args.data, rule, args.batch_size, "adam"))
    ms = race(steps, args.rounds, args.block, args.threads)
    names = ("low", "median", "high")
    ratios: dict[str, Any] = {
        rule: dict(zip(names, np.quantile(ms[rule] / ms["fused"], (0.25, 0.5, 0.75)).tolist(), strict=True))
        for rule in RULES}
    medians = {name: float(np.median(values)) for name, values in ms.items()}
    if args.json:
        print(json.dumps({**vars(args), "ms_per_step": medians, "ratio_to_fused": ratios}, indent=1))
        return
    print(f"{args.model} on inputs as of {args.data}, batch size {args.batch_size}, threads: {args.threads}")
    print(f"{'fused':<6} {medians['fused']:8.3f} ms a step")
    for rule, ratio in ratios.items():
        print(f"{rule:<6} {medians[rule]:8.3f} ms a step, {ratio['median']:.3f} times as long "
              f"(quartiles {ratio['low']:.3f} and {ratio['high']:.3f})")


if __name__ == "__main__":
    main()
