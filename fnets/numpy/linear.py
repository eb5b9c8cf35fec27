"""Products of vectors, matrices and arrays, and diagonals, under NumPy's names. May import arguments, manipulation, reductions, primitives.

`precision` is accepted and ignored; `preferred_element_type` is a dtype to compute in and return.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.numpy import manipulation as m
from fnets.numpy.arguments import as_dtype, as_type, operand, pair, promoted, refuse_out, to_array
from fnets.numpy.arguments import operands as as_arrays
from fnets.numpy.reordering import resize
from fnets.primitives import diagonals
from fnets.primitives import elementwise as e
from fnets.primitives import linear_algebra as la
from fnets.primitives.base import convert
from fnets.primitives.einsum import einsum as _einsum
from fnets.primitives.gather import index_gather
from fnets.primitives.shape import expand_dims, moveaxis, pad, squeeze

__all__ = [
    "cross", "diag", "diagflat", "diagonal", "dot", "einsum", "einsum_path", "fill_diagonal", "inner", "kron",
    "matmul", "matvec", "outer", "tensordot", "trace", "tril", "triu", "vander", "vdot", "vecdot", "vecmat",
]  # fmt: skip

# ------------------------------------------------------------------ products


def matmul(a: Any, b: Any, /, *, precision: Any = None, preferred_element_type: Any = None, out: Any = None) -> Any:
    """The matrix product `a @ b`: a vector counts as a row on the left and a column on the right; leading axes broadcast.

    Args:
      a: array (..., m, k) or (k,).
      b: array (..., k, n) or (k,).

    Raises:
      ShapeError: the inner lengths differ, or an operand is a scalar.

    >>> matmul(np.ones((2, 3)), np.ones(3))
    array([3., 3.])
    """
    refuse_out("matmul", out)
    return la.matmul(to_array(a), to_array(b), preferred_element_type=preferred_element_type)


def dot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None, out: Any = None) -> Any:
    """The product over the last axis of `a` and the last but one of `b`; of vectors the inner product, of scalars the product.

    >>> dot(np.array([1, 2]), np.array([3, 4]))
    np.int64(11)
    """
    refuse_out("dot", out)
    return la.dot(operand(a), operand(b), preferred_element_type=preferred_element_type)


def vdot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """The inner product of two raveled arrays, the first one conjugated.

    >>> vdot(np.array([1j]), np.array([1j]))
    np.complex128(1+0j)
    """
    return la.vdot(*pair(a, b), preferred_element_type=preferred_element_type)


def inner(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """The product over the last axis of both.

    >>> inner(np.array([1, 2]), np.array([3, 4]))
    np.int64(11)
    """
    return la.inner(operand(a), operand(b), preferred_element_type=preferred_element_type)


def outer(a: Any, b: Any, out: Any = None) -> Any:
    """Every product of an element of `a` and one of `b`, as a matrix.

    >>> outer(np.array([1, 2]), np.array([3, 4]))
    array([[3, 4],
           [6, 8]])
    """
    refuse_out("outer", out)
    return la.outer(*pair(a, b))


def tensordot(a: Any, b: Any, axes: Any = 2, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """The product over several axes.

    Args:
      a, b: arrays.
      axes: how many of the last axes of `a` and the first of `b`, or a pair of axes (or sequences of axes).

    >>> tensordot(np.ones((2, 3, 4)), np.ones((4, 3, 5)), ((1, 2), (1, 0))).shape
    (2, 5)
    """
    return la.tensordot(*pair(a, b), axes, preferred_element_type=preferred_element_type)


def _rows(x: Any) -> Any:
    return expand_dims(x, -2)


def _columns(x: Any) -> Any:
    return expand_dims(x, -1)


def _at_least(op: str, x: Any, ndim: int) -> Any:
    x = to_array(x)
    if len(shape_of(x)) < ndim:
        raise ShapeError(f"[{op}] expected an array with at least {ndim} axes, got shape {shape_of(x)}.")
    return x


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """The inner product along an axis, `x1` conjugated; the other axes broadcast.

    >>> vecdot(np.array([[1, 2], [3, 4]]), np.array([1, 1]))
    array([3, 7])
    """
    x1, x2 = _at_least("vecdot", x1, 1), _at_least("vecdot", x2, 1)
    if axis != -1:
        x1, x2 = moveaxis(x1, axis, -1), moveaxis(x2, axis, -1)
    if shape_of(x1)[-1] != shape_of(x2)[-1]:
        raise ShapeError(
            f"[vecdot] expected axes of equal length to sum over, got {shape_of(x1)[-1]} and {shape_of(x2)[-1]}."
        )
    out = la.matmul(_rows(e.conj(x1)), _columns(x2), preferred_element_type=preferred_element_type)
    return squeeze(out, (-2, -1))


def matvec(x1: Any, x2: Any, /) -> Any:
    """Matrices times vectors: (..., m, n) and (..., n) give (..., m).

    >>> matvec(np.ones((2, 3)), np.ones((5, 3))).shape
    (5, 2)
    """
    return squeeze(la.matmul(_at_least("matvec", x1, 2), _columns(_at_least("matvec", x2, 1))), -1)


def vecmat(x1: Any, x2: Any, /) -> Any:
    """Conjugated vectors times matrices: (..., n) and (..., n, m) give (..., m).

    >>> vecmat(np.ones((5, 2)), np.ones((2, 3))).shape
    (5, 3)
    """
    return squeeze(la.matmul(_rows(e.conj(_at_least("vecmat", x1, 1))), _at_least("vecmat", x2, 2)), -2)


def kron(a: Any, b: Any) -> Any:
    """The Kronecker product: every element of `a` times all of `b`.

    >>> kron(np.array([1, 10]), np.array([1, 2]))
    array([ 1,  2, 10, 20])
    """
    return la.kron(*pair(a, b))


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """The vector product of vectors of length 3 (or 2, then the third component alone, or counted as 0).

    >>> cross(np.array([1, 0, 0]), np.array([0, 1, 0]))
    array([0, 0, 1])
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = promoted(a, b)
    a, b = moveaxis(_at_least("cross", a, 1), axisa, -1), moveaxis(_at_least("cross", b, 1), axisb, -1)
    lengths = shape_of(a)[-1], shape_of(b)[-1]
    if not set(lengths) <= {2, 3}:
        raise ShapeError(
            f"[cross] expected vectors of length 2 or 3, got lengths {lengths[0]} and {lengths[1]}. Choose the axes with axis=."
        )

    def part(x: Any, i: Any) -> Any:
        return index_gather(x, (i,), (len(shape_of(x)) - 1,), unique=True)

    if max(lengths) == 2:
        (x, y), (u, v) = [[part(w, np.int64(i)) for i in range(2)] for w in (a, b)]
        return e.sub(e.mul(x, v), e.mul(y, u))
    a, b = _pad_last(a, 3), _pad_last(b, 3)
    out = e.sub(e.mul(part(a, _AHEAD), part(b, _BEHIND)), e.mul(part(a, _BEHIND), part(b, _AHEAD)))
    return moveaxis(out, -1, axisc)


