"""Convolutions of groups with few channels, depthwise ones among them. May import blocks, conv_geometry, core, direct, stage, text, tiles, tilings.

Vectors hold the input channels of several groups. A group's every output is summed over the window in all of these lanes by itself, channel by
channel, before anything is exchanged between lanes: sum r of lane (group g, input i) belongs to output (i + r) % outputs. So each input is
read as it lies in memory, the sums of many lanes go to another place together, and the weights are brought into that order (`Skew`):

    skewed[tap, r, (g, i)] = w[tap, i, (g, (i + r) % outputs)]

Depthwise convolutions are those with one sum and nothing to exchange.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from fnets.backends.llvm.code.text import Function, Lanes
from fnets.backends.llvm.code.tiles import Columns, Sum, accumulators, balanced, carried
from fnets.backends.llvm.code.tilings import Tile
from fnets.backends.llvm.kernels.direct import Correlation, Panel, WeightGradient, Weights
from fnets.backends.llvm.kernels.stage import Stage
from fnets.core.avals import ShapedArray
from fnets.core.ir import Eqn, Var
from fnets.primitives.conv_geometry import Dense, Ints, Step

Index = int | str
Pick = tuple[int, int] | None  # a vector and its lane; None where it does not matter

_UNROLLED = 8  # taps of a row


class Groups(NamedTuple):
    """So many groups of `inputs` and `outputs` channels each, by vectors of `lanes`."""

    count: int
    inputs: int
    outputs: int
    lanes: int

    @classmethod
    def of(cls, dense: Dense, lanes: int) -> Groups:
        while lanes // 2 >= dense.groups * max(dense.cin, dense.cout):
            lanes //= 2
        return cls(dense.groups, dense.cin, dense.cout, lanes)

    @property
    def together(self) -> int:
        """Groups in a vector."""
        return min(self.count, self.lanes // self.inputs)

    def blocks(self, f: Function) -> Iterator[tuple[Index, int]]:
        """(first group, number of groups) of each vector, to be written inside of the loop over them."""
        many = self.count // self.together * self.together
        with f.count(many, self.together) as g:
            yield g, self.together
        if many < self.count:
            yield many, self.count - many

    def vectors(self, f: Function, channels: int) -> list[Columns]:
        """So many channels as vectors, all of one width."""
        whole = Lanes(f, self.lanes)
        return [Columns(k, whole.first(channels - k)) for k in range(0, channels, self.lanes)]

    def exchanged(self, first: int, groups: int) -> list[list[Pick]]:
        """For each input of a group the sums and their lanes that outputs `first` and the following of a vector's groups consist of."""

        def pick(output: int, k: int) -> Pick:
            g, o = divmod(output, self.outputs)
            i = (o + k) % self.inputs
            return ((o - i) % self.outputs, g * self.inputs + i) if g < groups else None

        return [[pick(first + lane, k) for lane in range(self.lanes)] for k in range(self.inputs)]

    def spread(self, r: int, groups: int) -> list[Pick]:
        """Where output (i + r) % outputs is, in the vectors of a vector's groups, for each lane (g, i)."""

        def pick(lane: int) -> Pick:
            g, i = divmod(lane, self.inputs)
            return divmod(g * self.outputs + (i + r) % self.outputs, self.lanes) if g < groups else None

        return [pick(lane) for lane in range(self.lanes)]


def picked(v: Lanes, vectors: Sequence[str], picks: Sequence[Pick], dtype: np.dtype) -> str:
    """The lanes that are picked from some vectors."""
    out, have = "poison", [-1] * v.count
    for k in sorted({p[0] for p in picks if p}):
        new = [p[1] if p and p[0] == k else -1 for p in picks]
        if all([n in (-1, lane) for lane, n in enumerate(new)]) and out == "poison":
            out = vectors[k]
        else:
            lanes = [h if n < 0 else v.count + n for h, n in zip(have, new)]
            out = v.shuffle(out, vectors[k], lanes, dtype)
        have = [h if n < 0 else lane for lane, (h, n) in enumerate(zip(have, new))]
    return out


def suits(dense: Dense, lanes: int) -> bool:
    """Whether vectors of several groups are fuller than those of one group's outputs."""
    groups = Groups.of(dense, lanes)
    return dense.groups > 1 and groups.together * dense.cin >= 2 * dense.cout


