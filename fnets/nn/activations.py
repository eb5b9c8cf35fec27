"""Activation functions with the names, signatures and results of `jax.nn`. May import primitives, fnets.numpy, config.

All work elementwise and keep the dtype of a float array; integers become the default float.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import fnets.numpy as fnp
from fnets.config import default_float
from fnets.core.avals import is_float
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ShapeError
from fnets.numpy.arguments import to_array
from fnets.primitives import elementwise as ew
from fnets.primitives.base import arr, as_axis, convert


def as_float(x: Any) -> Any:
    """An array of a float dtype: Python numbers and integer arrays take the default one.

    >>> as_float(2).dtype
    dtype('float32')
    """
    x = to_array(x)
    return x if is_float(dtype_of(x)) else convert(x, default_float())


def _floating(f: Callable) -> Callable:
    """Makes a function's first argument a float array."""

    @functools.wraps(f)
    def wrapped(x: Any, *args: Any, **kwargs: Any) -> Any:
        return f(as_float(x), *args, **kwargs)

    return wrapped


@_floating
def identity(x: Any) -> Any:
    """x itself.

    >>> identity(2.0)
    array(2., dtype=float32)
    """
    return x


# ---------------------------------------------------------------- rectifiers


def relu(x: Any) -> Any:
    """max(x, 0), with slope 0 at 0. Integers stay integers.

    >>> relu(fnp.array([-1.0, 2.0]))
    array([0., 2.], dtype=float32)
    """
    return ew.relu(to_array(x))


@_floating
def relu6(x: Any) -> Any:
    """min(max(x, 0), 6) (Krizhevsky, 2010), with slope 0 at both kinks.

    >>> relu6(fnp.array([-1.0, 2.0, 7.0]))
    array([0., 2., 6.], dtype=float32)
    """
    return ew.clamp(0, x, 6)


@_floating
def leaky_relu(x: Any, negative_slope: Any = 0.01) -> Any:
    """x where it is positive, else `negative_slope * x` (Maas et al., 2013).

    >>> leaky_relu(fnp.array([-1.0, 2.0]))
    array([-0.01,  2.  ], dtype=float32)
    """
    return ew.select(ew.ge(x, 0), x, ew.mul(x, negative_slope))


def prelu(x: Any, negative_slope: Any) -> Any:
    """`leaky_relu` whose slopes are parameters, one for all or one a channel (He et al., 2015).

    Args:
      x: of shape (N, C, ...).
      negative_slope: a scalar, or of shape (C,).

    >>> prelu(fnp.array([[-1.0, -1.0]]), fnp.array([0.5, 0.25]))
    array([[-0.5 , -0.25]], dtype=float32)
    """
    slope = arr(negative_slope)
    if shape_of(slope) and len(shape_of(x)) > 2:
        slope = fnp.reshape(slope, (-1,) + (1,) * (len(shape_of(x)) - 2))
    return leaky_relu(x, slope)


@_floating
def elu(x: Any, alpha: Any = 1.0) -> Any:
    """x where it is positive, else `alpha * (exp(x) - 1)` (Clevert et al., 2015).

    >>> elu(fnp.array([-1.0, 2.0])).round(3)
    array([-0.632,  2.   ], dtype=float32)
    """
    positive = ew.gt(x, 0)
    low = ew.mul(
        ew.expm1(ew.select(positive, 0.0, x)), alpha
    )  # expm1 of a large x would overflow, also in the derivative
    return ew.select(positive, x, low)


@_floating
def celu(x: Any, alpha: Any = 1.0) -> Any:
    """`max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)`, smooth for every alpha (Barron, 2017).

    >>> celu(fnp.array([-1.0, 2.0]), 0.5).round(3)
    array([-0.432,  2.   ], dtype=float32)
    """
    low = ew.mul(ew.expm1(ew.div(ew.minimum(x, 0), alpha)), alpha)
    return ew.add(ew.maximum(x, 0), low)


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def selu(x: Any) -> Any:
    """A scaled `elu` that keeps activations near mean 0 and variance 1 (Klambauer et al., 2017).

    >>> selu(fnp.array([-1.0, 2.0])).round(3)
    array([-1.111,  2.101], dtype=float32)
    """
    return ew.mul(elu(x, _SELU_ALPHA), _SELU_SCALE)


