"""The Bessel function of `numpy.i0`. Loaded when first used. May import arguments, primitives."""

from __future__ import annotations

from typing import Any

from fnets.numpy.arguments import operand, weak_inexact
from fnets.primitives.special_functions import bessel_i0

__all__ = ["i0"]


def i0(x: Any, /) -> Any:
    """The modified Bessel function of the first kind of order 0, elementwise; integers give float64.

    >>> i0([0.0, 1.0]).round(6)
    array([1.      , 1.266066])
    """
    return bessel_i0(weak_inexact(operand(x)))
