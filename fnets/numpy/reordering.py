"""Repeating and reordering elements under NumPy's names: `tile`, `repeat`, `flip`, `rot90`, `roll`, `resize`. May import arguments, primitives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnets.core.trace import Tracer, dtype_of, shape_of
from fnets.errors import AxisError, ShapeError
from fnets.numpy.arguments import flat, known, static_shape, to_array
from fnets.primitives import elementwise as e
from fnets.primitives import shape as s
from fnets.primitives.base import as_axes, as_axis, broadcast_to, convert, reshape
from fnets.primitives.cumulative import cumsum
from fnets.primitives.gather import index_gather
from fnets.primitives.reduce import reduce_sum

__all__ = [
    "flip", "fliplr", "flipud", "repeat", "resize", "roll", "rot90", "tile", "trim_zeros",
]  # fmt: skip


def _pick(a: Any, positions: Any, axis: int) -> Any:
    """The slices of `a` at integer positions along an axis."""
    return index_gather(a, (positions,), (axis,))


def _fresh(out: Any, source: Any) -> Any:
    """A copy, where NumPy promises one and nothing had to be done."""
    return out.copy() if isinstance(out, np.ndarray) and (out is source or out.base is not None) else out


def tile(A: Any, reps: int | Sequence[int]) -> Any:
    """`A` repeated as a whole along each axis.

    >>> tile(np.array([1, 2]), (2, 2))
    array([[1, 2, 1, 2],
           [1, 2, 1, 2]])
    """
    A = to_array(A)
    return _fresh(s.tile(A, static_shape(reps, "tile")), A)


def repeat(a: Any, repeats: Any, axis: int | None = None, *, total_repeat_length: int | None = None) -> Any:
    """Every element repeated along an axis (of the raveled array by default).

    Args:
      a: array.
      repeats: how often, for all elements or for each one along the axis.
      total_repeat_length: the length of the result; lets `repeats` be unknown while tracing. A longer result repeats the last element.

    >>> repeat(np.array([1, 2]), np.array([2, 1]))
    array([1, 1, 2])
    """
    a = to_array(a)
    if axis is None:
        a, axis = flat(a), 0
    shape = shape_of(a)
    axis = as_axis(axis, len(shape), "repeat")
    n = shape[axis]
    if total_repeat_length is None:
        repeats = known(repeats, "repeat", "repeats")
        if isinstance(repeats, (int, np.integer)):
            return _fresh(s.repeat(a, repeats, axis), a)
        counts = np.asarray(repeats)
        if counts.size == 1:
            return _fresh(s.repeat(a, int(counts.item()), axis), a)
        if counts.shape != (n,):
            raise ShapeError(
                f"[repeat] expected one number of repeats, or {n} for axis {axis} of {shape}, got shape {counts.shape}."
            )
        return _pick(a, np.repeat(np.arange(n), counts), axis)
    counts = broadcast_to(to_array(repeats), (n,))
    ends = cumsum(counts)
    before = convert(e.le(s.expand_dims(ends, 1), np.arange(total_repeat_length)), np.int64)
    positions = e.minimum(reduce_sum(before, (0,)), n - 1)
    return _pick(a, positions, axis)


def flip(m: Any, axis: int | Sequence[int] | None = None) -> Any:
    """The order of elements reversed along axes, all by default. A view.

    >>> flip(np.arange(3))
    array([2, 1, 0])
    """
    return s.rev(to_array(m), axis)


def fliplr(m: Any) -> Any:
    """The second axis reversed.

    >>> fliplr(np.array([[1, 2]]))
    array([[2, 1]])
    """
    return s.rev(to_array(m), 1)


def flipud(m: Any) -> Any:
    """The first axis reversed.

    >>> flipud(np.array([1, 2]))
    array([2, 1])
    """
    return s.rev(to_array(m), 0)


def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """A quarter turn in the plane of two axes, from the first towards the second, `k` times.

    >>> rot90(np.array([[1, 2], [3, 4]]))
    array([[2, 4],
           [1, 3]])
    """
    m = to_array(m)
    ndim = len(shape_of(m))
    first, second = (as_axis(a, ndim, "rot90") for a in axes)
    if first == second:
        raise AxisError(f"[rot90] expected two different axes, got {axes}.")
    k = k % 4
    if k == 0:
        return m
    if k == 2:
        return s.rev(m, (first, second))
    return s.swapaxes(s.rev(m, second), first, second) if k == 1 else s.rev(s.swapaxes(m, first, second), second)


def roll(a: Any, shift: Any, axis: int | Sequence[int] | None = None) -> Any:
    """Elements moved along axes; what falls off re-enters at the other end. A traced `shift` of one axis is supported.

    >>> roll(np.arange(5), 2)
    array([3, 4, 0, 1, 2])
    """
    a = to_array(a)
    if isinstance(shift, Tracer) and shift.concrete() is None:
        if axis is None:
            return reshape(roll(flat(a), shift, 0), shape_of(a))
        axis = as_axis(axis, len(shape_of(a)), "roll")
        n = shape_of(a)[axis]
        return _pick(a, e.remainder(e.sub(np.arange(n), shift), max(n, 1)), axis)
    shift = static_shape(shift if isinstance(shift, (tuple, list)) else known(shift, "roll", "shift"), "roll")
    return _fresh(s.roll(a, shift, axis), a)


def resize(a: Any, new_shape: Any) -> Any:
    """An array of `new_shape`, filled with the elements of `a` in order, over again as often as needed.

    >>> resize(np.array([1, 2, 3]), (2, 2))
    array([[1, 2],
           [3, 1]])
    """
    a = flat(to_array(a))
    shape = static_shape(new_shape, "resize")
    size = 1
    for n in shape:
        size *= n
    have = shape_of(a)[0]
    if size and not have:
        return np.zeros(shape, dtype_of(a))
    if size > have:
        a = s.concatenate([a] * -(-size // have))
    return _fresh(reshape(s.slice(a, (0,), (size,)), shape), a)


def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """An array without the zeros at its front ("f"), its back ("b"), or both. The values must be known.

    Args:
      filt: array.
      trim: which ends.
      axis: along which axes to cut; all by default.

    >>> trim_zeros(np.array([0, 1, 2, 0]))
    array([1, 2])
    """
    filt = to_array(filt)
    shape = shape_of(filt)
    nonzero = np.argwhere(np.asarray(known(filt, "trim_zeros", "The value")))
    starts, stops = [0] * len(shape), list(shape)
    for a in as_axes(axis, len(shape), "trim_zeros"):
        if not len(nonzero):
            stops[a] = 0
            continue
        starts[a] = int(nonzero[:, a].min()) if "f" in trim.lower() else 0
        stops[a] = int(nonzero[:, a].max()) + 1 if "b" in trim.lower() else shape[a]
    return s.slice(filt, starts, stops)
