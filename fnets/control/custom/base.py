"""What functions with rules of their own share: flat callables as parameters, staging, arguments by position. May import transforms, operands."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from fnets.core.ir import Jaxpr
from fnets.core.primitive import Primitive
from fnets.core.trace import Tracer, typeof
from fnets.errors import ArgumentError, ShapeError, TreeStructureError, UnexpectedTracerError
from fnets.primitives.base import move_dim
from fnets.transforms.staging import check_callable, innermost_staging, name_of, stage, stage_closed
from fnets.transforms.vmap import vmap_flat


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


def declare(name: str) -> Primitive:
    """A primitive that runs its parameter `jaxpr`: a flat callable while values are known, a jaxpr once staged.

    Its first `num_consts` operands are what the function closed over when it was staged; the rules do not see them.
    """
    prim = Primitive(name, kind="call", multi=True)
    prim.impl = lambda *args, jaxpr, **params: list(jaxpr(*args))
    prim.abstract = _abstract
    prim.rules["stage"] = _stage_params
    return prim


def bind_call(prim: Primitive, operands: Sequence[Any], **params: Any) -> list:
    """Apply a primitive whose function may close over traced values.

    Inside a function that is being staged it is staged there, whatever its operands are: the values closed over may be of that function.
    """
    inner = innermost_staging()
    if inner is not None and inner.alive and all([x.owner.id < inner.id for x in operands if isinstance(x, Tracer)]):
        return inner.process(prim, tuple(operands), params)
    return prim.bind(*operands, **params)


def refuse_closure(name: str, num_consts: int, given: Sequence[bool]) -> None:
    """Raise if a value that the function closes over is differentiated: the rule knows nothing of it."""
    if any(given[:num_consts]):
        raise UnexpectedTracerError(
            f"[{name}] expected the function to depend on differentiated values through its arguments alone, got one that it closes over. "
            "Pass that value as an argument."
        )


def check_results(name: str, which: str, outs: Sequence[Any], jaxpr: Any) -> None:
    """Raise unless a rule's results have the types of the function's; those are known once it has been staged."""
    if not isinstance(jaxpr, Jaxpr):
        return
    want, got = jaxpr.out_avals, [typeof(o) for o in outs]
    for a, b in zip(want, got):
        if a.shape != b.shape or (a.dtype != b.dtype and not (a.weak_type or b.weak_type)):
            raise ShapeError(
                f"[{name}] expected the {which} rule to return an output of type {a.str_short()}, as the function, got {b.str_short()}."
            )
    if len(want) != len(got):
        raise TreeStructureError(
            f"[{name}] expected the {which} rule to return an output of {len(want)} arrays, as the function, got {len(got)}."
        )


def batched_function(jaxpr: Any, dims: Sequence[int | None], size: int) -> Rule:
    """The function on arguments with batch dimensions; its results have theirs in front."""

    def call(*args: Any) -> list:
        return [move_dim(v, d, 0, size) for v, d in vmap_flat(jaxpr, args, dims, size)]

    return Rule(call, getattr(jaxpr, "__name__", "vmap"))


def to_front(vals: Sequence[Any], dims: Sequence[int | None], size: int) -> tuple[list, list[int | None]]:
    """Operands with their batch dimensions in front."""
    moved = [v if d is None else move_dim(v, d, 0, size) for v, d in zip(vals, dims)]
    return moved, [None if d is None else 0 for d in dims]


# ------------------------------------------------------------------ the user's function


def signature_of(fun: Callable) -> inspect.Signature | None:
    """The signature of a function, None where it has none to be found (built-in functions).

    >>> str(signature_of(lambda x, y=1: x))
    '(x, y=1)'
    """
    try:
        return inspect.signature(fun)
    except (TypeError, ValueError):
        return None


def bind_arguments(fun: Callable, signature: inspect.Signature | None, args: tuple, kwargs: dict) -> tuple:
    """All arguments by position, defaults filled in."""
    if signature is None:
        if kwargs:
            raise ArgumentError(f"[{name_of(fun)}] expected arguments by position, got keywords {sorted(kwargs)}.")
        return args
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise ArgumentError(
            f"[{name_of(fun)}] expected arguments that fit {name_of(fun)}{signature}, got: {error}."
        ) from None
    bound.apply_defaults()
    unplaced = sorted(set(bound.kwargs) & set(kwargs))
    if unplaced:
        raise ArgumentError(
            f"[{name_of(fun)}] expected arguments that can be passed by position, got keyword-only {unplaced}."
        )
    return bound.args


def _resolve_nondiff(fun: Callable, argnums: Any, argnames: Any) -> tuple[int, ...]:
    argnums = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    argnames = (argnames,) if isinstance(argnames, str) else tuple(argnames)
    if not argnames:
        return argnums
    names = list(inspect.signature(fun).parameters)
    unknown = [n for n in argnames if n not in names]
    if unknown:
        raise ArgumentError(f"[{name_of(fun)}] expected nondiff_argnames out of {names}, got {unknown}.")
    return tuple(sorted({*argnums, *[names.index(n) for n in argnames]}))


class Custom:
    """What custom_vjp and custom_jvp share: a callable that behaves as the function it decorates, also as a method."""

    def __init__(
        self,
        fun: Callable,
        nondiff_argnums: int | Sequence[int] = (),
        nondiff_argnames: str | Sequence[str] = (),
    ):
        check_callable(type(self).__name__, fun)
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.nondiff_argnums = _resolve_nondiff(fun, nondiff_argnums, nondiff_argnames)
        self.signature = signature_of(fun)
        self.symbolic_zeros = False

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __getattr__(self, name: str) -> Any:
        if name == "fun":  # not there yet, while being built or copied
            raise AttributeError(name)
        return getattr(self.fun, name)

    def split(self, args: tuple) -> tuple[list, tuple]:
        """Arguments that are not differentiated, and those that are."""
        n = len(args)
        fixed = {i % n for i in self.nondiff_argnums if -n <= i < n}
        return [args[i] for i in sorted(fixed)], tuple([a for i, a in enumerate(args) if i not in fixed])

    def merge(self, static: Sequence, dynamic: Sequence) -> list:
        """The inverse of `split`."""
        n = len(static) + len(dynamic)
        fixed = sorted({i % n for i in self.nondiff_argnums if -n <= i < n})
        it, s = iter(dynamic), dict(zip(fixed, static))
        return [s[i] if i in s else next(it) for i in range(n)]
