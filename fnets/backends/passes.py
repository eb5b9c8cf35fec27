"""Jaxpr to jaxpr: inlining, simplification, constant folding, common subexpressions, dead code. May import core.

Every pass keeps values bit for bit, so a jitted function agrees with the eager one. `optimise` rewrites forwards once: each
equation, with its operands already replaced, is inlined, simplified, folded or matched against an earlier equal one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray
from fnets.core.ir import Atom, Eqn, Jaxpr, Literal, Var, drop_dead, has_effect, sub_jaxprs

_FOLD_LIMIT = 16  # elements; larger results of constant operands are computed at run time, not stored


class Rewriter:
    """The state of one forward rewrite."""

    def __init__(self) -> None:
        self.env: dict[Var, Atom] = {}
        self.eqns: list[Eqn] = []
        self.maker: dict[Var, Eqn] = {}  # the rewritten equation that defines a variable
        self.seen: dict[Any, tuple[Var, ...]] = {}
        self.splat: dict[Var, Literal] = {}  # variables all of whose elements are one literal
        self.consts: dict[int, tuple[Var, Any]] = {}
        self.value_of: dict[Var, Any] = {}  # constants by variable

    def read(self, atom: Atom) -> Atom:
        return atom if type(atom) is Literal else self.env.get(atom, atom)

    def const(self, var: Var, value: Any) -> None:
        known = self.consts.get(id(value))
        if known is None:
            self.consts[id(value)] = (var, value)
            self.value_of[var] = value
        else:
            self.env[var] = known[0]

    def emit(self, e: Eqn) -> None:
        for v in e.outvars:
            self.maker[v] = e
        self.eqns.append(e)

    def run(self, eqns: tuple[Eqn, ...]) -> None:
        for e in eqns:
            e = e.replace(invars=[self.read(v) for v in e.invars])
            if e.prim.kind == "call":
                self.inline(e)
                continue
            if not e.prim.multi:
                e = drop_broadcasts(self, e)
                known = simplify(self, e) or fold(self, e)
                if known is not None:
                    self.env[e.outvars[0]] = known
                    continue
            if not self.match(e):
                self.emit(e)

    def inline(self, e: Eqn) -> None:
        inner: Jaxpr = e.params["jaxpr"]
        saved = self.env
        self.env = dict(zip(inner.invars, e.invars))
        for v, c in zip(inner.constvars, inner.consts):
            self.const(v, c)
        # variables of the inner jaxpr may have been used by an earlier inlining of the same jaxpr: give every equation new ones
        fresh: list[Eqn] = []
        for q in inner.eqns:
            outs = [Var(v.aval) for v in q.outvars]
            fresh.append(q.replace(invars=[self.read(v) for v in q.invars], outvars=outs))
            self.env.update(zip(q.outvars, outs))
        results = [self.read(v) for v in inner.outvars]
        self.env = saved
        self.run(tuple(fresh))
        for v, r in zip(e.outvars, results):
            self.env[v] = self.read(r)

    def match(self, e: Eqn) -> bool:
        """Common subexpressions: reuse an earlier equation with the same primitive, operands and parameters."""
        if e.prim.kind == "barrier" or has_effect(e):
            return False
        operands = tuple([(type(v.val), v.val, str(v.val), v.aval) if type(v) is Literal else v for v in e.invars])
        key = (e.prim, operands, tuple(sorted(e.params.items(), key=lambda item: item[0])))
        earlier = self.seen.get(key)
        if earlier is None:
            self.seen[key] = e.outvars
            return False
        self.env.update(zip(e.outvars, earlier))
        return True


def optimise(jaxpr: Jaxpr) -> Jaxpr:
    """The same program with calls inlined, simplified, without repeated or dead equations."""
    r = Rewriter()
    for v, c in zip(jaxpr.constvars, jaxpr.consts):
        r.const(v, c)
    r.run(jaxpr.eqns)
    outvars = [r.read(v) for v in jaxpr.outvars]
    return drop_dead(
        Jaxpr([v for v, _ in r.consts.values()], [c for _, c in r.consts.values()], jaxpr.invars, r.eqns, outvars)
    )


# ------------------------------------------------------------------ rules on single equations


def _is_number(atom: Atom, value: float) -> bool:
    """True for the literal `value`; zeros must agree in sign too."""
    if type(atom) is not Literal or atom.aval.dtype.kind not in "biufc":
        return False
    return bool(atom.val == value) and (value != 0 or not np.signbit(np.real(atom.val)))


def _same_type(a: Atom, b: Var) -> bool:
    return a.aval.shape == b.aval.shape and a.aval.dtype == b.aval.dtype and a.aval.weak_type == b.aval.weak_type


def drop_broadcasts(r: Rewriter, e: Eqn) -> Eqn:
    """Elementwise operations broadcast by themselves: read the source of a broadcast (or the literal behind it) directly."""
    if e.prim.kind != "elementwise" or len(e.invars) < 2:
        return e
    invars = list(e.invars)
    shape = e.outvars[0].aval.shape
    for i, v in enumerate(invars):
        others = [w.aval.shape for j, w in enumerate(invars) if j != i]
        source = _broadcast_source(r, v)
        if source is not None and _broadcasts_to([source.aval.shape, *others], shape):
            invars[i] = source
    return e.replace(invars=invars) if tuple(invars) != e.invars else e


def _broadcast_source(r: Rewriter, v: Atom) -> Atom | None:
    if type(v) is Literal:
        return None
    literal = r.splat.get(v)
    if literal is not None:
        return literal
    maker = r.maker.get(v)
    if maker is not None and maker.prim.name == "broadcast_to":
        source = maker.invars[0]
        if type(source) is Var:
            inner = r.maker.get(source)  # a scalar reshaped to ones is the scalar
            if inner is not None and inner.prim.name == "reshape" and inner.invars[0].aval.shape == ():
                return inner.invars[0]
        return source
    if maker is not None and maker.prim.name == "reshape" and maker.invars[0].aval.shape == ():
        return maker.invars[0]
    return None


def _broadcasts_to(shapes: list[tuple[int, ...]], target: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(*shapes) == target
    except ValueError:
        return False


def simplify(r: Rewriter, e: Eqn) -> Atom | None:
    """An atom that equals the equation's result, if algebra finds one; may emit a simpler equation for it."""
    rule = _SIMPLIFY.get(e.prim.name)
    return None if rule is None else rule(r, e)


