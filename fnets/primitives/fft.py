"""Discrete Fourier transforms: one primitive over any axes, closed under transposition. May import elementwise, base, core.

The Fourier matrix is symmetric, so that `fft` and `ifft` are their own transposes; `rfft` and `irfft` are each other's, up to conjugation and
the weights of the frequencies that stand for two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray, is_float
from fnets.core.primitive import Primitive
from fnets.core.trace import dtype_of
from fnets.errors import DTypeError, ShapeError
from fnets.primitives.base import arr, fit, linear
from fnets.primitives.elementwise import conj, mul

KINDS = ("fft", "ifft", "rfft", "irfft")
_INVERSE_NORM = {"backward": "forward", "forward": "backward", "ortho": "ortho"}
_ONE_AXIS: dict[str, Callable] = {k: getattr(np.fft, k) for k in KINDS}
_MORE_AXES: dict[str, Callable] = {k: getattr(np.fft, f"{k}n") for k in KINDS}

fft_p = Primitive("fft", fresh=True)


def _fft_impl(x: Any, kind: str, axes: tuple[int, ...], length: int, norm: str) -> Any:
    if not x.size:
        aval = _fft_abstract(ShapedArray(x.shape, x.dtype), kind, axes, length, norm)
        return np.zeros(aval.shape, aval.dtype)
    if len(axes) == 1:
        return _ONE_AXIS[kind](x, length, axes[0], norm)
    sizes = [x.shape[a] for a in axes[:-1]]
    return _MORE_AXES[kind](x, [*sizes, length], axes, norm)


def complex_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype of a transform: half precision counts as single.

    >>> complex_dtype(np.dtype("float32"))
    dtype('complex64')
    """
    return np.result_type(dtype, np.complex64)


def _fft_abstract(x: ShapedArray, kind: str, axes: tuple[int, ...], length: int, norm: str) -> ShapedArray:
    if not is_float(x.dtype):
        raise DTypeError(f"[{kind}] expected a float or complex array, got {x.dtype.name}. Use x.astype('float32').")
    if kind == "rfft" and x.dtype.kind == "c":
        raise DTypeError(f"[rfft] expected a real array, got {x.dtype.name}. Use fft, or x.real.")
    last, n = axes[-1], x.shape[axes[-1]]
    given = length // 2 + 1 if kind == "irfft" else length
    if n != given:
        raise ShapeError(
            f"[{kind}] expected length {given} along axis {last}, got shape {x.shape}. Pad or slice first."
        )
    dtype = complex_dtype(x.dtype)
    shape = list(x.shape)
    if kind == "rfft":
        shape[last] = length // 2 + 1
    if kind == "irfft":
        shape[last], dtype = length, np.zeros((), dtype).real.dtype
    return ShapedArray(shape, dtype)


def _weights(length: int, ndim: int, axis: int, dtype: np.dtype, weight: float) -> np.ndarray:
    """`weight` for the frequencies of a real transform that stand for two, 1 for the others, along an axis."""
    w = np.full(length // 2 + 1, weight, dtype)
    w[0] = 1
    if length % 2 == 0:
        w[-1] = 1
    return w.reshape([-1 if i == axis else 1 for i in range(ndim)])


def _fft_transpose(ct: Any, aval: ShapedArray, kind: str, axes: tuple[int, ...], length: int, norm: str) -> Any:
    params = {"axes": axes, "length": length}
    if kind in ("fft", "ifft"):
        return fit(fft_p.bind(ct, kind=kind, norm=norm, **params), aval)
    real_dtype = np.zeros((), dtype_of(ct)).real.dtype
    inverse = _INVERSE_NORM[norm]
    if kind == "rfft":
        halves = mul(conj(ct), _weights(length, aval.ndim, axes[-1], real_dtype, 0.5))
        return fit(fft_p.bind(halves, kind="irfft", norm=inverse, **params), aval)
    back = conj(fft_p.bind(ct, kind="rfft", norm=inverse, **params))
    return fit(mul(back, _weights(length, aval.ndim, axes[-1], real_dtype, 2.0)), aval)


def _fft_batch(size: int, vals: Sequence, dims: Sequence, axes: tuple[int, ...], **params: Any) -> tuple:
    d = dims[0]
    return fft_p.bind(vals[0], axes=tuple([a + (a >= d) for a in axes]), **params), d


fft_p.impl, fft_p.abstract, fft_p.batch = _fft_impl, _fft_abstract, _fft_batch
linear(fft_p, _fft_transpose)


def transform(x: Any, kind: str, axes: tuple[int, ...], length: int | None = None, norm: str = "backward") -> Any:
    """The discrete Fourier transform of an array over axes.

    Args:
      x: float or complex array; real for "rfft".
      kind: "fft", "ifft", "rfft" or "irfft"; the last two are real along the last of the axes, and "fft" or "ifft" along the others.
      axes: different, non-negative axes.
      length: of the real side along the last axis, for "irfft" (which has `length // 2 + 1` frequencies there).
      norm: which direction is divided by the number of points: "backward" (the inverse), "forward", or "ortho" (both by its root).

    >>> transform(np.array([1.0, 2.0, 3.0]), "rfft", (0,)).real
    array([ 6. , -1.5])
    """
    x = arr(x)
    if not axes:
        return x
    if length is None:
        length = x.shape[axes[-1]]
    return fft_p.bind(x, kind=kind, axes=axes, length=length, norm=norm)
