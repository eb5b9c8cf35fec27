"""Kernels of the samplers on plain NumPy arrays, the `impl`s of their primitives. May import threefry, special, threads.

A key is uint32 of shape `(..., 2)` for Threefry, whose numbers are those of `jax.random`, or `(..., 4)` for NumPy's generators, which are faster.
Leading dimensions are a batch of keys and come first in every result, so each kernel is its own vmap. Where a loop rejects, Threefry's
counters let it hash the positions that are still wanted alone, and the numbers stay those of a loop over whole arrays.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fnets.core.avals import float_info
from fnets.primitives import special, threefry
from fnets.primitives.threads import run_blocks

_SINGLE = np.dtype("float32")
_BLOCK = 1 << 15
_FEW = 64  # up to here the number of calls counts, not that of operations
_CHUNK = (
    1 << 16
)  # of one stream of normal numbers; never changes with the number of threads, for the numbers depend on it


# ------------------------------------------------------------------ NumPy's own generators

_START = np.zeros(4, np.uint64)


def _philox(key: np.ndarray) -> np.random.Generator:
    """The generator of one key of four words, at the start of its stream."""
    return np.random.Generator(np.random.Philox(key=np.ascontiguousarray(key).view(np.uint64), counter=_START))


def _chunk_stream(key: np.ndarray, chunk: int) -> np.random.Generator:
    """A generator for one chunk of a key's normal numbers: SFC64, NumPy's fastest, which Philox's own bits would hold up."""
    return np.random.Generator(np.random.SFC64(np.append(key, np.uint32(chunk))))


