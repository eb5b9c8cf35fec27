"""What each elementwise primitive is in terms of lanes, and with which dtype it computes. May import core, special, text, vmath."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.backends.llvm.code import special, vmath
from fnets.backends.llvm.code.text import BOOL, DOUBLE, Lanes, is_supported
from fnets.core.avals import python_type
from fnets.core.ir import Eqn, Literal

Rule = Callable[[Lanes, list[str], np.dtype, dict], str]

_COMPARISONS = {  # primitive: conditions for floats, signed, unsigned
    "eq": ("oeq", "eq", "eq"),
    "ne": ("une", "ne", "ne"),
    "lt": ("olt", "slt", "ult"),
    "le": ("ole", "sle", "ule"),
    "gt": ("ogt", "sgt", "ugt"),
    "ge": ("oge", "sge", "uge"),
}

_FUNCTIONS = (  # transcendental ones of one operand
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "tanh", "logistic", "softplus", "cbrt"),
    *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh"),
)
_SPECIAL = ("erf", "erfc", "erf_inv", "ndtr", "log_ndtr", "ndtri", "lgamma", "digamma")
_OF_TWO = ("atan2", "hypot", "logaddexp", "logaddexp2")
_SPECIAL_OF_TWO = ("xlogy", "xlog1py")


def condition(name: str, dtype: np.dtype) -> str:
    floats, signed, unsigned = _COMPARISONS[name]
    return floats if dtype.kind == "f" else signed if dtype.kind == "i" else unsigned


def convert(v: Lanes, x: str, from_: np.dtype, to: np.dtype) -> str:
    """A value in another dtype, as `astype` does it."""
    if from_ == to:
        return x
    if to == BOOL:
        zero = v.const(0, from_)
        return v.compare("une" if from_.kind == "f" else "ne", x, zero, from_)
    if to.kind == "f":
        if from_.kind == "f":
            return v.cast("fpext" if to.itemsize > from_.itemsize else "fptrunc", x, from_, to)
        return v.cast("sitofp" if from_.kind == "i" else "uitofp", x, from_, to)
    if from_.kind == "f":
        return v.cast("fptosi", x, from_, to)
    if from_ == BOOL or to.itemsize > from_.itemsize:
        return v.cast("sext" if from_.kind == "i" else "zext", x, from_, to)
    return x if to.itemsize == from_.itemsize else v.cast("trunc", x, from_, to)


def converts(from_: np.dtype, to: np.dtype) -> bool:
    """True if `convert` gives what NumPy gives, also where C leaves it open."""
    if not (is_supported(from_) and is_supported(to)):
        return False
    return not (from_.kind == "f" and to.kind in "iu") or to in (np.dtype("int32"), np.dtype("int64"))


def maximum(v: Lanes, a: str, b: str, dtype: np.dtype) -> str:
    """The larger one; nan wins."""
    return _extreme(v, a, b, dtype, "gt")


def minimum(v: Lanes, a: str, b: str, dtype: np.dtype) -> str:
    """The smaller one; nan wins."""
    return _extreme(v, a, b, dtype, "lt")


def _extreme(v: Lanes, a: str, b: str, dtype: np.dtype, which: str) -> str:
    if dtype == BOOL:
        return v.binary("or" if which == "gt" else "and", a, b, dtype)
    first = v.select(v.compare(condition(which, dtype), a, b, dtype), a, b, dtype)
    return v.select(v.compare("uno", a, a, dtype), a, first, dtype) if dtype.kind == "f" else first


def _arithmetic(on_floats: str, on_integers: str, on_bools: str | None) -> Rule:
    def rule(v: Lanes, xs: list[str], dtype: np.dtype, params: dict) -> str:
        name = on_floats if dtype.kind == "f" else on_bools if dtype == BOOL else on_integers
        assert name is not None
        return v.binary(name, *xs, dtype)

    return rule


def _compare(name: str) -> Rule:
    return lambda v, xs, dtype, params: v.compare(condition(name, dtype), *xs, dtype)


def _unary(f: Callable[[Lanes, str, np.dtype], str]) -> Rule:
    return lambda v, xs, dtype, params: f(v, xs[0], dtype)


def _neg(v: Lanes, x: str, dtype: np.dtype) -> str:
    return vmath.negative(v, x, dtype) if dtype.kind == "f" else v.binary("sub", v.const(0, dtype), x, dtype)


def _abs(v: Lanes, x: str, dtype: np.dtype) -> str:
    if dtype.kind == "f":
        return v.intrinsic("fabs", dtype, x)
    if dtype.kind != "i":
        return x
    return v.select(v.compare("slt", x, v.const(0, dtype), dtype), _neg(v, x, dtype), x, dtype)


def _sign(v: Lanes, x: str, dtype: np.dtype) -> str:
    zero, one = v.const(0, dtype), v.const(1, dtype)
    up = v.compare(condition("gt", dtype), x, zero, dtype)
    if dtype.kind == "u":
        return v.select(up, one, zero, dtype)
    down = v.compare(condition("lt", dtype), x, zero, dtype)
    rest = v.binary("fadd", x, zero, dtype) if dtype.kind == "f" else x  # nan, or 0 without its sign as by NumPy
    return v.select(up, one, v.select(down, v.const(-1, dtype), rest, dtype), dtype)


def _square(v: Lanes, x: str, dtype: np.dtype) -> str:
    return v.binary("fmul" if dtype.kind == "f" else "mul", x, x, dtype)


def _relu(v: Lanes, x: str, dtype: np.dtype) -> str:
    zero = v.const(0, dtype)
    return v.select(v.compare(condition("gt", dtype), zero, x, dtype), zero, x, dtype)


def _rounding(name: str) -> Rule:
    return lambda v, xs, dtype, params: v.intrinsic(name, dtype, xs[0]) if dtype.kind == "f" else xs[0]


def _reciprocal(v: Lanes, x: str, dtype: np.dtype) -> str:
    return v.binary("fdiv", v.const(1, dtype), x, dtype)


def _logical(name: str) -> Rule:
    return lambda v, xs, dtype, params: v.binary(name, *xs, dtype)


def _not(v: Lanes, x: str, dtype: np.dtype) -> str:
    return v.binary("xor", x, v.const(True if dtype == BOOL else -1, dtype), dtype)


def _test_of_float(f: Callable[[Lanes, str, np.dtype], str], of_integers: bool) -> Rule:
    """A predicate of floats that is the same for all integers."""
    return lambda v, xs, dtype, params: f(v, xs[0], dtype) if dtype.kind == "f" else v.const(of_integers, BOOL)


def _is_nan(v: Lanes, x: str, dtype: np.dtype) -> str:
    return v.compare("uno", x, x, dtype)


def _is_finite(v: Lanes, x: str, dtype: np.dtype) -> str:
    return v.compare("olt", v.intrinsic("fabs", dtype, x), v.const(np.inf, dtype), dtype)


def _is_inf(v: Lanes, x: str, dtype: np.dtype) -> str:
    return v.compare("oeq", v.intrinsic("fabs", dtype, x), v.const(np.inf, dtype), dtype)


def _clamp(v: Lanes, xs: list[str], dtype: np.dtype, params: dict) -> str:
    low, x, high = xs
    return minimum(v, maximum(v, x, low, dtype), high, dtype)


def _integer_pow(v: Lanes, xs: list[str], dtype: np.dtype, params: dict) -> str:
    y, x = params["y"], xs[0]
    if dtype.kind == "f" and not -1 <= y <= 4:  # roundings would add up
        if dtype == DOUBLE or abs(y) > 64:
            return vmath.power(v, x, v.const(y, dtype), dtype)
        return vmath.in_double(v, x, lambda v, x, d: _product(v, x, y, d))
    return _product(v, x, y, dtype)


def _product(v: Lanes, x: str, y: int, dtype: np.dtype) -> str:
    """x ** y by multiplications."""
    n = abs(y)
    mul = "fmul" if dtype.kind == "f" else "mul"
    result, factor = None, x
    while n:
        if n & 1:
            result = factor if result is None else v.binary(mul, factor, result, dtype)
        n >>= 1
        if n:
            factor = v.binary(mul, factor, factor, dtype)
    if result is None:
        return v.const(1, dtype)
    return _reciprocal(v, result, dtype) if y < 0 else result


def _quotient(v: Lanes, x: str, y: str, dtype: np.dtype) -> str:
    """x / y of integers, towards 0; of 32 bits and less in double precision, as processors do not divide vectors of integers."""
    if dtype.itemsize == 8:
        return v.binary("sdiv" if dtype.kind == "i" else "udiv", x, y, dtype)
    q = v.binary("fdiv", convert(v, x, dtype, DOUBLE), convert(v, y, dtype, DOUBLE), DOUBLE)
    return v.cast("fptosi" if dtype.kind == "i" else "fptoui", q, DOUBLE, dtype)


def _divmod(v: Lanes, x: str, y: str, dtype: np.dtype, down: bool) -> tuple[str, str]:
    """Quotient and remainder of integers: rounded down, or towards 0; by 0 both are 0."""
    zero, one = v.const(0, dtype), v.const(1, dtype)
    by_zero = v.compare("eq", y, zero, dtype)
    unit = by_zero
    if dtype.kind == "i":
        minus = v.compare("eq", y, v.const(-1, dtype), dtype)  # there the smallest number has no quotient
        unit = v.binary("or", by_zero, minus, BOOL)
    q = _quotient(v, x, v.select(unit, one, y, dtype), dtype)
    if dtype.kind == "i":
        q = v.select(minus, v.binary("sub", zero, x, dtype), q, dtype)
    r = v.binary("sub", x, v.binary("mul", q, y, dtype), dtype)
    if down and dtype.kind == "i":
        apart = v.compare("slt", v.binary("xor", r, y, dtype), zero, dtype)
        off = v.binary("and", apart, v.compare("ne", r, zero, dtype), BOOL)
        q = v.select(off, v.binary("sub", q, one, dtype), q, dtype)
        r = v.select(off, v.binary("add", r, y, dtype), r, dtype)
    return tuple([v.select(by_zero, zero, result, dtype) for result in (q, r)])  # type: ignore[return-value]


def _division(floats: Callable[[Lanes, str, str, np.dtype], str], result: int, down: bool) -> Rule:
    def rule(v: Lanes, xs: list[str], dtype: np.dtype, params: dict) -> str:
        return floats(v, *xs, dtype) if dtype.kind == "f" else _divmod(v, *xs, dtype, down)[result]

    return rule


def _shift(name: str) -> Rule:
    """A shift by more than there are bits, or by less than none, shifts everything out."""

    def rule(v: Lanes, xs: list[str], dtype: np.dtype, params: dict) -> str:
        x, n = xs
        last = v.const(8 * dtype.itemsize - 1, dtype)
        inside = v.compare("ule", n, last, dtype)
        count = v.select(inside, n, last, dtype)
        if name == "ashr" and dtype.kind == "i":
            return v.binary("ashr", x, count, dtype)
        kind = "shl" if name == "shl" else "lshr"
        return v.select(inside, v.binary(kind, x, count, dtype), v.const(0, dtype), dtype)

    return rule


def _bits_set(v: Lanes, x: str, dtype: np.dtype) -> str:
    return v.intrinsic("ctpop", dtype, _abs(v, x, dtype))


def _prefer(name: str) -> Rule:
    """The larger or smaller one; nan loses."""

    def rule(v: Lanes, xs: list[str], dtype: np.dtype, params: dict) -> str:
        x, y = xs
        wins = v.compare(condition(name, dtype), x, y, dtype)
        if dtype.kind == "f":
            wins = v.binary("or", wins, v.compare("uno", y, y, dtype), BOOL)
        return v.select(wins, x, y, dtype)

    return rule


def _two(f: Callable[[Lanes, str, str, np.dtype], str]) -> Rule:
    return lambda v, xs, dtype, params: f(v, *xs, dtype)


def _select(v: Lanes, xs: list[str], dtype: np.dtype, params: dict) -> str:
    return v.select(*xs, dtype)


RULES: dict[str, Rule] = {
    "add": _arithmetic("fadd", "add", "or"),
    "sub": _arithmetic("fsub", "sub", None),
    "mul": _arithmetic("fmul", "mul", "and"),
    "div": _arithmetic("fdiv", "", None),
    "max": lambda v, xs, dtype, params: maximum(v, *xs, dtype),
    "min": lambda v, xs, dtype, params: minimum(v, *xs, dtype),
    "and": _logical("and"),
    "or": _logical("or"),
    "xor": _logical("xor"),
    "logical_and": _logical("and"),
    "logical_or": _logical("or"),
    "logical_xor": _logical("xor"),
    "logical_not": _unary(_not),
    "not": _unary(_not),
    "neg": _unary(_neg),
    "abs": _unary(_abs),
    "sign": _unary(_sign),
    "square": _unary(_square),
    "relu": _unary(_relu),
    "reciprocal": _unary(_reciprocal),
    "floor": _rounding("floor"),
    "ceil": _rounding("ceil"),
    "trunc": _rounding("trunc"),
    "round": _rounding("roundeven"),
    "copysign": lambda v, xs, dtype, params: v.intrinsic("copysign", dtype, *xs),
    "is_nan": _test_of_float(_is_nan, False),
    "is_finite": _test_of_float(_is_finite, True),
    "is_inf": _test_of_float(_is_inf, False),
    "clamp": _clamp,
    "integer_pow": _integer_pow,
    "select": _select,
    "stop_gradient": lambda v, xs, dtype, params: xs[0],
    "convert_element_type": lambda v, xs, dtype, params: xs[0],
    "broadcast_to": lambda v, xs, dtype, params: xs[0],
    "conj": lambda v, xs, dtype, params: xs[0],
    "floor_divide": _division(vmath.floor_divide, 0, True),
    "remainder": _division(vmath.remainder, 1, True),
    "rem": _division(vmath.fmod, 1, False),
    "shift_left": _shift("shl"),
    "shift_right": _shift("ashr"),
    "population_count": _unary(_bits_set),
    "fmax": _prefer("gt"),
    "fmin": _prefer("lt"),
    "pow": _two(vmath.power),
    **{n: _two(getattr(vmath, n)) for n in (*_OF_TWO, "nextafter")},
    **{n: _two(getattr(special, n)) for n in _SPECIAL_OF_TWO},
    **{n: _compare(n) for n in _COMPARISONS},
    **{n: _unary(getattr(vmath, n)) for n in (*_FUNCTIONS, "sqrt", "rsqrt", "signbit")},
    **{n: _unary(getattr(special, n)) for n in _SPECIAL},
}

HEAVY = {*_FUNCTIONS, *_SPECIAL, *_OF_TWO, *_SPECIAL_OF_TWO, "pow", "floor_divide", "remainder", "rem"}
_INTEGERS = {"floor_divide", "remainder", "rem"}  # heavy ones that integers have, too
_INTEGER_ONLY = {"shift_left", "shift_right", "population_count"}
_FLOAT_ONLY = HEAVY - _INTEGERS | {
    "signbit",
    "nextafter",
    "div",
    "reciprocal",
    "sqrt",
    "rsqrt",
    "copysign",
}
_LIKE_RESULT = {
    "population_count",
    "rsqrt",
    "logistic",
    "relu",
    "softplus",
    *_SPECIAL,
    *_SPECIAL_OF_TWO,
    "integer_pow",
    "clamp",
    "stop_gradient",
    "broadcast_to",
    "select",
}


def operand_dtypes(e: Eqn) -> list[np.dtype] | None:
    """The dtype in which each operand enters the computation; None if the equation has no rule here."""
    name, out = e.prim.name, e.outvars[0].aval
    if name not in RULES or out.weak_type or not is_supported(out.dtype):
        return None
    dtypes = _compute_dtypes(e)
    if dtypes is None or not all([is_supported(d) for d in dtypes]):
        return None
    main = dtypes[-1]
    if main.kind == "f" and name in _INTEGER_ONLY:
        return None
    if main.kind != "f" and name in _FLOAT_ONLY and not _is_whole_power(e):
        return None
    if main == BOOL and name in (
        *_INTEGERS,
        *_INTEGER_ONLY,
        "fmax",
        "fmin",
        "neg",
        "sub",
        "square",
        "sign",
        "relu",
        "integer_pow",
    ):
        return None
    for v, d in zip(e.invars, dtypes):
        if type(v) is Literal:
            if d.kind in "iu" and not _fits(v.val, d):
                return None
        elif v.aval.weak_type:
            if v.aval.dtype.kind not in "biuf" or d.kind != "f":
                return None
        elif not converts(v.aval.dtype, d):
            return None
    return dtypes


def _compute_dtypes(e: Eqn) -> list[np.dtype] | None:
    name, out, avals = e.prim.name, e.outvars[0].aval.dtype, [v.aval for v in e.invars]
    if name == "convert_element_type":
        return [out]
    if name == "select":
        return [BOOL, out, out]
    if name in _LIKE_RESULT:
        return [out] * len(avals)
    if name.startswith("logical_"):
        return [BOOL] * len(avals)
    if e.prim.ufunc is None:
        return None
    if all([a.weak_type for a in avals]):
        return None
    kinds = [python_type(a.dtype) if a.weak_type else a.dtype for a in avals]
    try:
        loop = e.prim.ufunc.resolve_dtypes((*kinds, None))[: len(avals)]
    except (TypeError, OverflowError):
        return None
    if any([d != loop[0] for d in loop]):
        return None
    return list(loop)


def _fits(value: object, dtype: np.dtype) -> bool:
    if not isinstance(value, (int, np.integer, np.bool_)):
        return False
    return np.iinfo(dtype).min <= int(value) <= np.iinfo(dtype).max


def apply(v: Lanes, e: Eqn, xs: list[str], from_: list[np.dtype], dtypes: list[np.dtype]) -> str:
    """The result of an equation, its operands given in the dtypes `from_`."""
    converted = [convert(v, x, f, d) for x, f, d in zip(xs, from_, dtypes)]
    if _is_root(e):
        return vmath.sqrt(v, converted[0], dtypes[-1])  # as NumPy does
    if _is_whole_power(e):
        return _product(v, converted[0], e.invars[1].val, dtypes[-1])  # type: ignore[union-attr]
    return RULES[e.prim.name](v, converted, dtypes[-1], e.params)


def _is_root(e: Eqn) -> bool:
    return _exponent(e) == 0.5


def _is_whole_power(e: Eqn) -> bool:
    """True for powers of integers with a constant exponent; one below 0 is an error."""
    y = _exponent(e)
    return isinstance(y, (int, np.integer)) and y >= 0 and e.outvars[0].aval.dtype.kind in "iu"


def _exponent(e: Eqn) -> Any:
    """The exponent of a power, where it is a literal."""
    return e.invars[1].val if e.prim.name == "pow" and type(e.invars[1]) is Literal else None
