"""Choosing elements by conditions and positions: `where`, `nonzero`, `take`, `compress`, `select`, `insert`, `delete`, ...

May import arguments, manipulation, reductions, primitives. Results whose shape depends on values need values that are known: not under `jit`, or with `size=`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnets.core.trace import Tracer, dtype_of, is_weak, shape_of, typeof
from fnets.errors import ArgumentError, AxisError, NonConcreteBooleanIndexError, ShapeError
from fnets.numpy import manipulation as m
from fnets.numpy.arguments import as_type, flat, known, operand, promoted, refuse_out, result_dtype, to_array
from fnets.numpy.reordering import resize
from fnets.primitives import elementwise as e
from fnets.primitives.base import as_axis, broadcast_to, convert, reshape
from fnets.primitives.cumulative import cumsum
from fnets.primitives.gather import index_gather, index_scatter
from fnets.primitives.sort import searchsorted_p

__all__ = [
    "argwhere", "bincount", "choose", "compress", "delete", "extract", "flatnonzero", "insert", "nonzero", "place",
    "put", "select", "where",
]  # fmt: skip


def where(condition: Any, x: Any = None, y: Any = None, /, *, size: int | None = None, fill_value: Any = None) -> Any:
    """`x` where the condition holds, else `y`; with the condition alone, `nonzero(condition)`.

    Both branches are computed, but only the derivative of the one that is taken counts. Two Python scalars give the default dtypes.

    Args:
      condition: array; nonzero counts as true.
      x, y: arrays that broadcast with it.
      size, fill_value: for the form with one argument, as in `nonzero`.

    >>> where(np.array([True, False]), 1.0, 0.0)
    array([1., 0.], dtype=float32)
    """
    if x is None and y is None:
        return nonzero(condition, size=size, fill_value=fill_value)
    if x is None or y is None:
        raise ArgumentError("[where] expected both x and y, or neither, got one of them.")
    condition, x, y = operand(condition), operand(x), operand(y)
    if dtype_of(condition).kind != "b":
        condition = e.ne(condition, 0)
    if is_weak(condition):
        return e.select(condition, x, y)
    if type(x) is not np.ndarray and type(y) is not np.ndarray and is_weak(x) and is_weak(y):
        dtype = result_dtype(x, y)
        x, y = convert(x, dtype), convert(y, dtype)
    return e.select(condition, x, y)


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """For each element, the choice of the first condition that holds, else `default`.

    >>> x = np.arange(4)
    >>> select([x < 1, x > 2], [x, x**2], -1)
    array([ 0, -1, -1,  9])
    """
    if len(condlist) != len(choicelist):
        raise ArgumentError(
            f"[select] expected as many conditions as choices, got {len(condlist)} and {len(choicelist)}."
        )
    if not condlist:
        raise ArgumentError("[select] expected at least one condition, got none.")
    conditions = [to_array(c) for c in condlist]
    if any([dtype_of(c).kind != "b" for c in conditions]):
        raise ArgumentError(
            "[select] expected boolean conditions, got another dtype. Compare first, for example x != 0."
        )
    values = [operand(v) for v in (*choicelist, default)]
    dtype = result_dtype(*values)
    out = as_type(values[-1], dtype)
    shape = e.broadcast_shapes("select", *map(shape_of, conditions), *[shape_of(v) for v in values])
    for c, v in zip(conditions[::-1], values[-2::-1]):
        out = e.select(c, as_type(v, dtype), out)
    return broadcast_to(out, shape)


def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    """For each element, that of the array of `choices` whose number stands in `a`.

    Args:
      a: integers.
      choices: a sequence of arrays that broadcast with `a`.
      mode: what to do with numbers out of range: "raise", "wrap" or "clip".

    >>> choose(np.array([0, 1, 0]), [np.array([1, 2, 3]), 10])
    array([ 1, 10,  3])
    """
    refuse_out("choose", out)
    a = to_array(a)
    xs = promoted(*choices)
    shape = e.broadcast_shapes("choose", shape_of(a), *map(shape_of, xs))
    stacked = m.stack([broadcast_to(x, shape) for x in xs])
    grid = [np.arange(n).reshape([n if i == j else 1 for j in range(len(shape))]) for i, n in enumerate(shape)]
    index = broadcast_to(a, shape)
    modes = {"raise": None, "wrap": "wrap", "clip": "clip"}
    if mode not in modes:
        raise ArgumentError(f"[choose] expected mode 'raise', 'wrap' or 'clip', got {mode!r}.")
    return index_gather(
        stacked,
        (index, *grid),
        tuple(range(len(shape) + 1)),
        mode=modes[mode],
        wrap_negative=mode != "raise",
        op="choose",
    )


# ------------------------------------------------------------------ positions of what is nonzero


def _concrete_mask(op: str, x: Any) -> np.ndarray:
    if isinstance(x, Tracer):
        fix = "Its result's shape depends on values: pass size=, or use fnets.numpy.where(mask, x, y)."
        x = x._value_for(NonConcreteBooleanIndexError, op, fix)
    return np.asarray(x)


def nonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> tuple:
    """The positions of nonzero elements, one vector for each axis.

    Args:
      a: array; its values must be known unless `size` is given.
      size: how many positions to return: the rest is cut off, or filled with `fill_value` (0 by default, or one for each axis).

    >>> nonzero(np.array([0, 3, 0, 4]))
    (array([1, 3]),)
    """
    a = to_array(a)
    if size is None:
        values = _concrete_mask("nonzero", a)
        if not values.ndim:
            raise ShapeError("[nonzero] expected an array with at least one axis, got a scalar. Use atleast_1d first.")
        return tuple(values.nonzero())
    shape = shape_of(a)
    found = flat(a if dtype_of(a).kind == "b" else e.ne(a, 0))
    counts = cumsum(convert(found, np.int64))
    # the k-th position is where the running count reaches k + 1
    positions = searchsorted_p.bind(counts, np.arange(1, size + 1), side="left", batch_ndim=0)
    valid = e.lt(positions, shape_of(found)[0])
    fills = (
        fill_value if isinstance(fill_value, (tuple, list)) else [0 if fill_value is None else fill_value] * len(shape)
    )
    out = []
    for n, stride, fill in zip(shape, _strides(shape), fills):
        out.append(
            e.select(
                valid,
                e.remainder(e.floor_divide(positions, max(stride, 1)), max(n, 1)),
                as_type(fill, np.int64),
            )
        )
    return tuple(out)


def _strides(shape: tuple[int, ...]) -> list[int]:
    out = [1] * len(shape)
    for i in range(len(shape) - 2, -1, -1):
        out[i] = out[i + 1] * shape[i + 1]
    return out


def flatnonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> Any:
    """The positions of nonzero elements in the raveled array; `size` as in `nonzero`.

    >>> flatnonzero(np.array([[0, 3], [4, 0]]))
    array([1, 2])
    """
    return nonzero(m.ravel(a), size=size, fill_value=fill_value)[0]


def argwhere(a: Any, *, size: int | None = None, fill_value: Any = None) -> Any:
    """The positions of nonzero elements, one row each; `size` as in `nonzero`.

    >>> argwhere(np.array([[0, 3], [4, 0]]))
    array([[0, 1],
           [1, 0]])
    """
    a = to_array(a)
    if not shape_of(a):
        return argwhere(reshape(a, (1,)), size=size, fill_value=fill_value)[:, :0]
    return m.stack(nonzero(a, size=size, fill_value=fill_value), axis=1)


# ------------------------------------------------------------------ putting by position


def _not_in_place(op: str, inplace: bool) -> None:
    if inplace:
        raise ArgumentError(
            f"[{op}] expected inplace=False, got True: arrays here never change. Write a = {op}(a, ..., inplace=False)."
        )


def put(a: Any, ind: Any, v: Any, mode: str | None = None, *, inplace: bool = False) -> Any:
    """A copy of `a` with values at positions of the raveled array; values repeat as often as needed.

    NumPy's function of this name writes into its argument; here nothing changes, and `inplace=True` is refused.

    >>> put(np.zeros(3), np.array([0, 2]), np.array([1.0, 2.0]))
    array([1., 0., 2.])
    """
    _not_in_place("put", inplace)
    a, ind = to_array(a), flat(m.atleast_1d(ind))
    v = flat(m.atleast_1d(as_type(v, dtype_of(a))))
    n = shape_of(ind)[0]
    if not n or not shape_of(v)[0]:
        return a
    values = resize(v, (n,))
    mode = None if mode == "raise" else mode
    out = index_scatter(flat(a), values, (ind,), (0,), "set", mode=mode, wrap_negative=mode != "clip", name="put")
    return reshape(out, shape_of(a))


def place(arr: Any, mask: Any, vals: Any, *, inplace: bool = False) -> Any:
    """A copy of `arr` with values, in order and over again, where the mask is true.

    NumPy's function of this name writes into its argument; here nothing changes, and `inplace=True` is refused.

    >>> place(np.arange(4), np.array([True, False, True, False]), np.array([9, 8]))
    array([9, 1, 8, 3])
    """
    _not_in_place("place", inplace)
    x, mask = to_array(arr), to_array(mask)
    vals = flat(m.atleast_1d(as_type(vals, dtype_of(x))))
    if typeof(mask).size != typeof(x).size:
        raise ShapeError(
            f"[place] expected a mask with as many elements as the array, got shapes {shape_of(mask)} and {shape_of(x)}."
        )
    if not shape_of(vals)[0]:
        raise ShapeError("[place] expected at least one value, got none.")
    chosen = flat(mask if dtype_of(mask).kind == "b" else e.ne(mask, 0))
    number = e.sub(cumsum(convert(chosen, np.int64)), 1)
    values = index_gather(vals, (e.remainder(number, shape_of(vals)[0]),), (0,))
    return reshape(e.select(chosen, values, flat(x)), shape_of(x))


# ------------------------------------------------------------------ selecting by masks


def compress(
    condition: Any, a: Any, axis: int | None = None, out: Any = None, *, size: int | None = None, fill_value: Any = 0
) -> Any:
    """The slices along an axis for which a vector of conditions holds; of the raveled array by default.

    Args:
      condition: vector; what lies beyond its end is left out. Its values must be known unless `size` is given.
      size: how many slices to return; missing ones hold `fill_value`.

    >>> compress(np.array([False, True]), np.array([[1, 2], [3, 4]]), axis=0)
    array([[3, 4]])
    """
    refuse_out("compress", out)
    a = to_array(a)
    if axis is None:
        a, axis = flat(a), 0
    condition = to_array(condition)
    if len(shape_of(condition)) != 1:
        raise ShapeError(f"[compress] expected a vector of conditions, got shape {shape_of(condition)}.")
    axis = as_axis(axis, len(shape_of(a)), "compress")
    n = shape_of(a)[axis]
    if size is None:
        positions = np.flatnonzero(_concrete_mask("compress", condition))
        return index_gather(a, (positions,), (axis,), op="compress")
    positions = nonzero(condition, size=size, fill_value=n)[0]
    return index_gather(a, (positions,), (axis,), mode="fill", fill_value=fill_value, op="compress")


def extract(condition: Any, arr: Any, *, size: int | None = None, fill_value: Any = 0) -> Any:
    """The elements where a condition holds, as a vector; `size` as in `compress`.

    >>> extract(np.array([True, False, True]), np.array([1, 2, 3]))
    array([1, 3])
    """
    return compress(m.ravel(condition), m.ravel(arr), size=size, fill_value=fill_value)


# ------------------------------------------------------------------ inserting and deleting


def _positions(op: str, obj: Any, n: int) -> np.ndarray:
    """Checked, non-negative positions for an axis of length n, from an int, slice, sequence or mask."""
    if isinstance(obj, slice):
        return np.arange(*obj.indices(n))
    index = np.asarray(known(obj, op, "obj"))
    if index.dtype == bool:
        if index.shape != (n,):
            raise ShapeError(f"[{op}] expected a mask of length {n}, got shape {index.shape}.")
        return np.flatnonzero(index)
    if index.size == 0:
        return np.zeros(0, np.int64)
    if index.dtype.kind not in "iu":
        raise ArgumentError(f"[{op}] expected integer positions, got {index.dtype.name}.")
    low, high = (-n, n) if op == "insert" else (-n, n - 1)
    if index.min() < low or index.max() > high:
        raise AxisError(
            f"[{op}] expected positions between {low} and {high}, got {index.tolist()}: out of bounds for an axis of length {n}."
        )
    return np.where(index < 0, index + n, index)


def delete(arr: Any, obj: Any, axis: int | None = None, *, assume_unique_indices: bool = False) -> Any:
    """The array without some slices along an axis; the raveled array by default.

    Args:
      arr: array.
      obj: what to delete: an int, a slice, ints, or a mask. Known while tracing.
      axis: the axis.

    >>> delete(np.arange(5), [1, 3])
    array([0, 2, 4])
    """
    x = to_array(arr)
    if axis is None:
        x, axis = flat(x), 0
    axis = as_axis(axis, len(shape_of(x)), "delete")
    keep = np.ones(shape_of(x)[axis], bool)
    keep[_positions("delete", obj, len(keep))] = False
    return index_gather(x, (np.flatnonzero(keep),), (axis,), unique=True)


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """The array with values inserted before positions along an axis; the raveled array by default.

    Args:
      arr: array.
      obj: positions of the original array: an int, a slice, ints, or a mask. Known while tracing.
      values: what to insert; broadcasts, and is converted to the array's dtype.
      axis: the axis.

    >>> insert(np.array([1, 2, 3]), 1, 9)
    array([1, 9, 2, 3])
    """
    x = to_array(arr)
    values = as_type(values, dtype_of(x))
    if axis is None:
        x, axis = flat(x), 0
    ndim = len(shape_of(x))
    axis = as_axis(axis, ndim, "insert")
    shape = shape_of(x)
    n = shape[axis]
    scalar = isinstance(obj, (int, np.integer)) or (isinstance(obj, (np.ndarray, Tracer)) and obj.ndim == 0)
    where_ = np.atleast_1d(_positions("insert", obj, n)).ravel()
    if len(where_) == 1 and scalar:  # NumPy: a single int takes values whose first axis is the one inserted along
        wide = m.moveaxis(reshape(values, (1,) * (ndim - len(shape_of(values))) + shape_of(values)), 0, axis)
        count = shape_of(wide)[axis]
        where_ = np.repeat(where_, count)
        values = broadcast_to(wide, (*shape[:axis], count, *shape[axis + 1 :]))
    else:
        values = broadcast_to(values, (*shape[:axis], len(where_), *shape[axis + 1 :]))
    order = np.argsort(where_, kind="stable")
    new = np.empty(len(where_), np.int64)
    new[order] = where_[order] + np.arange(len(where_))
    source = np.empty(n + len(where_), np.int64)  # positions in [x, values] of every element of the result
    old = np.ones(len(source), bool)
    old[new] = False
    source[old] = np.arange(n)
    source[new] = n + np.arange(len(where_))
    return index_gather(m.concatenate([x, values], axis), (source,), (axis,), unique=True)


# ------------------------------------------------------------------ counting by value


def bincount(x: Any, weights: Any = None, minlength: int = 0, *, length: int | None = None) -> Any:
    """How often each number 0, 1, 2, ... occurs, or the sum of its weights.

    Args:
      x: vector of non-negative integers.
      weights: one for each; differentiable.
      minlength: the result has at least this length.
      length: the result's length exactly; larger numbers are left out. Needed where the values are not known (under jit).

    >>> bincount(np.array([0, 2, 2]))
    array([1, 0, 2])
    """
    x = to_array(x)
    if len(shape_of(x)) != 1:
        raise ShapeError(f"[bincount] expected a vector, got shape {shape_of(x)}. Ravel it first.")
    if dtype_of(x).kind not in "iub":
        raise ArgumentError(f"[bincount] expected integers, got {dtype_of(x).name}. Convert with astype('int64').")
    x = convert(x, np.int64)
    if length is None:
        values = np.asarray(known(x, "bincount", "The largest value"))
        if values.size and values.min() < 0:
            raise ArgumentError("[bincount] expected non-negative integers, got negative ones. Shift them.")
        length = max(int(values.max(initial=-1)) + 1, minlength)
    else:
        length = max(length, minlength)
    if weights is None:
        weights = np.ones(shape_of(x), np.int64)
    else:
        weights = to_array(weights)
        weights = convert(weights, np.float64) if dtype_of(weights).kind in "iub" else weights
        if shape_of(weights) != shape_of(x):
            raise ShapeError(f"[bincount] expected weights of shape {shape_of(x)}, got {shape_of(weights)}.")
    return index_scatter(
        np.zeros(length, dtype_of(weights)), weights, (x,), (0,), "add", mode="drop", wrap_negative=False
    )
