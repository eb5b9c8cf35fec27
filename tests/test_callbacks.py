"""Callbacks run when the program runs, in its order, under every transformation."""

from __future__ import annotations

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax
from fnets.control.callbacks import io_callback

X = np.array([1.0, 2.0, 3.0])


def test_print_runs_at_run_time(capsys):
    @fnets.jit
    def f(x):
        fnets.debug.print("no arguments")
        fnets.debug.print("x = {x}", x=x)
        return x * 2

    for _ in range(2):
        f(1.5)
    assert capsys.readouterr().out == "no arguments\nx = 1.5\n" * 2


def test_order_and_values():
    seen = []

    def f(x):
        fnets.debug.callback(lambda a: seen.append(("first", float(a))), x)
        y = fnp.sin(x)
        fnets.debug.callback(lambda a: seen.append(("second", float(a))), y)
        return y

    expected = [("first", 0.5), ("second", float(np.sin(0.5)))]
    for g in (
        f,
        fnets.jit(f),
        fnets.grad(f),
        fnets.jit(fnets.grad(f)),
        fnets.grad(fnets.jit(f)),
        lambda x: fnets.jvp(f, (x,), (1.0,)),
    ):
        seen.clear()
        g(0.5)
        assert seen == expected


def test_under_vmap_scan_cond_and_while():
    seen = []
    note = lambda x: fnets.debug.callback(lambda a: seen.append(float(a)), x)  # noqa: E731
    for run in (lambda f: f, fnets.jit):
        seen.clear()
        run(fnets.vmap(lambda x: note(x) or x))(X)
        assert seen == [1.0, 2.0, 3.0]
        seen.clear()
        run(lambda xs: lax.scan(lambda c, x: (note(x) or c, None), 0.0, xs)[0])(X)
        assert seen == [1.0, 2.0, 3.0]
        seen.clear()
        run(lambda p: lax.cond(p, lambda: note(1.0) or 1.0, lambda: note(2.0) or 2.0))(False)
        assert seen == [2.0]
        seen.clear()
        run(lambda n: lax.while_loop(lambda i: i < n, lambda i: note(i) or i + 1, 0))(3)
        assert seen == [0.0, 1.0, 2.0]


def test_pure_callback():
    def f(x, method=None):
        return fnets.pure_callback(np.sin, fnets.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method=method)

    np.testing.assert_allclose(fnets.jit(f)(X), np.sin(X))
    for method in ("sequential", "expand_dims", "broadcast_all"):
        np.testing.assert_allclose(fnets.vmap(lambda x, m=method: f(x, m))(np.stack([X, -X])), np.sin([X, -X]))
    with pytest.raises(NotImplementedError, match="vmap_method"):
        fnets.vmap(f)(np.stack([X, -X]))
    with pytest.raises(ValueError, match="derivatives"):
        fnets.grad(lambda x: fnp.sum(f(x)))(X)
    with pytest.raises(ValueError, match="result_shape_dtypes"):
        fnets.pure_callback(lambda x: x[:2], fnets.ShapeDtypeStruct((3,), X.dtype), X)
    tree = fnets.pure_callback(
        lambda x: {"a": x, "b": x + 1},
        {"a": fnets.ShapeDtypeStruct((3,), "f8"), "b": fnets.ShapeDtypeStruct((3,), "f8")},
        X,
    )
    np.testing.assert_array_equal(tree["b"], X + 1)


def test_io_callback_counts():
    count = [0]

    def bump(x):
        count[0] += 1
        return np.float64(count[0])

    f = fnets.jit(lambda x: x + io_callback(bump, fnets.ShapeDtypeStruct((), "f8"), x, ordered=True))
    assert f(10.0) == 11.0
    assert f(10.0) == 12.0
    fnets.jit(lambda: (io_callback(lambda: count.append(1), None), 0)[1])()
    assert count[1:] == [1]
    with pytest.raises(ValueError, match="ordered"):
        fnets.vmap(lambda x: io_callback(bump, fnets.ShapeDtypeStruct((), "f8"), x, ordered=True))(X)


def test_wrong_format_fails_at_once():
    with pytest.raises(ValueError, match="unused"):
        fnets.debug.print("x", 1.0)
    with pytest.raises(KeyError):
        fnets.debug.print("{y}", x=1.0)
    with pytest.raises(TypeError):
        fnets.debug.callback("text")
