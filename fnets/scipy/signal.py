"""`fnets.scipy.signal`: convolution and correlation of arrays; spectra and trends are in `spectral`. May import `fnets.numpy`, primitives, core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.numpy.arguments import promoted, promoted_inexact
from fnets.numpy.padding import pad as pad_array
from fnets.primitives import elementwise as e
from fnets.primitives.base import as_axis, reshape
from fnets.primitives.conv import conv_general_dilated
from fnets.primitives.fft import transform
from fnets.primitives.reduce import size_of
from fnets.primitives.shape import flip, pad, slice_in_dim
from fnets.primitives.solvers import conjugate
from fnets.scipy.spectral import csd, detrend, istft, stft, welch

__all__ = [
    "convolve",
    "convolve2d",
    "correlate",
    "correlate2d",
    "csd",
    "detrend",
    "fftconvolve",
    "istft",
    "stft",
    "welch",
]

_MODES = ("full", "same", "valid")
_MANY = 256  # with a window of more elements than this, "auto" takes the way over the Fourier transform

# ------------------------------------------------------------------ arguments


def _operands(op: str, in1: Any, in2: Any, mode: str, promote: Callable) -> list:
    if mode not in _MODES:
        raise ArgumentError(f'[{op}] expected mode "full", "same" or "valid", got {mode!r}.')
    in1, in2 = promote(in1, in2)
    if len(shape_of(in1)) != len(shape_of(in2)):
        raise ShapeError(
            f"[{op}] expected arrays with as many axes, got shapes {shape_of(in1)} and {shape_of(in2)}. Add axes of length 1."
        )
    if 0 in shape_of(in1) + shape_of(in2):
        raise ShapeError(f"[{op}] expected arrays that are not empty, got shapes {shape_of(in1)} and {shape_of(in2)}.")
    return [in1, in2]


def _larger_first(op: str, n: Sequence[int], k: Sequence[int]) -> bool:
    """For "valid": whether the first array is at least as long as the second along every axis; an error if neither is."""
    if all([i >= j for i, j in zip(n, k)]):
        return True
    if not all([i <= j for i, j in zip(n, k)]):
        raise ShapeError(
            f'[{op}] expected one array to be at least as long as the other along every axis for mode "valid", got shapes {n} and {k}.'
        )
    return False


# ------------------------------------------------------------------ convolution


def _direct(x: Any, w: Any, mode: str) -> Any:
    """Slide the mirrored window w over x, which is the longer one for "valid"."""
    k = shape_of(w)
    lows = {"full": [n - 1 for n in k], "same": [n - 1 - (n - 1) // 2 for n in k], "valid": [0] * len(k)}[mode]
    highs = {"full": lows, "same": [n - 1 - low for n, low in zip(k, lows)], "valid": lows}[mode]
    mirrored = flip(w, tuple(range(len(k))))
    out = conv_general_dilated(x[None, None], mirrored[None, None], (1,) * len(k), list(zip(lows, highs)))
    return reshape(out, shape_of(out)[2:])


def _convolved(op: str, in1: Any, in2: Any, mode: str, method: str) -> Any:
    if method not in ("auto", "direct", "fft"):
        raise ArgumentError(f'[{op}] expected method "auto", "direct" or "fft", got {method!r}.')
    if not shape_of(in1):
        return e.mul(in1, in2)
    n, k = shape_of(in1), shape_of(in2)
    by_transform = dtype_of(in1).kind in "fc" and min(size_of(n), size_of(k)) > _MANY
    if method == "fft" or (method == "auto" and by_transform):
        return fftconvolve(in1, in2, mode)
    if mode == "valid" and not _larger_first(op, n, k):
        in1, in2 = in2, in1
    if mode == "full" and size_of(n) < size_of(k):
        in1, in2 = in2, in1
    return _direct(in1, in2, mode)


def convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None) -> Any:
    """The convolution of two arrays of as many axes.

    Args:
      in1, in2: arrays.
      mode: "full" (all overlaps), "same" (the middle part, of the shape of in1), or "valid" (complete overlaps alone).
      method: "direct", "fft", or "auto": by the size of the smaller array.
      precision: accepted and ignored.

    >>> convolve(np.array([1, 2, 3]), np.array([0, 1]))
    array([0, 1, 2, 3])
    """
    in1, in2 = _operands("convolve", in1, in2, mode, promoted)
    return _convolved("convolve", in1, in2, mode, method)


def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None) -> Any:
    """The cross-correlation of two arrays of as many axes: convolution with the mirrored, conjugated second; the arguments are those of `convolve`.

    >>> correlate(np.array([1, 2, 3]), np.array([0, 1]))
    array([1, 2, 3, 0])
    """
    in1, in2 = _operands("correlate", in1, in2, mode, promoted)
    axes = tuple(range(len(shape_of(in1))))
    if mode == "valid" and axes and not _larger_first("correlate", shape_of(in1), shape_of(in2)):
        # the longer one stands still: the result is that of the swapped arrays, backwards
        return flip(conjugate(_convolved("correlate", in2, flip(conjugate(in1), axes), mode, method)), axes)
    mirrored = flip(conjugate(in2), axes) if axes else conjugate(in2)
    return _convolved("correlate", in1, mirrored, mode, method)


def _in_plane(op: str, in1: Any, in2: Any, mode: str, boundary: str, fillvalue: Any) -> Any:
    if len(shape_of(in1)) != 2:
        raise ShapeError(f"[{op}] expected two matrices, got shapes {shape_of(in1)} and {shape_of(in2)}.")
    modes = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}
    if boundary not in modes:
        raise ArgumentError(f'[{op}] expected boundary "fill", "wrap" or "symm", got {boundary!r}.')
    zero = isinstance(fillvalue, (int, float)) and fillvalue == 0
    if mode == "valid" or (boundary == "fill" and zero):
        return _convolved(op, in1, in2, mode, "auto")
    widths = [(k - 1, k - 1) for k in shape_of(in2)]
    options = {"constant_values": fillvalue} if boundary == "fill" else {}
    full = _direct(pad_array(in1, widths, modes[boundary], **options), in2, "valid")
    if mode == "full":
        return full
    starts = [(k - 1) // 2 for k in shape_of(in2)]
    return full[starts[0] : starts[0] + shape_of(in1)[0], starts[1] : starts[1] + shape_of(in1)[1]]


def convolve2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0, precision: Any = None
) -> Any:
    """The convolution of two matrices.

    Args:
      in1, in2: matrices.
      mode: as in `convolve`.
      boundary: what is beyond the edges of in1: "fill" (`fillvalue`), "wrap" (it goes on periodically), "symm" (it is mirrored).
      fillvalue: for "fill".

    >>> convolve2d(np.ones((2, 2)), np.ones((2, 2)), "valid")
    array([[4.]])
    """
    in1, in2 = _operands("convolve2d", in1, in2, mode, promoted)
    return _in_plane("convolve2d", in1, in2, mode, boundary, fillvalue)


def correlate2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0, precision: Any = None
) -> Any:
    """The cross-correlation of two matrices; the arguments are those of `convolve2d`.

    >>> correlate2d(np.ones((2, 2)), np.ones((2, 2)), "valid")
    array([[4.]])
    """
    in1, in2 = _operands("correlate2d", in1, in2, mode, promoted)
    if len(shape_of(in1)) == 2 and mode == "valid":
        return correlate(in1, in2, mode)
    axes = tuple(range(len(shape_of(in2))))
    if mode == "same" and len(axes) == 2:  # an even window has its centre on the other side when it is mirrored
        full = _in_plane("correlate2d", in1, flip(conjugate(in2), axes), "full", boundary, fillvalue)
        starts = [k // 2 for k in shape_of(in2)]
        return full[starts[0] : starts[0] + shape_of(in1)[0], starts[1] : starts[1] + shape_of(in1)[1]]
    return _in_plane("correlate2d", in1, flip(conjugate(in2), axes), mode, boundary, fillvalue)


def _fast_length(n: int) -> int:
    """The smallest product of 2, 3 and 5 that is at least n: such transforms are the quickest."""
    best = 1 << (n - 1).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            two = three << max(0, (-(-n // three) - 1).bit_length())
            best = min(best, two) if two >= n else best
            three *= 3
        five *= 5
    return best


def fftconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    """`convolve` by Fourier transforms: quicker for two large arrays.

    Args:
      in1, in2: arrays; integers are converted to floats.
      mode: as in `convolve`.
      axes: the axes to convolve along, by default all; the others broadcast.

    >>> fftconvolve(np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0])).round(6)
    array([0., 1., 2., 3.])
    """
    in1, in2 = _operands("fftconvolve", in1, in2, mode, promoted_inexact)
    n, k = shape_of(in1), shape_of(in2)
    given = range(len(n)) if axes is None else [axes] if isinstance(axes, int) else axes
    axes = tuple(sorted({as_axis(a, len(n), "fftconvolve") for a in given}))
    if not axes:
        return e.mul(in1, in2)
    if mode == "valid" and not _larger_first("fftconvolve", [n[a] for a in axes], [k[a] for a in axes]):
        in1, in2, n, k = in2, in1, k, n
    sizes = [n[a] + k[a] - 1 for a in axes]
    lengths = [_fast_length(m) for m in sizes]
    is_complex = dtype_of(in1).kind == "c"

    def spectrum(x: Any) -> Any:
        config = [(0, 0, 0)] * len(n)
        for a, length in zip(axes, lengths):
            config[a] = (0, length - shape_of(x)[a], 0)
        padded = pad(x, np.zeros((), dtype_of(x)), config)
        return transform(padded, "fft" if is_complex else "rfft", axes)

    out = transform(e.mul(spectrum(in1), spectrum(in2)), "ifft" if is_complex else "irfft", axes, lengths[-1])
    for a, size in zip(axes, sizes):
        start, stop = {"full": (0, size), "same": ((k[a] - 1) // 2, (k[a] - 1) // 2 + n[a]), "valid": (k[a] - 1, n[a])}[
            mode
        ]
        out = slice_in_dim(out, start, stop, axis=a)
    return out
