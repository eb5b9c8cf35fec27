"""Independent blocks of NumPy work on several Python threads, while NumPy's own BLAS keeps to one. May import nothing of fnets.

NumPy releases the GIL inside copies, ufuncs and matmul, so blocks that are small enough for the cache and big enough to outlast a switch
run side by side. Splitting one small product over BLAS threads scales worse, and collapses where another process holds a core. Blocks
are fixed by the caller and claimed one by one: which thread runs a block never changes a result, and a late thread holds nobody up.
"""

from __future__ import annotations

import ctypes
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np

_NAMES = ("scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}")


def _blas_functions() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """(get, set) of OpenBLAS's number of threads, where NumPy's BLAS is OpenBLAS and lets itself be asked; else None."""
    try:
        library = ctypes.PyDLL(
            np._core._multiarray_umath.__file__
        )  # a symbol is also looked for in what this library links to
        for name in _NAMES:
            if hasattr(library, name.format("set_num_threads")):
                get, set_ = library[name.format("get_num_threads")], library[name.format("set_num_threads")]
                get.argtypes, get.restype = [], ctypes.c_int
                set_.argtypes, set_.restype = [ctypes.c_int], None
                return get, set_
    except (AttributeError, OSError):
        pass
    return None


class _Blas:
    """Holds BLAS at one thread while any block work runs; `with` gives the number of threads that it had."""

    def __init__(self) -> None:
        self.functions = _blas_functions()
        self.lock = threading.Lock()
        self.inside = 0
        self.saved = 1

    def __enter__(self) -> int:
        if self.functions is None:
            return 1
        get, set_ = self.functions
        with self.lock:
            self.inside += 1
            if self.inside > 1:
                return self.saved
            self.saved = get()
            if self.saved > 1:
                set_(1)
            return self.saved

    def __exit__(self, *exc: object) -> None:
        if self.functions is None:
            return
        with self.lock:
            self.inside -= 1
            if self.inside == 0 and self.saved > 1:
                self.functions[1](self.saved)


def _nothing(indices: Iterable[int]) -> None:
    pass


class _Job:
    """One call of `run_blocks`: the indices nobody has claimed, and the helpers that are at work on it."""

    def __init__(self, count: int, body: Callable[[Iterable[int]], None]):
        self.indices = deque(range(count))
        self.body = body
        self.lock = threading.Lock()
        self.active = 0
        self.closed = False
        self.idle = threading.Lock()  # held while a helper is at work after the job was closed
        self.error: BaseException | None = None

    def claim(self) -> Iterator[int]:
        pop = self.indices.popleft
        try:
            while True:
                yield pop()
        except IndexError:
            return

    def help(self) -> None:
        with self.lock:
            if self.closed:
                return
            self.active += 1
        try:
            self.body(self.claim())
        except BaseException as error:  # handed to the thread that asked for the work
            self.error = error
            self.indices.clear()
        with self.lock:
            self.active -= 1
            if self.closed and not self.active:
                self.idle.release()

    def run(self) -> None:
        try:
            self.body(self.claim())
        finally:
            self.indices.clear()
            with self.lock:
                self.closed = True
                wait = self.active > 0
                if wait:
                    self.idle.acquire()
            if wait:
                self.idle.acquire()  # until the last helper releases it
            self.body = _nothing  # a job may still wait in the queue: let go of the arrays
        if self.error is not None:
            raise self.error


class _Helpers:
    """Daemon threads that wait for jobs; started when first needed."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self.lock = threading.Lock()
        self.started = 0

    def ask(self, job: _Job, count: int) -> None:
        if self.started < count:
            with self.lock:
                for k in range(self.started, count):
                    threading.Thread(target=self.serve, name=f"fnets-helper-{k}", daemon=True).start()
                self.started = max(self.started, count)
        for _ in range(count):
            self.jobs.put(job)

    def serve(self) -> None:
        jobs = self.jobs
        while True:
            jobs.get().help()


_blas: _Blas | None = None
_helpers = _Helpers()


def _after_fork() -> None:
    global _blas, _helpers
    _blas, _helpers = None, _Helpers()  # the child has none of the threads


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def one_blas_thread() -> _Blas:
    """A context manager that keeps BLAS at one thread: for products too small to gain from two, where the threads' meeting costs more
    than it brings, and far more when another process holds a core.

    >>> with one_blas_thread():
    ...     float(np.dot(np.ones(3), np.ones(3)))
    3.0
    """
    global _blas
    if _blas is None:
        _blas = _Blas()
    return _blas


def run_blocks(count: int, body: Callable[[Iterable[int]], None], alone: bool = False) -> None:
    """Run `body(indices)` on as many threads as BLAS would use, each with an iterator over the block indices that it claims.

    `body` is called once a thread (so it may make its scratch memory first) and must not care which indices it gets.
    `alone`: on this thread only, for work that is too little to share but enough for BLAS to start threads.

    >>> out = [0] * 4
    >>> def body(indices):
    ...     for i in indices:
    ...         out[i] = i * i
    >>> run_blocks(4, body)
    >>> out
    [0, 1, 4, 9]
    """
    with one_blas_thread() as threads:
        if alone or threads < 2 or count < 2:
            body(range(count))
            return
        job = _Job(count, body)
        _helpers.ask(job, min(threads, count) - 1)
        job.run()
