"""Indexing at positions known in advance, and slices at positions that are not. Lives here: basic indexing by a spec (`getitem`, its transpose
`place`, its `update`), `dynamic_slice` and `dynamic_update_slice`. May import base, elementwise, shape, gather, index_specs, core, errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import index as operator_index
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray, is_float
from fnets.core.primitive import Primitive
from fnets.core.trace import Tracer, dtype_of, shape_of, typeof
from fnets.errors import DTypeError, IndexingError, ShapeError
from fnets.primitives.base import (
    arr,
    as_axis,
    as_shape,
    broadcast_to,
    convert,
    linear,
    move_dim,
    reshape,
    zeros_like,
    zeros_of,
)
from fnets.primitives.elementwise import add, clamp, lt, maximum, select
from fnets.primitives.gather import gather_windows, in_place, scatter_windows
from fnets.primitives.index_arrays import iota_along
from fnets.primitives.index_specs import Spec, as_index, batched_spec, check_int, index_source, spec_shape
from fnets.primitives.shape import slice_p

# ------------------------------------------------------------------ getitem and its transpose

getitem_p = Primitive("getitem", kind="view")


def _getitem_batch(size: int, vals: Sequence, dims: Sequence, spec: Spec) -> tuple:
    moved, d = batched_spec(spec, dims[0], size)
    return getitem_p.bind(vals[0], spec=moved), d


def _getitem_lower(cg: Any, eqn: Any, args: list[str], out: str | None) -> str:
    return f"{args[0]}[{index_source(eqn.params['spec'])}]"


getitem_p.impl = lambda x, spec: x[as_index(spec)]
getitem_p.abstract = lambda a, spec: ShapedArray(spec_shape(a.shape, spec), a.dtype)
getitem_p.batch = _getitem_batch
getitem_p.lower["numpy"] = _getitem_lower
linear(getitem_p, lambda ct, aval, spec: place_p.bind(ct, spec=spec, shape=aval.shape))


def getitem_spec(x: Any, spec: Spec) -> Any:
    """`x` at a checked spec: a view."""
    return getitem_p.bind(x, spec=spec) if spec else x


# place: zeros everywhere but at the spec
place_p = Primitive("place", fresh=True)


def _place_impl(x: Any, spec: Spec, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, x.dtype)
    out[as_index(spec)] = x
    return out


def _place_abstract(a: ShapedArray, spec: Spec, shape: tuple[int, ...]) -> ShapedArray:
    _check_update("place", a.shape, spec_shape(shape, spec))
    return ShapedArray(shape, a.dtype)


def _check_update(op: str, got: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if got != expected:
        raise ShapeError(
            f"[{op}] expected values of the shape {expected} that the index selects, got {got}. Broadcast them first."
        )


def _place_batch(size: int, vals: Sequence, dims: Sequence, spec: Spec, shape: tuple[int, ...]) -> tuple:
    return place_p.bind(move_dim(vals[0], dims[0], 0, size), spec=((0, size, 1), *spec), shape=(size, *shape)), 0


place_p.impl, place_p.abstract, place_p.batch = _place_impl, _place_abstract, _place_batch
linear(place_p, lambda ct, aval, spec, shape: getitem_spec(ct, spec))


# ------------------------------------------------------------------ update: set or add at a spec

update_p = Primitive("update", fresh=True)


def _update_impl(x: Any, values: Any, spec: Spec, op: str) -> Any:
    return _update_in(np.array(x), values, spec, op)


def _update_in(out: Any, values: Any, spec: Spec, op: str) -> Any:
    index = as_index(spec)
    if op == "set":
        out[index] = values
    else:
        out[index] += values
    return out


def _update_abstract(x: ShapedArray, values: ShapedArray, spec: Spec, op: str) -> ShapedArray:
    _check_update("at.set" if op == "set" else "at.add", values.shape, spec_shape(x.shape, spec))
    if x.dtype != values.dtype:
        raise DTypeError(
            f"[at.{op}] expected values of dtype {x.dtype.name}, as the array, got {values.dtype.name}. Use values.astype(...)."
        )
    return ShapedArray(x.shape, x.dtype)


def _update_jvp(primals: Sequence, tangents: Sequence, spec: Spec, op: str) -> tuple:
    out = update_p.bind(*primals, spec=spec, op=op)
    tx, tv = tangents
    if not is_float(dtype_of(out)):
        return out, None
    if tv is None and op == "add":
        return out, tx
    if tx is None:
        return out, place_p.bind(tv, spec=spec, shape=shape_of(out))
    return out, update_p.bind(tx, zeros_like(primals[1]) if tv is None else tv, spec=spec, op=op)


def _update_vjp(active: Sequence[int], x: Any, values: Any, spec: Spec, op: str) -> tuple:
    out = update_p.bind(x, values, spec=spec, op=op)
    if not is_float(dtype_of(out)):
        return out, None
    aval = typeof(values)

    def pull(ct: Any) -> list:
        return [
            getitem_spec(ct, spec)
            if i
            else ct
            if op == "add"
            else update_p.bind(ct, zeros_of(aval), spec=spec, op="set")
            for i in active
        ]

    return out, pull


def _update_batch(size: int, vals: Sequence, dims: Sequence, spec: Spec, op: str) -> tuple:
    x, values = [move_dim(v, d, 0, size) for v, d in zip(vals, dims)]
    return update_p.bind(x, values, spec=((0, size, 1), *spec), op=op), 0


update_p.impl, update_p.abstract, update_p.jvp, update_p.vjp, update_p.batch = (
    _update_impl,
    _update_abstract,
    _update_jvp,
    _update_vjp,
    _update_batch,
)
update_p.lower["numpy"] = in_place(_update_impl, _update_in)


def update_spec(x: Any, values: Any, spec: Spec, op: str = "set") -> Any:
    """A copy of `x` with `values` set at a spec, or added there; values of the selected shape and of the dtype of `x`."""
    return update_p.bind(x, values, spec=spec, op=op)


# ------------------------------------------------------------------ dynamic_slice

dynamic_slice_p = Primitive("dynamic_slice", kind="view")


def _window(shape: tuple[int, ...], starts: Sequence[Any], sizes: tuple[int, ...]) -> tuple:
    """The index of a window, moved to lie inside the array; a negative start counts from the end, as in JAX."""
    if not len(shape) == len(starts) == len(sizes):
        raise ValueError  # the abstract rule says what is wrong
    index = []
    for n, start, size in zip(shape, starts, sizes):
        i = int(start)
        i = min(max(i + n if i < 0 else i, 0), n - size)
        index.append(slice(i, i + size))
    return tuple(index)


def _dynamic_slice_impl(x: Any, *starts: Any, slice_sizes: tuple[int, ...]) -> Any:
    out = x[_window(x.shape, starts, slice_sizes)]
    if out.shape != slice_sizes:
        raise ValueError  # the abstract rule says what is wrong
    return out


def _dynamic_slice_abstract(x: ShapedArray, *starts: ShapedArray, slice_sizes: tuple[int, ...]) -> ShapedArray:
    _check_starts("dynamic_slice", x.shape, starts)
    if len(slice_sizes) != x.ndim or any([not 0 <= m <= n for n, m in zip(x.shape, slice_sizes)]):
        raise ShapeError(
            f"[dynamic_slice] expected slice_sizes that fit into shape {x.shape}, one for each axis, got {slice_sizes}. "
            "The size of a slice is static; only its start may vary."
        )
    return ShapedArray(slice_sizes, x.dtype)


def _check_starts(op: str, shape: tuple[int, ...], starts: Sequence[ShapedArray]) -> None:
    if len(starts) != len(shape):
        raise ShapeError(
            f"[{op}] expected one start index for each axis of shape {shape}, got {len(starts)}. Pass 0 for axes taken from the start."
        )
    for s in starts:
        _check_start(op, s)


def _check_start(op: str, start: ShapedArray) -> None:
    if start.shape != () or start.dtype.kind not in "iu":
        raise IndexingError(
            f"[{op}] expected scalar integer start indices, got {start.str_short(False)}. Use start.astype('int32')."
        )


def _dynamic_slice_jvp(primals: Sequence, tangents: Sequence, slice_sizes: tuple[int, ...]) -> tuple:
    x, *starts = primals
    out = dynamic_slice_p.bind(x, *starts, slice_sizes=slice_sizes)
    t = tangents[0]
    return out, None if t is None else dynamic_slice_p.bind(t, *starts, slice_sizes=slice_sizes)


def _dynamic_slice_vjp(active: Sequence[int], x: Any, *starts: Any, slice_sizes: tuple[int, ...]) -> tuple:
    out = dynamic_slice_p.bind(x, *starts, slice_sizes=slice_sizes)
    if not is_float(dtype_of(out)):
        return out, None
    aval = typeof(x)
    return out, lambda ct: (dynamic_update_slice_p.bind(zeros_of(aval), ct, *starts),)


def _clamped(starts: Sequence[Any], shape: tuple[int, ...], sizes: tuple[int, ...]) -> dict[int, Any]:
    """The starts of the axes that a window does not fill, moved so that the window lies inside: for batched starts."""
    out = {}
    for k, (start, n, size) in enumerate(zip(starts, shape, sizes)):
        if n != size:
            i = convert(start, np.int64)
            out[k] = clamp(0, select(lt(i, 0), add(i, n), i), n - size)
    return out


def _dynamic_slice_batch(size: int, vals: Sequence, dims: Sequence, slice_sizes: tuple[int, ...]) -> tuple:
    x, *starts = vals
    d = dims[0]
    if all([k is None for k in dims[1:]]):
        starts.insert(d, np.int64(0))
        return dynamic_slice_p.bind(x, *starts, slice_sizes=(*slice_sizes[:d], size, *slice_sizes[d:])), d
    shape = shape_of(x)
    if d is not None:
        x, shape = move_dim(x, d, 0, size), (*shape[:d], *shape[d + 1 :])
    moved = _clamped(starts, shape, slice_sizes)
    if not moved:
        return x, None if d is None else 0
    if d is None:
        return gather_windows(x, {k: _spread(s, size) for k, s in moved.items()}, slice_sizes), 0
    return gather_windows(x, _with_batch(moved, size), (1, *slice_sizes), (0,)), 0


def _spread(start: Any, size: int) -> Any:
    return start if shape_of(start) else broadcast_to(start, (size,))


def _with_batch(starts: dict[int, Any], size: int) -> dict[int, Any]:
    """Starts in an array that has the batch dimension in front."""
    return {0: iota_along(size, 1, 0), **{k + 1: _spread(s, size) for k, s in starts.items()}}


dynamic_slice_p.impl, dynamic_slice_p.abstract, dynamic_slice_p.batch = (
    _dynamic_slice_impl,
    _dynamic_slice_abstract,
    _dynamic_slice_batch,
)
dynamic_slice_p.jvp, dynamic_slice_p.vjp = _dynamic_slice_jvp, _dynamic_slice_vjp


# ------------------------------------------------------------------ dynamic_update_slice

dynamic_update_slice_p = Primitive("dynamic_update_slice", fresh=True)


def _dynamic_update_slice_impl(x: Any, update: Any, *starts: Any) -> Any:
    return _dynamic_update_in(np.array(x), update, *starts)


def _dynamic_update_in(out: Any, update: Any, *starts: Any) -> Any:
    out[_window(out.shape, starts, update.shape)] = update
    return out


def _dynamic_update_slice_abstract(x: ShapedArray, update: ShapedArray, *starts: ShapedArray) -> ShapedArray:
    _check_starts("dynamic_update_slice", x.shape, starts)
    if update.ndim != x.ndim or any([m > n for n, m in zip(x.shape, update.shape)]):
        raise ShapeError(
            f"[dynamic_update_slice] expected an update that fits into shape {x.shape}, got {update.shape}. Both have the same axes."
        )
    if x.dtype != update.dtype:
        raise DTypeError(
            f"[dynamic_update_slice] expected an update of dtype {x.dtype.name}, got {update.dtype.name}. Use update.astype(...)."
        )
    return ShapedArray(x.shape, x.dtype)


def _dynamic_update_slice_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    x, update, *starts = primals
    out = dynamic_update_slice_p.bind(*primals)
    if not is_float(dtype_of(out)):
        return out, None
    tx, tu = [zeros_like(p) if t is None else t for p, t in zip((x, update), tangents)]
    return out, dynamic_update_slice_p.bind(tx, tu, *starts)


def _dynamic_update_slice_vjp(active: Sequence[int], x: Any, update: Any, *starts: Any) -> tuple:
    out = dynamic_update_slice_p.bind(x, update, *starts)
    if not is_float(dtype_of(out)):
        return out, None
    aval = typeof(update)

    def pull(ct: Any) -> list:
        return [
            dynamic_slice_p.bind(ct, *starts, slice_sizes=aval.shape)
            if i
            else dynamic_update_slice_p.bind(ct, zeros_of(aval), *starts)
            for i in active
        ]

    return out, pull


def _dynamic_update_slice_batch(size: int, vals: Sequence, dims: Sequence) -> tuple:
    x, update = [move_dim(v, d, 0, size) for v, d in zip(vals[:2], dims[:2])]
    starts = vals[2:]
    if all([k is None for k in dims[2:]]):
        return dynamic_update_slice_p.bind(x, update, np.int64(0), *starts), 0
    sizes = shape_of(update)[1:]
    return scatter_windows(
        x, update, _with_batch(_clamped(starts, shape_of(x)[1:], sizes), size), (1, *sizes), (0,), unique=True
    ), 0


dynamic_update_slice_p.impl, dynamic_update_slice_p.abstract = (
    _dynamic_update_slice_impl,
    _dynamic_update_slice_abstract,
)
dynamic_update_slice_p.jvp, dynamic_update_slice_p.vjp = _dynamic_update_slice_jvp, _dynamic_update_slice_vjp
dynamic_update_slice_p.batch = _dynamic_update_slice_batch
dynamic_update_slice_p.lower["numpy"] = in_place(_dynamic_update_slice_impl, _dynamic_update_in)


# ------------------------------------------------------------------ the user's functions


def _starts(start_indices: Any, negative: bool | Sequence[bool]) -> list[Any]:
    """Scalar starts from a 1-D array or a sequence; where a negative one does not count from the end, it is raised to 0."""
    if isinstance(start_indices, (np.ndarray, Tracer)):
        if len(shape_of(start_indices)) != 1:
            raise ShapeError(
                f"[dynamic_slice] expected start_indices of one axis, got shape {shape_of(start_indices)}. Pass a tuple of scalars."
            )
        start_indices = [getitem_p.bind(start_indices, spec=(k,)) for k in range(shape_of(start_indices)[0])]
    starts = [arr(s) for s in start_indices]
    for s in starts:  # NumPy itself would cut a fraction off
        _check_start("dynamic_slice", typeof(s))
    if negative is True:
        return starts
    flags = [negative] * len(starts) if isinstance(negative, bool) else negative
    return [s if f else maximum(s, 0) for s, f in zip(starts, flags, strict=True)]


def dynamic_slice(
    operand: Any,
    start_indices: Any,
    slice_sizes: Sequence[int],
    *,
    allow_negative_indices: bool | Sequence[bool] = True,
) -> Any:
    """A window of `operand` of a static size, at a start that may be traced.

    Args:
      operand: array of n axes.
      start_indices: n integer scalars, or an integer array of shape (n,). A start that would let the window leave the array is moved back.
      slice_sizes: n ints, the shape of the result.
      allow_negative_indices: negative starts count from the end; if False they become 0.

    Raises:
      ShapeError: not one start and size for each axis, or a size larger than its axis.

    >>> dynamic_slice(np.arange(5), (4,), (2,))
    array([3, 4])
    """
    return dynamic_slice_p.bind(
        arr(operand), *_starts(start_indices, allow_negative_indices), slice_sizes=as_shape(slice_sizes)
    )


def dynamic_update_slice(
    operand: Any, update: Any, start_indices: Any, *, allow_negative_indices: bool | Sequence[bool] = True
) -> Any:
    """A copy of `operand` with a window replaced by `update`; starts as in `dynamic_slice`.

    Args:
      operand: array of n axes.
      update: array of n axes, no axis longer than the operand's; converted to its dtype.
      start_indices: n integer scalars, or an integer array of shape (n,).

    >>> dynamic_update_slice(np.arange(5), np.array([8, 9]), (1,))
    array([0, 8, 9, 3, 4])
    """
    operand = arr(operand)
    update = convert(arr(update), dtype_of(operand))
    return dynamic_update_slice_p.bind(operand, update, *_starts(start_indices, allow_negative_indices))


def _one_start(start: Any, axis: int, ndim: int, negative: bool) -> list[Any]:
    starts: list[Any] = [np.int64(0)] * ndim
    starts[axis] = _starts((start,), negative)[0]
    return starts


def dynamic_slice_in_dim(
    operand: Any, start_index: Any, slice_size: int, axis: int = 0, *, allow_negative_indices: bool = True
) -> Any:
    """`dynamic_slice` along one axis, the others whole.

    >>> dynamic_slice_in_dim(np.arange(6).reshape(2, 3), 1, 2, axis=1)
    array([[1, 2],
           [4, 5]])
    """
    operand = arr(operand)
    sizes = list(shape_of(operand))
    axis = as_axis(axis, len(sizes), "dynamic_slice_in_dim")
    starts = _one_start(start_index, axis, len(sizes), allow_negative_indices)
    sizes[axis] = operator_index(slice_size)
    return dynamic_slice_p.bind(operand, *starts, slice_sizes=tuple(sizes))


def dynamic_index_in_dim(
    operand: Any, index: Any, axis: int = 0, keepdims: bool = True, *, allow_negative_indices: bool = True
) -> Any:
    """The slice of `operand` at one position of an axis, which stays with length 1 if `keepdims`; the position is moved into range.

    >>> dynamic_index_in_dim(np.arange(6).reshape(2, 3), 1, axis=0, keepdims=False)
    array([3, 4, 5])
    """
    axis = as_axis(axis, len(shape_of(operand)), "dynamic_index_in_dim")
    out = dynamic_slice_in_dim(operand, index, 1, axis, allow_negative_indices=allow_negative_indices)
    return out if keepdims else _without(out, axis)


def _without(x: Any, axis: int) -> Any:
    shape = shape_of(x)
    return reshape(x, (*shape[:axis], *shape[axis + 1 :]))


def dynamic_update_slice_in_dim(
    operand: Any, update: Any, start_index: Any, axis: int, *, allow_negative_indices: bool = True
) -> Any:
    """`dynamic_update_slice` along one axis, from the start of the others. A scalar update stands for one element.

    >>> dynamic_update_slice_in_dim(np.zeros(4), np.ones(2), 1, axis=0)
    array([0., 1., 1., 0.])
    """
    operand = arr(operand)
    ndim = len(shape_of(operand))
    axis = as_axis(axis, ndim, "dynamic_update_slice_in_dim")
    update = convert(arr(update), dtype_of(operand))
    if not shape_of(update):
        update = reshape(update, (1,) * ndim)
    return dynamic_update_slice_p.bind(operand, update, *_one_start(start_index, axis, ndim, allow_negative_indices))


def dynamic_update_index_in_dim(
    operand: Any, update: Any, index: Any, axis: int, *, allow_negative_indices: bool = True
) -> Any:
    """A copy of `operand` with the slice at one position of an axis replaced; `update` may lack that axis.

    >>> dynamic_update_index_in_dim(np.zeros((2, 2)), np.ones(2), 1, axis=0)
    array([[0., 0.],
           [1., 1.]])
    """
    ndim = len(shape_of(operand))
    axis = as_axis(axis, ndim, "dynamic_update_index_in_dim")
    update = arr(update)
    shape = shape_of(update)
    if len(shape) != ndim:
        if len(shape) != ndim - 1:
            raise ShapeError(
                f"[dynamic_update_index_in_dim] expected an update with {ndim} or {ndim - 1} axes, got shape {shape}."
            )
        update = reshape(update, (*shape[:axis], 1, *shape[axis:]))
    return dynamic_update_slice_in_dim(operand, update, index, axis, allow_negative_indices=allow_negative_indices)


def index_in_dim(operand: Any, index: int, axis: int = 0, keepdims: bool = True) -> Any:
    """The slice of `operand` at one static position of an axis, which stays with length 1 if `keepdims`.

    Raises:
      IndexingError: the position is out of range.

    >>> index_in_dim(np.arange(6).reshape(2, 3), -1, axis=1, keepdims=False)
    array([2, 5])
    """
    operand = arr(operand)
    shape = shape_of(operand)
    axis = as_axis(axis, len(shape), "index_in_dim")
    i = check_int(operator_index(index), shape[axis], axis, shape)
    if not keepdims:
        return getitem_p.bind(operand, spec=(*[(0, n, 1) for n in shape[:axis]], i))
    starts, limits = [0] * len(shape), list(shape)
    starts[axis], limits[axis] = i, i + 1
    return slice_p.bind(operand, start_indices=tuple(starts), limit_indices=tuple(limits), strides=None)
