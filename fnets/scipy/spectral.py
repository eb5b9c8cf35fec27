"""Spectra of signals in overlapping windows, and their trends: `csd`, `welch`, `stft`, `istft`, `detrend` of `fnets.scipy.signal`.

May import `fnets.numpy`, primitives, core.

P. Welch, "The use of fast Fourier transform for the estimation of power spectra" (IEEE Transactions on Audio and Electroacoustics 15, 1967);
J. Allen, "Short term spectral analysis, synthesis, and modification by discrete Fourier transform" (ibid. 25, 1977).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, AxisError, ShapeError, warn_user
from fnets.numpy.arguments import known_int, promoted_inexact, to_array, to_inexact
from fnets.numpy.indexing import at
from fnets.numpy.padding import pad as pad_array
from fnets.numpy.reductions import mean
from fnets.numpy.statistics import median
from fnets.primitives import elementwise as e
from fnets.primitives.base import as_axis, convert, reduce_sum
from fnets.primitives.fft import transform
from fnets.primitives.gather import index_gather
from fnets.primitives.linear_algebra import matmul
from fnets.primitives.shape import concatenate, moveaxis, pad, slice_in_dim
from fnets.primitives.solvers import conjugate

__all__ = ["csd", "detrend", "istft", "stft", "welch"]

# ------------------------------------------------------------------ detrending


def detrend(data: Any, axis: int = -1, type: str = "linear", bp: Any = 0, overwrite_data: Any = None) -> Any:
    """Subtract the mean, or the straight line that fits best, along an axis.

    Args:
      data: array.
      type: "constant", or "linear".
      bp: break points: a line is fitted between each two of them.
      overwrite_data: accepted and ignored.

    >>> detrend(np.array([1.0, 2.0, 4.0])).round(6)
    array([ 0.166667, -0.333333,  0.166667])
    """
    if type not in ("constant", "linear"):
        raise ArgumentError(f'[detrend] expected type "linear" or "constant", got {type!r}.')
    data = to_inexact(data)
    axis = as_axis(axis, len(shape_of(data)), "detrend")
    x = moveaxis(data, axis, -1)
    n = shape_of(x)[-1]
    cuts = [0, n] if type == "constant" else sorted({0, *np.atleast_1d(bp).tolist(), n})
    if cuts[-1] > n:
        raise ArgumentError(f"[detrend] expected break points up to {n}, the length of the axis, got {bp}.")
    parts = []
    for start, stop in zip(cuts[:-1], cuts[1:]):
        part = slice_in_dim(x, start, stop, axis=-1)
        t = np.arange(1, stop - start + 1) / max(stop - start, 1)
        basis = np.stack([t, np.ones_like(t)][type == "constant" :], 1)
        q = np.linalg.qr(basis)[0].astype(np.finfo(dtype_of(x)).dtype)
        parts.append(e.sub(part, matmul(matmul(part, q), q.T)))
    return moveaxis(concatenate(parts, len(shape_of(x)) - 1), -1, axis)


# ------------------------------------------------------------------ windows

# periodic ones by name: sums of cosines, the coefficients of 1, cos(t), cos(2 t), ... for t from -pi to pi
_COSINES = {
    **dict.fromkeys(("hann", "hanning"), (0.5, 0.5)),
    **dict.fromkeys(("hamming",), (0.54, 0.46)),
    **dict.fromkeys(("blackman",), (0.42, 0.5, 0.08)),
    **dict.fromkeys(("boxcar", "ones", "rectangular"), (1.0,)),
}


def _named_window(op: str, name: Any, n: int) -> np.ndarray:
    if name in _COSINES:
        t = np.linspace(-np.pi, np.pi, n, endpoint=False)
        return np.sum([c * np.cos(k * t) for k, c in enumerate(_COSINES[name])], 0) if n > 1 else np.ones(n)
    raise ArgumentError(
        f"[{op}] expected a window {', '.join(map(repr, _COSINES))}, or an array of weights, got {name!r}."
    )


class _Frames(NamedTuple):
    """How a signal is cut: the window (nperseg,), its length, the step between windows, and the length of the transforms."""

    window: Any
    length: int
    step: int
    nfft: int


def _frames(op: str, window: Any, nperseg: Any, noverlap: Any, nfft: Any, n: int, dtype: np.dtype) -> _Frames:
    if nperseg is not None:
        nperseg = known_int(nperseg, op, "nperseg")
        if nperseg < 1:
            raise ArgumentError(f"[{op}] expected a positive nperseg, got {nperseg}.")
    if isinstance(window, (str, tuple)):
        length = n if nperseg is None else nperseg
        if length > n:
            warn_user(
                f"[{op}] expected nperseg of at most {n}, the length of the signal, got {length}: {n} is used.",
                UserWarning,
            )
            length = n
        weights = _named_window(op, window, length).astype(dtype)
    else:
        weights = convert(to_array(window), dtype)
        length = shape_of(weights)[0] if len(shape_of(weights)) == 1 else -1
        if length < 0 or nperseg not in (None, length) or length > n:
            raise ShapeError(
                f"[{op}] expected a window of {nperseg or f'at most {n}'} weights, got shape {shape_of(weights)}."
            )
    overlap = length // 2 if noverlap is None else known_int(noverlap, op, "noverlap")
    size = length if nfft is None else known_int(nfft, op, "nfft")
    _check_lengths(op, length, overlap, size)
    return _Frames(weights, length, length - overlap, size)


def _check_lengths(op: str, length: int, overlap: int, nfft: int) -> None:
    if overlap >= length:
        raise ArgumentError(f"[{op}] expected noverlap below nperseg, {length}, got {overlap}.")
    if nfft < length:
        raise ArgumentError(f"[{op}] expected nfft of at least nperseg, {length}, got {nfft}.")


def _odd(x: Any, n: int) -> Any:
    """Extended at both ends by the signal turned about its end points."""
    m = shape_of(x)[-1]
    if n >= m:
        raise ArgumentError(f"[stft] expected a signal longer than {n} for the boundary 'odd', got {m} samples.")
    first, last = slice_in_dim(x, 0, 1, axis=-1), slice_in_dim(x, m - 1, m, axis=-1)
    left, right = slice_in_dim(x, 1, n + 1, axis=-1), slice_in_dim(x, m - n - 1, m - 1, axis=-1)
    parts = [e.sub(e.mul(2, first), left[..., ::-1]), x, e.sub(e.mul(2, last), right[..., ::-1])]
    return concatenate(parts, len(shape_of(x)) - 1)


_EXTENSIONS: dict[Any, Callable] = {
    "even": lambda x, n: pad_array(x, [(0, 0)] * (len(shape_of(x)) - 1) + [(n, n)], "reflect"),
    "odd": _odd,
    "constant": lambda x, n: pad_array(x, [(0, 0)] * (len(shape_of(x)) - 1) + [(n, n)], "edge"),
    "zeros": lambda x, n: _lengthened(x, n, n),
    None: lambda x, n: x,
}


def _lengthened(x: Any, before: int, behind: int) -> Any:
    config = [(0, 0, 0)] * (len(shape_of(x)) - 1) + [(before, behind, 0)]
    return pad(x, np.zeros((), dtype_of(x)), config)


_without_trend = detrend  # where an argument has its name


def _spectra(x: Any, f: _Frames, detrend: Any, kind: str) -> Any:
    """The transforms of all windows of x (..., n): (..., windows, frequencies)."""
    n = shape_of(x)[-1]
    starts = np.arange(0, n - f.length + 1, f.step)
    cut = index_gather(x, (starts[:, None] + np.arange(f.length),), (len(shape_of(x)) - 1,))
    if isinstance(detrend, str):
        cut = _without_trend(cut, type=detrend)
    elif detrend:
        cut = detrend(cut)
    cut = _lengthened(e.mul(cut, f.window), 0, f.nfft - f.length)
    return transform(cut, kind, (len(shape_of(cut)) - 1,))


def _spectrogram(
    op: str,
    x: Any,
    y: Any,
    fs: Any,
    window: Any,
    nperseg: Any,
    noverlap: Any,
    nfft: Any,
    detrend: Any,
    return_onesided: bool,
    scaling: str,
    axis: int,
    boundary: str | None = None,
    padded: bool = False,
    amplitudes: bool = False,
) -> tuple[Any, Any, Any]:
    """(frequencies, times, densities or amplitudes (..., frequencies, windows))."""
    if boundary not in _EXTENSIONS:
        raise ArgumentError(f"[{op}] expected a boundary {', '.join(map(repr, _EXTENSIONS))}, got {boundary!r}.")
    if scaling not in ("density", "spectrum"):
        raise ArgumentError(f'[{op}] expected scaling "density" or "spectrum", got {scaling!r}.')
    signals = [to_inexact(x)] if y is None else promoted_inexact(x, y)
    ndim = len(shape_of(signals[0]))
    if len(shape_of(signals[-1])) != ndim:
        raise ShapeError(f"[{op}] expected x and y with as many axes, got {ndim} and {len(shape_of(signals[-1]))}.")
    axis = as_axis(axis, ndim, op)
    signals = [moveaxis(s, axis, -1) for s in signals]
    n = max([shape_of(s)[-1] for s in signals])
    signals = [_lengthened(s, 0, n - shape_of(s)[-1]) for s in signals]
    dtype = dtype_of(signals[0])
    real = np.finfo(dtype).dtype
    f = _frames(
        op,
        window,
        nperseg,
        noverlap,
        nfft,
        shape_of(signals[0])[-1],
        real if isinstance(window, (str, tuple)) else dtype,
    )
    signals = [_EXTENSIONS[boundary](s, f.length // 2) for s in signals]
    if padded:
        more = (-(shape_of(signals[0])[-1] - f.length) % f.step) % f.length
        signals = [_lengthened(s, 0, more) for s in signals]
    onesided = return_onesided and dtype.kind != "c"
    if return_onesided and not onesided:
        warn_user(
            f"[{op}] expected real signals for return_onesided=True, got complex ones: both sides are returned.",
            UserWarning,
        )
    spectra = [_spectra(s, f, detrend, "rfft" if onesided else "fft") for s in signals]
    first, second = spectra[0], spectra[-1]
    weight = (
        e.square(reduce_sum(f.window, (0,)))
        if scaling == "spectrum"
        else e.mul(fs, reduce_sum(e.square(f.window), (0,)))
    )
    scale = convert(e.div(1.0, weight), real)
    if amplitudes:
        out = e.mul(first, e.sqrt(scale))
    else:
        power = e.mul(conjugate(first), second)
        out = e.mul(e.real(power) if y is None else power, scale)
        if onesided:  # what is at the left out frequencies
            twice = np.full(shape_of(out)[-1], 2, real)
            twice[0] = 1
            if f.nfft % 2 == 0:
                twice[-1] = 1
            out = e.mul(out, twice)
    step = e.div(1.0, fs)
    freqs = (np.fft.rfftfreq if onesided else np.fft.fftfreq)(f.nfft)
    times = np.arange(f.length / 2, shape_of(signals[0])[-1] - f.length / 2 + 1, f.step)
    if boundary is not None:
        times = times - f.length / 2
    out = moveaxis(out, -1, axis) if axis < ndim - 1 else out
    # the axis of windows comes last
    out = moveaxis(out, ndim - 1 if axis == ndim - 1 else ndim, -1)
    return convert(e.div(freqs.astype(real), step), real), convert(e.mul(times.astype(real), step), real), out


def stft(
    x: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int = 256,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Any = False,
    return_onesided: bool = True,
    boundary: str | None = "zeros",
    padded: bool = True,
    axis: int = -1,
) -> tuple[Any, Any, Any]:
    """The short-time Fourier transform: that of every window of a signal.

    Args:
      x: array, with the signal along an axis.
      fs: samples per unit of time.
      window: "hann", "hamming", "blackman", "boxcar", or an array of weights.
      nperseg: samples in a window.
      noverlap: samples that neighbouring windows share; half of them by default.
      nfft: length of the transforms, nperseg by default; longer ones are filled with zeros.
      detrend: "constant", "linear", a function of (..., windows, samples), or False.
      return_onesided: of real signals, leave out the negative frequencies.
      boundary: how the signal goes on beyond its ends: "zeros", "even", "odd", "constant", or None: no windows there.
      padded: fill the last window with zeros instead of leaving samples out.
      axis: that of time.

    Returns:
      (frequencies, times, transforms): the frequencies take the place of `axis`, the windows are the last axis. Differentiable.

    Raises:
      ArgumentError, ShapeError: lengths or options that do not fit.

    >>> f, t, z = stft(np.array([1.0, 2.0, 3.0, 2.0]), nperseg=2)
    >>> z.shape
    (2, 5)
    """
    options = (window, nperseg, noverlap, nfft, detrend, return_onesided, "spectrum", axis, boundary, padded, True)
    return _spectrogram("stft", x, None, fs, *options)


def csd(
    x: Any,
    y: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Any = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: int = -1,
    average: str = "mean",
) -> tuple[Any, Any]:
    """The cross spectral density of two signals, as the mean over windows (Welch's method).

    Args:
      x, y: arrays whose other axes broadcast; the shorter signal is filled with zeros. y = None stands for x.
      fs, window, nperseg, noverlap, nfft, detrend, return_onesided, axis: as in `stft`; nperseg is the whole signal by default.
      scaling: "density" (per frequency), or "spectrum".
      average: "mean", or "median" over the windows, without its bias.

    Returns:
      (frequencies, densities), which are complex; with y = None real. Differentiable.

    Raises:
      ArgumentError, ShapeError: lengths or options that do not fit.

    >>> csd(np.array([1.0, 2.0, 3.0, 2.0]), np.array([0.0, 1.0, 0.0, 1.0]), nperseg=2)[1].shape
    (2,)
    """
    return _averaged("csd", x, y, average, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis)


def welch(
    x: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    detrend: Any = "constant",
    return_onesided: bool = True,
    scaling: str = "density",
    axis: int = -1,
    average: str = "mean",
) -> tuple[Any, Any]:
    """The power spectral density of a signal, as the mean over windows: `csd(x, None, ...)`, with its arguments.

    Returns:
      (frequencies, real densities). Differentiable.

    >>> welch(np.array([1.0, -1.0, 1.0, -1.0]), nperseg=2, detrend=False)
    (array([0. , 0.5]), array([1., 1.]))
    """
    return _averaged(
        "welch", x, None, average, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis
    )


def _averaged(op: str, x: Any, y: Any, average: str, *options: Any) -> tuple[Any, Any]:
    if average not in ("mean", "median"):
        raise ArgumentError(f'[{op}] expected average "mean" or "median", got {average!r}.')
    freqs, _, density = _spectrogram(op, x, y, *options)
    if average == "mean":
        return freqs, mean(density, -1)
    count = shape_of(density)[-1]
    even = np.arange(2, count, 2)
    bias = float(1 + np.sum(1 / (even + 1) - 1 / even))  # of the median of exponential variables (Allen et al. 2012)
    if dtype_of(density).kind == "c":
        out = e.complex_(median(e.real(density), -1), median(e.imag(density), -1))
    else:
        out = median(density, -1)
    return freqs, e.div(out, bias)


# ------------------------------------------------------------------ back


def _overlapped(x: Any, step: int) -> Any:
    """The sum of windows (..., windows, samples), each `step` behind the last."""
    *batch, count, length = shape_of(x)
    n = (count - 1) * step + length
    places = np.arange(count)[:, None] * step + np.arange(length)
    return at(np.zeros((*batch, n), dtype_of(x)))[..., places].add(x)


def istft(
    Zxx: Any,
    fs: Any = 1.0,
    window: Any = "hann",
    nperseg: int | None = None,
    noverlap: int | None = None,
    nfft: int | None = None,
    input_onesided: bool = True,
    boundary: bool = True,
    time_axis: int = -1,
    freq_axis: int = -2,
) -> tuple[Any, Any]:
    """The signal of a short-time Fourier transform: the inverse of `stft` with the same arguments.

    Args:
      Zxx: array with an axis of frequencies and one of windows.
      fs, window, nperseg, noverlap, nfft: as they were for `stft`; nperseg is worked out by default.
      input_onesided: the negative frequencies were left out; the result is real.
      boundary: the signal was extended at its ends.
      time_axis, freq_axis: the axes of windows and of frequencies.

    Returns:
      (times, signal): the samples are where `time_axis` is once `freq_axis` is gone. Differentiable.

    Raises:
      AxisError, ArgumentError, ShapeError: axes, lengths or options that do not fit.

    >>> x = np.array([1.0, 2.0, 3.0, 2.0, 1.0, 0.0, 1.0, 2.0])
    >>> istft(stft(x, nperseg=4)[2])[1].round(6)
    array([1., 2., 3., 2., 1., 0., 1., 2.])
    """
    z = to_inexact(Zxx)
    ndim = len(shape_of(z))
    if ndim < 2:
        raise ShapeError(f"[istft] expected an axis of frequencies and one of windows, got shape {shape_of(z)}.")
    time_axis, freq_axis = as_axis(time_axis, ndim, "istft"), as_axis(freq_axis, ndim, "istft")
    if time_axis == freq_axis:
        raise AxisError(f"[istft] expected time_axis and freq_axis to differ, got {time_axis} for both.")
    bins = shape_of(z)[freq_axis]
    default = 2 * (bins - 1) if input_onesided else bins
    length = default if nperseg is None else known_int(nperseg, "istft", "nperseg")
    if nfft is None:
        size = length if input_onesided and length == default + 1 else default
    else:
        size = known_int(nfft, "istft", "nfft")
    overlap = length // 2 if noverlap is None else known_int(noverlap, "istft", "noverlap")
    _check_lengths("istft", length, overlap, size)
    z = moveaxis(z, (time_axis, freq_axis), (-2, -1))
    z = convert(z, np.result_type(dtype_of(z), np.complex64))
    real = np.finfo(dtype_of(z)).dtype
    cut = transform(z, "irfft" if input_onesided else "ifft", (ndim - 1,), size if input_onesided else None)
    cut = slice_in_dim(cut, 0, length, axis=-1)
    weights = (
        _named_window("istft", window, length).astype(real)
        if isinstance(window, (str, tuple))
        else convert(to_array(window), real)
    )
    if shape_of(weights) != (length,):
        raise ShapeError(f"[istft] expected a window of {length} weights, got shape {shape_of(weights)}.")
    step = length - overlap
    x = _overlapped(e.mul(cut, e.mul(weights, reduce_sum(weights, (0,)))), step)
    squares = e.add(np.zeros((shape_of(z)[-2], 1), real), e.square(weights))
    norm = _overlapped(squares, step)
    if boundary:
        margin, n = length // 2, shape_of(x)[-1]
        x, norm = slice_in_dim(x, margin, n - margin, axis=-1), slice_in_dim(norm, margin, n - margin, axis=-1)
    x = e.div(x, e.select(e.gt(norm, 1e-10), norm, e.fill_like(norm, 1)))
    times = convert(e.div(np.arange(shape_of(x)[-1], dtype=real), fs), real)
    return times, moveaxis(x, -1, time_axis - (freq_axis < time_axis))
