"""The backend: optimise, group, compile the regions, and write the schedule around them. May import core, passes, numpy_codegen, expand, kernel,
regions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fnets.backends.llvm.engine import host
from fnets.backends.llvm.expand import expand
from fnets.backends.llvm.kernel import as_equation, load, module_text
from fnets.backends.llvm.regions import Region, schedule
from fnets.backends.numpy_codegen import generate
from fnets.backends.passes import optimise
from fnets.core.ir import Eqn, Jaxpr


class Report(NamedTuple):
    """What runs natively: for each region the primitives of each of its nests with their domains; and the primitives that NumPy runs, in order."""

    regions: list[list[tuple[tuple[int, ...], list[str]]]]
    numpy: list[str]

    def __str__(self) -> str:
        native = sum(len(names) for nests in self.regions for _, names in nests)
        lines = [f"{native} equations run natively in {len(self.regions)} calls, {len(self.numpy)} in NumPy"]
        for k, nests in enumerate(self.regions):
            lines += [f"  native call {k}, loop over {shape}: {' '.join(names)}" for shape, names in nests]
        return "\n".join([*lines, f"  NumPy: {' '.join(self.numpy) or 'nothing'}"])


def report_of(steps: list[Eqn | Region]) -> Report:
    """The report of a schedule."""
    return Report(
        [[(n.domain, [e.prim.name for e in n.eqns]) for n in s.nests] for s in steps if isinstance(s, Region)],
        [s.prim.name for s in steps if isinstance(s, Eqn)],
    )


def compile_native(jaxpr: Jaxpr, own_outputs: bool = False, donated: tuple[int, ...] = ()) -> Callable[..., list]:
    """Compile to a function of the flat arguments, as `compile_numpy`; raises `Unavailable` where there is no native code."""
    host()
    jaxpr = expand(optimise(jaxpr))
    steps = schedule(jaxpr)
    regions = [s for s in steps if isinstance(s, Region)]
    report = report_of(steps)
    if regions:
        loaded = load(module_text(regions))
        eqns = [as_equation(s, loaded) if isinstance(s, Region) else s for s in steps]
        jaxpr = jaxpr.replace(eqns=eqns)
    run = generate(jaxpr, own_outputs, donated)
    run.report = report  # type: ignore[attr-defined]
    return run
