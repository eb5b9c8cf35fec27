"""Grouping: which equations one loop nest can run together. May import core, operations, reads, text.

A nest is a set of equations over one domain: the elementwise ones of that shape, reductions of it over trailing axes with the equations on
their results (softmax, layer norm), and reductions over other axes or all of them. Operands may be views of what is in memory.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterable

from fnets.backends.llvm.code.operations import converts, operand_dtypes
from fnets.backends.llvm.code.text import is_supported
from fnets.backends.llvm.schedule.reads import Reads, View, axis, runs, whole
from fnets.core.ir import Atom, Eqn, Literal, Var

REDUCTIONS = {"reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "reduce_and", "reduce_or", "reduce_xor"}
LONG_ROW = 1 << 14  # a longer row is not kept on the stack for a second pass
FAR = 4  # elements from one to the next that vectors still read together
SHORT_PIECE = 16  # a view whose elements are next to each other in fewer is copied before nests read it
RECENT = 12  # how many nests (or regions) back an equation may join


class Graph:
    """Nodes made of items, and which node must come before which; joining an item to a node must not close a circle."""

    def __init__(self) -> None:
        self.before: list[int] = []  # bit sets of ancestors

    def add(self, parents: Iterable[int]) -> int:
        self.before.append(self._ancestors(parents))
        return len(self.before) - 1

    def _ancestors(self, parents: Iterable[int]) -> int:
        bits = 0
        for p in parents:
            bits |= self.before[p] | 1 << p
        return bits

    def may_join(self, node: int, parents: Iterable[int]) -> bool:
        return all([p == node or not self.before[p] >> node & 1 for p in parents])

    def join(self, node: int, parents: Iterable[int]) -> None:
        bits = self._ancestors([p for p in parents if p != node])
        if bits & ~self.before[node]:
            self.before[node] |= bits
            for i, known in enumerate(self.before):
                if known >> node & 1:
                    self.before[i] = known | bits


def topological(parents: list[set[int]], position: list[int]) -> list[int]:
    """Nodes, parents first, otherwise by position.

    >>> topological([{1}, set(), {0}], [0, 1, 2])
    [1, 0, 2]
    """
    children: list[list[int]] = [[] for _ in parents]
    missing = [len(p) for p in parents]
    for i, p in enumerate(parents):
        for j in p:
            children[j].append(i)
    waiting = [(position[i], i) for i, n in enumerate(missing) if n == 0]
    heapq.heapify(waiting)
    out = []
    while waiting:
        _, i = heapq.heappop(waiting)
        out.append(i)
        for j in children[i]:
            missing[j] -= 1
            if missing[j] == 0:
                heapq.heappush(waiting, (position[j], j))
    return out


def is_trailing(axes: tuple[int, ...], ndim: int) -> bool:
    """True for the last axes of an array.

    >>> is_trailing((1, 2), 3), is_trailing((0, 2), 3)
    (True, False)
    """
    return axes == tuple(range(ndim - len(axes), ndim))


def fits_a_nest(e: Eqn) -> bool:
    """True if a loop nest can run the equation."""
    out = e.outvars[0].aval if len(e.outvars) == 1 else None
    if out is None or out.size == 0 or any([v.aval.size == 0 for v in e.invars]):
        return False
    if e.prim.name in REDUCTIONS:
        x = e.invars[0].aval
        axes = e.params["axes"]
        vectors = max([i for i, size in enumerate(x.shape) if size > 1], default=0)  # run along this axis
        fits = is_trailing(axes, x.ndim) or vectors not in axes
        logic = e.prim.name not in ("reduce_and", "reduce_or", "reduce_xor") or x.dtype.kind in "biu"
        return (
            bool(axes)
            and fits
            and logic
            and is_supported(out.dtype)
            and not x.weak_type
            and converts(x.dtype, out.dtype)
        )
    return e.prim.kind == "elementwise" and e.prim.name != "broadcast_to" and operand_dtypes(e) is not None


def domain_of(e: Eqn) -> tuple[int, ...]:
    """The shape over which a nest runs the equation."""
    return (e.invars[0] if e.prim.name in REDUCTIONS else e.outvars[0]).aval.shape


def reads_in_place(e: Eqn, view: View, size: int) -> bool:
    """True if the nest of an equation should read a view of a memory of `size` elements where it is: what vectors read is next to each other, or near
    and read once, and not in small pieces."""
    domain, axes = domain_of(e), e.params["axes"] if e.prim.name in REDUCTIONS else ()
    pieces = runs(view.axes)
    if math.prod(domain) >= 1 << 31 and not all([a.is_full for a in view.axes]):
        return False  # nests count columns in 32 bits, where there is padding
    is_row = is_trailing(axes, len(domain)) and (len(axes) < len(domain) or math.prod(domain) <= LONG_ROW)
    if axes and is_row and len(runs(view.axes[axes[0] :])) > 1:
        return False
    last = max([k - len(domain) for k, n in enumerate(domain) if n > 1], default=-1)  # the axis along which vectors run
    if not pieces or -last > len(view.axes) or view.axes[last].n == 1:
        return True
    n, step, *_ = pieces[-1]
    once = math.prod(view.shape) == math.prod(domain) and abs(step) <= FAR and view.spare(step, size) <= view.range[0]
    return step == 0 or (step == 1 or once) and (n >= SHORT_PIECE or len(pieces) == 1)


# ------------------------------------------------------------------ nests


class Nest:
    """Equations that run in one loop nest over `domain`.

    trailing: how many last axes its trailing reductions reduce, which are the inner loop then; None if there are none.
    level: of each result "full", "row" (one value for each index of the other axes), or of reductions "to_row", "to_column" (over axes along
      which no vectors run) or "to_all" (over all axes, where no row is that long).
    """

    def __init__(self, domain: tuple[int, ...], reads: Reads):
        self.domain = domain
        self.reads = reads
        self.trailing: int | None = None
        self.eqns: list[Eqn] = []
        self.level: dict[Var, str] = {}
        self.views: list[View] = []  # that its full equations read, padded to the domain

    def rows(self) -> tuple[int, ...]:
        """The axes that stay when the trailing ones are reduced."""
        return self.domain[: len(self.domain) - (self.trailing or 0)]

    def without(self, axes: Collection[int]) -> tuple[int, ...]:
        """The domain with 1 in some axes."""
        return tuple([1 if i in axes else n for i, n in enumerate(self.domain)])

    def padded(self, v: Atom) -> View:
        """What of a memory an operand is, in the domain's axes."""
        x = self._view(v)
        more = len(self.domain) - len(x.axes)
        return x.of((axis(1, 0),) * more + x.axes) if more > 0 else x

    def padded_row(self, v: Atom) -> View | None:
        """Likewise for row values; None if it is none."""
        x, n, rows = self._view(v), len(self.domain), self.rows()
        if not all([a.is_full for a in x.axes]):
            return None
        if x.shape in (rows, rows + (1,) * (self.trailing or 0)):
            axes = [*x.axes[: len(rows)]]
        elif all([a.n == 1 for a in x.axes]):
            axes = []
        else:
            return None
        return x.of(axes + [axis(1, 0)] * (n - len(axes)))

    def _view(self, v: Atom) -> View:
        x = self.reads.view(v)
        assert x is not None, v
        return x

    def _splits(self, view: View, trailing: int) -> bool:
        """True if an operand covers the trailing axes wholly, and in one piece, or not at all."""
        at = len(self.domain) - trailing
        mine = view.axes[at:]
        return all([a.n == 1 for a in mine]) or view.shape[at:] == self.domain[at:] and len(runs(mine)) == 1

    def place(self, e: Eqn) -> str | None:
        """The level that an equation would have here, None if it does not fit."""
        n = len(self.domain)
        if e.prim.name in REDUCTIONS:
            x, axes = e.invars[0].aval.shape, e.params["axes"]
            if x != self.domain:
                return None
            k = len(axes)
            if k == n and (self.trailing not in (None, n) or math.prod(x) > LONG_ROW):
                return "to_all"
            if is_trailing(axes, n):
                fits = self.trailing in (None, k) and all([self._splits(x, k) for x in self.views])
                return "to_row" if fits else None
            return "to_column" if self.trailing is None or axes[-1] < n - self.trailing else None
        out = e.outvars[0].aval.shape
        if (
            self.trailing is not None
            and out != self.domain
            and out in (self.rows(), self.rows() + (1,) * self.trailing)
        ):
            return "row" if all([self.padded_row(v) is not None for v in e.invars]) else None
        if out != self.domain:
            return None
        k = self.trailing
        fits = k is None or all([self._splits(self.padded(v), k) for v in e.invars])
        return "full" if fits else None

    def add(self, e: Eqn, level: str) -> None:
        self.eqns.append(e)
        self.level[e.outvars[0]] = level
        if level == "to_row":
            self.trailing = len(e.params["axes"])
        if level != "row":
            self.views += [self.padded(v) for v in e.invars if type(v) is Var]
        if level == "to_column":
            self.views.append(whole(self.without(e.params["axes"])))


