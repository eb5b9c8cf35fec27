"""The five structural operations that every rule needs (convert, reshape, transpose, broadcast_to, reduce_sum) and the helpers built on them.

Lives here: also the declaration helpers `linear` and `nondifferentiable`, the undoing of broadcasting, and the moving of batch
dimensions. May import core, errors, config.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from operator import index as operator_index
from typing import Any

import numpy as np

from fnets import config
from fnets.core.avals import ShapedArray, is_float, python_type, strong_dtype
from fnets.core.checked import while_set
from fnets.core.primitive import Primitive
from fnets.core.trace import Tracer, dtype_of, is_weak, shape_of, typeof
from fnets.errors import AxisError, DTypeError, ShapeError

# ------------------------------------------------------------------ declaring rules


def linear(prim: Primitive, transpose: Callable) -> None:
    """Derive jvp and vjp of a primitive that is linear in its one operand.

    transpose(ct, aval, **params) gives the operand's cotangent, `aval` being the operand's.
    """
    bind = prim.bind

    def jvp(primals: Sequence, tangents: Sequence, **params: Any) -> tuple:
        out = bind(*primals, **params)
        return out, bind(tangents[0], **params) if is_float(dtype_of(out)) else None

    def vjp(active: tuple, x: Any, **params: Any) -> tuple:
        out = bind(x, **params)
        if not is_float(dtype_of(out)):
            return out, None
        shape, dtype, weak = shape_of(x), dtype_of(x), is_weak(x)
        return out, lambda ct: (transpose(ct, ShapedArray(shape, dtype, weak), **params),)

    prim.jvp, prim.vjp = jvp, vjp


def nondifferentiable(prim: Primitive) -> None:
    """Declare that a primitive's results carry no derivative (comparisons, rounding, integers)."""
    prim.differentiable = False

    def jvp(primals: Sequence, tangents: Sequence, **params: Any) -> tuple:
        out = prim.bind(*primals, **params)
        return out, [None] * len(out) if prim.multi else None

    prim.jvp = jvp
    prim.vjp = lambda active, *primals, **params: (prim.bind(*primals, **params), None)


def arr(x: Any) -> Any:
    """A Python scalar as a 0-d array of the default dtype; arrays and tracers as they are, a weak tracer made strong.

    >>> arr(1.5).dtype
    dtype('float32')
    """
    if type(x) is np.ndarray:
        return x
    if isinstance(x, Tracer) and not x.weak_type or isinstance(x, (np.generic, np.ndarray)):
        return x
    if is_weak(x):
        return convert(x, strong_dtype(typeof(x)))
    aval = typeof(x)  # raises the clear error for what is not array-like
    return np.asarray(x, dtype=aval.dtype)


def as_axis(axis: Any, ndim: int, op: str) -> int:
    """A checked, non-negative axis.

    >>> as_axis(-1, 3, "sum")
    2
    """
    axis = operator_index(axis)
    if not -ndim <= axis < ndim:
        fix = f"between {-ndim} and {ndim - 1}" if ndim else "none: the array has no axes"
        raise AxisError(f"[{op}] expected an axis {fix}, got {axis}. Check the array's shape with x.shape.")
    return axis + ndim if axis < 0 else axis


def as_axes(axis: Any, ndim: int, op: str) -> tuple[int, ...]:
    """An `axis=` argument (None, an int, or several) as a sorted tuple of checked, non-negative axes.

    >>> as_axes(None, 2, "sum"), as_axes((-1, 0), 3, "sum")
    ((0, 1), (0, 2))
    """
    if axis is None:
        return tuple(range(ndim))
    if type(axis) is int:
        return (as_axis(axis, ndim, op),)
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    checked = tuple(sorted(as_axis(a, ndim, op) for a in axes))
    if len(set(checked)) != len(checked):
        raise AxisError(f"[{op}] expected different axes, got {axis}: one is named twice. Remove it.")
    return checked


def as_shape(shape: Any) -> tuple[int, ...]:
    """A shape argument (an int or a sequence of ints) as a tuple of Python ints."""
    if isinstance(shape, (int, np.integer)):
        return (int(shape),)
    return tuple([operator_index(n) for n in shape])


# ------------------------------------------------------------------ convert_element_type

convert_element_type_p = Primitive("convert_element_type", kind="elementwise")


