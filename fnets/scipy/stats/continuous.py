"""Continuous laws, with the functions that `scipy.stats` gives them. May import base, primitives, core.

Each is declared in the standardised variable z = (x - loc) / scale; `base.Continuous` says what follows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fnets.core.trace import dtype_of
from fnets.primitives import elementwise as e
from fnets.primitives import special_functions as f
from fnets.scipy.stats.base import INF, LOG_TWO_PI, Continuous, pick

__all__ = [
    "beta", "cauchy", "chi2", "expon", "gamma", "gennorm", "gumbel_l", "gumbel_r", "halfnorm", "laplace", "logistic", "lognorm", "norm", "pareto",
    "t", "truncnorm", "uniform", "vonmises", "weibull_min", "wrapcauchy",
]  # fmt: skip

_LOG_TWO = math.log(2)


def _positive(z: Any, *shapes: Any) -> Any:
    return e.gt(z, 0)


def _not_negative(z: Any, *shapes: Any) -> Any:
    return e.ge(z, 0)


def _log1mexp(x: Any) -> Any:
    """log(1 - exp(-x)) for x > 0, by the form that keeps digits."""
    small = e.lt(x, _LOG_TWO)
    one = e.fill_like(x, 1)
    near = e.log(e.neg(e.expm1(e.neg(pick(small, x, one)))))
    return pick(small, near, e.log1p(e.neg(e.exp(e.neg(pick(small, one, x))))))


# ------------------------------------------------------------------ the normal law and its relatives


def _normal_logpdf(z: Any) -> Any:
    return e.mul(e.add(e.square(z), LOG_TWO_PI), -0.5)


norm = Continuous(
    "norm",
    "the normal law.",
    logpdf=_normal_logpdf,
    cdf=f.ndtr,
    sf=lambda z: f.ndtr(e.neg(z)),
    logcdf=f.log_ndtr,
    logsf=lambda z: f.log_ndtr(e.neg(z)),
    ppf=f.ndtri,
    isf=lambda q: e.neg(f.ndtri(q)),
)

halfnorm = Continuous(
    "halfnorm",
    "the absolute value of a normal variable.",
    logpdf=lambda z: e.add(_normal_logpdf(z), _LOG_TWO),
    cdf=lambda z: e.erf(e.mul(z, math.sqrt(0.5))),
    sf=lambda z: e.erfc(e.mul(z, math.sqrt(0.5))),
    ppf=lambda q: f.ndtri(e.mul(e.add(q, 1), 0.5)),
    isf=lambda q: e.neg(f.ndtri(e.mul(q, 0.5))),
    inside=_not_negative,
    centre=1.0,
)

lognorm = Continuous(
    "lognorm",
    "the exponential of a normal variable of standard deviation s.",
    ("s",),
    logpdf=lambda z, s: e.sub(e.sub(_normal_logpdf(e.div(e.log(z), s)), e.log(z)), e.log(s)),
    cdf=lambda z, s: f.ndtr(e.div(e.log(z), s)),
    sf=lambda z, s: f.ndtr(e.neg(e.div(e.log(z), s))),
    logcdf=lambda z, s: f.log_ndtr(e.div(e.log(z), s)),
    logsf=lambda z, s: f.log_ndtr(e.neg(e.div(e.log(z), s))),
    ppf=lambda q, s: e.exp(e.mul(s, f.ndtri(q))),
    isf=lambda q, s: e.exp(e.neg(e.mul(s, f.ndtri(q)))),
    inside=_positive,
    centre=1.0,
    below=lambda z, s: e.le(z, 0),
)


def _log_normal_mass(a: Any, b: Any) -> Any:
    """log(ndtr(b) - ndtr(a)) for a <= b; on the side of 0 where both are small."""
    flipped = e.gt(a, 0)
    low, high = pick(flipped, e.neg(b), a), pick(flipped, e.neg(a), b)
    left = e.le(high, 0)
    log_low, log_high = f.log_ndtr(low), f.log_ndtr(pick(left, high, e.fill_like(high, -1)))
    empty = e.le(log_high, log_low)
    gap = pick(e.logical_or(empty, e.logical_not(left)), e.fill_like(log_high, 1), e.sub(log_high, log_low))
    one_sided = pick(empty, e.fill_like(log_high, -INF), e.add(log_high, _log1mexp(gap)))
    centre_low, centre_high = pick(left, e.fill_like(low, -1), low), pick(left, e.fill_like(high, 1), high)
    central = e.log1p(e.neg(e.add(f.ndtr(centre_low), f.ndtr(e.neg(centre_high)))))
    return pick(left, one_sided, central)


def _truncated(z: Any, a: Any, b: Any) -> Any:
    return e.logical_and(e.ge(z, a), e.le(z, b))


truncnorm = Continuous(
    "truncnorm",
    "the standard normal law within [a, b].",
    ("a", "b"),
    logpdf=lambda z, a, b: e.sub(_normal_logpdf(z), _log_normal_mass(a, b)),
    cdf=lambda z, a, b: e.exp(e.sub(_log_normal_mass(a, z), _log_normal_mass(a, b))),
    sf=lambda z, a, b: e.exp(e.sub(_log_normal_mass(z, b), _log_normal_mass(a, b))),
    logcdf=lambda z, a, b: e.sub(_log_normal_mass(a, z), _log_normal_mass(a, b)),
    logsf=lambda z, a, b: e.sub(_log_normal_mass(z, b), _log_normal_mass(a, b)),
    inside=_truncated,
    centre=lambda a, b: e.clamp(a, e.mul(a, 0), b),
    below=lambda z, a, b: e.lt(z, a),
)


def _gennorm_upper(z: Any, beta: Any) -> Any:
    """The probability above z. At 0, where the chain rule has inf times 0, it moves by a rounding error."""
    z = e.add(z, pick(e.eq(z, 0), e.fill_like(z, np.finfo(dtype_of(z)).eps), e.fill_like(z, 0)))
    tail = e.mul(f.igammac(e.reciprocal(beta), e.pow(e.abs(z), beta)), 0.5)
    return pick(e.gt(z, 0), tail, e.sub(1, tail))


gennorm = Continuous(
    "gennorm",
    "density proportional to exp(-|x|**beta).",
    ("beta",),
    logpdf=lambda z, beta: e.sub(e.sub(e.log(e.mul(beta, 0.5)), e.lgamma(e.reciprocal(beta))), e.pow(e.abs(z), beta)),
    cdf=lambda z, beta: _gennorm_upper(e.neg(z), beta),
    sf=_gennorm_upper,
)


def _t_logpdf(z: Any, df: Any) -> Any:
    half = e.mul(e.add(df, 1), 0.5)
    front = e.sub(e.sub(e.lgamma(half), e.lgamma(e.mul(df, 0.5))), e.mul(e.log(e.mul(df, math.pi)), 0.5))
    return e.sub(front, e.mul(half, e.log1p(e.div(e.square(z), df))))


t = Continuous(
    "t",
    "Student's t with df degrees of freedom.",
    ("df",),
    logpdf=_t_logpdf,
    cdf=lambda z, df: f.student_t_cdf(df, z),
    sf=lambda z, df: f.student_t_cdf(df, e.neg(z)),
)


def _cotangent(x: Any) -> Any:
    return e.div(e.cos(x), e.sin(x))


cauchy = Continuous(
    "cauchy",
    "the Cauchy law.",
    logpdf=lambda z: e.neg(e.add(e.log1p(e.square(z)), math.log(math.pi))),
    cdf=lambda z: e.div(e.atan2(1.0, e.neg(z)), math.pi),
    sf=lambda z: e.div(e.atan2(1.0, z), math.pi),
    ppf=lambda q: e.neg(_cotangent(e.mul(q, math.pi))),
    isf=lambda q: _cotangent(e.mul(q, math.pi)),
)

# ------------------------------------------------------------------ laws of exponential tails


expon = Continuous(
    "expon",
    "the exponential law.",
    logpdf=e.neg,
    cdf=lambda z: e.neg(e.expm1(e.neg(z))),
    sf=lambda z: e.exp(e.neg(z)),
    logcdf=lambda z: e.log(e.neg(e.expm1(e.neg(z)))),
    logsf=e.neg,
    ppf=lambda q: e.neg(e.log1p(e.neg(q))),
    isf=lambda q: e.neg(e.log(q)),
    inside=_not_negative,
    centre=1.0,
)

laplace = Continuous(
    "laplace",
    "the two-sided exponential law.",
    logpdf=lambda z: e.neg(e.add(e.abs(z), _LOG_TWO)),
    cdf=lambda z: _laplace_tail(e.neg(z)),
    sf=lambda z: _laplace_tail(z),
    logcdf=lambda z: _laplace_log_tail(e.neg(z)),
    logsf=lambda z: _laplace_log_tail(z),
    ppf=lambda q: e.neg(_laplace_quantile(q)),
    isf=lambda q: _laplace_quantile(q),
)


def _laplace_tail(z: Any) -> Any:
    half = e.mul(e.exp(e.neg(e.abs(z))), 0.5)
    return pick(e.gt(z, 0), half, e.sub(1, half))


def _laplace_log_tail(z: Any) -> Any:
    return pick(e.gt(z, 0), e.neg(e.add(z, _LOG_TWO)), e.log1p(e.mul(e.exp(e.neg(e.abs(z))), -0.5)))


def _laplace_quantile(q: Any) -> Any:
    """The point above which lies the probability q."""
    low = e.lt(q, 0.5)
    half = e.fill_like(q, 0.5)
    return pick(low, e.neg(e.log(e.mul(pick(low, q, half), 2))), e.log(e.mul(e.sub(1, pick(low, half, q)), 2)))


def _logit(q: Any) -> Any:
    return e.sub(e.log(q), e.log1p(e.neg(q)))


logistic = Continuous(
    "logistic",
    "the logistic law.",
    logpdf=lambda z: e.neg(e.add(e.softplus(z), e.softplus(e.neg(z)))),
    cdf=e.logistic,
    sf=lambda z: e.logistic(e.neg(z)),
    logcdf=lambda z: e.neg(e.softplus(e.neg(z))),
    logsf=lambda z: e.neg(e.softplus(z)),
    ppf=_logit,
    isf=lambda q: e.neg(_logit(q)),
)

gumbel_r = Continuous(
    "gumbel_r",
    "the law of the largest of many (right-skewed Gumbel).",
    logpdf=lambda z: e.neg(e.add(z, e.exp(e.neg(z)))),
    cdf=lambda z: e.exp(e.neg(e.exp(e.neg(z)))),
    sf=lambda z: e.neg(e.expm1(e.neg(e.exp(e.neg(z))))),
    logcdf=lambda z: e.neg(e.exp(e.neg(z))),
    logsf=lambda z: _log1mexp(e.exp(e.neg(z))),
    ppf=lambda q: e.neg(e.log(e.neg(e.log(q)))),
    isf=lambda q: e.neg(e.log(e.neg(e.log1p(e.neg(q))))),
)

gumbel_l = Continuous(
    "gumbel_l",
    "the law of the smallest of many (left-skewed Gumbel).",
    logpdf=lambda z: e.sub(z, e.exp(z)),
    cdf=lambda z: e.neg(e.expm1(e.neg(e.exp(z)))),
    sf=lambda z: e.exp(e.neg(e.exp(z))),
    logcdf=lambda z: _log1mexp(e.exp(z)),
    logsf=lambda z: e.neg(e.exp(z)),
    ppf=lambda q: e.log(e.neg(e.log1p(e.neg(q)))),
    isf=lambda q: e.log(e.neg(e.log(q))),
)

weibull_min = Continuous(
    "weibull_min",
    "the Weibull law of shape c.",
    ("c",),
    logpdf=lambda z, c: e.sub(e.add(e.log(c), f.xlogy(e.sub(c, 1), z)), e.pow(z, c)),
    cdf=lambda z, c: e.neg(e.expm1(e.neg(e.pow(z, c)))),
    sf=lambda z, c: e.exp(e.neg(e.pow(z, c))),
    logsf=lambda z, c: e.neg(e.pow(z, c)),
    ppf=lambda q, c: e.pow(e.neg(e.log1p(e.neg(q))), e.reciprocal(c)),
    isf=lambda q, c: e.pow(e.neg(e.log(q)), e.reciprocal(c)),
    inside=_positive,
    centre=1.0,
    below=lambda z, c: e.le(z, 0),
)

# ------------------------------------------------------------------ gamma, beta and power laws

gamma = Continuous(
    "gamma",
    "the gamma law of shape a.",
    ("a",),
    logpdf=lambda z, a: e.sub(e.sub(f.xlogy(e.sub(a, 1), z), z), e.lgamma(a)),
    cdf=lambda z, a: f.igamma(a, z),
    sf=lambda z, a: f.igammac(a, z),
    inside=_not_negative,
    centre=1.0,
)

chi2 = Continuous(
    "chi2",
    "the sum of squares of df standard normal variables.",
    ("df",),
    logpdf=lambda z, df: e.sub(
        e.sub(f.xlogy(e.sub(e.mul(df, 0.5), 1), z), e.mul(z, 0.5)),
        e.add(e.lgamma(e.mul(df, 0.5)), e.mul(df, 0.5 * _LOG_TWO)),
    ),
    cdf=lambda z, df: f.igamma(e.mul(df, 0.5), e.mul(z, 0.5)),
    sf=lambda z, df: f.igammac(e.mul(df, 0.5), e.mul(z, 0.5)),
    inside=_not_negative,
    centre=1.0,
)

beta = Continuous(
    "beta",
    "the beta law of shapes a and b on [0, 1].",
    ("a", "b"),
    logpdf=lambda z, a, b: e.sub(e.add(f.xlogy(e.sub(a, 1), z), f.xlog1py(e.sub(b, 1), e.neg(z))), f.log_beta(a, b)),
    cdf=lambda z, a, b: f.betainc(a, b, z),
    sf=lambda z, a, b: f.betainc(b, a, e.sub(1, z)),
    inside=lambda z, a, b: e.logical_and(e.ge(z, 0), e.le(z, 1)),
    centre=0.5,
)

uniform = Continuous(
    "uniform",
    "the uniform law on [loc, loc + scale].",
    logpdf=lambda z: e.mul(z, 0),
    cdf=lambda z: z,
    sf=lambda z: e.sub(1, z),
    ppf=lambda q: pick(e.logical_and(e.ge(q, 0), e.le(q, 1)), q, e.fill_like(q, np.nan)),
    inside=lambda z: e.logical_and(e.ge(z, 0), e.le(z, 1)),
    centre=0.5,
)

pareto = Continuous(
    "pareto",
    "the power law of exponent b on [1, inf).",
    ("b",),
    logpdf=lambda z, b: e.sub(e.log(b), e.mul(e.add(b, 1), e.log(z))),
    cdf=lambda z, b: e.neg(e.expm1(e.neg(e.mul(b, e.log(z))))),
    sf=lambda z, b: e.pow(z, e.neg(b)),
    logcdf=lambda z, b: e.log(e.neg(e.expm1(e.neg(e.mul(b, e.log(z)))))),
    logsf=lambda z, b: e.neg(e.mul(b, e.log(z))),
    ppf=lambda q, b: e.pow(e.sub(1, q), e.neg(e.reciprocal(b))),
    isf=lambda q, b: e.pow(q, e.neg(e.reciprocal(b))),
    inside=lambda z, b: e.ge(z, 1),
    centre=2.0,
    below=lambda z, b: e.lt(z, 1),
)

# ------------------------------------------------------------------ laws on the circle

vonmises = Continuous(
    "vonmises",
    "the von Mises law of concentration kappa on the circle.",
    ("kappa",),
    logpdf=lambda z, kappa: e.sub(e.mul(kappa, e.sub(e.cos(z), 1)), e.log(e.mul(f.bessel_i0e(kappa), 2 * math.pi))),
)

wrapcauchy = Continuous(
    "wrapcauchy",
    "the Cauchy law wrapped around the circle, of concentration c, on [0, 2 pi].",
    ("c",),
    logpdf=lambda z, c: e.log(
        e.div(
            e.sub(1, e.square(c)),
            e.mul(e.sub(e.add(e.square(c), 1), e.mul(e.mul(c, 2), e.cos(z))), 2 * math.pi),
        )
    ),
    inside=lambda z, c: e.logical_and(e.ge(z, 0), e.le(z, 2 * math.pi)),
    centre=1.0,
)
