"""Writes coefficients.py, the tables of vmath.py. May import nothing of fnets; no module imports it.

    python -m fnets.backends.llvm.code.make_coefficients            # rewrite the file
    python -m fnets.backends.llvm.code.make_coefficients --check    # fail if it is out of date

Everything is worked out in decimal numbers of 100 digits and rounded once.
"""

from __future__ import annotations

import math
import pathlib
import sys
import textwrap
from collections.abc import Callable, Iterable
from decimal import Decimal, localcontext

FILE = pathlib.Path(__file__).with_name("coefficients.py")
DIGITS = 100
Number = Decimal | int

# ------------------------------------------------------------------ functions of decimal numbers


def series(terms: Iterable[Decimal]) -> Decimal:
    """The sum of terms up to the first that changes nothing."""
    total = Decimal(0)
    for term in terms:
        if total + term == total and total:
            break
        total += term
    return total


def taylor(x: Decimal, ratio: Callable[[int], Decimal], first: Decimal = Decimal(1)) -> Decimal:
    """first * (1 + x * ratio(1) * (1 + x * ratio(2) * (1 + ...))).

    >>> float(taylor(Decimal(1), lambda k: Decimal(1) / k)), float(taylor(Decimal(0), lambda k: Decimal(1)))
    (2.718281828459045, 1.0)
    """

    def terms() -> Iterable[Decimal]:
        term, k = first, 0
        while True:
            yield term
            k += 1
            term *= x * ratio(k)

    return series(terms())


def factorial(k: int) -> Decimal:
    return factorial(k - 1) * k if k else Decimal(1)


def arctan(x: Decimal) -> Decimal:
    return series((-1) ** k * x ** (2 * k + 1) / (2 * k + 1) for k in range(10**6))


def pi() -> Decimal:
    """By Machin's formula."""
    return 16 * arctan(1 / Decimal(5)) - 4 * arctan(1 / Decimal(239))


def cosine(x: Decimal) -> Decimal:
    return taylor(x * x, lambda k: Decimal(-1) / (2 * k * (2 * k - 1)))


def erf(x: Decimal) -> Decimal:
    """2 x exp(-x**2) / sqrt(pi) * (1 + 2 x**2 / 3 * (1 + 2 x**2 / 5 * (...)))."""
    return 2 * x * (-x * x).exp() / pi().sqrt() * taylor(2 * x * x, lambda k: 1 / Decimal(2 * k + 1))


def scaled_erfc(x: Decimal) -> Decimal:
    """exp(x**2) erfc(x), from 2 on by its continued fraction."""
    if x < 2:
        return (x * x).exp() * (1 - erf(x))
    value = x
    for k in range(1000, 0, -1):
        value = x + Decimal(k) / 2 / value
    return 1 / value / pi().sqrt()


# ------------------------------------------------------------------ coefficients, the constant one first


def chebyshev(f: Callable[[Decimal], Decimal], low: Number, high: Number, degree: int, power: int = 1) -> list[Decimal]:
    """The polynomial that equals f at the Chebyshev points of an interval, as coefficients of 1, x, x**2, ...

    power: of the distance to the low end, which moves the points there, where then the polynomial is closer to f.

    >>> [round(c, 6) + 0 for c in map(float, chebyshev(lambda x: 1 + 2 * x * x, -1, 1, 2))]
    [1.0, 0.0, 2.0]
    """
    low, n = Decimal(low), degree + 1
    spread = [(1 - cosine(pi() * (2 * k + 1) / (2 * n))) / 2 for k in range(n)]
    points = [low + (Decimal(high) - low) * s**power for s in spread]
    differences = [f(x) for x in points]  # Newton's divided ones
    for k in range(1, n):
        for i in reversed(range(k, n)):
            differences[i] = (differences[i] - differences[i - 1]) / (points[i] - points[i - k])
    total = [Decimal(0)] * n
    for c, x in zip(differences[::-1], points[::-1]):  # total * (variable - x) + c
        total = [c - x * total[0], *[a - x * b for a, b in zip(total, total[1:])]]
    return total


def parts(value: Decimal, *bits: int) -> list[Decimal]:
    """A number as a sum of numbers of so many bits each, the last one rounded to nearest.

    >>> [float(p) for p in parts(Decimal(1) / 3, 24, 24)]
    [0.3333333134651184, 1.9868215517249155e-08]
    """
    out = []
    for k, count in enumerate(bits):
        unit = Decimal(2) ** (math.frexp(float(value))[1] - count)
        whole = (value / unit).to_integral_value("ROUND_HALF_EVEN" if k == len(bits) - 1 else "ROUND_DOWN")
        out.append(whole * unit)
        value -= out[-1]
    return out


# ------------------------------------------------------------------ the tables

Table = list[Decimal] | dict[str, list[Decimal]]


def tables() -> dict[str, tuple[str, Table]]:
    """What each table is, and its numbers: of one precision, or by precision."""
    with localcontext() as context:
        context.prec = DIGITS
        return _tables()


