"""Random primitives: keys and bits from the counter-based Threefry hash. May import base, threefry, core.

A key is a uint32 array of shape `(..., 2)`; leading dimensions are a batch of keys, so the batch rules only move a dimension to the front.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray
from fnets.core.primitive import Primitive
from fnets.errors import ArgumentError, DTypeError
from fnets.primitives import threefry
from fnets.primitives.base import arr, move_dim, nondifferentiable

_UINTS = {8: np.dtype("uint8"), 16: np.dtype("uint16"), 32: np.dtype("uint32"), 64: np.dtype("uint64")}


def _check_key(op: str, key: ShapedArray) -> None:
    if key.dtype != np.uint32 or key.shape[-1:] != (2,):
        raise ArgumentError(
            f"[{op}] expected a key, a uint32 array of shape (2,), got {key.str_short()}. Make one with fnets.random.key(seed)."
        )


def _declare(name: str, impl: Callable, shape: Callable, dtype: Callable) -> Primitive:
    """A primitive of one key whose parameters say the shape that is drawn from it."""
    prim = Primitive(name, fresh=True)

    def abstract(key: ShapedArray, **params: Any) -> ShapedArray:
        _check_key(name, key)
        return ShapedArray((*key.shape[:-1], *shape(**params)), dtype(**params))

    prim.impl, prim.abstract = impl, abstract
    prim.batch = lambda size, vals, dims, **params: (prim.bind(move_dim(vals[0], dims[0], 0, size), **params), 0)
    nondifferentiable(prim)
    return prim


random_split_p = _declare(
    "random_split",
    lambda key, shape: threefry.split_kernel(key, shape),
    lambda shape: (*shape, 2),
    lambda shape: np.dtype("uint32"),
)
random_bits_p = _declare(
    "random_bits",
    lambda key, shape, width: threefry.bits_kernel(key, shape, width),
    lambda shape, width: shape,
    lambda shape, width: _UINTS[width],
)

random_fold_in_p = Primitive("random_fold_in", fresh=True)
random_seed_p = Primitive("random_seed", fresh=True)


def _fold_in_abstract(key: ShapedArray, data: ShapedArray) -> ShapedArray:
    _check_key("random.fold_in", key)
    if data.dtype.kind not in "iub":
        raise DTypeError(
            f"[random.fold_in] expected an integer to fold in, got {data.dtype.name}. Use int(data) or data.astype('uint32')."
        )
    return ShapedArray((*np.broadcast_shapes(key.shape[:-1], data.shape), 2), np.uint32)


def _fold_in_batch(size: int, vals: Sequence, dims: Sequence) -> tuple:
    key, data = [v if d is None else move_dim(v, d, 0, size) for v, d in zip(vals, dims)]
    return random_fold_in_p.bind(key, data), 0


def _seed_abstract(seed: ShapedArray) -> ShapedArray:
    if seed.dtype.kind not in "iub":
        raise DTypeError(f"[random.key] expected an integer seed, got {seed.dtype.name}. Use random.key(0).")
    return ShapedArray((*seed.shape, 2), np.uint32)


def _seed_batch(size: int, vals: Sequence, dims: Sequence) -> tuple:
    return random_seed_p.bind(move_dim(vals[0], dims[0], 0, size)), 0


random_fold_in_p.impl = lambda key, data: threefry.fold_in_kernel(key, data)
random_fold_in_p.abstract, random_fold_in_p.batch = _fold_in_abstract, _fold_in_batch
random_seed_p.impl = lambda seed: threefry.seed_key(seed, x64=True)
random_seed_p.abstract, random_seed_p.batch = _seed_abstract, _seed_batch
nondifferentiable(random_fold_in_p)
nondifferentiable(random_seed_p)


def random_seed(seed: Any) -> Any:
    """The key of an integer seed."""
    return random_seed_p.bind(seed if type(seed) is int else arr(seed))


def random_split(key: Any, shape: tuple[int, ...]) -> Any:
    """New keys of shape `(*shape, 2)` from a key."""
    return random_split_p.bind(arr(key), shape=shape)


def random_fold_in(key: Any, data: Any) -> Any:
    """A key that depends on a key and on 32 bits of data."""
    return random_fold_in_p.bind(arr(key), data)


def random_bits(key: Any, shape: tuple[int, ...], width: int) -> Any:
    """Random unsigned integers of 8, 16, 32 or 64 bits."""
    return random_bits_p.bind(arr(key), shape=shape, width=width)
