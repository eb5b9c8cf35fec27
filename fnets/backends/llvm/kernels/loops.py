"""Loops and branches as native stages: a body's stages between a jump and a label. May import chains, core, driver, memory, nest, operations, pool, prepare, regions, signals, stage, text.

What a body computes from the loop's constants alone runs once, before the loop. A carry has two places, and each trip reads one and writes the
other; what is stacked is read and written in its place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from fnets.backends.llvm.code.operations import convert
from fnets.backends.llvm.code.text import BOOL, DOUBLE, Function, Lanes, is_supported, scalar_type
from fnets.backends.llvm.kernels.nest import register_dtype
from fnets.backends.llvm.kernels.stage import Stage
from fnets.backends.llvm.passes.prepare import prepare
from fnets.backends.llvm.runtime import pool
from fnets.backends.llvm.runtime.driver import Driver
from fnets.backends.llvm.runtime.signals import Watch
from fnets.backends.llvm.schedule.chains import Chain, chains
from fnets.backends.llvm.schedule.memory import Plan, rounded
from fnets.backends.llvm.schedule.regions import Lowering, Native, Region
from fnets.core.avals import ShapedArray
from fnets.core.ir import Atom, Eqn, Jaxpr, Literal, Var


class Body:
    """A jaxpr that runs natively as a whole, again and again. `before` are the chains that need its first `constant` operands alone.

    operands: its variables. results: where each result comes from: a variable that it makes, an operand, or a literal.
    """

    def __init__(self, jaxpr: Jaxpr, region: Region, native: Native, results: Sequence[Atom], constant: int):
        self.operands = jaxpr.invars
        self.results = results
        self.made = {*region.outputs} & {v for v in results if type(v) is Var}
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
        shared = any([c.parts > 1 for c in (*self.before, *self.chains)])
        self.threads = pool.num_threads() if shared else 1
        self.memory = rounded(self.plan.size) + rounded(self.plan.scratch) * self.threads

    def write(self, f: Function, name: str) -> None:
        """Have the functions of the stages in the module of `f`."""
        self.names = {}
        for i, s in enumerate([s for c in (*self.before, *self.chains) for s in c.stages]):
            inner = s.function(f"{name}_{i}")
            f.take(inner)
            self.names[s] = inner.name

    def prepare(self, f: Function, inputs: Mapping[Var, str], block: str) -> None:
        """Run what needs the constants alone; `block` is memory of the body's own."""
        self.block, self.limit = block, "1"
        if self.threads > 1:
            self.limit = str(f.smaller(f.call("i64", pool.THREADS), self.threads))
        Driver(f, self.plan, self.names, inputs, block, self.limit).run(self.before)

    def run(self, f: Function, inputs: Mapping[Var, str], targets: Sequence[str], errors: str) -> None:
        """Run the body on `inputs`; its results go to `targets`, and the number of its errors is added at `errors`."""
        place: dict[Atom, str] = {}
        for v, target in zip(self.results, targets):
            if v in self.made:
                place.setdefault(v, target)
        driver = Driver(f, self.plan, self.names, {**inputs, **place}, self.block, self.limit)  # type: ignore[dict-item]
        driver.run(self.chains)
        if self.counts:
            counted = f.op(f"load i64, ptr {errors}")
            f.do(f"store i64 {f.op(f'add i64 {driver.errors(self.stages)}, {counted}')}, ptr {errors}")
        for v, target in zip(self.results, targets):
            if type(v) is Literal:
                one, dtype = Lanes(f, 1), v.aval.dtype
                one.store(one.const(v.val, dtype), target, dtype)
            elif (from_ := place.get(v) or inputs[v]) != target:  # type: ignore[index]
                copy(f, target, from_, v)


def body_of(jaxpr: Jaxpr, constant: int, vector_bytes: int, lower: Lowering, repeats: bool = True) -> Body | None:
    """The body, or None if something in it does not run natively. Its first `constant` operands are the same in each trip, if it `repeats`."""
    jaxpr = prepare(jaxpr)
    varying = jaxpr.invars[constant:]
    if jaxpr.constvars or any([v.aval.weak_type for v in (*varying, *jaxpr.outvars)]):
        return None
    native = Native(jaxpr, vector_bytes, lower)
    eqns = [e for e in jaxpr.eqns if e in native.eqns]
    if len(eqns) + len(native.reads.views) < len(jaxpr.eqns) or not all(
        [is_supported(v.aval.dtype) for v in jaxpr.outvars]
    ):
        return None
    results = [native.reads.source(v) for v in jaxpr.outvars]
    return Body(jaxpr, Region(eqns, native, lambda v: v in results), native, results, constant if repeats else 0)


def copy(f: Function, to: str, from_: str, v: Atom) -> None:
    """Copy a variable's memory."""
    f.call("ptr", "memcpy", ("ptr", to), ("ptr", from_), ("i64", str(v.aval.nbytes)))


