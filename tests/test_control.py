"""scan, cond, switch, while_loop, fori_loop: against Python loops, under every transformation, and their error messages."""

from __future__ import annotations

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax

rng = np.random.default_rng(0)
W = rng.standard_normal((3, 3)) * 0.4
XS = rng.standard_normal((5, 3))
X = np.array([0.3, -0.6, 0.9])


def numeric_grad(f, x, eps=1e-6):
    x = np.asarray(x, np.float64)
    return np.array([(f(x + e) - f(x - e)) / (2 * eps) for e in np.eye(x.size).reshape(-1, *x.shape) * eps]).reshape(
        x.shape
    )


def message(error: BaseException) -> str:
    return str(error).partition("\n  at ")[0]


# ------------------------------------------------------------------ a recurrent net by scan, and by a Python loop


def rnn_scan(w, h, xs):
    def step(h, x):
        h = fnp.tanh(h @ w + x)
        return h, h * 2

    return lax.scan(step, h, xs)


def rnn_loop(w, h, xs):
    ys = []
    for x in xs:
        h = fnp.tanh(h @ w + x)
        ys.append(h * 2)
    return h, fnp.stack(ys)


def loss(rnn):
    def f(w, h, xs):
        h, ys = rnn(w, h, xs)
        return fnp.sum(h**2) + fnp.sum(fnp.sin(ys))

    return f


def close(a, b, tol=1e-10):
    for x, y in zip(fnets.tree.leaves(a), fnets.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=tol, atol=tol)


