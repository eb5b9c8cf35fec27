"""`fnets.scipy.linalg`: decompositions, solvers and functions of matrices with SciPy's names, and special matrices. May import `fnets.numpy`, `fnets.lax`.

The last two axes are the matrix, leading axes a batch. `overwrite_*`, `check_finite` and `lapack_driver` are accepted and ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, LinAlgError, ShapeError
from fnets.lax import linalg as lax_linalg
from fnets.numpy import linalg as nla
from fnets.numpy.arguments import promoted_inexact, to_inexact
from fnets.numpy.indexing import at
from fnets.numpy.sorting import argsort
from fnets.primitives import elementwise as e
from fnets.primitives import matrix_forms as forms
from fnets.primitives import matrix_functions as mf
from fnets.primitives.base import convert
from fnets.primitives.decompositions import lu_p
from fnets.primitives.diagonals import tril, triu
from fnets.primitives.elementwise import add, mul  # where an argument is called e
from fnets.primitives.gather import take_along
from fnets.primitives.linear_algebra import matmul
from fnets.primitives.shape import expand_dims, pad, slice_in_dim, squeeze, stack
from fnets.primitives.solvers import conjugate, inv_p, mH, triangular_solve
from fnets.scipy import matrices
from fnets.scipy.matrices import *  # noqa: F403

__all__ = [
    "LinAlgError", "cho_factor", "cho_solve", "cholesky", "det", "eigh", "eigh_tridiagonal", "expm", "expm_frechet", "funm", "hessenberg", "inv",
    "lu", "lu_factor", "lu_solve", "polar", "qr", "qr_multiply", "rsf2csf", "schur", "solve", "solve_sylvester", "solve_triangular", "sqrtm", "svd",
]  # fmt: skip
__all__ += matrices.__all__

# ------------------------------------------------------------------ systems


def _with_columns(b: Any, call: Callable) -> Any:
    """Apply a solver of (..., n, k) to b, which may be one vector."""
    if len(shape_of(b)) == 1:
        return squeeze(call(expand_dims(b, -1)), -1)
    return call(b)


def inv(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The inverses of square matrices.

    >>> inv(np.array([[2.0, 0.0], [0.0, 4.0]]))
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    return nla.inv(a)


def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The determinants of square matrices.

    >>> det(np.array([[2.0, 0.0], [0.0, 4.0]])).round(6)
    np.float64(8.0)
    """
    return nla.det(a)


def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    debug: bool = False,
    check_finite: bool = True,
    assume_a: str = "gen",
) -> Any:
    """x with a x = b.

    Args:
      a: array (..., n, n).
      b: array (n,) or (..., n, k).
      lower: with assume_a="pos": read the lower triangle, otherwise the upper one.
      assume_a: "gen", "sym", "her", or "pos" (positive definite: solved by `cholesky`).

    Raises:
      LinAlgError: a matrix is singular, or not positive definite.

    >>> solve(np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([2.0, 2.0]))
    array([1. , 0.5])
    """
    if assume_a not in ("gen", "sym", "her", "pos"):
        raise ArgumentError(f'[solve] expected assume_a "gen", "sym", "her" or "pos", got {assume_a!r}.')
    if assume_a == "pos":
        return cho_solve(cho_factor(a, lower), b)
    return nla.solve(a, b)


_TRANSPOSED = {
    0: (False, False),
    "N": (False, False),
    1: (True, False),
    "T": (True, False),
    2: (True, True),
    "C": (True, True),
}


def _transposed(op: str, trans: Any) -> tuple[bool, bool]:
    if trans not in _TRANSPOSED:
        raise ArgumentError(f'[{op}] expected trans 0 or "N", 1 or "T", 2 or "C", got {trans!r}.')
    return _TRANSPOSED[trans]


