"""Kernels read and write nothing beyond their arrays: results lie between canaries, and every array ends where the next page is forbidden."""

from __future__ import annotations

import ctypes
import mmap

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import nn
from tests.backends.test_llvm import PHASES, PROGRAMS
from tests.backends.test_random_programs import programs, run

pytest.importorskip("llvmlite")

from fnets.backends.llvm.runtime import kernel
from fnets.backends.llvm.schedule import chains, regions

CANARY = 0xA5
_libc = ctypes.CDLL(None, use_errno=True)
rng = np.random.default_rng(0)


class Fence:
    """Makes arrays whose end is the end of a readable page; what comes before the array is checked by `intact`."""

    def __init__(self):
        self.regions: list[tuple[mmap.mmap, np.ndarray, int]] = []

    def empty(self, shape, dtype) -> np.ndarray:
        dtype, page = np.dtype(dtype), mmap.PAGESIZE
        nbytes = int(np.prod(shape)) * dtype.itemsize
        pages = -(-nbytes // page) + 1
        area = mmap.mmap(-1, (pages + 1) * page)
        whole = np.frombuffer(area, np.uint8)
        whole[:] = CANARY
        assert _libc.mprotect(ctypes.c_void_p(whole.ctypes.data + pages * page), ctypes.c_size_t(page), 0) == 0
        start = pages * page - nbytes
        self.regions.append((area, whole, start))
        return whole[start : start + nbytes].view(dtype).reshape(shape)

    def copy(self, a: np.ndarray) -> np.ndarray:
        out = self.empty(a.shape, a.dtype)
        out[...] = a
        return out

    def intact(self) -> bool:
        return all((whole[:start] == CANARY).all() for _, whole, start in self.regions)


@pytest.fixture(params=["whole", "in chunks"])
def fence(request, monkeypatch):
    fence = Fence()
    monkeypatch.setenv("FNETS_CACHE", "0")
    monkeypatch.setattr(kernel, "new_array", fence.empty)
    monkeypatch.setattr(regions, "is_worthwhile", lambda eqns: True)
    monkeypatch.setattr(regions, "keeps_inside", False)
    if request.param == "in chunks":
        monkeypatch.setattr(chains, "WORTH_PARTS", 0)
        monkeypatch.setattr(chains, "PART", 1)
    return fence


def bounded(fence: Fence, f, *args) -> None:
    with np.errstate(all="ignore"):
        want = fnets.jit(f, backend="numpy")(*args)
    got = fnets.jit(f, backend="llvm")(*[fence.copy(a) for a in args])
    assert fence.intact()
    for a, b in zip(fnets.tree.leaves(got), fnets.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_programs(fence, dtype):
    for f, shapes in PROGRAMS.values():
        bounded(fence, f, *[rng.standard_normal(s).astype(dtype) for s in shapes])


def test_sizes(fence):
    def f(x):
        return (
            fnp.exp(x) - x,
            x > 0,
            fnp.sum(x * 2, 0),
            fnp.max(x + 1, -1),
            nn.softmax(x),
            fnp.mean(x * x),
            fnp.any(x > 1, 0),
        )

    for n in (1, 2, 3, 5, 8, 15, 16, 17, 33, 65, 130):
        for m in (1, 2, 3, 17):
            bounded(fence, f, rng.standard_normal((m, n)).astype(np.float32))


@hypothesis.settings(
    max_examples=25,
    deadline=None,
    phases=PHASES,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(program=programs(), rows=st.just(4))
def test_random_programs(fence, program, rows):
    x, y = (rng.uniform(-1, 1, (rows, 4)).astype(np.float32) for _ in range(2))
    bounded(fence, lambda x, y: run(program, x, y), x, y)
