"""Structural operations of `jax.lax` that need an adapter: reshape, transpose, dot, reductions' small print. May import primitives."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.primitives import elementwise, linear_algebra, shape
from fnets.primitives.base import arr as arr_of
from fnets.primitives.base import as_axis, broadcast_to
from fnets.primitives.base import transpose as transpose_axes
from fnets.primitives.conv import conv_dimension_numbers, conv_general_dilated_patches
from fnets.primitives.sort import top_k


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
    return transpose_axes(arr_of(operand), tuple([int(p) for p in permutation]))


def dot(
    lhs: Any,
    rhs: Any,
    *,
    dimension_numbers: Any = None,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """The product of vectors and matrices; with `dimension_numbers`, `dot_general`.

    >>> dot(np.ones(3), np.ones(3))
    np.float64(3.0)
    """
    if dimension_numbers is not None:
        return linear_algebra.dot_general(lhs, rhs, dimension_numbers, precision, preferred_element_type)
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
    length = shape_of(operand)[as_axis(axis, len(shape_of(operand)), "split")]
    if sum(sizes) != length:
        raise ShapeError(
            f"[split] expected sizes that add up to {length}, the length of axis {axis}, got {tuple(sizes)}."
        )
    return shape.split(operand, list(np.cumsum(sizes)[:-1]), axis)


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that arrays of these shapes broadcast to.

    >>> broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    return elementwise.broadcast_shapes("broadcast_shapes", *[tuple(s) for s in shapes]) if shapes else ()


def conv_general_dilated_local(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: Any,
    filter_shape: Sequence[int],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    precision: Any = None,
) -> Any:
    """A convolution whose filter differs from place to place.

    Args:
      lhs: input, as in `conv_general_dilated`.
      rhs: filters: the axes of an ordinary filter, its input axis holding channels x window (the order of
        `conv_general_dilated_patches`), its spatial axes running over the result's places.
      filter_shape: the window.

    Returns:
      As `conv_general_dilated`.

    >>> conv_general_dilated_local(np.ones((1, 2, 5)), np.ones((4, 6, 3)), (1,), "VALID", (3,)).shape
    (1, 4, 3)
    """
    patches = conv_general_dilated_patches(
        lhs, filter_shape, window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers
    )
    numbers = conv_dimension_numbers(shape_of(lhs), shape_of(rhs), dimension_numbers)
    rhs_spec, out_spec = tuple(numbers.rhs_spec), tuple(numbers.out_spec)
    contract = ((out_spec[1],), (rhs_spec[1],))
    out = linear_algebra.dot_general(patches, rhs, (contract, (out_spec[2:], rhs_spec[2:])))
    return shape.moveaxis(out, tuple(range(len(out_spec))), (*out_spec[2:], out_spec[0], out_spec[1]))


def stack(operands: Sequence[Any], axis: int = 0) -> Any:
    """Arrays of one shape joined along a new axis.

    >>> stack([np.zeros(3), np.ones(3)]).shape
    (2, 3)
    """
    return shape.stack(operands, axis)


def unstack(x: Any, axis: int = 0) -> tuple[Any, ...]:
    """The slices along an axis, without that axis.

    >>> [v.shape for v in unstack(np.zeros((2, 3)))]
    [(3,), (3,)]
    """
    n = shape_of(x)[axis]
    return tuple([shape.squeeze(part, axis) for part in shape.split(x, n, axis)]) if n else ()


def tile(operand: Any, reps: Sequence[int]) -> Any:
    """The operand repeated as a whole along each axis.

    >>> tile(np.arange(2), (2,))
    array([0, 1, 0, 1])
    """
    return shape.tile(operand, reps)


def broadcast_like(arr: Any, like_arr: Any) -> Any:
    """The first array broadcast to the shape of the second.

    >>> broadcast_like(np.float32(1), np.zeros((2, 3))).shape
    (2, 3)
    """
    return broadcast_to(arr, shape_of(like_arr))


def broadcast_to_rank(x: Any, rank: int) -> Any:
    """The array with axes of length 1 in front, `rank` axes in all.

    >>> broadcast_to_rank(np.zeros(3), 3).shape
    (1, 1, 3)
    """
    missing = rank - len(shape_of(x))
    if missing < 0:
        raise ShapeError(f"[broadcast_to_rank] expected an array of at most {rank} axes, got shape {shape_of(x)}.")
    return shape.expand_dims(x, tuple(range(missing)))


def zeros_like_array(x: Any) -> Any:
    """Zeros with the shape and dtype of an array.

    >>> zeros_like_array(np.arange(2))
    array([0, 0])
    """
    return np.zeros(shape_of(x), dtype_of(arr_of(x)))


def approx_max_k(operand: Any, k: int, reduction_dimension: int = -1, **ignored: Any) -> tuple[Any, Any]:
    """The k largest elements along an axis and their positions; exact here.

    >>> approx_max_k(np.array([1, 3, 2]), 2)
    (array([3, 2]), array([1, 2]))
    """
    return top_k(operand, k, axis=reduction_dimension)


def approx_min_k(operand: Any, k: int, reduction_dimension: int = -1, **ignored: Any) -> tuple[Any, Any]:
    """The k smallest elements along an axis and their positions; exact here.

    >>> approx_min_k(np.array([1, 3, 2]), 2)
    (array([1, 2]), array([0, 2]))
    """
    values, positions = top_k(elementwise.neg(operand), k, axis=reduction_dimension)
    return elementwise.neg(values), positions


def shape_as_value(shape: Sequence[int]) -> np.ndarray:
    """A shape as a vector of int64.

    >>> shape_as_value((2, 3))
    array([2, 3])
    """
    return np.array([int(n) for n in shape], np.int64)


def platform_dependent(*args: Any, default: Callable | None = None, **per_platform: Callable) -> Any:
    """The function for "cpu", or `default`, applied to the arguments.

    >>> platform_dependent(2, cpu=lambda x: x + 1, default=lambda x: x)
    3
    """
    chosen = per_platform.get("cpu", default)
    if chosen is None:
        raise ArgumentError(
            "[platform_dependent] expected a function for cpu or a default, got neither. Pass default=."
        )
    return chosen(*args)


def with_sharding_constraint(x: Any, shardings: Any) -> Any:
    """`x` as it is: there is one device.

    >>> with_sharding_constraint(1.0, None)
    1.0
    """
    return x


def reduce_window_shape_tuple(
    operand_shape: Sequence[int],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> tuple[int, ...]:
    """The shape of a `reduce_window` with explicit padding.

    >>> reduce_window_shape_tuple((6,), (2,), (2,), [(0, 0)])
    (3,)
    """
    ones = (1,) * len(operand_shape)
    out = []
    for n, k, stride, (low, high), base, window in zip(
        operand_shape, window_dimensions, window_strides, padding, base_dilation or ones, window_dilation or ones
    ):
        have = (n - 1) * base + 1 + low + high if n else low + high
        out.append(max(0, (have - ((k - 1) * window + 1)) // stride + 1))
    return tuple(out)


def dce_sink(val: Any, *, prevent_mlir_dce: bool = False) -> None:
    """Nothing: there is no compiler that would have to keep `val`.

    >>> dce_sink(1.0)
    """
