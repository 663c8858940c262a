"""Data sets: `load` one by name, or bring your own with `from_arrays` and `read_idx`."""
from .dataset import Dataset, from_arrays, one_hot
from .idx import read_idx, write_idx
from .sources import DATASETS, load

__all__ = ["DATASETS", "Dataset", "from_arrays", "load", "one_hot", "read_idx", "write_idx"]
