"""Windows over arrays in NumPy: extremes with their places, sums, and moving values between an array and the places. May import conv_geometry, threads.

A window along one axis reads input i = q * stride + r * dilation - low for tap r of output q. For every tap the outputs whose input exists
form a box, so padding is never stored: what lies outside of the array just doesn't take part. Extremes and sums go axis by axis. The
place of an extreme is the number of its tap in row-major order, the first one at ties; one number too high means that there is none.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fnets.errors import ArgumentError
from fnets.primitives.conv_geometry import Ints, Pads, dilated, out_space
from fnets.primitives.threads import run_blocks

_BLOCK_ELEMENTS = 1 << 16
_MANY_ELEMENTS = 1 << 19  # below, a second thread costs more than it brings
_MANY_TAPS = 16


class Tap(NamedTuple):
    """The outputs for which a tap's input exists, and that input."""

    box: tuple[slice, ...]
    source: tuple[slice, ...]


class Axis(NamedTuple):
    """An axis along which windows lie: its taps, and whether all of them exist everywhere."""

    axis: int
    window: int
    out: int
    taps: list[Tap]
    full: bool
    tiled: bool  # windows lie side by side, without gaps or padding


def _axis_taps(axis: int, n: int, out: int, window: int, stride: int, low: int, dilation: int) -> list[Tap]:
    lead = (slice(None),) * axis
    taps = []
    for r in range(window):
        shift = r * dilation - low
        first = min(max(0, -(shift // stride)), out)
        end = max(first, min(out, (n - 1 - shift) // stride + 1))
        source = slice(first * stride + shift, (end - 1) * stride + shift + 1, stride) if end > first else slice(0, 0)
        taps.append(Tap((*lead, slice(first, end)), (*lead, source)))
    return taps


class Windows:
    """All that the shapes and parameters of windows over an array determine."""

    def __init__(self, shape: Ints, window: Ints, strides: Ints, padding: Pads, dilation: Ints):
        self.shape, self.window = shape, window
        self.out = out_space(shape, window, strides, padding, (1,) * len(shape), dilation)
        self.count = prod(window)
        self.axes: list[Axis] = []
        self.disjoint = True
        self.steps = [prod(shape[k + 1 :]) for k in range(len(shape))]
        self.firsts = []  # per axis: input index of every output's first tap
        for k, (n, m, w, s, (lo, hi), d) in enumerate(zip(shape, self.out, window, strides, padding, dilation)):
            self.firsts.append(np.arange(m, dtype=np.intp) * s - lo)
            if (w, s, lo, hi) == (1, 1, 0, 0):
                continue
            taps = _axis_taps(k, n, m, w, s, lo, d)
            full = all([box[k] == slice(0, m) for box, _ in taps])
            self.axes.append(Axis(k, w, m, taps, full, full and lo == 0 and d == 1 and (m == 1 or s == w)))
            if m > 1 and dilated(w, d) > s:
                self.disjoint = False
        self.full = all([a.full for a in self.axes])
        self.index_dtype = np.dtype(np.uint8 if self.count < 255 else np.int32)
        shifts = itertools.product(
            *[[r * d * step for r in range(w)] for w, d, step in zip(window, dilation, self.steps)]
        )
        self.shifts = np.array([*map(sum, shifts), 0], np.intp)
        self.inactive_first = bool(shape) and not any(a.axis == 0 for a in self.axes)

    @functools.cached_property
    def taps(self) -> list[Tap]:
        """Every tap of the window, row-major."""
        whole = [slice(None)] * len(self.shape)
        out = []
        for combination in itertools.product(*[a.taps for a in self.axes]):
            box, source = list(whole), list(whole)
            for a, tap in zip(self.axes, combination):
                box[a.axis], source[a.axis] = tap.box[-1], tap.source[-1]
            out.append(Tap(tuple(box), tuple(source)))
        return out

    @functools.cached_property
    def starts(self) -> np.ndarray:
        """Flat position in the array of the first tap of every output, without the first axis if no windows lie along it."""
        total = np.zeros((), np.intp)
        for k in range(1 if self.inactive_first else 0, len(self.shape)):
            total = np.add.outer(total, self.firsts[k] * self.steps[k])
        return total

    def positions(self, index: np.ndarray) -> np.ndarray:
        """Flat position, in the part of the array that `index` is about, of the tap that it names."""
        out = self.shifts.take(index)
        out += self.starts
        if self.inactive_first:
            out += (np.arange(len(index), dtype=np.intp) * self.steps[0]).reshape(-1, *(1,) * (index.ndim - 1))
        return out

    def share(self, body: Callable[[Any], None]) -> None:
        """Run `body(index)` on ranges of the first axis that fit into the cache, or once on all if windows lie along that axis."""
        n, size = self.shape[0] if self.shape else 1, prod(self.shape)
        if not self.inactive_first or size <= _BLOCK_ELEMENTS:
            body(...)
            return
        rows = max(1, _BLOCK_ELEMENTS * n // size)
        count = -(-n // rows)

        def run(indices: Iterable[int]) -> None:
            for i in indices:
                body(slice(i * rows, (i + 1) * rows))

        if size < _MANY_ELEMENTS:
            run(range(count))
        else:
            run_blocks(count, run)


@functools.lru_cache(maxsize=512)
def windows(op: str, shape: Ints, window: Ints, strides: Ints, padding: Pads, dilation: Ints) -> Windows:
    """The checked windows; `op` names the operation in errors."""
    given = {"window_dimensions": window, "window_strides": strides, "padding": padding, "window_dilation": dilation}
    for name, value in given.items():
        if len(value) != len(shape):
            raise ArgumentError(
                f"[{op}] expected {name} with one entry per axis of the operand {shape}, got {value}. Use 1 for axes without a window."
            )
        if name != "padding" and any(v < 1 for v in value):
            raise ArgumentError(f"[{op}] expected {name} of positive ints, got {value}.")
    return Windows(shape, window, strides, padding, dilation)


# ------------------------------------------------------------------ extremes and sums, axis by axis


def _along(ufunc: np.ufunc, x: np.ndarray, a: Axis, identity: Any, out: np.ndarray | None) -> np.ndarray:
    """Combine the taps of one axis, into `out` if it is given."""
    taps = a.taps
    if a.full:
        if len(taps) == 1:
            return x[taps[0].source]
        if a.out == 1 and a.tiled and a.window > 4:
            return ufunc.reduce(x[(*taps[0].source[:-1], slice(a.window))], a.axis, x.dtype, out, True)
        out = ufunc(x[taps[0].source], x[taps[1].source], out=out)
        for tap in taps[2:]:
            ufunc(out, x[tap.source], out=out)
        return out
    if out is None:
        shape = list(x.shape)
        shape[a.axis] = a.out
        out = np.empty(shape, x.dtype)
    out.fill(identity)
    for tap in taps:
        part = out[tap.box]
        ufunc(part, x[tap.source], out=part)
    return out


def _combine(ufunc: np.ufunc, x: np.ndarray, y: np.ndarray, w: Windows, identity: Any) -> None:
    part = x
    for a in w.axes:
        part = _along(ufunc, part, a, identity, y if a is w.axes[-1] else None)
    if part is not y:
        y[...] = part


def combine(ufunc: np.ufunc, x: np.ndarray, w: Windows, identity: Any) -> np.ndarray:
    """The windows' elements combined by a ufunc; `identity` where a window sees none."""
    y = np.empty(w.out, x.dtype)
    w.share(lambda rows: _combine(ufunc, x[rows], y[rows], w, identity))
    return y


def spread(ct: np.ndarray, w: Windows) -> np.ndarray:
    """The transpose of the windows' sum: every element gets the sum of the windows that see it."""
    x = np.empty(w.shape, ct.dtype)

    def body(rows: Any) -> None:
        part = ct[rows]
        for a in reversed(w.axes):
            shape = list(part.shape)
            shape[a.axis] = w.shape[a.axis]
            out = np.zeros(shape, ct.dtype)
            for tap in a.taps:
                target = out[tap.source]
                np.add(target, part[tap.box], out=target)
            part = out
        x[rows] = part

    w.share(body)
    return x


# ------------------------------------------------------------------ places


def extreme(ufunc: np.ufunc, x: np.ndarray, w: Windows, identity: Any) -> list[np.ndarray]:
    """`combine` by maximum or minimum, and where: the first tap that equals the extreme (or is NaN where it is), `w.count` if there is none."""
    y, index = np.empty(w.out, x.dtype), np.empty(w.out, w.index_dtype)

    def body(rows: Any) -> None:
        _combine(ufunc, x[rows], y[rows], w, identity)
        _places(x[rows], y[rows], w, index[rows])

    w.share(body)
    return [y, index]


def _places(x: np.ndarray, y: np.ndarray, w: Windows, index: np.ndarray) -> None:
    some_nan = y.size > 0 and x.dtype.kind not in "iub" and bool(np.isnan(np.maximum.reduce(y, None)))
    if w.count > _MANY_TAPS and all([a.tiled for a in w.axes]):
        index[...] = _places_in_tiles(x, y, w, some_nan)
        return
    missing = np.ones(y.shape, bool)
    counted = missing.view(np.uint8)
    index.fill(0)
    surely = w.full and not some_nan  # if no other tap equals the extreme, the last one does
    for tap in w.taps[:-1] if surely else w.taps:
        own = x[tap.source]
        part = missing[tap.box]
        differs = own != y[tap.box]
        if some_nan:
            differs &= own == own
        np.logical_and(part, differs, out=part)
        np.add(index, counted, out=index)


def _places_in_tiles(x: np.ndarray, y: np.ndarray, w: Windows, some_nan: bool) -> np.ndarray:
    """Places in windows that lie side by side: one search instead of a pass for every tap."""
    tiles = {a.axis: a for a in w.axes}
    x = x[tuple([slice(tiles[k].out * tiles[k].window) if k in tiles else slice(None) for k in range(x.ndim)])]
    split: list[int] = []
    kept, inner = [], []
    for k, n in enumerate(x.shape):
        kept.append(len(split))
        split += [tiles[k].out, tiles[k].window] if k in tiles else [n]
        if k in tiles:
            inner.append(len(split) - 1)
    rows = x.reshape(split).transpose(*kept, *inner).reshape(*y.shape, w.count)
    found = rows == y[..., None]
    if some_nan:
        found |= rows != rows
    return found.argmax(-1)


def gather(x: np.ndarray, index: np.ndarray, w: Windows) -> np.ndarray:
    """The elements at the places, 0 where there is none."""
    y = np.empty(w.out, x.dtype)

    def body(rows: Any) -> None:
        own = index[rows]
        none = own == w.count
        lost = none.any()
        positions = w.positions(own)
        if lost:
            positions[none] = 0
        y[rows] = x[rows].reshape(-1).take(positions)
        if lost:
            y[rows][none] = 0

    if y.size:
        w.share(body)
    return y


def scatter(ct: np.ndarray, index: np.ndarray, w: Windows) -> np.ndarray:
    """The transpose of `gather`: every place gets the sum of what belongs to it."""
    x = np.zeros(w.shape, ct.dtype)

    def body(rows: Any) -> None:
        own, values = index[rows], ct[rows]
        target = x[rows].reshape(-1)
        positions = w.positions(own)
        none = own == w.count
        if none.any():
            positions, values = positions[~none], values[~none]
        if w.disjoint:
            target[positions.reshape(-1)] = values.reshape(-1)
        else:
            np.add.at(target, positions.reshape(-1), values.reshape(-1))

    if ct.size:
        w.share(body)
    return x
