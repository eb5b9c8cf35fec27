"""Activations, row functions, layers and models: against JAX's values (tests/golden/special.npz), NumPy, and finite differences."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import nn, random, tree

sys.path.insert(0, str(Path(__file__).parent / "golden"))
from golden_io import load

SPECIAL, VALUES = load("special")
ELEMENTWISE = [case for case in SPECIAL if case["kind"] == "elementwise" and case["module"] == "nn"]
ROWS = [case for case in SPECIAL if case["kind"] == "rows"]
DTYPES = {"f32": np.float32, "f64": np.float64}
EPS = {"f32": 4e-6, "f64": 1e-13}


# ---------------------------------------------------------------- activations


@pytest.mark.parametrize("short", DTYPES)
@pytest.mark.parametrize("case", ELEMENTWISE, ids=[case["name"] for case in ELEMENTWISE])
def test_activation_equals_jax(case: dict, short: str):
    x = VALUES[f"{case['grid']}_{short}"]
    f = getattr(nn, case["fn"])
    with np.errstate(all="ignore"):
        y, pull = fnets.vjp(lambda x: f(x, **case["kwargs"]), x)
        slope = pull(np.ones_like(y))[0]
    assert y.dtype == slope.dtype == DTYPES[short]
    expected = VALUES.get(f"{case['name']}_{short}_exact", VALUES[f"{case['name']}_{short}"])
    expected = np.where(np.isnan(expected), VALUES[f"{case['name']}_{short}"], expected)
    tiny = np.finfo(x.dtype).tiny
    finite = np.isfinite(expected)
    # JAX's gelu ends in 1 + tanh(u), which loses what is left of it for negative u
    atol = EPS[short] if case["name"] == "nn_gelu_true" else 4 * tiny
    np.testing.assert_allclose(y[finite], expected[finite], rtol=EPS[short], atol=atol)
    derivative = VALUES[f"{case['name']}_{short}_derivative"]
    # JAX takes denormal numbers for 0
    finite = np.isfinite(derivative) & (np.abs(x) < 1e15) & ((x == 0) | (np.abs(x) >= tiny))
    np.testing.assert_allclose(slope[finite], derivative[finite], rtol=20 * EPS[short], atol=EPS[short])


@pytest.mark.parametrize("short", DTYPES)
@pytest.mark.parametrize("case", ROWS, ids=[case["name"] for case in ROWS])
def test_row_function_equals_jax(case: dict, short: str):
    dtype = DTYPES[short]
    x = VALUES[f"input_{case['input']}"].astype(dtype)
    kwargs = {k: v.astype(dtype) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v for k, v in case["kwargs"].items()}
    sign = None

    def f(x: Any) -> Any:
        nonlocal sign
        out = getattr(nn, case["fn"])(x, **kwargs)
        if isinstance(out, tuple):
            out, sign = out
        return out

    with np.errstate(all="ignore"):
        y, pull = fnets.vjp(f, x)
        dx = pull(VALUES[f"{case['name']}_ct"].astype(dtype))[0]
    assert y.dtype == dx.dtype == dtype
    tol = 2e-6 if short == "f32" else 1e-12
    np.testing.assert_allclose(y, VALUES[f"{case['name']}_{short}"], rtol=tol, atol=tol)
    expected = VALUES[f"{case['name']}_{short}_dx"]
    known = np.isfinite(expected)
    np.testing.assert_allclose(dx[known], expected[known], rtol=10 * tol, atol=10 * tol)
    if case["kwargs"].get("return_sign"):
        np.testing.assert_array_equal(sign, VALUES[f"{case['name']}_{short}_sign"])
