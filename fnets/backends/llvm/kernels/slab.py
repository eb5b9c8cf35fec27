"""Blocks of channels-last images in scratch, with a border of zeros, as convolutions read them. May import conv_geometry, text, tiles.

A convolution by dense steps (see `Geometry`) reads position k * stride + t * dilation - low of an image, which may lie outside of it. A slab holds
all that a block of output positions reads, so that no kernel asks where the image ends. Where nothing outside is read, it is the image itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from fnets.backends.llvm.code.text import Function, Lanes
from fnets.backends.llvm.code.tiles import columns_of
from fnets.primitives.conv_geometry import Ints, Step

Index = int | str


def fill_row(f: Function, dtype: np.dtype, width: int, to: str, source: str | None, count: int) -> None:
    """Copy `count` elements, or write as many zeros, by vectors of `width` lanes."""
    unroll, size = 4, dtype.itemsize
    block = unroll * width
    many = count // block * block if count >= 2 * block else 0

    def move(lanes: Lanes, offset: Index) -> None:
        x = lanes.const(0, dtype) if source is None else lanes.load(f.address(source, offset, size), dtype)
        lanes.store(x, f.address(to, offset, size), dtype)

    if many:
        with f.count(many, block) as i:
            for k in range(unroll):
                move(Lanes(f, width), f.add(i, k * width))
    for c in columns_of(f, count - many, width):
        move(c.lanes, many + c.offset)


class Slab:
    """What blocks of `block` output positions (depth, height; the width is never cut) read of an image in three dimensions.

    before: the border's size in front of each dimension. shape: positions along each dimension. channels: of each position.
    needed: whether there is a border at all. whole: for readers who see to that themselves, it is always the whole image.
    held: elements that a block reads more than once, to be held in a cache.
    """

    def __init__(self, steps: Sequence[Step], channels: int, block: Ints, whole: bool = False):
        dense = [s.dense for s in steps if s.dense.window]
        self.space, self.channels, self.strides = steps[0].dense.space, channels, steps[0].dense.strides
        reach = [[(d.taps[k] - 1) * d.dilations[k] - d.low[k] + 1 for d in dense] for k in range(3)]
        self.before = tuple([max([0, *[d.low[k] for d in dense]]) for k in range(3)])
        reach_of = [max([1 - p, *r]) + p for r, p in zip(reach, self.before)]
        last = [
            max([1, *[(d.out[k] - 1) * d.strides[k] + r for d, r in zip(dense, reach[k])]]) for k in range(3)
        ]  # positions of the image that are read, zeros behind it included
        self.whole = whole
        self.needed = not whole and (any(self.before) or any([n > m for n, m in zip(last, self.space)]))
        depth, height = [(b - 1) * s + r for b, s, r in zip(block, self.strides, reach_of)]
        shape = (depth, height, self.before[2] + max(last[2], self.space[2]))
        self.shape = shape if self.needed else self.space
        self.held = prod(shape) * channels if self.needed or whole else 0

    @property
    def steps(self) -> Ints:
        """Elements from one position to the next, along each dimension."""
        _, height, width = self.shape
        return height * width * self.channels, width * self.channels, self.channels

    @property
    def size(self) -> int:
        """Elements of scratch."""
        return self.held if self.needed else 0

    def offset(self, step: Step) -> int:
        """Where the first tap of the step's first output position is."""
        return sum([(p - lo) * s for p, lo, s in zip(self.before, step.dense.low, self.steps)])

    def fill(self, f: Function, dtype: np.dtype, width: int, image: str, scratch: str, first: Sequence[Index]) -> str:
        """Copy the block whose first output is at (depth, height) `first` of an image; the pointer from which to read it."""
        if self.whole:
            return image
        _, in_height, in_width = self.space
        at = [f.mul(i, s) for i, s in zip(first, self.strides)]
        row = in_width * self.channels
        if not self.needed:
            return f.address(image, f.mul(f.add(f.mul(at[0], in_height), at[1]), row), dtype.itemsize)
        left = self.before[2] * self.channels
        right = self.steps[1] - left - row
        with f.count(self.shape[0]) as plane, f.count(self.shape[1]) as line:
            d, h = [f.add(f.add(i, a), -p) for i, a, p in zip((plane, line), at, self.before)]
            to = f.address(scratch, f.add(f.mul(plane, self.steps[0]), f.mul(line, self.steps[1])), dtype.itemsize)
            inside = f.op(f"icmp ult i64 {h}, {in_height}")
            if self.before[0] or self.shape[0] > 1:
                inside = f.op(f"and i1 {inside}, {f.op(f'icmp ult i64 {d}, {self.space[0]}')}")
            middle = f.address(to, left, dtype.itemsize)
            with f.when(inside):
                source = f.address(image, f.mul(f.add(f.mul(d, in_height), h), row), dtype.itemsize)
                fill_row(f, dtype, width, middle, source, row)
            with f.when(f.op(f"xor i1 {inside}, true")):
                fill_row(f, dtype, width, middle, None, row)
            fill_row(f, dtype, width, to, None, left)
            fill_row(f, dtype, width, f.address(middle, row, dtype.itemsize), None, right)
        return scratch
