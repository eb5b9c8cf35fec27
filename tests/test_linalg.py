"""Linear algebra against NumPy for drawn shapes, gradients against JAX's and finite differences, kinks, and what happens to bad matrices."""

from __future__ import annotations

import numpy as np
import pytest
from golden.golden_io import load
from hypothesis import given
from hypothesis import strategies as st

import fnets
import fnets.numpy as fnp
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.lax import linalg as lla
from fnets.numpy import linalg as la
from fnets.primitives.matrix_functions import expm_p, polar_p, sqrtm_p, sylvester_p

rng = np.random.default_rng(0)
FLOATS = ["float32", "float64", "complex64", "complex128"]
batches = st.lists(st.integers(0, 3), max_size=2).map(tuple)


def array(shape, dtype="float64") -> np.ndarray:
    x = rng.standard_normal(shape)
    dtype = np.dtype(dtype)
    return (x + 1j * rng.standard_normal(shape)).astype(dtype) if dtype.kind == "c" else x.astype(dtype)


def tolerance(dtype) -> float:
    return 2e-4 if np.dtype(dtype).name in ("float32", "complex64") else 1e-10


def same(got, expected, tol: float | None = None, types: bool = True) -> None:
    got, expected = np.asarray(got), np.asarray(expected)
    if types:
        assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    tol = tolerance(expected.dtype) if tol is None else tol
    np.testing.assert_allclose(got, expected, rtol=tol, atol=tol * max(1.0, np.abs(expected).max(initial=0)))


def regular(shape, dtype) -> np.ndarray:
    return array(shape, dtype) + (4 * np.eye(shape[-1])).astype(dtype)


def hermitian(shape, dtype) -> np.ndarray:
    a = array(shape, dtype)
    return (a + a.swapaxes(-1, -2).conj()) / np.dtype(dtype).type(2)


# ------------------------------------------------------------------ values


@given(batches, st.integers(0, 4), st.sampled_from(FLOATS), st.data())
def test_square_matrices_equal_numpy(batch, n, dtype, data):
    a = regular((*batch, n, n), dtype)
    same(la.inv(a), np.linalg.inv(a))
    same(la.det(a), np.linalg.det(a))
    for got, expected in zip(la.slogdet(a), np.linalg.slogdet(a)):
        same(got, expected)
    k = data.draw(st.integers(-3, 5))
    same(la.matrix_power(a, k), np.linalg.matrix_power(a, k), tol=10 * tolerance(dtype))
    other = data.draw(st.sampled_from([batch, (), (1,) * len(batch)]))
    b = array((*other, n, data.draw(st.integers(0, 3))), dtype)
    same(la.solve(a, b), np.linalg.solve(a, b))
    vector = array((n,), dtype)
    if b.ndim:
        same(la.solve(a, vector), np.linalg.solve(a, vector))


@given(batches, st.integers(0, 4), st.integers(0, 4), st.sampled_from(FLOATS), st.booleans())
def test_decompositions_put_together(batch, m, n, dtype, full):
    a = array((*batch, m, n), dtype)
    q, r = la.qr(a, "complete" if full else "reduced")
    expected = np.linalg.qr(a, "complete" if full else "reduced")
    same(q, expected[0])
    same(r, expected[1])
    same(la.qr(a, "r"), np.linalg.qr(a, "r"))
    u, s, vh = la.svd(a, full)
    k = min(m, n)
    same((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], a)
    same(s, np.linalg.svd(a, compute_uv=False))
    same(la.svdvals(a), s)
    assert u.shape == np.linalg.svd(a, full)[0].shape
    assert vh.shape == np.linalg.svd(a, full)[2].shape
    if m and n:
        same(la.pinv(a), np.linalg.pinv(a), tol=1e-2 if tolerance(dtype) > 1e-6 else 1e-7)
        same(la.matrix_rank(a), np.linalg.matrix_rank(a))


