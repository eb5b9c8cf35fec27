"""Samples of fnets/control: loops and branches over small staged bodies."""

from __future__ import annotations

import numpy as np
from harness import Sample, normal

from fnets.control.checkpoint import checkpoint_p, name_p
from fnets.control.cond import cond_p
from fnets.control.policies import nothing_saveable
from fnets.control.scan import scan_p
from fnets.control.while_loop import while_p
from fnets.core.avals import ShapedArray
from fnets.primitives import elementwise as e
from fnets.transforms.jit import jit_p
from fnets.transforms.staging import stage

V = ShapedArray((3,), np.float64)
S = ShapedArray((), np.float64)
N = ShapedArray((), np.int64)

# consts | carry | x -> carry | y
BODY = stage(lambda w, c, x: [e.sin(e.add(e.mul(c, w), x)), e.mul(c, e.mul(x, x))], [V, V, S])
SCAN = {"jaxpr": BODY, "num_consts": 1, "num_carry": 1, "length": 4, "progress": ""}
BRANCHES = (stage(lambda x, y: [e.sin(x), e.mul(x, y)], [V, V]), stage(lambda x, y: [y, e.exp(x)], [V, V]))
# runs while the counter is below a limit: the number of trips does not move when the carry is nudged
COND = stage(lambda limit, n, c: [e.lt(n, limit)], [N, N, V])
STEP = stage(lambda w, n, c: [e.add(n, 1), e.sin(e.mul(c, w))], [V, N, V])
WHILE = {"cond_jaxpr": COND, "body_jaxpr": STEP, "cond_nconsts": 1, "body_nconsts": 1}
ONE = stage(lambda x, y: [e.mul(e.sin(x), y)], [V, V])

SAMPLES = [
    Sample(scan_p, normal(3), normal(3), normal(4), reverse=False, **SCAN),
    Sample(scan_p, normal(3), normal(3), normal(4), reverse=True, **SCAN),
    *[Sample(cond_p, np.int32(i), normal(3), normal(3), branches=BRANCHES) for i in (0, 1)],
    *[Sample(while_p, np.int64(n), normal(3), np.int64(0), normal(3), **WHILE) for n in (0, 3)],
    Sample(checkpoint_p, normal(3), normal(3), jaxpr=ONE, policy=nothing_saveable),
    Sample(jit_p, normal(3), normal(3), jaxpr=ONE, backend=None, more_params={"name": "f"}),
    Sample(name_p, normal(3), more_params={"name": "x"}),
]
