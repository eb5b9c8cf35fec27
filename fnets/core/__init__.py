"""The core: abstract values, the IR, primitives and traces. Nothing here knows any particular operation or transformation."""

from fnets.core.avals import ShapedArray, ShapeDtypeStruct
from fnets.core.check import check_jaxpr
from fnets.core.ir import Eqn, Jaxpr, Literal, Var, eval_jaxpr
from fnets.core.pretty import pretty
from fnets.core.primitive import Primitive
from fnets.core.trace import Trace, Tracer, typeof
from fnets.errors import ConcretizationTypeError, JaxprTypeError

ClosedJaxpr = Jaxpr

__all__ = [
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
    "pretty",
    "typeof",
]
