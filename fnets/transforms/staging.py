"""Staging: run a Python function on abstract values and record a jaxpr. May import core, tree, errors, config, primitives.base.

`JaxprTrace.process` appends one equation; scalars become literals, arrays and tracers of outer transformations become constants.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets import config, tree
from fnets.core import checked
from fnets.core.avals import WEAK_AVALS, ShapedArray, ShapeDtypeStruct, is_float
from fnets.core.check import check_jaxpr
from fnets.core.ir import Atom, Eqn, Jaxpr, Literal, Var, drop_dead
from fnets.core.primitive import Primitive
from fnets.core.promotion import check_promotion
from fnets.core.trace import Trace, Tracer, check_alive, innermost, typeof
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.primitives.base import broadcast_to_p, convert
from fnets.source import user_location
from fnets.transforms.axes import named_axes
from fnets.transforms.edge import public


class JaxprTracer(Tracer):
    """A value without contents: an aval, the variable that stands for it, and the line that made it."""

    __slots__ = ("aval", "variable", "where", "__weakref__")

    def __init__(self, trace: JaxprTrace, aval: ShapedArray, var: Var, where: Any):
        self.owner = trace
        self.aval = aval
        self.variable = var
        self.where = where

    @classmethod
    def scalar(cls, trace: JaxprTrace, x: np.generic) -> JaxprTracer:
        """A known scalar as a traced value of its own."""
        literal = Literal(x)
        return cls(trace, literal.aval, literal, None)  # type: ignore[arg-type]


def innermost_staging() -> JaxprTrace | None:
    """The innermost function that is being staged here, if any."""
    return innermost(_is_staging)  # type: ignore[return-value]


def _is_staging(trace: Trace) -> bool:
    return isinstance(trace, JaxprTrace)


def staging_token() -> Any:
    """A value of the innermost staging trace, or a plain 0: an operand for what has an effect but perhaps no traced argument."""
    trace = innermost_staging()
    return np.int32(0) if trace is None or not trace.alive else JaxprTracer.scalar(trace, np.int32(0))


class EffectPrimitive(Primitive):
    """A primitive with a side effect; its first operand is a `staging_token`.

    Where a jaxpr is traced again and none of its operands is a traced value, the token is a new one: the effect is recorded there too, and does
    not happen while tracing.
    """

    __slots__ = ()

    def __init__(self, name: str):
        super().__init__(name, multi=True, effectful=True)

    def bind(self, /, token: Any, *args: Any, **params: Any) -> Any:
        if not any([isinstance(a, Tracer) for a in (token, *args)]):
            token = staging_token()
        return super().bind(token, *args, **params)


class JaxprTrace(Trace):
    """Collects equations."""

    __slots__ = ("eqns", "invars", "constvars", "consts", "_const_of_id")
    transform = "jit"

    def __init__(self, name: str = ""):
        super().__init__(name)
        self.eqns: list[Eqn] = []
        self.invars: list[Var] = []
        self.constvars: list[Var] = []
        self.consts: list[Any] = []  # kept alive here, so an id stays unique while tracing
        self._const_of_id: dict[int, Var] = {}

    def argument(self, aval: ShapedArray) -> JaxprTracer:
        """A tracer for a new argument of the jaxpr."""
        var = Var(aval)
        self.invars.append(var)
        return JaxprTracer(self, aval, var, user_location())

    def atom(self, x: Any) -> Atom:
        """The variable or literal that stands for a value in this jaxpr."""
        kind = type(x)
        if kind is JaxprTracer and x.owner is self:
            return x.variable
        if kind in WEAK_AVALS:
            return Literal(x, WEAK_AVALS[kind])
        if isinstance(x, np.generic):
            return Literal(x)
        if isinstance(x, Tracer):
            check_alive(x)
        elif not isinstance(x, np.ndarray):
            typeof(x)
            x = np.asarray(x)
        if isinstance(x, np.ndarray):
            if x.ndim == 0:
                return Literal(x[()])
            if x.size > 1 and not any(x.strides):  # one element seen many times: store the element
                return broadcast_to_p.bind(JaxprTracer.scalar(self, x.flat[0]), shape=x.shape).variable
        var = self._const_of_id.get(id(x))
        if var is None:
            var = self._const_of_id[id(x)] = Var(typeof(x))
            self.constvars.append(var)
            self.consts.append(x)
        return var

    def process(self, prim: Primitive, args: tuple, params: dict) -> Any:
        replaced = prim.rules.get("stage")
        if replaced is not None:
            # parameters that are functions become jaxprs, and what those close over becomes operands
            args, params = replaced(args, params)
            for a in args:
                if (
                    isinstance(a, Tracer) and a.owner.id > self.id
                ):  # a value of a younger transformation: its turn first
                    return prim.bind(*args, **params)
        ins = [self.atom(a) for a in args]
        avals = prim.abstract(*[v.aval for v in ins], **params)
        if checked.checking and not prim.multi and config.read("promotion") != "numpy":
            check_promotion(prim.name, [v.aval for v in ins], avals, config.read("promotion"))
        where = user_location()
        if prim.multi:
            outs = [Var(a) for a in avals]
            self.eqns.append(Eqn(prim, ins, outs, params, where))
            return [JaxprTracer(self, v.aval, v, where) for v in outs]
        var = Var(avals)
        self.eqns.append(Eqn(prim, ins, (var,), params, where))
        return JaxprTracer(self, avals, var, where)

    def finish(self, outs: Sequence[Any]) -> Jaxpr:
        """The jaxpr of what was recorded, without the equations that no result needs."""
        outvars = [self.atom(o) for o in outs]
        jaxpr = drop_dead(Jaxpr(self.constvars, self.consts, self.invars, self.eqns, outvars))
        if config.read("check_jaxprs"):
            check_jaxpr(jaxpr)
        return jaxpr


class BranchTrace(JaxprTrace):
    """Stages a function that may not run: what it computes from outer values alone is part of it too."""

    __slots__ = ("_paused",)
    captures = True

    def __enter__(self) -> BranchTrace:
        super().__enter__()
        self._paused = []
        trace = self.outer
        while trace is not None:
            if trace.alive:
                trace.alive = None
                self._paused.append(trace)
            trace = trace.outer
        return self

    def __exit__(self, *exc: object) -> None:
        for trace in self._paused:
            trace.alive = True
        super().__exit__(*exc)


def two_parts(
    older: JaxprTrace, end: int, outs: Sequence[Atom], younger: JaxprTrace, younger_outs: Sequence[Atom]
) -> tuple[Jaxpr, Jaxpr]:
    """Two jaxprs of a program that was staged in two traces, the younger one reading values of the older.

    The first maps the older trace's arguments to `outs` and what the second needs of it, the residuals; the second maps residuals and the
    younger trace's arguments to `younger_outs`. Equations of the older trace from number `end` on go to the second.
    """
    older_of = {
        v: c.variable for v, c in zip(younger.constvars, younger.consts) if isinstance(c, Tracer) and c.owner is older
    }
    eqns = older.eqns[end:] + [e.replace(invars=[older_of.get(v, v) for v in e.invars]) for e in younger.eqns]
    constants = [
        (v, c)
        for v, c in (*zip(older.constvars, older.consts), *zip(younger.constvars, younger.consts))
        if v not in older_of
    ]
    constvars, consts = [v for v, _ in constants], [c for _, c in constants]
    second = drop_dead(Jaxpr(constvars, consts, younger.invars, eqns, [older_of.get(v, v) for v in younger_outs]))
    defined = {*second.constvars, *second.invars, *[v for e in second.eqns for v in e.outvars]}
    read = [v for vs in (*[e.invars for e in second.eqns], second.outvars) for v in vs if type(v) is Var]
    residuals = list(dict.fromkeys(v for v in read if v not in defined))
    second = second.replace(invars=[*residuals, *second.invars])
    first = drop_dead(Jaxpr(older.constvars, older.consts, older.invars, older.eqns[:end], [*outs, *residuals]))
    if config.read("check_jaxprs"):
        check_jaxpr(first)
        check_jaxpr(second)
    return first, second


def stage(
    f: Callable[..., Sequence[Any]], avals: Sequence[ShapedArray], name: str = "", captures: bool = False
) -> Jaxpr:
    """The jaxpr of a flat function (positional arrays in, a sequence of arrays out).

    captures: what it computes from values of outer transformations alone is part of the jaxpr; else those see it, and it is done once.
    """
    with (BranchTrace if captures else JaxprTrace)(name) as trace:
        return trace.finish(f(*[trace.argument(a) for a in avals]))


def stage_closed(
    f: Callable[..., Sequence[Any]], avals: Sequence[ShapedArray], name: str = "", captures: bool = False
) -> tuple[Jaxpr, tuple]:
    """As `stage`, with what the function closes over as leading arguments: (jaxpr without constants, those values)."""
    jaxpr = stage(f, avals, name, captures)
    return jaxpr.closed_over(), jaxpr.consts


def name_of(f: Callable) -> str:
    """A function's name for printing and for error messages.

    >>> name_of(len)
    'len'
    """
    while isinstance(f, functools.partial):
        f = f.func
    return getattr(f, "__name__", type(f).__name__)


def is_data(x: Any) -> bool:
    """True for what can be an operand: arrays, scalars, tracers, array-likes."""
    return isinstance(x, (np.ndarray, Tracer, bool, int, float, complex, np.generic, ShapeDtypeStruct)) or (
        hasattr(x, "__array__") or hasattr(x, "__dlpack__")
    )


def check_data(op: str, leaves: Sequence[Any], paths: Callable[[], Sequence[str]], types: bool = False) -> None:
    """Raise unless every leaf is an array or a number; `paths` names them when one is not.

    types: types alone matter, so whatever has a shape and a dtype will do.
    """
    for i, x in enumerate(leaves):
        if type(x) is not np.ndarray and isinstance(x, np.ma.MaskedArray):
            typeof(x)  # raises: the mask would be lost
        known = is_data(x) or (types and hasattr(x, "shape") and hasattr(x, "dtype"))
        if not known or (isinstance(x, np.ndarray) and x.dtype.kind in "OSUM"):
            kind = f"an array of dtype {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
            raise ArgumentError(
                f"[{op}] expected arrays and numbers as arguments, got {kind} at {paths()[i]}. "
                "Mark it static (jit: static_argnums / static_argnames), or close over it with functools.partial."
            )


def matching(op: str, role: str, x: Any, aval: ShapedArray, place: Callable[[], str]) -> Any:
    """A tangent or cotangent for a value of type `aval`, None for an integer's. Raises unless it has that value's shape and dtype.

    A Python number takes the dtype of the value; for a value that is a Python number itself, every float dtype will do.
    """
    have = typeof(x)
    if have.shape != aval.shape:
        raise ShapeError(
            f"[{op}] expected a {role} of shape {aval.shape}, as {place()}, got {have.shape}. "
            f"A {role} has the shape and dtype of its value: make it with fnp.ones_like, or broadcast it."
        )
    if not is_float(aval.dtype):
        return None
    fits = have.dtype == aval.dtype
    if not fits and (have.weak_type or aval.weak_type):
        fits = np.can_cast(have.dtype, aval.dtype, "same_kind") and (have.weak_type or is_float(have.dtype))
    if not fits:
        raise DTypeError(
            f"[{op}] expected a {role} of dtype {aval.dtype.name}, as {place()}, got {have.dtype.name}. Use .astype({aval.dtype.name!r})."
        )
    if have.weak_type and not aval.weak_type:
        return convert(x, aval.dtype)
    return float(x) if type(x) is int else x


def leaf_paths(args: Any) -> list[str]:
    """Readable paths of the leaves of `(args, kwargs)`, or of any tree."""
    return [tree.keystr(path) for path, _ in tree.leaves_with_path(args)]


_GENERATOR = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def check_callable(op: str, f: Any) -> None:
    """Raise unless `f` is a function that gives its result when it is called."""
    if not callable(f):
        raise ArgumentError(
            f"[{op}] expected a function as first argument, got {type(f).__name__}. Write {op}(f)(x), not {op}(f(x))."
        )
    code = getattr(f, "__code__", None)
    if code is not None and code.co_flags & _GENERATOR:
        raise ArgumentError(
            f"[{op}] expected a function that returns arrays, got {name_of(f)}, which is a generator or a coroutine. "
            "Return a list of what it yields."
        )


def positions_of(op: str, argnums: Sequence[int], n: int) -> set[int]:
    """`static_argnums` as positions among `n` arguments."""
    for i in argnums:
        if not isinstance(i, (int, np.integer)) or not -n <= i < n:
            raise ArgumentError(
                f"[{op}] expected static_argnums below the number of positional arguments, {n}, got {i!r}. Pass static arguments by position."
            )
    return {int(i) % n for i in argnums}


def make_jaxpr(
    fun: Callable,
    static_argnums: int | Sequence[int] = (),
    axis_env: Sequence[tuple[Any, int]] | None = None,
    return_shape: bool = False,
) -> Callable:
    """A function that returns the jaxpr of `fun` for given arguments (arrays, numbers or `ShapeDtypeStruct`s) instead of running it.

    Args:
      fun: function of pytrees.
      static_argnums: positions of arguments that are passed as they are.
      axis_env: pairs of name and length of axes that `fun` may use as if vmap named them. The position along each is an int32 argument
        of the jaxpr, behind the others.
      return_shape: also return the tree of `ShapeDtypeStruct`s of the result.

    >>> import fnets.numpy as fnp
    >>> make_jaxpr(lambda x: fnp.sin(x) * 2)(1.0)
    { lambda ; a:f64[]. let
        b:f64[] = sin a
        c:f64[] = mul b 2:i64[]
      in (c,) }
    """
    check_callable("make_jaxpr", fun)
    static = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
    axes = dict(axis_env or ())

    @public
    @functools.wraps(fun)
    def made(*args: Any, **kwargs: Any) -> Any:
        static_here = positions_of("make_jaxpr", static, len(args))
        dynamic = [a for i, a in enumerate(args) if i not in static_here]
        leaves, spec = tree.flatten_spec((dynamic, kwargs))
        check_data("make_jaxpr", leaves, lambda: leaf_paths((dynamic, kwargs)), types=True)
        out_spec = None

        def flat(*tracers: Any) -> list:
            nonlocal out_spec
            positional, keywords = tree.unflatten_spec(spec, tracers[: len(leaves)])
            it = iter(positional)
            full = [a if i in static_here else next(it) for i, a in enumerate(args)]
            with named_axes({name: (t, axes[name]) for name, t in zip(axes, tracers[len(leaves) :])}):
                outs, out_spec = tree.flatten_spec(fun(*full, **keywords))
            return outs

        jaxpr = stage(flat, [*map(typeof, leaves), *[ShapedArray((), np.int32)] * len(axes)], name_of(fun))
        if not return_shape:
            return jaxpr
        structs = [ShapeDtypeStruct(v.aval.shape, v.aval.dtype, weak_type=v.aval.weak_type) for v in jaxpr.outvars]
        return jaxpr, tree.unflatten_spec(out_spec, structs)

    made.__name__ = f"make_jaxpr({name_of(fun)})"
    made.__qualname__ = f"make_jaxpr({getattr(fun, '__qualname__', name_of(fun))})"
    return made


@public
def eval_shape(fun: Callable, *args: Any, **kwargs: Any) -> Any:
    """The shapes and dtypes of `fun(*args, **kwargs)` as a tree of `ShapeDtypeStruct`s, without computing anything.

    >>> import fnets.numpy as fnp
    >>> eval_shape(fnp.sin, ShapeDtypeStruct((3,), "float32"))
    ShapeDtypeStruct(shape=(3,), dtype=float32)
    """
    return make_jaxpr(fun, return_shape=True)(*args, **kwargs)[1]
