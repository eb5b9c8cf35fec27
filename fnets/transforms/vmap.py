"""Vectorisation: `vmap`. May import core, tree, errors, primitives.base, axes, staging.

A `BatchTracer` is an array with one axis more than its aval; operations run once on the whole array, by the primitives' batch rules.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets import tree
from fnets.core.avals import ShapedArray
from fnets.core.ir import Jaxpr, eval_jaxpr, weak_memo
from fnets.core.primitive import Primitive
from fnets.core.trace import Trace, Tracer, innermost, refuse_younger, shape_of, typeof
from fnets.errors import ArgumentError, AxisError, ShapeError
from fnets.primitives.base import as_axis, move_dim, owned
from fnets.transforms.axes import named_axes
from fnets.transforms.edge import trim_traceback
from fnets.transforms.staging import JaxprTrace, check_callable, check_data, leaf_paths, name_of
from fnets.transforms.vmappable import is_spec, is_vmappable
from fnets.transforms.vmappable import registry as vmappable


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
        inputs = [a if d is None else BatchTracer(trace, a, d) for a, d in zip(args, dims)]
        if axis_name is None:
            outs = f(*inputs)
        else:
            token = BatchTracer(trace, np.arange(size, dtype=np.int32), 0)
            with named_axes({axis_name: (token, size)}):
                outs = f(*inputs)
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
    if not (in_axes is None or isinstance(in_axes, (int, np.integer, tuple)) or is_spec(in_axes)):
        raise ArgumentError(
            f"[vmap] expected in_axes to be an int, None, or a tuple with an entry for each positional argument, got {in_axes!r}. "
            "Write in_axes=({...},) for one argument that is a dict."
        )
    entries = tree.leaves((in_axes, out_axes), is_leaf=is_spec if vmappable else None)
    if not all(isinstance(a, (int, np.integer)) and not isinstance(a, bool) or is_spec(a) for a in entries):
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
            is_leaf = is_vmappable if vmappable else None
            leaves, spec = tree.flatten_spec((args, kwargs), is_leaf)

            def paths() -> list[str]:
                return [f"argument{p}" for p in leaf_paths((args, kwargs))]

            positional_spec, keyword_spec = spec[2]
            dims = tree.flatten_axes("vmap in_axes", positional_spec, in_axes) + [0] * tree.num_leaves(keyword_spec)
            own: dict[int, Any] = {}  # the entries of in_axes of registered types
            if is_leaf is not None:
                own = {i: dims[i] for i, x in enumerate(leaves) if is_leaf(x)}
                dims = [None if i in own else d for i, d in enumerate(dims)]
            mapped = [i for i, d in enumerate(dims) if d is not None]  # the others may be anything
            check_data("vmap", [leaves[i] for i in mapped], lambda: [paths()[i] for i in mapped])
            dims = [d if d is None else _checked_dim(x, d, i, paths) for i, (x, d) in enumerate(zip(leaves, dims))]
            size = _axis_size(leaves, dims, axis_size, paths)
            out_spec: Any = None
            wanted: list = []
            made: set[int] = set()  # the results of registered types, put together already

            def flat(*xs: Any) -> list:
                nonlocal out_spec, wanted
                if own:
                    xs = tuple([_element(size, x, own[i]) if i in own else x for i, x in enumerate(xs)])
                positional, keywords = tree.unflatten_spec(spec, xs)
                out = fun(*positional, **keywords)
                outs, out_spec = tree.flatten_spec(out, is_leaf)
                wanted = tree.flatten_axes("vmap out_axes", out_spec, out_axes)
                if is_leaf is not None:
                    made.update([i for i, o in enumerate(outs) if is_leaf(o)])
                    check_data("vmap", [o for o in outs if not is_leaf(o)], lambda: ["a result"] * len(outs))
                    return [_collected(size, o, wanted[i]) if i in made else o for i, o in enumerate(outs)]
                check_data("vmap", outs, lambda: [f"result{p}" for p in leaf_paths(out)])
                return outs

            pairs = vmap_flat(flat, leaves, dims, size, name_of(fun), axis_name)
            results = [v if i in made else _placed(v, d, wanted[i], size) for i, (v, d) in enumerate(pairs)]
            return tree.unflatten_spec(out_spec, results)
        except Exception as error:
            trim_traceback(error)
            raise

    return batched


def _is_batching(trace: Trace) -> bool:
    return isinstance(trace, BatchTrace)


def _element(size: int, x: Any, spec: Any) -> Any:
    """What the mapped function sees of an argument of a registered type, or of an array in one."""
    trace: BatchTrace = innermost(_is_batching)  # type: ignore[assignment]
    if is_vmappable(x):
        index = functools.partial(BatchTracer, trace, np.arange(size, dtype=np.int32), 0)
        return vmappable[type(x)].to_elt(functools.partial(_element, size), index, x, spec)
    return x if spec is None else BatchTracer(trace, x, as_axis(spec, len(shape_of(x)), "vmap"))


def _collected(size: int, x: Any, spec: Any) -> Any:
    """A result of a registered type, or an array in one, put together."""
    if is_vmappable(x):
        return vmappable[type(x)].from_elt(_collected, size, x, spec)
    trace = innermost(_is_batching)
    mine = type(x) is BatchTracer and x.owner is trace
    return _placed(x.value if mine else x, x.dim if mine else None, spec, size)


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
