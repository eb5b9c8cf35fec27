"""Layers as functions of their parameters: linear, embedding, normalisation, dropout, flatten. May import random, fnets.numpy, primitives.

Parameters are dicts of arrays: "w" and, unless left out, "b"; "scale" and "bias" for normalisation.
"""

from __future__ import annotations

import math
from typing import Any

import fnets.numpy as fnp
from fnets import random
from fnets.core.trace import shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.nn.activations import as_float
from fnets.nn.rows import standardize
from fnets.numpy.arguments import to_array
from fnets.primitives import elementwise as ew
from fnets.primitives.linear_algebra import matmul

Params = dict[str, Any]
Axis = int | tuple[int, ...]


def linear(params: Params, x: Any) -> Any:
    """`x @ w + b`.

    Args:
      params: "w" (in, out), and "b" (out,) if there is one.
      x: (..., in).

    Returns:
      (..., out).

    >>> linear({"w": fnp.ones((2, 3)), "b": fnp.zeros(3)}, fnp.ones((1, 2)))
    array([[2., 2., 2.]], dtype=float32)
    """
    y = matmul(as_float(x), params["w"])
    b = params.get("b")
    return y if b is None else ew.add(y, b)


def embedding(params: Params, indices: Any) -> Any:
    """The rows of a table at indices.

    Args:
      params: "w" (rows, features).
      indices: integer array (...).

    Returns:
      (..., features).

    Raises:
      IndexError: an index outside the table (unless it is traced under jit).

    >>> embedding({"w": fnp.array([[1.0, 2.0], [3.0, 4.0]])}, fnp.array([1, 0]))
    array([[3., 4.],
           [1., 2.]], dtype=float32)
    """
    return fnp.take(params["w"], to_array(indices), axis=0)


def flatten(x: Any) -> Any:
    """(N, ...) as (N, rest), in C order.

    >>> flatten(fnp.ones((2, 3, 4))).shape
    (2, 12)
    """
    shape = shape_of(to_array(x))
    if not shape:
        raise ShapeError("[flatten] expected an array with a batch axis, got a scalar. Add one with x[None].")
    return fnp.reshape(x, (shape[0], math.prod(shape[1:])))


