"""Types for annotations, under JAX's names. May import core."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from fnets.core.array import Array


@runtime_checkable
class SupportsDType(Protocol):
    """Anything with a dtype.

    >>> isinstance(np.ones(3), SupportsDType)
    True
    """

    @property
    def dtype(self) -> np.dtype: ...


ArrayLike: TypeAlias = Array | np.ndarray | np.generic | bool | int | float | complex
DTypeLike: TypeAlias = str | type[Any] | np.dtype | SupportsDType

__all__ = ["Array", "ArrayLike", "DTypeLike", "SupportsDType"]
