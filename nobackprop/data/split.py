"""Splitting rows at random into two parts, so that a data set needs no scikit-learn to be split as scikit-learn does.

The parts are those of scikit-learn's `train_test_split`, row for row; a test compares them.  They come from NumPy's old
generator, whose numbers never change.
"""
from __future__ import annotations

import numpy as np


def split_rows(rows: int, held_out: int, seed: int, classes: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the rows that stay, and of those that are held out, both in a random order.

    Parameters
    ----------
    rows : int
        How many rows there are.
    held_out : int
        How many of them are held out; the others stay.
    seed : int
        From 0 to 2**32 - 1: all that is drawn comes from it.
    classes : array (rows,), optional
        The class of each row.  If it is given, every class has about the same frequency in both parts.

    Returns
    -------
    tuple of array of int
        The indices (rows - held_out,) and (held_out,).

    Examples
    --------
    >>> stay, held = split_rows(6, 2, seed=0, classes=np.array([0, 0, 0, 1, 1, 1]))
    >>> sorted([*stay.tolist(), *held.tolist()]), sorted((held > 2).tolist())
    ([0, 1, 2, 3, 4, 5], [False, True])
    """
    draw = np.random.RandomState(seed)
    if classes is None:
        order = draw.permutation(rows)
        return order[held_out:], order[:held_out]
    _, of, counts = np.unique(classes, return_inverse=True, return_counts=True)
    stay = _shares(draw, counts, rows - held_out)
    held = _shares(draw, counts - stay, held_out)
    parts: tuple[list[np.ndarray], list[np.ndarray]] = [], []
    for label, (n, m) in enumerate(zip(stay, held)):
        mixed = np.flatnonzero(of == label)[draw.permutation(counts[label])]
        parts[0].append(mixed[:n])
        parts[1].append(mixed[n:n + m])
    first, second = (draw.permutation(np.concatenate(part)) for part in parts)
    return first, second


def _shares(draw: np.random.RandomState, counts: np.ndarray, total: int) -> np.ndarray:
    """Share `total` draws among classes in proportion to their counts; the largest remainders get what is left over.

    Chance decides which of several equal remainders get it.
    """
    exact = counts / counts.sum() * total
    whole = np.floor(exact)
    left, rest = int(total - whole.sum()), exact - whole
    for value in np.unique(rest)[::-1]:
        if left == 0:
            break
        equal = np.flatnonzero(rest == value)
        lucky = draw.choice(equal, min(len(equal), left), replace=False)
        whole[lucky] += 1
        left -= len(lucky)
    shares: np.ndarray = whole.astype(int)
    return shares
