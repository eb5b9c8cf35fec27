"""Special functions of vectors: the normal law's, the gamma function's. May import coefficients, text, vmath, primitives.special.

Formulas and coefficients are those of the NumPy kernels in primitives/special.py, whose limits these have too, but for erf and erfc.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fnets.backends.llvm.code import coefficients as table
from fnets.backends.llvm.code.text import BOOL, DOUBLE, SINGLE, Lanes
from fnets.backends.llvm.code.vmath import (
    at_most,
    exp,
    horner,
    in_double,
    log,
    log1p,
    negative,
    sin_of_reducible,
    sqrt,
    tan_of_reducible,
    where_any,
)
from fnets.primitives import special

_ERF_EDGE, _ERF_END = 0.93, {SINGLE: 4.0, DOUBLE: 6.0}
_LGAMMA = {SINGLE: special.LGAMMA_SINGLE, DOUBLE: special.LGAMMA_DOUBLE}
_DIGAMMA = {SINGLE: special.DIGAMMA_SINGLE, DOUBLE: special.DIGAMMA_DOUBLE}


def _fitted(v: Lanes, x: str, polynomial: Any, dtype: np.dtype) -> str:
    """The value of a polynomial, or a quotient of two, of the NumPy kernels."""
    rows = [horner(v, x, row.tolist(), dtype) for row in np.atleast_2d(polynomial.rows)]
    return rows[0] if len(rows) == 1 else v.binary("fdiv", *rows, dtype)


# ------------------------------------------------------------------ the normal law


def erf(v: Lanes, x: str, dtype: np.dtype) -> str:
    """x times a polynomial near 0, 1 - exp(polynomial) beyond."""
    size = v.intrinsic("fabs", dtype, x)
    near = v.fma(x, horner(v, v.binary("fmul", x, x, dtype), table.ERF_NEAR[dtype], dtype), x, dtype)
    t = at_most(v, size, _ERF_END[dtype], dtype)
    far = v.binary("fsub", v.const(1.0, dtype), exp(v, horner(v, t, table.ERF_FAR[dtype], dtype), dtype), dtype)
    far = v.intrinsic("copysign", dtype, far, x)
    return v.select(v.compare("olt", size, v.const(_ERF_EDGE, dtype), dtype), near, far, dtype)


def _scaled_erfc(v: Lanes, t: str, dtype: np.dtype) -> str:
    """exp(t * t) erfc(t) for t >= 0: a polynomial in (t - 3) / (t + 3) = 1 - 6 / (t + 3), divided by t + 1."""
    sixth = v.binary("fdiv", v.const(-6.0, dtype), v.binary("fadd", t, v.const(3.0, dtype), dtype), dtype)
    q = v.binary("fadd", sixth, v.const(1.0, dtype), dtype)
    bottom = v.binary("fadd", t, v.const(1.0, dtype), dtype)
    return v.binary("fdiv", horner(v, q, table.ERFC[dtype], dtype), bottom, dtype)


def _bell(v: Lanes, t: str, half: float, times: str, dtype: np.dtype) -> str:
    """exp(-half * t * t) * times, for a power of two `half`; the square in two parts, as its rounding would cost t * t ulp."""
    minus = v.binary("fmul", t, v.const(-half, dtype), dtype)
    square = v.binary("fmul", minus, t, dtype)
    return exp(v, square, dtype, v.fma(minus, t, negative(v, square, dtype), dtype), times)


def erfc(v: Lanes, x: str, dtype: np.dtype) -> str:
    """exp(-t * t) times a slow function of t = |x|; 2 minus that below 0."""
    t = v.intrinsic("fabs", dtype, x)
    tail = _bell(v, t, 1.0, _scaled_erfc(v, t, dtype), dtype)
    complement = v.binary("fsub", v.const(2.0, dtype), tail, dtype)
    return v.select(v.compare("olt", x, v.const(0.0, dtype), dtype), complement, tail, dtype)


def _half_scaled_tail(v: Lanes, t: str, dtype: np.dtype) -> str:
    """exp(t * t / 2) times the probability beyond t >= 0."""
    scaled = _scaled_erfc(v, v.binary("fmul", t, v.const(math.sqrt(0.5), dtype), dtype), dtype)
    return v.binary("fmul", scaled, v.const(0.5, dtype), dtype)


def ndtr(v: Lanes, x: str, dtype: np.dtype) -> str:
    t = v.intrinsic("fabs", dtype, x)
    tail = _bell(v, t, 0.5, _half_scaled_tail(v, t, dtype), dtype)
    complement = v.binary("fsub", v.const(1.0, dtype), tail, dtype)
    return v.select(v.compare("ogt", x, v.const(0.0, dtype), dtype), complement, tail, dtype)


def log_ndtr(v: Lanes, x: str, dtype: np.dtype) -> str:
    t = v.intrinsic("fabs", dtype, x)
    scaled = _half_scaled_tail(v, t, dtype)
    half = v.binary("fmul", x, v.const(-0.5, dtype), dtype)
    left = v.fma(half, x, log(v, scaled, dtype), dtype)
    right = log1p(v, negative(v, _bell(v, t, 0.5, scaled, dtype), dtype), dtype)
    return v.select(v.compare("olt", x, v.const(0.0, dtype), dtype), left, right, dtype)


def erf_inv(v: Lanes, x: str, dtype: np.dtype) -> str:
    if dtype == DOUBLE:
        tail = v.fma(v.intrinsic("fabs", dtype, x), v.const(-0.5, dtype), v.const(0.5, dtype), dtype)
        y = _normal_quantile(v, v.binary("fmul", x, v.const(0.5, dtype), dtype), tail, dtype)
        return v.binary("fmul", y, v.const(math.sqrt(0.5), dtype), dtype)
    w = negative(v, log1p(v, negative(v, v.binary("fmul", x, x, dtype), dtype), dtype), dtype)
    near = _fitted(v, v.binary("fadd", w, v.const(-2.5, dtype), dtype), special.GILES_NEAR, dtype)

    def far() -> str:
        y = _fitted(v, v.binary("fadd", sqrt(v, w, dtype), v.const(-3.0, dtype), dtype), special.GILES_FAR, dtype)
        infinity = v.const(math.inf, dtype)
        return v.select(v.compare("oeq", w, infinity, dtype), infinity, y, dtype)

    return v.binary("fmul", where_any(v, v.compare("oge", w, v.const(5.0, dtype), dtype), far, near, dtype), x, dtype)


def ndtri(v: Lanes, p: str, dtype: np.dtype) -> str:
    if dtype == SINGLE:
        return in_double(v, p, ndtri)
    other = v.binary("fsub", v.const(1.0, dtype), p, dtype)
    tail = v.select(v.compare("olt", p, other, dtype), p, other, dtype)
    return _normal_quantile(v, v.binary("fadd", p, v.const(-0.5, dtype), dtype), tail, dtype)


def _normal_quantile(v: Lanes, q: str, tail: str, dtype: np.dtype) -> str:
    """The quantile of 1/2 + q, where `tail` is the smaller of that and its complement, without rounding errors."""
    zero = v.const(0.0, dtype)
    r = v.fma(negative(v, q, dtype), q, v.const(0.180625, dtype), dtype)
    centre = v.binary("fmul", q, _fitted(v, r, special.WICHURA_CENTRE, dtype), dtype)
    away = v.compare("ogt", v.intrinsic("fabs", dtype, q), v.const(0.425, dtype), dtype)

    def beyond() -> str:
        root = sqrt(v, negative(v, log(v, tail, dtype), dtype), dtype)
        y = _fitted(v, v.binary("fadd", root, v.const(-1.6, dtype), dtype), special.WICHURA_NEAR, dtype)

        def far() -> str:
            return _fitted(v, v.binary("fadd", root, v.const(-5.0, dtype), dtype), special.WICHURA_FAR, dtype)

        y = where_any(v, v.compare("ogt", root, v.const(5.0, dtype), dtype), far, y, dtype)
        y = v.select(v.compare("oeq", tail, zero, dtype), v.const(math.inf, dtype), y, dtype)
        return v.intrinsic("copysign", dtype, y, q)

    return where_any(v, away, beyond, centre, dtype)


# ------------------------------------------------------------------ the gamma function


def _mirrored(v: Lanes, x: str, dtype: np.dtype) -> tuple[str, str, str, str]:
    """(x below 0, a: x or 1 - x, a below 1, a - 2 or a - 1 there), exactly where functions of a cross 0."""
    one = v.const(1.0, dtype)
    below = v.compare("olt", x, v.const(0.0, dtype), dtype)
    a = v.select(below, v.binary("fsub", one, x, dtype), x, dtype)
    low = v.compare("olt", a, one, dtype)
    shift = v.select(low, v.const(-1.0, dtype), v.const(-2.0, dtype), dtype)
    return below, a, low, v.binary("fadd", a, shift, dtype)


def _from_whole(v: Lanes, x: str, dtype: np.dtype) -> str:
    """pi times the distance to the nearest whole number."""
    r = v.binary("fsub", x, v.intrinsic("roundeven", dtype, x), dtype)
    return v.binary("fmul", r, v.const(math.pi, dtype), dtype)


def lgamma(v: Lanes, x: str, dtype: np.dtype) -> str:
    """Up to 3 (y - 1) (y - 2) times a quotient of polynomials, Stirling's formula beyond, the reflection formula below 0."""
    ratio, stirling = _LGAMMA[dtype]
    below, a, low, w = _mirrored(v, x, dtype)
    one, zero = v.const(1.0, dtype), v.const(0.0, dtype)
    log_a = log(v, a, dtype)
    product = v.binary("fmul", w, v.binary("fadd", w, one, dtype), dtype)
    near = _fitted(v, v.binary("fadd", w, v.const(2.0, dtype), dtype), ratio, dtype)
    near = v.binary("fsub", v.binary("fmul", product, near, dtype), v.select(low, log_a, zero, dtype), dtype)
    near = v.binary("fadd", near, zero, dtype)  # not -0 at 1
    u = v.binary("fdiv", one, a, dtype)
    rest = v.fma(
        _fitted(v, v.binary("fmul", u, u, dtype), stirling, dtype), u, v.const(0.4189385332046727, dtype), dtype
    )
    slope = v.binary("fadd", a, v.const(-0.5, dtype), dtype)
    far = v.fma(slope, v.binary("fadd", log_a, v.const(-1.0, dtype), dtype), rest, dtype)
    y = v.select(v.compare("oge", a, v.const(3.0, dtype), dtype), far, near, dtype)

    def reflected() -> str:
        sine = v.intrinsic("fabs", dtype, sin_of_reducible(v, _from_whole(v, x, dtype), dtype))
        sine = v.binary("fmul", sine, v.const(1 / math.pi, dtype), dtype)
        z = v.binary("fsub", negative(v, log(v, sine, dtype), dtype), y, dtype)
        return v.select(v.compare("uno", z, z, dtype), v.const(math.inf, dtype), z, dtype)

    return where_any(v, below, reflected, y, dtype)


