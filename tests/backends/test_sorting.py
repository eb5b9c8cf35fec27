"""Sorting, selecting and searching as native stages against NumPy: ties, special values, every supported dtype, in parts and in loops."""

from __future__ import annotations

from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax
from fnets.backends.llvm.kernels import searching, sorting
from fnets.core.avals import ShapedArray
from fnets.core.ir import Eqn, Var
from fnets.primitives import sort
from tests.backends.stage_runner import prepare

pytest.importorskip("llvmlite")

rng = np.random.default_rng(0)
PHASES = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
LOWER = {**sorting.LOWER, **searching.LOWER}
DTYPES = ["f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?"]
SPECIAL = [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45]


def values(shape: tuple, dtype: str, kind: str = "ties", rng: np.random.Generator = rng) -> np.ndarray:
    """Numbers with many ties, special ones among them, or of the whole range of the dtype."""
    t = np.dtype(dtype)
    n = int(np.prod(shape))
    if kind == "ties" or t.kind == "b":
        return rng.integers(0 if t.kind in "ub" else -3, 4, shape).astype(t)
    if t.kind == "f":
        x = rng.standard_normal(shape).astype(t)
        return np.where(rng.random(shape) < 0.3, rng.choice(SPECIAL, shape), x).astype(t)
    return np.frombuffer(rng.bytes(n * t.itemsize), t).reshape(shape)


def eqn(name: str, *args: np.ndarray, **params: Any) -> Eqn:
    prim = getattr(sort, f"{name}_p")
    atoms = [Var(ShapedArray(a.shape, a.dtype)) for a in args]
    return Eqn(prim, atoms, [Var(prim.abstract(*[v.aval for v in atoms], **params))], params)


def check(name: str, *args: np.ndarray, vector_bytes: int = 64, parts: int = 3, **params: Any) -> Any:
    e = eqn(name, *args, **params)
    stages = LOWER[name](e, vector_bytes)
    assert stages is not None
    (stage,) = stages
    run = prepare(stage, parts)
    want = e.prim.impl(*args, **params)
    for whole in (False, True):
        (got,) = run(*args, whole=whole)
        np.testing.assert_array_equal(got, want)
    return stage


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("vector_bytes", [64, 32])
@pytest.mark.parametrize("kind", ["ties", "special"])
def test_every_dtype(dtype: str, vector_bytes: int, kind: str):
    x = values((5, 77), dtype, kind)
    last = {"dimension": 1}
    check("sort", x, vector_bytes=vector_bytes, **last)
    check("argsort", x, vector_bytes=vector_bytes, is_stable=True, **last)
    check("lexsort", values((5, 77), "i1"), x, vector_bytes=vector_bytes, **last)
    check("top_k_indices", x, vector_bytes=vector_bytes, k=77)
    check("top_k_indices", values((3, 300), dtype, kind), vector_bytes=vector_bytes, k=3)
    if x.dtype.itemsize >= 4:
        for side in ("left", "right"):
            check("searchsorted", np.sort(x[0]), x, side=side, batch_ndim=0, vector_bytes=vector_bytes)
            check("searchsorted", np.sort(x), x, side=side, batch_ndim=1, vector_bytes=vector_bytes)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 127, 128, 130, 255, 257, 1000, 1025, 5000])
def test_lengths(n: int):
    """Whole and broken vectors, runs whose number is no power of two."""
    for dtype, vector_bytes in (("f4", 64), ("f8", 32)):
        x = values((2, n), dtype, "special")
        check("sort", x, dimension=1, vector_bytes=vector_bytes)
        check("argsort", x, dimension=1, is_stable=True, vector_bytes=vector_bytes)
        a = np.sort(x[0])
        check("searchsorted", a, x[1], side="left", batch_ndim=0, vector_bytes=vector_bytes)


@pytest.mark.parametrize("n", [63, 64, 65, 130, 700, 1023, 2048, 3001])
def test_blocks_of_the_cache(n: int, monkeypatch):
    monkeypatch.setattr(sorting, "_CACHED", 256)
    for dtype, vector_bytes in (("f4", 64), ("f8", 32)):
        x = values((2, n), dtype, "special")
        check("sort", x, dimension=1, vector_bytes=vector_bytes)
        check("argsort", x, dimension=1, is_stable=True, vector_bytes=vector_bytes)


