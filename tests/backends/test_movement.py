"""Copies as native stages against NumPy: transpositions, views, padding, joining, updates; whole and in parts, in place where that is allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax
from fnets.backends.llvm.kernels import movement
from fnets.backends.llvm.kernels.movement import LOWER
from fnets.core.ir import Eqn, Literal, Var
from tests.backends.stage_runner import prepare

pytest.importorskip("llvmlite")

rng = np.random.default_rng(0)
PHASES = (hypothesis.Phase.explicit, hypothesis.Phase.generate)


def values(shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    return rng.integers(0, 2 if np.dtype(dtype) == bool else 100, shape).astype(dtype)


def moved(f: Callable, *args: Any) -> Eqn:
    """The last equation of a function that a stage may compute."""
    return [e for e in fnets.make_jaxpr(f)(*args).jaxpr.eqns if e.prim.name in LOWER][-1]


def check(e: Eqn, args: list, vector_bytes: int = 64, parts: int | None = None) -> Any:
    """The stage gives what NumPy gives; `parts`: cut so, if it can be."""
    stages = LOWER[e.prim.name](e, vector_bytes)
    assert stages is not None
    (stage,) = stages
    assert isinstance(stage, movement.Movement)
    run = prepare(stage, parts or 3)
    want = np.asarray(e.prim.impl(*[v.val if type(v) is Literal else a for v, a in zip(e.invars, args)], **e.params))
    given = [args[e.invars.index(v)] for v in stage.loaded]
    given = [a.copy(order="C") for a in given]
    for whole in (False, True):
        (got,) = run(*given, whole=whole)
        np.testing.assert_array_equal(got, want)
    return stage


@pytest.mark.parametrize(
    "shape, permutation",
    [
        ((8, 5, 6, 7), (0, 2, 3, 1)),
        ((8, 64, 16, 16), (0, 2, 3, 1)),
        ((8, 16, 16, 64), (0, 3, 1, 2)),
        ((16, 64, 32, 32), (0, 2, 3, 1)),
        ((4, 3, 16, 16), (0, 2, 3, 1)),
        ((4, 13, 13, 40), (0, 3, 1, 2)),
        ((300, 401), (1, 0)),
        ((16, 16), (1, 0)),
        ((33, 5), (1, 0)),
        ((3, 200), (1, 0)),
        ((6, 10, 4, 8), (0, 2, 1, 3)),
        ((6, 10, 4, 200), (2, 0, 1, 3)),
        ((5, 6, 7, 8), (3, 2, 1, 0)),
        ((5, 200, 3), (1, 2, 0)),
        ((1, 200, 300), (2, 1, 0)),
        ((3, 4, 5), (0, 1, 2)),
        ((70, 1, 90), (1, 2, 0)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, bool, np.int16])
def test_transpose(shape: tuple, permutation: tuple, dtype: Any):
    x = values(shape, dtype)
    e = moved(lambda x: lax.transpose_p.bind(x, permutation=permutation), x)
    for vector_bytes in (32, 64):
        check(e, [x], vector_bytes)
    check(e, [x], parts=3)


X = values((6, 9, 20))
SCALAR = np.float32(2.5)
CASES: dict[str, tuple] = {  # function and operands
    "slice": (lambda x: lax.slice(x, (1, 2, 3), (5, 9, 17)), X),
    "slice, steps": (lambda x: lax.slice(x, (1, 0, 3), (6, 9, 20), (2, 1, 3)), X),
    "slice, rows whole": (lambda x: x[:, 1:4, 2:19], X),
    "reversed": (lambda x: lax.rev(x, (0, 2)), X),
    "reversed inside": (lambda x: x[:, ::-1], X),
    "long rows reversed": (lambda x: lax.rev(x, (1,)), values((5, 300))),
    "a vector reversed": (lambda x: lax.rev(x, (0,)), values((300,))),
    "index": (lambda x: x[2], X),
    "index inside": (lambda x: x[:, 3, None, ::2], X),
    "broadcast": (lambda x: fnp.broadcast_to(x, (7, 6, 9, 20)), X),
    "broadcast row": (lambda x: fnp.broadcast_to(x, (9, 13, 37)), values((37,))),
    "broadcast column": (lambda x: fnp.broadcast_to(x, (9, 13, 37)), values((13, 1))),
    "broadcast scalar": (lambda x: fnp.broadcast_to(x, (9, 37)), np.array(3, np.float32)),
    "broadcast literal": (lambda x: fnp.broadcast_to(np.float32(-0.0), (9, 37)), X),
    "pad": (lambda x: lax.pad(x, SCALAR, ((0, 0, 0), (1, 1, 0), (2, 3, 0))), X),
    "pad rows": (lambda x: lax.pad(x, SCALAR, ((3, 1, 0), (0, 0, 0), (0, 0, 0))), X),
    "pad between, crop": (lambda x: lax.pad(x, SCALAR, ((-1, 2, 1), (1, -2, 2), (-3, -4, 1))), X),
    "pad by a variable": (lambda x, v: lax.pad(x, v, ((0, 0, 0), (1, 1, 0), (2, 3, 0))), X, np.array(7, np.float32)),
    "pad with zeros": (lambda x: lax.pad(x, np.float32(0), ((0, 0, 0), (1, 1, 0), (1, 1, 0))), values((64, 40, 40))),
    "pad a vector": (lambda x: lax.pad(x, SCALAR, ((3, 40, 0),)), values((50,))),
    "crop all": (lambda x: lax.pad(x, SCALAR, ((-60, 20, 0), (3, 40, 0))), values((50, 2))),
    "join rows": (lambda x, y: fnp.concatenate([x, y, x]), X, values((3, 9, 20))),
    "join columns": (lambda x, y: fnp.concatenate([x, y], -1), X, values((6, 9, 33))),
    "join vectors": (lambda x, y: fnp.concatenate([x, y], -1), values((1000,)), values((30_000,))),
    "stack": (lambda x, y: fnp.stack([x, y], -1), X, X),
    "place": (lambda x, c: fnets.vjp(lambda x: x[1:3, ::-2, 3], x)[1](c)[0], X, values((2, 5))),
    "place steps": (lambda x, c: fnets.vjp(lambda x: x[::2, 4], x)[1](c)[0], X, values((3, 20))),
    "set": (lambda x, v: fnp.at(x)[2:4, 3:5].set(v), X, values((2, 2, 20))),
    "set reversed": (lambda x, v: fnp.at(x)[:, 3:5, ::-1].set(v), X, values((6, 2, 20))),
    "set steps": (lambda x, v: fnp.at(x)[::3, 3].set(v), X, values((2, 20))),
    "add": (lambda x, v: fnp.at(x)[1:, 3].add(v), X, values((5, 20))),
    "copy": (lambda x: fnp.copy(x), X),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("parts", [None, 4])
def test_cases(case: str, parts: int | None):
    f, *args = CASES[case]
    e = moved(f, *args)
    by_size = {a.size: a for a in args}
    operands = [by_size[v.aval.size].reshape(v.aval.shape) if type(v) is Var else None for v in e.invars]
    check(e, operands, (32, 64)[len(case) % 2], parts)


@pytest.mark.parametrize("starts", [(0, 0, 0), (2, 3, 4), (-2, -1, -7), (5, 100, -100)])
@pytest.mark.parametrize("index", ["i4", "i8", "u1"])
@pytest.mark.parametrize("sizes", [(3, 4, 5), (6, 9, 7), (2, 9, 20)])
def test_dynamic_windows(starts: tuple, index: str, sizes: tuple):
    where = [np.array(abs(s) if index == "u1" else s, index) for s in starts]
    e = moved(lambda x, *i: lax.dynamic_slice(x, i, sizes), X, *where)
    check(e, [X, *where])
    update = values(sizes)
    e = moved(lambda x, u, *i: lax.dynamic_update_slice(x, u, i), X, update, *where)
    check(e, [X, update, *where], parts=3)


def test_a_window_at_literals():
    i = np.array(4, np.int32)
    e = moved(lambda x, i: lax.dynamic_slice(x, (1, i, -3), (3, 4, 2)), X, i)
    check(e, [X, None, i, None])


def test_update_in_place():
    x, values_ = values((50, 30)), values((2, 30))
    e = moved(lambda x, v: fnp.at(x)[2:4].set(v), x, values_)
    (stage,) = LOWER["update"](e, 64)
    assert stage.replaceable(e.outvars[0]) == [e.invars[0]]
    want = e.prim.impl(x, values_, **e.params)
    run = prepare(stage)
    kept = run(x, values_)[0]
    np.testing.assert_array_equal(kept, want)


def test_aligned():
    x = values((64, 8, 8, 16))
    e = moved(lambda x: fnp.transpose(x, (0, 3, 1, 2)), x)
    assert check(e, [x]).aligned == {e.invars[0], e.outvars[0]}
    e = moved(lambda x: x[:, ::-1, 1:3], x)
    assert check(e, [x]).aligned == {e.invars[0], e.outvars[0]}
    e = moved(lambda x: x[::-1], x)
    assert check(e, [x]).aligned == {e.outvars[0]}


@st.composite
def views(draw) -> tuple:
    shape = draw(st.lists(st.sampled_from([1, 2, 3, 8, 17, 21]), min_size=1, max_size=4))
    return tuple(shape), draw(st.permutations(range(len(shape))))


@hypothesis.settings(max_examples=50, deadline=None, phases=PHASES)
@hypothesis.given(views(), st.sampled_from([32, 64]), st.sampled_from(["f4", "f8", "?", "i2"]), st.integers(1, 5))
def test_drawn_transpositions(case: tuple, vector_bytes: int, dtype: str, parts: int):
    shape, permutation = case
    x = values(shape, np.dtype(dtype))
    e = moved(lambda x: lax.transpose_p.bind(x, permutation=tuple(permutation)), x)
    check(e, [x], vector_bytes, parts)


@st.composite
def paddings(draw) -> tuple:
    shape = draw(st.lists(st.integers(1, 20), min_size=1, max_size=3))
    return tuple(shape), tuple(
        [draw(st.tuples(st.integers(-1, 3), st.integers(0, 3), st.integers(0, 2))) for _ in shape]
    )


@hypothesis.settings(max_examples=30, deadline=None, phases=PHASES)
@hypothesis.given(paddings(), st.integers(1, 5))
def test_drawn_paddings(case: tuple, parts: int):
    shape, config = case
    x = values(shape)
    e = moved(lambda x: lax.pad_p.bind(x, np.float32(1), padding_config=config), x)
    hypothesis.assume(e.outvars[0].aval.size > 0)
    check(e, [x, None], parts=parts)


def test_what_numpy_does():
    x = values((3, 4), np.complex128)
    assert LOWER["transpose"](moved(lambda x: x.T, x), 64) is None
    e = moved(lambda x, y: lax.concatenate([x, y]), values((3, 4)), values((3, 4), np.float64))
    assert LOWER["concatenate"](e, 64) is None
