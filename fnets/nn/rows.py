"""Functions along axes: softmax, logsumexp, standardize, one_hot. May import primitives, fnets.numpy, the package's activations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fnets.numpy as fnp
from fnets.config import default_float
from fnets.core.trace import dtype_of, shape_of
from fnets.nn.activations import as_float
from fnets.primitives import elementwise as ew
from fnets.primitives import softmax as primitives
from fnets.primitives.base import as_axes, as_axis, convert
from fnets.primitives.shape import stop_gradient

Axis = int | tuple[int, ...] | None


def _only(x: Any, where: Any, axis: Axis) -> tuple[Any, Any]:
    """x with -inf where it doesn't count, and which rows count at all; rows that don't are left, so that nothing becomes NaN."""
    where = fnp.broadcast_to(where, shape_of(x))
    some = fnp.any(where, axis=axis, keepdims=True)
    return ew.select(ew.logical_or(where, ew.logical_not(some)), x, ew.fill_like(x, -np.inf)), some


def softmax(x: Any, axis: Axis = -1, where: Any = None) -> Any:
    """exp(x) over its sum along the axes, shifted so that nothing overflows.

    Args:
      x: array.
      axis: along which the result sums to one.
      where: elements that count; the result is 0 at the others.

    >>> softmax(fnp.array([0.0, 1000.0]))
    array([0., 1.], dtype=float32)
    """
    x = as_float(x)
    if where is None:
        return primitives.softmax(x, axis)
    masked, some = _only(x, where, axis)
    counted = ew.logical_and(where, some)
    return ew.select(counted, primitives.softmax(masked, axis), ew.fill_like(x, 0))


def log_softmax(x: Any, axis: Axis = -1, where: Any = None) -> Any:
    """log(softmax(x)), without taking the logarithm of a small number.

    Args:
      x: array.
      axis: along which the exponential of the result sums to one.
      where: elements that count; the result is -inf at the others.

    >>> log_softmax(fnp.array([0.0, 1000.0]))
    array([-1000.,     0.], dtype=float32)
    """
    x = as_float(x)
    if where is None:
        return primitives.log_softmax(x, axis)
    # what doesn't count is replaced after the fact too, so that no derivative flows from it
    counted = fnp.broadcast_to(where, shape_of(x))
    shifted = ew.sub(x, logsumexp(x, axis, keepdims=True, where=where))
    return ew.select(counted, shifted, ew.fill_like(x, -np.inf))


def logsumexp(
    a: Any, axis: Axis = None, b: Any = None, keepdims: bool = False, return_sign: bool = False, where: Any = None
) -> Any:
    """log(sum(b * exp(a))), shifted so that nothing overflows.

    Args:
      a: array.
      axis: axes to sum over; None for all.
      b: factors, 1 by default.
      keepdims: keep the axes with length 1.
      return_sign: return the logarithm of the absolute value, and the sign.
      where: elements that count; -inf if none does.

    >>> logsumexp(fnp.array([1000.0, 1000.0])).round(3)
    np.float32(1000.693)
    """
    a = as_float(a)
    axes = as_axes(axis, len(shape_of(a)), "logsumexp")
    if where is not None:
        a, some = _only(a, where, axes)
        b = ew.select(where, 1.0 if b is None else b, 0.0)
    if b is None and not return_sign:
        out = primitives.logsumexp(a, axes)
        return fnp.expand_dims(out, axes) if keepdims else out
    if b is not None and where is None:
        a = ew.select(ew.eq(b, 0), ew.fill_like(a, -np.inf), a)  # 0 * exp(a) is 0, whatever a is
    peak = fnp.max(a, axis=axes, keepdims=True)
    peak = stop_gradient(ew.select(ew.is_finite(peak), peak, ew.fill_like(peak, 0)))
    terms = ew.exp(ew.sub(a, peak))
    total = fnp.sum(terms if b is None else ew.mul(terms, _as(b, a)), axis=axes, keepdims=True)
    sign = ew.sign(total)
    if return_sign:
        total = ew.abs(total)
    out = ew.add(_log_or_minus_inf(total), peak)
    if not keepdims:
        out, sign = fnp.squeeze(out, axis=axes), fnp.squeeze(sign, axis=axes)
    return (out, sign) if return_sign else out


def _as(b: Any, a: Any) -> Any:
    return b if isinstance(b, (int, float)) else convert(b, dtype_of(a))


def _log_or_minus_inf(x: Any) -> Any:
    """log(x), with -inf and a zero derivative at 0, without NumPy's warning."""
    zero = ew.eq(x, 0)
    return ew.select(zero, ew.fill_like(x, -np.inf), ew.log(ew.select(zero, ew.fill_like(x, 1), x)))


