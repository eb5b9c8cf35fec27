"""logsumexp, softmax and log_softmax as primitives: stable, in few passes over memory. May import base, elementwise, cumulative, reduce, core.

A NumPy reduction over a short last axis pays for every row; such arrays are worked on transposed, where the rows are the fast axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray, is_float
from fnets.core.primitive import Primitive
from fnets.core.promotion import resolve_dtype
from fnets.core.trace import shape_of
from fnets.primitives.base import arr, as_axes, batch_reduction, one_axis, reduce_sum, reduced
from fnets.primitives.cumulative import exp_difference
from fnets.primitives.elementwise import exp, mul, sub
from fnets.primitives.reduce import spread

_maximum, _total = np.maximum.reduce, np.add.reduce
_SHORT, _MANY = 16, 32  # rows of at most 16 elements, and at least 32 of them: transposing pays

# ------------------------------------------------------------------ kernels on NumPy arrays


def _peak(x: Any, axis: Any) -> Any:
    """The maximum, axes kept; of complex numbers, of the real parts."""
    return _maximum(x.real if x.dtype.kind == "c" else x, axis, keepdims=True)


def _softmax_kernel(x: Any, axis: Any, out: Any) -> Any:
    out = np.subtract(x, _peak(x, axis), out)
    np.exp(out, out)
    return np.divide(out, _total(out, axis, keepdims=True), out)


def _log_softmax_kernel(x: Any, axis: Any, out: Any) -> Any:
    out = np.subtract(x, _peak(x, axis), out)
    return np.subtract(out, np.log(_total(np.exp(out), axis, keepdims=True)), out)


def _logsumexp_kernel(x: Any, axis: Any, out: Any) -> Any:
    peak = _peak(x, axis)
    flat = peak.ravel()
    if isfinite(flat.dot(flat)):
        return _log_of_sum(x, peak, axis, out)
    # a row of -inf sums to exactly 0 then; one with +inf or nan keeps it
    peak = np.where(np.isfinite(peak), peak, peak.dtype.type(0))
    with np.errstate(over="ignore", divide="ignore"):
        return _log_of_sum(x, peak, axis, out)


def _log_of_sum(x: Any, peak: Any, axis: Any, out: Any) -> Any:
    shifted = np.subtract(x, peak, out)
    total = _total(np.exp(shifted, shifted), axis, keepdims=True)
    return np.add(np.log(total), peak)


def _columns(x: Any, axes: tuple[int, ...]) -> Any:
    """A transposed copy of an array with many short rows that are reduced; else None."""
    shape = x.shape
    if len(axes) == 1 and axes[0] == len(shape) - 1 and 0 < shape[-1] <= _SHORT and x.size >= _MANY * shape[-1]:
        return x.reshape(-1, shape[-1]).T.copy("C")
    return None


def _floating(x: Any) -> Any:
    return x if x.dtype.kind in "fcV" else x.astype(resolve_dtype(np.exp, x.dtype))


def _keeps_shape(kernel: Callable) -> Callable:
    """The impl of a kernel whose result has the operand's shape; `out` may be the operand itself."""

    def impl(x: Any, axes: tuple[int, ...], out: Any = None) -> Any:
        x = _floating(x)
        columns = _columns(x, axes)
        if columns is not None:
            return kernel(columns, 0, columns).T.copy("C").reshape(x.shape)
        if not x.size:
            return x.copy()
        if out is None:
            out = np.empty_like(x)
        return kernel(x, one_axis(axes), out)

    return impl


def _logsumexp_impl(x: Any, axes: tuple[int, ...]) -> Any:
    x = _floating(x)
    shape = reduced(x.shape, axes)
    columns = _columns(x, axes)
    if columns is not None:
        return _logsumexp_kernel(columns, 0, columns).reshape(shape)
    if 0 in x.shape:
        return np.full(shape, -np.inf, x.dtype)[()]
    return _logsumexp_kernel(x, one_axis(axes), np.empty_like(x)).reshape(shape)[()]


# ------------------------------------------------------------------ types, batching, lowering


def _float_result(dtype: np.dtype) -> np.dtype:
    return dtype if is_float(dtype) else resolve_dtype(np.exp, dtype)


def _declare_along(prim: Primitive, kernel: Callable) -> None:
    """impl, abstract, batch and lowering of an operation over `axes` that keeps the shape."""
    impl = _keeps_shape(kernel)

    def batch(size: int, vals: Sequence, dims: Sequence, axes: tuple[int, ...]) -> tuple:
        d = dims[0]
        return prim.bind(vals[0], axes=tuple([a + (a >= d) for a in axes])), d

    def lower(cg: Any, eqn: Any, args: list[str], out: str | None) -> str:
        given = "" if out is None else f", {out}"
        return f"{cg.const(impl, prim.name)}({args[0]}, {eqn.params['axes']}{given})"

    prim.impl, prim.batch = impl, batch
    prim.abstract = lambda a, axes: ShapedArray(a.shape, _float_result(a.dtype))
    prim.lower["numpy"] = lower


