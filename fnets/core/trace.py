"""Traces and tracers: how a call on a traced value finds the transformation that must see it. May import errors, avals.

Dispatch is by data. A trace takes its number from one global counter when it starts; a primitive looks at its arguments and hands
itself to the highest-numbered trace among them. A later transformation is nested inside an earlier one, so the numbers
order the nesting, and dispatch needs no stack and no thread-local state that an exception could leave behind.

Every running trace knows the one around it. That serves the one case where data do not suffice: in a branch that is being staged, also what
is computed from outer values alone belongs to the branch. The outer traces are then paused: what is theirs goes to the branch.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from fnets.core.avals import PYTHON_SCALARS, WEAK_AVALS, ShapedArray, ShapeDtypeStruct
from fnets.errors import (
    ArgumentError,
    ConcretizationTypeError,
    TracerArrayConversionError,
    TracerBoolConversionError,
    TracerIntegerConversionError,
    UnexpectedTracerError,
)
from fnets.source import describe_location

next_id = itertools.count(1).__next__  # traces and tape nodes draw from one counter; `next` on it is atomic in CPython


_innermost: ContextVar[Trace | None] = ContextVar("fnets_trace", default=None)


class Trace:
    """One running transformation. `process` receives every primitive that touches one of its tracers.

    alive: True while it runs, False once it has ended, None while it is paused; captures: it pauses the traces around it.

    >>> with Trace("f") as trace:
    ...     trace.alive
    True
    >>> trace.alive
    False
    """

    __slots__ = ("id", "alive", "name", "outer", "__weakref__")
    transform = "transform"
    differentiates = False
    captures = False

    def __init__(self, name: str = "") -> None:
        self.id = next_id()
        self.alive: bool | None = True
        self.name = name
        self.outer: Trace | None = None

    def __enter__(self):
        self.outer = _innermost.get()
        _innermost.set(self)
        return self

    def __exit__(self, *exc: object) -> None:
        self.alive = False
        _innermost.set(self.outer)
        self.outer = None

    def process(self, prim: Any, args: tuple, params: dict) -> Any:
        """Apply the trace's rule of `prim`; returns one value, or a list when `prim.multi`."""
        raise TypeError(f"{type(self).__name__} does not define process")


class Tracer:
    """Stands for an array inside a transformed function. Operators and methods are attached by `fnets.numpy`.

    >>> import fnets
    >>> seen = []
    >>> fnets.jit(lambda x: seen.append(isinstance(x, Tracer)))(1.0)
    >>> seen
    [True]
    """

    __slots__ = ("owner",)
    __array_priority__ = 1000
    owner: Trace
    aval: ShapedArray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.aval.shape

    @property
    def dtype(self) -> np.dtype:
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return self.aval.size

    @property
    def weak_type(self) -> bool:
        return self.aval.weak_type

    def concrete(self) -> Any:
        """The value as a NumPy array, when this trace knows it; else None."""
        return None

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def _told(self) -> str:
        """What this tracer is, for error messages."""
        inside = f" of {self.owner.name}" if self.owner.name else ""
        return (
            f"a value of type {self.aval.str_short(short_dtypes=False)} that {self.owner.transform}{inside} is tracing"
        )

    def _value_for(self, error: type[Exception], asked: str, fix: str) -> Any:
        check_alive(self)
        value = self.concrete()
        if value is None:
            raise error(f"[{asked}] expected a value that is known now, got {self._told()}. {fix}")
        return value

    def __bool__(self) -> bool:
        fix = "Use fnets.numpy.where(condition, a, b), fnets.lax.cond(condition, f, g, x), or make the argument static with static_argnames."
        return bool(self._value_for(TracerBoolConversionError, "bool", fix))

    def __index__(self) -> int:
        fix = "Make the argument static with static_argnums/static_argnames, or use fnets.lax.fori_loop / fnets.lax.dynamic_slice."
        value = self._value_for(TracerIntegerConversionError, "index", fix)
        return value.__index__()

    def _number(self, kind: type) -> Any:
        fix = "Keep it an array (fnets.numpy functions accept it), or return it from the transformed function and convert it there."
        value = self._value_for(ConcretizationTypeError, kind.__name__, fix)
        if kind is not int and self.owner.differentiates and self.aval.dtype.kind in "fc":
            raise ConcretizationTypeError(
                f"[{kind.__name__}] expected a value that carries no derivative, got {self._told()}: converting it to a Python number "
                "would silently cut the derivative. Use fnets.lax.stop_gradient(x) first if that is meant, or keep it an array."
            )
        return kind(value)

    def __int__(self) -> int:
        return self._number(int)

    def __float__(self) -> float:
        return self._number(float)

    def __complex__(self) -> complex:
        return self._number(complex)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TracerArrayConversionError(
            f"[array] expected an ordinary array, got {self._told()}. NumPy functions such as np.sin(x) and np.sum(x) trace by themselves; "
            "to put it into an array use fnets.numpy.stack/concatenate, or a = fnets.numpy.at(a)[i].set(x) instead of a[i] = x; to index an "
            "ordinary array by it use fnets.numpy.take(a, i) or fnets.numpy.at(a)[i].get()."
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}<{self.aval.str_short(short_dtypes=False)}>"


