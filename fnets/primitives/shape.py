"""Shape primitives: concatenate, pad, slice, rev, bitcasts, barriers; and what moves data with them. May import base, elementwise, core, tree.

Whatever reshape, transpose and broadcast_to express is a function over them, so it stays a view and has every rule at once.
"""

from __future__ import annotations

import builtins
import functools
from collections.abc import Sequence
from operator import index as operator_index
from typing import Any

import numpy as np

from fnets import tree
from fnets.core.avals import ShapedArray, is_float
from fnets.core.primitive import Primitive
from fnets.core.trace import Tracer, dtype_of, shape_of, typeof
from fnets.errors import ArgumentError, AxisError, DTypeError, ShapeError
from fnets.primitives.base import (
    arr,
    as_axes,
    as_axis,
    as_shape,
    broadcast_to,
    convert,
    linear,
    move_dim,
    nondifferentiable,
    reduce_sum,
    reshape,
    transpose,
    zeros_like,
)
from fnets.primitives.elementwise import select, sub

# ------------------------------------------------------------------ slice: static, strided

slice_p = Primitive("slice", kind="view")


@functools.lru_cache(maxsize=4096)
def _slices(start_indices: tuple, limit_indices: tuple, strides: tuple | None) -> tuple[tuple, tuple]:
    """The index and the shape of its result."""
    steps = strides or (1,) * len(start_indices)
    index = tuple([builtins.slice(a, b, s) for a, b, s in zip(start_indices, limit_indices, steps, strict=True)])
    return index, tuple([-(-(b - a) // s) for a, b, s in zip(start_indices, limit_indices, steps)])  # below 0 is wrong


def _slice_impl(x: Any, start_indices: tuple, limit_indices: tuple, strides: tuple | None) -> Any:
    index, shape = _slices(start_indices, limit_indices, strides)
    out = x[index]
    if out.shape != shape:
        raise ValueError  # NumPy clips what is out of range; the abstract rule says what is wrong
    return out


def _slice_abstract(a: ShapedArray, start_indices: tuple, limit_indices: tuple, strides: tuple | None) -> ShapedArray:
    steps = strides or (1,) * a.ndim
    if not len(start_indices) == len(limit_indices) == len(steps) == a.ndim:
        raise ShapeError(
            f"[slice] expected one start, limit and stride for each axis of {a.shape}, got {start_indices}, {limit_indices} and {strides}. "
            "Use slice_in_dim for a single axis."
        )
    for k, (n, start, limit, step) in enumerate(zip(a.shape, start_indices, limit_indices, steps)):
        if not (0 <= start <= limit <= n and step > 0):
            raise ShapeError(
                f"[slice] expected 0 <= start <= limit <= {n} and a positive stride on axis {k}, got start {start}, limit {limit}, "
                f"stride {step}. Negative positions are counted from the start here: add the axis length."
            )
    return ShapedArray(_slices(start_indices, limit_indices, strides)[1], a.dtype)


def _slice_transpose(
    ct: Any, aval: ShapedArray, start_indices: tuple, limit_indices: tuple, strides: tuple | None
) -> Any:
    steps = strides or (1,) * aval.ndim
    config = []
    for n, m, start, step in zip(aval.shape, shape_of(ct), start_indices, steps):
        covered = 1 + (m - 1) * step if m else 0
        config.append((start, n - start - covered, step - 1))
    return pad(ct, np.zeros((), aval.dtype), tuple(config))


def _slice_batch(
    size: int, vals: Sequence, dims: Sequence, start_indices: tuple, limit_indices: tuple, strides: tuple | None
) -> tuple:
    d = dims[0]

    def insert(t: tuple, value: int) -> tuple:
        return (*t[:d], value, *t[d:])

    steps = None if strides is None else insert(strides, 1)
    return slice_p.bind(
        vals[0], start_indices=insert(start_indices, 0), limit_indices=insert(limit_indices, size), strides=steps
    ), d


def _slice_lower(cg: Any, eqn: Any, args: list[str], out: str | None) -> str:
    p = eqn.params
    steps = p["strides"] or (1,) * len(p["start_indices"])
    index = []
    for n, a, b, s in zip(eqn.invars[0].aval.shape, p["start_indices"], p["limit_indices"], steps):
        index.append(f"{a or ''}:{'' if b == n else b}" + (f":{s}" if s != 1 else ""))
    return f"{args[0]}[{', '.join(index)}]" if index else args[0]


slice_p.impl, slice_p.abstract, slice_p.batch = _slice_impl, _slice_abstract, _slice_batch
slice_p.lower["numpy"] = _slice_lower
linear(slice_p, _slice_transpose)


def slice(
    operand: Any, start_indices: Sequence[int], limit_indices: Sequence[int], strides: Sequence[int] | None = None
) -> Any:
    """`operand[start:limit:stride, ...]` with static positions for every axis: a view.

    Args:
      operand: array of n axes.
      start_indices, limit_indices: n positions each, 0 <= start <= limit <= length.
      strides: n positive steps, 1 by default.

    Raises:
      ShapeError: a position is out of range (nothing is clipped).

    >>> slice(np.arange(10), (2,), (9,), (3,))
    array([2, 5, 8])
    """
    steps = None if strides is None else as_shape(strides)
    return slice_p.bind(
        arr(operand), start_indices=as_shape(start_indices), limit_indices=as_shape(limit_indices), strides=steps
    )


def slice_in_dim(operand: Any, start_index: int | None, limit_index: int | None, stride: int = 1, axis: int = 0) -> Any:
    """`operand[start_index:limit_index:stride]` along one axis; None and negative positions as in Python.

    Raises:
      ShapeError: a position is out of range (nothing is clipped).

    >>> slice_in_dim(np.arange(6).reshape(2, 3), 1, None, axis=1)
    array([[1, 2],
           [4, 5]])
    """
    shape = shape_of(operand)
    axis = as_axis(axis, len(shape), "slice_in_dim")
    n = shape[axis]
    start = 0 if start_index is None else operator_index(start_index)
    limit = n if limit_index is None else operator_index(limit_index)
    return _slice_axis(
        arr(operand), axis, start + n if start < 0 else start, limit + n if limit < 0 else limit, operator_index(stride)
    )


def _slice_axis(x: Any, axis: int, start: int, limit: int, stride: int = 1) -> Any:
    """Slice one axis; all arguments checked by the caller or by the abstract rule."""
    shape = shape_of(x)
    if start == 0 and limit == shape[axis] and stride == 1:
        return x
    starts, limits = [0] * len(shape), list(shape)
    starts[axis], limits[axis] = start, limit
    steps = None
    if stride != 1:
        steps = [1] * len(shape)
        steps[axis] = stride
        steps = tuple(steps)
    return slice_p.bind(x, start_indices=tuple(starts), limit_indices=tuple(limits), strides=steps)


# ------------------------------------------------------------------ pad

pad_p = Primitive("pad", fresh=True)
PaddingConfig = tuple[tuple[int, int, int], ...]


@functools.lru_cache(maxsize=4096)
def _pad_plan(shape: tuple[int, ...], padding_config: PaddingConfig) -> tuple[tuple, tuple | None, tuple]:
    """(shape of the result, index into the operand or None for all of it, index into the result)."""
    out, source, target = [], [], []
    cropped = False
    if len(shape) != len(padding_config):
        raise ValueError
    for n, (lo, hi, interior) in zip(shape, padding_config):
        step = interior + 1
        dilated = n + max(0, n - 1) * interior
        size = dilated + lo + hi
        if size < 0 or interior < 0:
            raise ValueError
        out.append(size)
        # element k of the operand lands at lo + k * step; keep those inside [0, size)
        first = -(lo // step) if lo < 0 else 0
        last = min(n, -(-(size - lo) // step)) if hi < 0 else n  # exclusive
        last = max(last, first)
        cropped = cropped or first > 0 or last < n
        source.append(builtins.slice(first, last))
        start = lo + first * step
        target.append(
            builtins.slice(start, max(start, lo + (last - 1) * step + 1), step)
            if last > first
            else builtins.slice(0, 0)
        )
    return tuple(out), tuple(source) if cropped else None, tuple(target)


def _pad_impl(x: Any, padding_value: Any, padding_config: PaddingConfig) -> Any:
    shape, source, target = _pad_plan(x.shape, padding_config)
    value = padding_value.item() if isinstance(padding_value, (np.ndarray, np.generic)) else padding_value
    if value or value != value or (type(value) is float and str(value) == "-0.0"):
        out = np.empty(shape, x.dtype)
        out.fill(value)
    else:
        out = np.zeros(shape, x.dtype)
    out[target] = x if source is None else x[source]
    return out


def _pad_abstract(a: ShapedArray, value: ShapedArray, padding_config: PaddingConfig) -> ShapedArray:
    if value.shape != ():
        raise ShapeError(
            f"[pad] expected a scalar padding value, got shape {value.shape}. Use concatenate to add different values."
        )
    if len(padding_config) != a.ndim:
        raise ShapeError(
            f"[pad] expected one (low, high, interior) for each axis of {a.shape}, got {len(padding_config)}: {padding_config}."
        )
    for k, (lo, hi, interior) in enumerate(padding_config):
        n = a.shape[k]
        if interior < 0 or n + max(0, n - 1) * interior + lo + hi < 0:
            raise ShapeError(
                f"[pad] expected a non-negative interior and a padded axis of non-negative length, got {(lo, hi, interior)} for axis {k} "
                f"of length {n}. Negative low or high crops no more than the axis holds."
            )
    return ShapedArray(_pad_plan(a.shape, padding_config)[0], a.dtype)


def _pad_jvp(primals: Sequence, tangents: Sequence, padding_config: PaddingConfig) -> tuple:
    out = pad(*primals, padding_config)
    if not is_float(dtype_of(out)):
        return out, None
    x, value = [zeros_like(p) if t is None else t for p, t in zip(primals, tangents)]
    return out, pad(x, value, padding_config)


def _pad_vjp(active: tuple, x: Any, value: Any, padding_config: PaddingConfig) -> tuple:
    out = pad(x, value, padding_config)
    if not is_float(dtype_of(out)):
        return out, None
    zero = np.zeros((), dtype_of(out))
    undo = tuple([(-lo, -hi, 0) for lo, hi, _ in padding_config])
    steps = tuple([interior + 1 for _, _, interior in padding_config])
    shape, value_dtype = shape_of(x), dtype_of(value)

    def operand_ct(ct: Any) -> Any:
        cropped = pad(ct, zero, undo)
        if all([s == 1 for s in steps]):
            return cropped
        return slice_p.bind(cropped, start_indices=(0,) * len(shape), limit_indices=shape_of(cropped), strides=steps)

    def pull(ct: Any) -> list:
        dx = operand_ct(ct)
        return [dx if i == 0 else convert(sub(_total(ct), _total(dx)), value_dtype) for i in active]

    return out, pull


def _total(x: Any) -> Any:
    return reduce_sum(x, tuple(range(len(shape_of(x)))))


def _pad_batch(size: int, vals: Sequence, dims: Sequence, padding_config: PaddingConfig) -> tuple:
    x, value = vals
    dx, dv = dims
    if dv is None:
        config = (*padding_config[:dx], (0, 0, 0), *padding_config[dx:])
        return pad(x, value, config), dx
    x = move_dim(x, dx, 0, size)
    config = ((0, 0, 0), *padding_config)
    out = pad(x, np.zeros((), dtype_of(x)), config)
    holds_operand = pad(np.ones(shape_of(x)[1:], bool), np.False_, padding_config)
    values = reshape(value, (size, *(1,) * len(padding_config)))
    return select(holds_operand, out, convert(values, dtype_of(x))), 0


pad_p.impl, pad_p.abstract, pad_p.jvp, pad_p.vjp, pad_p.batch = _pad_impl, _pad_abstract, _pad_jvp, _pad_vjp, _pad_batch


def pad(operand: Any, padding_value: Any, padding_config: Sequence[Sequence[int]]) -> Any:
    """`operand` with `padding_value` around it and between its elements.

    Args:
      operand: array of n axes.
      padding_value: a scalar; converted to the operand's dtype.
      padding_config: n triples (low, high, interior): elements added in front, behind and between neighbours; negative low or high crops.

    Raises:
      ShapeError: not one triple per axis, or more is cropped than there is.

    >>> pad(np.array([1, 2, 3]), 0, [(1, -1, 1)])
    array([0, 1, 0, 2, 0])
    """
    if type(padding_config) is not tuple or (padding_config and type(padding_config[0]) is not tuple):
        padding_config = tuple([as_shape(c) for c in padding_config])
    operand = arr(operand)
    return pad_p.bind(operand, convert(padding_value, dtype_of(operand)), padding_config=padding_config)


# ------------------------------------------------------------------ concatenate

concatenate_p = Primitive("concatenate", fresh=True)
_np_concatenate = np.concatenate


def _concatenate_abstract(*avals: ShapedArray, dimension: int) -> ShapedArray:
    first = avals[0]
    if not 0 <= dimension < first.ndim:
        raise AxisError(
            f"[concatenate] expected an axis of arrays of shape {first.shape}, got {dimension}. Use stack to make a new axis."
        )
    for a in avals[1:]:
        if a.ndim != first.ndim or any(n != m for k, (n, m) in enumerate(zip(a.shape, first.shape)) if k != dimension):
            told = ", ".join(str(b.shape) for b in avals[:6]) + (", ..." if len(avals) > 6 else "")
            raise ShapeError(
                f"[concatenate] expected shapes that differ along axis {dimension} alone, got {told}. "
                "Choose another axis, or reshape first."
            )
    shape = (*first.shape[:dimension], sum([a.shape[dimension] for a in avals]), *first.shape[dimension + 1 :])
    return ShapedArray(shape, np.result_type(*[a.dtype for a in avals]))


def _concatenate_jvp(primals: Sequence, tangents: Sequence, dimension: int) -> tuple:
    out = concatenate_p.bind(*primals, dimension=dimension)
    if not is_float(dtype_of(out)):
        return out, None
    parts = [zeros_like(p) if t is None else t for p, t in zip(primals, tangents)]
    return out, convert(concatenate_p.bind(*parts, dimension=dimension), dtype_of(out))


def _concatenate_vjp(active: tuple, *operands: Any, dimension: int) -> tuple:
    out = concatenate_p.bind(*operands, dimension=dimension)
    if not is_float(dtype_of(out)):
        return out, None
    sizes = [shape_of(x)[dimension] for x in operands]
    dtypes = [dtype_of(x) for x in operands]

    def pull(ct: Any) -> list:
        cts: list = [None] * len(sizes)
        start = 0
        wanted = set(active)
        for i, n in enumerate(sizes):
            if i in wanted:
                cts[i] = convert(_slice_axis(ct, dimension, start, start + n), dtypes[i])
            start += n
        return [cts[i] for i in active]

    return out, pull


def _concatenate_batch(size: int, vals: Sequence, dims: Sequence, dimension: int) -> tuple:
    d = next(k for k in dims if k is not None)
    moved = [v if k == d else move_dim(v, k, d, size) for v, k in zip(vals, dims)]
    return concatenate_p.bind(*moved, dimension=dimension + (dimension >= d)), d


def _concatenate_lower(cg: Any, eqn: Any, args: list[str], out: str | None) -> str:
    return f"{cg.const(_np_concatenate, 'concatenate')}(({', '.join(args)},), {eqn.params['dimension']})"


concatenate_p.impl = lambda *xs, dimension: _np_concatenate(xs, dimension)
concatenate_p.abstract, concatenate_p.jvp, concatenate_p.vjp = _concatenate_abstract, _concatenate_jvp, _concatenate_vjp
concatenate_p.batch = _concatenate_batch
concatenate_p.lower["numpy"] = _concatenate_lower


def concatenate(operands: Sequence[Any], dimension: int = 0) -> Any:
    """Arrays joined along an existing axis; dtypes are promoted as NumPy does.

    Args:
      operands: at least one array; shapes agree except along `dimension`.
      dimension: the axis, negative counts from the end.

    >>> concatenate([np.zeros((1, 2)), np.ones((2, 2))]).shape
    (3, 2)
    """
    xs = [arr(x) for x in operands]
    if not xs:
        raise ArgumentError(
            "[concatenate] expected at least one array, got none. Start from an empty array of the wanted shape."
        )
    dimension = as_axis(dimension, len(shape_of(xs[0])), "concatenate")
    if len(xs) == 1 and isinstance(xs[0], Tracer):
        return xs[0]
    return concatenate_p.bind(*xs, dimension=dimension)


# ------------------------------------------------------------------ rev

rev_p = Primitive("rev", kind="view")


def _rev_impl(x: Any, dimensions: tuple[int, ...]) -> Any:
    index = [builtins.slice(None)] * x.ndim
    for d in dimensions:
        index[d] = builtins.slice(None, None, -1)
    return x[tuple(index)]


def _rev_abstract(a: ShapedArray, dimensions: tuple[int, ...]) -> ShapedArray:
    as_axes(dimensions, a.ndim, "rev")
    return ShapedArray(a.shape, a.dtype)


def _rev_lower(cg: Any, eqn: Any, args: list[str], out: str | None) -> str:
    index = ["::-1" if k in eqn.params["dimensions"] else ":" for k in range(eqn.invars[0].aval.ndim)]
    return f"{args[0]}[{', '.join(index)}]"


rev_p.impl, rev_p.abstract = _rev_impl, _rev_abstract
rev_p.batch = lambda size, vals, dims, dimensions: (
    rev_p.bind(vals[0], dimensions=tuple([d + (d >= dims[0]) for d in dimensions])),
    dims[0],
)
rev_p.lower["numpy"] = _rev_lower
linear(rev_p, lambda ct, aval, dimensions: rev_p.bind(ct, dimensions=dimensions))


def rev(operand: Any, dimensions: Sequence[int] | int | None = None) -> Any:
    """`operand` with the order of elements reversed along `dimensions` (all of them by default): a view.

    >>> rev(np.arange(3), (0,))
    array([2, 1, 0])
    """
    operand = arr(operand)
    axes = as_axes(dimensions, len(shape_of(operand)), "rev")
    return rev_p.bind(operand, dimensions=axes) if axes else operand


flip = rev

# ------------------------------------------------------------------ functions over reshape and transpose


def resolve_shape(shape: Any, size: int, op: str = "reshape") -> tuple[int, ...]:
    """A shape argument whose one -1, if any, is worked out from `size`.

    >>> resolve_shape((2, -1), 6)
    (2, 3)
    """
    new = as_shape(shape)
    if -1 not in new:
        return new
    rest = 1
    for n in new:
        rest *= n if n != -1 else 1
    if new.count(-1) > 1 or rest == 0 or size % rest:
        raise ShapeError(
            f"[{op}] expected one -1 at most, and a size divisible by the other entries, got {new} for {size} elements. "
            "Write the other axes out."
        )
    return tuple([size // rest if n == -1 else n for n in new])


def reshape_dims(operand: Any, new_sizes: Any, dimensions: Sequence[int] | None = None) -> Any:
    """`lax.reshape`: `operand` in another shape, its axes first permuted by `dimensions`.

    Args:
      operand: array.
      new_sizes: the new shape; one entry may be -1.
      dimensions: a permutation of the axes, applied before; the identity by default.

    >>> reshape_dims(np.arange(6).reshape(2, 3), (6,), dimensions=(1, 0))
    array([0, 3, 1, 4, 2, 5])
    """
    operand = arr(operand)
    if dimensions is not None:
        operand = transpose(operand, as_shape(dimensions))
    return reshape(operand, resolve_shape(new_sizes, typeof(operand).size))


def squeeze(array: Any, dimensions: Sequence[int] | int | None = None) -> Any:
    """`array` without axes of length 1: those of `dimensions`, or all of them. A view.

    >>> squeeze(np.ones((1, 2, 1)), (0,)).shape
    (2, 1)
    """
    array = arr(array)
    shape = shape_of(array)
    if dimensions is None:
        return reshape(array, tuple([n for n in shape if n != 1]))
    axes = as_axes(dimensions, len(shape), "squeeze")
    for a in axes:
        if shape[a] != 1:
            raise ShapeError(
                f"[squeeze] expected axes of length 1, got axis {a} of {shape}. Choose the axes with axis=."
            )
    return reshape(array, tuple([n for i, n in enumerate(shape) if i not in axes]))


def expand_dims(array: Any, dimensions: Sequence[int] | int) -> Any:
    """`array` with axes of length 1 at the positions `dimensions` of the result. A view.

    >>> expand_dims(np.ones((2, 3)), (0, -1)).shape
    (1, 2, 3, 1)
    """
    array = arr(array)
    shape = shape_of(array)
    count = len(dimensions) if isinstance(dimensions, (tuple, list)) else 1
    axes = as_axes(dimensions, len(shape) + count, "expand_dims")
    it = iter(shape)
    return reshape(array, tuple([1 if i in axes else next(it) for i in range(len(shape) + len(axes))]))


def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """Arrays of one shape joined along a new axis.

    >>> stack([np.zeros(3), np.ones(3)], axis=1).shape
    (3, 2)
    """
    xs = [arr(x) for x in arrays]
    if not xs:
        raise ArgumentError(
            "[stack] expected at least one array, got none. Start from an empty array of the wanted shape."
        )
    shapes = [shape_of(x) for x in xs]
    if any([s != shapes[0] for s in shapes]):
        told = ", ".join(str(s) for s in shapes[:6]) + (", ..." if len(xs) > 6 else "")
        raise ShapeError(f"[stack] expected arrays of one shape, got {told}. Broadcast them first, or use concatenate.")
    shape = shapes[0]
    axis = as_axis(axis, len(shape) + 1, "stack")
    wide = (*shape[:axis], 1, *shape[axis:])
    return concatenate_p.bind(*[reshape(x, wide) for x in xs], dimension=axis)


def split(array: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list:
    """`array` cut along an axis into equal sections, or at given positions. Views.

    Raises:
      ShapeError: the axis does not divide into that many sections.

    >>> [part.tolist() for part in split(np.arange(6), (2, 3))]
    [[0, 1], [2], [3, 4, 5]]
    """
    array = arr(array)
    shape = shape_of(array)
    axis = as_axis(axis, len(shape), "split")
    n = shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        sections = operator_index(indices_or_sections)
        if sections <= 0 or n % sections:
            raise ShapeError(
                f"[split] expected a number of sections that divides axis {axis} of {shape}, got {sections}. "
                "Pass the positions to cut at instead."
            )
        width = n // sections
        edges = [i * width for i in range(sections + 1)]
    else:
        cuts = [operator_index(i) for i in indices_or_sections]
        edges = [0, *[min(max(i + n if i < 0 else i, 0), n) for i in cuts], n]
    return [_slice_axis(array, axis, a, max(a, b)) for a, b in zip(edges, edges[1:])]


def moveaxis(array: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """`array` with axes moved to other positions, the rest in order. A view.

    >>> moveaxis(np.ones((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    array = arr(array)
    ndim = len(shape_of(array))
    sources, targets = ([a] if isinstance(a, (int, np.integer)) else list(a) for a in (source, destination))
    src = [as_axis(a, ndim, "moveaxis") for a in sources]
    dst = [as_axis(a, ndim, "moveaxis") for a in targets]
    if len(src) != len(dst) or len(set(src)) != len(src) or len(set(dst)) != len(dst):
        raise AxisError(
            f"[moveaxis] expected as many different sources as destinations, got {source} and {destination}."
        )
    order = [a for a in range(ndim) if a not in src]
    for d, s in sorted(zip(dst, src)):
        order.insert(d, s)
    return transpose(array, tuple(order))


def swapaxes(array: Any, axis1: int, axis2: int) -> Any:
    """`array` with two axes interchanged. A view.

    >>> swapaxes(np.ones((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    array = arr(array)
    ndim = len(shape_of(array))
    a, b = as_axis(axis1, ndim, "swapaxes"), as_axis(axis2, ndim, "swapaxes")
    order = list(range(ndim))
    order[a], order[b] = b, a
    return transpose(array, tuple(order))


def ravel(array: Any) -> Any:
    """`array` as a vector, in C order.

    >>> ravel(np.ones((2, 3))).shape
    (6,)
    """
    return reshape(arr(array), (typeof(array).size,))


def tile(array: Any, reps: int | Sequence[int]) -> Any:
    """`array` repeated as a whole `reps` times along each axis.

    >>> tile(np.array([1, 2]), (2, 2))
    array([[1, 2, 1, 2],
           [1, 2, 1, 2]])
    """
    array = arr(array)
    reps = as_shape(reps)
    if any([r < 0 for r in reps]):
        raise ArgumentError(f"[tile] expected non-negative repetitions, got {reps}.")
    shape = shape_of(array)
    ndim = max(len(shape), len(reps))
    reps = (1,) * (ndim - len(reps)) + reps
    shape = (1,) * (ndim - len(shape)) + shape
    # (n, m) -> (1, n, 1, m) -> (r, n, s, m) -> (r n, s m)
    wide, full, out = [], [], []
    for r, n in zip(reps, shape):
        wide += [1, n] if r != 1 else [n]
        full += [r, n] if r != 1 else [n]
        out.append(r * n)
    return reshape(broadcast_to(reshape(array, tuple(wide)), tuple(full)), tuple(out))


def repeat(array: Any, repeats: int, axis: int | None = None) -> Any:
    """Every element of `array` repeated `repeats` times along an axis (of the raveled array by default).

    >>> repeat(np.array([1, 2]), 2)
    array([1, 1, 2, 2])
    """
    array = ravel(array) if axis is None else arr(array)
    shape = shape_of(array)
    axis = as_axis(axis or 0, len(shape), "repeat")
    repeats = operator_index(repeats)
    if repeats < 0:
        raise ArgumentError(f"[repeat] expected a non-negative number of repeats, got {repeats}.")
    before, n, after = shape[:axis], shape[axis], shape[axis + 1 :]
    wide = broadcast_to(reshape(array, (*before, n, 1, *after)), (*before, n, repeats, *after))
    return reshape(wide, (*before, n * repeats, *after))


def roll(array: Any, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Any:
    """`array` with elements moved along axes by static amounts; what falls off re-enters at the other end.

    >>> roll(np.arange(5), 2)
    array([3, 4, 0, 1, 2])
    """
    array = arr(array)
    shape = shape_of(array)
    if axis is None:
        return reshape(roll(ravel(array), sum(as_shape(shift)), 0), shape)
    shifts, axes = as_shape(shift), as_shape(axis)
    if len(shifts) == 1 or len(axes) == 1:
        shifts, axes = shifts * max(1, len(axes)), axes * max(1, len(shifts))
    if len(shifts) != len(axes):
        raise ArgumentError(f"[roll] expected as many shifts as axes, got {shift} and {axis}.")
    for s, a in zip(shifts, axes):
        a = as_axis(a, len(shape), "roll")
        n = shape[a]
        s = s % n if n else 0
        if s:
            array = concatenate_p.bind(_slice_axis(array, a, n - s, n), _slice_axis(array, a, 0, n - s), dimension=a)
    return array


def broadcast_in_dim(operand: Any, shape: Sequence[int], broadcast_dimensions: Sequence[int]) -> Any:
    """`operand` broadcast to `shape`, its axis i becoming axis `broadcast_dimensions[i]`. A read-only view.

    Raises:
      ShapeError: an axis is neither 1 nor equal to the axis that it becomes, or the dimensions do not increase.

    >>> broadcast_in_dim(np.arange(2), (2, 3), (0,))
    array([[0, 0, 0],
           [1, 1, 1]])
    """
    operand = arr(operand)
    own, shape, dims = shape_of(operand), as_shape(shape), as_shape(broadcast_dimensions)
    fits = (
        len(dims) == len(own)
        and all([0 <= d < len(shape) for d in dims])
        and all([a < b for a, b in zip(dims, dims[1:])])
    )
    if not fits or any([n not in (1, shape[d]) for n, d in zip(own, dims)]):
        raise ShapeError(
            f"[broadcast_in_dim] expected one increasing dimension of {shape} for each axis of {own}, equal in length or 1 in the operand, "
            f"got broadcast_dimensions={dims}."
        )
    ones = [1] * len(shape)
    for n, d in zip(own, dims):
        ones[d] = n
    return broadcast_to(reshape(operand, tuple(ones)), shape)


def broadcast(operand: Any, sizes: Sequence[int]) -> Any:
    """`operand` repeated along new leading axes of the given sizes. A read-only view.

    >>> broadcast(np.ones(3), (2, 4)).shape
    (2, 4, 3)
    """
    return broadcast_to(operand, (*as_shape(sizes), *shape_of(operand)))


def collapse(operand: Any, start_dimension: int, stop_dimension: int | None = None) -> Any:
    """`operand` with the axes from `start_dimension` up to `stop_dimension` merged into one.

    >>> collapse(np.ones((2, 3, 4)), 0, 2).shape
    (6, 4)
    """
    shape = shape_of(operand)
    start, stop, _ = builtins.slice(start_dimension, stop_dimension).indices(len(shape))
    if stop < start:
        raise AxisError(
            f"[collapse] expected start_dimension <= stop_dimension, got {start_dimension} and {stop_dimension} for {shape}."
        )
    merged = 1
    for n in shape[start:stop]:
        merged *= n
    return reshape(arr(operand), (*shape[:start], merged, *shape[stop:]))


def iota(dtype: Any, size: int) -> np.ndarray:
    """0, 1, ..., size - 1.

    >>> iota("int32", 3)
    array([0, 1, 2], dtype=int32)
    """
    return np.arange(operator_index(size), dtype=dtype)


def broadcasted_iota(dtype: Any, shape: Sequence[int], dimension: int) -> np.ndarray:
    """An array of `shape` that counts up along `dimension`. A read-only view.

    >>> broadcasted_iota("int32", (2, 3), 1)
    array([[0, 1, 2],
           [0, 1, 2]], dtype=int32)
    """
    shape = as_shape(shape)
    dimension = as_axis(dimension, len(shape), "broadcasted_iota")
    return broadcast_in_dim(iota(dtype, shape[dimension]), shape, (dimension,))


# ------------------------------------------------------------------ bits

bitcast_convert_type_p = Primitive("bitcast_convert_type", kind="view")


def _one_family(a: np.dtype, b: np.dtype) -> bool:
    return (a.kind == "b") == (b.kind == "b") and (a.kind == "c") == (b.kind == "c")


def _bitcast_impl(x: Any, new_dtype: np.dtype) -> Any:
    if not _one_family(x.dtype, new_dtype):
        raise TypeError  # the abstract rule says why
    old, new = x.dtype.itemsize, new_dtype.itemsize
    if old == new:
        return x.view(new_dtype)
    x = np.ascontiguousarray(x).reshape(x.shape)
    if old > new:
        return x.reshape(*x.shape, 1).view(new_dtype)
    return x.view(new_dtype).reshape(x.shape[:-1])


def _bitcast_abstract(a: ShapedArray, new_dtype: np.dtype) -> ShapedArray:
    old, new = a.dtype.itemsize, new_dtype.itemsize
    if not _one_family(a.dtype, new_dtype):
        raise DTypeError(
            f"[bitcast_convert_type] expected two numeric dtypes of one family, got {a.dtype.name} and {new_dtype.name}. Use convert."
        )
    if old == new:
        return ShapedArray(a.shape, new_dtype)
    if old > new:
        return ShapedArray((*a.shape, old // new), new_dtype)
    if not a.shape or a.shape[-1] != new // old:
        raise ShapeError(
            f"[bitcast_convert_type] expected a last axis of length {new // old} to make {new_dtype.name} out of {a.dtype.name}, got {a.shape}."
        )
    return ShapedArray(a.shape[:-1], new_dtype)


bitcast_convert_type_p.impl, bitcast_convert_type_p.abstract = _bitcast_impl, _bitcast_abstract
bitcast_convert_type_p.batch = lambda size, vals, dims, new_dtype: (
    bitcast_convert_type_p.bind(move_dim(vals[0], dims[0], 0, size), new_dtype=new_dtype),
    0,
)
nondifferentiable(bitcast_convert_type_p)


def bitcast_convert_type(operand: Any, new_dtype: Any) -> Any:
    """The same bits read as another dtype; a dtype of another width adds or takes the last axis.

    >>> bitcast_convert_type(np.float32(1.0), "int32") == 0x3F800000
    np.True_
    """
    new_dtype = np.dtype(new_dtype)
    operand = arr(operand)
    return operand if dtype_of(operand) == new_dtype else bitcast_convert_type_p.bind(operand, new_dtype=new_dtype)


reduce_precision_p = Primitive("reduce_precision", kind="elementwise", fresh=True)


def _reduce_precision_impl(x: Any, exponent_bits: int, mantissa_bits: int) -> Any:
    info = np.finfo(x.dtype)
    bits = np.dtype(f"u{x.dtype.itemsize}")
    out = np.array(x, copy=True)
    if mantissa_bits < info.nmant:
        raw = out.view(bits)
        drop = info.nmant - mantissa_bits
        # round half to even: add half a unit, less one when the last kept bit is 0
        odd = (raw >> bits.type(drop)) & bits.type(1)
        rounded = raw + (odd + bits.type((1 << (drop - 1)) - 1))
        mask = bits.type(~((1 << drop) - 1) & ((1 << (8 * bits.itemsize)) - 1))
        out = np.where(np.isfinite(x), (rounded & mask).view(x.dtype), out)
    if exponent_bits < info.nexp:
        bias = (1 << (exponent_bits - 1)) - 1
        largest = np.ldexp(x.dtype.type(2) - np.ldexp(x.dtype.type(1), -mantissa_bits), bias)
        smallest = np.ldexp(x.dtype.type(1), 1 - bias)
        size = np.abs(out)
        out = np.where(np.isfinite(out) & (size > largest), np.copysign(x.dtype.type(np.inf), out), out)
        out = np.where(size < smallest, np.copysign(x.dtype.type(0), out), out)
    return out if out.ndim else out[()]


def _reduce_precision_abstract(a: ShapedArray, exponent_bits: int, mantissa_bits: int) -> ShapedArray:
    if a.dtype.kind != "f":
        raise DTypeError(f"[reduce_precision] expected a float dtype, got {a.dtype.name}. Use convert.")
    if exponent_bits < 1 or mantissa_bits < 0:
        raise ArgumentError(
            f"[reduce_precision] expected exponent_bits >= 1 and mantissa_bits >= 0, got {exponent_bits} and {mantissa_bits}."
        )
    return ShapedArray(a.shape, a.dtype)


reduce_precision_p.impl, reduce_precision_p.abstract = _reduce_precision_impl, _reduce_precision_abstract
reduce_precision_p.batch = lambda size, vals, dims, **params: (reduce_precision_p.bind(vals[0], **params), dims[0])
linear(reduce_precision_p, lambda ct, aval, **params: reduce_precision_p.bind(ct, **params))


def reduce_precision(operand: Any, exponent_bits: int, mantissa_bits: int) -> Any:
    """`operand` rounded (half to even) to a float format with fewer bits, kept in its own dtype.

    Numbers beyond the format's range become infinite, numbers below its smallest normal one become 0. Derivatives are rounded alike.

    >>> float(reduce_precision(np.float32(1.001), 8, 7))
    1.0
    """
    return reduce_precision_p.bind(
        arr(operand), exponent_bits=operator_index(exponent_bits), mantissa_bits=operator_index(mantissa_bits)
    )


# ------------------------------------------------------------------ identities that transformations see

stop_gradient_p = Primitive("stop_gradient", kind="elementwise")
stop_gradient_p.impl = lambda x: x
stop_gradient_p.abstract = lambda a: a
stop_gradient_p.batch = lambda size, vals, dims: (stop_gradient_p.bind(vals[0]), dims[0])
stop_gradient_p.lower["numpy"] = lambda cg, eqn, args, out: args[0]
nondifferentiable(stop_gradient_p)


def stop_gradient(x: Any) -> Any:
    """`x`, an array or a pytree of arrays, as a constant: its derivative is zero in every mode.

    >>> stop_gradient({"w": 2.0})
    {'w': 2.0}
    """
    if isinstance(x, (Tracer, np.ndarray, float)):
        return stop_gradient_p.bind(x) if isinstance(x, Tracer) and is_float(x.dtype) else x

    def constant(leaf: Any) -> Any:
        if isinstance(leaf, Tracer) and is_float(leaf.dtype):
            return stop_gradient_p.bind(leaf)
        typeof(leaf)  # raises for what is no array
        return leaf

    return tree.map(constant, x)


copy_p = Primitive("copy", fresh=True)
copy_p.impl = lambda x: x.copy()
copy_p.abstract = lambda a: ShapedArray(a.shape, a.dtype)
copy_p.batch = lambda size, vals, dims: (copy_p.bind(vals[0]), dims[0])
copy_p.lower["numpy"] = lambda cg, eqn, args, out: f"{args[0]}.copy()"
linear(copy_p, lambda ct, aval: ct)


def copy(x: Any) -> Any:
    """A copy of an array in memory of its own.

    >>> copy(np.arange(3))
    array([0, 1, 2])
    """
    return copy_p.bind(arr(x))


optimization_barrier_p = Primitive("optimization_barrier", kind="barrier", multi=True)


def _barrier_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    outs = optimization_barrier_p.bind(*primals)
    some = [i for i, t in enumerate(tangents) if t is not None]
    held = dict(zip(some, optimization_barrier_p.bind(*[tangents[i] for i in some]))) if some else {}
    return outs, [held.get(i) for i in range(len(primals))]


def _barrier_vjp(active: tuple, *xs: Any) -> tuple:
    outs = optimization_barrier_p.bind(*xs)
    return outs, lambda cts: [cts[i] for i in active]


optimization_barrier_p.impl = lambda *xs: list(xs)
optimization_barrier_p.abstract = lambda *avals: list(avals)
optimization_barrier_p.jvp, optimization_barrier_p.vjp = _barrier_jvp, _barrier_vjp
optimization_barrier_p.batch = lambda size, vals, dims: (optimization_barrier_p.bind(*vals), dims)
optimization_barrier_p.lower["numpy"] = lambda cg, eqn, args, out: f"({', '.join(args)},)"


def optimization_barrier(operand: Any) -> Any:
    """`operand`, a pytree, unchanged: the compiler moves and merges nothing across this point.

    >>> optimization_barrier((1.0, 2.0))
    (1.0, 2.0)
    """
    leaves, treedef = tree.flatten(operand)
    if not any([isinstance(x, Tracer) for x in leaves]):
        return operand
    return tree.unflatten(treedef, optimization_barrier_p.bind(*leaves))
