"""`fnets.lax.linalg`: decompositions and solvers under the names and arguments of `jax.lax.linalg`. May import `fnets.numpy`, primitives, core.

Derivatives exist in both modes but for `hessenberg`, `tridiagonal` and `schur`. What fails (a singular or indefinite matrix) raises `LinAlgError`.
"""

from __future__ import annotations

from typing import Any

import numpy as np  # noqa: F401  (for the examples)

from fnets.core.trace import shape_of
from fnets.errors import LinAlgError
from fnets.numpy import linalg as nla
from fnets.numpy.arguments import to_array, to_inexact
from fnets.primitives import elementwise as e
from fnets.primitives import matrix_forms as forms
from fnets.primitives import solvers
from fnets.primitives.decompositions import cholesky_p, eig_p, eigh_p, lu_p, qr_p, svd_p
from fnets.primitives.diagonals import diagonal, tril
from fnets.primitives.gather import take_along
from fnets.primitives.linear_algebra import matmul
from fnets.primitives.reduce import argmax, reduce_sum
from fnets.primitives.shape import concatenate, expand_dims
from fnets.primitives.solvers import mH, mT, triangular_solve_p, tridiagonal_solve_p

__all__ = [
    "LinAlgError", "cholesky", "cholesky_p", "cholesky_update", "eig", "eig_p", "eigh", "eigh_p", "hessenberg", "householder_product", "lu",
    "lu_p", "lu_pivots_to_permutation", "ormqr", "qr", "qr_p", "schur", "svd", "svd_p", "symmetric_product", "triangular_solve",
    "triangular_solve_p", "tridiagonal", "tridiagonal_solve", "tridiagonal_solve_p",
]  # fmt: skip


def cholesky(x: Any, *, symmetrize_input: bool = True) -> Any:
    """The lower triangular factors of positive definite matrices: x = L L*.

    Args:
      x: array (..., n, n), Hermitian.
      symmetrize_input: take (x + x*) / 2; otherwise only the lower triangle is read.

    Raises:
      LinAlgError: a matrix is not positive definite.

    >>> cholesky(np.array([[4.0, 2.0], [2.0, 5.0]]))
    array([[2., 0.],
           [1., 2.]])
    """
    return nla.cholesky(x, symmetrize_input=symmetrize_input)


def cholesky_update(r_matrix: Any, w_vector: Any) -> Any:
    """The upper factor of r* r + w w*, from the factor r.

    Args:
      r_matrix: array (n, n), upper triangular.
      w_vector: array (n,).

    >>> cholesky_update(np.array([[3.0]]), np.array([4.0]))
    array([[5.]])
    """
    r, w = to_inexact(r_matrix), to_inexact(w_vector)
    rows = concatenate([r, expand_dims(e.conj(w), 0)], 0)
    out = qr_p.bind(rows, full_matrices=False)[1]
    signs = e.sign(solvers.real_part(diagonal(out)))
    return e.mul(out, expand_dims(signs, -1))


def eigh(
    x: Any,
    *,
    lower: bool = True,
    symmetrize_input: bool = True,
    sort_eigenvalues: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    implementation: Any = None,
) -> tuple[Any, Any]:
    """The orthonormal eigenvectors (columns) and the eigenvalues of Hermitian matrices, in this order.

    Args:
      x: array (..., n, n).
      lower: which triangle is read, without symmetrize_input.
      symmetrize_input: take (x + x*) / 2, so that the gradient is Hermitian.
      sort_eigenvalues: accepted and ignored: they are always in ascending order.
      subset_by_index: (start, end) of those to return.
      implementation: accepted and ignored.

    Returns:
      (eigenvectors (..., n, n), eigenvalues (..., n)).

    >>> eigh(np.array([[2.0, 0.0], [0.0, 1.0]]))[1]
    array([1., 2.])
    """
    w, v = nla.eigh(x, "L" if lower else "U", symmetrize_input)
    if subset_by_index is not None:
        chosen = slice(*subset_by_index)
        w, v = w[..., chosen], v[..., :, chosen]
    return v, w


def eig(
    x: Any,
    *,
    compute_left_eigenvectors: bool = True,
    compute_right_eigenvectors: bool = True,
    enable_eigvec_derivs: bool = True,
    implementation: Any = None,
    use_magma: Any = None,
) -> list:
    """The eigenvalues and eigenvectors of square matrices, always complex.

    Args:
      x: array (..., n, n).
      compute_left_eigenvectors: return u with u* x = w u*.
      compute_right_eigenvectors: return v with x v = w v.
      enable_eigvec_derivs, implementation, use_magma: accepted and ignored: eigenvectors always have derivatives.

    Returns:
      [eigenvalues (..., n), then left and right eigenvectors (..., n, n) as asked for], columns of length 1 whose largest element is real.

    >>> eig(np.array([[2.0, 0.0], [0.0, 1.0]]), compute_left_eigenvectors=False)[0]
    array([2.+0.j, 1.+0.j])
    """
    x = to_inexact(x)
    if not (compute_left_eigenvectors or compute_right_eigenvectors):
        return [nla.eigvals(x)]
    w, v = nla.eig(x)
    left = [_normalised(mH(solvers.inv_p.bind(v)))] if compute_left_eigenvectors else []
    return [w, *left, *([v] if compute_right_eigenvectors else [])]


