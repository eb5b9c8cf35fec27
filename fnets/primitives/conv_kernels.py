"""Convolution in NumPy: dense correlations and their weight gradients, in cache-sized blocks. May import conv_geometry, threads.

Arrays here have a group axis in front: x (G, N, C, *space), w (G, O, C, *taps), y (G, N, O, *out), all of them views of the user's memory.
Work goes through blocks of a few images, or a band of one image: only a block's patches exist at any time. Four ways, chosen by shape:

    Patches     copy the windows of a block side by side (im2col), one matrix product; a pointwise convolution needs no copy
    Taps        one product for all taps at once, then shifted sums; for few outputs, where a product with patches would be a thin one
    Shifts      shifted multiply-adds for one channel per group (depthwise); faster than a product with a banded (Toeplitz) matrix
    mirrored    the weight gradient with x and ct in each other's place, when ct has fewer channels to copy

Measured and left out: Winograd's F(2x2, 3x3), whose transforms cost more in NumPy passes than the multiplications that they save.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from math import ceil, prod
from typing import Any, NamedTuple

import numpy as np

from fnets.primitives.conv_geometry import Dense, Geometry, Ints, Step
from fnets.primitives.threads import run_blocks

BLOCK_BYTES = 1 << 20  # of patches: they stay in the second-level cache
_FLAT_ELEMENTS = 1 << 16
_MANY_FLOPS = 2_000_000  # below, a second thread costs more than it brings
_FEW_FLOPS = 200_000  # below, BLAS doesn't start threads
_LANES = 4  # partial weight gradients; a fixed number, so that the order of summation does not depend on the machine
_ndarray, _empty, _copyto, _matmul, _add, _multiply = np.ndarray, np.empty, np.copyto, np.matmul, np.add, np.multiply


# ------------------------------------------------------------------ blocks


class Block:
    """The part of a problem that is worked on at once: some groups, some images and a box of output positions."""

    __slots__ = ("groups", "images", "out", "place", "positions", "span", "source", "inside", "start", "full")

    def __init__(self, d: Dense, box: Sequence[tuple[int, int]]):
        (g0, g1), (n0, n1), *ranges = box
        self.groups, self.images = g1 - g0, n1 - n0
        self.out = tuple([b - a for a, b in ranges])
        self.positions = prod(self.out)
        lead = (slice(g0, g1), slice(n0, n1), slice(None))
        self.place = (*lead, *[slice(a, b) for a, b in ranges])
        first = [a * s - low for (a, _), s, low in zip(ranges, d.strides, d.low)]
        self.span = tuple(
            [(n - 1) * s + (r - 1) * e + 1 for n, s, r, e in zip(self.out, d.strides, d.taps, d.dilations)]
        )
        self.start = (g0, n0, 0, *first)
        # the part of the span that exists in x
        lows = [min(max(a, 0), size) for a, size in zip(first, d.space)]
        highs = [max(low, min(a + n, size)) for low, a, n, size in zip(lows, first, self.span, d.space)]
        self.source = (*lead, *[slice(a, b) for a, b in zip(lows, highs)])
        self.inside = (Ellipsis, *[slice(a - f, b - f) if b > a else slice(0) for a, b, f in zip(lows, highs, first)])
        self.full = all([b - a == n for a, b, n in zip(lows, highs, self.span)])


def make_blocks(d: Dense, limit: float) -> list[Block]:
    """Boxes of at most about `limit` output positions, summed over images and groups; several boxes when there is enough work to share."""
    sizes = (d.groups, d.batch, *d.out)
    if d.flops > _MANY_FLOPS:
        limit = min(limit, max(64, prod(sizes) / 8))
    chunks: list[int] = []
    for n in reversed(sizes):
        parts = ceil(n / max(1, min(n, int(limit))))
        chunks.insert(0, ceil(n / parts))
        limit /= chunks[0]
    boxes = [[(a, min(a + c, n)) for a in range(0, n, c)] for n, c in zip(sizes, chunks)]
    return [Block(d, box) for box in itertools.product(*boxes)]


class Memory(NamedTuple):
    """A contiguous array, the strides of (g, n, c, *space) on it, and whether it is channels last."""

    base: np.ndarray
    strides: Ints
    last: bool


class Reader:
    """Hands out the input of a block: x itself where it may be windowed in place, else a zero-padded copy. One per thread.

    memory: where to window x in place, or None. last: keep the copy channels last.
    """

    def __init__(self, x: np.ndarray, memory: Memory | None, last: bool):
        self.x, self.memory, self.last = x, memory, last
        self.shape: tuple | None = None
        self.inside: Any = None

    def read(self, b: Block) -> tuple[np.ndarray, int, Ints]:
        """(buffer, offset, strides in the order g, n, c, *space)."""
        x = self.x
        if self.memory is not None:
            base, strides, _ = self.memory
            return base, sum([i * s for i, s in zip(b.start, strides)]), strides
        shape = (b.groups, b.images, x.shape[2], *b.span)
        if self.shape != shape:
            self.shape, self.inside = shape, None
            if self.last:
                self.buffer = _empty((b.groups, b.images, *b.span, x.shape[2]), x.dtype)
                rank = len(b.span)
                self.view = self.buffer.transpose(0, 1, rank + 2, *range(2, rank + 2))
            else:
                self.buffer = self.view = _empty(shape, x.dtype)
        if not b.full and self.inside != b.inside:
            self.buffer.fill(0)
        self.inside = b.inside
        self.view[b.inside] = x[b.source]
        return self.buffer, 0, self.view.strides


def channels_last(rank: int) -> Ints:
    """The permutation of (g, n, c, *space) to (g, n, *space, c)."""
    return (0, 1, *range(3, rank + 3), 2)


class Kernel:
    """A dense problem with its blocks. `direct`: x can be windowed in place when its memory has the layout that the kernel wants."""

    last = False

    def __init__(self, d: Dense, limit: float):
        self.d = d
        self.blocks = make_blocks(d, limit)
        self.direct = all([b.full for b in self.blocks])
        self.rank = len(d.space)

    def share(self, count: int, body: Callable[[Iterable[int]], None]) -> None:
        if self.d.flops < _FEW_FLOPS:
            body(range(count))
        else:
            run_blocks(count, body)

    def reader(self, x: np.ndarray, memory: Memory | None) -> Reader:
        return Reader(x, memory if memory is not None and self.direct and memory.last == self.last else None, self.last)


# ------------------------------------------------------------------ patches and one product


class Patches(Kernel):
    """Correlation by copying windows side by side: weights (O, C R) @ patches (C R, Q), or patches (N Q, R C) @ weights (R C, O) channels last."""

    def __init__(self, d: Dense, itemsize: int, last: bool, out_last: bool, whole: bool):
        weights = d.cin * d.cout * d.window * itemsize
        per_position = itemsize * (d.cin * d.window if not d.pointwise else d.cin + d.cout)
        self.last = last
        super().__init__(d, self.limit(d, max(16, min(max(weights, BLOCK_BYTES), 4 * BLOCK_BYTES) / per_position)))
        self.in_place = whole and last == out_last  # the product can be written where it belongs
        most = max([b.groups * b.images * b.positions for b in self.blocks])
        self.scratch = 0 if d.pointwise else most * d.cin * d.window
        self.product = 0 if self.in_place else most * d.cout

    def limit(self, d: Dense, limit: float) -> float:
        return limit

    def weights(self, w: np.ndarray) -> np.ndarray:
        """w as the matrix of the product, a group axis in front (and one for images, channels first)."""
        d = self.d
        if self.last:
            return w.transpose(0, *range(3, self.rank + 3), 2, 1).reshape(d.groups, d.window * d.cin, d.cout)
        return w.reshape(d.groups, 1, d.cout, d.cin * d.window)

    def patches(self, reader: Reader, b: Block, scratch: np.ndarray) -> np.ndarray:
        """The block's patches, (g, n, c r, q) or channels last (g, n q, r c)."""
        d = self.d
        buffer, offset, (sg, sn, sc, *space) = reader.read(b)
        if d.pointwise:
            step = space[-1] if space else 0
            if self.last:
                step = step if d.positions > 1 else sn
                return _ndarray((b.groups, b.images * b.positions, d.cin), buffer.dtype, buffer, offset, (sg, step, sc))
            return _ndarray((b.groups, b.images, d.cin, b.positions), buffer.dtype, buffer, offset, (sg, sn, sc, step))
        taps = [s * e for s, e in zip(space, d.dilations)]
        steps = [s * e for s, e in zip(space, d.strides)]
        if self.last:
            shape, strides = (b.groups, b.images, *b.out, *d.taps, d.cin), (sg, sn, *steps, *taps, sc)
        else:
            shape, strides = (b.groups, b.images, d.cin, *d.taps, *b.out), (sg, sn, sc, *taps, *steps)
        copy = _ndarray(shape, buffer.dtype, scratch)
        _copyto(copy, _ndarray(shape, buffer.dtype, buffer, offset, strides))
        if self.last:
            return copy.reshape(b.groups, b.images * b.positions, d.window * d.cin)
        return copy.reshape(b.groups, b.images, d.cin * d.window, b.positions)

    def run(self, x: np.ndarray, memory: Memory | None, w: np.ndarray, out: np.ndarray) -> None:
        d, blocks, last = self.d, self.blocks, self.last
        weights = self.weights(w)
        order = channels_last(self.rank)
        back = (0, 1, self.rank + 2, *range(2, self.rank + 2))

        def body(indices: Iterable[int]) -> None:
            reader = self.reader(x, memory)
            scratch, product = _empty(self.scratch, x.dtype), _empty(self.product, x.dtype)
            for i in indices:
                b = blocks[i]
                patches = self.patches(reader, b, scratch)
                target = out[b.place]
                if last:
                    shape = (b.groups, b.images * b.positions, d.cout)
                    result = (
                        target.transpose(order).reshape(shape) if self.in_place else _ndarray(shape, x.dtype, product)
                    )
                    _matmul(patches, weights[b.place[0]], result)
                    if not self.in_place:
                        target[...] = result.reshape(b.groups, b.images, *b.out, d.cout).transpose(back)
                else:
                    shape = (b.groups, b.images, d.cout, b.positions)
                    result = target.reshape(shape) if self.in_place else _ndarray(shape, x.dtype, product)
                    _matmul(weights[b.place[0]], patches, result)
                    if not self.in_place:
                        target[...] = result.reshape(target.shape)

        self.share(len(blocks), body)


