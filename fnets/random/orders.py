"""Permutations, and choices among the entries of an array. May import arguments, basic, continuous, primitives."""

from __future__ import annotations

import math
from operator import index as operator_index
from typing import Any

import numpy as np

from fnets.config import default_float
from fnets.core.trace import Tracer, dtype_of, shape_of
from fnets.errors import ArgumentError, ConcretizationTypeError, ShapeError
from fnets.primitives.base import arr, as_axis, convert, reshape
from fnets.primitives.cumulative import cumsum
from fnets.primitives.elementwise import add, log, mul, sub
from fnets.primitives.gather import gather_p, take_along
from fnets.primitives.indexing import getitem_spec
from fnets.primitives.random_samplers import random_order_p
from fnets.primitives.reduce import argmax
from fnets.primitives.shape import moveaxis, stop_gradient
from fnets.primitives.sort import searchsorted, top_k_indices_p
from fnets.random.arguments import as_key, as_shape, drawn_shape, inexact
from fnets.random.basic import integers, scaled_uniform
from fnets.random.continuous import gumbel_mode, standard_gumbel


def permutation(key: Any, x: Any, axis: int = 0, independent: bool = False) -> Any:
    """The slices of an array along an axis in random order, or a random order of range(x); equal to `jax.random.permutation`.

    Args:
        key: a key.
        x: an array, or an integer n for a permutation of 0 .. n - 1 (int64).
        axis: the axis along which to permute.
        independent: permute every vector along the axis in an order of its own.

    Raises:
        ArgumentError: x is a scalar and not an integer.
        AxisError: there is no such axis.

    >>> from fnets import random
    >>> random.permutation(random.key(0), 5)
    array([0, 1, 4, 3, 2])
    """
    key = as_key(key, "permutation")
    x = arr(x)
    shape = shape_of(x)
    if not shape:
        n = _length(x, "permutation", "x")
        return random_order_p.bind(key, shape=(n,), axis=as_axis(axis, 1, "random.permutation"))
    axis = as_axis(axis, len(shape), "random.permutation")
    if independent:
        return take_along(x, random_order_p.bind(key, shape=shape, axis=axis), axis, unique=True)
    return _take(x, random_order_p.bind(key, shape=(shape[axis],), axis=0), axis, unique=True)


def _length(x: Any, op: str, name: str) -> int:
    if dtype_of(x).kind not in "iu":
        raise ArgumentError(
            f"[random.{op}] expected {name} to be an integer or an array with axes, got a scalar of dtype {dtype_of(x).name}."
        )
    if isinstance(x, Tracer):
        fix = f"The number {name} decides the result's shape: make it static with static_argnums."
        x = x._value_for(ConcretizationTypeError, f"random.{op}", fix)
    n = operator_index(x)
    if n < 0:
        raise ArgumentError(f"[random.{op}] expected {name} to be a non-negative integer, got {n}.")
    return n


def _take(x: Any, indices: Any, axis: int, unique: bool = False) -> Any:
    return gather_p.bind(x, indices, axes=(axis,), unique=unique)


