"""What equations read: whose memory, and where in it. May import core.

Reshapes, slices, padding and other views need no memory of their own where a loop nest reads them: it finds their elements at some distance
from each other in the memory of their source. `Reads` knows which variables are such views, and composes them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from math import prod
from typing import NamedTuple

import numpy as np

from fnets.core.ir import Atom, Eqn, Literal, Var


class Axis(NamedTuple):
    """n indices, the elements from one to the next (0 for one index), and the range of them that is in the memory: others have zeros."""

    n: int
    stride: int
    low: int
    high: int

    @property
    def is_full(self) -> bool:
        return self.high - self.low == self.n


def axis(n: int, stride: int, low: int = 0, high: int | None = None) -> Axis:
    return Axis(n, stride if n > 1 else 0, low, n if high is None else high)


class View(NamedTuple):
    """Elements of a memory, and zeros around them: its axes, and the place of the element that all indices 0 have or would have."""

    axes: tuple[Axis, ...]
    offset: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple([a.n for a in self.axes])

    @property
    def steps(self) -> tuple | None:
        """Which element belongs to which indices; None with padding."""
        return (self.offset, *[a.stride for a in self.axes]) if all([a.is_full for a in self.axes]) else None

    @property
    def range(self) -> tuple[int, int]:
        """The first and the last element that is read."""
        ends = [sorted((a.low * a.stride, (a.high - 1) * a.stride)) for a in self.axes]
        return self.offset + sum([low for low, _ in ends]), self.offset + sum([high for _, high in ends])

    def spare(self, step: int, size: int) -> int:
        """How many elements before those that are read a vector begins that takes in everything between them, `step` apart, in a memory of `size` elements:
        so many that the last one does not go beyond its end."""
        return max(0, self.range[1] + abs(step) - size)

    def of(self, axes: Iterable[Axis], later: int = 0) -> View:
        """The view with these axes, which begins some elements later."""
        return View(tuple(axes), self.offset + later)


@functools.lru_cache(maxsize=4096)
def whole(shape: tuple[int, ...]) -> View:
    """All of a memory, in C order.

    >>> [a.stride for a in whole((2, 1, 4)).axes]
    [4, 0, 1]
    """
    return View(tuple([axis(n, prod(shape[k + 1 :])) for k, n in enumerate(shape)]))


def runs(axes: Iterable[Axis]) -> list[Axis]:
    """Axes with neighbours taken as one where one goes on where the other ends.

    >>> [(a.n, a.stride) for a in runs([axis(2, 12), axis(3, 4), axis(1, 0), axis(4, 1), axis(5, 0)])]
    [(24, 1), (5, 0)]
    """
    out: list[Axis] = []
    for a in axes:
        if out and a.is_full and out[-1].stride == a.n * a.stride:
            b = out[-1]
            out[-1] = Axis(b.n * a.n, a.stride, b.low * a.n, b.high * a.n)
        elif a.n > 1:
            out.append(a)
    return out


def _reshaped(x: View, shape: tuple[int, ...]) -> View | None:
    """The view in another shape; None if its elements are at no regular distances then."""
    axes: list[Axis] = []
    left = runs(x.axes)
    a = axis(1, 0)  # what is left of the last run
    for n in reversed(shape):
        if n > 1 and a.n == 1:
            a = left.pop()
        if a.n == n:
            axes.append(a)
            a = axis(1, 0)
        elif a.n % n or a.low % n or a.high % n:
            return None
        else:
            axes.append(axis(n, a.stride))
            a = Axis(a.n // n, a.stride * n, a.low // n, a.high // n)
    return x.of(reversed(axes))


def _sliced(x: View, start_indices: tuple, limit_indices: tuple, strides: tuple | None) -> View:
    steps = strides or (1,) * len(x.axes)
    out, later = [], 0
    for a, start, stop, step in zip(x.axes, start_indices, limit_indices, steps):
        n = -(-(stop - start) // step)
        low, high = [min(max(0, -(-(edge - start) // step)), n) for edge in (a.low, a.high)]
        out.append(axis(n, a.stride * step, low, high))
        later += start * a.stride
    return x.of(out, later)


def _reversed(x: View, dimensions: tuple[int, ...]) -> View:
    back = [Axis(a.n, -a.stride, a.n - a.high, a.n - a.low) if k in dimensions else a for k, a in enumerate(x.axes)]
    return x.of(back, sum([(x.axes[d].n - 1) * x.axes[d].stride for d in dimensions]))


def _spread(x: View, shape: tuple[int, ...]) -> View:
    axes = [axis(1, 0)] * (len(shape) - len(x.axes)) + [*x.axes]
    return x.of([a if a.n == n else axis(n, 0) for n, a in zip(shape, axes)])


def _padded(x: View, padding_config: tuple[tuple[int, int, int], ...]) -> View:
    out, later = [], 0
    for a, (front, behind, _) in zip(x.axes, padding_config):
        n = a.n + front + behind
        low, high = [min(max(0, edge + front), n) for edge in (a.low, a.high)]
        out.append(axis(n, a.stride, low, high))
        later -= front * a.stride
    return x.of(out, later)


_COMPOSE = {
    "reshape": lambda x, e: _reshaped(x, e.outvars[0].aval.shape),
    "slice": lambda x, e: _sliced(x, **e.params),
    "rev": lambda x, e: _reversed(x, **e.params),
    "transpose": lambda x, e: x.of([x.axes[d] for d in e.params["permutation"]]),
    "broadcast_to": lambda x, e: _spread(x, e.outvars[0].aval.shape),
    "pad": lambda x, e: _padded(x, **e.params),
}


def is_view(e: Eqn) -> bool:
    """True if a reader may find the result in the memory of the operand."""
    name = e.prim.name
    if name not in _COMPOSE or name == "reshape":
        return name == "reshape"
    x, out = e.invars[0].aval, e.outvars[0].aval
    if type(e.invars[0]) is not Var and name != "broadcast_to" or x.size == 0 or out.size == 0:
        return False
    if name == "pad" and not (
        is_zero(e.invars[1]) and all([between == 0 for *_, between in e.params["padding_config"]])
    ):
        return False
    return x.dtype == out.dtype and not x.weak_type


def is_zero(v: Atom) -> bool:
    """True for a literal zero, without a sign.

    >>> is_zero(Literal(0.0)), is_zero(Literal(-0.0)), is_zero(Literal(False))
    (True, False, True)
    """
    return type(v) is Literal and v.val == 0 and not np.signbit(v.val)


class Reads:
    """Of which variables readers find the elements in somebody else's memory: the results of `views`."""

    def __init__(self, views: Iterable[Eqn]):
        self.views = {e.outvars[0]: e for e in views}
        self._known: dict[Atom, View | None] = {}

    def source(self, v: Atom) -> Atom:
        """The variable whose memory is read."""
        while type(v) is Var and v in self.views:
            v = self.views[v].invars[0]
        return v

    def view(self, v: Atom) -> View | None:
        """Where in the source's memory the variable's elements are; None if they are at no regular distances, or there are none."""
        if v not in self._known:
            e = self.views.get(v)  # type: ignore[arg-type]
            x = whole(v.aval.shape) if e is None else self.view(e.invars[0])
            if e is not None and x is not None:
                x = _COMPOSE[e.prim.name](x, e)
            self._known[v] = None if x is None or any([a.high <= a.low for a in x.axes]) else x
        return self._known[v]
