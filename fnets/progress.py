"""Progress bars in the terminal, a notebook or a log file. Lives here: the bar's text as a pure function, and a wrapper
that draws it. May import fnets.errors alone."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TextIO, TypeVar

from fnets.errors import ArgumentError

T = TypeVar("T")
_NARROWEST = 10  # columns of bar below which the bar itself is dropped


def _bar(prefix: str, percent: int, width: int) -> str:
    filled = percent * width // 100
    return f"{prefix}{' ' if prefix else ''}{percent:3d}% | [{'=' * filled}{' ' * (width - filled)}]"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m {rest}s"


def _percent(current: float, total: float) -> int:
    return 100 if current >= total else max(int(100 * current / total), 0)


def progress_bar(
    current: int, total: int, prefix: str = "", suffix: str = "", start_time: float | None = None, width: int = 50
) -> str:
    r"""The text of a progress bar, to be printed with `end=""`; it starts with a carriage return and ends with a
    newline once done.

    Args:
        current: items done so far, `0 <= current <= total`.
        total: items in all; 0 counts as done.
        prefix: text before the percentage.
        suffix: text after the bar.
        start_time: `time.time()` at the start, to show the time elapsed in minutes and seconds.
        width: characters between the brackets.

    >>> progress_bar(3, 10, "Training:", "loss 0.1", width=10)
    '\rTraining:  30% | [===       ] | loss 0.1'
    >>> progress_bar(10, 10, width=10)
    '\r100% | [==========] | Done !\n'
    """
    parts = [_bar(prefix, _percent(current, total), width)]
    if suffix:
        parts.append(suffix)
    if start_time is not None:
        parts.append(f"Time: {_clock(max(time.time() - start_time, 0))}")
    if current >= total:
        parts.append("Done !\n")
    return "\r" + " | ".join(parts)


def _speed(rate: float, unit: str) -> str:
    if rate < 1:
        return f"{1 / rate:.3g} s/{unit}"
    if rate < 10_000:
        return f"{rate:.0f} {unit}/s" if rate >= 100 else f"{rate:.3g} {unit}/s"
    power = min(int(math.log10(rate * 1.0005)) // 3, 4)  # what rounds to 1000 is 1 of the next
    return f"{rate / 1000**power:.3g} {' kMGT'[power]}{unit}/s"


def _in_notebook(file: Any) -> bool:
    return type(file).__module__.startswith("ipykernel")


def _columns(file: Any) -> int | None:
    """Width of the terminal behind `file`, or None where there is none."""
    try:
        return os.get_terminal_size(file.fileno()).columns or None
    except (OSError, ValueError, AttributeError):
        return None


class Progress(Generic[T]):
    """A bar that counts: iterate over it, or use it as a context manager and call `update`.

    `suffix` may be set at any time, it appears with the next drawing. See `progress` for the arguments.

    >>> import io
    >>> with Progress(total=4, prefix="Reading:", file=io.StringIO()) as bar:
    ...     bar.update(4)
    >>> bar.count
    4
    """

    def __init__(
        self,
        iterable: Iterable[T] | None = None,
        prefix: str = "Training:",
        total: int | None = None,
        file: TextIO | None = None,
        *,
        suffix: str = "",
        initial: int = 0,
        unit: str = "it",
        width: int = 50,
        interval: float = 0.1,
        log_interval: float = 60.0,
    ):
        if total is None and hasattr(iterable, "__len__"):
            total = len(iterable)  # type: ignore[arg-type]
        self.iterable, self.prefix, self.suffix, self.unit, self.width = iterable, prefix, suffix, unit, width
        self._promised, self.total, self.count, self.initial = total, total, initial, initial
        self.file = sys.stdout if file is None else file
        tty = getattr(self.file, "isatty", bool)
        self._live = _in_notebook(self.file) or tty()
        self._interval = interval if self._live else log_interval
        self._open = False
        self._shown = 0  # characters on the terminal's line, to be wiped by a shorter one

    def __iter__(self) -> Iterator[T]:
        if self.iterable is None:
            raise ArgumentError(
                "[progress] expected an iterable to loop over, got none. "
                "Pass one, or use it as `with progress(total=n) as bar: bar.update()`."
            )
        self._start()
        finished, clock = False, time.monotonic
        try:
            for item in self.iterable:
                yield item
                self.count += 1
                if clock() >= self._due:
                    self._draw()
            finished = True
        finally:  # reached by break and by exceptions too: the generator is closed then
            self._finish(finished)

    def __enter__(self) -> Progress[T]:
        self._start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._finish(kind is None and (self.total is None or self.count >= self.total))

    def update(self, n: int = 1) -> None:
        """Count `n` more items as done; draws at most ten times a second."""
        self.count += n
        if self._open and time.monotonic() >= self._due:
            self._draw()

    def _start(self) -> None:
        self.total, self.count, self._open = self._promised, self.initial, True
        self._began = self._last_time = time.monotonic()
        self._last_count, self._rate = self.count, 0.0
        self._due = self._began + self._interval
        if self._live:
            self._write(self.line())

    def _draw(self) -> None:
        now = time.monotonic()
        passed = now - self._last_time
        if passed > 0:  # a moving average, so that the rate follows a change within a second or two
            rate = (self.count - self._last_count) / passed
            self._rate = 0.7 * self._rate + 0.3 * rate if self._rate else rate
        self._last_time, self._last_count, self._due = now, self.count, now + self._interval
        self._write(self.line())

    def _finish(self, done: bool) -> None:
        if not self._open:
            return
        self._open = False
        if done and self.total is not None:
            self.total = self.count  # an iterable may end before its promised length
        elapsed = time.monotonic() - self._began
        self._rate = (self.count - self.initial) / elapsed if elapsed > 0 else 0.0
        self._write(self.line(done=done, over=True), end="\n")

    def line(self, done: bool = False, over: bool = False) -> str:
        """The text as it would be drawn now, cut to the terminal's width; without carriage return or newline."""
        elapsed = time.monotonic() - self._began
        tail = [f"Time: {_clock(elapsed)}"]
        if self.total is not None and self._rate > 0 and not over:
            tail.append(f"ETA: {_clock(max(self.total - self.count, 0) / self._rate)}")
        if self._rate > 0:
            tail.append(_speed(self._rate, self.unit))
        if done:
            tail.append("Done !")
        room = _columns(self.file) if self._live else None
        return self._fit(tail, None if room is None else room - 1)

    def _fit(self, tail: list[str], room: int | None) -> str:
        """Shrink the bar, then drop it, then drop parts of the tail, until the line has `room` characters."""
        suffix = [str(self.suffix)] if self.suffix else []
        gap = " " if self.prefix else ""

        def text(width: int) -> str:
            if self.total is None:
                head = f"{self.prefix}{gap}{self.count} {self.unit}"
            else:
                head = _bar(self.prefix, _percent(self.count, self.total), max(width, 0))
                head = head if width >= _NARROWEST else head.removesuffix(" | []")
            return " | ".join([head, *suffix, *tail])

        if room is None:
            return text(self.width)
        spare = room - len(text(_NARROWEST))
        if spare >= 0:
            return text(min(self.width, _NARROWEST + spare))
        tail = list(tail)
        while len(tail) > 1 and len(text(0)) > room:
            tail.pop(-2)  # keeps the speed or "Done !", which stand last
        return text(0)[: max(room, 1)]

    def _write(self, line: str, end: str = "") -> None:
        if self.file is None:  # a program without a console has no sys.stdout
            return
        if self._live:
            self.file.write("\r" + line + " " * (self._shown - len(line)) + end)
            self._shown = len(line)
        else:
            self.file.write(line + "\n")
        self.file.flush()


