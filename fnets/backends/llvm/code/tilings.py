"""Which register tiles cover an area in the least time, and the loops over them. May import text, tiles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from fnets.backends.llvm.code.text import Function
from fnets.backends.llvm.code.tiles import accumulators

Index = int | str


class Tile(NamedTuple):
    """Output positions (rows and columns of them) times vectors of channels that are summed in registers."""

    height: int
    width: int
    vectors: int


def step_cost(rows: int, vectors: int) -> float:
    """What a step of a tile's sum costs: products, at least as many as fill the pipeline, and what is loaded for them."""
    return max(rows * vectors, 8) + (rows + vectors) / 4


def divisor(count: int, most: int) -> int:
    """The largest divisor up to `most`.

    >>> divisor(12, 5)
    4
    """
    return max([k for k in range(1, min(count, most) + 1) if count % k == 0])


def tile_for(height: int, width: int, vectors: int, vector_bytes: int) -> Tile:
    """The tile that covers height * width positions and so many vectors in the least time.

    >>> tile_for(32, 32, 2, 64), tile_for(4, 4, 8, 64), tile_for(30, 30, 4, 32)
    (Tile(height=1, width=8, vectors=2), Tile(height=1, width=4, vectors=4), Tile(height=1, width=6, vectors=2))
    """
    room = accumulators(vector_bytes)
    tiles = [
        Tile(p // w, w, v)
        for v in range(1, min(vectors, 4 if vector_bytes == 64 else 3) + 1)
        for p in range(1, room // v + 1)
        if p % (w := min(p, width)) == 0 and p // w <= height
    ]
    return min(tiles, key=lambda tile: covering_cost(tile, height, width, vectors))


def covering_cost(tile: Tile, height: int, width: int, vectors: int) -> float:
    """What a step of the sums costs for height * width positions and so many vectors, by tiles."""
    groups = divmod(vectors, tile.vectors)
    each = groups[0] * step_cost(tile.height * tile.width, tile.vectors)
    rest = 1.05 * step_cost(tile.height * tile.width, groups[1]) if groups[1] else 0  # and its code
    return -(-height // tile.height) * -(-width // tile.width) * (each + rest)


@contextmanager
def covering(f: Function, count: int, size: int) -> Iterator[Index]:
    """Where tiles of `size` begin that cover `count` positions; the last one overlaps the one before it where they do not fit."""
    with f.count(count, size) as i:
        yield f.smaller(i, count - size) if count % size else i
