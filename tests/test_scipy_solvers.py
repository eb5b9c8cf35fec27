"""`fnets.scipy`'s solvers and objects: sparse.linalg against dense solutions, optimize, spatial.transform and cluster.vq against golden
values of SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from golden.golden_io import load

import fnets
import fnets.numpy as fnp
from fnets.errors import ArgumentError, ShapeError
from fnets.lax import linalg as lax_linalg
from fnets.scipy import linalg, special
from fnets.scipy.cluster.vq import vq
from fnets.scipy.optimize import minimize
from fnets.scipy.sparse.linalg import bicgstab, cg, gmres
from fnets.scipy.spatial.transform import Rotation, Slerp

rng = np.random.default_rng(0)
CASES, ARRAYS = load("spatial")

# ------------------------------------------------------------------ linear systems

N = 12
SOLVERS = (cg, bicgstab, gmres)


def system(solver, dtype):
    a = rng.standard_normal((N, N)) + (1j * rng.standard_normal((N, N)) if dtype.startswith("c") else 0)
    a = a @ a.conj().T / N + np.eye(N) if solver is cg else a / 5 + 2 * np.eye(N)
    b = rng.standard_normal(N) + (1j * rng.standard_normal(N) if dtype.startswith("c") else 0)
    return a.astype(dtype), b.astype(dtype)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128"])
@pytest.mark.parametrize("preconditioned", [False, True])
def test_solves(solver, dtype, preconditioned):
    a, b = system(solver, dtype)
    m = np.linalg.inv(a + 0.2 * np.diag(np.diag(a))) if preconditioned else None
    x, info = solver(a, b, tol=1e-6, M=m)
    assert info is None
    assert x.dtype == dtype
    assert np.linalg.norm(a @ x - b) < 1e-5 * np.linalg.norm(b)
    again = fnets.jit(lambda a, b, x0: solver(lambda v: a @ v, b, x0, tol=1e-6, M=m)[0])(a, b, x)
    np.testing.assert_allclose(again, x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("preconditioned", [False, True])
def test_derivatives_are_those_of_the_solution(solver, preconditioned):
    a, b = system(solver, "float64")
    m = np.linalg.inv(a + 0.2 * np.diag(np.diag(a))) if preconditioned else None

    def loss(solve):
        return lambda a, b: fnp.sum(fnp.sin(solve(a, b)))

    ours, dense = loss(lambda a, b: solver(a, b, tol=1e-13, M=m)[0]), loss(fnp.linalg.solve)
    for got, expected in zip(fnets.grad(ours, (0, 1))(a, b), fnets.grad(dense, (0, 1))(a, b)):
        np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-9)
    direction = rng.standard_normal((N, N))
    direction += direction.T
    slopes = [fnets.jvp(f, (a, b), (direction, b))[1] for f in (ours, dense)]
    np.testing.assert_allclose(slopes[0], slopes[1], rtol=1e-8)
    np.testing.assert_allclose(fnets.jit(fnets.grad(ours, 1))(a, b), fnets.grad(dense, 1)(a, b), rtol=1e-8, atol=1e-9)
    rows = rng.standard_normal((3, N))
    many = fnets.vmap(lambda b: solver(a, b, tol=1e-12, M=m)[0])(rows)
    np.testing.assert_allclose(many @ a.T, rows, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_trees_and_odd_cases(solver):
    b = {"u": np.ones(2), "v": np.ones((2, 2), np.float32)}
    x, _ = solver(lambda t: {"u": 2 * t["u"], "v": 4 * t["v"]}, b)
    np.testing.assert_allclose(x["u"], 0.5)
    np.testing.assert_allclose(x["v"], 0.25, rtol=1e-6)
    assert x["v"].dtype == np.float32
    assert (solver(np.eye(3), np.zeros(3))[0] == 0).all()
    np.testing.assert_allclose(solver(np.eye(3), np.arange(3))[0], np.arange(3))
    assert (solver(np.diag([1.0, 2.0]), np.ones(2), maxiter=0)[0] == 0).all()
    with pytest.raises(ShapeError, match="square"):
        solver(np.ones((2, 3)), np.ones(3))
    with pytest.raises(ArgumentError, match="function or a square matrix"):
        solver(3.0, np.ones(3))
    with pytest.raises(ShapeError, match="x0"):
        solver(np.eye(2), np.ones(2), np.ones(3))
    with pytest.raises(ArgumentError, match="look like b"):
        solver(lambda x: (x, x), np.ones(2))


def test_gmres_restarts_and_breaks_down_luckily():
    turn = np.roll(np.eye(4), 1, 0)
    np.testing.assert_allclose(gmres(turn, np.arange(4.0))[0], [1, 2, 3, 0], atol=1e-12)
    a, b = system(gmres, "float64")
    x, _ = gmres(a, b, restart=3, tol=1e-10, solve_method="incremental")
    np.testing.assert_allclose(a @ x, b, rtol=1e-8)
    with pytest.raises(ArgumentError, match="solve_method"):
        gmres(a, b, solve_method="fast")


# ------------------------------------------------------------------ minima


def rosenbrock(x):
    return fnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def himmelblau(p):
    return (p[0] ** 2 + p[1] - 11) ** 2 + (p[0] + p[1] ** 2 - 7) ** 2


@pytest.mark.parametrize("name", ["rosenbrock_0", "himmelblau_0", "himmelblau_100"])
def test_minimize_finds_what_scipy_finds(name):
    f, x0, found = globals()[name.partition("_")[0]], ARRAYS[f"{name}_start"], ARRAYS[f"{name}_x"]
    ours = minimize(f, x0, method="BFGS", tol=1e-6)
    assert ours.success
    assert ours.status == 0
    np.testing.assert_allclose(ours.x, found, atol=1e-3)
    assert ours.fun <= f(found) + 1e-8
    assert np.abs(ours.jac).max() < 1e-6
    assert ours.nfev == ours.njev > ours.nit
    jitted = fnets.jit(lambda x: minimize(f, x, method="bfgs", tol=1e-6))(x0)
    np.testing.assert_allclose(jitted.x, ours.x, atol=1e-6)
    assert np.linalg.eigvalsh(ours.hess_inv).min() > 0


def test_minimize_under_vmap_and_with_arguments():
    starts = rng.standard_normal((3, 2))
    found = fnets.vmap(lambda x: minimize(rosenbrock, x, method="BFGS").x)(starts)
    np.testing.assert_allclose(found, 1, atol=1e-3)
    shifted = minimize(lambda x, c: fnp.sum((x - c) ** 2), np.zeros(2), (3.0,), method="BFGS")
    np.testing.assert_allclose(shifted.x, 3, atol=1e-5)
    short = minimize(rosenbrock, np.zeros(2), method="BFGS", options={"maxiter": 2})
    assert (short.nit, short.status, bool(short.success)) == (2, 1, False)
    assert minimize(rosenbrock, np.zeros(2, np.float32), method="BFGS").x.dtype == np.float32


def test_minimize_refuses_what_it_does_not_know():
    for call, error in (
        (lambda: minimize(rosenbrock, np.zeros(2), method="Newton"), "BFGS"),
        (lambda: minimize(rosenbrock, np.zeros(2), [1], method="BFGS"), "tuple"),
        (lambda: minimize(rosenbrock, np.zeros(2), method="BFGS", options={"gtoll": 1}), "gtoll"),
    ):
        with pytest.raises(ArgumentError, match=error):
            call()
    with pytest.raises(ShapeError, match="vector"):
        minimize(rosenbrock, np.zeros((2, 2)), method="BFGS")


# ------------------------------------------------------------------ rotations

QUATS = ARRAYS["quats"]
OURS = Rotation.from_quat(QUATS)


def close(a, b, tol=1e-12):
    np.testing.assert_allclose(a, b, rtol=tol, atol=tol)


def test_rotations_equal_scipys():
    close(OURS.as_matrix(), ARRAYS["matrix"])
    close(OURS.as_rotvec(), ARRAYS["rotvec"])
    close(OURS.as_rotvec(degrees=True), ARRAYS["rotvec_degrees"])
    close(OURS.as_mrp(), ARRAYS["mrp"])
    close(OURS.magnitude(), ARRAYS["magnitude"])
    close(OURS.as_quat(canonical=True, scalar_first=True), ARRAYS["canonical"])
    for made in (
        Rotation.from_matrix(ARRAYS["matrix"]),
        Rotation.from_rotvec(ARRAYS["rotvec_degrees"], degrees=True),
        Rotation.from_mrp(ARRAYS["mrp"]),
        OURS.inv().inv(),
        OURS * Rotation.identity(7),
    ):
        close(made.as_matrix(), ARRAYS["matrix"])
    close((OURS * Rotation.from_quat(ARRAYS["others"])).as_matrix(), ARRAYS["product"])
    v = ARRAYS["vectors"]
    close(OURS.apply(v), ARRAYS["applied"])
    close(OURS.apply(v[0], inverse=True), ARRAYS["applied_back"])
    close(OURS.mean(ARRAYS["weights"]).as_matrix(), ARRAYS["mean"], 1e-10)
    assert len(OURS) == 7
    assert len(OURS[2:4]) == 2
    assert Rotation.concatenate([OURS, OURS[0]]).quat.shape == (8, 4)
    assert Rotation.random(fnets.random.key(0)).single


@pytest.mark.parametrize("seq", [case["seq"] for case in CASES])
def test_euler_angles(seq):
    r = Rotation.from_euler(seq, ARRAYS[f"{seq}_angles"], degrees=True)
    close(r.as_matrix(), ARRAYS[f"{seq}_matrix"])
    if len(seq) == 3:
        close(OURS.as_euler(seq), ARRAYS[f"{seq}_euler"])
        r = Rotation.from_euler(seq, ARRAYS[f"{seq}_locked"], degrees=True)
        close(r.as_euler(seq, degrees=True), ARRAYS[f"{seq}_unlocked"], 1e-5)


def test_rotations_are_differentiable_also_at_zero():
    close(fnets.jacrev(lambda v: Rotation.from_rotvec(v).as_rotvec())(np.zeros(3)), np.eye(3))
    close(fnets.jacrev(lambda v: Rotation.from_rotvec(v).as_rotvec())(np.array([0.3, -1.0, 0.4])), np.eye(3))
    close(fnets.jacfwd(lambda a: Rotation.from_euler("XYZ", a).as_euler("XYZ"))(np.array([0.3, -1.0, 0.4])), np.eye(3))
    close(fnets.vmap(lambda q: Rotation.from_quat(q).as_euler("zxz"))(QUATS), OURS.as_euler("zxz"))


def test_slerp():
    times = np.arange(7.0)
    ours, at = Slerp.init(times, OURS), ARRAYS["slerp_at"]
    close(ours(at).as_matrix(), ARRAYS["slerp"])
    close(fnets.jit(lambda s, t: s(t).as_matrix())(ours, at), ARRAYS["slerp"])
    with pytest.raises(ArgumentError, match="at least two"):
        Slerp.init([0.0], OURS[0])
    with pytest.raises(ShapeError, match="one time"):
        Slerp.init(times[:3], OURS)


def test_wrong_rotations():
    for call in (lambda: Rotation.from_euler("xX", np.zeros(2)), lambda: Rotation.from_euler("xx", np.zeros(2))):
        with pytest.raises(ArgumentError, match="axes"):
            call()
    with pytest.raises(ShapeError, match="4"):
        Rotation.from_quat(np.zeros(3))
    with pytest.raises(TypeError, match="single"):
        len(Rotation.identity())


# ------------------------------------------------------------------ the nearest vectors


def test_vq():
    obs, codes = ARRAYS["obs"], ARRAYS["codes"]
    for name, args in {"vq": (obs, codes), "vq_line": (obs[:, 0], codes[:, 0])}.items():
        for f in (vq, fnets.jit(vq)):
            found, distances = f(*args)
            np.testing.assert_array_equal(found, ARRAYS[f"{name}_codes"])
            close(distances, ARRAYS[f"{name}_distances"])
    slopes = fnets.grad(lambda o: fnp.sum(vq(o, codes)[1]))(obs)
    close(np.linalg.norm(slopes, axis=1), np.ones(20))
    assert np.isfinite(fnets.grad(lambda o: fnp.sum(vq(o, codes)[1]))(codes)).all()
    with pytest.raises(ShapeError, match="code_book"):
        vq(obs, codes[:, :2])


# ------------------------------------------------------------------ Schur forms


def defective(n, seed=0):
    q = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    return q @ (np.diag(np.ones(n - 1), 1) + 2 * np.eye(n)) @ q.T


@pytest.mark.parametrize(
    "a",
    [rng.standard_normal((n, n)) for n in (1, 2, 3, 8, 30)]
    + [defective(8), defective(8).astype(complex), np.zeros((3, 3)), np.diag(np.ones(4), -1)]
    + [rng.standard_normal((2, 5, 5)) + 1j * rng.standard_normal((2, 5, 5)), np.kron(np.eye(2), [[0, 1.0], [-1, 0]])],
)
def test_schur_forms(a):
    t, z = lax_linalg.schur(a)
    assert t.dtype == z.dtype == a.dtype
    close(z @ t @ z.conj().swapaxes(-1, -2), a)
    close(z @ z.conj().swapaxes(-1, -2), np.broadcast_to(np.eye(a.shape[-1]), a.shape))
    assert not np.tril(t, -2 if a.dtype.kind == "f" else -1).any()
    below = np.diagonal(t, -1, -2, -1) != 0
    assert not (below[..., 1:] & below[..., :-1]).any()  # blocks of two at most
    same = np.diagonal(t, 0, -2, -1)
    assert (same[..., 1:] == same[..., :-1])[below].all()
    t, z = linalg.schur(a, "complex")
    assert t.dtype == np.complex128
    assert not np.tril(t, -1).any()
    if a.ndim == 2:
        t, z = linalg.rsf2csf(*linalg.schur(a))
        assert not np.tril(t, -1).any()
        close(z @ t @ z.conj().T, a.astype(complex))
    close(
        fnets.vmap(lambda a: lax_linalg.schur(a, compute_schur_vectors=False))(np.stack([a, a]))[1],
        lax_linalg.schur(a)[0],
    )


def test_schur_forms_have_no_derivative_and_roots_of_defective_matrices_exist():
    with pytest.raises(ArgumentError, match="Schur"):
        fnets.grad(lambda a: fnp.sum(lax_linalg.schur(a)[0]))(np.eye(2))
    with pytest.raises(ArgumentError, match="output"):
        linalg.schur(np.eye(2), "other")
    assert np.isnan(lax_linalg.schur(np.full((2, 2), np.nan))[0]).all()
    root = linalg.sqrtm(defective(8))
    close(root @ root, defective(8).astype(complex))


# ------------------------------------------------------------------ special functions, far out


def test_special_functions_at_the_ends():
    inf, nan = np.inf, np.nan
    x = np.array([inf, -inf, nan])
    np.testing.assert_array_equal(special.erfcx(x), [0, inf, nan])
    np.testing.assert_array_equal(special.dawsn(x), [0, 0, nan])
    np.testing.assert_array_equal(special.fresnel(x), [[0.5, -0.5, nan]] * 2)
    np.testing.assert_array_equal(special.sici(x), [[np.pi / 2, -np.pi / 2, nan], [0, nan, nan]])
    np.testing.assert_array_equal(special.wofz(np.array([inf, 1e200])).imag, [0, 1 / np.sqrt(np.pi) / 1e200])
    assert special.hyp1f1(0.0, 0.0, 2.0) == 1
    assert special.hyp1f1(1.0, 0.0, 2.0) == inf
    assert special.hyp2f1(1.0, 2.0, 2.5, 1.0) == special.hyp2f1(1.0, 2.0, 9.0, 2.0) == inf
    assert special.hyp2f1(1.0, 2.0, -1.0, 0.5) == inf
    assert special.sph_harm_y(1, 2, 0.3, 0.2).tolist() == [0]
    with pytest.raises(ArgumentError, match="diff_n"):
        special.sph_harm_y(1, 1, 0.3, 0.2, 1)


def test_real_functions_of_wofz_have_real_slopes():
    slope = fnets.grad(lambda x: special.wofz(x).imag)(np.float64(0.5))
    assert isinstance(slope, np.floating)
    step = (special.wofz(np.float64(0.5 + 1e-6)) - special.wofz(np.float64(0.5 - 1e-6))).imag / 2e-6
    close(slope, step, 1e-8)
