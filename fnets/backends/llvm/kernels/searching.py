"""Binary search as a stage: the places of many values in sorted rows. May import core, nest, operations, stage, text, tiles.

All values are searched at once, in as many steps as the length of the row asks for and without a branch; several vectors of them together, so that
their loads overlap. NaN is sorted last: where it begins is found first, and there the row ends for all values but NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log2, prod
from typing import Any

from fnets.backends.llvm.code.operations import condition
from fnets.backends.llvm.code.text import INT32, INT64, Function, Lanes, is_supported
from fnets.backends.llvm.code.tiles import Offset
from fnets.backends.llvm.kernels.nest import last_step, up_to
from fnets.backends.llvm.kernels.stage import Stage
from fnets.core.ir import Eqn, Literal

_LONGEST = 1 << 30  # of a row


class Search(Stage):
    """For each value, how many elements of its row come before it."""

    def __init__(self, e: Eqn, vector_bytes: int):
        self.eqns = [e]
        self.a, self.values = e.invars
        self.places = e.outvars[0]
        self.loaded, self.stored = list(dict.fromkeys([self.a, self.values])), [self.places]  # type: ignore[list-item]
        aval = self.a.aval
        self.dtype, self.n, self.rows = aval.dtype, aval.shape[-1], prod(aval.shape[:-1])
        self.count = self.values.aval.size // self.rows
        self.index = INT64 if self.dtype.itemsize == 8 else INT32  # as wide as the values: gathers like that
        self.width = min(vector_bytes // self.dtype.itemsize, max(2, 1 << (self.count - 1).bit_length()))
        self.together = 4 if vector_bytes == 64 else 8
        self.last = e.params["side"] == "right"
        self.extent = self.rows if self.rows > 1 else self.count
        self.aligned = frozenset(self.buffers if self.rows > 1 else [self.values, self.places])  # type: ignore[list-item]

    @property
    def nanoseconds(self) -> float:
        return self.rows * (self.count + self.width) * 0.45 * (log2(self.n) + 1)

    def write(self, name: str) -> Function:
        self.f = f = self.begin(name)
        pointers = [self.pointer[v] for v in (self.a, self.values, self.places)]  # type: ignore[index]
        if self.rows == 1:
            self._row(*pointers, "%low", "%high")
        else:
            with f.loop("%low", "%high", 1) as loop:
                sizes = (self.dtype.itemsize, self.dtype.itemsize, 8)
                steps = [f.mul(loop.index, n) for n in (self.n, self.count, self.count)]
                a, values, places = [f.address(p, step, size) for p, step, size in zip(pointers, steps, sizes)]
                self._row(a, values, places, "0", str(self.count))
        f.do("ret void")
        return f

    def _row(self, a: str, values: str, places: str, low: str, high: str) -> None:
        f, w = self.f, self.width
        numbers = self._numbers(a) if self.dtype.kind == "f" else str(self.n)

        def search(at: Offset, lanes: Sequence[Lanes]) -> None:
            offsets = [f.add(at, i * w) for i in range(len(lanes))]
            xs = [v.load(f.address(values, o, self.dtype.itemsize), self.dtype) for v, o in zip(lanes, offsets)]
            found = self._find(a, numbers, xs, condition("le" if self.last else "lt", self.dtype))
            for v, o, x, place in zip(lanes, offsets, xs, found):
                if self.index != INT64:
                    place = v.cast("zext", place, self.index, INT64)
                if self.dtype.kind == "f":
                    nan, end = v.compare("uno", x, x, self.dtype), str(self.n) if self.last else numbers
                    place = v.select(nan, v.splat(end, INT64), place, INT64)
                v.store(place, f.address(places, o, 8), INT64)

        block = self.together * w
        full = last_step(f, low, high, block)
        with f.when(f.op(f"icmp slt i64 {low}, {full}")), f.loop(low, full, block) as loop:
            search(loop.index, [Lanes(f, w)] * self.together)
        with f.when(f.op(f"icmp slt i64 {full}, {high}")), f.loop(full, high, w) as loop:
            search(loop.index, [up_to(f, w, loop.index, high)])

    def _numbers(self, a: str) -> str:
        """How many elements are no NaN."""
        f, one, v = self.f, Lanes(self.f, 1), Lanes(self.f, self.width)
        last = one.load(f.address(a, self.n - 1, self.dtype.itemsize), self.dtype)
        before = f.block
        with f.when(one.compare("uno", last, last, self.dtype)):
            (found,) = self._find(a, str(self.n), [v.const(0, self.dtype)], "ord")
            count = f.op(f"extractelement {v.type(self.index)} {found}, i32 0")
            if self.index != INT64:
                count = one.cast("zext", count, self.index, INT64)
            inside = f.block
        return f.op(f"phi i64 [ {self.n}, %{before} ], [ {count}, %{inside} ]")

    def _find(self, a: str, count: str, xs: Sequence[str], before: str) -> list[str]:
        """How many of the first `count` elements come `before` each value."""
        f, v, index = self.f, Lanes(self.f, self.width), self.index

        def splat(x: str) -> str:
            return v.splat(x if index == INT64 else f.op(f"trunc i64 {x} to i32"), index)

        def advanced(found: str, x: str, probe: Callable[[str], str], step: str) -> str:
            comes = v.compare(before, v.gather(a, probe(found), index, self.dtype), x, self.dtype)
            return v.select(comes, v.binary("add", found, step, index), found, index)

        first = [("i64", count), *[(v.type(index), v.const(0, index))] * len(xs)]
        with f.repeat(first) as loop:
            length, found = loop.values[0], loop.values[1:]
            f.go_on(loop, f.op(f"icmp sgt i64 {length}, 1"))
            half = f.op(f"lshr i64 {length}, 1")
            step, last = splat(half), splat(f.op(f"sub i64 {half}, 1"))
            found = [advanced(k, x, lambda k: v.binary("add", k, last, index), step) for k, x in zip(found, xs)]
            loop.next = [f.op(f"sub i64 {length}, {half}"), *found]
        length = splat(loop.results[0])  # 1, or 0: where all is NaN
        return [advanced(k, x, lambda k: k, length) for k, x in zip(loop.results[1:], xs)]


def lower(e: Eqn, vector_bytes: int) -> list[Stage] | None:
    """The stage of an equation, or None: several dtypes, or small ones."""
    a, values = e.invars
    if any([type(v) is Literal or v.aval.weak_type for v in e.invars]) or a.aval.dtype != values.aval.dtype:
        return None
    if not is_supported(a.aval.dtype) or a.aval.dtype.itemsize < 4 or a.aval.shape[-1] > _LONGEST:
        return None
    return [Search(e, vector_bytes)] if e.outvars[0].aval.dtype == INT64 else None


LOWER: dict[str, Any] = {"searchsorted": lower}
