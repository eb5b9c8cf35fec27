"""`while_loop` and `fori_loop`. May import transforms, control.operands, control.scan.

A condition that is known runs as plain Python, so that reverse mode records the trips on its tape. A traced loop is one primitive; its
reverse mode keeps snapshots of the carry at a stride that doubles when they run out, and recomputes one stretch at a time on the way back, so
that it needs a fixed amount of memory whatever the number of trips.
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
    is_staged,
    owned_copy,
    same_type,
    stage_user,
    weak_carry,
    weak_fits,
)
from fnets.control.scan import check_unroll, scan
from fnets.core.avals import ShapedArray, is_float
from fnets.core.ir import Eqn, Jaxpr, eval_jaxpr, kept_of, without_results
from fnets.core.primitive import Primitive
from fnets.core.trace import dtype_of, is_weak, shape_of, typeof
from fnets.errors import ArgumentError, JaxprTypeError
from fnets.primitives.base import arr, broadcast_to, convert, move_dim, reduce_sum, reshape, zeros_like, zeros_of
from fnets.primitives.elementwise import add, floor_divide, gt, logical_and, lt, mul, ne, select, sub
from fnets.primitives.indexing import dynamic_index_in_dim, dynamic_update_index_in_dim
from fnets.primitives.shape import concatenate, slice_in_dim, stop_gradient
from fnets.transforms.edge import public
from fnets.transforms.jvp import jvp_jaxpr, staged_apart
from fnets.transforms.staging import check_callable, stage
from fnets.transforms.vjp import reached, vjp_jaxpr
from fnets.transforms.vmap import batch_jaxpr

while_p = Primitive(
    "while", kind="loop", multi=True
)  # operands: constants of the condition, constants of the body, carry
_SNAPSHOTS = 128


def _bind(cond_consts: Sequence, body_consts: Sequence, carry: Sequence, cond_jaxpr: Jaxpr, body_jaxpr: Jaxpr) -> list:
    return while_p.bind(
        *cond_consts,
        *body_consts,
        *carry,
        cond_jaxpr=cond_jaxpr,
        body_jaxpr=body_jaxpr,
        cond_nconsts=len(cond_consts),
        body_nconsts=len(body_consts),
    )


def _strong(xs: Sequence[Any]) -> list[ShapedArray]:
    """The types of a carry: it is never weak, while constants keep the weakness of a Python scalar."""
    return [typeof(x).update(weak_type=False) for x in xs]


def _types(consts: Sequence[Any], carry: Sequence[Any]) -> list[ShapedArray]:
    return [*map(typeof, consts), *_strong(carry)]


def _split(flat: Sequence[Any], cond_nconsts: int, body_nconsts: int) -> tuple[list, list, list]:
    b = cond_nconsts + body_nconsts
    return list(flat[:cond_nconsts]), list(flat[cond_nconsts:b]), list(flat[b:])


def _impl(*args: Any, cond_jaxpr: Jaxpr, body_jaxpr: Jaxpr, cond_nconsts: int, body_nconsts: int) -> list:
    go, step = compiled(cond_jaxpr), compiled(body_jaxpr)
    cc, bc, carry = _split(args, cond_nconsts, body_nconsts)
    while go(*cc, *carry)[0]:
        carry = step(*bc, *carry)
    held = [a for a in args if type(a) is np.ndarray]
    return [c.copy() if type(c) is np.ndarray and any([np.may_share_memory(c, a) for a in held]) else c for c in carry]


def _abstract(*avals: ShapedArray, cond_jaxpr: Jaxpr, body_jaxpr: Jaxpr, cond_nconsts: int, body_nconsts: int) -> list:
    cc, bc, carry = _split(avals, cond_nconsts, body_nconsts)
    for what, have, want in (
        ("the condition", [*cc, *carry], cond_jaxpr.in_avals),
        ("the body", [*bc, *carry], body_jaxpr.in_avals),
        ("the next trip", body_jaxpr.out_avals, carry),
    ):
        if len(have) != len(want) or not all(map(same_type, have, want)):
            raise JaxprTypeError(f"[while] expected operands of types {want} for {what}, got {have}.")
    if [(a.shape, a.dtype.kind) for a in cond_jaxpr.out_avals] != [((), "b")]:
        raise JaxprTypeError(f"[while] expected a condition that gives one boolean, got {cond_jaxpr.out_avals}.")
    return body_jaxpr.out_avals


def _jvp(
    primals: Sequence, tangents: Sequence, cond_jaxpr: Jaxpr, body_jaxpr: Jaxpr, cond_nconsts: int, body_nconsts: int
) -> tuple:
    cc, bc, carry = _split(primals, cond_nconsts, body_nconsts)
    _, bt, ct = _split(tangents, cond_nconsts, body_nconsts)
    nb, nk = body_nconsts, len(carry)
    flags = [t is not None for t in ct]
    while True:
        doubled, given = jvp_jaxpr(body_jaxpr, (*[t is not None for t in bt], *flags))
        grown = [a or b for a, b in zip(flags, given)]
        if grown == flags:
            break
        flags = grown
    present = [t for t in bt if t is not None]
    start = [zeros_like(c) if t is None else t for c, t, f in zip(carry, ct, flags) if f]

    def body(*flat: Any) -> list:
        consts, const_ts = flat[:nb], flat[nb : nb + len(present)]
        values, value_ts = flat[nb + len(present) : nb + len(present) + nk], flat[nb + len(present) + nk :]
        out = eval_jaxpr(doubled, [*consts, *values, *const_ts, *value_ts])
        it = iter(out[nk:])
        new = [next(it) if g else None for g in given]
        return [
            *out[:nk],
            *[zeros_of(v.aval) if t is None else t for t, v, f in zip(new, body_jaxpr.outvars, flags) if f],
        ]

    def condition(*flat: Any) -> list:
        return eval_jaxpr(cond_jaxpr, flat[: cond_nconsts + nk])

    avals = _types([*bc, *present], [*carry, *start])
    cond_avals = _types(cc, [*carry, *start])
    results = _bind(cc, [*bc, *present], [*carry, *start], stage(condition, cond_avals), stage(body, avals))
    it = iter(results[nk:])
    out_tangents = [next(it) if f else None for f in flags]
    if staged_apart(primals, tangents):  # the loop of the values runs once for them, and again in the linear part
        return _bind(cc, bc, carry, cond_jaxpr, body_jaxpr), out_tangents
    return results[:nk], out_tangents


def _batch(
    size: int,
    vals: Sequence,
    dims: Sequence,
    cond_jaxpr: Jaxpr,
    body_jaxpr: Jaxpr,
    cond_nconsts: int,
    body_nconsts: int,
) -> tuple:
    cc, bc, carry = _split(vals, cond_nconsts, body_nconsts)
    cd, bd, kd = _split(dims, cond_nconsts, body_nconsts)
    nk = len(carry)
    flags = [d is not None for d in kd]

    def at_front(ds: Sequence) -> tuple:
        return tuple(None if d is None else 0 for d in ds)

    while True:
        carry_dims = tuple(0 if f else None for f in flags)
        batched_cond, (pred_batched,) = batch_jaxpr(cond_jaxpr, size, (*at_front(cd), *carry_dims), (False,))
        force = (True,) * nk if pred_batched else tuple(flags)
        batched_body, out_batched = batch_jaxpr(body_jaxpr, size, (*at_front(bd), *carry_dims), force)
        grown = [a or b for a, b in zip(flags, out_batched)]
        if grown == flags:
            break
        flags = grown
    cc = [move_dim(v, d, 0, size) if d is not None else v for v, d in zip(cc, cd)]
    bc = [move_dim(v, d, 0, size) if d is not None else v for v, d in zip(bc, bd)]
    carry = [move_dim(v, d, 0, size) if f else v for v, d, f in zip(carry, kd, flags)]
    if not pred_batched:
        return _bind(cc, bc, carry, batched_cond, batched_body), [0 if f else None for f in flags]
    # lanes stop at different trips: run while any goes on, and keep the carry of the lanes that have stopped
    ncc, nbc = len(cc), len(bc)

    def any_left(*flat: Any) -> list:
        (going,) = eval_jaxpr(batched_cond, flat)
        return [gt(reduce_sum(going, (0,)), 0)]

    def step(*flat: Any) -> list:
        values = flat[ncc + nbc :]
        (going,) = eval_jaxpr(batched_cond, [*flat[:ncc], *values])
        # derivatives reach the lanes that go on alone: else 0 * inf of a lane that has stopped would be NaN
        inside = [choose(going, 0, v, stop_gradient(v)) for v in values]
        new = eval_jaxpr(batched_body, [*flat[ncc : ncc + nbc], *inside])
        return [choose(going, 0, n, v) for n, v in zip(new, values)]

    cond_avals = _types(cc, carry)
    body_avals = _types([*cc, *bc], carry)
    return _bind(cc, [*cc, *bc], carry, stage(any_left, cond_avals), stage(step, body_avals)), [0] * nk


# ------------------------------------------------------------------ reverse mode


def _vjp(
    active: Sequence[int], *args: Any, cond_jaxpr: Jaxpr, body_jaxpr: Jaxpr, cond_nconsts: int, body_nconsts: int
) -> tuple:
    cc, bc, carry = _split(args, cond_nconsts, body_nconsts)
    first_const = cond_nconsts
    flags = [i in set(active) for i in range(first_const, len(args))]
    while True:
        out = reached(body_jaxpr, flags)
        grown = flags[: len(bc)] + [a or b for a, b in zip(flags[len(bc) :], out)]
        if grown == flags:
            break
        flags = grown
    trips, final, snapshots, stride = _run_with_snapshots(cc, bc, carry, cond_jaxpr, body_jaxpr)
    wrt = tuple(i for i, f in enumerate(flags) if f)
    if not wrt:
        return final, None

    def pull(cts: Sequence[Any]) -> list:
        found = _run_backwards(cts, trips, snapshots, stride, bc, carry, body_jaxpr, wrt)
        return [found.get(i - first_const) if i >= first_const else None for i in active]

    return final, pull


def _run_with_snapshots(
    cc: list, bc: list, carry: list, cond_jaxpr: Jaxpr, body_jaxpr: Jaxpr
) -> tuple[Any, list, list, Any]:
    """The loop, counting its trips and keeping the carry at every multiple of a stride that doubles when the snapshots run out."""
    nk = len(carry)
    ncc, nbc = len(cc), len(bc)
    empty = [broadcast_to(reshape(arr(c), (1, *shape_of(c))), (_SNAPSHOTS, *shape_of(c))) for c in carry]

    def condition(*flat: Any) -> list:
        return eval_jaxpr(cond_jaxpr, flat[: ncc + nk])

    def step(*flat: Any) -> list:
        consts, rest = flat[:nbc], flat[nbc:]
        values, buffers, count, stride = rest[:nk], rest[nk : 2 * nk], rest[2 * nk], rest[2 * nk + 1]
        full = logical_and(ne(count, 0), lt(mul(stride, _SNAPSHOTS - 1), count))
        buffers = [select(full, _every_other(b), b) for b in buffers]
        stride = select(full, mul(stride, 2), stride)
        slot = floor_divide(count, stride)
        on_stride = lt(sub(count, mul(slot, stride)), 1)
        buffers = [select(on_stride, dynamic_update_index_in_dim(b, v, slot, 0), b) for b, v in zip(buffers, values)]
        return [*eval_jaxpr(body_jaxpr, [*consts, *values]), *buffers, add(count, 1), stride]

    start = [*carry, *empty, np.int64(0), np.int64(1)]
    cond_avals = _types(cc, start)
    body_avals = _types(bc, start)
    results = _bind(cc, bc, start, stage(condition, cond_avals), stage(step, body_avals))
    return results[2 * nk], results[:nk], results[nk : 2 * nk], results[2 * nk + 1]


def _every_other(buffer: Any) -> Any:
    """Snapshots 0, 2, 4, ... moved to the front; what follows is free."""
    half = slice_in_dim(buffer, None, None, 2)
    return concatenate([half, half], 0)


def _run_backwards(
    cts: Sequence[Any],
    trips: Any,
    snapshots: list,
    stride: Any,
    bc: list,
    carry: list,
    body_jaxpr: Jaxpr,
    wrt: tuple[int, ...],
) -> dict[int, Any]:
    """Cotangents by position among body constants and carry: from the last trip to the first, each trip's carry recomputed from a snapshot."""
    fwd, bwd, given = vjp_jaxpr(body_jaxpr, wrt)
    nk, nbc = len(carry), len(bc)
    out_avals = [v.aval for v in body_jaxpr.outvars]
    floats = [is_float(a.dtype) for a in out_avals]
    ct_carry = [zeros_of(a.update(weak_type=False)) if c is None else c for c, a, f in zip(cts, out_avals, floats) if f]
    const_wrt = [i for i in wrt if i < nbc]
    sums = [zeros_of(body_jaxpr.invars[i].aval.update(weak_type=False)) for i in const_wrt]

    def recompute(start: Any, distance: Any) -> list:
        """The carry `distance` trips after snapshot number `start`."""
        at = [dynamic_index_in_dim(s, start, 0, keepdims=False) for s in snapshots]

        def go(*flat: Any) -> list:
            return [lt(flat[-2], flat[-1])]

        def advance(*flat: Any) -> list:
            return [*eval_jaxpr(body_jaxpr, flat[: nbc + nk]), add(flat[-2], 1), flat[-1]]

        state = [*at, np.int64(0), distance]
        cond_avals = _types([], state)
        body_avals = _types(bc, state)
        return _bind([], bc, state, stage(go, cond_avals), stage(advance, body_avals))[:nk]

    def one_trip(state: Any) -> Any:
        index, totals, ct = state
        slot = floor_divide(index, stride)
        values = recompute(slot, sub(index, mul(slot, stride)))
        residuals = eval_jaxpr(fwd, [*bc, *values])[nk:]
        back = iter(eval_jaxpr(bwd, [*residuals, *ct]))
        by_input = {i: next(back) if g else None for i, g in zip(wrt, given)}
        totals = [t if by_input[i] is None else add(t, by_input[i]) for i, t in zip(const_wrt, totals)]
        new_ct = []
        for k in range(nk):
            if floats[k]:
                d = by_input.get(nbc + k)
                new_ct.append(zeros_of(out_avals[k].update(weak_type=False)) if d is None else d)
        return sub(index, 1), totals, new_ct

    _, totals, ct = while_loop(lambda s: gt(s[0], -1), one_trip, (sub(trips, 1), sums, ct_carry))
    found = dict(zip(const_wrt, totals))
    found |= dict(zip([nbc + k for k in range(nk) if floats[k]], ct))
    return found


