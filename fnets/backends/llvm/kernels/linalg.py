"""Small dense linear algebra as stages: cholesky, triangular systems, lu, solve, inv, det. May import core, movement, stage, text, tiles, vmath.

Everything is elimination by rows, written once for two arrangements of a part's memory. Where there are many matrices, a vector holds the same element of as
many of them as it has lanes; otherwise it holds neighbouring columns of one. Singular matrices, and those that are not positive definite, are counted in `errors`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np

from fnets.backends.llvm.code import vmath
from fnets.backends.llvm.code.text import DOUBLE, INT32, INT64, SINGLE, Function, Lanes
from fnets.backends.llvm.code.tiles import Offset, columns_by, transposed
from fnets.backends.llvm.kernels import movement
from fnets.backends.llvm.kernels.stage import Stage
from fnets.backends.llvm.schedule.memory import rounded
from fnets.core.avals import ShapedArray
from fnets.core.ir import Eqn, Var
from fnets.primitives.base import broadcast_to_p

_GROUP = 3 << 14  # bytes up to which vectors go over matrices: then all of a group is in the fastest cache
_SCRATCH = 1 << 23  # bytes that a thread may take
_MOST, _MOST_LU = 200, 512  # rows up to which rolled loops are as fast as LAPACK; NumPy itself has no LU


class _Rows:
    """A matrix in memory, or as many side by side as a vector has lanes, row by row.

    cell: the lanes of one element: of all matrices, or a scalar. wide: the lanes of a vector, which is one column of them all, or several of the one.
    steps: from row to row, from element to element, and from vector to vector. vectors: in a row.
    """

    def __init__(
        self, f: Function, dtype: np.dtype, pointer: str, steps: Sequence[int], cell: int, wide: int, vectors: int
    ):
        self.f, self.dtype, self.pointer, self.vectors = f, dtype, pointer, vectors
        self.row, self.element, self.vector = steps
        self.cell, self.wide = Lanes(f, cell), Lanes(f, wide)
        self.columns = wide // cell  # of a vector

    def place(self, i: Offset, j: Offset, step: int) -> str:
        f = self.f
        return f.address(self.pointer, f.add(f.mul(i, self.row), f.mul(j, step)), self.dtype.itemsize)

    def get(self, i: Offset, j: Offset) -> str:
        return self.cell.load(self.place(i, j, self.element), self.dtype)

    def put(self, i: Offset, j: Offset, x: str) -> None:
        self.cell.store(x, self.place(i, j, self.element), self.dtype)

    def load(self, i: Offset, c: Offset) -> str:
        return self.wide.load(self.place(i, c, self.vector), self.dtype)

    def store(self, i: Offset, c: Offset, x: str) -> None:
        self.wide.store(x, self.place(i, c, self.vector), self.dtype)

    def spread(self, x: str) -> str:
        """An element for all columns of a vector."""
        return x if self.columns == 1 else self.wide.splat(x, self.dtype)

    def holding(self, j: Offset) -> Offset:
        """The vector that has column j."""
        if isinstance(j, int) or self.columns == 1:
            return j if isinstance(j, str) else j // self.columns
        return self.f.op(f"lshr i64 {j}, {self.columns.bit_length() - 1}")

    def compare(self, condition: str, c: Offset, j: Offset) -> str:
        """For each lane of vector c, whether its column stands in this relation to column j."""
        f, wide = self.f, self.wide
        difference = f.op(f"trunc i64 {f.op(f'sub i64 {j}, {f.mul(c, self.columns)}')} to i32")
        if wide.count == 1:
            return f.op(f"icmp {condition} i32 0, {difference}")
        own = [k if self.columns > 1 else 0 for k in range(wide.count)]
        numbers = f"<{', '.join(f'i32 {k}' for k in own)}>"
        return wide.compare(condition, numbers, wide.splat(difference, INT32), INT32)

    def minus(self, i: Offset, c: Offset, factor: str, negated: str) -> str:
        """A vector minus `factor` times another one, which is given negated."""
        return self.wide.fma(self.spread(factor), negated, self.load(i, c), self.dtype)

    def negated(self, x: str) -> str:
        return self.f.op(f"fneg {self.wide.type(self.dtype)} {x}")


@contextmanager
def _each(f: Function, low: Offset, high: Offset) -> Iterator[Offset]:
    """The indices from low to high, if there are any."""
    if not isinstance(low, int) or not isinstance(high, int) or low >= high:
        with f.when(f.op(f"icmp slt i64 {low}, {high}")), f.loop(low, high, 1) as loop:
            yield loop.index
    elif low + 1 == high:
        yield low
    else:
        with f.loop(low, high, 1) as loop:
            yield loop.index


# ------------------------------------------------------------------ elimination


def _cholesky(u: _Rows, n: int, wrong: Callable[[str], None]) -> None:
    """The upper factor in the place of the upper triangle; what is below it is nobody's to read."""
    f, cell, dtype = u.f, u.cell, u.dtype
    with _each(f, 0, n) as k:
        pivot = u.get(k, k)
        wrong(cell.compare("ule", pivot, cell.const(0, dtype), dtype))
        root = cell.intrinsic("sqrt", dtype, pivot)
        scale = u.spread(cell.binary("fdiv", cell.const(1, dtype), root, dtype))
        with _each(f, u.holding(k), u.vectors) as c:
            u.store(k, c, u.wide.binary("fmul", u.load(k, c), scale, dtype))
        u.put(k, k, root)
        following = f.add(k, 1)
        with _each(f, u.holding(following), u.vectors) as c:
            row = u.negated(u.load(k, c))
            end = f.smaller(f.mul(f.add(c, 1), u.columns), n)
            with _each(f, following, end) as i:
                u.store(i, c, u.minus(i, c, u.get(k, i), row))