def progress(
    iterable: Iterable[T] | None = None,
    prefix: str = "Training:",
    total: int | None = None,
    file: TextIO | None = None,
    **options: Any,
) -> Progress[T]:
    """Draw a bar with rate and remaining time while looping over `iterable`.

    On a terminal or in a notebook the line is redrawn at most ten times a second and fitted to the width; anywhere else
    (a log file, a pipe) no carriage return is ever written: one plain line a minute, and one at the end. The line
    closes with `Done !` only if the loop ran to its end.

    Args:
        iterable: what to loop over; without it use `with progress(total=n) as bar: ... bar.update()`.
        prefix: text before the percentage.
        total: number of items, `len(iterable)` when it has one; without it a count is shown instead of a bar.
        file: stream to write to, `sys.stdout` unless given.
        **options: `suffix` (text, may be changed as `bar.suffix = ...`), `initial` (items done before the start),
            `unit` ("it"), `width` of the bar (50), `interval` between drawings (0.1 s), `log_interval` between lines of
            a log (60 s).

    Raises:
        ArgumentError: when iterated without an iterable.

    >>> import io, re
    >>> log = io.StringIO()
    >>> sum(progress(range(5), "Adding:", file=log, width=10))
    10
    >>> re.sub(r"Time: .* [|]", "Time: ... |", log.getvalue())
    'Adding: 100% | [==========] | Time: ... | Done !\\n'
    """
    return Progress(iterable, prefix, total, file, **options)
