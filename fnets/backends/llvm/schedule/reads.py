"""What equations read: whose memory, and where in it. May import core.

Reshapes, slices and other views need no memory of their own where a loop nest reads them: it finds their elements at some distance
from each other in the memory of their source. `Reads` knows which variables are such views, and composes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import NamedTuple

from fnets.core.ir import Atom, Eqn, Var


class View(NamedTuple):
    """Elements of a memory, by axes: their number, the elements from one index to the next (0 where there is one index), and the first one's place."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0

    @property
    def range(self) -> tuple[int, int]:
        """The first and the last element that is read."""
        spans = [(n - 1) * s for n, s in zip(self.shape, self.strides)]
        return self.offset + sum([min(0, x) for x in spans]), self.offset + sum([max(0, x) for x in spans])

    def spare(self, step: int, size: int) -> int:
        """How many elements before those that are read a vector begins that takes in everything between them, `step` apart, in a memory of `size` elements:
        so many that the last one does not go beyond its end."""
        return max(0, self.range[1] + abs(step) - size)

    def of(self, axes: Iterable[tuple[int, int]], offset: int = 0) -> View:
        """The view with these (number, stride) as its axes, which begins `offset` elements later."""
        axes = [(n, s if n > 1 else 0) for n, s in axes]
        return View(tuple([n for n, _ in axes]), tuple([s for _, s in axes]), self.offset + offset)


def whole(shape: Sequence[int]) -> View:
    """All of a memory, in C order.

    >>> whole((2, 1, 4)).strides
    (4, 0, 1)
    """
    return View((), ()).of([(n, prod(shape[k + 1 :])) for k, n in enumerate(shape)])


def runs(axes: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Axes (number, stride) with neighbours taken as one where one goes on where the other ends.

    >>> runs([(2, 12), (3, 4), (1, 0), (4, 1), (5, 0)])
    [(24, 1), (5, 0)]
    """
    out: list[tuple[int, int]] = []
    for n, s in axes:
        if out and out[-1][1] == n * s:
            out[-1] = (out[-1][0] * n, s)
        elif n > 1:
            out.append((n, s))
    return out


def _reshaped(x: View, shape: tuple[int, ...]) -> View | None:
    """The view in another shape; None if its elements are at no regular distances then."""
    axes: list[tuple[int, int]] = []
    left = runs(zip(x.shape, x.strides))
    n, stride = 1, 0  # what is left of the last run
    for m in reversed(shape):
        if m > 1 and n == 1:
            n, stride = left.pop()
        if n % m:
            return None
        axes.append((m, stride))
        n, stride = n // m, stride * m
    return x.of(reversed(axes))


def _sliced(x: View, start_indices: tuple, limit_indices: tuple, strides: tuple | None) -> View:
    steps = strides or (1,) * len(x.shape)
    counts = [-(-(b - a) // step) for a, b, step in zip(start_indices, limit_indices, steps)]
    first = sum([a * s for a, s in zip(start_indices, x.strides)])
    return x.of([(n, s * step) for n, s, step in zip(counts, x.strides, steps)], first)


def _reversed(x: View, dimensions: tuple[int, ...]) -> View:
    first = sum([(x.shape[d] - 1) * x.strides[d] for d in dimensions])
    axes = [(n, -s if k in dimensions else s) for k, (n, s) in enumerate(zip(x.shape, x.strides))]
    return x.of(axes, first)


def _spread(x: View, shape: tuple[int, ...]) -> View:
    return x.of(zip(shape, (*(0,) * (len(shape) - len(x.shape)), *x.strides)))


_COMPOSE = {
    "reshape": lambda x, e: _reshaped(x, e.outvars[0].aval.shape),
    "slice": lambda x, e: _sliced(x, **e.params),
    "rev": lambda x, e: _reversed(x, **e.params),
    "transpose": lambda x, e: x.of([(x.shape[d], x.strides[d]) for d in e.params["permutation"]]),
    "broadcast_to": lambda x, e: _spread(x, e.outvars[0].aval.shape),
}


def is_view(e: Eqn) -> bool:
    """True if a reader may find the result in the memory of the operand."""
    if e.prim.name not in _COMPOSE or e.prim.name == "reshape":
        return e.prim.name == "reshape"
    x, out = e.invars[0].aval, e.outvars[0].aval
    return type(e.invars[0]) is Var and x.size > 0 < out.size and x.dtype == out.dtype and not x.weak_type


class Reads:
    """Of which variables readers find the elements in somebody else's memory: the results of `views`."""

    def __init__(self, views: Iterable[Eqn]):
        self.views = {e.outvars[0]: e for e in views}
        self._known: dict[Var, View | None] = {}

    def source(self, v: Atom) -> Atom:
        """The variable whose memory is read."""
        while type(v) is Var and v in self.views:
            v = self.views[v].invars[0]
        return v

    def view(self, v: Var) -> View | None:
        """Where in the source's memory the variable's elements are; None if they are at no regular distances."""
        e = self.views.get(v)
        if e is None or type(e.invars[0]) is not Var:
            return whole(v.aval.shape)
        if v not in self._known:
            x = self.view(e.invars[0])
            self._known[v] = None if x is None else _COMPOSE[e.prim.name](x, e)
        return self._known[v]
