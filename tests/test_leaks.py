"""Memory: what a transformation made dies with it, tapes of any length are walked and freed without recursion."""

from __future__ import annotations

import gc
import sys

import numpy as np

import fnets
import fnets.numpy as fnp
from fnets.core.ir import Jaxpr
from fnets.core.trace import Trace, Tracer
from fnets.transforms.vjp import TapeEqn


def alive() -> int:
    gc.collect()
    return sum(isinstance(o, (Tracer, Trace, TapeEqn)) for o in gc.get_objects())


def jaxprs() -> int:
    gc.collect()
    return sum(isinstance(o, Jaxpr) for o in gc.get_objects())


def test_tracers_are_freed():
    before = alive()
    x = np.arange(4.0)
    for _ in range(5):
        fnets.grad(lambda x: fnp.sum(fnp.sin(x) * x))(x)
        fnets.hessian(lambda x: fnp.sum(fnp.sin(x) * x))(x)
        fnets.vmap(lambda x: x * 2)(x)
        fnets.jit(lambda x: x * 2)(x)
    assert alive() == before


def test_tracers_are_freed_by_reference_counting():
    x = np.arange(4.0)
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(o, (Tracer, Trace, TapeEqn)) for o in gc.get_objects())
        for _ in range(5):
            fnets.grad(lambda x: fnp.sum(fnp.sin(x) * x))(x)
        after = sum(isinstance(o, (Tracer, Trace, TapeEqn)) for o in gc.get_objects())
    finally:
        gc.enable()
    assert after == before


def test_jaxprs_die_with_their_function():
    before = jaxprs()

    def use() -> None:
        f = fnets.jit(lambda x: fnp.sum(fnp.sin(x) * x))
        fnets.grad(f)(np.arange(3.0))
        fnets.vmap(f)(np.ones((2, 3)))
        fnets.jvp(f, (np.arange(3.0),), (np.arange(3.0),))
        assert jaxprs() > before

    use()
    assert jaxprs() == before


def test_a_chain_of_300_000_operations():
    n = 300_000

    def chain(x):
        for _ in range(n):
            x = x * 1.000001
        return x

    assert n > 100 * sys.getrecursionlimit()
    np.testing.assert_allclose(fnets.grad(chain)(np.float64(1.0)), 1.000001**n, rtol=1e-9)
    value, tangent = fnets.jvp(chain, (np.float64(2.0),), (np.float64(1.0),))
    np.testing.assert_allclose(tangent, 1.000001**n, rtol=1e-9)


def test_residuals_die_as_the_walk_proceeds():
    """Peak memory of a long chain's gradient is about its residuals once, not twice."""
    import tracemalloc

    size, depth = 100_000, 40
    x = np.linspace(0.0, 1.0, size)

    def chain(x):
        for _ in range(depth):
            x = fnp.sin(x)
        return fnp.sum(x)

    tracemalloc.start()
    fnets.grad(chain)(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (depth + 6) * x.nbytes


def test_gradients_do_not_share_memory():
    x, y = np.arange(3.0), np.ones(3)
    gx, gy = fnets.grad(lambda x, y: fnp.sum(x + y), argnums=(0, 1))(x, y)
    assert not np.shares_memory(gx, gy)
    gx += 1
    np.testing.assert_array_equal(gy, np.ones(3))
    for f in (
        fnets.jit(lambda x: (x, x)),
        fnets.jit(lambda x: (x.reshape(3, 1), x * 1)),
        fnets.jit(lambda x: (fnp.broadcast_to(x, (2, 3)), x)),
    ):
        a, b = f(x)
        assert not np.shares_memory(a, b)
        assert not np.shares_memory(a, x)
        assert a.flags.writeable
