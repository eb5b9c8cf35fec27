"""What a ufunc can do besides being called: `reduce`, `accumulate`, `outer`, `at`, `reduceat`; and ufuncs made from scalar functions.

May import functional, indexing, manipulation, primitives.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError
from fnets.numpy import manipulation as m
from fnets.numpy.arguments import as_type, common_shape, refuse_out, to_array
from fnets.numpy.functional import vectorize
from fnets.numpy.indexing import at, getitem
from fnets.primitives import elementwise as e
from fnets.primitives.base import as_axes, as_axis, broadcast_to, kept, reduced, reshape

__all__ = [
    "frompyfunc", "ufunc",
]  # fmt: skip


class BinaryMethods:
    """The methods of a ufunc of two arguments: `call` is the function, which broadcasts.

    special: functions of (a, axis=, ...) that compute `reduce` and `accumulate` at once, where there are such.
    """

    def __init__(self, call: Callable, name: str, identity: Any = None, **special: Callable):
        self.call, self.name, self.identity, self.special = call, name, identity, special

    nin, nout = 2, 1

    def _require_binary(self, method: str) -> None:
        if (self.nin, self.nout) != (2, 1):
            raise ArgumentError(
                f"[{self.name}.{method}] expected a function of two arguments and one result, got {self.nin} and {self.nout}."
            )

    def reduce(
        self,
        a: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = None,
    ) -> Any:
        """The function between all slices along axes, from the left.

        Args:
          a: array.
          axis: one axis, several, or None for all.
          dtype: to compute in.
          keepdims: keep the reduced axes with length 1.
          initial: where to start; by default the identity, if there is one and nothing to reduce.
          where: mask; False leaves an element out, and needs `initial` or an identity.
        """
        self._require_binary("reduce")
        refuse_out(f"{self.name}.reduce", out)
        a = to_array(a) if dtype is None else as_type(a, dtype)
        initial = None if initial is np._NoValue else initial
        where = None if where is True else where
        if "reduce" in self.special:
            options = {k: v for k, v in (("initial", initial), ("where", where)) if v is not None}
            return self.special["reduce"](a, axis=axis, keepdims=keepdims, **options)
        axes = as_axes(axis, a.ndim, self.name)
        start = self.identity if initial is None else initial
        if where is not None:
            if start is None:
                raise ArgumentError(
                    f"[{self.name}.reduce] expected initial= or an identity together with where=, got neither."
                )
            a = e.select(to_array(where), a, as_type(start, dtype_of(a)))
        result = self._folded(a, axes, start, initial is not None)
        return reshape(result, kept(a.shape, axes)) if keepdims else result

    def _folded(self, a: Any, axes: tuple[int, ...], start: Any, from_start: bool) -> Any:
        rest = reduced(a.shape, axes)
        moved = m.moveaxis(a, axes, tuple(range(len(axes))))
        count = 1
        for n in shape_of(moved)[: len(axes)]:
            count *= n
        items = list(m.unstack(reshape(moved, (count, *rest))))
        if from_start or not items:
            if start is None:
                raise ArgumentError(
                    f"[{self.name}.reduce] expected at least one element, got none and no identity. Pass initial=."
                )
            items.insert(0, broadcast_to(as_type(start, dtype_of(a)), rest))
        return functools.reduce(self.call, items)

    def accumulate(self, a: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        """All partial results of `reduce` along an axis."""
        self._require_binary("accumulate")
        refuse_out(f"{self.name}.accumulate", out)
        a = to_array(a) if dtype is None else as_type(a, dtype)
        if "accumulate" in self.special:
            return self.special["accumulate"](a, axis=axis)
        axis = as_axis(axis, a.ndim, self.name)
        rows = m.unstack(a, axis=axis)
        outs = list(rows[:1])
        for row in rows[1:]:
            outs.append(self.call(outs[-1], row))
        return m.stack(outs, axis) if outs else a

    def outer(self, a: Any, b: Any, /) -> Any:
        """The function of every pair of elements."""
        self._require_binary("outer")
        a, b = to_array(a), to_array(b)
        return self.call(reshape(a, (*shape_of(a), *(1,) * len(shape_of(b)))), b)

    def reduceat(self, a: Any, indices: Sequence[int], axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        """`reduce` over the slices `a[indices[i]:indices[i + 1]]` along an axis; where these are empty, the element `a[indices[i]]`."""
        self._require_binary("reduceat")
        refuse_out(f"{self.name}.reduceat", out)
        a = to_array(a) if dtype is None else as_type(a, dtype)
        axis = as_axis(axis, a.ndim, self.name)
        starts = [int(i) for i in np.asarray(indices)]
        stops = [*starts[1:], a.shape[axis]]
        parts = [m.split(a, [i, max(j, i + 1)], axis)[1] for i, j in zip(starts, stops)]
        if not parts:
            return m.split(a, [0], axis)[0]
        return m.stack([self.reduce(part, axis) for part in parts], axis)

    def at(self, a: Any, indices: Any, b: Any = None, /, *, inplace: bool = False) -> Any:
        """A copy of `a` with the function applied at positions, one after the other. `a` itself does not change."""
        if inplace:
            raise ArgumentError(f"[{self.name}.at] expected inplace=False, got True: arrays here never change.")
        a = to_array(a)
        index = [to_array(i) for i in (indices if isinstance(indices, tuple) else (indices,))]
        shape = common_shape(self.name, *index)
        rest = a.shape[len(index) :]
        vectors = [m.ravel(broadcast_to(i, shape)) for i in index]
        values = None if b is None else m.reshape(broadcast_to(to_array(b), (*shape, *rest)), (-1, *rest))
        for k in range(shape_of(vectors[0])[0]):
            place = tuple([v[k] for v in vectors])
            old = getitem(a, place)
            a = at(a)[place].set(self.call(old) if values is None else self.call(old, values[k]))
        return a


class ufunc(BinaryMethods):
    """An elementwise function made from a scalar one, with a ufunc's methods; `frompyfunc` makes it.

    >>> add = frompyfunc(lambda x, y: x + y, 2, 1, identity=0)
    >>> add.reduce(np.arange(4)), add.outer(np.arange(2), np.arange(2)).shape
    (np.int64(6), (2, 2))
    """

    def __init__(self, func: Callable, nin: int, nout: int, *, identity: Any = None, name: str | None = None):
        self.__name__ = name or getattr(func, "__name__", "ufunc")
        self.__doc__ = func.__doc__
        super().__init__(vectorize(func), self.__name__, identity)
        self._func, self.nin, self.nout, self.nargs = func, nin, nout, nin  # without `out`, which is refused

    def __call__(self, *args: Any) -> Any:
        if len(args) != self.nin:
            raise ArgumentError(f"[{self.name}] expected {self.nin} arguments, got {len(args)}.")
        return self.call(*args)

    def _key(self) -> tuple:
        return self._func, self.nin, self.nout, self.identity

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ufunc) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"<fnets.numpy.ufunc {self.name!r}>"


def frompyfunc(func: Callable, /, nin: int, nout: int, *, identity: Any = None) -> ufunc:
    """An elementwise function with a ufunc's methods, made from a function of scalars.

    >>> frompyfunc(lambda x, y: x * y, 2, 1)(np.arange(3), 2)
    array([0, 2, 4])
    """
    return ufunc(func, nin, nout, identity=identity)
