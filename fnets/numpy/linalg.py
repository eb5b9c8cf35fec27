"""`fnets.numpy.linalg`: the linear algebra of `numpy.linalg`, differentiable in both modes and to any order. May import primitives, core, other parts.

The last two axes are the matrix, leading axes a batch. Integers count as float64; half precision is refused, as in NumPy. A singular matrix where an
inverse is needed raises `LinAlgError`, also under `jit` and `vmap`. Differences from NumPy: `eig` and `eigvals` are always complex, since a dtype
cannot depend on values; `cholesky`, and `eigh` without UPLO, take the Hermitian part of their input, so that gradients are Hermitian.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fnets.core.trace import Tracer, dtype_of, shape_of
from fnets.errors import ArgumentError, LinAlgError, ShapeError
from fnets.numpy import linear
from fnets.numpy import reductions as r
from fnets.numpy.arguments import as_dtype, refuse_out, to_array, to_inexact
from fnets.numpy.linear import matmul, tensordot, vecdot
from fnets.numpy.manipulation import matrix_transpose
from fnets.numpy.norms import matrix_norm, matrix_norm_over, norm, real_dtype, vector_norm
from fnets.numpy.sorting import argsort
from fnets.primitives import diagonals
from fnets.primitives import elementwise as e
from fnets.primitives.base import as_axis, broadcast_to, convert, reshape
from fnets.primitives.decompositions import cholesky_p, eig_p, eigh_p, qr_p, svd_p
from fnets.primitives.einsum import einsum
from fnets.primitives.gather import take_along
from fnets.primitives.linear_algebra import matmul as _matmul
from fnets.primitives.linear_algebra import outer as _outer
from fnets.primitives.reduce import size_of
from fnets.primitives.shape import expand_dims, flip, moveaxis, ravel, squeeze
from fnets.primitives.solvers import det_p, inv_p, mH, pinv_p, slogdet_p, solve_p

__all__ = [
    "LinAlgError", "cholesky", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "lstsq", "matmul",
    "matrix_norm", "matrix_power", "matrix_rank", "matrix_transpose", "multi_dot", "norm", "outer", "pinv", "qr", "slogdet", "solve", "svd",
    "svdvals", "tensordot", "tensorinv", "tensorsolve", "trace", "vecdot", "vector_norm",
]  # fmt: skip


class EigResult(NamedTuple):
    """The result of `eig`.

    >>> EigResult(1, 2).eigenvalues
    1
    """

    eigenvalues: Any
    eigenvectors: Any


class EighResult(NamedTuple):
    """The result of `eigh`.

    >>> EighResult(1, 2).eigenvectors
    2
    """

    eigenvalues: Any
    eigenvectors: Any


class QRResult(NamedTuple):
    """The result of `qr`.

    >>> QRResult(1, 2).Q
    1
    """

    Q: Any
    R: Any


class SlogdetResult(NamedTuple):
    """The result of `slogdet`.

    >>> SlogdetResult(1, 2).logabsdet
    2
    """

    sign: Any
    logabsdet: Any


class SVDResult(NamedTuple):
    """The result of `svd`.

    >>> SVDResult(1, 2, 3).S
    2
    """

    U: Any
    S: Any
    Vh: Any


# ------------------------------------------------------------------ arguments


def _matrices(op: str, a: Any) -> Any:
    a = to_inexact(a)
    if len(shape_of(a)) < 2:
        raise ShapeError(
            f"[{op}] expected a matrix, or a batch of them, got shape {shape_of(a)}. Add axes with x[None] or reshape."
        )
    return a


def _hermitian_part(op: str, a: Any) -> Any:
    if shape_of(a)[-1] != shape_of(a)[-2]:
        raise ShapeError(f"[{op}] expected square matrices, got shape {shape_of(a)}.")
    return e.div(e.add(a, mH(a)), 2)


def _only_one(op: str, **options: Any) -> None:
    if all([v is not None for v in options.values()]):
        raise ArgumentError(f"[{op}] expected one of {' and '.join(options)}, got both.")


def _tolerance(a: Any, factor: float) -> float:
    """`factor` times the longer side times the rounding error of the dtype."""
    return factor * max(shape_of(a)[-2:]) * float(np.finfo(dtype_of(a)).eps)


# ------------------------------------------------------------------ systems and inverses


def inv(a: Any) -> Any:
    """The inverses of square matrices.

    Args:
      a: array (..., n, n).

    Raises:
      LinAlgError: a matrix is singular.
      ShapeError: not square.

    >>> inv(np.array([[2.0, 0.0], [0.0, 4.0]]))
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    return inv_p.bind(_matrices("inv", a))


