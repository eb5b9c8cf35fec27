"""Gamma draws and the distributions made of them. May import arguments, basic, continuous, primitives.

A draw is differentiable in its parameters: gamma's implicitly (the draw moves such that its probability stays), the rest follows. Source:
Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients" (2018).
"""

from __future__ import annotations

from operator import index as operator_index
from typing import Any

import numpy as np

from fnets.core.trace import shape_of
from fnets.errors import ShapeError
from fnets.primitives.base import arr, broadcast_to, reduce_sum, reshape
from fnets.primitives.elementwise import abs, add, div, exp, maximum, mul, pow, reciprocal, sqrt, sub
from fnets.primitives.random_samplers import random_gamma_p
from fnets.primitives.softmax import softmax
from fnets.random.arguments import as_key, as_shape, common_shape, drawn_shape, float_dtype, parameter, spread, subkeys
from fnets.random.basic import coin_signs, standard_normal
from fnets.random.continuous import standard_exponential


def _draw(key: Any, a: Any, shape: tuple[int, ...], log_space: bool = False) -> Any:
    """Gamma numbers, or their logarithms, of a checked key; `a` has the dtype that is drawn."""
    return random_gamma_p.bind(key, broadcast_to(a, shape), log_space=log_space)


def gamma(key: Any, a: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Numbers of density x**(a - 1) exp(-x) / Gamma(a) on x >= 0, as `jax.random.gamma`.

    Args:
        key: a key.
        a: positive, broadcast to the shape; differentiable once.
        shape: the shape to draw; by default that of a.
        dtype: a float dtype; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is not a float.
        ShapeError: a does not broadcast to the shape.

    >>> from fnets import random
    >>> random.gamma(random.key(0), 3.0, (2,)).round(3)
    array([2.569, 2.784], dtype=float32)
    """
    key, shape, dtype = as_key(key, "gamma"), common_shape(shape, "gamma", a), float_dtype(dtype, "gamma")
    return _draw(key, parameter(a, dtype), shape)


def loggamma(key: Any, a: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Logarithms of gamma draws, exact where those of a small `a` would be 0, as `jax.random.loggamma`.

    Args:
        key: a key.
        a: positive, broadcast to the shape; differentiable once.
        shape: the shape to draw; by default that of a.
        dtype: a float dtype; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is not a float.
        ShapeError: a does not broadcast to the shape.

    >>> from fnets import random
    >>> random.loggamma(random.key(0), 0.001, (2,)).round(1)
    array([-110.6,  -95.5], dtype=float32)
    """
    key, shape, dtype = as_key(key, "loggamma"), common_shape(shape, "loggamma", a), float_dtype(dtype, "loggamma")
    return _draw(key, parameter(a, dtype), shape, log_space=True)


def beta(key: Any, a: Any, b: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Numbers of density proportional to x**(a - 1) (1 - x)**(b - 1) on [0, 1], as `jax.random.beta`.

    Args:
        key: a key.
        a: positive, broadcast to the shape.
        b: positive, likewise.
        shape: the shape to draw; by default the parameters' common shape.
        dtype: a float dtype; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is not a float.
        ShapeError: a parameter does not broadcast to the shape.

    >>> from fnets import random
    >>> random.beta(random.key(0), 2.0, 3.0, (2,)).round(3)
    array([0.236, 0.49 ], dtype=float32)
    """
    key, shape, dtype = as_key(key, "beta"), common_shape(shape, "beta", a, b), float_dtype(dtype, "beta")
    key_a, key_b = subkeys(key)
    log_a = _draw(key_a, parameter(a, dtype), shape, log_space=True)
    log_b = _draw(key_b, parameter(b, dtype), shape, log_space=True)
    top = maximum(log_a, log_b)
    x, y = exp(sub(log_a, top)), exp(sub(log_b, top))
    return div(x, add(x, y))


def dirichlet(key: Any, alpha: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Points of the simplex, of density proportional to the product of x_i**(alpha_i - 1), as `jax.random.dirichlet`.

    Args:
        key: a key.
        alpha: positive, of shape (..., n); the leading dimensions broadcast to the shape.
        shape: the batch dimensions to draw; by default those of alpha.
        dtype: a float dtype; the default float if None.

    Returns:
        An array of shape `(*shape, n)` whose rows sum to 1.

    Raises:
        ArgumentError: not a key, or dtype is not a float.
        ShapeError: alpha has no axis, or does not broadcast to the shape.

    >>> import numpy as np
    >>> from fnets import random
    >>> random.dirichlet(random.key(0), np.array([1.0, 2.0, 3.0])).round(3)
    array([0.142, 0.405, 0.453], dtype=float32)
    """
    key, alpha, dtype = as_key(key, "dirichlet"), arr(alpha), float_dtype(dtype, "dirichlet")
    own = shape_of(alpha)
    if not own:
        raise ShapeError(
            "[random.dirichlet] expected alpha with at least one axis, got a scalar. Pass an array of shape (n,)."
        )
    shape = drawn_shape(shape, "dirichlet", own[:-1])
    return softmax(_draw(key, parameter(alpha, dtype), (*shape, own[-1]), log_space=True), -1)


def chisquare(key: Any, df: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Sums of df squared standard normal numbers: density proportional to x**(df / 2 - 1) exp(-x / 2), as `jax.random.chisquare`.

    Args:
        key: a key.
        df: positive degrees of freedom, broadcast to the shape.
        shape: the shape to draw; by default that of df.
        dtype: a float dtype; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is not a float.
        ShapeError: df does not broadcast to the shape.

    >>> from fnets import random
    >>> random.chisquare(random.key(0), 3.0, (2,)).round(3)
    array([2.205, 2.49 ], dtype=float32)
    """
    key, shape, dtype = as_key(key, "chisquare"), common_shape(shape, "chisquare", df), float_dtype(dtype, "chisquare")
    return _chisquare(key, parameter(df, dtype), shape, dtype)


def _chisquare(key: Any, df: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    return mul(exp(_draw(key, div(df, dtype.type(2)), shape, log_space=True)), dtype.type(2))


def f(key: Any, dfnum: Any, dfden: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Quotients of two chi-square numbers, each over its degrees of freedom (Fisher's F), as `jax.random.f`.

    Args:
        key: a key.
        dfnum: positive degrees of freedom of the numerator, broadcast to the shape.
        dfden: of the denominator, likewise.
        shape: the shape to draw; by default the parameters' common shape.
        dtype: a float dtype; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is not a float.
        ShapeError: a parameter does not broadcast to the shape.

    >>> from fnets import random
    >>> random.f(random.key(0), 3.0, 5.0, (2,)).round(3)
    array([2.58 , 0.192], dtype=float32)
    """
    key, shape, dtype = as_key(key, "f"), common_shape(shape, "f", dfnum, dfden), float_dtype(dtype, "f")
    dfnum, dfden = parameter(dfnum, dtype), parameter(dfden, dtype)
    key_den, key_num = subkeys(key)
    num, den = _chisquare(key_num, dfnum, shape, dtype), _chisquare(key_den, dfden, shape, dtype)
    return div(div(num, dfnum), div(den, dfden))


def t(key: Any, df: Any, shape: Any = None, dtype: Any = None) -> Any:
    """Numbers of density proportional to (1 + x**2 / df)**(-(df + 1) / 2) (Student's t), as `jax.random.t`.

    Args:
        key: a key.
        df: positive degrees of freedom, broadcast to the shape.
        shape: the shape to draw; by default that of df.
        dtype: a float dtype; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is not a float.
        ShapeError: df does not broadcast to the shape.

    >>> from fnets import random
    >>> random.t(random.key(0), 3.0, (2,)).round(3)
    array([ 0.69 , -3.239], dtype=float32)
    """
    key, shape, dtype = as_key(key, "t"), common_shape(shape, "t", df), float_dtype(dtype, "t")
    key_normal, key_gamma = subkeys(key)
    half = div(parameter(df, dtype), dtype.type(2))
    return mul(standard_normal(key_normal, shape, dtype), sqrt(div(half, _draw(key_gamma, half, shape))))


def generalized_normal(key: Any, p: Any, shape: Any = (), dtype: Any = None) -> Any:
    """Numbers of density proportional to exp(-|x|**p), as `jax.random.generalized_normal`.

    Args:
        key: a key.
        p: positive, broadcast to the shape.
        shape: the shape to draw.
        dtype: a float dtype; the default float if None.

    Raises:
        ArgumentError: not a key, or dtype is not a float.
        ShapeError: p does not broadcast to the shape.

    >>> from fnets import random
    >>> random.generalized_normal(random.key(0), 4.0, (2,)).round(3)
    array([0.879, 0.103], dtype=float32)
    """
    op = "generalized_normal"
    key, shape, dtype = as_key(key, op), common_shape(as_shape(shape, op), op, p), float_dtype(dtype, op)
    return _generalized_normal(key, parameter(p, dtype), shape, dtype)


def _generalized_normal(key: Any, p: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    key_gamma, key_sign = subkeys(key)
    exponent = reciprocal(p)
    return mul(coin_signs(key_sign, shape, dtype), pow(_draw(key_gamma, exponent, shape), exponent))


def ball(key: Any, d: int, p: Any = 2, shape: Any = (), dtype: Any = None) -> Any:
    """Points that are uniform in the unit ball of the p-norm in d dimensions, as `jax.random.ball`.

    Args:
        key: a key.
        d: the dimension.
        p: at least 1; a scalar.
        shape: the batch dimensions to draw.
        dtype: a float dtype; the default float if None.

    Returns:
        An array of shape `(*shape, d)`.

    Raises:
        ArgumentError: not a key, or dtype is not a float.

    Source: Barthe, Guedon, Mendelson and Naor, "A probabilistic approach to the geometry of the l_p^n-ball" (2005).

    >>> from fnets import random
    >>> random.ball(random.key(0), 3).round(3)
    array([0.917, 0.393, 0.012], dtype=float32)
    """
    key, shape, dtype = as_key(key, "ball"), as_shape(shape, "ball"), float_dtype(dtype, "ball")
    p, d = spread(p, dtype, ()), operator_index(d)
    key_point, key_radius = subkeys(key)
    g = _generalized_normal(key_point, p, (*shape, d), dtype)
    total = add(reduce_sum(pow(abs(g), p), (len(shape),)), standard_exponential(key_radius, shape, dtype))
    return div(g, reshape(pow(total, reciprocal(p)), (*shape, 1)))
