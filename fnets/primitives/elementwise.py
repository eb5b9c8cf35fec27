"""Elementwise primitives: arithmetic, powers, exponentials, trigonometry, comparisons, logic, selection. May import base, special, core.

The impl of most is the NumPy ufunc itself, with NumPy's broadcasting and promotion; broadcasting is undone here, once, by `binary`.
`unary` and `binary` take derivatives that serve forward and reverse mode alike.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray, is_float, python_type
from fnets.core.primitive import BinaryPrimitive, Primitive, UnaryPrimitive
from fnets.core.promotion import resolve_dtype
from fnets.core.trace import dtype_of, is_weak, shape_of, typeof
from fnets.errors import DTypeError, ShapeError
from fnets.primitives import special
from fnets.primitives.base import (
    broadcast_to,
    convert,
    fit,
    move_dim,
    nondifferentiable,
    reshape,
    zeros_like,
)

# ------------------------------------------------------------------ types of results


def broadcast_shapes(op: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The common shape of several; an error names the operation.

    >>> broadcast_shapes("add", (3, 1), (4,))
    (3, 4)
    """
    first = shapes[0]
    if all([s == first for s in shapes]):
        return first
    ndim = max(map(len, shapes))
    out = [1] * ndim
    for s in shapes:
        lead = ndim - len(s)
        for i, n in enumerate(s, lead):
            if n != 1:
                if out[i] not in (1, n):
                    told = " and ".join(str(s) for s in shapes)
                    raise ShapeError(
                        f"[{op}] expected shapes that broadcast together, got {told}. Axes are aligned at the end, and each pair must be "
                        "equal or contain a 1; add an axis with x[:, None] or reshape."
                    )
                out[i] = n
    return tuple(out)


def elementwise_abstract(prim: Primitive, like: np.ufunc, result: Any = None) -> Callable:
    """The abstract rule of an elementwise primitive whose dtypes follow the ufunc `like`."""

    def abstract(*avals: ShapedArray, **params: Any) -> ShapedArray:
        shape = avals[0].shape if len(avals) == 1 else broadcast_shapes(prim.name, *[a.shape for a in avals])
        weak = all([a.weak_type for a in avals])
        kinds = [python_type(a.dtype) if a.weak_type and not weak else a.dtype for a in avals]
        try:
            dtype = resolve_dtype(like, *kinds)
        except TypeError:
            told = " and ".join(a.dtype.name for a in avals)
            raise DTypeError(
                f"[{prim.name}] expected dtypes that the operation is defined for, got {told}. Convert with x.astype(...)."
            ) from None
        except OverflowError as error:
            raise DTypeError(f"[{prim.name}] {error}.") from None
        return ShapedArray(shape, dtype if result is None else result, weak)

    return abstract


def elementwise_batch(prim: Primitive) -> Callable:
    """Batching of an operation that broadcasts: line the batch dimensions up, in place where they already are."""

    def batch(size: int, vals: Sequence, dims: Sequence, **params: Any) -> tuple:
        if len(vals) == 1:
            return prim.bind(vals[0], **params), dims[0]
        shapes = [shape_of(v) for v in vals]
        batched = [(d, len(s)) for d, s in zip(dims, shapes) if d is not None]
        if all([b == batched[0] for b in batched]):
            d, ndim = batched[0]
            if all([len(s) < ndim - d for s, k in zip(shapes, dims) if k is None]):
                return prim.bind(*vals, **params), d
        ndim = max([len(s) - (d is not None) for s, d in zip(shapes, dims)])
        aligned = []
        for v, d in zip(vals, dims):
            if d is not None:
                v = move_dim(v, d, 0, size)
                own = shape_of(v)
                v = reshape(v, (size, *(1,) * (ndim + 1 - len(own)), *own[1:]))
            aligned.append(v)
        return prim.bind(*aligned, **params), 0

    return batch


# ------------------------------------------------------------------ declaring


_OPERATORS: dict[Callable, Callable] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.true_divide: operator.truediv,
    np.equal: operator.eq,
    np.not_equal: operator.ne,
    np.less: operator.lt,
    np.less_equal: operator.le,
    np.greater: operator.gt,
    np.greater_equal: operator.ge,
}


