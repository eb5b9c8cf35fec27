"""The transformations' own interface: arguments, structures, dtypes, aux, prefixes, caching. Derivative values are checked in test_nesting.py."""

from __future__ import annotations

import functools
import gc
import typing
import weakref

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax
from fnets.interpreters import batching

X = np.array([0.3, -0.6, 0.9])
P = {"w": np.arange(6.0).reshape(3, 2), "b": [np.ones(2), np.float64(3.0)]}


class Point(typing.NamedTuple):
    x: np.ndarray
    y: float


def loss(p, x):
    return fnp.sum((x @ p["w"] + p["b"][0]) ** 2) * p["b"][1]


# ------------------------------------------------------------------ grad


def test_gradient_has_the_structure_and_dtypes_of_the_argument():
    g = fnets.grad(loss)(P, X)
    assert fnets.tree.structure(g) == fnets.tree.structure(P)
    for a, b in zip(fnets.tree.leaves(g), fnets.tree.leaves(P)):
        assert np.shape(a) == np.shape(b) and a.dtype == b.dtype
    half = fnets.tree.map(lambda a: np.asarray(a, np.float32), P)
    g32 = fnets.grad(loss)(half, X)  # a float64 input does not widen a float32 gradient
    assert {a.dtype for a in fnets.tree.leaves(g32)} == {np.dtype(np.float32)}
    assert type(fnets.grad(lambda x: x * x)(3.0)) is float
    point = fnets.grad(lambda p: fnp.sum(p.x) * p.y)(Point(X, 2.0))
    assert isinstance(point, Point) and point.y == X.sum()


def test_argnums_has_aux_and_keywords():
    f = lambda x, y, *, scale=1.0: (fnp.sum(x * y) * scale, {"x": x})  # noqa: E731
    assert fnets.grad(lambda x, y: x * y, 1)(2.0, 5.0) == 2.0
    assert fnets.grad(lambda x, y: x * y, (1, 0))(2.0, 5.0) == (2.0, 5.0)
    assert fnets.grad(lambda x, y: x * y, -1)(2.0, 5.0) == 2.0
    g, aux = fnets.grad(f, has_aux=True)(X, X + 1, scale=2.0)
    np.testing.assert_allclose(g, 2 * (X + 1))
    np.testing.assert_array_equal(aux["x"], X)
    (value, aux), g = fnets.value_and_grad(f, has_aux=True)(X, X + 1)
    assert value == np.sum(X * (X + 1))
    assert type(aux["x"]) is np.ndarray
    assert fnets.grad(fnets.grad(lambda x: x**3))(2.0) == 12.0
    inner = fnets.grad(lambda x: (fnets.grad(lambda y: (y**3 * x, y), has_aux=True)(x)[0], x), has_aux=True)
    assert inner(2.0) == (12.0 * 2 + 0 + 12.0, 2.0) or inner(2.0)[0] == pytest.approx(9 * 4.0)


def test_python_control_flow_on_values():
    def f(x):
        while x < 10:
            x = x * 2 if x > 0 else -x + 1
        return x

    assert fnets.grad(f)(1.5) == 8.0
    assert fnets.jvp(f, (1.5,), (1.0,)) == (12.0, 8.0)


def test_inputs_that_do_not_matter_get_zeros():
    g = fnets.grad(lambda p: fnp.sum(p["a"]))({"a": X, "b": X, "c": 1.0})
    np.testing.assert_array_equal(g["b"], np.zeros(3))
    assert g["c"] == 0.0
    g["b"][0] = 1.0  # and they are ordinary, writable arrays


def test_integers():
    with pytest.raises(TypeError, match="float"):
        fnets.grad(lambda n: n * 1.0)(3)
    assert fnets.grad(lambda n: n * 1.0, allow_int=True)(np.int64(3)).shape == ()
    np.testing.assert_allclose(fnets.grad(lambda x, i: x[i])(X, 1), [0, 1, 0])
    y, pull = fnets.vjp(lambda x, n: x * n, X, np.arange(3))
    assert pull(X)[1].dtype == np.int64


