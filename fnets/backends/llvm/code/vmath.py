"""Transcendental functions of vectors, inline, without tables or branches. May import coefficients, text.

Polynomials interpolate at Chebyshev points, which is near to minimax. Infinities, nan and denormal numbers come out right. Errors against correctly
rounded results are in tests/backends/test_llvm_math.py: at most 2 ulp for most, 3 for hyperbolic functions, their inverses, tan and logarithms to
other bases, 4 for tanh.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np

from fnets.backends.llvm.code import coefficients as table
from fnets.backends.llvm.code.text import BOOL, DOUBLE, INT32, INT64, SINGLE, Function, Lanes, scalar_type

# ------------------------------------------------------------------ helpers

_BITS = {SINGLE: INT32, DOUBLE: INT64}
_MANTISSA = {SINGLE: 23, DOUBLE: 52}
_BIAS = {SINGLE: 127, DOUBLE: 1023}
_REDUCIBLE = {SINGLE: 40000.0, DOUBLE: 1e6}  # beyond, the C library's sine and the like are called


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


def _reduce_exp(v: Lanes, x: str, dtype: np.dtype, more: str | None = None) -> tuple[str, str]:
    """(n, expm1(r)) with x + more = n * ln(2) + r for an integer n."""
    n = v.intrinsic("roundeven", dtype, v.binary("fmul", x, v.const(1 / math.log(2), dtype), dtype))
    r = x
    for part in table.LN2[dtype]:
        r = v.fma(n, v.const(-part, dtype), r, dtype)
    if more is not None:
        r = v.binary("fadd", r, more, dtype)
    q = horner(v, r, table.EXP[dtype], dtype)
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


def exp(v: Lanes, x: str, dtype: np.dtype, more: str | None = None, times: str | None = None) -> str:
    """exp(x), or exp(x + more) * times, for `more` smaller than an ulp of x and `times` of ordinary size."""
    low, high = (-104.5, 89.5) if dtype == SINGLE else (-746.0, 710.5)
    bounded = at_most(v, at_least(v, x, low, dtype), high, dtype)
    if more is not None:  # beyond the bounds it may be nan
        more = v.select(v.compare("oeq", bounded, x, dtype), more, v.const(0.0, dtype), dtype)
    n, p = _reduce_exp(v, bounded, dtype, more)
    if times is None:
        p = v.binary("fadd", p, v.const(1.0, dtype), dtype)
    else:
        p = v.fma(times, p, times, dtype)
    return _times_power_of_two(v, p, n, dtype)


def _times_power_of_two(v: Lanes, x: str, n: str, dtype: np.dtype) -> str:
    """x * 2**n for a float n that is an integer; in two steps, as 2**n may be out of range where the result is not."""
    if _has_avx512(v, dtype):
        return _scaled(v, x, n)
    bits = _BITS[dtype]
    n = v.cast("fptosi", n, dtype, bits)
    half = v.binary("ashr", n, v.const(1, bits), bits)
    x = v.binary("fmul", x, _power_of_two(v, half, dtype), dtype)
    return v.binary("fmul", x, _power_of_two(v, v.binary("sub", n, half, bits), dtype), dtype)


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
    """2**n * exp((x - n) * ln(2))."""
    low, high = (-152.0, 129.0) if dtype == SINGLE else (-1080.0, 1030.0)
    x = at_most(v, at_least(v, x, low, dtype), high, dtype)
    n = v.intrinsic("roundeven", dtype, x)
    p = exp(v, v.binary("fmul", v.binary("fsub", x, n, dtype), v.const(math.log(2), dtype), dtype), dtype)
    return _times_power_of_two(v, p, n, dtype)


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
    e, f = _significand(v, x, dtype)
    high, low = table.LN2[dtype]
    y = _log_near_one(v, f, v.binary("fmul", e, v.const(low, dtype), dtype), dtype)
    return _log_ends(v, x, v.fma(e, v.const(high, dtype), y, dtype), dtype)


def _significand(v: Lanes, x: str, dtype: np.dtype) -> tuple[str, str]:
    """(e, f) with x = 2**e * (1 + f), 1 + f in [sqrt(1/2), sqrt(2)), by moving the origin of the bit pattern."""
    bits, mantissa = _BITS[dtype], _MANTISSA[dtype]
    smallest = float(np.finfo(dtype).tiny)
    tiny = v.compare("olt", x, v.const(smallest, dtype), dtype)
    scaled = v.binary("fmul", x, v.const(2.0 ** (mantissa + 2), dtype), dtype)
    i = v.cast("bitcast", v.select(tiny, scaled, x, dtype), dtype, bits)
    origin = int(np.array(math.sqrt(0.5), dtype).view(bits))
    i = v.binary("sub", i, v.const(origin, bits), bits)
    e = v.cast("sitofp", v.binary("ashr", i, v.const(mantissa, bits), bits), bits, dtype)
    e = v.select(tiny, v.binary("fadd", e, v.const(-(mantissa + 2.0), dtype), dtype), e, dtype)
    m = v.binary("and", i, v.const((1 << mantissa) - 1, bits), bits)
    m = v.cast("bitcast", v.binary("add", m, v.const(origin, bits), bits), bits, dtype)
    return e, v.binary("fadd", m, v.const(-1.0, dtype), dtype)


def _log_near_one(v: Lanes, f: str, more: str, dtype: np.dtype) -> str:
    """log(1 + f) + more, for more much smaller than 1."""
    if dtype == SINGLE:
        z = v.binary("fmul", f, f, dtype)
        y = v.fma(v.binary("fmul", f, z, dtype), horner(v, f, table.LOG, dtype), more, dtype)
        return v.binary("fadd", f, v.fma(z, v.const(-0.5, dtype), y, dtype), dtype)
    s = v.binary("fdiv", f, v.binary("fadd", f, v.const(2.0, dtype), dtype), dtype)
    z = v.binary("fmul", s, s, dtype)
    rest = v.binary("fmul", z, horner(v, z, (table.TWO_THIRDS[dtype][0], *table.ATANH[dtype]), dtype), dtype)
    half = v.binary("fmul", v.binary("fmul", f, f, dtype), v.const(0.5, dtype), dtype)
    y = v.fma(s, v.binary("fadd", half, rest, dtype), more, dtype)
    return v.binary("fsub", f, v.binary("fsub", half, y, dtype), dtype)


def _log_ends(v: Lanes, x: str, y: str, dtype: np.dtype) -> str:
    """A logarithm y of x, right at the ends: infinity, nan, 0, below 0."""
    y = v.select(v.compare("olt", x, v.const(math.inf, dtype), dtype), y, x, dtype)
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


def _log_to_base(base: int) -> Callable[[Lanes, str, np.dtype], str]:
    """log(x) / log(base), exact for powers of 2 to base 2."""
    factor, high, low = table.LOG_BASE[base]

    def rule(v: Lanes, x: str, dtype: np.dtype) -> str:
        if dtype == SINGLE:
            return in_double(v, x, lambda v, x, d: v.binary("fmul", log(v, x, d), v.const(factor, d), d))
        e, f = _significand(v, x, dtype)
        y = v.binary("fmul", _log_near_one(v, f, v.const(0.0, dtype), dtype), v.const(factor, dtype), dtype)
        y = v.fma(e, v.const(low, dtype), y, dtype)
        return _log_ends(v, x, v.fma(e, v.const(high, dtype), y, dtype), dtype)

    return rule


log2, log10 = _log_to_base(2), _log_to_base(10)


def in_double(v: Lanes, x: str, f: Callable[[Lanes, str, np.dtype], str]) -> str:
    """A function of single precision computed in double precision."""
    return v.cast("fptrunc", f(v, v.cast("fpext", x, SINGLE, DOUBLE), DOUBLE), DOUBLE, SINGLE)


# ------------------------------------------------------------------ roots


def sqrt(v: Lanes, x: str, dtype: np.dtype) -> str:
    return v.intrinsic("sqrt", dtype, x)


def rsqrt(v: Lanes, x: str, dtype: np.dtype) -> str:
    return v.binary("fdiv", v.const(1.0, dtype), sqrt(v, x, dtype), dtype)


# ------------------------------------------------------------------ sine and cosine; powers


def where_any(v: Lanes, rare: str, otherwise: Callable[[], str], usual: str, dtype: np.dtype) -> str:
    """select(rare, otherwise(), usual), whose code for `otherwise` runs only if some lane is rare."""
    f, n, before = v.function, v.count, v.function.block
    some = rare if n == 1 else f.call("i1", f"llvm.vector.reduce.or.v{n}i1", (v.type(BOOL), rare))
    with f.when(some):
        y = v.select(rare, otherwise(), usual, dtype)
        inside = f.block
    return f.op(f"phi {v.type(dtype)} [ {usual}, %{before} ], [ {y}, %{inside} ]")


def _rarely(v: Lanes, rare: str, usual: str, operands: Sequence[str], dtype: np.dtype, c_function: str) -> str:
    """`usual`, or where a lane is `rare` the C library's function."""

    def by_c() -> str:
        f, n, t = v.function, v.count, v.type(dtype)
        name, element = f"each_{c_function}_{n}", scalar_type(dtype)
        f.helpers[name] = _each_lane(name, c_function, n, len(operands), dtype)
        f.declarations.add(f"declare {element} @{c_function}({', '.join([element] * len(operands))})")
        return f.call(t, name, *[(t, x) for x in operands], declare=False)

    return where_any(v, rare, by_c, usual, dtype)


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


