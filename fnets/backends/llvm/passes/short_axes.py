"""Large arrays whose last axis is short (points in space) as one array for each of its indices. May import core, grouping.

Vectors run along the last axis, and one of length 3 leaves most of their lanes empty. So equations over (256, 256, 3) become three times as many
over (256, 256), where a sum over the short axis is two additions. This pays where what comes from outside and what leaves is smaller
than that, as with the differences of all pairs of points.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fnets.backends.llvm.schedule.grouping import REDUCTIONS, fits_a_nest
from fnets.core.ir import Atom, Eqn, Jaxpr, Var
from fnets.core.primitive import registry

_SHORT = range(2, 5)  # lengths of a short axis
_LARGE = 1 << 12  # elements of an array that is worth it
_LESS = 8  # times smaller are the arrays that come and go
_COMBINE = {
    "reduce_sum": "add",
    "reduce_prod": "mul",
    "reduce_max": "max",
    "reduce_min": "min",
    "reduce_and": "and",
    "reduce_or": "or",
    "reduce_xor": "xor",
}


def _array(e: Eqn) -> Atom:
    """What gives the domain of an equation."""
    return e.invars[0] if e.prim.name in REDUCTIONS else e.outvars[0]


def _is_candidate(e: Eqn) -> bool:
    shape = _array(e).aval.shape if len(e.outvars) == 1 else ()
    if len(shape) < 2 or shape[-1] not in _SHORT or _array(e).aval.size < _LARGE or e.outvars[0].aval.weak_type:
        return False
    if e.prim.name in REDUCTIONS:
        return _array(e).aval.dtype == e.outvars[0].aval.dtype
    return fits_a_nest(e)


def _groups(eqns: Iterable[Eqn]) -> list[list[Eqn]]:
    """Candidates that are joined by variables."""
    group_of: dict[Var, list[Eqn]] = {}
    groups: dict[int, list[Eqn]] = {}
    for e in eqns:
        if not _is_candidate(e):
            continue
        joined = {id(g): g for v in e.invars if type(v) is Var and (g := group_of.get(v)) is not None}
        group = [q for i in joined for q in groups.pop(i)] + [e]
        groups[id(group)] = group
        for q in group:
            group_of[q.outvars[0]] = group
    return list(groups.values())


def _pays(group: list[Eqn], readers: dict[Var, list[Eqn | None]]) -> bool:
    """True if sums are among the equations, and what they read and leave is small."""
    inside, made = set(group), {e.outvars[0] for e in group}
    border = [v for e in group for v in e.invars if type(v) is Var and v not in made and v.aval.shape[-1:] != (1,)]
    border += [e.outvars[0] for e in group if _has_parts(e) and not inside.issuperset(readers.get(e.outvars[0], ()))]
    limit = max([_array(e).aval.size for e in group]) // _LESS
    return any([e.prim.name in REDUCTIONS for e in group]) and all([v.aval.size <= limit for v in border])


def _has_parts(e: Eqn) -> bool:
    """True if the result keeps the short axis."""
    return e.prim.name not in REDUCTIONS or _array(e).aval.ndim - 1 not in e.params["axes"]


class _Split:
    """The program that is being written, and the parts of variables along their short axes."""

    def __init__(self) -> None:
        self.eqns: list[Eqn] = []
        self.parts: dict[tuple[Var, int], Var] = {}

    def emit(self, like: Eqn, name: str, *operands: Atom, out: Var | None = None, **params: Any) -> Var:
        prim = registry[name]
        out = out or Var(prim.abstract(*[v.aval for v in operands], **params))
        self.eqns.append(Eqn(prim, operands, (out,), params, like.where))
        return out

    def part(self, e: Eqn, v: Atom, k: int) -> Atom:
        """Index k of an operand of `e` along its last axis."""
        shape = v.aval.shape
        if type(v) is not Var or not shape:
            return v
        k = k if shape[-1] > 1 else 0
        if (v, k) not in self.parts:
            x = v
            if shape[-1] > 1:
                start, stop = (*[0] * (len(shape) - 1), k), (*shape[:-1], k + 1)
                x = self.emit(e, "slice", x, start_indices=start, limit_indices=stop, strides=None)
            self.parts[v, k] = self.emit(e, "reshape", x, new_sizes=shape[:-1])
        return self.parts[v, k]

    def run(self, e: Eqn, is_read: bool) -> None:
        """An equation as one for each part; `is_read`: also its whole result, by others."""
        (out,), name, params = e.outvars, e.prim.name, e.params
        count = _array(e).aval.shape[-1]
        operands = [[self.part(e, v, k) for v in e.invars] for k in range(count)]
        if not _has_parts(e):
            axes = params["axes"][:-1]
            total, *others = [x for (x,) in operands]
            for i, x in enumerate(others):
                last = i == len(others) - 1 and not axes
                total = self.emit(e, _COMBINE[name], total, x, out=out if last else None)
            if axes:
                self.emit(e, name, total, out=out, axes=axes)
            return
        made = [self.emit(e, name, *xs, **params) for xs in operands]
        self.parts.update({(out, k): x for k, x in enumerate(made)})
        if is_read:
            columns = [self.emit(e, "reshape", x, new_sizes=(*x.aval.shape, 1)) for x in made]
            self.emit(e, "concatenate", *columns, out=out, dimension=out.aval.ndim - 1)


def split_short_axes(jaxpr: Jaxpr) -> Jaxpr:
    """The same program with short last axes of large arrays as arrays of their own, where that pays."""
    groups = _groups(jaxpr.eqns)
    if not groups:
        return jaxpr
    readers: dict[Var, list[Eqn | None]] = {v: [None] for v in jaxpr.outvars if type(v) is Var}
    for e in jaxpr.eqns:
        for v in e.invars:
            if type(v) is Var:
                readers.setdefault(v, []).append(e)
    chosen = {e for group in groups if _pays(group, readers) for e in group}
    split = _Split()
    for e in jaxpr.eqns:
        if e in chosen:
            split.run(e, not chosen.issuperset(readers.get(e.outvars[0], ())))
        else:
            split.eqns.append(e)
    return jaxpr.replace(eqns=split.eqns)
