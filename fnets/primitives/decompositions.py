"""Decompositions: cholesky, eigh, eig, svd, qr, lu as primitives with derivatives in both modes. May import solvers and below.

The last two axes are the matrix, leading axes a batch. Derivatives hold where the decomposition is smooth: full rank for qr, and for vectors distinct
eigenvalues or singular values. Where two are equal, the derivative of their vectors is not finite and those of the values still are; vectors of
zero values, the null space, count as fixed. Reverse rules are written with the adjoint gradient g = conj(ct), for which <g, t> = Re tr(g* t), and
conjugated at the end.

Sources: Giles, "Collected matrix derivative results for forward and reverse mode AD" (2008); Walter and Lehmann, "Algorithmic
differentiation of linear algebra functions" (2010); Boeddeker et al., "On the computation of complex-valued gradients" (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray
from fnets.core.trace import dtype_of, shape_of
from fnets.primitives import linalg_kernels as kernels
from fnets.primitives.base import convert, reduce_sum
from fnets.primitives.diagonals import diagonal, tril, triu
from fnets.primitives.elementwise import (
    add,
    complex_,
    conj,
    div,
    eq,
    imag,
    logical_and,
    logical_or,
    mul,
    neg,
    real,
    select,
    sign,
    sub,
)
from fnets.primitives.gather import take_along
from fnets.primitives.linear_algebra import matmul
from fnets.primitives.reduce import argmax
from fnets.primitives.shape import concatenate, expand_dims, slice_in_dim
from fnets.primitives.solvers import (
    check_matrix,
    conjugate,
    declare,
    mH,
    mT,
    products,
    real_part,
    solve_p,
    total,
    triangular_solve,
)
from fnets.primitives.sort import argsort

# ------------------------------------------------------------------ helpers


def _real_dtype(dtype: np.dtype) -> np.dtype:
    return np.zeros((), dtype).real.dtype


def _as_diagonal(s: Any) -> Any:
    """Diagonal matrices from their diagonals."""
    n = shape_of(s)[-1]
    return mul(expand_dims(s, -1), np.eye(n, dtype=_real_dtype(dtype_of(s))))


def _columns_times(x: Any, s: Any) -> Any:
    """x diag(s)."""
    return mul(x, expand_dims(s, -2))


def _rows_times(s: Any, x: Any) -> Any:
    """diag(s) x."""
    return mul(expand_dims(s, -1), x)


def _safe_reciprocal(x: Any) -> Any:
    """1 / x, and 0 for 0."""
    zero = eq(x, 0)
    one = np.ones((), dtype_of(x))
    return select(zero, np.zeros((), dtype_of(x)), div(one, select(zero, one, x)))


def _reciprocal_gaps(w: Any, squared: bool = False) -> Any:
    """1 / (w_j - w_i) at (i, j), or that of the squares; 0 on the diagonal, and where both are 0."""
    row, column = expand_dims(w, -2), expand_dims(w, -1)
    gap = sub(row, column)
    if squared:
        gap = mul(gap, add(row, column))
    both_zero = logical_and(eq(row, 0), eq(column, 0))
    skip = logical_or(both_zero, np.eye(shape_of(w)[-1], dtype=bool))
    one = np.ones((), dtype_of(w))
    return select(skip, np.zeros((), dtype_of(w)), div(one, select(skip, one, gap)))


def hermitian_from(t: Any, lower: bool) -> Any:
    """The Hermitian matrix of which only one triangle, and the real part of the diagonal, is read."""
    strict = tril(t, -1) if lower else triu(t, 1)
    return add(add(strict, mH(strict)), _real_diagonal(t))


def _triangle_of(g: Any, lower: bool) -> Any:
    """The adjoint of `hermitian_from`."""
    both = add(g, mH(g))
    return add(tril(both, -1) if lower else triu(both, 1), _real_diagonal(g))


def _real_diagonal(x: Any) -> Any:
    d = _as_diagonal(real_part(diagonal(x, 0, -2, -1)))
    return convert(d, dtype_of(x))


def _imaginary_diagonal(x: Any) -> Any:
    """i times the imaginary part of the diagonal, as a diagonal matrix; None for real matrices."""
    if dtype_of(x).kind != "c":
        return None
    y = imag(diagonal(x, 0, -2, -1))
    return _as_diagonal(complex_(mul(y, 0), y))


def _rows_of(x: Any, rows: Any) -> Any:
    """The elements of x in the given rows, which broadcast against x otherwise."""
    return take_along(x, rows, len(shape_of(x)) - 2)


def _part(x: Any, start: int, stop: int, axis: int) -> Any:
    return slice_in_dim(x, start, stop, axis=axis)


def _cat(a: Any, b: Any, axis: int) -> Any:
    return concatenate([a, b], len(shape_of(a)) + axis)


def _adjoints(cts: Sequence) -> list:
    return [None if ct is None else conjugate(ct) for ct in cts]


# ------------------------------------------------------------------ cholesky

_NOT_POSITIVE = "a positive definite matrix. Add a small multiple of the identity, or use eigh."


def _cholesky_abstract(a: ShapedArray) -> ShapedArray:
    check_matrix("cholesky", a, square=True)
    return ShapedArray(a.shape, a.dtype)


# the lower factor; the upper triangle of a is not read
cholesky_p = declare("cholesky", np.linalg.cholesky, _cholesky_abstract, _NOT_POSITIVE)


def _half_diagonal(x: Any) -> Any:
    """The lower triangle with half the (real) diagonal."""
    return add(tril(x, -1), mul(_real_diagonal(x), 0.5))


def _left(lower: Any, x: Any, adjoint: bool = False) -> Any:
    """inv(L) x, or inv(L*) x."""
    return triangular_solve(lower, x, left_side=True, lower=True, transpose_a=adjoint, conjugate_a=adjoint)


def _right(lower: Any, x: Any, adjoint: bool = False) -> Any:
    """x inv(L), or x inv(L*)."""
    return triangular_solve(lower, x, left_side=False, lower=True, transpose_a=adjoint, conjugate_a=adjoint)


def _cholesky_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    lower = cholesky_p.bind(*primals)
    inner = _right(lower, _left(lower, hermitian_from(tangents[0], True)), adjoint=True)
    return lower, matmul(lower, _half_diagonal(inner))


def _cholesky_vjp(active: tuple, a: Any) -> tuple:
    lower = cholesky_p.bind(a)

    def pull(ct: Any) -> tuple:
        inner = _half_diagonal(matmul(mH(lower), conjugate(ct)))
        return (conjugate(_triangle_of(_right(lower, _left(lower, inner, adjoint=True)), True)),)

    return lower, pull


cholesky_p.jvp, cholesky_p.vjp = _cholesky_jvp, _cholesky_vjp

# ------------------------------------------------------------------ eigh

_FINITE = "finite values. Check the matrix with isfinite."


def _eigh_abstract(a: ShapedArray, lower: bool, vectors: bool) -> list:
    check_matrix("eigh", a, square=True)
    values = ShapedArray(a.shape[:-1], _real_dtype(a.dtype))
    return [values, ShapedArray(a.shape, a.dtype)] if vectors else [values]


def _eigh_call(a: Any, lower: bool, vectors: bool) -> Any:
    uplo = "L" if lower else "U"
    return np.linalg.eigh(a, uplo) if vectors else (np.linalg.eigvalsh(a, uplo),)


# eigenvalues in ascending order (and eigenvectors) of the Hermitian matrix of which one triangle is read
eigh_p = declare("eigh", _eigh_call, _eigh_abstract, _FINITE, multi=True)


def _eigh_jvp(primals: Sequence, tangents: Sequence, lower: bool, vectors: bool) -> tuple:
    (a,) = primals
    w, v = eigh_p.bind(a, lower=lower, vectors=True)
    inner = products(mH(v), hermitian_from(tangents[0], lower), v)
    slope = real_part(diagonal(inner, 0, -2, -1))
    if not vectors:
        return eigh_p.bind(a, lower=lower, vectors=False), [slope]
    return [w, v], [slope, matmul(v, mul(_reciprocal_gaps(w), inner))]


def _eigh_vjp(active: tuple, a: Any, lower: bool, vectors: bool) -> tuple:
    outs = eigh_p.bind(a, lower=lower, vectors=vectors)

    def pull(cts: Sequence) -> tuple:
        w, v = outs if vectors else eigh_p.bind(a, lower=lower, vectors=True)
        gw, gv = (*_adjoints(cts), None)[:2]
        of_w = None if gw is None else convert(_as_diagonal(gw), dtype_of(v))
        of_v = None if gv is None else mul(_reciprocal_gaps(w), matmul(mH(v), gv))
        inner = total(of_w, of_v)
        return (None if inner is None else conjugate(_triangle_of(products(v, inner, mH(v)), lower)),)

    return outs, pull


eigh_p.jvp, eigh_p.vjp = _eigh_jvp, _eigh_vjp

# ------------------------------------------------------------------ eig


def _complex_dtype(dtype: np.dtype) -> np.dtype:
    return np.result_type(dtype, np.complex64)


def _eig_abstract(a: ShapedArray, vectors: bool) -> list:
    check_matrix("eig", a, square=True)
    dtype = _complex_dtype(a.dtype)
    values = ShapedArray(a.shape[:-1], dtype)
    return [values, ShapedArray(a.shape, dtype)] if vectors else [values]


def _eig_call(a: Any, vectors: bool) -> list:
    dtype = _complex_dtype(a.dtype)
    outs = np.linalg.eig(a) if vectors else (np.linalg.eigvals(a),)
    return [x.astype(dtype, copy=False) for x in outs]


# eigenvalues (and right eigenvectors of unit length whose largest component is real, as LAPACK's geev makes them), always complex
eig_p = declare("eig", _eig_call, _eig_abstract, _FINITE, multi=True)


def _largest(v: Any) -> Any:
    """The row of each column's largest component, (..., 1, n)."""
    if not shape_of(v)[-1]:
        return np.zeros((*shape_of(v)[:-2], 1, 0), np.int64)
    size = add(mul(real(v), real(v)), mul(imag(v), imag(v)))
    return expand_dims(argmax(size, len(shape_of(v)) - 2), -2)


