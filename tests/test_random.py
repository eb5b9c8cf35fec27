"""`fnets.random` against golden values of `jax.random`, against distribution functions, and under every transformation."""

from __future__ import annotations

import inspect
import math
import threading

import numpy as np
import pytest
from golden.golden_io import load

import fnets
import fnets.numpy as fnp
from fnets import random
from fnets.errors import (
    ArgumentError,
    AxisError,
    ConcretizationTypeError,
    DTypeError,
    FnetsError,
    ShapeError,
    TracerIntegerConversionError,
)
from fnets.primitives import random_kernels

CASES, GOLDEN = load("random")
KEY = np.array([11, 22], np.uint32)
FAST = np.array([11, 22, 33, 44], np.uint32)
vector = np.array([0.5, 1.0, 3.0], np.float32)
weights = np.array([0.1, 0.4, 0.5], np.float32)
matrix = np.arange(12, dtype=np.float32).reshape(4, 3)
covariance = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, -0.2], [0.1, -0.2, 0.5]], np.float32)

# one call of every sampler; a sampler without one fails test_every_sampler_is_listed
CALLS = {
    "ball": lambda k: random.ball(k, 3, shape=(2,)),
    "bernoulli": lambda k: random.bernoulli(k, 0.3, (5,)),
    "beta": lambda k: random.beta(k, vector, 2.0),
    "binomial": lambda k: random.binomial(k, np.array([3.0, 50.0, 200.0], np.float32), 0.4),
    "bits": lambda k: random.bits(k, (3,)),
    "categorical": lambda k: random.categorical(k, np.log(weights), shape=(6,)),
    "cauchy": lambda k: random.cauchy(k, (4,)),
    "chisquare": lambda k: random.chisquare(k, vector),
    "choice": lambda k: random.choice(k, matrix, (3,), p=np.array([0.1, 0.2, 0.3, 0.4], np.float32)),
    "dirichlet": lambda k: random.dirichlet(k, vector, (2,)),
    "double_sided_maxwell": lambda k: random.double_sided_maxwell(k, 1.0, 2.0, (3,)),
    "exponential": lambda k: random.exponential(k, (4,)),
    "f": lambda k: random.f(k, vector, 5.0),
    "fold_in": lambda k: random.fold_in(k, 5),
    "gamma": lambda k: random.gamma(k, vector),
    "generalized_normal": lambda k: random.generalized_normal(k, 1.5, (4,)),
    "geometric": lambda k: random.geometric(k, 0.3, (4,)),
    "gumbel": lambda k: random.gumbel(k, (4,), mode="high"),
    "laplace": lambda k: random.laplace(k, (4,)),
    "loggamma": lambda k: random.loggamma(k, vector),
    "logistic": lambda k: random.logistic(k, (4,)),
    "lognormal": lambda k: random.lognormal(k, vector),
    "maxwell": lambda k: random.maxwell(k, (4,)),
    "multinomial": lambda k: random.multinomial(k, 20, weights),
    "multivariate_normal": lambda k: random.multivariate_normal(k, vector, covariance, (2,)),
    "normal": lambda k: random.normal(k, (4,)),
    "orthogonal": lambda k: random.orthogonal(k, 3),
    "pareto": lambda k: random.pareto(k, vector),
    "permutation": lambda k: random.permutation(k, matrix, 1),
    "poisson": lambda k: random.poisson(k, np.array([0.5, 20.0, 300.0], np.float32)),
    "rademacher": lambda k: random.rademacher(k, (4,)),
    "randint": lambda k: random.randint(k, (4,), -5, 100),
    "rayleigh": lambda k: random.rayleigh(k, vector),
    "split": lambda k: random.split(k, 3),
    "t": lambda k: random.t(k, vector),
    "triangular": lambda k: random.triangular(k, -1.0, 0.5, 2.0, (4,)),
    "truncated_normal": lambda k: random.truncated_normal(k, -1.0, 2.0, (4,)),
    "uniform": lambda k: random.uniform(k, (4,), minval=-1.0, maxval=3.0),
    "wald": lambda k: random.wald(k, vector),
    "weibull_min": lambda k: random.weibull_min(k, 2.0, 1.5, (4,)),
}
NO_DRAWS = {
    "KeyReuseError",
    "PRNGKey",
    "SeedOverflowError",
    "check_key_reuse",
    "clone",
    "key",
    "key_data",
    "key_impl",
    "wrap_key_data",
}


def each_call():
    return pytest.mark.parametrize("name", sorted(CALLS))


def test_every_sampler_is_listed():
    assert set(CALLS) | NO_DRAWS == set(random.__all__)


# ------------------------------------------------------------------ JAX's numbers

EXACT = {
    "key_data", "split", "fold_in", "bits", "uniform", "randint", "permutation", "bernoulli", "choice", "categorical", "rademacher",
    "geometric", "poisson", "binomial", "multinomial",
}  # fmt: skip
# JAX's loop ends when every element of the array was accepted, rates below 10 included, as which it takes 1e5 of all; the float32 rounding
# of log(100000!) then decides, differently in each library, how many rounds there are
OTHER_STREAM = {"x32_poisson_6", "x64_poisson_6"}
TOLERANCE = {"float16": 4e-3, "float32": 1e-6, "float64": 1e-12, "complex64": 1e-6, "complex128": 1e-12}
# float32 svd of another LAPACK; a small difference of large numbers; a quantile where the distribution function is within 1e-7 of 1
LOOSE = {"both_multivariate_normal_2": 2e-6, "both_wald_0": 4e-6, "x64_truncated_normal_3": 1e-11}


