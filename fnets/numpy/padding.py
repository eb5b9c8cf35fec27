"""`pad` in all of NumPy's modes. May import arguments, functional, linear, manipulation, reductions, statistics, primitives.

A mode that copies elements is a gather with the positions that NumPy gives for 0, 1, 2, ...; one that is linear in the elements (ramps, means, odd
reflections) is a matrix, which NumPy gives for the identity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.numpy import functional, linear, statistics
from fnets.numpy import manipulation as m
from fnets.numpy import reductions as red
from fnets.numpy.arguments import as_type, is_known, known, to_array
from fnets.primitives import elementwise as e
from fnets.primitives.base import broadcast_to, convert
from fnets.primitives.gather import index_gather
from fnets.primitives.shape import moveaxis, slice_in_dim
from fnets.primitives.shape import pad as _pad

__all__ = ["pad"]

_OPTIONS = {
    "constant": {"constant_values"},
    "edge": set(),
    "wrap": set(),
    "empty": set(),
    "reflect": {"reflect_type"},
    "symmetric": {"reflect_type"},
    "linear_ramp": {"end_values"},
    "maximum": {"stat_length"},
    "minimum": {"stat_length"},
    "mean": {"stat_length"},
    "median": {"stat_length"},
}
_EXTREMES: dict[str, Callable] = {"maximum": red.max, "minimum": red.min, "median": statistics.median}
Widths = list[tuple[int, int]]


def _widths(pad_width: Any, ndim: int) -> Widths:
    if isinstance(pad_width, dict):
        full = [(0, 0)] * ndim
        for axis, w in pad_width.items():
            full[axis] = (w, w) if isinstance(w, (int, np.integer)) else tuple(w)
        pad_width = full
    widths = np.asarray(known(pad_width, "pad", "pad_width"))
    if widths.dtype.kind not in "iu" and widths.size:
        raise ArgumentError(f"[pad] expected pad_width of integers, got {widths.dtype.name}.")
    try:
        widths = np.broadcast_to(widths, (ndim, 2)) if widths.size else np.zeros((ndim, 2), np.int64)
    except ValueError:
        raise ShapeError(
            f"[pad] expected pad_width as n, (before, after) or one pair for each of {ndim} axes, got {pad_width}."
        ) from None
    if widths.size and widths.min() < 0:
        raise ArgumentError(f"[pad] expected non-negative widths, got {pad_width}. Use fnets.lax.pad to crop.")
    return [(int(a), int(b)) for a, b in widths]


def _pairs(values: Any, ndim: int) -> list[tuple[Any, Any]]:
    """One (before, after) for each axis, from a scalar, a pair, or pairs; entries may be traced."""
    if isinstance(values, (list, tuple)):
        rows = [tuple(v) if isinstance(v, (list, tuple)) else v for v in values]
        if rows and isinstance(rows[0], tuple):
            rows = [r * 2 if len(r) == 1 else r for r in rows]
            return rows * ndim if len(rows) == 1 else rows
        return [(rows[0], rows[-1])] * ndim
    array = to_array(values)
    if not shape_of(array):
        return [(values, values)] * ndim
    return [(row[0], row[1]) for row in m.broadcast_to(array, (ndim, 2))]


def _constant(x: Any, widths: Widths, values: Any) -> Any:
    if not isinstance(values, (list, tuple)) and not shape_of(to_array(values)):
        return _pad(x, as_type(values, dtype_of(x)), tuple([(a, b, 0) for a, b in widths]))
    for axis, ((before, after), pair) in enumerate(zip(widths, _pairs(values, x.ndim))):
        for width, value in (((before, 0, 0), pair[0]), ((0, after, 0), pair[1])):
            config = [(0, 0, 0)] * x.ndim
            config[axis] = width
            x = _pad(x, as_type(value, dtype_of(x)), tuple(config))
    return x


def _copied(x: Any, axis: int, width: tuple[int, int], mode: str) -> Any:
    n = shape_of(x)[axis]
    if not n:
        raise ShapeError(
            f"[pad] expected a non-empty axis for mode {mode!r}, got axis {axis} of shape {shape_of(x)}. Use mode='constant'."
        )
    return index_gather(x, (np.pad(np.arange(n), width, mode),), (axis,))  # type: ignore[call-overload]


def _linear(x: Any, axis: int, width: tuple[int, int], mode: str, options: dict) -> Any:
    n = shape_of(x)[axis]
    homogeneous = {k: (0 if k == "end_values" else v) for k, v in options.items()}
    matrix = np.pad(np.eye(n), (width, (0, 0)), mode, **homogeneous)  # type: ignore[call-overload]
    out = moveaxis(linear.tensordot(matrix.astype(dtype_of(x)), x, ((1,), (axis,))), 0, axis)
    if mode == "linear_ramp":
        offset = np.pad(np.zeros(n), width, mode, **options).astype(dtype_of(x))
        out = e.add(out, offset.reshape([-1 if i == axis else 1 for i in range(x.ndim)]))
    return out


def _extreme(x: Any, axis: int, width: tuple[int, int], mode: str, lengths: tuple[Any, Any]) -> Any:
    n = shape_of(x)[axis]
    parts = [x]
    for side, (count, length) in enumerate(zip(width, lengths)):
        length = n if length is None else min(int(length), n)
        if not length:
            raise ArgumentError(f"[pad] expected stat_length of at least 1 for mode {mode!r}, got 0.")
        near = slice_in_dim(x, 0, length, axis=axis) if side == 0 else slice_in_dim(x, n - length, n, axis=axis)
        value = convert(_EXTREMES[mode](near, axis, keepdims=True), dtype_of(x))
        shape = list(shape_of(x))
        shape[axis] = count
        parts.insert(0 if side == 0 else 2, broadcast_to(value, tuple(shape)))
    return m.concatenate(parts, axis)


def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """`array` with elements added at both ends of every axis.

    Args:
      array: array.
      pad_width: n, (before, after), one such pair for each axis, or a dict from axes to these.
      mode: "constant" (`constant_values=0`), "edge", "reflect" and "symmetric" (`reflect_type="even"` or "odd"), "wrap", "linear_ramp"
        (`end_values=0`), "maximum", "minimum", "mean" and "median" (`stat_length=` elements at the edge), "empty", or a function as NumPy takes.

    >>> pad(np.array([1, 2, 3]), (1, 2), mode="reflect")
    array([2, 1, 2, 3, 2, 1])
    """
    x = to_array(array)
    widths = _widths(pad_width, x.ndim)
    if callable(mode):
        return _by_function(x, widths, mode, kwargs)
    if mode not in _OPTIONS:
        raise ArgumentError(f"[pad] expected mode to be one of {', '.join(_OPTIONS)}, or a function, got {mode!r}.")
    unknown = set(kwargs) - _OPTIONS[mode]
    if unknown:
        raise ArgumentError(
            f"[pad] expected {', '.join(_OPTIONS[mode]) or 'no option'} for mode {mode!r}, got {', '.join(sorted(unknown))}."
        )
    if mode in ("constant", "empty"):
        return _constant(x, widths, kwargs.get("constant_values", 0))
    odd = kwargs.get("reflect_type", "even") == "odd"
    if (odd or mode in ("linear_ramp", "mean")) and is_known(x):
        return np.pad(x, widths, mode, **kwargs)
    for axis, width in enumerate(widths):
        if width == (0, 0):
            continue
        if mode in _EXTREMES:
            x = _extreme(
                x,
                axis,
                width,
                mode,
                _pairs(kwargs.get("stat_length"), x.ndim)[axis] if kwargs.get("stat_length") else (None, None),
            )
        elif odd or mode in ("linear_ramp", "mean"):
            options = {
                k: (_pairs(v, x.ndim)[axis] if k != "reflect_type" and v is not None else v) for k, v in kwargs.items()
            }
            x = _linear(x, axis, width, mode, options)
        else:
            x = _copied(x, axis, width, mode)
    return x


def _by_function(x: Any, widths: Widths, function: Callable, options: dict) -> Any:
    """NumPy's contract: function(vector, (before, after), axis, options); one that returns the new vector instead of writing it works on all arrays."""
    if is_known(x):
        return np.pad(x, widths, lambda v, w, axis, kw: _write(v, function(v, w, axis, kw)), **options)  # type: ignore[call-overload]
    x = _constant(x, widths, 0)
    for axis, width in enumerate(widths):
        x = functional.apply_along_axis(function, axis, x, width, axis, options)
    return x


def _write(vector: np.ndarray, result: Any) -> None:
    if result is not None:
        vector[...] = result
