"""Where time and memory go, equation by equation: `profile`, `memory_report`. May import transforms, backends, core.

A profile runs the compiled program with a clock between its equations; loops and branches are looked into. A memory report runs nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from time import perf_counter
from typing import Any, NamedTuple

from fnets import config, tree
from fnets.backends import compiled, compiler_of, register_backend
from fnets.backends.costs import Held, Memory, bytes_of, flops_of, si
from fnets.backends.numpy_codegen import with_one_blas_thread
from fnets.core.ir import Eqn, Jaxpr, sub_jaxprs
from fnets.core.trace import Tracer
from fnets.core.views import jaxpr_to_dot, jaxpr_to_html
from fnets.errors import ArgumentError
from fnets.source import GENERATED, LINES, describe_location, named_scope
from fnets.transforms.edge import public
from fnets.transforms.jit import jit
from fnets.transforms.lowered import Lowered

__all__ = ["Profile", "MemoryReport", "jaxpr_to_dot", "jaxpr_to_html", "memory_report", "named_scope", "profile"]

_MOST_EVENTS = 100_000  # calls of loop bodies kept with their times, for the Chrome trace


class _Timed:
    """A program with a clock between its equations, compiled once; and what the run that is on has measured of it."""

    def __init__(self, run: Any):
        self.jaxpr: Jaxpr = run.jaxpr
        lines = run.source.split("\n")
        first = [n - 1 for n in run.first_line]
        stops = [*first[1:], len(lines) - 1]
        source, where = [lines[0], "  ticks = [clock()]"], {}
        for e, start, stop in zip(self.jaxpr.eqns, first, stops):
            where[len(source) + 1] = e.where
            source += [*lines[start:stop], "  ticks.append(clock())"]
        source += ["  done(ticks)", lines[-1]]
        namespace = {**run.namespace, LINES: where, "clock": perf_counter, "done": self.done}
        exec(compile("\n".join(source), f"{GENERATED} profile>", "exec"), namespace)
        timed = namespace["run"]
        self.run: Callable[..., list] = with_one_blas_thread(timed) if run.one_thread else timed

    def done(self, ticks: list[float]) -> None:
        session = _session.get()
        if session is not None:
            session.add(self, ticks)


class _Session:
    """One timed run: sums of times, numbers of calls, and the calls themselves."""

    def __init__(self) -> None:
        self.sums: dict[int, list[float]] = {}
        self.calls: dict[int, int] = {}
        self.programs: dict[int, _Timed] = {}
        self.events: list[tuple[_Timed, list[float]]] = []

    def add(self, program: _Timed, ticks: list[float]) -> None:
        key = id(program)
        self.programs[key] = program
        times = [b - a for a, b in zip(ticks, ticks[1:])]
        sums = self.sums.get(key)
        self.sums[key] = times if sums is None else [s + t for s, t in zip(sums, times)]
        self.calls[key] = self.calls.get(key, 0) + 1
        if len(self.events) < _MOST_EVENTS:
            self.events.append((program, ticks))


_session: ContextVar[_Session | None] = ContextVar("fnets_profile", default=None)


def _timed_backend(name: str) -> str:
    """The backend that compiles as `name` does, with clocks; what a program runs inside of it (loop bodies, branches) is timed as well."""
    compile = compiler_of(name)

    def compile_timed(jaxpr: Jaxpr, own_outputs: bool = False, donated: tuple[int, ...] = ()) -> Callable[..., list]:
        run = compile(jaxpr, own_outputs)
        if not hasattr(run, "first_line"):
            raise ArgumentError(
                f"[profile] expected a backend that runs equation by equation from generated code, got {name!r}. "
                "Profile with backend='numpy'."
            )
        timed = _Timed(run)
        timed.run.timed = timed  # type: ignore[attr-defined]
        return timed.run

    register_backend(f"_timed_{name}", compile_timed)
    return f"_timed_{name}"


class Row(NamedTuple):
    """What one equation cost: seconds, operations and bytes of all its calls in one run."""

    eqn: Eqn
    depth: int
    seconds: float
    calls: int
    flops: int
    bytes: int
    where: Any

    @property
    def gflops(self) -> float:
        """Billions of floating-point operations a second."""
        return self.flops / self.seconds / 1e9 if self.seconds else 0.0

    @property
    def gbytes(self) -> float:
        """Billions of bytes a second."""
        return self.bytes / self.seconds / 1e9 if self.seconds else 0.0


def _rows(session: _Session, timed: _Timed, clocked: str, depth: int = 0) -> Iterator[Row]:
    calls = session.calls.get(id(timed), 0)
    sums = session.sums.get(id(timed), [0.0] * len(timed.jaxpr.eqns))
    for e, seconds in zip(timed.jaxpr.eqns, sums):
        inner: list[Row] = []
        for j in sub_jaxprs(e.params):
            inner += _rows(session, compiled(j, clocked).timed, clocked, depth + 1)  # type: ignore[attr-defined]
        if inner:
            below = [r for r in inner if r.depth == depth + 1]
            flops, moved = sum([r.flops for r in below]), sum([r.bytes for r in below])
        else:
            flops, moved = calls * flops_of(e), calls * bytes_of(e)
        yield Row(e, depth, seconds, calls, flops, moved, e.where)
        yield from inner


class Profile:
    """What `profile` returns: prints as a table, the slowest equation first.

    seconds: one whole run without clocks between; rows: the equations in the order of the program, each before those inside of it.

    >>> import fnets.numpy as fnp
    >>> list(profile(fnp.sin, 1.0).table().splitlines()[0].split())[::3]
    ['sin:', 'a']
    """

    def __init__(self, name: str, seconds: float, rows: list[Row], events: list[tuple[_Timed, list[float]]]):
        self.name = name
        self.seconds = seconds
        self.rows = rows
        self._events = events

    def by_line(self) -> dict[str, float]:
        """Seconds per line of yours, the slowest first; loops and branches count by what is inside of them."""
        sums: dict[str, float] = {}
        for k, r in enumerate(self.rows):
            is_parent = k + 1 < len(self.rows) and self.rows[k + 1].depth > r.depth
            if not is_parent:
                line = describe_location(r.where)
                sums[line] = sums.get(line, 0.0) + r.seconds
        return dict(sorted(sums.items(), key=lambda item: -item[1]))

    def _sorted(self) -> Iterator[Row]:
        groups: list[list[Row]] = []
        for r in self.rows:
            if r.depth == 0:
                groups.append([])
            groups[-1].append(r)
        for group in sorted(groups, key=lambda g: -g[0].seconds):
            yield from group

    def table(self, rows: int | None = 40) -> str:
        """The first `rows` equations as text, all with None."""
        total = sum([r.seconds for r in self.rows if r.depth == 0]) or 1.0
        shown = list(self._sorted())
        lines = [
            f"{self.name}: {self.seconds * 1e6:.1f} us a run",
            f"{'us':>10} {'%':>5} {'calls':>6} {'GFLOP/s':>8} {'GB/s':>7} {'moved':>9}  equation, line",
        ]
        for r in shown[:rows]:
            types = " ".join(v.aval.str_short() for v in r.eqn.outvars)
            lines.append(
                f"{r.seconds * 1e6:10.1f} {100 * r.seconds / total:5.1f} {r.calls:6} {r.gflops:8.2f} {r.gbytes:7.2f} {si(r.bytes, 'B'):>9}  "
                f"{'  ' * r.depth}{r.eqn.prim.name} -> {types}  {describe_location(r.where)}"
            )
        if rows is not None and len(shown) > rows:
            lines.append(f"... and {len(shown) - rows} more")
        return "\n".join(lines)

    __str__ = table

    def __repr__(self) -> str:
        return self.table()

    def chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Write the run as a Chrome trace: open it in chrome://tracing or ui.perfetto.dev."""
        start = min([ticks[0] for _, ticks in self._events], default=0.0)
        events = []
        for program, ticks in self._events:
            for e, a, b in zip(program.jaxpr.eqns, ticks, ticks[1:]):
                where = {"type": " ".join(v.aval.str_short() for v in e.outvars), "line": describe_location(e.where)}
                if e.where is not None and e.where.scope:
                    where["scope"] = e.where.scope
                events.append(
                    {"name": e.prim.name, "ph": "X", "pid": 1, "tid": 1, "ts": (a - start) * 1e6, "dur": (b - a) * 1e6, "args": where}
                )  # fmt: skip
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"traceEvents": events, "displayTimeUnit": "ns"}, file)


