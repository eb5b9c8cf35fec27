"""Equations that become stages of their own: products, convolutions, pooling, movement. May import core and the modules of those stages.

Each module gives `lower(eqn, vector_bytes)`, or a table of them: the stages of an equation, or None where NumPy should run it.
"""

from __future__ import annotations

from fnets import config
from fnets.backends.llvm.kernels import (
    contraction,
    convolution,
    draws,
    gathers,
    linalg,
    loops,
    movement,
    scans,
    searching,
    sorting,
    windows,
)
from fnets.backends.llvm.kernels.stage import Stage
from fnets.backends.llvm.schedule.regions import Lowering
from fnets.core.ir import Eqn


def _convolution(e: Eqn, vector_bytes: int) -> list[Stage] | None:
    return convolution.lower(e, vector_bytes, config.read("fast_math"))


LOWER: dict[str, Lowering] = {
    "dot_general": contraction.lower,
    **windows.LOWER,
    **movement.LOWER,
    **gathers.LOWER,
    **scans.LOWER,
    **draws.LOWER,
    **searching.LOWER,
    **sorting.LOWER,
    **linalg.LOWER,
    **dict.fromkeys(["conv_last", "conv_input_grad_last", "conv_weight_grad_last"], _convolution),
    "scan": lambda e, vector_bytes: loops.lower_scan(e, vector_bytes, lower),
    "while": lambda e, vector_bytes: loops.lower_while(e, vector_bytes, lower),
    "cond": lambda e, vector_bytes: loops.lower_cond(e, vector_bytes, lower),
}


def lower(e: Eqn, vector_bytes: int) -> list[Stage] | None:
    """The stages of an equation, or None if it is not for them.

    >>> from fnets.core.primitive import Primitive
    >>> lower(Eqn(Primitive("unheard_of"), (), (), {}, None), 64) is None
    True
    """
    rule = LOWER.get(e.prim.name)
    if rule is None or any([v.aval.size == 0 for v in (*e.invars, *e.outvars)]):
        return None
    return rule(e, vector_bytes)
