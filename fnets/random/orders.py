"""Permutations. May import arguments, primitives."""

from __future__ import annotations

from typing import Any

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import DTypeError
from fnets.primitives.base import arr, as_axis
from fnets.primitives.gather import gather_p, take_along
from fnets.primitives.random_samplers import random_order_p
from fnets.random.arguments import as_key


def permutation(key: Any, x: Any, axis: int = 0, independent: bool = False) -> Any:
    """The slices of an array along an axis in random order, or a random order of range(x); equal to `jax.random.permutation`.

    Args:
        key: a key.
        x: an array, or an integer n for a permutation of 0 .. n - 1 (int64).
        axis: the axis along which to permute.
        independent: permute every vector along the axis in an order of its own.

    Raises:
        DTypeError: x is a scalar and not an integer.
        AxisError: there is no such axis.

    >>> from fnets import random
    >>> random.permutation(random.key(0), 5)
    array([0, 1, 4, 3, 2])
    """
    key = as_key(key, "permutation")
    x = arr(x)
    shape = shape_of(x)
    if not shape:
        if dtype_of(x).kind not in "iu":
            raise DTypeError(
                f"[random.permutation] expected an integer or an array with axes, got a scalar of dtype {dtype_of(x).name}."
            )
        return random_order_p.bind(key, shape=(int(x),), axis=as_axis(axis, 1, "random.permutation"))
    axis = as_axis(axis, len(shape), "random.permutation")
    if independent:
        return take_along(x, random_order_p.bind(key, shape=shape, axis=axis), axis, unique=True)
    order = random_order_p.bind(key, shape=(shape[axis],), axis=0)
    return gather_p.bind(x, order, axes=(axis,), unique=True)
