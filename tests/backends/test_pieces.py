"""Padding, joining and updates as choices between pieces: the same bits as NumPy, and one nest where a scheme has one step."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import lax

pytest.importorskip("llvmlite")

from fnets.backends.llvm.passes.expand import expand
from fnets.backends.llvm.passes.pieces import put_together
from fnets.core.ir import eval_jaxpr
from tests.backends.test_views import check, fenced, stages_of, values

PHASES = (hypothesis.Phase.explicit, hypothesis.Phase.generate)


def inner(u):
    return u[1:-1] + 0.25 * (u[2:] - 2 * u[1:-1] + u[:-2])


def inner2(u):
    return u[1:-1, 1:-1] + 0.25 * (u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1])


STEPS = {
    "update": (lambda u: fnp.at(u)[1:-1].set(inner(u)), (100,)),
    "padded": (lambda u: fnp.pad(inner(u), 1), (100,)),
    "padded by ones": (lambda u: fnp.pad(inner(u), (1, 1), constant_values=1), (100,)),
    "joined": (lambda u: fnp.concatenate([u[:1], inner(u), u[-1:]]), (100,)),
    "mirrored": (lambda u: fnp.concatenate([u[2:3], inner(u), -u[-3:-2]]), (100,)),
    "periodic": (lambda u: u + 0.25 * (fnp.roll(u, 1) - 2 * u + fnp.roll(u, -1)), (100,)),
    "periodic rows": (lambda u: u + 0.25 * (fnp.roll(u, 1, 0) - 2 * u + fnp.roll(u, -2, 0)), (9, 100)),
    "periodic plane": (lambda u: fnp.roll(u, 1, 1) * 2 - fnp.roll(u, 2, 0), (9, 100)),
    "plane": (lambda u: fnp.at(u)[1:-1, 1:-1].set(inner2(u)), (30, 100)),
    "padded plane": (lambda u: u - 2 * fnp.pad(inner2(u), 1), (30, 100)),
    "edges": (lambda u: fnp.at(u * 2)[2:, :-1].set(fnp.exp(-u[2:, 1:]) + u[5, :-1]), (30, 100)),
}


MORE = {"mirrored": 2}  # an element by itself first


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("vector_bytes", [64, 32])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_step_is_one_nest(name: str, dtype: str, vector_bytes: int):
    f, shape = STEPS[name]
    x = values(shape, dtype)
    check(f, x, vector_bytes=vector_bytes, rtol=1e-6 if name == "edges" else 0)
    assert len(stages_of(f, x)[1].stages) == MORE.get(name, 1)


def test_loops():
    u = values((1000,)) / 50
    for name in ("update", "joined", "periodic"):
        f = lambda u, step=STEPS[name][0]: lax.fori_loop(0, 10, lambda i, u: step(u), u)  # noqa: E731
        np.testing.assert_allclose(fnets.jit(f, backend="llvm")(u), f(u), rtol=1e-5, atol=1e-6)


def test_gradients():
    u, t = values((1000,), "f8") / 50, values((998,), "f8") / 50
    plane = values((40, 50), "f8") / 50
    for f, args in [
        (lambda u, t: ((inner(u) - t) ** 2).sum(), (u, t)),
        (lambda u: (inner2(u) ** 2).sum(), (plane,)),
        (lambda u: fnp.sin(STEPS["joined"][0](u)).sum(), (u,)),
        (lambda u: fnp.sin(STEPS["periodic"][0](u)).sum(), (u,)),
        (lambda u: fnp.sin(STEPS["plane"][0](u)).sum(), (plane,)),
        (lambda u: lax.scan(lambda u, _: (STEPS["joined"][0](u), u[0]), u, length=5)[0].sum(), (u,)),
    ]:
        want = fnets.jit(fnets.grad(f), backend="numpy")(*args)
        np.testing.assert_allclose(fnets.jit(fnets.grad(f), backend="llvm")(*args), want, rtol=1e-12, atol=1e-14)


def test_what_stays():
    """Short rows, small pieces of large arrays, many pieces, pieces that are read elsewhere, and what products read."""
    count = lambda f, *args: len(stages_of(f, *args)[1].stages)  # noqa: E731
    x, y = values((40, 50)), values((500,))
    assert count(lambda x: fnp.stack([x * 2, x * 3], -1), x) == 2
    assert count(lambda y: fnp.at(y)[3:9].set(y[4:10] * 2), y) == 2
    assert count(lambda y: fnp.concatenate([y * 2, y * 3, y * 4, y * 5]), y) == 2
    assert count(lambda y: (lambda z: (fnp.pad(z, 1), z.sum()))(y * 2 + 1), y) == 2


def test_zeros_keep_their_signs():
    """What is outside of a piece is what it was, and not a sum with zero; what is computed there is not seen."""
    x = np.array([-0.0, 0.0, -1.0, np.nan, np.inf] * 20, np.float32)
    for f in (
        lambda x: fnp.at(x)[1:-1].set(1 / x[1:-1]),
        lambda x: fnp.concatenate([x[:1], fnp.log(x[1:-1]), -x[-1:]]),
        lambda x: fnp.pad(-x[1:-1], 1),
    ):
        with np.errstate(all="ignore"):
            want = f(x)
        got = fnets.jit(f, backend="llvm")(x)
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(np.signbit(got[[0, -1]]), np.signbit(want[[0, -1]]))


@st.composite
def programs(draw) -> tuple[tuple[int, int], Callable]:
    """A function of an array that pads, joins and updates what it has made."""
    rows, columns = draw(st.integers(3, 6)), draw(st.sampled_from([3, 20, 64, 70, 130]))
    steps = draw(
        st.lists(
            st.sampled_from(["scale", "roll", "pad", "join", "set", "add", "sums", "rows"]), min_size=2, max_size=6
        )
    )
    shifts = [draw(st.integers(1, 2)) for _ in steps]

    def f(x):
        for k, (name, n) in enumerate(zip(steps, shifts)):
            if name == "scale":
                x = x * 2 - k
            elif name == "roll":
                x = x + fnp.roll(x, n, k % 2)
            elif name == "pad":
                x = fnp.pad(x[:, n:] * 2, ((0, 0), (0, n))) - x
            elif name == "join":
                x = fnp.concatenate([x[:, -n:], x[:, n:] + x[:, :-n]], 1)
            elif name == "set":
                x = fnp.at(x)[:, n:].set(x[:, :-n] + 1)
            elif name == "add":
                x = fnp.at(x)[:, n:].add(x[:, :-n])
            elif name == "sums":
                x = x - fnp.concatenate([x[:1], fnp.maximum(x[1:], 7) * 2]).sum(0)
            else:
                x = fnp.concatenate([x[:1] + 1, fnp.minimum(x[1:], 11)])
            x = x & 127 if x.dtype == np.int32 else x - 97 * fnp.floor(x * 0.01)
        return x, x.sum(0)

    return (rows, columns), f


@hypothesis.settings(max_examples=40, deadline=None, phases=PHASES)
@hypothesis.given(programs(), st.sampled_from([32, 64]), st.sampled_from(["f4", "f8", "i4"]), st.integers(1, 3))
def test_drawn_programs(case: tuple, vector_bytes: int, dtype: str, parts: int):
    shape, f = case
    x = values(shape, dtype)
    program = expand(fnets.make_jaxpr(f)(x).jaxpr)
    for got, want in zip(eval_jaxpr(put_together(program), [x]), eval_jaxpr(program, [x])):
        np.testing.assert_array_equal(got, want)
    stages = stages_of(f, x, vector_bytes=vector_bytes)[1].stages
    copies = sum([type(s).__name__ != "NestStage" for s in stages])
    check(f, x, vector_bytes=vector_bytes, parts=parts, copies=copies, rtol=1e-6)
    np.testing.assert_allclose(fnets.jit(f, backend="llvm")(fenced(x, True))[0], f(x)[0], rtol=1e-6)
