"""Checks on values inside transformed code: `error_if`, and `checkify`, which turns errors into results. May import transforms, config, control.operands."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets import config, tree
from fnets.control.operands import any_traced, flatten_arguments
from fnets.core.trace import dtype_of
from fnets.errors import ArgumentError, CheckError, NonFiniteError
from fnets.transforms.staging import EffectPrimitive, check_callable, innermost_staging, staging_token

error_if_p = EffectPrimitive("error_if")  # operands: a token, the predicate, values for the message


def _impl(token: Any, pred: Any, *values: Any, message: str, spec: Any) -> list:
    bad = np.asarray(pred)
    if bad.any():
        text = message
        if spec is not None:
            args, kwargs = tree.unflatten_spec(spec, values)
            text = message.format(*args, **kwargs)
        count = f" (true for {np.count_nonzero(bad)} of {bad.size})" if bad.ndim else ""
        raise CheckError(f"[error_if] {text}{count}")
    return []


def _vjp(active: Sequence[int], *operands: Any, **params: Any) -> tuple[list, None]:
    return error_if_p.bind(*operands, **params), None


error_if_p.impl = _impl
error_if_p.abstract = lambda *avals, message, spec: []
error_if_p.jvp = lambda primals, tangents, **params: (error_if_p.bind(*primals, **params), [])
error_if_p.vjp = _vjp
error_if_p.batch = lambda size, vals, dims, **params: (error_if_p.bind(*vals, **params), [])


def error_if(x: Any, pred: Any, msg: str, *args: Any, **kwargs: Any) -> Any:
    """`x`, unless `pred` holds when the program runs: then a `CheckError`. Works under jit, vmap, grad and in loops.

    Args:
      x: any tree; returned as it is.
      pred: a boolean or an array of booleans; one true element is enough. A value that is batched by vmap raises if it holds for one example.
      msg: what to say; with further arguments, a format string for `str.format` with their values.

    Raises:
      CheckError: when the program runs, naming the line of this call.

    >>> import fnets
    >>> f = fnets.jit(lambda x: error_if(x, x < 0, "expected x >= 0, got {}", x) ** 0.5)
    >>> f(4.0)
    2.0
    >>> f(-4.0)
    Traceback (most recent call last):
    fnets.errors.CheckError: [error_if] expected x >= 0, got -4.0
      at ...
    """
    if dtype_of(pred).kind not in "biuf":
        raise ArgumentError(f"[error_if] expected a boolean or an array of them, got dtype {dtype_of(pred).name}.")
    values, spec = flatten_arguments("error_if", (args, kwargs)) if args or kwargs else ([], None)
    error_if_p.bind(staging_token(), pred, *values, message=str(msg), spec=spec)
    return x


class Error:
    """The first result of a checked function: what went wrong, or nothing.

    >>> Error(None).get() is None
    True
    """

    def __init__(self, exception: Exception | None):
        self.exception = exception

    def get(self) -> str | None:
        """The message, or None if all went well."""
        return None if self.exception is None else str(self.exception)

    def throw(self) -> None:
        """Raise the error, if there is one."""
        if self.exception is not None:
            raise self.exception

    def __repr__(self) -> str:
        return f"Error({self.get()})"


def checkify(fun: Callable, errors: Sequence[type[Exception]] = (CheckError,)) -> Callable:
    """A function that returns `(error, result)` instead of raising errors of the given kinds; the result is None when there is one.

    Args:
      fun: function of pytrees; it may be jitted and differentiated inside. `checkify` itself goes outside: `checkify(jit(f))`.
      errors: which errors: `CheckError` (from `error_if`), `NonFiniteError` (this turns `debug_nans` on inside), `IndexingError`, or any other.

    >>> import fnets
    >>> checked = checkify(fnets.jit(lambda x: error_if(x, x < 0, "negative")))
    >>> checked(1.0)
    (Error(None), 1.0)
    >>> error, result = checked(-1.0)
    >>> error.get().split("]")[1].split("  at")[0].strip(), result
    ('negative', None)
    """
    check_callable("checkify", fun)
    kinds = tuple(errors)

    @functools.wraps(fun)
    def checked(*args: Any, **kwargs: Any) -> tuple[Error, Any]:
        if innermost_staging() is not None or any_traced(tree.leaves((args, kwargs))):
            raise ArgumentError(
                "[checkify] expected to be the outermost transformation, got a traced call. Write checkify(jit(f)), not jit(checkify(f))."
            )
        finite = any(issubclass(NonFiniteError, kind) for kind in kinds)
        try:
            with config.using(debug_nans=True) if finite else contextlib.nullcontext():
                return Error(None), fun(*args, **kwargs)
        except kinds as error:
            return Error(error), None

    return checked
