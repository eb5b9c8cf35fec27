"""Windows as stages: extremes with their places, sums, and moving values to and from places. May import core, operations, stage, text, tiles.

Vectors run along the trailing axes over which no window lies (channels-last), or, where the windows lie along the last axis, along the row
of results: then neighbours are `stride` elements apart, and shuffles pick them from whole vectors. What padding takes from a window is
left out of the loops over its taps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fnets.backends.llvm.code.operations import maximum, minimum
from fnets.backends.llvm.code.text import BOOL, DOUBLE, INT32, INT64, SINGLE, Function, Lanes
from fnets.backends.llvm.code.tiles import Columns, Offset, columns_by
from fnets.backends.llvm.kernels.stage import Stage
from fnets.core.ir import Eqn, Var

_TILE = 4  # vectors that go through a window together
_UNROLL = 16  # vectors of a tile times taps that are written out
_MOST_STEPS, _MOST_TAPS = 4, 8  # beyond that a row of windows is done one by one


class _Axis(NamedTuple):
    """Windows along one axis: result o sees, for tap r, element o * stride + r * dilation - low of the `n`, if it exists.

    x, y: elements from one index of the array, and of the windows' results, to the next.
    """

    n: int
    out: int
    window: int
    stride: int
    low: int
    dilation: int
    x: int
    y: int

    @property
    def is_plain(self) -> bool:
        return self.window == 1 and self.stride == 1 and self.low == 0 and self.n == self.out

    def taps(self, o: int) -> tuple[int, int]:
        """The taps of a result that exist: from, to."""
        shift = self.low - o * self.stride
        return max(0, -(-shift // self.dilation)), min(self.window, (self.n - 1 + shift) // self.dilation + 1)

    @property
    def inside(self) -> tuple[int, int]:
        """The results whose taps all exist: from, to."""
        reach = self.n - 1 - (self.window - 1) * self.dilation + self.low
        first = min(self.out, -(-self.low // self.stride))
        return first, max(first, min(self.out, reach // self.stride + 1))

    @property
    def is_full(self) -> bool:
        return self.inside == (0, self.out)

    @property
    def never_empty(self) -> bool:
        first, end = self.inside
        return all([a < b for a, b in map(self.taps, (*range(first), *range(end, self.out)))])

    @property
    def is_disjoint(self) -> bool:
        return self.out == 1 or (self.window - 1) * self.dilation < self.stride

    @property
    def is_tiled(self) -> bool:
        """Every element belongs to one tap."""
        tiles = self.low == 0 and self.stride == self.window and self.dilation == 1
        return self.out * self.stride == self.n if tiles else self.is_plain


def _axes(e: Eqn, x: Var, y: Var) -> list[_Axis]:
    """One for each axis, but for those without a window, which are taken together with others like them that come before (not with the first)."""
    p, axes, step_x, step_y = e.params, [], 1, 1
    for k in range(x.aval.ndim - 1, -1, -1):
        n, out = x.aval.shape[k], y.aval.shape[k]
        window, stride, (low, _), dilation = (
            p[f][k] for f in ("window_dimensions", "window_strides", "padding", "window_dilation")
        )
        a = _Axis(n, out, window, stride, low, dilation, step_x, step_y)
        step_x, step_y = step_x * n, step_y * out
        if not a.is_plain or k == 0:
            axes.insert(0, a)
        elif n > 1:
            if axes and axes[0].is_plain:
                axes[0] = axes[0]._replace(n=axes[0].n * n, out=axes[0].n * n)
            else:
                axes.insert(0, a)
    return axes


class _Kind(NamedTuple):
    """What a primitive does: `forward` combines a window's elements, otherwise a value goes to them; by the place `index` or all of them."""

    forward: bool
    combine: str = ""  # "max", "min", "sum" or "pick" the one at the place
    index: bool = False


_KINDS = {
    "reduce_window_max": _Kind(True, "max"),
    "reduce_window_min": _Kind(True, "min"),
    "reduce_window_sum": _Kind(True, "sum"),
    "reduce_window_argmax": _Kind(True, "max", True),
    "reduce_window_argmin": _Kind(True, "min", True),
    "window_gather": _Kind(True, "pick", True),
    "window_scatter": _Kind(False, index=True),
    "window_spread": _Kind(False),
}


