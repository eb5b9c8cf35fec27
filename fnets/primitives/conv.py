"""Convolution: three bilinear primitives, each one's derivatives being the other two, and the user's functions. May import base, conv_run, core.

    conv(x, w) -> y     conv_input_grad(y, w) -> x     conv_weight_grad(x, y) -> w

All three contract the same trilinear form, so derivatives of any order stay in the family, and no gradient ever convolves stuffed zeros.
Inside, x is (N, C, *space), w is (O, C / groups, *window) and y is (N, O, *out); other layouts are transposes, which NumPy does by strides.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fnets.core.avals import ShapedArray, is_float
from fnets.core.primitive import Primitive
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, DTypeError, FnetsError, ShapeError
from fnets.primitives import conv_run
from fnets.primitives.base import arr, convert, inverse_permutation, move_dim, reshape, transpose, zeros_of
from fnets.primitives.conv_geometry import Geometry, Ints, Pads, dilated, geometry
from fnets.primitives.elementwise import add

Padding = str | Sequence[tuple[int, int]]

# ------------------------------------------------------------------ the three primitives


_conv_geometry = functools.partial(geometry, "conv")


@functools.lru_cache(maxsize=1024)
def _input_grad_geometry(y: Ints, w: Ints, *, space: Ints, **params: Any) -> Geometry:
    x = (y[0] * params["batch_group_count"], w[1] * params["feature_group_count"], *space)
    return _matching("conv_input_grad", y, geometry("conv_input_grad", x, w, **params))


@functools.lru_cache(maxsize=1024)
def _weight_grad_geometry(x: Ints, y: Ints, *, window: Ints, **params: Any) -> Geometry:
    groups = params["feature_group_count"]
    if len(x) < 2 or x[1] % groups:
        raise ShapeError(f"[conv_weight_grad] expected x (N, C, ...) with C a multiple of {groups}, got {x}.")
    return _matching("conv_weight_grad", y, geometry("conv_weight_grad", x, (y[1], x[1] // groups, *window), **params))


def _matching(op: str, y: Ints, geo: Geometry) -> Geometry:
    if y != geo.y_shape:
        raise ShapeError(f"[{op}] expected a cotangent of shape {geo.y_shape}, as the convolution's result, got {y}.")
    return geo


def _check_dtypes(op: str, a: np.dtype, b: np.dtype) -> None:
    if a != b or not (a.kind in "iufc" or is_float(a)):
        raise DTypeError(
            f"[{op}] expected two arrays of one numeric dtype, got {a.name} and {b.name}. Convert one with x.astype(...)."
        )


def _declare(name: str, geometry_of: Callable, kernel: Callable, shape: str) -> Primitive:
    prim = Primitive(name, fresh=True)

    def impl(a: np.ndarray, b: np.ndarray, **params: Any) -> np.ndarray:
        geo = geometry_of(a.shape, b.shape, **params)
        if a.dtype != b.dtype or a.dtype.kind not in "iufcV":
            _check_dtypes(name, a.dtype, b.dtype)
        return kernel(geo, a, b)

    def abstract(a: ShapedArray, b: ShapedArray, **params: Any) -> ShapedArray:
        _check_dtypes(name, a.dtype, b.dtype)
        return ShapedArray(getattr(geometry_of(a.shape, b.shape, **params), shape), a.dtype)

    def lower(cg: Any, eqn: Any, args: list[str], out: str | None) -> str:
        geo = geometry_of(*[v.aval.shape for v in eqn.invars], **eqn.params)
        return f"{cg.const(functools.partial(kernel, geo), name)}({', '.join(args)})"

    prim.impl, prim.abstract = impl, abstract
    prim.lower["numpy"] = lower
    return prim


conv_p = _declare("conv", _conv_geometry, conv_run.forward, "y_shape")
conv_input_grad_p = _declare("conv_input_grad", _input_grad_geometry, conv_run.input_gradient, "x_shape")
conv_weight_grad_p = _declare("conv_weight_grad", _weight_grad_geometry, conv_run.window_gradient, "w_shape")


def conv_of(x: Any, w: Any, params: dict) -> Any:
    """y from x and w."""
    return conv_p.bind(x, w, **params)


def input_grad_of(y: Any, w: Any, x_shape: Ints, params: dict) -> Any:
    """x's cotangent from y's and w."""
    return conv_input_grad_p.bind(y, w, space=x_shape[2:], **params)


def weight_grad_of(x: Any, y: Any, w_shape: Ints, params: dict) -> Any:
    """w's cotangent from x and y's."""
    return conv_weight_grad_p.bind(x, y, window=w_shape[2:], **params)


def _bilinear(prim: Primitive, first: Callable, second: Callable) -> None:
    """Rules of a primitive that is linear in each operand. first(ct, a, b, params) is a's cotangent, second b's."""

    def jvp(primals: Sequence, tangents: Sequence, **params: Any) -> tuple:
        a, b = primals
        ta, tb = tangents
        out = prim.bind(a, b, **params)
        if not is_float(dtype_of(out)):
            return out, None
        tangent = None if ta is None else prim.bind(ta, b, **params)
        if tb is not None:
            other = prim.bind(a, tb, **params)
            tangent = other if tangent is None else add(tangent, other)
        return out, tangent

    def vjp(active: tuple, a: Any, b: Any, **params: Any) -> tuple:
        out = prim.bind(a, b, **params)
        if not is_float(dtype_of(out)):
            return out, None
        rules = (first, second)
        return out, lambda ct: [rules[i](ct, a, b, params) for i in active]

    prim.jvp, prim.vjp = jvp, vjp


def _without(params: dict, name: str) -> dict:
    return {k: v for k, v in params.items() if k != name}


_bilinear(
    conv_p,
    lambda ct, x, w, params: input_grad_of(ct, w, shape_of(x), params),
    lambda ct, x, w, params: weight_grad_of(x, ct, shape_of(w), params),
)
_bilinear(
    conv_input_grad_p,
    lambda ct, y, w, params: conv_of(ct, w, _without(params, "space")),
    lambda ct, y, w, params: weight_grad_of(ct, y, shape_of(w), _without(params, "space")),
)
_bilinear(
    conv_weight_grad_p,
    lambda ct, x, y, params: input_grad_of(y, ct, shape_of(x), _without(params, "window")),
    lambda ct, x, y, params: conv_of(x, ct, _without(params, "window")),
)

# ------------------------------------------------------------------ batching
# An operand alone is batched by folding the batch into images, outputs or channels; two together by making every example a group.


def _fold(x: Any, dim: int, size: int, axis: int, outer: int = 1) -> Any:
    """Merge the batch dimension into `axis`, behind the first `outer` blocks of that axis: (outer, rest) becomes (outer, size, rest)."""
    x = move_dim(x, dim, axis, size)
    shape = shape_of(x)
    if outer > 1:
        x = reshape(x, (*shape[: axis + 1], outer, shape[axis + 1] // outer, *shape[axis + 2 :]))
        x = transpose(x, (*range(axis), axis + 1, axis, *range(axis + 2, len(shape) + 1)))
    return reshape(x, (*shape[:axis], size * shape[axis + 1], *shape[axis + 2 :]))


def _unfold(x: Any, size: int, axis: int, outer: int = 1) -> tuple[Any, int]:
    """The inverse of `_fold`: the array with its batch dimension, and where that is."""
    shape = shape_of(x)
    rest = shape[axis] // (size * outer)
    if outer > 1:
        x = reshape(x, (*shape[:axis], outer, size, rest, *shape[axis + 1 :]))
        x = transpose(x, (*range(axis), axis + 1, axis, *range(axis + 2, len(shape) + 2)))
    return reshape(x, (*shape[:axis], size, outer * rest, *shape[axis + 1 :])), axis


def _as_groups(x: Any, dim: int, size: int, params: dict) -> tuple[Any, dict]:
    """x with every example a group of its own, and the parameters that say so: as the batch lies, groups of images or of channels."""
    if dim == 1 and params["batch_group_count"] == 1:
        return _fold(x, dim, size, 1), params | {"feature_group_count": size * params["feature_group_count"]}
    return _fold(x, dim, size, 0), params | {"batch_group_count": size * params["batch_group_count"]}


def _groups(params: dict) -> int:
    return params["feature_group_count"] * params["batch_group_count"]


def _conv_batch(size: int, vals: Sequence, dims: Sequence, **params: Any) -> tuple:
    (x, w), (dx, dw) = vals, dims
    if dw is None:
        return _unfold(conv_of(_fold(x, dx, size, 0, params["batch_group_count"]), w, params), size, 0)
    if dx is None:
        groups = _groups(params)
        return _unfold(conv_of(x, _fold(w, dw, size, 0, groups), params), size, 1, groups)
    x, params = _as_groups(x, dx, size, params)
    return _unfold(conv_of(x, _fold(w, dw, size, 0), params), size, 1)


def _input_grad_batch(size: int, vals: Sequence, dims: Sequence, space: Ints, **params: Any) -> tuple:
    (y, w), (dy, dw) = vals, dims
    x_shape = (0, 0, *space)
    if dw is None:
        out = input_grad_of(_fold(y, dy, size, 0), w, x_shape, params)
        return _unfold(out, size, 0, params["batch_group_count"])
    if dy is None:
        return _unfold(input_grad_of(y, _fold(w, dw, size, 1), x_shape, params), size, 1, params["feature_group_count"])
    by_channels = dy == 1 and params["batch_group_count"] == 1
    name = "feature_group_count" if by_channels else "batch_group_count"
    out = input_grad_of(_fold(y, dy, size, 1), _fold(w, dw, size, 0), x_shape, params | {name: size * params[name]})
    return _unfold(out, size, 1 if by_channels else 0)


def _weight_grad_batch(size: int, vals: Sequence, dims: Sequence, window: Ints, **params: Any) -> tuple:
    (x, y), (dx, dy) = vals, dims
    w_shape = (0, 0, *window)
    if dy is None:
        return _unfold(
            weight_grad_of(_fold(x, dx, size, 1, params["feature_group_count"]), y, w_shape, params), size, 1
        )
    if dx is None:
        groups = _groups(params)
        return _unfold(weight_grad_of(x, _fold(y, dy, size, 1, groups), w_shape, params), size, 0, groups)
    x, params = _as_groups(x, dx, size, params)
    return _unfold(weight_grad_of(x, _fold(y, dy, size, 1), w_shape, params), size, 0)


def _batch_with(prim: Primitive, rule: Callable) -> None:
    """Register a batching rule; a batch of no examples, which cannot be unfolded by division, is an array of no results."""

    def batch(size: int, vals: Sequence, dims: Sequence, **params: Any) -> tuple:
        if size:
            return rule(size, vals, dims, **params)
        shapes = [
            shape if d is None else (*shape[:d], *shape[d + 1 :])
            for shape, d in zip(map(shape_of, vals), dims, strict=True)
        ]
        out = prim.abstract(*[ShapedArray(shape, dtype_of(v)) for shape, v in zip(shapes, vals, strict=True)], **params)
        return zeros_of(ShapedArray((0, *out.shape), out.dtype)), 0

    prim.batch = batch


_batch_with(conv_p, _conv_batch)
_batch_with(conv_input_grad_p, _input_grad_batch)
_batch_with(conv_weight_grad_p, _weight_grad_batch)

# ------------------------------------------------------------------ dimension numbers and padding


class ConvDimensionNumbers(NamedTuple):
    """Where the dimensions are: (batch, feature, *spatial) of lhs and of the result, (out feature, in feature, *spatial) of rhs."""

    lhs_spec: Ints
    rhs_spec: Ints
    out_spec: Ints


@functools.lru_cache(maxsize=256)
def _dimension_numbers(numbers: tuple[str, str, str], ndim: int) -> ConvDimensionNumbers:
    lhs, rhs, out = numbers
    for spec, letters in ((lhs, "NC"), (rhs, "OI"), (out, "NC")):
        if not isinstance(spec, str) or len(spec) != ndim or len(set(spec)) != ndim or not set(letters) <= set(spec):
            raise ArgumentError(
                f"[conv] expected dimension_numbers like ('NHWC', 'HWIO', 'NHWC'), of {ndim} different letters each, got {numbers}. "
                f"{spec!r} must contain {letters[0]} and {letters[1]}, and other letters for the spatial dimensions."
            )
    space = [c for c in rhs if c not in "OI"]
    if not set(lhs) - set("NC") == set(out) - set("NC") == set(space):
        raise ArgumentError(f"[conv] expected the same spatial letters in all three dimension_numbers, got {numbers}.")
    return ConvDimensionNumbers(
        (lhs.index("N"), lhs.index("C"), *[lhs.index(c) for c in space]),
        (rhs.index("O"), rhs.index("I"), *[rhs.index(c) for c in space]),
        (out.index("N"), out.index("C"), *[out.index(c) for c in space]),
    )


def conv_dimension_numbers(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], dimension_numbers: Any
) -> ConvDimensionNumbers:
    """Dimension numbers in the form of positions.

    Args:
      lhs_shape, rhs_shape: the operands' shapes; only their lengths matter.
      dimension_numbers: None (batch and channels first), three strings like ("NHWC", "HWIO", "NHWC"), or a `ConvDimensionNumbers`.

    >>> conv_dimension_numbers((1, 8, 8, 3), (3, 3, 3, 16), ("NHWC", "HWIO", "NHWC")).lhs_spec
    (0, 3, 1, 2)
    """
    ndim = len(lhs_shape)
    if isinstance(dimension_numbers, ConvDimensionNumbers):
        return dimension_numbers
    if len(rhs_shape) != ndim:
        raise ShapeError(
            f"[conv] expected operands with the same number of axes, got {tuple(lhs_shape)} and {tuple(rhs_shape)}. Add one with x[None]."
        )
    if ndim < 2:
        raise ShapeError(
            f"[conv] expected operands (N, C, ...) and (O, C, ...), got {tuple(lhs_shape)} and {tuple(rhs_shape)}. "
            "Add a batch axis with x[None] or a channel axis with x[:, None]."
        )
    if dimension_numbers is None:
        first = tuple(range(ndim))
        return ConvDimensionNumbers(first, first, first)
    if not isinstance(dimension_numbers, (tuple, list)) or len(dimension_numbers) != 3:
        raise ArgumentError(
            f"[conv] expected dimension_numbers as three strings, got {dimension_numbers!r}. Use ('NHWC', 'HWIO', 'NHWC')."
        )
    return _dimension_numbers(tuple(dimension_numbers), ndim)


def padtype_to_pads(
    in_shape: Sequence[int], window_shape: Sequence[int], window_strides: Sequence[int], padding: str
) -> list[tuple[int, int]]:
    """The (low, high) padding of each dimension for "SAME", "SAME_LOWER" or "VALID".

    "SAME" makes ceil(size / stride) windows, with the odd element of padding at the end; "SAME_LOWER" puts it at the start.

    >>> padtype_to_pads((28, 28), (3, 4), (1, 2), "SAME")
    [(1, 1), (1, 1)]
    """
    name = padding.upper() if isinstance(padding, str) else padding
    if name == "VALID":
        return [(0, 0)] * len(in_shape)
    if name not in ("SAME", "SAME_LOWER"):
        raise ArgumentError(f"[padding] expected 'SAME', 'SAME_LOWER', 'VALID' or (low, high) pairs, got {padding!r}.")
    pads = []
    for n, window, stride in zip(in_shape, window_shape, window_strides):
        total = int(max(0, (-(-n // stride) - 1) * stride + window - n))
        pads.append((total // 2, total - total // 2) if name == "SAME" else (total - total // 2, total // 2))
    return pads


def resolve_padding(op: str, padding: Any, space: Ints, window: Ints, strides: Ints) -> Pads:
    """A padding argument as (low, high) pairs; `window` is the dilated one."""
    if isinstance(padding, str):
        return tuple(padtype_to_pads(space, window, strides, padding))
    try:
        pads = tuple([(int(lo), int(hi)) for lo, hi in padding])
    except (TypeError, ValueError):
        pads = None
    if pads is None or len(pads) != len(space):
        raise ArgumentError(
            f"[{op}] expected padding 'SAME', 'VALID' or {len(space)} pairs (low, high), got {padding!r}."
        )
    return pads


def per_dimension(op: str, name: str, value: Any, rank: int) -> Ints:
    """A strides or dilation argument (None: ones) as a tuple of ints of the right length."""
    if value is None:
        return (1,) * rank
    if isinstance(value, (int, np.integer)):
        return (int(value),) * rank
    out = tuple([int(v) for v in value])
    if len(out) != rank or min(out, default=1) < 1:
        raise ArgumentError(f"[{op}] expected {name} as {rank} positive ints, one per dimension, got {value!r}.")
    return out


# ------------------------------------------------------------------ the user's functions


def _operands(lhs: Any, rhs: Any, preferred_element_type: Any) -> tuple[Any, Any]:
    """Both operands as arrays of one dtype."""
    lhs, rhs = arr(lhs), arr(rhs)
    a, b = dtype_of(lhs), dtype_of(rhs)
    if a == b and preferred_element_type is None:
        return lhs, rhs
    dtype = np.result_type(a, b) if preferred_element_type is None else np.result_type(a, b, preferred_element_type)
    return convert(lhs, dtype), convert(rhs, dtype)


def _result(out: Any, preferred_element_type: Any) -> Any:
    return out if preferred_element_type is None else convert(out, preferred_element_type)


def _pick(shape: Ints, spec: Ints) -> Ints:
    return tuple([shape[i] for i in spec])


def conv_general_dilated(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: Padding,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """Convolution (without mirroring the window) over any number of spatial dimensions.

    Args:
      lhs: input, by default (N, C, *space).
      rhs: window, by default (O, C / feature_group_count, *window).
      window_strides: step of the window per spatial dimension.
      padding: "SAME", "SAME_LOWER", "VALID", or a (low, high) pair per spatial dimension; negative numbers crop.
      lhs_dilation: distance of neighbouring input elements, zeros in between; as in a transposed convolution.
      rhs_dilation: distance of neighbouring window elements ("atrous").
      dimension_numbers: layouts of lhs, rhs and result, like ("NHWC", "HWIO", "NHWC").
      feature_group_count: convolve that many groups of channels independently; O is split likewise.
      batch_group_count: convolve that many groups of images independently, each with its part of O.
      precision: accepted for JAX's sake; float32 is always computed in float32.
      preferred_element_type: dtype of the computation and the result.

    Returns:
      By default (N / batch_group_count, O, *out), in the operands' promoted dtype; out = (space + padding - window) // stride + 1.

    Raises:
      ShapeError, ArgumentError, DTypeError: operands or parameters that don't fit together.

    >>> conv_general_dilated(np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3)), (1, 1), "VALID")[0, 0]
    array([[9., 9.],
           [9., 9.]])
    """
    lhs, rhs = _operands(lhs, rhs, preferred_element_type)
    arguments = (
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        dimension_numbers,
        feature_group_count,
        batch_group_count,
    )
    try:
        numbers, params = _resolve(shape_of(lhs), shape_of(rhs), *arguments)
    except TypeError as error:
        if isinstance(error, FnetsError):
            raise
        numbers, params = _resolve(shape_of(lhs), shape_of(rhs), *map(_hashable, arguments))
    if numbers is None:
        y = conv_p.bind(lhs, rhs, **params)
    else:
        y = conv_p.bind(transpose(lhs, numbers.lhs_spec), transpose(rhs, numbers.rhs_spec), **params)
        y = transpose(y, inverse_permutation(numbers.out_spec))
    return _result(y, preferred_element_type)


def _hashable(value: Any) -> Any:
    """Lists and arrays as tuples, also inside."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return (
        tuple([_hashable(v) for v in value])
        if isinstance(value, (list, tuple)) and not hasattr(value, "_fields")
        else value
    )