class _Control(Stage):
    """What loops and branches share: an equation with bodies, each with memory of its own in scratch, behind that of the carry."""

    def __init__(self, e: Eqn, bodies: Sequence[Body], carry: Sequence[Atom]):
        self.eqns = [e]
        self.bodies = bodies
        self.loaded = [v for v in dict.fromkeys(e.invars) if type(v) is Var]
        self.stored = list(e.outvars)
        if any([b.counts for b in bodies]):
            self.errors = Var(ShapedArray((1,), np.int64))
            self.stored.append(self.errors)
            self.accumulated = frozenset([self.errors])
        self.retried = any([s.retried for b in bodies for s in b.stages])
        self.interruptible = any([s.interruptible for b in bodies for s in b.stages])
        self.places = [rounded(v.aval.nbytes) for v in carry]
        self.scratch = 2 * sum(self.places) + sum([b.memory for b in bodies]) + rounded(1)

    def begin_bodies(self, name: str, inputs: Sequence[Mapping[Var, str]], f: Function) -> None:
        """Write the bodies' functions, and run what they do once, on these inputs."""
        at = rounded(1) + 2 * sum(self.places)  # the first line is for what a condition says
        for k, (b, given) in enumerate(zip(self.bodies, inputs)):
            b.write(f, f"{name}_body{k}" if k else name)
            b.prepare(f, given, str(f.address("%scratch", at, 1)))
            at += b.memory

    def given(self, f: Function, atoms: Sequence[Atom], operands: Sequence[Var]) -> list[str]:
        """Where operands of the equation are, in the form in which the bodies read these variables."""
        return [self._place(f, v, register_dtype(want)) for v, want in zip(atoms, operands)]

    def _place(self, f: Function, v: Atom, dtype: np.dtype) -> str:
        one = Lanes(f, 1)
        if type(v) is Literal:
            x = one.const(v.val, dtype)
        elif v.aval.weak_type and dtype != DOUBLE:
            x = convert(one, one.load(self.pointer[v], DOUBLE), DOUBLE, dtype)  # type: ignore[index]
        else:
            return self.pointer[v]  # type: ignore[index]
        place = f.allocate(8)
        one.store(x, place, dtype)
        return place

    def watch(self, f: Function) -> Watch:
        """Looks for signals, in each trip if there is no knowing how long one takes."""
        body = self.bodies[-1]
        return Watch(f, math.inf if any([s.interruptible for s in body.stages]) else body.nanoseconds)

    @property
    def error_place(self) -> str:
        return "" if self.errors is None else self.pointer[self.errors]

    def carried(self, f: Function, first: Sequence[str]) -> list[tuple[str, str]]:
        """For each carry three pointers that go from trip to trip: what is read, what is written, and what is written next."""
        out, at = [], rounded(1)
        for pointer, size in zip(first, self.places):
            out += [pointer, str(f.address("%scratch", at, 1)), str(f.address("%scratch", at + size, 1))]
            at += 2 * size
        return [("ptr", p) for p in out]

    def deliver(self, f: Function, last: Sequence[str]) -> None:
        """Copy the last carry to the results."""
        for v, pointer in zip(self.eqns[0].outvars, last):
            copy(f, self.pointer[v], pointer, v)


def _turned(values: Sequence[str]) -> list[str]:
    """The three pointers of each carry in the next trip."""
    return [p for written, other in zip(values[1::3], values[2::3]) for p in (written, other, written)]


class Scan(_Control):
    """`scan`: its body once for each slice of the xs."""

    def __init__(self, e: Eqn, body: Body):
        super().__init__(e, [body], e.outvars[: e.params["num_carry"]])
        self.length: int = e.params["length"]
        self.interruptible |= self.nanoseconds > _LONG

    @property
    def nanoseconds(self) -> float:
        return self.length * self.bodies[0].nanoseconds

    def write(self, name: str) -> Function:
        f = self.begin(name)
        (e,), (body,) = self.eqns, self.bodies
        given = self.given(f, e.invars, body.operands[: e.params["num_consts"] + e.params["num_carry"]])
        given += [self.pointer[v] for v in e.invars[len(given) :]]  # type: ignore[index]
        nc, nk = e.params["num_consts"], e.params["num_carry"]
        constants = dict(zip(body.operands[:nc], given))
        self.begin_bodies(name, [constants], f)
        watch = self.watch(f) if self.interruptible else None
        with f.loop(0, self.length, 1, self.carried(f, given[nc : nc + nk])) as loop:
            i = f.op(f"sub i64 {self.length - 1}, {loop.index}") if e.params["reverse"] else loop.index
            inputs = {**constants, **dict(zip(body.operands[nc : nc + nk], loop.values[::3]))}
            for v, stack in zip(body.operands[nc + nk :], given[nc + nk :]):
                inputs[v] = str(f.address(stack, f.mul(i, v.aval.nbytes), 1))
            targets = loop.values[1::3]
            for v, stack in zip(body.results[nk:], e.outvars[nk:]):
                targets.append(str(f.address(self.pointer[stack], f.mul(i, v.aval.nbytes), 1)))
            body.run(f, inputs, targets, self.error_place)
            loop.next = _turned(loop.values)
            loop.ends = watch.interrupted() if watch else ""
        self.deliver(f, loop.results[::3])
        f.do("ret void")
        return f


