"""Indexing against NumPy: getitem, at-updates, take and put along an axis, windows; values, derivatives, vmap, jit, errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fnets.core.trace import typeof
from fnets.errors import (
    ArgumentError,
    DTypeError,
    IndexingError,
    NonConcreteBooleanIndexError,
    ShapeError,
)
from fnets.numpy.index_parsing import Index, basic_spec, parse_index
from fnets.numpy.indexing import At, at, getitem, put_along_axis, take, take_along_axis
from fnets.primitives import elementwise as e
from fnets.primitives import indexing as ix
from fnets.primitives.index_specs import spec_shape
from fnets.transforms.jit import jit
from fnets.transforms.jvp import jvp
from fnets.transforms.staging import make_jaxpr
from fnets.transforms.vjp import grad, vjp
from fnets.transforms.vmap import vmap

rng = np.random.default_rng(0)
OPS = ("set", "add", "subtract", "multiply", "min", "max")
AT = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "power": np.power,
    "min": np.minimum,
    "max": np.maximum,
}


def updated(op, x, index, values):
    """NumPy's own in-place update, on a copy."""
    out = np.array(x)
    if op == "set":
        out[index] = values
    else:
        AT[op].at(out, index, values)
    return out


@st.composite
def shapes_and_indices(draw, min_dims=0, masks=True):
    """A shape and an index of it, of every kind that NumPy takes."""
    shape = draw(st.lists(st.integers(1, 4), min_size=min_dims, max_size=4))
    if draw(st.integers(0, 9)) == 0:
        shape = [n if draw(st.booleans()) else 0 for n in shape]
    common = draw(st.lists(st.integers(1, 3), max_size=2))
    entries: list = []
    axis = 0
    mask_count = None
    ellipsis = False
    stop = draw(st.integers(0, len(shape)))  # axes behind are left out, or come behind an ellipsis
    while axis < len(shape):
        if axis == stop and not ellipsis:
            if draw(st.booleans()):
                break
            skipped = draw(st.integers(0, len(shape) - axis))
            entries.append(Ellipsis)
            axis += skipped
            ellipsis = True
            continue
        n = shape[axis]
        kinds = ["slice", "slice", "array", "none"] + (["int"] if n else [])
        if masks:
            kinds += ["mask", "bool"] if draw(st.integers(0, 2)) == 0 else []
        kind = draw(st.sampled_from(kinds))
        if kind == "none":
            entries.append(None)
            continue
        if kind == "bool":
            entries.append(draw(st.sampled_from([True, np.True_, np.array(True)])))
            continue
        if kind == "int":
            i = draw(st.integers(-n, n - 1))
            entries.append(draw(st.sampled_from([i, np.int32(i), np.array(i)])))
        elif kind == "slice":
            bound = st.one_of(st.none(), st.integers(-n - 2, n + 2))
            entries.append(slice(draw(bound), draw(bound), draw(st.sampled_from([None, 1, 2, -1, -2, 3]))))
        elif kind == "array":
            own = [m if draw(st.booleans()) else 1 for m in common]
            own = own[draw(st.integers(0, len(own))) :]
            if n == 0:
                own = [0]
            values = hnp.arrays(np.int64, tuple(own), elements=st.integers(-n, max(n - 1, -n)))
            array = draw(values).astype(draw(st.sampled_from([np.int64, np.int8])))
            entries.append(array.tolist() if array.size and array.ndim and draw(st.booleans()) else array)
        else:
            width = draw(st.integers(1, min(2, len(shape) - axis)))
            mask = draw(hnp.arrays(bool, tuple(shape[axis : axis + width])))
            if mask_count is None and not common:
                mask_count = mask.sum()
                entries.append(mask)
                axis += width
                continue
            entries.append(slice(None))
        axis += 1
    if draw(st.integers(0, 5)) == 0:
        entries.append(None)
    if len(entries) == 1 and draw(st.booleans()):
        return tuple(shape), entries[0]
    return tuple(shape), tuple(entries)


def numpy_result(x, index):
    """x[index], or the error that NumPy raises."""
    try:
        return x[index], None
    except IndexError as error:
        return None, error


def split_arrays(index):
    """The index arrays of integers of an index, and a function that puts others (traced ones) in their place."""
    entries = index if isinstance(index, tuple) else (index,)
    where = [k for k, i in enumerate(entries) if isinstance(i, np.ndarray) and i.dtype.kind == "i"]

    def rebuild(arrays):
        new = list(entries)
        for k, a in zip(where, arrays):
            new[k] = a
        return tuple(new) if isinstance(index, tuple) else new[0]

    return [entries[k] for k in where], rebuild