def _declare(name: str, impl: Callable, like: np.ufunc | None, result: Any, arity: int) -> Primitive:
    prim = (UnaryPrimitive if arity == 1 else BinaryPrimitive)(name, kind="elementwise", fresh=True)
    if isinstance(prim, BinaryPrimitive):
        prim.scalar = _OPERATORS.get(impl)
    prim.impl = impl
    if isinstance(impl, np.ufunc):
        prim.ufunc = impl
        like = like or impl
    assert like is not None
    prim.abstract = elementwise_abstract(prim, like, result)
    prim.batch = elementwise_batch(prim)
    return prim


def unary(name: str, impl: Callable, deriv: Callable | None, like: np.ufunc | None = None) -> Primitive:
    """Declare y = f(x). `deriv(y, x)` is dy/dx; None means that it is zero everywhere."""
    prim = _declare(name, impl, like, None, arity=1)
    if deriv is None:
        nondifferentiable(prim)
        return prim
    bind = prim.bind

    def jvp(primals: Sequence, tangents: Sequence) -> tuple:
        (x,) = primals
        y = bind(x)
        return y, mul(tangents[0], deriv(y, x)) if is_float(dtype_of(y)) else None

    def vjp(active: tuple, x: Any) -> tuple:
        y = bind(x)
        return y, lambda ct: (mul(ct, deriv(y, x)),)

    prim.jvp, prim.vjp = jvp, vjp
    return prim


def linear_unary(
    name: str, impl: Callable, tangent: Callable, cotangent: Callable, like: np.ufunc | None = None, result: Any = None
) -> Primitive:
    """Declare a unary operation that is real-linear: tangent(t) forward, cotangent(ct, aval of x) in reverse."""
    prim = _declare(name, impl, like, result, arity=1)

    def jvp(primals: Sequence, tangents: Sequence) -> tuple:
        return prim.bind(*primals), tangent(tangents[0])

    def vjp(active: tuple, x: Any) -> tuple:
        y = prim.bind(x)
        if not is_float(dtype_of(y)):
            return y, None
        aval = typeof(x)
        return y, lambda ct: (fit(cotangent(ct, aval), aval),)

    prim.jvp, prim.vjp = jvp, vjp
    return prim


def binary(
    name: str, impl: Callable, d0: Callable | None, d1: Callable | None, like: np.ufunc | None = None
) -> Primitive:
    """Declare z = f(x, y). `d0(g, z, x, y)` is g * dz/dx, linear in g: it maps tangents forward and cotangents back. None: zero."""
    prim = _declare(name, impl, like, None, arity=2)
    bind = prim.bind

    def jvp(primals: Sequence, tangents: Sequence) -> tuple:
        x, y = primals
        z = bind(x, y)
        tx, ty = tangents
        out = None
        if tx is not None and d0 is not None:
            out = d0(tx, z, x, y)
        if ty is not None and d1 is not None:
            other = d1(ty, z, x, y)
            out = other if out is None else add(out, other)
        return z, None if out is None else like_tangent(out, z)

    def vjp(active: tuple, x: Any, y: Any) -> tuple:
        z = bind(x, y)
        shape, dtype = shape_of(z), dtype_of(z)
        if len(active) == 2:
            if shape_of(x) == shape_of(y) == shape and dtype_of(x) == dtype_of(y) == dtype and d0 and d1:
                return z, lambda ct: (d0(ct, z, x, y), d1(ct, z, x, y))  # type: ignore[misc]
            if not is_float(dtype):
                return z, None
            ax, ay = typeof(x), typeof(y)
            return z, lambda ct: (d0 and fit(d0(ct, z, x, y), ax), d1 and fit(d1(ct, z, x, y), ay))
        rule, operand = (d0, x) if active[0] == 0 else (d1, y)
        if rule is None:
            return z, None
        if shape_of(operand) == shape and dtype_of(operand) == dtype:
            return z, lambda ct: (rule(ct, z, x, y),)
        aval = typeof(operand)
        return z, lambda ct: (fit(rule(ct, z, x, y), aval),)

    prim.jvp, prim.vjp = jvp, vjp
    return prim


