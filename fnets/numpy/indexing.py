"""Indexing as NumPy does it, on arrays and traced values. Lives here: `getitem`, `at`, take and put along an axis.

An index becomes a spec (ints, slices, new axes), which is a view, and index arrays, which are gathered from it or scattered into it. May import
core, primitives, control, errors, `fnets.numpy.arguments`, `fnets.numpy.index_parsing`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict, Unpack

import numpy as np

from fnets.control.while_loop import while_loop
from fnets.core.trace import Tracer, dtype_of, shape_of
from fnets.errors import (
    ArgumentError,
    DTypeError,
    IndexingError,
    NonConcreteBooleanIndexError,
    ShapeError,
)
from fnets.numpy.arguments import flat, refuse_out, to_array
from fnets.numpy.index_parsing import PLAIN, Index, basic_spec, known_mask, parse_index
from fnets.primitives.base import arr, as_axis, broadcast_to, convert, reshape
from fnets.primitives.elementwise import add, broadcast_shapes, div, gt, lt, maximum, minimum, mul, neg, power, select
from fnets.primitives.gather import (
    along_axis_indices,
    apply_counted,
    as_mode,
    index_gather,
    index_scatter,
    take_along,
)
from fnets.primitives.index_arrays import common_index_shape, gathered_shape, move_block
from fnets.primitives.index_specs import spec_shape
from fnets.primitives.indexing import getitem_spec, update_spec
from fnets.primitives.reduce import reduce_max
from fnets.primitives.shape import concatenate

# ------------------------------------------------------------------ x[index]


def _is_plain(index: Any) -> bool:
    return type(index) in PLAIN or type(index) is np.ndarray


def getitem(x: Any, index: Any) -> Any:
    """`x[index]` by NumPy's rules, on arrays and traced values. An index of ints, slices, None and Ellipsis gives a view.

    Args:
      x: array.
      index: what may stand in square brackets.

    Raises:
      IndexingError: out of range, too many indices, or a kind that cannot index.
      NonConcreteBooleanIndexError: a boolean mask that is not known while tracing.

    >>> getitem(np.arange(6).reshape(2, 3), (slice(None), [0, 2]))
    array([[0, 2],
           [3, 5]])
    """
    if type(x) is np.ndarray and (all(map(_is_plain, index)) if type(index) is tuple else _is_plain(index)):
        try:
            return x[index]
        except IndexError as error:
            raise IndexingError(
                f"[getitem] expected an index that fits an array of shape {x.shape}: {error}."
            ) from None
    x = to_array(x)
    shape = shape_of(x)
    spec = basic_spec(shape, index)
    return _at(x, parse_index(shape, index)) if spec is None else getitem_spec(x, spec)


def _at(
    x: Any, i: Index, mode: str = "raise", fill_value: Any = None, unique: bool = False, wrap_negative: bool = True
) -> Any:
    y = getitem_spec(x, i.spec)
    if not i.arrays:
        return y
    out = index_gather(
        y, i.arrays, i.axes, mode=mode, fill_value=fill_value, unique=unique or i.unique, wrap_negative=wrap_negative
    )
    return move_block(out, i.axes[0], 0, _index_ndim(i)) if i.front else out


def _index_ndim(i: Index) -> int:
    return max([len(shape_of(a)) for a in i.arrays])


# ------------------------------------------------------------------ x.at[index]


def at(x: Any) -> At:
    """`at(x)[index].set(values)` and the like: copies of `x` with some elements changed. See `IndexUpdateRef` for the operations.

    >>> at(np.zeros(3))[1].set(5)
    array([0., 5., 0.])
    >>> at(np.zeros(3))[[0, 0, 2]].add(1)
    array([2., 0., 1.])
    """
    return At(to_array(x))


class At:
    """What `at(x)`, and `x.at` of a traced value, give: an array that waits for its index.

    >>> At(np.arange(3))[0].get()
    np.int64(0)
    """

    __slots__ = ("array",)

    def __init__(self, array: Any):
        self.array = array

    def __getitem__(self, index: Any) -> IndexUpdateRef:
        return IndexUpdateRef(self.array, index)

    def __repr__(self) -> str:
        return f"At({self.array!r})"


_KIND_RANK = {"b": 0, "i": 1, "u": 1, "f": 2, "V": 2, "c": 3}


class UpdateOptions(TypedDict, total=False):
    """The options of the methods that change elements; see `IndexUpdateRef`.

    >>> sorted(UpdateOptions.__optional_keys__)[0]
    'indices_are_sorted'
    """

    indices_are_sorted: bool
    unique_indices: bool
    mode: Any
    wrap_negative_indices: bool
    out_sharding: Any


class IndexUpdateRef:
    """Some elements of an array, to be read (`get`) or changed in a copy (`set`, `add`, ..., `apply`).

    All methods take `mode`, for indices out of range: None raises IndexingError, as NumPy does; "clip" moves them to the nearest end, "wrap"
    counts round, "drop" (or "fill") leaves such updates out, "promise_in_bounds" is None. Negative indices count from the end unless
    `wrap_negative_indices` is False: then they are out of range. `unique_indices` promises that no element is indexed twice;
    `indices_are_sorted` is accepted and not needed. The dtype of the array stays: values are converted to it.
    Where an element is indexed several times, add, multiply, min and max use all its updates, and set the last.

    >>> IndexUpdateRef(np.array([1, 2, 3]), slice(1, None)).multiply(10)
    array([ 1, 20, 30])
    """

    __slots__ = ("array", "index")

    def __init__(self, array: Any, index: Any):
        self.array = array
        self.index = index

    def __repr__(self) -> str:
        return f"IndexUpdateRef({self.array!r}, {self.index!r})"

    def get(
        self,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: Any = None,
        fill_value: Any = None,
        wrap_negative_indices: bool = True,
    ) -> Any:
        """The selected elements. With mode "fill", `fill_value` stands where an index is out of range: by default NaN, or the lowest integer.

        >>> at(np.arange(3))[np.array([1, 7])].get(mode="fill", fill_value=-1)
        array([ 1, -1])
        """
        mode = as_mode(mode, "at.get")
        x = arr(self.array)
        i = parse_index(shape_of(x), self.index, mode, wrap_negative_indices)
        return _at(x, i, _as_given(mode), fill_value, unique_indices, wrap_negative_indices)

    def set(self, values: Any, **options: Unpack[UpdateOptions]) -> Any:
        """A copy with the selected elements replaced.

        >>> at(np.arange(3))[-1].set(9)
        array([0, 1, 9])
        """
        return self._update("set", values, options)

    def add(self, values: Any, **options: Unpack[UpdateOptions]) -> Any:
        """A copy with values added to the selected elements.

        >>> at(np.arange(3))[np.array([0, 0])].add(np.array([1, 2]))
        array([3, 1, 2])
        """
        return self._update("add", values, options)

    def subtract(self, values: Any, **options: Unpack[UpdateOptions]) -> Any:
        """A copy with values subtracted from the selected elements.

        >>> at(np.arange(3))[2].subtract(2)
        array([0, 1, 0])
        """
        return self._update("add", neg(_as_updates("subtract", to_array(values), arr(self.array))), options)

    def multiply(self, values: Any, **options: Unpack[UpdateOptions]) -> Any:
        """A copy with the selected elements multiplied by values.

        >>> at(np.arange(3))[1:].multiply(5)
        array([ 0,  5, 10])
        """
        return self._update("mul", values, options)

    mul = multiply

    def divide(self, values: Any, **options: Unpack[UpdateOptions]) -> Any:
        """A copy with the selected elements divided by values; true division, which makes integers floats.

        >>> at(np.arange(3.0))[2].divide(4)
        array([0. , 1. , 0.5])
        """
        return div(arr(self.array), self._factors(values, options))

    def power(self, values: Any, **options: Unpack[UpdateOptions]) -> Any:
        """A copy with the selected elements raised to powers.

        >>> at(np.arange(3.0))[2].power(3)
        array([0., 1., 8.])
        """
        return power(arr(self.array), self._factors(values, options))

    def min(self, values: Any, **options: Unpack[UpdateOptions]) -> Any:
        """A copy with the minimum of the selected elements and values.

        >>> at(np.arange(3))[:].min(1)
        array([0, 1, 1])
        """
        return self._update("min", values, options)

    def max(self, values: Any, **options: Unpack[UpdateOptions]) -> Any:
        """A copy with the maximum of the selected elements and values.

        >>> at(np.arange(3))[:].max(1)
        array([1, 1, 2])
        """
        return self._update("max", values, options)

    def apply(
        self,
        func: Callable,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: Any = None,
        wrap_negative_indices: bool = True,
    ) -> Any:
        """A copy with an elementwise function applied to the selected elements, once for each time that an element is indexed.

        >>> at(np.arange(3.0))[1:].apply(np.negative)
        array([ 0., -1., -2.])
        """
        mode = as_mode(mode, "at.apply")
        x = arr(self.array)
        i = parse_index(shape_of(x), self.index, mode, wrap_negative_indices)
        if not i.arrays or i.unique or unique_indices:
            values = _at(x, i, _as_given(mode), 1, True, wrap_negative_indices)
            return _put(x, i, convert(func(values), dtype_of(x)), "set", _as_given(mode), True, wrap_negative_indices)
        zeros = IndexUpdateRef(np.zeros(shape_of(x), np.int64), self.index)
        counts = zeros.add(1, mode=_as_given(mode), wrap_negative_indices=wrap_negative_indices)
        return (_apply_traced if isinstance(counts, Tracer) else apply_counted)(x, func, counts)

    def _factors(self, values: Any, options: UpdateOptions) -> Any:
        x = arr(self.array)
        return IndexUpdateRef(broadcast_to(dtype_of(x).type(1), shape_of(x)), self.index).multiply(values, **options)

    def _update(self, op: str, values: Any, options: UpdateOptions) -> Any:
        unknown = options.keys() - UpdateOptions.__annotations__.keys()
        if unknown:
            told = ", ".join(UpdateOptions.__annotations__)
            raise ArgumentError(f"[at.{op}] expected options out of {told}, got {', '.join(sorted(unknown))}.")
        mode = as_mode(options.get("mode"), f"at.{op}")
        wrap_negative = options.get("wrap_negative_indices", True)
        x = arr(self.array)
        values = _as_updates(op, to_array(values), x)
        mask = _abstract_mask(self.index)
        if mask is not None:
            return _update_where(op, x, values, self.index, mask)
        i = parse_index(shape_of(x), self.index, mode, wrap_negative)
        return _put(x, i, values, op, _as_given(mode), options.get("unique_indices", False), wrap_negative)


def _apply_traced(x: Any, func: Callable, counts: Any) -> Any:
    """`apply_counted` for counts that are not known: a loop, in which elements that are done are 1 to the function."""

    def body(state: tuple) -> tuple:
        r, x = state
        waiting = gt(counts, r)
        values = convert(func(select(waiting, x, dtype_of(x).type(1))), dtype_of(x))
        return add(r, 1), select(waiting, values, x)

    most = reduce_max(concatenate([flat(counts), np.zeros(1, np.int64)]))
    return while_loop(lambda state: lt(state[0], most), body, (np.int64(0), x))[1]


def _as_given(mode: str) -> str | None:
    return None if mode == "raise" else mode


def _as_updates(op: str, values: Any, x: Any) -> Any:
    """Updates in the dtype of the array; refused where that would lose a fraction or an imaginary part."""
    have, want = dtype_of(values), dtype_of(x)
    if _KIND_RANK.get(have.kind, 9) > _KIND_RANK.get(want.kind, 9):
        raise DTypeError(
            f"[at.{op}] expected values that {want.name} can hold, got {have.name}: the conversion would lose a part of them. "
            f"Use x.astype('{have.name}') first, or values.astype('{want.name}') if that is meant."
        )
    return convert(values, want)


_COMBINE: dict[str, Callable] = {"add": add, "mul": mul, "min": minimum, "max": maximum}


def _put(
    x: Any, i: Index, values: Any, op: str, mode: Any = None, unique: bool = False, wrap_negative: bool = True
) -> Any:
    """A copy of x with values, of its dtype, set or combined at an index."""
    shape = spec_shape(shape_of(x), i.spec)
    if not i.arrays:
        values = _spread(op, values, shape)
        if op in ("set", "add"):
            return update_spec(x, values, i.spec, op)
        return update_spec(x, _COMBINE[op](getitem_spec(x, i.spec), values), i.spec)
    index_shape = common_index_shape(i.arrays)
    selected = gathered_shape(shape, index_shape, i.axes)
    if i.front:
        pos, k = i.axes[0], len(index_shape)
        rest = (*selected[:pos], *selected[pos + k :])
        values = move_block(_spread(op, values, (*index_shape, *rest)), 0, pos, k)
    else:
        values = _spread(op, values, selected)
    y = getitem_spec(x, i.spec)
    y = index_scatter(
        y, values, i.arrays, i.axes, op, mode=mode, unique=unique or i.unique, wrap_negative=wrap_negative
    )
    return update_spec(x, y, i.spec) if i.spec else y


def _spread(op: str, values: Any, shape: tuple[int, ...]) -> Any:
    """Values broadcast to the selected shape; leading axes of length 1 too many are dropped, as in NumPy's assignment."""
    have = shape_of(values)
    if have == shape:
        return values
    while len(have) > len(shape) and have[0] == 1:
        have = have[1:]
    lead = len(shape) - len(have)
    if lead < 0 or any([n not in (1, m) for n, m in zip(have, shape[lead:])]):
        raise ShapeError(
            f"[at.{op}] expected values that broadcast to the selected shape {shape}, got {shape_of(values)}."
        )
    return broadcast_to(reshape(values, have), shape)