@_floating
def gelu(x: Any, approximate: bool = True) -> Any:
    """x times the normal distribution function at x (Hendrycks and Gimpel, 2016).

    Args:
      x: array.
      approximate: by tanh, as JAX does by default; False uses erf, as PyTorch does by default.

    >>> gelu(fnp.array([-1.0, 2.0])).round(3), gelu(fnp.array([-1.0, 2.0]), approximate=False).round(3)
    (array([-0.159,  1.955], dtype=float32), array([-0.159,  1.954], dtype=float32))
    """
    if approximate:  # (1 + tanh(u)) / 2 is sigmoid(2 u), which keeps its digits for negative u
        slope = ew.add(ew.mul(ew.square(x), 0.044715 * _TWICE_SQRT_2_PI), _TWICE_SQRT_2_PI)
        return ew.mul(x, ew.logistic(ew.mul(x, slope)))
    return ew.mul(ew.mul(x, 0.5), ew.erfc(ew.mul(x, -math.sqrt(0.5))))


_TWICE_SQRT_2_PI = 2 * math.sqrt(2 / math.pi)


@_floating
def silu(x: Any) -> Any:
    """x * sigmoid(x), also called swish (Ramachandran et al., 2017).

    >>> silu(fnp.array([-1.0, 2.0])).round(3)
    array([-0.269,  1.762], dtype=float32)
    """
    return ew.mul(x, ew.logistic(x))


swish = silu


@_floating
def mish(x: Any) -> Any:
    """x * tanh(softplus(x)) (Misra, 2019).

    >>> mish(fnp.array([-1.0, 2.0])).round(3)
    array([-0.303,  1.944], dtype=float32)
    """
    return ew.mul(x, ew.tanh(ew.softplus(x)))


@_floating
def hard_silu(x: Any) -> Any:
    """x * hard_sigmoid(x), also called hard swish (Howard et al., 2019).

    >>> hard_silu(fnp.array([-4.0, 1.0, 4.0])).round(3)
    array([-0.   ,  0.667,  4.   ], dtype=float32)
    """
    return ew.mul(x, hard_sigmoid(x))


hard_swish = hard_silu


@_floating
def squareplus(x: Any, b: Any = 4) -> Any:
    """(x + sqrt(x**2 + b)) / 2, a softplus without transcendental functions (Barron, 2021).

    >>> squareplus(fnp.array([0.0, 1.5]))
    array([1., 2.], dtype=float32)
    """
    return ew.div(ew.add(x, ew.sqrt(ew.add(ew.square(x), b))), 2)


@_floating
def sparse_plus(x: Any) -> Any:
    """0 below -1, x above 1, (x + 1)**2 / 4 between: the softplus that belongs to sparsemax (Blondel et al., 2020).

    >>> sparse_plus(fnp.array([-2.0, 0.0, 2.0]))
    array([0.  , 0.25, 2.  ], dtype=float32)
    """
    middle = ew.mul(ew.square(ew.add(x, 1)), 0.25)
    return ew.select(ew.le(x, -1), ew.fill_like(x, 0), ew.select(ew.ge(x, 1), x, middle))


@_floating
def softplus(x: Any) -> Any:
    """log(1 + exp(x)), without overflow.

    >>> softplus(fnp.array([0.0, 100.0])).round(3)
    array([  0.693, 100.   ], dtype=float32)
    """
    return ew.softplus(x)


@_floating
def soft_sign(x: Any) -> Any:
    """x / (|x| + 1).

    >>> soft_sign(fnp.array([-1.0, 3.0]))
    array([-0.5 ,  0.75], dtype=float32)
    """
    return ew.div(x, ew.add(ew.abs(x), 1))


# ---------------------------------------------------------------- gates


