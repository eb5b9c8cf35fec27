"""Nested transformations compiled natively as a whole: every single one, and one in five of the pairs, against the same references as eager code."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import fnets
from tests.test_nesting import DERIVATIVES, FUNCTIONS, REFERENCE, TRANSFORMS, X, has_no_rule, same

pytest.importorskip("llvmlite")


def cases():
    pairs = [*itertools.product(FUNCTIONS, itertools.product(TRANSFORMS, repeat=2))]
    for f, combo in [*itertools.product(FUNCTIONS, itertools.product(TRANSFORMS, repeat=1)), *pairs[::5]]:
        if not has_no_rule(combo):
            yield pytest.param(f, combo, id=f"{f.__name__}-{'-'.join(combo)}")


@pytest.mark.parametrize("f,combo", cases())
def test_nesting(f, combo):
    mine, reference = f, FUNCTIONS[f]
    for name in combo:
        mine, reference = TRANSFORMS[name](mine), REFERENCE.get(name, same)(reference)
    order = sum(name in DERIVATIVES for name in combo)
    got, expected = fnets.jit(mine, backend="llvm")(X), reference(X)
    assert got.shape == expected.shape
    tol = {0: 1e-11, 1: 1e-6, 2: 1e-4}[order]
    np.testing.assert_allclose(got, expected, rtol=tol, atol=tol * max(1.0, np.abs(expected).max()))
