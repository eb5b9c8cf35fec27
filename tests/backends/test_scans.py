"""Running operations, places of extremes and reductions as native stages against NumPy, along every axis, with special values."""

from __future__ import annotations

from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from fnets.backends.llvm.kernels.scans import LOWER
from fnets.core.avals import ShapedArray
from fnets.core.ir import Eqn, Var
from fnets.primitives import cumulative, reduce
from tests.backends.stage_runner import prepare

pytest.importorskip("llvmlite")

rng = np.random.default_rng(0)
PHASES = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
RUNNING = ["cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp", "linear_recurrence"]
REDUCTIONS = ["reduce_sum", "reduce_prod", "reduce_max", "reduce_min"]


def eqn(name: str, *args: np.ndarray, **params: Any) -> Eqn:
    prim = getattr(cumulative, f"{name}_p", None) or getattr(reduce, f"{name}_p")
    atoms = [Var(ShapedArray(a.shape, a.dtype)) for a in args]
    return Eqn(prim, atoms, [Var(prim.abstract(*[v.aval for v in atoms], **params))], params)


def check(name: str, *args: np.ndarray, vector_bytes: int = 64, parts: int | None = None, **params: Any) -> Any:
    e = eqn(name, *args, **params)
    stages = LOWER[name](e, vector_bytes)
    assert stages is not None
    (stage,) = stages
    run = prepare(stage, parts or 3)
    with np.errstate(all="ignore"):
        want = e.prim.impl(*args, **params)
    for whole in (False, True):
        (got,) = run(*args, whole=whole)
        exact = args[0].dtype.kind != "f" or name.startswith("arg") or name.endswith(("max", "min"))
        if exact:
            np.testing.assert_array_equal(got, want)
        else:
            tolerance = 2e-5 if got.dtype == np.float32 else 1e-12
            np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
    return stage


def values(shape: tuple, dtype: Any = np.float32, special: bool = False) -> np.ndarray:
    """Numbers with ties, or near 1; some of them special."""
    x = rng.integers(-5, 6, shape).astype(dtype)
    if special and x.dtype.kind == "f":
        chance = rng.random(shape)
        x[chance < 0.02] = np.nan
        x[(chance > 0.02) & (chance < 0.06)] = -np.inf
        x[(chance > 0.06) & (chance < 0.1)] = np.inf
    return x


def operands(name: str, shape: tuple, dtype: Any = np.float32) -> list[np.ndarray]:
    if "max" in name or "min" in name:
        return [values(shape, dtype, special=True)]
    x = rng.uniform(0.9, 1.1, shape).astype(dtype)
    return [x, x.copy()] if name == "linear_recurrence" else [x]


