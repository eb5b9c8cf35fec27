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
from fnets.primitives.base import arr, convert, reduce_sum, reshape, zeros_of
from fnets.primitives.cumulative import cumsum
from fnets.primitives.linear_algebra import matmul
from fnets.primitives.random_samplers import philox_bits_p
from fnets.primitives.random_samplers import random_gamma_grad as gamma_slope
from fnets.primitives.shape import bitcast_convert_type, concatenate, slice_in_dim
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
