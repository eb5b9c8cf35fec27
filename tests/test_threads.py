"""Transformations in several threads at once, and after exceptions: no state is shared, nothing is left behind."""

from __future__ import annotations

import concurrent.futures
import threading

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp


def test_eight_threads_transform_at_once():
    barrier = threading.Barrier(8)
    shared = fnets.jit(fnets.value_and_grad(lambda x, k: fnp.sum(fnp.sin(x * k) * x)))

    def work(k: int) -> float:
        barrier.wait()
        worst = 0.0
        for step in range(60):
            x = np.linspace(0.1, 1.0, 5 + (step % 3)) + 0.01 * k
            value, g = shared(x, float(k))
            eager = fnets.grad(lambda x: fnp.sum(fnp.sin(x * k) * x))(x)
            second = fnets.vmap(fnets.grad(fnets.grad(lambda t: fnp.sin(t * k) * t)))(x)
            exact = np.cos(x * k) * k * x + np.sin(x * k)
            exact2 = -np.sin(x * k) * k * k * x + 2 * k * np.cos(x * k)
            worst = max(worst, np.abs(g - exact).max(), np.abs(eager - exact).max(), np.abs(second - exact2).max())
            worst = max(worst, abs(value - np.sum(np.sin(x * k) * x)))
        return worst

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert max(pool.map(work, range(1, 9))) < 1e-10


@pytest.mark.parametrize("transform", [fnets.grad, fnets.jit, fnets.vmap, lambda f: lambda x: fnets.jvp(f, (x,), (x,))])
def test_an_exception_leaves_nothing_behind(transform):
    class Boom(Exception):
        pass

    def bad(x):
        fnp.sum(x * x)
        raise Boom

    x = np.arange(3.0)
    for _ in range(3):
        with pytest.raises(Boom):
            transform(bad)(x)
    np.testing.assert_allclose(fnets.grad(lambda x: fnp.sum(x * x))(x), 2 * x)
    np.testing.assert_allclose(fnets.jit(lambda x: x * 2)(x), 2 * x)


def test_settings_are_per_thread():
    inside, go = threading.Event(), threading.Event()

    def other() -> np.dtype:
        inside.wait()
        dtype = fnp.zeros(1).dtype
        go.set()
        return dtype

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(other)
        with fnets.default_dtype("float64"):
            inside.set()
            go.wait()
            assert fnp.zeros(1).dtype == np.float64
    assert future.result() == np.float32
