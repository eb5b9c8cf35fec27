"""`custom_vjp`: a function with its own reverse-mode rule; `custom_gradient`. May import transforms, control.operands, the files beside it.

The primitive's parameters are flat callables: `fwd(perturbed, *args) -> outs, residuals` and `bwd(residuals, cts) -> cotangents`, where a
cotangent may be None both ways. They stay callables while values are known, so Python control flow in them works under `grad`.
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
from fnets.control.custom.closures import closure_convert
from fnets.control.custom.symbolic import CustomVJPPrimal, SymbolicZero
from fnets.control.operands import any_traced, flatten_arguments
from fnets.core.avals import ShapedArray, is_float
from fnets.core.trace import dtype_of, shape_of, typeof
from fnets.errors import (
    ArgumentError,
    DTypeError,
    MissingRuleError,
    ShapeError,
    TreeStructureError,
    UnexpectedTracerError,
)
from fnets.primitives.base import convert, move_dim, reduce_sum, zeros_like, zeros_of
from fnets.transforms.edge import public
from fnets.transforms.staging import check_data, leaf_paths, name_of
from fnets.transforms.vmap import vmap_flat

custom_vjp_p = declare("custom_vjp_call")


def _vjp(active: Sequence[int], *args: Any, jaxpr: Any, fwd: Rule, bwd: Rule, num_consts: int) -> tuple:
    perturbed = [i in active for i in range(len(args))]
    refuse_closure(fwd.__name__, num_consts, perturbed)
    outs, residuals = fwd(perturbed[num_consts:], *args[num_consts:])
    check_results(fwd.__name__, "forward", outs, jaxpr)

    def pull(cts: Sequence[Any]) -> list:
        back = bwd(residuals, cts)
        return [back[i - num_consts] for i in active]

    return outs, pull


def _jvp(primals: Sequence, tangents: Sequence, jaxpr: Any, fwd: Rule, bwd: Rule, num_consts: int) -> tuple:
    raise DTypeError(
        f"[jvp] expected a function with a forward-mode rule, got {fwd.__name__}, which defines custom_vjp alone. "
        "Use custom_jvp, which serves both modes, or differentiate in reverse mode."
    )


class _Batched:
    """Residuals of a batched forward rule: leaves with their batch dimensions. A pytree, so that they batch again."""

    __slots__ = ("leaves", "dims", "spec")

    def __init__(self, leaves: list, dims: list, spec: Any):
        self.leaves, self.dims, self.spec = leaves, dims, spec


tree.register_node(
    _Batched,
    lambda r: (tuple(r.leaves), (tuple(r.dims), r.spec)),
    lambda aux, leaves: _Batched(list(leaves), list(aux[0]), aux[1]),
)


def _batch(size: int, vals: Sequence, dims: Sequence, jaxpr: Any, fwd: Rule, bwd: Rule, num_consts: int) -> tuple:
    vals, ins = to_front(vals, dims, size)
    arg_ins = ins[num_consts:]

    def batched_fwd(perturbed: Sequence[bool], *args: Any) -> tuple[list, Any]:
        counts: list[int] = []
        specs: list = []

        def flat(*xs: Any) -> list:
            outs, residuals = fwd(perturbed, *xs)
            leaves, spec = tree.flatten_spec(residuals)
            counts[:] = [len(outs)]
            specs[:] = [spec]
            return [*outs, *leaves]

        pairs = vmap_flat(flat, args, arg_ins, size)
        n = counts[0]
        outs = [move_dim(v, d, 0, size) for v, d in pairs[:n]]
        kept = [(v if d is None else move_dim(v, d, 0, size), None if d is None else 0) for v, d in pairs[n:]]
        return outs, _Batched([v for v, _ in kept], [d for _, d in kept], specs[0])

    def batched_bwd(residuals: _Batched, cts: Sequence[Any]) -> list:
        n = len(residuals.leaves)
        given = [c for c in cts if c is not None]
        present: list[bool] = []

        def flat(*xs: Any) -> list:
            it = iter(xs[n:])
            back = bwd(tree.unflatten_spec(residuals.spec, xs[:n]), [None if c is None else next(it) for c in cts])
            present[:] = [b is not None for b in back]
            return [b for b in back if b is not None]

        pairs = iter(vmap_flat(flat, [*residuals.leaves, *given], [*residuals.dims, *[0] * len(given)], size))
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
    outs = custom_vjp_p.bind(*vals, jaxpr=batched_function(jaxpr, ins, size), num_consts=num_consts, **rules)
    return outs, [0] * len(outs)


custom_vjp_p.vjp, custom_vjp_p.jvp, custom_vjp_p.batch = _vjp, _jvp, _batch


class _Kept:
    """The user's residuals and the types of the results, for which a cotangent may be missing."""

    __slots__ = ("residuals", "avals")

    def __init__(self, residuals: Any, avals: tuple[ShapedArray, ...]):
        self.residuals, self.avals = residuals, avals