def _in_octant(v: Lanes, x: str, dtype: np.dtype) -> tuple[str, str, str]:
    """(sin(r), cos(r), n as an integer) with x = n * pi / 2 + r, for x of reducible size."""
    n = v.intrinsic("roundeven", dtype, v.binary("fmul", x, v.const(2 / math.pi, dtype), dtype))
    r = x
    for part in table.HALF_PI[dtype]:
        r = v.fma(n, v.const(-part, dtype), r, dtype)
    z = v.binary("fmul", r, r, dtype)
    s = v.fma(v.binary("fmul", z, r, dtype), horner(v, z, table.SIN[dtype], dtype), r, dtype)
    # 1 - z / 2 rounds: what it loses goes in with the small terms
    half = v.binary("fmul", z, v.const(0.5, dtype), dtype)
    one = v.const(1.0, dtype)
    w = v.binary("fsub", one, half, dtype)
    lost = v.binary("fsub", v.binary("fsub", one, w, dtype), half, dtype)
    c = v.fma(v.binary("fmul", z, z, dtype), horner(v, z, table.COS[dtype], dtype), lost, dtype)
    c = v.binary("fadd", w, c, dtype)
    return s, c, v.cast("fptosi", n, dtype, _BITS[dtype])


def _has_bit(v: Lanes, n: str, bit: int, bits: np.dtype) -> str:
    return v.compare("ne", v.binary("and", n, v.const(bit, bits), bits), v.const(0, bits), bits)