def _drop_dead(e: Eqn, used: Sequence[bool]) -> Eqn:
    """Without the parts of the carry that neither a result, nor the condition, nor another part needs."""
    cond_jaxpr, body_jaxpr = e.params["cond_jaxpr"], e.params["body_jaxpr"]
    ncc, nbc = e.params["cond_nconsts"], e.params["body_nconsts"]
    cond_jaxpr, asked = without_results(cond_jaxpr, (True,))
    carried = [u or a for u, a in zip(used, asked[ncc:])]
    while True:
        body, read = without_results(body_jaxpr, tuple(carried))
        grown = [a or b for a, b in zip(carried, read[nbc:])]
        if grown == carried:
            break
        carried = grown
    cc, bc, carry = _split(e.invars, ncc, nbc)
    params = {
        "cond_jaxpr": cond_jaxpr.replace(invars=kept_of(cond_jaxpr.invars, [*asked[:ncc], *carried])),
        "body_jaxpr": body.replace(invars=kept_of(body.invars, [*read[:nbc], *carried])),
        "cond_nconsts": sum(asked[:ncc]),
        "body_nconsts": sum(read[:nbc]),
    }
    invars = [*kept_of(cc, asked[:ncc]), *kept_of(bc, read[:nbc]), *kept_of(carry, carried)]
    return e.replace(invars=invars, outvars=kept_of(e.outvars, carried), params=params)