def test_complex():
    z = np.array([1 + 2j, -0.5j])
    np.testing.assert_allclose(fnets.grad(lambda z: z**3, holomorphic=True)(2 + 1j), 3 * (2 + 1j) ** 2)
    # JAX's convention: for a real function, d/dx - i d/dy
    np.testing.assert_allclose(fnets.grad(lambda z: fnp.sum(abs(z) ** 2))(z), 2 * np.conj(z))
    np.testing.assert_allclose(fnets.jvp(lambda z: z * z, (z,), (z,))[1], 2 * z * z)
    with pytest.raises(TypeError, match="holomorphic"):
        fnets.grad(lambda z: z * z)(2 + 1j)


# ------------------------------------------------------------------ vjp, jvp, jacobians


def test_vjp_and_jvp():
    y, pull = fnets.vjp(lambda p: {"y": loss(p, X), "z": p["w"]}, P)
    ct = {"y": np.float64(2.0), "z": np.ones((3, 2))}
    for _ in range(2):  # a pullback may be called again
        (g,) = pull(ct)
        np.testing.assert_allclose(g["w"], 2 * fnets.grad(loss)(P, X)["w"] + 1)
    out, t = fnets.jvp(loss, (P, X), (fnets.tree.map(np.ones_like, P), np.zeros(3)))
    np.testing.assert_allclose(t, sum(np.sum(a) for a in fnets.tree.leaves(fnets.grad(loss)(P, X))))
    y, pull, aux = fnets.vjp(lambda x: (x * 2, x + 1), X, has_aux=True)
    np.testing.assert_array_equal(aux, X + 1)
    y, t, aux = fnets.jvp(lambda x: (x * 2, x + 1), (X,), (X,), has_aux=True)
    np.testing.assert_array_equal(aux, X + 1)


def test_jacobians_of_trees():
    f = lambda p: {"a": p["x"] * p["y"], "b": fnp.sum(p["x"]) * p["y"]}  # noqa: E731
    p = {"x": X, "y": np.array([2.0, 3.0, 4.0])}
    fwd, rev = fnets.jacfwd(f)(p), fnets.jacrev(f)(p)
    for j in (fwd, rev):
        np.testing.assert_allclose(j["a"]["x"], np.diag(p["y"]))
        np.testing.assert_allclose(j["b"]["x"], np.outer(p["y"], np.ones(3)))
        assert j["b"]["y"].shape == (3, 3)
    scalar = fnets.jacrev(lambda x: fnp.sum(x**2))(X)
    np.testing.assert_allclose(scalar, 2 * X)
    matrix = np.arange(6.0).reshape(2, 3)
    assert fnets.jacfwd(lambda m: m @ X)(matrix).shape == (2, 2, 3)
    h = fnets.hessian(lambda p: fnp.sum(p["x"] ** 2 * p["y"]))(p)
    np.testing.assert_allclose(h["x"]["y"], np.diag(2 * X))
    j, aux = fnets.jacrev(lambda x: (x**2, "aux"), has_aux=True)(X)
    assert aux == "aux"
    j0, j1 = fnets.jacfwd(lambda x, y: x * y, (0, 1))(X, X)
    np.testing.assert_allclose(j0, np.diag(X))
    np.testing.assert_allclose(fnets.hvp(lambda x: fnp.sum(x**3), (X,), (X,)), 6 * X * X)


# ------------------------------------------------------------------ vmap


