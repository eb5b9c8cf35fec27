"""Linear systems and what comes with them: solve, inv, det, slogdet, pinv, triangular and tridiagonal systems.

Lives here too: how a LAPACK-backed primitive is declared (`declare`) and the helpers of matrix calculus. May import
linalg_kernels, linear_algebra, diagonals, elementwise, shape, base, core.

The last two axes are the matrix; leading axes are a batch, and broadcast between operands. Cotangents are plain transposes (no conjugation).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray
from fnets.core.primitive import Primitive
from fnets.core.trace import dtype_of, shape_of, typeof
from fnets.errors import DTypeError, LinAlgError, ShapeError
from fnets.primitives import linalg_kernels as kernels
from fnets.primitives.base import arr, fit, move_dim, reduce_sum, reshape
from fnets.primitives.diagonals import tril, triu
from fnets.primitives.elementwise import add, broadcast_shapes, complex_, conj, imag, like_tangent, mul, neg, real, sub
from fnets.primitives.linear_algebra import matmul
from fnets.primitives.shape import concatenate, expand_dims, slice_in_dim, squeeze, swapaxes

# ------------------------------------------------------------------ matrix calculus


def mT(x: Any) -> Any:
    """The transposes of the matrices."""
    return swapaxes(x, -1, -2)


def conjugate(x: Any) -> Any:
    """The complex conjugate; a real array as it is."""
    return conj(x) if dtype_of(x).kind == "c" else x


def mH(x: Any) -> Any:
    """The conjugate transposes of the matrices."""
    return conjugate(mT(x))


def real_part(x: Any) -> Any:
    """The real part; a real array as it is."""
    return real(x) if dtype_of(x).kind == "c" else x


def products(*xs: Any) -> Any:
    """The product of several (batches of) matrices, from the left."""
    out = xs[0]
    for x in xs[1:]:
        out = matmul(out, x)
    return out


def trace_of_product(a: Any, b: Any) -> Any:
    """The trace of a b, without making the product."""
    ndim = len(shape_of(a))
    return reduce_sum(mul(a, mT(b)), (ndim - 2, ndim - 1))


def beside_matrix(s: Any) -> Any:
    """One number per matrix, as (..., 1, 1)."""
    return reshape(s, (*shape_of(s), 1, 1))


def total(*parts: Any) -> Any:
    """The sum of the parts that are there; None if none is."""
    out = None
    for p in parts:
        if p is not None:
            out = p if out is None else add(out, p)
    return out


# ------------------------------------------------------------------ declaring


def check_matrix(op: str, a: ShapedArray, square: bool = False) -> None:
    """Raise unless the aval is a (batch of) matrices of a dtype that LAPACK computes with."""
    if a.ndim < 2:
        raise ShapeError(
            f"[{op}] expected a matrix, or a batch of them, got shape {a.shape}. Add axes with x[None] or reshape."
        )
    if square and a.shape[-1] != a.shape[-2]:
        raise ShapeError(
            f"[{op}] expected square matrices, got shape {a.shape}. For others there are lstsq, pinv, qr and svd."
        )
    if a.dtype.name not in ("float32", "float64", "complex64", "complex128"):
        raise DTypeError(
            f"[{op}] expected float32, float64, complex64 or complex128, got {a.dtype.name}. Convert with x.astype('float32')."
        )


def _first_failure(call: Callable, x: np.ndarray, params: dict) -> str:
    """Which matrix of a batch it was, for the message."""
    for index in itertools.product(*map(range, x.shape[:-2])):
        try:
            call(x[index], **params)
        except np.linalg.LinAlgError:
            return f" (matrix {', '.join(map(str, index))} of the batch)" if index else ""
    return ""


def declare(name: str, call: Callable, abstract: Callable, needs: str, multi: bool = False) -> Primitive:
    """A primitive whose impl calls LAPACK through NumPy.

    needs: what the message of a `LinAlgError` says was expected, and how else to go on.
    """
    prim = Primitive(name, multi=multi, fresh=True)

    def impl(*xs: Any, **params: Any) -> Any:
        try:
            out = call(*xs, **params)
            return list(out) if multi else out
        except np.linalg.LinAlgError as error:
            failure = str(error)
        abstract(*map(typeof, xs), **params)  # a wrong shape is told first
        which = _first_failure(call, xs[0], params) if len(xs) == 1 else ""
        raise LinAlgError(
            f"[{name}] expected {needs[: needs.index('.')]}, got a failure: {failure}{which}{needs[needs.index('.') :]}"
        )

    def batch(size: int, vals: Sequence, dims: Sequence, **params: Any) -> tuple:
        out = prim.bind(move_dim(vals[0], dims[0], 0, size), **params)
        return out, [0] * len(out) if multi else 0

    prim.impl, prim.abstract, prim.batch = impl, abstract, batch
    return prim


def batch_matrices(prim: Primitive, *cores: int) -> Callable:
    """The batch rule of operands whose leading axes broadcast; `cores` are the numbers of axes that belong to one problem."""

    def batch(size: int, vals: Sequence, dims: Sequence, **params: Any) -> tuple:
        lead = max([len(shape_of(v)) - (d is not None) - c for v, d, c in zip(vals, dims, cores)])
        aligned = []
        for v, d, core in zip(vals, dims, cores):
            if d is not None:
                v = move_dim(v, d, 0, size)
                own = shape_of(v)[1:]
                v = reshape(v, (size, *(1,) * (lead + core - len(own)), *own))
            aligned.append(v)
        return prim.bind(*aligned, **params), 0

    return batch


def _batch_system(prim: Primitive) -> Callable:
    """The batch rule of `a x = b`: with one matrix for all, the batch becomes more columns of b, and a is factored once."""
    general = batch_matrices(prim, 2, 2)

    def batch(size: int, vals: Sequence, dims: Sequence, **params: Any) -> tuple:
        a, b = vals
        if dims[0] is not None or len(shape_of(a)) != 2 or len(shape_of(b)) != 3:
            return general(size, vals, dims, **params)
        b = move_dim(b, dims[1], 1, size)
        n, _, k = shape_of(b)
        return reshape(prim.bind(a, reshape(b, (n, size * k)), **params), (n, size, k)), 1

    return batch


def _system_abstract(op: str) -> Callable:
    def abstract(a: ShapedArray, b: ShapedArray, **params: Any) -> ShapedArray:
        check_matrix(op, a, square=True)
        check_matrix(op, b)
        if a.shape[-1] != b.shape[-2]:
            raise ShapeError(
                f"[{op}] expected b of shape (..., {a.shape[-1]}, k) to match a of shape {a.shape}, got {b.shape}. "
                "A vector is b[:, None]; transpose b if its rows are the right-hand sides."
            )
        batch = broadcast_shapes(op, a.shape[:-2], b.shape[:-2])
        return ShapedArray((*batch, *b.shape[-2:]), np.result_type(a.dtype, b.dtype))

    return abstract


# ------------------------------------------------------------------ solve

solve_p = declare(
    "solve",
    np.linalg.solve,
    _system_abstract("solve"),
    "an invertible matrix. Use lstsq or pinv, or add a small multiple of the identity.",
)
solve_p.batch = _batch_system(solve_p)


def _solve_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    a, b = primals
    ta, tb = tangents
    x = solve_p.bind(a, b)
    right = total(tb, None if ta is None else neg(matmul(ta, x)))
    return x, like_tangent(solve_p.bind(a, right), x)


def _solve_vjp(active: tuple, a: Any, b: Any) -> tuple:
    x = solve_p.bind(a, b)
    of_a, of_b = typeof(a), typeof(b)

    def pull(ct: Any) -> list:
        back = solve_p.bind(mT(a), ct)
        return [fit(neg(matmul(back, mT(x))), of_a) if i == 0 else fit(back, of_b) for i in active]

    return x, pull


solve_p.jvp, solve_p.vjp = _solve_jvp, _solve_vjp

# ------------------------------------------------------------------ triangular systems

_ZERO_ON_DIAGONAL = "no zero on the diagonal. Check the factor that the triangle comes from."


def _triangular_call(a: Any, b: Any, lower: bool, transpose_a: bool, unit_diagonal: bool) -> Any:
    if a.shape[-1] != b.shape[-2] or a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError  # the abstract rule says what is wrong
    if transpose_a:
        a, lower = a.swapaxes(-1, -2), not lower
    return kernels.triangular_solve(a, b, lower, unit_diagonal)


triangular_solve_p = declare(
    "triangular_solve", _triangular_call, _system_abstract("triangular_solve"), _ZERO_ON_DIAGONAL
)
triangular_solve_p.batch = _batch_system(triangular_solve_p)


def _triangle(x: Any, lower: bool, unit_diagonal: bool) -> Any:
    return tril(x, -int(unit_diagonal)) if lower else triu(x, int(unit_diagonal))


def _triangular_jvp(
    primals: Sequence, tangents: Sequence, lower: bool, transpose_a: bool, unit_diagonal: bool
) -> tuple:
    a, b = primals
    ta, tb = tangents
    params = {"lower": lower, "transpose_a": transpose_a, "unit_diagonal": unit_diagonal}
    x = triangular_solve_p.bind(a, b, **params)
    if ta is not None:
        ta = _triangle(ta, lower, unit_diagonal)
        ta = neg(matmul(mT(ta) if transpose_a else ta, x))
    return x, like_tangent(triangular_solve_p.bind(a, total(tb, ta), **params), x)


def _triangular_vjp(active: tuple, a: Any, b: Any, lower: bool, transpose_a: bool, unit_diagonal: bool) -> tuple:
    x = triangular_solve_p.bind(a, b, lower=lower, transpose_a=transpose_a, unit_diagonal=unit_diagonal)
    of_a, of_b = typeof(a), typeof(b)

    def pull(ct: Any) -> list:
        back = triangular_solve_p.bind(a, ct, lower=lower, transpose_a=not transpose_a, unit_diagonal=unit_diagonal)
        out = []
        for i in active:
            if i == 0:
                ct_a = matmul(x, mT(back)) if transpose_a else matmul(back, mT(x))
                out.append(fit(neg(_triangle(ct_a, lower, unit_diagonal)), of_a))
            else:
                out.append(fit(back, of_b))
        return out

    return x, pull


triangular_solve_p.jvp, triangular_solve_p.vjp = _triangular_jvp, _triangular_vjp


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
      a: array (..., n, n); only one triangle is read, and not the diagonal if `unit_diagonal`.
      b: array (..., n, k) with left_side, else (..., k, n); a vector (n,) too. Leading axes broadcast.
      left_side: the side that `a` is on.
      lower: use the lower triangle.
      transpose_a, conjugate_a: solve with the transposed, the conjugated, or the conjugate transposed matrix.
      unit_diagonal: the diagonal counts as ones.

    Returns:
      x, of the shape of b (with the broadcast leading axes).

    Raises:
      ShapeError: the shapes do not fit.
      LinAlgError: a zero on the diagonal.

    >>> triangular_solve(np.array([[2.0, 0.0], [1.0, 1.0]]), np.array([[2.0], [3.0]]), left_side=True, lower=True)
    array([[1.],
           [2.]])
    """
    a, b = arr(a), arr(b)
    vector = len(shape_of(b)) == 1
    if vector:
        b = expand_dims(b, -1 if left_side else 0)
    if conjugate_a:
        a = conjugate(a)
    params = {"lower": lower, "unit_diagonal": unit_diagonal}
    if left_side:
        x = triangular_solve_p.bind(a, b, transpose_a=transpose_a, **params)
    else:
        x = mT(triangular_solve_p.bind(a, mT(b), transpose_a=not transpose_a, **params))
    return squeeze(x, -1 if left_side else 0) if vector else x


