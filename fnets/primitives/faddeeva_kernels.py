"""Kernels around the Faddeeva function w(z) = exp(-z * z) erfc(-i z): it, the scaled erfc, Dawson's and Fresnel's integrals. May import special.

The rules of `special` hold: any array-like, NumPy's dtypes, no warnings, limits at the ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.primitives.special import _DOUBLE, _TAIL_DOUBLE, _map, _patch, _Polynomial, _scaled_erfc

_BLOCK = 4096
_ROOT_PI = math.sqrt(math.pi)

# ------------------------------------------------------------------ trapezoidal rules

# w(z) is an integral over the real line with a pole at z; the trapezoidal rule, corrected by the pole's residue, converges like exp(-pi n).
# Al Azah and Chandler-Wilde, "Computation of the complex error function using modified trapezoidal rules" (SIAM J. Numer. Anal. 59, 2021),
# give the errors of both rules below, at the points k h and at the points between them, and where to use which.
_POINTS = 12
_STEP = math.sqrt(math.pi / _POINTS)
_BETWEEN = (np.arange(_POINTS) + 0.5) * _STEP
_AT = np.arange(1, _POINTS) * _STEP


def _sum(square: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The sum of exp(-t * t) / (z * z - t * t) over the points t."""
    total = np.zeros_like(square)
    for t in points:
        total += math.exp(-t * t) / (square - t * t)
    return total


def _between(z: np.ndarray, residue: bool) -> np.ndarray:
    square = z * z
    out = (2j * _STEP / math.pi) * z * _sum(square, _BETWEEN)
    if residue:  # 2 exp(-z z) / (1 + exp(-2 pi i z / h)), without overflow above the real axis
        turn = np.exp((2j * math.pi / _STEP) * z)
        out += 2 * np.exp((2j * math.pi / _STEP) * z - square) / (turn + 1)
    return out


def _at_points(z: np.ndarray) -> np.ndarray:
    square = z * z
    turn = np.exp((2j * math.pi / _STEP) * z)
    out = 2 * np.exp((2j * math.pi / _STEP) * z - square) / (turn - 1)
    return out + (1j * _STEP / math.pi) * (1 / z + 2 * z * _sum(square, _AT))


def _near_a_point_between(x: np.ndarray) -> np.ndarray:
    part = x / _STEP
    part -= np.floor(part)
    return (part >= 0.25) & (part <= 0.75)


def _first_quadrant(z: np.ndarray) -> np.ndarray:
    x, y = z.real, z.imag
    w = np.full_like(z, complex(np.nan, np.nan))
    far = np.maximum(x, y) > 1e8
    high = ~far & (y >= np.maximum(x, math.pi / _STEP))
    rest = ~far & ~high & ~np.isnan(x) & ~np.isnan(y)
    at = rest & (y < x) & _near_a_point_between(x)
    _patch(w, far, lambda z: (1j / _ROOT_PI) / z, z)
    _patch(w, high, lambda z: _between(z, False), z)
    _patch(w, rest & ~at, lambda z: _between(z, True), z)
    _patch(w, at, _at_points, z)
    w[far & (np.isinf(x) | np.isinf(y))] = 0
    return w


def wofz(z: Any) -> Any:
    """The Faddeeva function exp(-z * z) erfc(-i z) of complex numbers: complex64 of half precision and single numbers, else complex128.

    In the first quadrant trapezoidal rules; w(-z) = 2 exp(-z * z) - w(z) and w(-conj(z)) = conj(w(z)) lead there (NIST DLMF 7.4, 7.7).

    >>> wofz(np.array([0.0, 1j])).real.round(6)
    array([1.      , 0.427584])
    """
    z = np.asarray(z)
    dtype = np.result_type(z.dtype, np.complex64)
    flat = z.reshape(-1).astype(np.complex128)
    out = np.empty_like(flat)
    with np.errstate(all="ignore"):
        for i in range(0, flat.size, _BLOCK):
            out[i : i + _BLOCK] = _wofz(flat[i : i + _BLOCK])
    out = out.astype(dtype, copy=False).reshape(z.shape)
    return out if z.ndim else out[()]


def _complex(real: np.ndarray, imaginary: np.ndarray) -> np.ndarray:
    out = np.empty(real.shape, np.complex128)
    out.real, out.imag = real, imaginary
    return out


def _wofz(z: np.ndarray) -> np.ndarray:
    x, y = z.real, z.imag
    w = _first_quadrant(_complex(np.absolute(x), np.absolute(y)))
    below = y < 0
    w = np.where((x < 0) != below, w.conj(), w)
    return np.where(below, 2 * np.exp(-z * z) - w, w)


# ------------------------------------------------------------------ on the real line


def erfcx(x: Any) -> Any:
    """exp(x * x) erfc(x): without underflow on the right; inf far on the left. Of complex numbers `wofz(i x)`.

    >>> erfcx(np.array([0.0, 1e10]))
    array([1.00000000e+00, 5.64189584e-11])
    """
    if type(x) is complex or getattr(x, "dtype", _DOUBLE).kind == "c":
        x = np.asarray(x)
        return wofz(_complex(-x.imag, x.real).astype(x.dtype))
    return _map("erfcx", x, _erfcx)