def _convert_impl(x: Any, new_dtype: np.dtype) -> Any:
    if isinstance(x, (np.ndarray, np.generic)):
        if x.dtype.kind == "c" and new_dtype.kind != "c":
            x = x.real != 0 if new_dtype.kind == "b" else x.real
        return x.astype(new_dtype, copy=False)
    return np.array(
        x.real if isinstance(x, complex) and new_dtype.kind != "c" else x, new_dtype
    )  # an array: no longer weak


convert_element_type_p.impl = _convert_impl
convert_element_type_p.abstract = lambda a, new_dtype: ShapedArray(a.shape, new_dtype)
convert_element_type_p.batch = lambda size, vals, dims, new_dtype: (convert(vals[0], new_dtype), dims[0])
linear(convert_element_type_p, lambda ct, aval, new_dtype: convert(ct, aval.dtype))


def _convert_lower(cg: Any, eqn: Any, args: list[str], out: str | None) -> str:
    aval, dtype = eqn.invars[0].aval, eqn.params["new_dtype"]
    if aval.weak_type or (aval.dtype.kind == "c" and dtype.kind != "c"):
        return f"{cg.const(_convert_impl)}({args[0]}, {cg.const(dtype)})"
    return f"{args[0]}.astype({cg.const(dtype)})"


convert_element_type_p.lower["numpy"] = _convert_lower


def convert(x: Any, dtype: Any) -> Any:
    """`x` with another dtype; a complex array loses its imaginary part when `dtype` is real.

    >>> convert(np.arange(2), "float32").dtype
    dtype('float32')
    """
    dtype = np.dtype(dtype)
    return x if dtype_of(x) == dtype and not is_weak(x) else convert_element_type_p.bind(x, new_dtype=dtype)


# ------------------------------------------------------------------ reshape

reshape_p = Primitive("reshape", kind="view")


def _reshape_abstract(a: ShapedArray, new_sizes: tuple[int, ...]) -> ShapedArray:
    size = 1
    for n in new_sizes:
        size *= n
    if size != a.size or min(new_sizes, default=0) < 0:
        raise ShapeError(
            f"[reshape] expected a new shape with {a.size} elements, as in {a.shape}, got {new_sizes} with {size}. "
            "One entry may be -1: it is worked out from the others."
        )
    return ShapedArray(new_sizes, a.dtype)


reshape_p.impl = lambda x, new_sizes: x.reshape(new_sizes)
reshape_p.abstract = _reshape_abstract
reshape_p.batch = lambda size, vals, dims, new_sizes: (
    reshape(move_dim(vals[0], dims[0], 0, size), (size, *new_sizes)),
    0,
)
linear(reshape_p, lambda ct, aval, new_sizes: reshape(ct, aval.shape))
reshape_p.lower["numpy"] = lambda cg, eqn, args, out: f"{args[0]}.reshape({eqn.params['new_sizes']})"


def reshape(x: Any, shape: tuple[int, ...]) -> Any:
    """`x` in another shape, in C order; `shape` is a tuple without -1 (the user's `reshape` resolves that)."""
    return x if shape_of(x) == shape else reshape_p.bind(arr(x), new_sizes=shape)


# ------------------------------------------------------------------ transpose

transpose_p = Primitive("transpose", kind="view")


