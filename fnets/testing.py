"""Checks for your own tests: derivatives against finite differences, leaked tracers. May import transforms, core, tree, errors."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from types import CellType, FrameType, FunctionType, ModuleType
from typing import Any

import numpy as np

from fnets import tree
from fnets.core.avals import is_float
from fnets.core.trace import Trace, Tracer, dtype_of, next_id
from fnets.errors import ArgumentError, UnexpectedTracerError
from fnets.source import describe_location
from fnets.transforms.jvp import jvp
from fnets.transforms.vjp import TapeEqn, vjp

# relative error that rounding and the step of the finite difference leave, by the coarsest dtype involved
_TOLERANCE = {"float64": 1e-5, "complex128": 1e-5, "float32": 2e-2, "complex64": 2e-2, "float16": 2e-1}
_DIRECTIONS = 2  # for a product of two random trees: one alone may be small by chance and hide an error


def _float_leaf(x: Any) -> bool:
    return is_float(dtype_of(x))


def _random_like(x: Any, rng: np.random.Generator) -> Any:
    shape, dtype = np.shape(x), dtype_of(x)
    if not is_float(dtype):
        return np.zeros(shape, dtype)
    r = rng.standard_normal(shape)
    if dtype.kind == "c":
        r = r + 1j * rng.standard_normal(shape)
    return float(r) if type(x) is float else np.asarray(r, dtype)


def _random_tree(xs: Any, rng: np.random.Generator) -> Any:
    return tree.map(lambda x: _random_like(x, rng), xs)


def _coarsest(xs: Any) -> np.dtype:
    dtypes = [dtype_of(x) for x in tree.leaves(xs) if _float_leaf(x)]
    return max(dtypes, key=lambda d: float(np.finfo(d).eps), default=np.dtype("float64"))


def _close(op: str, what: str, got: Any, expected: Any, atol: float | None, rtol: float | None, err_msg: str) -> None:
    default = _TOLERANCE.get(_coarsest([got, expected]).name, 2e-1)
    pairs = zip(tree.leaves_with_path(got), tree.leaves(expected), strict=True)
    for (path, a), b in pairs:
        if not _float_leaf(b):
            continue
        a, b = np.asarray(a), np.asarray(b)
        scale = np.abs(b).max(initial=1.0)
        allowed = (default if atol is None else atol) + (default if rtol is None else rtol) * scale
        error = np.abs(a - b).max(initial=0.0)
        if not error <= allowed:
            raise AssertionError(
                f"[{op}] expected {what}{tree.keystr(path)} within {allowed:.3g} of the finite difference, got an error of {error:.3g}: "
                f"{np.array2string(a, threshold=8, precision=5)} against {np.array2string(b, threshold=8, precision=5)}. "
                f"{err_msg}".rstrip()
            )


def _moved(x: Any, t: Any, step: float) -> Any:
    return x + np.asarray(step, np.asarray(t).dtype) * t if _float_leaf(x) else x


def numerical_jvp(f: Callable, primals: Sequence[Any], tangents: Sequence[Any], eps: float | None = None) -> Any:
    """The derivative of `f` at `primals` along `tangents` by a central difference.

    Args:
      eps: the step; by default the cube root of the dtype's resolution.

    >>> round(float(numerical_jvp(lambda x: x**2, (np.float64(3.0),), (np.float64(1.0),))), 6)
    6.0
    """
    if eps is None:
        eps = float(np.finfo(_coarsest(primals)).eps) ** (1 / 3)
    primals, tangents = tuple(primals), tuple(tangents)
    up = f(*tree.map(lambda x, t: _moved(x, t, 0.5 * eps), primals, tangents))
    down = f(*tree.map(lambda x, t: _moved(x, t, -0.5 * eps), primals, tangents))
    return tree.map(
        lambda u, d: (np.asarray(u) - np.asarray(d)) / eps if _float_leaf(u) else np.zeros(np.shape(u)), up, down
    )


def check_jvp(
    f: Callable,
    f_jvp: Callable,
    args: Sequence[Any],
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    err_msg: str = "",
) -> None:
    """Raise `AssertionError` unless `f_jvp(primals, tangents)` agrees with `f` and its finite difference along a random direction.

    >>> import fnets
    >>> import fnets.numpy as fnp
    >>> check_jvp(fnp.sin, lambda p, t: fnets.jvp(fnp.sin, p, t), (np.ones(3),))
    """
    args = tuple(args)
    tangents = _random_tree(args, np.random.default_rng(0))
    value, tangent = f_jvp(args, tangents)
    _close("check_jvp", "value", value, f(*args), atol, rtol, err_msg)
    _close("check_jvp", "tangent", tangent, numerical_jvp(f, args, tangents, eps), atol, rtol, err_msg)


def _inner(xs: Any, ys: Any) -> float:
    pairs = zip(tree.leaves(xs), tree.leaves(ys), strict=True)
    return float(sum(np.real(np.sum(np.asarray(x) * np.asarray(y))) for x, y in pairs if _float_leaf(x)))


def check_vjp(
    f: Callable,
    f_vjp: Callable,
    args: Sequence[Any],
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    err_msg: str = "",
) -> None:
    """Raise `AssertionError` unless `f_vjp(*args) -> (value, pull)` is the transpose of `f`'s finite difference along a random direction.

    >>> import fnets
    >>> import fnets.numpy as fnp
    >>> check_vjp(fnp.sin, lambda *args: fnets.vjp(fnp.sin, *args), (np.ones(3),))
    """
    args = tuple(args)
    value, pull = f_vjp(*args)
    _close("check_vjp", "value", value, f(*args), atol, rtol, err_msg)
    rng = np.random.default_rng(0)
    dtype = _coarsest(args)
    for _ in range(_DIRECTIONS):
        tangents, cts = _random_tree(args, rng), _random_tree(value, rng)
        expected = np.asarray(_inner(numerical_jvp(f, args, tangents, eps), cts), dtype)
        got = np.asarray(_inner(pull(cts), tangents), dtype)
        _close("check_vjp", "product with the cotangent", got, expected, atol, rtol, err_msg)


def check_grads(
    f: Callable,
    args: Sequence[Any],
    order: int,
    modes: Sequence[str] = ("fwd", "rev"),
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
) -> None:
    """Raise `AssertionError` unless derivatives of `f` up to an order agree with finite differences along random directions.

    Args:
      f: function of pytrees.
      args: where to check; float64 arguments allow tight tolerances. Leaves that are not float are held fixed.
      order: the highest order of derivative.
      modes: "fwd" (jvp) and "rev" (vjp); with order 2 every combination of them is checked.
      atol, rtol: tolerances; by default those that rounding in the coarsest dtype involved calls for.
      eps: the step of the finite difference; by default the cube root of the dtype's resolution.

    >>> import fnets.numpy as fnp
    >>> check_grads(lambda x: fnp.sin(x) * x, (np.linspace(0.0, 1.0, 4),), order=2)
    """
    modes = (modes,) if isinstance(modes, str) else tuple(modes)
    if not set(modes) <= {"fwd", "rev"} or not modes:
        raise ArgumentError(f"[check_grads] expected modes out of 'fwd' and 'rev', got {modes}.")
    args = tuple(args)

    def check(g: Callable, at: tuple, left: int, path: str) -> None:
        if "fwd" in modes:
            told = f"Order {order - left + 1}, mode {path}fwd."
            check_jvp(g, lambda p, t: jvp(g, p, t), at, atol, rtol, eps, told)
            if left > 1:
                check(lambda *xs: jvp(g, xs[::2], xs[1::2]), _paired(at), left - 1, f"{path}fwd, ")
        if "rev" in modes:
            told = f"Order {order - left + 1}, mode {path}rev."
            check_vjp(g, lambda *xs: vjp(g, *xs), at, atol, rtol, eps, told)
            if left > 1:

                def pulled(*xs: Any) -> Any:
                    value, pull = vjp(g, *xs)
                    return pull(value)

                check(pulled, at, left - 1, f"{path}rev, ")

    check(f, args, order, "")


def _paired(args: tuple) -> tuple:
    """Primals and random tangents, alternating."""
    rng = np.random.default_rng(1)
    return tuple(v for x in args for v in (x, _random_tree(x, rng)))


# ------------------------------------------------------------------ leaks


@contextlib.contextmanager
def check_leaks() -> Iterator[None]:
    """Context manager: raises if a traced value made inside of the block outlives its transformation, and says what refers to it.

    Raises:
      UnexpectedTracerError: at the end of the block.

    >>> import fnets
    >>> with check_leaks():
    ...     y = fnets.grad(lambda x: x * x)(3.0)
    """
    start = next_id()
    yield
    gc.collect()
    leaked = [o for o in gc.get_objects() if issubclass(type(o), Tracer) and not o.owner.alive and o.owner.id > start]
    if leaked:
        hidden = {id(leaked), id(sys._getframe())}
        count = len(leaked)
        told = [_told(leaked[k], hidden) for k in range(min(count, 5))]  # no iterator: it would refer to them too
        more = f"\n  and {count - 5} more" if count > 5 else ""
        del leaked
        raise UnexpectedTracerError(
            f"[check_leaks] expected no value of an ended transformation to be alive, got {count}:\n  "
            + "\n  ".join(told)
            + f"{more}\n  Return values from the transformed function (has_aux=True) instead of storing them."
        )


checking_leaks = check_leaks  # JAX's name


def _told(tracer: Tracer, hidden: set[int]) -> str:
    name = f" of {tracer.owner.name}" if tracer.owner.name else ""
    born = getattr(tracer, "where", None)
    made = f", made at {describe_location(born)}" if born else ""
    owners = sorted(set(_owners(tracer, hidden, 4)))[:3]
    return f"{tracer.aval.str_short()} from {tracer.owner.transform}{name}{made}; held by {' and '.join(owners) or 'nothing that Python knows'}"


def _owners(obj: Any, hidden: set[int], depth: int) -> Iterator[str]:
    """What refers to an object, followed up to something that has a name."""
    referrers = gc.get_referrers(obj)
    hidden = hidden | {id(referrers), id(obj)}
    for r in referrers:
        if id(r) in hidden or isinstance(r, (Trace, TapeEqn)):
            continue
        if isinstance(r, FrameType):
            names = [k for k, v in r.f_locals.items() if v is obj]
            if names and r.f_code.co_filename != __file__:
                yield f"local variable {names[0]} of {r.f_code.co_name}"
        elif isinstance(r, ModuleType):
            yield f"module {r.__name__}"
        elif isinstance(r, dict) and "__name__" in r and vars(sys.modules.get(str(r["__name__"]), object())) is r:
            yield f"global variable {next(k for k, v in r.items() if v is obj)} of module {r['__name__']}"
        elif isinstance(r, CellType):
            yield from _closures(r)
        elif isinstance(r, (list, tuple, set, dict)):
            kind = type(r).__name__
            where = f"[{next((repr(k) for k, v in r.items() if v is obj), '?')}]" if isinstance(r, dict) else ""
            above = list(_owners(r, hidden, depth - 1)) if depth else []
            yield from [f"{a}, a {kind}{where}" for a in above] or [f"a {kind}{where}"]
        else:
            attribute = next((k for k in _attributes(r) if getattr(r, k, None) is obj), None)
            yield f"attribute {attribute} of a {type(r).__name__}" if attribute else f"a {type(r).__name__}"


def _attributes(r: Any) -> list[str]:
    slots = [s for cls in type(r).__mro__ for s in getattr(cls, "__slots__", ()) if isinstance(s, str)]
    return [*slots, *getattr(r, "__dict__", {})]


def _closures(cell: CellType) -> Iterator[str]:
    for holder in gc.get_referrers(cell):
        if not isinstance(holder, tuple):
            continue
        for f in gc.get_referrers(holder):
            if isinstance(f, FunctionType) and f.__closure__ is holder:
                name = next((n for n, c in zip(f.__code__.co_freevars, holder) if c is cell), "?")
                yield f"variable {name}, closed over by {f.__name__}"
