"""Physical layouts: convolutions run channels-last, with as few transposes as possible. May import channels_last, core, primitives.base.

One walk over the equations keeps for each variable the memory that holds it and the order in which its axes lie there. Convolutions want
channels-last operands and leave such a result, a transpose only changes the order that is noted, and an equation whose rule is in the table
`RULES` works in the order that its operands have. All others, and the program's results, read their operands as the program wrote them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from fnets.backends.llvm.channels_last import (
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
Rule = Callable[["Walk", Eqn], None]
# of an equation and the order of its operands: the parameters for operands in that order and the order of its results; None if there are none
Rewrite = Callable[[Eqn, Ints], tuple[dict, Ints] | None]


def channels_last(jaxpr: Jaxpr, supported: Callable[[Eqn], bool]) -> Jaxpr:
    """The same program with the convolutions that are supported channels-last; the very same if there are none."""
    convolutions = {e for e in jaxpr.eqns if e.prim.name in _CONVOLUTIONS and supported(e)}
    if not convolutions:
        return jaxpr
    walk = Walk(dict(zip(jaxpr.constvars, jaxpr.consts)))
    for e in jaxpr.eqns:
        walk.where = e.where
        _rule_of(e, e in convolutions)(walk, e)
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


def _last_axes(order: Ints, rank: int) -> Ints:
    """The order of the last `rank` axes among themselves."""
    lead = len(order) - rank
    return tuple([a - lead for a in order if a >= lead])


# ------------------------------------------------------------------ the walk


class Walk:
    """The equations so far, where in memory the program's variables are, and which copies exist of it.

    place: of a variable that is not held as the program wrote it the memory (a variable of the new program) and the order of its axes there.
    copies: of a memory its transposes that exist, by permutation.
    steered: memories that lie as they do for the sake of a convolution; what they meet had better lie as they do.
    """

    def __init__(self, constants: dict[Var, Any]):
        self.constants = constants
        self.eqns: list[Eqn] = []
        self.where: Any = None
        self.place: dict[Var, tuple[Var, Ints]] = {}
        self.copies: dict[Var, dict[Ints, Var]] = {}
        self.steered: set[Var] = set()
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
        permutation = tuple([have.index(a) for a in order or unmoved(v.aval.ndim)])
        if permutation == unmoved(len(permutation)):
            return memory
        copies = self.copies.setdefault(memory, {})
        if permutation not in copies:
            copies[permutation] = self._copy(memory, permutation)
        return copies[permutation]

    def beside(self, v: Atom, shape: Ints, order: Ints) -> Atom:
        """What holds an operand that is broadcast to `shape` if that lies in this order; without leading ones, unless it has that shape itself."""
        x = self.read(v, _last_axes(order, v.aval.ndim))
        if type(x) is Literal or v.aval.shape == shape or order == unmoved(len(order)):
            return x
        lengths = arranged((1,) * (len(shape) - v.aval.ndim) + v.aval.shape, order)
        first = next((k for k, n in enumerate(lengths) if n != 1), len(lengths))
        return self.reshape(x, lengths[first:])

    def cost(self, v: Atom, order: Ints) -> int:
        """How many elements must be moved to read `v`, whose axes are the last ones, in this order."""
        if type(v) is Literal:
            return 0
        memory, have = self.at(v)
        permutation = tuple([have.index(a) for a in _last_axes(order, v.aval.ndim)])
        free = (
            permutation in self.copies.get(memory, ())
            or keeps_places(memory.aval.shape, permutation)
            or memory in self._broadcasts
            or memory in self.constants
        )
        return 0 if free else memory.aval.size

    def best_order(self, e: Eqn, whole: Sequence[Atom], rank: int) -> Ints:
        """The order of axes in which reading the operands moves fewest elements, of those in which whole ones exist.

        At ties what a convolution left wins: it takes part in the way back to the convolutions. Then comes the order that was written.
        """
        orders: dict[Ints, bool] = {}
        for v in whole:
            if type(v) is Literal:
                continue
            memory, have = self.at(v)
            orders[have] = orders.get(have, False) or memory in self.steered
            for permutation in self.copies.get(memory, ()):
                orders.setdefault(arranged(have, permutation), False)
        written = unmoved(rank)
        if set(orders) <= {written}:
            return written
        return min(
            orders,
            key=lambda order: (sum([self.cost(v, order) for v in e.invars]), not orders[order], order != written),
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
            x = self.beside(self._broadcasts[memory], memory.aval.shape, permutation)
            return self.add(broadcast_to_p, x, out, shape=shape)
        return self.add(transpose_p, memory, out, permutation=permutation)

    def emit(self, e: Eqn, invars: Sequence[Atom], params: dict, order: Ints, prim: Primitive | None = None) -> None:
        """The equation on these operands, which leaves its results in this order."""
        outvars = e.outvars
        if order != unmoved(len(order)):
            outvars = [Var(v.aval.update(shape=arranged(v.aval.shape, order))) for v in e.outvars]
            self.place.update({v: (memory, order) for v, memory in zip(e.outvars, outvars)})
        if any([type(v) is Var and self.at(v)[0] in self.steered for v in e.invars]):
            self.steered.update(outvars)
        self.eqns.append(e.replace(prim=prim or e.prim, invars=invars, outvars=outvars, params=params))


# ------------------------------------------------------------------ rules


def as_written(walk: Walk, e: Eqn) -> None:
    """Operands and results as the program wrote them."""
    walk.eqns.append(e.replace(invars=[walk.read(v) for v in e.invars]))


def elementwise(walk: Walk, e: Eqn) -> None:
    """Operands are broadcast; those of the result's shape say in which order."""
    out = e.outvars[0].aval
    order = walk.best_order(e, [v for v in e.invars if v.aval.shape == out.shape], out.ndim)
    walk.emit(e, [walk.beside(v, out.shape, order) for v in e.invars], e.params, order)


