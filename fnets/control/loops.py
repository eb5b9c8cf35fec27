"""`map` and `associative_scan`: built on scan, vmap and slices. May import control.scan, transforms, primitives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fnets import tree
from fnets.control.operands import flatten_arguments
from fnets.control.scan import scan
from fnets.core.trace import shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.primitives.base import arr, as_axis, reshape
from fnets.primitives.shape import concatenate, expand_dims, rev, slice_in_dim
from fnets.transforms.edge import public
from fnets.transforms.staging import check_callable
from fnets.transforms.vmap import vmap


@public
def map(f: Callable, xs: Any, *, batch_size: int | None = None) -> Any:
    """Apply `f` to every slice of `xs` along the leading axis, one after the other, and stack the results.

    Args:
      f: function of a slice.
      xs: tree of arrays with a common leading axis.
      batch_size: apply `f` to so many slices at once, by `vmap`; None or 0 for one.

    >>> import numpy as np
    >>> map(lambda x: x * x, np.array([1.0, 2.0]))
    array([1., 4.])
    """
    check_callable("map", f)
    if not batch_size:
        return scan(lambda _, x: (None, f(x)), None, xs)[1]
    leaves, spec = flatten_arguments("map", xs)
    if not leaves or any(not shape_of(x) for x in leaves):
        raise ShapeError("[map] expected xs with a leading axis, got a scalar or nothing.")
    n = shape_of(leaves[0])[0]
    whole = n - n % batch_size
    blocks = [
        reshape(slice_in_dim(x, 0, whole, axis=0), (n // batch_size, batch_size, *shape_of(x)[1:])) for x in leaves
    ]
    out = scan(lambda _, x: (None, vmap(f)(x)), None, tree.unflatten_spec(spec, blocks))[1]
    out = tree.map(lambda y: reshape(y, (whole, *shape_of(y)[2:])), out)
    if whole == n:
        return out
    rest = vmap(f)(tree.unflatten_spec(spec, [slice_in_dim(x, whole, n, axis=0) for x in leaves]))
    return tree.map(lambda a, b: concatenate([a, b], 0), out, rest)


@public
def associative_scan(fn: Callable, elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All partial results of an associative operation, in about two applications per element and log2(n) rounds.

    Args:
      fn: associative `fn(a, b)` on trees of arrays, applied to whole slices along `axis`.
      elems: tree of arrays with equal lengths along `axis`.
      reverse: accumulate from the end.

    Source: Blelloch, "Prefix sums and their applications" (1990).

    >>> import numpy as np
    >>> associative_scan(lambda a, b: a + b, np.arange(4.0))
    array([0., 1., 3., 6.])
    """
    check_callable("associative_scan", fn)
    leaves, spec = flatten_arguments("associative_scan", elems)
    if not leaves:
        return elems
    leaves = [arr(x) for x in leaves]
    axis = as_axis(axis, len(shape_of(leaves[0])), "associative_scan")
    sizes = {shape_of(x)[axis] for x in leaves}
    if len(sizes) != 1:
        raise ArgumentError(f"[associative_scan] expected arrays of one length along axis {axis}, got {sorted(sizes)}.")
    if reverse:
        leaves = [rev(x, (axis,)) for x in leaves]

    def combine(a: list, b: list) -> list:
        return tree.leaves(fn(tree.unflatten_spec(spec, a), tree.unflatten_spec(spec, b)))

    def cut(xs: list, start: int, stop: int | None, step: int) -> list:
        return [slice_in_dim(x, start, stop, step, axis=axis) for x in xs]

    def run(xs: list) -> list:
        n = shape_of(xs[0])[axis]
        if n < 2:
            return xs
        odd = run(combine(cut(xs, 0, n - 1, 2), cut(xs, 1, None, 2)))  # results at positions 1, 3, 5, ...
        left = cut(odd, 0, shape_of(odd[0])[axis] - 1, 1) if n % 2 == 0 else odd
        even = combine(left, cut(xs, 2, None, 2))
        even = [concatenate([slice_in_dim(x, 0, 1, axis=axis), e], axis) for x, e in zip(xs, even)]
        return [_interleave(e, o, axis) for e, o in zip(even, odd)]

    out = run(leaves)
    if reverse:
        out = [rev(x, (axis,)) for x in out]
    return tree.unflatten_spec(spec, out)


def _interleave(even: Any, odd: Any, axis: int) -> Any:
    """even[0], odd[0], even[1], odd[1], ... along an axis; `even` may be longer by one."""
    m = shape_of(odd)[axis]
    shape = shape_of(odd)
    paired = concatenate(
        [expand_dims(slice_in_dim(even, 0, m, axis=axis), axis + 1), expand_dims(odd, axis + 1)], axis + 1
    )
    merged = reshape(paired, (*shape[:axis], 2 * m, *shape[axis + 1 :]))
    return merged if shape_of(even)[axis] == m else concatenate([merged, slice_in_dim(even, m, None, axis=axis)], axis)