def like_tangent(t: Any, out: Any) -> Any:
    """A tangent broadcast and converted to the shape and dtype of its primal."""
    if shape_of(t) != shape_of(out):
        t = broadcast_to(t, shape_of(out))
    return t if dtype_of(t) == dtype_of(out) else convert(t, dtype_of(out))


def predicate(name: str, impl: Callable, like: np.ufunc | None = None) -> Primitive:
    """Declare an operation whose result carries no derivative (comparison, logic, rounding to integers)."""
    prim = _declare(name, impl, like, None, arity=impl.nin if isinstance(impl, np.ufunc) else 1)
    nondifferentiable(prim)
    return prim


# ------------------------------------------------------------------ arithmetic


def _identity(g: Any, *_: Any) -> Any:
    return g


add_p = binary("add", np.add, _identity, _identity)
sub_p = binary("sub", np.subtract, _identity, lambda g, z, x, y: neg(g))
mul_p = binary("mul", np.multiply, lambda g, z, x, y: mul(g, y), lambda g, z, x, y: mul(g, x))
div_p = binary("div", np.true_divide, lambda g, z, x, y: div(g, y), lambda g, z, x, y: neg(div(mul(g, z), y)))
floor_divide_p = predicate("floor_divide", np.floor_divide)
remainder_p = binary("remainder", np.remainder, _identity, lambda g, z, x, y: neg(mul(g, floor_divide(x, y))))
fmod_p = binary("rem", np.fmod, _identity, lambda g, z, x, y: neg(mul(g, trunc(div(x, y)))))
add, sub, mul, div = add_p.bind, sub_p.bind, mul_p.bind, div_p.bind
floor_divide, remainder, fmod = floor_divide_p.bind, remainder_p.bind, fmod_p.bind

neg_p = linear_unary("neg", np.negative, lambda t: neg(t), lambda ct, aval: neg(ct))
neg = neg_p.bind


# sign is piecewise constant on the reals; on complex numbers it is z / |z|, which turns with z
sign_p = predicate("sign", np.sign)
sign = sign_p.bind


def _sign_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    (z,), (t,) = primals, tangents
    s = sign(z)
    if dtype_of(z).kind != "c":
        return s, None
    return s, div(sub(t, mul(s, real(mul(conj(s), t)))), abs(z))


def _sign_vjp(active: tuple, z: Any) -> tuple:
    s = sign(z)
    if dtype_of(z).kind != "c":
        return s, None
    return s, lambda ct: (div(sub(ct, mul(conj(s), real(mul(ct, s)))), abs(z)),)


sign_p.jvp, sign_p.vjp, sign_p.differentiable = _sign_jvp, _sign_vjp, True
reciprocal_p = unary("reciprocal", np.reciprocal, lambda y, x: neg(mul(y, y)))
square_p = unary("square", np.square, lambda y, x: mul(x, 2))
reciprocal, square = reciprocal_p.bind, square_p.bind

# abs of a complex number is real: not holomorphic, so it has rules of its own (abs'(0) = 0)
abs_p = _declare("abs", np.absolute, None, None, arity=1)


def _abs_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    (x,), (t,) = primals, tangents
    y = abs(x)
    return y, real(mul(t, conj(sign(x)))) if dtype_of(x).kind == "c" else mul(t, sign(x))


def _abs_vjp(active: tuple, x: Any) -> tuple:
    y = abs(x)
    if dtype_of(x).kind == "c":
        return y, lambda ct: (mul(ct, conj(sign(x))),)
    return y, lambda ct: (mul(ct, sign(x)),)


abs_p.jvp, abs_p.vjp = _abs_jvp, _abs_vjp
abs = abs_p.bind


# ------------------------------------------------------------------ powers, roots, exponentials

