"""gather and scatter with dimension numbers, and sort, against values from JAX; the kernels against ufunc.at."""

from __future__ import annotations

import numpy as np
import pytest
from golden.golden_io import load
from hypothesis import given
from hypothesis import strategies as st

from fnets.errors import ArgumentError, ConcretizationTypeError, IndexingError, ShapeError
from fnets.primitives import dimension_numbers as dn
from fnets.primitives import elementwise as e
from fnets.primitives import sort as s
from fnets.primitives.gather import gather_transpose_p, scatter_p
from fnets.primitives.index_arrays import gathered_shape
from fnets.transforms.jit import jit
from fnets.transforms.vjp import vjp
from fnets.transforms.vmap import vmap

CASES, ARRAYS = load("indexing")
rng = np.random.default_rng(0)


def each(*kinds):
    chosen = [c for c in CASES if c["kind"] in kinds]
    return pytest.mark.parametrize("case", chosen, ids=lambda c: c["name"])


def parts(case, *names):
    return [ARRAYS.get(f"{case['name']}_{n}") for n in names]


def same(got, expected):
    assert np.shape(got) == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@each("gather")
def test_gather(case):
    x, indices, y, ct, dx = parts(case, "x", "indices", "y", "ct", "dx")
    numbers = dn.GatherDimensionNumbers(**case["numbers"])

    def f(x, indices=indices):
        return dn.gather(x, indices, numbers, case["slice_sizes"], mode=case["mode"], fill_value=case["fill_value"])

    same(f(x), y)
    same(jit(f)(x, indices), y)
    same(vjp(f, x)[1](ct)[0], dx)
    many = (
        np.stack([indices, indices[::-1]], 1)
        if indices.ndim > 1 and not case["numbers"]["start_indices_batching_dims"]
        else np.stack([indices] * 2, 1)
    )
    got = vmap(f, in_axes=(None, 1))(x, many)
    for k in range(2):
        same(got[k], f(x, many[:, k]))
    same(vmap(f)(np.stack([x, 2 * x]), np.moveaxis(many, 1, 0))[1], f(2 * x, many[:, 1]))


@each("scatter", "scatter_add", "scatter_sub", "scatter_mul", "scatter_min", "scatter_max")
def test_scatter(case):
    x, indices, u, y, ct, dx, du = parts(case, "x", "indices", "u", "y", "ct", "dx", "du")
    numbers = dn.ScatterDimensionNumbers(**case["numbers"])

    def f(x, u, indices=indices):
        return getattr(dn, case["kind"])(x, indices, u, numbers, mode=case["mode"], unique_indices=bool(case["unique"]))

    same(f(x, u), y)
    same(jit(f)(x, u, indices), y)
    if ct is not None:
        back = vjp(f, x, u)[1](ct)
        same(back[0], dx)
        same(back[1], du)
    same(vmap(f, in_axes=(None, 0))(x, np.stack([u, u]))[1], y)
    same(vmap(f)(np.stack([x, x]), np.stack([u, u]), np.stack([indices, indices]))[0], y)


@each("scatter_add")
def test_scatter_apply(case):
    """x + n at an element that lies in n windows: adding 1 once for each equals adding ones."""
    x, indices, u = parts(case, "x", "indices", "u")
    numbers = dn.ScatterDimensionNumbers(**case["numbers"])
    expected = dn.scatter_add(x, indices, np.ones_like(u), numbers, mode=case["mode"])
    unique = bool(case["unique"])

    def f(x, indices=indices):
        options = {"update_shape": u.shape, "unique_indices": unique, "mode": case["mode"]}
        return dn.scatter_apply(x, indices, lambda v: e.add(v, 1.0), numbers, **options)

    same(f(x), expected)
    if unique:
        same(jit(f)(x, indices), expected)
    else:
        with pytest.raises(ConcretizationTypeError, match="unique_indices"):
            jit(f)(x, indices)


