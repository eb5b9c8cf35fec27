"""Convolution in NumPy: kernels for dense correlations and their weight gradients. May import conv_blocks, conv_geometry.

Several ways, chosen by shape:

    Patches     copy the windows of a block side by side (im2col), one matrix product; a pointwise convolution needs no copy
    Taps        one product for all taps at once, then shifted sums; for few outputs, where a product with patches would be a thin one
    Rows        for one channel per group (depthwise): a product for the taps of a row, shifted sums over rows; a product with a banded
                (Toeplitz) matrix was slower
    Shifts      shifted multiply-adds, where that does not apply: strides, integers
    mirrored    the weight gradient with x and ct in each other's place, when ct has fewer channels to copy

Measured and left out: Winograd's F(2x2, 3x3), whose transforms cost more in NumPy passes than the multiplications that they save.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from fnets.primitives.conv_blocks import (
    BLOCK_BYTES,
    Block,
    Kernel,
    Memory,
    Reader,
    channels_last,
    channels_second,
    contiguous_strides,
    scratch,
)
from fnets.primitives.conv_geometry import Dense, Ints

_FLAT_ELEMENTS = 1 << 16
_FLAT_LEAST = 1 << 12  # with fewer elements, calls of NumPy cost more than a product with patches
_LANES = 4  # partial weight gradients; a fixed number, so that the order of summation does not depend on the machine
_ndarray, _copyto, _matmul, _add, _multiply = np.ndarray, np.copyto, np.matmul, np.add, np.multiply
_take = scratch.take


# ------------------------------------------------------------------ patches and one product


class _Windows(NamedTuple):
    """Patches as a strided view (`offset`, `shape`, `strides`), and the shape of the matrices that their copy is."""

    offset: int
    shape: Ints
    strides: Ints
    matrix: Ints


class Patches(Kernel):
    """Correlation by copying windows side by side: weights (O, C R) @ patches (C R, Q), or patches (N Q, R C) @ weights (R C, O) channels last.

    whole: the kernel fills all of the output, which is channels last if `out_last`; then the product may be written where it belongs.
    """

    def __init__(self, d: Dense, itemsize: int, memory: Memory | None, last: bool, out_last: bool, whole: bool):
        self.last = last
        weights = d.cin * d.cout * d.window * itemsize
        per_position = itemsize * (d.cin + d.cout if d.pointwise else d.cin * d.window)
        limit = min(max(weights, BLOCK_BYTES), 4 * BLOCK_BYTES) / per_position
        super().__init__(d, self.limit(d, max(16, limit)), itemsize, memory)
        self.settled = whole and last == out_last
        self.order, self.back = channels_last(self.rank), channels_second(self.rank)

    def limit(self, d: Dense, limit: float) -> float:
        """The most positions in a block."""
        return limit

    def view(self, b: Block, offset: int, strides: Ints, itemsize: int) -> _Windows:
        d = self.d
        sg, sn, sc, *space = strides
        step = space[-1] if space else sn
        if d.pointwise:
            if self.last:
                matrix = (b.groups, b.images * b.positions, d.cin)
                return _Windows(offset, matrix, (sg, step if b.positions > 1 else sn, sc), matrix)
            matrix = (b.groups, b.images, d.cin, b.positions)
            return _Windows(offset, matrix, (sg, sn, sc, step), matrix)
        taps = [s * e for s, e in zip(space, d.dilations)]
        steps = [s * e for s, e in zip(space, d.strides)]
        if self.last:
            matrix = (b.groups, b.images * b.positions, d.window * d.cin)
            return _Windows(offset, (b.groups, b.images, *b.out, *d.taps, d.cin), (sg, sn, *steps, *taps, sc), matrix)
        matrix = (b.groups, b.images, d.cin * d.window, b.positions)
        return _Windows(offset, (b.groups, b.images, d.cin, *d.taps, *b.out), (sg, sn, sc, *taps, *steps), matrix)

    def patches(self, buffer: np.ndarray, v: _Windows, copy: bool) -> np.ndarray:
        """The patches as matrices."""
        patches = _ndarray(v.shape, buffer.dtype, buffer, v.offset, v.strides)
        if not copy:
            return patches.reshape(v.matrix)
        copied = _take("patches", v.shape, buffer.dtype)
        _copyto(copied, patches)
        return copied.reshape(v.matrix)

    def run(self, x: np.ndarray, base: np.ndarray | None, w: np.ndarray, out: np.ndarray) -> None:
        d, blocks, last, settled, dtype = self.d, self.blocks, self.last, self.settled, x.dtype
        if last:
            weights = w.transpose(0, *range(3, self.rank + 3), 2, 1).reshape(d.groups, d.window * d.cin, d.cout)
        else:
            weights = w.reshape(d.groups, 1, d.cout, d.cin * d.window)

        def body(indices: Iterable[int]) -> None:
            reader = self.reader(x, base)
            for i in indices:
                b = blocks[i]
                patches = self.patches(*reader.read(b), not d.pointwise)
                target = out[b.place]
                if last:
                    shape = (b.groups, b.images * b.positions, d.cout)
                    target = target.transpose(self.order)
                    result = target.reshape(shape) if settled else _take("product", shape, dtype)
                    _matmul(patches, weights[b.place[0]], result)
                else:
                    shape = (b.groups, b.images, d.cout, b.positions)
                    result = target.reshape(shape) if settled else _take("product", shape, dtype)
                    _matmul(weights[b.place[0]], patches, result)
                if not settled:
                    _copyto(target, result.reshape(target.shape))

        self.share(len(blocks), body)


# ------------------------------------------------------------------ flat shifts, for unit strides


class _Row(NamedTuple):
    """A block's input as rows: a view at `offset`, moved by `shifts` bytes for the taps; and the strides of (g, n, *out) on an array of results."""

    offset: int
    shifts: list[int]
    shape: Ints
    strides: Ints
    out_strides: Ints


