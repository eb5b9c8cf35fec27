"""`checkpoint` (`remat`): keep a function's operands instead of its residuals, and compute them again on the way back. May import transforms."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from fnets import tree
from fnets.backends import compiled
from fnets.control.operands import flatten_arguments
from fnets.control.policies import Policy, nothing_saveable
from fnets.core.avals import ShapedArray, is_float
from fnets.core.ir import Jaxpr, Var, drop_dead, drop_dead_call, eval_jaxpr
from fnets.core.primitive import Primitive
from fnets.core.trace import typeof
from fnets.primitives.base import linear, zeros_of
from fnets.source import describe_location
from fnets.transforms.edge import public
from fnets.transforms.jvp import call_jvp, linearize_jaxpr, staged_apart, tangent_trace
from fnets.transforms.staging import check_callable, name_of, positions_of, stage_closed
from fnets.transforms.vjp import vjp_jaxpr
from fnets.transforms.vmap import call_batch

# "barrier": never merged with an equal equation, so what is computed again is really computed again
checkpoint_p = Primitive("checkpoint", kind="barrier", multi=True)

name_p = Primitive("name", kind="barrier")
name_p.impl = lambda x, name: x
name_p.abstract = lambda a, name: ShapedArray(a.shape, a.dtype, a.weak_type)
name_p.batch = lambda size, vals, dims, name: (name_p.bind(vals[0], name=name), dims[0])
linear(name_p, lambda ct, aval, name: ct)


def checkpoint_name(x: Any, name: str) -> Any:
    """Mark the value `x` with a name that checkpoint policies can refer to.

    >>> checkpoint_name(1.0, "activation")
    1.0
    """
    return tree.map(lambda leaf: name_p.bind(leaf, name=name), x)


def _bind(jaxpr: Jaxpr, *args: Any, policy: Policy) -> list:
    return checkpoint_p.bind(*args, jaxpr=jaxpr, policy=policy)


def _saved(fwd: Jaxpr, policy: Policy) -> list[Var]:
    """The values of a forward part that the policy keeps."""
    return [v for e in fwd.eqns if policy(e.prim, *[x.aval for x in e.invars], **e.params) for v in e.outvars]


def _again(fwd: Jaxpr, start: int, saved: Sequence[Var]) -> Jaxpr:
    """The program that computes the residuals (the outputs from `start` on) from the arguments and the saved values."""
    given = set(saved)
    eqns = [e for e in fwd.eqns if not all([v in given for v in e.outvars])]
    # an equation with several results of which only some are saved defines the saved ones again, under names that nobody reads
    eqns = [e.replace(outvars=[Var(v.aval) if v in given else v for v in e.outvars]) for e in eqns]
    return drop_dead(Jaxpr(fwd.constvars, fwd.consts, [*fwd.invars, *saved], eqns, fwd.outvars[start:]))


def _run(fwd: Jaxpr, n: int, args: Sequence[Any], policy: Policy) -> tuple[list, Jaxpr, list]:
    """Run the first of two parts: its `n` results, the program that computes its residuals again, and that one's operands."""
    again = _again(fwd, n, _saved(fwd, policy))
    read = {v for e in again.eqns for v in e.invars} | set(again.outvars)
    saved = [v for v in again.invars[len(args) :] if v in read]
    again = again.replace(invars=[*again.invars[: len(args)], *saved])
    results = _bind(drop_dead(fwd.replace(outvars=[*fwd.outvars[:n], *saved])), *args, policy=policy)
    return results[:n], again, [*args, *results[n:]]


def _vjp(active: Sequence[int], *args: Any, jaxpr: Jaxpr, policy: Policy) -> tuple:
    fwd, bwd, given = vjp_jaxpr(jaxpr, tuple(active))
    outs, again, kept = _run(fwd, len(jaxpr.outvars), args, policy)
    if not any(given):
        return outs, None

    def pull(cts: Sequence[Any]) -> list:
        dense = [zeros_of(v.aval) if c is None else c for c, v in zip(cts, jaxpr.outvars) if is_float(v.aval.dtype)]
        it = iter(eval_jaxpr(bwd, [*_bind(again, *kept, policy=policy), *dense]))
        return [next(it) if g else None for g in given]

    return outs, pull


def _jvp(primals: Sequence, tangents: Sequence, jaxpr: Jaxpr, policy: Policy) -> tuple:
    if not staged_apart(primals, tangents):
        return call_jvp(functools.partial(_bind, policy=policy), primals, tangents, jaxpr)
    fwd, lin, given = linearize_jaxpr(jaxpr, tuple([t is not None for t in tangents]))
    outs, again, kept = _run(fwd, len(jaxpr.outvars), primals, policy)
    # in the linear part, although nothing there is a tangent: what is computed again must not be kept
    residuals = tangent_trace(tangents).process(checkpoint_p, tuple(kept), {"jaxpr": again, "policy": policy})
    it = iter(eval_jaxpr(lin, [*residuals, *[t for t in tangents if t is not None]]))
    return outs, [next(it) if g else None for g in given]


