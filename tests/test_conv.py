"""Convolution against PyTorch's and JAX's golden values and a naive loop: values, derivatives, every kernel, vmap, memory, threads, errors."""

from __future__ import annotations

import itertools
import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest
from golden.golden_io import load
from hypothesis import given, settings
from hypothesis import strategies as st

from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.primitives import conv as c
from fnets.primitives import conv_blocks, conv_kernels, threads
from fnets.primitives.conv_geometry import geometry
from fnets.transforms.derivatives import hvp
from fnets.transforms.jit import jit
from fnets.transforms.jvp import jvp
from fnets.transforms.staging import make_jaxpr
from fnets.transforms.vjp import grad, vjp
from fnets.transforms.vmap import vmap

TORCH, TORCH_ARRAYS = load("conv_pool")
JAX, JAX_ARRAYS = load("conv_jax")
USER, USER_ARRAYS = load("conv_user")
rng = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


def params(rank: int, **changes: Any) -> dict:
    ones = (1,) * rank
    plain = {"window_strides": ones, "padding": ((0, 0),) * rank, "lhs_dilation": ones, "rhs_dilation": ones}
    return plain | {"feature_group_count": 1, "batch_group_count": 1} | changes


def named(cases: list[dict], *kinds: str):
    chosen = [case for case in cases if case["kind"] in kinds]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: f"{case['name']}-{case.get('note', '')}")


def parts(case: dict, arrays: dict, names: str, dtype: Any = np.float64) -> list[np.ndarray]:
    return [arrays[f"{case['name']}_{name}"].astype(dtype) for name in names.split()]