def _normalised(prim: Primitive, x: Any, axes: Any) -> Any:
    x = arr(x)
    return prim.bind(x, axes=as_axes(axes, len(shape_of(x)), prim.name))


# ------------------------------------------------------------------ logsumexp

logsumexp_p = Primitive("logsumexp", kind="reduce", fresh=True)


def _logsumexp_jvp(primals: Sequence, tangents: Sequence, axes: tuple[int, ...]) -> tuple:
    (x,), (t,) = primals, tangents
    y = logsumexp_p.bind(x, axes=axes)
    return y, reduce_sum(mul(t, exp_difference(x, spread(y, x, axes))), axes)


def _logsumexp_vjp(active: tuple, x: Any, axes: tuple[int, ...]) -> tuple:
    y = logsumexp_p.bind(x, axes=axes)
    return y, lambda ct: (mul(exp_difference(x, spread(y, x, axes)), spread(ct, x, axes)),)


logsumexp_p.impl = _logsumexp_impl
logsumexp_p.abstract = lambda a, axes: ShapedArray(reduced(a.shape, axes), _float_result(a.dtype))
logsumexp_p.jvp, logsumexp_p.vjp = _logsumexp_jvp, _logsumexp_vjp
batch_reduction(logsumexp_p)


def logsumexp(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """log(sum(exp(x))) over axes (all by default), without overflow. Its derivative is the softmax.

    A row of -inf gives -inf (and a zero derivative), a row that holds +inf gives inf.

    >>> logsumexp(np.array([[1000.0, 1000.0], [0.0, -np.inf]]), (1,)).round(4)
    array([1000.6931,    0.    ])
    """
    return _normalised(logsumexp_p, operand, axes)


# ------------------------------------------------------------------ softmax and log_softmax

softmax_p = Primitive("softmax", fresh=True)
log_softmax_p = Primitive("log_softmax", fresh=True)
_declare_along(softmax_p, _softmax_kernel)
_declare_along(log_softmax_p, _log_softmax_kernel)


def _softmax_tangent(y: Any, t: Any, axes: tuple[int, ...]) -> Any:
    weighted = mul(y, t)
    return sub(weighted, mul(y, spread(reduce_sum(weighted, axes), y, axes)))


def _softmax_jvp(primals: Sequence, tangents: Sequence, axes: tuple[int, ...]) -> tuple:
    y = softmax_p.bind(*primals, axes=axes)
    return y, _softmax_tangent(y, tangents[0], axes)


def _softmax_vjp(active: tuple, x: Any, axes: tuple[int, ...]) -> tuple:
    y = softmax_p.bind(x, axes=axes)
    return y, lambda ct: (_softmax_tangent(y, ct, axes),)  # the Jacobian is symmetric


def _log_softmax_jvp(primals: Sequence, tangents: Sequence, axes: tuple[int, ...]) -> tuple:
    y, t = log_softmax_p.bind(*primals, axes=axes), tangents[0]
    return y, sub(t, spread(reduce_sum(mul(exp(y), t), axes), y, axes))


def _log_softmax_vjp(active: tuple, x: Any, axes: tuple[int, ...]) -> tuple:
    y = log_softmax_p.bind(x, axes=axes)
    return y, lambda ct: (sub(ct, mul(exp(y), spread(reduce_sum(ct, axes), y, axes))),)


softmax_p.jvp, softmax_p.vjp = _softmax_jvp, _softmax_vjp
log_softmax_p.jvp, log_softmax_p.vjp = _log_softmax_jvp, _log_softmax_vjp


def softmax(x: Any, axes: Sequence[int] | int | None = -1) -> Any:
    """exp(x) / sum(exp(x)) over axes (the last by default), without overflow.

    Args:
      x: array; integers are converted as `exp` converts them.
      axes: an axis, several, or None for all.

    >>> softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    return _normalised(softmax_p, x, axes)


def log_softmax(x: Any, axes: Sequence[int] | int | None = -1) -> Any:
    """x - log(sum(exp(x))) over axes (the last by default), without overflow.

    Args:
      x: array; integers are converted as `exp` converts them.
      axes: an axis, several, or None for all.

    >>> log_softmax(np.array([1000.0, 1000.0])).round(4)
    array([-0.6931, -0.6931])
    """
    return _normalised(log_softmax_p, x, axes)
