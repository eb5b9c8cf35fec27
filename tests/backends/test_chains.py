"""Chains and memory: every stage once and after what it reads, few parts, and no two variables in one place at a time."""

from __future__ import annotations

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax, nn

pytest.importorskip("llvmlite")

from fnets.backends.llvm.passes.prepare import prepare
from fnets.backends.llvm.runtime import pool
from fnets.backends.llvm.schedule import anchors
from fnets.backends.llvm.schedule.chains import MOST_PARTS
from fnets.backends.llvm.schedule.memory import rounded
from fnets.backends.llvm.schedule.regions import Call, schedule

rng = np.random.default_rng(0)


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def network(p, x, y):
    h = nn.max_pool(nn.relu(lax.conv(x, p["c"], (1, 1), "SAME")), (2, 2), (2, 2))
    z = fnp.tanh(h.reshape(len(x), -1) @ p["w"] + p["b"])
    return fnp.mean((z - y) ** 2) + fnp.sum(p["w"] ** 2)


def step(p, x, y):
    return fnets.tree.map(lambda a, g: a - 0.1 * g, p, fnets.grad(network)(p, x, y))


P = {"c": normal(16, 16, 3, 3), "w": normal(1024, 30), "b": normal(30)}


@pytest.mark.parametrize("batch", [1, 2, 48, 130])
def test_order_parts_and_places(batch):
    jaxpr = fnets.make_jaxpr(step)(P, normal(batch, 16, 16, 16), normal(batch, 30)).jaxpr
    calls = [s for s in schedule(prepare(jaxpr), 64, anchors.lower) if isinstance(s, Call)]
    assert calls
    for call in calls:
        ready, last = set(call.inputs), {}
        for k, chain in enumerate(call.chains):
            assert 1 <= chain.parts <= MOST_PARTS
            for s in chain.stages:
                assert s.extent == chain.extent * (s.extent // chain.extent)
                assert s.chunk % s.blocking == 0 or s.chunk >= s.extent
                copies = set(chain.copies.values())
                assert {*s.sources} <= ready | copies
                assert not ready & {*s.stored}
                ready |= {*s.stored} - {*chain.copies}
            ready |= copies
            last.update(dict.fromkeys(chain.buffers, k))
        assert set(call.outputs) <= ready
        live: dict = {}
        for k, chain in enumerate(call.chains):
            live = {v: place for v, place in live.items() if last[v] >= k}
            for v in chain.buffers:
                if v in call.plan.place and v not in live:
                    start = call.plan.place[v]
                    end = start + rounded(v.aval.nbytes)
                    assert end <= rounded(call.plan.size)
                    assert all([end <= a or b <= start for a, b in live.values()])
                    live[v] = (start, end)


@pytest.mark.parametrize("channels, few", [(8, False), (64, True)])
def test_large_sums_have_few_parts(channels, few):
    """Each part has a copy of a sum to itself, which must not cost more than the parts."""

    def gradient(w, x):
        return fnets.grad(lambda w: fnp.sum(lax.conv(x, w, (1, 1), "SAME") ** 2))(w)

    jaxpr = fnets.make_jaxpr(gradient)(normal(channels, channels, 3, 3), normal(64, channels, 8, 8)).jaxpr
    calls = [s for s in schedule(prepare(jaxpr), 64, anchors.lower) if isinstance(s, Call)]
    (parts,) = [c.parts for call in calls for c in call.chains if any([s.accumulated for s in c.stages])]
    assert 4 <= parts <= 6 if few else parts > 6


def test_what_passes_within_a_part_is_in_its_thread_s_scratch():
    x, y = normal(130, 16, 16, 16), normal(130, 30)
    jaxpr = fnets.make_jaxpr(step)(P, x, y).jaxpr
    found = 0
    for call in [s for s in schedule(prepare(jaxpr), 64, anchors.lower) if isinstance(s, Call)]:
        plan = call.plan
        for chain in call.chains:
            own = max([s.scratch for s in call.stages])
            live: list = []
            for v in [v for v in chain.buffers if v in plan.local]:
                users = [i for i, s in enumerate(chain.stages) if v in s.sources or v in s.stored]
                assert v not in plan.place and v not in {*call.inputs, *call.outputs}
                assert not any([v in c.buffers for c in call.chains if c is not chain])
                assert all([v in chain.stages[i].sliced for i in users])
                start = plan.local[v]
                end = start + v.aval.nbytes * chain.chunk // chain.extent
                assert own <= start and end <= plan.scratch
                for first, last, a, b in live:
                    assert end <= a or b <= start or users[-1] < first or last < users[0]
                live.append((users[0], users[-1], start, end))
                found += 1
    assert found > 3
    want = step(P, x, y)
    for threads in (1, 2, 3):
        before = pool.num_threads()
        fnets.set_num_threads(threads)
        got = fnets.jit(step, backend="llvm")(P, x, y)
        fnets.set_num_threads(before)
        for a, b in zip(fnets.tree.leaves(got), fnets.tree.leaves(want)):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
