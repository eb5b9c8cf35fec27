"""Samples of fnets/primitives/solvers.py."""

from __future__ import annotations

import numpy as np
from harness import Sample, normal

from fnets.primitives import solvers as s


def regular(*shape: int) -> np.ndarray:
    """Well-conditioned square matrices."""
    return normal(*shape) + 2 * shape[-1] * np.eye(shape[-1])


def complex_normal(*shape: int) -> np.ndarray:
    return normal(*shape) + 1j * normal(*shape)


def regular_complex(*shape: int) -> np.ndarray:
    return regular(*shape) + 1j * normal(*shape)


def triangular(a, b, lower=False, transpose_a=False, unit_diagonal=False, **options) -> Sample:
    return Sample(
        s.triangular_solve_p, a, b, lower=lower, transpose_a=transpose_a, unit_diagonal=unit_diagonal, **options
    )


def singular(n: int, rank: int) -> np.ndarray:
    return normal(n, rank) @ normal(rank, n)


def tridiagonal(*operands, **options) -> Sample:
    return Sample(s.tridiagonal_solve_p, *operands, perturb_singular=False, **options)


SAMPLES = [
    Sample(s.solve_p, regular(3, 3), normal(3, 2)),
    Sample(s.solve_p, regular(2, 3, 3), normal(3, 2), name="shared_b"),
    Sample(s.solve_p, regular(3, 3), normal(4, 2, 3, 1), name="shared_a"),
    Sample(s.solve_p, regular(2, 1, 3, 3), normal(4, 3, 2), name="broadcast"),
    Sample(s.solve_p, regular_complex(3, 3), complex_normal(3, 2), name="complex"),
    Sample(s.solve_p, regular(3, 3), complex_normal(3, 2), name="mixed"),
    Sample(s.solve_p, regular(3, 3).astype(np.float32), normal(3, 2), wrt=(1,), name="precisions"),
    Sample(s.solve_p, regular(1, 1), normal(1, 1), name="one"),
    Sample(s.solve_p, np.zeros((2, 0, 0)), np.zeros((0, 3)), name="empty"),
    *[
        triangular(regular(3, 3), normal(3, 2), lower, transpose, unit, name=f"{lower}{transpose}{unit}")
        for lower in (False, True)
        for transpose in (False, True)
        for unit in (False, True)
    ],
    triangular(regular(70, 70), normal(70, 2), True, name="blocks", order=1),
    triangular(regular(2, 3, 3), normal(3, 2), True, name="shared_b"),
    triangular(regular(3, 3), normal(2, 3, 2), name="shared_a"),
    triangular(regular_complex(2, 3, 3), complex_normal(2, 3, 2), True, True, name="complex"),
    triangular(np.zeros((0, 0)), np.zeros((0, 2)), name="empty"),
    Sample(s.inv_p, regular(3, 3)),
    Sample(s.inv_p, regular(2, 3, 3), name="batch"),
    Sample(s.inv_p, regular_complex(3, 3), name="complex"),
    Sample(s.det_p, normal(3, 3)),
    Sample(s.det_p, normal(1, 1), name="one"),
    Sample(s.det_p, np.zeros((0, 0)), name="empty"),
    Sample(s.det_p, normal(2, 4, 4), name="batch"),
    Sample(s.det_p, complex_normal(3, 3), name="complex"),
    Sample(s.det_p, singular(4, 3), order=1, name="corank1"),
    Sample(s.det_p, singular(4, 2), order=1, name="corank2"),
    Sample(s.adjugate_p, normal(3, 3)),
    Sample(s.adjugate_p, complex_normal(2, 3, 3), name="complex"),
    Sample(s.slogdet_p, normal(3, 3)),
    Sample(s.slogdet_p, -regular(2, 3, 3), name="negative"),
    Sample(s.slogdet_p, complex_normal(2, 3, 3), name="complex"),
    *[
        Sample(s.pinv_p, normal(*shape), np.float64(1e-10), wrt=(0,), hermitian=False)
        for shape in ((3, 3), (5, 3), (2, 3, 5), (3, 1), (0, 3))
    ],
    Sample(s.pinv_p, complex_normal(4, 3), np.float64(1e-10), wrt=(0,), hermitian=False, name="complex"),
    Sample(s.pinv_p, normal(2, 4, 3), np.array([1e-10, 1e-9]), wrt=(0,), hermitian=False, name="tolerances"),
    tridiagonal(normal(4), normal(4) + 5, normal(4), normal(4, 2)),
    tridiagonal(normal(4) + 5, normal(4), normal(4), normal(4, 1), name="pivots"),
    tridiagonal(normal(2, 4), normal(4) + 5, normal(1, 4), normal(3, 1, 4, 2), name="broadcast"),
    tridiagonal(complex_normal(3), normal(3) + 5, normal(3), normal(3, 2), name="complex"),
    tridiagonal(normal(1), normal(1), normal(1), normal(1, 2), name="one"),
]