def test_in_axes_and_out_axes_are_prefixes():
    m = np.arange(12.0).reshape(3, 4)
    np.testing.assert_allclose(fnets.vmap(lambda x: x * 2, in_axes=1, out_axes=1)(m), m * 2)
    np.testing.assert_allclose(fnets.vmap(lambda x: x * 2, in_axes=-1)(m), (m * 2).T)
    f = fnets.vmap(lambda p, x: p["a"] * x + p["b"], in_axes=({"a": 0, "b": None}, 1))
    np.testing.assert_allclose(f({"a": np.arange(4.0), "b": 1.0}, m), (np.arange(4.0) * m + 1).T)
    out = fnets.vmap(lambda x: {"s": fnp.sum(x), "x": x}, out_axes={"s": 0, "x": 1})(m)
    assert out["x"].shape == (4, 3)
    assert fnets.vmap(lambda x: 7.0, out_axes=None)(m) == 7.0
    np.testing.assert_array_equal(fnets.vmap(lambda x: 7.0)(m), np.full(3, 7.0))
    np.testing.assert_array_equal(fnets.vmap(lambda: 1.0, axis_size=3)(), np.ones(3))
    np.testing.assert_allclose(fnets.vmap(lambda x, *, y: x + y)(m, y=m), 2 * m)
    np.testing.assert_allclose(
        fnets.vmap(fnets.vmap(lambda x, y: x * y, (None, 0)), (0, None))(np.arange(3.0), np.arange(2.0)),
        np.outer(range(3), range(2)),
    )


def test_control_flow_on_values_that_are_not_batched():
    assert fnets.vmap(lambda x, flag: x if flag else -x, (0, None))(X, True) is not None
    with pytest.raises(TypeError, match="bool"):
        fnets.vmap(lambda x: x if x > 0 else -x)(X)


# ------------------------------------------------------------------ jit


def test_jit_traces_once_per_type():
    traces = []

    @fnets.jit
    def f(x, n):
        traces.append(1)
        return x * n

    for x in (X, X + 1, X.astype(np.float32), X[:2], X):
        f(x, 2.0)
    assert len(traces) == 3
    f(X, 3.0)  # a Python float is data
    assert len(traces) == 3
    f(X, 2)  # an int is another type
    assert len(traces) == 4
    info = f.cache_info()
    assert info.misses == 4 and info.hits == 3
    with fnets.default_dtype("float64"):
        f(X, 2)
    assert len(traces) == 5


def test_weak_scalars_keep_float32():
    x = X.astype(np.float32)
    f = lambda p, lr: p - lr * 0.5 * p  # noqa: E731
    assert f(x, 0.1).dtype == fnets.jit(f)(x, 0.1).dtype == np.float32
    assert fnets.grad(lambda p: fnp.sum(f(p, 0.1)))(x).dtype == np.float32
    assert fnets.vmap(f, (0, None))(x, 0.1).dtype == np.float32
    assert type(fnets.jit(lambda a: a * 2 + 1)(3.0)) is float
    assert type(fnets.jit(lambda a: a * 2 + 1)(3)) is int


def test_static_arguments_partial_methods_and_decorators():
    traces = []

    @functools.partial(fnets.jit, static_argnums=1, static_argnames=("mode",))
    def f(x, n, mode="a"):
        traces.append((n, mode))
        return x * n if mode == "a" else x + n

    np.testing.assert_array_equal(f(X, 2), X * 2)
    np.testing.assert_array_equal(f(X, 2, mode="b"), X + 2)
    f(X, 2)
    assert traces == [(2, "a"), (2, "b")]
    f(X, n=2)  # also by name
    assert len(traces) <= 3

    class Model:
        def __init__(self, w):
            self.w = w

        @functools.partial(fnets.jit, static_argnums=0)
        def __call__(self, x):
            return x * self.w

    np.testing.assert_array_equal(Model(3.0)(X), X * 3)

    @fnets.jit
    def plain(x):
        "A docstring."
        return x

    assert plain.__name__ == "plain" and plain.__doc__ == "A docstring."


def test_closures_over_running_transformations():
    g = fnets.grad(lambda w: fnp.sum(fnets.jit(lambda x: x * w)(X)))
    assert g(2.0) == pytest.approx(X.sum())
    np.testing.assert_allclose(fnets.vmap(lambda w: fnets.jit(lambda x: x * w)(X))(np.array([1.0, 2.0])), [X, 2 * X])
    # the same function object must not remember the first value that it closed over
    holder = {}
    inner = fnets.jit(lambda x: x * holder["w"])

    def outer(w):
        holder["w"] = w
        return inner(3.0)

    assert fnets.grad(outer)(2.0) == 3.0
    assert fnets.grad(outer)(5.0) == 3.0