def channels_last(x: np.ndarray) -> np.ndarray:
    """The same array, channels last in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def close(a: Any, b: Any, tol: float = 1e-11) -> None:
    assert np.shape(a) == np.shape(b)
    scale = max(1.0, float(np.abs(b).max(initial=0)))
    np.testing.assert_allclose(a, b, rtol=0, atol=tol * scale)


# ------------------------------------------------------------------ golden values


def torch_params(case: dict) -> dict:
    return params(
        case["rank"],
        window_strides=case["stride"],
        padding=case["padding"],
        rhs_dilation=case["dilation"],
        feature_group_count=case["groups"],
    )


@pytest.mark.parametrize(("dtype", "tol"), [(np.float64, 1e-13), (np.float32, 1e-5)])
@pytest.mark.parametrize("last", [False, True])
@named(TORCH, "conv")
def test_values_and_gradients_are_torchs(case, dtype, tol, last):
    x, w, y, ct, dx, dw = parts(case, TORCH_ARRAYS, "x w y ct dx dw", dtype)
    if last:
        x, ct = channels_last(x), channels_last(ct)
    given_params = torch_params(case)
    out, pull = vjp(lambda x, w: c.conv_of(x, w, given_params), x, w)
    got_dx, got_dw = pull(ct)
    for got, expected in ((out, y), (got_dx, dx), (got_dw, dw)):
        assert got.dtype == dtype
        close(got, expected, tol)


@named([case for case in TORCH if case.get("second_order")], "conv")
def test_second_order_is_torchs(case):
    x, w, ct, v, dx, dct = parts(case, TORCH_ARRAYS, "x w ct v dx_of_dwv dct_of_dwv")
    given_params = torch_params(case)

    def weighted(x, ct):
        _, pull = vjp(lambda w: c.conv_of(x, w, given_params), w)
        return (pull(ct)[0] * v).sum()

    close(grad(weighted, 0)(x, ct), dx)
    close(grad(weighted, 1)(x, ct), dct)


@named(TORCH, "conv_transpose")
def test_transposed_convolution_is_torchs(case):
    """Both as the gradient of a convolution and as a convolution of the dilated input with the mirrored window."""
    x, w, y, ct, dx, dw = parts(case, TORCH_ARRAYS, "x w y ct dx dw")
    rank, groups, stride, dilation = case["rank"], case["groups"], case["stride"], case["dilation"]
    given_params = torch_params(case)
    out, pull = vjp(lambda x, w: c.input_grad_of(x, w, y.shape, given_params), x, w)
    for got, expected in zip((out, *pull(ct)), (y, dx, dw)):
        close(got, expected)

    mirrored = np.flip(w, tuple(range(2, rank + 2)))
    own = (
        mirrored.reshape(groups, w.shape[0] // groups, *w.shape[1:])
        .swapaxes(1, 2)
        .reshape(-1, w.shape[0] // groups, *w.shape[2:])
    )
    pads = []
    for (low, high), d, n, extra in zip(case["padding"], dilation, w.shape[2:], case["output_padding"]):
        pads.append((d * (n - 1) - low, d * (n - 1) - high + extra))
    same = c.conv_general_dilated(
        x, own, (1,) * rank, pads, lhs_dilation=stride, rhs_dilation=dilation, feature_group_count=groups
    )
    close(same, y)


@named(JAX, "conv_general_dilated")
def test_general_convolution_is_jaxs(case):
    x, w, y, ct, dx, dw = parts(case, JAX_ARRAYS, "x w y ct dx dw")
    out, pull = vjp(lambda x, w: c.conv_general_dilated(x, w, **case["kwargs"]), x, w)
    for got, expected in zip((out, *pull(ct)), (y, dx, dw)):
        close(got, expected)


@named(USER, "conv_transpose", "conv_general_dilated", "conv_general_dilated_patches")
def test_functions_on_top_are_jaxs(case):
    function = getattr(c, case["kind"])
    names = "x y" if case["kind"].endswith("patches") else "x w y"
    *operands, y = parts(case, USER_ARRAYS, names)
    close(function(*operands, **case["kwargs"]), y)


# ------------------------------------------------------------------ a naive loop


def naive(x: np.ndarray, w: np.ndarray, p: dict) -> np.ndarray:
    """The definition: pad and dilate with zeros, then a loop over outputs, groups and taps."""
    features, batches = p["feature_group_count"], p["batch_group_count"]
    groups, rank, cin = features * batches, x.ndim - 2, w.shape[1]
    n, cout = x.shape[0] // batches, w.shape[0] // groups
    dilated = [(size - 1) * d + 1 if size else 0 for size, d in zip(x.shape[2:], p["lhs_dilation"])]
    z = np.zeros((*x.shape[:2], *dilated), x.dtype)
    z[(..., *[slice(None, None, d) for d in p["lhs_dilation"]])] = x
    z = np.pad(z, [(0, 0)] * 2 + [(max(0, a), max(0, b)) for a, b in p["padding"]])
    z = z[(..., *[slice(max(0, -a), size - max(0, -b)) for (a, b), size in zip(p["padding"], z.shape[2:])])]
    extent = [(r - 1) * d + 1 for r, d in zip(w.shape[2:], p["rhs_dilation"])]
    out = [max(0, (size - e) // s + 1) for size, e, s in zip(z.shape[2:], extent, p["window_strides"])]
    y = np.zeros((n, w.shape[0], *out), x.dtype)
    for o in range(w.shape[0]):
        b, f = divmod(o // cout, features)
        own = z[b * n : (b + 1) * n, f * cin : (f + 1) * cin]
        for q in itertools.product(*map(range, out)):
            for r in itertools.product(*map(range, w.shape[2:])):
                at = [i * s + t * d for i, s, t, d in zip(q, p["window_strides"], r, p["rhs_dilation"])]
                y[(slice(None), o, *q)] += own[(slice(None), slice(None), *at)] @ w[(o, slice(None), *r)]
    assert y.ndim == rank + 2
    return y


def check_against_naive(x: np.ndarray, w: np.ndarray, p: dict, tol: float = 1e-11) -> None:
    """The value, and both gradients by their inner products with the value along random directions."""
    y = c.conv_of(x, w, p)
    close(y, naive(x, w, p), tol)
    ct, vx, vw = (rng.standard_normal(a.shape) for a in (y, x, w))
    close((c.input_grad_of(ct, w, x.shape, p) * vx).sum(), (ct * naive(vx, w, p)).sum(), 1e-10)
    close((c.weight_grad_of(x, ct, w.shape, p) * vw).sum(), (ct * naive(x, vw, p)).sum(), 1e-10)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks so small that little problems have many of them, shared among threads."""
    monkeypatch.setattr(conv_blocks, "MANY_FLOPS", 10_000)
    monkeypatch.setattr(conv_blocks, "FEW_FLOPS", 1000)
    monkeypatch.setattr(conv_kernels, "BLOCK_BYTES", 8192)
    monkeypatch.setattr(conv_kernels, "_FLAT_ELEMENTS", 200)
    monkeypatch.setattr(conv_kernels, "_FLAT_LEAST", 1)
    geometry.cache_clear()
    c._input_grad_geometry.cache_clear()
    c._weight_grad_geometry.cache_clear()
    yield
    geometry.cache_clear()
    c._input_grad_geometry.cache_clear()
    c._weight_grad_geometry.cache_clear()