def group(eqns: list[Eqn], reads: Reads) -> list[Nest | Eqn]:
    """Equations as nests, and alone where no nest can run them, in an order in which they can run."""
    graph, found, maker = Graph(), [], {}
    for e in eqns:
        parents = {maker[s] for v in e.invars if (s := reads.source(v)) in maker}
        node = level = None
        alone = not fits_a_nest(e)
        for i in range(len(found) - 1, max(-1, len(found) - 1 - RECENT), -1):
            nest = found[i]
            if alone or not isinstance(nest, Nest) or not graph.may_join(i, parents):
                continue
            level = nest.place(e) if _may_read(nest, i, e, maker, reads) else None
            if level is not None:
                node = i
                break
        if node is None or level is None:
            node = graph.add(parents)
            if alone:
                found.append(e)
            else:
                nest = Nest(domain_of(e), reads)
                level = nest.place(e)
                assert level is not None, e
                nest.add(e, level)
                found.append(nest)
        else:
            graph.join(node, parents)
            found[node].add(e, level)
        maker.update(dict.fromkeys(e.outvars, node))
    positions = {e: i for i, e in enumerate(eqns)}
    members = [n.eqns if isinstance(n, Nest) else [n] for n in found]
    needs = [
        {maker[s] for e in inside for v in e.invars if (s := reads.source(v)) in maker} - {i}
        for i, inside in enumerate(members)
    ]
    return [found[i] for i in topological(needs, [positions[inside[0]] for inside in members])]


def _may_read(nest: Nest, index: int, e: Eqn, maker: dict[Var, int], reads: Reads) -> bool:
    """False if an operand is made in the nest but not yet whole, or is read there in another arrangement."""
    for v in e.invars:
        s = reads.source(v)
        if type(s) is Literal or maker.get(s) != index:
            continue
        level = nest.level[s]
        if level in ("to_column", "to_all"):
            return False
        if level == "full" and nest.padded(v) != whole(nest.domain):
            return False
        if level in ("row", "to_row"):
            rows = nest.padded_row(s)
            full = e.outvars[0].aval.shape == nest.domain or e.prim.name in REDUCTIONS
            here = nest.padded(v) if full else nest.padded_row(v)
            if here is None or rows is None or here.steps != rows.steps:
                return False
            if full and math.prod(nest.domain) > LONG_ROW * math.prod(nest.rows()):
                return False
    return True
