"""What a traced value can do: every operator, method and property of an `ndarray`, attached to `Tracer` here. May import the rest of `fnets.numpy`.

Nothing here changes a value in place: `x[i] = v`, `x.fill(v)` and the like raise an error that names the functional way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fnets.core.trace import Tracer, check_alive
from fnets.errors import ArgumentError, ConcretizationTypeError, DTypeError, ImmutableArrayError
from fnets.numpy import (
    arithmetic,
    creation,
    linear,
    logic,
    manipulation,
    mathematics,
    reductions,
    reordering,
    searching,
    sorting,
)
from fnets.numpy.arguments import as_dtype
from fnets.numpy.indexing import at, getitem, take
from fnets.primitives import elementwise as e
from fnets.primitives.base import convert
from fnets.primitives.shape import bitcast_convert_type

_OPERANDS = (Tracer, np.ndarray, bool, int, float, complex, np.generic)


def _operand(x: Any) -> Any:
    """An operand that is no array: lists as NumPy takes them, array-likes as arrays; NotImplemented for the rest."""
    if isinstance(x, (list, tuple)) or hasattr(x, "__array__"):
        return np.asarray(x)
    return NotImplemented


def _binary(apply: Callable) -> tuple[Callable, Callable]:
    """The method for `tracer op x` and the one for `x op tracer`."""

    def forward(self: Any, other: Any) -> Any:
        if not isinstance(other, _OPERANDS):
            other = _operand(other)
            if other is NotImplemented:
                return NotImplemented
        return apply(self, other)

    def backward(self: Any, other: Any) -> Any:
        if not isinstance(other, _OPERANDS):
            other = _operand(other)
            if other is NotImplemented:
                return NotImplemented
        return apply(other, self)

    return forward, backward


_OPERATORS = {
    "add": e.add,
    "sub": e.sub,
    "mul": e.mul,
    "truediv": e.div,
    "floordiv": e.floor_divide,
    "mod": e.remainder,
    "divmod": arithmetic.divmod,
    "matmul": linear.matmul,
    "and": e.bitwise_and,
    "or": e.bitwise_or,
    "xor": e.bitwise_xor,
    "lshift": e.shift_left,
    "rshift": e.shift_right,
}
_COMPARISONS = {"eq": e.eq, "ne": e.ne, "lt": e.lt, "le": e.le, "gt": e.gt, "ge": e.ge}
_UNARY = {
    "neg": arithmetic.negative,
    "pos": arithmetic.positive,
    "abs": arithmetic.absolute,
    "invert": logic.invert,
}


def _attach_operators() -> None:
    for name, apply in _OPERATORS.items():
        forward, backward = _binary(apply)
        setattr(Tracer, f"__{name}__", forward)
        setattr(Tracer, f"__r{name}__", backward)
    for name, apply in _COMPARISONS.items():
        setattr(Tracer, f"__{name}__", _binary(apply)[0])
    for name, apply in _UNARY.items():
        setattr(Tracer, f"__{name}__", apply)
    forward, backward = _binary(e.power)

    def power(self: Any, other: Any, modulo: Any = None) -> Any:
        if modulo is not None:
            raise ArgumentError("[pow] expected two arguments, got a modulus. Write (x ** y) % modulus.")
        return forward(self, other)

    Tracer.__pow__, Tracer.__rpow__ = power, backward
    Tracer.__round__ = lambda self, ndigits=None: arithmetic.round(self, ndigits or 0)
    for name in ("floor", "ceil", "trunc"):
        setattr(Tracer, f"__{name}__", getattr(arithmetic, name))


# ------------------------------------------------------------------ indexing and iteration


def _iterate(self: Any) -> Iterator:
    if not self.shape:
        raise TypeError("iteration over a 0-d array")
    return iter(manipulation.unstack(self))


def _setitem(self: Any, index: Any, value: Any) -> None:
    raise ImmutableArrayError(
        f"[setitem] expected an array that can be written to, got {self._told()}: traced values do not change. "
        "Write x = x.at[index].set(value), or fnets.numpy.at(x)[index].set(value) on any array."
    )


def _contains(self: Any, value: Any) -> bool:
    return bool(reductions.any(e.eq(self, value)))


# ------------------------------------------------------------------ methods


def _values(self: Any, asked: str) -> Any:
    """The concrete value, unless taking it would cut a derivative."""
    fix = "Return it from the transformed function, and convert it there."
    value = self._value_for(ConcretizationTypeError, asked, fix)
    if self.owner.differentiates and self.dtype.kind in "fc":
        raise ConcretizationTypeError(
            f"[{asked}] expected a value that carries no derivative, got {self._told()}: Python numbers carry none. "
            "Use fnets.lax.stop_gradient(x) first if that is meant."
        )
    return value


def _astype(
    self: Any, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
) -> Any:
    dtype = as_dtype(dtype)
    if casting != "unsafe" and not np.can_cast(self.dtype, dtype, casting):
        raise DTypeError(
            f"[astype] expected a cast that is {casting}, got {self.dtype.name} to {dtype}. Leave casting out."
        )
    return convert(self, dtype)


def _shape_arguments(shape: tuple) -> Any:
    return shape[0] if len(shape) == 1 else shape


def _reshape(self: Any, *shape: Any, order: str = "C", copy: Any = None) -> Any:
    return manipulation.reshape(self, _shape_arguments(shape), order)


def _transpose(self: Any, *axes: Any) -> Any:
    return manipulation.transpose(self, (_shape_arguments(axes) or None) if axes else None)


def _item(self: Any, *index: Any) -> Any:
    value = _values(self, "item")
    return np.asarray(value).item(*index)


def _byteswap(self: Any) -> Any:
    """The elements with their bytes in the other order."""
    if self.dtype.kind == "c":
        return e.complex_(_byteswap(e.real(self)), _byteswap(e.imag(self)))
    if self.dtype.itemsize == 1:
        return self
    return bitcast_convert_type(reordering.flip(bitcast_convert_type(self, np.uint8), -1), self.dtype)


def _view(self: Any, dtype: Any = None, type: Any = None) -> Any:
    if dtype is None:
        return self
    dtype = as_dtype(dtype)
    if self.dtype == dtype:
        return self
    wide, narrow = dtype.itemsize, self.dtype.itemsize
    if wide == narrow:
        return bitcast_convert_type(self, dtype)
    if not self.shape:
        raise ArgumentError(
            f"[view] expected an array with an axis to view {self.dtype.name} as {dtype.name}, got one without."
        )
    if wide < narrow:
        return manipulation.reshape(bitcast_convert_type(self, dtype), (*self.shape[:-1], -1))
    return bitcast_convert_type(manipulation.reshape(self, (*self.shape[:-1], -1, wide // narrow)), dtype)


def _format(self: Any, spec: str) -> str:
    value = self.concrete() if self.owner.alive else None
    return (
        repr(self)
        if value is None
        else format(value.item() if spec and np.ndim(value) == 0 and hasattr(value, "item") else value, spec)
    )


def _refuse(name: str, fix: str) -> Callable:
    def method(self: Any, *args: Any, **kwargs: Any) -> None:
        raise ImmutableArrayError(
            f"[{name}] expected no change in place of {self._told()}: traced values do not change. {fix}"
        )

    return method


def _block_until_ready(self: Any) -> Any:
    check_alive(self)
    return self


def _namespace(self: Any, *, api_version: str | None = None) -> Any:
    return _namespace_module[0]


_namespace_module: list = [None]


def set_namespace(module: Any) -> None:
    """Tell `__array_namespace__` which module it is; called once by `fnets.numpy` itself."""
    _namespace_module[0] = module


_METHODS: dict[str, Callable] = {
    "all": reductions.all,
    "any": reductions.any,
    "argmax": reductions.argmax,
    "argmin": reductions.argmin,
    "argpartition": sorting.argpartition,
    "argsort": sorting.argsort,
    "astype": _astype,
    "block_until_ready": _block_until_ready,
    "choose": lambda self, choices, out=None, mode="raise": searching.choose(self, choices, out, mode),
    "clip": arithmetic.clip,
    "compress": lambda self, condition, axis=None, out=None: searching.compress(condition, self, axis, out),
    "conj": mathematics.conjugate,
    "conjugate": mathematics.conjugate,
    "copy": lambda self, order="C": creation.copy(self),
    "cumprod": reductions.cumprod,
    "cumsum": reductions.cumsum,
    "diagonal": linear.diagonal,
    "dot": linear.dot,
    "fill": _refuse("fill", "Use fnets.numpy.full_like(x, value)."),
    "flatten": manipulation.ravel,
    "item": _item,
    "max": reductions.max,
    "mean": reductions.mean,
    "min": reductions.min,
    "nonzero": searching.nonzero,
    "partition": sorting.partition,
    "prod": reductions.prod,
    "ptp": reductions.ptp,
    "put": _refuse("put", "Use x = x.at[indices].set(values) on the raveled array."),
    "ravel": manipulation.ravel,
    "repeat": reordering.repeat,
    "reshape": _reshape,
    "resize": _refuse("resize", "Use fnets.numpy.resize(x, shape)."),
    "round": arithmetic.round,
    "searchsorted": sorting.searchsorted,
    "sort": sorting.sort,
    "squeeze": manipulation.squeeze,
    "std": reductions.std,
    "sum": reductions.sum,
    "swapaxes": manipulation.swapaxes,
    "take": take,
    "to_device": lambda self, device, *, stream=None: self,
    "tolist": lambda self: np.asarray(_values(self, "tolist")).tolist(),
    "trace": linear.trace,
    "transpose": _transpose,
    "var": reductions.var,
    "byteswap": _byteswap,
    "view": _view,
    "__array_namespace__": _namespace,
    "__contains__": _contains,
    "__copy__": lambda self: self,
    "__deepcopy__": lambda self, memo: self,
    "__format__": _format,
    "__getitem__": getitem,
    "__iter__": _iterate,
    "__setitem__": _setitem,
    "__delitem__": _refuse("delitem", "Use fnets.numpy.delete(x, index)."),
}
_PROPERTIES: dict[str, Callable] = {
    "T": lambda self: manipulation.transpose(self),
    "mT": lambda self: manipulation.matrix_transpose(self),
    "at": at,
    "device": lambda self: "cpu",
    "flat": manipulation.ravel,
    "imag": mathematics.imag,
    "itemsize": lambda self: self.dtype.itemsize,
    "nbytes": lambda self: self.size * self.dtype.itemsize,
    "real": mathematics.real,
}


def _attach_methods() -> None:
    for name, function in _METHODS.items():
        if name not in Tracer.__dict__:
            setattr(Tracer, name, function)
    for name, function in _PROPERTIES.items():
        summary = (function.__doc__ or "").partition("\n")[0]  # its example needs the function's own module
        setattr(Tracer, name, property(function, doc=summary))


_attach_operators()
_attach_methods()
