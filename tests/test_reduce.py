"""Reductions, running operations and softmax against NumPy; ties, zeros, infinities; error messages."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fnets
import fnets.numpy as fnp
from fnets.errors import ArgumentError, AxisError, DTypeError, ShapeError
from fnets.primitives import cumulative as c
from fnets.primitives import elementwise as e
from fnets.primitives import reduce as r
from fnets.primitives import softmax as sm
from fnets.transforms.jit import jit
from fnets.transforms.jvp import jvp
from fnets.transforms.staging import make_jaxpr
from fnets.transforms.vjp import grad, vjp
from fnets.transforms.vmap import vmap

rng = np.random.default_rng(0)
INTS = ["bool", "int8", "uint8", "int32", "int64"]
FLOATS = ["float16", "float32", "float64", "complex64", "complex128"]


def array(shape, dtype="float64") -> np.ndarray:
    if dtype == "bool":
        return rng.random(shape) > 0.3
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0, 4, shape).astype(dtype)
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape)).astype(dtype) if np.dtype(dtype).kind == "c" else x.astype(dtype)


def same(got, expected, tol: float = 0.0) -> None:
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got, expected, rtol=tol, atol=tol, strict=True)


@st.composite
def shapes_and_axes(draw, least=1):
    shape = tuple(draw(st.lists(st.integers(least, 4), min_size=1, max_size=4)))
    axes = draw(st.lists(st.integers(0, len(shape) - 1), unique=True, min_size=1))
    negative = draw(st.booleans())
    return shape, tuple([a - len(shape) if negative else a for a in axes])


# ------------------------------------------------------------------ reductions


@given(shapes_and_axes(), st.sampled_from(INTS + FLOATS))
def test_reductions_equal_numpy(case, dtype):
    shape, axes = case
    x = array(shape, dtype)
    pairs = [(r.reduce_sum, np.sum), (r.reduce_prod, np.prod), (r.reduce_max, np.max), (r.reduce_min, np.min)]
    pairs += [(r.reduce_any, np.any), (r.reduce_all, np.all)]
    if x.dtype.kind in "biu":
        pairs += [
            (r.reduce_and, np.bitwise_and.reduce),
            (r.reduce_or, np.bitwise_or.reduce),
            (r.reduce_xor, np.bitwise_xor.reduce),
        ]
    rounding = 8 * float(np.finfo(x.dtype).eps) if x.dtype.kind in "fc" else 0.0  # native sums add in another order
    for f, numpy in pairs:
        same(f(x, axes), numpy(x, axis=axes))
        same(jit(f, static_argnums=1, backend="numpy")(x, axes), numpy(x, axis=axes))
        same(jit(f, static_argnums=1)(x, axes), numpy(x, axis=axes), rounding)
    same(r.reduce_sum(x), np.sum(x))
    same(r.reduce_sum(x, ()), x)
    for f, numpy in ((r.argmax, np.argmax), (r.argmin, np.argmin)):
        same(f(x, axes[0]), numpy(x, axis=axes[0]))
        same(f(x), numpy(x))
        assert f(x, axes[0], "int32").dtype == np.int32


@given(shapes_and_axes(), st.sampled_from(INTS + FLOATS))
def test_mean_and_variance_equal_numpy(case, dtype):
    shape, axes = case
    x = array(shape, dtype)
    tol = {"float16": 2e-3, "float32": 1e-6, "complex64": 1e-6}.get(dtype, 1e-14)
    same(r.mean(x, axes), np.mean(x, axis=axes), tol)
    same(r.var(x, axes), np.var(x, axis=axes), tol)
    if np.prod([shape[a] for a in axes]) > 1:
        same(r.var(x, axes, ddof=1), np.var(x, axis=axes, ddof=1), tol)


def test_variance_is_stable():
    """Two passes: a large mean does not swamp a small spread."""
    x = (1e6 + np.array([0.0, 1.0, 2.0])).astype(np.float32)
    assert r.var(x) == np.float32(2 / 3)


def test_extremes_share_derivatives_equally_at_ties():
    x = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    _, pull = vjp(lambda x: r.reduce_max(x, (1,)), x)
    same(pull(np.array([1.0, 3.0]))[0], np.array([[0.0, 0.5, 0.5], [1.0, 1.0, 1.0]]))
    t = array((2, 3))
    same(jvp(lambda x: r.reduce_max(x, (1,)), (x,), (t,))[1], np.array([(t[0, 1] + t[0, 2]) / 2, t[1].mean()]), 1e-15)
    same(grad(r.reduce_min)(np.array([2.0, 1.0, 1.0, 5.0])), np.array([0.0, 0.5, 0.5, 0.0]))


def test_nan_and_infinity_in_extremes():
    x = np.array([[1.0, np.nan], [np.inf, -np.inf]])
    same(r.reduce_max(x, (1,)), np.array([np.nan, np.inf]))
    same(r.reduce_min(x, (1,)), np.array([np.nan, -np.inf]))
    same(r.argmax(x, 1), np.array([1, 0]))
    same(grad(lambda x: r.reduce_max(x))(x[1]), np.array([1.0, 0.0]))


@pytest.mark.parametrize("zeros", [(), (1,), (0, 3), (0, 1, 2)], ids=str)
def test_products_differentiate_right_at_zeros(zeros):
    x = array(4)
    x[list(zeros)] = 0.0
    others = [np.prod(np.delete(x, i)) for i in range(4)]
    same(grad(r.reduce_prod)(x), np.array(others), 1e-14)
    hessian = np.array([[0.0 if i == j else np.prod(np.delete(x, [i, j])) for j in range(4)] for i in range(4)])
    for k in range(4):
        direction = np.eye(4)[k]
        same(jvp(grad(r.reduce_prod), (x,), (direction,))[1], hessian[k], 1e-14)
        same(vjp(grad(r.reduce_prod), x)[1](direction)[0], hessian[k], 1e-14)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape, axis", [((5,), 0), ((3, 4), 1), ((3, 4), -2), ((40, 3), 0), ((2, 30, 20), 1)], ids=str)
def test_running_operations_equal_numpy(shape, axis, reverse):
    def flipped(f, x, *args):
        return np.flip(f(np.flip(x, axis), *args), axis) if reverse else f(x, *args)

    for dtype in INTS + FLOATS:
        x = array(shape, dtype)
        same(c.cumsum(x, axis, reverse), flipped(lambda x: np.cumsum(x, axis), x))
        same(c.cumprod(x, axis, reverse), flipped(lambda x: np.cumprod(x, axis), x))
        same(c.cummax(x, axis, reverse), flipped(lambda x: np.maximum.accumulate(x, axis), x))
        same(c.cummin(x, axis, reverse), flipped(lambda x: np.minimum.accumulate(x, axis), x))
    x, a = array(shape), array(shape)
    same(c.cumlogsumexp(x, axis, reverse), flipped(lambda x: np.log(np.cumsum(np.exp(x), axis)), x), 1e-13)
    expected = np.zeros(shape)
    ys, fs, ts = (np.moveaxis(np.flip(v, axis) if reverse else v, axis, 0) for v in (expected, a, x))
    for k in range(shape[axis]):
        ys[k] = ts[k] + (fs[k] * ys[k - 1] if k else 0)
    same(c.linear_recurrence(a, x, axis, reverse), expected, 1e-12)


@pytest.mark.parametrize("zeros", [(), (2,), (1, 3), (0, 1, 4)], ids=str)
@pytest.mark.parametrize("reverse", [False, True])
def test_running_products_differentiate_right_at_zeros(zeros, reverse):
    x = array(5)
    x[list(zeros)] = 0.0
    ct = array(5)
    expected = np.zeros(5)
    for k, i in itertools.product(range(5), range(5)):
        members = np.arange(k, 5) if reverse else np.arange(k + 1)
        if i in members:
            expected[i] += ct[k] * np.prod(x[members[members != i]])
    same(vjp(lambda x: c.cumprod(x, reverse=reverse), x)[1](ct)[0], expected, 1e-13)


def test_the_first_of_tied_running_maxima_carries_the_derivative():
    x = np.array([1.0, 3.0, 3.0, 2.0, 3.0, 4.0])
    same(grad(lambda x: r.reduce_sum(c.cummax(x)))(x), np.array([1.0, 4.0, 0.0, 0.0, 0.0, 1.0]))
    same(grad(lambda x: r.reduce_sum(c.cummin(x, reverse=True)))(x), np.array([1.0, 0.0, 0.0, 3.0, 1.0, 1.0]))


def test_running_logsumexp_with_infinities():
    x = np.array([-np.inf, -np.inf, 0.0, 1000.0, -1000.0])
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        same(c.cumlogsumexp(x), np.array([-np.inf, -np.inf, 0.0, 1000.0, 1000.0]))
        same(vjp(c.cumlogsumexp, x)[1](np.array([0.0, 0.0, 0.0, 0.0, 1.0]))[0], np.array([0.0, 0.0, 0.0, 1.0, 0.0]))


# ------------------------------------------------------------------ softmax, log_softmax, logsumexp


@pytest.mark.parametrize(
    "shape, axes",
    [
        ((64, 10), (1,)),
        ((64, 10), (0,)),
        ((5, 3), (1,)),
        ((40, 16), (1,)),
        ((2, 40, 7), (2,)),
        ((2, 3, 4), (0, 2)),
        ((7,), (0,)),
        ((3, 40), (1,)),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "dtype, tol", [("float16", 4e-3), ("float32", 1e-6), ("float64", 1e-14), ("complex128", 1e-13)]
)
def test_softmax_family_equals_its_definition(shape, axes, dtype, tol):
    x = array(shape, dtype)
    wide = x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)
    total = np.exp(wide).sum(axes, keepdims=True)
    for layout in (x, np.asarray(x, order="F"), np.repeat(x, 2, -1)[..., ::2]):
        before = layout.copy()
        for f in (lambda f: f, jit):
            same(f(lambda x: sm.softmax(x, axes))(layout), (np.exp(wide) / total).astype(dtype), tol)
            same(f(lambda x: sm.logsumexp(x, axes))(layout), np.log(total).squeeze(axes).astype(dtype), tol)
            if x.dtype.kind == "f":
                same(f(lambda x: sm.log_softmax(x, axes))(layout), (wide - np.log(total)).astype(dtype), tol)
        np.testing.assert_array_equal(layout, before)
    _, pull = vjp(lambda x: sm.logsumexp(x, axes), x)
    same(pull(np.ones_like(total.squeeze(axes), dtype=dtype))[0], (np.exp(wide) / total).astype(dtype), tol)


@pytest.mark.parametrize("rows", [1, 50])  # few and many short rows take different ways
def test_softmax_family_at_the_edges(rows):
    x = np.tile([[1e4, 1e4 - 1, -np.inf], [-1e38, -1e38, -1e38]], (rows, 1)).astype(np.float32)
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        y = sm.softmax(x, 1)
        np.testing.assert_allclose(y[:2], [[0.7310586, 0.26894143, 0.0], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-6)
        np.testing.assert_allclose(sm.log_softmax(x, 1)[:2], np.log([[0.7310586, 0.26894143, 1e-99], [1 / 3] * 3]) + [[0, 0, -np.inf], [0] * 3], rtol=1e-5)  # fmt: skip
    extreme = np.tile([[-np.inf, -np.inf], [np.inf, 1.0], [np.nan, 1.0], [0.0, 0.0]], (rows, 1))
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        np.testing.assert_array_equal(sm.logsumexp(extreme, 1)[:4], [-np.inf, np.inf, np.nan, np.log(2.0)])
    dead = np.tile([[-np.inf, -np.inf], [0.0, -np.inf]], (rows, 1))
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        g = vjp(lambda x: sm.logsumexp(x, (1,)), dead)[1](np.ones(2 * rows))[0]
    np.testing.assert_array_equal(g[:2], [[0.0, 0.0], [1.0, 0.0]])


def test_softmax_writes_into_a_dying_operand_only():
    def f(x):
        y = e.mul(x, 2.0)
        return sm.softmax(y), y

    x = array((3, 40))
    y, doubled = jit(f)(x)
    same(doubled, x * 2)
    same(y, sm.softmax(x * 2), 1e-15)
    same(jit(lambda x: sm.softmax(e.mul(x, 2.0)))(x), y)


def test_softmax_of_empty_axes():
    x = np.zeros((3, 0))
    assert sm.softmax(x).shape == sm.log_softmax(x).shape == (3, 0)
    same(sm.logsumexp(x, 1), np.full(3, -np.inf))
    same(sm.logsumexp(np.zeros((0, 3)), 1), np.zeros(0))
    same(sm.logsumexp(np.zeros((0, 3)), 0), np.full(3, -np.inf))


# ------------------------------------------------------------------ reduce by any computation


@pytest.mark.parametrize(
    "computation, init, numpy",
    [
        (e.add, 0.0, np.sum),
        (lambda x, y: e.add(y, x), 0.0, np.sum),
        (e.mul, 1.0, np.prod),
        (e.maximum, -np.inf, np.max),
        (e.minimum, np.inf, np.min),
        (e.logaddexp, -np.inf, lambda x, axis: np.log(np.sum(np.exp(x), axis=axis))),
        (lambda x, y: e.add(e.mul(x, 1.0), y), 0.0, np.sum),
    ],
)
def test_reduce_by_a_computation(computation, init, numpy):
    for shape, axes in (((4, 5), (1,)), ((4, 5, 3), (0, 2)), ((7,), (0,)), ((1,), (0,)), ((2, 3), ())):
        x = array(shape)
        expected = numpy(x, axis=axes) if axes else x
        same(r.reduce(x, init, computation, axes), expected, 1e-12)
        same(jit(lambda x, axes=axes: r.reduce(x, init, computation, axes))(x), expected, 1e-12)
    same(r.reduce(np.zeros((2, 0)), init, computation, (1,)), np.full(2, init))


def test_reduce_keeps_dtypes_and_starts_from_the_initial_value():
    x = np.array([100, 100], np.int8)
    same(r.reduce(x, 1, e.add, (0,)), np.array(-55, np.int8))
    same(r.reduce(x, 120, e.maximum, (0,)), np.array(120, np.int8))
    same(r.reduce(np.array([6, 3]), -1, e.bitwise_and, (0,)), np.array(2))
    same(r.reduce(np.array([6, 3]), 0, e.bitwise_xor, (0,)), np.array(5))
    same(r.reduce(np.array([True, False]), False, e.bitwise_or, (0,)), np.array(True))


def test_reduce_several_operands_together():
    """Argmax as a reduction of (value, position) pairs, in order also where an axis is odd."""

    def larger(a, b):
        (x, i), (y, j) = a, b
        first = e.ge(x, y)
        return e.select(first, x, y), e.select(first, i, j)

    x = array((5, 7, 3))
    positions = np.broadcast_to(np.arange(7)[:, None], x.shape)
    value, index = r.reduce((x, positions), (-np.inf, -1), larger, (1,))
    same(value, x.max(1))
    same(index, x.argmax(1))


def test_reduce_runs_known_computations_as_numpy_reductions():
    def names(computation):
        return [
            eqn.prim.name for eqn in make_jaxpr(lambda x: r.reduce(x, 0.0, computation, (0,)))(np.ones((4, 3))).eqns
        ]

    assert "reduce_max" in names(e.maximum)
    assert "reduce_sum" in names(lambda x, y: e.add(x, y))
    assert "reduce_sum" not in names(lambda x, y: e.add(x, x))
    assert "reduce_sum" not in names(lambda x, y: e.add(e.add(x, y), 0.0))


def test_vmapped_reductions():
    x = array((3, 4, 5))
    same(vmap(lambda x: r.argmax(x, 1), 1)(x), np.argmax(np.moveaxis(x, 1, 0), 2))
    same(vmap(lambda x: c.cumsum(x, 1), 2)(x), np.cumsum(np.moveaxis(x, 2, 0), 2))
    same(vmap(lambda x: sm.softmax(x, 0), 1, 1)(x), sm.softmax(x, 0), 1e-15)


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    "f, error, expected",
    [
        (
            lambda: r.reduce_max(np.zeros((2, 0)), 1),
            ShapeError,
            r"^\[reduce_max\] expected at least one element along axes \(1,\), got shape \(2, 0\)",
        ),
        (lambda: r.reduce_min(np.zeros(0)), ShapeError, r"^\[reduce_min\] expected at least one element"),
        (lambda: jit(r.reduce_max)(np.zeros(0)), ShapeError, r"^\[reduce_max\] expected at least one element"),
        (
            lambda: r.argmax(np.zeros((0, 3)), 0),
            ShapeError,
            r"^\[argmax\] expected at least one element along axis 0, got shape \(0, 3\)",
        ),
        (
            lambda: r.argmin(np.zeros(3), 0, "float32"),
            DTypeError,
            r"^\[argmin\] expected an integer index_dtype, got float32",
        ),
        (lambda: r.reduce_or(np.zeros(3)), DTypeError, r"^\[reduce_or\] expected booleans or integers, got float64"),
        (
            lambda: r.reduce_sum(np.zeros((2, 3)), 2),
            AxisError,
            r"^\[reduce_sum\] expected an axis between -2 and 1, got 2",
        ),
        (
            lambda: r.reduce_prod(np.zeros((2, 3)), (0, -2)),
            AxisError,
            r"^\[reduce_prod\] expected different axes, got \(0, -2\)",
        ),
        (lambda: c.cumsum(np.zeros(3), 1), AxisError, r"^\[cumsum\] expected an axis between"),
        (lambda: c.cummax(np.float64(3.0)), AxisError, r"^\[cummax\] expected an axis none"),
        (lambda: sm.softmax(np.zeros((2, 3)), 2), AxisError, r"^\[softmax\] expected an axis between"),
        (lambda: sm.logsumexp(np.zeros(3), 1), AxisError, r"^\[logsumexp\] expected an axis between"),
        (
            lambda: c.linear_recurrence(np.zeros(3), np.zeros(4)),
            ShapeError,
            r"^\[linear_recurrence\] expected factors and terms of one shape, got \(3,\) and \(4,\)",
        ),
        (
            lambda: r.reduce((np.zeros(3), np.zeros(3)), 0.0, e.add, (0,)),
            ArgumentError,
            r"^\[reduce\] expected one initial value for each operand, in the same structure",
        ),
        (
            lambda: r.reduce((np.zeros(3), np.zeros(4)), (0.0, 0.0), e.add, (0,)),
            ShapeError,
            r"^\[reduce\] expected operands of one shape",
        ),
    ],
)
def test_errors(f, error, expected):
    with pytest.raises(error, match=expected):
        f()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sums_of_half_precision_can_be_forbidden(dtype):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    x = fnp.ones((2, 3), dtype)
    total = lambda v: fnets.lax.reduce_sum(v, (1,))  # noqa: E731
    f = fnets.jit(total)
    assert f(x).shape == (2,)
    with fnets.allow_f16_reductions(False):
        for run in (total, f, fnets.make_jaxpr(total)):
            with pytest.raises(ValueError, match="allow_f16_reductions"):
                run(x)
        assert total(x[:, :1]).shape == f(x[:, :1]).shape == (2,)  # nothing is added up
        np.testing.assert_array_equal(total(x.astype(np.float32)), [3, 3])
    assert total(x).dtype == f(x).dtype == np.dtype(dtype)
