"""`fnets.scipy.cluster.vq`: the nearest of given vectors. May import `fnets.numpy`, primitives, core."""

from __future__ import annotations

from typing import Any

import numpy as np  # noqa: F401  (for the example)

from fnets.core.trace import shape_of
from fnets.errors import ShapeError
from fnets.numpy.arguments import promoted_inexact
from fnets.numpy.norms import norm
from fnets.primitives import elementwise as e
from fnets.primitives.gather import take_along
from fnets.primitives.reduce import argmin
from fnets.primitives.shape import expand_dims, squeeze

__all__ = ["vq"]


def vq(obs: Any, code_book: Any, check_finite: bool = True) -> tuple[Any, Any]:
    """For every observation the nearest code, and its distance.

    Args:
      obs: array (n, d), or (n,) for d = 1.
      code_book: array (k, d), or (k,).
      check_finite: accepted and ignored.

    Returns:
      (int64 indices of codes (n,), Euclidean distances (n,)); of several nearest codes the first. The distances are differentiable.

    Raises:
      ShapeError: the arrays have another number of axes, or of columns.

    >>> vq(np.array([[0.0, 3.0], [9.0, 0.0]]), np.array([[0.0, 0.0], [9.0, 1.0]]))
    (array([0, 1]), array([3., 1.]))
    """
    obs, code_book = promoted_inexact(obs, code_book)
    n, k = shape_of(obs), shape_of(code_book)
    if len(n) != len(k) or len(n) not in (1, 2) or n[1:] != k[1:]:
        raise ShapeError(f"[vq] expected obs (n, d) and code_book (k, d), got shapes {n} and {k}.")
    if len(n) == 1:
        obs, code_book = expand_dims(obs, 1), expand_dims(code_book, 1)
    distances = norm(e.sub(expand_dims(obs, 1), code_book), axis=-1)
    codes = argmin(distances, 1)
    return codes, squeeze(take_along(distances, expand_dims(codes, 1), 1), (1,))
