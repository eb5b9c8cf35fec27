"""Shapes, joining and splitting under NumPy's names: `reshape`, `transpose`, `concatenate`, `split`, ...

May import arguments, dtypes, primitives. Results may be views of their argument, as in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnets.core.trace import Tracer, shape_of, typeof
from fnets.errors import ArgumentError, AxisError, ShapeError
from fnets.numpy.arguments import as_dtype, flat, known, operands, refuse_out, static_shape, to_array
from fnets.primitives import elementwise as e
from fnets.primitives import shape as s
from fnets.primitives.base import as_axis, as_shape, convert
from fnets.primitives.base import broadcast_to as _broadcast_to
from fnets.primitives.base import reshape as _reshape
from fnets.primitives.base import transpose as _transpose

__all__ = [
    "append", "array_split", "atleast_1d", "atleast_2d", "atleast_3d", "block", "broadcast_arrays",
    "broadcast_shapes", "broadcast_to", "column_stack", "concat", "concatenate", "dsplit", "dstack", "expand_dims",
    "hsplit", "hstack", "matrix_transpose", "moveaxis", "permute_dims", "ravel", "reshape", "rollaxis", "row_stack",
    "split", "squeeze", "stack", "swapaxes", "transpose", "unstack", "vsplit", "vstack",
]  # fmt: skip

# ------------------------------------------------------------------ shape


def reshape(a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: bool | None = None) -> Any:
    """`a` in another shape; one entry may be -1 and is worked out.

    Args:
      a: array.
      shape: an int or a sequence of ints.
      order: "C" reads and writes the last axis fastest, "F" the first.
      copy: True copies always; otherwise the result may be a view.

    Raises:
      ShapeError: the number of elements differs.

    >>> reshape(np.arange(6), (2, -1))
    array([[0, 1, 2],
           [3, 4, 5]])
    """
    a = to_array(a)
    shape = newshape if shape is None else shape
    if shape is None:
        raise ArgumentError("[reshape] expected a shape, got none. Use reshape(a, -1) for a vector.")
    shape = static_shape(shape, "reshape")
    if -1 in shape:
        shape = s.resolve_shape(shape, typeof(a).size)
    if order == "F":
        return transpose(_reshape(transpose(a), shape[::-1]))
    if order not in ("C", "A"):
        raise ArgumentError(f"[reshape] expected order 'C' or 'F', got {order!r}.")
    out = _reshape(a, shape)
    return out.copy() if copy and isinstance(out, np.ndarray) else out


def ravel(a: Any, order: str = "C") -> Any:
    """`a` as a vector.

    >>> ravel(np.ones((2, 3))).shape
    (6,)
    """
    if order == "F":
        return reshape(a, (-1,), order)
    return flat(a if type(a) is np.ndarray else to_array(a))


def transpose(a: Any, axes: Sequence[int] | None = None) -> Any:
    """`a` with its axes permuted; reversed by default. A view.

    >>> transpose(np.ones((2, 3, 4)), (1, 0, 2)).shape
    (3, 2, 4)
    """
    a = to_array(a)
    ndim = len(shape_of(a))
    if axes is None:
        return _transpose(a, tuple(range(ndim))[::-1])
    permutation = tuple([as_axis(i, ndim, "transpose") for i in axes])
    return _transpose(a, permutation)


def permute_dims(a: Any, /, axes: Sequence[int]) -> Any:
    """`transpose` under the name of the array API.

    >>> permute_dims(np.ones((2, 3)), (1, 0)).shape
    (3, 2)
    """
    return transpose(a, axes)


def matrix_transpose(x: Any, /) -> Any:
    """The last two axes interchanged.

    >>> matrix_transpose(np.ones((5, 2, 3))).shape
    (5, 3, 2)
    """
    x = to_array(x)
    if len(shape_of(x)) < 2:
        raise ShapeError(
            f"[matrix_transpose] expected at least two axes, got shape {shape_of(x)}. Use x[:, None] to make a column."
        )
    return s.swapaxes(x, -1, -2)


def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """Two axes interchanged. A view.

    >>> swapaxes(np.ones((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    return s.swapaxes(to_array(a), axis1, axis2)


def moveaxis(a: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """Axes moved to other positions, the rest in order. A view.

    >>> moveaxis(np.ones((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    return s.moveaxis(to_array(a), source, destination)


def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """An axis moved back until it lies before position `start`. `moveaxis` is easier to read.

    >>> rollaxis(np.ones((2, 3, 4)), 2).shape
    (4, 2, 3)
    """
    a = to_array(a)
    ndim = len(shape_of(a))
    axis, start = as_axis(axis, ndim, "rollaxis"), start + ndim if start < 0 else start
    if not 0 <= start <= ndim:
        raise AxisError(f"[rollaxis] expected start between {-ndim} and {ndim}, got {start}.")
    return s.moveaxis(a, axis, start - (axis < start))


def expand_dims(a: Any, axis: int | Sequence[int]) -> Any:
    """Axes of length 1 inserted at positions of the result. A view.

    >>> expand_dims(np.ones((2, 3)), (0, -1)).shape
    (1, 2, 3, 1)
    """
    return s.expand_dims(to_array(a), axis)


def squeeze(a: Any, axis: int | Sequence[int] | None = None) -> Any:
    """Axes of length 1 removed: those named, or all. A view.

    >>> squeeze(np.ones((1, 2, 1)), 0).shape
    (2, 1)
    """
    return s.squeeze(to_array(a), axis)


def atleast_1d(*arys: Any) -> Any:
    """Arrays with at least one axis; one array for one argument, else a list.

    >>> atleast_1d(2).shape
    (1,)
    """
    out = [_reshape(x, (1,)) if not shape_of(x) else x for x in map(to_array, arys)]
    return out[0] if len(arys) == 1 else out


def atleast_2d(*arys: Any) -> Any:
    """Arrays with at least two axes, new ones in front; one array for one argument, else a list.

    >>> atleast_2d(np.ones(3)).shape
    (1, 3)
    """
    out = [x if len(shape_of(x)) > 1 else _reshape(x, (1, typeof(x).size)) for x in map(to_array, arys)]
    return out[0] if len(arys) == 1 else out


def atleast_3d(*arys: Any) -> Any:
    """Arrays with at least three axes: (n,) becomes (1, n, 1), (n, m) becomes (n, m, 1).

    >>> atleast_3d(np.ones(3)).shape
    (1, 3, 1)
    """
    out = []
    for x in map(to_array, arys):
        shape = shape_of(x)
        out.append(x if len(shape) > 2 else _reshape(x, (*shape, 1) if len(shape) == 2 else (1, typeof(x).size, 1)))
    return out[0] if len(arys) == 1 else out


# ------------------------------------------------------------------ broadcasting


def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    """`array` repeated along axes of length 1 and new leading axes, up to `shape`. A read-only view.

    >>> broadcast_to(np.arange(2), (3, 2)).shape
    (3, 2)
    """
    return _broadcast_to(to_array(array), static_shape(shape, "broadcast_to"))


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that arrays of these shapes broadcast to.

    >>> broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    return e.broadcast_shapes("broadcast_shapes", *[as_shape(n) for n in shapes]) if shapes else ()


def broadcast_arrays(*args: Any, subok: bool = False) -> list:
    """Arrays broadcast against each other: read-only views of one shape.

    >>> [x.shape for x in broadcast_arrays(np.ones((3, 1)), np.ones(4))]
    [(3, 4), (3, 4)]
    """
    xs = [to_array(x) for x in args]
    if not xs:
        return []
    shape = e.broadcast_shapes("broadcast_arrays", *map(shape_of, xs))
    return [_broadcast_to(x, shape) for x in xs]


# ------------------------------------------------------------------ joining


def _sequence(op: str, arrays: Any) -> list:
    if isinstance(arrays, (np.ndarray, Tracer)):
        if not arrays.shape:
            raise ArgumentError(f"[{op}] expected a sequence of arrays, got one without axes. Wrap it in a list.")
        return list(unstack(arrays))
    return operands(*arrays)


def concatenate(
    arrays: Any, axis: int | None = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    """Arrays joined along an existing axis (of their raveled selves for None); dtypes are promoted.

    Raises:
      ShapeError: shapes differ along another axis.

    >>> concatenate([np.zeros((1, 2)), np.ones((2, 2))]).shape
    (3, 2)
    """
    refuse_out("concatenate", out)
    xs = _sequence("concatenate", arrays)
    if axis is None:
        xs, axis = [flat(x) for x in xs], 0
    if dtype is not None:
        xs = [convert(x, as_dtype(dtype)) for x in xs]
    if not xs or not xs[0].ndim:
        raise ShapeError(
            "[concatenate] expected at least one array, each with at least one axis, got none or a scalar. Use stack, or atleast_1d."
        )
    return s.concatenate_p.bind(*xs, dimension=as_axis(axis, xs[0].ndim, "concatenate"))


def concat(arrays: Any, /, *, axis: int | None = 0) -> Any:
    """`concatenate` under the name of the array API.

    >>> concat([np.zeros(1), np.ones(2)])
    array([0., 1., 1.])
    """
    return concatenate(arrays, axis)


def stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None) -> Any:
    """Arrays of one shape joined along a new axis.

    >>> stack([np.zeros(3), np.ones(3)], axis=1).shape
    (3, 2)
    """
    refuse_out("stack", out)
    xs = _sequence("stack", arrays)
    return s.stack(xs if dtype is None else [convert(x, as_dtype(dtype)) for x in xs], axis)


def vstack(tup: Any, *, dtype: Any = None) -> Any:
    """Arrays joined along the first axis; vectors count as rows.

    >>> vstack([np.ones(3), np.zeros((2, 3))]).shape
    (3, 3)
    """
    return concatenate([atleast_2d(x) for x in _sequence("vstack", tup)], 0, dtype=dtype)


row_stack = vstack


def hstack(tup: Any, *, dtype: Any = None) -> Any:
    """Arrays joined along the second axis; vectors along their only one.

    >>> hstack([np.ones(3), np.zeros(2)]).shape
    (5,)
    """
    xs = [atleast_1d(x) for x in _sequence("hstack", tup)]
    return concatenate(xs, 0 if xs and len(shape_of(xs[0])) == 1 else 1, dtype=dtype)


def dstack(tup: Any, *, dtype: Any = None) -> Any:
    """Arrays joined along the third axis.

    >>> dstack([np.ones(3), np.zeros(3)]).shape
    (1, 3, 2)
    """
    return concatenate([atleast_3d(x) for x in _sequence("dstack", tup)], 2, dtype=dtype)


def column_stack(tup: Any) -> Any:
    """Vectors as the columns of a matrix; matrices are joined along the second axis.

    >>> column_stack([np.ones(3), np.zeros(3)]).shape
    (3, 2)
    """
    return concatenate(
        [transpose(atleast_2d(x)) if len(shape_of(x)) < 2 else x for x in _sequence("column_stack", tup)], 1
    )


def block(arrays: Any) -> Any:
    """An array put together from nested lists of blocks.

    >>> block([[np.ones((2, 2)), np.zeros((2, 1))]]).shape
    (2, 3)
    """

    def depth(x: Any) -> int:
        if not isinstance(x, list):
            return 0
        if not x:
            raise ArgumentError("[block] expected lists that are not empty, got an empty one.")
        depths = {depth(v) for v in x}
        if len(depths) != 1:
            raise ArgumentError(
                "[block] expected lists nested to one depth, got different depths. Wrap the shallower blocks in lists."
            )
        return 1 + depths.pop()

    levels = depth(arrays)

    def leaves(x: Any) -> list:
        return [v for part in x for v in leaves(part)] if isinstance(x, list) else [to_array(x)]

    ndim = max([levels, *[len(shape_of(x)) for x in leaves(arrays)]])

    def join(x: Any, axis: int) -> Any:
        if not isinstance(x, list):
            x = to_array(x)
            return _reshape(x, (1,) * (ndim - len(shape_of(x))) + shape_of(x))
        return concatenate([join(v, axis + 1) for v in x], axis)

    out = join(arrays, ndim - levels)
    return out.copy() if isinstance(out, np.ndarray) and not levels else out


def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """`arr` with `values` behind it along an axis; both raveled by default.

    >>> append(np.array([1, 2]), 3)
    array([1, 2, 3])
    """
    return concatenate([atleast_1d(x) for x in operands(arr, values)], axis)


# ------------------------------------------------------------------ splitting


def split(ary: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list:
    """`ary` cut along an axis into equal sections, or at given positions. Views.

    Raises:
      ShapeError: the axis does not divide into that many sections.

    >>> [x.tolist() for x in split(np.arange(6), (2, 3))]
    [[0, 1], [2], [3, 4, 5]]
    """
    return s.split(to_array(ary), _cuts(indices_or_sections, "split"), axis)


def _cuts(indices_or_sections: Any, op: str) -> Any:
    if isinstance(indices_or_sections, (np.ndarray, Tracer)):
        indices_or_sections = np.asarray(known(indices_or_sections, op, "indices_or_sections")).tolist()
    return indices_or_sections


def array_split(ary: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list:
    """As `split`, but sections may differ in length by one.

    >>> [x.tolist() for x in array_split(np.arange(5), 2)]
    [[0, 1, 2], [3, 4]]
    """
    ary = to_array(ary)
    cuts = _cuts(indices_or_sections, "array_split")
    if isinstance(cuts, (int, np.integer)):
        if cuts <= 0:
            raise ArgumentError(f"[array_split] expected a positive number of sections, got {cuts}.")
        n = shape_of(ary)[as_axis(axis, len(shape_of(ary)), "array_split")]
        width, longer = n // cuts, n % cuts
        cuts = [i * width + min(i, longer) for i in range(1, int(cuts))]
    return s.split(ary, cuts, axis)


def hsplit(ary: Any, indices_or_sections: int | Sequence[int]) -> list:
    """`split` along the second axis; of a vector along its only one.

    >>> len(hsplit(np.ones((2, 4)), 2))
    2
    """
    ary = to_array(ary)
    return split(ary, indices_or_sections, 0 if len(shape_of(ary)) == 1 else 1)


def vsplit(ary: Any, indices_or_sections: int | Sequence[int]) -> list:
    """`split` along the first axis.

    >>> len(vsplit(np.ones((2, 4)), 2))
    2
    """
    return split(ary, indices_or_sections, 0)


def dsplit(ary: Any, indices_or_sections: int | Sequence[int]) -> list:
    """`split` along the third axis.

    >>> len(dsplit(np.ones((2, 3, 4)), 2))
    2
    """
    return split(ary, indices_or_sections, 2)


def unstack(x: Any, /, *, axis: int = 0) -> tuple:
    """The slices along an axis, without that axis.

    >>> unstack(np.array([1, 2]))
    (np.int64(1), np.int64(2))
    """
    x = to_array(x)
    shape = shape_of(x)
    if not shape:
        raise AxisError("[unstack] expected an array with at least one axis, got one without.")
    axis = as_axis(axis, len(shape), "unstack")
    if isinstance(x, np.ndarray):
        return tuple(np.moveaxis(x, axis, 0))
    rest = (*shape[:axis], *shape[axis + 1 :])
    return tuple([_reshape(part, rest) for part in s.split(x, shape[axis], axis)]) if shape[axis] else ()
