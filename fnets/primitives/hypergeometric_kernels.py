"""Kernels of the hypergeometric functions 1F1 and 2F1 of real numbers, on plain arrays, with derivatives in the parameters. May import special.

The rules of `special` hold: any array-like, NumPy's dtypes, no warnings, limits at the ends. Derivatives in a parameter are the imaginary part of the
same arithmetic at a parameter with a tiny imaginary part (W. Squire and G. Trapp, SIAM Review 40, 1998): no digits are lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.primitives.special import _iterate, _map_many, digamma, lgamma

_TINY = 1e-30


def _slope(kernel: Callable, position: int) -> Callable:
    """The derivative of a kernel in one of its operands."""

    def derivative(*operands: np.ndarray) -> np.ndarray:
        xs = list(operands[:-1])  # the last one is where to write
        xs[position] = xs[position] + 1j * _TINY
        return kernel(*xs).imag / _TINY

    return derivative


def _is_pole(x: np.ndarray) -> np.ndarray:
    """Zero or a negative integer, where gamma has its poles."""
    return (x.real <= 0) & (x == np.rint(x.real))


def _gamma_ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """gamma(top) / gamma(bottom), 0 where the latter has a pole; beside a pole -n, 1 / gamma is (-1)^n n! times the distance."""

    def log_and_sign(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value = lgamma(x.real)
        if x.dtype.kind == "c":
            value = value + 1j * x.imag * np.where(x.imag == 0, 0, digamma(x.real))
        return value, np.where((x.real < 0) & (np.floor(x.real) % 2 != 0), -1.0, 1.0)

    (above, sign), (below, other) = log_and_sign(top), log_and_sign(bottom)
    n = -np.rint(bottom.real)
    pole = bottom.real == -np.maximum(n, 0)
    beside = np.where(n % 2 == 0, 1, -1) * np.exp(above + lgamma(np.maximum(n, 0) + 1)) * (bottom + n)
    return sign * np.where(pole, beside, other * np.exp(above - np.where(pole, 0, below)))


def _series(term: Callable, *parameters: np.ndarray) -> np.ndarray:
    """1 and the terms that follow: each is the one before times `term(k, *parameters)`."""

    def step(i: int, total: Any, last: Any, *parameters: Any) -> tuple:
        last = last * term(i - 1, *parameters)
        new = total + last
        small = np.absolute(last.real) <= 1e-17 * np.absolute(total.real)
        if last.dtype.kind == "c":  # the slope has converged too
            small &= np.absolute(last.imag) <= 1e-17 * np.absolute(total.imag)
        return (new, last, *parameters), small | ~np.isfinite(new)

    one = np.ones(np.broadcast_shapes(*[p.shape for p in parameters]), np.result_type(*parameters))
    return _iterate(step, 1, one, one, *parameters)[0]


def _fill(out: np.ndarray, mask: np.ndarray, f: Callable, *operands: np.ndarray) -> None:
    where = mask.nonzero()[0]
    if where.size:
        out[where] = f(*[x[where] for x in operands])


# ------------------------------------------------------------------ 1F1


def _hyp1f1(a: np.ndarray, b: np.ndarray, x: np.ndarray, out: Any = None) -> np.ndarray:
    dtype = np.result_type(a, b, x)
    y = np.full(a.shape, np.nan, dtype)
    polynomial = _is_pole(a)
    exponential = a == b
    left = (x.real < 0) & ~polynomial & ~exponential
    far = (np.absolute(x) > 100) & ((np.absolute(a) + 1) * (np.absolute(b - a) + 1) < np.absolute(x) / 3)
    far &= ~polynomial & ~exponential
    other = _is_pole(b - a) & left  # Kummer's relation leads to a polynomial
    _fill(y, ~left & ~far, _taylor_1f1, a, b, x)
    _fill(y, left & (~far | other), lambda a, b, x: np.exp(x) * _taylor_1f1(b - a, b, -x), a, b, x)
    _fill(y, far & ~left, lambda a, b, x: _far_1f1(b - a, b, x) * np.exp(x), a, b, x)
    _fill(y, far & left & ~other, lambda a, b, x: _far_1f1(a, b, -x), a, b, x)
    if dtype.kind != "c":
        y[exponential] = np.exp(x[exponential].real)
        y[a == 0] = 1
    y[_is_pole(b) & (a != 0) & (a != b)] = np.inf
    return y


def _taylor_1f1(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    return _series(lambda k, a, b, x: (a + k) / (b + k) * (x / (k + 1)), a, b, x)


def _far_1f1(c: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    """gamma(b) / gamma(b - c) x^-c 2F0(c, 1 + c - b; 1 / x): 1F1(c, b, -x), and exp(-x) 1F1(b - c, b, x) (NIST DLMF 13.7.2)."""
    total = _series(lambda k, c, b, x: (c + k) * (1 + c - b + k) / ((k + 1) * x), c, b, x)
    return _gamma_ratio(b, b - c) * np.exp(-c * np.log(x)) * total


def hyp1f1(a: Any, b: Any, x: Any) -> Any:
    """Kummer's function 1F1(a, b, x): its power series on the right, Kummer's relation on the left, asymptotic series far out.

    >>> hyp1f1(1.0, 2.0, np.array([0.0, 1.0])).round(6)
    array([1.      , 1.718282])
    """
    return _map_many("hyp1f1", _hyp1f1, a, b, x)


def hyp1f1_grad_a(a: Any, b: Any, x: Any) -> Any:
    """The derivative of `hyp1f1` in a.

    >>> hyp1f1_grad_a(1.0, 1.0, np.array([0.0]))
    array([0.])
    """
    return _map_many("hyp1f1_grad_a", _slope(_hyp1f1, 0), a, b, x)


def hyp1f1_grad_b(a: Any, b: Any, x: Any) -> Any:
    """The derivative of `hyp1f1` in b.

    >>> hyp1f1_grad_b(1.0, 1.0, np.array([0.0]))
    array([0.])
    """
    return _map_many("hyp1f1_grad_b", _slope(_hyp1f1, 1), a, b, x)


# ------------------------------------------------------------------ 2F1


def _hyp2f1(a: np.ndarray, b: np.ndarray, c: np.ndarray, x: np.ndarray, out: Any = None) -> np.ndarray:
    dtype = np.result_type(a, b, c, x)
    y = np.full(a.shape, np.nan, dtype)
    swap = a.real > b.real
    a, b = np.where(swap, b, a), np.where(swap, a, b)
    polynomial = _is_pole(a) | _is_pole(b)
    far_left = (x.real < -0.5) & ~polynomial
    rest = 1 - x
    _fill(y, ((x.real >= -0.5) & (x.real < 1)) | polynomial, _right_2f1, a, b, c, x, rest)

    def pfaff(a: Any, b: Any, c: Any, x: Any, rest: Any) -> np.ndarray:
        return np.exp(-a * np.log(rest)) * _right_2f1(a, c - b, c, x / (x - 1), 1 / rest)

    _fill(y, far_left, pfaff, a, b, c, x, rest)
    excess = c - a - b
    at_one = (x == 1) & ~polynomial
    _fill(
        y,
        at_one & (excess.real > 0),
        lambda a, b, c, d: _gamma_ratio(c, c - a) * _gamma_ratio(d, c - b),
        a,
        b,
        c,
        excess,
    )
    y[(at_one & (excess.real <= 0)) | ((x.real > 1) & ~polynomial)] = np.inf
    y[_is_pole(c) & (x != 0)] = np.inf
    return y


def _right_2f1(a: np.ndarray, b: np.ndarray, c: np.ndarray, x: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """From -1/2 to 1, and polynomials anywhere; `rest` is 1 - x."""
    y = np.empty(a.shape, np.result_type(a, b, c, x))
    polynomial = _is_pole(a) | _is_pole(b)
    euler = ((c - a - b).real < 0) & (x.real > 0) & ~polynomial
    power = np.exp(np.where(euler, c - a - b, 0) * np.log(np.where(euler, rest, 1)))
    a, b = np.where(euler, c - a, a), np.where(euler, c - b, b)
    near = (x.real <= 0.6) | polynomial | _is_pole(a) | _is_pole(b)
    _fill(y, near, _taylor_2f1, a, b, c, x)
    _fill(y, ~near, _continued_2f1, a, b, c, rest)
    return y * power


def _taylor_2f1(a: np.ndarray, b: np.ndarray, c: np.ndarray, x: np.ndarray) -> np.ndarray:
    return _series(lambda k, a, b, c, x: (a + k) * (b + k) / ((c + k) * (k + 1)) * x, a, b, c, x)


def _continued_2f1(a: np.ndarray, b: np.ndarray, c: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """At 1 - rest: the solution of the differential equation (NIST DLMF 15.10.1), carried from 1/2 to the right by its Taylor series.

    Each step goes half of the way to the singular point 1, where other formulas would need gamma functions and have special cases.
    """
    half = np.full_like(rest, 0.5)
    value = _taylor_2f1(a, b, c, half)
    slope = a * b / c * _taylor_2f1(a + 1, b + 1, c + 1, half)
    gap = 0.5
    moving = rest < gap
    while moving.any():
        state = [v[moving] for v in (a, b, c, gap - np.maximum(rest, gap / 2), value, slope)]
        value[moving], slope[moving] = _carried(gap, *state)
        gap /= 2
        moving = rest < gap
    return value


def _carried(
    gap: float, a: np.ndarray, b: np.ndarray, c: np.ndarray, way: np.ndarray, value: np.ndarray, slope: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Value and slope at 1 - gap + way, from those at 1 - gap; the terms are those of powers of way / gap."""
    start, part = 1 - gap, way / gap
    first, second = value, slope * gap
    total, total_slope, power = value + second * part, second, part
    for k in range(60):
        shift = ((1 - 2 * start) * k + c - (a + b + 1) * start) * (k + 1)
        first, second = second, ((k + a) * (k + b) * gap * first - shift * second) / (start * (k + 1) * (k + 2))
        total_slope = total_slope + (k + 2) * second * power
        power = power * part
        total = total + second * power
    return total, total_slope / gap


