"""The core: abstract values, the IR, primitives and traces. Nothing here knows any particular operation or transformation."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fnets.core import ir
from fnets.core import nonfinite as nonfinite  # both register their settings
from fnets.core import promotion as promotion
from fnets.core.avals import ShapedArray, ShapeDtypeStruct
from fnets.core.check import check_jaxpr
from fnets.core.ir import Atom, Eqn, Jaxpr, Literal, Var
from fnets.core.ir import sub_jaxprs as jaxprs_in_params
from fnets.core.pretty import pretty
from fnets.core.primitive import Primitive
from fnets.core.trace import Trace, Tracer, typeof
from fnets.errors import ConcretizationTypeError, JaxprTypeError

ClosedJaxpr = Jaxpr


def eval_jaxpr(jaxpr: Jaxpr, consts: Sequence[Any], *args: Any, **ignored: Any) -> list:
    """Run a jaxpr with given constants, under JAX's signature; every running transformation sees its equations.

    >>> eval_jaxpr(Jaxpr((), (), (), (), (Literal(1.0),)), ())
    [1.0]
    """
    return ir.eval_jaxpr(jaxpr.replace(consts=consts), args)


def jaxpr_as_fun(jaxpr: Jaxpr) -> Callable[..., list]:
    """A jaxpr as a function of its arguments, which gives the list of its results.

    >>> jaxpr_as_fun(Jaxpr((), (), (), (), (Literal(1.0),)))()
    [1.0]
    """
    return jaxpr.__call__


def subjaxprs(jaxpr: Jaxpr) -> Iterator[Jaxpr]:
    """The jaxprs inside the equations of a jaxpr.

    >>> list(subjaxprs(Jaxpr((), (), (), (), ())))
    []
    """
    return (inner for e in jaxpr.eqns for inner in jaxprs_in_params(e.params))


__all__ = [
    "Atom",
    "ClosedJaxpr",
    "ConcretizationTypeError",
    "Eqn",
    "Jaxpr",
    "JaxprTypeError",
    "Literal",
    "Primitive",
    "ShapeDtypeStruct",
    "ShapedArray",
    "Trace",
    "Tracer",
    "Var",
    "check_jaxpr",
    "eval_jaxpr",
    "jaxpr_as_fun",
    "jaxprs_in_params",
    "pretty",
    "subjaxprs",
    "typeof",
]
