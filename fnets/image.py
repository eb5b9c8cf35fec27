"""`fnets.image`: images in another size, under `jax.image`'s names. May import `fnets.numpy`, primitives, core.

Each axis is resampled by a matrix of weights (P. Heckbert, "Fundamentals of Texture Mapping and Image Warping", 1989): a pixel of the result is a
weighted mean of pixels around the place that it comes from, pixel i being the square from i to i + 1. Reading through a kernel widened by
the scale (`antialias`) keeps frequencies that the smaller image cannot hold out of it.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.numpy.arguments import static_shape, to_array, to_inexact
from fnets.primitives import elementwise as e
from fnets.primitives.base import as_axis, convert, reduce_sum
from fnets.primitives.gather import index_gather
from fnets.primitives.linear_algebra import matmul
from fnets.primitives.shape import concatenate, expand_dims, moveaxis, slice_in_dim

__all__ = ["ResizeMethod", "resize", "scale_and_translate"]


class ResizeMethod(enum.Enum):
    """How to resample: the nearest pixel; linear; Lanczos' windowed sinc over 3 or 5 pixels; Keys' cubic; PyTorch's cubic; the mean of an area.

    >>> ResizeMethod.from_string("bilinear")
    <ResizeMethod.LINEAR: 1>
    """

    NEAREST = 0
    LINEAR = 1
    LANCZOS3 = 2
    LANCZOS5 = 3
    CUBIC = 4
    CUBIC_PYTORCH = 5
    AREA = 6

    @staticmethod
    def from_string(s: str) -> ResizeMethod:
        """The method of a name, such as "linear", "bilinear", "trilinear" or "triangle"."""
        if s not in _NAMES:
            raise ArgumentError(f"[resize] expected a method {', '.join(map(repr, _NAMES))}, got {s!r}.")
        return _NAMES[s]


_NAMES = {
    "nearest": ResizeMethod.NEAREST,
    **dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), ResizeMethod.LINEAR),
    "lanczos3": ResizeMethod.LANCZOS3,
    "lanczos5": ResizeMethod.LANCZOS5,
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), ResizeMethod.CUBIC),
    **dict.fromkeys(("cubic-pytorch", "bicubic-pytorch"), ResizeMethod.CUBIC_PYTORCH),
    "area": ResizeMethod.AREA,
}

# ------------------------------------------------------------------ kernels of a distance >= 0


def _triangle(x: Any) -> Any:
    return e.maximum(e.sub(1, x), 0)


def _lanczos(radius: int) -> Callable:
    def kernel(x: Any) -> Any:
        near = e.lt(x, 1e-3)
        angle = e.mul(e.select(near, e.fill_like(x, 1), x), math.pi)
        value = e.div(e.mul(e.mul(e.sin(angle), e.sin(e.div(angle, radius))), radius), e.square(angle))
        return e.select(e.gt(x, radius), e.fill_like(x, 0), e.select(near, e.fill_like(x, 1), value))

    return kernel


def _cubic(a: float) -> Callable:
    """The cubic of R. Keys (IEEE Transactions on Acoustics, Speech, and Signal Processing 29, 1981), whose slope at 1 is `a`."""

    def polynomial(x: Any, *coefficients: float) -> Any:
        out = e.mul(x, coefficients[0])
        for c in coefficients[1:-1]:
            out = e.mul(e.add(out, c), x)
        return e.add(out, coefficients[-1])

    def kernel(x: Any) -> Any:
        near, far = polynomial(x, a + 2, -(a + 3), 0, 1), polynomial(x, a, -5 * a, 8 * a, -4 * a)
        return e.select(e.lt(x, 1), near, e.select(e.lt(x, 2), far, e.fill_like(x, 0)))

    return kernel


_KERNELS: dict[ResizeMethod, Callable] = {
    ResizeMethod.LINEAR: _triangle,
    ResizeMethod.LANCZOS3: _lanczos(3),
    ResizeMethod.LANCZOS5: _lanczos(5),
    ResizeMethod.CUBIC: _cubic(-0.5),
    ResizeMethod.CUBIC_PYTORCH: _cubic(-0.75),
}

# ------------------------------------------------------------------ weights


class _Axis(NamedTuple):
    """One axis that is resampled: position y = x * scale + translation."""

    axis: int
    old: int
    new: int
    scale: Any
    translation: Any


def _weights(a: _Axis, method: ResizeMethod, antialias: bool, edges: bool, dtype: np.dtype) -> Any:
    """The matrix (old, new) of weights. edges: pixels beyond an edge are as that; otherwise they do not count."""
    back = e.div(np.ones((), dtype), a.scale)
    shift = e.mul(a.translation, back)
    if method is ResizeMethod.AREA:
        left = e.sub(e.mul(np.arange(a.new, dtype=dtype), back), shift)
        pixels = np.arange(a.old, dtype=dtype)[:, None]
        overlap = e.sub(e.minimum(e.add(left, back), pixels + 1), e.maximum(left, pixels))
        weights = e.maximum(overlap, 0)
        centres = e.sub(e.add(left, e.mul(back, 0.5)), 0.5)
    else:
        centres = e.sub(e.sub(e.mul(np.arange(a.new, dtype=dtype) + dtype.type(0.5), back), shift), 0.5)
        reach = 2 if edges else 0
        pixels = np.arange(-reach, a.old + reach, dtype=dtype)[:, None]
        distance = e.abs(e.sub(centres, pixels))
        if antialias:
            distance = e.div(distance, e.maximum(back, 1))
        weights = _KERNELS[method](distance)
        if edges:
            first = reduce_sum(slice_in_dim(weights, 0, reach + 1, axis=0), (0,))
            last = reduce_sum(slice_in_dim(weights, a.old + reach - 1, a.old + 2 * reach, axis=0), (0,))
            inner = slice_in_dim(weights, reach + 1, max(a.old + reach - 1, reach + 1), axis=0)
            if a.old == 1:
                return np.ones((1, a.new), dtype)
            weights = concatenate([expand_dims(first, 0), inner, expand_dims(last, 0)], 0)
    total = reduce_sum(weights, (0,))
    usable = e.gt(e.abs(total), 1000 * float(np.finfo(np.float32).eps))
    weights = e.select(usable, e.div(weights, e.select(usable, total, e.fill_like(total, 1))), e.fill_like(weights, 0))
    if edges:
        return weights
    inside = e.logical_and(e.ge(centres, -0.5), e.le(centres, a.old - 0.5))
    return e.select(inside, weights, e.fill_like(weights, 0))


def _resampled(x: Any, axes: Sequence[_Axis], method: ResizeMethod, antialias: bool) -> Any:
    dtype = dtype_of(x)
    real = np.finfo(dtype).dtype
    edges = method is ResizeMethod.CUBIC_PYTORCH and not antialias
    if method is ResizeMethod.CUBIC_PYTORCH and antialias:
        method = ResizeMethod.CUBIC
    for a in axes:
        scale, translation = convert(to_array(a.scale), real), convert(to_array(a.translation), real)
        weights = _weights(a._replace(scale=scale, translation=translation), method, antialias, edges, real)
        x = moveaxis(matmul(moveaxis(x, a.axis, -1), convert(weights, dtype)), -1, a.axis)
    return x


# ------------------------------------------------------------------ functions


def _arguments(op: str, image: Any, shape: Any, method: str | ResizeMethod) -> tuple[Any, tuple, ResizeMethod]:
    image, shape = to_array(image), static_shape(shape, op)
    if len(shape) != len(shape_of(image)):
        raise ShapeError(
            f"[{op}] expected a length for each axis of the image, whose shape is {shape_of(image)}, got {shape}."
        )
    return image, shape, ResizeMethod.from_string(method) if isinstance(method, str) else method


def resize(image: Any, shape: Any, method: str | ResizeMethod, antialias: bool = True, precision: Any = None) -> Any:
    """The image in another shape.

    Args:
      image: array of any number of axes; those whose length stays are batch or channel axes.
      shape: the new length of every axis.
      method: a `ResizeMethod` or its name: "nearest", "linear", "cubic", "cubic-pytorch", "lanczos3", "lanczos5", "area".
      antialias: widen the kernel where the image shrinks.
      precision: accepted and ignored.

    Returns:
      An array of that shape: for "nearest" of the image's dtype, else integers become float64. Linear in the image, and differentiable.

    Raises:
      ShapeError: not as many lengths as axes. ArgumentError: another method.

    >>> resize(np.array([0.0, 4.0]), (4,), "linear")
    array([0., 1., 3., 4.])
    """
    image, shape, method = _arguments("resize", image, shape, method)
    axes = [
        _Axis(i, n, m, m / n if n and m else 1.0, 0.0) for i, (n, m) in enumerate(zip(shape_of(image), shape)) if n != m
    ]
    if method is not ResizeMethod.NEAREST:
        return _resampled(to_inexact(image), axes, method, antialias)
    for a in axes:
        positions = ((2 * np.arange(a.new) + 1) * a.old) // (2 * a.new)
        image = moveaxis(index_gather(moveaxis(image, a.axis, 0), (positions,), (0,)), 0, a.axis)
    return image


def scale_and_translate(
    image: Any,
    shape: Any,
    spatial_dims: Sequence[int],
    scale: Any,
    translation: Any,
    method: str | ResizeMethod,
    antialias: bool = True,
    precision: Any = None,
) -> Any:
    """The image, scaled and moved: what is at x comes to x * scale + translation, pixel i being the interval from i to i + 1.

    Args:
      image: array of any number of axes.
      shape: the length of every axis of the result; axes that are not named in `spatial_dims` keep theirs.
      spatial_dims: k axes.
      scale, translation: arrays (k,).
      method: as in `resize`, but not "nearest".
      antialias: widen the kernel where the image shrinks.
      precision: accepted and ignored.

    Returns:
      A float array; places that come from outside of the image are 0. Differentiable in the image, the scale and the translation.

    Raises:
      ShapeError: lengths that do not fit. ArgumentError: another method.

    >>> scale_and_translate(np.array([1.0, 2.0]), (3,), (0,), np.array([1.0]), np.array([1.0]), "linear")
    array([0., 1., 2.])
    """
    image, shape, method = _arguments("scale_and_translate", image, shape, method)
    if method is ResizeMethod.NEAREST:
        raise ArgumentError(
            "[scale_and_translate] expected a method that interpolates, got nearest. Use resize, or linear."
        )
    n = shape_of(image)
    dims = [as_axis(d, len(n), "scale_and_translate") for d in spatial_dims]
    scale, translation = to_inexact(scale), to_inexact(translation)
    if shape_of(scale) != (len(dims),) or shape_of(translation) != (len(dims),):
        raise ShapeError(
            f"[scale_and_translate] expected scale and translation of shape ({len(dims)},), one for each of spatial_dims, "
            f"got {shape_of(scale)} and {shape_of(translation)}."
        )
    if any([shape[i] != n[i] for i in range(len(n)) if i not in dims]):
        raise ShapeError(
            f"[scale_and_translate] expected axes other than {dims} to keep their length, as in {n}, got {shape}. Name them in spatial_dims."
        )
    axes = [_Axis(d, n[d], shape[d], scale[i], translation[i]) for i, d in enumerate(dims)]
    return _resampled(to_inexact(image), axes, method, antialias)