def solve(a: Any, b: Any) -> Any:
    """x with a x = b.

    Args:
      a: array (..., n, n).
      b: array (n,), or (..., n, k) with leading axes that broadcast against those of a.

    Returns:
      An array of the shape of b, with the broadcast leading axes.

    Raises:
      LinAlgError: a matrix is singular.
      ShapeError: the shapes do not fit.

    >>> solve(np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([2.0, 2.0]))
    array([1. , 0.5])
    """
    a, b = _matrices("solve", a), to_inexact(b)
    if len(shape_of(b)) == 1:
        return squeeze(solve_p.bind(a, expand_dims(b, -1)), -1)
    return solve_p.bind(a, b)


def tensorinv(a: Any, ind: int = 2) -> Any:
    """The inverse of an array as a linear map from its axes behind `ind` to those before.

    >>> tensorinv(np.eye(4).reshape(2, 2, 4)).shape
    (4, 2, 2)
    """
    a = to_inexact(a)
    if ind < 1:
        raise ArgumentError(f"[tensorinv] expected ind of at least 1, got {ind}.")
    before, behind = shape_of(a)[:ind], shape_of(a)[ind:]
    if size_of(before) != size_of(behind):
        raise ShapeError(
            f"[tensorinv] expected as many elements in the first {ind} axes as in the others, got {before} and {behind}. Choose ind."
        )
    return reshape(inv(reshape(a, (size_of(before), size_of(behind)))), (*behind, *before))


def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """x with tensordot(a, x, x.ndim) = b.

    Args:
      a: array (shape of b, shape of x).
      b: array.
      axes: axes of `a` to move to its end first.

    >>> tensorsolve(np.eye(6).reshape(2, 3, 6), np.ones((2, 3))).shape
    (6,)
    """
    a, b = to_inexact(a), to_inexact(b)
    if axes is not None:
        a = moveaxis(a, axes, tuple(range(-len(axes), 0)))
    shape, nb = shape_of(a), len(shape_of(b))
    if shape[:nb] != shape_of(b) or size_of(shape[nb:]) != size_of(shape_of(b)):
        raise ShapeError(
            f"[tensorsolve] expected a of the shape of b, {shape_of(b)}, followed by axes with as many elements, got {shape}. Use axes=."
        )
    n = size_of(shape_of(b))
    return reshape(solve(reshape(a, (n, n)), ravel(b)), shape[nb:])


def pinv(a: Any, rtol: Any = None, hermitian: bool = False, *, rcond: Any = None) -> Any:
    """The Moore-Penrose pseudo-inverses.

    Args:
      a: array (..., m, n).
      rtol: singular values up to this times the largest count as zero; 10 max(m, n) times the rounding error by default. One number, or one
        per matrix.
      hermitian: the matrices are Hermitian, which is quicker.
      rcond: another name of rtol.

    Returns:
      An array (..., n, m). Its derivative holds where the rank does not change.

    >>> pinv(np.array([[2.0], [0.0]]))
    array([[0.5, 0. ]])
    """
    a = _matrices("pinv", a)
    _only_one("pinv", rtol=rtol, rcond=rcond)
    if rtol is None:
        rtol = _tolerance(a, 10) if rcond is None else rcond
    rtol = rtol if isinstance(rtol, Tracer) else np.asarray(rtol, real_dtype(a))
    return pinv_p.bind(_hermitian_part("pinv", a) if hermitian else a, rtol, hermitian=hermitian)


