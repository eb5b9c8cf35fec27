"""The table of coefficients is what its generator computes, and its numbers are those of the functions."""

from __future__ import annotations

import math

import pytest

from fnets.backends.llvm.code import coefficients, make_coefficients
from fnets.backends.llvm.code.text import DOUBLE, SINGLE


def test_the_table_is_what_the_generator_writes():
    assert make_coefficients.FILE.read_text() == make_coefficients.text()


def value(numbers: tuple[float, ...], x: float) -> float:
    return math.fsum(c * x**k for k, c in enumerate(numbers))


@pytest.mark.parametrize(("dtype", "error"), [(SINGLE, 1e-7), (DOUBLE, 4e-16)])
def test_against_the_c_library(dtype, error):
    close = {"rel_tol": error, "abs_tol": 0}
    table = {
        name: numbers[dtype]
        for name, numbers in vars(coefficients).items()
        if isinstance(numbers, dict) and dtype in numbers
    }
    for x in (0.05, 0.2, 0.33):
        assert math.isclose(1 + x + x * x * value(table["EXP"], x), math.exp(x), **close)
        assert math.isclose(x + x**3 * value(table["SIN"], x * x), math.sin(x), **close)
        assert math.isclose(1 - x * x / 2 + x**4 * value(table["COS"], x * x), math.cos(x), **close)
        assert math.isclose(x + x**3 * value(table["ATAN"], x * x), math.atan(x), **close)
        assert math.isclose(x + x**3 * value(table["ASIN"], x * x), math.asin(x), **close)
        assert math.isclose(x + x * value(table["ERF_NEAR"], x * x), math.erf(x), **close)
    for s in (0.01, 0.1, 0.17):
        odd = 2 * s + s**3 * (table["TWO_THIRDS"][0] + s * s * value(table["ATANH"], s * s))
        assert math.isclose(odd, 2 * math.atanh(s), **close)
    for t in (0.95, 2.0, 3.5):
        assert math.isclose(1 - math.exp(value(table["ERF_FAR"], t)), math.erf(t), **close)
        scaled = value(table["ERFC"], (t - 3) / (t + 3)) / (t + 1)
        assert math.isclose(math.exp(-t * t) * scaled, math.erfc(t), rel_tol=8 * error)
    assert math.fsum(table["LN2"]) == pytest.approx(math.log(2), rel=1e-12)
    assert math.fsum(table["HALF_PI"]) == math.pi / 2
