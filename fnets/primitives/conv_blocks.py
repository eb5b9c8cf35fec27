"""What the kernels of convolution share: blocks, scratch memory, and reading a block's input. May import conv_geometry, threads.

Arrays have a group axis in front: x (G, N, C, *space), w (G, O, C, *taps), y (G, N, O, *out), all of them views of the user's memory.
Work goes through blocks of a few images, or a band of one image: only a block's patches exist at any time.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from math import ceil, prod
from typing import Any, NamedTuple

import numpy as np

from fnets.primitives.conv_geometry import Dense, Ints
from fnets.primitives.threads import run_blocks

BLOCK_BYTES = 1 << 20  # of patches: they stay in the second-level cache
MANY_FLOPS = 20_000_000  # about 0.2 ms of work: below, handing blocks to another thread costs more than it saves
FEW_FLOPS = 200_000  # below, BLAS doesn't start threads by itself either
_KEPT_BYTES = 1 << 23
_ndarray, _empty = np.ndarray, np.empty


# ------------------------------------------------------------------ scratch memory


class _Scratch(threading.local):
    """Memory that a thread keeps for its next call: new pages would cost as much as the arithmetic on them."""

    def __init__(self) -> None:
        self.buffers: dict[str, np.ndarray] = {}

    def take(self, name: str, shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
        size = prod(shape) * dtype.itemsize
        buffer = self.buffers.get(name)
        if buffer is None or buffer.nbytes < size:
            buffer = _empty(size, np.uint8)
            if size <= _KEPT_BYTES:
                self.buffers[name] = buffer
        return _ndarray(shape, dtype, buffer)


scratch = _Scratch()


# ------------------------------------------------------------------ blocks


class Block:
    """The part of a problem that is worked on at once: some groups, some images and a box of output positions.

    in_place, copied: how the kernel sees the block's input, in x's own memory and in a padded copy of it.
    """

    __slots__ = (
        "groups",
        "images",
        "out",
        "place",
        "positions",
        "span",
        "source",
        "inside",
        "start",
        "full",
        "in_place",
        "copied",
    )

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
        self.in_place: Any = None
        self.copied: Any = None


def make_blocks(d: Dense, limit: float) -> list[Block]:
    """Boxes of at most about `limit` output positions, summed over images and groups; several boxes when there is enough work to share."""
    sizes = (d.groups, d.batch, *d.out)
    if d.flops > MANY_FLOPS:
        limit = min(limit, max(64, prod(sizes) / 8))
    chunks: list[int] = []
    for n in reversed(sizes):
        parts = ceil(n / max(1, min(n, int(limit))))
        chunks.insert(0, ceil(n / parts))
        limit /= chunks[0]
    boxes = [[(a, min(a + c, n)) for a in range(0, n, c)] for n, c in zip(sizes, chunks)]
    return [Block(d, box) for box in itertools.product(*boxes)]


# ------------------------------------------------------------------ reading


def channels_last(rank: int) -> Ints:
    """The permutation of (g, n, c, *space) to (g, n, *space, c).

    >>> channels_last(2)
    (0, 1, 3, 4, 2)
    """
    return (0, 1, *range(3, rank + 3), 2)


def channels_second(rank: int) -> Ints:
    """The inverse of `channels_last`."""
    return (0, 1, rank + 2, *range(2, rank + 2))


class Memory(NamedTuple):
    """Where x lies: the strides of (g, n, c, *space) in its contiguous memory, and whether channels are last there."""

    strides: Ints
    last: bool


class Reader:
    """Hands out the input of blocks: x's own memory where the kernel may look at it in place, else a zero-padded copy. One per thread.

    base: the contiguous array that x is a view of, if the kernel may use it; or None.
    """

    def __init__(self, x: np.ndarray, base: np.ndarray | None, last: bool):
        self.x, self.base, self.last = x, base, last
        self.shape: Ints | None = None
        self.inside: Any = None

    def read(self, b: Block) -> tuple[np.ndarray, Any]:
        """(buffer, the kernel's view of it)."""
        if self.base is not None:
            return self.base, b.in_place
        x = self.x
        shape = (b.groups, b.images, x.shape[2], *b.span)
        if self.shape != shape:
            self.shape, self.inside = shape, None
            if self.last:
                self.buffer = scratch.take("input", (b.groups, b.images, *b.span, x.shape[2]), x.dtype)
                self.view = self.buffer.transpose(channels_second(len(b.span)))
            else:
                self.buffer = self.view = scratch.take("input", shape, x.dtype)
        if not b.full and self.inside != b.inside:
            self.buffer.fill(0)
        self.inside = b.inside
        source = x[b.source]
        if self.last and source.strides[2] % 1024 == 0 and source.shape[2] > 8:
            # channels a power of two apart fall into the same few cache lines: turn them round from a copy that lies otherwise
            g, n, c, *space = source.shape
            spaced = scratch.take("spaced", (g, n, c, prod(space) + 16), x.dtype)[..., :-16].reshape(source.shape)
            spaced[...] = source
            source = spaced
        self.view[b.inside] = source
        return self.buffer, b.copied


class Kernel:
    """A dense problem with its blocks and, for each, a view of the input. Subclasses say how they look at it (`view`) and compute (`run`)."""

    last = False  # the layout of padded copies

    def __init__(self, d: Dense, limit: float, itemsize: int, memory: Memory | None):
        self.d = d
        self.rank = len(d.space)
        self.blocks = make_blocks(d, limit)
        direct = memory is not None and memory.last == self.last and all([b.full for b in self.blocks])
        self.direct = direct
        for b in self.blocks:
            if direct:
                offset = sum([i * s for i, s in zip(b.start, memory.strides)])
                b.in_place = self.view(b, offset, memory.strides, itemsize)
            b.copied = self.view(b, 0, self.copy_strides(b, itemsize), itemsize)

    def copy_strides(self, b: Block, itemsize: int) -> Ints:
        """Strides of (g, n, c, *span) on the padded copy."""
        sizes = (b.groups, b.images, *b.span, self.d.cin) if self.last else (b.groups, b.images, self.d.cin, *b.span)
        steps = contiguous_strides(sizes, itemsize)
        return tuple([steps[i] for i in channels_second(self.rank)]) if self.last else steps

    def view(self, b: Block, offset: int, strides: Ints, itemsize: int) -> Any:
        """The kernel's view of a block's input that starts at `offset` and has these strides."""
        raise TypeError(f"{type(self).__name__} does not define view")

    def reader(self, x: np.ndarray, base: np.ndarray | None) -> Reader:
        return Reader(x, base if self.direct else None, self.last)

    def share(self, count: int, body: Callable[[Iterable[int]], None]) -> None:
        if self.d.flops < FEW_FLOPS:
            body(range(count))
        else:
            run_blocks(count, body, alone=self.d.flops < MANY_FLOPS)


def contiguous_strides(sizes: Sequence[int], itemsize: int) -> Ints:
    """Strides in bytes of a C-contiguous array.

    >>> contiguous_strides((2, 3, 4), 8)
    (96, 32, 8)
    """
    out = []
    step = itemsize
    for n in reversed(sizes):
        out.append(step)
        step *= n
    return tuple(reversed(out))
