"""Work that need not wait for a loop: products of scanned arrays before it, sums of products after it. May import core, passes.

A recurrent network multiplies each input by the same weights, and its gradient adds up a product for each step. All steps at once are one large
product, which runs several times faster than many small ones. Sums are made in another order, so this is not for the NumPy backend, whose
results are bit for bit those of eager code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fnets.backends.passes import optimise
from fnets.core.avals import ShapedArray
from fnets.core.ir import Atom, Eqn, Jaxpr, Var, drop_dead
from fnets.core.primitive import registry


def hoist(jaxpr: Jaxpr) -> Jaxpr:
    """The same program with less inside of its scans."""
    if not any([e.prim.name == "scan" for e in jaxpr.eqns]):
        return jaxpr
    eqns: list[Eqn] = []
    for e in jaxpr.eqns:
        eqns += _Scan(e).eqns() if e.prim.name == "scan" and e.params["length"] > 1 else [e]
    return jaxpr.replace(eqns=eqns)


class _Scan:
    """A scan that is being taken apart: its body, and what goes before and after it."""

    def __init__(self, e: Eqn):
        self.e = e
        self.body = optimise(e.params["jaxpr"])
        self.length: int = e.params["length"]
        nc, nk = e.params["num_consts"], e.params["num_carry"]
        self.consts, self.carry, self.xs = (
            list(self.body.invars[a:b]) for a, b in ((0, nc), (nc, nc + nk), (nc + nk, None))
        )
        self.stacks: dict[Var, Atom] = dict(zip(self.xs, e.invars[nc + nk :]))  # of each x
        self.init = list(e.invars[nc : nc + nk])
        self.next = list(self.body.outvars[:nk])
        self.last = list(e.outvars[:nk])
        self.ys = dict(zip(e.outvars[nk:], self.body.outvars[nk:]))  # by their stacks
        self.before: list[Eqn] = []
        self.after: list[Eqn] = []

    def eqns(self) -> list[Eqn]:
        if self.body.constvars:
            return [self.e]
        gone = {e for e in self.body.eqns if self._goes_before(e)}
        for _ in range(2):  # once more, for sums of what the first time has stacked
            for k in reversed(range(len(self.carry))):
                self._goes_after(k)
        if not gone and not self.after:
            return [self.e]
        body = drop_dead(
            self.body.replace(
                invars=[*self.consts, *self.carry, *self.xs],
                eqns=[e for e in self.body.eqns if e not in gone],
                outvars=[*self.next, *self.ys.values()],
            )
        )
        given = self.e.invars[: len(self.consts)]
        scan = self.e.replace(
            invars=[*given, *self.init, *[self.stacks[x] for x in self.xs]],
            outvars=[*self.last, *self.ys],
            params=self.e.params | {"jaxpr": body, "num_carry": len(self.carry)},
        )
        return [*self.before, scan, *self.after]

    def _stacked(self, aval: ShapedArray) -> ShapedArray:
        return ShapedArray((self.length, *aval.shape), aval.dtype)

    def _goes_before(self, e: Eqn) -> bool:
        """True if an equation is the product of an x and a constant; its results for all steps become another x."""
        if e.prim.name != "dot_general" or e.invars[0] not in self.stacks or e.invars[1] not in self.consts:
            return False
        (lc, rc), (lb, _) = e.params["dimension_numbers"]
        if lb:
            return False
        (out,) = e.outvars
        stack = Var(self._stacked(out.aval))
        weights = self.e.invars[self.consts.index(e.invars[1])]  # type: ignore[arg-type]
        numbers = ((_shifted(lc), rc), ((), ()))
        operands = (self.stacks[e.invars[0]], weights)  # type: ignore[index]
        self.before.append(
            e.replace(invars=operands, outvars=(stack,), params=e.params | {"dimension_numbers": numbers})
        )
        self.xs.append(out)
        self.stacks[out] = stack
        return True

    def _goes_after(self, k: int) -> None:
        """Take a carry out to which every step only adds a product, or a sum, of what can be stacked."""
        c, out = self.carry[k], self.next[k]
        maker = {v: e for e in self.body.eqns for v in e.outvars}
        uses = Counter([v for e in self.body.eqns for v in e.invars if type(v) is Var])
        uses.update([v for v in (*self.next, *self.ys.values()) if type(v) is Var])
        added = maker.get(out)  # type: ignore[arg-type]
        if added is None or added.prim.name != "add" or uses[out] != 1 or uses[c] != 1 or c not in added.invars:
            return
        term = next((v for v in added.invars if v is not c), None)
        made = maker.get(term)  # type: ignore[arg-type]
        if type(term) is not Var or term.aval != c.aval or made is None or uses[term] != 1:
            return
        if made.prim.name == "dot_general":
            (lc, rc), (lb, _) = made.params["dimension_numbers"]
            if lb:
                return
            numbers = (((0, *_shifted(lc)), (0, *_shifted(rc))), ((), ()))
            params = made.params | {"dimension_numbers": numbers}
        elif made.prim.name == "reduce_sum":
            params = made.params | {"axes": (0, *_shifted(made.params["axes"]))}
        else:
            return
        have = {y: stack for stack, y in self.ys.items()}
        new = [v for v in made.invars if v not in self.stacks and v not in have]
        if any([type(v) is not Var or v in self.consts for v in new]):
            return
        if sum([v.aval.nbytes for v in new]) > 2 * term.aval.nbytes:  # as much as is read and written without this
            return
        for v in new:
            stack = Var(self._stacked(v.aval))
            self.ys[stack] = v
            have[v] = stack
        total = Var(term.aval)
        stacks = [self.stacks[v] if v in self.stacks else have[v] for v in made.invars]  # type: ignore[index]
        self.after.append(made.replace(invars=stacks, outvars=(total,), params=params))
        self.after.append(Eqn(registry["add"], (self.init[k], total), (self.last[k],), {}, added.where))
        for parts in (self.carry, self.next, self.init, self.last):
            del parts[k]


def _shifted(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple([a + 1 for a in axes])
