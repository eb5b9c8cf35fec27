"""Every rule of every primitive, from the samples: abstract = impl, jvp = finite differences, jvp and vjp agree, order 2, vmap = loop, jit = eager."""

from __future__ import annotations

import numpy as np
import pytest
from harness import Sample, all_samples

import fnets  # noqa: F401  (registers every primitive)
from fnets import config
from fnets.core.primitive import is_missing, registry
from fnets.core.trace import typeof
from fnets.transforms.jit import jit
from fnets.transforms.jvp import jvp_flat
from fnets.transforms.vjp import vjp_flat
from fnets.transforms.vmap import vmap_flat

SAMPLES = all_samples()
rng = np.random.default_rng(1)
# their operands or parameters exist only inside a transformation: test_custom_rules.py, test_collectives.py, test_callbacks.py
NO_SAMPLE_NEEDED = {
    "custom_vjp_call",
    "custom_jvp_call",
    "custom_vmap_call",
    "custom_linear_solve",
    "psum",
    "all_gather",
    "psum_scatter",
    "all_to_all",
    "ppermute",
    "debug_callback",
    "io_callback",
    "pure_callback",
}


def each(condition=lambda s: True):
    return pytest.mark.parametrize("s", [s for s in SAMPLES if condition(s)], ids=repr)


def as_numpy(x) -> np.ndarray:
    return np.asarray(x)


def close(a, b, tol: float, what: str) -> None:
    a, b = as_numpy(a), as_numpy(b)
    assert a.shape == b.shape, f"{what}: {a.shape} != {b.shape}"
    scale = max(1.0, float(np.abs(b[np.isfinite(b)]).max(initial=0.0))) if b.size else 1.0
    np.testing.assert_allclose(a, b, rtol=tol, atol=tol * scale, err_msg=what)


def test_every_primitive_has_rules_and_samples():
    sampled = {s.prim.name for s in SAMPLES} | NO_SAMPLE_NEEDED
    ours = {n: p.impl.__module__ for n, p in registry.items() if not is_missing(p.impl)}
    # a backend's own instructions come after all transformations, so they have no rules
    defined = {n for n, m in ours.items() if m.startswith("fnets") and not m.startswith("fnets.backends")} | {
        n for n, p in registry.items() if p.ufunc is not None
    }
    assert not sorted(defined - sampled), "primitives without a sample in tests/samples/"
    for name in sorted(defined):
        missing = [r for r in ("impl", "abstract", "jvp", "vjp", "batch") if is_missing(getattr(registry[name], r))]
        assert not missing, f"{name} lacks {missing}"


@each()
def test_abstract_equals_impl(s: Sample):
    avals = s.prim.abstract(*map(typeof, s.args), **s.params)
    for aval, out in zip(avals if s.prim.multi else [avals], s(*s.args), strict=True):
        assert aval.shape == np.shape(out)
        if aval.weak_type:
            assert type(out) in (bool, int, float, complex)
        else:
            assert aval.dtype == as_numpy(out).dtype


@each()
def test_jit_equals_eager(s: Sample):
    with config.using(backend="numpy"):  # what is jitted inside of the sample, too
        want = [as_numpy(a) for a in s(*s.args)]
    for a, b in zip(jit(lambda *xs: s(*xs), backend="numpy")(*s.args), want, strict=True):
        assert as_numpy(a).dtype == b.dtype
        np.testing.assert_array_equal(as_numpy(a), b)
    for a, b in zip(jit(lambda *xs: s(*xs))(*s.args), want, strict=True):  # native code may round otherwise
        assert as_numpy(a).dtype == b.dtype
        if b.dtype.kind in "fc" and b.size:
            rounding = 100 * float(np.finfo(b.dtype).eps)
            largest = np.max(np.abs(b), where=np.isfinite(b), initial=1.0)
            np.testing.assert_allclose(as_numpy(a), b, rtol=rounding, atol=rounding * float(largest))
        else:
            np.testing.assert_array_equal(as_numpy(a), b)


def tangents_for(s: Sample) -> list:
    out: list = [None] * len(s.args)
    for i in s.wrt:
        a = np.asarray(s.args[i])
        t = rng.standard_normal(a.shape)
        out[i] = (t + 1j * rng.standard_normal(a.shape)).astype(a.dtype) if a.dtype.kind == "c" else t.astype(a.dtype)
    return out


def forward(s: Sample, args, tangents):
    return jvp_flat(lambda *xs: s(*xs), args, tangents)[:2]


@each(lambda s: s.wrt)
def test_jvp_equals_finite_differences(s: Sample):
    tangents = tangents_for(s)
    outs, out_tangents = forward(s, s.args, tangents)
    eps = 1e-6

    def moved(sign: float) -> list:
        return s(*[a if t is None else a + sign * eps * t for a, t in zip(s.args, tangents)])

    for out, t, up, down in zip(outs, out_tangents, moved(1), moved(-1), strict=True):
        if as_numpy(out).dtype.kind in "fc":
            numeric = (as_numpy(up) - as_numpy(down)) / (2 * eps)
            close(np.zeros_like(numeric) if t is None else t, numeric, max(s.tol, 1e-5), "jvp")
        else:
            assert t is None