while_p.impl, while_p.abstract, while_p.jvp, while_p.vjp, while_p.batch = _impl, _abstract, _jvp, _vjp, _batch
while_p.rules["dce"] = _drop_dead


# ------------------------------------------------------------------ the user's functions


@public
def while_loop(cond_fun: Callable, body_fun: Callable, init_val: Any) -> Any:
    """Repeat `val = body_fun(val)` while `cond_fun(val)`, from `init_val`.

    Args:
      cond_fun: function of the carry with a boolean scalar result.
      body_fun: function of the carry; it keeps the structure, shapes and dtypes of the carry.
      init_val: any tree of arrays.

    Differentiable in both modes, eagerly and under jit.

    >>> while_loop(lambda x: x < 100.0, lambda x: x * 2.0, 1.0)
    128.0
    """
    check_callable("while_loop", cond_fun)
    check_callable("while_loop", body_fun)
    leaves, spec = flatten_arguments("while_loop", init_val)
    going = _predicate(cond_fun(init_val))
    if concrete(going) is not None and not any(map(is_staged, leaves)):
        return _run_python(cond_fun, body_fun, leaves, spec, going)
    one = (tuple, None, (spec,))
    avals = [typeof(x) for x in leaves]
    body = stage_user("while_loop", body_fun, one, avals, avals, carry=len(avals))
    if any(map(is_weak, leaves)):
        check_same_tree(
            "while_loop", "a carry", spec, body.out_spec, _NAMES, "body_fun must keep the carry's structure."
        )
        leaves = weak_carry(leaves, body.out_avals)
        avals = [typeof(x) for x in leaves]
        body = stage_user("while_loop", body_fun, one, avals, avals, carry=len(avals))
    condition = stage_user("while_loop", cond_fun, one, avals)
    _check_carry(spec, avals, body.out_spec, body.out_avals)
    return tree.unflatten_spec(spec, _run(condition, body, leaves))