# ------------------------------------------------------------------ inv, det, slogdet


def square_abstract(op: str) -> Callable:
    """The abstract rule of a function from square matrices to matrices of the same shape."""

    def abstract(a: ShapedArray) -> ShapedArray:
        check_matrix(op, a, square=True)
        return ShapedArray(a.shape, a.dtype)

    return abstract


inv_p = declare(
    "inv",
    np.linalg.inv,
    square_abstract("inv"),
    "an invertible matrix. Use pinv, or add a small multiple of the identity.",
)


def _inv_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    x = inv_p.bind(*primals)
    return x, neg(products(x, tangents[0], x))


def _inv_vjp(active: tuple, a: Any) -> tuple:
    x = inv_p.bind(a)
    return x, lambda ct: (neg(products(mT(x), ct, mT(x))),)


inv_p.jvp, inv_p.vjp = _inv_jvp, _inv_vjp


def _det_abstract(a: ShapedArray) -> ShapedArray:
    check_matrix("det", a, square=True)
    return ShapedArray(a.shape[:-2], a.dtype)


det_p = declare("det", np.linalg.det, _det_abstract, "a square matrix.")
# the derivative of the determinant, also where it is zero
adjugate_p = declare(
    "adjugate", kernels.adjugate, square_abstract("adjugate"), "finite values. Check the matrix with isfinite."
)


