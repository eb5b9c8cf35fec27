"""The draws that others are made of: bits, uniform and normal numbers, integers, coin flips. May import arguments, primitives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fnets.core.trace import dtype_of
from fnets.errors import ArgumentError, DTypeError
from fnets.primitives.base import arr, convert
from fnets.primitives.elementwise import (
    add,
    clamp,
    complex_,
    div,
    erf,
    erf_inv,
    gt,
    le,
    logical_and,
    lt,
    maximum,
    mul,
    nextafter,
    remainder,
    select,
    sub,
)
from fnets.primitives.random import random_bits
from fnets.primitives.random_samplers import random_normal_p, random_uniform_p
from fnets.primitives.shape import stop_gradient
from fnets.random.arguments import (
    as_key,
    as_shape,
    common_shape,
    float_dtype,
    inexact,
    inexact_dtype,
    int_dtype,
    parameter,
    rows,
    subkeys,
)

_UINT = {1: np.dtype("uint8"), 2: np.dtype("uint16"), 4: np.dtype("uint32"), 8: np.dtype("uint64")}


def bits(key: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Random bits as unsigned integers, equal to `jax.random.bits`.

    Args:
        key: a key.
        shape: the shape to draw.
        dtype: uint8, uint16, uint32 or uint64; by default uint64 where the default float is float64, else uint32, as in JAX.

    Raises:
        DTypeError: dtype is not an unsigned integer.

    >>> from fnets import random
    >>> random.bits(random.key(0), (2,))
    array([4070199207, 4202968722], dtype=uint32)
    """
    key = as_key(key, "bits")
    if dtype is None:
        width = float_dtype(None, "bits").itemsize
    else:
        dtype = int_dtype(dtype, "bits")
        width = dtype.itemsize
        if dtype.kind != "u":
            raise DTypeError(f"[random.bits] expected an unsigned integer dtype, got {dtype.name}. Use dtype='uint32'.")
    return random_bits(key, as_shape(shape, "bits"), 8 * width)


