"""`fnets.scipy` against SciPy's values; dtypes, jit, derivatives against finite differences; objects; wrong calls."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import numpy as np
import pytest
from golden.golden_io import load

import fnets
import fnets.numpy as fnp
import fnets.scipy
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.numpy.linalg import LinAlgError
from fnets.scipy import fft, interpolate, linalg, ndimage, signal, special, stats
from fnets.scipy.stats.base import Distribution

CASES, ARRAYS = load("scipy")
rng = np.random.default_rng(0)

# relative tolerances above 1e-12, with the reason
LOOSE = {
    "gamma": 1e-11, "rgamma": 1e-11, "factorial": 1e-11, "beta": 1e-11, "poch": 1e-10, "binom": 1e-11,  # exponentials of logarithms
    "poisson.entropy": 1e-10,  # SciPy's sum stops early
    "hyp1f1": 1e-11, "hyp2f1": 1e-11, "rsf2csf": 1e-11, "wofz": 1e-11, "erfcx": 1e-11,  # SciPy's own errors
    "comb": 1e-11, "expn": 1e-11, "jn": 1e-10, "yn": 1e-10, "jv": 1e-10,
    "invhilbert": 1e-12, "solve_sylvester": 1e-9, "polar": 1e-10, "expm_frechet": 1e-10, "eigh": 1e-10,
    "nbinom.logpmf": 1e-11, "binom.logpmf": 1e-11, "truncnorm.sf": 1e-10, "truncnorm.cdf": 1e-10, "truncnorm.logsf": 1e-9, "truncnorm.logcdf": 1e-9,
}  # fmt: skip
DEFAULT = {"hilbert", "invhilbert", "pascal", "invpascal", "dft", "helmert", "bernoulli"}  # made in the default float


def ids(case) -> str:
    return f"{case['module']}-{case['name']}"


def lookup(case):
    home = importlib.import_module(f"fnets.scipy.{case['module']}")
    for part in case["name"].split("."):
        home = getattr(home, part)
    return home


def plain(v):
    if isinstance(v, str) and v.startswith("@"):
        return ARRAYS[v[1:]]
    return list(v) if isinstance(v, tuple) else v


def call_of(case) -> tuple:
    return tuple([plain(v) for v in case["args"]]), {k: plain(v) for k, v in case["options"].items()}


def outputs(value) -> list:
    return [np.asarray(v) for v in value] if isinstance(value, (tuple, list)) else [np.asarray(value)]


def close(got, expected, tol: float) -> None:
    assert got.shape == expected.shape
    finite = np.isfinite(expected)
    scale = np.abs(expected[finite]).max(initial=0)
    np.testing.assert_allclose(got, expected, rtol=tol, atol=tol * min(scale, 1.0))


@pytest.mark.parametrize("i", range(len(CASES)), ids=lambda i: f"{ids(CASES[i])}-{i}")
def test_equals_scipy(i: int):
    case = CASES[i]
    args, options = call_of(case)
    with fnets.default_dtype("float64"):
        got = outputs(lookup(case)(*args, **options))
    assert len(got) == case["values"]
    for j, g in enumerate(got):
        expected = ARRAYS[f"{i}_{j}"]
        if case["name"] == "solve_sylvester":
            assert g.dtype == expected.dtype
        close(g, expected, LOOSE.get(case["name"], 1e-12))


def first_of_each() -> list[int]:
    seen: dict[str, int] = {}
    for i, case in enumerate(CASES):
        seen.setdefault(ids(case), i)
    return list(seen.values())


def float_positions(args) -> list[int]:
    return [j for j, a in enumerate(args) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]


@pytest.mark.parametrize("i", first_of_each(), ids=lambda i: ids(CASES[i]))
def test_jit_and_single_precision(i: int):
    case = CASES[i]
    args, options = call_of(case)
    positions = [j for j, a in enumerate(args) if isinstance(a, np.ndarray)]
    if not positions:
        pytest.skip("no array arguments")

    def f(*arrays):
        full = list(args)
        for j, a in zip(positions, arrays):
            full[j] = a
        return lookup(case)(*full, **options)

    arrays = [args[j] for j in positions]
    with np.errstate(all="ignore"):
        for a, b in zip(outputs(fnets.jit(f)(*arrays)), outputs(f(*arrays))):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)
        single = [a.astype(np.float32) if a.dtype == np.float64 else a for a in arrays]
        if all(a.dtype == np.float32 for a in single):
            for a in outputs(f(*single)):
                assert a.dtype in (np.float32, np.complex64) or a.dtype.kind in "ib"


DISCONTINUOUS = {"rankdata", "mode", "gammasgn", "hessenberg", "lu_factor", "qr"}
# where the derivative is not known, or the argument an integer
NOT_IN = {
    "betainc": (0, 1), "zeta": (0,), "polygamma": (0,), "t.cdf": (1,), "t.sf": (1,), "t.logcdf": (1,), "t.logsf": (1,), "multinomial.logpmf": (1,),
    "multinomial.pmf": (1,), "dirichlet.logpdf": (0,), "dirichlet.pdf": (0,), "binom.cdf": (1, 2), "nbinom.cdf": (1, 2), "binom.sf": (1, 2),
    "nbinom.sf": (1, 2), "binom.logpmf": (1,), "binom.pmf": (1,), "betabinom.logpmf": (1,), "betabinom.pmf": (1,), "multigammaln": (1,),
} | {f"beta.{f}": (1, 2) for f in ("cdf", "sf", "logcdf", "logsf")}  # fmt: skip


COUNTED = ("bernoulli", "binom", "geom", "nbinom", "poisson", "betabinom", "multinomial")


def differentiable_arguments(case, args) -> list[int]:
    """Positions of float arrays, and of distributions' float parameters."""
    law = case["module"] == "stats" and "." in case["name"]
    counted = law and case["name"].split(".")[0] in COUNTED and case["name"] != "poisson.entropy"
    skip = {*NOT_IN.get(case["name"], ()), *([0] if counted else [])}
    kinds = (np.ndarray, float) if law else (np.ndarray,)
    return [j for j, a in enumerate(args) if isinstance(a, kinds) and np.asarray(a).dtype.kind == "f" and j not in skip]


