"""`checkpoint` (`remat`): keep a function's operands instead of its residuals, and compute them again on the way back. May import transforms."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from fnets import tree
from fnets.backends import compiled
from fnets.control.operands import flatten_arguments
from fnets.core.avals import ShapedArray
from fnets.core.ir import Jaxpr, eval_jaxpr
from fnets.core.primitive import Primitive
from fnets.core.trace import typeof
from fnets.primitives.base import linear
from fnets.transforms.jvp import call_jvp
from fnets.transforms.staging import check_callable, name_of, stage_closed
from fnets.transforms.vjp import vjp_flat
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


def _bind(jaxpr: Jaxpr, *args: Any, policy: Any) -> list:
    return checkpoint_p.bind(*args, jaxpr=jaxpr, policy=policy)


def _vjp(active: Sequence[int], *args: Any, jaxpr: Jaxpr, policy: Any) -> tuple:
    if policy is everything_saveable:
        outs, tape = _run(active, args, jaxpr)
        return outs, tape.pull
    outs = checkpoint_p.bind(*args, jaxpr=jaxpr, policy=policy)

    def pull(cts: Sequence[Any]) -> list:
        return _run(active, args, jaxpr)[1].pull(cts, consume=True)

    return outs, pull


def _run(active: Sequence[int], args: Sequence[Any], jaxpr: Jaxpr) -> tuple:
    return vjp_flat(lambda *xs: eval_jaxpr(jaxpr, xs), args, active)


checkpoint_p.impl = lambda *args, jaxpr, policy: compiled(jaxpr)(*args)
checkpoint_p.abstract = lambda *avals, jaxpr, policy: [v.aval for v in jaxpr.outvars]
checkpoint_p.vjp = _vjp
checkpoint_p.jvp = lambda primals, tangents, jaxpr, policy: call_jvp(
    functools.partial(_bind, policy=policy), primals, tangents, jaxpr
)
checkpoint_p.batch = lambda size, vals, dims, jaxpr, policy: call_batch(
    functools.partial(_bind, policy=policy), size, vals, dims, jaxpr
)


def nothing_saveable(*args: Any, **params: Any) -> bool:
    """Policy: save nothing, compute everything again.

    >>> nothing_saveable()
    False
    """
    return False


def everything_saveable(*args: Any, **params: Any) -> bool:
    """Policy: save everything, as without `checkpoint`.

    >>> everything_saveable()
    True
    """
    return True


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

    @functools.wraps(fun)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        fixed = {i % len(args) for i in static}
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

        jaxpr, consts = stage_closed(flat, [typeof(x) for x in leaves], name_of(fun))
        return tree.unflatten_spec(
            out_spec, checkpoint_p.bind(*consts, *leaves, jaxpr=jaxpr, policy=policy or nothing_saveable)
        )

    return checkpointed


remat = checkpoint
