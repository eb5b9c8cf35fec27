"""Convolutions on channels-last arrays, computed directly. May import channels_last, conv_geometry, core, slab, stage, text, tiles.

The forward pass and the input gradient are correlations: register tiles of output positions times output channels, summed over window and input
channels. What strides and dilations ask for comes from `Geometry`, as dense steps. The weight gradient sums over positions instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import NamedTuple

import numpy as np

from fnets.backends.llvm.channels_last import images, windows
from fnets.backends.llvm.slab import Slab
from fnets.backends.llvm.stage import Stage
from fnets.backends.llvm.text import DOUBLE, SINGLE, Function, Lanes
from fnets.backends.llvm.tiles import (
    Columns,
    Sum,
    accumulators,
    balanced,
    columns_of,
    contract,
    divisor,
    load,
    store,
    zeros,
)
from fnets.core.avals import ShapedArray
from fnets.core.ir import Eqn, Var
from fnets.errors import FnetsError
from fnets.primitives.conv_geometry import Geometry, Ints, Step, geometry

Index = int | str

_SLAB = 1 << 18  # bytes of a slab: with weights and results it stays in L2
_FLOPS = 1e5  # per microsecond
_FEW = 8  # channels of a group that do not fill vectors any more

# ------------------------------------------------------------------ geometry


def geometry_of(x_shape: Ints, w_shape: Ints, params: dict) -> Geometry | None:
    """The geometry in three dimensions of a convolution of x (N, C, *space) with w (O, C / groups, *window); None beyond that."""
    rank = len(x_shape) - 2
    if not 1 <= rank <= 3 or params["batch_group_count"] != 1:
        return None
    ones = (1,) * (3 - rank)
    x_shape, w_shape = ((*s[:2], *ones, *s[2:]) for s in (x_shape, w_shape))
    spread = {k: (*ones, *params[k]) for k in ("window_strides", "lhs_dilation", "rhs_dilation")}
    padding = (*(((0, 0),) * len(ones)), *params["padding"])
    flat = all([v == 1 for v in (*w_shape[2:], *spread["window_strides"], *spread["lhs_dilation"])])
    if flat and not any([any(p) for p in padding]):  # one tap: the positions may as well be one row
        depth, height, width = x_shape[2:]
        rows = 1 if x_shape[0] > _FEW_IMAGES else depth * height
        x_shape = (*x_shape[:2], 1, rows, depth * height * width // rows)
    try:
        return geometry(
            "conv",
            x_shape,
            w_shape,
            padding=padding,
            feature_group_count=params["feature_group_count"],
            batch_group_count=1,
            **spread,
        )
    except FnetsError:
        return None


_FEW_IMAGES = 3  # with no more, work is shared out by output rows


def supports(prim_name: str, x_shape: Ints, w_shape: Ints, dtype: np.dtype, params: dict) -> bool:
    """Whether the convolution of x (N, C, *space) with w (O, C / groups, *window), or its gradient, would be lowered in its channels-last form."""
    return _geometry_if_supported(prim_name.removesuffix("_last"), x_shape, w_shape, dtype, params) is not None


def is_supported(e: Eqn) -> bool:
    """Whether a convolution or one of its gradients, as the program wrote it, would be lowered in its channels-last form."""
    a, b = e.invars
    result = e.outvars[0]
    x, w = {"conv": (a, b), "conv_input_grad": (result, b), "conv_weight_grad": (a, result)}[e.prim.name]
    params = {k: v for k, v in e.params.items() if k not in ("space", "window")}
    return supports(e.prim.name, x.aval.shape, w.aval.shape, a.aval.dtype, params)


def _geometry_if_supported(name: str, x: Ints, w: Ints, dtype: np.dtype, params: dict) -> Geometry | None:
    if dtype not in (SINGLE, DOUBLE) or not all([*x, *w]):
        return None
    geo = geometry_of(x, w, params)
    if geo is None or not all(geo.y_shape):
        return None
    if name == "conv_weight_grad" and max(geo.lhs_dilation) > 1:
        return None
    depthwise = geo.cin == geo.cout == 1
    return geo if geo.groups == 1 or depthwise or min(geo.cin, geo.cout) >= _FEW else None


# ------------------------------------------------------------------ tiles


class Tile(NamedTuple):
    """Output positions (rows and columns of them) times vectors of channels that are summed in registers."""

    height: int
    width: int
    vectors: int


def step_cost(rows: int, vectors: int) -> float:
    """What a step of a tile's sum costs: products, at least as many as fill the pipeline, and what is loaded for them."""
    return max(rows * vectors, 8) + (rows + vectors) / 4