def _clear_below(u: _Rows, n: int) -> None:
    """Zeros below the diagonal."""
    f, zero = u.f, u.wide.const(0, u.dtype)
    with _each(f, 0, n) as i, _each(f, 0, f.add(u.holding(i), 1)) as c:
        u.store(i, c, u.wide.select(u.compare("slt", c, i), zero, u.load(i, c), u.dtype))


def _identity(x: _Rows, n: int) -> None:
    f, dtype = x.f, x.dtype
    with _each(f, 0, n) as i, _each(f, 0, x.vectors) as c:
        one, zero = x.wide.const(1, dtype), x.wide.const(0, dtype)
        x.store(i, c, x.wide.select(x.compare("eq", c, i), one, zero, dtype))


def _eliminate(
    a: _Rows,
    rows: int,
    columns: int,
    others: Sequence[_Rows] = (),
    pivots: Callable[[Offset, str], None] | None = None,
    sign: str = "",
) -> str:
    """An upper triangle by elimination with row swaps, done to the rows of `others` too; gives `sign`, negated by each swap.

    pivots: takes (row, the one it is swapped with), and has the lower factor kept below the triangle.
    """
    f, cell, dtype = a.f, a.cell, a.dtype
    zero, one = cell.const(0, dtype), cell.const(1, dtype)
    steps = min(rows - 1, columns)
    if steps == 0:
        return sign
    carried = [(cell.type(dtype), sign)] if sign else []
    with f.loop(0, steps, 1, carried) as loop:
        k = loop.index
        following = f.add(k, 1)
        p = _largest(a, k, rows)
        itself = _number(cell, k, dtype)
        moves = cell.compare("ne", p, itself, _bits(dtype))
        if sign:
            flipped = f.op(f"fneg {cell.type(dtype)} {loop.values[0]}")
            loop.next = [cell.select(moves, flipped, loop.values[0], dtype)]
        if pivots is not None:
            pivots(k, p)
        for x in (a, *others):
            _swap(x, k, p, moves, 0 if pivots is not None or x is not a else x.holding(k), rows)
        pivot = a.get(k, k)
        pivot = cell.select(cell.compare("oeq", pivot, zero, dtype), one, pivot, dtype)  # all below is zero, too
        with _each(f, following, rows) as i:
            a.put(i, k, cell.binary("fdiv", a.get(i, k), pivot, dtype))
        for x in (a, *others):
            with _each(f, x.holding(following) if x is a else 0, x.vectors) as c:
                row = x.negated(x.load(k, c))
                keeps = x.compare("slt", c, following) if x is a and x.columns > 1 else ""
                with _each(f, following, rows) as i:
                    y = x.minus(i, c, a.get(i, k), row)
                    x.store(i, c, x.wide.select(keeps, x.load(i, c), y, dtype) if keeps else y)
    return loop.results[0] if sign else sign


