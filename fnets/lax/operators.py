"""Elementwise operators under `jax.lax`'s names and argument names. May import primitives.

They are the primitives' own functions with JAX's signatures. Operands broadcast and promote as NumPy's do, where JAX asks for equal
shapes and dtypes; integer division and remainder truncate towards zero, as JAX's do.
"""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.core.avals import as_np_dtype, is_float
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.primitives import elementwise as e
from fnets.primitives import special_functions
from fnets.primitives.base import arr, as_shape, broadcast_to, convert


class AccuracyMode(enum.Enum):
    """Accepted as `accuracy=` and ignored: every function has its one accuracy.

    >>> AccuracyMode.HIGHEST.name
    'HIGHEST'
    """

    DEFAULT = 0
    HIGHEST = 1


class RoundingMethod(enum.IntEnum):
    """How `round` treats halves.

    >>> RoundingMethod.TO_NEAREST_EVEN.name
    'TO_NEAREST_EVEN'
    """

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


def _unary(name: str, f: Callable, what: str) -> Callable:
    def op(x: Any, *, accuracy: Any = None) -> Any:
        return f(x)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"{what}, elementwise. `x`: array or scalar; the result has its shape.\n\n    >>> {name}(np.float32(0.5)).dtype\n    dtype('float32')\n    "
    return op


def _binary(name: str, f: Callable, what: str, ordered: bool = False) -> Callable:
    def op(x: Any, y: Any) -> Any:
        if ordered:
            _refuse_complex(name, x, y)
        return f(x, y)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"{what}, elementwise. `x`, `y`: arrays or scalars that broadcast together.\n\n    >>> {name}(np.int32(6), np.int32(3)).shape\n    ()\n    "
    return op


def _refuse_complex(name: str, *xs: Any) -> None:
    """NumPy orders complex numbers by their real parts first; here they have no order, as in JAX."""
    for x in xs:
        if dtype_of(x).kind == "c":
            raise DTypeError(
                f"[{name}] expected real numbers, got {dtype_of(x).name}. Compare absolute values, or real parts."
            )


abs = _unary("abs", e.abs, "The absolute value")
acos = _unary("acos", e.acos, "The inverse cosine")
acosh = _unary("acosh", e.acosh, "The inverse hyperbolic cosine")
asin = _unary("asin", e.asin, "The inverse sine")
asinh = _unary("asinh", e.asinh, "The inverse hyperbolic sine")
atan = _unary("atan", e.atan, "The inverse tangent")
atanh = _unary("atanh", e.atanh, "The inverse hyperbolic tangent")
cbrt = _unary("cbrt", e.cbrt, "The cube root")
ceil = _unary("ceil", e.ceil, "The least integer not below")
conj = _unary("conj", e.conj, "The complex conjugate")
cos = _unary("cos", e.cos, "The cosine")
cosh = _unary("cosh", e.cosh, "The hyperbolic cosine")
digamma = _unary("digamma", e.digamma, "The logarithmic derivative of the gamma function")
erf = _unary("erf", e.erf, "The error function")
erf_inv = _unary("erf_inv", e.erf_inv, "The inverse of the error function")
erfc = _unary("erfc", e.erfc, "One minus the error function")
exp = _unary("exp", e.exp, "The exponential")
exp2 = _unary("exp2", e.exp2, "Two to a power")
expm1 = _unary("expm1", e.expm1, "The exponential minus one, exact near zero")
floor = _unary("floor", e.floor, "The greatest integer not above")
imag = _unary("imag", e.imag, "The imaginary part")
lgamma = _unary("lgamma", e.lgamma, "The logarithm of the gamma function's absolute value")
log = _unary("log", e.log, "The natural logarithm")
log1p = _unary("log1p", e.log1p, "The logarithm of one plus x, exact near zero")
logistic = _unary("logistic", e.logistic, "1 / (1 + exp(-x))")
neg = _unary("neg", e.neg, "The negative")
real = _unary("real", e.real, "The real part")
reciprocal = _unary("reciprocal", e.reciprocal, "One over x")
rsqrt = _unary("rsqrt", e.rsqrt, "One over the square root")
sign = _unary("sign", e.sign, "-1, 0 or 1; z / |z| for complex numbers")
sin = _unary("sin", e.sin, "The sine")
sinh = _unary("sinh", e.sinh, "The hyperbolic sine")
sqrt = _unary("sqrt", e.sqrt, "The square root")
square = _unary("square", e.square, "The square")
tan = _unary("tan", e.tan, "The tangent")
tanh = _unary("tanh", e.tanh, "The hyperbolic tangent")

