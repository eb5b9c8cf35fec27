"""One class per cause of failure. Lives here: every exception fnets raises, and the search for the user's own line. May import nothing of fnets.

Each class derives from the built-in exception that NumPy or JAX would raise for the same cause, so `except ValueError`
and ported `except` clauses keep working. The message always reads `[operation] expected ..., got ...`, then one fix, then
the user's own file and line, which the base class finds by itself.
"""

from __future__ import annotations

import linecache
import os
import sys
from types import FrameType

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_LIBRARY_ROOTS: list[str] = [_HERE]
_LIBRARY_FILES = ("functools.py", "contextlib.py", "threading.py", "<frozen")
_is_library: dict[str, bool] = {}


def hide_frames_of(directory: str) -> None:
    """Treat files below `directory` as library code when looking for the user's line.

    >>> hide_frames_of("/nowhere/vendored")
    """
    _LIBRARY_ROOTS.append(directory.rstrip(os.sep) + os.sep)
    _is_library.clear()


def _library(filename: str) -> bool:
    known = _is_library.get(filename)
    if known is None:
        known = _is_library[filename] = (
            filename.startswith((*_LIBRARY_ROOTS, "<fnets", "<frozen", "<__array_function__"))
            or filename.endswith(_LIBRARY_FILES)
            or f"{os.sep}numpy{os.sep}" in filename
        )
    return known


