"""Random programs: jitted equals eager bit for bit, arguments are never written to, gradients agree."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import numpy as np

import fnets
import fnets.numpy as fnp

UNARY = [
    fnp.sin,
    fnp.tanh,
    fnp.negative,
    fnp.exp2,
    fnp.abs,
    fnp.square,
    lambda x: x * 0.5,
    lambda x: 1.0 - x,
    fnp.floor,
    lambda x: x.T,
    lambda x: x.reshape(-1, 2).reshape(x.shape),
]
BINARY = [
    fnp.add,
    fnp.multiply,
    fnp.subtract,
    fnp.maximum,
    lambda x, y: fnp.where(x > y, x, y * 0.25),
    lambda x, y: x @ y * 0.1,
    fnp.arctan2,
]
REDUCE = [
    lambda x: fnp.broadcast_to(fnp.sum(x, axis=0), x.shape) * 0.1,
    lambda x: x - fnp.max(x, axis=1, keepdims=True),
    lambda x: fnp.cumsum(x, axis=1) * 0.1,
    lambda x: fnp.concatenate([x[1:], x[:1]]),
    lambda x: fnp.at(x)[0].set(1.0),
    lambda x: x[np.array([1, 0, 1, 2])],
]


@st.composite
def programs(draw):
    """A straight-line program over 4x4 arrays: a list of (operation, operand numbers)."""
    length = draw(st.integers(20, 60))
    steps, known = [], 2
    for _ in range(length):
        kind = draw(st.sampled_from(["unary", "binary", "reduce"]))
        table = {"unary": UNARY, "binary": BINARY, "reduce": REDUCE}[kind]
        op = draw(st.integers(0, len(table) - 1))
        # recent values are likelier, so that many die early and their buffers are reused
        operands = [max(0, known - 1 - draw(st.integers(0, 6))) for _ in range(2 if kind == "binary" else 1)]
        steps.append((table[op], operands))
        known += 1
    outputs = draw(st.lists(st.integers(0, known - 1), min_size=1, max_size=4))
    return steps, outputs


def run(program, x, y):
    steps, outputs = program
    values = [x, y]
    for op, operands in steps:
        values.append(op(*[values[i] for i in operands]))
    return [values[i] for i in outputs]


def arguments(seed: int, dtype) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (4, 4)).astype(dtype), rng.uniform(-1, 1, (4, 4)).astype(dtype)


@hypothesis.settings(max_examples=120)
@hypothesis.given(programs(), st.integers(0, 9), st.sampled_from([np.float32, np.float64]))
def test_jit_equals_eager(program, seed, dtype):
    x, y = arguments(seed, dtype)
    kept = x.copy(), y.copy()
    eager = run(program, x, y)
    jitted = fnets.jit(lambda x, y: run(program, x, y), backend="numpy")
    for _ in range(2):  # the second call must not meet buffers that the first has spoilt
        for a, b in zip(eager, jitted(x, y), strict=True):
            assert a.dtype == b.dtype == dtype
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(y, kept[1])
    out = jitted(x, y)
    for i, a in enumerate(out):
        assert a.flags.writeable
        assert not np.shares_memory(a, x) and not np.shares_memory(a, y)
        assert not any(np.shares_memory(a, b) for b in out[:i])


@hypothesis.settings(max_examples=60)
@hypothesis.given(programs(), st.integers(0, 9))
def test_gradients_agree(program, seed):
    x, y = arguments(seed, np.float64)
    loss = lambda x, y: sum(fnp.sum(fnp.tanh(o)) for o in run(program, x, y))  # noqa: E731
    eager = fnets.grad(loss, (0, 1))(x, y)
    for other in (fnets.jit(fnets.grad(loss, (0, 1))), fnets.grad(fnets.jit(loss), (0, 1))):
        for a, b in zip(eager, other(x, y), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
