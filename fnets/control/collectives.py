"""Collectives over a named vmapped axis: psum, all_gather, ppermute, ... . May import transforms, primitives.

Dispatch is by data, so an axis is itself a piece of data: `vmap(axis_name="i")` provides a token, the traced array of positions along the axis,
and every collective takes the token as its last operand. Whichever transformation handles the axis sees the token, also through jit and scan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets import tree
from fnets.core.avals import ShapedArray, is_float
from fnets.core.primitive import Primitive
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.primitives.base import arr, as_axis, move_dim, reduce_sum, reshape
from fnets.primitives.elementwise import add, div, mul
from fnets.primitives.reduce import reduce_max, reduce_min
from fnets.primitives.shape import concatenate, slice_in_dim
from fnets.transforms.axes import axis_token


def _declare(name: str, abstract: Callable, batch: Callable, transpose: Callable) -> Primitive:
    """A collective: linear in its first operand, the second is the axis token.

    batch(size, x, dim, **params) -> (value, dim) handles the axis itself; transpose(ct, token, **params) is the operand's cotangent.
    `axes` in params count the operand's own axes and move aside for other batch dimensions.
    """
    prim = Primitive(name, kind="collective")

    def rule(size: int, vals: Sequence, dims: Sequence, **params: Any) -> tuple:
        (x, token), (d, dt) = vals, dims
        if dt is not None:
            return batch(size, x, d, **params)
        # another axis is being batched: put it last in line, behind every axis that the parameters count
        moved = move_dim(x, d, len(shape_of(x)) - 1, size)
        out = prim.bind(moved, token, **params)
        return out, len(shape_of(out)) - 1

    def jvp(primals: Sequence, tangents: Sequence, **params: Any) -> tuple:
        x, token = primals
        out = prim.bind(x, token, **params)
        return out, prim.bind(tangents[0], token, **params) if is_float(dtype_of(out)) else None

    def vjp(active: Sequence, x: Any, token: Any, **params: Any) -> tuple:
        out = prim.bind(x, token, **params)
        return (out, None) if not is_float(dtype_of(out)) else (out, lambda ct: (transpose(ct, token, **params),))

    def impl(*args: Any, **params: Any) -> Any:
        raise ArgumentError(
            f"[{name}] expected a value inside vmap(..., axis_name=...), got one outside. Call it in the function that is mapped."
        )

    prim.impl, prim.abstract, prim.batch, prim.jvp, prim.vjp = impl, abstract, rule, jvp, vjp
    return prim


def _psum_batch(size: int, x: Any, d: int | None) -> tuple:
    return (mul(x, size), None) if d is None else (reduce_sum(x, (d,)), None)


psum_p = _declare("psum", lambda a, token: a, _psum_batch, lambda ct, token: psum_p.bind(ct, token))


def _all_gather_abstract(a: ShapedArray, token: ShapedArray, axis: int, axis_size: int) -> ShapedArray:
    return a.update(shape=(*a.shape[:axis], axis_size, *a.shape[axis:]))


def _all_gather_batch(size: int, x: Any, d: int | None, axis: int, **_: Any) -> tuple:
    return move_dim(x, d, axis, size), None


def _psum_scatter_abstract(a: ShapedArray, token: ShapedArray, axis: int, axis_size: int) -> ShapedArray:
    return a.update(shape=a.shape[:axis] + a.shape[axis + 1 :])


def _psum_scatter_batch(size: int, x: Any, d: int | None, axis: int, **_: Any) -> tuple:
    return _psum_batch(size, x, d)[0], axis


all_gather_p = _declare(
    "all_gather",
    _all_gather_abstract,
    _all_gather_batch,
    lambda ct, token, axis, axis_size: psum_scatter_p.bind(ct, token, axis=axis, axis_size=axis_size),
)
psum_scatter_p = _declare(
    "psum_scatter",
    _psum_scatter_abstract,
    _psum_scatter_batch,
    lambda ct, token, axis, axis_size: all_gather_p.bind(ct, token, axis=axis, axis_size=axis_size),
)


def _all_to_all_abstract(
    a: ShapedArray, token: ShapedArray, split_axis: int, concat_axis: int, axis_size: int
) -> ShapedArray:
    shape = a.shape[:split_axis] + a.shape[split_axis + 1 :]
    return a.update(shape=(*shape[:concat_axis], axis_size, *shape[concat_axis:]))


def _all_to_all_batch(size: int, x: Any, d: int | None, split_axis: int, concat_axis: int, **_: Any) -> tuple:
    x = move_dim(x, d, 0, size)  # (batch, ..., split, ...): the two axes trade places
    split = split_axis + 1
    x = move_dim(x, split, 0, size)  # (split, batch, ...)
    return move_dim(x, 1, concat_axis + 1, size), 0


all_to_all_p = _declare(
    "all_to_all",
    _all_to_all_abstract,
    _all_to_all_batch,
    lambda ct, token, split_axis, concat_axis, axis_size: all_to_all_p.bind(
        ct, token, split_axis=concat_axis, concat_axis=split_axis, axis_size=axis_size
    ),
)


def _ppermute_batch(size: int, x: Any, d: int | None, perm: tuple) -> tuple:
    x = move_dim(x, d, 0, size)
    source = {dst: src for src, dst in perm}
    zero = mul(slice_in_dim(x, 0, 1, axis=0), 0)
    return concatenate(
        [slice_in_dim(x, source[i], source[i] + 1, axis=0) if i in source else zero for i in range(size)], 0
    ), 0


ppermute_p = _declare(
    "ppermute",
    lambda a, token, perm: a,
    _ppermute_batch,
    lambda ct, token, perm: ppermute_p.bind(ct, token, perm=tuple((dst, src) for src, dst in perm)),
)


# ------------------------------------------------------------------ the user's functions


def _names(axis_name: Any) -> tuple:
    return tuple(axis_name) if isinstance(axis_name, (tuple, list)) else (axis_name,)


def _refuse_groups(op: str, axis_index_groups: Any) -> None:
    if axis_index_groups is not None:
        raise ArgumentError(
            f"[{op}] expected axis_index_groups=None, got {axis_index_groups!r}: groups are not supported. Split the axis in two vmaps."
        )


def axis_index(axis_name: Any) -> Any:
    """The position of this example along a mapped axis.

    >>> import fnets
    >>> fnets.vmap(lambda x: x + axis_index("i"), axis_name="i")(np.zeros(3))
    array([0., 1., 2.])
    """
    first, *rest = _names(axis_name)
    position = axis_token(first)[0]
    for name in rest:
        token, size = axis_token(name)
        position = add(mul(position, np.int32(size)), token)
    return position


def axis_size(axis_name: Any) -> int:
    """The length of a mapped axis.

    >>> import fnets
    >>> fnets.vmap(lambda x: x * axis_size("i"), axis_name="i")(np.ones(3))
    array([3., 3., 3.])
    """
    size = 1
    for name in _names(axis_name):
        size *= axis_token(name)[1]
    return size


def psum(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The sum over a mapped axis, the same for every example. `x` may be any tree.

    >>> import fnets
    >>> fnets.vmap(lambda x: x / psum(x, "i"), axis_name="i")(np.array([1.0, 3.0]))
    array([0.25, 0.75])
    """
    _refuse_groups("psum", axis_index_groups)
    tokens = [axis_token(name) for name in _names(axis_name)]

    def one(leaf: Any) -> Any:
        if isinstance(leaf, (int, float, complex)):
            for _, size in tokens:
                leaf = leaf * size
            return leaf
        leaf = arr(leaf)
        for token, _ in tokens:
            leaf = psum_p.bind(leaf, token)
        return leaf

    return tree.map(one, x)


