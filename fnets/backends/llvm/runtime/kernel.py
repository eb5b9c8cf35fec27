"""Native calls: a region becomes a function that Python can call with arrays, and an equation that the NumPy backend can place. May import config,
core, driver, engine, memory, operands, pool, regions, stage, text, violations.

The entry of a region is a C function of CPython's fast calling convention: it takes the operands and the empty results, has the arrays' data
pointers read from the objects, runs the stages and returns the results. If an operand is not exactly what it should be, a contiguous array
of the right dtype, the call goes to `Retry`, which converts and copies.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets import config
from fnets.backends.llvm.code.text import ATTRIBUTES, Function
from fnets.backends.llvm.kernels.stage import Stage
from fnets.backends.llvm.runtime import pool
from fnets.backends.llvm.runtime.driver import Driver, Table
from fnets.backends.llvm.runtime.engine import Loaded, Module
from fnets.backends.llvm.runtime.operands import OPERANDS, RESULTS, constant_of
from fnets.backends.llvm.runtime.violations import VIOLATED
from fnets.backends.llvm.schedule.memory import Plan
from fnets.backends.llvm.schedule.regions import Call
from fnets.core.avals import ShapedArray
from fnets.core.ir import Eqn, Jaxpr, Var, eval_jaxpr
from fnets.core.primitive import Primitive
from fnets.errors import IndexingError

_WITHOUT_LOCK = 20_000  # estimated nanoseconds from which other Python threads may run meanwhile
new_array = np.empty  # makes the results
_FASTCALL = 0x80  # METH_FASTCALL
_MODULES, _LINES = 4, 1000  # modules of a program at most, and lines of one at least


class _MethodDef(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


_new_function = ctypes.pythonapi.PyCFunction_NewEx
_new_function.restype = ctypes.py_object
_new_function.argtypes = (ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)


class Retry:
    """Takes over from an entry: with contiguous arrays, or, if it gets no results, for the error that the kernels found: in NumPy, but for
    accesses outside of what they may touch.

    It is the entry's `self`, so what it holds lives as long as the entry. `explain` gives the program of the call. Where NumPy finds no error and the
    operands are `whole`, its results count: a matrix may be singular by one rounding, and not by another.
    """

    def __init__(
        self, loaded: Loaded, address: int, inputs: list[ShapedArray], explain: Callable[[], Jaxpr], whole: bool
    ):
        self._loaded = loaded
        self._inputs = inputs
        self._whole = whole
        self._explain = explain
        definition = _MethodDef(b"kernel", address, _FASTCALL, None)
        # the function reads it when it dies, and a garbage collection may drop what is around a function before that: it stays
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(definition))
        self.entry = _new_function(ctypes.addressof(definition), self, None)

    def __call__(self, *args: Any) -> Any:
        inputs = [_as_expected(x, a) for x, a in zip(args, self._inputs)]
        if len(args) == len(self._inputs):
            pool.raise_violation()
            program = self._explain()
            results = eval_jaxpr(program, inputs)
            if self._whole:
                out = [np.array(x, v.aval.dtype) for x, v in zip(results, program.outvars)]
                return tuple(out) if len(out) > 1 else out[0]
            raise IndexingError(
                "[jit] expected indices within bounds, got some beyond. Run it with backend='numpy' to see where."
            )
        return self.entry(*inputs, *[np.empty(a.shape, a.dtype) for a in args[len(inputs) :]])


def _as_expected(x: Any, aval: ShapedArray) -> Any:
    """A value in the one form that kernels read."""
    return float(x) if aval.weak_type else np.ascontiguousarray(np.asarray(x, aval.dtype)).reshape(aval.shape)


def _entry(name: str, region: Call, names: dict[Stage, str]) -> Function:
    """The C function of a region: `PyObject *entry(self, args, nargs)`."""
    f = Function(name, ["ptr %self", "ptr %args", "i64 %count"], "ptr")
    variables = [*region.inputs, *region.outputs]
    kinds, constant = constant_of([v.aval for v in variables])
    f.globals[kinds] = constant
    data = Table(f, variables)
    good = f.call("i1", OPERANDS, ("ptr", "%args"), ("i64", str(len(variables))), ("ptr", kinds), ("ptr", data.pointer))
    with f.leaving(f.op(f"xor i1 {good}, true")):
        f.do(f"ret ptr {_call_self(f, '%count')}")
    plan = region.plan
    threads = f.call("i64", pool.THREADS) if any([c.parts > 1 for c in region.chains]) else "1"
    block = _block(f, plan, threads) if plan.size or plan.scratch else ""
    interruptible = any([s.interruptible for s in region.stages])  # may take any time
    unlocked = interruptible or region.nanoseconds >= _WITHOUT_LOCK
    state = f.call("ptr", "PyEval_SaveThread") if unlocked else ""
    driver = Driver(f, plan, names, data, block, threads)
    driver.run(region.chains)
    wrong = driver.errors(region.stages)
    if config.read("check_bounds"):
        violations = f.call("i64", VIOLATED)
        wrong = f.op(f"add i64 {wrong}, {violations}") if wrong else violations
    if unlocked:
        f.call("void", "PyEval_RestoreThread", ("ptr", state))
    if block:
        f.call("void", pool.GIVE, ("ptr", block))
    if interruptible:
        with f.leaving(f.op(f"icmp ne ptr {f.call('ptr', 'PyErr_Occurred')}, null")):
            f.do("ret ptr null")
    first = len(region.inputs)
    if wrong:
        with f.leaving(f.op(f"icmp ne i64 {wrong}, 0")):
            f.do(f"ret ptr {_call_self(f, str(first))}")
    objects, their_kinds = str(f.address("%args", first, 8)), str(f.address(kinds, first, 4))
    results = f.call("ptr", RESULTS, ("ptr", objects), ("i64", str(len(region.outputs))), ("ptr", their_kinds))
    f.do(f"ret ptr {results}")
    return f


def _call_self(f: Function, count: str) -> str:
    """Have Python take over, with the first `count` operands."""
    return f.call("ptr", "PyObject_Vectorcall", ("ptr", "%self"), ("ptr", "%args"), ("i64", count), ("ptr", "null"))


def _block(f: Function, plan: Plan, threads: str) -> str:
    """A block of memory as planned; without one, the entry ends with a MemoryError."""
    scratch = f.op(f"mul i64 {threads}, {plan.scratch}")
    block = f.call("ptr", pool.TAKE, ("i64", f.op(f"add i64 {scratch}, {plan.size}")))
    with f.leaving(f.op(f"icmp eq ptr {block}, null")):
        f.do(f"ret ptr {f.call('ptr', 'PyErr_NoMemory')}")
    return block


def replaceable(region: Call) -> tuple[tuple[int, ...], ...]:
    """For each result of a region, the positions of operands whose memory it may take: those that no other stage reads.

    A value without axes may be a NumPy scalar, whose memory is nobody's to write."""
    if any([s.retried for s in region.stages]):
        return ((),) * len(region.outputs)
    position = {v: i for i, v in enumerate(region.inputs)}
    readers = Counter([v for s in region.stages for v in s.sources if v in position])
    may_take = {
        r: tuple([position[v] for v in s.replaceable(r) if readers[v] == 1 and v.aval.shape == r.aval.shape != ()])
        for s in region.stages
        for r in s.stored
    }
    return tuple([may_take[v] for v in region.outputs])


