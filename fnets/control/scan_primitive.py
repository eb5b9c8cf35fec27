"""The primitive behind `scan`: a loop with a carry, whose derivatives are scans again. May import transforms.

Operands are `consts | carry | xs`, the body maps `consts, carry, x` to `carry, y`. Reverse mode is a scan of the body's forward part, which
stacks residuals, and a scan of its backward part in the other direction. What is constant is never stacked; a residual that is an x or a y
already is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets import progress as progress_bars
from fnets.backends import compiled
from fnets.control.operands import same_type
from fnets.core.avals import ShapedArray, is_float
from fnets.core.ir import Eqn, Jaxpr, eval_jaxpr, kept_of, without_results
from fnets.core.primitive import Primitive
from fnets.core.trace import typeof
from fnets.errors import JaxprTypeError
from fnets.primitives.base import move_dim, zeros_like, zeros_of
from fnets.primitives.elementwise import add
from fnets.transforms.jvp import jvp_jaxpr, linearize_jaxpr, staged_apart
from fnets.transforms.staging import stage
from fnets.transforms.vjp import reached, vjp_jaxpr
from fnets.transforms.vmap import batch_jaxpr

scan_p = Primitive("scan", kind="loop", multi=True)


class _Split:
    """Slices of a flat list of operands: consts, carry, xs."""

    def __init__(self, num_consts: int, num_carry: int):
        self.nc, self.nk = num_consts, num_carry

    def __call__(self, flat: Sequence[Any]) -> tuple[list, list, list]:
        a, b = self.nc, self.nc + self.nk
        return list(flat[:a]), list(flat[a:b]), list(flat[b:])


def bind_scan(
    operands: Sequence[Any], jaxpr: Jaxpr, nc: int, nk: int, length: int, reverse: bool, progress: str = ""
) -> list:
    return scan_p.bind(
        *operands, jaxpr=jaxpr, num_consts=nc, num_carry=nk, length=length, reverse=reverse, progress=progress
    )


def _impl(*args: Any, jaxpr: Jaxpr, num_consts: int, num_carry: int, length: int, reverse: bool, progress: str) -> list:
    run = compiled(jaxpr)
    nk = num_carry
    consts, carry, xs = _Split(num_consts, nk)(args)
    ys = [np.empty((length, *v.aval.shape), v.aval.dtype) for v in jaxpr.outvars[nk:]]
    steps: Any = range(length - 1, -1, -1) if reverse else range(length)
    if progress:
        steps = progress_bars.progress(steps, prefix=progress)
    for i in steps:
        out = run(*consts, *carry, *[x[i] for x in xs])
        carry = out[:nk]
        for buffer, y in zip(ys, out[nk:]):
            buffer[i] = y
    # results are the caller's: never an operand itself
    held = [a for a in args if type(a) is np.ndarray]
    carry = [c.copy() if type(c) is np.ndarray and any([np.may_share_memory(c, a) for a in held]) else c for c in carry]
    return [*carry, *ys]


def _abstract(
    *avals: ShapedArray, jaxpr: Jaxpr, num_consts: int, num_carry: int, length: int, reverse: bool, progress: str
) -> list:
    if not isinstance(jaxpr, Jaxpr):
        raise JaxprTypeError(f"[scan] expected the parameter jaxpr to be a Jaxpr, got {type(jaxpr).__name__}.")
    for name, value in (("num_consts", num_consts), ("num_carry", num_carry), ("length", length)):
        if type(value) is not int or value < 0:
            raise JaxprTypeError(
                f"[scan] expected the parameter {name} to be a non-negative int, got {value!r} of type {type(value).__name__}."
            )
    if type(reverse) is not bool:
        raise JaxprTypeError(f"[scan] expected the parameter reverse to be a bool, got {reverse!r}.")
    outs = [v.aval for v in jaxpr.outvars]
    start = num_consts + num_carry
    sliced = [ShapedArray(a.shape[1:], a.dtype) if a.shape[:1] == (length,) else None for a in avals[start:]]
    inside = [*avals[:start], *sliced]
    if len(inside) != len(jaxpr.invars) or not all(map(same_type, inside, jaxpr.in_avals)):
        raise JaxprTypeError(f"[scan] expected operands for a body of {jaxpr.in_avals}, got {list(avals)}.")
    if not all(map(same_type, outs, jaxpr.in_avals[num_consts:start])):
        raise JaxprTypeError(
            f"[scan] expected a body that keeps the types of the carry, {jaxpr.in_avals[num_consts:start]}, got {outs[:num_carry]}."
        )
    return outs[:num_carry] + [ShapedArray((length, *a.shape), a.dtype) for a in outs[num_carry:]]


def _carry_fixpoint(
    flags: list[bool], nc: int, nk: int, step: Callable[[tuple[bool, ...]], Sequence[bool]]
) -> list[bool]:
    """Grow the flags of the carry until the body maps flagged inputs to flagged outputs only."""
    while True:
        out = step(tuple(flags))
        grown = [a or b for a, b in zip(flags[nc : nc + nk], out[:nk])]
        if grown == flags[nc : nc + nk]:
            return flags
        flags = flags[:nc] + grown + flags[nc + nk :]


def _float_carry(jaxpr: Jaxpr, flags: Sequence[bool]) -> list[bool]:
    return [f and is_float(v.aval.dtype) for f, v in zip(flags, jaxpr.invars)]


def _jvp(primals: Sequence, tangents: Sequence, jaxpr: Jaxpr, num_consts: int, num_carry: int, **params: Any) -> tuple:
    nc, nk, split = num_consts, num_carry, _Split(num_consts, num_carry)
    nonzero = _carry_fixpoint([t is not None for t in tangents], nc, nk, lambda f: jvp_jaxpr(jaxpr, f)[1])
    tangents = [zeros_like(p) if n and t is None else t for p, t, n in zip(primals, tangents, nonzero)]
    if staged_apart(primals, tangents):
        return _linearized(primals, tangents, nonzero, jaxpr, nc, nk, **params)
    doubled, given = jvp_jaxpr(jaxpr, tuple(nonzero))
    m = len(jaxpr.outvars)
    parts = list(zip(split(primals), split(tangents)))
    operands, avals, counts = [], [], []
    for which, (ps, ts) in enumerate(parts):
        present = [t for t in ts if t is not None]
        operands += [*ps, *present]
        counts.append((len(ps), len(present)))
        for x in (*ps, *present):
            a = typeof(x)
            # a constant keeps the weakness of a Python scalar, a carry has none
            avals.append(
                a if which == 0 else a.update(weak_type=False) if which == 1 else ShapedArray(a.shape[1:], a.dtype)
            )

    def body(*flat: Any) -> list:
        it = iter(flat)
        halves = [([next(it) for _ in range(n)], [next(it) for _ in range(t)]) for n, t in counts]
        out = eval_jaxpr(doubled, [*[p for ps, _ in halves for p in ps], *[t for _, ts in halves for t in ts]])
        it2 = iter(out[m:])
        out_tangents = [next(it2) if g else None for g in given]
        carry_tangents = [
            (zeros_of(v.aval) if t is None else t)
            for t, v, n in zip(out_tangents[:nk], jaxpr.outvars, nonzero[nc : nc + nk])
            if n
        ]
        return [*out[:nk], *carry_tangents, *out[nk:m], *[t for t in out_tangents[nk:] if t is not None]]

    new_nc, new_nk = sum(counts[0]), sum(counts[1])
    results = scan_p.bind(*operands, jaxpr=stage(body, avals), num_consts=new_nc, num_carry=new_nk, **params)
    ny, nkt = m - nk, new_nk - nk
    carry_t, y_t = iter(results[nk : nk + nkt]), iter(results[new_nk + ny :])
    outs = [*results[:nk], *results[new_nk : new_nk + ny]]
    return outs, [next(carry_t) if n else None for n in nonzero[nc : nc + nk]] + [
        next(y_t) if g else None for g in given[nk:]
    ]


def _linearized(
    primals: Sequence,
    tangents: Sequence,
    nonzero: Sequence[bool],
    jaxpr: Jaxpr,
    nc: int,
    nk: int,
    length: int,
    reverse: bool,
    progress: str,
) -> tuple:
    """The jvp in two scans: one of the values, which stacks residuals, and one that is linear in the tangents."""
    fwd, lin, given = linearize_jaxpr(jaxpr, tuple(nonzero))
    outs, residuals, kinds = _forward(primals, fwd, nc, nk, len(jaxpr.outvars) - nk, length, reverse, progress)
    const_ts, carry_ts, x_ts = [[t for t in ts if t is not None] for ts in _Split(nc, nk)(tangents)]
    hoisted = [r for r, k in zip(residuals, kinds) if k == "const"]
    per_step = [r for r, k in zip(residuals, kinds) if k != "const"]
    sizes = [len(part) for part in (hoisted, const_ts, carry_ts, per_step, x_ts)]
    carry_nonzero = nonzero[nc : nc + nk]

    def body(*flat: Any) -> list:
        it = iter(flat)
        fixed, c_ts, k_ts, steps, e_ts = [[next(it) for _ in range(n)] for n in sizes]
        of_kind = {True: iter(fixed), False: iter(steps)}
        back = iter(eval_jaxpr(lin, [*[next(of_kind[k == "const"]) for k in kinds], *c_ts, *k_ts, *e_ts]))
        ts = [next(back) if g else None for g in given]
        new = [_or_zeros(t, v.aval) for t, v, f in zip(ts[:nk], jaxpr.outvars, carry_nonzero) if f]
        return [*new, *[t for t in ts[nk:] if t is not None]]

    fixed_avals = [*map(typeof, [*hoisted, *const_ts]), *[typeof(t).update(weak_type=False) for t in carry_ts]]
    linear = stage(body, [*fixed_avals, *map(_element_aval, [*per_step, *x_ts])])
    operands = [*hoisted, *const_ts, *carry_ts, *per_step, *x_ts]
    results = bind_scan(operands, linear, sizes[0] + sizes[1], sizes[2], length, reverse)
    carry_t, y_t = iter(results[: sizes[2]]), iter(results[sizes[2] :])
    out_carry = [next(carry_t) if f else None for f in carry_nonzero]
    return outs, [*out_carry, *[next(y_t) if g else None for g in given[nk:]]]


def _element_aval(x: Any) -> ShapedArray:
    """The type of one step's slice of an x."""
    a = typeof(x)
    return ShapedArray(a.shape[1:], a.dtype)


