"""Elementwise comparison, logic and bits under NumPy's names. May import arguments, primitives.

All broadcast and promote as NumPy does, and carry no derivative. A function of Python scalars alone gives a Python scalar.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, typeof
from fnets.errors import DTypeError
from fnets.numpy.arguments import elementwise, refuse_out, to_array
from fnets.primitives import elementwise as e
from fnets.primitives.base import convert

__all__ = [
    "bitwise_and", "bitwise_count", "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_or",
    "bitwise_right_shift", "bitwise_xor", "equal", "greater", "greater_equal", "invert", "isfinite", "isinf", "isnan",
    "isneginf", "isposinf", "left_shift", "less", "less_equal", "logical_and", "logical_not", "logical_or",
    "logical_xor", "not_equal", "right_shift",
]  # fmt: skip

# ------------------------------------------------------------------ comparison


@elementwise(e.eq)
def equal(x1: Any, x2: Any, /) -> Any:
    """`x1 == x2`, elementwise.

    >>> equal(1, 1.0)
    True
    """


@elementwise(e.ne)
def not_equal(x1: Any, x2: Any, /) -> Any:
    """`x1 != x2`, elementwise.

    >>> not_equal(1, 2)
    True
    """


@elementwise(e.lt)
def less(x1: Any, x2: Any, /) -> Any:
    """`x1 < x2`, elementwise.

    >>> less(1, 2)
    True
    """


@elementwise(e.le)
def less_equal(x1: Any, x2: Any, /) -> Any:
    """`x1 <= x2`, elementwise.

    >>> less_equal(2, 2)
    True
    """


@elementwise(e.gt)
def greater(x1: Any, x2: Any, /) -> Any:
    """`x1 > x2`, elementwise.

    >>> greater(1, 2)
    False
    """


@elementwise(e.ge)
def greater_equal(x1: Any, x2: Any, /) -> Any:
    """`x1 >= x2`, elementwise.

    >>> greater_equal(2, 2)
    True
    """


@elementwise(e.is_finite)
def isfinite(x: Any, /) -> Any:
    """True where `x` is neither infinite nor NaN.

    >>> isfinite(1.0)
    True
    """


@elementwise(e.is_inf)
def isinf(x: Any, /) -> Any:
    """True where `x` is infinite.

    >>> isinf(-np.inf)
    True
    """


@elementwise(e.is_nan)
def isnan(x: Any, /) -> Any:
    """True where `x` is NaN.

    >>> isnan(np.nan)
    True
    """


def isposinf(x: Any, /, out: Any = None) -> Any:
    """True where `x` is positive infinity.

    >>> isposinf(np.inf)
    True
    """
    refuse_out("isposinf", out)
    return e.logical_and(e.is_inf(x), e.logical_not(e.signbit(x)))


def isneginf(x: Any, /, out: Any = None) -> Any:
    """True where `x` is negative infinity.

    >>> isneginf(-np.inf)
    True
    """
    refuse_out("isneginf", out)
    return e.logical_and(e.is_inf(x), e.signbit(x))


# ------------------------------------------------------------------ logic and bits


@elementwise(e.logical_and)
def logical_and(x1: Any, x2: Any, /) -> Any:
    """True where both are nonzero.

    >>> logical_and(True, 0)
    False
    """


@elementwise(e.logical_or)
def logical_or(x1: Any, x2: Any, /) -> Any:
    """True where either is nonzero.

    >>> logical_or(True, 0)
    True
    """


@elementwise(e.logical_xor)
def logical_xor(x1: Any, x2: Any, /) -> Any:
    """True where exactly one is nonzero.

    >>> logical_xor(True, True)
    False
    """


@elementwise(e.logical_not)
def logical_not(x: Any, /) -> Any:
    """True where `x` is zero.

    >>> logical_not(0)
    True
    """


@elementwise(e.bitwise_and)
def bitwise_and(x1: Any, x2: Any, /) -> Any:
    """`x1 & x2` of integers or bools.

    >>> bitwise_and(6, 3)
    2
    """


@elementwise(e.bitwise_or)
def bitwise_or(x1: Any, x2: Any, /) -> Any:
    """`x1 | x2` of integers or bools.

    >>> bitwise_or(6, 3)
    7
    """


@elementwise(e.bitwise_xor)
def bitwise_xor(x1: Any, x2: Any, /) -> Any:
    """`x1 ^ x2` of integers or bools.

    >>> bitwise_xor(6, 3)
    5
    """


@elementwise(e.bitwise_not)
def invert(x: Any, /) -> Any:
    """`~x` of integers or bools.

    >>> invert(5)
    -6
    """


bitwise_not = bitwise_invert = invert


@elementwise(e.shift_left)
def left_shift(x1: Any, x2: Any, /) -> Any:
    """`x1 << x2` of integers.

    >>> left_shift(1, 4)
    16
    """


@elementwise(e.shift_right)
def right_shift(x1: Any, x2: Any, /) -> Any:
    """`x1 >> x2` of integers; signed integers keep their sign.

    >>> right_shift(-16, 2)
    -4
    """


bitwise_left_shift, bitwise_right_shift = left_shift, right_shift


def bitwise_count(x: Any, /) -> Any:
    """The number of one bits in `|x|`, as uint8.

    >>> bitwise_count(np.array([7, 8]))
    array([3, 1], dtype=uint8)
    """
    x = to_array(x)
    if dtype_of(x).kind not in "iu":
        raise DTypeError(
            f"[bitwise_count] expected integers, got {typeof(x).str_short()}. Convert with x.astype('int64')."
        )
    return convert(e.population_count(e.abs(x) if dtype_of(x).kind == "i" else x), np.uint8)
