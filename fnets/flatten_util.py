"""A pytree as one vector, and back, under the name of `jax.flatten_util`. May import tree, primitives, core.

>>> import numpy as np
>>> from fnets.flatten_util import ravel_pytree
>>> flat, unravel = ravel_pytree({"w": np.ones((2, 2), np.float32), "b": np.zeros(2, np.float32)})
>>> flat
array([0., 0., 1., 1., 1., 1.], dtype=float32)
>>> unravel(flat)["w"].shape
(2, 2)
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fnets import tree
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import DTypeError, ShapeError
from fnets.primitives.base import arr, convert, reshape
from fnets.primitives.indexing import getitem_spec
from fnets.primitives.shape import concatenate

__all__ = ["ravel_pytree"]


def ravel_pytree(pytree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """The leaves of a pytree in one vector, and the function that turns such a vector back into the tree.

    Args:
        pytree: arrays and numbers in nested containers. Leaves of different dtypes are promoted to a common one.

    Returns:
        (flat, unravel). `flat` has shape (n,), n being the number of all elements; without leaves it is an empty float32
        vector, which widens nothing. `unravel(vector)` gives a tree of the structure and the shapes of `pytree`; its leaves have their own dtypes again where those
        differ, else the dtype of the vector. Both are differentiable, and work under jit and vmap.
        NumPy leaves are views of the vector.

    Raises:
        ArgumentError: a leaf is not an array or a number.
        ShapeError: `unravel` gets an array that is not of shape (n,).
        DTypeError: `unravel` gets another dtype than that of `flat`, where leaves of different dtypes were promoted.

    >>> flat, unravel = ravel_pytree([np.array([1, 2]), np.array(0.5)])
    >>> flat
    array([1. , 2. , 0.5])
    >>> unravel(2 * flat)
    [array([2, 4]), array(1.)]
    """
    leaves, structure = tree.flatten(pytree)
    leaves = [arr(leaf) for leaf in leaves]
    dtypes = tuple([dtype_of(leaf) for leaf in leaves])
    shapes = tuple([shape_of(leaf) for leaf in leaves])
    dtype = np.result_type(*dtypes) if leaves else np.dtype(np.float32)
    parts = [reshape(convert(leaf, dtype), (math.prod(shape),)) for leaf, shape in zip(leaves, shapes)]
    flat = concatenate(parts) if parts else np.zeros(0, dtype)
    return flat, _Unravel(structure, shapes, None if all([d == dtype for d in dtypes]) else dtypes, dtype)


@dataclasses.dataclass(frozen=True)
class _Unravel:
    """Cuts a vector into the leaves of a tree. Equal for trees that are alike, so that it may be a static argument of jit."""

    structure: tree.PyTreeDef
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[np.dtype, ...] | None  # of the leaves, where they differ
    dtype: np.dtype

    def __call__(self, vector: Any) -> Any:
        vector = arr(vector)
        ends = list(itertools.accumulate([math.prod(shape) for shape in self.shapes], initial=0))
        if shape_of(vector) != (ends[-1],):
            raise ShapeError(
                f"[unravel] expected a vector of shape ({ends[-1]},), got {shape_of(vector)}. Pass one like `flat`."
            )
        if self.dtypes and dtype_of(vector) != self.dtype:
            raise DTypeError(
                f"[unravel] expected dtype {self.dtype.name}, to which the leaves were promoted, got {dtype_of(vector).name}. "
                f"Use vector.astype('{self.dtype.name}')."
            )
        cuts = zip(ends, ends[1:], self.shapes)
        parts = [reshape(getitem_spec(vector, ((i, j, 1),)), shape) for i, j, shape in cuts]
        return self.structure.unflatten(
            [convert(part, dtype) for part, dtype in zip(parts, self.dtypes)] if self.dtypes else parts
        )