def _vjp(
    active: Sequence[int],
    *args: Any,
    jaxpr: Jaxpr,
    num_consts: int,
    num_carry: int,
    length: int,
    reverse: bool,
    progress: str,
) -> tuple:
    nc, nk = num_consts, num_carry
    ny = len(jaxpr.outvars) - nk
    flags = _float_carry(jaxpr, [i in set(active) for i in range(len(args))])
    flags = _carry_fixpoint(flags, nc, nk, lambda f: reached(jaxpr, f))
    wrt = tuple(i for i, f in enumerate(flags) if f)
    fwd, bwd, given = vjp_jaxpr(jaxpr, wrt)
    outs, residuals, kinds = _forward(args, fwd, nc, nk, ny, length, reverse, progress)
    if not any(given):
        return outs, None

    def pull(cts: Sequence[Any]) -> list:
        return _backward(cts, residuals, kinds, jaxpr, bwd, wrt, given, active, nc, nk, length, reverse)

    return outs, pull


def _forward(
    args: Sequence[Any], fwd: Jaxpr, nc: int, nk: int, ny: int, length: int, reverse: bool, progress: str
) -> tuple[list, list, list[str]]:
    """Run the first part of the body: results, residuals, and of each residual whether it is constant or has a value for every step.

    A residual that is a constant operand, an x or a y is not stored again.
    """
    position = {v: i for i, v in enumerate(fwd.invars)}
    y_position = {v: k for k, v in enumerate(fwd.outvars[nk : nk + ny])}
    sources, stacked = [], []
    for v in fwd.outvars[nk + ny :]:
        i = position.get(v)  # type: ignore[arg-type]
        if i is not None and i < nc:
            sources.append(("const", i))
        elif i is not None and i >= nc + nk:
            sources.append(("x", i))
        elif v in y_position:
            sources.append(("y", y_position[v]))  # type: ignore[index]
        else:
            sources.append(("own", len(stacked)))
            stacked.append(v)
    forward = fwd.replace(outvars=[*fwd.outvars[: nk + ny], *stacked])
    results = bind_scan(args, forward, nc, nk, length, reverse, progress)
    outs, own = results[: nk + ny], results[nk + ny :]
    residuals = [{"const": args, "x": args, "y": outs[nk:], "own": own}[kind][i] for kind, i in sources]
    return outs, residuals, [kind for kind, _ in sources]


