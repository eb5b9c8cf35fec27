"""Flags of fnets, read once from the environment. Lives here: every setting and its context manager. May import nothing of fnets but errors.

A setting changed by `update` holds for the whole process; one changed by a context manager holds for the current thread (or
task) until the block ends, also when it ends by an exception.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from fnets.errors import ArgumentError

_FLOATS = {"float16", "float32", "float64", "bfloat16"}
_COMPLEX = {"float16": "complex64", "bfloat16": "complex64", "float32": "complex64", "float64": "complex128"}
_UNSET: Any = object()


def _float_dtype(value: Any) -> np.dtype:
    dtype = np.dtype(value)
    if dtype.name not in _FLOATS:
        raise ArgumentError(
            f"[config] expected a float dtype for default_dtype, got {dtype}. Use 'float32' or 'float64'."
        )
    return dtype


def _one_of(*names: str):
    def check(value: Any) -> str:
        if value not in names:
            raise ArgumentError(f"[config] expected one of {', '.join(names)}, got {value!r}.")
        return value

    return check


def _flag(value: Any) -> bool:
    if isinstance(value, str):
        return value.lower() in ("1", "true", "yes", "on")
    return bool(value)


# name -> (checker, default); the environment variable is FNETS_<NAME>
_SETTINGS: dict[str, tuple[Any, Any]] = {
    "default_dtype": (_float_dtype, "float32"),
    "promotion": (_one_of("numpy", "warn", "strict"), "numpy"),
    "backend": (str, "auto"),
    "check_jaxprs": (_flag, False),
    "debug_nans": (_flag, False),
    "debug_infs": (_flag, False),
    "jit_cache_size": (int, 4096),
    "disable_jit": (_flag, False),
    "explain_cache_misses": (_flag, False),
    "no_tracing": (_flag, False),
    "no_execution": (_flag, False),
    "allow_f16_reductions": (_flag, True),
    "fast_math": (
        _flag,
        False,
    ),  # native convolutions of 3x3 windows by F(4x4): about 1.6 times as fast, errors of about 1e-5
    "check_bounds": (_flag, False),  # native kernels check every load and store: for their tests, slow
    "retrace_warning": (int, 16),  # warn when a jitted function has been compiled this often; 0 never
    "traceback": (_one_of("filtered", "full"), "filtered"),
}
_values: dict[str, Any] = {k: check(os.environ.get(f"FNETS_{k.upper()}", d)) for k, (check, d) in _SETTINGS.items()}
_local: dict[str, ContextVar[Any]] = {k: ContextVar(f"fnets_{k}", default=_UNSET) for k in _SETTINGS}


_watchers: dict[str, Callable[[int], None]] = {}


def watch(name: str, changed: Callable[[int], None]) -> None:
    """Call `changed(1)` wherever a setting leaves its default, for a block or for the process, and `changed(-1)` where that ends.

    >>> seen = []
    >>> watch("explain_cache_misses", seen.append)
    >>> with using(explain_cache_misses=True): seen
    [1]
    """
    _watchers[name] = changed
    if _values[name] != _SETTINGS[name][1]:
        changed(1)


def _tell(name: str, before: Any, after: Any) -> None:
    changed = _watchers.get(name)
    default = _SETTINGS[name][1]
    if changed is not None and (before != default) != (after != default):
        changed(1 if after != default else -1)


def _normalise(name: str, value: Any) -> tuple[str, Any]:
    if name in ("jax_enable_x64", "enable_x64"):
        return "default_dtype", np.dtype("float64" if value else "float32")
    name = name.removeprefix("jax_")
    if name not in _SETTINGS:
        raise ArgumentError(f"[config] expected one of the settings {', '.join(sorted(_SETTINGS))}, got {name!r}.")
    return name, _SETTINGS[name][0](value)


CONTEXT = (
    "disable_jit",
    "default_dtype",
    "promotion",
    "backend",
    "debug_nans",
    "debug_infs",
    "no_execution",
    "allow_f16_reductions",
    "fast_math",
    "check_bounds",
)
_process_context = tuple([_values[k] for k in CONTEXT])
_overridden = False  # becomes True with the first `using` block, for good


def _context() -> tuple:
    return tuple([read(name) for name in CONTEXT])


def trace_context() -> tuple:
    """The settings that what is traced depends on: part of every cache key.

    >>> trace_context() == tuple([read(name) for name in CONTEXT])
    True
    """
    return _context() if _overridden else _process_context


def read(name: str) -> Any:
    """The value of a setting in force here.

    >>> read("promotion")
    'numpy'
    """
    value = _local[name].get()
    return _values[name] if value is _UNSET else value


def __getattr__(name: str) -> Any:
    """Settings as attributes under JAX's names: `config.jax_enable_x64`, `config.jax_debug_nans`."""
    if name == "jax_enable_x64":
        return default_float() == np.float64
    if name.removeprefix("jax_") not in _SETTINGS:
        raise AttributeError(f"module 'fnets.config' has no attribute {name!r}")
    return read(name.removeprefix("jax_"))


