"""Reductions that leave NaN out: `nansum`, `nanmean`, `nanmax`, `nanargmax`, ... May import reductions, arguments, primitives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.core.trace import Tracer, dtype_of, shape_of
from fnets.errors import ArgumentError
from fnets.numpy import reductions as red
from fnets.numpy.arguments import as_dtype, refuse_out, to_array
from fnets.numpy.reductions import Axis
from fnets.primitives import elementwise as e
from fnets.primitives.base import convert

__all__ = [
    "nanargmax", "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmin", "nanprod", "nanstd", "nansum",
    "nanvar",
]  # fmt: skip


def _without_nan(a: Any, value: Any) -> tuple[Any, Any]:
    """(the array with NaN replaced, where NaN was or None for dtypes that have none)."""
    a = to_array(a)
    if dtype_of(a).kind not in "fc":
        return a, None
    nan = e.is_nan(a)
    return e.select(nan, e.fill_like(a, value), a), nan


def _both(where: Any, nan: Any) -> Any:
    """The mask of elements to use."""
    if nan is None:
        return where
    numbers = e.logical_not(nan)
    return numbers if where is None or where is True else e.logical_and(to_array(where), numbers)


def nansum(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """`sum` with NaN counted as 0.

    >>> nansum(np.array([1.0, np.nan]))
    np.float64(1.0)
    """
    return red.sum(_without_nan(a, 0)[0], axis, dtype, out, keepdims, initial, where)


def nanprod(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
) -> Any:
    """`prod` with NaN counted as 1.

    >>> nanprod(np.array([2.0, np.nan]))
    np.float64(2.0)
    """
    return red.prod(_without_nan(a, 1)[0], axis, dtype, out, keepdims, initial, where)


def nancumsum(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """`cumsum` with NaN counted as 0.

    >>> nancumsum(np.array([1.0, np.nan, 2.0]))
    array([1., 1., 3.])
    """
    return red.cumsum(_without_nan(a, 0)[0], axis, dtype, out)


def nancumprod(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """`cumprod` with NaN counted as 1.

    >>> nancumprod(np.array([2.0, np.nan, 3.0]))
    array([2., 2., 6.])
    """
    return red.cumprod(_without_nan(a, 1)[0], axis, dtype, out)


def _nan_extreme(
    op: str, reduce: Callable, worst: float, a: Any, axis: Axis, out: Any, keepdims: bool, initial: Any, where: Any
) -> Any:
    refuse_out(op, out)
    x, nan = _without_nan(a, worst)
    y = reduce(x, axis, None, keepdims, initial, where)
    if nan is None or initial is not None:
        return y
    return e.select(red.all(nan, axis, keepdims=keepdims, where=where), e.fill_like(y, np.nan), y)


def nanmax(
    a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Any:
    """`max` without NaN; NaN where there is nothing else.

    >>> nanmax(np.array([1.0, np.nan]))
    np.float64(1.0)
    """
    return _nan_extreme("nanmax", red.max, -np.inf, a, axis, out, keepdims, initial, where)


def nanmin(
    a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = None
) -> Any:
    """`min` without NaN; NaN where there is nothing else.

    >>> nanmin(np.array([1.0, np.nan]))
    np.float64(1.0)
    """
    return _nan_extreme("nanmin", red.min, np.inf, a, axis, out, keepdims, initial, where)


def _nan_arg(op: str, reduce: Callable, worst: float, a: Any, axis: int | None, out: Any, keepdims: bool) -> Any:
    refuse_out(op, out)
    x, nan = _without_nan(a, worst)
    y = reduce(x, axis, keepdims=keepdims)
    if nan is None:
        return y
    nothing = red.all(nan, axis, keepdims=keepdims)
    value = nothing.concrete() if isinstance(nothing, Tracer) else nothing
    if value is not None and np.any(value):
        raise ArgumentError(
            f"[{op}] expected a number among the elements, got a slice of NaN alone. Use fnets.numpy.nan_to_num first."
        )
    return y if value is not None else e.select(nothing, -1, y)


def nanargmax(a: Any, axis: int | None = None, out: Any = None, keepdims: bool = False) -> Any:
    """`argmax` without NaN. A slice of NaN alone is an error; while its values are unknown (under jit) it gives -1.

    >>> nanargmax(np.array([1.0, np.nan]))
    np.int64(0)
    """
    return _nan_arg("nanargmax", red.argmax, -np.inf, a, axis, out, keepdims)


def nanargmin(a: Any, axis: int | None = None, out: Any = None, keepdims: bool = False) -> Any:
    """`argmin` without NaN; as `nanargmax`.

    >>> nanargmin(np.array([1.0, np.nan]))
    np.int64(0)
    """
    return _nan_arg("nanargmin", red.argmin, np.inf, a, axis, out, keepdims)


def nanmean(
    a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, keepdims: bool = False, where: Any = None
) -> Any:
    """`mean` without NaN.

    >>> nanmean(np.array([1.0, np.nan, 3.0]))
    np.float64(2.0)
    """
    x, nan = _without_nan(a, 0)
    return red.mean(x, axis, dtype, out, keepdims, where=_both(where, nan))


def nanvar(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    where: Any = None,
    *,
    mean: Any = None,
    correction: float | None = None,
) -> Any:
    """`var` without NaN; NaN where no more than `ddof` numbers are left.

    >>> nanvar(np.array([1.0, np.nan, 3.0]))
    np.float64(1.0)
    """
    refuse_out("nanvar", out)
    ddof = ddof if correction is None else correction
    a = to_array(a)
    if dtype is not None:
        a = convert(a, as_dtype(dtype))
    x, nan = _without_nan(a, 0)
    use = _both(where, nan)
    y = red.var(x, axis, None, None, ddof, keepdims, where=use, mean=mean)
    if use is None or use is True:
        return y
    counted = red.sum(np.ones(shape_of(x), np.int64), axis, keepdims=keepdims, where=use)
    return e.select(e.le(counted, ddof), e.fill_like(y, np.nan), y)


def nanstd(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    where: Any = None,
    *,
    mean: Any = None,
    correction: float | None = None,
) -> Any:
    """`std` without NaN; as `nanvar`.

    >>> nanstd(np.array([1.0, np.nan, 3.0]))
    np.float64(1.0)
    """
    refuse_out("nanstd", out)
    return red.safe_sqrt(nanvar(a, axis, dtype, None, ddof, keepdims, where, mean=mean, correction=correction))