# ------------------------------------------------------------------ weights


class Skew(Stage):
    """Weights for the sums, (*window, outputs, groups * inputs), from those of a convolution; or, `back`, a weight gradient from those.

    swapped: of the input gradient: the window mirrored, inputs and outputs in each other's places.
    """

    def __init__(self, w: Var, skewed: Var, groups: Groups, swapped: bool = False, back: Sequence[Eqn] = ()):
        self.eqns, self.groups, self.swapped = list(back), groups, swapped
        self.w, self.skewed = w, skewed
        self.loaded, self.stored = ([skewed], [w]) if back else ([w], [skewed])
        self.extent = prod(w.aval.shape[:-2])

    def write(self, name: str) -> Function:
        f = self.begin(name)
        dtype, one = self.w.aval.dtype, Lanes(f, 1)
        groups, inputs, outputs, _ = self.groups
        steps = (1, inputs, groups * inputs) if self.swapped else (groups * outputs, outputs, 1)
        step_i, step_g, step_o = steps
        with f.loop("%low", "%high", 1) as to, f.count(outputs) as r, f.count(inputs) as i:
            tap = f.op(f"sub nsw i64 {self.extent - 1}, {to.index}") if self.swapped else to.index
            o = f.add(i, r)
            o = o % outputs if isinstance(o, int) else f.op(f"urem i64 {o}, {outputs}")
            at = f.add(f.add(f.mul(tap, groups * inputs * outputs), f.mul(i, step_i)), f.mul(o, step_o))
            plain = f.address(self.pointer[self.w], at, dtype.itemsize)
            at = f.add(f.mul(f.add(f.mul(to.index, outputs), r), groups * inputs), i)
            skewed = f.address(self.pointer[self.skewed], at, dtype.itemsize)
            with f.count(groups) as g:
                plain = f.address(plain, f.mul(g, step_g), dtype.itemsize)
                skewed = f.address(skewed, f.mul(g, inputs), dtype.itemsize)
                source, target = (skewed, plain) if self.eqns else (plain, skewed)
                one.store(one.load(source, dtype), target, dtype)
        f.do("ret void")
        return f


def _skewed(w: Var, groups: Groups) -> Var:
    return Var(ShapedArray((*w.aval.shape[:-2], groups.outputs, groups.count * groups.inputs), w.aval.dtype))