def following(rewrite: Rewrite) -> Rule:
    """The rule of equations that work in any order of the axes of their operands of the first one's rank."""

    def rule(walk: Walk, e: Eqn) -> None:
        rank = e.invars[0].aval.ndim
        order = walk.best_order(e, [v for v in e.invars if v.aval.ndim == rank], rank)
        rewritten = rewrite(e, order)
        if rewritten is None:
            as_written(walk, e)
            return
        invars = [walk.read(v, order if v.aval.ndim == rank else None) for v in e.invars]
        walk.emit(e, invars, *rewritten)

    return rule


def _transpose(walk: Walk, e: Eqn) -> None:
    """Nothing to do but to note the order."""
    memory, have = walk.at(e.invars[0])  # type: ignore[arg-type]
    permutation = e.params["permutation"]
    walk.place[e.outvars[0]] = memory, tuple([permutation.index(a) for a in have])


def _broadcast(walk: Walk, e: Eqn) -> None:
    """A broadcast is made in whatever order it is read."""
    as_written(walk, e)
    walk.note_broadcast(e.outvars[0], e.invars[0])


def _convolution(prim: Primitive, first: Callable, second: Callable, result: Callable) -> Rule:
    def rule(walk: Walk, e: Eqn) -> None:
        rank = e.outvars[0].aval.ndim
        orders = [inverse_permutation(axes(rank)) for axes in (first, second, result)]
        walk.emit(e, [walk.read(v, order) for v, order in zip(e.invars, orders)], e.params, orders[2], prim)
        memory, _ = walk.at(e.outvars[0])
        if result is images:
            walk.steered.add(memory)
        else:
            # weights and all that an optimizer keeps beside them lie as written: their gradient had better meet them so
            walk.steered.discard(memory)
            walk.read(e.outvars[0])

    return rule


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

    return following(rewrite)


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


def _reshape(walk: Walk, e: Eqn) -> None:
    _follow_reshape(walk, e)
    x = e.invars[0]
    if type(x) is Var:
        walk.note_reshape(walk.at(e.outvars[0])[0], walk.eqns[-1].invars[0])  # type: ignore[arg-type]


def _reshape_in(e: Eqn, order: Ints) -> tuple[dict, Ints] | None:
    """Axes that are split or merged must be neighbours in memory, in the order in which they were written."""
    old, new = e.invars[0].aval.shape, e.params["new_sizes"]
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
    return {"new_sizes": arranged(new, tuple(result))}, tuple(result)


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

    return following(rewrite)


_CONVOLUTIONS: dict[str, Rule] = {
    "conv": _convolution(conv_last_p, images, windows, images),
    "conv_input_grad": _convolution(conv_input_grad_last_p, images, windows, images),
    "conv_weight_grad": _convolution(conv_weight_grad_last_p, images, images, windows),
}
_follow_reshape = following(_reshape_in)
_REDUCTIONS = "reduce_sum reduce_max reduce_min reduce_prod reduce_and reduce_or reduce_xor logsumexp"
_RUNNING = "cumsum cumprod cummax cummin cumlogsumexp linear_recurrence"
RULES: dict[str, Rule] = {
    "transpose": _transpose,
    "broadcast_to": _broadcast,
    "reshape": _reshape,
    "copy": elementwise,
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


def _rule_of(e: Eqn, convolution: bool) -> Rule:
    if convolution:
        return _CONVOLUTIONS[e.prim.name]
    rule = RULES.get(e.prim.name)
    return rule or (elementwise if e.prim.kind == "elementwise" else as_written)
