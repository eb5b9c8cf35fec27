"""What every function of `fnets.numpy` does with its arguments. Lives here: array-likes to arrays, `out=` refused, values that must be known.

May import core, primitives, errors, config.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from operator import index as operator_index
from typing import Any

import numpy as np

from fnets.config import default_complex, default_float
from fnets.core.avals import PYTHON_SCALARS, is_float
from fnets.core.trace import Tracer, dtype_of, is_weak, shape_of, typeof
from fnets.errors import ArgumentError, ConcretizationTypeError, DTypeError
from fnets.primitives.base import arr, convert, reshape
from fnets.primitives.elementwise import broadcast_shapes, mul, select
from fnets.primitives.shape import stack

_LISTS = frozenset((list, tuple))
_SCALARS = frozenset(PYTHON_SCALARS)
_NOT_NUMBERS = "OSUVMm"


class _ArrayMeta(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, (np.ndarray, Tracer))


class Array(metaclass=_ArrayMeta):
    """The type of arrays, for `isinstance` and annotations: NumPy's own arrays, and the values that stand for them while tracing.

    >>> isinstance(np.zeros(2), Array), isinstance(2.0, Array)
    (True, False)
    """


def to_array(x: Any) -> Any:
    """An array, tracer or NumPy scalar from what a user passed: a number becomes a 0-d array of the default dtype, a list what NumPy makes of it.

    >>> to_array(1.0).dtype, to_array([1.0, 2.0]).dtype
    (dtype('float32'), dtype('float64'))
    """
    if type(x) is np.ndarray:
        return x
    return from_nested(x) if x.__class__ in _LISTS else arr(x)


def _leaves(x: Iterable) -> Iterable:
    for item in x:
        if isinstance(item, (list, tuple)):
            yield from _leaves(item)
        else:
            yield item


def default_dtype_of(kind: str) -> np.dtype | None:
    """The dtype of an array made from Python numbers of this kind, None where it is NumPy's own choice."""
    return default_float() if kind == "f" else default_complex() if kind == "c" else None


def from_nested(x: Sequence, dtype: np.dtype | None = None) -> Any:
    """An array from nested lists of numbers and arrays; Python numbers are weak beside arrays."""
    kinds = set(map(type, x))
    leaves = x
    if not kinds.isdisjoint(_LISTS):
        leaves = list(_leaves(x))
        kinds = set(map(type, leaves))
    if dtype is None and not kinds <= _SCALARS:
        dtype = result_dtype(*leaves)
    if not any([issubclass(k, Tracer) for k in kinds]):
        try:
            out = np.array(x, dtype)
        except (ValueError, TypeError) as error:
            raise ArgumentError(
                f"[array] expected nested lists of one shape, got lists that differ: {error}."
            ) from None
        if out.dtype.kind in _NOT_NUMBERS and not is_float(out.dtype):  # bfloat16 has NumPy's kind of raw bytes
            raise ArgumentError(
                f"[array] expected numbers, got {str(x)[:60]}. Strings and objects cannot be put into an array."
            )
        return out
    return stack([as_type(v, dtype) for v in x])


def as_type(x: Any, dtype: Any) -> Any:
    """An array of this dtype; Python numbers are converted directly, without a detour through the default float."""
    if x.__class__ in _LISTS:
        return from_nested(x, dtype)
    return convert(x if is_weak(x) else to_array(x), dtype)


def is_python_data(x: Sequence) -> bool:
    """True for nested lists of Python numbers alone.

    >>> is_python_data([1, [2.0]]), is_python_data([np.float32(1)])
    (True, False)
    """
    kinds = set(map(type, x))
    return kinds <= _SCALARS if kinds.isdisjoint(_LISTS) else set(map(type, _leaves(x))) <= _SCALARS


def strong_dtype_of_weak(values: Sequence) -> np.dtype:
    """The dtype of an array made of Python scalars alone."""
    dtype = np.result_type(*values)
    return default_dtype_of(dtype.kind) or dtype


def as_dtype(dtype: Any) -> np.dtype | None:
    """A `dtype=` argument as a NumPy dtype; None stays None.

    >>> as_dtype("float32")
    dtype('float32')
    """
    if dtype is None:
        return None
    try:
        return np.dtype(dtype)
    except TypeError:
        raise DTypeError(f"[dtype] expected a dtype such as 'float32' or fnets.numpy.int64, got {dtype!r}.") from None


def refuse_out(op: str, out: Any) -> None:
    """Raise if `out=` was given: arrays are never written to."""
    if out is not None:
        raise ArgumentError(
            f"[{op}] expected no out=, got an array to write to: functions here never change arrays. Write a = {op}(...)."
        )