@pytest.mark.parametrize("case", [c for c in CASES if c["name"] not in OTHER_STREAM], ids=lambda case: case["name"])
def test_golden(case):
    name, fn, seed, kwargs = case["name"], case["fn"], case["seed"], dict(case["kwargs"])
    want = GOLDEN[name]
    narrow = not name.startswith("x64")
    if narrow:  # JAX keeps 32 bits of a seed then
        seed %= 2**32
        if fn == "randint" and len(case["args"]) == 3:
            kwargs["dtype"] = "int32"
    with fnets.default_dtype("float32" if narrow else "float64"):
        got = np.asarray(getattr(random, fn)(random.key(seed), *case["args"], **kwargs))
    assert got.shape == want.shape
    if got.dtype.kind == "i" and narrow and want.dtype == np.int32:
        want = want.astype(got.dtype)  # our default integers have 64 bits
    assert got.dtype == want.dtype
    if fn == "uniform" and kwargs and want.dtype == np.float64:
        np.testing.assert_array_max_ulp(got, want, 2)
    elif fn in EXACT:
        assert got.tobytes() == want.tobytes()
    else:
        tolerance = LOOSE.get(name, TOLERANCE[want.dtype.name])
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * 0.5)


def test_golden_batches_of_keys():
    keys = GOLDEN["batched_keys"]

    def over_keys(f):
        return fnets.vmap(fnets.vmap(f))(keys)

    np.testing.assert_array_equal(over_keys(lambda k: random.split(k, (3, 2))), GOLDEN["batched_split_3x2"])
    np.testing.assert_array_equal(over_keys(lambda k: random.fold_in(k, 9)), GOLDEN["batched_fold_in"])
    for width in (8, 16, 32, 64):
        got = over_keys(lambda k, width=width: random.bits(k, (5, 7), f"uint{width}"))
        np.testing.assert_array_equal(got, GOLDEN[f"batched_bits_{width}"])
    flat = keys.reshape(-1, 2)
    np.testing.assert_array_equal(fnets.vmap(random.fold_in)(flat, np.arange(6)), GOLDEN["batched_fold_in_each"])
    one = fnets.vmap(random.fold_in, (None, 0))(flat[0], np.arange(6))
    np.testing.assert_array_equal(one, GOLDEN["one_key_fold_in_many"])


# ------------------------------------------------------------------ transformations


@pytest.mark.parametrize("key", [KEY, FAST], ids=["threefry", "philox"])
@each_call()
def test_jit_and_vmap_equal_eager(name, key):
    call = CALLS[name]
    want = np.asarray(call(key))
    np.testing.assert_array_equal(fnets.jit(call, backend="numpy")(key), want)
    got = fnets.jit(call)(key)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(
        got, want, rtol=2e-6 if want.dtype.kind in "fc" else 0
    )  # native functions round otherwise
    keys = random.split(key, 3)
    loop = np.stack([call(k) for k in keys])
    for batched in (fnets.vmap(call)(keys), fnets.jit(fnets.vmap(call))(keys)):
        assert batched.dtype == want.dtype
        np.testing.assert_allclose(batched, loop, rtol=2e-6, atol=1e-6)
        if loop.dtype.kind in "iub":
            np.testing.assert_array_equal(batched, loop)


@each_call()
def test_float64_by_default_dtype(name):
    narrow, wide_by_dtype = CALLS[name](KEY), None
    assert narrow.dtype != np.float64
    with fnets.default_dtype("float64"):
        wide_by_dtype = CALLS[name](KEY)
    assert wide_by_dtype.shape == narrow.shape
    if narrow.dtype == np.float32 and name not in ("choice", "permutation", "multivariate_normal"):
        assert wide_by_dtype.dtype == np.float64


def finite_difference(f, x, eps=1e-6):
    out = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = eps
        out[i] = (f(x + step) - f(x - step)) / (2 * eps)
    return out


REPARAMETRISED = {
    "uniform": lambda p: random.uniform(KEY, (50,), "float64", p[0], p[1]),
    "truncated_normal": lambda p: random.truncated_normal(KEY, p[0], p[1], (50,), "float64"),
    "rayleigh": lambda p: random.rayleigh(KEY, p[0], (50,), "float64"),
    "weibull_min": lambda p: random.weibull_min(KEY, p[0], p[1], (50,), "float64"),
    "pareto": lambda p: random.pareto(KEY, p[0], (50,), "float64"),
    "lognormal": lambda p: random.lognormal(KEY, p[0], (50,), "float64"),
    "double_sided_maxwell": lambda p: random.double_sided_maxwell(KEY, p[0], p[1], (50,), "float64"),
    "triangular": lambda p: random.triangular(KEY, p[0] - 1, p[0], p[1], (50,), "float64"),
    "wald": lambda p: random.wald(KEY, p[0], (50,), "float64"),
    "affine normal": lambda p: p[0] + p[1] * random.normal(KEY, (50,), "float64"),
}


