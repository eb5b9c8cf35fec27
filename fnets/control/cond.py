"""`cond` and `switch`: one of several functions. May import transforms, control.operands.

A predicate that is known runs its branch as plain Python. A traced one stages every branch; a batched one runs all and selects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets import tree
from fnets.backends import compiled
from fnets.control.operands import (
    Staged,
    check_same_tree,
    check_same_types,
    check_scalar,
    choose,
    concrete,
    flatten_arguments,
    made_strong,
    same_type,
    stage_user,
)
from fnets.core.avals import ShapedArray, is_float, strong_dtype
from fnets.core.ir import Eqn, Jaxpr, Literal, Var, eval_jaxpr, kept_of, without_results
from fnets.core.primitive import Primitive
from fnets.core.trace import Tracer, dtype_of, is_weak, typeof
from fnets.errors import ArgumentError, JaxprTypeError
from fnets.primitives.base import convert, move_dim, zeros_of
from fnets.primitives.elementwise import clamp, eq, ne
from fnets.primitives.shape import stop_gradient
from fnets.transforms.edge import public
from fnets.transforms.jvp import jvp_jaxpr, linearize_jaxpr, staged_apart
from fnets.transforms.staging import check_callable, name_of, stage
from fnets.transforms.vjp import vjp_jaxpr
from fnets.transforms.vmap import batch_jaxpr

cond_p = Primitive("cond", kind="branch", multi=True)  # operands: index, then what every branch takes


def _bind(index: Any, operands: Sequence[Any], branches: Sequence[Jaxpr]) -> list:
    return cond_p.bind(index, *operands, branches=tuple(branches))


def _impl(index: Any, *operands: Any, branches: tuple[Jaxpr, ...]) -> list:
    outs = compiled(branches[int(index)])(*operands)
    held = [a for a in operands if type(a) is np.ndarray]
    return [o.copy() if type(o) is np.ndarray and any([np.may_share_memory(o, a) for a in held]) else o for o in outs]


def _abstract(index: ShapedArray, *avals: ShapedArray, branches: tuple[Jaxpr, ...]) -> list:
    if not isinstance(branches, tuple) or not branches or not all([isinstance(b, Jaxpr) for b in branches]):
        raise JaxprTypeError(f"[cond] expected the parameter branches to be a tuple of Jaxprs, got {branches!r}.")
    outs = branches[0].out_avals
    for k, b in enumerate(branches):
        for what, have, want in (("operands", list(avals), b.in_avals), ("results", b.out_avals, outs)):
            if len(have) != len(want) or not all(map(same_type, have, want)):
                raise JaxprTypeError(f"[cond] expected {what} of types {want} for branch {k}, got {have}.")
    return outs


cond_p.impl, cond_p.abstract = _impl, _abstract


def _same_outputs(
    jaxprs: Sequence[tuple[Jaxpr, Sequence[bool]]], start: int, avals: Sequence[ShapedArray]
) -> tuple[list[Jaxpr], list[bool]]:
    """Branches that differ in which of their outputs from `start` on are there: fill the missing ones with zeros."""
    union = [any(given[k] for _, given in jaxprs) for k in range(len(avals))]
    out = []
    for jaxpr, given in jaxprs:

        def body(*xs: Any, jaxpr: Jaxpr = jaxpr, given: Sequence[bool] = given) -> list:
            results = eval_jaxpr(jaxpr, xs)
            it = iter(results[start:])
            filled = [next(it) if g else zeros_of(a) if u else None for g, a, u in zip(given, avals, union)]
            return [*results[:start], *[f for f in filled if f is not None]]

        out.append(stage(body, jaxpr.in_avals))
    return out, union


def _jvp(primals: Sequence, tangents: Sequence, branches: tuple[Jaxpr, ...]) -> tuple:
    index, *operands = primals
    nonzero = tuple(t is not None for t in tangents[1:])
    present = [t for t in tangents[1:] if t is not None]
    n = len(branches[0].outvars)
    out_avals = [v.aval.update(weak_type=False) for v in branches[0].outvars]
    if staged_apart(primals, tangents):
        split = [linearize_jaxpr(b, nonzero) for b in branches]
        outs, residuals = _first_parts(index, operands, [fwd for fwd, _, _ in split], n)
        given, second = _second_parts(split, n, [typeof(t) for t in present], out_avals)
        it = iter(_bind(index, [*residuals, *present], second))
        return outs, [next(it) if g else None for g in given]
    doubled, given = _same_outputs([jvp_jaxpr(b, nonzero) for b in branches], n, out_avals)
    results = _bind(index, [*operands, *present], doubled)
    it = iter(results[n:])
    return results[:n], [next(it) if g else None for g in given]


def _vjp(active: Sequence[int], index: Any, *operands: Any, branches: tuple[Jaxpr, ...]) -> tuple:
    wrt = tuple(i - 1 for i in active)
    split = [vjp_jaxpr(b, wrt) for b in branches]
    n = len(branches[0].outvars)
    outs, residuals = _first_parts(index, operands, [fwd for fwd, _, _ in split], n)
    if not any([any(given) for _, _, given in split]):
        return outs, None
    out_avals = [v.aval for v in branches[0].outvars]
    in_avals = branches[0].in_avals

    def pull(cts: Sequence[Any]) -> list:
        dense = [zeros_of(a) if c is None else c for c, a in zip(cts, out_avals) if is_float(a.dtype)]
        ct_avals = [a for a in out_avals if is_float(a.dtype)]
        given, second = _second_parts(split, n, ct_avals, [in_avals[i].update(weak_type=False) for i in wrt])
        it = iter(_bind(index, [*residuals, *dense], second))
        return [next(it) if g else None for g in given]

    return outs, pull


def _residual_avals(fwd: Jaxpr, n: int) -> list[ShapedArray]:
    return [v.aval.update(weak_type=False) for v in fwd.outvars[n:]]


def _first_parts(index: Any, operands: Sequence[Any], parts: Sequence[Jaxpr], n: int) -> tuple[list, list]:
    """Results, and the residuals of all branches: every branch returns zeros in place of the others'."""
    avals = [_residual_avals(fwd, n) for fwd in parts]
    forward = []
    for b, fwd in enumerate(parts):

        def run(*xs: Any, b: int = b, fwd: Jaxpr = fwd) -> list:
            results = eval_jaxpr(fwd, xs)
            residuals = [list(map(zeros_of, a)) if k != b else results[n:] for k, a in enumerate(avals)]
            return [*results[:n], *[r for rs in residuals for r in rs]]

        forward.append(stage(run, fwd.in_avals))
    results = _bind(index, operands, forward)
    return results[:n], results[n:]