@_floating
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), without overflow.

    >>> sigmoid(fnp.array([-1000.0, 0.0]))
    array([0. , 0.5], dtype=float32)
    """
    return ew.logistic(x)


@_floating
def log_sigmoid(x: Any) -> Any:
    """log(sigmoid(x)) = -softplus(-x), without overflow.

    >>> log_sigmoid(fnp.array([-100.0, 0.0])).round(3)
    array([-100.   ,   -0.693], dtype=float32)
    """
    return ew.neg(ew.softplus(ew.neg(x)))


@_floating
def hard_sigmoid(x: Any) -> Any:
    """relu6(x + 3) / 6, a sigmoid of three lines (Howard et al., 2019).

    >>> hard_sigmoid(fnp.array([-4.0, 0.0, 4.0]))
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return ew.div(relu6(ew.add(x, 3)), 6)


@_floating
def sparse_sigmoid(x: Any) -> Any:
    """A sigmoid of three lines between -1 and 1, the derivative of `sparse_plus`.

    >>> sparse_sigmoid(fnp.array([-2.0, 0.0, 2.0]))
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return ew.mul(fnp.clip(ew.add(x, 1), 0, 2), 0.5)


@_floating
def tanh(x: Any) -> Any:
    """The hyperbolic tangent.

    >>> tanh(fnp.array([0.0, 100.0]))
    array([0., 1.], dtype=float32)
    """
    return ew.tanh(x)


@_floating
def hard_tanh(x: Any) -> Any:
    """x limited to [-1, 1], with slope 1 at both ends.

    >>> hard_tanh(fnp.array([-2.0, 0.5]))
    array([-1. ,  0.5], dtype=float32)
    """
    return ew.select(ew.gt(x, 1), ew.fill_like(x, 1), ew.select(ew.lt(x, -1), ew.fill_like(x, -1), x))


def glu(x: Any, axis: int = -1) -> Any:
    """The first half along an axis times the sigmoid of the second (Dauphin et al., 2017).

    Raises:
      ShapeError: the axis has an odd length.

    >>> glu(fnp.array([2.0, 0.0]))
    array([1.], dtype=float32)
    """
    x = as_float(x)
    shape = shape_of(x)
    n = shape[as_axis(axis, len(shape), "glu")]
    if n % 2:
        raise ShapeError(
            f"[glu] expected an even length along axis {axis}, got {n} in shape {shape}. Its halves are value and gate."
        )
    value, gate = fnp.split(x, 2, axis)
    return ew.mul(value, ew.logistic(gate))


# ---------------------------------------------------------------- shrinkage (PyTorch's names)


@_floating
def tanh_shrink(x: Any) -> Any:
    """x - tanh(x).

    >>> tanh_shrink(fnp.array([0.0, 2.0])).round(3)
    array([0.   , 1.036], dtype=float32)
    """
    return ew.sub(x, ew.tanh(x))


@_floating
def soft_shrink(x: Any, lambd: Any = 0.5) -> Any:
    """x moved towards zero by `lambd`, zero where it would cross.

    >>> soft_shrink(fnp.array([-2.0, 0.25, 1.0]))
    array([-1.5,  0. ,  0.5], dtype=float32)
    """
    return ew.sub(x, fnp.clip(x, -lambd, lambd))


@_floating
def hard_shrink(x: Any, lambd: Any = 0.5) -> Any:
    """x, but zero within `lambd` of zero.

    >>> hard_shrink(fnp.array([-2.0, 0.25, 1.0]))
    array([-2.,  0.,  1.], dtype=float32)
    """
    return ew.select(ew.gt(ew.abs(x), lambd), x, ew.fill_like(x, 0))


@_floating
def log1mexp(x: Any) -> Any:
    """log(1 - exp(-x)) for x > 0, accurate near 0 and far from it (Mächler, 2012).

    >>> log1mexp(fnp.array([1e-6, 50.0])).round(3)
    array([-13.816,  -0.   ], dtype=float32)
    """
    small = ew.lt(x, math.log(2))
    near = ew.log(ew.neg(ew.expm1(ew.neg(ew.select(small, x, 1.0)))))
    far = ew.log1p(ew.neg(ew.exp(ew.neg(ew.select(small, 1.0, x)))))
    return ew.select(small, near, far)
