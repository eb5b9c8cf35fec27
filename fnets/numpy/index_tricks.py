"""Index helpers and grids: `r_`, `c_`, `s_`, `mgrid`, `ix_`, `tril_indices`, `unravel_index`, ... May import arguments, creation, manipulation, primitives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, is_weak, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.numpy import creation
from fnets.numpy import manipulation as m
from fnets.numpy.arguments import default_dtype_of, is_known, known, result_dtype, to_array
from fnets.primitives import elementwise as e
from fnets.primitives.base import as_shape, convert, reshape

__all__ = [
    "c_", "diag_indices", "diag_indices_from", "index_exp", "ix_", "mask_indices", "mgrid", "ogrid", "r_",
    "ravel_multi_index", "s_", "tril_indices", "tril_indices_from", "triu_indices", "triu_indices_from",
    "unravel_index",
]  # fmt: skip

s_ = np.s_
index_exp = np.index_exp


class _Grid:
    """`mgrid` and `ogrid`: dense or open grids from slices."""

    def __init__(self, name: str, dense: bool, grid: Any):
        self._name, self._dense, self._grid = name, dense, grid

    def __getitem__(self, key: Any) -> Any:
        out = self._grid[key]
        if isinstance(out, tuple):
            return tuple([self._default(x) for x in out])
        return self._default(out)

    @staticmethod
    def _default(x: np.ndarray) -> np.ndarray:
        return x.astype(default_dtype_of(x.dtype.kind) or x.dtype, copy=False)

    def __repr__(self) -> str:
        return f"fnets.numpy.{self._name}"


mgrid = _Grid("mgrid", True, np.mgrid)
ogrid = _Grid("ogrid", False, np.ogrid)


class _Joiner:
    """`r_` and `c_`: arrays, scalars and ranges written as slices, joined along an axis."""

    def __init__(self, name: str, axis: int, ndmin: int, trans1d: int):
        self._name, self._defaults = name, (axis, ndmin, trans1d)

    def _part(self, item: Any, ndmin: int, trans1d: int) -> Any:
        if isinstance(item, slice):
            step = item.step
            if isinstance(step, complex):
                x = creation.linspace(0 if item.start is None else item.start, item.stop, int(abs(step)))
            else:
                x = creation.arange(item.start or 0, item.stop, 1 if step is None else step)
        else:
            x = np.asarray(item) if is_weak(item) and is_known(item) else creation.asarray(item)
        own = len(shape_of(x))
        x = reshape(x, (1,) * (ndmin - own) + shape_of(x)) if own < ndmin else x
        if own < ndmin and trans1d != -1:  # place the own axes at trans1d
            target = trans1d if trans1d >= 0 else trans1d + ndmin - own + 1
            order = list(range(ndmin - own))
            order[target:target] = list(range(ndmin - own, ndmin))
            x = m.transpose(x, order)
        return x

    def __getitem__(self, key: Any) -> Any:
        axis, ndmin, trans1d = self._defaults
        items = list(key) if isinstance(key, tuple) else [key]
        if items and isinstance(items[0], str):
            directive = items.pop(0)
            try:
                numbers = [int(n) for n in directive.split(",")]
            except ValueError:
                raise ArgumentError(
                    f"[{self._name}] expected a directive of integers such as '0,2', got {directive!r}."
                ) from None
            axis, ndmin, trans1d = (numbers + [axis, max(ndmin, 1), trans1d][len(numbers) :])[:3]
        parts = [self._part(item, max(ndmin, 1), trans1d) for item in items]
        dtype = result_dtype(*[item if is_weak(item) else x for item, x in zip(items, parts)])
        return m.concatenate([convert(x, dtype) for x in parts], axis)

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return f"fnets.numpy.{self._name}"


r_ = _Joiner("r_", 0, 1, -1)
c_ = _Joiner("c_", -1, 2, 0)


def ix_(*args: Any) -> tuple:
    """Index arrays for the cross product of vectors: `x[ix_(rows, columns)]`.

    >>> [i.shape for i in ix_([0, 1], [2, 3, 4])]
    [(2, 1), (1, 3)]
    """
    out = []
    for k, a in enumerate(args):
        a = to_array(a)
        if len(shape_of(a)) != 1:
            raise ShapeError(f"[ix_] expected vectors, got shape {shape_of(a)}.")
        if dtype_of(a).kind == "b":
            a = np.flatnonzero(known(a, "ix_", "A mask"))
        elif not shape_of(a)[0]:
            a = np.zeros(0, np.int64)
        out.append(reshape(a, tuple([shape_of(a)[0] if i == k else 1 for i in range(len(args))])))
    return tuple(out)


def diag_indices(n: int, ndim: int = 2) -> tuple:
    """The positions of the main diagonal of an array with `ndim` axes of length n.

    >>> diag_indices(2)
    (array([0, 1]), array([0, 1]))
    """
    if n < 0 or ndim < 1:
        raise ArgumentError(f"[diag_indices] expected n >= 0 and ndim >= 1, got {n} and {ndim}.")
    return (np.arange(n),) * ndim


def diag_indices_from(arr: Any) -> tuple:
    """The positions of the main diagonal of an array whose axes are all equally long.

    >>> diag_indices_from(np.ones((2, 2)))
    (array([0, 1]), array([0, 1]))
    """
    shape = shape_of(to_array(arr))
    if len(shape) < 2 or len(set(shape)) != 1:
        raise ShapeError(f"[diag_indices_from] expected at least two axes, all of one length, got shape {shape}.")
    return diag_indices(shape[0], len(shape))


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple:
    """The positions on and below the k-th diagonal of an n x m matrix.

    >>> tril_indices(2)
    (array([0, 1, 1]), array([0, 0, 1]))
    """
    return np.tril_indices(n, k, m)


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple:
    """The positions on and above the k-th diagonal of an n x m matrix.

    >>> triu_indices(2)
    (array([0, 0, 1]), array([0, 1, 1]))
    """
    return np.triu_indices(n, k, m)


def _matrix_shape(op: str, arr: Any) -> tuple[int, int]:
    shape = shape_of(to_array(arr))
    if len(shape) != 2:
        raise ShapeError(f"[{op}] expected a matrix, got shape {shape}.")
    return shape  # type: ignore[return-value]


def tril_indices_from(arr: Any, k: int = 0) -> tuple:
    """The positions on and below the k-th diagonal of a matrix.

    >>> tril_indices_from(np.ones((2, 2)))
    (array([0, 1, 1]), array([0, 0, 1]))
    """
    n, width = _matrix_shape("tril_indices_from", arr)
    return tril_indices(n, k, width)


def triu_indices_from(arr: Any, k: int = 0) -> tuple:
    """The positions on and above the k-th diagonal of a matrix.

    >>> triu_indices_from(np.ones((2, 2)))
    (array([0, 0, 1]), array([0, 1, 1]))
    """
    n, width = _matrix_shape("triu_indices_from", arr)
    return triu_indices(n, k, width)


def mask_indices(n: int, mask_func: Callable, k: int = 0, *, size: int | None = None) -> tuple:
    """The positions that a function such as `triu` leaves nonzero in an n x n matrix of ones.

    >>> mask_indices(2, np.triu)
    (array([0, 0, 1]), array([0, 1, 1]))
    """
    found = np.nonzero(np.asarray(mask_func(np.ones((n, n), np.int64), k)))
    if size is None:
        return found
    return tuple([np.resize(np.append(i, np.zeros(max(0, size - len(i)), np.int64)), size) for i in found])


def unravel_index(indices: Any, shape: Sequence[int]) -> tuple:
    """The positions, one array for each axis, of elements of the raveled array.

    Raises:
      IndexError: a known index is out of range.

    >>> unravel_index(5, (2, 3))
    (np.int64(1), np.int64(2))
    """
    indices = to_array(indices)
    if is_known(indices):
        try:
            return np.unravel_index(indices, as_shape(shape))
        except ValueError as error:
            raise ArgumentError(f"[unravel_index] expected positions in shape {tuple(shape)}: {error}.") from None
    out = []
    rest = convert(indices, np.int64)
    for n in reversed(as_shape(shape)):
        out.append(e.remainder(rest, n))
        rest = e.floor_divide(rest, n)
    return tuple(out[::-1])


def ravel_multi_index(
    multi_index: Any, dims: Sequence[int], mode: str | Sequence[str] = "raise", order: str = "C"
) -> Any:
    """The positions in the raveled array of elements given by one index array for each axis.

    Args:
      multi_index: integer arrays that broadcast together.
      dims: the array's shape.
      mode: what to do with positions out of range: "raise" (checked where values are known), "wrap" or "clip"; one, or one for each axis.
      order: "C" counts the last axis fastest, "F" the first.

    >>> ravel_multi_index((np.array([0, 1]), np.array([2, 0])), (2, 3))
    array([2, 3])
    """
    dims = as_shape(dims)
    indices = [to_array(i) for i in multi_index]
    if len(indices) != len(dims):
        raise ArgumentError(
            f"[ravel_multi_index] expected {len(dims)} index arrays for shape {dims}, got {len(indices)}."
        )
    if any([dtype_of(i).kind not in "iu" for i in indices]):
        raise ArgumentError(
            "[ravel_multi_index] expected integer index arrays, got another dtype. Convert with astype('int64')."
        )
    modes = [mode] * len(dims) if isinstance(mode, str) else list(mode)
    total: Any = 0
    axes = range(len(dims)) if order == "C" else range(len(dims) - 1, -1, -1)
    for k in axes:
        i, n = convert(indices[k], np.int64), dims[k]
        if modes[k] == "wrap":
            i = e.remainder(i, n)
        elif modes[k] == "clip":
            i = e.minimum(e.maximum(i, 0), n - 1)
        elif modes[k] != "raise":
            raise ArgumentError(f"[ravel_multi_index] expected mode 'raise', 'wrap' or 'clip', got {modes[k]!r}.")
        elif is_known(i) and i.size and (i.min() < 0 or i.max() >= n):
            raise ArgumentError(
                f"[ravel_multi_index] expected positions from 0 to {n - 1} for axis {k}, got others. Use mode='clip' or 'wrap'."
            )
        total = e.add(e.mul(total, n), i)
    return total
