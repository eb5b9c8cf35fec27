"""`Array`: the type of what functions here take and return, for `isinstance` and for annotations. May import trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fnets.core.trace import Tracer


class _ArrayType(type):
    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, (np.ndarray, np.generic, Tracer))

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, (np.ndarray, np.generic, Tracer))


class Array(metaclass=_ArrayType):
    """An array: a NumPy array or scalar, or a traced value. `isinstance(x, Array)` tells them from Python numbers and containers.

    >>> isinstance(np.ones(3), Array), isinstance(np.float32(1), Array), isinstance(1.0, Array)
    (True, True, False)
    """

    if TYPE_CHECKING:  # for annotations: what NumPy's arrays and traced values have in common
        shape: tuple[int, ...]
        dtype: np.dtype
        ndim: int
        size: int
        T: Array

        def __getattr__(self, name: str) -> Any: ...