@settings(max_examples=200)
@given(shapes_and_indices())
def test_getitem_is_numpys(case):
    shape, index = case
    x = rng.standard_normal(shape)
    expected, error = numpy_result(x, index)
    if error is not None:
        for f in (lambda: getitem(x, index), lambda: jit(lambda x: getitem(x, index))(x)):
            with pytest.raises(IndexError):
                f()
        return
    arrays, rebuild = split_arrays(index)
    for got in (
        getitem(x, index),
        jit(lambda x: getitem(x, index))(x),
        jit(lambda x, arrays: getitem(x, rebuild(arrays)))(x, arrays),
    ):
        assert np.shape(got) == expected.shape
        np.testing.assert_array_equal(got, expected)


@settings(max_examples=200)
@given(shapes_and_indices(masks=False))
def test_the_two_readers_of_an_index_agree(case):
    shape, index = case
    quick = basic_spec(shape, index)
    if quick is not None:
        assert parse_index(shape, index) == Index(quick)
        assert spec_shape(shape, quick) == np.zeros(shape)[index].shape


@settings(max_examples=200)
@given(shapes_and_indices(), st.integers(0, 2))
def test_getitem_vmap_equals_loop(case, dim):
    shape, index = case
    x = rng.standard_normal((3, *shape))
    expected, error = numpy_result(x[0], index)
    if error is not None:
        return
    expected = np.stack([x[k][index] for k in range(3)])
    d = min(dim, len(shape))
    moved = np.moveaxis(x, 0, d)
    np.testing.assert_array_equal(vmap(lambda v: getitem(v, index), in_axes=d)(moved), expected)
    arrays, rebuild = split_arrays(index)
    if not arrays:
        return
    batched = [
        np.stack([a, a[..., ::-1] if a.ndim else a, -1 - a], -1) if a.size else np.stack([a] * 3, -1) for a in arrays
    ]
    for x_axis, operand in ((d, moved), (None, x[0])):
        got = vmap(lambda v, arrays: getitem(v, rebuild(arrays)), in_axes=(x_axis, -1))(operand, batched)
        loop = [(x[k] if x_axis is not None else operand)[rebuild([b[..., k] for b in batched])] for k in range(3)]
        np.testing.assert_array_equal(got, np.stack(loop))


@settings(max_examples=200)
@given(shapes_and_indices())
def test_gradient_of_getitem_adds_at_the_index(case):
    shape, index = case
    x = rng.standard_normal(shape)
    out, error = numpy_result(x, index)
    if error is not None:
        return
    weights = rng.standard_normal(out.shape)
    expected = np.zeros(shape)
    np.add.at(expected, index, weights)
    value, pull = vjp(lambda x: getitem(x, index), x)
    np.testing.assert_array_equal(value, out)
    np.testing.assert_allclose(pull(weights)[0], expected, atol=1e-12)
    pulled = jit(lambda w: vjp(lambda x: getitem(x, index), x)[1](w)[0])(weights)
    np.testing.assert_allclose(pulled, expected, atol=1e-12)
    _, tangent = jvp(lambda x: getitem(x, index), (x,), (x + 1,))
    np.testing.assert_array_equal(tangent, (x + 1)[index])


@settings(max_examples=200)
@given(shapes_and_indices(), st.sampled_from(OPS), st.data())
def test_updates_are_numpys(case, op, data):
    shape, index = case
    x = rng.integers(-4, 5, shape).astype(np.float64)
    selected, error = numpy_result(x, index)
    if error is not None:
        with pytest.raises(IndexError):
            getattr(at(x)[index], op)(1.0)
        return
    keep = [n if data.draw(st.booleans()) else 1 for n in selected.shape]
    values = rng.integers(-4, 5, keep[data.draw(st.integers(0, len(keep))) :]).astype(np.float64)
    try:
        expected = updated(op, x, index, values)
    except (ValueError, IndexError):  # some indices that NumPy reads it does not write through ufunc.at
        return
    arrays, rebuild = split_arrays(index)
    for got in (
        getattr(at(x)[index], op)(values),
        jit(lambda x, v: getattr(at(x)[index], op)(v))(x, values),
        jit(lambda x, v, arrays: getattr(at(x)[rebuild(arrays)], op)(v))(x, values, arrays),
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-13)


