"""Windows as native stages against the NumPy kernels, over layouts, strides, padding, dilation and special values."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from fnets.backends.llvm.kernels.windows import LOWER
from fnets.core.avals import ShapedArray
from fnets.core.ir import Eqn, Var
from fnets.primitives import pool
from fnets.primitives.pool_kernels import windows
from tests.backends.stage_runner import prepare

pytest.importorskip("llvmlite")

rng = np.random.default_rng(0)
NAMES = ["reduce_window_argmax", "reduce_window_max", "reduce_window_sum", "window_gather", "window_scatter", "window_spread"]  # fmt: skip
FORWARD = {n for n in NAMES if n.startswith("reduce")} | {"window_gather"}


def eqn_of(name: str, dtype: type, shape: tuple, window: tuple, strides: tuple, padding: tuple, dilation: tuple) -> Eqn:
    prim = getattr(pool, f"{name}_p")
    params = {
        "window_dimensions": window,
        "window_strides": strides,
        "padding": padding,
        "window_dilation": dilation,
    }
    w = windows("test", shape, *params.values())
    x, y, index = ShapedArray(shape, dtype), ShapedArray(w.out, dtype), ShapedArray(w.out, w.index_dtype)
    operands = [x if name in FORWARD else y] + [index] * (name in ("window_gather", "window_scatter"))
    if name not in FORWARD:
        params["shape"] = shape
    made = prim.abstract(*operands, **params)
    return Eqn(prim, [Var(a) for a in operands], [Var(a) for a in (made if prim.multi else [made])], params)


def values(aval: ShapedArray) -> np.ndarray:
    """Few different numbers, so that there are ties; some are special."""
    x = rng.integers(-3, 4, aval.shape).astype(aval.dtype)
    special = rng.random(aval.shape)
    x[special < 0.02] = np.nan
    x[(special > 0.02) & (special < 0.1)] = -np.inf
    return x


def places(e: Eqn) -> np.ndarray:
    """Places of extremes, and some times none."""
    params = {k: v for k, v in e.params.items() if k != "shape"}
    shape = e.params.get("shape", e.invars[0].aval.shape)
    x = rng.standard_normal(shape).astype(np.float32)
    index = pool.reduce_window_argmax_p.impl(x, **params)[1]
    index[rng.random(index.shape) < 0.05] = np.prod(e.params["window_dimensions"])
    return index


def check(e: Eqn, vector_bytes: int) -> None:
    stages = LOWER[e.prim.name](e, vector_bytes)
    assert stages is not None
    (stage,) = stages
    run = prepare(stage)
    args = [values(e.invars[0].aval), *[places(e) for _ in e.invars[1:]]]
    if e.prim.name in ("reduce_window_sum", "window_spread", "window_scatter"):
        args[0][~np.isfinite(args[0])] = -0.0
    want = e.prim.impl(*args, **e.params)
    for got in (run(*args), run(*args, whole=True)):
        for a, b in zip(got, want if e.prim.multi else [want], strict=True):
            np.testing.assert_array_equal(a, b)
            if e.prim.name == "window_scatter":
                np.testing.assert_array_equal(np.signbit(a), np.signbit(b))


NONE = (0, 0)
CASES = {  # shape, window, strides, padding, dilation
    "tutorial": ((64, 1, 26, 26), (1, 1, 2, 2), (1, 1, 2, 2), (NONE,) * 4, (1,) * 4),
    "channels last": ((5, 8, 6, 32), (1, 2, 2, 1), (1, 2, 2, 1), (NONE,) * 4, (1,) * 4),
    "one channel": ((3, 8, 6, 1), (1, 2, 2, 1), (1, 2, 2, 1), (NONE,) * 4, (1,) * 4),
    "odd channels, rest": ((2, 7, 9, 83), (1, 2, 2, 1), (1, 2, 2, 1), (NONE,) * 4, (1,) * 4),
    "overlap, padding": ((2, 8, 9, 21), (1, 3, 3, 1), (1, 2, 2, 1), (NONE, (1, 1), (0, 1), NONE), (1,) * 4),
    "overlap, padding, rows": ((2, 3, 9, 37), (1, 1, 3, 3), (1, 1, 2, 2), (NONE, NONE, (1, 1), (1, 1)), (1,) * 4),
    "step 1": ((2, 3, 9, 37), (1, 1, 3, 3), (1, 1, 1, 1), (NONE, NONE, (1, 1), (1, 1)), (1,) * 4),
    "gaps": ((2, 3, 11, 41), (1, 1, 2, 2), (1, 1, 3, 4), (NONE,) * 4, (1,) * 4),
    "step 3": ((2, 3, 9, 50), (1, 1, 3, 3), (1, 1, 3, 3), (NONE,) * 4, (1,) * 4),
    "dilation": ((2, 13, 21), (1, 2, 3), (1, 2, 1), (NONE, (1, 2), (2, 2)), (1, 3, 2)),
    "large window": ((2, 17, 19, 4), (1, 17, 16, 1), (1, 1, 1, 1), (NONE,) * 4, (1,) * 4),
    "windows along all axes": ((13, 20), (3, 2), (2, 2), ((1, 1), NONE), (1, 1)),
    "one axis": ((70,), (2,), (2,), (NONE,), (1,)),
    "axis between": ((6, 5, 4, 7), (1, 2, 1, 3), (1, 1, 1, 3), (NONE,) * 4, (1,) * 4),
    "three dimensions": ((2, 4, 6, 6, 16), (1, 2, 2, 2, 1), (1, 2, 2, 2, 1), (NONE,) * 5, (1,) * 5),
    "cut in parts": ((40, 32, 32, 32), (1, 2, 2, 1), (1, 2, 2, 1), (NONE,) * 4, (1,) * 4),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", CASES)
def test_cases(case: str, name: str):
    k = (list(CASES).index(case) + NAMES.index(name)) % 4  # each of both in turn
    check(eqn_of(name, (np.float32, np.float64)[k % 2], *CASES[case]), (32, 64)[k // 2])


@pytest.mark.parametrize("name", [*NAMES, "reduce_window_argmin", "reduce_window_min"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("vector_bytes", [32, 64])
def test_tutorial(name: str, dtype: type, vector_bytes: int):
    shape, *rest = CASES["tutorial"]
    if "min" in name:
        FORWARD.add(name)
    check(eqn_of(name, dtype, (3, *shape[1:]), *rest), vector_bytes)


@st.composite
def window_cases(draw) -> tuple:
    n = draw(st.integers(1, 4))
    axes = []
    for _ in range(n):
        window, stride, dilation = draw(st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 2)))
        low, high = draw(st.tuples(*[st.integers(0, (window - 1) * dilation // 2)] * 2))
        reach = (window - 1) * dilation + 1
        axes.append((draw(st.integers(max(1, reach - low - high), 12)), window, stride, (low, high), dilation))
    if draw(st.booleans()):
        axes.append((draw(st.integers(1, 40)), 1, 1, NONE, 1))
    if draw(st.booleans()):
        axes.insert(0, (3, 1, 1, NONE, 1))
    return tuple(zip(*axes))


@hypothesis.settings(max_examples=60, deadline=None, phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate))
@hypothesis.given(window_cases(), st.sampled_from(NAMES), st.sampled_from([32, 64]), st.sampled_from("fd"))
def test_drawn(case: tuple, name: str, vector_bytes: int, dtype: str):
    e = eqn_of(name, np.dtype(dtype).type, *case)
    hypothesis.assume(LOWER[name](e, vector_bytes) is not None)
    check(e, vector_bytes)


def test_what_numpy_does():
    shape, *rest = CASES["tutorial"]
    assert LOWER["reduce_window_max"](eqn_of("reduce_window_max", np.int32, shape, *rest), 64) is None
    empty = eqn_of("reduce_window_max", np.float32, (4,), (1,), (1,), ((1, 0),), (1,))
    assert LOWER["reduce_window_max"](empty, 64) is None
