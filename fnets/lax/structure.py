"""Structural operations of `jax.lax` that need an adapter: reshape, transpose, dot, reductions' small print. May import primitives."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnets.core.trace import shape_of
from fnets.errors import ShapeError
from fnets.primitives import linear_algebra, shape
from fnets.primitives.base import arr
from fnets.primitives.base import transpose as transpose_axes


class Precision(enum.Enum):
    """Accepted for JAX's sake: every product is computed in the operands' own precision.

    >>> Precision.HIGHEST.name
    'HIGHEST'
    """

    DEFAULT = 0
    HIGH = 1
    HIGHEST = 2


def reshape(operand: Any, new_sizes: Any, dimensions: Sequence[int] | None = None, *, out_sharding: Any = None) -> Any:
    """The operand in another shape; `dimensions` permutes its axes first.

    >>> reshape(np.arange(4), (2, 2)).shape
    (2, 2)
    """
    return shape.reshape_dims(operand, new_sizes, dimensions)


def transpose(operand: Any, permutation: Sequence[int]) -> Any:
    """The operand with its axes permuted.

    >>> transpose(np.zeros((2, 3)), (1, 0)).shape
    (3, 2)
    """
    return transpose_axes(arr(operand), tuple([int(p) for p in permutation]))


def dot(lhs: Any, rhs: Any, precision: Any = None, preferred_element_type: Any = None, **ignored: Any) -> Any:
    """The product of vectors and matrices.

    >>> dot(np.ones(3), np.ones(3))
    np.float64(3.0)
    """
    if not (1 <= len(shape_of(lhs)) <= 2 and 1 <= len(shape_of(rhs)) <= 2):
        raise ShapeError(
            f"[dot] expected vectors or matrices, got shapes {shape_of(lhs)} and {shape_of(rhs)}. Use dot_general or matmul."
        )
    return linear_algebra.dot(lhs, rhs, precision=precision, preferred_element_type=preferred_element_type)


def batch_matmul(lhs: Any, rhs: Any, precision: Any = None) -> Any:
    """The products of stacks of matrices.

    >>> batch_matmul(np.ones((2, 3, 4)), np.ones((2, 4, 5))).shape
    (2, 3, 5)
    """
    if len(shape_of(lhs)) < 2 or len(shape_of(rhs)) < 2:
        raise ShapeError(
            f"[batch_matmul] expected arrays of two or more axes, got shapes {shape_of(lhs)} and {shape_of(rhs)}."
        )
    return linear_algebra.matmul(lhs, rhs)


def split(operand: Any, sizes: Sequence[int], axis: int = 0) -> list[Any]:
    """Cut an axis into parts of the given sizes.

    >>> [p.shape for p in split(np.zeros(5), (2, 3))]
    [(2,), (3,)]
    """
    if sum(sizes) != shape_of(operand)[axis]:
        raise ShapeError(
            f"[split] expected sizes that add up to {shape_of(operand)[axis]}, the length of axis {axis}, got {tuple(sizes)}."
        )
    return shape.split(operand, list(np.cumsum(sizes)[:-1]), axis)