def _eig_jvp(primals: Sequence, tangents: Sequence, vectors: bool) -> tuple:
    (a,) = primals
    w, v = eig_p.bind(a, vectors=True)
    inner = solve_p.bind(v, matmul(convert(tangents[0], dtype_of(v)), v))
    slope = diagonal(inner, 0, -2, -1)
    if not vectors:
        return eig_p.bind(a, vectors=False), [slope]
    turn = matmul(v, mul(_reciprocal_gaps(w), inner))
    along = reduce_sum(mul(conj(v), turn), (len(shape_of(v)) - 2,))
    # unit length takes away the real part along v; a real largest component fixes the imaginary one
    length = convert(real(along), dtype_of(v))
    turn = sub(turn, _columns_times(v, length))
    largest = _largest(v)
    phase = div(imag(_rows_of(turn, largest)), real(_rows_of(v, largest)))
    return [w, v], [slope, sub(turn, mul(v, complex_(mul(phase, 0), phase)))]


def _eig_vjp(active: tuple, a: Any, vectors: bool) -> tuple:
    outs = eig_p.bind(a, vectors=vectors)
    is_complex = dtype_of(a).kind == "c"

    def pull(cts: Sequence) -> tuple:
        w, v = outs if vectors else eig_p.bind(a, vectors=True)
        gw, gv = (*_adjoints(cts), None)[:2]
        of_w = None if gw is None else _as_diagonal(gw)
        of_v = None
        if gv is not None:
            gv = _without_gauge(v, gv)
            of_v = mul(conj(_reciprocal_gaps(w)), matmul(mH(v), gv))
        inner = total(of_w, of_v)
        if inner is None:
            return (None,)
        g = conj(products(solve_p.bind(mH(v), inner), mH(v)))
        return (convert(g if is_complex else real(g), dtype_of(a)),)

    return outs, pull


