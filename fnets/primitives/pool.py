"""Windowed reductions: extremes, sums, pooling, and `reduce_window` by any computation. May import base, elementwise, reduce, shape, conv, core.

    reduce_window_max(x) -> y            reduce_window_argmax(x) -> y, index      (and min)
    reduce_window_sum(x) -> y            window_spread(y) -> x, its transpose
    window_gather(x, index) -> y         window_scatter(y, index) -> x, its transpose

An extreme alone never computes places; its derivatives use the variant that does, whose index (the number of a tap, the first at ties)
makes them linear, so every order works. Padding never wins unless a window sees nothing else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from fnets import tree
from fnets.config import default_float
from fnets.core.avals import ShapedArray, is_float
from fnets.core.primitive import Primitive
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.primitives import pool_kernels
from fnets.primitives.base import arr, convert, linear, move_dim
from fnets.primitives.conv import Padding, per_dimension, resolve_padding
from fnets.primitives.conv_geometry import Ints, dilated
from fnets.primitives.elementwise import add, div, maximum, minimum, select
from fnets.primitives.pool_kernels import Windows, windows
from fnets.primitives.reduce import known_computation, reduction_operands
from fnets.primitives.shape import pad, slice_in_dim

_SINGLE = np.dtype(np.float32)


def _windows(op: str, shape: Ints, params: dict) -> Windows:
    return windows(
        op, shape, params["window_dimensions"], params["window_strides"], params["padding"], params["window_dilation"]
    )


def _at(params: dict, d: int) -> dict:
    """The parameters with a batch dimension at `d`, over which no window lies."""
    plain = {"window_dimensions": 1, "window_strides": 1, "padding": (0, 0), "window_dilation": 1}
    out = {k: (*params[k][:d], v, *params[k][d:]) for k, v in plain.items()}
    return params | out


def identity_of(name: str, dtype: np.dtype) -> Any:
    """What "max", "min", "add" or "mul" leave unchanged, as a scalar of the dtype.

    >>> identity_of("max", np.dtype("float32")), identity_of("min", np.dtype("int8"))
    (np.float32(-inf), np.int8(127))
    """
    if name in ("add", "mul"):
        return dtype.type(name == "mul")
    if dtype.kind == "b":
        return np.bool_(name == "min")
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return dtype.type(info.min if name == "max" else info.max)
    return dtype.type(-np.inf if name == "max" else np.inf)


# ------------------------------------------------------------------ sums


def _computed_in_single(kernel: Callable, x: np.ndarray, w: Windows) -> np.ndarray:
    if x.dtype.itemsize < 4 and x.dtype.kind in "fV":
        return kernel(x.astype(_SINGLE), w).astype(x.dtype)
    return kernel(x, w)


def _declare(name: str, kernel: Callable, shape: Callable) -> Primitive:
    """A primitive of one array; shape(aval's shape, params) -> (windows, shape of the result)."""
    prim = Primitive(name, fresh=True)
    prim.impl = lambda x, **params: kernel(x, shape(x.shape, params)[0])
    prim.abstract = lambda a, **params: ShapedArray(shape(a.shape, params)[1], a.dtype)

    def lower(cg: Any, eqn: Any, args: list[str], out: str | None) -> str:
        w = shape(eqn.invars[0].aval.shape, eqn.params)[0]
        return f"{cg.const(lambda x: kernel(x, w), name)}({args[0]})"

    prim.lower["numpy"] = lower
    return prim


def _of_input(shape: Ints, params: dict) -> tuple[Windows, Ints]:
    w = _windows("reduce_window", shape, params)
    return w, w.out


def _of_output(shape: Ints, params: dict) -> tuple[Windows, Ints]:
    w = _windows("window_spread", params["shape"], params)
    if shape != w.out:
        raise ShapeError(f"[window_spread] expected a cotangent of shape {w.out}, as the windows' result, got {shape}.")
    return w, w.shape


def _sum_kernel(x: np.ndarray, w: Windows) -> np.ndarray:
    return _computed_in_single(lambda x, w: pool_kernels.combine(np.add, x, w, 0), x, w)


def _spread_kernel(x: np.ndarray, w: Windows) -> np.ndarray:
    return _computed_in_single(pool_kernels.spread, x, w)


reduce_window_sum_p = _declare("reduce_window_sum", _sum_kernel, _of_input)
window_spread_p = _declare("window_spread", _spread_kernel, _of_output)


def _sum_batch(size: int, vals: Sequence, dims: Sequence, **params: Any) -> tuple:
    return reduce_window_sum_p.bind(vals[0], **_at(params, dims[0])), dims[0]


def _spread_batch(size: int, vals: Sequence, dims: Sequence, shape: Ints, **params: Any) -> tuple:
    d = dims[0]
    return window_spread_p.bind(vals[0], shape=(*shape[:d], size, *shape[d:]), **_at(params, d)), d


def _sum_transpose(ct: Any, aval: ShapedArray, **params: Any) -> Any:
    return window_spread_p.bind(ct, shape=aval.shape, **params)


def _spread_transpose(ct: Any, aval: ShapedArray, shape: Ints, **params: Any) -> Any:
    return reduce_window_sum_p.bind(ct, **params)


reduce_window_sum_p.batch, window_spread_p.batch = _sum_batch, _spread_batch
linear(reduce_window_sum_p, _sum_transpose)
linear(window_spread_p, _spread_transpose)

# ------------------------------------------------------------------ moving values to and from places

window_gather_p = Primitive("window_gather", fresh=True)
window_scatter_p = Primitive("window_scatter", fresh=True)


def _check_index(op: str, w: Windows, index: Ints) -> Windows:
    if index != w.out:
        raise ShapeError(f"[{op}] expected an index of shape {w.out}, one place per window, got {index}.")
    return w


def _gather_windows(x: Ints, index: Ints, params: dict) -> Windows:
    return _check_index("window_gather", _windows("window_gather", x, params), index)


def _scatter_windows(ct: Ints, index: Ints, params: dict) -> Windows:
    w = _check_index("window_scatter", _windows("window_scatter", params["shape"], params), index)
    return _check_index("window_scatter", w, ct)


window_gather_p.impl = lambda x, index, **params: pool_kernels.gather(
    x, index, _gather_windows(x.shape, index.shape, params)
)
window_scatter_p.impl = lambda ct, index, **params: pool_kernels.scatter(
    ct, index, _scatter_windows(ct.shape, index.shape, params)
)
window_gather_p.abstract = lambda x, index, **params: ShapedArray(
    _gather_windows(x.shape, index.shape, params).out, x.dtype
)
window_scatter_p.abstract = lambda ct, index, **params: ShapedArray(
    _scatter_windows(ct.shape, index.shape, params).shape, ct.dtype
)


def _linear_in_first(prim: Primitive, transpose: Callable) -> None:
    """Rules of a primitive that is linear in its first operand; the second is an index."""

    def jvp(primals: Sequence, tangents: Sequence, **params: Any) -> tuple:
        x, index = primals
        out = prim.bind(x, index, **params)
        t = tangents[0]
        return out, None if t is None or not is_float(dtype_of(out)) else prim.bind(t, index, **params)

    def vjp(active: tuple, x: Any, index: Any, **params: Any) -> tuple:
        out = prim.bind(x, index, **params)
        if not is_float(dtype_of(out)) or active[0] != 0:
            return out, None
        shape = shape_of(x)
        return out, lambda ct: (transpose(ct, index, shape, params), *[None] * (len(active) - 1))

    prim.jvp, prim.vjp = jvp, vjp


def _scatter(ct: Any, index: Any, shape: Ints, params: dict) -> Any:
    return window_scatter_p.bind(ct, index, shape=shape, **params)


_linear_in_first(window_gather_p, _scatter)
_linear_in_first(
    window_scatter_p,
    lambda ct, index, shape, params: window_gather_p.bind(
        ct, index, **{k: v for k, v in params.items() if k != "shape"}
    ),
)


def _aligned(size: int, vals: Sequence, dims: Sequence) -> tuple[Any, Any, int]:
    """Both operands with the batch dimension at one place."""
    d = dims[0] if dims[0] is not None else dims[1]
    return move_dim(vals[0], dims[0], d, size), move_dim(vals[1], dims[1], d, size), d


def _gather_batch(size: int, vals: Sequence, dims: Sequence, **params: Any) -> tuple:
    x, index, d = _aligned(size, vals, dims)
    return window_gather_p.bind(x, index, **_at(params, d)), d


def _scatter_batch(size: int, vals: Sequence, dims: Sequence, shape: Ints, **params: Any) -> tuple:
    ct, index, d = _aligned(size, vals, dims)
    return _scatter(ct, index, (*shape[:d], size, *shape[d:]), _at(params, d)), d


window_gather_p.batch, window_scatter_p.batch = _gather_batch, _scatter_batch

# ------------------------------------------------------------------ extremes


def _extreme(name: str, ufunc: np.ufunc) -> tuple[Primitive, Primitive]:
    """The primitives `reduce_window_<name>` and `reduce_window_arg<name>`."""

    def best(x: np.ndarray, w: Windows) -> np.ndarray:
        return pool_kernels.combine(ufunc, x, w, _identity(x.dtype))

    def best_and_place(x: np.ndarray, w: Windows) -> list[np.ndarray]:
        return pool_kernels.extreme(ufunc, x, w, _identity(x.dtype))

    def _identity(dtype: np.dtype) -> Any:
        if dtype.kind == "c":
            raise DTypeError(
                f"[reduce_window] expected real numbers for {name}, got {dtype.name}: complex numbers have no order. "
                "Compare their abs, or real and imaginary parts."
            )
        return identity_of(name, dtype)

    def check(a: ShapedArray, **params: Any) -> ShapedArray:
        _identity(a.dtype)
        return ShapedArray(_of_input(a.shape, params)[1], a.dtype)

    prim = _declare(f"reduce_window_{name}", best, _of_input)
    prim.abstract = check
    arg = Primitive(f"reduce_window_arg{name}", multi=True, fresh=True)
    arg.impl = lambda x, **params: best_and_place(x, _of_input(x.shape, params)[0])

    def arg_abstract(a: ShapedArray, **params: Any) -> list[ShapedArray]:
        y = check(a, **params)
        return [y, ShapedArray(y.shape, _of_input(a.shape, params)[0].index_dtype)]

    def jvp(primals: Sequence, tangents: Sequence, **params: Any) -> tuple:
        if tangents[0] is None or not is_float(dtype_of(primals[0])):
            return prim.bind(*primals, **params), None
        y, index = arg.bind(*primals, **params)
        return y, window_gather_p.bind(tangents[0], index, **params)

    def vjp(active: tuple, x: Any, **params: Any) -> tuple:
        if not is_float(dtype_of(x)):
            return prim.bind(x, **params), None
        y, index = arg.bind(x, **params)
        shape = shape_of(x)
        return y, lambda ct: (_scatter(ct, index, shape, params),)

    def arg_jvp(primals: Sequence, tangents: Sequence, **params: Any) -> tuple:
        y, index = arg.bind(*primals, **params)
        if tangents[0] is None or not is_float(dtype_of(y)):
            return [y, index], [None, None]
        return [y, index], [window_gather_p.bind(tangents[0], index, **params), None]

    def arg_vjp(active: tuple, x: Any, **params: Any) -> tuple:
        y, index = arg.bind(x, **params)
        if not is_float(dtype_of(y)):
            return [y, index], None
        shape = shape_of(x)
        return [y, index], lambda cts: (None if cts[0] is None else _scatter(cts[0], index, shape, params),)

    def batch(size: int, vals: Sequence, dims: Sequence, **params: Any) -> tuple:
        return prim.bind(vals[0], **_at(params, dims[0])), dims[0]

    def arg_batch(size: int, vals: Sequence, dims: Sequence, **params: Any) -> tuple:
        return arg.bind(vals[0], **_at(params, dims[0])), [dims[0], dims[0]]

    prim.jvp, prim.vjp, prim.batch = jvp, vjp, batch
    arg.abstract, arg.jvp, arg.vjp, arg.batch = arg_abstract, arg_jvp, arg_vjp, arg_batch
    return prim, arg


reduce_window_max_p, reduce_window_argmax_p = _extreme("max", np.maximum)
reduce_window_min_p, reduce_window_argmin_p = _extreme("min", np.minimum)
_PRIMITIVES = {"max": reduce_window_max_p, "min": reduce_window_min_p, "add": reduce_window_sum_p}

# ------------------------------------------------------------------ the user's functions


def _params(op: str, shape: Ints, window: Any, strides: Any, padding: Padding, dilation: Any) -> dict:
    """Parameters of the primitives from the arguments of `reduce_window`."""
    window = per_dimension(op, "window_dimensions", window, len(shape))
    strides = per_dimension(op, "window_strides", strides, len(shape))
    dilation = per_dimension(op, "window_dilation", dilation, len(shape))
    extent = tuple([dilated(n, d) for n, d in zip(window, dilation)])
    return {
        "window_dimensions": window,
        "window_strides": strides,
        "padding": resolve_padding(op, padding, shape, extent, strides),
        "window_dilation": dilation,
    }


def reduce_window(
    operand: Any,
    init_value: Any,
    computation: Callable,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None = None,
    padding: Padding = "VALID",
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Any:
    """Combine the elements of every window over an array.

    Args:
      operand: an array, or a pytree of arrays of one shape that are reduced together.
      init_value: a scalar for each operand, in the same structure: what each reduction starts from, and what padding holds.
      computation: `f(x, y)` of two such structures, associative and elementwise. Addition, maximum and minimum (fnets', NumPy's or a lambda)
        run as primitives of their own.
      window_dimensions: the window's length along every axis, 1 where there is none.
      window_strides: the window's step along every axis; by default 1.
      padding: "SAME", "SAME_LOWER", "VALID", or a (low, high) pair for every axis.
      base_dilation: distance of neighbouring elements of the operand, `init_value` in between.
      window_dilation: distance of neighbouring elements of the window.

    Returns:
      The structure of `operand`; each axis has (n + padding - window) // stride + 1 elements.

    Raises:
      ArgumentError, ShapeError: arguments that don't fit the operand, or a computation that returns another structure.

    >>> reduce_window(np.array([1.0, 5.0, 2.0, 4.0]), -np.inf, np.maximum, (2,), (2,))
    array([5., 4.])
    """
    xs, inits, treedef, combine = reduction_operands("reduce_window", operand, init_value, computation)
    shape = shape_of(xs[0])
    base = per_dimension("reduce_window", "base_dilation", base_dilation, len(shape))
    spread_shape = tuple([dilated(n, b) for n, b in zip(shape, base)])
    params = _params("reduce_window", spread_shape, window_dimensions, window_strides, padding, window_dilation)
    if len(xs) == 1 and treedef == tree.structure(0):
        name = _name(computation, dtype_of(xs[0]))
        if name in _PRIMITIVES and dtype_of(xs[0]).kind in ("iufcV" if name == "add" else "biufV"):
            return _by_primitive(name, xs[0], inits[0], base, params)

    return tree.unflatten(treedef, _by_slices(xs, inits, combine, base, params))


_NAMES = {np.add: "add", np.maximum: "max", np.minimum: "min", add: "add", maximum: "max", minimum: "min"}


def _name(computation: Callable, dtype: np.dtype) -> str:
    try:
        known = _NAMES.get(computation)
    except TypeError:  # not hashable
        known = None
    return known or known_computation(computation, dtype)


def _by_primitive(name: str, x: Any, init: Any, base: Ints, params: dict) -> Any:
    identity = identity_of(name, dtype_of(x))
    if max(base, default=1) > 1:
        x = pad(x, identity, [(0, 0, b - 1) for b in base])
    out = _PRIMITIVES[name].bind(x, **params)
    if isinstance(init, (np.ndarray, np.generic)) and init == identity:
        return out
    return {"add": add, "max": maximum, "min": minimum}[name](init, out)


def _by_slices(xs: Sequence, inits: Sequence, combine: Callable, base: Ints, params: dict) -> Sequence:
    """Combine the elements of windows by slices, axis by axis from the last, so that their order is kept; padding takes no part."""
    rank = len(base)
    shape = shape_of(xs[0])
    xs = [pad(x, v, [(lo, hi, b - 1) for (lo, hi), b in zip(params["padding"], base)]) for x, v in zip(xs, inits)]
    seen = []  # per axis, from the last: where a window sees any element
    for axis in reversed(range(rank)):
        (lo, hi), b = params["padding"][axis], base[axis]
        exists = np.zeros(max(0, dilated(shape[axis], b) + lo + hi), bool)
        places = np.arange(shape[axis]) * b + lo
        exists[places[(places >= 0) & (places < len(exists))]] = True
        n, s, d = (params[k][axis] for k in ("window_dimensions", "window_strides", "window_dilation"))
        out = max(0, (len(exists) - dilated(n, d)) // s + 1)
        end = max(0, (out - 1) * s + 1)
        along = (-1, *(1,) * (rank - 1 - axis))
        total: Sequence = []
        some = np.zeros(out, bool)
        for start in range(0, n * d, d) if out else (0,):
            tap = [slice_in_dim(x, start, start + end, s, axis) for x in xs]
            here = exists[start : start + end : s]
            total = _where_seen(combine, total, some.reshape(along), tap, here.reshape(along)) if total else tap
            some = some | here
        xs = total
        seen.insert(0, some)
    everywhere = functools.reduce(np.logical_and.outer, seen, np.ones((), bool))
    total = combine(inits, xs)
    return total if everywhere.all() else [select(everywhere, t, v) for t, v in zip(total, inits)]


def _where_seen(
    combine: Callable, left: Sequence, has_left: np.ndarray, right: Sequence, has_right: np.ndarray
) -> Sequence:
    """Combine two slices where both exist; where one does, take that one."""
    if not has_right.any():
        return left
    if not has_left.any():
        return right
    both = has_left & has_right
    combined = combine(left, right)
    if both.all():
        return combined
    return [select(both, c, select(has_right, r, a)) for c, a, r in zip(combined, left, right)]


# ------------------------------------------------------------------ pooling


def _pool_params(
    op: str, x: Any, window_shape: Any, strides: Any, padding: Padding, dilation: Any, spatial_dims: Any
) -> dict:
    """Parameters over all axes from those of the spatial ones."""
    shape = shape_of(x)
    if isinstance(window_shape, (int, np.integer)):
        rank = len(spatial_dims) if spatial_dims is not None else len(shape) - 2
        window_shape = (int(window_shape),) * rank
    window = tuple([int(n) for n in window_shape])
    rank = len(window)
    dims = (
        tuple(range(len(shape) - rank, len(shape)))
        if spatial_dims is None
        else tuple([d % len(shape) for d in spatial_dims])
    )
    if len(dims) != rank or rank > len(shape) or len(set(dims)) != rank:
        raise ShapeError(
            f"[{op}] expected x with a spatial axis for each entry of window_shape {window}, got shape {shape}. "
            "By default they are the last axes; for channels-last arrays pass spatial_dims=(1, 2)."
        )
    if isinstance(padding, int):
        padding = [(padding, padding)] * rank
    if not isinstance(padding, str):
        pairs = [(p, p) if isinstance(p, (int, np.integer)) else tuple(p) for p in padding]
        if len(pairs) != rank:
            raise ArgumentError(
                f"[{op}] expected padding 'SAME', 'VALID', an int, or {rank} pairs (low, high), got {padding!r}."
            )
        full: list[Any] = [(0, 0)] * len(shape)
        for d, pair in zip(dims, pairs):
            full[d] = pair
        padding = full

    def everywhere(name: str, value: Any) -> Ints:
        out = [1] * len(shape)
        for d, v in zip(dims, per_dimension(op, name, value, rank)):
            out[d] = v
        return tuple(out)

    return _params(
        op,
        shape,
        everywhere("window_shape", window),
        everywhere("strides", window if strides is None else strides),
        padding,
        everywhere("dilation", dilation),
    )


def max_pool(
    x: Any,
    window_shape: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: int | Padding = "VALID",
    dilation: int | Sequence[int] | None = None,
    spatial_dims: Sequence[int] | None = None,
) -> Any:
    """The maximum of every window. Its gradient goes to the first element that attains it; padding never wins.

    Args:
      x: array; by default its last axes are the spatial ones, as in (N, C, H, W).
      window_shape: the window's lengths; an int stands for all axes after the first two.
      strides: by default the window's lengths, so that windows don't overlap.
      padding: "VALID", "SAME", an int, an int or a (low, high) pair per spatial axis.
      dilation: distance of neighbouring elements of the window.
      spatial_dims: the axes that the window lies over, for other layouts.

    >>> max_pool(np.arange(16.0).reshape(1, 1, 4, 4), (2, 2))[0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    x = arr(x)
    return reduce_window_max_p.bind(
        x, **_pool_params("max_pool", x, window_shape, strides, padding, dilation, spatial_dims)
    )


def min_pool(
    x: Any,
    window_shape: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: int | Padding = "VALID",
    dilation: int | Sequence[int] | None = None,
    spatial_dims: Sequence[int] | None = None,
) -> Any:
    """The minimum of every window; arguments as in `max_pool`.

    >>> min_pool(np.arange(16.0).reshape(1, 1, 4, 4), (2, 2))[0, 0]
    array([[ 0.,  2.],
           [ 8., 10.]])
    """
    x = arr(x)
    return reduce_window_min_p.bind(
        x, **_pool_params("min_pool", x, window_shape, strides, padding, dilation, spatial_dims)
    )


def avg_pool(
    x: Any,
    window_shape: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: int | Padding = "VALID",
    count_include_pad: bool = True,
    spatial_dims: Sequence[int] | None = None,
) -> Any:
    """The mean of every window; integers become floats.

    Args:
      count_include_pad: padding counts as zeros; otherwise the mean is over the elements that exist.
      The others are as in `max_pool`.

    >>> avg_pool(np.arange(16.0).reshape(1, 1, 4, 4), (2, 2))[0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    x = arr(x)
    if not is_float(dtype_of(x)):
        x = convert(x, default_float())
    params = _pool_params("avg_pool", x, window_shape, strides, padding, None, spatial_dims)
    total = reduce_window_sum_p.bind(x, **params)
    w = _windows("avg_pool", shape_of(x), params)
    if count_include_pad or w.full:
        return div(total, prod(params["window_dimensions"]))
    return div(total, convert(_counts(w), dtype_of(x)))


@functools.lru_cache(maxsize=64)
def _counts(w: Windows) -> np.ndarray:
    """How many elements each window sees, with axes of length 1 where no window lies; at least 1."""
    total = np.ones((), np.int64)
    active = {a.axis: a for a in w.axes}
    for k in range(len(w.shape)):
        own = np.ones(1, np.int64)
        if k in active:
            own = np.zeros(w.out[k], np.int64)
            for tap in active[k].taps:
                own[tap.box[-1]] += 1
        total = np.multiply.outer(total, own)
    return np.maximum(total, 1)
