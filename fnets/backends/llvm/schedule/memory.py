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
    come after them. Those that are `kept` keep their places to the end. `local` ones, which live within the parts of one chain, have theirs in
    the scratch: each thread has room for its part of them, which stays in its cache.
    """

    def __init__(self, chains: Sequence[Chain], elsewhere: Collection[Var], kept: Collection[Var] = ()):
        first: dict[Var, int] = {}
        last: dict[Var, int] = {}
        for k, c in enumerate(chains):
            for v in c.buffers:
                first.setdefault(v, k)
                last[v] = k
        last.update(dict.fromkeys(kept, len(chains)))
        here = [v for v in first if v not in elsewhere]
        own = rounded(max([s.scratch for c in chains for s in c.stages], default=0))
        self.local: dict[Var, int] = {}
        self.scratch = own
        for k, c in enumerate(chains):
            passing = [v for v in here if first[v] == last[v] == k and c.passes(v)]
            places, size = _arranged([(v, c.part_bytes(v), *c.lifetime(v)) for v in passing])
            self.local |= {v: own + place for v, place in places.items()}
            self.scratch = max(self.scratch, own + size)
        self.place, self.size = _arranged([(v, v.aval.nbytes, first[v], last[v]) for v in here if v not in self.local])


def _arranged(lives: Sequence[tuple[Var, int, int, int]]) -> tuple[dict[Var, int], int]:
    """Places for variables of so many bytes with a first and a last time, and their size in all; those that never live at once share memory."""
    place: dict[Var, int] = {}
    size = 0
    taken: list[tuple[int, int, int]] = []  # offset, end, last time
    for v, nbytes, first, last in sorted(lives, key=lambda life: life[2]):
        taken = [t for t in taken if t[2] >= first]
        nbytes = rounded(max(nbytes, 8))
        place[v] = start = _gap(taken, nbytes)
        taken.append((start, start + nbytes, last))
        size = max(size, start + nbytes)
    return place, size


def _gap(taken: Sequence[tuple[int, int, int]], nbytes: int) -> int:
    """The first gap that is large enough."""
    start = 0
    for offset, end, _ in sorted(taken):
        if start + nbytes <= offset:
            break
        start = max(start, end)
    return start
