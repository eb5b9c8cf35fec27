"""Random numbers from explicit keys, with the names, signatures and, for the default keys, the numbers of `jax.random`.

A key is a plain uint32 array of shape (2,). Every function is pure: the same key gives the same numbers, and `split` makes new keys.
Lives here: names only. May import primitives and core.

>>> from fnets import random
>>> key = random.key(0)
>>> key, sub = random.split(key)
>>> random.normal(sub, (2, 3)).shape
(2, 3)
"""

from fnets.errors import KeyReuseError, SeedOverflowError
from fnets.random.basic import bernoulli, bits, normal, rademacher, randint, truncated_normal, uniform
from fnets.random.continuous import (
    cauchy,
    double_sided_maxwell,
    exponential,
    gumbel,
    laplace,
    logistic,
    lognormal,
    maxwell,
    pareto,
    rayleigh,
    triangular,
    wald,
    weibull_min,
)
from fnets.random.counts import binomial, geometric, multinomial, poisson
from fnets.random.gammas import ball, beta, chisquare, dirichlet, f, gamma, generalized_normal, loggamma, t
from fnets.random.keys import PRNGKey, clone, fold_in, key, key_data, key_impl, split, wrap_key_data
from fnets.random.matrices import multivariate_normal, orthogonal
from fnets.random.orders import categorical, choice, permutation
from fnets.random.reuse import check_key_reuse

__all__ = [
    "KeyReuseError",
    "PRNGKey",
    "SeedOverflowError",
    "ball",
    "bernoulli",
    "beta",
    "binomial",
    "bits",
    "categorical",
    "cauchy",
    "check_key_reuse",
    "chisquare",
    "choice",
    "clone",
    "dirichlet",
    "double_sided_maxwell",
    "exponential",
    "f",
    "fold_in",
    "gamma",
    "generalized_normal",
    "geometric",
    "gumbel",
    "key",
    "key_data",
    "key_impl",
    "laplace",
    "loggamma",
    "logistic",
    "lognormal",
    "maxwell",
    "multinomial",
    "multivariate_normal",
    "normal",
    "orthogonal",
    "pareto",
    "permutation",
    "poisson",
    "rademacher",
    "randint",
    "rayleigh",
    "split",
    "t",
    "triangular",
    "truncated_normal",
    "uniform",
    "wald",
    "weibull_min",
    "wrap_key_data",
]
