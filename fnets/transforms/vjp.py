"""Reverse mode: a tape of pullbacks, eager and staged by the same code. May import core, tree, errors, primitives.base, elementwise.

Every operation on a `VJPTracer` runs the primitive's vjp rule on the values inside and links a `TapeEqn` to those of its operands. The
backward walk visits tape equations newest first, from a heap of their ids, so neither depth nor width of a program is
bounded by Python's recursion limit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np

from fnets import tree
from fnets.backends import memory_root
from fnets.core import checked
from fnets.core.avals import PYTHON_SCALARS, ShapedArray, is_float
from fnets.core.ir import Jaxpr, Var, eval_jaxpr, run_first, weak_memo
from fnets.core.primitive import Primitive
from fnets.core.trace import Trace, Tracer, ValueTracer, dtype_of, next_id, refuse_closure, shape_of, typeof
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.primitives.base import convert, owned, zeros_like, zeros_of
from fnets.primitives.elementwise import add
from fnets.source import Location, speaks_for, user_location
from fnets.transforms.edge import public, trim_traceback
from fnets.transforms.linear_function import Pullback
from fnets.transforms.staging import (
    JaxprTrace,
    check_callable,
    check_data,
    innermost_staging,
    leaf_paths,
    matching,
    name_of,
    two_parts,
)


class TapeEqn:
    """An equation on the tape: `pull` maps the cotangents of its outputs to those of its parents.

    A parent is named by the value it stands for: its `TapeEqn`, or `(TapeEqn, k)` for output k of several.
    """

    __slots__ = ("id", "prim", "parents", "pull", "nout")

    def __init__(self, id: int, prim: Primitive | None, parents: Sequence[Any], pull: Callable | None, nout: int):
        self.id = id
        self.prim = prim
        self.parents = parents
        self.pull = pull
        self.nout = nout

    def __repr__(self) -> str:
        names = " ".join(f"%{p.id}" if type(p) is TapeEqn else f"%{p[0].id}.{p[1]}" for p in self.parents)
        return f"%{self.id} = {self.prim.name if self.prim else 'argument'} {names}"


class VJPTracer(ValueTracer):
    """A value, and the name of the tape equation's output that it is."""

    __slots__ = ("key",)

    def __init__(self, trace: VJPTrace, value: Any, key: Any):
        self.owner = trace
        self.value = value
        self.key = key


class VJPTrace(Trace):
    """One running reverse-mode differentiation."""

    __slots__ = ()
    transform = "grad"
    differentiates = True

    def process(self, prim: Primitive, args: tuple, params: dict) -> Any:
        if len(args) == 1:
            (a,) = args
            parents: Sequence = (a.key,)
            out, pull = prim.vjp((0,), a.value, **params)
        else:
            vals, active, parents = [], [], []
            for i, a in enumerate(args):
                if type(a) is VJPTracer and a.owner is self:
                    vals.append(a.value)
                    active.append(i)
                    parents.append(a.key)  # type: ignore[attr-defined]
                else:
                    vals.append(a)
            out, pull = prim.vjp(active, *vals, **params)
        if pull is None:
            return out
        if not prim.multi:
            return VJPTracer(self, out, TapeEqn(next_id(), prim, parents, pull, 0))
        refuse_closure(self, out, prim.name)
        node = TapeEqn(next_id(), prim, parents, pull, len(out))
        return [VJPTracer(self, o, (node, k)) if is_float(dtype_of(o)) else o for k, o in enumerate(out)]


class _LocatedPull:
    """A pullback that speaks for the line of the operation whose derivative it is."""

    __slots__ = ("pull", "where")

    def __init__(self, pull: Callable, where: Location):
        self.pull = pull
        self.where = where

    def __call__(self, ct: Any) -> Any:
        return self.pull(ct)


speaks_for(_LocatedPull.__call__, lambda frame: frame.f_locals["self"].where)


