"""Solutions of equations, differentiated by the implicit function theorem: `custom_root`, `custom_linear_solve`. May import transforms, control.

Where values are traced every function involved is staged, with what it closes over as operands, so that the rules hold nothing but jaxprs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets import tree
from fnets.backends import compiled
from fnets.control.custom.base import Rule
from fnets.control.custom.jvp import custom_jvp_p
from fnets.control.operands import (
    Staged,
    any_traced,
    check_same_tree,
    check_same_types,
    flatten_arguments,
    made_strong,
    stage_user,
)
from fnets.core.avals import ShapedArray, is_float
from fnets.core.ir import Jaxpr, eval_jaxpr
from fnets.core.primitive import Primitive
from fnets.core.trace import is_weak, typeof
from fnets.errors import ArgumentError, DTypeError
from fnets.primitives.base import move_dim, zeros_like, zeros_of
from fnets.primitives.elementwise import neg, sub
from fnets.transforms.derivatives import linear_transpose, linearize
from fnets.transforms.jvp import jvp_flat
from fnets.transforms.staging import check_callable, name_of
from fnets.transforms.vjp import vjp_flat
from fnets.transforms.vmap import batch_jaxpr


def _cut(xs: Sequence[Any], sizes: Sequence[int]) -> list[list]:
    """A flat list in parts of given sizes."""
    it = iter(xs)
    return [[next(it) for _ in range(n)] for n in sizes]


def _check_map(op: str, what: str, spec: Any, avals: Sequence[ShapedArray], staged: Staged) -> None:
    """Raise unless a staged function maps a structure of types to itself."""
    names = ("its argument", "its result")
    fix = "It must return what looks like its argument."
    check_same_tree(op, what, spec, staged.out_spec, names, fix)
    check_same_types(op, what, spec, avals, staged.out_avals, names, fix)


def _split_aux(op: str, staged: Staged, spec: Any, has_aux: bool) -> Any:
    """The structure of a solver's auxiliary results, None without any; checks that of the solution."""
    if not has_aux:
        check_same_tree(
            op, "a solution", spec, staged.out_spec, ("the equation", "solve"), "solve must return a solution."
        )
        return None
    if not (type(staged.out_spec) is tuple and staged.out_spec[0] is tuple and len(staged.out_spec[2]) == 2):
        raise ArgumentError(
            f"[{op}] expected solve to return a pair (solution, aux) with has_aux=True, got {tree.PyTreeDef(staged.out_spec)}."
        )
    check_same_tree(
        op, "a solution", spec, staged.out_spec[2][0], ("the equation", "solve"), "solve must return (solution, aux)."
    )
    return staged.out_spec[2][1]


def _result(spec: Any, aux_spec: Any, n: int, outs: Sequence[Any]) -> Any:
    solution = tree.unflatten_spec(spec, outs[:n])
    return solution if aux_spec is None else (solution, tree.unflatten_spec(aux_spec, outs[n:]))


# ------------------------------------------------------------------ roots


