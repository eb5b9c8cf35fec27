"""Reductions and running reductions under NumPy's names: `sum`, `mean`, `max`, `argmax`, `cumsum`, `nansum`, ... May import arguments, primitives.

All take `axis` (None, an int, or several, negative ones too), `keepdims`, and where NumPy has them `dtype`, `initial`, `where`. Results have
NumPy's dtypes: sums of small integers widen to 64 bits, means of integers are float64. Derivatives at kinks: elements that tie
for an extreme share equally; `std` of equal numbers has derivative 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets.core.trace import Tracer, dtype_of, is_weak, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.numpy.arguments import as_dtype, as_type, fill_where, flat, operand, refuse_out, result_dtype, to_array
from fnets.primitives import cumulative, softmax
from fnets.primitives import elementwise as e
from fnets.primitives import reduce as r
from fnets.primitives.base import (
    as_axes,
    as_axis,
    broadcast_to,
    convert,
    kept,
    reduce_sum_p,
    reduced,
    reshape,
    sum_dtype,
)
from fnets.primitives.shape import concatenate as _concatenate

__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "average", "count_nonzero", "cumprod", "cumsum",
    "cumulative_prod", "cumulative_sum", "max", "mean", "min", "prod", "ptp", "std", "sum", "var",
]  # fmt: skip

Axis = int | Sequence[int] | None
_ndarray = np.ndarray

# ------------------------------------------------------------------ what they share


def prepared(op: str, a: Any, out: Any = None, dtype: Any = None, where: Any = None, neutral: Any = None) -> Any:
    """The array to reduce: converted to `dtype`, and with `neutral` where the mask is False."""
    refuse_out(op, out)
    x = to_array(a)
    if dtype is not None:
        x = convert(x, as_dtype(dtype))
    return x if where is None or where is True else fill_where(where, x, neutral)


def started(op: str, initial: Any, dtype: np.dtype) -> Any:
    """The `initial=` of a reduction, a scalar, in the dtype of the result."""
    if shape_of(operand(initial)) != ():
        raise ShapeError(f"[{op}] expected a scalar for initial=, got shape {shape_of(operand(initial))}.")
    return as_type(initial, dtype)


def is_lone(a: Any, *options: Any) -> bool:
    """True for a Python number (or what is traced for one) without any option: its sum and the like are that number, still weak."""
    return is_weak(a) and options.count(None) == len(options)


def finished(y: Any, shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> Any:
    """The result with its reduced axes kept as ones, if asked."""
    if keepdims:
        return reshape(y, kept(shape, axes))
    return y if axes or type(y) is not _ndarray else y[()]


def count_along(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    """How many elements are reduced into one."""
    return r.size_of([shape[i] for i in axes])


def safe_sqrt(x: Any) -> Any:
    """The square root with derivative 0 at 0: for norms and deviations, whose other factor is 0 there."""
    if not isinstance(x, Tracer):
        return e.sqrt(x)
    zero = e.eq(x, 0)
    return e.select(zero, e.fill_like(x, 0), e.sqrt(e.select(zero, e.fill_like(x, 1), x)))


# ------------------------------------------------------------------ sums and products


def sum(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
    promote_integers: bool = True,
) -> Any:
    """The sum over axes.

    Args:
      a: array.
      axis: what to sum over; everything by default.
      dtype: to sum in. By default small integers and bools widen to 64 bits.
      keepdims: keep the summed axes with length 1.
      initial: added to the result.
      where: mask, broadcast to `a`; False leaves an element out.
      promote_integers: False keeps the dtype of small integers.

    >>> sum(np.array([[1, 5], [3, 2]]), axis=1)
    array([6, 5])
    """
    if type(a) is not _ndarray and is_lone(a, axis, dtype, out, initial, where):
        return e.add(a, 0)
    x = a if type(a) is _ndarray else to_array(a)
    if out is not None or dtype is not None or where is not None:
        x = prepared("sum", x, out, dtype, where, 0)
    axes = as_axes(axis, x.ndim, "sum")
    y = reduce_sum_p.bind(x, axes=axes) if axes else convert(x, sum_dtype(x.dtype))
    if initial is not None:
        y = e.add(y, started("sum", initial, dtype_of(y)))
    if not promote_integers or dtype is not None:
        y = convert(y, x.dtype)
    return finished(y, x.shape, axes, keepdims)


def prod(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
    promote_integers: bool = True,
) -> Any:
    """The product over axes; arguments as `sum`. Its derivatives are right where elements are zero.

    >>> prod(np.array([[1, 5], [3, 2]]), axis=1)
    array([5, 6])
    """
    if type(a) is not _ndarray and is_lone(a, axis, dtype, out, initial, where):
        return e.mul(a, 1)
    x = prepared("prod", a, out, dtype, where, 1)
    axes = as_axes(axis, x.ndim, "prod")
    y = r.reduce_prod_p.bind(x, axes=axes) if axes else convert(x, sum_dtype(x.dtype))
    if initial is not None:
        y = e.mul(y, started("prod", initial, dtype_of(y)))
    if not promote_integers or dtype is not None:
        y = convert(y, x.dtype)
    return finished(y, x.shape, axes, keepdims)


def mean(
    a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = None
) -> Any:
    """The arithmetic mean over axes. Integers give float64; float16 is summed in float32.

    Args:
      a: array.
      axis: what to average over; everything by default.
      dtype: to compute in.
      keepdims: keep the reduced axes with length 1.
      where: mask, broadcast to `a`; False leaves an element out.

    >>> mean(np.array([[1, 2], [3, 5]]), axis=1)
    array([1.5, 4. ])
    """
    if type(a) is not _ndarray and is_lone(a, axis, dtype, out, where):
        return e.div(a, 1)
    x = a if type(a) is _ndarray else to_array(a)
    if out is not None or dtype is not None or x.dtype.kind in "iub":
        x = prepared("mean", x, out, np.float64 if dtype is None else dtype)
    half = x.dtype == np.float16 and dtype is None
    if half:
        x = convert(x, np.float32)
    masked = where is not None and where is not True
    if masked:
        where = broadcast_to(to_array(where), x.shape)
        x = fill_where(where, x, 0)
    axes = as_axes(axis, x.ndim, "mean")
    total = reduce_sum_p.bind(x, axes=axes) if axes else x
    y = e.div(total, r.reduce_sum(where, axes) if masked and axes else where if masked else count_along(x.shape, axes))
    if half or masked:
        y = convert(y, np.float16 if half else x.dtype)
    return finished(y, x.shape, axes, keepdims)


def var(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = None,
    mean: Any = None,
    correction: float | None = None,
) -> Any:
    """The variance over axes: the mean of `|a - mean|**2`, divided by n - ddof instead of n.

    Args:
      a: array; integers are computed in float64.
      axis: what to reduce; everything by default.
      ddof: subtracted from the count; `correction` is the array API's name for it.
      keepdims: keep the reduced axes with length 1.
      where: mask, broadcast to `a`; False leaves an element out.
      mean: the mean with kept axes, if it is known already.

    >>> var(np.array([1.0, 3.0]), ddof=1)
    np.float64(2.0)
    """
    refuse_out("var", out)
    ddof = ddof if correction is None else correction
    x = to_array(a)
    if dtype is not None or x.dtype.kind in "iub":
        x = convert(x, np.float64 if dtype is None else as_dtype(dtype))
    half = x.dtype == np.float16 and dtype is None
    if half:
        x = convert(x, np.float32)
    axes = as_axes(axis, x.ndim, "var")
    if mean is not None:
        centre = to_array(mean)
    elif where is None and axes:
        centre = reshape(e.div(reduce_sum_p.bind(x, axes=axes), count_along(x.shape, axes)), kept(x.shape, axes))
    else:
        centre = _mean(x, axes, None, None, True, where=where)
    centred = e.sub(x, centre)
    squares = e.real(e.mul(centred, e.conj(centred))) if x.dtype.kind == "c" else e.mul(centred, centred)
    if where is None or where is True:
        count: Any = max_of(count_along(x.shape, axes) - ddof, 0)
    else:
        where = broadcast_to(to_array(where), x.shape)
        squares = fill_where(where, squares, 0)
        count = e.maximum(e.sub(r.reduce_sum(convert(where, dtype_of(squares)), axes), ddof), 0)
    y = e.div(reduce_sum_p.bind(squares, axes=axes) if axes else squares, count)
    if half:
        y = convert(y, np.float16)
    return finished(y, x.shape, axes, keepdims)


_mean = mean


def max_of(x: float, y: float) -> float:
    """The larger of two Python numbers (the name `max` is an array function here)."""
    return x if x >= y else y


def std(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = None,
    mean: Any = None,
    correction: float | None = None,
) -> Any:
    """The standard deviation over axes, the root of `var` (arguments are the same); its derivative at 0 is 0.

    >>> std(np.array([1.0, 3.0]))
    np.float64(1.0)
    """
    refuse_out("std", out)
    return safe_sqrt(var(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction))


def average(a: Any, axis: Axis = None, weights: Any = None, returned: bool = False, keepdims: bool = False) -> Any:
    """The weighted mean over axes.

    Args:
      a: array.
      axis: what to average over; everything by default.
      weights: of the shape of `a`, or of its shape along `axis`.
      returned: also return the sum of the weights.
      keepdims: keep the reduced axes with length 1.

    >>> average(np.array([1.0, 3.0]), weights=np.array([3.0, 1.0]))
    np.float64(1.5)
    """
    a = to_array(a)
    if weights is None:
        out = mean(a, axis, keepdims=keepdims)
        n = count_along(a.shape, as_axes(axis, a.ndim, "average"))
        return (out, np.full(shape_of(out), n, dtype_of(out))[()]) if returned else out
    weights = to_array(weights)
    if a.dtype.kind in "iub":
        dtype = np.result_type(result_dtype(a, weights), np.float64)
    else:
        dtype = result_dtype(a, weights)
    if weights.shape != a.shape:
        if axis is None:
            raise ShapeError(
                f"[average] expected weights of the shape of a, {a.shape}, got {weights.shape}. Pass axis= for weights along axes."
            )
        axes = [as_axis(i, a.ndim, "average") for i in ((axis,) if isinstance(axis, (int, np.integer)) else axis)]
        if weights.shape != tuple([a.shape[i] for i in axes]):
            raise ShapeError(
                f"[average] expected weights of shape {tuple([a.shape[i] for i in axes])} for axis {axis}, got {weights.shape}."
            )
        order = sorted(range(len(axes)), key=lambda k: axes[k])
        weights = weights.transpose(tuple(order)) if len(order) > 1 else weights
        weights = reshape(weights, tuple([a.shape[i] if i in axes else 1 for i in range(a.ndim)]))
        weights = broadcast_to(weights, a.shape)
    a, weights = convert(a, dtype), convert(weights, dtype)
    total = sum(weights, axis, keepdims=keepdims)
    out = e.div(sum(e.mul(a, weights), axis, keepdims=keepdims), total)
    return (out, total) if returned else out


def logsumexp(a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False) -> Any:
    """log(sum(exp(a))) over axes, without overflow: what `np.logaddexp.reduce` computes.

    >>> float(logsumexp(np.array([0.0, -np.inf])))
    0.0
    """
    x = prepared("logsumexp", a, out)
    axes = as_axes(axis, x.ndim, "logsumexp")
    return finished(softmax.logsumexp(x, axes) if axes else x, x.shape, axes, keepdims)


# ------------------------------------------------------------------ extremes


def _extreme(
    op: str, prim: Any, pair: Callable, a: Any, axis: Axis, out: Any, keepdims: bool, initial: Any, where: Any
) -> Any:
    if type(a) is not _ndarray and is_lone(a, axis, out, initial, where):
        return a
    x = a if type(a) is _ndarray else to_array(a)
    if out is not None:
        refuse_out(op, out)
    if where is not None and where is not True:
        if initial is None:
            raise ArgumentError(
                f"[{op}] expected initial= together with where=, got none: an empty selection has no extreme. Pass initial=..."
            )
        x = fill_where(where, x, started(op, initial, x.dtype))
    axes = as_axes(axis, x.ndim, op)
    if initial is None:
        y = prim.bind(x, axes=axes) if axes else x
    elif 0 in [x.shape[i] for i in axes]:
        y = broadcast_to(started(op, initial, x.dtype), reduced(x.shape, axes))
    else:
        y = pair(prim.bind(x, axes=axes) if axes else x, started(op, initial, x.dtype))
    return finished(y, x.shape, axes, keepdims)


def max(
    a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Any:
    """The maximum over axes. NaN wins; elements that tie share the derivative equally.

    Args:
      a: array.
      axis: what to reduce; everything by default.
      keepdims: keep the reduced axes with length 1.
      initial: a lower bound of the result; lets axes be empty.
      where: mask, broadcast to `a`; False leaves an element out, and then `initial` is needed.

    Raises:
      ShapeError: a reduced axis is empty, and there is no `initial`.

    >>> max(np.array([[1, 5], [3, 2]]), axis=1)
    array([5, 3])
    """
    return _extreme("max", r.reduce_max_p, e.maximum, a, axis, out, keepdims, initial, where)


def min(
    a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Any:
    """The minimum over axes; arguments as `max`.

    >>> min(np.array([[1, 5], [3, 2]]), axis=1)
    array([1, 2])
    """
    return _extreme("min", r.reduce_min_p, e.minimum, a, axis, out, keepdims, initial, where)


amax, amin = max, min


def ptp(a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False) -> Any:
    """The largest less the smallest number over axes.

    >>> ptp(np.array([1, 5, 3]))
    np.int64(4)
    """
    refuse_out("ptp", out)
    return e.sub(max(a, axis, keepdims=keepdims), min(a, axis, keepdims=keepdims))


def argmax(a: Any, axis: int | None = None, out: Any = None, keepdims: bool = False) -> Any:
    """The position (int64) of the first maximum along an axis, of the raveled array by default. NaN counts as the maximum.

    >>> argmax(np.array([[1, 5], [3, 3]]), axis=1)
    array([1, 0])
    """
    return _arg("argmax", r.argmax_p, a, axis, out, keepdims)


def argmin(a: Any, axis: int | None = None, out: Any = None, keepdims: bool = False) -> Any:
    """The position (int64) of the first minimum along an axis, of the raveled array by default. NaN counts as the minimum.

    >>> argmin(np.array([[1, 5], [3, 3]]), axis=1)
    array([0, 0])
    """
    return _arg("argmin", r.argmin_p, a, axis, out, keepdims)


_INT64 = np.dtype(np.int64)


def _arg(op: str, prim: Any, a: Any, axis: int | None, out: Any, keepdims: bool) -> Any:
    x = a if type(a) is _ndarray else to_array(a)
    if out is not None:
        refuse_out(op, out)
    if axis is None:
        y = prim.bind(flat(x), axis=0, index_dtype=_INT64)
    else:
        y = prim.bind(x, axis=as_axis(axis, x.ndim, op), index_dtype=_INT64)
    if not keepdims:
        return y
    return reshape(y, (1,) * x.ndim if axis is None else kept(x.shape, (as_axis(axis, x.ndim, op),)))


# ------------------------------------------------------------------ logic


def _truth(a: Any, out: Any, op: str, where: Any, neutral: bool) -> Any:
    x = a if type(a) is _ndarray and out is None else prepared(op, a, out)
    x = x if x.dtype.kind == "b" else e.ne(x, 0)
    return x if where is None or where is True else fill_where(where, x, np.bool_(neutral))


def any(a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False, *, where: Any = None) -> Any:
    """True where an element along the axes is nonzero.

    >>> any(np.array([[0, 2], [0, 0]]), axis=1)
    array([ True, False])
    """
    x = _truth(a, out, "any", where, False)
    axes = as_axes(axis, x.ndim, "any")
    return finished(r.reduce_or_p.bind(x, axes=axes) if axes else x, x.shape, axes, keepdims)


def all(a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False, *, where: Any = None) -> Any:
    """True where every element along the axes is nonzero.

    >>> all(np.array([[1, 2], [0, 1]]), axis=1)
    array([ True, False])
    """
    x = _truth(a, out, "all", where, True)
    axes = as_axes(axis, x.ndim, "all")
    return finished(r.reduce_and_p.bind(x, axes=axes) if axes else x, x.shape, axes, keepdims)


def count_nonzero(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """How many elements along the axes are nonzero.

    >>> count_nonzero(np.array([[0, 2], [1, 1]]), axis=1)
    array([1, 2])
    """
    return sum(_truth(a, None, "count_nonzero", None, False), axis, keepdims=keepdims)


# ------------------------------------------------------------------ running reductions


def _running(op: str, apply: Callable, a: Any, axis: int | None, dtype: Any, out: Any) -> Any:
    x = prepared(op, a, out, dtype)
    if axis is None:
        x, axis = flat(x) if x.ndim else reshape(x, (1,)), 0
    elif not x.ndim:
        x = reshape(x, (1,))
    y = apply(x, axis)
    return y if dtype is None else convert(y, as_dtype(dtype))


def cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """Running sums along an axis, of the raveled array by default. Small integers widen to 64 bits.

    >>> cumsum(np.array([1, 2, 3]))
    array([1, 3, 6])
    """
    return _running("cumsum", cumulative.cumsum, a, axis, dtype, out)


def cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """Running products along an axis, of the raveled array by default. Its derivatives are right at zeros.

    >>> cumprod(np.array([1, 2, 3]))
    array([1, 2, 6])
    """
    return _running("cumprod", cumulative.cumprod, a, axis, dtype, out)


def cummax(a: Any, axis: int | None = None, out: Any = None) -> Any:
    """Running maxima along an axis: what `np.maximum.accumulate` computes.

    >>> cummax(np.array([1, 3, 2]))
    array([1, 3, 3])
    """
    return _running("cummax", cumulative.cummax, a, axis, None, out)


def cummin(a: Any, axis: int | None = None, out: Any = None) -> Any:
    """Running minima along an axis: what `np.minimum.accumulate` computes.

    >>> cummin(np.array([2, 3, 1]))
    array([2, 2, 1])
    """
    return _running("cummin", cumulative.cummin, a, axis, None, out)


def _cumulative(
    op: str, apply: Callable, x: Any, axis: int | None, dtype: Any, include_initial: bool, first: int
) -> Any:
    x = to_array(x)
    if axis is None:
        if x.ndim > 1:
            raise ArgumentError(
                f"[{op}] expected axis= for an array with {x.ndim} axes, got none. Pass axis=0, or ravel the array."
            )
        axis = 0
    if not x.ndim:
        raise ShapeError(f"[{op}] expected an array with at least one axis, got a scalar.")
    y = apply(x, axis, dtype)
    if include_initial:
        axis = as_axis(axis, x.ndim, op)
        start = np.full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), first, dtype_of(y))
        y = _concatenate([start, y], axis)
    return y


def cumulative_sum(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Running sums along an axis; with a zero in front if `include_initial`.

    >>> cumulative_sum(np.array([1, 2]), include_initial=True)
    array([0, 1, 3])
    """
    return _cumulative("cumulative_sum", cumsum, x, axis, dtype, include_initial, 0)


def cumulative_prod(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Running products along an axis; with a one in front if `include_initial`.

    >>> cumulative_prod(np.array([2, 3]), include_initial=True)
    array([1, 2, 6])
    """
    return _cumulative("cumulative_prod", cumprod, x, axis, dtype, include_initial, 1)