def _backward(
    cts: Sequence[Any],
    residuals: Sequence[Any],
    kinds: Sequence[str],
    jaxpr: Jaxpr,
    bwd: Jaxpr,
    wrt: Sequence[int],
    given: Sequence[bool],
    active: Sequence[int],
    nc: int,
    nk: int,
    length: int,
    reverse: bool,
) -> list:
    """The scan of the backward body. Its consts are the constant residuals; its carry the consts' gradients and the carry's cotangent."""
    out_avals = [v.aval for v in jaxpr.outvars]
    carry_float = [is_float(a.dtype) for a in out_avals[:nk]]
    ct_carry = [zeros_of(a) if c is None else c for c, a, f in zip(cts[:nk], out_avals[:nk], carry_float) if f]
    stacked_avals = [ShapedArray((length, *a.shape), a.dtype) for a in out_avals[nk:]]
    ct_ys = [
        zeros_of(s) if c is None else c for c, s, a in zip(cts[nk:], stacked_avals, out_avals[nk:]) if is_float(a.dtype)
    ]
    const_wrt = [i for i in wrt if i < nc]
    x_wrt = [i for i in wrt if i >= nc + nk]
    sums = [zeros_of(jaxpr.invars[i].aval.update(weak_type=False)) for i in const_wrt]
    hoisted = [r for r, k in zip(residuals, kinds) if k == "const"]
    per_step = [r for r, k in zip(residuals, kinds) if k != "const"]
    n_hoisted, n_sums, n_carry, n_steps = len(hoisted), len(sums), len(ct_carry), len(per_step)

    def body(*flat: Any) -> list:
        it = iter(flat)
        fixed = iter([next(it) for _ in range(n_hoisted)])
        totals = [next(it) for _ in range(n_sums)]
        carry = [next(it) for _ in range(n_carry)]
        steps = iter([next(it) for _ in range(n_steps)])
        y_cts = list(it)
        back = iter(eval_jaxpr(bwd, [*[next(fixed) if k == "const" else next(steps) for k in kinds], *carry, *y_cts]))
        by_input = {i: next(back) if g else None for i, g in zip(wrt, given)}
        new_totals = [t if by_input[i] is None else add(t, by_input[i]) for i, t in zip(const_wrt, totals)]
        new_carry = [_or_zeros(by_input.get(nc + k), out_avals[k]) for k in range(nk) if carry_float[k]]
        return [*new_totals, *new_carry, *[_or_zeros(by_input[i], jaxpr.invars[i].aval) for i in x_wrt]]

    carry_avals = [typeof(x).update(weak_type=False) for x in [*sums, *ct_carry]]
    avals = [*map(typeof, hoisted), *carry_avals, *map(_element_aval, [*per_step, *ct_ys])]
    back_jaxpr = stage(body, avals)
    results = bind_scan(
        [*hoisted, *sums, *ct_carry, *per_step, *ct_ys], back_jaxpr, n_hoisted, n_sums + n_carry, length, not reverse
    )
    found = dict(zip(const_wrt, results[:n_sums]))
    carry_positions = [nc + k for k in range(nk) if carry_float[k]]
    found |= dict(zip(carry_positions, results[n_sums : n_sums + n_carry]))
    found |= dict(zip(x_wrt, results[n_sums + n_carry :]))
    return [found.get(i) for i in active]


