"""`fnets.scipy.fft`: cosine transforms, and the transforms of `fnets.numpy.fft`. May import `fnets.numpy`, primitives, core."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, DTypeError
from fnets.numpy import fft as _fft
from fnets.numpy.arguments import to_inexact
from fnets.numpy.fft import *  # noqa: F403
from fnets.primitives import elementwise as e
from fnets.primitives.base import as_axis
from fnets.primitives.fft import transform
from fnets.primitives.shape import concatenate, flip, moveaxis, pad, slice_in_dim, stack

__all__ = ["dct", "dctn", "idct", "idctn", *_fft.__all__]


def _operand(op: str, x: Any, type: int, norm: str | None) -> Any:
    if type not in (2, 3):
        raise ArgumentError(f"[{op}] expected type 2 or 3, got {type!r}.")
    if norm not in (None, "backward", "ortho"):
        raise ArgumentError(f'[{op}] expected norm None, "backward" or "ortho", got {norm!r}.')
    x = to_inexact(x)
    if dtype_of(x).kind == "c":
        raise DTypeError(
            f"[{op}] expected a real array, got {dtype_of(x).name}. Transform the real and imaginary parts."
        )
    return x


def _last_of_length(x: Any, axis: int, n: int | None) -> Any:
    """The axis moved to the end, and cut or filled up with zeros."""
    x = moveaxis(x, axis, -1)
    have = shape_of(x)[-1]
    if n is not None and n > have:
        return pad(x, np.zeros((), dtype_of(x)), [(0, 0, 0)] * (len(shape_of(x)) - 1) + [(0, n - have, 0)])
    return x if n is None else slice_in_dim(x, 0, n, axis=-1)


def _weights(n: int, ortho: bool, dtype: np.dtype) -> np.ndarray:
    """What the unscaled transform of type 2 is multiplied by."""
    w = np.full(n, math.sqrt(0.5 / n) if ortho else 1.0, dtype)
    if ortho:
        w[:1] = math.sqrt(0.25 / n)
    return w


def _type_2(x: Any, ortho: bool) -> Any:
    """2 sum_j x_j cos(pi k (2 j + 1) / 2n) by one transform of the even elements followed by the odd ones backwards (Makhoul 1980)."""
    n, last = shape_of(x)[-1], len(shape_of(x)) - 1
    even, odd = slice_in_dim(x, 0, n, 2, last), slice_in_dim(x, 1, n, 2, last)
    spectrum = transform(concatenate([even, flip(odd, (last,))], last), "fft", (last,))
    turn = (2 * np.exp(-0.5j * np.pi * np.arange(n) / n)).astype(dtype_of(spectrum))
    return e.mul(e.real(e.mul(spectrum, turn)), _weights(n, ortho, dtype_of(x)))


def _inverse_2(y: Any, ortho: bool) -> Any:
    n, last = shape_of(y)[-1], len(shape_of(y)) - 1
    y = e.div(y, _weights(n, ortho, dtype_of(y)))
    mirrored = flip(slice_in_dim(y, 1, n, axis=last), (last,))
    back = pad(mirrored, np.zeros((), dtype_of(y)), [(0, 0, 0)] * last + [(1, 0, 0)])
    turn = (0.5 * np.exp(0.5j * np.pi * np.arange(n) / n)).astype(np.result_type(dtype_of(y), np.complex64))
    x = e.real(transform(e.mul(e.complex_(y, e.neg(back)), turn), "ifft", (last,)))
    half = (n + 1) // 2
    even, odd = slice_in_dim(x, 0, half, axis=last), flip(slice_in_dim(x, half, n, axis=last), (last,))
    if n % 2:
        odd = pad(odd, np.zeros((), dtype_of(x)), [(0, 0, 0)] * last + [(0, 1, 0)])
    pairs = stack([even, odd], last + 1)
    return slice_in_dim(pairs.reshape((*shape_of(x)[:-1], 2 * half)), 0, n, axis=last)


def _cosine(op: str, x: Any, type: int, n: int | None, axis: int, norm: str | None, inverse: bool) -> Any:
    x = _operand(op, x, type, norm)
    axis = as_axis(axis, len(shape_of(x)), op)
    x = _last_of_length(x, axis, n)
    n, ortho = shape_of(x)[-1], norm == "ortho"
    if n < 1:
        raise ArgumentError(f"[{op}] expected at least one point, got {n}.")
    if (type == 2) != inverse:
        y = _type_2(x, ortho)
        scale = 1.0 if not inverse or ortho else 0.5 / n  # type 3's inverse is type 2 over 2n
    else:
        y = _inverse_2(x, ortho)
        scale = 1.0 if inverse or ortho else 2.0 * n
    return moveaxis(y if scale == 1.0 else e.mul(y, scale), -1, axis)


def dct(x: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    """The discrete cosine transform of type 2 (or 3).

    Args:
      x: real array.
      type: 2 or 3.
      n: number of points along the axis; by default its length.
      norm: None or "backward" (unscaled), or "ortho".

    >>> dct(np.array([1.0, 1.0])).round(6)
    array([4., 0.])
    """
    return _cosine("dct", x, type, n, axis, norm, False)


def idct(x: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None) -> Any:
    """The inverse of `dct`; the arguments are the same.

    >>> idct(np.array([4.0, 0.0])).round(6)
    array([1., 1.])
    """
    return _cosine("idct", x, type, n, axis, norm, True)


def _several(op: str, x: Any, type: int, s: Sequence[int] | None, axes: Any, norm: str | None, inverse: bool) -> Any:
    ndim = len(shape_of(to_inexact(x)))
    if axes is None:
        axes = range(ndim) if s is None else range(ndim - len(s), ndim)
    axes = [axes] if isinstance(axes, int) else list(axes)
    if s is not None and len(s) != len(axes):
        raise ArgumentError(f"[{op}] expected as many lengths s as axes, got {len(s)} and {len(axes)}.")
    for i, axis in enumerate(axes):
        x = _cosine(op, x, type, None if s is None else s[i], axis, norm, inverse)
    return x


def dctn(
    x: Any, type: int = 2, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None
) -> Any:
    """`dct` over several axes, by default all.

    >>> dctn(np.ones((2, 2))).round(6)
    array([[16.,  0.],
           [ 0.,  0.]])
    """
    return _several("dctn", x, type, s, axes, norm, False)


def idctn(
    x: Any, type: int = 2, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str | None = None
) -> Any:
    """The inverse of `dctn`.

    >>> idctn(dctn(np.ones((2, 2)))).round(6)
    array([[1., 1.],
           [1., 1.]])
    """
    return _several("idctn", x, type, s, axes, norm, True)