def user_frame() -> FrameType | None:
    """The innermost frame that is neither fnets' nor NumPy's, or None.

    >>> user_frame() is not None
    True
    """
    frame = sys._getframe(1)
    while frame is not None and _library(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def user_location() -> tuple[str, int, str] | None:
    """`(file, line, function)` of the user's code that is running now.

    >>> isinstance(user_location()[1], int)
    True
    """
    frame = user_frame()
    return None if frame is None else (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def describe_location(where: tuple[str, int, str] | None) -> str:
    """`file.py:12 in loss: y = x @ w`, shortened to the file's name.

    >>> describe_location(("/a/b/model.py", 3, "loss"))
    'model.py:3 in loss'
    """
    if where is None:
        return "an unknown place"
    file, line, function = where
    source = linecache.getline(file, line).strip()
    text = f"{os.path.basename(file)}:{line} in {function}"
    return f"{text}: {source}" if source else text


class FnetsError(Exception):
    """Base of every error that fnets raises; appends the user's own line to the message.

    >>> "boom" in str(FnetsError("boom"))
    True
    """

    def __init__(self, message: str = "", *rest: object):
        where = user_location()
        self.where = where
        if where is not None and "\n  at " not in message:
            message = f"{message}\n  at {describe_location(where)}"
        super().__init__(message, *rest)


class ShapeError(FnetsError, TypeError, ValueError):
    """Operand shapes do not fit the operation.

    Wrong: `fnp.ones((3, 4)) @ fnp.ones((3, 4))`. Right: `fnp.ones((3, 4)) @ fnp.ones((3, 4)).T`.

    >>> issubclass(ShapeError, ValueError)
    True
    """


class DTypeError(FnetsError, TypeError):
    """The operation is not defined for this dtype.

    Wrong: `grad(f)(3)`, an integer. Right: `grad(f)(3.0)`.

    >>> issubclass(DTypeError, TypeError)
    True
    """


class ArgumentError(FnetsError, TypeError, ValueError):
    """An argument has a wrong value, kind or number.

    Wrong: `grad(f, argnums=2)(x)` for a function of one argument. Right: `grad(f, argnums=0)(x)`.

    >>> issubclass(ArgumentError, ValueError)
    True
    """


class AxisError(FnetsError, ValueError, IndexError):
    """An axis is out of range or named twice.

    Wrong: `fnp.sum(fnp.ones((2, 3)), axis=2)`. Right: `axis=1` or `axis=-1`.

    >>> issubclass(AxisError, IndexError)
    True
    """


class IndexingError(FnetsError, IndexError, TypeError):
    """An index is out of range or of a kind that cannot index.

    Wrong: `fnp.arange(5)[7]`. Right: an index below 5, or `fnp.at(x)[7].get(mode="clip")`.

    >>> issubclass(IndexingError, IndexError)
    True
    """


class TreeStructureError(FnetsError, ValueError, TypeError):
    """Two pytrees that must have the same structure differ; the message names the first differing path.

    Wrong: `tree.map(f, {"a": 1}, {"b": 1})`. Right: the same keys in both.

    >>> issubclass(TreeStructureError, ValueError)
    True
    """


class ConcretizationTypeError(FnetsError, TypeError):
    """A concrete value was asked of an array whose value is not known while tracing.

    Wrong: `jit(lambda n: fnp.zeros(n))(3)`. Right: `jit(f, static_argnums=0)(3)`.

    >>> issubclass(ConcretizationTypeError, TypeError)
    True
    """


class TracerBoolConversionError(ConcretizationTypeError):
    """`if x:` (or `and`, `or`, `not`, `while`) on a value that is abstract under `jit`, or batched under `vmap`.

    Wrong: `jit(lambda x: x if x > 0 else -x)`. Right: `jit(lambda x: fnp.where(x > 0, x, -x))` or `lax.cond`.

    >>> issubclass(TracerBoolConversionError, ConcretizationTypeError)
    True
    """


class TracerIntegerConversionError(FnetsError, TypeError):
    """`range(n)`, `lst[n]` or `int(n)` on an abstract value.

    Wrong: `jit(lambda n: list(range(n)))(3)`. Right: `jit(f, static_argnums=0)(3)`.

    >>> issubclass(TracerIntegerConversionError, TypeError)
    True
    """


class TracerArrayConversionError(FnetsError, TypeError):
    """Code outside fnets asked for the memory of a traced array.

    Wrong: `jit(lambda x: float(np.asarray(x).sum()))`. Right: `jit(lambda x: x.sum())`, NumPy functions on `x` trace by themselves.

    >>> issubclass(TracerArrayConversionError, TypeError)
    True
    """


class NonConcreteBooleanIndexError(FnetsError, IndexError):
    """A boolean mask that is not known while tracing cannot index: the result's shape would depend on values.

    Wrong: `jit(lambda x: x[x > 0])`. Right: `jit(lambda x: fnp.where(x > 0, x, 0))`.

    >>> issubclass(NonConcreteBooleanIndexError, IndexError)
    True
    """


class UnexpectedTracerError(FnetsError, TypeError):
    """A traced value was used after the transformation that made it had ended.

    Wrong: storing an intermediate in a global inside a function that `grad` or `jit` transforms. Right: return it (`has_aux=True`).

    >>> issubclass(UnexpectedTracerError, TypeError)
    True
    """


class ImmutableArrayError(FnetsError, TypeError):
    """A traced array was assigned to in place.

    Wrong: `x[0] = 1.0`. Right: `x = x.at[0].set(1.0)`, or `fnp.at(x)[0].set(1.0)` on any array.

    >>> issubclass(ImmutableArrayError, TypeError)
    True
    """


class UnboundAxisError(FnetsError, NameError):
    """A collective or `axis_index` names an axis that no `vmap` around it has.

    Wrong: `lax.psum(x, "i")` outside. Right: `vmap(lambda x: lax.psum(x, "i"), axis_name="i")(xs)`.

    >>> issubclass(UnboundAxisError, NameError)
    True
    """


class MissingRuleError(FnetsError, TypeError):
    """A primitive has no rule for this transformation.

    >>> issubclass(MissingRuleError, TypeError)
    True
    """


class JaxprTypeError(FnetsError, TypeError):
    """A jaxpr is not well formed; an invariant of fnets, or of a third party's rule, is broken.

    >>> issubclass(JaxprTypeError, TypeError)
    True
    """


class UnknownBackendError(FnetsError, ValueError):
    """`jit(backend=...)` or `FNETS_BACKEND` names a backend that is not registered.

    >>> issubclass(UnknownBackendError, ValueError)
    True
    """


class DataError(FnetsError, ValueError):
    """A data file is missing, truncated, corrupted or not what it should be.

    >>> issubclass(DataError, ValueError)
    True
    """


class CheckpointError(FnetsError, ValueError):
    """A saved file does not hold what was asked of it, or is damaged.

    >>> issubclass(CheckpointError, ValueError)
    True
    """


class MissingExtraError(FnetsError, ImportError):
    """An optional dependency is not installed; the message names the extra.

    >>> issubclass(MissingExtraError, ImportError)
    True
    """
