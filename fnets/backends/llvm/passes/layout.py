"""Physical layouts: convolutions run channels-last, with as few transposes as possible. May import channels_last, core, primitives.base.

One walk over the equations keeps for each variable the memory that holds it and the order in which its axes lie there. Convolutions want
channels-last operands and leave such a result, a transpose only changes the order that is noted, and an equation whose rule is in the table
`RULES` works in the order that moves fewest elements: on the way to its operands, and on the way from its result to those who read it, whose
wishes a walk from the end has collected. All others, and the program's results, read what they need as the program wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fnets.backends.llvm.passes.channels_last import (
    conv_input_grad_last_p,
    conv_last_p,
    conv_weight_grad_last_p,
    images,
    windows,
)
from fnets.core.ir import Atom, Eqn, Jaxpr, Literal, Var, drop_dead
from fnets.core.primitive import Primitive
from fnets.primitives.base import broadcast_to_p, inverse_permutation, reshape_p, transpose_p

Ints = tuple[int, ...]
# of an equation and the order of its operands: the parameters for operands in that order and the order of its results; None if there are none
Rewrite = Callable[[Eqn, Ints], tuple[dict, Ints] | None]


class Rule(NamedTuple):
    """What the walks do with an equation.

    run: writes it, and notes where its results are.
    wishes: of the orders in which its results are wanted the (operand, order) in which operands had better be.
    """

    run: Callable[[Walk, Eqn], None]
    wishes: Callable[[Eqn, Iterable[Ints]], Iterable[tuple[Atom, Ints]]]


def channels_last(jaxpr: Jaxpr, supported: Callable[[Eqn], bool]) -> Jaxpr:
    """The same program with the convolutions that are supported channels-last; the very same if there are none."""
    convolutions = {e for e in jaxpr.eqns if e.prim.name in _CONVOLUTIONS and supported(e)}
    if not convolutions:
        return jaxpr
    rules = [_CONVOLUTIONS[e.prim.name] if e in convolutions else _rule_of(e) for e in jaxpr.eqns]
    walk = Walk(dict(zip(jaxpr.constvars, jaxpr.consts)), _wanted(jaxpr, rules))
    for e, rule in zip(jaxpr.eqns, rules):
        walk.where = e.where
        rule.run(walk, e)
    walk.where = None
    outvars = [walk.read(v) for v in jaxpr.outvars]
    return drop_dead(Jaxpr(walk.constants, walk.constants.values(), jaxpr.invars, walk.eqns, outvars))


def transposes(jaxpr: Jaxpr) -> list[Eqn]:
    """The equations that do nothing but move elements to other places."""
    return [
        e
        for e in jaxpr.eqns
        if e.prim is transpose_p and not keeps_places(e.invars[0].aval.shape, e.params["permutation"])
    ]


def _wanted(jaxpr: Jaxpr, rules: Sequence[Rule]) -> dict[Var, dict[Ints, None]]:
    """The orders in which the readers of a variable would like to have it."""
    wanted: dict[Var, dict[Ints, None]] = {}

    def wish(wishes: Iterable[tuple[Atom, Ints]]) -> None:
        for v, order in wishes:
            if type(v) is Var:
                wanted.setdefault(v, {})[order] = None

    wish([(v, unmoved(v.aval.ndim)) for v in jaxpr.outvars])
    for e, rule in zip(reversed(jaxpr.eqns), reversed(rules)):
        wish(rule.wishes(e, {order: None for v in e.outvars for order in wanted.get(v, ())}))
    return wanted


# ------------------------------------------------------------------ orders of axes: order[k] is the axis that lies k-th in memory


def unmoved(rank: int) -> Ints:
    """The order in which the program wrote the axes."""
    return tuple(range(rank))


def arranged(per_axis: Sequence, order: Ints) -> tuple:
    """What is said of each axis, in another order of the axes.

    >>> arranged((2, 3, 8, 9), (0, 2, 3, 1))
    (2, 8, 9, 3)
    """
    return tuple([per_axis[a] for a in order])


def keeps_places(shape: Ints, order: Ints) -> bool:
    """True if only axes of length one move, so that a reshape does it.

    >>> keeps_places((2, 1, 8, 9), (0, 2, 3, 1)), keeps_places((2, 3, 8, 9), (0, 2, 3, 1))
    (True, False)
    """
    long = [a for a in order if shape[a] != 1]
    return long == sorted(long)


def conversion(have: Ints, want: Ints) -> Ints:
    """The permutation that brings memory from one order into another."""
    return tuple([have.index(a) for a in want])


def _last_axes(order: Ints, rank: int) -> Ints:
    """The order of the last `rank` axes among themselves."""
    lead = len(order) - rank
    return tuple([a - lead for a in order if a >= lead])


# ------------------------------------------------------------------ the walk


class Walk:
    """The equations so far, where in memory the program's variables are, and which copies exist of it.

    place: of a variable that is not held as the program wrote it the memory (a variable of the new program) and the order of its axes there.
    copies: of a memory its transposes that exist, by permutation.
    wanted: of a variable of the program the orders in which it will be read.
    """

    def __init__(self, constants: dict[Var, Any], wanted: dict[Var, dict[Ints, None]]):
        self.constants = constants
        self.wanted = wanted
        self.eqns: list[Eqn] = []
        self.where: Any = None
        self.place: dict[Var, tuple[Var, Ints]] = {}
        self.copies: dict[Var, dict[Ints, Var]] = {}
        self._broadcasts: dict[Var, Atom] = {}  # variables that are a broadcast of another
        self._reshaped: dict[Var, Var] = {}  # variables that are a reshape of another
        self._reshapes: dict[tuple[Var, Ints], Var] = {}

    # ---------------- reading

    def at(self, v: Var) -> tuple[Var, Ints]:
        return self.place.get(v) or (v, unmoved(v.aval.ndim))

    def read(self, v: Atom, order: Ints | None = None) -> Atom:
        """What holds `v` with its axes in this order, by default as the program wrote it."""
        if type(v) is Literal:
            return v
        memory, have = self.at(v)
        permutation = conversion(have, order or unmoved(v.aval.ndim))
        if permutation == unmoved(len(permutation)):
            return memory
        copies = self.copies.setdefault(memory, {})
        if permutation not in copies:
            copies[permutation] = self._copy(memory, permutation)
        return copies[permutation]

    def beside(self, v: Atom, order: Ints) -> Atom:
        """What holds an operand that is broadcast, along leading axes too, to what lies in this order."""
        x = self.read(v, _last_axes(order, v.aval.ndim))
        if type(x) is Literal or order == unmoved(len(order)):
            return x
        lead = len(order) - v.aval.ndim
        return self.reshape(x, arranged((1,) * lead + v.aval.shape, order)) if lead else x

    def cost(self, v: Atom, order: Ints) -> int:
        """How many elements must be moved to read `v`, whose axes are the last ones, in this order."""
        if type(v) is Literal:
            return 0
        memory, have = self.at(v)
        permutation = conversion(have, _last_axes(order, v.aval.ndim))
        free = (
            permutation in self.copies.get(memory, ())
            or keeps_places(memory.aval.shape, permutation)
            or memory in self._broadcasts
            or memory in self.constants
        )
        return 0 if free else memory.aval.size

    def best_order(
        self, e: Eqn, rank: int, whole: Sequence[Atom], wishes: Sequence[Ints], result: Callable[[Ints], Ints]
    ) -> Ints:
        """The order of `rank` axes in which fewest elements must be moved, to the operands and from the results; at ties one that is wished for.

        whole: the operands whose orders may be taken; result: the order of results for operands in an order.
        """
        orders = [unmoved(rank), *wishes]
        for v in whole:
            if type(v) is Var:
                memory, have = self.at(v)
                orders += [have, *[arranged(have, permutation) for permutation in self.copies.get(memory, ())]]
        if orders.count(orders[0]) == len(orders):
            return orders[0]

        def moved(order: Ints) -> int:
            return sum([self.cost(v, order) for v in e.invars]) + self._later(e.outvars, result(order))

        return min(dict.fromkeys(orders), key=lambda order: (moved(order), order not in wishes))

    def _later(self, results: Sequence[Var], order: Ints) -> int:
        """How many elements will be moved because results lie in this order."""
        return sum(
            [
                v.aval.size
                for v in results
                for want in self.wanted.get(v, ())
                if not keeps_places(arranged(v.aval.shape, order), conversion(order, want))
            ]
        )

    # ---------------- writing

    def add(self, prim: Primitive, x: Atom, out: Var, **params: Any) -> Var:
        self.eqns.append(Eqn(prim, (x,), (out,), params, self.where))
        return out

    def reshape(self, x: Var, shape: Ints) -> Var:
        x = self._reshaped.get(x, x)
        if x.aval.shape == shape:
            return x
        if (x, shape) not in self._reshapes:
            out = self.add(reshape_p, x, Var(x.aval.update(shape=shape)), new_sizes=shape)
            self._reshapes[x, shape] = out
            self._reshaped[out] = x
        return self._reshapes[x, shape]

    def note_reshape(self, out: Var, x: Var) -> None:
        """Say that a variable is another in a different shape."""
        self._reshaped[out] = self._reshaped.get(x, x)

    def note_broadcast(self, out: Var, x: Atom) -> None:
        """Say that a variable, held as the program wrote it, is the broadcast of another."""
        self._broadcasts[out] = x

    def _copy(self, memory: Var, permutation: Ints) -> Var:
        shape = arranged(memory.aval.shape, permutation)
        if keeps_places(memory.aval.shape, permutation):
            return self.reshape(memory, shape)
        out = Var(memory.aval.update(shape=shape))
        if isinstance(self.constants.get(memory), np.ndarray):
            self.constants[out] = np.ascontiguousarray(self.constants[memory].transpose(permutation))
            return out
        if memory in self._broadcasts:
            x = self.beside(self._broadcasts[memory], permutation)
            return self.add(broadcast_to_p, x, out, shape=shape)
        return self.add(transpose_p, memory, out, permutation=permutation)

    def emit(self, e: Eqn, invars: Sequence[Atom], params: dict, order: Ints, prim: Primitive | None = None) -> None:
        """The equation on these operands, which leaves its results in this order."""
        outvars = e.outvars
        if order != unmoved(len(order)):
            outvars = [Var(v.aval.update(shape=arranged(v.aval.shape, order))) for v in e.outvars]
            self.place.update({v: (memory, order) for v, memory in zip(e.outvars, outvars)})
        self.eqns.append(e.replace(prim=prim or e.prim, invars=invars, outvars=outvars, params=params))


# ------------------------------------------------------------------ rules


def _run_as_written(walk: Walk, e: Eqn) -> None:
    walk.eqns.append(e.replace(invars=[walk.read(v) for v in e.invars]))


def _wish_as_written(e: Eqn, wanted: Iterable[Ints]) -> list[tuple[Atom, Ints]]:
    return [(v, unmoved(v.aval.ndim)) for v in e.invars]


def _wish_nothing(e: Eqn, wanted: Iterable[Ints]) -> list[tuple[Atom, Ints]]:
    return []


def _whole(e: Eqn) -> list[Atom]:
    """Operands that are not broadcast."""
    return [v for v in e.invars if v.aval.shape == e.outvars[0].aval.shape]


def _run_elementwise(walk: Walk, e: Eqn) -> None:
    wanted = [*walk.wanted.get(e.outvars[0], ())]
    order = walk.best_order(e, e.outvars[0].aval.ndim, _whole(e), wanted, lambda order: order)
    walk.emit(e, [walk.beside(v, order) for v in e.invars], e.params, order)


def _wish_elementwise(e: Eqn, wanted: Iterable[Ints]) -> list[tuple[Atom, Ints]]:
    return [(v, order) for v in _whole(e) for order in wanted]


AS_WRITTEN = Rule(_run_as_written, _wish_as_written)
ELEMENTWISE = Rule(_run_elementwise, _wish_elementwise)


def following(rewrite: Rewrite, back: Callable[[Eqn, Ints], Ints] | None = lambda e, order: order) -> Rule:
    """The rule of equations that work in any order of the axes of their operands of the first one's rank.

    back: the order of operands for a result in an order; None if operands should not lie for the sake of the result.
    """

    def operands(e: Eqn) -> list[Atom]:
        return [v for v in e.invars if v.aval.ndim == e.invars[0].aval.ndim]

    def wishes(e: Eqn, wanted: Iterable[Ints]) -> list[tuple[Atom, Ints]]:
        # what is larger than the result is better left alone: let the result be moved
        size = e.outvars[0].aval.size
        return [(v, back(e, order)) for v in operands(e) if v.aval.size <= size for order in wanted] if back else []

    def result(e: Eqn, order: Ints) -> Ints:
        rewritten = rewrite(e, order)
        return unmoved(e.outvars[0].aval.ndim) if rewritten is None else rewritten[1]

    def run(walk: Walk, e: Eqn) -> None:
        wanted = [back(e, order) for v in e.outvars for order in walk.wanted.get(v, ())] if back else []
        rank = e.invars[0].aval.ndim
        order = walk.best_order(e, rank, operands(e), wanted, lambda order: result(e, order))
        rewritten = rewrite(e, order)
        if rewritten is None:
            AS_WRITTEN.run(walk, e)
            return
        walk.emit(e, [walk.read(v, order if v.aval.ndim == rank else None) for v in e.invars], *rewritten)

    return Rule(run, wishes)


def _run_transpose(walk: Walk, e: Eqn) -> None:
    memory, have = walk.at(e.invars[0])  # type: ignore[arg-type]
    walk.place[e.outvars[0]] = memory, conversion(e.params["permutation"], have)


def _wish_transposed(e: Eqn, wanted: Iterable[Ints]) -> list[tuple[Atom, Ints]]:
    return [(e.invars[0], arranged(e.params["permutation"], order)) for order in wanted]


def _run_broadcast(walk: Walk, e: Eqn) -> None:
    AS_WRITTEN.run(walk, e)
    walk.note_broadcast(e.outvars[0], e.invars[0])  # it is made in whatever order it is read


def _convolution(prim: Primitive, *axes: Callable[[int], Ints]) -> Rule:
    """axes: the places of two operands' and the result's axes in the order of the primitive that is replaced."""

    def orders(e: Eqn) -> list[Ints]:
        return [inverse_permutation(of(e.outvars[0].aval.ndim)) for of in axes]

    def run(walk: Walk, e: Eqn) -> None:
        *operands, result = orders(e)
        walk.emit(e, [walk.read(v, order) for v, order in zip(e.invars, operands)], e.params, result, prim)

    return Rule(run, lambda e, wanted: list(zip(e.invars, orders(e))))


def per_axis(*names: str) -> Rule:
    """Parameters that have an entry for each axis, or are None."""

    def rewrite(e: Eqn, order: Ints) -> tuple[dict, Ints]:
        told = {k: arranged(e.params[k], order) for k in names if e.params[k] is not None}
        return e.params | told, order

    return following(rewrite)


def along(name: str) -> Rule:
    """A parameter that is an axis or several; the rank stays."""
    return following(lambda e, order: (e.params | {name: _axes_in(e.params[name], order)}, order))


def reducing(name: str) -> Rule:
    """A parameter that is an axis or several, which the result does not have."""

    def rewrite(e: Eqn, order: Ints) -> tuple[dict, Ints]:
        axes = e.params[name] if isinstance(e.params[name], tuple) else (e.params[name],)
        left = [a for a in order if a not in axes]
        names = sorted(left)
        return e.params | {name: _axes_in(e.params[name], order)}, tuple([names.index(a) for a in left])

    return following(rewrite, None)


def _axes_in(axes: Any, order: Ints) -> Any:
    return tuple(sorted([order.index(a) for a in axes])) if isinstance(axes, tuple) else order.index(axes)


def windowed(*also: str, numbered: bool = False) -> Rule:
    """Windows over all axes. numbered: places in a window are numbers, so the axes that it spans must keep their order."""
    names = ("window_dimensions", "window_strides", "padding", "window_dilation", *also)

    def rewrite(e: Eqn, order: Ints) -> tuple[dict, Ints] | None:
        if numbered and not keeps_places(e.params["window_dimensions"], order):
            return None
        return e.params | {k: arranged(e.params[k], order) for k in names}, order

    return following(rewrite)


def _reshaped(old: Ints, new: Ints, order: Ints) -> Ints | None:
    """The order that memory has after a reshape; None if axes are split or merged that are no neighbours in memory, in the order written."""
    if 0 in old:
        return None
    lie = [a for a in order if old[a] != 1]
    runs: dict[int, list[int]] = {}
    for mine, theirs in _runs(old, new):
        at = lie.index(mine[0])
        if lie[at : at + len(mine)] != mine:
            return None
        runs[at] = theirs
    result = [a for at in sorted(runs) for a in runs[at]]
    for a, n in enumerate(new):
        if n == 1:
            result.insert(result.index(a - 1) + 1 if a else 0, a)
    return tuple(result)


def _reshape_in(e: Eqn, order: Ints) -> tuple[dict, Ints] | None:
    old, new = e.invars[0].aval.shape, e.params["new_sizes"]
    result = _reshaped(old, new, order)
    return None if result is None else ({"new_sizes": arranged(new, result)}, result)


def _reshape_back(e: Eqn, order: Ints) -> Ints:
    old, new = e.invars[0].aval.shape, e.params["new_sizes"]
    return _reshaped(new, old, order) or unmoved(len(old))


_follow_reshape = following(_reshape_in, _reshape_back)


def _run_reshape(walk: Walk, e: Eqn) -> None:
    _follow_reshape.run(walk, e)
    x = walk.eqns[-1].invars[0]
    if type(x) is Var:
        walk.note_reshape(walk.at(e.outvars[0])[0], x)


def _runs(old: Ints, new: Ints) -> list[tuple[list[int], list[int]]]:
    """Axes of one shape and those of the other that they become, as short as possible; without axes of length one.

    >>> _runs((2, 6, 5, 4), (2, 3, 2, 1, 20))
    [([0], [0]), ([1], [1, 2]), ([2, 3], [4])]
    """
    rest = [[a for a, n in enumerate(shape) if n != 1] for shape in (old, new)]
    runs = []
    while rest[0]:
        mine, theirs = [rest[0].pop(0)], [rest[1].pop(0)]
        while (have := prod([old[a] for a in mine])) != (want := prod([new[a] for a in theirs])):
            if have < want:
                mine.append(rest[0].pop(0))
            else:
                theirs.append(rest[1].pop(0))
        runs.append((mine, theirs))
    return runs


def _entries(spec: tuple, rank: int) -> list[tuple[int | None, int | None, Any]]:
    """(axis of the array or None, axis of the selection or None, entry) of each entry of an index, the axes that it does not reach included."""
    out: list[tuple[int | None, int | None, Any]] = []
    axis = selected = 0
    reached = sum([entry is not None for entry in spec])
    for entry in (*spec, *[slice(None)] * (rank - reached)):
        out.append((None if entry is None else axis, None if type(entry) is int else selected, entry))
        axis += entry is not None
        selected += type(entry) is not int
    return out


def _indexed(side: int, array: Callable[[Eqn], Ints]) -> Rule:
    """Basic indices of an array of shape `array(e)`; the operand's axes are those of the array (side 0) or of the selection (side 1)."""

    def rewrite(e: Eqn, order: Ints) -> tuple[dict, Ints]:
        shape = array(e)
        entries = [
            (a, s, (0, shape[a], 1) if type(entry) is slice else entry)
            for a, s, entry in _entries(e.params["spec"], len(shape))
        ]
        own = {entry[side]: entry for entry in entries if entry[side] is not None}
        lie = [own[a] for a in order]
        for before, entry in zip([None, *entries], entries):
            if entry[side] is None:
                lie.insert(lie.index(before) + 1 if before else 0, entry)
        told = {"spec": tuple([entry for _, _, entry in lie])}
        if "shape" in e.params:
            told["shape"] = arranged(shape, tuple([a for a, _, _ in lie if a is not None]))
        return e.params | told, tuple([entry[1 - side] for entry in lie if entry[1 - side] is not None])

    return following(rewrite, None)