def _or_by_c(v: Lanes, usual: str, x: str, dtype: np.dtype, c_function: str) -> str:
    """`usual`, or where an angle is too large for it what the C library's function says."""
    far = v.compare("ogt", v.intrinsic("fabs", dtype, x), v.const(_REDUCIBLE[dtype], dtype), dtype)
    return _rarely(v, far, usual, [x], dtype, _c_name(c_function, dtype))


def _c_name(function: str, dtype: np.dtype) -> str:
    return function + ("f" if dtype == SINGLE else "")


def sin_of_reducible(v: Lanes, x: str, dtype: np.dtype, quadrant: int = 0) -> str:
    """sin(x + quadrant * pi / 2), for x of reducible size."""
    bits = _BITS[dtype]
    s, c, turns = _in_octant(v, x, dtype)
    if quadrant:
        turns = v.binary("add", turns, v.const(quadrant, bits), bits)
    y = v.select(_has_bit(v, turns, 1, bits), c, s, dtype)
    y = v.select(_has_bit(v, turns, 2, bits), negative(v, y, dtype), y, dtype)
    if quadrant == 0:
        y = v.select(v.compare("oeq", x, v.const(0.0, dtype), dtype), x, y, dtype)
    return y


def sin(v: Lanes, x: str, dtype: np.dtype) -> str:
    return _or_by_c(v, sin_of_reducible(v, x, dtype), x, dtype, "sin")


def cos(v: Lanes, x: str, dtype: np.dtype) -> str:
    return _or_by_c(v, sin_of_reducible(v, x, dtype, 1), x, dtype, "cos")


def tan(v: Lanes, x: str, dtype: np.dtype) -> str:
    return _or_by_c(v, tan_of_reducible(v, x, dtype), x, dtype, "tan")