tree.register_node(_Kept, lambda k: ((k.residuals,), k.avals), lambda avals, children: _Kept(children[0], avals))


class custom_vjp(Custom):
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

    fwd: Callable | None = None
    bwd: Callable | None = None

    def defvjp(self, fwd: Callable, bwd: Callable, symbolic_zeros: bool = False, optimize_remat: bool = False) -> None:
        """Set the forward and backward rules.

        symbolic_zeros: `fwd` receives a `CustomVJPPrimal(value, perturbed)` for every leaf of its arguments, and `bwd` a `SymbolicZero`
          for every cotangent that is known to be zero.
        """
        self.fwd, self.bwd, self.symbolic_zeros = fwd, bwd, symbolic_zeros

    @public
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = name_of(self.fun)
        if self.fwd is None or self.bwd is None:
            raise MissingRuleError(
                f"[custom_vjp] expected rules for {name}, got none. Call {name}.defvjp(fwd, bwd) first."
            )
        args = bind_arguments(self.fun, self.signature, args, kwargs)
        static, dynamic = self.split(args)
        if any_traced(tree.leaves(static)):
            raise UnexpectedTracerError(
                f"[custom_vjp] expected nondiff_argnums of {name} to name arguments that are no arrays, got a traced value in one. "
                "Make it an ordinary argument, and return None as its cotangent."
            )
        leaves, spec = flatten_arguments(name, dynamic)
        if not any_traced(leaves):
            return self.fun(*args)
        call = _Call(self, self.fwd, self.bwd, static, dynamic, leaves, spec)
        outs = bind_call(
            custom_vjp_p,
            leaves,
            jaxpr=Rule(call.run, name),
            fwd=Rule(call.forward, name),
            bwd=Rule(call.backward, name),
            num_consts=0,
        )
        return tree.unflatten_spec(call.out_spec, outs)


class _Call:
    """One call of a custom_vjp function: its three flat callables, and the structures that they share."""

    def __init__(
        self, custom: custom_vjp, fwd: Callable, bwd: Callable, static: list, dynamic: tuple, leaves: list, spec: Any
    ):
        self.custom, self.fwd, self.bwd, self.symbolic = custom, fwd, bwd, custom.symbolic_zeros
        self.name = name_of(custom.fun)
        self.static, self.spec, self.count = static, spec, len(dynamic)
        self.avals = [typeof(x) for x in leaves]
        self.out_spec: Any = None

    def arguments(self, xs: Sequence[Any]) -> list:
        return self.custom.merge(self.static, tree.unflatten_spec(self.spec, xs))

    def run(self, *xs: Any) -> list:
        outs, self.out_spec = tree.flatten_spec(self.custom.fun(*self.arguments(xs)))
        return outs

    def forward(self, perturbed: Sequence[bool], *xs: Any) -> tuple[list, _Kept]:
        given = [CustomVJPPrimal(x, p) for x, p in zip(xs, perturbed)] if self.symbolic else xs
        out = self.fwd(*self.arguments(given))
        if not isinstance(out, tuple) or len(out) != 2:
            raise ArgumentError(
                f"[custom_vjp] expected the forward rule of {self.name} to return a pair (output, residuals), got {type(out).__name__}."
            )
        outs, out_spec = tree.flatten_spec(out[0])
        if self.out_spec is None:
            self.out_spec = out_spec
        elif self.out_spec != out_spec:
            raise TreeStructureError(
                f"[custom_vjp] expected the forward rule of {self.name} to return an output of structure {tree.PyTreeDef(self.out_spec)}, "
                f"as the function, got {tree.PyTreeDef(out_spec)}."
            )
        check_data("custom_vjp", outs, lambda: [f"output{p}" for p in leaf_paths(out[0])])
        return outs, _Kept(out[1], tuple([typeof(o) for o in outs]))

    def backward(self, kept: _Kept, cts: Sequence[Any]) -> list:
        zero = SymbolicZero if self.symbolic else zeros_of
        full = [zero(a) if c is None else c for c, a in zip(cts, kept.avals)]
        back = self.bwd(*self.static, kept.residuals, tree.unflatten_spec(self.out_spec, full))
        return _checked_cotangents(self.name, back, self.count, self.spec, self.avals)


