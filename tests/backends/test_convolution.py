"""Native convolutions against NumPy's impls."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from fnets.backends.llvm.kernels import convolution
from fnets.backends.llvm.passes import channels_last
from fnets.core.avals import ShapedArray
from fnets.core.ir import Eqn, Var
from tests.backends.stage_runner import prepare

pytest.importorskip("llvmlite")

rng = np.random.default_rng(0)
PHASES = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # every example compiles: shrinking would take minutes


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
    values = dict(zip(stages[-1].eqns[0].invars, arrays, strict=True))
    for s in stages:
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
    # depthwise
    ((2, 7, 9, 20), (3, 3, 1, 20), {"groups": 20, "padding": 1}),
    ((2, 9, 9, 32), (3, 3, 1, 32), {"groups": 32, "padding": 1, "strides": 2}),
    ((2, 40, 3), (31, 1, 3), {"groups": 3, "padding": 15}),
    ((40, 16, 16, 33), (5, 5, 1, 33), {"groups": 33, "padding": 2, "rhs_dilation": (1, 2)}),
    # few channels in a group, and depthwise with a multiplier
    ((2, 7, 6, 32), (3, 3, 4, 32), {"groups": 8, "padding": 1}),
    ((3, 9, 8, 128), (3, 3, 4, 128), {"groups": 32, "padding": 1, "strides": 2}),
    ((2, 6, 7, 20), (3, 2, 2, 20), {"groups": 10, "padding": ((1, 0), (0, 2)), "rhs_dilation": (2, 1)}),
    ((2, 9, 9, 21), (3, 3, 1, 42), {"groups": 21, "padding": 1}),
    ((2, 9, 9, 40), (5, 5, 1, 80), {"groups": 40, "padding": 2, "strides": 2}),
    ((2, 7, 6, 18), (3, 3, 1, 126), {"groups": 18}),
    ((2, 7, 6, 45), (2, 3, 3, 75), {"groups": 15, "padding": 1}),
    ((2, 7, 6, 50), (2, 2, 5, 30), {"groups": 10, "strides": (2, 1)}),
    ((2, 7, 6, 24), (3, 3, 12, 6), {"groups": 2, "padding": 1}),
    ((2, 7, 6, 32), (1, 1, 8, 4), {"groups": 4}),
    ((2, 7, 6, 2), (3, 3, 1, 2), {"groups": 2}),
    ((2, 7, 6, 6), (3, 3, 3, 2), {"groups": 2}),
    ((2, 30, 24), (9, 4, 24), {"groups": 6, "padding": 4}),
    ((2, 5, 6, 7, 12), (3, 2, 3, 2, 24), {"groups": 6, "padding": 1, "strides": (1, 2, 1)}),
    ((1, 80, 70, 64), (3, 3, 2, 64), {"groups": 32, "padding": 1}),
    ((1, 300, 40, 32), (3, 9, 1, 32), {"groups": 32}),
    ((1, 90, 100, 32), (3, 10, 1, 64), {"groups": 32, "padding": 2}),
    # few channels
    ((5, 28, 28, 1), (3, 3, 1, 1), {}),
    ((2, 20, 45, 1), (5, 5, 1, 1), {"padding": 2}),
    ((2, 45, 1), (5, 1, 1), {"padding": 1, "rhs_dilation": 3}),
    ((3, 12, 11, 3), (3, 3, 3, 3), {"padding": 1}),
    ((5, 12, 35, 9), (3, 2, 9, 2), {}),
    ((3, 21, 23, 2), (3, 3, 2, 17), {"padding": 1, "strides": 2}),
    ((1, 80, 70, 4), (3, 3, 4, 32), {"padding": 1}),
    ((2, 9, 10, 20, 1), (3, 3, 3, 1, 4), {"padding": 1}),
    ((9, 16, 16, 40), (3, 3, 40, 3), {"padding": 1}),
    ((3, 6, 7, 200), (2, 2, 200, 1), {"strides": (1, 2)}),
    # cut in parts
    ((40, 16, 16, 16), (3, 3, 16, 32), {"padding": 1}),
    ((1, 60, 56, 32), (3, 3, 32, 32), {"padding": 1}),
    ((2, 61, 57, 32), (3, 3, 32, 32), {"padding": 1, "strides": 2}),
    ((5, 61, 57, 32), (3, 3, 32, 16), {"padding": 1}),
    ((1, 20, 20, 20, 16), (3, 3, 3, 16, 8), {"padding": 1}),
    ((7, 4, 4, 64), (3, 3, 64, 64), {"padding": 1}),
]


KINDS = [("float32", 64), ("float64", 64), ("float32", 32), ("float64", 32)]


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolutions(case, which):
    x, w, kw = case
    check(equations(x, w, **kw)[which])


@pytest.mark.parametrize("number", range(len(CASES)))
def test_kinds(number):
    """Every case once more, by turns of dtype, vector width and which of the three."""
    x, w, kw = CASES[number]
    dtype, vector_bytes = KINDS[1 + number % 3]
    check(equations(x, w, dtype, **kw)[number // 3 % 3], vector_bytes)


@st.composite
def problems(draw):
    """Any convolution of one to three dimensions that is lowered."""
    rank = draw(st.integers(1, 3))
    several = lambda low, high: st.lists(st.integers(low, high), min_size=rank, max_size=rank).map(tuple)  # noqa: E731
    window, dilation = draw(several(1, 4)), draw(several(1, 2))
    space = tuple([draw(st.integers(max(1, (r - 1) * d), 12)) for r, d in zip(window, dilation)])
    padding = tuple([(draw(st.integers(0, 2)) + 1, draw(st.integers(0, 2))) for _ in range(rank)])
    groups = draw(st.sampled_from([1, 1, 2, 5, 19]))
    channels = {1: [1, 2, 5, 16, 23], 2: [1, 3, 8, 11], 5: [1, 2, 3, 4, 7], 19: [1, 2, 4]}[groups]
    inputs, outputs = (draw(st.sampled_from(channels)) for _ in ("inputs", "outputs"))
    kw = {"strides": draw(several(1, 3)), "rhs_dilation": dilation, "padding": padding, "groups": groups}
    x = (draw(st.integers(1, 5)), *space, inputs * groups)
    return equations(x, (*window, inputs, outputs * groups), draw(st.sampled_from(["float32", "float64"])), **kw)


@hypothesis.settings(max_examples=25, deadline=None, phases=PHASES)
@hypothesis.given(problems(), st.integers(0, 2), st.sampled_from([32, 64]))
def test_any_convolution(problem, which, vector_bytes):
    check(problem[which], vector_bytes)


def test_lhs_dilation():
    x, w = (2, 6, 7, 8), (3, 3, 8, 16)
    forward, input_grad, weight_grad = equations(x, w, lhs_dilation=2, padding=2)
    check(forward)
    check(input_grad)
    assert convolution.lower(weight_grad, 64) is None


@pytest.mark.parametrize("vector_bytes", [64, 32])
@pytest.mark.parametrize(
    "x, w",
    [
        ((5, 7, 6, 3), (3, 3, 3, 8)),
        ((2, 9, 9, 4), (2, 3, 4, 20)),
        ((2, 9, 9, 4), (3, 3, 4, 3)),
        ((40, 16, 16, 3), (3, 3, 3, 8)),
    ],
)
def test_a_weight_gradient_for_each_image(x, w, vector_bytes):
    """Per-example gradients: every image is a group of its own."""
    import fnets
    from fnets import lax

    def loss(w, image):
        y = lax.conv_general_dilated(image[None], w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return (y * y).sum()

    per_example = fnets.vmap(fnets.grad(loss), (None, 0))
    args = (rng.standard_normal(w).astype(np.float32), rng.standard_normal(x).astype(np.float32))
    want = np.stack([fnets.grad(loss)(args[0], image) for image in args[1]])
    native = fnets.jit(per_example, backend="llvm")
    np.testing.assert_allclose(native(*args), want, rtol=1e-4, atol=1e-3)
    assert "conv_weight_grad" not in native.lower(*args).compile().report().numpy
    prepared = fnets.make_jaxpr(per_example)(*args).jaxpr
    (e,) = [e for e in prepared.eqns if e.prim.name == "conv_weight_grad"]
    a, b = equation(
        channels_last.conv_weight_grad_last_p,
        *[((v.aval.shape[0], *v.aval.shape[2:], v.aval.shape[1]), "float32") for v in e.invars],
        **e.params,
    ).invars
    check(
        equation(
            channels_last.conv_weight_grad_last_p, (a.aval.shape, "float32"), (b.aval.shape, "float32"), **e.params
        ),
        vector_bytes,
    )


@pytest.mark.parametrize("vector_bytes", [64, 32])
@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_infinities_and_nan(groups, which, vector_bytes):
    """What is not finite goes where NumPy has it go, and zeros outside of an image do not meet it."""
    e = equations((1, 6, 6, 4), (3, 3, 4 // groups, 8), padding=1, groups=groups)[which]
    x, w = (rng.standard_normal(v.aval.shape).astype(np.float32) for v in e.invars)
    x[0, 0, 0, 1], x[0, 5, 5, 2] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        got, want = run(convolution.lower(e, vector_bytes), x, w), e.prim.impl(x, w, **e.params)
    assert 0 < np.isnan(got).sum() < got.size
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "x, w, dtype, kw",
    [
        ((2, 6, 6, 4), (3, 3, 4, 4), "int32", {}),
        ((4, 6, 6, 4), (3, 3, 4, 4), "float32", {"images": 2}),
        ((0, 6, 6, 4), (3, 3, 4, 4), "float32", {}),
        ((2, 2, 2, 2, 2, 4), (1, 1, 1, 1, 4, 4), "float32", {}),
    ],
)
def test_what_is_left_to_numpy(x, w, dtype, kw):
    for e in equations(x, w, dtype, **kw):
        assert convolution.lower(e, 64) is None
        second = lambda s: (s[0], s[-1], *s[1:-1])  # noqa: E731
        p = params(len(x) - 2, **kw)
        assert not convolution.supports(e.prim.name, second(x), (*w[:-3:-1], *w[:-2]), np.dtype(dtype), p)


def test_parts_do_not_depend_on_each_other():
    """Part by part or all at once: the same bits."""
    for e in equations((40, 16, 16, 24), (3, 3, 24, 32), padding=1)[:2]:
        stage = (convolution.lower(e, 64) or [])[-1]
        kernel = prepare(stage)
        assert stage.chunk < stage.extent
        arrays = [rng.standard_normal(v.aval.shape).astype(np.float32) for v in stage.loaded]
        np.testing.assert_array_equal(kernel(*arrays)[0], kernel(*arrays, whole=True)[0])


def test_fast_math_is_a_setting():
    """Larger tiles, with an error of about 1e-5, only where that is asked for; a program is compiled anew for it."""
    import fnets
    from fnets import lax

    x = rng.standard_normal((8, 32, 32, 32)).astype(np.float32)
    w = rng.standard_normal((32, 32, 3, 3)).astype(np.float32) * 0.1
    f = fnets.jit(lambda x, w: lax.conv(x, w, (1, 1), "SAME"), backend="llvm")
    want = fnets.jit(lambda x, w: lax.conv(x, w, (1, 1), "SAME"), backend="numpy")(
        x.astype(np.float64), w.astype(np.float64)
    )
    error = lambda y: np.abs(y - want).max() / np.abs(want).max()  # noqa: E731
    plain = f(x, w)
    with fnets.config.using(fast_math=True):
        fast = f(x, w)
    assert error(plain) < 3e-6 < error(fast) * 3 and error(fast) < 3e-5
    np.testing.assert_array_equal(f(x, w), plain)
