"""Laws of vectors: multivariate_normal, dirichlet, multinomial. May import base, `fnets.numpy`, primitives, core."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ShapeError
from fnets.numpy import linalg
from fnets.numpy import reductions as r
from fnets.numpy.arguments import promoted_inexact, to_inexact
from fnets.primitives import elementwise as e
from fnets.primitives import special_functions as f
from fnets.primitives.base import convert
from fnets.primitives.diagonals import diagonal
from fnets.primitives.shape import concatenate, expand_dims, squeeze, swapaxes
from fnets.primitives.solvers import triangular_solve
from fnets.scipy.stats.base import LOG_TWO_PI

__all__ = ["dirichlet", "multinomial", "multivariate_normal"]


class _Law:
    """A namespace of functions."""

    def __init__(self, name: str, **functions: Callable):
        self.__dict__.update(functions)
        self.name = name

    def __repr__(self) -> str:
        return f"<distribution {self.name}>"


def _exponential_of(log_function: Callable, told: str, example: str) -> Callable:
    def function(*args: Any, **kwargs: Any) -> Any:
        return e.exp(log_function(*args, **kwargs))

    function.__doc__ = f"{told}: the exponential of the function of the same name with `log`.\n\n    {example}\n    "
    return function


# ------------------------------------------------------------------ the normal law


def _normal_logpdf(x: Any, mean: Any, cov: Any, allow_singular: Any = None) -> Any:
    """Logarithm of the density of the normal law of vectors.

    Args:
      x: array (..., n); a scalar or (...) for n = 1.
      mean: array (..., n) or a scalar.
      cov: array (..., n, n), positive definite, or a scalar.
      allow_singular: not supported.

    >>> multivariate_normal.logpdf(np.zeros(2), np.zeros(2), np.eye(2)).round(6)
    np.float64(-1.837877)
    """
    if allow_singular:
        raise ShapeError(
            "[multivariate_normal.logpdf] expected allow_singular=None, got True: the covariance must be positive definite here."
        )
    x, mean, cov = promoted_inexact(x, mean, cov)
    if not shape_of(mean):
        scale = cov if not shape_of(cov) else None
        if scale is None:
            raise ShapeError(
                f"[multivariate_normal.logpdf] expected a scalar covariance for a scalar mean, got shape {shape_of(cov)}. Pass a vector as mean."
            )
        z = e.sub(x, mean)
        return e.mul(e.add(e.add(e.log(cov), LOG_TWO_PI), e.div(e.square(z), cov)), -0.5)
    n = shape_of(mean)[-1]
    if not shape_of(cov):
        cov = e.mul(np.eye(n, dtype=dtype_of(cov)), cov)
    if shape_of(cov)[-2:] != (n, n):
        raise ShapeError(
            f"[multivariate_normal.logpdf] expected a covariance of shape (..., {n}, {n}), got {shape_of(cov)}."
        )
    z = e.sub(x, mean)
    if not shape_of(x):
        z = expand_dims(x, -1) if n == 1 else z
    lower = linalg.cholesky(cov)
    if len(shape_of(cov)) == 2 and len(shape_of(z)) > 1:  # one factor for all: the vectors are columns
        white = swapaxes(triangular_solve(lower, swapaxes(z, -1, -2), left_side=True, lower=True), -1, -2)
    else:
        white = squeeze(triangular_solve(lower, expand_dims(z, -1), left_side=True, lower=True), -1)
    half_log_det = r.sum(e.log(diagonal(lower, 0, -2, -1)), -1)
    return e.sub(e.mul(e.add(r.sum(e.square(white), -1), n * LOG_TWO_PI), -0.5), half_log_det)


multivariate_normal = _Law(
    "multivariate_normal",
    logpdf=_normal_logpdf,
    pdf=_exponential_of(
        _normal_logpdf,
        "Density",
        ">>> multivariate_normal.pdf(np.zeros(2), np.zeros(2), np.eye(2)).round(6)\n    np.float64(0.159155)",
    ),
)

# ------------------------------------------------------------------ the Dirichlet law


def _dirichlet_logpdf(x: Any, alpha: Any) -> Any:
    """Logarithm of the density of the Dirichlet law.

    Args:
      x: array (n, ...) or (n - 1, ...): points of the simplex, with or without the last coordinate, along the first axis.
      alpha: array (n,).

    Returns:
      An array (...); -inf outside of the simplex.

    >>> dirichlet.logpdf(np.array([0.5, 0.5]), np.array([2.0, 2.0])).round(6)
    np.float64(0.405465)
    """
    x, alpha = promoted_inexact(x, alpha)
    if len(shape_of(alpha)) != 1:
        raise ShapeError(f"[dirichlet.logpdf] expected alpha of shape (n,), got {shape_of(alpha)}.")
    n = shape_of(alpha)[0]
    if not shape_of(x) or shape_of(x)[0] not in (n - 1, n):
        raise ShapeError(
            f"[dirichlet.logpdf] expected x with {n} or {n - 1} points along its first axis, got shape {shape_of(x)}."
        )
    if shape_of(x)[0] == n - 1:
        x = concatenate([x, expand_dims(e.sub(1, r.sum(x, 0)), 0)], 0)
    exact = e.lt(e.abs(e.sub(r.sum(x, 0), 1)), 1e-4 if dtype_of(x) == np.float32 else 1e-8)
    inside = e.logical_and(r.all(e.gt(x, 0), 0), exact)
    safe = e.select(e.gt(x, 0), x, e.fill_like(x, 1))
    weights = alpha[(slice(None), *(None,) * (len(shape_of(x)) - 1))]
    front = e.sub(e.lgamma(r.sum(alpha)), r.sum(e.lgamma(alpha)))
    out = e.add(front, r.sum(f.xlogy(e.sub(weights, 1), safe), 0))
    return e.select(inside, out, e.fill_like(out, -np.inf))


dirichlet = _Law(
    "dirichlet",
    logpdf=_dirichlet_logpdf,
    pdf=_exponential_of(
        _dirichlet_logpdf,
        "Density",
        ">>> dirichlet.pdf(np.array([0.5, 0.5]), np.array([2.0, 2.0])).round(6)\n    np.float64(1.5)",
    ),
)

# ------------------------------------------------------------------ the multinomial law


def _multinomial_logpmf(x: Any, n: Any, p: Any) -> Any:
    """Logarithm of the probability of counts.

    Args:
      x: array (..., k) of counts.
      n: number of trials.
      p: array (..., k) of probabilities.

    Returns:
      An array (...); -inf where the counts do not add up to n.

    >>> multinomial.logpmf(np.array([1, 1]), 2, np.array([0.5, 0.5])).round(6)
    np.float64(-0.693147)
    """
    p = to_inexact(p)
    x, n = (convert(to_inexact(v), dtype_of(p)) for v in (x, n))
    terms = e.sub(f.xlogy(x, p), e.lgamma(e.add(x, 1)))
    out = e.add(e.lgamma(e.add(n, 1)), r.sum(terms, -1))
    return e.select(e.eq(r.sum(x, -1), n), out, e.fill_like(out, -np.inf))


multinomial = _Law(
    "multinomial",
    logpmf=_multinomial_logpmf,
    pmf=_exponential_of(
        _multinomial_logpmf,
        "Probability",
        ">>> multinomial.pmf(np.array([1, 1]), 2, np.array([0.5, 0.5])).round(6)\n    np.float64(0.5)",
    ),
)