def lstsq(a: Any, b: Any, rcond: Any = None, *, numpy_resid: bool = False) -> tuple[Any, Any, Any, Any]:
    """The x that minimises the norm of a x - b; of several, the one of least norm.

    Args:
      a: array (m, n).
      b: array (m,) or (m, k).
      rcond: singular values up to this times the largest count as zero; max(m, n) times the rounding error by default.
      numpy_resid: leave the residuals empty where NumPy does (where a has not full column rank, or no more rows than columns); not under `jit`.

    Returns:
      x, the sums of squared residuals per column, the rank, the singular values.

    >>> lstsq(np.array([[1.0], [1.0]]), np.array([1.0, 3.0]))[0]
    array([2.])
    """
    a, b = _matrices("lstsq", a), to_inexact(b)
    if len(shape_of(a)) != 2 or len(shape_of(b)) not in (1, 2) or shape_of(a)[0] != shape_of(b)[0]:
        raise ShapeError(
            f"[lstsq] expected a of shape (m, n) and b of shape (m,) or (m, k), got {shape_of(a)} and {shape_of(b)}. Use vmap for batches."
        )
    m, n = shape_of(a)
    dtype = np.result_type(dtype_of(a), dtype_of(b))
    a, b = convert(a, dtype), convert(b, dtype)
    rcond = _tolerance(a, 1) if rcond is None or (isinstance(rcond, (int, float)) and rcond < 0) else rcond
    s = svdvals(a)
    rank = r.sum(e.gt(s, e.mul(rcond, r.max(s, initial=0)))) if min(m, n) else np.int64(0)
    x = matmul(pinv(a, rcond), b) if m and n else np.zeros((n, *shape_of(b)[1:]), dtype)
    columns = b if len(shape_of(b)) == 2 else expand_dims(b, -1)
    left = e.abs(e.sub(columns, matmul(a, x if len(shape_of(x)) == 2 else expand_dims(x, -1))))
    residuals = r.sum(e.mul(left, left), 0)
    if numpy_resid and (m <= n or bool(e.lt(rank, n))):
        residuals = np.zeros(0, real_dtype(a))
    return x, residuals, rank, s


def det(a: Any) -> Any:
    """The determinants of square matrices; the derivative holds at singular matrices too.

    >>> det(np.array([[1.0, 2.0], [3.0, 4.0]])).round(6)
    np.float64(-2.0)
    """
    return det_p.bind(_matrices("det", a))


def slogdet(a: Any, *, method: str | None = None) -> SlogdetResult:
    """The signs and the logarithms of the absolute values of determinants, which do not overflow.

    Args:
      a: array (..., n, n).
      method: accepted and ignored.

    >>> slogdet(np.array([[1.0, 0.0], [0.0, -1.0]])).sign
    np.float64(-1.0)
    """
    return SlogdetResult(*slogdet_p.bind(_matrices("slogdet", a)))


def matrix_power(a: Any, n: int) -> Any:
    """a multiplied with itself n times; of a negative n, the inverse |n| times.

    >>> matrix_power(np.array([[1, 1], [0, 1]]), 5)
    array([[1, 5],
           [0, 1]])
    """
    a = to_array(a)
    shape = shape_of(a)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ShapeError(f"[matrix_power] expected square matrices, got shape {shape}.")
    if not hasattr(n, "__index__"):
        raise ArgumentError(f"[matrix_power] expected an integer exponent, got {n!r}.")
    n = n.__index__()
    if n < 0:
        a, n = inv(a), -n
    if n == 0:
        return broadcast_to(np.eye(shape[-1], dtype=dtype_of(a)), shape)
    out, power = None, a
    while True:
        if n & 1:
            out = power if out is None else _matmul(out, power)
        n >>= 1
        if not n:
            return out
        power = _matmul(power, power)


