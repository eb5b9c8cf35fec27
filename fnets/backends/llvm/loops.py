"""Loops as native stages: a body's stages between a jump and a label. May import chains, core, driver, memory, pool, prepare, regions, stage, text.

What a body computes from the loop's constants alone runs once, before the loop. A carry has two places, and each trip reads one and writes the
other; what is stacked is read and written in its place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fnets.backends.llvm import pool
from fnets.backends.llvm.chains import Chain, chains
from fnets.backends.llvm.driver import Driver
from fnets.backends.llvm.memory import Plan, rounded
from fnets.backends.llvm.prepare import prepare
from fnets.backends.llvm.regions import Lowering, Native, Region
from fnets.backends.llvm.stage import Stage
from fnets.backends.llvm.text import Function
from fnets.core.avals import ShapedArray
from fnets.core.ir import Atom, Eqn, Jaxpr, Var


class Body:
    """A jaxpr that runs natively as a whole, again and again. `before` are the chains that need its first `constant` operands alone.

    operands: its variables. results: where each result comes from, a variable that it makes or an operand.
    """

    def __init__(self, jaxpr: Jaxpr, region: Region, native: Native, results: Sequence[Var], constant: int):
        self.operands = jaxpr.invars
        self.results = results
        self.made = {*region.outputs} & {*results}
        fixed = set(jaxpr.invars[:constant])
        first: list[Stage] = []
        for s in region.stages:
            if all([v in fixed for v in s.sources]) and not self.made & {*s.stored}:
                first.append(s)
                fixed.update(s.stored)
        self.before: list[Chain] = chains(first, native.vector_bytes)
        self.chains: list[Chain] = chains([s for s in region.stages if s not in first], native.vector_bytes)
        kept = [v for s in first for v in s.stored] + [s.errors for s in region.stages if s.errors is not None]
        self.plan = Plan([*self.before, *self.chains], {*self.operands, *self.made}, kept)
        self.nanoseconds = region.nanoseconds
        self.stages = region.stages
        self.counts = any([s.errors for s in region.stages])

    def write(self, f: Function) -> dict[Stage, str]:
        """Have the functions of the stages in the module of `f`; returns their names."""
        names = {}
        for i, s in enumerate([s for c in (*self.before, *self.chains) for s in c.stages]):
            inner = s.write(f"{f.name}_{i}")
            f.take(inner)
            names[s] = inner.name
        return names


def body_of(jaxpr: Jaxpr, constant: int, vector_bytes: int, lower: Lowering) -> Body | None:
    """The body, or None if something in it does not run natively. Its first `constant` operands are the same in each trip."""
    jaxpr = prepare(jaxpr)
    if jaxpr.constvars or any([v.aval.weak_type for v in (*jaxpr.invars, *jaxpr.outvars)]):
        return None
    native = Native(jaxpr.eqns, vector_bytes, lower)
    eqns = [e for e in jaxpr.eqns if e in native.eqns]
    reshapes = [e for e in jaxpr.eqns if e.prim.name == "reshape"]
    if len(eqns) + len(reshapes) < len(jaxpr.eqns):
        return None
    results = [native.reads.source(v) for v in jaxpr.outvars]
    if not eqns or not all([type(v) is Var for v in results]):
        return None
    region = Region(eqns, native, lambda v: v in results)
    return Body(jaxpr, region, native, results, constant)  # type: ignore[arg-type]


def copy(f: Function, to: str, from_: str, v: Var) -> None:
    """Copy a variable's memory."""
    f.call("ptr", "memcpy", ("ptr", to), ("ptr", from_), ("i64", str(v.aval.nbytes)))


