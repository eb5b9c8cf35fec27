"""Small linear algebra as native stages against NumPy: shapes, batches, singular and ill-conditioned matrices, and inside of loops."""

from __future__ import annotations

from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
import fnets.scipy.linalg as fsl
from fnets import lax
from fnets.backends.llvm.kernels.linalg import LOWER
from fnets.core.avals import ShapedArray
from fnets.core.ir import Eqn, Var
from fnets.errors import LinAlgError
from fnets.primitives.decompositions import cholesky_p, lu_p
from fnets.primitives.solvers import det_p, inv_p, slogdet_p, solve_p, triangular_solve_p
from tests.backends.stage_runner import prepare

pytest.importorskip("llvmlite")

rng = np.random.default_rng(0)
SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 24, 31, 32, 33, 40]
BATCHES: list[tuple[int, ...]] = [(), (1,), (3,), (7,), (8,), (21,), (4, 5), (35,)]


def stages_of(prim: Any, *args: np.ndarray, vector_bytes: int = 64, **params: Any) -> Any:
    atoms = [Var(ShapedArray(a.shape, a.dtype)) for a in args]
    avals = prim.abstract(*[v.aval for v in atoms], **params)
    results = [Var(a) for a in avals] if prim.multi else [Var(avals)]
    return LOWER[prim.name](Eqn(prim, atoms, results, params), vector_bytes)


def native(prim: Any, *args: np.ndarray, vector_bytes: int = 64, parts: int = 3, **params: Any) -> list[np.ndarray]:
    """What the stage makes, with the number of errors in the end if it counts them."""
    stages = stages_of(prim, *args, vector_bytes=vector_bytes, **params)
    assert stages is not None
    (stage,) = stages
    run = prepare(stage, parts)
    operands = dict(zip(stage.eqns[0].invars, args))
    given = [operands[v] for v in stage.loaded]
    got = run(*given)
    for x, y in zip(got, run(*given, whole=True)):
        np.testing.assert_array_equal(x, y)
    return got


def matrices(*shape: int, dtype: Any = np.float64) -> np.ndarray:
    return rng.standard_normal(shape).astype(dtype)


def definite(batch: tuple[int, ...], n: int, dtype: Any) -> np.ndarray:
    x = matrices(*batch, n, n)
    return (x @ x.swapaxes(-1, -2) + n * np.eye(n)).astype(dtype)


def near(got: np.ndarray, want: np.ndarray, loose: float = 1) -> None:
    """Equal up to rounding, as measured by the largest element."""
    assert got.shape == want.shape and got.dtype == want.dtype
    scale = max(1.0, float(np.abs(want).max(initial=0)))
    assert np.abs(got.astype(float) - want).max(initial=0) <= loose * 300 * np.finfo(want.dtype).eps * scale


shapes = st.tuples(
    st.sampled_from(SIZES),
    st.sampled_from(BATCHES),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from([32, 64]),
)
quick = hypothesis.settings(max_examples=30, deadline=None, derandomize=True)


@quick
@hypothesis.given(shapes)
def test_cholesky(case: tuple):
    n, batch, dtype, vector_bytes = case
    a = definite(batch, n, dtype)
    want = np.linalg.cholesky(a)
    above = np.triu(np.full((n, n), np.nan, dtype), 1)
    got, errors = native(cholesky_p, a + above, vector_bytes=vector_bytes)
    near(got, want)
    assert not errors.any() and not np.triu(got, 1).any()