@settings(max_examples=200)
@given(shapes_and_indices(), st.sampled_from(OPS))
def test_updates_vmap_equals_loop(case, op):
    shape, index = case
    xs = rng.standard_normal((3, *shape))
    selected, error = numpy_result(xs[0], index)
    if error is not None:
        return
    values = rng.standard_normal((3, *selected.shape))
    arrays, rebuild = split_arrays(index)
    batched = [np.stack([a, a[..., ::-1] if a.ndim else a, -1 - a]) if a.size else np.stack([a] * 3) for a in arrays]
    for axes in ((0, 0, None), (0, None, None), (None, 0, None), (0, 0, 0), (None, 0, 0), (None, None, 0)):
        if axes[2] == 0 and not arrays or axes == (None, None, 0) and not arrays:
            continue
        args = [v if a is not None else v[0] for v, a in zip((xs, values), axes)]
        chosen = batched if axes[2] == 0 else [b[0] for b in batched]
        got = vmap(lambda x, v, i: getattr(at(x)[rebuild(i)], op)(v), in_axes=axes)(*args, chosen)
        for k in range(3):
            x, v = [w if a is None else w[k] for w, a in zip(args, axes)]
            i = [b if axes[2] is None else b[k] for b in chosen]
            try:
                expected = updated(op, x, rebuild(i), v)
            except (ValueError, IndexError):
                return
            np.testing.assert_allclose(got[k], expected, rtol=1e-13)


def finite_differences(f, args, tangents, eps=1e-6):
    up = f(*[a + eps * t for a, t in zip(args, tangents)])
    down = f(*[a - eps * t for a, t in zip(args, tangents)])
    return (up - down) / (2 * eps)


@settings(max_examples=200)
@given(shapes_and_indices(min_dims=1), st.sampled_from((*OPS, "divide", "power")))
def test_gradients_of_updates(case, op):
    """Forward mode equals finite differences, reverse mode is its transpose, both in the array and in the values."""
    shape, index = case
    x = rng.uniform(0.5, 2, shape)
    selected, error = numpy_result(x, index)
    if error is not None:
        return
    values = rng.uniform(0.5, 2, selected.shape)

    def f(x, v):
        return getattr(at(x)[index], op)(v)

    tangents = rng.standard_normal(shape), rng.standard_normal(values.shape)
    out, tangent = jvp(f, (x, values), tangents)
    np.testing.assert_allclose(tangent, finite_differences(f, (x, values), tangents), rtol=1e-5, atol=1e-6)
    ct = rng.standard_normal(np.shape(out))
    back = vjp(f, x, values)[1](ct)
    np.testing.assert_allclose(
        sum(np.sum(b * t) for b, t in zip(back, tangents)), np.sum(ct * tangent), rtol=1e-9, atol=1e-9
    )


# ------------------------------------------------------------------ modes

BEYOND = np.array([-7, -1, 0, 4, 5, 9])


@pytest.mark.parametrize("wrap_negative", [True, False])
@pytest.mark.parametrize("mode", ["clip", "wrap", "fill", "drop"])
def test_get_modes(mode, wrap_negative):
    x = rng.standard_normal((5, 2))
    i = np.where((BEYOND < 0) & wrap_negative, BEYOND + 5, BEYOND) if mode != "wrap" else BEYOND % 5
    expected = x[np.clip(i, 0, 4)]
    if mode in ("fill", "drop"):
        expected[(i < 0) | (i > 4)] = np.nan
    options = {"mode": mode, "wrap_negative_indices": wrap_negative}
    np.testing.assert_array_equal(at(x)[BEYOND].get(**options), expected)
    np.testing.assert_array_equal(jit(lambda x, i: at(x)[i].get(**options))(x, BEYOND), expected)
    # the gradient reaches the elements that were read, and nothing through what was filled in
    g = grad(lambda x: e.add(at(x)[BEYOND].get(**options, fill_value=0.0), 0.0).sum())(x)
    counts = np.zeros(5)
    valid = np.ones(len(i), bool) if mode in ("clip", "wrap") else (i >= 0) & (i < 5)
    np.add.at(counts, np.clip(i, 0, 4)[valid], 1)
    np.testing.assert_array_equal(g, np.broadcast_to(counts[:, None], (5, 2)))


