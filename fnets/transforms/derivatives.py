"""Derivatives built on jvp, vjp and vmap: Jacobians, Hessians, linearisation. May import core, tree, errors and the transformations below."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets import tree
from fnets.core.avals import ShapedArray, is_float, strong_dtype
from fnets.core.trace import dtype_of, shape_of, typeof
from fnets.errors import ArgumentError, DTypeError
from fnets.primitives.base import owned, reshape, zeros_of
from fnets.primitives.shape import slice_in_dim
from fnets.transforms.edge import public
from fnets.transforms.jit import jit
from fnets.transforms.jvp import belongs_to, jvp, jvp_flat
from fnets.transforms.linear_function import LinearFunction, StagedLinear
from fnets.transforms.staging import JaxprTrace, check_callable, check_data, leaf_paths, matching, name_of
from fnets.transforms.vjp import grad, split_arguments, vjp, vjp_flat
from fnets.transforms.vmap import vmap


def _basis(avals: Sequence[ShapedArray]) -> list[np.ndarray]:
    """Unit vectors of a list of arrays: for each array, all N directions stacked in front, N the total number of elements."""
    total = sum(a.size for a in avals)
    out, start = [], 0
    for a in avals:
        block = np.zeros((total, a.size), strong_dtype(a))
        block[np.arange(start, start + a.size), np.arange(a.size)] = 1
        out.append(block.reshape(total, *a.shape))
        start += a.size
    return out


def _rows(x: Any, avals: Sequence[ShapedArray], where: int) -> list[Any]:
    """Cut the leading axis into one part per array and give it that array's shape, put in front (where=0) or at the end (-1)."""
    parts, start = [], 0
    rest = shape_of(x)[1:]
    for a in avals:
        part = slice_in_dim(x, start, start + a.size)
        start += a.size
        if where == 0:
            parts.append(reshape(part, (*a.shape, *rest)))
        else:
            moved = vmap(lambda row: row, in_axes=0, out_axes=-1)(part) if rest else part
            parts.append(reshape(moved, (*rest, *a.shape)))
    return parts


