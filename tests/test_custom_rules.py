"""custom_vjp, custom_jvp, closure_convert, checkpoint: the rule is used, under every transformation, and to second order."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax
from fnets.custom_derivatives import (
    CustomVJPPrimal,
    SymbolicZero,
    custom_vjp_primal_tree_values,
    zero_from_primal,
)

X = np.array([0.3, -0.6, 0.9])
XS = np.stack([X, 2 * X])


def make_vjp():
    @fnets.custom_vjp
    def f(x, w):
        return fnp.sin(x) * w

    # the rule lies by a factor of 3, so that a test can tell whether it was used
    f.defvjp(lambda x, w: (fnp.sin(x) * w, (x, w)), lambda r, ct: (3 * ct * fnp.cos(r[0]) * r[1], ct * fnp.sin(r[0])))
    return f


def make_jvp():
    @fnets.custom_jvp
    def f(x, w):
        return fnp.sin(x) * w

    @f.defjvp
    def rule(primals, tangents):
        (x, w), (tx, tw) = primals, tangents
        return f(x, w), 3 * tx * fnp.cos(x) * w + tw * fnp.sin(x)

    return f


BOTH = pytest.mark.parametrize("make", [make_vjp, make_jvp])


@BOTH
def test_first_order(make):
    f = make()
    w = X + 1
    np.testing.assert_allclose(f(X, w), np.sin(X) * w)
    g = lambda f: fnets.grad(lambda x, w: fnp.sum(f(x, w)), (0, 1))  # noqa: E731
    expected = (3 * np.cos(X) * w, np.sin(X))
    for gradient in (g(f), fnets.jit(g(f)), g(fnets.jit(f)), g(fnets.jit(fnets.jit(f)))):
        for a, b in zip(gradient(X, w), expected):
            np.testing.assert_allclose(a, b)
    np.testing.assert_allclose(fnets.vmap(f, (0, None))(XS, w), np.sin(XS) * w)
    batched = fnets.vmap(g(f), (0, None))(XS, w)
    np.testing.assert_allclose(batched[0], 3 * np.cos(XS) * w)
    np.testing.assert_allclose(batched[1], np.sin(XS))
    over = fnets.grad(lambda x, w: fnp.sum(fnets.vmap(f, (0, None))(x, w)), (0, 1))(XS, w)
    np.testing.assert_allclose(over[0], 3 * np.cos(XS) * w)
    np.testing.assert_allclose(over[1], np.sin(XS).sum(0))
    np.testing.assert_allclose(fnets.jit(fnets.vmap(g(fnets.jit(f)), (0, None)))(XS, w)[0], 3 * np.cos(XS) * w)


@BOTH
def test_second_order_differentiates_the_rule(make):
    f = make()
    w = X + 1
    h = fnets.grad(lambda x: fnp.sum(fnets.grad(lambda x: fnp.sum(f(x, w)))(x)))
    for hh in (h, fnets.jit(h), fnets.grad(fnets.jit(lambda x: fnp.sum(fnets.grad(lambda x: fnp.sum(f(x, w)))(x))))):
        np.testing.assert_allclose(hh(X), -3 * np.sin(X) * w)


@BOTH
def test_alive_under_scan_cond_and_checkpoint(make):
    f = make()

    def by_scan(x):
        return lax.scan(lambda c, e: (c + fnp.sum(f(e, fnp.ones_like(e))), None), 0.0, x)[0]

    np.testing.assert_allclose(fnets.grad(by_scan)(X), 3 * np.cos(X))
    np.testing.assert_allclose(fnets.jit(fnets.grad(by_scan))(X), 3 * np.cos(X))
    by_cond = fnets.jit(lambda p, x: fnp.sum(lax.cond(p, lambda x: f(x, fnp.ones_like(x)), lambda x: x, x)))
    np.testing.assert_allclose(fnets.grad(by_cond, 1)(True, X), 3 * np.cos(X))
    np.testing.assert_allclose(
        fnets.grad(lambda x: fnp.sum(fnets.checkpoint(lambda x: f(x, fnp.ones_like(x)))(x)))(X), 3 * np.cos(X)
    )


def test_forward_mode():
    f = make_jvp()
    out, t = fnets.jvp(f, (X, X + 1), (np.ones(3), np.zeros(3)))
    np.testing.assert_allclose(t, 3 * np.cos(X) * (X + 1))
    np.testing.assert_allclose(fnets.jvp(fnets.jit(f), (X, X + 1), (np.ones(3), np.zeros(3)))[1], t)
    np.testing.assert_allclose(fnets.jacfwd(lambda x: f(x, fnp.ones_like(x)))(X), np.diag(3 * np.cos(X)))
    with pytest.raises(TypeError, match="custom_jvp"):
        fnets.jvp(lambda x: make_vjp()(x, 1.0), (X,), (X,))


def test_control_flow_on_values_inside():
    @fnets.custom_vjp
    def f(x):
        return x * 2 if x > 0 else -x

    f.defvjp(lambda x: (f(x), x > 0), lambda positive, ct: (ct * 20 if positive else ct * -10,))
    assert fnets.grad(f)(1.0) == 20
    assert fnets.grad(f)(-1.0) == -10


def test_nondiff_argnums_keywords_defaults_trees_and_none():
    @fnets.custom_vjp
    def f(p, scale=2.0):
        return {"y": p["a"] * scale + p["b"][0]}

    f.defvjp(
        lambda p, scale: (f(p, scale), (p["a"], scale)),
        lambda r, ct: ({"a": 5 * ct["y"] * r[1], "b": (ct["y"],)}, None),
    )
    g = fnets.grad(lambda p: f(p)["y"])({"a": 1.0, "b": (2.0,)})
    assert g == {"a": 10.0, "b": (1.0,)}
    assert fnets.grad(lambda p: f(p, scale=3.0)["y"])({"a": 1.0, "b": (2.0,)})["a"] == 15.0
    assert fnets.grad(lambda s: f({"a": 1.0, "b": (2.0,)}, s)["y"])(3.0) == 0.0

    apply = fnets.custom_vjp(lambda fun, x: fun(x), nondiff_argnums=(0,))
    apply.defvjp(lambda fun, x: (fun(x), x), lambda fun, x, ct: (7 * ct,))
    assert fnets.grad(lambda x: apply(fnp.sin, x))(0.0) == 7.0
    power = fnets.custom_jvp(lambda x, n: x**n, nondiff_argnums=(1,))
    power.defjvp(lambda n, primals, tangents: (primals[0] ** n, 100.0 * n * tangents[0]))
    assert fnets.grad(power)(2.0, 3) == 300.0
    assert fnets.jit(fnets.grad(power), static_argnums=1)(2.0, 3) == 300.0


def test_defjvps():
    f = fnets.custom_jvp(lambda x, y: x * y)
    f.defjvps(lambda t, out, x, y: 2 * t * y, None)
    assert fnets.grad(f, (0, 1))(3.0, 5.0) == (10.0, 0.0)


def test_closed_over_values():
    def outer(w):
        f = fnets.custom_vjp(lambda x: fnp.sin(x) * w)
        f.defvjp(lambda x: (fnp.sin(x) * w, x), lambda x, ct: (ct * fnp.cos(x) * w,))
        return fnets.grad(lambda x: fnp.sum(f(x)))(X)

    np.testing.assert_allclose(fnets.vmap(outer)(np.array([2.0, 3.0])), np.outer([2, 3], np.cos(X)))
    np.testing.assert_allclose(fnets.jit(outer)(2.0), 2 * np.cos(X))
    np.testing.assert_allclose(fnets.jacfwd(outer)(2.0), np.cos(X))

    def closes_over_itself(w):
        f = fnets.custom_vjp(lambda x: x * w)
        f.defvjp(lambda x: (x * w, None), lambda _, ct: (ct,))
        return f(w)

    with pytest.raises(TypeError, match="closes over"):
        fnets.grad(closes_over_itself)(2.0)
    with pytest.raises(TypeError, match="closes over"):
        fnets.grad(fnets.jit(closes_over_itself))(2.0)


def test_closure_convert():
    def outer(w):
        converted, values = fnets.closure_convert(lambda x: x * w, 1.0)
        assert len(values) == 1
        return converted(3.0, *values)

    assert fnets.grad(outer)(2.0) == 3.0


def test_methods():
    class Model:
        @fnets.custom_jvp
        def f(self, x):
            return x

    Model.f.defjvp(lambda p, t: (p[1], 9 * t[1]))
    fnets.tree.register_static(Model)
    assert fnets.grad(lambda x: Model().f(x))(1.0) == 9.0


@pytest.mark.parametrize(
    "call,words",
    [
        (lambda: fnets.custom_vjp(lambda x: x)(1.0), ["defvjp"]),
        (lambda: fnets.custom_jvp(lambda x: x)(1.0), ["defjvp"]),
        (lambda: _with(lambda x: x, lambda r, ct: (ct,)), ["forward rule", "pair"]),
        (lambda: _with(lambda x: (x, None), lambda r, ct: ct), ["backward rule", "tuple"]),
        (lambda: _with(lambda x: (x, None), lambda r, ct: (ct, ct)), ["backward rule", "1 cotangents"]),
        (lambda: _with(lambda x: (x, None), lambda r, ct: ({"a": ct},)), ["backward rule", "structure"]),
        (lambda: _with(lambda x: (x, None), lambda r, ct: (np.zeros(4),)), ["backward rule", "shape", "(4,)"]),
    ],
)
def test_messages(call, words):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    text = str(caught.value).partition("\n  at ")[0]
    for w in words:
        assert w in text, text


def _with(fwd, bwd):
    f = fnets.custom_vjp(lambda x: x)
    f.defvjp(fwd, bwd)
    return fnets.grad(lambda x: fnp.sum(f(x)))(X)


def test_symbolic_zeros_forward():
    seen = []

    @fnets.custom_jvp
    def f(x, y, z):
        return x * y, z

    def rule(primals, tangents):
        seen.append(tuple(type(t) is SymbolicZero for t in tangents))
        assert all(np.shape(t) == np.shape(p) for t, p in zip(tangents, primals))
        tx, ty, tz = tangents
        return f(*primals), (tx if type(ty) is SymbolicZero else ty, tz)

    f.defjvp(rule, symbolic_zeros=True)
    by_x = lambda x: f(x, X, X)  # noqa: E731
    for g in (by_x, fnets.jit(by_x), fnets.vmap(by_x)):
        x = XS if g is not by_x and not hasattr(g, "lower") else X
        (_, _), (t, tz) = fnets.jvp(g, (x,), (2 * x,))
        np.testing.assert_allclose(t, 2 * x)
        np.testing.assert_array_equal(tz, np.zeros_like(x))
    assert set(seen) == {(False, True, True)}
    np.testing.assert_array_equal(fnets.grad(lambda y: fnp.sum(fnets.vmap(by_x)(y)[0]))(XS), np.ones_like(XS))
    np.testing.assert_array_equal(fnets.grad(lambda y: fnp.sum(by_x(y)[1]))(X), np.zeros(3))


def test_symbolic_zeros_reverse():
    seen = []

    @fnets.custom_vjp
    def f(p, y):
        return p["x"] * y, p["x"]

    def fwd(p, y):
        assert type(y) is CustomVJPPrimal
        seen.append((p["x"].perturbed, y.perturbed))
        p, y = custom_vjp_primal_tree_values((p, y))
        return f(p, y), y

    def bwd(y, ct):
        seen.append(tuple(type(c) is SymbolicZero for c in ct))
        return {"x": 5 * ct[0]}, ct[1]

    f.defvjp(fwd, bwd, symbolic_zeros=True)
    w = X + 1
    for t in (lambda f: f, fnets.jit, fnets.vmap):
        x, v = (XS, np.stack([w, w])) if t is fnets.vmap else (X, w)
        loss = lambda x, v=v, t=t: fnp.sum(t(f)({"x": x}, v)[0])  # noqa: E731
        np.testing.assert_array_equal(fnets.grad(loss)(x), np.full_like(x, 5))
        assert seen[-2] == (True, False)
        assert seen[-1] == (False, t is not fnets.jit)  # a jitted call's cotangents are arrays
        seen.clear()
    with pytest.raises(ValueError, match="returning a None"):
        f.defvjp(
            fwd, lambda y, ct: ({"x": zero_from_primal(np.ones(2), symbolic_zeros=True)}, None), symbolic_zeros=True
        )
        fnets.grad(lambda x: fnp.sum(f({"x": x}, w)[0]))(X)
    np.testing.assert_array_equal(zero_from_primal(X), np.zeros(3))


def test_none_for_a_subtree():
    f = fnets.custom_vjp(lambda p: p[0])
    f.defvjp(lambda p: (f(p), None), lambda _, ct: ((ct, None),))
    assert fnets.grad(f)((1.0, (2.0, 3.0))) == (1.0, (0.0, 0.0))
    f.defvjp(lambda p: (f(p), None), lambda _, ct: ((ct, (None, None)),))
    assert fnets.grad(f)((1.0, (2.0, None))) == (1.0, (0.0, None))
    f.defvjp(lambda p: (f(p), None), lambda _, ct: ((ct, ct),))
    with pytest.raises(ValueError, match="structure"):
        fnets.grad(f)((1.0, (2.0, 3.0)))


def test_traced_values_that_are_not_differentiated():
    f = fnets.custom_jvp(lambda n, x: n * x, nondiff_argnums=(0,))
    f.defjvp(lambda n, primals, tangents: (f(n, *primals), 5 * n * tangents[0]))
    out, t = fnets.jvp(lambda x: fnets.vmap(f)(np.array([2.0, 3.0]), x), (np.ones(2),), (np.ones(2),))
    np.testing.assert_array_equal(out, [2.0, 3.0])
    np.testing.assert_array_equal(t, [10.0, 15.0])
    assert fnets.jit(lambda n: fnets.jvp(fnets.jit(lambda x: f(n, x)), (3.0,), (1.0,)))(2.0) == (6.0, 10.0)
    with pytest.raises(TypeError, match="closes over"):
        fnets.grad(f)(2.0, 3.0)
    g = fnets.custom_vjp(lambda n, x: n * x, nondiff_argnums=(0,))
    g.defvjp(lambda n, x: (n * x, None), lambda n, _, ct: (ct,))
    with pytest.raises(TypeError, match="ordinary argument"):
        fnets.jit(g)(2.0, 3.0)


def test_functions_that_close_over_values_of_inner_transformations():
    def call(f, *args):
        f = fnets.custom_jvp(f)
        f.defjvp(lambda primals, tangents: (f(*primals), sum(tangents)))
        return f(*args)

    def program(x):
        def inner(y):
            return call(lambda _: y, x) + call(lambda z: z * y, x) + call(lambda: y * x)

        return fnets.jit(inner)(3.0 * x)

    expected = 3 * X + 3 * X**2 + 3 * X**2
    np.testing.assert_allclose(program(X), expected)
    np.testing.assert_allclose(fnets.jit(program)(X), expected)
    np.testing.assert_allclose(fnets.vmap(program)(X), expected)
    np.testing.assert_allclose(fnets.vmap(fnets.jit(program))(X), expected)
    with pytest.raises(TypeError, match="closes over"):  # the gradient with respect to w would be lost without a word
        fnets.vmap(lambda x: fnets.grad(lambda w: call(lambda z: z * w, x))(2.0))(X)


def test_keyword_only_defaults_and_arguments_that_do_not_fit():
    f = fnets.custom_jvp(functools.partial(lambda x, y, a: x + y * a, a=0.1))
    f.defjvp(lambda p, t: (f(*p), t[0] + 0.1 * t[1]))
    assert fnets.grad(f, (0, 1))(1.0, 2.0) == (1.0, 0.1)
    g = fnets.custom_vjp(lambda x, y, *, z=None: x)
    g.defvjp(lambda x, y: (x, None), lambda _, ct: (ct, None))
    assert fnets.grad(g)(1.0, 2.0) == 1.0
    for call in (lambda: g(1.0), lambda: g(1.0, 2.0, z=3.0)):
        with pytest.raises(TypeError, match="expected arguments"):
            call()


def test_custom_gradient_batches():
    @fnets.custom_gradient
    def f(x):
        y = fnp.sin(x)
        return y * x, lambda ct: ct * y * 7

    np.testing.assert_allclose(fnets.grad(lambda x: fnp.sum(fnets.vmap(f)(x)))(X), 7 * np.sin(X))
    np.testing.assert_allclose(fnets.vmap(fnets.grad(f))(X), 7 * np.sin(X))
    np.testing.assert_allclose(fnets.jit(fnets.vmap(fnets.grad(f)))(X), 7 * np.sin(X))


# ------------------------------------------------------------------ checkpoint


def test_checkpoint_recomputes():
    runs = []

    @fnets.custom_vjp
    def counted(x):
        return fnp.sin(x)

    def fwd(x):
        runs.append("fwd")
        return fnp.sin(x), x

    counted.defvjp(fwd, lambda x, ct: (ct * fnp.cos(x),))
    g = fnets.grad(lambda x: fnp.sum(fnets.checkpoint(counted)(x)))(X)
    np.testing.assert_allclose(g, np.cos(X))
    assert runs == ["fwd"]  # only on the way back: going forward ran the plain function


def test_checkpoint_saves_only_operands():
    def block(x):
        for _ in range(10):
            x = fnp.sin(x)
        return x

    def programs(f):
        def value_and_pullback(x):
            value, pull = fnets.vjp(f, x)
            return value, pull(x)[0]

        return fnets.make_jaxpr(value_and_pullback)(X)

    assert sum(e.prim.name == "sin" for e in programs(block).eqns) == 10
    forward, again = [e.params["jaxpr"] for e in programs(fnets.checkpoint(block)).eqns if e.prim.name == "checkpoint"]
    assert len(forward.outvars) == 1  # nothing is saved: all of it is computed on the way back
    assert sum(e.prim.name == "sin" for e in again.eqns) == 9  # the tenth is the result, which no pullback needs
    for f in (fnets.checkpoint(block), fnets.jit(fnets.checkpoint(block)), fnets.checkpoint(fnets.jit(block))):
        for t in (lambda f: f, fnets.jit):
            np.testing.assert_allclose(
                t(fnets.grad(lambda x, f=f: fnp.sum(f(x))))(X), fnets.grad(lambda x: fnp.sum(block(x)))(X)
            )
    np.testing.assert_allclose(
        fnets.hessian(lambda x: fnp.sum(fnets.checkpoint(block)(x)))(X), fnets.hessian(lambda x: fnp.sum(block(x)))(X)
    )
    np.testing.assert_allclose(
        fnets.vmap(fnets.grad(lambda x: fnp.sum(fnets.checkpoint(block)(x))))(XS)[1],
        fnets.grad(lambda x: fnp.sum(block(x)))(XS[1]),
    )


def test_policies():
    w = np.arange(9.0).reshape(3, 3) / 10

    def f(x):
        a = fnets.ad_checkpoint.checkpoint_name(fnp.sin(x), "a")
        return fnp.sum(fnp.tanh(fnp.cos(a) @ w) @ w)

    expected = fnets.grad(f)(X)
    policies = fnets.checkpoint_policies
    recomputed = {}
    for name, policy in {
        "nothing": policies.nothing_saveable,
        "everything": policies.everything_saveable,
        "dots": policies.dots_saveable,
        "names": policies.save_only_these_names("a"),
        "other": policies.save_only_these_names("b"),
        "both": policies.save_from_both_policies(policies.dots_saveable, policies.save_only_these_names("a")),
    }.items():
        c = fnets.checkpoint(f, policy=policy)
        np.testing.assert_allclose(fnets.grad(c)(X), expected)
        np.testing.assert_allclose(fnets.jit(fnets.grad(c))(X), expected)
        np.testing.assert_allclose(fnets.vmap(fnets.grad(c))(XS)[0], expected)
        np.testing.assert_allclose(fnets.hessian(c)(X), fnets.hessian(f)(X))
        again = [e for e in fnets.make_jaxpr(fnets.value_and_grad(c))(X).eqns if e.prim.name == "checkpoint"][1:]
        recomputed[name] = [q.prim.name for e in again for q in e.params["jaxpr"].eqns]
    assert recomputed["everything"] == []
    assert recomputed["nothing"] == recomputed["other"] and recomputed["nothing"].count("dot_general") == 1
    assert "dot_general" not in recomputed["dots"] and "sin" in recomputed["dots"]
    assert "sin" not in recomputed["names"] and "dot_general" in recomputed["names"]
    assert "sin" not in recomputed["both"] and "dot_general" not in recomputed["both"]


def test_saved_residuals(capsys):
    fnets.ad_checkpoint.print_saved_residuals(lambda x: fnp.sum(fnp.sin(x) * fnp.cos(x)), X)
    out = capsys.readouterr().out
    assert "f64[3]" in out and "test_custom_rules.py" in out and "argument 0" in out


def test_linear_functions_are_values():
    f = lambda x: fnp.sin(x) * x  # noqa: E731
    pull = fnets.jit(lambda x: fnets.vjp(f, x)[1])(X)
    np.testing.assert_allclose(pull(X)[0], fnets.vjp(f, X)[1](X)[0])
    push = fnets.jit(lambda x: fnets.linearize(f, x)[1])(X)
    np.testing.assert_allclose(push(X), fnets.jvp(f, (X,), (X,))[1])
    np.testing.assert_allclose(fnets.jit(lambda pull, ct: pull(ct))(pull, X)[0], pull(X)[0])
    np.testing.assert_allclose(fnets.jit(lambda: fnets.linear_transpose(lambda x: 3 * x, X))()(X)[0], 3 * X)


def test_rules_whose_results_are_not_those_of_the_function():
    def vjp(fwd):
        f = fnets.custom_vjp(lambda x: 2 * x)
        f.defvjp(fwd, lambda _, ct: (ct,))
        return fnets.grad(lambda x: fnp.sum(fnets.jit(f)(x)))

    def jvp(rule):
        f = fnets.custom_jvp(lambda x: 2 * x)
        f.defjvp(rule)
        return fnets.grad(lambda x: fnp.sum(fnets.jit(f)(x)))

    for g in (
        vjp(lambda x: (x[:2], None)),
        vjp(lambda x: (x.astype(np.float32), None)),
        jvp(lambda p, t: (p[0][:2], t[0][:2])),
        jvp(lambda p, t: (fnp.sum(p[0]), fnp.sum(t[0]))),
    ):
        with pytest.raises((TypeError, ValueError), match="as the function"):
            g(X)