def _normalised(v: Any) -> Any:
    """Columns of length 1 whose largest element is real."""
    axis = len(shape_of(v)) - 2
    size = e.add(e.square(e.real(v)), e.square(e.imag(v)))
    length = e.sqrt(expand_dims(reduce_sum(size, (axis,)), -2))
    if not shape_of(v)[axis]:
        return v
    largest = take_along(v, expand_dims(argmax(size, axis), -2), axis)
    return e.mul(v, e.div(e.conj(e.sign(largest)), length))


def hessenberg(a: Any) -> tuple[Any, Any]:
    """Reduce square matrices to Hessenberg form; see `fnets.primitives.matrix_forms.hessenberg`. No derivative.

    >>> hessenberg(np.eye(3))[1]
    array([0., 0.])
    """
    return forms.hessenberg(to_inexact(a))


def householder_product(a: Any, taus: Any) -> Any:
    """The first columns of the product of reflections I - tau v v*.

    Args:
      a: array (..., m, n) with the reflectors below its diagonal.
      taus: array (..., k), k <= n <= m.

    >>> householder_product(np.array([[0.0], [1.0]]), np.array([1.0]))
    array([[ 0.],
           [-1.]])
    """
    return forms.householder_product(to_inexact(a), to_inexact(taus))


def ormqr(a: Any, taus: Any, c: Any, *, left: bool = True, transpose: bool = False) -> Any:
    """The product of a matrix with the square product of reflections that `a` and `taus` hold.

    Args:
      a: array (..., m, n) with the reflectors below its diagonal.
      taus: array (..., k).
      c: array (..., m, l) with left, else (..., l, m).
      left: q c, otherwise c q.
      transpose: use the conjugate transpose of q.

    >>> ormqr(np.array([[0.0], [1.0]]), np.array([1.0]), np.eye(2))
    array([[ 0., -1.],
           [-1.,  0.]])
    """
    return forms.ormqr(to_inexact(a), to_inexact(taus), to_inexact(c), left=left, transpose=transpose)


def lu(x: Any) -> tuple[Any, Any, Any]:
    """The decompositions x[permutation] = l u with partial pivoting.

    Args:
      x: array (..., m, n).

    Returns:
      (both factors in one array (..., m, n), int32 row swaps (..., min(m, n)), int32 permutation (..., m)).

    >>> lu(np.array([[1.0, 2.0], [4.0, 4.0]]))[0]
    array([[4.  , 4.  ],
           [0.25, 1.  ]])
    """
    return tuple(lu_p.bind(to_inexact(x)))


def lu_pivots_to_permutation(pivots: Any, permutation_size: int) -> Any:
    """The permutation of rows that the swaps of `lu` make.

    >>> lu_pivots_to_permutation(np.array([1, 1]), 2)
    array([1, 0], dtype=int32)
    """
    return forms.lu_pivots_to_permutation(to_array(pivots), permutation_size)


def qr(x: Any, *, pivoting: bool = False, full_matrices: bool = True, use_magma: Any = None) -> tuple:
    """The decompositions x = q r into orthonormal columns and an upper triangle.

    Args:
      x: array (..., m, n).
      pivoting: take the columns in the order of their length beside those already taken, and return that order too.
      full_matrices: q is (..., m, m); otherwise it has only min(m, n) columns.
      use_magma: accepted and ignored.

    Returns:
      (q, r), or (q, r, order) with x[..., order] = q r.

    >>> abs(qr(np.array([[3.0], [4.0]]), full_matrices=False)[1])
    array([[5.]])
    """
    x = to_inexact(x)
    if pivoting:
        return forms.pivoted_qr(x, full_matrices)
    return tuple(qr_p.bind(x, full_matrices=bool(full_matrices)))