def inverse_permutation(permutation: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes another.

    >>> inverse_permutation((1, 2, 0))
    (2, 0, 1)
    """
    out = [0] * len(permutation)
    for i, p in enumerate(permutation):
        out[p] = i
    return tuple(out)


def _transpose_abstract(a: ShapedArray, permutation: tuple[int, ...]) -> ShapedArray:
    if sorted(permutation) != list(range(a.ndim)):
        raise AxisError(
            f"[transpose] expected a permutation of {tuple(range(a.ndim))} for shape {a.shape}, got {permutation}."
        )
    return ShapedArray([a.shape[i] for i in permutation], a.dtype)


def _transpose_batch(size: int, vals: Sequence, dims: Sequence, permutation: tuple[int, ...]) -> tuple:
    d = dims[0]
    moved = (d, *[p + (p >= d) for p in permutation])
    return transpose(vals[0], moved), 0


transpose_p.impl = lambda x, permutation: x.transpose(permutation)
transpose_p.abstract = _transpose_abstract
transpose_p.batch = _transpose_batch
linear(transpose_p, lambda ct, aval, permutation: transpose(ct, inverse_permutation(permutation)))
transpose_p.lower["numpy"] = lambda cg, eqn, args, out: f"{args[0]}.transpose({eqn.params['permutation']})"


def transpose(x: Any, permutation: tuple[int, ...]) -> Any:
    """`x` with its axes permuted; `permutation` is a tuple of non-negative axes."""
    if permutation == _identity_permutation(len(permutation)) and len(permutation) == len(shape_of(x)):
        return x
    return transpose_p.bind(arr(x), permutation=permutation)


@functools.lru_cache(maxsize=64)
def _identity_permutation(ndim: int) -> tuple[int, ...]:
    return tuple(range(ndim))


def move_dim(x: Any, src: int | None, dst: int, size: int) -> Any:
    """Move a batch dimension from `src` to `dst`; with `src` None, broadcast `x` along a new one of length `size`."""
    if src is None:
        shape = shape_of(x)
        return move_dim(broadcast_to(arr(x), (size, *shape)), 0, dst, size)
    if src == dst:
        return x
    rest = [i for i in range(len(shape_of(x))) if i != src]
    rest.insert(dst, src)
    return transpose(x, tuple(rest))


# ------------------------------------------------------------------ broadcast_to

broadcast_to_p = Primitive("broadcast_to", kind="view")


def _broadcast_abstract(a: ShapedArray, shape: tuple[int, ...]) -> ShapedArray:
    lead = len(shape) - a.ndim
    if lead < 0 or any(n not in (1, m) for n, m in zip(a.shape, shape[lead:])):
        raise ShapeError(
            f"[broadcast_to] expected a shape that broadcasts to {shape}, got {a.shape}. "
            "Axes are aligned at the end, and each must be 1 or equal."
        )
    return ShapedArray(shape, a.dtype)


def _broadcast_batch(size: int, vals: Sequence, dims: Sequence, shape: tuple[int, ...]) -> tuple:
    x = move_dim(vals[0], dims[0], 0, size)
    own = shape_of(x)
    ones = (1,) * (len(shape) + 1 - len(own))
    return broadcast_to(reshape(x, (size, *ones, *own[1:])), (size, *shape)), 0


def _broadcast_impl(x: Any, shape: tuple[int, ...]) -> Any:
    if isinstance(x, np.generic):
        return np.ndarray(shape, x.dtype, x, 0, (0,) * len(shape))
    lead = len(shape) - x.ndim
    if lead < 0 or not x.flags.c_contiguous or x.dtype.hasobject:
        return np.broadcast_to(x, shape)
    strides = [0] * lead
    for n, m, stride in zip(x.shape, shape[lead:], x.strides):
        if n != m and n != 1:
            return np.broadcast_to(x, shape)  # raises
        strides.append(stride if n == m else 0)
    out = np.ndarray(shape, x.dtype, x, 0, strides)  # a fifth of the time of np.broadcast_to
    out.flags.writeable = False
    return out


broadcast_to_p.impl = _broadcast_impl
broadcast_to_p.abstract = _broadcast_abstract
broadcast_to_p.batch = _broadcast_batch
linear(broadcast_to_p, lambda ct, aval, shape: unbroadcast(ct, aval.shape))


def broadcast_to(x: Any, shape: tuple[int, ...]) -> Any:
    """`x` repeated along axes of length one, and along new leading axes, up to `shape`. A read-only view in NumPy."""
    return x if shape_of(x) == shape else broadcast_to_p.bind(arr(x), shape=shape)


# ------------------------------------------------------------------ reduce_sum

reduce_sum_p = Primitive("reduce_sum", kind="reduce")


@functools.cache
def sum_dtype(dtype: np.dtype) -> np.dtype:
    """NumPy's dtype of a sum or product: small integers and bools widen to 64 bits.

    >>> sum_dtype(np.dtype("int8"))
    dtype('int64')
    """
    if dtype.kind == "b":
        return np.dtype("int64")
    if dtype.kind in "iu" and dtype.itemsize < 8:
        return np.dtype("int64" if dtype.kind == "i" else "uint64")
    return dtype


def one_axis(axes: tuple[int, ...]) -> Any:
    """A one-element tuple of axes as an int: NumPy reduces faster over an int."""
    return axes[0] if len(axes) == 1 else axes


def reduced(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that is left after reducing over `axes`."""
    return tuple([n for i, n in enumerate(shape) if i not in axes])


def kept(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with the reduced axes kept as ones."""
    return tuple([1 if i in axes else n for i, n in enumerate(shape)])


def batch_reduction(prim: Primitive) -> None:
    """The batch rule of a reduction whose parameter `axes` counts the operand's axes: skip over the batch dimension."""

    def batch(size: int, vals: Sequence, dims: Sequence, axes: tuple[int, ...], **params: Any) -> tuple:
        d = dims[0]
        moved = tuple([a + (a >= d) for a in axes])
        return prim.bind(vals[0], axes=moved, **params), d - sum(a < d for a in moved)

    prim.batch = batch


_add_reduce = np.add.reduce


def _sum_impl(x: Any, axes: tuple[int, ...]) -> Any:
    return _add_reduce(x, axes[0] if len(axes) == 1 else axes)


def _sum_abstract(a: ShapedArray, axes: tuple[int, ...]) -> ShapedArray:
    half = a.dtype.itemsize == 2 and is_float(a.dtype)
    if half and not config.read("allow_f16_reductions") and any([a.shape[i] != 1 for i in axes]):
        raise DTypeError(
            f"[reduce_sum] expected elements of at least 32 bits (allow_f16_reductions is False), got {a.str_short(short_dtypes=False)}. "
            "Sum x.astype('float32')."
        )
    return ShapedArray(reduced(a.shape, axes), sum_dtype(a.dtype))


def _sum_checked(prim: Primitive, impl: Callable) -> Callable:
    if prim is not reduce_sum_p:
        return impl

    def run(x: Any, axes: tuple[int, ...]) -> Any:
        _sum_abstract(typeof(x), axes)
        return impl(x, axes=axes)

    return run


reduce_sum_p.impl = _sum_impl
reduce_sum_p.abstract = _sum_abstract
while_set(_sum_checked, "allow_f16_reductions")
batch_reduction(reduce_sum_p)


def spread(ct: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """The transpose of reducing `axes` away: repeat the cotangent along them, up to `shape`."""
    return broadcast_to(ct if len(axes) == len(shape) else reshape(ct, kept(shape, axes)), shape)


linear(reduce_sum_p, lambda ct, aval, axes: spread(ct, aval.shape, axes))
reduce_sum_p.lower["numpy"] = lambda cg, eqn, args, out: (
    f"{cg.const(_add_reduce, 'sum')}({args[0]}, {one_axis(eqn.params['axes'])})"
)


def reduce_sum(x: Any, axes: tuple[int, ...]) -> Any:
    """The sum over a tuple of non-negative axes."""
    return reduce_sum_p.bind(arr(x), axes=axes) if axes else x


# ------------------------------------------------------------------ undoing broadcasting and promotion


def unbroadcast(x: Any, shape: tuple[int, ...]) -> Any:
    """Sum `x` down to `shape`: the transpose of broadcasting."""
    have = shape_of(x)
    if have == shape:
        return x
    lead = len(have) - len(shape)
    axes = tuple(range(lead)) + tuple([i + lead for i, n in enumerate(shape) if n == 1 and have[i + lead] != 1])
    return reshape(reduce_sum(x, axes), shape)


def fit(ct: Any, aval: ShapedArray) -> Any:
    """Bring a cotangent to the shape and dtype of the operand that it belongs to."""
    if shape_of(ct) != aval.shape:
        ct = unbroadcast(ct, aval.shape)
    if aval.weak_type:  # a Python scalar takes any precision, but a real one no imaginary part
        return real_part(ct) if aval.dtype.kind != "c" and dtype_of(ct).kind == "c" else ct
    return ct if dtype_of(ct) == aval.dtype else convert(ct, aval.dtype)


def real_part(x: Any) -> Any:
    """The real part of a complex array, in the float dtype of the same precision."""
    return convert(x, np.dtype("float32" if dtype_of(x) == np.complex64 else "float64"))


_ZERO_BYTES = bytes(64)


def zeros_of(aval: ShapedArray) -> Any:
    """Zeros for an aval: a Python zero for a weak one, else a read-only array that occupies one element."""
    if aval.weak_type:
        return python_type(aval.dtype)(0)
    return np.ndarray(aval.shape, aval.dtype, _ZERO_BYTES, 0, (0,) * len(aval.shape))


def zeros_like(x: Any) -> Any:
    """Read-only zeros of the shape and dtype of `x`; see `zeros_of`."""
    return zeros_of(typeof(x))


def owned(x: Any) -> Any:
    """`x`, or a copy if it is a read-only array: what a user receives can be written to."""
    return x.copy() if type(x) is np.ndarray and not x.flags.writeable else x


def require_float(x: Any, op: str, what: str) -> None:
    """Raise unless `x` has a float or complex dtype."""
    dtype = dtype_of(x)
    if not is_float(dtype):
        raise DTypeError(
            f"[{op}] expected {what} of a float or complex dtype, got {dtype.name}. Convert it with x.astype('float32')."
        )