@st.composite
def problems(draw: Any) -> tuple:
    rank = draw(st.sampled_from([1, 2, 2, 3]))
    features, batches = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (3, 1), (1, 2), (2, 2)]))
    cin, cout = draw(st.sampled_from([(1, 1), (1, 2), (2, 1), (3, 2), (8, 2), (2, 8)]))
    most = 7 if rank < 3 else 4

    def ints(low: int, high: int) -> tuple:
        return tuple(draw(st.lists(st.integers(low, high), min_size=rank, max_size=rank)))

    pads = tuple(zip(ints(-1, 2), ints(-1, 2)))
    p = params(
        rank,
        window_strides=ints(1, 3),
        padding=pads,
        lhs_dilation=draw(st.sampled_from([(1,) * rank, ints(1, 3)])),
        rhs_dilation=ints(1, 2),
        feature_group_count=features,
        batch_group_count=batches,
    )
    x = (batches * draw(st.integers(1, 3)), features * cin, *ints(2, most))
    return x, (features * batches * cout, cin, *ints(1, 3)), p, draw(st.booleans())


@settings(max_examples=150)
@given(problems())
def test_any_problem_is_the_naive_loop(problem):
    x_shape, w_shape, p, last = problem
    x = normal(*x_shape)
    check_against_naive(channels_last(x) if last else x, normal(*w_shape), p)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    ("x", "w", "changes", "kernel", "weight_kernel"),
    [
        ((3, 1, 9, 8), (1, 1, 3, 2), {"padding": ((1, 0), (1, 1))}, "Rows", "WeightShifts"),
        ((3, 4, 6, 8), (4, 1, 3, 3), {"padding": ((1, 1), (1, 1)), "feature_group_count": 4}, "Rows", "WeightShifts"),
        ((3, 4, 6, 8), (4, 1, 3, 3), {"window_strides": (2, 1), "feature_group_count": 4}, "Shifts", "WeightPatches"),
        ((2, 16, 7, 6), (3, 16, 3, 3), {"padding": ((1, 1), (1, 0))}, "Taps", "WeightPatches"),
        ((2, 16, 7, 6), (3, 16, 2, 2), {"rhs_dilation": (2, 3)}, "Taps", "WeightPatches"),
        ((5, 3, 9, 8), (6, 3, 3, 3), {"padding": ((1, 1), (2, 0))}, "Patches", "WeightPatches"),
        ((3, 64, 5, 6), (20, 64, 3, 3), {"padding": ((1, 1), (1, 1))}, "Patches", "WeightPatches"),
        (
            (3, 64, 9, 8),
            (20, 64, 3, 3),
            {"padding": ((1, 1), (1, 1)), "window_strides": (2, 2)},
            "Patches",
            "WeightPatches",
        ),
        ((4, 8, 6, 6), (12, 8, 1, 1), {}, "Patches", "WeightPatches"),
        ((4, 8, 16, 16), (5, 8, 1, 1), {"window_strides": (2, 2)}, "Patches", "WeightPatches"),
        ((3, 64, 16, 16), (17, 64, 2, 2), {}, "Patches", "WeightPatches"),  # channels a power of two apart
        ((1, 24, 5, 5), (36, 2, 3, 3), {"feature_group_count": 12}, "Patches", "WeightPatches"),
    ],
)
def test_every_kernel_is_the_naive_loop(x, w, changes, kernel, weight_kernel, last):
    p = params(2, **changes)
    left = normal(*x)
    check_against_naive(channels_last(left) if last else left, normal(*w), p)
    plans = geometry("conv", x, w, **p).plans
    used = {type(k).__name__ for key, plan in plans.items() if key[0] == "y" for k in plan.kernels}
    assert used == {kernel}
    (dense,) = [s.dense for s in geometry("conv", x, w, **p).forward()]
    chosen, swapped = conv_kernels.weight_gradient(dense, np.dtype(np.float64), None, None, False, False)
    assert type(chosen).__name__ == weight_kernel
    assert swapped == (kernel == "Taps")
    assert len(chosen.blocks) > 1, "the case should need several blocks"


