"""Named axes: what `axis_name` of vmap puts in force, and collectives look up. May import core, errors.

An axis is a piece of data: its token is the traced array of positions along it, an int32 scalar to the function that is mapped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from fnets.core.trace import Tracer
from fnets.errors import UnboundAxisError

_axes: ContextVar[Mapping[Any, tuple[Tracer, int]]] = ContextVar("fnets_axes", default=MappingProxyType({}))


@contextmanager
def named_axes(axes: Mapping[Any, tuple[Tracer, int]]) -> Iterator[None]:
    """Put axes in force, as pairs of token and length by name.

    >>> with named_axes({}):
    ...     pass
    """
    reset = _axes.set({**_axes.get(), **axes})
    try:
        yield
    finally:
        _axes.reset(reset)


def axis_token(name: Any) -> tuple[Any, int]:
    """The token and the length of a named axis; a `NameError` if nothing around here has it."""
    try:
        return _axes.get()[name]
    except KeyError:
        raise UnboundAxisError(
            f"[axis] expected an axis name of a running vmap, got {name!r}: unbound axis name: {name}. Write vmap(f, axis_name={name!r})(x)."
        ) from None
