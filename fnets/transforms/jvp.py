"""Forward mode. May import core, tree, errors, primitives.base, staging.

A `JVPTracer` is a value and its tangent; a missing tangent is a value that is not wrapped at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fnets import tree
from fnets.core.ir import Jaxpr, eval_jaxpr, run_first, weak_memo
from fnets.core.primitive import Primitive
from fnets.core.trace import Trace, Tracer, ValueTracer, refuse_closure, typeof
from fnets.errors import ArgumentError
from fnets.primitives.base import owned, zeros_like
from fnets.transforms.edge import public
from fnets.transforms.staging import (
    JaxprTrace,
    JaxprTracer,
    check_callable,
    check_data,
    leaf_paths,
    matching,
    name_of,
    two_parts,
)


class JVPTracer(ValueTracer):
    """A value and its tangent."""

    __slots__ = ("tangent",)

    def __init__(self, trace: JVPTrace, value: Any, tangent: Any):
        self.owner = trace
        self.value = value
        self.tangent = tangent


class JVPTrace(Trace):
    """One running forward-mode differentiation."""

    __slots__ = ()
    transform = "jvp"
    differentiates = True

    def process(self, prim: Primitive, args: tuple, params: dict) -> Any:
        primals, tangents = [], []
        for a in args:
            if type(a) is JVPTracer and a.owner is self:
                primals.append(a.value)
                tangents.append(a.tangent)
            else:
                primals.append(a)
                tangents.append(None)
        out, tangent = prim.jvp(primals, tangents, **params)
        if prim.multi:
            refuse_closure(self, out, prim.name)
            return [o if t is None else JVPTracer(self, o, t) for o, t in zip(out, tangent)]
        return out if tangent is None else JVPTracer(self, out, tangent)


def jvp_flat(
    f: Callable[..., Sequence[Any]], primals: Sequence[Any], tangents: Sequence[Any], name: str = ""
) -> tuple[list, list, JVPTrace]:
    """Run a flat function forward; a tangent may be None, going in and coming out."""
    with JVPTrace(name) as trace:
        outs = f(*[p if t is None else JVPTracer(trace, p, t) for p, t in zip(primals, tangents)])
    values, out_tangents = [], []
    for o in outs:
        mine = type(o) is JVPTracer and o.owner is trace
        values.append(o.value if mine else o)
        out_tangents.append(o.tangent if mine else None)
    return values, out_tangents, trace


@public
def jvp(fun: Callable, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> tuple:
    """The value of `fun` at `primals` and its derivative along `tangents`.

    Args:
      fun: function of pytrees.
      primals: tuple or list of arguments.
      tangents: tuple or list of the same structure, shapes and dtypes.
      has_aux: `fun` returns `(value, aux)`.

    Returns:
      `(value, tangent)` or `(value, tangent, aux)`.

    >>> jvp(lambda x: x * x, (3.0,), (1.0,))
    (9.0, 6.0)
    """
    check_callable("jvp", fun)
    for name, part in (("primals", primals), ("tangents", tangents)):
        if not isinstance(part, (tuple, list)):
            raise ArgumentError(
                f"[jvp] expected {name} to be a tuple or list of arguments, got {type(part).__name__}. Write jvp(f, (x,), (t,))."
            )
    leaves, spec = tree.flatten_spec(tuple(primals))
    t_leaves, t_spec = tree.flatten_spec(tuple(tangents))
    if spec != t_spec:
        raise ArgumentError(
            f"[jvp] expected primals and tangents of the same structure, got {tree.PyTreeDef(spec)} and {tree.PyTreeDef(t_spec)}. "
            "Build the tangents with tree.map over the primals."
        )
    check_data("jvp", leaves, lambda: [f"primal{p}" for p in leaf_paths(primals)])
    checked = [
        matching("jvp", "tangent", t, typeof(x), lambda i=i: f"its primal at primals{leaf_paths(primals)[i]}")
        for i, (x, t) in enumerate(zip(leaves, t_leaves))
    ]
    aux = out_spec = None

    def flat(*xs: Any) -> list:
        nonlocal aux, out_spec
        out = fun(*tree.unflatten_spec(spec, xs))
        if has_aux:
            if not isinstance(out, tuple) or len(out) != 2:
                raise ArgumentError(
                    f"[jvp] expected the function to return a pair (value, aux) with has_aux=True, got {type(out).__name__}."
                )
            out, aux = out
        outs, out_spec = tree.flatten_spec(out)
        check_data("jvp", outs, lambda: [f"result{p}" for p in leaf_paths(out)])
        return outs

    values, out_tangents, trace = jvp_flat(flat, leaves, checked, name_of(fun))
    dense = [owned(zeros_like(v)) if t is None else owned(t) for v, t in zip(values, out_tangents)]
    result = tree.unflatten_spec(out_spec, values), tree.unflatten_spec(out_spec, dense)
    if has_aux:
        return (*result, tree.map(lambda x: x.value if type(x) is JVPTracer and x.owner is trace else x, aux))
    return result


@weak_memo
def jvp_jaxpr(jaxpr: Jaxpr, nonzero: tuple[bool, ...]) -> tuple[Jaxpr, tuple[bool, ...]]:
    """The jaxpr of primals and the nonzero tangents -> outputs and nonzero output tangents; and which of those there are."""
    with JaxprTrace("jvp") as trace:
        primals = [trace.argument(v.aval) for v in jaxpr.invars]
        tangents = [trace.argument(v.aval) if n else None for v, n in zip(jaxpr.invars, nonzero)]
        outs, out_tangents, _ = jvp_flat(lambda *xs: eval_jaxpr(jaxpr, xs), primals, tangents)
        given = tuple(t is not None for t in out_tangents)
        return trace.finish([*outs, *[t for t in out_tangents if t is not None]]), given


@weak_memo
def linearize_jaxpr(jaxpr: Jaxpr, nonzero: tuple[bool, ...]) -> tuple[Jaxpr, Jaxpr, tuple[bool, ...]]:
    """Split the jvp of a jaxpr without constants into what depends on the values alone and what is linear in the tangents.

    Returns `(fwd, lin, given)`: fwd maps inputs to outputs and residuals; lin maps residuals and the nonzero tangents to those output tangents
    for which `given` is True.
    """
    with JaxprTrace("primal") as older:
        younger = JaxprTrace("tangent")  # not entered: what happens besides computing belongs to the first part
        try:
            primals = [older.argument(v.aval) for v in jaxpr.invars]
            tangents = [younger.argument(v.aval) if n else None for v, n in zip(jaxpr.invars, nonzero)]
            outs, out_tangents, _ = jvp_flat(lambda *xs: eval_jaxpr(jaxpr, xs), primals, tangents)
            if any([belongs_to(o, younger) for o in outs]):  # a rule mixed the two: compute the values on their own
                outs = eval_jaxpr(jaxpr, primals)
            given = tuple([t is not None for t in out_tangents])
            outvars = [older.atom(o) for o in outs]
            t_outs = [younger.atom(t) for t in out_tangents if t is not None]
            fwd, lin = two_parts(older, len(older.eqns), outvars, younger, t_outs)
        finally:
            younger.alive = False
    return fwd, lin, given


def belongs_to(x: Any, trace: Trace) -> bool:
    """True for a tracer of this very trace."""
    return isinstance(x, Tracer) and x.owner is trace


def tangent_trace(tangents: Sequence[Any]) -> Any:
    """The youngest trace that is staging one of the tangents, None if none is."""
    return max([t.owner for t in tangents if type(t) is JaxprTracer], key=lambda trace: trace.id, default=None)


def staged_apart(primals: Sequence[Any], tangents: Sequence[Any]) -> bool:
    """True if the tangents are being staged inside of all that the primals belong to: `linearize`, and what it reaches.

    A rule must then compute its results from the primals alone, or they would belong to the linear part.
    """
    inner = tangent_trace(tangents)
    return inner is not None and inner.id > max([p.owner.id for p in primals if isinstance(p, Tracer)], default=0)


def call_jvp(
    call: Callable[..., list], primals: Sequence[Any], tangents: Sequence[Any], jaxpr: Jaxpr
) -> tuple[list, list]:
    """The jvp rule shared by primitives that run one jaxpr."""
    n = len(jaxpr.outvars)
    if staged_apart(primals, tangents):
        fwd, lin, given = linearize_jaxpr(jaxpr, tuple([t is not None for t in tangents]))
        outs, residuals = run_first(call, fwd, n, primals)
        it = iter(call(lin, *residuals, *[t for t in tangents if t is not None]))
        return outs, [next(it) if g else None for g in given]
    doubled, given = jvp_jaxpr(jaxpr, tuple(t is not None for t in tangents))
    results = call(doubled, *primals, *[t for t in tangents if t is not None])
    it = iter(results[n:])
    return results[:n], [next(it) if g else None for g in given]