def custom_root(
    f: Callable, initial_guess: Any, solve: Callable, tangent_solve: Callable, has_aux: bool = False
) -> Any:
    """A root of a function, with derivatives by the implicit function theorem: how `solve` finds it does not matter to them.

    Args:
      f: function of a tree that returns one of the same structure and types; the solution x makes it zero. Derivatives are those with respect
        to the values that it closes over.
      initial_guess: where to start, a tree; it carries no derivative.
      solve: `solve(f, initial_guess)` returns the root.
      tangent_solve: `tangent_solve(g, y)` solves `g(x) = y` for a linear function g, that of f at the root.
      has_aux: `solve` returns `(root, aux)`.

    Returns:
      The root, or `(root, aux)`.

    >>> import fnets
    >>> def root_of_cube(a):
    ...     halve = lambda f, x: fnets.lax.while_loop(lambda x: abs(f(x)) > 1e-12, lambda x: x - f(x) / (3 * x * x), x)
    ...     return custom_root(lambda x: x**3 - a, 1.0, halve, lambda g, y: y / g(1.0))
    >>> round(root_of_cube(8.0), 6), round(float(fnets.grad(root_of_cube)(8.0)), 6)
    (2.0, 0.083333)
    """
    for fun in (f, solve, tangent_solve):
        check_callable("custom_root", fun)
    leaves, spec = flatten_arguments("custom_root", initial_guess)
    one, two = (tuple, None, (spec,)), (tuple, None, (spec, spec))
    if any(map(is_weak, leaves)):  # a Python number takes the type that the function gives it
        wanted = stage_user("custom_root", f, one, [typeof(x) for x in leaves]).out_avals
        if not any_traced(leaves) and len(wanted) == len(leaves):
            leaves = [made_strong(x, a) if is_weak(x) else x for x, a in zip(leaves, wanted)]
    avals = [typeof(x) for x in leaves]
    equation = stage_user("custom_root", f, one, avals, avals)
    _check_map("custom_root", "a value of f", spec, avals, equation)
    if not any_traced([*equation.consts, *leaves]):
        return solve(f, initial_guess)
    solver = stage_user("custom_root", lambda x: solve(f, x), one, avals, avals)
    aux_spec = _split_aux("custom_root", solver, spec, has_aux)
    tangents = stage_user(
        "custom_root", lambda x, y: tangent_solve(linearize(f, x)[1], y), two, [*avals, *avals], avals
    )
    check_same_tree(
        "custom_root", "a solution", spec, tangents.out_spec, ("f", "tangent_solve"), "tangent_solve must return x."
    )
    sizes = [len(s.consts) for s in (equation, solver, tangents)] + [len(leaves)]
    n = len(leaves)

    def run(*operands: Any) -> list:
        _, constants, _, guess = _cut(operands, sizes)
        return eval_jaxpr(solver.jaxpr, [*constants, *guess])

    def rule(primals: Sequence[Any], tangent_operands: Sequence[Any]) -> tuple[list, list]:
        outs = bind(primals)
        constants, _, linear_constants, _ = _cut(primals, sizes)
        dots = tangent_operands[: sizes[0]]
        _, f_dots, _ = jvp_flat(lambda *cs: eval_jaxpr(equation.jaxpr, [*cs, *outs[:n]]), constants, dots)
        if all([d is None for d in f_dots]):
            return outs, [None] * len(outs)
        dense = [zeros_of(a) if d is None else d for d, a in zip(f_dots, avals)]
        moved = eval_jaxpr(tangents.jaxpr, [*linear_constants, *outs[:n], *dense])
        return outs, [*map(neg, moved), *[None] * (len(outs) - n)]

    def bind(operands: Sequence[Any]) -> list:
        name = name_of(solve)
        return custom_jvp_p.bind(*operands, jaxpr=Rule(run, name), jvp_rule=Rule(rule, name), num_consts=0)

    outs = bind([*equation.consts, *solver.consts, *tangents.consts, *leaves])
    return _result(spec, aux_spec, n, outs)


# ------------------------------------------------------------------ linear systems

# operands: what matvec, vecmat, solve and transpose_solve close over, of which `sizes` are the numbers; then b
linear_solve_p = Primitive("custom_linear_solve", multi=True)


def _bind(operands: Sequence[Any], jaxprs: Sequence[Jaxpr | None], sizes: tuple[int, ...]) -> list:
    return linear_solve_p.bind(*operands, jaxprs=tuple(jaxprs), sizes=sizes)


def _impl(*operands: Any, jaxprs: tuple, sizes: tuple[int, ...]) -> list:
    constants, b = operands[sum(sizes[:2]) : sum(sizes[:3])], operands[sum(sizes) :]
    return compiled(jaxprs[2])(*constants, *b)


def _jvp(primals: Sequence, tangents: Sequence, jaxprs: tuple, sizes: tuple[int, ...]) -> tuple:
    """A x = b gives A x' = b' - A' x."""
    outs = _bind(primals, jaxprs, sizes)
    n = len(primals) - sum(sizes)
    x, none = outs[:n], [None] * (len(outs) - n)
    constants, dots = primals[: sizes[0]], tangents[: sizes[0]]
    _, moved, _ = jvp_flat(lambda *cs: eval_jaxpr(jaxprs[0], [*cs, *x]), constants, dots)
    rhs = [d if m is None else neg(m) if d is None else sub(d, m) for d, m in zip(tangents[sum(sizes) :], moved)]
    if all([r is None for r in rhs]):
        return outs, [None] * len(outs)
    dense = [zeros_like(v) if r is None else r for r, v in zip(rhs, x)]
    return outs, [*_bind([*primals[: sum(sizes)], *dense], jaxprs, sizes)[:n], *none]


def _vjp(active: Sequence[int], *operands: Any, jaxprs: tuple, sizes: tuple[int, ...]) -> tuple:
    """The transposed system gives the cotangent of b; matvec's own, at x, those of what A is made of."""
    outs = _bind(operands, jaxprs, sizes)
    start = sum(sizes)
    n = len(operands) - start
    reached = [i for i in active if i < sizes[0] or i >= start]
    if not reached:
        return outs, None
    if jaxprs[3] is None:
        raise DTypeError(
            "[custom_linear_solve] expected transpose_solve for reverse mode, got none: transpose_solve required. "
            "Pass transpose_solve=, or symmetric=True if the operator is its own transpose."
        )
    m, v, s, t = _cut(operands[:start], sizes)
    x = outs[:n]

    def pull(cts: Sequence[Any]) -> list:
        dense = [zeros_like(o) if c is None else c for c, o in zip(cts[:n], x)]
        swapped = (jaxprs[1], jaxprs[0], jaxprs[3], jaxprs[2])
        moved = _bind([*v, *m, *t, *s, *dense], swapped, (sizes[1], sizes[0], sizes[3], sizes[2]))[:n]
        wrt = [i for i in reached if i < sizes[0] and is_float(typeof(m[i]).dtype)]
        _, tape = vjp_flat(lambda *cs: eval_jaxpr(jaxprs[0], [*cs, *x]), m, wrt)
        found = dict(zip(wrt, tape.pull([neg(c) for c in moved]))) if wrt else {}
        found |= {start + k: c for k, c in enumerate(moved)}
        return [found.get(i) for i in active]

    return outs, pull


