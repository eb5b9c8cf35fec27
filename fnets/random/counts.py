"""Distributions of counts. May import arguments, basic, primitives. Counts carry no derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ShapeError
from fnets.primitives.base import arr, broadcast_to, convert
from fnets.primitives.cumulative import cumsum
from fnets.primitives.elementwise import add, clamp, div, eq, floor, log, log1p, neg, select, sub
from fnets.primitives.indexing import getitem_spec
from fnets.primitives.random_samplers import random_binomial_p, random_poisson_p
from fnets.primitives.shape import moveaxis, stack, stop_gradient
from fnets.random.arguments import (
    as_key,
    common_shape,
    drawn_shape,
    float_dtype,
    inexact,
    int_dtype,
    spread,
    subkeys,
)
from fnets.random.basic import scaled_uniform


def poisson(key: Any, lam: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Counts k of probability lam**k exp(-lam) / k!, as `jax.random.poisson`.

    JAX's counts, but where the rounding of float32 decides whether a draw is accepted: often for rates above 1e4, rarely below.

    Args:
        key: a key.
        lam: the rate, not negative, broadcast to the shape; taken as float32. A rate of nan gives -1.
        shape: the shape to draw; by default that of lam.
        dtype: an integer dtype; int64 if None.

    Raises:
        ArgumentError: not a key, or dtype is not an integer.
        ShapeError: lam does not broadcast to the shape.

    >>> from fnets import random
    >>> random.poisson(random.key(0), 4.0, (3,))
    array([0, 1, 5])
    """
    key, shape, dtype = as_key(key, "poisson"), common_shape(shape, "poisson", lam), int_dtype(dtype, "poisson")
    return random_poisson_p.bind(key, stop_gradient(spread(lam, np.dtype("float32"), shape)), dtype=dtype)


def binomial(key: Any, n: Any, p: Any, shape: Any = None, dtype: Any = None) -> Any:
    """How many of n trials of probability p succeed, as `jax.random.binomial`.

    Args:
        key: a key.
        n: the number of trials, not negative, broadcast to the shape.
        p: the probability, likewise. A p outside of [0, 1] or a negative n gives nan.
        shape: the shape to draw; by default the parameters' common shape.
        dtype: a float dtype, as in JAX; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is not a float.
        ShapeError: a parameter does not broadcast to the shape.

    >>> from fnets import random
    >>> random.binomial(random.key(0), 10, 0.5, (3,))
    array([6., 7., 5.], dtype=float32)
    """
    key, shape, dtype = as_key(key, "binomial"), common_shape(shape, "binomial", n, p), float_dtype(dtype, "binomial")
    return _binomial(key, n, inexact(p), shape, dtype)


def _binomial(key: Any, n: Any, p: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    work = dtype_of(p)
    n, p = stop_gradient(spread(n, work, shape)), stop_gradient(spread(p, work, shape))
    return random_binomial_p.bind(key, n, p, dtype=dtype)


def geometric(key: Any, p: Any, shape: Any = None, dtype: Any = None) -> Any:
    """How many trials of probability p it takes to succeed, at least 1, as `jax.random.geometric`.

    Args:
        key: a key.
        p: the probability, in (0, 1], broadcast to the shape. Its dtype is that of the uniform numbers behind.
        shape: the shape to draw; by default that of p.
        dtype: an integer dtype; int64 if None.

    Raises:
        ArgumentError: not a key, or dtype is not an integer.
        ShapeError: p does not broadcast to the shape.

    >>> from fnets import random
    >>> random.geometric(random.key(0), 0.1, (3,))
    array([ 1,  1, 11])
    """
    key, shape, dtype = as_key(key, "geometric"), common_shape(shape, "geometric", p), int_dtype(dtype, "geometric")
    p = inexact(p)
    number = dtype_of(p).type
    u = scaled_uniform(key, shape, dtype_of(p))
    u = select(eq(u, 0), number(1), u)
    return convert(add(floor(div(log(u), log1p(neg(stop_gradient(p))))), number(1)), dtype)


def multinomial(key: Any, n: Any, p: Any, *, shape: Any = None, dtype: Any = None, unroll: int | bool = 1) -> Any:
    """How often each outcome occurs in n trials, as `jax.random.multinomial`.

    Args:
        key: a key.
        n: the number of trials, broadcast to the leading dimensions of p.
        p: the probabilities, along the last axis.
        shape: the result's shape, that of p by default; p broadcasts to it.
        dtype: a dtype; the default float if None.
        unroll: accepted for JAX's sake; ignored.

    Returns:
        Counts of the shape of p, which sum to n along the last axis.

    Raises:
        ArgumentError: not a key, or dtype is not a float.
        ShapeError: p has no axis, or a parameter does not broadcast.

    >>> import numpy as np
    >>> from fnets import random
    >>> random.multinomial(random.key(0), 10, np.array([0.2, 0.3, 0.5], np.float32))
    array([1., 1., 8.], dtype=float32)
    """
    key, dtype, p = as_key(key, "multinomial"), float_dtype(dtype, "multinomial"), inexact(p)
    if not shape_of(p):
        raise ShapeError(
            "[random.multinomial] expected p with at least one axis, got a scalar. Pass an array of shape (k,)."
        )
    shape = drawn_shape(shape, "multinomial", shape_of(p))
    drawn_shape(shape[:-1], "multinomial", shape_of(n))
    work = dtype_of(p)
    p = moveaxis(stop_gradient(spread(p, work, shape)), -1, 0)
    left = stop_gradient(spread(n, work, shape[:-1]))
    rest = cumsum(p, 0, reverse=True)
    ratios = div(p, select(eq(rest, 0), work.type(1), rest))
    counts = []
    for i, sub_key in enumerate(subkeys(key, shape[-1])):
        ratio = clamp(work.type(0), getitem_spec(ratios, (i,)), work.type(1))
        counts.append(random_binomial_p.bind(sub_key, left, ratio, dtype=work))
        left = sub(left, counts[-1])
    return convert(stack(counts, -1), dtype) if counts else broadcast_to(arr(dtype.type(0)), shape)