def _run(condition: Staged, body: Staged, init: list) -> list:
    """Bind the primitive. A part of the carry that the body hands on as it is becomes a constant of both functions."""
    nb, nc = len(body.consts), len(condition.consts)
    fixed = [v is u for v, u in zip(body.jaxpr.outvars, body.jaxpr.invars[nb:])]
    if not any(fixed):
        return _bind(condition.consts, body.consts, init, condition.jaxpr, body.jaxpr)

    def constants_first(jaxpr: Jaxpr, n: int) -> tuple:
        carry = jaxpr.invars[n:]
        first = [v for v, f in zip(carry, fixed) if f]
        return (*jaxpr.invars[:n], *first, *[v for v, f in zip(carry, fixed) if not f])

    constants = [x for x, f in zip(init, fixed) if f]
    moving = [x for x, f in zip(init, fixed) if not f]
    results = iter(
        _bind(
            [*condition.consts, *constants],
            [*body.consts, *constants],
            moving,
            condition.jaxpr.replace(invars=constants_first(condition.jaxpr, nc)),
            body.jaxpr.replace(
                invars=constants_first(body.jaxpr, nb),
                outvars=[v for v, f in zip(body.jaxpr.outvars, fixed) if not f],
            ),
        )
    )
    return [owned_copy(x) if f else next(results) for x, f in zip(init, fixed)]


