"""The default backend: native code where it pays, NumPy elsewhere; and the number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import config
from fnets.backends import llvm, numpy_codegen
from fnets.backends.llvm.runtime import pool
from fnets.errors import ArgumentError

LONG = np.linspace(0.0, 1.0, 100_000)
SHORT = LONG[:100]


def wave(x):
    return fnp.sin(x) * x + 1


def is_native(f, *args) -> bool:
    report = f.lower(*args).compile().report()
    return report is not None and bool(report.regions)


def run(program: str, **environment: str) -> str:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("FNETS_BACKEND")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env=inherited | environment,
    )
    return done.stdout.strip()


def test_long_programs_are_native_and_short_ones_are_not():
    pytest.importorskip("llvmlite")
    with config.using(backend="auto"):
        f = fnets.jit(wave)
        assert is_native(f, LONG) and not is_native(f, SHORT)
        scan = fnets.jit(lambda x: fnets.lax.fori_loop(0, 100, lambda i, c: wave(c), x))
        assert is_native(scan, np.float32(1.0))
        search = fnets.jit(lambda x: fnets.lax.while_loop(lambda c: c < 1e3, lambda c: c * 1.5, x))
        assert is_native(search, np.float32(1.0))
        assert is_native(fnets.jit(wave, backend="llvm"), SHORT)
        assert not is_native(fnets.jit(wave, backend="numpy"), LONG)
        np.testing.assert_allclose(f(LONG), np.sin(LONG) * LONG + 1, rtol=1e-14)


def test_many_small_matrices_are_native_and_one_is_not():
    pytest.importorskip("llvmlite")
    with config.using(backend="auto"):
        f = fnets.jit(fnp.linalg.inv)
        assert is_native(f, np.stack([np.eye(4)] * 200)) and not is_native(f, np.eye(4))


SHORT_PROGRAM = """
import sys, numpy as np, fnets, fnets.numpy as fnp
f = fnets.jit(fnets.grad(lambda x: fnp.sum(fnp.sin(x) * x + 1)))
f(np.ones(10)), fnets.jit(lambda x: x + 1)(1.0)
print("llvmlite" in sys.modules, fnets.config.read("backend"))
"""


def test_short_programs_do_not_load_llvmlite():
    assert run(SHORT_PROGRAM) == "False auto"
    assert run(SHORT_PROGRAM, FNETS_BACKEND="numpy") == "False numpy"


WITHOUT = """
import sys
sys.modules["llvmlite"] = None  # import llvmlite raises
import warnings, numpy as np, fnets, fnets.numpy as fnp
f = lambda x: fnp.sin(x) * x + 1
print(fnets.jit(f)(np.zeros(100_000))[0])
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    fnets.jit(f, backend="llvm")(np.zeros(100_000))
print(len(told))
"""


def test_without_llvmlite_only_those_who_ask_for_it_are_told():
    assert run(WITHOUT).split() == ["1.0", "1"]


def test_where_native_code_fails_numpy_runs_in_silence(monkeypatch):
    def fails(*args):
        raise RuntimeError("no")

    monkeypatch.setattr(llvm, "_native", fails)
    monkeypatch.setattr(llvm, "_told", set())
    with warnings.catch_warnings(), config.using(backend="auto"):
        warnings.simplefilter("error")
        assert fnets.jit(lambda x: wave(x))(LONG)[0] == 1
    with pytest.warns(RuntimeWarning, match="NumPy runs instead"), config.using(backend="llvm"):
        assert fnets.jit(lambda x: wave(x))(LONG)[0] == 1


@pytest.mark.parametrize("chosen", ["numpy", "llvm"])
def test_a_chosen_backend_is_that_of_loop_bodies_and_branches(chosen, monkeypatch):
    used = set()
    real = {name: fnets.backends._backends[name] for name in ("numpy", "llvm", "auto")}
    for name, compile in real.items():
        spy = lambda *args, name=name, compile=compile: used.add(name) or compile(*args)  # noqa: E731
        monkeypatch.setitem(fnets.backends._backends, name, spy)

    def f(x):
        y = fnets.lax.while_loop(lambda c: fnp.sum(c) < 10, lambda c: c + 1, x)
        return fnets.lax.cond(y[0] > 3, lambda y: y * 2, lambda y: y, y)

    with config.using(backend="auto"):
        assert fnets.jit(f, backend=chosen)(np.zeros(3))[0] == 8
        assert config.read("backend") == "auto"
    assert used == {chosen}


def test_num_threads(monkeypatch):
    monkeypatch.setattr(pool, "_chosen", [])
    monkeypatch.setenv("FNETS_NUM_THREADS", "3")
    assert fnets.num_threads() == 3
    fnets.set_num_threads(2)
    assert fnets.num_threads() == 2
    for wrong in (0, -1, 1.5, True, "2"):
        with pytest.raises(ArgumentError, match="positive integer"):
            fnets.set_num_threads(wrong)


def test_threads_may_change_while_programs_live(monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(pool, "_chosen", [])
    x = np.random.default_rng(0).standard_normal((300, 1001)).astype(np.float32)
    f = fnets.jit(lambda x: (fnp.tanh(x) * x, fnp.sum(fnp.exp(x)), x @ x.T), backend="llvm")
    want = [a.tobytes() for a in f(x)]
    for n in (1, 4, 2, 3):
        fnets.set_num_threads(n)
        assert [a.tobytes() for a in f(x)] == want


def test_native_code_gives_no_floating_point_warnings():
    """The same values as NumPy; NumPy's settings for warnings and errors do not reach into it."""
    pytest.importorskip("llvmlite")
    x = np.array([-1.0, 0.0, 1.0, np.inf] * 10, np.float32)
    f = lambda x: (x / fnp.maximum(x - 1, 0), fnp.log(x), fnp.sqrt(x) * 2)  # noqa: E731
    with np.errstate(all="raise"):
        got = fnets.jit(f, backend="llvm")(x)
    with np.errstate(all="ignore"):
        want = fnets.jit(f, backend="numpy")(x)
    for a, b in zip(got, want):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_compile_numpy_is_what_short_programs_get():
    jaxpr = fnets.make_jaxpr(wave)(SHORT).jaxpr
    assert llvm.compile_auto(jaxpr).source == numpy_codegen.compile_numpy(jaxpr).source
