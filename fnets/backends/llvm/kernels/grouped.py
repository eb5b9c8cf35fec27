"""Convolutions of groups with few channels, depthwise ones among them. May import blocks, conv_geometry, core, direct, slab, stage, text, tiles, tilings.

Vectors hold the input channels of several groups. A group's every output is summed over the window in all of these lanes by itself, channel by
channel, before anything is exchanged between lanes: sum r of lane (group g, input i) belongs to output (i + r) % outputs. So each input is
read as it lies in memory, the sums of many lanes go to another place together, and the weights are brought into that order (`Skew`):

    skewed[tap, r, (g, i)] = w[tap, i, (g, (i + r) % outputs)]

Depthwise convolutions are those with one sum and nothing to exchange.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fnets.backends.llvm.code.text import Function, Lanes
from fnets.backends.llvm.code.tiles import Columns, accumulators, balanced, nested
from fnets.backends.llvm.code.tilings import Tile, divisor
from fnets.backends.llvm.kernels.blocks import Images
from fnets.backends.llvm.kernels.direct import Correlation, Panel, WeightGradient, Weights
from fnets.backends.llvm.kernels.slab import Slab, fill_row
from fnets.backends.llvm.kernels.stage import Stage
from fnets.core.avals import ShapedArray
from fnets.core.ir import Eqn, Var
from fnets.primitives.conv_geometry import Dense, Ints, Step

Index = int | str
Pick = tuple[int, int] | None  # a vector and its lane; None where it does not matter

_UNROLLED = 8  # taps of a row
_HALF = 32  # bytes of a vector that is as good as one of twice the length


class Groups(NamedTuple):
    """So many groups of `inputs` and `outputs` channels each, by vectors of `lanes`."""

    count: int
    inputs: int
    outputs: int
    lanes: int

    @classmethod
    def of(cls, dense: Dense, lanes: int) -> Groups:
        while lanes // 2 >= dense.groups * max(dense.cin, dense.cout):
            lanes //= 2
        return cls(dense.groups, dense.cin, dense.cout, lanes)

    @property
    def together(self) -> int:
        """Groups in a vector."""
        return min(self.count, self.lanes // self.inputs)

    def blocks(self, f: Function) -> Iterator[tuple[Index, int]]:
        """(first group, number of groups) of each vector, to be written inside of the loop over them."""
        many = self.count // self.together * self.together
        with f.count(many, self.together) as g:
            yield g, self.together
        if many < self.count:
            yield many, self.count - many

    def vectors(self, f: Function, channels: int) -> list[Columns]:
        """So many channels as vectors, all of one width."""
        whole = Lanes(f, self.lanes)
        return [Columns(k, whole.first(channels - k)) for k in range(0, channels, self.lanes)]

    def exchanged(self, first: int, groups: int) -> list[list[Pick]]:
        """For each input of a group the sums and their lanes that outputs `first` and the following of a vector's groups consist of."""

        def pick(output: int, k: int) -> Pick:
            g, o = divmod(output, self.outputs)
            i = (o + k) % self.inputs
            return ((o - i) % self.outputs, g * self.inputs + i) if g < groups else None

        return [[pick(first + lane, k) for lane in range(self.lanes)] for k in range(self.inputs)]

    def spread(self, r: int, groups: int) -> list[Pick]:
        """Where output (i + r) % outputs is, in the vectors of a vector's groups, for each lane (g, i)."""

        def pick(lane: int) -> Pick:
            g, i = divmod(lane, self.inputs)
            return divmod(g * self.outputs + (i + r) % self.outputs, self.lanes) if g < groups else None

        return [pick(lane) for lane in range(self.lanes)]


