"""Calls back into Python from transformed code: `pure_callback`, `io_callback`, `debug.callback`, `debug.print`. May import transforms.

Dispatch is by data, and an effect may have none: so each takes the token of the innermost staging trace as an operand, which records it there.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets import tree
from fnets.control.operands import flatten_arguments
from fnets.core.avals import ShapedArray, ShapeDtypeStruct
from fnets.core.primitive import Primitive
from fnets.core.trace import typeof
from fnets.errors import ArgumentError, ShapeError
from fnets.primitives.base import move_dim
from fnets.primitives.shape import stack
from fnets.transforms.staging import EffectPrimitive, check_callable, name_of, staging_token

pure_callback_p = Primitive("pure_callback", multi=True)
io_callback_p = EffectPrimitive("io_callback")
debug_callback_p = EffectPrimitive("debug_callback")


class Call:
    """The flat Python function behind a callback: a parameter that is hashed by identity and printed by name."""

    __slots__ = ("call", "__name__")

    def __init__(self, call: Callable[..., list], name: str):
        self.call = call
        self.__name__ = name

    def __call__(self, *args: Any) -> list:
        return self.call(*args)


def _checked(results: Sequence[Any], avals: Sequence[ShapedArray], name: str) -> list:
    out = []
    for r, a in zip(results, avals, strict=True):
        r = np.asarray(r)
        if r.shape != a.shape or not np.can_cast(r.dtype, a.dtype, "same_kind"):
            raise ShapeError(
                f"[{name}] expected a result of type {a.str_short()}, as result_shape_dtypes say, got {typeof(r).str_short()}."
            )
        r = r.astype(a.dtype, copy=False)
        out.append(r if a.shape else r[()])
    return out


def _impl(*args: Any, callback: Call, avals: tuple, **params: Any) -> list:
    return _checked(callback(*args[1:]), avals, callback.__name__)


def _abstract(*operands: ShapedArray, avals: tuple, **params: Any) -> list:
    return list(avals)


def _loop_batch(prim: Primitive, size: int, vals: Sequence, dims: Sequence, params: dict) -> tuple:
    """One call per example, in order."""
    moved = [v if d is None else move_dim(v, d, 0, size) for v, d in zip(vals, dims)]
    results = []
    for i in range(size):
        results.append(prim.bind(*[v if d is None else v[i] for v, d in zip(moved, dims)], **params))
    outs = [stack([r[k] for r in results], 0) for k in range(len(params["avals"]))]
    return outs, [0] * len(outs)


def _pure_batch(
    size: int, vals: Sequence, dims: Sequence, callback: Call, avals: tuple, vmap_method: str | None
) -> tuple:
    params = {"callback": callback, "avals": avals, "vmap_method": vmap_method}
    if vmap_method is None:
        raise NotImplementedError(
            f"[pure_callback] expected a vmap_method for a callback under vmap, got None: {callback.__name__}. "
            "Pass vmap_method='sequential', 'expand_dims' or 'broadcast_all'."
        )
    if vmap_method == "sequential":
        return _loop_batch(pure_callback_p, size, vals, dims, params)
    token, *operands = vals
    moved = []
    for v, d in zip(operands, dims[1:]):
        if d is not None:
            moved.append(move_dim(v, d, 0, size))
        elif vmap_method == "broadcast_all":
            moved.append(move_dim(v, None, 0, size))
        else:
            moved.append(move_dim(v, None, 0, 1))
    batched = tuple(ShapedArray((size, *a.shape), a.dtype) for a in avals)
    outs = pure_callback_p.bind(token, *moved, callback=callback, avals=batched, vmap_method=vmap_method)
    return outs, [0] * len(outs)


def _no_derivative(name: str) -> Callable:
    def rule(*args: Any, **params: Any) -> Any:
        raise ValueError(
            f"{name} does not support derivatives: what Python does inside is not known. Wrap the call in custom_jvp or custom_vjp, "
            "or stop the derivative with lax.stop_gradient on its arguments."
        )

    return rule


for _prim in (pure_callback_p, io_callback_p, debug_callback_p):
    _prim.impl, _prim.abstract = _impl, _abstract
for _prim, _name in ((pure_callback_p, "pure_callback"), (io_callback_p, "io_callback")):
    _prim.jvp = _prim.vjp = _no_derivative(_name)
pure_callback_p.batch = _pure_batch


def _io_batch(size: int, vals: Sequence, dims: Sequence, **params: Any) -> tuple:
    if params["ordered"]:
        raise ValueError(
            "[io_callback] expected an unordered callback under vmap, got ordered=True. Loop with lax.scan or lax.map instead."
        )
    return _loop_batch(io_callback_p, size, vals, dims, params)


io_callback_p.batch = _io_batch
debug_callback_p.batch = lambda size, vals, dims, **params: _loop_batch(debug_callback_p, size, vals, dims, params)
debug_callback_p.jvp = lambda primals, tangents, **params: (debug_callback_p.bind(*primals, **params), [])
debug_callback_p.vjp = lambda active, *primals, **params: (debug_callback_p.bind(*primals, **params), None)


# ------------------------------------------------------------------ the user's functions


def _flat_call(callback: Callable, spec: Any, want: Any) -> Call:
    """The callback on flat NumPy arguments, its result flattened and compared with the structure that was announced."""

    def call(*leaves: Any) -> list:
        args, kwargs = tree.unflatten_spec(spec, leaves)
        out, out_spec = tree.flatten_spec(callback(*args, **kwargs))
        if want is not None and out_spec != want:
            raise ArgumentError(
                f"[callback] expected a result of structure {tree.PyTreeDef(want)}, as result_shape_dtypes, got {tree.PyTreeDef(out_spec)} "
                f"from {name_of(callback)}."
            )
        return out if want is not None else []

    return Call(call, name_of(callback))


def _result_avals(op: str, result_shape_dtypes: Any) -> tuple[tuple[ShapedArray, ...], Any]:
    structs, spec = tree.flatten_spec(result_shape_dtypes)
    for s in structs:
        if not isinstance(s, ShapeDtypeStruct) and not hasattr(s, "shape"):
            raise ArgumentError(
                f"[{op}] expected result_shape_dtypes to hold ShapeDtypeStructs, got {type(s).__name__}."
            )
    return tuple(ShapedArray(s.shape, s.dtype) for s in structs), spec


def pure_callback(
    callback: Callable,
    result_shape_dtypes: Any,
    *args: Any,
    sharding: Any = None,
    vmap_method: str | None = None,
    vectorized: Any = None,
    **kwargs: Any,
) -> Any:
    """Call a pure Python function on NumPy arrays from traced code.

    Args:
      callback: function of arrays; it may be called any number of times, also none.
      result_shape_dtypes: tree of `ShapeDtypeStruct`s, the types of its result.
      vmap_method: what to do under vmap: "sequential", "expand_dims", "broadcast_all"; None refuses.

    >>> import fnets, numpy as np
    >>> f = lambda x: pure_callback(np.sin, fnets.ShapeDtypeStruct((), "float64"), x)
    >>> fnets.jit(f)(0.0)
    np.float64(0.0)
    """
    check_callable("pure_callback", callback)
    if vectorized:
        vmap_method = "broadcast_all"
    if vmap_method not in (
        None,
        "sequential",
        "sequential_unrolled",
        "expand_dims",
        "broadcast_all",
        "legacy_vectorized",
    ):
        raise ValueError(
            f"[pure_callback] expected vmap_method 'sequential', 'expand_dims' or 'broadcast_all', got {vmap_method!r}."
        )
    if vmap_method == "sequential_unrolled":
        vmap_method = "sequential"
    avals, want = _result_avals("pure_callback", result_shape_dtypes)
    leaves, spec = flatten_arguments("pure_callback", (args, kwargs))
    outs = pure_callback_p.bind(
        staging_token(), *leaves, callback=_flat_call(callback, spec, want), avals=avals, vmap_method=vmap_method
    )
    return tree.unflatten_spec(want, outs)


def io_callback(
    callback: Callable, result_shape_dtypes: Any, *args: Any, sharding: Any = None, ordered: bool = False, **kwargs: Any
) -> Any:
    """Call an impure Python function from traced code: it is called once per run, in the order of the program.

    Args:
      callback: function of arrays.
      result_shape_dtypes: tree of `ShapeDtypeStruct`s, or None for no result.
      ordered: refuse `vmap`, where an order between examples does not exist.

    >>> import fnets
    >>> log = []
    >>> fnets.jit(lambda x: io_callback(log.append, None, x))(1.0)
    >>> log
    [1.0]
    """
    check_callable("io_callback", callback)
    avals, want = _result_avals("io_callback", result_shape_dtypes)
    leaves, spec = flatten_arguments("io_callback", (args, kwargs))
    outs = io_callback_p.bind(
        staging_token(), *leaves, callback=_flat_call(callback, spec, want), avals=avals, ordered=bool(ordered)
    )
    return tree.unflatten_spec(want, outs)


def debug_callback(
    callback: Callable, *args: Any, ordered: bool = False, partitioned: bool = False, **kwargs: Any
) -> None:
    """Call a Python function for its effect, wherever the program runs: under jit, vmap (once per example), grad (on the values).

    >>> import fnets
    >>> seen = []
    >>> def f(x):
    ...     debug_callback(seen.append, x)
    ...     return x * x
    >>> fnets.grad(f)(3.0), seen
    (6.0, [3.0])
    """
    if not callable(callback):
        raise TypeError(f"[debug.callback] expected a function as first argument, got {type(callback).__name__}.")
    leaves, spec = flatten_arguments("debug.callback", (args, kwargs))
    debug_callback_p.bind(
        staging_token(), *leaves, callback=_flat_call(callback, spec, None), avals=(), ordered=bool(ordered)
    )


class _Formatter(string.Formatter):
    def check_unused_args(self, used_args: Any, args: Any, kwargs: Any) -> None:
        unused = [str(a) for i, a in enumerate(args) if i not in used_args] + [k for k in kwargs if k not in used_args]
        if unused:
            raise ValueError(
                f"[debug.print] expected every argument in the format string, got unused ones: {', '.join(unused)}."
            )


def debug_print(fmt: str, *args: Any, ordered: bool = False, partitioned: bool = False, **kwargs: Any) -> None:
    """Print values while the program runs: `debug.print("x = {x}", x=x)`; the format is `str.format`'s.

    >>> import fnets
    >>> fnets.jit(lambda x: debug_print("x = {}", x))(1.5)
    x = 1.5
    """
    _Formatter().format(fmt, *args, **kwargs)  # a wrong format fails where it is written, not where it runs

    def show(*values: Any, **named: Any) -> None:
        print(fmt.format(*values, **named))

    debug_callback(show, *args, ordered=ordered, **kwargs)