def tan_of_reducible(v: Lanes, x: str, dtype: np.dtype) -> str:
    s, c, turns = _in_octant(v, x, dtype)
    odd = _has_bit(v, turns, 1, _BITS[dtype])
    y = v.binary("fdiv", v.select(odd, negative(v, c, dtype), s, dtype), v.select(odd, s, c, dtype), dtype)
    return v.select(v.compare("oeq", x, v.const(0.0, dtype), dtype), x, y, dtype)


# ------------------------------------------------------------------ inverse circular functions


def _half_pi_minus(v: Lanes, x: str, more: str, dtype: np.dtype, times: float = 1.0) -> str:
    """times * pi / 2 - (x + more), for |x| not above that."""
    high, low = [v.const(times * part, dtype) for part in table.HALF_PI[dtype][:2]]
    difference = v.binary("fsub", high, x, dtype)
    lost = v.binary("fsub", v.binary("fsub", high, difference, dtype), x, dtype)
    rest = v.binary("fsub", v.binary("fadd", lost, low, dtype), more, dtype)
    return v.binary("fadd", difference, rest, dtype)


def _odd(v: Lanes, x: str, z: str, coefficients: Sequence[float], dtype: np.dtype) -> str:
    """x + x * z * polynomial(z)."""
    return v.fma(v.binary("fmul", x, z, dtype), horner(v, z, coefficients, dtype), x, dtype)


def _atan_of_size(v: Lanes, t: str, dtype: np.dtype) -> str:
    """atan for t >= 0: of t below tan(pi / 8), pi / 4 + atan((t - 1) / (t + 1)) or pi / 2 + atan(-1 / t) beyond."""
    one, zero = v.const(1.0, dtype), v.const(0.0, dtype)
    middle = v.compare("ogt", t, v.const(math.sqrt(2) - 1, dtype), dtype)
    far = v.compare("ogt", t, v.const(math.sqrt(2) + 1, dtype), dtype)
    above = v.select(middle, v.binary("fsub", t, one, dtype), t, dtype)
    below = v.select(middle, v.binary("fadd", t, one, dtype), one, dtype)
    x = v.binary("fdiv", v.select(far, v.const(-1.0, dtype), above, dtype), v.select(far, t, below, dtype), dtype)
    y = _odd(v, x, v.binary("fmul", x, x, dtype), table.ATAN[dtype], dtype)
    high, low = [
        v.select(far, v.const(part, dtype), v.select(middle, v.const(part / 2, dtype), zero, dtype), dtype)
        for part in table.HALF_PI[dtype][:2]
    ]
    return v.binary("fadd", high, v.binary("fadd", y, low, dtype), dtype)


def atan(v: Lanes, x: str, dtype: np.dtype) -> str:
    return v.intrinsic("copysign", dtype, _atan_of_size(v, v.intrinsic("fabs", dtype, x), dtype), x)


def atan2(v: Lanes, y: str, x: str, dtype: np.dtype) -> str:
    zero, infinity = v.const(0.0, dtype), v.const(math.inf, dtype)
    a, b = [v.intrinsic("fabs", dtype, w) for w in (y, x)]
    t = v.binary("fdiv", a, b, dtype)
    for special, value in ((zero, zero), (infinity, v.const(1.0, dtype))):
        both = v.binary("and", v.compare("oeq", a, special, dtype), v.compare("oeq", b, special, dtype), BOOL)
        t = v.select(both, value, t, dtype)
    t = _atan_of_size(v, t, dtype)
    left = signbit(v, x, dtype)
    return v.intrinsic("copysign", dtype, v.select(left, _half_pi_minus(v, t, zero, dtype, 2.0), t, dtype), y)


def signbit(v: Lanes, x: str, dtype: np.dtype) -> str:
    bits = _BITS[dtype]
    return v.compare("slt", v.cast("bitcast", x, dtype, bits), v.const(0, bits), bits)


