"""Samples of fnets/primitives/matrix_forms.py."""

from __future__ import annotations

import numpy as np
from harness import Sample, normal

from fnets.primitives import matrix_forms as f
from samples.solvers import complex_normal

SAMPLES = [
    Sample(f.hessenberg_p, normal(4, 4), wrt=()),
    Sample(f.hessenberg_p, complex_normal(2, 3, 3), wrt=(), name="complex"),
    Sample(f.hessenberg_p, np.triu(normal(4, 4)), wrt=(), name="nothing_to_do"),
    Sample(f.hessenberg_p, normal(1, 1), wrt=(), name="one"),
    Sample(f.hessenberg_p, np.zeros((0, 0)), wrt=(), name="empty"),
    Sample(f.column_order_p, normal(4, 3), wrt=()),
    Sample(f.column_order_p, complex_normal(2, 3, 5), wrt=(), name="wide"),
    Sample(f.permutation_of_swaps_p, np.array([2, 1, 2], np.int32), permutation_size=3),
    Sample(f.permutation_of_swaps_p, np.array([[3, 2], [0, 1]]), permutation_size=4, name="batch"),
    Sample(f.schur_p, normal(2, 3, 3), wrt=()),
    Sample(f.schur_p, normal(4, 4) + 1j * normal(4, 4), wrt=(), name="complex"),
]
