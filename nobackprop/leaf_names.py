"""What the name of a leaf means: the one place that says which parameters are transported, decayed and learnt.

A layer's parameters are a dict of arrays.  The key of an array says what the array is:

- `W`: weights between two layers.  Only they can be *transported*: a learning rule may put feedback weights in their
  place on the way down.  Only they shrink under weight decay.
- `b`, `gamma`, `beta`: numbers of one neuron, or of one channel.  They are *local*: they learn by the exact gradient
  inside their block under every rule, and never decay.
- `mean`, `var`: *running* statistics of batch normalisation, which prediction reads.  No gradient moves them.
"""
from __future__ import annotations

TRANSPORTED = frozenset({"W"})
LOCAL = frozenset({"b", "gamma", "beta"})
RUNNING = frozenset({"mean", "var"})


def leaf_name(path: str) -> str:
    """Return the last part of a leaf's path, which is the key that says what the leaf is.

    Parameters
    ----------
    path : str
        A path as `tree.leaves` gives it: keys and indices, joined by '/'.

    Returns
    -------
    str
        The last key.

    Examples
    --------
    >>> leaf_name("2/body/0/W"), leaf_name("2/body/1/gamma") in LOCAL
    ('W', True)
    """
    return path.rpartition("/")[2]
