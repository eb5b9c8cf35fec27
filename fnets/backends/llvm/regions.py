"""Grouping: which equations run natively, which of them in one call (a region), and which of those in one loop nest. May import core, operations.

A region is a set of equations that nothing outside lies between: one native call. Inside, a nest is a set of equations over one domain: the
elementwise ones of that shape, reductions of it over trailing axes with the equations on their results (softmax, layer norm), and
reductions over leading axes. Reshapes vanish: who reads one natively reads its source in another shape.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable

from fnets.backends.llvm.operations import HEAVY, converts, operand_dtypes
from fnets.backends.llvm.text import is_supported
from fnets.core.ir import Atom, Eqn, Jaxpr, Literal, Var, has_effect

REDUCTIONS = {"reduce_sum", "reduce_max", "reduce_min", "reduce_and", "reduce_or", "reduce_xor"}
_LONG_ROW = 1 << 14  # a longer row is not kept on the stack for a second pass
_RECENT = 12  # how many regions or nests back an equation may join


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


class Reads:
    """What equations read: through reshapes, the source and the shape it is read in."""

    def __init__(self, eqns: Iterable[Eqn]):
        self._reshapes = {e.outvars[0]: e.invars[0] for e in eqns if e.prim.name == "reshape"}

    def source(self, v: Atom) -> Atom:
        while type(v) is Var and v in self._reshapes:
            v = self._reshapes[v]
        return v


def is_native(e: Eqn) -> bool:
    """True if a kernel can run the equation by itself."""
    out = e.outvars[0].aval if len(e.outvars) == 1 else None
    if out is None or out.size == 0 or any([v.aval.size == 0 for v in e.invars]):
        return False
    if e.prim.name in REDUCTIONS:
        x = e.invars[0].aval
        axes, n = e.params["axes"], x.ndim
        trailing, leading = axes == tuple(range(n - len(axes), n)), axes == tuple(range(len(axes)))
        ends = trailing or leading and out.size > 1  # vectors run along what is kept
        logic = e.prim.name not in ("reduce_and", "reduce_or", "reduce_xor") or x.dtype.kind in "biu"
        return (
            bool(axes)
            and ends
            and logic
            and is_supported(out.dtype)
            and not x.weak_type
            and converts(x.dtype, out.dtype)
        )
    return e.prim.kind == "elementwise" and e.prim.name != "broadcast_to" and operand_dtypes(e) is not None


# ------------------------------------------------------------------ nests


class Nest:
    """Equations that run in one loop nest over `domain`.

    trailing: how many last axes its trailing reductions reduce, which are the inner loop then; None if there are none.
    level: of each result "full", "row" (one value for each index of the other axes), "to_row" or "to_column" (reductions).
    """

    def __init__(self, domain: tuple[int, ...]):
        self.domain = domain
        self.trailing: int | None = None
        self.eqns: list[Eqn] = []
        self.level: dict[Var, str] = {}
        self.shapes: list[tuple[int, ...]] = []  # in which its full equations read, padded to the domain

    def rows(self) -> tuple[int, ...]:
        """The axes that stay when the trailing ones are reduced."""
        return self.domain[: len(self.domain) - (self.trailing or 0)]

    def padded(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (1,) * (len(self.domain) - len(shape)) + shape

    def padded_row(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """A shape of row values in the domain's axes, or None if it is none."""
        rows, ones = self.rows(), (1,) * (self.trailing or 0)
        if shape in (rows, rows + ones):
            return rows + ones
        return (1,) * len(self.domain) if all([n == 1 for n in shape]) else None

    def _splits(self, shape: tuple[int, ...], trailing: int) -> bool:
        """True if an operand of this shape covers the trailing axes wholly or not at all."""
        at = len(self.domain) - trailing
        mine, theirs = shape[at:], self.domain[at:]
        return mine == theirs or all([n == 1 for n in mine])

    def place(self, e: Eqn) -> str | None:
        """The level that an equation would have here, None if it does not fit."""
        n = len(self.domain)
        if e.prim.name in REDUCTIONS:
            x, axes = e.invars[0].aval.shape, e.params["axes"]
            if x != self.domain:
                return None
            k = len(axes)
            if axes[-1] == n - 1:
                fits = self.trailing in (None, k) and all([self._splits(s, k) for s in self.shapes])
                return "to_row" if fits else None
            return "to_column" if self.trailing is None or k <= n - self.trailing else None
        out = e.outvars[0].aval.shape
        if (
            self.trailing is not None
            and out != self.domain
            and out in (self.rows(), self.rows() + (1,) * self.trailing)
        ):
            return "row" if all([self.padded_row(v.aval.shape) is not None for v in e.invars]) else None
        if out != self.domain:
            return None
        k = self.trailing
        fits = k is None or all([self._splits(self.padded(v.aval.shape), k) for v in e.invars])
        return "full" if fits else None

    def add(self, e: Eqn, level: str) -> None:
        self.eqns.append(e)
        self.level[e.outvars[0]] = level
        if level == "to_row":
            self.trailing = len(e.params["axes"])
        if level in ("full", "to_row", "to_column"):
            self.shapes += [self.padded(v.aval.shape) for v in e.invars if type(v) is Var]
        if level == "to_column":
            k = len(e.params["axes"])
            self.shapes.append((1,) * k + self.domain[k:])