_CONVOLUTIONS: dict[str, Rule] = {
    "conv": _convolution(conv_last_p, images, windows, images),
    "conv_input_grad": _convolution(conv_input_grad_last_p, images, windows, images),
    "conv_weight_grad": _convolution(conv_weight_grad_last_p, images, images, windows),
}
_REDUCTIONS = "reduce_sum reduce_max reduce_min reduce_prod reduce_and reduce_or reduce_xor logsumexp"
_RUNNING = "cumsum cumprod cummax cummin cumlogsumexp linear_recurrence"
RULES: dict[str, Rule] = {
    "transpose": Rule(_run_transpose, _wish_transposed),
    "broadcast_to": Rule(_run_broadcast, _wish_nothing),
    "reshape": Rule(_run_reshape, _follow_reshape.wishes),
    "copy": ELEMENTWISE,
    **dict.fromkeys(_REDUCTIONS.split(), reducing("axes")),
    **dict.fromkeys(["argmax", "argmin"], reducing("axis")),
    **dict.fromkeys(_RUNNING.split(), along("axis")),
    **dict.fromkeys(["softmax", "log_softmax"], along("axes")),
    "concatenate": along("dimension"),
    "rev": along("dimensions"),
    "pad": per_axis("padding_config"),
    "slice": per_axis("start_indices", "limit_indices", "strides"),
    "getitem": _indexed(0, lambda e: e.invars[0].aval.shape),
    "place": _indexed(1, lambda e: e.params["shape"]),
    **dict.fromkeys(["reduce_window_sum", "reduce_window_max", "reduce_window_min"], windowed()),
    "window_spread": windowed("shape"),
    **dict.fromkeys(["reduce_window_argmax", "reduce_window_argmin", "window_gather"], windowed(numbered=True)),
    "window_scatter": windowed("shape", numbered=True),
}


def _rule_of(e: Eqn) -> Rule:
    return RULES.get(e.prim.name) or (ELEMENTWISE if e.prim.kind == "elementwise" else AS_WRITTEN)
