"""Primitives of the special functions that `elementwise` has not: gamma and beta families, Bessel functions, exponential integrals, the normal law's.

Kernels are in special.py and bessel_kernels.py. May import those, elementwise, base, core.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray, is_float, python_type
from fnets.core.primitive import BinaryPrimitive, Primitive
from fnets.core.trace import typeof
from fnets.errors import ArgumentError
from fnets.primitives import bessel_kernels as bessel
from fnets.primitives import special
from fnets.primitives.base import fit
from fnets.primitives.elementwise import (
    add,
    broadcast_shapes,
    digamma,
    div,
    elementwise_abstract,
    elementwise_batch,
    eq,
    exp,
    fill_like,
    lgamma,
    like_tangent,
    log,
    log1p,
    mul,
    neg,
    reciprocal,
    resolve_dtype,
    select,
    sign,
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
    prim.abstract = elementwise_abstract(prim, np.arctan2) if len(slopes) == 2 else _abstract(prim)
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


def _abstract(prim: Primitive) -> Callable:
    """Types of an operation of three operands: those of `np.arctan2` of two, and then of the result and the third."""

    def abstract(*avals: ShapedArray) -> ShapedArray:
        weak = all([a.weak_type for a in avals])
        kinds = [python_type(a.dtype) if a.weak_type and not weak else a.dtype for a in avals]
        strong_first = sorted(
            kinds, key=lambda k: isinstance(k, type)
        )  # two weak operands have no common dtype of their own
        dtype = functools.reduce(lambda a, b: resolve_dtype(np.arctan2, a, b), strong_first)
        return ShapedArray(broadcast_shapes(prim.name, *[a.shape for a in avals]), dtype, weak)

    return abstract


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


def _betainc_impl(*operands: Any) -> Any:
    scalars = [type(x) in (bool, int, float) for x in operands]
    if not all(scalars):  # Python numbers adapt to the arrays, not to each other
        dtype = np.result_type(*operands)
        operands = tuple([dtype.type(x) if weak else x for x, weak in zip(operands, scalars)])
    return special.betainc(*operands)


betainc_p = several(
    "regularized_incomplete_beta",
    _betainc_impl,
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
