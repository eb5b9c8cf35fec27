"""NumPy's own functions on traced values: `np.sin(x)`, `np.sum(x)`, `ndarray + x`, `np.add.reduce(x)` run the function of the same name here.

May import the rest of `fnets.numpy`. `set_functions` is called once by `fnets.numpy/__init__`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.core.trace import Tracer
from fnets.errors import ArgumentError, ImmutableArrayError
from fnets.numpy import arithmetic, linear, logic, mathematics, reductions
from fnets.numpy.arguments import as_dtype, as_type
from fnets.numpy.ufuncs import BinaryMethods

_NAMES = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "floor_divide",
    "remainder",
    "fmod",
    "divmod",
    "power",
    "float_power",
    "negative",
    "positive",
    "absolute",
    "fabs",
    "sign",
    "reciprocal",
    "square",
    "sqrt",
    "cbrt",
    "hypot",
    "gcd",
    "lcm",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "heaviside",
    "floor",
    "ceil",
    "trunc",
    "rint",
    "modf",
    "frexp",
    "ldexp",
    "copysign",
    "nextafter",
    "spacing",
    "signbit",
    "equal",
    "not_equal",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "isfinite",
    "isinf",
    "isnan",
    "logical_and",
    "logical_or",
    "logical_xor",
    "logical_not",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "invert",
    "left_shift",
    "right_shift",
    "bitwise_count",
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "logaddexp",
    "logaddexp2",
    "sin",
    "cos",
    "tan",
    "arcsin",
    "arccos",
    "arctan",
    "arctan2",
    "sinh",
    "cosh",
    "tanh",
    "arcsinh",
    "arccosh",
    "arctanh",
    "deg2rad",
    "rad2deg",
    "conjugate",
    "matmul",
    "vecdot",
    "matvec",
    "vecmat",
]
_HOMES = (arithmetic, logic, mathematics, linear)
_UFUNCS: dict[np.ufunc, Callable] = {
    getattr(np, name): next(getattr(m, name) for m in _HOMES if hasattr(m, name))
    for name in _NAMES
    if hasattr(np, name)
}
_UFUNCS[np.degrees], _UFUNCS[np.radians] = mathematics.degrees, mathematics.radians
_GENERALISED = ("matmul", "vecdot", "matvec", "vecmat")
_REDUCE: dict[str, Callable] = {
    "add": reductions.sum,
    "multiply": reductions.prod,
    "maximum": reductions.max,
    "minimum": reductions.min,
    "logical_and": reductions.all,
    "logical_or": reductions.any,
    "logaddexp": reductions.logsumexp,
}
_ACCUMULATE: dict[str, Callable] = {
    "add": reductions.cumsum,
    "multiply": reductions.cumprod,
    "maximum": reductions.cummax,
    "minimum": reductions.cummin,
}
_IGNORED = ("casting", "order", "subok")
_IN_PLACE = ("put", "place", "put_along_axis", "fill_diagonal", "copyto", "putmask")


def _unsupported(name: str, why: str) -> ArgumentError:
    return ArgumentError(f"[{name}] expected a NumPy function that can be traced, got {name}: {why}")


def _methods_of(ufunc: np.ufunc, function: Callable) -> BinaryMethods:
    name = ufunc.__name__
    special = {k: table[name] for k, table in (("reduce", _REDUCE), ("accumulate", _ACCUMULATE)) if name in table}
    return BinaryMethods(function, name, ufunc.identity, **special)


_METHODS: dict[np.ufunc, BinaryMethods] = {
    u: _methods_of(u, f) for u, f in _UFUNCS.items() if u.nin == 2 and u.nout == 1 and u.__name__ not in _GENERALISED
}


def _call(self: Any, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """`Tracer.__array_ufunc__`."""
    name = ufunc.__name__
    out = kwargs.pop("out", None)
    if out is not None and any([o is not None for o in out]):
        raise ArgumentError(
            f"[{name}] expected no array to write a traced value into, got out= (or an operation in place such as a += x). "
            "Arrays of the outside do not change while tracing: write a = a + x."
        )
    function = _UFUNCS.get(ufunc)
    if function is None:
        raise _unsupported(f"np.{name}", "it is not among the functions of fnets.numpy. Compose it of those.")
    for option in _IGNORED:
        kwargs.pop(option, None)
    if method in ("reduce", "accumulate", "reduceat") and ufunc in _METHODS:
        return getattr(_METHODS[ufunc], method)(*inputs, **kwargs)
    if method not in ("__call__", "outer"):
        raise _unsupported(
            f"np.{name}.{method}",
            "this method is not supported on traced values. Use fnets.numpy.at(x)[i].add, or segment sums.",
        )
    where, dtype = kwargs.pop("where", True), kwargs.pop("dtype", None)
    if where is not True:
        raise ArgumentError(
            f"[{name}] expected no where=, got a mask. Use fnets.numpy.where(mask, np.{name}(x), otherwise)."
        )
    inputs = tuple([np.asarray(x) if isinstance(x, (list, tuple)) else x for x in inputs])
    if dtype is not None:
        inputs = tuple([as_type(x, as_dtype(dtype)) for x in inputs])
    if method == "outer":
        return _METHODS[ufunc].outer(*inputs)
    if kwargs and name not in _GENERALISED:
        raise ArgumentError(
            f"[{name}] expected no further options on a traced value, got {', '.join(kwargs)}. Leave them out."
        )
    return function(*inputs, **kwargs)


# ------------------------------------------------------------------ functions

_namespace: list = [None]
_functions: dict[Callable, Callable | None] = {}


def set_functions(module: Any) -> None:
    """Which module answers for NumPy; its `linalg` and `fft` answer for those."""
    _namespace[0] = module


def _lookup(func: Callable) -> Callable | None:
    home = func.__module__.removeprefix("numpy").removeprefix(".").split(".")[0]
    module = _namespace[0] if home in ("", "lib") else getattr(_namespace[0], home, None)
    found = getattr(module, func.__name__, None)
    return None if found is func else found


def _function(self: Any, func: Callable, types: Any, args: tuple, kwargs: dict) -> Any:
    """`Tracer.__array_function__`."""
    if func.__name__ in _IN_PLACE:
        raise ImmutableArrayError(
            f"[{func.__name__}] expected no function that writes into its argument, got np.{func.__name__} of {self._told()}. "
            "Use fnets.numpy.where, or x.at[index].set(values)."
        )
    try:
        function = _functions[func]
    except KeyError:
        function = _functions[func] = _lookup(func)
    if function is None:
        home = func.__module__.replace("numpy", "np", 1)
        raise _unsupported(
            f"{home}.{func.__name__}",
            "fnets.numpy has no function of this name. Compose it of those it has, compute it outside of the transformed function, or "
            "give it a derivative with fnets.custom_vjp.",
        )
    if kwargs and any([v is np._NoValue for v in kwargs.values()]):
        kwargs = {k: v for k, v in kwargs.items() if v is not np._NoValue}
    try:
        return function(*args, **kwargs)
    except TypeError as error:
        if (
            "unexpected keyword argument" in str(error)
            and error.__traceback__ is not None
            and error.__traceback__.tb_next is None
        ):
            raise ArgumentError(
                f"[{func.__name__}] {error}: this option of np.{func.__name__} is not supported on traced values. Leave it out."
            ) from None
        raise


Tracer.__array_ufunc__ = _call  # type: ignore[attr-defined]
Tracer.__array_function__ = _function  # type: ignore[attr-defined]


def _attach_ufunc_methods() -> None:
    """`fnp.add.reduce`, `fnp.add.nin` and the like, as NumPy's ufuncs have."""
    for ufunc, function in _UFUNCS.items():
        function.nin, function.nout, function.nargs, function.identity = (
            ufunc.nin,
            ufunc.nout,
            ufunc.nin,  # without `out`, which is refused
            ufunc.identity,
        )
    for ufunc, methods in _METHODS.items():
        for name in ("reduce", "accumulate", "outer", "at", "reduceat"):
            setattr(_UFUNCS[ufunc], name, getattr(methods, name))
    for ufunc, function in _UFUNCS.items():
        if ufunc.nin == ufunc.nout == 1:
            function.at = BinaryMethods(
                function, ufunc.__name__
            ).at  # the one method that functions of one argument have


_attach_ufunc_methods()