def logmeanexp(x: Any, axis: Axis = None, where: Any = None, keepdims: bool = False) -> Any:
    """log(mean(exp(x))), shifted so that nothing overflows.

    Args:
      x, axis, where, keepdims: as in `logsumexp`.

    >>> logmeanexp(fnp.array([1000.0, 1000.0]))
    np.float32(1000.0)
    """
    x = as_float(x)
    axes = as_axes(axis, len(shape_of(x)), "logmeanexp")
    if where is None:
        count: Any = math.log(math.prod(shape_of(x)[i] for i in axes))
    else:
        counted = fnp.sum(fnp.broadcast_to(where, shape_of(x)), axis=axes, keepdims=keepdims)
        count = ew.log(convert(counted, dtype_of(x)))
    return ew.sub(logsumexp(x, axes, where=where, keepdims=keepdims), count)


def standardize(
    x: Any,
    axis: Axis = -1,
    mean: Any = None,
    variance: Any = None,
    epsilon: Any = 1e-5,
    where: Any = None,
    *,
    algorithm: str = "stable",
) -> Any:
    """(x - mean) / sqrt(variance + epsilon) along the axes.

    Args:
      x: array.
      axis: axes that the statistics are taken over.
      mean, variance: known statistics, to broadcast against x; by default those of x.
      epsilon: added to the variance.
      where: elements that the statistics are taken over.
      algorithm: accepted for JAX's sake; the variance is always that of the centred elements, which JAX calls "stable".

    >>> standardize(fnp.array([1.0, 3.0]), epsilon=0.0)
    array([-1.,  1.], dtype=float32)
    """
    x = as_float(x)
    if mean is None:
        mean = (
            fnp.mean(x, axis=axis, keepdims=True, where=where)
            if where is not None
            else fnp.mean(x, axis=axis, keepdims=True)
        )
    centred = ew.sub(x, mean)
    if variance is None:
        square = ew.square(centred)
        variance = (
            fnp.mean(square, axis=axis, keepdims=True, where=where)
            if where is not None
            else fnp.mean(square, axis=axis, keepdims=True)
        )
    return ew.mul(centred, ew.rsqrt(ew.add(variance, epsilon)))


def one_hot(x: Any, num_classes: int, *, dtype: Any = None, axis: int = -1) -> Any:
    """Indices as vectors that are 1 at the index and 0 elsewhere; all 0 for an index outside [0, num_classes).

    Args:
      x: integer array, shape (...).
      num_classes: length of the new axis.
      dtype: of the result; by default the default float.
      axis: where the new axis goes.

    >>> one_hot(fnp.array([0, 2]), 3)
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    x = fnp.asarray(x)
    ndim = len(shape_of(x)) + 1
    axis = as_axis(axis, ndim, "one_hot")
    classes = np.arange(num_classes, dtype=dtype_of(x) if dtype_of(x).kind in "iu" else None)
    classes = classes.reshape([-1 if i == axis else 1 for i in range(ndim)])
    return convert(ew.eq(fnp.expand_dims(x, axis), classes), default_float() if dtype is None else dtype)
