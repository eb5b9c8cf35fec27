"""Reductions and running reductions: extremes, products, logic, argmax, cumulative operations, softmax and logsumexp.

May import base, elementwise, shape, core. The sum's primitive lives in base, because undoing a broadcast needs it. Conventions: the
derivative of a maximum is shared equally by the elements that tie; a running maximum's goes to the first; products are right at zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray, is_float
from fnets.core.primitive import Primitive
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import DTypeError, ShapeError
from fnets.primitives.base import (
    arr,
    as_axes,
    as_axis,
    batch_reduction,
    convert,
    inverse_permutation,
    kept,
    linear,
    move_dim,
    nondifferentiable,
    one_axis,
    reduce_sum_p,
    reduced,
    reshape,
    sum_dtype,
    transpose,
)
from fnets.primitives.base import reduce_sum as _sum
from fnets.primitives.elementwise import (
    add,
    conj,
    div,
    eq,
    exp,
    fill_like,
    logical_and,
    maximum,
    mul,
    ne,
    real,
    resolve_dtype,
    sub,
)
from fnets.primitives.shape import pad, ravel

# ------------------------------------------------------------------ helpers


def _over(prim: Primitive, operand: Any, axes: Any) -> Any:
    """Apply a reduction to checked axes."""
    operand = arr(operand)
    axes = as_axes(axes, len(shape_of(operand)), prim.name)
    return prim.bind(operand, axes=axes) if axes else operand


def _spread(x: Any, like: Any, axes: tuple[int, ...]) -> Any:
    """A reduction's result with its reduced axes back as ones, to broadcast against the operand."""
    return reshape(x, kept(shape_of(like), axes))


def _lower_reduce(prim: Primitive, run: Callable) -> None:
    prim.lower["numpy"] = lambda cg, eqn, args, out: (
        f"{cg.const(run, prim.name)}({args[0]}, {one_axis(eqn.params['axes'])})"
    )


