"""Random matrices. May import arguments, basic, primitives."""

from __future__ import annotations

from operator import index as operator_index
from typing import Any

from fnets.errors import ShapeError
from fnets.primitives.random_samplers import haar_p
from fnets.primitives.shape import swapaxes
from fnets.random.arguments import as_key, as_shape, inexact_dtype
from fnets.random.basic import standard_normal


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