def test_arguments_are_never_written_to_unless_donated():
    x = X.copy()
    fnets.jit(lambda x: fnp.sin(x * 2) + x)(x)
    np.testing.assert_array_equal(x, X)
    out = fnets.jit(lambda x: x * 2, donate_argnums=0)(x)
    np.testing.assert_array_equal(out, X * 2)


def test_nested_jit_and_results_of_any_structure():
    f = fnets.jit(lambda x: (x, {"a": [x + 1, None]}, 3, "text" and x.shape[0]))
    x, d, three, n = f(X)
    assert d["a"][1] is None and three == 3 and n == 3
    assert fnets.jit(lambda: ())() == ()
    np.testing.assert_array_equal(fnets.jit(fnets.jit(fnets.jit(lambda x: x)))(X), X)


# ------------------------------------------------------------------ looking


def test_make_jaxpr_and_eval_shape():
    jaxpr = fnets.make_jaxpr(lambda x, y: {"a": fnp.sin(x) @ y})(X, X)
    assert [e.primitive.name for e in jaxpr.eqns] == ["sin", "dot_general"]
    assert str(jaxpr).startswith("{ lambda ; a:f64[3] b:f64[3]. let\n    c:f64[3] = sin a\n")
    assert "test_transforms.py" in jaxpr.pretty_print(source_info=True)
    _, shape = fnets.make_jaxpr(lambda x: (x, x.sum()), return_shape=True)(X)
    assert shape == (fnets.ShapeDtypeStruct((3,), "f8"), fnets.ShapeDtypeStruct((), "f8"))
    ran = []
    out = fnets.eval_shape(
        lambda x: ran.append(type(x).__name__) or x @ x.T, fnets.ShapeDtypeStruct((1000, 1000), "f4")
    )
    assert out == fnets.ShapeDtypeStruct((1000, 1000), np.float32)
    assert ran == ["JaxprTracer"]
    nested = str(fnets.make_jaxpr(fnets.jit(lambda x: x * 2))(X))
    assert "jit[" in nested and "name=<lambda>" in nested


def test_scalars_of_numpy_and_0d_arrays_share_an_entry():
    f = fnets.jit(lambda x: x * 2)
    f(np.float64(1.0))
    f(np.array(1.0))
    assert f.cache_info().misses == 1


def test_no_tracing():
    f = fnets.jit(lambda x: x + 1)
    f(np.ones(3))
    with fnets.no_tracing():
        np.testing.assert_array_equal(f(np.zeros(3)), np.ones(3))
        with pytest.raises(RuntimeError, match="no_tracing"):
            f(np.ones(4))
        assert fnets.grad(lambda x: x * x)(3.0) == 6.0
    np.testing.assert_array_equal(f(np.ones(4)), np.full(4, 2.0))


def test_masked_arrays_are_refused():
    x = np.ma.array([1.0, 2.0], mask=[True, False])
    for t in (fnets.jit, fnets.vmap, fnets.grad, fnets.make_jaxpr):
        with pytest.raises(ValueError, match="masked"):
            t(lambda x: x.sum())(x)


def test_static_arguments_that_cannot_be_compared():
    class Odd:
        def __hash__(self):
            return 1

        def __eq__(self, other):
            raise NotImplementedError("no such thing")

    f = fnets.jit(lambda x, y: x + 3, static_argnums=1)
    with pytest.raises(ValueError, match="compared"):
        f(1, Odd())
        f(1, Odd())


def test_name_of_make_jaxpr():
    def foo(x):
        return x

    made = fnets.make_jaxpr(foo)
    assert made.__name__ == "make_jaxpr(foo)" and made.__qualname__ == f"make_jaxpr({foo.__qualname__})"