# ------------------------------------------------------------------ a mask that is not known while tracing: where


def _abstract_mask(index: Any) -> Any:
    """The boolean mask of an index whose values are not known, or None."""
    for e in index if type(index) is tuple else (index,):
        if isinstance(e, Tracer) and e.dtype.kind == "b" and e.concrete() is None:
            return e
    return None


def _update_where(op: str, x: Any, values: Any, index: Any, mask: Any) -> Any:
    """The update by `where`: possible if the mask stands alone beside whole axes, and the values do not depend on the element's number."""
    entries = index if type(index) is tuple else (index,)
    width, ndim = len(shape_of(mask)), len(shape_of(x))
    before = next(k for k, e in enumerate(entries) if e is mask)
    rest = [e for e in entries if e is not mask]
    whole = all([e is Ellipsis or (type(e) is slice and e == slice(None)) for e in rest])
    if (
        not whole
        or sum([e is Ellipsis for e in rest]) > 1
        or width + len([e for e in rest if e is not Ellipsis]) > ndim
    ):
        known_mask(mask)  # raises
    if Ellipsis in rest[:before]:
        before = ndim - width - len(rest[before:])
    shape = shape_of(x)
    if shape_of(mask) != shape[before : before + width]:
        raise IndexingError(
            f"[at.{op}] expected a mask of shape {shape[before : before + width]}, as the axes it indexes, got {shape_of(mask)}."
        )
    behind = ndim - before - width
    own = shape_of(values)
    if len(own) > behind:
        count = len(own) - behind - 1  # the axis that counts the selected elements
        if own[count] != 1:
            raise NonConcreteBooleanIndexError(
                f"[at.{op}] expected one value for all elements that a mask selects, since it is not known now, got shape {own}. "
                "Use fnets.numpy.where(mask, values, x) with values of the shape of x."
            )
        values = reshape(values, (*own[:count], *(1,) * width, *own[count + 1 :]))
    values = _spread(op, values, shape)
    new = values if op == "set" else _COMBINE[op](x, values)
    return select(reshape(mask, (*(1,) * before, *shape_of(mask), *(1,) * behind)), new, x)