def schur(
    x: Any, *, compute_schur_vectors: bool = True, sort_eig_vals: bool = False, select_callable: Any = None
) -> Any:
    """The Schur forms x = q u q*; see `fnets.primitives.matrix_forms.schur`. No derivative.

    Args:
      x: array (..., n, n).
      compute_schur_vectors: return (u, q); otherwise u.
      sort_eig_vals, select_callable: accepted and ignored, as in JAX: eigenvalues are in the order in which they come.

    >>> schur(np.eye(2), compute_schur_vectors=False)
    array([[1., 0.],
           [0., 1.]])
    """
    u, q = forms.schur(to_inexact(x))
    return (u, q) if compute_schur_vectors else u


def svd(
    x: Any,
    *,
    full_matrices: bool = True,
    compute_uv: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    algorithm: Any = None,
) -> Any:
    """The singular value decompositions x = u diag(s) vh.

    Args:
      x: array (..., m, n).
      full_matrices: u and vh are square; otherwise they have only min(m, n) columns and rows.
      compute_uv: return (u, s, vh); otherwise s.
      subset_by_index: (start, end) of the singular values, and their vectors, to return.
      algorithm: accepted and ignored.

    >>> svd(np.array([[3.0, 0.0], [0.0, 4.0]]), compute_uv=False)
    array([4., 3.])
    """
    out = nla.svd(x, full_matrices, compute_uv, subset_by_index=subset_by_index)
    return tuple(out) if compute_uv else out


def symmetric_product(
    a_matrix: Any, c_matrix: Any, *, alpha: Any = 1.0, beta: Any = 0.0, symmetrize_output: bool = False
) -> Any:
    """alpha a a^T + beta c.

    Args:
      a_matrix: array (..., m, n).
      c_matrix: array (..., m, m).
      alpha, beta: factors.
      symmetrize_output: copy the lower triangle to the upper one; without it only the lower one is meant to be used.

    >>> symmetric_product(np.ones((2, 3)), np.zeros((2, 2)))
    array([[3., 3.],
           [3., 3.]])
    """
    a, c = to_inexact(a_matrix), to_inexact(c_matrix)
    out = e.add(e.mul(alpha, matmul(a, mT(a))), e.mul(beta, c))
    return e.add(tril(out), mT(tril(out, -1))) if symmetrize_output else out


def triangular_solve(
    a: Any,
    b: Any,
    *,
    left_side: bool = False,
    lower: bool = False,
    transpose_a: bool = False,
    conjugate_a: bool = False,
    unit_diagonal: bool = False,
) -> Any:
    """Solve a triangular system: `op(a) x = b` with left_side, else `x op(a) = b`.

    Args:
      a: array (..., n, n), of which one triangle is read.
      b: array (..., n, k) with left_side, else (..., k, n).
      left_side: the side that `a` is on.
      lower: use the lower triangle.
      transpose_a, conjugate_a: solve with the transposed, the conjugated, or the conjugate transposed matrix.
      unit_diagonal: the diagonal counts as ones, and is not read.

    Raises:
      LinAlgError: a zero on the diagonal.

    >>> triangular_solve(np.array([[2.0, 0.0], [1.0, 1.0]]), np.array([[2.0], [3.0]]), left_side=True, lower=True)
    array([[1.],
           [2.]])
    """
    return solvers.triangular_solve(
        to_inexact(a),
        to_inexact(b),
        left_side=left_side,
        lower=lower,
        transpose_a=transpose_a,
        conjugate_a=conjugate_a,
        unit_diagonal=unit_diagonal,
    )


def tridiagonal(a: Any, *, lower: bool = True) -> tuple[Any, Any, Any, Any]:
    """Reduce Hermitian matrices to real tridiagonal form; see `fnets.primitives.matrix_forms.tridiagonal`. No derivative.

    Args:
      a: array (..., n, n).
      lower: which triangle is read.

    Returns:
      (array with the reflectors, diagonal (..., n), off-diagonal (..., n - 1), taus (..., n - 1)).

    >>> tridiagonal(np.eye(3))[1]
    array([1., 1., 1.])
    """
    return forms.tridiagonal(to_inexact(a), lower=lower)


def tridiagonal_solve(dl: Any, d: Any, du: Any, b: Any, *, perturb_singular: bool = False) -> Any:
    """Solve tridiagonal systems.

    Args:
      dl, d, du: arrays (..., n): lower diagonal (its first element is not used), diagonal, upper diagonal (its last is not used).
      b: array (..., n, k).
      perturb_singular: put a tiny number in the place of a zero pivot, instead of an error.

    Raises:
      LinAlgError: the matrix is singular.

    >>> tridiagonal_solve(np.array([0.0, 1.0]), np.array([2.0, 2.0]), np.array([1.0, 0.0]), np.array([[3.0], [3.0]]))
    array([[1.],
           [1.]])
    """
    operands = [to_inexact(v) for v in (dl, d, du, b)]
    return solvers.tridiagonal_solve(*operands, perturb_singular=perturb_singular)
