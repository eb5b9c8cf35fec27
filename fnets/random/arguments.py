"""What the functions of `fnets.random` do with their arguments: keys, shapes and dtypes checked, with one clear error each. May import primitives, reuse."""

from __future__ import annotations

from operator import index as operator_index
from typing import Any

import numpy as np

from fnets.config import default_float
from fnets.core.avals import as_np_dtype, is_float
from fnets.core.trace import Tracer, dtype_of, shape_of, typeof
from fnets.errors import ArgumentError, FnetsError, ShapeError
from fnets.primitives.base import arr, broadcast_to, convert, reshape
from fnets.primitives.elementwise import broadcast_shapes
from fnets.primitives.indexing import getitem_spec
from fnets.primitives.random import random_bits, random_split
from fnets.primitives.random_samplers import philox_bits_p
from fnets.primitives.shape import moveaxis
from fnets.random import reuse

_UINT32 = np.dtype("uint32")
_INT64 = np.dtype("int64")

# ------------------------------------------------------------------ keys


def as_keys(key: Any, op: str) -> Any:
    """A key, or a batch of keys, that was checked: uint32 of shape (..., 2), or (..., 4) for Philox."""
    if not isinstance(key, (np.ndarray, Tracer)):
        raise ArgumentError(
            f"[random.{op}] expected a key as first argument, got {type(key).__name__}. Make one with fnets.random.key(seed)."
        )
    if key.dtype != _UINT32 or key.shape[-1:] not in ((2,), (4,)):
        raise ArgumentError(
            f"[random.{op}] expected a key, a uint32 array of shape (2,), got {typeof(key).str_short(short_dtypes=False)}. "
            "Make one with fnets.random.key(seed)."
        )
    return key


def as_key(key: Any, op: str) -> Any:
    """One key that was checked, and that counts as used from here on."""
    if not (type(key) is np.ndarray and key.shape == (2,) and key.dtype == _UINT32):
        key = one_key(key, op)
    if reuse.checking:
        reuse.record(key, op)
    return key


def one_key(key: Any, op: str) -> Any:
    """One key that was checked."""
    key = as_keys(key, op)
    if len(key.shape) != 1:
        raise ShapeError(
            f"[random.{op}] expected one key, got a batch of keys of shape {key.shape}. Use fnets.vmap over the keys, or pick one: keys[0]."
        )
    return key


def rows(x: Any, count: int) -> list:
    """The first `count` entries of an array along its leading axis."""
    return list(x) if type(x) is np.ndarray else [getitem_spec(x, (i,)) for i in range(count)]


def split_key(key: Any, shape: tuple[int, ...]) -> Any:
    """New keys of a checked key, in an array of shape `(*shape, 2 or 4)`. A key of four words is two of two, each split."""
    if key.shape == (2,):
        return random_split(key, shape)
    halves = moveaxis(random_split(reshape(key, (2, 2)), shape), 0, -2)
    return reshape(halves, (*shape, 4))


def subkeys(key: Any, count: int = 2) -> list:
    """New keys of a checked key, as a list."""
    return rows(split_key(key, (count,)), count)


def draw_bits(key: Any, shape: tuple[int, ...], width: int) -> Any:
    """Random unsigned integers of a checked key."""
    return random_bits(key, shape, width) if key.shape == (2,) else philox_bits_p.bind(key, shape=shape, width=width)


# ------------------------------------------------------------------ shapes


def as_shape(shape: Any, op: str) -> tuple[int, ...]:
    """A `shape=` argument as a tuple of non-negative ints; a single int is one axis."""
    if type(shape) is tuple and all([type(n) is int and n >= 0 for n in shape]):
        return shape
    try:
        many = isinstance(shape, (tuple, list)) or (isinstance(shape, np.ndarray) and shape.ndim)
        out = tuple([operator_index(n) for n in (shape if many else (shape,))])
    except TypeError as error:
        if isinstance(error, FnetsError):
            raise
        raise ArgumentError(
            f"[random.{op}] expected a shape, a tuple of ints, got {shape!r}. Write shape=(3, 4)."
        ) from None
    if min(out, default=0) < 0:
        raise ShapeError(f"[random.{op}] expected a shape of non-negative sizes, got {out}.")
    return out


def common_shape(shape: Any, op: str, *operands: Any) -> tuple[int, ...]:
    """The shape to draw: `shape`, to which the operands must broadcast, or if it is None the operands' common shape."""
    return drawn_shape(shape, op, *map(shape_of, operands))


def drawn_shape(shape: Any, op: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The same for the operands' shapes."""
    if shape is None:
        return broadcast_shapes(f"random.{op}", *shapes)
    shape = as_shape(shape, op)
    if any([s not in ((), shape) for s in shapes]):
        try:
            fits = broadcast_shapes(op, shape, *shapes) == shape
        except ShapeError:
            fits = False
        if not fits:
            told = " and ".join(str(s) for s in shapes)
            raise ShapeError(
                f"[random.{op}] expected parameters that broadcast to shape {shape}, got {told}. Enlarge shape=, or leave it out."
            )
    return shape


# ------------------------------------------------------------------ dtypes and parameters


def _as_dtype(dtype: Any, op: str, kinds: str, told: str) -> np.dtype:
    try:
        out = as_np_dtype(dtype)
    except TypeError:
        raise ArgumentError(f"[random.{op}] expected a {told} dtype, got {dtype!r}.") from None
    small = "f" in kinds and out.kind == "V" and is_float(out)  # bfloat16 and its like
    if (out.kind not in kinds and not small) or out.itemsize > 16:
        raise ArgumentError(f"[random.{op}] expected a {told} dtype, got {out.name}.")
    return out


def float_dtype(dtype: Any, op: str) -> np.dtype:
    """A `dtype=` argument that must be a float (bfloat16 is one); None means the default float."""
    return default_float() if dtype is None else _as_dtype(dtype, op, "f", "float")


def inexact_dtype(dtype: Any, op: str) -> np.dtype:
    """A `dtype=` argument that must be a float or complex; None means the default float."""
    return default_float() if dtype is None else _as_dtype(dtype, op, "fc", "float or complex")


def int_dtype(dtype: Any, op: str) -> np.dtype:
    """A `dtype=` argument that must be an integer; None means int64."""
    return _INT64 if dtype is None else _as_dtype(dtype, op, "iu", "integer")


def number_dtype(dtype: Any, op: str) -> np.dtype:
    """A `dtype=` argument that must be an integer, float or complex."""
    return _as_dtype(dtype, op, "iufc", "number")


def parameter(x: Any, dtype: np.dtype) -> Any:
    """A distribution's parameter as an array of the dtype that is drawn."""
    return convert(arr(x), dtype)


def spread(x: Any, dtype: np.dtype, shape: tuple[int, ...]) -> Any:
    """A parameter of the dtype and the shape that are drawn."""
    return broadcast_to(parameter(x, dtype), shape)


def inexact(x: Any) -> Any:
    """A parameter with its own float dtype; integers become the default float."""
    x = arr(x)
    return x if is_float(dtype_of(x)) else convert(x, default_float())
