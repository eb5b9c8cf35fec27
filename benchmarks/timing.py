"""How everything here is timed: contenders take turns in short rounds, and the medians of their rounds are compared.

A noisy machine slows neighbours in time alike, so a ratio of medians of interleaved rounds holds where an absolute time does not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def seconds_per_call(f: Callable[[], object], calls: int) -> float:
    """The mean time of a call in one round."""
    start = time.perf_counter()
    for _ in range(calls):
        f()
    return (time.perf_counter() - start) / calls


def compare(
    contenders: dict[str, Callable[[], object]], rounds: int = 15, round_seconds: float = 0.02
) -> dict[str, float]:
    """Median seconds per call of each contender, measured in turns."""
    calls = {}
    for name, f in contenders.items():
        f()
        f()
        once = max(seconds_per_call(f, 3), 1e-8)
        calls[name] = max(1, min(20_000, int(round_seconds / once)))
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, f in contenders.items():
            samples[name].append(seconds_per_call(f, calls[name]))
    return {name: statistics.median(times) for name, times in samples.items()}


def readable(seconds: float) -> str:
    """A time with three digits and a unit.

    >>> readable(0.00123)
    '1.23 ms'
    """
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


class Row:
    """One line of the table: what, our time, the peer's, the ratio ours / theirs and what it should be at most."""

    def __init__(
        self, what: str, peer: str, ours: float, theirs: float, goal: float | None = None, difference: bool = False
    ):
        self.what = what
        self.peer = peer
        self.ours = ours
        self.theirs = theirs
        self.goal = goal
        self.difference = difference

    @property
    def value(self) -> float:
        return (self.ours - self.theirs) * 1e6 if self.difference else self.ours / self.theirs

    @property
    def met(self) -> str:
        return "" if self.goal is None else "yes" if self.value <= self.goal else "no"

    def cells(self) -> list[str]:
        def told(value: float, digits: str) -> str:
            return f"+{readable(value * 1e-6)}" if self.difference else f"{value:{digits}}x"

        value = told(self.value, ".2f")
        goal = "" if self.goal is None else f"<= {told(self.goal, 'g')}"
        return [
            self.what,
            self.peer,
            readable(self.ours),
            readable(self.theirs),
            value,
            goal,
            self.met,
        ]


HEADER = ["workload", "against", "fnets", "theirs", "fnets / theirs", "goal", "met"]


def table(rows: list[list[str]]) -> str:
    """Rows of cells, the first of them the header, as a Markdown table."""
    header, *rest = rows
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *rest])


def markdown(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    return table([HEADER, *[r.cells() for r in rows]])