@pytest.mark.parametrize("i", first_of_each(), ids=lambda i: ids(CASES[i]))
def test_derivatives(i: int):
    """Forward and reverse mode along a direction against central differences, where left and right differences agree."""
    case = CASES[i]
    args, options = call_of(case)
    positions = differentiable_arguments(case, args)
    if case["name"] in DISCONTINUOUS or not positions:
        pytest.skip("no derivative")
    f = lookup(case)

    def g(*arrays):
        full = list(args)
        for j, a in zip(positions, arrays):
            full[j] = a
        out = f(*full, **options)
        return list(out) if isinstance(out, (tuple, list)) else [out]

    arrays = [np.asarray(args[j]) for j in positions]
    eps = 1e-6
    tangents = [rng.standard_normal(a.shape) * np.where(np.isfinite(a), np.minimum(np.abs(a), 1), 0) for a in arrays]
    with np.errstate(all="ignore"):
        up, down = (outputs(g(*[a + s * eps * t for a, t in zip(arrays, tangents)])) for s in (1, -1))
        outs, slopes = fnets.jvp(g, tuple(arrays), tuple(tangents))
        compared = 0
        for u, d, o, s in zip(up, down, outputs(outs), outputs(slopes)):
            if o.dtype.kind not in "fc":
                continue
            s = np.where(u == d, 0, s)  # an infinite slope times a zero step, at the end of a support
            numeric = (u - d) / (2 * eps)
            smooth = np.isfinite(numeric) & np.isfinite(o) & (np.abs(o) < 1e8) & (np.abs(numeric) < 1e6)
            smooth &= np.abs(u - 2 * o + d) <= 1e-3 * np.abs(u - d) + 1e-9 * np.maximum(1, np.abs(o))
            scale = max(1.0, np.abs(o[smooth]).max(initial=0))
            compared += smooth.sum()
            np.testing.assert_allclose(s[smooth], numeric[smooth], rtol=2e-4, atol=2e-7 * scale)
        assert compared
        finite = all(np.isfinite(s).all() for s in outputs(slopes))
        if finite and all(o.dtype.kind in "fc" for o in outputs(outs)):
            cts = [rng.standard_normal(o.shape).astype(o.dtype) for o in outputs(outs)]
            pulled = fnets.vjp(g, *arrays)[1](cts)
            left = sum(np.sum(c * s) for c, s in zip(cts, outputs(slopes)))
            right = sum(np.sum(p * t) for p, t in zip(pulled, tangents))
            np.testing.assert_allclose(np.real(left), np.real(right), rtol=1e-7, atol=1e-9)