def pmean(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The mean over a mapped axis.

    >>> import fnets
    >>> fnets.vmap(lambda x: x - pmean(x, "i"), axis_name="i")(np.array([1.0, 3.0]))
    array([-1.,  1.])
    """
    n = axis_size(axis_name)
    return tree.map(lambda leaf: div(leaf, n), psum(x, axis_name, axis_index_groups=axis_index_groups))


def _extremum(reduce: Callable, x: Any, axis_name: Any) -> Any:
    def one(leaf: Any) -> Any:
        for name in _names(axis_name):
            leaf = reduce(all_gather(leaf, name), (0,))
        return leaf

    return tree.map(one, x)


def pmax(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The maximum over a mapped axis.

    >>> import fnets
    >>> fnets.vmap(lambda x: pmax(x, "i"), axis_name="i")(np.array([1.0, 3.0]))
    array([3., 3.])
    """
    _refuse_groups("pmax", axis_index_groups)
    return _extremum(reduce_max, x, axis_name)


def pmin(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The minimum over a mapped axis.

    >>> import fnets
    >>> fnets.vmap(lambda x: pmin(x, "i"), axis_name="i")(np.array([1.0, 3.0]))
    array([1., 1.])
    """
    _refuse_groups("pmin", axis_index_groups)
    return _extremum(reduce_min, x, axis_name)


def all_gather(x: Any, axis_name: Any, *, axis_index_groups: Any = None, axis: int = 0, tiled: bool = False) -> Any:
    """The values of all examples along a new axis (`tiled`: along an existing one).

    >>> import fnets
    >>> fnets.vmap(lambda x: all_gather(x, "i"), axis_name="i")(np.array([1.0, 3.0]))
    array([[1., 3.],
           [1., 3.]])
    """
    _refuse_groups("all_gather", axis_index_groups)
    token, size = axis_token(axis_name)

    def one(leaf: Any) -> Any:
        leaf = arr(leaf)
        shape = shape_of(leaf)
        at = as_axis(axis, len(shape) + (not tiled), "all_gather")
        out = all_gather_p.bind(leaf, token, axis=at, axis_size=size)
        return reshape(out, (*shape[:at], size * shape[at], *shape[at + 1 :])) if tiled else out

    return tree.map(one, x)


def psum_scatter(
    x: Any, axis_name: Any, *, scatter_dimension: int = 0, axis_index_groups: Any = None, tiled: bool = False
) -> Any:
    """The sum over a mapped axis, of which every example receives its own slice.

    >>> import fnets
    >>> fnets.vmap(lambda x: psum_scatter(x, "i"), axis_name="i")(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([4., 6.])
    """
    _refuse_groups("psum_scatter", axis_index_groups)
    token, size = axis_token(axis_name)

    def one(leaf: Any) -> Any:
        shape = shape_of(leaf)
        at = as_axis(scatter_dimension, len(shape), "psum_scatter")
        leaf = _tiles("psum_scatter", leaf, at, size) if tiled else _whole("psum_scatter", leaf, at, size)
        return psum_scatter_p.bind(leaf, token, axis=at, axis_size=size)

    return tree.map(one, x)


def _whole(op: str, x: Any, axis: int, size: int) -> Any:
    if shape_of(x)[axis] != size:
        raise ShapeError(
            f"[{op}] expected axis {axis} to have the length of the mapped axis, {size}, got shape {shape_of(x)}. Use tiled=True."
        )
    return x


def _tiles(op: str, x: Any, axis: int, size: int) -> Any:
    shape = shape_of(x)
    if shape[axis] % size:
        raise ShapeError(
            f"[{op}] expected axis {axis} to be divisible by the length of the mapped axis, {size}, got shape {shape}."
        )
    return reshape(x, (*shape[:axis], size, shape[axis] // size, *shape[axis + 1 :]))


def all_to_all(
    x: Any, axis_name: Any, split_axis: int, concat_axis: int, *, axis_index_groups: Any = None, tiled: bool = False
) -> Any:
    """Trade an axis of the operand for the mapped axis: example i sends its slice j to example j.

    >>> import fnets
    >>> fnets.vmap(lambda x: all_to_all(x, "i", 0, 0), axis_name="i")(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[1., 3.],
           [2., 4.]])
    """
    _refuse_groups("all_to_all", axis_index_groups)
    token, size = axis_token(axis_name)

    def one(leaf: Any) -> Any:
        ndim = len(shape_of(leaf))
        split, concat = as_axis(split_axis, ndim, "all_to_all"), as_axis(concat_axis, ndim, "all_to_all")
        if not tiled:
            return all_to_all_p.bind(leaf, token, split_axis=split, concat_axis=concat, axis_size=size)
        out = all_to_all_p.bind(
            _tiles("all_to_all", leaf, split, size), token, split_axis=split, concat_axis=concat, axis_size=size
        )
        shape = shape_of(out)
        return reshape(out, (*shape[:concat], shape[concat] * shape[concat + 1], *shape[concat + 2 :]))

    return tree.map(one, x)


def pswapaxes(x: Any, axis_name: Any, axis: int, *, axis_index_groups: Any = None) -> Any:
    """Exchange the mapped axis with an axis of the operand, which must be of the same length.

    >>> import fnets
    >>> fnets.vmap(lambda x: pswapaxes(x, "i", 0), axis_name="i")(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[1., 3.],
           [2., 4.]])
    """
    return all_to_all(x, axis_name, axis, axis, axis_index_groups=axis_index_groups)


def pbroadcast(x: Any, axis_name: Any, source: int) -> Any:
    """The value of one example for all of them.

    >>> import fnets
    >>> fnets.vmap(lambda x: pbroadcast(x, "i", 1), axis_name="i")(np.array([1.0, 3.0]))
    array([3., 3.])
    """
    size = axis_size(axis_name)
    if not -size <= source < size:
        raise ArgumentError(f"[pbroadcast] expected a source below {size}, got {source}.")

    def one(leaf: Any) -> Any:
        chosen = slice_in_dim(all_gather(leaf, axis_name), source % size, source % size + 1, axis=0)
        return reshape(chosen, shape_of(leaf))

    return tree.map(one, x)


def ppermute(x: Any, axis_name: Any, perm: Sequence[tuple[int, int]]) -> Any:
    """Send values between examples: `perm` holds pairs (source, destination); who receives nothing gets zeros.

    >>> import fnets
    >>> fnets.vmap(lambda x: ppermute(x, "i", [(0, 1), (1, 0)]), axis_name="i")(np.array([1.0, 3.0]))
    array([3., 1.])
    """
    token, size = axis_token(axis_name)
    pairs = tuple((int(s), int(d)) for s, d in perm)
    if (
        any(not (0 <= s < size and 0 <= d < size) for s, d in pairs)
        or len({d for _, d in pairs}) != len(pairs)
        or len({s for s, _ in pairs}) != len(pairs)
    ):
        raise ArgumentError(
            f"[ppermute] expected different sources and different destinations below {size}, got {list(perm)}."
        )
    return tree.map(lambda leaf: ppermute_p.bind(arr(leaf), token, perm=pairs), x)


def pshuffle(x: Any, axis_name: Any, perm: Sequence[int]) -> Any:
    """As `ppermute` with a whole permutation: example i receives the value of example `perm[i]`.

    >>> import fnets
    >>> fnets.vmap(lambda x: pshuffle(x, "i", [1, 0]), axis_name="i")(np.array([1.0, 3.0]))
    array([3., 1.])
    """
    size = axis_size(axis_name)
    if sorted(perm) != list(range(size)):
        raise ArgumentError(f"[pshuffle] expected a permutation of range({size}), got {list(perm)}.")
    return ppermute(x, axis_name, list(zip(perm, range(size))))
