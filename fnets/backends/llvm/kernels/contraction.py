"""Products of arrays (`dot_general`) as native stages. May import core, stage, text, tiles.

A product is a set of axes, each with its steps in lhs, rhs and result; neighbours that every array passes through as one are one axis, so
transpositions, batches and many axes are all the same program. Three kernels compute it:

- `Tile`: rows of lhs broadcast against vectors of rhs along the result's last axis. What is not contiguous there is packed before by
- `Pack`: rhs in panels as wide as a tile, transposed in registers;
- `Dot`: where both are contiguous along the contracted axis and lhs has few rows: vectors along that axis, summed across at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from fnets.backends.llvm.code.text import DOUBLE, SINGLE, Function, Lanes
from fnets.backends.llvm.code.tiles import (
    Columns,
    Offset,
    Sum,
    accumulators,
    blocks,
    columns_of,
    contract,
    lane_sums,
    load,
    store,
    transposed,
    zeros,
)
from fnets.backends.llvm.code.tilings import divisor
from fnets.backends.llvm.kernels.movement import steps_of
from fnets.backends.llvm.kernels.stage import Stage
from fnets.core.avals import ShapedArray
from fnets.core.ir import Eqn, Literal, Var

_MOST = 2000**3  # multiplications from which BLAS, which packs both operands, is faster
_PART = 40_000  # estimated nanoseconds of a part, when there are enough
_RATE = 50.0  # multiplications of float32 in a nanosecond
_BANDWIDTH = 40.0  # bytes in a nanosecond
_PANEL = 64 * 1024  # bytes of rhs that a block of the contracted axis holds for a tile's columns
_CACHE = 512 * 1024  # bytes of rhs that stay in a core's cache
_FEW_READS = 32  # rows of lhs up to which rhs is read as a stream
_LEAST = 32 * 1024  # bytes of rhs for each row of a part
_FEW_SUMS = 16 * 1024  # elements of a result that may be a sum over parts
_DEEP = 512  # the length of a contracted axis from which it may be cut
_LONG_SUM = 100  # a contracted axis that is so many times longer than lhs has rows is cut first
_LONG = 2  # a contracted axis that is longer than so many blocks is blocked
_FEW_ROWS = 8  # up to so many rows of lhs, transposing rhs costs more than the product


class Axis(NamedTuple):
    """The length of an axis, and the elements to its next index in lhs, rhs and result (0 where it is not theirs)."""

    extent: int
    a: int
    b: int
    c: int


class Product(NamedTuple):
    """`c[batch, m, n] = sum over k of a[batch, m, k] * b[batch, n, k]`, for lists of axes."""

    a: Var
    b: Var
    c: Var
    batch: list[Axis]
    m: list[Axis]
    n: list[Axis]
    k: list[Axis]

    @property
    def sizes(self) -> list[int]:
        return [math.prod([x.extent for x in axes]) for axes in (self.batch, self.m, self.n, self.k)]

    @property
    def nanoseconds(self) -> float:
        """The time that one thread takes, roughly."""
        dtype = self.c.aval.dtype
        arithmetic = math.prod(self.sizes) / (_RATE * 4 / dtype.itemsize)
        return max(arithmetic, sum([v.aval.nbytes for v in (self.a, self.b, self.c)]) / _BANDWIDTH)


def _merged(axes: Sequence[Axis]) -> list[Axis]:
    """Neighbouring axes as one where all arrays step through them as one; without those of length 1."""
    out: list[Axis] = []
    for x in axes:
        if x.extent == 1:
            continue
        if out and all([outer == inner * x.extent for outer, inner in zip(out[-1][1:], x[1:])]):
            out[-1] = Axis(out[-1].extent * x.extent, *x[1:])
        else:
            out.append(x)
    return out


def _product(e: Eqn) -> Product:
    lhs, rhs = e.invars
    c = e.outvars[0]
    (lc, rc), (lb, rb) = e.params["dimension_numbers"]
    a, b, out = lhs.aval.shape, rhs.aval.shape, c.aval.shape
    sa, sb, sc = steps_of(a), steps_of(b), steps_of(out)
    lf = [i for i in range(len(a)) if i not in lc and i not in lb]
    rf = [i for i in range(len(b)) if i not in rc and i not in rb]
    first = len(lb) + len(lf)
    batch = _merged([Axis(a[i], sa[i], sb[j], s) for i, j, s in zip(lb, rb, sc)])
    m = _merged([Axis(a[i], sa[i], 0, s) for i, s in zip(lf, sc[len(lb) :])])
    n = _merged([Axis(b[j], 0, sb[j], s) for j, s in zip(rf, sc[first:])])
    k = [Axis(a[i], sa[i], sb[j], 0) for i, j in zip(lc, rc)]
    orders = [_merged(sorted(k, key=lambda x: -x.b)), _merged(sorted(k, key=lambda x: -x.a))]
    k = min(orders, key=len)
    if m and not n:  # vectors of the result lie along lhs's axes
        swap = [[Axis(x.extent, x.b, x.a, x.c) for x in axes] for axes in (batch, n, m, k)]
        return Product(rhs, lhs, c, *swap)
    return Product(lhs, rhs, c, batch, m, n, k)


def lower(e: Eqn, vector_bytes: int) -> list[Stage] | None:
    """The stages of a `dot_general`, or None where NumPy should compute it."""
    avals = [v.aval for v in (*e.invars, *e.outvars)]
    dtype = avals[-1].dtype
    if dtype not in (SINGLE, DOUBLE) or any([v.dtype != dtype or v.weak_type or not v.size for v in avals]):
        return None
    if any([type(v) is Literal for v in e.invars]):
        return None
    p = _product(e)
    if math.prod(p.sizes) > _MOST:
        return None
    _, rows, _, depth = p.sizes
    if rows <= _FEW_ROWS and p.k and p.k[-1].a == p.k[-1].b == 1 and not (p.n and p.n[-1].b == 1):
        return [Dot(e, p, vector_bytes)]
    if p.n and (p.n[-1].b != 1 or _worth_packing(p)):
        pack = Pack(e, p, vector_bytes)
        return [pack, Tile(e, pack.product, vector_bytes, pack.width)]
    return [Tile(e, p, vector_bytes)]


@contextmanager
def _loops(f: Function, axes: Sequence[Axis], shared: bool = False) -> Iterator[list[Offset]]:
    """Loops over axes, the first of them over [%low, %high) if `shared`; gives the offsets in lhs, rhs and result."""
    with ExitStack() as stack:
        offsets: list[Offset] = [0, 0, 0]
        for i, x in enumerate(axes):
            low, high = ("%low", "%high") if shared and i == 0 else (0, x.extent)
            index = stack.enter_context(f.loop(low, high, 1)).index
            offsets = [f.add(o, f.mul(index, step)) for o, step in zip(offsets, x[1:])]
        yield offsets


class _Kernel(Stage):
    """What the kernels have in common: how a product is cut."""

    def __init__(self, e: Eqn, p: Product, vector_bytes: int):
        self.eqns = [e]
        self.p = p
        self.vector_bytes = vector_bytes
        self.dtype = p.c.aval.dtype
        self.size = self.dtype.itemsize
        self.lanes = vector_bytes // self.size
        self.loaded = list(dict.fromkeys([p.a, p.b]))
        self.stored = [p.c]

    def _cut(self, candidates: Sequence[tuple[str, Axis, int]]) -> None:
        """Choose what to cut of (name, axis, blocking): the first that gives enough parts, else the one that gives most."""
        wanted = min(8, self.p.nanoseconds / _PART) / 2
        parts = [x.extent // blocking for _, x, blocking in candidates]
        best = next((i for i, n in enumerate(parts) if n >= wanted), max(range(len(parts)), key=parts.__getitem__))
        self.cut, axis, self.blocking = candidates[best]
        self.extent = axis.extent
        if self.cut == "sum":
            self.accumulated = frozenset(self.stored)
        else:
            arrays = list(zip((self.p.a, self.p.b, self.p.c), axis[1:]))
            others = {
                v for v, step in arrays if not _is_leading(v, axis.extent, step)
            }  # of an array that comes twice, both count
            self.aligned = frozenset(self.buffers) - others

    def _shares(self, name: str) -> bool:
        """True if it is this that is cut into parts."""
        return self.cut == name and self.chunk < self.extent


def _is_leading(v: Var, extent: int, step: int) -> bool:
    """True if an axis steps through all of a variable's memory."""
    return step * extent == v.aval.size