def _checked_cotangents(name: str, back: Any, count: int, spec: Any, avals: Sequence[ShapedArray]) -> list:
    """The backward rule's result as flat cotangents, None for zero."""
    if isinstance(back, list):
        back = tuple(back)
    if not isinstance(back, tuple) or len(back) != count:
        got = f"{len(back)} values" if isinstance(back, tuple) else type(back).__name__
        raise TreeStructureError(
            f"[custom_vjp] expected the backward rule of {name} to return a tuple of {count} cotangents, one per argument, got {got}. "
            "Use None for an argument without a derivative."
        )
    out: list = []
    for i, (ct, child) in enumerate(zip(back, spec[2])):
        out += _cotangent_leaves(name, i, ct, child)
    for k, (ct, aval) in enumerate(zip(out, avals)):
        if ct is None or not is_float(aval.dtype):
            out[k] = None
        elif shape_of(ct) != aval.shape:
            hint = " Consider just returning a None here." if type(ct) is SymbolicZero else ""
            raise ShapeError(
                f"[custom_vjp] expected the backward rule of {name} to return a cotangent of shape {aval.shape}, as its argument, "
                f"got {shape_of(ct)}.{hint}"
            )
        elif type(ct) is SymbolicZero:
            out[k] = None
        elif dtype_of(ct) != aval.dtype and not aval.weak_type:
            out[k] = convert(ct, aval.dtype)
    return out


def _cotangent_leaves(name: str, i: int, ct: Any, child: Any) -> list:
    """The leaves of one argument's cotangent; a None stands for a whole subtree of zeros."""
    if ct is None:
        return [None] * tree.num_leaves(child)
    leaves, ct_spec = tree.flatten_spec(ct, is_leaf=lambda x: x is None)
    if ct_spec == child:
        return leaves
    without_none = tree.flatten_spec(ct)[1]
    if without_none == child:  # the argument has Nones of its own
        return [x for x in leaves if x is not None]
    try:
        whole = tree.unflatten_spec(child, range(tree.num_leaves(child)))
        places = tree.broadcast_prefix(ct, whole, is_leaf=lambda x: x is None)
    except ValueError:
        places = None
    if places is None or sum(p is not None for p in places) != sum(x is not None for x in leaves):
        raise TreeStructureError(
            f"[custom_vjp] expected the backward rule of {name} to return cotangent {i} with the structure of the argument, "
            f"{tree.PyTreeDef(child)}, got {tree.PyTreeDef(without_none)}."
        )
    return places


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

    def fwd(*args: Any) -> tuple:
        out, pull = fun(*args)
        converted, values = closure_convert(pull, tree.map(zeros_like, out))
        return out, tree.Partial(functools.partial(_pull, converted), values)

    def bwd(pull: Any, ct: Any) -> Any:
        back = pull(ct)
        return back if isinstance(back, (tuple, list)) else (back,)

    wrapped = custom_vjp(value)
    wrapped.defvjp(fwd, bwd)
    return wrapped


def _pull(converted: Callable, values: Sequence[Any], ct: Any) -> Any:
    return converted(ct, *values)