def _lower(op: str, f: Callable, args: tuple, kwargs: dict) -> Lowered:
    lowered = (f if hasattr(f, "lower") else jit(f)).lower(*args, **kwargs)
    if lowered.hoisted or any(isinstance(x, Tracer) for x in tree.leaves((args, kwargs))):
        raise ArgumentError(
            f"[{op}] expected arrays and numbers, got values of a running transformation. Call fnets.{op} outside of jit, grad and vmap."
        )
    return lowered


@public
def profile(f: Callable, *args: Any, repeat: int = 5, **kwargs: Any) -> Profile:
    """Time a function equation by equation, as NumPy runs it: native code runs many equations in one call.

    Args:
      f: a function of pytrees, jitted or not.
      args, kwargs: what to call it with.
      repeat: number of timed runs; the fastest one is shown.

    Returns:
      A `Profile`: `seconds` is the time of a whole run by the backend in force, native code or not. It prints as a table with time, calls,
        GFLOP/s, bytes and your line for each equation; `chrome_trace(path)` writes a file for chrome://tracing; `by_line()` sums over lines.

    >>> import fnets.numpy as fnp
    >>> import numpy as np
    >>> [r.eqn.prim.name for r in profile(lambda x: fnp.sum(fnp.exp(x)), np.ones(1000)).rows]
    ['exp', 'reduce_sum']
    """
    lowered = _lower("profile", f, args, kwargs)
    leaves = lowered.checked_leaves(args, kwargs)
    best, seconds = _Session(), float("inf")
    plain = lowered.backend or config.read("backend")
    clocked = _timed_backend("numpy" if plain in ("auto", "llvm") else plain)
    with config.using(backend=plain, debug_nans=False, debug_infs=False):
        run = compiled(lowered.jaxpr, plain, True)
        for _ in range(repeat + 1):
            start = perf_counter()
            run(*leaves)
            seconds = min(seconds, perf_counter() - start)
    with config.using(backend=clocked, debug_nans=False, debug_infs=False):
        timed: _Timed = compiled(lowered.jaxpr, clocked, True).timed  # type: ignore[attr-defined]
        fastest = float("inf")
        for _ in range(repeat + 1):  # the first one compiles what is inside
            session = _Session()
            token = _session.set(session)
            try:
                timed.run(*leaves)
            finally:
                _session.reset(token)
            total = sum(session.sums.get(id(timed), []))
            if total <= fastest:
                best, fastest = session, total
        rows = list(_rows(best, timed, clocked))
    return Profile(lowered.fun_name, seconds, rows, best.events)


