"""Compilation: `jit`. May import core, backends, tree, errors, config, and the other transformations.

A jitted call flattens its arguments, looks (structure, avals, static values, settings) up, and runs the compiled jaxpr on the flat leaves. What is
not found is staged once. A function that closes over a value of a running transformation is staged at every call, and that value is an operand.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fnets import config, tree
from fnets.backends import check_backend, compiled
from fnets.core.avals import WEAK_AVALS
from fnets.core.ir import Jaxpr
from fnets.core.primitive import Primitive
from fnets.core.trace import Tracer, check_alive, typeof
from fnets.errors import ArgumentError
from fnets.transforms.jvp import call_jvp
from fnets.transforms.staging import check_callable, check_data, leaf_paths, name_of, stage
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


class CacheInfo(NamedTuple):
    """Hits, misses and size of a jitted function's cache."""

    hits: int
    misses: int
    maxsize: int
    currsize: int


class _Entry(NamedTuple):
    jaxpr: Jaxpr
    run: Callable[..., list]
    out_spec: Any
    hoisted: tuple  # values of outer transformations that the function closes over: leading operands
    jaxpr_name: str


_caches: weakref.WeakKeyDictionary[Callable, dict] = weakref.WeakKeyDictionary()


def _cache_for(fun: Callable, key: Any) -> dict:
    """The cache of a function under given options, shared by all `jit(fun)` of the same function while it lives."""
    try:
        return _caches.setdefault(fun, {}).setdefault(key, {})
    except TypeError:  # not weakly referable or not hashable
        return {}