def correlation(
    e: Eqn, x: Var, w: Var, steps: Sequence[Step], out: Ints, vector_bytes: int, swapped: bool = False
) -> list[Stage]:
    """The stages that correlate x with weights (*window, inputs, groups * outputs), or with those of the convolution whose input gradient it is."""
    groups = Groups.of(steps[0].dense, vector_bytes // w.aval.dtype.itemsize)
    if groups.inputs == groups.outputs == 1 and not swapped:
        return [GroupedCorrelation(e, x, w, groups, steps, out, vector_bytes)]
    skewed = _skewed(w, groups)
    kernel = GroupedCorrelation(e, x, skewed, groups, steps, out, vector_bytes)
    return [Skew(w, skewed, groups, swapped), kernel]


def weight_gradient(e: Eqn, step: Step, vector_bytes: int) -> list[Stage]:
    """The stages that make the weights' gradient."""
    w = e.outvars[0]
    groups = Groups.of(step.dense, vector_bytes // w.aval.dtype.itemsize)
    if groups.inputs == groups.outputs == 1:
        return [GroupedGradient(e, w, groups, step, vector_bytes)]
    skewed = _skewed(w, groups)
    kernel = GroupedGradient(e, skewed, groups, step, vector_bytes)
    kernel.eqns = []
    return [kernel, Skew(w, skewed, groups, back=[e])]


# ------------------------------------------------------------------ kernels


class GroupedCorrelation(Correlation):
    """A correlation with skewed weights."""

    def __init__(self, e: Eqn, x: Var, w: Var, groups: Groups, steps: Sequence[Step], out: Ints, vector_bytes: int):
        channels = groups.count * groups.inputs
        super().__init__(e, x, w, Weights(groups.outputs * channels, channels, 0), steps, out, vector_bytes)
        self.of = groups

    def panels(self, f: Function, vectors: int) -> Iterator[Panel]:
        for g, count in self.of.blocks(f):
            x, y = (f.mul(g, n) for n in (self.cin, self.cout))
            yield Panel(x, x, y, self.of.vectors(f, count * self.cout), count)

    def tile(self, height: int, width: int) -> Tile:
        registers = self.vector_bytes // 2 - 2
        room = accumulators(self.vector_bytes) // 2 if self.cout == 1 else registers // self.cout - 1
        return Tile(1, balanced(width, max(1, room)), 1)

    def sum(self, f: Function, step: Step, a: str, rows: Sequence[int], b: str, panel: Panel) -> Sequence[str]:
        (v,) = [c.lanes for c in self.of.vectors(f, panel.groups * self.cin)]
        sums = self.taps(step)
        unrolled = sums.pop() if sums[-1].extent <= _UNROLLED and self.cout == 1 else Sum(1, 0, 0)

        def taps(a: str, b: str, total: Sequence[str]) -> list[str]:
            total = list(total)
            seen: dict[int, str] = {}  # neighbours read the same
            for t in range(unrolled.extent):
                at = [t * unrolled.b + r * self.weights.row for r in range(self.cout)]
                weights = [v.load(f.address(b, k, self.size), self.dtype) for k in at]
                for i, row in enumerate(rows):
                    at = row + t * unrolled.a
                    if at not in seen:
                        seen[at] = v.load(f.address(a, at, self.size), self.dtype)
                    for r, w in enumerate(weights, i * self.cout):
                        total[r] = v.fma(seen[at], w, total[r], self.dtype)
            return total

        start = [v.const(0, self.dtype)] * (len(rows) * self.cout)
        total = carried(f, sums, self.size, a, b, [v.type(self.dtype)] * len(start), start, taps)
        out = []
        for i in range(0, len(total), self.cout):
            for c in panel.columns:
                lanes, *others = [
                    picked(c.lanes, total[i : i + self.cout], picks, self.dtype)
                    for picks in self.of.exchanged(c.offset, panel.groups)
                ]
                for x in others:
                    lanes = c.lanes.binary("fadd", lanes, x, self.dtype)
                out.append(lanes)
        return out


class GroupedGradient(WeightGradient):
    """The gradient of skewed weights."""

    def __init__(self, e: Eqn, result: Var, groups: Groups, step: Step, vector_bytes: int):
        super().__init__(e, step, vector_bytes, result=result)
        self.of, self.groups = groups, 1

    def add(self, f: Function, a: str, b: str, w: str, sums: Sequence[Sum]) -> None:
        inputs, outputs = self.dense.cin, self.dense.cout
        registers = self.vector_bytes // 2
        most = min(accumulators(self.vector_bytes), registers - outputs - 2) // outputs
        for g, count in self.of.blocks(f):
            (v,) = [c.lanes for c in self.of.vectors(f, count * inputs)]
            y, x, target = (f.address(p, f.mul(g, k), self.size) for p, k in ((b, outputs), (a, inputs), (w, inputs)))
            for steps, places, image, weights in self.tiles_of_taps(f, x, target, max(1, most)):
                places = [p + r * self.channels for p in places for r in range(outputs)]
                pointers = [f.address(weights, p, self.size) for p in places]
                products = self._products(f, v, count, steps)
                total = [v.load(p, self.dtype) for p in pointers]
                types = [v.type(self.dtype)] * len(total)
                for p, t in zip(pointers, carried(f, sums, self.size, image, y, types, total, products)):
                    v.store(t, p, self.dtype)

    def _products(self, f: Function, v: Lanes, count: int, steps: Sequence[int]) -> Callable[..., list[str]]:
        """What adds the products at an output position to the sums of some taps."""
        outputs = self.dense.cout

        def products(x: str, y: str, total: Sequence[str]) -> list[str]:
            vectors = [
                c.lanes.load(f.address(y, c.offset, self.size), self.dtype) for c in self.of.vectors(f, count * outputs)
            ]
            factors = [picked(v, vectors, self.of.spread(r, count), self.dtype) for r in range(outputs)]
            out = []
            for i, s in enumerate(steps):
                p = v.load(f.address(x, s, self.size), self.dtype)
                out += [v.fma(p, k, total[i * outputs + r], self.dtype) for r, k in enumerate(factors)]
            return out

        return products
