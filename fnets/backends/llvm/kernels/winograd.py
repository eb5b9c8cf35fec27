"""Winograd's convolutions of 3x3 windows: fewer products on transformed tiles. May import blocks, conv_geometry, core, slab, stage, text, tiles, tilings.

F(m x m, 3 x 3) makes m * m outputs from (m + 2) * (m + 2) products for each pair of channels (Lavin and Gray, https://arxiv.org/abs/1509.09308):

    y = A' [(G w G') * (B' x B)] A            w's gradient = G' [(B' x B) * (A y A')] G

where * is elementwise in the tile and a matrix product in the channels. F(2 x 2) has the error of a direct sum, F(4 x 4) about 1e-5 of the largest result.
An infinity or NaN of the input makes all results of its tiles NaN, not just those whose window it is in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import NamedTuple

import numpy as np

from fnets.backends.llvm.code.text import SINGLE, Function, Lanes
from fnets.backends.llvm.code.tiles import Columns, Sum, balanced, contract, load, store, zeros
from fnets.backends.llvm.code.tilings import covering, divisor, tile_for
from fnets.backends.llvm.kernels.blocks import FEW_IMAGES, FLOPS, Images
from fnets.backends.llvm.kernels.slab import Slab, fill_row
from fnets.backends.llvm.kernels.stage import Stage
from fnets.core.avals import ShapedArray
from fnets.core.ir import Eqn, Var
from fnets.primitives.conv_geometry import Dense, Step

Index = int | str
Matrix = Sequence[Sequence[float]]

_SCRATCH = 1 << 19  # bytes of a block's transformed tiles, unless that is too few for weights that come from L3
_SIZE = SINGLE.itemsize
_CHANNELS = 16  # at least: a vector of the widest kind
_LINE = 64 // _SIZE  # elements of a cache line


class Form(NamedTuple):
    """F(m x m, 3 x 3): its matrices as products of sparse ones, the last of which is applied first."""

    m: int
    data: Sequence[Matrix]  # B', for tiles of the input
    window: Sequence[Matrix]  # G
    result: Sequence[Matrix]  # A', for tiles of the output

    @property
    def t(self) -> int:
        """Positions along a tile."""
        return self.m + 2

    @property
    def products(self) -> int:
        """Positions of a tile."""
        return self.t * self.t


def transposed(matrices: Sequence[Matrix]) -> list[Matrix]:
    """The transpose of a product."""
    return [list(zip(*matrix)) for matrix in reversed(matrices)]


F2 = Form(
    2,
    [[[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]],
    [[[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]],
    [[[1, 1, 1, 0], [0, 1, -1, -1]]],
)
# sums and differences of what belongs to the points 1 and -1, 2 and -2
_PAIRS = [
    [1, 0, 0, 0, 0, 0],
    [0, 1, 1, 0, 0, 0],
    [0, 1, -1, 0, 0, 0],
    [0, 0, 0, 1, 1, 0],
    [0, 0, 0, 1, -1, 0],
    [0, 0, 0, 0, 0, 1],
]
F4 = Form(
    4,
    [
        _PAIRS,
        [
            [4, 0, -5, 0, 1, 0],
            [0, 0, -4, 0, 1, 0],
            [0, -4, 0, 1, 0, 0],
            [0, 0, -1, 0, 1, 0],
            [0, -2, 0, 2, 0, 0],
            [0, 4, 0, -5, 0, 1],
        ],
    ],
    [
        _PAIRS,
        [[1 / 4, 0, 0], [-1 / 6, 0, -1 / 6], [0, -1 / 6, 0], [1 / 24, 0, 1 / 6], [0, 1 / 12, 0], [0, 0, 1]],
    ],
    [
        [[1, 1, 0, 1, 0, 0], [0, 0, 1, 0, 2, 0], [0, 1, 0, 4, 0, 0], [0, 0, 1, 0, 8, 1]],
        _PAIRS,
    ],
)


def multiply(v: Lanes, matrices: Sequence[Matrix], values: Sequence[str]) -> list[str]:
    """A product of constant matrices times a column of vectors."""
    for matrix in reversed(matrices):
        values = [_combination(v, row, values) for row in matrix]
    return list(values)


def _combination(v: Lanes, row: Sequence[float], values: Sequence[str]) -> str:
    """The sum of `row` times `values`, which begins with a factor of 1 where there is one."""
    terms = sorted([(c != 1, k) for k, c in enumerate(row) if c])
    total = ""
    for _, k in terms:
        c, x = row[k], values[k]
        if not total:
            total = x if c == 1 else v.binary("fmul", x, v.const(c, SINGLE), SINGLE)
        elif abs(c) == 1:
            total = v.binary("fadd" if c == 1 else "fsub", total, x, SINGLE)
        else:
            total = v.fma(x, v.const(c, SINGLE), total, SINGLE)
    return total


def sandwich(v: Lanes, matrices: Sequence[Matrix], tile: Sequence[Sequence[str]]) -> list[list[str]]:
    """M X M' for a square tile of vectors."""
    columns = [multiply(v, matrices, column) for column in zip(*tile)]
    return [multiply(v, matrices, row) for row in zip(*columns)]


