"""Index arrays as native stages against NumPy: every arrangement of indexed axes, gradients, modes, and indices that are out of range."""

from __future__ import annotations

from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import fnets
from fnets.backends.llvm.kernels.gathers import LOWER
from fnets.core.avals import ShapedArray
from fnets.core.ir import Eqn, Literal, Var
from fnets.errors import IndexingError
from fnets.primitives.gather import gather_p, gather_transpose_p, scatter_p
from fnets.primitives.index_arrays import gathered_shape
from tests.backends.stage_runner import prepare

pytest.importorskip("llvmlite")

rng = np.random.default_rng(0)


def eqn(prim: Any, *args: Any, **params: Any) -> Eqn:
    """An equation on these operands; Python's ints become literals."""
    atoms = [
        Literal(np.int64(a)) if isinstance(a, int) else Var(ShapedArray(np.shape(a), np.asarray(a).dtype)) for a in args
    ]
    return Eqn(prim, atoms, [Var(prim.abstract(*[v.aval for v in atoms], **params))], params)


def check(prim: Any, *args: Any, vector_bytes: int = 64, parts: int | None = None, **params: Any) -> Any:
    e = eqn(prim, *args, **params)
    stages = LOWER[prim.name](e, vector_bytes)
    assert stages is not None
    (stage,) = stages
    run = prepare(stage, parts or 3)
    given = [a for a, v in zip(args, e.invars) if type(v) is Var]
    want = prim.impl(*args, **params)
    for whole in (False, True):
        got, *errors = run(*given, whole=whole)
        if prim is gather_p or params.get("op") in ("set", "min", "max"):
            np.testing.assert_array_equal(got, want)
        else:
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
        assert not any(errors)
    return stage


def indices(shape: tuple, n: int, dtype: Any = np.int64) -> np.ndarray:
    return rng.integers(0 if np.dtype(dtype).kind == "u" else -n, n, shape).astype(dtype)


def values(shape: tuple, dtype: Any = np.float32) -> np.ndarray:
    return rng.standard_normal(shape).astype(dtype)