def multi_dot(arrays: Any, *, precision: Any = None, out: Any = None) -> Any:
    """The product of several matrices, in the order that needs least arithmetic; the first and the last may be vectors.

    >>> multi_dot([np.ones((2, 3)), np.ones((3, 4)), np.ones(4)])
    array([12., 12.])
    """
    refuse_out("multi_dot", out)
    arrays = [to_array(x) for x in arrays]
    if len(arrays) < 2:
        raise ArgumentError(f"[multi_dot] expected at least two arrays, got {len(arrays)}.")
    last = len(arrays) - 1
    for i, x in enumerate(arrays):
        if len(shape_of(x)) != 2 and not (len(shape_of(x)) == 1 and i in (0, last)):
            raise ShapeError(
                f"[multi_dot] expected matrices, and vectors at the ends only, got shape {shape_of(x)} at position {i}."
            )
    operands = []
    for i, x in enumerate(arrays):
        operands += [x, [i, i + 1] if len(shape_of(x)) == 2 else [1 if i == 0 else i]]
    ends = [0] if len(shape_of(arrays[0])) == 2 else []
    return einsum(*operands, ends + ([last + 1] if len(shape_of(arrays[last])) == 2 else []))


# ------------------------------------------------------------------ decompositions


def cholesky(a: Any, /, *, upper: bool = False, symmetrize_input: bool = True) -> Any:
    """The triangular factors of positive definite matrices: lower L with a = L L*, or upper U with a = U* U.

    Args:
      a: array (..., n, n), Hermitian.
      upper: return the upper factor.
      symmetrize_input: take (a + a*) / 2, so that the gradient is Hermitian; otherwise only the lower triangle is read.

    Raises:
      LinAlgError: a matrix is not positive definite.

    >>> cholesky(np.array([[4.0, 2.0], [2.0, 5.0]]))
    array([[2., 0.],
           [1., 2.]])
    """
    a = _matrices("cholesky", a)
    if symmetrize_input:
        a = _hermitian_part("cholesky", a)
    elif upper:
        a = mH(a)
    lower = cholesky_p.bind(a)
    return mH(lower) if upper else lower


def _eigh_operand(op: str, a: Any, uplo: Any, symmetrize: bool | None) -> tuple[Any, bool]:
    a = _matrices(op, a)
    if uplo not in (None, "L", "U", "l", "u"):
        raise ArgumentError(f'[{op}] expected UPLO "L" or "U", got {uplo!r}.')
    if symmetrize or (symmetrize is None and uplo is None):
        a = _hermitian_part(op, a)
    return a, uplo not in ("U", "u")


def eigh(a: Any, UPLO: str | None = None, symmetrize_input: bool | None = None) -> EighResult:
    """The eigenvalues, in ascending order, and the orthonormal eigenvectors (columns) of Hermitian matrices.

    Args:
      a: array (..., n, n).
      UPLO: "L" or "U": the triangle that is read.
      symmetrize_input: take (a + a*) / 2, so that the gradient is Hermitian; by default if UPLO is not given.

    Returns:
      (eigenvalues (..., n), eigenvectors (..., n, n)). Derivatives of the vectors need distinct eigenvalues.

    >>> eigh(np.array([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    array([1., 2.])
    """
    a, lower = _eigh_operand("eigh", a, UPLO, symmetrize_input)
    return EighResult(*eigh_p.bind(a, lower=lower, vectors=True))


def eigvalsh(a: Any, UPLO: str | None = None, *, symmetrize_input: bool | None = None) -> Any:
    """The eigenvalues of Hermitian matrices, in ascending order; the arguments are those of `eigh`.

    >>> eigvalsh(np.array([[2.0, 0.0], [0.0, 1.0]]))
    array([1., 2.])
    """
    a, lower = _eigh_operand("eigvalsh", a, UPLO, symmetrize_input)
    return eigh_p.bind(a, lower=lower, vectors=False)[0]


def eig(a: Any) -> EigResult:
    """The eigenvalues and the right eigenvectors (columns of length 1) of square matrices, always complex.

    Args:
      a: array (..., n, n).

    Returns:
      (eigenvalues (..., n), eigenvectors (..., n, n)). Derivatives of the vectors need distinct eigenvalues.

    >>> eig(np.array([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    array([2.+0.j, 1.+0.j])
    """
    return EigResult(*eig_p.bind(_matrices("eig", a), vectors=True))


def eigvals(a: Any) -> Any:
    """The eigenvalues of square matrices, always complex.

    >>> eigvals(np.array([[0.0, 1.0], [-1.0, 0.0]])).imag
    array([ 1., -1.])
    """
    return eig_p.bind(_matrices("eigvals", a), vectors=False)[0]