@given(batches, st.integers(0, 4), st.sampled_from(FLOATS), st.sampled_from(["L", "U"]))
def test_hermitian_matrices(batch, n, dtype, uplo):
    a = array((*batch, n, n), dtype)
    h = hermitian((*batch, n, n), dtype)
    for got, expected in zip(la.eigh(a, uplo), np.linalg.eigh(a, uplo)):
        same(got, expected)
    same(la.eigvalsh(a, uplo), np.linalg.eigvalsh(a, uplo))
    w, v = la.eigh(h)
    same((v * w[..., None, :]) @ v.swapaxes(-1, -2).conj(), h)
    same(la.eigvalsh(h), np.linalg.eigvalsh(h))
    p = h @ h.swapaxes(-1, -2).conj() + np.eye(n, dtype=dtype)
    same(la.cholesky(p), np.linalg.cholesky(p))
    same(la.cholesky(p, upper=True), np.linalg.cholesky(p, upper=True))
    u, s, vh = la.svd(h, hermitian=True)
    same((u * s[..., None, :]) @ vh, h)
    assert np.all(np.diff(s) <= 0)
    same(la.svd(h, compute_uv=False, hermitian=True), np.linalg.svd(h, compute_uv=False))
    if n:
        same(
            la.pinv(h, hermitian=True), np.linalg.pinv(h, hermitian=True), tol=1e-1 if tolerance(dtype) > 1e-6 else 1e-6
        )


@given(batches, st.integers(0, 4), st.sampled_from(FLOATS))
def test_eigenvalues_of_any_matrix(batch, n, dtype):
    a = array((*batch, n, n), dtype)
    w, v = la.eig(a)
    assert w.dtype == v.dtype == np.result_type(dtype, np.complex64)
    same(a.astype(v.dtype) @ v, v * w[..., None, :])
    same(np.sort_complex(la.eigvals(a)), np.sort_complex(np.linalg.eigvals(a).astype(w.dtype)), tol=1e-3)


VECTOR_ORDERS = [None, 0, 1, 2, 3, 0.5, -1, -2, np.inf, -np.inf]
MATRIX_ORDERS = [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf]


@given(
    st.sampled_from(VECTOR_ORDERS), st.integers(-3, 2), st.booleans(), st.sampled_from([*FLOATS, "int32", "float16"])
)
def test_vector_norms_equal_numpy(order, axis, keepdims, dtype):
    x = array((2, 3, 4), "float64").astype(dtype) if np.dtype(dtype).kind != "c" else array((2, 3, 4), dtype)
    if order is not None and order < 0:
        x = x + np.where(x == 0, np.array(1, x.dtype), np.array(0, x.dtype))
    tol = 1e-2 if dtype == "float16" else None
    with np.errstate(divide="ignore"):
        same(la.norm(x, order, axis, keepdims), np.linalg.norm(x, order, axis, keepdims), tol)
        if order is not None and dtype != "int32":
            got = la.vector_norm(x, axis=axis, keepdims=keepdims, ord=order)
            same(got, np.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=order), tol)


@given(st.sampled_from(MATRIX_ORDERS), st.permutations([0, 1, 2]), st.booleans(), st.sampled_from(FLOATS))
def test_matrix_norms_equal_numpy(order, axes, keepdims, dtype):
    x = array((2, 3, 4), dtype)
    same(la.norm(x, order, tuple(axes[:2]), keepdims), np.linalg.norm(x, order, tuple(axes[:2]), keepdims))
    if order is not None:
        got = la.matrix_norm(x, keepdims=keepdims, ord=order)
        same(got, np.linalg.matrix_norm(x, keepdims=keepdims, ord=order))


def test_norms_of_everything():
    x = array((2, 3, 4))
    same(la.norm(x), np.linalg.norm(x))
    same(la.norm(x, keepdims=True), np.linalg.norm(x, keepdims=True))
    same(la.vector_norm(x, axis=(0, 2), ord=3), np.linalg.vector_norm(x, axis=(0, 2), ord=3))
    for order in (1, 2, np.inf):
        assert la.vector_norm(np.zeros(0), ord=order) == 0
    for order in (1, 2, np.inf, "fro", "nuc"):
        for shape in ((0, 2), (2, 0), (0, 0)):
            assert la.matrix_norm(np.zeros(shape), ord=order) == 0