exp_p = unary("exp", np.exp, lambda y, x: y)
exp2_p = unary("exp2", np.exp2, lambda y, x: mul(y, 0.6931471805599453))
expm1_p = unary("expm1", np.expm1, lambda y, x: exp(x))  # y + 1 has lost it where x is far below 0
log_p = unary("log", np.log, lambda y, x: reciprocal(x))
log2_p = unary("log2", np.log2, lambda y, x: reciprocal(mul(x, 0.6931471805599453)))
log10_p = unary("log10", np.log10, lambda y, x: reciprocal(mul(x, 2.302585092994046)))
log1p_p = unary("log1p", np.log1p, lambda y, x: reciprocal(add(x, 1)))
sqrt_p = unary("sqrt", np.sqrt, lambda y, x: div(0.5, y))
rsqrt_p = unary("rsqrt", special.rsqrt, lambda y, x: mul(div(y, x), -0.5), like=np.sqrt)
cbrt_p = unary("cbrt", np.cbrt, lambda y, x: div(1 / 3, mul(y, y)))
exp, exp2, expm1, log, log2, log10 = exp_p.bind, exp2_p.bind, expm1_p.bind, log_p.bind, log2_p.bind, log10_p.bind


def log1p(x: Any) -> Any:
    """log(1 + x), accurate for small x; for complex x, where NumPy's is not, from its parts: |1 + x|^2 is 1 + x' (2 + x') + x''^2.

    >>> log1p(np.complex64(1e-5 + 1e-5j)).real
    np.float32(1e-05)
    """
    if getattr(x, "dtype", _REAL).kind != "c" or is_weak(x):
        return log1p_p.bind(x)
    a, b = real(x), imag(x)
    far = gt(maximum(abs(a), abs(b)), 1000)  # nothing is lost there, and squares may overflow
    a, b = select(far, fill_like(a, 0), a), select(far, fill_like(b, 0), b)
    near = complex_(mul(log1p_p.bind(add(mul(a, add(a, 2)), square(b))), 0.5), atan2(b, add(a, 1)))
    return select(far, log(add(x, 1)), near)


_REAL = np.dtype(float)
sqrt, rsqrt, cbrt = sqrt_p.bind, rsqrt_p.bind, cbrt_p.bind


def _pow_d0(g: Any, z: Any, x: Any, y: Any) -> Any:
    # at y = 0 the slope is 0, also where x = 0 would give 0 * inf
    safe = pow(x, select(eq(y, 0), 1, sub(y, 1)))
    return mul(g, mul(y, safe))


def _pow_d1(g: Any, z: Any, x: Any, y: Any) -> Any:
    # 0 ** y is constant in y for y > 0: use log(1) there instead of log(0)
    return mul(g, mul(z, log(select(eq(x, 0), fill_like(x, 1), x))))


pow_p = binary("pow", np.power, _pow_d0, _pow_d1)
pow = pow_p.bind

integer_pow_p = Primitive("integer_pow", kind="elementwise", fresh=True)


def _integer_pow_impl(x: Any, y: int) -> Any:
    if y == 2:
        return np.square(x)
    if y == 3:
        return np.multiply(np.square(x), x)
    if y == 4:
        return np.square(np.square(x))
    if y == -1 and dtype_of(x).kind in "fc":
        return np.reciprocal(x)
    return np.power(x, y)


def _integer_pow_abstract(x: ShapedArray, y: int) -> ShapedArray:
    if y < 0 and x.dtype.kind in "iu":
        raise DTypeError(
            f"[integer_pow] expected a float array for the negative power {y}, got {x.dtype.name}. Use x.astype('float32')."
        )
    dtype = x.dtype if x.weak_type else resolve_dtype(np.power, x.dtype, int)
    return ShapedArray(x.shape, dtype, x.weak_type)


def _integer_pow_slope(x: Any, y: int) -> Any:
    if y == 2:
        return mul(x, 2)
    return zeros_like(x) if y == 0 else mul(integer_pow(x, y - 1), y)


def _integer_pow_vjp(active: tuple, x: Any, y: int) -> tuple:
    out = integer_pow(x, y)
    return out, lambda ct: (mul(ct, _integer_pow_slope(x, y)),)


integer_pow_p.impl = _integer_pow_impl
integer_pow_p.abstract = _integer_pow_abstract
integer_pow_p.batch = lambda size, vals, dims, y: (integer_pow(vals[0], y), dims[0])
integer_pow_p.jvp = lambda primals, tangents, y: (
    integer_pow(primals[0], y),
    mul(tangents[0], _integer_pow_slope(primals[0], y)),
)
integer_pow_p.vjp = _integer_pow_vjp


