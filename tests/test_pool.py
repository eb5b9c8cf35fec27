"""Windowed reductions against PyTorch's and JAX's golden values and a naive loop: values, places, derivatives, vmap, padding, errors."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from golden.golden_io import load
from hypothesis import given, settings
from hypothesis import strategies as st

import fnets.numpy as fnp
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.primitives import elementwise as e
from fnets.primitives import pool as p
from fnets.primitives import pool_kernels
from fnets.transforms.derivatives import hvp
from fnets.transforms.jit import jit
from fnets.transforms.jvp import jvp
from fnets.transforms.staging import make_jaxpr
from fnets.transforms.vjp import grad, vjp
from fnets.transforms.vmap import vmap

TORCH, TORCH_ARRAYS = load("conv_pool")
JAX, JAX_ARRAYS = load("conv_jax")
USER, USER_ARRAYS = load("conv_user")
COMPUTATIONS = {"add": e.add, "mul": e.mul, "max": e.maximum, "min": e.minimum}
rng = np.random.default_rng(0)


def named(cases: list[dict], *kinds: str):
    chosen = [case for case in cases if case["kind"] in kinds]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: f"{case['name']}-{case.get('note', '')}")


def parts(case: dict, arrays: dict, names: str) -> list[np.ndarray]:
    return [arrays[f"{case['name']}_{name}"] for name in names.split()]


def close(a: Any, b: Any, tol: float = 1e-12) -> None:
    assert np.shape(a) == np.shape(b)
    np.testing.assert_allclose(a, b, rtol=tol, atol=tol)


def channels_last(x: np.ndarray) -> np.ndarray:
    """The same array with axis 1 last in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


# ------------------------------------------------------------------ golden values


def torch_pool(case: dict, x: Any) -> Any:
    if case["kind"] == "avg_pool":
        return p.avg_pool(x, case["window"], case["stride"], case["padding"], case["count_include_pad"])
    return getattr(p, case["kind"])(x, case["window"], case["stride"], case["padding"], case["dilation"])


@pytest.mark.parametrize("last", [False, True])
@named(TORCH, "max_pool", "min_pool", "avg_pool")
def test_pools_are_torchs(case, last):
    x, y, ct, dx = parts(case, TORCH_ARRAYS, "x y ct dx")
    if last:
        x, ct = channels_last(x), channels_last(ct)
    out, pull = vjp(lambda x: torch_pool(case, x), x)
    close(out, y)
    close(pull(ct)[0], dx)
    direction = rng.standard_normal(x.shape)
    close((jvp(lambda x: torch_pool(case, x), (x,), (direction,))[1] * ct).sum(), (direction * dx).sum(), 1e-10)


@named(JAX, "reduce_window")
def test_reduce_window_is_jaxs(case):
    x, y, ct, dx = parts(case, JAX_ARRAYS, "x y ct dx")
    start = {"add": 0.0, "max": -np.inf, "min": np.inf}[case["reducer"]]
    out, pull = vjp(lambda x: p.reduce_window(x, start, COMPUTATIONS[case["reducer"]], **case["kwargs"]), x)
    close(out, y)
    close(pull(ct)[0], dx)


@named(USER, "reduce_window")
def test_any_start_and_computation_are_jaxs(case):
    x, y = parts(case, USER_ARRAYS, "x y")
    for known in (COMPUTATIONS[case["computation"]], lambda a, b: COMPUTATIONS[case["computation"]](a, b)):
        close(p.reduce_window(x, case["init"], known, **case["kwargs"]), y)
        close(jit(lambda x, v, f=known: p.reduce_window(x, v, f, **case["kwargs"]))(x, case["init"]), y)


# ------------------------------------------------------------------ a naive loop


def params(
    rank: int, window: tuple, strides: tuple | None = None, padding: tuple | None = None, dilation: tuple | None = None
) -> dict:
    return {
        "window_dimensions": window,
        "window_strides": strides or (1,) * rank,
        "padding": padding or ((0, 0),) * rank,
        "window_dilation": dilation or (1,) * rank,
    }


