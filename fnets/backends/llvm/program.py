"""The backend: optimise, group, compile the regions, and write the schedule around them. May import core, anchors,
kernel, loading, numpy_codegen, pool, prepare, regions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fnets.backends.llvm import anchors, pool
from fnets.backends.llvm.engine import host
from fnets.backends.llvm.kernel import as_equation, module_text
from fnets.backends.llvm.loading import load
from fnets.backends.llvm.prepare import prepare
from fnets.backends.llvm.regions import Call, schedule
from fnets.backends.numpy_codegen import generate
from fnets.core.ir import Eqn, Jaxpr


class Report(NamedTuple):
    """What runs natively: for each call its chains, for each of these the parts it is cut into and its stages (a domain and the primitives of
    a stage); and the primitives that NumPy runs, in order.
    """

    regions: list[list[tuple[int, list[tuple[tuple[int, ...], list[str]]]]]]
    numpy: list[str]

    def __str__(self) -> str:
        native = sum(len(names) for chains in self.regions for _, stages in chains for _, names in stages)
        lines = [f"{native} equations run natively in {len(self.regions)} calls, {len(self.numpy)} in NumPy"]
        for k, chains in enumerate(self.regions):
            lines.append(f"  native call {k}")
            for parts, stages in chains:
                lines.append(f"    {parts} part{'s' if parts > 1 else ''}")
                lines += [f"      {shape}: {' '.join(names)}" for shape, names in stages]
        return "\n".join([*lines, f"  NumPy: {' '.join(self.numpy) or 'nothing'}"])


def report_of(steps: list[Eqn | Call]) -> Report:
    """The report of a schedule."""
    return Report(
        [
            [
                (c.parts, [(s.domain, [e.prim.name for e in s.eqns] or [type(s).__name__]) for s in c.stages])
                for c in r.chains
            ]
            for r in steps
            if isinstance(r, Call)
        ],
        [s.prim.name for s in steps if isinstance(s, Eqn)],
    )


def compile_native(jaxpr: Jaxpr, own_outputs: bool = False, donated: tuple[int, ...] = ()) -> Callable[..., list]:
    """Compile to a function of the flat arguments, as `compile_numpy`; raises `Unavailable` where there is no native code."""
    vector_bytes = host().vector_bytes
    jaxpr = prepare(jaxpr)
    steps = schedule(jaxpr, vector_bytes, anchors.lower)
    regions = [s for s in steps if isinstance(s, Call)]
    report = report_of(steps)
    if regions:
        pool.start()
        loaded = load(module_text(regions))
        eqns = [as_equation(s, loaded) if isinstance(s, Call) else s for s in steps]
        jaxpr = jaxpr.replace(eqns=eqns)
    run = generate(jaxpr, own_outputs, donated)
    run.report = report  # type: ignore[attr-defined]
    return run