def test_operands_of_any_strides():
    p = params(2, padding=((1, 1), (0, 1)))
    x, w = normal(2, 3, 6, 5), normal(4, 3, 3, 2)
    expected = naive(x, w, p)
    wide = np.zeros((2, 3, 12, 11))
    wide[:, :, ::2, 1::2] = x
    flipped = np.ascontiguousarray(x[:, ::-1, :, ::-1])[:, ::-1, :, ::-1]
    frozen = x.copy()
    frozen.flags.writeable = False
    for same in (wide[:, :, ::2, 1::2], flipped, np.asfortranarray(x), frozen):
        close(c.conv_of(same, w, p), expected)
        close(c.conv_of(same, np.asfortranarray(w), p), expected)
    one = np.broadcast_to(np.float64(2), (2, 3, 6, 5))
    close(c.conv_of(one, w, p), naive(one, w, p))
    y = c.conv_of(x, w, p)
    ones = np.broadcast_to(np.float64(1), y.shape)
    close(c.weight_grad_of(x, ones, w.shape, p), c.weight_grad_of(x, ones.copy(), w.shape, p))
    close(c.input_grad_of(ones, w, x.shape, p), c.input_grad_of(ones.copy(), w, x.shape, p))


@pytest.mark.parametrize(
    "shapes",
    [
        ((0, 3, 5), (4, 3, 2)),
        ((2, 0, 5), (4, 0, 2)),
        ((2, 3, 5), (0, 3, 2)),
        ((2, 3, 1), (4, 3, 2)),
        ((2, 3, 0), (4, 3, 2)),
    ],
)
def test_empty_arrays(shapes):
    x, w = (normal(*s) for s in shapes)
    y, pull = vjp(lambda x, w: c.conv(x, w, (1,), "VALID"), x, w)
    assert y.shape == (x.shape[0], w.shape[0], max(0, x.shape[2] - 1)) and not y.any()
    dx, dw = pull(np.ones(y.shape))
    assert dx.shape == x.shape and dw.shape == w.shape and not dx.any() and not dw.any()


def test_channels_last_results_stay_channels_last():
    """No copy at either end: the result's memory is that of the layout asked for."""
    x, w = normal(2, 8, 8, 16).astype(np.float32), normal(3, 3, 16, 32).astype(np.float32)
    y = c.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    assert y.shape == (2, 8, 8, 32) and y.flags.c_contiguous


# ------------------------------------------------------------------ derivatives


def loss(x: Any, w: Any) -> Any:
    y = c.conv_general_dilated(x, w, (2, 1), [(1, 1), (0, 2)], rhs_dilation=(1, 2))
    return (y * y * y).sum()