def hyp2f1(a: Any, b: Any, c: Any, x: Any) -> Any:
    """Gauss' function 2F1(a, b, c, x) for x <= 1; inf beyond, unless it is a polynomial.

    Its power series in the middle; Pfaff's and Euler's relations (NIST DLMF 15.8.1), and near 1 the differential equation.

    >>> hyp2f1(1.0, 1.0, 2.0, np.array([0.0, 0.5])).round(6)
    array([1.      , 1.386294])
    """
    return _map_many("hyp2f1", _hyp2f1, a, b, c, x)


def hyp2f1_grad_a(a: Any, b: Any, c: Any, x: Any) -> Any:
    """The derivative of `hyp2f1` in a; that in b is the same with a and b exchanged.

    >>> hyp2f1_grad_a(1.0, 1.0, 1.0, np.array([0.5])).round(6)
    array([1.386294])
    """
    return _map_many("hyp2f1_grad_a", _slope(_hyp2f1, 0), a, b, c, x)


def hyp2f1_grad_c(a: Any, b: Any, c: Any, x: Any) -> Any:
    """The derivative of `hyp2f1` in c.

    >>> hyp2f1_grad_c(1.0, 0.0, 1.0, np.array([0.5]))
    array([0.])
    """
    return _map_many("hyp2f1_grad_c", _slope(_hyp2f1, 2), a, b, c, x)
