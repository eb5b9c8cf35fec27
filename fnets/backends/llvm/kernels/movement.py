"""Copies as stages: transpose, slices, reversal, broadcasting, padding, joining, updates of a part. May import core, primitives.index_specs, stage, text, tiles.

Everything is a list of strided copies: element i of an operand's view goes to element i of the result's. NumPy itself works out the views of
static indices. Axes that can be taken as one are; then a copy is of contiguous rows, or a transposition of tiles in registers, or goes
element by element. The last tile of a row overlaps the one before instead of being a smaller one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fnets.backends.llvm.code.text import INT64, Function, Lanes, constant, is_supported
from fnets.backends.llvm.code.tiles import Offset, columns_by, transposed
from fnets.backends.llvm.kernels.stage import Stage
from fnets.core.ir import Atom, Eqn, Literal, Var
from fnets.primitives.index_specs import as_index

_MOST_VECTORS = 8  # a longer row is the C library's to copy
_BYTE = np.dtype(np.uint8)


class _Axis(NamedTuple):
    """n indices, the elements from one to the next in the operand and in the result; `rows` of them are a row of the stage's extent (0: no rows)."""

    n: int
    source: int
    target: int
    rows: int = 0


class _Start(NamedTuple):
    """Where a window begins along an axis of length n: `at`, moved so that `size` elements are inside; elements from index to index."""

    at: Atom
    n: int
    size: int
    step: int


class Piece(NamedTuple):
    """A strided copy: shape, steps, and first elements; `starts` move the first element of the operand, or of the result."""

    operand: Var
    shape: Sequence[int]
    source: Sequence[int]
    target: Sequence[int]
    source_first: int = 0
    target_first: int = 0
    starts: Sequence[_Start] = ()
    moves_target: bool = False
    adds: bool = False


def steps_of(shape: Sequence[int]) -> list[int]:
    """Elements from one index to the next, in C order.

    >>> steps_of((2, 3, 4))
    [12, 4, 1]
    """
    return [prod(shape[k + 1 :]) for k in range(len(shape))]


def view_of(shape: Sequence[int], view: Callable[[np.ndarray], np.ndarray]) -> tuple[tuple[int, ...], list[int], int]:
    """Shape, steps and first element of what `view` makes of an array."""
    x = np.empty(shape, _BYTE)
    y = view(x)
    return y.shape, list(y.strides), y.__array_interface__["data"][0] - x.__array_interface__["data"][0]