def test_derivatives_of_every_mode_and_order():
    x, w = normal(2, 2, 5, 6), normal(3, 2, 3, 2)
    vx, vw = normal(*x.shape), normal(*w.shape)
    eps = 1e-5

    def slope(f: Any, *args: Any) -> Any:
        up, down = f(x + eps * vx, w + eps * vw), f(x - eps * vx, w - eps * vw)
        return (up - down) / (2 * eps)

    value, tangent = jvp(loss, (x, w), (vx, vw))
    close(value, loss(x, w))
    close(tangent, slope(loss), 1e-7)
    gx, gw = grad(loss, (0, 1))(x, w)
    close((gx * vx).sum() + (gw * vw).sum(), tangent)

    def both(x: Any, w: Any) -> Any:
        gx, gw = grad(loss, (0, 1))(x, w)
        return (gx * vx).sum() + (gw * vw).sum()

    second = slope(both)
    hx, hw = grad(both, (0, 1))(x, w)
    close((hx * vx).sum() + (hw * vw).sum(), second, 1e-6)
    close(jvp(both, (x, w), (vx, vw))[1], second, 1e-6)
    close(hvp(lambda w: loss(x, w), (w,), (vw,)), jvp(lambda w: grad(loss, 1)(x, w), (w,), (vw,))[1])
    hx2, _ = jit(grad(both, (0, 1)))(x, w)
    close(hx2, hx)


def test_gradients_stay_in_the_family():
    """No zero-stuffed convolution: the gradients are the two other primitives, of second order too."""
    x, w = normal(2, 2, 5, 6), normal(3, 2, 3, 2)
    text = str(make_jaxpr(grad(loss, (0, 1)))(x, w))
    assert text.count("= conv[") == 1 and text.count("conv_input_grad[") == 1 and text.count("conv_weight_grad[") == 1
    second = make_jaxpr(lambda x, w: grad(lambda x: (grad(loss)(x, w) ** 2).sum())(x))(x, w)
    assert {e.prim.name for e in second.eqns if "conv" in e.prim.name} == {"conv", "conv_input_grad"}
    assert all(max(e.params["lhs_dilation"]) == 1 for e in second.eqns if "conv" in e.prim.name)


@pytest.mark.parametrize("dims", [(0, None), (None, 0), (0, 0), (1, 2), (3, 1)])
@pytest.mark.parametrize(
    "changes",
    [{}, {"feature_group_count": 2}, {"batch_group_count": 2}, {"lhs_dilation": (2,), "window_strides": (3,)}],
)
@pytest.mark.parametrize("size", [3, 0])
def test_vmap_is_a_loop(size, dims, changes):
    p = params(1, padding=((1, 0),), **changes)
    shapes = (4, 2 * p["feature_group_count"], 5), (4, 2, 3)
    operands = [normal(*s) if d is None else normal(*s[:d], size, *s[d:]) for s, d in zip(shapes, dims)]
    y_shape = c.conv_of(normal(*shapes[0]), normal(*shapes[1]), p).shape
    ct = normal(size, *y_shape)

    def all_three(x: Any, w: Any, ct: Any) -> tuple:
        y, pull = vjp(lambda x, w: c.conv_of(x, w, p), x, w)
        return (y, *pull(ct))

    got = vmap(all_three, (*dims, 0))(*operands, ct)
    assert [g.shape for g in got] == [(size, *y_shape), (size, *shapes[0]), (size, *shapes[1])]
    for k in range(size):
        one = [a if d is None else np.take(a, k, d) for a, d in zip(operands, dims)]
        for all_, expected in zip(got, all_three(*one, ct[k])):
            close(all_[k], expected)


def test_gradients_per_example():
    """One grouped primitive gives them, in place of a loop or a convolution of all against all."""
    x, y, w = normal(6, 3, 8, 8), normal(6, 4, 6, 6), normal(4, 3, 3, 3)

    def one(w: Any, x: Any, y: Any) -> Any:
        return ((c.conv(x[None], w, (1, 1), "VALID")[0] - y) ** 2).sum()

    each = vmap(grad(one), (None, 0, 0))
    got = each(w, x, y)
    for k in range(6):
        close(got[k], grad(one)(w, x[k], y[k]))
    eqns = [
        e for e in make_jaxpr(each)(w, x, y).eqns if e.prim.name.startswith("conv") and "convert" not in e.prim.name
    ]
    assert [e.prim.name for e in eqns] == ["conv", "conv_weight_grad"]
    assert eqns[1].params["batch_group_count"] == 6 and eqns[1].outvars[0].aval.shape == (24, 3, 3, 3)


