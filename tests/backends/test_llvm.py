"""The native backend against the NumPy one: every sample, random programs, shapes, memory, fallback."""

from __future__ import annotations

import subprocess
import sys
import threading
import warnings

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from harness import Sample, all_samples

import fnets
import fnets.numpy as fnp
from fnets import lax, nn
from fnets.backends.llvm.code import operations
from fnets.backends.llvm.schedule import grouping, regions
from tests.backends.test_random_programs import arguments, programs, run

pytest.importorskip("llvmlite")

rng = np.random.default_rng(0)
PHASES = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # every example compiles: shrinking would take minutes
NATIVE = set(operations.RULES) | grouping.REDUCTIONS
# where the two differ by more than a couple of ulp, relative to the result: sums are added up in another order
TOLERANCE = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 2e-15}


@pytest.fixture(autouse=True)
def no_silent_fallback(monkeypatch):
    monkeypatch.setenv("FNETS_CACHE", "0")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=r"\[llvm\]")
        yield


def report(f, *args):
    return fnets.jit(f, backend="llvm").lower(*args).compile().report()


def same(got, want, tolerance: float | None = None) -> None:
    for a, b in zip(fnets.tree.leaves(got), fnets.tree.leaves(want), strict=True):
        assert isinstance(a, (np.ndarray, np.generic)) == isinstance(b, (np.ndarray, np.generic))
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype and a.shape == b.shape
        if a.dtype in TOLERANCE:
            tol = TOLERANCE[a.dtype] if tolerance is None else tolerance
            scale = np.abs(b[np.isfinite(b)]).max(initial=1.0)
            np.testing.assert_allclose(a, b, rtol=tol, atol=tol * scale)
        else:
            np.testing.assert_array_equal(a, b)