def test_zeros_and_their_signs():
    """Sorted values put -0.0 first; orders take both zeros for equal."""
    x = np.array([[0.0, -0.0, 1.0, -0.0, 0.0]], np.float32)
    (stage,) = LOWER["sort"](eqn("sort", x, dimension=1), 64)
    assert np.signbit(prepare(stage)(x)[0]).tolist() == [[True, True, False, False, False]]
    check("argsort", x, dimension=1, is_stable=True)
    check("top_k_indices", x, k=4)


@pytest.mark.parametrize("arrangement", ["random", "ascending", "descending", "constant", "nan at the end", "all nan"])
@pytest.mark.parametrize("k", [1, 10, 32, 33, 100])
def test_largest(arrangement: str, k: int):
    for dtype, vector_bytes in (("f4", 64), ("f8", 64), ("f4", 32), ("i4", 32)):
        x = values((3, 1000), dtype, "ties" if dtype == "i4" else "special")
        if dtype != "i4":
            x = np.nan_to_num(x, nan=0.5)
        if arrangement in ("ascending", "descending"):
            x = np.sort(x, 1)[:, :: 1 if arrangement == "ascending" else -1].copy()
        elif arrangement == "constant":
            x[:] = 1
        elif dtype != "i4" and arrangement != "random":
            x[:, 0 if arrangement == "all nan" else 990 :] = np.nan
        stage = check("top_k_indices", x, k=k, vector_bytes=vector_bytes)
        assert stage.scans


@st.composite
def drawn_cases(draw) -> tuple:
    lead = draw(st.sampled_from([(), (1,), (4,), (2, 3)]))
    n = draw(st.one_of(st.integers(1, 70), st.integers(71, 700)))
    name = draw(st.sampled_from(["sort", "argsort", "lexsort", "top_k_indices", "searchsorted"]))
    dtypes = st.sampled_from(DTYPES[:2] + DTYPES[6:10] if name == "searchsorted" else DTYPES)
    random = np.random.default_rng(draw(st.integers(0, 1 << 30)))

    def array(shape: tuple, dtype: str) -> np.ndarray:
        return values(shape, dtype, draw(st.sampled_from(["ties", "special"])), random)

    dtype, shape = draw(dtypes), (*lead, n)
    x = array(shape, dtype)
    if name == "sort":
        return name, [x], {"dimension": len(lead)}
    if name == "argsort":
        return name, [x], {"dimension": len(lead), "is_stable": draw(st.booleans())}
    if name == "lexsort":
        others = [array(shape, draw(dtypes)) for _ in range(draw(st.integers(0, 2)))]
        return name, [*others, x], {"dimension": len(lead)}
    if name == "top_k_indices":
        return name, [x], {"k": draw(st.integers(1, min(n, draw(st.sampled_from([3, 40, 700])))))}
    rest = draw(st.sampled_from([(), (1,), (5,), (3, 50), (100,)]))
    v = array((*lead, *rest), dtype)
    return name, [np.sort(x, -1), v], {"side": draw(st.sampled_from(["left", "right"])), "batch_ndim": len(lead)}


@hypothesis.settings(max_examples=100, deadline=None, phases=PHASES)
@hypothesis.given(drawn_cases(), st.sampled_from([32, 64]), st.integers(1, 4))
def test_drawn(case: tuple, vector_bytes: int, parts: int):
    name, args, params = case
    if name == "argsort" and not params["is_stable"]:  # ours is stable all the same
        e = eqn(name, *args, **params)
        (stage,) = LOWER[name](e, vector_bytes)
        (got,) = prepare(stage, parts)(*args)
        np.testing.assert_array_equal(got, np.argsort(args[0], -1, "stable"))
    else:
        check(name, *args, vector_bytes=vector_bytes, parts=parts, **params)


def test_values_are_shared_among_parts():
    a, v = np.sort(values((1000,), "f4", "special")), values((1003,), "f4", "special")
    stage = check("searchsorted", a, v, side="left", batch_ndim=0, parts=7)
    assert stage.extent == 1003 and stage.blocking == 1


# ------------------------------------------------------------------ in programs


