"""Compound primitives in terms of those that kernels are made of. May import core, grouping, text.

softmax, log_softmax and logsumexp become elementwise work and reductions, basic indices slices and reshapes, and reductions
over trailing and other axes two reductions, products with a number multiplications. A sum of pieces that are padded with zeros to lie side by side becomes their concatenation; one element put into each row of zeros, a comparison
of the columns' numbers.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from fnets.backends.llvm.code.text import DOUBLE, SINGLE
from fnets.backends.llvm.schedule.grouping import REDUCTIONS, fits_a_nest
from fnets.core.avals import ShapedArray
from fnets.core.ir import Atom, Eqn, Jaxpr, Literal, Var, drop_dead
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


def _row_functions(e: Eqn) -> list[Eqn] | None:
    x, axes = e.invars[0], e.params["axes"]
    kept = tuple([1 if a in axes else n for a, n in enumerate(x.aval.shape)])
    if type(x) is not Var or x.aval.dtype not in (SINGLE, DOUBLE) or not axes or x.aval.size == 0:
        return None
    w = _Writer(e)
    return w.ending_in(_ROWS[e.prim.name](w, x, axes, kept))


def _ranges(spec: tuple, shape: tuple[int, ...]) -> list[tuple[int, int, int]] | None:
    """(start, stop, step) of each axis that a basic index reads; None if a step is negative."""
    entries = [(k, k + 1, 1) if type(k) is int else k for k in spec if k is not None]
    entries = [(0, shape[a], 1) if type(k) is slice else k for a, k in enumerate(entries)]
    entries += [(0, n, 1) for n in shape[len(entries) :]]
    return None if any([stop is None or step < 0 for _, stop, step in entries]) else entries


def _getitem(e: Eqn) -> list[Eqn] | None:
    (x,) = e.invars
    ranges = _ranges(e.params["spec"], x.aval.shape)
    if ranges is None or type(x) is not Var:
        return None
    w = _Writer(e)
    if any([r != (0, n, 1) for r, n in zip(ranges, x.aval.shape)]):
        starts, stops, steps = zip(*ranges)
        steps = steps if any([s != 1 for s in steps]) else None
        x = w("slice", x, start_indices=starts, limit_indices=stops, strides=steps)
    return w.ending_in(w("reshape", x, new_sizes=e.outvars[0].aval.shape))


def _place(e: Eqn) -> list[Eqn] | None:
    (y,) = e.invars
    shape = e.params["shape"]
    ranges = _ranges(e.params["spec"], shape)
    if ranges is None or type(y) is not Var or 0 in (*shape, *y.aval.shape):
        return None
    w = _Writer(e)
    counts = [len(range(*r)) for r in ranges]
    y = w("reshape", y, new_sizes=tuple(counts))
    if any([r != (0, n, 1) for r, n in zip(ranges, shape)]):
        config = [
            (start, n - start - (count - 1) * step - 1, step - 1)
            for (start, _, step), count, n in zip(ranges, counts, shape)
        ]
        zero = Literal(y.aval.dtype.type(0), ShapedArray((), y.aval.dtype))
        y = w("pad", y, zero, padding_config=tuple(config))
    return w.ending_in(y)


def _reduction(e: Eqn) -> list[Eqn] | None:
    x, axes = e.invars[0], e.params["axes"]
    last = x.aval.ndim
    while last - 1 in axes:
        last -= 1  # those from here on are trailing axes
    others = tuple([a for a in axes if a < last])
    if fits_a_nest(e) or not others or last == x.aval.ndim:
        return None
    w = _Writer(e)
    return w.ending_in(w(e.prim.name, w(e.prim.name, x, axes=tuple(range(last, x.aval.ndim))), axes=others))


def _scaled(e: Eqn) -> list[Eqn] | None:
    """A product with a number."""
    avals = [v.aval for v in e.invars]
    if () not in [a.shape for a in avals] or any([a.weak_type or a.dtype != avals[0].dtype for a in avals]):
        return None
    w = _Writer(e)
    return w.ending_in(w("mul", *e.invars))


_ROWS = {"softmax": _softmax, "log_softmax": _log_softmax, "logsumexp": _logsumexp}
_EXPANSIONS = {
    **dict.fromkeys(_ROWS, _row_functions),
    **dict.fromkeys(REDUCTIONS, _reduction),
    "getitem": _getitem,
    "place": _place,
    "dot_general": _scaled,
}


def _expanded(e: Eqn) -> list[Eqn]:
    rule = _EXPANSIONS.get(e.prim.name)
    parts = rule and rule(e)
    return [q for part in parts for q in _expanded(part)] if parts else [e]


def expand(jaxpr: Jaxpr) -> Jaxpr:
    """The same program without the compound primitives, where kernels can do better."""
    eqns = [q for e in jaxpr.eqns for q in _expanded(e)]
    return _join_pieces(_one_in_each_row(jaxpr.replace(eqns=eqns)))


# ------------------------------------------------------------------ rows with one element


def _one_in_each_row(jaxpr: Jaxpr) -> Jaxpr:
    """Gradients of `x[arange(n), indices]` made where they are read; `gather` is there to complain about indices out of range."""
    gathers = {(e.invars[1:], e.invars[0].aval.shape) for e in jaxpr.eqns if e.prim.name == "gather"}
    values = dict(zip(jaxpr.constvars, jaxpr.consts))
    numbers: dict[int, Var] = {}  # of the columns
    eqns: list[Eqn] = []
    for e in jaxpr.eqns:
        shape = e.params["shape"] if e.prim.name == "gather_transpose" else ()
        if shape and (e.invars[1:], shape) in gathers and _takes_one_of_each_row(e, values):
            columns = numbers.setdefault(shape[1], Var(ShapedArray((shape[1],), np.int32)))
            eqns += _compared(e, columns)
        else:
            eqns.append(e)
    if not numbers:
        return jaxpr
    constvars, consts = (*jaxpr.constvars, *numbers.values()), [np.arange(n, dtype=np.int32) for n in numbers]
    return drop_dead(jaxpr.replace(eqns=eqns, constvars=constvars, consts=(*jaxpr.consts, *consts)))


def _takes_one_of_each_row(e: Eqn, values: dict[Var, Any]) -> bool:
    """True if the indices are a column of row numbers, and one of any column numbers."""
    shape, (updates, *indices) = e.params["shape"], e.invars
    column = (shape[0], 1)
    if e.params["axes"] != (0, 1) or len(shape) != 2 or any([type(v) is not Var for v in e.invars]):
        return False
    kinds = [v.aval.dtype.kind == "i" and v.aval.dtype.itemsize >= 4 for v in indices]
    rows = values.get(indices[0])  # type: ignore[call-overload]
    return (
        all(kinds)
        and not updates.aval.weak_type
        and all([v.aval.shape == column for v in e.invars])
        and shape[1] < 1 << 31
        and rows is not None
        and np.array_equal(np.ravel(rows), np.arange(shape[0]))
    )


def _compared(e: Eqn, columns: Var) -> list[Eqn]:
    """A column of updates where a column of indices has the numbers of the columns, zeros elsewhere."""
    updates, _, indices = e.invars
    w = _Writer(e)
    aval = indices.aval
    zero, n = [Literal(aval.dtype.type(i), ShapedArray((), aval.dtype)) for i in (0, e.params["shape"][1])]
    indices = w("select", w("lt", indices, zero), w("add", indices, n), indices)
    if aval.dtype != np.int32:
        indices = w("convert_element_type", indices, new_dtype=np.dtype(np.int32))
    nothing = Literal(updates.aval.dtype.type(0), ShapedArray((), updates.aval.dtype))
    return w.ending_in(w("select", w("eq", indices, columns), updates, nothing))


# ------------------------------------------------------------------ pieces of a whole


def _join_pieces(jaxpr: Jaxpr) -> Jaxpr:
    maker = {e.outvars[0]: e for e in jaxpr.eqns if e.prim.name in ("add", "pad")}
    if not any([e.prim.name == "pad" for e in maker.values()]):
        return jaxpr
    uses = Counter([v for e in jaxpr.eqns for v in e.invars] + list(jaxpr.outvars))

    def pads(v: Atom) -> list[Eqn] | None:
        """The terms of a sum, if all of them are padded."""
        e = maker.get(v)  # type: ignore[arg-type]
        if e is None or e.prim.name == "pad":
            return None if e is None else [e]
        terms = [pads(x) if uses[x] == 1 else None for x in e.invars]
        return None if None in terms else [t for some in terms for t in some]  # type: ignore[union-attr]

    joined: dict[Eqn, list[Eqn]] = {}
    inside: set[Var] = set()  # what belongs to a larger sum
    for e in reversed(jaxpr.eqns):
        if e.prim.name == "add" and e.outvars[0] not in inside and (terms := pads(e.outvars[0])) is not None:
            inside.update([v for v in e.invars if type(v) is Var])
            if (eqns := _concatenation(e, terms)) is not None:
                joined[e] = eqns
        elif e.prim.name == "add" and e.outvars[0] in inside:
            inside.update([v for v in e.invars if type(v) is Var])
    if not joined:
        return jaxpr
    return drop_dead(jaxpr.replace(eqns=[q for e in jaxpr.eqns for q in joined.get(e, [e])]))


def _concatenation(e: Eqn, pads: list[Eqn]) -> list[Eqn] | None:
    """A sum of padded pieces as a concatenation, if every element of the result belongs to exactly one of them."""
    shape = e.outvars[0].aval.shape
    axes = {a for p in pads for a, widths in enumerate(p.params["padding_config"]) if widths != (0, 0, 0)}
    if len(axes) != 1 or any([v.aval.weak_type or v.aval.shape != shape for v in e.invars]):
        return None
    (axis,) = axes
    pads = sorted(pads, key=lambda p: p.params["padding_config"][axis][0])
    at = 0
    for p in pads:
        piece, fill = p.invars
        low, _, between = p.params["padding_config"][axis]
        if low != at or between or type(fill) is not Literal or fill.val != 0 or np.signbit(fill.val):
            return None
        at += piece.aval.shape[axis]
    if at != shape[axis]:
        return None
    w = _Writer(e)
    zero = Literal(e.outvars[0].aval.dtype.type(0), ShapedArray((), e.outvars[0].aval.dtype))
    pieces = [w("add", p.invars[0], zero) for p in pads]  # which makes a negative zero positive, as the sum did
    return w.ending_in(w("concatenate", *pieces, dimension=axis))
