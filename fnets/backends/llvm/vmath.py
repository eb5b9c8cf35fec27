"""Transcendental functions of vectors, inline, without tables or branches. May import text.

Coefficients are worked out here, once, at import: Taylor series for double precision, Chebyshev interpolation (near to minimax) for single. Infinities, nan
and denormal numbers come out right. Errors against correctly rounded results are in tests/backends/test_llvm_math.py: at most 2 ulp, 4 for tanh and erf.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np

from fnets.backends.llvm.text import BOOL, DOUBLE, INT32, INT64, SINGLE, Function, Lanes, scalar_type

# ------------------------------------------------------------------ coefficients, the constant one first


def chebyshev(f: Callable[[float], float], low: float, high: float, degree: int) -> tuple[float, ...]:
    """The polynomial that equals f at the Chebyshev points of an interval, as coefficients of 1, x, x**2, ...

    >>> [round(c, 6) for c in chebyshev(lambda x: 1 + 2 * x * x, -1.0, 1.0, 2)]
    [1.0, 0.0, 2.0]
    """
    n = degree + 1
    angles = [math.pi * (k + 0.5) / n for k in range(n)]
    middle, half = (low + high) / 2, (high - low) / 2
    values = [f(middle + half * math.cos(a)) for a in angles]
    weights = [math.fsum(v * math.cos(j * a) for v, a in zip(values, angles)) * (2 if j else 1) / n for j in range(n)]
    # from the basis T_j((x - middle) / half) to powers, exactly
    u = [Fraction(-middle) / Fraction(half), 1 / Fraction(half)]
    previous, current = [Fraction(1)], u
    total = [Fraction(0)] * n
    for j, w in enumerate(weights):
        basis = previous if j == 0 else current
        for i, c in enumerate(basis):
            total[i] += Fraction(w) * c
        if j:
            product = [Fraction(0)] * (len(current) + 1)
            for i, c in enumerate(current):
                product[i] += 2 * u[0] * c
                product[i + 1] += 2 * u[1] * c
            for i, c in enumerate(previous):
                product[i] -= c
            previous, current = current, product
    return tuple(map(float, total))


def parts(value: Decimal, bits: int, count: int) -> list[float]:
    """A number as a sum of `count` floats of `bits` bits each, the last one rounded to nearest.

    >>> parts(Decimal(1) / 3, 24, 2)[0]
    0.3333333134651184
    """
    out = []
    with localcontext() as context:
        context.prec = 100
        for k in range(count):
            exponent = math.frexp(float(value))[1]
            scaled = value * Decimal(2) ** (bits - exponent)
            whole = int(scaled) if k < count - 1 else round(scaled)
            out.append(math.ldexp(whole, exponent - bits))
            value -= Decimal(whole) * Decimal(2) ** (exponent - bits)
    return out


with localcontext() as _context:
    _context.prec = 80
    _LN2 = Decimal(2).ln()
_HALF_PI = Decimal(
    "1.57079632679489661923132169163975144209858469968755291048747229615390820314310449931401741267105853399107"
)

_HALF_LN2 = 0.3466
_EXP = {
    SINGLE: chebyshev(lambda r: math.fsum(r**k / math.factorial(k + 2) for k in range(12)), -_HALF_LN2, _HALF_LN2, 4),
    DOUBLE: tuple(1 / math.factorial(k) for k in range(2, 14)),
}
# the leading parts have so few bits that a multiple of them by an exponent is exact
_LN2_PARTS = {SINGLE: parts(_LN2, 15, 1) + parts(_LN2 - Decimal(parts(_LN2, 15, 1)[0]), 24, 1), DOUBLE: []}
_LN2_PARTS[DOUBLE] = parts(_LN2, 41, 1) + parts(_LN2 - Decimal(parts(_LN2, 41, 1)[0]), 53, 1)
_LOG = chebyshev(lambda f: (math.log1p(f) - f + f * f / 2) / f**3, math.sqrt(0.5) - 1, math.sqrt(2) - 1, 9)
_ATANH = tuple(2 / (2 * k + 1) for k in range(1, 12))
_EIGHTH = math.pi / 4 * 1.001
_SIN = {
    SINGLE: chebyshev(lambda z: (math.sin(math.sqrt(z)) / math.sqrt(z) - 1) / z, 0.0, _EIGHTH**2, 3),
    DOUBLE: tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(1, 9)),
}
_COS = {
    SINGLE: chebyshev(lambda z: (math.cos(math.sqrt(z)) - 1 + z / 2) / (z * z), 0.0, _EIGHTH**2, 3),
    DOUBLE: tuple((-1) ** k / math.factorial(2 * k) for k in range(2, 10)),
}
_HALF_PI_PARTS = {SINGLE: parts(_HALF_PI, 24, 3), DOUBLE: parts(_HALF_PI, 53, 3)}
_REDUCIBLE = {SINGLE: 40000.0, DOUBLE: 1e6}  # beyond, the C library's function is called
_ERF_EDGE, _ERF_END = 0.93, 4.0
_ERF_NEAR = chebyshev(lambda z: math.erf(math.sqrt(z)) / math.sqrt(z) - 1, 0.0, _ERF_EDGE**2, 7)
_ERF_FAR = chebyshev(lambda t: math.log(math.erfc(t)), _ERF_EDGE, _ERF_END, 9)
_ERFC_END = 10.5  # beyond, it is 0 in single precision
_ERFC = chebyshev(
    lambda q: (t := 2 * (1 + q) / (1 - q), (1 + 2 * t) * math.exp(t * t) * math.erfc(t))[1],
    -1.0,
    (_ERFC_END - 2) / (_ERFC_END + 2),
    13,
)

# ------------------------------------------------------------------ helpers

_BITS = {SINGLE: INT32, DOUBLE: INT64}
_MANTISSA = {SINGLE: 23, DOUBLE: 52}
_BIAS = {SINGLE: 127, DOUBLE: 1023}


def horner(v: Lanes, x: str, coefficients: Sequence[float], dtype: np.dtype) -> str:
    """c0 + x * (c1 + x * (c2 + ...))."""
    result = v.const(coefficients[-1], dtype)
    for c in coefficients[-2::-1]:
        result = v.fma(result, x, v.const(c, dtype), dtype)
    return result


def at_most(v: Lanes, x: str, bound: float, dtype: np.dtype) -> str:
    """The smaller of x and a bound; nan stays."""
    b = v.const(bound, dtype)
    return v.select(v.compare("olt", b, x, dtype), b, x, dtype)


def at_least(v: Lanes, x: str, bound: float, dtype: np.dtype) -> str:
    """The larger of x and a bound; nan stays."""
    b = v.const(bound, dtype)
    return v.select(v.compare("ogt", b, x, dtype), b, x, dtype)


def negative(v: Lanes, x: str, dtype: np.dtype) -> str:
    return v.op(f"fneg {v.type(dtype)} {x}")


def _power_of_two(v: Lanes, n: str, dtype: np.dtype) -> str:
    """2**n for an integer n in the range of normal exponents."""
    bits = _BITS[dtype]
    biased = v.binary("add", n, v.const(_BIAS[dtype], bits), bits)
    return v.cast("bitcast", v.binary("shl", biased, v.const(_MANTISSA[dtype], bits), bits), bits, dtype)


def _reduce_exp(v: Lanes, x: str, dtype: np.dtype) -> tuple[str, str]:
    """(n, expm1(r)) with x = n * ln(2) + r for an integer n."""
    n = v.intrinsic("roundeven", dtype, v.binary("fmul", x, v.const(1 / math.log(2), dtype), dtype))
    r = x
    for part in _LN2_PARTS[dtype]:
        r = v.fma(n, v.const(-part, dtype), r, dtype)
    q = horner(v, r, _EXP[dtype], dtype)
    p = v.fma(v.binary("fmul", r, r, dtype), q, r, dtype)
    return n, p


def _has_avx512(v: Lanes, dtype: np.dtype) -> bool:
    """True where its instructions on float32 can be used: other processors have no vectors of 16 lanes."""
    return dtype == SINGLE and v.count == 16


def _scaled(v: Lanes, x: str, n: str) -> str:
    """x * 2**n by AVX-512's instruction."""
    t = v.type(SINGLE)
    rounding = ("i32", "4")  # as elsewhere
    operands = [(t, x), (t, n), (t, "zeroinitializer"), ("i16", "-1"), rounding]
    return v.function.call(t, "llvm.x86.avx512.mask.scalef.ps.512", *operands)