@pytest.mark.parametrize("name", REPARAMETRISED)
def test_gradients_in_the_parameters(name):
    point = np.array([0.8, 1.7])
    pull = np.cos(np.arange(50.0))

    def loss(p):
        return (REPARAMETRISED[name](p) * pull).sum()

    want = finite_difference(loss, point)
    for gradient in (fnets.grad(loss), fnets.jit(fnets.grad(loss))):
        np.testing.assert_allclose(gradient(point), want, rtol=1e-5, atol=1e-6)
    tangent = fnets.jvp(loss, (point,), (np.array([1.0, 0.0]),))[1]
    np.testing.assert_allclose(tangent, want[0], rtol=1e-5, atol=1e-6)


def gamma_probability(a, x, n=200_001):
    """P(X < x) of the gamma distribution by Simpson's rule in u with t = x u**4, which tames the density at 0."""
    u = np.linspace(0, 1, n)
    t = x * u**4
    f = np.exp(-t) * x**a * 4 * u ** (4 * a - 1) / math.gamma(a)  # t ** (a - 1) dt, for a > 1/4
    return (f[0] + f[-1] + 4 * f[1:-1:2].sum() + 2 * f[2:-1:2].sum()) / (3 * (n - 1))


def test_gamma_gradient_keeps_the_probability():
    a = np.array([0.6, 1.0, 2.5, 20.0])
    x = random.gamma(KEY, a, dtype="float64")
    slopes = fnets.grad(lambda a: random.gamma(KEY, a, dtype="float64").sum())(a)
    eps = 1e-4
    for value, draw, slope in zip(a, x, slopes):
        moved = gamma_probability(value + eps, draw + eps * slope) - gamma_probability(value - eps, draw - eps * slope)
        density = math.exp(-draw) * draw ** (value - 1) / math.gamma(value)
        assert abs(moved / (2 * eps)) < 1e-5 * max(1, density * abs(slope))
    logs = fnets.grad(lambda a: random.loggamma(KEY, a, dtype="float64").sum())(a)
    np.testing.assert_allclose(logs, slopes / x, rtol=1e-6)
    tangent = fnets.jvp(lambda a: random.gamma(KEY, a, dtype="float64"), (a,), (np.ones(4),))[1]
    np.testing.assert_allclose(tangent, slopes)
    with pytest.raises(ArgumentError, match="at most one derivative"):
        fnets.grad(lambda a: fnets.grad(lambda b: random.gamma(KEY, b))(a))(np.float32(2.0))


@pytest.mark.parametrize(
    "draw, mean_slope",
    [
        (lambda p, n: random.gamma(KEY, p, (n,), "float64"), lambda p: 1),
        (lambda p, n: random.beta(KEY, p, 2.0, (n,), "float64"), lambda p: 2 / (p + 2) ** 2),
        (lambda p, n: random.beta(KEY, 2.0, p, (n,), "float64"), lambda p: -2 / (p + 2) ** 2),
        (lambda p, n: random.chisquare(KEY, p, (n,), "float64"), lambda p: 1),
        (lambda p, n: random.loggamma(KEY, p, (n,), "float64"), lambda p: math.pi**2 / 6 - 1 if p == 2 else None),
        (lambda p, n: random.t(KEY, p + 4, (n,), "float64") ** 2, lambda p: -2 / (p + 2) ** 2),
        (lambda p, n: random.f(KEY, 3.0, p + 6, (n,), "float64"), lambda p: -2 / (p + 4) ** 2),
        (lambda p, n: random.dirichlet(KEY, fnp.stack([p, 3.0]), (n,), "float64")[:, 0], lambda p: 3 / (p + 3) ** 2),
    ],
    ids=["gamma", "beta a", "beta b", "chisquare", "loggamma", "t", "f", "dirichlet"],
)
def test_mean_of_gradients_is_the_gradient_of_the_mean(draw, mean_slope):
    n, p = 20_000, 2.0
    slopes = fnets.jvp(lambda q: draw(q, n), (np.float64(p),), (np.float64(1.0),))[1]
    error = np.std(slopes) / math.sqrt(n)
    assert abs(np.mean(slopes) - mean_slope(p)) < 5 * error


def test_multivariate_normal_gradients():
    mean, cov = np.array([1.0, -2.0, 0.5]), covariance.astype(np.float64)
    pull = np.cos(np.arange(15.0)).reshape(5, 3)

    def loss(mean, cov):
        return (random.multivariate_normal(KEY, mean, (cov + cov.T) / 2, (5,)) * pull).sum()

    d_mean, d_cov = fnets.grad(loss, (0, 1))(mean, cov)
    np.testing.assert_allclose(d_mean, pull.sum(0))
    np.testing.assert_allclose(d_cov, finite_difference(lambda c: loss(mean, c), cov), rtol=1e-5, atol=1e-7)
    with pytest.raises(ArgumentError, match="method='cholesky'"):
        fnets.grad(lambda c: random.multivariate_normal(KEY, mean, c, method="eigh").sum())(cov)
    for method in ("eigh", "svd"):
        fixed = fnets.grad(lambda m, method=method: random.multivariate_normal(KEY, m, cov, method=method).sum())(mean)
        np.testing.assert_allclose(fixed, 1)