def test_fill_values():
    i = np.array([0, 9])
    assert np.isnan(at(np.ones(3, np.float32))[i].get(mode="fill")[1])
    assert at(np.ones(3, np.int8))[i].get(mode="fill")[1] == -128
    assert at(np.ones(3, np.uint8))[i].get(mode="fill")[1] == 255
    assert at(np.zeros(3, bool))[i].get(mode="fill")[1]
    assert at(np.ones(3))[i].get(mode="fill", fill_value=7)[1] == 7
    assert at(np.ones(3))[9].get(mode="fill", fill_value=7) == 7
    assert at(np.ones(3))[9].get(mode="clip") == 1
    np.testing.assert_array_equal(at(np.ones((0, 2)))[i].get(mode="fill", fill_value=3), np.full((2, 2), 3.0))


@pytest.mark.parametrize("wrap_negative", [True, False])
@pytest.mark.parametrize("mode", ["clip", "wrap", "drop", "fill"])
@pytest.mark.parametrize("op", OPS)
def test_update_modes(op, mode, wrap_negative):
    x, v = rng.standard_normal((5, 2)), rng.standard_normal((6, 2))
    i = np.where((BEYOND < 0) & wrap_negative, BEYOND + 5, BEYOND) if mode != "wrap" else BEYOND % 5
    valid = np.ones(6, bool) if mode in ("clip", "wrap") else (i >= 0) & (i < 5)
    expected = updated(op, x, np.clip(i, 0, 4)[valid], v[valid])
    options = {"mode": mode, "wrap_negative_indices": wrap_negative}
    np.testing.assert_allclose(getattr(at(x)[BEYOND], op)(v, **options), expected)
    np.testing.assert_allclose(jit(lambda x, i, v: getattr(at(x)[i], op)(v, **options))(x, BEYOND, v), expected)
    tangents = rng.standard_normal(x.shape), rng.standard_normal(v.shape)

    def f(x, v):
        return getattr(at(x)[BEYOND], op)(v, **options)

    _, tangent = jvp(f, (x, v), tangents)
    np.testing.assert_allclose(tangent, finite_differences(f, (x, v), tangents), atol=1e-6)
    ct = rng.standard_normal(x.shape)
    back = vjp(f, x, v)[1](ct)
    np.testing.assert_allclose(sum(np.sum(b * t) for b, t in zip(back, tangents)), np.sum(ct * tangent), atol=1e-9)


@pytest.mark.parametrize("op", OPS)
def test_static_position_out_of_range_is_dropped(op):
    x = rng.standard_normal((3, 2))
    np.testing.assert_array_equal(getattr(at(x)[5], op)(1.0, mode="drop"), x)
    np.testing.assert_allclose(getattr(at(x)[5], op)(2.0, mode="clip"), updated(op, x, 2, 2.0))


# ------------------------------------------------------------------ derivatives at kinks and repetitions


def test_last_set_wins_and_takes_the_cotangent():
    x, v = np.zeros(3), np.array([1.0, 2.0, 3.0])
    i = np.array([1, 1, 0])
    out, pull = vjp(lambda x, v: at(x)[i].set(v), x, v)
    np.testing.assert_array_equal(out, [3, 2, 0])
    dx, dv = pull(np.array([10.0, 20.0, 30.0]))
    np.testing.assert_array_equal(dx, [0, 0, 30])
    np.testing.assert_array_equal(dv, [0, 20, 10])


def test_last_set_wins_whatever_the_memory_order():
    order = np.array([[2, 0], [1, 2], [0, 0]])
    for i in (order, np.asfortranarray(order), order[::-1], order.T.copy().T):
        v = np.arange(6.0).reshape(3, 2)
        expected = np.zeros(3)
        for k, slot in np.ndenumerate(i):
            expected[slot] = v[k]
        np.testing.assert_array_equal(at(np.zeros(3))[i].set(v), expected)
        np.testing.assert_array_equal(at(np.zeros((3, 1)))[i, 0].set(v)[:, 0], expected)
        back = vjp(lambda v, i=i: at(np.zeros(3))[i].set(v), v)[1](np.ones(3))[0]
        assert back.sum() == 3
        np.testing.assert_array_equal(back.astype(bool), np.isin(v, expected))


@pytest.mark.parametrize("op", ["min", "max"])
def test_ties_share_the_derivative(op):
    x, v = np.array([1.0, 5.0]), np.array([1.0, 1.0, 5.0])
    i = np.array([0, 0, 1])
    dx, dv = vjp(lambda x, v: getattr(at(x)[i], op)(v), x, v)[1](np.array([3.0, 4.0]))
    np.testing.assert_allclose(dx, [1, 2])
    np.testing.assert_allclose(dv, [1, 1, 2])