class Movement(Stage):
    """A result made of strided copies of operands; `fill` is what stays where no copy goes, `base` an operand that is copied whole."""

    def __init__(
        self, e: Eqn, pieces: Sequence[Piece], vector_bytes: int, fill: Atom | None = None, base: Var | None = None
    ):
        self.eqns = [e]
        self.result = e.outvars[0]
        self.stored = [self.result]
        self.loaded = list(dict.fromkeys([v for v in e.invars if type(v) is Var]))
        self.fill, self.base = fill, base
        self.bytes = vector_bytes
        self.size = self.result.aval.dtype.itemsize
        self.element = np.dtype(f"u{self.size}")
        shape = self.result.aval.shape
        lead = next((k for k, n in enumerate(shape) if n > 1), 0)
        self.extent = shape[lead] if shape else 1
        self.row = prod(shape[lead + 1 :])
        self.copies = [(p, self._axes(p)) for p in pieces]
        # a part is the copies to its rows, if rows follow each other
        self.cut = self.extent > 1 and all([a.target < self.row or a.rows for _, axes in self.copies for a in axes])
        if self.cut:
            least = max([self._least_rows(axes) for _, axes in self.copies], default=1)
            self.blocking = next((k for k in range(least, self.extent) if self.extent % k == 0), self.extent)
            self.cut = self.blocking < self.extent
        if not self.cut:
            self.blocking = self.extent
        if lead == 0 and self.cut:
            self.aligned = frozenset([self.result, *[p.operand for p in pieces if self._in_step(p)]])

    @property
    def nanoseconds(self) -> float:
        costs = [prod(p.shape) * (2 if self._tile(axes) else 1) for p, axes in self.copies]
        return 0.04 * self.size * (sum(costs) + (0 if self.fill is None else self.row * self.extent))

    def replaceable(self, result: Var) -> list[Var]:
        return [self.base] if self.base is not None and self.eqns[0].invars.count(self.base) == 1 else []

    # ------------------------------------------------------------------ axes

    def _axes(self, p: Piece) -> list[_Axis]:
        """The axes of a copy, outermost in the result first, as few as possible."""
        axes = [_Axis(n, s, t, int(t == self.row)) for n, s, t in zip(p.shape, p.source, p.target) if n > 1]
        if not any([a.target >= self.row for a in axes]):
            axes.append(_Axis(1, 0, self.row, 1))
        out: list[_Axis] = []
        for a in sorted(axes, key=lambda a: -a.target):
            if out and out[-1].source == a.n * a.source and out[-1].target == a.n * a.target:
                b = out.pop()
                a = a._replace(n=a.n * b.n, rows=a.n * b.rows)
            out.append(a)
        return out

    def _in_step(self, p: Piece) -> bool:
        """True if rows of the result come from the same rows of the operand."""
        x = p.operand.aval
        if not x.ndim or x.shape[0] != self.extent or p.starts or p.target_first >= self.row:
            return False
        row = x.size // self.extent
        inside = [(n - 1) * s for n, s, t in zip(p.shape, p.source, p.target) if t < self.row]
        first, last = [p.source_first + sum([f(0, i) for i in inside]) for f in (min, max)]
        own = [(n, s) for n, s, t in zip(p.shape, p.source, p.target) if t >= self.row]
        return own == [(self.extent, row)] and first >= 0 and last < row

    def _tile(self, axes: Sequence[_Axis]) -> tuple[_Axis, _Axis, int] | None:
        """The axis along which elements are next to each other in the result, that of the operand, and the side of a tile; None without tiles."""
        a = next((x for x in axes if x.target == 1 and x.source != 1), None)
        b = next((x for x in axes if x.source == 1 and x.target != 1), None)
        if a is None or b is None:
            return None
        if self.size >= 4:  # what is smaller than a tile is a masked one
            return a, b, min(self.bytes // self.size, 1 << (max(a.n, b.n) - 1).bit_length())
        side = min(16, 1 << (min(a.n, b.n).bit_length() - 1))
        return (a, b, side) if side >= 4 else None

    def _least_rows(self, axes: Sequence[_Axis]) -> int:
        """How many rows a part must have: a tile, if tiles run along them."""
        tile = self._tile(axes)
        if tile is None or not tile[1].rows:
            return 1
        _, b, side = tile
        return -(-min(side, b.n) // b.rows)

    # ------------------------------------------------------------------ writing

    def write(self, name: str) -> Function:
        self.f = f = self.begin(name, alias=self.base is not None)
        if self.fill is not None:
            self._fill()
        for p, axes in self.copies:
            self._piece(p, axes)
        f.do("ret void")
        return f

    def _fill(self) -> None:
        """Write the filling everywhere in this part."""
        f, v = self.f, self.fill
        low, high = (f.mul("%low", self.row), f.mul("%high", self.row)) if self.cut else (0, self.row * self.extent)
        if type(v) is Literal:
            bits = int(np.asarray(v.val, self.result.aval.dtype).reshape(1).view(self.element)[0])
            x = constant(bits, self.element)
        else:
            x = Lanes(f, 1).load(self.pointer[v], self.element)  # type: ignore[index]
        self._repeat(x, self.pointer[self.result], low, high)

    def _repeat(self, x: str, pointer: str, low: Offset, high: Offset) -> None:
        """One element at all places from `low` to `high`."""
        f = self.f
        lanes = Lanes(f, self.bytes // self.size)
        count = f.op(f"sub i64 {high}, {low}")
        end = f.add(low, f.op(f"and i64 {count}, {-lanes.count}"))
        v = lanes.splat(x, self.element)
        with f.when(f.op(f"icmp slt i64 {low}, {end}")), f.loop(low, end, lanes.count) as loop:
            lanes.store(v, f.address(pointer, loop.index, self.size), self.element)
        with f.when(f.op(f"icmp slt i64 {end}, {high}")), f.loop(end, high, 1) as loop:
            Lanes(f, 1).store(x, f.address(pointer, loop.index, self.size), self.element)

    def _piece(self, p: Piece, axes: list[_Axis]) -> None:
        f = self.f
        source: Offset = p.source_first
        first: Offset = 0  # the row of the result to which the first one goes
        target: Offset = p.target_first
        if self.cut:
            first, target = divmod(p.target_first, self.row)
        for s in p.starts:
            start = self._start(s)
            if not p.moves_target:
                source = f.add(source, f.mul(start, s.step))
            elif self.cut and s.step == self.row:
                first = f.add(first, start)
            else:
                target = f.add(target, f.mul(start, s.step))
        low, high, conditions = self._rows(axes, first)
        self.bounds = {a: (f.mul(low, a.rows), f.mul(high, a.rows)) if a.rows else (0, a.n) for a in axes}
        target = f.add(target, f.mul(first, self.row))
        if p.operand is self.base:
            conditions.append(f.op(f"icmp ne ptr {self.pointer[p.operand]}, {self.pointer[self.result]}"))
        if not conditions:
            self._copy(p, axes, source, target)
            return
        all_of = conditions[0]
        for c in conditions[1:]:
            all_of = f.op(f"and i1 {all_of}, {c}")
        with f.when(all_of):
            self._copy(p, axes, source, target)

    def _rows(self, axes: Sequence[_Axis], first: Offset) -> tuple[Offset, Offset, list[str]]:
        """Of a copy whose rows go to those from `first` on: the ones in this part, and the condition that there are any."""
        f, one = self.f, Lanes(self.f, 1)
        count = next((a.n // a.rows for a in axes if a.rows), 1)
        if not self.cut:
            return 0, count, []
        if first == 0 and count == self.extent:
            return "%low", "%high", []
        low = one.intrinsic("smax", INT64, f.op(f"sub i64 %low, {first}"), "0")
        high = one.intrinsic("smin", INT64, f.op(f"sub i64 %high, {first}"), str(count))
        return low, high, [f.op(f"icmp slt i64 {low}, {high}")]

    def _start(self, s: _Start) -> Offset:
        """Where a window begins: negative from the end, then moved inside."""
        f, one, most = self.f, Lanes(self.f, 1), s.n - s.size
        if type(s.at) is Literal:
            i = int(s.at.val)
            return min(max(i + s.n if i < 0 else i, 0), most)
        dtype = s.at.aval.dtype
        x = one.load(self.pointer[s.at], dtype)  # type: ignore[index]
        if dtype.itemsize < 8:
            x = one.cast("sext" if dtype.kind == "i" else "zext", x, dtype, INT64)
        if dtype.kind == "i":
            x = one.select(one.compare("slt", x, "0", INT64), str(f.add(x, s.n)), x, INT64)
            x = one.intrinsic("smax", INT64, x, "0")
            return one.intrinsic("smin", INT64, x, str(most))
        return one.intrinsic("umin", INT64, x, str(most))

    def _copy(self, p: Piece, axes: list[_Axis], source: Offset, target: Offset) -> None:
        tile, last = self._tile(axes), axes[-1]
        if p.adds:
            self._nest(axes, source, target, lambda s, t: self._element(p, s, t))
        elif tile is not None:
            others = [x for x in axes if x not in tile]
            self._nest(others, source, target, lambda s, t: self._transpose(p, *tile, s, t))
        elif last.target == 1 and last.source == 1:
            self._nest(axes[:-1], source, target, lambda s, t: self._row(p, last, s, t))
        elif last.target == 1 and last.source == 0:
            self._nest(axes[:-1], source, target, lambda s, t: self._repeated(p, last, s, t))
        elif last.target == 1 and last.source == -1 and not (last.rows and self.cut):
            self._nest(axes[:-1], source, target, lambda s, t: self._reversed(p, last, s, t))
        else:
            self._nest(axes, source, target, lambda s, t: self._element(p, s, t))

    def _nest(
        self, axes: Sequence[_Axis], source: Offset, target: Offset, body: Callable[[Offset, Offset], None]
    ) -> None:
        if not axes:
            body(source, target)
            return
        f, a = self.f, axes[0]
        if self.bounds[a] == (0, 1):
            self._nest(axes[1:], source, target, body)
            return
        with f.loop(*self.bounds[a], 1) as loop:
            s, t = f.add(source, f.mul(loop.index, a.source)), f.add(target, f.mul(loop.index, a.target))
            self._nest(axes[1:], s, t, body)

    def _from(self, p: Piece, offset: Offset) -> str:
        return self.f.address(self.pointer[p.operand], offset, self.size)

    def _to(self, offset: Offset) -> str:
        return self.f.address(self.pointer[self.result], offset, self.size)

    def _element(self, p: Piece, source: Offset, target: Offset) -> None:
        one = Lanes(self.f, 1)
        if not p.adds:
            one.store(one.load(self._from(p, source), self.element), self._to(target), self.element)
            return
        dtype = self.result.aval.dtype
        x, y = one.load(self._to(target), dtype), one.load(self._from(p, source), dtype)
        total = one.binary("fadd" if dtype.kind == "f" else "or" if dtype.kind == "b" else "add", x, y, dtype)
        one.store(total, self._to(target), dtype)

    def _repeated(self, p: Piece, a: _Axis, source: Offset, target: Offset) -> None:
        x = Lanes(self.f, 1).load(self._from(p, source), self.element)
        self._repeat(x, self._to(target), *self.bounds[a])

    def _row(self, p: Piece, a: _Axis, source: Offset, target: Offset) -> None:
        """A contiguous row."""
        f, (low, high) = self.f, self.bounds[a]
        from_, to = self._from(p, f.add(source, low)), self._to(f.add(target, low))
        if isinstance(low, int) and isinstance(high, int):
            nbytes: Offset = (high - low) * self.size
        else:
            nbytes = f.mul(f.op(f"sub i64 {high}, {low}"), self.size)
        copy_row(f, from_, to, nbytes, self.bytes)

    def _reversed(self, p: Piece, a: _Axis, source: Offset, target: Offset) -> None:
        """A contiguous row, the other way round."""
        f = self.f
        for start, columns in columns_by(f, a.n, self.bytes // self.size, _MOST_VECTORS):
            for c in columns:
                at = f.add(start, c.offset)
                count = min(c.lanes.count, a.n - at) if isinstance(at, int) else c.lanes.count
                from_ = f.add(source, -(count - 1 + at) if isinstance(at, int) else f.op(f"sub i64 {1 - count}, {at}"))
                x = c.lanes.load(self._from(p, from_), self.element)
                if c.lanes.count > 1:
                    picks = [count - 1 - i if i < count else -1 for i in range(c.lanes.count)]
                    x = c.lanes.shuffle(x, "poison", picks, self.element)
                c.lanes.store(x, self._to(f.add(target, at)), self.element)

    def _transpose(self, p: Piece, a: _Axis, b: _Axis, w: int, source: Offset, target: Offset) -> None:
        """A matrix whose rows go along `a` in the result and along `b` in the operand, tile by tile."""
        f = self.f

        def tile(i: Offset, j: Offset) -> None:
            rows, columns = min(w, a.n), min(w, b.n)
            from_ = self._from(p, f.add(source, f.add(f.mul(i, a.source), j)))
            to = self._to(f.add(target, f.add(f.mul(j, b.target), i)))
            reads, writes = Lanes(f, w).first(columns), Lanes(f, w).first(rows)
            values = [reads.load(f.address(from_, k * a.source, self.size), self.element) for k in range(rows)]
            values = transposed(f, self.element, values + ["poison"] * (w - rows))
            for k in range(columns):
                writes.store(values[k], f.address(to, k * b.target, self.size), self.element)

        def along(x: _Axis, body: Callable[[Offset], None]) -> None:
            low, high = self.bounds[x]
            if x.n <= w:
                body(0)
                return
            with f.loop(low, high, w) as loop:
                if x.n % w == 0 and x.rows % w == 0:
                    body(loop.index)
                else:
                    body(Lanes(f, 1).intrinsic("smin", INT64, loop.index, str(f.add(high, -w))))

        along(b, lambda j: along(a, lambda i: tile(i, j)))


def copy_row(f: Function, from_: str, to: str, nbytes: Offset, vector_bytes: int) -> None:
    """Contiguous bytes from one place to another."""
    if not isinstance(nbytes, int) or nbytes > _MOST_VECTORS * vector_bytes:
        f.call("void", "llvm.memcpy.p0.p0.i64", ("ptr", to), ("ptr", from_), ("i64", str(nbytes)), ("i1", "false"))
        return
    width = min(vector_bytes, 1 << (nbytes.bit_length() - 1))
    starts = [*range(0, nbytes - width + 1, width)]
    if nbytes % width:
        starts.append(nbytes - width)
    lanes = Lanes(f, width)
    values = [lanes.load(f.address(from_, k, 1), _BYTE) for k in starts]
    for k, x in zip(starts, values):
        lanes.store(x, f.address(to, k, 1), _BYTE)


# ------------------------------------------------------------------ equations


def _view(e: Eqn, vector_bytes: int) -> Movement:
    """What NumPy has as a view."""
    x = e.invars[0]
    if type(x) is Literal:
        return Movement(e, [], vector_bytes, fill=x)
    shape, steps, first = view_of(x.aval.shape, lambda a: e.prim.impl(a, **e.params))
    return Movement(e, [Piece(x, shape, steps, steps_of(shape), first)], vector_bytes)  # type: ignore[arg-type]


def _copy(e: Eqn, vector_bytes: int) -> Movement:
    return Movement(e, [_whole(e.invars[0])], vector_bytes)


def _whole(x: Any) -> Piece:
    steps = steps_of(x.aval.shape)
    return Piece(x, x.aval.shape, steps, steps)


def _pad(e: Eqn, vector_bytes: int) -> Movement:
    x, value = e.invars
    shape, source, first, target, start = [], steps_of(x.aval.shape), 0, steps_of(e.outvars[0].aval.shape), 0
    for k, (n, (low, _, interior)) in enumerate(zip(x.aval.shape, e.params["padding_config"])):
        step = interior + 1
        begin = max(0, -(low // step))
        end = min(n, -(-(e.outvars[0].aval.shape[k] - low) // step))
        shape.append(max(0, end - begin))
        first += begin * source[k]
        start += (low + begin * step) * target[k]
        target[k] *= step
    pieces = [Piece(x, shape, source, target, first, start)] if prod(shape) else []  # type: ignore[arg-type]
    return Movement(e, pieces, vector_bytes, fill=value)


def _concatenate(e: Eqn, vector_bytes: int) -> Movement:
    target, at, pieces = steps_of(e.outvars[0].aval.shape), 0, []
    k = e.params["dimension"]
    for x in e.invars:
        if x.aval.size:
            pieces.append(_whole(x)._replace(target=target, target_first=at * target[k]))
        at += x.aval.shape[k]
    return Movement(e, pieces, vector_bytes)


def _inside(e: Eqn, x: Any, adds: bool = False) -> Piece:
    """The copy to the part of the result that a spec selects."""
    index = as_index(e.params["spec"])
    shape, target, first = view_of(e.outvars[0].aval.shape, lambda a: a[(*index, ...)])
    source = steps_of(shape)
    start = 0
    for k, step in enumerate(target):
        if step < 0:  # the other way round, in both
            first += (shape[k] - 1) * step
            start += (shape[k] - 1) * source[k]
            target[k], source[k] = -step, -source[k]
    return Piece(x, shape, source, target, start, first, adds=adds)


def _place(e: Eqn, vector_bytes: int) -> Movement:
    return Movement(e, [_inside(e, e.invars[0])], vector_bytes, fill=Literal(e.outvars[0].aval.dtype.type(0)))


def _update(e: Eqn, vector_bytes: int) -> Movement:
    x, values = e.invars
    pieces = [_whole(x), _inside(e, values, e.params["op"] == "add")]
    return Movement(e, pieces, vector_bytes, base=x)  # type: ignore[arg-type]


def _starts(e: Eqn, starts: Sequence[Atom], shape: Sequence[int], sizes: Sequence[int]) -> list[_Start]:
    steps = steps_of(shape)
    return [_Start(s, n, size, step) for s, n, size, step in zip(starts, shape, sizes, steps) if n != size]


def _dynamic_slice(e: Eqn, vector_bytes: int) -> Movement:
    x, *starts = e.invars
    sizes = e.params["slice_sizes"]
    moved = _starts(e, starts, x.aval.shape, sizes)
    return Movement(e, [Piece(x, sizes, steps_of(x.aval.shape), steps_of(sizes), starts=moved)], vector_bytes)  # type: ignore[arg-type]


def _dynamic_update_slice(e: Eqn, vector_bytes: int) -> Movement:
    x, update, *starts = e.invars
    shape, sizes = x.aval.shape, update.aval.shape
    moved = _starts(e, starts, shape, sizes)
    part = Piece(update, sizes, steps_of(sizes), steps_of(shape), starts=moved, moves_target=True)  # type: ignore[arg-type]
    return Movement(e, [_whole(x), part], vector_bytes, base=x)  # type: ignore[arg-type]


_WRITERS: dict[str, Callable[[Eqn, int], Movement]] = {
    **dict.fromkeys(["transpose", "slice", "rev", "broadcast_to", "getitem"], _view),
    "copy": _copy,
    "pad": _pad,
    "concatenate": _concatenate,
    "place": _place,
    "update": _update,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
}
_SCALARS = {
    "pad": 1,
    "dynamic_slice": 1,
    "dynamic_update_slice": 2,
    "broadcast_to": 0,
}  # from here on operands may be literals


def lower(e: Eqn, vector_bytes: int) -> list[Stage] | None:
    """The stage of an equation, or None: nothing to move, elements of unusual sizes, operands of several dtypes."""
    result = e.outvars[0].aval
    most = _SCALARS.get(e.prim.name, len(e.invars))
    arrays = e.invars[: max(1, most)]
    if e.prim.name == "pad" and type(e.invars[1]) is Var:
        arrays = e.invars
    if any([type(v) is Literal for v in e.invars[:most]]) or any(
        [v.aval.weak_type for v in e.invars if type(v) is Var]
    ):
        return None
    if result.size == 0 or any([v.aval.dtype != result.dtype for v in arrays]):
        return None
    if result.dtype.itemsize not in (1, 2, 4, 8) or result.weak_type:
        return None
    if e.params.get("op") == "add" and not is_supported(result.dtype):
        return None
    return [_WRITERS[e.prim.name](e, vector_bytes)]


LOWER: dict[str, Any] = dict.fromkeys(_WRITERS, lower)