class Tile(_Kernel):
    """A product by register tiles.

    The loops, from the outside: batch and all but the longest axis of m and the last of n; blocks of the contracted axis, if it is long;
    panels of columns; blocks of rows.
    """

    def __init__(self, e: Eqn, p: Product, vector_bytes: int, width: int = 0):
        super().__init__(e, p, vector_bytes)
        self.row = _row(p)
        self.column = p.n[-1] if p.n else _NONE
        others = [x for x in p.m if x is not self.row]
        self.outer = [*p.batch, *others, *p.n[:-1]]
        vectors, self.rows = _tile(p, vector_bytes, width)
        self.width = vectors * self.lanes
        self.packed = width > 0
        self.block = self.depth = p.k[0].extent if p.k else 1
        inner = math.prod([x.extent for x in p.k[1:]])
        most = max(1, _PANEL // (self.width * self.size * inner))
        _, m, n, k = p.sizes
        if self.row.extent <= _FEW_READS:
            # rhs is hardly read again: in the order of memory, if that is not the cache
            if self.column.extent > self.width and not self.packed and n * k * self.size > _CACHE:
                self.block = min(self.depth, 16)
        elif self.depth > _LONG * most:
            self.block = -(-self.depth // -(-self.depth // most))
        # every part of the rows reads all of rhs: enough of them to hide that, if it is not in the cache
        least = min(128, n * k * self.size // _LEAST, m // 4)
        candidates = []
        if p.batch:
            candidates.append(("outer", p.batch[0], 1))
        elif others and p.m[0] is not self.row:
            candidates.append(("outer", p.m[0], 1))
        candidates.append(("rows", self.row, self._row_blocking(vectors, least)))
        if self.depth >= _DEEP and m * n <= _FEW_SUMS and not p.batch:
            # where rhs is far larger than lhs's rows are many, no part should read all of it
            candidates.insert(0 if self.depth >= _LONG_SUM * m else len(candidates), ("sum", p.k[0], 64))
        candidates.append(("columns", self.column, self.width))
        self._cut(candidates)

    def _row_blocking(self, vectors: int, least: int) -> int:
        """Where rows can be cut: parts of `least` or more, of whole tiles, which may be smaller if they hold sums enough to hide how long each takes."""
        for k in range(max(1, least), self.row.extent):
            rows = divisor(k, self.rows)
            if self.row.extent % k == 0 and (rows * vectors >= 8 or rows >= 0.6 * self.rows):
                return k
        return max(1, -(-least // self.rows)) * self.rows

    def write(self, name: str) -> Function:
        f = self.begin(name)
        a, b, c = (self.pointer[v] for v in (self.p.a, self.p.b, self.p.c))
        if self._shares("rows") and self.extent % self.blocking == 0:
            self.rows = divisor(math.gcd(self.chunk, self.extent), self.rows)
        with _loops(f, self.outer, self._shares("outer")) as offsets:
            a, b, c = (f.address(x, o, self.size) for x, o in zip((a, b, c), offsets))

            def panels(a: str | None, b: str, sums: Sequence[Sum], add: bool = False) -> None:
                def panel(first: Offset, count: int) -> None:
                    at = f.address(b, f.mul(first, self.panel if self.packed else 1), self.size)
                    self._rows(f, a, at, f.address(c, first, self.size), columns_of(f, count, self.lanes), sums, add)

                blocks(f, self.column.extent, self.width, panel, self._shares("columns"))

            k = self.p.k
            sums = [Sum(x.extent, x.a, x.b) for x in k]
            if not self._shares("sum") and self.block == self.depth:
                panels(a, b, sums)
            else:
                low, high = ("%low", "%high") if self._shares("sum") else (0, self.depth)
                if not self._shares("sum"):
                    panels(None, b, [])
                with f.loop(low, high, self.block) as loop:
                    length = f.smaller(f.op(f"sub nsw i64 {high}, {loop.index}"), self.block)
                    first, second = (
                        f.address(x, f.mul(loop.index, s), self.size) for x, s in ((a, k[0].a), (b, k[0].b))
                    )
                    panels(first, second, [Sum(length, k[0].a, k[0].b), *sums[1:]], add=True)
        f.do("ret void")
        return f

    @property
    def panel(self) -> int:
        """How far a packed panel advances with a column: panels are as long as the contracted axes."""
        return self.p.sizes[3]

    def _rows(
        self,
        f: Function,
        a: str | None,
        b: str,
        c: str,
        columns: Sequence[Columns],
        sums: Sequence[Sum],
        add: bool = False,
    ) -> None:
        """All rows of a panel: products, added to what is there if `add`; zeros if there is no `a`."""

        def tile(first: Offset, count: int) -> None:
            at = f.address(c, f.mul(first, self.row.c), self.size)
            rows = [i * self.row.c for i in range(count)]
            if add:
                values = load(f, self.dtype, at, rows, columns)
            elif self.p.k or a is None:
                values = zeros(count, columns, self.dtype)
            else:  # a product of two numbers may be -0.0
                values = [v.lanes.const(-0.0, self.dtype) for _ in rows for v in columns]
            if a is not None:
                where = f.address(a, f.mul(first, self.row.a), self.size)
                from_ = [i * self.row.a for i in range(count)]
                values = contract(f, self.dtype, where, from_, b, columns, sums, values)
            store(f, self.dtype, at, rows, columns, values)

        blocks(f, self.row.extent, self.rows, tile, self._shares("rows"))


_NONE = Axis(1, 0, 1, 1)


def _worth_packing(p: Product) -> bool:
    """True if rhs is large and read often enough to be copied: very large, or with rows that share places in the cache."""
    size = p.c.aval.dtype.itemsize
    nbytes = p.sizes[2] * p.sizes[3] * size
    scattered = any([x.extent > 64 and x.b * size % 4096 == 0 for x in p.k])
    return p.sizes[1] >= 128 and nbytes > (2 if scattered else 8) * _CACHE


def _row(p: Product) -> Axis:
    """The axis of lhs along which tiles have their rows: the longest."""
    return max(p.m, key=lambda x: x.extent, default=_NONE)


def _tile(p: Product, vector_bytes: int, width: int = 0) -> tuple[int, int]:
    """The (vectors, rows) of the tile that takes fewest cycles, as far as they can be told; `width` columns if given."""
    row, column = _row(p), p.n[-1] if p.n else _NONE
    rows, columns = row.extent, column.extent
    lanes = vector_bytes // p.c.aval.dtype.itemsize
    most, zmm, registers = accumulators(vector_bytes), vector_bytes / 64, vector_bytes // 2
    # rows that lie a multiple of this apart share few places in the cache
    most_rows = 8 if row.a * p.c.aval.dtype.itemsize % 2048 == 0 else most

    def cycles(r: int, v: int) -> float:
        """Of one step of a tile: products, as latency allows, and loads; what few or many vectors or many rows cost beyond is measured."""
        bound = max(r * v * zmm, 4, v * zmm + r / 2)
        return bound + 0.5 + (0.1 * v + 1.5 / v) * zmm + 0.2 * max(0, v - 4) + 0.1 * max(0, r - 8)

    def parts(count: int, size: int) -> list[tuple[int, int]]:
        return [(n, k) for n, k in ((size, count // size), (count % size, 1)) if n and k]

    best, choice = math.inf, (1, 1)
    for v in [width // lanes] if width else range(1, min(-(-columns // lanes), most) + 1):
        for r in range(1, min(rows, most // v, (registers - 2) // v - 1, most_rows) + 1):
            kinds = [(x, y) for x in parts(rows, r) for y in parts(columns, v * lanes)]
            time = sum([nr * nc * cycles(xr, -(-xc // lanes)) for (xr, nr), (xc, nc) in kinds])
            time *= 1 + 0.03 * len(kinds)  # each is code of its own
            if time < best:
                best, choice = time, (v, r)
    return choice


class Pack(Stage):
    """rhs in panels: (batch and outer axes of n, panels, contracted axes, columns of a panel), columns contiguous.

    `product` is the same product with the panels for rhs. It works along the batch if there is one, else along the columns.
    """

    def __init__(self, e: Eqn, p: Product, vector_bytes: int):
        self.eqns = [e]
        self.dtype = p.c.aval.dtype
        self.size = self.dtype.itemsize
        self.lanes = vector_bytes // self.size
        self.column = p.n[-1]
        self.width = _tile(p, vector_bytes)[0] * self.lanes
        k = sorted(p.k, key=lambda x: -x.a)
        depth = math.prod([x.extent for x in k])
        self.panel = depth * self.width
        outer = [*p.batch, *p.n[:-1]]
        shape = (*[x.extent for x in outer], -(-self.column.extent // self.width), depth, self.width)
        self.packed = Var(ShapedArray(shape, self.dtype))
        self.loaded, self.stored = [p.b], [self.packed]

        steps, inner = steps_of(shape), [s * self.width for s in steps_of([x.extent for x in k])]
        moved = [Axis(x.extent, x.a, s, x.c) for x, s in zip(outer, steps)]
        batch, n = moved[: len(p.batch)], [*moved[len(p.batch) :], Axis(self.column.extent, 0, 1, self.column.c)]
        order = _merged([Axis(x.extent, x.a, s, 0) for x, s in zip(k, inner)])
        self.product = Product(p.a, self.packed, p.c, batch, p.m, n, order)

        # of these axes, b is the step in rhs and c that in the panels
        self.outer = [Axis(x.extent, 0, x.b, s) for x, s in zip(outer, steps)]
        self.k = _merged([Axis(x.extent, 0, x.b, s) for x, s in zip(k, inner)])
        self.inner = next((x for x in self.k if x.b == 1), Axis(1, 0, 1, 0))
        self.side = min(self.lanes, 8, 1 << (self.inner.extent.bit_length() - 1))

        self.batched = bool(p.batch)
        self.extent = p.batch[0].extent if p.batch else self.column.extent
        self.blocking = 1 if p.batch else self.width
        if p.batch:
            self.aligned = frozenset([self.packed, *([p.b] if _is_leading(p.b, self.extent, self.outer[0].b) else [])])

    def write(self, name: str) -> Function:
        f = self.begin(name)
        with _loops(f, self.outer, self.batched) as (_, b, c):
            source = f.address(self.pointer[self.loaded[0]], b, self.size)
            target = f.address(self.pointer[self.packed], c, self.size)
            if self.column.b == 1:
                self._copy(f, source, target)
            else:
                self._transpose(f, source, target)
        f.do("ret void")
        return f

    def _copy(self, f: Function, source: str, target: str) -> None:
        """Panels of columns that are contiguous in rhs."""

        def panel(first: Offset, count: int) -> None:
            from_, to = (
                f.address(source, first, self.size),
                f.address(target, f.mul(first, self.product.sizes[3]), self.size),
            )
            columns = columns_of(f, count, self.lanes)
            with _loops(f, self.k) as (_, b, c):
                values = load(f, self.dtype, from_, [b], columns)
                store(f, self.dtype, to, [c], columns, values)

        blocks(f, self.column.extent, self.width, panel, not self.batched)

    def _transpose(self, f: Function, source: str, target: str) -> None:
        """Square blocks, transposed in registers; columns beyond the last, which nobody reads, repeat it."""
        v, n, side, size = Lanes(f, self.side), self.column, self.side, self.size
        low, high = (0, n.extent) if self.batched else ("%low", "%high")
        with f.loop(low, high, side) as block:
            places = [f.smaller(f.add(block.index, i), n.extent - 1) for i in range(side)]
            rows = [f.address(source, f.mul(place, n.b), size) for place in places]
            panel, column = (f.op(f"{how} i64 {block.index}, {self.width}") for how in ("udiv", "urem"))
            to = f.address(target, f.add(f.mul(panel, self.panel), column), size)
            others = [x for x in self.k if x is not self.inner]
            with _loops(f, others) as (_, b, c), f.loop(0, self.inner.extent, side) as loop:
                first = f.smaller(loop.index, self.inner.extent - side)  # the last block overlaps the one before
                values = [v.load(f.address(r, f.add(b, first), size), self.dtype) for r in rows]
                at = f.add(c, f.mul(first, self.inner.c))
                for i, x in enumerate(transposed(f, self.dtype, values)):
                    v.store(x, f.address(to, f.add(at, i * self.inner.c), size), self.dtype)


class Dot(_Kernel):
    """A product along the contracted axis, contiguous in both operands: several columns at once, whose sums are stored as a vector."""

    def __init__(self, e: Eqn, p: Product, vector_bytes: int):
        super().__init__(e, p, vector_bytes)
        self.inner = p.k[-1]
        n = self.inner.extent
        self.lanes = min(self.lanes, 1 << (n - 1).bit_length())
        self.column = p.n[-1] if p.n else Axis(1, 0, 0, 0)
        self.columns = min(self.lanes, 1 << (self.column.extent.bit_length() - 1))
        self.unroll = self._unroll(self.columns)
        self.outer = [*p.batch, *p.n[:-1]]
        candidates = [("outer", p.batch[0], 1)] if p.batch else []
        candidates.append(("columns", self.column, self.columns))
        if not p.batch and len(p.k) == 1 and p.sizes[1] * p.sizes[2] <= 64:
            step = self.lanes * math.lcm(*[self._unroll(c) for c in (self.columns, 1)])
            candidates.append(("sum", self.inner, step))
        self._cut(candidates)

    def _unroll(self, columns: int) -> int:
        """Vectors along the contracted axis at once: enough additions must be under way."""
        return max(1, min(8 // columns, self.inner.extent // self.lanes))

    def write(self, name: str) -> Function:
        f = self.begin(name)
        pointers = [self.pointer[v] for v in (self.p.a, self.p.b, self.p.c)]
        with _loops(f, self.outer, self._shares("outer")) as offsets:
            a, b, c = (f.address(x, o, self.size) for x, o in zip(pointers, offsets))

            def columns(first: Offset, count: int) -> None:
                at = [f.address(x, f.mul(first, s), self.size) for x, s in ((b, self.column.b), (c, self.column.c))]
                if count == self.columns:
                    self._rows(f, a, *at, count)
                    return
                with f.loop(0, count, 1) as loop:
                    steps = (self.column.b, self.column.c)
                    self._rows(f, a, *[f.address(x, f.mul(loop.index, s), self.size) for x, s in zip(at, steps)], 1)

            blocks(f, self.column.extent, self.columns, columns, self._shares("columns"))
        f.do("ret void")
        return f

    def _rows(self, f: Function, a: str, b: str, c: str, count: int) -> None:
        with _loops(f, self.p.m) as (at, _, to):
            self._sum(f, f.address(a, at, self.size), b, f.address(c, to, self.size), count)

    def _sum(self, f: Function, a: str, b: str, c: str, count: int) -> None:
        """The sums of one row of lhs with `count` columns."""
        lanes, n, dtype = self.lanes, self.inner.extent, self.dtype
        unroll = self._unroll(count)
        step = unroll * lanes
        main, full = n // step * step, n // lanes * lanes
        v = Lanes(f, lanes)
        types, none = [v.type(dtype)] * (unroll * count), [v.const(0, dtype)] * (unroll * count)

        def products(v: Lanes, a: str, b: str, at: Offset, values: Sequence[str]) -> list[str]:
            x = v.load(f.address(a, at, self.size), dtype)
            return [
                v.fma(x, v.load(f.address(b, f.add(at, i * self.column.b), self.size), dtype), values[i], dtype)
                for i in range(count)
            ]

        def whole(a: str, b: str, low: Offset, high: Offset, values: list[str]) -> list[str]:
            with f.loop(low, high, step, list(zip(types, values))) as loop:
                loop.next = [
                    x
                    for u in range(unroll)
                    for x in products(v, a, b, f.add(loop.index, u * lanes), loop.values[u * count : (u + 1) * count])
                ]
            return loop.results

        def rest(a: str, b: str, values: list[str]) -> list[str]:
            first, others = values[:count], values[count:]
            if full > main:
                with f.loop(main, full, lanes, list(zip(types, first))) as loop:
                    loop.next = products(v, a, b, loop.index, loop.values)
                first = loop.results
            if n > full:
                bits = ", ".join(f"i1 {'true' if i < n - full else 'false'}" for i in range(lanes))
                first = products(Lanes(f, lanes, f"<{bits}>"), a, b, full, first)
            return [*first, *others]

        def nest(depth: int, a: str, b: str, values: list[str]) -> list[str]:
            if depth == len(self.p.k) - 1:
                return rest(a, b, whole(a, b, 0, main, values) if main else values)
            x = self.p.k[depth]
            with f.loop(0, x.extent, 1, list(zip(types, values))) as loop:
                inner = (f.address(q, f.mul(loop.index, s), self.size) for q, s in ((a, x.a), (b, x.b)))
                loop.next = nest(depth + 1, *inner, loop.values)
            return loop.results

        def finish(values: list[str], add: bool) -> None:
            parts = [values[u * count : (u + 1) * count] for u in range(unroll)]
            while len(parts) > 1:
                half = -(-len(parts) // 2)
                added = [[v.binary("fadd", x, y, dtype) for x, y in zip(p, q)] for p, q in zip(parts, parts[half:])]
                parts = [*added, *parts[len(added) : half]]
            total, out = lane_sums(f, dtype, lanes, parts[0]), Lanes(f, count)
            out.store(out.binary("fadd", total, out.load(c, dtype), dtype) if add else total, c, dtype)

        if not self._shares("sum"):
            finish(nest(0, a, b, none), add=False)
            return
        end = f.smaller("%high", main)
        with f.when(f.op(f"icmp slt i64 %low, {end}")):
            finish(whole(a, b, "%low", end, none), add=True)
        if n > main:
            with f.when(f.op(f"icmp eq i64 %high, {n}")):
                finish(rest(a, b, none), add=True)
