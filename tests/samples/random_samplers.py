"""Samples of fnets/primitives/random_samplers.py."""

from __future__ import annotations

import numpy as np
from harness import Sample, normal

from fnets.primitives import random_samplers as r

KEY = np.array([3, 7], np.uint32)
KEYS = np.array([[3, 7], [5, 9], [0, 1]], np.uint32)
F16, F32, F64 = (np.dtype(f"float{n}") for n in (16, 32, 64))

SAMPLES = [
    *[Sample(p, KEY, shape=(4,), dtype=d) for p in (r.random_uniform_p, r.random_normal_p) for d in (F16, F32, F64)],
    *[Sample(p, KEYS, shape=(2, 3), dtype=F32) for p in (r.random_uniform_p, r.random_normal_p)],
    *[Sample(p, KEY, shape=(), dtype=F32) for p in (r.random_uniform_p, r.random_normal_p)],
    *[Sample(p, KEY, shape=(0, 2), dtype=F64) for p in (r.random_uniform_p, r.random_normal_p)],
    Sample(r.random_order_p, KEY, shape=(7,), axis=0),
    Sample(r.random_order_p, KEYS, shape=(3, 4), axis=1),
    Sample(r.random_order_p, KEY, shape=(1,), axis=0),
    Sample(r.random_order_p, KEY, shape=(0,), axis=0),
    Sample(r.haar_p, normal(3, 2)),
    Sample(r.haar_p, normal(2, 2, 2)),
]
