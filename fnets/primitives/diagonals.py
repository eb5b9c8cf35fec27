"""Diagonals and triangles of matrices, as functions over reshape, slice, pad and select. May import base, elementwise, shape, core."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import AxisError, ShapeError
from fnets.primitives.base import arr, as_axis, reduce_sum, reshape, transpose
from fnets.primitives.elementwise import select
from fnets.primitives.shape import pad, slice_in_dim


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal of a matrix, or of the matrices in two axes of an array; it becomes the last axis. A view of a contiguous array.

    Args:
      a: array of at least two axes.
      offset: how far above the main diagonal (negative: below).

    >>> diagonal(np.arange(9).reshape(3, 3), 1)
    array([1, 5])
    """
    a = arr(a)
    shape = shape_of(a)
    axis1, axis2 = as_axis(axis1, len(shape), "diagonal"), as_axis(axis2, len(shape), "diagonal")
    if axis1 == axis2:
        raise AxisError(f"[diagonal] expected two different axes, got {axis1} twice.")
    rest = tuple([i for i in range(len(shape)) if i not in (axis1, axis2)])
    n, m = shape[axis1], shape[axis2]
    length = max(0, min(n, m - offset) if offset >= 0 else min(n + offset, m))
    # along the rows laid end to end, the diagonal is every (m + 1)-th element: its transpose is a dilated padding
    flat = reshape(transpose(a, (*rest, axis1, axis2)), (*[shape[i] for i in rest], n * m))
    if not length:
        return slice_in_dim(flat, 0, 0, axis=-1)
    start = offset if offset >= 0 else -offset * m
    return slice_in_dim(flat, start, start + (length - 1) * (m + 1) + 1, m + 1, axis=-1)


def diag(v: Any, k: int = 0) -> Any:
    """The square matrix with a vector on its k-th diagonal, or the k-th diagonal of a matrix.

    >>> diag(np.array([1, 2]))
    array([[1, 0],
           [0, 2]])
    """
    v = arr(v)
    shape = shape_of(v)
    if len(shape) == 2:
        return diagonal(v, k)
    if len(shape) != 1:
        raise ShapeError(f"[diag] expected a vector or a matrix, got shape {shape}. Use diagonal for more axes.")
    length = shape[0]
    n = length + abs(k)
    start = k if k >= 0 else -k * n
    behind = n * n - start - (length + max(0, length - 1) * n)
    return reshape(pad(v, 0, ((start, behind, n),)), (n, n))


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of a diagonal; small integers widen, as in NumPy.

    >>> trace(np.arange(9).reshape(3, 3))
    np.int64(12)
    """
    along = diagonal(a, offset, axis1, axis2)
    return reduce_sum(along, (len(shape_of(along)) - 1,))


def tril(m: Any, k: int = 0) -> Any:
    """The last two axes as matrices with zeros above the k-th diagonal.

    >>> tril(np.ones((2, 2), int))
    array([[1, 0],
           [1, 1]])
    """
    return _triangle("tril", m, k, lower=True)


def triu(m: Any, k: int = 0) -> Any:
    """The last two axes as matrices with zeros below the k-th diagonal.

    >>> triu(np.ones((2, 2), int))
    array([[1, 1],
           [0, 1]])
    """
    return _triangle("triu", m, k - 1, lower=False)


def _triangle(op: str, m: Any, k: int, lower: bool) -> Any:
    m = arr(m)
    shape = shape_of(m)
    if len(shape) < 2:
        raise ShapeError(
            f"[{op}] expected at least two axes, got shape {shape}. Use x[None] to make a row of a vector."
        )
    below = np.arange(shape[-1]) <= np.arange(k, k + shape[-2])[:, None]
    return select(below if lower else np.logical_not(below), m, np.zeros((), dtype_of(m)))
