"""fnets against its peers on the same work: `python -m benchmarks peers`, one table. Needs the extra `bench`.

Each contender (fnets' backends "llvm" and "numpy", `jax.jit`, PyTorch eager and, for training steps, `torch.compile`) is a process of its own that
lives through the table and keeps to as many processors as it may have threads. For a workload they first have to agree on the results of some
calls; then they take turns, one at a time, and a turn gives the median time of its calls. The table has fnets' median turn, its spread (the
quartiles' distance by the median), and how many times faster than each peer fnets is: the ratio of the medians, and the quartiles of the turns'
ratios. Tracing and compiling, without a call, is timed in fresh processes: with an empty cache, and with one filled by the process before. Peak
memory is what a program and its first calls add to a fresh process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any, NamedTuple

from benchmarks.contender import NAMES, Contender, Failed, Settings
from benchmarks.timing import readable, table

OURS = "llvm"
TITLES = {"numpy": "NumPy backend", "jax": "jax.jit", "torch": "PyTorch", "torch.compile": "torch.compile"}
CHECKED_CALLS = 3
COMPILED_GOAL, CACHED_LIMIT = {"jax": 2.5}, 0.020  # of compilation, and of what the cache leaves of it


class Line(NamedTuple):
    """A line of the table: samples of each contender, or why there are none. Less is better."""

    what: str
    threads: int
    samples: dict[str, list[float] | str]
    goals: dict[str, float]
    limit: float | None = None  # what ours may be at most
    told: Callable[[float], str] = readable

    def median(self, name: str) -> float | None:
        samples = self.samples.get(name)
        return statistics.median(samples) if isinstance(samples, list) else None

    def ratio(self, name: str) -> float | None:
        """How many times less ours is than another's."""
        ours, theirs = self.median(OURS), self.median(name)
        return None if ours is None or theirs is None else theirs / ours

    def range(self, name: str) -> tuple[float, float] | None:
        """The quartiles of the ratios of single turns."""
        ours, theirs = self.samples.get(OURS, ""), self.samples.get(name, "")
        if isinstance(ours, str) or isinstance(theirs, str) or len(ours) < 3:
            return None
        low, _, high = statistics.quantiles([b / a for a, b in zip(ours, theirs)], n=4)
        return low, high

    def spread(self) -> float | None:
        """The distance of the quartiles of ours, by their median."""
        samples = self.samples.get(OURS, "")
        if isinstance(samples, str) or len(samples) < 3:
            return None
        low, middle, high = statistics.quantiles(samples, n=4)
        return (high - low) / middle

    def misses(self) -> list[str]:
        """The goals that are not reached, or could not be judged because a contender failed."""
        ours = self.median(OURS)
        missed = [name for name, goal in self.goals.items() if (ratio := self.ratio(name)) is None or ratio < goal]
        missed = [name for name in missed if name in self.samples]
        return missed + ["limit"] * (self.limit is not None and (ours is None or ours > self.limit))

    def cells(self) -> list[str]:
        def cell(name: str) -> str:
            samples, ratio = self.samples.get(name, ""), self.ratio(name)
            if ratio is None:
                return samples if isinstance(samples, str) else "-"
            low_high = self.range(name)
            return f"{ratio:.2f}x" + (f" ({low_high[0]:.2f}-{low_high[1]:.2f})" if low_high else "")

        ours, spread = self.median(OURS), self.spread()
        goals = [f"{TITLES[name]} {goal:g}x" for name, goal in self.goals.items() if name in self.samples]
        goals += [] if self.limit is None else [f"<= {self.told(self.limit)}"]
        misses = [TITLES.get(name, name) for name in self.misses()]
        return [
            self.what,
            str(self.threads),
            str(self.samples.get(OURS, "")) if ours is None else self.told(ours),
            "" if spread is None else f"{spread:.0%}",
            *[cell(name) for name in TITLES],
            ", ".join(goals),
            "" if not goals else f"no ({', '.join(misses)})" if misses else "yes",
        ]

    def record(self) -> dict[str, Any]:
        """The line for a program to read."""
        medians = {name: self.median(name) for name in self.samples}
        return {
            **{name: getattr(self, name) for name in ("what", "threads", "samples", "goals", "limit")},
            "medians": medians,
            "ratios": {name: self.ratio(name) for name in self.samples if name != OURS},
            "misses": self.misses(),
        }


HEADER = ["workload", "threads", "fnets", "spread", *[f"{t} / fnets" for t in TITLES.values()], "goal", "met"]


def megabytes(size: float) -> str:
    return f"{size / 1e6:.3g} MB"


def names_for(workload: Any, chosen: list[str]) -> list[str]:
    """The contenders of a workload: `torch.compile`, whose compilation takes a while, runs training steps."""
    return [name for name in chosen if name != "torch.compile" or workload.training]


def attempt(samples: dict[str, Any], name: str, f: Callable[[], Any]) -> Any:
    """The result of `f`; where it fails the table gets the reason instead of samples, and this returns None."""
    try:
        return f()
    except Failed as problem:
        samples[name] = str(problem)
        return None


def disagreement(results: list, others: list, tolerance: float) -> str | None:
    """What is wrong with the results of some calls, if another's are right: errors count relative to the greatest element."""
    import numpy as np

    for ours, theirs in zip(results, others, strict=True):
        kinds, others_kinds = ([f"{a.dtype}{list(a.shape)}" for a in arrays] for arrays in (ours, theirs))
        if kinds != others_kinds:
            return f"disagrees: {', '.join(kinds)} instead of {', '.join(others_kinds)}"
        for a, b in zip(ours, theirs):
            error = np.max(np.abs(a - b), initial=0.0) / max(np.max(np.abs(b), initial=0.0), 1e-30)
            if not error <= tolerance:
                return f"disagrees by {error:.2g}"
    return None