def update(name: str, value: Any) -> None:
    """Change a setting for the whole process. `jax_enable_x64` is understood as the default float dtype.

    >>> update("promotion", "numpy")
    """
    global _process_context
    name, value = _normalise(name, value)
    before, _values[name] = _values[name], value
    _tell(name, before, value)
    _process_context = tuple([_values[k] for k in CONTEXT])


@contextlib.contextmanager
def using(**settings: Any) -> Iterator[None]:
    """Change settings for the length of a `with` block, in this thread only.

    >>> with using(default_dtype="float64"):
    ...     default_float()
    dtype('float64')
    """
    global _overridden
    _overridden = True
    checked = [_normalise(k, v) for k, v in settings.items()]
    tokens = [(name, _local[name].set(value)) for name, value in checked]
    for name, value in checked:
        _tell(name, _SETTINGS[name][1], value)
    try:
        yield
    finally:
        for name, token in reversed(tokens):
            _local[name].reset(token)
        for name, value in checked:
            _tell(name, value, _SETTINGS[name][1])


def default_dtype(dtype: Any):
    """Context manager: the float dtype of arrays that fnets creates.

    >>> with default_dtype("float64"):
    ...     default_float().name
    'float64'
    """
    return using(default_dtype=dtype)


def enable_x64(value: bool = True):
    """Context manager under JAX's name: float64 as the default float dtype.

    >>> with enable_x64():
    ...     default_float().name
    'float64'
    """
    return using(default_dtype="float64" if value else "float32")


def debug_nans(value: bool = True):
    """Context manager: an operation that gives NaN raises `NonFiniteError`, also under jit and on the way back.

    >>> with debug_nans():
    ...     read("debug_nans")
    True
    """
    return using(debug_nans=value)


def debug_infs(value: bool = True):
    """Context manager: an operation that gives infinity raises `NonFiniteError`, also under jit and on the way back.

    >>> with debug_infs():
    ...     read("debug_infs")
    True
    """
    return using(debug_infs=value)


def disable_jit(disable: bool = True):
    """Context manager: jitted functions run as they are written, one operation after the other.

    >>> with disable_jit():
    ...     read("disable_jit")
    True
    """
    return using(disable_jit=disable)


def no_tracing(value: bool = True):
    """Context manager: a jitted function that would have to be compiled raises `RetraceError`.

    >>> with no_tracing():
    ...     read("no_tracing")
    True
    """
    return using(no_tracing=value)


def no_execution(value: bool = True):
    """Context manager: a jitted function may be traced, but raises `ExecutionError` where it would run.

    >>> with no_execution():
    ...     read("no_execution")
    True
    """
    return using(no_execution=value)


def allow_f16_reductions(value: bool = True):
    """Context manager: with False, a sum of float16 or bfloat16 elements raises `DTypeError`, to find where digits are lost.

    >>> with allow_f16_reductions(False):
    ...     read("allow_f16_reductions")
    False
    """
    return using(allow_f16_reductions=value)


def enable_checks(value: bool = True):
    """Context manager: check every jaxpr that is made.

    >>> with enable_checks():
    ...     read("check_jaxprs")
    True
    """
    return using(check_jaxprs=value)


_default_dtype_here = _local["default_dtype"]


def default_float() -> np.dtype:
    """The float dtype of arrays that fnets creates when no dtype is given.

    >>> default_float()
    dtype('float32')
    """
    value = _default_dtype_here.get()
    return _values["default_dtype"] if value is _UNSET else value


def default_complex() -> np.dtype:
    """The complex dtype that goes with `default_float`.

    >>> default_complex()
    dtype('complex64')
    """
    return np.dtype(_COMPLEX[default_float().name])