def _det_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    (a,) = primals
    return det_p.bind(a), trace_of_product(adjugate_p.bind(a), tangents[0])


def _det_vjp(active: tuple, a: Any) -> tuple:
    return det_p.bind(a), lambda ct: (mul(beside_matrix(ct), mT(adjugate_p.bind(a))),)


det_p.jvp, det_p.vjp = _det_jvp, _det_vjp


def _adjugate_slope(a: Any, t: Any) -> Any:
    """det(a) (tr(x t) x - x t x) with x = inv(a): self-adjoint up to transposition of a, t and the result."""
    x = inv_p.bind(a)
    change = sub(mul(beside_matrix(trace_of_product(x, t)), x), products(x, t, x))
    return mul(beside_matrix(det_p.bind(a)), change)


def _adjugate_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    (a,) = primals
    return adjugate_p.bind(a), _adjugate_slope(a, tangents[0])


def _adjugate_vjp(active: tuple, a: Any) -> tuple:
    return adjugate_p.bind(a), lambda ct: (_adjugate_slope(mT(a), ct),)


adjugate_p.jvp, adjugate_p.vjp = _adjugate_jvp, _adjugate_vjp


def _slogdet_abstract(a: ShapedArray) -> list:
    check_matrix("slogdet", a, square=True)
    return [ShapedArray(a.shape[:-2], a.dtype), ShapedArray(a.shape[:-2], np.zeros((), a.dtype).real.dtype)]


