"""Backends: a jaxpr becomes a callable. Lives here: the registry, and the memo of what was compiled. May import core, config.

A backend is one function `compile(jaxpr, own_outputs, donated) -> callable(*flat_arguments) -> list of flat results`. It may assume that the
jaxpr is well typed, must run primitives that it does not know by their `impl`, and may overwrite no argument but the donated ones. The backend
"interpreter" runs equation by equation, without passes; it is what `debug_nans` and `debug_infs` use. "auto", the default, is "llvm" where that
is possible and pays, and "numpy" elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnets import config
from fnets.backends.llvm import compile_auto, compile_llvm
from fnets.backends.numpy_codegen import compile_numpy
from fnets.core import checked
from fnets.core.ir import Jaxpr, eval_jaxpr, sub_jaxprs, weak_memo
from fnets.errors import UnknownBackendError


def interpret(jaxpr: Jaxpr, own_outputs: bool = False, donated: tuple[int, ...] = ()) -> Callable[..., list]:
    """A callable that runs a jaxpr equation by equation.

    >>> from fnets.core.ir import Var
    >>> from fnets.core.avals import ShapedArray
    >>> v = Var(ShapedArray((), "float32"))
    >>> interpret(Jaxpr((), (), [v], (), [v]))(1.0)
    [1.0]
    """
    jaxpr = jaxpr.replace()  # a memo keys on the jaxpr weakly: its value must not hold it

    def run(*args: Any) -> list:
        checked.refresh()
        outs = eval_jaxpr(jaxpr, args)
        return [o.copy() if type(o) is np.ndarray else o for o in outs] if own_outputs else outs

    return run


_backends: dict[str, Callable[..., Callable]] = {
    "auto": compile_auto,
    "numpy": compile_numpy,
    "llvm": compile_llvm,
    "interpreter": interpret,
}


def register_backend(name: str, compile: Callable[..., Callable]) -> None:
    """Make `jit(backend=name)` and `FNETS_BACKEND=name` use `compile`.

    >>> register_backend("numpy", compile_numpy)
    """
    _backends[name] = compile


def backend_names() -> list[str]:
    """The registered backends, but for those of fnets' own tools, whose names start with an underscore.

    >>> "numpy" in backend_names()
    True
    """
    return sorted([name for name in _backends if not name.startswith("_")])


def check_backend(name: str) -> None:
    """Raise unless a backend of this name is registered."""
    if name not in _backends:
        raise UnknownBackendError(
            f"[jit] expected a backend out of {', '.join(backend_names())}, got {name!r}. Set backend='numpy'."
        )


def compiler_of(name: str) -> Callable[..., Callable]:
    """The `compile` of a registered backend.

    >>> compiler_of("numpy") is compile_numpy
    True
    """
    check_backend(name)
    return _backends[name]


def memory_root(x: np.ndarray) -> int:
    """The identity of the array that owns an array's memory.

    >>> x = np.arange(6)
    >>> memory_root(x[2:].reshape(2, 2)) == memory_root(x)
    True
    """
    while x.base is not None and isinstance(x.base, np.ndarray):
        x = x.base
    return id(x)


def _with_safe_donation(run: Callable[..., list], donated: tuple[int, ...]) -> Callable[..., list]:
    """Copies donated arrays that must not be written to: read-only ones, and those whose memory another argument shares."""

    def guarded(*args: Any) -> list:
        roots = [memory_root(a) if type(a) is np.ndarray else None for a in args]
        safe = list(args)
        for k in donated:
            if roots[k] is not None and (not args[k].flags.writeable or roots.count(roots[k]) > 1):
                safe[k] = args[k].copy()
        return run(*safe)

    return _told_as(run, guarded)


def _all_inside(run: Callable[..., list], backend: str) -> Callable[..., list]:
    """Has loop bodies and branches, which are compiled when they first run, compiled by the same backend."""

    def inside(*args: Any) -> list:
        with config.using(backend=backend):
            return run(*args)

    return _told_as(run, inside)


def _told_as(run: Callable[..., list], wrapper: Callable[..., list]) -> Callable[..., list]:
    for told in ("source", "report"):
        setattr(wrapper, told, getattr(run, told, None))
    return wrapper


@weak_memo
def _compiled(jaxpr: Jaxpr, backend: str, own_outputs: bool, donated: tuple[int, ...], chosen: bool) -> Callable:
    check_backend(backend)
    run = _backends[backend](jaxpr, own_outputs, donated)
    if chosen and any([True for e in jaxpr.eqns for _ in sub_jaxprs(e.params)]):
        run = _all_inside(run, backend)
    return _with_safe_donation(run, donated) if donated else run


def compiled(
    jaxpr: Jaxpr, backend: str | None = None, own_outputs: bool = False, donated: tuple[int, ...] = ()
) -> Callable[..., list]:
    """The callable for a jaxpr, compiled once for as long as the jaxpr lives.

    own_outputs: results share no memory with arguments or each other (what a user gets); donated: arguments that may be overwritten.
    """
    here, debug_nans, debug_infs = config.trace_context()[3:6]
    if debug_nans or debug_infs:
        return _compiled(jaxpr, "interpreter", own_outputs, donated, False)
    return _compiled(jaxpr, backend or here, own_outputs, donated, backend is not None and backend != here)