def nests(eqns: list[Eqn], reads: Reads) -> list[Nest]:
    """A region's equations as loop nests, in an order in which they can run."""
    graph, found, maker = Graph(), [], {}
    for e in eqns:
        parents = {maker[s] for v in e.invars if (s := reads.source(v)) in maker}
        node = level = None
        for i in range(len(found) - 1, max(-1, len(found) - 1 - _RECENT), -1):
            level = (
                found[i].place(e) if _may_read(found[i], i, e, maker, reads) and graph.may_join(i, parents) else None
            )
            if level is not None:
                node = i
                break
        if node is None or level is None:
            x = e.invars[0] if e.prim.name in REDUCTIONS else e.outvars[0]
            nest = Nest(x.aval.shape)
            level = nest.place(e)
            assert level is not None, e
            found.append(nest)
            node = graph.add(parents)
        else:
            graph.join(node, parents)
        found[node].add(e, level)
        maker[e.outvars[0]] = node
    positions = {e: i for i, e in enumerate(eqns)}
    needs: list[set[int]] = [set() for _ in found]
    for i, nest in enumerate(found):
        for e in nest.eqns:
            needs[i] |= {maker[s] for v in e.invars if (s := reads.source(v)) in maker} - {i}
    return [found[i] for i in topological(needs, [positions[n.eqns[0]] for n in found])]


def _may_read(nest: Nest, index: int, e: Eqn, maker: dict[Var, int], reads: Reads) -> bool:
    """False if an operand is made in the nest but not yet whole, or is read there in another arrangement."""
    for v in e.invars:
        s = reads.source(v)
        if type(s) is Literal or maker.get(s) != index:
            continue
        level = nest.level[s]
        if level == "to_column":
            return False
        if level == "full" and v.aval.shape != nest.domain:
            return False
        if level in ("row", "to_row"):
            rows = nest.padded_row(s.aval.shape)
            full = e.outvars[0].aval.shape == nest.domain or e.prim.name in REDUCTIONS
            here = nest.padded(v.aval.shape) if full else nest.padded_row(v.aval.shape)
            if here != rows or full and math.prod(nest.domain) > _LONG_ROW * math.prod(nest.rows()):
                return False
    return True


# ------------------------------------------------------------------ regions


