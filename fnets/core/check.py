"""The verifier of jaxprs: every jaxpr that the tests make passes through it. May import ir, primitive, errors."""

from __future__ import annotations

from fnets.core.avals import ShapedArray
from fnets.core.ir import Atom, Jaxpr, Literal, Var, sub_jaxprs
from fnets.core.primitive import is_missing
from fnets.core.trace import Tracer, typeof
from fnets.errors import JaxprTypeError


def _same(a: ShapedArray, b: ShapedArray) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype


def check_jaxpr(jaxpr: Jaxpr) -> None:
    """Raise `JaxprTypeError` unless every variable is defined once and before its use, and every equation has the types its rule gives.

    >>> from fnets.core.avals import ShapedArray
    >>> v = Var(ShapedArray((2,), "float32"))
    >>> check_jaxpr(Jaxpr((), (), [v], (), [v]))
    """
    defined: set[Var] = set()

    def fail(message: str) -> None:
        raise JaxprTypeError(f"[jaxpr] {message} In:\n{jaxpr}")

    def define(v: Var) -> None:
        if v in defined:
            fail(f"expected every variable to be defined once, got {v!r} twice.")
        defined.add(v)

    def use(v: Atom, by: str) -> None:
        if isinstance(v, Var) and v not in defined:
            fail(f"expected {v!r} to be defined before {by} uses it.")
        if isinstance(v, Literal) and v.aval.shape != ():
            fail(f"expected literals to be scalars, got {v.aval} in {by}.")

    if len(jaxpr.constvars) != len(jaxpr.consts):
        fail(f"expected {len(jaxpr.constvars)} constants, got {len(jaxpr.consts)}.")
    for v, c in zip(jaxpr.constvars, jaxpr.consts):
        define(v)
        if not isinstance(c, Tracer) and not _same(v.aval, typeof(c)):
            fail(f"expected a constant of type {v.aval}, got {typeof(c)}.")
    for v in jaxpr.invars:
        define(v)
    for e in jaxpr.eqns:
        for v in e.invars:
            use(v, e.prim.name)
        try:
            hash(tuple(e.params.items()))
        except TypeError as error:
            fail(f"expected hashable parameters of {e.prim.name}, got {e.params}: {error}.")
        for j in sub_jaxprs(e.params):
            check_jaxpr(j)
        called = e.params.get("jaxpr") if e.prim.kind in ("call", "barrier") else None
        if isinstance(called, Jaxpr):
            have, want = [v.aval for v in e.invars], called.in_avals
            if len(have) != len(want) or not all(map(_same, have, want)):
                fail(f"expected {e.prim.name} to have operands of types {want}, as its jaxpr, got {have}.")
        if not is_missing(e.prim.abstract):
            got = e.prim.abstract(*[v.aval for v in e.invars], **e.params)
            got = list(got) if e.prim.multi else [got]
            told = [v.aval for v in e.outvars]
            if len(got) != len(told) or not all(map(_same, got, told)):
                fail(f"expected {e.prim.name} to give {got}, its equation says {told}.")
        for v in e.outvars:
            define(v)
    for v in jaxpr.outvars:
        use(v, "the result")