class While(_Control):
    """`while`: its body for as long as the condition holds."""

    def __init__(self, e: Eqn, condition: Body, body: Body):
        super().__init__(e, [condition, body], e.outvars)
        self.interruptible = True

    @property
    def nanoseconds(self) -> float:
        return _TRIPS * self.bodies[1].nanoseconds

    def write(self, name: str) -> Function:
        f = self.begin(name)
        (e,), (condition, body) = self.eqns, self.bodies
        cc, bc = e.params["cond_nconsts"], e.params["body_nconsts"]
        given = self.given(f, e.invars, (*condition.operands[:cc], *body.operands))
        of_condition = dict(zip(condition.operands[:cc], given))
        of_body = dict(zip(body.operands[:bc], given[cc:]))
        self.begin_bodies(name, [of_condition, of_body], f)
        watch = self.watch(f)
        with f.repeat(self.carried(f, given[cc + bc :])) as loop:
            carry = loop.values[::3]
            condition.run(
                f, {**of_condition, **dict(zip(condition.operands[cc:], carry))}, ["%scratch"], self.error_place
            )
            f.go_on(loop, Lanes(f, 1).load("%scratch", BOOL))
            inputs = {**of_body, **dict(zip(body.operands[bc:], carry))}
            body.run(f, inputs, loop.values[1::3], self.error_place)
            loop.next = _turned(loop.values)
            loop.ends = watch.interrupted()
        self.deliver(f, loop.results[::3])
        f.do("ret void")
        return f


class Cond(_Control):
    """`cond`: the branch of this number."""

    def __init__(self, e: Eqn, branches: Sequence[Body]):
        super().__init__(e, branches, ())

    @property
    def nanoseconds(self) -> float:
        return max([b.nanoseconds for b in self.bodies])

    def write(self, name: str) -> Function:
        f = self.begin(name)
        (e,) = self.eqns
        at, *operands = e.invars
        index = Lanes(f, 1).load(self.pointer[at], at.aval.dtype)  # type: ignore[index]
        dtype = at.aval.dtype
        self.begin_bodies(name, [{} for _ in self.bodies], f)
        labels = [f.new("branch") for _ in self.bodies]
        end, t = f.new("end"), scalar_type(dtype)
        cases = " ".join(
            f"{t} {k if dtype != BOOL else str(bool(k)).lower()}, label %{x}" for k, x in enumerate(labels)
        )
        f.do(f"switch {t} {index}, label %{labels[-1]} [ {cases} ]")
        for b, label in zip(self.bodies, labels):
            f.label(label)
            given = self.given(f, operands, b.operands)
            b.run(f, dict(zip(b.operands, given)), [self.pointer[v] for v in e.outvars], self.error_place)
            f.do(f"br label %{end}")
        f.label(end)
        f.do("ret void")
        return f


_LONG = 10_000_000  # estimated nanoseconds from which one looks for signals
_TRIPS = 100  # that a loop takes whose condition decides, for estimates of time


def lower_scan(e: Eqn, vector_bytes: int, lower: Lowering) -> list[Stage] | None:
    """The stage of a scan whose body runs natively."""
    nc, nk = e.params["num_consts"], e.params["num_carry"]
    if not e.params["length"] or e.params["progress"] or any([_is_odd(v) for v in e.invars[nc + nk :]]):
        return None
    body = body_of(e.params["jaxpr"], nc, vector_bytes, lower)
    return None if body is None else [Scan(e, body)]


def lower_while(e: Eqn, vector_bytes: int, lower: Lowering) -> list[Stage] | None:
    """The stage of a loop whose condition and body run natively."""
    p = e.params
    condition = body_of(p["cond_jaxpr"], p["cond_nconsts"], vector_bytes, lower)
    body = None if condition is None else body_of(p["body_jaxpr"], p["body_nconsts"], vector_bytes, lower)
    return None if condition is None or body is None else [While(e, condition, body)]


def lower_cond(e: Eqn, vector_bytes: int, lower: Lowering) -> list[Stage] | None:
    """The stage of a choice between branches that run natively."""
    if _is_odd(e.invars[0]):
        return None
    branches = [body_of(b, len(b.invars), vector_bytes, lower, repeats=False) for b in e.params["branches"]]
    return None if None in branches else [Cond(e, branches)]  # type: ignore[list-item]


def _is_odd(v: Atom) -> bool:
    """True for operands that kernels do not read from arrays."""
    return type(v) is not Var or v.aval.weak_type
