"""Functions of matrices: the exponential, the square root, the polar factor, Sylvester's equation. May import solvers, decompositions, core and below.

Their derivatives are smooth where the functions are, also at equal eigenvalues, for they are written with the functions themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray
from fnets.core.trace import dtype_of, shape_of, typeof
from fnets.errors import ArgumentError, ShapeError
from fnets.primitives import linalg_kernels as kernels
from fnets.primitives.base import convert, fit
from fnets.primitives.elementwise import add, broadcast_shapes, like_tangent, mul, neg, sub
from fnets.primitives.linear_algebra import matmul
from fnets.primitives.shape import concatenate, slice_in_dim
from fnets.primitives.solvers import (
    batch_matrices,
    check_matrix,
    conjugate,
    declare,
    inv_p,
    mH,
    mT,
    products,
    square_abstract,
    total,
)

# ------------------------------------------------------------------ the matrix exponential


def _expm_call(a: Any) -> Any:
    if a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError  # the abstract rule says what is wrong
    return kernels.expm(a)


expm_p = declare("expm", _expm_call, square_abstract("expm"), "finite values. Check the matrix with isfinite.")


def expm_frechet(a: Any, t: Any) -> tuple[Any, Any]:
    """exp(a) and its derivative along t: blocks of the exponential of [[a, t], [0, a]] (Mathias 1996).

    >>> expm_frechet(np.zeros((1, 1)), np.ones((1, 1)))
    (array([[1.]]), array([[1.]]))
    """
    n = shape_of(a)[-1]
    if shape_of(t)[-2:] != (n, n):
        raise ArgumentError(
            f"[expm_frechet] expected a direction of the shape {shape_of(a)} of the matrix, got {shape_of(t)}."
        )
    axis = len(shape_of(a)) - 1
    upper, lower = concatenate([a, t], axis), concatenate([mul(a, 0), a], axis)
    top = slice_in_dim(expm_p.bind(concatenate([upper, lower], axis - 1)), 0, n, axis=axis - 1)
    return slice_in_dim(top, 0, n, axis=axis), slice_in_dim(top, n, 2 * n, axis=axis)


def _expm_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    (a,) = primals
    return expm_p.bind(a), expm_frechet(a, tangents[0])[1]


def _expm_vjp(active: tuple, a: Any) -> tuple:
    return expm_p.bind(a), lambda ct: (expm_frechet(mT(a), ct)[1],)


expm_p.jvp, expm_p.vjp = _expm_jvp, _expm_vjp

# ------------------------------------------------------------------ Sylvester's equation


def _sylvester_abstract(a: ShapedArray, b: ShapedArray, q: ShapedArray) -> ShapedArray:
    for v in (a, b):
        check_matrix("solve_sylvester", v, square=True)
    check_matrix("solve_sylvester", q)
    if q.shape[-2:] != (a.shape[-1], b.shape[-1]):
        raise ShapeError(
            f"[solve_sylvester] expected q of shape (..., {a.shape[-1]}, {b.shape[-1]}) to match a and b, got {q.shape}."
        )
    batch = broadcast_shapes("solve_sylvester", a.shape[:-2], b.shape[:-2], q.shape[:-2])
    return ShapedArray((*batch, *q.shape[-2:]), np.result_type(a.dtype, b.dtype, q.dtype))


def _sylvester_call(a: Any, b: Any, q: Any) -> Any:
    if q.shape[-2:] != (a.shape[-1], b.shape[-1]):
        raise np.linalg.LinAlgError  # the abstract rule says what is wrong
    return kernels.sylvester(a, b, q)


# x of a x + x b = q
sylvester_p = declare(
    "solve_sylvester", _sylvester_call, _sylvester_abstract, "no eigenvalues of a and -b in common. Check the matrices."
)
sylvester_p.batch = batch_matrices(sylvester_p, 2, 2, 2)


def _sylvester_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    a, b, q = primals
    ta, tb, tq = tangents
    x = sylvester_p.bind(a, b, q)
    right = total(tq, None if ta is None else neg(matmul(ta, x)), None if tb is None else neg(matmul(x, tb)))
    return x, like_tangent(sylvester_p.bind(a, b, right), x)


def _sylvester_vjp(active: tuple, a: Any, b: Any, q: Any) -> tuple:
    x = sylvester_p.bind(a, b, q)
    avals = [typeof(v) for v in (a, b, q)]

    def pull(ct: Any) -> list:
        y = sylvester_p.bind(mT(a), mT(b), ct)
        parts = {0: lambda: neg(matmul(y, mT(x))), 1: lambda: neg(matmul(mT(x), y)), 2: lambda: y}
        return [fit(parts[i](), avals[i]) for i in active]

    return x, pull


sylvester_p.jvp, sylvester_p.vjp = _sylvester_jvp, _sylvester_vjp

# ------------------------------------------------------------------ the square root


def _sqrtm_abstract(a: ShapedArray) -> ShapedArray:
    check_matrix("sqrtm", a, square=True)
    return ShapedArray(a.shape, np.result_type(a.dtype, np.complex64))


# the principal square root, always complex
sqrtm_p = declare("sqrtm", kernels.sqrtm, _sqrtm_abstract, "finite values. Check the matrix with isfinite.")


def _sqrtm_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    root = sqrtm_p.bind(*primals)
    return root, sylvester_p.bind(root, root, convert(tangents[0], dtype_of(root)))


def _sqrtm_vjp(active: tuple, a: Any) -> tuple:
    root = sqrtm_p.bind(a)
    return root, lambda ct: (fit(sylvester_p.bind(mT(root), mT(root), ct), typeof(a)),)


sqrtm_p.jvp, sqrtm_p.vjp = _sqrtm_jvp, _sqrtm_vjp

# ------------------------------------------------------------------ the polar factor


def _polar_abstract(a: ShapedArray) -> ShapedArray:
    check_matrix("polar", a)
    if a.shape[-2] < a.shape[-1]:
        raise ShapeError(f"[polar] expected no more columns than rows, got shape {a.shape}. Transpose.")
    return ShapedArray(a.shape, a.dtype)


def _polar_call(a: Any) -> Any:
    u, _, vh = np.linalg.svd(a, False)
    return np.matmul(u, vh)


# the matrix with orthonormal columns that is nearest to a: u of a = u p
polar_p = declare("polar", _polar_call, _polar_abstract, "finite values. Check the matrix with isfinite.")


def _hermitian_factor(u: Any, a: Any) -> Any:
    p = matmul(mH(u), a)
    return mul(add(p, mH(p)), 0.5)


def _outside(u: Any, x: Any) -> Any:
    return sub(x, products(u, mH(u), x))


def _polar_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    (a,), (t,) = primals, tangents
    u = polar_p.bind(a)
    p, inner = _hermitian_factor(u, a), matmul(mH(u), t)
    turn = matmul(u, sylvester_p.bind(p, p, sub(inner, mH(inner))))
    return u, add(turn, matmul(_outside(u, t), inv_p.bind(p)))


def _polar_vjp(active: tuple, a: Any) -> tuple:
    u = polar_p.bind(a)

    def pull(ct: Any) -> tuple:
        g = conjugate(ct)
        p = _hermitian_factor(u, a)
        y = sylvester_p.bind(p, p, matmul(mH(u), g))
        return (conjugate(add(matmul(u, sub(y, mH(y))), matmul(_outside(u, g), inv_p.bind(p)))),)

    return u, pull


polar_p.jvp, polar_p.vjp = _polar_jvp, _polar_vjp


def polar_factor(a: Any) -> Any:
    """The (partial) isometry u of the polar decompositions a = u p = q u, for matrices of any shape and full rank.

    >>> polar_factor(np.diag([2.0, -3.0]))
    array([[ 1.,  0.],
           [ 0., -1.]])
    """
    m, n = shape_of(a)[-2:]
    return polar_p.bind(a) if m >= n else mH(polar_p.bind(mH(a)))