def test_vmap_passes_on_what_is_not_mapped():
    out = fnets.vmap(lambda f, x, tag: f(x) + len(tag), in_axes=(None, 0, None))(fnp.sin, np.zeros(3), "abc")
    np.testing.assert_array_equal(out, np.full(3, 3.0))
    with pytest.raises(TypeError, match="function"):
        fnets.vmap(lambda f, x: x)(fnp.sin, np.zeros(3))
    with pytest.raises(ValueError, match="True"):
        fnets.vmap(lambda x: x, in_axes=True)(np.zeros((2, 3)))


def test_static_positions_out_of_range():
    for f in (fnets.checkpoint(lambda x: x, static_argnums=3), fnets.make_jaxpr(lambda x: x, static_argnums=3)):
        with pytest.raises(ValueError, match="static_argnums"):
            f(1.0)


@pytest.mark.parametrize("shape,dtype", [(4, "float32"), ((1,), None)])
def test_incomplete_struct(shape, dtype):
    with pytest.raises(TypeError, match="ShapeDtypeStruct"):
        fnets.ShapeDtypeStruct(shape, dtype)


# ------------------------------------------------------------------ the core


def test_the_verifier_looks_into_calls_and_branches():
    core = fnets.core
    jaxpr = fnets.make_jaxpr(fnets.jit(lambda x, y: x + y))(1.0, 2.0)
    core.check_jaxpr(jaxpr)
    short = jaxpr.replace(eqns=[jaxpr.eqns[0].replace(invars=jaxpr.eqns[0].invars[:1])])
    with pytest.raises(core.JaxprTypeError, match="operands of types"):
        core.check_jaxpr(short)

    def f(x):
        return fnets.lax.while_loop(lambda c: c < 3, lambda c: fnets.lax.cond(c < 1, fnp.sin, fnp.exp, c) + 1, x)

    def edited(prim, **params):
        def walk(j):
            eqns = []
            for e in j.eqns:
                new = {k: walk(v) if isinstance(v, core.Jaxpr) else v for k, v in e.params.items()}
                eqns.append(
                    e.replace(params=new | {k: edit(new) for k, edit in params.items()} if e.prim.name == prim else new)
                )
            return j.replace(eqns=eqns)

        return walk(fnets.make_jaxpr(f)(1.0))

    core.check_jaxpr(edited("cond"))
    for jaxpr in (
        edited("cond", branches=lambda p: (4, 2)),
        edited("cond", branches=lambda p: (p["branches"][0], _with_another_argument(p["branches"][1]))),
        edited("while", body_nconsts=lambda p: 1),
        edited("while", cond_jaxpr=lambda p: p["body_jaxpr"]),
    ):
        with pytest.raises(core.JaxprTypeError, match=r"\[(cond|while)\]"):
            core.check_jaxpr(jaxpr)


def _with_another_argument(jaxpr):
    return jaxpr.replace(invars=(*jaxpr.invars, fnets.core.Var(jaxpr.in_avals[0])))


def test_types_as_text():
    assert str(fnets.core.ShapedArray((8, 2), np.int32)) == "int32[8,2]"
    assert str(fnets.core.ShapedArray((), np.float64, weak_type=True)) == "~float64[]"


def test_residuals_that_are_arguments_are_not_handed_through():
    dot = fnets.jit(fnp.dot)
    a, b = np.ones((3, 4)), np.ones((4, 3))

    def linear(y):
        value, push = fnets.linearize(lambda y: dot(a, y), y)
        return value, push(y)

    first, second = [e for e in fnets.make_jaxpr(linear)(b).eqns if e.prim.name == "jit"]
    assert [v.aval.shape for v in first.outvars] == [(3, 3)] and len(second.outvars) == 1
    calls = [e for e in fnets.make_jaxpr(fnets.grad(lambda y: fnp.sum(dot(a, y))))(b).eqns if e.prim.name == "jit"]
    assert all(len(e.outvars) <= 1 for e in calls)


