"""Putting together what the parts of a stage have summed up, in their order. May import nest, stage, text, core."""

from __future__ import annotations

from fnets.backends.llvm.code.text import Function, Lanes
from fnets.backends.llvm.kernels.nest import COMBINE, vectors
from fnets.backends.llvm.kernels.stage import Stage
from fnets.core.avals import ShapedArray
from fnets.core.ir import Var


class Combination(Stage):
    """A result out of the parts' copies, which lie one after the other in `copies`."""

    def __init__(self, maker: Stage, result: Var, parts: int, vector_bytes: int):
        aval = result.aval
        self.result = result
        self.name = maker.combine(result)
        self.copies = Var(ShapedArray((parts, *aval.shape), aval.dtype))
        self.loaded, self.stored = [self.copies], [result]
        self.parts = parts
        self.extent = aval.size
        self.aligned = frozenset(self.stored)
        self.width = vector_bytes // max(4, aval.dtype.itemsize)

    def write(self, name: str) -> Function:
        f = self.begin(name)
        dtype = self.result.aval.dtype
        size, combine = dtype.itemsize, COMBINE[self.name]

        def body(v: Lanes, at: str) -> None:
            first = f.address("%b0", at, size)
            with f.loop(1, self.parts, 1, [(v.type(dtype), v.load(first, dtype))]) as loop:
                copy = f.address(first, f.mul(loop.index, self.extent), size)
                loop.next = [combine(v, loop.values[0], v.load(copy, dtype), dtype)]
            v.store(loop.results[0], f.address("%b1", at, size), dtype)

        vectors(f, self.width, body)
        f.do("ret void")
        return f