def _or_zeros(x: Any, aval: ShapedArray) -> Any:
    return zeros_of(aval.update(weak_type=False)) if x is None else x


def _batch(
    size: int, vals: Sequence, dims: Sequence, jaxpr: Jaxpr, num_consts: int, num_carry: int, **params: Any
) -> tuple:
    nc, nk = num_consts, num_carry
    ny = len(jaxpr.outvars) - nk

    def batched(flags: tuple[bool, ...]) -> tuple[Jaxpr, tuple[bool, ...]]:
        force = (*flags[nc : nc + nk], *(False,) * ny)
        return batch_jaxpr(jaxpr, size, tuple(0 if f else None for f in flags), force)

    flags = _carry_fixpoint([d is not None for d in dims], nc, nk, lambda f: batched(f)[1])
    new_jaxpr, out_batched = batched(tuple(flags))
    operands = []
    for i, (v, d) in enumerate(zip(vals, dims)):
        if flags[i]:
            operands.append(move_dim(v, d, 1 if i >= nc + nk else 0, size))
        else:
            operands.append(v)
    results = scan_p.bind(*operands, jaxpr=new_jaxpr, num_consts=nc, num_carry=nk, **params)
    return results, [(0 if k < nk else 1) if b else None for k, b in enumerate(out_batched)]


def _drop_dead(e: Eqn, used: Sequence[bool]) -> Eqn:
    """Without the ys that nobody reads, and the parts of the carry that neither a result nor another part needs."""
    jaxpr, nc, nk = e.params["jaxpr"], e.params["num_consts"], e.params["num_carry"]
    carried, ys = list(used[:nk]), list(used[nk:])
    while True:
        body, read = without_results(jaxpr, (*carried, *ys))
        grown = [a or b for a, b in zip(carried, read[nc : nc + nk])]
        if grown == carried:
            break
        carried = grown
    reads = [*read[:nc], *carried, *read[nc + nk :]]
    params = {
        "jaxpr": body.replace(invars=kept_of(body.invars, reads)),
        "num_consts": sum(read[:nc]),
        "num_carry": sum(carried),
    }
    return e.replace(
        invars=kept_of(e.invars, reads), outvars=kept_of(e.outvars, [*carried, *ys]), params=e.params | params
    )


scan_p.impl, scan_p.abstract, scan_p.jvp, scan_p.vjp, scan_p.batch = _impl, _abstract, _jvp, _vjp, _batch
scan_p.rules["dce"] = _drop_dead