def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    hermitian: bool = False,
    subset_by_index: tuple[int, int] | None = None,
) -> Any:
    """The singular value decompositions a = u diag(s) vh.

    Args:
      a: array (..., m, n).
      full_matrices: u is (..., m, m) and vh (..., n, n); otherwise they have only min(m, n) columns and rows.
      compute_uv: return (u, s, vh); otherwise s alone.
      hermitian: the matrices are Hermitian, which is quicker.
      subset_by_index: (start, end) of the singular values, and their vectors, to return; not with full_matrices.

    Returns:
      (u, s, vh) or s, with s in descending order. Derivatives of the vectors need distinct singular values.

    >>> svd(np.array([[3.0, 0.0], [0.0, 4.0]]), compute_uv=False)
    array([4., 3.])
    """
    a = _matrices("svd", a)
    if hermitian:
        out = _hermitian_svd(a, compute_uv)
    elif compute_uv:
        out = svd_p.bind(a, full_matrices=bool(full_matrices), vectors=True)
    else:
        out = svd_p.bind(a, full_matrices=False, vectors=False)
    if subset_by_index is not None:
        m, n = shape_of(a)[-2:]
        if full_matrices and compute_uv and m != n:
            raise ArgumentError("[svd] expected full_matrices=False with subset_by_index, got True.")
        chosen = slice(*subset_by_index)
        out = (
            [out[0][..., :, chosen], out[1][..., chosen], out[2][..., chosen, :]]
            if compute_uv
            else [out[0][..., chosen]]
        )
    return SVDResult(*out) if compute_uv else out[0]


def _hermitian_svd(a: Any, compute_uv: bool) -> list:
    w, v = eigh_p.bind(_hermitian_part("svd", a), lower=True, vectors=True)
    order = flip(argsort(e.abs(w), axis=-1), -1)
    w = take_along(w, order, len(shape_of(w)) - 1)
    if not compute_uv:
        return [e.abs(w)]
    u = take_along(v, expand_dims(order, -2), len(shape_of(v)) - 1)
    signs = e.select(e.lt(w, 0), np.asarray(-1, dtype_of(w)), np.asarray(1, dtype_of(w)))
    return [u, e.abs(w), mH(e.mul(u, expand_dims(signs, -2)))]


def svdvals(x: Any, /) -> Any:
    """The singular values, in descending order.

    >>> svdvals(np.array([[3.0, 0.0], [0.0, 4.0]]))
    array([4., 3.])
    """
    return svd(x, compute_uv=False)


def qr(a: Any, mode: str = "reduced") -> Any:
    """The decompositions a = q r into orthonormal columns and an upper triangle.

    Args:
      a: array (..., m, n).
      mode: "reduced" (q is (..., m, k), r (..., k, n), with k = min(m, n)), "complete" (k = m), or "r" (r alone).

    Returns:
      (q, r), or r. Derivatives need the first k columns to be independent.

    >>> abs(qr(np.array([[3.0], [4.0]])).R)
    array([[5.]])
    """
    a = _matrices("qr", a)
    if mode not in ("reduced", "complete", "r", "full"):
        raise ArgumentError(f'[qr] expected mode "reduced", "complete" or "r", got {mode!r}.')
    q, upper = qr_p.bind(a, full_matrices=mode == "complete")
    return upper if mode == "r" else QRResult(q, upper)


# ------------------------------------------------------------------ rank and condition


def matrix_rank(M: Any, rtol: Any = None, *, hermitian: bool = False, tol: Any = None) -> Any:
    """The number of singular values that are not (nearly) zero.

    Args:
      M: array (..., m, n), or a vector.
      rtol: what counts as zero, relative to the largest; max(m, n) times the rounding error by default.
      hermitian: the matrices are Hermitian, which is quicker.
      tol: what counts as zero, absolutely.

    >>> matrix_rank(np.ones((3, 3)))
    np.int64(1)
    """
    M = to_inexact(M)
    _only_one("matrix_rank", rtol=rtol, tol=tol)
    if len(shape_of(M)) < 2:
        return convert(r.any(e.ne(M, 0)), np.int64)
    s = svd(M, compute_uv=False, hermitian=hermitian)
    if tol is None:
        rtol = _tolerance(M, 1) if rtol is None else rtol
        tol = e.mul(r.max(s, -1, initial=0), rtol if isinstance(rtol, (float, int)) else to_array(rtol))
    tol = tol if isinstance(tol, (float, int)) else expand_dims(to_array(tol), -1)
    return r.sum(e.gt(s, tol), -1)


