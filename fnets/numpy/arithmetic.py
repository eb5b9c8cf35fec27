"""Elementwise arithmetic, extrema and rounding under NumPy's names. May import arguments, primitives.

All broadcast and promote as NumPy does. A function of Python scalars alone gives a Python scalar. Derivatives at kinks: `abs` and `sign` have 0 at 0,
`maximum` and its kin share equally at ties.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fnets.core.trace import Tracer, dtype_of, is_weak
from fnets.errors import DTypeError
from fnets.numpy.arguments import (
    as_type,
    elementwise,
    operand,
    promoted_inexact,
    refuse_out,
    to_inexact,
    weak_inexact,
)
from fnets.primitives import elementwise as e
from fnets.primitives.base import convert

__all__ = [
    "abs", "absolute", "add", "around", "cbrt", "ceil", "clip", "copysign", "divide", "divmod", "fabs", "fix",
    "float_power", "floor", "floor_divide", "fmax", "fmin", "fmod", "frexp", "gcd", "heaviside", "hypot", "lcm",
    "ldexp", "maximum", "minimum", "mod", "modf", "multiply", "negative", "nextafter", "positive", "pow", "power",
    "reciprocal", "remainder", "rint", "round", "sign", "signbit", "spacing", "sqrt", "square", "subtract",
    "true_divide", "trunc",
]  # fmt: skip

# ------------------------------------------------------------------ arithmetic


@elementwise(e.add)
def add(x1: Any, x2: Any, /) -> Any:
    """The sum `x1 + x2`, elementwise.

    >>> add(1, 2)
    3
    """


@elementwise(e.sub)
def subtract(x1: Any, x2: Any, /) -> Any:
    """The difference `x1 - x2`, elementwise.

    >>> subtract(1, 2)
    -1
    """


@elementwise(e.mul)
def multiply(x1: Any, x2: Any, /) -> Any:
    """The product `x1 * x2`, elementwise.

    >>> multiply(3, 2)
    6
    """


@elementwise(e.div)
def divide(x1: Any, x2: Any, /) -> Any:
    """The quotient `x1 / x2`, elementwise; integers give float64.

    >>> divide(1, 2)
    0.5
    """


true_divide = divide


@elementwise(e.floor_divide)
def floor_divide(x1: Any, x2: Any, /) -> Any:
    """The quotient rounded down, `x1 // x2`; its derivative is 0.

    >>> floor_divide(7, 2)
    3
    """


@elementwise(e.remainder)
def remainder(x1: Any, x2: Any, /) -> Any:
    """`x1 % x2`, with the sign of `x2`, as Python.

    >>> remainder(-7, 3)
    2
    """


mod = remainder


@elementwise(e.fmod)
def fmod(x1: Any, x2: Any, /) -> Any:
    """The remainder of a division rounded towards zero, with the sign of `x1`, as C.

    >>> fmod(-7, 3)
    -1
    """


@elementwise(lambda x1, x2: (e.floor_divide(x1, x2), e.remainder(x1, x2)))
def divmod(x1: Any, x2: Any, /) -> Any:
    """The pair `(x1 // x2, x1 % x2)`.

    >>> divmod(7, 3)
    (2, 1)
    """


@elementwise(e.power)
def power(x1: Any, x2: Any, /) -> Any:
    """`x1 ** x2`, elementwise. An integer to a negative integer power is an error, as in NumPy.

    >>> power(2.0, 3)
    8.0
    """


pow = power


@elementwise(lambda x1, x2: e.pow(*_float_pair(x1, x2)))
def float_power(x1: Any, x2: Any, /) -> Any:
    """`x1 ** x2` computed in float64 (complex128) at least.

    >>> float(float_power(2, -1))
    0.5
    """


def _float_pair(x1: Any, x2: Any) -> list:
    dtype = np.result_type(dtype_of(x1), dtype_of(x2), np.float64)
    return [as_type(x, dtype) for x in (x1, x2)]


@elementwise(e.neg)
def negative(x: Any, /) -> Any:
    """`-x`, elementwise.

    >>> negative(2.0)
    -2.0
    """


def _positive(x: Any) -> Any:
    if dtype_of(x).kind == "b":
        raise DTypeError("[positive] expected numbers, got bool. Convert with x.astype('int64').")
    return x if isinstance(x, Tracer) or is_weak(x) else np.positive(x)


@elementwise(_positive)
def positive(x: Any, /) -> Any:
    """`+x`: a copy of a numeric array.

    >>> positive(2.0)
    2.0
    """


@elementwise(e.abs)
def absolute(x: Any, /) -> Any:
    """The absolute value or modulus; its derivative at 0 is 0.

    >>> absolute(-2.0), absolute(3 + 4j)
    (2.0, 5.0)
    """


abs = absolute


@elementwise(lambda x: e.abs(weak_inexact(x)))
def fabs(x: Any, /) -> Any:
    """The absolute value as a float.

    >>> fabs(-2.0)
    2.0
    """


@elementwise(e.sign)
def sign(x: Any, /) -> Any:
    """-1, 0 or 1 by the sign; `x / |x|` for complex numbers. Its derivative is 0.

    >>> sign(-2.5)
    -1.0
    """


@elementwise(e.reciprocal)
def reciprocal(x: Any, /) -> Any:
    """`1 / x`, elementwise; integers stay integers, as in NumPy.

    >>> reciprocal(4.0)
    0.25
    """


@elementwise(e.square)
def square(x: Any, /) -> Any:
    """`x * x`, elementwise.

    >>> square(3.0)
    9.0
    """


@elementwise(e.sqrt)
def sqrt(x: Any, /) -> Any:
    """The square root.

    >>> sqrt(9.0)
    3.0
    """


@elementwise(e.cbrt)
def cbrt(x: Any, /) -> Any:
    """The cube root, also of negative numbers.

    >>> cbrt(-8.0)
    -2.0
    """


@elementwise(e.hypot)
def hypot(x1: Any, x2: Any, /) -> Any:
    """`sqrt(x1**2 + x2**2)` without overflow; its derivative at (0, 0) is 0.

    >>> hypot(3.0, 4.0)
    5.0
    """


@elementwise(e.gcd)
def gcd(x1: Any, x2: Any, /) -> Any:
    """The greatest common divisor of integers.

    >>> gcd(12, 18)
    6
    """


@elementwise(e.lcm)
def lcm(x1: Any, x2: Any, /) -> Any:
    """The least common multiple of integers.

    >>> lcm(4, 6)
    12
    """


# ------------------------------------------------------------------ extrema


@elementwise(e.maximum)
def maximum(x1: Any, x2: Any, /) -> Any:
    """The larger of two, elementwise; NaN wins. At ties each gets half of the derivative.

    >>> maximum(1.0, 2.0)
    2.0
    """


@elementwise(e.minimum)
def minimum(x1: Any, x2: Any, /) -> Any:
    """The smaller of two, elementwise; NaN wins. At ties each gets half of the derivative.

    >>> minimum(1.0, 2.0)
    1.0
    """


@elementwise(e.fmax)
def fmax(x1: Any, x2: Any, /) -> Any:
    """The larger of two, elementwise; a number wins over NaN.

    >>> fmax(1.0, float("nan"))
    1.0
    """


@elementwise(e.fmin)
def fmin(x1: Any, x2: Any, /) -> Any:
    """The smaller of two, elementwise; a number wins over NaN.

    >>> fmin(1.0, float("nan"))
    1.0
    """


def clip(a: Any, /, min: Any = None, max: Any = None, out: Any = None, *, a_min: Any = None, a_max: Any = None) -> Any:
    """`a` limited to the interval [min, max].

    Args:
      a: array.
      min, max: bounds that broadcast against `a`; None leaves that side open. `a_min` and `a_max` are NumPy's older names.

    Returns:
      `minimum(maximum(a, min), max)`; where a bound is hit exactly, the derivative is shared as in `maximum`.

    >>> clip(np.array([-1.0, 0.5, 2.0]), 0, 1)
    array([0. , 0.5, 1. ])
    """
    refuse_out("clip", out)
    low = a_min if min is None else min
    high = a_max if max is None else max
    result = operand(a)
    if low is not None:
        result = maximum(result, low)
    if high is not None:
        result = minimum(result, high)
    return result


def heaviside(x1: Any, x2: Any, /) -> Any:
    """The step function: 0 for negative `x1`, 1 for positive, `x2` at 0.

    >>> heaviside(np.array([-1.0, 0.0, 2.0]), 0.5)
    array([0. , 0.5, 1. ])
    """
    x1, x2 = promoted_inexact(x1, x2)
    step = e.select(e.gt(x1, 0), e.fill_like(x1, 1), e.select(e.lt(x1, 0), e.fill_like(x1, 0), x2))
    return e.select(e.is_nan(x1), x1, step)


# ------------------------------------------------------------------ rounding


@elementwise(e.floor)
def floor(x: Any, /) -> Any:
    """The largest integer not above `x`; its derivative is 0.

    >>> floor(1.7)
    1.0
    """


@elementwise(e.ceil)
def ceil(x: Any, /) -> Any:
    """The smallest integer not below `x`; its derivative is 0.

    >>> ceil(1.2)
    2.0
    """


@elementwise(e.trunc)
def trunc(x: Any, /) -> Any:
    """`x` rounded towards zero; its derivative is 0.

    >>> trunc(-1.7)
    -1.0
    """


fix = trunc


@elementwise(e.rint)
def rint(x: Any, /) -> Any:
    """The nearest integer, halves to even; its derivative is 0.

    >>> rint(2.5)
    2.0
    """


def round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    """`a` rounded to a number of decimals, halves to even; its derivative is 0.

    >>> round(np.array([1.25, 2.5]))
    array([1., 2.])
    """
    refuse_out("round", out)
    a = operand(a)
    kind = dtype_of(a).kind
    if kind in "iu":
        if decimals >= 0:
            return a
        unit = 10**-decimals
        return convert(e.mul(e.rint(e.div(a, unit)), unit), dtype_of(a))
    if decimals == 0:
        return e.rint(a)
    unit = 10.0 ** builtin_abs(decimals)
    return e.div(e.rint(e.mul(a, unit)), unit) if decimals > 0 else e.mul(e.rint(e.div(a, unit)), unit)


def builtin_abs(x: int) -> int:
    """`abs` of a Python number (the name `abs` is an array function here)."""
    return x if x >= 0 else -x


around = round


def modf(x: Any, /) -> tuple[Any, Any]:
    """The fractional and the integral part, both with the sign of `x`.

    >>> modf(np.float32(-1.5))
    (np.float32(-0.5), np.float32(-1.0))
    """
    x = weak_inexact(operand(x))
    whole = e.trunc(x)
    fraction = e.select(e.is_inf(x), e.fill_like(x, 0), e.sub(x, whole))
    return e.copysign(fraction, x), whole


def frexp(x: Any, /) -> tuple[Any, Any]:
    """Mantissa in [0.5, 1) and integer exponent with `x = mantissa * 2**exponent`.

    >>> frexp(np.float32(6.0))
    (np.float32(0.75), np.int32(3))
    """
    x = to_inexact(x)
    size = e.abs(x)
    usual = e.logical_and(e.is_finite(x), e.gt(size, 0))
    guess = e.add(e.floor(e.log2(e.select(usual, size, e.fill_like(x, 1)))), 1)
    exponent = convert(guess, np.int32)
    scaled = e.ldexp(size, e.neg(exponent))  # log2 may be off by one
    exponent = e.add(exponent, convert(e.ge(scaled, 1), np.int32))
    exponent = e.sub(exponent, convert(e.lt(scaled, 0.5), np.int32))
    exponent = e.select(usual, exponent, np.int32(0))
    return e.ldexp(x, e.neg(exponent)), exponent


@elementwise(e.ldexp)
def ldexp(x1: Any, x2: Any, /) -> Any:
    """`x1 * 2**x2` for integer `x2`.

    >>> ldexp(0.75, 3)
    6.0
    """


@elementwise(e.copysign)
def copysign(x1: Any, x2: Any, /) -> Any:
    """The size of `x1` with the sign of `x2`.

    >>> copysign(2.0, -0.0)
    -2.0
    """


@elementwise(e.nextafter)
def nextafter(x1: Any, x2: Any, /) -> Any:
    """The next float after `x1` towards `x2`.

    >>> nextafter(1.0, 2.0)
    1.0000000000000002
    """


@elementwise(lambda x: e.copysign(e.sub(e.nextafter(e.abs(x), np.inf), e.abs(x)), x))
def spacing(x: Any, /) -> Any:
    """The distance from `x` to the next float away from zero.

    >>> spacing(1.0)
    2.220446049250313e-16
    """


@elementwise(e.signbit)
def signbit(x: Any, /) -> Any:
    """True where the sign bit is set: negative numbers and -0.0.

    >>> signbit(-0.0)
    True
    """