def test_multiply_by_zeros():
    """d(x * prod(v)) / dv is the product of the others: checked where some are zero."""
    i = np.array([0, 0, 1, 1, 2])
    x, v = np.array([2.0, 3.0, 4.0]), np.array([0.0, 5.0, 0.0, 0.0, 7.0])
    dx, dv = vjp(lambda x, v: at(x)[i].multiply(v), x, v)[1](np.ones(3))
    np.testing.assert_allclose(dx, [0, 0, 7])
    np.testing.assert_allclose(dv, [10, 0, 0, 0, 4])


# ------------------------------------------------------------------ masks


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(
    ("mask_shape", "index", "value_shape"),
    [
        ((4, 3, 2), lambda m: m, ()),
        ((4, 3, 2), lambda m: (m,), (1,)),
        ((4,), lambda m: m, (3, 2)),
        ((4,), lambda m: (m, ...), (1, 3, 1)),
        ((3, 2), lambda m: (..., m), ()),
        ((3, 2), lambda m: (slice(None), m), (4, 1)),
        ((3,), lambda m: (slice(None), m, slice(None)), (4, 1, 2)),
        ((2,), lambda m: (..., m), (3, 1)),
    ],
)
def test_update_by_a_mask_that_is_not_known(op, mask_shape, index, value_shape):
    x, values = rng.standard_normal((4, 3, 2)), rng.standard_normal(value_shape)
    mask = rng.integers(0, 2, mask_shape).astype(bool)
    expected = x.copy()
    if op == "set":
        expected[index(mask)] = values
    else:
        expected[index(mask)] = AT[op](expected[index(mask)], values)
    np.testing.assert_allclose(jit(lambda x, m, v: getattr(at(x)[index(m)], op)(v))(x, mask, values), expected)
    np.testing.assert_allclose(getattr(at(x)[index(mask)], op)(values), expected)
    many = np.stack([mask, ~mask])
    got = vmap(lambda m: getattr(at(x)[index(m)], op)(values))(many)
    np.testing.assert_allclose(got[0], expected)


def test_masks_that_are_known():
    x = rng.standard_normal((3, 4))
    mask = x > 0
    np.testing.assert_array_equal(getitem(x, mask), x[mask])
    # under grad the mask has a value, although it is computed from a traced array
    g = grad(lambda x: getitem(x, e.gt(x, 0)).sum())(x)
    np.testing.assert_array_equal(g, mask)
    np.testing.assert_array_equal(grad(lambda x: at(x)[e.gt(x, 0)].set(0.0).sum())(x), ~mask)


def test_unknown_masks_are_refused_where_the_shape_depends_on_them():
    x = np.arange(4.0)
    for f in (
        lambda x: getitem(x, e.gt(x, 1)),
        lambda x: at(x)[e.gt(x, 1)].get(),
        lambda x: at(x)[e.gt(x, 1)].set(np.arange(2.0)),
        lambda x: at(getitem(x, (None, slice(None))))[0, e.gt(x, 1)].set(1.0),
    ):
        with pytest.raises(NonConcreteBooleanIndexError, match="fnets.numpy.where"):
            jit(f)(x)
    with pytest.raises(NonConcreteBooleanIndexError):
        vmap(lambda x: getitem(x, e.gt(x, 1)))(x[None])


# ------------------------------------------------------------------ the at object


def test_at_on_tracers_is_the_same_class():
    assert isinstance(at(np.zeros(2)), At)
    jaxpr = make_jaxpr(lambda x: At(x)[1:].set(2.0))(np.zeros(3, np.float32))
    assert [q.prim.name for q in jaxpr.eqns][-1] == "update"


def test_at_keeps_the_dtype_and_the_array():
    x = np.arange(3, dtype=np.float32)
    for values in (1, 2.0, np.int64(1), np.float64(2), np.arange(3), np.ones(3)):
        assert at(x)[:].add(values).dtype == np.float32
    assert at(x)[1].divide(2).dtype == np.float32
    assert at(np.arange(3))[1].divide(2).dtype == np.float64
    np.testing.assert_array_equal(x, [0, 1, 2])
    out = at(x)[:].set(np.float32(7))
    out[0] = 1  # what the user gets is writable
    with pytest.raises(DTypeError):
        at(np.arange(3))[0].set(0.5)
    with pytest.raises(DTypeError):
        at(np.arange(3))[0].subtract(0.5)
    with pytest.raises(DTypeError):
        at(x)[0].add(1j)
    with pytest.raises(ArgumentError, match="got modes"):
        at(x)[0].add(1.0, modes="clip")