def same(f: Any, *args: np.ndarray, exact: bool = True) -> None:
    """Everything runs natively, with NumPy's results."""
    jitted = fnets.jit(f, backend="llvm")
    compiled = jitted.lower(*args).compile()
    assert {n for n in compiled.report().numpy if n != "reshape"} == set()
    want = fnets.tree.leaves(fnets.jit(f, backend="numpy")(*args))
    for got, w in zip(fnets.tree.leaves(jitted(*args)), want, strict=True):
        assert got.dtype == w.dtype and got.shape == w.shape
        if exact:
            np.testing.assert_array_equal(got, w)
        else:
            np.testing.assert_allclose(got, w, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shape", [(6, 5, 7), (6, 5, 1), (6, 1, 1)])
def test_axes(shape: tuple, axis: int):
    x = values(shape, "f4", "special")
    same(lambda x: (fnp.sort(x, axis), fnp.argsort(x, axis)), x)
    same(lambda x, y: lax.sort((x, y), axis, num_keys=2), values(shape, "i4"), x)


def test_functions():
    x, q = values((40, 101), "f4", "special"), values((300,), "f4", "special")
    a = np.sort(rng.standard_normal(64).astype(np.float32))
    same(lambda x: lax.top_k(x, 5), x)
    same(lambda x, y: lax.sort((x, y), num_keys=1), x, x[::-1].copy())
    same(lambda x: fnp.argsort(x, descending=True), x)
    same(fnp.digitize, q, a)
    same(fnp.interp, np.nan_to_num(q), a, a**2, exact=False)
    numbers = np.nan_to_num(x, posinf=1, neginf=2)
    same(lambda x: (fnp.median(x, axis=1), fnp.quantile(x, np.array([0.1, 0.5]), axis=0)), numbers, exact=False)
    same(fnets.vmap(fnp.searchsorted), np.sort(x, 1), x)
    same(fnets.grad(lambda x: fnp.sum(fnp.sort(x, axis=0)[:3] ** 2)), numbers, exact=False)
    same(fnets.grad(lambda x: fnp.sum(lax.top_k(x, 3)[0] ** 2)), numbers, exact=False)


def test_loops_run_natively():
    rows = rng.standard_normal((9, 150)).astype(np.float32)
    a = np.sort(rng.standard_normal(50).astype(np.float32))

    def step(carry, row):
        top, places = lax.top_k(row, 4)
        middle = fnp.median(fnp.stack([carry, row]), axis=0)
        return middle, (top, places, fnp.argsort(middle), fnp.searchsorted(a, row), fnp.interp(row, a, a * 2))

    same(lambda rows: lax.scan(step, rows[0], rows), rows, exact=False)

    def shrink(state):
        n, x = state
        return n + 1, fnp.sort(x[::-1] * fnp.float32(0.5))

    same(lambda x: lax.while_loop(lambda s: s[1][-1] > 0.01, shrink, (0, x)), rows[0])


@pytest.mark.parametrize("n", [2, 100, 3000])
def test_permutations(n: int):
    """In one and in two rounds, of several keys, and within a loop."""
    key = fnets.random.key(n)
    same(lambda key: fnets.random.permutation(key, n), key)
    x = rng.standard_normal((6, 50))
    same(lambda key: fnets.random.permutation(key, x, axis=1, independent=True), key)
    keys = fnets.random.split(key, 3)
    same(fnets.vmap(lambda key: fnets.random.permutation(key, 40)), keys)
    same(lambda keys: lax.scan(lambda c, key: (c + 1, fnets.random.permutation(key, n)[:9]), 0, keys), keys)


def test_parts_of_rows(monkeypatch):
    from fnets.backends.llvm.schedule import chains

    monkeypatch.setattr(chains, "WORTH_PARTS", 0)
    monkeypatch.setattr(chains, "PART", 1)
    x = values((33, 200), "f4", "special")
    same(lambda x: (fnp.sort(x), fnp.argsort(x), lax.top_k(x, 3), fnp.searchsorted(fnp.sort(x[0]), x)), x)


def test_what_numpy_does():
    x = values((4, 5), "f4")
    assert LOWER["sort"](eqn("sort", x.astype(complex), dimension=1), 64) is None
    assert LOWER["sort"](eqn("sort", x, dimension=0), 64) is None  # see `expand`
    params = {"side": "left", "batch_ndim": 0}
    assert LOWER["searchsorted"](eqn("searchsorted", x[0].astype("i2"), x.astype("i2"), **params), 64) is None
    assert LOWER["searchsorted"](eqn("searchsorted", x[0], x.astype("f8"), **params), 64) is None
