"""`fnets.scipy.ndimage`: interpolation of images at any coordinates. May import `fnets.numpy`, primitives, core."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnets.core.avals import is_float
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.numpy.arguments import to_array, to_inexact
from fnets.primitives import elementwise as e
from fnets.primitives.base import convert
from fnets.primitives.gather import index_gather

__all__ = ["map_coordinates"]


def _periodic(i: Any, n: int) -> Any:
    return e.remainder(i, n)


def _mirrored(i: Any, n: int) -> Any:
    if n == 1:
        return e.mul(i, 0)
    j = e.remainder(i, 2 * n - 2)
    return e.minimum(j, e.sub(2 * n - 2, j))


def _reflected(i: Any, n: int) -> Any:
    j = e.remainder(i, 2 * n)
    return e.minimum(j, e.sub(2 * n - 1, j))


_MODES = {
    "constant": lambda i, n: e.clamp(np.int64(0), i, np.int64(n - 1)),
    "nearest": lambda i, n: e.clamp(np.int64(0), i, np.int64(n - 1)),
    "wrap": _periodic,
    "grid-wrap": _periodic,
    "mirror": _mirrored,
    "reflect": _reflected,
    "grid-mirror": _reflected,
}


def _rounded(x: Any) -> Any:
    """To the nearest integer, halves away from zero."""
    return e.mul(e.sign(x), e.floor(e.add(e.abs(x), 0.5)))


def map_coordinates(input: Any, coordinates: Sequence[Any], order: int, mode: str = "constant", cval: Any = 0.0) -> Any:
    """The values of an array between its elements, by interpolation.

    Args:
      input: array of d axes.
      coordinates: d arrays of one shape (or an array whose first axis is d): where to read along each axis.
      order: 0 for the nearest element, 1 for linear interpolation.
      mode: what is beyond the edges: "constant" (`cval`), "nearest" (the edge goes on), "wrap" (periodic), "mirror" (mirrored at the last element),
        "reflect" (mirrored behind it).
      cval: for "constant".

    Returns:
      An array of the coordinates' shape and the dtype of input. Differentiable in both with order 1.

    >>> map_coordinates(np.array([0.0, 10.0]), [np.array([0.25, 0.5])], 1)
    array([2.5, 5. ])
    """
    x, points = to_array(input), [to_inexact(c) for c in coordinates]
    if order not in (0, 1):
        raise ArgumentError(f"[map_coordinates] expected order 0 or 1, got {order!r}: splines are not offered.")
    if mode not in _MODES:
        raise ArgumentError(f"[map_coordinates] expected mode {', '.join(map(repr, _MODES))}, got {mode!r}.")
    shape = shape_of(x)
    if len(points) != len(shape):
        raise ShapeError(
            f"[map_coordinates] expected {len(shape)} arrays of coordinates for an input of shape {shape}, got {len(points)}."
        )
    per_axis = []
    for c in points:
        if order == 0:
            per_axis.append([(convert(_rounded(c), np.int64), None)])
        else:
            low = e.floor(c)
            upper = e.sub(c, low)
            i = convert(low, np.int64)
            per_axis.append([(i, e.sub(1, upper)), (e.add(i, 1), upper)])
    axes = tuple(range(len(shape)))
    terms = []
    for corner in itertools.product(*per_axis):
        indices = [_MODES[mode](i, n) for (i, _), n in zip(corner, shape)]
        value = index_gather(x, indices, axes) if axes else x
        if mode == "constant":
            inside = [e.logical_and(e.ge(i, 0), e.lt(i, n)) for (i, _), n in zip(corner, shape)]
            value = e.select(functools.reduce(e.logical_and, inside), value, convert(to_array(cval), dtype_of(x)))
        weights = [w for _, w in corner if w is not None]
        terms.append(functools.reduce(e.mul, weights, value) if weights else value)
    out = functools.reduce(e.add, terms)
    if is_float(dtype_of(x)):
        return convert(out, dtype_of(x))
    return convert(_rounded(out) if order else out, dtype_of(x))
