"""Backends: a jaxpr becomes a callable. Lives here: the registry, and the memo of what was compiled. May import core, config.

A backend is one function `compile(jaxpr, own_outputs, donated) -> callable(*flat_arguments) -> list of flat results`. It may assume that the
jaxpr is well typed, must run primitives that it does not know by their `impl`, and may overwrite no argument but the donated ones. The backend
"interpreter" runs equation by equation, without passes; it is what `debug_nans` and `debug_infs` use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnets import config
from fnets.backends.numpy_codegen import compile_numpy
from fnets.core.ir import Jaxpr, eval_jaxpr, weak_memo
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
        outs = eval_jaxpr(jaxpr, args)
        return [o.copy() if type(o) is np.ndarray else o for o in outs] if own_outputs else outs

    return run


_backends: dict[str, Callable[..., Callable]] = {"numpy": compile_numpy, "interpreter": interpret}


def register_backend(name: str, compile: Callable[..., Callable]) -> None:
    """Make `jit(backend=name)` and `FNETS_BACKEND=name` use `compile`.

    >>> register_backend("numpy", compile_numpy)
    """
    _backends[name] = compile


def backend_names() -> list[str]:
    """The registered backends.

    >>> "numpy" in backend_names()
    True
    """
    return sorted(_backends)


def check_backend(name: str) -> None:
    """Raise unless a backend of this name is registered."""
    if name not in _backends:
        raise UnknownBackendError(
            f"[jit] expected a backend out of {', '.join(backend_names())}, got {name!r}. Set backend='numpy'."
        )


@weak_memo
def _compiled(jaxpr: Jaxpr, backend: str, own_outputs: bool, donated: tuple[int, ...]) -> Callable:
    check_backend(backend)
    return _backends[backend](jaxpr, own_outputs, donated)


def compiled(
    jaxpr: Jaxpr, backend: str | None = None, own_outputs: bool = False, donated: tuple[int, ...] = ()
) -> Callable[..., list]:
    """The callable for a jaxpr, compiled once for as long as the jaxpr lives.

    own_outputs: results share no memory with arguments or each other (what a user gets); donated: arguments that may be overwritten.
    """
    here, debug_nans, debug_infs = config.trace_context()[3:]
    if debug_nans or debug_infs:
        backend = "interpreter"
    return _compiled(jaxpr, here if backend is None else backend, own_outputs, donated)