def test_further_functions_equal_numpy():
    a, b = array((2, 3, 6)), array((2, 3))
    same(la.tensorsolve(a, b), np.linalg.tensorsolve(a, b))
    moved = array((2, 6, 3))
    same(la.tensorsolve(moved, b, axes=(1,)), np.linalg.tensorsolve(moved, b, axes=(1,)))
    same(la.tensorinv(a), np.linalg.tensorinv(a))
    chain = [array(4), array((4, 3)), array((3, 5)), array((5, 2)), array(2)]
    for first in (0, 1):
        for last in (4, 5):
            same(la.multi_dot(chain[first:last]), np.linalg.multi_dot(chain[first:last]))
    x = array((2, 3, 3))
    for p in (None, 2, -2, 1, -1, np.inf, "fro"):
        same(la.cond(x, p), np.linalg.cond(x, p))
    tall = array((4, 3))
    same(la.cond(tall), np.linalg.cond(tall))
    same(la.cross(x, x[0]), np.linalg.cross(x, x[0]))
    same(la.outer(x[0, 0], x[0, 1]), np.linalg.outer(x[0, 0], x[0, 1]))
    same(la.diagonal(x, offset=1), np.linalg.diagonal(x, offset=1))
    same(la.trace(x, offset=-1), np.linalg.trace(x, offset=-1))
    same(la.trace(x.astype(np.float32), dtype="float64"), np.linalg.trace(x.astype(np.float32), dtype="float64"))
    same(la.matrix_rank(np.ones((2, 3, 3))), np.linalg.matrix_rank(np.ones((2, 3, 3))))
    same(la.matrix_rank(x, tol=1.0), np.linalg.matrix_rank(x, tol=1.0))
    same(la.matrix_rank(x, rtol=np.array([0.5, 0.1])), np.linalg.matrix_rank(x, rtol=np.array([0.5, 0.1])))
    assert la.matrix_rank(np.zeros(3)) == 0
    assert la.matrix_rank(np.ones(3)) == 1
    same(
        la.matrix_power(np.array([[True, True], [False, True]]), 3),
        np.linalg.matrix_power(np.array([[True, True], [False, True]]), 3),
    )
    u, s, vh = la.svd(array((4, 3)), False, subset_by_index=(1, 3))
    assert u.shape == (4, 2)
    assert s.shape == (2,)
    assert vh.shape == (2, 3)
    same(la.pinv(x, np.array([0.5, 1e-10])), np.linalg.pinv(x, np.array([0.5, 1e-10])))


@pytest.mark.parametrize("m, n", [(4, 4), (6, 3), (3, 6), (4, 1)])
@pytest.mark.parametrize("k", [None, 2])
def test_lstsq(m, n, k):
    a, b = array((m, n)), array((m,) if k is None else (m, k))
    got, expected = la.lstsq(a, b, numpy_resid=True), np.linalg.lstsq(a, b)
    for g, e in zip(got, expected):
        same(g, e, types=False)
    a[:, -1] = a[:, 0]  # rank deficient
    got, expected = la.lstsq(a, b, numpy_resid=True), np.linalg.lstsq(a, b)
    for g, e in zip(got, expected):
        same(g, e, types=False)


def test_lstsq_of_nothing():
    assert la.lstsq(np.zeros((3, 0)), np.ones(3))[0].shape == (0,)
    assert la.lstsq(np.zeros((0, 2)), np.ones((0, 3)))[0].shape == (2, 3)
    x, _, rank, _ = la.lstsq(np.zeros((3, 2)), np.ones(3))
    assert rank == 0
    same(x, np.zeros(2))


def test_integers_and_lists():
    same(la.inv([[2, 0], [0, 4]]), np.linalg.inv([[2, 0], [0, 4]]))
    same(la.det(np.array([[1, 2], [3, 4]])), np.linalg.det(np.array([[1, 2], [3, 4]])))
    same(la.solve(np.array([[2, 0], [0, 4]]), np.array([1, 2])), np.array([0.5, 0.5]))
    same(la.norm(np.array([3, 4])), np.float64(5))


# ------------------------------------------------------------------ lax.linalg


@given(
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from(FLOATS),
    st.integers(0, 5),
)
def test_triangular_solve(left, lower, transpose, conjugate, unit, dtype, n):
    a = regular((2, n, n), dtype)
    b = array((2, n, 3) if left else (2, 3, n), dtype)
    options = {
        "left_side": left,
        "lower": lower,
        "transpose_a": transpose,
        "conjugate_a": conjugate,
        "unit_diagonal": unit,
    }
    x = lla.triangular_solve(a, b, **options)
    t = np.tril(a) if lower else np.triu(a)
    if unit:
        t[:, range(n), range(n)] = 1
    t = t.conj() if conjugate else t
    t = t.swapaxes(-1, -2) if transpose else t
    same(t @ x if left else x @ t, b, tol=20 * tolerance(dtype))
    if not left and n:
        same(lla.triangular_solve(a[0], b[0, 0], **options), x[0, 0])


