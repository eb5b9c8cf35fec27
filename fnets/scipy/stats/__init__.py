"""`fnets.scipy.stats`: distributions and statistics, as `jax.scipy.stats`. Names only.

A distribution is a namespace of functions: `norm.logpdf(x, loc, scale)`, `poisson.pmf(k, mu)`. Continuous ones have logpdf and pdf and, where there is a
closed form, cdf, sf, their logarithms, and the inverses ppf and isf; discrete ones logpmf, pmf, and cdf and sf.

>>> import numpy as np
>>> norm.logpdf(np.array([0.0]), 0.0, 2.0).round(6)
array([-1.612086])
"""

from fnets.scipy.stats.continuous import (
    beta,
    cauchy,
    chi2,
    expon,
    gamma,
    gennorm,
    gumbel_l,
    gumbel_r,
    halfnorm,
    laplace,
    logistic,
    lognorm,
    norm,
    pareto,
    t,
    truncnorm,
    uniform,
    vonmises,
    weibull_min,
    wrapcauchy,
)
from fnets.scipy.stats.discrete import bernoulli, betabinom, binom, geom, nbinom, poisson
from fnets.scipy.stats.kde import gaussian_kde
from fnets.scipy.stats.multivariate import dirichlet, multinomial, multivariate_normal
from fnets.scipy.stats.samples import ModeResult, mode, rankdata, sem

__all__ = [
    "ModeResult", "bernoulli", "beta", "betabinom", "binom", "cauchy", "chi2", "dirichlet", "expon", "gamma", "gaussian_kde", "gennorm", "geom",
    "gumbel_l", "gumbel_r", "halfnorm", "laplace", "logistic", "lognorm", "mode", "multinomial", "multivariate_normal", "nbinom", "norm",
    "pareto", "poisson", "rankdata", "sem", "t", "truncnorm", "uniform", "vonmises", "weibull_min", "wrapcauchy",
]  # fmt: skip
