"""Primitives: the operations that transformations see, each with its rules. May import errors, avals, trace.

Rules are plain functions stored on the primitive:

    impl(*arrays, **params)            -> array, or a list when `multi`         runs on NumPy
    abstract(*avals, **params)         -> aval, or a list                       validates the user's shapes
    jvp(primals, tangents, **params)   -> out(s), tangent(s)                    a tangent may be None (zero), in and out
    vjp(active, *primals, **params)    -> out(s), pull                          pull(ct) -> one ct or None per active argument
    batch(size, vals, dims, **params)  -> out(s), dim(s)                        a dim may be None (not batched), in and out
    lower[backend](ctx, eqn, args, out) -> backend-specific                     optional; for "numpy" see backends/numpy_codegen.py
    rules["stage"](args, params)       -> args, params                          optional; called before an equation is recorded
    rules["dce"](eqn, used)            -> eqn                                   optional; an equation without the results that nobody reads
    rules[name]                                                                 third-party transformations

`active` is the tuple of positions that are differentiated. `pull` is None when no output can carry a derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.core.avals import PYTHON_SCALARS
from fnets.core.trace import Tracer, process_elsewhere, typeof
from fnets.errors import FnetsError, MissingRuleError

_ndarray = np.ndarray
_SCALAR_RESULTS = (np.float64, np.int64, np.bool_, np.complex128)
_NUMPY_FLOATS = {np.float32, np.float64}
_QUICK_SCALARS = {*_NUMPY_FLOATS, float, int}
_NO_PARAMS: dict[str, Any] = {}
registry: dict[str, Primitive] = {}


class Primitive:
    """An operation with its rules; `prim.bind(*args, **params)` applies it, tracing where an argument is traced.

    kind: "elementwise", "view" (the result may share memory with the first operand), "reduce", "call" (runs its parameter `jaxpr` once and
      may be inlined), "barrier" (never merged with an equal equation), or "other"; for passes and backends.
    fresh: the result never shares memory with an operand (a backend may then reuse its buffer).
    differentiable: False declares that every derivative is zero, so that jvp and vjp need no rule.

    >>> negative_p = Primitive("my_negative")
    >>> negative_p.impl = np.negative
    >>> negative_p.bind(3.0)
    -3.0
    """

    __slots__ = (
        "name",
        "kind",
        "multi",
        "effectful",
        "fresh",
        "differentiable",
        "ufunc",
        "impl",
        "abstract",
        "jvp",
        "vjp",
        "batch",
        "lower",
        "rules",
    )

    def __init__(
        self,
        name: str,
        *,
        kind: str = "other",
        multi: bool = False,
        effectful: bool = False,
        fresh: bool = False,
        differentiable: bool = True,
    ):
        self.name = name
        self.kind = kind
        self.multi = multi
        self.effectful = effectful
        self.fresh = fresh
        self.differentiable = differentiable
        self.ufunc: np.ufunc | None = None
        self.impl: Callable = self._missing("impl")
        self.abstract: Callable = self._missing("abstract")
        self.jvp: Callable = self._missing("jvp")
        self.vjp: Callable = self._missing("vjp")
        self.batch: Callable = self._missing("batch")
        self.lower: dict[str, Callable] = {}
        self.rules: dict[str, Callable] = {}
        registry.setdefault(name, self)

    def _missing(self, rule: str) -> Callable:
        def missing(*args: Any, **params: Any) -> Any:
            raise MissingRuleError(
                f"[{self.name}] expected a rule for {rule}, got none. Define `prim.{rule}` (see fnets/core/primitive.py), or wrap the "
                "function in custom_vjp / custom_jvp."
            )

        missing.rule_is_missing = True  # type: ignore[attr-defined]
        return missing

    def bind(self, /, *args: Any, **params: Any) -> Any:
        """Apply the primitive to arrays, scalars and tracers."""
        top = None
        for a in args:
            if isinstance(a, Tracer):
                t = a.owner
                if top is None or t.id > top.id:
                    top = t
                    tracer = a
        if top is not None:
            if not top.alive:
                return process_elsewhere(tracer, self, args, params)
            return top.process(self, args, params)
        try:
            out = self.impl(*args, **params)
        except Exception as error:
            self._explain(error, args, params)
            raise
        return out if type(out) is _ndarray else self._finish(out, *args)

    def _finish(self, out: Any, *args: Any) -> Any:
        """A function of Python scalars alone gives a Python scalar, which stays weak in NumPy's promotion."""
        if type(out) in _SCALAR_RESULTS and all([type(a) in PYTHON_SCALARS for a in args]):
            return out.item()
        return out

    @property
    def multiple_results(self) -> bool:
        """JAX's name for `multi`."""
        return self.multi

    @multiple_results.setter
    def multiple_results(self, value: bool) -> None:
        self.multi = value

    def def_impl(self, impl: Callable) -> Callable:
        """Set `impl`; returns it, so that this is a decorator."""
        self.impl = impl
        return impl

    def def_abstract_eval(self, abstract: Callable) -> Callable:
        """Set `abstract`; returns it, so that this is a decorator."""
        self.abstract = abstract
        return abstract

    def _explain(self, error: Exception, args: tuple, params: dict) -> None:
        """Called when an impl failed: the abstract rule knows what was expected and raises an error that says so."""
        if isinstance(error, (FnetsError, MemoryError, KeyboardInterrupt)):
            return
        try:
            self.abstract(*map(typeof, args), **params)
        except MissingRuleError:
            return
        except FnetsError as told:
            raise told from None

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple:
        return registry.__getitem__, (self.name,)


