"""Winograd's convolutions against NumPy's impls."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from fnets.backends.llvm import convolution, winograd
from tests.backends.test_convolution import check, equations

pytest.importorskip("llvmlite")

CASES = [
    ((3, 8, 8, 16), (3, 3, 16, 32), {"padding": 1}),
    ((2, 9, 7, 17), (3, 3, 17, 21), {"padding": ((0, 2), (1, 0))}),
    ((1, 1, 2, 16), (3, 3, 16, 16), {"padding": 1}),
    ((70, 6, 6, 16), (3, 3, 16, 64), {}),
    ((1, 40, 50, 32), (3, 3, 32, 48), {"padding": 1}),
    ((3, 30, 30, 32), (3, 3, 32, 40), {"padding": 2}),
    ((2, 8, 8, 20), (3, 3, 20, 16), {"padding": ((-1, 2), (1, -2))}),
]


@pytest.mark.parametrize("vector_bytes", [64, 32])
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_winograd(case, which, fast, vector_bytes):
    x, w, kw = case
    e = equations(x, w, **kw)[which]
    stages = convolution.lower(e, vector_bytes, fast=fast) or []
    assert any([type(s).__module__ == winograd.__name__ for s in stages])
    check(e, vector_bytes, fast=fast, tolerance=1e-4 if fast else 1e-5)


@pytest.mark.parametrize("form", [winograd.F2, winograd.F4])
def test_matrices(form):
    """Products of the sparse matrices give a correlation in one dimension."""
    data, window, result = (functools.reduce(np.matmul, [np.array(f) for f in m]) for m in form[1:])
    x, w = np.arange(form.t) ** 2.0, np.array([1.0, -2.0, 5.0])
    np.testing.assert_allclose(result @ ((window @ w) * (data @ x)), np.correlate(x, w, "valid"))