# ------------------------------------------------------------------ exponentials


def exp(v: Lanes, x: str, dtype: np.dtype) -> str:
    low, high = (-104.5, 89.5) if dtype == SINGLE else (-746.0, 710.5)
    x = at_most(v, at_least(v, x, low, dtype), high, dtype)
    n, p = _reduce_exp(v, x, dtype)
    p = v.binary("fadd", p, v.const(1.0, dtype), dtype)
    if _has_avx512(v, dtype):
        return _scaled(v, p, n)
    n = v.cast("fptosi", n, dtype, _BITS[dtype])
    bits = _BITS[dtype]  # in two steps, as 2**n may be out of range where the result is not
    half = v.binary("ashr", n, v.const(1, bits), bits)
    p = v.binary("fmul", p, _power_of_two(v, half, dtype), dtype)
    return v.binary("fmul", p, _power_of_two(v, v.binary("sub", n, half, bits), dtype), dtype)


def _small_expm1(v: Lanes, x: str, dtype: np.dtype) -> str:
    """expm1 for -40 <= x <= 40, to full relative accuracy."""
    n, p = _reduce_exp(v, x, dtype)
    scale = _power_of_two(v, v.cast("fptosi", n, dtype, _BITS[dtype]), dtype)
    return v.fma(scale, p, v.binary("fadd", scale, v.const(-1.0, dtype), dtype), dtype)