slogdet_p = declare("slogdet", np.linalg.slogdet, _slogdet_abstract, "a square matrix.", multi=True)


def _turned(y: Any) -> Any:
    """i y of a real y."""
    return complex_(mul(y, 0), y)


def _slogdet_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    (a,) = primals
    sign, logdet = slogdet_p.bind(a)
    t = trace_of_product(inv_p.bind(a), tangents[0])
    if dtype_of(a).kind != "c":
        return [sign, logdet], [None, t]
    return [sign, logdet], [mul(sign, _turned(imag(t))), real(t)]


def _slogdet_vjp(active: tuple, a: Any) -> tuple:
    sign, logdet = slogdet_p.bind(a)
    is_complex = dtype_of(a).kind == "c"

    def pull(cts: Sequence) -> tuple:
        ct_sign, ct_log = cts
        turn = _turned(imag(mul(ct_sign, sign))) if is_complex and ct_sign is not None else None
        ct = total(ct_log, turn)
        return (None if ct is None else fit(mul(beside_matrix(ct), mT(inv_p.bind(a))), typeof(a)),)

    return [sign, logdet], pull


slogdet_p.jvp, slogdet_p.vjp = _slogdet_jvp, _slogdet_vjp

# ------------------------------------------------------------------ pinv


def _pinv_abstract(a: ShapedArray, rtol: ShapedArray, hermitian: bool) -> ShapedArray:
    check_matrix("pinv", a, square=hermitian)
    batch = broadcast_shapes("pinv", a.shape[:-2], rtol.shape)
    return ShapedArray((*batch, a.shape[-1], a.shape[-2]), a.dtype)


