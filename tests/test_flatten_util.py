"""`ravel_pytree` against NumPy's own ravel and concatenate, its inverse, and under every transformation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fnets
from fnets import tree
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.flatten_util import ravel_pytree

rng = np.random.default_rng(3)


def params(dtype="float32"):
    return {
        "b": rng.standard_normal(3).astype(dtype),
        "layers": [rng.standard_normal((2, 3)).astype(dtype), (rng.standard_normal(()).astype(dtype), None)],
    }


def assert_same(a, b):
    assert tree.structure(a) == tree.structure(b)
    for x, y in zip(tree.leaves(a), tree.leaves(b)):
        assert x.dtype == y.dtype and x.shape == y.shape
        np.testing.assert_array_equal(x, y)


def test_order_and_inverse():
    p = params()
    flat, unravel = ravel_pytree(p)
    np.testing.assert_array_equal(flat, np.concatenate([p["b"], p["layers"][0].ravel(), p["layers"][1][0].reshape(1)]))
    assert flat.dtype == np.float32
    assert_same(unravel(flat), p)


def test_leaves_do_not_share_memory_with_the_vector():
    p = [np.zeros(3, np.float32)]
    flat, _ = ravel_pytree(p)
    flat[:] = 1
    assert (p[0] == 0).all()


def test_one_dtype_is_kept_by_the_vector_that_is_unravelled():
    flat, unravel = ravel_pytree(params())
    assert {x.dtype for x in tree.leaves(unravel(flat.astype("float64")))} == {np.dtype("float64")}


def test_dtypes_are_promoted_and_restored():
    p = {"i": np.arange(3), "f": np.ones(2, np.float32), "s": 2.5}
    flat, unravel = ravel_pytree(p)
    assert flat.dtype == np.result_type(np.int64, np.float32)
    np.testing.assert_array_equal(flat, [1, 1, 0, 1, 2, 2.5])
    back = unravel(flat)
    assert back["i"].dtype == np.int64 and back["f"].dtype == np.float32 and back["s"] == 2.5


@pytest.mark.parametrize("empty", [{}, [], None, {"a": (), "b": None}])
def test_no_leaves(empty):
    flat, unravel = ravel_pytree(empty)
    assert flat.shape == (0,) and flat.dtype == np.float32
    with fnets.default_dtype("float64"):
        assert ravel_pytree(empty)[0].dtype == np.float32
    assert unravel(flat) == empty
    with pytest.raises(ShapeError, match=r"shape \(0,\)"):
        unravel(np.ones(1, np.float32))


def test_empty_leaf():
    p = [np.zeros((0, 3), np.float32), np.ones(2, np.float32)]
    flat, unravel = ravel_pytree(p)
    assert flat.shape == (2,)
    assert_same(unravel(flat), p)


@given(
    st.recursive(
        st.lists(st.integers(0, 3), max_size=3).map(lambda s: np.arange(np.prod(s, dtype=int)).reshape(s) * 0.5),
        lambda children: st.lists(children, max_size=3) | st.dictionaries(st.sampled_from("abcd"), children),
        max_leaves=8,
    )
)
def test_any_tree_comes_back(p):
    flat, unravel = ravel_pytree(p)
    assert flat.shape == (sum(x.size for x in tree.leaves(p)),)
    assert_same(unravel(flat), p)


def test_wrong_vectors():
    flat, unravel = ravel_pytree(params())
    for wrong in (flat[1:], flat[None], np.float32(1.0)):
        with pytest.raises(ShapeError, match=r"\[unravel\] expected a vector of shape \(10,\)"):
            unravel(wrong)
    flat, unravel = ravel_pytree([np.arange(2), np.ones(1)])
    with pytest.raises(DTypeError, match="float64.*float32"):
        unravel(flat.astype("float32"))
    with pytest.raises(ArgumentError, match="expected an array or a number, got str"):
        ravel_pytree(["no"])


def test_transformations():
    p = params("float64")
    flat, unravel = ravel_pytree(p)
    weights = rng.standard_normal(flat.size)

    def loss(vector):
        q = unravel(vector)
        return (ravel_pytree(q)[0] * weights).sum() + q["b"] @ q["b"]

    expected = weights.copy()
    expected[:3] += 2 * p["b"]
    for f in (fnets.grad(loss), fnets.jit(fnets.grad(loss)), fnets.grad(fnets.jit(loss))):
        np.testing.assert_allclose(f(flat), expected)
    grads = fnets.grad(lambda q: (ravel_pytree(q)[0] ** 2).sum())(p)
    np.testing.assert_allclose(ravel_pytree(grads)[0], 2 * flat)
    many = np.stack([flat, 2 * flat])
    batched = fnets.vmap(unravel)(many)
    for k in range(2):
        assert_same(tree.map(lambda x, k=k: x[k], batched), unravel(many[k]))
    np.testing.assert_array_equal(fnets.vmap(lambda q: ravel_pytree(q)[0])(batched), many)
    np.testing.assert_allclose(fnets.jvp(lambda v: unravel(v)["b"], (flat,), (weights,))[1], weights[:3])


def test_unravel_is_a_static_argument_that_does_not_retrace():
    traces = []

    @lambda f: fnets.jit(f, static_argnums=1)
    def first(vector, unravel):
        traces.append(1)
        return unravel(vector)["b"]

    for _ in range(3):
        p = params()
        flat, unravel = ravel_pytree(p)
        np.testing.assert_array_equal(first(flat, unravel), p["b"])
    assert len(traces) == 1
