"""Threefry-2x32 in NumPy: the counter-based hash behind `fnets.random`'s keys, equal to `jax.random` bit for bit.

A key is a uint32 array of shape `(..., 2)`; leading dimensions are a batch of keys and appear first in every result,
so each kernel is its own vmap. Nothing here validates what a user typed: that is `fnets.random`'s work. May
import threads.

The cipher is Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). Element number `i` of a result
hashes the 64-bit counter `i` (as a high and a low word), so a prefix of a stream never depends on its length.
"""

import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fnets.primitives.threads import run_blocks

__all__ = ["bits_kernel", "fold_in_kernel", "seed_key", "split_kernel", "threefry2x32"]

PARITY = 0x1BD11BDA
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))

# 32 Ki words: three blocks of 128 KiB stay in a core's L2 cache, and a ufunc's call costs a tenth of its work.
_BLOCK = 1 << 15
# Up to this many words one big Python integer with a 64-bit lane per word beats a ufunc call per step.
_FEW = 192

_UINT = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}


def _word(value: int) -> np.ndarray:
    """A zero-dimensional array: ufuncs take it at once, while a scalar or a one-element array costs twice the call."""
    return np.array(value & 0xFFFFFFFF, np.uint32)


_SHIFTS = {r: (_word(r), _word(32 - r)) for rotations in ROTATIONS for r in rotations}


# Many words: ufuncs in place, one cache-sized block at a time.