# ------------------------------------------------------------------ special functions


def test_special_functions_have_the_dtypes_of_numpy():
    assert special.gammaln(np.float32(3)).dtype == np.float32
    assert special.gammaln(np.arange(1, 4)).dtype == np.float64
    assert isinstance(special.gammaln(3.0), float)
    assert special.xlogy(2.0, np.float32(3)).dtype == np.float32
    assert special.betainc(1.0, 2.0, np.float32(0.5)).dtype == np.float32
    assert special.i0([1.0, 2.0]).shape == (2,)


def test_derivatives_at_the_edges():
    assert fnets.grad(special.i1)(0.0) == 0.5
    assert fnets.grad(special.j1)(0.0) == 0.5
    assert fnets.grad(special.xlogy)(0.0, 0.5) == pytest.approx(np.log(0.5))
    assert fnets.grad(special.spence)(1.0) == -1.0
    assert fnets.grad(special.boxcox)(2.0, 0.0) == 0.5
    assert fnets.grad(lambda x: special.logsumexp(x, b=np.array([1.0, 0.0])))(np.zeros(2)).tolist() == [1.0, 0.0]
    assert fnets.grad(lambda x: special.logsumexp(x))(np.array([-np.inf, 0.0])).tolist() == [0.0, 1.0]


def test_what_has_no_derivative_says_so():
    with pytest.raises(ArgumentError, match="closed form"):
        fnets.grad(special.betainc)(1.0, 2.0, 0.5)
    with pytest.raises(ArgumentError, match="closed form"):
        fnets.grad(fnets.grad(special.gammainc))(1.0, 2.0)
    assert np.isfinite(fnets.grad(fnets.grad(special.gammainc), 1)(1.0, 2.0))


def test_logsumexp_of_what_is_left_out():
    x = np.array([1.0, 2.0, 3.0])
    mask = np.array([True, False, True])
    close(outputs(special.logsumexp(x, where=mask))[0], np.asarray(special.logsumexp(x[mask])), 1e-14)
    assert special.logsumexp(np.array([-np.inf, -np.inf])) == -np.inf
    assert special.logsumexp(np.array([np.inf, 1.0])) == np.inf
    assert np.isnan(special.logsumexp(np.array([0.0, 0.0]), b=np.array([1.0, -3.0])))


def test_bessel_functions_of_several_orders():
    z = np.array([0.5, 3.0])
    close(special.bessel_jn(z, v=3), np.stack([special.jn(n, z) for n in range(4)]), 1e-14)


# ------------------------------------------------------------------ stats


def test_distributions_are_consistent():
    for name in stats.__all__:
        law = getattr(stats, name)
        if not isinstance(law, Distribution) or not hasattr(law, "ppf"):
            continue
        shapes = next(plain(v) for c in CASES if c["name"] == f"{name}.ppf" for v in [c["args"][1:]])
        q = np.array([0.05, 0.3, 0.8])
        if name == "bernoulli":
            continue
        x = law.ppf(q, *shapes, loc=0.3, scale=1.7)
        np.testing.assert_allclose(law.cdf(x, *shapes, loc=0.3, scale=1.7), q, rtol=1e-9)
        np.testing.assert_allclose(law.sf(law.isf(q, *shapes), *shapes), q, rtol=1e-9)
        slope = fnets.vmap(fnets.grad(lambda x: law.cdf(x, *shapes, loc=0.3, scale=1.7)))(x)  # noqa: B023
        np.testing.assert_allclose(slope, law.pdf(x, *shapes, loc=0.3, scale=1.7), rtol=1e-8)