def channels(f: Function, count: int, width: int) -> Iterator[tuple[Index, Lanes]]:
    """Vectors of channels, (first channel, lanes), to be written inside of the loop over them; all of one width, the last one masked."""
    many = count // width * width
    if many:
        with f.count(many, width) as c:
            yield c, Lanes(f, width)
    if many < count:
        yield many, Lanes(f, width).first(count - many)


# ------------------------------------------------------------------ the weights


class Window(Stage):
    """M w M' for the windows w of all pairs of channels, (n, n, C, O); one side is packed.

    Packed windows are (k, k, V, C, L): vectors of L output channels lie one behind the other, the last one filled up.
    """

    def __init__(self, w: Var, result: Var, matrices: Sequence[Matrix], lanes: int, eqns: Sequence[Eqn] = ()):
        self.eqns, self.loaded, self.stored = list(eqns), [w], [result]
        self.matrices, self.lanes = matrices, lanes
        self.rows, self.columns = (w if w.aval.ndim == 4 else result).aval.shape[2:]
        self.extent = self.rows

    def write(self, name: str) -> Function:
        f = self.begin(name)
        with f.loop("%low", "%high", 1) as c:
            for column, v in channels(f, self.columns, self.lanes):
                self._transform(f, c.index, column, v)
        f.do("ret void")
        return f

    def _transform(self, f: Function, c: Index, column: Index, v: Lanes) -> None:
        tiles = []
        for b in self.buffers:
            if b.aval.ndim == 4:
                at = f.add(f.mul(c, self.columns), column)
            else:
                at = f.add(f.mul(column, self.rows), f.mul(c, self.lanes))
            pointer = f.address(self.pointer[b], at, _SIZE)
            n, step = b.aval.shape[0], prod(b.aval.shape[2:])
            tiles.append([[f.address(pointer, (i * n + j) * step, _SIZE) for j in range(n)] for i in range(n)])
        source, target = tiles
        # what fills up a packed vector is zeros
        reads, writes = (v if b.aval.ndim == 4 else Lanes(f, self.lanes) for b in self.buffers)
        values = sandwich(v, self.matrices, [[reads.load(p, SINGLE) for p in row] for row in source])
        for pointers, row in zip(target, values):
            for p, x in zip(pointers, row):
                writes.store(x, p, SINGLE)


# ------------------------------------------------------------------ tiles of images