# ------------------------------------------------------------------ memory, threads


@pytest.mark.parametrize("last", [False, True])
def test_memory_is_bounded(last):
    """All patches of this batch would take 151 MB; the results alone take 17."""
    x, w = np.ones((32, 32, 64, 64), np.float32), np.ones((32, 32, 3, 3), np.float32)
    if last:
        x = channels_last(x)
    p = params(2, padding=((1, 1), (1, 1)))
    for run in (
        lambda: c.conv_of(x, w, p),
        lambda: c.input_grad_of(x, w, x.shape, p),
        lambda: c.weight_grad_of(x, x, w.shape, p),
    ):
        tracemalloc.start()
        out = run()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak - out.nbytes < 12e6
    one = vmap(lambda x, ct: c.weight_grad_of(x[None], ct[None], w.shape, p))
    tracemalloc.start()
    out = one(x, x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # channels last, the examples' ct has to be copied to make them groups
    assert peak - out.nbytes < 12e6 + (x.nbytes if last else 0)


def test_large_images_go_in_bands():
    """One image of 9.4 MB, whose patches would take 85 MB."""
    x, w = normal(1, 16, 384, 384).astype(np.float32), normal(16, 16, 3, 3).astype(np.float32)
    tracemalloc.start()
    y = c.conv(x, w, (1, 1), "SAME")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - y.nbytes < 12e6
    corner = naive(x[:, :, :7, -6:].astype(float), w.astype(float), params(2, padding=((1, 0), (0, 1))))
    close(y[0, :, :6, -5:], corner[0, :, :6, -5:], 1e-5)


def results(x: np.ndarray, w: np.ndarray, p: dict) -> list[np.ndarray]:
    y = c.conv_of(x, w, p)
    return [y, c.input_grad_of(y, w, x.shape, p), c.weight_grad_of(x, y, w.shape, p)]


PROBLEMS = [
    ((16, 16, 20, 20), (24, 16, 3, 3), params(2, padding=((1, 1), (1, 1)))),
    ((16, 64, 12, 12), (64, 64, 3, 3), params(2, padding=((1, 1), (1, 1)), window_strides=(2, 2))),
    ((64, 1, 40, 40), (1, 1, 3, 3), params(2)),
    ((16, 32, 20, 20), (2, 32, 3, 3), params(2)),
]


def test_the_number_of_threads_changes_no_bit():
    threads.run_blocks(1, lambda indices: None)
    functions = threads._blas.functions
    if functions is None:
        pytest.skip("NumPy's BLAS cannot be asked for its threads")
    get, set_ = functions
    before = get()
    try:
        for x, w, p in PROBLEMS:
            x, w = normal(*x).astype(np.float32), normal(*w).astype(np.float32)
            answers = []
            for count in (1, 2, 4):
                set_(count)
                answers.append(results(x, w, p))
                assert get() == count, "the caller's number is restored"
            for other in answers[1:]:
                for a, b in zip(answers[0], other):
                    np.testing.assert_array_equal(a, b)
    finally:
        set_(before)


def test_many_threads_at_once():
    operands = [(normal(*x).astype(np.float32), normal(*w).astype(np.float32), p) for x, w, p in PROBLEMS]
    expected = [results(*o) for o in operands]
    wrong: list[Any] = []

    def work(start: int) -> None:
        for k in range(6):
            i = (start + k) % len(operands)
            try:
                for a, b in zip(results(*operands[i]), expected[i]):
                    np.testing.assert_array_equal(a, b)
            except BaseException as error:  # reported by the main thread
                wrong.append(error)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in workers:
        t.start()
    for t in workers:
        t.join()
    assert not wrong


def test_an_error_in_a_block_reaches_the_caller():
    def body(indices: Any) -> None:
        for i in indices:
            if i == 3:
                raise ZeroDivisionError(i)

    with pytest.raises(ZeroDivisionError):
        threads.run_blocks(8, body)
    done = []
    threads.run_blocks(8, lambda indices: done.extend(indices))
    assert sorted(done) == list(range(8))


# ------------------------------------------------------------------ dtypes and arguments


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "int8", "int32", "uint16"])
def test_dtypes_are_kept(dtype):
    x, w = rng.integers(0, 4, (2, 3, 6, 6)).astype(dtype), rng.integers(0, 3, (4, 3, 2, 2)).astype(dtype)
    if dtype == "complex64":
        x, w = x * (1 + 2j), w - 1j * w
        x, w = x.astype(dtype), w.astype(dtype)
    for p in (params(2), params(2, padding=((1, 1), (1, 1)), window_strides=(2, 1))):
        y = c.conv_of(x, w, p)
        assert y.dtype == dtype
        close(y.astype(complex), naive(x.astype(complex), w.astype(complex), p), 1e-3 if dtype == "float16" else 1e-6)
        np.testing.assert_array_equal(jit(lambda x, w, p=p: c.conv_of(x, w, p))(x, w), y)
    one = c.conv_general_dilated(x[:, :1], w[:1, :1], (1, 1), "VALID")
    assert one.dtype == dtype