def test_outside_of_the_support_derivatives_are_zero():
    for law, args in (
        (stats.gamma, (2.0,)),
        (stats.beta, (2.0, 3.0)),
        (stats.expon, ()),
        (stats.pareto, (2.0,)),
        (stats.uniform, ()),
    ):
        for function in (law.logpdf, law.pdf, law.cdf, law.sf):
            assert fnets.grad(function)(-3.0, *args) == 0.0

        def total(scale, law=law, args=args):
            return fnp.sum(law.pdf(np.array([-1.0, 0.5, 1.5]), *[v * scale for v in args], 0.0, scale))

        assert np.isfinite(fnets.grad(total)(1.0))


def test_distributions_keep_nan_and_single_precision():
    assert np.isnan(stats.norm.logpdf(np.nan))
    assert np.isnan(stats.gamma.cdf(np.array([np.nan]), 2.0)).all()
    assert stats.norm.logpdf(np.float32(1)).dtype == np.float32
    assert stats.gamma.logpdf(np.float32(1), 2.0, loc=0.5).dtype == np.float32


def test_signatures_and_wrong_arguments():
    assert str(inspect.signature(stats.gamma.logpdf)) == "(x, a, loc=0, scale=1)"
    assert str(inspect.signature(stats.poisson.pmf)) == "(k, mu, loc=0)"
    assert stats.norm.pdf.__doc__.startswith("Density of the normal law")
    assert stats.gamma.pdf(1.0, a=2.0, scale=3.0) == pytest.approx(stats.gamma.pdf(1.0, 2.0, 0, 3.0))
    for call in (
        lambda: stats.gamma.pdf(1.0),
        lambda: stats.norm.pdf(1.0, 2.0, 3.0, 4.0),
        lambda: stats.norm.pdf(1.0, mu=2.0),
        lambda: stats.norm.pdf(1.0, 0.0, loc=2.0),
    ):
        with pytest.raises(ArgumentError, match=r"\[(gamma|norm).pdf\] expected"):
            call()
    assert not hasattr(stats.vonmises, "cdf")


def test_gaussian_kde():
    data, points = ARRAYS["kde_data"], ARRAYS["kde_points"]
    kde = stats.gaussian_kde(data, weights=np.arange(1.0, 13.0))
    close(kde.pdf(points), ARRAYS["kde_pdf"], 1e-11)
    close(kde(points), ARRAYS["kde_pdf"], 1e-11)
    close(kde.logpdf(points), ARRAYS["kde_logpdf"], 1e-11)
    close(kde.covariance, ARRAYS["kde_covariance"], 1e-11)
    close(
        np.asarray(kde.integrate_gaussian(np.array([0.3, -0.2]), np.array([[1.0, 0.2], [0.2, 0.5]]))),
        ARRAYS["kde_gaussian"],
        1e-11,
    )
    other = stats.gaussian_kde(data[:, :5] + 1, "silverman")
    close(other.evaluate(points), ARRAYS["kde_other"], 1e-11)
    close(np.asarray(kde.integrate_kde(other)), ARRAYS["kde_kde"], 1e-11)
    line = stats.gaussian_kde(data[0], 0.4)
    close(line.pdf(points[0]), ARRAYS["kde_line"], 1e-11)
    close(np.asarray(line.integrate_box_1d(-0.5, 1.0)), ARRAYS["kde_box"], 1e-11)
    close(fnets.jit(lambda k, p: k.pdf(p))(kde, points), ARRAYS["kde_pdf"], 1e-11)
    assert np.isfinite(fnets.grad(lambda p: fnp.sum(kde.logpdf(p)))(points)).all()
    drawn = kde.resample(fnets.random.key(0), (2000,))
    assert drawn.shape == (2, 2000)
    mean = data @ np.arange(1.0, 13.0) / 78
    np.testing.assert_allclose(drawn.mean(1), mean, atol=0.12)
    for bad in (
        lambda: stats.gaussian_kde(np.ones((2, 1))),
        lambda: kde.pdf(np.ones((3, 2))),
        lambda: kde.integrate_box_1d(0, 1),
    ):
        with pytest.raises(ShapeError):
            bad()


# ------------------------------------------------------------------ linear algebra, signals, images


