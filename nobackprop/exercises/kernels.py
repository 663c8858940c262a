"""The exercises of the notebook on the three products that every rule is made of."""
from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import convolution, linear
from .base import Exercise, Given, Mistake

IMAGE = np.array([[1.0, 0, 2, 1], [0, 3, 1, 2], [2, 1, 0, 5], [1, 0, 4, 2]])
KERNEL = np.array([[1.0, -1], [2, 3]])


def _batch(seed: int) -> Given:
    """A batch of 4 samples, for a layer of as many outputs as inputs: there a transposed matrix fits, too."""
    rng = np.random.default_rng(seed)
    return {"W": rng.standard_normal((3, 5)), "B": rng.standard_normal((3, 3)), "u": rng.standard_normal((4, 5)),
            "delta": rng.standard_normal((4, 3))}


def _image(seed: int) -> Given:
    rng = np.random.default_rng(seed)
    return {"image": rng.standard_normal((4, 4)), "K": rng.standard_normal((2, 2)),
            "delta": rng.standard_normal((3, 3))}


def _sent_back(delta: np.ndarray, K: np.ndarray) -> Any:
    return convolution.plain_feedback(K.reshape(1, -1), delta[None, :, :, None], (1, 4, 4, 1), 2)[0, :, :, 0]


EXERCISES = (
    Exercise(
        "kernels:forward",
        'Write the first product, "forward": from W (F, K) and a batch u (N, K) the outputs (N, F) of a layer.',
        """
        def answer(W, u):
            return u @ W.T
        """,
        _batch, linear.forward,
        wrong=(
            Mistake("transposed", "def answer(W, u): return W @ u.T",
                    "You have its transpose: samples count the rows here, and outputs the columns."),
            Mistake("one sample", "def answer(W, u): return W @ u[0]",
                    "That is the output of the first sample alone."),
            Mistake("mean over inputs", "def answer(W, u): return u @ W.T / u.shape[1]",
                    "You have divided by the number of inputs; a neuron adds them up."),
        ),
        hints=("The product of (N, K) and (K, F) is (N, F): the axis in the middle disappears.",
               "W is (F, K), so W.T is (K, F)."),
        what="table of outputs",
    ),
    Exercise(
        "kernels:feedback",
        'Write the second product, "feedback": from B (F, K) and the signals delta (N, F) what comes to the K inputs.',
        """
        def answer(B, delta):
            return delta @ B
        """,
        _batch, linear.feedback,
        wrong=(
            Mistake("transposed B", "def answer(B, delta): return delta @ B.T",
                    "B is transposed: delta has an entry for each output, and the outputs count the rows of B."),
            Mistake("sum over samples", "def answer(B, delta): return (delta @ B).sum(0)",
                    "You have added up the samples. A signal belongs to one sample; gradients of weights are sums."),
            Mistake("mean", "def answer(B, delta): return delta @ B / len(delta)",
                    "You have divided by N. The mean is taken once, in the error e; all products after it are sums."),
        ),
        hints=("For one sample: input k gets the sum over all outputs f of delta_f B_fk.",
               "The product of (N, F) and (F, K) is (N, K): nothing needs to be transposed."),
        what="table of signals",
    ),
    Exercise(
        "kernels:outer",
        'Write the product "outer": from delta (N, F) and u (N, K) the matrix (F, K) of the sums over the N samples.',
        """
        def answer(delta, u):
            return delta.T @ u
        """,
        _batch, linear.outer,
        wrong=(
            Mistake("transposed", "def answer(delta, u): return u.T @ delta",
                    "You have its transpose: the outputs F count the rows, and the inputs K the columns."),
            Mistake("mean", "def answer(delta, u): return delta.T @ u / len(u)",
                    "You have divided by N. The mean is taken once, in the error e; all products after it are sums."),
        ),
        hints=("Which axis of delta and u counts the samples? That axis must disappear.",
               "A product of matrices makes the inner axis disappear: (F, N) times (N, K) is (F, K)."),
        what="matrix",
    ),
    Exercise(
        "kernels:patch",
        "Compute by hand the number in row 1 and column 2 of the convolution of the image with the kernel K; rows and "
        "columns are counted from 0.",
        """
        answer = 1 * 1 + 2 * (-1) + 0 * 2 + 5 * 3
        """,
        lambda seed: {"image": IMAGE.copy(), "K": KERNEL.copy()},
        right=lambda image, K: float(convolution.plain_forward(K.reshape(1, -1), image[None, :, :, None],
                                                               2)[0, 1, 2, 0]),
        wrong=(
            Mistake("flipped kernel", "answer = (image[1:3, 2:4] * K[::-1, ::-1]).sum()",
                    "You have turned the kernel round, as a convolution in mathematics does. In neural networks it "
                    "stays as it is."),
            Mistake("row and column", "answer = (image[2:4, 1:3] * K).sum()",
                    "You have row 2 and column 1: the row comes first."),
            Mistake("counted from 1", "answer = (image[0:2, 1:3] * K).sum()",
                    "You have counted from 1: row 1 is the second one."),
            Mistake("transposed kernel", "answer = (image[1:3, 2:4] * K.T).sum()",
                    "You have exchanged rows and columns of the kernel."),
        ),
        hints=("The patch has its upper left pixel in row 1 and column 2: it is 1, 2 above 0, 5.",
               "Multiply each pixel of the patch by the number of the kernel in the same place, and add up."),
        what="number",
    ),
    Exercise(
        "kernels:fold",
        "Write the feedback of a convolution: from K (2, 2) and signals delta (3, 3) what reaches the 4 x 4 pixels.",
        """
        def answer(delta, K):
            down = np.zeros((4, 4))
            for i in range(3):
                for j in range(3):
                    down[i:i + 2, j:j + 2] += delta[i, j] * K
            return down
        """,
        _image, _sent_back,
        wrong=(
            Mistake("overwritten", """
                    def answer(delta, K):
                        down = np.zeros((4, 4))
                        for i in range(3):
                            for j in range(3):
                                down[i:i + 2, j:j + 2] = delta[i, j] * K
                        return down
                    """, "Patches overlap: what comes back to a pixel from several of them must be added up, with +=."),
            Mistake("flipped kernel", """
                    def answer(delta, K):
                        down = np.zeros((4, 4))
                        for i in range(3):
                            for j in range(3):
                                down[i:i + 2, j:j + 2] += delta[i, j] * K[::-1, ::-1]
                        return down
                    """, "You have turned the kernel round. A pixel hears through the number that multiplied it."),
            Mistake("transposed kernel", """
                    def answer(delta, K):
                        down = np.zeros((4, 4))
                        for i in range(3):
                            for j in range(3):
                                down[i:i + 2, j:j + 2] += delta[i, j] * K.T
                        return down
                    """, "You have exchanged rows and columns of the kernel."),
        ),
        hints=("Begin with a table of zeros, and go through the 3 x 3 places of the output.",
               "The place (i, j) has seen the patch image[i:i + 2, j:j + 2], and sends delta[i, j] * K back to it."),
        what="table of signals",
    ),
    Exercise(
        "kernels:conv-outer",
        "Write the gradient of the kernel: from the signals delta (3, 3) and the image (4, 4) the table (2, 2).",
        """
        def answer(delta, image):
            K = np.zeros((2, 2))
            for i in range(3):
                for j in range(3):
                    K += delta[i, j] * image[i:i + 2, j:j + 2]
            return K
        """,
        _image,
        right=lambda delta, image: convolution.plain_outer(delta[None, :, :, None], image[None, :, :, None],
                                                           2).reshape(2, 2),
        wrong=(
            Mistake("mean", """
                    def answer(delta, image):
                        return sum(delta[i, j] * image[i:i + 2, j:j + 2] for i in range(3) for j in range(3)) / 9
                    """, "You have divided by the number of places. The kernel serves all of them, and hears the sum."),
            Mistake("flipped", """
                    def answer(delta, image):
                        K = sum(delta[i, j] * image[i:i + 2, j:j + 2] for i in range(3) for j in range(3))
                        return K[::-1, ::-1]
                    """, "Your table is turned round: the upper left number of K is the one for upper left pixels."),
            Mistake("one place", "def answer(delta, image): return delta[0, 0] * image[:2, :2]",
                    "That is the share of the first place alone: the kernel is used in nine places."),
        ),
        hints=("For one place it is delta times the patch that this place has seen.",
               "Add that up over all 3 x 3 places."),
        what="gradient",
    ),
)