class LocatedVJPTrace(VJPTrace):
    """Reverse mode that remembers the user's lines: while staging, where equations are labelled, and while looking for NaN."""

    __slots__ = ()

    def process(self, prim: Primitive, args: tuple, params: dict) -> Any:
        out = super().process(prim, args, params)
        for o in out if prim.multi else (out,):
            if type(o) is VJPTracer and o.owner is self:
                node = o.key if type(o.key) is TapeEqn else o.key[0]
                if type(node.pull) is not _LocatedPull:
                    where = getattr(o.value, "where", None) or user_location()
                    if where is not None:
                        node.pull = _LocatedPull(node.pull, Location(*where[:4], prim.name))
        return out


def backward(roots: Sequence[Any], cts: Sequence[Any], consume: bool) -> dict:
    """Walk the tape from the roots, newest equation first; returns the cotangents that remain, those of the leaves.

    consume: drop every pullback after use, so that residuals die as the walk proceeds (the tape can't be walked again).
    """
    acc: dict = {}  # cotangents by parent name
    owned: set = set()  # names whose cotangent is a buffer that this walk made, and may therefore add into
    pending: dict[int, TapeEqn] = {}
    heap: list[int] = []
    while True:
        for name, d in zip(roots, cts):
            if d is None:
                continue
            previous = acc.get(name)
            if previous is None:
                acc[name] = d
                node = name if type(name) is TapeEqn else name[0]
                if node.pull is not None and node.id not in pending:
                    pending[node.id] = node
                    heappush(heap, -node.id)
            elif name in owned and type(d) is np.ndarray and previous.dtype == d.dtype:
                np.add(previous, d, previous)
            else:
                total = acc[name] = add(previous, d)
                if type(total) is np.ndarray:
                    owned.add(name)
        if not heap:
            return acc
        node = pending.pop(-heappop(heap))
        if node.nout:
            ct = [acc.pop((node, k), None) for k in range(node.nout)]
        else:
            ct = acc.pop(node)
            if owned:
                owned.discard(node)
        roots, cts = node.parents, node.pull(ct)  # type: ignore[misc]
        if consume:
            node.pull, node.parents = None, ()


class Tape:
    """What a differentiated run leaves behind: its leaves and the roots of its outputs."""

    __slots__ = ("leaves", "values", "roots")

    def __init__(self, leaves: list[TapeEqn], values: list[Any], roots: list):
        self.leaves = leaves
        self.values = values
        self.roots = roots

    def pull(self, cts: Sequence[Any], consume: bool = False) -> list[Any]:
        """Cotangents of the differentiated inputs, None where there is none."""
        roots, given = [], []
        for root, ct in zip(self.roots, cts):
            if root is not None and ct is not None:
                roots.append(root)
                given.append(ct)
        acc = backward(roots, given, consume)
        return [acc.get(leaf) for leaf in self.leaves]

    def pull_arrays(self, cts: Sequence[Any], consume: bool = False) -> list[Any]:
        """As `pull`, at the user's edge: zeros for None, the leaf's dtype, and memory that nobody else holds."""
        back = self.pull(cts, consume)
        taken = {memory_root(c) for c in cts if type(c) is np.ndarray}
        for i, (value, ct) in enumerate(zip(self.values, back)):
            if type(ct) is not np.ndarray or type(value) in PYTHON_SCALARS or ct.dtype != dtype_of(value):
                ct = back[i] = _at_edge(ct, value)
                if type(ct) is not np.ndarray:
                    continue
            root = memory_root(ct)
            if root in taken or not ct.flags.writeable:
                back[i] = ct.copy()
            else:
                taken.add(root)
        return back


def _at_edge(ct: Any, value: Any) -> Any:
    """A leaf's cotangent as the user receives it: never None, and of the leaf's own type."""
    if ct is None:
        return owned(zeros_like(value))
    if type(value) in PYTHON_SCALARS:
        return ct.item() if isinstance(ct, (np.ndarray, np.generic)) else ct
    return ct if dtype_of(ct) == dtype_of(value) else convert(ct, dtype_of(value))