def _asin_of_size(v: Lanes, x: str, dtype: np.dtype) -> tuple[str, str, str]:
    """(near, a, b): where |x| is `near` 0, a + b = asin(|x|), elsewhere asin(sqrt((1 - |x|) / 2))."""
    size, half, zero = v.intrinsic("fabs", dtype, x), v.const(0.5, dtype), v.const(0.0, dtype)
    near = v.compare("olt", size, half, dtype)
    z = v.fma(size, v.const(-0.5, dtype), half, dtype)
    z = v.select(near, v.binary("fmul", size, size, dtype), z, dtype)
    root = sqrt(v, z, dtype)
    a = v.select(near, size, root, dtype)
    b = v.binary("fmul", v.binary("fmul", a, z, dtype), horner(v, z, table.ASIN[dtype], dtype), dtype)
    # what the root lost in rounding
    twice = v.binary("fadd", root, v.binary("fadd", root, v.const(np.finfo(dtype).tiny, dtype), dtype), dtype)
    lost = v.binary("fdiv", v.fma(negative(v, root, dtype), root, z, dtype), twice, dtype)
    return near, a, v.binary("fadd", b, v.select(near, zero, lost, dtype), dtype)


def asin(v: Lanes, x: str, dtype: np.dtype) -> str:
    near, a, b = _asin_of_size(v, x, dtype)
    far = _half_pi_minus(v, v.binary("fadd", a, a, dtype), v.binary("fadd", b, b, dtype), dtype)
    return v.intrinsic("copysign", dtype, v.select(near, v.binary("fadd", a, b, dtype), far, dtype), x)


def acos(v: Lanes, x: str, dtype: np.dtype) -> str:
    near, a, b = _asin_of_size(v, x, dtype)
    below = v.compare("olt", x, v.const(0.0, dtype), dtype)
    twice = [v.binary("fadd", w, w, dtype) for w in (a, b)]
    far = v.select(below, _half_pi_minus(v, *twice, dtype, 2.0), v.binary("fadd", *twice, dtype), dtype)
    signed = [v.select(below, negative(v, w, dtype), w, dtype) for w in (a, b)]
    return v.select(near, _half_pi_minus(v, *signed, dtype), far, dtype)


# ------------------------------------------------------------------ hyperbolic functions


def _half_exp(v: Lanes, x: str, dtype: np.dtype) -> str:
    """exp(x) / 2, also where exp(x) is too large."""
    half = v.const(0.5, dtype)
    root = exp(v, v.binary("fmul", x, half, dtype), dtype)
    return v.binary("fmul", v.binary("fmul", root, half, dtype), root, dtype)


def sinh(v: Lanes, x: str, dtype: np.dtype) -> str:
    """(e + e / (e + 1)) / 2 with e = expm1(|x|)."""
    size, one = v.intrinsic("fabs", dtype, x), v.const(1.0, dtype)
    e = _small_expm1(v, at_most(v, size, 40.0, dtype), dtype)
    near = v.binary("fadd", e, v.binary("fdiv", e, v.binary("fadd", e, one, dtype), dtype), dtype)
    near = v.binary("fmul", near, v.const(0.5, dtype), dtype)
    far = v.compare("ogt", size, v.const(30.0, dtype), dtype)
    return v.intrinsic("copysign", dtype, v.select(far, _half_exp(v, size, dtype), near, dtype), x)


def cosh(v: Lanes, x: str, dtype: np.dtype) -> str:
    half = _half_exp(v, v.intrinsic("fabs", dtype, x), dtype)
    return v.binary("fadd", half, v.binary("fdiv", v.const(0.25, dtype), half, dtype), dtype)


def asinh(v: Lanes, x: str, dtype: np.dtype) -> str:
    """log1p(t + t * t / (1 + sqrt(1 + t * t))), t = |x|."""
    t, one = v.intrinsic("fabs", dtype, x), v.const(1.0, dtype)
    far = v.compare("ogt", t, v.const(1e8, dtype), dtype)
    u = v.select(far, v.const(0.0, dtype), t, dtype)
    square = v.binary("fmul", u, u, dtype)
    root = sqrt(v, v.binary("fadd", square, one, dtype), dtype)
    y = v.binary("fadd", v.binary("fdiv", square, v.binary("fadd", root, one, dtype), dtype), t, dtype)
    y = log1p(v, v.select(far, v.binary("fsub", t, one, dtype), y, dtype), dtype)
    y = v.select(far, v.binary("fadd", y, v.const(math.log(2), dtype), dtype), y, dtype)
    return v.intrinsic("copysign", dtype, y, x)


