"""Native convolutions against NumPy's impls."""

from __future__ import annotations

import numpy as np
import pytest

from fnets.backends.llvm import channels_last, convolution
from fnets.core.avals import ShapedArray
from fnets.core.ir import Eqn, Var
from tests.backends.stage_runner import prepare

pytest.importorskip("llvmlite")

rng = np.random.default_rng(0)


def params(rank, strides=1, padding=0, lhs_dilation=1, rhs_dilation=1, groups=1, images=1) -> dict:
    spread = lambda v: tuple(v) if isinstance(v, (tuple, list)) else (v,) * rank  # noqa: E731
    pads = tuple([p if isinstance(p, tuple) else (p, p) for p in spread(padding)])
    return {
        "window_strides": spread(strides),
        "padding": pads,
        "lhs_dilation": spread(lhs_dilation),
        "rhs_dilation": spread(rhs_dilation),
        "feature_group_count": groups,
        "batch_group_count": images,
    }


def equation(prim, *operands: tuple[tuple[int, ...], str], **kw) -> Eqn:
    avals = [ShapedArray(shape, np.dtype(dtype)) for shape, dtype in operands]
    return Eqn(prim, [Var(a) for a in avals], [Var(prim.abstract(*avals, **kw))], kw)


def equations(x, w, dtype="float32", **kw) -> list[Eqn]:
    """The three convolutions of x (N, *space, C) and w (*window, C / groups, O)."""
    p = params(len(x) - 2, **kw)
    conv = equation(channels_last.conv_last_p, (x, dtype), (w, dtype), **p)
    y = conv.outvars[0].aval.shape
    return [
        conv,
        equation(channels_last.conv_input_grad_last_p, (y, dtype), (w, dtype), space=x[1:-1], **p),
        equation(channels_last.conv_weight_grad_last_p, (x, dtype), (y, dtype), window=w[:-2], **p),
    ]


def run(stages, *arrays):
    """Run stages one after the other; the last one's result."""
    values = dict(zip(list(stages[-1].eqns[0].invars), arrays, strict=True))
    for s in stages:
        assert s.chunk <= s.extent and -(-s.extent // s.chunk) <= 64
        for v in s.aligned:
            assert v.aval.shape[0] == s.extent
        values.update(zip(s.stored, prepare(s)(*[values[v] for v in s.loaded])))
    return values[stages[-1].eqns[0].outvars[0]]


def check(e: Eqn, vector_bytes: int = 64, tolerance: float | None = None, **kw) -> None:
    stages = convolution.lower(e, vector_bytes, **kw)
    assert stages is not None
    arrays = [rng.standard_normal(v.aval.shape).astype(v.aval.dtype) for v in e.invars]
    got, want = run(stages, *arrays), e.prim.impl(*arrays, **e.params)
    tolerance = tolerance or (1e-5 if want.dtype == np.float32 else 1e-13)
    scale = max(1, np.abs(want).max())
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * scale)


CASES = [
    # x, w, parameters
    ((3, 8, 8, 16), (3, 3, 16, 32), {"padding": 1}),
    ((2, 7, 9, 3), (3, 2, 3, 20), {"padding": ((1, 0), (0, 2))}),
    ((2, 9, 8, 5), (3, 3, 5, 7), {"strides": 2, "padding": 1}),
    ((2, 9, 8, 5), (2, 2, 5, 7), {"strides": 3}),
    ((2, 9, 8, 5), (3, 3, 5, 9), {"rhs_dilation": 2, "padding": 1}),
    ((2, 9, 11, 5), (3, 3, 5, 9), {"rhs_dilation": (1, 3), "strides": (3, 2), "padding": 2}),
    ((2, 6, 6, 8), (1, 1, 8, 40), {}),
    ((2, 6, 6, 8), (1, 1, 8, 40), {"strides": 2}),
    ((2, 4, 4, 16), (3, 3, 16, 70), {"padding": 1}),
    ((3, 17, 8), (5, 8, 12), {"padding": 2}),
    ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    ((2, 5, 6, 7, 4), (3, 2, 3, 4, 6), {"padding": 1, "strides": (1, 2, 1)}),
    ((2, 6, 6, 16), (3, 3, 8, 32), {"groups": 2, "padding": 1}),
    ((2, 7, 6, 32), (3, 3, 8, 48), {"groups": 4, "padding": 1, "strides": 2}),
    ((2, 8, 8, 4), (3, 3, 4, 4), {"padding": ((-1, 2), (1, -2))}),
    # cut in parts
    ((40, 16, 16, 16), (3, 3, 16, 32), {"padding": 1}),
    ((1, 60, 56, 32), (3, 3, 32, 32), {"padding": 1}),
    ((2, 61, 57, 32), (3, 3, 32, 32), {"padding": 1, "strides": 2}),
    ((5, 61, 57, 32), (3, 3, 32, 16), {"padding": 1}),
    ((1, 20, 20, 20, 16), (3, 3, 3, 16, 8), {"padding": 1}),
    ((7, 4, 4, 64), (3, 3, 64, 64), {"padding": 1}),
]


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolutions(case, which):
    x, w, kw = case
    check(equations(x, w, **kw)[which])
