"""Native calls: a region becomes a function that Python can call with arrays, and an equation that the NumPy backend can place. May import core,
driver, engine, memory, operands, pool, regions, stage, text.

The entry of a region is a C function of CPython's fast calling convention: it takes the operands and the empty results, has the arrays' data
pointers read from the objects, runs the stages and returns the results. If an operand is not exactly what it should be, a contiguous array
of the right dtype, the call goes to `Retry`, which converts and copies.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from typing import Any

import numpy as np

from fnets.backends.llvm import pool
from fnets.backends.llvm.driver import Driver, Table
from fnets.backends.llvm.engine import Loaded
from fnets.backends.llvm.memory import Plan
from fnets.backends.llvm.operands import OPERANDS, RESULTS, constant_of
from fnets.backends.llvm.regions import Call
from fnets.backends.llvm.stage import Stage
from fnets.backends.llvm.text import ATTRIBUTES, Function
from fnets.core.avals import ShapedArray
from fnets.core.ir import Eqn, Var, eval_jaxpr
from fnets.core.primitive import Primitive
from fnets.errors import IndexingError

_WITHOUT_LOCK = 20_000  # estimated nanoseconds from which other Python threads may run meanwhile
new_array = np.empty  # makes the results
_FASTCALL = 0x80  # METH_FASTCALL


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
    """Takes over from an entry: with contiguous arrays, or, if it gets no results, in NumPy, for the error that the kernels found.

    It is the entry's `self`, so what it holds lives as long as the entry.
    """

    def __init__(self, loaded: Loaded, address: int, region: Call):
        self._loaded = loaded
        self._inputs = [v.aval for v in region.inputs]
        self._jaxpr = region.jaxpr if any([s.errors for s in region.stages]) else None
        self._definition = _MethodDef(b"kernel", address, _FASTCALL, None)
        self.entry = _new_function(ctypes.addressof(self._definition), self, None)

    def __call__(self, *args: Any) -> Any:
        inputs = [_as_expected(x, a) for x, a in zip(args, self._inputs)]
        if len(args) == len(self._inputs) and self._jaxpr is not None:
            eval_jaxpr(self._jaxpr, inputs)
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
    go = f.new("good")
    f.do(f"br i1 {good}, label %{go}, label %retry")
    f.label(go)
    plan = region.plan
    threads = f.call("i64", pool.THREADS) if any([c.parts > 1 for c in region.chains]) else "1"
    block = _block(f, plan, threads) if plan.size or plan.scratch else ""
    unlocked = region.nanoseconds >= _WITHOUT_LOCK
    state = f.call("ptr", "PyEval_SaveThread") if unlocked else ""
    driver = Driver(f, plan, names, data, block, threads)
    driver.run(region.chains)
    wrong = driver.errors(region.stages)
    if unlocked:
        f.call("void", "PyEval_RestoreThread", ("ptr", state))
    if block:
        f.call("void", pool.GIVE, ("ptr", block))
    first = len(region.inputs)
    if wrong:
        explain, go = f.new("explain"), f.new("go")
        f.do(f"br i1 {f.op(f'icmp eq i64 {wrong}, 0')}, label %{go}, label %{explain}")
        f.label(explain)
        f.do(f"ret ptr {_call_self(f, str(first))}")
        f.label(go)
    objects, their_kinds = str(f.address("%args", first, 8)), str(f.address(kinds, first, 4))
    results = f.call("ptr", RESULTS, ("ptr", objects), ("i64", str(len(region.outputs))), ("ptr", their_kinds))
    f.do(f"ret ptr {results}")
    f.label("retry")
    f.do(f"ret ptr {_call_self(f, '%count')}")
    return f


def _call_self(f: Function, count: str) -> str:
    """Have Python take over, with the first `count` operands."""
    return f.call("ptr", "PyObject_Vectorcall", ("ptr", "%self"), ("ptr", "%args"), ("i64", count), ("ptr", "null"))


def _block(f: Function, plan: Plan, threads: str) -> str:
    """A block of memory as planned; without one, the entry ends with a MemoryError."""
    scratch = f.op(f"mul i64 {threads}, {plan.scratch}")
    block = f.call("ptr", pool.TAKE, ("i64", f.op(f"add i64 {scratch}, {plan.size}")))
    failed, go = f.new("failed"), f.new("go")
    f.do(f"br i1 {f.op(f'icmp eq ptr {block}, null')}, label %{failed}, label %{go}")
    f.label(failed)
    f.do(f"ret ptr {f.call('ptr', 'PyErr_NoMemory')}")
    f.label(go)
    return block


def replaceable(region: Call) -> dict[Var, list[Var]]:
    """For each result of a region, operands whose memory it may take: those that no other stage reads."""
    readers = Counter([v for s in region.stages for v in s.sources if v in region.inputs])
    return {
        r: [v for v in s.replaceable(r) if readers[v] == 1 and v.aval.shape == r.aval.shape]
        for s in region.stages
        for r in s.stored
    }


def module_text(regions: list[Call]) -> str:
    """The LLVM module of a program's regions; each region is told the name of its `entry`. Functions that are alike are written once."""
    functions: dict[str, Function] = {}  # by their text under a common name
    for k, region in enumerate(regions):
        names: dict[Stage, str] = {}
        for i, s in enumerate([s for c in region.chains for s in c.stages]):
            names[s] = _shared(functions, s.write(f"stage{k}_{i}")).name
        region.entry = _shared(functions, _entry(f"entry{k}", region, names)).name
        region.replaceable = replaceable(region)
    return _module(list(functions.values()))