def test_draws_from_an_array_are_differentiable_in_it():
    x = np.arange(5.0)
    order = random.permutation(KEY, 5)
    pull = np.array([1.0, 10.0, 100.0, 1000.0, 10000.0])
    want = np.zeros(5)
    want[order] = pull
    np.testing.assert_array_equal(fnets.grad(lambda x: (random.permutation(KEY, x) * pull).sum())(x), want)
    chosen = random.choice(KEY, 5, (8,))
    counts = fnets.grad(lambda x: random.choice(KEY, x, (8,)).sum())(x)
    np.testing.assert_array_equal(counts, np.bincount(chosen, minlength=5))


def test_traced_parameters_and_seeds():
    np.testing.assert_array_equal(fnets.jit(random.key)(7), random.key(7))
    np.testing.assert_array_equal(fnets.vmap(random.key)(np.array([1, -2])), np.stack([random.key(1), random.key(-2)]))
    fold = fnets.jit(lambda k, i: random.fold_in(k, i))
    np.testing.assert_array_equal(fold(KEY, 3), random.fold_in(KEY, 3))
    low, high = np.array([0, 5, -3]), np.array([4, 9, 1000])
    want = random.randint(KEY, (2, 3), low, high)
    np.testing.assert_array_equal(fnets.jit(lambda a, b: random.randint(KEY, (2, 3), a, b))(low, high), want)
    np.testing.assert_array_equal(
        random.randint(KEY, (9,), 2, 30), random.randint(KEY, (9,), np.int64(2), np.int64(30))
    )
    many = fnets.vmap(lambda lam: random.poisson(KEY, lam, (4,)))(np.array([1.0, 30.0], np.float32))
    np.testing.assert_array_equal(many, np.stack([random.poisson(KEY, lam, (4,)) for lam in (1.0, 30.0)]))
    with pytest.raises(TracerIntegerConversionError):
        fnets.jit(lambda n: random.normal(KEY, (n,)))(3)
    with pytest.raises(ConcretizationTypeError, match="number x decides the result's shape"):
        fnets.jit(random.permutation)(KEY, 3)


# ------------------------------------------------------------------ blocks, streams, threads


def test_long_draws_begin_like_short_ones():
    """Crosses the boundaries of few elements, one block and several blocks."""
    long = random.normal(KEY, (100_001,))
    for n in (1, 63, 64, 65, 1000, 32_768, 32_769):
        np.testing.assert_allclose(random.normal(KEY, (n,)), long[:n], rtol=1e-6, atol=1e-7)
        np.testing.assert_array_equal(random.uniform(KEY, (n,)), random.uniform(KEY, (70_000,))[:n])
    scaled = random.uniform(KEY, (70_000,), minval=-1.0, maxval=3.0)
    np.testing.assert_array_equal(random.uniform(KEY, (5,), minval=-1.0, maxval=3.0), scaled[:5])
    np.testing.assert_array_equal(random.uniform(KEY, (5,), minval=np.float32(-1), maxval=np.float32(3)), scaled[:5])
    numbers = random.randint(KEY, (70_000,), 0, 1000)
    np.testing.assert_array_equal(random.randint(KEY, (70_000,), 0, np.int64(1000)), numbers)


def test_normal_tails_are_exact():
    """The far polynomial: 2**23 uniform numbers, of which the extreme ones, against the normal distribution function."""
    words = np.concatenate([np.arange(40), 2**23 - 1 - np.arange(40)]).astype(np.uint32) << 9
    u = (words >> 9).astype(np.float64) * 2.0**-22 - 1 + 2.0**-24
    x = words.copy()
    random_kernels._single_normal(x)
    x = x.view(np.float32).astype(np.float64)
    # the slope of the quantile turns an error of the probability into one of x; float32 rounds 1 - u * u to 2**-24
    probability = np.array([math.erf(v / math.sqrt(2)) for v in x])
    assert np.abs(probability - u).max() < 2.0**-23
    assert x[0] == x.min() and -5.43 < x[0] < -5.41 and x[40] == x.max() and 5.2 < x[40] < 5.23


def test_philox_streams():
    key = random.key(3, impl="rbg")
    np.testing.assert_array_equal(key, [0, 3, 0, 3])
    np.testing.assert_array_equal(random.key(3, impl="philox"), key)
    assert random.key_impl(key) == "rbg" and random.key_impl(KEY) == "threefry2x32"
    keys = random.split(key, 5)
    assert keys.shape == (5, 4) and len({tuple(k) for k in keys}) == 5
    assert random.split(key, (2, 3)).shape == (2, 3, 4)
    assert tuple(random.fold_in(key, 1)) != tuple(random.fold_in(key, 2))
    chunk = random_kernels._CHUNK
    x = random.normal(key, (2 * chunk + 10,))
    assert len(np.unique(x[:100])) == 100
    assert not np.intersect1d(x[:1000], x[chunk : chunk + 1000]).size
    np.testing.assert_array_equal(random.normal(key, (100,)), x[:100])
    np.testing.assert_array_equal(random.normal(key, (2 * chunk + 10,)), x)
    np.testing.assert_array_equal(random.uniform(key, (3,)), random.uniform(key, (500,))[:3])


def test_threads_draw_the_same():
    want = random.normal(KEY, (50_000,))
    results = [None] * 8

    def work(i):
        results[i] = random.normal(KEY, (50_000,))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for got in results:
        np.testing.assert_array_equal(got, want)