def integer_pow(x: Any, y: int) -> Any:
    """`x ** y` for a Python int `y`: small powers are multiplications, and the slope at 0 is right."""
    return integer_pow_p.bind(x, y=y)


def power(x: Any, y: Any) -> Any:
    """`x ** y` with NumPy's promotion; a Python int exponent of a float array becomes `integer_pow`."""
    if type(y) is int and dtype_of(x).kind in "fc":
        return integer_pow(x, y)
    return pow(x, y)


# ------------------------------------------------------------------ trigonometry

sin_p = unary("sin", np.sin, lambda y, x: cos(x))
cos_p = unary("cos", np.cos, lambda y, x: neg(sin(x)))
tan_p = unary("tan", np.tan, lambda y, x: add(mul(y, y), 1))
asin_p = unary("asin", np.arcsin, lambda y, x: rsqrt(sub(1, mul(x, x))))
acos_p = unary("acos", np.arccos, lambda y, x: neg(rsqrt(sub(1, mul(x, x)))))
atan_p = unary("atan", np.arctan, lambda y, x: reciprocal(add(mul(x, x), 1)))
sinh_p = unary("sinh", np.sinh, lambda y, x: cosh(x))
cosh_p = unary("cosh", np.cosh, lambda y, x: sinh(x))
tanh_p = unary("tanh", np.tanh, lambda y, x: sub(1, mul(y, y)))
asinh_p = unary("asinh", np.arcsinh, lambda y, x: rsqrt(add(mul(x, x), 1)))
acosh_p = unary("acosh", np.arccosh, lambda y, x: mul(rsqrt(sub(x, 1)), rsqrt(add(x, 1))))
atanh_p = unary("atanh", np.arctanh, lambda y, x: reciprocal(sub(1, mul(x, x))))
sin, cos, tan, asin, acos, atan = sin_p.bind, cos_p.bind, tan_p.bind, asin_p.bind, acos_p.bind, atan_p.bind
sinh, cosh, tanh, asinh, acosh, atanh = sinh_p.bind, cosh_p.bind, tanh_p.bind, asinh_p.bind, acosh_p.bind, atanh_p.bind
atan2_p = binary(
    "atan2",
    np.arctan2,
    lambda g, z, y, x: mul(g, div(x, add(square(x), square(y)))),
    lambda g, z, y, x: neg(mul(g, div(y, add(square(x), square(y))))),
)
hypot_p = binary("hypot", np.hypot, lambda g, z, x, y: mul(g, _unit(x, z)), lambda g, z, x, y: mul(g, _unit(y, z)))
atan2, hypot = atan2_p.bind, hypot_p.bind


def _unit(x: Any, norm: Any) -> Any:
    return div(x, select(eq(norm, 0), fill_like(norm, 1), norm))


# ------------------------------------------------------------------ special functions (formulas in special.py)

logistic_p = unary("logistic", special.logistic, lambda y, x: mul(y, sub(1, y)), like=np.exp)
relu_p = unary("relu", special.relu, lambda y, x: gt(x, 0), like=np.positive)
softplus_p = unary("softplus", special.softplus, lambda y, x: logistic(x), like=np.exp)
erf_p = unary("erf", special.erf, lambda y, x: mul(exp(neg(mul(x, x))), 1.1283791670955126), like=np.arctan)
erfc_p = unary("erfc", special.erfc, lambda y, x: mul(exp(neg(mul(x, x))), -1.1283791670955126), like=np.arctan)
erf_inv_p = unary("erf_inv", special.erf_inv, lambda y, x: mul(exp(mul(y, y)), 0.886226925452758), like=np.arctan)
lgamma_p = unary("lgamma", special.lgamma, lambda y, x: digamma(x), like=np.arctan)
digamma_p = unary("digamma", special.digamma, lambda y, x: polygamma1(x), like=np.arctan)
logistic, relu, softplus = logistic_p.bind, relu_p.bind, softplus_p.bind
erf, erfc, erf_inv, lgamma, digamma = erf_p.bind, erfc_p.bind, erf_inv_p.bind, lgamma_p.bind, digamma_p.bind

zeta_p = _declare("zeta", special.zeta, np.arctan2, None, arity=2)


