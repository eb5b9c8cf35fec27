"""`fnets.scipy`: the functions of SciPy that `jax.scipy` offers, on arrays and traced values, differentiable. SciPy itself is never imported.

Submodules load when first used: `special`, `stats`, `linalg`, `fft`, `signal`, `ndimage`, `interpolate`, `integrate`, `optimize`, `sparse`,
`spatial`, `cluster`. May import everything below `fnets.nn`.

>>> import fnets.scipy
>>> round(float(fnets.scipy.special.gammaln(5.0)), 6)
3.178054
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_SUBMODULES = (
    "cluster", "fft", "integrate", "interpolate", "linalg", "ndimage", "optimize", "signal", "sparse", "spatial", "special", "stats",
)  # fmt: skip

if TYPE_CHECKING:
    from fnets.scipy import (
        cluster,
        fft,
        integrate,
        interpolate,
        linalg,
        ndimage,
        optimize,
        signal,
        sparse,
        spatial,
        special,
        stats,
    )


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"fnets.scipy.{name}")
    raise AttributeError(f"module 'fnets.scipy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_SUBMODULES])


__all__ = [
    "cluster", "fft", "integrate", "interpolate", "linalg", "ndimage", "optimize", "signal", "sparse", "spatial", "special", "stats",
]  # fmt: skip
