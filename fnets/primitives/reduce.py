"""Reductions: sum, extremes, product, logic, argmax, mean, variance, and `reduce` by any computation. May import base, elementwise, shape,
cumulative, core.

The sum's primitive lives in base, because undoing a broadcast needs it. The derivative of a maximum is shared equally by the elements
that tie; a product's is right where elements are zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fnets import tree
from fnets.core.avals import ShapedArray, is_float
from fnets.core.primitive import Primitive
from fnets.core.trace import Trace, Tracer, dtype_of, shape_of, typeof
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.primitives.base import (
    arr,
    as_axes,
    as_axis,
    batch_reduction,
    broadcast_to,
    convert,
    inverse_permutation,
    kept,
    nondifferentiable,
    one_axis,
    reduce_sum_p,
    reduced,
    reshape,
    sum_dtype,
    transpose,
)
from fnets.primitives.base import reduce_sum as _sum
from fnets.primitives.cumulative import cumprod_p, shifted
from fnets.primitives.elementwise import conj, div, eq, mul, ne, real, sub
from fnets.primitives.shape import concatenate_p, ravel, slice_in_dim

# ------------------------------------------------------------------ helpers


def _over(prim: Primitive, operand: Any, axes: Any) -> Any:
    """Apply a reduction to checked axes."""
    operand = arr(operand)
    axes = as_axes(axes, len(shape_of(operand)), prim.name)
    return prim.bind(operand, axes=axes) if axes else operand


def spread(x: Any, like: Any, axes: tuple[int, ...]) -> Any:
    """A reduction's result with its reduced axes back as ones, to broadcast against the operand."""
    return reshape(x, kept(shape_of(like), axes))


def _lower_reduce(prim: Primitive, run: Callable) -> None:
    prim.lower["numpy"] = lambda cg, eqn, args, out: (
        f"{cg.const(run, prim.name)}({args[0]}, {one_axis(eqn.params['axes'])})"
    )


