"""Samples of fnets/primitives/sort.py."""

from __future__ import annotations

import numpy as np
from harness import Sample, integers, normal

from fnets.primitives import sort as s

NANS = np.array([[2.0, np.nan, -1.0, 2.0], [np.nan, -np.inf, np.inf, 0.0]])
TIES = integers(0, 3, 4, 7)
SORTED = np.array([-1.0, 0.0, 0.0, 0.5, 2.0])

SAMPLES = [
    Sample(s.sort_p, normal(7), dimension=0),
    Sample(s.sort_p, normal(3, 4, 5), dimension=1),
    Sample(s.sort_p, normal(3, 1), dimension=1),
    Sample(s.sort_p, normal(2, 0), dimension=1),
    Sample(s.sort_p, TIES, dimension=1),
    Sample(s.sort_p, normal(2, 3) + 1j * normal(2, 3), dimension=1),
    Sample(s.argsort_p, NANS, dimension=1, is_stable=True),
    Sample(s.argsort_p, TIES, dimension=0, is_stable=True),
    Sample(s.argsort_p, normal(5), dimension=0, is_stable=False),
    Sample(s.lexsort_p, TIES, normal(4, 7), dimension=1),
    Sample(s.lexsort_p, integers(0, 2, 5), integers(0, 2, 5), normal(5), dimension=0),
    Sample(s.top_k_indices_p, NANS, k=3),
    Sample(s.top_k_indices_p, TIES, k=7),
    Sample(s.top_k_indices_p, integers(0, 20, 2, 300), k=9),
    Sample(s.top_k_indices_p, normal(300), k=0),
    *[
        Sample(s.searchsorted_p, SORTED, np.array([[0.0, 3.0], [-2.0, np.nan]]), side=side, batch_ndim=0)
        for side in ("left", "right")
    ],
    *[
        Sample(s.searchsorted_p, np.sort(integers(0, 5, 3, 6)), integers(-1, 6, 3, 2, 2), side=side, batch_ndim=1)
        for side in ("left", "right")
    ],
    Sample(s.searchsorted_p, np.zeros((3, 0)), normal(3, 2), side="left", batch_ndim=1),
]