def _zeta_d1(g: Any, z: Any, s: Any, q: Any) -> Any:
    return neg(mul(g, mul(s, zeta(add(s, 1), q))))


def _zeta_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    s, q = primals
    z = zeta(s, q)
    if tangents[0] is not None:
        raise DTypeError(
            "[zeta] expected a constant first argument, got one that is differentiated: zeta has no derivative in s here."
        )
    return z, like_tangent(_zeta_d1(tangents[1], z, s, q), z)


def _zeta_vjp(active: tuple, s: Any, q: Any) -> tuple:
    z = zeta(s, q)
    if 0 in active:
        raise DTypeError(
            "[zeta] expected a constant first argument, got one that is differentiated: zeta has no derivative in s here."
        )
    aval = typeof(q)
    return z, lambda ct: (fit(_zeta_d1(ct, z, s, q), aval),)


zeta_p.jvp, zeta_p.vjp = _zeta_jvp, _zeta_vjp
zeta = zeta_p.bind


def polygamma1(x: Any) -> Any:
    """The trigamma function, the derivative of digamma: zeta(2, x)."""
    return zeta(2, x)


logaddexp_p = binary(
    "logaddexp", np.logaddexp, lambda g, z, x, y: mul(g, _share(x, z)), lambda g, z, x, y: mul(g, _share(y, z))
)
logaddexp2_p = binary(
    "logaddexp2", np.logaddexp2, lambda g, z, x, y: mul(g, exp2(sub(x, z))), lambda g, z, x, y: mul(g, exp2(sub(y, z)))
)
logaddexp, logaddexp2 = logaddexp_p.bind, logaddexp2_p.bind


def _share(x: Any, z: Any) -> Any:
    # exp(x - z), where inf - inf must count as 0 (both operands -inf or +inf)
    difference = sub(x, z)
    return exp(select(ne(difference, difference), fill_like(difference, 0), difference))


# ------------------------------------------------------------------ rounding, comparison, logic

floor_p, ceil_p, trunc_p, rint_p = (
    predicate(n, f) for n, f in (("floor", np.floor), ("ceil", np.ceil), ("trunc", np.trunc), ("round", np.rint))
)
floor, ceil, trunc, rint = floor_p.bind, ceil_p.bind, trunc_p.bind, rint_p.bind
eq_p, ne_p, lt_p = predicate("eq", np.equal), predicate("ne", np.not_equal), predicate("lt", np.less)
le_p, gt_p, ge_p = predicate("le", np.less_equal), predicate("gt", np.greater), predicate("ge", np.greater_equal)
eq, ne, lt, le, gt, ge = eq_p.bind, ne_p.bind, lt_p.bind, le_p.bind, gt_p.bind, ge_p.bind
logical_and_p, logical_or_p = predicate("logical_and", np.logical_and), predicate("logical_or", np.logical_or)
logical_xor_p, logical_not_p = predicate("logical_xor", np.logical_xor), predicate("logical_not", np.logical_not)
logical_and, logical_or, logical_xor, logical_not = (
    logical_and_p.bind,
    logical_or_p.bind,
    logical_xor_p.bind,
    logical_not_p.bind,
)
and_p, or_p, xor_p, not_p = (
    predicate(n, f)
    for n, f in (("and", np.bitwise_and), ("or", np.bitwise_or), ("xor", np.bitwise_xor), ("not", np.invert))
)
bitwise_and, bitwise_or, bitwise_xor, bitwise_not = and_p.bind, or_p.bind, xor_p.bind, not_p.bind
shift_left_p, shift_right_p = predicate("shift_left", np.left_shift), predicate("shift_right", np.right_shift)
shift_left, shift_right = shift_left_p.bind, shift_right_p.bind
is_finite_p, is_nan_p, is_inf_p = (
    predicate("is_finite", np.isfinite),
    predicate("is_nan", np.isnan),
    predicate("is_inf", np.isinf),
)
signbit_p, nextafter_p = predicate("signbit", np.signbit), predicate("nextafter", np.nextafter)
population_count_p = predicate("population_count", lambda x: np.bitwise_count(x).astype(x.dtype), like=np.positive)
gcd_p, lcm_p = predicate("gcd", np.gcd), predicate("lcm", np.lcm)
is_finite, is_nan, is_inf, signbit, nextafter = (
    is_finite_p.bind,
    is_nan_p.bind,
    is_inf_p.bind,
    signbit_p.bind,
    nextafter_p.bind,
)
population_count, gcd, lcm = population_count_p.bind, gcd_p.bind, lcm_p.bind


