"""A process in which one library runs the workloads of `peers`, as long as it is told to over a pipe. Imports only the standard library by itself:
what a process needs of NumPy and the rest it imports after its threads are set.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import statistics
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

NAMES = ("llvm", "numpy", "jax", "torch", "torch.compile")
PATIENCE = 600.0  # seconds until a silent process is given up


class Failed(Exception):
    """A contender could not do what it was told; the message is for the table."""


class Settings:
    """How a contender runs: who it is, its number of threads, where compiled code is cached, the layout of fnets' images."""

    def __init__(self, name: str, threads: int, cache: str, channels_last: bool = False):
        self.name, self.threads, self.cache, self.channels_last = name, threads, cache, channels_last


class Contender:
    """A process of its own, started when it is needed and after it has died."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self._process: Any = None
        self._pipe: Any = None

    def __enter__(self) -> Contender:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        if self._process is not None:
            self._pipe.close()  # which ends an idle process
            self._process.join(5)
            self._process.kill()
            self._process.join()
            self._process = None

    def ask(self, *command: Any) -> Any:
        """The answer to a command, or `Failed`."""
        if self._process is None:
            context = multiprocessing.get_context("spawn")  # a fork would inherit threads and libraries
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_serve, args=(theirs, self.settings), daemon=True)
            self._process.start()
            theirs.close()
        try:
            self._pipe.send(command)
            if not self._pipe.poll(PATIENCE):
                raise Failed(f"no answer in {PATIENCE:g} s")
            answer, problem = self._pipe.recv()
        except (EOFError, OSError, Failed) as problem:
            self.stop()
            raise Failed(str(problem) if isinstance(problem, Failed) else "its process died") from None
        if problem:
            raise Failed(problem)
        return answer


# ------------------------------------------------------------------ inside the process


def _set_threads(threads: int) -> None:
    """This many processors, and pools of this many threads; before any library is imported."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    for name in ("OMP", "OPENBLAS", "MKL", "FNETS"):
        os.environ[f"{name}_NUM_THREADS"] = str(threads)
    os.environ["NPROC"] = str(threads)  # of XLA
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"


def _jax(settings: Settings) -> Any:
    import jax

    jax.config.update("jax_compilation_cache_dir", settings.cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    from benchmarks.workloads.functional import jax_library

    library = jax_library()
    # what happens once in a process is no part of what is measured
    jax.block_until_ready(jax.jit(lambda x: x + 1)(library.np.zeros(3)))
    return library


def _fnets(settings: Settings) -> Any:
    from benchmarks.workloads.functional import fnets_library

    os.environ["FNETS_CACHE_DIR"] = settings.cache
    library = fnets_library(settings.name, settings.channels_last)
    library.jit(lambda x: library.np.tanh(x) + 1)(library.np.zeros(3))
    return library


def _torch(settings: Settings) -> Any:
    from benchmarks.workloads.pytorch import PyTorch

    library = PyTorch(compile=settings.name == "torch.compile")
    library.torch.set_num_threads(settings.threads)
    return library


def timed(call: Callable[[], Any], seconds: float) -> float:
    """The median time of a call, over as many calls as fit, and at least two."""
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < 2 or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        call()
        times.append(time.perf_counter() - before)
    return statistics.median(times)


def _memory(line: str) -> int:
    """Bytes of resident memory: now ("VmRSS") or at most ("VmHWM")."""
    with contextlib.suppress(OSError), open("/proc/self/status") as status:
        return next(int(text.split()[1]) * 1024 for text in status if text.startswith(line))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class _Served:
    """The commands: methods whose results go back over the pipe."""

    def __init__(self, settings: Settings):
        _set_threads(settings.threads)
        self._functional = settings.name in ("llvm", "numpy", "jax")
        makers = {"jax": _jax, "llvm": _fnets, "numpy": _fnets}
        self._library = makers.get(settings.name, _torch)(settings)
        self._is_jax = settings.name == "jax"
        self._program: Any = None

    def take_up(self, name: str) -> None:
        """Forget the last workload, and make the program for another."""
        from benchmarks.workloads import WORKLOADS

        self._program = None
        workload = WORKLOADS[name]
        if self._is_jax:
            import jax

            jax.config.update("jax_enable_x64", workload.double)
        data = workload.data()
        with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as f:
            f.write("5")  # forget the peak until now
        self._before = _memory("VmRSS")
        self._program = (workload.functional if self._functional else workload.pytorch)(self._library, data)

    def compile(self) -> float:
        """Seconds for tracing and compiling."""
        start = time.perf_counter()
        self._program.compile()
        return time.perf_counter() - start

    def results(self, calls: int) -> list:
        """What the first calls return, as lists of arrays: copies, since a call may reuse the memory of the one before."""
        from benchmarks.workloads.program import arrays_of

        return [arrays_of(self._program.result(self._program.call())) for _ in range(calls)]

    def time(self, seconds: float) -> float:
        return timed(self._program.call, seconds)

    def peak(self) -> int:
        """Bytes that the program and some calls, the first among them, took at most."""
        for _ in range(5):
            self._program.call()
        return _memory("VmHWM") - self._before


def _serve(pipe: Connection, settings: Settings) -> None:
    served = None
    while True:
        try:
            command, *args = pipe.recv()
        except EOFError:
            return
        try:
            served = served or _Served(settings)
            pipe.send((getattr(served, command)(*args), None))
        except Exception as error:
            traceback.print_exc()
            pipe.send((None, f"{type(error).__name__}: {error}".splitlines()[0].replace("|", " ")[:120]))