_NAMES = ("init_val", "body_fun")


def _predicate(going: Any) -> Any:
    check_scalar("while_loop", "the result of cond_fun", going, "Reduce it with .all() or .any().")
    if dtype_of(going).kind != "b":
        raise ArgumentError(
            f"[while_loop] expected cond_fun to return a boolean, got {dtype_of(going).name}. Compare: `x > 0`."
        )
    return going


def _check_carry(spec: Any, avals: Sequence[ShapedArray], out_spec: Any, out_avals: Sequence[ShapedArray]) -> None:
    check_same_tree("while_loop", "a carry", spec, out_spec, _NAMES, "body_fun must keep the carry's structure.")
    check_same_types(
        "while_loop",
        "a carry",
        spec,
        avals,
        out_avals,
        _NAMES,
        "Convert in body_fun, for example with .astype(carry.dtype).",
    )


def _run_python(cond_fun: Callable, body_fun: Callable, leaves: list, spec: Any, going: Any) -> Any:
    """All is known: an ordinary loop, which a tape records trip by trip. If the first trip shows that it is not, the rest is staged."""
    value = tree.unflatten_spec(
        spec, [owned_copy(x) for x in leaves]
    )  # `x += 1` in body_fun must not reach the user's arrays
    first = True
    while going:
        value = body_fun(value)
        if first:
            _check_first_trip(spec, leaves, value)
            first = False
        going = _predicate(cond_fun(value))
        if concrete(going) is None or any(map(is_staged, tree.leaves(value))):
            return while_loop(cond_fun, body_fun, value)
    return value


