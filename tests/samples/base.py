"""Samples of fnets/primitives/base.py."""

from __future__ import annotations

import numpy as np
from harness import Sample, integers, normal

from fnets.primitives import base as b

SAMPLES = [
    Sample(b.convert_element_type_p, normal(2, 3), new_dtype=np.dtype("float32"), order=1, wrt=()),
    Sample(b.convert_element_type_p, normal(2, 3).astype(np.float32), new_dtype=np.dtype("float64"), wrt=()),
    Sample(b.convert_element_type_p, normal(2, 3), new_dtype=np.dtype("complex128")),
    Sample(b.convert_element_type_p, integers(0, 5, 3), new_dtype=np.dtype("float64")),
    Sample(b.convert_element_type_p, 1.5, new_dtype=np.dtype("float64"), name="weak"),
    Sample(b.reshape_p, normal(2, 3), new_sizes=(3, 2)),
    Sample(b.reshape_p, normal(4), new_sizes=(2, 1, 2)),
    Sample(b.transpose_p, normal(2, 3, 4), permutation=(2, 0, 1)),
    Sample(b.broadcast_to_p, normal(3), shape=(2, 3)),
    Sample(b.broadcast_to_p, normal(2, 1, 3), shape=(4, 2, 5, 3)),
    Sample(b.reduce_sum_p, normal(2, 3, 4), axes=(0, 2)),
    Sample(b.reduce_sum_p, normal(2, 3), axes=(1,)),
    Sample(b.reduce_sum_p, integers(0, 9, 2, 3).astype(np.int8), axes=(0,)),
]
