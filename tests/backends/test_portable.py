"""Programs as data, and what is found again under them: the same results, errors and reports as when it was made."""

from __future__ import annotations

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets.backends.llvm.runtime.portable import NotPortable, Writer, read

pytest.importorskip("llvmlite")
from fnets.backends.llvm import program
from fnets.backends.llvm.runtime import pool

rng = np.random.default_rng(0)
x = rng.standard_normal((6, 5)).astype(np.float32)
table = rng.standard_normal((4, 5)).astype(np.float32)


def loop(x):
    return fnets.lax.scan(lambda c, row: (c * np.float32(0.5) + row, fnp.tanh(c)), fnp.zeros(5, np.float32), x)


def mixed(x):
    return (
        fnp.linalg.svd(fnp.exp(x) * 2, compute_uv=False),
        fnp.sum(x, axis=0),
        fnp.cumsum(fnp.tanh(x) + table[0], axis=1),
    )


PROGRAMS = [
    (lambda x: fnp.tanh(x) * 2 + 1, (x,)),
    (lambda x, s: (x * s, fnp.mean(x), fnp.max(fnp.exp(x), axis=1)), (x, 2.5)),
    (lambda x: fnp.where(x > 0, x, np.float32(np.nan)) + fnp.float32(-0.0), (x,)),
    (lambda x, i: fnp.exp(x) @ fnp.asarray(table).T + fnp.take(fnp.asarray(table), i, axis=0)[0], (x, 2)),
    (fnets.grad(lambda x: fnp.sum(fnets.nn.gelu(x) ** 3)), (x,)),
    (loop, (x,)),
    (mixed, (x,)),
]


@pytest.fixture
def computed(tmp_path, monkeypatch):
    """How often a program was grouped."""
    pool.start()
    monkeypatch.setenv("FNETS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("FNETS_CACHE", raising=False)
    times = []
    real = program.schedule
    monkeypatch.setattr(program, "schedule", lambda *args: times.append(args) or real(*args))
    return times


@pytest.mark.parametrize("f, args", PROGRAMS)
def test_there_and_back(f, args):
    jaxpr = fnets.make_jaxpr(f)(*args)
    writer = Writer()
    try:
        data = writer.write(jaxpr)
    except NotPortable:
        return
    again = read(data, writer.wheres, jaxpr.consts)
    assert str(again) == str(jaxpr)
    assert [e.where for e in again.eqns] == [e.where for e in jaxpr.eqns]


@pytest.mark.parametrize("f, args", PROGRAMS)
def test_what_is_found_is_what_was_made(computed, f, args):
    def outcome():
        fnets.clear_caches()
        return fnets.tree.leaves(fnets.jit(lambda *args: f(*args), backend="llvm")(*args))

    made = outcome()
    assert len(computed) == 1
    found = outcome()
    assert len(computed) == 1
    for a, b in zip(made, found, strict=True):
        assert type(a) is type(b) and a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_constants_and_literals_are_part_of_the_key(computed):
    for value in (0.0, -0.0, 1, 1.0, True, np.float32(1), np.float64(1), np.arange(5.0), np.arange(1, 6.0)):
        f = fnets.jit(lambda x, value=value: fnp.exp(x) * value / (x * x + value), backend="llvm")
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(f(x), np.exp(x) * value / (x * x + value), rtol=1e-5)
    assert len(computed) == 9


def test_errors_and_reports_are_made_when_they_are_asked_for(computed):
    def f(x, i):
        return fnp.exp(x)[i] * 2

    for _ in range(2):
        compiled = fnets.jit(lambda x, i: f(x, i), backend="llvm").lower(x, np.array([1, 2])).compile()
        assert "exp" in str(compiled.report())
    fnets.jit(lambda x, i: f(x, i), backend="llvm")(x, np.array([1, 2]))
    assert len(computed) == 3  # to compile, and for two reports


def test_primitives_of_others_are_not_portable():
    other = fnets.core.primitive.Primitive("tanh")
    jaxpr = fnets.make_jaxpr(fnp.tanh)(x)
    with pytest.raises(NotPortable):
        Writer().write(jaxpr.replace(eqns=[e.replace(prim=other) for e in jaxpr.eqns]))
