"""Shape operations against NumPy; views stay views; what stops derivatives; error messages."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fnets.errors import ArgumentError, AxisError, DTypeError, ShapeError
from fnets.primitives import elementwise as e
from fnets.primitives import shape as s
from fnets.primitives.base import reduce_sum
from fnets.transforms.jit import jit
from fnets.transforms.jvp import jvp
from fnets.transforms.staging import make_jaxpr
from fnets.transforms.vjp import grad, vjp
from fnets.transforms.vmap import vmap

rng = np.random.default_rng(0)


def same(got, expected) -> None:
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected, strict=True)


def counting(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape, dtype=int), dtype=float).reshape(shape) + 1.0


shapes = st.lists(st.integers(0, 4), min_size=1, max_size=4).map(tuple)

# ------------------------------------------------------------------ slice and pad


@st.composite
def slices(draw):
    shape = draw(shapes)
    starts = [draw(st.integers(0, n)) for n in shape]
    limits = [draw(st.integers(a, n)) for a, n in zip(starts, shape)]
    strides = draw(st.none() | st.tuples(*[st.integers(1, 3) for _ in shape]))
    return shape, starts, limits, strides


@given(slices())
def test_slice_equals_indexing(case):
    shape, starts, limits, strides = case
    x = counting(*shape)
    index = tuple([slice(a, b, c) for a, b, c in zip(starts, limits, strides or (1,) * len(shape))])
    got = s.slice(x, starts, limits, strides)
    same(got, x[index])
    assert got.base is not None
    same(jit(lambda x: s.slice(x, starts, limits, strides))(x), x[index])
    expected = np.zeros(shape)
    ct = counting(*got.shape)
    expected[index] = ct
    same(vjp(lambda x: s.slice(x, starts, limits, strides), x)[1](ct)[0], expected)


def test_slice_in_dim_counts_from_the_end():
    x = counting(3, 5)
    same(s.slice_in_dim(x, 1, -1, axis=1), x[:, 1:-1])
    same(s.slice_in_dim(x, -2, None, axis=0), x[-2:])
    same(s.slice_in_dim(x, None, None, 2, axis=-1), x[:, ::2])


@st.composite
def paddings(draw):
    shape = draw(st.lists(st.integers(0, 4), min_size=1, max_size=3).map(tuple))
    config = []
    for n in shape:
        interior = draw(st.integers(0, 2))
        dilated = n + max(0, n - 1) * interior
        lo = draw(st.integers(-dilated - 1, 3))
        hi = draw(st.integers(-dilated - lo, 3)) if dilated + lo <= 3 else draw(st.integers(-3, 3))
        config.append((lo, max(hi, -dilated - lo), interior))
    return shape, tuple(config)


def naive_pad(x: np.ndarray, value: float, config) -> np.ndarray:
    """Element by element, one axis after the other."""
    for axis, (lo, hi, interior) in enumerate(config):
        rows = list(np.moveaxis(x, axis, 0))
        blank = np.full(np.moveaxis(x, axis, 0).shape[1:], value, x.dtype)
        spread = [r for k, row in enumerate(rows) for r in ([blank] * interior if k else []) + [row]]
        spread = [blank] * lo + spread if lo > 0 else spread[-lo:] if -lo <= len(spread) else []
        if lo < 0 and -lo > len(rows) + max(0, len(rows) - 1) * interior:
            spread = [blank] * 0
            hi -= -lo - (len(rows) + max(0, len(rows) - 1) * interior)
        spread = spread + [blank] * hi if hi > 0 else spread[: len(spread) + hi]
        stacked = np.stack(spread) if spread else np.empty((0, *blank.shape), x.dtype)
        x = np.moveaxis(stacked, 0, axis)
    return x


@given(paddings(), st.sampled_from([0.0, 1.5, -0.0, np.nan, np.inf]))
def test_pad_equals_the_naive_way(case, value):
    shape, config = case
    x = counting(*shape)
    expected = naive_pad(x, value, config)
    got = s.pad(x, value, config)
    same(got, expected)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(expected))
    same(jit(lambda x, v: s.pad(x, v, config))(x, np.float64(value)), expected)
    # a cotangent goes to where each element went
    position = naive_pad(np.arange(1.0, x.size + 1).reshape(shape), 0.0, config)
    ct = rng.standard_normal(expected.shape)
    dx, dv = vjp(lambda x, v: s.pad(x, v, config), x, np.float64(0.0))[1](ct)
    gathered = np.zeros(x.size + 1)
    np.add.at(gathered, position.astype(int).ravel(), ct.ravel())
    np.testing.assert_allclose(dx, gathered[1:].reshape(shape), rtol=1e-14)
    np.testing.assert_allclose(dv, gathered[0], rtol=1e-12, atol=1e-12)


def test_pad_keeps_dtypes():
    for dtype in ("bool", "int8", "float16", "complex64"):
        x = np.ones(3, dtype)
        got = s.pad(x, 0, [(1, 1, 0)])
        assert got.dtype == x.dtype
        same(got, np.pad(x, 1))
    same(s.pad(np.array([1, 2], np.uint8), 7, [(1, 0, 1)]), np.array([7, 1, 7, 2], np.uint8))


# ------------------------------------------------------------------ concatenate, stack, split


@given(shapes, st.data())
def test_concatenate_stack_and_split_equal_numpy(shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    lengths = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    dtypes = data.draw(
        st.lists(st.sampled_from(["int8", "float32", "float64", "bool"]), min_size=len(lengths), max_size=len(lengths))
    )
    xs = []
    for n, dtype in zip(lengths, dtypes):
        own = list(shape)
        own[axis] = n
        xs.append(counting(*own).astype(dtype))
    expected = np.concatenate(xs, axis)
    same(s.concatenate(xs, axis), expected)
    same(jit(lambda *xs: s.concatenate(xs, axis))(*xs), expected)
    x = counting(*shape)
    for position in (axis, axis % len(shape), len(shape)):
        same(s.stack([x, 2 * x], position), np.stack([x, 2 * x], position))
    for got, part in zip(s.split(x, [1, 3], axis), np.split(x, [1, 3], axis), strict=True):
        same(got, part)
    n = shape[axis]
    if n:
        for got, part in zip(s.split(x, n, axis), np.split(x, n, axis), strict=True):
            same(got, part)


def test_cotangents_of_concatenate_are_slices():
    a, b = counting(2, 3), counting(1, 3).astype(np.float32)
    ct = rng.standard_normal((3, 3))
    da, db = vjp(lambda a, b: s.concatenate([a, b]), a, b)[1](ct)
    same(da, ct[:2])
    same(db, ct[2:].astype(np.float32))


# ------------------------------------------------------------------ the rest, as functions of NumPy's names


@given(shapes, st.data())
def test_moving_axes_equals_numpy(shape, data):
    x = counting(*shape)
    axes = st.integers(-len(shape), len(shape) - 1)
    a, b = data.draw(axes), data.draw(axes)
    same(s.moveaxis(x, a, b), np.moveaxis(x, a, b))
    same(s.swapaxes(x, a, b), np.swapaxes(x, a, b))
    same(s.rev(x, (a,)), np.flip(x, a))
    same(s.rev(x), np.flip(x))
    same(s.ravel(x), x.ravel())
    same(s.expand_dims(x, a), np.expand_dims(x, a))
    shifts = data.draw(st.integers(-5, 5))
    same(s.roll(x, shifts, a), np.roll(x, shifts, a))
    same(s.roll(x, shifts), np.roll(x, shifts))
    if a % len(shape) != b % len(shape):
        same(s.roll(x, (shifts, 1), (a, b)), np.roll(x, (shifts, 1), (a, b)))
        same(s.moveaxis(x, (a, b), (0, 1)), np.moveaxis(x, (a, b), (0, 1)))
        same(s.expand_dims(x, (0, 2)), np.expand_dims(x, (0, 2)))
    reps = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    same(s.tile(x, reps), np.tile(x, reps))
    same(s.repeat(x, reps[0], a), np.repeat(x, reps[0], a))
    same(s.repeat(x, reps[0]), np.repeat(x, reps[0]))
    same(s.squeeze(x), np.squeeze(x))


def test_views_share_memory():
    x = counting(2, 1, 6)
    views = [
        s.slice(x, (0, 0, 1), (2, 1, 5), (1, 1, 2)),
        s.rev(x, (2,)),
        s.squeeze(x, 1),
        s.expand_dims(x, 0),
        s.moveaxis(x, 0, 2),
        s.swapaxes(x, 0, 2),
        s.ravel(x),
        s.collapse(x, 0, 2),
        *s.split(x, 3, 2),
        s.broadcast(x, (4,)),
        s.broadcast_in_dim(x, (2, 3, 6), (0, 1, 2)),
        s.bitcast_convert_type(x, "int64"),
        s.stop_gradient(x),
    ]
    assert all(np.shares_memory(x, v) for v in views)
    assert not np.shares_memory(x, s.copy(x))


def test_functions_under_lax_names():
    x = counting(2, 3)
    same(s.broadcast_in_dim(x, (2, 4, 3), (0, 2)), np.broadcast_to(x[:, None], (2, 4, 3)))
    same(s.broadcast_in_dim(np.float64(2.0), (2,), ()), np.full(2, 2.0))
    same(s.broadcast(x, (4, 5)), np.broadcast_to(x, (4, 5, 2, 3)))
    same(s.collapse(counting(2, 3, 4), 1), counting(2, 12))
    same(s.collapse(counting(2, 3, 4), 0, 2), counting(6, 4))
    same(s.reshape_dims(x, (3, 2), (1, 0)), x.T)
    same(s.reshape_dims(x, (-1,)), x.ravel())
    same(s.iota("int32", 3), np.arange(3, dtype=np.int32))
    same(s.broadcasted_iota("float32", (2, 3), 0), np.array([[0, 0, 0], [1, 1, 1]], np.float32))
    same(s.squeeze(counting(1, 2, 1), (-1,)), counting(1, 2))
    same(s.concatenate([np.ones(1), np.zeros(1)]), np.array([1.0, 0.0]))


def test_bits():
    x = np.array([1.0, -2.5, np.nan], np.float32)
    same(s.bitcast_convert_type(x, np.uint32), x.view(np.uint32))
    narrow = s.bitcast_convert_type(x, np.uint8)
    same(narrow, x.view(np.uint8).reshape(3, 4))
    same(s.bitcast_convert_type(narrow, np.float32), x)
    same(vmap(lambda b: s.bitcast_convert_type(b, np.float32), 1)(narrow.T), x)
    same(s.bitcast_convert_type(counting(4, 2).T, np.int32), counting(4, 2).T.copy().view(np.int32).reshape(2, 4, 2))


def test_reduce_precision_equals_casts():
    x = np.concatenate(
        [
            rng.standard_normal(2000) * 10.0 ** rng.integers(-9, 9, 2000),
            [0.0, -0.0, np.inf, -np.inf, np.nan, 65504, 65520, 6e-8],
        ]
    )
    x = x.astype(np.float32)
    with np.errstate(over="ignore"):
        half = x.astype(np.float16).astype(np.float32)
    half = np.where(np.abs(x) < 2.0**-14, np.copysign(np.float32(0), x), half)  # no subnormal numbers
    rounded = s.reduce_precision(x, 5, 10)
    near = (np.abs(x) < 2.0**-14) & (np.abs(x) > 2.0**-14 * (1 - 2.0**-11))  # rounds up to the smallest normal number
    same(rounded[~near], half[~near].astype(np.float32))
    same(s.reduce_precision(x, 8, 23), x)
    bfloat = (x.view(np.uint32) + 0x7FFF + ((x.view(np.uint32) >> 16) & 1)) & 0xFFFF0000
    same(s.reduce_precision(x, 8, 7)[np.isfinite(x)], bfloat.view(np.float32)[np.isfinite(x)])


# ------------------------------------------------------------------ identities that transformations see


def test_stop_gradient_is_constant_in_every_mode():
    def f(x):
        return e.mul(s.stop_gradient(x), x)

    x = np.array(3.0)
    assert grad(f)(x) == 3.0
    assert jvp(f, (x,), (np.array(1.0),))[1] == 3.0
    assert grad(grad(f))(x) == 0.0
    assert jit(grad(f))(x) == 3.0
    assert grad(jit(f))(x) == 3.0
    same(vmap(grad(f))(counting(3)), counting(3))
    assert grad(lambda x: e.mul(s.stop_gradient(x), 2.0))(x) == 0.0
    tree = {"w": x, "n": 3, "none": None}
    assert s.stop_gradient(tree)["n"] == 3
    assert grad(lambda w: e.mul(s.stop_gradient({"w": w, "n": (1,)})["w"], w))(x) == 3.0
    assert grad(f)(2.0) == 2.0  # a Python scalar


def test_stop_gradient_stops_the_outer_of_two_derivatives_too():
    """The inner derivative is a constant for the outer one, whichever of them the value belongs to."""
    assert grad(lambda x: s.stop_gradient(grad(lambda y: e.mul(x, e.square(y)))(x)))(2.0) == 0.0
    assert grad(lambda x: grad(lambda y: e.mul(s.stop_gradient(x), y))(x))(2.0) == 0.0
    assert grad(lambda x: grad(lambda y: e.mul(x, y))(x))(2.0) == 1.0


def test_optimization_barrier_keeps_equal_computations_apart():
    def f(x):
        y = s.optimization_barrier((e.sin(x), e.sin(x)))
        return e.add(*y)

    x = counting(3)
    same(jit(f)(x), 2 * np.sin(x))
    np.testing.assert_allclose(grad(lambda x: reduce_sum(f(x), (0,)))(x), 2 * np.cos(x), rtol=1e-15)
    np.testing.assert_allclose(jvp(f, (x,), (x,))[1], 2 * np.cos(x) * x, rtol=1e-15)
    assert s.optimization_barrier({"a": 1, "b": x})["a"] == 1
    barriers = [
        q for q in make_jaxpr(lambda x: s.optimization_barrier(x))(x).eqns if q.prim is s.optimization_barrier_p
    ]
    assert len(barriers) == 1


def test_copy_differentiates_as_the_identity():
    x = counting(3)
    same(vjp(s.copy, x)[1](x)[0], x)
    same(jit(s.copy)(x), x)


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    "f, error, expected",
    [
        (
            lambda: s.slice(counting(3), (0,), (4,)),
            ShapeError,
            r"^\[slice\] expected 0 <= start <= limit <= 3 .* on axis 0, got start 0, limit 4",
        ),
        (lambda: s.slice(counting(3), (-1,), (2,)), ShapeError, r"^\[slice\] expected 0 <= start"),
        (lambda: s.slice(counting(3), (0,), (2,), (0,)), ShapeError, r"^\[slice\] expected .* stride 0"),
        (
            lambda: s.slice(counting(3, 2), (0,), (2,)),
            ShapeError,
            r"^\[slice\] expected one start, limit and stride for each axis of \(3, 2\)",
        ),
        (lambda: jit(lambda x: s.slice(x, (0,), (4,)))(counting(3)), ShapeError, r"^\[slice\] expected 0 <= start"),
        (
            lambda: s.pad(counting(3), 0, [(1, 1, 0), (0, 0, 0)]),
            ShapeError,
            r"^\[pad\] expected one \(low, high, interior\) for each axis of \(3,\), got 2",
        ),
        (
            lambda: s.pad(counting(3), 0, [(-2, -2, 0)]),
            ShapeError,
            r"^\[pad\] expected .* non-negative length, got \(-2, -2, 0\) for axis 0 of length 3",
        ),
        (lambda: s.pad(counting(3), 0, [(0, 0, -1)]), ShapeError, r"^\[pad\] expected a non-negative interior"),
        (
            lambda: s.pad(counting(3), counting(2), [(0, 0, 0)]),
            ShapeError,
            r"^\[pad\] expected a scalar padding value, got shape \(2,\)",
        ),
        (
            lambda: s.concatenate([counting(2, 3), counting(3, 2)]),
            ShapeError,
            r"^\[concatenate\] expected shapes that differ along axis 0 alone, got \(2, 3\), \(3, 2\)",
        ),
        (
            lambda: jit(lambda x: s.concatenate([x, counting(2)]))(counting(2, 3)),
            ShapeError,
            r"^\[concatenate\] expected shapes",
        ),
        (lambda: s.concatenate([]), ArgumentError, r"^\[concatenate\] expected at least one array, got none"),
        (
            lambda: s.concatenate([counting(2)], 1),
            AxisError,
            r"^\[concatenate\] expected an axis between -1 and 0, got 1",
        ),
        (lambda: s.concatenate([1.0, 2.0]), AxisError, r"^\[concatenate\] expected an axis none"),
        (
            lambda: s.stack([counting(2), counting(3)]),
            ShapeError,
            r"^\[stack\] expected arrays of one shape, got \(2,\), \(3,\)",
        ),
        (lambda: s.stack([]), ArgumentError, r"^\[stack\] expected at least one array"),
        (
            lambda: s.split(counting(5), 2),
            ShapeError,
            r"^\[split\] expected a number of sections that divides axis 0 of \(5,\), got 2",
        ),
        (
            lambda: s.squeeze(counting(2, 1), 0),
            ShapeError,
            r"^\[squeeze\] expected axes of length 1, got axis 0 of \(2, 1\)",
        ),
        (
            lambda: s.expand_dims(counting(2), 3),
            AxisError,
            r"^\[expand_dims\] expected an axis between -2 and 1, got 3",
        ),
        (lambda: s.moveaxis(counting(2, 3), (0, 1), 0), AxisError, r"^\[moveaxis\] expected as many different sources"),
        (lambda: s.rev(counting(2), (1,)), AxisError, r"^\[rev\] expected an axis between"),
        (lambda: s.tile(counting(2), -1), ArgumentError, r"^\[tile\] expected non-negative"),
        (lambda: s.repeat(counting(2), -1), ArgumentError, r"^\[repeat\] expected a non-negative"),
        (
            lambda: s.roll(counting(2, 2), (1, 2), (0, 1, 0)),
            ArgumentError,
            r"^\[roll\] expected as many shifts as axes",
        ),
        (
            lambda: s.broadcast_in_dim(counting(2), (3, 2), (0,)),
            ShapeError,
            r"^\[broadcast_in_dim\] expected one increasing dimension of \(3, 2\)",
        ),
        (
            lambda: s.broadcast_in_dim(counting(2, 3), (3, 2), (1, 0)),
            ShapeError,
            r"^\[broadcast_in_dim\] expected one increasing dimension",
        ),
        (
            lambda: s.reshape_dims(counting(2, 3), (4, -1)),
            ShapeError,
            r"^\[reshape\] expected one -1 at most, and a size divisible by the other entries, got \(4, -1\) for 6",
        ),
        (
            lambda: s.reshape_dims(counting(2, 3), (4,)),
            ShapeError,
            r"^\[reshape\] expected a new shape with 6 elements",
        ),
        (
            lambda: s.collapse(counting(2, 3), 1, 0),
            AxisError,
            r"^\[collapse\] expected start_dimension <= stop_dimension",
        ),
        (
            lambda: s.bitcast_convert_type(np.ones(3, np.int8), "int32"),
            ShapeError,
            r"^\[bitcast_convert_type\] expected a last axis of length 4",
        ),
        (
            lambda: s.bitcast_convert_type(np.ones(3, bool), "int8"),
            DTypeError,
            r"^\[bitcast_convert_type\] expected two numeric dtypes",
        ),
        (
            lambda: s.reduce_precision(np.ones(3, int), 5, 10),
            DTypeError,
            r"^\[reduce_precision\] expected a float dtype, got int64",
        ),
        (
            lambda: s.reduce_precision(np.ones(3), 0, 10),
            ArgumentError,
            r"^\[reduce_precision\] expected exponent_bits >= 1",
        ),
    ],
)
def test_errors(f, error, expected):
    with pytest.raises(error, match=expected):
        f()