def timed(workload: Any, contenders: dict[str, Contender], rounds: int, seconds: float, threads: int) -> Line:
    """A workload by all contenders that can do it and agree, in turns."""
    samples: dict[str, Any] = {}
    results = {}
    for name, contender in contenders.items():

        def first_calls(contender: Contender = contender) -> list:
            contender.ask("take_up", workload.name)
            return contender.ask("results", CHECKED_CALLS)

        if (result := attempt(samples, name, first_calls)) is not None:
            results[name] = result
            samples[name] = []
    judge = next((results[name] for name in ("numpy", "jax", "torch") if name in results), None)
    for name, result in results.items():
        if judge is not None and (problem := disagreement(result, judge, workload.tolerance)):
            samples[name] = problem
    for _ in range(rounds):
        for name, contender in contenders.items():
            if isinstance(samples[name], list):
                time.sleep(0.005)  # threads of the one before may still wait for work, spinning
                taken = attempt(samples, name, lambda contender=contender: contender.ask("time", seconds))
                if taken is not None:
                    samples[name].append(taken)
    return Line(workload.name, threads, samples, workload.goals)


def fresh(settings: Settings, workload: Any, question: str) -> float:
    """A new process' answer about a workload."""
    with Contender(settings) as contender:
        contender.ask("take_up", workload.name)
        return contender.ask(question)


def compiled(workload: Any, names: list[str], rounds: int, threads: int, channels_last: bool) -> list[Line]:
    """Tracing and compiling: with an empty cache, and from the cache."""
    cold: dict[str, Any] = {}
    warm: dict[str, Any] = {}
    for _ in range(rounds):
        for name in names:
            with cache_directory() as cache:
                settings = Settings(name, threads, cache, channels_last)
                for samples in (cold, warm):
                    if not isinstance(samples.get(name), str):
                        first = attempt(samples, name, lambda settings=settings: fresh(settings, workload, "compile"))
                        if first is not None:
                            samples.setdefault(name, []).append(first)
    return [
        Line(f"trace and compile: {workload.name}", threads, cold, COMPILED_GOAL),
        Line(f"the same from the cache: {workload.name}", threads, warm, {}, CACHED_LIMIT),
    ]


def memory(workload: Any, names: list[str], threads: int, channels_last: bool) -> Line:
    samples: dict[str, Any] = {}
    for name in names:
        with cache_directory() as cache:
            settings = Settings(name, threads, cache, channels_last)
            peak = attempt(samples, name, lambda settings=settings: fresh(settings, workload, "peak"))
        if peak is not None:
            samples[name] = [peak]
    return Line(f"peak memory: {workload.name}", threads, samples, workload.memory_goals, told=megabytes)


def cache_directory() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="peers-")


def lines(chosen: list[Any], args: argparse.Namespace) -> Iterator[Line]:
    """The lines of the table, one after another."""
    channels_last = args.layout == "NHWC"
    for threads in args.threads if "time" in args.measure else []:
        with contextlib.ExitStack() as stack:
            contenders = {}
            for name in args.contenders:
                cache = stack.enter_context(cache_directory())
                contenders[name] = stack.enter_context(Contender(Settings(name, threads, cache, channels_last)))
            for workload in chosen:
                those = {name: contenders[name] for name in names_for(workload, args.contenders)}
                yield timed(workload, those, args.rounds, args.seconds, threads)
    threads = max(args.threads)
    for workload in chosen:
        if "memory" in args.measure and workload.memory_goals:
            yield memory(workload, names_for(workload, args.contenders), threads, channels_last)
        if "compile" in args.measure:
            names = [name for name in (OURS, "jax") if name in args.contenders]
            yield from compiled(workload, names, min(args.rounds, 3), threads, channels_last)


def versions() -> str:
    told = [f"{name} {metadata.version(name)}" for name in ("numpy", "llvmlite", "jax", "torch") if _installed(name)]
    return f"Python {platform.python_version()}, {', '.join(told)}, on {_processor()}"


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _processor() -> str:
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
        return next(line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks peers", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="workloads by a part of their names")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--contenders", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument(
        "--measure", nargs="+", choices=("time", "compile", "memory"), default=["time", "compile", "memory"]
    )
    parser.add_argument("--rounds", type=int, default=9, help="turns of each contender")
    parser.add_argument("--seconds", type=float, default=0.25, help="length of a turn")
    parser.add_argument("--layout", choices=("NCHW", "NHWC"), default="NCHW", help="of the networks' images in fnets")
    parser.add_argument("--list", action="store_true", help="only print the names of the workloads")
    parser.add_argument("--write", type=pathlib.Path, help="also write the table to this file")
    parser.add_argument("--json", type=pathlib.Path, help="write all samples to this file")
    args = parser.parse_args(argv)

    from benchmarks.workloads import WORKLOADS

    chosen = [w for w in WORKLOADS.values() if not args.only or any(part in w.name for part in args.only)]
    if args.list:
        print("\n".join(w.name for w in chosen))
        return
    if not chosen:
        parser.error("no workload has such a name; --list shows them")
    load = f"{os.cpu_count()} processors, which others kept {os.getloadavg()[0]:.1f} busy"
    done: list[Line] = []
    for line in lines(chosen, args):
        print(" | ".join(line.cells()), flush=True)
        done.append(line)
    made = f"Made by `{' '.join(['python -m benchmarks peers', *argv])}` with {versions()}; {load}."
    text = f"{table([HEADER, *[line.cells() for line in done]])}\n\n{made}\n"
    print("\n" + text)
    if args.write:
        args.write.write_text(text)
    if args.json:
        args.json.write_text(json.dumps({"made": made, "lines": [line.record() for line in done]}, indent=1))