@pytest.mark.parametrize("name", RUNNING)
@pytest.mark.parametrize("shape, axis", [((300,), 0), ((5, 37), 1), ((6, 40, 90), 1), ((50, 33), 0), ((3, 1, 5), 1)])
@pytest.mark.parametrize("reverse", [False, True])
def test_running(name: str, shape: tuple, axis: int, reverse: bool):
    k = len(shape) + reverse + len(name)
    dtype, vector_bytes = (np.float32, np.float64)[k % 2], (32, 64)[k // 2 % 2]
    check(name, *operands(name, shape, dtype), axis=axis, reverse=reverse, vector_bytes=vector_bytes, parts=3)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize(
    "shape, axis", [((300,), 0), ((5, 37), 1), ((6, 4, 90), 1), ((50, 33), 0), ((7, 10), 1), ((3, 1), 1), ((6, 64), 1)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
def test_places(name: str, shape: tuple, axis: int, dtype: Any):
    for index, vector_bytes in ((np.int64, 64), (np.int32, 32)):
        x = values(shape, dtype, special=True)
        check(name, x, axis=axis, index_dtype=np.dtype(index), vector_bytes=vector_bytes, parts=3)
    if np.dtype(dtype).kind == "f":
        for fill in (np.nan, -np.inf, np.inf):
            check(name, np.full(shape, fill, dtype), axis=axis, index_dtype=np.dtype(np.int64))


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize(
    "shape, axes",
    [
        ((8, 6, 5, 7), (0, 2, 3)),
        ((8, 16, 13, 13), (0, 2, 3)),
        ((8, 30, 40), (1,)),
        ((8, 30, 3, 40), (1,)),
        ((8, 30, 3, 40), (0, 2)),
        ((8, 30, 3, 40), (1, 3)),
        ((8, 300), (1,)),
        ((90, 33), (0,)),
        ((90, 33), (0, 1)),
        ((1, 9, 1, 5), (2,)),
    ],
)
def test_reductions(name: str, shape: tuple, axes: tuple):
    k = len(shape) + len(axes) + len(name)
    dtype = (np.float32, np.float64)[k % 2]
    check(name, *operands(name, shape, dtype), axes=axes, vector_bytes=(32, 64)[k // 2 % 2], parts=3)


def test_integers():
    x = values((20, 33), np.int64)
    for axis in (0, 1):
        check("cumsum", x, axis=axis, reverse=False)
        check("cummax", x, axis=axis, reverse=True)
        check("reduce_sum", x, axes=(axis,))
        check("reduce_min", x.astype(np.uint8), axes=(axis,))


def test_special_sums():
    x = np.array([[np.inf, 1, -np.inf, 3] * 9, [-0.0] * 36, [np.inf] * 36], np.float32)
    for axis in (0, 1):
        for reverse in (False, True):
            check("cumlogsumexp", x, axis=axis, reverse=reverse)
            check("cumsum", x, axis=axis, reverse=reverse)
    (stage,) = LOWER["cumsum"](eqn("cumsum", x, axis=1, reverse=False), 64)
    assert np.signbit(prepare(stage)(x)[0][1]).all()


@pytest.mark.parametrize("name", ["cumsum", "reduce_sum", "argmax"])
def test_columns_are_shared(name: str):
    params = {
        "cumsum": {"axis": 0, "reverse": False},
        "reduce_sum": {"axes": (0,)},
        "argmax": {"axis": 0, "index_dtype": np.dtype(np.int64)},
    }[name]
    stage = check(name, rng.uniform(0.9, 1.1, (300, 5003)).astype(np.float32), **params)
    assert stage.extent == 5003 and stage.blocking % stage.width == 0 and stage.blocking < 5003


@st.composite
def drawn_cases(draw) -> tuple:
    shape = tuple(draw(st.lists(st.sampled_from([1, 2, 5, 16, 19, 40]), min_size=1, max_size=4)))
    name = draw(st.sampled_from([*RUNNING, *REDUCTIONS, "argmax", "argmin"]))
    if name in REDUCTIONS:
        axes = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True).map(sorted))
        return name, shape, {"axes": tuple(axes)}
    params: dict[str, Any] = {"axis": draw(st.integers(0, len(shape) - 1))}
    params |= {"index_dtype": np.dtype(np.int64)} if name.startswith("arg") else {"reverse": draw(st.booleans())}
    return name, shape, params


@hypothesis.settings(max_examples=60, deadline=None, phases=PHASES)
@hypothesis.given(drawn_cases(), st.sampled_from([32, 64]), st.sampled_from(["f4", "f8"]), st.integers(1, 4))
def test_drawn(case: tuple, vector_bytes: int, dtype: str, parts: int):
    name, shape, params = case
    check(name, *operands(name, shape, dtype), vector_bytes=vector_bytes, parts=parts, **params)


def test_what_numpy_does():
    x = values((4, 5), np.int32)
    assert LOWER["cumsum"](eqn("cumsum", x, axis=0, reverse=False), 64) is None  # widens
    assert LOWER["reduce_sum"](eqn("reduce_sum", x, axes=(0,)), 64) is None