class Scan(Stage):
    """`scan`: its body once for each slice of the xs."""

    def __init__(self, e: Eqn, body: Body):
        self.eqns = [e]
        self.body = body
        self.loaded = [v for v in dict.fromkeys(e.invars) if type(v) is Var]
        self.stored = list(e.outvars)
        if body.counts:
            self.errors = Var(ShapedArray((1,), np.int64))
            self.stored.append(self.errors)
            self.accumulated = frozenset([self.errors])
        self.length: int = e.params["length"]
        self.consts, self.carries = e.params["num_consts"], e.params["num_carry"]
        self.threads = pool.num_threads() if any([c.parts > 1 for c in body.chains]) else 1
        self.places = [rounded(v.aval.nbytes) for v in self.body.results[: self.carries]]
        plan = body.plan
        self.scratch = 2 * sum(self.places) + plan.size + rounded(plan.scratch) * self.threads

    @property
    def nanoseconds(self) -> float:
        return self.length * self.body.nanoseconds

    def write(self, name: str) -> Function:
        f = self.begin(name)
        (e,), body, nc, nk = self.eqns, self.body, self.consts, self.carries
        names = body.write(f)
        offset = 2 * sum(self.places)
        threads = "1"
        if self.threads > 1:
            many = f.call("i64", pool.THREADS)
            fewer = f.op(f"icmp slt i64 {many}, {self.threads}")
            threads = f.op(f"select i1 {fewer}, i64 {many}, i64 {self.threads}")
        given = [self.pointer[v] for v in e.invars]  # type: ignore[index]
        pointer = dict(zip(body.operands[:nc], given))
        block = str(f.address("%scratch", offset, 1))
        before = Driver(f, body.plan, names, pointer, block, threads)
        before.run(body.before)
        carried = []
        at = 0
        for first, size in zip(given[nc : nc + nk], self.places):
            carried += [first, str(f.address("%scratch", at, 1)), str(f.address("%scratch", at + size, 1))]
            at += 2 * size
        with f.loop(0, self.length, 1, [("ptr", p) for p in carried]) as loop:
            i = f.op(f"sub i64 {self.length - 1}, {loop.index}") if e.params["reverse"] else loop.index
            now, next_, other = (loop.values[k::3] for k in range(3))
            inputs = dict(zip(body.operands[nc : nc + nk], now))
            for v, stack in zip(body.operands[nc + nk :], given[nc + nk :]):
                inputs[v] = str(f.address(stack, f.mul(i, v.aval.nbytes), 1))
            inputs = {**pointer, **inputs}
            targets = list(next_)
            for v, stack in zip(body.results[nk:], e.outvars[nk:]):
                targets.append(str(f.address(self.pointer[stack], f.mul(i, v.aval.nbytes), 1)))
            place: dict[Var, str] = {}
            for v, target in zip(body.results, targets):
                if v in body.made:
                    place.setdefault(v, target)
            driver = Driver(f, body.plan, names, {**inputs, **place}, block, threads)
            driver.run(body.chains)
            if self.errors is not None:
                wrong, total = driver.errors(body.stages), self.pointer[self.errors]
                counted = f.op(f"load i64, ptr {total}")
                f.do(f"store i64 {f.op(f'add i64 {wrong}, {counted}')}, ptr {total}")
            for v, target in zip(body.results, targets):
                from_ = place.get(v) or inputs[v]
                if from_ != target:
                    copy(f, target, from_, v)
            loop.next = [p for n, o in zip(next_, other) for p in (n, o, n)]
        for v, result, last in zip(body.results, e.outvars, loop.results[::3]):
            copy(f, self.pointer[result], last, v)
        f.do("ret void")
        return f


def lower_scan(e: Eqn, vector_bytes: int, lower: Lowering) -> list[Stage] | None:
    """The stage of a scan whose body runs natively."""
    if not e.params["length"] or e.params["progress"] or any([_is_odd(v) for v in e.invars]):
        return None
    body = body_of(e.params["jaxpr"], e.params["num_consts"], vector_bytes, lower)
    return None if body is None else [Scan(e, body)]


def _is_odd(v: Atom) -> bool:
    """True for operands that kernels do not read from arrays."""
    return type(v) is not Var or v.aval.weak_type
