"""`closure_convert`: what a function closes over as explicit arguments. May import transforms, control.operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fnets import tree
from fnets.control.operands import flatten_arguments
from fnets.core.ir import Jaxpr
from fnets.core.trace import Tracer, typeof
from fnets.errors import ArgumentError
from fnets.transforms.staging import name_of, stage


def closure_convert(fun: Callable, *example_args: Any) -> tuple[Callable, list]:
    """Make what a function closes over explicit: `(converted, values)` with `converted(*args, *values)` equal to `fun(*args)`.

    >>> import fnets.numpy as fnp
    >>> converted, values = closure_convert(lambda x: x + 1.0, 2.0)
    >>> converted(2.0, *values)
    3.0
    """
    leaves, spec = flatten_arguments("closure_convert", example_args)
    out_spec = None

    def flat(*xs: Any) -> list:
        nonlocal out_spec
        outs, out_spec = tree.flatten_spec(fun(*tree.unflatten_spec(spec, xs)))
        return outs

    jaxpr = stage(flat, [typeof(x) for x in leaves], name_of(fun))
    # only values of running transformations are worth passing; plain arrays stay inside
    hoisted = [(v, c) for v, c in zip(jaxpr.constvars, jaxpr.consts) if isinstance(c, Tracer)]
    kept = [(v, c) for v, c in zip(jaxpr.constvars, jaxpr.consts) if not isinstance(c, Tracer)]
    explicit = Jaxpr(
        [v for v, _ in kept], [c for _, c in kept], [*jaxpr.invars, *[v for v, _ in hoisted]], jaxpr.eqns, jaxpr.outvars
    )

    def converted(*args: Any) -> Any:
        values = args[len(args) - len(hoisted) :]
        own, own_spec = tree.flatten_spec(args[: len(args) - len(hoisted)])
        if own_spec != spec:
            raise ArgumentError(
                f"[closure_convert] expected arguments of structure {tree.PyTreeDef(spec)}, got {tree.PyTreeDef(own_spec)}."
            )
        return tree.unflatten_spec(out_spec, explicit(*own, *values))

    return converted, [c for _, c in hoisted]