def _rows(x: np.ndarray, key: np.ndarray) -> np.ndarray:
    """An array whose leading dimensions are those of the keys, as a row a key."""
    keys = math.prod(key.shape[:-1])
    return x.reshape(keys, x.size // keys) if keys else x.reshape(0, 0)


def _draw_philox(key: np.ndarray, shape: tuple[int, ...], dtype: Any, draw: Callable) -> np.ndarray:
    """`draw(generator, size, number of the key)` for every key, in rows of a new array."""
    out = np.empty((*key.shape[:-1], *shape), dtype)
    rows = _rows(out, key)
    for i, k in enumerate(key.reshape(-1, 4)):
        rows[i] = draw(_philox(k), rows.shape[1], i)
    return out


def _chunked_normal(key: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    out = np.empty((*key.shape[:-1], *shape), dtype if dtype in (np.float32, np.float64) else _SINGLE)
    for k, row in zip(key.reshape(-1, 4), _rows(out, key)):

        def fill(chunks: Iterable[int], k: np.ndarray = k, row: np.ndarray = row) -> None:
            for i in chunks:
                part = row[i * _CHUNK : (i + 1) * _CHUNK]
                _chunk_stream(k, i).standard_normal(dtype=part.dtype, out=part)

        run_blocks(-(-row.size // _CHUNK), fill)
    return out.astype(dtype, copy=False)


def _philox_bits(key: np.ndarray, shape: tuple[int, ...], width: int) -> np.ndarray:
    def draw(generator: np.random.Generator, size: int, i: int) -> np.ndarray:
        words = generator.bit_generator.random_raw(-(-size * width // 64))
        return words.view(f"u{width // 8}")[:size]

    return _draw_philox(key, shape, f"u{width // 8}", draw)


# ------------------------------------------------------------------ bits and uniform numbers


def bits(key: np.ndarray, shape: tuple[int, ...], width: int) -> np.ndarray:
    """Random unsigned integers of 8, 16, 32 or 64 bits."""
    return threefry.bits_kernel(key, shape, width) if key.shape[-1] == 2 else _philox_bits(key, shape, width)


def _by_blocks(array: np.ndarray, step: Callable[[np.ndarray], None]) -> None:
    """Change an array in place, a cache-sized block at a time."""
    flat = array.reshape(-1)
    if flat.size <= _BLOCK:
        step(flat)
        return
    for start in range(0, flat.size, _BLOCK):
        step(flat[start : start + _BLOCK])


@functools.cache
def _layout(dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How far random bits are shifted to fill a mantissa, the bits of 1, and 1; 0-d arrays, which ufuncs take faster than scalars."""
    one = np.ones((), dtype)
    shift = _drawn_width(dtype) - float_info(dtype).nmant
    return np.array(shift, f"u{dtype.itemsize}"), one.view(f"u{dtype.itemsize}"), one


def _drawn_width(dtype: np.dtype) -> int:
    """Random bits that a float is made of: a short mantissa needs no more than 8, as in JAX."""
    return 8 if float_info(dtype).nmant < 8 else 8 * dtype.itemsize


def _unit(words: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Floats in [0, 1) in the memory of random bits: they fill the mantissa of a number in [1, 2), from which 1 is taken."""
    shift, one_bits, one = _layout(dtype)
    np.right_shift(words, shift, words)
    np.bitwise_or(words, one_bits, words)
    out = words.view(dtype)
    return np.subtract(out, one, out)


def _stretch(u: np.ndarray, low: float, high: float) -> None:
    """Bring numbers in [0, 1) to [low, high), in place. float32 rounds once, as the fused multiply-add does in which XLA computes it."""
    bottom, span = u.dtype.type(low), u.dtype.type(high) - u.dtype.type(low)
    if u.dtype == _SINGLE:
        wide = np.multiply(u, np.float64(span))
        np.add(wide, np.float64(bottom), out=u, casting="same_kind")
    else:
        np.multiply(u, span, u)
        np.add(u, bottom, u)
    np.maximum(u, bottom, out=u)


def uniform(
    key: np.ndarray, shape: tuple[int, ...], dtype: np.dtype, low: float = 0.0, high: float = 1.0
) -> np.ndarray:
    """Floats in [low, high)."""
    words = bits(key, shape, _drawn_width(dtype)).astype(f"u{dtype.itemsize}", copy=False)
    if low == 0 and high == 1:
        _by_blocks(words, lambda part: _unit(part, dtype))
    else:
        _by_blocks(words, lambda part: _stretch(_unit(part, dtype), low, high))
    return words.view(dtype)


# ------------------------------------------------------------------ integers


def integers(key: np.ndarray, shape: tuple[int, ...], dtype: np.dtype, low: int, span: int) -> np.ndarray:
    """Integers in [low, low + span) of a dtype of 32 or 64 bits; span 0 stands for all of them.

    (high * 2**bits + low bits) modulo the span, for two draws of as many bits as the dtype has, which hides the modulo's bias.
    """
    width = 8 * dtype.itemsize
    unsigned = np.dtype(f"u{dtype.itemsize}")
    factor = weight_of_high_bits(span, width)
    bottom = np.array(low % (1 << width), unsigned)
    if not factor:
        out = bits(_split(key, 2)[1], shape, width)
        _by_blocks(out, lambda part: np.add(_modulo(part, span), bottom, part))
        return out.view(dtype)
    high, out = _two_draws(key, shape, width)
    uppers, parts, scale = high.reshape(-1), out.reshape(-1), np.array(factor, unsigned)
    for start in range(0, parts.size, _BLOCK):
        upper, part = uppers[start : start + _BLOCK], parts[start : start + _BLOCK]
        np.multiply(_modulo(upper, span), scale, upper)
        np.add(_modulo(part, span), upper, part)
        np.add(_modulo(part, span), bottom, part)
    return out.view(dtype)


def weight_of_high_bits(span: int, width: int) -> int:
    """2**width modulo the span, by which the high bits of an integer count; 0, as in JAX, where 2**(width / 2) modulo the span has too large a square."""
    half = (1 << width // 2) % span if span else 0
    return half * half % (1 << width) % span if half else 0


def _two_draws(key: np.ndarray, shape: tuple[int, ...], width: int) -> list[np.ndarray]:
    """Bits of the two keys that a key splits into; small ones in one go."""
    keys = split(key, (2,))
    if math.prod(shape) > _FEW:
        return [bits(keys[..., i, :], shape, width) for i in range(2)]
    both, batch = bits(keys, shape, width), (slice(None),) * (key.ndim - 1)
    return [both[(*batch, i, ...)].copy() for i in range(2)]


def _modulo(x: np.ndarray, span: int) -> np.ndarray:
    """x modulo the span, in place. NumPy divides by a scalar with SIMD multiplications, but takes remainders one by one."""
    if span & (span - 1) == 0:
        return np.bitwise_and(x, np.array(span - 1, x.dtype), x) if span else x
    divisor = np.array(span, x.dtype)
    multiple = np.floor_divide(x, divisor)
    np.multiply(multiple, divisor, multiple)
    return np.subtract(x, multiple, x)


# ------------------------------------------------------------------ normal numbers


def _scalars(*values: float) -> list[np.ndarray]:
    """0-d arrays: ufuncs take them in half the time of scalars."""
    return [np.array(v, _SINGLE) for v in values]


_ONE, _THREE, _HALF_STEP, _SHIFT, _EDGE = _scalars(1, 3, 2.0**-24, 2.5, -2.5)
_MANTISSA, _TWO_BITS = np.array(9, np.uint32), _scalars(2)[0].view(np.uint32)
# M. Giles, "Approximating the erfinv function" (2012), table 5: erfinv(u) = u p(w) with w = -log(1 - u u), by falling power. Here times sqrt(2),
# and the first in the variable 2.5 - w, for w < 5, the second in sqrt(w) - 3.
# fmt: off
NEAR = np.array([2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
                  -0.00125372503, -0.00417768164, 0.246640727, 1.50140941]) * math.sqrt(2)
FAR = np.array([-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
                 -0.0076224613, 0.00943887047, 1.00167406, 2.83297682]) * math.sqrt(2)
# fmt: on
NEAR[1::2] *= -1  # odd powers of the mirrored variable
_NEAR_STEPS, _FAR_STEPS = _scalars(*NEAR), _scalars(*FAR)
_NEAR_RISING = NEAR[::-1].astype(np.float32)


def _polynomial(steps: list[np.ndarray], x: np.ndarray, out: np.ndarray) -> np.ndarray:
    np.multiply(x, steps[0], out)
    for c in steps[1:-1]:
        np.add(out, c, out)
        np.multiply(out, x, out)
    return np.add(out, steps[-1], out)


def _few_powers(x: np.ndarray) -> np.ndarray:
    powers = np.empty((len(_NEAR_RISING), x.size), _SINGLE)
    powers[0] = 1
    powers[1:] = x
    np.multiply.accumulate(powers, 0, None, powers)
    return _NEAR_RISING.dot(powers)


def _single_normal(words: np.ndarray) -> None:
    """Normal float32 numbers in the memory of 32 random bits each: sqrt(2) erfinv(u) with u = -1 + 2**-24, ... in steps of 2**-22.

    Every step up to log is exact, or rounds as JAX's does.
    """
    np.right_shift(words, _MANTISSA, words)
    np.bitwise_or(words, _TWO_BITS, words)  # a float in [2, 4)
    u = words.view(_SINGLE)
    np.subtract(u, _THREE, u)
    np.add(u, _HALF_STEP, u)
    w = np.multiply(u, u)
    np.subtract(_ONE, w, w)
    np.log(w, w)
    np.add(w, _SHIFT, w)
    y = _few_powers(w) if u.size <= _FEW else _polynomial(_NEAR_STEPS, w, np.empty_like(w))
    far = (w <= _EDGE).nonzero()[0]
    if far.size:
        root = np.sqrt(_SHIFT - w[far]) - _THREE
        y[far] = _polynomial(_FAR_STEPS, root, np.empty_like(root))
    np.multiply(u, y, u)


def normal(key: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Standard normal numbers: the normal quantile of uniform ones in (-1, 1)."""
    if key.shape[-1] == 4:
        return _chunked_normal(key, shape, dtype)
    if dtype == _SINGLE:
        words = threefry.bits_kernel(key, shape, 32)
        _by_blocks(words, _single_normal)
        return words.view(_SINGLE)
    low = np.nextafter(dtype.type(-1), dtype.type(0))
    u = uniform(key, shape, dtype, low, 1.0)
    return np.asarray(special.erf_inv(u) * dtype.type(math.sqrt(2)))


# ------------------------------------------------------------------ permutations


def order_rounds(shape: tuple[int, ...]) -> int:
    """How many sorts by 32 random bits make it improbable that two elements tie in all of them: JAX's rule.

    >>> order_rounds((1000,)), order_rounds((2000,))
    (1, 2)
    """
    return math.ceil(3 * math.log(max(1, math.prod(shape))) / math.log(2**32 - 1))


def order(key: np.ndarray, shape: tuple[int, ...], axis: int) -> np.ndarray:
    """Random permutations of 0 .. n - 1 along an axis of the shape, int64: repeated stable sorts by 32 random bits."""
    axis += key.ndim - 1
    out_shape = (*key.shape[:-1], *shape)
    where = np.arange(out_shape[axis], dtype=np.uint64).reshape(-1, *(1,) * (len(out_shape) - axis - 1))
    out = np.broadcast_to(where, out_shape)
    for _ in range(order_rounds(shape)):
        key, sort_key = _split(key, 2)
        packed = bits(sort_key, shape, 32).astype(np.uint64)
        packed <<= np.uint64(32)
        packed |= where  # the position breaks ties, and one array is sorted in place of two
        packed.sort(axis)
        packed &= np.uint64(0xFFFFFFFF)
        out = np.take_along_axis(out, packed.view(np.int64), axis)
    return out.astype(np.int64)


def split(key: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """New keys; a Philox key is two Threefry keys, each split."""
    if key.shape[-1] == 2:
        return threefry.split_kernel(key, shape)
    batch = key.shape[:-1]
    halves = threefry.split_kernel(key.reshape(*batch, 2, 2), shape)  # (*batch, 2, *shape, 2)
    return np.moveaxis(halves, len(batch), -2).reshape(*batch, *shape, 4)


def _split(key: np.ndarray, count: int) -> list[np.ndarray]:
    """`count` arrays of keys, each of the shape of `key`."""
    keys = split(key, (count,))
    return [keys[..., i, :] for i in range(count)]


# ------------------------------------------------------------------ gamma


def gamma(key: np.ndarray, a: np.ndarray, log_space: bool) -> np.ndarray:
    """Gamma numbers of shape parameters `a`, whose leading dimensions are those of the keys, or their logarithms.

    G. Marsaglia and W. W. Tsang, "A simple method for generating gamma variables", ACM TOMS 26 (2000); below 1 a draw for a + 1 is
    multiplied by u ** (1 / a). As in JAX every element has a key of its own.
    """
    shape = a.shape[key.ndim - 1 :]
    with np.errstate(all="ignore"):
        if key.shape[-1] == 4:
            return _philox_gamma(key, a, shape, log_space)
        keys = threefry.split_kernel(key, (math.prod(shape),)).reshape(-1, 2)
        return _marsaglia(keys, a.reshape(-1), log_space).reshape(a.shape)


def _marsaglia(keys: np.ndarray, a: np.ndarray, log_space: bool) -> np.ndarray:
    number = a.dtype.type
    small = ~(a >= 1)
    d = np.where(small, a + number(1), a) - number(1 / 3)
    c = number(1 / 3) / np.sqrt(d)
    keys, boost_keys = _split(keys, 2)
    cubes = np.ones_like(a)
    left = np.arange(a.size)
    while left.size:
        keys, normal_keys, uniform_keys = _split(keys, 3)
        x, v = _positive_base(normal_keys, c[left])
        squares, v = x * x, v * v * v
        u = uniform(uniform_keys, (), a.dtype)
        rejected = u >= number(1) - number(0.0331) * (squares * squares)
        rejected &= np.log(u) >= squares * number(0.5) + d[left] * (number(1) - v + np.log(v))
        cubes[left] = v
        left, keys = left[rejected], keys[rejected]
    return _boosted(d, cubes, a, small, boost_keys, log_space)


def _positive_base(keys: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normal numbers x and 1 + c x, drawn anew where that is not positive."""
    x, v = np.empty_like(c), np.empty_like(c)
    left = np.arange(c.size)
    while left.size:
        keys, sub = _split(keys, 2)
        x[left] = normal(sub, (), c.dtype)
        v[left] = c.dtype.type(1) + x[left] * c[left]
        again = v[left] <= 0
        left, keys = left[again], keys[again]
    return x, v


def _boosted(
    d: np.ndarray, cubes: np.ndarray, a: np.ndarray, small: np.ndarray, keys: np.ndarray, log_space: bool
) -> np.ndarray:
    number = a.dtype.type
    u = uniform(keys, (), a.dtype)
    if log_space:
        logs = np.log1p(-u)
        boost = np.where(small & (logs != 0), logs * (number(1) / a), number(0))
        return np.log(d) + np.log(cubes) + boost
    return d * cubes * np.where(small, (number(1) - u) ** (number(1) / a), number(1))


def _philox_gamma(key: np.ndarray, a: np.ndarray, shape: tuple[int, ...], log_space: bool) -> np.ndarray:
    rows = _rows(a, key).astype(np.float64)

    def draw(generator: np.random.Generator, size: int, i: int) -> np.ndarray:
        row = rows[i]
        valid = np.where(row >= 0, row, 1)
        if not log_space:
            return np.where(row >= 0, generator.standard_gamma(valid), np.nan)
        out = np.log(generator.standard_gamma(valid + 1)) - generator.standard_exponential(size) / valid
        return np.where(row >= 0, out, np.nan)

    return _draw_philox(key, shape, a.dtype, draw)


# ------------------------------------------------------------------ Poisson


class _Positions:
    """Uniform numbers at chosen positions of the arrays that keys of shape (batch, 2) draw."""

    def __init__(self, dtype: np.dtype, batch: int, count: int):
        self.dtype = dtype
        self.batch = batch
        self.key_of, self.counter = np.divmod(np.arange(batch * count), max(count, 1))

    def __call__(self, keys: np.ndarray, where: np.ndarray) -> np.ndarray:
        counter = self.counter[where]
        k0, k1 = keys[0] if self.batch == 1 else keys[self.key_of[where]].T
        high, low = threefry.threefry2x32(k0, k1, counter >> 32, counter & 0xFFFFFFFF)
        if self.dtype.itemsize == 8:
            words = high.astype(np.uint64) << np.uint64(32) | low
        else:
            words = (high ^ low).astype(f"u{self.dtype.itemsize}")
        return _unit(words, self.dtype)


def poisson(key: np.ndarray, lam: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Poisson counts of rates `lam`, whose leading dimensions are those of the keys; -1 for a rate that is nan or negative, as JAX has it.

    Below 10 Knuth's product of uniform numbers, from there W. Hormann's transformed rejection, "The transformed rejection method for
    generating Poisson random variables" (1993).
    """
    shape = lam.shape[key.ndim - 1 :]
    rows = _rows(lam, key)
    with np.errstate(all="ignore"):
        if key.shape[-1] == 4:
            return _draw_philox(key, shape, dtype, lambda generator, size, i: _philox_poisson(generator, rows[i]))
        keys, flat = key.reshape(-1, 2), lam.reshape(-1)
        draw = _Positions(lam.dtype, *rows.shape)
        many = flat >= 10
        out = np.zeros(flat.size, np.float64)
        _poisson_product(keys, flat, (~many).nonzero()[0], draw, out)
        if many.any():
            rates = np.where(many, flat, lam.dtype.type(1e5))
            _reject(keys, many, lambda *drawn: _poisson_attempt(rates, draw, *drawn), draw, out)
        out[flat == 0] = 0
        return out.astype(dtype).reshape(lam.shape)


def _reject(keys: np.ndarray, wanted: np.ndarray, attempt: Callable, draw: _Positions, out: np.ndarray) -> None:
    """Draw until every position was accepted; `attempt(key_u, key_v, where)` gives values at positions and whether they are accepted.

    JAX draws whole arrays until each element has been accepted once, and keeps the last draw of an element that was accepted. The rounds
    that this takes are counted with the open elements alone; from the last round backwards an element's first acceptance is then the one
    that counts. `wanted` says which elements are needed; the others, whose values are replaced by harmless ones, take part in the count.
    """
    rounds: list[tuple[np.ndarray, np.ndarray]] = []
    last = np.zeros(draw.batch, np.intp)  # the last round of each key
    left = np.arange(wanted.size)
    while left.size:
        keys, key_u, key_v = _split(keys, 3)
        last[draw.key_of[left]] = len(rounds)
        rounds.append((key_u, key_v))
        left = left[~attempt(key_u, key_v, left)[1]]
    left = wanted.nonzero()[0]
    for number in range(len(rounds) - 1, -1, -1):
        now = left[last[draw.key_of[left]] >= number]
        values, accepted = attempt(*rounds[number], now)
        out[now[accepted]] = values[accepted]
        wanted[now[accepted]] = False
        left = left[wanted[left]]


def _philox_poisson(generator: np.random.Generator, lam: np.ndarray) -> np.ndarray:
    valid = (lam >= 0) & (lam < 2.0**62)
    return np.where(valid, generator.poisson(np.where(valid, lam, 0)), -1)


def _poisson_product(keys: np.ndarray, lam: np.ndarray, left: np.ndarray, draw: _Positions, out: np.ndarray) -> None:
    counts, logs = np.full(left.size, -1.0), np.zeros(left.size, lam.dtype)
    while left.size:
        keys, sub = _split(keys, 2)
        more = logs > -lam[left]
        out[left] = counts = counts + more
        left, logs, counts = left[more], logs[more], counts[more]
        logs = logs + np.log(draw(sub, left))


def _poisson_attempt(
    lam: np.ndarray, draw: _Positions, key_u: np.ndarray, key_v: np.ndarray, where: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    number = lam.dtype.type
    rate = lam[where]
    b = number(0.931) + number(2.53) * np.sqrt(rate)
    a = number(-0.059) + number(0.02483) * b
    u, v = draw(key_u, where) - number(0.5), draw(key_v, where)
    edge = number(0.5) - np.abs(u)
    k = np.floor((number(2) * a / edge + b) * u + rate + number(0.43))
    s = np.log(v * (number(1.1239) + number(1.1328) / (b - number(3.4))) / (a / (edge * edge) + b))
    t = -rate + k * np.log(rate) - special.lgamma(k + number(1))
    sure = (edge >= number(0.07)) & (v <= number(0.9277) - number(3.6224) / (b - number(2)))
    outside = (k < 0) | ((edge < number(0.013)) & (v > edge))
    return k, sure | (~outside & (s <= t))


# ------------------------------------------------------------------ binomial


def binomial(key: np.ndarray, count: np.ndarray, prob: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Binomial counts of `count` trials of probability `prob`, both of one shape whose leading dimensions are the keys'; nan where invalid.

    Where 10 or fewer successes are expected the number of geometric waiting times that fit, else W. Hormann's BTRS, "The generation of
    binomial random variates" (1993). Computed for the rarer of success and failure.
    """
    shape = prob.shape[key.ndim - 1 :]
    with np.errstate(all="ignore"):
        if key.shape[-1] == 4:
            rows = _rows(count, key), _rows(prob, key)
            return _draw_philox(key, shape, dtype, lambda g, size, i: _philox_binomial(g, rows[0][i], rows[1][i]))
        out = _binomial(key.reshape(-1, 2), count.reshape(-1), prob.reshape(-1), math.prod(shape))
        return out.astype(dtype).reshape(prob.shape)


def _philox_binomial(generator: np.random.Generator, count: np.ndarray, prob: np.ndarray) -> np.ndarray:
    count = np.floor(count)
    valid = (count >= 0) & (count < 2.0**62) & (prob >= 0) & (prob <= 1)
    draws = generator.binomial(np.where(valid, count, 0).astype(np.int64), np.where(valid, prob, 0))
    return np.where(valid, draws, np.where((count == np.inf) & (prob >= 0), np.inf, np.nan))


def _binomial(keys: np.ndarray, count: np.ndarray, prob: np.ndarray, size: int) -> np.ndarray:
    number = prob.dtype.type
    rare = prob < 0.5
    q = np.where(rare, prob, number(1) - prob)
    bad_count, bad_prob, endless = ~(count >= 0), ~(q >= 0), np.isinf(count)
    q = np.where(bad_prob, number(0.01), q)
    many = ~bad_count & ~endless & ~(count * q <= 10)
    trials = np.floor(count)
    draw = _Positions(prob.dtype, len(keys), size)
    out = np.full(prob.size, number(-1))
    _binomial_waiting(keys, trials, q, (~many & ~endless).nonzero()[0], draw, out)
    if many.any():
        n, p = np.where(many, trials, number(1e4)), np.where(many, q, number(0.5))
        _reject(keys, many, lambda *drawn: _binomial_attempt(n, p, draw, *drawn), draw, out)
    out = np.where(rare | bad_count | bad_prob | endless, out, trials - out)
    return np.where(bad_prob | bad_count, number(np.nan), np.where(endless, number(np.inf), out))


def _binomial_waiting(
    keys: np.ndarray, trials: np.ndarray, q: np.ndarray, left: np.ndarray, draw: _Positions, out: np.ndarray
) -> None:
    successes, total = np.full(left.size, q.dtype.type(-1)), np.zeros(left.size, q.dtype)
    while left.size:
        sub, keys = _split(keys, 2)
        more = total <= trials[left]
        out[left] = successes = successes + more
        left, successes, total = left[more], successes[more], total[more]
        total = total + np.ceil(np.log(draw(sub, left)) / np.log1p(-q[left]))


def _binomial_attempt(
    trials: np.ndarray, prob: np.ndarray, draw: _Positions, key_u: np.ndarray, key_v: np.ndarray, where: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    number = prob.dtype.type
    half, one = number(0.5), number(1)
    n, p = trials[where], prob[where]
    deviation = np.sqrt(n * p * (one - p))
    b = number(1.15) + number(2.53) * deviation
    a = number(-0.0873) + number(0.0248) * b + number(0.01) * p
    odds, mode = p / (one - p), np.floor((n + one) * p)
    u, v = draw(key_u, where) - half, draw(key_v, where)
    edge = half - np.abs(u)
    k = np.floor((number(2) * a / edge + b) * u + n * p + half)
    sure = (edge >= number(0.07)) & (v <= number(0.92) - number(4.2) / b)
    v = np.log(v * ((number(2.83) + number(5.1) / b) * deviation) / (a / (edge * edge) + b))
    bound = (
        (mode + half) * np.log((mode + one) / (odds * (n - mode + one)))
        + (n + one) * np.log((n - mode + one) / (n - k + one))
        + (k + half) * np.log(odds * (n - k + one) / (k + one))
        + (_stirling_tail(mode) + _stirling_tail(n - mode) - _stirling_tail(k) - _stirling_tail(n - k))
    )
    return k, sure | ((k >= 0) & (k <= n) & (v <= bound))


def _stirling_tail(k: np.ndarray) -> np.ndarray:
    """log(k!) less Stirling's formula in k + 1 for it."""
    next_one = k + k.dtype.type(1)
    square = next_one * next_one
    return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / next_one
