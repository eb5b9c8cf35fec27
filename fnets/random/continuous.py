"""Continuous distributions that one or two uniform or normal draws give. May import arguments, basic, primitives.

Draws are differentiable in their parameters: the underlying uniform or normal numbers are constants.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fnets.core.avals import float_info
from fnets.core.trace import shape_of
from fnets.errors import ArgumentError
from fnets.primitives.base import reduce_sum
from fnets.primitives.elementwise import (
    abs,
    add,
    broadcast_shapes,
    div,
    exp,
    ge,
    integer_pow,
    le,
    log,
    log1p,
    lt,
    mul,
    neg,
    pow,
    select,
    sign,
    sqrt,
    square,
    sub,
    tan,
)
from fnets.random.arguments import (
    as_key,
    as_shape,
    common_shape,
    float_dtype,
    inexact_dtype,
    parameter,
    rows,
    spread,
    subkeys,
)
from fnets.random.basic import coin_signs, scaled_uniform, standard_normal


def gumbel(key: Any, shape: Any = (), dtype: Any = None, mode: str | None = None) -> Any:
    """Numbers of density exp(-(x + exp(-x))), the standard Gumbel distribution, as `jax.random.gumbel`.

    Args:
        key: a key.
        shape: the shape to draw.
        dtype: a float dtype; the default float if None.
        mode: "low" (the default) or "high", which draws twice as many bits and so reaches further into the tail.

    Raises:
        ArgumentError: not a key, dtype is not a float, or an unknown mode.

    >>> from fnets import random
    >>> random.gumbel(random.key(0), (2,)).round(3)
    array([2.923, 3.833], dtype=float32)
    """
    dtype = float_dtype(dtype, "gumbel")
    return standard_gumbel(as_key(key, "gumbel"), as_shape(shape, "gumbel"), dtype, gumbel_mode(mode, "gumbel"))


def gumbel_mode(mode: str | None, op: str) -> str:
    """A `mode=` argument: "low" if None."""
    if mode not in (None, "low", "high"):
        raise ArgumentError(f"[random.{op}] expected mode 'low' or 'high', got {mode!r}.")
    return mode or "low"


def standard_gumbel(key: Any, shape: tuple[int, ...], dtype: np.dtype, mode: str = "low") -> Any:
    """Gumbel numbers of checked arguments."""
    tiny = float(float_info(dtype).tiny)
    if mode == "low":
        return neg(log(neg(log(scaled_uniform(key, shape, dtype, tiny, 1.0)))))
    high, low = rows(scaled_uniform(key, (2, *shape), dtype), 2)
    finer = add(add(high, mul(low, dtype.type(2.0 ** -float_info(dtype).nmant))), dtype.type(tiny))
    return neg(log(neg(log1p(neg(select(ge(high, 0.5), high, finer))))))


def exponential(key: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Numbers of density exp(-x) on x >= 0, as `jax.random.exponential`.

    Args:
        key: a key.
        shape: the shape to draw.
        dtype: a float dtype; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is not a float.

    >>> from fnets import random
    >>> random.exponential(random.key(0), (2,)).round(3)
    array([2.95 , 3.843], dtype=float32)
    """
    dtype = float_dtype(dtype, "exponential")
    return standard_exponential(as_key(key, "exponential"), as_shape(shape, "exponential"), dtype)