@functools.lru_cache(maxsize=1024)
def _resolve(
    lhs_shape: Ints,
    rhs_shape: Ints,
    window_strides: Any,
    padding: Any,
    lhs_dilation: Any,
    rhs_dilation: Any,
    dimension_numbers: Any,
    feature_group_count: int,
    batch_group_count: int,
) -> tuple[ConvDimensionNumbers | None, dict]:
    """The arguments of `conv_general_dilated` as dimension numbers (None: nothing to transpose) and parameters of the primitive."""
    numbers = conv_dimension_numbers(lhs_shape, rhs_shape, dimension_numbers)
    first = tuple(range(len(lhs_shape)))
    x_shape, w_shape = _pick(lhs_shape, numbers.lhs_spec), _pick(rhs_shape, numbers.rhs_spec)
    rank = len(x_shape) - 2
    strides = per_dimension("conv", "window_strides", window_strides, rank)
    lhs_dilation = per_dimension("conv", "lhs_dilation", lhs_dilation, rank)
    rhs_dilation = per_dimension("conv", "rhs_dilation", rhs_dilation, rank)
    if isinstance(padding, str) and padding.upper() != "VALID" and max(lhs_dilation, default=1) > 1:
        raise ArgumentError(
            f"[conv] expected explicit padding with lhs_dilation, got {padding!r}. Pass (low, high) pairs, or use conv_transpose."
        )
    window = tuple([dilated(n, d) for n, d in zip(w_shape[2:], rhs_dilation)])
    params = {
        "window_strides": strides,
        "padding": resolve_padding("conv", padding, x_shape[2:], window, strides),
        "lhs_dilation": lhs_dilation,
        "rhs_dilation": rhs_dilation,
        "feature_group_count": int(feature_group_count),
        "batch_group_count": int(batch_group_count),
    }
    return None if numbers == (first, first, first) else numbers, params


