"""The edge between the user's code and a transformation: tracebacks that leave it show the user's frames alone. May import config, errors, source.

A bare `raise` after the traceback was replaced adds no frame of its own, and `try` costs nothing until something is raised. With
`FNETS_TRACEBACK=full` (or `fnets.config.update("traceback", "full")`) everything is shown.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from fnets import config
from fnets.errors import FnetsError, TracerArrayConversionError
from fnets.source import add_location, describe_location, without_library_frames

_F = TypeVar("_F", bound=Callable)


def trim_traceback(error: BaseException) -> None:
    """Take library frames out of the tracebacks of an exception and of those behind it; name the line if generated code raised it.

    NumPy hides what a traced value said when it is written into an ordinary array (`a[i] = x`): that is raised instead.

    >>> trim_traceback(ValueError("x"))
    """
    hidden = error.__cause__
    if isinstance(hidden, FnetsError) and str(error) == "setting an array element with a sequence.":
        told = TracerArrayConversionError(
            f"[setitem] expected an ordinary number to write into a NumPy array, got a traced value. Write a = fnets.numpy.at(a)[i].set(x) "
            f"instead of a[i] = x, or put arrays together with fnets.numpy.stack.\n  at {describe_location(hidden.where)}"
        )
        told.where = hidden.where
        raise told.with_traceback(without_library_frames(error.__traceback__)) from None
    add_location(error)
    if config.read("traceback") == "full":
        return
    seen: set[int] = set()
    behind: BaseException | None = error
    while behind is not None and id(behind) not in seen:
        seen.add(id(behind))
        behind.__traceback__ = without_library_frames(behind.__traceback__)
        behind = behind.__cause__ or (None if behind.__suppress_context__ else behind.__context__)


def public(function: _F) -> _F:
    """Decorator for public functions that call the user's: what they raise passes through `trim_traceback`.

    >>> public(len)("abc")
    3
    """

    @functools.wraps(function)
    def at_edge(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            trim_traceback(error)
            raise

    return at_edge  # type: ignore[return-value]
