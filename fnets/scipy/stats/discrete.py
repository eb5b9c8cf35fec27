"""Laws on integers, with the functions that `scipy.stats` gives them. May import base, primitives, core."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fnets.core.trace import dtype_of
from fnets.numpy import reductions as r
from fnets.numpy.arguments import to_inexact
from fnets.primitives import elementwise as e
from fnets.primitives import special_functions as f
from fnets.primitives.shape import expand_dims
from fnets.scipy.stats.base import Discrete, pick

__all__ = ["bernoulli", "betabinom", "binom", "geom", "nbinom", "poisson"]


def _not_negative(k: Any, *shapes: Any) -> Any:
    return e.ge(k, 0)


def _up_to_n(k: Any, n: Any, *shapes: Any) -> Any:
    return e.logical_and(e.ge(k, 0), e.le(k, n))


def _log_choose(n: Any, k: Any) -> Any:
    return e.sub(e.lgamma(e.add(n, 1)), e.add(e.lgamma(e.add(k, 1)), e.lgamma(e.add(e.sub(n, k), 1))))


bernoulli = Discrete(
    "bernoulli",
    "a variable that is 1 with probability p, and else 0.",
    ("p",),
    logpmf=lambda k, p: e.add(f.xlogy(k, p), f.xlog1py(e.sub(1, k), e.neg(p))),
    inside=lambda k, p: e.logical_or(e.eq(k, 0), e.eq(k, 1)),
    cdf=lambda k, p: pick(e.ge(k, 1), e.add(e.mul(p, 0), 1), e.sub(1, p)),
    top=lambda p: e.add(e.mul(p, 0), 1),
    ppf=lambda q, p: pick(
        e.logical_and(e.ge(q, 0), e.le(q, 1)),
        pick(e.eq(q, 0), e.fill_like(q, -1), pick(e.le(q, e.sub(1, p)), e.fill_like(q, 0), e.fill_like(q, 1))),
        e.fill_like(q, np.nan),
    ),
)

binom = Discrete(
    "binom",
    "the number of successes in n trials of probability p.",
    ("n", "p"),
    logpmf=lambda k, n, p: e.add(_log_choose(n, k), e.add(f.xlogy(k, p), f.xlog1py(e.sub(n, k), e.neg(p)))),
    inside=_up_to_n,
    cdf=lambda k, n, p: f.betainc(e.sub(n, k), e.add(k, 1), e.sub(1, p)),
    sf=lambda k, n, p: f.betainc(e.add(k, 1), e.sub(n, k), p),
    top=lambda n, p: n,
)

nbinom = Discrete(
    "nbinom",
    "the number of failures before the n-th success, of probability p.",
    ("n", "p"),
    logpmf=lambda k, n, p: e.add(
        e.sub(e.lgamma(e.add(k, n)), e.add(e.lgamma(n), e.lgamma(e.add(k, 1)))),
        e.add(f.xlogy(n, p), f.xlog1py(k, e.neg(p))),
    ),
    inside=_not_negative,
    cdf=lambda k, n, p: f.betainc(n, e.add(k, 1), p),
    sf=lambda k, n, p: f.betainc(e.add(k, 1), n, e.sub(1, p)),
)

geom = Discrete(
    "geom",
    "the number of trials up to the first success, of probability p.",
    ("p",),
    logpmf=lambda k, p: e.add(f.xlog1py(e.sub(k, 1), e.neg(p)), e.log(p)),
    inside=lambda k, p: e.ge(k, 1),
    cdf=lambda k, p: e.neg(e.expm1(f.xlog1py(k, e.neg(p)))),
    sf=lambda k, p: e.exp(f.xlog1py(k, e.neg(p))),
    centre=1.0,
)

betabinom = Discrete(
    "betabinom",
    "the number of successes in n trials whose probability has the beta law of shapes a and b.",
    ("n", "a", "b"),
    logpmf=lambda k, n, a, b: e.add(
        _log_choose(n, k), e.sub(f.log_beta(e.add(k, a), e.add(e.sub(n, k), b)), f.log_beta(a, b))
    ),
    inside=_up_to_n,
)

poisson = Discrete(
    "poisson",
    "the Poisson law of mean mu.",
    ("mu",),
    logpmf=lambda k, mu: e.sub(e.sub(f.xlogy(k, mu), e.lgamma(e.add(k, 1))), mu),
    inside=_not_negative,
    cdf=lambda k, mu: f.igammac(e.add(k, 1), mu),
    sf=lambda k, mu: f.igamma(e.add(k, 1), mu),
)


def _poisson_entropy(mu: Any, loc: Any = 0) -> Any:
    """Entropy of the Poisson law of mean mu: the sum over its values up to 200 for a mean below 100, an expansion in 1 / mu from there on.

    >>> poisson.entropy(np.array([1.0])).round(6)
    array([1.304842])
    """
    mu = to_inexact(mu)
    small = e.lt(mu, 100)
    inner = expand_dims(pick(small, mu, e.fill_like(mu, 1)), -1)
    k = np.arange(200, dtype=dtype_of(mu))
    log_mass = e.sub(e.sub(f.xlogy(k, inner), e.lgamma(k + 1)), inner)
    direct = e.neg(r.sum(e.mul(e.exp(log_mass), log_mass), -1))
    outer = pick(small, e.fill_like(mu, 100), mu)
    x = e.reciprocal(outer)
    series = e.mul(x, e.add(1 / 12, e.mul(x, e.add(1 / 24, e.mul(x, 19 / 360)))))
    return pick(small, direct, e.sub(e.mul(e.log(e.mul(outer, 2 * math.pi * math.e)), 0.5), series))


poisson.entropy = _poisson_entropy  # type: ignore[attr-defined]
