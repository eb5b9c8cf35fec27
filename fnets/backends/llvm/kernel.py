"""Native calls: a region becomes a function that Python can call with arrays, and an equation that the NumPy backend can place. May import core, cache, engine,
driver, memory, pool, regions, stage, text.

The entry of a region is a C function of CPython's fast calling convention: it takes the operands and the empty results, reads the arrays' data
pointers from the objects, runs the stages and returns the results. If an operand is not exactly what it should be, a contiguous array
of the right dtype, the call goes to `Retry`, which converts and copies.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
from collections import Counter
from typing import Any

import numpy as np

from fnets.backends.llvm import cache, pool
from fnets.backends.llvm.driver import Driver
from fnets.backends.llvm.engine import Loaded, host, object_code
from fnets.backends.llvm.memory import Plan
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


def is_scalar(v: Var) -> bool:
    return v.aval.shape == ()


class _Checks:
    """Conditions that the operands of an entry must meet; where one does not, the call goes to `Retry`."""

    def __init__(self, f: Function, head: int):
        self.f = f
        self.head = head
        self.conditions: list[str] = []

    def field(self, o: str, offset: int, type_: str = "ptr") -> str:
        return self.f.op(f"load {type_}, ptr {self.f.address(o, self.head + offset, 1)}")

    def require(self, condition: str) -> None:
        self.conditions.append(condition)

    def same(self, a: str, b: str) -> str:
        return self.f.op(f"icmp eq ptr {a}, {b}")

    def scalar_type(self, dtype: np.dtype) -> str:
        """The type object of NumPy's scalars of a dtype; `load` fills these variables in."""
        name = f"@type_{dtype.name}"
        self.f.globals[name] = f"{name} = global ptr null"
        return self.f.op(f"load ptr, ptr {name}")

    def dtype(self, o: str, dtype: np.dtype) -> str:
        number = self.f.op(f"load i32, ptr {self.f.address(self.field(o, 40), self.head + 12, 1)}")
        return self.f.op(f"icmp eq i32 {number}, {dtype.num}")

    def end(self) -> None:
        """Go on only if all conditions hold."""
        if not self.conditions:
            return
        good = self.conditions[0]
        for c in self.conditions[1:]:
            good = self.f.op(f"and i1 {good}, {c}")
        self.conditions = []
        go = self.f.new("good")
        self.f.do(f"br i1 {good}, label %{go}, label %retry")
        self.f.label(go)


def _data(f: Function, region: Call, objects: list[str], head: int) -> dict[Var, str]:
    """Where the data of each operand is, all of them checked: exactly arrays, NumPy scalars or floats, of the right dtype, contiguous."""
    checks = _Checks(f, head)
    variables = [*region.inputs, *region.outputs]
    some_array = objects[-1]  # the last operand is a result
    array_type = checks.field(some_array, -8)
    is_array: dict[Var, str] = {}
    for v, o in zip(variables, objects):
        type_ = checks.field(o, -8)
        if v.aval.weak_type:
            f.globals["@PyFloat_Type"] = "@PyFloat_Type = external global i8"
            checks.require(checks.same(type_, "@PyFloat_Type"))
            continue
        is_array[v] = known = checks.same(type_, array_type)
        if is_scalar(v):
            known = f.op(f"or i1 {known}, {checks.same(type_, checks.scalar_type(v.aval.dtype))}")
        checks.require(known)
    checks.end()
    data = {}
    for v, o in zip(variables, objects):
        own = f.address(o, head, 1)
        if v.aval.weak_type:
            data[v] = own
        elif is_scalar(v):  # an array without axes, or a NumPy scalar, which holds its value itself
            array = f.op(f"select i1 {is_array[v]}, ptr {o}, ptr {some_array}")
            scalar = f.op(f"xor i1 {is_array[v]}, true")
            checks.require(f.op(f"or i1 {scalar}, {checks.dtype(array, v.aval.dtype)}"))
            data[v] = f.op(f"select i1 {is_array[v]}, ptr {checks.field(o, 0)}, ptr {own}")
        else:
            checks.require(checks.dtype(o, v.aval.dtype))
            checks.require(f.op(f"trunc i32 {checks.field(o, 48, 'i32')} to i1"))  # contiguous
            data[v] = checks.field(o, 0)
    checks.end()
    return data


def _entry(name: str, region: Call, names: dict[Stage, str], head: int) -> Function:
    """The C function of a region: `PyObject *entry(self, args, nargs)`."""
    f = Function(name, ["ptr %self", "ptr %args", "i64 %count"], "ptr")
    objects = [
        f.op(f"load ptr, ptr {f.address('%args', i, 8)}") for i in range(len(region.inputs) + len(region.outputs))
    ]
    data = _data(f, region, objects, head)
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
    if wrong:
        explain, go = f.new("explain"), f.new("go")
        f.do(f"br i1 {f.op(f'icmp eq i64 {wrong}, 0')}, label %{go}, label %{explain}")
        f.label(explain)
        f.do(f"ret ptr {_call_self(f, str(len(region.inputs)))}")
        f.label(go)
    _return_results(f, region, objects[len(region.inputs) :])
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


def _return_results(f: Function, region: Call, objects: list[str]) -> None:
    """One result, or a tuple; a result without axes as a NumPy scalar. Errors of CPython's functions (no memory) come out as its NULL."""
    results = []
    for o, v in zip(objects, region.outputs):
        if is_scalar(v):
            empty = f.call("ptr", "PyTuple_New", ("i64", "0"))
            results.append(f.call("ptr", "PyObject_GetItem", ("ptr", o), ("ptr", empty)))
            f.call("void", "Py_DecRef", ("ptr", empty))
        else:
            f.call("void", "Py_IncRef", ("ptr", o))
            results.append(o)
    if len(results) == 1:
        f.do(f"ret ptr {results[0]}")
        return
    out = f.call("ptr", "PyTuple_New", ("i64", str(len(results))))
    for i, r in enumerate(results):
        f.call("i32", "PyTuple_SetItem", ("ptr", out), ("i64", str(i)), ("ptr", r))
    f.do(f"ret ptr {out}")


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
        region.entry = _shared(functions, _entry(f"entry{k}", region, names, host().head)).name
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


def load(text: str) -> Loaded:
    """A module's code: from the cache, or compiled and put there."""
    h = host()
    if "@fnets_" in text:
        pool.start()
    name = cache.key_of(text, h.cpu, h.features, h.version)
    code = cache.read(name)
    loaded = None
    if code is not None:
        with contextlib.suppress(Exception):  # an object that cannot be loaded is built again
            loaded = Loaded(code)
    if loaded is None:
        code = object_code(text)
        cache.write(name, code)
        loaded = Loaded(code)
    for dtype in re.findall(r"^@type_(\w+) = global", text, re.MULTILINE):
        ctypes.c_void_p.from_address(loaded.variable(f"type_{dtype}")).value = id(np.dtype(dtype).type)
    return loaded


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