@pytest.mark.parametrize(
    "index", [slice(1, None), np.array([0, 2]), np.array([1, 1, 0]), (0,), np.array([True, False, True])]
)
def test_apply(index):
    x = rng.uniform(1, 2, 3)
    expected = x.copy()
    np.square.at(expected, index)
    np.testing.assert_allclose(at(x)[index].apply(e.square), expected)
    np.testing.assert_allclose(jit(lambda x: at(x)[index].apply(e.square))(x), expected)
    if isinstance(index, np.ndarray) and index.dtype != bool:  # not known how often: a loop
        traced = jit(lambda x, i: at(x)[i].apply(e.square))
        np.testing.assert_allclose(traced(x, index), expected)
        np.testing.assert_allclose(vmap(lambda i: at(x)[i].apply(e.square))(index[None])[0], expected)
    g = grad(lambda x: at(x)[index].apply(e.square).sum())(x)
    numeric = finite_differences(lambda x: at(x)[index].apply(e.square), (x,), (np.ones(3),))
    np.testing.assert_allclose(g, numeric, rtol=1e-6)


def test_apply_does_not_look_at_other_elements():
    """The slope of log at 0 is infinite: it must not touch the gradient where log isn't applied."""
    x, i = np.array([0.0, 2.0, 4.0]), np.array([1, 2])
    for f in (lambda x, i: at(x)[i].apply(e.log).sum(), jit(lambda x, i: at(x)[i].apply(e.log).sum())):
        np.testing.assert_allclose(grad(f)(x, i), [1, 0.5, 0.25])


def test_apply_with_modes():
    x = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(at(x)[np.array([0, 5, 0])].apply(np.negative, mode="drop"), [1, 2, 3])
    np.testing.assert_array_equal(at(x)[np.array([0, 5])].apply(np.negative, mode="clip"), [-1, 2, -3])
    np.testing.assert_array_equal(
        at(x)[np.array([0, 5])].apply(np.negative, mode="drop", unique_indices=True), [-1, 2, 3]
    )
    np.testing.assert_array_equal(
        jit(lambda x, i: at(x)[i].apply(e.neg, unique_indices=True))(x, np.array([0, 1])), [-1, -2, 3]
    )


# ------------------------------------------------------------------ take, take_along_axis, put_along_axis


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("index_shape", [(), (4,), (2, 3), (0,)])
def test_take(axis, index_shape):
    x = rng.standard_normal((3, 4, 5))
    n = x.size if axis is None else x.shape[axis]
    i = rng.integers(-n, n, index_shape)
    np.testing.assert_array_equal(take(x, i, axis), np.take(x, i, axis))
    np.testing.assert_array_equal(jit(lambda x, i: take(x, i, axis))(x, i), np.take(x, i, axis))
    far = i * 3
    for mode in ("clip", "wrap"):
        np.testing.assert_array_equal(take(x, far, axis, mode=mode), np.take(x, far, axis, mode=mode))
    xs = rng.standard_normal((3, 4, 2, 5))
    expected = np.stack([np.take(xs[:, :, k], i % min(n, 3), axis) for k in range(2)])
    np.testing.assert_array_equal(vmap(lambda x: take(x, i % min(n, 3), axis), in_axes=2)(xs), expected)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_take_along_axis(axis):
    x = rng.standard_normal((3, 4))
    i = rng.integers(-12, 12, 5) if axis is None else rng.integers(-3, 3, (3, 2) if axis else (2, 4))
    expected = np.take_along_axis(x, i, axis)
    np.testing.assert_array_equal(take_along_axis(x, i, axis), expected)
    np.testing.assert_array_equal(jit(lambda x, i: take_along_axis(x, i, axis))(x, i), expected)
    weights = rng.standard_normal(expected.shape)
    g = grad(lambda x: e.mul(take_along_axis(x, i, axis), weights).sum())(x)
    numeric = np.zeros(x.size if axis is None else x.shape)
    if axis is None:
        np.add.at(numeric, i, weights)
    else:
        other = np.arange(3)[:, None] if axis else np.arange(4)
        np.add.at(numeric, (other, i) if axis else (i, other), weights)
    np.testing.assert_allclose(g, numeric.reshape(3, 4))