def test_triangular_solve_in_blocks():
    a, b = array((200, 200)) / 200 + np.eye(200), array((200, 3))
    for lower in (False, True):
        same(
            np.tril(a) @ lla.triangular_solve(a, b, left_side=True, lower=True)
            if lower
            else np.triu(a) @ lla.triangular_solve(a, b, left_side=True),
            b,
        )


@given(batches, st.integers(0, 5), st.integers(0, 5), st.sampled_from(FLOATS))
def test_lu_puts_together(batch, m, n, dtype):
    a = array((*batch, m, n), dtype)
    factors, pivots, order = lla.lu(a)
    k = min(m, n)
    lower = np.tril(factors[..., :k], -1) + np.eye(m, k, dtype=dtype)
    same(lower @ np.triu(factors[..., :k, :]), np.take_along_axis(a, order[..., None].astype(int), -2))
    assert np.abs(lower).max(initial=0) <= 1 + 1e-6 or np.dtype(dtype).kind == "c"
    same(lla.lu_pivots_to_permutation(pivots, m), order)


def test_lu_in_panels():
    a = array((100, 90))
    factors, _, order = lla.lu(a)
    same((np.tril(factors, -1) + np.eye(100, 90)) @ np.triu(factors[:90]), a[order])


GOLDEN_CASES, GOLDEN = load("linalg")


def golden(kind: str, name: str) -> np.ndarray:
    return GOLDEN[f"{kind}_{name}"]


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_forms_equal_lapack(kind):
    square, tall = golden(kind, "square"), golden(kind, "tall")
    for got, name in zip(lla.lu(square), ("lu", "pivots")):
        same(got, golden(kind, name))
    for got, name in zip(lla.hessenberg(square), ("hessenberg", "hessenberg_taus")):
        same(got, golden(kind, name))
    for lower in (True, False):
        side = "lower" if lower else "upper"
        for got, name in zip(lla.tridiagonal(square, lower=lower), ("", "_d", "_e", "_taus")):
            same(got, golden(kind, f"{side}{name}"))
    same(lla.householder_product(golden(kind, "raw"), golden(kind, "taus")), golden(kind, "reflected"))
    q, r, order = lla.qr(tall, pivoting=True, full_matrices=False)
    same(q, golden(kind, "pivoted_q"))
    same(r, golden(kind, "pivoted_r"))
    same(order, golden(kind, "pivoted_order"))


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_functions_of_matrices_equal_scipy(kind):
    square, tall = golden(kind, "square"), golden(kind, "tall")
    same(expm_p.bind(3 * square), golden(kind, "expm"))
    root = sqrtm_p.bind(square @ square.conj().T + np.eye(5))
    same(root, golden(kind, "sqrtm"), types=False)
    same(sqrtm_p.bind(square), golden(kind, "root"), types=False)
    same(sylvester_p.bind(square, tall[:4], tall[:5]), golden(kind, "sylvester"))
    same(polar_p.bind(tall), golden(kind, "polar"))


def test_functions_of_defective_matrices():
    jordan = np.array([[4.0, 1.0, 0.0], [0.0, 4.0, 1.0], [0.0, 0.0, 4.0]])
    root = sqrtm_p.bind(jordan)
    same(root @ root, jordan, types=False)
    q = array((3, 3))
    x = sylvester_p.bind(jordan, jordan, q)
    same(jordan @ x + x @ jordan, q)
    nilpotent = np.array([[0.0, 1.0], [0.0, 0.0]])
    same(expm_p.bind(nilpotent), np.array([[1.0, 1.0], [0.0, 1.0]]))
    zero = np.diag([0.0, 4.0, 0.0])
    same(sqrtm_p.bind(zero), np.diag([0.0, 2.0, 0.0]), types=False)


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_products_of_reflectors(kind):
    a, taus = golden(kind, "raw"), golden(kind, "taus")
    full = lla.householder_product(np.concatenate([a, np.zeros((6, 2))], 1), taus)
    c, d = array((6, 2)), array((2, 6))
    same(lla.ormqr(a, taus, c), full @ c, types=False)
    same(lla.ormqr(a, taus, c, transpose=True), full.conj().T @ c, types=False)
    same(lla.ormqr(a, taus, d, left=False), d @ full, types=False)
    same(lla.ormqr(a, taus, d, left=False, transpose=True), d @ full.conj().T, types=False)