def _check_first_trip(spec: Any, leaves: list, value: Any) -> None:
    """Compare the carry after one trip with the initial one; Python numbers take the other's type if their kind allows it."""
    outs, out_spec = flatten_arguments("while_loop", value)
    before, after = [typeof(x) for x in leaves], [typeof(o) for o in outs]
    for k, (a, b) in enumerate(zip(before, after)):
        if (a.weak_type and weak_fits(a, b)) or (b.weak_type and weak_fits(b, a)):
            after[k] = a
    _check_carry(spec, before, out_spec, after)


@public
def fori_loop(lower: Any, upper: Any, body_fun: Callable, init_val: Any, *, unroll: int | bool | None = None) -> Any:
    """`for i in range(lower, upper): val = body_fun(i, val)`, the bounds being known or traced.

    Args:
      lower, upper: integer scalars; floats count in steps of one.
      body_fun: function of `(i, val)` that keeps the structure, shapes and dtypes of `val`.
      init_val: any tree of arrays.
      unroll: accepted for JAX's sake where the bounds are known.

    >>> fori_loop(0, 4, lambda i, x: x + i, 0.0)
    np.float64(6.0)
    """
    check_callable("fori_loop", body_fun)
    if unroll is not None:
        check_unroll("fori_loop", unroll)
    for name, bound in (("lower", lower), ("upper", upper)):
        if shape_of(bound) != () or dtype_of(bound).kind not in "iuf":
            raise ArgumentError(
                f"[fori_loop] expected an integer scalar for {name}, got {typeof(bound).str_short()}. Use int(...) or .astype('int64')."
            )
    dtype = np.result_type(*[dtype_of(b) for b in (lower, upper) if not is_weak(b)] or [np.int64])
    if any([is_weak(b) and dtype_of(b).kind == "f" for b in (lower, upper)]):
        dtype = np.result_type(dtype, np.float64)
    lo, hi = concrete(lower), concrete(upper)
    if lo is not None and hi is not None and dtype.kind in "iu":
        lo, hi = int(lo), int(hi)
        if hi <= lo:
            return init_val
        step = lambda s, _: ((convert(add(s[0], 1), dtype), body_fun(*s)), None)  # noqa: E731
        (_, out), _ = scan(step, (dtype.type(lo), init_val), length=hi - lo)
        return out
    if unroll is not None and unroll is not False:
        raise ArgumentError(
            "[fori_loop] expected bounds that are known now for unroll, got traced ones. Leave unroll out: the loop runs as a while_loop."
        )
    lower, upper = convert(arr(lower), dtype), convert(arr(upper), dtype)
    out = while_loop(
        lambda s: lt(s[0], s[1]),
        lambda s: (convert(add(s[0], 1), dtype), s[1], body_fun(s[0], s[2])),
        (lower, upper, init_val),
    )
    return out[2]
