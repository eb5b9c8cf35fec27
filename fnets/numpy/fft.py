"""`fnets.numpy.fft`: the discrete Fourier transforms of `numpy.fft`, differentiable. May import the other parts of `fnets.numpy`, primitives, core.

Single precision stays single: float32 gives complex64, as in NumPy 2; integers count as float64. Every function takes `n` (or `s`), the number of
points: the input is cut or filled up with zeros at its end; `axis` (or `axes`); and `norm`, which says who is divided by the number of points: the
inverse ("backward"), the transform ("forward"), or both by its root ("ortho").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnets.config import default_float
from fnets.core.trace import Tracer, dtype_of, shape_of
from fnets.errors import ArgumentError, AxisError, DTypeError
from fnets.numpy.arguments import as_dtype, known_int, refuse_out, to_array, to_inexact
from fnets.primitives.base import as_axis, convert
from fnets.primitives.elementwise import conj, div, mul
from fnets.primitives.fft import complex_dtype, transform
from fnets.primitives.shape import pad, roll, slice_in_dim

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft", "irfft", "irfft2", "irfftn",
    "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip

_NORMS = {None: "backward", "backward": "backward", "ortho": "ortho", "forward": "forward"}


# ------------------------------------------------------------------ arguments


def _norm(op: str, norm: Any) -> str:
    try:
        return _NORMS[norm]
    except (KeyError, TypeError):
        raise ArgumentError(f'[{op}] expected norm "backward", "ortho", "forward" or None, got {norm!r}.') from None


def _axis(op: str, axis: Any, ndim: int) -> int:
    if isinstance(axis, (list, tuple)):
        raise ArgumentError(f"[{op}] expected one axis, got {axis}. Use {op}n for several.")
    return as_axis(axis, ndim, op)


def _axes(op: str, axes: Any, s: Any, ndim: int) -> tuple[int, ...]:
    if axes is None:
        axes = range(ndim) if s is None else range(-len(s), 0)
    checked = tuple([as_axis(a, ndim, op) for a in axes])
    if len(set(checked)) != len(checked):
        raise AxisError(
            f"[{op}] expected different axes, got {list(axes)}: one is named twice. Transform twice instead."
        )
    if s is not None and len(s) != len(checked):
        raise ArgumentError(f"[{op}] expected as many lengths s as axes, got {len(s)} and {len(checked)}.")
    return checked


def _points(op: str, n: Any) -> int:
    n = known_int(n, op, "the number of points")
    if n < 1:
        raise ArgumentError(f"[{op}] expected at least one point, got {n}.")
    return n


def _resized(x: Any, axis: int, n: int) -> Any:
    """Cut or filled up with zeros at the end of an axis."""
    have = shape_of(x)[axis]
    if have > n:
        return slice_in_dim(x, 0, n, axis=axis)
    if have < n:
        config = [(0, n - have if i == axis else 0, 0) for i in range(len(shape_of(x)))]
        return pad(x, np.zeros((), dtype_of(x)), config)
    return x


def _operand(op: str, kind: str, a: Any) -> Any:
    x = to_inexact(a)
    if kind == "rfft" and dtype_of(x).kind == "c":
        raise DTypeError(f"[{op}] expected a real array, got {dtype_of(x).name}. Use x.real, or the complex transform.")
    return convert(x, complex_dtype(dtype_of(x))) if kind == "irfft" else x


def _transformed(op: str, kind: str, a: Any, s: Any, axes: tuple[int, ...], norm: Any) -> Any:
    """A transform over checked axes; s holds a number of points, None or -1 (as they are) per axis."""
    norm = _norm(op, norm)
    x = _operand(op, kind, a)
    if not axes:
        return x
    length = None
    for axis, n in zip(axes, s if s is not None else (None,) * len(axes)):
        real_side = kind == "irfft" and axis == axes[-1]
        if n is None or (isinstance(n, int) and n == -1):
            n = max(1, 2 * (shape_of(x)[axis] - 1)) if real_side else shape_of(x)[axis]
        else:
            n = _points(op, n)
        x = _resized(x, axis, n // 2 + 1 if real_side else n)
        length = n
    return transform(x, kind, axes, length, norm)


def _one(op: str, kind: str, a: Any, n: Any, axis: Any, norm: Any, out: Any) -> Any:
    refuse_out(op, out)
    a = to_array(a)
    return _transformed(op, kind, a, (n,), (_axis(op, axis, len(shape_of(a))),), norm)


def _several(op: str, kind: str, a: Any, s: Any, axes: Any, norm: Any, out: Any) -> Any:
    refuse_out(op, out)
    a = to_array(a)
    return _transformed(op, kind, a, s, _axes(op, axes, s, len(shape_of(a))), norm)


def _two(op: str, kind: str, a: Any, s: Any, axes: Any, norm: Any, out: Any) -> Any:
    if axes is not None and len(axes) != 2:
        raise ArgumentError(f"[{op}] expected two axes, got {axes}. Use {op[:-1]}n.")
    return _several(op, kind, a, s, axes, norm, out)


# ------------------------------------------------------------------ one axis


def fft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """The discrete Fourier transform: X_k = sum_j x_j exp(-2 pi i j k / n).

    Args:
      a: array, real or complex.
      n: number of points along the axis; by default its length.

    Raises:
      ArgumentError: n below 1 or an unknown norm.
      AxisError: the axis is out of range.

    >>> fft(np.array([1.0, 0.0, 0.0]))
    array([1.+0.j, 1.+0.j, 1.+0.j])
    """
    return _one("fft", "fft", a, n, axis, norm, out)


def ifft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """The inverse discrete Fourier transform.

    >>> ifft(np.array([3.0, 0.0, 0.0])).real
    array([1., 1., 1.])
    """
    return _one("ifft", "ifft", a, n, axis, norm, out)


def rfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """The transform of real numbers: the n // 2 + 1 frequencies from 0 up; the others are their conjugates.

    >>> rfft(np.array([1.0, 2.0, 3.0])).real
    array([ 6. , -1.5])
    """
    return _one("rfft", "rfft", a, n, axis, norm, out)


def irfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """The inverse of `rfft`: n real numbers from n // 2 + 1 frequencies.

    Args:
      a: array of frequencies.
      n: number of real points; by default twice one less than the number of frequencies.

    >>> irfft(np.array([6.0, -1.5 + 0.8660254j]), 3).round(3)
    array([1., 2., 3.])
    """
    return _one("irfft", "irfft", a, n, axis, norm, out)


_OTHER = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def hfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """The transform of Hermitian symmetric numbers, given by their first n // 2 + 1: n real frequencies.

    >>> hfft(np.array([1.0, 2.0, 3.0]))
    array([ 8., -2.,  0., -2.])
    """
    other = _OTHER[_norm("hfft", norm)]
    return _one("hfft", "irfft", conj(to_inexact(a)), n, axis, other, out)


def ihfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """The inverse of `hfft`: the first n // 2 + 1 of Hermitian symmetric numbers.

    >>> ihfft(np.array([8.0, -2.0, 0.0, -2.0])).real
    array([1., 2., 3.])
    """
    other = _OTHER[_norm("ihfft", norm)]
    return conj(_one("ihfft", "rfft", a, n, axis, other, out))


# ------------------------------------------------------------------ several axes

Axes = Sequence[int] | None


def fftn(a: Any, s: Axes = None, axes: Axes = None, norm: str | None = None, out: Any = None) -> Any:
    """The discrete Fourier transform over several axes, by default all, or the last `len(s)`.

    Args:
      a: array, real or complex.
      s: number of points per axis; -1 leaves one as it is.
      axes: different axes.

    >>> fftn(np.ones((2, 2))).real
    array([[4., 0.],
           [0., 0.]])
    """
    return _several("fftn", "fft", a, s, axes, norm, out)


def ifftn(a: Any, s: Axes = None, axes: Axes = None, norm: str | None = None, out: Any = None) -> Any:
    """The inverse of `fftn`.

    >>> ifftn(np.ones((2, 2))).real
    array([[1., 0.],
           [0., 0.]])
    """
    return _several("ifftn", "ifft", a, s, axes, norm, out)


def rfftn(a: Any, s: Axes = None, axes: Axes = None, norm: str | None = None, out: Any = None) -> Any:
    """The transform of real numbers over several axes: `rfft` along the last of them, `fft` along the others.

    >>> rfftn(np.ones((2, 4))).shape
    (2, 3)
    """
    return _several("rfftn", "rfft", a, s, axes, norm, out)


def irfftn(a: Any, s: Axes = None, axes: Axes = None, norm: str | None = None, out: Any = None) -> Any:
    """The inverse of `rfftn`; the last of `s` is the number of real points along the last axis.

    >>> irfftn(np.ones((2, 3))).shape
    (2, 4)
    """
    return _several("irfftn", "irfft", a, s, axes, norm, out)


def fft2(a: Any, s: Axes = None, axes: Axes = (-2, -1), norm: str | None = None, out: Any = None) -> Any:
    """The discrete Fourier transform over two axes.

    >>> fft2(np.ones((2, 2))).real
    array([[4., 0.],
           [0., 0.]])
    """
    return _two("fft2", "fft", a, s, axes, norm, out)


def ifft2(a: Any, s: Axes = None, axes: Axes = (-2, -1), norm: str | None = None, out: Any = None) -> Any:
    """The inverse of `fft2`.

    >>> ifft2(np.ones((2, 2))).real
    array([[1., 0.],
           [0., 0.]])
    """
    return _two("ifft2", "ifft", a, s, axes, norm, out)


def rfft2(a: Any, s: Axes = None, axes: Axes = (-2, -1), norm: str | None = None, out: Any = None) -> Any:
    """The transform of real numbers over two axes.

    >>> rfft2(np.ones((2, 4))).shape
    (2, 3)
    """
    return _two("rfft2", "rfft", a, s, axes, norm, out)


def irfft2(a: Any, s: Axes = None, axes: Axes = (-2, -1), norm: str | None = None, out: Any = None) -> Any:
    """The inverse of `rfft2`.

    >>> irfft2(np.ones((2, 3))).shape
    (2, 4)
    """
    return _two("irfft2", "irfft", a, s, axes, norm, out)


# ------------------------------------------------------------------ frequencies and their order


def _frequencies(op: str, counts: np.ndarray, n: Any, d: Any, dtype: Any) -> Any:
    if len(shape_of(d := to_array(d) if isinstance(d, (list, tuple)) else d)):
        raise ArgumentError(f"[{op}] expected one spacing d, got shape {shape_of(d)}.")
    if isinstance(d, Tracer):
        return div(convert(counts, as_dtype(dtype) or dtype_of(d)), mul(d, n))
    return (counts * (1.0 / (n * d))).astype(as_dtype(dtype) or default_float(), copy=False)


def _count(op: str, n: Any) -> int:
    if isinstance(n, (list, tuple, np.ndarray)) and np.ndim(n):
        raise ArgumentError(f"[{op}] expected one number of points n, got {n}.")
    return _points(op, n)


def fftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
    """The frequencies of `fft`'s results, in cycles per unit of the spacing.

    Args:
      n: number of points.
      d: spacing of the points.
      dtype: of the result; the default float if None.

    >>> fftfreq(4, 0.5)
    array([ 0. ,  0.5, -1. , -0.5], dtype=float32)
    """
    n = _count("fftfreq", n)
    counts = np.concatenate([np.arange((n + 1) // 2), np.arange(-(n // 2), 0)])
    return _frequencies("fftfreq", counts, n, d, dtype)


def rfftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
    """The frequencies of `rfft`'s results, in cycles per unit of the spacing; the arguments are those of `fftfreq`.

    >>> rfftfreq(4, 0.5)
    array([0. , 0.5, 1. ], dtype=float32)
    """
    n = _count("rfftfreq", n)
    return _frequencies("rfftfreq", np.arange(n // 2 + 1), n, d, dtype)


def _shifted(op: str, x: Any, axes: Any, sign: int) -> Any:
    x = to_array(x)
    shape = shape_of(x)
    if axes is None:
        axes = range(len(shape))
    elif not isinstance(axes, (list, tuple)):
        axes = (axes,)
    axes = tuple([as_axis(a, len(shape), op) for a in axes])
    return roll(x, tuple([sign * (shape[a] // 2) for a in axes]), axes)


def fftshift(x: Any, axes: Any = None) -> Any:
    """Move frequency 0 to the middle of the axes, by default all.

    >>> fftshift(np.array([0, 1, -2, -1]))
    array([-2, -1,  0,  1])
    """
    return _shifted("fftshift", x, axes, 1)


def ifftshift(x: Any, axes: Any = None) -> Any:
    """Undo `fftshift`.

    >>> ifftshift(np.array([-2, -1, 0, 1]))
    array([ 0,  1, -2, -1])
    """
    return _shifted("ifftshift", x, axes, -1)