def _static_positions(fun: Callable, argnums: Any, argnames: Any) -> tuple[tuple[int, ...], frozenset[str]]:
    """Static positions and names, each completed from the other by the function's signature."""
    nums = [argnums] if isinstance(argnums, (int, np.integer)) else list(argnums or ())
    names = [argnames] if isinstance(argnames, str) else list(argnames or ())
    for i in nums:
        if not isinstance(i, (int, np.integer)) or isinstance(i, bool):
            raise ArgumentError(
                f"[jit] expected static_argnums to be ints, got {argnums!r}. Use static_argnums=(0, 1)."
            )
    for n in names:
        if not isinstance(n, str):
            raise ArgumentError(
                f"[jit] expected static_argnames to be strings, got {argnames!r}. Use static_argnames=('n',)."
            )
    try:
        parameters = list(inspect.signature(fun).parameters.values())
    except (ValueError, TypeError):
        return tuple(nums), frozenset(names)
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    starred = any(p.kind == p.VAR_POSITIONAL for p in parameters)
    any_keyword = any(p.kind == p.VAR_KEYWORD for p in parameters)
    known = {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    for i in nums:
        if not starred and not -len(positional) <= i < len(positional):
            raise ArgumentError(
                f"[jit] expected static_argnums below the number of positional arguments of {name_of(fun)}, {len(positional)}, got {i}."
            )
    for n in names:
        if not any_keyword and n not in known:
            raise ArgumentError(
                f"[jit] expected static_argnames out of {sorted(known)}, the arguments of {name_of(fun)}, got {n!r}."
            )
    nums = [i % len(positional) if i < 0 and positional and not starred else i for i in nums]
    if names and not nums:
        nums = [positional.index(n) for n in names if n in positional]
    elif nums and not names:
        names = [positional[i] for i in nums if 0 <= i < len(positional) and positional[i] in known]
    return tuple(dict.fromkeys(nums)), frozenset(names)


class _Static:
    """A static argument in a cache key: hashed once, compared by equality and type."""

    __slots__ = ("value", "hash")

    def __init__(self, value: Any, which: str):
        self.value = value
        try:
            self.hash = hash(value)
        except TypeError:
            raise ArgumentError(
                f"[jit] expected a hashable static argument, got {type(value).__name__} for {which}. "
                "Pass a tuple or another immutable value, or do not mark it static."
            ) from None

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        return type(other) is _Static and type(self.value) is type(other.value) and self.value == other.value


def _signature(x: Any) -> Any:
    """What of a leaf that is neither a plain array nor a Python scalar the compiled code depends on."""
    return typeof(x)


def _freeze(c: Any) -> Any:
    """A constant captured while tracing, safe from later writes to the array it came from."""
    if type(c) is not np.ndarray or not c.flags.writeable:
        return c
    c = c.copy()
    c.flags.writeable = False
    return c


def jit(
    fun: Callable | None = None,
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
    donate_argnums: int | Sequence[int] | None = None,
    donate_argnames: str | Sequence[str] | None = None,
    inline: bool = False,
    keep_unused: bool = False,
    backend: str | None = None,
    **ignored: Any,
) -> Callable:
    """A function that stages `fun` once for each new combination of argument types, and from then on runs compiled code.

    Args:
      fun: pure function of pytrees. Without it, `jit(**options)` is a decorator.
      static_argnums, static_argnames: arguments passed to `fun` as they are; they must be hashable, and a new value stages again.
      donate_argnums, donate_argnames: arguments whose memory the results may take; do not use those arrays afterwards.
      backend: "numpy", or another registered one; default by `FNETS_BACKEND`.

    >>> import fnets.numpy as fnp
    >>> jit(lambda x: fnp.sum(x * x))(np.arange(3.0))
    np.float64(5.0)
    """
    if fun is None:
        return functools.partial(
            jit,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
            donate_argnums=donate_argnums,
            donate_argnames=donate_argnames,
            inline=inline,
            keep_unused=keep_unused,
            backend=backend,
            **ignored,
        )
    for option in ignored:
        if option not in ("device", "abstracted_axes", "in_shardings", "out_shardings", "compiler_options"):
            raise ArgumentError(f"[jit] expected one of jit's options, got {option!r}.")
    check_callable("jit", fun)
    if backend is not None:
        check_backend(backend)
    static_nums, static_names = _static_positions(fun, static_argnums, static_argnames)
    donate_nums, donate_names = _static_positions(fun, donate_argnums, donate_argnames)
    if set(static_nums) & set(donate_nums):
        raise ArgumentError(
            f"[jit] expected static and donated arguments to differ, got {static_nums} and {donate_nums}."
        )
    function: Callable = fun
    name = name_of(fun)
    options = (static_nums, static_names, donate_nums, donate_names, backend)
    cache = _cache_for(fun, options)
    hits = misses = 0
    has_static = bool(static_nums or static_names)
    leaf_spec = tree.LEAF
    flatten = tree.flatten_spec
    unflatten = tree.unflatten_spec
    context_of = config.trace_context
    ndarray = np.ndarray

    def split_static(args: tuple, kwargs: dict) -> tuple[tuple, dict, tuple]:
        n = len(args)
        positions = {i % n for i in static_nums if -n <= i < n}
        dynamic = tuple([a for i, a in enumerate(args) if i not in positions])
        keywords = {k: v for k, v in kwargs.items() if k not in static_names}
        fixed = tuple([(i, _Static(args[i], f"argument {i}")) for i in sorted(positions)])
        named = tuple([(k, _Static(kwargs[k], f"argument {k!r}")) for k in sorted(kwargs) if k in static_names])
        return dynamic, keywords, (n, fixed, named)

    def trace(leaves: list, spec: Any, static: tuple | None) -> _Entry:
        out_spec = None

        def flat(*tracers: Any) -> list:
            nonlocal out_spec
            args, kwargs = unflatten(spec, tracers)
            if static is not None:
                n, fixed, named = static
                values = dict(fixed)
                rest = iter(args)
                args = [values[i].value if i in values else next(rest) for i in range(n)]
                kwargs = {**kwargs, **{k: s.value for k, s in named}}
            out = function(*args, **kwargs)
            outs, out_spec = flatten(out)
            check_data("jit", outs, lambda: [f"result{p}" for p in leaf_paths(out)])
            return outs

        jaxpr = stage(flat, [typeof(x) for x in leaves], name)
        hoisted = [(v, c) for v, c in zip(jaxpr.constvars, jaxpr.consts) if isinstance(c, Tracer)]
        kept = [(v, _freeze(c)) for v, c in zip(jaxpr.constvars, jaxpr.consts) if not isinstance(c, Tracer)]
        jaxpr = Jaxpr(
            [v for v, _ in kept],
            [c for _, c in kept],
            [*[v for v, _ in hoisted], *jaxpr.invars],
            jaxpr.eqns,
            jaxpr.outvars,
        )
        run = (
            compiled(jaxpr, backend, own_outputs=True, donated=donated_leaves(spec, static)) if not hoisted else _never
        )
        return _Entry(jaxpr, run, out_spec, tuple(c for _, c in hoisted), name)

    def donated_leaves(spec: Any, static: tuple | None) -> tuple[int, ...]:
        if not (donate_nums or donate_names):
            return ()
        dynamic = iter(range(spec_size(spec)))
        args, kwargs = unflatten(spec, list(dynamic))
        positions = (
            [i for i in range(static[0]) if i not in dict(static[1])] if static is not None else range(len(args))
        )
        chosen = [a for i, a in zip(positions, args) if i in donate_nums]
        chosen += [v for k, v in kwargs.items() if k in donate_names]
        return tuple(tree.leaves(chosen))

    def lookup(args: tuple, kwargs: dict) -> tuple[_Entry, list, bool]:
        nonlocal hits, misses
        static = None
        if has_static:
            args, kwargs, static = split_static(args, kwargs)
        leaves, spec = flatten((args, kwargs))
        signature = []
        traced = False
        for i, x in enumerate(leaves):
            kind = type(x)
            if kind is ndarray:
                signature.append(x.shape)
                signature.append(x.dtype)
            elif kind in WEAK_AVALS:
                signature.append(kind)
            else:
                if not isinstance(x, (np.generic, Tracer)):
                    check_data("jit", leaves, lambda: [f"argument{p}" for p in leaf_paths((args, kwargs))])
                    x = leaves[i] = np.asarray(x)
                elif isinstance(x, Tracer):
                    check_alive(x)
                    traced = True
                signature.append(_signature(x))
        key = (spec, static, context_of(), *signature)
        entry = cache.get(key)
        if entry is not None:
            hits += 1
            return entry, leaves, traced
        misses += 1
        check_data("jit", leaves, lambda: [f"argument{p}" for p in leaf_paths((args, kwargs))])
        entry = trace(leaves, spec, static)
        if not entry.hoisted:
            if len(cache) >= config.read("jit_cache_size"):
                cache.pop(next(iter(cache)), None)
            cache[key] = entry
        return entry, leaves, traced or bool(entry.hoisted)

    @functools.wraps(fun)
    def jitted(*args: Any, **kwargs: Any) -> Any:
        if context_of()[0]:
            return function(*args, **kwargs)
        entry, leaves, traced = lookup(args, kwargs)
        if traced:
            out = jit_p.bind(*entry.hoisted, *leaves, jaxpr=entry.jaxpr, name=name, backend=backend)
        else:
            out = entry.run(*leaves)
        spec = entry.out_spec
        return out[0] if spec is leaf_spec else unflatten(spec, out)

    def cache_info() -> CacheInfo:
        return CacheInfo(hits, misses, config.read("jit_cache_size"), len(cache))

    jitted.cache_info = cache_info  # type: ignore[attr-defined]
    jitted.clear_cache = cache.clear  # type: ignore[attr-defined]
    jitted._cache_size = lambda: len(cache)  # type: ignore[attr-defined]
    jitted.entry_for = lambda *args, **kwargs: lookup(args, kwargs)[0]  # type: ignore[attr-defined]
    return jitted


def spec_size(spec: Any) -> int:
    """The number of leaves of a structure."""
    return tree.PyTreeDef(spec).num_leaves


def _never(*args: Any) -> list:
    raise AssertionError("a jaxpr with operands of an outer transformation runs through bind")
