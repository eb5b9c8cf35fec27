"""Polynomials that need linear algebra: `polyfit`, `roots`. Loaded when first used. May import linalg, calculus, manipulation, primitives."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.numpy import linalg, linear
from fnets.numpy import manipulation as m
from fnets.numpy import reductions as red
from fnets.numpy.arguments import known, known_int, promoted_inexact, to_array, to_inexact
from fnets.primitives import elementwise as e
from fnets.primitives.base import convert

__all__ = ["polyfit", "roots"]


def roots(p: Any, *, strip_zeros: bool = True) -> Any:
    """The roots of a polynomial, as the eigenvalues of its companion matrix.

    Args:
      p: vector of coefficients, the highest power first.
      strip_zeros: leave leading zeros out, and turn trailing ones into roots 0, which needs known values. Otherwise the first coefficient
        must not be 0.

    Returns:
      A complex vector, in no particular order. Differentiable where the roots are distinct.

    >>> np.sort(roots(np.array([1.0, 0.0, -1.0])).real)
    array([-1.,  1.])
    """
    p = to_inexact(m.atleast_1d(p))
    if p.ndim != 1:
        raise ShapeError(f"[roots] expected a vector of coefficients, got shape {shape_of(p)}.")
    zeros_behind = 0
    if strip_zeros:
        nonzero = np.flatnonzero(np.asarray(known(p, "roots", "Whether coefficients are zero")))
        if not len(nonzero):
            return np.zeros(0, np.result_type(dtype_of(p), np.complex64))
        zeros_behind = shape_of(p)[0] - 1 - int(nonzero[-1])
        p = m.split(p, [int(nonzero[0]), int(nonzero[-1]) + 1])[1]
    n = shape_of(p)[0] - 1
    if n < 1:
        return np.zeros(zeros_behind, np.result_type(dtype_of(p), np.complex64))
    first, rest = m.split(p, [1])
    below = np.eye(n - 1, n, dtype=dtype_of(p))
    companion = m.concatenate([m.expand_dims(e.neg(e.div(rest, first)), 0), below], 0)
    found = linalg.eigvals(companion)
    return m.concatenate([found, np.zeros(zeros_behind, dtype_of(found))]) if zeros_behind else found


def polyfit(
    x: Any, y: Any, deg: int, rcond: float | None = None, full: bool = False, w: Any = None, cov: bool | str = False
) -> Any:
    """The polynomial of degree `deg` that fits points best in the sense of least squares.

    Args:
      x: vector of n coordinates.
      y: n values, or (n, k) for k fits at once.
      deg: the degree, known while tracing.
      rcond: singular values below this share of the largest count as 0; n times the machine epsilon by default.
      full: also return residuals, rank, singular values and rcond.
      w: n weights of the residuals (not of their squares).
      cov: also return the covariance matrix of the coefficients, scaled by the residuals unless it is "unscaled".

    Returns:
      The coefficients, the highest power first: (deg + 1,) or (deg + 1, k).

    >>> polyfit(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]), 1).round(6)
    array([2., 1.])
    """
    deg = known_int(deg, "polyfit", "The degree")
    if deg < 0:
        raise ArgumentError(f"[polyfit] expected a non-negative degree, got {deg}.")
    x, y = promoted_inexact(x, y)
    n = shape_of(x)[0] if x.ndim == 1 else 0
    if x.ndim != 1 or not n or y.ndim not in (1, 2) or shape_of(y)[0] != n:
        raise ShapeError(
            f"[polyfit] expected n coordinates and n or (n, k) values, got shapes {shape_of(x)} and {shape_of(y)}."
        )
    rcond = n * float(np.finfo(dtype_of(x)).eps) if rcond is None else rcond
    left, right = linear.vander(x, deg + 1), y
    if w is not None:
        w = convert(to_array(w), dtype_of(x))
        if shape_of(w) != (n,):
            raise ShapeError(f"[polyfit] expected {n} weights, got shape {shape_of(w)}.")
        left = e.mul(left, m.expand_dims(w, 1))
        right = e.mul(right, m.expand_dims(w, 1) if y.ndim == 2 else w)
    scale = e.sqrt(red.sum(e.mul(left, left), 0))
    c, residuals, rank, singular = linalg.lstsq(e.div(left, scale), right, rcond)
    c = e.div(c, m.expand_dims(scale, 1) if y.ndim == 2 else scale)
    if full:
        return c, residuals, rank, singular, rcond
    if not cov:
        return c
    base = e.div(linalg.inv(linear.matmul(m.transpose(left), left)), 1)
    factor: Any = 1.0
    if cov != "unscaled":
        if n <= deg + 1:
            raise ArgumentError(
                f"[polyfit] expected more than {deg + 1} points to scale the covariance, got {n}. Use cov='unscaled'."
            )
        factor = e.div(residuals, n - (deg + 1))
    if y.ndim == 1:
        return c, e.mul(base, factor if cov == "unscaled" else m.reshape(factor, ()))
    return c, e.mul(m.expand_dims(base, 2), factor)