def vjp_flat(
    f: Callable[..., Sequence[Any]], args: Sequence[Any], wrt: Sequence[int], name: str = ""
) -> tuple[list[Any], Tape]:
    """Run a flat function, differentiating with respect to the arguments at positions `wrt`."""
    inputs = list(args)
    leaves = []
    located = checked.checking or innermost_staging() is not None
    trace = LocatedVJPTrace(name) if located else VJPTrace(name)
    for i in wrt:
        leaf = TapeEqn(0, None, (), None, 0)
        leaves.append(leaf)
        inputs[i] = VJPTracer(trace, args[i], leaf)
    with trace:
        outs = f(*inputs)
    values, roots = [], []
    for o in outs:
        if type(o) is VJPTracer and o.owner is trace:
            values.append(o.value)
            roots.append(o.key)
        else:
            values.append(o)
            roots.append(None)
    return values, Tape(leaves, [args[i] for i in wrt], roots)


# ------------------------------------------------------------------ the user's functions


def _check_float_leaves(
    op: str, leaves: Sequence[Any], paths: Callable[[], Sequence[str]], holomorphic: bool, allow_int: bool
) -> None:
    for i, x in enumerate(leaves):
        dtype = dtype_of(x)
        if holomorphic and dtype.kind != "c":
            raise DTypeError(
                f"[{op}] expected complex inputs with holomorphic=True, got {dtype.name} at {paths()[i]}. Use x.astype('complex64')."
            )
        if not is_float(dtype):
            if allow_int and dtype.kind in "iub":
                continue
            raise DTypeError(
                f"[{op}] expected inputs of a float dtype, got {dtype.name} at {paths()[i]}. "
                f"Pass a float (1.0, x.astype('float32')), or choose another argument with argnums."
            )


def _positions(op: str, argnums: int | Sequence[int], nargs: int) -> list[int]:
    given = (argnums,) if isinstance(argnums, (int, np.integer)) else tuple(argnums)
    out = []
    for i in given:
        if not -nargs <= i < nargs:
            raise ArgumentError(
                f"[{op}] expected argnums below the number of positional arguments, {nargs}, got argnums={argnums}. "
                "Pass differentiated arguments by position."
            )
        out.append(i % nargs)
    return out


def _check_argnums(op: str, argnums: Any) -> None:
    entries = argnums if isinstance(argnums, (tuple, list)) else (argnums,)
    if not all(isinstance(i, (int, np.integer)) and not isinstance(i, bool) for i in entries):
        raise ArgumentError(
            f"[{op}] expected argnums to be an int or a sequence of ints, got {argnums!r}. Use argnums=0 or argnums=(0, 1)."
        )


def split_arguments(
    op: str, argnums: int | Sequence[int], args: tuple, holomorphic: bool = False, allow_int: bool = False
) -> tuple:
    """The differentiated part of `args`: (flat leaves, spec, function that puts new leaves back into the arguments)."""
    if type(argnums) is int:
        position = argnums if 0 <= argnums < len(args) else _positions(op, argnums, len(args))[0]
        positions, part = None, args[position]
        if type(part) is np.ndarray and part.dtype.kind == "f" and not holomorphic:
            return [part], tree.LEAF, lambda new: (*args[:position], new[0], *args[position + 1 :])
    else:
        positions = _positions(op, argnums, len(args))
        part = tuple([args[i] for i in positions])
    leaves, spec = tree.flatten_spec(part)

    def paths() -> list[str]:
        where = [position] if positions is None else positions
        return [f"argument {where[0]}{p}" if positions is None else f"arguments {where}{p}" for p in leaf_paths(part)]

    check_data(op, leaves, paths)
    _check_float_leaves(op, leaves, paths, holomorphic, allow_int)

    def rebuild(new: Sequence[Any]) -> tuple:
        replaced = tree.unflatten_spec(spec, new)
        if positions is None:
            return (*args[:position], replaced, *args[position + 1 :])
        full = list(args)
        for i, value in zip(positions, replaced):
            full[i] = value
        return tuple(full)

    return leaves, spec, rebuild


