"""Compound primitives in terms of those that kernels are made of: softmax, log_softmax, logsumexp over trailing axes. May import core, text."""

from __future__ import annotations

from typing import Any

from fnets.backends.llvm.text import DOUBLE, SINGLE
from fnets.core.avals import ShapedArray
from fnets.core.ir import Atom, Eqn, Jaxpr, Literal, Var
from fnets.core.primitive import registry


class _Writer:
    """Appends the equations that stand for one equation, whose result the last of them has."""

    def __init__(self, e: Eqn):
        self.e = e
        self.eqns: list[Eqn] = []

    def __call__(self, name: str, *operands: Atom, **params: Any) -> Var:
        prim = registry[name]
        out = Var(prim.abstract(*[v.aval for v in operands], **params))
        self.eqns.append(Eqn(prim, operands, (out,), params, self.e.where))
        return out

    def ending_in(self, result: Var) -> list[Eqn]:
        return [q.replace(outvars=self.e.outvars) if q.outvars[0] is result else q for q in self.eqns]


def _shifted(w: _Writer, x: Atom, axes: tuple[int, ...], kept: tuple[int, ...]) -> tuple[Var, Var]:
    """(x minus its maximum over the axes, that maximum)."""
    peak = w("reduce_max", x, axes=axes)
    return w("sub", x, w("reshape", peak, new_sizes=kept)), peak


def _softmax(w: _Writer, x: Atom, axes: tuple[int, ...], kept: tuple[int, ...]) -> Var:
    powers = w("exp", _shifted(w, x, axes, kept)[0])
    total = w("reduce_sum", powers, axes=axes)
    return w("div", powers, w("reshape", total, new_sizes=kept))


def _log_softmax(w: _Writer, x: Atom, axes: tuple[int, ...], kept: tuple[int, ...]) -> Var:
    shifted, _ = _shifted(w, x, axes, kept)
    total = w("log", w("reduce_sum", w("exp", shifted), axes=axes))
    return w("sub", shifted, w("reshape", total, new_sizes=kept))


def _logsumexp(w: _Writer, x: Atom, axes: tuple[int, ...], kept: tuple[int, ...]) -> Var:
    peak = w("reduce_max", x, axes=axes)
    zero = Literal(peak.aval.dtype.type(0), ShapedArray((), peak.aval.dtype))
    peak = w(
        "select", w("is_finite", peak), peak, zero
    )  # a row of -inf sums to exactly 0 then; one with +inf or nan keeps it
    powers = w("exp", w("sub", x, w("reshape", peak, new_sizes=kept)))
    return w("add", w("log", w("reduce_sum", powers, axes=axes)), peak)


_EXPANSIONS = {"softmax": _softmax, "log_softmax": _log_softmax, "logsumexp": _logsumexp}


def expand(jaxpr: Jaxpr) -> Jaxpr:
    """The same program without the compound primitives, where kernels can do better."""
    eqns: list[Eqn] = []
    for e in jaxpr.eqns:
        eqns += _expanded(e) if e.prim.name in _EXPANSIONS else [e]
    return jaxpr.replace(eqns=eqns)


def _expanded(e: Eqn) -> list[Eqn]:
    x, axes = e.invars[0], e.params["axes"]
    shape = x.aval.shape
    kept = shape[: len(shape) - len(axes)] + (1,) * len(axes)
    trailing = axes == tuple(range(len(shape) - len(axes), len(shape)))
    if type(x) is not Var or x.aval.dtype not in (SINGLE, DOUBLE) or not axes or not trailing or x.aval.size == 0:
        return [e]
    w = _Writer(e)
    return w.ending_in(_EXPANSIONS[e.prim.name](w, x, axes, kept))
