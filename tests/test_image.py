"""`fnets.image` against golden values of JAX; derivatives against finite differences; jit, vmap, wrong calls."""

from __future__ import annotations

import numpy as np
import pytest
from golden.golden_io import load

import fnets
import fnets.numpy as fnp
from fnets import image
from fnets.errors import ArgumentError, ShapeError

CASES, ARRAYS = load("image")
IMAGE = ARRAYS["image"]


def called(case, x):
    shape, *rest = case["args"]
    if case["name"] == "scale_and_translate":
        dims, scale, shift, *rest = rest
        return image.scale_and_translate(x, tuple(shape), tuple(dims), np.array(scale), np.array(shift), *rest)
    return image.resize(x, tuple(shape), *rest)


@pytest.mark.parametrize("i", range(len(CASES)))
def test_equals_jax(i: int):
    case = CASES[i]
    x = IMAGE.astype(np.float32) if case["name"] == "resize" else IMAGE
    got = called(case, x)
    assert got.dtype == ARRAYS[str(i)].dtype
    np.testing.assert_allclose(got, ARRAYS[str(i)], rtol=1e-9, atol=5e-6 if case["name"] == "resize" else 1e-12)
    np.testing.assert_allclose(fnets.jit(lambda x: called(case, x))(x), got, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", ["linear", "cubic", "lanczos3", "area", "cubic-pytorch"])
def test_derivatives_in_the_scale_and_the_translation(method: str):
    def loss(scale, shift):
        return fnp.sum(image.scale_and_translate(IMAGE, (6, 8, 2), (0, 1), scale, shift, method, False) ** 2)

    at = (np.array([1.31, 0.63]), np.array([0.21, -0.74]))
    for k, slope in enumerate(fnets.grad(loss, (0, 1))(*at)):
        for i in range(2):
            step = np.zeros((2, 2))
            step[k, i] = 1e-6
            up, down = (loss(*[a + s * d for a, d in zip(at, step)]) for s in (1, -1))
            np.testing.assert_allclose(slope[i], (up - down) / 2e-6, rtol=2e-5, atol=1e-6)


def test_resizing_is_linear_and_maps_over_a_batch():
    batch = np.stack([IMAGE, 2 * IMAGE])
    out = fnets.vmap(lambda x: image.resize(x, (3, 9, 2), "cubic"))(batch)
    np.testing.assert_allclose(out[1], 2 * out[0], rtol=1e-12)
    ones = fnets.grad(lambda x: fnp.sum(image.resize(x, (3, 9, 2), "linear")))(IMAGE)
    np.testing.assert_allclose(ones.sum(), 3 * 9 * 2, rtol=1e-12)
    assert image.resize(np.arange(4), (2,), "linear").dtype == np.float64
    assert image.resize(np.arange(4), (2,), "nearest").tolist() == [1, 3]
    assert image.resize(IMAGE, IMAGE.shape, image.ResizeMethod.CUBIC) is not None


def test_wrong_calls_say_so():
    with pytest.raises(ArgumentError, match="nearest"):
        image.resize(IMAGE, (1, 1, 1), "fast")
    with pytest.raises(ShapeError, match="each axis"):
        image.resize(IMAGE, (1, 1), "linear")
    with pytest.raises(ArgumentError, match="interpolates"):
        image.scale_and_translate(IMAGE, (5, 7, 2), (0,), np.ones(1), np.zeros(1), "nearest")
    with pytest.raises(ShapeError, match="keep their length"):
        image.scale_and_translate(IMAGE, (5, 8, 2), (0,), np.ones(1), np.zeros(1), "linear")
    with pytest.raises(ShapeError, match="one for each"):
        image.scale_and_translate(IMAGE, (5, 7, 2), (0, 1), np.ones(1), np.zeros(1), "linear")
