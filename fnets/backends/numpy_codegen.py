"""The NumPy backend: a jaxpr becomes straight-line Python source that calls NumPy, compiled once. May import core, passes.

A primitive's hook `lower["numpy"](cg, eqn, args, out)` returns a Python expression: `args` are the operands' names, `out` is the name of an
array of the result's type that may be overwritten, or None; `cg.const(value)` names any object. Without a hook the ufunc or the impl is called.
Buffers are reused in place where liveness allows it, and every array is dropped after its last use.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.backends.passes import optimise
from fnets.core.avals import python_type
from fnets.core.ir import Atom, Eqn, Jaxpr, Literal, Var
from fnets.core.promotion import loop_dtypes
from fnets.primitives.threads import one_blas_thread
from fnets.source import GENERATED, LINES

_module_ids = itertools.count()


class Codegen:
    """Names, constants and buffer ownership while the source is written."""

    def __init__(self, jaxpr: Jaxpr, donated: tuple[int, ...] = ()):
        self.namespace: dict[str, Any] = {}
        self.names: dict[Var, str] = {}
        self.counter = itertools.count()
        self.const_names: dict[Any, str] = {}
        self.last_use: dict[Var, int] = {}
        self.position = 0  # of the equation whose expression is being written
        for i, e in enumerate(jaxpr.eqns):
            for v in e.invars:
                if type(v) is Var:
                    self.last_use[v] = i
        end = len(jaxpr.eqns)
        for v in jaxpr.outvars:
            if type(v) is Var:
                self.last_use[v] = end
        # roots[v]: the variables whose memory v may share; `alive_until[root]`: the last use of any variable that shares it
        self.writable: set[Atom] = {jaxpr.invars[k] for k in donated}  # memory of ours, each element once
        self.roots: dict[Var, frozenset[Var]] = {}
        self.alive_until: dict[Var, int] = {}
        for v in (*jaxpr.invars, *jaxpr.constvars):
            self.roots[v] = frozenset((v,))
            self.alive_until[v] = end + 1  # not ours: never overwritten
        for k in donated:
            self.alive_until[jaxpr.invars[k]] = self.last_use.get(jaxpr.invars[k], -1)
        for i, e in enumerate(jaxpr.eqns):
            shared = (
                frozenset() if e.prim.fresh else frozenset().union(*[self.roots[v] for v in e.invars if type(v) is Var])
            )
            for v in e.outvars:
                if e.prim.fresh or (
                    e.prim.kind == "view" and e.prim.name != "broadcast_to" and e.invars[0] in self.writable
                ):
                    self.writable.add(v)
                roots = self.roots[v] = shared | {v}
                used = self.last_use.get(v, i)
                for root in roots:
                    self.alive_until[root] = max(self.alive_until.get(root, -1), used)

    def outputs_to_copy(self, jaxpr: Jaxpr) -> set[int]:
        """Positions of results that share memory with an argument, a constant or another result, or that are read-only."""
        foreign = {*jaxpr.invars, *jaxpr.constvars}
        read_only: set[Var] = set()
        for e in jaxpr.eqns:
            if e.prim.name == "broadcast_to" or (not e.prim.fresh and any(v in read_only for v in e.invars)):
                read_only.update(e.outvars)
        taken: set[Var] = set()
        copies = set()
        for k, v in enumerate(jaxpr.outvars):
            if type(v) is Var and v.aval.shape != ():
                if v in read_only or self.roots[v] & foreign or self.roots[v] & taken:
                    copies.add(k)
                taken |= self.roots[v]
        return copies

    def const(self, value: Any, hint: str = "k") -> str:
        """A name for an object in the generated module."""
        key = id(value)
        name = self.const_names.get(key)
        if name is None:
            name = self.const_names[key] = f"{hint}_{next(self.counter)}"
            self.namespace[name] = value
        return name

    def name(self, v: Var) -> str:
        known = self.names.get(v)
        if known is None:
            known = self.names[v] = f"v{len(self.names)}"
        return known

    def atom(self, v: Atom) -> str:
        if type(v) is Var:
            return self.name(v)
        return self.literal(v.val)

    def literal(self, value: Any) -> str:
        """A scalar in the source: Python scalars stay Python scalars (weak)."""
        if type(value) in (int, bool) or (type(value) is float and np.isfinite(value)):
            return repr(value) if value >= 0 else f"({value!r})"
        name = f"k_{next(self.counter)}"
        self.namespace[name] = value
        return name

    def array_literal(self, value: Any, dtype: np.dtype) -> str:
        """A scalar as a 0-d array: NumPy takes it in half the time of a Python scalar."""
        array = np.asarray(value, dtype)
        array.flags.writeable = False
        name = f"k_{next(self.counter)}"
        self.namespace[name] = array
        return name

    def reusable(self, i: int, e: Eqn) -> str | None:
        """The name of an operand whose memory may hold the result of equation i."""
        aval = e.outvars[0].aval
        if aval.shape == () or len(e.outvars) != 1:
            return None
        for v in e.invars:
            if type(v) is Var and v.aval.shape == aval.shape and v.aval.dtype == aval.dtype and self.ends_at(i, v):
                return self.name(v)
        return None

    def ends_at(self, i: int, v: Var) -> bool:
        """True if equation i is the last to need the memory of a variable, and may write to it."""
        return v in self.writable and all([self.alive_until[root] == i for root in self.roots[v]])

    def expression(self, i: int, e: Eqn) -> str:
        self.position = i
        lower = e.prim.lower.get("numpy")
        if lower is None and e.prim.ufunc is not None and not e.params:
            lower = _lower_ufunc
        if lower is not None:
            return lower(self, e, [self.atom(v) for v in e.invars], self.reusable(i, e) if e.prim.fresh else None)
        impl = functools.partial(e.prim.impl, **e.params) if e.params else e.prim.impl
        return f"{self.const(impl, e.prim.name)}({', '.join(map(self.atom, e.invars))})"


_OUT_BY_KEYWORD = {np.maximum, np.minimum}  # NumPy deprecates a third positional argument for these


def _lower_ufunc(cg: Codegen, e: Eqn, args: list[str], out: str | None) -> str:
    ufunc = e.prim.ufunc
    assert ufunc is not None
    if any(type(v) is Literal for v in e.invars) and not e.outvars[0].aval.weak_type:
        kinds = [python_type(v.aval.dtype) if v.aval.weak_type else v.aval.dtype for v in e.invars]
        if not all(isinstance(k, type) for k in kinds):
            loop = loop_dtypes(ufunc, kinds)
            args = [
                cg.array_literal(v.val, loop[k]) if type(v) is Literal and _exact(v.val, loop[k]) else name
                for k, (v, name) in enumerate(zip(e.invars, args))
            ]
    if out is not None:
        args = [*args, f"out={out}" if ufunc in _OUT_BY_KEYWORD else out]
    return f"{cg.const(ufunc, e.prim.name)}({', '.join(args)})"


def _exact(value: Any, dtype: np.dtype) -> bool:
    """True if NumPy would convert the scalar to this dtype too (out-of-range integers are left to raise or compare by themselves)."""
    if dtype.kind in "iu" and isinstance(value, (int, np.integer)):
        return np.iinfo(dtype).min <= value <= np.iinfo(dtype).max
    return dtype.kind in "fcb"


def compile_numpy(jaxpr: Jaxpr, own_outputs: bool = False, donated: tuple[int, ...] = ()) -> Callable[..., list]:
    """Compile to a function of the flat arguments that returns the list of flat results.

    own_outputs: every result is writable memory that nobody else holds; otherwise results may be views of arguments.
    donated: positions of arguments whose memory may be overwritten.
    """
    return generate(optimise(jaxpr), own_outputs, donated)


def generate(jaxpr: Jaxpr, own_outputs: bool = False, donated: tuple[int, ...] = ()) -> Callable[..., list]:
    """`compile_numpy` of a jaxpr that is as it should be: equation by equation, in order."""
    cg = Codegen(jaxpr, donated)
    for v, c in zip(jaxpr.constvars, jaxpr.consts):
        cg.namespace[cg.name(v)] = c
    lines = [f"def run({', '.join(map(cg.name, jaxpr.invars))}):"]
    constants = set(jaxpr.constvars)
    shared = cg.outputs_to_copy(jaxpr) if own_outputs else set()
    first_line = []  # of each equation, counted from 1
    for i, e in enumerate(jaxpr.eqns):
        first_line.append(len(lines) + 1)
        expression = cg.expression(i, e)
        if not e.prim.multi and e.outvars[0].aval.weak_type:
            expression = f"{cg.const(_item, 'item')}({expression})"
        targets = ", ".join(map(cg.name, e.outvars)) + ("," if e.prim.multi else "")
        lines.append(f"  {targets} = {expression}" if e.outvars else f"  {expression}")
        dead = [
            v
            for v in dict.fromkeys([*e.invars, *e.outvars])
            if type(v) is Var and cg.last_use.get(v, i) == i and v not in constants
        ]
        if dead and (i + 1 < len(jaxpr.eqns) or shared):
            lines.append(f"  {' = '.join(map(cg.name, dead))} = None")
    results = [cg.atom(v) + (".copy()" if k in shared else "") for k, v in enumerate(jaxpr.outvars)]
    lines.append(f"  return [{', '.join(results)}]")
    source = "\n".join(lines)
    cg.namespace[LINES] = {n: e.where for n, e in zip(first_line, jaxpr.eqns)}
    exec(compile(source, f"{GENERATED} {next(_module_ids)}>", "exec"), cg.namespace)
    run = cg.namespace.pop("run")
    one_thread = _FEW_FLOPS < _largest_product(jaxpr) < _MANY_FLOPS
    if one_thread:
        run = with_one_blas_thread(run)
    run.source, run.jaxpr, run.first_line = source, jaxpr, first_line
    run.namespace, run.one_thread = cg.namespace, one_thread
    return run


# BLAS runs a product of fewer operations on one thread by itself, and gains from several from a few hundred microseconds of work on
_FEW_FLOPS = 500_000
_MANY_FLOPS = 50_000_000


def _largest_product(jaxpr: Jaxpr) -> int:
    """Floating point operations of the largest matrix product, one matrix of a stack counted."""
    largest = 0
    for e in jaxpr.eqns:
        if e.prim.name == "dot_general":
            (contracted, _), (batch, _) = e.params["dimension_numbers"]
            lhs = e.invars[0].aval.shape
            stack = math.prod([lhs[i] for i in batch])
            largest = max(
                largest, 2 * e.outvars[0].aval.size * math.prod([lhs[i] for i in contracted]) // max(stack, 1)
            )
    return largest


def with_one_blas_thread(run: Callable[..., list]) -> Callable[..., list]:
    """The same function, its matrix products on one thread."""

    def run_on_one_thread(*args: Any) -> list:
        with one_blas_thread():
            return run(*args)

    return run_on_one_thread


def _item(x: Any) -> Any:
    return x.item() if isinstance(x, (np.generic, np.ndarray)) else x