add = _binary("add", e.add, "The sum")
atan2 = _binary("atan2", e.atan2, "The angle of the point (y, x)")
bitwise_and = _binary("bitwise_and", e.bitwise_and, "Bitwise and")
bitwise_or = _binary("bitwise_or", e.bitwise_or, "Bitwise or")
bitwise_xor = _binary("bitwise_xor", e.bitwise_xor, "Bitwise exclusive or")
eq = _binary("eq", e.eq, "x == y")
ge = _binary("ge", e.ge, "x >= y", ordered=True)
gt = _binary("gt", e.gt, "x > y", ordered=True)
le = _binary("le", e.le, "x <= y", ordered=True)
lt = _binary("lt", e.lt, "x < y", ordered=True)
max = _binary("max", e.maximum, "The larger")
min = _binary("min", e.minimum, "The smaller")
mul = _binary("mul", e.mul, "The product")
ne = _binary("ne", e.ne, "x != y")
nextafter = _binary("nextafter", e.nextafter, "The next float after x towards y")
shift_left = _binary("shift_left", e.shift_left, "x << y")
shift_right_arithmetic = _binary("shift_right_arithmetic", e.shift_right, "x >> y, keeping the sign")
sub = _binary("sub", e.sub, "The difference")
complex = _binary("complex", e.complex_, "x + iy")


bessel_i0e = _unary("bessel_i0e", special_functions.bessel_i0e, "The Bessel function I0, scaled by exp(-|x|)")
bessel_i1e = _unary("bessel_i1e", special_functions.bessel_i1e, "The Bessel function I1, scaled by exp(-|x|)")
igamma = _binary("igamma", special_functions.igamma, "The regularised lower incomplete gamma function P(x, y)")
igammac = _binary("igammac", special_functions.igammac, "The regularised upper incomplete gamma function 1 - P(x, y)")
igamma_grad_a = _binary(
    "igamma_grad_a", special_functions.igamma_grad_a, "The derivative of `igamma` in its first argument"
)


def betainc(a: Any, b: Any, x: Any) -> Any:
    """The regularised incomplete beta function: the integral of t**(a - 1) (1 - t)**(b - 1) up to x, divided by the whole.

    >>> betainc(np.float64(1.0), np.float64(1.0), np.float64(0.25)).round(6)
    np.float64(0.25)
    """
    return special_functions.betainc(a, b, x)


def bitwise_not(x: Any) -> Any:
    """Bitwise not of integers, logical not of booleans.

    >>> bitwise_not(np.int32(0))
    np.int32(-1)
    """
    return e.bitwise_not(x)


def population_count(x: Any) -> Any:
    """The number of one bits.

    >>> population_count(np.int32(7))
    np.int32(3)
    """
    return e.population_count(x)


def is_finite(x: Any) -> Any:
    """True where x is neither infinite nor NaN.

    >>> is_finite(np.float32(1))
    np.True_
    """
    return e.is_finite(x)


def _integers(op: str, x: Any) -> Any:
    x = arr(x)
    if dtype_of(x).kind not in "iu":
        raise DTypeError(f"[{op}] expected integers, got {dtype_of(x).name}. Convert with x.astype('int32').")
    return x


def clz(x: Any) -> Any:
    """The number of leading zero bits of integers.

    >>> clz(np.uint8(1))
    np.uint8(7)
    """
    x = _integers("clz", x)
    dtype = dtype_of(x)
    bits = dtype.itemsize * 8
    u = convert(x, np.dtype(f"uint{bits}"))
    shift = 1
    while shift < bits:
        u = e.bitwise_or(u, e.shift_right(u, shift))
        shift *= 2
    return convert(e.sub(bits, e.population_count(u)), dtype)