# ------------------------------------------------------------------ take, take_along_axis, put_along_axis


def _index_array(op: str, indices: Any) -> Any:
    """Integer index arrays from what a user passed; an empty list holds no index."""
    if type(indices) is np.ndarray and indices.dtype == np.int64:
        return indices
    if isinstance(indices, (list, tuple)) and np.size(indices) == 0:
        return np.zeros(np.shape(indices), np.intp)
    indices = to_array(indices)
    kind = dtype_of(indices).kind
    if kind not in "iub":
        raise IndexingError(
            f"[{op}] expected indices of an integer dtype, got {dtype_of(indices).name}. Use i.astype('int32')."
        )
    return convert(indices, np.int64) if kind == "b" or dtype_of(indices) == np.uint64 else indices


def take(
    a: Any,
    indices: Any,
    axis: int | None = None,
    out: None = None,
    mode: str | None = None,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    fill_value: Any = None,
) -> Any:
    """The elements of an array at indices of one axis: `a[:, indices]` for axis 1.

    Args:
      a: array.
      indices: integer array of any shape.
      axis: the axis; None takes from the flattened array.
      mode: for indices out of range: None raises (with a fill_value it is "fill"), "clip" moves them to the ends (negative ones to 0), "wrap" counts
        round, "fill" gives fill_value.
      unique_indices: promise that no index occurs twice.
      fill_value: by default NaN, or the lowest integer.

    Returns:
      An array in which the dimensions of `indices` replace the axis.

    Raises:
      IndexingError: an index is out of range, or not an integer.

    >>> take(np.array([4, 5, 6]), np.array([[0, 2]]))
    array([[4, 6]])
    """
    refuse_out("take", out)
    x, indices = to_array(a), _index_array("take", indices)
    if axis is None:
        x, axis = flat(x), 0
    axis = as_axis(axis, len(shape_of(x)), "take")
    if mode is None and fill_value is not None:
        mode = "fill"
    clip = as_mode(mode, "take") == "clip"
    return index_gather(
        x,
        (indices,),
        (axis,),
        mode=mode,
        fill_value=fill_value,
        unique=unique_indices,
        wrap_negative=not clip,
        op="take",
    )