def tile_for(height: int, width: int, vectors: int, vector_bytes: int) -> Tile:
    """The tile that covers height * width positions and so many vectors in the least time.

    >>> tile_for(32, 32, 2, 64), tile_for(4, 4, 8, 64), tile_for(30, 30, 4, 32)
    (Tile(height=1, width=8, vectors=2), Tile(height=2, width=4, vectors=3), Tile(height=1, width=6, vectors=2))
    """
    room = accumulators(vector_bytes)
    best, least = Tile(1, 1, 1), float("inf")
    for v in range(1, min(vectors, 4 if vector_bytes == 64 else 3) + 1):
        for p in range(1, room // v + 1):
            w = min(p, width)
            h = p // w
            if w * h != p or h > height:
                continue
            cost = sum([step_cost(p, n) for n in (v,) * (vectors // v) + (vectors % v,) * (vectors % v > 0)])
            cost *= -(-height // h) * -(-width // w)
            if cost < least:
                best, least = Tile(h, w, v), cost
    return best


@contextmanager
def covering(f: Function, count: int, size: int) -> Iterator[Index]:
    """Where tiles of `size` begin that cover `count` positions; the last one overlaps the one before it where they do not fit."""
    with f.count(count, size) as i:
        yield f.least(i, count - size) if count % size else i


def columns_by(f: Function, count: int, width: int, vectors: int) -> Iterator[tuple[Index, list[Columns]]]:
    """Groups of `vectors` vectors out of `count` columns: (first column, vectors); to be written inside of the loop over them."""
    size = vectors * width
    many = count // size * size
    if many:
        with f.count(many, size) as k:
            yield k, columns_of(f, size, width)
    if many < count:
        yield many, columns_of(f, count - many, width)


# ------------------------------------------------------------------ correlations


class Weights(NamedTuple):
    """How weights lie in memory: elements from tap to tap, from input channel to input channel, and from group to group."""

    tap: int
    row: int
    group: int


class Images(Stage):
    """A stage over images, by blocks of output positions: what the kernels share.

    Parts are images, or the blocks of all images where there are few of these.
    """

    def __init__(self, e: Eqn, steps: Sequence[Step], channels: int, vector_bytes: int):
        self.eqns = [e]
        self.steps = steps
        self.channels = channels
        self.groups = steps[0].dense.groups
        self.images = 1  # in a block
        self.vector_bytes = vector_bytes
        self.dtype = e.outvars[0].aval.dtype
        self.size = self.dtype.itemsize
        self.lanes = vector_bytes // self.size
        self.flops = sum([s.dense.flops for s in steps])

    def cut(self, images: int, out: Ints, whole: bool = False) -> None:
        """Choose the blocks of `out` positions along depth and height (`whole`: all of one size), and the parts."""
        depth, height, _ = out
        microseconds = self.flops / _FLOPS
        self.by_blocks = images <= _FEW_IMAGES and microseconds > 100
        slab = Slab(self.steps, self.channels, (depth, height))
        if slab.size * self.size > _SLAB or (self.by_blocks and depth > 1):
            depth = 1
            slab = Slab(self.steps, self.channels, (1, height))
        blocks = max(1, -(-slab.size * self.size // _SLAB))
        if self.by_blocks:
            blocks = max(blocks, round(min(64, microseconds / 40) * depth / (images * out[0])))
        height = divisor(height, -(-height // blocks)) if whole else balanced(height, -(-height // blocks))
        self.block = (depth, height)
        self.slab = Slab(self.steps, self.channels, self.block)
        self.blocks = (-(-out[0] // depth), -(-out[1] // height))
        self.scratch = self.slab.size * self.size
        self.extent = images * prod(self.blocks) if self.by_blocks else images
        self.chunk = self.extent

    @contextmanager
    def each_block(self, f: Function) -> Iterator[tuple[Index, Sequence[Index]]]:
        """Loops over the part's blocks: (image, first output position along depth and height)."""
        with f.loop("%low", "%high", self.images) as unit:
            if self.by_blocks:
                rest, h = (f.op(f"{how} i64 {unit.index}, {self.blocks[1]}") for how in ("udiv", "urem"))
                n, d = (f.op(f"{how} i64 {rest}, {self.blocks[0]}") for how in ("udiv", "urem"))
                yield n, [f.mul(i, b) for i, b in zip((d, h), self.block)]
            else:
                with f.count(self.blocks[0]) as d, f.count(self.blocks[1]) as h:
                    yield unit.index, [f.mul(i, b) for i, b in zip((d, h), self.block)]

    @contextmanager
    def within(self, f: Function, k: int, first: Index, count: int, tile: int = 1) -> Iterator[Index]:
        """A block's output positions along depth or height, where a step has `count` of them in all."""
        if self.blocks[k] == 1:
            with covering(f, count, tile) as q:
                yield q
            return
        end = f.least(f.add(first, self.block[k]), count)
        with f.when(f.op(f"icmp slt i64 {first}, {end}")), f.loop(first, end, 1) as q:
            yield q.index

    def places(self, f: Function, at: Sequence[Index], first: Sequence[Index]) -> Index:
        """Where the slab holds what the output positions `at` (all three dimensions) of a block read first."""
        offset: Index = 0
        for q, begin, stride, step in zip(at, (*first, 0), self.slab.strides, self.slab.steps):
            back = f.op(f"sub nsw i64 {q}, {begin}") if begin != 0 else q
            offset = f.add(offset, f.mul(back, stride * step))
        return offset


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
            image = f.address(self.pointer[self.x], f.mul(n, prod(self.slab.space) * self.channels), self.size)
            positions = prod(self.out) * self.groups * self.cout
            result = f.address(self.pointer[self.result], f.mul(n, positions), self.size)
            source = self.slab.fill(f, self.dtype, self.lanes, image, "%scratch", first)
            for step in self.steps:
                if prod(step.dense.out):
                    with f.count(self.groups) as g:
                        self._step(f, step, source, result, first, g)
        f.do("ret void")
        return f

    def _step(self, f: Function, step: Step, source: str, result: str, first: Sequence[Index], g: Index) -> None:
        dense = step.dense
        depth, height, width = dense.out
        vectors = -(-self.cout // self.lanes)
        tile = tile_for(1 if self.blocks[1] > 1 else height, width, vectors, self.vector_bytes)
        source = f.address(source, f.add(self.slab.offset(step), f.mul(g, self.cin)), self.size)
        weights = f.address(self.pointer[self.w], f.add(self._first_tap(step), f.mul(g, self.weights.group)), self.size)
        result = f.address(result, f.mul(g, self.cout), self.size)
        for k, columns in columns_by(f, self.cout, self.lanes, tile.vectors):
            b, y = (f.address(p, k, self.size) for p in (weights, result))
            with (
                self.within(f, 0, first[0], depth) as qd,
                self.within(f, 1, first[1], height, tile.height) as qh,
                covering(f, width, tile.width) as qw,
            ):
                self._tile(f, step, tile, source, b, y, columns, (qd, qh, qw), first)

    def _first_tap(self, step: Step) -> int:
        window = self.w.aval.shape[:-2]
        offset = 0
        for size, s in zip((*(1,) * (3 - len(window)), *window), step.taps or (slice(0, None),) * 3):
            offset = offset * size + s.start
        return offset * self.weights.tap if step.dense.window else 0

    def _sums(self, step: Step) -> list[Sum]:
        """The loops over the window and the channels; one where neighbours in the window are neighbours in both arrays."""
        window = self.w.aval.shape[:-2]
        window = (*(1,) * (3 - len(window)), *window)
        dense = step.dense
        skips = [s.step or 1 for s in step.taps or (slice(None),) * 3]
        tap_steps = [prod(window[k + 1 :]) * self.weights.tap * skips[k] for k in range(3)]
        out = [Sum(n, d * s, t) for n, d, s, t in zip(dense.taps, dense.dilations, self.slab.steps, tap_steps)]
        out.append(Sum(self.cin, 1, self.weights.row))
        if out[2].a == self.cin and out[2].b == self.cin * self.weights.row:
            out[2:] = [Sum(out[2].extent * self.cin, 1, self.weights.row)]
        return [s for s in out if s.extent > 1] or out[-1:]

    def _tile(
        self,
        f: Function,
        step: Step,
        tile: Tile,
        source: str,
        weights: str,
        result: str,
        columns: list[Columns],
        at: Sequence[Index],
        first: Sequence[Index],
    ) -> None:
        _, down, across = [stride * s for stride, s in zip(step.dense.strides, self.slab.steps)]
        rows = [i * down + j * across for i in range(tile.height) for j in range(tile.width)]
        total = zeros(len(rows), columns, self.dtype)
        if step.dense.window:
            a = f.address(source, self.places(f, at, first), self.size)
            total = contract(f, self.dtype, a, rows, weights, columns, self._sums(step), total, unroll=4)
        starts = [s.start or 0 for s in step.place or (slice(0, None),) * 3]
        steps = [s.step or 1 for s in step.place or (slice(None),) * 3]
        offset: Index = 0
        for q, start, every, size in zip(at, starts, steps, self.out):
            offset = f.add(f.mul(offset, size), f.add(f.mul(q, every), start))
        channels = self.groups * self.cout
        y = f.address(result, f.mul(offset, channels), self.size)
        _, down, across = steps
        places = [
            (i * down * self.out[2] + j * across) * channels for i in range(tile.height) for j in range(tile.width)
        ]
        store(f, self.dtype, y, places, columns, total)


class Mirrored(Stage):
    """The weights of an input gradient: the window mirrored, its channels swapped. (*window, C, O) becomes (*window, O, C)."""

    def __init__(self, e: Eqn, w: Var, mirrored: Var):
        self.eqns, self.loaded, self.stored = [], [w], [mirrored]
        self.dtype = w.aval.dtype
        *window, self.cin, self.cout = w.aval.shape
        self.extent = self.chunk = prod(window)

    def write(self, name: str) -> Function:
        f = self.begin(name)
        size, unroll = self.dtype.itemsize, max([k for k in range(1, 9) if self.cin % k == 0])
        w, mirrored = (self.pointer[v] for v in self.buffers)
        one = Lanes(f, 1)
        tap = self.cin * self.cout
        with f.loop("%low", "%high", 1) as to, f.count(self.cout) as o, f.count(self.cin, unroll) as c:
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
    """w[tap, c, o] = sum over images and positions of x[n, q * strides + ..., c] * y[n, q, o]."""

    def __init__(self, e: Eqn, step: Step, vector_bytes: int):
        x, y = e.invars
        result = e.outvars[0]
        assert type(x) is Var and type(y) is Var
        dense = step.dense
        super().__init__(e, [step], dense.groups * dense.cin, vector_bytes)
        self.loaded, self.stored, self.accumulated = [x, y], [result], frozenset([result])
        self.x, self.y, self.result, self.dense = x, y, result, dense
        self.outputs = dense.groups * dense.cout
        self.cut(dense.batch, dense.out, whole=True)
        self._cut_images()

    def _cut_images(self) -> None:
        """Blocks of several images where one is too small for sums worth loading a tile for, and parts that are worth adding up."""
        dense = self.dense
        if not self.by_blocks and prod(self.blocks) == 1:
            fits = max(1, min(_SLAB // (self.scratch or 1), 512 // dense.positions))
            self.images = divisor(dense.batch, fits)
        self.scratch *= self.images
        self.blocking = self.images

    def write(self, name: str) -> Function:
        f = self.begin(name)
        dense, slab = self.dense, self.slab
        image_size = prod(slab.space) * self.channels
        _, height, width = dense.out
        rows = divisor(self.block[1], max(1, 128 // width))
        if rows * width < 64:
            rows = self.block[1]
        with self.each_block(f) as (n, first):
            sources = []
            with f.count(self.images) as i:
                image = f.address(self.pointer[self.x], f.mul(f.add(n, i), image_size), self.size)
                scratch = f.address("%scratch", f.mul(i, slab.size), self.size)
                sources.append(slab.fill(f, self.dtype, self.lanes, image, scratch, first))
            source = "%scratch" if slab.needed else sources[0]
            if self.images > 1 and not slab.needed:
                source = f.address(self.pointer[self.x], f.mul(n, image_size), self.size)
            at = f.mul(f.add(f.mul(f.add(f.mul(n, dense.out[0]), first[0]), height), first[1]), width * self.outputs)
            y = f.address(self.pointer[self.y], at, self.size)
            down, line = slab.strides[1] * slab.steps[1], width * self.outputs
            sums = [
                Sum(self.images, slab.size or image_size, dense.positions * self.outputs),
                Sum(self.block[0], slab.strides[0] * slab.steps[0], height * line),
                Sum(rows, down, line),
                Sum(width, slab.strides[2] * slab.steps[2], self.outputs),
            ]
            sums = [s for s in sums if s.extent > 1] or sums[-1:]
            with f.count(self.groups) as g, f.count(self.block[1], rows) as h:
                a = f.address(
                    source, f.add(f.add(f.mul(h, down), slab.offset(self.steps[0])), f.mul(g, dense.cin)), self.size
                )
                b = f.address(y, f.add(f.mul(h, line), f.mul(g, dense.cout)), self.size)
                w = f.address(self.pointer[self.result], f.mul(g, dense.cout), self.size)
                self._taps(f, a, b, w, sums)
        f.do("ret void")
        return f

    def _taps(self, f: Function, a: str, b: str, w: str, sums: Sequence[Sum]) -> None:
        """Add the products of a block of positions to all weights of a group."""
        dense = self.dense
        dims = [Sum(n, d * s, 0) for n, d, s in zip(dense.taps, dense.dilations, self.slab.steps)]
        dims.append(Sum(dense.cin, 1, 0))
        if dims[2].a == dense.cin:  # neighbours in the window are neighbours in the image
            dims[2:] = [Sum(dense.taps[2] * dense.cin, 1, 0)]
        extents = [d.extent for d in dims]
        dims = [d._replace(b=prod(extents[k + 1 :]) * self.outputs) for k, d in enumerate(dims)]
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
            total = contract(f, self.dtype, x, [p for p, _ in rows], y, columns, sums, total, unroll=2)
            store(f, self.dtype, r, places, columns, total)

        for k, columns in columns_by(f, dense.cout, self.lanes, taps.vectors):
            y, r = (f.address(p, k, self.size) for p in (b, w))
            with self._outer(f, dims[: taps.cut], a, r) as (x, r):
                many = cut.extent // taps.size * taps.size
                with f.count(many, taps.size) as i:
                    tile(x, r, i, taps.size, y, columns)
                if many < cut.extent:
                    tile(x, r, many, cut.extent - many, y, columns)

    @contextmanager
    def _outer(self, f: Function, dims: Sequence[Sum], x: str, r: str) -> Iterator[tuple[str, str]]:
        """Loops over the dimensions that a tile does not span."""
        if not dims:
            yield x, r
            return
        with f.count(dims[0].extent) as i:
            x, r = (f.address(p, f.mul(i, s), self.size) for p, s in ((x, dims[0].a), (r, dims[0].b)))
            with self._outer(f, dims[1:], x, r) as inner:
                yield inner


# ------------------------------------------------------------------ lowering


def lower(e: Eqn, vector_bytes: int) -> list[Stage] | None:
    """The stages of a channels-last convolution or of one of its gradients."""
    a, b = e.invars
    if type(a) is not Var or type(b) is not Var:
        return None
    name, result = e.prim.name, e.outvars[0]
    x, w = {
        "conv_last": (a, b),
        "conv_input_grad_last": (result, b),
        "conv_weight_grad_last": (a, result),
    }[name]
    x_shape, w_shape = ([v.aval.shape[k] for k in order(v.aval.ndim)] for v, order in ((x, images), (w, windows)))
    params = {k: v for k, v in e.params.items() if k not in ("space", "window")}
    geo = _geometry_if_supported(name.removesuffix("_last"), tuple(x_shape), tuple(w_shape), a.aval.dtype, params)
    if geo is None:
        return None
    outputs = geo.y_shape[1]
    if name == "conv_weight_grad_last":
        return [WeightGradient(e, geo.forward()[0], vector_bytes)]
    if name == "conv_last":
        weights = Weights(geo.cin * outputs, outputs, geo.cout)
        return [Correlation(e, a, b, weights, geo.forward(), geo.out, vector_bytes)]
    mirrored = Var(ShapedArray((*b.aval.shape[:-2], outputs, geo.cin), b.aval.dtype))
    weights = Weights(geo.cin * outputs, geo.cin, geo.cout * geo.cin)
    return [Mirrored(e, b, mirrored), Correlation(e, a, mirrored, weights, geo.backward(), geo.space, vector_bytes)]
