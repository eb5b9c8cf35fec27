"""Random numbers from explicit keys, with the names, signatures and, for the default keys, the numbers of `jax.random`.

A key is a plain uint32 array of shape (2,). Every function is pure: the same key gives the same numbers, and `split` makes new keys.
Lives here: names only. May import primitives and core.

>>> from fnets import random
>>> key = random.key(0)
>>> key, sub = random.split(key)
>>> random.normal(sub, (2, 3)).shape
(2, 3)
"""

from fnets.random.basic import bernoulli, bits, normal, randint, truncated_normal, uniform
from fnets.random.keys import PRNGKey, fold_in, key, key_data, split, wrap_key_data
from fnets.random.matrices import orthogonal
from fnets.random.orders import permutation

__all__ = [
    "PRNGKey",
    "bernoulli",
    "bits",
    "fold_in",
    "key",
    "key_data",
    "normal",
    "orthogonal",
    "permutation",
    "randint",
    "split",
    "truncated_normal",
    "uniform",
    "wrap_key_data",
]