def test_factors_solve():
    a, b = rng.standard_normal((2, 4, 4)), rng.standard_normal((4, 3))
    z = a + 1j * rng.standard_normal((2, 4, 4))
    for m in (a, z):
        factors = linalg.lu_factor(m)
        for trans, op in ((0, m), (1, m.swapaxes(1, 2)), (2, m.conj().swapaxes(1, 2))):
            close(op @ linalg.lu_solve(factors, b, trans), np.broadcast_to(b, (2, 4, 3)).astype(m.dtype), 1e-11)
        close(m[0] @ linalg.lu_solve(linalg.lu_factor(m[0]), b[:, 0]), b[:, 0].astype(m.dtype), 1e-11)
        p = m @ m.conj().swapaxes(1, 2) + np.eye(4)
        for lower in (False, True):
            close(
                p @ linalg.cho_solve(linalg.cho_factor(p, lower), b),
                np.broadcast_to(b, (2, 4, 3)).astype(m.dtype),
                1e-11,
            )
        p_, l_, u_ = linalg.lu(m)
        close(p_ @ l_ @ u_, m, 1e-12)
        first, second = linalg.lu(m, permute_l=True)
        close(first @ second, m, 1e-12)


def test_generalised_eigenvectors():
    a, b = rng.standard_normal((4, 4)), rng.standard_normal((4, 4))
    a, b = a + a.T, b @ b.T + np.eye(4)
    w, v = linalg.eigh(a, b)
    close(a @ v, b @ v * w, 1e-10)
    w, v = linalg.eigh(a, b, type=2)
    close(a @ b @ v, v * w, 1e-10)
    w, v = linalg.eigh(a, b, type=3)
    close(b @ a @ v, v * w, 1e-10)
    w, v = linalg.eigh_tridiagonal(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.6]), select="i", select_range=(0, 1))
    assert w.shape == (2,)
    assert v.shape == (3, 2)


def test_functions_of_matrices():
    a = rng.standard_normal((3, 3))
    close(linalg.funm(a, np.exp).real, linalg.expm(a), 1e-10)
    value, error = linalg.funm(a, np.exp, disp=False)
    assert error < 1e-10
    root = linalg.sqrtm(a)
    close(root @ root, a.astype(complex), 1e-10)
    h, q = linalg.hessenberg(np.stack([a, a.T]), calc_q=True)
    close(q @ h @ q.swapaxes(1, 2), np.stack([a, a.T]), 1e-12)
    assert linalg.hessenberg(np.ones((1, 1)), calc_q=True)[1].shape == (1, 1)
    x = linalg.qr_multiply(a, a[0])
    close(np.abs(x[0]), np.abs(a[0] @ np.linalg.qr(a)[0]), 1e-12)
    close(
        np.abs(linalg.qr_multiply(a, a[:, 0], "left", pivoting=True)[0]),
        np.abs(linalg.qr(a, pivoting=True)[0] @ a[:, 0]),
        1e-12,
    )


def test_special_matrices_have_batches_and_derivatives():
    a = rng.standard_normal((2, 3, 4))
    for f in (
        linalg.toeplitz,
        linalg.hankel,
        linalg.circulant,
        linalg.companion,
        linalg.fiedler,
        linalg.fiedler_companion,
        lambda v: linalg.convolution_matrix(v, 3),
    ):
        close(f(a), np.stack([[f(v) for v in row] for row in a]), 1e-14)
        grad = fnets.grad(lambda v: fnp.sum(f(v) ** 2))(a[0, 0])  # noqa: B023
        assert grad.shape == (4,)
    close(linalg.leslie(a, a[..., :3]), np.stack([[linalg.leslie(v, v[:3]) for v in row] for row in a]), 1e-14)
    with fnets.default_dtype("float64"):
        close(linalg.hilbert(6) @ linalg.invhilbert(6), np.eye(6), 1e-8)
        close(linalg.pascal(6) @ linalg.invpascal(6), np.eye(6), 1e-8)
    assert linalg.hilbert(2).dtype == np.float32
    assert linalg.dft(3).dtype == np.complex64