def conv(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """Convolution of (N, C, *space) with (O, C, *window); see `conv_general_dilated`.

    >>> conv(np.ones((1, 2, 5)), np.ones((3, 2, 2)), (2,), "VALID").shape
    (1, 3, 2)
    """
    return conv_general_dilated(
        lhs, rhs, window_strides, padding, precision=precision, preferred_element_type=preferred_element_type
    )


def conv_with_general_padding(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: Padding,
    lhs_dilation: Sequence[int] | None,
    rhs_dilation: Sequence[int] | None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """Convolution of (N, C, *space) with (O, C, *window), with explicit padding and dilations; see `conv_general_dilated`.

    >>> conv_with_general_padding(np.ones((1, 2, 5)), np.ones((3, 2, 2)), (1,), [(1, 0)], None, (2,)).shape
    (1, 3, 4)
    """
    return conv_general_dilated(
        lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation, None, 1, 1, precision, preferred_element_type
    )


_TRANSPOSE_NUMBERS = {
    2: ("NC", "IO", "NC"),
    3: ("NHC", "HIO", "NHC"),
    4: ("NHWC", "HWIO", "NHWC"),
    5: ("NHWDC", "HWDIO", "NHWDC"),
}


def _transpose_pads(window: int, stride: int, padding: str) -> tuple[int, int]:
    """Padding of the dilated input so that the result has size * stride ("SAME") or size * stride + max(window - stride, 0) elements."""
    same = padding.upper() == "SAME"
    total = window + stride - 2 + (0 if same else max(window - stride, 0))
    low = window - 1 if not same or stride > window - 1 else -(-total // 2)
    return low, total - low


def conv_transpose(
    lhs: Any,
    rhs: Any,
    strides: Sequence[int],
    padding: Padding,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    transpose_kernel: bool = False,
    precision: Any = None,
    preferred_element_type: Any = None,
    use_consistent_padding: bool = False,
) -> Any:
    """Transposed ("fractionally strided") convolution: a convolution of the input spread out by `strides`.

    Args:
      lhs: input, by default channels last, (N, *space, C).
      rhs: window, by default (*window, C, O).
      strides: distance of neighbouring input elements in the result.
      padding: "SAME" gives size * stride elements, "VALID" size * stride + max(window - stride, 0); or (low, high) pairs for the spread input.
      rhs_dilation: distance of neighbouring window elements.
      dimension_numbers: layouts, as in `conv_general_dilated`.
      transpose_kernel: mirror the window and swap its channels: exactly the gradient of a convolution with respect to its input.
      use_consistent_padding: read (low, high) pairs as the padding of the convolution that this one transposes.

    >>> conv_transpose(np.ones((1, 4, 2)), np.ones((3, 2, 5)), (2,), "SAME").shape
    (1, 8, 5)
    """
    lhs, rhs = _operands(lhs, rhs, preferred_element_type)
    lhs_shape, rhs_shape = shape_of(lhs), shape_of(rhs)
    if dimension_numbers is None:
        dimension_numbers = _TRANSPOSE_NUMBERS.get(len(lhs_shape))
        if dimension_numbers is None:
            raise ArgumentError(
                f"[conv_transpose] expected dimension_numbers for an input of {len(lhs_shape)} axes, got None."
            )
    numbers = conv_dimension_numbers(lhs_shape, rhs_shape, dimension_numbers)
    y, w = transpose(lhs, numbers.lhs_spec), transpose(rhs, numbers.rhs_spec)
    space, w_shape = _pick(lhs_shape, numbers.lhs_spec)[2:], _pick(rhs_shape, numbers.rhs_spec)
    rank = len(space)
    strides = per_dimension("conv_transpose", "strides", strides, rank)
    rhs_dilation = per_dimension("conv_transpose", "rhs_dilation", rhs_dilation, rank)
    window = tuple([dilated(n, d) for n, d in zip(w_shape[2:], rhs_dilation)])
    if isinstance(padding, str) and padding.upper() in ("SAME", "VALID"):
        pads = tuple([_transpose_pads(k, s, padding) for k, s in zip(window, strides)])
    else:
        pads = resolve_padding("conv_transpose", padding, space, window, strides)
        if use_consistent_padding:
            pads = tuple([(k - 1 - lo, k - 1 - hi) for k, (lo, hi) in zip(window, pads)])
    groups = {"feature_group_count": 1, "batch_group_count": 1}
    ones = (1,) * rank
    if transpose_kernel:
        # the convolution whose gradient this is takes `out` elements, padded by what the spread input is not
        out = tuple([dilated(n, s) + lo + hi - k + 1 for n, s, k, (lo, hi) in zip(space, strides, window, pads)])
        own = tuple([(k - 1 - lo, k - 1 - hi) for k, (lo, hi) in zip(window, pads)])
        params = {
            "window_strides": strides,
            "padding": own,
            "lhs_dilation": ones,
            "rhs_dilation": rhs_dilation,
            **groups,
        }
        x = input_grad_of(y, w, (0, 0, *out), params)
    else:
        params = {
            "window_strides": ones,
            "padding": pads,
            "lhs_dilation": strides,
            "rhs_dilation": rhs_dilation,
            **groups,
        }
        x = conv_of(y, w, params)
    return _result(transpose(x, inverse_permutation(numbers.out_spec)), preferred_element_type)


def conv_general_dilated_patches(
    lhs: Any,
    filter_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: Padding,
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """The patches that a convolution's window sees, as channels: C * prod(filter_shape) of them, channel-major.

    Args:
      filter_shape: the window's spatial shape; the rest as in `conv_general_dilated`.

    >>> conv_general_dilated_patches(np.arange(5.0).reshape(1, 1, 5), (2,), (1,), "VALID")[0]
    array([[0., 1., 2., 3.],
           [1., 2., 3., 4.]])
    """
    lhs = arr(lhs)
    filter_shape = tuple([int(n) for n in filter_shape])
    ndim = len(filter_shape) + 2
    numbers = conv_dimension_numbers(shape_of(lhs), (0,) * ndim, dimension_numbers)
    channels, taps = shape_of(lhs)[numbers.lhs_spec[1]], prod(filter_shape)
    w = np.tile(np.eye(taps, dtype=dtype_of(lhs)).reshape(taps, 1, *filter_shape), (channels, *(1,) * (ndim - 1)))
    w = w.transpose(inverse_permutation(numbers.rhs_spec))
    return conv_general_dilated(
        lhs,
        w,
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        numbers,
        channels,
        1,
        precision,
        preferred_element_type,
    )
