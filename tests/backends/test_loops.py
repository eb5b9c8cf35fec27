"""Loops and branches of the native backend, against the NumPy backend, and what is taken out of scans."""

from __future__ import annotations

import signal

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax, nn
from fnets.core.ir import eval_jaxpr
from tests.backends.test_llvm import check

pytest.importorskip("llvmlite")

from fnets.backends.llvm.passes.hoist import hoist
from fnets.backends.passes import optimise

rng = np.random.default_rng(0)
X = rng.standard_normal((6, 4, 8)).astype(np.float32)
W = rng.standard_normal((8, 8)).astype(np.float32) * 0.3
V = rng.standard_normal(8).astype(np.float32)


def rnn(w, x, reverse=False):
    def body(h, xt):
        h = fnp.tanh(xt @ w + h @ w.T + w[0])
        return h, (h, h[:, :2], xt)

    return lax.scan(body, np.zeros((4, 8), x.dtype), x, reverse=reverse)


def counting(x):
    """Integer and bool carries, a literal one, one that passes through, a result twice."""

    def body(c, xt):
        n, flag, total, same = c
        total = total + xt
        return (n + 1, ~flag, total, same), (total, total, n)

    return lax.scan(body, (0, True, fnp.zeros(8), x[0, 0]), x[:, 0])


def newton(x):
    def body(c):
        y, i = c
        return 0.5 * (y + x / y), i + 1

    return lax.while_loop(lambda c: (fnp.abs(c[0] * c[0] - x).max() > 1e-5) & (c[1] < 50), body, (x, 0))


def nested(x):
    def outer(c, xt):
        inner = lax.fori_loop(0, 3, lambda i, a: a * 0.5 + xt, c)
        return lax.cond(inner.sum() > 0, lambda a: a, lambda a: fnp.sin(a) * 2, inner), inner.max()

    return lax.scan(outer, x[0], x)


def bounded(n, x):
    return lax.fori_loop(0, n, lambda i, c: c * 0.9 + x[i], x[0])


def choice(i, x):
    branches = [lambda x: x * 2, fnp.sin, lambda x: x, lambda x: fnp.full(x.shape, 3.0), lambda x: x[:, ::-1] + 1.0]
    return lax.switch(i, branches, x)


def picking(x, at):
    return lax.scan(lambda c, i: (c + fnp.tanh(x)[i], c[0]), fnp.zeros((4, 8)), at)


@pytest.mark.parametrize(
    "f, args",
    [
        (rnn, (W, X)),
        (lambda w, x: rnn(w, x, reverse=True), (W, X)),
        (counting, (X,)),
        (newton, (np.abs(V) + 0.5,)),
        (fnets.vmap(newton), (np.abs(X[0]) + 0.5,)),
        (nested, (X,)),
        (bounded, (5, X)),
        (bounded, (0, X)),
        (picking, (X, np.array([0, 5, -1, 2]))),
        *[(choice, (k, X[0])) for k in range(-1, 6)],
        (lambda p, x: lax.cond(p, lambda x: (x, 1.0), lambda x: (x + 1, 2.0), x), (np.bool_(True), X)),
        (lambda p, x: lax.cond(p, lambda x: (x, 1.0), lambda x: (x + 1, 2.0), x), (np.bool_(False), X)),
    ],
)
def test_as_numpy(f, args):
    report = check(f, *args, tolerance=1e-5)
    assert not {"scan", "while", "cond"} & set(report.numpy), report


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients(dtype, reverse):
    loss = lambda w, x: sum(fnp.sum(fnp.sin(v)) for v in fnets.tree.leaves(rnn(w, x, reverse)))  # noqa: E731
    w, x = W.astype(dtype), X.astype(dtype)
    report = check(fnets.value_and_grad(loss, (0, 1)), w, x, tolerance=1e-4 if dtype == np.float32 else 1e-12)
    assert "scan" not in report.numpy
    check(fnets.grad(lambda x: fnp.sum(nested(x)[1])), x[:, 0], tolerance=1e-4)


def test_an_index_out_of_range_in_a_loop_names_the_users_line():
    f = fnets.jit(picking, backend="llvm")
    with pytest.raises(IndexError, match=r"got 6.*\n.*test_loops.py:\d+ in "):
        f(X, np.array([0, 6]))
    np.testing.assert_allclose(f(X, np.array([1]))[0], np.tanh(X)[1], rtol=1e-6)


