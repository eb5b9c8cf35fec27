"""custom_root, custom_linear_solve, linear_call: derivatives by the implicit function theorem, in both modes, to second order, nested."""

from __future__ import annotations

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax
from fnets.testing import check_grads

rng = np.random.default_rng(0)
A = rng.standard_normal((3, 3)) + 3 * np.eye(3)
B = rng.standard_normal(3)


def bisect(f, x0, low=0.0, high=100.0):
    def body(state):
        low, high = state
        middle = 0.5 * (low + high)
        above = f(middle) > 0
        return fnp.where(above, low, middle), fnp.where(above, middle, high)

    return lax.fori_loop(0, 80, lambda i, s: body(s), (x0 * 0 + low, x0 * 0 + high))[0]


def newton(f, x0):
    return lax.while_loop(lambda x: abs(f(x)) > 1e-13, lambda x: x - f(x) / fnets.jvp(f, (x,), (1.0,))[1], x0)


@pytest.mark.parametrize("solve", [bisect, newton])
def test_scalar_root(solve):
    def power(x):
        return lax.custom_root(lambda y: y**2 - x**3, np.float64(1.0), solve, lambda g, y: y / g(1.0))

    slope = lambda x: 1.5 * x**0.5  # noqa: E731
    np.testing.assert_allclose(power(5.0), 5**1.5)
    np.testing.assert_allclose(fnets.grad(power)(5.0), slope(5.0))
    np.testing.assert_allclose(fnets.grad(fnets.jit(power))(5.0), slope(5.0))
    np.testing.assert_allclose(fnets.jit(fnets.grad(power))(5.0), slope(5.0))
    np.testing.assert_allclose(fnets.jvp(power, (5.0,), (2.0,))[1], 2 * slope(5.0))
    np.testing.assert_allclose(fnets.grad(fnets.grad(power))(5.0), 0.75 * 5**-0.5)
    xs = np.array([4.0, 5.0])
    np.testing.assert_allclose(fnets.vmap(power)(xs), xs**1.5)
    np.testing.assert_allclose(fnets.vmap(fnets.grad(power))(xs), slope(xs))
    np.testing.assert_allclose(fnets.jit(fnets.vmap(fnets.grad(power)))(xs), slope(xs))


def test_root_that_the_solver_knows_already():
    def solve(a, b):
        known = fnp.linalg.solve(a, b)
        return lax.custom_root(
            lambda y: a @ y - b,
            fnp.zeros_like(b),
            lambda f, x0: known,
            lambda g, y: fnp.linalg.solve(fnets.jacobian(g)(y), y),
        )

    np.testing.assert_allclose(solve(A, B), np.linalg.solve(A, B))
    np.testing.assert_allclose(fnets.jit(solve)(A, B), np.linalg.solve(A, B))
    check_grads(solve, (A, B), order=2)


def test_root_of_a_tree_with_aux():
    def f(a):
        def solve(f, x0):
            return {"x": fnp.sqrt(a), "y": 2 * fnp.sqrt(a)}, {"steps": 7}

        def tangent_solve(g, v):
            # g(x, y) = (2 x0 x, y - 2 x) is triangular
            d = g({"x": 1.0, "y": 0.0})["x"]
            x = v["x"] / d
            return {"x": x, "y": v["y"] + 2 * x}

        guess = {"x": np.float64(1), "y": np.float64(1)}
        equation = lambda v: {"x": v["x"] ** 2 - a, "y": v["y"] - 2 * v["x"]}  # noqa: E731
        root, aux = lax.custom_root(equation, guess, solve, tangent_solve, has_aux=True)
        return root["y"], aux

    (value, aux), slope = fnets.value_and_grad(f, has_aux=True)(4.0)
    np.testing.assert_allclose([value, slope, aux["steps"]], [4.0, 0.5, 7])
    np.testing.assert_allclose(fnets.jit(fnets.grad(lambda a: f(a)[0]))(4.0), 0.5)


def by_jacobian(matvec, b):
    return lax.stop_gradient(fnp.linalg.solve(fnets.jacobian(matvec)(b), b))


@pytest.mark.parametrize("symmetric", [False, True])
def test_linear_solve(symmetric):
    a = A + A.T if symmetric else A

    def solve(a, b):
        transposed = None if symmetric else by_jacobian
        return lax.custom_linear_solve(lambda x: a @ x, b, by_jacobian, transposed, symmetric=symmetric)

    np.testing.assert_allclose(solve(a, B), np.linalg.solve(a, B))
    np.testing.assert_allclose(fnets.jit(solve)(a, B), np.linalg.solve(a, B))
    spd = (lambda a: a + a.T) if symmetric else (lambda a: a)
    check_grads(lambda a, b: solve(spd(a), b), (A, B), order=2)
    check_grads(fnets.jit(lambda a, b: solve(spd(a), b)), (A, B), order=2)
    c = rng.standard_normal((3, 2))
    np.testing.assert_allclose(fnets.vmap(solve, (None, 1), 1)(a, c), np.linalg.solve(a, c))
    stack = np.stack([a, 2 * a])
    np.testing.assert_allclose(fnets.jit(fnets.vmap(solve, (0, None)))(stack, B)[1], np.linalg.solve(2 * a, B))
    loss = lambda a, b: fnp.sum(solve(a, b) ** 2)  # noqa: E731
    one = fnets.grad(loss, (0, 1))(2 * a, B)
    many = fnets.vmap(fnets.grad(loss, (0, 1)), (0, None))(stack, B)
    for x, y in zip(one, many):
        np.testing.assert_allclose(x, y[1])
    value, push = fnets.linearize(lambda b: solve(a, b), B)
    np.testing.assert_allclose(push(c[:, 0]), np.linalg.solve(a, c[:, 0]))


