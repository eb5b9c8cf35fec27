"""Forms that matrices are reduced to: Hessenberg and tridiagonal, by reflectors; the Schur form; pivoting. May import solvers, shape, core and below.

The reductions themselves carry no derivative (those of eigenvalues and the like do, and are had without them); products of reflectors do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray
from fnets.core.primitive import Primitive
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.primitives import linalg_kernels as kernels
from fnets.primitives.base import arr, move_dim, nondifferentiable
from fnets.primitives.decompositions import hermitian_from, qr_p
from fnets.primitives.diagonals import diagonal, tril, triu
from fnets.primitives.elementwise import add, mul, sub
from fnets.primitives.gather import take_along
from fnets.primitives.linear_algebra import matmul
from fnets.primitives.shape import expand_dims, flip, slice_in_dim
from fnets.primitives.solvers import check_matrix, declare, mH, products, real_part, triangular_solve

# ------------------------------------------------------------------ Hessenberg form


def _hessenberg_abstract(a: ShapedArray) -> list:
    check_matrix("hessenberg", a, square=True)
    return [ShapedArray(a.shape, a.dtype), ShapedArray((*a.shape[:-2], max(a.shape[-1] - 1, 0)), a.dtype)]


def _hessenberg_call(a: Any) -> Any:
    if a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError  # the abstract rule says what is wrong
    return kernels.hessenberg(a)


# [the form with the reflectors below its subdiagonal, their factors]
hessenberg_p = declare(
    "hessenberg", _hessenberg_call, _hessenberg_abstract, "finite values. Check the matrix.", multi=True
)


def _no_derivative(*args: Any, **params: Any) -> Any:
    raise ArgumentError(
        "[hessenberg] expected no derivative of a Hessenberg, tridiagonal or Schur form, got one asked for. Use eigh, eig or qr, or stop_gradient."
    )


hessenberg_p.jvp = hessenberg_p.vjp = _no_derivative


def hessenberg(a: Any) -> tuple[Any, Any]:
    """Reduce square matrices to Hessenberg form h = q* a q, with zeros below the subdiagonal.

    Args:
      a: array (..., n, n).

    Returns:
      (array (..., n, n), taus (..., n - 1)): h in the upper triangle and the subdiagonal, and below it the reflectors, from which
      `householder_product(array[..., 1:, :-1], taus)` makes q without its first row and column. No derivative.

    >>> hessenberg(np.eye(3))[0].shape
    (3, 3)
    """
    return tuple(hessenberg_p.bind(arr(a)))


def tridiagonal(a: Any, *, lower: bool = True) -> tuple[Any, Any, Any, Any]:
    """Reduce Hermitian matrices to real tridiagonal form t = q* a q.

    Args:
      a: array (..., n, n), of which one triangle is read.
      lower: which one.

    Returns:
      (array with the reflectors in that triangle, diagonal (..., n), off-diagonal (..., n - 1), taus (..., n - 1)). No derivative.

    >>> tridiagonal(np.eye(3))[1]
    array([1., 1., 1.])
    """
    a = arr(a)
    if not lower:  # turned around, the upper triangle is a lower one
        out, d, e, taus = tridiagonal(flip(a, (-2, -1)))
        return flip(out, (-2, -1)), *[flip(x, (-1,)) for x in (d, e, taus)]
    n = shape_of(a)[-1]
    out, taus = hessenberg(hermitian_from(a, True))
    off = real_part(diagonal(out, -1, -2, -1)) if n > 1 else real_part(taus)
    # the other triangle is as it came
    return add(tril(out), triu(a, 1)), real_part(diagonal(out, 0, -2, -1)), off, taus


# ------------------------------------------------------------------ the Schur form


def _schur_abstract(a: ShapedArray) -> list:
    check_matrix("schur", a, square=True)
    return [ShapedArray(a.shape, a.dtype), ShapedArray(a.shape, a.dtype)]


def _schur_call(a: Any) -> Any:
    if a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError  # the abstract rule says what is wrong
    return kernels.schur(a)


schur_p = declare("schur", _schur_call, _schur_abstract, "finite values. Check the matrix.", multi=True)
schur_p.jvp = schur_p.vjp = _no_derivative


def schur(a: Any) -> tuple[Any, Any]:
    """The Schur forms a = z t z*, z unitary.

    Args:
      a: array (..., n, n).

    Returns:
      (t, z), of the dtype of a: t is a triangle, or for real matrices one with 2 by 2 blocks, of equal diagonal elements, for complex pairs of
      eigenvalues. Their order is as they come. Of a matrix that is not finite all is nan. No derivative.

    >>> schur(np.eye(2))[0]
    array([[1., 0.],
           [0., 1.]])
    """
    return tuple(schur_p.bind(arr(a)))


# ------------------------------------------------------------------ products of reflectors


def _block_reflector(a: Any, taus: Any) -> tuple[Any, Any]:
    """v and t with H_0 H_1 ... = I - v t v* (Schreiber and Van Loan 1989); a zero factor is no problem in this form of t."""
    m, k = shape_of(a)[-2], shape_of(taus)[-1]
    if k > min(shape_of(a)[-2:]):
        raise ShapeError(
            f"[householder_product] expected at most {min(shape_of(a)[-2:])} taus for a of shape {shape_of(a)}, got {k}."
        )
    dtype = np.finfo(dtype_of(a)).dtype
    v = add(tril(slice_in_dim(a, 0, k, axis=-1), -1), np.eye(m, k, dtype=dtype))
    d = mul(expand_dims(taus, -1), np.eye(k, dtype=dtype))
    inverse = add(matmul(d, triu(matmul(mH(v), v), 1)), np.eye(k, dtype=dtype))
    return v, triangular_solve(inverse, d, left_side=True, unit_diagonal=True)


def householder_product(a: Any, taus: Any) -> Any:
    """The product of reflections I - tau v v*, as `qr` and `hessenberg` leave them.

    Args:
      a: array (..., m, n): the columns below the diagonal are the reflectors, whose diagonal element is 1.
      taus: array (..., k), k <= min(m, n).

    Returns:
      The first n columns of the product, (..., m, n).

    >>> householder_product(np.array([[0.0], [1.0]]), np.array([1.0]))
    array([[ 0.],
           [-1.]])
    """
    a, taus = arr(a), arr(taus)
    v, t = _block_reflector(a, taus)
    m, n = shape_of(a)[-2:]
    rows = slice_in_dim(v, 0, min(m, n), axis=-2)
    if n > m:
        raise ShapeError(f"[householder_product] expected at least as many rows as columns, got shape {shape_of(a)}.")
    return sub(np.eye(m, n, dtype=np.finfo(dtype_of(a)).dtype), products(v, t, mH(rows)))


def ormqr(a: Any, taus: Any, c: Any, *, left: bool = True, transpose: bool = False) -> Any:
    """The product of q, the m by m product of reflections that `a` and `taus` hold, and a matrix.

    Args:
      a: array (..., m, n), as in `householder_product`.
      taus: array (..., k).
      c: array (..., m, l) with left, else (..., l, m).
      left: q c, otherwise c q.
      transpose: use the conjugate transpose of q.

    >>> ormqr(np.array([[0.0], [1.0]]), np.array([1.0]), np.eye(2))
    array([[ 0., -1.],
           [-1.,  0.]])
    """
    c = arr(c)
    v, t = _block_reflector(arr(a), arr(taus))
    if transpose:
        t = mH(t)
    if left:
        return sub(c, products(v, t, matmul(mH(v), c)))
    return sub(c, products(matmul(c, v), t, mH(v)))


# ------------------------------------------------------------------ pivoting


def _integer_form(name: str, call: Any, abstract: Any) -> Primitive:
    prim = Primitive(name, fresh=True)
    prim.impl, prim.abstract = call, abstract
    nondifferentiable(prim)

    def batch(size: int, vals: Sequence, dims: Sequence, **params: Any) -> tuple:
        return prim.bind(move_dim(vals[0], dims[0], 0, size), **params), 0

    prim.batch = batch
    return prim


def _column_order_abstract(a: ShapedArray) -> ShapedArray:
    check_matrix("qr", a)
    return ShapedArray((*a.shape[:-2], a.shape[-1]), np.int32)


def _swaps_abstract(pivots: ShapedArray, permutation_size: int) -> ShapedArray:
    if pivots.dtype.kind not in "iu" or not pivots.ndim:
        raise DTypeError(f"[lu_pivots_to_permutation] expected an array of integers, got {pivots.str_short()}.")
    if pivots.shape[-1] > permutation_size:
        raise ShapeError(
            f"[lu_pivots_to_permutation] expected a permutation size of at least {pivots.shape[-1]}, got {permutation_size}."
        )
    return ShapedArray((*pivots.shape[:-1], permutation_size), np.int32)


column_order_p = _integer_form("column_order", kernels.column_order, _column_order_abstract)
permutation_of_swaps_p = _integer_form("permutation_of_swaps", kernels.permutation_of_swaps, _swaps_abstract)


def lu_pivots_to_permutation(pivots: Any, permutation_size: int) -> Any:
    """The permutation of rows that the swaps of `lu` make: row i was swapped with row `pivots[i]`, one after the other.

    Args:
      pivots: integer array (..., k).
      permutation_size: the number of rows, at least k.

    Returns:
      An int32 array (..., permutation_size).

    >>> lu_pivots_to_permutation(np.array([1, 1]), 2)
    array([1, 0], dtype=int32)
    """
    return permutation_of_swaps_p.bind(arr(pivots), permutation_size=permutation_size)


def pivoted_qr(a: Any, full_matrices: bool) -> tuple[Any, Any, Any]:
    """(q, r, order) with a[..., order] = q r, the diagonal of r falling in size.

    >>> pivoted_qr(np.array([[1.0, 3.0], [0.0, 4.0]]), False)[2]
    array([1, 0], dtype=int32)
    """
    order = column_order_p.bind(a)
    ordered = take_along(a, expand_dims(order, -2), len(shape_of(a)) - 1)
    q, r = qr_p.bind(ordered, full_matrices=full_matrices)
    return q, r, order