def _same_sign(x: Any, y: Any) -> Any:
    return select(eq(signbit(x), signbit(y)), 1.0, -1.0)


copysign_p = binary("copysign", np.copysign, lambda g, z, x, y: mul(g, _same_sign(x, y)), None)
ldexp_p = binary("ldexp", np.ldexp, lambda g, z, x, y: mul(g, exp2(convert(y, dtype_of(g)))), None)
copysign, ldexp = copysign_p.bind, ldexp_p.bind

# ------------------------------------------------------------------ maximum, minimum, clamp, select


def _wins(g: Any, z: Any, own: Any, other: Any) -> Any:
    """g where `own` is the result, half of it at ties."""
    return mul(g, convert_weak(select(eq(own, other), 0.5, eq(own, z)), dtype_of(g)))


def convert_weak(x: Any, dtype: np.dtype) -> Any:
    """`x` in `dtype`, unless it is a Python scalar, which adapts by itself."""
    return x if isinstance(x, (bool, int, float, complex)) else convert(x, dtype)


maximum_p = binary("max", np.maximum, lambda g, z, x, y: _wins(g, z, x, y), lambda g, z, x, y: _wins(g, z, y, x))
minimum_p = binary("min", np.minimum, lambda g, z, x, y: _wins(g, z, x, y), lambda g, z, x, y: _wins(g, z, y, x))
fmax_p = binary("fmax", np.fmax, lambda g, z, x, y: _wins(g, z, x, y), lambda g, z, x, y: _wins(g, z, y, x))
fmin_p = binary("fmin", np.fmin, lambda g, z, x, y: _wins(g, z, x, y), lambda g, z, x, y: _wins(g, z, y, x))
maximum, minimum, fmax, fmin = maximum_p.bind, minimum_p.bind, fmax_p.bind, fmin_p.bind

# select: where(condition, x, y). Linear in x and y; the branch not taken gets an exact zero, whatever its own value.
select_p = Primitive("select", kind="elementwise", fresh=True)


def _select_abstract(c: ShapedArray, x: ShapedArray, y: ShapedArray) -> ShapedArray:
    shape = broadcast_shapes("where", c.shape, x.shape, y.shape)
    weak = x.weak_type and y.weak_type
    kinds = [python_type(a.dtype) if a.weak_type and not weak else a.dtype for a in (x, y)]
    dtype = _promote(*kinds)
    return ShapedArray(shape, dtype, weak and c.weak_type)


@functools.cache
def _promote(a: Any, b: Any) -> np.dtype:
    return np.result_type(*[k(0) if isinstance(k, type) else k for k in (a, b)])


def _select_impl(c: Any, x: Any, y: Any) -> Any:
    out = np.where(c, x, y)
    return out if out.ndim else out[()]


def _select_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    c, x, y = primals
    out = select(c, x, y)
    tx, ty = tangents[1], tangents[2]
    if tx is None and ty is None or not is_float(dtype_of(out)):
        return out, None
    zero = np.zeros((), dtype_of(out))
    return out, like_tangent(select(c, zero if tx is None else tx, zero if ty is None else ty), out)


def _select_vjp(active: tuple, c: Any, x: Any, y: Any) -> tuple:
    out = select(c, x, y)
    if not is_float(dtype_of(out)):
        return out, None
    avals = [None, typeof(x), typeof(y)]

    def pull(ct: Any) -> list:
        zero = np.zeros((), dtype_of(ct))
        return [fit(select(c, ct, zero) if i == 1 else select(c, zero, ct), avals[i]) for i in active]

    return out, pull


select_p.impl, select_p.abstract, select_p.jvp, select_p.vjp = _select_impl, _select_abstract, _select_jvp, _select_vjp
select_p.batch = elementwise_batch(select_p)
select = select_p.bind


