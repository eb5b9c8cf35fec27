"""Stages: what a region consists of. May import config, costs, core, checked, text.

A stage is one function of machine code that makes some of a region's results from pointers to its operands. It works along one axis of length
`extent`, and `write` gives a function of (pointers of `buffers`, scratch, low, high) that does the part [low, high) of it. Threads run parts
of `chunk`. A stage that sums over its extent names those results in `accumulated`: each part then gets zeroed memory of its own, to add
to, and the parts are added up in order afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fnets import config
from fnets.backends.costs import bytes_of, flops_of
from fnets.backends.llvm.code.checked import Space, checked
from fnets.backends.llvm.code.text import Function
from fnets.core.ir import Eqn, Var

_FLOPS, _BYTES = 60, 10  # of one thread in a nanosecond


class Stage:
    """What the driver must know of a stage; subclasses write it.

    eqns: the equations that it computes.
    loaded, stored: the variables that it reads and makes, contiguous in C order; `buffers` are both.
    extent: the length of the axis that can be cut into parts. blocking: where it can be cut, every so many; `extent` if it cannot be.
    chunk: the length of a part, all of it until the driver sets it before `write`: a multiple of `blocking`, or the extent. A part is [low, high) where low
      is a multiple of chunk, and high is low + chunk or the extent.
    aligned: variables of size s of which part [low, high) reads or writes the elements [low, high) * s / extent and no others.
    accumulated: results that are sums over the extent.
    roots: for variables of `loaded` that are reshapes, the variables whose memory they are; the driver sets it.
    errors: an accumulated int64[1], or None: if it is not 0 after the run, the results are worthless and NumPy must run the equations, for its error.
    retried: True if NumPy may find none, by other rounding: its results count then, so that the operands must be whole until the end.
    interruptible: True if it looks for signals, and leaves the error of their handler to be found: its results are worthless then.
    scratch: bytes of memory that a running part needs for itself, at `%scratch`, aligned to 64.
    """

    eqns: Sequence[Eqn] = ()
    loaded: list[Var]
    stored: list[Var]
    extent: int = 1
    blocking: int = 1
    _chunk: int | None = None
    aligned: frozenset[Var] = frozenset()
    accumulated: frozenset[Var] = frozenset()
    errors: Var | None = None
    retried: bool = False
    interruptible: bool = False
    scratch: int = 0
    roots: Mapping[Var, Var] = {}

    @property
    def chunk(self) -> int:
        return self.extent if self._chunk is None else self._chunk

    @chunk.setter
    def chunk(self, length: int) -> None:
        self._chunk = length

    @property
    def sources(self) -> list[Var]:
        """`loaded`, by the variables whose memory it is."""
        return [self.roots.get(v, v) for v in self.loaded]

    @property
    def sliced(self) -> frozenset[Var]:
        """`aligned`, by the variables whose memory it is, if that is read in no other way."""
        otherwise = [self.roots.get(v, v) for v in self.loaded if v not in self.aligned]
        return frozenset([self.roots.get(v, v) for v in self.aligned]).difference(otherwise)

    @property
    def buffers(self) -> list[Var]:
        return [*self.loaded, *self.stored]

    @property
    def domain(self) -> tuple[int, ...]:
        """What the report shows: the shape of the result."""
        return self.stored[0].aval.shape

    @property
    def nanoseconds(self) -> float:
        """A rough estimate of how long it takes on one thread."""
        work = sum([max(flops_of(e) / _FLOPS, bytes_of(e) / _BYTES) for e in self.eqns])
        return work or sum([v.aval.size * v.aval.dtype.itemsize for v in self.buffers]) / _BYTES

    def begin(self, name: str, alias: bool = False) -> Function:
        """The function to be written, with its parameters: `self.pointer` of each buffer, `%scratch`, `%low` and `%high`.

        alias: results may share memory with operands (see `replaceable`).
        """
        self.pointer = {v: f"%b{i}" for i, v in enumerate(self.buffers)}
        pointers = [f"ptr{'' if alias else ' noalias'} %b{i}" for i in range(len(self.buffers))]
        return Function(name, [*pointers, "ptr %scratch", "i64 %low", "i64 %high"])

    def function(self, name: str) -> Function:
        """What `write` gives, with every access to memory checked if the setting `check_bounds` says so."""
        f = self.write(name)
        return checked(f, self.spaces()) if config.read("check_bounds") else f

    def spaces(self) -> list[Space]:
        """What a part may touch: of operands and results that are `aligned` its own elements."""
        names = [e.prim.name for e in self.eqns]
        title = f"{type(self).__name__} {' '.join(names[:4])}{' ...' if names[4:] else ''}"
        out = []
        for i, v in enumerate(self.buffers):
            writes = i >= len(self.loaded)
            number = i - len(self.loaded) if writes else i
            nbytes = 8 if v.aval.weak_type else v.aval.nbytes
            step = nbytes // self.extent if v in self.aligned else None
            assert step is None or step * self.extent == nbytes, (self, v)
            kind = "result" if writes else "operand"
            out.append(Space(f"%b{i}", nbytes, writes, f"{kind} {number} ({v.aval}) of {title}", step))
        return [*out, Space("%scratch", self.scratch, True, f"scratch of {title}")]

    def write(self, name: str) -> Function:
        """The stage as a function."""
        raise TypeError(f"{type(self).__name__} must define write")

    def combine(self, result: Var) -> str:
        """The reduction by which the parts of an accumulated result are put together."""
        return "reduce_sum"

    def replaceable(self, result: Var) -> list[Var]:
        """Operands whose memory the result may take: each of their elements is read before that place is written."""
        return []
