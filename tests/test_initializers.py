"""Initialisers against JAX's numbers (tests/golden/initializers.npz), their statistics, and what they refuse."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fnets
from fnets import random
from fnets.errors import ArgumentError, ShapeError
from fnets.nn import initializers

sys.path.insert(0, str(Path(__file__).parent / "golden"))
from golden_io import load

CASES, VALUES = load("initializers")
DTYPES = {"f32": np.float32, "f64": np.float64}
TOLERANCE = {"f32": 2e-6, "f64": 1e-12}


def initializer(case: dict) -> Any:
    found = getattr(initializers, case["fn"])
    return found(**case["kwargs"]) if case["factory"] else found


@pytest.mark.parametrize("short", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_numbers_equal_jax(case: dict, short: str):
    with fnets.enable_x64(short == "f64"):
        got = initializer(case)(random.key(0), case["shape"], DTYPES[short])
    expected = VALUES[f"{case['name']}_{short}"]
    assert got.dtype == expected.dtype and got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=TOLERANCE[short], atol=TOLERANCE[short])


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_default_dtype_and_jit(case: dict):
    init = initializer(case)
    eager = init(random.key(1), case["shape"])
    assert eager.dtype == np.float32
    with fnets.default_dtype("float64"):
        assert init(random.key(1), case["shape"]).dtype == np.float64
    jitted = fnets.jit(lambda key: init(key, case["shape"]))(random.key(1))
    np.testing.assert_allclose(jitted, eager, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("make", "variance"),
    [
        (lambda: initializers.he_normal(), 2 / 300),
        (lambda: initializers.he_uniform(), 2 / 300),
        (lambda: initializers.lecun_normal(), 1 / 300),
        (lambda: initializers.glorot_uniform(), 2 / 500),
        (lambda: initializers.torch_uniform(), 1 / 900),
        (lambda: initializers.variance_scaling(3.0, "fan_out", "normal"), 3 / 200),
    ],
)
def test_variance(make: Any, variance: float):
    w = make()(random.key(3), (300, 200))
    assert abs(float(w.mean())) < 4 * math.sqrt(variance / w.size)
    assert abs(float(w.var()) / variance - 1) < 0.03


def test_torch_uniform_has_torchs_bound():
    w = initializers.torch_uniform(in_axis=1, out_axis=0)(random.key(0), (8, 3, 5, 5))
    bound = 1 / math.sqrt(3 * 25)
    assert 0.98 * bound < np.abs(w).max() <= bound


@pytest.mark.parametrize("distribution", ["uniform", "truncated_normal", "normal"])
def test_complex_weights(distribution: str):
    w = initializers.variance_scaling(1.0, "fan_in", distribution)(random.key(0), (200, 300), np.complex64)
    assert w.dtype == np.complex64
    assert abs(float((np.abs(w) ** 2).mean()) * 200 - 1) < 0.03


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (3, 3, 5)])
def test_orthogonal(shape: tuple):
    q = initializers.orthogonal(scale=2.0)(random.key(0), shape, np.float64).reshape(-1, shape[-1])
    gram = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-12)


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (ShapeError, lambda: initializers.he_normal()(random.key(0), (3,))),
        (ShapeError, lambda: initializers.orthogonal()(random.key(0), (3,))),
        (ShapeError, lambda: initializers.delta_orthogonal()(random.key(0), (3, 4, 2))),
        (ShapeError, lambda: initializers.delta_orthogonal()(random.key(0), (3, 4))),
        (ArgumentError, lambda: initializers.variance_scaling(1.0, "fan", "normal")),
        (ArgumentError, lambda: initializers.variance_scaling(1.0, "fan_in", "cauchy")),
    ],
)
def test_wrong_arguments(error: type, call: Any):
    with pytest.raises(error):
        call()