checkpoint_p.impl = lambda *args, jaxpr, policy: compiled(jaxpr)(*args)
checkpoint_p.abstract = lambda *avals, jaxpr, policy: [v.aval for v in jaxpr.outvars]
checkpoint_p.vjp = _vjp
checkpoint_p.rules["dce"] = drop_dead_call
checkpoint_p.jvp = _jvp
checkpoint_p.batch = lambda size, vals, dims, jaxpr, policy: call_batch(
    functools.partial(_bind, policy=policy), size, vals, dims, jaxpr
)


def checkpoint(
    fun: Callable | None = None,
    *,
    prevent_cse: bool = True,
    policy: Callable | None = None,
    static_argnums: int | Sequence[int] = (),
    concrete: bool = False,
) -> Callable:
    """A function equal to `fun` whose reverse mode keeps only its arguments, and runs it again when the cotangent arrives.

    Args:
      fun: function of pytrees.
      policy: which intermediate values may be kept; None keeps nothing.
      static_argnums: positions of arguments that are passed as they are.

    >>> import fnets
    >>> fnets.grad(checkpoint(lambda x: x * x))(3.0)
    6.0
    """
    if fun is None:
        return functools.partial(checkpoint, prevent_cse=prevent_cse, policy=policy, static_argnums=static_argnums)
    check_callable("checkpoint", fun)
    static = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)

    @public
    @functools.wraps(fun)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        fixed = positions_of("checkpoint", static, len(args))
        dynamic = tuple([a for i, a in enumerate(args) if i not in fixed])
        leaves, spec = flatten_arguments("checkpoint", (dynamic, kwargs))
        out_spec = None

        def flat(*xs: Any) -> list:
            nonlocal out_spec
            positional, keywords = tree.unflatten_spec(spec, xs)
            it = iter(positional)
            outs, out_spec = tree.flatten_spec(
                fun(*[a if i in fixed else next(it) for i, a in enumerate(args)], **keywords)
            )
            return outs

        jaxpr, consts = stage_closed(flat, [typeof(x) for x in leaves], name_of(fun), captures=True)
        return tree.unflatten_spec(
            out_spec, checkpoint_p.bind(*consts, *leaves, jaxpr=jaxpr, policy=policy or nothing_saveable)
        )

    return checkpointed


remat = checkpoint


def saved_residuals(fun: Callable, *args: Any, **kwargs: Any) -> list[tuple[ShapedArray, str]]:
    """What reverse mode of `fun(*args)` keeps until the cotangent arrives: pairs of type and origin.

    >>> import fnets.numpy as fnp
    >>> import numpy as np
    >>> [aval.str_short() for aval, _ in saved_residuals(lambda x: fnp.sum(fnp.sin(x) ** 3), np.ones(4))]
    ['f64[4]', 'f64[4]']
    """
    leaves, spec = flatten_arguments("saved_residuals", (args, kwargs))

    def flat(*xs: Any) -> list:
        positional, keywords = tree.unflatten_spec(spec, xs)
        return tree.leaves(fun(*positional, **keywords))

    jaxpr, consts = stage_closed(flat, [typeof(x) for x in leaves], name_of(fun))
    n = len(consts)
    wrt = tuple(i for i, v in enumerate(jaxpr.invars) if i >= n and is_float(v.aval.dtype))
    fwd = vjp_jaxpr(jaxpr, wrt)[0]
    origin: dict[Any, str] = dict.fromkeys(fwd.constvars, "a constant")
    origin |= {
        v: "a value that the function closes over" if i < n else f"argument {i - n}" for i, v in enumerate(fwd.invars)
    }
    origin |= {v: f"{e.prim.name} at {describe_location(e.where)}" for e in fwd.eqns for v in e.outvars}
    kept = dict.fromkeys(v for v in fwd.outvars[len(jaxpr.outvars) :] if isinstance(v, Var))
    return [(v.aval, origin[v]) for v in kept]


def print_saved_residuals(fun: Callable, *args: Any, **kwargs: Any) -> None:
    """Print what reverse mode keeps: size, type, and the user's line that made it, the largest first.

    >>> import fnets.numpy as fnp
    >>> print_saved_residuals(fnp.sin, 1.0)
         8 B  f64[]  argument 0
    """
    for aval, where in sorted(saved_residuals(fun, *args, **kwargs), key=lambda item: -item[0].nbytes):
        print(f"{aval.nbytes:6,} B  {aval.str_short()}  {where}")