class MemoryReport:
    """What `memory_report` returns: prints as a table of what is in memory at the worst moment.

    >>> import fnets.numpy as fnp
    >>> import numpy as np
    >>> print(memory_report(fnp.sin, np.ones(100)))
    sin: at most 1.6 kB in use, at sin, ...
             bytes  what, line
               800  f64[100] x
               800  f64[100] sin ...
    """

    def __init__(self, name: str, memory: Memory):
        self.name = name
        self.arguments = memory.arguments
        self.constants = memory.constants
        self.peak = memory.peak
        self.held: list[Held] = sorted(memory.held, key=lambda h: -h.nbytes)
        self.at = memory.at

    def __str__(self) -> str:
        at = (
            "at the start or the end"
            if self.at is None
            else f"at {self.at.prim.name}, {describe_location(self.at.where)}"
        )
        lines = [f"{self.name}: at most {si(self.peak, 'B')} in use, {at}", f"{'bytes':>14}  what, line"]
        for h in self.held:
            where = f"  {describe_location(h.where)}" if h.where else ""
            lines.append(f"{h.nbytes:14,}  {h.aval.str_short()} {h.origin}{where}")
        return "\n".join(lines)

    __repr__ = __str__


@public
def memory_report(f: Callable, *args: Any, **kwargs: Any) -> MemoryReport:
    """The highest amount of memory that a jitted function's arrays take together, and which arrays those are. Nothing is computed.

    Args:
      f: a function of pytrees, jitted or not.
      args, kwargs: arrays, numbers, or `ShapeDtypeStruct`s in their place.

    Returns:
      A `MemoryReport` with `peak` (bytes), `held` (the arrays in memory then, the largest first) and `at` (the equation). What a kernel
      allocates for itself while it runs is not counted.

    >>> import fnets
    >>> import fnets.numpy as fnp
    >>> report = memory_report(lambda x: fnp.sum(fnp.sin(x) * x), fnets.ShapeDtypeStruct((1000,), "float32"))
    >>> report.peak, [h.origin for h in report.held]
    (8004, ['x', 'mul', 'reduce_sum'])
    """
    lowered = _lower("memory_report", f, args, kwargs)
    memory = lowered.memory_analysis()
    names = {f"argument {i}": name for i, name in enumerate(lowered.names)}
    held = [h._replace(origin=names.get(h.origin, h.origin)) for h in memory.held]
    return MemoryReport(lowered.fun_name, memory._replace(held=held))
