"""scan, cond, switch, while_loop, fori_loop: against Python loops, under every transformation, and their error messages."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax
from fnets.backends.passes import optimise

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
        (lambda: lax.fori_loop(1j, 3, lambda i, x: x, 1.0), ["fori_loop", "integer"]),
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


# ------------------------------------------------------------------ what JAX's users expect of loops and branches


def test_what_is_handed_on_is_not_carried():
    def by_scan(x, w):
        return lax.scan(lambda c, e: ((c[0] * c[1] + e, c[1]), None), (x, w), np.arange(3.0))[0]

    eqn = next(e for e in fnets.make_jaxpr(by_scan)(1.0, 2.0).eqns if e.prim.name == "scan")
    assert (eqn.params["num_carry"], eqn.params["num_consts"]) == (1, 1)
    w = np.array(2.0)
    out = fnets.vmap(by_scan, (0, None), (0, None))(np.ones(2), w)
    np.testing.assert_allclose(out[0], [12.0, 12.0])
    assert out[1] == 2.0 and not np.may_share_memory(by_scan(np.array(1.0), w)[1], w)
    assert fnets.grad(lambda w: by_scan(1.0, w)[0])(2.0) == 13.0

    def by_while(w, x, n):
        done = lambda s: s[0] < n  # noqa: E731
        return lax.while_loop(done, lambda s: (s[0] + 1, s[1] * s[2], s[2]), (0, x, w))[1:]

    got = fnets.vmap(by_while, (None, 0, 0), (0, None))(w, np.ones(3), np.arange(3))
    np.testing.assert_allclose(got[0], [1.0, 2.0, 4.0])
    np.testing.assert_allclose(fnets.jit(fnets.grad(lambda w: by_while(w, 1.0, 3)[0]))(2.0), 12.0)

    def by_cond(x, y):
        return lax.cond(x < 1, lambda x, y: (2 * x, y), lambda x, y: (3 * x, y), x, y)

    got = fnets.vmap(by_cond, (0, None), (0, None))(np.arange(3.0), np.array(5.0))
    np.testing.assert_allclose(got[0], [0.0, 3.0, 6.0])
    assert got[1] == 5.0


def test_lanes_that_stopped_or_went_another_way_give_no_nan():
    def f(x):
        return lax.cond(x < 1e-3, lambda x: 0.0 * x, fnp.sqrt, x)

    for g in (fnets.grad(lambda x: fnp.sum(fnets.vmap(f)(x))), fnets.vmap(fnets.grad(f))):
        for t in (g, fnets.jit(g)):
            with np.errstate(all="ignore"):
                np.testing.assert_allclose(t(np.array([0.0, 4.0])), [0.0, 0.25])

    def until_zero(x):
        return lax.while_loop(lambda c: c[0] > 0, lambda c: (c[0] - 1, c[1] * fnp.sqrt(c[0])), (x, x))[1]

    with np.errstate(all="ignore"):
        got = fnets.grad(lambda x: fnp.sum(fnets.vmap(until_zero)(x)))(np.array([1.0, 3.0]))
    np.testing.assert_allclose(got, [fnets.grad(until_zero)(1.0), fnets.grad(until_zero)(3.0)])
    # the guards cost nothing where no derivative is taken
    program = optimise(fnets.make_jaxpr(fnets.vmap(f))(np.ones(3)))
    assert [e.prim.name for e in program.eqns].count("select") == 1


def test_python_numbers_take_the_type_of_the_other_branch():
    f = fnets.jit(lambda p, x: lax.cond(p, lambda: 0.5, lambda: x))
    assert f(True, np.float64(2.0)).dtype == np.float64
    assert f(True, np.float32(2.0)).dtype == np.float32
    assert fnets.jit(lambda p: lax.cond(p, lambda: 1, lambda: 2.5))(True).dtype == np.float32
    with pytest.raises(TypeError, match="i32"):
        f(True, np.int32(2))
    with pytest.raises(TypeError, match="types"):
        lax.while_loop(lambda c: True, lambda c: (True, True), (np.bool_(True), np.float32(0)))


def test_the_initial_carry_is_not_written_to():
    start = np.array([1.0])

    def body(c):
        c += 1  # in place, on what the loop handed over
        return c

    np.testing.assert_array_equal(lax.while_loop(lambda c: c[0] < 3, body, start), [3.0])
    np.testing.assert_array_equal(start, [1.0])


def test_disabled_jit_runs_python():
    seen = []

    def body(c, x):
        seen.append(type(c))
        return c + x, (c, 2 * x)

    xs = np.arange(3.0)
    expected = lax.scan(body, 0.0, xs, reverse=True)
    with fnets.disable_jit():
        seen.clear()
        got = lax.scan(body, 0.0, xs, reverse=True)
        assert len(seen) == 3 and fnets.core.Tracer not in seen
        assert fnets.grad(lambda x: lax.scan(body, x, xs)[0])(1.0) == 1.0
        with pytest.raises(ValueError, match="length 0"):
            lax.scan(body, 0.0, xs[:0])
    for a, b in zip(fnets.tree.leaves(got), fnets.tree.leaves(expected)):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "call,error,words",
    [
        (lambda: fnets.jit(lambda n: lax.scan(lambda c, _: (c, c), 1.0, None, n))(3), "Concretization", "length"),
        (
            lambda: fnets.jit(lambda n: lax.scan(lambda c, _: (c, c), 1.0, None, 3, unroll=n))(3),
            "Concretization",
            "unroll",
        ),
        (lambda: lax.scan(lambda c, _: (c, c), 1.0, None, 3, unroll=-1), "Argument", "unroll"),
        (lambda: fnets.jit(lambda n: lax.fori_loop(0, n, lambda i, c: c, 1.0, unroll=3))(3), "Argument", "unroll"),
    ],
)
def test_loop_options(call, error, words):
    with pytest.raises((TypeError, ValueError), match=words) as caught:
        call()
    assert type(caught.value).__name__.startswith(error)


def test_fori_loop_bounds():
    dtypes = []
    lax.fori_loop(np.int16(0), 3, lambda i, c: dtypes.append(i.dtype) or c, 0.0, unroll=2)
    assert dtypes[0] == np.int16
    assert lax.fori_loop(1.0, 3.5, lambda i, c: c + i, 0.0) == 6.0
    assert fnets.grad(lambda x: lax.fori_loop(x, x + 2.0, lambda i, c: c * 2.0, x))(1.0) == 4.0


def test_checked_parameters_of_loops():
    def fresh():
        jaxpr = fnets.make_jaxpr(lambda c, xs: lax.scan(lambda c, x: (c + x[0], c), c, xs))(1.0, np.ones((3, 2)))
        return jaxpr, next(e for e in jaxpr.eqns if e.prim.name == "scan")

    fnets.core.check_jaxpr(fresh()[0])
    for name, value in (("reverse", 4), ("num_consts", -3), ("length", 5), ("num_carry", 0), ("jaxpr", 1)):
        jaxpr, eqn = fresh()
        eqn.params[name] = value
        with pytest.raises(fnets.core.JaxprTypeError, match="scan"):
            fnets.core.check_jaxpr(jaxpr)


# ------------------------------------------------------------------ a branch holds all that it computes


def _closing_over(p, x):
    return lax.cond(
        p, lambda: fnp.sum(fnp.sin(x) * x), lambda: lax.cond(x[0] > 0, lambda: fnp.prod(fnp.cos(x)), lambda: 0.0 * x[0])
    )


def test_branches_hold_what_they_compute_from_outer_values():
    x = np.array([0.3, -0.6, 0.9])
    top = [e.prim.name for e in fnets.make_jaxpr(_closing_over)(True, x).eqns]
    assert top == ["convert_element_type", "cond"]
    reference = lambda p, x: fnp.sum(fnp.sin(x) * x) if p else fnp.prod(fnp.cos(x))  # noqa: E731
    for p in (True, False):
        f, g = fnets.jit(_closing_over), fnets.jit(fnets.grad(_closing_over, 1))
        np.testing.assert_allclose(f(p, x), reference(p, x))
        slope = fnets.grad(reference, 1)(p, x)
        for got in (g(p, x), fnets.grad(f, 1)(p, x), fnets.jit(fnets.jacfwd(_closing_over, 1))(p, x)):
            np.testing.assert_allclose(got, slope)
        np.testing.assert_allclose(fnets.jit(fnets.hessian(_closing_over, 1))(p, x), fnets.hessian(reference, 1)(p, x))
        value, push = fnets.linearize(functools.partial(f, p), x)
        np.testing.assert_allclose(push(x), slope @ x)
    both = fnets.vmap(_closing_over, (0, None))(np.array([True, False]), x)
    np.testing.assert_allclose(both, [reference(True, x), reference(False, x)])
    g = fnets.jit(fnets.vmap(fnets.grad(_closing_over, 1)))
    np.testing.assert_allclose(g(np.array([True, False]), np.stack([x, x]))[1], fnets.grad(reference, 1)(False, x))
    inside = fnets.jit(lambda p, x: lax.cond(p, lambda: fnets.grad(lambda y: fnp.sum(y**2 * x))(x), lambda: x))
    np.testing.assert_allclose(inside(True, x), 2 * x**2)
    by_scan = fnets.jit(
        lambda x: lax.scan(lambda c, p: (c + _closing_over(p, x), None), 0.0, np.array([True, False]))[0]
    )
    np.testing.assert_allclose(by_scan(x), reference(True, x) + reference(False, x))


def test_the_branch_not_taken_costs_nothing():
    calls = []
    seen = lambda x: fnets.pure_callback(lambda v: calls.append(1) or v, x, x)  # noqa: E731
    f = fnets.jit(lambda p, x: lax.cond(p, lambda: seen(x), lambda: x))
    assert f(False, 2.0) == 2.0 and calls == []
    assert f(True, 2.0) == 2.0 and calls == [1]


def test_traces_around_a_failing_branch_run_on():
    def f(p, x):
        with pytest.raises(ZeroDivisionError):
            lax.cond(p, lambda: x / (1 // 0), lambda: x)
        return fnp.sin(x)

    assert fnets.jit(fnets.grad(f, 1))(True, 0.0) == 1.0


def test_checkpoint_holds_what_it_computes_from_outer_values():
    def f(w, x):
        return fnp.sum(fnets.checkpoint(lambda x: fnp.sin(fnp.exp(w)) * x)(x))

    x = np.array([0.3, -0.6, 0.9])
    np.testing.assert_allclose(fnets.grad(f)(0.5, x), np.sum(np.cos(np.exp(0.5)) * np.exp(0.5) * x))
    assert "exp" not in [e.prim.name for e in fnets.make_jaxpr(f)(0.5, x).eqns]


# ------------------------------------------------------------------ what nobody reads is not computed


def test_dead_parts_of_loops_branches_and_calls():
    def rnn(h, xs):
        return lax.scan(lambda h, x: (fnp.tanh(h + x), fnp.exp(h)), h, xs)[0]

    jaxpr = fnets.make_jaxpr(rnn)(1.0, np.ones(3))
    (eqn,) = [e for e in jaxpr.eqns if e.prim.name == "scan"]
    assert len(eqn.outvars) == 1 and "exp" not in set(_names(jaxpr))

    def chain(cs):  # every part of the carry needs itself and the one to the left
        return lax.scan(lambda c, _: ([c[0], *[a * b for a, b in zip(c, c[1:])]], None), cs, None, length=4)[0]

    for k in range(4):
        jaxpr = fnets.make_jaxpr(lambda cs, k=k: chain(cs)[k])([1.0, 2.0, 3.0, 4.0])
        assert list(_names(jaxpr)).count("mul") == k
        fnets.core.check_jaxpr(jaxpr)
        assert jaxpr(1.0, 2.0, 3.0, 4.0)[0] == chain([1.0, 2.0, 3.0, 4.0])[k]

    def loop(n, x):
        return lax.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, 2.0 * s[1], fnp.sin(s[2])), (0, x, x))[1]

    jaxpr = fnets.make_jaxpr(loop)(3, 1.0)
    assert "sin" not in set(_names(jaxpr)) and jaxpr(3, 1.0)[0] == 8.0

    def branch(p, x):
        return lax.cond(p, lambda x: (x, fnp.sin(x)), lambda x: (2.0 * x, fnp.cos(x)), x)[0]

    jaxpr = fnets.make_jaxpr(branch)(True, 1.0)
    assert not {"sin", "cos"} & set(_names(jaxpr)) and jaxpr(False, 1.0)[0] == 2.0
    for call in (fnets.jit, fnets.checkpoint):
        jaxpr = fnets.make_jaxpr(lambda x, call=call: call(lambda x: (fnp.sin(x), fnp.cos(x)))(x)[1])(1.0)
        assert set(_names(jaxpr)) & {"sin", "cos"} == {"cos"}


def test_effects_in_dead_parts_stay():
    seen = []

    def step(c, x):
        fnets.debug.callback(lambda v: seen.append(float(v)), x)
        return c + 1.0, fnp.exp(x)

    fnets.jit(lambda xs: lax.scan(step, 0.0, xs)[0])(np.arange(3.0))
    assert seen == [0.0, 1.0, 2.0]


def test_python_may_decide_on_values_that_an_outer_function_knows():
    @functools.partial(fnets.checkpoint, static_argnums=0)
    def g(x):
        with fnets.ensure_compile_time_eval():
            positive = x > 0
        return fnp.sin(x) if positive else fnp.cos(x)

    assert fnets.grad(g)(0.0) == 0.0 and fnets.grad(g)(1.0) == np.cos(1.0)
    with pytest.raises(TypeError):
        fnets.jit(fnets.grad(g))(1.0)


@pytest.mark.parametrize("what", [None, "foo", (1.0, 1.0), len, np.zeros(2)])
def test_what_is_no_predicate(what):
    for call in (
        lambda: lax.cond(what, lambda: 1, lambda: 2),
        lambda: lax.switch(what, [lambda: 1, lambda: 2]),
        lambda: lax.while_loop(lambda c: what, lambda c: c, 0.0),
    ):
        with pytest.raises((TypeError, ValueError), match=r"^\[(cond|switch|while_loop)\] expected"):
            call()


def test_offloading_keeps():
    policies = fnets.checkpoint_policies
    policy = policies.save_and_offload_only_these_names(
        names_which_can_be_saved=["a"],
        names_which_can_be_offloaded=["b"],
        offload_src="device",
        offload_dst="pinned_host",
    )
    name = fnets.ad_checkpoint.checkpoint_name

    def f(x):
        return fnp.sin(name(fnp.sin(name(fnp.sin(x), "a")), "b"))

    push = fnets.linearize(fnets.checkpoint(f, policy=policy), 0.5)[1]
    assert list(_names(push.jaxpr)).count("sin") == 0
    np.testing.assert_allclose(push(1.0), fnets.grad(f)(0.5))
    w = np.eye(3)
    dots = fnets.checkpoint(
        lambda x: fnp.sin(x @ w) @ w, policy=policies.offload_dot_with_no_batch_dims("device", "host")
    )
    np.testing.assert_allclose(fnets.jacrev(dots)(np.zeros(3)), np.eye(3))


def test_python_numbers_that_are_handed_on_stay_python_numbers():
    x = np.float16(2)

    def by_scan(x, rate):
        return lax.scan(lambda c, _: ((c[0] * c[1], c[1]), None), (x, rate), None, 3)[0]

    out, rate = by_scan(x, 0.5)
    assert out == 0.25 and out.dtype == np.float16 and rate == 0.5 and type(rate) is float
    assert fnets.jit(by_scan)(x, 0.5)[0].dtype == np.float16
    assert fnets.grad(lambda r: by_scan(x, r)[0])(0.5) == 3 * 2 * 0.25

    def by_while(n, x, rate):
        return lax.while_loop(lambda s: s[0] > 0, lambda s: (s[0] - 1, s[1] * s[2], s[2]), (n, x, rate))[1]

    assert fnets.jit(by_while)(3, x, 0.5).dtype == np.float16
    both = lambda p, y: lax.cond(p, lambda: by_scan(x, y)[1], lambda: by_scan(2 * x, y)[1])  # noqa: E731
    assert fnets.vmap(both, (0, None), None)(np.array([True, False]), 3.0) == 3.0


@pytest.mark.parametrize("closed", [False, True])
def test_a_loop_over_staged_values_is_staged_even_where_its_condition_is_known(closed):
    def f(x):
        factor = x if closed else 1.001
        return lax.while_loop(
            lambda s: s[0] < 1000, lambda s: (s[0] + 1, s[1] * factor), (0, np.float32(1) if closed else x)
        )[1]

    x = np.float32(1.001)
    jaxpr = fnets.make_jaxpr(f)(x)
    assert [e.prim.name for e in jaxpr.eqns if e.prim.name != "mul"] == ["while"] and len(jaxpr.eqns) < 4
    np.testing.assert_allclose(fnets.jit(f)(x), f(x), rtol=1e-5)
    np.testing.assert_allclose(fnets.jit(fnets.grad(f))(x), fnets.grad(f)(x), rtol=1e-4)


def test_a_counted_loop_needs_no_memory_for_its_trips():
    jaxpr = fnets.make_jaxpr(lambda x: lax.fori_loop(3, 10**15, lambda i, x: x * 0.5 + 1, x))(1.0)
    assert not jaxpr.consts and sum(v.aval.size for e in jaxpr.eqns for v in e.outvars) < 10