def check(f, *args, tolerance: float | None = None):
    """llvm = numpy, twice, bit-identical from call to call, arguments untouched; returns the report."""
    kept = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    with np.errstate(all="ignore"):
        want = fnets.jit(f, backend="numpy")(*args)
    jitted = fnets.jit(f, backend="llvm")
    first, second = jitted(*args), jitted(*args)
    same(first, want, tolerance)
    for a, b in zip(fnets.tree.leaves(first), fnets.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(a, b)
        assert not (isinstance(a, np.ndarray) and a.ndim and np.shares_memory(a, b))
    for a, b in zip(args, kept):
        np.testing.assert_array_equal(a, b)
    return report(f, *args)


# ------------------------------------------------------------------ every sample


def in_single(s: Sample) -> list:
    return [a.astype(np.float32) if isinstance(a, np.ndarray) and a.dtype == np.float64 else a for a in s.args]


@pytest.mark.parametrize("s", [s for s in all_samples() if s.prim.name in NATIVE], ids=repr)
@pytest.mark.parametrize("single", [False, True])
def test_samples(s, single, monkeypatch):
    monkeypatch.setattr(regions, "is_worthwhile", lambda eqns: True)
    args = in_single(s) if single else s.args
    got = check(lambda *xs: s(*xs), *args)
    real = all(np.asarray(a).dtype.kind in "biuf" for a in args)
    arrays = any(isinstance(a, np.ndarray) for a in args)
    if single and real and arrays and s.prim.name not in operations_left_to_numpy(s):
        assert got.numpy == [], got


@pytest.mark.parametrize("s", [s for s in all_samples() if s.prim.name not in NATIVE], ids=repr)
def test_samples_of_other_primitives(s, monkeypatch):
    """What is a stage of its own, or NumPy's: the same results, whatever runs it."""
    monkeypatch.setattr(regions, "is_worthwhile", lambda eqns: True)
    check(lambda *xs: s(*xs), *s.args)
    fixed = ("jaxpr", "branches", "body_jaxpr", "jvp_jaxpr", "new_dtype")  # what says which dtypes it takes
    if not any(k in s.params for k in fixed):
        check(lambda *xs: s(*xs), *in_single(s), tolerance=1e-5)


def operations_left_to_numpy(s: Sample) -> set[str]:
    out = {"broadcast_to", "and", "or", "xor"} - NATIVE | {"broadcast_to"}
    if s.name in ("int8", "weak", "empty", "int") or s.prim.name == "convert_element_type":
        out.add(s.prim.name)
    return out


# ------------------------------------------------------------------ programs


@hypothesis.settings(max_examples=40, deadline=None, phases=PHASES)
@hypothesis.given(programs(), st.integers(0, 9), st.sampled_from([np.float32, np.float64]))
def test_random_programs(program, seed, dtype):
    x, y = arguments(seed, dtype)
    check(lambda x, y: run(program, x, y), x, y, tolerance=1e-4 if dtype == np.float32 else 1e-11)


@hypothesis.settings(max_examples=15, deadline=None, phases=PHASES)
@hypothesis.given(programs(), st.integers(0, 9))
def test_random_gradients(program, seed):
    loss = lambda x, y: sum(fnp.sum(fnp.tanh(o)) for o in run(program, x, y))  # noqa: E731
    check(fnets.grad(loss, (0, 1)), *arguments(seed, np.float64), tolerance=1e-9)


def layer_norm(x, scale, offset):
    centred = x - fnp.mean(x, -1, keepdims=True)
    variance = fnp.mean(centred * centred, -1, keepdims=True)
    return centred * lax.rsqrt(variance + 1e-5) * scale + offset


def attention_weights(x, mask):
    return nn.softmax(fnp.where(mask, x * 0.125, -np.inf))


PROGRAMS = {
    "layer_norm": (layer_norm, [(5, 33), (33,), (33,)]),
    "layer_norm_gradient": (
        fnets.grad(lambda x, s, o: fnp.sum(layer_norm(x, s, o) ** 3), (0, 1, 2)),
        [(6, 37), (37,), (37,)],
    ),
    "softmax_by_hand": (
        lambda x: (lambda e: e / fnp.sum(e, -1, keepdims=True))(fnp.exp(x - fnp.max(x, -1, keepdims=True))),
        [(7, 19)],
    ),
    "gelu_gradient": (fnets.grad(lambda x: fnp.sum(nn.gelu(x) * x)), [(11, 13)]),
    "rows_and_columns": (
        lambda x, r, c: (fnp.exp(x + r) * c, fnp.sum(x * c, 0), fnp.max(x * r, 1), fnp.mean(x)),
        [(9, 21), (9, 1), (21,)],
    ),
    "channels": (lambda x, b: fnp.tanh(x * b.reshape(-1, 1, 1) + 1) * x, [(2, 3, 4, 5), (3,)]),
    "moments": (lambda x: (fnp.mean(x, 1), fnp.var(x, 1), fnp.std(x, 0)), [(31, 18)]),
    "one_by_one": (lambda x, y: (fnp.exp(x * y) + y, fnp.sum(x * y)), [(1, 1), (1, 1)]),
    "scalars": (lambda x, y: fnp.exp(x * y) + fnp.sin(y) * x - 2 * y, [(), ()]),
    "vectors": (lambda x, y: (fnp.dot(x, y) * x + y, fnp.sum((x - y) ** 2)), [(257,), (257,)]),
    "transposed": (lambda x, y: fnp.exp(x.T * 2) + y, [(5, 8), (8, 5)]),
    "reshaped": (lambda x, y: (fnp.tanh(x) * 2).reshape(3, 20) * y + 1, [(12, 5), (3, 20)]),
    "totals": (lambda x: (fnp.sum(x * x), fnp.max(x), fnp.sum(x + 1, 0), fnp.min(x - 1, 1)), [(33, 18)]),
    "middle_axes": (lambda x: (fnp.sum(x * 2, 1), fnp.max(x + 1, (0, 2)), fnp.prod(x, 1), x * x), [(5, 7, 2, 19)]),
    "separate_axes": (lambda x: (fnp.sum(x * 2, (0, 2, 3)), fnp.prod(x + 1, (1, 3))), [(5, 4, 3, 2)]),
    "log_density": (lambda x, m, s: fnp.sum(-0.5 * ((x - m) / fnp.exp(s)) ** 2 - s, -1), [(8, 6), (6,), (6,)]),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_programs(name, dtype):
    f, shapes = PROGRAMS[name]
    args = [rng.standard_normal(s).astype(dtype) for s in shapes]
    check(f, *args, tolerance=2e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 127, 300, 8191, 8200, 20_000])
def test_sizes(n):
    x = rng.standard_normal(n).astype(np.float32)
    f = lambda x: (fnp.exp(x) - x, fnp.sum(x * x), fnp.max(x + 1), fnp.min(x - 1), x > 0.5)  # noqa: E731
    check(f, x, tolerance=1e-5)
    check(f, np.stack([x, 2 * x, -x]), tolerance=1e-5)
    g = lambda x: (fnp.sum(x * 2, 0), fnp.max(x * 2, -1), fnp.tanh(x) * 2)  # noqa: E731
    check(g, np.stack([x, 2 * x, -x]), tolerance=1e-5)
    check(g, np.stack([x, 2 * x, -x], 1), tolerance=1e-5)


@pytest.mark.parametrize("dtype", ["int32", "int64", "bool", "uint8", "int16"])
def test_integers(dtype):
    x, y = (rng.integers(0, 2 if dtype == "bool" else 100, (5, 9)).astype(dtype) for _ in range(2))
    check(lambda x, y: (x & y, (x | y) ^ x, fnp.maximum(x, y), x == y, fnp.where(x < y, x, y)), x, y)
    check(lambda x, y: (x.astype(np.float32) / 255 + y, x + y, x * y, fnp.sum(x * y, 1), x / (y + 1)), x, y)
    if dtype != "bool":
        check(lambda x, y: (fnp.abs(x - y), x - y, -x, x * 3 + y, fnp.max(x - y), fnp.clip(x, 3, 50)), x, y)


def test_long_sums_are_accurate():
    x = rng.uniform(0, 1, 1_000_000).astype(np.float32)
    got = fnets.jit(lambda x: fnp.sum(x * 1 + 1), backend="llvm")(x)
    assert abs(got - (x.astype(float) + 1).sum()) / got < 1e-6


@pytest.mark.parametrize("n", [100_000, 500_000, 1_000_003])
def test_totals_in_parts(n):
    x = rng.standard_normal(n).astype(np.float32)
    got = check(lambda x: (fnp.sum(x * x), fnp.max(x - 1), fnp.all(x < 9), fnp.exp(x)), x, tolerance=2e-6)
    assert got.regions[0][0][0] > 1, got


# ------------------------------------------------------------------ memory


def test_arguments_of_any_layout():
    base = rng.standard_normal((20, 30)).astype(np.float32)
    f = lambda x, y: (fnp.tanh(x) * y + 1, fnp.sum(x * y, -1))  # noqa: E731
    jitted, plain = fnets.jit(f, backend="llvm"), fnets.jit(f, backend="numpy")
    unaligned = np.frombuffer(b"x" + base.tobytes(), np.float32, offset=1).reshape(20, 30)
    views = [
        base,
        base[::-1],
        base[:, ::-1],
        np.asfortranarray(base),
        base.T.copy().T,
        unaligned,
        np.broadcast_to(base[0], (20, 30)),
    ]
    views += [np.repeat(base, 2, 1)[:, ::2]]
    for x in views:
        for y in views:
            same(jitted(x, y), plain(x, y))
    np.testing.assert_array_equal(jitted(base, base)[0], jitted(base, base.copy())[0])


def test_nothing_is_empty():
    check(lambda x: (fnp.exp(x) * 2, fnp.sum(x * 2, 0), fnp.sum(x * 2, 1)), np.zeros((0, 3), np.float32))
    check(lambda x, y: (fnp.exp(x) * 2, y * 2 + 1, fnp.sum(x * 2)), np.zeros((0,), np.float32), np.ones(3))


def test_results_are_owned():
    x = rng.standard_normal((8, 8)).astype(np.float32)
    out = fnets.jit(lambda x: (x * 1, fnp.tanh(x), fnp.tanh(x) + 1, (fnp.tanh(x) + 1).reshape(64), x), backend="llvm")(
        x
    )
    for i, a in enumerate(out):
        assert a.flags.writeable and not np.shares_memory(a, x)
        assert not any(np.shares_memory(a, b) for b in out[:i])


def test_views_of_one_array_in_one_call():
    x = rng.standard_normal(9).astype(np.float32)

    def f(x):
        y = fnp.concatenate([x, x])  # memory that may be written to, seen through several views
        a, b, c = y[:9], y[4:13], y[9:]
        return fnp.tanh(a) * 2, b * 3 + 1, fnp.exp(a + b) * 2, c * y[:1]

    check(f, x)


def test_axes_of_length_one():
    for shape in ((3, 1), (1, 3), (1, 1, 4), (4, 1, 1), (1, 4, 1), (17, 1), (1, 17)):
        x = rng.standard_normal(shape).astype(np.float32)
        for axis in (*range(x.ndim), -1):

            def f(x, axis=axis):
                return fnp.sum(x * 2 + 1, axis), fnp.max(x - 1, axis), fnp.all(x > 0, axis), fnp.tanh(x) * x

            check(f, x)


def test_donated_arguments():
    x, g = (rng.standard_normal((64, 64)).astype(np.float32) for _ in range(2))
    want = x - 0.1 * np.tanh(g)
    got = fnets.jit(lambda x, g: x - 0.1 * fnp.tanh(g), donate_argnums=(0,), backend="llvm")(x.copy(), g)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    transposed = np.asfortranarray(x)
    got = fnets.jit(lambda x, g: x - 0.1 * fnp.tanh(g), donate_argnums=(0,), backend="llvm")(transposed, g)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_python_scalars():
    x = rng.standard_normal(40).astype(np.float32)
    for s in (0.5, 3, True, 1 << 40):
        check(lambda x, s: (x * s + 1, fnp.tanh(x) - s), x, s)
    check(lambda n, s: (n * s + 1, n - s), np.arange(5), 3)


def test_unexpected_kinds_of_values():
    """What the type says is what the kernel computes with, in whatever form a value comes."""
    f = lambda x, s: (fnp.tanh(x * s) + s, s * 2 + fnp.exp(s))  # noqa: E731
    x, s = rng.standard_normal((3, 4)).astype(np.float32), np.float32(0.5)
    run = fnets.jit(f, backend="llvm").lower(x, s).compile()._run
    want = run(x, s)
    for y in (x, x.astype(float), x.tolist(), np.matrix(x), np.ma.array(x)):
        for t in (s, np.array(s), 0.5, np.float64(0.5), np.array(0.5)):
            for a, b in zip(run(y, t), want, strict=True):
                np.testing.assert_array_equal(a, b)
    with pytest.raises((TypeError, ValueError)):
        run(x, "text")


def test_no_references_leak():
    x = np.ones((32, 32), np.float32)
    jitted = fnets.jit(lambda x: (fnp.exp(x) * 2, fnp.sum(x * 2), fnp.mean(x * 3)), backend="llvm")
    jitted(x)
    jitted(x.T[::-1])
    before = sys.getrefcount(x), sys.getrefcount(None), sys.getrefcount(())
    for _ in range(200):
        out = jitted(x)
    assert sys.getrefcount(x) == before[0]
    assert sys.getrefcount(()) - before[2] < 100 and sys.getrefcount(None) - before[1] < 100
    count = sys.getrefcount(out[0])
    assert count == 2


# ------------------------------------------------------------------ threads, processes


def test_many_threads_at_once():
    x = rng.standard_normal((64, 2000)).astype(np.float32)
    jitted = fnets.jit(lambda x, s: (fnp.tanh(x * s) + x, fnp.sum(x * s, -1)), backend="llvm")
    want = [jitted(x, float(k)) for k in range(6)]
    wrong = []

    def work(k: int) -> None:
        for _ in range(20):
            if not all(np.array_equal(a, b) for a, b in zip(jitted(x, float(k)), want[k])):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_the_tutorial_step():
    from benchmarks import mnist_step as m

    want = fnets.jit(m.step, backend="numpy")(m.parameters(), m.X, m.Y)
    p = m.parameters()
    m.rng = np.random.default_rng(5)
    same(fnets.jit(m.step, backend="llvm")(p, m.X, m.Y), fnets.jit(m.step, backend="numpy")(p, m.X, m.Y), 1e-4)
    assert len(want) == 2


def test_importing_fnets_does_not_import_llvmlite():
    code = (
        "import fnets, sys; assert 'llvmlite' not in sys.modules and 'fnets.backends.llvm.program' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_llvmlite_numpy_runs_with_one_notice():
    code = """
import sys, warnings
sys.modules["llvmlite"] = None
import numpy as np, fnets, fnets.numpy as fnp
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    for k in range(3):
        assert np.allclose(fnets.jit(lambda x: fnp.tanh(x) * k, backend="llvm")(np.ones(3)), np.tanh(1) * k)
assert len(told) == 1 and "llvmlite" in str(told[0].message) and "fnets[jit]" in str(told[0].message), told
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_environment_variable_chooses_the_backend():
    code = "import fnets, numpy as np, fnets.numpy as fnp; fnets.jit(lambda x: fnp.tanh(x) * 2)(np.ones(3)); import sys; assert 'llvmlite' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env={"FNETS_BACKEND": "llvm", "FNETS_CACHE": "0"})


def test_scalars_are_never_results_places():
    """A NumPy scalar that nobody reads any more: its memory is not for results."""

    def f(z):
        r = fnp.sqrt(fnp.real(z) + 1)
        t = fnp.maximum(r * 1e-6, 0.0)
        return fnp.where(t > 0, fnp.minimum(1 / t, 5.0), 1.0) * t

    for z in (np.complex128(2 + 1j), np.array(2 + 1j)):
        for _ in range(3):
            check(lambda z: f(z * 1j), z)
