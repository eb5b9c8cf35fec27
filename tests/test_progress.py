"""Progress bars: the tutorial's text to the letter, and what is written to terminals, notebooks and log files."""

import io
import itertools
import os
import re
import time

import pytest

from fnets.errors import ArgumentError
from fnets.progress import Progress, _speed, progress, progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


class FakeClock:
    """Stands for the `time` module: `monotonic` moves only when told."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now

    def time(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    fake = FakeClock()
    monkeypatch.setattr("fnets.progress.time", fake)
    return fake


# Lines printed by the tutorial's own progress bar, recorded from the original.
RECORDED = [
    (
        (0, 937, "Training:", "", 0),
        "\rTraining:   0% | [                                                  ] | Time: 0m 0s",
    ),
    (
        (460, 937, "Training:", "", 75),
        "\rTraining:  49% | [========================                          ] | Time: 1m 15s",
    ),
    (
        (936, 937, "Training:", "", 27),
        "\rTraining:  99% | [================================================= ] | Time: 0m 27s",
    ),
    (
        (937, 937, "Training:", "", 27),
        "\rTraining: 100% | [==================================================] | Time: 0m 27s | Done !\n",
    ),
    ((3, 10, "P", "loss 0.1", None), "\rP  30% | [===============                                   ] | loss 0.1"),
]


@pytest.mark.parametrize(("case", "text"), RECORDED)
def test_the_tutorials_text(clock, case, text):
    current, total, prefix, suffix, elapsed = case
    start = None if elapsed is None else clock.now - elapsed - 0.3
    assert progress_bar(current, total, prefix, suffix, start) == text


def test_edges_of_the_text():
    assert progress_bar(0, 0, width=4) == "\r100% | [====] | Done !\n"
    assert progress_bar(7, 5, width=4).endswith("Done !\n")
    assert progress_bar(1, 3, width=10, suffix="s") == "\r 33% | [===       ] | s"


def drawings(stream):
    return [line.rstrip(" ") for line in re.split(r"[\r\n]", stream.getvalue()) if line]


def test_a_terminal_sees_at_most_ten_drawings_a_second_and_one_newline(clock):
    out = Terminal()
    seen = []
    for i in progress(range(1000), "Go:", file=out, width=10):
        seen.append(i)
        clock.now += 0.01
    assert seen == list(range(1000))
    lines = drawings(out)
    assert 95 <= len(lines) <= 102
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().endswith("\n")
    assert lines[0] == "Go:   0% | [          ] | Time: 0m 0s"
    assert re.fullmatch(r"Go:  50% \| \[=====     \] \| Time: 0m 5s \| ETA: 0m [45]s \| 100 it/s", lines[50])
    assert lines[-1] == "Go: 100% | [==========] | Time: 0m 10s | 100 it/s | Done !"


def test_a_log_file_gets_plain_lines_only(clock):
    out = io.StringIO()
    for _ in progress(range(200), file=out):
        clock.now += 1.0
    assert "\r" not in out.getvalue()
    lines = out.getvalue().splitlines()
    assert len(lines) == 4  # after 60, 120 and 180 seconds, and at the end
    assert lines[0].startswith("Training:  30% | [")
    assert "ETA: 2m 20s" in lines[0]
    assert lines[-1].endswith("| Done !")


def test_a_short_loop_leaves_one_line_in_a_log_file():
    out = io.StringIO()
    assert list(progress(range(3), file=out)) == [0, 1, 2]
    assert len(out.getvalue().splitlines()) == 1


def test_a_notebook_is_redrawn():
    stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    list(progress(range(3), file=stream))
    assert stream.getvalue().startswith("\r")
    assert stream.getvalue().endswith("Done !\n")


@pytest.mark.parametrize("make", [Terminal, io.StringIO])
def test_an_exception_ends_the_line_without_done(make):
    out = make()
    with pytest.raises(KeyError):
        for i in progress(range(10), file=out):
            if i == 4:
                raise KeyError
    assert "Done" not in out.getvalue()
    assert out.getvalue().endswith("\n")
    assert " 40% |" in drawings(out)[-1]


def test_break_ends_the_line_without_done():
    out = Terminal()
    bar = progress(range(10), file=out)
    for i in bar:
        if i == 4:
            break
    assert "Done" not in out.getvalue()
    assert out.getvalue().endswith("\n")


def test_as_context_manager():
    out = Terminal()
    with progress(prefix="Copying:", total=5000, unit="B", file=out) as bar:
        for _ in range(5):
            bar.update(1000)
    assert bar.count == 5000
    assert "Copying: 100%" in out.getvalue()
    assert "B/s" in out.getvalue()
    assert out.getvalue().endswith("Done !\n")

    for total, error in ((10, False), (4, True)):
        out = io.StringIO()
        try:
            with progress(total=total, file=out) as bar:
                bar.update(4)
                if error:
                    raise OSError
        except OSError:
            pass
        assert "Done" not in out.getvalue()  # not all was done, or it failed
        assert out.getvalue().endswith("\n")


def test_unknown_length_shows_a_count():
    out = io.StringIO()
    list(progress((i for i in range(7)), "Reading:", file=out))
    assert re.fullmatch(r"Reading: 7 it \| Time: 0m 0s \| .*/s \| Done !\n", out.getvalue())


def test_a_shorter_iterable_than_promised_still_ends_at_100_percent():
    out = io.StringIO()
    list(progress(range(5), total=9, file=out))
    assert "100%" in out.getvalue()


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (0.25, "4 s/it"),
        (1, "1 it/s"),
        (2.345, "2.35 it/s"),
        (1234.5, "1234 it/s"),
        (12345, "12.3 kit/s"),
        (999_600, "1 Mit/s"),
        (35.7e6, "35.7 Mit/s"),
        (5e18, "5e+06 Tit/s"),
    ],
)
def test_speeds(rate, text):
    assert _speed(rate, "it") == text


def test_initial_counts_as_done_but_not_as_speed(clock):
    out = io.StringIO()
    for _ in progress(range(10), total=100, initial=90, file=out):
        clock.now += 1
    assert "1 it/s" in out.getvalue()
    assert "100%" in out.getvalue()


def test_suffix_may_change_and_leaves_nothing_behind(clock):
    out = Terminal()
    bar = progress(range(3), file=out, width=10, suffix="a long suffix")
    for _ in bar:
        bar.suffix = "short"
        clock.now += 1
    screens = out.getvalue().split("\r")
    for before, after in itertools.pairwise(screens[1:]):
        assert len(after.rstrip("\n")) >= len(before.rstrip(" \n"))
    assert "short" in screens[-1]


@pytest.mark.parametrize("columns", [200, 80, 60, 40, 20, 12, 1])
def test_lines_fit_the_terminal(clock, monkeypatch, columns):
    monkeypatch.setattr("fnets.progress._columns", lambda file: columns)
    out = Terminal()
    for _ in progress(range(30), file=out, suffix="loss 0.1"):
        clock.now += 1
    longest = max(len(line) for line in drawings(out))
    assert longest < max(columns, 2)
    if columns >= 60:
        assert "[" in out.getvalue()
    if columns == 40:
        assert out.getvalue().endswith("Done !\n")


def test_the_width_is_asked_of_the_terminal_itself():
    leader, follower = os.openpty()
    with os.fdopen(leader, "rb", buffering=0) as reader, os.fdopen(follower, "w") as out:
        import fcntl
        import struct
        import termios

        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 50, 0, 0))
        list(progress(range(3), file=out))
        text = ""
        while "Done !" not in text:  # one read may return a part of what was written
            text += reader.read(4096).decode()
    assert all(len(line) < 50 for line in re.split(r"[\r\n]", text))


def test_every_loop_over_a_bar_starts_afresh():
    out = io.StringIO()
    bar = progress([1, 2], file=out)
    assert list(bar) == list(bar) == [1, 2]
    assert out.getvalue().count("Done !") == 2


def test_without_a_stream_nothing_is_written(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    assert list(progress(range(3))) == [0, 1, 2]


def test_looping_over_nothing_is_explained():
    with pytest.raises(ArgumentError, match=r"\[progress\] expected an iterable.*bar.update"):
        iter(Progress(total=3)).__next__()


def test_overhead_is_below_a_microsecond_an_item():
    items = range(100_000)

    def seconds(iterable):
        start = time.perf_counter()
        for _ in iterable:
            pass
        return time.perf_counter() - start

    best = min(seconds(progress(items, file=Terminal())) - seconds(items) for _ in range(5))
    assert best / len(items) < 1e-6
