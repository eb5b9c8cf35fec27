"""Primitives of the special functions that `elementwise` has not: gamma and beta families, Bessel functions, exponential integrals, the normal law's.

Kernels are in special.py, and in the files ending in _kernels.py. May import those, elementwise, base, core.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets.core.avals import is_float
from fnets.core.primitive import BinaryPrimitive, Primitive
from fnets.core.promotion import resolve_dtype
from fnets.core.trace import typeof
from fnets.errors import ArgumentError
from fnets.primitives import bessel_kernels as bessel
from fnets.primitives import faddeeva_kernels as faddeeva
from fnets.primitives import hypergeometric_kernels as hyper
from fnets.primitives import integral_kernels as integrals
from fnets.primitives import special
from fnets.primitives.base import fit
from fnets.primitives.elementwise import (
    add,
    cos,
    digamma,
    div,
    elementwise_abstract,
    elementwise_batch,
    eq,
    erf,
    exp,
    fill_like,
    lgamma,
    like_tangent,
    log,
    log1p,
    mul,
    neg,
    reciprocal,
    select,
    sign,
    sin,
    square,
    sub,
    unary,
)

Slope = Callable | str | None


def several(name: str, impl: Callable, *slopes: Slope) -> Primitive:
    """Declare z = f(x, y, ...) of real numbers.

    Each slope is a function (z, x, y, ...) -> dz/d(operand), None (the operand is a constant: orders and the like), or a sentence that says why
    there is no derivative.
    """
    prim = (
        BinaryPrimitive(name, kind="elementwise", fresh=True)
        if len(slopes) == 2
        else Primitive(name, kind="elementwise", fresh=True)
    )
    prim.impl = impl
    prim.abstract = elementwise_abstract(prim, np.arctan2)
    prim.batch = elementwise_batch(prim)

    def slope(i: int, z: Any, operands: Sequence) -> Any:
        rule = slopes[i]
        if isinstance(rule, str):
            raise ArgumentError(
                f"[{name}] expected no derivative with respect to argument {i}, got one asked for: {rule}."
            )
        return None if rule is None else rule(z, *operands)

    def jvp(primals: Sequence, tangents: Sequence) -> tuple:
        z = prim.bind(*primals)
        out = None
        for i, t in enumerate(tangents):
            s = None if t is None else slope(i, z, primals)
            if s is not None:
                out = mul(t, s) if out is None else add(out, mul(t, s))
        return z, None if out is None else like_tangent(out, z)

    def vjp(active: tuple, *operands: Any) -> tuple:
        z = prim.bind(*operands)
        avals = [typeof(x) for x in operands]

        def cotangent(ct: Any, i: int) -> Any:
            s = slope(i, z, operands) if is_float(avals[i].dtype) else None
            return None if s is None else fit(mul(ct, s), avals[i])

        return z, lambda ct: [cotangent(ct, i) for i in active]

    prim.jvp, prim.vjp = jvp, vjp
    return prim


# ------------------------------------------------------------------ gamma family

_NO_SECOND = "its second derivative in the shape parameter is not known in closed form. Use stop_gradient on it"
polygamma_p = several("polygamma", special.polygamma, None, lambda z, n, x: polygamma(add(n, 1), x))


def _gamma_density(a: Any, x: Any) -> Any:
    """exp(-x) x**(a - 1) / Gamma(a), with its limits at x = 0."""
    power = select(eq(a, 1), fill_like(x, 0), mul(sub(a, 1), log(x)))
    return exp(sub(sub(power, x), lgamma(a)))


def _density_slope(a: Any, x: Any) -> Any:
    """The derivative of the density in a, 0 at x = 0."""
    zero = eq(x, 0)
    safe = select(zero, fill_like(x, 1), x)
    return select(zero, fill_like(x, 0), mul(_gamma_density(a, safe), sub(log(safe), digamma(a))))


igamma_grad_a_p = several(
    "igamma_grad_a",
    special.igamma_grad_a,
    _NO_SECOND,
    lambda z, a, x: _density_slope(a, x),
)
igamma_p = several("igamma", special.igamma, lambda z, a, x: igamma_grad_a(a, x), lambda z, a, x: _gamma_density(a, x))
igammac_p = several(
    "igammac", special.igammac, lambda z, a, x: neg(igamma_grad_a(a, x)), lambda z, a, x: neg(_gamma_density(a, x))
)
polygamma, igamma_grad_a, igamma, igammac = polygamma_p.bind, igamma_grad_a_p.bind, igamma_p.bind, igammac_p.bind


# ------------------------------------------------------------------ beta family


def log_beta(a: Any, b: Any) -> Any:
    """The logarithm of the beta function.

    >>> float(log_beta(1.0, 1.0))
    0.0
    """
    return sub(add(lgamma(a), lgamma(b)), lgamma(add(a, b)))


def _beta_density(a: Any, b: Any, x: Any) -> Any:
    left = select(eq(a, 1), fill_like(x, 0), mul(sub(a, 1), log(x)))
    right = select(eq(b, 1), fill_like(x, 0), mul(sub(b, 1), log1p(neg(x))))
    return exp(sub(add(left, right), log_beta(a, b)))


_NO_SHAPES = "the derivative in the shape parameters is not known in closed form. Use stop_gradient on them"


betainc_p = several(
    "regularized_incomplete_beta",
    special.betainc,
    _NO_SHAPES,
    _NO_SHAPES,
    lambda z, a, b, x: _beta_density(a, b, x),
)
betainc = betainc_p.bind

# ------------------------------------------------------------------ Bessel functions


def _over(y: Any, x: Any, at_zero: float) -> Any:
    """y / x with its limit at 0."""
    zero = eq(x, 0)
    return select(zero, fill_like(x, at_zero), div(y, select(zero, fill_like(x, 1), x)))


bessel_i0e_p = unary("bessel_i0e", special.i0e, lambda y, x: sub(bessel_i1e(x), mul(sign(x), y)), like=np.arctan)
bessel_i1e_p = unary(
    "bessel_i1e", special.i1e, lambda y, x: sub(bessel_i0e(x), add(mul(sign(x), y), _over(y, x, 0.5))), like=np.arctan
)
bessel_i0_p = unary("bessel_i0", special.i0, lambda y, x: bessel_i1(x), like=np.arctan)
bessel_i1_p = unary("bessel_i1", special.i1, lambda y, x: sub(bessel_i0(x), _over(y, x, 0.5)), like=np.arctan)
bessel_i0e, bessel_i1e, bessel_i0, bessel_i1 = bessel_i0e_p.bind, bessel_i1e_p.bind, bessel_i0_p.bind, bessel_i1_p.bind

bessel_j0_p = unary("bessel_j0", bessel.j0, lambda y, x: neg(bessel_j1(x)), like=np.arctan)
bessel_j1_p = unary("bessel_j1", bessel.j1, lambda y, x: sub(bessel_j0(x), _over(y, x, 0.5)), like=np.arctan)
bessel_y0_p = unary("bessel_y0", bessel.y0, lambda y, x: neg(bessel_y1(x)), like=np.arctan)
bessel_y1_p = unary("bessel_y1", bessel.y1, lambda y, x: sub(bessel_y0(x), div(y, x)), like=np.arctan)
bessel_j0, bessel_j1, bessel_y0, bessel_y1 = bessel_j0_p.bind, bessel_j1_p.bind, bessel_y0_p.bind, bessel_y1_p.bind

bessel_jn_p = several(
    "bessel_jn", bessel.jn, None, lambda z, n, x: mul(sub(bessel_jn(sub(n, 1), x), bessel_jn(add(n, 1), x)), 0.5)
)
bessel_yn_p = several(
    "bessel_yn", bessel.yn, None, lambda z, n, x: mul(sub(bessel_yn(sub(n, 1), x), bessel_yn(add(n, 1), x)), 0.5)
)
bessel_jn, bessel_yn = bessel_jn_p.bind, bessel_yn_p.bind

# ------------------------------------------------------------------ the normal law

_HALF_LOG_TWO_PI = 0.9189385332046727


def _normal_density(x: Any) -> Any:
    return exp(sub(mul(square(x), -0.5), _HALF_LOG_TWO_PI))


ndtr_p = unary("ndtr", special.ndtr, lambda y, x: _normal_density(x), like=np.arctan)
ndtri_p = unary("ndtri", special.ndtri, lambda y, p: reciprocal(_normal_density(y)), like=np.arctan)
log_ndtr_p = unary(
    "log_ndtr",
    special.log_ndtr,
    lambda y, x: exp(sub(sub(mul(square(x), -0.5), _HALF_LOG_TWO_PI), y)),
    like=np.arctan,
)
ndtr, ndtri, log_ndtr = ndtr_p.bind, ndtri_p.bind, log_ndtr_p.bind

# ------------------------------------------------------------------ exponential integrals, the dilogarithm

expi_p = unary("expi", special.expi, lambda y, x: div(exp(x), x), like=np.arctan)
exp1_p = unary("exp1", special.exp1, lambda y, x: neg(div(exp(neg(x)), x)), like=np.arctan)
expn_p = several("expn", bessel.expn, None, lambda z, n, x: _expn_slope(n, x))
spence_p = unary("spence", special.spence, lambda y, x: _spence_slope(x), like=np.arctan)
expi, exp1, expn, spence = expi_p.bind, exp1_p.bind, expn_p.bind, spence_p.bind


def _expn_slope(n: Any, x: Any) -> Any:
    # the function of order -1 is known too: exp(-x) (1 + x) / x^2
    lowest = eq(n, 0)
    order = sub(select(lowest, fill_like(n, 1), n), 1)
    below = mul(exp(neg(x)), div(add(x, 1), square(x)))
    return neg(select(lowest, below, expn(order, x)))


def _spence_slope(x: Any) -> Any:
    """log(x) / (1 - x), and -1 at x = 1."""
    one = eq(x, 1)
    safe = select(one, fill_like(x, 2), x)
    return select(one, fill_like(x, -1), div(log(safe), sub(1, safe)))


# ------------------------------------------------------------------ the Faddeeva function and its relatives

_ROOT_PI = 1.772453850905516
_HALF_PI = 1.5707963267948966


wofz_p = unary(
    "wofz", faddeeva.wofz, lambda y, z: sub(2j / _ROOT_PI, mul(2, mul(z, y))), like=np.log
)  # of complex numbers
erfcx_p = unary("erfcx", faddeeva.erfcx, lambda y, x: sub(mul(2, mul(x, y)), 2 / _ROOT_PI), like=np.log)
dawsn_p = unary("dawsn", faddeeva.dawsn, lambda y, x: sub(1, mul(2, mul(x, y))), like=np.arctan)
fresnel_s_p = unary("fresnel_s", faddeeva.fresnel_s, lambda y, x: sin(mul(square(x), _HALF_PI)), like=np.arctan)
fresnel_c_p = unary("fresnel_c", faddeeva.fresnel_c, lambda y, x: cos(mul(square(x), _HALF_PI)), like=np.arctan)
wofz, erfcx, dawsn = wofz_p.bind, erfcx_p.bind, dawsn_p.bind
fresnel_s, fresnel_c = fresnel_s_p.bind, fresnel_c_p.bind

# ------------------------------------------------------------------ sine and cosine integrals, Owen's T function

si_p = unary("si", integrals.si, lambda y, x: _over(sin(x), x, 1), like=np.arctan)
ci_p = unary("ci", integrals.ci, lambda y, x: div(cos(x), x), like=np.arctan)
si, ci = si_p.bind, ci_p.bind


def _owens_slope_h(z: Any, h: Any, a: Any) -> Any:
    return mul(mul(exp(mul(square(h), -0.5)), erf(mul(mul(a, h), 0.7071067811865476))), -0.19947114020071635)


def _owens_slope_a(z: Any, h: Any, a: Any) -> Any:
    size = add(square(a), 1)
    return div(exp(mul(mul(square(h), size), -0.5)), mul(size, 4 * _HALF_PI))


owens_t_p = several("owens_t", integrals.owens_t, _owens_slope_h, _owens_slope_a)
owens_t = owens_t_p.bind

# ------------------------------------------------------------------ hypergeometric functions

_ONCE = "its second derivatives in a parameter are not known in closed form. Use stop_gradient on it"


def _hyp1f1_slope(z: Any, a: Any, b: Any, x: Any) -> Any:
    return mul(div(a, b), hyp1f1(add(a, 1), add(b, 1), x))


def _hyp2f1_slope(z: Any, a: Any, b: Any, c: Any, x: Any) -> Any:
    return mul(div(mul(a, b), c), hyp2f1(add(a, 1), add(b, 1), add(c, 1), x))


hyp1f1_grad_a_p = several("hyp1f1_grad_a", hyper.hyp1f1_grad_a, _ONCE, _ONCE, _ONCE)
hyp1f1_grad_b_p = several("hyp1f1_grad_b", hyper.hyp1f1_grad_b, _ONCE, _ONCE, _ONCE)
hyp1f1_p = several(
    "hyp1f1",
    hyper.hyp1f1,
    lambda z, a, b, x: hyp1f1_grad_a_p.bind(a, b, x),
    lambda z, a, b, x: hyp1f1_grad_b_p.bind(a, b, x),
    _hyp1f1_slope,
)
hyp2f1_grad_a_p = several("hyp2f1_grad_a", hyper.hyp2f1_grad_a, _ONCE, _ONCE, _ONCE, _ONCE)
hyp2f1_grad_c_p = several("hyp2f1_grad_c", hyper.hyp2f1_grad_c, _ONCE, _ONCE, _ONCE, _ONCE)
hyp2f1_p = several(
    "hyp2f1",
    hyper.hyp2f1,
    lambda z, a, b, c, x: hyp2f1_grad_a_p.bind(a, b, c, x),
    lambda z, a, b, c, x: hyp2f1_grad_a_p.bind(b, a, c, x),
    lambda z, a, b, c, x: hyp2f1_grad_c_p.bind(a, b, c, x),
    _hyp2f1_slope,
)
hyp1f1, hyp2f1 = hyp1f1_p.bind, hyp2f1_p.bind

# ------------------------------------------------------------------ x log(y) and what is made of it


def _result(out: Any, *operands: Any) -> Any:
    """An array in the dtype that the operands promote to, Python numbers being weak; a NumPy scalar if it has no axes."""
    kinds = [type(x) if type(x) in (bool, int, float) else x.dtype for x in operands]
    return np.asarray(out).astype(resolve_dtype(np.arctan2, *kinds), copy=False)[()]


def _product_with_log(log_of: Callable, at: float) -> Callable:
    def impl(x: Any, y: Any) -> Any:
        nothing = np.logical_and(np.equal(x, 0), np.logical_not(np.isnan(y)))
        with np.errstate(divide="ignore", invalid="ignore"):
            return _result(np.multiply(x, log_of(np.where(nothing, at, y))), x, y)

    return impl


xlogy_p = several("xlogy", _product_with_log(np.log, 1), lambda z, x, y: log(y), lambda z, x, y: div(x, y))
xlog1py_p = several(
    "xlog1py", _product_with_log(np.log1p, 0), lambda z, x, y: log1p(y), lambda z, x, y: div(x, add(y, 1))
)
xlogy, xlog1py = xlogy_p.bind, xlog1py_p.bind

# ------------------------------------------------------------------ distribution functions with a derivative of their own


def _student_t_cdf(df: Any, x: Any) -> Any:
    """The side of the incomplete beta function that is small, so that the tail keeps its digits (NIST DLMF 8.17)."""
    with np.errstate(all="ignore"):
        half = np.multiply(df, 0.5)
        tail = np.multiply(special.betainc(half, 0.5, df / (df + np.square(x))), 0.5)
        return _result(np.where(np.greater(x, 0), 1 - tail, tail), df, x)


def _student_t_density(df: Any, x: Any) -> Any:
    half = mul(add(df, 1), 0.5)
    front = sub(sub(lgamma(half), lgamma(mul(df, 0.5))), mul(log(mul(df, 3.141592653589793)), 0.5))
    return exp(sub(front, mul(half, log1p(div(square(x), df)))))


student_t_cdf_p = several("student_t_cdf", _student_t_cdf, _NO_SHAPES, lambda z, df, x: _student_t_density(df, x))
student_t_cdf = student_t_cdf_p.bind