def test_results_are_fresh_and_writeable():
    for name, call in CALLS.items():
        if name not in ("split", "fold_in"):
            call(KEY)[...] = 0
    x = np.arange(3.0)
    random.permutation(KEY, x)[...] = 9
    np.testing.assert_array_equal(x, [0, 1, 2])


def test_tracing_leaves_keys_untouched():
    key = KEY.copy()
    for call in CALLS.values():
        call(key)
    np.testing.assert_array_equal(key, KEY)


# ------------------------------------------------------------------ distributions

N = 20_000
erf = np.vectorize(math.erf)
lgamma = np.vectorize(math.lgamma)


def normal_cdf(x):
    return 0.5 * (1 + erf(x / math.sqrt(2)))


CONTINUOUS = {
    "uniform": (lambda k, n: random.uniform(k, (n,), minval=-1.0, maxval=3.0), lambda x: (x + 1) / 4),
    "normal": (lambda k, n: random.normal(k, (n,)), normal_cdf),
    "normal float64": (lambda k, n: random.normal(k, (n,), "float64"), normal_cdf),
    "truncated_normal": (
        lambda k, n: random.truncated_normal(k, -1.0, 2.0, (n,)),
        lambda x: (normal_cdf(x) - normal_cdf(-1)) / (normal_cdf(2) - normal_cdf(-1)),
    ),
    "exponential": (lambda k, n: random.exponential(k, (n,)), lambda x: -np.expm1(-x)),
    "laplace": (lambda k, n: random.laplace(k, (n,)), lambda x: 0.5 + 0.5 * np.sign(x) * -np.expm1(-np.abs(x))),
    "logistic": (lambda k, n: random.logistic(k, (n,)), lambda x: 1 / (1 + np.exp(-x))),
    "cauchy": (lambda k, n: random.cauchy(k, (n,)), lambda x: 0.5 + np.arctan(x) / np.pi),
    "gumbel": (lambda k, n: random.gumbel(k, (n,)), lambda x: np.exp(-np.exp(-x))),
    "gumbel high": (lambda k, n: random.gumbel(k, (n,), mode="high"), lambda x: np.exp(-np.exp(-x))),
    "rayleigh": (lambda k, n: random.rayleigh(k, 2.0, (n,)), lambda x: -np.expm1(-(x**2) / 8)),
    "weibull_min": (lambda k, n: random.weibull_min(k, 2.0, 1.5, (n,)), lambda x: -np.expm1(-((x / 2) ** 1.5))),
    "pareto": (lambda k, n: random.pareto(k, 3.0, (n,)), lambda x: 1 - x**-3.0),
    "lognormal": (lambda k, n: random.lognormal(k, 0.5, (n,)), lambda x: normal_cdf(np.log(x) / 0.5)),
    "maxwell": (
        lambda k, n: random.maxwell(k, (n,)),
        lambda x: erf(x / math.sqrt(2)) - math.sqrt(2 / math.pi) * x * np.exp(-(x**2) / 2),
    ),
    "triangular": (
        lambda k, n: random.triangular(k, 0.0, 1.0, 3.0, (n,)),
        lambda x: np.where(x < 1, x**2 / 3, 1 - (3 - x) ** 2 / 6),
    ),
    "wald": (
        lambda k, n: random.wald(k, 1.0, (n,)),
        lambda x: normal_cdf((x - 1) / np.sqrt(x)) + math.exp(2) * normal_cdf(-(x + 1) / np.sqrt(x)),
    ),
    "gamma 1": (lambda k, n: random.gamma(k, 1.0, (n,)), lambda x: -np.expm1(-x)),
    "gamma 1/2": (lambda k, n: random.gamma(k, 0.5, (n,)), lambda x: erf(np.sqrt(x))),
    "gamma 4": (
        lambda k, n: random.gamma(k, 4.0, (n,)),
        lambda x: 1 - np.exp(-x) * (1 + x + x**2 / 2 + x**3 / 6),
    ),
    "loggamma": (lambda k, n: random.loggamma(k, 0.5, (n,)), lambda x: erf(np.exp(x / 2))),
    "chisquare": (lambda k, n: random.chisquare(k, 2.0, (n,)), lambda x: -np.expm1(-x / 2)),
    "beta": (lambda k, n: random.beta(k, 2.0, 3.0, (n,)), lambda x: x**2 * (6 - 8 * x + 3 * x**2)),
    "t": (lambda k, n: random.t(k, 2.0, (n,)), lambda x: 0.5 + x / (2 * np.sqrt(2 + x**2))),
    "f": (lambda k, n: random.f(k, 2.0, 4.0, (n,)), lambda x: 1 - (1 + x / 2) ** -2.0),
    "generalized_normal": (lambda k, n: random.generalized_normal(k, 2.0, (n,)), lambda x: 0.5 * (1 + erf(x))),
    "dirichlet": (
        lambda k, n: random.dirichlet(k, np.array([1.0, 1.0, 1.0]), (n,))[:, 1],
        lambda x: 1 - (1 - x) ** 2,
    ),
    "ball": (lambda k, n: np.linalg.norm(random.ball(k, 3, shape=(n,)), axis=1), lambda x: x**3),
}


