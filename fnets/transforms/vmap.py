"""Vectorisation: `vmap`. May import core, tree, errors, primitives.base, staging.

A `BatchTracer` is an array with one axis more than its aval; operations run once on the whole array, by the primitives' batch rules.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import Any

import numpy as np

from fnets import tree
from fnets.core.avals import ShapedArray
from fnets.core.ir import Jaxpr, eval_jaxpr, weak_memo
from fnets.core.primitive import Primitive
from fnets.core.trace import Trace, Tracer, refuse_younger, shape_of, typeof
from fnets.errors import ArgumentError, AxisError, ShapeError, UnboundAxisError
from fnets.primitives.base import move_dim, owned
from fnets.transforms.edge import trim_traceback
from fnets.transforms.staging import JaxprTrace, check_callable, check_data, leaf_paths, name_of


class BatchTracer(Tracer):
    """An array whose axis `dim` is hidden from the function that is vectorised."""

    __slots__ = ("value", "dim")

    def __init__(self, trace: BatchTrace, value: Any, dim: int):
        self.owner = trace
        self.value = value
        self.dim = dim

    @property
    def weak_type(self) -> bool:
        return False

    @property
    def aval(self) -> ShapedArray:  # type: ignore[override]
        a = typeof(self.value)
        return ShapedArray(a.shape[: self.dim] + a.shape[self.dim + 1 :], a.dtype)


class BatchTrace(Trace):
    """One running vectorisation over an axis of length `size`."""

    __slots__ = ("size",)
    transform = "vmap"

    def __init__(self, size: int, name: str = ""):
        super().__init__(name)
        self.size = size

    def process(self, prim: Primitive, args: tuple, params: dict) -> Any:
        vals, dims = [], []
        for a in args:
            if type(a) is BatchTracer and a.owner is self:
                vals.append(a.value)
                dims.append(a.dim)
            else:
                vals.append(a)
                dims.append(None)
        out, dim = prim.batch(self.size, vals, dims, **params)
        if prim.multi:
            refuse_younger(self, out, prim.name)
            return [o if d is None else BatchTracer(self, o, d) for o, d in zip(out, dim)]
        return out if dim is None else BatchTracer(self, out, dim)


# the named axes in force here: name -> (token, length); the token is the traced array of positions along the axis
_axes: ContextVar[Mapping[Any, tuple[BatchTracer, int]]] = ContextVar("fnets_axes", default=MappingProxyType({}))


def _bind_axis(name: Any, trace: BatchTrace) -> Token:
    token = BatchTracer(trace, np.arange(trace.size, dtype=np.int32), 0)
    return _axes.set({**_axes.get(), name: (token, trace.size)})


def axis_token(name: Any) -> tuple[Any, int]:
    """The token and the length of a named axis; a `NameError` if no `vmap` around here has it."""
    try:
        return _axes.get()[name]
    except KeyError:
        raise UnboundAxisError(
            f"[axis] expected an axis name of a running vmap, got {name!r}: unbound axis name: {name}. Write vmap(f, axis_name={name!r})(x)."
        ) from None


def vmap_flat(
    f: Callable[..., Sequence[Any]],
    args: Sequence[Any],
    dims: Sequence[int | None],
    size: int,
    name: str = "",
    axis_name: Any = None,
) -> list:
    """Run a flat function on batched arguments; returns pairs `(value, dim)`, dim None where the batch does not matter."""
    with BatchTrace(size, name) as trace:
        reset = None if axis_name is None else _bind_axis(axis_name, trace)
        try:
            outs = f(*[a if d is None else BatchTracer(trace, a, d) for a, d in zip(args, dims)])
        finally:
            if reset is not None:
                _axes.reset(reset)
    return [(o.value, o.dim) if type(o) is BatchTracer and o.owner is trace else (o, None) for o in outs]


def vmap(
    fun: Callable,
    in_axes: Any = 0,
    out_axes: Any = 0,
    axis_name: Any = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
) -> Callable:
    """A function that applies `fun` to every slice of its arguments along an axis, in one vectorised run.

    Args:
      fun: function of pytrees.
      in_axes: an int, None (not mapped), or a tree prefix of the positional arguments. Keyword arguments are mapped over axis 0.
      out_axes: the same for the results.
      axis_name: a name for the axis.
      axis_size: length of the axis; needed only when nothing is mapped.

    >>> vmap(lambda x, y: x * y, in_axes=(0, None))(np.arange(3.0), 2.0)
    array([0., 2., 4.])
    """
    check_callable("vmap", fun)
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if not all(isinstance(a, (int, np.integer)) and not isinstance(a, bool) for a in tree.leaves((in_axes, out_axes))):
        raise ArgumentError(
            f"[vmap] expected in_axes and out_axes to hold ints and None, got {in_axes!r} and {out_axes!r}."
        )

    @functools.wraps(fun)
    def batched(*args: Any, **kwargs: Any) -> Any:
        try:
            if isinstance(in_axes, tuple) and len(in_axes) != len(args):
                raise ArgumentError(
                    f"[vmap] expected in_axes of as many entries as positional arguments, {len(args)}, got {len(in_axes)}: {in_axes}. "
                    "Use None for arguments that are not mapped."
                )
            leaves, spec = tree.flatten_spec((args, kwargs))

            def paths() -> list[str]:
                return [f"argument{p}" for p in leaf_paths((args, kwargs))]

            positional_spec, keyword_spec = spec[2]
            dims = tree.flatten_axes("vmap in_axes", positional_spec, in_axes) + [0] * tree.num_leaves(keyword_spec)
            mapped = [i for i, d in enumerate(dims) if d is not None]  # the others may be anything
            check_data("vmap", [leaves[i] for i in mapped], lambda: [paths()[i] for i in mapped])
            dims = [d if d is None else _checked_dim(x, d, i, paths) for i, (x, d) in enumerate(zip(leaves, dims))]
            size = _axis_size(leaves, dims, axis_size, paths)
            out_spec = None

            def flat(*xs: Any) -> list:
                nonlocal out_spec
                positional, keywords = tree.unflatten_spec(spec, xs)
                out = fun(*positional, **keywords)
                outs, out_spec = tree.flatten_spec(out)
                check_data("vmap", outs, lambda: [f"result{p}" for p in leaf_paths(out)])
                return outs

            pairs = vmap_flat(flat, leaves, dims, size, name_of(fun), axis_name)
            wanted = tree.flatten_axes("vmap out_axes", out_spec, out_axes)
            results = [_placed(v, d, w, size) for (v, d), w in zip(pairs, wanted)]
            return tree.unflatten_spec(out_spec, results)
        except Exception as error:
            trim_traceback(error)
            raise

    return batched


def _checked_dim(x: Any, dim: int, i: int, paths: Callable[[], Sequence[str]]) -> int:
    ndim = len(shape_of(x))
    if not -ndim <= dim < ndim:
        raise AxisError(
            f"[vmap] expected an array with an axis {dim} at {paths()[i]}, got shape {shape_of(x)}. "
            "Use in_axes=None for what is not mapped."
        )
    return dim % ndim


def _axis_size(
    leaves: Sequence[Any], dims: Sequence[int | None], axis_size: int | None, paths: Callable[[], Sequence[str]]
) -> int:
    sizes = {shape_of(x)[d] for x, d in zip(leaves, dims) if d is not None}
    if axis_size is not None:
        sizes.add(axis_size)
    if len(sizes) == 1:
        return sizes.pop()
    if not sizes:
        raise ArgumentError(
            "[vmap] expected at least one mapped argument, got in_axes that are all None. Map one, or pass axis_size=n."
        )
    told = ", ".join(
        f"{shape_of(x)[d]} (axis {d} of {p}, shape {shape_of(x)})"
        for x, d, p in zip(leaves, dims, paths())
        if d is not None
    )
    asked = "" if axis_size is None else f" and axis_size={axis_size}"
    raise ShapeError(
        f"[vmap] expected mapped axes of one length, got {told}{asked}. Use in_axes=None for what is not mapped."
    )


def _placed(value: Any, dim: int | None, wanted: int | None, size: int) -> Any:
    """A result with its batch dimension where `out_axes` asks for it."""
    if wanted is None:
        if dim is not None:
            raise ArgumentError(
                "[vmap] expected a result that does not depend on the mapped axis for out_axes=None, got one that does. Use out_axes=0."
            )
        return value
    ndim = len(shape_of(value)) + (dim is None)
    if not -ndim <= wanted < ndim:
        raise AxisError(
            f"[vmap] expected out_axes between {-ndim} and {ndim - 1} for a result with {ndim} axes, got {wanted}."
        )
    return owned(move_dim(value, dim, wanted % ndim, size))


@weak_memo
def batch_jaxpr(
    jaxpr: Jaxpr, size: int, dims: tuple[int | None, ...], force: tuple[bool, ...]
) -> tuple[Jaxpr, tuple[bool, ...]]:
    """The jaxpr of the vectorised program, batch dimensions in front; and which outputs are batched (those of `force` always are)."""
    with JaxprTrace("vmap") as trace:
        inputs = []
        for v, d in zip(jaxpr.invars, dims):
            shape = v.aval.shape if d is None else (*v.aval.shape[:d], size, *v.aval.shape[d:])
            inputs.append(trace.argument(v.aval if d is None else ShapedArray(shape, v.aval.dtype)))
        pairs = vmap_flat(lambda *xs: eval_jaxpr(jaxpr, xs), inputs, dims, size)
        outs = [v if d is None and not f else move_dim(v, d, 0, size) for (v, d), f in zip(pairs, force)]
        return trace.finish(outs), tuple(d is not None or f for (_, d), f in zip(pairs, force))


def call_batch(
    call: Callable[..., list], size: int, vals: Sequence[Any], dims: Sequence[int | None], jaxpr: Jaxpr
) -> tuple[list, list]:
    """The batch rule shared by primitives that run one jaxpr."""
    batched, out_batched = batch_jaxpr(jaxpr, size, tuple(dims), (False,) * len(jaxpr.outvars))
    return call(batched, *vals), [0 if b else None for b in out_batched]
