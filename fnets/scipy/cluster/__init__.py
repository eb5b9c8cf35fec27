"""`fnets.scipy.cluster`: vector quantisation, in `vq`, which loads when first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fnets.scipy.cluster import vq


def __getattr__(name: str) -> Any:
    if name == "vq":
        return importlib.import_module("fnets.scipy.cluster.vq")
    raise AttributeError(f"module 'fnets.scipy.cluster' has no attribute {name!r}")


__all__ = ["vq"]