def test_linear_solve_closing_over_factors():
    def solve(a, b):
        inverse = fnp.linalg.inv(a)  # what the solvers close over is no part of the derivative
        return lax.custom_linear_solve(lambda x: a @ x, b, lambda _, y: inverse @ y, lambda _, y: inverse.T @ y)

    check_grads(solve, (A, B), order=2)
    check_grads(fnets.jit(solve), (A, B), order=2)
    out = fnets.vmap(lambda b: lax.scan(lambda c, _: (solve(A, c), None), b, None, 2)[0])(np.stack([B, B]))
    np.testing.assert_allclose(out[0], np.linalg.solve(A @ A, B))


def test_iterative_linear_solve_with_aux():
    def richardson(matvec, b):
        going = lambda s: fnp.max(fnp.abs(matvec(s[0]) - b)) > 1e-13  # noqa: E731
        x, steps = lax.while_loop(going, lambda s: (s[0] + 0.1 * (b - matvec(s[0])), s[1] + 1), (b, 0))
        return x, {"steps": steps}

    def solve(a, b):
        matvec = lambda x: x + fnp.sin(a) @ x  # noqa: E731
        return lax.custom_linear_solve(matvec, fnp.cos(b), richardson, richardson, has_aux=True)

    a = 0.1 * A
    x, aux = solve(a, B)
    np.testing.assert_allclose(x, np.linalg.solve(np.eye(3) + np.sin(a), np.cos(B)))
    assert fnets.jit(solve)(a, B)[1] == aux and aux["steps"] > 10
    check_grads(lambda a, b: solve(a, b)[0], (a, B), order=2)


def test_linear_solve_of_a_tree():
    def solve(a, b):
        matvec = lambda x: {"u": a[0, 0] * x["u"] + a[0, 1] * x["v"], "v": a[1, 0] * x["u"] + a[1, 1] * x["v"]}  # noqa: E731
        flat, back = fnets.flatten_util.ravel_pytree(b)

        def direct(matvec, b):
            jac = fnets.jacobian(lambda y: fnets.flatten_util.ravel_pytree(matvec(back(y)))[0])(flat * 0)
            return back(fnp.linalg.solve(jac, fnets.flatten_util.ravel_pytree(b)[0]))

        return lax.custom_linear_solve(matvec, b, direct, direct)

    b = {"u": B[:1], "v": B[1:2]}
    expected = np.linalg.solve(A[:2, :2], B[:2])
    out = fnets.jit(solve)(A[:2, :2], b)
    np.testing.assert_allclose([out["u"][0], out["v"][0]], expected)
    check_grads(solve, (A[:2, :2], b), order=2)


@pytest.mark.parametrize(
    "call,words",
    [
        (lambda: fnets.grad(lambda b: lax.custom_linear_solve(lambda x: x, b, by_jacobian)[0])(B), "transpose_solve"),
        (lambda: fnets.jit(lambda b: lax.custom_linear_solve(lambda x: x[:2], b, by_jacobian))(B), "matvec"),
        (lambda: fnets.jit(lambda b: lax.custom_linear_solve(lambda x: (x,), b, by_jacobian))(B), "structure"),
        (lambda: fnets.jit(lambda b: lax.custom_linear_solve(lambda x: x, b, lambda m, y: (y, y)))(B), "solution"),
        (lambda: fnets.jit(lambda a: lax.custom_root(lambda x: (x, a), a, newton, newton))(1.0), "structure"),
        (
            lambda: fnets.jit(lambda a: lax.custom_root(lambda x: x - a, a, newton, newton, has_aux=True))(1.0),
            "has_aux",
        ),
        (lambda: lax.custom_root(3, 1.0, newton, newton), "function"),
    ],
)
def test_messages(call, words):
    with pytest.raises((TypeError, ValueError), match=words):
        call()


def test_forward_mode_needs_no_transpose():
    out, t = fnets.jvp(lambda b: lax.custom_linear_solve(lambda x: A @ x, b, by_jacobian), (B,), (B,))
    np.testing.assert_allclose(t, out)


def test_python_solver_on_known_values():
    def solve(matvec, b):
        return np.linalg.solve(
            np.stack([matvec(e) for e in np.eye(3)], 1), b
        )  # plain Python, as long as values are known

    np.testing.assert_allclose(lax.custom_linear_solve(lambda x: A @ x, B, solve), np.linalg.solve(A, B))
