"""Differences, integrals, interpolation and convolution of sampled functions. May import arguments, manipulation, reductions, sorting, primitives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.numpy import linear, sorting
from fnets.numpy import manipulation as m
from fnets.numpy import reductions as red
from fnets.numpy.arguments import (
    as_type,
    flat,
    is_known,
    known_int,
    promoted,
    promoted_inexact,
    result_dtype,
    to_array,
    to_inexact,
)
from fnets.primitives import elementwise as e
from fnets.primitives.base import as_axis, broadcast_to, reshape
from fnets.primitives.cumulative import cumsum
from fnets.primitives.gather import index_gather
from fnets.primitives.shape import pad, rev, slice_in_dim

__all__ = [
    "convolve", "correlate", "diff", "ediff1d", "gradient", "interp", "trapezoid", "unwrap",
]  # fmt: skip


def _part(x: Any, start: int | None, stop: int | None, axis: int, step: int = 1) -> Any:
    """`x[start:stop:step]` along one axis, cut off at the ends as in Python."""
    start, stop, step = slice(start, stop, step).indices(shape_of(x)[axis])
    return slice_in_dim(x, start, max(start, stop), step, axis)


# ------------------------------------------------------------------ differences


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """The n-th differences of neighbours along an axis: `a[1:] - a[:-1]`, n times.

    Args:
      a: array; of booleans the result is whether neighbours differ.
      n: how many times.
      axis: the axis.
      prepend, append: what to put in front and behind before.

    >>> diff(np.array([1, 2, 4, 7]))
    array([1, 2, 3])
    """
    a = to_array(a)
    if not a.ndim:
        raise ShapeError("[diff] expected an array with at least one axis, got a scalar.")
    n = known_int(n, "diff", "n")
    if n < 0:
        raise ArgumentError(f"[diff] expected a non-negative order n, got {n}.")
    if n == 0:
        return a
    axis = as_axis(axis, a.ndim, "diff")
    parts = [a]
    for extra, place in ((prepend, 0), (append, 2)):
        if extra is not None:
            extra = as_type(extra, result_dtype(a, extra))
            if not shape_of(extra):
                extra = broadcast_to(extra, (*a.shape[:axis], 1, *a.shape[axis + 1 :]))
            parts.insert(place, extra)
    a = m.concatenate(parts, axis) if len(parts) > 1 else a
    subtract = e.ne if dtype_of(a).kind == "b" else e.sub
    for _ in range(n):
        a = subtract(_part(a, 1, None, axis), _part(a, None, -1, axis))
    return a


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """The differences of neighbours in the raveled array, with values in front and behind.

    >>> ediff1d(np.array([1, 2, 4]), to_begin=0)
    array([0, 1, 2])
    """
    ary = flat(to_array(ary))
    parts = [] if to_begin is None else [m.ravel(as_type(to_begin, dtype_of(ary)))]
    parts.append(e.sub(_part(ary, 1, None, 0), _part(ary, None, -1, 0)))
    if to_end is not None:
        parts.append(m.ravel(as_type(to_end, dtype_of(ary))))
    return m.concatenate(parts) if len(parts) > 1 else parts[0]


def gradient(f: Any, *varargs: Any, axis: int | Sequence[int] | None = None, edge_order: int = 1) -> Any:
    """The derivative of a sampled function by second-order differences inside and one-sided ones at the ends.

    Args:
      f: samples.
      varargs: the spacing: nothing (1), one number for all axes, or for each axis a number or the coordinates.
      axis: along which axes; all by default.
      edge_order: 1 or 2, the order at the ends.

    Returns:
      An array for one axis, else a list with one for each.

    >>> gradient(np.array([0.0, 1.0, 4.0]))
    array([1., 2., 3.])
    """
    f = to_array(f)
    f = to_inexact(f) if dtype_of(f).kind in "iub" else f
    axes = range(f.ndim) if axis is None else [axis] if isinstance(axis, (int, np.integer)) else axis
    axes = [as_axis(a, f.ndim, "gradient") for a in axes]
    if edge_order not in (1, 2):
        raise ArgumentError(f"[gradient] expected edge_order 1 or 2, got {edge_order}.")
    if len(varargs) not in (0, 1, len(axes)):
        raise ArgumentError(
            f"[gradient] expected no spacing, one, or one for each of {len(axes)} axes, got {len(varargs)}."
        )
    spacings = list(varargs) * (len(axes) if len(varargs) == 1 else 1) or [1.0] * len(axes)
    out = [_gradient_along(f, _spacing(h, shape_of(f)[a]), a, edge_order) for a, h in zip(axes, spacings)]
    return out[0] if len(out) == 1 else out


def _spacing(h: Any, n: int) -> Any:
    """A number, or the n - 1 distances of n coordinates."""
    h = h if isinstance(h, (int, float)) else to_array(h)
    if not shape_of(h):
        return h
    if shape_of(h) != (n,):
        raise ShapeError(f"[gradient] expected {n} coordinates, one for each sample, got shape {shape_of(h)}.")
    steps = diff(to_inexact(h))
    if is_known(steps) and np.all(steps == steps[0]):
        return steps[0]
    return steps


def _gradient_along(f: Any, h: Any, axis: int, edge_order: int) -> Any:
    n = shape_of(f)[axis]
    if n < edge_order + 1:
        raise ShapeError(f"[gradient] expected at least {edge_order + 1} samples along axis {axis}, got {n}.")

    def at(i: int) -> Any:
        return _part(f, i, i + 1 if i != -1 else None, axis)

    if not shape_of(h):
        inner = e.div(e.sub(_part(f, 2, None, axis), _part(f, None, -2, axis)), e.mul(h, 2))
        if edge_order == 1:
            first, last = e.div(e.sub(at(1), at(0)), h), e.div(e.sub(at(-1), at(-2)), h)
        else:
            first = e.add(
                e.add(e.mul(at(0), e.div(-1.5, h)), e.mul(at(1), e.div(2.0, h))), e.mul(at(2), e.div(-0.5, h))
            )
            last = e.add(
                e.add(e.mul(at(-3), e.div(0.5, h)), e.mul(at(-2), e.div(-2.0, h))), e.mul(at(-1), e.div(1.5, h))
            )
        return m.concatenate([first, inner, last], axis)
    lined = [1] * len(shape_of(f))
    lined[axis] = n - 2
    d1, d2 = (reshape(x, tuple(lined)) for x in (_part(h, None, -1, 0), _part(h, 1, None, 0)))
    both = e.add(d1, d2)
    inner = e.add(
        e.add(
            e.mul(_part(f, None, -2, axis), e.neg(e.div(d2, e.mul(d1, both)))),
            e.mul(_part(f, 1, -1, axis), e.div(e.sub(d2, d1), e.mul(d1, d2))),
        ),
        e.mul(_part(f, 2, None, axis), e.div(d1, e.mul(d2, both))),
    )
    steps = m.unstack(h)
    if edge_order == 1:
        first, last = e.div(e.sub(at(1), at(0)), steps[0]), e.div(e.sub(at(-1), at(-2)), steps[-1])
        return m.concatenate([first, inner, last], axis)
    first = _one_sided([at(0), at(1), at(2)], steps[0], steps[1])
    last = e.neg(_one_sided([at(-1), at(-2), at(-3)], steps[-1], steps[-2]))
    return m.concatenate([first, inner, last], axis)


def _one_sided(f: list, near: Any, far: Any) -> Any:
    """The slope at the first of three points of a parabola."""
    both = e.add(near, far)
    a = e.neg(e.div(e.add(e.mul(near, 2), far), e.mul(near, both)))
    b = e.div(both, e.mul(near, far))
    c = e.neg(e.div(near, e.mul(far, both)))
    return e.add(e.add(e.mul(f[0], a), e.mul(f[1], b)), e.mul(f[2], c))


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral of samples by the trapezoidal rule.

    Args:
      y: samples.
      x: their coordinates, for one axis or of the shape of `y`; evenly spaced by `dx` if not given.
      axis: along which to integrate.

    >>> float(trapezoid(np.array([0.0, 1.0, 2.0])))
    2.0
    """
    y = to_array(y)
    axis = as_axis(axis, y.ndim, "trapezoid")
    if x is None:
        d = dx
    else:
        x = to_array(x)
        d = diff(x, axis=0 if x.ndim == 1 else axis)
        if x.ndim == 1:
            d = reshape(d, tuple([shape_of(d)[0] if i == axis else 1 for i in range(y.ndim)]))
    middle = e.div(e.add(_part(y, 1, None, axis), _part(y, None, -1, axis)), 2.0)
    return red.sum(e.mul(middle, d), axis)