def cond(x: Any, p: Any = None) -> Any:
    """The condition numbers: how much solving with the matrix may amplify relative errors; inf for singular ones.

    Args:
      x: array (..., n, n), or (..., m, n) for p of 2 or -2.
      p: the order of the norm, as in `norm`; None means 2.

    >>> cond(np.array([[1.0, 0.0], [0.0, 2.0]]))
    np.float64(2.0)
    """
    x = _matrices("cond", x)
    ndim = len(shape_of(x))
    if 0 in shape_of(x)[-2:]:
        raise ArgumentError(f"[cond] expected matrices that are not empty, got shape {shape_of(x)}.")
    if p in (None, 2, -2):
        s = svdvals(x)
        large, small = s[..., 0], s[..., -1]
        return _ratio(small, large) if p == -2 else _ratio(large, small)
    axes = (ndim - 2, ndim - 1)
    inverse = _norm_of_inverse(x, p, axes)
    singular = e.is_inf(inverse)
    finite = e.select(singular, np.ones((), dtype_of(inverse)), inverse)
    return e.select(singular, inverse, e.mul(matrix_norm_over(x, p, axes, False), finite))


def _ratio(a: Any, b: Any) -> Any:
    """a / b, and inf for b = 0."""
    zero = e.eq(b, 0)
    return e.select(zero, np.asarray(np.inf, dtype_of(b)), e.div(a, e.select(zero, np.ones((), dtype_of(b)), b)))


def _norm_of_inverse(x: Any, p: Any, axes: tuple[int, int]) -> Any:
    try:
        return matrix_norm_over(inv(x), p, axes, False)
    except LinAlgError:
        if isinstance(x, Tracer):
            raise
        if len(axes) == 2 and x.ndim == 2:
            return np.asarray(np.inf, real_dtype(x))[()]
        flat = x.reshape(-1, *x.shape[-2:])
        return np.array([_norm_of_inverse(m, p, (0, 1)) for m in flat], real_dtype(x)).reshape(x.shape[:-2])


# ------------------------------------------------------------------ the Array API's versions of functions of fnets.numpy


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """The vector product of vectors of length 3.

    >>> cross(np.array([1, 0, 0]), np.array([0, 1, 0]))
    array([0, 0, 1])
    """
    x1, x2 = to_array(x1), to_array(x2)
    for x in (x1, x2):
        if shape_of(x)[as_axis(axis, len(shape_of(x)), "cross")] != 3:
            raise ShapeError(
                f"[linalg.cross] expected vectors of length 3, got shape {shape_of(x)}. Use fnets.numpy.cross for length 2."
            )
    return linear.cross(x1, x2, axis=axis)


def outer(x1: Any, x2: Any, /) -> Any:
    """Every product of an element of one vector and one of another.

    >>> outer(np.array([1, 2]), np.array([3, 4]))
    array([[3, 4],
           [6, 8]])
    """
    x1, x2 = to_array(x1), to_array(x2)
    if len(shape_of(x1)) != 1 or len(shape_of(x2)) != 1:
        raise ShapeError(
            f"[linalg.outer] expected two vectors, got shapes {shape_of(x1)} and {shape_of(x2)}. Use fnets.numpy.outer."
        )
    return _outer(x1, x2)


def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """The diagonals of the matrices in the last two axes.

    >>> diagonal(np.arange(8).reshape(2, 2, 2))
    array([[0, 3],
           [4, 7]])
    """
    return diagonals.diagonal(to_array(x), offset, -2, -1)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """The sums of the diagonals of the matrices in the last two axes.

    >>> trace(np.arange(8).reshape(2, 2, 2))
    array([ 3, 11])
    """
    x = to_array(x)
    return diagonals.trace(x if dtype is None else convert(x, as_dtype(dtype)), offset, -2, -1)