class Region:
    """Equations that run in one native call: what they read, what they leave, and their nests in order."""

    def __init__(self, eqns: list[Eqn], reads: Reads, used_outside: Callable[[Var], bool]):
        self.eqns = eqns
        self.reads = reads
        self.nests = nests(eqns, reads)
        made = {e.outvars[0]: n for n in self.nests for e in n.eqns}
        self.inputs: list[Var] = list(
            dict.fromkeys([s for e in eqns for v in e.invars if type(s := reads.source(v)) is Var and s not in made])
        )
        crossing = {
            s for n in self.nests for e in n.eqns for v in e.invars if made.get(s := reads.source(v), n) is not n
        }
        self.outputs: list[Var] = [v for v in made if used_outside(v) or v in crossing]
        self.entry = ""  # the name of its function
        self.replaceable: dict[Var, list[Var]] = {}  # operands in whose memory a result may be written

    @property
    def size(self) -> int:
        """Elements visited, over all nests."""
        return sum([math.prod(n.domain) for n in self.nests])


def is_worthwhile(eqns: list[Eqn]) -> bool:
    """False for what NumPy does as fast: a light operation by itself, a few on scalars."""
    if any([e.prim.name in HEAVY and e.outvars[0].aval.size > 1 for e in eqns]):
        return True
    arrays = [e for e in eqns if max([v.aval.size for v in (*e.invars, *e.outvars)]) > 1]
    return len(arrays) > 1 or len(eqns) > 3


def schedule(jaxpr: Jaxpr) -> list[Eqn | Region]:
    """The program as single equations and regions, in an order in which they can run."""
    reads = Reads(jaxpr.eqns)
    graph, groups, maker = Graph(), [], {}
    native: list[int] = []
    effect: int | None = None
    for e in jaxpr.eqns:
        runs_here = is_native(e)
        operands = [reads.source(v) for v in e.invars] if runs_here else e.invars
        parents = {maker[v] for v in operands if v in maker}
        if has_effect(e):
            parents |= {effect} if effect is not None else set()
        node = None
        if runs_here:
            own = sorted([p for p in parents if p in native], reverse=True)
            for i in dict.fromkeys([*own, *native[: -_RECENT - 1 : -1]]):
                if graph.may_join(i, parents):
                    node = i
                    break
        if node is None:
            node = graph.add(parents)
            groups.append([])
            if runs_here:
                native.append(node)
        else:
            graph.join(node, parents)
        if has_effect(e):
            effect = node
        groups[node].append(e)
        maker.update(dict.fromkeys(e.outvars, node))
    return _regions(jaxpr, [(group, i in native and is_worthwhile(group)) for i, group in enumerate(groups)], reads)


def _regions(jaxpr: Jaxpr, groups: list[tuple[list[Eqn], bool]], reads: Reads) -> list[Eqn | Region]:
    """The groups in order, native ones as regions, without reshapes that nobody reads any more."""
    nodes = [
        item
        for group, runs_here in groups
        for item in ([(group, True)] if runs_here else [([e], False) for e in group])
    ]
    maker = {v: i for i, (group, _) in enumerate(nodes) for e in group for v in e.outvars}
    position = {e: i for i, e in enumerate(jaxpr.eqns)}
    needs: list[set[int]] = []
    effect: int | None = None
    for i, (group, runs_here) in enumerate(nodes):
        operands = [reads.source(v) if runs_here else v for e in group for v in e.invars]
        needs.append({maker[v] for v in operands if v in maker} - {i})
        if not runs_here and has_effect(group[0]):
            if effect is not None:
                needs[i].add(effect)
            effect = i
    users: dict[Var, set[int]] = {v: {-1} for v in jaxpr.outvars if type(v) is Var}
    alive = []
    for i in reversed(topological(needs, [position[group[0]] for group, _ in nodes])):
        group, runs_here = nodes[i]
        if runs_here or has_effect(group[0]) or any([v in users for v in group[0].outvars]):
            alive.append(i)
            for e in group:
                for v in e.invars:
                    users.setdefault(reads.source(v) if runs_here else v, set()).add(i)
    out: list[Eqn | Region] = []
    for i in reversed(alive):
        group, runs_here = nodes[i]
        out += [Region(group, reads, lambda v, i=i: bool(users.get(v, set()) - {i}))] if runs_here else group
    return out