@pytest.mark.parametrize(
    "run", [lambda f, x: fnets.linearize(f, x), lambda f, x: fnets.jit(f)(x), lambda f, x: fnets.grad(f)(x)]
)
def test_no_reference_cycles(run):
    f, x = lambda x: x.sum(), np.zeros(3)
    run(f, x)
    gc.collect()
    gc.disable()
    try:
        g = lambda x: x.sum()  # noqa: E731
        run(g, x)
        del g
        assert not [o for o in _found_by_collection() if isinstance(o, fnets.core.Tracer)]
    finally:
        gc.enable()


def _found_by_collection():
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return list(gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


# ------------------------------------------------------------------ what belongs to a value has its dtype


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.complex64, np.int32])
def test_tangents_and_cotangents_of_another_dtype_are_refused(dtype):
    x, other = np.ones(3, np.float32), np.ones(3, dtype)
    _, pull = fnets.vjp(fnp.sin, x)
    _, push = fnets.linearize(fnp.sin, x)
    for call in (
        lambda: fnets.jvp(fnp.sin, (x,), (other,)),
        lambda: pull(other),
        lambda: push(other),
        lambda: fnets.linear_transpose(lambda v: 2 * v, x)(other),
    ):
        with pytest.raises(ValueError, match=f"dtype float32.*got {np.dtype(dtype).name}") as caught:
            call()
        assert isinstance(caught.value, TypeError)


def test_a_python_number_is_a_tangent_of_any_dtype():
    x = np.float32(2)
    assert fnets.jvp(lambda v: v * v, (x,), (1,))[1].dtype == np.float32
    assert fnets.vjp(lambda v: v * v, x)[1](1.0)[0].dtype == np.float32
    assert fnets.linearize(lambda v: v * v, x)[1](1.0).dtype == np.float32
    # and a value that is a Python number takes a tangent of any float dtype
    assert fnets.jvp(lambda v: v * v, (2.0,), (np.float32(1),))[1] == 4.0
    with pytest.raises(TypeError):
        fnets.jvp(lambda v: v * v, (2.0,), (np.complex64(1),))
    with pytest.raises(TypeError):
        fnets.jvp(lambda v: v * v, (2.0,), (np.int32(1),))


def test_no_execution_lets_jitted_functions_be_traced_only():
    f = fnets.jit(lambda x: x + 1)
    assert f(1.0) == 2.0
    with fnets.no_execution():
        assert fnets.eval_shape(f, np.ones(3)).shape == (3,)
        fnets.make_jaxpr(f)(1.0)  # traced for this type, but not to be found as compiled
        for _ in range(2):
            with pytest.raises(RuntimeError, match="no_execution"):
                f(1.0)
    assert f(1.0) == 2.0


def test_make_jaxpr_with_named_axes():
    def f(x):
        return x - lax.psum(x, "i") * lax.axis_index("j")

    jaxpr = fnets.make_jaxpr(f, axis_env=[("i", 4), ("j", 2)])(np.ones(3))
    assert [a.str_short() for a in jaxpr.in_avals] == ["f64[3]", "i32[]", "i32[]"]
    assert "psum" in str(jaxpr)
    sizes = []
    fnets.make_jaxpr(lambda x: sizes.append(lax.axis_size("i")), axis_env=[("i", 4)])(1.0)
    assert sizes == [4]
    with pytest.raises(NameError, match="unbound axis name: k"):
        fnets.make_jaxpr(lambda x: lax.psum(x, "k"), axis_env=[("i", 4)])(1.0)


# ------------------------------------------------------------------ types with batching rules of their own


class Named:
    """An array whose axes have names; the entry of in_axes is a name."""

    def __init__(self, names, data):
        self.names, self.data = tuple(names), data


class AxisNamed:
    def __init__(self, name):
        self.name = name


def _named_slice(cont, index, x, spec):
    place = x.names.index(spec.name)
    return Named(x.names[:place] + x.names[place + 1 :], cont(x.data, place))


def _named_stack(cont, size, x, spec):
    return Named((spec.name, *x.names), cont(size, x.data, 0))


