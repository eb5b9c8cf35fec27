"""One loop nest as a stage: loops over rows, inner loops over vectors, phases between reductions of a row. May import core, operations, grouping, reads, stage, text.

The inner loop runs over the trailing axes (all that can be taken as one), in vectors with a masked rest. A row whose reductions feed
equations over the row again (softmax) takes several phases: an inner loop, what is made of the row's sums, the next inner loop.
Sums run in several vectors at once, in blocks, and are added up in a fixed order.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fnets.backends.llvm.code.operations import HEAVY, apply, convert, maximum, minimum, operand_dtypes
from fnets.backends.llvm.code.text import BOOL, DOUBLE, INT32, INT64, Function, Lanes
from fnets.backends.llvm.kernels.stage import Stage
from fnets.backends.llvm.schedule.grouping import Nest
from fnets.backends.llvm.schedule.reads import Axis, View, axis, whole
from fnets.core.ir import Atom, Eqn, Literal, Var

_UNROLL = 4  # vectors that a reduction keeps
_BLOCK = 32  # rounds of the inner loop that are summed before they join the total
_TOTALS = ("to_column", "to_all")  # reductions that add to what is in memory

COMBINE: dict[str, Callable[[Lanes, str, str, np.dtype], str]] = {
    "reduce_sum": lambda v, a, b, d: v.binary("fadd" if d.kind == "f" else "add", a, b, d),
    "reduce_prod": lambda v, a, b, d: v.binary("fmul" if d.kind == "f" else "mul", a, b, d),
    "reduce_max": maximum,
    "reduce_min": minimum,
    **{f"reduce_{n}": (lambda v, a, b, d, n=n: v.binary(n, a, b, d)) for n in ("and", "or", "xor")},
}


def _identity(name: str, dtype: np.dtype) -> object:
    if name in ("reduce_sum", "reduce_or", "reduce_xor"):
        return 0
    if name == "reduce_prod":
        return 1
    if name == "reduce_and":
        return True if dtype == BOOL else -1
    sign = -1 if name == "reduce_max" else 1
    if dtype.kind == "f":
        return sign * math.inf
    if dtype == BOOL:
        return sign > 0
    return np.iinfo(dtype).min if sign < 0 else np.iinfo(dtype).max


def register_dtype(v: Var | Literal) -> np.dtype:
    """The dtype in which a variable's value is in memory: Python floats are doubles."""
    return DOUBLE if v.aval.weak_type else v.aval.dtype


def vectors(
    f: Function, width: int, body: Callable[[Lanes, str], object], low: str | int = "%low", high: str | int = "%high"
) -> None:
    """A loop in vectors, whose rest is a vector with a mask that is computed."""
    full = last_step(f, low, high, width)
    with f.when(f.op(f"icmp slt i64 {low}, {full}")), f.loop(low, full, width) as loop:
        body(Lanes(f, width), loop.index)
    if width > 1:
        with f.when(f.op(f"icmp slt i64 {full}, {high}")):
            body(up_to(f, width, full, high), full)


def last_step(f: Function, low: str | int, high: str | int, step: int) -> str:
    """Where whole steps from `low` end."""
    rest = f.op(f"urem i64 {f.op(f'sub i64 {high}, {low}')}, {step}")
    return f.op(f"sub i64 {high}, {rest}")


def up_to(f: Function, width: int, at: str, high: str | int) -> Lanes:
    """A vector at column `at` of which loads and stores touch what lies below `high`."""
    lanes = Lanes(f, width)
    numbers = f"<{', '.join(f'i64 {i}' for i in range(width))}>"
    left = lanes.splat(f.op(f"sub i64 {high}, {at}"), INT64)
    return Lanes(f, width, lanes.compare("slt", numbers, left, INT64))


