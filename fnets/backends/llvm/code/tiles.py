"""The register tile under every contraction: rows of broadcast scalars times vectors, summed in registers. May import text.

A product, a convolution and both of its gradients are one thing: `acc[r, c] += sum of A[rows[r] + ...] * B[columns[c] + ...]` over a nest of
reduction loops, each with its own steps in A and B. What differs is where the offsets point, which is up to the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from fnets.backends.llvm.code.text import Function, Lanes

Offset = int | str


class Columns(NamedTuple):
    """A vector's first column, and its lanes (masked where it is the rest of a row)."""

    offset: int
    lanes: Lanes


class Sum(NamedTuple):
    """A reduction loop: how often (at least once), and how many elements A and B advance each time."""

    extent: Offset
    a: int
    b: int


def columns_of(f: Function, count: int, width: int) -> list[Columns]:
    """`count` columns as vectors of `width` lanes, the rest as the smallest vector that holds it.

    >>> f = Function("f", [])
    >>> [(c.offset, c.lanes.count, c.lanes.mask is None) for c in columns_of(f, 21, 8)]
    [(0, 8, True), (8, 8, True), (16, 8, False)]
    """
    out = [Columns(o, Lanes(f, width)) for o in range(0, count - width + 1, width)]
    done = len(out) * width
    if done < count:
        rest = count - done
        out.append(Columns(done, Lanes(f, 1 << (rest - 1).bit_length()).first(rest)))
    return out


def columns_by(f: Function, count: int, width: int, vectors: int) -> Iterator[tuple[Offset, list[Columns]]]:
    """Groups of `vectors` vectors out of `count` columns: (first column, vectors); to be written inside of the loop over them."""
    size = vectors * width
    many = count // size * size
    if many:
        with f.count(many, size) as k:
            yield k, columns_of(f, size, width)
    if many < count:
        yield many, columns_of(f, count - many, width)


