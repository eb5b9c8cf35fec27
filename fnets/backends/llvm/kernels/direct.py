"""Convolutions as direct sums. May import blocks, conv_geometry, core, stage, text, tiles, tilings.

The forward pass and the input gradient are correlations: register tiles of output positions times output channels, summed over window and input
channels. The weight gradient is a tile of weights, summed over output positions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import NamedTuple

from fnets.backends.llvm.code.text import Function, Lanes
from fnets.backends.llvm.code.tiles import (
    Columns,
    Sum,
    accumulators,
    balanced,
    columns_by,
    contract,
    load,
    store,
    zeros,
)
from fnets.backends.llvm.code.tilings import Tile, covering, divisor, step_cost, tile_for
from fnets.backends.llvm.kernels.blocks import SLAB, Images
from fnets.backends.llvm.kernels.stage import Stage
from fnets.core.ir import Eqn, Var
from fnets.primitives.conv_geometry import Ints, Step

Index = int | str

# ------------------------------------------------------------------ correlations


class Weights(NamedTuple):
    """How weights lie in memory: elements from tap to tap, from input channel to input channel, and from group to group."""

    tap: int
    row: int
    group: int


class Panel(NamedTuple):
    """Vectors of output channels that are summed together, of so many groups, and where their first element is in the image, weights and result."""

    x: Index
    w: Index
    y: Index
    columns: list[Columns]
    groups: int = 1


class Correlation(Images):
    """out[n, q, o] = sum over taps and channels of x[n, q * strides + ..., c] * w[tap, c, o], for each dense step in its place of the result."""

    def __init__(self, e: Eqn, x: Var, w: Var, weights: Weights, steps: Sequence[Step], out: Ints, vector_bytes: int):
        result = e.outvars[0]
        groups, cin, cout = steps[0].dense.groups, steps[0].dense.cin, steps[0].dense.cout
        super().__init__(e, steps, groups * cin, vector_bytes)
        self.loaded, self.stored = [x, w], [result]
        self.x, self.w, self.result, self.weights, self.out = x, w, result, weights, out
        self.cin, self.cout = cin, cout
        self.cut(result.aval.shape[0], tuple([max([s.dense.out[k] for s in steps]) for k in range(3)]))
        self.aligned = frozenset([] if self.by_blocks else [x, result])

    def write(self, name: str) -> Function:
        f = self.begin(name)
        with self.each_block(f) as (n, first):
            positions = prod(self.out) * self.groups * self.cout
            result = f.address(self.pointer[self.result], f.mul(n, positions), self.size)
            source, _ = self.fill(f, self.slab, self.pointer[self.x], n, first, "%scratch")
            for step in self.steps:
                if prod(step.dense.out):
                    self._step(f, step, source, result, first)
        f.do("ret void")
        return f

    def panels(self, f: Function, vectors: int) -> Iterator[Panel]:
        """Panels of so many vectors, to be written inside of the loops over them."""
        with f.count(self.groups) as g:
            x, w, y = (f.mul(g, n) for n in (self.cin, self.weights.group, self.cout))
            for k, columns in columns_by(f, self.cout, self.lanes, vectors):
                yield Panel(x, f.add(w, k), f.add(y, k), columns)

    def _step(self, f: Function, step: Step, source: str, result: str, first: Sequence[Index]) -> None:
        depth, height, width = step.dense.out
        tile = self.tile(1 if self.blocks[1] > 1 else height, width)
        weights = f.address(self.pointer[self.w], self.first_tap(step), self.size)
        for panel in self.panels(f, tile.vectors):
            x, b, y = (f.address(p, k, self.size) for p, k in zip((source, weights, result), panel))
            with (
                self.within(f, 0, first[0], depth) as qd,
                self.within(f, 1, first[1], height, tile.height) as qh,
                covering(f, width, tile.width) as qw,
            ):
                self._tile(f, step, tile, x, b, y, panel, (qd, qh, qw), first)

    def tile(self, height: int, width: int) -> Tile:
        """The register tile for so many output positions."""
        return tile_for(height, width, -(-self.cout // self.lanes), self.vector_bytes)

    def first_tap(self, step: Step) -> int:
        window = self.w.aval.shape[:-2]
        offset = 0
        for size, s in zip((*(1,) * (3 - len(window)), *window), step.taps or (slice(0, None),) * 3):
            offset = offset * size + s.start
        return offset * self.weights.tap if step.dense.window else 0

    def taps(self, step: Step) -> list[Sum]:
        """The loops over the window, with their steps in the slab and in the weights."""
        window = self.w.aval.shape[:-2]
        window = (*(1,) * (3 - len(window)), *window)
        dense = step.dense
        skips = [s.step or 1 for s in step.taps or (slice(None),) * 3]
        tap_steps = [prod(window[k + 1 :]) * self.weights.tap * skips[k] for k in range(3)]
        return [Sum(n, d * s, t) for n, d, s, t in zip(dense.taps, dense.dilations, self.steps_of_source, tap_steps)]

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
        """The sums over window and channels for a tile; the loops are one where neighbours in the window are neighbours in both arrays."""
        _, down, across = [stride * s for stride, s in zip(step.dense.strides, self.slab.steps)]
        rows = [i * down + j * across for i in range(tile.height) for j in range(tile.width)]
        a = f.address(source, f.add(self.slab.offset(step), self.places(f, at, first)), self.size)
        sums = self.taps(step)
        if sums[2].a == self.cin and sums[2].b == self.cin * self.weights.row:
            sums[2:] = [Sum(sums[2].extent * self.cin, 1, self.weights.row)]
        else:
            sums.append(Sum(self.cin, 1, self.weights.row))
        sums = [s for s in sums if s.extent > 1] or sums[-1:]
        total = zeros(len(rows), panel.columns, self.dtype)
        return contract(f, self.dtype, a, rows, weights, panel.columns, sums, total)

    def _tile(
        self,
        f: Function,
        step: Step,
        tile: Tile,
        source: str,
        weights: str,
        result: str,
        panel: Panel,
        at: Sequence[Index],
        first: Sequence[Index],
    ) -> None:
        if step.dense.window:
            total = self.sum(f, step, tile, source, weights, panel, at, first)
        else:
            total = zeros(tile.height * tile.width, panel.columns, self.dtype)
        y = f.address(result, self.place(f, step, at), self.size)
        down, across = self.apart(step)
        places = [i * down + j * across for i in range(tile.height) for j in range(tile.width)]
        store(f, self.dtype, y, places, panel.columns, total)

    def place(self, f: Function, step: Step, at: Sequence[Index]) -> Index:
        """Where the result's output position `at` of a step is."""
        offset: Index = 0
        for q, s, size in zip(at, step.place or (slice(0, None),) * 3, self.out):
            offset = f.add(f.mul(offset, size), f.add(f.mul(q, s.step or 1), s.start))
        return f.mul(offset, self.groups * self.cout)

    def apart(self, step: Step) -> tuple[int, int]:
        """How far apart in the result a step's neighbours are, below each other and in a row."""
        _, down, across = [s.step or 1 for s in step.place or (slice(None),) * 3]
        return down * self.out[2] * self.groups * self.cout, across * self.groups * self.cout


