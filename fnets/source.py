"""Where the user's own code is: lines, scopes, and tracebacks without library frames. May import nothing of fnets.

A library frame may speak for a line of the user's: the loop that runs a jaxpr speaks for the equation that it is at, a pullback for the
operation that made it, a line of generated code for the equation that it was written for.
"""

from __future__ import annotations

import contextlib
import functools
import linecache
import os
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import CodeType, FrameType, TracebackType
from typing import Any, NamedTuple, TypeVar

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_LIBRARY_ROOTS: list[str] = [_HERE]
_LIBRARY_FILES = ("functools.py", "contextlib.py", "threading.py", "<frozen")
_is_library: dict[str, bool] = {}
_speakers: dict[CodeType, Callable[[FrameType], Any]] = {}
_files_of_speakers: set[str] = set()  # asked first, since it takes long to hash code
_scope: ContextVar[str] = ContextVar("fnets_scope", default="")

_AnyCallable = TypeVar("_AnyCallable", bound=Callable)

GENERATED = "<fnets jit"  # file names of generated code start with this; its globals hold LINES
LINES = "_lines"  # line number -> Location


class Location(NamedTuple):
    """A line of the user's code, the `named_scope`s around it, and on the way back the primitive whose derivative is computed.

    >>> Location("/a/model.py", 3, "loss").line
    3
    """

    file: str
    line: int
    function: str
    scope: str = ""
    backward: str = ""


def hide_frames_of(directory: str) -> None:
    """Treat files below `directory` as library code when looking for the user's line.

    >>> hide_frames_of("/nowhere/vendored")
    """
    _LIBRARY_ROOTS.append(directory.rstrip(os.sep) + os.sep)
    _is_library.clear()


def is_library(filename: str) -> bool:
    """True for files of fnets, NumPy, and the standard library's wrappers of functions.

    >>> is_library(__file__), is_library("/home/me/train.py")
    (True, False)
    """
    known = _is_library.get(filename)
    if known is None:
        if filename.startswith(GENERATED):
            return True  # not remembered: every module has a name of its own
        known = _is_library[filename] = (
            filename.startswith((*_LIBRARY_ROOTS, "<frozen", "<__array_function__"))
            or filename.endswith(_LIBRARY_FILES)
            or f"{os.sep}numpy{os.sep}" in filename
        )
    return known


def speaks_for(function: Callable, where: Callable[[FrameType], Any]) -> None:
    """Let frames of `function` stand for the location that `where(frame)` gives, unless it gives None.

    `function` must be fnets' own, or in a folder told to `hide_frames_of`.

    >>> speaks_for(is_library, lambda frame: None)
    """
    _speakers[function.__code__] = where
    _files_of_speakers.add(function.__code__.co_filename)


def user_location() -> Location | None:
    """The user's line that is running now: that of the innermost frame which is neither fnets' nor NumPy's.

    >>> isinstance(user_location().line, int)
    True
    """
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        filename = code.co_filename
        library = _is_library.get(filename)
        if library is None:  # seldom: this runs for every equation that is staged
            library = is_library(filename)
            if filename.startswith(GENERATED):
                where = frame.f_globals[LINES].get(frame.f_lineno)
                if where is not None:
                    return where
        if not library:
            return Location(filename, frame.f_lineno, code.co_name, _scope.get())
        if filename in _files_of_speakers and code in _speakers:
            where = _speakers[code](frame)
            if where is not None:
                return where
        frame = frame.f_back
    return None


def describe_location(where: tuple | None) -> str:
    """`model.py:12 in loss: y = x @ w`, the file without its folders.

    >>> describe_location(("/a/b/model.py", 3, "loss"))
    'model.py:3 in loss'
    """
    if where is None:
        return "an unknown place"
    file, line, function, scope, backward = Location(*where)
    source = linecache.getline(file, line).strip()
    text = f"{os.path.basename(file)}:{line} in {function}"
    if scope:
        text += f" [{scope}]"
    if backward:
        text += f" (backward of {backward})"
    return f"{text}: {source}" if source else text


@contextlib.contextmanager
def named_scope(name: str) -> Iterator[None]:
    """Context manager and decorator: name a part of a program. Jaxprs with sources, errors and profiles show the name.

    It costs nothing where the program is already compiled; scopes nest as `outer/inner`.

    >>> import fnets
    >>> import fnets.numpy as fnp
    >>> @named_scope("encoder")
    ... def encode(x):
    ...     return fnp.tanh(x)
    >>> fnets.make_jaxpr(encode)(1.0).eqns[0].where.scope
    'encoder'
    """
    outer = _scope.get()
    token = _scope.set(f"{outer}/{name}" if outer else name)
    try:
        yield
    finally:
        _scope.reset(token)


def named_call(fun: _AnyCallable, *, name: str | None = None) -> _AnyCallable:
    """A function that runs in a `named_scope` of its own name, or of another.

    >>> import fnets
    >>> import fnets.numpy as fnp
    >>> fnets.make_jaxpr(named_call(fnp.tanh, name="squash"))(1.0).eqns[0].where.scope
    'squash'
    """
    scope = name or getattr(fun, "__name__", type(fun).__name__)

    @functools.wraps(fun)
    def named(*args: Any, **kwargs: Any) -> Any:
        with named_scope(scope):
            return fun(*args, **kwargs)

    return named  # type: ignore[return-value]


def without_library_frames(traceback: TracebackType | None) -> TracebackType | None:
    """A traceback that keeps the frames of the user's code alone.

    >>> try:
    ...     import fnets; fnets.grad(lambda x: x.no_such_method())(1.0)
    ... except AttributeError as error:
    ...     t = without_library_frames(error.__traceback__)
    >>> t.tb_next.tb_frame.f_code.co_name, t.tb_next.tb_next
    ('<lambda>', None)
    """
    kept = []
    while traceback is not None:
        if not is_library(traceback.tb_frame.f_code.co_filename):
            kept.append(traceback)
        traceback = traceback.tb_next
    out = None
    for t in reversed(kept):
        out = TracebackType(out, t.tb_frame, t.tb_lasti, t.tb_lineno)
    return out


def generated_location(traceback: TracebackType | None) -> Location | None:
    """The user's line behind the innermost frame of generated code in a traceback.

    >>> generated_location(None)
    """
    found = None
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_filename.startswith(GENERATED):
            found = frame.f_globals[LINES].get(traceback.tb_lineno) or found
        traceback = traceback.tb_next
    return found


def add_location(error: BaseException) -> None:
    """Give an exception that is not fnets' own, and that generated code raised, a note with the user's line.

    >>> add_location(ValueError("x"))
    """
    if not hasattr(error, "where"):
        where = generated_location(error.__traceback__)
        note = f"  at {describe_location(where)}"
        if where is not None and note not in getattr(error, "__notes__", ()):
            error.add_note(note)
