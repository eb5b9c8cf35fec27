"""Samples of fnets/primitives/decompositions.py.

The vectors of complex Hermitian matrices and complex singular vectors have a free phase, which LAPACK chooses as it likes; their derivatives are
checked in test_linalg.py on functions that do not depend on it.
"""

from __future__ import annotations

import numpy as np
from harness import Sample, normal

from fnets.primitives import decompositions as d
from samples.solvers import complex_normal, regular


def positive(*shape: int) -> np.ndarray:
    a = normal(*shape)
    return a @ a.swapaxes(-1, -2) + shape[-1] * np.eye(shape[-1])


def positive_complex(*shape: int) -> np.ndarray:
    a = complex_normal(*shape)
    return a @ a.swapaxes(-1, -2).conj() + shape[-1] * np.eye(shape[-1])


def eigh(a, lower=True, vectors=True, **options) -> Sample:
    return Sample(d.eigh_p, a, lower=lower, vectors=vectors, **options)


def svd(a, full_matrices=False, vectors=True, **options) -> Sample:
    return Sample(d.svd_p, a, full_matrices=full_matrices, vectors=vectors, **options)


def qr(a, full_matrices=False, **options) -> Sample:
    return Sample(d.qr_p, a, full_matrices=full_matrices, **options)


SAMPLES = [
    Sample(d.cholesky_p, positive(3, 3)),
    Sample(d.cholesky_p, positive(2, 3, 3), name="batch"),
    Sample(d.cholesky_p, np.tril(positive(3, 3)) + np.triu(normal(3, 3), 1), name="upper_ignored"),
    Sample(d.cholesky_p, positive_complex(3, 3), name="complex"),
    Sample(d.cholesky_p, np.array([[4.0]]), name="one"),
    Sample(d.cholesky_p, np.zeros((0, 0)), name="empty"),
    eigh(normal(3, 3)),
    eigh(normal(3, 3), False, name="upper"),
    eigh(normal(2, 4, 4), name="batch"),
    eigh(normal(2, 4, 4), vectors=False, name="values"),
    eigh(complex_normal(3, 3), vectors=False, name="complex_values"),
    eigh(complex_normal(3, 3), wrt=(), name="complex"),
    eigh(normal(1, 1), name="one"),
    eigh(np.zeros((0, 0)), name="empty"),
    Sample(d.eig_p, normal(3, 3) + np.diag([0.0, 3.0, 6.0]), vectors=True),
    Sample(d.eig_p, normal(2, 4, 4), vectors=True, name="batch"),
    Sample(d.eig_p, normal(2, 4, 4), vectors=False, name="values"),
    Sample(d.eig_p, complex_normal(3, 3), vectors=True, name="complex"),
    Sample(d.eig_p, complex_normal(3, 3), vectors=False, name="complex_values"),
    Sample(d.eig_p, np.array([[0.0, 1.0], [-1.0, 0.0]]) + 0.1 * normal(2, 2), vectors=True, name="rotation"),
    Sample(d.eig_p, np.zeros((0, 0)), vectors=True, name="empty"),
    svd(normal(3, 3)),
    svd(normal(4, 3), name="tall"),
    svd(normal(3, 5), name="wide"),
    svd(normal(2, 3, 4), name="batch"),
    svd(normal(4, 3), True, name="full_tall"),
    svd(normal(2, 3, 4), True, name="full_wide"),
    svd(normal(4, 3), vectors=False, name="values"),
    svd(complex_normal(4, 3), vectors=False, name="complex_values"),
    svd(complex_normal(4, 3), wrt=(), name="complex"),
    svd(complex_normal(3, 4), True, wrt=(), name="complex_full"),
    svd(normal(1, 1), name="one"),
    svd(np.zeros((0, 3)), name="empty"),
    qr(normal(3, 3)),
    qr(normal(5, 3), name="tall"),
    qr(normal(3, 5), name="wide"),
    qr(normal(2, 4, 3), name="batch"),
    qr(normal(4, 3), True, name="complete"),
    qr(normal(3, 5), True, name="complete_wide"),
    qr(complex_normal(4, 3), name="complex"),
    qr(complex_normal(3, 4), name="complex_wide"),
    qr(normal(3, 1), name="column"),
    qr(np.zeros((3, 0)), name="empty"),
    Sample(d.lu_p, normal(3, 3)),
    Sample(d.lu_p, regular(2, 3, 3), name="batch"),
    Sample(d.lu_p, normal(4, 2), name="tall"),
    Sample(d.lu_p, normal(2, 4), name="wide"),
    Sample(d.lu_p, complex_normal(3, 3), name="complex"),
    Sample(d.lu_p, normal(40, 36), order=1, name="panels"),
    Sample(d.lu_p, np.zeros((0, 0)), name="empty"),
]
