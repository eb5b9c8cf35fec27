"""`fnets.scipy.sparse.linalg`: iterative solvers of linear systems whose operator is a function. May import `fnets.numpy`, control, transforms and below.

Trees are worked on as one vector. Derivatives are those of the solution (`custom_linear_solve`): they solve with the same operator or its
transpose, however many steps were needed, and are as accurate as the tolerances; the first guess and the preconditioner have none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fnets import tree
from fnets.control.implicit import custom_linear_solve
from fnets.control.while_loop import while_loop
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.flatten_util import ravel_pytree
from fnets.numpy.arguments import Array, to_array, to_inexact
from fnets.numpy.indexing import at
from fnets.primitives import elementwise as e
from fnets.primitives.base import convert, zeros_like
from fnets.primitives.linear_algebra import matmul, vdot
from fnets.primitives.shape import stop_gradient
from fnets.primitives.solvers import conjugate, triangular_solve
from fnets.transforms.derivatives import linear_transpose

__all__ = ["bicgstab", "cg", "gmres"]

# ------------------------------------------------------------------ arguments


def _operator(op: str, a: Any, what: str) -> Callable:
    """A function of a tree, from a function or a square matrix."""
    if callable(a):
        return a
    if isinstance(a, (Array, list)) or hasattr(a, "__matmul__"):
        matrix = a if hasattr(a, "shape") else to_array(a)
        if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ShapeError(f"[{op}] expected a square matrix as {what}, got shape {matrix.shape}.")
        return lambda x: matrix @ x
    raise ArgumentError(
        f"[{op}] expected a function or a square matrix as {what}, got {type(a).__name__}. Pass lambda x: ..."
    )


def _solved(
    op: str, algorithm: Callable, A: Any, b: Any, x0: Any, tol: Any, atol: Any, maxiter: Any, M: Any, hermitian: bool
) -> tuple[Any, None]:
    A, M = _operator(op, A, "A"), None if M is None else _operator(op, M, "M")
    b = tree.map(to_inexact, b)
    flat, unravel = ravel_pytree(b)
    n = shape_of(flat)[0]
    if x0 is None:
        start = np.zeros(n, dtype_of(flat))
    else:
        if tree.structure(x0) != tree.structure(b) or [shape_of(x) for x in tree.leaves(x0)] != [
            shape_of(x) for x in tree.leaves(b)
        ]:
            raise ShapeError(
                f"[{op}] expected x0 of the structure and shapes of b, got others. Omit it to start at zero."
            )
        start = stop_gradient(convert(ravel_pytree(x0)[0], dtype_of(flat)))

    def on_vectors(f: Callable) -> Callable:
        def g(x: Any) -> Any:
            out = f(unravel(x))
            if tree.structure(out) != tree.structure(b):
                raise ArgumentError(
                    f"[{op}] expected A(x) and M(x) to look like b, {tree.structure(b)}, got {tree.structure(out)}."
                )
            return convert(ravel_pytree(out)[0], dtype_of(flat))

        return g

    preconditioned = (lambda x: x) if M is None else on_vectors(M)
    size = 10 * n if maxiter is None else maxiter

    def solver(preconditioner: Callable) -> Callable:
        def solve(matvec: Callable, rhs: Any) -> Any:
            enough = e.maximum(e.mul(tol, _length(rhs)), atol)
            return algorithm(matvec, rhs, start, enough, size, preconditioner)

        return solve

    def transposed(x: Any) -> Any:
        return linear_transpose(preconditioned, flat)(x)[0]

    solve = solver(preconditioned)
    symmetric = hermitian and dtype_of(flat).kind != "c"
    other = solve if symmetric or M is None else solver(transposed)
    return unravel(custom_linear_solve(on_vectors(A), flat, solve, other, symmetric=symmetric)), None


def _length(x: Any) -> Any:
    return e.sqrt(e.real(vdot(x, x))) if dtype_of(x).kind == "c" else e.sqrt(vdot(x, x))


# ------------------------------------------------------------------ conjugate gradients


def _cg(A: Callable, b: Any, x: Any, enough: Any, maxiter: Any, M: Callable) -> Any:
    def unfinished(state: tuple) -> Any:
        _, r, _, _, k = state
        return e.logical_and(e.gt(_length(r), enough), e.lt(k, maxiter))

    def step(state: tuple) -> tuple:
        x, r, p, rho, k = state
        ap = A(p)
        alpha = e.div(rho, vdot(p, ap))
        x, r = e.add(x, e.mul(alpha, p)), e.sub(r, e.mul(alpha, ap))
        z = M(r)
        new = vdot(r, z)
        return x, r, e.add(z, e.mul(e.div(new, rho), p)), new, e.add(k, 1)

    r = e.sub(b, A(x))
    z = M(r)
    return while_loop(unfinished, step, (x, r, z, vdot(r, z), np.int64(0)))[0]


def cg(
    A: Any, b: Any, x0: Any = None, *, tol: Any = 1e-5, atol: Any = 0.0, maxiter: Any = None, M: Any = None
) -> tuple[Any, None]:
    """Solve A x = b for a Hermitian, positive definite A, by conjugate gradients (Saad, Iterative Methods, 2003, algorithm 9.1).

    Args:
      A: function of a tree like b, or matrix (n, n).
      b: tree of float or complex arrays; integers become float64.
      x0: first guess, a tree like b; zeros by default.
      tol, atol: done when the residual's length is at most max(tol times that of b, atol).
      maxiter: steps at most; by default ten times the number of elements.
      M: preconditioner: function or matrix that approximates the inverse of A, Hermitian and positive definite.

    Returns:
      (x, None), x like b. Differentiable in b and in what A is made of.

    Raises:
      ShapeError: a matrix that is not square; x0 does not look like b.
      ArgumentError: A(x) has not the structure of b.

    >>> cg(np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([2.0, 2.0]))[0].round(6)
    array([1. , 0.5])
    """
    return _solved("cg", _cg, A, b, x0, tol, atol, maxiter, M, True)


# ------------------------------------------------------------------ stabilised biconjugate gradients


def _bicgstab(A: Callable, b: Any, x: Any, enough: Any, maxiter: Any, M: Callable) -> Any:
    def unfinished(state: tuple) -> Any:
        _, r, _, _, rho, k = state
        return e.logical_and(e.logical_and(e.gt(_length(r), enough), e.lt(k, maxiter)), e.ne(rho, 0))

    def step(state: tuple) -> tuple:
        x, r, p, v, rho, k = state
        ph = M(p)
        v = A(ph)
        alpha = e.div(rho, vdot(shadow, v))
        s = e.sub(r, e.mul(alpha, v))
        sh = M(s)
        t = A(sh)
        length = vdot(t, t)
        none = e.eq(length, 0)
        omega = e.select(
            none, e.fill_like(length, 0), e.div(vdot(t, s), e.select(none, e.fill_like(length, 1), length))
        )
        x = e.add(x, e.add(e.mul(alpha, ph), e.mul(omega, sh)))
        r = e.sub(s, e.mul(omega, t))
        new = vdot(shadow, r)
        stopped = e.eq(omega, 0)  # s is zero: the solution; else a breakdown, which ends the loop too
        beta = e.mul(e.div(new, rho), e.div(alpha, e.select(stopped, e.fill_like(omega, 1), omega)))
        p = e.add(r, e.mul(beta, e.sub(p, e.mul(omega, v))))
        return x, r, p, v, e.select(stopped, e.fill_like(new, 0), new), e.add(k, 1)

    r = shadow = e.sub(b, A(x))
    return while_loop(unfinished, step, (x, r, r, zeros_like(r), vdot(r, r), np.int64(0)))[0]


def bicgstab(
    A: Any, b: Any, x0: Any = None, *, tol: Any = 1e-5, atol: Any = 0.0, maxiter: Any = None, M: Any = None
) -> tuple[Any, None]:
    """Solve A x = b for a general A, by stabilised biconjugate gradients (van der Vorst 1992; Saad, 2003, algorithm 7.7).

    Args:
      A, b, x0, tol, atol, maxiter: as in `cg`; A need not be Hermitian.
      M: preconditioner: function or matrix that approximates the inverse of A.

    Returns:
      (x, None), x like b. Differentiable in b and in what A is made of. A breakdown ends the steps early.

    Raises:
      ShapeError, ArgumentError: as in `cg`.

    >>> bicgstab(np.array([[2.0, 1.0], [0.0, 4.0]]), np.array([3.0, 4.0]))[0].round(6)
    array([1., 1.])
    """
    return _solved("bicgstab", _bicgstab, A, b, x0, tol, atol, maxiter, M, False)


# ------------------------------------------------------------------ generalised minimal residuals


def _project_out(basis: Any, w: Any) -> tuple[Any, Any]:
    """w without its part in the span of the orthonormal rows of the basis, and its coefficients there; twice is enough (Giraud et al. 2005)."""
    first = matmul(conjugate(basis), w)
    w = e.sub(w, matmul(first, basis))
    second = matmul(conjugate(basis), w)
    return e.sub(w, matmul(second, basis)), e.add(first, second)


def _gmres(restart: int, A: Callable, b: Any, x: Any, enough: Any, maxiter: Any, M: Callable) -> Any:
    n, dtype = shape_of(b)[0], dtype_of(b)
    m = min(restart, n)
    eps = np.finfo(dtype).eps
    one, zero = np.ones((), dtype), np.zeros((), dtype)
    # the residual is measured behind the preconditioner: its aim shrinks as M shrinks b
    own, size = _length(M(b)), _length(b)
    within = e.mul(own, e.minimum(e.div(enough, e.select(e.gt(size, 0), size, e.fill_like(size, 1))), 1))

    def step(state: tuple) -> tuple:
        """One more direction: Arnoldi's process, with the rotations that keep its matrix a triangle."""
        basis, triangle, rotations, left, k = state
        w = M(A(basis[k]))
        before = _length(w)
        w, inner = _project_out(basis, w)
        below = _length(w)
        below = e.select(e.gt(below, e.mul(eps, before)), below, e.fill_like(below, 0))
        usable = e.gt(below, 0)
        w = e.select(
            usable, e.div(w, convert(e.select(usable, below, e.fill_like(below, 1)), dtype)), e.fill_like(w, 0)
        )
        basis = at(basis)[k + 1].set(w)
        rotated = matmul(rotations, inner)
        corner, below = rotated[k], convert(below, dtype)
        radius = convert(e.sqrt(e.add(e.square(e.abs(corner)), e.square(e.abs(below)))), dtype)
        flat = e.eq(radius, 0)
        safe = e.select(flat, one, radius)
        c, s = e.select(flat, one, e.div(corner, safe)), e.select(flat, zero, e.div(below, safe))
        upper, lower = rotations[k], rotations[k + 1]
        rotations = at(rotations)[k].set(e.add(e.mul(conjugate(c), upper), e.mul(s, lower)))
        rotations = at(rotations)[k + 1].set(e.sub(e.mul(c, lower), e.mul(s, upper)))
        column = at(e.select(e.lt(np.arange(m + 1), k), rotated, e.fill_like(rotated, 0)))[k].set(safe)
        return basis, at(triangle)[k].set(column[:m]), rotations, e.abs(rotations[k + 1, 0]), e.add(k, 1)

    def cycle(state: tuple) -> tuple:
        x, r, k = state
        beta = _length(r)
        unit = e.div(r, convert(e.select(e.gt(beta, 0), beta, e.fill_like(beta, 1)), dtype))
        basis = at(np.zeros((m + 1, n), dtype))[0].set(unit)
        # rows of `triangle` are columns of the triangle; those that are not reached stay those of the identity
        begin = (basis, np.eye(m, dtype=dtype), np.eye(m + 1, dtype=dtype), e.fill_like(beta, 1), np.int64(0))
        basis, triangle, rotations, _, steps = while_loop(
            lambda s: e.logical_and(e.gt(e.mul(beta, s[3]), within), e.lt(s[4], m)), step, begin
        )
        rhs = e.select(e.lt(np.arange(m), steps), rotations[:m, 0], e.fill_like(rotations[:m, 0], 0))
        rhs = e.mul(rhs, convert(beta, dtype))
        y = triangular_solve(triangle, rhs[:, None], left_side=True, lower=True, transpose_a=True)[:, 0]
        x = e.add(x, matmul(y, basis[:m]))
        return x, M(e.sub(b, A(x))), e.add(k, 1)

    def unfinished(state: tuple) -> Any:
        return e.logical_and(e.gt(_length(state[1]), within), e.lt(state[2], maxiter))

    return while_loop(unfinished, cycle, (x, M(e.sub(b, A(x))), np.int64(0)))[0]


