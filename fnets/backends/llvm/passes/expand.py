"""Compound primitives in terms of those that kernels are made of. May import core, grouping, random_kernels, text.

softmax, log_softmax and logsumexp become elementwise work and reductions, basic indices slices and reshapes, reductions over trailing and other
axes two reductions, products with a number multiplications. What sorts along another axis than the last sorts what is transposed, and
permutations are the orders of random bits. A sum of pieces that are padded with zeros to lie side by side becomes their concatenation; one
element put into each row of zeros, a comparison of the columns' numbers.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from fnets.backends.llvm.code.text import DOUBLE, SINGLE, is_supported
from fnets.backends.llvm.schedule.grouping import REDUCTIONS, fits_a_nest
from fnets.core.avals import ShapedArray
from fnets.core.ir import Atom, Eqn, Jaxpr, Literal, Var, drop_dead
from fnets.core.primitive import registry
from fnets.primitives.random_kernels import order_rounds


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


def _ranges(spec: tuple, shape: tuple[int, ...]) -> tuple[list[tuple[int, int, int]], tuple[int, ...]]:
    """(first, number, step) of each axis that a basic index reads, upwards; and the axes that it reads downwards."""
    entries = [(k, k + 1, 1) if type(k) is int else k for k in spec if k is not None]
    entries = [(0, shape[a], 1) if type(k) is slice else k for a, k in enumerate(entries)]
    entries += [(0, n, 1) for n in shape[len(entries) :]]
    out = []
    for start, stop, step in entries:
        n = len(range(start, -1 if stop is None else stop, step))
        out.append((start if step > 0 else start + (n - 1) * step, n, abs(step)))
    return out, tuple([k for k, (*_, step) in enumerate(entries) if step < 0])


def _getitem(e: Eqn) -> list[Eqn] | None:
    (x,) = e.invars
    if type(x) is not Var or 0 in e.outvars[0].aval.shape:
        return None
    ranges, down = _ranges(e.params["spec"], x.aval.shape)
    w = _Writer(e)
    if any([r != (0, n, 1) for r, n in zip(ranges, x.aval.shape)]):
        starts, _, steps = zip(*ranges)
        stops = tuple([start + (n - 1) * step + 1 for start, n, step in ranges])
        x = w("slice", x, start_indices=starts, limit_indices=stops, strides=steps if max(steps) > 1 else None)
    if down:
        x = w("rev", x, dimensions=down)
    return w.ending_in(w("reshape", x, new_sizes=e.outvars[0].aval.shape))


def _place(e: Eqn) -> list[Eqn] | None:
    (y,) = e.invars
    shape = e.params["shape"]
    if type(y) is not Var or 0 in (*shape, *y.aval.shape):
        return None
    ranges, down = _ranges(e.params["spec"], shape)
    w = _Writer(e)
    y = w("reshape", y, new_sizes=tuple([n for _, n, _ in ranges]))
    if down:
        y = w("rev", y, dimensions=down)
    if any([r != (0, n, 1) for r, n in zip(ranges, shape)]):
        config = [(at, size - at - (n - 1) * step - 1, step - 1) for (at, n, step), size in zip(ranges, shape)]
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


def _sorting(e: Eqn) -> list[Eqn] | None:
    x, axis = e.invars[0].aval, e.params["dimension"]
    behind = x.shape[axis + 1 :]
    plain = all([type(v) is Var and is_supported(v.aval.dtype) for v in e.invars])
    if not plain or axis == x.ndim - 1:
        return None
    w = _Writer(e)
    if all([n == 1 for n in behind]):
        rows = [w("reshape", v, new_sizes=x.shape[: axis + 1]) for v in e.invars]
        y = w(e.prim.name, *rows, **{**e.params, "dimension": axis})
        return w.ending_in(w("reshape", y, new_sizes=x.shape))
    last = x.ndim - 1
    swapped = tuple([{axis: last, last: axis}.get(i, i) for i in range(x.ndim)])
    rows = [w("transpose", v, permutation=swapped) for v in e.invars]
    return w.ending_in(w("transpose", w(e.prim.name, *rows, **{**e.params, "dimension": last}), permutation=swapped))


def _random_order(e: Eqn) -> list[Eqn] | None:
    """The kernel's rounds: the order of random bits, which each further round puts into the order of others."""
    key, shape = e.invars[0], e.params["shape"]
    rounds, batch = order_rounds(shape), key.aval.shape[:-1]
    if type(key) is not Var or key.aval.shape[-1] != 2 or e.params["axis"] != len(shape) - 1:
        return None
    if rounds == 0 or rounds > 1 and (batch or len(shape) > 1) or 0 in (*batch, *shape):
        return None
    w, order = _Writer(e), None

    def half(keys: Var, i: int) -> Var:
        first, last = (0,) * len(batch) + (i, 0), (*batch, i + 1, 2)
        part = w("slice", keys, start_indices=first, limit_indices=last, strides=None)
        return w("reshape", part, new_sizes=(*batch, 2))

    for further in range(rounds - 1, -1, -1):
        keys = w("random_split", key, shape=(2,))
        bits = w("random_bits", half(keys, 1), shape=shape, width=32)
        places = w("argsort", bits, dimension=bits.aval.ndim - 1, is_stable=True)
        order = places if order is None else w("gather", order, places, axes=(0,), unique=True)
        key = half(keys, 0) if further else key
    assert order is not None
    return w.ending_in(order)


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
    **dict.fromkeys(("sort", "argsort", "lexsort"), _sorting),
    "random_order": _random_order,
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
