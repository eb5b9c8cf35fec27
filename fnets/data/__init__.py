"""Data sets and batches: `mnist`, `Dataset`, `iterator`, IDX files. Lives here: the public names only, each from the
module that defines it."""

from fnets.data.batches import BatchIterator, iterator
from fnets.data.dataset import Dataset, compose, normalize
from fnets.data.datasets import mnist
from fnets.data.idx import read_idx, write_idx

__all__ = ["BatchIterator", "Dataset", "compose", "iterator", "mnist", "normalize", "read_idx", "write_idx"]
