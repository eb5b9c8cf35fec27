"""Kernels of the special functions, on plain NumPy arrays. Imports nothing of fnets.

Every public function takes an array, a NumPy scalar or a Python number and has NumPy's dtypes: a float keeps its dtype, integers and
bools become floats as in `np.exp`. None of them warns; nan, infinities, signed zeros and denormals give the limits of the function.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

_FLOATS = {np.dtype(c): np.dtype(c) for c in "efd"} | {np.dtype(c): np.exp(np.zeros(1, c)).dtype for c in "?bBhHiIlLqQ"}


def _floating(x: Any) -> np.ndarray:
    """`x` as a float array, with the dtype that `np.exp` would give."""
    x = np.asarray(x)
    return x.astype(_FLOATS[x.dtype], copy=False)


@functools.lru_cache(maxsize=None)
def _result_dtype(*kinds: Any) -> np.dtype:
    """The dtype of a function of several operands, given as dtypes and, for weak operands, Python types."""
    out = kinds[0]
    for kind in kinds[1:] or kinds:
        out = np.arctan2.resolve_dtypes((out, kind, None))[2]
    return out


def _elementwise(name: str, nin: int = 1) -> Callable:
    """Turn a kernel of float64 arrays into a function with NumPy's dtypes and broadcasting."""

    def wrap(kernel: Callable) -> Callable:
        def function(*args: Any) -> Any:
            kinds = [type(a) if type(a) in (bool, int, float) else np.asarray(a).dtype for a in args]
            dtype = _result_dtype(*[np.dtype(bool) if k is bool else k for k in kinds])
            arrays = np.broadcast_arrays(*args)
            shape = arrays[0].shape
            with np.errstate(all="ignore"):
                out = kernel(*[a.ravel().astype(np.float64) for a in arrays])
                return out.astype(dtype).reshape(shape)[()]

        function.__name__ = function.__qualname__ = name
        function.__doc__ = kernel.__doc__
        return function

    return wrap


def logistic(x: Any) -> Any:
    """1 / (1 + exp(-x)), without overflow; complex arrays too."""
    x = np.asarray(x)
    if x.dtype.kind == "c":
        return (1 / (1 + np.exp(-x)))[()]
    x = _floating(x)
    y = np.exp(-np.abs(x))
    return (np.where(x < 0, y, 1) / (1 + y)).astype(x.dtype)[()]


def relu(x: Any) -> Any:
    """The larger of `x` and 0."""
    return np.maximum(x, 0)


def softplus(x: Any) -> Any:
    """log(1 + exp(x)), without overflow."""
    x = _floating(x)
    return (np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)).astype(x.dtype)[()]


def rsqrt(x: Any) -> Any:
    """1 / sqrt(x)."""
    x = np.asarray(x)
    with np.errstate(all="ignore"):
        return np.reciprocal(np.sqrt(x))[()]


def _map(f: Callable) -> Callable:
    return lambda x: np.array([f(v) for v in x.tolist()], np.float64)


@_elementwise("erf")
def erf(x: np.ndarray) -> np.ndarray:
    """The error function."""
    return _map(math.erf)(x)


@_elementwise("erfc")
def erfc(x: np.ndarray) -> np.ndarray:
    """1 - erf(x), accurate in the far tail."""
    return _map(math.erfc)(x)


def _erf_inv(x: np.ndarray) -> np.ndarray:
    w = -np.log((1 - x) * (1 + x))
    s = np.sqrt(w + 1e-300)
    small = np.polyval(
        [
            2.81022636e-08,
            3.43273939e-07,
            -3.5233877e-06,
            -4.39150654e-06,
            0.00021858087,
            -0.00125372503,
            -0.00417768164,
            0.246640727,
            1.50140941,
        ],
        w - 2.5,
    )
    large = np.polyval(
        [
            -0.000200214257,
            0.000100950558,
            0.00134934322,
            -0.00367342844,
            0.00573950773,
            -0.0076224613,
            0.00943887047,
            1.00167406,
            2.83297682,
        ],
        s - 3,
    )
    y = np.where(w < 5, small, large) * x
    for _ in range(2):  # Newton steps for the digits that single precision lacks
        far = np.abs(x) > 0.5
        err = np.where(far, (1 - np.abs(x)) - erfc(np.abs(y)), erf(np.abs(y)) - np.abs(x))
        err = np.where(far, err * 1.0, err)
        step = np.sign(x) * err / (2 / math.sqrt(math.pi) * np.exp(-y * y))
        y = y - step / (1 + y * step)
    y = np.where(np.abs(x) == 1, x * np.inf, y)
    return np.where(np.abs(x) > 1, np.nan, np.where(x == 0, x, y))