def _unpack_aux(op: str, out: Any) -> tuple[Any, Any]:
    if not isinstance(out, tuple) or len(out) != 2:
        got = f"a tuple of {len(out)}" if isinstance(out, tuple) else type(out).__name__
        raise ArgumentError(
            f"[{op}] expected the function to return a pair (value, aux) with has_aux=True, got {got}. Return `value, aux`."
        )
    return out


def lower_aux(trace_outs: Any, trace: Trace) -> Any:
    """Auxiliary results without this transformation's tracers."""
    return tree.map(lambda x: x.value if isinstance(x, Tracer) and x.owner is trace else x, trace_outs)


def value_and_grad(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence[Any] = (),
) -> Callable:
    """A function that returns `fun`'s value and its gradient.

    Args:
      fun: function with a scalar float result, or a pair `(scalar, aux)` if `has_aux`.
      argnums: the position or positions to differentiate with respect to; a tuple gives a tuple of gradients.
      has_aux: `fun` returns `(value, aux)`; the result is then `((value, aux), gradient)`.
      holomorphic: `fun` is holomorphic; inputs and output are complex.
      allow_int: integer inputs get zero gradients instead of an error.

    Returns:
      A function of the same arguments; the gradient has the structure, shapes and dtypes of the differentiated arguments.

    >>> value_and_grad(lambda x: x * x)(3.0)
    (9.0, 6.0)
    """
    check_callable("value_and_grad", fun)
    _check_argnums("value_and_grad", argnums)
    if type(argnums) is not int:
        argnums = tuple(argnums) if isinstance(argnums, (tuple, list)) else int(argnums)  # type: ignore[arg-type]
    return _value_and_grad("value_and_grad", fun, argnums, has_aux, holomorphic, allow_int)


def grad(
    fun: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence[Any] = (),
) -> Callable:
    """A function that returns the gradient of `fun`; arguments as `value_and_grad`. With `has_aux` it returns `(gradient, aux)`.

    >>> import fnets.numpy as fnp
    >>> grad(fnp.tanh)(0.0)
    1.0
    """
    check_callable("grad", fun)
    _check_argnums("grad", argnums)
    if type(argnums) is not int:
        argnums = tuple(argnums) if isinstance(argnums, (tuple, list)) else int(argnums)  # type: ignore[arg-type]
    both = _value_and_grad("grad", fun, argnums, has_aux, holomorphic, allow_int)

    @functools.wraps(fun)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        try:
            value, g = both(*args, **kwargs)
        except Exception as error:
            trim_traceback(error)
            raise
        return (g, value[1]) if has_aux else g

    return gradient


def _value_and_grad(
    op: str, fun: Callable, argnums: Any, has_aux: bool, holomorphic: bool, allow_int: bool
) -> Callable:
    name = name_of(fun)

    @functools.wraps(fun)
    def both(*args: Any, **kwargs: Any) -> Any:
        try:
            leaves, spec, rebuild = split_arguments(op, argnums, args, holomorphic, allow_int)
            wrt = range(len(leaves)) if not allow_int else [i for i, x in enumerate(leaves) if is_float(dtype_of(x))]
            aux = None

            def flat(*tracers: Any) -> tuple:
                nonlocal aux
                out = fun(*rebuild(tracers), **kwargs)
                if has_aux:
                    out, aux = _unpack_aux(op, out)
                    if tracers:
                        aux = lower_aux(aux, next((t.owner for t in tracers if type(t) is VJPTracer), None))  # type: ignore[arg-type]
                return (out,)

            (value,), tape = vjp_flat(flat, leaves, wrt, name)
            seed = _scalar_seed(op, value, holomorphic)
            grads = tape.pull_arrays((seed,), consume=True)
            if len(grads) != len(leaves):
                it = dict(zip(wrt, grads))
                grads = [it.get(i) if i in it else np.zeros(shape_of(x), bool) for i, x in enumerate(leaves)]
            gradient = tree.unflatten_spec(spec, grads)
            return ((value, aux), gradient) if has_aux else (value, gradient)
        except Exception as error:
            trim_traceback(error)
            raise

    return both


