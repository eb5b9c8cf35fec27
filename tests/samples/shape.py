"""Samples of fnets/primitives/shape.py."""

from __future__ import annotations

import numpy as np
from harness import Sample, integers, normal

from fnets.primitives import shape as s

SAMPLES = [
    Sample(s.slice_p, normal(5, 4), start_indices=(1, 0), limit_indices=(4, 4), strides=None),
    Sample(s.slice_p, normal(7, 4), start_indices=(1, 0), limit_indices=(7, 3), strides=(2, 3), name="strided"),
    Sample(s.slice_p, normal(6), start_indices=(0,), limit_indices=(6,), strides=(4,), name="ragged"),
    Sample(s.slice_p, normal(3, 2), start_indices=(2, 0), limit_indices=(2, 2), strides=None, name="empty"),
    Sample(s.slice_p, integers(0, 9, 6), start_indices=(1,), limit_indices=(6,), strides=(2,), name="int"),
    Sample(s.pad_p, normal(2, 3), np.float64(0.0), padding_config=((1, 2, 0), (0, 1, 0)), name="plain"),
    Sample(s.pad_p, normal(2, 3), np.float64(1.5), padding_config=((1, 0, 1), (2, 1, 2)), name="interior"),
    Sample(s.pad_p, normal(4, 5), np.float64(1.5), padding_config=((-1, -2, 0), (-1, 2, 0)), name="crop"),
    Sample(s.pad_p, normal(4, 5), np.float64(1.5), padding_config=((-1, 1, 2), (-3, -4, 1)), name="crop_interior"),
    Sample(s.pad_p, normal(4), np.float64(1.5), padding_config=((-4, 2, 0),), name="crop_all"),
    Sample(s.pad_p, normal(4), np.float64(0.5), padding_config=((7, -9, 0),), name="crop_beyond"),
    Sample(s.pad_p, normal(0, 2), np.float64(0.5), padding_config=((1, 1, 3), (0, 0, 1)), name="empty"),
    Sample(s.pad_p, integers(0, 9, 3), np.int64(7), padding_config=((1, 1, 1),), name="int"),
    Sample(s.concatenate_p, normal(2, 3), normal(1, 3), normal(0, 3), dimension=0),
    Sample(s.concatenate_p, normal(2, 1), normal(2, 3), dimension=1),
    Sample(s.concatenate_p, normal(2), dimension=0, name="one"),
    Sample(s.concatenate_p, normal(2), normal(3) + 1j * normal(3), dimension=0, name="complex"),
    Sample(s.concatenate_p, normal(2), integers(0, 9, 3), dimension=0, name="mixed"),
    Sample(s.concatenate_p, integers(0, 9, 2), integers(0, 9, 3), dimension=0, name="int"),
    Sample(s.rev_p, normal(2, 3, 4), dimensions=(0, 2)),
    Sample(s.rev_p, normal(3), dimensions=(0,)),
    Sample(s.rev_p, integers(0, 9, 3), dimensions=(0,)),
    Sample(s.bitcast_convert_type_p, normal(2, 3), new_dtype=np.dtype("int64"), wrt=()),
    Sample(s.bitcast_convert_type_p, normal(2, 3), new_dtype=np.dtype("uint32"), wrt=(), name="narrow"),
    Sample(
        s.bitcast_convert_type_p,
        integers(0, 99, 3, 2).astype(np.int32),
        new_dtype=np.dtype("float64"),
        wrt=(),
        name="wide",
    ),
    Sample(s.reduce_precision_p, normal(2, 3), exponent_bits=11, mantissa_bits=52),
    Sample(s.reduce_precision_p, normal(2, 3), exponent_bits=5, mantissa_bits=10, wrt=(), name="half"),
    Sample(s.reduce_precision_p, np.float64(1.3), exponent_bits=8, mantissa_bits=7, wrt=(), name="scalar"),
    Sample(s.stop_gradient_p, normal(2, 3), wrt=()),
    Sample(s.stop_gradient_p, 1.5, name="weak"),
    Sample(s.copy_p, normal(2, 3)),
    Sample(s.optimization_barrier_p, normal(2, 3), integers(0, 9, 3)),
    Sample(s.optimization_barrier_p, normal(2), normal(3)),
]
