"""Why a jitted function was compiled again: what differs from the nearest compiled signature. May import core, tree, config, source.

A signature, the key of jit's cache, is `(structure, static values, settings, *leaves)`; a leaf is its shape and its dtype, or the type of a
Python scalar, or an aval.
"""

from __future__ import annotations

import inspect
import logging
import weakref
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any, NamedTuple

from fnets import config, tree
from fnets.core.avals import ShapedArray
from fnets.errors import RetraceWarning, warn_user
from fnets.source import describe_location, user_location
from fnets.tree.differences import spec_differences

logger = logging.getLogger("fnets.jit")
_compiled_lines: weakref.WeakKeyDictionary[CodeType, int] = weakref.WeakKeyDictionary()


def explain_cache_misses(value: bool = True) -> Any:
    """Context manager: log, at every miss of a jitted function's cache, what differs from the nearest compiled signature, and your line.

    The log is `logging.getLogger("fnets.jit")`; `fnets.config.update("explain_cache_misses", True)` turns it on for good.

    >>> with explain_cache_misses():
    ...     config.read("explain_cache_misses")
    True
    """
    return config.using(explain_cache_misses=value)


class Call(NamedTuple):
    """What a cache key says, leaf by leaf."""

    spec: Any
    static: tuple
    context: tuple
    leaves: list


def _decode(key: tuple) -> Call:
    spec, static, context, *rest = key
    leaves: list[Any] = []
    it = iter(rest)
    for x in it:
        leaves.append(ShapedArray(x, next(it)) if type(x) is tuple else x)
    return Call(spec, static or (), context, leaves)


def positional_names(fun: Callable, count: int) -> list[str]:
    """The names of a function's first positional arguments, for messages.

    >>> positional_names(lambda x, *rest: x, 3)
    ['x', 'rest[0]', 'rest[1]']
    """
    try:
        parameters = list(inspect.signature(fun).parameters.values())
    except (ValueError, TypeError):
        parameters = []
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][:count]
    star = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    rest = range(len(named), count)
    return named + [f"argument {i}" if star is None else f"{star}[{i - len(named)}]" for i in rest]


def _dynamic_names(fun: Callable, static: tuple | None, count: int) -> list[str]:
    fixed = set() if not static else {i for i, _ in static[1]}
    names = positional_names(fun, count + len(fixed))
    return [name for i, name in enumerate(names) if i not in fixed]


def _path_name(path: Sequence[Any], names: Sequence[str]) -> str:
    """A path into `(args, kwargs)` as the user would write it."""
    if len(path) < 2:
        return "the arguments" if not path else "the keyword arguments" if path[0].idx else "the positional arguments"
    which, first, *rest = path
    head = str(first.key) if which.idx else names[first.idx]
    return head + tree.keystr(tuple(rest))


def leaf_names(fun: Callable, spec: Any, static: tuple | None) -> list[str]:
    """A name for each leaf of `(args, kwargs)`."""
    args_and_kwargs = tree.unflatten_spec(spec, [0] * tree.num_leaves(spec))
    names = _dynamic_names(fun, static, len(args_and_kwargs[0]))
    return [_path_name(path, names) for path, _ in tree.leaves_with_path(args_and_kwargs)]


def structure_differences(fun: Callable, static: tuple | None, a: Any, b: Any) -> list[tuple[str, str, str]]:
    """Where two structures of `(args, kwargs)` differ: the place, what the first has there, what the second has."""
    names = _dynamic_names(fun, static, max(len(s[2][0][2]) for s in (a, b)))
    return [(_path_name(path, names), has, had) for path, has, had, _ in spec_differences(a, b)]


def _told(leaf: Any) -> str:
    if isinstance(leaf, type):
        return f"a Python {leaf.__name__}"
    return leaf.str_short(short_dtypes=False) + (" (from a Python scalar)" if leaf.weak_type else "")