class Mirrored(Stage):
    """The weights of an input gradient: the window mirrored, its channels swapped. (*window, C, O) becomes (*window, O, C)."""

    def __init__(self, w: Var, mirrored: Var):
        self.eqns, self.loaded, self.stored = [], [w], [mirrored]
        self.dtype = w.aval.dtype
        *window, self.cin, self.cout = w.aval.shape
        self.extent = prod(window)

    def write(self, name: str) -> Function:
        f = self.begin(name)
        size, unroll = self.dtype.itemsize, divisor(self.cin, 64 // self.dtype.itemsize)  # lines of the result
        w, mirrored = (self.pointer[v] for v in self.buffers)
        one = Lanes(f, 1)
        tap = self.cin * self.cout
        with f.loop("%low", "%high", 1) as to, f.count(self.cin, unroll) as c, f.count(self.cout) as o:
            from_ = f.op(f"sub nsw i64 {self.extent - 1}, {to.index}")
            source = f.address(w, f.add(f.add(f.mul(from_, tap), f.mul(c, self.cout)), o), size)
            target = f.address(mirrored, f.add(f.add(f.mul(to.index, tap), f.mul(o, self.cin)), c), size)
            for k in range(unroll):
                x = one.load(f.address(source, k * self.cout, size), self.dtype)
                one.store(x, f.address(target, k, size), self.dtype)
        f.do("ret void")
        return f


# ------------------------------------------------------------------ the weight gradient


class Taps(NamedTuple):
    """How the weights' rows (taps and channels) are cut: dimensions from `cut` + 1 on whole, `size` of dimension `cut`, loops over the others."""

    cut: int
    size: int
    vectors: int


def taps_for(dims: Sequence[int], vectors: int, vector_bytes: int) -> Taps:
    """The tile of weights that takes the least time.

    >>> taps_for((1, 3, 96), 2, 64), taps_for((1, 3, 3), 1, 64)
    (Taps(cut=2, size=12, vectors=2), Taps(cut=0, size=1, vectors=1))
    """
    best, least = Taps(len(dims) - 1, 1, 1), float("inf")
    for v in range(1, min(vectors, 4 if vector_bytes == 64 else 3) + 1):
        room, whole, cut = accumulators(vector_bytes) // v, 1, len(dims) - 1
        while cut > 0 and whole * dims[cut] <= room:
            whole *= dims[cut]
            cut -= 1
        size = balanced(dims[cut], max(1, room // whole))
        groups = (v,) * (vectors // v) + (vectors % v,) * (vectors % v > 0)
        sizes = (size,) * (dims[cut] // size) + (dims[cut] % size,) * (dims[cut] % size > 0)
        cost = prod(dims[:cut]) * sum([step_cost(whole * n, g) for g in groups for n in sizes])
        if cost < least:
            best, least = Taps(cut, size, v), cost
    return best


class WeightGradient(Images):
    """w[tap, c, o] = sum over images and positions of x[n, q * strides + ..., c] * y[n, q, o].

    each: a gradient for each image instead, side by side: w[tap, c, n, o] from y[0, q, n, o].
    result: what is made, if not the equation's result.
    """

    positions = 128  # that are summed before a tile is stored: what they read stays in L1

    def __init__(self, e: Eqn, step: Step, vector_bytes: int, each: bool = False, result: Var | None = None):
        x, y = e.invars
        result = result or e.outvars[0]
        assert type(x) is Var and type(y) is Var
        dense, self.each = step.dense, each
        super().__init__(e, [step], dense.groups * dense.cin, vector_bytes)
        self.loaded, self.stored, self.accumulated = [x, y], [result], frozenset([result])
        self.x, self.y, self.result, self.dense = x, y, result, dense
        self.outputs = dense.groups * dense.cout * (dense.batch if each else 1)
        self.cut(dense.batch, dense.out, whole=True)
        self.aligned = frozenset([] if self.by_blocks else [x] if each else [x, y])
        self._cut_images()

    def _cut_images(self) -> None:
        """Blocks of several images where one is too small for sums worth loading a tile for, and parts that are worth adding up."""
        dense = self.dense
        if not self.by_blocks and not self.each and prod(self.blocks) == 1:
            fits = max(1, min(SLAB // (self.scratch or 1), 512 // dense.positions))
            self.images = divisor(dense.batch, fits)
        self.scratch *= self.images

    def write(self, name: str) -> Function:
        f = self.begin(name)
        self.images = divisor(math.gcd(self.chunk, self.extent), self.images)
        dense = self.dense
        _, height, width = dense.out
        with self.each_block(f) as (n, first):
            own = f.mul(n, dense.cout) if self.each else 0  # the first output channel that belongs to the image
            depth = first[0] if self.each else f.add(f.mul(n, dense.out[0]), first[0])
            at = f.add(f.mul(f.add(f.mul(depth, height), first[1]), width * self.outputs), own)
            y = f.address(self.pointer[self.y], at, self.size)
            self.block_of(f, n, first, y, f.address(self.pointer[self.result], own, self.size))
        f.do("ret void")
        return f

    def block_of(self, f: Function, n: Index, first: Sequence[Index], y: str, w: str) -> None:
        """Add what a block of positions contributes to the weights."""
        dense, slab = self.dense, self.slab
        _, height, width = dense.out
        rows = divisor(self.block[1], max(1, self.positions // width))
        if rows * width < 64:
            rows = self.block[1]
        source, image_step = self.fill(f, slab, self.pointer[self.x], n, first, "%scratch")
        down, line = slab.strides[1] * slab.steps[1], width * self.outputs
        sums = [
            Sum(self.images, image_step, dense.positions * self.outputs),
            Sum(self.block[0], slab.strides[0] * slab.steps[0], height * line),
            Sum(rows, down, line),
            Sum(width, slab.strides[2] * slab.steps[2], self.outputs),
        ]
        sums = [s for s in sums if s.extent > 1] or sums[-1:]
        with f.count(self.groups) as g, f.count(self.block[1], rows) as h:
            a = f.add(f.add(f.mul(h, down), slab.offset(self.steps[0])), f.mul(g, dense.cin))
            b = f.add(f.mul(h, line), f.mul(g, dense.cout))
            offsets = zip((source, y, w), (a, b, f.mul(g, dense.cout)))
            self.add(f, *[f.address(p, k, self.size) for p, k in offsets], sums)

    def taps(self) -> list[Sum]:
        """The dimensions of the window, with their steps in the slab and in the weights."""
        dense = self.dense
        steps = [prod(dense.taps[k + 1 :]) * dense.cin * self.outputs for k in range(3)]
        return [Sum(n, d * s, t) for n, d, s, t in zip(dense.taps, dense.dilations, self.slab.steps, steps)]

    def add(self, f: Function, a: str, b: str, w: str, sums: Sequence[Sum]) -> None:
        """Add the products of a block of positions to all weights of a group."""
        dense = self.dense
        dims = [*self.taps(), Sum(dense.cin, 1, self.outputs)]
        if dims[2].a == dense.cin:  # neighbours in the window are neighbours in the image
            dims[2:] = [Sum(dense.taps[2] * dense.cin, 1, self.outputs)]
        extents = [d.extent for d in dims]
        taps = taps_for(extents, -(-dense.cout // self.lanes), self.vector_bytes)
        inner = [(0, 0)]
        for d in dims[taps.cut + 1 :]:
            inner = [(x + i * d.a, r + i * d.b) for x, r in inner for i in range(d.extent)]
        cut = dims[taps.cut]

        def tile(x: str, r: str, i: Index, count: int, y: str, columns: list[Columns]) -> None:
            x, r = (f.address(p, f.mul(i, s), self.size) for p, s in ((x, cut.a), (r, cut.b)))
            rows = [(i * cut.a + p, i * cut.b + q) for i in range(count) for p, q in inner]
            places = [q for _, q in rows]
            total = load(f, self.dtype, r, places, columns)
            total = contract(f, self.dtype, x, [p for p, _ in rows], y, columns, sums, total)
            store(f, self.dtype, r, places, columns, total)

        for k, columns in columns_by(f, dense.cout, self.lanes, taps.vectors):
            y, r = (f.address(p, k, self.size) for p in (b, w))
            with self.outer(f, dims[: taps.cut], a, r) as (x, r):
                many = cut.extent // taps.size * taps.size
                with f.count(many, taps.size) as i:
                    tile(x, r, i, taps.size, y, columns)
                if many < cut.extent:
                    tile(x, r, many, cut.extent - many, y, columns)

    def tiles_of_taps(self, f: Function, a: str, w: str, most: int) -> Iterator[tuple[list[int], list[int], str, str]]:
        """Loops over the taps, but for up to `most` at once: (steps of these in the slab, in the weights, slab, weights)."""
        taps = self.taps()
        inner = [(0, 0)]
        while taps and len(inner) * taps[-1].extent <= most:
            d = taps.pop()
            inner = [(i * d.a + x, i * d.b + r) for i in range(d.extent) for x, r in inner]
        with self.outer(f, taps, a, w) as (a, w):
            yield [x for x, _ in inner], [r for _, r in inner], a, w

    @contextmanager
    def outer(self, f: Function, dims: Sequence[Sum], x: str, r: str) -> Iterator[tuple[str, str]]:
        """Loops over the dimensions that a tile does not span."""
        if not dims:
            yield x, r
            return
        with f.count(dims[0].extent) as i:
            x, r = (f.address(p, f.mul(i, s), self.size) for p, s in ((x, dims[0].a), (r, dims[0].b)))
            with self.outer(f, dims[1:], x, r) as inner:
                yield inner