def _without_gauge(v: Any, g: Any) -> Any:
    """The adjoint of what fixes length and phase in the forward rule."""
    axis = len(shape_of(v)) - 2
    largest = _largest(v)
    # t -> t - i v imag(t_largest) / v_largest: only the largest row receives
    along = expand_dims(imag(reduce_sum(mul(conj(v), g), (axis,))), -2)
    share = neg(div(along, real(_rows_of(v, largest))))
    at_largest = eq(np.arange(shape_of(v)[-2])[:, None], largest)
    g = add(g, select(at_largest, complex_(mul(share, 0), share), np.zeros((), dtype_of(v))))
    # t -> t - v real(v* t)
    length = convert(real(reduce_sum(mul(conj(v), g), (axis,))), dtype_of(v))
    return sub(g, _columns_times(v, length))


eig_p.jvp, eig_p.vjp = _eig_jvp, _eig_vjp

# ------------------------------------------------------------------ svd


def _svd_abstract(a: ShapedArray, full_matrices: bool, vectors: bool) -> list:
    check_matrix("svd", a)
    batch, (m, n) = a.shape[:-2], a.shape[-2:]
    k = min(m, n)
    s = ShapedArray((*batch, k), _real_dtype(a.dtype))
    if not vectors:
        return [s]
    u = ShapedArray((*batch, m, m if full_matrices else k), a.dtype)
    return [u, s, ShapedArray((*batch, n if full_matrices else k, n), a.dtype)]