def known(x: Any, op: str, what: str) -> Any:
    """The concrete value of an argument that decides a shape; an error that names it when only its type is known."""
    if not isinstance(x, Tracer):
        return x
    return x._value_for(
        ConcretizationTypeError,
        op,
        f"{what} decides the result's shape: make it static with static_argnums/static_argnames.",
    )


def known_int(x: Any, op: str, what: str) -> int:
    """An integer argument that decides a shape."""
    return operator_index(known(x, op, what))


def static_shape(shape: Any, op: str) -> tuple[int, ...]:
    """A shape argument (an int, ints, or an array of them) as a tuple of ints; an error if it is not known while tracing."""
    if type(shape) is tuple and all([type(n) is int for n in shape]):
        return shape
    if isinstance(shape, (int, np.integer)):
        return (int(shape),)
    if isinstance(shape, (np.ndarray, Tracer)):
        shape = np.asarray(known(shape, op, "The shape")).ravel().tolist()
    return tuple([known_int(n, op, "The shape") for n in shape])


def is_known(*xs: Any) -> bool:
    """True if none of the values is traced.

    >>> is_known(1, np.zeros(2))
    True
    """
    return not any([isinstance(x, Tracer) for x in xs])


def item_type(x: Any) -> Any:
    """What stands for an operand in `np.result_type`: its dtype, or a Python zero for a weak one."""
    if is_weak(x):
        return typeof(x).dtype.type(0).item()
    return x.dtype if isinstance(x, (np.ndarray, Tracer, np.generic)) else dtype_of(to_array(x))


def result_dtype(*xs: Any) -> np.dtype:
    """NumPy's promotion of arrays and Python scalars; of Python scalars alone, the default dtype.

    >>> result_dtype(np.float32(1), 2.0)
    dtype('float32')
    """
    dtype = np.result_type(*map(item_type, xs))
    return strong_dtype_of_weak([dtype.type(0)]) if all([is_weak(x) for x in xs]) else dtype


def to_inexact(x: Any) -> Any:
    """An array of a float or complex dtype: integers and bools become float64, as in NumPy's means and divisions."""
    x = to_array(x)
    return convert(x, np.float64) if dtype_of(x).kind in "iub" else x


def weak_inexact(x: Any) -> Any:
    """As `to_inexact`, but Python numbers stay Python numbers (weak), as floats."""
    if is_weak(x):
        return mul(x, 1.0) if dtype_of(x).kind in "iub" else x
    return to_inexact(x)


def operands(*xs: Any) -> list:
    """Arrays; a Python number takes the dtype that it has beside the others."""
    return promoted(*xs) if any([type(x) is not np.ndarray and is_weak(x) for x in xs]) else [to_array(x) for x in xs]


def pair(a: Any, b: Any) -> tuple[Any, Any]:
    """As `operands`, for two."""
    if type(a) is not np.ndarray and is_weak(a) or type(b) is not np.ndarray and is_weak(b):
        return tuple(promoted(a, b))
    return (a if type(a) is np.ndarray else to_array(a)), (b if type(b) is np.ndarray else to_array(b))


def promoted(*xs: Any) -> list:
    """Arrays of one dtype."""
    dtype = result_dtype(*xs)
    return [as_type(x, dtype) for x in xs]


def promoted_inexact(*xs: Any) -> list:
    """Arrays of one float or complex dtype."""
    dtype = result_dtype(*xs)
    if dtype.kind in "iub":
        dtype = np.dtype(np.float64)
    return [as_type(x, dtype) for x in xs]


def common_shape(op: str, *xs: Any) -> tuple[int, ...]:
    """The shape that several arrays broadcast to."""
    return broadcast_shapes(op, *map(shape_of, xs))


def operand(x: Any) -> Any:
    """An operand of an elementwise operation: lists become arrays, Python numbers stay weak."""
    return from_nested(x) if x.__class__ in _LISTS else x


def fill_where(where: Any, x: Any, value: Any) -> Any:
    """`x` with `value` where the mask is False; the mask broadcasts against `x`."""
    return select(to_array(where), x, value)


def flat(x: Any) -> Any:
    """One-dimensional, in C order."""
    shape = shape_of(x)
    if len(shape) == 1:
        return x
    size = 1
    for n in shape:
        size *= n
    return reshape(x, (size,))


def elementwise(apply: Callable) -> Callable[[Callable], Callable]:
    """Give a declaration (signature and docstring) its body: call `apply`, after turning lists into arrays."""

    def unary(x: Any, /) -> Any:
        return apply(from_nested(x) if x.__class__ in _LISTS else x)

    def binary(x1: Any, x2: Any, /) -> Any:
        if x1.__class__ in _LISTS:
            x1 = from_nested(x1)
        if x2.__class__ in _LISTS:
            x2 = from_nested(x2)
        return apply(x1, x2)

    def declare(declaration: Callable) -> Callable:
        return functools.wraps(declaration)(unary if declaration.__code__.co_argcount == 1 else binary)

    return declare
