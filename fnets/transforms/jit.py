"""Compilation: `jit`. May import core, backends, tree, errors, config, and the other transformations.

A jitted call flattens its arguments, looks (structure, avals, static values, settings) up, and runs the compiled jaxpr on the flat leaves. What is
not found is staged once. A function that closes over a value of a running transformation is staged at every call, and that value is an operand.
The cache drops its oldest entry when it is full: keeping the order of use would cost every hit a tenth of its time.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fnets import config, tree
from fnets.backends import check_backend, compiled
from fnets.core.avals import WEAK_AVALS
from fnets.core.ir import Jaxpr
from fnets.core.trace import Tracer, check_alive, typeof
from fnets.errors import ArgumentError, ExecutionError, FnetsError, RetraceError
from fnets.transforms.cache_misses import leaf_names, log_miss, warn_of_retraces
from fnets.transforms.call import jit_p
from fnets.transforms.edge import public, trim_traceback
from fnets.transforms.lowered import Lowered, Traced
from fnets.transforms.signature import Function
from fnets.transforms.staging import check_callable, check_data


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


_caches: weakref.WeakKeyDictionary[Callable, dict] = weakref.WeakKeyDictionary()


def _cache_for(fun: Callable, key: Any) -> dict:
    """The cache of a function under given options, shared by all `jit(fun)` of the same function while it lives."""
    try:
        return _caches.setdefault(fun, {}).setdefault(key, {})
    except TypeError:  # not weakly referable or not hashable
        return {}


def clear_caches() -> None:
    """Forget what every jitted function has compiled.

    >>> f = jit(lambda x: x + 1)
    >>> f(1.0), f.cache_info().currsize
    (2.0, 1)
    >>> clear_caches()
    >>> f.cache_info().currsize
    0
    """
    for by_options in list(_caches.values()):
        for cache in by_options.values():
            cache.clear()


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

    The result also has `lower(*args)` and `trace(*args)` (look at the program; see `fnets.transforms.lowered`), `eval_shape(*args)`,
    `cache_info()` and `clear_cache()`.

    Args:
      fun: pure function of pytrees. Without it, `jit(**options)` is a decorator.
      static_argnums, static_argnames: arguments passed to `fun` as they are; they must be hashable, and a new value stages again.
      donate_argnums, donate_argnames: arguments whose memory the results may take; do not use those arrays afterwards. Read-only arrays, and
        arrays that share memory with another argument, are copied instead.
      backend: "llvm" (native code, with NumPy for the rest), "numpy", or another registered one. The default is that of `FNETS_BACKEND`, or "auto":
        native code for programs that take long enough, if llvmlite is installed.

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
    staging = Function(fun, (static_argnums, static_argnames), (donate_argnums, donate_argnames), backend)
    return _jitted(fun, staging, _cache_for(fun, staging.options))


def _jitted(function: Callable, staging: Function, cache: dict) -> Callable:
    """The jitted function: a fast way through for what is in the cache, and a slow one."""
    name, backend = staging.name, staging.backend
    has_static = bool(staging.static_nums or staging.static_names)
    hits = misses = 0
    leaf_spec = tree.LEAF
    flatten = tree.flatten_spec
    unflatten = tree.unflatten_spec
    context_of = config.trace_context
    ndarray = np.ndarray

    def lookup(args: tuple, kwargs: dict) -> tuple[_Entry, list, bool]:
        nonlocal hits
        static = None
        if has_static:
            args, kwargs, static = staging.split_static(args, kwargs)
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
            elif isinstance(x, Tracer):
                check_alive(x)
                traced = True
                signature.append(typeof(x))
            else:
                if not isinstance(x, np.generic):
                    check_data("jit", leaves, lambda: leaf_names(function, spec, static))
                    x = leaves[i] = np.asarray(x)
                signature.append(x.shape)  # a NumPy scalar and a 0-d array share what was compiled
                signature.append(x.dtype)
        key = (spec, static, context_of(), *signature)
        try:
            entry = cache.get(key)
        except TypeError as error:
            if isinstance(error, FnetsError):
                raise
            key = (tree.ByEquality(spec), *key[1:])
            entry = cache.get(key)
        if entry is not None:
            hits += 1
            return entry, leaves, traced
        entry = compile_for(key, leaves)
        return entry, leaves, traced or bool(entry.hoisted)

    def compile_for(key: tuple, leaves: list) -> _Entry:
        nonlocal misses
        misses += 1
        if config.read("no_tracing"):
            raise RetraceError(
                f"[jit] expected {name} to be compiled for these arguments already, got a call that needs tracing, inside no_tracing. "
                "Call it once before, or look at what changed with fnets.explain_cache_misses()."
            )
        spec, static = key[:2]
        check_data("jit", leaves, lambda: leaf_names(function, spec, static))
        staged = staging.stage([typeof(x) for x in leaves], spec, static)
        if config.read("explain_cache_misses"):
            log_miss(function, name, key, list(cache), bool(staged.hoisted))
        if staged.hoisted:
            return _Entry(staged.jaxpr, _never, staged.out_spec, staged.hoisted)
        if config.read("no_execution"):  # part of the key: such an entry is found inside of the block alone
            run = functools.partial(_refused, name)
        else:
            run = compiled(staged.jaxpr, backend, own_outputs=True, donated=staged.donated)
        entry = _Entry(staged.jaxpr, run, staged.out_spec, ())
        if len(cache) >= config.read("jit_cache_size"):
            cache.pop(next(iter(cache)), None)
        cache[key] = entry
        if len(cache) == config.read("retrace_warning"):
            warn_of_retraces(function, name, list(cache))
        return entry

    @functools.wraps(function)
    def jitted(*args: Any, **kwargs: Any) -> Any:
        if context_of()[0]:
            return function(*args, **kwargs)
        try:
            entry, leaves, traced = lookup(args, kwargs)
            if traced:
                out = jit_p.bind(*entry.hoisted, *leaves, jaxpr=entry.jaxpr, name=name, backend=backend)
            else:
                out = entry.run(*leaves)
        except Exception as error:
            trim_traceback(error)
            raise
        spec = entry.out_spec
        return out[0] if spec is leaf_spec else unflatten(spec, out)

    def cache_info() -> CacheInfo:
        """Hits and misses of this function, and the size of the cache that it shares with others jitted from the same one."""
        return CacheInfo(hits, misses, config.read("jit_cache_size"), len(cache))

    def clear_cache() -> None:
        """Forget everything that was compiled."""
        nonlocal hits, misses
        hits = misses = 0
        cache.clear()

    @public
    def trace(*args: Any, **kwargs: Any) -> Traced:
        """The function staged for these arguments, or for `ShapeDtypeStruct`s."""
        return Traced(staging, *staging.arguments(args, kwargs))

    @public
    def lower(*args: Any, **kwargs: Any) -> Lowered:
        """The function staged for these arguments, ready to be compiled."""
        return trace(*args, **kwargs).lower()

    @public
    def eval_shape(*args: Any, **kwargs: Any) -> Any:
        """The shapes and dtypes of the result, without computing anything."""
        return trace(*args, **kwargs).out_info

    for attribute in (cache_info, clear_cache, trace, lower, eval_shape):
        setattr(jitted, attribute.__name__, attribute)
    jitted._cache_size = lambda: len(cache)  # type: ignore[attr-defined]
    return jitted


def _refused(name: str, *args: Any) -> list:
    raise ExecutionError(
        f"[jit] expected {name} to be traced only, got a call on values, inside no_execution. Move it out of the block, or ask for "
        "shapes with fnets.eval_shape."
    )


def _never(*args: Any) -> list:
    raise AssertionError("a jaxpr with operands of an outer transformation runs through bind")
