"""Work along axes as stages: running operations, places of extremes, reductions over any axes. May import core, movement, operations, stage, text, tiles, vmath.

Where the last axis stays, vectors hold neighbouring columns, and a loop runs over the others with what it carries in registers. Where it is
the one to work along, a vector holds part of a row: reductions go over the lanes at the end, running operations in every vector, by
combining lanes at distances 1, 2, 4, ... .
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from fnets.backends.llvm.code import vmath
from fnets.backends.llvm.code.operations import condition, maximum
from fnets.backends.llvm.code.text import BOOL, INT32, INT64, Function, Lanes, is_supported, scalar_type
from fnets.backends.llvm.code.tiles import Columns, Offset, columns_by, columns_of
from fnets.backends.llvm.kernels.movement import steps_of
from fnets.backends.llvm.kernels.nest import COMBINE
from fnets.backends.llvm.kernels.stage import Stage
from fnets.core.ir import Eqn, Literal, Var

_TILE = 4  # vectors of columns, or of a row, that are worked on together
_WIDE_TILE = 16  # where little is carried: memory is read in longer pieces
Combine = Callable[[Lanes, str, str, np.dtype], str]


def _log_add_exp(v: Lanes, a: str, b: str, dtype: np.dtype) -> str:
    distance = v.intrinsic("fabs", dtype, v.binary("fsub", a, b, dtype))
    small = vmath.log1p(v, vmath.exp(v, vmath.negative(v, distance, dtype), dtype), dtype)
    total = v.binary("fadd", maximum(v, a, b, dtype), small, dtype)
    twice = v.binary("fadd", a, v.const(math.log(2), dtype), dtype)  # infinities too
    return v.select(v.compare("oeq", a, b, dtype), twice, total, dtype)


_COMBINE: dict[str, Combine] = {n: COMBINE[f"reduce_{n}"] for n in ("sum", "prod", "max", "min")}
_COMBINE["logsumexp"] = _log_add_exp


def _identity(name: str, dtype: np.dtype) -> Any:
    """What a combination leaves as it is, negative zeros too."""
    if name in ("sum", "prod"):
        return dtype.type(name == "prod") if name == "prod" or dtype.kind != "f" else -0.0
    if dtype.kind == "f":
        return np.inf if name == "min" else -np.inf
    return np.iinfo(dtype).min if name == "max" else np.iinfo(dtype).max


class _Loop(NamedTuple):
    """n indices; elements from one to the next in the operand and in the result; whether the axis is worked along."""

    n: int
    x: int
    y: int
    along: bool
    own: bool = False  # axis 0, kept apart from others


class _Along(Stage):
    """Loops over what stays (`before`), in them over what is worked along (`along`), innermost `columns` that stay or a `row` that is worked along."""

    tile = _TILE

    def __init__(self, e: Eqn, axes: Collection[int], vector_bytes: int):
        self.eqns = [e]
        self.loaded = list(dict.fromkeys([v for v in e.invars if type(v) is Var]))
        self.stored = list(e.outvars)
        x, y = self.x, self.y = self.loaded[0], e.outvars[0]
        self.dtype = x.aval.dtype
        self.width = vector_bytes // self.dtype.itemsize
        shape = x.aval.shape
        same = y.aval.shape == shape
        steps = steps_of(shape)
        kept = steps if same else steps_of([1 if k in axes else n for k, n in enumerate(shape)])
        loops: list[_Loop] = []
        for k, n in enumerate(shape):
            a = _Loop(n, steps[k], kept[k] if same or k not in axes else 0, k in axes, k == 0 and k not in axes)
            if n == 1:
                continue
            if loops and loops[-1].along == a.along and not loops[-1].own:
                a = a._replace(n=a.n * loops.pop().n)
            loops.append(a)
        inner = loops.pop() if loops else _Loop(1, 1, 1, True)
        self.row = inner.n if inner.along else 0
        self.columns = 0 if inner.along else inner.n
        self.before = [a for a in loops if not a.along]
        self.along = [a for a in loops if a.along]
        if self.before:
            self.extent = self.before[0].n
            if self.before[0].own:
                self.aligned = frozenset(self.buffers)
        elif self.columns:
            self.extent = self.columns
        self.plan(0.3)

    def plan(self, nanoseconds: float) -> None:
        """Where it may be cut, and what a vector takes; `self.blocks`: parts share the columns, a tile at least each."""
        self.vector_time = nanoseconds
        self.blocks = not self.before and self.columns > 0
        self.blocking = self.tile * self.width if self.blocks else 1

    @property
    def nanoseconds(self) -> float:
        lanes = self.width if self.row else min(self.width, self.columns)
        return self.vector_time * self.x.aval.size / lanes + 0.02 * self.x.aval.nbytes

    # ------------------------------------------------------------------ writing

    def write(self, name: str) -> Function:
        self.f = f = self.begin(name)
        self._outer(self.before, 0, 0)
        f.do("ret void")
        return f

    def _outer(self, loops: Sequence[_Loop], x: Offset, y: Offset) -> None:
        f = self.f
        if loops:
            a = loops[0]
            low, high = ("%low", "%high") if a is self.before[0] else (0, a.n)
            with f.loop(low, high, 1) as loop:
                self._outer(loops[1:], f.add(x, f.mul(loop.index, a.x)), f.add(y, f.mul(loop.index, a.y)))
        elif self.row:
            self.over_row(x, y)
        elif self.blocks and self.chunk < self.extent:
            self._own_columns()
        else:
            for at, c in columns_by(f, self.columns, self.width, self.tile):
                self.over_columns(f.add(x, at), f.add(y, at), c)

    def _own_columns(self) -> None:
        """The columns of this part."""
        f, block = self.f, self.tile * self.width
        full = self.columns // block * block
        end = Lanes(f, 1).intrinsic("smin", INT64, "%high", str(full))
        with f.when(f.op(f"icmp slt i64 %low, {end}")), f.loop("%low", end, block) as loop:
            self.over_columns(loop.index, loop.index, columns_of(f, block, self.width))
        if full < self.columns:
            with f.when(f.op(f"icmp eq i64 %high, {self.columns}")):
                self.over_columns(full, full, columns_of(f, self.columns - full, self.width))

    def over_columns(self, x: Offset, y: Offset, columns: Sequence[Columns]) -> None:
        """A tile of columns from these elements on."""
        raise TypeError(f"{type(self).__name__} must define over_columns")

    def over_row(self, x: Offset, y: Offset) -> None:
        """What lies along the rows from these elements on."""
        raise TypeError(f"{type(self).__name__} must define over_row")

    def at(self, v: Var, offset: Offset) -> str:
        return self.f.address(self.pointer[v], offset, v.aval.dtype.itemsize)

    def inner_loops(
        self, x: Offset, types: Sequence[str], values: list[str], body: Callable[[Offset, list[str]], list[str]]
    ) -> list[str]:
        """Loops over what is worked along, around `body(where, carried values)`."""
        f = self.f

        def nest(loops: Sequence[_Loop], x: Offset, values: list[str]) -> list[str]:
            if not loops:
                return body(x, values)
            with f.loop(0, loops[0].n, 1, list(zip(types, values))) as loop:
                loop.next = nest(loops[1:], f.add(x, f.mul(loop.index, loops[0].x)), loop.values)
            return loop.results

        return nest(self.along, x, values)

    def row_vectors(
        self,
        types: Sequence[str],
        values: list[str],
        count: int,
        body: Callable[[Lanes, Offset, list[str]], list[str]],
    ) -> list[list[str]]:
        """`body(lanes, column, carried values)` over a row, `count` vectors at a time; what each of these ends with."""
        f, w, n = self.f, self.width, self.row
        sets = [list(values) for _ in range(count)]
        done = n // (count * w) * count * w
        if done:
            flat = [x for s in sets for x in s]
            with f.loop(0, done, count * w, list(zip([*types] * count, flat))) as loop:
                parts = [loop.values[i * len(types) : (i + 1) * len(types)] for i in range(count)]
                parts = [body(Lanes(f, w), f.add(loop.index, i * w), p) for i, p in enumerate(parts)]
                loop.next = [x for p in parts for x in p]
            sets = [loop.results[i * len(types) : (i + 1) * len(types)] for i in range(count)]
        for i, at in enumerate(range(done, n, w)):
            sets[i] = body(Lanes(f, w).first(n - at), at, sets[i])
        return sets


class Reduce(_Along):
    """A sum, product or extreme over any axes."""

    def __init__(self, e: Eqn, vector_bytes: int):
        self.tile = _WIDE_TILE if vector_bytes == 64 else _WIDE_TILE // 2
        super().__init__(e, e.params["axes"], vector_bytes)
        self.name = e.prim.name.removeprefix("reduce_")
        self.combine = _COMBINE[self.name]
        self.first = _identity(self.name, self.dtype)

    def over_columns(self, x: Offset, y: Offset, columns: Sequence[Columns]) -> None:
        f, dtype = self.f, self.dtype

        def step(x: Offset, totals: list[str]) -> list[str]:
            loads = [c.lanes.load(self.at(self.x, f.add(x, c.offset)), dtype) for c in columns]
            # the new value first: that keeps the chain of dependent operations short
            return [self.combine(c.lanes, v, t, dtype) for c, t, v in zip(columns, totals, loads)]

        types = [c.lanes.type(dtype) for c in columns]
        totals = self.inner_loops(x, types, [c.lanes.const(self.first, dtype) for c in columns], step)
        for c, t in zip(columns, totals):
            c.lanes.store(t, self.at(self.y, f.add(y, c.offset)), dtype)

    def over_row(self, x: Offset, y: Offset) -> None:
        f, dtype, lanes = self.f, self.dtype, Lanes(self.f, self.width)
        first = lanes.const(self.first, dtype)

        def rows(x: Offset, totals: list[str]) -> list[str]:
            def step(v: Lanes, at: Offset, total: list[str]) -> list[str]:
                value = v.load(self.at(self.x, f.add(x, at)), dtype)
                if v.mask is not None:
                    value = v.select(v.mask, value, first, dtype)
                return [self.combine(v, value, total[0], dtype)]

            # a row by itself first, then with the others: long sums stay accurate
            own = self.row_vectors([lanes.type(dtype)], [first], _TILE, step)
            return [self.combine(lanes, t, *o, dtype) for t, o in zip(totals, own)]

        totals = self.inner_loops(x, [lanes.type(dtype)] * _TILE, [first] * _TILE, rows)
        while len(totals) > 1:
            totals = [self.combine(lanes, a, b, dtype) for a, b in zip(totals[::2], totals[1::2])]
        total = totals[0]
        while lanes.count > 1:
            a, b = lanes.halves(total, dtype)
            lanes = lanes.of(lanes.count // 2)
            total = self.combine(lanes, a, b, dtype)
        lanes.store(total, self.at(self.y, y), dtype)


class ArgExtreme(_Along):
    """The place of the first maximum or minimum along an axis; the first nan, if there is one."""

    def __init__(self, e: Eqn, vector_bytes: int):
        super().__init__(e, (e.params["axis"],), vector_bytes)
        self.name = e.prim.name.removeprefix("arg")
        self.index = np.dtype(f"i{self.dtype.itemsize}")
        self.first = _identity(self.name, self.dtype)
        self.plan(0.6)

    def _beats(self, v: Lanes, x: str, best: str) -> str:
        """Where x is better: also a nan than a number."""
        dtype, which = self.dtype, "gt" if self.name == "max" else "lt"
        if dtype.kind != "f":
            return v.compare(condition(which, dtype), x, best, dtype)
        known = v.compare("ord", best, best, dtype)
        return v.binary("and", v.compare(f"u{which}", x, best, dtype), known, BOOL)

    def _better(self, v: Lanes, x: str, place: str, best: list[str]) -> list[str]:
        beats = self._beats(v, x, best[0])
        return [v.select(beats, x, best[0], self.dtype), v.select(beats, place, best[1], self.index)]

    def _store(self, v: Lanes, place: str, y: Offset) -> None:
        to = self.y.aval.dtype
        if to.itemsize != self.index.itemsize:
            place = v.cast("sext" if to.itemsize > self.index.itemsize else "trunc", place, self.index, to)
        v.store(place, self.at(self.y, y), to)

    def over_columns(self, x: Offset, y: Offset, columns: Sequence[Columns]) -> None:
        f, (axis,) = self.f, self.along or [_Loop(1, 0, 0, True)]
        lanes = [c.lanes for c in columns]
        types = [t for v in lanes for t in (v.type(self.dtype), v.type(self.index))]
        first = [s for v in lanes for s in (v.const(self.first, self.dtype), v.const(0, self.index))]
        with f.loop(0, axis.n, 1, list(zip(types, first))) as loop:
            k = loop.index if self.index == INT64 else f.op(f"trunc i64 {loop.index} to {scalar_type(self.index)}")
            loop.next = []
            for i, c in enumerate(columns):
                place = self.at(self.x, f.add(f.add(x, f.mul(loop.index, axis.x)), c.offset))
                best = loop.values[2 * i : 2 * i + 2]
                loop.next += self._better(c.lanes, c.lanes.load(place, self.dtype), c.lanes.splat(k, self.index), best)
        for v, c, place in zip(lanes, columns, loop.results[1::2]):
            self._store(v, place, f.add(y, c.offset))

    def over_row(self, x: Offset, y: Offset) -> None:
        f, dtype, index, lanes = self.f, self.dtype, self.index, Lanes(self.f, self.width)
        numbers = f"<{', '.join(f'{scalar_type(index)} {i}' for i in range(self.width))}>"
        first = lanes.const(self.first, dtype)

        def step(v: Lanes, at: Offset, best: list[str]) -> list[str]:
            value = v.load(self.at(self.x, f.add(x, at)), dtype)
            if v.mask is not None:
                value = v.select(v.mask, value, first, dtype)
            if isinstance(at, int):
                start = v.const(at, index)
            else:
                start = v.splat(at if index == INT64 else f.op(f"trunc i64 {at} to {scalar_type(index)}"), index)
            return self._better(v, value, v.binary("add", start, numbers, index), best)

        sets = self.row_vectors([lanes.type(dtype), lanes.type(index)], [first, numbers], _TILE, step)
        best = sets[0]
        for other in sets[1:]:
            best = self._joined(lanes, best, other)
        while lanes.count > 1:
            halves = [lanes.halves(v, d) for v, d in zip(best, (dtype, index))]
            lanes = lanes.of(lanes.count // 2)
            best = self._joined(lanes, [a for a, _ in halves], [b for _, b in halves])
        self._store(lanes, best[1], y)

    def _joined(self, v: Lanes, a: list[str], b: list[str]) -> list[str]:
        """The better of two, at ties the one that comes first."""
        dtype = self.dtype
        tie = v.compare("oeq" if dtype.kind == "f" else "eq", a[0], b[0], dtype)
        if dtype.kind == "f":
            nan = [v.compare("uno", x[0], x[0], dtype) for x in (a, b)]
            tie = v.binary("or", tie, v.binary("and", *nan, BOOL), BOOL)
        earlier = v.binary("and", tie, v.compare("slt", b[1], a[1], self.index), BOOL)
        takes = v.binary("or", self._beats(v, b[0], a[0]), earlier, BOOL)
        return [v.select(takes, y, x, d) for x, y, d in zip(a, b, (dtype, self.index))]


class Running(_Along):
    """y[k] = combine(y[k - 1], x[k]) along an axis, or backwards; the linear recurrence y[k] = a[k] * y[k - 1] + x[k] with a second operand."""

    def __init__(self, e: Eqn, vector_bytes: int):
        axis = e.params["axis"]
        super().__init__(e, (axis,), vector_bytes)
        self.name = e.prim.name.removeprefix("cum")
        self.reverse = e.params["reverse"]
        self.factors = e.invars[0] if self.name == "linear_recurrence" else None
        self.terms: Any = e.invars[-1]
        n = self.x.aval.shape[axis]
        if self.row and self.factors is not None:  # element by element
            self.row, self.columns, self.along = 0, 1, [_Loop(n, 1, 1, True)]
        self.plan({"logsumexp": 200.0 if self.row else 40.0}.get(self.name, 4.0 if self.row else 0.5))
        if self.columns == 1 and not self.before:
            self.extent = self.blocking = 1

    def over_columns(self, x: Offset, y: Offset, columns: Sequence[Columns]) -> None:
        f, dtype = self.f, self.dtype
        axis = self.along[0] if self.along else _Loop(1, 0, 0, True)
        step = -axis.x if self.reverse else axis.x
        start = f.add(x, (axis.n - 1) * axis.x if self.reverse else 0)

        def load(v: Var, c: Columns, at: Offset) -> str:
            return c.lanes.load(self.at(v, f.add(at, c.offset)), dtype)

        def store(at: Offset, values: Sequence[str]) -> None:
            for c, v in zip(columns, values):
                c.lanes.store(v, self.at(self.y, f.add(at, c.offset)), dtype)

        values = [load(self.terms, c, start) for c in columns]
        store(start, values)
        if axis.n == 1:
            return
        with f.loop(1, axis.n, 1, list(zip([c.lanes.type(dtype) for c in columns], values))) as loop:
            at = f.add(start, f.mul(loop.index, step))
            for i, (c, before) in enumerate(zip(columns, loop.values)):
                value = load(self.terms, c, at)
                if self.factors is None:
                    loop.next[i] = _COMBINE[self.name](c.lanes, value, before, dtype)
                else:
                    product = c.lanes.binary("fmul", load(self.factors, c, at), before, dtype)  # type: ignore[arg-type]
                    loop.next[i] = c.lanes.binary("fadd", value, product, dtype)
            store(at, loop.next)

    def over_row(self, x: Offset, y: Offset) -> None:
        f, w, n, dtype = self.f, self.width, self.row, self.dtype
        combine, lanes = _COMBINE[self.name], Lanes(self.f, self.width)
        identity = lanes.const(_identity(self.name, dtype), dtype)
        rest = n % w

        def step(v: Lanes, at: Offset, last: str) -> str:
            """A vector from `at` on, after the last value of what comes before it."""
            value = v.load(self.at(self.x, f.add(x, at)), dtype)
            if v.mask is not None:
                value = v.select(v.mask, value, identity, dtype)
            distance = 1
            while distance < w:
                if self.reverse:
                    picks = [i + distance if i + distance < w else w for i in range(w)]
                else:
                    picks = [i - distance if i >= distance else w for i in range(w)]
                value = combine(lanes, lanes.shuffle(value, identity, picks, dtype), value, dtype)
                distance *= 2
            value = combine(lanes, value, last, dtype)
            v.store(value, self.at(self.y, f.add(y, at)), dtype)
            return lanes.shuffle(value, "poison", [0 if self.reverse else w - 1] * w, dtype)

        last = identity
        if rest and self.reverse:
            last = step(lanes.first(rest), n - rest, last)
        if n >= w:
            with f.loop(0, n - rest, w, [(lanes.type(dtype), last)]) as loop:
                at = f.op(f"sub i64 {n - rest - w}, {loop.index}") if self.reverse else loop.index
                loop.next = [step(lanes, at, loop.values[0])]
            last = loop.results[0]
        if rest and not self.reverse:
            step(lanes.first(rest), n - rest, last)


def lower(e: Eqn, vector_bytes: int) -> list[Stage] | None:
    """The stage of an equation, or None: operands and results of several dtypes (but for places), or nothing to do."""
    result = e.outvars[0].aval
    if result.size == 0 or any([type(v) is Literal or v.aval.size == 0 or v.aval.weak_type for v in e.invars]):
        return None
    dtype = e.invars[0].aval.dtype
    if not is_supported(dtype) or dtype == BOOL:
        return None
    name = e.prim.name
    if name.startswith("arg"):
        signed = dtype.kind == "f" or dtype in (INT32, INT64)
        return [ArgExtreme(e, vector_bytes)] if signed and is_supported(result.dtype) else None
    if any([v.aval.dtype != dtype for v in (*e.invars, *e.outvars)]):
        return None
    if dtype.kind != "f" and name in ("cumlogsumexp", "linear_recurrence"):
        return None
    if name.startswith("reduce"):
        return [Reduce(e, vector_bytes)] if e.params["axes"] else None
    return [Running(e, vector_bytes)]


_REDUCTIONS = [f"reduce_{n}" for n in ("sum", "prod", "max", "min")]
_RUNNING = [f"cum{n}" for n in ("sum", "prod", "max", "min", "logsumexp")]
LOWER: dict[str, Any] = dict.fromkeys([*_REDUCTIONS, *_RUNNING, "linear_recurrence", "argmax", "argmin"], lower)
