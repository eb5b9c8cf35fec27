"""The passes on small jaxprs: what they remove, what they must keep, and that values stay the same bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax
from fnets.backends.passes import optimise
from fnets.core.check import check_jaxpr
from fnets.core.ir import eval_jaxpr

X = np.array([[1.0, -2.0, 3.0], [0.5, -0.0, np.inf]])


def optimised(f, *args):
    jaxpr = fnets.make_jaxpr(f)(*args)
    better = optimise(jaxpr)
    check_jaxpr(better)
    for a, b in zip(eval_jaxpr(jaxpr, args), eval_jaxpr(better, args), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
        np.testing.assert_array_equal(np.signbit(np.asarray(a)), np.signbit(np.asarray(b)))
    return [e.prim.name for e in better.eqns], better


@pytest.mark.parametrize(
    "f,left",
    [
        (lambda x: x * 1, []),
        (lambda x: 1.0 * x, []),
        (lambda x: x / 1, []),
        (lambda x: x - 0.0, []),
        (lambda x: x + 0.0, ["add"]),  # -0.0 + 0.0 is 0.0
        (lambda x: x * 0, ["mul"]),  # inf * 0 is nan
        (lambda x: fnp.negative(fnp.negative(x)), []),
        (lambda x: x**1, []),
        (lambda x: x.T.T, []),
        (lambda x: x.reshape(6).reshape(3, 2).reshape(2, 3), []),
        (lambda x: x.reshape(6).reshape(3, 2), ["reshape"]),
        (lambda x: x.astype(np.float64), []),
        (lambda x: x.astype(np.float32).astype(np.float64), ["convert_element_type", "convert_element_type"]),
        (lambda x: x * fnp.broadcast_to(np.float64(2.0), (2, 3)), ["mul"]),
        (lambda x: x + fnp.broadcast_to(x[0], (2, 3)), ["getitem", "add"]),
        (lambda x: fnp.sin(x) + fnp.sin(x), ["sin", "add"]),
        (lambda x: fnp.sin(x) + fnp.sin(fnp.negative(fnp.negative(x))), ["sin", "add"]),
        (lambda x: (fnp.cos(x), x)[1], []),
        (lambda x: fnets.jit(lambda y: fnp.sin(y))(x) + fnp.sin(x), ["sin", "add"]),
        (lambda x: x * (fnp.float64(2.0) * 3), ["mul"]),
    ],
)
def test_what_is_left(f, left):
    assert optimised(f, X)[0] == left


def test_effects_stay_and_are_not_merged(capsys):
    def f(x):
        fnets.debug.print("here")
        fnets.debug.print("here")
        return x

    names, _ = optimised(f, X)
    assert names == ["debug_callback", "debug_callback"]
    capsys.readouterr()
    fnets.jit(f)(X)
    assert capsys.readouterr().out == "here\nhere\n"


def test_signed_zeros_do_not_merge():
    names, better = optimised(lambda x: (x + 0.0) + (x + -0.0), X)
    assert names == ["add", "add", "add"]


def test_integers_and_floats_do_not_merge():
    f = lambda x: (x * 2, x * 2.0)  # noqa: E731
    a, b = fnets.jit(f)(np.arange(3))
    assert a.dtype == np.int64 and b.dtype == np.float64


def test_checkpoint_is_a_barrier():
    def f(x):
        return fnets.grad(lambda x: fnp.sum(fnets.checkpoint(lambda x: fnp.sin(fnp.sin(x)))(x)))(x)

    names, _ = optimised(f, X[0])
    assert "checkpoint" in names


def test_seed_of_a_sum_costs_nothing():
    """The gradient of a sum starts from ones: they leave no equation, no constant, no multiplication."""
    names, better = optimised(fnets.grad(lambda x: fnp.sum(fnp.sin(x))), X)
    assert names == ["cos"]
    assert better.consts == ()


def test_large_constants_are_stored_once():
    big = np.arange(10_000.0)
    jaxpr = optimise(fnets.make_jaxpr(lambda x: x * big + big)(big))
    assert len(jaxpr.consts) == 1
    f = fnets.jit(lambda x: x + big)
    before = f(big)
    big[:] = 0  # the compiled function has its own copy
    np.testing.assert_array_equal(f(np.zeros(10_000)), before - np.arange(10_000.0))


def test_scalars_in_loops_keep_their_weakness():
    f = lambda x: lax.scan(lambda c, y: (c * 0.5 + y, c), np.float32(0), x)  # noqa: E731
    carry, ys = fnets.jit(f)(np.arange(3, dtype=np.float32))
    assert carry.dtype == ys.dtype == np.float32
