"""Keys: made from a seed, split, folded with data. May import arguments, primitives."""

from __future__ import annotations

from typing import Any

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.primitives.base import arr
from fnets.primitives.random import random_fold_in, random_seed, random_split
from fnets.random.arguments import as_key, as_shape


def key(seed: Any, *, impl: str | None = None) -> Any:
    """A key from a seed: the uint32 array of shape (2,) that `jax.random.key` holds under 64-bit mode.

    Args:
        seed: an integer of at most 64 bits; may be traced.

    Raises:
        DTypeError: the seed is not an integer.
        ShapeError: the seed is not a scalar.

    >>> key(42)
    array([ 0, 42], dtype=uint32)
    """
    return _key(seed, impl, "key")


def PRNGKey(seed: Any, *, impl: str | None = None) -> Any:
    """The same as `key`, under the name of JAX's raw keys.

    >>> PRNGKey(0)
    array([0, 0], dtype=uint32)
    """
    return _key(seed, impl, "PRNGKey")


def _key(seed: Any, impl: str | None, op: str) -> Any:
    if type(seed) is not int:
        dtype, shape = dtype_of(seed), shape_of(seed)
        if dtype.kind not in "iub":
            raise DTypeError(f"[random.{op}] expected an integer seed, got {dtype.name}. Write random.{op}(0).")
        if shape:
            raise ShapeError(
                f"[random.{op}] expected one integer seed, got an array of shape {shape}. Use fnets.vmap(fnets.random.{op})(seeds)."
            )
    elif not -(2**63) <= seed < 2**63:
        raise ArgumentError(f"[random.{op}] expected a seed of at most 64 bits, got {seed}. Take seed % 2**63.")
    return random_seed(seed)


def split(key: Any, num: Any = 2) -> Any:
    """New, independent keys from a key, as `jax.random.split`.

    Args:
        key: a key.
        num: how many, or the shape of the array of keys.

    Returns:
        uint32 of shape `(num, 2)`, or `(*num, 2)`.

    Raises:
        ArgumentError: not a key, or `num` is not made of ints.

    >>> k1, k2 = split(PRNGKey(0))
    >>> k1
    array([1797259609, 2579123966], dtype=uint32)
    """
    return random_split(as_key(key, "split"), shape=(num,) if type(num) is int and num >= 0 else as_shape(num, "split"))


def fold_in(key: Any, data: Any) -> Any:
    """A key that depends on a key and on an integer such as a step's number, as `jax.random.fold_in`.

    Args:
        key: a key.
        data: an integer, of which 32 bits count; may be traced.

    Raises:
        ArgumentError: not a key, or a Python integer that is negative or does not fit 32 bits.
        DTypeError: data that is not an integer.
        ShapeError: data that is not a scalar.

    >>> fold_in(PRNGKey(0), 1)
    array([ 928981903, 3453687069], dtype=uint32)
    """
    key = as_key(key, "fold_in")
    if type(data) is not int:
        if dtype_of(data).kind not in "iub":
            raise DTypeError(
                f"[random.fold_in] expected an integer to fold in, got {dtype_of(data).name}. Use int(data)."
            )
        if shape_of(data):
            raise ShapeError(
                f"[random.fold_in] expected one integer, got an array of shape {shape_of(data)}. "
                "Use fnets.vmap(fnets.random.fold_in, (None, 0))(key, data)."
            )
    elif not 0 <= data < 2**32:
        raise ArgumentError(f"[random.fold_in] expected an integer from 0 to 2**32 - 1, got {data}. Take data % 2**32.")
    return random_fold_in(key, data)


def key_data(keys: Any) -> Any:
    """The numbers that keys hold: here keys are plain arrays, so the keys themselves.

    >>> key_data(key(3))
    array([0, 3], dtype=uint32)
    """
    return arr(keys)


def wrap_key_data(key_bits_array: Any, *, impl: str | None = None) -> Any:
    """Keys from the numbers that they hold; the inverse of `key_data`.

    >>> import numpy as np
    >>> wrap_key_data(np.array([0, 3], np.uint32))
    array([0, 3], dtype=uint32)
    """
    return arr(key_bits_array)