@pytest.fixture
def named():
    batching.register_vmappable(Named, AxisNamed, int, _named_slice, _named_stack)
    yield
    batching.unregister_vmappable(Named)


def test_vmap_over_a_registered_type(named):
    x = np.arange(12.0).reshape(3, 4)
    f = fnets.vmap(
        lambda v, s: Named(v.names, v.data * s),
        in_axes=(AxisNamed("b"), 0),
        out_axes=AxisNamed("b"),
    )
    out = f(Named(("a", "b"), x), np.arange(4.0))
    assert out.names == ("b", "a")
    np.testing.assert_array_equal(out.data, x.T * np.arange(4.0)[:, None])


def test_registered_types_in_trees_and_beside_others(named):
    def f(pair, y):
        return {"n": pair["n"], "sum": pair["n"].data.sum() + y, "y": y}

    out = fnets.vmap(
        f, in_axes=({"n": AxisNamed("a")}, None), out_axes={"n": AxisNamed("a"), "sum": 0, "y": None}, axis_size=2
    )({"n": Named("ab", np.ones((2, 5)))}, 1.0)
    np.testing.assert_array_equal(out["sum"], [6.0, 6.0])
    assert out["n"].data.shape == (2, 5) and out["y"] == 1.0


def test_registered_types_nest_and_differentiate(named):
    x = np.arange(6.0).reshape(2, 3)

    def loss(v):
        inner = fnets.vmap(
            lambda n: Named(n.names, n.data**2), in_axes=(AxisNamed("b"),), out_axes=AxisNamed("b"), axis_size=3
        )
        outer = fnets.vmap(inner, in_axes=(AxisNamed("a"),), out_axes=AxisNamed("a"), axis_size=2)
        return fnp.sum(outer(Named("ab", v)).data)

    np.testing.assert_allclose(fnets.grad(loss)(x), 2 * x)
    np.testing.assert_allclose(fnets.jit(fnets.grad(loss))(x), 2 * x)


def test_in_axes_of_a_class_that_is_not_registered_are_refused():
    with pytest.raises(TypeError, match="in_axes"):
        fnets.vmap(lambda x: x, in_axes=AxisNamed("a"))


def test_jit_of_a_tree_whose_static_data_cannot_be_hashed():
    class Labelled:
        def __init__(self, labels, data):
            self.labels, self.data = labels, data

    fnets.tree.register_node(Labelled, lambda x: ((x.data,), x.labels), lambda labels, xs: Labelled(labels, xs[0]))
    f = fnets.jit(lambda x: Labelled([*x.labels, "twice"], 2 * x.data))
    for labels in (["a"], ["a"], ["b"]):
        out = f(Labelled(labels, X))
        assert out.labels == [*labels, "twice"]
        np.testing.assert_array_equal(out.data, 2 * X)
    assert f.cache_info().misses == 2


def test_linear_functions_are_partials_of_their_program():
    _, push = fnets.linearize(lambda x, y: fnp.sin(x) * y, X, 2.0)
    _, pull = fnets.vjp(lambda x, y: fnp.sin(x) * y, X, 2.0)
    for f, arguments in ((push, (X, 1.0)), (pull, (X,))):
        for got, want in zip(
            fnets.tree.leaves(f.func(*f.args, *arguments)), fnets.tree.leaves(f(*arguments)), strict=True
        ):
            np.testing.assert_array_equal(got, want)
        jaxpr = f.func.args[0]
        assert len(jaxpr.invars) == len(f.args) + len(f.avals)
        assert " mul " in str(jaxpr) and " sin " not in str(jaxpr)


