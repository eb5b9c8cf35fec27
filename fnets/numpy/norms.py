"""Norms of vectors and matrices, for `fnets.numpy.linalg`. May import arguments, reductions, primitives, core."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.numpy import reductions as r
from fnets.numpy.arguments import flat, to_inexact
from fnets.primitives import elementwise as e
from fnets.primitives.base import as_axes, as_axis, convert
from fnets.primitives.decompositions import svd_p
from fnets.primitives.linear_algebra import dot
from fnets.primitives.shape import expand_dims, moveaxis, squeeze

__all__ = ["matrix_norm", "norm", "real_dtype", "vector_norm"]


def real_dtype(a: Any) -> np.dtype:
    """The dtype of the real parts.

    >>> real_dtype(np.zeros(1, "complex64"))
    dtype('float32')
    """
    return np.finfo(dtype_of(a)).dtype


def _squared(x: Any) -> Any:
    if dtype_of(x).kind == "c":
        return e.add(e.square(e.real(x)), e.square(e.imag(x)))
    return e.square(x)


def _length(x: Any) -> Any:
    """The 2-norm of all elements, by inner products."""
    if dtype_of(x).kind == "c":
        re, im = flat(e.real(x)), flat(e.imag(x))
        return r.safe_sqrt(e.add(dot(re, re), dot(im, im)))
    vector = flat(x)
    if type(vector) is np.ndarray and vector.dtype.itemsize >= 4:  # nothing is traced: what NumPy itself does
        return np.sqrt(vector.dot(vector))
    return r.safe_sqrt(dot(vector, vector))


def _power(a: Any, p: Any) -> Any:
    """a ** p of numbers that are not negative, with derivative 0 at 0."""
    zero = e.eq(a, 0)
    one = np.ones((), dtype_of(a))
    at_zero = np.asarray(0.0 if p > 0 else np.inf, dtype_of(a))
    return e.select(zero, at_zero, e.pow(e.select(zero, one, a), p))


def _vector_norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if ord is None or ord == 2:
        return r.safe_sqrt(r.sum(_squared(x), axes, keepdims=keepdims))
    if isinstance(ord, str):
        raise ArgumentError(
            f"[norm] expected a number or None as the order of a vector norm, got {ord!r}. Name two axes for a matrix norm."
        )
    ord = float(ord)
    if ord == np.inf:
        return r.max(e.abs(x), axes, keepdims=keepdims, initial=0)
    if ord == -np.inf:
        return r.min(e.abs(x), axes, keepdims=keepdims)
    if ord == 0:
        return r.sum(convert(e.ne(x, 0), real_dtype(x)), axes, keepdims=keepdims)
    if ord == 1:
        return r.sum(e.abs(x), axes, keepdims=keepdims)
    return _power(r.sum(_power(e.abs(x), ord), axes, keepdims=keepdims), 1 / ord)


def matrix_norm_over(x: Any, ord: Any, axes: tuple[int, int], keepdims: bool) -> Any:
    """The norm of the matrices in two checked axes."""
    rows, columns = axes
    if rows == columns:
        raise ArgumentError(f"[norm] expected two different axes, got {rows} twice.")
    if ord in (None, "fro", "f"):
        return _vector_norm(x, 2, axes, keepdims)
    if ord in ("nuc", 2, -2):
        (s,) = svd_p.bind(moveaxis(x, axes, (-2, -1)), full_matrices=False, vectors=False)
        out = r.sum(s, -1) if ord == "nuc" else r.max(s, -1, initial=0) if ord == 2 else r.min(s, -1)
        return expand_dims(out, tuple(sorted(axes))) if keepdims else out
    if isinstance(ord, str) or ord not in (1, -1, np.inf, -np.inf):
        raise ArgumentError(
            f'[norm] expected the order of a matrix norm to be "fro", "nuc", 1, -1, 2, -2, inf or -inf, got {ord!r}.'
        )
    across, along = (rows, columns) if ord in (1, -1) else (columns, rows)
    sums = r.sum(e.abs(x), across, keepdims=True)
    out = r.max(sums, along, keepdims=True, initial=0) if ord > 0 else r.min(sums, along, keepdims=True)
    return out if keepdims else squeeze(out, tuple(sorted(axes)))


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The norm of vectors or matrices; its derivative at zero is 0.

    Args:
      x: array.
      ord: for vectors any number, inf or -inf (None: 2); for matrices "fro" (None), "nuc", 1, -1, 2, -2, inf, -inf.
      axis: an axis for vector norms, two axes for matrix norms; by default all of x, raveled if ord is None.
      keepdims: keep the reduced axes with length 1.

    Raises:
      ArgumentError: an unknown order, or a number of axes that has no norm.

    >>> norm(np.array([3.0, 4.0])), norm(np.ones((2, 2)), "nuc").round(6)
    (np.float64(5.0), np.float64(2.0))
    """
    x = to_inexact(x)
    if ord is None and axis is None and not keepdims:
        return _length(x)
    ndim = len(shape_of(x))
    if axis is None:
        if ord is None:
            return _vector_norm(x, 2, tuple(range(ndim)), keepdims)
        if ndim not in (1, 2):
            raise ArgumentError(
                f"[norm] expected axis= for an array of {ndim} axes with ord={ord!r}, got None. Name one or two axes."
            )
        axes = tuple(range(ndim))
    else:
        axes = tuple([as_axis(a, ndim, "norm") for a in (axis if isinstance(axis, (tuple, list)) else (axis,))])
    if len(axes) == 1:
        return _vector_norm(x, ord, axes, keepdims)
    if len(axes) == 2:
        return matrix_norm_over(x, ord, axes, keepdims)
    raise ArgumentError(f"[norm] expected one axis or two, got {axis}. Use vector_norm for more.")


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """The norm over axes, by default all, of their elements taken as one vector.

    >>> vector_norm(np.ones((2, 2)), ord=1)
    np.float64(4.0)
    """
    x = to_inexact(x)
    ndim = len(shape_of(x))
    return _vector_norm(x, ord, as_axes(axis, ndim, "vector_norm"), keepdims)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """The norms of the matrices in the last two axes; the orders are those of `norm`.

    >>> matrix_norm(np.ones((2, 2)))
    np.float64(2.0)
    """
    x = to_inexact(x)
    ndim = len(shape_of(x))
    if ndim < 2:
        raise ShapeError(
            f"[matrix_norm] expected a matrix, or a batch of them, got shape {shape_of(x)}. Use vector_norm."
        )
    return matrix_norm_over(x, ord, (ndim - 2, ndim - 1), keepdims)
