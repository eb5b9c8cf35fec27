"""NumPy kernels that combine updates into an array at positions that may repeat. Lives here: no primitives. May import errors.

`ufunc.at` on flat arrays has a fast loop (1 ns an element), on rows it does not (20 ns): rows are therefore written as flat positions, worked
out in blocks that stay in cache. A sum of floats runs on pairs of neighbours seen as one complex number, which halves the positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnets.errors import IndexingError

_BLOCK = 1 << 16  # positions worked out at a time
_FEW = 256  # up to so many elements, the generic loop of ufunc.at costs less than working out positions
_MANY_REPEATS = (
    4  # from so many rows for each place on, adding them up in rounds costs less than a position per element
)
_ROUND = 4096  # a round's overhead, in elements
_LONG_ROW = 1024  # from here on a call per row costs less than a position per element
_PAIR_OF = {np.dtype(np.float32): np.dtype(np.complex64), np.dtype(np.float64): np.dtype(np.complex128)}
UFUNCS = {"add": np.add, "mul": np.multiply, "min": np.minimum, "max": np.maximum}


def placement(axes: Sequence[int]) -> int:
    """Where NumPy puts the dimensions of the index arrays in the result: at the indexed axes if those are neighbours, else in front.

    >>> placement((1, 2)), placement((0, 2))
    (1, 0)
    """
    return axes[0] if axes[-1] - axes[0] == len(axes) - 1 else 0


def index_tuple(indices: Sequence[Any], axes: Sequence[int]) -> tuple:
    """The index that applies index arrays at given axes, and takes the others whole.

    >>> index_tuple([3], [1])
    (slice(None, None, None), 3)
    """
    index: list[Any] = [slice(None)] * (axes[-1] + 1)
    for a, i in zip(axes, indices):
        index[a] = i
    return tuple(index)


def out_of_range(op: str, indices: Sequence[Any], axes: Sequence[int], shape: tuple[int, ...]) -> IndexingError | None:
    """The error for the first index that is out of range; None if all are inside."""
    for i, a in zip(indices, axes):
        n = shape[a]
        i = np.asarray(i)
        if i.size and not -n <= np.minimum.reduce(i, None) <= np.maximum.reduce(i, None) < n:
            wrong = i[(i < -n) | (i >= n)].flat[0]
            return IndexingError(
                f"[{op}] expected indices between {-n} and {n - 1} for axis {a} of shape {shape}, got {wrong}: index {wrong} is out "
                f"of bounds for axis {a} with size {n}. Use fnets.numpy.at(x)[...] with mode='clip', 'fill', 'drop' or 'wrap' if that is meant."
            )
    return None


def scatter_into(
    out: np.ndarray, updates: Any, indices: Sequence[Any], axes: tuple[int, ...], op: str, drop: bool, unique: bool
) -> np.ndarray:
    """Set, or combine by op, `updates` into a C-contiguous array, in place.

    updates: of the shape of `out[index]`; drop: indices outside [0, n) are left out, negative ones too; unique: no position occurs twice.
    """
    try:
        if drop:
            valid = valid_positions(indices, [out.shape[a] for a in axes])
            if not valid.all():
                return _scatter_valid(out, updates, indices, axes, op, unique, valid)
        if op == "set":
            if not unique and any([np.ndim(i) for i in indices]):
                return _set_last(out, updates, indices, axes)
            out[index_tuple(indices, axes)] = updates
        elif unique:
            index = index_tuple(indices, axes)
            out[index] = UFUNCS[op](out[index], updates)
        else:
            _combine(UFUNCS[op], out, updates, indices, axes)
    except IndexError:
        error = out_of_range("scatter", indices, axes, out.shape)
        if error is None:
            raise
        raise error from None
    return out


def valid_positions(indices: Sequence[Any], sizes: Sequence[int]) -> np.ndarray:
    """Where all indices lie in [0, size), as a bool array of their common shape."""
    valid = None
    for i, n in zip(indices, sizes):
        inside = np.logical_and(np.greater_equal(i, 0), np.less(i, n))
        valid = inside if valid is None else np.logical_and(valid, inside)
    return np.asarray(valid)


def _front(updates: Any, axes: Sequence[int], index_ndim: int) -> Any:
    """The updates with the dimensions of the index arrays first."""
    pos = placement(axes)
    if pos == 0:
        return updates
    order = [*range(pos, pos + index_ndim), *range(pos), *range(pos + index_ndim, updates.ndim)]
    return updates.transpose(order)


def _axes_first(out: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    return out.transpose([*axes, *[d for d in range(out.ndim) if d not in axes]])


def _scatter_valid(
    out: np.ndarray, updates: Any, indices: Sequence[Any], axes: Sequence[int], op: str, unique: bool, valid: np.ndarray
) -> np.ndarray:
    kept = [np.broadcast_to(i, valid.shape)[valid] for i in indices]
    chosen = _front(updates, axes, valid.ndim)[valid]
    if op != "set" and not unique:
        _combine(UFUNCS[op], out, chosen, kept, axes, front=True)
        return out
    view, index = _axes_first(out, axes), tuple(kept)
    view[index] = chosen if op == "set" else UFUNCS[op](view[index], chosen)
    return out


def _set_last(out: np.ndarray, updates: Any, indices: Sequence[Any], axes: Sequence[int]) -> np.ndarray:
    """Set so that the last of several updates of a position wins: NumPy may visit index arrays in the order of their memory."""
    if len(indices) == 1 and isinstance(indices[0], np.ndarray) and indices[0].flags.c_contiguous:
        out[index_tuple(indices, axes)] = updates
        return out
    shape = np.broadcast_shapes(*[np.shape(i) for i in indices])
    flat = [np.ascontiguousarray(np.broadcast_to(i, shape)).reshape(-1) for i in indices]
    rows = _front(updates, axes, len(shape))
    _axes_first(out, axes)[tuple(flat)] = rows.reshape((flat[0].size, *rows.shape[len(shape) :]))
    return out


def _positions(sizes: Sequence[int], strides: Sequence[int]) -> np.ndarray:
    """Flat positions, in C order, of the elements of an array of these sizes with these strides (in elements)."""
    out = np.zeros(1, np.intp)
    for n, s in zip(sizes, strides):
        out = np.add.outer(out, np.arange(n) * s).reshape(-1)
    return out


def _combine(
    ufunc: np.ufunc, out: np.ndarray, updates: Any, indices: Sequence[Any], axes: Sequence[int], front: bool = False
) -> None:
    """`ufunc.at`, fast also for rows. front: the updates have the dimensions of the index arrays first already."""
    if out.ndim == 1 or updates.size <= _FEW:
        target = _axes_first(out, axes) if front else out
        index = tuple(indices) if front else index_tuple(indices, axes)
        if out.ndim == 1 and np.ndim(indices[0]) > 1:
            index, updates = index[0].reshape(-1), updates.reshape(-1)
        ufunc.at(target, index, updates)
        return
    error = out_of_range("scatter", indices, axes, out.shape)
    if error is not None:
        raise error
    index_shape = np.broadcast_shapes(*[np.shape(i) for i in indices])
    rows = np.ascontiguousarray(updates if front else _front(updates, axes, len(index_shape)))
    rest = [d for d in range(out.ndim) if d not in axes]
    if ufunc is np.add and out.dtype in _PAIR_OF and rest and rest[-1] == out.ndim - 1 and out.shape[-1] % 2 == 0:
        out, rows = out.view(_PAIR_OF[out.dtype]), rows.view(_PAIR_OF[out.dtype])
    strides = [s // out.itemsize for s in out.strides]
    base: Any = 0
    for i, a in zip(indices, axes):
        i = np.asarray(i, np.intp)
        base = base + np.where(i < 0, i + out.shape[a], i) * strides[a]
    base = np.broadcast_to(base, index_shape).reshape(-1)
    columns = _positions([out.shape[d] for d in rest], [strides[d] for d in rest])
    _combine_rows(
        ufunc, out.reshape(-1), base, columns, rows.reshape(len(base), len(columns)), axes[-1] == len(axes) - 1
    )


def _combine_rows(
    ufunc: np.ufunc, flat: np.ndarray, base: np.ndarray, columns: np.ndarray, rows: np.ndarray, adjacent: bool
) -> None:
    """Combine row k of `rows` into `flat[base[k] + columns]`; adjacent: the columns are 0, 1, 2, ..."""
    width = len(columns)
    if width == 1:  # the one column is column 0
        ufunc.at(flat, base, rows.reshape(-1))
        return
    if adjacent and width >= _LONG_ROW:
        for start, row in zip(base.tolist(), rows):
            target = flat[start : start + width]
            ufunc(target, row, out=target)
        return
    if adjacent and len(base) * width >= _MANY_REPEATS * flat.size:
        table = flat.reshape(-1, width)
        numbers = base // width
        counts = np.bincount(numbers, minlength=len(table))
        if counts.max() * _ROUND <= rows.size:
            _combine_in_rounds(ufunc, table, numbers, counts, rows)
            return
    step = max(1, _BLOCK // width)
    for k in range(0, len(base), step):
        part = rows[k : k + step]
        ufunc.at(flat, np.add.outer(base[k : k + step], columns).reshape(-1), part.reshape(-1))


def _combine_in_rounds(
    ufunc: np.ufunc, table: np.ndarray, numbers: np.ndarray, counts: np.ndarray, rows: np.ndarray
) -> None:
    """Combine row k of `rows` into `table[numbers[k]]`: first those that are the first of their number, then the second ones, ...

    `counts` says how often each number occurs. With the most frequent numbers in front each round works on a prefix, without positions, and
    the rows of a number are combined in their order.
    """
    order = numbers.astype(np.uint16 if len(table) <= 1 << 16 else np.intp).argsort(kind="stable")
    places = (-counts).argsort(kind="stable")[: np.count_nonzero(counts)]
    begins = (np.cumsum(counts) - counts)[places]
    longest = int(counts[places[0]])
    going = len(places) - np.cumsum(np.bincount(counts[places], minlength=longest))  # numbers with more than k rows
    total = rows.take(order[begins], 0)
    for k in range(1, longest):
        part = total[: going[k]]
        ufunc(part, rows.take(order[begins[: going[k]] + k], 0), out=part)
    table[places] = ufunc(table[places], total)
