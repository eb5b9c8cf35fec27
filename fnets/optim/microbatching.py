"""`microbatch`: a function of a batch, computed in parts one after the other, which needs the memory of one part. May import control, `fnets.numpy`."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets import tree
from fnets.control.while_loop import fori_loop
from fnets.core.avals import is_float
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.numpy.arguments import to_array
from fnets.numpy.indexing import at, take
from fnets.numpy.manipulation import swapaxes
from fnets.primitives import elementwise as e
from fnets.primitives.base import as_axis, convert, reshape
from fnets.transforms.staging import eval_shape


class AccumulationType(enum.Enum):
    """How the results of the parts become that of the whole: their mean, their sum, the mean of those that ran, or one behind the other.

    >>> AccumulationType.SUM.name
    'SUM'
    """

    MEAN = enum.auto()
    SUM = enum.auto()
    RUNNING_MEAN = enum.auto()
    CONCAT = enum.auto()


@dataclasses.dataclass(frozen=True)
class Accumulator:
    """A way of one's own to put results together: `init(types)`, `update(carry, value, index)` for every part, `finalize(carry)`, all on trees.

    >>> largest = Accumulator(lambda x: np.full(x.shape, -np.inf), lambda c, v, i: np.maximum(c, v), lambda c: c)
    >>> microbatch(lambda x: x.max(), 0, 2, largest)(np.array([1.0, 3.0, 2.0, 0.0]))
    np.float64(3.0)
    """

    init: Callable[[Any], Any]
    update: Callable[[Any, Any, Any], Any]
    finalize: Callable[[Any], Any]
    aggregate: Callable[[Any], Any] | None = None


def _zeros(x: Any) -> np.ndarray:
    return np.zeros(x.shape, x.dtype)


def _float_zeros(x: Any) -> np.ndarray:
    if not is_float(x.dtype):
        raise DTypeError(
            f"[microbatch] expected float results for a mean, got {x.dtype.name}. Use AccumulationType.SUM."
        )
    return _zeros(x)


def _leafwise(init: Callable, update: Callable, finalize: Callable) -> Accumulator:
    return Accumulator(
        lambda types: tree.map(init, types),
        lambda carry, value, i: tree.map(lambda c, v: update(c, v, i), carry, value),
        lambda carry: tree.map(finalize, carry),
    )


def _accumulator(kind: Any, parts: int) -> Accumulator:
    if isinstance(kind, Accumulator):
        return kind
    if kind is AccumulationType.SUM:
        return _leafwise(_zeros, lambda c, v, i: e.add(c, v), lambda c: c)
    if kind is AccumulationType.MEAN:
        return _leafwise(_float_zeros, lambda c, v, i: e.add(c, v), lambda c: e.div(c, parts))
    if kind is AccumulationType.RUNNING_MEAN:

        def update(c: Any, v: Any, i: Any) -> Any:
            return e.add(c, e.mul(e.sub(v, c), convert(e.div(1.0, e.add(i, 1)), dtype_of(c))))

        return _leafwise(_float_zeros, update, lambda c: c)
    if kind is AccumulationType.CONCAT:
        return _leafwise(
            lambda x: np.zeros((parts, *x.shape), x.dtype), lambda c, v, i: at(c)[i].set(v), lambda c: _joined(c, parts)
        )
    raise ArgumentError(
        f"[microbatch] expected an AccumulationType or an Accumulator, or a tree of them, got {type(kind).__name__}."
    )


def _split(x: Any, size: int, axis: int) -> Any:
    """The axis of a batch as two: parts, and their rows; row k of the batch is row k // parts of part k % parts."""
    x = to_array(x)
    axis = as_axis(axis, len(shape_of(x)), "microbatch")
    shape = shape_of(x)
    if shape[axis] % size:
        raise ShapeError(
            f"[microbatch] expected a batch of a multiple of {size} rows, got {shape[axis]}. Drop or pad some."
        )
    return swapaxes(reshape(x, (*shape[:axis], size, shape[axis] // size, *shape[axis + 1 :])), axis, axis + 1)


def _joined(x: Any, parts: int) -> Any:
    """The inverse of `_split` along the first axis."""
    if len(shape_of(x)) < 2:
        return x
    x = swapaxes(x, 0, 1)
    return reshape(x, (shape_of(x)[0] * parts, *shape_of(x)[2:]))


def reshape_batch_axis(tree_of_arrays: Any, microbatch_size: int, axis: int = 0) -> Any:
    """The leaves with the batch axis split in two, (parts, microbatch_size): row k of the batch is row k // parts of part k % parts.

    >>> reshape_batch_axis(np.arange(4), 2)
    array([[0, 2],
           [1, 3]])
    """
    return tree.map(lambda x: _split(x, microbatch_size, axis), tree_of_arrays)


def microbatch(
    fun: Callable,
    argnums: int | Sequence[int],
    microbatch_size: int | None,
    accumulator: Any = AccumulationType.SUM,
    *,
    argnames: str | Sequence[str] = (),
    in_axes: int | Sequence[int] = 0,
    num_real_microbatches: Any = None,
) -> Callable:
    """A function that computes `fun` of a batch part by part, in a loop, and puts the results together.

    Args:
      fun: function of trees of arrays; any result.
      argnums, argnames: the arguments with a batch axis, by position and by name.
      microbatch_size: rows in a part; it divides the batch. None: `fun` itself.
      accumulator: an `AccumulationType` or an `Accumulator`, or a tree of them that is a prefix of the result.
      in_axes: the batch axis of these arguments, one number for all or one for each (argnums first).
      num_real_microbatches: stop after so many parts; it may be traced.

    Returns:
      A function of the same arguments. Differentiable, and works under jit and vmap.

    Raises:
      ShapeError: a batch that cannot be split, or batches of different length. DTypeError: the mean of integers.

    >>> microbatch(lambda x: (x * x).sum(), 0, 2)(np.arange(4.0))
    np.float64(14.0)
    """
    if microbatch_size is None:
        return fun
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    names = (argnames,) if isinstance(argnames, str) else tuple(argnames)
    places = (*numbers, *names)
    axes = (in_axes,) * len(places) if isinstance(in_axes, int) else tuple(in_axes)
    if len(axes) != len(places):
        raise ArgumentError(f"[microbatch] expected an axis for each of {places}, got in_axes={in_axes}.")

    def in_parts(*args: Any, **kwargs: Any) -> Any:
        where = [p % len(args) if isinstance(p, int) else p for p in places]
        given = {**dict(enumerate(args)), **kwargs}
        batches = {p: reshape_batch_axis(given[p], microbatch_size, axis) for p, axis in zip(where, axes)}
        counts = {shape_of(x)[axis] for p, axis in zip(where, axes) for x in tree.leaves(batches[p])}
        if len(counts) != 1:
            raise ShapeError(
                f"[microbatch] expected batches of one length, got lengths {sorted(n * microbatch_size for n in counts)}."
            )
        parts = counts.pop()
        accumulators = tree.map(lambda kind: _accumulator(kind, parts), accumulator)

        def part(i: Any) -> Any:
            now = given | {p: tree.map(lambda x: take(x, i, axis), batches[p]) for p, axis in zip(where, axes)}  # noqa: B023
            return fun(*[now[k] for k in range(len(args))], **{k: v for k, v in now.items() if isinstance(k, str)})

        def step(i: Any, carry: Any) -> Any:
            return tree.map(lambda a, c, v: a.update(c, v, i), accumulators, carry, part(i))

        begin = tree.map(lambda a, types: a.init(types), accumulators, eval_shape(part, 0))
        total = fori_loop(0, parts if num_real_microbatches is None else num_real_microbatches, step, begin)
        return tree.map(lambda a, c: a.finalize(c), accumulators, total)

    return in_parts
