"""Samples of fnets/primitives/random_samplers.py."""

from __future__ import annotations

import numpy as np
from harness import Sample, normal, uniform

from fnets.primitives import random_samplers as r

KEY = np.array([3, 7], np.uint32)
KEYS = np.array([[3, 7], [5, 9], [0, 1]], np.uint32)
PHILOX = np.array([3, 7, 1, 2], np.uint32)
PHILOXES = np.array([[3, 7, 1, 2], [0, 0, 0, 9]], np.uint32)
F16, F32, F64 = (np.dtype(f"float{n}") for n in (16, 32, 64))
I64 = np.dtype("int64")
DRAWS = (r.random_uniform_p, r.random_normal_p)


def covariance(*shape: int) -> np.ndarray:
    """Symmetric matrices with eigenvalues above 1."""
    a = normal(*shape)
    return a @ a.swapaxes(-1, -2) + np.eye(shape[-1])


# gamma's derivative is implicit, not that of the algorithm that draws: tests/test_random.py checks it
SAMPLES = [
    *[Sample(p, k, shape=(4,), dtype=d) for p in DRAWS for d in (F16, F32, F64) for k in (KEY, PHILOX)],
    *[Sample(p, k, shape=(2, 3), dtype=F32) for p in DRAWS for k in (KEYS, PHILOXES)],
    *[Sample(p, KEY, shape=(), dtype=F32) for p in DRAWS],
    *[Sample(p, k, shape=(0, 2), dtype=F64) for p in DRAWS for k in (KEY, PHILOX)],
    *[
        Sample(r.random_uniform_p, KEY, shape=(3,), dtype=d, low=-2.0, high=7.25, name="scaled")
        for d in (F16, F32, F64)
    ],
    *[Sample(r.philox_bits_p, PHILOX, shape=(3, 3), width=w) for w in (8, 16, 32, 64)],
    Sample(r.philox_bits_p, PHILOXES, shape=(), width=32),
    Sample(r.random_order_p, KEY, shape=(7,), axis=0),
    Sample(r.random_order_p, KEYS, shape=(3, 4), axis=1),
    Sample(r.random_order_p, PHILOXES, shape=(3, 4), axis=0),
    Sample(r.random_order_p, KEY, shape=(1,), axis=0),
    Sample(r.random_order_p, KEY, shape=(0,), axis=0),
    *[
        Sample(r.random_gamma_p, k, a, wrt=(), log_space=log, name="log" if log else "")
        for k, a in (
            (KEY, np.array([0.3, 1.0, 5.0])),
            (KEYS, uniform(0.1, 3.0, 3, 2)),
            (KEY, np.float64(0.5)),
            (KEY, np.zeros((0, 2))),
            (PHILOX, np.array([0.3, 1.0, 5.0])),
        )
        for log in (False, True)
    ],
    Sample(r.random_gamma_grad_p, np.array([0.5, 3.0]), np.array([[0.2, 2.0], [1.0, 9.0]]), wrt=()),
    *[
        Sample(r.random_poisson_p, k, lam, dtype=I64)
        for k, lam in (
            (KEY, np.array([0.0, 0.5, 3.0, 20.0, 300.0], np.float32)),
            (KEYS, np.array([[1, 12], [12, 2], [30, 40]], np.float32)),
            (KEY, np.zeros(0, np.float32)),
            (PHILOX, np.array([0.0, 4.0, 40.0], np.float32)),
        )
    ],
    *[
        Sample(r.random_binomial_p, k, n, p, dtype=F64)
        for k, n, p in (
            (KEY, np.array([5.0, 100.0, 1000.0, 0.0, 7.0]), np.array([0.5, 0.5, 0.9, 0.4, 0.0])),
            (KEYS, np.full((3, 2), 60.0), uniform(0.1, 0.9, 3, 2)),
            (PHILOX, np.array([5.0, 100.0]), np.array([0.5, 0.5])),
        )
    ],
    Sample(r.haar_p, normal(3, 2)),
    Sample(r.haar_p, normal(2, 2, 2)),
    Sample(r.covariance_factor_p, covariance(3, 3), method="cholesky"),
    Sample(r.covariance_factor_p, covariance(2, 2, 2), method="cholesky"),
    *[Sample(r.covariance_factor_p, covariance(3, 3), wrt=(), method=m, name=m) for m in ("eigh", "svd")],
    Sample(r.lower_inverse_p, np.linalg.cholesky(covariance(2, 3, 3))),
]
SAMPLES += [
    Sample(r.random_integers_p, k, shape=shape, dtype=np.dtype(d), low=low, span=span)
    for k in (KEY, KEYS, PHILOX)
    for shape in ((5,), (), (0,), (100,))
    for d, low, span in (("int32", -3, 10), ("int64", 5, 8), ("uint64", 0, 2**50 + 1), ("uint32", 0, 0))
]
