"""Functions of the native backend against correctly rounded results: ulp over whole ranges, and special values."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax
from fnets.backends.llvm.schedule import regions

pytest.importorskip("llvmlite")

rng = np.random.default_rng(0)
SPECIAL = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    np.inf,
    -np.inf,
    np.nan,
    1e-40,
    -1e-40,
    1e-45,
    3e38,
    -3e38,
    88.72,
    88.73,
    -87.5,
    -103.9,
    -104.5,
    40.0,
    -40.0,
    1e-8,
    -1e-8,
]
DOUBLES = [709.78, 709.79, -745.1, -746.0, 5e-324, 1e-310, 1.7e308, -1.7e308, 1e-17]


@pytest.fixture(autouse=True)
def everything_native(monkeypatch):
    monkeypatch.setenv("FNETS_CACHE", "0")
    monkeypatch.setattr(regions, "is_worthwhile", lambda eqns: True)


def native(f, *args):
    """f compiled natively."""
    jitted = fnets.jit(f, backend="llvm")
    assert jitted.lower(*args).compile().report().numpy == []
    return jitted(*args)


def ulps(got: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Distance to the exact result in units of the last place of the result's dtype."""
    info = np.finfo(got.dtype)
    rounded = exact.astype(got.dtype)
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    unit = np.maximum(np.spacing(np.abs(rounded).astype(got.dtype)), info.smallest_subnormal).astype(exact.dtype)
    with np.errstate(all="ignore"):
        return np.where(same, 0, np.abs(got.astype(exact.dtype) - exact) / unit).astype(float)


def log_spread(low: float, high: float, n: int) -> np.ndarray:
    return np.exp(rng.uniform(math.log(low), math.log(high), n))


