"""Nests that read slices, reversals and transpositions where they are: against NumPy, in both widths of vectors, whole and in parts, next to forbidden pages."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax

pytest.importorskip("llvmlite")

from fnets.backends.llvm.kernels.nest import NestStage
from fnets.backends.llvm.passes.prepare import prepare as prepared
from fnets.backends.llvm.schedule import anchors
from fnets.backends.llvm.schedule.reads import Axis, View, axis, whole
from fnets.backends.llvm.schedule.regions import Native, Region
from tests.backends.stage_runner import prepare

rng = np.random.default_rng(0)
PHASES = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # every example compiles
_mprotect = ctypes.CDLL(None).mprotect


def fenced(a: np.ndarray, at_end: bool) -> np.ndarray:
    """A copy between forbidden pages, right before the one behind it or right after the one in front."""
    page = mmap.PAGESIZE
    pages = -(-a.nbytes // page) + 1
    area = mmap.mmap(-1, (pages + 2) * page)
    raw = np.frombuffer(area, np.uint8)
    for k in (0, pages + 1):
        assert _mprotect(ctypes.c_void_p(raw.ctypes.data + k * page), ctypes.c_size_t(page), 0) == 0
    start = (pages + 1) * page - a.nbytes if at_end else page
    out = raw[start : start + a.nbytes].view(a.dtype).reshape(a.shape)
    out[...] = a
    return out


def stages_of(f: Callable, *args: np.ndarray, vector_bytes: int = 64) -> tuple:
    """The function's program, and its region: all of it must run natively."""
    jaxpr = prepared(fnets.make_jaxpr(f)(*args).jaxpr)
    native = Native(jaxpr, vector_bytes, anchors.lower)
    eqns = [e for e in jaxpr.eqns if e in native.eqns]
    assert len(eqns) + len(native.reads.views) == len(jaxpr.eqns), jaxpr
    return jaxpr, Region(eqns, native, lambda v: v in [native.reads.source(x) for x in jaxpr.outvars])


def check(
    f: Callable, *args: np.ndarray, vector_bytes: int = 64, parts: int = 3, copies: int = 0, rtol: float = 0
) -> None:
    """Every stage alone, in order, gives what NumPy gives; so many stages are copies."""
    jaxpr, region = stages_of(f, *args, vector_bytes=vector_bytes)
    with np.errstate(all="ignore"):
        want = fnets.tree.leaves(f(*args))
    runs = [(s, prepare(s, parts)) for s in region.stages]
    for at_end in (True, False):
        memory = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*jaxpr.consts, *args)))
        for s, run in runs:
            given = [fenced(memory[v], at_end).reshape(x.aval.shape) for x, v in zip(s.loaded, s.sources)]
            memory.update(zip(s.stored, run(*given)))
        for v, w in zip(jaxpr.outvars, want, strict=True):
            got = memory[region.reads.source(v)].reshape(v.aval.shape)
            assert got.dtype == np.asarray(w).dtype
            np.testing.assert_allclose(got, w, rtol=rtol, atol=rtol)
    assert sum([not isinstance(s, NestStage) for s in region.stages]) == copies, region.stages


def values(shape: tuple[int, ...], dtype: str = "f4") -> np.ndarray:
    return rng.integers(0, 2 if dtype == "?" else 50, shape).astype(dtype)


@pytest.mark.parametrize("vector_bytes", [64, 32])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "?"])
@pytest.mark.parametrize("n", [3, 5, 18, 67, 1000])
def test_stencils(n: int, dtype: str, vector_bytes: int):
    x, y = values((n,), dtype), values((5, n), dtype)
    check(
        lambda x: x[2:] & x[1:-1] | x[:-2] if dtype == "?" else x[2:] - 2 * x[1:-1] + x[:-2],
        x,
        vector_bytes=vector_bytes,
    )
    if dtype != "?" and n >= 18:
        check(
            lambda y: (y[1:-1, 2:] + y[1:-1, :-2] + y[2:, 1:-1] + y[:-2, 1:-1] - 4 * y[1:-1, 1:-1]) * 2,
            y,
            vector_bytes=vector_bytes,
        )