@each("sort")
def test_sort_by_several_keys(case):
    xs = parts(case, *[f"x{i}" for i in range(case["count"])])
    ys = parts(case, *[f"y{i}" for i in range(case["count"])])
    for f in (s.sort, jit(s.sort, static_argnames=("dimension", "num_keys"))):
        got = f(xs, dimension=case["dimension"], num_keys=case["num_keys"])
        for a, b in zip(got, ys, strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype


@each("top_k")
def test_top_k(case):
    x, values, indices = parts(case, "x", "values", "indices")
    for f in (s.top_k, jit(s.top_k, static_argnames="k")):
        got = f(x, k=case["k"])
        np.testing.assert_array_equal(got[0], values)
        np.testing.assert_array_equal(got[1], indices)


@pytest.mark.parametrize("axes", [(0,), (1,), (2, 0), (1, 2), (0, -1)])
def test_index_take(axes):
    x = rng.standard_normal((3, 4, 5))
    idxs = [rng.integers(-9, 9, 6) for _ in axes]
    ahead = np.moveaxis(x, axes, range(len(axes)))
    expected = ahead[tuple(i % n for i, n in zip(idxs, ahead.shape))]
    np.testing.assert_array_equal(dn.index_take(x, idxs, axes), expected)
    np.testing.assert_array_equal(jit(lambda x, i: dn.index_take(x, i, axes))(x, idxs), expected)


def test_modes_by_name():
    mode = dn.GatherScatterMode
    assert mode.from_any(None) is mode.from_any("drop") is mode.from_any("fill") is mode.FILL_OR_DROP
    assert mode.from_any("clip") is mode.CLIP
    assert mode.from_any(mode.CLIP) is mode.CLIP
    assert mode.from_any("promise_in_bounds") is mode.PROMISE_IN_BOUNDS
    with pytest.raises(ArgumentError):
        mode.from_any("wrap")


def test_errors():
    x = np.zeros((4, 3))
    rows = dn.GatherDimensionNumbers((1,), (0,), (0,))
    with pytest.raises(ShapeError, match="index vectors"):
        dn.gather(x, np.array([1, 2]), rows, (1, 3))
    with pytest.raises(ShapeError, match="windows that fit"):
        dn.gather(x, np.array([[1]]), rows, (1, 9))
    with pytest.raises(ShapeError, match="offset_dims"):
        dn.gather(x, np.array([[1]]), dn.GatherDimensionNumbers((), (0,), (0,)), (1, 3))
    with pytest.raises(IndexingError, match="integer"):
        dn.gather(x, np.array([[1.0]]), rows, (1, 3))
    numbers = dn.ScatterDimensionNumbers((1,), (0,), (0,))
    with pytest.raises(ShapeError, match="index vectors, \\(2,\\)"):
        dn.scatter(x, np.array([[1], [2]]), np.zeros((3, 3)), numbers)
    with pytest.raises(ShapeError, match="update_window_dim"):
        dn.scatter(x, np.array([[1]]), np.zeros((1, 3)), dn.ScatterDimensionNumbers((), (0,), (0,)))


# ------------------------------------------------------------------ kernels: every way through them, against ufunc.at

UFUNC = {"add": np.add, "mul": np.multiply, "min": np.minimum, "max": np.maximum}


@given(
    st.sampled_from([(50, 6), (50, 7), (9, 5, 4), (5, 9, 6), (6, 4, 5, 4), (3, 1100), (40, 200), (2000,)]),
    st.data(),
    st.sampled_from(sorted(UFUNC)),
    st.sampled_from([np.float32, np.float64, np.complex128, np.int32, np.uint8, np.float16]),
)
def test_kernels(shape, data, op, dtype):
    axes = tuple(sorted(data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))))
    count = data.draw(st.sampled_from([1, 20, 500]))
    indices = [rng.integers(-shape[a], shape[a], count) for a in axes]
    if count == 500 and len(axes) == 1:
        indices = [i.reshape(50, 10) for i in indices]
    index = [slice(None)] * len(shape)
    for a, i in zip(axes, indices):
        index[a] = i
    u_shape = gathered_shape(shape, indices[0].shape, axes)
    x, u = rng.integers(0, 3, shape).astype(dtype), rng.integers(0, 3, u_shape).astype(dtype)
    if dtype == np.float16 and op == "mul":
        x = u = np.ones_like(u)
        x = np.ones(shape, dtype)
    expected = x.copy()
    UFUNC[op].at(expected, tuple(index), u)
    got = scatter_p.bind(x, u, *indices, axes=axes, op=op, drop=False, unique=False)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, expected, rtol=1e-3 if dtype == np.float16 else 1e-5)
    far = [i * 2 for i in indices]
    inside = np.logical_and.reduce([(i >= 0) & (i < shape[a]) for a, i in zip(axes, far)])
    rows = np.moveaxis(u, range(u.ndim), range(u.ndim))
    pos = axes[0] if axes[-1] - axes[0] == len(axes) - 1 else 0
    front = np.moveaxis(rows, range(pos, pos + inside.ndim), range(inside.ndim))[inside]
    expected = x.copy()
    view = np.moveaxis(expected, axes, range(len(axes)))
    UFUNC[op].at(view, tuple(i[inside] for i in far), front)
    got = scatter_p.bind(x, u, *far, axes=axes, op=op, drop=True, unique=False)
    np.testing.assert_allclose(got, expected, rtol=1e-3 if dtype == np.float16 else 1e-5)
    if op == "add":
        expected = np.zeros(shape, dtype)
        np.add.at(expected, tuple(index), u)
        got = gather_transpose_p.bind(u, *indices, shape=shape, axes=axes, unique=False)
        np.testing.assert_allclose(got, expected, rtol=1e-3 if dtype == np.float16 else 1e-5)


@pytest.mark.parametrize("op", sorted(UFUNC))
@pytest.mark.parametrize("width", [3, 4])
@pytest.mark.parametrize("skewed", [False, True])
def test_many_repetitions_are_combined_in_their_order(op: str, width: int, skewed: bool):
    indices = rng.integers(0, 40, 3000) - 20
    indices[:10] = 3
    if skewed:
        indices[rng.uniform(size=3000) < 0.9] = 7  # too many rounds: the other way
    x, u = rng.uniform(0.9, 1.1, (50, width)), rng.uniform(0.9, 1.1, (3000, width))
    expected = np.zeros_like(x) if op == "add" else x.copy()
    x = expected.copy()
    UFUNC[op].at(expected, indices, u)
    got = scatter_p.bind(x, u, indices, axes=(0,), op=op, drop=False, unique=False)
    if op == "mul":
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    else:
        np.testing.assert_array_equal(got, expected)


def test_sums_hold_infinities_and_nans_apart():
    """Neighbours are summed as the parts of one complex number: what one holds must not leak into the other."""
    x = np.zeros((3, 200))
    u = np.zeros((4, 200))
    u[0, 0], u[1, 3], u[2, 4] = np.inf, np.nan, -np.inf
    got = scatter_p.bind(x, u, np.array([1, 1, 2, 0]), axes=(0,), op="add", drop=False, unique=False)
    expected = x.copy()
    np.add.at(expected, np.array([1, 1, 2, 0]), u)
    np.testing.assert_array_equal(got, expected)
