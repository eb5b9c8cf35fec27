"""Collectives over a vmapped axis against NumPy over the whole array, differentiated and nested."""

from __future__ import annotations

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax
from fnets.control import collectives as c

rng = np.random.default_rng(0)
X = rng.standard_normal((4, 4, 3))

# function of one example -> what it must give for the whole array
CASES = {
    "psum": (lambda x: c.psum(x, "i"), lambda x: np.broadcast_to(x.sum(0), x.shape)),
    "pmean": (lambda x: c.pmean(x, "i"), lambda x: np.broadcast_to(x.mean(0), x.shape)),
    "pmax": (lambda x: c.pmax(x, "i"), lambda x: np.broadcast_to(x.max(0), x.shape)),
    "pmin": (lambda x: c.pmin(x, "i"), lambda x: np.broadcast_to(x.min(0), x.shape)),
    "all_gather": (lambda x: c.all_gather(x, "i"), lambda x: np.broadcast_to(x, (4, *x.shape))),
    "all_gather axis": (
        lambda x: c.all_gather(x, "i", axis=1),
        lambda x: np.broadcast_to(x.transpose(1, 0, 2), (4, 4, 4, 3)),
    ),
    "all_gather tiled": (
        lambda x: c.all_gather(x, "i", tiled=True),
        lambda x: np.broadcast_to(x.reshape(16, 3), (4, 16, 3)),
    ),
    "psum_scatter": (lambda x: c.psum_scatter(x, "i"), lambda x: x.sum(0)),
    "psum_scatter tiled": (lambda x: c.psum_scatter(x, "i", tiled=True), lambda x: x.sum(0)[:, None]),
    "all_to_all": (lambda x: c.all_to_all(x, "i", 0, 0), lambda x: x.transpose(1, 0, 2)),
    "all_to_all 01": (lambda x: c.all_to_all(x, "i", 0, 1), lambda x: x.transpose(1, 2, 0)),
    "all_to_all tiled": (lambda x: c.all_to_all(x, "i", 0, 0, tiled=True), lambda x: x.transpose(1, 0, 2)),
    "ppermute": (
        lambda x: c.ppermute(x, "i", [(0, 1), (1, 2), (3, 0)]),
        lambda x: np.stack([x[3], x[0], x[1], 0 * x[0]]),
    ),
    "pshuffle": (lambda x: c.pshuffle(x, "i", [2, 0, 3, 1]), lambda x: x[[2, 0, 3, 1]]),
    "axis_index": (lambda x: x * c.axis_index("i"), lambda x: x * np.arange(4)[:, None, None]),
}


@pytest.mark.parametrize("name", CASES)
def test_collective(name):
    f, whole = CASES[name]
    mapped = fnets.vmap(f, axis_name="i")
    np.testing.assert_allclose(mapped(X), whole(X))
    np.testing.assert_allclose(fnets.jit(mapped)(X), whole(X))
    np.testing.assert_allclose(fnets.vmap(fnets.jit(f), axis_name="i")(X), whole(X))
    np.testing.assert_allclose(fnets.vmap(f, in_axes=1, out_axes=0, axis_name="i")(X.swapaxes(0, 1)), whole(X))
    # another axis mapped inside, and outside
    twice = np.stack([X, -X])
    np.testing.assert_allclose(fnets.vmap(mapped)(twice), np.stack([whole(x) for x in twice]))
    inner = fnets.vmap(fnets.vmap(f, in_axes=2, out_axes=-1), axis_name="i")
    expected = np.stack([whole(twice[k]) for k in range(2)], -1)
    np.testing.assert_allclose(inner(np.moveaxis(twice, 0, 3)), expected)


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name):
    f, whole = CASES[name]
    mapped = fnets.vmap(f, axis_name="i")
    ct = rng.standard_normal(whole(X).shape)
    t = rng.standard_normal(X.shape)
    value, tangent = fnets.jvp(mapped, (X,), (t,))
    back = fnets.vjp(mapped, X)[1](ct)[0]
    np.testing.assert_allclose(np.sum(tangent * ct), np.sum(back * t))
    eps = 1e-6
    np.testing.assert_allclose(tangent, (mapped(X + eps * t) - mapped(X - eps * t)) / (2 * eps), atol=1e-8)
    inside = fnets.vmap(lambda x, ct: fnets.vjp(f, x)[1](ct)[0], axis_name="i")
    np.testing.assert_allclose(inside(X, ct), back)
    np.testing.assert_allclose(fnets.jit(inside)(X, ct), back)


def test_inside_scan_and_of_constants():
    f = fnets.vmap(lambda xs: fnets.lax.scan(lambda s, x: (s + c.psum(x, "i"), None), 0.0, xs)[0], axis_name="i")
    np.testing.assert_allclose(f(X[:, :, 0]), np.full(4, X[:, :, 0].sum()))
    assert fnets.vmap(lambda x: x + c.psum(1, "i"), axis_name="i")(np.zeros(3)).tolist() == [3.0] * 3
    assert fnets.vmap(lambda x: c.psum({"a": x}, "i")["a"], axis_name="i")(np.ones(3)).tolist() == [3.0] * 3
    assert fnets.vmap(lambda x: x + c.axis_size("i"), axis_name="i")(np.zeros(3)).tolist() == [3.0] * 3


def test_two_axes():
    def f(x):
        return x / c.psum(x, ("i", "j")) + c.axis_index(("i", "j"))

    got = fnets.vmap(fnets.vmap(f, axis_name="j"), axis_name="i")(np.abs(X[..., 0]))
    x = np.abs(X[..., 0])
    np.testing.assert_allclose(got, x / x.sum() + np.arange(16).reshape(4, 4))


def test_unbound_axis():
    with pytest.raises(NameError, match="unbound axis name: k"):
        fnets.vmap(lambda x: c.psum(x, "k"), axis_name="i")(np.ones(3))
    with pytest.raises(NameError, match="unbound axis name"):
        c.axis_index("i")
    with pytest.raises(ValueError, match="length of the mapped axis"):
        fnets.vmap(lambda x: c.psum_scatter(x, "i"), axis_name="i")(np.ones((3, 2)))
    assert fnp.zeros(1).shape == (1,)


def test_pswapaxes_and_pbroadcast():
    x = np.arange(12.0).reshape(2, 2, 3)
    swapped = fnets.vmap(lambda x: lax.pswapaxes(x, "i", 0), axis_name="i")(x)
    np.testing.assert_array_equal(swapped, x.transpose(1, 0, 2))
    same = fnets.vmap(lambda x: lax.pbroadcast(x, "i", -1), axis_name="i")(x)
    np.testing.assert_array_equal(same, np.stack([x[1], x[1]]))
    g = fnets.grad(lambda x: fnp.sum(fnets.vmap(lambda x: lax.pbroadcast(x, "i", 0), axis_name="i")(x)))(x)
    np.testing.assert_array_equal(g, np.stack([np.full((2, 3), 2.0), np.zeros((2, 3))]))
    with pytest.raises(ValueError, match="source"):
        fnets.vmap(lambda x: lax.pbroadcast(x, "i", 2), axis_name="i")(x)