def _pinv_call(a: Any, rtol: Any, hermitian: bool) -> Any:
    batch = np.broadcast_shapes(a.shape[:-2], np.shape(rtol))
    a = np.broadcast_to(a, (*batch, *a.shape[-2:]))
    return np.linalg.pinv(a, rtol, hermitian).astype(a.dtype, copy=False)


# singular values up to rtol times the largest count as zero; rtol is one number, or one per matrix
pinv_p = declare("pinv", _pinv_call, _pinv_abstract, "finite values. Check the matrix with isfinite.")
pinv_p.batch = batch_matrices(pinv_p, 2, 0)

# Golub and Pereyra, "The differentiation of pseudo-inverses ..." (1973), for matrices of constant rank:
# dP = -P dA P + P P* dA* (I - A P) + (I - P A) dA* P* P


def _pinv_jvp(primals: Sequence, tangents: Sequence, hermitian: bool) -> tuple:
    (a, rtol), t = primals, tangents[0]
    p = pinv_p.bind(a, rtol, hermitian=hermitian)
    if t is None:
        return p, None
    th, ph = mH(t), mH(p)
    left, right = products(p, ph, th), products(th, ph, p)
    return p, sub(add(sub(left, products(left, a, p)), sub(right, products(p, a, right))), products(p, t, p))


def _pinv_vjp(active: tuple, a: Any, rtol: Any, hermitian: bool) -> tuple:
    p = pinv_p.bind(a, rtol, hermitian=hermitian)
    aval = typeof(a)

    def of_a(ct: Any) -> Any:
        ph, gh = mH(p), mT(ct)  # gh: the adjoint of the gradient conj(ct)
        left, right = products(gh, p, ph), products(ph, p, gh)
        slope = sub(add(sub(left, products(a, p, left)), sub(right, products(right, p, a))), products(ph, mH(gh), ph))
        return fit(conjugate(slope), aval)

    return p, lambda ct: [of_a(ct) if i == 0 else None for i in active]


pinv_p.jvp, pinv_p.vjp = _pinv_jvp, _pinv_vjp

# ------------------------------------------------------------------ tridiagonal systems


def _tridiagonal_abstract(
    dl: ShapedArray, d: ShapedArray, du: ShapedArray, b: ShapedArray, perturb_singular: bool
) -> ShapedArray:
    check_matrix("tridiagonal_solve", b)
    n = b.shape[-2]
    for v in (dl, d, du):
        if not v.ndim or v.shape[-1] != n:
            raise ShapeError(
                f"[tridiagonal_solve] expected dl, d and du of shape (..., {n}) to match b of shape {b.shape}, got {dl.shape}, {d.shape} and "
                f"{du.shape}. dl[0] and du[-1] stand for nothing."
            )
    batch = broadcast_shapes("tridiagonal_solve", dl.shape[:-1], d.shape[:-1], du.shape[:-1], b.shape[:-2])
    return ShapedArray((*batch, *b.shape[-2:]), np.result_type(dl.dtype, d.dtype, du.dtype, b.dtype))