TRANSFORMS = {
    "value": lambda f: f,
    "jit": fnets.jit,
    "grad": lambda f: fnets.grad(f, (0, 1, 2)),
    "jit-grad": lambda f: fnets.jit(fnets.grad(f, (0, 1, 2))),
    "grad-jit": lambda f: fnets.grad(fnets.jit(f), (0, 1, 2)),
    "jvp": lambda f: lambda *a: fnets.jvp(f, a, a),
    "jvp-grad": lambda f: lambda *a: fnets.jvp(fnets.grad(f, (0, 1, 2)), a, a),
    "grad-grad": lambda f: fnets.grad(lambda *a: sum(fnp.sum(g * g) for g in fnets.grad(f, (0, 1, 2))(*a)), (0, 1, 2)),
    "linearize": lambda f: lambda *a: fnets.linearize(f, *a)[1](*a),
    "hessian": lambda f: fnets.hessian(f),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_scan_equals_a_loop(name):
    t = TRANSFORMS[name]
    close(t(loss(rnn_scan))(W, X, XS), t(loss(rnn_loop))(W, X, XS))


@pytest.mark.parametrize("in_axes", [(0, None, None), (None, 0, None), (None, None, 1), (0, 0, 0)])
@pytest.mark.parametrize("name", ["value", "grad", "jvp"])
def test_scan_batches(in_axes, name):
    args = []
    for a, d in zip((W, X, XS), in_axes):
        args.append(a if d is None else np.stack([a, a * 0.5, -a], d))
    f = TRANSFORMS[name](loss(rnn_scan))
    got = fnets.vmap(f, in_axes)(*args)
    expected = [f(*[a if d is None else np.take(a, k, d) for a, d in zip(args, in_axes)]) for k in range(3)]
    close(got, fnets.tree.map(lambda *xs: np.stack(xs), *expected))
    close(fnets.jit(fnets.vmap(f, in_axes))(*args), got)


def test_scan_reverse_length_and_trees():
    carry, ys = lax.scan(lambda c, x: (c * 2 + x["a"], {"y": c}), 1.0, {"a": np.arange(3.0)}, reverse=True)
    c, expected = 1.0, [0.0] * 3
    for i in (2, 1, 0):
        expected[i], c = c, c * 2 + i
    assert carry == c
    np.testing.assert_array_equal(ys["y"], expected)
    carry, ys = lax.scan(lambda c, _: (c + 1, None), 0, None, length=4)
    assert carry == 4 and ys is None
    carry, ys = lax.scan(lambda c, x: (c, x), np.float32(3), np.zeros((0, 2)))
    assert carry == 3 and ys.shape == (0, 2)


def test_integer_carry_and_indexing_inside():
    def f(x):
        def step(c, _):
            i, total = c
            return (i + 1, total + x[i] ** 2), None

        return lax.scan(step, (0, 0.0), None, length=3)[0][1]

    close(fnets.grad(f)(X), 2 * X)
    close(fnets.jit(fnets.grad(f))(X), 2 * X)


def test_scan_does_not_unroll():
    jaxpr = fnets.make_jaxpr(fnets.grad(loss(rnn_scan)))(W, X, XS)
    assert [e.prim.name for e in jaxpr.eqns].count("scan") == 2
    assert len(jaxpr.eqns) < 40


def test_constants_are_not_stacked():
    """The residuals of the tutorial's recurrent net: one (5, 3) stack, never five copies of W."""
    jaxpr = fnets.make_jaxpr(fnets.grad(loss(rnn_scan)))(W, X, XS)
    shapes = [v.aval.shape for e in jaxpr.eqns for v in e.outvars]
    assert (5, 3, 3) not in shapes


def test_map_and_associative_scan():
    close(lax.map(lambda x: x * 2, XS), XS * 2)
    close(lax.map(lambda x: x * 2, XS, batch_size=2), XS * 2)
    close(lax.associative_scan(lambda a, b: a + b, XS), np.cumsum(XS, 0))
    close(lax.associative_scan(lambda a, b: a * b, XS, reverse=True), np.cumprod(XS[::-1], 0)[::-1])
    close(
        fnets.grad(lambda x: fnp.sum(fnp.sin(lax.associative_scan(fnp.add, x))))(X),
        numeric_grad(lambda x: np.sum(np.sin(np.cumsum(x))), X),
        1e-7,
    )


# ------------------------------------------------------------------ cond


def branchy(x):
    return lax.cond(fnp.sum(x) > 0, lambda x: fnp.sum(fnp.sin(x) * x), lambda x: fnp.sum(x**3 * W[0]), x)


def branchy_python(x):
    return np.sum(np.sin(x) * x) if np.sum(x) > 0 else np.sum(x**3 * W[0])


@pytest.mark.parametrize("sign", [1, -1])
def test_cond(sign):
    x = X * sign
    close(branchy(x), branchy_python(x))
    close(fnets.jit(branchy)(x), branchy_python(x))
    expected = numeric_grad(branchy_python, x)
    for g in (fnets.grad(branchy), fnets.jit(fnets.grad(branchy)), fnets.grad(fnets.jit(branchy))):
        close(g(x), expected, 1e-7)
    close(fnets.jvp(fnets.jit(branchy), (x,), (X,))[1], expected @ X, 1e-7)
    hessian = np.stack([numeric_grad(lambda y, i=i: fnets.grad(branchy)(y)[i], x) for i in range(3)])
    close(fnets.jit(fnets.hessian(branchy))(x), hessian, 1e-6)
    close(fnets.hessian(fnets.jit(branchy))(x), hessian, 1e-6)


def test_cond_batches():
    xs = np.stack([X, -X, 2 * X])
    close(fnets.vmap(branchy)(xs), np.array([branchy_python(x) for x in xs]))
    close(fnets.vmap(fnets.grad(branchy))(xs), np.stack([numeric_grad(branchy_python, x) for x in xs]), 1e-7)
    f = fnets.vmap(lambda p, x: lax.cond(p, lambda x: x * 2, lambda x: x - 1, x), in_axes=(None, 0))
    close(f(True, xs), xs * 2)
    close(fnets.jit(f)(False, xs), xs - 1)


def test_known_predicate_runs_one_branch_only():
    ran = []
    lax.cond(True, lambda: ran.append("true"), lambda: ran.append("false"))
    assert ran == ["true"]


def test_switch():
    branches = [lambda x: x, lambda x: x * x, lambda x: -x]
    for i in (-3, 0, 1, 2, 9):
        k = min(max(i, 0), 2)
        close(lax.switch(i, branches, 3.0), branches[k](3.0))
        close(fnets.jit(lambda i, x: lax.switch(i, branches, x))(i, 3.0), branches[k](3.0))
        close(fnets.jit(fnets.grad(lambda x, i: lax.switch(i, branches, x)))(3.0, i), [1.0, 6.0, -1.0][k])
    close(fnets.vmap(lambda i: lax.switch(i, branches, 3.0))(np.arange(3)), np.array([3.0, 9.0, -3.0]))


# ------------------------------------------------------------------ while


def newton(a):
    """A square root: the number of trips depends on the value."""
    return lax.while_loop(lambda x: abs(x * x - a) > 1e-12, lambda x: 0.5 * (x + a / x), a)


@pytest.mark.parametrize("a", [0.5, 2.0, 30.0])
def test_while_loop(a):
    close(newton(a), np.sqrt(a))
    x = np.float64(a)
    for f in (newton, fnets.jit(newton)):
        close(f(x), np.sqrt(a))
        close(fnets.grad(f)(x), 0.5 / np.sqrt(a), 1e-8)
        close(fnets.jvp(f, (x,), (1.0,))[1], 0.5 / np.sqrt(a), 1e-8)
    close(fnets.jit(fnets.grad(newton))(x), 0.5 / np.sqrt(a), 1e-8)
    close(fnets.jit(fnets.grad(fnets.grad(newton)))(x), -0.25 * a**-1.5, 1e-6)
    close(fnets.jvp(fnets.jit(fnets.grad(newton)), (x,), (1.0,))[1], -0.25 * a**-1.5, 1e-6)


def test_while_loop_batches():
    a = np.array([0.5, 2.0, 30.0])
    close(fnets.vmap(newton)(a), np.sqrt(a))
    close(fnets.jit(fnets.vmap(newton))(a), np.sqrt(a))
    close(fnets.vmap(fnets.grad(newton))(a), 0.5 / np.sqrt(a), 1e-8)
    close(fnets.grad(lambda a: fnp.sum(fnets.vmap(newton)(a)))(a), 0.5 / np.sqrt(a), 1e-8)


@pytest.mark.parametrize("trips", [0, 1, 127, 128, 129, 1000])
def test_reverse_through_any_number_of_trips(trips):
    def f(x, n):
        return fnp.sum(lax.fori_loop(0, n, lambda i, y: fnp.sin(y) * 1.01 + x * 0.01, x))

    def python(x):
        y = x
        for _ in range(trips):
            y = np.sin(y) * 1.01 + x * 0.01
        return np.sum(y)

    got = fnets.jit(fnets.grad(f))(X, trips)
    close(got, numeric_grad(python, X), 1e-6)
    close(fnets.grad(f)(X, trips), got)


def test_fori_loop():
    assert lax.fori_loop(0, 4, lambda i, x: x + i, 0) == 6
    assert lax.fori_loop(3, 3, lambda i, x: x + i, 7) == 7
    close(fnets.jit(lambda n: lax.fori_loop(0, n, lambda i, x: x + i, 0.0))(5), 10.0)
    close(
        fnets.vmap(lambda n: lax.fori_loop(0, n, lambda i, x: x + i, 0.0))(np.array([1, 3, 5])),
        np.array([0.0, 3.0, 10.0]),
    )


# ------------------------------------------------------------------ messages


@pytest.mark.parametrize(
    "call,words",
    [
        (
            lambda: lax.scan(lambda c, x: (c + x, None), np.float32(0), np.zeros(3)),
            ["scan", "carry", "float32", "float64"],
        ),
        (lambda: lax.scan(lambda c, x: ({"a": c}, None), {"b": 0.0}, np.zeros(3)), ["scan", "structure", "'b'", "'a'"]),
        (lambda: lax.scan(lambda c, x: c, 0.0, np.zeros(3)), ["scan", "pair"]),
        (lambda: lax.scan(lambda c, x: (c, x), 0.0, (np.zeros(3), np.zeros(4))), ["scan", "leading", "3", "4"]),
        (lambda: lax.scan(lambda c, x: (c, x), 0.0), ["scan", "length"]),
        (lambda: lax.scan(lambda c, x: (c, x), 0.0, 1.0), ["scan", "scalar"]),
        (lambda: lax.while_loop(lambda x: x, lambda x: x, 1.0), ["while_loop", "boolean"]),
        (lambda: lax.while_loop(lambda x: x > 0, lambda x: (x, x), np.float32(1)), ["while_loop", "structure"]),
        (lambda: lax.fori_loop(0.0, 3, lambda i, x: x, 1.0), ["fori_loop", "integer"]),
        (lambda: fnets.jit(lambda p: lax.cond(p, lambda: 1.0, lambda: (1.0, 2.0)))(True), ["cond", "structure"]),
        (
            lambda: fnets.jit(lambda p: lax.cond(p, lambda: np.zeros(2), lambda: np.zeros(3)))(True),
            ["cond", "float64[2]", "[3]"],
        ),
        (lambda: lax.cond(np.zeros(2), lambda: 1, lambda: 2), ["cond", "scalar", "(2,)"]),
        (lambda: lax.switch(0, []), ["switch", "branch"]),
    ],
)
def test_messages(call, words):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    text = message(caught.value).replace("f64[", "float64[").replace("f32[", "float32[")
    for w in words:
        assert w in text, f"{w!r} not in {text!r}"


# ------------------------------------------------------------------ linearize: values now, the linear part later


def _scan_both(x):
    c, ys = lax.scan(lambda c, e: (fnp.sin(c) * e * x[0], c * x[1]), x[0], x)
    return c + fnp.sum(ys)


LINEARIZED = {
    "scan": _scan_both,
    "cond": lambda x: fnp.sum(lax.cond(x[0] < 2, fnp.sin, lambda x: fnp.cos(fnp.sin(x)), x)),
    "switch": lambda x: fnp.sum(lax.switch((x[0] > 0).astype(int), [fnp.sin, fnp.cos, fnp.tanh], x)),
    "while": lambda x: fnp.sum(lax.while_loop(lambda c: fnp.sum(c) < 100, lambda c: c * c + x * x + 1, x)),
    "checkpoint": lambda x: fnp.sum(fnets.checkpoint(lambda x: fnp.sin(fnp.sin(x)))(x)),
    "jit": lambda x: fnp.sum(fnets.jit(lambda y: fnp.sin(y) * fnets.jit(fnp.cos)(y))(x)),
}


@pytest.mark.parametrize("name", LINEARIZED)
@pytest.mark.parametrize("t", [lambda f: f, fnets.jit, lambda f: fnets.jit(fnets.jit(f)), fnets.checkpoint])
def test_linearize(t, name):
    f, x = t(LINEARIZED[name]), np.array([0.3, -0.6, 0.9])
    value, push = fnets.linearize(f, x)
    assert not isinstance(value, fnets.core.Tracer)
    expected = fnets.jvp(f, (x,), (2 * x,))
    np.testing.assert_allclose(value, expected[0])
    np.testing.assert_allclose(push(2 * x), expected[1])
    np.testing.assert_allclose(fnets.jit(lambda x: fnets.linearize(f, x)[1](2 * x))(x), expected[1])
    np.testing.assert_allclose(fnets.vmap(lambda x: fnets.linearize(f, x)[1](2 * x))(np.stack([x, x]))[1], expected[1])
    np.testing.assert_allclose(fnets.linearize(fnets.grad(f), x)[1](x), fnets.hvp(f, (x,), (x,)))


def _names(jaxpr):
    for e in jaxpr.eqns:
        yield e.prim.name
        for j in fnets.core.ir.sub_jaxprs(e.params):
            yield from _names(j)


def test_the_linear_part_is_linear():
    x = np.array([0.3, -0.6, 0.9])
    for name in ("scan", "cond", "switch", "jit"):
        lin = fnets.linearize(fnets.jit(LINEARIZED[name]), x)[1].jaxpr
        assert not {"sin", "cos", "tanh"} & set(_names(lin)), name
    block = lambda x: fnp.sin(fnp.sin(x))  # noqa: E731
    again = list(_names(fnets.linearize(fnets.checkpoint(block), x)[1].jaxpr))
    assert again.count("sin") == 1 and again.count("cos") == 2  # computed when the tangent comes, not kept
    keep_cos = fnets.checkpoint(block, policy=lambda prim, *_, **__: str(prim) == "cos")
    assert not {"sin", "cos"} & set(_names(fnets.linearize(keep_cos, x)[1].jaxpr))


def test_effects_of_a_linearized_function_happen_once():
    seen = []

    def f(x):
        fnets.debug.callback(lambda v: seen.append(float(v)), x)
        return x * x

    for g in (f, fnets.jit(f)):
        value, push = fnets.linearize(g, 3.0)
        assert (value, push(1.0), push(2.0)) == (9.0, 6.0, 12.0)
    assert seen == [3.0, 3.0]
