"""Initial values of parameters: functions `init(key, shape, dtype=None)` with the names and values of `jax.nn.initializers`.

May import fnets.random, fnets.numpy, config, errors. A fan counts what flows in (or out) of one unit: `in_axis` (or `out_axis`) times all axes that
are neither of them nor `batch_axis`. By default weights are (..., in, out); for convolution filters (out, in, ...) pass `in_axis=1, out_axis=0`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

import fnets.numpy as fnp
from fnets import random
from fnets.config import default_float
from fnets.errors import ArgumentError, ShapeError
from fnets.primitives import elementwise as ew
from fnets.primitives.base import as_shape
from fnets.primitives.shape import moveaxis

Axes = int | Sequence[int]
Shape = Sequence[int]


@runtime_checkable
class Initializer(Protocol):
    """A function `init(key, shape, dtype=None)` that returns an array of that shape and dtype.

    >>> isinstance(zeros, Initializer)
    True
    """

    def __call__(self, key: Any, shape: Shape, dtype: Any = None) -> Any: ...


def _dtype(dtype: Any, default: Any = None) -> np.dtype:
    chosen = default if dtype is None else dtype
    return default_float() if chosen is None else np.dtype(chosen)


def _scaled(x: Any, factor: float, dtype: np.dtype) -> Any:
    return ew.mul(x, dtype.type(factor))


def zeros(key: Any, shape: Shape, dtype: Any = None) -> Any:
    """Zeros.

    >>> zeros(None, (2,))
    array([0., 0.], dtype=float32)
    """
    return fnp.zeros(shape, _dtype(dtype))


def ones(key: Any, shape: Shape, dtype: Any = None) -> Any:
    """Ones.

    >>> ones(None, (2,))
    array([1., 1.], dtype=float32)
    """
    return fnp.ones(shape, _dtype(dtype))


def constant(value: Any, dtype: Any = None) -> Initializer:
    """One value everywhere, or an array that broadcasts to the shape.

    >>> constant(0.5)(None, (2,))
    array([0.5, 0.5], dtype=float32)
    """
    default = dtype

    def init(key: Any, shape: Shape, dtype: Any = None) -> Any:
        return fnp.full(as_shape(shape), value, _dtype(dtype, default))

    return init


def uniform(scale: Any = 1e-2, dtype: Any = None) -> Initializer:
    """Uniform numbers between 0 and `scale`.

    >>> bool((uniform(2.0)(random.key(0), (3,)) < 2).all())
    True
    """
    default = dtype

    def init(key: Any, shape: Shape, dtype: Any = None) -> Any:
        d = _dtype(dtype, default)
        return _scaled(random.uniform(key, shape, d), scale, d)

    return init


def normal(stddev: Any = 1e-2, dtype: Any = None) -> Initializer:
    """Normal numbers of mean 0.

    >>> normal(0.5)(random.key(0), (3,)).dtype
    dtype('float32')
    """
    default = dtype

    def init(key: Any, shape: Shape, dtype: Any = None) -> Any:
        d = _dtype(dtype, default)
        return _scaled(random.normal(key, shape, d), stddev, d)

    return init


def truncated_normal(stddev: Any = 1e-2, dtype: Any = None, lower: Any = -2.0, upper: Any = 2.0) -> Initializer:
    """Normal numbers between `lower * stddev` and `upper * stddev`; `stddev` is that before truncation.

    >>> bool((abs(truncated_normal(0.5)(random.key(0), (3,))) <= 1).all())
    True
    """
    default = dtype

    def init(key: Any, shape: Shape, dtype: Any = None) -> Any:
        d = _dtype(dtype, default)
        return _scaled(random.truncated_normal(key, lower, upper, shape, d), stddev, d)

    return init


# ---------------------------------------------------------------- scaled by the number of connections


def _length(shape: Shape, axes: Axes) -> int:
    return shape[axes] if isinstance(axes, int) else math.prod(shape[a] for a in axes)


def compute_fans(shape: Shape, in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = ()) -> tuple[float, float]:
    """How many inputs reach a unit, and how many units an input reaches.

    Args:
      shape: of the weights.
      in_axis, out_axis, batch_axis: axes of the inputs, of the outputs, and of independent copies.

    Raises:
      ShapeError: fewer than two axes, and no `in_axis`.

    >>> compute_fans((3, 3, 2, 4))
    (18.0, 36.0)
    """
    if len(shape) <= 1 and in_axis == -2:
        raise ShapeError(
            f"[initializers] expected a shape of at least two axes, (..., in, out), got {tuple(shape)}. Use nn.initializers.zeros, or pass in_axis."
        )
    n_in, n_out = _length(shape, in_axis), _length(shape, out_axis)
    field = math.prod(shape) / n_in / n_out / _length(shape, batch_axis)
    return n_in * field, n_out * field


_MODES = {
    "fan_in": lambda n_in, n_out: n_in,
    "fan_out": lambda n_in, n_out: n_out,
    "fan_avg": lambda n_in, n_out: (n_in + n_out) / 2,
    "fan_geo_avg": lambda n_in, n_out: (n_in * n_out) ** 0.5,
}
_TRUNCATED_STDDEV = 0.87962566103423978  # standard deviation of a normal number cut off at 2
_TRUNCATED_COMPLEX = 0.95311164380491208  # and of a complex one


def variance_scaling(
    scale: Any,
    mode: str,
    distribution: str,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: Any = None,
) -> Initializer:
    """Random numbers of mean 0 and variance `scale / fan`.

    Args:
      scale: a factor of the variance.
      mode: "fan_in", "fan_out", "fan_avg" (their mean) or "fan_geo_avg" (their geometric mean).
      distribution: "normal", "truncated_normal" (at two standard deviations) or "uniform".
      in_axis, out_axis, batch_axis: as in `compute_fans`.
      dtype: of the result; by default the default float.

    Raises:
      ArgumentError: another mode or distribution.
      ShapeError: as `compute_fans`.

    >>> variance_scaling(1.0, "fan_in", "normal")(random.key(0), (3, 2)).shape
    (3, 2)
    """
    if mode not in _MODES:
        raise ArgumentError(f"[variance_scaling] expected mode to be one of {list(_MODES)}, got {mode!r}.")
    if distribution not in ("normal", "truncated_normal", "uniform"):
        raise ArgumentError(
            f"[variance_scaling] expected distribution 'normal', 'truncated_normal' or 'uniform', got {distribution!r}."
        )
    default = dtype

    def init(key: Any, shape: Shape, dtype: Any = None) -> Any:
        d = _dtype(dtype, default)
        shape = as_shape(shape)
        variance = scale / _MODES[mode](*compute_fans(shape, in_axis, out_axis, batch_axis))
        # rounded where JAX rounds, so that the numbers are the same to the last bit
        half = np.sqrt(d.type(variance).real)
        if distribution == "normal":
            return ew.mul(random.normal(key, shape, d), half)
        if d.kind == "c":
            draw = _complex_uniform if distribution == "uniform" else _complex_truncated_normal
            return ew.mul(draw(key, shape, d), half)
        if distribution == "uniform":
            return ew.mul(random.uniform(key, shape, d, -1), np.sqrt(d.type(3) * d.type(variance)))
        return ew.mul(random.truncated_normal(key, -2, 2, shape, d), half / d.type(_TRUNCATED_STDDEV))

    return init


def _on_circles(key: Any, radius: Any, shape: Shape, dtype: np.dtype) -> Any:
    """Complex numbers of given sizes and uniform angles."""
    angle = ew.mul(random.uniform(key, shape, dtype), 2 * math.pi)
    return ew.complex_(ew.mul(radius, ew.cos(angle)), ew.mul(radius, ew.sin(angle)))


def _complex_uniform(key: Any, shape: Shape, dtype: np.dtype) -> Any:
    """Uniform in a disc, of variance 1."""
    real = np.zeros((), dtype).real.dtype
    keys = random.split(key)
    radius = ew.sqrt(ew.mul(random.uniform(keys[0], shape, real), 2))
    return _on_circles(keys[1], radius, shape, real)


def _complex_truncated_normal(key: Any, shape: Shape, dtype: np.dtype) -> Any:
    """Complex normal numbers cut off at size 2, scaled to variance 1."""
    real = np.zeros((), dtype).real.dtype
    keys = random.split(key)
    t = ew.mul(random.uniform(keys[0], shape, real), 1 - math.exp(-4.0))
    radius = ew.div(ew.sqrt(ew.neg(ew.log1p(ew.neg(t)))), _TRUNCATED_COMPLEX)
    return _on_circles(keys[1], radius, shape, real)


def glorot_uniform(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None) -> Initializer:
    """Uniform, of variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010).

    Args:
      in_axis, out_axis, batch_axis, dtype: as in `variance_scaling`.

    >>> glorot_uniform()(random.key(0), (3, 2)).dtype
    dtype('float32')
    """
    return variance_scaling(1.0, "fan_avg", "uniform", in_axis, out_axis, batch_axis, dtype)


def glorot_normal(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None) -> Initializer:
    """Truncated normal, of variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010).

    Args:
      in_axis, out_axis, batch_axis, dtype: as in `variance_scaling`.

    >>> glorot_normal()(random.key(0), (3, 2)).dtype
    dtype('float32')
    """
    return variance_scaling(1.0, "fan_avg", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


def lecun_uniform(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None) -> Initializer:
    """Uniform, of variance 1 / fan_in (LeCun et al., 1998).

    Args:
      in_axis, out_axis, batch_axis, dtype: as in `variance_scaling`.

    >>> lecun_uniform()(random.key(0), (3, 2)).dtype
    dtype('float32')
    """
    return variance_scaling(1.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype)


def lecun_normal(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None) -> Initializer:
    """Truncated normal, of variance 1 / fan_in (LeCun et al., 1998).

    Args:
      in_axis, out_axis, batch_axis, dtype: as in `variance_scaling`.

    >>> lecun_normal()(random.key(0), (3, 2)).dtype
    dtype('float32')
    """
    return variance_scaling(1.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


def he_uniform(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None) -> Initializer:
    """Uniform, of variance 2 / fan_in, for rectifiers (He et al., 2015).

    Args:
      in_axis, out_axis, batch_axis, dtype: as in `variance_scaling`.

    >>> he_uniform()(random.key(0), (3, 2)).dtype
    dtype('float32')
    """
    return variance_scaling(2.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype)


def he_normal(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None) -> Initializer:
    """Truncated normal, of variance 2 / fan_in, for rectifiers (He et al., 2015).

    Args:
      in_axis, out_axis, batch_axis, dtype: as in `variance_scaling`.

    >>> he_normal()(random.key(0), (3, 2)).dtype
    dtype('float32')
    """
    return variance_scaling(2.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


xavier_uniform, xavier_normal = glorot_uniform, glorot_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal


def torch_uniform(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None) -> Initializer:
    """Uniform between -1/sqrt(fan_in) and 1/sqrt(fan_in): what PyTorch's Linear and Conv start from.

    Args:
      in_axis, out_axis, batch_axis, dtype: as in `variance_scaling`.

    >>> bool((abs(torch_uniform()(random.key(0), (4, 2))) <= 0.5).all())
    True
    """
    return variance_scaling(1 / 3, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype)


# ---------------------------------------------------------------- orthogonal


def orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """Matrices with orthonormal rows or columns, whichever are fewer (Saxe et al., 2014).

    Args:
      scale: a factor.
      column_axis: the axis of the columns; all others together are the rows.
      dtype: of the result; by default the default float.

    Raises:
      ShapeError: fewer than two axes.

    >>> q = orthogonal()(random.key(0), (4, 2))
    >>> bool(np.allclose(q.T @ q, np.eye(2), atol=1e-6))
    True
    """
    default = dtype

    def init(key: Any, shape: Shape, dtype: Any = None) -> Any:
        d = _dtype(dtype, default)
        shape = as_shape(shape)
        if len(shape) < 2:
            raise ShapeError(
                f"[orthogonal] expected a shape of at least two axes, got {shape}. Use normal() for vectors."
            )
        if 0 in shape:
            return fnp.zeros(shape, d)
        axis = column_axis % len(shape)
        columns, rest = shape[axis], shape[:axis] + shape[axis + 1 :]
        q = random.orthogonal(key, math.prod(rest), (), d, columns)
        return _scaled(moveaxis(fnp.reshape(q, (*rest, columns)), -1, axis), scale, d)

    return init


def delta_orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """Filters that are zero except for an orthogonal matrix at their centre (Xiao et al., 2018).

    Args:
      scale, column_axis, dtype: as in `orthogonal`; the shape is (*window, in, out).

    Raises:
      ShapeError: not three to five axes, or more inputs than outputs.

    >>> delta_orthogonal()(random.key(0), (3, 2, 2))[0]
    array([[0., 0.],
           [0., 0.]], dtype=float32)
    """
    default = dtype

    def init(key: Any, shape: Shape, dtype: Any = None) -> Any:
        d = _dtype(dtype, default)
        shape = as_shape(shape)
        if len(shape) not in (3, 4, 5):
            raise ShapeError(
                f"[delta_orthogonal] expected a shape of three to five axes, (*window, in, out), got {shape}."
            )
        if shape[-1] < shape[-2]:
            raise ShapeError(
                f"[delta_orthogonal] expected at least as many outputs as inputs, got {shape}. Use orthogonal."
            )
        matrix = orthogonal(scale, column_axis)(key, shape[-2:], d)
        window = shape[:-2]
        at_centre = np.zeros((*window, 1, 1), bool)
        at_centre[tuple([(n - 1) // 2 for n in window])] = True
        return ew.select(at_centre, matrix, np.zeros((), d))

    return init


__all__ = [
    "Initializer",
    "compute_fans",
    "constant",
    "delta_orthogonal",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "torch_uniform",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]