def _static_values(fun: Callable, static: tuple) -> dict[str, Any]:
    if not static:
        return {}
    count, fixed, named = static
    names = positional_names(fun, count)
    return {**{names[i]: s for i, s in fixed}, **dict(named)}


def differences(fun: Callable, new: tuple, old: tuple) -> list[str]:
    """What differs between two cache keys, in words."""
    a, b = _decode(new), _decode(old)
    out = []
    if a.spec != b.spec:
        for place, has, had in structure_differences(fun, a.static, a.spec, b.spec):
            out.append(f"another structure of {place}: {has}, before {had}")
    else:
        for name, x, y in zip(leaf_names(fun, a.spec, a.static), a.leaves, b.leaves):
            if x != y:
                out.append(f"{name} is {_told(x)}, before {_told(y)}")
    static_a, static_b = _static_values(fun, a.static), _static_values(fun, b.static)
    for name in dict.fromkeys([*static_a, *static_b]):
        x, y = static_a.get(name), static_b.get(name)
        if x != y:
            told = [repr(s.value)[:60] if s is not None else "not given" for s in (x, y)]
            out.append(f"static {name} is {told[0]}, before {told[1]}")
    for name, x, y in zip(config.CONTEXT, a.context, b.context):
        if x != y:
            out.append(f"setting {name} is {x}, before {y}")
    return out


def log_miss(fun: Callable, name: str, key: tuple, known: Sequence[tuple], hoisted: bool) -> None:
    """Log why `key` was not found among the `known` keys of a function's cache."""
    where = describe_location(user_location())
    code = getattr(fun, "__code__", None)
    if hoisted:
        why = "it closes over a value of a running transformation, so it is staged at every call: pass that value as an argument"
    elif known:
        told = min([differences(fun, key, k) for k in reversed(known)], key=len)
        why = "; ".join(told[:8]) + (f"; and {len(told) - 8} more" if len(told) > 8 else "")
    elif code is not None and _compiled_lines.get(code):
        why = (
            f"this is function object number {_compiled_lines[code] + 1} from {code.co_filename}:{code.co_firstlineno}, and each has a cache "
            "of its own: define the function once, outside of the loop"
        )
    else:
        why = "it has not been compiled before"
    if code is not None and not known and not hoisted:
        _compiled_lines[code] = _compiled_lines.get(code, 0) + 1
    logger.warning("[jit] compiling %s: %s.\n  at %s", name, why, where)


def warn_of_retraces(fun: Callable, name: str, keys: Sequence[tuple]) -> None:
    """Warn that a function has many compiled signatures; names what differs most among them."""
    calls = [_decode(k) for k in keys]
    values: dict[str, dict[Any, None]] = {}
    structures = dict.fromkeys(c.spec for c in calls)
    for c in calls:
        if c.spec == calls[-1].spec:
            for leaf, x in zip(leaf_names(fun, c.spec, c.static), c.leaves):
                values.setdefault(leaf, {})[_told(x)] = None
        for label, s in _static_values(fun, c.static).items():
            values.setdefault(f"static {label}", {})[repr(s.value)[:60]] = None
    if len(structures) > max([len(v) for v in values.values()], default=0):
        worst, seen, fix = "the arguments' structure", [str(tree.PyTreeDef(s)) for s in structures], ""
    else:
        worst = max(values, key=lambda k: len(values[k]))
        seen = list(values[worst])
        fix = (
            " Pass it as an array instead."
            if worst.startswith("static")
            else " Pad it to a few shapes, or keep its dtype the same."
        )
    message = (
        f"[jit] {name} has been compiled {len(keys)} times; what changes most is {worst}: {', '.join(seen[:4])}"
        f"{', ...' if len(seen) > 4 else ''}.{fix} fnets.explain_cache_misses() tells at each call; "
        f"fnets.config.update('retrace_warning', 0) silences this."
    )
    warn_user(message, RetraceWarning)