@_elementwise("erf_inv")
def erf_inv(x: np.ndarray) -> np.ndarray:
    """The inverse of erf on (-1, 1). Giles, "Approximating the erfinv function", 2012."""
    x = np.asarray(x)
    w = -np.log1p(-x * x)
    return _erf_inv(x)


@_elementwise("lgamma")
def lgamma(x: np.ndarray) -> np.ndarray:
    """log |Gamma(x)|."""

    def one(v: float) -> float:
        try:
            return math.lgamma(v)
        except (ValueError, OverflowError):
            return math.inf

    return _map(one)(x)


@_elementwise("digamma")
def digamma(x: np.ndarray) -> np.ndarray:
    """The derivative of lgamma."""
    neg = x < 0.5
    z = np.where(neg, 1 - x, x)
    small = z < 10
    shift = np.zeros_like(z)
    w = z.copy()
    for _ in range(10):
        shift += np.where(small, 1 / w, 0)
        w = np.where(small, w + 1, w)
    u = 1 / (w * w)
    series = u * (1 / 12 - u * (1 / 120 - u * (1 / 252 - u * (1 / 240 - u * (1 / 132 - u * (691 / 32760 - u / 12))))))
    y = np.log(w) - 0.5 / w - series - shift
    r = x - np.round(x)
    y = np.where(neg, y - np.pi / np.tan(np.pi * r), y)
    y = np.where((x == np.floor(x)) & (x < 0), np.nan, y)
    y = np.where(x == 0, -np.copysign(np.inf, x), y)
    return np.where(x == np.inf, np.inf, np.where(x == -np.inf, np.nan, y))


_ZETA = [
    1 / 12,
    -1 / 720,
    1 / 30240,
    -1 / 1209600,
    1 / 47900160,
    -691 / 1307674368000,
    1 / 74724249600,
    -3617 / 10670622842880000,
]


