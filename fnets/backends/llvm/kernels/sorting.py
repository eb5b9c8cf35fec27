"""Sorting and selecting along the last axis as stages: sort, orders by one or several keys, the k largest. May import core, nest, operations, stage, text.

Numbers become signed integers of the same order, NaN the largest, and these are sorted by a network: vectors of them are compared and exchanged
at fixed distances, without a branch. That takes n log(n)^2 steps, and is faster than what compares one by one at any length that fits into memory.
For an order, the position is in the lower half of a word of 64 bits whose upper half is the key, so that words are unique and no sort needs to
be stable; keys of 64 bits and several keys take a pass for each 32 bits, the last ones first. The k largest are kept in a list to which what
beats the k-th of them is added, until it is sorted again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log2
from typing import Any

import numpy as np

from fnets.backends.llvm.code.operations import condition
from fnets.backends.llvm.code.text import BOOL, INT32, INT64, Function, Lanes, is_supported, scalar_type
from fnets.backends.llvm.code.tiles import Offset
from fnets.backends.llvm.kernels.nest import vectors
from fnets.backends.llvm.kernels.stage import Stage
from fnets.core.ir import Eqn, Literal, Var

_BLOCK = 64  # elements that are compared together with the k-th largest: as many as a word has bits
_CACHED = 1 << 18  # bytes of a block of the network
_LONGEST = 1 << 30  # of a row


# ------------------------------------------------------------------ integers of the same order


def key_dtype(dtype: np.dtype) -> np.dtype:
    """The signed integers that stand for numbers.

    >>> key_dtype(np.dtype("uint8")), key_dtype(np.dtype("float64"))
    (dtype('int32'), dtype('int64'))
    """
    return INT64 if dtype.itemsize == 8 else INT32


def _largest(dtype: np.dtype) -> int:
    return int(np.iinfo(dtype).max)


def _flipped(v: Lanes, bits: str, key: np.dtype) -> str:
    """The bits of a float as an integer of the same order, and back: what is negative, with its other bits inverted."""
    sign = v.binary("ashr", bits, v.const(8 * key.itemsize - 1, key), key)
    return v.binary("xor", bits, v.binary("and", sign, v.const(_largest(key), key), key), key)


def to_key(v: Lanes, x: str, dtype: np.dtype) -> str:
    """An integer that is smaller where x is; NaN the largest, and -0.0 smaller than 0.0."""
    key = key_dtype(dtype)
    if dtype.kind == "f":
        number = v.compare("ord", x, x, dtype)
        return v.select(number, _flipped(v, v.cast("bitcast", x, dtype, key), key), v.const(_largest(key), key), key)
    if dtype.itemsize < key.itemsize:
        return v.cast("sext" if dtype.kind == "i" else "zext", x, dtype, key)
    return x if dtype.kind == "i" else v.binary("xor", x, v.const(np.iinfo(key).min, key), key)


def from_key(v: Lanes, x: str, dtype: np.dtype) -> str:
    """The number that `to_key` made this of."""
    key = key_dtype(dtype)
    if dtype.kind == "f":
        return v.cast("bitcast", _flipped(v, x, key), key, dtype)
    if dtype.itemsize < key.itemsize:
        return v.cast("trunc", x, key, dtype)
    return x if dtype.kind == "i" else v.binary("xor", x, v.const(np.iinfo(key).min, key), key)


# ------------------------------------------------------------------ the network


class Network:
    """`sort`, a function (pointer, how many vectors, at least one) that sorts integers in place.

    Sorted runs are doubled: a run is compared with the next one in reverse, which leaves the smaller half of both in the one and the larger
    in the other, and each half is sorted by comparing at half the distance, a quarter, and so on. What would lie behind the end counts as larger
    than anything, and is never touched. Blocks that stay in the cache are sorted first, and are gone through by themselves for distances within.
    """

    def __init__(self, dtype: np.dtype, width: int):
        self.dtype, self.width = dtype, width
        self.block = _CACHED // (width * dtype.itemsize)
        self.suffix = f"{scalar_type(dtype)}x{width}"
        self.halve = self._halve()
        self.sort = self._sort()

    def _begin(self, name: str, *more: str) -> tuple[Function, str]:
        """A function, and whether there are more vectors than a block has."""
        self.f = f = Function(f"{name}_{self.suffix}", ["ptr %x", "i64 %m", *more], linkage="internal")
        self.v = Lanes(f, self.width)
        return f, f.op(f"icmp sgt i64 %m, {self.block}")

    def _sort(self) -> Function:
        f, long = self._begin("sort")
        with f.when(long):
            self._blocks(f.name)
        with f.when(f.op(f"xor i1 {long}, true")):
            self._each(self._sorted)
        with f.repeat([("i64", f.op(f"select i1 {long}, i64 {self.block}, i64 1"))]) as loop:
            size = loop.values[0]
            f.go_on(loop, f.op(f"icmp slt i64 {size}, %m"))
            self._pairs(size, True)
            distance = f.op(f"lshr i64 {size}, 1")
            f.call("void", self.halve.name, ("ptr", "%x"), ("i64", "%m"), ("i64", distance), declare=False)
            loop.next = [f.op(f"shl i64 {size}, 1")]
        f.do("ret void")
        f.take(self.halve)
        return f

    def _halve(self) -> Function:
        """Comparing at a distance, at half of it, and so on."""
        f, long = self._begin("halve", "i64 %distance")
        least = f.op(f"select i1 {long}, i64 {self.block}, i64 1")
        with f.repeat([("i64", "%distance")]) as loop:
            distance = loop.values[0]
            f.go_on(loop, f.op(f"icmp sge i64 {distance}, {least}"))
            self._pairs(distance, False)
            loop.next = [f.op(f"lshr i64 {distance}, 1")]
        with f.when(long):
            self._blocks(f.name, ("i64", str(self.block // 2)))
        with f.when(f.op(f"xor i1 {long}, true")):
            self._each(lambda x: self._halved(x, self.width // 2))
        f.do("ret void")
        return f

    def _at(self, i: Offset) -> str:
        return self.f.address("%x", self.f.mul(i, self.width), self.dtype.itemsize)

    def _blocks(self, name: str, *more: tuple[str, str]) -> None:
        f = self.f
        with f.loop(0, "%m", self.block) as loop:
            count = f.smaller(f.op(f"sub i64 %m, {loop.index}"), self.block)
            f.call("void", name, ("ptr", self._at(loop.index)), ("i64", str(count)), *more, declare=False)

    def _exchanged(self, a: str, b: str) -> tuple[str, str]:
        return self.v.intrinsic("smin", self.dtype, a, b), self.v.intrinsic("smax", self.dtype, a, b)

    def _within(self, x: str, bits: int) -> str:
        """Lanes exchanged with those whose numbers differ in these bits."""
        w = self.width
        low, high = self._exchanged(x, self.v.shuffle(x, "poison", [i ^ bits for i in range(w)], self.dtype))
        return self.v.shuffle(low, high, [i if i < i ^ bits else w + i for i in range(w)], self.dtype)

    def _halved(self, x: str, distance: int) -> str:
        while distance:
            x = self._within(x, distance)
            distance //= 2
        return x

    def _sorted(self, x: str) -> str:
        size = 2
        while size <= self.width:
            x = self._halved(self._within(x, size - 1), size // 4)
            size *= 2
        return x

    def _each(self, change: Callable[[str], str]) -> None:
        with self.f.loop(0, "%m", 1) as loop:
            at = self._at(loop.index)
            self.v.store(change(self.v.load(at, self.dtype)), at, self.dtype)

    def _pairs(self, distance: str, reverse: bool) -> None:
        """Vectors exchanged with those at a distance, a power of two; if `reverse`, runs of that length with the next ones in reverse."""
        f, v, dtype = self.f, self.v, self.dtype
        turned = [*range(self.width - 1, -1, -1)]
        below = f.op(f"sub i64 {distance}, 1")
        behind = f.op(f"and i64 %m, {f.op(f'or i64 {below}, {distance}')}")  # whole pairs of runs
        rest = Lanes(f, 1).intrinsic("smax", INT64, f.op(f"sub i64 {behind}, {distance}"), "0")
        count = f.add(f.op(f"lshr i64 {f.op(f'sub i64 %m, {behind}')}, 1"), rest)
        with f.when(f.op(f"icmp sgt i64 {count}, 0")), f.loop(0, count, 1) as loop:
            inner = f.op(f"and i64 {loop.index}, {below}")
            run = f.op(f"shl i64 {f.op(f'sub i64 {loop.index}, {inner}')}, 1")
            a = self._at(f.add(run, f.op(f"sub i64 {below}, {inner}") if reverse else inner))
            b = self._at(f.add(f.add(run, inner), distance))
            x, y = v.load(a, dtype), v.load(b, dtype)
            x, y = self._exchanged(x, v.shuffle(y, "poison", turned, dtype) if reverse else y)
            v.store(x, a, dtype)
            v.store(v.shuffle(y, "poison", turned, dtype) if reverse else y, b, dtype)


class _Sorting(Stage):
    """Work on the rows of operands of one shape, with a network for words of `word`."""

    def __init__(self, e: Eqn, word: np.dtype, vector_bytes: int):
        self.eqns = [e]
        self.loaded = list(dict.fromkeys([v for v in e.invars if type(v) is Var]))
        self.stored = list(e.outvars)
        self.x, self.y = self.loaded[0], self.stored[0]
        self.n = self.x.aval.shape[-1]
        self.extent = self.x.aval.size // self.n
        self.aligned = frozenset(self.buffers)
        self.word = word
        self.width = vector_bytes // word.itemsize
        self.bytes = vector_bytes

    def vectors(self, count: int) -> int:
        """How many vectors hold so many words."""
        return -(-count // self.width)

    def network_time(self, count: int) -> float:
        """Estimated nanoseconds to sort so many words: half of the vectors are compared with others in each of t (t + 1) / 2 steps."""
        m = self.vectors(count)
        doublings = log2(self.width * m)
        return 0.35 * (self.bytes / 64) ** 0.5 * m * doublings * (doublings + 1) + 30

    def sort(self, f: Function, pointer: str, count: Offset) -> None:
        """Sort the words at a pointer; so many, and what fills up the last vector."""
        inner = Network(self.word, self.width).sort
        f.take(inner)
        m = self.vectors(count) if isinstance(count, int) else self._vectors(f, count)
        f.call("void", inner.name, ("ptr", pointer), ("i64", str(m)), declare=False)

    def _vectors(self, f: Function, count: str) -> str:
        return f.op(f"lshr i64 {f.add(count, self.width - 1)}, {self.width.bit_length() - 1}")

    def each(self, f: Function, count: Offset, body: Callable[[Lanes, Offset], None]) -> None:
        """`body(lanes, first)` for so many words, vector by vector."""
        if isinstance(count, str):
            vectors(f, self.width, body, 0, count)
            return
        lanes, full = Lanes(f, self.width), count // self.width * self.width
        if full:
            with f.count(full, self.width) as at:
                body(lanes, at)
        if full < count:
            body(lanes.first(count - full), full)

    def filled(self, v: Lanes, x: str) -> str:
        """A vector of words whose masked lanes are larger than any."""
        return x if v.mask is None else v.select(v.mask, x, v.const(_largest(self.word), self.word), self.word)

    def row(self, f: Function, v: Var, index: Offset) -> str:
        return f.address(self.pointer[v], f.mul(index, v.aval.shape[-1]), v.aval.dtype.itemsize)


class Sort(_Sorting):
    """The numbers of each row in ascending order."""

    def __init__(self, e: Eqn, vector_bytes: int):
        super().__init__(e, key_dtype(e.invars[0].aval.dtype), vector_bytes)
        self.scratch = self.vectors(self.n) * vector_bytes

    @property
    def nanoseconds(self) -> float:
        return self.extent * (self.network_time(self.n) + 2 * self.vectors(self.n))

    def replaceable(self, result: Var) -> list[Var]:
        return [self.x]

    def write(self, name: str) -> Function:
        f = self.begin(name, alias=True)
        dtype, word = self.x.aval.dtype, self.word

        with f.loop("%low", "%high", 1) as loop:
            x, y = self.row(f, self.x, loop.index), self.row(f, self.y, loop.index)

            def load(v: Lanes, at: Offset) -> None:
                key = to_key(v, v.load(f.address(x, at, dtype.itemsize), dtype), dtype)
                Lanes(f, v.count).store(self.filled(v, key), f.address("%scratch", at, word.itemsize), word)

            def store(v: Lanes, at: Offset) -> None:
                key = Lanes(f, v.count).load(f.address("%scratch", at, word.itemsize), word)
                v.store(from_key(v, key, dtype), f.address(y, at, dtype.itemsize), dtype)

            self.each(f, self.n, load)
            self.sort(f, "%scratch", self.n)
            self.each(f, self.n, store)
        f.do("ret void")
        return f


class Order(_Sorting):
    """The first k positions of each row in the order of its keys, the first of which counts most; the largest first if it is `descending`.

    Where k is small, that much of a row is sorted that the k-th of it is a good bound, and of the rest what beats it joins these.
    """

    def __init__(self, e: Eqn, k: int, descending: bool, vector_bytes: int):
        super().__init__(e, INT64, vector_bytes)
        self.keys: Sequence[Any] = e.invars
        self.k, self.descending = k, descending
        self.words = [
            (x, low) for x in reversed(self.keys) for low in ((True, False) if x.aval.dtype.itemsize == 8 else (False,))
        ]
        first = -(-2 * k // _BLOCK) * _BLOCK
        self.scans = 2 * first < self.n and len(self.keys) == 1
        self.first = first if self.scans else self.n
        room = self.first + (_BLOCK if self.scans else 0)
        packed = self.vectors(room) * vector_bytes
        size = -(-4 * room // 64) * 64
        self.lists = [packed, packed + size]  # of positions, in scratch
        self.scratch = packed + size * min(2, len(self.words) - 1 + self.scans)

    @property
    def nanoseconds(self) -> float:
        time = len(self.words) * (self.network_time(self.first) + self.first)
        if self.scans:
            bytes_ = self.n * self.x.aval.dtype.itemsize
            time = time * (1 + log2(self.n / self.first)) + 0.05 * bytes_
        return self.extent * time

    def write(self, name: str) -> Function:
        f = self.begin(name)
        self.helper = Function(
            f"{name}_order", [*[f"ptr %x{i}" for i in range(len(self.keys))], "ptr %scratch", "i64 %count"]
        )
        with f.loop("%low", "%high", 1) as loop:
            rows = [self.row(f, x, loop.index) for x in self.keys]
            y = self.row(f, self.y, loop.index)
            self._passes(f, rows, None, self.first, None if self.scans else y)
            if self.scans:
                self._scan(f, rows[0])
                self._positions(f, y)
        f.do("ret void")
        return f

    # ------------------------------------------------------------------ passes

    def _passes(self, f: Function, rows: Sequence[str], order: str | None, count: Offset, result: str | None) -> None:
        """Sort `count` positions, those in the list `order` or the first ones; they go to the result, or into the first list."""
        for i, (key, low) in enumerate(self.words):
            row = rows[self.keys.index(key)]
            is_result = result is not None and i == len(self.words) - 1
            target = f.address("%scratch", self.lists[(len(self.words) + self.scans - i) % 2], 1)
            self._pack(f, row, key.aval.dtype, low, order, i == 0, count)
            self.sort(f, "%scratch", count)
            to, number = (str(result), self.k) if is_result else (target, count)
            self._unpack(f, order if i else None, number, to, is_result)
            order = target

    def _packed(self, v: Lanes, x: str, position: str, dtype: np.dtype, low: bool) -> str:
        """A key (its lower bits if `low`) over a position of 64 bits."""
        if dtype.kind == "f":
            x = v.binary("fadd", x, v.const(0, dtype), dtype)  # no negative zero
        key = to_key(v, x, dtype)
        if self.descending:
            key = v.binary("xor", key, v.const(-1, key_dtype(dtype)), key_dtype(dtype))
        if dtype.itemsize < 8:
            key = v.cast("sext", key, INT32, INT64)
        if low or dtype.itemsize < 8:
            key = v.binary("shl", key, v.const(32, INT64), INT64)
        else:
            key = v.binary("and", key, v.const(-1 << 32, INT64), INT64)
        if low:
            key = v.binary("xor", key, v.const(np.iinfo(INT64).min, INT64), INT64)
        return v.binary("or", key, position, INT64)

    def _pack(
        self, f: Function, row: str, dtype: np.dtype, low: bool, order: str | None, first: bool, count: Offset
    ) -> None:
        """Words to sort, in scratch; of positions in the row, later of positions in the list."""
        if order is None:
            numbers = f"<{', '.join(f'i64 {i}' for i in range(self.width))}>"

            def body(v: Lanes, at: Offset) -> None:
                position = v.binary("add", v.splat(str(at), INT64), numbers, INT64)
                x = self._packed(v, v.load(f.address(row, at, dtype.itemsize), dtype), position, dtype, low)
                Lanes(f, v.count).store(self.filled(v, x), f.address("%scratch", at, 8), INT64)

            self.each(f, count, body)
            return
        one, v = Lanes(f, 1), Lanes(f, self.width)
        m = self.vectors(count) if isinstance(count, int) else self._vectors(f, count)
        v.store(v.const(_largest(INT64), INT64), f.address("%scratch", f.mul(f.add(m, -1), self.width), 8), INT64)
        with f.loop(0, count, 1) as loop:
            index = one.cast("zext", one.load(f.address(order, loop.index, 4), INT32), INT32, INT64)
            x = one.load(f.address(row, index, dtype.itemsize), dtype)
            word = self._packed(one, x, index if first else loop.index, dtype, low)
            one.store(word, f.address("%scratch", loop.index, 8), INT64)

    def _unpack(self, f: Function, order: str | None, count: Offset, target: str, is_result: bool) -> None:
        """The positions of the sorted words, or what is at them in the list `order`."""
        size = 8 if is_result else 4

        def body(v: Lanes, at: Offset) -> None:
            word = Lanes(f, v.count).load(f.address("%scratch", at, 8), INT64)
            if order is not None:
                word = v.binary("and", word, str(0xFFFFFFFF), INT64)
                word = one.cast("zext", v.load(f.address(order, word, 4), INT32), INT32, INT64)
            elif is_result:
                word = v.binary("and", word, v.const(0xFFFFFFFF, INT64), INT64)
            to = f.address(target, at, size)
            v.store(word if is_result else v.cast("trunc", word, INT64, INT32), to, INT64 if is_result else INT32)

        one = Lanes(f, 1)
        if order is None:
            self.each(f, count, body)
        else:
            with f.loop(0, count, 1) as loop:
                body(one, loop.index)

    # ------------------------------------------------------------------ selection

    def _scan(self, f: Function, row: str) -> None:
        """Take in what beats the k-th in the list; afterwards the list is sorted."""
        dtype = self.x.aval.dtype
        one, size = Lanes(f, 1), dtype.itemsize
        kept = f.address("%scratch", self.lists[0], 1)
        count, bound = f.allocate(8), f.allocate(8)

        def renew() -> None:
            one.store(str(self.k), count, INT64)
            last = one.cast("zext", one.load(f.address(kept, self.k - 1, 4), INT32), INT32, INT64)
            one.store(one.load(f.address(row, last, size), dtype), bound, dtype)

        def sort() -> None:
            inner = self.helper
            if not inner.lines:
                self._passes(inner, ["%x0"], inner.address("%scratch", self.lists[0], 1), "%count", None)
                inner.do("ret void")
                f.take(inner)
            number = one.load(count, INT64)
            f.call("void", inner.name, ("ptr", row), ("ptr", "%scratch"), ("i64", number), declare=False)
            renew()

        def block(at: Offset, length: int) -> None:
            width = self.bytes // size
            limit, bits = one.load(bound, dtype), "0"
            for start in range(0, length, width):
                v = Lanes(f, width).first(length - start)
                x, t = v.load(f.address(row, f.add(at, start), size), dtype), v.splat(limit, dtype)
                beats = v.compare("ugt" if dtype.kind == "f" else condition("gt", dtype), x, t, dtype)
                if dtype.kind == "f":  # what is not a number beats numbers only
                    beats = v.binary("and", beats, v.compare("ord", t, t, dtype), BOOL)
                if v.mask is not None:
                    beats = v.binary("and", beats, v.mask, BOOL)
                some = f.op(f"bitcast {v.type(BOOL)} {beats} to i{width}")
                if width < _BLOCK:
                    some = f.op(f"zext i{width} {some} to i64")
                bits = f.op(f"or i64 {bits}, {f.op(f'shl i64 {some}, {start}')}") if start else some
            with f.when(f.op(f"icmp ne i64 {bits}, 0")):
                with f.repeat([("i64", bits), ("i64", one.load(count, INT64))]) as loop:
                    f.go_on(loop, f.op(f"icmp ne i64 {loop.values[0]}, 0"))
                    i = f.op(f"call i64 @llvm.cttz.i64(i64 {loop.values[0]}, i1 true)")
                    position = one.cast("trunc", str(f.add(i, at)), INT64, INT32)
                    one.store(position, f.address(kept, loop.values[1], 4), INT32)
                    rest = f.op(f"and i64 {loop.values[0]}, {f.add(loop.values[0], -1)}")
                    loop.next = [rest, str(f.add(loop.values[1], 1))]
                one.store(loop.results[1], count, INT64)
                with f.when(f.op(f"icmp sge i64 {loop.results[1]}, {self.first}")):
                    sort()

        f.declarations.add("declare i64 @llvm.cttz.i64(i64, i1 immarg)")
        renew()
        full = self.n // _BLOCK * _BLOCK
        with f.loop(self.first, full, _BLOCK) as loop:
            block(loop.index, _BLOCK)
        if full < self.n:
            block(full, self.n - full)
        with f.when(f.op(f"icmp sgt i64 {one.load(count, INT64)}, {self.k}")):
            sort()

    def _positions(self, f: Function, y: str) -> None:
        kept = f.address("%scratch", self.lists[0], 1)

        def body(v: Lanes, at: Offset) -> None:
            position = v.cast("zext", v.load(f.address(kept, at, 4), INT32), INT32, INT64)
            v.store(position, f.address(y, at, 8), INT64)

        self.each(f, self.k, body)


# ------------------------------------------------------------------ lowering


def lower(e: Eqn, vector_bytes: int) -> list[Stage] | None:
    """The stage of an equation, or None: unusual dtypes, an axis that is not the last (see `expand`)."""
    x = e.invars[0].aval
    if any([type(v) is Literal or v.aval.weak_type or not is_supported(v.aval.dtype) for v in e.invars]):
        return None
    if x.ndim == 0 or e.params.get("dimension", x.ndim - 1) != x.ndim - 1 or x.shape[-1] > _LONGEST:
        return None
    if e.prim.name == "sort":
        return [Sort(e, vector_bytes)]
    if e.outvars[0].aval.dtype != INT64:
        return None
    descending = e.prim.name == "top_k_indices"
    return [Order(e, e.params["k"] if descending else x.shape[-1], descending, vector_bytes)]


LOWER: dict[str, Any] = dict.fromkeys(("sort", "argsort", "lexsort", "top_k_indices"), lower)