def acosh(v: Lanes, x: str, dtype: np.dtype) -> str:
    """log1p(t + sqrt(t * t + 2 t)), t = x - 1."""
    t = v.binary("fadd", x, v.const(-1.0, dtype), dtype)
    t = v.select(v.compare("olt", t, v.const(0.0, dtype), dtype), v.const(math.nan, dtype), t, dtype)
    far = v.compare("ogt", x, v.const(1e8, dtype), dtype)
    u = v.select(far, v.const(0.0, dtype), t, dtype)
    root = sqrt(v, v.fma(u, u, v.binary("fadd", u, u, dtype), dtype), dtype)
    y = log1p(v, v.select(far, t, v.binary("fadd", u, root, dtype), dtype), dtype)
    return v.select(far, v.binary("fadd", y, v.const(math.log(2), dtype), dtype), y, dtype)


def atanh(v: Lanes, x: str, dtype: np.dtype) -> str:
    """log1p(2 t / (1 - t)) / 2, t = |x|."""
    t = v.intrinsic("fabs", dtype, x)
    y = v.binary("fdiv", v.binary("fadd", t, t, dtype), v.binary("fsub", v.const(1.0, dtype), t, dtype), dtype)
    return v.intrinsic("copysign", dtype, v.binary("fmul", log1p(v, y, dtype), v.const(0.5, dtype), dtype), x)


# ------------------------------------------------------------------ roots of three and two numbers, remainders, neighbours


def cbrt(v: Lanes, x: str, dtype: np.dtype) -> str:
    """exp(log(|x|) / 3), in double precision with a step of Newton's method."""
    if dtype == SINGLE:
        return in_double(v, x, cbrt)
    t = v.intrinsic("fabs", dtype, x)
    third = v.const(1 / 3, dtype)
    y = exp(v, v.binary("fmul", log(v, t, dtype), third, dtype), dtype)
    wrong = v.binary("fsub", v.binary("fdiv", t, v.binary("fmul", y, y, dtype), dtype), y, dtype)
    y = v.fma(wrong, third, y, dtype)
    ends = v.compare("ueq", t, v.binary("fadd", t, t, dtype), dtype)  # 0, infinity, nan
    return v.select(ends, x, v.intrinsic("copysign", dtype, y, x), dtype)


def hypot(v: Lanes, x: str, y: str, dtype: np.dtype) -> str:
    """large * sqrt(1 + (small / large) ** 2)."""
    a, b = [v.intrinsic("fabs", dtype, w) for w in (x, y)]
    less = v.compare("olt", a, b, dtype)
    large, small = v.select(less, b, a, dtype), v.select(less, a, b, dtype)
    zero, infinity = v.const(0.0, dtype), v.const(math.inf, dtype)
    ratio = v.binary("fdiv", small, large, dtype)
    ratio = v.select(v.compare("oeq", small, zero, dtype), small, ratio, dtype)
    result = v.binary("fmul", large, sqrt(v, v.fma(ratio, ratio, v.const(1.0, dtype), dtype), dtype), dtype)
    unbounded = v.binary("or", *[v.compare("oeq", w, infinity, dtype) for w in (a, b)], BOOL)
    return v.select(unbounded, infinity, result, dtype)


def fmod(v: Lanes, x: str, y: str, dtype: np.dtype) -> str:
    """x minus a whole multiple of y, exactly, with the sign of x."""
    a, b = [v.intrinsic("fabs", dtype, w) for w in (x, y)]
    zero = v.const(0.0, dtype)
    q = v.intrinsic("trunc", dtype, v.binary("fdiv", a, b, dtype))
    r = v.fma(negative(v, q, dtype), b, a, dtype)
    r = v.select(v.compare("olt", r, zero, dtype), v.binary("fadd", r, b, dtype), r, dtype)  # a / b was rounded up
    usual = v.intrinsic("copysign", dtype, r, x)
    most = 2.0 ** (_MANTISSA[dtype] - 2)
    odd = v.compare("ugt", q, v.const(most, dtype), dtype)
    odd = v.binary("or", odd, v.compare("oeq", b, v.const(math.inf, dtype), dtype), BOOL)
    return _rarely(v, odd, usual, [x, y], dtype, _c_name("fmod", dtype))