def gmres(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    tol: Any = 1e-5,
    atol: Any = 0.0,
    restart: int = 20,
    maxiter: Any = None,
    M: Any = None,
    solve_method: str = "batched",
) -> tuple[Any, None]:
    """Solve A x = b for a general A, by generalised minimal residuals with restarts (Saad and Schultz 1986; Saad, 2003, algorithm 6.9).

    Args:
      A, b, x0: as in `cg`; A need not be Hermitian.
      tol, atol: done when the residual's length is at most max(tol times that of b, atol), both measured after M.
      restart: directions between restarts: memory is that many vectors.
      maxiter: cycles of `restart` steps at most; by default ten times the number of elements.
      M: preconditioner: function or matrix that approximates the inverse of A.
      solve_method: "batched" or "incremental"; accepted and the same here: a cycle ends as soon as the residual is small.

    Returns:
      (x, None), x like b. Differentiable in b and in what A is made of.

    Raises:
      ShapeError, ArgumentError: as in `cg`; another solve_method.

    >>> gmres(np.array([[0.0, 1.0], [2.0, 0.0]]), np.array([1.0, 4.0]))[0].round(6)
    array([2., 1.])
    """
    if solve_method not in ("batched", "incremental"):
        raise ArgumentError(f'[gmres] expected solve_method "batched" or "incremental", got {solve_method!r}.')
    return _solved("gmres", functools.partial(_gmres, restart), A, b, x0, tol, atol, maxiter, M, False)
