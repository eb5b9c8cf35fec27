"""Stages: what a region consists of. May import core, text.

A stage is one function of machine code that makes some of a region's results from pointers to its operands. It works along one axis of length
`extent`, and `write` gives a function of (pointers of `buffers`, scratch, low, high) that does the part [low, high) of it. Threads run parts
of `chunk`. A stage that sums over its extent names those results in `accumulated`: each part then gets zeroed memory of its own, to add
to, and the parts are added up in order afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from fnets.backends.llvm.text import Function
from fnets.core.ir import Eqn, Var


class Stage:
    """What the driver must know of a stage; subclasses write it.

    eqns: the equations that it computes.
    loaded, stored: the variables that it reads and makes, contiguous in C order; `buffers` are both.
    extent, chunk: the length of the axis that can be cut, and the length of a part (a multiple of any blocking; `extent` if it is not worth it).
    aligned: variables of which rows [low, high) of the leading axis (of length `extent`) are all that part [low, high) reads or writes.
    accumulated: results that are sums over the extent.
    scratch: bytes of memory that a running part needs for itself, at `%scratch`, aligned to 64.
    """

    eqns: Sequence[Eqn]
    loaded: list[Var]
    stored: list[Var]
    extent: int = 1
    chunk: int = 1
    aligned: frozenset[Var] = frozenset()
    accumulated: frozenset[Var] = frozenset()
    scratch: int = 0

    @property
    def buffers(self) -> list[Var]:
        return [*self.loaded, *self.stored]

    def begin(self, name: str, alias: bool = False) -> Function:
        """The function to be written, with its parameters: `self.pointer` of each buffer, `%scratch`, `%low` and `%high`.

        alias: results may share memory with operands (see `replaceable`).
        """
        self.pointer = {v: f"%b{i}" for i, v in enumerate(self.buffers)}
        pointers = [f"ptr{'' if alias else ' noalias'} %b{i}" for i in range(len(self.buffers))]
        return Function(name, [*pointers, "ptr %scratch", "i64 %low", "i64 %high"], linkage="internal")

    def write(self, name: str) -> Function:
        """The stage as a function."""
        raise TypeError(f"{type(self).__name__} must define write")

    def replaceable(self, result: Var) -> list[Var]:
        """Operands whose memory the result may take: each of their elements is read before that place is written."""
        return []
