"""Reductions over segments of an array, under JAX's module name. May import numpy."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.numpy import add, at, full, maximum, minimum, multiply
from fnets.primitives.base import arr


def _identity(dtype: np.dtype, largest: bool) -> Any:
    """What the minimum (`largest`) or maximum of nothing is: the extreme value of a dtype."""
    if dtype.kind == "b":
        return largest
    if dtype.kind in "iu":
        return np.iinfo(dtype).max if largest else np.iinfo(dtype).min
    return np.inf if largest else -np.inf


def _segments(op: str, method: str, combine: Callable, identity: Callable[[np.dtype], Any]) -> Callable:
    def reduce(
        data: Any,
        segment_ids: Any,
        num_segments: int | None = None,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        bucket_size: int | None = None,
        mode: Any = None,
        out_sharding: Any = None,
    ) -> Any:
        data, ids = arr(data), arr(segment_ids)
        if len(shape_of(ids)) != 1 or shape_of(data)[:1] != shape_of(ids):
            raise ShapeError(
                f"[{op}] expected segment_ids of one number for every row of data, got shape {shape_of(ids)} for data of shape {shape_of(data)}."
            )
        n = shape_of(ids)[0]
        if num_segments is None:
            num_segments = int(ids.max()) + 1 if n else 0
        num_segments = num_segments.__index__()
        if num_segments < 0:
            raise ArgumentError(f"[{op}] expected num_segments of at least 0, got {num_segments}.")
        start = full((num_segments, *shape_of(data)[1:]), identity(dtype_of(data)), dtype_of(data))
        step = bucket_size or max(n, 1)
        parts = []
        for i in range(0, n, step):
            update = getattr(at(start)[ids[i : i + step]], method)
            parts.append(
                update(
                    data[i : i + step],
                    mode=mode or "drop",
                    unique_indices=unique_indices,
                    wrap_negative_indices=False,
                )
            )
        return functools.reduce(combine, parts) if parts else start

    reduce.__name__ = reduce.__qualname__ = op
    return reduce


_ARGS = """

    Args:
      data: array.
      segment_ids: integers, one for every row of `data`: the segment that it belongs to. In any order, repeated or not.
      num_segments: how many segments there are, the length of the result; by default the largest id plus one, which must then be known.
      bucket_size: reduce so many rows at a time, which sums floats more precisely.
      mode: what ids out of range mean; by default those rows are left out.

    """

segment_sum = _segments("segment_sum", "add", add, lambda dtype: 0)
segment_sum.__doc__ = f"""The sum of the rows of each segment.{_ARGS}>>> segment_sum(np.arange(5), np.array([0, 0, 1, 1, 2]))
    array([1, 5, 4])
    """
segment_prod = _segments("segment_prod", "multiply", multiply, lambda dtype: 1)
segment_prod.__doc__ = f"""The product of the rows of each segment.{_ARGS}>>> segment_prod(np.arange(5), np.array([0, 0, 1, 1, 2]))
    array([0, 6, 4])
    """
segment_max = _segments("segment_max", "max", maximum, lambda dtype: _identity(dtype, False))
segment_max.__doc__ = f"""The maximum of the rows of each segment.{_ARGS}>>> segment_max(np.arange(5), np.array([0, 0, 1, 1, 2]))
    array([1, 3, 4])
    """
segment_min = _segments("segment_min", "min", minimum, lambda dtype: _identity(dtype, True))
segment_min.__doc__ = f"""The minimum of the rows of each segment.{_ARGS}>>> segment_min(np.arange(5), np.array([0, 0, 1, 1, 2]))
    array([0, 2, 4])
    """

__all__ = ["segment_max", "segment_min", "segment_prod", "segment_sum"]
