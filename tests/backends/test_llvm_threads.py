"""Threads of native loops: the same bits however many there are, from several Python threads at once, and in a child after a fork."""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import nn
from tests.backends.test_llvm import PROGRAMS, check

pytest.importorskip("llvmlite")

from fnets.backends.llvm.runtime import pool
from fnets.backends.llvm.runtime.engine import Module, object_code
from fnets.backends.llvm.runtime.kernel import _FASTCALL, Retry
from fnets.backends.llvm.schedule import chains

rng = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def compile_afresh(monkeypatch):
    monkeypatch.setenv("FNETS_CACHE", "0")


@pytest.fixture
def shared(monkeypatch):
    """Every nest that can be cut is, into small chunks, for four threads."""
    monkeypatch.setattr(pool, "_chosen", [])
    monkeypatch.setenv("FNETS_NUM_THREADS", "4")
    monkeypatch.setattr(chains, "WORTH_PARTS", 0)
    monkeypatch.setattr(chains, "PART", 1)


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_in_chunks(name, shared):
    f, shapes = PROGRAMS[name]
    check(f, *[rng.standard_normal(s).astype(np.float32) for s in shapes], tolerance=2e-5)
    assert pool.num_threads() == 4


@pytest.mark.parametrize("n", [2, 3, 15, 16, 17, 33, 64, 100, 1000, 1025, 40_000])
def test_sizes_in_chunks(n, shared):
    x = rng.standard_normal(n).astype(np.float32)
    f = lambda x: (fnp.exp(x) - x, x > 0.5, fnp.sum(x * x, -1), nn.softmax(x))  # noqa: E731
    check(f, x, tolerance=1e-5)
    check(f, np.stack([x, 2 * x, -x]), tolerance=1e-5)


PROGRAM = """
import hashlib, sys
import numpy as np, fnets, fnets.numpy as fnp
x = np.random.default_rng(0).standard_normal((700, 1001)).astype(np.float32)
f = lambda x: (fnp.tanh(x) * x, fnp.sum(fnp.exp(x) * x, -1), fnets.nn.softmax(x * 2), fnp.sum(fnp.tanh(x)), fnp.sum(fnp.sin(x) * 2, 0))
out = fnets.jit(f, backend="llvm")(x)
print(hashlib.sha256(b"".join(a.tobytes() for a in out)).hexdigest())
"""


def test_the_number_of_threads_does_not_matter():
    digests = set()
    for n in ("1", "2", "3", "7"):
        environment = os.environ | {"FNETS_NUM_THREADS": n, "FNETS_CACHE": "0"}
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True, env=environment
        )
        digests.add(run.stdout)
    assert len(digests) == 1


def test_many_jobs_from_many_python_threads():
    x = rng.standard_normal((64, 20_000)).astype(np.float32)
    jitted = fnets.jit(lambda x, s: (fnp.tanh(x * s) + x, fnp.sum(fnp.exp(x * s), -1)), backend="llvm")
    want = [jitted(x, float(k)) for k in range(4)]
    wrong = []

    def work(k: int) -> None:
        for _ in range(15):
            if not all(np.array_equal(a, b) for a, b in zip(jitted(x, float(k)), want[k])):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_thousands_of_jobs(shared):
    x = rng.standard_normal(4096).astype(np.float32)
    jitted = fnets.jit(lambda x: fnp.exp(x) * 2 + x, backend="llvm")
    want = hashlib.sha256(jitted(x)).digest()
    assert all(hashlib.sha256(jitted(x)).digest() == want for _ in range(5000))


def test_after_a_fork(shared):
    x = rng.standard_normal(100_000).astype(np.float32)
    jitted = fnets.jit(lambda x: fnp.exp(x) * 2, backend="llvm")
    want = jitted(x)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            again = fnets.jit(lambda x: fnp.exp(x) * 2 + 0 * x, backend="llvm")
            if np.array_equal(jitted(x), want) and np.array_equal(again(x), want) and np.array_equal(jitted(x), want):
                status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(jitted(x), want)


FORKS = """
import os, signal, threading, time
import numpy as np, fnets, fnets.numpy as fnp
x = np.linspace(0, 1, 100_000)
f = fnets.jit(lambda x: fnp.exp(x) * 2 + x, backend="llvm")
want, stop = f(x).tobytes(), False

def compile_on_and_on():
    while not stop:
        fnets.jit(lambda x: fnp.cos(x) * 2 + time.time(), backend="llvm")(x)

threads = [threading.Thread(target=compile_on_and_on) for _ in range(2)]
for t in threads:
    t.start()
codes = []
for k in range(8):
    time.sleep(0.02)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        right = f(x).tobytes() == want and fnets.jit(lambda x: fnp.sin(x) * 3 + k, backend="llvm")(x).size
        os._exit(0 if right else 1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop = True
for t in threads:
    t.join()
print(codes)
"""


def test_forks_while_other_threads_compile():
    environment = os.environ | {"FNETS_CACHE": "0", "FNETS_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "ignore", "-c", FORKS]
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, timeout=100)
    assert run.stdout.split() == str([0] * 8).split()


def test_threads_compile_what_one_thread_compiles():
    pool.start()
    texts = [f"define i64 @f{k}(i64 %x) {{\n  %y = mul i64 %x, {k}\n  ret i64 %y\n}}" for k in range(5)]
    modules = [Module(text, level) for text in texts for level in (0, 1)]
    assert object_code(*modules, share=pool.emit) == object_code(*modules)


def test_a_native_function_outlives_what_is_around_it(monkeypatch):
    """As in a garbage collection, which takes objects apart in any order."""
    made = []
    begin = Retry.__init__
    monkeypatch.setattr(Retry, "__init__", lambda self, *args: (begin(self, *args), made.append(self))[0])
    fnets.jit(lambda x: x * 2 + 1, backend="llvm")(np.ones(8, np.float32))
    entry = made[0].entry
    made[0].__dict__.clear()
    filling = [(ctypes.c_char * 32)(*[255] * 32) for _ in range(10_000)]
    definition = ctypes.c_void_p.from_address(id(entry) + object.__basicsize__).value
    assert definition is not None and ctypes.c_int.from_address(definition + 16).value == _FASTCALL and filling