def digamma(v: Lanes, x: str, dtype: np.dtype) -> str:
    """Up to 3 (y - zero) times a quotient of polynomials, the asymptotic series beyond, the reflection formula below 0."""
    ratio, series, root = _DIGAMMA[dtype]
    below, a, low, w = _mirrored(v, x, dtype)
    zero = v.const(0.0, dtype)
    u = v.binary("fdiv", v.const(1.0, dtype), a, dtype)
    away = w
    for part in root:
        away = v.binary("fadd", away, v.const(-part, dtype), dtype)
    near = _fitted(v, v.binary("fadd", w, v.const(2.0, dtype), dtype), ratio, dtype)
    near = v.binary("fsub", v.binary("fmul", away, near, dtype), v.select(low, u, zero, dtype), dtype)
    square = v.binary("fmul", u, u, dtype)
    far = v.fma(u, v.const(-0.5, dtype), log(v, a, dtype), dtype)
    far = v.fma(negative(v, _fitted(v, square, series, dtype), dtype), square, far, dtype)
    y = v.select(v.compare("oge", a, v.const(3.0, dtype), dtype), far, near, dtype)

    def reflected() -> str:
        angle = _from_whole(v, x, dtype)
        cotangent = v.binary("fdiv", v.const(math.pi, dtype), tan_of_reducible(v, angle, dtype), dtype)
        z = v.binary("fsub", y, cotangent, dtype)
        return v.select(v.compare("oeq", angle, zero, dtype), v.const(math.nan, dtype), z, dtype)

    return where_any(v, below, reflected, y, dtype)


# ------------------------------------------------------------------ x log(y)


def _without_zeros(v: Lanes, x: str, y: str, at: float, dtype: np.dtype) -> str:
    """y, but where x is 0 a number whose logarithm is 0, unless y is nan."""
    nothing = v.compare("oeq", x, v.const(0.0, dtype), dtype)
    nothing = v.binary("and", nothing, v.compare("ord", y, y, dtype), BOOL)
    return v.select(nothing, v.const(at, dtype), y, dtype)


def xlogy(v: Lanes, x: str, y: str, dtype: np.dtype) -> str:
    return v.binary("fmul", x, log(v, _without_zeros(v, x, y, 1.0, dtype), dtype), dtype)


def xlog1py(v: Lanes, x: str, y: str, dtype: np.dtype) -> str:
    return v.binary("fmul", x, log1p(v, _without_zeros(v, x, y, 0.0, dtype), dtype), dtype)
