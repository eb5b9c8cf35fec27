"""Convolutions with too few output channels to fill vectors. May import blocks, conv_geometry, core, direct, slab, stage, text, tiles, tilings.

Neighbours in a row are the vectors, and images are read as planes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from fnets.backends.llvm.code.text import Function, Lanes
from fnets.backends.llvm.code.tiles import Columns, Sum, accumulators, columns_by, contract, nested, transposed, zeros
from fnets.backends.llvm.code.tilings import covering, divisor
from fnets.backends.llvm.kernels.blocks import FEW_IMAGES, SLAB
from fnets.backends.llvm.kernels.direct import Correlation, WeightGradient, Weights
from fnets.backends.llvm.kernels.slab import Slab
from fnets.core.ir import Eqn, Var
from fnets.primitives.conv_geometry import Ints, Step

Index = int | str


def correlation(steps: Sequence[Step], lanes: int) -> type[Correlation] | None:
    """The kind of correlation that suits steps with few channels; None for the usual one."""
    dense = steps[0].dense
    if dense.groups > 1 or dense.cout > lanes // 4 or dense.strides[2] > 1:
        return None
    widest = max([s.dense.out[2] for s in steps])
    several = max([s.dense.window for s in steps]) > 1  # for a single tap, planes cost more than they bring
    # planes are made of slabs, which are small, or else of whole images
    small = dense.batch > FEW_IMAGES and prod(dense.space) * dense.cin * 64 // lanes <= SLAB
    planes = dense.cin == 1 or Slab(steps, dense.cin, dense.out[:2]).needed or small
    return Planar if widest >= lanes // 2 and several and planes else None


def weight_gradient(step: Step, lanes: int) -> type[WeightGradient] | None:
    """The same for a weight gradient."""
    dense = step.dense
    if dense.groups > 1:
        return None
    if dense.cout <= lanes // 4 and dense.cin >= lanes // 2:
        return Swapped
    row = dense.cin == dense.cout == 1 and dense.strides[2] == 1 and dense.out[2] > 1
    return RowGradient if row else None


# ------------------------------------------------------------------ one channel to one


class RowGradient(WeightGradient):
    """The gradient of a window from one channel to one; neighbours in a row are the vectors."""

    def add(self, f: Function, a: str, b: str, w: str, sums: Sequence[Sum]) -> None:
        one, whole = Lanes(f, 1), Lanes(f, self.lanes)
        type_ = whole.type(self.dtype)
        width = sums[-1].extent
        many = width // self.lanes * self.lanes
        for steps, places, image, weights in self.tiles_of_taps(f, a, w, accumulators(self.vector_bytes)):

            def row(at: list[Index], total: list[str], steps=steps, image=image) -> list[str]:
                x, y = image, b
                for i, s in zip(at, sums):
                    x, y = (f.address(p, f.mul(i, k), self.size) for p, k in ((x, s.a), (y, s.b)))

                def products(v: Lanes, at: Index, total: Sequence[str]) -> list[str]:
                    factor = v.load(f.address(y, at, self.size), self.dtype)
                    here = f.address(x, at, self.size)
                    read = [v.load(f.address(here, s, self.size), self.dtype) for s in steps]
                    return [whole.fma(p, factor, t, self.dtype) for p, t in zip(read, total)]

                if many:
                    with f.loop(0, many, self.lanes, [(type_, t) for t in total]) as loop:
                        loop.next = products(whole, loop.index, loop.values)
                    total = loop.results
                return products(Lanes(f, self.lanes).first(width - many), many, total) if many < width else list(total)

            start = [(type_, whole.const(0, self.dtype))] * len(steps)
            for p, t in zip(places, nested(f, [int(s.extent) for s in sums[:-1]], start, row)):
                scalar, letter = one.type(self.dtype), "f32" if self.size == 4 else "f64"
                name = f"llvm.vector.reduce.fadd.v{self.lanes}{letter}"
                target = f.address(weights, p, self.size)
                t = f.call(scalar, name, (scalar, one.load(target, self.dtype)), (type_, t))
                one.store(t, target, self.dtype)


# ------------------------------------------------------------------ few output channels


class Interleaved:
    """Memory on the stack for vectors of several output channels that are to lie side by side."""

    def __init__(self, f: Function, dtype: np.dtype, outputs: int, rows: int, width: int):
        self.f, self.dtype = f, dtype
        self.outputs, self.rows, self.width = outputs, rows, width
        self.memory = f.allocate(outputs * rows * width * dtype.itemsize)

    def put(self, x: str, output: int, row: int, c: Columns) -> None:
        """Keep a vector of an output channel in a row."""
        place = (output * self.rows + row) * self.width + c.offset
        c.lanes.store(x, self.f.address(self.memory, place, self.dtype.itemsize), self.dtype)

    def write(self, row: Index, to: str, count: int, apart: int, add: bool = False) -> None:
        """Write (or add) a row's first `count` columns, `apart` elements from one to the next."""
        f, size, one = self.f, self.dtype.itemsize, Lanes(self.f, 1)
        with f.count(count) as j:
            from_ = f.address(self.memory, f.add(f.mul(row, self.width), j), size)
            target = f.address(to, f.mul(j, apart), size)
            for o in range(self.outputs):
                x = one.load(f.address(from_, o * self.rows * self.width, size), self.dtype)
                place = f.address(target, o, size)
                one.store(
                    one.binary("fadd", x, one.load(place, self.dtype), self.dtype) if add else x, place, self.dtype
                )