def _bits(dtype: np.dtype) -> np.dtype:
    """The integers of a float's size, which order the sizes of floats: NaN is the largest, as for NumPy's argmax."""
    return INT32 if dtype == SINGLE else INT64


def _number(cell: Lanes, i: Offset, dtype: np.dtype) -> str:
    """An index in every lane of a cell."""
    bits = _bits(dtype)
    return cell.splat(str(i) if bits == INT64 else cell.op(f"trunc i64 {i} to i32"), bits)


def _largest(a: _Rows, k: Offset, rows: int) -> str:
    """The row from k on whose element in column k is the largest, in each lane."""
    f, cell, bits = a.f, a.cell, _bits(a.dtype)
    t = cell.type(bits)
    least = cell.const(-1, bits)
    with f.loop(k, rows, 1, [(t, least), (t, least)]) as loop:
        size = cell.intrinsic("fabs", a.dtype, a.get(loop.index, k))
        size = cell.cast("bitcast", size, a.dtype, bits)
        larger = cell.compare("sgt", size, loop.values[0], bits)
        here = _number(cell, loop.index, a.dtype)
        loop.next = [cell.select(larger, new, old, bits) for new, old in zip((size, here), loop.values)]
    return loop.results[1]


def _swap(x: _Rows, k: Offset, p: str, moves: str, first: Offset, rows: int) -> None:
    """Exchange row k with row p, which is another one in each lane, from vector `first` on."""
    f, dtype, bits = x.f, x.dtype, _bits(x.dtype)
    if x.cell.count == 1:
        other = p if bits == INT64 else f.op(f"sext i32 {p} to i64")
        with f.when(moves), _each(f, first, x.vectors) as c:
            upper, lower = x.load(k, c), x.load(other, c)
            x.store(k, c, lower)
            x.store(other, c, upper)
        return
    with _each(f, first, x.vectors) as c:
        upper = x.load(k, c)
        with f.loop(f.add(k, 1), rows, 1, [(x.wide.type(dtype), upper)]) as loop:
            i, lower = loop.index, x.load(loop.index, c)
            here = x.wide.compare("eq", p, _number(x.wide, i, dtype), bits)
            x.store(i, c, x.wide.select(here, upper, lower, dtype))
            loop.next = [x.wide.select(here, lower, loop.values[0], dtype)]
        x.store(k, c, loop.results[0])


def _substitute(t: _Rows, x: _Rows, n: int, lower: bool, unit_diagonal: bool, wrong: Callable[[str], None]) -> None:
    """inv(t) x in the place of x, for a triangle t."""
    f, dtype = x.f, x.dtype
    with _each(f, 0, x.vectors) as c, _each(f, 0, n) as i:
        k = i if lower else f.op(f"sub i64 {n - 1}, {i}")
        row = x.load(k, c)
        if not unit_diagonal:
            pivot = t.get(k, k)
            wrong(t.cell.compare("oeq", pivot, t.cell.const(0, dtype), dtype))
            row = x.wide.binary("fdiv", row, x.spread(pivot), dtype)
            x.store(k, c, row)
        row = x.negated(row)
        with _each(f, f.add(k, 1) if lower else 0, n if lower else k) as j:
            x.store(j, c, x.minus(j, c, t.get(j, k), row))