def _divmod(v: Lanes, x: str, y: str, dtype: np.dtype) -> tuple[str, str]:
    """(quotient rounded down, remainder with the sign of y) as NumPy works them out, for y that is not 0."""
    zero = v.const(0.0, dtype)
    r = fmod(v, x, y, dtype)
    q = v.binary("fdiv", v.binary("fsub", x, r, dtype), y, dtype)
    apart = v.binary("xor", v.compare("olt", r, zero, dtype), v.compare("olt", y, zero, dtype), BOOL)
    off = v.binary("and", apart, v.compare("une", r, zero, dtype), BOOL)
    q = v.select(off, v.binary("fadd", q, v.const(-1.0, dtype), dtype), q, dtype)
    mod = v.select(off, v.binary("fadd", r, y, dtype), r, dtype)
    mod = v.select(v.compare("oeq", r, zero, dtype), v.intrinsic("copysign", dtype, zero, y), mod, dtype)
    down = v.intrinsic("floor", dtype, q)
    more = v.compare("ogt", v.binary("fsub", q, down, dtype), v.const(0.5, dtype), dtype)
    down = v.select(more, v.binary("fadd", down, v.const(1.0, dtype), dtype), down, dtype)
    nothing = v.intrinsic("copysign", dtype, zero, v.binary("fdiv", x, y, dtype))
    return v.select(v.compare("oeq", q, zero, dtype), nothing, down, dtype), mod


def floor_divide(v: Lanes, x: str, y: str, dtype: np.dtype) -> str:
    plain = v.binary("fdiv", x, y, dtype)
    by_zero = v.compare("oeq", y, v.const(0.0, dtype), dtype)
    return v.select(by_zero, plain, _divmod(v, x, y, dtype)[0], dtype)


def remainder(v: Lanes, x: str, y: str, dtype: np.dtype) -> str:
    by_zero = v.compare("oeq", y, v.const(0.0, dtype), dtype)
    return v.select(by_zero, v.const(math.nan, dtype), _divmod(v, x, y, dtype)[1], dtype)


def nextafter(v: Lanes, x: str, y: str, dtype: np.dtype) -> str:
    """The bit pattern is one more or less."""
    bits = _BITS[dtype]
    i = v.cast("bitcast", x, dtype, bits)
    zero, one, minus = v.const(0.0, dtype), v.const(1, bits), v.const(-1, bits)
    away = v.binary("xor", v.compare("olt", x, y, dtype), v.compare("olt", x, zero, dtype), BOOL)
    moved = v.cast("bitcast", v.binary("add", i, v.select(away, one, minus, bits), bits), bits, dtype)
    least = v.intrinsic("copysign", dtype, v.cast("bitcast", one, bits, dtype), y)
    moved = v.select(v.compare("oeq", x, zero, dtype), least, moved, dtype)
    moved = v.select(v.compare("oeq", x, y, dtype), y, moved, dtype)
    return v.select(v.compare("uno", x, y, dtype), v.binary("fadd", x, y, dtype), moved, dtype)


def logaddexp2(v: Lanes, x: str, y: str, dtype: np.dtype) -> str:
    """The larger one plus log2(1 + exp2(-|x - y|)); equal ones plus 1."""
    apart = v.binary("fsub", x, y, dtype)
    larger = v.select(v.compare("ogt", apart, v.const(0.0, dtype), dtype), x, y, dtype)
    tail = log1p(v, exp2(v, negative(v, v.intrinsic("fabs", dtype, apart), dtype), dtype), dtype)
    sum_ = v.fma(tail, v.const(table.LOG_BASE[2][0], dtype), larger, dtype)
    equal = v.binary("fadd", x, v.const(1.0, dtype), dtype)
    return v.select(v.compare("oeq", x, y, dtype), equal, sum_, dtype)


def logaddexp(v: Lanes, x: str, y: str, dtype: np.dtype) -> str:
    """The larger one plus log1p(exp(-|x - y|)); equal ones, infinite ones too, plus log(2)."""
    apart = v.binary("fsub", x, y, dtype)
    larger = v.select(v.compare("ogt", apart, v.const(0.0, dtype), dtype), x, y, dtype)
    tail = log1p(v, exp(v, negative(v, v.intrinsic("fabs", dtype, apart), dtype), dtype), dtype)
    sum_ = v.binary("fadd", larger, tail, dtype)
    equal = v.binary("fadd", x, v.const(math.log(2), dtype), dtype)
    return v.select(v.compare("oeq", x, y, dtype), equal, sum_, dtype)