def reduce_sum(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """The sum over axes (all by default); small integers and booleans widen to 64 bits, as in NumPy.

    >>> reduce_sum(np.array([[1, 5], [3, 2]]), (1,))
    array([6, 5])
    """
    return _over(reduce_sum_p, operand, axes)


# ------------------------------------------------------------------ maximum and minimum


def _extreme(name: str, ufunc: np.ufunc) -> Primitive:
    prim = Primitive(name, kind="reduce", fresh=True)
    run = ufunc.reduce
    prim.impl = lambda x, axes: run(x, one_axis(axes))

    def abstract(a: ShapedArray, axes: tuple[int, ...]) -> ShapedArray:
        if any([a.shape[i] == 0 for i in axes]):
            raise ShapeError(
                f"[{name}] expected at least one element along axes {axes}, got shape {a.shape}: an empty set has no extreme. "
                "Pass initial=, or treat the empty case apart."
            )
        return ShapedArray(reduced(a.shape, axes), a.dtype)

    def attained(x: Any, y: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
        """(1 where an element is the extreme, how many are)."""
        mask = convert(eq(x, spread(y, x, axes)), dtype_of(y))
        return mask, _sum(mask, axes)

    def jvp(primals: Sequence, tangents: Sequence, axes: tuple[int, ...]) -> tuple:
        (x,), (t,) = primals, tangents
        y = prim.bind(x, axes=axes)
        mask, count = attained(x, y, axes)
        return y, div(_sum(mul(t, mask), axes), count)

    def vjp(active: tuple, x: Any, axes: tuple[int, ...]) -> tuple:
        y = prim.bind(x, axes=axes)
        if not is_float(dtype_of(y)):
            return y, None

        def pull(ct: Any) -> tuple:
            mask, count = attained(x, y, axes)
            return (mul(mask, spread(div(ct, count), x, axes)),)

        return y, pull

    prim.abstract, prim.jvp, prim.vjp = abstract, jvp, vjp
    batch_reduction(prim)
    _lower_reduce(prim, run)
    return prim


reduce_max_p = _extreme("reduce_max", np.maximum)
reduce_min_p = _extreme("reduce_min", np.minimum)


def reduce_max(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """The maximum over axes (all by default). NaN wins; elements that tie share the derivative equally.

    Raises:
      ShapeError: a reduced axis is empty.

    >>> reduce_max(np.array([[1, 5], [3, 2]]), (1,))
    array([5, 3])
    """
    return _over(reduce_max_p, operand, axes)


def reduce_min(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """The minimum over axes (all by default); as `reduce_max`.

    >>> reduce_min(np.array([[1, 5], [3, 2]]), (1,))
    array([1, 2])
    """
    return _over(reduce_min_p, operand, axes)


# ------------------------------------------------------------------ argmax and argmin


def _arg_extreme(name: str, method: str) -> Primitive:
    prim = Primitive(name, kind="reduce", fresh=True)
    run = getattr(np.ndarray, method)

    def impl(x: Any, axis: int, index_dtype: np.dtype) -> Any:
        return run(x, axis).astype(index_dtype, copy=False)

    def abstract(a: ShapedArray, axis: int, index_dtype: np.dtype) -> ShapedArray:
        if a.shape[axis] == 0:
            raise ShapeError(f"[{name}] expected at least one element along axis {axis}, got shape {a.shape}.")
        return ShapedArray(reduced(a.shape, (axis,)), index_dtype)

    def batch(size: int, vals: Sequence, dims: Sequence, axis: int, index_dtype: np.dtype) -> tuple:
        d = dims[0]
        moved = axis + (axis >= d)
        return prim.bind(vals[0], axis=moved, index_dtype=index_dtype), d - (moved < d)

    prim.impl, prim.abstract, prim.batch = impl, abstract, batch
    nondifferentiable(prim)
    return prim


argmax_p = _arg_extreme("argmax", "argmax")
argmin_p = _arg_extreme("argmin", "argmin")


def argmax(operand: Any, axis: int | None = None, index_dtype: Any = np.int64) -> Any:
    """The position of the first maximum along an axis (of the raveled array by default); NaN counts as the maximum.

    Raises:
      ShapeError: the axis is empty.

    >>> argmax(np.array([[1, 5], [3, 3]]), 1)
    array([1, 0])
    """
    return _arg(argmax_p, operand, axis, index_dtype)


def argmin(operand: Any, axis: int | None = None, index_dtype: Any = np.int64) -> Any:
    """The position of the first minimum along an axis; as `argmax`.

    >>> argmin(np.array([[1, 5], [3, 3]]), 1)
    array([0, 0])
    """
    return _arg(argmin_p, operand, axis, index_dtype)


def _arg(prim: Primitive, operand: Any, axis: int | None, index_dtype: Any) -> Any:
    operand = ravel(operand) if axis is None else arr(operand)
    axis = as_axis(axis or 0, len(shape_of(operand)), prim.name)
    index_dtype = np.dtype(index_dtype)
    if index_dtype.kind not in "iu":
        raise DTypeError(f"[{prim.name}] expected an integer index_dtype, got {index_dtype.name}. Use int32 or int64.")
    return prim.bind(operand, axis=axis, index_dtype=index_dtype)


# ------------------------------------------------------------------ logic


def _bitwise(name: str, ufunc: np.ufunc) -> Primitive:
    prim = Primitive(name, kind="reduce", fresh=True)
    run = ufunc.reduce
    prim.impl = lambda x, axes: run(x, one_axis(axes))

    def abstract(a: ShapedArray, axes: tuple[int, ...]) -> ShapedArray:
        if a.dtype.kind not in "biu":
            raise DTypeError(
                f"[{name}] expected booleans or integers, got {a.dtype.name}. Compare first, for example with x != 0."
            )
        return ShapedArray(reduced(a.shape, axes), a.dtype)

    prim.abstract = abstract
    batch_reduction(prim)
    nondifferentiable(prim)
    _lower_reduce(prim, run)
    return prim


reduce_and_p = _bitwise("reduce_and", np.bitwise_and)
reduce_or_p = _bitwise("reduce_or", np.bitwise_or)
reduce_xor_p = _bitwise("reduce_xor", np.bitwise_xor)


def reduce_and(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """The bitwise "and" over axes of booleans or integers (all axes by default).

    >>> reduce_and(np.array([[True, False], [True, True]]), (1,))
    array([False,  True])
    """
    return _over(reduce_and_p, operand, axes)


def reduce_or(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """The bitwise "or" over axes of booleans or integers (all axes by default).

    >>> reduce_or(np.array([[True, False], [False, False]]), (1,))
    array([ True, False])
    """
    return _over(reduce_or_p, operand, axes)


def reduce_xor(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """The bitwise "exclusive or" over axes of booleans or integers (all axes by default).

    >>> reduce_xor(np.array([[True, True], [True, False]]), (1,))
    array([False,  True])
    """
    return _over(reduce_xor_p, operand, axes)


def reduce_any(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """True where an element along the axes is nonzero.

    >>> reduce_any(np.array([[0.0, 2.0], [0.0, 0.0]]), (1,))
    array([ True, False])
    """
    return _over(reduce_or_p, _truth(operand), axes)


def reduce_all(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """True where every element along the axes is nonzero.

    >>> reduce_all(np.array([[1.0, 2.0], [0.0, 1.0]]), (1,))
    array([ True, False])
    """
    return _over(reduce_and_p, _truth(operand), axes)


def _truth(x: Any) -> Any:
    x = arr(x)
    return x if dtype_of(x).kind == "b" else ne(x, 0)


# ------------------------------------------------------------------ product

reduce_prod_p = Primitive("reduce_prod", kind="reduce", fresh=True)
_multiply_reduce = np.multiply.reduce


def _product_of_others(x: Any, axes: tuple[int, ...]) -> Any:
    """For every element the product of the others that it is reduced with, by running products from both sides: no division."""
    shape = shape_of(x)
    order = tuple([i for i in range(len(shape)) if i not in axes]) + axes
    lead = [shape[i] for i in order[: len(shape) - len(axes)]]
    moved = transpose(x, order)
    flat = reshape(moved, (*lead, size_of([shape[i] for i in axes])))
    axis = len(lead)
    left, right = [shifted(cumprod_p.bind(flat, axis=axis, reverse=r), axis, r, 1) for r in (False, True)]
    return transpose(reshape(mul(left, right), shape_of(moved)), inverse_permutation(order))


def _prod_jvp(primals: Sequence, tangents: Sequence, axes: tuple[int, ...]) -> tuple:
    (x,), (t,) = primals, tangents
    return reduce_prod_p.bind(x, axes=axes), _sum(mul(t, _product_of_others(x, axes)), axes)


def _prod_vjp(active: tuple, x: Any, axes: tuple[int, ...]) -> tuple:
    y = reduce_prod_p.bind(x, axes=axes)
    if not is_float(dtype_of(y)):
        return y, None
    return y, lambda ct: (mul(spread(ct, x, axes), _product_of_others(x, axes)),)


reduce_prod_p.impl = lambda x, axes: _multiply_reduce(x, one_axis(axes))
reduce_prod_p.abstract = lambda a, axes: ShapedArray(reduced(a.shape, axes), sum_dtype(a.dtype))
reduce_prod_p.jvp, reduce_prod_p.vjp = _prod_jvp, _prod_vjp
batch_reduction(reduce_prod_p)
_lower_reduce(reduce_prod_p, _multiply_reduce)


def reduce_prod(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """The product over axes (all by default); its derivatives are right where elements are zero.

    >>> reduce_prod(np.array([[1, 5], [3, 2]]), (1,))
    array([5, 6])
    """
    return _over(reduce_prod_p, operand, axes)


# ------------------------------------------------------------------ mean and variance


def size_of(sizes: Sequence[int]) -> int:
    """The product of lengths.

    >>> size_of((2, 3))
    6
    """
    size = 1
    for n in sizes:
        size *= n
    return size


def mean(operand: Any, axes: Sequence[int] | int | None = None) -> Any:
    """The arithmetic mean over axes (all by default); integers give float64, float16 is summed in float32.

    >>> mean(np.array([[1, 2], [3, 5]]), (1,))
    array([1.5, 4. ])
    """
    x = arr(operand)
    axes = as_axes(axes, len(shape_of(x)), "mean")
    dtype = dtype_of(x)
    if dtype == np.float16:
        return convert(mean(convert(x, np.float32), axes), dtype)
    if not is_float(dtype):
        x = convert(x, np.float64)
    return div(_sum(x, axes), size_of([shape_of(x)[i] for i in axes]))


def var(operand: Any, axes: Sequence[int] | int | None = None, ddof: int | float = 0) -> Any:
    """The variance over axes (all by default): the mean of |x - mean(x)|**2 in two passes, divided by n - ddof.

    >>> var(np.array([1.0, 3.0]), ddof=1)
    np.float64(2.0)
    """
    x = arr(operand)
    axes = as_axes(axes, len(shape_of(x)), "var")
    dtype = dtype_of(x)
    if dtype == np.float16:
        return convert(var(convert(x, np.float32), axes, ddof), dtype)
    centred = sub(x, spread(mean(x, axes), x, axes))
    squares = real(mul(centred, conj(centred))) if dtype.kind == "c" else mul(centred, centred)
    return div(_sum(squares, axes), max(size_of([shape_of(x)[i] for i in axes]) - ddof, 0))


# ------------------------------------------------------------------ reduce: any computation


class _Symbol(Tracer):
    """Stands for an element in a reducer that is looked at; `of` is the primitive that made it of the two operands, if it was one."""

    __slots__ = ("of", "aval")

    def __init__(self, trace: Trace, aval: ShapedArray, of: str = ""):
        self.owner = trace
        self.aval = aval
        self.of = of


class _Look(Trace):
    """Runs a reducer on its two symbolic operands."""

    __slots__ = ("operands",)
    transform = "reduce"

    def process(self, prim: Primitive, args: tuple, params: dict) -> Any:
        avals = prim.abstract(*map(typeof, args), **params)
        if prim.multi:
            return [_Symbol(self, a) for a in avals]
        both = len(args) == 2 and not params and {id(a) for a in args} == self.operands
        return _Symbol(self, avals, prim.name if both else "")


def known_computation(computation: Callable, dtype: np.dtype) -> str:
    """The name of the binary primitive that a reducer is, or ''."""
    with _Look("computation") as trace:
        x, y = (_Symbol(trace, ShapedArray((), dtype)) for _ in range(2))
        trace.operands = {id(x), id(y)}
        try:
            out = computation(x, y)
        except Exception:  # whatever it cannot do with symbols, it may be able to do with arrays
            return ""
        return out.of if type(out) is _Symbol else ""


_REDUCTION_OF = {
    "add": reduce_sum_p,
    "mul": reduce_prod_p,
    "max": reduce_max_p,
    "min": reduce_min_p,
    "and": reduce_and_p,
    "or": reduce_or_p,
    "xor": reduce_xor_p,
}


def reduction_operands(op: str, operands: Any, init_values: Any, computation: Callable) -> tuple:
    """What `reduce` and `reduce_window` are given, checked: (operands, initial values, their tree, the computation on lists of leaves)."""
    leaves, treedef = tree.flatten(operands)
    inits, init_treedef = tree.flatten(init_values)
    if not leaves or init_treedef != treedef:
        raise ArgumentError(
            f"[{op}] expected one initial value for each operand, in the same structure {treedef}, got {init_treedef}. "
            "Write the initial values as a tree like the operands."
        )
    xs = [arr(x) for x in leaves]
    shapes = [shape_of(x) for x in xs]
    if len(set(shapes)) > 1:
        raise ShapeError(
            f"[{op}] expected operands of one shape, got {', '.join(map(str, shapes))}. Broadcast them first."
        )
    for v in inits:
        if shape_of(v) != ():
            raise ShapeError(
                f"[{op}] expected initial values that are scalars, got shape {shape_of(v)}. Pass one number."
            )
    inits = [convert(v, dtype_of(x)) for v, x in zip(inits, xs)]

    def combine(left: Sequence, right: Sequence) -> list:
        out, out_treedef = tree.flatten(computation(tree.unflatten(treedef, left), tree.unflatten(treedef, right)))
        if out_treedef != treedef:
            raise ArgumentError(
                f"[{op}] expected a computation that returns the structure of the operands, {treedef}, got {out_treedef}. "
                "Return a tree like either argument."
            )
        return [convert(o, dtype_of(x)) for o, x in zip(out, xs)]

    return xs, inits, treedef, combine


def reduce(operands: Any, init_values: Any, computation: Callable, dimensions: Sequence[int]) -> Any:
    """Combine the elements along axes by a binary computation.

    Args:
      operands: an array, or a pytree of arrays of one shape that are reduced together.
      init_values: a scalar for each operand, in the same structure: what the reduction starts from.
      computation: `f(x, y)` of two such structures; associative, with `init_values` as identity, and built of elementwise operations, as it
        is applied to whole slices. Addition, multiplication, maximum, minimum and bitwise logic run as NumPy reductions.
      dimensions: the axes to reduce.

    Returns:
      The structure of `operands` without these axes, in the operands' dtypes.

    >>> from fnets.primitives.elementwise import maximum
    >>> reduce(np.array([[1, 5], [3, 2]]), 0, maximum, (1,))
    array([5, 3])
    """
    xs, inits, treedef, combine = reduction_operands("reduce", operands, init_values, computation)
    shape = shape_of(xs[0])
    axes = as_axes(tuple(dimensions), len(shape), "reduce")

    empty = 0 in [shape[i] for i in axes]
    if len(xs) == 1 and treedef == tree.structure(0) and axes and not empty:
        known = _REDUCTION_OF.get(known_computation(computation, dtype_of(xs[0])))
        if known is not None:
            total = convert(known.bind(xs[0], axes=axes), dtype_of(xs[0]))
            return combine(inits, [total])[0]
    results = [broadcast_to(v, reduced(shape, axes)) for v in inits]
    if not empty:
        results = combine(results, _by_halving(xs, axes, combine))
    return tree.unflatten(treedef, results)


def _by_halving(xs: Sequence, axes: tuple[int, ...], combine: Callable) -> Sequence:
    """Combine neighbours until one slice is left: log2(n) rounds, order kept."""
    shape = shape_of(xs[0])
    rest = tuple([i for i in range(len(shape)) if i not in axes])
    n = size_of([shape[i] for i in axes])
    slices = [reshape(transpose(x, axes + rest), (n, *[shape[i] for i in rest])) for x in xs]
    while n > 1:
        half = n // 2
        paired = combine(*[[slice_in_dim(s, start, 2 * half, 2) for s in slices] for start in (0, 1)])
        odd = [[slice_in_dim(s, n - 1, n)] if n % 2 else [] for s in slices]
        slices = [concatenate_p.bind(p, *o, dimension=0) for p, o in zip(paired, odd)]
        n -= half
    return [reshape(s, shape_of(s)[1:]) for s in slices]