def around_zero(limit: float, n: int = 200_000) -> np.ndarray:
    return np.concatenate(
        [rng.uniform(-limit, limit, n // 2), log_spread(1e-30, limit, n // 4), -log_spread(1e-30, limit, n // 4)]
    )


def each(f):
    """A function of the C library, which has its own error in double precision, of at most 1 ulp."""
    return np.vectorize(f, otypes=[float])


CASES = {  # function, exact in higher precision, inputs, bounds in ulp for float32 and float64
    "exp": (fnp.exp, np.exp, around_zero(103.0), 1.5, 1.5),
    "exp2": (fnp.exp2, np.exp2, around_zero(148.0), 1.5, 1.5),
    "expm1": (fnp.expm1, np.expm1, around_zero(88.0), 2, 2),
    "log": (
        fnp.log,
        np.log,
        np.concatenate([log_spread(1e-44, 3e38, 100_000), rng.uniform(0.5, 2, 100_000)]),
        1.5,
        1.5,
    ),
    "log2": (
        fnp.log2,
        np.log2,
        np.concatenate([log_spread(1e-44, 3e38, 100_000), rng.uniform(0.5, 2, 100_000)]),
        1,
        3,
    ),
    "log10": (
        fnp.log10,
        np.log10,
        np.concatenate([log_spread(1e-44, 3e38, 100_000), rng.uniform(0.5, 2, 100_000)]),
        1,
        3,
    ),
    "log1p": (
        fnp.log1p,
        np.log1p,
        np.concatenate([rng.uniform(-0.999, 3, 100_000), log_spread(1e-30, 1e30, 100_000)]),
        2,
        2,
    ),
    "tanh": (fnp.tanh, np.tanh, around_zero(20.0), 4, 4),
    "logistic": (fnets.nn.sigmoid, lambda x: 1 / (1 + np.exp(-x)), around_zero(80.0), 2.5, 2.5),
    "softplus": (
        fnets.nn.softplus,
        lambda x: np.where(x > 0, x, 0) + np.log1p(np.exp(-np.abs(x))),
        around_zero(80.0),
        2,
        2,
    ),
    "sin": (fnp.sin, np.sin, around_zero(1000.0), 1.5, 1.5),
    "cos": (fnp.cos, np.cos, around_zero(1000.0), 1.5, 1.5),
    "tan": (fnp.tan, np.tan, around_zero(1000.0), 3, 3),
    "asin": (fnp.arcsin, np.arcsin, around_zero(1.0), 2, 2),
    "acos": (fnp.arccos, np.arccos, around_zero(1.0), 2, 2),
    "atan": (fnp.arctan, np.arctan, np.concatenate([around_zero(3.0), log_spread(1e-3, 1e30, 50_000)]), 2.5, 2.5),
    "sinh": (fnp.sinh, np.sinh, around_zero(89.0), 3, 3),
    "cosh": (fnp.cosh, np.cosh, around_zero(89.0), 3, 3),
    "asinh": (fnp.arcsinh, np.arcsinh, np.concatenate([around_zero(3.0), log_spread(1, 1e30, 50_000)]), 3, 3),
    "acosh": (fnp.arccosh, np.arccosh, 1 + log_spread(1e-6, 1e30, 100_000), 3, 3),
    "atanh": (fnp.arctanh, np.arctanh, around_zero(0.9999), 3, 3),
    "cbrt": (fnp.cbrt, np.cbrt, np.concatenate([around_zero(9.0), log_spread(1e-40, 1e38, 50_000)]), 1, 1),
    "sqrt": (fnp.sqrt, np.sqrt, log_spread(1e-44, 3e38, 100_000), 0.5, 0.5),
    "rsqrt": (lax.rsqrt, lambda x: 1 / np.sqrt(x), log_spread(1e-37, 3e38, 100_000), 2, 2),
    "erf": (lax.erf, each(math.erf), around_zero(6.5, 60_000), 2, 3),
    "erfc": (
        lax.erfc,
        each(math.erfc),
        np.concatenate([around_zero(9.5, 60_000), rng.uniform(5, 28, 30_000)]),
        4,
        4,
    ),
    "power 0.5": (lambda x: fnp.power(x, 0.5), lambda x: np.power(x, 0.5), log_spread(1e-44, 3e38, 100_000), 0.5, 0.5),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ulp(name, dtype):
    f, exact, x, *bounds = CASES[name]
    bound = bounds[dtype == np.float64]
    x = x.astype(dtype)
    with np.errstate(all="ignore"):
        reference = exact(x.astype(np.float64 if dtype == np.float32 else np.longdouble))
        error = ulps(native(f, x), reference)
    worst = error.argmax()
    assert error.max() <= bound, f"{error.max():.2f} ulp at {x[worst]!r}"


@pytest.mark.parametrize("name", [name for name in CASES if name != "power 0.5"])  # NumPy's versions differ at -inf
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_values(name, dtype):
    f, exact, *_ = CASES[name]
    x = np.array(SPECIAL + (DOUBLES if dtype == np.float64 else []), dtype)
    with np.errstate(all="ignore"):
        got, want = native(f, x), exact(x.astype(np.float64 if dtype == np.float32 else np.longdouble))
        np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
        error = ulps(got, want)
    assert error.max() <= 5, f"{got} {want.astype(dtype)}"
    np.testing.assert_array_equal(np.signbit(got)[got == 0], np.signbit(want)[got == 0])


def test_large_angles_are_reduced():
    x = np.array([1e5, 1e10, 3e30, -12345678.0, 0.5], np.float32)
    for f, g in ((fnp.sin, np.sin), (fnp.cos, np.cos)):
        assert ulps(native(f, x), g(x.astype(np.float64))).max() <= 1
        y = np.array([1e7, 1e22, 1e300, 1.0])
        np.testing.assert_allclose(native(f, y), g(y), rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_power(dtype):
    """Bases of all sizes, also next to 1 and to where the significand's range ends, and exponents up to where the result does."""
    info = np.finfo(dtype)
    wide = np.float64 if dtype == np.float32 else np.longdouble
    low, high, n = math.log(info.smallest_subnormal), math.log(info.max), 100_000
    near_one = 1 + rng.choice([-1, 1], n) * log_spread(info.eps, 0.9, n)
    x = np.concatenate([np.exp(rng.uniform(low, high, n)), near_one, rng.uniform(0.7, 0.715, n)]).astype(dtype)
    with np.errstate(all="ignore"):
        y = (rng.uniform(1.01 * low, 1.01 * high, x.size) / np.log(x.astype(wide))).astype(dtype)
        y[::5] *= log_spread(1e-12, 1, x.size)[::5].astype(dtype)
        error = ulps(native(fnp.power, x, y), x.astype(wide) ** y.astype(wide))
    worst = error.argmax()
    assert error.max() <= 1.5, f"{error.max():.2f} ulp at {x[worst]!r} ** {y[worst]!r}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_powers_of_special_values(dtype):
    info = np.finfo(dtype)
    values = [
        0.0,
        1.0,
        2.0,
        3.0,
        0.5,
        2.5,
        7.0,
        np.inf,
        np.nan,
        1e10,
        1e-10,
        127.0,
        128.0,
        149.0,
        150.0,
        1023.0,
        1075.0,
    ]
    values += [info.smallest_subnormal, info.tiny, info.max, 1 - info.epsneg, 1 + info.eps]
    values += [2.0**info.nmant, 2.0**info.nmant + 1, 2.0 ** (info.nmant + 1), 2.0 ** (info.nmant - 1) + 0.5]
    x = np.array(values, dtype)
    a, b = (m.ravel() for m in np.meshgrid(*[np.append(x, -x)] * 2))
    with np.errstate(all="ignore"):
        got, want = native(fnp.power, a, b), np.power(a, b)
        np.testing.assert_array_max_ulp(got, want, 4)  # NumPy's own error
    ends = ~np.isfinite(want) | (want == 0) | (np.abs(a) == 1) | (b == 0)
    np.testing.assert_array_equal(got[ends], want[ends])
    np.testing.assert_array_equal(np.signbit(got[~np.isnan(got)]), np.signbit(want[~np.isnan(got)]))


PAIRS = {  # of two operands: function, exact, bound in ulp
    "atan2": (fnp.arctan2, np.arctan2, 3),
    "hypot": (fnp.hypot, np.hypot, 2),
    "logaddexp": (fnp.logaddexp, np.logaddexp, 3),
    "logaddexp2": (fnp.logaddexp2, np.logaddexp2, 3),
    "nextafter": (fnp.nextafter, np.nextafter, 0),
    "fmax": (fnp.fmax, np.fmax, 0),
    "fmin": (fnp.fmin, np.fmin, 0),
    "floor_divide": (fnp.floor_divide, np.floor_divide, 0),
    "remainder": (fnp.remainder, np.remainder, 0),
    "fmod": (fnp.fmod, np.fmod, 0),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pairs(name, dtype):
    f, exact, bound = PAIRS[name]
    n = 50_000
    signs = rng.choice([-1, 1], (2, n))
    x, y = (signs * [log_spread(1e-6, 1e6, n), log_spread(1e-3, 1e3, n)]).astype(dtype)
    values = np.array([0.0, 1.0, 2.0, 0.5, 3e-40, 1e30, np.inf, np.nan, 7.0, 0.1], dtype)
    a, b = (m.ravel() for m in np.meshgrid(*[np.append(values, -values)] * 2))
    wide = [np.append(x, a), np.append(y, b)]
    with np.errstate(all="ignore"):
        got = native(f, *wide)
        if bound:
            want = exact(*[w.astype(np.float64 if dtype == np.float32 else np.longdouble) for w in wide])
            np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
            error = ulps(got, want)
            if name.startswith("logaddexp"):  # relative to the operands, where the result is near 0
                error = np.where(np.abs(want) < 1, np.abs(got - want) / np.finfo(dtype).eps, error)
            worst = error.argmax()
            assert error.max() <= bound, f"{error.max():.2f} ulp at {wide[0][worst]!r}, {wide[1][worst]!r}"
        else:
            want = exact(*wide)
            np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(np.signbit(got)[got == 0], np.signbit(want)[got == 0])


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"])
def test_integer_division_and_shifts(dtype):
    info = np.iinfo(dtype)
    values = np.array([info.min, info.min + 1, info.max, info.max - 1, 0, 1, 2, 3, 7, 100], dtype)
    values = np.append(values, rng.integers(info.min, info.max, 20, dtype))
    values = np.append(values, -values[4:10] if info.min else values[4:10])
    x, y = (m.ravel() for m in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        for f, g in ((fnp.floor_divide, np.floor_divide), (fnp.remainder, np.remainder), (fnp.fmod, np.fmod)):
            np.testing.assert_array_equal(native(f, x, y), g(x, y))
        n = (np.arange(x.size) % (8 * x.itemsize + 3)).astype(dtype)
        np.testing.assert_array_equal(native(lax.shift_left, x, n), np.left_shift(x, n))
        np.testing.assert_array_equal(native(lambda x, n: fnp.right_shift(x, n), x, n), np.right_shift(x, n))
        np.testing.assert_array_equal(native(lax.population_count, x), np.bitwise_count(x))


def test_signs_of_floats():
    x = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, -np.nan])
    for dtype in (np.float32, np.float64):
        np.testing.assert_array_equal(native(fnp.signbit, x.astype(dtype)), np.signbit(x.astype(dtype)))


@pytest.mark.parametrize("y", [-100, -7, -3, -1, 0, 1, 2, 3, 4, 5, 7, 13, 65])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_integer_powers(dtype, y):
    x = rng.uniform(-3, 3, 1000).astype(dtype)
    x[:5] = [0.0, -0.0, np.inf, -np.inf, np.nan]
    with np.errstate(all="ignore"):
        got = native(lambda x: lax.integer_pow(x, y), x)
        exact = x.astype(np.float64 if dtype == np.float32 else np.longdouble) ** y
        assert ulps(got, exact).max() <= 2
    np.testing.assert_array_equal(np.signbit(got[:4]), np.signbit(exact[:4]))


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint64"])
def test_powers_of_integers(dtype):
    info = np.iinfo(dtype)
    x = np.array([*range(9), 100, 101, info.min, info.max], dtype)
    for y in (0, 1, 2, 5, 13, 64, 100):
        np.testing.assert_array_equal(native(lambda x, y=y: x**y, x), x**y)
    with pytest.raises(ValueError):
        fnets.jit(lambda x: x**-1, backend="llvm")(x[:5].astype(np.int32))


@pytest.mark.parametrize("dtype", ["bool", "int16", "uint64"])
def test_integers_are_finite(dtype):
    x = np.arange(40).astype(dtype)
    for f, g in ((fnp.isnan, np.isnan), (fnp.isfinite, np.isfinite), (fnp.isinf, np.isinf)):
        np.testing.assert_array_equal(native(f, x), g(x))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_sign_of_zero_has_none(dtype):
    x = np.array([0.0, -0.0, 2.0, -np.inf, np.nan], dtype)
    got = fnets.jit(lambda x: (fnp.sign(x), fnp.sign(-x)), backend="llvm")(x)
    for y, want in zip(got, (np.sign(x), np.sign(-x))):
        np.testing.assert_array_equal(y, want)
        np.testing.assert_array_equal(np.signbit(y[:4]), np.signbit(want[:4]))