@pytest.mark.parametrize("dtype", ["int32", "uint8", "complex128"])
def test_many_images_of_one_channel_in_other_dtypes(dtype):
    x, w = rng.integers(0, 9, (64, 1, 12, 12)).astype(dtype), rng.integers(0, 9, (1, 1, 3, 3)).astype(dtype)
    y = c.conv_of(x, w, params(2))
    np.testing.assert_array_equal(y, naive(x, w, params(2)))
    dw = c.weight_grad_of(x, y, w.shape, params(2))
    expected = [(x[:, :, i : i + 10, j : j + 10].astype(complex) * y).sum() for i in range(3) for j in range(3)]
    assert dw.dtype == dtype
    if dtype != "uint8":
        close(dw.ravel().astype(complex), np.array(expected))


def test_half_precision_is_summed_in_single():
    x, w = np.ones((1, 4096, 1), np.float16), np.full((1, 4096, 1), 0.1, np.float16)
    assert c.conv(x, w, (1,), "VALID").item() == np.float16(np.sum(w.astype(np.float32)))


def test_promotion_and_preferred_type():
    x32, w64 = normal(1, 2, 4).astype(np.float32), normal(3, 2, 2)
    y, pull = vjp(lambda x, w: c.conv(x, w, (1,), "VALID"), x32, w64)
    assert y.dtype == np.float64
    assert [g.dtype for g in pull(y)] == [np.float32, np.float64]
    ints = np.full((1, 1, 3), 100, np.int8)
    assert c.conv(ints, ints[:, :, :2], (1,), "VALID", preferred_element_type=np.int32).tolist() == [[[20000, 20000]]]
    half = c.conv(x32.astype(np.float16), w64.astype(np.float16), (1,), "VALID", preferred_element_type=np.float32)
    assert half.dtype == np.float32


def test_lists_and_arrays_as_arguments():
    x, w = normal(1, 2, 5, 5), normal(3, 2, 3, 3)
    expected = c.conv_general_dilated(x, w, (2, 1), ((1, 0), (0, 1)))
    for strides, pads in (
        ([2, 1], [[1, 0], [0, 1]]),
        (np.array([2, 1]), np.array([(1, 0), (0, 1)])),
        ([2, 1], [(1, 0), (0, 1)]),
    ):
        np.testing.assert_array_equal(c.conv_general_dilated(x, w, strides, pads), expected)
    numbers = c.conv_dimension_numbers(x.shape, w.shape, ["NCHW", "OIHW", "NCHW"])
    np.testing.assert_array_equal(
        c.conv_general_dilated(x, w, [2, 1], [(1, 0), (0, 1)], dimension_numbers=numbers), expected
    )
    np.testing.assert_array_equal(c.conv_with_general_padding(x, w, [2, 1], [(1, 0), (0, 1)], None, None), expected)


