"""`fnets.scipy.spatial`: rotations in space, in `transform`, which loads when first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fnets.scipy.spatial import transform


def __getattr__(name: str) -> Any:
    if name == "transform":
        return importlib.import_module("fnets.scipy.spatial.transform")
    raise AttributeError(f"module 'fnets.scipy.spatial' has no attribute {name!r}")


__all__ = ["transform"]
