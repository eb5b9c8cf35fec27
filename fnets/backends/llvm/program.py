"""The backend: optimise, group, compile the regions, and write the schedule around them. May import core, anchors,
engine, kernel, loading, numpy_codegen, pool, prepare, regions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fnets import config
from fnets.backends.llvm.passes.prepare import prepare
from fnets.backends.llvm.runtime import pool
from fnets.backends.llvm.runtime.engine import Loaded, host
from fnets.backends.llvm.runtime.kernel import as_equation, link, modules_of
from fnets.backends.llvm.runtime.loading import Saved, load
from fnets.backends.llvm.schedule import anchors
from fnets.backends.llvm.schedule.regions import Call, schedule
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
    pool.start()
    source = jaxpr.replace()  # a memo keys on the jaxpr weakly: its value must not hold it

    def explain(number: int) -> Jaxpr:
        return [s for s in _schedule(source)[1] if isinstance(s, Call)][number].jaxpr

    saved = Saved(source, f"{pool.num_threads()} {config.read('fast_math')} {config.read('check_bounds')}")
    program, loaded = saved.find() or _compile(source, saved)
    if loaded is not None:
        program = program.replace(eqns=link(program.eqns, loaded, explain))
    run = generate(program, own_outputs, donated)
    run.report = lambda: report_of(_schedule(source)[1])  # type: ignore[attr-defined]
    return run


def _schedule(jaxpr: Jaxpr) -> tuple[Jaxpr, list[Eqn | Call]]:
    """The program as it is when its equations are grouped, and its schedule."""
    prepared = prepare(jaxpr)
    return prepared, schedule(prepared, host().vector_bytes, anchors.lower)


def _compile(jaxpr: Jaxpr, saved: Saved) -> tuple[Jaxpr, Loaded | None]:
    """The schedule as a program with native calls, and their code."""
    prepared, steps = _schedule(jaxpr)
    regions = [s for s in steps if isinstance(s, Call)]
    if not regions:
        return prepared.replace(eqns=steps), None
    modules, entries = modules_of(regions)
    names = iter(entries)
    program = prepared.replace(eqns=[as_equation(s, next(names)) if isinstance(s, Call) else s for s in steps])
    loaded = load(*modules, share=pool.emit)
    saved.keep(program, *modules)
    return program, loaded