def _along(op: str, a: Any, indices: Any, axis: int | None) -> tuple[Any, Any, int]:
    """The operands of a function along an axis, flattened if there is none."""
    x, indices = to_array(a), _index_array(op, indices)
    if axis is None:
        if len(shape_of(indices)) != 1:
            raise ShapeError(
                f"[{op}] expected indices of one axis for axis=None, got shape {shape_of(indices)}. Use indices.ravel()."
            )
        return flat(x), indices, 0
    ndim = len(shape_of(x))
    if len(shape_of(indices)) != ndim:
        raise ShapeError(
            f"[{op}] expected indices with as many axes as the array, {ndim}, got shapes {shape_of(indices)} and {shape_of(x)}. "
            "Add an axis with indices[:, None]."
        )
    return x, indices, as_axis(axis, ndim, op)


def take_along_axis(
    arr: Any,
    indices: Any,
    axis: int | None = -1,
    mode: Any = None,
    fill_value: Any = None,
    *,
    wrap_negative_indices: bool | None = None,
) -> Any:
    """Elements picked along an axis, by an index for each: `out[i, j] = arr[i, indices[i, j]]` for axis 1.

    Args:
      arr: array of n axes.
      indices: integer array of n axes; all but `axis` broadcast against those of `arr`.
      axis: the axis; None picks from the flattened array by indices of one axis.
      mode, fill_value: for indices out of range, as in `take`.
      wrap_negative_indices: False makes negative indices count as out of range.

    Raises:
      IndexingError: an index is out of range.

    >>> take_along_axis(np.array([[1, 2, 3], [4, 5, 6]]), np.array([[2], [0]]), axis=1)
    array([[3],
           [4]])
    """
    x, indices, axis = _along("take_along_axis", arr, indices, axis)
    if mode is None and fill_value is not None:
        mode = "fill"
    if mode is None and wrap_negative_indices is not False:
        return take_along(x, indices, axis)
    arrays, _ = along_axis_indices(shape_of(x), indices, axis)
    wrap = wrap_negative_indices is not False
    axes = tuple(range(len(arrays)))
    return index_gather(x, arrays, axes, mode=mode, fill_value=fill_value, wrap_negative=wrap, op="take_along_axis")


