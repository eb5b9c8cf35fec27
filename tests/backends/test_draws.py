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
            np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-7)
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
    assert LOWER["random_fold_in"](eqn("random_fold_in", keys(4), 3), 64) is None


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
@pytest.mark.parametrize("bounds", [{}, {"low": -0.3, "high": 1.7}])
@pytest.mark.parametrize("shape", SHAPES)
def test_uniform(dtype: np.dtype, bounds: dict, shape: tuple):
    check("random_uniform", seed_key(11), shape=shape, dtype=dtype, **bounds)


@pytest.mark.parametrize("shape", SHAPES)
def test_normal(shape: tuple):
    check("random_normal", seed_key(11), shape=shape, dtype=SINGLE, exact=False)


def test_what_numpy_does():
    assert LOWER["random_normal"](eqn("random_normal", seed_key(0), shape=(3,), dtype=DOUBLE), 64) is None
    philox = np.zeros(4, np.uint32)
    assert LOWER["random_uniform"](eqn("random_uniform", philox, shape=(3,), dtype=SINGLE), 64) is None
