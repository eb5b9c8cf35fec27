"""Regions: which equations run natively, and which of them in one native call. May import chains, core, costs, grouping, memory, nest, reads, stage.

A region is a set of equations that nothing outside lies between. It runs as chains of stages, in one block of memory for all that nobody
outside reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fnets.backends.costs import bytes_of
from fnets.backends.llvm.code.operations import HEAVY
from fnets.backends.llvm.kernels.nest import NestStage
from fnets.backends.llvm.kernels.stage import Stage
from fnets.backends.llvm.schedule import grouping
from fnets.backends.llvm.schedule.chains import Chain, chains
from fnets.backends.llvm.schedule.grouping import RECENT, Graph, Nest, fits_a_nest, reads_in_place, topological
from fnets.backends.llvm.schedule.memory import Plan
from fnets.backends.llvm.schedule.reads import Reads, is_view
from fnets.core.ir import Eqn, Jaxpr, Var, has_effect

Lowering = Callable[[Eqn, int], list[Stage] | None]  # the stages of an equation that no nest can run, or None
_LARGE = 1 << 20  # bytes that several threads read faster than one
keeps_inside = True  # False in tests: then all that one stage leaves for another is a result


class Native:
    """Which equations run natively, and the stages of those that no nest can run. Views that only nests read, and NumPy, do not run."""

    def __init__(self, jaxpr: Jaxpr, vector_bytes: int, lower: Lowering):
        self.vector_bytes = vector_bytes
        views = {e.outvars[0]: e for e in jaxpr.eqns if is_view(e)}
        in_nests = [e for e in jaxpr.eqns if fits_a_nest(e)]
        others = {*jaxpr.eqns}.difference(in_nests, views.values())
        self.stages = {e: x for e in jaxpr.eqns if e in others and (x := lower(e, vector_bytes)) is not None}
        in_order = {v for v in jaxpr.outvars if v in views}  # views that somebody finds in C order
        in_order.update([v for e in self.stages for v in e.invars if v in views])
        read = [(e, v) for e in in_nests for v in dict.fromkeys(e.invars) if v in views]
        while True:
            copied = _copied(views, in_order)
            self.reads = Reads([e for e in views.values() if e not in copied])
            odd = {v for e, v in read if v in self.reads.views and not self._in_place(e, v)}
            if not odd:
                break
            in_order |= odd
        self.stages.update({e: x for e in copied if (x := lower(e, vector_bytes)) is not None})
        self.eqns = {*in_nests, *self.stages}

    def _in_place(self, e: Eqn, v: Var) -> bool:
        """True if the nest of an equation reads a view where it is."""
        view = self.reads.view(v)
        return view is not None and reads_in_place(e, view, self.reads.source(v).aval.size)


def _copied(views: dict[Var, Eqn], in_order: set[Var]) -> list[Eqn]:
    """The views that need memory of their own, as somebody finds them in C order; what those read is added to `in_order`."""
    out = []
    for v, e in reversed(views.items()):
        if v in in_order:
            in_order.add(e.invars[0])  # type: ignore[arg-type]
            out += [e] if e.prim.name != "reshape" else []
    return out[::-1]


class Region:
    """Equations that run in one native call: what they read, what they leave, and their stages in order."""

    def __init__(self, eqns: Sequence[Eqn], native: Native, used_outside: Callable[[Var], bool]):
        self.eqns = eqns
        reads = self.reads = native.reads
        nodes = grouping.group(eqns, reads)
        made = {v: i for i, n in enumerate(nodes) for e in _inside(n) for v in e.outvars}
        sources = {v: s for e in eqns for v in e.invars if type(s := reads.source(v)) is Var}
        self.inputs: list[Var] = [v for v in dict.fromkeys(sources.values()) if v not in made]
        crossing = {
            s
            for i, n in enumerate(nodes)
            for e in _inside(n)
            for v in e.invars
            if made.get(s := sources.get(v), i) != i
        }
        self.outputs: list[Var] = [v for v in made if used_outside(v) or not keeps_inside and v in crossing]
        self.stages: list[Stage] = []
        for n in nodes:
            if isinstance(n, Nest):
                self.stages.append(NestStage(n, {*self.outputs, *crossing}, native.vector_bytes))
            else:
                self.stages += native.stages[n]
        for s in self.stages:
            s.roots = sources  # type: ignore[assignment]

    @property
    def jaxpr(self) -> Jaxpr:
        """The equations as a program of the inputs, with the views that they read."""
        read = {v for e in self.eqns for v in e.invars}
        for v, e in reversed(self.reads.views.items()):
            if v in read:
                read.update(e.invars)
        views = [e for v, e in self.reads.views.items() if v in read]
        made = {v for e in self.eqns for v in e.outvars}
        eqns = [q for q in views if self.reads.source(q.outvars[0]) not in made]
        for e in self.eqns:
            eqns.append(e)
            eqns += [q for q in views if self.reads.source(q.outvars[0]) in e.outvars]
        return Jaxpr((), (), self.inputs, eqns, self.outputs)

    @property
    def nanoseconds(self) -> float:
        """An estimate of how long it takes on one thread."""
        return sum([s.nanoseconds for s in self.stages])


class Call(Region):
    """A region that Python calls: its chains, and its memory."""

    def __init__(self, eqns: Sequence[Eqn], native: Native, used_outside: Callable[[Var], bool]):
        super().__init__(eqns, native, used_outside)
        self.chains: list[Chain] = chains(self.stages, native.vector_bytes)
        counts = [s.errors for s in self.stages if s.errors is not None]
        self.plan = Plan(self.chains, {*self.inputs, *self.outputs}, counts)


def _inside(node: Nest | Eqn) -> list[Eqn]:
    return node.eqns if isinstance(node, Nest) else [node]


def is_worthwhile(eqns: list[Eqn]) -> bool:
    """False for what NumPy does as fast: a light operation on what one thread soon reads or a view by itself, a few on scalars."""
    if any([e.prim.name in HEAVY and e.outvars[0].aval.size > 1 for e in eqns]):
        return True
    working = [e for e in eqns if e.prim.kind != "view"]
    if any([not fits_a_nest(e) for e in working]):
        return True
    if sum(map(bytes_of, working)) > _LARGE:
        return True
    arrays = [e for e in working if max([v.aval.size for v in (*e.invars, *e.outvars)]) > 1]
    return len(arrays) > 1 or len(eqns) > 3


def schedule(jaxpr: Jaxpr, vector_bytes: int, lower: Lowering) -> list[Eqn | Call]:
    """The program as single equations and regions, in an order in which they can run."""
    native_eqns = Native(jaxpr, vector_bytes, lower)
    reads = native_eqns.reads
    graph, groups, maker = Graph(), [], {}
    native: list[int] = []
    effect: int | None = None
    for e in jaxpr.eqns:
        runs_here = e in native_eqns.eqns
        operands = [reads.source(v) for v in e.invars] if runs_here else e.invars
        parents = {maker[v] for v in operands if v in maker}
        if has_effect(e):
            parents |= {effect} if effect is not None else set()
        node = None
        if runs_here:
            own = sorted([p for p in parents if p in native], reverse=True)
            for i in dict.fromkeys([*own, *native[: -RECENT - 1 : -1]]):
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
    return _regions(
        jaxpr, [(group, i in native and is_worthwhile(group)) for i, group in enumerate(groups)], native_eqns
    )


def _regions(jaxpr: Jaxpr, groups: list[tuple[list[Eqn], bool]], native: Native) -> list[Eqn | Call]:
    """The groups in order, native ones as regions, without views that nobody reads any more."""
    reads = native.reads
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
    out: list[Eqn | Call] = []
    for i in reversed(alive):
        group, runs_here = nodes[i]
        out += [Call(group, native, lambda v, i=i: bool(users.get(v, set()) - {i}))] if runs_here else group
    return out
