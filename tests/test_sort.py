"""Sorting against NumPy: values, orders, ties, NaNs, derivatives, vmap, jit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fnets.errors import ArgumentError, AxisError, DTypeError, ShapeError
from fnets.primitives import elementwise as e
from fnets.primitives import sort as s
from fnets.primitives.base import reduce_sum
from fnets.transforms.jit import jit
from fnets.transforms.jvp import jvp
from fnets.transforms.vjp import grad, vjp
from fnets.transforms.vmap import vmap

rng = np.random.default_rng(0)
VALUES = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.5, np.inf, -np.inf, np.nan])


@st.composite
def arrays_and_axes(draw):
    """An array, with ties, NaNs and infinities if it is one of floats, and one of its axes."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6))
    kind = draw(st.sampled_from(["f4", "f8", "i4", "u1", "?"]))
    elements = VALUES if kind[0] == "f" else st.booleans() if kind == "?" else st.integers(0, 4)
    return draw(hnp.arrays(kind, shape, elements=elements)), draw(st.integers(-len(shape), len(shape) - 1))


@settings(max_examples=150)
@given(arrays_and_axes())
def test_sort_and_argsort_are_numpys(case):
    x, axis = case
    for f in (lambda x: s.sort(x, axis), jit(lambda x: s.sort(x, axis))):
        np.testing.assert_array_equal(f(x), np.sort(x, axis))
        assert f(x).dtype == x.dtype
    expected = np.argsort(x, axis, kind="stable")
    np.testing.assert_array_equal(s.argsort(x, axis), expected)
    np.testing.assert_array_equal(jit(lambda x: s.argsort(x, axis))(x), expected)
    many = np.stack([x, x[::-1]], -1)
    np.testing.assert_array_equal(
        vmap(lambda x: s.argsort(x, axis), in_axes=-1)(many)[1], np.argsort(x[::-1], axis, kind="stable")
    )
    falling = s.argsort(x, axis, descending=True)
    ordered = np.take_along_axis(x, falling, axis)
    np.testing.assert_array_equal(ordered, np.flip(np.sort(x, axis), axis))
    # equal elements stay in their order
    same = np.take(ordered, range(1, ordered.shape[axis]), axis) == np.take(
        ordered, range(ordered.shape[axis] - 1), axis
    )
    assert (np.diff(falling, axis=axis)[same] > 0).all()
    np.testing.assert_array_equal(s.argsort(x, None), np.argsort(x, None, kind="stable"))


@given(arrays_and_axes(), st.integers(2, 3), st.data())
def test_several_keys(case, count, data):
    x, axis = case
    keys = [x, *[data.draw(hnp.arrays("i8", x.shape, elements=st.integers(0, 2))) for _ in range(count - 1)]]
    expected = np.lexsort(keys, axis)
    np.testing.assert_array_equal(s.lexsort(keys, axis), expected)
    np.testing.assert_array_equal(jit(lambda ks: s.lexsort(ks, axis))(keys), expected)
    stacked = [np.stack([k, k[::-1]]) for k in keys]
    np.testing.assert_array_equal(vmap(lambda *ks: s.lexsort(ks, axis))(*stacked)[0], expected)
    sorted_keys = s.sort(keys[::-1], axis, num_keys=count)
    for got, k in zip(sorted_keys, keys[::-1], strict=True):
        np.testing.assert_array_equal(got, np.take_along_axis(k, expected, axis))
    first, second = s.sort_key_val(x, keys[1], axis)
    order = np.argsort(x, axis, kind="stable")
    np.testing.assert_array_equal(first, np.take_along_axis(x, order, axis))
    np.testing.assert_array_equal(second, np.take_along_axis(keys[1], order, axis))


def test_lexsort_of_an_array_of_keys():
    keys = rng.integers(0, 3, (3, 7))
    np.testing.assert_array_equal(s.lexsort(keys), np.lexsort(keys))
    assert s.lexsort((np.int64(1), np.int64(2))) == 0


@given(arrays_and_axes(), st.data())
def test_top_k(case, data):
    x, axis = case
    if x.dtype == bool:
        x = x.astype(int)
    k = data.draw(st.integers(0, x.shape[axis]))
    values, indices = s.top_k(x, k, axis=axis)
    falling = np.take(s.argsort(x, axis, descending=True), range(k), axis)
    np.testing.assert_array_equal(indices, falling)
    np.testing.assert_array_equal(values, np.take_along_axis(x, falling, axis))
    assert values.dtype == x.dtype