def unit_uniform(key: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """Uniform numbers in [0, 1) of a checked key, shape and dtype."""
    return random_uniform_p.bind(key, shape=shape, dtype=dtype)


def scaled_uniform(key: Any, shape: tuple[int, ...], dtype: np.dtype, low: Any, high: Any) -> Any:
    """Uniform numbers in [low, high) of a checked key, shape and dtype; the bounds have that dtype and broadcast to the shape."""
    return maximum(low, add(mul(unit_uniform(key, shape, dtype), sub(high, low)), low))


def uniform(key: Any, shape: Any = (), dtype: Any = None, minval: Any = 0.0, maxval: Any = 1.0) -> Any:
    """Uniform numbers in [minval, maxval), equal to `jax.random.uniform` bit for bit.

    Args:
        key: a key.
        shape: the shape to draw.
        dtype: a float dtype; the default float if None.
        minval: the lower bound, broadcast to the shape; differentiable.
        maxval: the upper bound, exclusive up to rounding; differentiable.

    Raises:
        DTypeError: dtype is not a float.
        ShapeError: a bound does not broadcast to the shape.

    >>> from fnets import random
    >>> random.uniform(random.key(0), (2,))
    array([0.947667 , 0.9785799], dtype=float32)
    """
    key, dtype, shape = as_key(key, "uniform"), float_dtype(dtype, "uniform"), as_shape(shape, "uniform")
    if type(minval) is float and minval == 0 and type(maxval) is float and maxval == 1:
        return unit_uniform(key, shape, dtype)
    common_shape(shape, "uniform", minval, maxval)
    return scaled_uniform(key, shape, dtype, parameter(minval, dtype), parameter(maxval, dtype))


def normal(key: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Standard normal numbers, equal to `jax.random.normal` up to rounding.

    Args:
        key: a key.
        shape: the shape to draw.
        dtype: a float or complex dtype; the default float if None. Complex numbers have variance 1.

    Raises:
        DTypeError: dtype is neither float nor complex.

    >>> from fnets import random
    >>> random.normal(random.key(0), (2,)).round(3)
    array([1.623, 2.025], dtype=float32)
    """
    key, dtype, shape = as_key(key, "normal"), inexact_dtype(dtype, "normal"), as_shape(shape, "normal")
    return standard_normal(key, shape, dtype)


def standard_normal(key: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """Standard normal numbers of a checked key, shape and dtype."""
    if dtype.kind != "c":
        return random_normal_p.bind(key, shape=shape, dtype=dtype)
    part = np.dtype(f"float{4 * dtype.itemsize}")
    re, im = [random_normal_p.bind(k, shape=shape, dtype=part) for k in subkeys(key)]
    return div(complex_(re, im), dtype.type(math.sqrt(2)))


def truncated_normal(key: Any, lower: Any, upper: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Standard normal numbers given that they lie in (lower, upper), equal to `jax.random.truncated_normal` up to rounding.

    Args:
        key: a key.
        lower: the lower bound, broadcast to the shape; differentiable.
        upper: the upper bound, likewise.
        shape: the shape to draw; by default the bounds' common shape.
        dtype: a float dtype; the default float if None.

    Raises:
        DTypeError: dtype is not a float.
        ShapeError: a bound does not broadcast to the shape.

    >>> from fnets import random
    >>> random.truncated_normal(random.key(0), -1.0, 1.0, (2,)).round(3)
    array([0.862, 0.941], dtype=float32)
    """
    key, dtype = as_key(key, "truncated_normal"), float_dtype(dtype, "truncated_normal")
    shape = common_shape(shape, "truncated_normal", lower, upper)
    lower, upper = parameter(lower, dtype), parameter(upper, dtype)
    sqrt2 = dtype.type(math.sqrt(2))
    u = scaled_uniform(key, shape, dtype, erf(div(lower, sqrt2)), erf(div(upper, sqrt2)))
    inf = dtype.type(np.inf)
    return clamp(nextafter(stop_gradient(lower), inf), mul(erf_inv(u), sqrt2), nextafter(stop_gradient(upper), -inf))


def bernoulli(key: Any, p: Any = 0.5, shape: Any = None, mode: str = "low") -> Any:
    """True with probability p, equal to `jax.random.bernoulli`.

    Args:
        key: a key.
        p: the probability, broadcast to the shape. Its dtype is that of the uniform numbers behind.
        shape: the shape to draw; by default that of p.
        mode: "high" draws twice as many bits, for probabilities that are tiny.

    Raises:
        ArgumentError: an unknown mode.
        ShapeError: p does not broadcast to the shape.

    >>> from fnets import random
    >>> random.bernoulli(random.key(0), 0.95, (2,))
    array([ True, False])
    """
    key = as_key(key, "bernoulli")
    if mode not in ("high", "low"):
        raise ArgumentError(f"[random.bernoulli] expected mode 'high' or 'low', got {mode!r}.")
    p, shape = inexact(p), common_shape(shape, "bernoulli", p)
    dtype = dtype_of(p)
    if mode == "low":
        return lt(unit_uniform(key, shape, dtype), p)
    coarse, fine = rows(unit_uniform(key, (2, *shape), dtype), 2)
    return lt(mul(fine, dtype.type(2.0 ** -np.finfo(dtype).nmant)), sub(p, coarse))


def randint(key: Any, shape: Any, minval: Any, maxval: Any, dtype: Any = None) -> Any:
    """Integers in [minval, maxval), equal to `jax.random.randint` of the same dtype.

    Args:
        key: a key.
        shape: the shape to draw.
        minval: the lower bound, broadcast to the shape. Bounds outside the dtype are clipped to it.
        maxval: the upper bound, exclusive; where it is not above minval, minval is drawn.
        dtype: an integer dtype; int64 if None.

    Raises:
        DTypeError: dtype is not an integer.
        ShapeError: a bound does not broadcast to the shape.

    >>> from fnets import random
    >>> random.randint(random.key(0), (3,), 0, 10, "int32")
    array([9, 0, 2], dtype=int32)
    """
    key, dtype, shape = as_key(key, "randint"), int_dtype(dtype, "randint"), as_shape(shape, "randint")
    common_shape(shape, "randint", minval, maxval)
    work = dtype if dtype.itemsize >= 4 else np.dtype("int32")  # fewer bits would be visibly biased
    low, past = _bound(minval, dtype), _bound(maxval, dtype, past=work is not dtype)
    open_top = gt(arr(maxval), np.iinfo(work).max)
    low, past = convert(low, work), convert(past, work)
    unsigned = _UINT[work.itemsize]
    span = select(le(past, low), unsigned.type(1), convert(sub(past, low), unsigned))
    span = add(span, convert(logical_and(open_top, gt(past, low)), unsigned))
    high_bits, low_bits = [random_bits(k, shape, 8 * work.itemsize) for k in subkeys(key)]
    # (high * 2**bits + low) % span without wider integers
    factor = remainder(unsigned.type(1 << 4 * work.itemsize), span)
    factor = remainder(mul(factor, factor), span)
    offset = remainder(add(mul(remainder(high_bits, span), factor), remainder(low_bits, span)), span)
    return convert(add(low, convert(offset, work)), dtype)


def _bound(x: Any, dtype: np.dtype, past: bool = False) -> Any:
    """A bound clipped to the dtype, or to one past it; floats are cut to integers."""
    info = np.iinfo(dtype)
    x = arr(x)
    if dtype_of(x).kind not in "iu":
        x = convert(x, np.int64)
    own = np.iinfo(dtype_of(x))
    return clamp(dtype_of(x).type(max(info.min, own.min)), x, dtype_of(x).type(min(info.max + past, own.max)))
