"""Linear functions as values: what `vjp`, `linearize` and `linear_transpose` return. May import core, tree, staging.

Such a function can be called any number of times, and it is a pytree whose leaves are the values that it keeps, so that it may be returned
from a jitted function, or passed to one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from fnets import tree
from fnets.core.avals import ShapedArray
from fnets.core.ir import Jaxpr, eval_jaxpr
from fnets.transforms.edge import trim_traceback
from fnets.transforms.staging import stage


class LinearFunction:
    """A linear function of pytrees.

    flat: the function on flat arguments; avals: their types; call: checks and flattens what the user passes, and puts the result together.
    """

    def __init__(
        self, flat: Callable[..., Sequence[Any]], avals: Sequence[ShapedArray], call: Callable[..., Any], name: str
    ):
        self.flat = flat
        self.avals = tuple(avals)
        self.call = call
        self.__name__ = self.__qualname__ = name

    def __call__(self, *args: Any) -> Any:
        try:
            return self.call(self.flat, *args)
        except Exception as error:
            trim_traceback(error)
            raise

    @property
    def staged(self) -> StagedLinear:
        """The flat function as a program and the values that it keeps."""
        if isinstance(self.flat, StagedLinear):
            return self.flat
        jaxpr = stage(self.flat, self.avals, self.__name__)
        return StagedLinear(jaxpr.closed_over(), jaxpr.consts)

    @property
    def jaxpr(self) -> Jaxpr:
        """The program that it runs; its constants are the values that it keeps."""
        stored = self.staged
        n, j = len(stored.consts), stored.jaxpr
        return j.replace(constvars=j.invars[:n], consts=stored.consts, invars=j.invars[n:])

    @property
    def func(self) -> functools.partial:
        """The function of the values that it keeps and the arguments, as `tree.Partial` names it; `func.args[0]` is its jaxpr.

        `f.func(*f.args, *arguments)` is `f(*arguments)`.
        """
        return functools.partial(self._run, self.staged.jaxpr)

    @property
    def args(self) -> tuple:
        """The values that it keeps."""
        return tuple(self.staged.consts)

    def _run(self, jaxpr: Jaxpr, *values: Any) -> Any:
        n = len(jaxpr.invars) - len(self.avals)
        return self.call(StagedLinear(jaxpr, values[:n]), *values[n:])

    def __repr__(self) -> str:
        return f"<{self.__name__} of ({', '.join(a.str_short() for a in self.avals)})>"


class StagedLinear:
    """A staged linear function and the values that it keeps."""

    __slots__ = ("jaxpr", "consts")

    def __init__(self, jaxpr: Jaxpr, consts: tuple):
        self.jaxpr = jaxpr
        self.consts = consts

    def __call__(self, *args: Any) -> list:
        return eval_jaxpr(self.jaxpr, [*self.consts, *args])


def _flatten(f: LinearFunction) -> tuple[tuple, tuple]:
    stored = f.staged
    return stored.consts, (stored.jaxpr, f.avals, f.call, f.__name__)


def _unflatten(aux: tuple, consts: Sequence[Any]) -> LinearFunction:
    jaxpr, avals, call, name = aux
    return LinearFunction(StagedLinear(jaxpr, tuple(consts)), avals, call, name)


tree.register_node(LinearFunction, _flatten, _unflatten)
