"""Index arrays as stages: gather, its transpose, and scatter. May import core, primitives.scatter_kernels, movement, operations, stage, text, tiles.

Where an index is out of range and that is an error, the stage counts it in `errors` and goes on in bounds. Scatters are cut along the
leading axis of their result: every part goes through all indices and combines what falls into its rows, in the order of the updates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fnets.backends.llvm.code.operations import maximum, minimum
from fnets.backends.llvm.code.text import BOOL, INT64, Function, Lanes, is_supported
from fnets.backends.llvm.code.tiles import Columns, Offset, columns_by
from fnets.backends.llvm.kernels.movement import copy_row, steps_of
from fnets.backends.llvm.kernels.stage import Stage
from fnets.core.avals import ShapedArray
from fnets.core.ir import Atom, Eqn, Literal, Var
from fnets.primitives.scatter_kernels import placement

_TILE = 8  # vectors of a row that are combined together


class _Loop(NamedTuple):
    """n indices; elements from one to the next in the indexed array, in what is selected, and in each index array; `leads`: the stage's extent."""

    n: int
    table: int
    picked: int
    indices: tuple[int, ...]
    leads: bool = False


class _Indexed(Stage):
    """What gather and scatter share: `table[indices at axes]` is `picked`, row by row."""

    def __init__(
        self, e: Eqn, table: Var, picked: Var, indices: Sequence[Atom], axes: Sequence[int], vector_bytes: int
    ):
        self.eqns = [e]
        self.loaded = list(dict.fromkeys([v for v in e.invars if type(v) is Var]))
        self.stored = list(e.outvars)
        self.table, self.picked, self.indices = table, picked, indices
        self.bytes = vector_bytes
        shape = table.aval.shape
        self.sizes = [shape[a] for a in axes]
        steps = steps_of(shape)
        self.steps = [steps[a] for a in axes]
        index_shape = np.broadcast_shapes(*[v.aval.shape for v in indices])
        pos, none = placement(axes), (0,) * len(indices)
        rest = [_Loop(shape[d], steps[d], 0, none) for d in range(axes[-1]) if d not in axes]
        of_index = [steps_of(v.aval.shape) for v in indices]
        shapes = [(1,) * (len(index_shape) - v.aval.ndim) + v.aval.shape for v in indices]
        of_index = [[0] * (len(index_shape) - len(s)) + s for s in of_index]
        own = [
            _Loop(n, 0, 0, tuple([s[k] if t[k] == n else 0 for s, t in zip(of_index, shapes)]))
            for k, n in enumerate(index_shape)
        ]
        self.width = prod(shape[axes[-1] + 1 :])  # of a row that is contiguous in both
        loops = [*rest[:pos], *own, *rest[pos:]]
        flat = steps_of([*[a.n for a in loops], self.width])
        loops = [a._replace(picked=step) for a, step in zip(loops, flat)]
        groups = loops[:pos], loops[pos : pos + len(own)], loops[pos + len(own) :]
        self.before, self.positions, self.after = [[a for a in g if a.n > 1] for g in groups]
        self.count = prod(index_shape)

    def lead(self, is_lead: Callable[[_Loop], bool]) -> bool:
        """Mark the loop over the stage's extent, then take others together; False if there is none."""
        found = False
        for name in ("before", "positions", "after"):
            out: list[_Loop] = []
            for a in getattr(self, name):
                leads = not found and is_lead(a)
                found = found or leads
                b = out[-1] if out and not out[-1].leads and not leads else None
                steps = None if b is None else (b.table, b.picked, *b.indices)
                if b is not None and steps == (a.n * a.table, a.n * a.picked, *[a.n * s for s in a.indices]):
                    out[-1] = a._replace(n=a.n * b.n)
                else:
                    out.append(a._replace(leads=leads))
            setattr(self, name, out)
        return found

    def check(self, counts: bool) -> None:
        """Have indices that are out of range counted."""
        if counts:
            self.errors = Var(ShapedArray((1,), INT64))
            self.stored.append(self.errors)
            self.accumulated = frozenset([self.errors])

    # ------------------------------------------------------------------ writing

    def nest(
        self, loops: Sequence[_Loop], at: list[Offset], wrong: str, body: Callable[[list[Offset], str], str]
    ) -> str:
        """Loops around `body(where, wrong)`: offsets in table, picked and indices, and how many indices have been wrong."""
        if not loops:
            return body(at, wrong)
        f, a = self.f, loops[0]
        low, high = ("%low", "%high") if a.leads else (0, a.n)
        with f.loop(low, high, 1, [("i64", wrong)]) as loop:
            moved = [f.add(o, f.mul(loop.index, s)) for o, s in zip(at, (a.table, a.picked, *a.indices))]
            loop.next = [self.nest(loops[1:], moved, loop.values[0], body)]
        return loop.results[0]

    def everywhere(self, body: Callable[[list[Offset], str], str]) -> None:
        """Run `body` at every index, and keep the number of wrong ones."""
        one = Lanes(self.f, 1)
        start: list[Offset] = [0] * (2 + len(self.indices))
        wrong = self.nest(self.before, start, "0", lambda at, w: self.nest(self.positions, at, w, body))
        if self.errors is not None:
            place = self.pointer[self.errors]
            one.store(one.binary("add", one.load(place, INT64), wrong, INT64), place, INT64)

    def resolve(self, at: list[Offset], from_end: bool) -> tuple[list[str], str]:
        """The indices here, counted from the start, and whether all are in range."""
        f, one = self.f, Lanes(self.f, 1)
        out, valid = [], ""
        for v, n, offset in zip(self.indices, self.sizes, at[2:]):
            if type(v) is Literal:
                i = str(int(v.val) + n if v.val < 0 and from_end else int(v.val))
            else:
                dtype = v.aval.dtype
                i = one.load(f.address(self.pointer[v], offset, dtype.itemsize), dtype)  # type: ignore[index]
                if dtype.itemsize < 8:
                    i = one.cast("sext" if dtype.kind == "i" else "zext", i, dtype, INT64)
                if dtype.kind == "i" and from_end:
                    i = one.select(one.compare("slt", i, "0", INT64), str(f.add(i, n)), i, INT64)
            inside = one.compare("ult", i, str(n), INT64)
            valid = inside if not valid else one.binary("and", valid, inside, BOOL)
            out.append(i)
        return out, valid

    def counted(self, wrong: str, valid: str) -> str:
        one = Lanes(self.f, 1)
        return one.select(valid, wrong, str(self.f.add(wrong, 1)), INT64) if self.errors is not None else wrong

    def place(self, v: Var, offset: Offset) -> str:
        return self.f.address(self.pointer[v], offset, v.aval.dtype.itemsize)

    def offset(self, at: list[Offset], indices: Sequence[str]) -> list[Offset]:
        """Where we are, with the indices counted in."""
        f, table = self.f, at[0]
        for i, step in zip(indices, self.steps):
            table = f.add(table, f.mul(i, step))
        return [table, *at[1:]]


