"""Winograd's convolutions against NumPy's impls."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from fnets.backends.llvm.kernels import convolution, winograd
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


def is_winograd(e, **kw) -> bool:
    return any([type(s).__module__ == winograd.__name__ for s in convolution.lower(e, 64, **kw) or []])


@pytest.mark.parametrize("vector_bytes", [64, 32])
@pytest.mark.parametrize("form, tolerance", [(winograd.F2, 1e-5), (winograd.F4, 1e-4)], ids=["F2", "F4"])
@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_winograd(case, which, form, tolerance, vector_bytes, monkeypatch):
    x, w, kw = case
    monkeypatch.setattr(winograd, "form_for", lambda *args: form)
    e = equations(x, w, **kw)[which]
    assert is_winograd(e)
    check(e, vector_bytes, tolerance=tolerance)


def test_choice():
    """Where it pays: not with few channels, not when transforming the weights costs more, and F(4 x 4) only on demand."""
    for e in equations((8, 32, 32, 32), (3, 3, 32, 32), padding=1):
        assert is_winograd(e)
        check(e, tolerance=2e-6)
        check(e, tolerance=2e-5, fast=True)
    few = equations((8, 32, 32, 8), (3, 3, 8, 32), padding=1)
    strided = equations((8, 32, 32, 32), (3, 3, 32, 32), padding=1, strides=2)
    dilated = equations((8, 32, 32, 32), (3, 3, 32, 32), padding=1, rhs_dilation=2)
    small = equations((1, 7, 7, 512), (3, 3, 512, 512), padding=1)
    double = equations((8, 32, 32, 32), (3, 3, 32, 32), "float64", padding=1)
    assert not any([is_winograd(e, fast=True) for e in (*few, *strided, *dilated, *small, *double)])


@pytest.mark.parametrize("form", [winograd.F2, winograd.F4])
def test_matrices(form):
    """Products of the sparse matrices give a correlation in one dimension."""
    data, window, result = (functools.reduce(np.matmul, [np.array(f) for f in m]) for m in form[1:])
    x, w = np.arange(form.t) ** 2.0, np.array([1.0, -2.0, 5.0])
    np.testing.assert_allclose(result @ ((window @ w) * (data @ x)), np.correlate(x, w, "valid"))