def test_take_along_axis_broadcasts_and_batches():
    x = rng.standard_normal((1, 4, 3))
    i = rng.integers(0, 3, (2, 1, 2))
    expected = np.take_along_axis(np.broadcast_to(x, (2, 4, 3)), np.broadcast_to(i, (2, 4, 2)), 2)
    np.testing.assert_array_equal(take_along_axis(x, i, 2), expected)
    logits, labels = rng.standard_normal((6, 10)), rng.integers(0, 10, 6)
    picked = vmap(lambda x, label: take_along_axis(x, label, 0))(logits, labels[:, None])
    np.testing.assert_array_equal(picked, np.take_along_axis(logits, labels[:, None], 1))
    per_example = vmap(grad(lambda x, label: getitem(x, label)))(logits, labels)
    np.testing.assert_array_equal(per_example, np.eye(10)[labels])
    out = take_along_axis(logits, labels[:, None] + 7, 1, mode="fill", fill_value=0)
    np.testing.assert_array_equal(out[:, 0] != 0, labels < 3)


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_put_along_axis(axis):
    x = rng.standard_normal((3, 4))
    i = rng.integers(-12, 12, 5) if axis is None else rng.integers(-3, 3, (3, 1) if axis else (1, 4))
    for values in (2.0, rng.standard_normal(i.shape)):
        expected = x.copy()
        np.put_along_axis(expected, i, values, axis)
        np.testing.assert_array_equal(put_along_axis(x, i, values, axis, inplace=False), expected)
        np.testing.assert_array_equal(
            jit(lambda x, i, v: put_along_axis(x, i, v, axis, inplace=False))(x, i, values), expected
        )
    with pytest.raises(ArgumentError, match="inplace=False"):
        put_along_axis(x, i, 0.0, axis)


# ------------------------------------------------------------------ windows


def clamped(start, n, size):
    return min(max(start + n if start < 0 else start, 0), n - size)


@given(st.integers(-7, 9), st.integers(-7, 9), st.integers(0, 5), st.integers(0, 4))
def test_dynamic_slice_and_update(i, j, h, w):
    x = rng.standard_normal((5, 4))
    a, b = clamped(i, 5, h), clamped(j, 4, w)
    expected = x[a : a + h, b : b + w]
    for f in (lambda x, s: ix.dynamic_slice(x, s, (h, w)), jit(lambda x, s: ix.dynamic_slice(x, s, (h, w)))):
        np.testing.assert_array_equal(f(x, (i, j)), expected)
        np.testing.assert_array_equal(f(x, np.array([i, j])), expected)
    update = rng.standard_normal((h, w))
    changed = x.copy()
    changed[a : a + h, b : b + w] = update
    np.testing.assert_array_equal(ix.dynamic_update_slice(x, update, (i, j)), changed)
    np.testing.assert_array_equal(jit(lambda x, u, s: ix.dynamic_update_slice(x, u, s))(x, update, (i, j)), changed)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("start", [0, 1, 7, -2])
def test_windows_in_one_axis(axis, start):
    x = rng.standard_normal((5, 4, 3))
    n = x.shape[axis]
    a = clamped(start, n, 2)
    np.testing.assert_array_equal(ix.dynamic_slice_in_dim(x, start, 2, axis), np.take(x, [a, a + 1], axis))
    one = clamped(start, n, 1)
    np.testing.assert_array_equal(ix.dynamic_index_in_dim(x, start, axis), np.take(x, [one], axis))
    np.testing.assert_array_equal(ix.dynamic_index_in_dim(x, start, axis, keepdims=False), np.take(x, one, axis))
    moved = np.moveaxis(x.copy(), axis, 0)
    moved[one] = 7
    row = np.full(moved.shape[1:], 7.0)
    np.testing.assert_array_equal(ix.dynamic_update_index_in_dim(x, row, start, axis), np.moveaxis(moved, 0, axis))
    if start < n:
        np.testing.assert_array_equal(ix.index_in_dim(x, start, axis, keepdims=False), np.take(x, start, axis))
        np.testing.assert_array_equal(ix.index_in_dim(x, start, axis), np.take(x, [start], axis))


def test_negative_starts_may_count_as_zero():
    x = np.arange(5)
    assert ix.dynamic_index_in_dim(x, -2, keepdims=False) == 3
    assert ix.dynamic_index_in_dim(x, -2, keepdims=False, allow_negative_indices=False) == 0
    np.testing.assert_array_equal(ix.dynamic_slice(x, (-2,), (2,), allow_negative_indices=False), [0, 1])