def expm1(v: Lanes, x: str, dtype: np.dtype) -> str:
    near = _small_expm1(v, at_most(v, at_least(v, x, -40.0, dtype), 40.0, dtype), dtype)
    near = v.select(v.compare("oeq", x, v.const(0.0, dtype), dtype), x, near, dtype)
    far = exp(v, x, dtype)  # from 40 on, the one does not matter
    return v.select(v.compare("ogt", x, v.const(39.0, dtype), dtype), far, near, dtype)


def exp2(v: Lanes, x: str, dtype: np.dtype) -> str:
    return in_double(v, x, lambda v, x, d: exp(v, v.binary("fmul", x, v.const(math.log(2), d), d), d))


def tanh(v: Lanes, x: str, dtype: np.dtype) -> str:
    """e / (e + 2) with e = expm1(2 |x|)."""
    size = v.intrinsic("fabs", dtype, x)
    e = _small_expm1(v, at_most(v, v.binary("fadd", size, size, dtype), 40.0, dtype), dtype)
    y = v.binary("fdiv", e, v.binary("fadd", e, v.const(2.0, dtype), dtype), dtype)
    return v.intrinsic("copysign", dtype, y, x)


def logistic(v: Lanes, x: str, dtype: np.dtype) -> str:
    e = exp(v, at_most(v, x, 40.0, dtype), dtype)
    return v.binary("fdiv", e, v.binary("fadd", e, v.const(1.0, dtype), dtype), dtype)


# ------------------------------------------------------------------ logarithms


