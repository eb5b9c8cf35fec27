"""`custom_jvp`: a function with its own derivative rule, for both modes. May import transforms, control.operands, the files beside it.

The primitive's parameter `jvp_rule(primals, tangents) -> outs, out_tangents` is a flat callable; a tangent may be None both ways. It stays a
callable while values are known, so Python control flow in it works under `grad`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from fnets import tree
from fnets.control.custom.base import (
    Custom,
    Rule,
    batched_function,
    bind_arguments,
    bind_call,
    check_results,
    declare,
    refuse_closure,
    to_front,
)
from fnets.control.custom.symbolic import SymbolicZero
from fnets.control.operands import any_traced, flatten_arguments
from fnets.core.avals import is_float
from fnets.core.trace import Tracer, dtype_of, shape_of, typeof
from fnets.errors import ArgumentError, MissingRuleError, ShapeError, TreeStructureError
from fnets.primitives.base import convert, move_dim, zeros_like
from fnets.transforms.edge import public
from fnets.transforms.staging import name_of
from fnets.transforms.vjp import vjp_flat
from fnets.transforms.vmap import vmap_flat

custom_jvp_p = declare("custom_jvp_call")


def _jvp(primals: Sequence, tangents: Sequence, jaxpr: Any, jvp_rule: Rule, num_consts: int) -> tuple:
    refuse_closure(jvp_rule.__name__, num_consts, [t is not None for t in tangents])
    outs, out_tangents = jvp_rule(primals[num_consts:], tangents[num_consts:])
    check_results(jvp_rule.__name__, "derivative", outs, jaxpr)
    return outs, [t if is_float(dtype_of(o)) else None for o, t in zip(outs, out_tangents)]


def _vjp(active: Sequence[int], *args: Any, jaxpr: Any, jvp_rule: Rule, num_consts: int) -> tuple:
    """Reverse mode of a forward rule: the rule is linear in the tangents, so its vjp at zero tangents is its transpose."""
    refuse_closure(jvp_rule.__name__, num_consts, [i in active for i in range(len(args))])
    primals = args[num_consts:]
    positions: list[int] = []

    def tangent_map(*given: Any) -> list:
        tangents: list = [None] * len(primals)
        for i, t in zip(active, given):
            tangents[i - num_consts] = t
        outs, out_tangents = jvp_rule(primals, tangents)
        positions[:] = [
            k for k, (o, t) in enumerate(zip(outs, out_tangents)) if t is not None and is_float(dtype_of(o))
        ]
        # the outputs may have been computed together with the tangents, in one call: take them from the same run
        return [*outs, *[out_tangents[k] for k in positions]]

    results, tape = vjp_flat(tangent_map, [zeros_like(args[i]) for i in active], range(len(active)))
    n = len(results) - len(positions)
    check_results(jvp_rule.__name__, "derivative", results[:n], jaxpr)
    return results[:n], lambda cts: tape.pull([*[None] * n, *[cts[k] for k in positions]])


def _batch(size: int, vals: Sequence, dims: Sequence, jaxpr: Any, jvp_rule: Rule, num_consts: int) -> tuple:
    vals, ins = to_front(vals, dims, size)
    arg_ins = ins[num_consts:]

    def batched_rule(primals: Sequence, tangents: Sequence) -> tuple[list, list]:
        n = len(primals)
        given: list[bool] = []  # which output tangents there are

        def flat(*xs: Any) -> list:
            it = iter(xs[n:])
            outs, out_tangents = jvp_rule(list(xs[:n]), [None if t is None else next(it) for t in tangents])
            given[:] = [t is not None for t in out_tangents]
            return [*outs, *[t for t in out_tangents if t is not None]]

        present = [(t, p, d) for t, p, d in zip(tangents, primals, arg_ins) if t is not None]
        # a tangent of an operand that is not batched may be batched itself: it is then larger than its primal
        t_dims = [0 if d is not None or len(shape_of(t)) > len(shape_of(p)) else None for t, p, d in present]
        pairs = vmap_flat(flat, [*primals, *[t for t, _, _ in present]], [*arg_ins, *t_dims], size)
        moved = [move_dim(v, d, 0, size) for v, d in pairs]
        it = iter(moved[len(given) :])
        return moved[: len(given)], [next(it) if g else None for g in given]

    outs = custom_jvp_p.bind(
        *vals,
        jaxpr=batched_function(jaxpr, ins, size),
        jvp_rule=Rule(batched_rule, jvp_rule.__name__),
        num_consts=num_consts,
    )
    return outs, [0] * len(outs)


custom_jvp_p.jvp, custom_jvp_p.vjp, custom_jvp_p.batch = _jvp, _vjp, _batch


class custom_jvp(Custom):
    """Give a function its own derivative rule, which serves forward and reverse mode.

    `@f.defjvp` decorates a function `(primals, tangents) -> (output, output_tangent)`, linear in the tangents; with `nondiff_argnums`
    those arguments come first. `f.defjvps(*rules)` gives one `(tangent, output, *primals) -> tangent` per argument, or None.

    >>> import fnets, fnets.numpy as fnp
    >>> @custom_jvp
    ... def log1pexp(x):
    ...     return fnp.log(1.0 + fnp.exp(x))
    >>> @log1pexp.defjvp
    ... def _(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     return log1pexp(x), t * (1 - 1 / (1 + fnp.exp(x)))
    >>> fnets.grad(log1pexp)(100.0)
    1.0
    """

    jvp: Callable | None = None

    def defjvp(self, jvp: Callable, symbolic_zeros: bool = False) -> Callable:
        """Set the rule; returns it, so that this is a decorator.

        symbolic_zeros: the rule receives a `SymbolicZero` for every tangent that is known to be zero, and may return some.
        """
        self.jvp, self.symbolic_zeros = jvp, symbolic_zeros
        return jvp

    def defjvps(self, *jvps: Callable | None) -> None:
        """Set one rule per argument: `rule(tangent, output, *primals)`, or None where the derivative is zero."""
        if self.nondiff_argnums:
            raise TypeError(
                "[custom_jvp] expected defjvp for a function with nondiff_argnums, got defjvps. Define one rule with defjvp."
            )

        def jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
            out = self(*primals)
            parts = [rule(t, out, *primals) for rule, t in zip(jvps, tangents) if rule is not None]
            if not parts:
                return out, tree.map(zeros_like, out)
            return out, tree.map(lambda *xs: functools.reduce(lambda a, b: a + b, xs), *parts)

        self.defjvp(jvp)

    @public
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = name_of(self.fun)
        if self.jvp is None:
            raise MissingRuleError(
                f"[custom_jvp] expected a rule for {name}, got none. Decorate one with @{name}.defjvp first."
            )
        args = bind_arguments(self.fun, self.signature, args, kwargs)
        static, dynamic = self.split(args)
        leaves, spec = flatten_arguments(name, dynamic)
        static_leaves, static_spec = tree.flatten_spec(static)
        traced = [i for i, x in enumerate(static_leaves) if isinstance(x, Tracer)]
        if not traced and not any_traced(leaves):
            return self.fun(*args)
        call = _Call(self, self.jvp, static_leaves, static_spec, traced, spec)
        # traced values among the nondifferentiable arguments are operands too, so that every transformation sees them
        operands = [*[static_leaves[i] for i in traced], *leaves]
        outs = bind_call(
            custom_jvp_p, operands, jaxpr=Rule(call.run, name), jvp_rule=Rule(call.rule, name), num_consts=0
        )
        return tree.unflatten_spec(call.out_spec, outs)


class _Call:
    """One call of a custom_jvp function: its two flat callables, and the structures that they share."""

    def __init__(
        self, custom: custom_jvp, jvp: Callable, static_leaves: list, static_spec: Any, traced: list[int], spec: Any
    ):
        self.custom, self.jvp, self.symbolic = custom, jvp, custom.symbolic_zeros
        self.name = name_of(custom.fun)
        self.static_leaves, self.static_spec, self.traced, self.spec = static_leaves, static_spec, traced, spec
        self.out_spec: Any = None

    def static(self, xs: Sequence[Any]) -> list:
        """The nondifferentiable arguments, given the operands."""
        leaves = list(self.static_leaves)
        for i, x in zip(self.traced, xs):
            leaves[i] = x
        return tree.unflatten_spec(self.static_spec, leaves)

    def run(self, *xs: Any) -> list:
        dynamic = tree.unflatten_spec(self.spec, xs[len(self.traced) :])
        outs, self.out_spec = tree.flatten_spec(self.custom.fun(*self.custom.merge(self.static(xs), dynamic)))
        return outs

    def rule(self, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list, list]:
        n = len(self.traced)
        refuse_closure(self.name, n, [t is not None for t in tangents])
        own = primals[n:]
        ts = [_instantiate(p, t, self.symbolic) for p, t in zip(own, tangents[n:])]
        out = self.jvp(*self.static(primals), tree.unflatten_spec(self.spec, own), tree.unflatten_spec(self.spec, ts))
        if not isinstance(out, (tuple, list)) or len(out) != 2:
            raise ArgumentError(
                f"[custom_jvp] expected the rule of {self.name} to return a pair (output, tangent), got {type(out).__name__}."
            )
        outs, out_spec = tree.flatten_spec(out[0])
        out_tangents, t_spec = tree.flatten_spec(out[1], is_leaf=lambda x: x is None)
        if self.out_spec is None:
            self.out_spec = out_spec
        if out_spec != t_spec:
            raise TreeStructureError(
                f"[custom_jvp] expected the rule of {self.name} to return output and tangent of one structure, got "
                f"{tree.PyTreeDef(out_spec)} and {tree.PyTreeDef(tree.flatten_spec(out[1])[1])}."
            )
        return outs, [_checked_tangent(self.name, o, t) for o, t in zip(outs, out_tangents)]


def _instantiate(primal: Any, tangent: Any, symbolic: bool) -> Any:
    if tangent is not None:
        return tangent
    return SymbolicZero(typeof(primal)) if symbolic else zeros_like(primal)


def _checked_tangent(name: str, out: Any, tangent: Any) -> Any:
    aval = typeof(out)
    if tangent is None:
        return None
    if shape_of(tangent) != aval.shape:
        raise ShapeError(
            f"[custom_jvp] expected the rule of {name} to return a tangent of shape {aval.shape}, as its output, got {shape_of(tangent)}."
        )
    if type(tangent) is SymbolicZero:
        return None
    keep = aval.weak_type or dtype_of(tangent) == aval.dtype or not is_float(aval.dtype)
    return tangent if keep else convert(tangent, aval.dtype)
