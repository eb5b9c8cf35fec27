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
from fnets.errors import ArgumentError
from fnets.transforms.edge import trim_traceback
from fnets.transforms.staging import stage


class LinearFunction:
    """A linear function of pytrees.

    flat: the function on flat arguments, None where `staged` is all that there is; avals: their types; call: checks and flattens what the user passes, and puts the result together.
    """

    def __init__(
        self,
        flat: Callable[..., Sequence[Any]] | None,
        avals: Sequence[ShapedArray],
        call: Callable[..., Any],
        name: str,
    ):
        self.flat = flat
        self.avals = tuple(avals)
        self.call = call
        self.__name__ = self.__qualname__ = name

    def __call__(self, *args: Any) -> Any:
        try:
            return self.call(self.flat or self.staged, *args)
        except Exception as error:
            trim_traceback(error)
            raise

    @property
    def staged(self) -> StagedLinear:
        """The flat function as a program and the values that it keeps."""
        if isinstance(self.flat, StagedLinear):
            return self.flat
        assert self.flat is not None
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


class NotNeeded:
    """Stands in `args_res` for an argument that the pullback does not keep.

    >>> NotNeeded()
    NotNeeded()
    """

    def __repr__(self) -> str:
        return "NotNeeded()"

    def __eq__(self, other: object) -> bool:
        return type(other) is NotNeeded

    def __hash__(self) -> int:
        return hash(NotNeeded)


class Pullback(LinearFunction):
    """What `vjp` returns. `args_res` and `opaque_residuals` show what it keeps, and let arrays be taken out and put back before the call.

    primals, spec: the leaves of the arguments of `vjp`, and their structure.
    """

    def __init__(
        self,
        flat: Callable[..., Sequence[Any]] | None,
        avals: Sequence[ShapedArray],
        call: Callable[..., Any],
        name: str,
        primals: Sequence[Any],
        spec: Any,
    ):
        super().__init__(flat, avals, call, name)
        self._primals = primals
        self._spec = spec
        self._split: tuple[Jaxpr, tuple[int | None, ...]] | None = (
            None  # the program; which argument each of its constants is
        )

    def split(self) -> tuple[Jaxpr, tuple[int | None, ...]]:
        """Keep values in `args_res` and `opaque_residuals` from now on, and forget the tape."""
        if self._split is None:
            stored = super().staged
            argument = {id(x): i for i, x in enumerate(self._primals)}
            slots = tuple([argument.get(id(c)) for c in stored.consts])
            found = [x if i in slots else NotNeeded() for i, x in enumerate(self._primals)]
            self._args_res = list(tree.unflatten_spec(self._spec, found))
            self._opaque_residuals = [c for c, slot in zip(stored.consts, slots) if slot is None]
            self._split = stored.jaxpr, slots
            self._primals = ()
            self.flat = None
        return self._split

    @property
    def args_res(self) -> list:
        """For each argument of `vjp`, the leaves that the pullback keeps, `NotNeeded` in place of the others. May be written to."""
        self.split()
        return self._args_res

    @args_res.setter
    def args_res(self, values: Sequence[Any]) -> None:
        self.split()
        self._args_res = list(values)

    @property
    def opaque_residuals(self) -> list:
        """The arrays that the pullback keeps besides arguments; numbers are part of its program."""
        self.split()
        return self._opaque_residuals

    @property
    def staged(self) -> StagedLinear:
        """The flat function as a program and the values that it keeps."""
        if self._split is None:
            return super().staged
        jaxpr, slots = self._split
        leaves = dict(enumerate(tree.leaves(self._args_res, is_leaf=lambda x: x is None or type(x) is NotNeeded)))
        rest = iter(self._opaque_residuals)
        consts = [next(rest) if slot is None else leaves.get(slot) for slot in slots]
        if any([c is None or type(c) is NotNeeded for c in consts]):
            raise ArgumentError(
                f"[vjp] expected args_res to hold every argument that {self.__name__} keeps, got {self._args_res}. "
                "Put back what was taken out before calling it."
            )
        return StagedLinear(jaxpr, tuple(consts))


def _flatten_pullback(f: Pullback) -> tuple[tuple, tuple]:
    return (f.args_res, f.opaque_residuals), (f.split(), f.avals, f.call, f.__name__, f._spec)


def _unflatten_pullback(aux: tuple, children: Sequence[Any]) -> Pullback:
    split, avals, call, name, spec = aux
    f = Pullback(None, avals, call, name, (), spec)
    f._split = split
    f._args_res, f._opaque_residuals = children
    return f


tree.register_node(NotNeeded, lambda _: ((), None), lambda _, __: NotNeeded())
tree.register_node(Pullback, _flatten_pullback, _unflatten_pullback)


def _flatten(f: LinearFunction) -> tuple[tuple, tuple]:
    stored = f.staged
    return stored.consts, (stored.jaxpr, f.avals, f.call, f.__name__)


def _unflatten(aux: tuple, consts: Sequence[Any]) -> LinearFunction:
    jaxpr, avals, call, name = aux
    return LinearFunction(StagedLinear(jaxpr, tuple(consts)), avals, call, name)


tree.register_node(LinearFunction, _flatten, _unflatten)
