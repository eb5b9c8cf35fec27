"""`fnets.scipy.optimize`: the smallest value of a function of a vector. May import `fnets.optim`, `fnets.numpy`, control, transforms and below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fnets.control.while_loop import while_loop
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.numpy.arguments import to_inexact
from fnets.numpy.norms import norm
from fnets.optim.linesearch import scale_by_zoom_linesearch
from fnets.primitives import elementwise as e
from fnets.primitives.base import convert
from fnets.primitives.linear_algebra import dot, matmul
from fnets.transforms.vjp import value_and_grad

__all__ = ["OptimizeResults", "minimize"]


class OptimizeResults(NamedTuple):
    """What a search found.

    x: the solution (n,); fun, jac: the value and the gradient there; success: whether the gradient is small enough; status: 0 if so, 1 if the steps
    were used up, 3 if no step was good enough; hess_inv: the estimate of the inverse of the Hessian (n, n); nfev, njev, nit: numbers of values,
    gradients and steps.

    >>> OptimizeResults(1.0, True, 0, 0.0, 0.0, None, 1, 1, 1).success
    True
    """

    x: Any
    success: Any
    status: Any
    fun: Any
    jac: Any
    hess_inv: Any
    nfev: Any
    njev: Any
    nit: Any


class _State(NamedTuple):
    x: Any
    value: Any
    grad: Any
    inverse: Any
    before: Any  # the value one step earlier, which scales the first trial of a step
    evaluations: Any
    steps: Any
    failed: Any


def _bfgs(
    fun: Callable,
    x0: Any,
    maxiter: int | None = None,
    norm_order: Any = np.inf,
    gtol: Any = 1e-5,
    line_search_maxiter: int = 10,
) -> OptimizeResults:
    """Nocedal and Wright, Numerical Optimization (2006), algorithm 6.1, with a search along the line that meets the strong Wolfe conditions."""
    n, dtype = shape_of(x0)[0], dtype_of(x0)
    limit = 200 * n if maxiter is None else maxiter
    eye = np.eye(n, dtype=dtype)
    along_line = scale_by_zoom_linesearch(line_search_maxiter, approx_dec_rtol=None)

    def evaluate(x: Any) -> Any:
        return convert(fun(x), dtype)

    def converged(grad: Any) -> Any:
        return e.lt(norm(grad, norm_order), gtol)

    def unfinished(s: _State) -> Any:
        return e.logical_and(e.logical_not(e.logical_or(converged(s.grad), s.failed)), e.lt(s.steps, limit))

    def step(s: _State) -> _State:
        direction = e.neg(matmul(s.inverse, s.grad))
        guess = e.div(e.mul(2.02, e.sub(s.value, s.before)), dot(s.grad, direction))
        guess = e.select(e.logical_and(e.gt(guess, 0), e.lt(guess, 1)), guess, e.fill_like(guess, 1))
        begin = along_line.init(s.x)._replace(learning_rate=guess)
        moved, search = along_line.update(direction, begin, s.x, value=s.value, grad=s.grad, value_fn=evaluate)
        change = e.sub(search.grad, s.grad)
        curvature = dot(change, moved)
        usable = e.gt(curvature, 0)
        rho = e.reciprocal(e.select(usable, curvature, e.fill_like(curvature, 1)))
        left = e.sub(eye, e.mul(rho, e.mul(moved[:, None], change)))
        inverse = e.add(matmul(matmul(left, s.inverse), left.T), e.mul(rho, e.mul(moved[:, None], moved)))
        error = e.maximum(search.info.decrease_error, search.info.curvature_error)
        return _State(
            e.add(s.x, moved),
            search.value,
            search.grad,
            e.select(usable, inverse, s.inverse),
            s.value,
            e.add(s.evaluations, search.info.num_linesearch_steps),
            e.add(s.steps, 1),
            e.gt(error, 0),
        )

    value, grad = value_and_grad(evaluate)(x0)
    one, zero = np.int64(1), np.int64(0)
    begin = _State(x0, value, grad, eye, e.add(value, e.mul(norm(grad), 0.5)), one, zero, np.bool_(False))
    s = while_loop(unfinished, step, begin)
    success = converged(s.grad)
    status = e.select(success, zero, e.select(e.ge(s.steps, limit), one, np.int64(3)))
    return OptimizeResults(s.x, success, status, s.value, s.grad, s.inverse, s.evaluations, s.evaluations, s.steps)


def minimize(
    fun: Callable,
    x0: Any,
    args: tuple = (),
    *,
    method: str,
    tol: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> OptimizeResults:
    """The smallest value of a function of a vector, near a first guess.

    Args:
      fun: `fun(x, *args)` gives a real scalar; it is differentiated.
      x0: float vector (n,); integers become float64.
      args: further arguments, in a tuple.
      method: "BFGS".
      tol: the largest element of the gradient that counts as none; short for options={"gtol": tol}.
      options: "gtol" (1e-5), "norm" (the order of the gradient's norm, inf), "maxiter" (200 n) steps, "line_search_maxiter" (10) trials in each.

    Returns:
      `OptimizeResults`. Works under jit and vmap. It is not made to be differentiated: for the derivative of a minimum take `custom_root`.

    Raises:
      ShapeError: x0 is no vector.
      ArgumentError: args is no tuple, or another method or option.

    >>> minimize(lambda x: ((x - 1.0) ** 2).sum(), np.zeros(2), method="BFGS").x.round(4)
    array([1., 1.])
    """
    if not isinstance(args, tuple):
        raise ArgumentError(f"[minimize] expected args to be a tuple, got {type(args).__name__}. Write args=(value,).")
    if method.lower() != "bfgs":
        raise ArgumentError(f'[minimize] expected method "BFGS", got {method!r}. For others see fnets.optim.')
    given = {} if tol is None else {"gtol": tol}
    given |= options or {}
    wrong = given.keys() - {"gtol", "norm", "maxiter", "line_search_maxiter"}
    if wrong:
        raise ArgumentError(
            f"[minimize] expected options gtol, norm, maxiter or line_search_maxiter, got {', '.join(sorted(wrong))}."
        )
    if "norm" in given:
        given["norm_order"] = given.pop("norm")
    x0 = to_inexact(x0)
    if len(shape_of(x0)) != 1:
        raise ShapeError(f"[minimize] expected a vector as x0, got shape {shape_of(x0)}. Use ravel_pytree around fun.")
    return _bfgs(lambda x: fun(x, *args), x0, **given)
