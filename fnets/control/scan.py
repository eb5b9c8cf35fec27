"""`scan`: a loop with a carry. May import transforms, control.operands, control.scan_primitive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets import config, tree
from fnets.control.operands import (
    Staged,
    check_same_tree,
    check_same_types,
    flatten_arguments,
    owned_copy,
    stage_user,
    weak_carry,
)
from fnets.control.scan_primitive import bind_scan, scan_p
from fnets.core.avals import ShapedArray
from fnets.core.trace import Tracer, is_weak, shape_of, typeof
from fnets.errors import ArgumentError, ConcretizationTypeError, ShapeError
from fnets.primitives.shape import stack
from fnets.transforms.edge import public
from fnets.transforms.staging import check_callable

__all__ = ["scan", "scan_p"]


@public
def scan(
    f: Callable,
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
    _split_transpose: bool = False,
    *,
    progress: bool | str = False,
) -> tuple[Any, Any]:
    """Loop over the leading axis of `xs` with a carry.

    Args:
      f: function `(carry, x) -> (carry, y)` of pytrees; the carry keeps its structure, shapes and dtypes.
      init: the first carry.
      xs: arrays with a common leading axis, in any tree; None loops `length` times with x = None.
      length: number of steps; needed only without xs.
      reverse: go from the last element to the first; ys stay in the order of xs.
      unroll: accepted for JAX's sake; the loop is compiled once either way.
      progress: show a progress bar (a string is its label).

    Returns:
      The last carry, and the ys stacked along a new leading axis.

    >>> scan(lambda c, x: (c + x, c * x), 0.0, np.array([1.0, 2.0, 3.0]))
    (np.float64(6.0), array([0., 2., 9.]))
    """
    check_callable("scan", f)
    check_unroll("scan", unroll)
    init_leaves, init_spec = flatten_arguments("scan", init)
    x_leaves, x_spec = flatten_arguments("scan", xs)
    n = _length(x_leaves, xs, length)
    if config.read("disable_jit"):
        return _run_python(f, init, x_leaves, x_spec, n, reverse)
    init_leaves, staged = stage_body("scan", f, init_leaves, init_spec, x_leaves, x_spec)
    y_spec = staged.out_spec[2][1]
    bar = (progress if isinstance(progress, str) else "scan") if progress else ""
    carry, ys = _run(staged, init_leaves, x_leaves, n, bool(reverse), bar)
    return tree.unflatten_spec(init_spec, carry), tree.unflatten_spec(y_spec, ys)


def _run(
    staged: Staged, init: Sequence[Any], xs: Sequence[Any], length: int, reverse: bool, bar: str
) -> tuple[list, list]:
    """Bind the primitive. A part of the carry that the body hands on as it is becomes a constant: the loop need not carry it."""
    jaxpr, nc, nk = staged.jaxpr, len(staged.consts), len(init)
    fixed = [jaxpr.outvars[k] is jaxpr.invars[nc + k] for k in range(nk)]
    carry_vars = jaxpr.invars[nc : nc + nk]
    invars = [
        *jaxpr.invars[:nc],
        *[v for v, f in zip(carry_vars, fixed) if f],
        *[v for v, f in zip(carry_vars, fixed) if not f],
        *jaxpr.invars[nc + nk :],
    ]
    outvars = [*[v for v, f in zip(jaxpr.outvars, fixed) if not f], *jaxpr.outvars[nk:]]
    constants = [x for x, f in zip(init, fixed) if f]
    moving = [x for x, f in zip(init, fixed) if not f]
    operands = [*staged.consts, *constants, *moving, *xs]
    body = jaxpr.replace(invars=invars, outvars=outvars) if constants else jaxpr
    results = bind_scan(operands, body, nc + len(constants), len(moving), length, reverse, bar)
    it = iter(results)
    carry = [owned_copy(x) if f else next(it) for x, f in zip(init, fixed)]
    return carry, list(it)


def _run_python(f: Callable, init: Any, xs: Sequence[Any], x_spec: Any, length: int, reverse: bool) -> tuple[Any, Any]:
    """The loop as ordinary Python, for `disable_jit`."""
    if length == 0:
        raise ArgumentError(
            "[scan] expected at least one step while jit is disabled, got length 0: the types of the ys are not known."
        )
    carry, rows, y_spec = init, [], None
    for i in range(length - 1, -1, -1) if reverse else range(length):
        carry, y = f(carry, tree.unflatten_spec(x_spec, [x[i] for x in xs]))
        leaves, y_spec = tree.flatten_spec(y)
        rows.append(leaves)
    ys = [stack(column[::-1] if reverse else column, 0) for column in map(list, zip(*rows))]
    return carry, tree.unflatten_spec(y_spec, ys)


def check_unroll(op: str, unroll: Any) -> None:
    """Raise unless `unroll` is a bool or a non-negative int."""
    if isinstance(unroll, Tracer):
        raise ConcretizationTypeError(
            f"[{op}] expected unroll to be an int or a bool that is known now, got a traced value. Make it static with static_argnames."
        )
    if not isinstance(unroll, (bool, int, np.integer)) or (not isinstance(unroll, bool) and unroll < 0):
        raise ArgumentError(f"[{op}] expected unroll to be a bool or a non-negative int, got {unroll!r}.")


def _length(leaves: Sequence[Any], xs: Any, length: Any) -> int:
    sizes = []
    for x in leaves:
        if not shape_of(x):
            raise ShapeError(
                "[scan] expected xs with a leading axis to loop over, got a scalar. Use fnp.atleast_1d, or pass it by closure."
            )
        sizes.append(shape_of(x)[0])
    if isinstance(length, Tracer):
        raise ConcretizationTypeError(
            "[scan] expected length to be an int that is known now, got a traced value. Make it static with static_argnames, or loop with "
            "fori_loop or while_loop."
        )
    if length is not None:
        try:
            length = length.__index__()
        except AttributeError:
            raise ArgumentError(f"[scan] expected length to be an int, got {type(length).__name__}.") from None
        if length < 0:
            raise ArgumentError(f"[scan] expected length to be at least 0, got {length}.")
        if any(s != length for s in sizes):
            raise ShapeError(
                f"[scan] expected xs with leading axes of length={length}, got {sizes}. Leave length out: xs determine it."
            )
        return length
    if not sizes:
        raise ArgumentError("[scan] expected xs or length, got neither. Pass length=n to loop n times.")
    if len(set(sizes)) > 1:
        raise ShapeError(f"[scan] expected xs with leading axes of one length, got {sizes}.")
    return sizes[0]


def stage_body(
    op: str, f: Callable, init_leaves: list, init_spec: Any, x_leaves: Sequence[Any], x_spec: Any
) -> tuple[list, Staged]:
    """Stage a loop body; a carry that starts as a Python scalar takes the type that the body gives it."""
    element_avals = [ShapedArray(typeof(x).shape[1:], typeof(x).dtype) for x in x_leaves]

    def staged_for(leaves: list) -> Staged:
        avals = [*map(typeof, leaves), *element_avals]
        n = len(leaves)
        staged = stage_user(op, f, (tuple, None, (init_spec, x_spec)), avals, avals[:n], carry=n)
        if not (type(staged.out_spec) is tuple and staged.out_spec[0] is tuple and len(staged.out_spec[2]) == 2):
            raise ArgumentError(
                f"[{op}] expected the body to return a pair (carry, y), got {tree.PyTreeDef(staged.out_spec)}. Return `carry, None` if there is no y."
            )
        fix = "The carry must keep its structure from step to step."
        check_same_tree(op, "a carry", init_spec, staged.out_spec[2][0], ("the initial carry", "the body"), fix)
        return staged

    staged = staged_for(init_leaves)
    if any(map(is_weak, init_leaves)):
        settled = weak_carry(init_leaves, staged.out_avals)
        if any([is_weak(x) != is_weak(y) for x, y in zip(settled, init_leaves)]):
            staged = staged_for(settled)
        init_leaves = settled
    nk = len(init_leaves)
    fix = (
        "Convert in the body, for example with .astype(carry.dtype), or start from an initial carry of the body's type."
    )
    check_same_types(
        op,
        "a carry",
        init_spec,
        [typeof(x) for x in init_leaves],
        staged.out_avals[:nk],
        ("the initial carry", "the body"),
        fix,
    )
    return init_leaves, staged