class Windows(Stage):
    """One of the primitives on windows."""

    def __init__(self, e: Eqn, vector_bytes: int):
        self.eqns = [e]
        self.kind = kind = _KINDS[e.prim.name]
        self.loaded: list[Var] = [v for v in e.invars if type(v) is Var]
        self.stored = list(e.outvars)
        first, result = self.loaded[0], self.stored[0]
        self.x, self.y = (first, result) if kind.forward else (result, first)
        places = [v for v in (*self.loaded, *self.stored) if v not in (self.x, self.y)]
        self.index = places[0] if places else None
        self.dtype = result.aval.dtype
        # numbers of taps in a register: as wide as the elements
        self.counter = INT32 if self.dtype == SINGLE else INT64
        self.axes = _axes(e, self.x, self.y)
        self.columns = 1
        if len(self.axes) > 1 and self.axes[-1].is_plain:
            self.columns = self.axes.pop().n
        self.disjoint = all([a.is_disjoint for a in self.axes])
        self.width = vector_bytes // self.dtype.itemsize
        last = self.axes[-1]
        inside = last.inside[1] - last.inside[0]
        self.in_rows = (
            self.columns == 1 and inside >= 4 and last.stride <= _MOST_STEPS and last.window <= _MOST_TAPS
        ) and not last.is_plain
        if self.in_rows:
            self.width = min(self.width, 1 << (inside - 1).bit_length())
        if self.axes[0].is_plain:
            self.extent = self.axes[0].n
            self.aligned = frozenset(self.buffers)

    @property
    def nanoseconds(self) -> float:
        lanes = self.width if self.in_rows else min(self.width, self.columns)
        taps = prod([a.window for a in self.axes])
        memory = sum([v.aval.size * v.aval.dtype.itemsize for v in self.buffers])
        return 0.015 * memory + self.y.aval.size * (1 + taps) / lanes

    # ------------------------------------------------------------------ loops over windows

    def write(self, name: str) -> Function:
        self.f = f = self.begin(name)
        if not self.kind.forward and not (self.disjoint and all([a.is_tiled for a in self.axes])):
            size = self.dtype.itemsize
            row = self.x.aval.size // self.extent
            low, high = f.mul("%low", row * size), f.mul("%high", row * size)
            nbytes = f.op(f"sub i64 {high}, {low}")
            begin = f.address(self.pointer[self.x], low, 1)
            f.call("void", "llvm.memset.p0.i64", ("ptr", begin), ("i8", "0"), ("i64", nbytes), ("i1", "false"))
        self._results(0, 0, [])
        f.do("ret void")
        return f

    def _results(self, x: Offset, y: Offset, taps: list[tuple[Offset, Offset]]) -> None:
        """Loop over the results of the axes that are left; `taps` are those that exist, for each axis before."""
        k, f = len(taps), self.f
        if k == len(self.axes):
            self._columns(x, y, taps)
            return
        a = self.axes[k]
        if self.in_rows and k == len(self.axes) - 1:
            self._row(x, y, taps)
        elif k == 0 and self.extent > 1:
            with f.loop("%low", "%high", 1) as loop:
                self._result(loop.index, x, y, taps)
        elif a.out == 1:
            self._result(0, x, y, taps)
        else:
            with f.loop(0, a.out, 1) as loop:
                self._result(loop.index, x, y, taps)

    def _result(self, o: Offset, x: Offset, y: Offset, taps: list[tuple[Offset, Offset]]) -> None:
        """What belongs to result `o` of the next axis."""
        f, a = self.f, self.axes[len(taps)]
        x = f.add(f.add(x, f.mul(o, a.stride * a.x)), -a.low * a.x)
        self._results(x, f.add(y, f.mul(o, a.y)), [*taps, self._existing(a, o)])

    def _existing(self, a: _Axis, o: Offset) -> tuple[Offset, Offset]:
        if a.is_full:
            return 0, a.window
        if isinstance(o, int):
            return a.taps(o)
        f, one = self.f, Lanes(self.f, 1)
        shift = f.op(f"sub nsw i64 {a.low}, {f.mul(o, a.stride)}")
        first, end = f.add(shift, a.dilation - 1), f.add(shift, a.n - 1)
        if a.dilation > 1:
            first, end = f.op(f"sdiv i64 {first}, {a.dilation}"), f.op(f"sdiv i64 {end}, {a.dilation}")
        end = f.add(end, 1)
        return (
            one.intrinsic("smax", INT64, str(first), "0"),
            one.intrinsic("smin", INT64, str(end), str(a.window)),
        )

    def _columns(self, x: Offset, y: Offset, taps: list[tuple[Offset, Offset]]) -> None:
        """One window, for all columns."""
        f = self.f
        for at, c in columns_by(f, self.columns, self.width, _TILE):
            self._window(c, f.add(x, at), f.add(y, at), taps)

    def _window(self, columns: Sequence[Columns], x: Offset, y: Offset, taps: list[tuple[Offset, Offset]]) -> None:
        """One window, for a tile of columns."""
        f = self.f
        lanes = [c.lanes for c in columns]
        results = [f.add(y, c.offset) for c in columns]
        given = [self._given(v, at) for v, at in zip(lanes, results)]

        def tap(x: Offset, number: Offset, running: list[list[str]]) -> list[list[str]]:
            places = [self._at(self.x, f.add(x, c.offset)) for c in columns]
            if self.kind.forward:
                return [
                    self._combine(v, g, r, v.load(p, self.dtype), number)
                    for v, g, r, p in zip(lanes, given, running, places)
                ]
            for v, g, p in zip(lanes, given, places):
                self._give(v, self._share(v, g, number), p)
            return running

        running = self._taps(x, taps, lanes, tap)
        for v, r, at in zip(lanes, running, results):
            self._store(v, r, at)

    def _taps(
        self,
        x: Offset,
        taps: Sequence[tuple[Offset, Offset]],
        lanes: Sequence[Lanes],
        body: Callable[[Offset, Offset, list[list[str]]], list[list[str]]],
    ) -> list[list[str]]:
        """Run `body` on every tap of the first axes: where it is in x, its number, and each vector's running values, which it returns."""
        f = self.f
        first: Offset = 0
        for a, (low, _) in zip(self.axes, taps):
            first = f.add(f.mul(first, a.window), low)
        first = f.mul(first, prod([a.window for a in self.axes[len(taps) :]]))
        running = [self._start(v, first) for v in lanes]
        types = [t for v, r in zip(lanes, running) for t in (v.type(self.dtype), v.type(self.counter))[: len(r)]]

        def nest(k: int, x: Offset, number: Offset, running: list[list[str]]) -> list[list[str]]:
            if k == len(taps):
                return body(x, number, running)
            a, (low, high) = self.axes[k], taps[k]

            def at(r: Offset, running: list[list[str]]) -> list[list[str]]:
                return nest(k + 1, f.add(x, f.mul(r, a.dilation * a.x)), f.add(f.mul(number, a.window), r), running)

            written_out = prod([b.window for b in self.axes[k:]]) * len(lanes) <= _UNROLL
            if isinstance(low, int) and isinstance(high, int) and (written_out or high - low == 1):
                for r in range(low, high):
                    running = at(r, running)
                return running
            with f.loop(low, high, 1, list(zip(types, [x for r in running for x in r]))) as loop:
                loop.next = [x for r in at(loop.index, _split(loop.values, len(lanes))) for x in r]
            return _split(loop.results, len(lanes))

        return nest(0, x, 0, running)

    # ------------------------------------------------------------------ a row of windows along the last axis

    def _row(self, x: Offset, y: Offset, taps: list[tuple[Offset, Offset]]) -> None:
        """The results of the last axis: vectors of those whose taps all exist, the others one by one."""
        f, a = self.f, self.axes[-1]
        first, end = a.inside
        others = first + a.out - end
        if others:
            with f.loop(0, others, 1) as loop:
                skip = f.op(f"select i1 {f.op(f'icmp slt i64 {loop.index}, {first}')}, i64 0, i64 {end - first}")
                self._result(f.op(f"add i64 {loop.index}, {skip}"), x, y, taps)
        full = first + (end - first) // self.width * self.width
        lanes = Lanes(f, self.width)
        if full > first:
            with f.loop(first, full, self.width) as loop:
                self._row_vector(lanes, loop.index, self.width, x, y, taps)
        if full < end:
            self._row_vector(lanes.first(end - full), full, end - full, x, y, taps)

    def _row_vector(
        self, lanes: Lanes, o: Offset, count: int, x: Offset, y: Offset, taps: list[tuple[Offset, Offset]]
    ) -> None:
        """`count` neighbouring results from `o` on, one in each lane."""
        f, a = self.f, self.axes[-1]
        x = f.add(f.add(x, f.mul(o, a.stride)), -a.low)
        y = f.add(y, o)
        given = self._given(lanes, y)
        # the taps by where the vectors that hold their elements begin, and the first of these there
        groups: dict[int, dict[int, int]] = {}
        for r in range(a.window):
            base = r * a.dilation // a.stride * a.stride
            groups.setdefault(base, {})[r * a.dilation - base] = r

        def row(x: Offset, number: Offset, running: list[list[str]]) -> list[list[str]]:
            own = running[0]
            number = f.mul(number, a.window)
            for base, phases in groups.items():
                places = self._places(lanes, f.add(x, base), (count - 1) * a.stride + max(phases) + 1)
                if not self.kind.forward:
                    shares = {p: self._share(lanes, given, f.add(number, r)) for p, r in phases.items()}
                    for k, (part, place) in enumerate(places):
                        self._give(part, self._interleaved(lanes, shares, k), place)
                    continue
                vectors = [part.load(place, self.dtype) for part, place in places]
                for phase, r in phases.items():
                    own = self._combine(lanes, given, own, self._picked(lanes, vectors, phase), f.add(number, r))
            return [own]

        running = self._taps(x, taps, [lanes], row)
        self._store(lanes, running[0], y)

    def _places(self, lanes: Lanes, x: Offset, count: int) -> list[tuple[Lanes, str]]:
        """The vectors that hold `count` elements from `x` on."""
        starts = range(0, count, lanes.count)
        return [(lanes.of(lanes.count).first(count - k), self._at(self.x, self.f.add(x, k))) for k in starts]

    def _picked(self, lanes: Lanes, vectors: list[str], phase: int) -> str:
        """Every `stride`-th element of vectors side by side, from `phase` on."""
        n, stride = lanes.count, self.axes[-1].stride
        out = vectors[0]
        if stride == 1:
            return out
        sources = [i * stride + phase for i in range(n)]
        for k in range(1, max(2, len(vectors))):
            v = vectors[k] if k < len(vectors) else "poison"
            before = [s if k == 1 else i for i, s in enumerate(sources)]
            picks = [b if s < k * n else n + s - k * n if s < (k + 1) * n else -1 for s, b in zip(sources, before)]
            out = lanes.shuffle(out, v, picks, self.dtype)
        return out

    def _interleaved(self, lanes: Lanes, shares: dict[int, str], k: int) -> str:
        """Vector `k` of those whose element `i * stride + phase` is `shares[phase][i]`, with zeros in between."""
        n, stride = lanes.count, self.axes[-1].stride
        if stride == 1:
            return shares[0]
        wanted = [divmod(k * n + i, stride) for i in range(n)]
        out = "zeroinitializer"
        for j, (phase, v) in enumerate(sorted(shares.items())):
            picks = [n + q if p == phase else i if j else 0 for i, (q, p) in enumerate(wanted)]
            out = lanes.shuffle(out, v, picks, self.dtype)
        return out

    # ------------------------------------------------------------------ one vector of results

    def _at(self, v: Var, offset: Offset) -> str:
        return self.f.address(self.pointer[v], offset, v.aval.dtype.itemsize)

    def _number(self, lanes: Lanes, number: Offset) -> str:
        """The number of a tap in every lane."""
        if isinstance(number, int):
            return lanes.const(number, self.counter)
        if self.counter == INT32:
            number = self.f.op(f"trunc i64 {number} to i32")
        return lanes.splat(number, self.counter)

    def _given(self, lanes: Lanes, y: Offset) -> list[str]:
        """What is known before the first tap: the value that a window's elements are given, the number of the place that counts."""
        out = []
        if not self.kind.forward:
            value = lanes.load(self._at(self.y, y), self.dtype)
            if self.index is None:  # a sum that begins at zero: without negative zeros
                value = lanes.binary("fadd", value, lanes.const(0, self.dtype), self.dtype)
            out.append(value)
        if self.index in self.loaded:
            stored = self.index.aval.dtype
            x = lanes.load(self._at(self.index, y), stored)
            out.append(x if stored == self.counter else lanes.cast("zext", x, stored, self.counter))
        return out

    def _start(self, lanes: Lanes, first: Offset) -> list[str]:
        """The running values before the first tap: nothing, the extreme or sum, and the number of its place."""
        if not self.kind.forward:
            return []
        out = [lanes.const(self._identity(), self.dtype)]
        return [*out, self._number(lanes, first)] if self.index in self.stored else out

    def _identity(self) -> float:
        if self.kind.combine == "pick":
            return 0.0
        if self.kind.combine == "sum":  # what NumPy's sums begin with: nothing, or zero where padding is
            return -0.0 if all([a.is_full for a in self.axes]) else 0.0
        return -np.inf if self.kind.combine == "max" else np.inf

    def _combine(self, lanes: Lanes, given: list[str], running: list[str], x: str, number: Offset) -> list[str]:
        """The running values after one more tap."""
        dtype, best = self.dtype, running[0]
        if self.kind.combine == "sum":
            return [lanes.binary("fadd", best, x, dtype)]
        if self.kind.combine == "pick":
            return [lanes.select(self._is_here(lanes, given, number), x, best, dtype)]
        if self.index is None:
            return [(maximum if self.kind.combine == "max" else minimum)(lanes, x, best, dtype)]
        # a nan wins, the first one
        beats = lanes.compare("ugt" if self.kind.combine == "max" else "ult", x, best, dtype)
        better = lanes.binary("and", beats, lanes.compare("ord", best, best, dtype), BOOL)
        place = lanes.select(better, self._number(lanes, number), running[1], self.counter)
        return [lanes.select(better, x, best, dtype), place]

    def _is_here(self, lanes: Lanes, given: list[str], number: Offset) -> str:
        return lanes.compare("eq", given[-1], self._number(lanes, number), self.counter)

    def _store(self, lanes: Lanes, running: list[str], y: Offset) -> None:
        for v, x, dtype in zip(self.stored, running, (self.dtype, self.counter)):
            stored = v.aval.dtype
            lanes.store(x if stored == dtype else lanes.cast("trunc", x, dtype, stored), self._at(v, y), stored)

    def _share(self, lanes: Lanes, given: list[str], number: Offset) -> str:
        """What a tap's element is given."""
        if self.index is None:
            return given[0]
        return lanes.select(self._is_here(lanes, given, number), given[0], lanes.const(0, self.dtype), self.dtype)

    def _give(self, lanes: Lanes, value: str, place: str) -> None:
        if not self.disjoint:
            value = lanes.binary("fadd", lanes.load(place, self.dtype), value, self.dtype)
        lanes.store(value, place, self.dtype)


def _split(values: list[str], count: int) -> list[list[str]]:
    """A list in `count` lists of one length."""
    n = len(values) // count
    return [values[i * n : i * n + n] for i in range(count)]


def lower(e: Eqn, vector_bytes: int) -> list[Stage] | None:
    """The stage of an equation, or None: other dtypes, nothing to do, or windows that see nothing but padding."""
    operands = [v for v in e.invars if type(v) is Var]
    if len(operands) < len(e.invars) or any([v.aval.size == 0 for v in (*operands, *e.outvars)]):
        return None
    if e.outvars[0].aval.dtype not in (SINGLE, DOUBLE) or not e.outvars[0].aval.ndim:
        return None
    stage = Windows(e, vector_bytes)
    return [stage] if all([a.never_empty for a in stage.axes]) else None


LOWER: dict[str, Any] = dict.fromkeys(_KINDS, lower)