def _shared(functions: dict[str, Function], f: Function) -> Function:
    """The function, or an earlier one that does the same."""
    return functions.setdefault(f.text().replace(f"@{f.name}(", "@("), f)


def _module(functions: list[Function]) -> str:
    declarations = set().union(*[f.declarations for f in functions])
    variables = sorted({line for f in functions for line in f.globals.values()})
    helpers = {name: text for f in functions for name, text in f.helpers.items()}
    return "\n".join(
        [
            *variables,
            *sorted(declarations),
            *[helpers[n] for n in sorted(helpers)],
            *[f.text() for f in functions],
            ATTRIBUTES,
            "",
        ]
    )


# ------------------------------------------------------------------ as an equation

native_p = Primitive("native_region", multi=True, fresh=True)
native_p.impl = lambda *args, kernel: kernel(*args)


class Kernel:
    """A region's entry, and the types of its results."""

    def __init__(self, region: Call, loaded: Loaded):
        self.region = region
        self.entry = Retry(loaded, loaded.address(region.entry), region).entry
        self.results = [v.aval for v in region.outputs]

    def __call__(self, *args: Any) -> list:
        out = self.entry(*args, *[np.empty(a.shape, a.dtype) for a in self.results])
        return list(out) if len(self.results) > 1 else [out]


def as_equation(region: Call, loaded: Loaded) -> Eqn:
    """The equation that calls a region."""
    kernel = Kernel(region, loaded)
    return Eqn(native_p, region.inputs, region.outputs, {"kernel": kernel}, region.eqns[-1].where)


def _is_free(cg: Any, u: Var, operands: tuple[Var, ...]) -> bool:
    """True if the memory of an operand ends here and no other operand is a view of it."""
    return cg.ends_at(cg.position, u) and not any([cg.roots[u] & cg.roots[w] for w in operands if w is not u])


def _lower(cg: Any, e: Eqn, args: list[str], out: str | None) -> str:
    kernel = e.params["kernel"]
    operands = [f"float({a})" if v.aval.weak_type and v.aval.dtype.kind != "f" else a for v, a in zip(e.invars, args)]
    empty = cg.const(new_array, "empty")
    taken: set[Var] = set()
    results = []
    for v in e.outvars:
        place = next((u for u in kernel.region.replaceable[v] if u not in taken and _is_free(cg, u, e.invars)), None)
        if place is None:
            results.append(f"{empty}({v.aval.shape}, {cg.const(v.aval.dtype, 'dtype')})")
        else:
            taken.add(place)
            results.append(cg.name(place))
    call = f"{cg.const(kernel.entry, 'native')}({', '.join([*operands, *results])})"
    return call if len(results) > 1 else f"({call},)"


native_p.lower["numpy"] = _lower
