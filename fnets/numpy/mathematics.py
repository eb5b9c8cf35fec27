"""Elementwise mathematics under NumPy's names: exponentials, logarithms, trigonometry, complex numbers. May import arguments, arithmetic, primitives.

All broadcast and promote as NumPy does: integers become float64. A function of Python scalars alone gives a Python scalar.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, is_weak
from fnets.numpy.arguments import elementwise, known, operand, promoted, to_array, weak_inexact
from fnets.primitives import elementwise as e
from fnets.primitives.base import convert

__all__ = [
    "acos", "acosh", "angle", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "asin",
    "asinh", "atan", "atan2", "atanh", "conj", "conjugate", "cos", "cosh", "deg2rad", "degrees", "exp", "exp2",
    "expm1", "imag", "iscomplex", "isreal", "log", "log10", "log1p", "log2", "logaddexp", "logaddexp2", "nan_to_num",
    "rad2deg", "radians", "real", "real_if_close", "sin", "sinc", "sinh", "tan", "tanh",
]  # fmt: skip

# ------------------------------------------------------------------ exponentials and logarithms


@elementwise(e.exp)
def exp(x: Any, /) -> Any:
    """The exponential.

    >>> exp(0.0)
    1.0
    """


@elementwise(e.exp2)
def exp2(x: Any, /) -> Any:
    """`2 ** x`.

    >>> exp2(3.0)
    8.0
    """


@elementwise(e.expm1)
def expm1(x: Any, /) -> Any:
    """`exp(x) - 1`, exact for small `x`.

    >>> expm1(1e-20)
    1e-20
    """


@elementwise(e.log)
def log(x: Any, /) -> Any:
    """The natural logarithm.

    >>> log(1.0)
    0.0
    """


@elementwise(e.log2)
def log2(x: Any, /) -> Any:
    """The logarithm to base 2.

    >>> log2(8.0)
    3.0
    """


@elementwise(e.log10)
def log10(x: Any, /) -> Any:
    """The logarithm to base 10.

    >>> log10(100.0)
    2.0
    """


@elementwise(e.log1p)
def log1p(x: Any, /) -> Any:
    """`log(1 + x)`, exact for small `x`.

    >>> log1p(1e-20)
    1e-20
    """


def _log_of_sum(real: Callable, base: float) -> Callable:
    """The logarithm of the sum of two powers of a base; of complex numbers (which NumPy's lacks) the imaginary part is the principal one."""
    scale = float(np.log(base))

    def scaled(z: Any, factor: float) -> Any:
        return e.complex_(e.mul(e.real(z), factor), e.mul(e.imag(z), factor))  # inf times a complex factor is nan

    def of_two(x: Any, y: Any) -> Any:
        if "c" not in (dtype_of(x).kind, dtype_of(y).kind):
            return real(x, y)
        x, y = promoted(x, y)
        x, y = scaled(x, scale), scaled(y, scale)
        first = e.ge(e.real(x), e.real(y))
        high, low = e.select(first, x, y), e.select(first, y, x)
        gap = e.sub(low, high)
        none = e.eq(e.real(low), -np.inf)
        total = e.add(high, e.log1p(e.exp(e.select(none, e.fill_like(gap, 0), gap))))
        total = e.select(none, high, total)
        turns = e.rint(e.div(e.imag(total), 2 * np.pi))
        angle = e.sub(e.imag(total), e.mul(turns, 2 * np.pi))
        return scaled(e.complex_(e.real(total), angle), 1 / scale)

    return of_two


@elementwise(_log_of_sum(e.logaddexp, np.e))
def logaddexp(x1: Any, x2: Any, /) -> Any:
    """`log(exp(x1) + exp(x2))` without overflow.

    >>> logaddexp(1000.0, -1000.0)
    1000.0
    """


@elementwise(_log_of_sum(e.logaddexp2, 2.0))
def logaddexp2(x1: Any, x2: Any, /) -> Any:
    """`log2(2**x1 + 2**x2)` without overflow.

    >>> logaddexp2(3.0, 3.0)
    4.0
    """


# ------------------------------------------------------------------ trigonometry


@elementwise(e.sin)
def sin(x: Any, /) -> Any:
    """The sine of an angle in radians.

    >>> sin(0.0)
    0.0
    """


@elementwise(e.cos)
def cos(x: Any, /) -> Any:
    """The cosine of an angle in radians.

    >>> cos(0.0)
    1.0
    """


@elementwise(e.tan)
def tan(x: Any, /) -> Any:
    """The tangent of an angle in radians.

    >>> tan(0.0)
    0.0
    """


@elementwise(e.asin)
def arcsin(x: Any, /) -> Any:
    """The inverse sine, in [-pi/2, pi/2].

    >>> arcsin(0.0)
    0.0
    """


@elementwise(e.acos)
def arccos(x: Any, /) -> Any:
    """The inverse cosine, in [0, pi].

    >>> arccos(1.0)
    0.0
    """


@elementwise(e.atan)
def arctan(x: Any, /) -> Any:
    """The inverse tangent, in [-pi/2, pi/2].

    >>> arctan(0.0)
    0.0
    """


@elementwise(e.atan2)
def arctan2(x1: Any, x2: Any, /) -> Any:
    """The angle of the point (x2, x1), in [-pi, pi].

    >>> arctan2(0.0, 1.0)
    0.0
    """


@elementwise(e.sinh)
def sinh(x: Any, /) -> Any:
    """The hyperbolic sine.

    >>> sinh(0.0)
    0.0
    """


@elementwise(e.cosh)
def cosh(x: Any, /) -> Any:
    """The hyperbolic cosine.

    >>> cosh(0.0)
    1.0
    """


@elementwise(e.tanh)
def tanh(x: Any, /) -> Any:
    """The hyperbolic tangent.

    >>> tanh(0.0)
    0.0
    """


@elementwise(e.asinh)
def arcsinh(x: Any, /) -> Any:
    """The inverse hyperbolic sine.

    >>> arcsinh(0.0)
    0.0
    """


@elementwise(e.acosh)
def arccosh(x: Any, /) -> Any:
    """The inverse hyperbolic cosine, for `x >= 1`.

    >>> arccosh(1.0)
    0.0
    """


@elementwise(e.atanh)
def arctanh(x: Any, /) -> Any:
    """The inverse hyperbolic tangent, for `|x| < 1`.

    >>> arctanh(0.0)
    0.0
    """


asin, acos, atan, atan2, asinh, acosh, atanh = arcsin, arccos, arctan, arctan2, arcsinh, arccosh, arctanh


def _times(factor: float) -> Callable:
    """Multiplication by a constant, which is weak also beside bfloat16."""
    return lambda x: e.mul(x, dtype_of(x).type(factor) if dtype_of(x).kind == "V" else factor)


@elementwise(_times(np.pi / 180))
def deg2rad(x: Any, /) -> Any:
    """Degrees to radians.

    >>> deg2rad(180.0)
    3.141592653589793
    """


@elementwise(_times(180 / np.pi))
def rad2deg(x: Any, /) -> Any:
    """Radians to degrees.

    >>> rad2deg(np.pi)
    180.0
    """


radians, degrees = deg2rad, rad2deg


def sinc(x: Any, /) -> Any:
    """`sin(pi x) / (pi x)`, which is 1 at 0; every derivative at 0 is right.

    >>> sinc(np.array([0.0, 0.5]))
    array([1.        , 0.63661977])
    """
    x = weak_inexact(operand(x))
    y = e.mul(x, np.pi)
    small = e.lt(e.abs(y), 1e-2)
    safe = e.select(small, e.fill_like(y, 1), y)
    square = e.mul(y, y)
    # Taylor series; the next term, y**8 / 362880, is below rounding for |y| < 0.01
    series = e.add(e.mul(square, e.add(e.mul(square, e.add(e.mul(square, -1 / 5040), 1 / 120)), -1 / 6)), 1)
    return e.select(small, series, e.div(e.sin(safe), safe))


# ------------------------------------------------------------------ complex numbers


@elementwise(lambda x: e.real(x) if dtype_of(x).kind == "c" else operand(x))
def real(val: Any, /) -> Any:
    """The real part.

    >>> real(1 + 2j)
    1.0
    """


@elementwise(lambda x: e.imag(x) if dtype_of(x).kind != "b" else e.logical_and(x, np.False_))
def imag(val: Any, /) -> Any:
    """The imaginary part; zero for real numbers.

    >>> imag(1 + 2j)
    2.0
    """


@elementwise(e.conj)
def conjugate(x: Any, /) -> Any:
    """The complex conjugate.

    >>> conjugate(1 + 2j)
    (1-2j)
    """


conj = conjugate


def angle(z: Any, deg: bool = False) -> Any:
    """The angle of a complex number, in radians or degrees.

    >>> angle(1j)
    1.5707963267948966
    """
    z = z if is_weak(z) else to_array(z)
    out = e.atan2(e.imag(z), e.real(z)) if dtype_of(z).kind == "c" else e.atan2(0, z)
    return rad2deg(out) if deg else out


def isreal(x: Any, /) -> Any:
    """True where the imaginary part is zero.

    >>> isreal(np.array([1 + 0j, 1j]))
    array([ True, False])
    """
    return e.eq(e.imag(to_array(x)), 0)


def iscomplex(x: Any, /) -> Any:
    """True where the imaginary part is not zero.

    >>> iscomplex(np.array([1 + 0j, 1j]))
    array([False,  True])
    """
    return e.ne(e.imag(to_array(x)), 0)


def real_if_close(a: Any, tol: float = 100) -> Any:
    """The real part, if every imaginary part is within `tol` times the machine epsilon; else `a`. The values must be known.

    >>> real_if_close(np.array([1 + 1e-20j]))
    array([1.])
    """
    a = operand(a)
    if dtype_of(a).kind != "c":
        return a
    limit = tol * np.finfo(dtype_of(a)).eps if tol > 1 else tol
    return e.real(a) if np.all(np.abs(np.imag(known(a, "real_if_close", "The imaginary part"))) < limit) else a


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """`x` with NaN replaced by `nan`, and infinities by `posinf` and `neginf` (by default the dtype's largest numbers).

    >>> nan_to_num(np.array([np.nan, 1.0]))
    array([0., 1.])
    """
    x = operand(x)
    dtype = dtype_of(x)
    if dtype.kind not in "fc":
        return x
    if dtype.kind == "c":
        return e.complex_(
            nan_to_num(e.real(x), copy, nan, posinf, neginf), nan_to_num(e.imag(x), copy, nan, posinf, neginf)
        )
    info = np.finfo(dtype)

    def value(v: Any, default: Any) -> Any:
        return convert(default if v is None else v, dtype)

    out = e.select(e.is_nan(x), value(nan, 0), x)
    out = e.select(e.eq(x, np.inf), value(posinf, info.max), out)
    return e.select(e.eq(x, -np.inf), value(neginf, info.min), out)