class Grid(Images):
    """A stage over the tiles of images, by blocks of tiles, whose transforms lie in scratch one position after the other."""

    least = 8  # tiles of a block

    def __init__(self, e: Eqn, step: Step, form: Form, vector_bytes: int):
        dense = step.dense
        super().__init__(e, [step], dense.cin, vector_bytes)
        self.form, self.dense = form, dense
        self.vectors = -(-dense.cout // self.lanes)
        high, wide = (-(-n // form.m) for n in dense.out[1:])  # tiles
        each = form.products * (dense.cin + self.vectors * self.lanes) * _SIZE
        most = min(64, max(self.least, _SCRATCH // each))
        microseconds = 2 * dense.batch * high * wide * form.products * dense.cin * dense.cout / FLOPS
        self.by_blocks = dense.batch <= FEW_IMAGES and microseconds > 100
        self.wide = balanced(wide, most)
        rows = balanced(high, max(1, most // self.wide))
        if self.by_blocks:
            rows = balanced(high, max(1, min(rows, round(dense.batch * high * 40 / microseconds))))
        self.block = (1, rows)
        self.blocks = (1, -(-high // rows))
        self.columns = -(-wide // self.wide)  # blocks along a row
        if rows * self.wide == high * wide:
            self.images = divisor(dense.batch, max(1, most // (high * wide)))
        self.tiles = self.images * rows * self.wide
        # all tiles are whole for the slab, which has zeros where they are not
        out = (1, self.blocks[1] * rows * form.m, self.columns * self.wide * form.m)
        self.ragged = out != dense.out
        self.padded = Dense(
            1,
            dense.batch,
            dense.cin,
            dense.cout,
            dense.space,
            out,
            dense.taps,
            dense.strides,
            dense.dilations,
            dense.low,
        )
        self.slab = Slab([Step(self.padded, None, None)], dense.cin, (1, rows * form.m))
        self.extent = dense.batch * self.blocks[1] if self.by_blocks else dense.batch
        self.blocking = self.images
        # a line more from position to position, lest all be in one set of the cache
        self.data_step = self.tiles * dense.cin + _LINE
        self.result_step = self.tiles * self.vectors * self.lanes + _LINE

    def areas(self, f: Function, *sizes: int) -> list[str]:
        """Areas of scratch of so many elements each."""
        out, offset = [], 0
        for size in sizes:
            out.append(f.address("%scratch", offset, _SIZE))
            offset += -(-size // _LINE) * _LINE
        assert offset * _SIZE <= self.scratch
        return out

    def scratch_for(self, *sizes: int) -> int:
        """Bytes of these areas."""
        return sum([-(-size // _LINE) * _LINE for size in sizes]) * _SIZE

    @contextmanager
    def each_tile(self, f: Function) -> Iterator[tuple[Index, Index, Index, Index]]:
        """Loops over a block's tiles: (image, row, column, number in the block)."""
        with f.count(self.images) as n, f.count(self.block[1]) as i, f.count(self.wide) as j:
            yield n, i, j, f.add(f.mul(f.add(f.mul(n, self.block[1]), i), self.wide), j)

    def at(self, f: Function, source: str, image_step: int, slab: Slab, tile: Sequence[Index], column: Index) -> str:
        """Where a slab holds a tile; the block begins at a column of tiles."""
        n, i, j = tile
        _, down, across = (self.form.m * s for s in slab.steps)
        offset = f.add(f.mul(n, image_step), f.add(f.mul(i, down), f.mul(f.add(column, j), across)))
        return f.address(source, offset, _SIZE)

    def transform_data(self, f: Function, source: str, step: int, column: Index, data: str) -> None:
        """B' x B of a block's tiles, as (t * t, tiles, C)."""
        cin, v = self.dense.cin, Lanes(f, self.lanes)
        source = f.address(source, self.slab.offset(self.steps[0]), _SIZE)
        with self.each_tile(f) as (*tile, p), covering(f, cin, self.lanes) as c:
            from_ = f.address(self.at(f, source, step, self.slab, tile, column), c, _SIZE)
            target = f.address(data, f.add(f.mul(p, cin), c), _SIZE)
            values = self.tile(f, v, from_, self.form.t, self.slab.steps[1], cin)
            self.spread(f, sandwich(v, self.form.data, values), target, self.data_step)

    def tile(self, f: Function, v: Lanes, source: str, n: int, down: int, across: int) -> list[list[str]]:
        """A tile of vectors, n * n positions."""
        return [[v.load(f.address(source, i * down + j * across, _SIZE), SINGLE) for j in range(n)] for i in range(n)]

    def spread(self, f: Function, values: Sequence[Sequence[str]], target: str, step: int) -> None:
        """Store a transformed tile, each position `step` elements behind the one before."""
        v = Lanes(f, self.lanes)
        for k, x in enumerate([x for row in values for x in row]):
            v.store(x, f.address(target, k * step, _SIZE), SINGLE)

    def vector_groups(self, f: Function, most: int, rows: int) -> Iterator[tuple[Index, list[Columns]]]:
        """Groups of at most `most` vectors of output channels, which lie `rows` vectors apart: (the group's offset, vectors)."""
        each = rows * self.lanes
        many = self.vectors // most * most
        for first, count in ((0, most), (many, self.vectors - many)):
            if not count or (first == 0 and not many):
                continue
            with f.count(many if first == 0 else 1, count if first == 0 else 1) as k:
                yield (
                    f.add(f.mul(k, each), first * each),
                    [Columns(j * each, Lanes(f, self.lanes)) for j in range(count)],
                )


class Correlation(Grid):
    """A 3x3 correlation of stride 1 with packed weights."""

    def __init__(self, e: Eqn, x: Var, weights: Var, step: Step, form: Form, vector_bytes: int):
        super().__init__(e, step, form, vector_bytes)
        result = e.outvars[0]
        self.loaded, self.stored = [x, weights], [result]
        self.x, self.weights, self.result = x, weights, result
        self.aligned = frozenset([] if self.by_blocks else [x, result])
        k = form.products
        spare = form.m * form.m * step.dense.cout if self.ragged else 0
        self.sizes = (self.images * self.slab.size, k * self.data_step, k * self.result_step, spare)
        self.scratch = self.scratch_for(*self.sizes)

    def write(self, name: str) -> Function:
        f = self.begin(name)
        slabs, data, products, spare = self.areas(f, *self.sizes)
        with self.each_block(f) as (n, (_, row)):
            first = (0, f.mul(row, self.form.m))
            source, step = self.fill(f, self.slab, self.pointer[self.x], n, first, slabs)
            with f.count(self.columns * self.wide, self.wide) as column:
                self.transform_data(f, source, step, column, data)
                with f.count(self.form.products) as k:
                    self._products(f, k, data, products)
                with self.each_tile(f) as (image, i, j, p):
                    at = (f.add(n, image), f.add(row, i), f.add(column, j))
                    self._results(f, at, f.address(products, f.mul(p, self.lanes), _SIZE), spare)
        f.do("ret void")
        return f

    def _products(self, f: Function, k: Index, data: str, products: str) -> None:
        """Multiply the block's tiles by the weights at one of their positions."""
        cin, lanes = self.dense.cin, self.lanes
        shape = tile_for(1, self.tiles, self.vectors, self.vector_bytes)
        data = f.address(data, f.mul(k, self.data_step), _SIZE)
        weights = f.address(self.pointer[self.weights], f.mul(k, self.vectors * cin * lanes), _SIZE)
        products = f.address(products, f.mul(k, self.result_step), _SIZE)
        rows = range(shape.width)
        for group, vectors in self.vector_groups(f, shape.vectors, 1):
            w, y = (f.address(b, f.mul(group, rest), _SIZE) for b, rest in ((weights, cin), (products, self.tiles)))
            inputs, outputs = ([v._replace(offset=v.offset * k) for v in vectors] for k in (cin, self.tiles))
            with covering(f, self.tiles, shape.width) as p:
                x = f.address(data, f.mul(p, cin), _SIZE)
                total = zeros(shape.width, vectors, SINGLE)
                total = contract(f, SINGLE, x, [i * cin for i in rows], w, inputs, [Sum(cin, 1, lanes)], total)
                store(f, SINGLE, f.address(y, f.mul(p, lanes), _SIZE), [i * lanes for i in rows], outputs, total)

    def _results(self, f: Function, at: Sequence[Index], source: str, spare: str) -> None:
        """Transform the products of a tile to its place in the result: by way of `spare` where tiles stand out of images."""
        _, height, width = self.dense.out
        n, i, j = at
        m, t, cout = self.form.m, self.form.t, self.dense.cout
        image = f.address(self.pointer[self.result], f.mul(n, height * width * cout), _SIZE)
        row, column = f.mul(i, m), f.mul(j, m)
        place = f.address(image, f.mul(f.add(f.mul(row, width), column), cout), _SIZE)
        target, down = (spare, m) if self.ragged else (place, width)
        for o, v in channels(f, cout, self.lanes):
            from_ = f.address(source, f.mul(o, self.tiles), _SIZE)
            tile = self.tile(f, v, from_, t, t * self.result_step, self.result_step)
            for i, values in enumerate(sandwich(v, self.form.result, tile)):
                for j, x in enumerate(values):
                    v.store(x, f.address(f.address(target, o, _SIZE), (i * down + j) * cout, _SIZE), SINGLE)
        if self.ragged:
            rows, columns = (f.smaller(f.op(f"sub nsw i64 {n}, {q}"), m) for n, q in ((height, row), (width, column)))
            some = f.op(f"and i1 {f.op(f'icmp sgt i64 {rows}, 0')}, {f.op(f'icmp sgt i64 {columns}, 0')}")
            with f.when(some), f.loop(0, rows, 1) as i, f.loop(0, columns, 1) as j:
                to = f.address(place, f.mul(f.add(f.mul(i.index, width), j.index), cout), _SIZE)
                from_ = f.address(spare, f.mul(f.add(f.mul(i.index, m), j.index), cout), _SIZE)
                fill_row(f, SINGLE, self.lanes, to, from_, cout)


class WeightGradient(Grid):
    """The sum over tiles of (B' x B) times (A y A'), packed: a window's gradient, but for its own transform."""

    least = 32  # since all sums are loaded and stored for a block, whose transforms are read but once

    def __init__(self, e: Eqn, x: Var, y: Var, result: Var, step: Step, form: Form, vector_bytes: int):
        super().__init__(e, step, form, vector_bytes)
        self.eqns = []
        self.loaded, self.stored, self.accumulated = [x, y], [result], frozenset([result])
        self.x, self.y, self.result = x, y, result
        self.aligned = frozenset([] if self.by_blocks else [x, y])
        dense, ones = step.dense, (1, 1, 1)
        outputs = Dense(1, dense.batch, dense.cout, 1, dense.out, self.padded.out, ones, ones, ones, (0, 0, 0))
        self.outputs = Slab([Step(outputs, None, None)], dense.cout, (1, self.block[1] * form.m))
        slabs = (self.images * self.slab.size, self.images * self.outputs.size)
        self.sizes = (*slabs, form.products * self.data_step, form.products * self.result_step)
        self.scratch = self.scratch_for(*self.sizes)

    def write(self, name: str) -> Function:
        f = self.begin(name)
        x_slabs, y_slabs, data, results = self.areas(f, *self.sizes)
        with self.each_block(f) as (n, (_, row)):
            first = (0, f.mul(row, self.form.m))
            x, x_step = self.fill(f, self.slab, self.pointer[self.x], n, first, x_slabs)
            y, y_step = self.fill(f, self.outputs, self.pointer[self.y], n, first, y_slabs)
            with f.count(self.columns * self.wide, self.wide) as column:
                self.transform_data(f, x, x_step, column, data)
                self._transform_results(f, y, y_step, column, results)
                with f.count(self.form.products) as k:
                    self._products(f, k, data, results)
        f.do("ret void")
        return f

    def _transform_results(self, f: Function, source: str, step: int, column: Index, results: str) -> None:
        """A y A' of a block's tiles, as (t * t, V, tiles, L)."""
        cout, up = self.dense.cout, transposed(self.form.result)
        with self.each_tile(f) as (*tile, p):
            from_ = self.at(f, source, step, self.outputs, tile, column)
            target = f.address(results, f.mul(p, self.lanes), _SIZE)
            for o, v in channels(f, cout, self.lanes):
                values = self.tile(f, v, f.address(from_, o, _SIZE), self.form.m, self.outputs.steps[1], cout)
                place = f.address(target, f.mul(o, self.tiles), _SIZE)
                self.spread(f, sandwich(v, up, values), place, self.result_step)

    def _products(self, f: Function, k: Index, data: str, results: str) -> None:
        """Add the products of the block's tiles at one of their positions."""
        cin, lanes = self.dense.cin, self.lanes
        shape = tile_for(1, cin, self.vectors, self.vector_bytes)
        data = f.address(data, f.mul(k, self.data_step), _SIZE)
        results = f.address(results, f.mul(k, self.result_step), _SIZE)
        weights = f.address(self.pointer[self.result], f.mul(k, self.vectors * cin * lanes), _SIZE)

        def tile(row: Index, count: int) -> None:
            places = [i * lanes for i in range(count)]
            target = f.address(w, f.mul(row, lanes), _SIZE)
            total = load(f, SINGLE, target, places, outputs)
            x = f.address(data, row, _SIZE)
            total = contract(f, SINGLE, x, range(count), y, inputs, [Sum(self.tiles, cin, lanes)], total)
            store(f, SINGLE, target, places, outputs, total)

        for group, vectors in self.vector_groups(f, shape.vectors, 1):
            w, y = (f.address(b, f.mul(group, rest), _SIZE) for b, rest in ((weights, cin), (results, self.tiles)))
            outputs, inputs = ([v._replace(offset=v.offset * k) for v in vectors] for k in (cin, self.tiles))
            many = cin // shape.width * shape.width
            with f.count(many, shape.width) as row:
                tile(row, shape.width)
            if many < cin:
                tile(many, cin - many)


# ------------------------------------------------------------------ choice


def form_for(step: Step, dtype: np.dtype, vector_bytes: int, fast: bool) -> Form | None:
    """The form that is faster than direct sums for a dense step, if there is one; F(4 x 4) only if `fast`."""
    dense = step.dense
    suits = (
        dtype == SINGLE
        and dense.groups == 1
        and dense.taps == (1, 3, 3)
        and step.place is None
        and step.taps is None
        and all([n == 1 for n in (*dense.strides, *dense.dilations, dense.space[0], dense.out[0])])
        and dense.low[0] == 0
        and min(dense.cin, dense.cout) >= _CHANNELS
    )
    if not suits:
        return None
    forms = [F2, F4] if fast else [F2]
    form = min(forms, key=lambda form: microseconds(step, form))
    return form if microseconds(step, form) < dense.flops / FLOPS else None


def microseconds(step: Step, form: Form) -> float:
    """What a form takes, about: as measured, transformed weights 4000 to the microsecond, and vectors of transformed tiles 500."""
    dense = step.dense
    tiles = dense.batch * -(-dense.out[1] // form.m) * -(-dense.out[2] // form.m)
    products = 2.1 * dense.cin * dense.cout / FLOPS
    transforms = (dense.cin + dense.cout) / (_CHANNELS * 500)
    return form.products * (tiles * (products + transforms) + dense.cin * dense.cout / 4000)


def _packed(form: Form, shape: Sequence[int], vector_bytes: int) -> Var:
    """Transformed weights of (..., C, O)."""
    lanes = vector_bytes // _SIZE
    return Var(ShapedArray((form.t, form.t, -(-shape[-1] // lanes), shape[-2], lanes), SINGLE))


def correlation(e: Eqn, x: Var, w: Var, step: Step, form: Form, vector_bytes: int) -> list[Stage]:
    """The stages that correlate x with weights (3, 3, C, O)."""
    packed = _packed(form, w.aval.shape, vector_bytes)
    return [
        Window(w, packed, form.window, vector_bytes // _SIZE),
        Correlation(e, x, packed, step, form, vector_bytes),
    ]


def weight_gradient(e: Eqn, x: Var, y: Var, step: Step, form: Form, vector_bytes: int) -> list[Stage]:
    """The stages that make the weights' gradient."""
    result = e.outvars[0]
    packed = _packed(form, result.aval.shape, vector_bytes)
    return [
        WeightGradient(e, x, y, packed, step, form, vector_bytes),
        Window(packed, result, transposed(form.window), vector_bytes // _SIZE, [e]),
    ]
