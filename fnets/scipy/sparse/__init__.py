"""`fnets.scipy.sparse`: iterative solvers of linear systems, in `linalg`, which loads when first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fnets.scipy.sparse import linalg


def __getattr__(name: str) -> Any:
    if name == "linalg":
        return importlib.import_module("fnets.scipy.sparse.linalg")
    raise AttributeError(f"module 'fnets.scipy.sparse' has no attribute {name!r}")


__all__ = ["linalg"]