@pytest.mark.parametrize("key", [KEY, FAST], ids=["threefry", "philox"])
@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_distribution_function(name, key):
    """Kolmogorov and Smirnov's statistic; it exceeds 1.95 / sqrt(n) once in a thousand times."""
    draw, cdf = CONTINUOUS[name]
    x = np.sort(np.asarray(draw(key, N), np.float64))
    p = cdf(x)
    steps = np.arange(N + 1) / N
    assert max(np.abs(p - steps[1:]).max(), np.abs(p - steps[:-1]).max()) < 1.95 / math.sqrt(N)


def poisson_mass(lam):
    return lambda k: np.exp(k * math.log(lam) - lam - lgamma(k + 1.0))


def binomial_mass(n, p):
    return lambda k: np.where(
        k <= n,
        np.exp(
            math.lgamma(n + 1)
            - lgamma(k + 1.0)
            - lgamma(np.maximum(n - k, 0) + 1.0)
            + k * math.log(p)
            + (n - k) * math.log1p(-p)
        ),
        0,
    )


DISCRETE = {
    **{
        f"poisson {lam}": (lambda k, n, lam=lam: random.poisson(k, lam, (n,)), poisson_mass(lam))
        for lam in (0.3, 4.0, 12.0, 200.0)
    },
    "poisson of several rates": (
        lambda k, n: random.poisson(k, np.array([0.5, 15.0], np.float32), (n, 2))[:, 1],
        poisson_mass(15.0),
    ),
    **{
        f"binomial {n} {p}": (lambda k, size, n=n, p=p: random.binomial(k, n, p, (size,)), binomial_mass(n, p))
        for n, p in ((10, 0.3), (10, 0.8), (100, 0.5), (1000, 0.9), (40, 0.35))
    },
    "geometric": (lambda k, n: random.geometric(k, 0.2, (n,)), lambda k: np.where(k > 0, 0.2 * 0.8 ** (k - 1.0), 0)),
    "randint": (lambda k, n: random.randint(k, (n,), 0, 7), lambda k: np.where(k < 7, 1 / 7, 0)),
    "randint small": (lambda k, n: random.randint(k, (n,), 0, 5, "uint8"), lambda k: np.where(k < 5, 1 / 5, 0)),
    "bernoulli": (lambda k, n: random.bernoulli(k, 0.3, (n,)), lambda k: np.where(k < 2, np.where(k, 0.3, 0.7), 0)),
    "categorical": (
        lambda k, n: random.categorical(k, np.log(weights), shape=(n,)),
        lambda k: np.where(k < 3, weights[np.minimum(k, 2)], 0),
    ),
    "choice": (
        lambda k, n: random.choice(k, 3, (n,), p=weights),
        lambda k: np.where(k < 3, weights[np.minimum(k, 2)], 0),
    ),
    "multinomial": (
        lambda k, n: random.multinomial(k, np.full(n, 8.0), weights, shape=(n, 3))[:, 1],
        binomial_mass(8, 0.4),
    ),
    "rademacher": (lambda k, n: random.rademacher(k, (n,)) + 1, lambda k: np.where((k == 0) | (k == 2), 0.5, 0)),
}


@pytest.mark.parametrize("key", [KEY, FAST], ids=["threefry", "philox"])
@pytest.mark.parametrize("name", DISCRETE)
def test_probabilities(name, key):
    """Pearson's chi-square over the outcomes that are expected five times or more; its fourth root is about normal."""
    draw, mass = DISCRETE[name]
    counts = np.bincount(np.asarray(draw(key, N)).astype(np.int64), minlength=400)
    expected = N * np.asarray(mass(np.arange(counts.size)), np.float64)
    often = expected >= 5
    counts, expected = (
        np.append(counts[often], counts[~often].sum()),
        np.append(expected[often], expected[~often].sum()),
    )
    if expected[-1] < 1:
        counts, expected = counts[:-1], expected[:-1]
    statistic, freedom = ((counts - expected) ** 2 / expected).sum(), len(counts) - 1
    assert counts.sum() > 0.99 * N
    assert statistic < freedom + 4 * math.sqrt(2 * freedom) + 8


def test_orthogonal_is_orthogonal_and_uniform():
    q = random.orthogonal(KEY, 3, (4000,))
    np.testing.assert_allclose(q @ q.swapaxes(1, 2), np.broadcast_to(np.eye(3), q.shape), atol=1e-5)
    assert np.abs(q.mean(0)).max() < 0.05 and np.abs((q**2).mean(0) - 1 / 3).max() < 0.03
    unitary = random.orthogonal(KEY, 3, dtype="complex64")
    np.testing.assert_allclose(unitary @ unitary.conj().T, np.eye(3), atol=1e-5)


def test_permutations_are_uniform():
    orders = fnets.vmap(lambda k: random.permutation(k, 4))(random.split(KEY, 12_000))
    counts = np.unique(orders @ [64, 16, 4, 1], return_counts=True)[1]
    assert counts.size == 24 and ((counts - 500) ** 2 / 500).sum() < 23 + 4 * math.sqrt(46)
    columns = random.permutation(KEY, np.tile(np.arange(50)[:, None], (1, 40)), independent=True)
    np.testing.assert_array_equal(np.sort(columns, 0), np.tile(np.arange(50)[:, None], (1, 40)))
    assert (columns[:, 1:] != columns[:, :1]).any(0).all()
    np.testing.assert_array_equal(np.sort(random.permutation(KEY, 100_000)), np.arange(100_000))


