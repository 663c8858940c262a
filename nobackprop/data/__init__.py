"""Data sets: `load` gives one by its name, `from_arrays` makes one from your own arrays, `read_idx` reads IDX files."""
from .dataset import Dataset, from_arrays
from .idx import read_idx, write_idx
from .sources import DATASETS, load, source
from .tasks import one_hot

__all__ = ["DATASETS", "Dataset", "from_arrays", "load", "one_hot", "read_idx", "source", "write_idx"]
