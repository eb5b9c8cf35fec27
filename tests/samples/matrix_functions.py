"""Samples of fnets/primitives/matrix_functions.py."""

from __future__ import annotations

import numpy as np
from harness import Sample, normal

from fnets.primitives import matrix_functions as f
from samples.solvers import complex_normal, regular

SAMPLES = [
    Sample(f.expm_p, normal(3, 3)),
    Sample(f.expm_p, 5 * normal(2, 3, 3), name="squared", tol=1e-5, order=1),
    Sample(f.expm_p, complex_normal(2, 2), name="complex"),
    Sample(f.expm_p, np.array([[0.0, 1.0], [0.0, 0.0]]), name="nilpotent"),
    Sample(f.expm_p, np.zeros((0, 0)), name="empty"),
    Sample(f.sylvester_p, regular(3, 3), regular(2, 2), normal(3, 2)),
    Sample(f.sylvester_p, regular(2, 3, 3), regular(2, 2), normal(2, 3, 2), name="broadcast"),
    Sample(f.sylvester_p, complex_normal(2, 2), regular(2, 2), complex_normal(2, 2), name="complex"),
    Sample(f.sylvester_p, np.zeros((0, 0)), regular(2, 2), np.zeros((0, 2)), name="empty"),
    Sample(f.sqrtm_p, regular(3, 3)),
    Sample(f.sqrtm_p, np.eye(3) + 0.1 * normal(2, 3, 3), name="batch"),
    Sample(f.sqrtm_p, regular(2, 2) + 1j * normal(2, 2), name="complex"),
    Sample(f.polar_p, normal(3, 3)),
    Sample(f.polar_p, normal(2, 4, 3), name="tall"),
    Sample(f.polar_p, complex_normal(4, 2), name="complex"),
    Sample(f.polar_p, np.eye(3), name="identity"),
]