def shifts_of(d: Dense, space: Ints) -> list[int]:
    """How far in bytes each tap shifts the view."""
    return [
        sum([r * e * s for r, e, s in zip(tap, d.dilations, space)]) for tap in itertools.product(*map(range, d.taps))
    ]


def row_length(b: Block, space: Ints, itemsize: int) -> int:
    """The number of elements from the first output position to the last, along memory with these strides."""
    return sum([(n - 1) * s for n, s in zip(b.out, space)]) // itemsize + 1


def sum_shifted(parts: np.ndarray, shifts: list[int]) -> np.ndarray:
    """The sum of parts[:, :, r], each moved along the last axis by its shift in bytes; `shifts` begins with 0 and ends with the largest."""
    steps = [s // parts.itemsize for s in shifts]
    length = parts.shape[-1] - steps[-1]
    total = _take("total", (*parts.shape[:2], *parts.shape[3:-1], length), parts.dtype)
    if len(steps) == 1:
        _copyto(total, parts[:, :, 0])
        return total
    _add(parts[:, :, 0, ..., :length], parts[:, :, 1, ..., steps[1] : steps[1] + length], total)
    for r, step in enumerate(steps[2:], 2):
        _add(total, parts[:, :, r, ..., step : step + length], total)
    return total


class Taps(Kernel):
    """Correlation by one product for all taps, (R O, C) @ (C, row), and a sum of its shifted parts. What falls between rows is dropped at the end."""

    def __init__(self, d: Dense, itemsize: int, memory: Memory | None):
        super().__init__(d, max(16, BLOCK_BYTES / (itemsize * d.cout * d.window)), itemsize, memory)

    def view(self, b: Block, offset: int, strides: Ints, itemsize: int) -> _Row:
        sg, sn, sc, *space = strides
        length = row_length(b, space, itemsize)
        shifts = shifts_of(self.d, space)
        rows = contiguous_strides((b.groups, b.images, self.d.cout, length), itemsize)
        shape = (b.groups, b.images, self.d.cin, length + shifts[-1] // itemsize)
        return _Row(offset, shifts, shape, (sg, sn, sc, itemsize), (*rows[:3], *space))

    def run(self, x: np.ndarray, base: np.ndarray | None, w: np.ndarray, out: np.ndarray) -> None:
        d, blocks, dtype = self.d, self.blocks, x.dtype
        weights = w.transpose(0, *range(3, self.rank + 3), 1, 2).reshape(d.groups, 1, d.window * d.cout, d.cin)

        def body(indices: Iterable[int]) -> None:
            reader = self.reader(x, base)
            for i in indices:
                b = blocks[i]
                buffer, v = reader.read(b)
                row = v.shape[3]
                product = _take("product", (b.groups, b.images, d.window * d.cout, row), dtype)
                _matmul(weights[b.place[0]], _ndarray(v.shape, dtype, buffer, v.offset, v.strides), product)
                total = sum_shifted(product.reshape(b.groups, b.images, d.window, d.cout, row), v.shifts)
                out[b.place] = _ndarray((b.groups, b.images, d.cout, *b.out), dtype, total, 0, v.out_strides)

        self.share(len(blocks), body)


class Rows(Kernel):
    """Correlation of one channel with one: the taps along the last axis by a product, (R', S) @ (S, row), the others by shifted sums.

    That reads memory less often than patches or multiply-adds of single taps do.
    """

    def __init__(self, d: Dense, itemsize: int, memory: Memory | None):
        self.rest = d.window // d.taps[-1]
        super().__init__(d, BLOCK_BYTES / (itemsize * (d.taps[-1] + self.rest + 2)), itemsize, memory)

    def view(self, b: Block, offset: int, strides: Ints, itemsize: int) -> _Row:
        d = self.d
        sg, sn, _, *space = strides
        length, images = row_length(b, space, itemsize), b.images
        if b.groups == 1:  # the images follow each other on one row
            length, images = length + (images - 1) * sn // itemsize, 1
        shifts = shifts_of(d, space)[:: d.taps[-1]]
        shape = (b.groups, images, d.taps[-1], length + shifts[-1] // itemsize)
        rows = contiguous_strides((b.groups, images, length), itemsize)
        out_strides = (rows[0], sn if b.groups == 1 else rows[1], *space)
        return _Row(offset, shifts, shape, (sg, sn, space[-1] * d.dilations[-1], itemsize), out_strides)

    def run(self, x: np.ndarray, base: np.ndarray | None, w: np.ndarray, out: np.ndarray) -> None:
        d, blocks, dtype = self.d, self.blocks, x.dtype
        weights = w.reshape(d.groups, 1, self.rest, d.taps[-1])

        def body(indices: Iterable[int]) -> None:
            reader = self.reader(x, base)
            for i in indices:
                b = blocks[i]
                buffer, v = reader.read(b)
                copies = _take("patches", v.shape, dtype)
                _copyto(copies, _ndarray(v.shape, dtype, buffer, v.offset, v.strides))
                product = _take("product", (*v.shape[:2], self.rest, v.shape[3]), dtype)
                _matmul(weights[b.place[0]], copies, product)
                total = sum_shifted(product, v.shifts)
                out[b.place][:, :, 0] = _ndarray((b.groups, b.images, *b.out), dtype, total, 0, v.out_strides)

        self.share(len(blocks), body)


class Shifts(Kernel):
    """Correlation of one channel with one: a sum of multiples of strided views, which are shifted rows where the strides are 1."""

    def __init__(self, d: Dense, itemsize: int, memory: Memory | None):
        super().__init__(d, _FLAT_ELEMENTS, itemsize, memory)

    def view(self, b: Block, offset: int, strides: Ints, itemsize: int) -> _Row:
        d = self.d
        sg, sn, _, *space = strides
        shifts = shifts_of(d, space)
        if not d.unit:
            shape = (b.groups, b.images, *b.out)
            steps = [s * e for s, e in zip(space, d.strides)]
            return _Row(offset, shifts, shape, (sg, sn, *steps), contiguous_strides(shape, itemsize))
        length = row_length(b, space, itemsize)
        if b.groups == 1:  # the images follow each other on one row
            length += (b.images - 1) * sn // itemsize
            return _Row(offset, shifts, (length,), (itemsize,), (length * itemsize, sn, *space))
        rows = contiguous_strides((b.groups, b.images, length), itemsize)
        return _Row(offset, shifts, (b.groups, b.images, length), (sg, sn, itemsize), (*rows[:2], *space))

    def run(self, x: np.ndarray, base: np.ndarray | None, w: np.ndarray, out: np.ndarray) -> None:
        d, blocks, dtype = self.d, self.blocks, x.dtype
        weights = w.reshape(d.groups, d.window)

        def body(indices: Iterable[int]) -> None:
            reader = self.reader(x, base)
            for i in indices:
                b = blocks[i]
                buffer, v = reader.read(b)
                total, product = _take("total", v.shape, dtype), _take("product", v.shape, dtype)
                factors = weights[b.place[0]]
                factors = (
                    factors[0] if total.ndim == 1 else factors.T.reshape(d.window, b.groups, *(1,) * (total.ndim - 1))
                )
                target = total
                for shift, factor in zip(v.shifts, factors):
                    _multiply(_ndarray(v.shape, dtype, buffer, v.offset + shift, v.strides), factor, target)
                    if target is product:
                        _add(total, product, total)
                    target = product
                out[b.place][:, :, 0] = _ndarray((b.groups, b.images, *b.out), dtype, total, 0, v.out_strides)

        self.share(len(blocks), body)


# ------------------------------------------------------------------ weight gradients


class Lane:
    """Blocks of the same groups whose contributions to the weight gradient are summed in order, into partial sum number `slot`."""

    __slots__ = ("slot", "blocks", "groups")

    def __init__(self, slot: int, blocks: list[Block]):
        self.slot = slot
        self.blocks = blocks
        self.groups = blocks[0].place[0]


def make_lanes(blocks: list[Block], most: int) -> list[Lane]:
    """The blocks of each range of groups, in at most `most` lanes."""
    lanes = []
    for _, same in itertools.groupby(blocks, key=lambda b: b.start[0]):
        group = list(same)
        slots = min(most, len(group))
        lanes += [Lane(k, group[k * len(group) // slots : (k + 1) * len(group) // slots]) for k in range(slots)]
    return lanes


def total_of(partial: np.ndarray) -> np.ndarray:
    """The sum over the first axis, in place and in order."""
    total = partial[0]
    for part in partial[1:]:
        _add(total, part, total)
    return total


class WeightPatches(Patches):
    """Weight gradient from patches: (C R, N Q) @ (N Q, O), summed over blocks; channels last (R C, N Q) @ (N Q, O)."""

    def __init__(self, d: Dense, itemsize: int, memory: Memory | None, last: bool):
        super().__init__(d, itemsize, memory, last, last, True)
        self.lanes = make_lanes(self.blocks, _LANES)
        self.slots = 1 + max([lane.slot for lane in self.lanes])
        # few positions per group, as for one example: the product is made the right way round, as turning the sum would cost more
        self.few = not last and len(self.lanes) == len(self.blocks) and self.slots == 1 and d.batch * d.positions <= 256
        self.rows = d.cin * d.window

    def limit(self, d: Dense, limit: float) -> float:
        # one image a block reads x and ct in place
        return d.positions if not self.last and 64 <= d.positions < limit else limit

    def view(self, b: Block, offset: int, strides: Ints, itemsize: int) -> _Windows:
        d = self.d
        if self.last:
            return super().view(b, offset, strides, itemsize)
        sg, sn, sc, *space = strides
        taps = [s * e for s, e in zip(space, d.dilations)]
        steps = [s * e for s, e in zip(space, d.strides)]
        matrix = (b.groups, d.cin * d.window, b.images * b.positions)
        return _Windows(offset, (b.groups, d.cin, *d.taps, b.images, *b.out), (sg, sc, *taps, sn, *steps), matrix)

    def add(self, b: Block, reader: Reader, ct: np.ndarray, target: np.ndarray, first: bool) -> None:
        """Add a block's contribution to `target`, or put it there."""
        d, rank = self.d, self.rank
        copy = not (d.pointwise and (self.last or b.images == 1))
        patches = self.patches(*reader.read(b), copy)
        ct = ct[b.place]
        positions = b.images * b.positions
        if self.last:
            left, right = patches.swapaxes(1, 2), ct.transpose(self.order).reshape(b.groups, positions, d.cout)
        else:
            turned = ct.transpose(0, 2, 1, *range(3, rank + 3)).reshape(b.groups, d.cout, positions)
            left, right = patches, turned.swapaxes(1, 2)
        if self.few:
            left, right = right.swapaxes(1, 2), left.swapaxes(1, 2)
        if first:
            _matmul(left, right, target)
        else:
            product = _take("product", target.shape, target.dtype)
            _matmul(left, right, product)
            _add(target, product, target)

    def run(self, x: np.ndarray, base: np.ndarray | None, ct: np.ndarray, out: np.ndarray) -> None:
        d, lanes, rank, rows = self.d, self.lanes, self.rank, self.rows
        shape = (d.cout, rows) if self.few else (rows, d.cout)
        partial = np.empty((self.slots, d.groups, *shape), x.dtype)

        def body(indices: Iterable[int]) -> None:
            reader = self.reader(x, base)
            for i in indices:
                lane = lanes[i]
                target = partial[lane.slot, lane.groups]
                for k, b in enumerate(lane.blocks):
                    self.add(b, reader, ct, target, k == 0)

        self.share(len(lanes), body)
        total = total_of(partial)
        if self.few:
            out[...] = total.reshape(out.shape)
        elif self.last:
            out[...] = total.reshape(d.groups, *d.taps, d.cin, d.cout).transpose(
                0, rank + 2, rank + 1, *range(1, rank + 1)
            )
        else:
            out[...] = total.reshape(d.groups, d.cin, *d.taps, d.cout).transpose(0, rank + 2, *range(1, rank + 2))


class WeightShifts(Shifts):
    """Weight gradient of one channel with one, for unit strides: inner products of shifted rows."""

    def __init__(self, d: Dense, itemsize: int, memory: Memory | None):
        super().__init__(d, itemsize, memory)
        self.lanes = make_lanes(self.blocks, len(self.blocks))
        self.slots = 1 + max([lane.slot for lane in self.lanes])

    def run(self, x: np.ndarray, base: np.ndarray | None, ct: np.ndarray, out: np.ndarray) -> None:
        d, lanes, dtype = self.d, self.lanes, x.dtype
        partial = np.empty((self.slots, d.groups, d.window), dtype)

        def body(indices: Iterable[int]) -> None:
            reader = self.reader(x, base)
            for i in indices:
                (b,) = lanes[i].blocks
                buffer, v = reader.read(b)
                row = _take("total", v.shape, dtype)
                row.fill(0)  # what lies between the rows of ct must not count
                _ndarray((b.groups, b.images, *b.out), dtype, row, 0, v.out_strides)[...] = ct[b.place][:, :, 0]
                target = partial[lanes[i].slot, lanes[i].groups]
                for k, shift in enumerate(v.shifts):
                    view = _ndarray(v.shape, dtype, buffer, v.offset + shift, v.strides)
                    target[:, k] = view.dot(row) if row.ndim == 1 else _add.reduce(np.vecdot(view, row), 1)

        self.share(len(lanes), body)
        out[...] = total_of(partial).reshape(out.shape)


# ------------------------------------------------------------------ choosing


def _prefers_last(d: Dense, x_last: bool) -> bool:
    """Patches are copied in runs: of a row of the image channels first (if the stride is 1), of the channels channels last."""
    if x_last or d.pointwise:
        return x_last
    run = d.out[-1] if d.out and d.strides[-1] == 1 else 1
    return d.cin >= 48 and run < 24


def _one_channel(d: Dense) -> bool:
    return d.cin == 1 and d.cout == 1 and d.rank > 0 and d.groups * d.batch * d.positions >= _FLAT_LEAST


def correlation(d: Dense, dtype: np.dtype, memory: Memory | None, last: bool, whole: bool) -> Any:
    """The kernel for out = correlation of x and w.

    memory: where x lies when it is contiguous. last: x and the output are channels last. whole: the kernel fills all of the output.
    """
    itemsize = dtype.itemsize
    if _one_channel(d):
        by_rows = d.unit and d.taps[-1] > 1 and dtype.kind in "fc"  # BLAS has no integers
        return (Rows if by_rows else Shifts)(d, itemsize, memory)
    most, ratio = (
        (16, 4) if whole else (32, 2)
    )  # parts of a dilated problem have few taps each, so their patches are thin too
    if d.unit and d.window > 1 and d.cout <= most and ratio * d.cout <= d.cin:
        return Taps(d, itemsize, memory)
    return Patches(d, itemsize, memory, _prefers_last(d, last), last, whole)


def weight_gradient(
    d: Dense, dtype: np.dtype, memory: Memory | None, ct_memory: Memory | None, last: bool, ct_last: bool
) -> tuple[Any, bool]:
    """The kernel for out = weight gradient from x and ct, and whether it takes ct and x in each other's place and gives the mirror image."""
    if _one_channel(d) and d.unit and dtype.kind in "fiu":
        return WeightShifts(d, dtype.itemsize, memory), False
    if d.unit and d.window > 1 and 4 * d.cout <= d.cin:
        d = d.swapped()
        return WeightPatches(d, dtype.itemsize, ct_memory, _prefers_last(d, ct_last)), True
    return WeightPatches(d, dtype.itemsize, memory, _prefers_last(d, last)), False