def modules_of(regions: list[Call]) -> tuple[list[Module], list[str]]:
    """The LLVM modules of a program's regions, those of the stages and that of the calls, and the names of the regions' entries.

    Functions that are alike are written once.
    """
    stages: dict[str, Function] = {}  # by their text under a common name
    calls: dict[str, Function] = {}
    entries = []
    for k, region in enumerate(regions):
        names: dict[Stage, str] = {}
        for i, s in enumerate([s for c in region.chains for s in c.stages]):
            names[s] = _shared(stages, s.function(f"stage{k}_{i}")).name
        entries.append(_shared(calls, _entry(f"entry{k}", region, names)).name)
    written = [*stages.values()]
    inner = [h for f in written for h in f.helpers.values()]
    callers = [*calls.values(), *[t for f in (*written, *calls.values()) for t in f.tasks.values()]]
    return [
        *[_module(part, callers) for part in _parts(written)],
        _module(callers, [*written, *inner], level=0),
    ], entries


def _shared(functions: dict[str, Function], f: Function) -> Function:
    """The function, or an earlier one that does the same."""
    return functions.setdefault(f.text().replace(f"@{f.name}(", "@("), f)


def _parts(functions: list[Function]) -> list[list[Function]]:
    """The functions in parts of about the same length, so that several threads can compile them: the same parts on every machine."""
    lengths = {f: len(f.lines) + sum([len(h.lines) for h in f.helpers.values()]) for f in functions}
    parts: list[list[Function]] = [[] for _ in range(min(_MODULES, 1 + sum(lengths.values()) // _LINES))]
    total = [0] * len(parts)
    for f in sorted(functions, key=lambda f: -lengths[f]):
        least = total.index(min(total))
        parts[least].append(f)
        total[least] += lengths[f]
    return parts


def _module(functions: list[Function], others: list[Function], level: int = 1) -> Module:
    """A module with some functions, which may refer to those of another module."""
    helpers = {name: h for f in functions for name, h in f.helpers.items()}
    functions = [*[helpers[n] for n in sorted(helpers)], *functions]
    written = [f.text() for f in functions]
    called = set(re.findall(r"@(\w+)", "\n".join(written)))
    declarations = set().union(
        *[f.declarations for f in functions], [f.declaration for f in others if f.name in called]
    )
    variables = sorted({line for f in functions for line in f.globals.values()})
    return Module("\n".join([*variables, *sorted(declarations), *written, ATTRIBUTES, ""]), level)


# ------------------------------------------------------------------ as an equation


def _run(*args: Any, kernel: Callable, results: tuple[ShapedArray, ...], **params: Any) -> list:
    out = kernel(*args, *[np.empty(a.shape, a.dtype) for a in results])
    return list(out) if len(results) > 1 else [out]


native_p = Primitive("native_region", multi=True, fresh=True)
native_p.impl = _run


def as_equation(region: Call, entry: str) -> Eqn:
    """The equation that calls a region by the name of its entry; `link` makes it one that can run."""
    params = {"entry": entry, "replaceable": replaceable(region)}
    return Eqn(native_p, region.inputs, region.outputs, params, region.eqns[-1].where)


def link(eqns: Sequence[Eqn], loaded: Loaded, explain: Callable[[int], Jaxpr]) -> list[Eqn]:
    """The equations with machine code for the native calls; `explain` gives the program of each call by its number."""
    out = []
    count = itertools.count()
    for e in eqns:
        if e.prim is native_p:
            address = loaded.address(e.params["entry"])
            program = functools.partial(explain, next(count))
            whole = not any(e.params["replaceable"])
            kernel = Retry(loaded, address, [v.aval for v in e.invars], program, whole).entry
            e = e.replace(params=e.params | {"kernel": kernel, "results": tuple([v.aval for v in e.outvars])})
        out.append(e)
    return out


def _lower(cg: Any, e: Eqn, args: list[str], out: str | None) -> str:
    operands = [f"float({a})" if v.aval.weak_type and v.aval.dtype.kind != "f" else a for v, a in zip(e.invars, args)]
    empty = cg.const(new_array, "empty")
    taken: set[Var] = set()
    results = []
    viewers = Counter([r for u in dict.fromkeys(e.invars) for r in cg.roots[u]])  # of each memory

    def is_free(u: Var) -> bool:
        """True if the memory of an operand ends here and no other operand is a view of it."""
        return u not in taken and cg.ends_at(cg.position, u) and all([viewers[r] == 1 for r in cg.roots[u]])

    for v, positions in zip(e.outvars, e.params["replaceable"]):
        place = next((e.invars[i] for i in positions if is_free(e.invars[i])), None)
        if place is None:
            results.append(f"{empty}({v.aval.shape}, {cg.const(v.aval.dtype, 'dtype')})")
        else:
            taken.add(place)
            results.append(cg.name(place))
    call = f"{cg.const(e.params['kernel'], 'native')}({', '.join([*operands, *results])})"
    return call if len(results) > 1 else f"({call},)"


native_p.lower["numpy"] = _lower