class UnaryPrimitive(Primitive):
    """A primitive of one operand and no parameters: the same, with a shorter way through `bind`."""

    __slots__ = ()

    def bind(self, x: Any, /) -> Any:  # type: ignore[override]
        if isinstance(x, Tracer):
            trace = x.owner
            if not trace.alive:
                return process_elsewhere(x, self, (x,), _NO_PARAMS)
            return trace.process(self, (x,), _NO_PARAMS)
        try:
            out = self.impl(x)
        except Exception as error:
            self._explain(error, (x,), _NO_PARAMS)
            raise
        return out if type(out) is _ndarray else self._finish(out, x)


class BinaryPrimitive(Primitive):
    """A primitive of two operands and no parameters: the same, with a shorter way through `bind`.

    scalar: Python's operator for it, or None; on two scalars one of which is NumPy's it gives what the ufunc does in a tenth of the time.
    """

    __slots__ = ("scalar",)

    def __init__(self, name: str, **how: Any):
        super().__init__(name, **how)
        self.scalar: Callable | None = None

    def bind(self, x: Any, y: Any, /) -> Any:  # type: ignore[override]
        if isinstance(x, Tracer):
            top = x if not isinstance(y, Tracer) or x.owner.id >= y.owner.id else y
        elif isinstance(y, Tracer):
            top = y
        else:
            try:
                if (
                    type(x) in _QUICK_SCALARS
                    and type(y) in _QUICK_SCALARS
                    and self.scalar is not None
                    and (type(x) in _NUMPY_FLOATS or type(y) in _NUMPY_FLOATS)
                ):
                    return self.scalar(x, y)
                out = self.impl(x, y)
            except Exception as error:
                self._explain(error, (x, y), _NO_PARAMS)
                raise
            return out if type(out) is _ndarray else self._finish(out, x, y)
        trace = top.owner
        if not trace.alive:
            return process_elsewhere(top, self, (x, y), _NO_PARAMS)
        return trace.process(self, (x, y), _NO_PARAMS)


def is_missing(rule: Callable) -> bool:
    """True if a primitive's rule slot was never filled.

    >>> is_missing(Primitive("nothing_p").impl)
    True
    """
    return getattr(rule, "rule_is_missing", False)