def _neutral(*pairs: tuple[int, float]) -> Callable[[Rewriter, Eqn], Atom | None]:
    """x op value is x: `(position of the value, value)` pairs."""

    def rule(r: Rewriter, e: Eqn) -> Atom | None:
        for position, value in pairs:
            x = e.invars[1 - position]
            if _is_number(e.invars[position], value) and _same_type(x, e.outvars[0]):
                return x
        return None

    return rule


def _neg(r: Rewriter, e: Eqn) -> Atom | None:
    maker = r.maker.get(e.invars[0])  # type: ignore[arg-type]
    return maker.invars[0] if maker is not None and maker.prim.name == "neg" else None


def _integer_pow(r: Rewriter, e: Eqn) -> Atom | None:
    return e.invars[0] if e.params["y"] == 1 else None


def _restructure(r: Rewriter, e: Eqn, prim: Any, x: Atom, params: dict) -> Atom:
    out = Var(e.outvars[0].aval)
    new = Eqn(prim, (x,), (out,), params, e.where)
    known = simplify(r, new)
    if known is not None:
        return known
    if not r.match(new):
        r.emit(new)
    return r.read(out)


def _splatted(r: Rewriter, e: Eqn) -> None:
    x = e.invars[0]
    literal = x if type(x) is Literal else r.splat.get(x)
    if literal is not None and not literal.aval.weak_type:
        r.splat[e.outvars[0]] = literal


def _reshape(r: Rewriter, e: Eqn) -> Atom | None:
    x = e.invars[0]
    if _same_type(x, e.outvars[0]):
        return x
    _splatted(r, e)
    maker = r.maker.get(x) if type(x) is Var else None
    if maker is not None and maker.prim.name == "reshape":
        return _restructure(r, e, e.prim, maker.invars[0], e.params)
    return None


def _transpose(r: Rewriter, e: Eqn) -> Atom | None:
    x, permutation = e.invars[0], e.params["permutation"]
    if permutation == tuple(range(len(permutation))):
        return x
    _splatted(r, e)
    maker = r.maker.get(x) if type(x) is Var else None
    if maker is not None and maker.prim.name == "transpose":
        inner = maker.params["permutation"]
        return _restructure(r, e, e.prim, maker.invars[0], {"permutation": tuple(inner[i] for i in permutation)})
    return None


def _broadcast(r: Rewriter, e: Eqn) -> Atom | None:
    x = e.invars[0]
    if _same_type(x, e.outvars[0]):
        return x
    _splatted(r, e)
    return None


def _convert(r: Rewriter, e: Eqn) -> Atom | None:
    return e.invars[0] if _same_type(e.invars[0], e.outvars[0]) else None


def _select(r: Rewriter, e: Eqn) -> Atom | None:
    _, a, b = e.invars
    return a if a is b and _same_type(a, e.outvars[0]) else None


def _stop_gradient(r: Rewriter, e: Eqn) -> Atom | None:
    return e.invars[0]  # derivatives have been taken


_SIMPLIFY: dict[str, Callable[[Rewriter, Eqn], Atom | None]] = {
    "mul": _neutral((0, 1), (1, 1)),
    "div": _neutral((1, 1)),
    "sub": _neutral((1, 0)),
    "neg": _neg,
    "integer_pow": _integer_pow,
    "reshape": _reshape,
    "select": _select,
    "stop_gradient": _stop_gradient,
    "transpose": _transpose,
    "broadcast_to": _broadcast,
    "convert_element_type": _convert,
}


def fold(r: Rewriter, e: Eqn) -> Atom | None:
    """Compute now what depends on constants alone and is small."""
    out = e.outvars[0].aval
    if (
        e.prim.effectful
        or e.prim.kind == "barrier"
        or out.size > _FOLD_LIMIT
        or any(True for _ in sub_jaxprs(e.params))
    ):
        return None
    values = []
    for v in e.invars:
        if type(v) is Literal:
            values.append(v.val)
        elif v in r.value_of and isinstance(r.value_of[v], np.ndarray):
            values.append(r.value_of[v])
        else:
            return None
    with np.errstate(all="ignore"):
        result = e.prim.impl(*values, **e.params)
    if out.shape == ():
        return Literal(
            result.item() if out.weak_type else np.asarray(result, out.dtype)[()],
            ShapedArray((), out.dtype, out.weak_type),
        )
    if e.prim.kind == "view" and all(type(v) is Literal for v in e.invars):
        return None  # a repeated literal stays visible to `drop_broadcasts`
    var = Var(out)
    value = np.array(result)
    r.consts[id(value)] = (var, value)
    r.value_of[var] = value
    return var
