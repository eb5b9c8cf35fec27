"""Samples of fnets/primitives/reduce.py."""

from __future__ import annotations

import numpy as np
from harness import Sample, integers, normal

from fnets.primitives import cumulative as c
from fnets.primitives import reduce as r
from fnets.primitives import softmax as sm

WITH_ZEROS = normal(3, 4)
WITH_ZEROS[0, 1] = WITH_ZEROS[1, 0] = WITH_ZEROS[1, 2] = 0.0
COMPLEX = normal(2, 3) + 1j * normal(2, 3)
BITS = integers(0, 64, 2, 3)

SAMPLES = [
    *[
        Sample(p, normal(2, 3, 4), axes=axes)
        for p in (r.reduce_max_p, r.reduce_min_p, r.reduce_prod_p)
        for axes in ((0, 2), (1,))
    ],
    *[
        Sample(p, integers(-9, 9, 2, 3).astype(np.int8), axes=(0,), name="int8")
        for p in (r.reduce_max_p, r.reduce_min_p, r.reduce_prod_p)
    ],
    *[Sample(p, normal(1, 1), axes=(0, 1), name="one") for p in (r.reduce_max_p, r.reduce_prod_p)],
    Sample(r.reduce_prod_p, WITH_ZEROS, axes=(1,), name="zeros"),
    Sample(r.reduce_prod_p, WITH_ZEROS, axes=(0, 1), name="all_zeros"),
    Sample(r.reduce_prod_p, COMPLEX, axes=(1,), name="complex"),
    Sample(r.reduce_prod_p, normal(2, 0), axes=(1,), name="empty"),
    *[
        Sample(p, normal(2, 3, 4), axis=axis, index_dtype=np.dtype("int32"))
        for p in (r.argmax_p, r.argmin_p)
        for axis in (0, 2)
    ],
    *[
        Sample(p, integers(0, 3, 2, 5), axis=1, index_dtype=np.dtype("int64"), name="ties")
        for p in (r.argmax_p, r.argmin_p)
    ],
    *[Sample(p, BITS, axes=axes) for p in (r.reduce_and_p, r.reduce_or_p, r.reduce_xor_p) for axes in ((0,), (0, 1))],
    *[Sample(p, BITS > 20, axes=(1,), name="bool") for p in (r.reduce_and_p, r.reduce_or_p, r.reduce_xor_p)],
    *[
        Sample(p, normal(2, 5, 3), axis=axis, reverse=reverse)
        for p in (c.cumsum_p, c.cumprod_p, c.cummax_p, c.cummin_p, c.cumlogsumexp_p)
        for axis, reverse in ((1, False), (2, True))
    ],
    *[
        Sample(p, normal(3, 1), axis=1, reverse=False, name="one")
        for p in (c.cumsum_p, c.cumprod_p, c.cummax_p, c.cumlogsumexp_p)
    ],
    *[
        Sample(p, normal(3, 0), axis=1, reverse=False, name="empty")
        for p in (c.cumsum_p, c.cumprod_p, c.cummax_p, c.cumlogsumexp_p)
    ],
    *[
        Sample(p, integers(-9, 9, 2, 4).astype(np.int8), axis=1, reverse=False, name="int8")
        for p in (c.cumsum_p, c.cumprod_p, c.cummax_p)
    ],
    Sample(c.cumprod_p, WITH_ZEROS, axis=1, reverse=False, name="zeros"),
    Sample(c.cumprod_p, WITH_ZEROS, axis=0, reverse=True, name="zeros"),
    Sample(c.cumsum_p, COMPLEX, axis=1, reverse=True, name="complex"),
    Sample(c.cumprod_p, COMPLEX, axis=1, reverse=False, name="complex"),
    Sample(c.linear_recurrence_p, normal(2, 4, 3), normal(2, 4, 3), axis=1, reverse=False),
    Sample(c.linear_recurrence_p, normal(2, 4, 3), normal(2, 4, 3), axis=2, reverse=True),
    Sample(c.linear_recurrence_p, normal(4, 20), normal(4, 20), axis=0, reverse=False, name="wide"),
    Sample(c.linear_recurrence_p, normal(4, 20), normal(4, 20), axis=0, reverse=True, name="wide"),
    Sample(c.linear_recurrence_p, normal(0), normal(0), axis=0, reverse=False, name="empty"),
    *[Sample(p, normal(3, 4), axes=(1,)) for p in (sm.logsumexp_p, sm.softmax_p, sm.log_softmax_p)],
    *[Sample(p, normal(2, 3, 4), axes=(0, 2)) for p in (sm.logsumexp_p, sm.softmax_p, sm.log_softmax_p)],
    *[Sample(p, normal(4) * 300, axes=(0,), name="large") for p in (sm.logsumexp_p, sm.softmax_p, sm.log_softmax_p)],
    *[Sample(p, integers(0, 5, 2, 3), axes=(1,), name="int") for p in (sm.logsumexp_p, sm.softmax_p, sm.log_softmax_p)],
    *[Sample(p, COMPLEX, axes=(1,), name="complex") for p in (sm.logsumexp_p, sm.softmax_p, sm.log_softmax_p)],
    *[
        Sample(p, normal(3, 0), axes=(1,), name="empty", wrt=())
        for p in (sm.logsumexp_p, sm.softmax_p, sm.log_softmax_p)
    ],
    *[Sample(p, normal(), axes=(), name="none") for p in (sm.logsumexp_p, sm.softmax_p, sm.log_softmax_p)],
    Sample(sm.softmax_p, normal(64, 10).astype(np.float32), axes=(1,), name="f32", wrt=(), batch=()),
]