def elements(shape: tuple, given_params: dict) -> dict[tuple, list[tuple]]:
    """For every output, the input positions that its window sees, by the definition, in row-major order of the taps."""
    per_axis = zip(*given_params.values())
    out = []
    for n, (w, s, (lo, hi), d) in zip(shape, per_axis):
        count = max(0, (n + lo + hi - ((w - 1) * d + 1)) // s + 1)
        out.append([[q * s - lo + r * d for r in range(w)] for q in range(count)])
    seen = {}
    for q in itertools.product(*[range(len(axis)) for axis in out]):
        taps = itertools.product(*[axis[i] for axis, i in zip(out, q)])
        seen[q] = [t for t in taps if all(0 <= i < n for i, n in zip(t, shape))]
    return seen


@st.composite
def problems(draw: Any) -> tuple:
    rank = draw(st.integers(1, 3))

    def ints(low: int, high: int) -> tuple:
        return tuple(draw(st.lists(st.integers(low, high), min_size=rank, max_size=rank)))

    pads = tuple(zip(ints(-1, 3), ints(-1, 3)))
    return ints(1, 7), params(rank, ints(1, 3), ints(1, 3), pads, ints(1, 2)), draw(st.booleans())


@settings(max_examples=200)
@given(problems())
def test_any_windows_are_the_naive_loop(problem):
    """Values and gradients; the numbers are few, so ties abound: the first element takes the gradient."""
    shape, given_params, integers = problem
    x = rng.integers(-3, 4, shape).astype(np.int64 if integers else np.float64)
    seen = elements(shape, given_params)
    out_shape = tuple(max((q[k] for q in seen), default=-1) + 1 for k in range(len(shape)))
    prims = {"max": p.reduce_window_max_p, "min": p.reduce_window_min_p, "add": p.reduce_window_sum_p}
    ct = rng.standard_normal(out_shape) if seen else None
    for name, prim in prims.items():
        y = prim.bind(x, **given_params)
        assert y.dtype == x.dtype
        if not seen:
            assert y.size == 0
            continue
        assert y.shape == out_shape
        start = p.identity_of(name, x.dtype)
        dx = np.zeros(shape)
        for q, taps in seen.items():
            values = [x[t] for t in taps]
            expected = sum(values) if name == "add" else (max if name == "max" else min)(values, default=start)
            assert y[q] == expected
            for t in taps if name == "add" else [taps[values.index(expected)]] if taps else []:
                dx[t] += ct[q]
        if not integers:
            value, pull = vjp(lambda x, prim=prim: prim.bind(x, **given_params), x)
            np.testing.assert_array_equal(value, y)
            close(pull(ct)[0], dx)


@pytest.mark.parametrize("shape", [(6, 3, 8, 10), (5, 40, 16, 16), (3, 7, 12, 12)])
@pytest.mark.parametrize(("window", "stride", "pad"), [(2, 2, 0), (3, 2, 1), (3, 1, 1), (5, 3, 2), (6, 6, 0)])
def test_blocks_change_nothing(monkeypatch, shape, window, stride, pad):
    given_params = params(4, (1, 1, window, window), (1, 1, stride, stride), ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    x = rng.integers(-50, 50, shape).astype(np.float32)

    def everything() -> list:
        y, index = p.reduce_window_argmax_p.bind(x, **given_params)
        total = p.reduce_window_sum_p.bind(x, **given_params)
        back = p.window_scatter_p.bind(y, index, shape=shape, **given_params)
        forth = p.window_gather_p.bind(x, index, **given_params)
        np.testing.assert_array_equal(forth, y)
        return [y, index, total, back, p.window_spread_p.bind(total, shape=shape, **given_params)]

    whole = everything()
    monkeypatch.setattr(pool_kernels, "_BLOCK_ELEMENTS", 64)
    monkeypatch.setattr(pool_kernels, "_MANY_ELEMENTS", 128)
    monkeypatch.setattr(pool_kernels, "_MANY_TAPS", 3)
    for a, b in zip(whole, everything()):
        np.testing.assert_array_equal(a, b)


# ------------------------------------------------------------------ derivatives, vmap, staging


def loss(x: Any) -> Any:
    y = p.max_pool(x, 3, 2, 1) * p.avg_pool(x, 3, 2, 1, False) + p.min_pool(x, 3, 2, 1)
    return (y * y * y).sum()


def test_derivatives_of_every_mode_and_order():
    x = (rng.permutation(2 * 2 * 7 * 6).reshape(2, 2, 7, 6) / 40.0) - 1
    v = rng.standard_normal(x.shape)
    eps = 1e-6
    slope = (loss(x + eps * v) - loss(x - eps * v)) / (2 * eps)
    close(jvp(loss, (x,), (v,))[1], slope, 1e-6)
    close((grad(loss)(x) * v).sum(), slope, 1e-6)
    second = (grad(loss)(x + eps * v) - grad(loss)(x - eps * v)) / (2 * eps)
    close(hvp(loss, (x,), (v,)), second, 1e-5)
    close(grad(lambda x: (grad(loss)(x) * v).sum())(x), second, 1e-5)
    close(jit(grad(loss))(x), grad(loss)(x))


@pytest.mark.parametrize("axis", [0, 2, 4])
def test_vmap_is_a_loop(axis):
    x = rng.standard_normal((3, 2, 7, 6))
    stacked = np.stack([x, x + 1, x[::-1]], axis)
    for f in (lambda x: p.max_pool(x, (3, 2), (2, 1), 1), lambda x: p.avg_pool(x, 2, 2), grad(loss)):
        for k, got in enumerate(vmap(f, axis)(stacked)):
            close(got, f(np.take(stacked, k, axis)))


def test_places_are_computed_only_for_derivatives():
    x = rng.standard_normal((2, 3, 6, 6))
    names = [q.prim.name for q in make_jaxpr(lambda x: p.max_pool(x, 2))(x).eqns]
    assert names == ["reduce_window_max"]
    names = [q.prim.name for q in make_jaxpr(grad(lambda x: p.max_pool(x, 2).sum()))(x).eqns]
    assert [n for n in names if "window" in n] == ["reduce_window_argmax", "window_scatter"]
    names = [q.prim.name for q in make_jaxpr(grad(lambda x: (p.avg_pool(x, 2) ** 2).sum()))(x).eqns]
    assert [n for n in names if "window" in n] == ["reduce_window_sum", "window_spread"]


def test_reduce_window_finds_its_primitive():
    x = rng.standard_normal((4, 6))
    for name, functions in {
        "max": (np.maximum, e.maximum, fnp.maximum, lambda a, b: fnp.maximum(a, b)),
        "min": (np.minimum, e.minimum, fnp.minimum),
        "sum": (np.add, e.add, fnp.add, lambda a, b: a + b),
    }.items():
        start = {"max": -np.inf, "min": np.inf, "sum": 0.0}[name]
        for f in functions:
            jaxpr = make_jaxpr(lambda x, f=f, start=start: p.reduce_window(x, start, f, (2, 3)))(x)
            assert [q.prim.name for q in jaxpr.eqns] == [f"reduce_window_{name}"]


# ------------------------------------------------------------------ the edges of the definition


def test_padding_never_wins():
    x = np.full((1, 1, 2, 2), -1e30)
    y, pull = vjp(lambda x: p.max_pool(x, 3, 1, 1), x)
    assert (y == -1e30).all()
    assert pull(np.ones(y.shape))[0].ravel().tolist() == [4, 0, 0, 0]
    lowest = np.full((1, 3), -np.inf)
    y, pull = vjp(lambda x: p.reduce_window(x, -np.inf, np.maximum, (1, 2), padding=((0, 0), (1, 0))), lowest)
    assert pull(np.ones(y.shape))[0].tolist() == [[2, 1, 0]], (
        "an element equal to the padding's value wins over padding"
    )
    ints = np.full((1, 3), np.iinfo(np.int32).min, np.int32)
    _, index = p.reduce_window_argmax_p.bind(ints, **params(2, (1, 2), padding=((0, 0), (1, 0))))
    assert index.tolist() == [[1, 0, 0]]


def test_windows_that_see_padding_alone():
    x = np.array([1.0, 2.0])
    given_params = params(1, (2,), (1,), ((3, 0),))
    y, pull = vjp(lambda x: p.reduce_window_max_p.bind(x, **given_params), x)
    assert y.tolist() == [-np.inf, -np.inf, 1, 2]
    assert pull(np.array([5.0, 7.0, 11.0, 13.0]))[0].tolist() == [11, 13]
    value, tangent = jvp(lambda x: p.reduce_window_max_p.bind(x, **given_params), (x,), (np.array([3.0, 4.0]),))
    assert tangent.tolist() == [0, 0, 3, 4]
    assert p.avg_pool(np.ones((1, 1, 2)), 2, 1, [(3, 0)], False).tolist() == [[[0, 0, 1, 1]]]


def test_nan_is_an_extreme_and_takes_the_gradient():
    x = np.array([[1.0, np.nan, 3.0, 4.0], [5.0, 6.0, 7.0, np.nan]])
    for pool in (p.max_pool, p.min_pool):
        y, pull = vjp(lambda x, pool=pool: pool(x, (2, 2)), x)
        assert np.isnan(y).all()
        assert pull(np.array([[2.0, 3.0]]))[0].tolist() == [[0, 2, 0, 0], [0, 0, 0, 3]]
    big = np.ones((1, 20))
    big[0, 7] = np.nan
    _, pull = vjp(lambda x: p.max_pool(x, (20,)), big)
    assert np.flatnonzero(pull(np.ones((1, 1)))[0]).tolist() == [7]


def test_infinite_cotangents_stay_where_they_belong():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    _, pull = vjp(lambda x: p.max_pool(x, 2), x)
    (dx,) = pull(np.full((1, 1, 2, 2), np.inf))
    assert np.isinf(dx).sum() == 4 and not np.isnan(dx).any()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint32"])
def test_dtypes_are_kept(dtype):
    x = rng.integers(0, 9, (2, 3, 6, 6)).astype(dtype)
    for prim, function in (
        (p.reduce_window_max_p, np.max),
        (p.reduce_window_min_p, np.min),
        (p.reduce_window_sum_p, np.sum),
    ):
        y = prim.bind(x, **params(4, (1, 1, 2, 3), (1, 1, 2, 3)))
        assert y.dtype == dtype
        np.testing.assert_array_equal(y, function(x.reshape(2, 3, 3, 2, 2, 3), (3, 5)).astype(dtype))
    mean = p.avg_pool(x, (2, 3))
    assert mean.dtype == (dtype if dtype.startswith("float") else "float32")


def test_booleans_and_complex_numbers():
    x = rng.random((3, 8)) > 0.6
    tiles = x.reshape(3, 4, 2)
    np.testing.assert_array_equal(p.reduce_window(x, False, e.maximum, (1, 2), (1, 2)), tiles.any(2))
    np.testing.assert_array_equal(p.reduce_window(x, True, e.minimum, (1, 2), (1, 2)), tiles.all(2))
    np.testing.assert_array_equal(p.reduce_window(x, False, np.logical_or, (1, 2), (1, 2)), tiles.any(2))
    z = rng.standard_normal((3, 8)) + 1j * rng.standard_normal((3, 8))
    close(p.reduce_window(z, 0, e.add, (1, 2), (1, 2)), z.reshape(3, 4, 2).sum(2))
    with pytest.raises(DTypeError, match="no order"):
        p.reduce_window_max_p.bind(z, **params(2, (1, 2)))


def test_several_operands_are_reduced_together():
    """An argmax by hand: pairs of value and position."""
    x = rng.permutation(24).reshape(4, 6) * 1.0
    where = np.arange(24).reshape(4, 6)

    def larger(a: Any, b: Any) -> tuple:
        first = e.ge(a[0], b[0])
        return e.select(first, a[0], b[0]), e.select(first, a[1], b[1])

    value, place = p.reduce_window((x, where), (-np.inf, -1), larger, (2, 3), (2, 3))
    close(value, x.reshape(2, 2, 2, 3).max((1, 3)))
    np.testing.assert_array_equal(x.ravel()[place], value)


def test_windows_larger_than_the_array():
    for f, start in ((e.mul, 1.0), (e.add, 0.0), (e.maximum, -np.inf)):
        assert p.reduce_window(np.ones((2, 3)), start, f, (5, 2)).shape == (0, 2)
        assert p.reduce_window(np.ones((0, 3)), start, f, (1, 2)).shape == (0, 2)


def test_products_differentiate():
    x = rng.standard_normal((3, 5))
    v = rng.standard_normal(x.shape)

    def f(x: Any) -> Any:
        return p.reduce_window(x, 1.0, e.mul, (2, 2), padding=((1, 0), (0, 1))).sum()

    eps = 1e-6
    close((grad(f)(x) * v).sum(), (f(x + eps * v) - f(x - eps * v)) / (2 * eps), 1e-7)


def test_layouts_and_argument_forms():
    x = rng.standard_normal((2, 6, 8, 3))
    first = np.moveaxis(x, -1, 1)
    for f in (p.max_pool, p.min_pool, p.avg_pool):
        expected = np.moveaxis(f(first, (2, 3), (1, 2), [(1, 0), (0, 2)]), 1, -1)
        close(f(x, (2, 3), (1, 2), [(1, 0), (0, 2)], spatial_dims=(1, 2)), expected)
        close(f(first, 2, 2, 1), f(first, (2, 2), (2, 2), [(1, 1), (1, 1)]))
        close(f(first, [2, 2], 2, (1, 0)), f(first, (2, 2), (2, 2), [(1, 1), (0, 0)]))
        assert f(first, 3, 2, "SAME").shape == (2, 3, 3, 4)
        assert f(first, 3).shape == (2, 3, 2, 2)
    close(p.avg_pool(first, (6, 8))[..., 0, 0], first.mean((2, 3)))


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda x: p.max_pool(x, (2, 2, 2, 2, 2)), ShapeError, "spatial axis for each entry of window_shape"),
        (lambda x: p.max_pool(x, (2, 2), (1, 0)), ArgumentError, "strides as 2 positive ints"),
        (lambda x: p.max_pool(x, (2, 2), padding=[(1, 1)]), ArgumentError, "2 pairs (low, high)"),
        (lambda x: p.avg_pool(x, (2, 2), padding="FULL"), ArgumentError, "'FULL'"),
        (lambda x: p.max_pool(x, (0, 2)), ArgumentError, "window_shape as 2 positive ints"),
        (lambda x: p.reduce_window(x, 0.0, e.add, (2, 2)), ArgumentError, "window_dimensions as 4 positive ints"),
        (
            lambda x: p.reduce_window((x, x[:1]), (0.0, 0.0), lambda a, b: a, (1, 1, 2, 2)),
            ShapeError,
            "operands of one shape",
        ),
        (
            lambda x: p.reduce_window((x, x), 0.0, lambda a, b: a, (1, 1, 2, 2)),
            ArgumentError,
            "one initial value for each operand",
        ),
        (
            lambda x: p.reduce_window({"a": x}, {"b": 0.0}, lambda a, b: a, (1, 1, 2, 2)),
            ArgumentError,
            "in the same structure",
        ),
        (
            lambda x: p.reduce_window(x, np.zeros(1), lambda a, b: a * b, (1, 1, 2, 2)),
            ShapeError,
            "initial values that are scalars",
        ),
        (
            lambda x: p.reduce_window(x, 0.0, lambda a, b: [a * b], (1, 1, 2, 2)),
            ArgumentError,
            "a computation that returns the structure of the operands",
        ),
        (
            lambda x: p.window_spread_p.bind(x, shape=(2, 3, 9, 9), **params(4, (1, 1, 2, 2))),
            ShapeError,
            "(2, 3, 8, 8)",
        ),
    ],
)
def test_errors_say_what_was_expected(call, error, told):
    x = np.ones((2, 3, 4, 4), np.float32)
    for run in (call, jit(call)):
        with pytest.raises(error) as info:
            run(x)
        assert told in str(info.value)
        assert "test_pool.py" in str(info.value)
