"""Where a region keeps what nobody outside of it reads: places in one block of memory, by lifetimes. May import chains, core, stage."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fnets.backends.llvm.schedule.chains import Chain
from fnets.core.ir import Var

ALIGN = 64


def rounded(nbytes: int) -> int:
    """The next multiple of the alignment.

    >>> rounded(1), rounded(64)
    (64, 64)
    """
    return -(-nbytes // ALIGN) * ALIGN


class Plan:
    """Places of the chains' variables, but for those that are `elsewhere`: offsets in a block of `size` bytes; `scratch` bytes for each thread
    come after them. Those that are `kept` keep their places to the end.
    """

    def __init__(self, chains: Sequence[Chain], elsewhere: Collection[Var], kept: Collection[Var] = ()):
        self.place: dict[Var, int] = {}
        self.size = 0
        self.scratch = rounded(max([s.scratch for c in chains for s in c.stages], default=0))
        last = {v: k for k, c in enumerate(chains) for v in c.buffers}
        last.update(dict.fromkeys(kept, len(chains)))
        taken: list[tuple[int, int, int]] = []  # offset, end, last chain
        for k, c in enumerate(chains):
            taken = [t for t in taken if t[2] >= k]
            for v in c.buffers:
                if v not in elsewhere and v not in self.place:
                    nbytes = rounded(max(v.aval.nbytes, 8))
                    self.place[v] = start = _gap(taken, nbytes)
                    taken.append((start, start + nbytes, last[v]))
                    self.size = max(self.size, start + nbytes)


def _gap(taken: Sequence[tuple[int, int, int]], nbytes: int) -> int:
    """The first gap that is large enough."""
    start = 0
    for offset, end, _ in sorted(taken):
        if start + nbytes <= offset:
            break
        start = max(start, end)
    return start
