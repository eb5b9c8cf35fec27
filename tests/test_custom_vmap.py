"""custom_vmap: the rule is used wherever vmap meets the function, and differentiates."""

from __future__ import annotations

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets.custom_batching import custom_vmap, sequential_vmap

X = np.array([0.5, 1.0, 2.0])


def make(seen):
    @custom_vmap
    def f(x, w):
        return fnp.sin(x) * w

    @f.def_vmap
    def rule(axis_size, in_batched, x, w):
        seen.append((axis_size, tuple(in_batched)))
        return fnp.cos(x) * w, any(in_batched)  # a lie, so that a test can tell whether the rule was used

    return f


def test_rule_is_used():
    seen = []
    f = make(seen)
    np.testing.assert_allclose(f(X, 2.0), np.sin(X) * 2)
    np.testing.assert_allclose(fnets.vmap(f, (0, None))(X, 2.0), np.cos(X) * 2)
    assert seen[-1] == (3, (True, False))
    np.testing.assert_allclose(fnets.vmap(f)(X, X), np.cos(X) * X)
    assert seen[-1] == (3, (True, True))
    for g in (fnets.jit(fnets.vmap(f, (0, None))), fnets.vmap(fnets.jit(f), (0, None))):
        np.testing.assert_allclose(g(X, 2.0), np.cos(X) * 2)
    np.testing.assert_allclose(fnets.jit(f)(X, 2.0), np.sin(X) * 2)


def test_derivatives():
    f = make([])
    np.testing.assert_allclose(fnets.grad(lambda x: fnp.sum(f(x, 2.0)))(X), 2 * np.cos(X))
    np.testing.assert_allclose(fnets.grad(lambda x: fnp.sum(fnets.vmap(f, (0, None))(x, 2.0)))(X), -2 * np.sin(X))
    np.testing.assert_allclose(fnets.jvp(lambda x: f(x, 2.0), (X,), (X,))[1], 2 * np.cos(X) * X)
    pushed = fnets.vmap(lambda x, t: fnets.jvp(lambda x: f(x, 2.0), (x,), (t,))[1])(X, X)
    np.testing.assert_allclose(pushed, -2 * np.sin(X) * X)
    np.testing.assert_allclose(
        fnets.jit(fnets.vmap(lambda x, t: fnets.jvp(lambda x: f(x, 2.0), (x,), (t,))[1]))(X, X), pushed
    )
    np.testing.assert_allclose(fnets.vmap(lambda x: fnets.jvp(lambda x: f(x, 2.0), (x,), (1.0,))[1])(X), -2 * np.sin(X))


def test_only_values_or_only_tangents_batched():
    seen = []

    @custom_vmap
    def f(x):
        return fnp.sin(x)

    @f.def_vmap
    def rule(axis_size, in_batched, x):
        seen.append((axis_size, tuple(in_batched)))
        return fnp.cos(x), in_batched[0]

    push = lambda x, t: fnets.jvp(f, (x,), (t,))  # noqa: E731
    value, pushed = fnets.vmap(push, (None, 0), (None, 0))(0.5, X)
    np.testing.assert_allclose(value, np.cos(0.5))  # not batched, although the tangents are
    np.testing.assert_allclose(pushed, -np.sin(0.5) * X)
    values, pushed = fnets.vmap(push, (0, None))(X, 2.0)
    np.testing.assert_allclose(values, np.cos(X))
    np.testing.assert_allclose(pushed, -np.sin(X) * 2.0)
    assert set(seen) == {(3, (False,))}
    np.testing.assert_allclose(fnets.jacfwd(f)(X), -np.diag(np.sin(X)))


def test_custom_vjp_around_it():
    f = fnets.custom_vjp(make([]))
    assert f.def_vmap.__self__ is f.fun  # attributes of the function show through
    f.defvjp(lambda x, w: (f(x, w), w), lambda w, ct: (5 * ct * w, None))
    np.testing.assert_allclose(fnets.vmap(f)(X, X), np.cos(X) * X)
    assert fnets.grad(f)(1.0, 2.0) == 10.0


def test_trees_and_messages():
    @custom_vmap
    def f(p):
        return {"y": p["a"] + p["b"]}

    f.def_vmap(lambda n, batched, p: ({"y": p["a"] * 10}, {"y": batched[0]["a"]}))
    np.testing.assert_allclose(fnets.vmap(f)({"a": X, "b": X})["y"], X * 10)
    with pytest.raises(AttributeError, match="def_vmap"):
        custom_vmap(lambda x: x)(1.0)
    g = custom_vmap(lambda x: x)
    g.def_vmap(lambda n, b, x: x)
    with pytest.raises(ValueError, match="out_batched"):
        fnets.vmap(g)(X)
    g.def_vmap(lambda n, b, x: ((x, x), (True, True)))
    with pytest.raises(ValueError, match="as the function"):
        fnets.vmap(g)(X)
    g.def_vmap(lambda n, b, x: (x, (True,)))
    with pytest.raises(ValueError, match="structure"):
        fnets.vmap(g)(X)


def test_sequential_vmap():
    calls = []

    def f(x, y):
        calls.append(np.shape(x))
        return x * y

    np.testing.assert_allclose(fnets.vmap(sequential_vmap(f), (0, None))(X, 3.0), X * 3)
    assert set(calls) == {()}
    twice = fnets.vmap(fnets.vmap(sequential_vmap(f), (0, None)), (None, 0))  # a loop for either axis
    np.testing.assert_allclose(twice(X, X), np.outer(X, X))
    assert set(calls) == {()}
