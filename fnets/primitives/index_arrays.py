"""Index arrays as data: shapes of what they select, checks, batch dimensions. Lives here: no primitives. May import base, elementwise, core, errors.

An indexed array `x[...]` has index arrays at ascending `axes` and takes every other axis whole; the shape of the result is NumPy's.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray
from fnets.core.trace import shape_of
from fnets.errors import ArgumentError, IndexingError, ShapeError
from fnets.primitives.base import move_dim, reshape, transpose
from fnets.primitives.elementwise import broadcast_shapes
from fnets.primitives.scatter_kernels import placement

Axes = tuple[int, ...]


@functools.lru_cache(maxsize=256)
def _small_iota(n: int, ndim: int, axis: int) -> np.ndarray:
    out = np.arange(n).reshape([n if k == axis else 1 for k in range(ndim)])
    out.flags.writeable = False
    return out


def iota_along(n: int, ndim: int, axis: int) -> np.ndarray:
    """0, 1, ..., n - 1 along one of `ndim` axes, the others of length 1. Read-only; small ones are shared.

    >>> iota_along(3, 2, 0).shape
    (3, 1)
    """
    return _small_iota(n, ndim, axis) if n <= 65536 else _small_iota.__wrapped__(n, ndim, axis)


@functools.lru_cache(maxsize=4096)
def gathered_shape(shape: tuple[int, ...], index_shape: tuple[int, ...], axes: Axes) -> tuple[int, ...]:
    """The shape of x[...] with index arrays of this common shape at these axes.

    >>> gathered_shape((4, 5, 6), (2, 3), (1,)), gathered_shape((4, 5, 6), (2, 3), (0, 2))
    ((4, 2, 3, 6), (2, 3, 5))
    """
    pos = placement(axes)
    rest = [n for d, n in enumerate(shape) if d not in axes]
    return (*rest[:pos], *index_shape, *rest[pos:])


def common_index_shape(indices: Sequence[Any]) -> tuple[int, ...]:
    """The shape that index arrays broadcast to.

    >>> common_index_shape([np.zeros((2, 1), int), np.zeros(3, int)])
    (2, 3)
    """
    if len(indices) == 1:
        return shape_of(indices[0])
    try:
        return broadcast_shapes("getitem", *[shape_of(i) for i in indices])
    except ShapeError:
        told = " ".join(str(shape_of(i)) for i in indices)
        raise IndexingError(
            f"[getitem] expected index arrays that broadcast together, got shape mismatch: {told}. Add axes with i[:, None], or use fnets.numpy.ix_."
        ) from None


def check_indices(op: str, ndim: int, indices: Sequence[ShapedArray], axes: Axes) -> None:
    for i in indices:
        if i.dtype.kind not in "iu":
            raise IndexingError(
                f"[{op}] expected arrays used as indices to be of integer (or boolean) type, got {i.dtype.name}. Use i.astype('int32')."
            )
    if list(axes) != sorted(set(axes)) or len(axes) != len(indices) or not axes or not 0 <= axes[0] <= axes[-1] < ndim:
        raise ArgumentError(
            f"[{op}] expected one index array for each of the ascending axes {axes} of an array with {ndim} axes, got {len(indices)}."
        )


def batched_indices(size: int, indices: Sequence[Any], dims: Sequence[int | None], index_ndim: int) -> list[Any]:
    """The index arrays with the batch dimension in front of their common shape; those without one broadcast."""
    out = []
    for i, d in zip(indices, dims):
        if d is not None:
            i = move_dim(i, d, 0, size)
            own = shape_of(i)[1:]
            i = reshape(i, (size, *(1,) * (index_ndim - len(own)), *own))
        out.append(i)
    return out


def batched_index_ndim(indices: Sequence[Any], dims: Sequence[int | None]) -> int:
    return max([len(shape_of(i)) - (d is not None) for i, d in zip(indices, dims)])


def shifted(axes: Axes) -> Axes:
    return tuple([a + 1 for a in axes])


def move_block(x: Any, src: int, dst: int, width: int) -> Any:
    """Move `width` neighbouring dimensions from position src to dst."""
    if src == dst or width == 0:
        return x
    rest = [k for k in range(len(shape_of(x))) if not src <= k < src + width]
    return transpose(x, (*rest[:dst], *range(src, src + width), *rest[dst:]))


def check_updates(op: str, got: tuple[int, ...], shape: tuple[int, ...], indices: Sequence[Any], axes: Axes) -> None:
    expected = gathered_shape(shape, common_index_shape(indices), axes)
    if got != expected:
        raise ShapeError(
            f"[{op}] expected updates of the shape {expected} that the index selects from {shape}, got {got}. Broadcast them first."
        )


def batched_updates(size: int, u: Any, dim: int | None, indices_batched: bool, axes: Axes, index_ndim: int) -> Any:
    """Updates with their batch dimension where an array that has its own in front, and these indices, expect it."""
    adjacent = axes[-1] - axes[0] == len(axes) - 1
    if not indices_batched:
        return move_dim(u, dim, 0 if adjacent else index_ndim, size)
    return move_block(move_dim(u, dim, 0, size), placement(axes) + 1, 1, index_ndim)
