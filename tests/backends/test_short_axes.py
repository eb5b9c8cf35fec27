"""Large arrays with a short last axis run as one array for each of its indices, and give what NumPy gives."""

from __future__ import annotations

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets.backends.llvm.passes.expand import expand
from fnets.backends.llvm.passes.short_axes import split_short_axes
from fnets.backends.passes import optimise
from tests.backends.test_llvm import check

pytest.importorskip("llvmlite")

rng = np.random.default_rng(0)


def potential(x, m):
    between = x[:, None] - x
    return -0.5 * (m[:, None] * m / fnp.sqrt((between * between).sum(-1) + 1e-2)).sum()


def pairs(x, y):
    """All that may happen to the differences: sums over any axes, maxima, masks, a result of its own."""
    d = x[:, None] - y
    near = fnp.abs(d) < 0.5
    return (
        fnp.sum(d * d, -1),
        fnp.max(d, -1),
        fnp.sum(d * d, 1),
        fnp.sum(d, 0),
        fnp.sum(d * 2),
        fnp.all(near, -1),
        fnp.any(near, (0, 1)),
        fnp.sum(fnp.where(near, d, 0.0), (1, 2)),
        fnp.min(fnp.exp(-d * d), (0, 2)),
        fnp.sum(d, (0, 1)) * x,
    )


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pairs(k, dtype):
    for n in (40, 129):
        x, y = (rng.standard_normal((m, k)).astype(dtype) for m in (n, 71))
        check(pairs, x, y, tolerance=1e-5 if dtype == np.float32 else 1e-13)


def test_forces():
    x, m = rng.standard_normal((129, 3)), rng.uniform(0.1, 1, 129)
    got = check(fnets.value_and_grad(potential), x, m, tolerance=1e-12)
    assert got.numpy == []
    domains = [domain for chains in got.regions for _, stages in chains for domain, _ in stages]
    assert domains.count((129, 129)) == 1 and not any(len(d) == 3 and d[-1] == 3 and d[0] * d[1] > 200 for d in domains)


def test_batches():
    x, m = rng.standard_normal((5, 40, 3)), rng.uniform(0.1, 1, (5, 40))
    check(fnets.vmap(fnets.grad(potential)), x, m, tolerance=1e-12)


def test_what_would_have_to_be_taken_apart_stays():
    x = rng.standard_normal((3000, 3))
    for f in (lambda x: (x * x).sum(-1), lambda x: fnp.exp(x) + 1):
        jaxpr = expand(optimise(fnets.make_jaxpr(f)(x).jaxpr))
        assert split_short_axes(jaxpr) is jaxpr or split_short_axes(jaxpr).eqns == jaxpr.eqns
        check(f, x)