def _batch(size: int, vals: Sequence, dims: Sequence, jaxprs: tuple, sizes: tuple[int, ...]) -> tuple:
    start = sum(sizes)
    n = len(vals) - start
    flags = [d is not None for d in dims[:start]] + [True] * n
    moved = [move_dim(x, d, 0, size) if f else x for x, d, f in zip(vals, dims, flags)]
    batched = []
    for jaxpr, own in zip(jaxprs, _cut(flags[:start], sizes)):
        if jaxpr is not None:
            in_dims = tuple([0 if f else None for f in [*own, *[True] * n]])
            jaxpr = batch_jaxpr(jaxpr, size, in_dims, (True,) * len(jaxpr.outvars))[0]
        batched.append(jaxpr)
    outs = _bind(moved, batched, sizes)
    return outs, [0] * len(outs)


linear_solve_p.impl = _impl
linear_solve_p.abstract = lambda *avals, jaxprs, sizes: [v.aval for v in jaxprs[2].outvars]
linear_solve_p.jvp, linear_solve_p.vjp, linear_solve_p.batch = _jvp, _vjp, _batch


def custom_linear_solve(
    matvec: Callable,
    b: Any,
    solve: Callable,
    transpose_solve: Callable | None = None,
    symmetric: bool = False,
    has_aux: bool = False,
) -> Any:
    """The solution x of `matvec(x) = b`, differentiated as what it is: derivatives solve with the same operator, or its transpose.

    Args:
      matvec: linear function of a tree like `b`, with a result like `b`; derivatives reach what it closes over.
      b: right-hand side, a tree of float arrays.
      solve: `solve(matvec, b)` returns x; it need not be differentiable.
      transpose_solve: `transpose_solve(vecmat, b)` solves the transposed system; needed in reverse mode.
      symmetric: the operator is its own transpose: `solve` serves for both.
      has_aux: the solvers return `(x, aux)`.

    Returns:
      x, or `(x, aux)`.

    >>> import fnets
    >>> f = lambda a, b: custom_linear_solve(lambda x: a * x, b, lambda matvec, b: b / matvec(1.0), symmetric=True)
    >>> f(4.0, 2.0), fnets.grad(f, (0, 1))(4.0, 2.0)
    (0.5, (-0.125, 0.25))
    """
    for fun in (matvec, solve, *([] if transpose_solve is None else [transpose_solve])):
        check_callable("custom_linear_solve", fun)
    if transpose_solve is None and symmetric:
        transpose_solve = solve
    leaves, spec = flatten_arguments("custom_linear_solve", b)
    one = (tuple, None, (spec,))
    avals = [typeof(x) for x in leaves]
    operator = stage_user("custom_linear_solve", matvec, one, avals, None)
    check_same_tree(
        "custom_linear_solve",
        "a value of matvec",
        spec,
        operator.out_spec,
        ("b", "matvec"),
        "matvec(x) must look like b.",
    )
    if not any_traced([*operator.consts, *leaves]):
        return solve(matvec, b)
    leaves = [
        made_strong(x, a.update(weak_type=False)) if is_weak(x) else x for x, a in zip(leaves, operator.out_avals)
    ]
    avals = [typeof(x) for x in leaves]
    operator = stage_user("custom_linear_solve", matvec, one, avals, avals)
    _check_map("custom_linear_solve", "a value of matvec", spec, avals, operator)
    solver = stage_user("custom_linear_solve", lambda y: solve(matvec, y), one, avals, avals)
    aux_spec = _split_aux("custom_linear_solve", solver, spec, has_aux)
    parts: list[Staged | None] = [operator, None, solver, None]
    if transpose_solve is not None:
        example = tree.unflatten_spec(spec, [np.broadcast_to(np.zeros((), a.dtype), a.shape) for a in avals])
        vecmat = matvec if symmetric else lambda y: linear_transpose(matvec, example)(y)[0]
        transposed = transpose_solve
        parts[1] = stage_user("custom_linear_solve", vecmat, one, avals, avals)
        parts[3] = stage_user("custom_linear_solve", lambda y: transposed(vecmat, y), one, avals, avals)
        _split_aux("custom_linear_solve", parts[3], spec, has_aux)
    operands = [*[c for p in parts if p is not None for c in p.consts], *leaves]
    sizes = tuple([0 if p is None else len(p.consts) for p in parts])
    outs = _bind(operands, [None if p is None else p.jaxpr for p in parts], sizes)
    return _result(spec, aux_spec, len(leaves), outs)
