"""Arrays that are put together of pieces, made where they are read or in one go with their pieces. May import core, grouping.

Padding, joining and updates of a part are copies, and what they copy has often just been made. Here they become choices between padded pieces, which
nests read without copying, and what made a large piece runs over the whole array instead: a step of a finite-difference scheme
with its boundary is then one nest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from fnets.backends.llvm.schedule.grouping import REDUCTIONS, fits_a_nest
from fnets.core.avals import ShapedArray
from fnets.core.ir import Atom, Eqn, Jaxpr, Literal, Var, drop_dead
from fnets.core.primitive import registry

Config = tuple[tuple[int, int, int], ...]
_MORE = 1.25  # so many times larger may an array be than the piece whose equations run over all of it
_ROW = 64  # elements between two edges, at least
_FEW = 3  # pieces between which a choice is made where they are read
_TRUE = Literal(np.True_, ShapedArray((), np.bool_))


def put_together(jaxpr: Jaxpr) -> Jaxpr:
    """The same program with less copying."""
    if not any([e.prim.name in _RULES for e in jaxpr.eqns]):
        return jaxpr
    writer = _Pieces(jaxpr)
    for e in jaxpr.eqns:
        rule = _RULES.get(e.prim.name)
        if rule is None or e.outvars[0].aval.size == 0 or e.outvars[0].aval.weak_type or not rule(writer, e):
            writer.eqns.append(e)
    return drop_dead(jaxpr.replace(eqns=writer.eqns)) if writer.changed else jaxpr


class _Pieces:
    """The program that is being written."""

    def __init__(self, jaxpr: Jaxpr):
        self.eqns: list[Eqn] = []
        self.changed = False
        self.maker = {e.outvars[0]: e for e in jaxpr.eqns if len(e.outvars) == 1}
        self.readers: dict[Atom, list[Eqn | None]] = {v: [None] for v in jaxpr.outvars if type(v) is Var}
        for e in jaxpr.eqns:
            for v in e.invars:
                if type(v) is Var:
                    self.readers.setdefault(v, []).append(e)

    def emit(self, like: Eqn, name: str, *operands: Atom, out: Var | None = None, **params: Any) -> Var:
        prim = registry[name]
        out = out or Var(prim.abstract(*[v.aval for v in operands], **params))
        self.eqns.append(Eqn(prim, operands, (out,), params, like.where))
        return out

    # ------------------------------------------------------------------ what makes a piece

    def cluster(self, v: Atom, shape: tuple[int, ...], config: Config) -> set[Eqn]:
        """The elementwise equations that make a piece for nobody else, if they may as well run over the whole array."""
        if v.aval.size * _MORE < prod(shape) or any(
            [n == 1 and edges != (0, 0, 0) for n, edges in zip(v.aval.shape, config)]
        ):
            return set()
        inside: set[Eqn] = set()
        seen: Counter[Atom] = Counter([v])
        waiting = [v]
        while waiting:
            u = waiting.pop()
            e = self.maker.get(u)  # type: ignore[arg-type]
            if e is None or seen[u] < len(self.readers[u]) or u.aval.shape != v.aval.shape or u.aval.weak_type:
                continue
            if e.prim.name not in REDUCTIONS and fits_a_nest(e):
                inside.add(e)
                seen.update([x for x in e.invars if type(x) is Var])
                waiting += dict.fromkeys([x for x in e.invars if type(x) is Var])
        return inside

    def larger(self, v: Atom, config: Config, inside: set[Eqn], like: Eqn, known: dict[Atom, Atom]) -> Atom:
        """A piece with padding: zeros, or whatever comes out there of equations that run over the whole array."""
        if v in known:
            return known[v]
        e = self.maker.get(v)  # type: ignore[arg-type]
        if e in inside:
            operands = [self.larger(x, config, inside, like, known) for x in e.invars]
            known[v] = self.emit(e, e.prim.name, *operands, **e.params)
            return known[v]
        edges = [(0, 0, 0) if n == 1 else edge for n, edge in zip(v.aval.shape, config[len(config) - v.aval.ndim :])]
        if any([edge != (0, 0, 0) for edge in edges]):
            zero = Literal(v.aval.dtype.type(0), ShapedArray((), v.aval.dtype))
            known[v] = self.emit(like, "pad", v, zero, padding_config=tuple(edges))
        return known.setdefault(v, v)

    def choose(
        self, e: Eqn, pieces: Sequence[tuple[Atom, Config]], clusters: Sequence[set[Eqn]], other: Atom | None = None
    ) -> bool:
        """Write the result of an equation: each piece at its place, elsewhere `other`, or the last piece."""
        for k, ((v, config), inside) in reversed([*enumerate(zip(pieces, clusters))]):
            piece = self.larger(v, config, inside, e, {})
            if other is None:
                other = piece
                continue
            ones = self.emit(e, "broadcast_to", _TRUE, shape=v.aval.shape)
            here = self.emit(e, "pad", ones, Literal(np.False_, ShapedArray((), np.bool_)), padding_config=config)
            other = self.emit(e, "select", here, piece, other, out=e.outvars[0] if k == 0 else None)
        self.changed = True
        return True

    # ------------------------------------------------------------------ equations

    def pad(self, e: Eqn) -> bool:
        v, fill = e.invars
        config = e.params["padding_config"]
        if not _has_rows(e, config) or type(fill) is not Literal or min([min(edges) for edges in config]) < 0:
            return False
        inside = self.cluster(v, e.outvars[0].aval.shape, config)
        return bool(inside) and self.choose(e, [(v, config)], [inside], fill)

    def update(self, e: Eqn) -> bool:
        x, v = e.invars
        shape = x.aval.shape
        spec = [*e.params["spec"], *[(0, n, 1) for n in shape[len(e.params["spec"]) :]]]
        if e.params["op"] != "set" or len(spec) != len(shape) or any([type(k) is not tuple or k[2] != 1 for k in spec]):
            return False
        config = tuple([(start, n - stop, 0) for (start, stop, _), n in zip(spec, shape)])
        if not _has_rows(e, config) or type(x) is not Var or x.aval.weak_type:
            return False
        inside = self.cluster(v, shape, config)
        return bool(inside) and self.choose(e, [(v, config)], [inside], x)

    def concatenate(self, e: Eqn) -> bool:
        shape, d, at, pieces = e.outvars[0].aval.shape, e.params["dimension"], 0, []
        for v in e.invars:
            end = at + v.aval.shape[d]
            config = tuple([(at, shape[d] - end, 0) if k == d else (0, 0, 0) for k in range(len(shape))])
            pieces += [(v, config)] if end > at else []
            at = end
        if not 1 < len(pieces) <= _FEW or not all([_has_rows(e, config) for _, config in pieces]):
            return False
        if any([type(v) is not Var or v.aval.dtype != e.outvars[0].aval.dtype or v.aval.weak_type for v in e.invars]):
            return False
        clusters = [self.cluster(v, shape, config) for v, config in pieces]
        if not any(clusters) and not all([r is not None and fits_a_nest(r) for r in self.readers[e.outvars[0]]]):
            return False
        return self.choose(e, pieces, clusters)


def _has_rows(e: Eqn, config: Config) -> bool:
    """True if vectors run well between the edges."""
    last = max([k for k, edges in enumerate(config) if edges != (0, 0, 0)], default=0)
    return all([between == 0 for *_, between in config]) and prod(e.outvars[0].aval.shape[last:]) >= _ROW


_RULES = {"pad": _Pieces.pad, "update": _Pieces.update, "concatenate": _Pieces.concatenate}
