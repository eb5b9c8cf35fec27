"""`custom_vmap`: a function with its own batching rule. May import transforms, control.custom, control.loops."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from fnets import tree
from fnets.control.custom.base import Rule, bind_arguments, bind_call, signature_of
from fnets.control.loops import map as loop_map
from fnets.control.operands import any_traced, flatten_arguments
from fnets.core.avals import ShapedArray, is_float
from fnets.core.ir import Jaxpr
from fnets.core.primitive import Primitive
from fnets.core.trace import dtype_of, typeof
from fnets.errors import ArgumentError, MissingRuleError, TreeStructureError
from fnets.primitives.base import move_dim, zeros_like
from fnets.transforms.edge import public
from fnets.transforms.jvp import jvp_flat, staged_apart
from fnets.transforms.staging import check_callable, name_of, stage, stage_closed
from fnets.transforms.vjp import vjp_flat
from fnets.transforms.vmap import vmap_flat

# rule(size, batched flags, flat arguments with batch dimensions in front) -> (flat results, batched flags)
custom_vmap_p = Primitive("custom_vmap_call", kind="call", multi=True)


def _stage_params(args: tuple, params: dict) -> tuple[tuple, dict]:
    if isinstance(params["jaxpr"], Jaxpr):
        return args, params
    jaxpr, consts = stage_closed(params["jaxpr"], [typeof(a) for a in args], params["jaxpr"].__name__)
    return (*consts, *args), params | {"jaxpr": jaxpr, "num_consts": params["num_consts"] + len(consts)}


def _batch(size: int, vals: Sequence, dims: Sequence, jaxpr: Any, rule: Rule, num_consts: int) -> tuple:
    vals = [v if d is None else move_dim(v, d, 0, size) for v, d in zip(vals, dims)]
    if any(d is not None for d in dims[:num_consts]):
        # what the function closes over is batched too, which the rule knows nothing of: batch the function itself
        pairs = vmap_flat(lambda *xs: jaxpr(*xs), vals, [None if d is None else 0 for d in dims], size)
        return [v for v, _ in pairs], [d for _, d in pairs]
    outs, batched = rule(size, [d is not None for d in dims[num_consts:]], vals[num_consts:])
    return outs, [0 if b else None for b in batched]


def _jvp(primals: Sequence, tangents: Sequence, jaxpr: Any, rule: Rule, num_consts: int) -> tuple:
    """The jvp is a custom_vmap again, whose rule is the jvp of the rule."""
    present = [t is not None for t in tangents]
    n = len(primals)
    counts: dict[str, list[bool]] = {}

    def both(*xs: Any) -> list:
        it = iter(xs[n:])
        outs, out_tangents, _ = jvp_flat(lambda *ys: jaxpr(*ys), xs[:n], [next(it) if p else None for p in present])
        dense = [zeros_like(o) if t is None else t for o, t in zip(outs, out_tangents)]
        counts["floats"] = [is_float(dtype_of(o)) for o in outs]
        return [*outs, *[t for t, f in zip(dense, counts["floats"]) if f]]

    def both_rule(size: int, batched: Sequence[bool], xs: Sequence[Any]) -> tuple[list, list[bool]]:
        m = n - num_consts
        own, own_flags = list(xs[:m]), list(batched[:m])
        it = iter(zip(xs[m:], batched[m:]))
        pairs = [next(it) if p else (None, own_flags[k]) for k, p in enumerate(present[num_consts:])]
        ts, t_flags = [t for t, _ in pairs], [b for _, b in pairs]
        return _jvp_of_rule(rule, size, own, own_flags, ts, t_flags)

    operands = [*primals, *[t for t in tangents if t is not None]]
    out = custom_vmap_p.bind(
        *operands, jaxpr=Rule(both, "jvp"), rule=Rule(both_rule, rule.__name__), num_consts=num_consts
    )
    floats = counts.get("floats")
    if floats is None:  # the function has been staged: its results tell
        k = next(k for k in range(len(out) + 1) if k + sum(is_float(dtype_of(o)) for o in out[:k]) == len(out))
        floats = [is_float(dtype_of(o)) for o in out[:k]]
    it = iter(out[len(floats) :])
    out_tangents = [next(it) if f else None for f in floats]
    if staged_apart(primals, tangents):
        return custom_vmap_p.bind(*primals, jaxpr=jaxpr, rule=rule, num_consts=num_consts), out_tangents
    return out[: len(floats)], out_tangents


def _jvp_of_rule(
    rule: Rule, size: int, primals: list, batched: list[bool], tangents: list, t_batched: list[bool]
) -> tuple[list, list[bool]]:
    """The rule and its tangent: results, then the tangents of the float ones; and which of them are batched."""

    def run(flags: Sequence[bool], xs: Sequence[Any], ts: Sequence[Any]) -> tuple[list, list[bool]]:
        out_flags: list[bool] = []

        def call(*ys: Any) -> list:
            outs, out_flags[:] = rule(size, flags, ys)
            return outs

        outs, out_tangents, _ = jvp_flat(call, xs, ts)
        floats = [is_float(dtype_of(o)) for o in outs]
        dense = [zeros_like(o) if t is None else t for o, t, f in zip(outs, out_tangents, floats) if f]
        return [*outs, *dense], [*out_flags, *[b for b, f in zip(out_flags, floats) if f]]

    both = [b and t for b, t in zip(batched, t_batched)]
    if both == batched == t_batched:
        return run(batched, primals, tangents)
    if any(both):  # a value and its tangent must agree: broadcast what lacks the batch dimension
        flags = [b or t for b, t in zip(batched, t_batched)]
        primals = [move_dim(p, None, 0, size) if f and not b else p for p, f, b in zip(primals, flags, batched)]
        wide = [f and not b and t is not None for t, f, b in zip(tangents, flags, t_batched)]
        return run(flags, primals, [move_dim(t, None, 0, size) if w else t for t, w in zip(tangents, wide)])
    # only values, or only tangents, are batched: to the rule nothing is, and what it does is batched from outside
    given = [t for t in tangents if t is not None]
    dims = [0 if b else None for b in [*batched, *[b for b, t in zip(t_batched, tangents) if t is not None]]]

    def one(*ys: Any) -> list:
        it = iter(ys[len(primals) :])
        return run(both, ys[: len(primals)], [None if t is None else next(it) for t in tangents])[0]

    moved = [
        (v if d is None else move_dim(v, d, 0, size), d is not None)
        for v, d in vmap_flat(one, [*primals, *given], dims, size)
    ]
    return [v for v, _ in moved], [b for _, b in moved]


def _vjp(active: Sequence[int], *args: Any, jaxpr: Any, rule: Rule, num_consts: int) -> tuple:
    outs, tape = vjp_flat(lambda *xs: jaxpr(*xs), args, active)
    return outs, tape.pull


custom_vmap_p.impl = lambda *args, jaxpr, rule, num_consts: list(jaxpr(*args))
custom_vmap_p.abstract = lambda *avals, jaxpr, rule, num_consts: [
    v.aval for v in (jaxpr if isinstance(jaxpr, Jaxpr) else stage(jaxpr, avals)).outvars
]
custom_vmap_p.rules["stage"] = _stage_params
custom_vmap_p.batch, custom_vmap_p.jvp, custom_vmap_p.vjp = _batch, _jvp, _vjp


class custom_vmap:
    """Give a function its own batching rule.

    `@f.def_vmap` decorates `rule(axis_size, in_batched, *args) -> (out, out_batched)`: batched arguments have their batch axis in front, and
    `in_batched`, `out_batched` are trees of booleans like the arguments and the result.

    >>> import numpy as np
    >>> import fnets
    >>> @custom_vmap
    ... def f(x):
    ...     return x + 1
    >>> @f.def_vmap
    ... def rule(axis_size, in_batched, x):
    ...     return x + 100, True
    >>> f(0), fnets.vmap(f)(np.zeros(2))
    (1, array([100., 100.]))
    """

    def __init__(self, fun: Callable):
        check_callable("custom_vmap", fun)
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.rule: Callable | None = None
        self.signature = signature_of(fun)

    def def_vmap(self, vmap_rule: Callable) -> Callable:
        """Set the rule; returns it, so that this is a decorator."""
        self.rule = vmap_rule
        return vmap_rule

    @public
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        args = bind_arguments(self.fun, self.signature, args, kwargs)
        if self.rule is None:
            raise MissingRuleError(
                f"[custom_vmap] expected a rule for {name_of(self.fun)}, got none. Decorate one with @{name_of(self.fun)}.def_vmap."
            )
        leaves, spec = flatten_arguments(name_of(self.fun), args)
        if not any_traced(leaves):
            return self.fun(*args)
        specs: dict[str, Any] = {}

        def call(*xs: Any) -> list:
            outs, specs["out"] = tree.flatten_spec(self.fun(*tree.unflatten_spec(spec, xs)))
            return outs

        def rule(size: int, batched: Sequence[bool], xs: Sequence[Any]) -> tuple[list, list[bool]]:
            if "out" not in specs:  # the function has not run yet
                stage(call, [_example(x, b) for x, b in zip(xs, batched)])
            in_batched = list(tree.unflatten_spec(spec, list(batched)))
            result = self.rule(size, in_batched, *tree.unflatten_spec(spec, xs))  # type: ignore[misc]
            return _checked_result(f"the rule {name_of(self.rule)} of {name_of(self.fun)}", result, specs["out"])

        outs = bind_call(
            custom_vmap_p, leaves, jaxpr=Rule(call, name_of(self.fun)), rule=Rule(rule, name_of(self.fun)), num_consts=0
        )
        return tree.unflatten_spec(specs["out"], outs)


def _example(x: Any, batched: bool) -> ShapedArray:
    aval = typeof(x)
    return aval.update(shape=aval.shape[1:]) if batched else aval


def _checked_result(who: str, result: Any, want: Any) -> tuple[list, list[bool]]:
    """What a rule returned, flat; `want` is the structure of the function's result."""
    if not isinstance(result, tuple) or len(result) != 2:
        raise ArgumentError(f"[custom_vmap] expected {who} to return (out, out_batched), got {type(result).__name__}.")
    outs, out_spec = tree.flatten_spec(result[0])
    flags, flag_spec = tree.flatten_spec(result[1])
    if flag_spec != out_spec:
        raise TreeStructureError(
            f"[custom_vmap] expected {who} to return out_batched with the structure of the output, {tree.PyTreeDef(out_spec)}, "
            f"got {tree.PyTreeDef(flag_spec)}."
        )
    if out_spec != want:
        raise TreeStructureError(
            f"[custom_vmap] expected {who} to return an output of structure {tree.PyTreeDef(want)}, as the function, "
            f"got {tree.PyTreeDef(out_spec)}."
        )
    return outs, [bool(f) for f in flags]


def sequential_vmap(f: Callable) -> custom_vmap:
    """A function that `vmap` runs as a loop over the examples.

    >>> import numpy as np
    >>> import fnets
    >>> fnets.vmap(sequential_vmap(lambda x: x * 2))(np.arange(3.0))
    array([0., 2., 4.])
    """
    wrapped = custom_vmap(f)

    def rule(axis_size: int, in_batched: Any, *args: Any) -> tuple:
        leaves, spec = tree.flatten_spec(args)
        flags = tree.leaves(in_batched)
        mapped = [x for x, b in zip(leaves, flags) if b]

        def one(xs: Any) -> Any:
            it = iter(xs)
            return wrapped(*tree.unflatten_spec(spec, [next(it) if b else x for x, b in zip(leaves, flags)]))

        out = loop_map(one, mapped)
        return out, tree.map(lambda _: True, out)

    wrapped.def_vmap(rule)
    return wrapped
