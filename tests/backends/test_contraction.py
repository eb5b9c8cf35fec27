"""Native products against the primitive's own implementation: transpositions, batches, many axes, parts, both vector widths."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import fnets
from fnets import lax
from fnets.core.avals import ShapedArray
from fnets.core.ir import Eqn, Var

pytest.importorskip("llvmlite")

from fnets.backends.llvm.kernels import contraction
from tests.backends.stage_runner import prepare

PHASES = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # every example compiles: shrinking would take long

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
            assert v.aval.size % s.extent == 0 and v in s.buffers
        known |= dict(zip(s.stored, prepare(s)(*[known[v] for v in s.loaded], whole=whole)))
    return known[e.outvars[0]]


def check(a, b, numbers, dtype=np.float32, vector_bytes: int = 64, whole: bool = False) -> list:
    e = equation(a, b, numbers, dtype)
    rng = np.random.default_rng(len(a) + sum(a) + sum(b))
    arrays = [rng.standard_normal(v.aval.shape).astype(dtype) for v in e.invars]
    stages = contraction.lower(e, vector_bytes)
    assert stages is not None
    got, want = run(stages, e, arrays, whole), e.prim.impl(*arrays, **e.params)
    # sums in another order differ by some roundings of the sum of the magnitudes
    magnitude = e.prim.impl(*[np.abs(x) for x in arrays], **e.params)
    assert got.dtype == want.dtype and (np.abs(got - want) <= 8 * np.finfo(dtype).eps * magnitude).all()
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


BATCHES = [  # shapes and dimension numbers
    ((5, 7, 9), (5, 9, 4), (((2,), (1,)), ((0,), (0,)))),
    ((64, 64, 32), (64, 64, 32), (((2,), (2,)), ((0,), (0,)))),  # attention, cut along the batch
    ((2, 9, 3, 8), (2, 7, 3, 8), (((3,), (3,)), ((0, 2), (0, 2)))),
    ((2, 3, 9, 7), (2, 7, 3, 8), (((3,), (1,)), ((0, 1), (0, 2)))),
    ((6, 5), (6, 5), (((1,), (1,)), ((0,), (0,)))),
    ((6, 5), (6, 5), (((0,), (0,)), ((1,), (1,)))),  # the batch is the last axis
    ((4, 5), (4, 3), (((), ()), ((0,), (0,)))),
]
MANY_AXES = [
    ((3, 4, 5), (5, 6), (((2,), (0,)), ((), ()))),
    ((3, 4, 5), (5, 4, 6), (((1, 2), (1, 0)), ((), ()))),  # contracted in another order
    ((3, 4, 5), (3, 4, 6), (((0, 1), (0, 1)), ((), ()))),
    ((9, 4, 5), (4, 6), (((1,), (0,)), ((), ()))),
    ((9, 4), (3, 4, 17), (((1,), (1,)), ((), ()))),
    ((9, 4), (17, 4, 3), (((1,), (1,)), ((), ()))),
    ((2, 3, 4, 5), (5, 2, 7, 3), (((0, 1), (1, 3)), ((), ()))),
    ((2, 3, 200), (7, 3, 200), (((1, 2), (1, 2)), ((), ()))),
    ((3, 4), (5,), (((), ()), ((), ()))),
    ((), (5, 3), (((), ()), ((), ()))),
    ((1, 1), (1, 1), NN),
]


@pytest.mark.parametrize("vector_bytes", [64, 32])
@pytest.mark.parametrize("a, b, numbers", BATCHES + MANY_AXES)
def test_axes(a, b, numbers, vector_bytes):
    check(a, b, numbers, vector_bytes=vector_bytes)
    check(a, b, numbers, np.float64, vector_bytes)


CUT = [  # (shapes), what of the last stage is aligned, whether it is a sum over parts
    (matrices(256, 192, 300, NN), "ac", False),
    (matrices(130, 272, 310, TN), "c", False),
    (matrices(131, 272, 310, NT), "ac", False),
    (matrices(7, 9, 70_001, TN), "", True),
    (matrices(10, 396, 2011, TN), "", True),
    (matrices(2, 1500, 700, NT), "b", False),
    (((13_001, 300), (300,), NN), "ac", False),
    (((200_001, 17), (200_001,), TN), "", True),
    (((9000, 130), (130, 5), NN), "ac", False),
    (((1_000_003,), (1_000_003,), TN), "", True),
    (((3, 300_001), (2, 300_001), NT), "", True),
    (((64, 60, 40), (64, 40, 60), (((2,), (1,)), ((0,), (0,)))), "abc", False),
]


@pytest.mark.parametrize("vector_bytes", [64, 32])
@pytest.mark.parametrize("shapes, aligned, is_sum", CUT)
def test_parts(shapes, aligned, is_sum, vector_bytes):
    stages = check(*shapes, vector_bytes=vector_bytes)
    last = stages[-1]
    assert last.chunk < last.extent
    assert bool(last.accumulated) == is_sum
    lhs, rhs = last.eqns[0].invars
    names = {lhs: "a", rhs: "b", last.stored[0]: "c"}
    assert {names[v] for v in last.aligned if v in names} == set(aligned)
    check(*shapes, np.float64, vector_bytes, whole=True)


def test_large_rhs_is_packed():
    pack, tile = check(*matrices(130, 1024, 530, NN))
    assert tile.loaded[1] is pack.packed
    pack, _ = check(*matrices(130, 8 * 256 + 5, 1100, NN))
    assert pack.chunk < pack.extent


def test_one_array_as_both_operands():
    x = np.random.default_rng(0).standard_normal((20, 30)).astype(np.float32)
    e = fnets.make_jaxpr(lambda x: lax.dot_general(x, x, NT))(x).jaxpr.eqns[0]
    stages = contraction.lower(e, 64)
    assert stages is not None
    np.testing.assert_allclose(run(stages, e, [x]), x @ x.T, rtol=1e-5, atol=1e-5)
    square = fnets.make_jaxpr(lambda x: lax.dot_general(x, x, NN))(np.zeros((300, 300), np.float32)).jaxpr.eqns[0]
    tile = (contraction.lower(square, 64) or [])[0]
    assert tile.aligned == {tile.stored[0]}  # a part reads rows as lhs, but all of them as rhs


def test_values_beyond_numbers():
    """Infinities and NaN spread as far as they do in NumPy, also next to the lanes that are not stored; -0.0 * 1.0 is -0.0."""
    for a, b, numbers in (matrices(5, 21, 11, NN), matrices(3, 9, 21, NT), matrices(5, 21, 11, NT)):
        e = equation(a, b, numbers)
        x, y = np.ones(a, np.float32), np.ones(b, np.float32)
        x[1, 2], x[2, 3] = np.inf, np.nan
        x[0, 0], y[0, 0] = np.inf, 0
        stages = contraction.lower(e, 64)
        assert stages is not None
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(run(stages, e, [x, y]), e.prim.impl(x, y, **e.params))
    e = equation((3,), (4,), (((), ()), ((), ())))
    stages = contraction.lower(e, 64)
    assert stages is not None
    assert np.signbit(run(stages, e, [np.full(3, -0.0, np.float32), np.ones(4, np.float32)])).all()


def test_what_numpy_computes():
    assert contraction.lower(equation((2, 0), (0, 3), NN), 64) is None
    assert contraction.lower(equation((2, 3), (3, 4), NN, np.int32), 64) is None
    assert contraction.lower(equation((2, 3), (3, 4), NN, np.complex64), 64) is None
    huge = Eqn(equation((2, 3), (3, 4), NN).prim, *_huge(3000), {"dimension_numbers": NN})
    assert contraction.lower(huge, 64) is None


def _huge(n: int) -> tuple[list[Var], list[Var]]:
    return [Var(ShapedArray((n, n), np.float32)) for _ in range(2)], [Var(ShapedArray((n, n), np.float32))]


@st.composite
def products(draw):
    """Shapes and dimension numbers of two arrays with up to two batch, contracted and free axes each, in any order."""
    size = st.integers(1, 20)
    kinds = [draw(st.lists(size, max_size=2)) for _ in range(4)]
    batch, contracted, left, right = kinds

    def arrange(free: list[int]) -> tuple:
        sizes = [*batch, *contracted, *free]
        order = draw(st.permutations(range(len(sizes))))
        place = [order.index(i) for i in range(len(sizes))]
        b = tuple(place[: len(batch)])
        return tuple([sizes[i] for i in order]), b, tuple(place[len(batch) : len(batch) + len(contracted)])

    (a, lb, lc), (b, rb, rc) = arrange(left), arrange(right)
    return a, b, ((lc, rc), (lb, rb))


@hypothesis.settings(max_examples=25, deadline=None, derandomize=True, phases=PHASES, database=None)
@hypothesis.given(products(), st.sampled_from([np.float32, np.float64]), st.sampled_from([64, 32]))
def test_drawn(product, dtype, vector_bytes):
    check(*product, dtype, vector_bytes)
