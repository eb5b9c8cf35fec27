"""Arrays as sets: `unique`, `isin`, `union1d`, ... May import arguments, manipulation, searching, sorting, primitives.

The shape of most results depends on values: these must be known, or `size=` must be given. Elements that are found keep their derivative.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fnets.core.trace import Tracer, dtype_of, shape_of, typeof
from fnets.errors import ConcretizationTypeError
from fnets.numpy import manipulation as m
from fnets.numpy import reductions as red
from fnets.numpy.arguments import as_type, flat, promoted, to_array
from fnets.numpy.searching import nonzero
from fnets.primitives import elementwise as e
from fnets.primitives.base import as_axis, convert, reshape
from fnets.primitives.cumulative import cumsum
from fnets.primitives.gather import index_gather, index_scatter
from fnets.primitives.shape import moveaxis
from fnets.primitives.sort import lexsort, searchsorted

__all__ = [
    "UniqueAll", "UniqueCounts", "UniqueInverse", "intersect1d", "isin", "setdiff1d", "setxor1d", "union1d", "unique",
    "unique_all", "unique_counts", "unique_inverse", "unique_values",
]  # fmt: skip


class UniqueAll(NamedTuple):
    """What `unique_all` returns.

    >>> unique_all([3, 1, 3])._fields
    ('values', 'indices', 'inverse_indices', 'counts')
    """

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    """What `unique_counts` returns.

    >>> unique_counts([3, 1, 3])._fields
    ('values', 'counts')
    """

    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    """What `unique_inverse` returns.

    >>> unique_inverse([3, 1, 3])._fields
    ('values', 'inverse_indices')
    """

    values: Any
    inverse_indices: Any


def _value(op: str, x: Any) -> np.ndarray:
    """The concrete value of an array."""
    if isinstance(x, Tracer):
        x = x._value_for(ConcretizationTypeError, op, "The number of results depends on values: pass size=.")
    return np.asarray(x)


def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    size: int | None = None,
    fill_value: Any = None,
    sorted: bool = True,
) -> Any:
    """The different elements, sorted.

    Args:
      ar: array; its values must be known unless `size` is given.
      return_index: also return the position of the first occurrence of each.
      return_inverse: also return, for every element, the position of its value in the result.
      return_counts: also return how often each occurs.
      axis: compare the slices along an axis; the raveled array's elements by default.
      equal_nan: count all NaN as one.
      size: how many to return: the rest is cut off, or filled with `fill_value` (by default the smallest element).
      sorted: accepted; the result always is.

    >>> unique(np.array([3, 1, 3]), return_counts=True)
    (array([1, 3]), array([1, 2]))
    """
    ar = to_array(ar)
    if size is not None:
        return _unique_sized(ar, return_index, return_inverse, return_counts, axis, equal_nan, size, fill_value)
    value = _value("unique", ar)
    out = np.unique(value, True, return_inverse, return_counts, axis, equal_nan=equal_nan)
    values, index = out[:2]
    if isinstance(ar, Tracer):
        values = index_gather(
            flat(ar) if axis is None else ar,
            (index,),
            (0 if axis is None else as_axis(axis, ar.ndim, "unique"),),
            unique=True,
        )
    rest = ([index] if return_index else []) + list(out[2:])
    return (values, *rest) if rest else values


def _unique_sized(
    ar: Any,
    return_index: bool,
    return_inverse: bool,
    return_counts: bool,
    axis: int | None,
    equal_nan: bool,
    size: int,
    fill_value: Any,
) -> Any:
    whole_shape = shape_of(ar)
    if axis is None:
        items = reshape(ar, (typeof(ar).size, 1))
    else:
        ar = moveaxis(ar, axis, 0)
        items = m.reshape(ar, (shape_of(ar)[0], -1))
    n = shape_of(items)[0]
    keys = list(m.unstack(items, axis=1))
    order = lexsort(keys[::-1])
    ordered = index_gather(items, (order,), (0,), unique=True)
    before, after = m.split(ordered, [n - 1])[0], m.split(ordered, [1])[1]
    same = e.eq(before, after)
    if equal_nan and dtype_of(items).kind in "fc":
        same = e.logical_or(same, e.logical_and(e.is_nan(before), e.is_nan(after)))
    first = m.concatenate([np.ones(min(n, 1), bool), e.logical_not(red.all(same, 1))])
    bounds = nonzero(first, size=size + 1, fill_value=n)[
        0
    ]  # where each group starts in the sorted order, and the one behind
    starts, ends = m.split(bounds, [size])[0], m.split(bounds, [1])[1]
    found = e.lt(starts, n)
    safe = e.minimum(starts, max(n - 1, 0))
    index = index_gather(order, (e.select(found, safe, 0),), (0,))
    values = index_gather(items, (index,), (0,))
    if fill_value is not None:
        fill = as_type(fill_value, dtype_of(values))
        values = e.select(m.expand_dims(found, 1), values, fill if not shape_of(fill) else flat(fill))
    shape = (size,) if axis is None else (size, *shape_of(ar)[1:])
    values = m.reshape(values, shape)
    out = [values if axis is None else moveaxis(values, 0, axis)]
    if return_index:
        out.append(index)
    if return_inverse:
        group = e.sub(cumsum(convert(first, np.int64)), 1)
        inverse = index_scatter(np.zeros(n, np.int64), group, (order,), (0,), "set", unique=True)
        out.append(reshape(inverse, whole_shape) if axis is None else inverse)
    if return_counts:
        out.append(e.select(found, e.sub(ends, starts), 0))
    return tuple(out) if len(out) > 1 else out[0]


def unique_values(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> Any:
    """The different elements, sorted; every NaN counts for itself.

    >>> unique_values(np.array([3, 1, 3]))
    array([1, 3])
    """
    return unique(x, equal_nan=False, size=size, fill_value=fill_value)


def unique_counts(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> UniqueCounts:
    """The different elements and how often each occurs.

    >>> unique_counts(np.array([3, 1, 3])).counts
    array([1, 2])
    """
    return UniqueCounts(*unique(x, return_counts=True, equal_nan=False, size=size, fill_value=fill_value))


def unique_inverse(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> UniqueInverse:
    """The different elements, and the position among them of every element.

    >>> unique_inverse(np.array([3, 1, 3])).inverse_indices
    array([1, 0, 1])
    """
    return UniqueInverse(*unique(x, return_inverse=True, equal_nan=False, size=size, fill_value=fill_value))


def unique_all(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> UniqueAll:
    """The different elements with first positions, inverse positions and counts.

    >>> unique_all(np.array([3, 1, 3])).indices
    array([1, 0])
    """
    return UniqueAll(*unique(x, True, True, True, equal_nan=False, size=size, fill_value=fill_value))


def isin(
    element: Any,
    test_elements: Any,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    kind: Any = None,
    method: Any = None,
) -> Any:
    """For every element, whether it is among `test_elements`.

    >>> isin(np.array([1, 2, 3]), np.array([3, 1]))
    array([ True, False,  True])
    """
    element, tests = promoted(element, test_elements)
    tests = flat(tests)
    n = shape_of(tests)[0]
    if not n:
        return np.full(shape_of(element), bool(invert))
    ordered = m.reshape(_sorted(tests), (n,))
    place = e.minimum(searchsorted(ordered, element), n - 1)
    found = e.eq(index_gather(ordered, (place,), (0,)), element)
    return e.logical_not(found) if invert else found


def _sorted(x: Any) -> Any:
    return index_gather(x, (lexsort([x]),), (0,), unique=True)


def union1d(ar1: Any, ar2: Any, *, size: int | None = None, fill_value: Any = None) -> Any:
    """The different elements of both arrays, sorted; `size` as in `unique`.

    >>> union1d(np.array([3, 1]), np.array([1, 2]))
    array([1, 2, 3])
    """
    return unique(m.concatenate([flat(to_array(ar1)), flat(to_array(ar2))]), size=size, fill_value=fill_value)


def _chosen(op: str, x: Any, mask: Any, size: int | None, fill_value: Any) -> Any:
    """The elements of a vector where a mask holds."""
    if size is None:
        return index_gather(x, (np.flatnonzero(_value(op, mask)),), (0,), unique=True)
    where = nonzero(mask, size=size, fill_value=shape_of(x)[0])[0]
    return index_gather(x, (where,), (0,), mode="fill", fill_value=0 if fill_value is None else fill_value)


def _sorted_with_repeats(xs: list) -> tuple[Any, Any]:
    """(all elements sorted, for each whether the one before is equal)."""
    both = _sorted(m.concatenate(xs))
    n = shape_of(both)[0]
    repeats = m.concatenate([np.zeros(min(n, 1), bool), e.eq(m.split(both, [1])[1], m.split(both, [max(n - 1, 0)])[0])])
    return both, repeats


def intersect1d(
    ar1: Any,
    ar2: Any,
    assume_unique: bool = False,
    return_indices: bool = False,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The elements that both arrays hold, sorted.

    Args:
      ar1, ar2: arrays, raveled; their values must be known unless `size` is given.
      return_indices: also return the first positions in both arrays.
      size: how many to return; missing ones hold `fill_value`.

    >>> intersect1d(np.array([3, 1, 2]), np.array([2, 3]))
    array([2, 3])
    """
    a, b = (flat(x) for x in promoted(ar1, ar2))
    if size is None:
        _, i, j = np.intersect1d(_value("intersect1d", a), _value("intersect1d", b), assume_unique, True)
        values = index_gather(a, (i,), (0,), unique=True)
        return (values, i, j) if return_indices else values
    first, indices = unique(a, return_index=True, size=shape_of(a)[0], fill_value=None)
    real = m.concatenate(
        [np.ones(min(shape_of(a)[0], 1), bool), e.ne(m.split(indices, [1])[1], m.split(indices, [1])[0])]
    )
    both = e.logical_and(real, isin(first, b))
    values = _chosen("intersect1d", first, both, size, fill_value)
    if not return_indices:
        return values
    n, k = shape_of(a)[0], shape_of(b)[0]
    where = nonzero(both, size=size, fill_value=n)[0]
    of_a = index_gather(indices, (where,), (0,), mode="fill", fill_value=n)
    order = lexsort([b])
    place = searchsorted(index_gather(b, (order,), (0,)), values)
    of_b = e.select(e.lt(where, n), index_gather(order, (place,), (0,), mode="fill", fill_value=k), k)
    return values, of_a, of_b