@_elementwise("zeta", 2)
def zeta(s: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The Hurwitz zeta function, the sum of (k + q) ** -s, by Euler and Maclaurin's formula."""
    n = 12
    out = np.zeros_like(s)
    for k in range(n):
        out += (q + k) ** -s
    w = q + n
    p = w**-s
    out += w * p / (s - 1) + 0.5 * p
    t = s * p / w
    for k, b in enumerate(_ZETA):
        out += b * t
        t = t * (s + 2 * k + 1) * (s + 2 * k + 2) / (w * w)
    out = np.where(s == 1, np.inf, out)
    out = np.where(s < 1, np.nan, out)
    return np.where(q <= 0, np.where((q == np.floor(q)) | False, np.inf, out), out)


@_elementwise("polygamma", 2)
def polygamma(n: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The n-th derivative of digamma."""
    sign = np.where(n % 2 == 1, 1.0, -1.0)
    return np.where(n == 0, digamma(x), sign * np.exp(lgamma(n + 1)) * zeta(n + 1, x))


def _gamma_series(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    term = np.ones_like(a)
    total = term.copy()
    k = a.copy()
    for _ in range(2000):
        k += 1
        term = term * x / k
        total += term
        if not (term > total * 1e-17).any():
            break
    return total


def _gamma_fraction(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    b = x + 1 - a
    c = np.full_like(a, 1e300)
    d = 1 / b
    h = d.copy()
    for i in range(1, 2000):
        an = -i * (i - a)
        b = b + 2
        d = 1 / (an * d + b)
        c = b + an / c
        h = h * (d * c)
        if not (np.abs(d * c - 1) > 1e-16).any():
            break
    return h


def _igamma_pair(a: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    bad = (a <= 0) | (x < 0) | np.isnan(a) | np.isnan(x)
    series = x < a + 1
    with np.errstate(all="ignore"):
        front = np.exp(a * np.log(x) - x - lgamma(a))
        p, q = np.zeros_like(a), np.ones_like(a)
        ok = series & ~bad & (x > 0)
        p[ok] = front[ok] * _gamma_series(a[ok], x[ok]) / a[ok]
        q[ok] = 1 - p[ok]
        far = ~series & ~bad & np.isfinite(x)
        q[far] = front[far] * _gamma_fraction(a[far], x[far])
        p[far] = 1 - q[far]
        p[x == np.inf], q[x == np.inf] = 1, 0
        p[bad] = q[bad] = np.nan
    return p, q


@_elementwise("igamma", 2)
def igamma(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The regularised lower incomplete gamma function."""
    return _igamma_pair(a, x)[0]


@_elementwise("igammac", 2)
def igammac(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The regularised upper incomplete gamma function."""
    return _igamma_pair(a, x)[1]


@_elementwise("igamma_grad_a", 2)
def igamma_grad_a(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The derivative of igamma(a, x) in a."""
    h = 1e-3 * np.minimum(1, a)
    f = [_igamma_pair(a + k * h, x)[0] for k in (-3, -2, -1, 1, 2, 3)]
    return (-f[0] + 9 * f[1] - 45 * f[2] + 45 * f[3] - 9 * f[4] + f[5]) / (60 * h)


@_elementwise("random_gamma_grad", 2)
def random_gamma_grad(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The derivative in a of a sample x of Gamma(a, 1), at fixed igamma(a, x)."""
    return -igamma_grad_a(a, x) / np.exp((a - 1) * np.log(x) - x - lgamma(a))


@_elementwise("betainc", 3)
def betainc(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The regularised incomplete beta function, by its continued fraction (modified Lentz)."""
    swap = x > (a + 1) / (a + b + 2)
    p, q, z = np.where(swap, b, a), np.where(swap, a, b), np.where(swap, 1 - x, x)
    front = np.exp(lgamma(p + q) - lgamma(p) - lgamma(q) + p * np.log(z) + q * np.log1p(-z)) / p
    c = np.ones_like(p)
    d = 1 / (1 - (p + q) * z / (p + 1))
    h = d.copy()
    for m in range(1, 2000):
        t = m * (q - m) * z / ((p + 2 * m - 1) * (p + 2 * m))
        d = 1 / (1 + t * d)
        c = 1 + t / c
        h *= d * c
        t = -(p + m) * (p + q + m) * z / ((p + 2 * m) * (p + 2 * m + 1))
        d = 1 / (1 + t * d)
        c = 1 + t / c
        h *= d * c
        if not (np.abs(d * c - 1) > 1e-16).any():
            break
    out = front * h
    out = np.where(swap, 1 - out, out)
    out = np.where(x == 0, 0.0, np.where(x == 1, 1.0, out))
    return np.where((a > 0) & (b > 0) & (x >= 0) & (x <= 1), out, np.nan)


def _bessel(order: int, x: np.ndarray) -> np.ndarray:
    """exp(-|x|) I_order(x), as a mean over the circle: exact to rounding with this many nodes."""
    a = np.abs(x)
    big = a > 700
    safe = np.where(big, 700, a)
    n = 128
    total = np.zeros_like(safe)
    for k in range(n):
        t = math.pi * (k + 0.5) / n
        total += np.exp(safe * (math.cos(t) - 1)) * (math.cos(t) if order else 1.0)
    y = total / n
    mu = 4.0 * order * order
    e = 8 * np.where(big, a, 700)
    asym = (
        1 - (mu - 1) / e * (1 - (mu - 9) / (2 * e) * (1 - (mu - 25) / (3 * e) * (1 - (mu - 49) / (4 * e))))
    ) / np.sqrt(math.pi * e / 4)
    y = np.where(big, asym, y)
    return np.where(x < 0, -y, y) if order else y


@_elementwise("i0e")
def i0e(x: np.ndarray) -> np.ndarray:
    """exp(-|x|) i0(x)."""
    return _bessel(0, x)


@_elementwise("i1e")
def i1e(x: np.ndarray) -> np.ndarray:
    """exp(-|x|) i1(x)."""
    return _bessel(1, x)


@_elementwise("i0")
def i0(x: np.ndarray) -> np.ndarray:
    """The modified Bessel function of the first kind, order 0."""
    return _bessel(0, x) * np.exp(np.abs(x))


@_elementwise("i1")
def i1(x: np.ndarray) -> np.ndarray:
    """The modified Bessel function of the first kind, order 1."""
    return _bessel(1, x) * np.exp(np.abs(x))


@_elementwise("ndtr")
def ndtr(x: np.ndarray) -> np.ndarray:
    """The distribution function of the standard normal distribution."""
    return 0.5 * erfc(-x / math.sqrt(2))


@_elementwise("log_ndtr")
def log_ndtr(x: np.ndarray) -> np.ndarray:
    """log(ndtr(x)), accurate in both tails."""
    u = 1 / (x * x)
    far = (
        -x * x / 2
        - np.log(-x)
        - 0.5 * math.log(2 * math.pi)
        + np.log1p(-u * (1 - 3 * u * (1 - 5 * u * (1 - 7 * u * (1 - 9 * u)))))
    )
    near = np.log(0.5 * erfc(-x / math.sqrt(2)))
    return np.where(x < -20, far, np.where(x > 0, np.log1p(-0.5 * erfc(x / math.sqrt(2))), near))


@_elementwise("ndtri")
def ndtri(p: np.ndarray) -> np.ndarray:
    """The inverse of ndtr."""
    q = np.minimum(p, 1 - p)
    z = math.sqrt(2) * erf_inv(1 - 2 * q)
    for _ in range(3):
        f = 0.5 * erfc(z / math.sqrt(2))
        z = z + np.where(q > 0, (f - q) * math.sqrt(2 * math.pi) * np.exp(z * z / 2), 0)
    z = np.where(q == 0, np.inf, z)
    return np.where((p < 0) | (p > 1), np.nan, np.where(p < 0.5, -z, z))


@_elementwise("exp1")
def exp1(x: np.ndarray) -> np.ndarray:
    """The exponential integral E1."""
    term = np.ones_like(x)
    total = np.zeros_like(x)
    for k in range(1, 60):
        term = -term * np.minimum(x, 2) / k
        total -= term / k
    near = total - np.euler_gamma - np.log(x)
    h = _gamma_fraction(np.zeros_like(x), np.maximum(x, 1)) * np.exp(-x)
    return np.where(x < 2, near, np.where(x == np.inf, 0, h))


@_elementwise("expi")
def expi(x: np.ndarray) -> np.ndarray:
    """The exponential integral Ei."""
    y = np.clip(x, 0, 40)
    term = np.ones_like(y)
    total = np.zeros_like(y)
    for k in range(1, 160):
        term = term * y / k
        total += term / k
    near = total + np.euler_gamma + np.log(y)
    t, s = np.ones_like(x), np.ones_like(x)
    for k in range(1, 30):
        t = t * k / np.maximum(x, 40)
        s += t
    out = np.where(x > 40, np.exp(x) / x * s, near)
    return np.where(x < 0, -exp1(-x), np.where(x == np.inf, np.inf, out))


@_elementwise("spence")
def spence(x: np.ndarray) -> np.ndarray:
    """The dilogarithm of 1 - x."""
    inv = x > 2
    y = np.where(inv, 1 / x, x)
    mid = (y > 0.5) & (y <= 2)
    w = np.where(y > 1.5, 1 / y - 1, np.where(y < 0.5, -y, y - 1))
    z = -w
    total, power = np.zeros_like(z), np.ones_like(z)
    for k in range(1, 70):
        power = power * z
        total += power / (k * k)
    # total = Li2(z)
    big = y > 1.5
    out = np.where(
        big,
        -total - 0.5 * np.log(y) ** 2,
        np.where(y < 0.5, math.pi**2 / 6 - np.where(y == 0, 0, np.log(y) * np.log1p(-y)) - total, total),
    )
    out = np.where(inv, -0.5 * np.log(x) ** 2 - out, out)
    return np.where(x < 0, np.nan, out)