def _tables() -> dict[str, tuple[str, Table]]:
    ln2, half_pi = Decimal(2).ln(), pi() / 2
    half_ln2 = ln2 / 2 * Decimal("1.0002")
    root = Decimal(2).sqrt()
    eighth = (pi() / 4 * Decimal("1.001")) ** 2
    out: dict[str, tuple[str, Table]] = {}

    def both(make: Callable[[int], list[Decimal]], single: int, double: int) -> Table:
        return {"SINGLE": make(single), "DOUBLE": make(double)}

    def fitted(f: Callable[[Decimal], Decimal], low: Number, high: Number, single: int, double: int) -> Table:
        return both(lambda degree: chebyshev(f, low, high, degree), single, double)

    out["EXP"] = (
        "(exp(r) - 1 - r) / r**2, |r| <= ln(2) / 2",
        fitted(lambda r: taylor(r, lambda k: Decimal(1) / (k + 2), Decimal(1) / 2), -half_ln2, half_ln2, 4, 11),
    )
    out["LN2"] = (
        "ln(2) in parts, of which the first has so few bits that a multiple by an exponent is exact",
        {"SINGLE": parts(ln2, 15, 24), "DOUBLE": parts(ln2, 41, 53)},
    )
    out["LOG"] = (
        "(log(1 + f) - f + f**2 / 2) / f**3, 1 + f from sqrt(1/2) to sqrt(2)",
        chebyshev(lambda f: ((1 + f).ln() - f + f * f / 2) / f**3, 1 / root - 1, root - 1, 9),
    )
    two_thirds = Decimal(2) / 3
    out["TWO_THIRDS"] = (
        "2 / 3 in parts",
        {"SINGLE": parts(two_thirds, 24, 24), "DOUBLE": parts(two_thirds, 53, 53)},
    )
    out["ATANH"] = (
        "((2 atanh(s) - 2 s) / s**3 - 2 / 3) / s**2, in s**2, |s| <= tanh(ln(2) / 4)",
        fitted(lambda z: series(Decimal(2) / (2 * k + 5) * z**k for k in range(10**6)), 0, Decimal("0.0295"), 3, 8),
    )
    out["LOG_BASE"] = (
        "1 / ln(base), and ln(2) / ln(base) in parts",
        {b: [1 / x, *parts(ln2 / x, 41, 53)] for b, x in (("2", ln2), ("10", Decimal(10).ln()))},
    )
    out["SIN"] = (
        "(sin(r) - r) / r**3, in r**2, |r| <= pi / 4",
        fitted(lambda z: taylor(z, lambda k: Decimal(-1) / ((2 * k + 2) * (2 * k + 3)), -1 / Decimal(6)), 0, eighth, 3, 7),
    )  # fmt: skip
    out["COS"] = (
        "(cos(r) - 1 + r**2 / 2) / r**4, in r**2, |r| <= pi / 4",
        fitted(lambda z: taylor(z, lambda k: Decimal(-1) / ((2 * k + 3) * (2 * k + 4)), 1 / Decimal(24)), 0, eighth, 3, 7),
    )  # fmt: skip
    out["HALF_PI"] = ("pi / 2 in parts", {"SINGLE": parts(half_pi, *[24] * 3), "DOUBLE": parts(half_pi, *[53] * 3)})
    out["ATAN"] = (
        "(atan(x) - x) / x**3, in x**2, |x| <= tan(pi / 8)",
        fitted(lambda z: series(-((-z) ** (k - 1)) / (2 * k + 1) for k in range(1, 10**6)), 0, Decimal("0.1717"), 5, 12),
    )  # fmt: skip
    out["ASIN"] = (
        "(asin(x) - x) / x**3, in x**2, |x| <= 1/2",
        fitted(
            lambda z: taylor(z, lambda k: Decimal((2 * k + 1) ** 2) / ((2 * k + 2) * (2 * k + 3)), 1 / Decimal(6)),
            0, Decimal("0.25"), 6, 13,
        ),
    )  # fmt: skip
    edge = Decimal("0.93")
    out["ERF_NEAR"] = (
        "erf(x) / x - 1, in x**2, |x| <= 0.93",
        fitted(lambda z: erf(z.sqrt()) / z.sqrt() - 1, 0, edge**2, 7, 12),
    )
    out["ERF_FAR"] = (
        "log(erfc(t)), t from 0.93 to where erf(t) is 1: 4 or 6",
        {
            "SINGLE": chebyshev(lambda t: scaled_erfc(t).ln() - t * t, edge, 4, 9),
            "DOUBLE": chebyshev(lambda t: scaled_erfc(t).ln() - t * t, edge, 6, 20, power=2),
        },
    )
    out["ERFC"] = (
        "(t + 1) exp(t**2) erfc(t), in (t - 3) / (t + 3), t from 0 to infinity",
        fitted(lambda q: (1 + (t := 3 * (1 + q) / (1 - q))) * scaled_erfc(t), -1, 1, 11, 24),
    )
    return out


def text() -> str:
    """The module."""
    lines = [
        '"""Coefficients of vmath.py, the constant one first: written by make_coefficients.py. May import text."""',
        "",
        "# fmt: off",
        "from __future__ import annotations",
        "",
        "from fnets.backends.llvm.code.text import DOUBLE, SINGLE",
    ]
    for name, (what, table) in tables().items():
        lines += ["", f"# {what}"]
        if isinstance(table, dict):
            lines.append(f"{name} = {{")
            lines += [line for key, numbers in table.items() for line in _numbers(f"    {key}: ", numbers, ",")]
            lines.append("}")
        else:
            lines += _numbers(f"{name} = ", table, "")
    return "\n".join([*lines, ""])


def _numbers(before: str, numbers: list[Decimal], after: str) -> list[str]:
    indent = " " * (len(before) - len(before.lstrip()))
    wrapped = textwrap.wrap(", ".join(repr(float(x)) for x in numbers), 110, break_on_hyphens=False)
    return [f"{before}(", *[f"{indent}    {line}" for line in wrapped], f"{indent}){after}"]


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        if FILE.read_text() != text():
            sys.exit(f"{FILE.name} is out of date: run python -m fnets.backends.llvm.code.make_coefficients")
    else:
        FILE.write_text(text())
