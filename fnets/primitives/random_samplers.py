"""Sampler primitives: whole draws from a key in one step each, worked through in cache-sized blocks. May import random_kernels, base, core.

A key is a uint32 array of shape `(..., 2)`; leading dimensions are a batch of keys, so the batch rules only move a dimension to the front.
The draws are constants to every differentiation; what depends on parameters is composed from other primitives in `fnets.random`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray
from fnets.core.primitive import Primitive
from fnets.errors import ArgumentError
from fnets.primitives import random_kernels as kernels
from fnets.primitives.base import move_dim, nondifferentiable


def _check_key(op: str, key: ShapedArray) -> None:
    if key.dtype != np.uint32 or key.shape[-1:] != (2,):
        raise ArgumentError(
            f"[{op}] expected a key, a uint32 array of shape (2,), got {key.str_short()}. Make one with fnets.random.key(seed)."
        )


def _sampler(name: str, impl: Callable, aval: Callable) -> Primitive:
    """A primitive of one key; `aval(**params)` gives the shape and the dtype that it draws for each key."""
    prim = Primitive(name, fresh=True)

    def abstract(key: ShapedArray, **params: Any) -> ShapedArray:
        _check_key(name, key)
        shape, dtype = aval(**params)
        return ShapedArray((*key.shape[:-1], *shape), dtype)

    prim.impl, prim.abstract = impl, abstract
    prim.batch = lambda size, vals, dims, **params: (prim.bind(move_dim(vals[0], dims[0], 0, size), **params), 0)
    nondifferentiable(prim)
    return prim


random_uniform_p = _sampler(
    "random_uniform", lambda key, shape, dtype: kernels.uniform(key, shape, dtype), lambda shape, dtype: (shape, dtype)
)
random_normal_p = _sampler(
    "random_normal", lambda key, shape, dtype: kernels.normal(key, shape, dtype), lambda shape, dtype: (shape, dtype)
)
random_order_p = _sampler(
    "random_order",
    lambda key, shape, axis: kernels.order(key, shape, axis),
    lambda shape, axis: (shape, np.dtype("int64")),
)


# ------------------------------------------------------------------ the orthogonal factor of a Gaussian matrix

haar_p = Primitive("haar", fresh=True)


def _haar_impl(z: np.ndarray) -> np.ndarray:
    """Q of z = Q R with a positive diagonal of R: uniform over orthonormal columns (Mezzadri, Notices of the AMS 54, 2007)."""
    q, r = np.linalg.qr(z)
    return q * np.sign(r.diagonal(0, -2, -1))[..., None, :]


haar_p.impl = _haar_impl
haar_p.abstract = lambda z: ShapedArray((*z.shape[:-1], min(z.shape[-2:])), z.dtype)
haar_p.batch = lambda size, vals, dims: (haar_p.bind(move_dim(vals[0], dims[0], 0, size)), 0)
nondifferentiable(haar_p)