def _second_parts(
    split: Sequence[tuple[Jaxpr, Jaxpr, tuple[bool, ...]]],
    n: int,
    linear_avals: Sequence[ShapedArray],
    out_avals: Sequence[ShapedArray],
) -> tuple[list[bool], list[Jaxpr]]:
    """The linear parts as branches of the residuals of all and the linear operands; and which results any of them has."""
    given = [any(own[k] for _, _, own in split) for k in range(len(out_avals))]
    avals = [_residual_avals(fwd, n) for fwd, _, _ in split]
    flat_avals = [a for branch in avals for a in branch]
    backward, start = [], 0
    for (_, second, own), branch_avals in zip(split, avals):

        def run(
            *xs: Any, start: int = start, count: int = len(branch_avals), second: Jaxpr = second, own: Sequence = own
        ) -> list:
            it = iter(eval_jaxpr(second, [*xs[start : start + count], *xs[len(flat_avals) :]]))
            back = [next(it) if g else None for g in own]
            return [zeros_of(a) if x is None else x for x, a, g in zip(back, out_avals, given) if g]

        backward.append(stage(run, [*flat_avals, *linear_avals]))
        start += len(branch_avals)
    return given, backward


def _batch(size: int, vals: Sequence, dims: Sequence, branches: tuple[Jaxpr, ...]) -> tuple:
    index, *operands = vals
    operand_dims = tuple(dims[1:])
    n = len(branches[0].outvars)
    if dims[0] is None:
        flags = [batch_jaxpr(b, size, operand_dims, (False,) * n)[1] for b in branches]
        force = tuple(any(f[k] for f in flags) for k in range(n))
        batched = [batch_jaxpr(b, size, operand_dims, force)[0] for b in branches]
        return _bind(index, operands, batched), [0 if f else None for f in force]
    batched = [batch_jaxpr(b, size, operand_dims, (True,) * n)[0] for b in branches]
    index = move_dim(index, dims[0], 0, size)
    outs: list = []
    for k in range(len(batched) - 1, -1, -1):
        chosen = eq(index, k)
        results = eval_jaxpr(batched[k], _only_where(chosen, operands, operand_dims, size))
        outs = [choose(chosen, 0, a, o) for a, o in zip(results, outs)] if outs else results
    return outs, [0] * n


