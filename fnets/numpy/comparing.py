"""Comparisons of whole arrays: `isclose`, `allclose`, `array_equal`. May import arguments, reductions, primitives."""

from __future__ import annotations

from typing import Any

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ShapeError
from fnets.numpy import reductions as red
from fnets.numpy.arguments import pair
from fnets.primitives import elementwise as e

__all__ = [
    "allclose", "array_equal", "array_equiv", "isclose",
]  # fmt: skip


def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """Whether `|a - b| <= atol + rtol |b|`, elementwise; infinities are close to themselves.

    Args:
      a, b: arrays.
      rtol, atol: relative and absolute tolerance.
      equal_nan: count NaN as close to NaN.

    >>> isclose([1.0, 2.0], [1.0, 2.1])
    array([ True, False])
    """
    a, b = pair(a, b)
    if dtype_of(a).kind in "iub" and dtype_of(b).kind in "iub":
        b = e.mul(b, 1.0)
    equal = e.eq(a, b)
    both_finite = e.logical_and(e.is_finite(a), e.is_finite(b))
    near = e.le(e.abs(e.sub(a, b)), e.add(e.mul(e.abs(b), rtol), atol))
    out = e.logical_or(equal, e.logical_and(both_finite, near))
    if equal_nan:
        out = e.logical_or(out, e.logical_and(e.ne(a, a), e.ne(b, b)))
    return out


def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """Whether all elements are close; arguments as `isclose`.

    >>> bool(allclose([1.0, 2.0], [1.0, 2.0 + 1e-9]))
    True
    """
    return red.all(isclose(a, b, rtol, atol, equal_nan))


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    """Whether two arrays have the same shape and elements.

    Args:
      a1, a2: arrays.
      equal_nan: count NaN as equal to NaN.

    >>> bool(array_equal([1, 2], [1, 2])), array_equal([1, 2], [1])
    (True, False)
    """
    a1, a2 = pair(a1, a2)
    if shape_of(a1) != shape_of(a2):
        return False
    equal = e.eq(a1, a2)
    if equal_nan:
        equal = e.logical_or(equal, e.logical_and(e.ne(a1, a1), e.ne(a2, a2)))
    return red.all(equal)


def array_equiv(a1: Any, a2: Any) -> Any:
    """Whether two arrays broadcast against each other to equal elements.

    >>> bool(array_equiv([1, 1], [[1], [1]]))
    True
    """
    a1, a2 = pair(a1, a2)
    try:
        e.broadcast_shapes("array_equiv", shape_of(a1), shape_of(a2))
    except ShapeError:
        return False
    return red.all(e.eq(a1, a2))