CASES = {
    "columns": (lambda x: x[:, 0] * x[:, 1] + x[:, 2], (70, 3)),
    "pairs": (lambda x: (x[..., ::2] - x[..., 1::2], x[..., ::2] + x[..., 1::2]), (4, 5, 34)),
    "rows": (lambda x: x[::2] * x[1::2] + x[:3], (6, 20)),
    "reversed": (lambda x: x * 2 + x[::-1] + x[:, ::-1], (5, 37)),
    "reversed pairs": (lambda x: x[::-2] * x[-2::-2], (74,)),
    "permuted": (lambda x: lax.transpose(x, (1, 0, 2)) * 2 + 1, (3, 5, 40)),
    "gates": (lambda x: x[:, :24] * x[:, 24:48] + x[:, 48:72] - x[:, 72:], (7, 96)),
    "one row": (lambda x: x[3] * x + x[2:3], (5, 19)),
    "one column": (lambda x: x[:, 3:4] * x + x[:, -1:], (5, 19)),
    "one element": (lambda x: x[2, 3] * x + x[1:2, 1:2], (5, 19)),
    "row sums": (
        lambda x: (x[:, 1:] - fnp.max(x[:, 1:], -1, keepdims=True)) * x[:, :-1].sum(-1, keepdims=True),
        (6, 20),
    ),
    "column sums": (lambda x: (x[1:] * 2).sum(0) + x[:-1].sum(0), (6, 20)),
    "totals": (lambda x: ((x[1:-1, 1:-1] * 2).sum(), x[2:, 2:].sum()), (200, 140)),
    "slices of slices": (lambda x: x[1:][2:, 3:][:, 1:] * 2 + x[3:, 4:], (7, 40)),
    "reshaped": (lambda x: x[1:].reshape(2, 3, 20) * 2 + x[:6].reshape(2, 3, 20), (7, 20)),
    "spread": (
        lambda x: fnp.broadcast_to(x[:, 1:, None], (3, 19, 18)) * 2 + fnp.broadcast_to(x[0, 1:19], (3, 19, 18)),
        (3, 20),
    ),
    "padded": (lambda x: fnp.pad(x, ((1, 2), (0, 0))) + fnp.pad(x, ((3, 0), (0, 0))) * 2, (5, 37)),
    "padded columns": (lambda x: fnp.pad(x[:, 1:], ((1, 0), (1, 2))) * 2 - fnp.pad(x, ((0, 1), (0, 2))), (5, 37)),
    "padded rows": (lambda x: fnp.pad(x[:, :1], ((1, 1), (0, 0))) * fnp.ones((7, 20), x.dtype), (5, 37)),
    "padded spread": (lambda x: fnp.pad(x[0], (1, 2)) * fnp.ones((7, 40), x.dtype), (5, 37)),
    "padded sums": (
        lambda x: (fnp.pad(x, ((1, 1), (2, 2))).sum(-1), fnp.pad(x, ((1, 1), (2, 2))).sum(0)),
        (5, 37),
    ),
    "padded total": (lambda x: fnp.pad(x, 1).sum(), (200, 140)),
    "padded pairs": (
        lambda x: fnp.pad(x[:, ::2], ((0, 0), (5, 1))) * 2 + fnp.pad(x[:, ::-2], ((0, 0), (0, 6))),
        (5, 64),
    ),
    "cut again": (lambda x: fnp.pad(x, ((4, 4), (9, 9)))[1:8, 2:40][:, ::-1] * 2 + 1, (5, 37)),
    "made here": (lambda x: (lambda y: y[1:] * y[:-1] + 1)(x * 2 + 1), (40,)),
    "turned round": (lambda x: (lambda y: y[::-1] - y)(x * 2 + 1), (40,)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("vector_bytes", [64, 32])
def test_in_place(case: str, vector_bytes: int):
    f, shape = CASES[case]
    for dtype in ("f4", "f8"):
        check(f, values(shape, dtype), vector_bytes=vector_bytes)


def test_what_is_copied():
    """Short pieces, transpositions, far elements, what products read; what a product reads serves others, too."""
    w = values((30, 4))
    for copies, f, shape in [
        (1, lambda x: x[:, :3] * 2 + 1, (40, 5)),
        (1, lambda x: x.T * 2 + 1, (40, 20)),
        (1, lambda x: x[::7] * 2 + 1, (400,)),
        (1, lambda x: (x[:, None, 0] - x[:, 0]) ** 2, (40, 3)),  # its columns are read forty times
        (2, lambda x: x[1:] @ w, (9, 30)),
        (2, lambda x: (x[1:] @ w, x[1:] * 2 + 1), (9, 30)),
    ]:
        check(f, values(shape), copies=copies)


def test_parts():
    """What is in the same rows is in the same part; what is in others is there before."""
    aligned = lambda f, *shape: {v.aval.shape for s in stages_of(f, values(shape))[1].stages for v in s.aligned}  # noqa: E731
    assert aligned(lambda x: x[:, 1:] * x[:, :-1], 8, 20) == {(8, 20), (8, 19)}
    assert aligned(lambda x: x[1:] * x[:-1], 9, 20) == {(8, 20)}
    assert aligned(lambda x: x[::2] * x[1::2], 64) == {(64,), (32,)}
    assert aligned(lambda x: x[1:] * x[:-1], 65) == {(64,)}
    assert aligned(lambda x: x + x[::-1], 64) == {(64,)}


def test_memory_is_not_taken_before_it_is_read():
    x = values((1000,))
    for f in (lambda x: x + x[::-1], lambda x: fnp.tanh(x) * x[::-1], lambda x: x[1:] - x[:-1] + 2):
        got = fnets.jit(f, donate_argnums=(0,), backend="llvm")(x.copy())
        np.testing.assert_allclose(got, f(x), rtol=1e-6)
        (nest,) = stages_of(f, x)[1].stages
        assert nest.replaceable(nest.stored[0]) == []


@st.composite
def slices(draw) -> tuple:
    """Several slices of one shape of the same array, some padded: (shape of the array, their shape, for each of them an index and a permutation of the
    leading axes)."""
    ndim = draw(st.integers(1, 4))
    shape = [draw(st.integers(1, 5)) for _ in range(ndim - 1)] + [draw(st.sampled_from([1, 2, 7, 16, 17, 33, 64, 70]))]
    lengths, terms = list(shape), []
    for _ in range(draw(st.integers(2, 4))):
        order = draw(st.permutations(range(ndim - 1)))
        index = []
        for k in (*order, ndim - 1):  # axes of the slice, in the array's order
            n, start = shape[k], draw(st.integers(0, 3))
            step = draw(st.sampled_from([1, 1, 1, 2, 3, 4, 5]))
            n = draw(st.sampled_from([n, n, n, 1]))  # one: spread over the others
            front, behind = draw(st.sampled_from([(0, 0), (0, 0), (1, 0), (2, 3)]))
            if n <= front + behind:
                front = behind = 0
            index.append((start, n - front - behind, step, draw(st.integers(0, 3)) == 0, (front, behind)))
        for k, (start, n, step, *_) in enumerate(index):
            lengths[k] = max(lengths[k], start + (n - 1) * step + 1)
        terms.append((index, [*order, ndim - 1]))
    return tuple([n + draw(st.integers(0, 2)) for n in lengths]), shape, terms


@hypothesis.settings(max_examples=60, deadline=None, phases=PHASES)
@hypothesis.given(slices(), st.sampled_from([32, 64]), st.sampled_from(["f4", "f8", "i4", "?"]), st.integers(1, 4))
def test_drawn_slices(case: tuple, vector_bytes: int, dtype: str, parts: int):
    shape, out, terms = case
    x = values(shape, dtype)

    def f(x):
        total = fnp.ones(out, dtype) if dtype == "?" else None
        for index, order in terms:
            y = x[tuple([slice(a, a + (n - 1) * s + 1, s) for a, n, s, *_ in index])]
            y = lax.rev(y, tuple([k for k, (_, _, _, flip, _) in enumerate(index) if flip]))
            y = fnp.pad(y, [edges for *_, edges in index])
            y = lax.transpose(y, tuple(np.argsort(order).tolist()))
            total = y ^ total if dtype == "?" else y * 2 if total is None else total * 3 + y
        return total, total.sum(-1), total.sum()

    jaxpr, region = stages_of(f, x, vector_bytes=vector_bytes)
    check(
        f, x, vector_bytes=vector_bytes, parts=parts, copies=sum([not isinstance(s, NestStage) for s in region.stages])
    )


def test_nothing():
    x = np.zeros((4, 0), np.float32)
    f = lambda x: (x[1:] * 2 + x[:-1], x[:, 0:0] + 1, fnp.exp(x[::2]))  # noqa: E731
    for got, want in zip(fnets.jit(f, backend="llvm")(x), f(x)):
        np.testing.assert_array_equal(got, want)


def test_views():
    x = np.arange(60).reshape(3, 4, 5)
    assert whole((3, 1, 5)) == View((Axis(3, 5, 0, 3), Axis(1, 0, 0, 1), Axis(5, 1, 0, 5)))
    y = x[1:, ::-2, 3]
    v = View(tuple([axis(n, s // 8) for n, s in zip(y.shape, y.strides)]), int(y[0, 0]))
    assert v.range == (y.min(), y.max())