def log(v: Lanes, x: str, dtype: np.dtype) -> str:
    bits, mantissa = _BITS[dtype], _MANTISSA[dtype]
    smallest = float(np.finfo(dtype).tiny)
    tiny = v.compare("olt", x, v.const(smallest, dtype), dtype)
    scaled = v.binary("fmul", x, v.const(2.0 ** (mantissa + 2), dtype), dtype)
    i = v.cast("bitcast", v.select(tiny, scaled, x, dtype), dtype, bits)
    # the significand in [sqrt(1/2), sqrt(2)), by moving the origin of the bit pattern
    origin = int(np.array(math.sqrt(0.5), dtype).view(bits))
    i = v.binary("sub", i, v.const(origin, bits), bits)
    e = v.cast("sitofp", v.binary("ashr", i, v.const(mantissa, bits), bits), bits, dtype)
    e = v.select(tiny, v.binary("fadd", e, v.const(-(mantissa + 2.0), dtype), dtype), e, dtype)
    m = v.binary("and", i, v.const((1 << mantissa) - 1, bits), bits)
    m = v.cast("bitcast", v.binary("add", m, v.const(origin, bits), bits), bits, dtype)
    f = v.binary("fadd", m, v.const(-1.0, dtype), dtype)
    high, low = _LN2_PARTS[dtype]
    if dtype == SINGLE:
        z = v.binary("fmul", f, f, dtype)
        y = v.binary("fmul", v.binary("fmul", f, z, dtype), horner(v, f, _LOG, dtype), dtype)
        y = v.fma(e, v.const(low, dtype), y, dtype)
        y = v.binary("fadd", f, v.fma(z, v.const(-0.5, dtype), y, dtype), dtype)
    else:
        s = v.binary("fdiv", f, v.binary("fadd", f, v.const(2.0, dtype), dtype), dtype)
        z = v.binary("fmul", s, s, dtype)
        rest = v.binary("fmul", z, horner(v, z, _ATANH, dtype), dtype)
        half = v.binary("fmul", v.binary("fmul", f, f, dtype), v.const(0.5, dtype), dtype)
        y = v.fma(e, v.const(low, dtype), v.binary("fmul", s, v.binary("fadd", half, rest, dtype), dtype), dtype)
        y = v.binary("fsub", f, v.binary("fsub", half, y, dtype), dtype)
    y = v.fma(e, v.const(high, dtype), y, dtype)
    infinity = v.const(math.inf, dtype)
    y = v.select(v.compare("olt", x, infinity, dtype), y, x, dtype)  # inf and nan
    zero = v.const(0.0, dtype)
    y = v.select(v.compare("oeq", x, zero, dtype), v.const(-math.inf, dtype), y, dtype)
    return v.select(v.compare("olt", x, zero, dtype), v.const(math.nan, dtype), y, dtype)


def log1p(v: Lanes, x: str, dtype: np.dtype) -> str:
    """log(u) + (what u = 1 + x lost in rounding) / u."""
    one = v.const(1.0, dtype)
    u = v.binary("fadd", x, one, dtype)
    lost = v.binary("fsub", x, v.binary("fsub", u, one, dtype), dtype)
    correction = v.binary("fdiv", lost, u, dtype)
    finite = v.compare("oeq", v.binary("fsub", correction, correction, dtype), v.const(0.0, dtype), dtype)
    y = v.binary("fadd", log(v, u, dtype), v.select(finite, correction, v.const(0.0, dtype), dtype), dtype)
    return v.select(v.compare("oeq", x, v.const(0.0, dtype), dtype), x, y, dtype)


def softplus(v: Lanes, x: str, dtype: np.dtype) -> str:
    e = exp(v, negative(v, v.intrinsic("fabs", dtype, x), dtype), dtype)
    return v.binary("fadd", log1p(v, e, dtype), at_least(v, x, 0.0, dtype), dtype)


def log2(v: Lanes, x: str, dtype: np.dtype) -> str:
    return in_double(v, x, lambda v, x, d: v.binary("fmul", log(v, x, d), v.const(1 / math.log(2), d), d))


def log10(v: Lanes, x: str, dtype: np.dtype) -> str:
    return in_double(v, x, lambda v, x, d: v.binary("fmul", log(v, x, d), v.const(1 / math.log(10), d), d))