def shift_right_logical(x: Any, y: Any) -> Any:
    """x >> y, filling with zeros.

    >>> shift_right_logical(np.int8(-1), np.int8(4))
    np.int8(15)
    """
    x, y = _integers("shift_right_logical", x), _integers("shift_right_logical", y)
    dtype = dtype_of(x)
    if dtype.kind == "u":
        return e.shift_right(x, y)
    unsigned = np.dtype(f"uint{dtype.itemsize * 8}")
    return convert(e.shift_right(convert(x, unsigned), convert(y, unsigned)), dtype)


def div(x: Any, y: Any) -> Any:
    """The quotient; of integers, truncated towards zero.

    >>> div(np.int32(-7), np.int32(2))
    np.int32(-3)
    """
    if is_float(dtype_of(x)) or is_float(dtype_of(y)):
        return e.div(x, y)
    q = e.floor_divide(x, y)
    inexact = e.logical_and(e.ne(e.mul(q, y), x), e.lt(q, 0))
    return e.add(q, convert(inexact, dtype_of(q)))


def rem(x: Any, y: Any) -> Any:
    """The remainder with the sign of x.

    >>> rem(np.int32(-7), np.int32(2))
    np.int32(-1)
    """
    _refuse_complex("rem", x, y)
    return e.fmod(x, y)


def pow(x: Any, y: Any) -> Any:
    """x to the power y.

    >>> pow(np.float32(2), 3)
    np.float32(8.0)
    """
    return e.power(x, y)


def integer_pow(x: Any, y: int) -> Any:
    """x to a constant integer power.

    >>> integer_pow(np.float32(2), 3)
    np.float32(8.0)
    """
    return e.integer_pow(x, operator.index(y))


def round(x: Any, rounding_method: RoundingMethod = RoundingMethod.AWAY_FROM_ZERO) -> Any:
    """The nearest integer, as a float; halves away from zero, or to even.

    >>> round(np.float32(2.5)), round(np.float32(2.5), RoundingMethod.TO_NEAREST_EVEN)
    (np.float32(3.0), np.float32(2.0))
    """
    if RoundingMethod(rounding_method) is RoundingMethod.TO_NEAREST_EVEN:
        return e.rint(x)
    finite = e.is_finite(x)
    y = e.select(finite, x, e.fill_like(x, 0))  # infinity less infinity is not a number
    whole = e.trunc(y)
    return e.select(finite, e.add(whole, e.trunc(e.mul(e.sub(y, whole), 2))), x)


def clamp(min: Any, x: Any, max: Any) -> Any:
    """x, no smaller than `min` and no larger than `max`.

    >>> clamp(0.0, np.float32(2), 1.0)
    np.float32(1.0)
    """
    for name, bound in (("min", min), ("max", max)):
        if shape_of(bound) not in ((), shape_of(x)):
            raise ShapeError(
                f"[clamp] expected {name} to be a scalar or of shape {shape_of(x)}, got {shape_of(bound)}."
            )
    return e.clamp(min, x, max)


def select(pred: Any, on_true: Any, on_false: Any) -> Any:
    """`on_true` where `pred` holds, else `on_false`.

    >>> select(np.array([True, False]), np.array([1, 2]), np.array([3, 4]))
    array([1, 4])
    """
    return e.select(pred, on_true, on_false)


def select_n(which: Any, *cases: Any) -> Any:
    """`cases[which]`, elementwise; `which` is boolean (two cases) or an integer.

    >>> select_n(np.array([0, 2]), np.array([1, 1]), np.array([2, 2]), np.array([3, 3]))
    array([1, 3])
    """
    if not cases:
        raise ArgumentError("[select_n] expected at least one case, got none.")
    first, *others = cases
    if shape_of(which) not in ((), shape_of(first)):
        raise ShapeError(
            f"[select_n] expected which to be a scalar or of the cases' shape {shape_of(first)}, got {shape_of(which)}."
        )
    if dtype_of(which).kind == "b":
        if len(others) > 1:
            raise ArgumentError(
                f"[select_n] expected at most two cases for a boolean, got {len(cases)}. Use an integer."
            )
        return e.select(which, others[0], first) if others else first
    out = first
    for k, case in enumerate(others, 1):
        out = e.select(e.ge(which, k), case, out)
    return out