def jacrev(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable:
    """A function that returns the Jacobian of `fun` by reverse mode: one pullback per output element, vectorised.

    Returns a tree like the output, each leaf a tree like the differentiated argument, with arrays of shape `output.shape + input.shape`.

    >>> jacrev(lambda x: x * x)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    check_callable("jacrev", fun)

    @public
    @functools.wraps(fun)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        leaves, spec, rebuild = split_arguments("jacrev", argnums, args, holomorphic, allow_int)

        def partial(*new: Any) -> Any:
            return fun(*rebuild(new), **kwargs)

        value, pull, *aux = vjp(partial, *leaves, has_aux=has_aux)
        outs, out_spec = tree.flatten_spec(value)
        avals = [typeof(o) for o in outs]
        _check_output("jacrev", avals, holomorphic)
        columns = vmap(lambda *cts: pull(tree.unflatten_spec(out_spec, cts)))(*_basis(avals))
        table = [_rows(c, avals, 0) for c in columns]  # [input leaf][output leaf]
        by_output = [tree.unflatten_spec(spec, [owned(row[k]) for row in table]) for k in range(len(outs))]
        result = tree.unflatten_spec(out_spec, by_output)
        return (result, aux[0]) if has_aux else result

    return jacobian


jacobian = jacrev


def jacfwd(
    fun: Callable, argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable:
    """A function that returns the Jacobian of `fun` by forward mode: one tangent per input element, vectorised. Result as `jacrev`.

    >>> jacfwd(lambda x: x * x)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    check_callable("jacfwd", fun)

    @public
    @functools.wraps(fun)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        leaves, spec, rebuild = split_arguments("jacfwd", argnums, args, holomorphic)
        if not holomorphic and any(dtype_of(x).kind == "c" for x in leaves):
            raise DTypeError(
                "[jacfwd] expected real inputs, got complex ones. For a holomorphic function pass holomorphic=True."
            )
        avals = [typeof(x) for x in leaves]
        aux: list = []

        def push(*tangents: Any) -> Any:
            out = jvp(lambda *new: fun(*rebuild(new), **kwargs), leaves, tangents, has_aux=has_aux)
            aux[:] = out[2:]
            return out[1]

        stacked = vmap(push)(*_basis(avals))
        outs, out_spec = tree.flatten_spec(stacked)
        _check_output("jacfwd", [typeof(o) for o in outs], holomorphic)
        by_output = [tree.unflatten_spec(spec, [owned(p) for p in _rows(o, avals, -1)]) for o in outs]
        result = tree.unflatten_spec(out_spec, by_output)
        return (result, aux[0]) if has_aux else result

    return jacobian


def _check_output(op: str, avals: Sequence[ShapedArray], holomorphic: bool) -> None:
    for a in avals:
        if holomorphic and a.dtype.kind != "c":
            raise DTypeError(f"[{op}] expected complex outputs with holomorphic=True, got {a.dtype.name}.")
        if not is_float(a.dtype):
            raise DTypeError(
                f"[{op}] expected float outputs, got {a.dtype.name}. Convert the result with .astype('float32')."
            )
        if a.dtype.kind == "c" and not holomorphic and op == "jacrev":
            raise DTypeError(
                f"[{op}] expected real outputs, got {a.dtype.name}. For a holomorphic function pass holomorphic=True."
            )


def fwd_and_bwd(
    fun: Callable, argnums: int | Sequence[int], has_aux: bool = False, jitted: bool = True
) -> tuple[Callable, Callable]:
    """The two halves of reverse mode as functions of their own.

    Args:
      fun: function of pytrees.
      argnums: the position or positions to differentiate with respect to.
      has_aux: `fun` returns `(value, aux)`.
      jitted: jit both, so that the backward half, too, is compiled once.

    Returns:
      `fwd(*args) -> (value, residuals)`, with `aux` as a third result if `has_aux`; and `bwd(residuals, cotangent)`, the cotangent of the
      argument, or the tuple of those of several.

    >>> fwd, bwd = fwd_and_bwd(lambda x, y: x * y, argnums=0)
    >>> value, residuals = fwd(2.0, 3.0)
    >>> value, bwd(residuals, 1.0)
    (6.0, 3.0)
    """
    check_callable("fwd_and_bwd", fun)
    one = isinstance(argnums, int)
    positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    @functools.wraps(fun)
    def fwd(*args: Any, **kwargs: Any) -> tuple:
        chosen = [i % len(args) for i in positions]

        def partial(*parts: Any) -> Any:
            full = list(args)
            for i, part in zip(chosen, parts):
                full[i] = part
            return fun(*full, **kwargs)

        return vjp(partial, *[args[i] for i in chosen], has_aux=has_aux)

    def bwd(residuals: Any, cotangent: Any) -> Any:
        back = residuals(cotangent)
        return back[0] if one else back

    return (jit(fwd), jit(bwd)) if jitted else (fwd, bwd)


def hessian(
    fun: Callable, argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable:
    """A function that returns the Hessian of `fun`: forward over reverse mode.

    >>> hessian(lambda x: x[0] * x[1])(np.array([1.0, 2.0]))
    array([[0., 1.],
           [1., 0.]])
    """
    return jacfwd(
        jacrev(fun, argnums, has_aux=has_aux, holomorphic=holomorphic),
        argnums,
        has_aux=has_aux,
        holomorphic=holomorphic,
    )


@public
def hvp(fun: Callable, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The Hessian of a scalar function times a vector, without the Hessian: jvp of grad, at about four times the cost of `fun`.

    Args:
      fun: scalar function of one or more pytrees.
      primals: tuple of arguments; the Hessian is with respect to all of them.
      tangents: tuple of the same structure.

    Returns:
      A tree like the first argument, or a tuple of trees if there are several.

    >>> hvp(lambda x: x[0] * x[1], (np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
    array([0., 1.])
    """
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(fun, argnums), primals, tangents)[1]


@public
def linearize(fun: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """The value of `fun` at `primals`, and its derivative there as a linear function that can be applied many times.

    Returns `(value, f_jvp)` or `(value, f_jvp, aux)`; `f_jvp(*tangents)` costs only the linear part.

    >>> value, f_jvp = linearize(lambda x: x * x, 3.0)
    >>> value, f_jvp(1.0)
    (9.0, 6.0)
    """
    check_callable("linearize", fun)
    leaves, spec = tree.flatten_spec(primals)
    check_data("linearize", leaves, lambda: [f"argument{p}" for p in leaf_paths(primals)])
    wrt = [i for i, x in enumerate(leaves) if is_float(dtype_of(x))]
    out_spec = aux = None

    def flat(*xs: Any) -> list:
        nonlocal out_spec, aux
        out = fun(*tree.unflatten_spec(spec, xs))
        if has_aux:
            out, aux = out
        outs, out_spec = tree.flatten_spec(out)
        return outs

    trace = JaxprTrace(name_of(fun))  # not entered: what `fun` does besides computing happens now
    try:
        tangents: list = [None] * len(leaves)
        for i in wrt:
            tangents[i] = trace.argument(typeof(leaves[i]))
        values, out_tangents, jvp_trace = jvp_flat(flat, leaves, tangents, name_of(fun))
        if any([belongs_to(v, trace) for v in values]):  # a rule mixed values and tangents
            values = flat(*leaves)
        out_avals = [typeof(v) for v in values]
        dense = [zeros_of(a) if t is None else t for a, t in zip(out_avals, out_tangents)]
        jaxpr = trace.finish(dense)
    finally:
        trace.alive = False

    in_avals = [typeof(x) for x in leaves]

    def call(flat: Callable, *tangents: Any) -> Any:
        given, given_spec = tree.flatten_spec(tangents)
        if given_spec != spec:
            raise ArgumentError(
                f"[linearize] expected tangents with the structure of the primals, {tree.PyTreeDef(spec)}, got {tree.PyTreeDef(given_spec)}."
            )
        given = [matching("linearize", "tangent", t, a, lambda: "its primal") for t, a in zip(given, in_avals)]
        return tree.unflatten_spec(out_spec, [owned(o) for o in flat(*[given[i] for i in wrt])])

    flat_jvp = StagedLinear(jaxpr.closed_over(), jaxpr.consts)
    f_jvp = LinearFunction(flat_jvp, [in_avals[i] for i in wrt], call, f"jvp of {name_of(fun)}")
    value = tree.unflatten_spec(out_spec, values)
    if has_aux:
        return value, f_jvp, tree.map(lambda x: x.value if getattr(x, "owner", None) is jvp_trace else x, aux)
    return value, f_jvp


@public
def linear_transpose(fun: Callable, *primals: Any, reduce_axes: Sequence[Any] = ()) -> Callable:
    """The transpose of a linear function: a function of a cotangent like the output that returns a tuple of cotangents like `primals`.

    Only the shapes and dtypes of `primals` matter (`ShapeDtypeStruct`s will do).

    >>> linear_transpose(lambda x: 3 * x, np.array(1.0))(np.array(2.0))
    (np.float64(6.0),)
    """
    check_callable("linear_transpose", fun)
    leaves, spec = tree.flatten_spec(primals)
    out_spec = None

    def flat(*xs: Any) -> list:
        nonlocal out_spec
        outs, out_spec = tree.flatten_spec(fun(*tree.unflatten_spec(spec, xs)))
        return outs

    zeros = [zeros_of(typeof(x)) for x in leaves]
    if not all(is_float(dtype_of(z)) for z in zeros):
        raise DTypeError(
            "[linear_transpose] expected float or complex inputs, got "
            + ", ".join(dtype_of(z).name for z in zeros)
            + "."
        )
    values, tape = vjp_flat(flat, zeros, range(len(zeros)), name_of(fun))

    out_avals = [typeof(v) for v in values]

    def call(flat_pull: Callable, ct: Any) -> tuple:
        cts, ct_spec = tree.flatten_spec(ct)
        if ct_spec != out_spec:
            raise ArgumentError(
                f"[linear_transpose] expected a cotangent with the structure of the output, {tree.PyTreeDef(out_spec)}, got {tree.PyTreeDef(ct_spec)}."
            )
        cts = [matching("linear_transpose", "cotangent", c, a, lambda: "the output") for c, a in zip(cts, out_avals)]
        return tree.unflatten_spec(spec, [owned(x) for x in flat_pull(*cts)])

    return LinearFunction(lambda *cts: tape.pull_arrays(cts), out_avals, call, f"transpose of {name_of(fun)}")