def in_double(v: Lanes, x: str, f: Callable[[Lanes, str, np.dtype], str]) -> str:
    """A function of single precision computed in double precision."""
    return v.cast("fptrunc", f(v, v.cast("fpext", x, SINGLE, DOUBLE), DOUBLE), DOUBLE, SINGLE)


# ------------------------------------------------------------------ roots, erf


def sqrt(v: Lanes, x: str, dtype: np.dtype) -> str:
    return v.intrinsic("sqrt", dtype, x)


def rsqrt(v: Lanes, x: str, dtype: np.dtype) -> str:
    return v.binary("fdiv", v.const(1.0, dtype), sqrt(v, x, dtype), dtype)


def erf(v: Lanes, x: str, dtype: np.dtype) -> str:
    """x times a polynomial near 0, 1 - exp(polynomial) beyond."""
    size = v.intrinsic("fabs", dtype, x)
    near = v.fma(x, horner(v, v.binary("fmul", x, x, dtype), _ERF_NEAR, dtype), x, dtype)
    t = at_most(v, size, _ERF_END, dtype)
    far = v.binary("fsub", v.const(1.0, dtype), exp(v, horner(v, t, _ERF_FAR, dtype), dtype), dtype)
    far = v.intrinsic("copysign", dtype, far, x)
    return v.select(v.compare("olt", size, v.const(_ERF_EDGE, dtype), dtype), near, far, dtype)


def erfc(v: Lanes, x: str, dtype: np.dtype) -> str:
    """exp(-t * t) / (1 + 2 t) times a polynomial in (t - 2) / (t + 2), t = |x|; 2 minus that below 0."""
    t = at_most(v, v.intrinsic("fabs", dtype, x), _ERFC_END, dtype)
    one, two = v.const(1.0, dtype), v.const(2.0, dtype)
    q = v.binary("fdiv", v.binary("fsub", t, two, dtype), v.binary("fadd", t, two, dtype), dtype)
    # -t * t in two parts, as its rounding would cost t * t ulp
    square = v.binary("fmul", t, t, dtype)
    lost = v.fma(t, t, negative(v, square, dtype), dtype)
    slow = v.binary("fdiv", horner(v, q, _ERFC, dtype), v.fma(two, t, one, dtype), dtype)
    slow = v.fma(negative(v, lost, dtype), slow, slow, dtype)
    tail = v.binary("fmul", exp(v, negative(v, square, dtype), dtype), slow, dtype)
    below = v.compare("olt", x, v.const(0.0, dtype), dtype)
    return v.select(below, v.binary("fsub", two, tail, dtype), tail, dtype)


# ------------------------------------------------------------------ sine and cosine; powers


def _rarely(v: Lanes, rare: str, usual: str, operands: Sequence[str], dtype: np.dtype, c_function: str) -> str:
    """`usual`, or where any lane is `rare` the C library's function of every lane."""
    f, n, t = v.function, v.count, v.type(dtype)
    any_ = rare if n == 1 else f.call("i1", f"llvm.vector.reduce.or.v{n}i1", (v.type(BOOL), rare))
    slow, join, before = f.new("slow"), f.new("join"), f.block
    f.do(f"br i1 {any_}, label %{slow}, label %{join}")
    f.label(slow)
    name = f"each_{c_function}_{n}"
    f.helpers[name] = _each_lane(name, c_function, n, len(operands), dtype)
    f.declarations.add(f"declare {scalar_type(dtype)} @{c_function}({', '.join([scalar_type(dtype)] * len(operands))})")
    result = f.call(t, name, *[(t, x) for x in operands], declare=False)
    f.do(f"br label %{join}")
    f.label(join)
    return f.op(f"phi {t} [ {usual}, %{before} ], [ {result}, %{slow} ]")


