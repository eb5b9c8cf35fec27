"""Bits of bytes as arrays: `packbits`, `unpackbits`. May import arguments, manipulation, reductions, primitives."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, DTypeError
from fnets.numpy import manipulation as m
from fnets.numpy import reductions as red
from fnets.numpy.arguments import flat, to_array
from fnets.primitives import elementwise as e
from fnets.primitives.base import as_axis, convert, reshape
from fnets.primitives.shape import moveaxis, pad, slice_in_dim

__all__ = [
    "packbits", "unpackbits",
]  # fmt: skip


def _weights(bitorder: str, op: str) -> np.ndarray:
    if bitorder not in ("big", "little"):
        raise ArgumentError(f"[{op}] expected bitorder 'big' or 'little', got {bitorder!r}.")
    weights = 1 << np.arange(8, dtype=np.uint8)
    return weights[::-1] if bitorder == "big" else weights


def _last(a: Any, axis: int | None, op: str) -> tuple[Any, int]:
    """The array with the axis to work along in last place, and where it came from."""
    a = to_array(a)
    if axis is None:
        return flat(a), 0
    axis = as_axis(axis, a.ndim, op)
    return moveaxis(a, axis, -1), axis


def packbits(a: Any, axis: int | None = None, bitorder: str = "big") -> Any:
    """Booleans or integers (nonzero counts as 1), eight to a byte, along an axis or raveled; the last byte is filled with zeros.

    >>> packbits(np.array([1, 0, 1]))
    array([160], dtype=uint8)
    """
    a, axis = _last(a, axis, "packbits")
    if dtype_of(a).kind not in "biu":
        raise DTypeError(
            f"[packbits] expected booleans or integers, got {dtype_of(a).name}. Compare first, for example with x > 0."
        )
    n = shape_of(a)[-1]
    bits = convert(a if dtype_of(a).kind == "b" else e.ne(a, 0), np.uint8)
    bits = pad(bits, np.uint8(0), ((0, 0, 0),) * (len(shape_of(bits)) - 1) + ((0, -n % 8, 0),))
    rows = reshape(bits, (*shape_of(bits)[:-1], -(-n // 8), 8))
    return moveaxis(convert(red.sum(e.mul(rows, _weights(bitorder, "packbits")), -1), np.uint8), -1, axis)


def unpackbits(a: Any, axis: int | None = None, count: int | None = None, bitorder: str = "big") -> Any:
    """The bits of bytes along an axis or raveled, as 0 and 1.

    Args:
      a: uint8 array.
      axis: the axis that becomes eight times as long.
      count: how many bits to return, filled up with zeros; a negative number cuts that many off the end.
      bitorder: "big" puts the highest bit first, "little" the lowest.

    >>> unpackbits(np.array([3], np.uint8))
    array([0, 0, 0, 0, 0, 0, 1, 1], dtype=uint8)
    """
    a, axis = _last(a, axis, "unpackbits")
    if dtype_of(a) != np.uint8:
        raise DTypeError(f"[unpackbits] expected uint8, got {dtype_of(a).name}. Convert with x.astype('uint8').")
    bits = convert(e.ne(e.bitwise_and(m.expand_dims(a, -1), _weights(bitorder, "unpackbits")), 0), np.uint8)
    n = 8 * shape_of(a)[-1]
    bits = reshape(bits, (*shape_of(a)[:-1], n))
    if count is not None:
        wanted = n + count if count < 0 else count
        if wanted < n:
            bits = slice_in_dim(bits, 0, max(wanted, 0), axis=-1)
        bits = pad(bits, np.uint8(0), ((0, 0, 0),) * (len(shape_of(bits)) - 1) + ((0, max(wanted - n, 0), 0),))
    return moveaxis(bits, -1, axis)
