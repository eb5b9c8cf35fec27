"""The draws that others are made of: bits, uniform and normal numbers, integers, coin flips. May import arguments, primitives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fnets.config import default_float
from fnets.core.avals import float_info
from fnets.core.trace import dtype_of
from fnets.errors import ArgumentError
from fnets.primitives.base import arr, convert
from fnets.primitives.elementwise import (
    add,
    clamp,
    complex_,
    div,
    eq,
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
from fnets.primitives.random_samplers import random_integers_p, random_normal_p, random_uniform_p
from fnets.primitives.shape import stop_gradient
from fnets.random.arguments import (
    as_key,
    as_shape,
    common_shape,
    draw_bits,
    float_dtype,
    inexact,
    inexact_dtype,
    int_dtype,
    number_dtype,
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
        ArgumentError: dtype is not an unsigned integer.

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
            raise ArgumentError(
                f"[random.bits] expected an unsigned integer dtype, got {dtype.name}. Use dtype='uint32'."
            )
    return draw_bits(key, as_shape(shape, "bits"), 8 * width)


def scaled_uniform(key: Any, shape: tuple[int, ...], dtype: np.dtype, low: Any = 0.0, high: Any = 1.0) -> Any:
    """Uniform numbers in [low, high) of a checked key, shape and dtype; bounds that are not Python numbers must be of that dtype.

    float32 is scaled in float64, which rounds once, as the fused multiply-add does in which XLA computes it.
    """
    if type(low) in (float, int) and type(high) in (float, int):
        if low == 0 and high == 1:
            return random_uniform_p.bind(key, shape=shape, dtype=dtype)
        return random_uniform_p.bind(key, shape=shape, dtype=dtype, low=float(low), high=float(high))
    u, low, high = random_uniform_p.bind(key, shape=shape, dtype=dtype), parameter(low, dtype), parameter(high, dtype)
    work = np.float64 if dtype == np.float32 else dtype
    scaled = add(mul(convert(u, work), convert(sub(high, low), work)), convert(low, work))
    return maximum(low, convert(scaled, dtype))


def uniform(key: Any, shape: Any = (), dtype: Any = None, minval: Any = 0.0, maxval: Any = 1.0) -> Any:
    """Uniform numbers in [minval, maxval), equal to `jax.random.uniform` bit for bit.

    In float64 the last bit may differ where the bounds are not 0 and 1: XLA rounds once there.

    Args:
        key: a key.
        shape: the shape to draw.
        dtype: a float dtype; the default float if None.
        minval: the lower bound, broadcast to the shape; differentiable.
        maxval: the upper bound, exclusive up to rounding; differentiable.

    Raises:
        ArgumentError: dtype is not a float.
        ShapeError: a bound does not broadcast to the shape.

    >>> from fnets import random
    >>> random.uniform(random.key(0), (2,))
    array([0.947667 , 0.9785799], dtype=float32)
    """
    key, dtype, shape = as_key(key, "uniform"), float_dtype(dtype, "uniform"), as_shape(shape, "uniform")
    common_shape(shape, "uniform", minval, maxval)
    return scaled_uniform(key, shape, dtype, minval, maxval)


def normal(key: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Standard normal numbers, equal to `jax.random.normal` up to rounding.

    Args:
        key: a key.
        shape: the shape to draw.
        dtype: a float or complex dtype; the default float if None. Complex numbers have variance 1.

    Raises:
        ArgumentError: dtype is neither float nor complex.

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
        ArgumentError: dtype is not a float.
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
        return lt(scaled_uniform(key, shape, dtype), p)
    coarse, fine = rows(scaled_uniform(key, (2, *shape), dtype), 2)
    return lt(mul(fine, dtype.type(2.0 ** -float_info(dtype).nmant)), sub(p, coarse))


def randint(key: Any, shape: Any, minval: Any, maxval: Any, dtype: Any = None) -> Any:
    """Integers in [minval, maxval), equal to `jax.random.randint` of the same dtype.

    The dtype decides the numbers: a script that runs JAX in its 32-bit mode finds its own again with dtype="int32".

    Args:
        key: a key.
        shape: the shape to draw.
        minval: the lower bound, broadcast to the shape. Bounds outside the dtype are clipped to it.
        maxval: the upper bound, exclusive; where it is not above minval, minval is drawn.
        dtype: an integer dtype; int64 if None.

    Raises:
        ArgumentError: dtype is not an integer.
        ShapeError: a bound does not broadcast to the shape.

    >>> from fnets import random
    >>> random.randint(random.key(0), (3,), 0, 10, "int32")
    array([9, 0, 2], dtype=int32)
    """
    key, dtype, shape = as_key(key, "randint"), int_dtype(dtype, "randint"), as_shape(shape, "randint")
    common_shape(shape, "randint", minval, maxval)
    return integers(key, shape, minval, maxval, dtype)


def integers(key: Any, shape: tuple[int, ...], minval: Any, maxval: Any, dtype: np.dtype) -> Any:
    """Integers of checked arguments: (high * 2**bits + low) modulo the span, for two draws of as many bits as the dtype has."""
    work = dtype if dtype.itemsize >= 4 else np.dtype("int32")  # fewer bits would be visibly biased
    if type(minval) is int and type(maxval) is int:
        low, span = _known_span(minval, maxval, dtype, work)
        return convert(random_integers_p.bind(key, shape=shape, dtype=work, low=low, span=span), dtype)
    unsigned, width = _UINT[work.itemsize], 8 * work.itemsize
    high, offset = [draw_bits(k, shape, width) for k in subkeys(key)]
    low, span = _span(minval, maxval, dtype, work)
    some = select(eq(span, 0), unsigned.type(1), span)
    factor = remainder(unsigned.type(1 << width // 2), some)
    factor = remainder(mul(factor, factor), some)
    reduced = remainder(add(mul(remainder(high, some), factor), remainder(offset, some)), some)
    return convert(add(low, convert(select(eq(span, 0), offset, reduced), work)), dtype)


def _known_span(minval: int, maxval: int, dtype: np.dtype, work: np.dtype) -> tuple[int, int]:
    """The lower bound, and how many integers there are; 0 stands for all of the working dtype."""
    info = np.iinfo(dtype)
    low, past = max(info.min, min(minval, info.max)), max(info.min, min(maxval, info.max + 1))
    span = past - low if past > low else 1
    return low, span if span < 1 << 8 * work.itemsize else 0


def _span(minval: Any, maxval: Any, dtype: np.dtype, work: np.dtype) -> tuple[Any, Any]:
    """The same of arrays."""
    low, past = _bound(minval, dtype, work, 0), _bound(maxval, dtype, work, int(work is not dtype))
    open_end = gt(arr(maxval), np.iinfo(work).max)
    unsigned = _UINT[work.itemsize]
    span = select(le(past, low), unsigned.type(1), convert(sub(past, low), unsigned))
    return low, add(span, convert(logical_and(open_end, gt(past, low)), unsigned))


def _bound(x: Any, dtype: np.dtype, work: np.dtype, past: int) -> Any:
    """A bound in the working dtype, clipped to the range of the dtype asked for; floats are cut to integers."""
    info = np.iinfo(dtype)
    x = arr(x)
    if dtype_of(x).kind not in "iu":
        x = convert(x, np.int64)
    own = np.iinfo(dtype_of(x))
    number = dtype_of(x).type
    return convert(clamp(number(max(info.min, own.min)), x, number(min(info.max + past, own.max))), work)


def rademacher(key: Any, shape: Any = (), dtype: Any = None) -> Any:
    """-1 or 1, each with probability 1/2, as `jax.random.rademacher`.

    Args:
        key: a key.
        shape: the shape to draw.
        dtype: the dtype of the result; int64 if None.

    Raises:
        ArgumentError: not a key, or dtype is not a dtype of numbers.

    >>> from fnets import random
    >>> random.rademacher(random.key(0), (2,))
    array([-1, -1])
    """
    dtype = np.dtype("int64") if dtype is None else number_dtype(dtype, "rademacher")
    return coin_signs(as_key(key, "rademacher"), as_shape(shape, "rademacher"), dtype)


def coin_signs(key: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """-1 or 1 of checked arguments; the coin is a uniform number of the default float."""
    return select(lt(scaled_uniform(key, shape, default_float()), 0.5), dtype.type(1), dtype.type(-1))
