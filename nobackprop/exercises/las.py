"""The exercises of the notebook on the LAS paper."""
from __future__ import annotations

import numpy as np

from ..backend import Array
from ..heads import ConvHead, DenseHead
from ..kernels import linear
from ..kernels.activation import d_tanh
from ..kernels.loss import d_cross_entropy, d_squared
from .base import Exercise, Given, Mistake

# the shapes are square on purpose: a transposed B then gives no error, but another number, which can be recognised
N, F = 6, 4


def _layer(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    return {"delta": rng.standard_normal((N, F)), "W": rng.standard_normal((F, F)),
            "h": np.tanh(rng.standard_normal((N, F)))}


def _module(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    return {"B": rng.standard_normal((F, F)), "h": np.tanh(rng.standard_normal((N, F))),
            "a_L": rng.standard_normal((N, F))}


def _modules(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    return {"B": [rng.standard_normal((F, F)) for _ in range(2)], "e": rng.standard_normal((N, F)) / N,
            "h": [np.tanh(rng.standard_normal((N, F))) for _ in range(2)]}


def _target(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    return {"B": rng.standard_normal((F, F)), "h": np.tanh(rng.standard_normal((N, F))),
            "y": np.eye(F)[rng.integers(F, size=N)]}


def _image(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    return {"B": rng.standard_normal((F, 9 * 2)), "h": rng.standard_normal((N, 5, 5, 2)), "k": 3}


def _course(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    h = rng.standard_normal((N, F))
    return {"D": rng.standard_normal((3, F)), "h": h, "eta": 0.5 / np.linalg.eigvalsh(h.T @ h / N)[-1],
            "k": 4 + seed}


def _delta(delta: Array, W: Array, h: Array) -> Array:
    found: Array = linear.feedback(W, delta) * d_tanh(h)
    return found


def _gradient(B: Array, h: Array, a_L: Array) -> Array:
    return DenseHead().grad(B, h, d_squared(DenseHead().forward(B, h), a_L))


def _sent(B: list[Array], e: Array, h: list[Array]) -> list[Array]:
    return [DenseHead().send(b, e, u.shape) * d_tanh(u) for b, u in zip(B, h, strict=True)]


def _to_target(B: Array, h: Array, y: Array) -> Array:
    return DenseHead().grad(B, h, d_cross_entropy(DenseHead().forward(B, h), y))


def _said(B: Array, h: Array) -> Array:
    return ConvHead(3).forward(B, h)


def _after(D: Array, h: Array, eta: float, k: int) -> Array:
    B = D.copy()  # the product of the weights above is 0, so that the module's B is its distance from it
    for _ in range(k):
        B -= eta * _gradient(B, h, np.zeros((len(h), len(B))))
    return B


EXERCISES = (
    Exercise(
        "las:7",
        "Write (7): from delta (N, F), which is delta_{i+1}, from W, which is W_{i+1}, and from h, which is h_i = "
        "tanh(a_i), the error signal delta_i of backpropagation.",
        """
        def answer(delta, W, h):
            return (delta @ W) * (1 - h**2)
        """,
        _layer, _delta,
        wrong=(
            Mistake("forgotten f'", "def answer(delta, W, h): return delta @ W",
                    "The factor f'(a) of (7) is missing."),
            Mistake("transposed W", "def answer(delta, W, h): return (delta @ W.T) * (1 - h**2)",
                    "You have W transposed once too often: in (7) delta is a column, here each sample is a row."),
            Mistake("h for a", "def answer(delta, W, h): return (delta @ W) * (1 - np.tanh(h)**2)",
                    "You took h for a: f'(a) = 1 - tanh(a)^2, and tanh(a) is h itself."),
        ),
        hints=("W_{i+1}^T delta for one column is delta @ W for a batch of rows.",
               "The derivative of tanh at a is 1 - h^2, with h = tanh(a)."),
        what="signal",
    ),
    Exercise(
        "las:21",
        "Write LAS (21) with the right sign: the gradient of the module's loss (20), with its factor 1/2 and as a "
        "mean over the N samples, with respect to B (C, F).",
        """
        def answer(B, h, a_L):
            y_i = h @ B.T
            return (y_i - a_L).T @ h / len(h)
        """,
        _module, _gradient,
        wrong=(
            Mistake("printed sign", "def answer(B, h, a_L): return (a_L - h @ B.T).T @ h / len(h)",
                    "Is the sign that of (21) as printed? A gradient descends the loss (20) if it is subtracted."),
            Mistake("missing 1/N", "def answer(B, h, a_L): return (h @ B.T - a_L).T @ h",
                    "The mean over the batch is missing: divide by N."),
            Mistake("factor 2", "def answer(B, h, a_L): return 2 * (h @ B.T - a_L).T @ h / len(h)",
                    "You have derived (20) as it is printed, without its factor 1/2, and so you have a factor 2."),
            Mistake("transposed B", "def answer(B, h, a_L): return (h @ B - a_L).T @ h / len(h)",
                    "The module says h @ B.T: B has the shape (C, F) of the forward map."),
            Mistake("transposed gradient", "def answer(B, h, a_L): return h.T @ (h @ B.T - a_L) / len(h)",
                    "You have the transpose of the gradient: its rows belong to the C outputs, as those of B do."),
        ),
        hints=("What the module says is y_i = h @ B.T, (19); its error is the difference of y_i and a_L.",
               "The gradient of a dense layer is (error).T @ input, and the error is a mean over the batch."),
        what="gradient", part="module",
    ),
    Exercise(
        "las:24",
        "Write (24) for two hidden layers: a list of delta_1 and delta_2, from a list of both modules, from e as in "
        "(5) and from a list of both h_i = tanh(a_i).",
        """
        def answer(B, e, h):
            return [(e @ b) * (1 - u**2) for b, u in zip(B, h)]
        """,
        _modules, _sent,
        wrong=(
            Mistake("forgotten f'", "def answer(B, e, h): return [e @ b for b in B]",
                    "The factor f'(a) of (24) is missing."),
            Mistake("transposed B", "def answer(B, e, h): return [(e @ b.T) * (1 - u**2) for b, u in zip(B, h)]",
                    "B is transposed once too often: as a list of rows, B_{i+1} e is e @ B."),
            Mistake("printed (22)", "def answer(B, e, h): return [-(e @ b) * (1 - u**2) for b, u in zip(B, h)]",
                    "The sign is that of (22) as printed, y* - y. The e that you were given is that of (5)."),
            Mistake("modules exchanged",
                    "def answer(B, e, h): return [(e @ b) * (1 - u**2) for b, u in zip(B[::-1], h)]",
                    "The modules are exchanged: the first one stands on h_1."),
            Mistake("layer by layer",
                    "def answer(B, e, h):\n"
                    "    two = (e @ B[1]) * (1 - h[1]**2)\n"
                    "    return [(two @ B[0]) * (1 - h[0]**2), two]",
                    "Your delta_1 comes from delta_2, as in feedback alignment. In (24) each comes from e."),
        ),
        hints=("Each signal comes directly from e. No delta_{i+1} stands on the right of (24).",
               "For a batch of rows B_{i+1} e is e @ B, and the factor f'(a) is 1 - h^2."),
        what="signal", part="layer",
    ),
    Exercise(
        "las:27",
        "Write (27) for classes, with the right sign: the gradient of the cross-entropy (26), as a mean over the N "
        "samples, of an LTAS module B (C, F) with the targets y (N, C).",
        """
        def answer(B, h, y):
            said = np.exp(h @ B.T)
            said /= said.sum(1, keepdims=True)
            return (said - y).T @ h / len(h)
        """,
        _target, _to_target,
        wrong=(
            Mistake("missing softmax", "def answer(B, h, y): return (h @ B.T - y).T @ h / len(h)",
                    "The softmax is missing, as in line 4 of Algorithm 2. Section III.B asks for it."),
            Mistake("printed sign",
                    "def answer(B, h, y):\n"
                    "    said = np.exp(h @ B.T)\n"
                    "    return (y - said / said.sum(1, keepdims=True)).T @ h / len(h)",
                    "Is the sign that of (27) as printed? It climbs the loss, as that of (21) does."),
            Mistake("missing 1/N",
                    "def answer(B, h, y):\n"
                    "    said = np.exp(h @ B.T)\n"
                    "    return (said / said.sum(1, keepdims=True) - y).T @ h",
                    "The mean over the batch is missing: divide by N."),
            Mistake("softmax over samples",
                    "def answer(B, h, y):\n"
                    "    said = np.exp(h @ B.T)\n"
                    "    return (said / said.sum(0) - y).T @ h / len(h)",
                    "Your softmax adds up over the samples. It has to add up over the classes, the last axis."),
        ),
        hints=("An LTAS module is a linear classifier on h: its error is softmax(h @ B.T) - y, over N.",
               "softmax(a) is exp(a) divided by the sum of exp(a) over the classes."),
        what="gradient",
    ),
    Exercise(
        "las:III.C",
        "Write what a module next to a convolution says (section III.C): the convolution of h (N, H, W, planes), "
        "without padding and with stride 1, by B (C, k k planes), and then the average over all its positions.",
        """
        def answer(B, h, k):
            patches = [h[:, i:i + k, j:j + k].reshape(len(h), -1)
                       for i in range(h.shape[1] - k + 1) for j in range(h.shape[2] - k + 1)]
            return np.mean(patches, 0) @ B.T
        """,
        _image, _said,
        wrong=(
            Mistake("sum for average",
                    "def answer(B, h, k):\n"
                    "    patches = [h[:, i:i + k, j:j + k].reshape(len(h), -1)\n"
                    "               for i in range(h.shape[1] - k + 1) for j in range(h.shape[2] - k + 1)]\n"
                    "    return np.sum(patches, 0) @ B.T",
                    "You have added up over the positions. Global pooling is an average here: divide by their number."),
            Mistake("maximum",
                    "def answer(B, h, k):\n"
                    "    patches = [h[:, i:i + k, j:j + k].reshape(len(h), -1)\n"
                    "               for i in range(h.shape[1] - k + 1) for j in range(h.shape[2] - k + 1)]\n"
                    "    return np.max([patch @ B.T for patch in patches], 0)",
                    "You have taken the maximum, as the published code does. It is not linear, so it has no adjoint."),
            Mistake("patch backwards",
                    "def answer(B, h, k):\n"
                    "    patches = [h[:, i:i + k, j:j + k].reshape(len(h), -1)[:, ::-1]\n"
                    "               for i in range(h.shape[1] - k + 1) for j in range(h.shape[2] - k + 1)]\n"
                    "    return np.mean(patches, 0) @ B.T",
                    "You have flipped the kernel. It is flipped on the way down, not on the way up."),
        ),
        hints=("Cut out every patch of k x k pixels, and flatten it in the order of rows, columns, planes.",
               "The average of B times each patch is B times the average patch."),
        what="output",
    ),
    Exercise(
        "las:30",
        "In a linear network whose weights stand still, a module's distance D from the product of the weights above "
        "it changes by (30). Write D after k steps of the rate eta, with the right sign, from D (C, F) at the start "
        "and a batch h (N, F).",
        """
        def answer(D, h, eta, k):
            S = h.T @ h / len(h)
            return D @ np.linalg.matrix_power(np.eye(len(S)) - eta * S, k)
        """,
        _course, _after,
        wrong=(
            Mistake("printed sign",
                    "def answer(D, h, eta, k):\n"
                    "    S = h.T @ h / len(h)\n"
                    "    return D @ np.linalg.matrix_power(np.eye(len(S)) + eta * S, k)",
                    "Is the sign that of (30) as printed? With it the distance grows."),
            Mistake("missing 1/N",
                    "def answer(D, h, eta, k):\n"
                    "    S = h.T @ h\n"
                    "    return D @ np.linalg.matrix_power(np.eye(len(S)) - eta * S, k)",
                    "S is the mean of h h^T over the batch: divide by N."),
            Mistake("one step",
                    "def answer(D, h, eta, k):\n"
                    "    S = h.T @ h / len(h)\n"
                    "    return D @ (np.eye(len(S)) - eta * k * S)",
                    "You have taken one step that is k times as long. Each of the k steps multiplies by I - eta S."),
        ),
        hints=("One step takes eta D S from D, with S the mean of h h^T over the batch.",
               "So it multiplies D from the right by I - eta S; np.linalg.matrix_power does that k times."),
        what="distance",
    ),
)
