"""Specs: basic indices as hashable data. Lives here: no primitives. May import errors.

A *spec* is a basic index as a tuple, one entry for each leading axis: an int (non-negative), None (a new axis), or a slice
`(start, stop, step)` in the canonical form of `slice_entry`. Axes that the spec does not reach are taken whole.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from fnets.errors import IndexingError

Spec = tuple[Any, ...]
_END: Any = object()


def slice_entry(s: slice, n: int) -> tuple[int, int | None, int]:
    """The canonical form of a slice of an axis of length n: equal slices get equal entries.

    >>> slice_entry(slice(None, None, -1), 4), slice_entry(slice(-2, 99), 4), slice_entry(slice(3, 1), 4)
    ((3, None, -1), (2, 4, 1), (0, 0, 1))
    """
    start, stop, step = s.indices(n)
    length = len(range(start, stop, step))
    if length == 0:
        return (0, 0, 1)
    if length == 1:
        return (start, start + 1, 1)
    stop = start + (length - 1) * step + (1 if step > 0 else -1)
    return (start, None if stop < 0 else stop, step)


def check_int(i: int, n: int, axis: int, shape: tuple[int, ...]) -> int:
    """A static position as a non-negative one; an error if it is out of range."""
    if -n <= i < n:
        return i + n if i < 0 else i
    raise IndexingError(
        f"[getitem] expected an index between {-n} and {n - 1} for axis {axis} of shape {shape}, got {i}: index {i} is out of bounds for axis "
        f"{axis} with size {n}. Use fnets.numpy.at(x)[{i}].get(mode='clip') or mode='fill' if that is meant."
    )


@functools.lru_cache(maxsize=4096)
def as_index(spec: Spec) -> tuple:
    """The spec as NumPy takes it."""
    return tuple([slice(*e) if type(e) is tuple else e for e in spec])


def _length(entry: tuple[int, int | None, int]) -> int:
    start, stop, step = entry
    return len(range(start, -1 if stop is None else stop, step))


@functools.lru_cache(maxsize=4096)
def spec_shape(shape: tuple[int, ...], spec: Spec) -> tuple[int, ...]:
    """The shape of what a spec selects.

    >>> spec_shape((4, 5, 6), (1, None, (0, 5, 2)))
    (1, 3, 6)
    """
    out: list[int] = []
    axis = 0
    for e in spec:
        if e is None:
            out.append(1)
            continue
        if axis == len(shape):
            raise IndexingError(f"[getitem] expected at most {len(shape)} indices for shape {shape}, got {spec}.")
        if type(e) is tuple:
            out.append(_length(e))
        axis += 1
    return (*out, *shape[axis:])


def trim(spec: Sequence[Any], shape: tuple[int, ...]) -> Spec:
    """The spec without trailing entries that take an axis whole.

    >>> trim((1, (0, 5, 1)), (4, 5))
    (1,)
    """
    entries = list(spec)
    axis = sum([e is not None for e in entries])
    while entries and axis and type(entries[-1]) is tuple and entries[-1] == (0, shape[axis - 1], 1):
        entries.pop()
        axis -= 1
    return tuple(entries)


def batched_spec(spec: Spec, d: int, size: int) -> tuple[Spec, int]:
    """The spec for an operand with a batch dimension d, and where that dimension ends up."""
    entries: list[Any] = []
    axis = out = 0
    rest = iter(spec)
    while axis < d:
        e = next(rest, _END)
        if e is _END:  # d lies beyond the spec
            return spec, out + d - axis
        entries.append(e)
        axis += e is not None
        out += type(e) is not int
    return (*entries, (0, size, 1), *rest), out


def index_source(spec: Spec) -> str:
    parts = []
    for e in spec:
        if type(e) is tuple:
            start, stop, step = e
            parts.append(f"{start}:{'' if stop is None else stop}" + (f":{step}" if step != 1 else ""))
        else:
            parts.append(repr(e))
    return f"{parts[0]}," if len(parts) == 1 else ", ".join(parts) or "()"