def test_without_replacement():
    for p in (None, np.arange(1.0, 11.0, dtype=np.float32)):
        got = random.choice(KEY, 10, (2, 5), replace=False, p=p)
        np.testing.assert_array_equal(np.sort(got.ravel()), np.arange(10))
    got = random.categorical(KEY, np.zeros((3, 6), np.float32), shape=(6, 3), replace=False)
    np.testing.assert_array_equal(np.sort(got, 0), np.tile(np.arange(6)[:, None], (1, 3)))


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_edges_of_the_parameters():
    np.testing.assert_array_equal(random.poisson(KEY, np.array([0.0, np.nan, -1.0], np.float32)), [0, -1, -1])
    got = random.binomial(
        KEY, np.array([5.0, 5.0, -1.0, np.inf, 5.0, np.nan]), np.array([0.0, 1.0, 0.5, 0.5, 2.0, 0.5])
    )
    np.testing.assert_array_equal(got, [0, 5, np.nan, np.inf, np.nan, np.nan])
    np.testing.assert_array_equal(random.geometric(KEY, 1.0, (4,)), 1)
    np.testing.assert_array_equal(random.gamma(KEY, np.array([0.0, 1e-30])), 0)
    assert np.isfinite(random.loggamma(KEY, np.float32(1e-6)))
    assert np.isnan(random.gamma(KEY, np.nan))
    np.testing.assert_array_equal(random.bernoulli(KEY, np.array([0.0, 1.0])), [False, True])
    for dtype in ("int8", "uint8", "int16", "int64", "uint64"):
        info = np.iinfo(dtype)
        x = random.randint(KEY, (5000,), info.min, info.max + 1, dtype)
        assert x.dtype == dtype and len(np.unique(x >> info.bits - 8 if info.bits > 8 else x)) == 256
        np.testing.assert_array_equal(random.randint(KEY, (3,), info.max, info.max + 1, dtype), info.max)
    for shape in ((0,), (3, 0), ()):
        assert random.normal(KEY, shape).shape == random.poisson(KEY, 3.0, shape).shape == shape
        assert random.gamma(KEY, 2.0, shape).shape == random.randint(KEY, shape, 0, 9).shape == shape
        assert random.normal(FAST, shape).shape == random.gamma(FAST, 2.0, shape).shape == shape
    assert random.permutation(KEY, 0).shape == (0,)
    assert random.choice(KEY, 5, (0,)).shape == (0,)
    assert random.split(KEY, 0).shape == (0, 2)
    assert fnets.vmap(lambda k: random.normal(k, (3,)))(np.zeros((0, 2), np.uint32)).shape == (0, 3)


# ------------------------------------------------------------------ arguments

WRONG = [
    (lambda: random.key(0.5), DTypeError, r"\[random.key\] expected an integer seed, got float64"),
    (lambda: random.key(np.float32(1)), DTypeError, "expected an integer seed, got float32"),
    (lambda: random.key("a"), ArgumentError, "got str"),
    (lambda: random.key(np.arange(3)), ShapeError, r"shape \(3,\). Use fnets.vmap"),
    (lambda: random.key(2**64), OverflowError, "at most 64 bits"),
    (lambda: random.key(0, impl="mersenne"), ArgumentError, "'threefry2x32', 'rbg' or 'philox', got 'mersenne'"),
    (lambda: random.key(0, impl="rbg", dtype="rbg"), ArgumentError, "impl= or dtype=, got both"),
    (lambda: random.normal(0), ArgumentError, r"\[random.normal\] expected a key as first argument, got int"),
    (lambda: random.normal(None, (3,)), ArgumentError, "got NoneType"),
    (lambda: random.normal(np.zeros(2)), ArgumentError, r"a uint32 array of shape \(2,\), got float64\[2\]"),
    (lambda: random.split(np.zeros(3, np.uint32)), ArgumentError, r"got uint32\[3\]"),
    (
        lambda: random.uniform(np.zeros((3, 2), np.uint32)),
        ShapeError,
        r"a batch of keys of shape \(3, 2\). Use fnets.vmap",
    ),
    (lambda: random.split(KEY, 2.5), ArgumentError, r"\[random.split\] expected a shape"),
    (lambda: random.split(KEY, -1), ShapeError, "non-negative"),
    (lambda: random.fold_in(KEY, 1.5), DTypeError, "an integer to fold in, got float64"),
    (lambda: random.fold_in(KEY, np.arange(2)), ShapeError, r"shape \(2,\)"),
    (lambda: random.fold_in(KEY, -1), OverflowError, "from 0 to"),
    (lambda: random.normal(KEY, (2, "x")), ArgumentError, "a tuple of ints"),
    (lambda: random.normal(KEY, (2, -1)), ShapeError, r"non-negative sizes, got \(2, -1\)"),
    (lambda: random.normal(KEY, (2,), "int32"), ArgumentError, "float or complex dtype, got int32"),
    (lambda: random.uniform(KEY, (2,), int), ArgumentError, "float dtype, got int64"),
    (lambda: random.uniform(KEY, (2,), "huge"), ArgumentError, "float dtype, got 'huge'"),
    (lambda: random.bits(KEY, (2,), "int32"), ArgumentError, "unsigned integer dtype, got int32"),
    (lambda: random.randint(KEY, (2,), 0, 5, "float32"), ArgumentError, "integer dtype, got float32"),
    (lambda: random.uniform(KEY, (2,), minval=np.zeros(3)), ShapeError, r"broadcast to shape \(2,\), got \(3,\)"),
    (lambda: random.gamma(KEY, np.ones(3), (2,)), ShapeError, r"broadcast to shape \(2,\), got \(3,\)"),
    (lambda: random.beta(KEY, np.ones(3), np.ones(2)), ShapeError, r"\[random.beta\]"),
    (lambda: random.bernoulli(KEY, np.ones((4, 3)), (3,)), ShapeError, r"broadcast to shape \(3,\)"),
    (lambda: random.bernoulli(KEY, 0.5, (3,), "middle"), ArgumentError, "mode 'high' or 'low', got 'middle'"),
    (lambda: random.gumbel(KEY, (3,), mode="x"), ArgumentError, "got 'x'"),
    (lambda: random.permutation(KEY, 2.5), ArgumentError, "an integer or an array with axes"),
    (lambda: random.permutation(KEY, -3), ArgumentError, "non-negative integer, got -3"),
    (lambda: random.permutation(KEY, matrix, 2), AxisError, "axis between -2 and 1, got 2"),
    (lambda: random.choice(KEY, 3, (4,), replace=False), ArgumentError, "at most 3 draws"),
    (lambda: random.choice(KEY, 0, (4,)), ArgumentError, "something to choose from"),
    (lambda: random.choice(KEY, 3, (4,), p=np.ones(4)), ShapeError, r"p of shape \(3,\)"),
    (lambda: random.categorical(KEY, matrix, shape=(3,)), ShapeError, r"\[random.categorical\]"),
    (lambda: random.categorical(KEY, weights, shape=(4,), replace=False), ArgumentError, "at most 3 draws"),
    (lambda: random.dirichlet(KEY, 1.0), ShapeError, "at least one axis"),
    (lambda: random.multivariate_normal(KEY, np.zeros(2), np.eye(3)), ShapeError, r"got \(2,\) and \(3, 3\)"),
    (lambda: random.multivariate_normal(KEY, np.zeros(2), np.eye(2), method="lu"), ArgumentError, "got 'lu'"),
    (lambda: random.multivariate_normal(KEY, np.zeros(2), -np.eye(2)), ArgumentError, "positive definite"),
    (lambda: random.orthogonal(KEY, -1), ShapeError, "non-negative"),
    (lambda: random.wrap_key_data(np.zeros(3, np.uint32)), ArgumentError, r"uint32\[3\]"),
    (lambda: random.wrap_key_data(KEY, impl="rbg"), ArgumentError, "4 words"),
]


