"""Debugging: debug_nans and debug_infs, error_if, checkify, check_grads, check_leaks, tracebacks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import traceback

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax
from fnets.control.callbacks import pure_callback
from fnets.core.primitive import registry
from fnets.errors import ArgumentError, CheckError, NonFiniteError, ShapeError, UnexpectedTracerError
from fnets.testing import check_grads, check_jvp, check_leaks, check_vjp, numerical_jvp

# ------------------------------------------------------------------ NaN and infinity


def root(x):
    y = fnp.sqrt(x)
    return fnp.sum(y * 2)


ROOT_LINE = root.__code__.co_firstlineno + 1
NEGATIVE = np.array([-1.0, 4.0, -2.0], np.float32)
ZERO = np.array([0.0, 1.0, 4.0], np.float32)
WAYS = {
    "eager": root,
    "jit": fnets.jit(root),
    "vmap": lambda x: fnets.vmap(root)(x[None]),
    "jit of vmap": lambda x: fnets.jit(fnets.vmap(root))(x[None]),
    "grad": fnets.grad(root),
    "grad of jit": fnets.grad(fnets.jit(root)),
    "jit of grad": fnets.jit(fnets.grad(root)),
    "checkpoint": fnets.grad(fnets.checkpoint(root)),
    "jvp": lambda x: fnets.jvp(root, (x,), (x,)),
    "hessian": fnets.hessian(root),
}


@pytest.mark.parametrize("way", WAYS)
def test_nan_is_found_where_it_is_made(way: str):
    with fnets.debug_nans(), pytest.raises(NonFiniteError) as caught:
        WAYS[way](NEGATIVE)
    message = str(caught.value)
    assert message.startswith("[sqrt] expected a result without NaN (debug_nans is on), got 2 NaN among 3 elements")
    assert "float32" in message and "from -2 to 4" in message
    assert caught.value.where.line == ROOT_LINE
    assert isinstance(caught.value, FloatingPointError)


@pytest.mark.parametrize("way", [w for w in WAYS if w not in ("eager", "jit", "vmap", "jit of vmap", "jvp", "hessian")])
def test_infinity_on_the_way_back_names_the_forward_line(way: str):
    with fnets.debug_infs(), pytest.raises(NonFiniteError) as caught:
        WAYS[way](ZERO)
    where = caught.value.where
    assert (where.line, where.backward) == (ROOT_LINE, "sqrt")
    assert "(backward of sqrt): y = fnp.sqrt(x)" in str(caught.value)
    assert "operand 1: float32" in str(caught.value) and "from 0 to 2" in str(caught.value)


def test_each_flag_looks_for_its_own():
    with fnets.debug_nans(), np.errstate(all="ignore"):
        assert np.isinf(fnets.grad(root)(ZERO)).sum() == 1
    with fnets.debug_infs(), np.errstate(all="ignore"):
        assert np.isnan(root(NEGATIVE))


def test_nan_in_a_loop_and_in_a_branch():
    def f(x):
        def step(c, _):
            c = c - 1.0
            return c, fnp.log(c)

        return lax.scan(step, x, None, length=5)[1].sum()

    line = f.__code__.co_firstlineno + 3
    for g in (f, fnets.jit(f), fnets.grad(f), fnets.jit(fnets.value_and_grad(f))):
        with fnets.debug_nans(), pytest.raises(NonFiniteError, match=r"^\[log\]") as caught:
            g(np.float32(2.5))
        assert caught.value.where.line == line
    g = fnets.jit(lambda p, x: lax.cond(p, lambda x: fnp.log(x), lambda x: x, x))
    with fnets.debug_nans():
        assert g(False, np.float32(-1.0)) == -1
        with pytest.raises(NonFiniteError, match=r"^\[log\]"):
            g(True, np.float32(-1.0))


def test_nan_that_comes_in_is_told():
    with fnets.debug_nans(), pytest.raises(NonFiniteError, match=r"operand 0: float64\[3\] from 1 to 2, 1 NaN"):
        fnets.jit(lambda x: fnp.exp(x))(np.array([1.0, np.nan, 2.0]))


def test_results_are_the_same_when_nothing_is_wrong():
    x = np.linspace(0.1, 1, 12).reshape(3, 4)

    def f(x):
        return fnp.sum(lax.scan(lambda c, row: (fnp.tanh(c + row), c.sum()), x[0], x)[1] ** 2)

    plain = fnets.jit(fnets.value_and_grad(f))(x)
    with fnets.debug_nans(), fnets.debug_infs():
        checked = fnets.jit(fnets.value_and_grad(f))(x)
    np.testing.assert_allclose(checked[0], plain[0], rtol=1e-14)
    np.testing.assert_allclose(checked[1], plain[1], rtol=1e-14)


def test_interpreted_results_share_no_memory():
    x = np.arange(3.0)
    with fnets.debug_nans():
        a, b = fnets.jit(lambda x: (x, x))(x)
    assert not np.shares_memory(a, b) and not np.shares_memory(a, x)


def test_nothing_is_wrapped_while_off():
    impls = {n: p.impl for n, p in registry.items()}
    with fnets.debug_nans():
        assert registry["sin"].impl is not impls["sin"]
        with fnets.debug_infs():
            pass
        assert registry["sin"].impl is not impls["sin"]
    assert {n: p.impl for n, p in registry.items()} == impls
    fnets.config.update("debug_nans", True)
    try:
        with pytest.raises(NonFiniteError):
            fnp.log(np.float32(-1.0))
    finally:
        fnets.config.update("debug_nans", False)
    assert registry["sin"].impl is impls["sin"]


def test_a_block_concerns_its_own_thread():
    results = []

    def other():
        with np.errstate(all="ignore"):
            results.append(float(fnp.log(np.float32(-1.0))))

    with fnets.debug_nans():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert np.isnan(results[0])


def test_the_environment_variable():
    code = "import numpy as np, fnets, fnets.numpy as fnp\nfnp.log(np.float32(-1.0))"
    env = {**os.environ, "FNETS_DEBUG_NANS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert "NonFiniteError: [log]" in done.stderr


def test_primitives_defined_later_are_checked():
    with fnets.debug_nans():
        late = fnets.core.Primitive("late_for_test_debug")
        late.impl = lambda x: x * np.float64(np.nan)
        late.abstract = lambda a: a
        with pytest.raises(NonFiniteError, match=r"^\[late_for_test_debug\]"):
            fnets.jit(late.bind)(np.ones(2))


# ------------------------------------------------------------------ error_if, checkify


def positive_root(x):
    x = fnets.error_if(x, x < 0, "expected x >= 0")
    return fnp.sum(fnp.sqrt(x))


CHECK_LINE = positive_root.__code__.co_firstlineno + 1


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: f,
        fnets.jit,
        fnets.grad,
        lambda f: fnets.jit(fnets.grad(f)),
        lambda f: fnets.grad(fnets.jit(f)),
        lambda f: lambda x: fnets.vmap(f)(fnp.reshape(x, (1, 3))),
        lambda f: fnets.jit(lambda x: fnets.vmap(f)(fnp.reshape(x, (1, 3)))),
        lambda f: lambda x: fnets.jvp(f, (x,), (x,)),
        lambda f: fnets.grad(fnets.checkpoint(f)),
        lambda f: fnets.jit(lambda x: lax.scan(lambda c, row: (c, f(row)), 0.0, fnp.stack([fnp.abs(x), x]))[1]),
    ],
)
def test_error_if_everywhere(transform):
    f = transform(positive_root)
    f(np.ones(3))
    with pytest.raises(CheckError, match=r"^\[error_if\] expected x >= 0 \(true for 2 of 3\)") as caught:
        f(np.array([-1.0, 1.0, -2.0]))
    assert caught.value.where.line == CHECK_LINE


def test_error_if_does_not_change_values_or_derivatives():
    x = np.array([1.0, 4.0])
    np.testing.assert_array_equal(fnets.grad(positive_root)(x), fnets.grad(lambda x: fnp.sum(fnp.sqrt(x)))(x))
    np.testing.assert_array_equal(fnets.jit(positive_root)(x), positive_root(x))


def test_error_if_stays_although_nobody_reads_its_result():
    def f(x):
        fnets.error_if(x, x > 3, "too big: {}, limit {limit}", x, limit=3)
        return x * 2

    g = fnets.jit(f)
    assert g(1.0) == 2.0
    with pytest.raises(CheckError, match=r"too big: 4.0, limit 3$|too big: 4.0, limit 3\n"):
        g(4.0)


def test_error_if_in_a_branch_that_does_not_run():
    f = fnets.jit(lambda p, x: lax.cond(p, lambda x: fnets.error_if(x, True, "never"), lambda x: x, x))
    assert f(False, 1.0) == 1.0
    with pytest.raises(CheckError, match="never"):
        f(True, 1.0)


@pytest.mark.parametrize(
    "transform",
    [
        fnets.jit,
        lambda f: fnets.jit(fnets.grad(f)),
        lambda f: fnets.jit(fnets.grad(fnets.jit(f))),
        lambda f: fnets.jit(lambda x: fnets.vmap(f)(fnp.stack([x, x]))),
    ],
)
def test_effects_without_traced_operands_are_kept_when_a_program_is_traced_again(transform):
    seen = []

    def f(x):
        def step(c, _):
            fnets.debug.callback(lambda: seen.append("tick"))
            return c * 2, None

        return lax.scan(step, x, None, length=3)[0]

    g = transform(f)
    counts = []
    for x in (1.0, 2.0, 3.0):
        g(x)
        counts.append(len(seen))
    assert counts[0] == counts[1] - counts[0] == counts[2] - counts[1] == 3


def test_the_first_failing_check_raises():
    def f(x):
        x = fnets.error_if(x, x > 1, "first")
        return fnets.error_if(x, x > 0, "second")

    with pytest.raises(CheckError, match="first"):
        fnets.jit(f)(2.0)
    with pytest.raises(CheckError, match="second"):
        fnets.jit(f)(0.5)


def test_error_if_takes_trees_and_refuses_what_is_no_predicate():
    tree = {"a": np.ones(2), "b": (1.0, None)}
    assert fnets.error_if(tree, False, "no") is tree
    with pytest.raises(ArgumentError, match="boolean"):
        fnets.error_if(1.0, np.complex64(1), "no")


def test_checkify():
    checked = fnets.checkify(fnets.jit(positive_root))
    error, value = checked(np.array([4.0]))
    assert (error.get(), value) == (None, 2.0)
    error.throw()
    error, value = checked(np.array([-4.0]))
    assert value is None
    assert "expected x >= 0" in error.get()
    with pytest.raises(CheckError):
        error.throw()
    with pytest.raises(ZeroDivisionError):
        fnets.checkify(lambda x: 1 // 0)(1.0)
    error, _ = fnets.checkify(fnets.jit(root), errors=(CheckError, NonFiniteError))(NEGATIVE)
    assert "[sqrt]" in error.get()
    with pytest.raises(ArgumentError, match=r"checkify\(jit\(f\)\)"):
        fnets.jit(fnets.checkify(positive_root))(np.ones(2))


# ------------------------------------------------------------------ derivatives against finite differences


def test_check_grads_accepts_right_derivatives():
    x = np.linspace(0.2, 1, 6)
    check_grads(lambda x: fnp.tanh(x) * fnp.exp(x), (x,), 3)
    check_grads(lambda t, n: {"y": (t["a"] @ t["b"]) ** n}, ({"a": np.ones((2, 3)), "b": np.ones(3)}, 2), 2)
    check_grads(lambda x: fnp.sin(x), (x.astype(np.float32),), 2)
    check_grads(lambda z: z * z * 1j, (x + 1j * x[::-1],), 2)
    check_grads(fnp.sin, (0.5,), 2)
    check_jvp(fnp.cos, lambda p, t: fnets.jvp(fnp.cos, p, t), (x,))
    check_vjp(fnp.cos, lambda *p: fnets.vjp(fnp.cos, *p), (x,))


def wrong_derivative(forward: bool):
    @fnets.custom_jvp
    def f(x):
        return x * x

    f.defjvp(lambda primals, tangents: (f(*primals), 2.001 * primals[0] * tangents[0] if forward else 0 * tangents[0]))
    return f


@pytest.mark.parametrize("modes", ["fwd", "rev", ("fwd", "rev")])
def test_check_grads_refuses_wrong_derivatives(modes):
    for f in (wrong_derivative(True), wrong_derivative(False)):
        with pytest.raises(AssertionError, match="finite difference"):
            check_grads(f, (np.linspace(1, 2, 5),), 1, modes)


def test_check_grads_looks_at_second_order():
    @fnets.custom_jvp
    def f(x):
        return x**3

    # the first derivative is right, but its own derivative is cut
    f.defjvp(lambda p, t: (f(*p), 3 * lax.stop_gradient(p[0]) ** 2 * t[0]))
    x = np.linspace(1, 2, 5)
    check_grads(f, (x,), 1)
    for modes in ("fwd", "rev"):
        with pytest.raises(AssertionError, match="Order 2"):
            check_grads(f, (x,), 2, modes)


def test_check_grads_arguments():
    with pytest.raises(ArgumentError, match="'fwd' and 'rev'"):
        check_grads(fnp.sin, (1.0,), 1, modes=("forward",))
    with pytest.raises(AssertionError):
        check_grads(fnp.sin, (np.float64(1.0),), 1, atol=1e-18, rtol=0.0)
    got = numerical_jvp(lambda x, n: x**3 * n, (np.float64(2.0), 2), (np.float64(1.0), 0))
    np.testing.assert_allclose(got, 24, rtol=1e-8)


# ------------------------------------------------------------------ leaks

KEPT: list = []


class Holder:
    value = None


def test_leaks_are_found_and_their_holders_named():
    with (
        pytest.raises(
            UnexpectedTracerError, match=r"from grad of <lambda>; held by global variable KEPT of module .*, a list"
        ),
        check_leaks(),
    ):
        fnets.grad(lambda x: KEPT.append(x * 2) or x * x)(3.0)
    KEPT.clear()
    holder = Holder()

    def store(x):
        holder.value = fnp.sin(x)
        return x

    line = store.__code__.co_firstlineno + 1
    with (
        pytest.raises(
            UnexpectedTracerError,
            match=f"from jit of store, made at test_debug.py:{line} .*; held by attribute value of a Holder",
        ),
        check_leaks(),
    ):
        fnets.jit(store)(1.0)
    holder.value = None
    kept = None

    def inner(x):
        nonlocal kept
        kept = x
        return x

    with pytest.raises(UnexpectedTracerError, match="variable kept, closed over by inner"), check_leaks():
        fnets.vmap(inner)(np.ones(2))
    kept = None


def test_no_leaks_without_leaks():
    x = np.ones((2, 3))
    with check_leaks():
        fnets.jit(fnets.grad(lambda x: fnp.sum(fnp.sin(x))))(x)
        fnets.hessian(lambda x: fnp.sum(x**3))(x[0])
        fnets.vmap(fnets.jit(lambda x: x * 2))(x)
        pull = fnets.vjp(lambda x: x * 2, x)[1]
        pull(x)
        lax.scan(lambda c, row: (c + row, c), x[0], x)


def test_errors_in_the_block_pass_through():
    with pytest.raises(ZeroDivisionError), check_leaks():
        fnets.grad(lambda x: KEPT.append(x) or 1 / 0)(1.0)
    KEPT.clear()


# ------------------------------------------------------------------ tracebacks


def misshapen(x):
    y = fnp.sin(x)
    return fnp.sum(fnp.reshape(y, (5, 5)))


def failing(x):
    raise KeyError("mine")


def chained(x):
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise ValueError("outer") from error


def unchained(x):
    try:
        raise KeyError("inner")
    except KeyError:
        raise ValueError("outer") from None


def with_rules(f):
    f.defvjp(lambda x: (f(x), None), lambda residual, ct: (ct,))
    return f


TRANSFORMS = {
    "grad": fnets.grad,
    "value_and_grad": fnets.value_and_grad,
    "jit": fnets.jit,
    "vmap": lambda f: lambda x: fnets.vmap(f)(x),
    "jit of grad": lambda f: fnets.jit(fnets.grad(f)),
    "grad of jit of vmap": lambda f: fnets.grad(fnets.jit(fnets.vmap(f))),
    "jacrev": fnets.jacrev,
    "jacfwd": fnets.jacfwd,
    "hessian": fnets.hessian,
    "jvp": lambda f: lambda x: fnets.jvp(f, (x,), (x,)),
    "vjp": lambda f: lambda x: fnets.vjp(f, x),
    "hvp": lambda f: lambda x: fnets.hvp(f, (x,), (x,)),
    "linearize": lambda f: lambda x: fnets.linearize(f, x),
    "make_jaxpr": lambda f: lambda x: fnets.make_jaxpr(f)(x),
    "eval_shape": lambda f: lambda x: fnets.eval_shape(f, x),
    "lower": lambda f: lambda x: fnets.jit(f).lower(x),
    "checkpoint": fnets.checkpoint,
    "custom_vjp": lambda f: with_rules(fnets.custom_vjp(f)),
    "scan": lambda f: lambda x: lax.scan(lambda c, x: (c, f(x)), 0.0, x[None]),
    "map": lambda f: lambda x: lax.map(f, x[None]),
    "cond": lambda f: lambda x: fnets.jit(lambda p, x: lax.cond(p, f, fnp.sum, x))(True, x),
    "while_loop": lambda f: lambda x: lax.while_loop(lambda c: True, lambda c: f(c), x),
    "profile": lambda f: lambda x: fnets.profile(f, x),
}


def frames(error: BaseException) -> list[str]:
    return [f.filename for f in traceback.extract_tb(error.__traceback__)]


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("f", [misshapen, failing, chained, unchained])
def test_only_the_users_frames_are_shown(name: str, f):
    with pytest.raises(Exception) as caught:
        TRANSFORMS[name](f)(np.ones((3, 3)))
    assert set(frames(caught.value)) == {__file__}
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == f.__name__
    if f is chained:
        assert isinstance(caught.value.__cause__, KeyError)
    if f is unchained:
        assert caught.value.__cause__ is None and caught.value.__suppress_context__
    if f is misshapen:
        assert isinstance(caught.value, ShapeError)


def test_the_frames_that_the_edge_itself_refuses_from():
    for call in (
        lambda: fnets.grad(lambda x: x)(np.ones(3)),
        lambda: fnets.grad(lambda x: x)(3),
        lambda: fnets.jit(lambda x: x)("text"),
        lambda: fnets.vmap(lambda x, y: x)(np.ones(2), np.ones(3)),
        lambda: fnets.vjp(lambda x: x, np.ones(3))[1](np.ones(4)),
        lambda: fnets.jit(lambda x: x).lower(1.0).compile()(np.ones(3)),
    ):
        with pytest.raises(Exception) as caught:
            call()
        assert set(frames(caught.value)) == {__file__}


def test_full_tracebacks_on_request():
    with fnets.config.using(traceback="full"), pytest.raises(ShapeError) as caught:
        fnets.grad(misshapen)(np.ones((3, 3)))
    assert any(name.endswith(os.path.join("transforms", "vjp.py")) for name in frames(caught.value))


@pytest.mark.parametrize(("value", "shown"), [("full", True), ("filtered", False)])
def test_the_environment_variable_of_tracebacks(value: str, shown: bool):
    code = "import numpy as np, fnets\nfnets.grad(lambda x: x.reshape(7))(np.ones(3))"
    env = {**os.environ, "FNETS_TRACEBACK": value}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert "ShapeError" in done.stderr
    assert (os.path.join("fnets", "transforms") in done.stderr) is shown


def test_foreign_errors_from_compiled_code_get_the_users_line():
    def f(x):
        y = x * 2
        return pure_callback(lambda v: v.no_such_attribute, fnets.ShapeDtypeStruct((), "float64"), y)

    line = f.__code__.co_firstlineno + 2
    with pytest.raises(AttributeError) as caught:
        fnets.jit(f)(1.0)
    assert any(f"test_debug.py:{line} in f" in note for note in caught.value.__notes__)
    assert len(caught.value.__notes__) == 1


def test_tracebacks_of_code_without_transformations_are_left_alone():
    with pytest.raises(ShapeError) as caught:
        fnp.reshape(np.ones(3), (7,))
    assert any("fnets" in name for name in frames(caught.value))