def test_map_coordinates_beyond_the_edges():
    x = np.arange(4.0)
    at = [np.array([-0.5, -1.0, 0.5, 3.5, 4.0])]
    close(ndimage.map_coordinates(x, at, 1, cval=10.0), np.array([5.0, 10.0, 0.5, 6.5, 10.0]), 1e-14)
    close(ndimage.map_coordinates(x, at, 0, cval=10.0), np.array([10.0, 10.0, 1.0, 10.0, 10.0]), 1e-14)
    assert ndimage.map_coordinates(np.arange(4), at, 1).dtype == np.int64
    gradient = fnets.grad(lambda c: fnp.sum(ndimage.map_coordinates(x**2, [c], 1)))(np.array([0.5, 1.5, 2.2]))
    close(gradient, np.array([1.0, 3.0, 5.0]), 1e-12)
    gradient = fnets.grad(lambda x: fnp.sum(ndimage.map_coordinates(x, [np.array([0.25])], 1)))(x)
    close(gradient, np.array([0.75, 0.25, 0.0, 0.0]), 1e-14)


@pytest.mark.parametrize("method", ["linear", "nearest"])
@pytest.mark.parametrize("fill", [np.nan, None, 7.0])
def test_grid_interpolation(method, fill):
    grid = [ARRAYS["grid0"], ARRAYS["grid1"]]
    f = interpolate.RegularGridInterpolator(grid, ARRAYS["grid_values"], method, fill_value=fill)
    close(f(ARRAYS["grid_targets"]), ARRAYS[f"grid_{method}_{fill}"], 1e-12)
    close(fnets.jit(f)(ARRAYS["grid_targets"]), ARRAYS[f"grid_{method}_{fill}"], 1e-12)


def test_grid_interpolation_is_differentiable():
    grid = [np.array([0.0, 1.0, 3.0])]
    f = lambda values, x: fnp.sum(interpolate.RegularGridInterpolator(grid, values)(x))  # noqa: E731
    values, x = np.array([0.0, 1.0, 5.0]), np.array([[0.5], [2.0]])
    close(fnets.grad(f)(values, x), np.array([0.5, 1.0, 0.5]), 1e-14)
    close(fnets.grad(f, 1)(values, x), np.array([[1.0], [2.0]]), 1e-14)
    g = interpolate.RegularGridInterpolator(
        [np.arange(3.0), np.arange(2.0)], np.arange(6.0).reshape(3, 2), bounds_error=True
    )
    close(g((np.array([0.5, 1.0]), np.array([0.5, 1.0]))), np.array([1.5, 3.0]), 1e-14)
    with pytest.raises(ArgumentError, match="inside of the grid"):
        g(np.array([[5.0, 0.5]]))


def test_cosine_transforms_invert():
    x = rng.standard_normal((3, 5, 4))
    for norm in (None, "ortho"):
        close(fft.idct(fft.dct(x, norm=norm, axis=1), norm=norm, axis=1), x, 1e-12)
        close(fft.idctn(fft.dctn(x, norm=norm), norm=norm), x, 1e-12)
    gradient = fnets.grad(lambda x: fnp.sum(fft.dctn(x, norm="ortho") ** 2))(x)
    close(gradient, 2 * x, 1e-12)
    assert fft.fft is fnp.fft.fft


# ------------------------------------------------------------------ the package


