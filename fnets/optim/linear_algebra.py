"""Eigenvalues, roots and least squares by iteration. May import control, random, the package's tree, fnets.numpy."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

import fnets.numpy as fnp
from fnets import random
from fnets.control.scan import scan
from fnets.control.while_loop import while_loop
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.optim import tree as otu
from fnets.optim.numerics import like
from fnets.primitives.base import convert


def _unit(x: Any) -> Any:
    return otu.scale(fnp.reciprocal(otu.norm(x)), x)


def power_iteration(
    matrix: Any | Callable[[Any], Any],
    *,
    v0: Any = None,
    num_iters: int = 100,
    error_tolerance: float = 1e-6,
    precision: Any = None,
    key: Any = None,
) -> tuple[Any, Any]:
    """The eigenvalue of greatest size of a symmetric matrix, and its eigenvector, by repeated multiplication.

    Args:
      matrix: (n, n), or a function that multiplies a tree with it.
      v0: where to start; needed for a function, by default random.
      num_iters: most multiplications.
      error_tolerance: residual, relative to the eigenvalue, at which to stop.
      precision: accepted for JAX's sake.
      key: random key for `v0`.

    Returns:
      (eigenvalue, eigenvector of length 1).

    Raises:
      ArgumentError: a function without `v0`.

    >>> value, vector = power_iteration(fnp.array([[2.0, 0.0], [0.0, 1.0]]))
    >>> round(float(value), 4), abs(vector).round(2)
    (2.0, array([1., 0.], dtype=float32))
    """
    if callable(matrix):
        if v0 is None:
            raise ArgumentError("[power_iteration] expected v0 with a matrix given as a function, got None. Pass v0=.")
        multiply = matrix
    else:
        matrix = fnp.asarray(matrix)
        multiply = functools.partial(fnp.matmul, matrix)
        if v0 is None:
            start_key = random.key(0) if key is None else key
            v0 = random.uniform(start_key, shape_of(matrix)[-1:], dtype_of(matrix), -1.0, 1.0)
    v0 = _unit(v0)
    first = multiply(v0)

    def unfinished(state: tuple) -> Any:
        vector, product, value, count = state
        residual = otu.norm(otu.sub(product, otu.scale(value, vector)))
        near = fnp.less(residual, fnp.multiply(error_tolerance, fnp.abs(value)))
        return fnp.logical_and(fnp.logical_not(near), fnp.less(count, num_iters))

    def step(state: tuple) -> tuple:
        vector = otu.cast_like(_unit(state[1]), state[0])
        product = multiply(vector)
        return vector, product, convert(otu.vdot(vector, product), dtype_of(state[2])), fnp.add(state[3], 1)

    start = (v0, first, fnp.zeros((), dtype_of(otu.vdot(v0, first))), np.zeros((), np.int64))
    _, product, value, _ = while_loop(unfinished, step, start)
    return value, _unit(product)


def _matrix_power(x: Any, p: int) -> Any:
    """x @ x @ ... by squaring."""
    out = None
    while p:
        if p & 1:
            out = x if out is None else fnp.matmul(out, x)
        p >>= 1
        x = fnp.matmul(x, x) if p else x
    return out


def matrix_inverse_pth_root(
    matrix: Any,
    p: int,
    num_iters: int = 100,
    ridge_epsilon: float = 1e-6,
    error_tolerance: float = 1e-6,
    precision: Any = None,
) -> tuple[Any, Any]:
    """`matrix ** (-1 / p)` of a positive semi-definite matrix by a coupled Newton iteration (Higham, 2008, equation 7.18).

    Args:
      matrix: (n, n).
      p: a positive integer.
      num_iters: most iterations.
      ridge_epsilon: times the greatest eigenvalue, added to the diagonal.
      error_tolerance: error at which to stop.
      precision: accepted for JAX's sake.

    Returns:
      (root, error): the error is the greatest difference of root**p @ matrix from the identity.

    >>> root, _ = matrix_inverse_pth_root(fnp.array([[4.0, 0.0], [0.0, 9.0]]), 2)
    >>> root.round(3)
    array([[0.5  , 0.   ],
           [0.   , 0.333]], dtype=float32)
    """
    matrix = fnp.asarray(matrix)
    n, dtype = shape_of(matrix)[0], dtype_of(matrix)
    eye = np.eye(n, dtype=dtype)
    greatest, _ = power_iteration(matrix, num_iters=100, error_tolerance=1e-6)
    ridge = fnp.multiply(like(ridge_epsilon, matrix), fnp.maximum(greatest, 1e-16))
    damped = fnp.add(matrix, fnp.multiply(ridge, eye))
    if n == 1:
        return fnp.power(damped, -1.0 / p), fnp.zeros((), dtype)
    z = fnp.divide((1 + p) / 2, fnp.sqrt(fnp.sum(fnp.square(damped))))

    def error_of(m: Any) -> Any:
        return fnp.max(fnp.abs(fnp.subtract(m, eye)))

    def unfinished(state: tuple) -> Any:
        count, _, _, _, error, improving = state
        return fnp.logical_and(
            fnp.less(count, num_iters), fnp.logical_and(fnp.greater(error, error_tolerance), improving)
        )

    def step(state: tuple) -> tuple:
        count, m, h, _, error, _ = state
        factor = fnp.subtract(fnp.multiply(1 + 1 / p, eye), fnp.multiply(1 / p, m))
        new_m = fnp.matmul(_matrix_power(factor, p), m)
        new_error = error_of(new_m)
        return (
            fnp.add(count, 1),
            new_m,
            fnp.matmul(h, factor),
            h,
            new_error,
            fnp.less(new_error, fnp.multiply(error, 1.2)),
        )

    m = fnp.multiply(damped, z)
    h = fnp.multiply(eye, fnp.power(z, 1.0 / p))
    start = (np.zeros((), np.int64), m, h, h, error_of(m), np.asarray(True))
    _, m, h, before, _, improving = while_loop(unfinished, step, start)
    return fnp.where(improving, h, before), error_of(m)


def nnls(A: Any, b: Any, iters: int, unroll: int | bool = 1, L: Any = None) -> Any:
    """Non-negative least squares, argmin |A x - b| over x >= 0, by accelerated projected gradients (Polyak, 2015).

    Args:
      A: (m, n).
      b: (m,) or (m, k).
      iters: number of iterations.
      unroll: as in `scan`.
      L: an upper bound of the greatest eigenvalue of A.T @ A; by default worked out from its norms.

    Returns:
      x, (n,) or (n, k).

    Raises:
      ShapeError: A and b don't go together.

    >>> nnls(fnp.array([[1.0, 0.0], [0.0, 1.0]]), fnp.array([2.0, -1.0]), 50).round(3)
    array([2., 0.], dtype=float32)
    """
    A, b = fnp.asarray(A), fnp.asarray(b)
    if len(shape_of(A)) != 2 or len(shape_of(b)) not in (1, 2) or shape_of(A)[0] != shape_of(b)[0]:
        raise ShapeError(f"[nnls] expected A (m, n) and b (m,) or (m, k), got {shape_of(A)} and {shape_of(b)}.")
    Q, q = fnp.matmul(A.T, A), fnp.matmul(A.T, b)
    if L is None:  # both norms bound the spectral radius
        L = fnp.minimum(fnp.sqrt(fnp.sum(fnp.square(Q))), fnp.max(fnp.sum(fnp.abs(Q), axis=0)))
    L = fnp.where(fnp.equal(L, 0), 1.0, L)

    def step(state: tuple, _: None) -> tuple:
        x, ahead, c = state
        new_c = fnp.divide(fnp.add(1, fnp.sqrt(fnp.add(1, fnp.multiply(4, fnp.square(c))))), 2)
        slope = fnp.subtract(fnp.matmul(Q, ahead), q)
        new_x = fnp.maximum(fnp.subtract(ahead, fnp.divide(slope, L)), 0)
        push = fnp.multiply(fnp.divide(fnp.subtract(c, 1), new_c), fnp.subtract(new_x, x))
        return (new_x, fnp.add(new_x, push), new_c), None

    dtype = dtype_of(q)
    x = fnp.zeros((*shape_of(A)[-1:], *shape_of(b)[1:]), dtype)
    (x, _, _), _ = scan(step, (x, x, fnp.zeros((), dtype)), None, length=iters, unroll=unroll)
    return x


class MultiNormalDiagFromLogScale:
    """A normal distribution of independent components; make it with `multi_normal`.

    >>> MultiNormalDiagFromLogScale(fnp.zeros(2), fnp.zeros(2)).sample((3,), random.key(0)).shape
    (3, 2)
    """

    def __init__(self, loc: Any, log_scale: Any):
        self.loc, self._log_scale = fnp.asarray(loc), fnp.asarray(log_scale)
        self._shape = np.broadcast_shapes(shape_of(self.loc), shape_of(self._log_scale))

    def sample(self, shape: Any, key: Any) -> Any:
        """Independent draws, of shape (*shape, *components)."""
        z = random.normal(key, (*shape, *self._shape), dtype_of(self.loc))
        return fnp.add(fnp.multiply(z, fnp.exp(self._log_scale)), self.loc)

    def log_prob(self, x: Any) -> Any:
        """The log density at x, summed over the components."""
        z = fnp.divide(fnp.subtract(x, self.loc), fnp.exp(self._log_scale))
        each = fnp.subtract(fnp.multiply(-0.5, fnp.square(z)), fnp.add(self._log_scale, 0.5 * math.log(2 * math.pi)))
        return fnp.sum(each, axis=tuple(range(-len(self._shape), 0)))

    @property
    def log_scale(self) -> Any:
        """The logarithms of the standard deviations."""
        return self._log_scale

    @property
    def params(self) -> list[Any]:
        """Means and logarithms of the standard deviations."""
        return [self.loc, self._log_scale]


def multi_normal(loc: Any, log_scale: Any) -> MultiNormalDiagFromLogScale:
    """A normal distribution of independent components, with `sample(shape, key)`, `log_prob(x)` and `params`.

    Args:
      loc: the means.
      log_scale: the logarithms of the standard deviations.

    >>> multi_normal(fnp.zeros(2), fnp.zeros(2)).log_prob(fnp.zeros(2)).round(4)
    np.float32(-1.8379)
    """
    return MultiNormalDiagFromLogScale(loc, log_scale)
