"""Random numbers as native stages: bit for bit those of the NumPy kernels, but for the rounding of normal ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fnets.backends.llvm.kernels.draws import LOWER
from fnets.core.avals import ShapedArray
from fnets.core.ir import Eqn, Literal, Var
from fnets.primitives import random as random_primitives
from fnets.primitives import random_samplers
from fnets.primitives.threefry import seed_key
from tests.backends.stage_runner import prepare

pytest.importorskip("llvmlite")

SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
SHAPES = [(), (1,), (2,), (16,), (17,), (5, 7), (3, 1000), (1 << 18,), (200_003,)]


def eqn(name: str, *args: Any, **params: Any) -> Eqn:
    prim = getattr(random_primitives, f"{name}_p", None) or getattr(random_samplers, f"{name}_p")
    atoms = [Literal(a) if type(a) is int else Var(ShapedArray(a.shape, a.dtype)) for a in args]
    return Eqn(prim, atoms, [Var(prim.abstract(*[v.aval for v in atoms], **params))], params)


def check(name: str, *args: Any, vector_bytes: int = 64, exact: bool = True, **params: Any) -> Any:
    e = eqn(name, *args, **params)
    stages = LOWER[name](e, vector_bytes)
    assert stages is not None
    run = prepare(stages[0])
    want = np.asarray(e.prim.impl(*args, **params))
    for whole in (False, True):
        (got,) = run(*[a for a in args if type(a) is not int], whole=whole)
        assert got.dtype == want.dtype
        if exact:
            np.testing.assert_array_equal(got, want)
        else:
            rtol, atol = (2e-6, 1e-7) if want.dtype == SINGLE else (2e-15, 0)
            np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)
    return stages[0]


def keys(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 1 << 32, (*shape, 2), np.uint32)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("width", [8, 16, 32, 64])
def test_bits(shape: tuple, width: int):
    check("random_bits", seed_key(7), shape=shape, width=width, vector_bytes=(32, 64)[width // 8 % 3 % 2])


@pytest.mark.parametrize("batch", [(), (1,), (5,), (2, 3)])
@pytest.mark.parametrize("shape", [(), (3,), (7, 9)])
def test_batches_of_keys(batch: tuple, shape: tuple):
    check("random_bits", keys(*batch), shape=shape, width=32)
    check("random_split", keys(*batch), shape=shape)
    check("random_uniform", keys(*batch), shape=shape, dtype=DOUBLE, vector_bytes=32)


@pytest.mark.parametrize("shape", [(2,), (3, 3), (1,), (1000,)])
def test_split(shape: tuple):
    check("random_split", seed_key(3), shape=shape)
    check("random_split", seed_key(3), shape=shape, vector_bytes=32)


def test_fold_in():
    for data in (3, np.array(5, np.int32), np.array(-1, np.int64), np.array(200, np.uint8)):
        check("random_fold_in", keys()[...], data)


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 16, 17, 50])
@pytest.mark.parametrize("dtype", ["int8", "int32", "uint64"])
def test_fold_in_of_many(count: int, dtype: str):
    data = np.random.default_rng(2).integers(0, 100, count).astype(dtype)
    for vector_bytes in (32, 64):
        check("random_fold_in", keys(), data, vector_bytes=vector_bytes)
        check("random_fold_in", keys(count), np.array(data[0]), vector_bytes=vector_bytes)
        check("random_fold_in", keys(count), data, vector_bytes=vector_bytes)
        check("random_fold_in", keys(count), 7, vector_bytes=vector_bytes)
    check("random_fold_in", keys(count, 3), np.tile(data[:, None], 3))


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
@pytest.mark.parametrize("bounds", [{}, {"low": -0.3, "high": 1.7}])
@pytest.mark.parametrize("shape", SHAPES)
def test_uniform(dtype: np.dtype, bounds: dict, shape: tuple):
    check("random_uniform", seed_key(11), shape=shape, dtype=dtype, **bounds)


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
@pytest.mark.parametrize("shape", SHAPES)
def test_normal(dtype: np.dtype, shape: tuple):
    for vector_bytes in (32, 64):
        check("random_normal", seed_key(11), shape=shape, dtype=dtype, exact=False, vector_bytes=vector_bytes)
    check("random_normal", keys(3), shape=(7,), dtype=dtype, exact=False)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint32", "uint64"])
@pytest.mark.parametrize("span", [0, 1, 2, 6, 1000, 1 << 16, (1 << 16) + 1, (1 << 31) + 11, (1 << 32) - 1])
def test_integers(dtype: str, span: int):
    params: dict = {"dtype": np.dtype(dtype), "low": -7 if dtype[0] == "i" else 7, "span": span}
    for shape, vector_bytes in (((), 64), ((5, 7), 32), ((3, 1000), 64)):
        check("random_integers", seed_key(11), shape=shape, vector_bytes=vector_bytes, **params)
    check("random_integers", keys(2, 3), shape=(9,), **params)


@pytest.mark.parametrize("span", [(1 << 32) + 1, 10**12 + 39, (1 << 63) + 5, (1 << 64) - 1])
def test_long_integers(span: int):
    check("random_integers", seed_key(5), shape=(70,), dtype=np.dtype("int64"), low=-(1 << 62), span=span)


def test_what_numpy_does():
    half = np.dtype(np.float16)
    assert LOWER["random_normal"](eqn("random_normal", seed_key(0), shape=(3,), dtype=half), 64) is None
    philox = np.zeros(4, np.uint32)
    assert LOWER["random_uniform"](eqn("random_uniform", philox, shape=(3,), dtype=SINGLE), 64) is None