def spaced(v: Lanes, pointer: str, step: int, spare: int, dtype: np.dtype) -> str:
    """The elements at a pointer and `step` apart, picked out of all between them; the load begins so many `spare` elements earlier."""
    if step == 1 or v.count == 1:
        return v.load(pointer, dtype)
    f, n, size = v.function, v.count, abs(step)
    order = range(n) if step > 0 else range(n - 1, -1, -1)
    mask = v.mask and v.shuffle(v.mask, "poison", [order[k // size] for k in range(n * size)], BOOL)
    everything = Lanes(f, n * size, mask)
    x = everything.load(str(f.address(pointer, min(0, (n - 1) * step) - spare, dtype.itemsize)), dtype)
    return everything.shuffle(x, "poison", [spare + size * k for k in order], dtype)


class NestStage(Stage):
    """One nest. `needed` are the variables that something outside of it reads."""

    def __init__(self, nest: Nest, needed: set[Var], vector_bytes: int):
        self.nest = nest
        self.reads = reads = nest.reads
        self.eqns = nest.eqns
        self.own = {e.outvars[0]: e for e in nest.eqns}
        self.users: dict[Var, list[Eqn]] = {}  # in the nest
        for e in nest.eqns:
            for s in dict.fromkeys([reads.source(v) for v in e.invars]):
                if s in self.own:
                    self.users.setdefault(s, []).append(e)  # type: ignore[arg-type]
        self.stored = [v for v in self.own if v in needed]
        sources = [reads.source(v) for e in nest.eqns for v in e.invars]
        self.loaded = list(dict.fromkeys([s for s in sources if type(s) is Var and s not in self.own]))
        self.known: dict[View, list[Axis]] = {}  # views along the axes of the loops
        self._axes()
        along = [
            e for e in nest.eqns if nest.level[e.outvars[0]] != "row"
        ]  # the others work with one element at a time
        arrays = [v for e in along for v in (*e.invars, *e.outvars) if v.aval.size > 1]
        full = vector_bytes // max([4, *[v.aval.dtype.itemsize for v in arrays]])
        self.width = min(full, 1 << max(0, self.columns - 1).bit_length())
        self._phases()
        self._cut()
        self.fixed: dict[tuple, str] = {}  # values that hold for the whole nest
        self.row: dict[tuple, str] = {}  # values that hold for the row that is being written
        self.row_values: dict[Var, str] = {}
        self.scratch_of: dict[Var, str] = {}

    @property
    def domain(self) -> tuple[int, ...]:
        return self.nest.domain

    # ------------------------------------------------------------------ axes

    def _axes(self) -> None:
        """The nest's axes with neighbours taken together where every operand allows it: `outer` sizes and the inner `columns`."""
        nest = self.nest
        n, k = len(nest.domain), nest.trailing
        views = [*nest.views, *[nest.padded_row(v) for v in self._row_atoms()]]
        views += [whole(nest.domain) for v in self.own if nest.level[v] == "full"]
        groups: list[list[int]] = []
        for i, size in enumerate(nest.domain):
            if size == 1 and not (k is not None and i >= n - k):
                continue
            inner = k is not None and i >= n - k
            if groups and inner == (k is not None and groups[-1][0] >= n - k):
                last = groups[-1][-1]
                pairs = [(x.axes[last], x.axes[i]) for x in views if x is not None]
                same = all([a.stride == b.stride * size and b.is_full for a, b in pairs])
                if inner or same:
                    groups[-1].append(i)
                    continue
            groups.append([i])
        if k is None:
            self.inner = groups.pop() if groups else []
        else:
            self.inner = groups.pop() if groups and groups[-1][0] >= n - k else []
        self.outer = groups
        sizes = nest.domain
        self.columns = math.prod([sizes[i] for i in self.inner])
        self.trips = [math.prod([sizes[i] for i in g]) for g in self.outer]

    def _row_atoms(self) -> list[Atom]:
        return [
            v
            for e in self.nest.eqns
            if self.nest.level[e.outvars[0]] in ("row", "to_row")
            for v in (*(e.invars if self.nest.level[e.outvars[0]] == "row" else ()), *e.outvars)
            if type(v) is Var
        ]

    def along(self, view: View) -> list[Axis]:
        """A padded view along the outer axes and the inner one."""
        if view not in self.known:
            self.known[view] = [self._joined(view, g) for g in (*self.outer, self.inner)]
        return self.known[view]

    def _joined(self, view: View, group: list[int]) -> Axis:
        long = [i for i in group if self.domain[i] > 1]
        if not long:
            return axis(1, 0)
        first, last = view.axes[long[0]], view.axes[long[-1]]
        n, rest = self.domain[long[0]], math.prod([self.domain[i] for i in long[1:]])
        low, high = (0, n) if first.is_full else (first.low, first.high)
        return Axis(n * rest, last.stride, low * rest, high * rest)

    def strides(self, view: View) -> tuple[tuple[int, ...], int]:
        """Of a padded view: elements to the next index of each outer axis, and of the inner one."""
        *outer, inner = [a.stride for a in self.along(view)]
        return tuple(outer), inner

    # ------------------------------------------------------------------ parts

    def _cut(self) -> None:
        """What is cut into parts: the outermost loop, or the columns if there is no other and no row's sum runs along them."""
        levels = self.nest.level
        self.extent = self.trips[0] if self.outer else self.columns
        self.blocking = self.extent if not self.outer and "to_row" in levels.values() else 1
        sums = [v for v in self.stored if levels[v] in _TOTALS and not self._has_parts(self._result(v), v)]
        self.accumulated = frozenset(sums if self.blocking < self.extent else ())
        self.accesses: dict[Atom, set[View]] = {}  # of each buffer, what is read or written
        for e in self.eqns:
            for v, view in self._accesses(e):
                self.accesses.setdefault(self.reads.source(v), set()).add(view)
        for v in self.stored:
            self.accesses.setdefault(v, set()).add(self._result(v))
        self.aligned = frozenset([v for v in self.buffers if all([self._has_parts(x, v) for x in self.accesses[v]])])

    def _has_parts(self, view: View, v: Var) -> bool:
        """True if each part has elements of its own of what is read or written of a variable, in the parts' order."""
        first, *others = self.along(view)
        low, high = view.of(others).range
        return first.stride * first.n == v.aval.size and low >= 0 and high < first.stride

    def combine(self, result: Var) -> str:
        return self.own[result].prim.name

    @property
    def nanoseconds(self) -> float:
        heavy = sum([e.prim.name in HEAVY for e in self.eqns])
        return math.prod(self.domain) * (0.1 + 0.05 * len(self.eqns) + 0.3 * heavy)

    # ------------------------------------------------------------------ phases

    def _phases(self) -> None:
        """When each equation runs: inner loop number `phase`, or for row equations after it (-1: before the first)."""
        nest, phase = self.nest, {}
        for e in nest.eqns:
            out, level = e.outvars[0], nest.level[e.outvars[0]]
            mine = [s for v in e.invars if (s := self.reads.source(v)) in self.own]
            if level == "row":
                phase[out] = max([phase[s] for s in mine], default=-1)
            else:
                phase[out] = max([phase[s] + (nest.level[s] in ("row", "to_row")) for s in mine], default=0)
        # a value that only later loops use is made there
        for e in reversed(nest.eqns):
            out = e.outvars[0]
            if nest.level[out] == "full" and out not in self.stored:
                users = [phase[q.outvars[0]] for q in self.users.get(out, ())]
                phase[out] = max(phase[out], min(users, default=phase[out]))
        self.phase = phase
        self.last_phase = max(phase.values(), default=0)

    def _needed_later(self, v: Var) -> bool:
        """True if a later loop reads what this one makes."""
        return any([self.phase[q.outvars[0]] > self.phase[v] for q in self.users.get(v, ())])

    def _is_cheap(self, v: Var) -> bool:
        """True if making a value again costs less than keeping it: one light operation on what is in memory or fixed for the row."""
        e = self.own[v]
        mine = [s for x in e.invars if (s := self.reads.source(x)) in self.own]
        return e.prim.name not in HEAVY | {"div"} and all([self.nest.level[s] != "full" for s in mine])

    def replaceable(self, result: Var) -> list[Var]:
        """Operands whose memory may be the result's: each of their elements is read before that place is written."""
        if self.nest.level[result] != "full" or self.last_phase > 0:
            return []
        aval, own = result.aval, {whole(self.domain)}
        return [
            s
            for s in self.loaded
            if s.aval.dtype == aval.dtype
            and s.aval.size == aval.size
            and not s.aval.weak_type
            and self.accesses[s] == own
        ]

    # ------------------------------------------------------------------ writing

    def write(self, name: str) -> Function:
        self.f = self.begin(name, alias=True)
        for v in self.stored:
            if self.nest.level[v] in _TOTALS:
                self._clear(v)
        self._fix()
        self._rows(0, [])
        self.f.do("ret void")
        return self.f

    def _clear(self, v: Var) -> None:
        """Fill this part of the result of a reduction with its identity."""
        size, dtype = v.aval.size, v.aval.dtype
        identity = _identity(self.own[v].prim.name, dtype)

        def fill(at: Lanes, offset: str | int) -> None:
            at.store(at.const(identity, dtype), self.f.address(self.pointer[v], offset, dtype.itemsize), dtype)

        if self._has_parts(self._result(v), v) and self.blocking < self.extent:
            low, high = (self.f.mul(edge, size // self.extent) for edge in ("%low", "%high"))
            vectors(self.f, self.width, fill, low, high)
            return
        whole = size // self.width * self.width
        if whole:
            with self.f.loop(0, whole, self.width) as loop:
                fill(Lanes(self.f, self.width), loop.index)
        if size > whole:
            fill(self._masked(size - whole), whole)

    def _masked(self, count: int) -> Lanes:
        bits = ", ".join(f"i1 {'true' if i < count else 'false'}" for i in range(self.width))
        return Lanes(self.f, self.width, f"<{bits}>")

    def _fix(self) -> None:
        """Load what is the same everywhere."""
        for e in self.nest.eqns:
            for v, view in self._accesses(e):
                outer, inner = self.strides(view)
                s = self.reads.source(v)
                if s in self.own or any(outer) or inner or type(s) is Literal:
                    continue
                key = (s, view.offset, self.nest.level[e.outvars[0]] == "row")
                if key not in self.fixed:
                    dtype = register_dtype(s)
                    place = self.f.address(self.pointer[s], view.offset, dtype.itemsize)
                    x = Lanes(self.f, 1).load(place, dtype)
                    self.fixed[key] = x if key[2] else Lanes(self.f, self.width).splat(x, dtype)

    def _accesses(self, e: Eqn) -> list[tuple[Var, View]]:
        """The variables that an equation reads, and how."""
        if self.nest.level[e.outvars[0]] == "row":
            return [(v, self.nest.padded_row(v)) for v in e.invars if type(v) is Var]  # type: ignore[misc]
        return [(v, self.nest.padded(v)) for v in e.invars if type(v) is Var]

    def _rows(self, depth: int, indices: list[str | int]) -> None:
        if depth < len(self.outer):
            low, high = ("%low", "%high") if depth == 0 else (0, self.trips[depth])
            with self.f.loop(low, high, 1) as loop:
                self._rows(depth + 1, [*indices, loop.index])
            return
        self.indices = indices
        self.row, self.row_values = {}, {}
        self._row_equations(-1)
        for phase in range(self.last_phase + 1):
            self._inner_loop(phase)
            self._row_equations(phase)

    def _base(self, pointer: str, view: View, itemsize: int) -> str:
        """Where the row that is being written begins."""
        outer, _ = self.strides(view)
        key = (pointer, outer, itemsize)
        if key not in self.row:
            offset: str | int = 0
            for index, stride in zip(self.indices, outer):
                offset = self.f.add(offset, self.f.mul(index, stride))
            self.row[key] = self.f.address(pointer, offset, itemsize)
        if view.offset and (*key, view.offset) not in self.row:
            self.row[*key, view.offset] = self.f.address(self.row[key], view.offset, itemsize)
        return self.row[(*key, view.offset) if view.offset else key]

    def _inside(self, view: View) -> str:
        """Whether the row that is being written has elements of a view, and not padding alone; nothing if every row has."""
        all_of = ""
        for index, a in zip(self.indices, self.along(view)):
            if a.is_full:
                continue
            key = ("inside", index, a.low, a.high)
            if key not in self.row:
                self.row[key] = self.f.op(f"icmp ult i64 {self.f.add(index, -a.low)}, {a.high - a.low}")
            all_of = self.f.op(f"and i1 {all_of}, {self.row[key]}") if all_of else self.row[key]
        return all_of

    def _count(self, view: View) -> str:
        """How many columns of this row a view has elements in, in every lane; nothing if it is not padded."""
        *outer, inner = [(a.n, a.low, a.high) for a in self.along(view)]
        key = ("count", *outer, inner)
        if key not in self.row:
            v, count, inside = Lanes(self.f, self.width), inner[2] - inner[1], self._inside(view)
            if inside:
                self.row[key] = v.splat(self.f.op(f"select i1 {inside}, i32 {count}, i32 0"), INT32)
            else:
                self.row[key] = "" if self.along(view)[-1].is_full else v.const(count, INT32)
        return self.row[key]

    def _present(self, v: Lanes, view: View, at: str | int, loads: dict) -> str:
        """The lanes at column `at` in which a view has elements; nothing if it is not padded."""
        count, first = self._count(view), self.along(view)[-1].low
        key = ("present", count, first)
        if count and key not in loads:
            if isinstance(at, int):
                column, first = "zeroinitializer", first - at
            elif ("column",) not in loads:
                column = loads["column",] = v.splat(self.f.op(f"trunc i64 {at} to i32"), INT32)
            else:
                column = loads["column",]
            lanes = f"<{', '.join(f'i32 {i - first}' for i in range(v.count))}>"
            loads[key] = v.compare("ult", v.binary("add", column, lanes, INT32), count, INT32)
        return loads[key] if count else ""

    def _row_equations(self, phase: int) -> None:
        v = Lanes(self.f, 1)
        for e in self.nest.eqns:
            out = e.outvars[0]
            if self.phase[out] != phase or self.nest.level[out] not in ("row", "to_row"):
                continue
            if self.nest.level[out] == "row":
                dtypes = operand_dtypes(e)
                assert dtypes is not None
                self.row_values[out] = apply(v, e, *self._row_operands(v, e, dtypes), dtypes)
            if out in self.stored:
                dtype = out.aval.dtype
                v.store(self.row_values[out], self._base(self.pointer[out], self._result(out), dtype.itemsize), dtype)

    def _row_operands(self, v: Lanes, e: Eqn, dtypes: list[np.dtype]) -> tuple[list[str], list[np.dtype]]:
        values, from_ = [], []
        for x, d in zip(e.invars, dtypes):
            s = self.reads.source(x)
            if type(s) is Literal:
                values.append(v.const(s.val, d))
                from_.append(d)
                continue
            from_.append(register_dtype(s))
            if s in self.row_values:
                values.append(self.row_values[s])
                continue
            view = self.nest.padded_row(x)
            assert view is not None
            if not any(self.strides(view)[0]):
                values.append(self.fixed[s, view.offset, True])
                continue
            key = ("row value", s, view)
            if key not in self.row:
                self.row[key] = v.load(self._base(self.pointer[s], view, from_[-1].itemsize), from_[-1])
            values.append(self.row[key])
        return values, from_

    # ------------------------------------------------------------------ inner loops

    def _inner_loop(self, phase: int) -> None:
        levels = self.nest.level
        here = [e for e in self.nest.eqns if levels[e.outvars[0]] != "row" and self.phase[e.outvars[0]] == phase]
        if not here:
            return
        for e in here:
            self._prepare(e)
        sums = [e for e in here if levels[e.outvars[0]] in ("to_row", "to_all")]
        keeps = [
            v for e in here if levels[v := e.outvars[0]] == "full" and self._needed_later(v) and not self._is_cheap(v)
        ]
        for v in keeps:
            if v not in self.scratch_of and v not in self.stored:
                self.scratch_of[v] = self.f.allocate(
                    self.columns * (1 if v.aval.dtype == BOOL else v.aval.dtype.itemsize)
                )
        body = lambda v, at, totals: self._body(v, at, here, totals)  # noqa: E731
        results = self._loops(sums, body)
        for e, x in zip(sums, results):
            out = e.outvars[0]
            if levels[out] == "to_row":
                self.row_values[out] = x
            else:
                v, pointer, dtype = Lanes(self.f, 1), self.pointer[out], out.aval.dtype
                v.store(COMBINE[e.prim.name](v, v.load(pointer, dtype), x, dtype), pointer, dtype)

    def _prepare(self, e: Eqn) -> None:
        """Spread over the lanes what stays the same along the row, before its loop begins."""
        v = Lanes(self.f, self.width)
        for x, view in self._accesses(e):
            s = self.reads.source(x)
            outer, inner = self.strides(view)
            if s in self.row_values:
                if ("splat", s) not in self.row:
                    self.row["splat", s] = v.splat(self.row_values[s], s.aval.dtype)
            elif s in self.own:
                if self.nest.level[s] == "full" and self.phase[s] < self.phase[e.outvars[0]] and self._is_cheap(s):
                    self._prepare(self.own[s])
            elif not inner and any(outer):
                key = ("splat", s, view)
                if key not in self.row:
                    dtype = register_dtype(s)
                    place = self._base(self.pointer[s], view, dtype.itemsize)
                    if inside := self._inside(view):
                        other = self.f.address(self.pointer[s], view.range[0], dtype.itemsize)
                        place = self.f.op(f"select i1 {inside}, ptr {place}, ptr {other}")
                    self.row[key] = v.splat(Lanes(self.f, 1).load(place, dtype), dtype)
                self._count(view)
            elif s not in self.own:
                self._count(view)
                if inner:
                    self._base(self.pointer[s], view, register_dtype(s).itemsize)
        out = e.outvars[0]
        if out in self.stored and self.nest.level[out] in ("full", "to_column"):
            self._base(self.pointer[out], self._result(out), out.aval.dtype.itemsize)

    def _result(self, v: Var) -> View:
        """A result in the domain's axes."""
        level = self.nest.level[v]
        if level == "full":
            return whole(self.domain)
        if level in _TOTALS:
            return whole(self.nest.without(self.own[v].params["axes"]))
        view = self.nest.padded_row(v)
        assert view is not None
        return view

    def _loops(self, sums: list[Eqn], body: Callable) -> list[str]:
        """The inner loop over all columns, or this part's if they are cut; returns the results of its reductions."""
        f, w, n = self.f, self.width, self.columns
        cut = not self.outer and self.chunk < n
        if cut and not sums:
            vectors(f, w, lambda v, at: body(v, at, []))
            return []
        # long bodies hide the latency of their sums by themselves
        heavy = any([e.prim.name in HEAVY for e in self.nest.eqns])
        unroll = _UNROLL if sums and n >= _UNROLL * w and not heavy else 1
        step = unroll * w
        v = Lanes(f, w)
        dtypes = [e.outvars[0].aval.dtype for e in sums]
        types = [v.type(d) for d in dtypes] * unroll
        start = [v.const(_identity(e.prim.name, d), d) for e, d in zip(sums, dtypes)] * unroll

        def join(a: list[str], b: list[str]) -> list[str]:
            k = len(sums)
            return [COMBINE[sums[i % k].prim.name](v, x, y, dtypes[i % k]) for i, (x, y) in enumerate(zip(a, b))]

        def rounds(low: str | int, high: str | int, first: list[str]) -> list[str]:
            with f.loop(low, high, step, list(zip(types, first))) as loop:
                parts: list[str] = []
                for u in range(unroll):
                    k = len(sums)
                    parts += body(v, f.add(loop.index, u * w), loop.values[u * k : (u + 1) * k])
                loop.next = parts
            return loop.results

        def across(totals: list[str]) -> list[str]:
            vectors = [totals[i : i + len(sums)] for i in range(0, len(totals), len(sums) or 1)]
            while len(vectors) > 1:
                vectors = [join(a, b) for a, b in zip(vectors[::2], vectors[1::2])]
            return [self._across(e, x) for e, x in zip(sums, vectors[0] if vectors else ())]

        block = _BLOCK * step
        if cut:
            places = [f.allocate(d.itemsize * w) for d in dtypes * unroll]

            def keep(values: list[str]) -> None:
                for x, place, d in zip(values, places, dtypes * unroll):
                    v.store(x, place, d)

            keep(start)
            full = last_step(f, "%low", "%high", step)
            with f.when(f.op(f"icmp slt i64 %low, {full}")):
                with f.loop("%low", full, block, list(zip(types, start))) as outer:
                    end = f.smaller(f.add(outer.index, block), full)
                    outer.next = join(outer.values, rounds(outer.index, end, start))
                keep(outer.results)
            with f.when(f.op(f"icmp slt i64 {full}, %high")), f.loop(full, "%high", w) as loop:
                totals = [v.load(place, d) for place, d in zip(places, dtypes)]
                keep(body(up_to(f, w, loop.index, "%high"), loop.index, totals))
            return across([v.load(place, d) for place, d in zip(places, dtypes * unroll)])

        done, totals = 0, start
        main = n // step
        if sums and main > 2 * _BLOCK:
            done = main // _BLOCK * block
            with f.loop(0, done, block, list(zip(types, start))) as outer:
                end = f.add(outer.index, block)
                outer.next = join(outer.values, rounds(outer.index, end, start))
            totals = outer.results
        if n - done >= step:
            end = main * step
            totals = rounds(done, end, totals) if end - done > step or unroll > 1 else body(v, done, totals)
            done = end
        first = totals[: len(sums)]
        if n - done >= w:
            end = n // w * w
            step, unroll, types = w, 1, types[: len(sums)]
            first = rounds(done, end, first) if end - done > w else body(v, done, first)
            done = end
        if n - done:
            first = body(self._masked(n - done), done, first)
        return across([*first, *totals[len(sums) :]])

    def _across(self, e: Eqn, x: str) -> str:
        """The lanes of a vector combined, halves first."""
        dtype, v = e.outvars[0].aval.dtype, Lanes(self.f, self.width)
        while v.count > 1:
            lower, upper = v.halves(x, dtype)
            v = v.of(v.count // 2)
            x = COMBINE[e.prim.name](v, lower, upper, dtype)
        return x

    def _body(self, v: Lanes, at: str | int, here: list[Eqn], totals: list[str]) -> list[str]:
        """One vector: compute, then store, then add to the running reductions, whose new values are returned."""
        made: dict[Var, str] = {}
        loads: dict[tuple, str] = {}
        stores: list[tuple[str, str, np.dtype]] = []
        totals, results = list(totals), []
        for e in here:
            out, level = e.outvars[0], self.nest.level[e.outvars[0]]
            dtype = out.aval.dtype
            if level == "full":
                made[out] = self._full(v, e, at, made, loads)
                for pointer in (
                    [self.pointer[out]]
                    if out in self.stored
                    else [self.scratch_of[out]]
                    if out in self.scratch_of
                    else []
                ):
                    base = pointer if out not in self.stored else self._base(pointer, self._result(out), dtype.itemsize)
                    stores.append((made[out], self.f.address(base, at, dtype.itemsize), dtype))
                continue
            x, from_ = self._operand(v, e.invars[0], e, at, made, loads)
            x = convert(v, x, from_, dtype)
            combine = COMBINE[e.prim.name]
            if level != "to_column":
                total = totals[len(results)]
                if v.mask is not None:
                    x = v.select(v.mask, x, v.const(_identity(e.prim.name, dtype), dtype), dtype)
                results.append(combine(v, total, x, dtype))
            else:
                view = self._result(out)
                base = self._base(self.pointer[out], view, dtype.itemsize)
                place = self.f.address(base, at if self.strides(view)[1] else 0, dtype.itemsize)
                stores.append((combine(v, v.load(place, dtype), x, dtype), place, dtype))
        for x, place, dtype in stores:
            v.store(x, place, dtype)
        return results

    def _full(self, v: Lanes, e: Eqn, at: str | int, made: dict, loads: dict) -> str:
        dtypes = operand_dtypes(e)
        assert dtypes is not None
        values, from_ = [], []
        for x, d in zip(e.invars, dtypes):
            if type(x) is Literal:
                values.append(v.const(x.val, d))
                from_.append(d)
            else:
                value, have = self._operand(v, x, e, at, made, loads)
                values.append(value)
                from_.append(have)
        return apply(v, e, values, from_, dtypes)

    def _operand(self, v: Lanes, x: Atom, e: Eqn, at: str | int, made: dict, loads: dict) -> tuple[str, np.dtype]:
        """The value of an operand in the lanes at column `at`."""
        s = self.reads.source(x)
        dtype = s.aval.dtype if type(s) is Literal else register_dtype(s)
        if s in made:
            return made[s], dtype
        if s in self.own:
            if self.nest.level[s] != "full":
                return self.row["splat", s], dtype
            if s in self.scratch_of:
                made[s] = v.load(self.f.address(self.scratch_of[s], at, dtype.itemsize), dtype)
            elif s in self.stored:
                base = self._base(self.pointer[s], self._result(s), dtype.itemsize)
                made[s] = v.load(self.f.address(base, at, dtype.itemsize), dtype)
            else:
                made[s] = self._full(v, self.own[s], at, made, loads)
            return made[s], dtype
        view = self.nest.padded(x)
        outer, inner = self.strides(view)
        key = (s, view)
        if key in loads:
            return loads[key], dtype
        present = self._present(v, view, at, loads)
        if inner:
            base = self._base(self.pointer[s], view, dtype.itemsize)
            place = self.f.address(base, self.f.mul(at, inner), dtype.itemsize)
            mask = v.binary("and", v.mask, present, BOOL) if v.mask and present else v.mask or present
            loads[key] = spaced(
                Lanes(self.f, v.count, mask or None), place, inner, view.spare(inner, s.aval.size), dtype
            )
            return loads[key], dtype
        if type(s) is Literal:
            value = v.const(s.val, dtype)
        else:
            value = self.row["splat", s, view] if any(outer) else self.fixed[s, view.offset, False]
        if present:
            is_true = value == v.const(True, BOOL)
            value = present if is_true else v.select(present, value, v.const(0, dtype), dtype)
        loads[key] = value
        return loads[key], dtype