# ------------------------------------------------------------------ angles and interpolation


def unwrap(p: Any, discont: Any = None, axis: int = -1, period: Any = 2 * np.pi) -> Any:
    """Angles along an axis without jumps: multiples of the period are added where neighbours differ by more than half of it.

    >>> unwrap(np.array([0.0, 6.0])).round(4)
    array([ 0.    , -0.2832])
    """
    p = to_array(p)
    axis = as_axis(axis, p.ndim, "unwrap")
    step = diff(p, axis=axis)
    integral = dtype_of(step).kind in "iu" and isinstance(period, (int, np.integer))
    half = e.floor_divide(period, 2) if integral else e.div(period, 2)
    jump = half if discont is None else discont
    wrapped = e.sub(e.remainder(e.add(step, half), period), half)
    on_edge = e.logical_and(e.eq(wrapped, e.neg(half)), e.gt(step, 0))
    if not integral or period % 2 == 0:
        wrapped = e.select(on_edge, half, wrapped)
    correction = e.select(e.lt(e.abs(step), jump), 0, e.sub(wrapped, step))
    moved = e.add(_part(p, 1, None, axis), cumsum(correction, axis))
    return m.concatenate([_part(p, None, 1, axis), moved], axis)


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Linear interpolation between points (xp, fp).

    Args:
      x: where to evaluate.
      xp: increasing coordinates.
      fp: values at `xp`; differentiable, as `x` and `xp` are.
      left, right: results below and above all of `xp`; the first and last value by default, "extrapolate" continues the line.
      period: of a periodic function; `xp` need not be sorted then.

    Returns:
      An array of the shape of `x` in the promoted dtype (NumPy's is always float64).

    >>> float(interp(1.5, np.array([1.0, 2.0]), np.array([10.0, 20.0])))
    15.0
    """
    x, xp = promoted_inexact(x, xp)
    fp = to_inexact(fp)
    if len(shape_of(xp)) != 1 or shape_of(xp) != shape_of(fp) or not shape_of(xp)[0]:
        raise ShapeError(
            f"[interp] expected two vectors of equal length, got shapes {shape_of(xp)} and {shape_of(fp)}."
        )
    if period is not None:
        period = e.abs(period)
        x, xp = e.remainder(x, period), e.remainder(xp, period)
        order = sorting.argsort(xp)
        xp, fp = index_gather(xp, (order,), (0,)), index_gather(fp, (order,), (0,))
        xp = m.concatenate([e.sub(_part(xp, -1, None, 0), period), xp, e.add(_part(xp, None, 1, 0), period)])
        fp = m.concatenate([_part(fp, -1, None, 0), fp, _part(fp, None, 1, 0)])
    n = shape_of(xp)[0]
    if n == 1:
        return e.add(e.mul(x, 0), index_gather(fp, (np.int64(0),), (0,)))
    i = e.minimum(e.maximum(sorting.searchsorted(xp, x, "right"), 1), n - 1)
    below = e.sub(i, 1)
    x0, x1, f0, f1 = (index_gather(v, (k,), (0,)) for v, k in ((xp, below), (xp, i), (fp, below), (fp, i)))
    width = e.sub(x1, x0)
    empty = e.eq(width, 0)
    slope = e.div(e.sub(f1, f0), e.select(empty, e.fill_like(width, 1), width))
    out = e.select(empty, f0, e.add(f0, e.mul(slope, e.sub(x, x0))))
    for bound, value, beyond in ((0, left, e.lt), (n - 1, right, e.gt)):
        if isinstance(value, str):
            if value != "extrapolate" or period is not None:
                raise ArgumentError(f"[interp] expected a number or 'extrapolate' for left and right, got {value!r}.")
            continue
        end = index_gather(xp, (np.int64(bound),), (0,))
        if period is None:
            edge = index_gather(fp, (np.int64(bound),), (0,)) if value is None else as_type(value, dtype_of(out))
            out = e.select(beyond(x, end), edge, out)
    return out


# ------------------------------------------------------------------ convolution


def _sliding(op: str, a: Any, v: Any, mode: str, flip: bool) -> Any:
    """Inner products of one vector with every window of the other."""
    a, v = promoted(a, v)
    if a.ndim != 1 or v.ndim != 1:
        raise ShapeError(
            f"[{op}] expected two vectors, got shapes {shape_of(a)} and {shape_of(v)}. Use fnets.lax.conv_general_dilated."
        )
    n, k = shape_of(a)[0], shape_of(v)[0]
    if not n or not k:
        raise ShapeError(f"[{op}] expected vectors that are not empty, got lengths {n} and {k}.")
    swapped = k > n
    if swapped:
        a, v, n, k = v, a, k, n
    if flip:
        v = rev(v, (0,))
    sides = {"full": (k - 1, k - 1), "same": (k // 2, k - 1 - k // 2), "valid": (0, 0)}
    if mode not in sides:
        raise ArgumentError(f"[{op}] expected mode 'full', 'same' or 'valid', got {mode!r}.")
    low, high = sides[mode]
    padded = pad(a, np.zeros((), dtype_of(a)), ((low, high, 0),))
    count = n + low + high - k + 1
    windows = index_gather(padded, (np.arange(count)[:, None] + np.arange(k),), (0,))
    out = linear.matmul(windows, v)
    return rev(out, (0,)) if swapped and not flip else out


def convolve(a: Any, v: Any, mode: str = "full", *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """The convolution of two vectors.

    Args:
      a, v: vectors.
      mode: "full" all overlaps, "same" the length of the longer one, "valid" complete overlaps alone.

    >>> convolve(np.array([1, 2, 3]), np.array([0, 1]))
    array([0, 1, 2, 3])
    """
    return _sliding("convolve", a, v, mode, True)


def correlate(a: Any, v: Any, mode: str = "valid", *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """The cross-correlation of two vectors: the inner products of `a` with the shifted, conjugated `v`.

    >>> correlate(np.array([1, 2, 3]), np.array([0, 1]), "full")
    array([1, 2, 3, 0])
    """
    return _sliding("correlate", a, e.conj(to_array(v)), mode, False)