class Gather(_Indexed):
    """The elements at the indices."""

    def __init__(self, e: Eqn, vector_bytes: int):
        x, *indices = e.invars
        result = e.outvars[0]
        super().__init__(e, x, result, indices, e.params["axes"], vector_bytes)  # type: ignore[arg-type]
        self.check(True)
        shape = result.aval.shape
        step = prod(shape[1:])
        if self.lead(lambda a: bool(shape) and a.n == shape[0] and a.picked == step):
            self.extent = shape[0]
            self.aligned = frozenset([result, *[v for v in self.loaded if self._in_step(v)]])

    @property
    def nanoseconds(self) -> float:
        return 0.1 * self.picked.aval.nbytes + self._reads() * (1 + len(self.indices))

    def _in_step(self, v: Var) -> bool:
        """True if a row of the result needs no more than the same row of an operand."""
        steps = [a for a in (*self.before, *self.positions) if a.leads]
        if not v.aval.ndim or v.aval.shape[0] != self.extent or not steps:
            return False
        uses = [(i is v, s) for i, s in zip((self.table, *self.indices), (steps[0].table, *steps[0].indices))]
        return all([s == v.aval.size // self.extent for used, s in uses if used])

    def _reads(self) -> int:
        return prod([a.n for a in (*self.before, *self.positions)])

    def write(self, name: str) -> Function:
        self.f = f = self.begin(name)
        nbytes = self.width * self.picked.aval.dtype.itemsize
        one = Lanes(f, 1)

        def row(at: list[Offset], wrong: str) -> str:
            copy_row(f, self.place(self.table, at[0]), self.place(self.picked, at[1]), nbytes, self.bytes)
            return wrong

        def body(at: list[Offset], wrong: str) -> str:
            indices, valid = self.resolve(at, True)
            inside = [one.intrinsic("umin", INT64, i, str(n - 1)) for i, n in zip(indices, self.sizes)]
            return self.nest(self.after, self.offset(at, inside), self.counted(wrong, valid), row)

        self.everywhere(body)
        f.do("ret void")
        return f


class Scatter(_Indexed):
    """Updates set, or combined by `op`, at the indices of `base`, or of zeros without one."""

    def __init__(
        self, e: Eqn, base: Var | None, updates: Var, indices: Sequence[Atom], op: str, drop: bool, vector_bytes: int
    ):
        result = e.outvars[0]
        super().__init__(e, result, updates, indices, e.params["axes"], vector_bytes)
        self.base, self.operation, self.drop = base, op, drop
        self.check(not drop)
        axes, shape = e.params["axes"], result.aval.shape
        self.row = prod(shape[1:])
        self.filters = axes[0] == 0
        self.lead(lambda a: not self.filters and a.table == self.row and a.n == shape[0])
        if shape[0] > 1:
            self.extent = shape[0]
            self.aligned = frozenset([result] if base is None else [result, base])
        if not self.filters and not any([a.leads for a in (*self.before, *self.after)]):
            self.extent, self.aligned = 1, frozenset()
        if self.filters:  # every part reads all indices: that must stay little
            self.blocking = -(-self.extent // max(1, int(self.nanoseconds / (4 * self._scan))))

    @property
    def _scan(self) -> int:
        """Estimated nanoseconds to read all indices."""
        return self.count * (1 + len(self.indices))

    @property
    def nanoseconds(self) -> float:
        return 0.04 * self.table.aval.nbytes + 0.15 * self.picked.aval.nbytes + self._scan

    def replaceable(self, result: Var) -> list[Var]:
        return [self.base] if self.base is not None and self.eqns[0].invars.count(self.base) == 1 else []

    def write(self, name: str) -> Function:
        self.f = f = self.begin(name, alias=self.base is not None)
        size = self.table.aval.dtype.itemsize
        rows = self.table.aval.size // self.extent
        low = f.mul("%low", rows)
        nbytes = f.mul(f.op("sub i64 %high, %low"), rows * size)
        to = self.place(self.table, low)
        if self.base is None:
            f.call("void", "llvm.memset.p0.i64", ("ptr", to), ("i8", "0"), ("i64", str(nbytes)), ("i1", "false"))
        else:
            with f.when(f.op(f"icmp ne ptr {self.pointer[self.base]}, {self.pointer[self.table]}")):
                copy_row(f, self.place(self.base, low), to, nbytes, self.bytes)

        def row(at: list[Offset], wrong: str) -> str:
            width = self.bytes // size
            for start, columns in columns_by(f, self.width, width, _TILE):
                self._combine(at, start, columns)
            return wrong

        def body(at: list[Offset], wrong: str) -> str:
            indices, valid = self.resolve(at, not self.drop)
            wrong = self.counted(wrong, valid)
            here, one = valid, Lanes(f, 1)
            if self.filters and self.extent > 1:
                for condition, bound in (("sge", "%low"), ("slt", "%high")):
                    here = one.binary("and", here, one.compare(condition, indices[0], bound, INT64), BOOL)
            with f.when(here):
                self.nest(self.after, self.offset(at, indices), "0", row)
            return wrong

        self.everywhere(body)
        f.do("ret void")
        return f

    def _combine(self, at: list[Offset], start: Offset, columns: Sequence[Columns]) -> None:
        f, dtype = self.f, self.table.aval.dtype
        for c in columns:
            k = f.add(start, c.offset)
            place = self.place(self.table, f.add(at[0], k))
            x = c.lanes.load(self.place(self.picked, f.add(at[1], k)), dtype)
            if self.operation != "set":
                x = _OPERATIONS[self.operation](c.lanes, c.lanes.load(place, dtype), x, dtype)
            c.lanes.store(x, place, dtype)


_OPERATIONS: dict[str, Callable[[Lanes, str, str, np.dtype], str]] = {
    "add": lambda v, a, b, d: v.binary("fadd" if d.kind == "f" else "add", a, b, d),
    "mul": lambda v, a, b, d: v.binary("fmul" if d.kind == "f" else "mul", a, b, d),
    "max": maximum,
    "min": minimum,
}


def lower(e: Eqn, vector_bytes: int) -> list[Stage] | None:
    """The stage of an equation, or None: nothing to do, unusual dtypes."""
    arrays = 2 if e.prim.name == "scatter" else 1
    indices = e.invars[arrays:]
    result = e.outvars[0].aval
    variables = [v for v in e.invars if type(v) is Var]
    if any([type(v) is Literal for v in e.invars[:arrays]]) or any([v.aval.weak_type for v in variables]):
        return None
    if result.size == 0 or any([v.aval.size == 0 for v in e.invars]):
        return None
    if not all([is_supported(v.aval.dtype) and v.aval.dtype != BOOL for v in indices]):
        return None
    if e.prim.name == "gather":
        return [Gather(e, vector_bytes)] if result.dtype.itemsize in (1, 2, 4, 8) else None
    if not is_supported(result.dtype) or result.dtype == BOOL:
        return None
    p = e.params
    if e.prim.name == "scatter":
        base, updates = e.invars[:2]
        return [Scatter(e, base, updates, indices, p["op"], p["drop"], vector_bytes)]  # type: ignore[arg-type]
    op = "set" if p["unique"] else "add"
    return [Scatter(e, None, e.invars[0], indices, op, False, vector_bytes)]  # type: ignore[arg-type]


LOWER: dict[str, Any] = dict.fromkeys(("gather", "gather_transpose", "scatter"), lower)
