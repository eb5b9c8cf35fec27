"""How an index is read, by NumPy's rules. Lives here: `parse_index`, which turns what stands in square brackets into a spec and index arrays.

May import core, primitives, errors, `fnets.numpy.arguments`.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import index as operator_index
from typing import Any, NamedTuple

import numpy as np

from fnets.core.trace import Tracer, shape_of
from fnets.errors import IndexingError, NonConcreteBooleanIndexError
from fnets.numpy.arguments import from_nested
from fnets.primitives.base import arr, convert
from fnets.primitives.index_arrays import Axes
from fnets.primitives.index_specs import Spec, check_int, slice_entry, trim
from fnets.primitives.scatter_kernels import placement


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
PLAIN = (int, slice, _NONE, _ELLIPSIS)
_BOUND = (int, _NONE)


def _entry(e: Any) -> Any:
    """One entry of an index: an int, slice, None, Ellipsis, or an array of integers or bools."""
    if type(e) in PLAIN:
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


def known_mask(e: Any) -> np.ndarray:
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
            self.mask(known_mask(e))
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


def basic_spec(shape: tuple[int, ...], index: Any) -> Spec | None:
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