class ValueTracer(Tracer):
    """A tracer that carries the value that it stands for; its type is the value's."""

    __slots__ = ("value",)
    value: Any

    @property
    def aval(self) -> ShapedArray:  # type: ignore[override]
        return typeof(self.value)

    @property
    def shape(self) -> tuple[int, ...]:
        return shape_of(self.value)

    @property
    def dtype(self) -> np.dtype:
        return dtype_of(self.value)

    @property
    def weak_type(self) -> bool:
        return is_weak(self.value)

    def concrete(self) -> Any:
        return self.value.concrete() if isinstance(self.value, Tracer) else self.value


def innermost(wanted: Callable[[Trace], bool]) -> Trace | None:
    """The innermost running trace of some kind.

    >>> innermost(lambda trace: True) is None
    True
    """
    trace = _innermost.get()
    while trace is not None and not wanted(trace):
        trace = trace.outer
    return trace


@contextlib.contextmanager
def resumed() -> Iterator[None]:
    """Let paused traces run for the length of a `with` block: what is theirs goes to them, and is known where they know values.

    >>> with resumed():
    ...     pass
    """
    paused = []
    trace = _innermost.get()
    while trace is not None:
        if trace.alive is None:
            trace.alive = True
            paused.append(trace)
        trace = trace.outer
    try:
        yield
    finally:
        for trace in paused:
            trace.alive = None


def process_elsewhere(tracer: Tracer, prim: Any, args: tuple, params: dict) -> Any:
    """Apply a primitive to a tracer whose trace does not take it: that has ended, or is paused by a trace that captures."""
    check_alive(tracer)
    trace = innermost(lambda t: t.captures) or tracer.owner
    return trace.process(prim, args, params)


def check_alive(tracer: Tracer) -> None:
    """Raise if the tracer's transformation has ended."""
    trace = tracer.owner
    if trace.alive is False:
        name = f" of {trace.name}" if trace.name else ""
        born = getattr(tracer, "where", None)
        made = f" It was made at {describe_location(born)}." if born else ""
        raise UnexpectedTracerError(
            f"[leaked tracer] expected a value of a transformation that is still running, got one of type {tracer.aval.str_short()} "
            f"from {trace.transform}{name}, which has ended.{made} Return it from the transformed function "
            "(for example with has_aux=True) instead of storing it outside."
        )


def refuse_closure(trace: Trace, outs: Any, op: str) -> None:
    """Raise if a rule's results still belong to the trace that called it: the rule closed over one of its tracers."""
    for o in outs:
        if isinstance(o, Tracer) and o.owner is trace:
            raise UnexpectedTracerError(
                f"[{op}] expected a rule that depends on differentiated values through its arguments alone, got one that closes over "
                f"a value of type {o.aval.str_short()} of {trace.transform}. Pass that value as an argument."
            )


def refuse_younger(trace: Trace, outs: Any, op: str) -> None:
    """Raise if a rule's results belong to a younger trace than the one that called it: the function closed over one of its tracers."""
    for o in outs:
        if isinstance(o, Tracer) and o.owner.id > trace.id:
            raise UnexpectedTracerError(
                f"[{op}] expected a function that depends on the values of {o.owner.transform} through its arguments alone, got one that "
                f"closes over a value of type {o.aval.str_short()} of it. Pass that value as an argument."
            )


def typeof(x: Any) -> ShapedArray:
    """The aval of an array, tracer, Python scalar, NumPy scalar or `ShapeDtypeStruct`.

    >>> typeof(2.0)
    ShapedArray(float64[], weak_type=True)
    """
    kind = type(x)
    if kind is np.ndarray:
        return ShapedArray(x.shape, x.dtype)
    if kind in WEAK_AVALS:
        return WEAK_AVALS[kind]
    if isinstance(x, Tracer):
        return x.aval
    if isinstance(x, (np.ndarray, np.generic)) and not isinstance(x, np.ma.MaskedArray):
        return ShapedArray(x.shape, x.dtype)
    if isinstance(x, ShapeDtypeStruct):
        return ShapedArray(x.shape, x.dtype, x.weak_type)
    if isinstance(x, np.ma.MaskedArray):
        raise ArgumentError(
            "[array] expected a plain array, got a masked array, whose mask would be lost. Use x.filled(value) first."
        )
    if isinstance(x, PYTHON_SCALARS):
        return WEAK_AVALS[next(t for t in PYTHON_SCALARS if isinstance(x, t))]
    if hasattr(x, "shape") and hasattr(x, "dtype"):  # what describes an array will do where only the type matters
        return ShapedArray(x.shape, x.dtype)
    if hasattr(x, "__array__") or hasattr(x, "__dlpack__"):
        a = np.asarray(x)
        return ShapedArray(a.shape, a.dtype)
    raise ArgumentError(
        f"[array] expected an array or a number, got {type(x).__name__}: {str(x)[:60]}. "
        "Convert it with fnets.numpy.asarray, or mark the argument static if it is not data."
    )


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of an array, tracer or scalar."""
    try:
        return x.shape
    except AttributeError:
        pass  # what typeof raises is no consequence of this
    return typeof(x).shape


def dtype_of(x: Any) -> np.dtype:
    """The dtype of an array, tracer or scalar (float64, int64, ... for Python scalars)."""
    try:
        return x.dtype
    except AttributeError:
        pass
    return typeof(x).dtype


def is_weak(x: Any) -> bool:
    """True for Python scalars and for traced values computed from them alone."""
    return type(x) in WEAK_AVALS or (isinstance(x, Tracer) and x.weak_type)