def _scratch(rows: int, length: int) -> np.ndarray:
    """Uninitialised uint32 rows that start on cache lines; NumPy's own 16-byte alignment costs a tenth of the speed."""
    stride = -(-length // 16) * 16
    raw = np.empty(rows * stride + 16, np.uint32)
    start = -(raw.ctypes.data // 4) % 16
    return raw[start : start + rows * stride].reshape(rows, stride)[:, :length]


def _key_schedule(k0: Any, k1: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """What is added to the two words after each group of four rounds, for one key (integers) or one key per word."""
    keys = (k0, k1, k0 ^ k1 ^ PARITY)
    pairs = [(keys[(i + 1) % 3], keys[(i + 2) % 3] + i + 1) for i in range(5)]
    return [(_word(a), _word(b)) for a, b in pairs] if isinstance(k0, int) else pairs


def _rounds(x0: np.ndarray, x1: np.ndarray, spare: np.ndarray, schedule: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """The 20 rounds, in place, on words to which the key has been added once already."""
    add, left, right, either, xor = np.add, np.left_shift, np.right_shift, np.bitwise_or, np.bitwise_xor
    for i, (a, b) in enumerate(schedule):
        for r in ROTATIONS[i % 2]:
            up, down = _SHIFTS[r]
            add(x0, x1, x0)
            left(x1, up, spare)
            right(x1, down, x1)
            either(x1, spare, x1)
            xor(x1, x0, x1)
        add(x0, a, x0)
        add(x1, b, x1)


# Few words: the same rounds on Python integers that hold every word in a 64-bit lane of its own.


@lru_cache(maxsize=2 * _FEW)
def _lane_constants(lanes: int) -> tuple[int, int, int]:
    """The integers whose lanes all hold 1, all hold 2**32 - 1, and hold 0, 1, 2, ..."""
    ones = int.from_bytes(np.ones(lanes, "<u8").tobytes(), "little")
    return ones, ones * 0xFFFFFFFF, int.from_bytes(np.arange(lanes, dtype="<u8").tobytes(), "little")


def _pack(words: np.ndarray) -> int:
    return int.from_bytes(words.astype("<u8").tobytes(), "little")


def _unpack(number: int, lanes: int) -> np.ndarray:
    return np.frombuffer(number.to_bytes(8 * lanes, "little"), "<u8").astype(np.uint32)


def _lane_rounds(k0: int, k1: int, x0: int, x1: int, lanes: int) -> tuple[np.ndarray, np.ndarray]:
    ones, mask, _ = _lane_constants(lanes)
    keys = (k0, k1, k0 ^ k1 ^ ones * PARITY)
    x0 += k0
    x1 = (x1 + k1) & mask
    for i in range(5):
        for r in ROTATIONS[i % 2]:
            x0 += x1  # carries collect in the lane's upper half, which 20 additions cannot fill
            x1 <<= r
            x1 = (x1 | x1 >> 32) & mask ^ x0 & mask
        x0 += keys[(i + 1) % 3]
        x1 = (x1 + keys[(i + 2) % 3] + ones * (i + 1)) & mask
    return _unpack(x0 & mask, lanes), _unpack(x1, lanes)


Emit = Callable[[int, int, np.ndarray, np.ndarray], None]


def _hash_counters(key: np.ndarray, count: int, emit: Emit) -> None:
    """Hashes of the counters 0 .. count - 1 under every key, as blocks of the flat `(keys, count)` result.

    Calls `emit(start, stop, high, low)` for each, possibly from several threads at once; the two word arrays are overwritten afterwards.
    """
    k0, k1 = key.reshape(-1, 2).T
    total = k0.size * count
    if total <= _FEW:
        if k0.size == 1:
            ones, _, counters = _lane_constants(count)
            first, second = key.ravel().tolist()
            emit(0, total, *_lane_rounds(first * ones, second * ones, 0, counters, count))
        elif total:
            counters = _pack(np.tile(np.arange(count), k0.size))
            emit(0, total, *_lane_rounds(_pack(k0.repeat(count)), _pack(k1.repeat(count)), 0, counters, total))
    elif k0.size == 1 or 4 * count >= _BLOCK:
        for index, (first, second) in enumerate(zip(k0.tolist(), k1.tolist(), strict=True)):
            _hash_long_stream(first, second, count, index * count, emit)
    else:
        _hash_short_streams(k0, k1, count, emit)


def _hash_long_stream(first: int, second: int, count: int, offset: int, emit: Emit) -> None:
    """One key's stream, cut into blocks, which threads share; the stream's place in the result is `offset`."""
    length = min(count, _BLOCK)
    schedule = _key_schedule(first, second)

    def run(blocks: Iterable[int]) -> None:
        x0, x1, spare, steps = _scratch(4, length)
        steps[:] = np.arange(length, dtype=np.uint32)
        for i in blocks:
            start = i * length
            size = min(length, count - start)
            a, b = x0[:size], x1[:size]
            a.fill((first + (start >> 32)) & 0xFFFFFFFF)  # a block never straddles a multiple of 2**32
            np.add(steps[:size], _word(second + start), b)
            _rounds(a, b, spare[:size], schedule)
            emit(offset + start, offset + start + size, a, b)

    run_blocks(-(-count // length), run)


def _hash_short_streams(k0: np.ndarray, k1: np.ndarray, count: int, emit: Emit) -> None:
    """Many keys to a block, each repeated for its whole stream."""
    keys_per_block = min(k0.size, _BLOCK // count)
    counters = np.arange(count, dtype=np.uint32)

    def run(blocks: Iterable[int]) -> None:
        x0, x1, spare, first, second = _scratch(5, keys_per_block * count)
        for i in blocks:
            start = i * keys_per_block
            keys = min(keys_per_block, k0.size - start)
            size = keys * count
            a, b, ka, kb = x0[:size], x1[:size], first[:size], second[:size]
            ka.reshape(keys, count)[...] = k0[start : start + keys, None]
            kb.reshape(keys, count)[...] = k1[start : start + keys, None]
            a[:] = ka
            np.add(kb.reshape(keys, count), counters, b.reshape(keys, count))
            _rounds(a, b, spare[:size], _key_schedule(ka, kb))
            emit(start * count, start * count + size, a, b)

    run_blocks(-(-k0.size // keys_per_block), run)


# The kernels.


def threefry2x32(k0: ArrayLike, k1: ArrayLike, x0: ArrayLike, x1: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Encrypt pairs of words with pairs of key words.

    Args:
        k0: first key word, uint32, any shape that broadcasts with the others.
        k1: second key word.
        x0: first (high) counter word.
        x1: second (low) counter word.

    Returns:
        Two uint32 arrays of the common shape.

    Source: Salmon et al., SC 2011; 20 rounds.

    >>> zero = np.zeros((), np.uint32)
    >>> [hex(int(word)) for word in threefry2x32(zero, zero, zero, zero)]
    ['0x6b200159', '0x99ba4efe']
    """
    k0, k1, x0, x1 = (np.asarray(word, np.uint32) for word in (k0, k1, x0, x1))
    shape = np.broadcast(k0, k1, x0, x1).shape
    size = math.prod(shape)
    if size <= _FEW:
        words = (k0, k1, x0, x1)
        a, b, c, d = (word.item() if size == 1 else _pack(np.broadcast_to(word, shape)) for word in words)
        y0, y1 = _lane_rounds(a, b, c, d, size)
        return y0.reshape(shape), y1.reshape(shape)
    y0, y1 = (np.array(np.broadcast_to(word, shape), order="C").reshape(-1) for word in (x0, x1))
    one_key = k0.size == k1.size == 1
    keys: list[Any] = [word.item() if one_key else np.broadcast_to(word, shape).reshape(-1) for word in (k0, k1)]
    spare = _scratch(1, min(size, _BLOCK))[0]
    for start in range(0, size, _BLOCK):
        block = slice(start, min(start + _BLOCK, size))
        ka, kb = keys if one_key else (word[block] for word in keys)
        a, b = y0[block], y1[block]
        a += ka
        b += kb
        _rounds(a, b, spare[: a.size], _key_schedule(ka, kb))
    return y0.reshape(shape), y1.reshape(shape)


def seed_key(seed: int | np.ndarray, x64: bool = False) -> np.ndarray:
    """The key that `jax.random.key(seed)` holds.

    Args:
        seed: an integer that fits 64 bits, or an integer array, which gives a batch of keys.
        x64: use all 64 bits of a seed, as JAX does under `jax_enable_x64`. By default JAX keeps the low 32.

    Returns:
        uint32 of shape `seed.shape + (2,)`.

    Raises:
        OverflowError: a Python integer does not fit 64 bits.
        TypeError: the seed is not an integer.

    >>> seed_key(42)
    array([ 0, 42], dtype=uint32)
    >>> seed_key(-1, x64=True)
    array([4294967295, 4294967295], dtype=uint32)
    """
    seeds = np.asarray(np.int64(seed) if isinstance(seed, int) else seed)
    if seeds.dtype.kind not in "iub":
        raise TypeError(f"[seed_key] expected an integer seed, got dtype {seeds.dtype}.")
    key = np.zeros((*seeds.shape, 2), np.uint32)
    key[..., 1] = seeds.astype(np.uint32)
    if x64 and seeds.dtype.itemsize == 8:
        key[..., 0] = seeds >> 32
    return key


def split_kernel(key: np.ndarray, shape: tuple[int, ...] = (2,)) -> np.ndarray:
    """New keys from old ones, as `jax.random.split`.

    Args:
        key: uint32 of shape `(..., 2)`.
        shape: how many keys to make of each.

    Returns:
        uint32 of shape `(..., *shape, 2)`.

    >>> split_kernel(seed_key(0))
    array([[1797259609, 2579123966],
           [ 928981903, 3453687069]], dtype=uint32)
    """
    out = np.empty((*key.shape[:-1], *shape, 2), np.uint32)
    flat = out.reshape(-1, 2)

    def emit(start: int, stop: int, high: np.ndarray, low: np.ndarray) -> None:
        flat[start:stop, 0] = high
        flat[start:stop, 1] = low

    _hash_counters(key, math.prod(shape), emit)
    return out


def fold_in_kernel(key: np.ndarray, data: int | np.ndarray) -> np.ndarray:
    """A key that depends on a key and on 32 bits of data, as `jax.random.fold_in`.

    Args:
        key: uint32 of shape `(..., 2)`.
        data: integers; their shape broadcasts with the keys' batch dimensions. Arrays wrap modulo 2**32.

    Returns:
        uint32 of shape `(..., 2)`.

    Raises:
        OverflowError: a Python integer is negative or does not fit 32 bits.

    >>> fold_in_kernel(seed_key(0), 1)
    array([ 928981903, 3453687069], dtype=uint32)
    """
    words = np.asarray(data, np.uint32) if isinstance(data, int) else np.asarray(data).astype(np.uint32)
    high, low = threefry2x32(key[..., 0], key[..., 1], np.uint32(0), words)
    out = np.empty((*high.shape, 2), np.uint32)
    out[..., 0] = high
    out[..., 1] = low
    return out


def bits_kernel(key: np.ndarray, shape: tuple[int, ...] = (), width: int = 32) -> np.ndarray:
    """Uniform random unsigned integers, as `jax.random.bits`.

    Args:
        key: uint32 of shape `(..., 2)`.
        shape: the shape to draw from each key.
        width: bits of an element: 8, 16, 32 or 64.

    Returns:
        uint8, uint16, uint32 or uint64 of shape `(..., *shape)`.

    >>> bits_kernel(seed_key(0), (2,))
    array([4070199207, 4202968722], dtype=uint32)
    """
    out: np.ndarray = np.empty((*key.shape[:-1], *shape), _UINT[width])
    flat = out.reshape(-1)

    def emit(start: int, stop: int, high: np.ndarray, low: np.ndarray) -> None:
        part = flat[start:stop]
        if width == 64:
            part[:] = high
            part <<= 32
            part |= low
        elif width == 32:
            np.bitwise_xor(high, low, part)
        else:
            part[:] = high ^ low

    _hash_counters(key, math.prod(shape), emit)
    return out