def _scalar_seed(op: str, value: Any, holomorphic: bool) -> Any:
    if isinstance(value, np.floating):
        return type(value)(1)
    if type(value) in (list, tuple, dict) or value is None:
        raise ArgumentError(
            f"[{op}] expected the function to return a scalar, got {type(value).__name__}. "
            "Return one number, or (number, aux) with has_aux=True."
        )
    aval = typeof(value)
    if aval.shape != ():
        raise ShapeError(
            f"[{op}] expected the function to return a scalar, got shape {aval.shape}. Reduce it, for example with .sum() or .mean(); "
            "for all derivatives use jacrev, or vjp with a cotangent."
        )
    if not is_float(aval.dtype) or (aval.dtype.kind == "c" and not holomorphic):
        raise DTypeError(
            f"[{op}] expected the function to return a {'complex' if holomorphic else 'real float'} scalar, got {aval.dtype.name}. "
            + (
                "Pass holomorphic=True if it is holomorphic, or return its real part."
                if aval.dtype.kind == "c"
                else "Return a float."
            )
        )
    return 1.0 if aval.weak_type else aval.dtype.type(1)


@public
def vjp(fun: Callable, *primals: Any, has_aux: bool = False, reduce_axes: Sequence[Any] = ()) -> tuple:
    """The value of `fun` and its vector-Jacobian product.

    Args:
      fun: function of pytrees.
      primals: where to evaluate it; leaves of float or complex dtype are differentiated, integers get zeros.
      has_aux: `fun` returns `(value, aux)`.

    Returns:
      `(value, vjp_fun)` or `(value, vjp_fun, aux)`; `vjp_fun(cotangent)` takes a tree like the value and gives a tuple of trees
      like the primals. It may be called more than once.

    >>> value, pull = vjp(lambda x, y: x * y, 2.0, 3.0)
    >>> value, pull(1.0)
    (6.0, (3.0, 2.0))
    """
    check_callable("vjp", fun)
    leaves, spec = tree.flatten_spec(primals)
    check_data("vjp", leaves, lambda: [f"argument{p}" for p in leaf_paths(primals)])
    wrt = [i for i, x in enumerate(leaves) if is_float(dtype_of(x))]
    aux = out_spec = None

    def flat(*tracers: Any) -> list:
        nonlocal aux, out_spec
        out = fun(*tree.unflatten_spec(spec, tracers))
        if has_aux:
            out, aux = _unpack_aux("vjp", out)
            traces = [t.owner for i, t in enumerate(tracers) if i in wrt]
            if traces:
                aux = lower_aux(aux, traces[0])
        outs, out_spec = tree.flatten_spec(out)
        check_data("vjp", outs, lambda: [f"result{p}" for p in leaf_paths(out)])
        return outs

    values, tape = vjp_flat(flat, leaves, wrt, name_of(fun))
    out_avals = [typeof(v) for v in values]

    in_avals = [typeof(x) for x in leaves]
    floats = [is_float(a.dtype) for a in out_avals]

    def flat_pull(*cts: Any) -> list:
        it = iter(cts)
        return tape.pull_arrays([next(it) if f else None for f in floats])

    def call(flat_pull: Callable, *cotangents: Any) -> tuple:
        if len(cotangents) != 1:
            raise ArgumentError(
                f"[vjp] expected one cotangent (a tree like the function's result), got {len(cotangents)}. Pass a tuple for a tuple."
            )
        cts = _matching_cotangents(cotangents[0], out_spec, out_avals)
        back = dict(zip(wrt, flat_pull(*[c for c in cts if c is not None])))
        return tree.unflatten_spec(spec, [back[i] if i in back else owned(zeros_of(a)) for i, a in enumerate(in_avals)])

    float_avals = [a for a, f in zip(out_avals, floats) if f]
    vjp_fun = Pullback(flat_pull, float_avals, call, f"vjp of {name_of(fun)}", leaves, spec)
    value = tree.unflatten_spec(out_spec, values)
    return (value, vjp_fun, aux) if has_aux else (value, vjp_fun)


