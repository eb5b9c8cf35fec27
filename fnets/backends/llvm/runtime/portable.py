"""Programs as data: a jaxpr as nested lists that JSON can hold, and back. May import core.

That is how a program finds what was compiled for it in an earlier process: the data of the program are the key, the data of what became of it, a
schedule of native calls and of equations for NumPy, are found under it. Only plain data are read, never code. What has no such form (a
callable in the parameters, a dtype or primitive from elsewhere) makes a program `NotPortable`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray
from fnets.core.ir import Atom, Eqn, Jaxpr, Literal, Var
from fnets.core.primitive import Primitive, registry

_LARGEST = 1 << 20  # bytes of a constant that is written down


class NotPortable(Exception):
    """The program cannot be written down."""


class Writer:
    """Writes jaxprs. Locations of equations and constants are referred to by their positions in `wheres` and `consts`; without `wheres` they are collected."""

    def __init__(self, wheres: Iterable[Any] | None = None, consts: Sequence[Any] = ()):
        self._fixed = wheres is not None
        self.wheres = list(wheres or ())
        self._where = {id(w): i for i, w in reversed(list(enumerate(self.wheres)))}
        self._const = {id(c): i for i, c in reversed(list(enumerate(consts)))}
        self._types: dict[tuple, int] = {}
        self._number: dict[Var, int] = {}
        self._checked: set[Primitive] = set()
        self._variables: list[int] = []  # their types

    def write(self, jaxpr: Jaxpr) -> list:
        """The program: types, the types of its variables, its constants and what `_jaxpr` says."""
        consts = [self._const_of(c) for c in jaxpr.consts]
        body = self._jaxpr(jaxpr)
        return [[[d.str, weak, *shape] for d, weak, shape in self._types], self._variables, consts, body]

    def _jaxpr(self, jaxpr: Jaxpr) -> list:
        ins = [self._define(v) for v in (*jaxpr.constvars, *jaxpr.invars)]
        eqns, number, value, checked = [], self._number, self._value, self._checked
        for e in jaxpr.eqns:  # the loop that programs of a thousand equations go through at each start
            prim, params = e.prim, e.params
            if prim not in checked:
                self._check(prim)
            operands = [
                number[v] if type(v) is Var else [self._type(v.aval), value(v.val)]  # type: ignore[attr-defined]
                for v in e.invars
            ]
            results = [self._define(v) for v in e.outvars]
            written = [[k, value(v)] for k, v in params.items()] if params else []
            eqns.append([prim.name, self._place(e.where), operands, results, written])
        return [len(jaxpr.constvars), ins, eqns, [self._atom(v) for v in jaxpr.outvars]]

    def _check(self, prim: Primitive) -> None:
        if registry.get(prim.name) is not prim or not prim.abstract.__module__.startswith("fnets."):
            raise NotPortable(prim.name)
        self._checked.add(prim)

    def _place(self, where: Any) -> int | None:
        if self._fixed:
            return self._where.get(id(where))
        self.wheres.append(where)
        return len(self.wheres) - 1

    def _type(self, aval: ShapedArray) -> int:
        content = (aval.dtype, aval.weak_type, aval.shape)
        known = self._types.get(content)
        if known is None:
            if aval.dtype.kind not in "biufc":
                raise NotPortable(aval.dtype)
            known = self._types[content] = len(self._types)
        return known

    def _define(self, v: Var) -> int:
        number = self._number[v] = len(self._variables)
        self._variables.append(self._type(v.aval))
        return number

    def _atom(self, v: Atom) -> Any:
        return self._number[v] if type(v) is Var else [self._type(v.aval), self._value(v.val)]

    def _value(self, x: Any) -> Any:
        kind = type(x)
        if x is None or kind in (int, bool, str, float):
            return x
        if kind is tuple:
            return ["tuple", *[self._value(y) for y in x]]
        if isinstance(x, np.dtype) and x.kind in "biufc":
            return ["dtype", x.str]
        if isinstance(x, np.generic) and x.dtype.kind in "biufc":
            return ["scalar", x.dtype.str, x.tobytes().hex()]
        if kind is Jaxpr and not x.consts:
            return ["jaxpr", self._jaxpr(x)]
        raise NotPortable(kind)

    def _const_of(self, x: Any) -> Any:
        known = self._const.get(id(x))
        if known is not None:
            return known
        if type(x) is not np.ndarray:
            return self._value(x)
        if x.dtype.kind not in "biufc" or x.nbytes > _LARGEST:
            raise NotPortable(x.dtype)
        return ["array", x.dtype.str, [*x.shape], base64.b64encode(x.tobytes()).decode()]


class _Reader:
    def __init__(self, wheres: Sequence[Any], consts: Sequence[Any], types: list, variables: list):
        self.wheres = wheres
        self.consts = consts
        self.types = [ShapedArray(shape, np.dtype(dtype), weak) for dtype, weak, *shape in types]
        self.variables = [Var(self.types[t]) for t in variables]

    def jaxpr(self, data: list, consts: Iterable[Any] = ()) -> Jaxpr:
        n, ins, eqns, outs = data
        ins = [self.variables[i] for i in ins]
        made = [
            Eqn(
                registry[name],
                [self.atom(v) for v in operands],
                [self.variables[i] for i in results],
                {k: self.value(v) for k, v in params},
                None if where is None else self.wheres[where],
            )
            for name, where, operands, results, params in eqns
        ]
        return Jaxpr(ins[:n], consts, ins[n:], made, [self.atom(v) for v in outs])

    def atom(self, data: Any) -> Atom:
        return self.variables[data] if type(data) is int else Literal(self.value(data[1]), self.types[data[0]])

    def value(self, data: Any) -> Any:
        if type(data) is not list:
            return data
        kind, *rest = data
        if kind == "tuple":
            return tuple([self.value(x) for x in rest])
        if kind == "dtype":
            return np.dtype(rest[0])
        if kind == "scalar":
            return np.frombuffer(bytes.fromhex(rest[1]), np.dtype(rest[0]))[0]
        return self.jaxpr(rest[0])

    def const(self, data: Any) -> Any:
        if type(data) is int:
            return self.consts[data]
        if data[0] != "array":
            return self.value(data)
        _, dtype, shape, text = data
        return np.frombuffer(base64.b64decode(text), np.dtype(dtype)).reshape(shape)


def read(data: list, wheres: Sequence[Any], consts: Sequence[Any]) -> Jaxpr:
    """The program that a `Writer` wrote, with these locations and constants.

    >>> import fnets
    >>> jaxpr = fnets.make_jaxpr(lambda x: x * 2 + 1)(1.0)
    >>> str(read(Writer().write(jaxpr), [None] * 2, ())) == str(jaxpr)
    True
    """
    types, variables, constants, body = data
    reader = _Reader(wheres, consts, types, variables)
    return reader.jaxpr(body, [reader.const(c) for c in constants])