def setdiff1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, *, size: int | None = None, fill_value: Any = None
) -> Any:
    """The different elements of the first array that the second does not hold, sorted; `size` as in `intersect1d`.

    >>> setdiff1d(np.array([3, 1, 2]), np.array([2]))
    array([1, 3])
    """
    a, b = (flat(to_array(x)) for x in (ar1, ar2))
    if assume_unique:
        return _chosen("setdiff1d", a, isin(a, b, invert=True), size, fill_value)
    if size is None:
        a = unique(a)
        return _chosen("setdiff1d", a, isin(a, b, invert=True), None, None)
    ordered, repeats = _sorted_with_repeats([a])
    return _chosen(
        "setdiff1d", ordered, e.logical_and(e.logical_not(repeats), isin(ordered, b, invert=True)), size, fill_value
    )


def setxor1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, *, size: int | None = None, fill_value: Any = None
) -> Any:
    """The elements that exactly one of the arrays holds, sorted; `size` as in `intersect1d`.

    >>> setxor1d(np.array([1, 2]), np.array([2, 3]))
    array([1, 3])
    """
    a, b = (flat(x) for x in promoted(ar1, ar2))
    ordered, repeats = _sorted_with_repeats([a, b])
    if assume_unique:
        follows = m.concatenate([m.split(repeats, [1])[1], np.zeros(1, bool)])
        return _chosen("setxor1d", ordered, e.logical_not(e.logical_or(repeats, follows)), size, fill_value)
    once = e.ne(isin(ordered, a), isin(ordered, b))
    return _chosen("setxor1d", ordered, e.logical_and(e.logical_not(repeats), once), size, fill_value)
