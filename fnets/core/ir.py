"""The one intermediate representation: an immutable, typed list of equations. May import errors, avals, trace, primitive.

A `Jaxpr` never changes after it is made, so memos may key on it (weakly). Parameters of an equation are hashable; arrays
never sit in parameters, they are constants (`constvars` / `consts`) or operands.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from fnets.core.avals import ShapedArray
from fnets.core.primitive import Primitive
from fnets.core.trace import typeof
from fnets.source import speaks_for


class Var:
    """A variable; its identity is its name. The printer invents letters.

    >>> Var(ShapedArray((2,), "float32"))
    Var(f32[2])
    """

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray):
        self.aval = aval

    def __repr__(self) -> str:
        return f"Var({self.aval.str_short()})"


class Literal:
    """A scalar written into an equation.

    >>> Literal(2.0).aval
    ShapedArray(float64[], weak_type=True)
    """

    __slots__ = ("val", "aval")

    def __init__(self, val: Any, aval: ShapedArray | None = None):
        self.val = val
        self.aval = typeof(val) if aval is None else aval

    def __repr__(self) -> str:
        return f"{self.val}"


Atom = Var | Literal


class Eqn:
    """`outvars = prim[params] invars`, and the user's `(file, line, function)` that caused it.

    >>> import fnets
    >>> fnets.make_jaxpr(lambda x: x * 2)(1.0).eqns[0].prim
    mul
    """

    __slots__ = ("prim", "invars", "outvars", "params", "where")

    def __init__(
        self, prim: Primitive, invars: Sequence[Atom], outvars: Sequence[Var], params: dict, where: Any = None
    ):
        self.prim = prim
        self.invars = tuple(invars)
        self.outvars = tuple(outvars)
        self.params = params
        self.where = where

    @property
    def primitive(self) -> Primitive:
        """JAX's name for `prim`."""
        return self.prim

    def replace(self, **changes: Any) -> Eqn:
        """A copy with some fields replaced."""
        fields = {k: getattr(self, k) for k in self.__slots__} | changes
        return Eqn(**fields)

    def __repr__(self) -> str:
        from_ = " ".join(map(repr, self.invars))
        return f"{' '.join(map(repr, self.outvars))} = {self.prim.name} {from_}"


class Jaxpr:
    """`lambda constvars ; invars . let eqns in outvars`, closed over `consts`.

    It plays the part of both JAX's `Jaxpr` and `ClosedJaxpr`: `.jaxpr` is the object itself. It can be called on flat arguments.

    >>> import fnets
    >>> fnets.make_jaxpr(lambda x: x * 2)(1.0)(3.0)
    [6.0]
    """

    __slots__ = ("constvars", "consts", "invars", "eqns", "outvars", "__weakref__")

    def __init__(
        self,
        constvars: Iterable[Var],
        consts: Iterable[Any],
        invars: Iterable[Var],
        eqns: Iterable[Eqn],
        outvars: Iterable[Atom],
    ):
        self.constvars = tuple(constvars)
        self.consts = tuple(consts)
        self.invars = tuple(invars)
        self.eqns = tuple(eqns)
        self.outvars = tuple(outvars)

    @property
    def jaxpr(self) -> Jaxpr:
        return self

    @property
    def literals(self) -> tuple:
        """JAX's older name for `consts`."""
        return self.consts

    @property
    def in_avals(self) -> list[ShapedArray]:
        return [v.aval for v in self.invars]

    @property
    def out_avals(self) -> list[ShapedArray]:
        return [v.aval for v in self.outvars]

    @property
    def effectful(self) -> bool:
        """True if an equation here, or in a jaxpr inside, has a side effect."""
        return any(map(has_effect, self.eqns))

    def replace(self, **changes: Any) -> Jaxpr:
        """A copy with some fields replaced."""
        names = ("constvars", "consts", "invars", "eqns", "outvars")
        return Jaxpr(**({k: getattr(self, k) for k in names} | changes))

    def closed_over(self) -> Jaxpr:
        """The same program with its constants turned into leading arguments."""
        return Jaxpr((), (), self.constvars + self.invars, self.eqns, self.outvars)

    def pretty_print(self, **options: Any) -> str:
        """The program in JAX's grammar; options as `fnets.core.pretty.pretty`."""
        return _printer[0](self, **options)

    def __str__(self) -> str:
        return self.pretty_print()

    __repr__ = __str__

    def __call__(self, *args: Any) -> list:
        return eval_jaxpr(self, args)


_printer: list[Callable[..., str]] = [lambda jaxpr, **options: object.__repr__(jaxpr)]


def set_printer(printer: Callable[..., str]) -> None:
    """Installed once by `fnets.core.pretty`, which lives above this module."""
    _printer[0] = printer


def sub_jaxprs(params: dict) -> Iterator[Jaxpr]:
    """The jaxprs among an equation's parameters, also those inside tuples.

    >>> list(sub_jaxprs({"axis": 0}))
    []
    """
    for value in params.values():
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Jaxpr):
                yield item


