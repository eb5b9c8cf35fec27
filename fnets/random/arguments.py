"""What every function of `fnets.random` does with its arguments: keys, shapes and dtypes checked, with one clear error each. May import primitives, core."""

from __future__ import annotations

from operator import index as operator_index
from typing import Any

import numpy as np

from fnets.config import default_float
from fnets.core.avals import is_float
from fnets.core.trace import Tracer, dtype_of, shape_of, typeof
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.primitives.base import arr, broadcast_to, convert
from fnets.primitives.elementwise import broadcast_shapes
from fnets.primitives.indexing import getitem_spec
from fnets.primitives.random import random_split

_UINT32 = np.dtype("uint32")


def as_key(key: Any, op: str) -> Any:
    """A key that was checked: a uint32 array of shape (2,), or (4,) for the fast generator."""
    if not isinstance(key, (np.ndarray, Tracer)):
        raise ArgumentError(
            f"[random.{op}] expected a key as first argument, got {type(key).__name__}. Make one with fnets.random.key(seed)."
        )
    if key.dtype != _UINT32 or key.shape[-1:] != (2,):
        raise ArgumentError(
            f"[random.{op}] expected a key, a uint32 array of shape (2,), got {typeof(key).str_short(short_dtypes=False)}. "
            "Make one with fnets.random.key(seed)."
        )
    if len(key.shape) != 1:
        raise ShapeError(
            f"[random.{op}] expected one key, got a batch of keys of shape {key.shape}. Use fnets.vmap over the keys, or pick one: keys[0]."
        )
    return key


def rows(x: Any, count: int) -> list:
    """The first `count` entries of an array along its leading axis."""
    return list(x) if type(x) is np.ndarray else [getitem_spec(x, (i,)) for i in range(count)]


def subkeys(key: Any, count: int = 2) -> list:
    """New keys from a checked key."""
    return rows(random_split(key, (count,)), count)


def as_shape(shape: Any, op: str) -> tuple[int, ...]:
    """A `shape=` argument as a tuple of non-negative ints; a single int is one axis."""
    try:
        out = (
            (operator_index(shape),)
            if not isinstance(shape, (tuple, list))
            else tuple([operator_index(n) for n in shape])
        )
    except TypeError as error:
        if isinstance(error, ArgumentError) or type(error) is not TypeError:
            raise
        raise ArgumentError(
            f"[random.{op}] expected a shape, a tuple of ints, got {shape!r}. Write shape=(3, 4)."
        ) from None
    if min(out, default=0) < 0:
        raise ShapeError(f"[random.{op}] expected a shape of non-negative sizes, got {out}.")
    return out


def common_shape(shape: Any, op: str, *operands: Any) -> tuple[int, ...]:
    """The shape to draw: `shape`, which the operands must broadcast to, or if it is None the operands' common shape."""
    shapes = [shape_of(x) for x in operands]
    if shape is None:
        return broadcast_shapes(f"random.{op}", *shapes) if shapes else ()
    shape = as_shape(shape, op)
    if any([s not in ((), shape) for s in shapes]) and broadcast_shapes(f"random.{op}", shape, *shapes) != shape:
        told = " and ".join(str(s) for s in shapes)
        raise ShapeError(
            f"[random.{op}] expected parameters that broadcast to shape {shape}, got {told}. Enlarge shape=, or leave it out."
        )
    return shape


def _as_dtype(dtype: Any, op: str, kinds: str, told: str, default: np.dtype) -> np.dtype:
    if dtype is None:
        return default
    try:
        out = np.dtype(dtype)
    except TypeError:
        raise DTypeError(f"[random.{op}] expected {told} dtype, got {dtype!r}.") from None
    if out.kind not in kinds:
        raise DTypeError(f"[random.{op}] expected {told} dtype, got {out.name}.")
    return out


def float_dtype(dtype: Any, op: str) -> np.dtype:
    """A `dtype=` argument that must be a real float; None means the default float."""
    return default_float() if dtype is None else _as_dtype(dtype, op, "f", "a float", default_float())


def inexact_dtype(dtype: Any, op: str) -> np.dtype:
    """A `dtype=` argument that must be a float or complex; None means the default float."""
    return default_float() if dtype is None else _as_dtype(dtype, op, "fc", "a float or complex", default_float())


def int_dtype(dtype: Any, op: str) -> np.dtype:
    """A `dtype=` argument that must be an integer; None means int64."""
    return _as_dtype(dtype, op, "iu", "an integer", np.dtype("int64"))


def parameter(x: Any, dtype: np.dtype) -> Any:
    """A distribution's parameter as an array of the dtype that is drawn."""
    return convert(arr(x), dtype)


def inexact(x: Any) -> Any:
    """An array that is a float: integers become the default float."""
    x = arr(x)
    return x if is_float(dtype_of(x)) else convert(x, default_float())


def spread(x: Any, dtype: np.dtype, shape: tuple[int, ...]) -> Any:
    """A parameter of the dtype and shape that are drawn."""
    return broadcast_to(parameter(x, dtype), shape)