def put_along_axis(
    arr: Any, indices: Any, values: Any, axis: int | None, inplace: bool = True, *, mode: Any = None
) -> Any:
    """A copy of an array with values put along an axis, at an index for each: the counterpart of `take_along_axis`.

    Args:
      arr: array of n axes.
      indices: integer array of n axes; all but `axis` broadcast against those of `arr`.
      values: broadcast to the shape of the selection.
      axis: the axis; None puts into the flattened array.
      inplace: must be passed as False: arrays are never changed.
      mode: for indices out of range: None raises, "clip", "wrap", "drop".

    >>> put_along_axis(np.zeros((2, 3)), np.array([[2], [0]]), 1, axis=1, inplace=False)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    if inplace:
        raise ArgumentError(
            "[put_along_axis] expected inplace=False, got True: functions here never change arrays. Write a = put_along_axis(..., inplace=False)."
        )
    shape = shape_of(to_array(arr))
    x, indices, axis = _along("put_along_axis", arr, indices, axis)
    arrays, once = along_axis_indices(shape_of(x), indices, axis)
    axes = tuple(range(len(arrays)))
    selected = broadcast_shapes("put_along_axis", *[shape_of(a) for a in arrays])
    values = _spread("set", _as_updates("set", to_array(values), x), selected)
    return reshape(index_scatter(x, values, arrays, axes, "set", mode=mode, unique=once), shape)