def test_arguments_that_a_pullback_keeps_are_taken_out_and_put_back():
    x, w = np.arange(12.0).reshape(3, 4), np.eye(4) + 1
    y, pull = fnets.vjp(lambda p, b: 2.0 * (p["x"] @ p["w"]) + b, {"x": x, "w": w}, np.ones(4))
    kept, bias = pull.args_res
    assert kept["x"] is x and kept["w"] is w and repr(bias) == "NotNeeded()"
    pull.args_res[0] = None
    with pytest.raises(ValueError, match="Put back"):
        pull(np.ones_like(y))
    pull.args_res[0] = {"x": x, "w": w}
    back, ct_bias = pull(np.ones_like(y))
    np.testing.assert_allclose(back["x"], 2 * np.ones((3, 4)) @ w.T)
    np.testing.assert_allclose(back["w"], 2 * x.T @ np.ones((3, 4)))
    np.testing.assert_allclose(ct_bias, np.full(4, 3.0))
    with pytest.raises(ValueError, match="shape"):
        pull(np.ones((2, 4)))


def test_a_pullback_without_arguments_passes_through_jit():
    @fnets.jit
    def forward(x, y):
        value, pull = fnets.vjp(lambda x, y: fnp.sin(x) * y, x, y)
        pull.args_res = [None, None]
        return value, pull

    value, pull = forward(X, X + 1)
    assert len(pull.opaque_residuals) == len(fnets.tree.leaves(pull)) == 2  # sin(x) and cos(x)
    pull.args_res = [X, X + 1]
    ct_x, ct_y = fnets.jit(lambda f: f(np.ones(3)))(pull)
    np.testing.assert_allclose(ct_x, np.cos(X) * (X + 1))
    np.testing.assert_allclose(ct_y, np.sin(X))


def test_a_pullback_is_in_no_reference_cycle():
    gc.collect()
    gc.disable()
    try:
        _, pull = fnets.vjp(fnp.sin, X)
        for f in (pull, fnets.tree.map(lambda v: v, pull)):
            assert f.opaque_residuals
            np.testing.assert_allclose(f(np.ones(3))[0], np.cos(X))
        watched = weakref.ref(f)
        del f, pull
        assert watched() is None
    finally:
        gc.enable()


def test_settings_are_attributes_under_jax_names():
    assert fnets.config.jax_enable_x64 is False and fnets.config.jax_debug_nans is False
    with fnets.enable_x64(), fnets.debug_nans():
        assert fnets.config.jax_enable_x64 is True and fnets.config.jax_debug_nans is True
    with pytest.raises(AttributeError, match="jax_nothing"):
        fnets.config.jax_nothing  # noqa: B018


@pytest.mark.parametrize("transform", [fnets.jit, fnets.grad, fnets.vmap, fnets.checkpoint, fnets.make_jaxpr])
def test_generators_are_refused(transform):
    def numbers(x):
        yield x

    async def later(x):
        return x

    for f in (numbers, later):
        with pytest.raises(TypeError, match=f"{f.__name__}, which is a generator or a coroutine"):
            transform(f)


def test_what_has_a_shape_and_a_dtype_can_be_lowered_for():
    class Described:
        shape, dtype = (3,), np.dtype("float32")

    f = fnets.jit(lambda x: 2 * x)
    assert f.lower(Described()).out_info == fnets.ShapeDtypeStruct((3,), "float32")
    assert f.eval_shape(Described()).shape == (3,)
    np.testing.assert_array_equal(f.lower(Described()).compile()(np.ones(3, np.float32)), np.full(3, 2.0))
    for wrong in (f, f.lower, fnets.make_jaxpr(f)):
        with pytest.raises(TypeError, match="dtype object"):
            wrong(np.array([1, None]))


@pytest.mark.parametrize("in_axes", [{"a": 0}, "a", {0}, 1.5])
def test_in_axes_of_another_kind_are_refused(in_axes):
    with pytest.raises(TypeError, match="in_axes"):
        fnets.vmap(lambda x: x, in_axes=in_axes)


def test_results_beside_registered_types_are_checked(named):
    with pytest.raises(TypeError, match="a result"):
        fnets.vmap(lambda v: (v, "text"), in_axes=(AxisNamed("a"),), out_axes=AxisNamed("a"), axis_size=2)(
            Named("a", np.ones(2))
        )
