"""Odd ends of `jax.lax`: grouped products, random bits from a counter, named functions, and the types of options. May import primitives, source."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from fnets.core.avals import ShapedArray
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.lax.structure import Precision
from fnets.primitives import elementwise as e
from fnets.primitives.base import arr, broadcast_to, convert, reduce_sum, reshape, transpose, zeros_of
from fnets.primitives.cumulative import cumsum
from fnets.primitives.linear_algebra import dot_general, matmul
from fnets.primitives.random_samplers import philox_bits_p
from fnets.primitives.random_samplers import random_gamma_grad as gamma_slope
from fnets.primitives.shape import bitcast_convert_type, concatenate, moveaxis, slice_in_dim
from fnets.source import named_call

PrecisionLike: TypeAlias = None | str | Precision | tuple[str, str] | tuple[Precision, Precision]
DotDimensionNumbers: TypeAlias = tuple[tuple[Sequence[int], Sequence[int]], tuple[Sequence[int], Sequence[int]]]
ConvGeneralDilatedDimensionNumbers: TypeAlias = None | tuple[str, str, str]


class RandomAlgorithm(enum.IntEnum):
    """The algorithm of `rng_bit_generator`: there is one here, NumPy's Philox generator, whatever is asked for.

    >>> RandomAlgorithm.RNG_PHILOX.name
    'RNG_PHILOX'
    """

    RNG_DEFAULT = 0
    RNG_THREE_FRY = 1
    RNG_PHILOX = 2


class Tolerance(NamedTuple):
    """Accepted as `accuracy=` and ignored: every function has its one accuracy.

    >>> Tolerance(rtol=1e-3).rtol
    0.001
    """

    atol: float = 0.0
    rtol: float = 0.0
    ulps: int = 0


def rng_bit_generator(
    key: Any,
    shape: Sequence[int],
    dtype: Any = np.uint32,
    algorithm: RandomAlgorithm = RandomAlgorithm.RNG_DEFAULT,
    *,
    out_sharding: Any = None,
) -> tuple[Any, Any]:
    """Random bits, and the key for the next draw. The numbers are not those of XLA.

    Args:
      key: uint32 of shape (4,), or uint64 of shape (2,); the second half counts.
      shape: the shape to draw.
      dtype: an unsigned integer dtype.
      algorithm: accepted; see `RandomAlgorithm`.

    Returns:
      The next key, and the bits.

    >>> key, bits = rng_bit_generator(np.array([1, 2, 3, 4], np.uint32), (5,))
    >>> key.shape, bits.dtype
    ((4,), dtype('uint32'))
    """
    key, dtype, shape = arr(key), np.dtype(dtype), tuple([int(n) for n in shape])
    have = (dtype_of(key), shape_of(key))
    if have not in ((np.dtype(np.uint32), (4,)), (np.dtype(np.uint64), (2,))):
        raise ArgumentError(
            f"[rng_bit_generator] expected a key of type uint32[4] or uint64[2], got {have[0].name}{list(have[1])}."
        )
    if dtype.kind != "u":
        raise DTypeError(f"[rng_bit_generator] expected an unsigned integer dtype, got {dtype.name}. Use uint32.")
    RandomAlgorithm(algorithm)  # an unknown one raises
    wide = have[0] == np.uint64
    halves = key if wide else bitcast_convert_type(reshape(key, (2, 2)), np.uint64)
    words = reshape(bitcast_convert_type(key, np.uint32), (4,)) if wide else key
    bits = philox_bits_p.bind(words, shape=shape, width=8 * dtype.itemsize)
    blocks = -(-int(np.prod(shape, dtype=np.int64)) * dtype.itemsize // 16)  # Philox makes 16 bytes a step
    advanced = e.add(halves, np.array([0, blocks], np.uint64))
    return advanced if wide else reshape(bitcast_convert_type(advanced, np.uint32), (4,)), bits


def random_gamma_grad(a: Any, sample: Any, *, dtype: Any = None) -> Any:
    """The derivative of a gamma draw with respect to its shape parameter, at the draw `sample`.

    >>> random_gamma_grad(np.float64(2.0), np.float64(2.0)).round(4)
    np.float64(1.0862)
    """
    a, sample = arr(a), arr(sample)
    return gamma_slope(a, sample) if dtype is None else gamma_slope(convert(a, dtype), convert(sample, dtype))


def ragged_dot(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    group_offset: Any = None,
) -> Any:
    """Products of consecutive groups of rows with a matrix of their own; rows behind the last group give zeros.

    Args:
      lhs: (m, k).
      rhs: (g, k, n), a matrix for every group.
      group_sizes: (g,), the numbers of rows. If they are traced, every group multiplies all rows, masked.
      precision: accepted; products have the operands' precision.
      preferred_element_type: the dtype of the result.
      group_offset: must be None.

    >>> ragged_dot(np.ones((3, 1)), np.array([[[1.0]], [[2.0]]]), np.array([1, 2]))
    array([[1.],
           [2.],
           [2.]])
    """
    if group_offset is not None:
        raise ArgumentError("[ragged_dot] expected group_offset=None, got one: there is one device. Slice rhs instead.")
    lhs, rhs, sizes = arr(lhs), arr(rhs), arr(group_sizes)
    if len(shape_of(lhs)) != 2 or len(shape_of(rhs)) != 3 or shape_of(sizes) != shape_of(rhs)[:1]:
        raise ShapeError(
            f"[ragged_dot] expected lhs (m, k), rhs (g, k, n) and group_sizes (g,), got {shape_of(lhs)}, {shape_of(rhs)} and {shape_of(sizes)}."
        )
    if dtype_of(sizes).kind not in "iu":
        raise DTypeError(f"[ragged_dot] expected integer group_sizes, got {dtype_of(sizes).name}.")
    if preferred_element_type is not None:
        lhs, rhs = convert(lhs, preferred_element_type), convert(rhs, preferred_element_type)
    if isinstance(sizes, np.ndarray):
        return _by_slices(lhs, rhs, np.cumsum(sizes))
    m, g = shape_of(lhs)[0], shape_of(rhs)[0]
    sizes = convert(sizes, np.int64)
    ends = cumsum(sizes)
    rows = np.arange(m)
    inside = e.logical_and(e.lt(rows, reshape(ends, (g, 1))), e.ge(rows, reshape(e.sub(ends, sizes), (g, 1))))
    masked = e.select(reshape(inside, (g, m, 1)), lhs, e.fill_like(lhs, 0))
    return reduce_sum(matmul(masked, rhs), (0,))


class RaggedDotDimensionNumbers(NamedTuple):
    """Which axes `ragged_dot_general` contracts, shares and splits into groups.

    dot_dimension_numbers: as for `dot_general`; lhs_ragged_dimensions: the one axis of lhs that is split into groups; rhs_group_dimensions: the axis
    of rhs that counts them, if its operand has one.

    >>> RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), (0,), (0,)).rhs_group_dimensions
    (0,)
    """

    dot_dimension_numbers: DotDimensionNumbers
    lhs_ragged_dimensions: Sequence[int]
    rhs_group_dimensions: Sequence[int]


def ragged_dot_general(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    ragged_dot_dimension_numbers: RaggedDotDimensionNumbers,
    precision: Any = None,
    preferred_element_type: Any = None,
    group_offset: Any = None,
    out_sharding: Any = None,
) -> Any:
    """`dot_general` where an axis of lhs is split into consecutive groups.

    Args:
      lhs, rhs: arrays.
      group_sizes: integers (g,), or (..., g) with the axes of lhs that come before the ragged one (batch axes, and others of its kind).
      ragged_dot_dimension_numbers: a `RaggedDotDimensionNumbers`.
      precision: accepted; products have the operands' precision.
      preferred_element_type: the dtype of the result.
      group_offset: must be None.
      out_sharding: accepted and ignored.

    Returns:
      If the ragged axis is a free one of lhs: the result of `dot_general`, each group being multiplied with its own entry of the group axis of
      rhs. If it is contracted: a result for each group, along a new first axis. If it is a batch axis: that of `dot_general`. What is behind
      the last group counts as zero.

    Raises:
      ArgumentError, ShapeError: axes that do not fit.

    >>> numbers = RaggedDotDimensionNumbers((((0,), (0,)), ((), ())), (0,), ())
    >>> ragged_dot_general(np.ones((3, 1)), np.ones((3, 1)), np.array([1, 2]), numbers)
    array([[[1.]],
    <BLANKLINE>
           [[2.]]])
    """
    if group_offset is not None:
        raise ArgumentError("[ragged_dot_general] expected group_offset=None, got one: there is one device. Slice rhs.")
    lhs, rhs, sizes = arr(lhs), arr(rhs), arr(group_sizes)
    (lc, rc), (lb, rb) = [tuple(map(tuple, pair)) for pair in ragged_dot_dimension_numbers.dot_dimension_numbers]
    ragged, groups = map(tuple, ragged_dot_dimension_numbers[1:])
    n = shape_of(lhs)
    if len(ragged) != 1 or not 0 <= ragged[0] < len(n):
        raise ArgumentError(f"[ragged_dot_general] expected one ragged axis of lhs, whose shape is {n}, got {ragged}.")
    axis = ragged[0]
    free = axis not in lc + lb
    if len(groups) != free:
        raise ArgumentError(
            f"[ragged_dot_general] expected {'one group axis' if free else 'no group axis'} of rhs, as the ragged axis is "
            f"{'free' if free else 'contracted or a batch axis'}, got {groups}."
        )
    if axis in lb:
        return dot_general(lhs, rhs, ((lc, rc), (lb, rb)), precision, preferred_element_type)
    kind = lc if axis in lc else tuple([i for i in range(len(n)) if i not in lc + lb])
    before = (*lb, *kind[: kind.index(axis)])
    mask = _groups(sizes, n, axis, before)
    masked = e.select(mask, lhs, e.fill_like(lhs, 0))
    lc, lb = tuple([i + 1 for i in lc]), tuple([i + 1 for i in lb])
    if free:
        return dot_general(masked, rhs, (((*lc, 0), (*rc, groups[0])), (lb, rb)), precision, preferred_element_type)
    out = dot_general(masked, rhs, ((lc, rc), (lb, rb)), precision, preferred_element_type)
    return moveaxis(out, len(lb), 0)


def _groups(sizes: Any, shape: tuple[int, ...], axis: int, before: tuple[int, ...]) -> Any:
    """(g, *shape) or broadcasting to it: whether an element is in a group along the axis; group sizes belong to the axes `before` it."""
    if dtype_of(sizes).kind not in "iu":
        raise DTypeError(f"[ragged_dot_general] expected integer group_sizes, got {dtype_of(sizes).name}.")
    own = shape_of(sizes)
    count = own[-1] if own else 0
    if not own or (len(own) > 1 and own[:-1] != tuple([shape[i] for i in before])):
        raise ShapeError(
            f"[ragged_dot_general] expected group_sizes of shape (g,) or {(*[shape[i] for i in before], 'g')}, got {own}."
        )
    ends = cumsum(convert(sizes, np.int64), len(own) - 1)
    starts = e.sub(ends, convert(sizes, np.int64))
    if len(own) > 1:
        order = sorted(range(len(before)), key=lambda i: before[i])
        ends, starts = [transpose(v, (len(order), *order)) for v in (ends, starts)]
    kept = [shape[i] if i in before and len(own) > 1 else 1 for i in range(len(shape))]
    ends, starts = [reshape(v, (count, *kept)) for v in (ends, starts)]
    places = np.arange(shape[axis]).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    inside = e.logical_and(e.le(starts, places), e.lt(places, ends))
    return broadcast_to(inside, (count, *shape))


def _by_slices(lhs: Any, rhs: Any, ends: np.ndarray) -> Any:
    m, n = shape_of(lhs)[0], shape_of(rhs)[2]
    starts = [0, *[min(int(end), m) for end in ends]]
    blocks = [
        matmul(slice_in_dim(lhs, a, b, axis=0), slice_in_dim(rhs, i, i + 1, axis=0))
        for i, (a, b) in enumerate(zip(starts, starts[1:]))
    ]
    rows = [reshape(block, shape_of(block)[1:]) for block in blocks]
    rest = zeros_of(ShapedArray((m - starts[-1], n), np.result_type(dtype_of(lhs), dtype_of(rhs))))
    return concatenate([*rows, rest], 0)


def composite(decomposition: Callable, name: str, version: int = 0) -> Callable:
    """A function known by a name, which its equations carry as their scope; it computes what `decomposition` does.

    Args:
      decomposition: function of arrays; keyword arguments are attributes and passed as they are.
      name, version: what to call it.

    >>> composite(lambda x, *, k: x + k, "my.add")(2.0, k=1)
    3.0
    """
    return named_call(decomposition, name=name)