# ------------------------------------------------------------------ lanes and matrices


@functools.cache
def _turn(dtype: np.dtype, width: int, packs: bool) -> Function:
    """A transposition by square tiles, between rows in an array and rows of vectors in scratch: (array, its step, its rows that are there, their length, scratch, its step).

    packs: from the array to scratch, where the rows that are not there become copies of the last one. Scratch is written, or read, up to a full
    tile beyond the end.
    """
    kind = "f32" if dtype == SINGLE else "f64"
    f = Function(
        f"{'pack' if packs else 'unpack'}_{kind}x{width}",
        ["ptr %array", "i64 %step", "i64 %rows", "i64 %length", "ptr %scratch", "i64 %line"],
        linkage="internal",
    )
    size = dtype.itemsize
    rows = ["%array"]
    for r in range(1, width):
        there = f.op(f"icmp slt i64 {r}, %rows")
        rows.append(f.address(rows[-1], f.op(f"select i1 {there}, i64 %step, i64 0"), size))
    full = Lanes(f, width)
    with f.loop(0, "%length", width) as loop:
        c = loop.index
        left = full.splat(f.op(f"trunc i64 {f.op(f'sub i64 %length, {c}')} to i32"), INT32)
        numbers = f"<{', '.join(f'i32 {k}' for k in range(width))}>"
        some = Lanes(f, width, full.compare("slt", numbers, left, INT32))
        line = f.address("%scratch", f.op(f"mul i64 {c}, %line"), size)
        lines = [line]
        for _ in range(1, width):
            lines.append(f.address(lines[-1], "%line", size))
        if packs:
            values = transposed(f, dtype, [some.load(f.address(r, c, size), dtype) for r in rows])
            for x, to in zip(values, lines):
                full.store(x, to, dtype)
        else:
            values = transposed(f, dtype, [full.load(p, dtype) for p in lines])
            for x, r in reversed([*zip(values, rows)]):  # rows that are not there lie under the last one
                some.store(x, f.address(r, c, size), dtype)
    f.do("ret void")
    return f