def power(v: Lanes, x: str, y: str, dtype: np.dtype) -> str:
    """x ** y as exp(y * log(|x|)), with the logarithm and the product in two parts; below 0, for whole y."""
    size, infinity = v.intrinsic("fabs", dtype, x), v.const(math.inf, dtype)
    most = 2.0**70  # whose product with any logarithm but 0 is out of range
    bounded = at_most(v, at_least(v, y, -most, dtype), most, dtype)
    high, low = _log_in_two(v, size, dtype)
    exponent = v.binary("fmul", bounded, high, dtype)
    less = v.fma(bounded, low, v.fma(bounded, high, negative(v, exponent, dtype), dtype), dtype)
    result = exp(v, exponent, dtype, less)
    zero, one = v.const(0.0, dtype), v.const(1.0, dtype)
    certain = v.binary("or", v.compare("oeq", y, zero, dtype), v.compare("oeq", x, one, dtype), BOOL)
    result = v.select(certain, one, result, dtype)
    half = v.binary("fmul", y, v.const(0.5, dtype), dtype)
    whole, even = [v.compare("oeq", v.intrinsic("trunc", dtype, a), a, dtype) for a in (y, half)]
    odd = v.binary("and", whole, v.binary("xor", even, v.const(True, BOOL), BOOL), BOOL)
    odd = v.binary("and", odd, signbit(v, x, dtype), BOOL)
    result = v.select(odd, negative(v, result, dtype), result, dtype)
    below = v.binary("and", v.compare("olt", x, zero, dtype), v.compare("olt", size, infinity, dtype), BOOL)
    undefined = v.binary("and", below, v.binary("xor", whole, v.const(True, BOOL), BOOL), BOOL)
    return v.select(undefined, v.const(math.nan, dtype), result, dtype)


def _log_in_two(v: Lanes, x: str, dtype: np.dtype) -> tuple[str, str]:
    """log(x) as a sum whose error is about 2**-12 ulp, for x >= 0."""

    def add(a: str, b: str) -> tuple[str, str]:
        """a + b and what it loses in rounding, for a that is 0 or not smaller than b."""
        total = v.binary("fadd", a, b, dtype)
        return total, v.binary("fsub", b, v.binary("fsub", total, a, dtype), dtype)

    def mul(a: tuple[str, str], b: tuple[str, str]) -> tuple[str, str]:
        product = v.binary("fmul", a[0], b[0], dtype)
        less = v.fma(a[0], b[0], negative(v, product, dtype), dtype)
        return product, v.fma(a[0], b[1], v.fma(a[1], b[0], less, dtype), dtype)

    e, f = _significand(v, x, dtype)
    # s = f / (2 + f), log(1 + f) = 2 s + s**3 * (2 / 3 + ...)
    bottom, lost = add(v.const(2.0, dtype), f)
    inverse = v.binary("fdiv", v.const(1.0, dtype), bottom, dtype)
    quotient = v.binary("fmul", f, inverse, dtype)
    minus = negative(v, quotient, dtype)
    left = v.fma(minus, lost, v.fma(minus, bottom, f, dtype), dtype)
    s = quotient, v.binary("fmul", left, inverse, dtype)
    z = mul(s, s)
    two_thirds = [v.const(c, dtype) for c in table.TWO_THIRDS[dtype]]
    factor, less = add(two_thirds[0], v.binary("fmul", z[0], horner(v, z[0], table.ATANH[dtype], dtype), dtype))
    cubic = mul(mul(s, z), (factor, v.binary("fadd", less, two_thirds[1], dtype)))
    high, low = add(v.binary("fadd", s[0], s[0], dtype), cubic[0])
    low = v.binary("fadd", low, v.fma(s[1], v.const(2.0, dtype), cubic[1], dtype), dtype)
    ln2 = [v.const(c, dtype) for c in table.LN2[dtype]]
    high, less = add(v.binary("fmul", e, ln2[0], dtype), high)
    low = v.binary("fadd", less, v.fma(e, ln2[1], low, dtype), dtype)
    high = v.select(v.compare("olt", x, v.const(math.inf, dtype), dtype), high, x, dtype)
    return v.select(v.compare("oeq", x, v.const(0.0, dtype), dtype), v.const(-math.inf, dtype), high, dtype), low