def _only_where(chosen: Any, operands: Sequence[Any], dims: Sequence[int | None], size: int) -> list:
    """Operands of a branch that derivatives reach in its own lanes alone: else 0 * inf of a lane not taken would be NaN there."""
    return [
        x
        if d is None or not is_float(dtype_of(x)) or not isinstance(x, Tracer)
        else choose(chosen, d, x, stop_gradient(x))
        for x, d in zip(operands, dims)
    ]


def _drop_dead(e: Eqn, used: Sequence[bool]) -> Eqn:
    """Without the results that nobody reads, and operands that no branch needs any more."""
    smaller = [without_results(b, tuple(used)) for b in e.params["branches"]]
    read = [any(column) for column in zip(*[r for _, r in smaller])]
    branches = tuple([b.replace(invars=kept_of(b.invars, read)) for b, _ in smaller])
    index, *operands = e.invars
    return e.replace(
        invars=[index, *kept_of(operands, read)], outvars=kept_of(e.outvars, used), params={"branches": branches}
    )


cond_p.jvp, cond_p.vjp, cond_p.batch = _jvp, _vjp, _batch
cond_p.rules["dce"] = _drop_dead


def _with_all_consts(staged: Sequence[Staged]) -> tuple[list[Jaxpr], list]:
    """Give every branch the closure values of all branches as leading operands, each once."""
    consts = list({id(c): c for s in staged for c in s.consts}.values())
    out = []
    for s in staged:
        own = {id(c): v for c, v in zip(s.consts, s.jaxpr.invars)}
        leading = [own.get(id(c)) or Var(typeof(c)) for c in consts]
        out.append(s.jaxpr.replace(invars=[*leading, *s.jaxpr.invars[len(s.consts) :]]))
    return out, consts


def _run(op: str, index: Any, branches: Sequence[Callable], operands: Sequence[Any]) -> Any:
    leaves, spec = flatten_arguments(op, tuple(operands))
    avals = [typeof(x) for x in leaves]
    staged = [stage_user(op, f, spec, avals, None, captures=True) for f in branches]
    out_spec = staged[0].out_spec
    what, fix = "results of all branches", "All branches must return the same structure."
    for f, s in zip(branches[1:], staged[1:]):
        check_same_tree(op, what, out_spec, s.out_spec, (name_of(branches[0]), name_of(f)), fix)
    jaxprs, consts = _with_all_consts(staged)
    operands = [*consts, *leaves]
    handed_on = [_handed_on(jaxprs, operands, k) for k in range(tree.num_leaves(out_spec))]  # needs no choice
    left = [k for k, same in enumerate(handed_on) if not same]
    jaxprs = _without_weak_results([j.replace(outvars=[j.outvars[k] for k in left]) for j in jaxprs])
    types: list[list] = [[typeof(same[0]) if same else None for same in handed_on] for _ in jaxprs]
    for known, j in zip(types, jaxprs):
        for k, a in zip(left, j.out_avals):
            known[k] = a
    for f, known in zip(branches[1:], types[1:]):
        names = (name_of(branches[0]), name_of(f))
        check_same_types(op, what, out_spec, types[0], known, names, "Convert with .astype(...) in the branches.")
    results = iter(_bind(index, operands, jaxprs))
    outs = [same[0] if same else next(results) for same in handed_on]
    return tree.unflatten_spec(out_spec, outs)


