"""A function with jit's options: which arguments are static or donated, and how it is staged. May import core, backends, tree, errors, staging."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fnets import tree
from fnets.core.avals import ShapedArray
from fnets.core.ir import Jaxpr
from fnets.core.trace import Tracer
from fnets.errors import ArgumentError
from fnets.transforms.cache_misses import leaf_names
from fnets.transforms.staging import check_data, leaf_paths, name_of, stage


def positions_and_names(fun: Callable, argnums: Any, argnames: Any) -> tuple[tuple[int, ...], frozenset[str]]:
    """Positions and names of chosen arguments, each completed from the other by the function's signature."""
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


class Static:
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
        if type(other) is not Static or type(self.value) is not type(other.value):
            return False
        try:
            return bool(self.value == other.value)
        except Exception as error:
            raise ArgumentError(
                f"[jit] expected a static argument that can be compared with ==, got {type(self.value).__name__}, "
                f"whose __eq__ raised {type(error).__name__}: {error}."
            ) from error


def _freeze(c: Any) -> Any:
    """A constant captured while tracing, safe from later writes to the array it came from."""
    if type(c) is not np.ndarray or not c.flags.writeable:
        return c
    c = c.copy()
    c.flags.writeable = False
    return c


class Staged(NamedTuple):
    """A function staged for one signature. Values of outer transformations that it closes over are `hoisted`: leading operands of the jaxpr."""

    jaxpr: Jaxpr
    out_spec: Any
    hoisted: tuple
    donated: tuple[int, ...]


class Function:
    """A function and jit's options."""

    def __init__(
        self,
        fun: Callable,
        static: tuple[Any, Any],
        donate: tuple[Any, Any],
        backend: str | None,
    ):
        self.fun = fun
        self.name = name_of(fun)
        self.static_nums, self.static_names = positions_and_names(fun, *static)
        self.donate_nums, self.donate_names = positions_and_names(fun, *donate)
        self.backend = backend
        if set(self.static_nums) & set(self.donate_nums):
            raise ArgumentError(
                f"[jit] expected static and donated arguments to differ, got {self.static_nums} and {self.donate_nums}."
            )

    @property
    def options(self) -> tuple:
        """What a cache of compiled signatures depends on besides the function."""
        return self.static_nums, self.static_names, self.donate_nums, self.donate_names, self.backend

    def split_static(self, args: tuple, kwargs: dict) -> tuple[tuple, dict, tuple]:
        """Arguments without the static ones, and those as part of a cache key: their number, positions and names with values."""
        n = len(args)
        positions = {i % n for i in self.static_nums if -n <= i < n}
        dynamic = tuple([a for i, a in enumerate(args) if i not in positions])
        keywords = {k: v for k, v in kwargs.items() if k not in self.static_names}
        fixed = tuple([(i, Static(args[i], f"argument {i}")) for i in sorted(positions)])
        named = tuple([(k, Static(kwargs[k], f"argument {k!r}")) for k in sorted(kwargs) if k in self.static_names])
        return dynamic, keywords, (n, fixed, named)

    def arguments(self, args: tuple, kwargs: dict) -> tuple[list, Any, tuple | None]:
        """Leaves, structure and static part of a call's arguments; whatever has a shape and a dtype may stand for an array."""
        static = None
        if self.static_nums or self.static_names:
            args, kwargs, static = self.split_static(args, kwargs)
        leaves, spec = tree.flatten_spec((args, kwargs))
        check_data("jit", leaves, lambda: leaf_names(self.fun, spec, static), types=True)
        return leaves, spec, static

    def stage(self, avals: Sequence[ShapedArray], spec: Any, static: tuple | None) -> Staged:
        """Run the function on abstract values."""
        out_spec = None

        def flat(*tracers: Any) -> list:
            nonlocal out_spec
            args, kwargs = tree.unflatten_spec(spec, tracers)
            if static is not None:
                n, fixed, named = static
                values = dict(fixed)
                rest = iter(args)
                args = [values[i].value if i in values else next(rest) for i in range(n)]
                kwargs = {**kwargs, **{k: s.value for k, s in named}}
            out = self.fun(*args, **kwargs)
            outs, out_spec = tree.flatten_spec(out)
            check_data("jit", outs, lambda: [f"result{p}" for p in leaf_paths(out)])
            return outs

        jaxpr = stage(flat, avals, self.name)
        constants = list(zip(jaxpr.constvars, jaxpr.consts))
        hoisted = [(v, c) for v, c in constants if isinstance(c, Tracer)]
        kept = [(v, _freeze(c)) for v, c in constants if not isinstance(c, Tracer)]
        jaxpr = Jaxpr(
            [v for v, _ in kept],
            [c for _, c in kept],
            [*[v for v, _ in hoisted], *jaxpr.invars],
            jaxpr.eqns,
            jaxpr.outvars,
        )
        return Staged(jaxpr, out_spec, tuple([c for _, c in hoisted]), () if hoisted else self._donated(spec, static))

    def _donated(self, spec: Any, static: tuple | None) -> tuple[int, ...]:
        """The positions of donated leaves."""
        if not (self.donate_nums or self.donate_names):
            return ()
        args, kwargs = tree.unflatten_spec(spec, range(tree.num_leaves(spec)))
        fixed = dict(static[1]) if static is not None else {}
        positions = [i for i in range(len(args) + len(fixed)) if i not in fixed]
        chosen = [a for i, a in zip(positions, args) if i in self.donate_nums]
        chosen += [v for k, v in kwargs.items() if k in self.donate_names]
        return tuple(tree.leaves(chosen))