class Swapped(WeightGradient):
    """A weight gradient with few output channels: y's scalars times x's vectors."""

    positions = 1024

    def add(self, f: Function, a: str, b: str, w: str, sums: Sequence[Sum]) -> None:
        cin, cout = self.dense.cin, self.dense.cout
        room = accumulators(self.vector_bytes) // cout
        vectors = min(-(-cin // self.lanes), room)
        width = vectors * self.lanes
        sums = [Sum(s.extent, s.b, s.a) for s in sums]
        for k, columns in columns_by(f, cin, self.lanes, vectors):
            x, target = f.address(a, k, self.size), f.address(w, f.mul(k, cout), self.size)
            for steps, places, image, weights in self.tiles_of_taps(f, x, target, room // vectors):
                tile = [(i, c) for i in range(len(steps)) for c in columns]
                read = [c._replace(offset=steps[i] + c.offset) for i, c in tile]
                total = zeros(cout, read, self.dtype)
                total = contract(f, self.dtype, b, range(cout), image, read, sums, total)
                rows = Interleaved(f, self.dtype, cout, len(steps), width)
                for j, t in enumerate(total):
                    rows.put(t, j // len(tile), *tile[j % len(tile)])
                for i, place in enumerate(places):
                    count = width if isinstance(k, str) else min(width, cin - k)
                    rows.write(i, f.address(weights, place, self.size), count, cout, add=True)


class Planar(Correlation):
    """A correlation with few output channels: weights times vectors of neighbours in a row."""

    def __init__(self, e: Eqn, x: Var, w: Var, weights: Weights, steps: Sequence[Step], out: Ints, vector_bytes: int):
        super().__init__(e, x, w, weights, steps, out, vector_bytes)
        self.plane = prod(self.slab.shape)
        self.planes = -(-self.scratch // 64) * 64
        if self.channels > 1:
            self.scratch = self.planes + self.plane * self.channels * self.size

    @property
    def steps_of_source(self) -> Ints:
        depth, height, width = self.slab.steps
        return depth // self.channels, height // self.channels, width // self.channels

    def fill(self, *args: Any) -> tuple[str, int]:
        """A slab, channel by channel."""
        f: Function = args[0]
        source, step = super().fill(*args)
        if self.channels == 1:
            return source, step
        planes = f.op(f"getelementptr i8, ptr %scratch, i64 {self.planes}")
        n = min(self.lanes, 8)
        if min(self.plane, self.channels) >= n:  # squares, transposed in registers
            row = Lanes(f, n)
            with covering(f, self.plane, n) as i, covering(f, self.channels, n) as c:
                from_ = f.address(source, f.add(f.mul(i, self.channels), c), self.size)
                to = f.address(planes, f.add(f.mul(c, self.plane), i), self.size)
                rows = [row.load(f.address(from_, k * self.channels, self.size), self.dtype) for k in range(n)]
                for k, x in enumerate(transposed(f, self.dtype, rows)):
                    row.store(x, f.address(to, k * self.plane, self.size), self.dtype)
            return planes, self.plane * self.channels
        one, unroll = Lanes(f, 1), divisor(self.plane, 8)
        with f.count(self.plane, unroll) as i, f.count(self.channels) as c:
            from_ = f.address(source, f.add(f.mul(i, self.channels), c), self.size)
            to = f.address(planes, f.add(f.mul(c, self.plane), i), self.size)
            for k in range(unroll):
                x = one.load(f.address(from_, k * self.channels, self.size), self.dtype)
                one.store(x, f.address(to, k, self.size), self.dtype)
        return planes, self.plane * self.channels

    def _step(self, f: Function, step: Step, source: str, result: str, first: Sequence[Index]) -> None:
        dense = step.dense
        depth, height, width = dense.out
        room = accumulators(self.vector_bytes) // self.cout
        vectors = min(-(-width // self.lanes), room)
        tall = min(room // vectors, height) if self.blocks[1] == 1 else 1
        source = f.address(source, self.slab.offset(step) // self.channels, self.size)
        weights = f.address(self.pointer[self.w], self.first_tap(step), self.size)
        for k, columns in columns_by(f, width, self.lanes, vectors):
            count = vectors * self.lanes if isinstance(k, str) else min(vectors * self.lanes, width - k)
            with self.within(f, 0, first[0], depth) as qd, self.within(f, 1, first[1], height, tall) as qh:
                at = (qd, qh, k)
                y = f.address(result, self.place(f, step, at), self.size)
                b = f.address(source, self.places(f, at, first), self.size)
                self._rows(f, step, b, weights, y, [(i, c) for i in range(tall) for c in columns], count)

    def _rows(
        self, f: Function, step: Step, b: str, weights: str, y: str, tile: Sequence[tuple[int, Columns]], count: int
    ) -> None:
        """`count` columns of some rows of the result."""
        line = self.slab.strides[1] * self.steps_of_source[1]
        columns = [c._replace(offset=i * line + c.offset) for i, c in tile]
        sums = [Sum(s.extent, s.b, s.a) for s in self.taps(step)] + [Sum(self.cin, self.weights.row, self.plane)]
        sums = [s for s in sums if s.extent > 1] or sums[-1:]
        total = zeros(self.cout, columns, self.dtype)
        if step.dense.window:
            total = contract(f, self.dtype, weights, range(self.cout), b, columns, sums, total)
        down, across = self.apart(step)
        if across == 1:
            for (i, c), t in zip(tile, total):
                c.lanes.store(t, f.address(y, i * down + c.offset, self.size), self.dtype)
            return
        tall = tile[-1][0] + 1
        rows = Interleaved(f, self.dtype, self.cout, tall, self.lanes * len(tile) // tall)
        for k, t in enumerate(total):
            rows.put(t, k // len(tile), *tile[k % len(tile)])
        with f.count(tall) as i:
            rows.write(i, f.address(y, f.mul(i, down), self.size), count, across)