def test_large_bodies_are_shared_by_threads():
    """A body whose stages are cut into parts, many times."""
    x = rng.standard_normal((20, 128, 300)).astype(np.float32)
    w = rng.standard_normal((300, 300)).astype(np.float32) * 0.05
    report = check(lambda x: lax.scan(lambda h, xt: (fnp.tanh(h @ w + xt), h.sum(0)), x[0], x), x, tolerance=1e-4)
    assert report.numpy == []


# ------------------------------------------------------------------ what is taken out


def scans_of(f, *args):
    before = optimise(fnets.make_jaxpr(f)(*args).jaxpr)
    after = hoist(before)
    flat = fnets.tree.leaves(args)
    with np.errstate(all="ignore"):
        for a, b in zip(eval_jaxpr(before, flat), eval_jaxpr(after, flat), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
            assert np.asarray(a).dtype == np.asarray(b).dtype
    return [
        [[q.prim.name for q in e.params["jaxpr"].eqns].count("dot_general") for e in j.eqns if e.prim.name == "scan"]
        for j in (before, after)
    ]


@pytest.mark.parametrize("reverse", [False, True])
def test_products_leave_scans(reverse):
    def cell(p, h, xt):
        z = xt @ p["x"] + h @ p["h"] + p["b"]
        return fnp.tanh(z)

    def loss(p, x):
        h, hs = lax.scan(lambda h, xt: (cell(p, h, xt),) * 2, fnp.zeros((4, 8)), x, reverse=reverse)
        return fnp.sum(hs * hs) + fnp.sum(h)

    p = {"x": W, "h": W.T.copy(), "b": V}
    assert scans_of(loss, p, X) == [[2], [1]]
    # forward: x's product goes before; backward: both weights' gradients go after, and the bias' with what they stack
    before, after = scans_of(fnets.value_and_grad(loss), p, X)
    assert (before, after) == ([2, 3], [1, 1])


def test_what_must_stay_stays():
    """A carry that is read, one that is added to twice, a sum of what is not stacked anyway, a product of a carry."""
    read = lambda x: lax.scan(lambda c, t: (c + t.T @ t, c.sum()), fnp.zeros((8, 8)), x)  # noqa: E731
    assert scans_of(read, X) == [[1], [1]]
    twice = lambda x: lax.scan(lambda c, t: (c + t.T @ t + c, t), fnp.zeros((8, 8)), x)  # noqa: E731
    assert scans_of(twice, X) == [[1], [1]]
    power = lambda x: lax.scan(lambda c, t: (nn.relu(c @ W) + t, c), x[0], x)  # noqa: E731
    assert scans_of(power, X) == [[1], [1]]
    sums = lambda x: lax.scan(lambda c, t: (c + t.T @ t, t), fnp.ones((8, 8)), x)  # noqa: E731
    assert scans_of(sums, X) == [[1], [0]]


class Stop(Exception):
    pass


@pytest.fixture
def stop_soon():
    """A signal in a moment, whose handler raises `Stop`, as that of Ctrl-C raises KeyboardInterrupt."""

    def handler(number, frame):
        raise Stop

    before = signal.signal(signal.SIGALRM, handler)
    yield lambda: signal.setitimer(signal.ITIMER_REAL, 0.2)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def forever(body, x):
    return lax.while_loop(lambda s: s[0] >= 0, lambda s: (s[0] * 1, body(s[1])), (np.int64(0), x))[1]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: forever(lambda x: x * 0.5 + 1, x),
        lambda x: lax.fori_loop(0, 10**13, lambda i, x: x * 0.5 + 1, x),
        lambda x: lax.fori_loop(
            0, 10**13, lambda i, x: lax.fori_loop(0, 10, lambda j, x: fnp.sin(x + np.float32(1)), x), x
        ),
        lambda x: lax.fori_loop(0, 10**13, lambda i, x: forever(lambda x: x * 0.5 + 1, x), x),
        lambda x: lax.cond(x[0] > 0, lambda x: forever(fnp.tanh, x), lambda x: x, x),
    ],
)
@pytest.mark.parametrize("size", [1, 300_000])
def test_a_signal_ends_a_loop(stop_soon, f, size):
    x = np.ones(size, np.float32)
    compiled = fnets.jit(f, backend="llvm").lower(x).compile()
    assert not compiled.report().numpy
    stop_soon()
    with pytest.raises(Stop):
        compiled(x)
    assert fnets.jit(lambda x: fnp.sum(x * 2), backend="llvm")(x) == 2 * size  # and nothing is left over