def standard_exponential(key: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """Exponential numbers of checked arguments."""
    return neg(log1p(neg(scaled_uniform(key, shape, dtype))))


def laplace(key: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Numbers of density exp(-|x|) / 2, as `jax.random.laplace`.

    Args:
        key: a key.
        shape: the shape to draw.
        dtype: a float dtype; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is not a float.

    >>> from fnets import random
    >>> random.laplace(random.key(0), (2,)).round(3)
    array([-2.257, -3.15 ], dtype=float32)
    """
    key, shape, dtype = as_key(key, "laplace"), as_shape(shape, "laplace"), float_dtype(dtype, "laplace")
    u = scaled_uniform(key, shape, dtype, float(float_info(dtype).epsneg) - 1.0, 1.0)
    return mul(sign(u), log1p(neg(abs(u))))


def logistic(key: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Numbers of density exp(-x) / (1 + exp(-x))**2, as `jax.random.logistic`.

    Args:
        key: a key.
        shape: the shape to draw.
        dtype: a float dtype; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is not a float.

    >>> from fnets import random
    >>> random.logistic(random.key(0), (2,)).round(3)
    array([2.896, 3.822], dtype=float32)
    """
    key, shape, dtype = as_key(key, "logistic"), as_shape(shape, "logistic"), float_dtype(dtype, "logistic")
    u = scaled_uniform(key, shape, dtype, float(float_info(dtype).tiny), 1.0)
    return sub(log(u), log1p(neg(u)))


def cauchy(key: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Numbers of density 1 / (pi (1 + x**2)), as `jax.random.cauchy`.

    Args:
        key: a key.
        shape: the shape to draw.
        dtype: a float dtype; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is not a float.

    >>> from fnets import random
    >>> random.cauchy(random.key(0), (2,)).round(2)
    array([ 6.03, 14.84], dtype=float32)
    """
    key, shape, dtype = as_key(key, "cauchy"), as_shape(shape, "cauchy"), float_dtype(dtype, "cauchy")
    u = scaled_uniform(key, shape, dtype, float(float_info(dtype).eps), 1.0)
    return tan(mul(dtype.type(np.pi), sub(u, dtype.type(0.5))))


def rayleigh(key: Any, scale: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Numbers of density x / scale**2 exp(-x**2 / (2 scale**2)) on x >= 0, as `jax.random.rayleigh`.

    Args:
        key: a key.
        scale: positive, broadcast to the shape.
        shape: the shape to draw; by default that of scale.
        dtype: a float dtype; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is not a float.
        ShapeError: scale does not broadcast to the shape.

    >>> from fnets import random
    >>> random.rayleigh(random.key(0), 2.0, (2,)).round(3)
    array([0.656, 0.416], dtype=float32)
    """
    key, shape, dtype = as_key(key, "rayleigh"), common_shape(shape, "rayleigh", scale), float_dtype(dtype, "rayleigh")
    return mul(parameter(scale, dtype), sqrt(mul(log(scaled_uniform(key, shape, dtype)), dtype.type(-2))))


def weibull_min(key: Any, scale: Any, concentration: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Numbers of cumulative distribution 1 - exp(-(x / scale)**concentration) on x >= 0, as `jax.random.weibull_min`.

    Args:
        key: a key.
        scale: positive, broadcast against the shape.
        concentration: positive, broadcast against the shape.
        shape: the shape of the uniform draw.
        dtype: a float dtype; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is not a float.

    >>> from fnets import random
    >>> random.weibull_min(random.key(0), 1.0, 2.0, (2,)).round(3)
    array([1.718, 1.96 ], dtype=float32)
    """
    key, shape, dtype = as_key(key, "weibull_min"), as_shape(shape, "weibull_min"), float_dtype(dtype, "weibull_min")
    e = standard_exponential(key, shape, dtype)
    return mul(pow(e, div(dtype.type(1), parameter(concentration, dtype))), parameter(scale, dtype))


def pareto(key: Any, b: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Numbers of density b / x**(b + 1) on x >= 1, as `jax.random.pareto`.

    Args:
        key: a key.
        b: positive, broadcast to the shape.
        shape: the shape to draw; by default that of b.
        dtype: a float dtype; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is not a float.
        ShapeError: b does not broadcast to the shape.

    >>> from fnets import random
    >>> random.pareto(random.key(0), 3.0, (2,)).round(3)
    array([2.673, 3.601], dtype=float32)
    """
    key, shape, dtype = as_key(key, "pareto"), common_shape(shape, "pareto", b), float_dtype(dtype, "pareto")
    return exp(div(standard_exponential(key, shape, dtype), parameter(b, dtype)))


def maxwell(key: Any, shape: Any = (), dtype: Any = None) -> Any:
    """The length of three standard normal numbers: density sqrt(2 / pi) x**2 exp(-x**2 / 2), as `jax.random.maxwell`.

    Args:
        key: a key.
        shape: the shape to draw.
        dtype: a float dtype; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is not a float.

    >>> from fnets import random
    >>> random.maxwell(random.key(0), (2,)).round(3)
    array([2.631, 0.991], dtype=float32)
    """
    key, shape, dtype = as_key(key, "maxwell"), as_shape(shape, "maxwell"), float_dtype(dtype, "maxwell")
    return _maxwell(key, shape, dtype)


def _maxwell(key: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    return sqrt(reduce_sum(square(standard_normal(key, (*shape, 3), dtype)), (len(shape),)))


def double_sided_maxwell(key: Any, loc: Any, scale: Any, shape: Any = (), dtype: Any = None) -> Any:
    """loc + scale * x with x of density proportional to x**2 exp(-x**2 / 2) on both sides, as `jax.random.double_sided_maxwell`.

    Args:
        key: a key.
        loc: the centre.
        scale: the scale, broadcast against loc.
        shape: as in JAX the result's shape is `shape` followed by the parameters' common shape, or twice the latter if shape is ().
        dtype: a float dtype; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is not a float.

    >>> from fnets import random
    >>> random.double_sided_maxwell(random.key(0), 1.0, 2.0, (2,)).round(3)
    array([4.091, 4.148], dtype=float32)
    """
    op = "double_sided_maxwell"
    key, shape, dtype = as_key(key, op), as_shape(shape, op), float_dtype(dtype, op)
    loc, scale = parameter(loc, dtype), parameter(scale, dtype)
    own = broadcast_shapes(f"random.{op}", shape_of(loc), shape_of(scale))
    shape = (*(shape or own), *own)
    maxwell_key, sign_key = subkeys(key)
    return add(mul(mul(coin_signs(sign_key, shape, dtype), _maxwell(maxwell_key, shape, dtype)), scale), loc)


def lognormal(key: Any, sigma: Any = 1.0, shape: Any = None, dtype: Any = None) -> Any:
    """exp(sigma * x) with a standard normal x, as `jax.random.lognormal`.

    Args:
        key: a key.
        sigma: the logarithm's standard deviation, broadcast to the shape.
        shape: the shape to draw; by default that of sigma.
        dtype: a float or complex dtype; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is neither float nor complex.
        ShapeError: sigma does not broadcast to the shape.

    >>> from fnets import random
    >>> random.lognormal(random.key(0), 0.5, (2,)).round(3)
    array([2.251, 2.753], dtype=float32)
    """
    op = "lognormal"
    key, shape, dtype = as_key(key, op), common_shape(shape, op, sigma), inexact_dtype(dtype, op)
    return exp(mul(standard_normal(key, shape, dtype), parameter(sigma, dtype)))


def triangular(key: Any, left: Any, mode: Any, right: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Numbers in [left, right) whose density rises linearly up to mode and falls from there, as `jax.random.triangular`.

    Args:
        key: a key.
        left: the lower bound, broadcast to the shape.
        mode: where the density peaks.
        right: the upper bound.
        shape: the shape to draw; by default the parameters' common shape.
        dtype: a float dtype; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is not a float.
        ShapeError: a parameter does not broadcast to the shape.

    >>> from fnets import random
    >>> random.triangular(random.key(0), 0.0, 1.0, 2.0, (2,)).round(3)
    array([1.676, 1.793], dtype=float32)
    """
    op = "triangular"
    key, shape, dtype = as_key(key, op), common_shape(shape, op, left, mode, right), float_dtype(dtype, op)
    left, mode, right = [parameter(x, dtype) for x in (left, mode, right)]
    u, width = scaled_uniform(key, shape, dtype), sub(right, left)
    below = lt(u, div(sub(mode, left), width))
    # each root only where it is taken: the other's argument may be 0, where its slope is infinite
    rising = sqrt(select(below, mul(mul(u, width), sub(mode, left)), dtype.type(1)))
    falling = sqrt(select(below, dtype.type(1), mul(mul(sub(dtype.type(1), u), width), sub(right, mode))))
    return select(below, add(left, rising), sub(right, falling))


def wald(key: Any, mean: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Numbers of the inverse Gaussian distribution of scale 1: density exp(-(x - mean)**2 / (2 mean**2 x)) / sqrt(2 pi x**3), as `jax.random.wald`.

    Args:
        key: a key.
        mean: positive, broadcast to the shape.
        shape: the shape to draw; by default that of mean.
        dtype: a float dtype; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is not a float.
        ShapeError: mean does not broadcast to the shape.

    Source: Michael, Schucany and Haas, "Generating random variates using transformations with multiple roots" (1976).

    >>> from fnets import random
    >>> random.wald(random.key(0), 1.0, (2,)).round(3)
    array([0.381, 0.416], dtype=float32)
    """
    key, shape, dtype = as_key(key, "wald"), common_shape(shape, "wald", mean), float_dtype(dtype, "wald")
    normal_key, uniform_key = subkeys(key)
    mean = spread(mean, dtype, shape)
    y = square(standard_normal(normal_key, shape, dtype))
    z = scaled_uniform(uniform_key, shape, dtype)
    two, squared = dtype.type(2), square(mean)
    root = sqrt(add(mul(mul(dtype.type(4), mean), y), mul(squared, integer_pow(y, 2))))
    x = sub(add(mean, div(mul(squared, y), two)), mul(div(mean, two), root))
    return select(le(z, div(mean, add(mean, x))), x, div(squared, x))