_AHEAD, _BEHIND = np.array([1, 2, 0]), np.array([2, 0, 1])


def _pad_last(x: Any, n: int) -> Any:
    missing = n - shape_of(x)[-1]
    config = ((0, 0, 0),) * (len(shape_of(x)) - 1) + ((0, missing, 0),)
    return pad(x, np.zeros((), dtype_of(x)), config) if missing else x


def einsum(
    subscripts: Any,
    /,
    *operands: Any,
    out: Any = None,
    optimize: Any = True,
    precision: Any = None,
    preferred_element_type: Any = None,
    dtype: Any = None,
    order: str = "K",
    casting: str = "safe",
) -> Any:
    """Sums of products of array elements in Einstein's notation.

    Args:
      subscripts, operands: `"ij,jk->ik", a, b`, or `a, [0, 1], b, [1, 2], [0, 2]`. Without `->` (or a last list) the result has the labels
        that occur once, in alphabetical order; `...` stands for further axes, which broadcast.
      optimize, precision, order, casting: accepted and ignored: the order of contraction is always chosen.
      preferred_element_type, dtype: dtype to compute in and return; the promoted one by default.

    Raises:
      ShapeError: the subscripts do not fit the shapes.

    >>> einsum("ij,kj->ik", np.ones((2, 3)), np.ones((4, 3))).shape
    (2, 4)
    """
    refuse_out("einsum", out)
    if isinstance(subscripts, str):
        operands = tuple(as_arrays(*operands))
    return _einsum(subscripts, *operands, preferred_element_type=preferred_element_type, dtype=dtype)


def einsum_path(subscripts: Any, /, *operands: Any, optimize: Any = "greedy") -> tuple[list, Any]:
    """The order in which NumPy would contract the operands of an `einsum`, and a description of its cost.

    >>> einsum_path("ij,jk,kl->il", np.ones((2, 3)), np.ones((3, 4)), np.ones((4, 5)))[0]
    ['einsum_path', (1, 2), (0, 1)]
    """
    shapes = [np.broadcast_to(np.float32(0), shape_of(to_array(x))) for x in operands]
    return np.einsum_path(subscripts, *shapes, optimize="greedy" if optimize is True else optimize)