@quick
@hypothesis.given(
    shapes, st.sampled_from([1, 2, 3, 5, 8, 17, 40]), st.booleans(), st.booleans(), st.booleans(), st.booleans()
)
def test_triangular_solve(case: tuple, k: int, lower: bool, transpose_a: bool, unit_diagonal: bool, shared: bool):
    n, batch, dtype, vector_bytes = case
    a = matrices(*(() if shared else batch), n, n, dtype=dtype) / n + 2 * np.eye(n, dtype=dtype)
    b = matrices(*batch, n, k, dtype=dtype)
    params = {"lower": lower, "transpose_a": transpose_a, "unit_diagonal": unit_diagonal}
    want = triangular_solve_p.impl(a, b, **params)
    other = np.tril(np.ones((n, n)), -1 + unit_diagonal)
    unread = np.where(other.T if lower else other, np.array(np.nan, dtype), a)
    got, errors = native(triangular_solve_p, unread, b, vector_bytes=vector_bytes, **params)
    near(got, want)
    assert not errors.any()


@quick
@hypothesis.given(shapes, st.sampled_from([1, 2, 3, 5, 8, 17, 40]), st.sampled_from(["own", "one a", "one b"]))
def test_solve(case: tuple, k: int, shared: str):
    n, batch, dtype, vector_bytes = case
    a = matrices(*(() if shared == "one a" else batch), n, n, dtype=dtype)
    b = matrices(*(() if shared == "one b" else batch), n, k, dtype=dtype)
    got, errors = native(solve_p, a, b, vector_bytes=vector_bytes)
    residual = np.abs(a.astype(float) @ got - b).max()
    size = n * np.abs(a).max() * np.abs(got).max()
    assert residual <= 10 * np.finfo(dtype).eps * size  # backward stable: with row swaps
    assert not errors.any() and got.dtype == dtype


@quick
@hypothesis.given(shapes)
def test_inv_and_det(case: tuple):
    n, batch, dtype, vector_bytes = case
    a = matrices(*batch, n, n, dtype=dtype)
    x, errors = native(inv_p, a, vector_bytes=vector_bytes)
    wide = a.astype(float)
    residual = np.abs(wide @ x - np.eye(n)).max()
    assert residual <= 10 * n * np.finfo(dtype).eps * np.abs(a).max() * np.abs(x).max()
    assert not errors.any()
    sign, log = native(slogdet_p, a, vector_bytes=vector_bytes)
    np.testing.assert_array_equal(sign, np.linalg.slogdet(wide)[0])
    condition = np.linalg.cond(wide).max(initial=1)
    assert np.abs(log - np.linalg.slogdet(wide)[1]).max() <= 10 * n * np.finfo(dtype).eps * condition
    (det,) = native(det_p, a, vector_bytes=vector_bytes)
    np.testing.assert_allclose(det, np.linalg.det(wide), rtol=10 * n * np.finfo(dtype).eps * condition)


@quick
@hypothesis.given(shapes, st.sampled_from([-3, -1, 0, 1, 5]))
def test_lu(case: tuple, wider: int):
    m, batch, dtype, vector_bytes = case
    a = matrices(*batch, m, max(1, m + wider), dtype=dtype)
    factors, pivots, order = native(lu_p, a, vector_bytes=vector_bytes)
    want = lu_p.impl(a)
    near(factors, want[0], 10)
    np.testing.assert_array_equal(pivots, want[1])
    np.testing.assert_array_equal(order, want[2])


# ------------------------------------------------------------------ what has no result


def test_a_triangle_of_the_largest_sizes():
    for dtype, k in ((np.float32, 1), (np.float64, 33)):
        a = np.tril(matrices(200, 200, dtype=dtype)) / 200 + np.eye(200, dtype=dtype)
        b = matrices(200, k, dtype=dtype)
        got, _ = native(triangular_solve_p, a, b, lower=True, transpose_a=False, unit_diagonal=False)
        near(got, np.linalg.solve(a.astype(float), b).astype(dtype))


def test_what_is_left_to_numpy():
    a = matrices(4, 4)
    assert stages_of(inv_p, a.astype(np.complex128)) is None
    assert stages_of(solve_p, a, a.astype(np.float32)) is None
    assert stages_of(inv_p, matrices(300, 300)) is None


