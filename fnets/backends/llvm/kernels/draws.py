"""Random numbers as stages: Threefry's bits, keys, integers, uniform and normal numbers. May import core, primitives.random_kernels, operations, special, stage, text, vmath.

Element i of a key's stream hashes the counter i, so a vector is a few dozen operations on numbers of lanes, in any order. The last vector
of a stream overlaps the one before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from fnets.backends.llvm.code import special, vmath
from fnets.backends.llvm.code.operations import convert, maximum
from fnets.backends.llvm.code.text import DOUBLE, INT64, SINGLE, Function, Lanes, is_supported
from fnets.backends.llvm.code.tiles import Offset
from fnets.backends.llvm.kernels.stage import Stage
from fnets.core.ir import Eqn, Literal, Var
from fnets.primitives.random_kernels import FAR, NEAR, weight_of_high_bits
from fnets.primitives.threefry import PARITY, ROTATIONS

_WORD, _LONG = np.dtype(np.uint32), np.dtype(np.uint64)


def threefry(v: Lanes, key: tuple[str, str], x0: str, x1: str) -> tuple[str, str]:
    """The two words that two words encrypt to, lane by lane."""

    def add(a: str, b: str) -> str:
        return v.binary("add", a, b, _WORD)

    last = v.binary("xor", v.binary("xor", *key, _WORD), v.const(PARITY, _WORD), _WORD)
    keys = (*key, last)
    x0, x1 = add(x0, keys[0]), add(x1, keys[1])
    for i in range(5):
        for r in ROTATIONS[i % 2]:
            x0 = add(x0, x1)
            x1 = v.binary("xor", v.intrinsic("fshl", _WORD, x1, x1, v.const(r, _WORD)), x0, _WORD)
        x0 = add(x0, keys[(i + 1) % 3])
        x1 = add(x1, add(keys[(i + 2) % 3], v.const(i + 1, _WORD)))
    return x0, x1


Words = tuple[str, str]  # of every element of a stream


class Draw(Stage):
    """What `finish` makes of the two words of every element of a key's stream, or of those of the keys that it splits into."""

    def __init__(self, e: Eqn, vector_bytes: int, finish: Callable[..., str], nanoseconds: float, split: tuple = ()):
        self.eqns = [e]
        self.finish = finish
        self.split = split  # which of these keys
        key, result = e.invars[0], e.outvars[0]
        self.key, self.result = key, result
        self.loaded, self.stored = [key], [result]  # type: ignore[list-item]
        self.keys = prod(key.aval.shape[:-1])
        shape = e.params["shape"]
        self.words = 2 if e.prim.name == "random_split" else 1  # of the result for each element of the stream
        self.count = prod(shape)
        # a stream is one chain of operations: the long one of normal numbers takes a third less time with another beside it
        self.width = vector_bytes // (2 if e.prim.name == "random_normal" else 4)
        self.row = 1  # elements of the stream for each index of the extent
        if self.keys > 1:
            self.extent = self.keys
            self.aligned = frozenset(self.buffers) if key.aval.ndim == 2 else frozenset()
        elif shape:
            self.extent, self.row = shape[0], self.count // shape[0]
            if key.aval.ndim == 1:
                self.aligned = frozenset([result])
        self.element_time = nanoseconds
        least = 1 if self.keys > 1 else -(-min(self.width, self.count) // self.row)
        self.blocking = next((k for k in range(least, self.extent) if self.extent % k == 0), self.extent)

    @property
    def nanoseconds(self) -> float:
        return self.element_time * self.keys * self.count

    def write(self, name: str) -> Function:
        self.f = f = self.begin(name)
        if self.keys > 1:
            with f.loop("%low", "%high", 1) as loop:
                self._stream(loop.index, 0, self.count)
        elif self.chunk < self.extent:
            self._stream(0, f.mul("%low", self.row), f.mul("%high", self.row))
        else:
            self._stream(0, 0, self.count)
        f.do("ret void")
        return f

    def _stream(self, k: Offset, low: Offset, high: Offset) -> None:
        """Elements of the k-th key's stream."""
        f, w = self.f, self.width
        one, v = Lanes(f, 1), Lanes(f, w)
        words = [one.load(f.address(self._at(self.key, 0), f.add(f.mul(k, 2), i), 4), _WORD) for i in range(2)]
        numbers = f"<{', '.join(f'i32 {i}' for i in range(w))}>"
        keys = [(v.splat(words[0], _WORD), v.splat(words[1], _WORD))]
        if self.split:
            new = threefry(v, keys[0], v.const(0, _WORD), numbers)
            keys = [tuple([v.shuffle(x, "poison", [i] * w, _WORD) for x in new]) for i in self.split]
        first = f.mul(k, self.count)

        def vector(v: Lanes, at: Offset) -> None:
            start = v.const(at, _WORD) if isinstance(at, int) else v.splat(f.op(f"trunc i64 {at} to i32"), _WORD)
            counters = v.binary("add", start, numbers, _WORD)
            streams = [threefry(v, key, v.const(0, _WORD), counters) for key in keys]
            place = self._at(self.result, f.mul(f.add(first, at), self.words))
            dtype = self.result.aval.dtype
            if self.words == 2:
                pairs = [j for i in range(w) for j in (i, w + i)]
                both = v.shuffle(*streams[0], pairs, _WORD)
                Lanes(f, 2 * w).first(2 * min(w, self.count)).store(both, place, dtype)
            else:
                v.store(self.finish(v, *streams, self.eqns[0].params), place, dtype)

        if self.count <= w:
            vector(v.first(self.count), 0)
            return
        with f.loop(low, high, w) as loop:
            at: Offset = loop.index
            if (self.row if self.keys == 1 and self.chunk < self.extent else self.count) % w:
                at = one.intrinsic("smin", INT64, loop.index, str(f.add(high, -w)))
            vector(v, at)

    def _at(self, v: Any, offset: Offset) -> str:
        return self.f.address(self.pointer[v], offset, v.aval.dtype.itemsize)


class FoldIn(Stage):
    """Keys made of keys and integers: of one of each, or of many of either or both."""

    def __init__(self, e: Eqn, vector_bytes: int):
        self.eqns = [e]
        self.loaded = [v for v in e.invars if type(v) is Var]
        self.stored = list(e.outvars)
        self.count = prod(e.outvars[0].aval.shape[:-1])
        self.width = vector_bytes // 4 if self.count > 1 else 1

    def write(self, name: str) -> Function:
        f = self.begin(name)
        count, w = self.count, self.width
        if count <= w:
            self._vector(f, 0)
        else:
            with f.loop(0, count, w) as loop:
                self._vector(f, f.smaller(loop.index, count - w))
        f.do("ret void")
        return f

    def _vector(self, f: Function, at: Offset) -> None:
        w = self.width
        v, pairs = [Lanes(f, k * w).first(k * self.count) for k in (1, 2)]
        key, data = self.eqns[0].invars
        (result,) = self.stored
        if key.aval.ndim > 1 and w > 1:
            both = pairs.load(f.address(self.pointer[key], f.mul(at, 2), 4), _WORD)  # type: ignore[index]
            words = [pairs.shuffle(both, "poison", range(i, 2 * w, 2), _WORD) for i in range(2)]
        else:
            words = [self._one(v, key, i, _WORD) for i in range(2)]  # type: ignore[arg-type]
        if type(data) is Literal:
            number = v.const(int(data.val) & 0xFFFFFFFF, _WORD)
        else:
            dtype = data.aval.dtype
            if data.aval.ndim:
                number = v.load(f.address(self.pointer[data], at, dtype.itemsize), dtype)  # type: ignore[index]
            else:
                number = self._one(v, data, 0, dtype)  # type: ignore[arg-type]
            number = convert(v, number, dtype, _WORD)
        new = threefry(v, (words[0], words[1]), v.const(0, _WORD), number)
        if w == 1:
            for i, x in enumerate(new):
                v.store(x, f.address(self.pointer[result], i, 4), _WORD)
        else:
            both = v.shuffle(*new, [j for i in range(w) for j in (i, w + i)], _WORD)
            pairs.store(both, f.address(self.pointer[result], f.mul(at, 2), 4), _WORD)

    def _one(self, v: Lanes, x: Var, i: int, dtype: np.dtype) -> str:
        """The i-th element of an operand in every lane."""
        f = v.function
        return v.splat(Lanes(f, 1).load(f.address(self.pointer[x], i, dtype.itemsize), dtype), dtype)


# ------------------------------------------------------------------ what becomes of two words


def _bits(v: Lanes, words: Words, params: dict) -> str:
    high, low = words
    width = params["width"]
    if width == 64:
        upper = v.binary("shl", v.cast("zext", high, _WORD, _LONG), v.const(32, _LONG), _LONG)
        return v.binary("or", upper, v.cast("zext", low, _WORD, _LONG), _LONG)
    word = v.binary("xor", high, low, _WORD)
    return word if width == 32 else v.cast("trunc", word, _WORD, np.dtype(f"u{width // 8}"))


def _float(v: Lanes, words: Words, dtype: np.dtype, start: float) -> str:
    """A number in [start, 2 start): random bits fill its mantissa. start: a power of two."""
    bits = np.dtype(f"u{dtype.itemsize}")
    info = np.finfo(dtype)
    word = _bits(v, words, {"width": info.bits})
    mantissa = v.binary("lshr", word, v.const(info.bits - info.nmant, bits), bits)
    number = v.binary("or", mantissa, v.const(int(np.array(start, dtype).view(bits)), bits), bits)
    return v.cast("bitcast", number, bits, dtype)


def _uniform(v: Lanes, words: Words, params: dict) -> str:
    """As the NumPy kernel, rounding for rounding."""
    dtype = params["dtype"]
    u = v.binary("fsub", _float(v, words, dtype, 1.0), v.const(1, dtype), dtype)
    bottom, top = dtype.type(params.get("low", 0.0)), dtype.type(params.get("high", 1.0))
    if bottom == 0 and top == 1:
        return u
    wide = v.cast("fpext", u, SINGLE, DOUBLE) if dtype == SINGLE else u
    stretched = v.binary("fmul", wide, v.const(top - bottom, DOUBLE), DOUBLE)
    u = v.binary("fadd", stretched, v.const(bottom, DOUBLE), DOUBLE)
    u = v.cast("fptrunc", u, DOUBLE, SINGLE) if dtype == SINGLE else u
    return maximum(v, u, v.const(bottom, dtype), dtype)


def _normal(v: Lanes, words: Words, params: dict) -> str:
    """sqrt(2) erfinv(u) as the NumPy kernel has it: in single precision by two polynomials."""
    if params["dtype"] == DOUBLE:
        u = _uniform(v, words, {"dtype": DOUBLE, "low": np.nextafter(-1.0, 0.0)})
        return v.binary("fmul", special.erf_inv(v, u, DOUBLE), v.const(math.sqrt(2), DOUBLE), DOUBLE)

    def binary(name: str, a: str, b: str) -> str:
        return v.binary(name, a, b, SINGLE)

    def const(x: float) -> str:
        return v.const(x, SINGLE)

    u = binary("fadd", binary("fsub", _float(v, words, SINGLE, 2.0), const(3)), const(2.0**-24))
    w = binary("fadd", vmath.log(v, binary("fsub", const(1), binary("fmul", u, u)), SINGLE), const(2.5))
    near = vmath.horner(v, w, NEAR[::-1].tolist(), SINGLE)

    def far() -> str:
        root = binary("fsub", vmath.sqrt(v, binary("fsub", const(2.5), w), SINGLE), const(3))
        return vmath.horner(v, root, FAR[::-1].tolist(), SINGLE)

    y = vmath.where_any(v, v.compare("ole", w, const(-2.5), SINGLE), far, near, SINGLE)  # one vector in twenty
    return binary("fmul", u, y)


def _integers(v: Lanes, *args: Any) -> str:
    """(high bits * 2**width + low bits) modulo the span, plus the low end; of the low bits alone where the high ones do not count."""
    *streams, params = args
    dtype, span = np.dtype(f"u{params['dtype'].itemsize}"), params["span"]
    width = 8 * dtype.itemsize

    def modulo(x: str) -> str:
        return v.binary("urem", x, v.const(span, dtype), dtype) if span else x

    *high, low = [modulo(_bits(v, words, {"width": width})) for words in streams]
    if high:
        factor = v.const(weight_of_high_bits(span, width), dtype)
        low = modulo(v.binary("add", v.binary("mul", high[0], factor, dtype), low, dtype))
    return v.binary("add", low, v.const(params["low"] % (1 << width), dtype), dtype)


_FINISH = {
    "random_bits": (_bits, 1.0),
    "random_split": (_bits, 1.0),
    "random_uniform": (_uniform, 1.2),
    "random_normal": (_normal, 2.0),
    "random_integers": (_integers, 2.0),
}


def lower(e: Eqn, vector_bytes: int) -> list[Stage] | None:
    """The stage of an equation, or None: keys of other generators, dtypes without a kernel, nothing to draw, or streams of 2**32 and more."""
    key, result = e.invars[0], e.outvars[0].aval
    if type(key) is Literal or key.aval.shape[-1:] != (2,) or result.size == 0:
        return None
    if e.prim.name == "random_fold_in":
        data, batch = e.invars[1].aval, result.shape[:-1]
        whole = is_supported(data.dtype) and data.dtype.kind in "iu"
        strong = type(e.invars[1]) is Literal or not data.weak_type
        simple = all([shape in ((), batch) for shape in (key.aval.shape[:-1], data.shape)])
        return [FoldIn(e, vector_bytes)] if whole and strong and simple else None
    if prod(e.params["shape"]) >= 1 << 32:
        return None
    if e.prim.name in ("random_uniform", "random_normal") and result.dtype not in (SINGLE, DOUBLE):
        return None
    split: tuple = ()
    if e.prim.name == "random_integers":
        split = (0, 1) if weight_of_high_bits(e.params["span"], 8 * result.dtype.itemsize) else (1,)
    return [Draw(e, vector_bytes, *_FINISH[e.prim.name], split)]


LOWER: dict[str, Any] = dict.fromkeys([*_FINISH, "random_fold_in"], lower)