@pytest.mark.parametrize("call, error, told", WRONG, ids=range(len(WRONG)))
def test_wrong_arguments(call, error, told):
    with pytest.raises(error, match=told) as caught:
        call()
    assert "test_random.py" in str(caught.value)


def test_signatures_are_documented():
    for name in random.__all__:
        assert inspect.getdoc(getattr(random, name)), name


# ------------------------------------------------------------------ key reuse


def test_reuse_is_found_and_both_lines_are_named():
    with random.check_key_reuse():
        key, sub = random.split(random.key(5))
        random.normal(sub, (2,))  # the first use
        with pytest.raises(random.KeyReuseError) as caught:
            random.uniform(sub)  # the second use
    text = str(caught.value)
    assert "random.normal(sub, (2,))  # the first use" in text and "random.uniform(sub)  # the second use" in text
    assert isinstance(caught.value, FnetsError)
    random.uniform(sub)
    random.uniform(sub)


def test_reuse_check_lets_right_programs_through():
    with random.check_key_reuse():
        key, steps = random.split(random.key(6))
        for step in range(3):
            random.permutation(random.fold_in(steps, step), 4)
        for _ in range(3):
            key, sub = random.split(key)
            random.dirichlet(sub, vector)
        fnets.jit(lambda k: random.normal(k) + random.normal(k))(key)
        fnets.vmap(lambda k: random.normal(k))(random.split(key))
        random.normal(random.clone(key))
        with pytest.raises(random.KeyReuseError):
            random.split(key)
        with random.check_key_reuse():
            random.normal(key)


def test_reuse_check_is_per_thread():
    errors = []

    def draw():
        try:
            random.normal(KEY)
            random.normal(KEY)
        except random.KeyReuseError as error:
            errors.append(error)

    with random.check_key_reuse():
        thread = threading.Thread(target=draw)
        thread.start()
        thread.join()
    assert not errors


def test_bfloat16_numbers_are_those_of_jax():
    """Values of jax.random 0.10.2 for key(0), shape (3,)."""
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    expected = {
        "uniform": [0.6484375, 0.5703125, 0.15625],
        "normal": [0.38671875, 0.1826171875, -1.0],
        "gumbel": [0.8359375, 0.57421875, -0.62109375],
    }
    for name, values in expected.items():
        for draw in (getattr(random, name), fnets.jit(getattr(random, name), static_argnums=(1, 2))):
            x = draw(random.key(0), (3,), bfloat16)
            assert x.dtype == bfloat16
            np.testing.assert_array_equal(x.astype(np.float64), values)
    for name in ("exponential", "laplace", "cauchy", "logistic"):
        assert getattr(random, name)(KEY, (3,), bfloat16).dtype == bfloat16
    assert random.normal(FAST, (3,), bfloat16).dtype == bfloat16