def choice(
    key: Any,
    a: Any,
    shape: Any = (),
    replace: bool = True,
    p: Any = None,
    axis: int = 0,
    mode: str | None = None,
) -> Any:
    """Slices of an array, or integers below a, chosen at random; equal to `jax.random.choice`.

    Args:
        key: a key.
        a: an array, or an integer n for a choice among 0 .. n - 1 (int64).
        shape: how many to choose.
        replace: whether one may be chosen again.
        p: the probabilities, a vector as long as the axis; uniform by default. Need not sum to 1.
        axis: the axis along which to choose.
        mode: of the Gumbel draw that chooses with p and without replacement; see `gumbel`.

    Returns:
        An array in whose shape `shape` stands in place of the axis; differentiable in `a`.

    Raises:
        ArgumentError: not a key, `a` is not usable, or more are asked for than there are.
        ShapeError: p has another length.

    >>> from fnets import random
    >>> random.choice(random.key(0), 10, (3,))
    array([9, 0, 2])
    """
    key, shape, a = as_key(key, "choice"), as_shape(shape, "choice"), arr(a)
    own = shape_of(a)
    axis = as_axis(axis, len(own), "random.choice") if own else 0
    n = own[axis] if own else _length(a, "choice", "a")
    draws = math.prod(shape)
    if draws and not n:
        raise ArgumentError("[random.choice] expected something to choose from, got an empty array or a = 0.")
    if not replace and draws > n:
        raise ArgumentError(
            f"[random.choice] expected at most {n} draws without replacement, got shape {shape}, which is {draws}. Use replace=True."
        )
    if p is None:
        # JAX's default integers have 32 bits where its default float has
        width = np.dtype("int32" if default_float().itemsize <= 4 else "int64")
        indices = (
            integers(key, shape, 0, n, width)
            if replace
            else getitem_spec(random_order_p.bind(key, shape=(n,), axis=0), ((0, draws, 1),))
        )
    else:
        indices = _weighted(key, n, shape, replace, p, gumbel_mode(mode, "choice"))
    indices = convert(reshape(indices, shape), np.int64)
    return _take(a, indices, axis, unique=not replace) if own else indices


def _weighted(key: Any, n: int, shape: tuple[int, ...], replace: bool, p: Any, mode: str) -> Any:
    p = stop_gradient(inexact(p))
    dtype = dtype_of(p)
    if shape_of(p) != (n,):
        raise ShapeError(
            f"[random.choice] expected p of shape ({n},), one probability for each choice, got {shape_of(p)}."
        )
    if replace:
        total = cumsum(p)
        r = mul(getitem_spec(total, (n - 1,)), sub(dtype.type(1), scaled_uniform(key, shape, dtype)))
        return searchsorted(total, r)
    scores = add(standard_gumbel(key, (n,), dtype, mode), log(p))
    return top_k_indices_p.bind(scores, k=math.prod(shape))


def categorical(
    key: Any, logits: Any, axis: int = -1, shape: Any = None, replace: bool = True, mode: str | None = None
) -> Any:
    """Indices i of probability proportional to exp(logits[i]), equal to `jax.random.categorical`.

    Args:
        key: a key.
        logits: unnormalised logarithms of probabilities.
        axis: the axis of the categories.
        shape: the shape to draw, which ends in that of logits without the axis; by default the latter.
        replace: False draws the leading dimensions of the shape without replacement.
        mode: of the Gumbel draw behind; see `gumbel`.

    Returns:
        int64 indices.

    Raises:
        ArgumentError: not a key, or more draws without replacement than categories.
        ShapeError: the shape does not end in that of logits without the axis.

    >>> import numpy as np
    >>> from fnets import random
    >>> random.categorical(random.key(0), np.log(np.array([0.1, 0.2, 0.7])), shape=(4,))
    array([2, 2, 2, 1])
    """
    key, logits, mode = as_key(key, "categorical"), stop_gradient(inexact(logits)), gumbel_mode(mode, "categorical")
    own, dtype = shape_of(logits), dtype_of(logits)
    axis = as_axis(axis, len(own), "random.categorical")
    batch = own[:axis] + own[axis + 1 :]
    shape = drawn_shape(shape, "categorical", batch)
    lead, tail = shape[: len(shape) - len(batch)], shape[len(shape) - len(batch) :]
    if replace:
        full = (*tail[:axis], own[axis], *tail[axis:])
        return argmax(add(standard_gumbel(key, (*lead, *full), dtype, mode), logits), axis + len(lead))
    k = math.prod(lead)
    if k > own[axis]:
        raise ArgumentError(
            f"[random.categorical] expected at most {own[axis]} draws without replacement, the number of categories, got {k}. Use replace=True."
        )
    scores = moveaxis(add(logits, standard_gumbel(key, own, dtype, mode)), axis, -1)
    return reshape(moveaxis(top_k_indices_p.bind(scores, k=k), -1, 0), shape)