def _tridiagonal_call(dl: Any, d: Any, du: Any, b: Any, perturb_singular: bool) -> Any:
    if b.ndim < 2 or not dl.shape[-1:] == d.shape[-1:] == du.shape[-1:] == b.shape[-2:-1]:
        raise np.linalg.LinAlgError  # the abstract rule says what is wrong
    return kernels.tridiagonal_solve(dl, d, du, b, perturb_singular)


tridiagonal_solve_p = declare(
    "tridiagonal_solve", _tridiagonal_call, _tridiagonal_abstract, "an invertible matrix. Check the diagonals."
)
tridiagonal_solve_p.batch = batch_matrices(tridiagonal_solve_p, 1, 1, 1, 2)


def _shifted(x: Any, by: int, axis: int) -> Any:
    """`x` moved along an axis by one step, zeros coming in."""
    n = shape_of(x)[axis]
    if not n:
        return x
    edge = mul(slice_in_dim(x, 0, 1, axis=axis), 0)
    if by > 0:
        return concatenate([edge, slice_in_dim(x, 0, n - 1, axis=axis)], len(shape_of(x)) + axis)
    return concatenate([slice_in_dim(x, 1, n, axis=axis), edge], len(shape_of(x)) + axis)


def _tridiagonal_product(dl: Any, d: Any, du: Any, x: Any) -> Any:
    parts = [(dl, lambda: _shifted(x, 1, -2)), (d, lambda: x), (du, lambda: _shifted(x, -1, -2))]
    return total(*[mul(expand_dims(v, -1), neighbour()) for v, neighbour in parts if v is not None])


def _tridiagonal_jvp(primals: Sequence, tangents: Sequence, **params: Any) -> tuple:
    x = tridiagonal_solve_p.bind(*primals, **params)
    change = _tridiagonal_product(*tangents[:3], x)
    right = total(tangents[3], None if change is None else neg(change))
    return x, like_tangent(tridiagonal_solve_p.bind(*primals[:3], right, **params), x)


def _tridiagonal_vjp(active: tuple, dl: Any, d: Any, du: Any, b: Any, **params: Any) -> tuple:
    x = tridiagonal_solve_p.bind(dl, d, du, b, **params)
    avals = [typeof(v) for v in (dl, d, du, b)]

    def pull(ct: Any) -> list:
        back = tridiagonal_solve_p.bind(_shifted(du, 1, -1), d, _shifted(dl, -1, -1), ct, **params)
        neighbours = {0: lambda: _shifted(x, 1, -2), 1: lambda: x, 2: lambda: _shifted(x, -1, -2)}
        axis = len(shape_of(x)) - 1
        return [fit(back if i == 3 else neg(reduce_sum(mul(back, neighbours[i]()), (axis,))), avals[i]) for i in active]

    return x, pull


tridiagonal_solve_p.jvp, tridiagonal_solve_p.vjp = _tridiagonal_jvp, _tridiagonal_vjp


def tridiagonal_solve(dl: Any, d: Any, du: Any, b: Any, *, perturb_singular: bool = False) -> Any:
    """Solve tridiagonal systems, with row swaps where they are needed.

    Args:
      dl: array (..., n), the lower diagonal; its first element is not used.
      d: array (..., n), the diagonal.
      du: array (..., n), the upper diagonal; its last element is not used.
      b: array (..., n, k), the right-hand sides. Leading axes broadcast.
      perturb_singular: put a tiny number in the place of a zero pivot, instead of an error.

    Raises:
      ShapeError: the lengths differ.
      LinAlgError: the matrix is singular.

    >>> tridiagonal_solve(np.array([0.0, 1.0]), np.array([2.0, 2.0]), np.array([1.0, 0.0]), np.array([[3.0], [3.0]]))
    array([[1.],
           [1.]])
    """
    return tridiagonal_solve_p.bind(arr(dl), arr(d), arr(du), arr(b), perturb_singular=perturb_singular)
