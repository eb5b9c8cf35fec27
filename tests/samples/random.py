"""Samples of fnets/primitives/random.py."""

from __future__ import annotations

import numpy as np
from harness import Sample

from fnets.primitives import random as r

KEY = np.array([3, 7], np.uint32)
KEYS = np.array([[3, 7], [5, 9], [0, 1]], np.uint32)

SAMPLES = [
    Sample(r.random_seed_p, np.int64(3)),
    Sample(r.random_seed_p, 3, name="weak", batch=()),
    Sample(r.random_split_p, KEY, shape=(2,)),
    Sample(r.random_split_p, KEYS, shape=(2, 3)),
    Sample(r.random_fold_in_p, KEY, np.uint32(5)),
    Sample(r.random_fold_in_p, KEY, 5, name="weak", batch=(0,)),
    *[Sample(r.random_bits_p, KEY, shape=(4,), width=w) for w in (8, 16, 32, 64)],
    Sample(r.random_bits_p, KEYS, shape=(2, 2), width=32),
]