def _svd_call(a: Any, full_matrices: bool, vectors: bool) -> Any:
    if vectors:
        return np.linalg.svd(a, full_matrices)
    return (np.linalg.svd(a, compute_uv=False),)


# [u, s, vh] with a = u diag(s) vh, or [s]
svd_p = declare("svd", _svd_call, _svd_abstract, _FINITE, multi=True)


def _thin(u: Any, s: Any, vh: Any) -> tuple:
    k = shape_of(s)[-1]
    return _part(u, 0, k, -1), mH(_part(vh, 0, k, -2))


def _svd_jvp(primals: Sequence, tangents: Sequence, full_matrices: bool, vectors: bool) -> tuple:
    (a,), (t,) = primals, tangents
    u, s, vh = svd_p.bind(a, full_matrices=full_matrices, vectors=True)
    u1, v1 = _thin(u, s, vh)
    inner = products(mH(u1), t, v1)
    slope = mul(real_part(diagonal(inner, 0, -2, -1)), sign(s))  # at a zero singular value, as abs'(0) = 0
    if not vectors:
        return svd_p.bind(a, full_matrices=full_matrices, vectors=False), [slope]
    gaps, inverse = _reciprocal_gaps(s, squared=True), _safe_reciprocal(s)
    right, left = _columns_times(inner, s), _rows_times(s, inner)
    turn_u = total(mul(gaps, add(right, mH(right))), _times_inverse(_imaginary_diagonal(inner), inverse))
    turn_v = mul(gaps, add(left, mH(left)))
    du = add(matmul(u1, turn_u), _outside(u1, _columns_times(matmul(t, v1), inverse)))
    dv = add(matmul(v1, turn_v), _outside(v1, _columns_times(matmul(mH(t), u1), inverse)))
    if full_matrices:
        du, dv = _completed(u, u1, du), _completed(mH(vh), v1, dv)
    return [u, s, vh], [du, slope, mH(dv)]


def _times_inverse(x: Any, inverse: Any) -> Any:
    return None if x is None else _columns_times(x, inverse)


def _outside(u: Any, x: Any) -> Any:
    """The part of x that is orthogonal to the columns of u."""
    m, k = shape_of(u)[-2:]
    return mul(x, 0) if m == k else sub(x, products(u, mH(u), x))


def _completed(u: Any, u1: Any, du1: Any) -> Any:
    """The derivative of a whole unitary matrix: its further columns turn by no more than the first ones make them."""
    m, k = shape_of(u1)[-2:]
    if m == k:
        return du1
    u2 = _part(u, k, m, -1)
    return _cat(du1, neg(matmul(u1, mH(matmul(mH(u2), du1)))), -1)


def _completion_adjoint(u: Any, u1: Any, g: Any) -> Any:
    """The adjoint of `_completed`: the gradient of the first columns."""
    m, k = shape_of(u1)[-2:]
    if g is None or m == k or shape_of(g)[-1] == k:
        return g
    u2, g1, g2 = _part(u, k, m, -1), _part(g, 0, k, -1), _part(g, k, m, -1)
    return sub(g1, products(u2, mH(g2), u1))