def has_effect(eqn: Eqn) -> bool:
    """True if an equation must stay although nobody reads its results."""
    return eqn.prim.effectful or any([j.effectful for j in sub_jaxprs(eqn.params)])


def drop_dead(jaxpr: Jaxpr) -> Jaxpr:
    """Without the equations and constants that neither a result nor an effect needs.

    A primitive's `rules["dce"](eqn, used)` may give an equation without the results that nobody reads, and what those alone need.
    """
    live = {v for v in jaxpr.outvars if type(v) is Var}
    needed = []
    for e in reversed(jaxpr.eqns):
        used = [v in live for v in e.outvars]
        if any(used) or has_effect(e):
            if "dce" in e.prim.rules and not all(used):
                e = e.prim.rules["dce"](e, used)
            needed.append(e)
            live.update([v for v in e.invars if type(v) is Var])
    consts = [(v, c) for v, c in zip(jaxpr.constvars, jaxpr.consts) if v in live]
    return Jaxpr([v for v, _ in consts], [c for _, c in consts], jaxpr.invars, needed[::-1], jaxpr.outvars)


def eval_jaxpr(jaxpr: Jaxpr, args: Sequence[Any]) -> list:
    """Run a jaxpr equation by equation through `bind`, so that every running transformation sees it."""
    env: dict[Var, Any] = dict(zip(jaxpr.constvars, jaxpr.consts))
    env.update(zip(jaxpr.invars, args, strict=True))

    def read(atom: Atom) -> Any:
        return atom.val if type(atom) is Literal else env[atom]

    for e in jaxpr.eqns:
        out = e.prim.bind(*[read(v) for v in e.invars], **e.params)
        if e.prim.multi:
            env.update(zip(e.outvars, out))
        else:
            env[e.outvars[0]] = out
    return [read(v) for v in jaxpr.outvars]


def _where_of_equation(frame: Any) -> Any:
    equation = frame.f_locals.get("e")
    return None if equation is None else equation.where


speaks_for(eval_jaxpr, _where_of_equation)


def weak_memo(function: Callable) -> Callable:
    """Memoise `function(jaxpr, *hashable)` for as long as the jaxpr lives. The result must not refer to the key."""
    cache: weakref.WeakKeyDictionary[Jaxpr, dict] = weakref.WeakKeyDictionary()
    lock = threading.Lock()

    def memoised(jaxpr: Jaxpr, *key: Any) -> Any:
        with lock:
            per_jaxpr = cache.get(jaxpr)
            if per_jaxpr is None:
                per_jaxpr = cache[jaxpr] = {}
        try:
            return per_jaxpr[key]
        except KeyError:
            value = per_jaxpr[key] = function(jaxpr, *key)
            return value

    return memoised


@weak_memo
def without_results(jaxpr: Jaxpr, used: tuple[bool, ...]) -> tuple[Jaxpr, tuple[bool, ...]]:
    """The jaxpr with those results alone that are used, and which of its arguments it still reads (it keeps them all)."""
    smaller = drop_dead(jaxpr.replace(outvars=[v for v, u in zip(jaxpr.outvars, used) if u]))
    read = {v for e in smaller.eqns for v in e.invars} | set(smaller.outvars)
    return smaller, tuple([v in read for v in smaller.invars])


def kept_of(xs: Iterable[Any], flags: Iterable[bool]) -> list:
    """The items whose flags are set.

    >>> kept_of("abc", [True, False, True])
    ['a', 'c']
    """
    return [x for x, f in zip(xs, flags) if f]


def drop_dead_call(e: Eqn, used: Sequence[bool]) -> Eqn:
    """The "dce" rule of primitives that run their parameter `jaxpr` once, on all their operands."""
    smaller, read = without_results(e.params["jaxpr"], tuple(used))
    smaller = smaller.replace(invars=kept_of(smaller.invars, read))
    return e.replace(
        invars=kept_of(e.invars, read), outvars=kept_of(e.outvars, used), params=e.params | {"jaxpr": smaller}
    )


@weak_memo
def split_residuals(fwd: Jaxpr, n: int) -> tuple[Jaxpr, tuple[int | None, ...]]:
    """A program whose results from number `n` on are residuals, without those that are arguments; and of each residual which one it is."""
    position = {v: i for i, v in enumerate(fwd.invars)}
    sources = tuple([position.get(v) if type(v) is Var else None for v in fwd.outvars[n:]])
    own = [v for v, i in zip(fwd.outvars[n:], sources) if i is None]
    return fwd.replace(outvars=[*fwd.outvars[:n], *own]), sources


def run_first(call: Callable[..., list], fwd: Jaxpr, n: int, args: Sequence[Any]) -> tuple[list, list]:
    """Results and residuals of the first of two parts; a residual that is an argument is not handed through the call."""
    smaller, sources = split_residuals(fwd, n)
    results = call(smaller, *args)
    own = iter(results[n:])
    return results[:n], [next(own) if i is None else args[i] for i in sources]