def convert_element_type(operand: Any, new_dtype: Any) -> Any:
    """`operand` in another dtype; the imaginary part goes when the new dtype is real.

    >>> convert_element_type(np.arange(2), "float32")
    array([0., 1.], dtype=float32)
    """
    return convert(operand, as_np_dtype(new_dtype))


def full(shape: Any, fill_value: Any, dtype: Any = None, *, sharding: Any = None) -> Any:
    """An array of one repeated value.

    >>> full((2,), 1.5)
    array([1.5, 1.5], dtype=float32)
    """
    value = arr(fill_value) if dtype is None else convert(fill_value, as_np_dtype(dtype))
    wide = broadcast_to(value, as_shape(shape))
    return np.array(wide) if isinstance(wide, (np.ndarray, np.generic)) else wide


def full_like(x: Any, fill_value: Any, dtype: Any = None, shape: Any = None, sharding: Any = None) -> Any:
    """`full` with the shape and dtype of another array.

    >>> full_like(np.zeros(2, np.int32), 3)
    array([3, 3], dtype=int32)
    """
    return full(shape_of(x) if shape is None else shape, fill_value, dtype_of(arr(x)) if dtype is None else dtype)


def polygamma(m: Any, x: Any) -> Any:
    """The m-th derivative of `digamma`, m a non-negative integer (as a float, too); m = 0 is `digamma` itself.

    >>> polygamma(1.0, np.float64(1.0)).round(6)
    np.float64(1.644934)
    """
    return special_functions.polygamma(m, x)


def zeta(x: Any, q: Any) -> Any:
    """The Hurwitz zeta function: the sum over k of (q + k)**-x.

    >>> zeta(np.float64(2.0), np.float64(1.0)).round(4)
    np.float64(1.6449)
    """
    return e.zeta(x, q)


def mulhi(x: Any, y: Any, /) -> Any:
    """The upper half of the bits of the product of integers of one dtype.

    >>> mulhi(np.int8(100), np.int8(100))
    np.int8(39)
    """
    x, y = arr(x), arr(y)
    dtype = dtype_of(x)
    if dtype.kind not in "iu" or dtype_of(y) != dtype:
        raise DTypeError(f"[mulhi] expected two integer arrays of one dtype, got {dtype.name} and {dtype_of(y).name}.")
    bits = dtype.itemsize * 8
    if bits < 64:
        wide = np.dtype(f"{'u' if dtype.kind == 'u' else ''}int64")
        return convert(e.shift_right(e.mul(convert(x, wide), convert(y, wide)), bits), dtype)
    unsigned = np.dtype(np.uint64)
    a, b = convert(x, unsigned), convert(y, unsigned)
    low_bits = np.uint64(0xFFFFFFFF)
    a0, a1 = e.bitwise_and(a, low_bits), e.shift_right(a, np.uint64(32))
    b0, b1 = e.bitwise_and(b, low_bits), e.shift_right(b, np.uint64(32))
    middle = e.add(e.mul(a1, b0), e.shift_right(e.mul(a0, b0), np.uint64(32)))
    other = e.add(e.mul(a0, b1), e.bitwise_and(middle, low_bits))
    high = e.add(e.add(e.mul(a1, b1), e.shift_right(middle, np.uint64(32))), e.shift_right(other, np.uint64(32)))
    if dtype.kind == "u":
        return high
    zero = np.uint64(0)
    high = e.sub(high, e.select(e.lt(x, 0), b, zero))  # as signed numbers, x = a - 2**64 where its highest bit is set
    return convert(e.sub(high, e.select(e.lt(y, 0), a, zero)), dtype)


def empty(shape: Any, dtype: Any = None) -> np.ndarray:
    """An array whose contents do not matter.

    >>> empty((2,), "float32").shape
    (2,)
    """
    return np.zeros(shape, arr(0.0).dtype if dtype is None else dtype)


def dtype(x: Any) -> np.dtype:
    """The dtype of an array or scalar; a dtype or scalar type stands for itself.

    >>> dtype(np.float32(1))
    dtype('float32')
    """
    if isinstance(x, (type, str, np.dtype)):
        return np.dtype(x)
    return np.dtype(x) if isinstance(x, (type, np.dtype, str)) else dtype_of(arr(x))