def _handed_on(jaxprs: Sequence[Jaxpr], operands: Sequence[Any], k: int) -> list:
    """What every branch returns as its result k, if that is one operand or one number: a list of that, else of nothing."""
    first = jaxprs[0].outvars[k]
    if type(first) is Literal:
        same = [
            type(j.outvars[k]) is Literal and (j.outvars[k].aval, j.outvars[k].val) == (first.aval, first.val)
            for j in jaxprs
        ]
        return [first.val] if all(same) else []
    found = {next((i for i, v in enumerate(j.invars) if v is j.outvars[k]), None) for j in jaxprs}
    i = found.pop()
    return [] if found or i is None else [operands[i]]


def _without_weak_results(jaxprs: Sequence[Jaxpr]) -> list[Jaxpr]:
    """Results that are Python numbers become arrays, of the type that the other branches give where they can."""
    wanted = [_joined(column) for column in zip(*[j.out_avals for j in jaxprs])]

    def strong(jaxpr: Jaxpr) -> Jaxpr:
        def body(*xs: Any) -> list:
            return [made_strong(o, w) if is_weak(o) else o for o, w in zip(eval_jaxpr(jaxpr, xs), wanted)]

        return stage(body, jaxpr.in_avals)

    return [strong(j) if any([a.weak_type for a in j.out_avals]) else j for j in jaxprs]


def _joined(avals: Sequence[ShapedArray]) -> ShapedArray:
    """The type that the weak ones among the results of the branches take."""
    strong = [a for a in avals if not a.weak_type]
    if strong:
        return strong[0].update(shape=())
    widest = max(avals, key=lambda a: "biufc".index(a.dtype.kind))
    return ShapedArray((), strong_dtype(widest))


@public
def cond(
    pred: Any, true_fun: Callable, false_fun: Callable, *operands: Any, operand: Any = None, linear: Any = None
) -> Any:
    """`true_fun(*operands)` if `pred` else `false_fun(*operands)`.

    Args:
      pred: a boolean or number scalar. If its value is known, only one branch runs, as ordinary Python.
      true_fun, false_fun: functions of the operands with results of equal structure, shapes and dtypes.

    >>> cond(True, lambda x: x + 1, lambda x: x - 1, 10.0)
    11.0
    """
    if operand is not None and not operands:
        operands = (operand,)
    check_callable("cond", true_fun)
    check_callable("cond", false_fun)
    check_scalar("cond", "the predicate", pred, "Use fnp.where for an elementwise choice, or pred.all().")
    if dtype_of(pred).kind not in "biuf":
        raise ArgumentError(f"[cond] expected a boolean or a number as predicate, got dtype {dtype_of(pred).name}.")
    known = concrete(pred)
    if known is not None:
        return (true_fun if known else false_fun)(*operands)
    index = convert(ne(pred, 0) if dtype_of(pred).kind != "b" else pred, np.int32)
    return _run("cond", index, (false_fun, true_fun), operands)


@public
def switch(index: Any, branches: Sequence[Callable], *operands: Any) -> Any:
    """`branches[index](*operands)`, the index clamped to the branches there are.

    >>> switch(5, [lambda x: x, lambda x: -x], 3.0)
    -3.0
    """
    if len(branches) == 0:
        raise ArgumentError("[switch] expected at least one branch, got none. Pass a list of functions.")
    for f in branches:
        check_callable("switch", f)
    check_scalar("switch", "the index", index, "Use index.astype('int32').")
    if dtype_of(index).kind not in "iu":
        raise ArgumentError(
            f"[switch] expected an integer as index, got {dtype_of(index).name}. Use index.astype('int32')."
        )
    known = concrete(index)
    if known is not None:
        return branches[min(max(int(known), 0), len(branches) - 1)](*operands)
    if len(branches) == 1:
        return branches[0](*operands)
    return _run("switch", clamp(0, convert(index, np.int32), len(branches) - 1), list(branches), operands)