def _svd_vjp(active: tuple, a: Any, full_matrices: bool, vectors: bool) -> tuple:
    outs = svd_p.bind(a, full_matrices=full_matrices, vectors=vectors)

    def pull(cts: Sequence) -> tuple:
        if vectors:
            u, s, vh = outs
            gu, gs, gv = _adjoints(cts)
            gv = None if gv is None else mH(gv)
        else:
            u, s, vh = svd_p.bind(a, full_matrices=False, vectors=True)
            gu, gs, gv = None, _adjoints(cts)[0], None
        u1, v1 = _thin(u, s, vh)
        gu, gv = _completion_adjoint(u, u1, gu), _completion_adjoint(mH(vh), v1, gv)
        g = _svd_gradient(u1, s, v1, gu, gs, gv)
        return (None if g is None else conjugate(g),)

    return outs, pull


def _svd_gradient(u: Any, s: Any, v: Any, gu: Any, gs: Any, gv: Any) -> Any:
    """The adjoint of the forward rule for thin factors u, s, v."""
    inverse = _safe_reciprocal(s)
    parts, inner = [], []
    if gs is not None:
        inner.append(convert(_as_diagonal(mul(gs, sign(s))), dtype_of(u)))
    if gu is not None:
        y = matmul(mH(u), gu)
        inner.append(_columns_times(mul(_reciprocal_gaps(s, squared=True), sub(y, mH(y))), s))
        inner.append(_times_inverse(_imaginary_diagonal(y), inverse))
        parts.append(matmul(_columns_times(_outside(u, gu), inverse), mH(v)))
    if gv is not None:
        x = matmul(mH(v), gv)
        inner.append(_rows_times(s, mul(_reciprocal_gaps(s, squared=True), sub(x, mH(x)))))
        parts.append(matmul(_columns_times(u, inverse), mH(_outside(v, gv))))
    core = total(*inner)
    return total(None if core is None else products(u, core, mH(v)), *parts)


svd_p.jvp, svd_p.vjp = _svd_jvp, _svd_vjp

# ------------------------------------------------------------------ qr


def _qr_abstract(a: ShapedArray, full_matrices: bool) -> list:
    check_matrix("qr", a)
    batch, (m, n) = a.shape[:-2], a.shape[-2:]
    k = m if full_matrices else min(m, n)
    return [ShapedArray((*batch, m, k), a.dtype), ShapedArray((*batch, k, n), a.dtype)]


def _qr_call(a: Any, full_matrices: bool) -> Any:
    return np.linalg.qr(a, "complete" if full_matrices else "reduced")


# q with orthonormal columns, r upper triangular with a real diagonal
qr_p = declare("qr", _qr_call, _qr_abstract, _FINITE, multi=True)


def _by_upper(x: Any, r: Any, adjoint: bool = False) -> Any:
    """x inv(r), or x inv(r*)."""
    return triangular_solve(r, x, left_side=False, lower=False, transpose_a=adjoint, conjugate_a=adjoint)


def _hermitian_to_upper(x: Any) -> Any:
    """The upper triangle x - w of real diagonal, w being the antihermitian matrix with the strict lower triangle of x."""
    return add(add(triu(x, 1), mH(tril(x, -1))), _real_diagonal(x))


def _qr_jvp(primals: Sequence, tangents: Sequence, full_matrices: bool) -> tuple:
    (a,), (t,) = primals, tangents
    q, r = qr_p.bind(a, full_matrices=full_matrices)
    m, n = shape_of(a)[-2:]
    k = min(m, n)
    q1, r1, t1 = _part(q, 0, k, -1), _part(_part(r, 0, k, -2), 0, k, -1), _part(t, 0, k, -1)
    moved = _by_upper(t1, r1)
    upper = _hermitian_to_upper(matmul(mH(q1), moved))
    dq, dr = sub(moved, matmul(q1, upper)), matmul(upper, r1)
    if m < n:  # the further columns are q times those of r
        rest, t2 = _part(a, m, n, -1), _part(t, m, n, -1)
        dr = _cat(dr, add(matmul(mH(dq), rest), matmul(mH(q1), t2)), -1)
    elif full_matrices and m > n:
        dq, dr = _completed(q, q1, dq), _cat(dr, mul(_part(r, k, m, -2), 0), -2)
    return [q, r], [dq, dr]