def test_scipy_is_not_imported():
    code = (
        "import sys, fnets, fnets.scipy as s; assert 'fnets.scipy.stats' not in sys.modules; "
        "[getattr(s, n) for n in s.__all__]; assert not [m for m in sys.modules if m == 'scipy' or m.startswith('scipy.')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_enough_of_each():
    assert len(special.__all__) >= 50
    assert len([n for n in stats.__all__ if isinstance(getattr(stats, n), Distribution)]) >= 25
    for module in (special, stats, linalg, signal, fft, ndimage, interpolate):
        for name in module.__all__:
            assert getattr(module, name).__doc__, name


BAD = [
    (lambda: special.factorial(3, exact=True), ArgumentError, "math.factorial"),
    (lambda: special.comb(3, 2, exact=True), ArgumentError, "math.comb"),
    (lambda: stats.rankdata(np.ones(3), "best"), ArgumentError, "method"),
    (lambda: stats.mode(np.ones(3), nan_policy="omit"), ArgumentError, "nan_policy"),
    (lambda: stats.mode(np.ones(0)), ArgumentError, "at least one element"),
    (lambda: stats.multivariate_normal.logpdf(np.ones(2), np.ones(2), np.eye(3)), ShapeError, "covariance"),
    (lambda: stats.multivariate_normal.logpdf(np.ones(2), np.ones(2), -np.eye(2)), LinAlgError, "positive definite"),
    (lambda: stats.dirichlet.logpdf(np.ones(4), np.ones(2)), ShapeError, "points"),
    (lambda: linalg.solve(np.eye(2), np.ones(2), assume_a="odd"), ArgumentError, "assume_a"),
    (lambda: linalg.solve_triangular(np.eye(2), np.ones(2), trans=3), ArgumentError, "trans"),
    (lambda: linalg.qr(np.eye(2), mode="raw"), ArgumentError, "mode"),
    (lambda: linalg.polar(np.eye(2), "top"), ArgumentError, "side"),
    (lambda: linalg.eigh(np.eye(2), eigvals=(0, 1)), ArgumentError, "eigvals"),
    (lambda: linalg.companion(np.ones(1)), ArgumentError, "at least 2"),
    (lambda: linalg.leslie(np.ones(3), np.ones(3)), ShapeError, "one fewer"),
    (lambda: linalg.convolution_matrix(np.ones(3), 0), ArgumentError, "positive"),
    (lambda: linalg.convolution_matrix(np.ones(3), 2, "best"), ArgumentError, "mode"),
    (lambda: linalg.hadamard(3), ArgumentError, "power of 2"),
    (lambda: linalg.helmert(0), ArgumentError, "at least 1"),
    (lambda: linalg.dft(3, "half"), ArgumentError, "scale"),
    (lambda: linalg.dft(3, dtype="float32"), DTypeError, "complex"),
    (lambda: linalg.invpascal(3, "left"), ArgumentError, "kind"),
    (lambda: linalg.block_diag(np.ones((2, 2, 2))), ShapeError, "vmap"),
    (lambda: linalg.solve_sylvester(np.eye(2), -np.eye(2), np.eye(2)), LinAlgError, "in common"),
    (lambda: signal.convolve(np.ones(3), np.ones((2, 2))), ShapeError, "as many axes"),
    (lambda: signal.convolve(np.ones(3), np.ones(2), "half"), ArgumentError, "mode"),
    (lambda: signal.convolve(np.ones((3, 1)), np.ones((1, 3)), "valid"), ShapeError, "at least as long"),
    (lambda: signal.convolve(np.ones(3), np.ones(2), method="magic"), ArgumentError, "method"),
    (lambda: signal.convolve2d(np.ones((3, 3)), np.ones((2, 2)), boundary="odd"), ArgumentError, "boundary"),
    (lambda: signal.detrend(np.ones(3), type="cubic"), ArgumentError, "type"),
    (lambda: signal.detrend(np.ones(3), bp=9), ArgumentError, "break points"),
    (lambda: ndimage.map_coordinates(np.ones(3), [np.ones(2)], 3), ArgumentError, "order"),
    (lambda: ndimage.map_coordinates(np.ones(3), [np.ones(2)] * 2, 1), ShapeError, "coordinates"),
    (lambda: ndimage.map_coordinates(np.ones(3), [np.ones(2)], 1, "odd"), ArgumentError, "mode"),
    (lambda: interpolate.RegularGridInterpolator([np.ones(3)], np.ones(3)), ArgumentError, "increase or decrease"),
    (lambda: interpolate.RegularGridInterpolator([np.arange(2.0)], np.ones(3)), ShapeError, "expected 3 points"),
    (lambda: interpolate.RegularGridInterpolator([np.arange(3.0)], np.ones(3), "cubic"), ArgumentError, "method"),
    (lambda: fft.dct(np.ones(3), 1), ArgumentError, "type"),
    (lambda: fft.dct(np.ones(3), norm="forward"), ArgumentError, "norm"),
    (lambda: fft.dct(np.ones(3) * 1j), DTypeError, "real"),
]  # fmt: skip


@pytest.mark.parametrize("call, error, words", BAD)
def test_wrong_calls(call, error, words):
    with pytest.raises(error, match=words):
        call()