def _matching_cotangents(ct: Any, out_spec: Any, out_avals: Sequence[ShapedArray]) -> list[Any]:
    cts, ct_spec = tree.flatten_spec(ct)
    if ct_spec != out_spec:
        raise ArgumentError(
            f"[vjp] expected a cotangent with the structure of the result, {tree.PyTreeDef(out_spec)}, got {tree.PyTreeDef(ct_spec)}. "
            "Build it with tree.map over the result."
        )
    return [matching("vjp", "cotangent", c, a, lambda: "the result") for c, a in zip(cts, out_avals)]


# ------------------------------------------------------------------ jaxpr to jaxpr


@weak_memo
def vjp_jaxpr(jaxpr: Jaxpr, wrt: tuple[int, ...]) -> tuple[Jaxpr, Jaxpr, tuple[bool, ...]]:
    """Split a jaxpr without constants into a forward and a backward one.

    Returns `(fwd, bwd, given)`: fwd maps inputs to outputs and residuals; bwd maps residuals and the cotangents of all float outputs to the
    cotangents of those inputs of `wrt` for which `given` is True.
    """
    with JaxprTrace("forward") as older:
        inputs = [older.argument(v.aval) for v in jaxpr.invars]
        outs, tape = vjp_flat(lambda *xs: eval_jaxpr(jaxpr, xs), inputs, wrt)
        outvars = [older.atom(o) for o in outs]
        end_of_forward = len(older.eqns)
        with JaxprTrace("backward") as younger:
            cts = [younger.argument(v.aval) if is_float(v.aval.dtype) else None for v in jaxpr.outvars]
            back = tape.pull(cts, consume=True)
            given = tuple(b is not None for b in back)
            ct_outvars = [younger.atom(b) for b in back if b is not None]
    # what the pullbacks computed from forward values alone landed in the forward trace: it belongs to the backward part
    fwd, bwd = two_parts(older, end_of_forward, outvars, younger, ct_outvars)
    return fwd, bwd, given


def reached(jaxpr: Jaxpr, flags: Sequence[bool]) -> list[bool]:
    """Which float outputs may depend on the flagged inputs; an equation with a jaxpr inside counts as a whole."""
    live = {v for v, f in zip(jaxpr.invars, flags) if f and is_float(v.aval.dtype)}
    for e in jaxpr.eqns:
        if e.prim.differentiable and any([type(v) is Var and v in live for v in e.invars]):
            live.update([v for v in e.outvars if is_float(v.aval.dtype)])
    return [type(v) is Var and v in live for v in jaxpr.outvars]


def call_vjp(
    call: Callable[..., list], active: Sequence[int], args: Sequence[Any], jaxpr: Jaxpr
) -> tuple[list, Callable | None]:
    """The vjp rule shared by primitives that run one jaxpr: `call(jaxpr, *args)` runs the forward and the backward part."""
    fwd, bwd, given = vjp_jaxpr(jaxpr, tuple(active))
    n = len(jaxpr.outvars)
    outs, residuals = run_first(call, fwd, n, args)
    if not any(given):
        return outs, None
    avals = [v.aval for v in jaxpr.outvars]

    def pull(cts: Sequence[Any]) -> list:
        dense = [zeros_of(a) if c is None else c for c, a in zip(cts, avals) if is_float(a.dtype)]
        it = iter(call(bwd, *residuals, *dense))
        return [next(it) if g else None for g in given]

    return outs, pull