def test_batches_that_broadcast_against_each_other():
    a, b = matrices(3, 1, 4, 4), matrices(5, 4, 2)
    f = fnets.jit(fnp.linalg.solve, backend="llvm")
    near(f(a, b), np.linalg.solve(a, b), 10)
    assert f.lower(a, b).compile().report().numpy == []


@pytest.mark.parametrize("batch", [(), (20,)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_singular(batch: tuple[int, ...], dtype: Any):
    good = np.broadcast_to(np.eye(3, dtype=dtype), (*batch, 3, 3)).copy()
    bad = good.copy()
    bad[(*[-1] * len(batch), 1, 1)] = 0
    b = np.ones((*batch, 3, 2), dtype)
    triangle = {"lower": True, "transpose_a": False, "unit_diagonal": False}
    for prim, args, params in (
        (cholesky_p, (), {}),
        (inv_p, (), {}),
        (solve_p, (b,), {}),
        (triangular_solve_p, (b,), triangle),
    ):
        f = fnets.jit(lambda *xs, prim=prim, params=params: prim.bind(*xs, **params), backend="llvm")
        f(good, *args)
        with pytest.raises(LinAlgError, match=prim.name):
            f(bad, *args)
    (det,) = native(det_p, bad)
    np.testing.assert_array_equal(det, np.linalg.det(bad))
    for got, want in zip(native(slogdet_p, bad), np.linalg.slogdet(bad)):
        np.testing.assert_array_equal(got, want)
    for got, want in zip(native(lu_p, bad - 1), lu_p.impl(bad - 1)):
        np.testing.assert_array_equal(got, want)
    unit, errors = native(triangular_solve_p, bad, b, **(triangle | {"unit_diagonal": True}))
    np.testing.assert_array_equal(unit, b)
    assert not errors.any()


@quick
@hypothesis.given(st.integers(2, 40), st.integers(0, 40), st.sampled_from([(), (9,)]))
def test_ill_conditioned(n: int, digits: int, batch: tuple[int, ...]):
    """Rows and columns of very different sizes, and nearly dependent ones: what LAPACK solves stably is solved as stably."""
    a = matrices(*batch, n, n)
    a[..., -1, :] = a[..., 0, :] * (1 + 10.0 ** -(digits % 14)) + 1e-3 * 10.0 ** -(digits % 14) * a[..., -1, :]
    a = a * 10.0 ** rng.uniform(-digits / 8, digits / 8, (n, 1))
    b = matrices(*batch, n, 2)
    got, _ = native(solve_p, a, b)
    size = np.abs(a) @ np.abs(got) + np.abs(b)
    residuals = [np.abs(a @ x - b) / size for x in (got, np.linalg.solve(a, b))]
    assert residuals[0].max() <= 50 * residuals[1].max() + 1e-12


def test_nan_goes_through():
    a = np.array([[np.nan, 1.0], [1.0, 3.0]])
    for prim in (solve_p, inv_p, det_p):
        args = (a, np.ones((2, 1))) if prim is solve_p else (a,)
        assert np.isnan(native(prim, *args)[0]).any()


def test_numpy_decides_what_is_singular():
    """Where the kernel counts an error and NumPy finds none, NumPy's results count, made of operands that are whole."""
    nothing = np.array([[np.nan, 0.0], [0.0, 1.0]])  # LAPACK makes a factor of it

    def f(x: Any, a: Any, more: Any) -> Any:
        return fnp.asarray(x).at[:2].add(more), fnp.linalg.cholesky(a)

    x = np.arange(5.0)
    y, factor = fnets.jit(f, backend="llvm", donate_argnums=0)(x.copy(), nothing, np.ones(2))
    np.testing.assert_array_equal(y, x + np.array([1, 1, 0, 0, 0]))
    np.testing.assert_array_equal(factor, np.linalg.cholesky(nothing))


# ------------------------------------------------------------------ programs


def kalman(q: Any, ys: Any) -> Any:
    """The negative log-likelihood of a constant-velocity model."""
    move, h = np.array([[1.0, 0.1], [0.0, 1.0]]), np.array([[1.0, 0.0], [0.3, 1.0]])

    def step(carry: Any, y: Any) -> Any:
        x, p = carry
        x, p = move @ x, move @ p @ move.T + q * np.eye(2)
        s, r = h @ p @ h.T + 0.1 * np.eye(2), y - h @ x
        gain = fnp.linalg.solve(s, h @ p).T
        loss = r @ fnp.linalg.solve(s, r) + fnp.linalg.slogdet(s)[1]
        return (x + gain @ r, p - gain @ h @ p), loss

    return fnp.sum(lax.scan(step, (np.zeros(2), np.eye(2)), ys)[1])


def kalman_loop(q: float, ys: np.ndarray) -> float:
    move, h = np.array([[1.0, 0.1], [0.0, 1.0]]), np.array([[1.0, 0.0], [0.3, 1.0]])
    x, p, total = np.zeros(2), np.eye(2), 0.0
    for y in ys:
        x, p = move @ x, move @ p @ move.T + q * np.eye(2)
        s, r = h @ p @ h.T + 0.1 * np.eye(2), y - h @ x
        inverse = np.linalg.inv(s)
        total += r @ inverse @ r + np.log(np.linalg.det(s))
        gain = p @ h.T @ inverse
        x, p = x + gain @ r, p - gain @ h @ p
    return total


def test_a_kalman_filter_runs_natively():
    ys = matrices(50, 2)
    value, slope = fnets.jit(kalman, backend="llvm"), fnets.jit(fnets.grad(kalman), backend="llvm")
    for f in (value, slope):
        assert f.lower(0.5, ys).compile().report().numpy == []
    np.testing.assert_allclose(value(0.5, ys), kalman_loop(0.5, ys), rtol=1e-12)
    difference = (kalman_loop(0.5 + 1e-6, ys) - kalman_loop(0.5 - 1e-6, ys)) / 2e-6
    np.testing.assert_allclose(slope(0.5, ys), difference, rtol=1e-6)


def test_a_loop_tells_of_a_singular_matrix():
    f = fnets.jit(lambda xs: lax.scan(lambda c, x: (fnp.linalg.solve(x * np.eye(2), c), 0.0), np.ones(2), xs)[0])
    np.testing.assert_array_equal(f(np.array([1.0, 2.0])), [0.5, 0.5])
    with pytest.raises(LinAlgError, match="invertible"):
        f(np.array([1.0, 0.0]))


def gaussian_process(p: Any, x: Any, y: Any) -> Any:
    n = len(y)
    k = p[0] ** 2 * fnp.exp(-((x - x.T) ** 2) / (2 * p[1] ** 2)) + p[2] ** 2 * np.eye(n)
    factor = fnp.linalg.cholesky(k)
    return -0.5 * y @ fsl.cho_solve((factor, True), y) - fnp.log(fnp.diag(factor)).sum()


def likelihood(p: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    k = p[0] ** 2 * np.exp(-((x - x.T) ** 2) / (2 * p[1] ** 2)) + p[2] ** 2 * np.eye(len(y))
    return -0.5 * y @ np.linalg.inv(k) @ y - 0.5 * np.linalg.slogdet(k)[1]


def test_a_gaussian_process_runs_natively():
    x = np.sort(matrices(30, 1), axis=0)
    p, y = np.array([1.0, 0.5, 0.3]), np.sin(3 * x[:, 0])
    value, slope = fnets.jit(gaussian_process, backend="llvm"), fnets.jit(fnets.grad(gaussian_process), backend="llvm")
    for f in (value, slope):
        assert f.lower(p, x, y).compile().report().numpy == []
    np.testing.assert_allclose(value(p, x, y), likelihood(p, x, y), rtol=1e-10)
    steps = 1e-6 * np.eye(3)
    difference = [(likelihood(p + s, x, y) - likelihood(p - s, x, y)) / 2e-6 for s in steps]
    np.testing.assert_allclose(slope(p, x, y), difference, rtol=1e-5)
