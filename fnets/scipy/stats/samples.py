"""Statistics of samples: mode, rankdata, sem. May import `fnets.numpy`, transforms, primitives, core."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError
from fnets.numpy import reductions as r
from fnets.numpy.arguments import flat, to_array, to_inexact
from fnets.numpy.nan_reductions import nanstd
from fnets.numpy.sorting import argsort, searchsorted, sort
from fnets.primitives import elementwise as e
from fnets.primitives.base import as_axis, convert, reshape
from fnets.primitives.cumulative import cummax, cumsum
from fnets.primitives.gather import take_along
from fnets.primitives.reduce import argmax
from fnets.primitives.shape import concatenate, expand_dims, moveaxis, slice_in_dim, squeeze
from fnets.transforms.vmap import vmap

__all__ = ["ModeResult", "mode", "rankdata", "sem"]


class ModeResult(NamedTuple):
    """The result of `mode`.

    >>> ModeResult(1, 2).count
    2
    """

    mode: Any
    count: Any


def _policy(op: str, nan_policy: str, allowed: tuple[str, ...]) -> None:
    if nan_policy not in allowed:
        raise ArgumentError(f"[{op}] expected nan_policy {' or '.join(map(repr, allowed))}, got {nan_policy!r}.")


def _along(op: str, a: Any, axis: int | None) -> tuple[Any, int]:
    a = to_array(a)
    if axis is None:
        return flat(a), 0
    return a, as_axis(axis, len(shape_of(a)), op)


def mode(a: Any, axis: int | None = 0, nan_policy: str = "propagate", keepdims: bool = False) -> ModeResult:
    """The most common value along an axis, the smallest of several, and how often it occurs.

    Args:
      a: array.
      axis: an axis, or None for the raveled array.
      nan_policy: "propagate" alone: nan counts as a value, larger than all others.
      keepdims: keep the axis with length 1.

    >>> mode(np.array([3, 1, 3, 1, 2])).mode
    np.int64(1)
    """
    _policy("mode", nan_policy, ("propagate",))
    ndim = len(shape_of(to_array(a)))
    x, axis_ = _along("mode", a, axis)
    n = shape_of(x)[axis_]
    if not n:
        raise ArgumentError(f"[mode] expected at least one element along axis {axis_}, got shape {shape_of(x)}.")
    x = moveaxis(sort(x, axis_), axis_, -1)
    last = len(shape_of(x)) - 1
    left, right = slice_in_dim(x, 0, n - 1, axis=-1), slice_in_dim(x, 1, n, axis=-1)
    same = e.logical_or(e.eq(left, right), e.logical_and(e.ne(left, left), e.ne(right, right)))
    starts = concatenate([np.zeros((*shape_of(x)[:-1], 1), np.int64), e.select(same, 0, np.arange(1, n))], last)
    length = e.add(e.sub(np.arange(n), cummax(starts, last)), 1)
    where = expand_dims(argmax(length, last), -1)
    out = [squeeze(take_along(v, where, last), -1) for v in (x, length)]
    if keepdims:
        out = [expand_dims(v, axis_) if axis is not None else reshape(v, (1,) * ndim) for v in out]
    return ModeResult(*[v[()] if isinstance(v, np.ndarray) else v for v in out])


def rankdata(a: Any, method: str = "average", *, axis: int | None = None, nan_policy: str = "propagate") -> Any:
    """The ranks of the elements, from 1 up.

    Args:
      a: array.
      method: of equal elements "average", "min", "max" of their ranks; "dense" (the next larger element follows without a gap) or "ordinal" (in
        the order of their positions).
      axis: rank along this axis; by default the raveled array.
      nan_policy: "propagate": where there is a nan, all ranks are nan.

    >>> rankdata(np.array([10, 20, 20, 5]))
    array([2. , 3.5, 3.5, 1. ])
    """
    _policy("rankdata", nan_policy, ("propagate",))
    methods = ("average", "min", "max", "dense", "ordinal")
    if method not in methods:
        raise ArgumentError(f"[rankdata] expected method {', '.join(map(repr, methods))}, got {method!r}.")
    x, axis_ = _along("rankdata", a, axis)
    rows = moveaxis(x, axis_, -1)
    matrix = _matrix(rows)
    ranks = vmap(lambda row: _ranks(row, method))(matrix) if shape_of(matrix)[0] else matrix
    ranks = moveaxis(reshape(ranks, shape_of(rows)), -1, axis_)
    if dtype_of(x).kind == "f":
        bad = r.any(e.ne(x, x), axis_, keepdims=True)
        ranks = e.select(bad, np.nan, convert(ranks, np.result_type(dtype_of(ranks), np.float64)))
    return ranks


def _matrix(rows: Any) -> Any:
    shape = shape_of(rows)
    size = 1
    for n in shape[:-1]:
        size *= n
    return reshape(rows, (size, shape[-1]))


def _ranks(row: Any, method: str) -> Any:
    order = argsort(row)
    if method == "ordinal":
        return e.add(argsort(order), 1)
    ordered = sort(row)
    low = searchsorted(ordered, row, "left")
    if method == "dense":
        n = shape_of(row)[0]
        new = e.ne(slice_in_dim(ordered, 1, n), slice_in_dim(ordered, 0, n - 1)) if n else ordered
        groups = concatenate([np.ones(min(n, 1), np.int64), convert(new, np.int64)], 0)
        return take_along(cumsum(groups, 0), low, 0)
    high = searchsorted(ordered, row, "right")
    if method == "min":
        return e.add(low, 1)
    return high if method == "max" else e.mul(e.add(e.add(low, high), 1), 0.5)


def sem(a: Any, axis: int | None = 0, ddof: int = 1, nan_policy: str = "propagate", *, keepdims: bool = False) -> Any:
    """The standard error of the mean: the standard deviation over the root of the number of elements.

    Args:
      a: array.
      axis: an axis, or None for all.
      ddof: the divisor is the number of elements less this.
      nan_policy: "propagate", or "omit": leave nan out.
      keepdims: keep the axis with length 1.

    >>> sem(np.array([1.0, 2.0, 3.0])).round(6)
    np.float64(0.57735)
    """
    _policy("sem", nan_policy, ("propagate", "omit"))
    a = to_inexact(a)
    if nan_policy == "omit":
        count = r.sum(e.eq(a, a), axis, keepdims=keepdims)
        return e.div(nanstd(a, axis, ddof=ddof, keepdims=keepdims), e.sqrt(convert(count, dtype_of(a))))
    axes = range(len(shape_of(a))) if axis is None else (axis,)
    count = r.count_along(shape_of(a), tuple([as_axis(i, len(shape_of(a)), "sem") for i in axes]))
    return e.div(r.std(a, axis, ddof=ddof, keepdims=keepdims), float(np.sqrt(count)))