def dropout(key: Any, x: Any, rate: float, train: bool = True) -> Any:
    """Zeroes elements with probability `rate` and divides the others by 1 - rate (Srivastava et al., 2014).

    Args:
      key: a random key; not used (and may be None) when nothing is dropped.
      x: float array.
      rate: probability of dropping an element, from 0 up to 1.
      train: False lets x through.

    Raises:
      ArgumentError: another rate; no key.

    >>> dropout(random.key(0), fnp.ones(4), 0.0).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    if not 0 <= rate <= 1:
        raise ArgumentError(
            f"[dropout] expected a rate between 0 and 1, got {rate}. It is the probability of dropping."
        )
    if not train or rate == 0:
        return x
    if key is None:
        raise ArgumentError("[dropout] expected a random key when training, got None. Pass key=, or train=False.")
    x = as_float(x)
    if rate == 1:
        return fnp.zeros_like(x)
    kept = random.bernoulli(key, 1 - rate, shape_of(x))
    return ew.mul(ew.mul(x, 1 / (1 - rate)), kept)


# ---------------------------------------------------------------- normalisation


def _affine(params: Params | None, x: Any, shape: tuple[int, ...] | None = None) -> Any:
    """x * scale + bias, those of the two that the parameters hold."""
    for name, operation in (("scale", ew.mul), ("bias", ew.add)):
        p = None if params is None else params.get(name)
        if p is not None:
            x = operation(x, p if shape is None else fnp.reshape(p, shape))
    return x


def layer_norm(params: Params | None, x: Any, axis: Axis = -1, eps: float = 1e-5) -> Any:
    """Each example standardised over its features, then scaled and shifted (Ba et al., 2016).

    Args:
      params: "scale" and "bias", to broadcast against x; either may be missing.
      x: float array.
      axis: axes of the features.
      eps: added to the variance.

    >>> layer_norm(None, fnp.array([[1.0, 3.0]])).round(3)
    array([[-1.,  1.]], dtype=float32)
    """
    return _affine(params, standardize(x, axis, epsilon=eps))


def rms_norm(params: Params | None, x: Any, axis: Axis = -1, eps: float = 1e-6) -> Any:
    """Each example divided by the root mean square of its features, then scaled (Zhang and Sennrich, 2019).

    Args:
      params: "scale", to broadcast against x.
      x: float array.
      axis: axes of the features.
      eps: added to the mean square.

    >>> rms_norm(None, fnp.array([[3.0, 3.0]])).round(3)
    array([[1., 1.]], dtype=float32)
    """
    x = as_float(x)
    square = fnp.mean(ew.square(x), axis=axis, keepdims=True)
    return _affine(params, ew.mul(x, ew.rsqrt(ew.add(square, eps))))


def _channels(op: str, x: Any) -> tuple[int, ...]:
    """The shape in which a vector with an entry a channel broadcasts against x."""
    shape = shape_of(x)
    if len(shape) < 2:
        raise ShapeError(f"[{op}] expected x of shape (N, C, ...), got {shape}. Add an axis with x[None].")
    return (1, shape[1], *(1,) * (len(shape) - 2))


def group_norm(params: Params | None, x: Any, groups: int, eps: float = 1e-5) -> Any:
    """Groups of channels standardised, then each channel scaled and shifted (Wu and He, 2018).

    Args:
      params: "scale" and "bias" (C,); either may be missing.
      x: (N, C, ...).
      groups: number of groups; C is layer normalisation of each channel ("instance normalisation"), 1 of all.
      eps: added to the variance.

    Raises:
      ShapeError: `groups` doesn't divide C.

    >>> group_norm(None, fnp.array([[1.0, 3.0, 10.0, 30.0]]), groups=2).round(2)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """
    x = as_float(x)
    channels = _channels("group_norm", x)
    shape = shape_of(x)
    if shape[1] % groups:
        raise ShapeError(
            f"[group_norm] expected a number of groups that divides the {shape[1]} channels of x, got {groups}."
        )
    split = fnp.reshape(x, (shape[0], groups, -1))
    return _affine(params, fnp.reshape(standardize(split, -1, epsilon=eps), shape), channels)


def batch_norm(
    params: Params | None, state: Params | None, x: Any, train: bool, momentum: float = 0.9, eps: float = 1e-5
) -> tuple[Any, Params | None]:
    """Each channel standardised over the batch, then scaled and shifted (Ioffe and Szegedy, 2015).

    Args:
      params: "scale" and "bias" (C,); either may be missing.
      state: the running "mean" and "var" (C,); None if no evaluation follows.
      x: (N, C, ...).
      train: True uses the batch's statistics and moves the running ones, False uses the running ones.
      momentum: how much of the running statistics stays at each step (PyTorch's momentum is one minus this).
      eps: added to the variance.

    Returns:
      (y, new state).

    Raises:
      ArgumentError: no state when not training.

    >>> state = {"mean": fnp.zeros(1), "var": fnp.ones(1)}
    >>> y, state = batch_norm(None, state, fnp.array([[1.0], [3.0]]), train=True)
    >>> y.round(2).tolist(), state["mean"].round(2).tolist()
    ([[-1.0], [1.0]], [0.20000000298023224])
    """
    x = as_float(x)
    channels = _channels("batch_norm", x)
    if not train:
        if state is None:
            raise ArgumentError(
                "[batch_norm] expected the running statistics as state when not training, got None. Pass state=."
            )
        mean, var = (fnp.reshape(state[name], channels) for name in ("mean", "var"))
        return _affine(params, ew.mul(ew.sub(x, mean), ew.rsqrt(ew.add(var, eps))), channels), state
    axes = tuple(i for i in range(len(shape_of(x))) if i != 1)
    mean = fnp.mean(x, axis=axes, keepdims=True)
    centred = ew.sub(x, mean)
    var = fnp.mean(ew.square(centred), axis=axes, keepdims=True)
    y = _affine(params, ew.mul(centred, ew.rsqrt(ew.add(var, eps))), channels)
    if state is None:
        return y, None

    def moved(old: Any, new: Any) -> Any:
        return ew.add(ew.mul(old, momentum), ew.mul(fnp.reshape(new, shape_of(old)), 1 - momentum))

    return y, {"mean": moved(state["mean"], mean), "var": moved(state["var"], var)}
