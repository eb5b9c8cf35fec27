"""Random matrices. May import arguments, basic, primitives."""

from __future__ import annotations

from operator import index as operator_index
from typing import Any

import numpy as np

from fnets.core.promotion import resolve_dtype
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.primitives.base import convert
from fnets.primitives.elementwise import add
from fnets.primitives.linear_algebra import matmul
from fnets.primitives.random_samplers import covariance_factor_p, haar_p
from fnets.primitives.shape import expand_dims, squeeze, swapaxes
from fnets.random.arguments import as_key, as_shape, drawn_shape, float_dtype, inexact, inexact_dtype
from fnets.random.basic import standard_normal

_METHODS = ("cholesky", "eigh", "svd")


def multivariate_normal(
    key: Any, mean: Any, cov: Any, shape: Any = None, dtype: Any = None, method: str = "cholesky"
) -> Any:
    """Normal vectors of a mean and a covariance matrix, as `jax.random.multivariate_normal`.

    Args:
        key: a key.
        mean: of shape (..., n); differentiable.
        cov: of shape (..., n, n), symmetric and positive definite (semi-definite for "eigh" and "svd"); differentiable with "cholesky".
        shape: the batch dimensions to draw; by default the parameters' common ones.
        dtype: a float dtype; by default that of the parameters.
        method: how cov is factored: "cholesky" (fastest), "eigh" or "svd".

    Returns:
        An array of shape `(*shape, n)`.

    Raises:
        ArgumentError: not a key, an unknown method, or cov is not positive definite for "cholesky".
        ShapeError: mean and cov do not fit each other or the shape.

    >>> import numpy as np
    >>> from fnets import random
    >>> random.multivariate_normal(random.key(0), np.zeros(2), np.eye(2), (3,)).shape
    (3, 2)
    """
    op = "multivariate_normal"
    key, mean, cov = as_key(key, op), inexact(mean), inexact(cov)
    if method not in _METHODS:
        raise ArgumentError(f"[random.{op}] expected method 'cholesky', 'eigh' or 'svd', got {method!r}.")
    mean_shape, cov_shape = shape_of(mean), shape_of(cov)
    if not mean_shape or cov_shape[-2:] != 2 * mean_shape[-1:]:
        raise ShapeError(
            f"[random.{op}] expected mean of shape (..., n) and cov of shape (..., n, n), got {mean_shape} and {cov_shape}."
        )
    work = resolve_dtype(np.add, dtype_of(mean), dtype_of(cov))
    dtype = work if dtype is None else float_dtype(dtype, op)
    shape = drawn_shape(shape, op, mean_shape[:-1], cov_shape[:-2])
    factor = covariance_factor_p.bind(convert(cov, work), method=method)
    z = standard_normal(key, (*shape, mean_shape[-1]), dtype)
    return add(convert(mean, work), squeeze(matmul(factor, expand_dims(z, -1)), -1))


def orthogonal(key: Any, n: int, shape: Any = (), dtype: Any = None, m: int | None = None) -> Any:
    """Matrices drawn uniformly from the orthogonal group, the unitary group for a complex dtype; `jax.random.orthogonal` up to rounding.

    Args:
        key: a key.
        n: rows.
        shape: the batch dimensions.
        dtype: a float or complex dtype; the default float if None.
        m: columns, n by default. The shorter side's vectors are orthonormal.

    Returns:
        An array of shape `(*shape, n, m)`.

    Raises:
        ShapeError: a negative size.

    Source: Mezzadri, "How to generate random matrices from the classical compact groups", Notices of the AMS 54 (2007).

    >>> import numpy as np
    >>> from fnets import random
    >>> q = random.orthogonal(random.key(0), 3)
    >>> bool(np.allclose(q @ q.T, np.eye(3), atol=1e-6))
    True
    """
    key, dtype, shape = as_key(key, "orthogonal"), inexact_dtype(dtype, "orthogonal"), as_shape(shape, "orthogonal")
    n = operator_index(n)
    m = n if m is None else operator_index(m)
    if n < 0 or m < 0:
        raise ShapeError(f"[random.orthogonal] expected non-negative sizes, got n = {n} and m = {m}.")
    q = haar_p.bind(standard_normal(key, (*shape, max(n, m), min(n, m)), dtype))
    return swapaxes(q, -1, -2) if n < m else q