def _qr_vjp(active: tuple, a: Any, full_matrices: bool) -> tuple:
    q, r = qr_p.bind(a, full_matrices=full_matrices)
    m, n = shape_of(a)[-2:]
    k = min(m, n)

    def pull(cts: Sequence) -> tuple:
        gq, gr = _adjoints(cts)
        if gq is None and gr is None:
            return (None,)
        q1, r1 = _part(q, 0, k, -1), _part(_part(r, 0, k, -2), 0, k, -1)
        gq = _completion_adjoint(q, q1, gq)
        gr = None if gr is None else _part(gr, 0, k, -2)
        of_rest = None
        if m < n:
            of_rest = mul(_part(a, m, n, -1), 0)
            if gr is not None:
                rest, g2 = _part(a, m, n, -1), _part(gr, m, n, -1)
                gr = _part(gr, 0, m, -1)
                gq, of_rest = total(gq, matmul(rest, mH(g2))), matmul(q1, g2)
        inner = total(
            None if gr is None else matmul(gr, mH(r1)),
            None if gq is None else neg(matmul(mH(q1), gq)),
        )
        upper = triu(inner, 1)
        inner = add(add(upper, tril(mH(inner), -1)), _real_diagonal(inner))
        g = _by_upper(total(gq, matmul(q1, inner)), r1, adjoint=True)
        return (conjugate(g if of_rest is None else _cat(g, of_rest, -1)),)

    return [q, r], pull


qr_p.jvp, qr_p.vjp = _qr_jvp, _qr_vjp

# ------------------------------------------------------------------ lu


def _lu_abstract(a: ShapedArray) -> list:
    check_matrix("lu", a)
    batch, (m, n) = a.shape[:-2], a.shape[-2:]
    return [
        ShapedArray(a.shape, a.dtype),
        ShapedArray((*batch, min(m, n)), np.int32),
        ShapedArray((*batch, m), np.int32),
    ]


# [both factors in one matrix, row swaps, permutation of the rows]
lu_p = declare("lu", kernels.lu, _lu_abstract, "a matrix.", multi=True)


def _squares(factors: Any) -> tuple:
    """The square factors of a rectangular matrix: unit lower (m, m) and upper (n, n), filled up with the identity."""
    m, n = shape_of(factors)[-2:]
    k = min(m, n)
    dtype = _real_dtype(dtype_of(factors))
    batch = shape_of(factors)[:-2]
    lower, upper = tril(_part(factors, 0, k, -1), -1), triu(_part(factors, 0, k, -2))
    if m > k:
        lower = _cat(lower, np.zeros((*batch, m, m - k), dtype_of(factors)), -1)
    if n > k:
        upper = _cat(
            upper, np.broadcast_to(np.eye(n, dtype=dtype)[k:], (*batch, n - k, n)).astype(dtype_of(factors)), -2
        )
    return add(lower, np.eye(m, dtype=dtype)), upper


def _permuted(x: Any, order: Any) -> Any:
    """The rows of x in a given order."""
    return _rows_of(x, expand_dims(order, -1))


def _lu_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    factors, pivots, order = lu_p.bind(*primals)
    lower, upper = _squares(factors)
    moved = triangular_solve(lower, _permuted(tangents[0], order), left_side=True, lower=True, unit_diagonal=True)
    inner = triangular_solve(upper, moved, left_side=False, lower=False)
    slope = add(matmul(lower, tril(inner, -1)), matmul(triu(inner), upper))
    return [factors, pivots, order], [slope, None, None]


def _lu_vjp(active: tuple, a: Any) -> tuple:
    factors, pivots, order = lu_p.bind(a)

    def pull(cts: Sequence) -> tuple:
        ct = cts[0]
        if ct is None:
            return (None,)
        lower, upper = _squares(factors)
        inner = add(tril(matmul(mT(lower), tril(ct, -1)), -1), triu(matmul(triu(ct), mT(upper))))
        left = triangular_solve(lower, inner, left_side=True, lower=True, transpose_a=True, unit_diagonal=True)
        return (_permuted(triangular_solve(upper, left, left_side=False, transpose_a=True), argsort(order)),)

    return [factors, pivots, order], pull


lu_p.jvp, lu_p.vjp = _lu_jvp, _lu_vjp
