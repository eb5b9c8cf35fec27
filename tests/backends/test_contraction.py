"""Native products against the primitive's own implementation: transpositions, batches, many axes, parts, both vector widths."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest

import fnets
from fnets import lax
from fnets.core.ir import Eqn

pytest.importorskip("llvmlite")

from fnets.backends.llvm import contraction
from tests.backends.stage_runner import prepare

PHASES = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # every example compiles: shrinking would take long
TOLERANCE = {np.dtype(np.float32): 2e-6, np.dtype(np.float64): 1e-14}

Numbers = tuple[tuple[tuple[int, ...], tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]]

NN: Numbers = (((1,), (0,)), ((), ()))
TN: Numbers = (((0,), (0,)), ((), ()))
NT: Numbers = (((1,), (1,)), ((), ()))
TT: Numbers = (((0,), (1,)), ((), ()))


def equation(a: tuple[int, ...], b: tuple[int, ...], numbers: Numbers, dtype: type = np.float32) -> Eqn:
    x, y = np.zeros(a, dtype), np.zeros(b, dtype)
    return fnets.make_jaxpr(lambda x, y: lax.dot_general(x, y, numbers))(x, y).jaxpr.eqns[0]


def run(stages: list, e: Eqn, arrays: list[np.ndarray], whole: bool = False) -> np.ndarray:
    known = dict(zip(e.invars, arrays))
    for s in stages:
        assert s.chunk == s.extent or 2 <= -(-s.extent // s.chunk) <= 64
        for v in s.aligned:
            assert v.aval.shape[0] == s.extent and v in s.buffers
        known |= dict(zip(s.stored, prepare(s)(*[known[v] for v in s.loaded], whole=whole)))
    return known[e.outvars[0]]


def check(a, b, numbers, dtype=np.float32, vector_bytes: int = 64, whole: bool = False) -> list:
    e = equation(a, b, numbers, dtype)
    rng = np.random.default_rng(len(a) + sum(a) + sum(b))
    arrays = [rng.standard_normal(v.aval.shape).astype(dtype) for v in e.invars]
    stages = contraction.lower(e, vector_bytes)
    assert stages is not None
    got, want = run(stages, e, arrays, whole), e.prim.impl(*arrays, **e.params)
    scale = np.abs(want).max(initial=1.0)
    np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE[np.dtype(dtype)] * scale)
    return stages


def matrices(m: int, n: int, k: int, numbers: Numbers) -> tuple[tuple[int, ...], tuple[int, ...], Numbers]:
    (lc, rc), _ = numbers
    return (k, m) if lc == (0,) else (m, k), (k, n) if rc == (0,) else (n, k), numbers


@pytest.mark.parametrize("vector_bytes", [64, 32])
@pytest.mark.parametrize("numbers", [NN, TN, NT, TT], ids=["NN", "TN", "NT", "TT"])
@pytest.mark.parametrize("m, n, k", [(64, 100, 169), (13, 37, 5), (33, 10, 17), (1, 9, 3), (3, 40, 200), (70, 1, 31)])
def test_transpositions(m, n, k, numbers, vector_bytes):
    check(*matrices(m, n, k, numbers), vector_bytes=vector_bytes)
    check(*matrices(m, n, k, numbers), np.float64, vector_bytes)