@pytest.mark.parametrize("shape", [(3, 1000), (2, 2, 700)])
def test_top_k_of_long_rows_chooses_before_it_sorts(shape):
    normal = rng.standard_normal(shape)
    nan_at_the_end = np.where(np.arange(shape[-1]) == shape[-1] - 1, np.nan, normal)
    few_nans = np.where(rng.random(shape) < 0.01, np.nan, normal)
    falling = np.broadcast_to(-np.arange(shape[-1]), shape)
    for x in (
        normal,
        nan_at_the_end,
        few_nans,
        falling,
        rng.integers(0, 30, shape),
        np.zeros(shape),
        -np.inf * np.ones(shape),
    ):
        for k in (1, 5, 43, 80):
            _, indices = s.top_k(x, k)
            np.testing.assert_array_equal(indices, s.argsort(x, descending=True)[..., :k])


@settings(max_examples=150)
@given(arrays_and_axes(), st.sampled_from(["left", "right"]), st.data())
def test_searchsorted_is_numpys(case, side, data):
    v, _ = case
    a = np.sort(
        data.draw(hnp.arrays(v.dtype, st.integers(0, 6), elements=VALUES if v.dtype.kind == "f" else st.integers(0, 1)))
    )
    expected = np.searchsorted(a, v, side)
    np.testing.assert_array_equal(s.searchsorted(a, v, side), expected)
    np.testing.assert_array_equal(jit(lambda a, v: s.searchsorted(a, v, side))(a, v), expected)
    rows = np.sort(np.stack([a, a[: len(a) // 2].repeat(2) if len(a) % 2 == 0 else a]), 1)
    for axes, args in (((0, None), (rows, v)), ((0, 0), (rows, np.stack([v, v]))), ((None, 0), (a, np.stack([v, v])))):
        got = vmap(lambda a, v: s.searchsorted(a, v, side), in_axes=axes)(*args)
        for k in range(2):
            np.testing.assert_array_equal(got[k], np.searchsorted(rows[k] if axes[0] == 0 else a, v, side))
    nested = vmap(lambda a: vmap(lambda a: s.searchsorted(a, v, side))(a))(rows[None])
    np.testing.assert_array_equal(nested[0, 1], np.searchsorted(rows[1], v, side))


def test_searchsorted_with_a_sorter():
    a, v = rng.permutation(9), np.array([[2.5, -1], [8, 3]])
    np.testing.assert_array_equal(
        s.searchsorted(a, v, sorter=np.argsort(a)), np.searchsorted(a, v, sorter=np.argsort(a))
    )


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("transform", [lambda f: f, jit])
def test_gradients_follow_the_order(axis, transform):
    x, w = rng.standard_normal((4, 5)), rng.standard_normal((4, 5))
    order = np.argsort(x, axis)
    expected = np.zeros_like(x)
    np.put_along_axis(expected, order, w, axis)

    def total(f):
        return transform(grad(lambda x: reduce_sum(e.mul(f(x), w), (0, 1))))(x)

    np.testing.assert_allclose(total(lambda x: s.sort(x, axis)), expected)
    np.testing.assert_allclose(
        total(lambda x: s.sort((e.neg(x), x), axis)[1]), total(lambda x: e.neg(s.sort(e.neg(x), axis)))
    )
    t = rng.standard_normal(x.shape)
    np.testing.assert_allclose(jvp(lambda x: s.sort(x, axis), (x,), (t,))[1], np.take_along_axis(t, order, axis))
    values, pull = vjp(lambda x: s.top_k(x, 2, axis=axis)[0], x)
    kept = np.zeros_like(x)
    np.put_along_axis(kept, np.flip(order, axis).take([0, 1], axis), 1.0, axis)
    np.testing.assert_allclose(pull(np.ones_like(values))[0], kept)


def test_complex_numbers_sort_by_real_part_first():
    x = np.array([1 + 2j, 1 - 1j, 0 + 5j])
    np.testing.assert_array_equal(s.sort(x), np.sort(x))


def test_errors():
    x = np.zeros((2, 3))
    with pytest.raises(AxisError):
        s.sort(x, 2)
    with pytest.raises(ArgumentError, match="num_keys"):
        s.sort((x, x), num_keys=3)
    with pytest.raises(ShapeError, match="one shape"):
        s.sort((x, x[0]))
    for f in (lambda x: s.top_k(x, 4), jit(lambda x: s.top_k(x, 4))):
        with pytest.raises(ArgumentError, match="between 0 and the length"):
            f(x)
    for f in (lambda x: s.top_k(x, 1), jit(lambda x: s.top_k(x, 1))):
        with pytest.raises(DTypeError, match="real"):
            f(x + 1j)
    with pytest.raises(ArgumentError, match="side"):
        s.searchsorted(x[0], 1.0, side="middle")
    with pytest.raises(ShapeError, match="one axis"):
        jit(s.searchsorted)(x, 1.0)
    with pytest.raises(ArgumentError, match="at least one key"):
        s.lexsort(())
