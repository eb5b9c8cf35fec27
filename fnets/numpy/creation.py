"""Making arrays: `zeros`, `arange`, `linspace`, `eye`, `array`, ... May import arguments, arithmetic, primitives, config.

Python floats and missing dtypes become the default float (float32 unless changed), integers int64. What depends on a traced value
is computed from it, so `linspace(a, b)` and `full(shape, x)` differentiate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index as operator_index
from typing import Any

import numpy as np

from fnets.config import default_float
from fnets.core.avals import ShapeDtypeStruct
from fnets.core.trace import Tracer, dtype_of, is_weak, shape_of, typeof
from fnets.errors import ArgumentError, DTypeError
from fnets.numpy.arguments import (
    as_dtype,
    as_type,
    default_dtype_of,
    from_nested,
    is_known,
    is_python_data,
    known,
    known_int,
    result_dtype,
    to_array,
)
from fnets.primitives import elementwise as e
from fnets.primitives.base import arr, broadcast_to, convert, zeros_of
from fnets.primitives.shape import concatenate, expand_dims, moveaxis, reshape_dims
from fnets.primitives.shape import copy as _copy

__all__ = [
    "arange", "array", "asarray", "astype", "copy", "empty", "empty_like", "eye", "from_dlpack", "frombuffer",
    "fromfunction", "fromiter", "fromstring", "full", "full_like", "geomspace", "identity", "indices", "linspace",
    "logspace", "meshgrid", "ones", "ones_like", "tri", "zeros", "zeros_like",
]  # fmt: skip

# ------------------------------------------------------------------ from data


def asarray(
    a: Any, dtype: Any = None, order: str | None = None, *, copy: bool | None = None, device: Any = None
) -> Any:
    """An array of numbers, nested lists, or anything with `__array__`, `__dlpack__` or the buffer protocol; an array is returned as it is.

    Args:
      a: data; nested lists may contain traced values.
      dtype: of the result. By default an array keeps its own, Python floats become the default float, integers int64.
      order: accepted and ignored.
      copy: True copies always, False raises where a copy would be needed, None copies only if needed.
      device: accepted and ignored.

    Raises:
      ArgumentError: lists of unequal lengths, strings, or other objects.

    >>> asarray([1.0, 2.0])
    array([1., 2.], dtype=float32)
    """
    dtype = as_dtype(dtype)
    if isinstance(a, np.ndarray):
        out = _native(a) if dtype is None or a.dtype == dtype else convert(_native(a), dtype)
    elif isinstance(a, Tracer):
        out = arr(a) if dtype is None else convert(a, dtype)
    elif isinstance(a, (list, tuple)):
        if dtype is None and is_python_data(a):
            out = from_nested(a)
            default = default_dtype_of(dtype_of(out).kind)
            out = out if default is None else convert(out, default)
        else:
            out = from_nested(a, dtype)
    else:
        out = _from_object(a, dtype)
    if copy is False and out is not a:
        raise ArgumentError(
            f"[asarray] expected data that needs no copy with copy=False, got {type(a).__name__}. Leave copy out."
        )
    if not copy:
        return out
    if isinstance(out, Tracer):
        return _copy(out) if out is a else out
    return out.copy() if isinstance(a, np.ndarray) and np.may_share_memory(out, a) else out


def _native(a: np.ndarray) -> np.ndarray:
    return a if type(a) is np.ndarray else np.asarray(a)


def _from_object(a: Any, dtype: np.dtype | None) -> Any:
    if is_weak(a):
        return convert(a, dtype) if dtype else arr(a)
    try:
        out = np.from_dlpack(a) if hasattr(a, "__dlpack__") and not hasattr(a, "__array__") else np.asarray(a)
    except (ValueError, TypeError) as error:
        raise ArgumentError(
            f"[array] expected numbers, nested lists or an array-like, got {type(a).__name__}: {error}."
        ) from None
    if out.dtype.kind in "OSU":
        raise ArgumentError(
            f"[array] expected numbers, nested lists or an array-like, got {type(a).__name__}. Convert it to a list first."
        )
    if dtype is None and isinstance(a, Sequence) and not isinstance(a, (bytes, bytearray, memoryview)):
        dtype = default_dtype_of(out.dtype.kind)
    return out if dtype is None else convert(out, dtype)


def array(
    object: Any,
    dtype: Any = None,
    copy: bool | None = True,
    order: str | None = None,
    ndmin: int = 0,
    *,
    device: Any = None,
) -> Any:
    """As `asarray`, but always a new array (unless `copy=False` or None), with at least `ndmin` axes.

    >>> array([1, 2], ndmin=2)
    array([[1, 2]])
    """
    out = asarray(object, dtype, copy=copy or None)
    missing = ndmin - len(shape_of(out))
    return reshape_dims(out, (1,) * missing + shape_of(out)) if missing > 0 else out


def copy(a: Any, order: str | None = None) -> Any:
    """A copy of an array in memory of its own.

    >>> copy([1, 2])
    array([1, 2])
    """
    a = to_array(a)
    return a.copy() if isinstance(a, np.ndarray) else _copy(a) if isinstance(a, Tracer) else np.array(a)


def astype(x: Any, dtype: Any, /, *, copy: bool = False, device: Any = None) -> Any:
    """`x` in another dtype; a complex array loses its imaginary part when the dtype is real.

    >>> astype(np.array([1.7, 2.2]), "int64")
    array([1, 2])
    """
    x = to_array(x)
    out = convert(x, default_float() if dtype is None else as_dtype(dtype))
    return out.copy() if copy and out is x and isinstance(out, np.ndarray) else out


def frombuffer(buffer: Any, dtype: Any = None, count: int = -1, offset: int = 0) -> np.ndarray:
    """A read-only array over the bytes of an object with the buffer protocol.

    >>> frombuffer(b"ab", "uint8")
    array([97, 98], dtype=uint8)
    """
    return np.frombuffer(buffer, as_dtype(dtype) or default_float(), count, offset)


def fromstring(string: str, dtype: Any = None, count: int = -1, *, sep: str) -> np.ndarray:
    """Numbers from a string in which `sep` separates them.

    >>> fromstring("1 2", "int64", sep=" ")
    array([1, 2])
    """
    return np.fromstring(string, as_dtype(dtype) or default_float(), count, sep=sep)


def fromiter(iter: Any, dtype: Any, count: int = -1) -> np.ndarray:
    """A vector of the numbers that an iterator gives.

    >>> fromiter(range(3), "int32")
    array([0, 1, 2], dtype=int32)
    """
    return np.fromiter(iter, as_dtype(dtype), count)


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> np.ndarray:
    """An array that shares memory with another library's, through DLPack.

    >>> from_dlpack(np.zeros(2)).shape
    (2,)
    """
    return np.array(np.from_dlpack(x)) if copy else np.from_dlpack(x)


# ------------------------------------------------------------------ filled


def _shape(shape: Any, op: str) -> tuple[int, ...]:
    if type(shape) is tuple and all([type(n) is int and n >= 0 for n in shape]):
        return shape
    shape = known(shape, op, "The shape")
    if isinstance(shape, np.ndarray):
        shape = tuple(shape.tolist()) if shape.ndim else int(shape)
    if isinstance(shape, (int, np.integer)):
        shape = (shape,)
    try:
        out = tuple([known_int(n, op, "The shape") for n in shape])
    except TypeError as error:
        if isinstance(error, ArgumentError) or hasattr(error, "where"):
            raise
        raise ArgumentError(f"[{op}] expected a shape of integers, got {shape!r}.") from None
    if any([n < 0 for n in out]):
        raise ArgumentError(f"[{op}] expected a shape of non-negative integers, got {out}.")
    return out


def zeros(shape: Any, dtype: Any = None, order: str | None = None, *, device: Any = None) -> np.ndarray:
    """Zeros, of the default float unless `dtype` is given.

    >>> zeros(2)
    array([0., 0.], dtype=float32)
    """
    return np.zeros(
        shape if type(shape) is int and shape >= 0 else _shape(shape, "zeros"),
        default_float() if dtype is None else as_dtype(dtype),
    )


def ones(shape: Any, dtype: Any = None, order: str | None = None, *, device: Any = None) -> np.ndarray:
    """Ones, of the default float unless `dtype` is given.

    >>> ones(2, "int32")
    array([1, 1], dtype=int32)
    """
    return np.ones(_shape(shape, "ones"), default_float() if dtype is None else as_dtype(dtype))


def empty(shape: Any, dtype: Any = None, order: str | None = None, *, device: Any = None) -> np.ndarray:
    """An array to be filled, of the default float unless `dtype` is given. Its values are zeros.

    >>> empty((2, 3)).shape
    (2, 3)
    """
    return zeros(shape, dtype)


def full(shape: Any, fill_value: Any, dtype: Any = None, order: str | None = None, *, device: Any = None) -> Any:
    """An array filled with a value that broadcasts to `shape`.

    The dtype is that of `fill_value`; for a Python float it is the default float.

    >>> full(2, 7.0)
    array([7., 7.], dtype=float32)
    """
    shape = _shape(shape, "full")
    value = asarray(fill_value, dtype)
    wide = broadcast_to(value, shape)
    return wide if isinstance(value, Tracer) else np.array(wide)


def _like(op: str, a: Any, dtype: Any, shape: Any, value: int) -> Any:
    a = a if isinstance(a, (np.ndarray, ShapeDtypeStruct)) else to_array(a)
    own = shape_of(a) if shape is None else _shape(shape, op)
    kind = dtype_of(a) if dtype is None else as_dtype(dtype)
    if isinstance(a, Tracer):  # one repeated element: it costs no memory and stays visible to the compiler
        return (
            zeros_of(typeof(a).update(shape=own, dtype=kind, weak_type=False))
            if not value
            else np.broadcast_to(np.ones((), kind), own)
        )
    return np.zeros(own, kind) if not value else np.ones(own, kind)


def zeros_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Any:
    """Zeros with the shape and dtype of `a`. For a traced value they are read-only.

    >>> zeros_like(np.arange(2))
    array([0, 0])
    """
    return _like("zeros_like", a, dtype, shape, 0)


def ones_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Any:
    """Ones with the shape and dtype of `a`. For a traced value they are read-only.

    >>> ones_like(np.arange(2))
    array([1, 1])
    """
    return _like("ones_like", a, dtype, shape, 1)


def empty_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Any:
    """An array to be filled, with the shape and dtype of `a`. Its values are zeros.

    >>> empty_like(np.ones((2, 3))).shape
    (2, 3)
    """
    return _like("empty_like", a, dtype, shape, 0)


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    """An array filled with a value, with the shape and dtype of `a`.

    >>> full_like(np.arange(2), 7)
    array([7, 7])
    """
    a = a if isinstance(a, ShapeDtypeStruct) else to_array(a)
    return full(shape_of(a) if shape is None else shape, fill_value, dtype_of(a) if dtype is None else dtype)


# ------------------------------------------------------------------ ranges


_INT_OR_NONE = (int, type(None))


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None, *, device: Any = None) -> np.ndarray:
    """The numbers from `start` (0 by default) up to `stop`, which is left out, in steps of `step`.

    Integers give int64, Python floats the default float.

    Raises:
      ConcretizationTypeError: an argument is not known while tracing, but the length depends on it.

    >>> arange(3)
    array([0, 1, 2])
    """
    if type(start) is int and type(stop) in _INT_OR_NONE and type(step) in _INT_OR_NONE and step != 0 and dtype is None:
        return np.arange(start, stop, step)
    args = [known(x, "arange", "Every argument") for x in (start, stop, step)]
    if any([isinstance(x, (complex, np.complexfloating)) for x in args]):
        raise ArgumentError("[arange] expected real numbers, got complex ones. Complex numbers have no order.")
    dtype = result_dtype(*[x for x in args if x is not None]) if dtype is None else as_dtype(dtype)
    start, stop, step = args
    if step is not None and step == 0:
        raise ArgumentError("[arange] expected a step that is not 0, got 0. Use linspace for a number of points.")
    if stop is None:
        start, stop = 0, start
    wide = np.arange(start, stop, 1 if step is None else step)  # the length is decided before rounding to the dtype
    return wide.astype(dtype, copy=False)


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """`num` evenly spaced numbers from `start` to `stop`, which is included if `endpoint`.

    Args:
      start, stop: numbers or arrays that broadcast together; differentiable.
      num: how many; known while tracing.
      retstep: also return the step.
      dtype: of the result; by default as that of `start / stop`, the default float for Python numbers.
      axis: where in the result the points lie.

    >>> linspace(0, 1, 3)
    array([0. , 0.5, 1. ], dtype=float32)
    """
    num = known_int(num, "linspace", "num")
    if num < 0:
        raise ArgumentError(f"[linspace] expected a non-negative number of points, got {num}.")
    inner = _float_of(start, stop)
    wanted = inner if dtype is None else as_dtype(dtype)
    parts = max(num - 1 if endpoint else num, 1)
    if is_known(start, stop):
        out, step = np.linspace(_value(start), _value(stop), num, endpoint, retstep=True, dtype=None, axis=axis)
        out = np.floor(out) if wanted.kind in "iu" else out
        out = out.astype(wanted, copy=False)
        return (out, np.asarray(step, inner)[()]) if retstep else out
    low, high = (as_type(x, inner) for x in (start, stop))
    shape = e.broadcast_shapes("linspace", shape_of(low), shape_of(high))
    low, high = broadcast_to(low, shape), broadcast_to(high, shape)
    step = e.div(e.sub(high, low), parts)
    counts = np.arange(num - 1 if endpoint and num > 1 else num).astype(inner).reshape(-1, *(1,) * len(shape))
    out = e.add(e.mul(counts, expand_dims(step, 0)), expand_dims(low, 0))  # as NumPy does it, to the last bit
    if endpoint and num > 1:
        out = concatenate([out, expand_dims(high, 0)])
    out = convert(e.floor(out) if wanted.kind in "iu" else out, wanted)
    out = moveaxis(out, 0, axis)
    return (out, e.div(e.sub(as_type(stop, inner), as_type(start, inner)), parts)) if retstep else out


def _float_of(*xs: Any) -> np.dtype:
    """The dtype of quotients of these values; of Python numbers alone, the default float or complex."""
    if all([type(x) in (int, float) for x in xs]):
        return default_float()
    dtype = result_dtype(*xs)
    if all([is_weak(x) for x in xs]):
        return dtype if dtype.kind == "c" else default_float()
    return np.dtype(np.float64) if dtype.kind in "iub" else dtype


def _value(x: Any) -> Any:
    return np.asarray(x) if isinstance(x, (list, tuple)) else x


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Any:
    """`base` to the power of evenly spaced exponents from `start` to `stop`.

    >>> logspace(0, 2, 3)
    array([  1.,  10., 100.], dtype=float32)
    """
    exponents = linspace(start, stop, num, endpoint, axis=axis)
    out = e.pow(base, exponents)
    return out if dtype is None else convert(out, as_dtype(dtype))


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """`num` numbers from `start` to `stop`, each the same multiple of the one before.

    >>> geomspace(1, 8, 4)
    array([1., 2., 4., 8.], dtype=float32)
    """
    inner = _float_of(start, stop)
    if is_known(start, stop):
        out = np.geomspace(_value(start), _value(stop), num, endpoint, axis=axis)
        return out.astype(inner if dtype is None else as_dtype(dtype))
    low, high = (as_type(x, inner) for x in (start, stop))
    sign = e.sign(low)
    if dtype_of(low).kind == "c":
        raise DTypeError("[geomspace] expected real bounds while tracing, got complex. Use logspace.")
    exponents = linspace(e.log(e.abs(low)), e.log(e.abs(high)), num, endpoint, axis=axis)
    out = e.mul(expand_dims(sign, axis) if shape_of(sign) else sign, e.exp(exponents))
    return out if dtype is None else convert(out, as_dtype(dtype))


# ------------------------------------------------------------------ matrices and grids


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None, *, device: Any = None) -> Any:
    """Ones on the k-th diagonal of an N x M matrix, zeros elsewhere.

    >>> eye(2)
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    rows = known_int(N, "eye", "N")
    columns = rows if M is None else known_int(M, "eye", "M")
    if rows < 0 or columns < 0:
        raise ArgumentError(f"[eye] expected non-negative sizes, got {rows} and {columns}.")
    dtype = default_float() if dtype is None else as_dtype(dtype)
    if isinstance(k, Tracer):
        return convert(e.eq(np.arange(columns) - np.arange(rows)[:, None], k), dtype)
    return np.eye(rows, columns, operator_index(k), dtype)