def reduce_sum(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """The sum over axes (all by default); small integers and booleans widen to 64 bits, as in NumPy.

    >>> reduce_sum(np.array([[1, 5], [3, 2]]), (1,))
    array([6, 5])
    """
    return _over(reduce_sum_p, operand, axes)


# ------------------------------------------------------------------ maximum and minimum


def _extreme(name: str, ufunc: np.ufunc) -> Primitive:
    prim = Primitive(name, kind="reduce", fresh=True)
    run = ufunc.reduce
    prim.impl = lambda x, axes: run(x, one_axis(axes))

    def abstract(a: ShapedArray, axes: tuple[int, ...]) -> ShapedArray:
        if any([a.shape[i] == 0 for i in axes]):
            raise ShapeError(
                f"[{name}] expected at least one element along axes {axes}, got shape {a.shape}: an empty set has no extreme. "
                "Pass initial=, or treat the empty case apart."
            )
        return ShapedArray(reduced(a.shape, axes), a.dtype)

    def attained(x: Any, y: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
        """(1 where an element is the extreme, how many are)."""
        mask = convert(eq(x, _spread(y, x, axes)), dtype_of(y))
        return mask, _sum(mask, axes)

    def jvp(primals: Sequence, tangents: Sequence, axes: tuple[int, ...]) -> tuple:
        (x,), (t,) = primals, tangents
        y = prim.bind(x, axes=axes)
        mask, count = attained(x, y, axes)
        return y, div(_sum(mul(t, mask), axes), count)

    def vjp(active: tuple, x: Any, axes: tuple[int, ...]) -> tuple:
        y = prim.bind(x, axes=axes)
        if not is_float(dtype_of(y)):
            return y, None

        def pull(ct: Any) -> tuple:
            mask, count = attained(x, y, axes)
            return (mul(mask, _spread(div(ct, count), x, axes)),)

        return y, pull

    prim.abstract, prim.jvp, prim.vjp = abstract, jvp, vjp
    batch_reduction(prim)
    _lower_reduce(prim, run)
    return prim


reduce_max_p = _extreme("reduce_max", np.maximum)
reduce_min_p = _extreme("reduce_min", np.minimum)


def reduce_max(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """The maximum over axes (all by default). NaN wins; elements that tie share the derivative equally.

    Raises:
      ShapeError: a reduced axis is empty.

    >>> reduce_max(np.array([[1, 5], [3, 2]]), (1,))
    array([5, 3])
    """
    return _over(reduce_max_p, operand, axes)


def reduce_min(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """The minimum over axes (all by default); as `reduce_max`.

    >>> reduce_min(np.array([[1, 5], [3, 2]]), (1,))
    array([1, 2])
    """
    return _over(reduce_min_p, operand, axes)


# ------------------------------------------------------------------ argmax and argmin


def _arg_extreme(name: str, method: str) -> Primitive:
    prim = Primitive(name, kind="reduce", fresh=True)
    run = getattr(np.ndarray, method)

    def impl(x: Any, axis: int, index_dtype: np.dtype) -> Any:
        return run(x, axis).astype(index_dtype, copy=False)

    def abstract(a: ShapedArray, axis: int, index_dtype: np.dtype) -> ShapedArray:
        if a.shape[axis] == 0:
            raise ShapeError(f"[{name}] expected at least one element along axis {axis}, got shape {a.shape}.")
        if index_dtype.kind not in "iu":
            raise DTypeError(f"[{name}] expected an integer index_dtype, got {index_dtype.name}. Use int32 or int64.")
        return ShapedArray(reduced(a.shape, (axis,)), index_dtype)

    def batch(size: int, vals: Sequence, dims: Sequence, axis: int, index_dtype: np.dtype) -> tuple:
        d = dims[0]
        moved = axis + (axis >= d)
        return prim.bind(vals[0], axis=moved, index_dtype=index_dtype), d - (moved < d)

    prim.impl, prim.abstract, prim.batch = impl, abstract, batch
    nondifferentiable(prim)
    return prim


argmax_p = _arg_extreme("argmax", "argmax")
argmin_p = _arg_extreme("argmin", "argmin")


def argmax(operand: Any, axis: int | None = None, index_dtype: Any = np.int64) -> Any:
    """The position of the first maximum along an axis (of the raveled array by default); NaN counts as the maximum.

    Raises:
      ShapeError: the axis is empty.

    >>> argmax(np.array([[1, 5], [3, 3]]), 1)
    array([1, 0])
    """
    return _arg(argmax_p, operand, axis, index_dtype)


def argmin(operand: Any, axis: int | None = None, index_dtype: Any = np.int64) -> Any:
    """The position of the first minimum along an axis; as `argmax`.

    >>> argmin(np.array([[1, 5], [3, 3]]), 1)
    array([0, 0])
    """
    return _arg(argmin_p, operand, axis, index_dtype)


def _arg(prim: Primitive, operand: Any, axis: int | None, index_dtype: Any) -> Any:
    operand = ravel(operand) if axis is None else arr(operand)
    axis = as_axis(axis or 0, len(shape_of(operand)), prim.name)
    return prim.bind(operand, axis=axis, index_dtype=np.dtype(index_dtype))


# ------------------------------------------------------------------ logic


def _bitwise(name: str, ufunc: np.ufunc) -> Primitive:
    prim = Primitive(name, kind="reduce", fresh=True)
    run = ufunc.reduce
    prim.impl = lambda x, axes: run(x, one_axis(axes))

    def abstract(a: ShapedArray, axes: tuple[int, ...]) -> ShapedArray:
        if a.dtype.kind not in "biu":
            raise DTypeError(
                f"[{name}] expected booleans or integers, got {a.dtype.name}. Compare first, for example with x != 0."
            )
        return ShapedArray(reduced(a.shape, axes), a.dtype)

    prim.abstract = abstract
    batch_reduction(prim)
    nondifferentiable(prim)
    _lower_reduce(prim, run)
    return prim


reduce_and_p = _bitwise("reduce_and", np.bitwise_and)
reduce_or_p = _bitwise("reduce_or", np.bitwise_or)
reduce_xor_p = _bitwise("reduce_xor", np.bitwise_xor)


def reduce_and(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """The bitwise "and" over axes of booleans or integers (all axes by default).

    >>> reduce_and(np.array([[True, False], [True, True]]), (1,))
    array([False,  True])
    """
    return _over(reduce_and_p, operand, axes)


def reduce_or(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """The bitwise "or" over axes of booleans or integers (all axes by default).

    >>> reduce_or(np.array([[True, False], [False, False]]), (1,))
    array([ True, False])
    """
    return _over(reduce_or_p, operand, axes)


def reduce_xor(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """The bitwise "exclusive or" over axes of booleans or integers (all axes by default).

    >>> reduce_xor(np.array([[True, True], [True, False]]), (1,))
    array([False,  True])
    """
    return _over(reduce_xor_p, operand, axes)


def reduce_any(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """True where an element along the axes is nonzero.

    >>> reduce_any(np.array([[0.0, 2.0], [0.0, 0.0]]), (1,))
    array([ True, False])
    """
    return _over(reduce_or_p, _truth(operand), axes)


def reduce_all(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """True where every element along the axes is nonzero.

    >>> reduce_all(np.array([[1.0, 2.0], [0.0, 1.0]]), (1,))
    array([ True, False])
    """
    return _over(reduce_and_p, _truth(operand), axes)


def _truth(x: Any) -> Any:
    x = arr(x)
    return x if dtype_of(x).kind == "b" else ne(x, 0)


# ------------------------------------------------------------------ running operations: helpers


def _backwards(x: Any, axis: int) -> Any:
    index = [slice(None)] * x.ndim
    index[axis] = slice(None, None, -1)
    return x[tuple(index)]


def _shifted(x: Any, axis: int, reverse: bool, fill: Any) -> Any:
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
        through_factors = mul(ta, _shifted(y, axis, reverse, 0))
        terms = through_factors if tb is None else add(through_factors, tb)
    return y, linear_recurrence(a, terms, axis, reverse)


def _recurrence_vjp(active: tuple, a: Any, b: Any, axis: int, reverse: bool) -> tuple:
    y = linear_recurrence(a, b, axis, reverse)
    dtypes = dtype_of(a), dtype_of(b)

    def pull(ct: Any) -> list:
        g = _recurrence_transposed(a, ct, axis, reverse)
        cts = {1: g}
        if 0 in active:
            cts[0] = mul(g, _shifted(y, axis, reverse, 0))
        return [convert(cts[i], dtypes[i]) for i in active]

    return y, pull


def _recurrence_transposed(a: Any, ct: Any, axis: int, reverse: bool) -> Any:
    """The cotangent of the terms: g[k] = a[k + 1] g[k + 1] + ct[k]."""
    return linear_recurrence(_shifted(a, axis, not reverse, 0), ct, axis, not reverse)


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
    return x, _shifted(y, axis, reverse, 1)  # products and sums alone: right where x is zero


def _record_parts(x: Any, y: Any, axis: int, reverse: bool) -> tuple:
    before = _shifted(y, axis, reverse, 0)
    first = np.zeros(shape_of(x)[axis], bool)
    first[-1:] = reverse
    first[:1] |= not reverse
    first = first.reshape([-1 if i == axis else 1 for i in range(len(shape_of(x)))])
    kept_on = convert(logical_and(eq(before, y), np.logical_not(first)), dtype_of(y))
    return kept_on, sub(1, kept_on)


def _cumlogsumexp_parts(x: Any, y: Any, axis: int, reverse: bool) -> tuple:
    return _exp_difference(_shifted(y, axis, reverse, -np.inf), y), _exp_difference(x, y)


def _exp_difference(x: Any, y: Any) -> Any:
    """exp(x - y) where x <= y; 0 where both are -inf."""
    return exp(sub(x, maximum(y, fill_like(y, _lowest(dtype_of(y))))))


def _lowest(dtype: np.dtype) -> float:
    return np.finfo(dtype).min


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


# ------------------------------------------------------------------ product

reduce_prod_p = Primitive("reduce_prod", kind="reduce", fresh=True)
_multiply_reduce = np.multiply.reduce


def _product_of_others(x: Any, axes: tuple[int, ...]) -> Any:
    """For every element the product of the others that it is reduced with, by running products from both sides: no division."""
    shape = shape_of(x)
    order = tuple([i for i in range(len(shape)) if i not in axes]) + axes
    lead = [shape[i] for i in order[: len(shape) - len(axes)]]
    moved = transpose(x, order)
    flat = reshape(moved, (*lead, size_of([shape[i] for i in axes])))
    axis = len(lead)
    left, right = [_shifted(cumprod_p.bind(flat, axis=axis, reverse=r), axis, r, 1) for r in (False, True)]
    return transpose(reshape(mul(left, right), shape_of(moved)), inverse_permutation(order))


def _prod_jvp(primals: Sequence, tangents: Sequence, axes: tuple[int, ...]) -> tuple:
    (x,), (t,) = primals, tangents
    return reduce_prod_p.bind(x, axes=axes), _sum(mul(t, _product_of_others(x, axes)), axes)


def _prod_vjp(active: tuple, x: Any, axes: tuple[int, ...]) -> tuple:
    y = reduce_prod_p.bind(x, axes=axes)
    if not is_float(dtype_of(y)):
        return y, None
    return y, lambda ct: (mul(_spread(ct, x, axes), _product_of_others(x, axes)),)


reduce_prod_p.impl = lambda x, axes: _multiply_reduce(x, one_axis(axes))
reduce_prod_p.abstract = lambda a, axes: ShapedArray(reduced(a.shape, axes), sum_dtype(a.dtype))
reduce_prod_p.jvp, reduce_prod_p.vjp = _prod_jvp, _prod_vjp
batch_reduction(reduce_prod_p)
_lower_reduce(reduce_prod_p, _multiply_reduce)


def reduce_prod(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """The product over axes (all by default); its derivatives are right where elements are zero.

    >>> reduce_prod(np.array([[1, 5], [3, 2]]), (1,))
    array([5, 6])
    """
    return _over(reduce_prod_p, operand, axes)


# ------------------------------------------------------------------ logsumexp, softmax, log_softmax


def _peak(x: Any, axis: Any) -> Any:
    """The maximum, axes kept; of complex numbers, of the real parts."""
    return np.maximum.reduce(x.real if x.dtype.kind == "c" else x, axis, keepdims=True)


def _logsumexp_impl(x: Any, axes: tuple[int, ...]) -> Any:
    axis = one_axis(axes)
    x = _floating(x)
    if 0 in [x.shape[i] for i in axes]:
        return np.full(reduced(x.shape, axes), -np.inf, x.dtype)[()]
    peak = _peak(x, axis)
    finite = np.isfinite(peak)
    if not finite.all():
        peak = np.where(
            finite, peak, peak.dtype.type(0)
        )  # a row of -inf sums to exactly 0, one with +inf or nan keeps it
        with np.errstate(over="ignore", divide="ignore"):
            return _log_of_sum(x, peak, axis)
    return _log_of_sum(x, peak, axis)


def _log_of_sum(x: Any, peak: Any, axis: Any) -> Any:
    shifted = np.subtract(x, peak)
    total = np.add.reduce(np.exp(shifted, shifted if shifted.ndim else None), axis, keepdims=True)
    out = np.add(np.log(total), peak)
    return out.reshape(np.add.reduce(out, axis).shape)[()]


def _floating(x: Any) -> Any:
    return x if x.dtype.kind in "fcV" else x.astype(resolve_dtype(np.exp, x.dtype))


def _float_abstract(shape_rule: Callable) -> Callable:
    def abstract(a: ShapedArray, axes: tuple[int, ...]) -> ShapedArray:
        return ShapedArray(shape_rule(a.shape, axes), a.dtype if is_float(a.dtype) else resolve_dtype(np.exp, a.dtype))

    return abstract


logsumexp_p = Primitive("logsumexp", kind="reduce", fresh=True)


def _logsumexp_jvp(primals: Sequence, tangents: Sequence, axes: tuple[int, ...]) -> tuple:
    (x,), (t,) = primals, tangents
    y = logsumexp_p.bind(x, axes=axes)
    return y, _sum(mul(t, _exp_difference(x, _spread(y, x, axes))), axes)


def _logsumexp_vjp(active: tuple, x: Any, axes: tuple[int, ...]) -> tuple:
    y = logsumexp_p.bind(x, axes=axes)
    return y, lambda ct: (mul(_exp_difference(x, _spread(y, x, axes)), _spread(ct, x, axes)),)


logsumexp_p.impl, logsumexp_p.abstract = _logsumexp_impl, _float_abstract(reduced)
logsumexp_p.jvp, logsumexp_p.vjp = _logsumexp_jvp, _logsumexp_vjp
batch_reduction(logsumexp_p)


def logsumexp(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """log(sum(exp(x))) over axes (all by default), without overflow. Its derivative is the softmax.

    A row of -inf gives -inf (and a zero derivative), a row that holds +inf gives inf.

    >>> logsumexp(np.array([[1000.0, 1000.0], [0.0, -np.inf]]), (1,)).round(4)
    array([1000.6931,    0.    ])
    """
    operand = arr(operand)
    return logsumexp_p.bind(operand, axes=as_axes(axes, len(shape_of(operand)), "logsumexp"))


softmax_p = Primitive("softmax", fresh=True)
log_softmax_p = Primitive("log_softmax", fresh=True)


def _softmax_impl(x: Any, axes: tuple[int, ...]) -> Any:
    axis = one_axis(axes)
    x = _floating(x)
    if not x.size:
        return x.copy()
    out = np.asarray(np.subtract(x, _peak(x, axis)))
    np.exp(out, out)
    return np.divide(out, np.add.reduce(out, axis, keepdims=True), out)


def _log_softmax_impl(x: Any, axes: tuple[int, ...]) -> Any:
    axis = one_axis(axes)
    x = _floating(x)
    if not x.size:
        return x.copy()
    out = np.asarray(np.subtract(x, _peak(x, axis)))
    return np.subtract(out, np.log(np.add.reduce(np.exp(out), axis, keepdims=True)), out)


def _softmax_tangent(y: Any, t: Any, axes: tuple[int, ...]) -> Any:
    return mul(y, sub(t, _spread(_sum(mul(y, t), axes), y, axes)))


def _softmax_jvp(primals: Sequence, tangents: Sequence, axes: tuple[int, ...]) -> tuple:
    y = softmax_p.bind(*primals, axes=axes)
    return y, _softmax_tangent(y, tangents[0], axes)


def _softmax_vjp(active: tuple, x: Any, axes: tuple[int, ...]) -> tuple:
    y = softmax_p.bind(x, axes=axes)
    return y, lambda ct: (_softmax_tangent(y, ct, axes),)  # the Jacobian is symmetric


def _log_softmax_jvp(primals: Sequence, tangents: Sequence, axes: tuple[int, ...]) -> tuple:
    y, t = log_softmax_p.bind(*primals, axes=axes), tangents[0]
    return y, sub(t, _spread(_sum(mul(exp(y), t), axes), y, axes))


def _log_softmax_vjp(active: tuple, x: Any, axes: tuple[int, ...]) -> tuple:
    y = log_softmax_p.bind(x, axes=axes)
    return y, lambda ct: (sub(ct, mul(exp(y), _spread(_sum(ct, axes), y, axes))),)


def _keeping_shape(size: int, d: int, axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([a + (a >= d) for a in axes])


softmax_p.impl, softmax_p.jvp, softmax_p.vjp = _softmax_impl, _softmax_jvp, _softmax_vjp
log_softmax_p.impl, log_softmax_p.jvp, log_softmax_p.vjp = _log_softmax_impl, _log_softmax_jvp, _log_softmax_vjp
softmax_p.abstract = log_softmax_p.abstract = _float_abstract(lambda shape, axes: shape)
softmax_p.batch = lambda size, vals, dims, axes: (
    softmax_p.bind(vals[0], axes=_keeping_shape(size, dims[0], axes)),
    dims[0],
)
log_softmax_p.batch = lambda size, vals, dims, axes: (
    log_softmax_p.bind(vals[0], axes=_keeping_shape(size, dims[0], axes)),
    dims[0],
)


def softmax(x: Any, axes: Sequence[int] | int | None = -1) -> Any:
    """exp(x) / sum(exp(x)) over axes (the last by default), without overflow.

    >>> softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    return _normalised(softmax_p, x, axes)


def log_softmax(x: Any, axes: Sequence[int] | int | None = -1) -> Any:
    """x - log(sum(exp(x))) over axes (the last by default), without overflow.

    >>> log_softmax(np.array([1000.0, 1000.0])).round(4)
    array([-0.6931, -0.6931])
    """
    return _normalised(log_softmax_p, x, axes)


def _normalised(prim: Primitive, x: Any, axes: Any) -> Any:
    x = arr(x)
    return prim.bind(x, axes=as_axes(axes, len(shape_of(x)), prim.name))


# ------------------------------------------------------------------ mean and variance


def size_of(sizes: Sequence[int]) -> int:
    """The product of lengths.

    >>> size_of((2, 3))
    6
    """
    size = 1
    for n in sizes:
        size *= n
    return size


def mean(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """The arithmetic mean over axes (all by default); integers give float64, float16 is summed in float32.

    >>> mean(np.array([[1, 2], [3, 5]]), (1,))
    array([1.5, 4. ])
    """
    x = arr(operand)
    axes = as_axes(axes, len(shape_of(x)), "mean")
    dtype = dtype_of(x)
    if dtype == np.float16:
        return convert(mean(convert(x, np.float32), axes), dtype)
    if not is_float(dtype):
        x = convert(x, np.float64)
    return div(_sum(x, axes), size_of([shape_of(x)[i] for i in axes]))


def var(operand: Any, axes: Sequence[int] | int | None = None, ddof: int | float = 0) -> Any:
    """The variance over axes (all by default): the mean of |x - mean(x)|**2 in two passes, divided by n - ddof.

    >>> var(np.array([1.0, 3.0]), ddof=1)
    np.float64(2.0)
    """
    x = arr(operand)
    axes = as_axes(axes, len(shape_of(x)), "var")
    dtype = dtype_of(x)
    if dtype == np.float16:
        return convert(var(convert(x, np.float32), axes, ddof), dtype)
    centred = sub(x, _spread(mean(x, axes), x, axes))
    squares = real(mul(centred, conj(centred))) if dtype.kind == "c" else mul(centred, centred)
    return div(_sum(squares, axes), max(size_of([shape_of(x)[i] for i in axes]) - ddof, 0))