def test_further_functions_of_lax():
    a = array((2, 4, 4))
    w, left, right = lla.eig(a)
    same(a @ right, right * w[..., None, :])
    same(left.conj().swapaxes(-1, -2) @ a, w[..., None] * left.conj().swapaxes(-1, -2))
    same(np.linalg.norm(left, axis=-2), np.ones((2, 4)))
    assert len(lla.eig(a, compute_left_eigenvectors=False)) == 2
    v, w = lla.eigh(a)
    h = (a + a.swapaxes(-1, -2)) / 2
    same(h @ v, v * w[..., None, :])
    assert lla.eigh(a, subset_by_index=(1, 3))[0].shape == (2, 4, 2)
    x = array((3, 5))
    same(np.tril(lla.symmetric_product(x, np.ones((3, 3)), alpha=2.0, beta=3.0)), np.tril(2 * x @ x.T + 3))
    same(lla.symmetric_product(x, np.zeros((3, 3)), symmetrize_output=True), x @ x.T)
    r, v = np.triu(array((4, 4))), array(4)
    updated = lla.cholesky_update(r, v)
    same(updated.T @ updated, r.T @ r + np.outer(v, v))
    assert np.all(np.diag(updated) >= 0)
    assert len(lla.svd(x)) == 3
    same(lla.svd(x, compute_uv=False), np.linalg.svd(x, compute_uv=False))


def test_tridiagonal_solve_swaps_rows_and_mends_singular_pivots():
    n = 5
    dl, d, du, b = array(n), np.zeros(n), array(n), array((n, 2))
    d[-1] = 1
    t = np.diag(d) + np.diag(dl[1:], -1) + np.diag(du[:-1], 1)
    same(lla.tridiagonal_solve(dl, d, du, b), np.linalg.solve(t, b))
    zero = np.zeros(3)
    with pytest.raises(la.LinAlgError, match="tridiagonal_solve"):
        lla.tridiagonal_solve(zero, zero, zero, np.ones((3, 1)))
    assert np.all(np.abs(lla.tridiagonal_solve(zero, zero, zero, np.ones((3, 1)), perturb_singular=True)) > 1e6)


# ------------------------------------------------------------------ derivatives

FUNCTIONS = {
    "of_eigh": lambda a, w: (lambda e: fnp.sum(w * fnp.abs(e[1]) ** 2) + fnp.sum(e[0] ** 3))(la.eigh(a)),
    "of_eig": lambda a, w: (lambda e: fnp.sum(w * fnp.abs(e[1]) ** 2) + fnp.real(fnp.sum(e[0] ** 3)))(la.eig(a)),
    "of_svd": lambda a, w: (
        lambda u, s, v: fnp.sum(w * fnp.abs((u[:, :2] * s[:2] ** 1.5) @ v[:2]) ** 2) + fnp.sum(s**2.5)
    )(*la.svd(a, False)),
    "of_svdvals": lambda a, w: fnp.sum(la.svdvals(a) ** 1.5),
    "of_cholesky": lambda a, w: fnp.sum(w * fnp.abs(la.cholesky(a @ fnp.conj(a).T + 2 * np.eye(len(a)))) ** 2),
    "of_qr": lambda a, w: (lambda q, r: fnp.sum(w * fnp.abs(q @ fnp.conj(q).T) ** 2) + fnp.sum(fnp.abs(r) ** 3))(
        *la.qr(a)
    ),
    "of_expm": lambda a, w: fnp.sum(w * fnp.abs(expm_p.bind(a))),
    "of_pinv": lambda a, w: fnp.sum(w.T * fnp.abs(la.pinv(a)) ** 2),
    "of_slogdet": lambda a, w: (lambda s: s[1] ** 2 + fnp.real(s[0] * (1 + 2j)))(la.slogdet(a)),
    "of_lu": lambda a, w: fnp.sum(w * fnp.abs(lla.lu(a)[0]) ** 2),
}


@pytest.mark.parametrize("i", range(len(GOLDEN_CASES)), ids=lambda i: f"{GOLDEN_CASES[i]['name']}-{i}")
def test_gradients_equal_jax(i):
    function, a, w = FUNCTIONS[GOLDEN_CASES[i]["name"]], GOLDEN[f"a{i}"], GOLDEN[f"w{i}"]
    value, gradient = fnets.value_and_grad(function)(a, w)
    same(value, GOLDEN[f"value{i}"], 1e-9)
    same(gradient, GOLDEN[f"gradient{i}"], 1e-7)
    t = array(a.shape, a.dtype)
    same(fnets.jvp(lambda a: function(a, w), (a,), (t,))[1], np.real(np.sum(gradient * t)), 1e-8)


