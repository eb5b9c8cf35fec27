"""Kernel density estimates: gaussian_kde. May import multivariate, `fnets.numpy`, `fnets.random`, primitives, core."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnets import random, tree
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.numpy import linalg
from fnets.numpy import reductions as r
from fnets.numpy.arguments import flat, promoted_inexact, to_array, to_inexact
from fnets.numpy.statistics import cov as covariance
from fnets.primitives import elementwise as e
from fnets.primitives import special_functions as f
from fnets.primitives.diagonals import diagonal
from fnets.primitives.linear_algebra import matmul
from fnets.primitives.shape import expand_dims, swapaxes
from fnets.primitives.softmax import logsumexp
from fnets.primitives.solvers import triangular_solve
from fnets.scipy.stats.base import LOG_TWO_PI

__all__ = ["gaussian_kde"]


class gaussian_kde:
    """The density of a sample, smoothed by a normal kernel; a pytree, so that it passes through transformations.

    Args:
      dataset: array (d, n), or (n,) for d = 1.
      bw_method: "scott" (None), "silverman", a number by which the standard deviations are multiplied, or a function of the estimate.
      weights: array (n,).

    Attributes: `dataset`, `weights`, `neff` (the effective number of points), `covariance` and `inv_cov` of the kernel, `d`, `n`.

    >>> gaussian_kde(np.array([0.0, 1.0])).pdf(np.array([0.5])).round(6)
    array([0.46598])
    """

    def __init__(self, dataset: Any, bw_method: Any = None, weights: Any = None):
        dataset = to_inexact(dataset)
        if len(shape_of(dataset)) < 2:
            dataset = expand_dims(flat(dataset), 0)
        if dtype_of(dataset).kind == "c":
            raise ArgumentError("[gaussian_kde] expected a real dataset, got a complex one.")
        n = shape_of(dataset)[1]
        if n < 2:
            raise ShapeError(
                f"[gaussian_kde] expected at least two points along the second axis, got shape {shape_of(dataset)}."
            )
        dtype = dtype_of(dataset)
        if weights is None:
            weights = np.full(n, 1 / n, dtype)
        else:
            dataset, weights = promoted_inexact(dataset, to_array(weights))
            if shape_of(weights) != (n,):
                raise ShapeError(f"[gaussian_kde] expected weights of shape ({n},), got {shape_of(weights)}.")
            weights = e.div(weights, r.sum(weights))
        self.dataset, self.weights = dataset, weights
        self.neff = e.reciprocal(r.sum(e.square(weights)))
        factor = self._bandwidth(bw_method)
        spread = covariance(dataset, rowvar=True, bias=False, aweights=weights)
        if not shape_of(spread):
            spread = spread[None, None]
        self.covariance = e.mul(spread, e.square(factor))
        self.inv_cov = linalg.inv(self.covariance)

    def _bandwidth(self, method: Any) -> Any:
        d = shape_of(self.dataset)[0]
        if method is None or method == "scott":
            return e.pow(self.neff, -1.0 / (d + 4))
        if isinstance(method, str):
            if method != "silverman":
                raise ArgumentError(
                    f'[gaussian_kde] expected bw_method "scott", "silverman", a number or a function, got {method!r}.'
                )
            return e.pow(e.mul(self.neff, (d + 2) / 4.0), -1.0 / (d + 4))
        return method(self) if callable(method) else method

    d = property(lambda self: shape_of(self.dataset)[0])
    n = property(lambda self: shape_of(self.dataset)[1])

    def _points(self, points: Any) -> Any:
        points = to_inexact(points)
        if len(shape_of(points)) < 2:
            points = expand_dims(flat(points), 0)
            if self.d > 1 and shape_of(points)[1] == self.d:
                points = swapaxes(points, 0, 1)
        if shape_of(points)[0] != self.d:
            raise ShapeError(f"[gaussian_kde] expected points of shape ({self.d}, m), got {shape_of(points)}.")
        return promoted_inexact(points, self.dataset)[0]

    def logpdf(self, x: Any) -> Any:
        """Logarithm of the density at points (d, m), as an array (m,)."""
        points = self._points(x)
        lower = linalg.cholesky(self.covariance)
        here, there = (triangular_solve(lower, v, left_side=True, lower=True) for v in (points, self.dataset))
        distance = r.sum(e.square(e.sub(expand_dims(here, 2), expand_dims(there, 1))), 0)
        front = e.add(r.sum(e.log(diagonal(lower))), 0.5 * self.d * LOG_TWO_PI)
        return e.sub(logsumexp(e.add(e.mul(distance, -0.5), e.log(self.weights)), (1,)), front)

    def pdf(self, x: Any) -> Any:
        """Density at points (d, m), as an array (m,)."""
        return e.exp(self.logpdf(x))

    evaluate = __call__ = pdf

    def integrate_gaussian(self, mean: Any, cov: Any) -> Any:
        """The integral of the density times a normal density of that mean (d,) and covariance (d, d)."""
        mean, cov = promoted_inexact(mean, cov)
        mean, cov = (v if shape_of(v) else v[(None,) * k] for v, k in ((mean, 1), (cov, 2)))
        if shape_of(mean) != (self.d,) or shape_of(cov) != (self.d, self.d):
            raise ShapeError(
                f"[gaussian_kde] expected a mean ({self.d},) and a covariance ({self.d}, {self.d}), got {shape_of(mean)} and {shape_of(cov)}."
            )
        return self._overlap(e.sub(self.dataset, expand_dims(mean, 1)), e.add(self.covariance, cov), self.weights)

    def integrate_kde(self, other: gaussian_kde) -> Any:
        """The integral of the product of two estimates."""
        if other.d != self.d:
            raise ShapeError(f"[gaussian_kde] expected an estimate in {self.d} dimensions, got one in {other.d}.")
        gaps = e.sub(expand_dims(self.dataset, 2), expand_dims(other.dataset, 1))
        weights = matmul(expand_dims(self.weights, 1), expand_dims(other.weights, 0))
        gaps = gaps.reshape(self.d, self.n * other.n)
        return self._overlap(gaps, e.add(self.covariance, other.covariance), flat(weights))

    def _overlap(self, gaps: Any, cov: Any, weights: Any) -> Any:
        lower = linalg.cholesky(cov)
        white = triangular_solve(lower, gaps, left_side=True, lower=True)
        front = e.add(r.sum(e.log(diagonal(lower))), 0.5 * self.d * LOG_TWO_PI)
        return r.sum(e.mul(weights, e.exp(e.sub(e.mul(r.sum(e.square(white), 0), -0.5), front))))

    def integrate_box_1d(self, low: Any, high: Any) -> Any:
        """The probability between two numbers, for d = 1."""
        if self.d != 1:
            raise ShapeError(
                f"[gaussian_kde] expected an estimate in one dimension for integrate_box_1d, got {self.d}."
            )
        sigma = e.sqrt(self.covariance[0, 0])
        upper, lower = (f.ndtr(e.div(e.sub(v, self.dataset[0]), sigma)) for v in (high, low))
        return r.sum(e.mul(self.weights, e.sub(upper, lower)))

    def resample(self, key: Any, shape: Any = ()) -> Any:
        """Draw points: an array (d, *shape)."""
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        key_point, key_noise = random.split(key)
        which = random.choice(key_point, self.n, shape, p=self.weights)
        dtype = dtype_of(self.dataset)
        noise = random.multivariate_normal(key_noise, np.zeros(self.d, dtype), self.covariance, shape, dtype)
        axes = tuple(range(len(shape)))
        return e.add(self.dataset[:, which], noise.transpose((len(shape), *axes)))


_FIELDS = ("dataset", "weights", "neff", "covariance", "inv_cov")


def _rebuild(_: Any, values: Any) -> gaussian_kde:
    out = object.__new__(gaussian_kde)
    out.__dict__.update(zip(_FIELDS, values))
    return out


tree.register_node(gaussian_kde, lambda k: ([getattr(k, n) for n in _FIELDS], None), _rebuild)
