"""`gather` and `scatter` with dimension numbers, as `fnets.lax` offers them. May import base, elementwise, gather, core, errors.

Windows of static sizes lie at starts given by index vectors. Both are brought to index arrays: the axes on which windows differ are indexed by
start + 0, 1, ..., the others are whole. The meaning of the dimension numbers is that of XLA's Gather and Scatter operations.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fnets.core.trace import Tracer, dtype_of, shape_of
from fnets.errors import ArgumentError, ConcretizationTypeError, IndexingError, ShapeError
from fnets.primitives.base import arr, as_axis, as_shape, broadcast_to, convert, inverse_permutation, reshape, transpose
from fnets.primitives.elementwise import clamp, neg, select
from fnets.primitives.gather import (
    apply_counted,
    as_mode,
    default_fill,
    fill_invalid,
    gather_windows,
    in_range,
    index_gather,
    scatter_windows,
)
from fnets.primitives.index_arrays import common_index_shape, iota_along, move_block
from fnets.primitives.indexing import getitem_spec
from fnets.primitives.scatter_kernels import placement


class GatherScatterMode(enum.Enum):
    """What `gather` and `scatter` do with a window that is not wholly inside the array.

    CLIP moves it inside; FILL_OR_DROP reads fill values, or leaves the update out; PROMISE_IN_BOUNDS says that there is none.

    >>> GatherScatterMode.from_any("clip").name
    'CLIP'
    """

    CLIP = enum.auto()
    FILL_OR_DROP = enum.auto()
    PROMISE_IN_BOUNDS = enum.auto()

    @staticmethod
    def from_any(mode: Any) -> GatherScatterMode:
        """The mode of a name; None is FILL_OR_DROP."""
        if isinstance(mode, GatherScatterMode):
            return mode
        known = {
            "drop": GatherScatterMode.FILL_OR_DROP,
            "raise": GatherScatterMode.PROMISE_IN_BOUNDS,
            "clip": GatherScatterMode.CLIP,
        }
        name = "drop" if mode is None else as_mode(mode, "gather")
        if name not in known:
            raise ArgumentError(f"[gather] expected mode 'clip', 'fill', 'drop' or 'promise_in_bounds', got {mode!r}.")
        return known[name]


class GatherDimensionNumbers(NamedTuple):
    """Which dimension means what in `gather`.

    offset_dims: dimensions of the result that run inside a window; the others run over the index vectors.
    collapsed_slice_dims: axes of the operand, of window size 1, that the result lacks.
    start_index_map: the axis of the operand to which each entry of an index vector belongs.
    operand_batching_dims, start_indices_batching_dims: axes of operand and start_indices that run together.

    >>> GatherDimensionNumbers((1,), (0,), (0,)).operand_batching_dims
    ()
    """

    offset_dims: tuple[int, ...]
    collapsed_slice_dims: tuple[int, ...]
    start_index_map: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    start_indices_batching_dims: tuple[int, ...] = ()


class ScatterDimensionNumbers(NamedTuple):
    """Which dimension means what in `scatter`.

    update_window_dims: dimensions of the updates that run inside a window; the others run over the index vectors.
    inserted_window_dims: axes of the operand, of window size 1, that the updates lack.
    scatter_dims_to_operand_dims: the axis of the operand to which each entry of an index vector belongs.
    operand_batching_dims, scatter_indices_batching_dims: axes of operand and scatter_indices that run together.

    >>> ScatterDimensionNumbers((), (0,), (0,)).update_window_dims
    ()
    """

    update_window_dims: Sequence[int]
    inserted_window_dims: Sequence[int]
    scatter_dims_to_operand_dims: Sequence[int]
    operand_batching_dims: Sequence[int] = ()
    scatter_indices_batching_dims: Sequence[int] = ()


class _Windows(NamedTuple):
    """Where windows lie: their starts for the axes on which they differ, their sizes for all axes, and the shape of the index vectors."""

    starts: dict[int, Any]
    sizes: tuple[int, ...]
    collapsed: tuple[int, ...]
    batch: tuple[int, ...]
    valid: Any  # where a window lies inside, if the mode drops the others


def _windows(
    op: str,
    shape: tuple[int, ...],
    indices: Any,
    index_map: Sequence[int],
    collapsed: Sequence[int],
    batching: tuple[Sequence[int], Sequence[int]],
    sizes: Sequence[int],
    mode: GatherScatterMode,
) -> _Windows:
    index_shape = shape_of(indices)
    if dtype_of(indices).kind not in "iu":
        raise IndexingError(
            f"[{op}] expected integer indices, got {dtype_of(indices).name}. Use indices.astype('int32')."
        )
    if not index_shape or index_shape[-1] != len(index_map):
        raise ShapeError(
            f"[{op}] expected index vectors of length {len(index_map)}, one entry for each axis of {tuple(index_map)}, along the last "
            f"axis of the indices, got indices of shape {index_shape}. Add an axis with indices[..., None]."
        )
    if any([not 0 <= m <= n for n, m in zip(shape, sizes)]) or any([sizes[a] != 1 for a in collapsed if shape[a]]):
        raise ShapeError(
            f"[{op}] expected windows that fit into shape {shape}, of size 1 on the axes {tuple(collapsed)}, got {tuple(sizes)}."
        )
    batch = index_shape[:-1]
    every = [(0, n, 1) for n in batch]
    starts: dict[int, Any] = {a: getitem_spec(indices, (*every, k)) for k, a in enumerate(index_map)}
    limits = [shape[a] - sizes[a] for a in starts]
    valid = None
    if mode is not GatherScatterMode.PROMISE_IN_BOUNDS and starts:
        starts = {a: convert(s, np.int64) for a, s in starts.items()}
        if mode is GatherScatterMode.FILL_OR_DROP:
            valid = in_range(list(starts.values()), [n + 1 for n in limits])
        starts = {a: clamp(0, s, n) for (a, s), n in zip(starts.items(), limits)}
    for a, k in zip(*batching):
        starts[a] = iota_along(batch[k], len(batch), k)
    for a, (n, m) in enumerate(zip(shape, sizes)):
        if a not in starts and (m != n or a in collapsed):
            starts[a] = np.zeros((1,) * len(batch), np.int64)
    if not starts:
        starts[0] = np.zeros((1,) * len(batch), np.int64)
    some = next(iter(starts))
    starts[some] = broadcast_to(starts[some], batch)  # the index arrays have the shape of the batch together
    return _Windows(starts, tuple(sizes), (*collapsed, *batching[0]), batch, valid)


def _result_order(ndim: int, window_dims: Sequence[int]) -> tuple[int, ...]:
    """The permutation from (batch..., window...) to an array in which `window_dims` run inside the window."""
    batch = iter(range(ndim - len(window_dims)))
    window = iter(range(ndim - len(window_dims), ndim))
    return tuple([next(window) if d in window_dims else next(batch) for d in range(ndim)])


def gather(
    operand: Any,
    start_indices: Any,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Sequence[int],
    *,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    mode: Any = None,
    fill_value: Any = None,
) -> Any:
    """Windows of an array at starts given by index vectors.

    Args:
      operand: array of n axes.
      start_indices: integer array (..., k): index vectors along the last axis. Negative entries are out of range where a mode is given.
      dimension_numbers: see `GatherDimensionNumbers`.
      slice_sizes: n ints, the size of a window.
      mode: `GatherScatterMode` or its name; by default all windows are inside, and one that is not raises IndexError.
      fill_value: by default NaN, or the lowest integer.

    Returns:
      An array whose `offset_dims` run inside the windows, its other dimensions over the index vectors.

    Raises:
      ShapeError: index vectors or sizes do not fit.

    >>> numbers = GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,))
    >>> gather(np.arange(6).reshape(3, 2), np.array([[2], [0]]), numbers, (1, 2))
    array([[4, 5],
           [0, 1]])
    """
    operand, indices, numbers = arr(operand), arr(start_indices), dimension_numbers
    sizes = as_shape(slice_sizes)
    if len(sizes) != len(shape_of(operand)):
        raise ShapeError(f"[gather] expected one slice size for each axis of {shape_of(operand)}, got {sizes}.")
    x, extra = operand, ()
    if not sizes:  # windows lack the axis that a 0-d operand gets
        x, sizes, extra = reshape(operand, (1,)), (1,), (0,)
    shape = shape_of(x)
    mode = GatherScatterMode.PROMISE_IN_BOUNDS if mode is None else GatherScatterMode.from_any(mode)
    batching = (numbers.operand_batching_dims, numbers.start_indices_batching_dims)
    collapsed = (*numbers.collapsed_slice_dims, *extra)
    kept = len(shape) - len(collapsed) - len(batching[0])
    if len(numbers.offset_dims) != kept:
        raise ShapeError(
            f"[gather] expected {kept} offset_dims, one for each axis that a window keeps, got {numbers.offset_dims}."
        )
    w = _windows("gather", shape, indices, numbers.start_index_map, collapsed, batching, sizes, mode)
    unique = unique_indices and mode is GatherScatterMode.PROMISE_IN_BOUNDS
    out = gather_windows(x, w.starts, w.sizes, w.collapsed, len(w.batch), unique)
    if w.valid is not None:
        dtype = dtype_of(x)
        fill = np.asarray(default_fill(dtype) if fill_value is None else fill_value).astype(dtype)[()]
        out = fill_invalid(out, w.valid, fill, 0)
    return transpose(out, _result_order(len(shape_of(out)), numbers.offset_dims))


def _scatter(
    op: str,
    name: str,
    operand: Any,
    indices: Any,
    updates: Any,
    numbers: ScatterDimensionNumbers,
    unique: bool,
    mode: Any,
) -> Any:
    operand, indices = arr(operand), arr(indices)
    updates = convert(arr(updates), dtype_of(operand))
    x, w = _scatter_windows(name, operand, indices, shape_of(updates), numbers, mode)
    updates = transpose(updates, inverse_permutation(_result_order(len(shape_of(updates)), numbers.update_window_dims)))
    if shape_of(updates)[: len(w.batch)] != w.batch:
        raise ShapeError(
            f"[{name}] expected updates whose other dimensions are those of the index vectors, {w.batch}, got shape {shape_of(updates)}."
        )
    return reshape(_put_windows(x, updates, w, op, unique), shape_of(operand))


def _scatter_windows(
    name: str, operand: Any, indices: Any, update_shape: tuple[int, ...], numbers: ScatterDimensionNumbers, mode: Any
) -> tuple[Any, _Windows]:
    """The operand, with an axis at least, and where the updates go."""
    batching = (tuple(numbers.operand_batching_dims), tuple(numbers.scatter_indices_batching_dims))
    missing = () if shape_of(operand) else (0,)
    x = reshape(operand, (1,)) if missing else operand
    shape = shape_of(x)
    collapsed = (*numbers.inserted_window_dims, *missing)
    window_dims = sorted(numbers.update_window_dims)
    if len(window_dims) + len(collapsed) + len(batching[0]) != len(shape):
        raise ShapeError(
            f"[{name}] expected one update_window_dim for each axis of {shape_of(operand)} that updates have, got "
            f"{tuple(window_dims)} beside inserted_window_dims {tuple(numbers.inserted_window_dims)}."
        )
    window = iter([update_shape[d] for d in window_dims])
    sizes = [1 if a in collapsed or a in batching[0] else next(window) for a in range(len(shape))]
    index_map = numbers.scatter_dims_to_operand_dims
    return x, _windows(name, shape, indices, index_map, collapsed, batching, sizes, GatherScatterMode.from_any(mode))


def _put_windows(x: Any, updates: Any, w: _Windows, op: str, unique: bool) -> Any:
    """Updates of shape (batch..., window...) set or combined into x."""
    starts = w.starts
    if w.valid is not None:  # a position that lies outside whatever is added to it drops the whole window
        a = min(starts)
        starts = {**starts, a: select(w.valid, starts[a], -shape_of(x)[a] - 1)}
    return scatter_windows(x, updates, starts, w.sizes, w.collapsed, len(w.batch), op, w.valid is not None, unique)


def scatter(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Any:
    """A copy of an array with windows replaced, at starts given by index vectors; of several updates of an element, the last counts.

    Args:
      operand: array of n axes.
      scatter_indices: integer array (..., k): index vectors along the last axis. Negative entries are out of range.
      updates: array; converted to the operand's dtype.
      dimension_numbers: see `ScatterDimensionNumbers`.
      unique_indices: promise that no element is updated twice.
      mode: `GatherScatterMode` or its name; by default windows that are not wholly inside are left out.

    Raises:
      ShapeError: index vectors or updates do not fit.

    >>> numbers = ScatterDimensionNumbers(update_window_dims=(), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,))
    >>> scatter(np.zeros(4), np.array([[1], [3]]), np.array([5.0, 6.0]), numbers)
    array([0., 5., 0., 6.])
    """
    return _scatter("set", "scatter", operand, scatter_indices, updates, dimension_numbers, unique_indices, mode)


def scatter_add(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Any:
    """A copy of an array with windows added to; arguments as `scatter`.

    >>> numbers = ScatterDimensionNumbers((), (0,), (0,))
    >>> scatter_add(np.zeros(3), np.array([[1], [1]]), np.array([5.0, 6.0]), numbers)
    array([ 0., 11.,  0.])
    """
    return _scatter("add", "scatter_add", operand, scatter_indices, updates, dimension_numbers, unique_indices, mode)


def scatter_sub(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Any:
    """A copy of an array with windows subtracted from; arguments as `scatter`.

    >>> numbers = ScatterDimensionNumbers((), (0,), (0,))
    >>> scatter_sub(np.zeros(3), np.array([[1], [1]]), np.array([5.0, 6.0]), numbers)
    array([  0., -11.,   0.])
    """
    updates = neg(convert(arr(updates), dtype_of(arr(operand))))
    return _scatter("add", "scatter_sub", operand, scatter_indices, updates, dimension_numbers, unique_indices, mode)


def scatter_mul(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Any:
    """A copy of an array with windows multiplied; arguments as `scatter`.

    >>> numbers = ScatterDimensionNumbers((), (0,), (0,))
    >>> scatter_mul(np.ones(3), np.array([[1], [1]]), np.array([5.0, 6.0]), numbers)
    array([ 1., 30.,  1.])
    """
    return _scatter("mul", "scatter_mul", operand, scatter_indices, updates, dimension_numbers, unique_indices, mode)


def scatter_min(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Any:
    """A copy of an array with the minimum of windows and updates; arguments as `scatter`. Ties share the derivative.

    >>> numbers = ScatterDimensionNumbers((), (0,), (0,))
    >>> scatter_min(np.ones(3), np.array([[1], [1]]), np.array([0.5, 6.0]), numbers)
    array([1. , 0.5, 1. ])
    """
    return _scatter("min", "scatter_min", operand, scatter_indices, updates, dimension_numbers, unique_indices, mode)


def scatter_max(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Any:
    """A copy of an array with the maximum of windows and updates; arguments as `scatter`. Ties share the derivative.

    >>> numbers = ScatterDimensionNumbers((), (0,), (0,))
    >>> scatter_max(np.ones(3), np.array([[1], [1]]), np.array([0.5, 6.0]), numbers)
    array([1., 6., 1.])
    """
    return _scatter("max", "scatter_max", operand, scatter_indices, updates, dimension_numbers, unique_indices, mode)


def scatter_apply(
    operand: Any,
    scatter_indices: Any,
    func: Callable[[Any], Any],
    dimension_numbers: ScatterDimensionNumbers,
    *,
    update_shape: Sequence[int] = (),
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Any:
    """A copy of an array with an elementwise function applied to windows, once for each window that an element lies in.

    Args:
      func: elementwise function of one array.
      update_shape: the shape that updates would have: it tells the size of the windows. Other arguments as `scatter`.

    Raises:
      ConcretizationTypeError: traced indices, unless `unique_indices` promises that windows do not overlap.

    >>> numbers = ScatterDimensionNumbers((), (0,), (0,))
    >>> scatter_apply(np.arange(3.0), np.array([[2], [2]]), np.square, numbers, update_shape=(2,))
    array([ 0.,  1., 16.])
    """
    operand, indices = arr(operand), arr(scatter_indices)
    update_shape = as_shape(update_shape)
    if unique_indices:
        x, w = _scatter_windows("scatter_apply", operand, indices, update_shape, dimension_numbers, mode)
        values = func(gather_windows(x, w.starts, w.sizes, w.collapsed, len(w.batch)))
        return reshape(_put_windows(x, convert(values, dtype_of(x)), w, "set", True), shape_of(operand))
    if isinstance(indices, Tracer):
        raise ConcretizationTypeError(
            "[scatter_apply] expected indices that are known now, or unique ones, got traced indices that may repeat: how often the function is "
            "applied would depend on them. Pass unique_indices=True if no element is updated twice."
        )
    zeros, ones = np.zeros(shape_of(operand), np.int64), np.ones(update_shape, np.int64)
    counts = _scatter("add", "scatter_apply", zeros, indices, ones, dimension_numbers, False, mode)
    return apply_counted(operand, func, counts)


def index_take(src: Any, idxs: Sequence[Any], axes: Sequence[int]) -> Any:
    """`src` at integer arrays of some axes, the dimensions of the index arrays in front; indices count round the axes.

    Args:
      src: array.
      idxs: an integer array for each of `axes`; they broadcast together.
      axes: different axes of src.

    >>> index_take(np.arange(6).reshape(2, 3), (np.array([0, -1]),), (1,))
    array([[0, 3],
           [2, 5]])
    """
    x = arr(src)
    ndim = len(shape_of(x))
    if len(idxs) != len(axes) or len(set(axes)) != len(axes):
        raise ArgumentError(
            f"[index_take] expected an index array for each of the axes {tuple(axes)}, which differ, got {len(idxs)}."
        )
    by_axis = {as_axis(a, ndim, "index_take"): arr(i) for a, i in zip(axes, idxs)}
    ordered = tuple(sorted(by_axis))
    indices = [by_axis[a] for a in ordered]
    out = index_gather(x, indices, ordered, mode="wrap", op="index_take")
    return move_block(out, placement(ordered), 0, len(common_index_shape(indices)))
