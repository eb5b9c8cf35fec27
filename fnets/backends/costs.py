"""What a jaxpr costs before it runs: floating-point operations, bytes moved, memory in use. May import core, numpy_codegen.

Operations are counted by the textbook (a multiply and an add are two, a function such as exp is one), bytes as every operand read and every
result written once. A primitive of a third party says its count in `prim.rules["flops"](eqn) -> int`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from fnets.backends.numpy_codegen import Codegen
from fnets.backends.passes import optimise
from fnets.core.avals import ShapedArray
from fnets.core.ir import Atom, Eqn, Jaxpr, Var, sub_jaxprs
from fnets.source import describe_location

# ------------------------------------------------------------------ operations of one equation

_FREE = {
    "convert_element_type", "copy", "stop_gradient", "name", "optimization_barrier", "concatenate", "pad", "gather", "getitem",
    "dynamic_slice", "dynamic_update_slice", "place", "select", "debug_callback", "io_callback", "pure_callback", "complex", "conj",
}  # fmt: skip


def _contraction(e: Eqn) -> int:
    (contracted, _), _ = e.params["dimension_numbers"]
    return 2 * _size(e.outvars[0]) * math.prod(e.invars[0].aval.shape[i] for i in contracted)


def _conv(y: Atom, w: Atom) -> int:
    return 2 * _size(y) * _size(w) // max(w.aval.shape[0], 1)


def _per_element(n: float, of: int = 0) -> Callable[[Eqn], int]:
    return lambda e: int(n * _size(e.invars[of]))


def _sorting(e: Eqn) -> int:
    a = max([v.aval for v in e.invars], key=lambda a: a.size)
    return int(a.size * math.log2(max(a.shape[-1] if a.shape else 1, 2)))


def _cubic(n: float) -> Callable[[Eqn], int]:
    return lambda e: int(n * _size(e.invars[0]) * e.invars[0].aval.shape[-1])


_FLOPS: dict[str, Callable[[Eqn], int]] = {
    "dot_general": _contraction,
    "conv": lambda e: _conv(e.outvars[0], e.invars[1]),
    "conv_input_grad": lambda e: _conv(e.invars[0], e.invars[1]),
    "conv_weight_grad": lambda e: _conv(e.invars[1], e.outvars[0]),
    "softmax": _per_element(5),
    "log_softmax": _per_element(5),
    "logsumexp": _per_element(4),
    "linear_recurrence": _per_element(2),
    "scatter": lambda e: _size(e.invars[-1]),
    "gather_transpose": _per_element(1),
    "sort": _sorting,
    "argsort": _sorting,
    "lexsort": _sorting,
    "top_k_indices": _sorting,
    "cholesky": _cubic(1 / 3),
    "lu": _cubic(2 / 3),
    "qr": _cubic(4 / 3),
    "svd": _cubic(14),
    "eigh": _cubic(9),
    "solve": lambda e: int((2 / 3 * _size(e.invars[0]) + 2 * _size(e.outvars[0])) * e.invars[0].aval.shape[-1]),
    "inv": _cubic(2),
    "det": _cubic(2 / 3),
    "slogdet": _cubic(2 / 3),
    "triangular_solve": lambda e: _size(e.outvars[0]) * e.invars[0].aval.shape[-1],
}
_TRANSCENDENTAL = {
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh",
    "asinh", "acosh", "atanh", "erf", "erfc", "erf_inv", "lgamma", "digamma", "logistic", "softplus", "logaddexp", "pow", "sqrt", "rsqrt", "cbrt",
    "zeta", "hypot",
}  # fmt: skip


def _size(v: Atom) -> int:
    return v.aval.size


def flops_of(e: Eqn) -> int:
    """Floating-point operations of one equation that has no jaxpr inside."""
    rule = e.prim.rules.get("flops") or _FLOPS.get(e.prim.name)
    if rule is not None:
        return rule(e)
    if e.prim.name in _FREE or e.prim.kind == "view" or not e.outvars:
        return 0
    if e.prim.kind == "reduce" or e.prim.name.startswith("cum"):
        return _size(e.invars[0])
    return max([_size(v) for v in e.outvars])


_TOUCHES_RESULT_ONLY = {"gather", "getitem", "dynamic_slice"}


def bytes_of(e: Eqn) -> int:
    """Bytes read and written by one equation that has no jaxpr inside; views move nothing."""
    if e.prim.kind == "view" and e.prim.name != "getitem":
        return 0
    written = sum([v.aval.nbytes for v in e.outvars])
    if e.prim.name in _TOUCHES_RESULT_ONLY:
        return 2 * written
    return written + sum([v.aval.nbytes for v in e.invars if type(v) is Var])


# ------------------------------------------------------------------ a whole program


class EqnCost(NamedTuple):
    """The cost of one equation: of all its trips, if it is inside of a loop. `known` is False where the number of trips is not."""

    eqn: Eqn
    depth: int
    flops: int
    transcendentals: int
    bytes: int
    trips: int
    known: bool
    where: Any


def _inside(e: Eqn) -> tuple[list[Jaxpr], int, bool]:
    """The jaxprs of an equation, how often each runs, and whether that is known."""
    jaxprs = [optimise(j) for j in sub_jaxprs(e.params)]
    if e.prim.name == "while":
        return jaxprs, 1, False
    return jaxprs, e.params.get("length", 1) if e.prim.name == "scan" else 1, True


def equation_costs(jaxpr: Jaxpr, trips: int = 1, known: bool = True, depth: int = 0) -> Iterator[EqnCost]:
    """The equations in order, each before those inside of it, with the total of all trips.

    Of several branches the most expensive one counts.
    """
    for e in jaxpr.eqns:
        jaxprs, times, told = _inside(e)
        if not jaxprs:
            flops = flops_of(e)
            slow = flops if e.prim.name in _TRANSCENDENTAL else 0
            yield EqnCost(e, depth, trips * flops, trips * slow, trips * bytes_of(e), trips, known, e.where)
            continue
        parts = [list(equation_costs(j, trips * times, known and told, depth + 1)) for j in jaxprs]
        tops = [[c for c in part if c.depth == depth + 1] for part in parts]
        totals = [tuple(sum(c[k] for c in top) for k in (2, 3, 4)) for top in tops]
        if e.prim.kind == "branch":
            worst = max(range(len(totals)), key=totals.__getitem__)
            parts, totals = [parts[worst]], [totals[worst]]
        flops, slow, moved = (sum(t[k] for t in totals) for k in range(3))
        yield EqnCost(e, depth, flops, slow, moved, trips, known and told, e.where)
        for part in parts:
            yield from part


# what NumPy takes, roughly: nanoseconds of a call and of a function such as exp, and what it does in a nanosecond
_CALL, _SLOW = 500, 1.0
_EACH_MATRIX = {
    "cholesky",
    "det",
    "eigh",
    "inv",
    "lu",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "triangular_solve",
}  # is a call
_FLOPS_PER_NS, _BYTES_PER_NS = 20, 30


def _calls(e: Eqn) -> int:
    """How many calls NumPy makes for an equation."""
    if e.prim.name not in _EACH_MATRIX:
        return 1
    return max([math.prod(v.aval.shape[:-2]) for v in e.invars])


def takes_longer(jaxpr: Jaxpr, nanoseconds: float) -> bool:
    """True if NumPy takes longer than this, by a rough estimate. A loop whose trips are unknown is taken for a long one.

    >>> takes_longer(Jaxpr((), (), (), (), ()), 100)
    False
    """
    total = 0.0
    for c in equation_costs(jaxpr):
        if not c.known:
            return True
        if next(sub_jaxprs(c.eqn.params), None) is None:
            work = max(c.flops / _FLOPS_PER_NS + c.transcendentals * _SLOW, c.bytes / _BYTES_PER_NS)
            total += work + c.trips * _CALL * _calls(c.eqn)
        if total > nanoseconds:
            return True
    return False


class Held(NamedTuple):
    """An array in memory: its type, bytes, what made it (a primitive's name, "argument i" or "constant"), and the user's line."""

    aval: ShapedArray
    nbytes: int
    origin: str
    where: Any


class Memory(NamedTuple):
    """Memory by liveness: arguments and constants, the highest total, and what is held then."""

    arguments: int
    constants: int
    peak: int
    held: list[Held]
    at: Eqn | None


class _Liveness:
    """Replays a jaxpr, keeping the set of arrays that are in memory."""

    def __init__(self, jaxpr: Jaxpr, donated: tuple[int, ...] = ()):
        self.codegen = Codegen(jaxpr, donated)
        self.owner: dict[Var, Var] = {}  # a view's memory is its owner's
        self.packed: set[Var] = set()  # contiguous: reshaping makes a view
        self.held: dict[Var, Held] = {}
        self.until: dict[Var, int] = {}
        end = len(jaxpr.eqns)
        for vs, kind in ((jaxpr.constvars, "constant"), (jaxpr.invars, "argument")):
            for i, v in enumerate(vs):
                self.owner[v] = v
                self.packed.add(v)
                self.until[v] = end + 1  # the caller holds it
                self.held[v] = Held(v.aval, v.aval.nbytes, f"{kind} {i}", None)

    @property
    def total(self) -> int:
        return sum([h.nbytes for h in self.held.values()])

    def source(self, e: Eqn, k: int) -> Atom | None:
        """The operand whose memory result k is a view of, if there is one."""
        first = e.invars[0] if e.invars else None
        if e.prim.name == "reshape":
            return first if first in self.packed else None
        if e.prim.kind == "view" or e.prim.name in ("stop_gradient", "name"):
            return first
        if e.prim.name == "optimization_barrier":
            return e.invars[k]
        inner = list(sub_jaxprs(e.params))
        if len(inner) == 1 and e.prim.kind != "loop" and inner[0].outvars[k] in inner[0].invars:
            return e.invars[inner[0].invars.index(inner[0].outvars[k])]  # handed through
        return None

    def step(self, i: int, e: Eqn) -> None:
        """Take equation i's results into memory."""
        reused = self.codegen.reusable(i, e) if e.prim.fresh and e.prim.kind == "elementwise" else None
        for k, v in enumerate(e.outvars):
            source = self.source(e, k)
            if type(source) is Var:
                self.owner[v] = self.owner[source]
            elif source is not None:  # a literal seen many times
                self.owner[v] = v
            else:
                operands = {self.codegen.names.get(x): x for x in e.invars if type(x) is Var}
                self.owner[v] = self.owner[operands[reused]] if reused else v
                self.held[self.owner[v]] = Held(v.aval, v.aval.nbytes, e.prim.name, e.where)
            if source is None or e.prim.name == "reshape":
                self.packed.add(v)
            used = self.codegen.last_use.get(v, i)
            self.until[self.owner[v]] = max(self.until.get(self.owner[v], -1), used)

    def drop(self, i: int) -> None:
        for v in [v for v in self.held if self.until.get(v, -1) <= i]:
            del self.held[v]


def memory_of(jaxpr: Jaxpr, donated: tuple[int, ...] = (), own_outputs: bool = True) -> Memory:
    """The highest amount of memory that a jaxpr's arrays take together, and which arrays those are.

    What a kernel allocates for itself while it runs is not counted; a loop's or branch's own arrays are, and so are the copies of results
    that would share memory with arguments or each other (`own_outputs`).
    """
    live = _Liveness(jaxpr, donated)
    arguments, constants = (sum([v.aval.nbytes for v in vs]) for vs in (jaxpr.invars, jaxpr.constvars))
    peak, held, at = live.total, list(live.held.values()), None
    for i, e in enumerate(jaxpr.eqns):
        before = list(live.held.values())
        live.step(i, e)
        after = list(live.held.values())
        moments = [after]
        for j in sub_jaxprs(e.params):
            inner = [h for h in memory_of(optimise(j), own_outputs=False).held if not h.origin.startswith("argument")]
            # a loop's results are memory of their own; those of a call or a branch are what it computes inside
            moments.append((after if e.prim.kind == "loop" else before) + inner)
        for moment in moments:
            total = sum([h.nbytes for h in moment])
            if total > peak:
                peak, held, at = total, moment, e
        live.drop(i)
    if own_outputs:
        copied = live.codegen.outputs_to_copy(jaxpr)
        copies = [
            Held(v.aval, v.aval.nbytes, f"copy of result {k}", None) for k, v in enumerate(jaxpr.outvars) if k in copied
        ]
        total = live.total + sum([h.nbytes for h in copies])
        if total > peak:
            peak, held, at = total, [*live.held.values(), *copies], None
    return Memory(arguments, constants, peak, held, at)


def si(number: float, unit: str = "") -> str:
    """A number with three figures and a prefix.

    >>> si(1234567, "B"), si(0)
    ('1.23 MB', '0 ')
    """
    for power, prefix in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(number) >= 10**power:
            return f"{number / 10**power:.3g} {prefix}{unit}"
    return f"{number:.3g} {unit}"


class CostAnalysis(dict):
    """Totals by JAX's names (`flops`, `transcendentals`, `bytes accessed`) and `peak memory`; `.equations` has them one by one, and it prints as a table."""

    def __init__(self, jaxpr: Jaxpr, donated: tuple[int, ...] = ()):
        self.equations = list(equation_costs(jaxpr))
        self.memory = memory_of(jaxpr, donated)
        top = [c for c in self.equations if c.depth == 0]
        super().__init__(
            {
                "flops": float(sum([c.flops for c in top])),
                "transcendentals": float(sum([c.transcendentals for c in top])),
                "bytes accessed": float(sum([c.bytes for c in top])),
                "peak memory": float(self.memory.peak),
            }
        )

    def __str__(self) -> str:
        lines = [f"{'primitive':24} {'flops':>10} {'bytes':>10} {'trips':>7}  result, line"]
        for c in self.equations:
            name = "  " * c.depth + c.eqn.prim.name
            trips = str(c.trips) if c.known else f">={c.trips}"
            types = " ".join(v.aval.str_short() for v in c.eqn.outvars)
            lines.append(
                f"{name:24} {si(c.flops):>10} {si(c.bytes, 'B'):>10} {trips:>7}  {types}  {describe_location(c.where)}"
            )
        lines.append(
            f"total: {si(self['flops'])}flop, {si(self['bytes accessed'], 'B')} moved, at most {si(self['peak memory'], 'B')} in use"
        )
        return "\n".join(lines)

    __repr__ = __str__