def dot(xs, ys) -> complex:
    return sum(
        np.sum(as_numpy(x) * as_numpy(y)) for x, y in zip(xs, ys, strict=True) if x is not None and y is not None
    )


@each(lambda s: s.wrt)
def test_vjp_is_the_transpose_of_jvp(s: Sample):
    tangents = tangents_for(s)
    outs, out_tangents = forward(s, s.args, tangents)
    cts = [
        rng.standard_normal(np.shape(o)).astype(as_numpy(o).dtype) if as_numpy(o).dtype.kind in "fc" else None
        for o in outs
    ]
    values, tape = vjp_flat(lambda *xs: s(*xs), s.args, s.wrt)
    for a, b in zip(values, s(*s.args), strict=True):
        np.testing.assert_array_equal(as_numpy(a), as_numpy(b))
    back = tape.pull(cts)
    for i, ct in zip(s.wrt, back):
        if ct is not None:
            assert np.shape(ct) == np.shape(s.args[i]), f"cotangent {i}"
            assert as_numpy(ct).dtype == np.asarray(s.args[i]).dtype, f"cotangent {i}"
    # with complex numbers JAX's convention makes this hold for the real part
    left, right = dot(cts, out_tangents), dot(back, [tangents[i] for i in s.wrt])
    close(np.real(left), np.real(right), 1e-8, "dot test")


@each(lambda s: s.wrt and s.order > 1)
def test_second_order(s: Sample):
    """The derivative of the gradient along a direction: forward over reverse and reverse over reverse against finite differences."""
    tangents = [tangents_for(s)[i] for i in s.wrt]
    weights = [rng.standard_normal(np.shape(o)) if as_numpy(o).dtype.kind in "fc" else None for o in s(*s.args)]

    def gradient(*xs):
        args = list(s.args)
        for i, x in zip(s.wrt, xs):
            args[i] = x
        values, tape = vjp_flat(lambda *ys: s(*ys), args, s.wrt)
        cts = [None if w is None else w.astype(typeof(v).dtype) for w, v in zip(weights, values)]
        return [np.zeros(np.shape(x)) if g is None else g for g, x in zip(tape.pull(cts), xs)]

    points = [s.args[i] for i in s.wrt]
    values, forward_over_reverse, _ = jvp_flat(gradient, points, tangents)
    eps = 1e-6
    up = gradient(*[p + eps * t for p, t in zip(points, tangents)])
    down = gradient(*[p - eps * t for p, t in zip(points, tangents)])
    for got, u, d in zip(forward_over_reverse, up, down, strict=True):
        numeric = (as_numpy(u) - as_numpy(d)) / (2 * eps)
        close(np.zeros_like(numeric) if got is None else got, numeric, max(s.tol, 2e-5), "order 2")
    cts = [rng.standard_normal(np.shape(v)).astype(as_numpy(v).dtype) for v in values]
    _, tape = vjp_flat(gradient, points, range(len(points)))
    close(np.real(dot(cts, forward_over_reverse)), np.real(dot(tape.pull(cts), tangents)), 1e-6, "order 2 dot test")


def batched_args(s: Sample, positions, dim: int, size: int = 3) -> tuple[list, list]:
    args, dims = list(s.args), [None] * len(s.args)
    for i in positions:
        a = np.asarray(s.args[i])
        d = min(dim, a.ndim)
        copies = [
            a if a.dtype.kind not in "fc" else a + np.asarray(0.01 * k, a.dtype) * (np.abs(a) > 0) for k in range(size)
        ]
        args[i], dims[i] = np.stack(copies, d), d
    return args, dims


@each(lambda s: s.batch)
def test_vmap_equals_loop(s: Sample):
    choices = [s.batch, *([(i,) for i in s.batch] if len(s.batch) > 1 else [])]
    for positions in choices:
        for dim in (0, 1, 9):
            args, dims = batched_args(s, positions, dim)
            pairs = vmap_flat(lambda *xs: s(*xs), args, dims, 3)
            loop = [s(*[a if d is None else np.take(a, k, d) for a, d in zip(args, dims)]) for k in range(3)]
            for j, (value, d) in enumerate(pairs):
                expected = np.stack([np.asarray(r[j]) for r in loop])
                got = (
                    np.broadcast_to(as_numpy(value), expected.shape)
                    if d is None
                    else np.moveaxis(as_numpy(value), d, 0)
                )
                assert got.dtype == expected.dtype
                close(got, expected, 1e-9 if got.dtype != np.float32 else 1e-6, f"vmap over {positions} at {dim}")
