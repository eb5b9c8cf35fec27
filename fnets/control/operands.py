"""What the control-flow functions share: staging a user's function of pytrees into a jaxpr whose closure is explicit. May import transforms.

Also the messages for carries and branches whose types differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets import tree
from fnets.core.avals import ShapedArray
from fnets.core.ir import Jaxpr
from fnets.core.trace import Tracer, is_weak, shape_of, typeof
from fnets.errors import ArgumentError, ShapeError
from fnets.primitives.base import arr, convert, reshape
from fnets.primitives.elementwise import select
from fnets.transforms.jvp import JVPTracer
from fnets.transforms.staging import JaxprTracer, check_data, is_data, leaf_paths, name_of, stage_closed
from fnets.transforms.vjp import VJPTracer
from fnets.transforms.vmap import BatchTracer


class Staged:
    """A staged function: its jaxpr (closure values first, then arguments), those values, and the structure of its result."""

    __slots__ = ("jaxpr", "consts", "out_spec")

    def __init__(self, jaxpr: Jaxpr, consts: tuple, out_spec: Any):
        self.jaxpr = jaxpr
        self.consts = consts
        self.out_spec = out_spec

    @property
    def out_avals(self) -> list[ShapedArray]:
        return [v.aval for v in self.jaxpr.outvars]


def flatten_arguments(op: str, args: Any) -> tuple[list, Any]:
    """Leaves and spec of arguments, checked to be data."""
    leaves, spec = tree.flatten_spec(args)
    check_data(op, leaves, lambda: [f"argument{p}" for p in leaf_paths(args)])
    return leaves, spec


def stage_user(
    op: str,
    fun: Callable,
    spec: Any,
    avals: Sequence[ShapedArray],
    wanted: Sequence[ShapedArray] | None = (),
    captures: bool = False,
    carry: int = 0,
) -> Staged:
    """Stage `fun(*args)` where `spec` is the structure of the tuple of arguments.

    Results computed from Python scalars alone become arrays: of the types `wanted`, as far as those go, else of the default types. With
    `wanted` None they stay weak. `captures`: as `stage`. The first `carry` arguments are a loop's carry: one that is handed on stays what it is.
    """
    out_spec = None

    def flat(*xs: Any) -> list:
        nonlocal out_spec
        out = fun(*tree.unflatten_spec(spec, xs))
        outs, out_spec = tree.flatten_spec(out)
        check_data(op, outs, lambda: [f"result{p}" for p in leaf_paths(out)])
        if wanted is None:
            return outs
        return [
            made_strong(o, wanted[k] if k < len(wanted) else None)
            if is_weak(o) and not (k < carry and o is xs[k])
            else o
            for k, o in enumerate(outs)
        ]

    jaxpr, consts = stage_closed(flat, avals, name_of(fun), captures)
    return Staged(jaxpr, consts, out_spec)


def made_strong(x: Any, wanted: ShapedArray | None) -> Any:
    """A weak value as an array: of the type `wanted`, if that fits it, else of its default type."""
    if wanted is None or wanted.weak_type or not weak_fits(typeof(x), wanted):
        return arr(x)
    return convert(x, wanted.dtype)


def weak_carry(leaves: Sequence[Any], out_avals: Sequence[ShapedArray]) -> list:
    """An initial carry whose Python numbers take the types that the body gives them; what the body hands on stays a Python number."""

    def settled(x: Any, a: ShapedArray) -> Any:
        if not is_weak(x) or a.weak_type:
            return x
        return convert(x, a.dtype) if np.can_cast(typeof(x).dtype, a.dtype, "same_kind") else arr(x)

    return [settled(x, a) for x, a in zip(leaves, out_avals)]


def weak_fits(weak: ShapedArray, wanted: ShapedArray) -> bool:
    """True if a Python number can stand where an array of type `wanted` belongs: of the same or a smaller kind, and no truth value."""
    if weak.dtype.kind == "b" or wanted.dtype.kind == "b":
        return weak.dtype == wanted.dtype
    return np.can_cast(weak.dtype, wanted.dtype, "same_kind")


def check_same_tree(op: str, what: str, spec_a: Any, spec_b: Any, names: tuple[str, str], fix: str) -> None:
    """Raise unless two structures are equal; the message names the first differing path."""
    if spec_a == spec_b:
        return
    zeros_a, zeros_b = (tree.unflatten_spec(s, [0] * tree.num_leaves(s)) for s in (spec_a, spec_b))
    details = next(iter(tree.equality_errors(zeros_a, zeros_b)), None)
    path = (
        f" They differ at {tree.keystr(details[0]) or 'the root'}: {details[1]} against {details[2]}."
        if details
        else ""
    )
    raise ArgumentError(
        f"[{op}] expected {what} of one structure, got {tree.PyTreeDef(spec_a)} from {names[0]} and "
        f"{tree.PyTreeDef(spec_b)} from {names[1]}.{path} {fix}"
    )


def check_same_types(
    op: str, what: str, spec: Any, a: Sequence[ShapedArray], b: Sequence[ShapedArray], names: tuple[str, str], fix: str
) -> None:
    """Raise unless corresponding types agree in shape and dtype; the message names every path that differs."""
    wrong = [i for i, (x, y) in enumerate(zip(a, b)) if x.shape != y.shape or x.dtype != y.dtype]
    if wrong:
        paths = leaf_paths(tree.unflatten_spec(spec, [0] * len(a)))
        told = "; ".join(
            f"{paths[i] or 'the value'} is {a[i].str_short()} in {names[0]} and {b[i].str_short()} in {names[1]}"
            for i in wrong[:4]
        )
        raise ArgumentError(f"[{op}] expected {what} of equal types, got ones that differ: {told}. {fix}")


def same_type(a: ShapedArray | None, b: ShapedArray | None) -> bool:
    """True if two types agree in shape and dtype."""
    return a is not None and b is not None and a.shape == b.shape and a.dtype == b.dtype


def check_scalar(op: str, what: str, x: Any, fix: str) -> None:
    """Raise unless `x` is a scalar number or array."""
    if not is_data(x):
        raise ArgumentError(
            f"[{op}] expected {what} to be a boolean or a number, got {type(x).__name__}: {str(x)[:60]}. {fix}"
        )
    if shape_of(x) != ():
        raise ShapeError(f"[{op}] expected {what} to be a scalar, got shape {shape_of(x)}. {fix}")


def any_traced(xs: Sequence[Any]) -> bool:
    """True if a value is not concrete: a transformation above must see it."""
    return any([isinstance(x, Tracer) for x in xs])


def concrete(x: Any) -> Any:
    """The value of an array or of a tracer that knows it, else None."""
    return x.concrete() if isinstance(x, Tracer) else x


def is_staged(x: Any) -> bool:
    """True for a value that is being staged, whatever other transformations are around it."""
    while isinstance(x, VJPTracer | JVPTracer | BatchTracer):
        x = x.value
    return isinstance(x, JaxprTracer)


def avals_of(xs: Sequence[Any]) -> list[ShapedArray]:
    """The types of values."""
    return [typeof(x) for x in xs]


def choose(chosen: Any, dim: int, a: Any, b: Any) -> Any:
    """`a` in the lanes that are chosen, `b` in the others; `dim` is the batch dimension of both."""
    shape = [1] * len(shape_of(a))
    shape[dim] = shape_of(a)[dim]
    return select(reshape(chosen, tuple(shape)), a, b)


def owned_copy(x: Any) -> Any:
    """A copy of an array, so that it is the receiver's own; traced values and numbers as they are."""
    return x.copy() if type(x) is np.ndarray else x
