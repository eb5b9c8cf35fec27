"""Stages that go over images by blocks of output positions. May import conv_geometry, core, slab, stage, text, tiles, tilings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod

from fnets.backends.llvm.code.text import Function
from fnets.backends.llvm.code.tiles import balanced
from fnets.backends.llvm.code.tilings import covering, divisor
from fnets.backends.llvm.kernels.slab import Slab
from fnets.backends.llvm.kernels.stage import Stage
from fnets.core.ir import Eqn
from fnets.primitives.conv_geometry import Ints, Step

Index = int | str

SLAB = 1 << 18  # bytes of a slab: with weights and results it stays in L2
FLOPS = 1e5  # per microsecond
FEW_IMAGES = 3  # with no more, work is shared out by output rows


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

    def slab_for(self, *block: int) -> Slab:
        """The slab for a block of so many output positions along depth and height."""
        return Slab(self.steps, self.channels, block)

    def cut(self, images: int, out: Ints, whole: bool = False) -> None:
        """Choose the blocks of `out` positions along depth and height (`whole`: all of one size), and the parts."""
        depth, height, _ = out
        microseconds = self.flops / FLOPS
        self.by_blocks = images <= FEW_IMAGES and microseconds > 100
        slab = self.slab_for(depth, height)
        if slab.held * self.size > SLAB or (self.by_blocks and depth > 1):
            depth = 1
            slab = self.slab_for(1, height)
        blocks = max(1, -(-slab.held * self.size // SLAB))
        if self.by_blocks:
            blocks = max(blocks, round(min(64, microseconds / 40) * depth / (images * out[0])))
        height = divisor(height, -(-height // blocks)) if whole else balanced(height, -(-height // blocks))
        self.block = (depth, height)
        self.slab = self.slab_for(*self.block)
        self.blocks = (-(-out[0] // depth), -(-out[1] // height))
        self.scratch = self.slab.size * self.size
        self.extent = images * prod(self.blocks) if self.by_blocks else images

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
        end = f.smaller(f.add(first, self.block[k]), count)
        with f.when(f.op(f"icmp slt i64 {first}, {end}")), f.loop(first, end, 1) as q:
            yield q.index

    @property
    def steps_of_source(self) -> Ints:
        """Elements from one position to the next in what is read."""
        return self.slab.steps

    def places(self, f: Function, at: Sequence[Index], first: Sequence[Index]) -> Index:
        """Where to read what the output positions `at` (all three dimensions) of a block read first, from the block's first on."""
        offset: Index = 0
        for q, begin, stride, step in zip(at, (*first, 0), self.slab.strides, self.steps_of_source):
            back = f.op(f"sub nsw i64 {q}, {begin}") if begin != 0 else q
            offset = f.add(offset, f.mul(back, stride * step))
        return offset

    def fill(
        self, f: Function, slab: Slab, source: str, n: Index, first: Sequence[Index], scratch: str
    ) -> tuple[str, int]:
        """Have a slab for each image of a block: where the first one is, and the elements from one to the next."""
        image_size = prod(slab.space) * slab.channels
        image = f.address(source, f.mul(n, image_size), self.size)
        if not slab.needed:
            return slab.fill(f, self.dtype, self.lanes, image, scratch, first), image_size
        with f.count(self.images) as i:
            at, to = (f.address(p, f.mul(i, k), self.size) for p, k in ((image, image_size), (scratch, slab.size)))
            slab.fill(f, self.dtype, self.lanes, at, to, first)
        return scratch, slab.size
