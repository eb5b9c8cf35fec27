"""What `test_rules.py` runs: samples of every primitive. Each family's samples are a file in `tests/samples/`, named as the family's own file.

A sample is a primitive, operands, parameters. A primitive without a sample fails `test_rules.py`; so does one with a missing rule.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from typing import Any

import numpy as np
import samples

from fnets.core.primitive import Primitive

rng = np.random.default_rng(0)


class Sample:
    """One use of a primitive.

    args: operands (arrays or Python scalars), float64 where derivatives are to be checked.
    wrt: positions to differentiate; by default every operand of float or complex dtype.
    batch: positions that may be batched; by default every operand.
    exact: False where the eager and jitted results may differ by rounding.
    order: highest order of derivative to check.
    more_params: parameters whose names are taken here.
    """

    def __init__(
        self,
        prim: Primitive,
        *args: Any,
        wrt: Sequence[int] | None = None,
        batch: Sequence[int] | None = None,
        order: int = 2,
        tol: float = 1e-6,
        name: str = "",
        more_params: dict[str, Any] | None = None,
        **params: Any,
    ):
        self.prim = prim
        self.args = args
        self.params = params | (more_params or {})
        if wrt is None:
            wrt = (
                [i for i, a in enumerate(args) if np.asarray(a).dtype.kind in "fc" and not isinstance(a, float)]
                if prim.differentiable
                else []
            )
        self.wrt = tuple(wrt)
        self.batch = tuple(range(len(args))) if batch is None else tuple(batch)
        self.order = order
        self.tol = tol
        self.name = name

    def __call__(self, *args: Any) -> list:
        """The primitive's results as a list."""
        out = self.prim.bind(*args, **self.params)
        return list(out) if self.prim.multi else [out]

    def __repr__(self) -> str:
        shapes = "-".join("x".join(map(str, np.shape(a))) or "scalar" for a in self.args)
        return f"{self.prim.name}{'-' + self.name if self.name else ''}-{shapes}"


def normal(*shape: int) -> np.ndarray:
    """Standard normal float64 numbers."""
    return rng.standard_normal(shape)


def uniform(low: float, high: float, *shape: int) -> np.ndarray:
    """Uniform float64 numbers."""
    return rng.uniform(low, high, shape)


def integers(low: int, high: int, *shape: int) -> np.ndarray:
    """Uniform int64 numbers in [low, high)."""
    return rng.integers(low, high, shape)


def all_samples() -> list[Sample]:
    """The samples of all families."""
    out: list[Sample] = []
    for module in sorted(m.name for m in pkgutil.iter_modules(samples.__path__)):
        out += importlib.import_module(f"samples.{module}").SAMPLES
    return out
