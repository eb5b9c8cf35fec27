"""Sorting: sort, argsort, lexicographic order, the k largest, binary search. May import base, elementwise, shape, gather, indexing, core, errors.

Orders are integers and carry no derivative; what is sorted is differentiated through a gather by the sorting permutation. NaN sorts last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index as operator_index
from typing import Any

import numpy as np

from fnets.core.avals import ShapedArray, is_float
from fnets.core.primitive import Primitive
from fnets.core.trace import dtype_of, shape_of, typeof
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.primitives.base import arr, as_axis, convert, move_dim, nondifferentiable
from fnets.primitives.elementwise import sub
from fnets.primitives.gather import take_along
from fnets.primitives.indexing import getitem_p
from fnets.primitives.shape import ravel, rev, swapaxes

# ------------------------------------------------------------------ sort

sort_p = Primitive("sort", fresh=True)


def _sort_impl(x: Any, dimension: int) -> Any:
    out = np.array(x)
    out.sort(dimension)
    return out


def _shift(dimension: int, dims: Sequence[int | None]) -> int:
    return dimension + (dimension >= dims[0])  # type: ignore[operator]


def _check_axis(op: str, a: ShapedArray, dimension: int) -> None:
    if not 0 <= dimension < a.ndim:
        as_axis(dimension, a.ndim, op)


def _sort_abstract(a: ShapedArray, dimension: int) -> ShapedArray:
    _check_axis("sort", a, dimension)
    return ShapedArray(a.shape, a.dtype)


def _sort_jvp(primals: Sequence, tangents: Sequence, dimension: int) -> tuple:
    (x,) = primals
    if not is_float(dtype_of(x)):
        return sort_p.bind(x, dimension=dimension), None
    order = argsort_p.bind(x, dimension=dimension, is_stable=True)
    return take_along(x, order, dimension, unique=True), take_along(tangents[0], order, dimension, unique=True)


def _sort_vjp(active: Sequence[int], x: Any, dimension: int) -> tuple:
    if not is_float(dtype_of(x)):
        return sort_p.bind(x, dimension=dimension), None
    order = argsort_p.bind(x, dimension=dimension, is_stable=True)

    def pull(ct: Any) -> tuple:
        back = argsort_p.bind(order, dimension=dimension, is_stable=True)  # the inverse permutation
        return (take_along(ct, back, dimension, unique=True),)

    return take_along(x, order, dimension, unique=True), pull


sort_p.impl, sort_p.abstract, sort_p.jvp, sort_p.vjp = _sort_impl, _sort_abstract, _sort_jvp, _sort_vjp
sort_p.batch = lambda size, vals, dims, dimension: (sort_p.bind(vals[0], dimension=_shift(dimension, dims)), dims[0])


# ------------------------------------------------------------------ argsort

argsort_p = Primitive("argsort", fresh=True)


def _argsort_abstract(a: ShapedArray, dimension: int, is_stable: bool) -> ShapedArray:
    _check_axis("argsort", a, dimension)
    return ShapedArray(a.shape, np.intp)


argsort_p.impl = lambda x, dimension, is_stable: np.asarray(x).argsort(dimension, "stable" if is_stable else None)
argsort_p.abstract = _argsort_abstract
argsort_p.batch = lambda size, vals, dims, dimension, is_stable: (
    argsort_p.bind(vals[0], dimension=_shift(dimension, dims), is_stable=is_stable),
    dims[0],
)
nondifferentiable(argsort_p)


# ------------------------------------------------------------------ lexicographic order: the first key counts most

lexsort_p = Primitive("lexsort", fresh=True)


def _lexsort_abstract(*keys: ShapedArray, dimension: int) -> ShapedArray:
    _check_axis("sort", keys[0], dimension)
    if any([k.shape != keys[0].shape for k in keys]):
        raise ShapeError(
            f"[sort] expected operands of one shape, got {', '.join(str(k.shape) for k in keys)}. Broadcast them first."
        )
    return ShapedArray(keys[0].shape, np.intp)


def _lexsort_batch(size: int, vals: Sequence, dims: Sequence, dimension: int) -> tuple:
    return lexsort_p.bind(*[move_dim(v, d, 0, size) for v, d in zip(vals, dims)], dimension=dimension + 1), 0


lexsort_p.impl = lambda *keys, dimension: np.lexsort(keys[::-1], dimension)
lexsort_p.abstract, lexsort_p.batch = _lexsort_abstract, _lexsort_batch
nondifferentiable(lexsort_p)


# ------------------------------------------------------------------ positions of the k largest

top_k_indices_p = Primitive("top_k_indices", fresh=True)


def _top_k_impl(x: Any, k: int) -> Any:
    n = x.shape[-1]
    if n >= 256 and 0 < k <= n // 16 and x.size:
        found = _by_threshold(x.reshape(-1, n), k)
        if found is not None:
            return found.reshape(*x.shape[:-1], k)
    return _descending(x, k)


def _descending(x: np.ndarray, k: int) -> np.ndarray:
    """Positions of the k largest along the last axis, of equal ones the first first: a stable sort of the reversed array, reversed."""
    order = x[..., ::-1].argsort(-1, "stable")[..., ::-1][..., :k]
    return x.shape[-1] - 1 - order


def _by_threshold(rows: np.ndarray, k: int) -> np.ndarray | None:
    """The same, by sorting only what reaches the k-th largest of the maxima of blocks: k elements do, so all of the k largest do.

    None if there is a NaN, or if too many reach it.
    """
    count, n = rows.shape
    width = n // (8 * k)
    blocks = n // width
    inside = blocks * width
    maxima = np.maximum.reduce(rows[:, :inside].reshape(count, blocks, width), 2)  # NaN where a block has one
    if np.isnan(maxima).any() or np.isnan(rows[:, inside:]).any():
        return None
    row, column = (rows >= np.partition(maxima, blocks - k, 1)[:, blocks - k, None]).nonzero()
    if len(row) * 4 > rows.size:
        return None
    order = np.lexsort((rows[row, column][::-1], -row[::-1]))[
        ::-1
    ]  # rows ascending, values descending, equal ones in their order
    starts = np.searchsorted(row, np.arange(count))
    return column[len(row) - 1 - order[starts[:, None] + np.arange(k)]]


def _top_k_abstract(x: ShapedArray, k: int) -> ShapedArray:
    if x.ndim == 0 or not 0 <= k <= x.shape[-1]:
        raise ArgumentError(
            f"[top_k] expected k between 0 and the length of the axis, in shape {x.shape}, got k={k}. Choose a smaller k."
        )
    if x.dtype.kind == "c":
        raise DTypeError(
            f"[top_k] expected real numbers, got {x.dtype.name}. Order complex numbers by abs(x), for example."
        )
    return ShapedArray((*x.shape[:-1], k), np.intp)


top_k_indices_p.impl, top_k_indices_p.abstract = _top_k_impl, _top_k_abstract
top_k_indices_p.batch = lambda size, vals, dims, k: (top_k_indices_p.bind(move_dim(vals[0], dims[0], 0, size), k=k), 0)
nondifferentiable(top_k_indices_p)


# ------------------------------------------------------------------ binary search

# searchsorted(a, v): a sorted along its last axis; the leading `batch_ndim` axes of both are shared
searchsorted_p = Primitive("searchsorted", fresh=True)


def _searchsorted_impl(a: Any, v: Any, side: str, batch_ndim: int) -> Any:
    if batch_ndim == 0:
        return a.searchsorted(v, side)
    lead, n = math.prod(a.shape[:-1]), a.shape[-1]
    m = math.prod(v.shape[batch_ndim:])
    rows, values = a.reshape(lead, n), v.reshape(lead, m)
    # in a stable order of both, what precedes a value and belongs to `a` are the elements below it (or equal, for the right side)
    both = (values, rows) if side == "left" else (rows, values)
    order = np.concatenate(both, 1).argsort(1, "stable")
    from_a = order >= m if side == "left" else order < n
    before = np.add.accumulate(from_a, 1, np.intp)
    out = np.empty((lead, m), np.intp)
    r, c = (~from_a).nonzero()
    out[r, order[r, c] - (0 if side == "left" else n)] = before[r, c]
    return out.reshape(v.shape)


def _searchsorted_abstract(a: ShapedArray, v: ShapedArray, side: str, batch_ndim: int) -> ShapedArray:
    if a.ndim != batch_ndim + 1:
        raise ShapeError(
            f"[searchsorted] expected a sorted array of one axis, got shape {a.shape[batch_ndim:]}. Use vmap for several sorted arrays."
        )
    return ShapedArray(v.shape, np.intp)


def _searchsorted_batch(size: int, vals: Sequence, dims: Sequence, side: str, batch_ndim: int) -> tuple:
    if dims[0] is None and batch_ndim == 0:
        return searchsorted_p.bind(*vals, side=side, batch_ndim=0), dims[1]
    a, v = [move_dim(x, d, 0, size) for x, d in zip(vals, dims)]
    return searchsorted_p.bind(a, v, side=side, batch_ndim=batch_ndim + 1), 0


searchsorted_p.impl, searchsorted_p.abstract, searchsorted_p.batch = (
    _searchsorted_impl,
    _searchsorted_abstract,
    _searchsorted_batch,
)
nondifferentiable(searchsorted_p)


# ------------------------------------------------------------------ the user's functions (those of fnets.lax)


def sort(operand: Any, dimension: int = -1, is_stable: bool = True, num_keys: int = 1) -> Any:
    """Sort along an axis; with several operands, all by the order of the first `num_keys` of them.

    Args:
      operand: an array, or a tuple or list of arrays of one shape.
      dimension: the axis.
      is_stable: equal elements keep their order.
      num_keys: how many leading operands decide the order, the first counting most.

    Returns:
      An array, or a tuple of arrays. NaN sorts last.

    Raises:
      ArgumentError: num_keys is not between 1 and the number of operands.

    >>> sort((np.array([2, 1, 2]), np.array([5, 6, 4])), num_keys=2)
    (array([1, 2, 2]), array([6, 4, 5]))
    """
    if not isinstance(operand, (tuple, list)):
        x = arr(operand)
        return sort_p.bind(x, dimension=as_axis(dimension, len(shape_of(x)), "sort"))
    xs = [arr(x) for x in operand]
    if not 1 <= num_keys <= len(xs):
        raise ArgumentError(
            f"[sort] expected num_keys between 1 and the number of operands, {len(xs)}, got {num_keys}."
        )
    shapes = [shape_of(x) for x in xs]
    if any([s != shapes[0] for s in shapes]):
        raise ShapeError(
            f"[sort] expected operands of one shape, got {', '.join(map(str, shapes))}. Broadcast them first."
        )
    axis = as_axis(dimension, len(shapes[0]), "sort")
    if num_keys == 1:
        order = argsort_p.bind(xs[0], dimension=axis, is_stable=is_stable)
    else:
        order = lexsort_p.bind(*xs[:num_keys], dimension=axis)
    return tuple([take_along(x, order, axis, unique=True) for x in xs])


def sort_key_val(keys: Any, values: Any, dimension: int = -1, is_stable: bool = True) -> tuple[Any, Any]:
    """Sort `keys` along an axis, and `values` of the same shape with them.

    >>> sort_key_val(np.array([3, 1]), np.array([0, 1]))
    (array([1, 3]), array([1, 0]))
    """
    return sort((keys, values), dimension, is_stable)


def top_k(operand: Any, k: int, *, axis: int = -1) -> tuple[Any, Any]:
    """The k largest elements along an axis, in descending order, and their positions; of equal ones the first. NaN counts as largest.

    Args:
      operand: real array.
      k: how many, at most the length of the axis.

    Returns:
      (values, indices), the axis having length k. The values carry derivatives.

    >>> top_k(np.array([3, 1, 3, 2]), 3)
    (array([3, 3, 2]), array([0, 2, 3]))
    """
    x = arr(operand)
    ndim = len(shape_of(x))
    axis = as_axis(axis, ndim, "top_k")
    last = x if axis == ndim - 1 else swapaxes(x, axis, ndim - 1)
    k = operator_index(k)
    _top_k_abstract(typeof(last), k)  # NumPy itself would order complex numbers, and cut k
    indices = top_k_indices_p.bind(last, k=k)
    values = take_along(last, indices, ndim - 1, unique=True)
    if axis != ndim - 1:
        values, indices = swapaxes(values, axis, ndim - 1), swapaxes(indices, axis, ndim - 1)
    return values, indices


def argsort(
    a: Any,
    axis: int | None = -1,
    *,
    kind: Any = None,
    order: Any = None,
    stable: bool = True,
    descending: bool = False,
    dtype: Any = None,
) -> Any:
    """Positions that sort an array along an axis, as int64; NaN last (first if descending), equal elements in their order.

    Args:
      a: array.
      axis: the axis; None sorts the flattened array.
      stable: False allows a faster sort that may exchange equal elements.
      kind, order: accepted for NumPy's sake; ignored.
      dtype: integer dtype of the result.

    >>> argsort(np.array([3, 1, 2, 1])), argsort(np.array([3, 1, 2, 1]), descending=True)
    (array([1, 3, 2, 0]), array([0, 2, 1, 3]))
    """
    x, axis = _with_axis("argsort", a, axis)
    if descending:
        positions = rev(argsort_p.bind(rev(x, (axis,)), dimension=axis, is_stable=stable), (axis,))
        positions = sub(shape_of(x)[axis] - 1, positions)
    else:
        positions = argsort_p.bind(x, dimension=axis, is_stable=stable)
    return positions if dtype is None else convert(positions, dtype)


def _with_axis(op: str, a: Any, axis: int | None) -> tuple[Any, int]:
    """The array, flattened if axis is None, and the axis."""
    x = arr(a)
    if axis is None:
        return ravel(x), 0
    return x, as_axis(axis, len(shape_of(x)), op)


def lexsort(keys: Any, axis: int = -1) -> Any:
    """Positions that sort by several keys along an axis, the last key counting most.

    Args:
      keys: a sequence of arrays of one shape, or an array whose first axis runs over the keys.

    >>> lexsort((np.array([5, 4, 6]), np.array([1, 1, 0])))
    array([2, 1, 0])
    """
    if isinstance(keys, (tuple, list)):
        xs = [arr(k) for k in keys]
    else:
        keys = arr(keys)
        xs = [getitem_p.bind(keys, spec=(k,)) for k in range(shape_of(keys)[0])] if shape_of(keys) else []
    if not xs:
        raise ArgumentError("[lexsort] expected at least one key, got none. Pass a sequence of arrays.")
    ndim = len(shape_of(xs[0]))
    if ndim == 0:
        return np.intp(0)
    return lexsort_p.bind(*xs[::-1], dimension=as_axis(axis, ndim, "lexsort"))


def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None, *, method: str = "scan") -> Any:
    """Where to insert values into a sorted array so that it stays sorted, as int64.

    Args:
      a: sorted array of one axis.
      v: values, of any shape.
      side: "left" inserts before equal elements, "right" after them.
      sorter: positions that sort `a`, if it is not sorted.
      method: accepted for JAX's sake; ignored.

    Returns:
      An array of positions of the shape of `v`.

    >>> searchsorted(np.array([1, 2, 2, 3]), np.array([2, 9]), side="right")
    array([3, 4])
    """
    if side not in ("left", "right"):
        raise ArgumentError(f"[searchsorted] expected side 'left' or 'right', got {side!r}.")
    a, v = arr(a), arr(v)
    if sorter is not None:
        a = take_along(a, arr(sorter), 0, unique=True)
    return searchsorted_p.bind(a, v, side=side, batch_ndim=0)