def picked(v: Lanes, vectors: Sequence[str], picks: Sequence[Pick], dtype: np.dtype) -> str:
    """The lanes that are picked from some vectors."""
    out, have = "poison", [-1] * v.count
    for k in sorted({p[0] for p in picks if p}):
        new = [p[1] if p and p[0] == k else -1 for p in picks]
        if all([n in (-1, lane) for lane, n in enumerate(new)]) and out == "poison":
            out = vectors[k]
        else:
            lanes = [h if n < 0 else v.count + n for h, n in zip(have, new)]
            out = v.shuffle(out, vectors[k], lanes, dtype)
        have = [h if n < 0 else lane for lane, (h, n) in enumerate(zip(have, new))]
    return out


def suits(dense: Dense, dtype: np.dtype, vector_bytes: int) -> bool:
    """Whether a group's outputs leave vectors too empty, and those of several groups are fuller."""
    groups = Groups.of(dense, vector_bytes // dtype.itemsize)
    few = dense.cout * dtype.itemsize < _HALF
    return dense.groups > 1 and few and groups.together * dense.cin >= 2 * dense.cout


# ------------------------------------------------------------------ weights


class Skew(Stage):
    """Weights for the sums, (*window, outputs, groups * inputs), from those of a convolution; or, `back`, a weight gradient from those.

    swapped: of the input gradient: the window mirrored, inputs and outputs in each other's places.
    """

    def __init__(self, w: Var, skewed: Var, groups: Groups, swapped: bool = False, back: Sequence[Eqn] = ()):
        self.eqns, self.groups, self.swapped = list(back), groups, swapped
        self.w, self.skewed = w, skewed
        self.loaded, self.stored = ([skewed], [w]) if back else ([w], [skewed])
        self.extent = prod(w.aval.shape[:-2])

    def write(self, name: str) -> Function:
        f = self.begin(name)
        dtype, one = self.w.aval.dtype, Lanes(f, 1)
        groups, inputs, outputs, _ = self.groups
        steps = (1, inputs, groups * inputs) if self.swapped else (groups * outputs, outputs, 1)
        step_i, step_g, step_o = steps
        with f.loop("%low", "%high", 1) as to, f.count(outputs) as r, f.count(inputs) as i:
            tap = f.op(f"sub nsw i64 {self.extent - 1}, {to.index}") if self.swapped else to.index
            o = f.add(i, r)
            o = o % outputs if isinstance(o, int) else f.op(f"urem i64 {o}, {outputs}")
            at = f.add(f.add(f.mul(tap, groups * inputs * outputs), f.mul(i, step_i)), f.mul(o, step_o))
            plain = f.address(self.pointer[self.w], at, dtype.itemsize)
            at = f.add(f.mul(f.add(f.mul(to.index, outputs), r), groups * inputs), i)
            skewed = f.address(self.pointer[self.skewed], at, dtype.itemsize)
            with f.count(groups) as g:
                plain = f.address(plain, f.mul(g, step_g), dtype.itemsize)
                skewed = f.address(skewed, f.mul(g, inputs), dtype.itemsize)
                source, target = (skewed, plain) if self.eqns else (plain, skewed)
                one.store(one.load(source, dtype), target, dtype)
        f.do("ret void")
        return f


def _skewed(w: Var, groups: Groups) -> Var:
    return Var(ShapedArray((*w.aval.shape[:-2], groups.outputs, groups.count * groups.inputs), w.aval.dtype))


def correlation(
    e: Eqn, x: Var, w: Var, steps: Sequence[Step], out: Ints, vector_bytes: int, swapped: bool = False
) -> list[Stage]:
    """The stages that correlate x with weights (*window, inputs, groups * outputs), or with those of the convolution whose input gradient it is."""
    groups = Groups.of(steps[0].dense, vector_bytes // w.aval.dtype.itemsize)
    if groups.inputs == groups.outputs == 1 and not swapped:
        return [GroupedCorrelation(e, groups, x, w, steps, out, vector_bytes)]
    skewed = _skewed(w, groups)
    kernel = GroupedCorrelation(e, groups, x, skewed, steps, out, vector_bytes)
    return [Skew(w, skewed, groups, swapped), kernel]


def weight_gradient(e: Eqn, step: Step, vector_bytes: int) -> list[Stage]:
    """The stages that make the weights' gradient."""
    w = e.outvars[0]
    groups = Groups.of(step.dense, vector_bytes // w.aval.dtype.itemsize)
    if groups.inputs == groups.outputs == 1:
        return [GroupedGradient(e, groups, step, vector_bytes)]
    skewed = _skewed(w, groups)
    kernel = GroupedGradient(e, groups, step, vector_bytes, result=skewed)
    kernel.eqns = []
    return [kernel, Skew(w, skewed, groups, back=[e])]


# ------------------------------------------------------------------ kernels


class Grouped(Images):
    """What both kernels share: images are read where they are, since a copy takes long for so few sums.

    A row outside of the image is one of zeros in scratch, and what stands out of a row is not loaded. Where many taps would ask for that, there
    is a slab nevertheless.
    """

    def __init__(self, e: Eqn, groups: Groups, *args: Any, **options: Any):
        self.of = groups
        super().__init__(e, *args, **options)
        self.whole = self.slab.whole
        if self.whole:
            outside = any([self._outside(s.dense, k) for s in self.steps for k in range(2)])
            self.scratch = (self.slab.space[2] * self.channels + self.lanes) * self.size if outside else 0

    def slab_for(self, *block: int) -> Slab:
        whole = max([s.dense.taps[2] for s in self.steps]) <= _UNROLLED
        return Slab(self.steps, self.channels, block, whole)

    def begin(self, name: str, alias: bool = False) -> Function:
        f = super().begin(name, alias)
        if self.whole and self.scratch:
            fill_row(f, self.dtype, self.lanes, "%scratch", None, self.scratch // self.size)
        return f

    def _outside(self, dense: Dense, k: int) -> bool:
        """Whether windows stand out of the image's depth, height or width."""
        last = (dense.out[k] - 1) * dense.strides[k] + (dense.taps[k] - 1) * dense.dilations[k] - dense.low[k]
        return self.whole and dense.window > 0 and (dense.low[k] > 0 or last >= dense.space[k])

    def row(
        self, f: Function, dense: Dense, source: str, at: Sequence[Index], first: Sequence[Index], tap: Sequence[Index]
    ) -> str:
        """Where column 0 of the row is that the output row (depth, height) `at` of a block reads for a tap."""
        places: list[Index] = []
        inside: list[str] = []
        for k in range(2):
            i = f.add(f.mul(at[k], dense.strides[k]), f.add(f.mul(tap[k], dense.dilations[k]), -dense.low[k]))
            if self._outside(dense, k):
                inside.append(f.op(f"icmp ult i64 {i}, {dense.space[k]}"))
            if not self.whole:
                i = f.add(f.add(i, self.slab.before[k]), f.mul(first[k], -dense.strides[k]))
            places.append(i)
        left = 0 if self.whole else self.slab.before[2]
        offset = f.add(f.mul(places[0], self.slab.steps[0]), f.mul(places[1], self.slab.steps[1]))
        row = self.beyond(f, source, f.add(offset, left * self.channels))
        for condition in inside:
            row = f.op(f"select i1 {condition}, ptr {row}, ptr %scratch")
        return row

    def beyond(self, f: Function, pointer: str, offset: Index) -> str:
        """An address that may be outside of what it is computed from."""
        return f.op(f"getelementptr i{8 * self.size}, ptr {pointer}, i64 {offset}")

    def position(self, f: Function, v: Lanes, dense: Dense, row: str, column: Index, guarded: bool) -> str:
        """The vector at a column of a row; zeros for one that is not in it, if `guarded`."""
        if guarded:
            v = v.only(f.op(f"icmp ult i64 {column}, {dense.space[2]}"))
        return v.load(self.beyond(f, row, f.mul(column, self.channels)), self.dtype)

    def vector(self, f: Function, groups: int) -> Lanes:
        """The lanes of so many groups' inputs."""
        (v,) = self.of.vectors(f, groups * self.of.inputs)
        return v.lanes


class GroupedCorrelation(Grouped, Correlation):
    """A correlation with skewed weights."""

    def __init__(self, e: Eqn, groups: Groups, x: Var, w: Var, steps: Sequence[Step], out: Ints, vector_bytes: int):
        channels = groups.count * groups.inputs
        weights = Weights(groups.outputs * channels, channels, 0)
        super().__init__(e, groups, x, w, weights, steps, out, vector_bytes)

    def panels(self, f: Function, vectors: int) -> Iterator[Panel]:
        for g, count in self.of.blocks(f):
            x, y = (f.mul(g, n) for n in (self.cin, self.cout))
            yield Panel(x, x, y, self.of.vectors(f, count * self.cout), count)

    def tile(self, height: int, width: int) -> Tile:
        most = accumulators(self.vector_bytes)
        room = most // 2 if self.cout == 1 else min(most, self.vector_bytes // 2 - 2 - self.cout) // self.cout
        return Tile(1, balanced(width, max(1, room)), 1)

    def sum(
        self,
        f: Function,
        step: Step,
        tile: Tile,
        source: str,
        weights: str,
        panel: Panel,
        at: Sequence[Index],
        first: Sequence[Index],
    ) -> Sequence[str]:
        dense, v = step.dense, self.vector(f, panel.groups)
        taps, strides, dilations = dense.taps, dense.strides[2], dense.dilations[2]
        unrolled = taps[2] if self.whole else divisor(taps[2], _UNROLLED)
        begin = f.add(f.mul(at[2], strides), -dense.low[2])
        furthest = (dense.out[2] - tile.width) * strides - dense.low[2]  # the greatest that `begin` can be

        def products(place: list[Index], total: list[str]) -> list[str]:
            total = list(total)
            *_, tap = place = [*place[:2], f.mul(place[2], unrolled)]
            row = self.row(f, dense, source, at, first, place)
            w = weights
            for i, s in zip(place, self.taps(step)):
                w = f.address(w, f.mul(i, s.b), self.size)
            seen: dict[int, str] = {}  # neighbours read the same
            for t in range(unrolled):
                if self.cout > 1:  # but registers are needed for other things
                    seen = {}
                where = [t * self.taps(step)[2].b + r * self.weights.row for r in range(self.cout)]
                factors = [v.load(f.address(w, k, self.size), self.dtype) for k in where]
                for i in range(tile.width):
                    j = i * strides + t * dilations
                    if j not in seen:
                        guarded = self.whole and (j < dense.low[2] or furthest + j >= dense.space[2])
                        column = f.add(begin, f.add(f.mul(tap, dilations), j))
                        seen[j] = self.position(f, v, dense, row, column, guarded)
                    for r, k in enumerate(factors, i * self.cout):
                        total[r] = v.fma(seen[j], k, total[r], self.dtype)
            return total

        start = [(v.type(self.dtype), v.const(0, self.dtype))] * (tile.width * self.cout)
        total = nested(f, [*taps[:2], taps[2] // unrolled], start, products)
        return [
            x
            for i in range(0, len(total), self.cout)
            for c in panel.columns
            for x in self._exchanged(total[i : i + self.cout], c, panel.groups)
        ]

    def _exchanged(self, total: Sequence[str], c: Columns, groups: int) -> Iterator[str]:
        """A vector of outputs from a position's sums."""
        first, *others = [picked(c.lanes, total, p, self.dtype) for p in self.of.exchanged(c.offset, groups)]
        for x in others:
            first = c.lanes.binary("fadd", first, x, self.dtype)
        yield first


class GroupedGradient(Grouped, WeightGradient):
    """The gradient of skewed weights."""

    def block_of(self, f: Function, n: Index, first: Sequence[Index], y: str, w: str) -> None:
        dense, (_, inputs, outputs, _) = self.dense, self.of
        most = max(1, (self.vector_bytes // 2 - outputs - 2) // outputs)
        whole = next(k for k in range(4) if prod(dense.taps[k:]) <= most)  # dimensions of the window that a tile spans
        source, self.image = self.fill(f, self.slab, self.pointer[self.x], n, first, "%scratch")
        for g, count in self.of.blocks(f):
            x, b, r = (f.address(p, f.mul(g, k), self.size) for p, k in zip((source, y, w), (inputs, outputs, inputs)))
            with ExitStack() as stack:
                outer = [stack.enter_context(f.count(k)) for k in dense.taps[:whole]]
                inner = [range(k) for k in dense.taps[whole:]]
                self._tile(f, [[*outer, *t] for t in product(*inner)], count, first, x, b, r)

    def _tile(
        self,
        f: Function,
        taps: Sequence[Sequence[Index]],
        groups: int,
        first: Sequence[Index],
        x: str,
        y: str,
        w: str,
    ) -> None:
        """Add what a block of positions contributes to some taps of a vector's groups."""
        dense, v, outputs = self.dense, self.vector(f, groups), self.of.outputs
        pointers = []
        for tap in taps:
            at: Index = 0
            for i, size in zip(tap, dense.taps):
                at = f.add(f.mul(at, size), i)
            channels = self.of.count * self.of.inputs
            pointers += [
                f.address(w, f.add(f.mul(at, outputs * channels), r * channels), self.size) for r in range(outputs)
            ]
        rows = list(dict.fromkeys([tuple(tap[:2]) for tap in taps]))
        # outputs whose windows stand out of their rows are those in front and those behind
        stride, reach = dense.strides[2], (dense.taps[2] - 1) * dense.dilations[2] - dense.low[2]
        width = dense.out[2]
        front = min(width, max(0, -(-dense.low[2] // stride))) if self.whole else 0
        behind = max(front, min(width, (dense.space[2] - reach - 1) // stride + 1)) if self.whole else width

        def row(place: list[Index], total: list[str]) -> list[str]:
            i, *q = place
            image = f.address(x, f.mul(i, self.image), self.size)
            at = [f.add(a, b) for a, b in zip(first, q)]
            lines = {r: self.row(f, dense, image, at, first, r) for r in rows}
            line = f.add(f.mul(i, dense.positions), f.mul(f.add(f.mul(q[0], dense.out[1]), q[1]), width))
            b = f.address(y, f.mul(line, self.outputs), self.size)

            def products(column: Index, total: Sequence[str], guarded: bool) -> list[str]:
                factors = self._spread(f, v, f.address(b, f.mul(column, self.outputs), self.size), groups)
                begin = f.add(f.mul(column, stride), -dense.low[2])
                out = []
                for k, tap in enumerate(taps):
                    at = f.add(begin, f.mul(tap[2], dense.dilations[2]))
                    p = self.position(f, v, dense, lines[tuple(tap[:2])], at, guarded)
                    out += [v.fma(p, s, t, self.dtype) for s, t in zip(factors, total[k * outputs :])]
                return out

            if front < behind:
                with f.loop(front, behind, 1, [(v.type(self.dtype), t) for t in total]) as loop:
                    loop.next = products(loop.index, loop.values, guarded=False)
                total = loop.results
            if rest := width - behind + front:
                with f.loop(0, rest, 1, [(v.type(self.dtype), t) for t in total]) as loop:
                    after = f.add(loop.index, behind - front)
                    at = f.op(f"select i1 {f.op(f'icmp slt i64 {loop.index}, {front}')}, i64 {loop.index}, i64 {after}")
                    loop.next = products(at, loop.values, guarded=True)
                total = loop.results
            return total

        start = [(v.type(self.dtype), v.load(p, self.dtype)) for p in pointers]
        for p, t in zip(pointers, nested(f, [self.images, *self.block], start, row)):
            v.store(t, p, self.dtype)

    def _spread(self, f: Function, v: Lanes, y: str, groups: int) -> list[str]:
        """The factors of a position for each sum."""
        vectors = [
            c.lanes.load(f.address(y, c.offset, self.size), self.dtype)
            for c in self.of.vectors(f, groups * self.of.outputs)
        ]
        return [picked(v, vectors, self.of.spread(r, groups), self.dtype) for r in range(self.of.outputs)]