CASES: dict[str, tuple] = {  # shape, axes, shapes of the indices
    "rows": ((50, 37), (0,), [(13,)]),
    "embedding": ((500, 64), (0,), [(8, 20)]),
    "long rows": ((50, 300), (0,), [(13,)]),
    "vector": ((1000,), (0,), [(70, 3)]),
    "columns": ((9, 50), (1,), [(13,)]),
    "middle": ((4, 50, 6), (1,), [(13, 2)]),
    "pairs": ((30, 10), (0, 1), [(30,), (30,)]),
    "broadcast": ((30, 10, 5), (0, 1), [(7, 1), (4,)]),
    "apart": ((6, 7, 8), (0, 2), [(5,), (5,)]),
    "apart, rows": ((6, 7, 8, 9), (0, 2), [(5, 1), (3,)]),
    "inner apart": ((3, 6, 7, 8), (1, 3), [(5,), (5,)]),
    "scalar": ((30, 10, 5), (0, 1), [(7,), ()]),
    "scalar alone": ((30, 10, 5), (1,), [()]),
    "one row": ((1, 10), (0,), [(7,)]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("parts", [None, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cases(case: str, parts: int | None, dtype: Any):
    shape, axes, index_shapes = CASES[case]
    k = len(case) % 3
    index = [indices(s, shape[a], (np.int64, np.int32, np.uint8)[k]) for s, a in zip(index_shapes, axes)]
    kwargs = {"axes": axes, "unique": False, "parts": parts, "vector_bytes": (32, 64)[k % 2]}
    x = values(shape, dtype)
    check(gather_p, x, *index, **kwargs)
    picked = gathered_shape(shape, np.broadcast_shapes(*index_shapes), axes)
    u = values(picked, dtype)
    check(gather_transpose_p, u, *index, shape=shape, **kwargs)
    for op in ("set", "add", "max"):
        check(scatter_p, x, u, *index, op=op, drop=False, **kwargs)


@pytest.mark.parametrize("op", ["set", "add", "mul", "min", "max"])
def test_out_of_range_is_dropped(op: str):
    x, u = values((40, 6)), values((60, 6))
    index = rng.integers(-60, 60, 60)
    check(scatter_p, x, u, index, axes=(0,), op=op, drop=True, unique=False, parts=3)


def test_unique_sets():
    u = values((20, 6))
    check(gather_transpose_p, u, rng.permutation(40)[:20], shape=(40, 6), axes=(0,), unique=True, parts=3)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int16, np.complex64])
def test_dtypes(dtype: Any):
    x = rng.integers(0, 2, (30, 7)).astype(dtype)
    check(gather_p, x, indices((11,), 30), axes=(0,), unique=False)


def test_a_literal_index():
    x = values((30, 7))
    check(gather_p, x, -3, indices((11,), 7), axes=(0, 1), unique=False)
    wrong = LOWER["gather"](eqn(gather_p, x, 30, indices((11,), 7), axes=(0, 1), unique=False), 64)
    assert wrong is not None and prepare(wrong[0])(x, indices((11,), 7))[1].any()


@pytest.mark.parametrize("index", [[0, 30], [-31, 2]])
def test_errors_are_counted(index: list):
    x, i = values((30, 7)), np.array(index)
    for prim, args, params in (
        (gather_p, (x, i), {}),
        (gather_transpose_p, (x[:2], i), {"shape": (30, 7)}),
        (scatter_p, (x, x[:2].copy(), i), {"op": "add", "drop": False}),
    ):
        params = {"axes": (0,), "unique": False, **params}
        stages = LOWER[prim.name](eqn(prim, *args, **params), 64)
        assert stages is not None and stages[0].errors in stages[0].accumulated
        *_, errors = prepare(stages[0])(*args)
        assert errors.shape == (1,) and errors[0] > 0
        with pytest.raises(IndexingError):
            prim.impl(*args, **params)


def test_embedding_gradient_in_parts():
    u, index = values((3000, 64)), rng.integers(0, 20_000, 3000)
    stage = check(gather_transpose_p, u, index, shape=(20_000, 64), axes=(0,), unique=False)
    assert stage.blocking < stage.extent and stage.extent == 20_000


def test_aligned():
    x, i = values((30, 7)), indices((30,), 7)
    e = eqn(gather_p, x, np.arange(30), i, axes=(0, 1), unique=False)
    stages = LOWER["gather"](e, 64)
    assert stages is not None and stages[0].aligned == {e.invars[1], e.invars[2], e.outvars[0]}
    e = eqn(gather_p, x, i, axes=(1,), unique=False)
    stages = LOWER["gather"](e, 64)
    assert stages is not None and stages[0].aligned == {e.invars[0], e.outvars[0]}


@st.composite
def drawn_cases(draw) -> tuple:
    shape = tuple(draw(st.lists(st.sampled_from([1, 2, 5, 9, 17]), min_size=1, max_size=4)))
    axes = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True).map(sorted))
    common = draw(st.lists(st.integers(1, 6), max_size=2))
    shapes = [tuple([n if draw(st.booleans()) else 1 for n in common]) for _ in axes]
    return shape, tuple(axes), shapes


@hypothesis.settings(max_examples=50, deadline=None, phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate))
@hypothesis.given(drawn_cases(), st.integers(1, 4), st.booleans(), st.sampled_from([32, 64]))
def test_drawn(case: tuple, parts: int, backwards: bool, vector_bytes: int):
    shape, axes, shapes = case
    index = [indices(s, shape[a]) for s, a in zip(shapes, axes)]
    kwargs = {"axes": axes, "unique": False, "parts": parts, "vector_bytes": vector_bytes}
    if backwards:
        u = values(gathered_shape(shape, np.broadcast_shapes(*shapes), axes))
        check(gather_transpose_p, u, *index, shape=shape, **kwargs)
    else:
        check(gather_p, values(shape), *index, **kwargs)


def test_user_functions():
    x, i = values((30, 7)), indices((11,), 30)
    for e in fnets.make_jaxpr(fnets.grad(lambda x, i: (x[i] ** 2).sum()))(x, i).jaxpr.eqns:
        if e.prim.name in LOWER:
            assert LOWER[e.prim.name](e, 64) is not None
