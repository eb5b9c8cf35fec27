"""Running operations along an axis: cumulative sum, product, maximum, minimum, logsumexp, and the linear recurrence.

May import base, elementwise, shape, core. All but the sum differentiate to one linear recurrence, which is closed under
differentiation and never divides: products are right at zeros, to any order. Of elements that tie for a running maximum, the first
carries the derivative.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray, is_float
from fnets.core.primitive import Primitive
from fnets.core.promotion import resolve_dtype
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ShapeError
from fnets.primitives.base import arr, as_axis, convert, linear, move_dim, sum_dtype
from fnets.primitives.elementwise import add, eq, exp, fill_like, logical_and, maximum, mul, sub
from fnets.primitives.shape import pad

# ------------------------------------------------------------------ helpers


def _backwards(x: Any, axis: int) -> Any:
    index = [slice(None)] * x.ndim
    index[axis] = slice(None, None, -1)
    return x[tuple(index)]


def shifted(x: Any, axis: int, reverse: bool, fill: Any) -> Any:
    """x[k - 1] at k (x[k + 1] if reverse), and `fill` at the open end."""
    config = [(0, 0, 0)] * len(shape_of(x))
    config[axis] = (-1, 1, 0) if reverse else (1, -1, 0)
    return pad(x, fill, tuple(config)) if shape_of(x)[axis] else x


def batch_along(prim: Primitive) -> None:
    """The batch rule of an operation that keeps the shape and works along its parameter `axis`."""

    def batch(size: int, vals: Sequence, dims: Sequence, axis: int, **params: Any) -> tuple:
        d = dims[0]
        return prim.bind(vals[0], axis=axis + (axis >= d), **params), d

    prim.batch = batch


def _along(prim: Primitive, operand: Any, axis: int, reverse: bool) -> Any:
    operand = arr(operand)
    return prim.bind(operand, axis=as_axis(axis, len(shape_of(operand)), prim.name), reverse=bool(reverse))


def _running(name: str, ufunc: np.ufunc, dtype: Callable[[np.dtype], np.dtype]) -> Primitive:
    """Declare y[k] = ufunc(y[k - 1], x[k]) along an axis; the derivatives follow separately."""
    prim = Primitive(name, fresh=True)
    run = ufunc.accumulate

    def impl(x: Any, axis: int, reverse: bool) -> Any:
        return _backwards(run(_backwards(x, axis), axis), axis) if reverse else run(x, axis)

    prim.impl = impl
    prim.abstract = lambda a, axis, reverse: ShapedArray(a.shape, dtype(a.dtype))
    batch_along(prim)
    return prim


# ------------------------------------------------------------------ linear recurrence: what running products and maxima differentiate to

linear_recurrence_p = Primitive("linear_recurrence", fresh=True)
_FEW_ROWS = 16  # below this, Python floats are faster than one NumPy call a step


def _recurrence_impl(a: Any, b: Any, axis: int, reverse: bool) -> Any:
    n = b.shape[axis]
    dtype = np.result_type(a, b)
    if n == 0:
        return np.array(b, dtype)
    if reverse:
        a, b = _backwards(a, axis), _backwards(b, axis)
    if b.size // n < _FEW_ROWS and dtype.kind in "fc":
        columns = [_run_scalars(f, s) for f, s in zip(_rows(a, axis), _rows(b, axis))]
        out = np.array(columns, dtype).reshape(*b.shape[:axis], *b.shape[axis + 1 :], n)
        out = np.moveaxis(out, -1, axis)
    else:
        out = np.array(b, dtype)
        steps, factors = np.moveaxis(out, axis, 0), np.moveaxis(a, axis, 0)
        for k in range(1, n):
            steps[k] += factors[k] * steps[k - 1]
    return _backwards(out, axis) if reverse else out


def _rows(x: Any, axis: int) -> list:
    return np.moveaxis(x, axis, -1).reshape(-1, x.shape[axis]).tolist()


def _run_scalars(factors: list, terms: list) -> list:
    y = terms[0]
    out = [y]
    for a, b in zip(factors[1:], terms[1:]):
        y = a * y + b
        out.append(y)
    return out


def _recurrence_abstract(a: ShapedArray, b: ShapedArray, axis: int, reverse: bool) -> ShapedArray:
    if a.shape != b.shape:
        raise ShapeError(
            f"[linear_recurrence] expected factors and terms of one shape, got {a.shape} and {b.shape}. Broadcast them first."
        )
    return ShapedArray(b.shape, np.result_type(a.dtype, b.dtype))


def _recurrence_jvp(primals: Sequence, tangents: Sequence, axis: int, reverse: bool) -> tuple:
    (a, b), (ta, tb) = primals, tangents
    y = linear_recurrence(a, b, axis, reverse)
    terms = tb
    if ta is not None:
        through_factors = mul(ta, shifted(y, axis, reverse, 0))
        terms = through_factors if tb is None else add(through_factors, tb)
    return y, linear_recurrence(a, terms, axis, reverse)


def _recurrence_vjp(active: tuple, a: Any, b: Any, axis: int, reverse: bool) -> tuple:
    y = linear_recurrence(a, b, axis, reverse)
    dtypes = dtype_of(a), dtype_of(b)

    def pull(ct: Any) -> list:
        g = _recurrence_transposed(a, ct, axis, reverse)
        cts = {1: g}
        if 0 in active:
            cts[0] = mul(g, shifted(y, axis, reverse, 0))
        return [convert(cts[i], dtypes[i]) for i in active]

    return y, pull


def _recurrence_transposed(a: Any, ct: Any, axis: int, reverse: bool) -> Any:
    """The cotangent of the terms: g[k] = a[k + 1] g[k + 1] + ct[k]."""
    return linear_recurrence(shifted(a, axis, not reverse, 0), ct, axis, not reverse)


def _recurrence_batch(size: int, vals: Sequence, dims: Sequence, axis: int, reverse: bool) -> tuple:
    a, b = [move_dim(v, d, 0, size) for v, d in zip(vals, dims)]
    return linear_recurrence(a, b, axis + 1, reverse), 0


linear_recurrence_p.impl, linear_recurrence_p.abstract = _recurrence_impl, _recurrence_abstract
linear_recurrence_p.jvp, linear_recurrence_p.vjp, linear_recurrence_p.batch = (
    _recurrence_jvp,
    _recurrence_vjp,
    _recurrence_batch,
)


def linear_recurrence(factors: Any, terms: Any, axis: int = 0, reverse: bool = False) -> Any:
    """y[k] = factors[k] * y[k - 1] + terms[k] along an axis, starting from y[0] = terms[0].

    Args:
      factors, terms: arrays of one shape.
      axis: the axis to run along.
      reverse: run from the end: y[k] = factors[k] * y[k + 1] + terms[k].

    >>> linear_recurrence(np.array([0.5, 0.5, 0.5]), np.array([4.0, 0.0, 1.0]))
    array([4., 2., 2.])
    """
    factors, terms = arr(factors), arr(terms)
    return linear_recurrence_p.bind(
        factors, terms, axis=as_axis(axis, len(shape_of(terms)), "linear_recurrence"), reverse=reverse
    )


# ------------------------------------------------------------------ cumulative sum, product, maximum, minimum, logsumexp

cumsum_p = _running("cumsum", np.add, sum_dtype)
linear(cumsum_p, lambda ct, aval, axis, reverse: cumsum_p.bind(ct, axis=axis, reverse=not reverse))
cumprod_p = _running("cumprod", np.multiply, sum_dtype)
cummax_p = _running("cummax", np.maximum, lambda dtype: dtype)
cummin_p = _running("cummin", np.minimum, lambda dtype: dtype)
cumlogsumexp_p = _running("cumlogsumexp", np.logaddexp, lambda dtype: resolve_dtype(np.logaddexp, dtype, dtype))


def _by_recurrence(prim: Primitive, parts: Callable) -> None:
    """Rules of a running operation with dy[k] = factor[k] dy[k - 1] + weight[k] dx[k]; `parts(x, y, axis, reverse)` gives the two."""

    def jvp(primals: Sequence, tangents: Sequence, axis: int, reverse: bool) -> tuple:
        (x,), (t,) = primals, tangents
        y = prim.bind(x, axis=axis, reverse=reverse)
        factor, weight = parts(x, y, axis, reverse)
        return y, linear_recurrence(factor, mul(weight, t), axis, reverse)

    def vjp(active: tuple, x: Any, axis: int, reverse: bool) -> tuple:
        y = prim.bind(x, axis=axis, reverse=reverse)
        if not is_float(dtype_of(y)):
            return y, None

        def pull(ct: Any) -> tuple:
            factor, weight = parts(x, y, axis, reverse)
            return (mul(weight, _recurrence_transposed(factor, ct, axis, reverse)),)

        return y, pull

    prim.jvp, prim.vjp = jvp, vjp


def _cumprod_parts(x: Any, y: Any, axis: int, reverse: bool) -> tuple:
    return x, shifted(y, axis, reverse, 1)  # products and sums alone: right where x is zero


def _record_parts(x: Any, y: Any, axis: int, reverse: bool) -> tuple:
    before = shifted(y, axis, reverse, 0)
    first = np.zeros(shape_of(x)[axis], bool)
    first[-1:] = reverse
    first[:1] |= not reverse
    first = first.reshape([-1 if i == axis else 1 for i in range(len(shape_of(x)))])
    kept_on = convert(logical_and(eq(before, y), np.logical_not(first)), dtype_of(y))
    return kept_on, sub(1, kept_on)


def _cumlogsumexp_parts(x: Any, y: Any, axis: int, reverse: bool) -> tuple:
    return exp_difference(shifted(y, axis, reverse, -np.inf), y), exp_difference(x, y)


def exp_difference(x: Any, y: Any) -> Any:
    """exp(x - y) where x <= y; 0 where both are -inf."""
    return exp(sub(x, maximum(y, fill_like(y, _lowest(dtype_of(y))))))


@functools.cache
def _lowest(dtype: np.dtype) -> Any:
    """The most negative finite number of a dtype (of its real part)."""
    return np.finfo(dtype).min if dtype.kind in "fc" else np.nextafter(dtype.type(-np.inf), dtype.type(0))


_by_recurrence(cumprod_p, _cumprod_parts)
_by_recurrence(cummax_p, _record_parts)
_by_recurrence(cummin_p, _record_parts)
_by_recurrence(cumlogsumexp_p, _cumlogsumexp_parts)


def cumsum(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """Running sums along an axis; from the end if `reverse`. Small integers widen, as in NumPy.

    >>> cumsum(np.array([1, 2, 3]), reverse=True)
    array([6, 5, 3])
    """
    return _along(cumsum_p, operand, axis, reverse)


def cumprod(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """Running products along an axis; from the end if `reverse`. Its derivatives are right at zeros.

    >>> cumprod(np.array([1, 2, 3]))
    array([1, 2, 6])
    """
    return _along(cumprod_p, operand, axis, reverse)


def cummax(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """Running maxima along an axis; from the end if `reverse`. Of elements that tie, the first carries the derivative.

    >>> cummax(np.array([1, 3, 2]))
    array([1, 3, 3])
    """
    return _along(cummax_p, operand, axis, reverse)


def cummin(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """Running minima along an axis; as `cummax`.

    >>> cummin(np.array([2, 3, 1]))
    array([2, 2, 1])
    """
    return _along(cummin_p, operand, axis, reverse)


def cumlogsumexp(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """Running log(sum(exp(x))) along an axis, without overflow; from the end if `reverse`.

    >>> cumlogsumexp(np.array([0.0, 0.0])).round(4)
    array([0.    , 0.6931])
    """
    return _along(cumlogsumexp_p, operand, axis, reverse)