COMPLEX_FORMS = [
    lambda a: (lambda u, s, v: fnp.abs((u[:, :3] * s**2) @ v[:3]) + fnp.abs(u[:, 3:] @ fnp.conj(u[:, 3:]).T)[:, :3])(
        *la.svd(a)
    ),
    lambda a: (lambda w, v: fnp.abs((v * fnp.exp(w)) @ fnp.conj(v).T))(*la.eigh(fnp.conj(a).T @ a)),
]


@pytest.mark.parametrize("f", COMPLEX_FORMS)
def test_functions_independent_of_phases(f):
    a, t = array((4, 3), "complex128"), array((4, 3), "complex128")
    eps = 1e-6
    numeric = (f(a + eps * t) - f(a - eps * t)) / (2 * eps)
    same(fnets.jvp(f, (a,), (t,))[1], numeric, 1e-7)
    weights = array(numeric.shape)
    gradient = fnets.grad(lambda a: fnp.sum(weights * f(a)))(a)
    assert np.real(np.sum(gradient * t)) == pytest.approx(np.sum(weights * numeric), rel=1e-6)


def test_the_gradient_of_a_norm_at_zero_is_zero():
    gradient = fnets.grad(la.norm)
    for order in (None, 1, 2, 3, 0.5, np.inf):
        same(gradient(np.zeros(3), order), np.zeros(3))
    for order in (None, "fro", "nuc", 1, 2, np.inf):
        same(gradient(np.zeros((2, 2)), order), np.zeros((2, 2)))
    same(
        fnets.grad(lambda x: fnp.sum(la.norm(x, axis=0)))(np.array([[0.0, 3.0], [0.0, 4.0]])),
        np.array([[0, 0.6], [0, 0.8]]),
    )
    for order in (3, 1.5):
        x = np.array([0.0, 1.0, -2.0])
        assert np.isfinite(fnets.hessian(la.norm)(x, order)[1:, 1:]).all()


@pytest.mark.parametrize("order", [1, 2, 3, 1.5, np.inf, -np.inf, "fro", "nuc", -1, -2])
@pytest.mark.parametrize("kind", FLOATS[1::2])
def test_gradients_of_norms(order, kind):
    shape, axis = ((4, 3), (0, 1)) if order in ("fro", "nuc", -1, -2) else ((4, 3), 0)
    x, t, eps = array(shape, kind), array(shape, kind), 1e-6
    f = lambda x: fnp.sum(la.norm(x, order, axis))  # noqa: E731
    gradient = fnets.grad(f)(x)
    assert np.real(np.sum(gradient * t)) == pytest.approx((f(x + eps * t) - f(x - eps * t)) / (2 * eps), rel=1e-6)


def test_det_at_singular_matrices():
    for rank in (3, 2, 0):
        a = array((4, rank)) @ array((rank, 4))
        cofactors = np.array(
            [[(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) for j in range(4)] for i in range(4)]
        )
        same(fnets.grad(la.det)(a), cofactors, 1e-9)


def test_equal_eigenvalues():
    """Values have gradients where they are equal; vectors have none, but for those of the null space, which count as fixed."""
    same(fnets.grad(lambda a: fnp.sum(la.eigh(a)[0] ** 2))(np.eye(3)), 2 * np.eye(3))
    same(fnets.grad(lambda a: fnp.sum(la.svd(a, False)[1]))(np.eye(3)), np.eye(3))
    with np.errstate(divide="ignore", invalid="ignore"):
        assert not np.isfinite(fnets.grad(lambda a: fnp.sum(la.eigh(a)[1]))(np.eye(3))).any()
    a = np.zeros((4, 4))
    a[:2, :2] = [[3.0, 1.0], [1.0, 2.0]]
    f = lambda a: fnp.sum(la.eigh(a)[1][:, 2:] ** 4)  # noqa: E731
    assert np.isfinite(fnets.grad(f)(a)).all()
    # functions of matrices are smooth there
    t = array((3, 3))
    same(fnets.jvp(polar_p.bind, (2 * np.eye(3),), (t,))[1], (t - t.T) / 4)
    same(fnets.jvp(sqrtm_p.bind, (4 * np.eye(3),), (t,))[1], t / 4, types=False)