# ------------------------------------------------------------------ diagonals and triangles


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The elements of the plane of two axes whose second position is the first one plus `offset`, along a new last axis.

    >>> diagonal(np.arange(9).reshape(3, 3), 1)
    array([1, 5])
    """
    return diagonals.diagonal(to_array(a), offset, axis1, axis2)


def diag(v: Any, k: int = 0) -> Any:
    """A matrix with the vector `v` on its k-th diagonal; of a matrix, its k-th diagonal.

    >>> diag(np.array([1, 2]))
    array([[1, 0],
           [0, 2]])
    """
    return diagonals.diag(to_array(v), k)


def diagflat(v: Any, k: int = 0) -> Any:
    """A matrix with the raveled `v` on its k-th diagonal.

    >>> diagflat(np.array([[1, 2]])).shape
    (2, 2)
    """
    return diagonals.diag(m.ravel(v), k)


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    """The sum along a diagonal.

    >>> trace(np.arange(4).reshape(2, 2))
    np.int64(3)
    """
    refuse_out("trace", out)
    a = to_array(a)
    return diagonals.trace(a if dtype is None else convert(a, as_dtype(dtype)), offset, axis1, axis2)


def _square_of(x: Any) -> Any:
    """A vector as the matrix whose rows all are that vector, as NumPy's `tril` takes it; other arrays as they are."""
    x = to_array(x)
    return m.broadcast_to(x, shape_of(x) * 2) if x.ndim == 1 else x


def tril(m: Any, k: int = 0) -> Any:
    """A copy with zeros above the k-th diagonal of the last two axes.

    >>> tril(np.ones((2, 2)))
    array([[1., 0.],
           [1., 1.]])
    """
    return diagonals.tril(_square_of(m), k)


def triu(m: Any, k: int = 0) -> Any:
    """A copy with zeros below the k-th diagonal of the last two axes.

    >>> triu(np.ones((2, 2)))
    array([[1., 1.],
           [0., 1.]])
    """
    return diagonals.triu(_square_of(m), k)


def fill_diagonal(a: Any, val: Any, wrap: bool = False, *, inplace: bool = False) -> Any:
    """A copy of `a` with its main diagonal set to a value, or to values that repeat.

    NumPy's function of this name writes into its argument; here nothing changes, and `inplace=True` is refused.

    >>> fill_diagonal(np.zeros((2, 2)), 5.0)
    array([[5., 0.],
           [0., 5.]])
    """
    if inplace:
        raise ArgumentError(
            "[fill_diagonal] expected inplace=False, got True: arrays here never change. Write a = fill_diagonal(a, value)."
        )
    a = to_array(a)
    shape = shape_of(a)
    if len(shape) < 2 or (len(shape) > 2 and len(set(shape)) != 1):
        raise ShapeError(f"[fill_diagonal] expected a matrix, or equal lengths of all axes, got shape {shape}.")
    n = shape[0] if wrap and len(shape) == 2 else min(shape)
    step = shape[1] + 1 if len(shape) == 2 else sum([shape[0] ** i for i in range(len(shape))])
    size = shape[0] * shape[1] if len(shape) == 2 else shape[0] ** len(shape)
    positions = np.arange(0, size if wrap else min(size, n * step), step)
    on = np.zeros(size, bool)
    on[positions] = True
    place = np.zeros(size, np.int64)
    place[positions] = np.arange(len(positions))
    values = resize(m.atleast_1d(as_type(val, dtype_of(a))), (max(len(positions), 1),))
    spread = index_gather(values, (place.reshape(shape),), (0,))
    return e.select(on.reshape(shape), spread, a)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """The matrix whose columns are powers of the vector `x`, the highest first unless `increasing`.

    >>> vander(np.array([1, 2, 3]), 2)
    array([[1, 1],
           [2, 1],
           [3, 1]])
    """
    x = to_array(x)
    if len(shape_of(x)) != 1:
        raise ShapeError(f"[vander] expected a vector, got shape {shape_of(x)}.")
    n = shape_of(x)[0] if N is None else N
    powers = [np.ones(shape_of(x), dtype_of(x) if dtype_of(x).kind != "b" else np.int64)]
    for _ in range(n - 1):
        powers.append(e.mul(powers[-1], x))
    if not n:
        return np.zeros((shape_of(x)[0], 0), dtype_of(x))
    return m.stack(powers if increasing else powers[::-1], 1)