class _Dense(Stage):
    """What an equation does to each matrix of a batch. Subclasses write `matrices`, for one of them or for a group.

    Results have the batch, and operands have it too or are one matrix for all. fails: whether there are matrices for which there is no result. groups:
    whether vectors may go over matrices.
    """

    fails = True
    groups = True

    def __init__(self, e: Eqn, operands: Sequence[Var], vector_bytes: int):
        self.eqns = [e]
        self.operands = operands
        self.results = list(e.outvars)
        self.loaded, self.stored = list(dict.fromkeys(operands)), [*self.results]
        self.dtype = operands[0].aval.dtype
        self.size = self.dtype.itemsize
        self.width = vector_bytes // self.size
        self.shapes = [v.aval.shape[-2:] for v in operands]
        self.n = self.shapes[0][1]
        self.extent = max([self._count(v) for v in operands])
        self.together = self.groups and self.extent >= self.width // 2 and self._space(True) <= _GROUP
        self.scratch = self._space(self.together)
        if self.together:
            self.blocking = math.gcd(self.extent, self.width)
        if self.extent > 1:
            self.aligned = frozenset([*self.results, *[v for v in operands if self._count(v) == self.extent]])
        if self.fails:
            self.errors = Var(ShapedArray((1,), INT64))
            self.stored.append(self.errors)
            self.accumulated = frozenset([self.errors])
            self.retried = True

    def matrices(self) -> None:
        """Write the work on one group."""
        raise TypeError(f"{type(self).__name__} must define matrices")

    def planned(self, together: bool) -> list[tuple[int, int]]:
        """The shapes of the matrices in scratch."""
        return self.shapes

    @property
    def nanoseconds(self) -> float:
        work = self.n**2 * sum([n for _, n in self.shapes])
        lanes = self.width if self.together else max(1, min(self.n, self.width) / 2)
        return self.extent * (0.25 * work / lanes + 5 * self.n)

    def _count(self, v: Var) -> int:
        return prod(v.aval.shape[:-2])

    def _space(self, together: bool) -> int:
        return sum([self._bytes(shape, together) for shape in self.planned(together)])

    def _bytes(self, shape: tuple[int, int], together: bool) -> int:
        m, n = shape
        if together:
            return (m * n + self.width) * self.width * self.size
        w = self._wide(n)
        return rounded((m + w) * self._line(n) * w * self.size)

    def _wide(self, columns: int) -> int:
        """The lanes of a vector over columns."""
        return min(self.width, 1 << (columns - 1).bit_length())

    def _line(self, columns: int) -> int:
        """Vectors from row to row: an odd number, so that a column does not fall into a few sets of the cache."""
        return -(-columns // self._wide(columns)) | 1

    # ------------------------------------------------------------------ writing

    def write(self, name: str) -> Function:
        self.f = f = self.begin(name)
        with f.loop("%low", "%high", self.width if self.together else 1) as loop:
            self.at = loop.index
            self.there = f.smaller(f.op(f"sub i64 %high, {self.at}"), self.width) if self.together else "1"
            self.taken = 0
            self.matrices()
        f.do("ret void")
        return f

    def wrong(self, condition: str) -> None:
        """Count an error if the condition holds in any lane."""
        f, count = self.f, self.width if self.together else 1
        if count > 1:
            condition = f.call("i1", f"llvm.vector.reduce.or.v{count}i1", (f"<{count} x i1>", condition))
        with f.when(condition):
            Lanes(f, 1).store("1", self.pointer[self.errors], INT64)  # type: ignore[index]

    def step(self, v: Var) -> int:
        """Elements from matrix to matrix, or 0."""
        return v.aval.size // self.extent if self._count(v) == self.extent else 0

    def matrix(self, v: Var, turned: bool) -> _Rows:
        """An operand's matrix, or its transpose, where it is: for its elements alone."""
        n = self.n
        row, element = (1, n) if turned else (n, 1)
        return _Rows(self.f, self.dtype, self._first(v), (row, element, element), 1, 1, n)

    def _first(self, v: Var) -> str:
        """Where the matrices of this group begin."""
        return self.f.address(self.pointer[v], self.f.mul(self.at, self.step(v)), self.size)

    def take(self, shape: tuple[int, int], turned: bool = False) -> _Rows:
        """Scratch for a matrix; `turned`: of which rows are the columns of what is packed into it."""
        f, n = self.f, shape[1]
        pointer = f.address("%scratch", self.taken, 1)
        self.taken += self._bytes(shape, self.together)
        if self.together:
            w = self.width
            row, element = (w, n * w) if turned else (n * w, w)
            return _Rows(f, self.dtype, pointer, (row, element, element), w, w, n)
        w = self._wide(n)
        return _Rows(f, self.dtype, pointer, (self._line(n) * w, 1, w), 1, w, -(-n // w))

    def pack(self, v: Var, turned: bool = False) -> _Rows:
        """A group of an operand's matrices in scratch."""
        shape = m, n = v.aval.shape[-2:]
        x = self.take(shape, turned)
        self._transfer(v, x, m, n, turned, True)
        return x

    def unpack(self, x: _Rows, v: Var, turned: bool = False) -> None:
        """The matrices in scratch as a group of the result's."""
        m, n = v.aval.shape[-2:]
        self._transfer(v, x, m, n, turned, False)

    def _transfer(self, v: Var, x: _Rows, m: int, n: int, turned: bool, packs: bool) -> None:
        f, size, array = self.f, self.size, self._first(v)
        if self.together:
            self._turn(packs, x.wide.count, array, self.step(v), self.there, m * n, x.pointer, x.wide.count)
        elif turned:
            w = x.wide.count
            with f.count(m, w) as r:
                there = m if isinstance(r, int) else f.op(f"sub i64 {m}, {r}")
                place = f.address(x.pointer, r, size)
                self._turn(packs, w, f.address(array, f.mul(r, n), size), n, there, n, place, x.row)
        else:
            with _each(f, 0, m) as i:
                row, line = f.address(array, f.mul(i, n), size), x.place(i, 0, 1)
                for start, columns in columns_by(f, n, x.wide.count, 1):
                    for c in columns:
                        k = f.add(start, c.offset)
                        places = [f.address(p, k, size) for p in (row, line)]
                        from_, to = places if packs else reversed(places)
                        c.lanes.store(c.lanes.load(from_, self.dtype), to, self.dtype)

    def _turn(
        self, packs: bool, width: int, array: str, step: Offset, there: Offset, length: int, x: str, line: int
    ) -> None:
        f = self.f
        helper = _turn(self.dtype, width, packs)
        f.take(helper)
        numbers = [("i64", str(k)) for k in (step, there, length)]
        f.call("void", helper.name, ("ptr", array), *numbers, ("ptr", x), ("i64", str(line)), declare=False)


# ------------------------------------------------------------------ equations


class Cholesky(_Dense):
    """Lower factors."""

    def _wide(self, columns: int) -> int:
        return max(2, super()._wide(columns))  # of a tile that is transposed

    def matrices(self) -> None:
        (v,) = self.operands
        u = self.pack(v, turned=True)
        _cholesky(u, self.n, self.wrong)
        _clear_below(u, self.n)
        self.unpack(u, self.results[0], turned=True)


class Triangular(_Dense):
    """Solutions of triangular systems."""

    def planned(self, together: bool) -> list[tuple[int, int]]:
        return self.shapes if together else self.shapes[1:]

    def matrices(self) -> None:
        n, p = self.n, self.eqns[0].params
        a, b = self.operands
        lower, unit = p["lower"] != p["transpose_a"], p["unit_diagonal"]
        if self.together:
            t = self.pack(a, turned=p["transpose_a"])
        else:
            t = self.matrix(a, turned=p["transpose_a"])
        x = self.pack(b)
        _substitute(t, x, n, lower, unit, self.wrong)
        self.unpack(x, self.results[0])


class Solve(_Dense):
    """Solutions of systems, by elimination."""

    def matrices(self) -> None:
        a, b = self.operands
        u, x = self.pack(a), self.pack(b)
        _eliminate(u, self.n, self.n, [x])
        _substitute(u, x, self.n, False, False, self.wrong)
        self.unpack(x, self.results[0])


class Inverse(_Dense):
    """Inverse matrices."""

    def planned(self, together: bool) -> list[tuple[int, int]]:
        return self.shapes * 2

    def matrices(self) -> None:
        u, x = self.pack(self.operands[0]), self.take(self.shapes[0])
        _identity(x, self.n)
        _eliminate(u, self.n, self.n, [x])
        _substitute(u, x, self.n, False, False, self.wrong)
        self.unpack(x, self.results[0])


class Factors(_Dense):
    """Both factors of matrices in one, the row swaps, and the order of the rows."""

    fails = False
    groups = False

    def matrices(self) -> None:
        f = self.f
        (v,), (factors, pivots, order) = self.operands, self.results
        m, n = self.shapes[0]
        one, short = Lanes(f, 1), min(m, n)
        swaps, rows = (f.address(self.pointer[r], f.mul(self.at, k), 4) for r, k in ((pivots, short), (order, m)))
        with _each(f, 0, m) as i:
            one.store(f.op(f"trunc i64 {i} to i32"), f.address(rows, i, 4), INT32)
        if m <= n:
            one.store(str(m - 1), f.address(swaps, m - 1, 4), INT32)

        def swapped(k: Offset, p: str) -> None:
            one.store(p if self.dtype == SINGLE else f.op(f"trunc i64 {p} to i32"), f.address(swaps, k, 4), INT32)
            other = f.op(f"sext i32 {p} to i64") if self.dtype == SINGLE else p
            places = [f.address(rows, i, 4) for i in (k, other)]
            for x, to in zip([one.load(q, INT32) for q in reversed(places)], places):
                one.store(x, to, INT32)

        a = self.pack(v)
        _eliminate(a, m, n, pivots=swapped)
        self.unpack(a, factors)


class Determinant(_Dense):
    """The determinants' signs and logarithms, or what they make together, as NumPy does."""

    fails = False

    def matrices(self) -> None:
        f, dtype = self.f, self.dtype
        a = self.pack(self.operands[0])
        cell = a.cell
        t, zero = cell.type(dtype), cell.const(0, dtype)
        sign = _eliminate(a, self.n, self.n, sign=cell.const(1, dtype))
        with f.loop(0, self.n, 1, [(t, sign), (t, zero)]) as loop:
            pivot = a.get(loop.index, loop.index)
            flipped = f.op(f"fneg {t} {loop.values[0]}")
            sign = cell.select(cell.compare("olt", pivot, zero, dtype), flipped, loop.values[0], dtype)
            sign = cell.select(cell.compare("oeq", pivot, zero, dtype), zero, sign, dtype)
            size = vmath.log(cell, cell.intrinsic("fabs", dtype, pivot), dtype)
            loop.next = [sign, cell.binary("fadd", loop.values[1], size, dtype)]
        results = loop.results
        if len(self.results) == 1:
            results = [cell.binary("fmul", results[0], vmath.exp(cell, results[1], dtype), dtype)]
        for v, x in zip(self.results, results):
            self._leave(v, x, cell)

    def _leave(self, v: Var, x: str, cell: Lanes) -> None:
        """One number for each matrix of the group."""
        f = self.f
        if self.together:
            numbers = f"<{', '.join(f'i32 {k}' for k in range(cell.count))}>"
            there = cell.splat(f.op(f"trunc i64 {self.there} to i32"), INT32)
            cell = Lanes(f, cell.count, cell.compare("slt", numbers, there, INT32))
        cell.store(x, f.address(self.pointer[v], self.at, self.size), self.dtype)


_STAGES: dict[str, type[_Dense]] = {
    "cholesky": Cholesky,
    "triangular_solve": Triangular,
    "solve": Solve,
    "inv": Inverse,
    "lu": Factors,
    "det": Determinant,
    "slogdet": Determinant,
}


def lower(e: Eqn, vector_bytes: int) -> list[Stage] | None:
    """The stages of an equation, or None: complex, of mixed types, or too large."""
    make = _STAGES[e.prim.name]
    avals = [v.aval for v in e.invars]
    dtype = avals[0].dtype
    if dtype not in (SINGLE, DOUBLE) or any([a.dtype != dtype or a.weak_type for a in avals]):
        return None
    if max(avals[0].shape[-2:]) > (_MOST_LU if make is Factors else _MOST):
        return None
    batch = np.broadcast_shapes(*[a.shape[:-2] for a in avals])
    stages: list[Stage] = []
    operands: list[Var] = []
    for v in e.invars:
        if type(v) is not Var:
            return None
        if prod(v.aval.shape[:-2]) not in (1, prod(batch)):  # neither one matrix nor one for each
            shape = (*batch, *v.aval.shape[-2:])
            copy = Eqn(broadcast_to_p, (v,), (Var(ShapedArray(shape, dtype)),), {"shape": shape}, e.where)
            stages += movement.lower(copy, vector_bytes) or []
            v = copy.outvars[0]
        operands.append(v)
    stage = make(e, operands, vector_bytes)
    return [*stages, stage] if stage.scratch <= _SCRATCH else None


LOWER: dict[str, Any] = dict.fromkeys(_STAGES, lower)
