"""Kernels of the samplers on plain NumPy arrays, the `impl`s of their primitives. May import threefry, special.

Keys are uint32 of shape `(..., 2)`; their leading dimensions come first in every result, so each kernel is its own vmap.
"""

from __future__ import annotations

import math

import numpy as np

from fnets.primitives import special, threefry


def uniform(key: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Floats in [0, 1): random bits in the mantissa of a number in [1, 2), minus 1."""
    info = np.finfo(dtype)
    bits = threefry.bits_kernel(key, shape, info.bits)
    bits >>= bits.dtype.type(info.bits - info.nmant)
    bits |= np.ones((), dtype).view(bits.dtype)
    out = bits.view(dtype)
    out -= dtype.type(1)
    return out


def normal(key: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Standard normal numbers: the normal quantile of uniform ones in (-1, 1)."""
    low = np.nextafter(dtype.type(-1), dtype.type(0))
    x = uniform(key, shape, dtype)
    x *= dtype.type(1) - low
    x += low
    np.maximum(x, low, out=x)
    return np.asarray(special.erf_inv(x) * dtype.type(math.sqrt(2)))


def order(key: np.ndarray, shape: tuple[int, ...], axis: int) -> np.ndarray:
    """Random permutations of 0 .. n - 1 along an axis of the shape, int64.

    Repeated stable sorts by 32 random bits: enough rounds that elements whose bits agree in all of them are improbable.
    """
    out_shape = (*key.shape[:-1], *shape)
    axis += key.ndim - 1
    n = out_shape[axis]
    where = np.arange(n).reshape(n, *(1,) * (len(out_shape) - axis - 1))
    out = np.broadcast_to(where, out_shape).copy()
    for _ in range(math.ceil(3 * math.log(max(1, math.prod(shape))) / math.log(2**32 - 1))):
        halves = threefry.split_kernel(key, (2,))
        key, sort_key = halves[..., 0, :], halves[..., 1, :]
        ranks = threefry.bits_kernel(sort_key, shape, 32).argsort(axis, "stable")
        out = np.take_along_axis(out, ranks, axis)
    return out
