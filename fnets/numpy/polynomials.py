"""Polynomials as vectors of coefficients, the highest power first: `polyval`, `polymul`, ... May import arguments, calculus, manipulation, primitives."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.numpy import calculus
from fnets.numpy import manipulation as m
from fnets.numpy.arguments import as_type, known_int, promoted, promoted_inexact, to_array, to_inexact
from fnets.numpy.reordering import trim_zeros
from fnets.primitives import elementwise as e
from fnets.primitives.shape import pad

__all__ = [
    "poly", "polyadd", "polyder", "polydiv", "polyint", "polymul", "polysub", "polyval",
]  # fmt: skip


def _coefficients(op: str, p: Any) -> Any:
    p = m.atleast_1d(p)
    if p.ndim != 1:
        raise ShapeError(f"[{op}] expected a vector of coefficients, got shape {shape_of(p)}.")
    return p


def polyval(p: Any, x: Any, *, unroll: int = 16) -> Any:
    """The value of a polynomial at `x`, by Horner's rule.

    Args:
      p: coefficients, the highest power first.
      x: array.
      unroll: accepted and ignored.

    >>> polyval(np.array([1, 0, -1]), 3)
    np.int64(8)
    """
    p, x = m.atleast_1d(p), to_array(x)
    rest = p.ndim - 1
    coefficients = m.unstack(p)
    y = e.mul(e.mul(x, 0), coefficients[0] if coefficients else 0)
    if rest and x.ndim:
        y = e.mul(x, np.zeros(shape_of(p)[1:], dtype_of(p)))
    for c in coefficients:
        y = e.add(e.mul(y, x), c)
    return y


def _aligned(op: str, a1: Any, a2: Any) -> tuple[Any, Any]:
    """Two coefficient vectors of one length and dtype."""
    a1, a2 = promoted(_coefficients(op, a1), _coefficients(op, a2))
    n = max(shape_of(a1)[0], shape_of(a2)[0])
    zero = np.zeros((), dtype_of(a1))
    a, b = (pad(a, zero, ((n - shape_of(a)[0], 0, 0),)) for a in (a1, a2))
    return a, b


def polyadd(a1: Any, a2: Any) -> Any:
    """The sum of two polynomials.

    >>> polyadd(np.array([1, 2]), np.array([1, 0, 0]))
    array([1, 1, 2])
    """
    return e.add(*_aligned("polyadd", a1, a2))


def polysub(a1: Any, a2: Any) -> Any:
    """The difference of two polynomials.

    >>> polysub(np.array([1, 2]), np.array([1, 0, 0]))
    array([-1,  1,  2])
    """
    return e.sub(*_aligned("polysub", a1, a2))


def polymul(a1: Any, a2: Any, *, trim_leading_zeros: bool = False) -> Any:
    """The product of two polynomials.

    Args:
      a1, a2: coefficients.
      trim_leading_zeros: leave leading zeros of both out before, as NumPy does; the values must be known then.

    >>> polymul(np.array([1, 1]), np.array([1, -1]))
    array([ 1,  0, -1])
    """
    a1, a2 = _coefficients("polymul", a1), _coefficients("polymul", a2)
    if trim_leading_zeros:
        a1, a2 = trim_zeros(a1, "f"), trim_zeros(a2, "f")
    return calculus.convolve(a1 if shape_of(a1)[0] else np.zeros(1), a2 if shape_of(a2)[0] else np.zeros(1))


def polydiv(u: Any, v: Any, *, trim_leading_zeros: bool = False) -> tuple[Any, Any]:
    """The quotient and the remainder of two polynomials.

    Args:
      u, v: coefficients; the first of `v` must not be 0.
      trim_leading_zeros: leave leading zeros of the remainder out, as NumPy does; the values must be known then.

    >>> polydiv(np.array([1.0, 0.0, -1.0]), np.array([1.0, 1.0]))
    (array([ 1., -1.]), array([0., 0., 0.]))
    """
    u, v = promoted_inexact(_coefficients("polydiv", u), _coefficients("polydiv", v))
    n, k = shape_of(u)[0], shape_of(v)[0]
    if n < k:
        return np.zeros(1, dtype_of(u)), u
    scale = e.div(1.0, m.unstack(v)[0])
    rest = list(m.unstack(u))
    divisor = m.unstack(v)
    quotient = []
    for i in range(n - k + 1):
        d = e.mul(scale, rest[i])
        quotient.append(d)
        for j in range(k):
            rest[i + j] = e.sub(rest[i + j], e.mul(d, divisor[j]))
    remainder = m.stack(rest)
    if trim_leading_zeros:
        remainder = trim_zeros(remainder, "f")
    return m.stack(quotient), remainder


def polyder(p: Any, m: int = 1) -> Any:
    """The m-th derivative of a polynomial.

    >>> polyder(np.array([1, 0, -1]))
    array([2, 0])
    """
    p = _coefficients("polyder", p)
    m = known_int(m, "polyder", "m")
    if m < 0:
        raise ArgumentError(f"[polyder] expected a non-negative order, got {m}. Use polyint.")
    if m == 0:
        return p
    n = shape_of(p)[0]
    if n <= m:
        return np.zeros(0, dtype_of(p))
    powers = np.arange(n - 1, m - 1, -1)
    factor = np.ones(len(powers), np.int64)
    for i in range(m):
        factor = factor * (powers - i)
    return e.mul(calculus._part(p, None, n - m, 0), factor.astype(dtype_of(p)))


def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """The m-th antiderivative of a polynomial.

    Args:
      p: coefficients; integers become float64.
      m: how often to integrate.
      k: constants of integration, the first integral's first; 0 by default, one number for all.

    >>> polyint(np.array([2.0, 0.0]))
    array([1., 0., 0.])
    """
    p = _coefficients("polyint", to_inexact(p))
    m = known_int(m, "polyint", "m")
    if m < 0:
        raise ArgumentError(f"[polyint] expected a non-negative order, got {m}. Use polyder.")
    constants = _constants(k, m, dtype_of(p))
    for i in range(m):
        n = shape_of(p)[0]
        p = _joined(e.div(p, np.arange(n, 0, -1).astype(dtype_of(p))), constants[i])
    return p


def _constants(k: Any, count: int, dtype: np.dtype) -> list:
    values = [] if k is None else list(m.unstack(m.atleast_1d(k)))
    if not values:
        values = [np.zeros((), dtype)]
    if len(values) == 1:
        values = values * count
    if len(values) != count:
        raise ArgumentError(f"[polyint] expected one constant of integration, or {count}, got {len(values)}.")
    return [as_type(v, dtype) for v in values]


def _joined(p: Any, constant: Any) -> Any:
    return m.concatenate([p, m.atleast_1d(constant)])


def poly(seq_of_zeros: Any) -> Any:
    """The coefficients of the polynomial with the given roots and leading coefficient 1.

    >>> poly(np.array([1.0, -1.0]))
    array([ 1.,  0., -1.])
    """
    roots = m.atleast_1d(seq_of_zeros)
    if roots.ndim != 1:
        raise ShapeError(
            f"[poly] expected a vector of roots, got shape {shape_of(roots)}. Take the eigenvalues of a matrix first."
        )
    roots = to_inexact(roots)
    out = np.ones(1, dtype_of(roots))
    for root in m.unstack(roots):
        out = calculus.convolve(out, m.stack([np.ones((), dtype_of(roots)), e.neg(root)]))
    return out