def test_hessians():
    a = regular((3, 3), "float64")
    numeric = np.empty((3, 3, 3, 3))
    eps = 1e-5
    gradient = fnets.grad(lambda a: la.slogdet(a)[1])
    for i in range(3):
        for j in range(3):
            step = np.zeros((3, 3))
            step[i, j] = eps
            numeric[:, :, i, j] = (gradient(a + step) - gradient(a - step)) / (2 * eps)
    same(fnets.hessian(lambda a: la.slogdet(a)[1])(a), numeric, 1e-6)
    same(fnets.hessian(lambda a: fnp.log(la.det(a)))(a), numeric, 1e-6)


def test_lstsq_solves_differentiably():
    a, b, t = array((5, 3)), array(5), array((5, 3))
    eps = 1e-6
    f = lambda a: la.lstsq(a, b)[0]  # noqa: E731
    same(fnets.jvp(f, (a,), (t,))[1], (f(a + eps * t) - f(a - eps * t)) / (2 * eps), 1e-7)
    rows = fnets.jacrev(f)(a)
    same(np.tensordot(rows, t), fnets.jvp(f, (a,), (t,))[1])


# ------------------------------------------------------------------ transformations


@pytest.mark.parametrize(
    "f",
    [
        la.inv, la.det, la.svdvals, la.pinv, la.eigvalsh, lambda a: la.solve(a, a[0]), lambda a: la.cholesky(a @ a.T),
        lambda a: la.qr(a)[1], lambda a: lla.lu(a)[2], lambda a: la.norm(a, 2), lambda a: lla.qr(a, pivoting=True)[1],
        lambda a: la.matrix_rank(a), lambda a: la.lstsq(a, a[:, 0])[0], lambda a: la.cond(a, 1),
    ],
)  # fmt: skip
def test_jit_and_vmap(f):
    a = regular((5, 3, 3), "float64")
    same(fnets.jit(f)(a[0]), f(a[0]))
    for axis in range(3):
        same(fnets.vmap(f, axis)(np.moveaxis(a, 0, axis)), np.stack([f(x) for x in a]))


def test_one_matrix_for_a_batch_of_right_hand_sides_is_factored_once():
    a, b = regular((3, 3), "float64"), array((7, 3))
    jaxpr = fnets.make_jaxpr(fnets.vmap(lambda v: la.solve(a, v)))(b)
    assert "f64[3,7]" in str(jaxpr)
    same(fnets.vmap(lambda v: la.solve(a, v))(b), np.linalg.solve(a, b.T).T)


def test_numpys_own_functions_trace():
    a = regular((3, 3), "float64")
    for name in ("inv", "det", "norm", "cond", "pinv"):

        def loss(module, x, name=name):
            return fnp.sum(getattr(module, name)(x) ** 2)

        same(fnets.grad(loss, 1)(np.linalg, a), fnets.grad(loss, 1)(la, a))
    same(
        fnets.grad(lambda x: np.sum(np.linalg.eigh(x, "U")[0] ** 3))(a),
        fnets.grad(lambda x: fnp.sum(la.eigh(x, "U")[0] ** 3))(a),
    )
    same(fnets.grad(lambda x: np.linalg.slogdet(x)[1])(a), np.linalg.inv(a).T)


# ------------------------------------------------------------------ bad input

SINGULAR = np.ones((2, 2))
FAILING = [
    ("inv", la.inv, SINGULAR),
    ("solve", lambda a: la.solve(a, a), SINGULAR),
    ("cholesky", la.cholesky, -np.eye(2)),
    ("triangular_solve", lambda a: lla.triangular_solve(a, a, left_side=True), np.zeros((2, 2))),
    ("eig", la.eig, np.full((2, 2), np.inf)),
    ("svd", la.svd, np.full((2, 2), np.nan)),
]


@pytest.mark.parametrize("name, f, a", FAILING, ids=lambda v: v if isinstance(v, str) else "")
def test_failures_are_told(name, f, a):
    calls = [lambda: f(a), lambda: fnets.jit(f)(a), lambda: fnets.vmap(f)(np.stack([np.eye(2), a]))]
    for call in calls:
        with pytest.raises(la.LinAlgError, match=rf"(?s)\[{name}\] expected .*test_linalg.py") as caught:
            call()
        assert isinstance(caught.value, np.linalg.LinAlgError)


