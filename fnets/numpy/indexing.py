"""Indexing as NumPy does it, on arrays and traced values. Lives here: how an index is read, `getitem`, `at`, take and put along an axis.

An index becomes a spec (ints, slices, new axes), which is a view, and index arrays, which are gathered from it or scattered into it. May import
core, primitives, errors, `fnets.numpy.arguments`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index as operator_index
from typing import Any, NamedTuple

import numpy as np

from fnets.core.trace import Tracer, dtype_of, shape_of
from fnets.errors import (
    ArgumentError,
    ConcretizationTypeError,
    DTypeError,
    IndexingError,
    NonConcreteBooleanIndexError,
    ShapeError,
)
from fnets.numpy.arguments import flat, from_nested, refuse_out, to_array
from fnets.primitives.base import arr, as_axis, broadcast_to, convert, reshape
from fnets.primitives.elementwise import add, broadcast_shapes, div, maximum, minimum, mul, neg, power, select
from fnets.primitives.gather import (
    Axes,
    along_axis_indices,
    apply_counted,
    as_mode,
    common_index_shape,
    gathered_shape,
    index_gather,
    index_scatter,
    move_block,
    take_along,
)
from fnets.primitives.indexing import Spec, check_int, getitem_spec, slice_entry, spec_shape, trim, update_spec
from fnets.primitives.scatter_kernels import placement

# ------------------------------------------------------------------ reading an index


class Index(NamedTuple):
    """An index as it is carried out: `y = x at spec`, then index arrays at axes of y.

    front: their dimensions go first in the result although their axes are neighbours. unique: no position occurs twice.
    """

    spec: Spec
    arrays: tuple[Any, ...] = ()
    axes: Axes = ()
    front: bool = False
    unique: bool = False


_NONE, _ELLIPSIS = type(None), type(Ellipsis)
_PLAIN = (int, slice, _NONE, _ELLIPSIS)
_BOUND = (int, _NONE)


def _entry(e: Any) -> Any:
    """One entry of an index: an int, slice, None, Ellipsis, or an array of integers or bools."""
    if type(e) in _PLAIN:
        return e
    if isinstance(e, (bool, np.bool_)):
        return np.asarray(e)
    if isinstance(e, np.integer):
        return int(e)
    if isinstance(e, (list, tuple)):
        e = np.zeros(np.shape(e), np.intp) if np.size(e) == 0 else from_nested(e)
    if not isinstance(e, (np.ndarray, Tracer)) and hasattr(e, "__array__"):
        e = np.asarray(e)
    if isinstance(e, (np.ndarray, Tracer)):
        kind = e.dtype.kind
        if kind == "b":
            return e
        if kind in "iu":
            if type(e) is np.ndarray and e.ndim == 0:
                return int(e)
            return convert(e, np.int64) if e.dtype == np.uint64 else arr(e)
        raise IndexingError(
            f"[getitem] expected arrays used as indices to be of integer (or boolean) type, got {e.dtype.name}. Use i.astype('int32')."
        )
    try:
        return operator_index(e)
    except TypeError:
        raise IndexingError(
            "[getitem] expected only integers, slices (`:`), ellipsis (`...`), None and integer or boolean arrays as indices, "
            f"got {type(e).__name__}: {str(e)[:40]}. Convert it to an integer."
        ) from None


def _known_mask(e: Any) -> np.ndarray:
    value = e.concrete() if isinstance(e, Tracer) else e
    if value is None:
        raise NonConcreteBooleanIndexError(
            f"[getitem] expected a boolean index that is known now, got {e._told()}: the shape of the result would depend on it. "
            "Use fnets.numpy.where(mask, x, other), which keeps the shape; x.at[mask].set(value) works too."
        )
    return np.asarray(value)


def _static_slice(s: slice, n: int) -> tuple[int, int | None, int]:
    try:
        return slice_entry(s, n)
    except TypeError:
        if any([isinstance(v, Tracer) for v in (s.start, s.stop, s.step)]):
            told = ", ".join(v._told() for v in (s.start, s.stop, s.step) if isinstance(v, Tracer))
            raise IndexingError(
                f"[getitem] expected slices whose start, stop and step are known now, got {told}: the length of the result would depend on them. "
                "Use fnets.lax.dynamic_slice(x, start, size) or dynamic_slice_in_dim, or make the argument static."
            ) from None
        raise IndexingError(
            f"[getitem] expected slice indices to be integers or None, got {s}. Convert them with int()."
        ) from None
    except ValueError as error:
        raise IndexingError(f"[getitem] expected a slice with a step other than 0, got {s}: {error}.") from None


def _width(e: Any) -> int:
    """How many axes an entry consumes."""
    if e is None or e is Ellipsis:
        return 0
    return len(shape_of(e)) if isinstance(e, (np.ndarray, Tracer)) and e.dtype.kind == "b" else 1


def parse_index(shape: tuple[int, ...], index: Any, mode: str = "raise", wrap_negative: bool = True) -> Index:
    """Read an index of an array of this shape by NumPy's rules.

    Raises:
      IndexingError: too many indices, a kind that cannot index, or a static position out of range while mode is "raise".
      NonConcreteBooleanIndexError: a mask that is not known while tracing.

    >>> parse_index((4, 5), (slice(1, 3), 2))
    Index(spec=((1, 3, 1), 2), arrays=(), axes=(), front=False, unique=False)
    """
    entries = [_entry(e) for e in index] if type(index) is tuple else [_entry(index)]
    free = len(shape) - sum(map(_width, entries))
    ellipses = sum([e is Ellipsis for e in entries])
    if free < 0:
        raise IndexingError(
            f"[getitem] expected at most {len(shape)} indices for shape {shape}, got {len(shape) - free}: too many indices for array."
        )
    if ellipses > 1:
        raise IndexingError(
            "[getitem] expected an index with a single ellipsis ('...'), got several. Write ':' for the others."
        )
    advanced = any([isinstance(e, (np.ndarray, Tracer)) for e in entries])
    if not advanced and (mode != "raise" or not wrap_negative):
        advanced = _has_outside(entries, shape, free, wrap_negative)
    reader = _Reader(shape, advanced, mode == "raise" and wrap_negative)
    for e in entries:
        reader.read(e, free)
    return reader.finish()


def _has_outside(entries: Sequence[Any], shape: tuple[int, ...], free: int, wrap_negative: bool) -> bool:
    """True if a static position is out of range, so that the mode decides."""
    axis = 0
    for e in entries:
        if type(e) is int and not (-shape[axis] if wrap_negative else 0) <= e < shape[axis]:
            return True
        axis += free if e is Ellipsis else e is not None
    return False


class _Reader:
    """Collects entries of an index, axis by axis."""

    def __init__(self, shape: tuple[int, ...], advanced: bool, check: bool):
        self.shape = shape
        self.advanced = advanced  # with index arrays around, ints are index arrays too
        self.check = check
        self.axis = 0  # in the array
        self.spec: list[Any] = []
        self.arrays: list[Any] = []
        self.axes: list[int] = []
        self.position = 0  # in the array at the spec
        self.ended = False  # something else stood behind an index array
        self.apart = False  # and then another index array came
        self.masked = self.plain = False

    def read(self, e: Any, free: int) -> None:
        if e is Ellipsis:
            self.ended = bool(self.axes)  # also where it stands for no axis
            for _ in range(free):
                self.take((0, self.shape[self.axis], 1))
        elif e is None:
            self.ended = bool(self.axes)
            self.spec.append(None)
            self.position += 1
        elif type(e) is slice:
            self.ended = bool(self.axes)
            self.take(_static_slice(e, self.shape[self.axis]))
        elif type(e) is int:
            i = check_int(e, self.shape[self.axis], self.axis, self.shape) if self.check else e
            if self.advanced:
                self.array(np.int64(i))
            else:
                n = self.shape[self.axis]
                self.take(i + n if i < 0 else i)
        elif e.dtype.kind == "b":
            self.mask(_known_mask(e))
        else:
            self.plain = True
            self.array(e)

    def take(self, entry: Any) -> None:
        """Consume an axis by a slice or an int."""
        self.spec.append(entry)
        self.axis += 1
        self.position += type(entry) is tuple

    def array(self, i: Any, new_axis: bool = False) -> None:
        """Consume an axis, or a new one, by an index array."""
        self.apart = self.apart or self.ended
        self.arrays.append(i)
        self.axes.append(self.position)
        self.spec.append(None if new_axis else (0, self.shape[self.axis], 1))
        self.axis += not new_axis
        self.position += 1

    def mask(self, mask: np.ndarray) -> None:
        if mask.ndim == 0:  # selects all of a new axis of length 1, or nothing
            self.plain = True
            self.array(np.zeros(int(mask), np.intp), new_axis=True)
            return
        expected = self.shape[self.axis : self.axis + mask.ndim]
        if mask.shape != expected and mask.size:
            k = next(k for k in range(mask.ndim) if mask.shape[k] != expected[k])
            raise IndexingError(
                f"[getitem] expected a mask of shape {expected}, as the axes it indexes, got {mask.shape}: boolean index did not match shape of "
                f"indexed array along axis {self.axis + k}; its size is {expected[k]} but the mask's is {mask.shape[k]}."
            )
        self.masked = True
        for i in mask.nonzero():
            self.array(i)

    def finish(self) -> Index:
        spec = (
            ()
            if all([e == (0, n, 1) for e, n in zip(self.spec, self.shape)]) and None not in self.spec
            else trim(self.spec, self.shape)
        )
        if not self.arrays:
            return Index(spec)
        axes = tuple(self.axes)
        scalars = all([shape_of(i) == () for i in self.arrays])
        return Index(
            spec,
            tuple(self.arrays),
            axes,
            self.apart and placement(axes) != 0,
            scalars or (self.masked and not self.plain),
        )


# ------------------------------------------------------------------ x[index]


def _is_plain(index: Any) -> bool:
    return type(index) in _PLAIN or type(index) is np.ndarray


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
    spec = _basic_spec(shape, index)
    return _at(x, parse_index(shape, index)) if spec is None else getitem_spec(x, spec)


def _basic_spec(shape: tuple[int, ...], index: Any) -> Spec | None:
    """The spec of an index of ints, slices, None and Ellipsis alone, in a fraction of the time of `parse_index`; None if it takes more care."""
    entries = index if type(index) is tuple else (index,)
    kinds = [type(e) for e in entries]
    free = len(shape)
    for k in kinds:
        if k is int or k is slice:
            free -= 1
        elif k is not _NONE and k is not _ELLIPSIS:
            return None
    if free < 0 or kinds.count(_ELLIPSIS) > 1:
        return None
    spec: list[Any] = []
    axis = last = 0  # entries behind the last one that selects are left out
    for e, k in zip(entries, kinds):
        if k is int:
            n = shape[axis]
            if not -n <= e < n:
                return None
            spec.append(e + n if e < 0 else e)
        elif k is slice:
            if e.start is None and e.stop is None and e.step is None:
                spec.append((0, shape[axis], 1))
                axis += 1
                continue
            if not (type(e.start) in _BOUND and type(e.stop) in _BOUND and type(e.step) in _BOUND) or e.step == 0:
                return None
            entry = slice_entry(e, shape[axis])
            spec.append(entry)
            if entry == (0, shape[axis], 1):
                axis += 1
                continue
        elif k is _ELLIPSIS:
            spec += [(0, n, 1) for n in shape[axis : axis + free]]
            axis += free
            continue
        else:
            spec.append(None)
            axis -= 1
        axis += 1
        last = len(spec)
    return tuple(spec[:last])


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

    def set(self, values: Any, **options: Any) -> Any:
        """A copy with the selected elements replaced.

        >>> at(np.arange(3))[-1].set(9)
        array([0, 1, 9])
        """
        return self._update("set", values, **options)

    def add(self, values: Any, **options: Any) -> Any:
        """A copy with values added to the selected elements.

        >>> at(np.arange(3))[np.array([0, 0])].add(np.array([1, 2]))
        array([3, 1, 2])
        """
        return self._update("add", values, **options)

    def subtract(self, values: Any, **options: Any) -> Any:
        """A copy with values subtracted from the selected elements.

        >>> at(np.arange(3))[2].subtract(2)
        array([0, 1, 0])
        """
        return self._update("add", neg(convert(to_array(values), dtype_of(self._array(values)))), **options)

    def multiply(self, values: Any, **options: Any) -> Any:
        """A copy with the selected elements multiplied by values.

        >>> at(np.arange(3))[1:].multiply(5)
        array([ 0,  5, 10])
        """
        return self._update("mul", values, **options)

    mul = multiply

    def divide(self, values: Any, **options: Any) -> Any:
        """A copy with the selected elements divided by values; true division, which makes integers floats.

        >>> at(np.arange(3.0))[2].divide(4)
        array([0. , 1. , 0.5])
        """
        return div(self._array(values), self._factors(values, options))

    def power(self, values: Any, **options: Any) -> Any:
        """A copy with the selected elements raised to powers.

        >>> at(np.arange(3.0))[2].power(3)
        array([0., 1., 8.])
        """
        return power(self._array(values), self._factors(values, options))

    def min(self, values: Any, **options: Any) -> Any:
        """A copy with the minimum of the selected elements and values.

        >>> at(np.arange(3))[:].min(1)
        array([0, 1, 1])
        """
        return self._update("min", values, **options)

    def max(self, values: Any, **options: Any) -> Any:
        """A copy with the maximum of the selected elements and values.

        >>> at(np.arange(3))[:].max(1)
        array([1, 1, 2])
        """
        return self._update("max", values, **options)

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
        options = {"mode": _as_given(mode), "unique_indices": True, "wrap_negative_indices": wrap_negative_indices}
        if not i.arrays or i.unique or unique_indices:
            values = _at(x, i, _as_given(mode), 1, True, wrap_negative_indices)
            return IndexUpdateRef(x, self.index).set(convert(func(values), dtype_of(x)), **options)
        if any([isinstance(a, Tracer) for a in i.arrays]):
            raise ConcretizationTypeError(
                "[at.apply] expected indices that are known now, or unique ones, got traced indices that may repeat: how often the function is "
                "applied would depend on them. Pass unique_indices=True if no element is indexed twice."
            )
        options["unique_indices"] = False
        return apply_counted(x, func, IndexUpdateRef(np.zeros(shape_of(x), np.int64), self.index).add(1, **options))

    def _array(self, values: Any) -> Any:
        return arr(self.array)

    def _factors(self, values: Any, options: dict) -> Any:
        x = self._array(values)
        return IndexUpdateRef(broadcast_to(dtype_of(x).type(1), shape_of(x)), self.index).multiply(values, **options)

    def _update(
        self,
        op: str,
        values: Any,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: Any = None,
        out_sharding: Any = None,
        wrap_negative_indices: bool = True,
    ) -> Any:
        mode = as_mode(mode, f"at.{op}")
        x = arr(self.array)
        values = _as_updates(op, to_array(values), x)
        mask = _abstract_mask(self.index)
        if mask is not None:
            return _update_where(op, x, values, self.index, mask)
        i = parse_index(shape_of(x), self.index, mode, wrap_negative_indices)
        return _put(x, i, values, op, _as_given(mode), unique_indices, wrap_negative_indices)


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
        _known_mask(mask)  # raises
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
      mode: for indices out of range: None raises, "clip" moves them to the ends (negative ones to 0), "wrap" counts round, "fill" gives fill_value.
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
