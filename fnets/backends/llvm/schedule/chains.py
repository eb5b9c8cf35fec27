"""Chains: stages that run part by part, one after the other, while the data are in the cache; and how large the parts are. May import core, stage.

Stages of a chain are cut along the same axis (a batch, rows): what one makes of a part is all that the next one reads of it. So a whole
network runs its batch through in parts of a few images, each on one thread, and threads meet only where something is summed over the batch.
Parts are fixed by shapes alone, and with them every bit of the results.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from fnets.backends.llvm.kernels.combination import Combination
from fnets.backends.llvm.kernels.stage import Stage
from fnets.core.ir import Var

WORTH_PARTS = 60_000  # estimated nanoseconds from which a chain is cut
PART = 25_000  # estimated nanoseconds of a part
MOST_PARTS = 64
_FEW, _SMALL = 16, 1 << 12  # parts of a chain with sums of more than so many bytes
_FEWEST = 4  # and fewer of one with larger sums, but so many
_COPY = 4.0  # estimated nanoseconds of a part that are worth a byte of its copies
_FEW_CUTS = 8  # a chain that is worth cutting has as many parts at least, if its stages do
_SUMS = 1 << 20  # bytes that all the parts' own copies of a result may take


class Chain:
    """Stages that run together: `extent` is the common axis, `chunk` a part of it."""

    def __init__(self, first: Stage):
        self.stages: list[Stage] = []
        self.made: dict[Var, Stage] = {}
        self.extent = 0
        self.chunk = 0
        self.copies: dict[Var, Var] = {}  # of an accumulated result: one for each part
        self._add(first)

    def _add(self, s: Stage) -> None:
        self.stages.append(s)
        self.extent = math.gcd(self.extent, _cuts(s))
        self.made.update(dict.fromkeys(s.stored, s))

    def join(self, s: Stage) -> bool:
        """Take the stage in, if it can run with the others part by part."""
        extent = math.gcd(self.extent, _cuts(s))
        stages = (s, *self.stages)
        large = [_cuts(x) for x in stages if x.nanoseconds >= WORTH_PARTS]
        if extent < 2 or any([extent < min(n, 16) for n in large]):
            return False
        if sum([x.nanoseconds for x in stages]) >= WORTH_PARTS and extent < min(_FEW_CUTS, max(map(_cuts, stages))):
            return False
        for v in s.sources:
            maker = self.made.get(v)
            if maker is not None and (v in maker.accumulated or v not in maker.sliced or v not in s.sliced):
                return False
        parts = min(extent, MOST_PARTS)
        if any([v.aval.nbytes * parts > _SUMS for x in (s, *self.stages) for v in x.accumulated]):
            return False
        self._add(s)
        return True

    def settle(self, part: float, worth: float) -> None:
        """Choose the parts."""
        if len(self.stages) == 1:  # its last part may be shorter than its blocking
            self.extent = self.stages[0].extent
        unit = math.lcm(*[s.blocking // math.gcd(s.blocking, s.extent // self.extent) for s in self.stages])
        total = sum([s.nanoseconds for s in self.stages])
        self.chunk = self.extent
        if self.extent > 1 and total >= worth:
            parts = min(self.extent, MOST_PARTS, max(2, round(total / part)))
            copies = sum([v.aval.nbytes for s in self.stages for v in s.accumulated])
            if copies > _SMALL:  # each part's is cleared, filled and read once more
                parts = min(parts, _FEW, max(_FEWEST, round(total / (_COPY * copies))))
            self.chunk = min(self.extent, -(-self.extent // (parts * unit)) * unit)
        for s in self.stages:
            s.chunk = self.chunk * (s.extent // self.extent)

    @property
    def buffers(self) -> list[Var]:
        """The variables whose memory the chain needs."""
        used = [self.copies.get(v, v) if v in s.stored else v for s in self.stages for v in (*s.sources, *s.stored)]
        return list(dict.fromkeys(used))

    @property
    def parts(self) -> int:
        return -(-self.extent // self.chunk)

    def passes(self, v: Var) -> bool:
        """True if every part makes and reads its own part of a variable, and no more of it."""
        users = [s for s in self.stages if v in s.sources or v in s.stored]
        return self.parts > 1 and v in self.made and all([v in s.sliced and v not in s.accumulated for s in users])

    def part_bytes(self, v: Var) -> int:
        """The memory of one part of a variable that `passes`."""
        return v.aval.nbytes // self.extent * self.chunk

    def lifetime(self, v: Var) -> tuple[int, int]:
        """The first and the last stage that use a variable."""
        users = [i for i, s in enumerate(self.stages) if v in s.sources or v in s.stored]
        return users[0], users[-1]

    def combinations(self, vector_bytes: int) -> list[Stage]:
        """The stages that put the parts' copies of results together; `copies` says then where the copies are."""
        if self.parts == 1:
            return []
        made = [
            Combination(s, v, self.parts, vector_bytes) for s in self.stages for v in s.stored if v in s.accumulated
        ]
        self.copies = {c.result: c.copies for c in made}
        return list(made)


def _is_side_work(s: Stage) -> bool:
    """True for what would hold a chain up: little work that cannot be cut as chains are."""
    return s.nanoseconds < WORTH_PARTS and _cuts(s) < _FEW_CUTS


def _cuts(s: Stage) -> int:
    """Into how many parts a stage can be cut at most."""
    return s.extent // s.blocking if s.extent % s.blocking == 0 else 1


def chains(stages: Sequence[Stage], vector_bytes: int) -> list[Chain]:
    """The stages as chains, in an order in which they can run: those that continue a chain come first.

    Stages that put parts together are added where they are needed.
    """
    everything = list(stages)
    made = {v for s in stages for v in s.stored}
    readers: dict[Var, list[int]] = {}
    for i, s in enumerate(stages):
        for v in dict.fromkeys(s.sources):
            if v in made:
                readers.setdefault(v, []).append(i)
    missing = [len({*s.sources} & made) for s in stages]
    ready = [i for i, n in enumerate(missing) if n == 0]
    out: list[Chain] = []
    open_ = False  # whether the last chain takes more stages

    def available(variables: Iterable[Var]) -> None:
        for v in variables:
            for j in readers.get(v, ()):
                missing[j] -= 1
                if missing[j] == 0:
                    ready.append(j)
        ready.sort()

    while ready or open_:
        chosen = next((i for i in ready if open_ and out[-1].join(everything[i])), None)
        if chosen is None and open_:
            open_ = False
            out[-1].settle(PART, WORTH_PARTS)
            for c in out[-1].combinations(vector_bytes):
                ready.append(len(everything))
                everything.append(c)
            available([v for s in out[-1].stages for v in s.accumulated if v not in out[-1].copies])
            continue
        if chosen is None:
            # little work that cannot be cut first: chains are waiting for it
            chosen, open_ = min(ready, key=lambda i: (not _is_side_work(everything[i]), i)), True
            out.append(Chain(everything[chosen]))
        ready.remove(chosen)
        s = everything[chosen]
        available([v for v in s.stored if v not in s.accumulated])
    return out