def test_the_failing_matrix_is_named():
    batch = np.stack([np.eye(2)] * 6).reshape(2, 3, 2, 2)
    batch[1, 0] = 0
    with pytest.raises(la.LinAlgError, match=r"matrix 1, 0 of the batch"):
        la.inv(batch)
    assert la.cond(np.zeros((2, 2)), 1) == np.inf
    same(la.cond(batch, 1)[0], np.ones(3))
    assert la.cond(batch, 1)[1, 0] == np.inf


BAD = [
    (lambda: la.inv(np.ones(3)), ShapeError, r"\[inv\] expected a matrix"),
    (lambda: la.inv(np.ones((2, 3))), ShapeError, "square"),
    (lambda: la.inv(np.ones((2, 2), np.float16)), DTypeError, "float16"),
    (lambda: la.solve(np.eye(2), np.ones((3, 1))), ShapeError, r"\(\.\.\., 2, k\)"),
    (lambda: la.solve(np.ones((2, 2, 2)), np.ones((3, 2, 1))), ShapeError, "broadcast"),
    (lambda: la.cholesky(np.ones((2, 3))), ShapeError, "square"),
    (lambda: la.eigh(np.eye(2), "X"), ArgumentError, "UPLO"),
    (lambda: la.qr(np.eye(2), "raw"), ArgumentError, "mode"),
    (lambda: la.svd(np.ones((2, 3)), subset_by_index=(0, 1)), ArgumentError, "full_matrices"),
    (lambda: la.norm(np.ones(3), "inf"), ArgumentError, "order"),
    (lambda: la.norm(np.eye(3), "max"), ArgumentError, "order"),
    (lambda: la.norm(np.eye(3), 3), ArgumentError, "order"),
    (lambda: la.norm(np.ones((2, 2, 2)), 2), ArgumentError, "axis="),
    (lambda: la.norm(np.ones((2, 2, 2)), axis=(0, 1, 2)), ArgumentError, "vector_norm"),
    (lambda: la.norm(np.ones((2, 2)), axis=(1, 1)), ArgumentError, "twice"),
    (lambda: la.matrix_power(np.ones((2, 3)), 2), ShapeError, "square"),
    (lambda: la.matrix_power(np.eye(2), 0.5), ArgumentError, "integer"),
    (lambda: la.multi_dot([np.eye(2)]), ArgumentError, "two arrays"),
    (lambda: la.multi_dot([np.eye(2), np.ones(2), np.eye(2)]), ShapeError, "ends"),
    (lambda: la.lstsq(np.eye(2), np.ones(3)), ShapeError, "vmap"),
    (lambda: la.tensorinv(np.ones((2, 3, 4))), ShapeError, "as many elements"),
    (lambda: la.tensorsolve(np.ones((2, 3, 4)), np.ones((2, 3))), ShapeError, "shape of b"),
    (lambda: la.cross(np.ones(2), np.ones(2)), ShapeError, "length 3"),
    (lambda: la.outer(np.eye(2), np.ones(2)), ShapeError, "two vectors"),
    (lambda: la.pinv(np.eye(2), 0.1, rcond=0.1), ArgumentError, "rtol and rcond"),
    (lambda: la.matrix_rank(np.eye(2), 0.1, tol=0.1), ArgumentError, "rtol and tol"),
    (lambda: la.cond(np.zeros((0, 0))), ArgumentError, "not empty"),
    (lambda: lla.triangular_solve(np.ones((2, 3)), np.ones((2, 1)), left_side=True), ShapeError, "square"),
    (lambda: lla.tridiagonal_solve(np.ones(3), np.ones(4), np.ones(3), np.ones((3, 1))), ShapeError, "dl, d and du"),
    (lambda: lla.householder_product(np.ones((3, 2)), np.ones(3)), ShapeError, "at most 2"),
    (lambda: lla.lu_pivots_to_permutation(np.ones(3), 3), DTypeError, "integers"),
    (lambda: lla.lu_pivots_to_permutation(np.array([0, 1, 2]), 2), ShapeError, "at least 3"),
    (lambda: fnets.grad(lambda a: fnp.sum(lla.hessenberg(a)[0]))(np.eye(3)), ArgumentError, "no derivative"),
]  # fmt: skip


@pytest.mark.parametrize("call, error, words", BAD)
def test_wrong_calls(call, error, words):
    with pytest.raises(error, match=words):
        call()