def identity(n: int, dtype: Any = None) -> np.ndarray:
    """The n x n identity matrix.

    >>> identity(2, "int32")
    array([[1, 0],
           [0, 1]], dtype=int32)
    """
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Ones on and below the k-th diagonal of an N x M matrix, zeros above.

    >>> tri(2)
    array([[1., 0.],
           [1., 1.]], dtype=float32)
    """
    rows = known_int(N, "tri", "N")
    columns = rows if M is None else known_int(M, "tri", "M")
    dtype = default_float() if dtype is None else as_dtype(dtype)
    if isinstance(k, Tracer):
        return convert(e.le(np.arange(columns) - np.arange(rows)[:, None], k), dtype)
    return np.tri(rows, columns, operator_index(k), dtype)


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> list:
    """Coordinate arrays of the grid that vectors span.

    Args:
      xi: vectors.
      copy: accepted; the results may be read-only views if False.
      sparse: leave axes of length 1 instead of repeating.
      indexing: "xy" swaps the first two axes, "ij" does not.

    >>> meshgrid(np.arange(2), np.arange(3))[0]
    array([[0, 1],
           [0, 1],
           [0, 1]])
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f"[meshgrid] expected indexing 'xy' or 'ij', got {indexing!r}.")
    ndim = len(xi)
    vectors = [reshape_dims(to_array(x), (-1,)) for x in xi]
    axes = list(range(ndim))
    if indexing == "xy" and ndim > 1:
        axes[:2] = [1, 0]
    out = [reshape_dims(v, tuple([-1 if d == a else 1 for d in range(ndim)])) for v, a in zip(vectors, axes)]
    if sparse:
        return [copy_if(x, copy) for x in out]
    shape = [0] * ndim
    for v, a in zip(vectors, axes):
        shape[a] = shape_of(v)[0]
    return [copy_if(broadcast_to(x, tuple(shape)), copy) for x in out]


def copy_if(x: Any, wanted: bool) -> Any:
    """A copy of a plain array if wanted; traced values need none."""
    return x.copy() if wanted and isinstance(x, np.ndarray) else x


def indices(dimensions: Sequence[int], dtype: Any = None, sparse: bool = False) -> Any:
    """The index of every element of an array of this shape, one array for each axis, stacked (or a tuple, if `sparse`).

    >>> indices((2, 2))[0]
    array([[0, 0],
           [1, 1]])
    """
    return np.indices(_shape(dimensions, "indices"), np.int64 if dtype is None else as_dtype(dtype), sparse)


def fromfunction(function: Callable, shape: Sequence[int], *, dtype: Any = None, **kwargs: Any) -> Any:
    """`function` of the index arrays of a shape; it must work elementwise on arrays.

    >>> fromfunction(lambda i, j: i + j, (2, 2), dtype="int64")
    array([[0, 1],
           [1, 2]])
    """
    return function(*indices(shape, default_float() if dtype is None else dtype), **kwargs)
