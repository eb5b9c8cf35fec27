"""`fnets.lax.fft`, a function: the discrete Fourier transform with XLA's arguments. May import `fnets.numpy`, primitives, core."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.numpy.arguments import to_inexact
from fnets.primitives.base import convert
from fnets.primitives.fft import complex_dtype, fft_p, transform

__all__ = ["FftType", "fft", "fft_p"]


class FftType(enum.IntEnum):
    """The kinds of transform.

    >>> FftType.RFFT.name
    'RFFT'
    """

    FFT = 0
    IFFT = 1
    RFFT = 2
    IRFFT = 3


def _kind(fft_type: Any) -> str:
    name = fft_type.name if isinstance(fft_type, enum.Enum) else fft_type
    if not isinstance(name, str) or name.upper() not in FftType.__members__:
        raise ArgumentError(f"[fft] expected fft_type FFT, IFFT, RFFT or IRFFT, got {fft_type!r}.")
    return name.lower()


def fft(x: Any, fft_type: FftType | str, fft_lengths: Sequence[int] | int) -> Any:
    """The discrete Fourier transform over the last axes.

    Args:
      x: array; real for RFFT, complex (or made so) for the others.
      fft_type: an `FftType`, or its name as a string.
      fft_lengths: the lengths of the last axes; for IRFFT the last one is the real length, and x has `length // 2 + 1` frequencies there.

    Raises:
      ShapeError: the lengths are not those of x.

    >>> import numpy as np
    >>> fft(np.array([1.0, 2.0, 3.0]), "RFFT", (3,)).real
    array([ 6. , -1.5])
    """
    kind = _kind(fft_type)
    lengths = (fft_lengths,) if isinstance(fft_lengths, int) else tuple([int(n) for n in fft_lengths])
    x = to_inexact(x)
    if kind != "rfft":
        x = convert(x, complex_dtype(dtype_of(x)))
    elif dtype_of(x).kind == "c":
        raise DTypeError(f"[fft] expected a real array for RFFT, got {dtype_of(x).name}. Use FFT, or x.real.")
    shape = shape_of(x)
    if not lengths:
        return x
    expected = lengths if kind != "irfft" else (*lengths[:-1], lengths[-1] // 2 + 1)
    if len(lengths) > len(shape) or shape[len(shape) - len(lengths) :] != expected:
        raise ShapeError(
            f"[fft] expected x of shape (..., {', '.join(map(str, expected))}) for {kind.upper()} of lengths {lengths}, got {shape}. "
            "Pad or slice first, or use fnets.numpy.fft."
        )
    return transform(x, kind, tuple(range(len(shape) - len(lengths), len(shape))), lengths[-1])