def _erfcx(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    a = np.absolute(x)
    y = _scaled_erfc(np.minimum(a, 1e10), *_TAIL_DOUBLE)
    _patch(y, a > 1e10, lambda a: 1 / (_ROOT_PI * a), a)
    _patch(y, x < 0, lambda x, y: 2 * _exp_square(x) - y, x, y)
    return y


def _square(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x * x and its rounding error (Dekker 1971), of numbers below 1e100."""
    scaled = 134217729.0 * x
    high = scaled - (scaled - x)
    low = x - high
    square = x * x
    return square, ((high * high - square) + 2 * high * low) + low * low


def _exp_square(x: np.ndarray) -> np.ndarray:
    """exp(x * x), with the digits that the rounding error of the square would cost."""
    square, error = _square(np.maximum(np.minimum(x, 30), -30))
    return np.exp(square) * (1 + error)


def dawsn(x: Any) -> Any:
    """Dawson's integral, exp(-x * x) times the integral of exp(t * t) from 0 to x: the imaginary part of w, times sqrt(pi) / 2.

    >>> dawsn(np.array([0.0, 1.0])).round(6)
    array([0.     , 0.53808])
    """
    return _map("dawsn", x, _dawsn)


def _dawsn(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    a = np.absolute(x)
    y = np.full_like(a, np.nan)
    at = _near_a_point_between(a)
    _patch(y, (a < 0.3), lambda a: a * _DAWSN_NEAR(a * a), a)
    _patch(y, (a >= 0.3) & (a < 1e8) & ~at, lambda a: _dawsn_rule(a, False), a)
    _patch(y, (a >= 0.3) & (a < 1e8) & at, lambda a: _dawsn_rule(a, True), a)
    _patch(y, a >= 1e8, lambda a: 0.5 / a, a)
    return np.copysign(y, x)


def _dawsn_rule(a: np.ndarray, at: bool) -> np.ndarray:
    """The imaginary parts of the two trapezoidal rules."""
    square, angle = a * a, a * (math.pi / _STEP)
    bell = np.exp(-square)
    if at:
        total = (_STEP / math.pi) * (1 / a + 2 * a * _sum(square, _AT)) - bell / np.tan(angle)
    else:
        total = (2 * _STEP / math.pi) * a * _sum(square, _BETWEEN) + bell * np.tan(angle)
    return 0.5 * _ROOT_PI * total


# the power series (NIST DLMF 7.6.3)
_DAWSN_NEAR = _Polynomial(_DOUBLE, [(-2.0) ** k / math.prod(range(1, 2 * k + 2, 2)) for k in range(12)])

# ------------------------------------------------------------------ Fresnel's integrals

_HALF_PI = math.pi / 2
# power series of S(x) / x^3 and C(x) / x in x^4 (NIST DLMF 7.6.4, 7.6.6)
_FRESNEL_S = _Polynomial(
    _DOUBLE, [(-1) ** k * _HALF_PI ** (2 * k + 1) / (math.factorial(2 * k + 1) * (4 * k + 3)) for k in range(17)]
)
_FRESNEL_C = _Polynomial(
    _DOUBLE, [(-1) ** k * _HALF_PI ** (2 * k) / (math.factorial(2 * k) * (4 * k + 1)) for k in range(17)]
)


def _fresnel(series: Callable, far: Callable, x: np.ndarray) -> np.ndarray:
    a = np.absolute(x)
    y = np.where(np.isnan(a), np.nan, 0.5)
    _patch(y, a < 1.5, series, a)
    _patch(y, (a >= 1.5) & (a < 1e8), lambda a: far(_fresnel_tail(a)), a)
    return np.copysign(y, x)


def _fresnel_tail(a: np.ndarray) -> np.ndarray:
    """(1 + i) / 2 - C - i S = (1 + i) / 2 exp(i pi x x / 2) w(sqrt(pi) / 2 (1 + i) x) (NIST DLMF 7.5.10, 7.2.5)."""
    w = _first_quadrant(_complex(a, a) * (0.5 * _ROOT_PI))
    square, error = _square(a)
    return (0.5 + 0.5j) * np.exp(0.5j * math.pi * (np.fmod(square, 4) + error)) * w


def fresnel_s(x: Any) -> Any:
    """The integral of sin(pi t * t / 2) from 0 to x: the power series up to 1.5, the Faddeeva function from there on.

    >>> fresnel_s(np.array([0.0, 1.0])).round(6)
    array([0.      , 0.438259])
    """
    return _map(
        "fresnel_s", x, lambda x, out: _fresnel(lambda a: a**3 * _FRESNEL_S(a**4), lambda tail: 0.5 - tail.imag, x)
    )


def fresnel_c(x: Any) -> Any:
    """The integral of cos(pi t * t / 2) from 0 to x; see `fresnel_s`.

    >>> fresnel_c(np.array([0.0, 1.0])).round(6)
    array([0.      , 0.779893])
    """
    return _map(
        "fresnel_c", x, lambda x, out: _fresnel(lambda a: a * _FRESNEL_C(a**4), lambda tail: 0.5 - tail.real, x)
    )
