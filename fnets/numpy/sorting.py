"""Sorting and order statistics of position: `sort`, `argsort`, `partition`, `searchsorted`, `digitize`. May import arguments, primitives.

NaN sorts last. What is sorted carries its derivative along; positions carry none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnets.core.trace import Tracer, dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.numpy.arguments import as_dtype, flat, operands, promoted, to_array
from fnets.primitives import elementwise as e
from fnets.primitives import sort as p
from fnets.primitives.base import as_axis, broadcast_to, convert, reshape
from fnets.primitives.shape import rev, slice_in_dim

__all__ = [
    "argpartition", "argsort", "digitize", "lexsort", "partition", "searchsorted", "sort", "sort_complex",
]  # fmt: skip


def _along(a: Any, axis: int | None, op: str) -> tuple[Any, int]:
    """The array and the checked axis to work along; the raveled array for None."""
    a = to_array(a)
    if axis is None:
        return (flat(a) if shape_of(a) else reshape(a, (1,))), 0
    return a, as_axis(axis, len(shape_of(a)), op)


def _no_order(op: str, order: Any) -> None:
    if order is not None:
        raise ArgumentError(f"[{op}] expected no order=: arrays here have no fields. Leave it out.")


def sort(
    a: Any,
    axis: int | None = -1,
    kind: Any = None,
    order: Any = None,
    *,
    stable: bool | None = True,
    descending: bool = False,
) -> Any:
    """Sorted along an axis; the raveled array for None. NaN sorts last.

    Args:
      a: array.
      axis: the axis.
      kind, stable: accepted; equal elements always keep their order.
      descending: from large to small.

    >>> sort(np.array([3, 1, 2]), descending=True)
    array([3, 2, 1])
    """
    _no_order("sort", order)
    a, axis = _along(a, axis, "sort")
    out = p.sort_p.bind(a, dimension=axis)
    return rev(out, (axis,)) if descending else out


def argsort(
    a: Any,
    axis: int | None = -1,
    kind: Any = None,
    order: Any = None,
    *,
    stable: bool | None = True,
    descending: bool = False,
    dtype: Any = None,
) -> Any:
    """The positions (int64, or another integer `dtype`) that sort an array; arguments as `sort`. Equal elements keep their order.

    >>> argsort(np.array([3, 1, 2]))
    array([1, 2, 0])
    """
    _no_order("argsort", order)
    return p.argsort(to_array(a), axis, descending=descending, dtype=as_dtype(dtype))


def lexsort(keys: Any, axis: int = -1) -> Any:
    """The positions that sort by several keys, of which the last counts most.

    >>> lexsort((np.array([2, 1, 1]), np.array([0, 0, 0])))
    array([1, 2, 0])
    """
    return p.lexsort([to_array(k) for k in keys], axis)


def sort_complex(a: Any) -> Any:
    """The array sorted along its last axis, as complex numbers.

    >>> sort_complex(np.array([2, 1]))
    array([1.+0.j, 2.+0.j])
    """
    a = sort(a)
    dtype = dtype_of(a)
    if dtype.kind == "c":
        return a
    return convert(
        a, np.complex64 if dtype.itemsize <= 2 and dtype.kind in "iuf" or dtype == np.float32 else np.complex128
    )


def partition(
    a: Any, kth: int | Sequence[int], axis: int | None = -1, kind: Any = "introselect", order: Any = None
) -> Any:
    """An array whose kth element stands where sorting would put it, smaller ones before it, larger ones behind. Here it is fully sorted.

    >>> partition(np.array([3, 1, 2]), 1)
    array([1, 2, 3])
    """
    a, axis = _along(a, axis, "partition")
    _check_kth("partition", kth, shape_of(a)[axis])
    return p.sort_p.bind(a, dimension=axis)


def argpartition(
    a: Any, kth: int | Sequence[int], axis: int | None = -1, kind: Any = "introselect", order: Any = None
) -> Any:
    """The positions of a `partition`.

    >>> argpartition(np.array([3, 1, 2]), 1)
    array([1, 2, 0])
    """
    a, axis = _along(a, axis, "argpartition")
    _check_kth("argpartition", kth, shape_of(a)[axis])
    return p.argsort(a, axis)


def _check_kth(op: str, kth: Any, n: int) -> None:
    for k in np.atleast_1d(kth).tolist():
        if not -n <= k < n:
            raise ArgumentError(f"[{op}] expected kth between {-n} and {n - 1}, got {k}.")


def searchsorted(
    a: Any, v: Any, side: str = "left", sorter: Any = None, *, method: str | None = None, dtype: Any = None
) -> Any:
    """Where elements would have to be inserted to keep `a` sorted.

    Args:
      a: sorted vector.
      v: values to find places for, of any shape.
      side: "left" gives the first suitable place, "right" the last.
      sorter: positions that sort `a`, if it is not sorted.
      method: accepted and ignored.

    Returns:
      Positions of the shape of `v`, as int64 or another integer `dtype`.

    >>> searchsorted(np.array([1, 2, 3]), 2.5)
    np.int64(2)
    """
    a, v = promoted(a, v)
    if len(shape_of(a)) != 1:
        raise ShapeError(
            f"[searchsorted] expected a sorted vector, got shape {shape_of(a)}. Use fnets.vmap for several sorted vectors."
        )
    out = p.searchsorted(a, v, side, None if sorter is None else to_array(sorter))
    return out if dtype is None else convert(out, as_dtype(dtype))


def digitize(x: Any, bins: Any, right: bool = False, *, method: str | None = None) -> Any:
    """The bin of each value: i with `bins[i-1] <= x < bins[i]` (`<` and `<=` if `right`); `bins` may also decrease.

    >>> digitize(np.array([0.5, 2.0, 9.0]), np.array([1.0, 2.0, 3.0]))
    array([0, 2, 3])
    """
    x, bins = operands(x, bins)
    shape = shape_of(bins)
    if len(shape) != 1:
        raise ShapeError(f"[digitize] expected a vector of bins, got shape {shape}.")
    n = shape[0]
    if n == 0:
        return np.zeros(shape_of(x), np.int64)
    if not isinstance(bins, Tracer):
        steps = np.diff(bins)
        if not (np.all(steps >= 0) or np.all(steps <= 0)):
            raise ArgumentError(
                "[digitize] expected bins that increase or decrease throughout, got neither. Sort them."
            )
    up = searchsorted(bins, x, "left" if right else "right")
    if not isinstance(bins, Tracer) and not bins[0] > bins[-1]:
        return up
    down = e.sub(n, searchsorted(rev(bins, (0,)), x, "right" if right else "left"))
    first, last = slice_in_dim(bins, 0, 1), slice_in_dim(bins, n - 1, n)
    return e.select(broadcast_to(reshape(e.gt(first, last), ()), shape_of(x)), down, up)