@functools.cache
def _each_lane(name: str, c_function: str, count: int, arity: int, dtype: np.dtype) -> Function:
    element = scalar_type(dtype)
    t = element if count == 1 else f"<{count} x {element}>"
    f = Function(name, [f"{t} %x{k}" for k in range(arity)], t, "internal")
    if count == 1:
        f.do(f"ret {t} {f.call(t, c_function, *[(t, f'%x{k}') for k in range(arity)])}")
        return f
    with f.loop(0, count, 1, [(t, "poison")]) as loop:
        scalars = [f.op(f"extractelement {t} %x{k}, i64 {loop.index}") for k in range(arity)]
        y = f.call(element, c_function, *[(element, s) for s in scalars])
        loop.next = [f.op(f"insertelement {t} {loop.values[0]}, {element} {y}, i64 {loop.index}")]
    f.do(f"ret {t} {loop.results[0]}")
    return f


def _circular(v: Lanes, x: str, dtype: np.dtype, quadrant: int, c_function: str) -> str:
    """sin(x + quadrant * pi / 2)."""
    bits = _BITS[dtype]
    n = v.intrinsic("roundeven", dtype, v.binary("fmul", x, v.const(2 / math.pi, dtype), dtype))
    r = x
    for part in _HALF_PI_PARTS[dtype]:
        r = v.fma(n, v.const(-part, dtype), r, dtype)
    z = v.binary("fmul", r, r, dtype)
    s = v.fma(v.binary("fmul", z, r, dtype), horner(v, z, _SIN[dtype], dtype), r, dtype)
    # 1 - z / 2 rounds: what it loses goes in with the small terms
    half = v.binary("fmul", z, v.const(0.5, dtype), dtype)
    one = v.const(1.0, dtype)
    w = v.binary("fsub", one, half, dtype)
    lost = v.binary("fsub", v.binary("fsub", one, w, dtype), half, dtype)
    c = v.fma(v.binary("fmul", z, z, dtype), horner(v, z, _COS[dtype], dtype), lost, dtype)
    c = v.binary("fadd", w, c, dtype)
    turns = v.cast("fptosi", n, dtype, bits)
    if quadrant:
        turns = v.binary("add", turns, v.const(quadrant, bits), bits)
    odd = v.compare("ne", v.binary("and", turns, v.const(1, bits), bits), v.const(0, bits), bits)
    flip = v.compare("ne", v.binary("and", turns, v.const(2, bits), bits), v.const(0, bits), bits)
    y = v.select(odd, c, s, dtype)
    y = v.select(flip, negative(v, y, dtype), y, dtype)
    if quadrant == 0:
        y = v.select(v.compare("oeq", x, v.const(0.0, dtype), dtype), x, y, dtype)
    far = v.compare("ogt", v.intrinsic("fabs", dtype, x), v.const(_REDUCIBLE[dtype], dtype), dtype)
    return _rarely(v, far, y, [x], dtype, c_function + ("f" if dtype == SINGLE else ""))


def sin(v: Lanes, x: str, dtype: np.dtype) -> str:
    return _circular(v, x, dtype, 0, "sin")


def cos(v: Lanes, x: str, dtype: np.dtype) -> str:
    return _circular(v, x, dtype, 1, "cos")


def power(v: Lanes, x: str, y: str, dtype: np.dtype) -> str:
    """x ** y in single precision: exp(y * log(x)) in double precision for positive finite x and finite y."""
    wide = [v.cast("fpext", a, SINGLE, DOUBLE) for a in (x, y)]
    exponent = v.binary("fmul", wide[1], log(v, wide[0], DOUBLE), DOUBLE)
    usual = v.cast("fptrunc", exp(v, exponent, DOUBLE), DOUBLE, SINGLE)
    zero, infinity = v.const(0.0, dtype), v.const(math.inf, dtype)
    odd = v.compare("ule", x, zero, dtype)
    for a in (x, v.intrinsic("fabs", dtype, y)):
        odd = v.binary("or", odd, v.compare("uge", a, infinity, dtype), BOOL)
    return _rarely(v, odd, usual, [x, y], dtype, "powf")