# ------------------------------------------------------------------ jit reuses buffers, and not too eagerly


def test_update_in_place_only_where_nobody_else_looks():
    x = rng.standard_normal(6)

    def f(x):
        y = e.mul(x, 2.0)
        z = at(y)[np.array([0, 1, 1])].add(1.0)  # y dies here
        w = at(z)[1:].set(getitem(z, slice(None, -1)))  # the values are a view of z
        u = at(w)[0].add(w[1] if isinstance(w, np.ndarray) else getitem(w, 1))
        return u, w

    expected = f(x)
    got = jit(f)(x)
    for a, b in zip(got, expected):
        np.testing.assert_array_equal(a, b)
    zeros = jit(lambda i: at(np.zeros(4))[i].add(1.0))
    np.testing.assert_array_equal(zeros(np.array([1, 1])), [0, 2, 0, 0])
    np.testing.assert_array_equal(zeros(np.array([2, 3])), [0, 0, 1, 1])


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (7, "index 7 is out of bounds for axis 0 with size 3"),
        ((0, -5), "index -5 is out of bounds for axis 1 with size 4"),
        (np.array([0, 9]), "index 9 is out of bounds for axis 0 with size 3"),
        ((slice(None), np.array([[-6]])), "index -6 is out of bounds for axis 1 with size 4"),
        ((0, 0, 0), "too many indices"),
        ((..., 0, ...), "single ellipsis"),
        (0.5, "only integers, slices"),
        ("a", "only integers, slices"),
        (np.array([0.5]), "integer \\(or boolean\\) type"),
        (np.ones((3, 5), bool), "boolean index did not match"),
        ((np.array([0, 1]), np.array([0, 1, 2])), "shape mismatch"),
    ],
)
def test_wrong_indices(index, message):
    x = np.zeros((3, 4))
    for f in (lambda x: getitem(x, index), lambda x: at(x)[index].get(), lambda x: at(x)[index].set(0.0)):
        for g in (f, jit(f), grad(lambda x, f=f: f(x).sum())):
            with pytest.raises(IndexingError, match=message):
                g(x)


def test_positions_out_of_range_are_found_at_run_time_under_jit():
    f = jit(lambda x, i: getitem(x, i))
    with pytest.raises(IndexError, match="9"):
        f(np.zeros(3), np.array([0, 9]))
    with pytest.raises(IndexError, match="9"):
        f(np.zeros(3), 9)
    with pytest.raises(IndexError, match="-4"):
        jit(lambda x, i: at(x)[i].add(1.0))(np.zeros((3, 2)), np.array([0, -4]))


def test_other_errors_name_a_fix():
    x = np.zeros((3, 4))
    with pytest.raises(IndexingError, match="dynamic_slice"):
        jit(lambda x, i: getitem(x, slice(i, 3)))(x, 1)
    with pytest.raises(IndexingError, match="int\\(\\)"):
        grad(lambda x: getitem(x, slice(0.5, 1)).sum())(x)
    with pytest.raises(ShapeError, match="broadcast to the selected shape"):
        at(x)[0].set(np.ones(3))
    with pytest.raises(ShapeError, match="as many axes"):
        take_along_axis(x, np.zeros(3, int), 1)
    with pytest.raises(ArgumentError, match="mode"):
        at(x)[0].get(mode="nearest")
    with pytest.raises(IndexingError, match="integer dtype"):
        take(x, np.array([0.5]))
    with pytest.raises(ShapeError, match="slice_sizes"):
        ix.dynamic_slice(x, (0, 0), (4, 4))
    with pytest.raises(ShapeError, match="one start"):
        ix.dynamic_slice(x, (0,), (1, 4))
    with pytest.raises(ShapeError, match="same axes"):
        ix.dynamic_update_slice(x, np.zeros(4), (0, 0))
    with pytest.raises(IndexingError, match="scalar integer"):
        ix.dynamic_slice(x, (0, 0.5), (1, 1))
    with pytest.raises(IndexingError, match="scalar integer"):
        ix.dynamic_index_in_dim(x, np.array([0]))


def test_results_have_the_types_that_staging_promises():
    x = np.zeros((3, 4), np.float32)
    for index in (0, (0, 1), slice(1), np.array([0]), None, ..., (), True):
        aval = make_jaxpr(lambda x, index=index: getitem(x, index))(x).outvars[0].aval
        got = getitem(x, index)
        assert (typeof(got).shape, typeof(got).dtype) == (aval.shape, aval.dtype)