def balanced(count: int, most: int) -> int:
    """The size of nearly equal parts of `count`, none beyond `most`.

    >>> balanced(13, 6), balanced(12, 6)
    (5, 6)
    """
    return -(-count // -(-count // most))


def blocks(f: Function, extent: int, step: int, body: Callable[[Offset, int], None], shared: bool = False) -> None:
    """Call `body(first, count)` for blocks of `step` and then for what is left of `extent`; if `shared`, for what lies in [%low, %high).

    A shared part begins at a multiple of `step`.
    """
    full = extent // step * step
    if shared and full:
        end = f.smaller("%high", full)
        with f.when(f.op(f"icmp slt i64 %low, {end}")), f.loop("%low", end, step) as loop:
            body(loop.index, step)
    elif full > step:
        with f.loop(0, full, step) as loop:
            body(loop.index, step)
    elif full:
        body(0, step)
    if extent > full and shared:
        with f.when(f.op(f"icmp eq i64 %high, {extent}")):
            body(full, extent - full)
    elif extent > full:
        body(full, extent - full)


def accumulators(vector_bytes: int) -> int:
    """How many vectors a tile may keep in registers: beyond that they spill, at a loss of two to five times.

    >>> accumulators(64), accumulators(32)
    (24, 12)
    """
    return 24 if vector_bytes == 64 else 12


def zeros(rows: int, columns: Sequence[Columns], dtype: np.dtype) -> list[str]:
    """A tile of zeros, row by row."""
    return [c.lanes.const(0, dtype) for _ in range(rows) for c in columns]


def contract(
    f: Function,
    dtype: np.dtype,
    a: str,
    rows: Sequence[Offset],
    b: str,
    columns: Sequence[Columns],
    sums: Sequence[Sum],
    tile: Sequence[str],
    unroll: int = 1,
) -> list[str]:
    """The tile (row by row) plus, over all indices of `sums`, A's scalars at `rows` times B's vectors at `columns`.

    A and B point to elements of `dtype`; offsets are in elements. The innermost loop is unrolled by the largest divisor up to `unroll`.
    """
    types = [c.lanes.type(dtype) for _ in rows for c in columns]
    size = dtype.itemsize

    def step(a: str, b: str, tile: Sequence[str]) -> list[str]:
        vectors = [c.lanes.load(f.address(b, c.offset, size), dtype) for c in columns]
        out = []
        for i, r in enumerate(rows):
            x = Lanes(f, 1).load(f.address(a, r, size), dtype)
            spread: dict[int, str] = {}
            for j, (c, v) in enumerate(zip(columns, vectors)):
                n = c.lanes.count
                if n not in spread:
                    spread[n] = c.lanes.splat(x, dtype)
                out.append(c.lanes.fma(spread[n], v, tile[i * len(columns) + j], dtype))
        return out

    def nest(depth: int, a: str, b: str, tile: Sequence[str]) -> list[str]:
        if depth == len(sums):
            return step(a, b, tile)
        extent, step_a, step_b = sums[depth]
        innermost = depth == len(sums) - 1
        fixed = isinstance(extent, int) and innermost
        times = max([k for k in range(1, unroll + 1) if extent % k == 0]) if fixed else 1

        def rounds(index: Offset, tile: Sequence[str]) -> list[str]:
            for k in range(times):
                i = f.add(index, k)
                tile = nest(depth + 1, f.address(a, f.mul(i, step_a), size), f.address(b, f.mul(i, step_b), size), tile)
            return list(tile)

        if extent == times:
            return rounds(0, tile)
        with f.loop(0, extent, times, list(zip(types, tile))) as loop:
            loop.next = rounds(loop.index, loop.values)
        return loop.results

    return nest(0, a, b, tile)


def nested(
    f: Function,
    extents: Sequence[int],
    carried: Sequence[tuple[str, str]],
    body: Callable[[list[Offset], list[str]], Sequence[str]],
) -> list[str]:
    """Loops that carry (type, first value): what `body(indices, values)` makes of the values, round by round."""

    def loops(indices: list[Offset], values: list[str]) -> Sequence[str]:
        if len(indices) == len(extents):
            return body(indices, values)
        if extents[len(indices)] == 1:
            return loops([*indices, 0], values)
        with f.loop(0, extents[len(indices)], 1, [(t, v) for (t, _), v in zip(carried, values)]) as loop:
            loop.next = list(loops([*indices, loop.index], loop.values))
        return loop.results

    return list(loops([], [first for _, first in carried]))


def store(
    f: Function, dtype: np.dtype, pointer: str, rows: Sequence[Offset], columns: Sequence[Columns], tile: Sequence[str]
) -> None:
    """Write a tile: row i to `pointer + rows[i]`, its vectors at their columns."""
    for i, r in enumerate(rows):
        row = f.address(pointer, r, dtype.itemsize)
        for j, c in enumerate(columns):
            c.lanes.store(tile[i * len(columns) + j], f.address(row, c.offset, dtype.itemsize), dtype)


def load(f: Function, dtype: np.dtype, pointer: str, rows: Sequence[Offset], columns: Sequence[Columns]) -> list[str]:
    """Read a tile that `store` wrote."""
    out = []
    for r in rows:
        row = f.address(pointer, r, dtype.itemsize)
        out += [c.lanes.load(f.address(row, c.offset, dtype.itemsize), dtype) for c in columns]
    return out


def _exchanged(f: Function, t: str, lanes: int, a: str, b: str, s: int) -> tuple[str, str]:
    """Two vectors with the odd groups of `s` lanes of the first and the even ones of the second exchanged."""
    first = ", ".join(f"i32 {l if not l & s else lanes + l - s}" for l in range(lanes))
    second = ", ".join(f"i32 {l + s if not l & s else lanes + l}" for l in range(lanes))
    shuffle = f"shufflevector {t} {a}, {t} {b}, <{lanes} x i32>"
    return f.op(f"{shuffle} <{first}>"), f.op(f"{shuffle} <{second}>")


def transposed(f: Function, dtype: np.dtype, rows: Sequence[str]) -> list[str]:
    """The columns of a square block: as many vectors as each has lanes, a power of two. Rows that are all the same, or poison, cost nothing."""
    n, rows = len(rows), list(rows)
    t, s = Lanes(f, n).type(dtype), n // 2
    while s:
        for i in range(n):
            if not i & s and rows[i] != rows[i + s]:
                rows[i], rows[i + s] = _exchanged(f, t, n, rows[i], rows[i + s], s)
        s //= 2
    return rows


def lane_sums(f: Function, dtype: np.dtype, lanes: int, rows: Sequence[str]) -> str:
    """The sum over the lanes of each of some vectors, as a vector with one lane for each (a scalar for one); all powers of two."""
    rows = list(rows)
    while lanes > len(rows):  # halves onto each other
        t, lanes = Lanes(f, lanes).type(dtype), lanes // 2
        rows = [_folded(f, dtype, t, lanes, x) for x in rows]
    t, s = Lanes(f, lanes).type(dtype), lanes // 2
    while s:
        pairs = [_exchanged(f, t, lanes, a, b, s) for a, b in zip(rows[:s], rows[s:])]
        rows = [f.op(f"fadd {t} {a}, {b}") for a, b in pairs]
        s //= 2
    return rows[0]


def _folded(f: Function, dtype: np.dtype, t: str, half: int, x: str) -> str:
    """The lower half of a vector of type `t` plus the upper."""
    if half == 1:
        parts = [f.op(f"extractelement {t} {x}, i32 {i}") for i in range(2)]
    else:
        picks = [", ".join(f"i32 {start + i}" for i in range(half)) for start in (0, half)]
        parts = [f.op(f"shufflevector {t} {x}, {t} poison, <{half} x i32> <{p}>") for p in picks]
    return f.op(f"fadd {Lanes(f, half).type(dtype)} {parts[0]}, {parts[1]}")