# ------------------------------------------------------------------ flat shifts, for unit strides


class Flat(Kernel):
    """Kernels that see a block's input as one long row per channel: a tap is the same row, shifted. What falls between rows is dropped at the end."""

    def row(self, b: Block, strides: Ints, itemsize: int, fold: bool) -> tuple[int, Ints, list[int]]:
        """(length of a shifted row, strides of (images, *out) on it in elements, shifts of the taps); `fold` puts the images on the row too."""
        sn, *space = [s // itemsize for s in strides]
        shifts = [
            sum([r * e * s for r, e, s in zip(tap, self.d.dilations, space)])
            for tap in itertools.product(*map(range, self.d.taps))
        ]
        length = sum([(n - 1) * s for n, s in zip(b.out, space)]) + 1
        if fold:
            length += (b.images - 1) * sn
        return length, (sn if fold else length, *space), shifts


class Taps(Flat):
    """Correlation by one product for all taps, (R O, C) @ (C, row), and a sum of its shifted parts."""

    def __init__(self, d: Dense, itemsize: int):
        super().__init__(d, max(16, BLOCK_BYTES / (itemsize * d.cout * d.window)))

    def run(self, x: np.ndarray, memory: Memory | None, w: np.ndarray, out: np.ndarray) -> None:
        d, blocks, dtype, size = self.d, self.blocks, x.dtype, x.dtype.itemsize
        weights = w.transpose(0, *range(3, self.rank + 3), 1, 2).reshape(d.groups, 1, d.window * d.cout, d.cin)

        def body(indices: Iterable[int]) -> None:
            reader = self.reader(x, memory)
            product = _empty(0, dtype)
            for i in indices:
                b = blocks[i]
                buffer, offset, (sg, sn, sc, *space) = reader.read(b)
                length, steps, shifts = self.row(b, (sn, *space), size, False)
                row = length + shifts[-1]
                shape = (b.groups, b.images, d.window * d.cout, row)
                if product.shape != shape:
                    product, total = _empty(shape, dtype), _empty((b.groups, b.images, d.cout, length), dtype)
                _matmul(
                    weights[b.place[0]],
                    _ndarray((b.groups, b.images, d.cin, row), dtype, buffer, offset, (sg, sn, sc, size)),
                    product,
                )
                parts = product.reshape(b.groups, b.images, d.window, d.cout, row)
                total[...] = parts[:, :, 0, :, :length]
                for r, shift in enumerate(shifts[1:], 1):
                    _add(total, parts[:, :, r, :, shift : shift + length], total)
                out[b.place] = _ndarray(
                    (b.groups, b.images, d.cout, *b.out),
                    dtype,
                    total,
                    0,
                    (*total.strides[:3], *[s * size for s in steps[1:]]),
                )

        self.share(len(blocks), body)


class Shifts(Flat):
    """Correlation of one channel with one: a sum of shifted multiples of the row, or of strided views where the strides are not 1."""

    def __init__(self, d: Dense):
        super().__init__(d, _FLAT_ELEMENTS)

    def views(self, b: Block, buffer: np.ndarray, offset: int, strides: Ints) -> tuple[list[np.ndarray], Ints]:
        """The input under each tap, and the strides in bytes of (groups, images, *out) on an array of a view's shape."""
        d, dtype, size = self.d, buffer.dtype, buffer.itemsize
        sg, sn, _, *space = strides
        if d.unit:
            length, steps, shifts = self.row(b, (sn, *space), size, b.groups == 1)
            shape = (length,) if b.groups == 1 else (b.groups, b.images, length)
            view_strides = (size,) if b.groups == 1 else (sg, sn, size)
            views = [_ndarray(shape, dtype, buffer, offset + shift * size, view_strides) for shift in shifts]
            return views, (b.images * length * size, *[s * size for s in steps])
        shape = (b.groups, b.images, *b.out)
        view_strides = (sg, sn, *[s * e for s, e in zip(space, d.strides)])
        views = []
        for tap in itertools.product(*map(range, d.taps)):
            shift = sum([r * e * s for r, e, s in zip(tap, d.dilations, space)])
            views.append(_ndarray(shape, dtype, buffer, offset + shift, view_strides))
        place = size
        steps = []
        for n in reversed(shape):
            steps.insert(0, place)
            place *= n
        return views, tuple(steps)

    def run(self, x: np.ndarray, memory: Memory | None, w: np.ndarray, out: np.ndarray) -> None:
        d, blocks, dtype = self.d, self.blocks, x.dtype
        weights = w.reshape(d.groups, d.window)

        def body(indices: Iterable[int]) -> None:
            reader = self.reader(x, memory)
            total = _empty(0, dtype)
            for i in indices:
                b = blocks[i]
                views, strides = self.views(b, *reader.read(b))
                if total.shape != views[0].shape:
                    total, product = _empty(views[0].shape, dtype), _empty(views[0].shape, dtype)
                factors = weights[b.place[0]]
                factors = (
                    factors[0] if total.ndim == 1 else factors.T.reshape(d.window, b.groups, *(1,) * (total.ndim - 1))
                )
                _multiply(views[0], factors[0], total)
                for view, factor in zip(views[1:], factors[1:]):
                    _multiply(view, factor, product)
                    _add(total, product, total)
                out[b.place][:, :, 0] = _ndarray((b.groups, b.images, *b.out), dtype, total, 0, strides)

        self.share(len(blocks), body)


# ------------------------------------------------------------------ weight gradients


class Lane:
    """Blocks of the same groups whose contributions to the weight gradient are summed in order, into partial sum number `slot`."""

    __slots__ = ("slot", "blocks")

    def __init__(self, slot: int, blocks: list[Block]):
        self.slot = slot
        self.blocks = blocks


def make_lanes(blocks: list[Block]) -> tuple[list[Lane], int]:
    """The lanes, and the number of partial sums."""
    lanes, most = [], 0
    for _, same in itertools.groupby(blocks, key=lambda b: b.start[0]):
        group = list(same)
        slots = min(_LANES, len(group))
        most = max(most, slots)
        for k in range(slots):
            lanes.append(Lane(k, group[k * len(group) // slots : (k + 1) * len(group) // slots]))
    return lanes, most


def total_of(partial: np.ndarray) -> np.ndarray:
    """The sum over the first axis, in place and in order."""
    total = partial[0]
    for part in partial[1:]:
        _add(total, part, total)
    return total


class WeightPatches(Patches):
    """Weight gradient from patches: (C R, N Q) @ (N Q, O), summed over blocks."""

    def __init__(self, d: Dense, itemsize: int, last: bool):
        super().__init__(d, itemsize, last, last, True)
        self.lanes, self.slots = make_lanes(self.blocks)
        self.scratch = max([b.groups * b.images * b.positions for b in self.blocks]) * d.cin * d.window
        # few positions per group, as for one example: the product is made the right way round, as turning the sum would cost more
        self.few = not last and len(self.lanes) == len(self.blocks) and self.slots == 1 and d.batch * d.positions <= 256

    def limit(self, d: Dense, limit: float) -> float:
        # one image a block reads x and ct in place
        return d.positions if d.pointwise and not self.last and 64 <= d.positions < limit else limit

    def operands(self, reader: Reader, b: Block, ct: np.ndarray, scratch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(patches (g, c r, n q), ct (g, n q, o)), or (g, r c, n q) channels last."""
        d, rank = self.d, self.rank
        ct = ct[b.place]
        positions = b.images * b.positions
        if self.last:
            return self.patches(reader, b, scratch).swapaxes(1, 2), ct.transpose(channels_last(rank)).reshape(
                b.groups, positions, d.cout
            )
        buffer, offset, (sg, sn, sc, *space) = reader.read(b)
        taps = [s * e for s, e in zip(space, d.dilations)]
        steps = [s * e for s, e in zip(space, d.strides)]
        shape = (b.groups, d.cin, *d.taps, b.images, *b.out)
        patches = _ndarray(shape, buffer.dtype, buffer, offset, (sg, sc, *taps, sn, *steps))
        if d.pointwise and b.images == 1:
            patches = patches.reshape(b.groups, d.cin, positions)
        else:
            copy = _ndarray(shape, buffer.dtype, scratch)
            _copyto(copy, patches)
            patches = copy.reshape(b.groups, d.cin * d.window, positions)
        order = (0, 2, 1, *range(3, rank + 3))
        return patches, ct.transpose(order).reshape(b.groups, d.cout, positions).swapaxes(1, 2)

    def run(self, x: np.ndarray, memory: Memory | None, ct: np.ndarray, out: np.ndarray) -> None:
        d, lanes, rank = self.d, self.lanes, self.rank
        rows = d.cin * d.window
        partial = _empty(
            (self.slots, d.groups, d.cout, rows) if self.few else (self.slots, d.groups, rows, d.cout), x.dtype
        )

        def body(indices: Iterable[int]) -> None:
            reader = self.reader(x, memory)
            scratch = _empty(self.scratch, x.dtype)
            product = _empty(0, x.dtype)
            for i in indices:
                lane = lanes[i]
                target = partial[lane.slot, lane.blocks[0].place[0]]
                for k, b in enumerate(lane.blocks):
                    left, right = self.operands(reader, b, ct, scratch)
                    if self.few:
                        _matmul(right.swapaxes(1, 2), left.swapaxes(1, 2), target)
                    elif k == 0:
                        _matmul(left, right, target)
                    else:
                        if product.shape != target.shape:
                            product = _empty(target.shape, x.dtype)
                        _matmul(left, right, product)
                        _add(target, product, target)

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

    def run(self, x: np.ndarray, memory: Memory | None, ct: np.ndarray, out: np.ndarray) -> None:
        d, blocks, dtype = self.d, self.blocks, x.dtype
        lanes = [list(same) for _, same in itertools.groupby(range(len(blocks)), key=lambda i: blocks[i].start[0])]
        partial = _empty((max(map(len, lanes)), d.groups, d.window), dtype)
        partial.fill(0)
        slot = {i: k for lane in lanes for k, i in enumerate(lane)}

        def body(indices: Iterable[int]) -> None:
            reader = self.reader(x, memory)
            row = _empty(0, dtype)
            for i in indices:
                b = blocks[i]
                views, strides = self.views(b, *reader.read(b))
                if row.shape != views[0].shape:
                    row = _empty(views[0].shape, dtype)
                row.fill(0)  # what lies between the rows of ct must not count
                _ndarray((b.groups, b.images, *b.out), dtype, row, 0, strides)[...] = ct[b.place][:, :, 0]
                target = partial[slot[i], b.place[0]]
                for k, view in enumerate(views):
                    target[:, k] = view.dot(row) if row.ndim == 1 else _add.reduce(np.vecdot(view, row), 1)

        self.share(len(blocks), body)
        out[...] = total_of(partial).reshape(out.shape)


# ------------------------------------------------------------------ choosing


def _prefers_last(d: Dense, x_last: bool) -> bool:
    """Patches are copied in runs: of a row of the image channels first, of the channels channels last."""
    return x_last or (d.cin >= 32 and (d.out[-1] if d.out else 1) < 24)


def correlation(d: Dense, itemsize: int, x_last: bool, whole: bool) -> Any:
    """The kernel for out = correlation of x and w; `whole`: it fills the output alone."""
    if d.cin == 1 and d.cout == 1 and d.space:
        return Shifts(d)
    if d.unit and d.window > 1 and d.cout <= 16 and 4 * d.cout <= d.cin:
        return Taps(d, itemsize)
    return Patches(d, itemsize, _prefers_last(d, x_last), x_last, whole)


def weight_gradient(d: Dense, dtype: np.dtype, x_last: bool, ct_last: bool) -> tuple[Any, bool]:
    """The kernel for out = weight gradient from x and ct, and whether it takes ct and x in each other's place and gives the mirror image."""
    if d.cin == 1 and d.cout == 1 and d.unit and d.space and dtype.kind in "fiu":
        return WeightShifts(d), False
    if d.unit and d.window > 1 and 4 * d.cout <= d.cin:
        d = d.swapped()
        return WeightPatches(d, dtype.itemsize, _prefers_last(d, ct_last)), True
    return WeightPatches(d, dtype.itemsize, _prefers_last(d, x_last)), False


# ------------------------------------------------------------------ the three operations


def _is_last(x: np.ndarray) -> bool:
    """Whether x (N, C, *space) lies channels last in memory."""
    return x.ndim > 2 and x.strides[1] == x.itemsize and x.shape[1] > 1 and not x.flags.c_contiguous


def _strides(outer: int, n: int, inner: int, c: int, space: Ints, itemsize: int, last: bool) -> Ints:
    """Strides of (groups, n, c, *space) on a contiguous (outer, n, inner, c, *space); groups are the outer or the inner ones."""
    order = (outer, n, *space, inner, c) if last else (outer, n, inner, c, *space)
    steps = [prod(order[k + 1 :]) * itemsize for k in range(len(order))]
    spatial = steps[2:-2] if last else steps[4:]
    so, sn = steps[:2]
    si, sc = steps[-2:] if last else steps[2:4]
    return (si if outer == 1 else so, sn, sc, *spatial)


def _memory(x: np.ndarray, last: bool, strides: Ints) -> Memory | None:
    """The memory of x if it is contiguous."""
    if last:
        x = x.transpose(0, *range(2, x.ndim), 1)
    return Memory(x, strides, last) if x.flags.c_contiguous else None


def _split(x: np.ndarray, geo: Geometry) -> np.ndarray:
    """x (batch_groups N, feature_groups C, *space) as (G, N, C, *space)."""
    if geo.groups == 1:
        return x[None]
    c, space = x.shape[1] // geo.feature_groups, x.shape[2:]
    parts = x.reshape(geo.batch_groups, geo.batch, geo.feature_groups, c, *space).swapaxes(1, 2)
    parts = parts.reshape(geo.groups, geo.batch, c, *space)
    return np.ascontiguousarray(parts) if geo.mixed else parts


def _merge(x: np.ndarray, geo: Geometry) -> np.ndarray:
    """The inverse of `_split`."""
    _, n, c, *space = x.shape
    parts = x.reshape(geo.batch_groups, geo.feature_groups, n, c, *space).swapaxes(1, 2)
    return parts.reshape(geo.batch_groups * n, geo.feature_groups * c, *space)


def _split_y(y: np.ndarray, geo: Geometry) -> np.ndarray:
    """y (N, G O, *out) as (G, N, O, *out)."""
    if geo.groups == 1:
        return y[None]
    return y.reshape(geo.batch, geo.groups, geo.cout, *y.shape[2:]).swapaxes(0, 1)


def _new(shape: Ints, dtype: np.dtype, last: bool) -> np.ndarray:
    """An empty array of this shape, channels last in memory if asked."""
    if not last:
        return _empty(shape, dtype)
    n, c, *space = shape
    return _empty((n, *space, c), dtype).transpose(0, len(shape) - 1, *range(1, len(shape) - 1))


def _computing(function: Callable) -> Callable:
    """Half precision is computed in single precision."""

    def wrapped(geo: Geometry, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        dtype = a.dtype
        if dtype.kind == "V" or (dtype.kind == "f" and dtype.itemsize < 4):
            return function(geo, a.astype(np.float32), b.astype(np.float32)).astype(dtype)
        return function(geo, a, b)

    return wrapped


class Plan(NamedTuple):
    """What the kernels worked out for one operation: the steps, a kernel for each, and the strides of contiguous operands."""

    steps: list[Step]
    kernels: list[Any]
    strides: Ints
    ct_strides: Ints = ()


def _x_strides(geo: Geometry, itemsize: int, last: bool) -> Ints:
    if geo.mixed:
        return _strides(geo.groups, geo.batch, 1, geo.cin, geo.space, itemsize, False)  # `_split` makes a copy
    return _strides(geo.batch_groups, geo.batch, geo.feature_groups, geo.cin, geo.space, itemsize, last)


def _y_strides(geo: Geometry, itemsize: int, last: bool) -> Ints:
    return _strides(1, geo.batch, geo.groups, geo.cout, geo.out, itemsize, last)


def _correlations(steps: list[Step], itemsize: int, last: bool, strides: Ints) -> Plan:
    kernels = [correlation(s.dense, itemsize, last, s.place is None) if s.dense.flops else None for s in steps]
    return Plan(steps, kernels, strides)


def _run(plan: Plan, x: np.ndarray, memory: Memory | None, w: np.ndarray, out: np.ndarray) -> None:
    for step, kernel in zip(plan.steps, plan.kernels):
        part = out if step.place is None else out[(Ellipsis, *step.place)]
        if kernel is None:
            part[...] = 0
        else:
            kernel.run(x, memory, w if step.taps is None else w[(Ellipsis, *step.taps)], part)


@_computing
def forward(geo: Geometry, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """y (N, G O, *out) from x and w (G O, C, *window)."""
    last, itemsize = _is_last(x) and not geo.mixed, x.itemsize
    plan = geo.plans.get(("y", itemsize, last))
    if plan is None:
        plan = geo.plans["y", itemsize, last] = _correlations(
            geo.forward(), itemsize, last, _x_strides(geo, itemsize, last)
        )
    parts = _split(x, geo)
    memory = Memory(parts, plan.strides, False) if geo.mixed else _memory(x, last, plan.strides)
    y = _new(geo.y_shape, x.dtype, last)
    _run(plan, parts, memory, w.reshape(geo.groups, geo.cout, geo.cin, *geo.window), _split_y(y, geo))
    return y


@_computing
def input_gradient(geo: Geometry, ct: np.ndarray, w: np.ndarray) -> np.ndarray:
    """x's cotangent from y's and w: correlations of ct with the mirrored w."""
    last, itemsize = _is_last(ct) and not geo.mixed, ct.itemsize
    plan = geo.plans.get(("x", itemsize, last))
    if plan is None:
        plan = geo.plans["x", itemsize, last] = _correlations(
            geo.backward(), itemsize, last, _y_strides(geo, itemsize, last)
        )
    w = w.reshape(geo.groups, geo.cout, geo.cin, *geo.window).swapaxes(1, 2)[mirror(geo)]
    memory = _memory(ct, last, plan.strides)
    if geo.mixed:
        out = _empty((geo.groups, geo.batch, geo.cin, *geo.space), ct.dtype)
        _run(plan, _split_y(ct, geo), memory, w, out)
        return _merge(out, geo)
    dx = _new(geo.x_shape, ct.dtype, last)
    _run(plan, _split_y(ct, geo), memory, w, _split(dx, geo))
    return dx


def mirror(geo: Geometry) -> tuple:
    """The index that turns the taps round."""
    return (Ellipsis, *[slice(None, None, -1)] * len(geo.window))


@_computing
def window_gradient(geo: Geometry, x: np.ndarray, ct: np.ndarray) -> np.ndarray:
    """w's cotangent from x and y's cotangent."""
    last, ct_last, dtype = _is_last(x) and not geo.mixed, _is_last(ct), x.dtype
    plan = geo.plans.get(("w", dtype, last, ct_last))
    if plan is None:
        steps = geo.forward()
        kernels = [weight_gradient(s.dense, dtype, last, ct_last) if s.dense.flops else None for s in steps]
        strides = _x_strides(geo, x.itemsize, last), _y_strides(geo, x.itemsize, ct_last)
        plan = geo.plans["w", dtype, last, ct_last] = Plan(steps, kernels, *strides)
    dw = _empty((geo.groups, geo.cout, geo.cin, *geo.window), dtype)
    if not plan.steps or plan.steps[0].taps is not None or plan.kernels[0] is None:
        dw.fill(0)  # taps that never meet an input
    parts = _split(x, geo)
    memory = Memory(parts, plan.strides, False) if geo.mixed else _memory(x, last, plan.strides)
    ct_memory = _memory(ct, ct_last, plan.ct_strides)
    ct = _split_y(ct, geo)
    for step, choice in zip(plan.steps, plan.kernels):
        if choice is None:
            continue
        kernel, swapped = choice
        part = dw if step.taps is None else dw[(Ellipsis, *step.taps)]
        source = ct if step.place is None else ct[(Ellipsis, *step.place)]
        if swapped:
            kernel.run(source, ct_memory if step.place is None else None, parts, part.swapaxes(1, 2)[mirror(geo)])
        else:
            kernel.run(parts, memory, source, part)
    return dw.reshape(geo.w_shape)