def test_padding_names():
    assert c.padtype_to_pads((10, 7), (3, 2), (2, 3), "SAME") == [(0, 1), (0, 1)]
    assert c.padtype_to_pads((10, 7), (3, 2), (2, 3), "SAME_LOWER") == [(1, 0), (1, 0)]
    assert c.padtype_to_pads((10, 7), (3, 2), (2, 3), "valid") == [(0, 0), (0, 0)]
    numbers = c.conv_dimension_numbers((1,) * 4, (1,) * 4, ("NHWC", "HWIO", "NCWH"))
    assert numbers == ((0, 3, 1, 2), (3, 2, 0, 1), (0, 1, 3, 2))


X, W = np.ones((2, 4, 28, 28), np.float32), np.ones((8, 3, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (
            lambda: c.conv(X, W, (1, 1), "SAME"),
            ShapeError,
            "expected x of shape (N, C, H, W) with C = 3 to match w (8, 3, 3, 3), got (2, 4, 28, 28)",
        ),
        (
            lambda: c.conv_general_dilated(X, W[:, :1], (1, 1), "SAME", feature_group_count=3),
            ShapeError,
            "feature_group_count = 3",
        ),
        (
            lambda: c.conv_general_dilated(X, np.ones((7, 2, 3, 3), np.float32), (1, 1), "SAME", feature_group_count=2),
            ShapeError,
            "multiple of feature_group_count = 2",
        ),
        (
            lambda: c.conv_general_dilated(X, np.ones((9, 4, 3, 3), np.float32), (1, 1), "SAME", batch_group_count=3),
            ShapeError,
            "batch_group_count = 3",
        ),
        (lambda: c.conv(X, W[0], (1, 1), "SAME"), ShapeError, "same number of axes"),
        (lambda: c.conv(np.ones(3), np.ones(3), (), "SAME"), ShapeError, "(N, C, ...)"),
        (
            lambda: c.conv(X, np.ones((8, 4, 3, 3), np.float32), (1,), "SAME"),
            ArgumentError,
            "window_strides as 2 positive ints",
        ),
        (
            lambda: c.conv(X, np.ones((8, 4, 3, 3), np.float32), (1, 0), "SAME"),
            ArgumentError,
            "window_strides as 2 positive ints",
        ),
        (lambda: c.conv(X, np.ones((8, 4, 3, 3), np.float32), (1, 1), "FULL"), ArgumentError, "'FULL'"),
        (lambda: c.conv(X, np.ones((8, 4, 3, 3), np.float32), (1, 1), [(1, 1)]), ArgumentError, "2 pairs (low, high)"),
        (
            lambda: c.conv_general_dilated(X, np.ones((8, 4, 3, 3), np.float32), (1, 1), "SAME", lhs_dilation=(2, 2)),
            ArgumentError,
            "conv_transpose",
        ),
        (
            lambda: c.conv_general_dilated(X, W, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO")),
            ArgumentError,
            "three strings",
        ),
        (
            lambda: c.conv_general_dilated(X, W, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHW")),
            ArgumentError,
            "4 different letters",
        ),
        (
            lambda: c.conv_general_dilated(X, W, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHDC")),
            ArgumentError,
            "same spatial letters",
        ),
        (lambda: c.conv(X[:, :3] > 0, W > 0, (1, 1), "SAME"), DTypeError, "numeric dtype"),
        (
            lambda: c.weight_grad_of(
                X, np.ones((2, 8, 28, 27), np.float32), (8, 4, 3, 3), params(2, padding=((1, 1), (1, 1)))
            ),
            ShapeError,
            "(2, 8, 28, 28)",
        ),
    ],
)
def test_errors_say_what_was_expected(call, error, told):
    for run in (call, jit(call)):
        with pytest.raises(error) as info:
            run()
        assert told in str(info.value)
        assert "test_conv.py" in str(info.value)
