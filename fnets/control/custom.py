"""`custom_vjp` and `custom_jvp`: functions with their own derivative rules. May import transforms, control.operands.

Each is a primitive whose parameters are flat callables. They stay callables while values are known, so Python control flow in them works under
`grad`; staging turns the function itself into a jaxpr (which compiles inline) and keeps the rules.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from fnets import tree
from fnets.control.operands import any_traced, flatten_arguments
from fnets.core.avals import is_float
from fnets.core.ir import Jaxpr
from fnets.core.primitive import Primitive
from fnets.core.trace import Tracer, dtype_of, shape_of, typeof
from fnets.errors import (
    ArgumentError,
    DTypeError,
    MissingRuleError,
    ShapeError,
    TreeStructureError,
    UnexpectedTracerError,
)
from fnets.primitives.base import convert, move_dim, reduce_sum, zeros_like, zeros_of
from fnets.transforms.staging import JaxprTrace, check_callable, check_data, leaf_paths, name_of, stage, stage_closed
from fnets.transforms.vjp import vjp_flat
from fnets.transforms.vmap import vmap_flat

custom_vjp_p = Primitive("custom_vjp_call", kind="call", multi=True)
custom_jvp_p = Primitive("custom_jvp_call", kind="call", multi=True)


class Rule:
    """A flat callable that is a parameter: hashed by identity, printed by name."""

    __slots__ = ("call", "__name__", "__weakref__")

    def __init__(self, call: Callable, name: str):
        self.call = call
        self.__name__ = name

    def __call__(self, *args: Any) -> Any:
        return self.call(*args)


def _stage_params(args: tuple, params: dict) -> tuple[tuple, dict]:
    """While staging: the function becomes a jaxpr, and what it closes over becomes leading operands."""
    if isinstance(params["jaxpr"], Jaxpr):
        return args, params
    jaxpr, consts = stage_closed(params["jaxpr"], [typeof(a) for a in args], params["jaxpr"].__name__)
    return (*consts, *args), params | {"jaxpr": jaxpr, "num_consts": params["num_consts"] + len(consts)}


def _abstract(*avals: Any, jaxpr: Any, **params: Any) -> list:
    return [v.aval for v in (jaxpr if isinstance(jaxpr, Jaxpr) else stage(jaxpr, avals)).outvars]


for _prim in (custom_vjp_p, custom_jvp_p):
    _prim.impl = lambda *args, jaxpr, **params: list(jaxpr(*args))
    _prim.abstract = _abstract
    _prim.rules["stage"] = _stage_params


def _refuse_closure(name: str, num_consts: int, given: Sequence[bool]) -> None:
    if any(given[:num_consts]):
        raise UnexpectedTracerError(
            f"[{name}] expected the function to depend on differentiated values through its arguments alone, got one that it closes over. "
            "Pass that value as an argument."
        )


# ------------------------------------------------------------------ custom_vjp


def _custom_vjp_vjp(active: Sequence[int], *args: Any, jaxpr: Any, fwd: Rule, bwd: Rule, num_consts: int) -> tuple:
    _refuse_closure(fwd.__name__, num_consts, [i in active for i in range(len(args))])
    outs, residuals = fwd(*args[num_consts:])
    avals = [typeof(o) for o in outs]

    def pull(cts: Sequence[Any]) -> list:
        dense = [zeros_of(a) if c is None else c for c, a in zip(cts, avals)]
        back = bwd(residuals, dense)
        return [back[i - num_consts] for i in active]

    return outs, pull


def _custom_vjp_jvp(primals: Sequence, tangents: Sequence, jaxpr: Any, fwd: Rule, bwd: Rule, num_consts: int) -> tuple:
    raise DTypeError(
        f"[jvp] expected a function with a forward-mode rule, got {fwd.__name__}, which defines custom_vjp alone. "
        "Use custom_jvp, which serves both modes, or differentiate in reverse mode."
    )


def _custom_vjp_batch(
    size: int, vals: Sequence, dims: Sequence, jaxpr: Any, fwd: Rule, bwd: Rule, num_consts: int
) -> tuple:
    vals = [v if d is None else move_dim(v, d, 0, size) for v, d in zip(vals, dims)]
    ins = [None if d is None else 0 for d in dims]
    arg_ins = ins[num_consts:]
    call = functools.partial(_batched, jaxpr, ins, size)

    def batched_fwd(*args: Any) -> tuple[list, Any]:
        counts: list[int] = []

        def flat(*xs: Any) -> list:
            outs, residuals = fwd(*xs)
            leaves, spec = tree.flatten_spec(residuals)
            counts[:] = [len(outs)]
            specs[:] = [spec]
            return [*outs, *leaves]

        specs: list = []
        pairs = vmap_flat(flat, args, arg_ins, size)
        n = counts[0]
        outs = [move_dim(v, d, 0, size) for v, d in pairs[:n]]
        kept = [(v if d is None else move_dim(v, d, 0, size), None if d is None else 0) for v, d in pairs[n:]]
        return outs, _Residuals([v for v, _ in kept], [d for _, d in kept], specs[0])

    def batched_bwd(residuals: _Residuals, cts: Sequence[Any]) -> list:
        n = len(residuals.leaves)

        def flat(*xs: Any) -> list:
            back = bwd(tree.unflatten_spec(residuals.spec, xs[:n]), list(xs[n:]))
            present[:] = [b is not None for b in back]
            return [b for b in back if b is not None]

        present: list[bool] = []
        pairs = iter(vmap_flat(flat, [*residuals.leaves, *cts], [*residuals.dims, *[0] * len(cts)], size))
        out = []
        for there, d_in in zip(present, arg_ins):
            if not there:
                out.append(None)
                continue
            value, d = next(pairs)
            value = move_dim(value, d, 0, size)
            out.append(value if d_in is not None else reduce_sum(value, (0,)))
        return out

    rules = {"fwd": Rule(batched_fwd, fwd.__name__), "bwd": Rule(batched_bwd, bwd.__name__)}
    outs = custom_vjp_p.bind(*vals, jaxpr=_as_function(call, jaxpr), num_consts=num_consts, **rules)
    return outs, [0] * len(outs)


class _Residuals:
    """Residuals of a batched forward rule: leaves with their batch dimensions. A pytree, so that they batch again."""

    __slots__ = ("leaves", "dims", "spec")

    def __init__(self, leaves: list, dims: list, spec: Any):
        self.leaves, self.dims, self.spec = leaves, dims, spec


tree.register_node(
    _Residuals,
    lambda r: (tuple(r.leaves), (tuple(r.dims), r.spec)),
    lambda aux, leaves: _Residuals(list(leaves), list(aux[0]), aux[1]),
)


def _batched(jaxpr: Any, ins: Sequence[int | None], size: int, *args: Any) -> list:
    return [move_dim(v, d, 0, size) for v, d in vmap_flat(jaxpr, args, ins, size)]


def _as_function(call: Callable, original: Any) -> Rule:
    return Rule(call, getattr(original, "__name__", "vmap"))


custom_vjp_p.vjp, custom_vjp_p.jvp, custom_vjp_p.batch = _custom_vjp_vjp, _custom_vjp_jvp, _custom_vjp_batch


# ------------------------------------------------------------------ custom_jvp


def _custom_jvp_jvp(primals: Sequence, tangents: Sequence, jaxpr: Any, jvp_rule: Rule, num_consts: int) -> tuple:
    _refuse_closure(jvp_rule.__name__, num_consts, [t is not None for t in tangents])
    primals, tangents = primals[num_consts:], tangents[num_consts:]
    dense = [zeros_like(p) if t is None else t for p, t in zip(primals, tangents)]
    outs, out_tangents = jvp_rule(primals, dense)
    return outs, [t if is_float(dtype_of(o)) else None for o, t in zip(outs, out_tangents)]


def _custom_jvp_vjp(active: Sequence[int], *args: Any, jaxpr: Any, jvp_rule: Rule, num_consts: int) -> tuple:
    """Reverse mode of a forward rule: the rule is linear in the tangents, so its vjp at zero tangents is its transpose."""
    _refuse_closure(jvp_rule.__name__, num_consts, [i in active for i in range(len(args))])
    primals = args[num_consts:]
    outs: list = []

    def tangent_map(*given: Any) -> list:
        tangents = [zeros_like(p) for p in primals]
        for i, t in zip(active, given):
            tangents[i - num_consts] = t
        outs[:], out_tangents = jvp_rule(primals, tangents)
        floats = [is_float(dtype_of(o)) for o in outs]
        positions[:] = [k for k, f in enumerate(floats) if f]
        return [out_tangents[k] for k in positions]

    positions: list[int] = []
    _, tape = vjp_flat(tangent_map, [zeros_like(args[i]) for i in active], range(len(active)))
    return list(outs), lambda cts: tape.pull([cts[k] for k in positions])


def _custom_jvp_batch(size: int, vals: Sequence, dims: Sequence, jaxpr: Any, jvp_rule: Rule, num_consts: int) -> tuple:
    vals = [v if d is None else move_dim(v, d, 0, size) for v, d in zip(vals, dims)]
    ins = [None if d is None else 0 for d in dims]
    arg_ins = ins[num_consts:]

    def batched_rule(primals: Sequence, tangents: Sequence) -> tuple[list, list]:
        counts: list[int] = []
        n = len(primals)

        def flat(*xs: Any) -> list:
            outs, out_tangents = jvp_rule(list(xs[:n]), list(xs[n:]))
            counts[:] = [len(outs)]
            return [*outs, *out_tangents]

        # a tangent of an operand that is not batched may be batched itself: it is then larger than its primal
        t_dims = [
            0 if d is not None or len(shape_of(t)) > len(shape_of(p)) else None
            for p, t, d in zip(primals, tangents, arg_ins)
        ]
        moved = [move_dim(v, d, 0, size) for v, d in vmap_flat(flat, [*primals, *tangents], [*arg_ins, *t_dims], size)]
        return moved[: counts[0]], moved[counts[0] :]

    call = functools.partial(_batched, jaxpr, ins, size)
    outs = custom_jvp_p.bind(
        *vals, jaxpr=_as_function(call, jaxpr), jvp_rule=Rule(batched_rule, jvp_rule.__name__), num_consts=num_consts
    )
    return outs, [0] * len(outs)


custom_jvp_p.jvp, custom_jvp_p.vjp, custom_jvp_p.batch = _custom_jvp_jvp, _custom_jvp_vjp, _custom_jvp_batch


# ------------------------------------------------------------------ the user's decorators


def bind_arguments(fun: Callable, args: tuple, kwargs: dict) -> tuple:
    """All arguments by position, defaults filled in."""
    if not kwargs:
        try:
            bound = inspect.signature(fun).bind(*args)
        except (TypeError, ValueError):
            return args
        bound.apply_defaults()
        return bound.args
    bound = inspect.signature(fun).bind(*args, **kwargs)
    bound.apply_defaults()
    if bound.kwargs:
        raise ArgumentError(
            f"[{name_of(fun)}] expected arguments that can be passed by position, got keyword-only {sorted(bound.kwargs)}."
        )
    return bound.args


def _resolve_nondiff(fun: Callable, argnums: Sequence[int], argnames: Sequence[str]) -> tuple[int, ...]:
    if not argnames:
        return tuple(argnums)
    names = list(inspect.signature(fun).parameters)
    unknown = [n for n in argnames if n not in names]
    if unknown:
        raise ArgumentError(f"[{name_of(fun)}] expected nondiff_argnames out of {names}, got {unknown}.")
    return tuple(sorted({*argnums, *[names.index(n) for n in argnames]}))


def _split(args: tuple, nondiff: Sequence[int]) -> tuple[list, tuple]:
    n = len(args)
    fixed = {i % n for i in nondiff if -n <= i < n}
    return [args[i] for i in sorted(fixed)], tuple([a for i, a in enumerate(args) if i not in fixed])


def _merge(static: Sequence, dynamic: Sequence, nondiff: Sequence[int], n: int) -> list:
    fixed = sorted({i % n for i in nondiff if -n <= i < n})
    out, it, s = [], iter(dynamic), dict(zip(fixed, static))
    return [s[i] if i in s else next(it) for i in range(n)] or out


class _Custom:
    """What custom_vjp and custom_jvp share: a callable that behaves as the function it decorates, also as a method."""

    def __init__(self, fun: Callable, nondiff_argnums: Sequence[int] = (), nondiff_argnames: Sequence[str] = ()):
        check_callable(type(self).__name__, fun)
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.nondiff_argnums = _resolve_nondiff(fun, nondiff_argnums, nondiff_argnames)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)


class custom_vjp(_Custom):
    """Give a function its own reverse-mode rule.

    `f.defvjp(fwd, bwd)`: `fwd(*args)` returns `(f(*args), residuals)`; `bwd(residuals, ct)` returns a tuple with one cotangent per
    differentiable argument (None for zero). With `nondiff_argnums` those arguments are passed first to `bwd`.

    >>> @custom_vjp
    ... def clip_gradient(x):
    ...     return x
    >>> clip_gradient.defvjp(lambda x: (x, None), lambda _, ct: (fnp.clip(ct, -1.0, 1.0),))
    >>> import fnets, fnets.numpy as fnp
    >>> fnets.grad(lambda x: 10 * clip_gradient(x))(2.0)
    1.0
    """

    def __init__(self, fun: Callable, nondiff_argnums: Sequence[int] = (), nondiff_argnames: Sequence[str] = ()):
        super().__init__(fun, nondiff_argnums, nondiff_argnames)
        self.fwd: Callable | None = None
        self.bwd: Callable | None = None
        self.symbolic_zeros = False

    def defvjp(self, fwd: Callable, bwd: Callable, symbolic_zeros: bool = False, optimize_remat: bool = False) -> None:
        """Set the forward and backward rules."""
        self.fwd, self.bwd = fwd, bwd

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.fwd is None or self.bwd is None:
            raise MissingRuleError(
                f"[custom_vjp] expected rules for {name_of(self.fun)}, got none. Call {name_of(self.fun)}.defvjp(fwd, bwd) first."
            )
        args = bind_arguments(self.fun, args, kwargs)
        static, dynamic = _split(args, self.nondiff_argnums)
        leaves, spec = flatten_arguments(name_of(self.fun), dynamic)
        if not any_traced(leaves):
            return self.fun(*args)
        name, n = name_of(self.fun), len(args)
        specs: dict[str, Any] = {}

        def merged(xs: Sequence[Any]) -> list:
            return _merge(static, tree.unflatten_spec(spec, xs), self.nondiff_argnums, n)

        def call(*xs: Any) -> list:
            outs, specs["out"] = tree.flatten_spec(self.fun(*merged(xs)))
            return outs

        def fwd(*xs: Any) -> tuple[list, Any]:
            out = self.fwd(*merged(xs))  # type: ignore[misc]
            if not isinstance(out, tuple) or len(out) != 2:
                raise ArgumentError(
                    f"[custom_vjp] expected the forward rule of {name} to return a pair (output, residuals), got {type(out).__name__}."
                )
            outs, out_spec = tree.flatten_spec(out[0])
            if specs.setdefault("out", out_spec) != out_spec:
                raise TreeStructureError(
                    f"[custom_vjp] expected the forward rule of {name} to return an output of structure {tree.PyTreeDef(specs['out'])}, "
                    f"as the function, got {tree.PyTreeDef(out_spec)}."
                )
            check_data("custom_vjp", outs, lambda: [f"output{p}" for p in leaf_paths(out[0])])
            return outs, out[1]

        def bwd(residuals: Any, cts: Sequence[Any]) -> list:
            ct = tree.unflatten_spec(specs["out"], cts)
            back = self.bwd(*static, residuals, ct)  # type: ignore[misc]
            return _checked_cotangents(name, back, dynamic, spec, leaves)

        params = {"jaxpr": Rule(call, name), "fwd": Rule(fwd, name), "bwd": Rule(bwd, name), "num_consts": 0}
        outs = custom_vjp_p.bind(*leaves, **params)
        return tree.unflatten_spec(specs["out"], outs)


def _checked_cotangents(name: str, back: Any, dynamic: tuple, spec: Any, leaves: Sequence[Any]) -> list:
    if isinstance(back, list):
        back = tuple(back)
    if not isinstance(back, tuple) or len(back) != len(dynamic):
        got = f"{len(back)} values" if isinstance(back, tuple) else type(back).__name__
        raise TreeStructureError(
            f"[custom_vjp] expected the backward rule of {name} to return a tuple of {len(dynamic)} cotangents, one per argument, got {got}. "
            "Use None for an argument without a derivative."
        )
    out: list = []
    for i, (ct, child) in enumerate(zip(back, spec[2])):
        n = tree.num_leaves(child)
        if ct is None:
            out += [None] * n
            continue
        cts, ct_spec = tree.flatten_spec(ct, is_leaf=lambda x: x is None)
        if ct_spec != child:
            without_none = tree.flatten_spec(ct)[1]
            if without_none != child:
                raise TreeStructureError(
                    f"[custom_vjp] expected the backward rule of {name} to return cotangent {i} with the structure of the argument, "
                    f"{tree.PyTreeDef(child)}, got {tree.PyTreeDef(without_none)}."
                )
        out += cts
    for k, (ct, x) in enumerate(zip(out, leaves)):
        if ct is None:
            continue
        aval = typeof(x)
        if not is_float(aval.dtype):
            out[k] = None
        elif shape_of(ct) != aval.shape:
            raise ShapeError(
                f"[custom_vjp] expected the backward rule of {name} to return a cotangent of shape {aval.shape}, as its argument, got {shape_of(ct)}."
            )
        elif dtype_of(ct) != aval.dtype and not aval.weak_type:
            out[k] = convert(ct, aval.dtype)
    return out


class custom_jvp(_Custom):
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

    def __init__(self, fun: Callable, nondiff_argnums: Sequence[int] = (), nondiff_argnames: Sequence[str] = ()):
        super().__init__(fun, nondiff_argnums, nondiff_argnames)
        self.jvp: Callable | None = None

    def defjvp(self, jvp: Callable, symbolic_zeros: bool = False) -> Callable:
        """Set the rule; returns it, so that this is a decorator."""
        self.jvp = jvp
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

        self.jvp = jvp

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.jvp is None:
            raise MissingRuleError(
                f"[custom_jvp] expected a rule for {name_of(self.fun)}, got none. Decorate one with @{name_of(self.fun)}.defjvp first."
            )
        args = bind_arguments(self.fun, args, kwargs)
        static, dynamic = _split(args, self.nondiff_argnums)
        leaves, spec = flatten_arguments(name_of(self.fun), dynamic)
        if not any_traced(leaves):
            return self.fun(*args)
        name, n = name_of(self.fun), len(args)
        specs: dict[str, Any] = {}

        def call(*xs: Any) -> list:
            outs, specs["out"] = tree.flatten_spec(
                self.fun(*_merge(static, tree.unflatten_spec(spec, xs), self.nondiff_argnums, n))
            )
            return outs

        def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list, list]:
            out = self.jvp(*static, tree.unflatten_spec(spec, primals), tree.unflatten_spec(spec, tangents))  # type: ignore[misc]
            if not isinstance(out, (tuple, list)) or len(out) != 2:
                raise ArgumentError(
                    f"[custom_jvp] expected the rule of {name} to return a pair (output, tangent), got {type(out).__name__}."
                )
            outs, out_spec = tree.flatten_spec(out[0])
            tangent_leaves, t_spec = tree.flatten_spec(out[1], is_leaf=lambda x: x is None)
            specs.setdefault("out", out_spec)
            if out_spec != t_spec:
                raise TreeStructureError(
                    f"[custom_jvp] expected the rule of {name} to return output and tangent of one structure, got {tree.PyTreeDef(out_spec)} "
                    f"and {tree.PyTreeDef(tree.flatten_spec(out[1])[1])}."
                )
            return outs, [_checked_tangent(name, o, t) for o, t in zip(outs, tangent_leaves)]

        outs = custom_jvp_p.bind(*leaves, jaxpr=Rule(call, name), jvp_rule=Rule(rule, name), num_consts=0)
        return tree.unflatten_spec(specs["out"], outs)


def _checked_tangent(name: str, out: Any, tangent: Any) -> Any:
    aval = typeof(out)
    if tangent is None:
        return zeros_of(aval)
    if shape_of(tangent) != aval.shape:
        raise ShapeError(
            f"[custom_jvp] expected the rule of {name} to return a tangent of shape {aval.shape}, as its output, got {shape_of(tangent)}."
        )
    return (
        tangent
        if aval.weak_type or dtype_of(tangent) == aval.dtype or not is_float(aval.dtype)
        else convert(tangent, aval.dtype)
    )


def custom_gradient(fun: Callable) -> custom_vjp:
    """A function that returns its value and its pullback becomes one with that derivative rule.

    >>> import fnets
    >>> @custom_gradient
    ... def f(x):
    ...     return x * x, lambda ct: (ct * 10.0,)
    >>> f(3.0), fnets.grad(f)(3.0)
    (9.0, 10.0)
    """

    @functools.wraps(fun)
    def value(*args: Any, **kwargs: Any) -> Any:
        return fun(*args, **kwargs)[0]

    def bwd(residuals: Any, ct: Any) -> Any:
        back = residuals(ct)
        return back if isinstance(back, (tuple, list)) else (back,)

    wrapped = custom_vjp(value)
    wrapped.defvjp(lambda *args, **kwargs: fun(*args, **kwargs), bwd)
    return wrapped


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

    with JaxprTrace(name_of(fun)) as trace:
        jaxpr = trace.finish(flat(*[trace.argument(typeof(x)) for x in leaves]))
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
