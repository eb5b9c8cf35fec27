"""Regions: which equations run natively, and which of them in one native call. May import chains, core, costs, grouping, memory, nest, stage.

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
from fnets.backends.llvm.schedule.grouping import RECENT, Graph, Nest, Reads, fits_a_nest, topological
from fnets.backends.llvm.schedule.memory import Plan
from fnets.core.ir import Eqn, Jaxpr, Var, has_effect
from fnets.primitives.base import reshape_p

Lowering = Callable[[Eqn, int], list[Stage] | None]  # the stages of an equation that no nest can run, or None
_LARGE = 1 << 20  # bytes that several threads read faster than one
keeps_inside = True  # False in tests: then all that one stage leaves for another is a result


class Native:
    """Which equations run natively, and the stages of those that no nest can run."""

    def __init__(self, eqns: Sequence[Eqn], vector_bytes: int, lower: Lowering):
        self.vector_bytes = vector_bytes
        self.reads = Reads(eqns)
        self.stages: dict[Eqn, list[Stage]] = {}
        self.eqns: set[Eqn] = set()
        for e in eqns:
            if fits_a_nest(e):
                self.eqns.add(e)
            elif (stages := lower(e, vector_bytes)) is not None:
                self.eqns.add(e)
                self.stages[e] = stages


class Region:
    """Equations that run in one native call: what they read, what they leave, and their stages in order."""

    def __init__(self, eqns: Sequence[Eqn], native: Native, used_outside: Callable[[Var], bool]):
        self.eqns = eqns
        reads = native.reads
        nodes = grouping.group(eqns, reads)
        made = {v: i for i, n in enumerate(nodes) for e in _inside(n) for v in e.outvars}
        sources = self.sources = {v: reads.source(v) for e in eqns for v in e.invars if type(v) is Var}
        self.inputs: list[Var] = [v for v in dict.fromkeys(sources.values()) if v not in made]  # type: ignore[misc]
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
                self.stages.append(NestStage(n, reads, {*self.outputs, *crossing}, native.vector_bytes))
            else:
                self.stages += native.stages[n]
        for s in self.stages:
            s.roots = sources  # type: ignore[assignment]

    @property
    def jaxpr(self) -> Jaxpr:
        """The equations as a program of the inputs, with the reshapes that they read through."""
        reshapes = []
        for v, s in self.sources.items():
            if v is not s:
                reshapes.append(Eqn(reshape_p, (s,), (v,), {"new_sizes": v.aval.shape}, None))
        made = {s: e for e in self.eqns for s in e.outvars}
        eqns: list[Eqn] = [r for r in reshapes if r.invars[0] not in made]
        for e in self.eqns:
            eqns.append(e)
            eqns += [r for r in reshapes if made.get(r.invars[0]) is e]  # type: ignore[call-overload]
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
    native_eqns = Native(jaxpr.eqns, vector_bytes, lower)
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
    """The groups in order, native ones as regions, without reshapes that nobody reads any more."""
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
