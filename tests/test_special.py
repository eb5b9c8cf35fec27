"""The kernels of the special functions: golden values (mpmath), the C library's own, dtypes, shapes, limits, silence."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from golden.golden_io import load

from fnets.primitives import special

CASES, ARRAYS = load("special_kernels")
ARITY = {case["name"]: case["nargs"] for case in CASES}
UNARY = [name for name, n in ARITY.items() if n == 1] + ["relu"]
MANY = [name for name, n in ARITY.items() if n > 1]
inf, nan = math.inf, math.nan

# units in the last place of the result; lgamma and digamma also absolutely, for they cross zero at arguments that are not floats
ULPS = {"float64": 5, "float32": 5}
LOOSE = {
    "igamma": 1e-13,
    "igammac": 1e-13,
    "igamma_grad_a": 1e-13,
    "random_gamma_grad": 1e-13,
    "betainc": 1e-13,
    "expi": 1e-14,
}
# JAX's float32 formula, for its random numbers: -log1p(-x * x) loses digits near 1
LOOSE_SINGLE = {"erf_inv": 6e-6}


def args_of(name: str, dtype: str) -> list[np.ndarray]:
    return [ARRAYS[f"{name}_arg{i}"].astype(dtype) for i in range(ARITY[name])]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ARITY)
def test_golden(name: str, dtype: str) -> None:
    expected = ARRAYS[f"{name}_value"]
    info = np.finfo(dtype)
    inside = (np.abs(expected) < info.max) & ((np.abs(expected) > info.tiny) | (expected == 0))
    rtol = max(ULPS[dtype] * info.eps, (LOOSE if dtype == "float64" else LOOSE_SINGLE).get(name, 0))
    atol = 4 * info.eps if name in ("lgamma", "digamma", "polygamma") else 0
    got = getattr(special, name)(*args_of(name, dtype))
    assert got.dtype == dtype
    assert inside.sum() > 20
    np.testing.assert_allclose(got[inside].astype(np.float64), expected[inside], rtol=rtol, atol=atol)


@pytest.mark.parametrize("name", ARITY)
def test_half_precision_is_the_rounded_value(name: str) -> None:
    args = args_of(name, "float64")
    fits = np.all([(np.abs(x) < 6e4) & (np.abs(x) > 1e-4) for x in args], axis=0)
    args = [x[fits].astype(np.float16) for x in args]
    got = getattr(special, name)(*args)
    with np.errstate(over="ignore"):
        expected = getattr(special, name)(*[x.astype(np.float64) for x in args]).astype(np.float16)
    assert got.dtype == np.float16
    np.testing.assert_allclose(got.astype(np.float64), expected.astype(np.float64), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("name", ["erf", "erfc", "lgamma"])
def test_like_the_c_library(name: str) -> None:
    x = np.random.default_rng(0).normal(size=40_000) * 3
    expected = np.array([getattr(math, name)(v) for v in x.tolist()])
    np.testing.assert_allclose(getattr(special, name)(x), expected, rtol=1e-14, atol=2e-15)


# ------------------------------------------------------------------ one value, whatever the size and layout

POINTS = np.concatenate([np.linspace(0.01, 0.99, 80), np.linspace(1, 20, 60), [0.0, 1e-30, 50.0, 700.0, inf, nan]])


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("name", UNARY)
def test_size_and_layout_do_not_matter(name: str, dtype: str) -> None:
    f = getattr(special, name)
    x = np.concatenate([-POINTS, POINTS]).astype(dtype)
    rtol = {"float64": 5e-14, "float32": 2e-6, "float16": 2e-3}[
        dtype
    ]  # cancellation at negative arguments of lgamma, digamma
    whole = f(x).astype(np.float64)

    def same(got: np.ndarray, expected: np.ndarray) -> None:
        assert got.dtype == dtype
        np.testing.assert_allclose(got.astype(np.float64), expected, rtol=rtol, atol=4 * np.finfo(dtype).eps)

    same(np.array([f(v) for v in x]), whole)
    same(np.concatenate([f(x[i : i + 7]) for i in range(0, x.size, 7)]), whole)
    repeats = 40_000 // x.size
    same(f(np.tile(x, (repeats, 1))), np.tile(whole, (repeats, 1)))
    square = x[:288].reshape(12, 24)
    same(f(np.asfortranarray(square)), f(square).astype(np.float64))
    same(f(square[::2, ::-3]), f(square)[::2, ::-3].astype(np.float64))
    assert f(x[:0]).shape == (0,)
    assert f(np.zeros((3, 0, 2), dtype)).shape == (3, 0, 2)


@pytest.mark.parametrize("name", MANY)
def test_broadcasting(name: str) -> None:
    args = args_of(name, "float64")
    f = getattr(special, name)
    rows = [x[:6].reshape(1, 6, 1) if i == 0 else x[6:11].reshape(5, 1, 1) for i, x in enumerate(args)]
    got = f(*rows)
    assert got.shape == (5, 6, 1)
    for i in range(5):
        for j in range(6):
            assert got[i, j, 0] == pytest.approx(
                f(*[r[0, j, 0] if k == 0 else r[i, 0, 0] for k, r in enumerate(rows)]), rel=1e-13
            )
    big = f(*[np.tile(x, 500) for x in args])
    np.testing.assert_allclose(big, np.tile(f(*args), 500), rtol=1e-13)


@pytest.mark.parametrize("name", [*UNARY, *MANY])
def test_arguments_are_left_alone(name: str) -> None:
    args = [np.tile(x, 500) for x in (args_of(name, "float64") if name in ARITY else [POINTS])]
    before = [x.copy() for x in args]
    for x in args:
        x.flags.writeable = False
    out = getattr(special, name)(*args)
    out[...] = 0  # ours to write into
    for x, b in zip(args, before):
        np.testing.assert_array_equal(x, b)


# ------------------------------------------------------------------ dtypes

DTYPES = [
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
    ">f4",
    ">f8",
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [n for n in UNARY if n not in ("relu", "rsqrt")])
def test_dtypes_are_those_of_exp(name: str, dtype: str) -> None:
    x = np.array([0, 1, 1], dtype)
    got = getattr(special, name)(x)
    assert got.dtype == np.exp(x).dtype
    np.testing.assert_allclose(got.astype(float), getattr(special, name)(x.astype(float)), rtol=2e-3)


@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_dtypes_of_relu_and_rsqrt(dtype: str) -> None:
    x = np.array([1, 4, 9], dtype)
    assert special.relu(x).dtype == np.maximum(x, 0).dtype
    assert special.rsqrt(x).dtype == np.sqrt(x).dtype
    np.testing.assert_allclose(special.rsqrt(x).astype(float), [1, 0.5, 1 / 3], rtol=1e-3)


@pytest.mark.parametrize("name", [n for n in UNARY if n != "relu"])
def test_scalars_in_scalars_out(name: str) -> None:
    f = getattr(special, name)
    assert type(f(0.5)) is np.float64
    assert type(f(1)) is np.float64
    assert type(f(np.float32(0.5))) is np.float32
    assert type(f(np.array(0.5, np.float16))) is np.float16
    assert f(0.5) == pytest.approx(float(f(np.array([0.5]))[0]), rel=1e-15)


@pytest.mark.parametrize("name", MANY)
def test_dtypes_of_several_operands_are_those_of_arctan2(name: str) -> None:
    f, n = getattr(special, name), ARITY[name]
    pairs = [
        (np.float32, 2.0),
        (2.0, np.float32),
        (np.float16, 1),
        (np.float32, np.float64),
        (np.int8, 2.0),
        (np.int32, np.float32),
    ]
    for pair in [*pairs, (1.0, 2.0), (2, 1), (np.float16, np.float32), (np.int64, np.int64)]:
        args = [v if isinstance(v, (int, float)) else np.array([1, 2], v) for v in pair]
        assert f(*args, *[args[1]] * (n - 2)).dtype == np.arctan2(*args).dtype
    assert type(f(*[1.0] * n)) is np.float64


def test_complex_numbers() -> None:
    x = np.array([0.5 + 1j, -2 + 0.25j, -800 + 1j, 800 - 1j])
    np.testing.assert_allclose(special.logistic(x[:2]), 1 / (1 + np.exp(-x[:2])), rtol=1e-14)
    np.testing.assert_allclose(special.logistic(x[2:]), [0, 1])
    assert special.logistic(x.astype(np.complex64)).dtype == np.complex64
    assert special.logistic(1j) == pytest.approx(1 / (1 + np.exp(-1j)))
    np.testing.assert_allclose(special.rsqrt(x), 1 / np.sqrt(x), rtol=1e-14)
    for name in ("erf", "lgamma", "i0", "softplus"):
        with pytest.raises(TypeError, match=rf"\[{name}\] expected real numbers, got an array of dtype complex128"):
            getattr(special, name)(x)
    with pytest.raises(TypeError, match=r"\[igamma\] expected real numbers"):
        special.igamma(x, 1.0)


# ------------------------------------------------------------------ limits, silently

LIMITS = {
    "logistic": [(inf, 1), (-inf, 0), (0.0, 0.5), (1e30, 1), (-1e30, 0)],
    "relu": [(inf, inf), (-inf, 0), (-1e-40, 0), (1e-40, 1e-40)],
    "softplus": [(inf, inf), (-inf, 0), (1e30, 1e30), (0.0, math.log(2))],
    "rsqrt": [(inf, 0), (0.0, inf), (-1.0, nan), (-inf, nan)],
    "erf": [(inf, 1), (-inf, -1), (1e30, 1), (-1e30, -1), (0.0, 0), (-0.0, -0.0), (1e-35, 1.1283791670955126e-35)],
    "erfc": [(inf, 0), (-inf, 2), (1e30, 0), (-1e30, 2), (0.0, 1)],
    "erf_inv": [
        (1.0, inf),
        (-1.0, -inf),
        (0.0, 0),
        (-0.0, -0.0),
        (1.5, nan),
        (-inf, nan),
        (1e-35, 8.862269254527581e-36),
    ],
    "ndtr": [(inf, 1), (-inf, 0), (0.0, 0.5), (1e30, 1)],
    "log_ndtr": [(inf, -0.0), (-inf, -inf), (0.0, -math.log(2)), (-1e15, -5e29)],
    "ndtri": [(0.0, -inf), (1.0, inf), (0.5, 0), (-0.1, nan), (1.1, nan), (inf, nan)],
    "lgamma": [
        (inf, inf),
        (-inf, inf),
        (0.0, inf),
        (-0.0, inf),
        (-3.0, inf),
        (1.0, 0),
        (2.0, 0),
        (-1e30, inf),
        (1e-35, 80.59047825479159),
    ],
    "digamma": [(inf, inf), (0.0, -inf), (-0.0, inf), (-1.0, nan), (-1e30, nan), (-inf, nan), (1e-35, -1e35)],
    "i0": [(inf, inf), (-inf, inf), (0.0, 1), (1e30, inf)],
    "i1": [(inf, inf), (-inf, -inf), (0.0, 0), (-0.0, -0.0), (1e-35, 5e-36)],
    "i0e": [(inf, 0), (-inf, 0), (0.0, 1)],
    "i1e": [(inf, 0), (-inf, -0.0), (0.0, 0), (1e-35, 5e-36)],
    "expi": [(inf, inf), (-inf, -0.0), (0.0, -inf)],
    "exp1": [(inf, 0), (0.0, inf), (-1.0, nan)],
    "spence": [(inf, -inf), (0.0, math.pi**2 / 6), (1.0, 0), (-1.0, nan)],
}
LIMITS_OF_MANY = {
    "zeta": {
        (2, 0): inf,
        (2, -3): inf,
        (1, 2): inf,
        (0.5, 2): nan,
        (2, inf): 0,
        (inf, 1): 1,
        (inf, 2): 0,
        (2.5, -0.5): nan,
    },
    "polygamma": {
        (0, 1): -np.euler_gamma,
        (1, 0): inf,
        (1, inf): 0,
        (1.5, 2): nan,
        (-1, 2): nan,
        (1, -0.5): 8.934802200544679,
    },
    "igamma": {
        (0, 0): nan,
        (0, 1): 1,
        (1, 0): 0,
        (1, inf): 1,
        (inf, 1): 0,
        (-1, 1): nan,
        (1, -1): nan,
        (inf, inf): nan,
    },
    "igammac": {(0, 1): 0, (1, 0): 1, (1, inf): 0, (inf, 1): 1, (-1, 1): nan, (1, -1): nan},
    "igamma_grad_a": {(1, 0): 0, (1, inf): 0, (-1, 1): nan, (1, -1): nan},
    "random_gamma_grad": {(1, 0): 0, (-1, 1): nan, (1, -1): nan},
    "betainc": {
        (1, 2, 0): 0,
        (1, 2, 1): 1,
        (0, 1, 0.5): 1,
        (1, 0, 0.5): 0,
        (-1, 1, 0.5): nan,
        (1, 1, 2): nan,
        (1, inf, 0.5): 1,
    },
}


@pytest.fixture
def strict():
    with warnings.catch_warnings(), np.errstate(over="raise", divide="raise", invalid="raise"):
        warnings.simplefilter("error")
        yield


def test_every_function_has_its_limits_tested() -> None:
    assert set(LIMITS) == set(UNARY)
    assert set(LIMITS_OF_MANY) == set(MANY)


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("repeat", [1, 20, 4000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LIMITS)
def test_limits(name: str, dtype: str, repeat: int) -> None:
    expected = np.array([*[y for _, y in LIMITS[name]], nan], dtype)
    got = getattr(special, name)(np.tile(np.array([*[x for x, _ in LIMITS[name]], nan], dtype), repeat))
    rtol = 4 * np.finfo(dtype).eps
    for row in got.reshape(repeat, -1)[[0, -1]]:
        np.testing.assert_allclose(row, expected, rtol=rtol, atol=1e-16)
        zero = expected == 0
        np.testing.assert_array_equal(np.signbit(row[zero]), np.signbit(expected[zero]))


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("name", LIMITS_OF_MANY)
def test_limits_of_several_operands(name: str) -> None:
    f, n = getattr(special, name), ARITY[name]
    args = [np.array(column, float) for column in zip(*LIMITS_OF_MANY[name])]
    np.testing.assert_allclose(f(*args), list(LIMITS_OF_MANY[name].values()), rtol=1e-14, atol=1e-16)
    for i in range(n):
        assert np.isnan(f(*[nan if i == j else 0.5 + 1.0 * (j == 0) for j in range(n)]))


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", UNARY)
def test_silence_on_all_magnitudes(name: str, dtype: str) -> None:
    info = np.finfo(dtype)
    x = np.ldexp(1.1, np.arange(info.minexp - info.nmant, info.maxexp))
    x = np.concatenate([-x, [-0.0, 0.0], x, [inf, -inf, nan]]).astype(dtype)
    f = getattr(special, name)
    for repeat in (1, 50):
        assert f(np.tile(x, repeat)).dtype == dtype
    for v in x[::40]:
        f(v)


# ------------------------------------------------------------------ identities


def test_the_tails_are_not_rounded_away() -> None:
    x = np.linspace(5, 26, 50)
    expected = np.array([math.erfc(v) for v in x.tolist()])
    np.testing.assert_allclose(special.erfc(x), expected, rtol=2e-15)
    np.testing.assert_allclose(special.logistic(np.array([-80.0, -600.0])), np.exp([-80.0, -600.0]), rtol=1e-15)
    np.testing.assert_allclose(special.softplus(np.array([-80.0, -600.0])), np.exp([-80.0, -600.0]), rtol=1e-15)
    np.testing.assert_allclose(special.log_ndtr(np.array([20.0])), -special.ndtr(np.array([-20.0])), rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bounds_are_kept(dtype: str) -> None:
    x = np.linspace(-12, 12, 100_001).astype(dtype)
    for f, low, high in ((special.erf, -1, 1), (special.erfc, 0, 2), (special.logistic, 0, 1), (special.ndtr, 0, 1)):
        y = f(x)
        assert y.min() >= low and y.max() <= high
    for size in (1, x.size):
        assert special.erf(x[:size])[0] == -1 and special.erf(x[-size:])[-1] == 1
    assert (np.diff(special.logistic(x)) >= 0).all()


def test_inverses() -> None:
    u = np.linspace(-0.999, 0.999, 1001)
    np.testing.assert_allclose(special.erf(special.erf_inv(u)), u, rtol=2e-15, atol=1e-17)
    p = np.geomspace(1e-200, 0.5, 300)
    np.testing.assert_allclose(special.ndtr(special.ndtri(p)), p, rtol=1e-12)


def test_recurrences_and_complements() -> None:
    x = np.random.default_rng(1).uniform(-9, 9, 5000)
    np.testing.assert_allclose(special.lgamma(x + 1), special.lgamma(x) + np.log(np.abs(x)), rtol=1e-13, atol=1e-12)
    np.testing.assert_allclose(special.digamma(x + 1), special.digamma(x) + 1 / x, rtol=1e-10, atol=1e-10)
    a, y, b = np.random.default_rng(2).gamma(2, size=(3, 3000)) * 10
    np.testing.assert_allclose(special.igamma(a, y) + special.igammac(a, y), 1, rtol=4e-16)
    u = y / (y + b)
    np.testing.assert_allclose(special.betainc(a, b, u) + special.betainc(b, a, 1 - u), 1, rtol=1e-13)
    np.testing.assert_allclose(special.zeta(3.0, y) - special.zeta(3.0, y + 1), y**-3.0, rtol=1e-9)
    here = special.zeta(3.0, -y)
    scale = np.maximum(np.abs(here), y**-3.0)
    np.testing.assert_allclose((here - special.zeta(3.0, 1 - y)) / scale, -(y**-3.0) / scale, atol=1e-12)


def test_gradients_against_differences() -> None:
    a = np.array([0.05, 0.7, 3.0, 19.0, 21.0, 300.0])[:, None]
    x = a * np.array([0.5, 0.9, 1.1, 1.6])
    h = 1e-3 * a
    weights = np.array([1, -9, 45, -45, 9, -1]) / 60
    difference = sum(w * special.igamma(a + k * h, x) for w, k in zip(weights, (3, 2, 1, -1, -2, -3))) / h
    np.testing.assert_allclose(special.igamma_grad_a(a, x), difference, rtol=1e-9, atol=1e-12)
    density = np.exp((a - 1) * np.log(x) - x - special.lgamma(a))
    inside = density > 1e-6  # beyond, the difference is rounding error
    assert inside.sum() > 20
    np.testing.assert_allclose(special.random_gamma_grad(a, x)[inside], (-difference / density)[inside], rtol=1e-7)


def test_tiny_second_shape_of_betainc() -> None:
    # I_x(1, b) = 1 - (1 - x) ** b
    x, b = np.array([0.3, 0.9, 0.99]), np.array([[1e-10], [1e-5], [0.01]])
    np.testing.assert_allclose(special.betainc(1.0, b, x), -np.expm1(b * np.log1p(-x)), rtol=1e-13)
