"""Golden values for fnets.scipy (scipy.npz) from SciPy, and from JAX where SciPy has another convention. Needs the `bench` extra."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.fft
import scipy.integrate
import scipy.interpolate
import scipy.linalg
import scipy.ndimage
import scipy.signal
import scipy.special
import scipy.stats
from golden_io import encode, save

rng = np.random.default_rng(0)
inf, nan = np.inf, np.nan

REAL = np.array([-40.0, -7.3, -2.5, -1.0, -0.3, 0.0, 1e-8, 0.2, 1.0, 1.7, 2.0, 5.5, 12.0, 30.0])
POSITIVE = np.array([1e-6, 0.1, 0.5, 1.0, 1.5, 2.0, 3.7, 10.0, 60.0, 150.0])
UNIT = np.array([0.0, 1e-10, 1e-3, 0.1, 0.3, 0.5, 0.75, 0.999, 1.0])
INSIDE = UNIT[1:-1]
WIDE = np.array([-0.5, *UNIT, 1.5])
COUNTS = np.array([-1.0, 0.0, 1.0, 2.0, 2.5, 5.0, 10.0, 40.0])


def special_cases() -> Iterator[tuple]:
    """(name, arguments, options, SciPy's name if another)."""
    for name in ("gammaln", "gamma", "gammasgn", "rgamma", "digamma", "psi"):
        yield name, (np.concatenate([REAL[REAL != 0] + 0.25, POSITIVE]),), {}
    yield "loggamma", (POSITIVE,), {}
    for name in ("erf", "erfc", "ndtr", "log_ndtr", "expit", "log_expit", "i0e", "i1e", "j0", "j1", "entr", "expi"):
        yield name, (REAL,), {}
    for name in ("i0", "i1"):
        yield name, (REAL,), {}
    for name in ("y0", "y1", "exp1", "spence", "factorial"):
        yield name, (POSITIVE[:-1],), {}
    yield "erfinv", (2 * INSIDE - 1,), {}
    yield "erfcinv", (2 * INSIDE,), {}
    for name in ("logit", "ndtri"):
        yield name, (INSIDE,), {}
    grid = np.meshgrid([0.1, 1.0, 2.5, 20.0, 100.0], [1e-3, 0.5, 1.0, 3.0, 21.0, 90.0])
    for name in ("gammainc", "gammaincc", "beta", "betaln", "poch", "xlogy", "xlog1py", "rel_entr", "kl_div"):
        yield name, tuple(grid), {}
    for name in ("rel_entr", "kl_div", "xlogy"):
        yield name, (np.array([0.0, 0.0, 1.0, -1.0, 1.0]), np.array([0.0, 1.0, 0.0, 1.0, -1.0])), {}
    yield "betainc", (np.array([0.5, 2.0, 30.0])[:, None], np.array([1.5, 4.0, 3.0])[:, None], UNIT), {}
    yield "polygamma", (np.array([0, 1, 2, 5])[:, None], POSITIVE), {}
    yield "zeta", (np.array([1.5, 2.0, 4.0])[:, None], POSITIVE), {}
    yield "multigammaln", (POSITIVE[3:] + 2, 3), {}
    yield "comb", (np.array([5, 10, 3, 20, -1]), np.array([2, 0, 5, 10, 1])), {}
    yield "comb", (np.array([5, 10, 3]), np.array([2, 3, 5])), {"repetition": True}
    yield "binom", (np.array([5.0, 2.5]), np.array([2.0, 1.5])), {}
    yield "binom", (np.array([7.0, 4.0]), np.array([9.0, -1.0])), {}
    yield "boxcox", (POSITIVE, np.array([[0.0], [0.5], [-1.0], [2.0]])), {}
    yield "boxcox1p", (POSITIVE, np.array([[0.0], [0.5], [-1.0], [2.0]])), {}
    yield "inv_boxcox", (np.array([0.1, 1.0, 3.0]), np.array([[0.0], [0.5], [2.0]])), {}
    yield "bernoulli", (20,), {}
    orders, points = np.array([0, 1, 2, 5, 20])[:, None], np.array([0.0, 0.3, 2.0, 7.9, 8.1, 25.0, 100.0])
    yield "jn", (orders, np.concatenate([-points[1:], points])), {}
    yield "jv", (-orders, points), {}
    yield "yn", (orders, points[1:]), {}
    yield "expn", (orders, points[1:]), {}
    a = rng.standard_normal((3, 4)) * 30
    yield "logsumexp", (a,), {}
    yield "logsumexp", (a, 1), {"keepdims": True}
    yield "logsumexp", (a, (0, 1)), {"b": np.abs(rng.standard_normal((3, 4)))}
    yield "logsumexp", (a, 0), {"b": rng.standard_normal(4), "return_sign": True}
    yield "softmax", (a,), {}
    yield "softmax", (a, 1), {}
    yield "log_softmax", (a, 0), {}


Z = np.array([-30.0, -3.2, -1.0, -0.4, 0.0, 0.3, 0.5, 1.0, 2.5, 6.0, 35.0])
CONTINUOUS: dict[str, tuple] = {
    "beta": (2.5, 0.7), "cauchy": (), "chi2": (3.0,), "expon": (), "gamma": (2.5,), "gennorm": (1.5,), "gumbel_l": (), "gumbel_r": (), "halfnorm": (),
    "laplace": (), "logistic": (), "lognorm": (0.8,), "norm": (), "pareto": (2.2,), "t": (3.5,), "truncnorm": (-0.5, 2.0), "uniform": (),
    "vonmises": (1.3,), "weibull_min": (1.7,), "wrapcauchy": (0.4,),
}  # fmt: skip
TRUNCATED = [(2.0, 5.0), (-9.0, -3.0), (-1.0, inf), (-inf, 0.3), (8.0, 9.0)]
WITHOUT_CDF = ("vonmises", "wrapcauchy")
WITHOUT_PPF = ("beta", "chi2", "gamma", "gennorm", "t", "truncnorm", *WITHOUT_CDF)
DISCRETE: dict[str, tuple] = {"bernoulli": (0.3,), "binom": (10.0, 0.3), "geom": (0.3,), "nbinom": (3.5, 0.3), "poisson": (4.2,)}  # fmt: skip


def stats_cases() -> Iterator[tuple]:
    """The same, names being distribution.function."""
    for name, shapes in CONTINUOUS.items():
        for function in ("logpdf", "pdf", *(() if name in WITHOUT_CDF else ("cdf", "sf", "logcdf", "logsf"))):
            yield f"{name}.{function}", (Z, *shapes), {}
            yield f"{name}.{function}", (Z, *shapes, 0.5, 2.0), {}
        if name not in WITHOUT_PPF:
            for function in ("ppf", "isf"):
                yield f"{name}.{function}", (INSIDE, *shapes), {"loc": 0.5, "scale": 2.0}
    for a, b in TRUNCATED:
        x = np.clip(np.linspace(max(a, -8), min(b, 9), 7), a, b)
        for function in ("logpdf", "cdf", "sf", "logcdf", "logsf"):
            yield f"truncnorm.{function}", (x, a, b), {}
    for name, shapes in DISCRETE.items():
        for function in ("logpmf", "pmf", "cdf", "sf"):
            yield f"{name}.{function}", (COUNTS, *shapes), {}
            yield f"{name}.{function}", (COUNTS, *shapes, 1), {}
    yield "bernoulli.ppf", (WIDE[1:-1], 0.3), {}
    for function in ("logpmf", "pmf"):
        yield f"betabinom.{function}", (COUNTS, 10, 2.0, 3.0), {}
        yield f"multinomial.{function}", (np.array([[1, 2, 3], [2, 2, 2], [1, 1, 1]]), 6, np.array([0.2, 0.3, 0.5])), {}
    yield "poisson.entropy", (np.array([0.1, 1.0, 10.0, 60.0, 150.0]),), {}
    a = rng.standard_normal((3, 3))
    cov = a @ a.T + np.eye(3)
    for function in ("logpdf", "pdf"):
        yield f"multivariate_normal.{function}", (rng.standard_normal((4, 3)), rng.standard_normal(3), cov), {}
        yield f"multivariate_normal.{function}", (rng.standard_normal(3), np.zeros(3), 2.0), {}
        yield f"multivariate_normal.{function}", (rng.standard_normal(5), 0.3, 2.0), {}
        p = rng.dirichlet([1.0, 2.0, 3.0], 4).T
        yield f"dirichlet.{function}", (p, np.array([1.5, 2.5, 3.5])), {}
        yield f"dirichlet.{function}", (p[:2], np.array([1.5, 2.5, 3.5])), {}
    values = rng.integers(0, 4, (5, 6))
    for axis in (0, 1, None):
        yield "mode", (values, axis), {}
        for method in ("average", "min", "max", "dense", "ordinal"):
            yield "rankdata", (values, method), {"axis": axis}
    yield "mode", (values.astype(float),), {"keepdims": True}
    noisy = np.where(values == 3, nan, values)
    yield "sem", (values,), {}
    yield "sem", (values, None), {"ddof": 0}
    yield "sem", (noisy, 1), {"nan_policy": "omit"}
    yield "rankdata", (noisy,), {"axis": 1}


def linalg_cases() -> Iterator[tuple]:
    """Special matrices; the rest is in linalg.npz."""
    c, r = rng.standard_normal(4), rng.standard_normal(5)
    z = c + 1j * rng.standard_normal(4)
    yield "toeplitz", (c,), {}
    yield "toeplitz", (z,), {}
    yield "toeplitz", (c, r), {}
    yield "hankel", (c,), {}
    yield "hankel", (c, r), {}
    yield "circulant", (z,), {}
    yield "companion", (c,), {}
    yield "leslie", (r, c), {}
    yield "fiedler", (c,), {}
    for n in range(2, 9):
        yield "fiedler_companion", (rng.standard_normal(n),), {}
    for m, n in ((3, 5), (5, 3), (4, 4), (1, 3)):
        for mode in ("full", "same", "valid"):
            yield "convolution_matrix", (rng.standard_normal(m), n, mode), {}
    yield "block_diag", (rng.standard_normal((2, 3)), 3.0, c), {}
    for n in (1, 2, 5):
        for name in ("hilbert", "invhilbert"):
            yield name, (n,), {}
        for name in ("pascal", "invpascal"):
            for kind in ("symmetric", "lower", "upper"):
                yield name, (n, kind), {}
        for scale in (None, "n", "sqrtn"):
            yield "dft", (n, scale), {}
        yield "helmert", (n,), {}
        yield "helmert", (n, True), {}
    yield "hadamard", (8,), {}
    square = rng.standard_normal((4, 4))
    positive = square @ square.T + np.eye(4)
    yield "solve", (positive, c), {"assume_a": "pos"}
    yield "cholesky", (positive,), {}
    yield "cholesky", (positive,), {"lower": True}
    for trans in (0, 1, 2):
        yield "solve_triangular", (square, c, trans), {"lower": True}
        yield "solve_triangular", (square, square, trans), {}
    yield "lu", (square,), {}
    yield "lu", (rng.standard_normal((4, 3)), True), {}
    yield "lu_factor", (square,), {}
    yield "eigh_tridiagonal", (c, r[:3]), {"eigvals_only": True}
    for kind in (1, 2, 3):
        yield "eigh", (square, positive), {"type": kind, "eigvals_only": True}
        yield "eigh", (square, positive), {"type": kind, "eigvals_only": True, "lower": False}
    yield "expm_frechet", (square, positive), {}
    yield "expm", (square,), {}
    yield "solve_sylvester", (square, positive[:3, :3], square[:, :3]), {}
    yield "hessenberg", (square,), {"calc_q": True}
    for side in ("left", "right"):
        yield "polar", (square, side), {}
        yield "polar", (rng.standard_normal((4, 3)), side), {}
    yield "qr", (square,), {"pivoting": True}
    yield "qr", (rng.standard_normal((5, 3)),), {"mode": "economic"}
    yield "qr", (rng.standard_normal((5, 3)),), {"mode": "r"}


def signal_cases() -> Iterator[tuple]:
    """Convolutions of several ranks, sizes and dtypes."""
    shapes = [((7,), (3,)), ((3,), (7,)), ((6,), (4,)), ((5, 6), (3, 2)), ((3, 2), (5, 6)), ((4, 5, 3), (2, 2, 3))]
    for name in ("convolve", "correlate", "fftconvolve"):
        for n, k in shapes:
            for mode in ("full", "same", "valid"):
                yield name, (rng.standard_normal(n), rng.standard_normal(k), mode), {}
        yield (
            name,
            (
                rng.standard_normal(6) + 1j * rng.standard_normal(6),
                rng.standard_normal(3) + 1j * rng.standard_normal(3),
            ),
            {},
        )
    yield "convolve", (rng.integers(-5, 5, (4, 4)), rng.integers(-5, 5, (2, 3))), {}
    yield "convolve", (rng.standard_normal((30, 30)), rng.standard_normal((20, 20)), "same"), {}
    yield "convolve", (rng.standard_normal(30), rng.standard_normal(20)), {"method": "fft"}
    yield "fftconvolve", (rng.standard_normal((3, 6)), rng.standard_normal((3, 4)), "same", [1]), {}
    for name in ("convolve2d", "correlate2d"):
        for boundary in ("fill", "wrap", "symm"):
            for mode in ("full", "same", "valid"):
                for k in ((2, 3), (3, 3), (1, 4)):
                    yield name, (rng.standard_normal((5, 6)), rng.standard_normal(k), mode, boundary), {}
        yield name, (rng.standard_normal((3, 3)), rng.standard_normal((2, 2))), {"fillvalue": 1.5}
        yield name, (rng.standard_normal((2, 2)), rng.standard_normal((3, 4)), "valid"), {}
    x = rng.standard_normal((4, 9))
    yield "detrend", (x,), {}
    yield "detrend", (x, 0), {"type": "constant"}
    yield "detrend", (x,), {"bp": 4}


def other_cases() -> Iterator[tuple]:
    """(module, name, ...)."""
    x = rng.standard_normal((5, 6))
    where = rng.uniform(-3, 8, (2, 20))
    for order in (0, 1):
        for mode in ("constant", "nearest", "mirror", "reflect", "grid-wrap", "grid-mirror"):
            if mode == "constant":  # SciPy fades to cval over one more cell; ours is that of the array padded with cval
                continue
            yield "ndimage", "map_coordinates", (x, where), {"order": order, "mode": mode}
    inside = rng.uniform(0, 4, (2, 20))
    yield "ndimage", "map_coordinates", (x, inside), {"order": 1}
    for kind in (2, 3):
        for norm in (None, "ortho"):
            for name in ("dct", "idct"):
                for n in (None, 4, 9):
                    yield "fft", name, (x, kind, n), {"norm": norm}
                yield "fft", name, (x, kind), {"axis": 0, "norm": norm}
            yield "fft", "dctn", (x, kind), {"norm": norm}
            yield "fft", "idctn", (x, kind), {"norm": norm, "axes": [1]}
    yield "integrate", "trapezoid", (x,), {"dx": 0.5}


def later_cases() -> Iterator[tuple]:
    """(module, name, ...), with numbers of their own, so that the arrays of the others stay."""
    rng = np.random.default_rng(1)
    for name in ("erfcx", "dawsn", "fresnel"):
        yield "special", name, (np.concatenate([REAL[2:], [3.3, 7.7]]),), {}
    yield "special", "sici", (np.array([1e-3, 0.3, 1.0, 3.9, 7.9, 8.1, 20.0, 300.0]),), {}
    z = rng.uniform(-5, 5, (4, 6)) + 1j * rng.uniform(-2, 5, (4, 6))
    yield "special", "wofz", (z,), {}
    yield "special", "erfcx", (z * 1j,), {}
    yield "special", "owens_t", (rng.uniform(-4, 4, (3, 4)), rng.uniform(-3, 3, (3, 4))), {}
    yield "special", "owens_t", (np.array([0.0, 1.0, inf]), np.array([inf, -inf, 2.0])), {}
    a, b, c = rng.uniform(0.2, 4, (3, 30))
    yield "special", "hyp1f1", (a, b, rng.uniform(-8, 30, 30)), {}
    yield (
        "special",
        "hyp2f1",
        (a, b, c, np.concatenate([rng.uniform(-4, 0.6, 20), 1 - 10.0 ** -np.arange(1, 6), np.zeros(5)])),
        {},
    )
    yield (
        "special",
        "hyp2f1",
        (np.array([-2.0, 1.0, 1.0]), np.array([2.0, 2.0, 3.0]), np.array([4.5, 4.5, 3.5]), np.array([3.0, 1.0, 1.0])),
        {},
    )
    orders = np.array([0, 1, -1, 2, -2, 3, 5])
    yield (
        "special",
        "sph_harm_y",
        (np.abs(orders) + np.array([0, 0, 1, 2, 0, 1, 1]), orders, rng.uniform(0.1, 3, 7), rng.uniform(0, 6, 7)),
        {"n_max": 6},
    )
    t = rng.standard_normal((6, 6))
    yield "linalg", "rsf2csf", scipy.linalg.schur(t), {}
    x, y = rng.standard_normal((2, 3, 40))
    for options in (
        {},
        {"window": "boxcar", "noverlap": 2, "nfft": 16},
        {"detrend": "linear", "boundary": "odd", "padded": False, "window": "hamming"},
        {"boundary": None, "return_onesided": False, "window": np.arange(1.0, 11.0)},
        {"boundary": "even", "window": "blackman"},
    ):
        yield "signal", "stft", (x, 2.0), {"nperseg": 10} | options
    yield "signal", "stft", (x.T, 2.0), {"nperseg": 9, "axis": 0, "boundary": "constant"}
    for options in ({}, {"window": "boxcar", "noverlap": 2, "nfft": 16}, {"boundary": False}):
        spectra = scipy.signal.stft(
            x[0], 2.0, nperseg=10, **options | ({"boundary": None} if "boundary" in options else {})
        )[2]
        yield "signal", "istft", (spectra, 2.0), {"nperseg": 10} | options
    for scaling in ("density", "spectrum"):
        for average in ("mean", "median"):
            options = {"nperseg": 8, "scaling": scaling, "average": average}
            yield "signal", "welch", (x, 3.0), options
            yield "signal", "csd", (x, y, 3.0), options
    yield "signal", "csd", (x[0], y[0, :30]), {"nperseg": 8, "return_onesided": False}


def cases() -> Iterator[tuple]:
    """All, as (module, name, arguments, options)."""
    for module, made in (
        ("special", special_cases()),
        ("stats", stats_cases()),
        ("linalg", linalg_cases()),
        ("signal", signal_cases()),
    ):
        for name, args, options in made:
            yield module, name, args, options
    yield from other_cases()
    yield from later_cases()


def expected(module: str, name: str, args: tuple, options: dict) -> Any:
    """SciPy's value."""
    home = getattr(scipy, module)
    if name == "log_expit":
        return scipy.special.log_expit(*args)
    for part in name.split("."):
        home = getattr(home, part)
    if name.startswith("multivariate_normal") and isinstance(args[2], float) and np.ndim(args[1]):
        args = (args[0], args[1], args[2] * np.eye(len(args[1])))
    if name == "sph_harm_y":
        options = {}  # n_max is JAX's
    if name in ("pascal", "invpascal"):
        options = {"exact": False}
    with np.errstate(all="ignore"):
        return home(*args, **options)


class Operands:
    """The array arguments of all calls, each kept once; in the call stands "@name"."""

    def __init__(self) -> None:
        self.names: dict[tuple, str] = {}
        self.arrays: dict[str, np.ndarray] = {}

    def stored(self, value: Any) -> Any:
        """The argument itself, or the name of the array."""
        if not isinstance(value, np.ndarray):
            return value
        name = self.names.setdefault((value.shape, value.dtype.str, value.tobytes()), f"operand{len(self.names)}")
        self.arrays[name] = value
        return f"@{name}"


def main() -> None:
    """Write the file."""
    arrays, config, keep = {}, [], Operands()
    for module, name, args, options in cases():
        value = expected(module, name, args, options)
        i = len(config)
        values = value if isinstance(value, tuple) else (value,)
        arrays |= {f"{i}_{j}": np.asarray(v) for j, v in enumerate(values)}
        call = {"args": [keep.stored(a) for a in args], "options": {k: keep.stored(v) for k, v in options.items()}}
        config.append({"module": module, "name": name, "values": len(values)} | encode(call))
    arrays |= keep.arrays
    x = rng.standard_normal((2, 12))
    kde = scipy.stats.gaussian_kde(x, weights=np.arange(1.0, 13.0))
    other = scipy.stats.gaussian_kde(x[:, :5] + 1, "silverman")
    line = scipy.stats.gaussian_kde(x[0], 0.4)
    points = rng.standard_normal((2, 6))
    arrays |= {
        "kde_data": x, "kde_points": points, "kde_pdf": kde.pdf(points), "kde_logpdf": kde.logpdf(points), "kde_covariance": kde.covariance,
        "kde_gaussian": kde.integrate_gaussian([0.3, -0.2], np.array([[1.0, 0.2], [0.2, 0.5]])), "kde_kde": kde.integrate_kde(other),
        "kde_other": other.pdf(points), "kde_line": line.pdf(points[0]), "kde_box": line.integrate_box_1d(-0.5, 1.0),
    }  # fmt: skip
    grid = [np.array([0.0, 1.0, 3.0]), np.array([5.0, 4.0, 2.5, 1.0])]
    values = rng.standard_normal((3, 4, 2))
    targets = np.stack([rng.uniform(-0.5, 3.5, 15), rng.uniform(0.5, 5.5, 15)], 1)
    arrays |= {"grid0": grid[0], "grid1": grid[1], "grid_values": values, "grid_targets": targets}
    for method in ("linear", "nearest"):
        for fill in (nan, None, 7.0):
            f = scipy.interpolate.RegularGridInterpolator(grid, values, method, bounds_error=False, fill_value=fill)
            arrays[f"grid_{method}_{fill}"] = f(targets)
    save("scipy", arrays, config)


if __name__ == "__main__":
    main()
