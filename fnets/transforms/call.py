"""The primitive behind a jitted call: it runs one jaxpr, compiled, and transforms by transforming that. May import core, backends, transforms' rules."""

from __future__ import annotations

from collections.abc import Callable

from fnets.backends import compiled
from fnets.core.ir import drop_dead_call
from fnets.core.primitive import Primitive
from fnets.transforms.jvp import call_jvp
from fnets.transforms.vjp import call_vjp
from fnets.transforms.vmap import call_batch

jit_p = Primitive("jit", kind="call", multi=True)


def _bind_jit(name: str, backend: str | None) -> Callable[..., list]:
    return lambda jaxpr, *args: jit_p.bind(*args, jaxpr=jaxpr, name=name, backend=backend)


jit_p.impl = lambda *args, jaxpr, name, backend: compiled(jaxpr, backend)(*args)
jit_p.abstract = lambda *avals, jaxpr, name, backend: [v.aval for v in jaxpr.outvars]
jit_p.jvp = lambda primals, tangents, jaxpr, name, backend: call_jvp(_bind_jit(name, backend), primals, tangents, jaxpr)
jit_p.vjp = lambda active, *args, jaxpr, name, backend: call_vjp(_bind_jit(name, backend), active, args, jaxpr)
jit_p.batch = lambda size, vals, dims, jaxpr, name, backend: call_batch(
    _bind_jit(name, backend), size, vals, dims, jaxpr
)
jit_p.rules["dce"] = drop_dead_call
