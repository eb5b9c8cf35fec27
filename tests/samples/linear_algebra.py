"""Samples of fnets/primitives/linear_algebra.py."""

from __future__ import annotations

import numpy as np
from harness import Sample, integers, normal

from fnets.primitives import linear_algebra as la


def product(a, b, contract, batch=((), ()), **options) -> Sample:
    return Sample(la.dot_general_p, a, b, dimension_numbers=(contract, batch), **options)


SAMPLES = [
    product(normal(2, 3), normal(3, 4), ((1,), (0,))),
    product(normal(3, 2), normal(3, 4), ((0,), (0,)), name="tn"),
    product(normal(2, 3), normal(4, 3), ((1,), (1,)), name="nt"),
    product(normal(3, 2), normal(4, 3), ((0,), (1,)), name="tt"),
    product(normal(3), normal(3), ((0,), (0,))),
    product(normal(2, 3), normal(3), ((1,), (0,))),
    product(normal(3), normal(3, 2), ((0,), (0,))),
    product(normal(2), normal(3), ((), ()), name="outer"),
    product(normal(), normal(2, 3), ((), ()), name="scalar"),
    product(normal(2, 3, 4), normal(4, 5), ((2,), (0,))),
    product(normal(2, 3, 4), normal(4, 2, 5), ((0, 2), (1, 0)), name="two"),
    product(normal(4, 3, 2), normal(2, 3, 5), ((2, 1), (0, 1)), name="two_reversed"),
    product(normal(2, 3), normal(3, 2), ((0, 1), (1, 0)), name="full"),
    product(normal(5, 2, 3), normal(5, 3, 4), ((2,), (1,)), ((0,), (0,)), name="batched"),
    product(normal(2, 5, 3), normal(3, 4, 5), ((2,), (0,)), ((1,), (2,)), name="batch_inside"),
    product(normal(5, 2), normal(5, 3), ((), ()), ((0,), (0,)), name="batched_outer"),
    product(normal(5, 2), normal(5, 2), ((1,), (1,)), ((0,), (0,)), name="batched_vectors"),
    product(normal(5, 2), normal(5, 2), ((), ()), ((0, 1), (0, 1)), name="elementwise"),
    product(normal(2, 3, 4, 5), normal(3, 2, 5, 6), ((3,), (2,)), ((0, 1), (1, 0)), name="two_batches"),
    product(normal(2, 3, 4, 2), normal(2, 4, 3, 2), ((1, 2), (2, 1)), ((0,), (0,)), name="batch_two"),
    product(normal(2, 3, 4), normal(2, 5, 4), ((0, 2), (0, 2)), name="summed_not"),
    product(normal(2, 3, 9), normal(2, 2, 9), ((0, 2), (0, 2)), name="summed"),
    product(normal(2, 3, 9) > 0.5, normal(2, 2, 9) > 0.5, ((0, 2), (0, 2)), name="summed_bool"),
    product(
        integers(-9, 9, 2, 3, 9).astype(np.int8),
        integers(-9, 9, 2, 2, 9).astype(np.int8),
        ((0, 2), (0, 2)),
        name="summed_int8",
    ),
    product(normal(2, 9), normal(2, 2, 9), ((0, 1), (0, 2)), name="summed_vector"),
    product(normal(3, 2), normal(5, 2, 4), ((1,), (1,)), name="inside"),
    product(normal(3, 2), normal(5, 6, 2, 4), ((1,), (2,)), name="inside_two"),
    product(normal(2), normal(5, 2, 4), ((0,), (1,)), name="inside_vector"),
    product(normal(5, 2, 4), normal(2, 3), ((1,), (0,)), name="inside_lhs"),
    product(normal(5, 2, 4), normal(5, 3, 2), ((1,), (2,)), name="inside_both"),
    product(normal(1, 1), normal(1, 1), ((1,), (0,)), name="ones"),
    product(normal(2, 0), normal(0, 3), ((1,), (0,)), name="empty_sum"),
    product(normal(0, 2), normal(2, 3), ((1,), (0,)), name="empty"),
    product(integers(-5, 5, 2, 3).astype(np.int8), integers(-5, 5, 3, 2).astype(np.int8), ((1,), (0,)), name="int8"),
    product(normal(2, 3) > 0, normal(3, 2) > 0, ((1,), (0,)), name="bool"),
    product(normal(5, 2, 3) > 0, normal(5, 3, 2) > 0, ((2,), (1,)), ((0,), (0,)), name="bool_batched"),
    product(normal(2) > 0, normal(3) > 0, ((), ()), name="bool_outer"),
    product(integers(-5, 5, 2, 3), normal(3, 2), ((1,), (0,)), name="int_float"),
    product(normal(2, 3).astype(np.float32), normal(3, 2), ((1,), (0,)), wrt=(1,), name="mixed"),
    product(normal(2, 3) + 1j * normal(2, 3), normal(3, 2) + 1j * normal(3, 2), ((1,), (0,)), name="complex"),
    product(normal(2, 3), normal(3, 2) + 1j * normal(3, 2), ((1,), (0,)), name="real_complex"),
]