def fill_like(x: Any, value: Any) -> Any:
    """A scalar of the dtype of `x` (weak if `x` is weak), to broadcast against it."""
    aval = typeof(x)
    return value if aval.weak_type else aval.dtype.type(value)


# clamp(low, x, high): slope 1 strictly inside, as JAX; 0 outside; the bounds get the rest
clamp_p = Primitive("clamp", kind="elementwise", fresh=True)


def _clamp_parts(g: Any, low: Any, x: Any, high: Any, which: int) -> Any:
    zero = fill_like(g, 0)
    if which == 1:
        return select(logical_and(gt(x, low), lt(x, high)), g, zero)
    if which == 0:
        return select(gt(low, x), g, zero)
    return select(lt(high, x), g, zero)


def _clamp_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    out = clamp(*primals)
    total = None
    for i, t in enumerate(tangents):
        if t is not None:
            part = _clamp_parts(t, *primals, i)
            total = part if total is None else add(total, part)
    return out, None if total is None else like_tangent(total, out)


def _clamp_vjp(active: tuple, low: Any, x: Any, high: Any) -> tuple:
    out = clamp(low, x, high)
    if not is_float(dtype_of(out)):
        return out, None
    avals = [typeof(v) for v in (low, x, high)]
    return out, lambda ct: [fit(_clamp_parts(ct, low, x, high, i), avals[i]) for i in active]


clamp_p.impl = lambda low, x, high: np.minimum(np.maximum(x, low), high)
clamp_p.abstract = lambda low, x, high: minimum_p.abstract(maximum_p.abstract(x, low), high)
clamp_p.batch = elementwise_batch(clamp_p)
clamp_p.jvp, clamp_p.vjp = _clamp_jvp, _clamp_vjp
clamp = clamp_p.bind

# ------------------------------------------------------------------ complex numbers (JAX's convention: no conjugation in vjp)


def _half_of(dtype: np.dtype) -> np.dtype:
    return np.dtype("float32" if dtype == np.complex64 else "float64")


def _complex_parts(name: str, impl: Callable, tangent: Callable, cotangent: Callable) -> Primitive:
    prim = linear_unary(name, impl, tangent, cotangent, like=np.positive)
    prim.fresh = False
    prim.kind = "view"
    general = prim.abstract

    def abstract(a: ShapedArray) -> ShapedArray:
        return ShapedArray(a.shape, _half_of(a.dtype), a.weak_type) if a.dtype.kind == "c" else general(a)

    prim.abstract = abstract
    return prim


real_p = _complex_parts(
    "real", np.real, lambda t: real(t), lambda ct, aval: convert(ct, aval.dtype) if aval.dtype.kind == "c" else ct
)
imag_p = _complex_parts(
    "imag",
    np.imag,
    lambda t: imag(t),
    lambda ct, aval: complex_(fill_like(ct, 0), neg(ct)) if aval.dtype.kind == "c" else mul(ct, 0),
)
conj_p = linear_unary("conj", np.conjugate, lambda t: conj(t), lambda ct, aval: conj(ct))
real, imag, conj = real_p.bind, imag_p.bind, conj_p.bind


def _complex_impl(re: Any, im: Any) -> Any:
    out = np.empty(np.broadcast_shapes(np.shape(re), np.shape(im)), np.result_type(re, im, np.complex64))
    out.real, out.imag = re, im
    return out if out.shape else out[()]


complex_p = binary("complex", _complex_impl, lambda g, z, x, y: real(g), lambda g, z, x, y: neg(imag(g)), like=np.add)


def _complex_abstract(re: ShapedArray, im: ShapedArray) -> ShapedArray:
    shape = broadcast_shapes("complex", re.shape, im.shape)
    return ShapedArray(shape, np.result_type(re.dtype, im.dtype, np.complex64), re.weak_type and im.weak_type)


def _complex_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    out = complex_(*primals)
    tx, ty = (np.zeros((), dtype_of(p)) if t is None else t for p, t in zip(primals, tangents))
    return out, like_tangent(complex_(tx, ty), out)


complex_p.abstract, complex_p.jvp = _complex_abstract, _complex_jvp
complex_ = complex_p.bind