def solve_triangular(
    a: Any,
    b: Any,
    trans: int | str = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    debug: Any = None,
    check_finite: bool = True,
) -> Any:
    """x with a x = b for a triangular matrix.

    Args:
      a: array (..., n, n), of which one triangle is read.
      b: array (n,) or (..., n, k).
      trans: 0 or "N"; 1 or "T" for the transposed matrix; 2 or "C" for the conjugate transposed one.
      lower: use the lower triangle.
      unit_diagonal: the diagonal counts as ones.

    Raises:
      LinAlgError: a zero on the diagonal.

    >>> solve_triangular(np.array([[2.0, 0.0], [1.0, 1.0]]), np.array([2.0, 3.0]), lower=True)
    array([1., 2.])
    """
    transpose, conjugate = _transposed("solve_triangular", trans)
    a, b = promoted_inexact(a, b)
    options = {"lower": lower, "transpose_a": transpose, "conjugate_a": conjugate, "unit_diagonal": unit_diagonal}
    return _with_columns(b, lambda b: triangular_solve(a, b, left_side=True, **options))


def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The triangular factors of positive definite matrices: upper U with a = U* U, or lower L with a = L L*.

    Args:
      a: array (..., n, n), of which the triangle of the factor is read.
      lower: return the lower factor.

    Raises:
      LinAlgError: a matrix is not positive definite.

    >>> cholesky(np.array([[4.0, 2.0], [2.0, 5.0]]))
    array([[2., 1.],
           [0., 2.]])
    """
    return nla.cholesky(a, upper=not lower, symmetrize_input=False)


def cho_factor(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Any, bool]:
    """`cholesky` for `cho_solve`: (factor, lower).

    >>> cho_factor(np.array([[4.0]]))
    (array([[2.]]), False)
    """
    return cholesky(a, lower), lower


def cho_solve(c_and_lower: tuple[Any, bool], b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    """x with a x = b, from a Cholesky factor of a.

    Args:
      c_and_lower: (factor (..., n, n), whether it is lower), as from `cho_factor`.
      b: array (n,) or (..., n, k).

    >>> cho_solve((np.array([[2.0]]), False), np.array([8.0]))
    array([2.])
    """
    c, lower = c_and_lower
    c, b = promoted_inexact(c, b)
    options = {"left_side": True, "lower": lower}
    first = {"transpose_a": not lower, "conjugate_a": not lower}
    second = {"transpose_a": lower, "conjugate_a": lower}
    return _with_columns(
        b, lambda b: triangular_solve(c, triangular_solve(c, b, **options, **first), **options, **second)
    )


def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Any, Any]:
    """LU with partial pivoting for `lu_solve`: (both factors in one array (..., m, n), int32 row swaps).

    >>> lu_factor(np.array([[1.0, 2.0], [4.0, 4.0]]))[1]
    array([1, 1], dtype=int32)
    """
    return lax_linalg.lu(a)[:2]


def lu_solve(
    lu_and_piv: tuple[Any, Any], b: Any, trans: int = 0, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    """x with a x = b, from the LU factors of a.

    Args:
      lu_and_piv: as from `lu_factor`.
      b: array (n,) or (..., n, k).
      trans: 0; 1 for the transposed matrix; 2 for the conjugate transposed one.

    >>> lu_solve(lu_factor(np.array([[1.0, 2.0], [4.0, 4.0]])), np.array([5.0, 12.0]))
    array([1., 2.])
    """
    factors, pivots = lu_and_piv
    transpose, conjugate = _transposed("lu_solve", trans)
    factors, b = promoted_inexact(factors, b)
    n = shape_of(factors)[-1]
    order = forms.lu_pivots_to_permutation(pivots, n)
    options = {"left_side": True, "transpose_a": transpose, "conjugate_a": conjugate}

    def call(b: Any) -> Any:
        batch = np.broadcast_shapes(shape_of(order)[:-1], shape_of(b)[:-2])
        b = e.add(b, np.zeros((*batch, 1, 1), dtype_of(b)))
        if not transpose:
            b = take_along(b, expand_dims(order, -1), len(batch))
            half = triangular_solve(factors, b, lower=True, unit_diagonal=True, **options)
            return triangular_solve(factors, half, lower=False, **options)
        half = triangular_solve(factors, b, lower=False, **options)
        x = triangular_solve(factors, half, lower=True, unit_diagonal=True, **options)
        return take_along(x, expand_dims(argsort(order, axis=-1), -1), len(batch))

    return _with_columns(b, call)


def solve_sylvester(A: Any, B: Any, C: Any, *, method: str = "schur", tol: float = 1e-8) -> Any:
    """x with A x + x B = C.

    Args:
      A: array (..., m, m).
      B: array (..., n, n).
      C: array (..., m, n).
      method, tol: accepted and ignored.

    Raises:
      LinAlgError: A and -B have an eigenvalue in common.

    >>> solve_sylvester(np.eye(1), np.eye(1), np.array([[4.0]]))
    array([[2.]])
    """
    return mf.sylvester_p.bind(*[to_inexact(x) for x in (A, B, C)])


# ------------------------------------------------------------------ decompositions


def lu(a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> tuple:
    """a = p l u: a permutation, a unit lower and an upper triangle.

    Args:
      a: array (..., m, n).
      permute_l: return (p l, u).

    >>> lu(np.array([[1.0, 2.0], [4.0, 4.0]]))[2]
    array([[4., 4.],
           [0., 1.]])
    """
    a = to_inexact(a)
    factors, _, order = lu_p.bind(a)
    m, n = shape_of(a)[-2:]
    k = min(m, n)
    lower = e.add(tril(slice_in_dim(factors, 0, k, axis=-1), -1), np.eye(m, k, dtype=dtype_of(a)))
    upper = triu(slice_in_dim(factors, 0, k, axis=-2))
    if permute_l:
        return take_along(lower, expand_dims(argsort(order, axis=-1), -1), len(shape_of(a)) - 2), upper
    p = convert(e.eq(np.arange(m, dtype=np.int32)[:, None], expand_dims(order, -2)), np.finfo(dtype_of(a)).dtype)
    return convert(p, dtype_of(a)), lower, upper


def qr(
    a: Any,
    overwrite_a: bool = False,
    lwork: Any = None,
    mode: str = "full",
    pivoting: bool = False,
    check_finite: bool = True,
) -> tuple:
    """a = q r into orthonormal columns and an upper triangle.

    Args:
      a: array (..., m, n).
      mode: "full", "economic" (only min(m, n) columns of q), or "r" (r alone, in a tuple).
      pivoting: take the columns in the order of their length beside those already taken, and return that order last: a[..., order] = q r.

    >>> abs(qr(np.array([[3.0], [4.0]]), mode="economic")[1])
    array([[5.]])
    """
    if mode not in ("full", "economic", "r"):
        raise ArgumentError(f'[qr] expected mode "full", "economic" or "r", got {mode!r}.')
    q, r, *order = lax_linalg.qr(a, pivoting=pivoting, full_matrices=mode != "economic")
    return (r, *order) if mode == "r" else (q, r, *order)


def qr_multiply(
    a: Any,
    c: Any,
    mode: str = "right",
    pivoting: bool = False,
    conjugate: bool = False,
    overwrite_a: bool = False,
    overwrite_c: bool = False,
) -> tuple:
    """The economic q of a = q r times a matrix, and r.

    Args:
      a: array (..., m, n).
      c: with mode "right", array (..., l, m), for c q; with "left", (..., min(m, n), l), for q c. A vector counts as one row or column.
      pivoting: as in `qr`.
      conjugate: use the conjugate of q.

    >>> qr_multiply(np.eye(2), np.array([1.0, 2.0]))[0] ** 2
    array([1., 4.])
    """
    if mode not in ("left", "right"):
        raise ArgumentError(f'[qr_multiply] expected mode "left" or "right", got {mode!r}.')
    q, *rest = qr(a, mode="economic", pivoting=pivoting)
    if conjugate and dtype_of(q).kind == "c":
        q = e.conj(q)
    c = to_inexact(c)
    return (matmul(q, c) if mode == "left" else matmul(c, q), *rest)


def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    overwrite_a: bool = False,
    check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:
    """(u, s, vh) with a = u diag(s) vh, or s alone without compute_uv.

    >>> svd(np.array([[3.0, 0.0], [0.0, 4.0]]), compute_uv=False)
    array([4., 3.])
    """
    return lax_linalg.svd(a, full_matrices=full_matrices, compute_uv=compute_uv)


def eigh(
    a: Any,
    b: Any = None,
    lower: bool = True,
    eigvals_only: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    turbo: bool = True,
    eigvals: Any = None,
    type: int = 1,
    check_finite: bool = True,
) -> Any:
    """Eigenvalues, in ascending order, and eigenvectors (columns) of Hermitian matrices.

    Args:
      a: array (..., n, n).
      b: array (..., n, n), positive definite, for the generalised problem.
      lower: the triangle that is read.
      eigvals_only: return the eigenvalues alone.
      eigvals: not supported.
      type: with b: 1 for a v = w b v, 2 for a b v = w v, 3 for b a v = w v.

    Returns:
      (w, v), or w.

    >>> eigh(np.array([[2.0, 0.0], [0.0, 1.0]]), eigvals_only=True)
    array([1., 2.])
    """
    if eigvals is not None:
        raise ArgumentError("[eigh] expected eigvals=None, got a selection: all are computed. Slice the result.")
    if b is None:
        return nla.eigvalsh(a, "L" if lower else "U") if eigvals_only else tuple(nla.eigh(a, "L" if lower else "U"))
    if type not in (1, 2, 3):
        raise ArgumentError(f"[eigh] expected type 1, 2 or 3, got {type!r}.")
    a, b = promoted_inexact(a, b)
    triangle = tril(a) if lower else triu(a)
    strict = tril(a, -1) if lower else triu(a, 1)
    a = e.add(triangle, mH(strict))
    factor = nla.cholesky(b if lower else mH(b), symmetrize_input=False)
    if type == 1:
        half = triangular_solve(factor, a, left_side=True, lower=True)
        inner = mH(triangular_solve(factor, mH(half), left_side=True, lower=True))
    else:
        inner = matmul(matmul(mH(factor), a), factor)
    if eigvals_only:
        return nla.eigvalsh(inner)
    w, v = nla.eigh(inner)
    if type == 3:
        return w, matmul(factor, v)
    return w, triangular_solve(factor, v, left_side=True, lower=True, transpose_a=True, conjugate_a=True)


def eigh_tridiagonal(
    d: Any,
    e: Any,
    *,
    eigvals_only: bool = False,
    select: str = "a",
    select_range: tuple[float, float] | None = None,
    tol: float | None = None,
    key: Any = None,
) -> Any:
    """Eigenvalues, and eigenvectors, of real symmetric tridiagonal matrices.

    Args:
      d: array (n,), the diagonal.
      e: array (n - 1,), the off-diagonal.
      eigvals_only: return the eigenvalues alone.
      select: "a" (all), or "i" for those of the indices in select_range, both ends included.
      tol, key: accepted and ignored.

    >>> eigh_tridiagonal(np.array([2.0, 1.0]), np.array([0.0]), eigvals_only=True)
    array([1., 2.])
    """
    d, off = promoted_inexact(d, e)
    if len(shape_of(d)) != 1 or shape_of(off) != (max(shape_of(d)[0] - 1, 0),):
        raise ShapeError(
            f"[eigh_tridiagonal] expected d of shape (n,) and e of shape (n - 1,), got {shape_of(d)} and {shape_of(off)}."
        )
    if select not in ("a", "i") or (select == "i") != (select_range is not None):
        raise ArgumentError(
            f'[eigh_tridiagonal] expected select "a", or "i" with select_range, got {select!r} and {select_range}.'
        )
    n = shape_of(d)[0]
    if dtype_of(off).kind == "c":
        raise ArgumentError("[eigh_tridiagonal] expected real diagonals, got complex ones. Use eigh.")
    below = pad(off, np.zeros((), dtype_of(off)), [(0, 1, 0)])
    a = add(
        mul(expand_dims(d, -1), np.eye(n, dtype=dtype_of(d))),
        mul(below, np.eye(n, k=-1, dtype=dtype_of(d))),
    )
    chosen = slice(None) if select_range is None else slice(int(select_range[0]), int(select_range[1]) + 1)
    if eigvals_only:
        return nla.eigvalsh(a, "L")[chosen]
    w, v = nla.eigh(a, "L")
    return w[chosen], v[:, chosen]


def hessenberg(a: Any, *, calc_q: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """h with a = q h q*, zero below the subdiagonal; with calc_q (h, q). No derivative.

    >>> hessenberg(np.eye(2))
    array([[1., 0.],
           [0., 1.]])
    """
    form, taus = lax_linalg.hessenberg(a)
    h = triu(form, -1)
    if not calc_q:
        return h
    n = shape_of(form)[-1]
    if n < 2:
        return h, convert(e.add(e.mul(form, 0), np.eye(n)), dtype_of(form))
    inner = slice_in_dim(slice_in_dim(form, 1, n, axis=-2), 0, n - 1, axis=-1)
    q = lax_linalg.householder_product(inner, taus)
    zero = np.zeros((), dtype_of(q))
    config = [(0, 0, 0)] * (len(shape_of(q)) - 2) + [(1, 0, 0), (1, 0, 0)]
    corner = np.zeros((n, n), dtype_of(q))
    corner[0, 0] = 1
    return h, e.add(pad(q, zero, config), corner)


def schur(a: Any, output: str = "real") -> tuple[Any, Any]:
    """(t, z) with a = z t z*, z unitary: t a triangle, or with output "real" of real matrices one with 2 by 2 blocks. No derivative.

    Args:
      a: array (..., n, n).
      output: "real", or "complex": a triangle also for real matrices.

    >>> schur(np.array([[0.0, 2.0], [2.0, 0.0]]))[0].round(6) + 0.0
    array([[ 2.,  0.],
           [ 0., -2.]])
    """
    if output not in ("real", "complex"):
        raise ArgumentError(f'[schur] expected output "real" or "complex", got {output!r}.')
    a = to_inexact(a)
    return forms.schur(convert(a, np.result_type(dtype_of(a), np.complex64)) if output == "complex" else a)


def rsf2csf(T: Any, Z: Any, check_finite: bool = True) -> tuple[Any, Any]:
    """The complex Schur form (t, z) of a matrix from its real one: rotations turn the 2 by 2 blocks into triangles.

    Args:
      T, Z: arrays (n, n), as `schur` gives them.
      check_finite: accepted and ignored.

    >>> rsf2csf(np.array([[0.0, -1.0], [1.0, 0.0]]), np.eye(2))[0].round(6)[1, 0]
    np.complex128(0j)
    """
    t, z = promoted_inexact(T, Z)
    dtype = np.result_type(dtype_of(t), np.complex64)
    t, z = convert(t, dtype), convert(z, dtype)
    n = shape_of(t)[-1]
    eps = np.finfo(dtype).eps
    for m in range(n - 1, 0, -1):
        a, b, c, d = t[m - 1, m - 1], t[m - 1, m], t[m, m - 1], t[m, m]
        block = e.gt(e.abs(c), e.mul(eps, e.add(e.abs(a), e.abs(d))))
        # where there is no block, numbers at which the slopes below are finite
        half, b = e.select(block, e.mul(e.sub(a, d), 0.5), e.fill_like(a, 0)), e.select(block, b, e.fill_like(b, -1))
        c = e.select(block, c, e.fill_like(c, 1))
        shift = e.add(half, e.sqrt(e.add(e.square(half), e.mul(b, c))))  # an eigenvalue minus d
        length = convert(e.sqrt(e.add(e.square(e.abs(shift)), e.square(e.abs(c)))), dtype)
        cos = e.select(block, e.div(shift, length), e.fill_like(length, 1))
        sin = e.select(block, e.div(c, length), e.fill_like(length, 0))
        turn = stack([stack([conjugate(cos), sin]), stack([e.neg(sin), cos])])
        t = at(t)[m - 1 : m + 1, m - 1 :].set(matmul(turn, t[m - 1 : m + 1, m - 1 :]))
        t = at(t)[: m + 1, m - 1 : m + 1].set(matmul(t[: m + 1, m - 1 : m + 1], mH(turn)))
        z = at(z)[:, m - 1 : m + 1].set(matmul(z[:, m - 1 : m + 1], mH(turn)))
        t = at(t)[m, m - 1].set(0)
    return t, z


def polar(
    a: Any, side: str = "right", *, method: str = "qdwh", eps: float | None = None, max_iterations: int | None = None
) -> tuple[Any, Any]:
    """The polar decompositions a = u p, or a = p u with side "left": u an isometry, p Hermitian and not negative.

    Args:
      a: array (..., m, n), of full rank where derivatives are wanted.
      side: the side of p.
      method, eps, max_iterations: accepted and ignored.

    Returns:
      (u, p).

    >>> polar(np.diag([2.0, -3.0]))[1]
    array([[2., 0.],
           [0., 3.]])
    """
    if side not in ("left", "right"):
        raise ArgumentError(f'[polar] expected side "left" or "right", got {side!r}.')
    a = to_inexact(a)
    u = mf.polar_factor(a)
    p = matmul(mH(u), a) if side == "right" else matmul(a, mH(u))
    return u, e.mul(e.add(p, mH(p)), 0.5)


# ------------------------------------------------------------------ functions of matrices


def expm(A: Any, *, upper_triangular: bool = False, max_squarings: int = 16) -> Any:
    """The exponentials of square matrices.

    Args:
      A: array (..., n, n).
      upper_triangular, max_squarings: accepted and ignored.

    >>> expm(np.zeros((2, 2)))
    array([[1., 0.],
           [0., 1.]])
    """
    return mf.expm_p.bind(to_inexact(A))


def expm_frechet(A: Any, E: Any, *, method: str | None = None, compute_expm: bool = True) -> Any:
    """(expm(A), its derivative along E); the derivative alone without compute_expm.

    >>> expm_frechet(np.zeros((1, 1)), np.ones((1, 1)), compute_expm=False)
    array([[1.]])
    """
    A, E = promoted_inexact(A, E)
    value, slope = mf.expm_frechet(A, E)
    return (value, slope) if compute_expm else slope


def sqrtm(A: Any, blocksize: int = 1) -> Any:
    """The principal square roots of square matrices, always complex.

    >>> sqrtm(np.diag([4.0, 9.0])).real
    array([[2., 0.],
           [0., 3.]])
    """
    return mf.sqrtm_p.bind(to_inexact(A))


def funm(A: Any, func: Callable, disp: bool = True) -> Any:
    """A function of square matrices that have a basis of eigenvectors: func is applied to the eigenvalues. Always complex.

    Args:
      A: array (..., n, n).
      func: a function of an array of complex numbers.
      disp: without it, (result, relative error of the eigenvectors) is returned.

    >>> funm(np.diag([4.0, 9.0]), np.sqrt).real
    array([[2., 0.],
           [0., 3.]])
    """
    A = to_inexact(A)
    w, v = nla.eig(A)
    back = inv_p.bind(v)
    out = matmul(e.mul(v, expand_dims(func(w), -2)), back)
    if disp:
        return out
    again = matmul(e.mul(v, expand_dims(w, -2)), back)
    return out, e.div(nla.norm(e.sub(again, A), 1, (-2, -1)), nla.norm(A, 1, (-2, -1)))
