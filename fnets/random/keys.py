"""Keys: made from a seed, split, folded with data. May import arguments, primitives."""

from __future__ import annotations

from typing import Any

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, DTypeError, SeedOverflowError, ShapeError
from fnets.primitives.base import arr, reshape
from fnets.primitives.random import random_fold_in, random_seed
from fnets.primitives.shape import concatenate
from fnets.random import reuse
from fnets.random.arguments import as_key, as_keys, as_shape, one_key, split_key

_WORDS = {None: 2, "threefry2x32": 2, "rbg": 4, "philox": 4}


def _words(impl: Any, dtype: Any, op: str) -> int:
    if impl is not None and dtype is not None:
        raise ArgumentError(f"[random.{op}] expected impl= or dtype=, got both. Leave dtype= out.")
    impl = dtype if impl is None else impl
    if isinstance(impl, str) or impl is None:
        words = _WORDS.get(impl)
        if words is not None:
            return words
    raise ArgumentError(f"[random.{op}] expected impl 'threefry2x32', 'rbg' or 'philox', got {impl!r}.")


def key(seed: Any, *, impl: str | None = None, dtype: str | None = None) -> Any:
    """A key from a seed: a plain uint32 array of shape (2,), with the numbers of `jax.random.key` in 64-bit mode.

    Args:
        seed: an integer of at most 64 bits; may be traced.
        impl: "threefry2x32", the default, whose draws are JAX's; or "rbg", alias "philox": a key of shape (4,) whose draws come from
            NumPy's generators (Philox; normal numbers SFC64, a stream for every 65536 of them) and are not JAX's "rbg" numbers. Faster for
            large draws: bits and uniform numbers about four times, normal, gamma and Poisson numbers as NumPy's own; slower for small ones and
            for vmap, which loops over the keys.
        dtype: another name of impl.

    Raises:
        DTypeError: the seed is not an integer.
        ShapeError: the seed is not a scalar.
        SeedOverflowError: the seed does not fit 64 bits.
        ArgumentError: an unknown impl.

    >>> key(42)
    array([ 0, 42], dtype=uint32)
    >>> key(42, impl="rbg")
    array([ 0, 42,  0, 42], dtype=uint32)
    """
    return _key(seed, _words(impl, dtype, "key"), "key")


def PRNGKey(seed: Any, *, impl: str | None = None) -> Any:
    """The same as `key`, under the name of JAX's raw keys.

    >>> PRNGKey(0)
    array([0, 0], dtype=uint32)
    """
    return _key(seed, _words(impl, None, "PRNGKey"), "PRNGKey")


def _key(seed: Any, words: int, op: str) -> Any:
    if type(seed) is not int:
        dtype, shape = dtype_of(seed), shape_of(seed)
        if dtype.kind not in "iub":
            raise DTypeError(f"[random.{op}] expected an integer seed, got {dtype.name}. Write random.{op}(0).")
        if shape:
            raise ShapeError(
                f"[random.{op}] expected one integer seed, got an array of shape {shape}. Use fnets.vmap(fnets.random.{op})(seeds)."
            )
    elif not -(2**63) <= seed < 2**63:
        raise SeedOverflowError(f"[random.{op}] expected a seed of at most 64 bits, got {seed}. Take seed % 2**63.")
    half = random_seed(seed)
    return half if words == 2 else concatenate([half, half])


def split(key: Any, num: int | tuple[int, ...] = 2) -> Any:
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
    return split_key(as_key(key, "split"), as_shape(num, "split"))


def fold_in(key: Any, data: Any) -> Any:
    """A key that depends on a key and on an integer, such as a step's number, as `jax.random.fold_in`.

    As in JAX `fold_in(key, i)` is `split(key, n)[i]`: use one of the two on a key, not both.

    Args:
        key: a key.
        data: an integer, of which 32 bits count; may be traced.

    Raises:
        ArgumentError: not a key.
        SeedOverflowError: a Python integer that is negative or does not fit 32 bits.
        DTypeError: data that is not an integer.
        ShapeError: data that is not a scalar.

    >>> fold_in(PRNGKey(0), 1)
    array([ 928981903, 3453687069], dtype=uint32)
    """
    key = one_key(key, "fold_in")
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
        raise SeedOverflowError(
            f"[random.fold_in] expected an integer from 0 to 2**32 - 1, got {data}. Take data % 2**32."
        )
    if key.shape == (2,):
        return random_fold_in(key, data)
    return reshape(random_fold_in(reshape(key, (2, 2)), data), (4,))


def clone(key: Any) -> Any:
    """The same key; inside `check_key_reuse` it may be used once more.

    >>> clone(key(3))
    array([0, 3], dtype=uint32)
    """
    key = as_keys(key, "clone")
    reuse.forget(key)
    return key


def key_data(keys: Any) -> Any:
    """The numbers that keys hold: keys are plain arrays, so the keys themselves.

    >>> key_data(key(3))
    array([0, 3], dtype=uint32)
    """
    return as_keys(keys, "key_data")


def wrap_key_data(key_bits_array: Any, *, impl: str | None = None, dtype: str | None = None) -> Any:
    """Keys from the numbers that they hold; the inverse of `key_data`.

    Args:
        key_bits_array: uint32 of shape (..., 2), or (..., 4) for Philox.
        impl: the generator, by default that of the last dimension.
        dtype: another name of impl.

    Raises:
        ArgumentError: an array of another shape or dtype.

    >>> import numpy as np
    >>> wrap_key_data(np.array([0, 3], np.uint32))
    array([0, 3], dtype=uint32)
    """
    keys = as_keys(arr(key_bits_array), "wrap_key_data")
    words = _words(impl, dtype, "wrap_key_data")
    if (impl or dtype) and keys.shape[-1] != words:
        raise ArgumentError(
            f"[random.wrap_key_data] expected {words} words in the last dimension for {impl or dtype}, got shape {keys.shape}."
        )
    return keys


def key_impl(keys: Any) -> str:
    """The name of the generator that keys belong to: "threefry2x32" or "rbg".

    >>> key_impl(key(0)), key_impl(key(0, impl="philox"))
    ('threefry2x32', 'rbg')
    """
    return "threefry2x32" if as_keys(keys, "key_impl").shape[-1] == 2 else "rbg"
