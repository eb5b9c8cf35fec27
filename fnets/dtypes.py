"""Questions about dtypes, under JAX's module name. May import numpy, config."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnets.config import default_float
from fnets.core.avals import as_np_dtype
from fnets.errors import DTypeError
from fnets.numpy import finfo, iinfo, isdtype, issubdtype, promote_types, result_type
from fnets.numpy.dtypes import EXTENDED, extended_type

_BITS = {"int2": 2, "uint2": 2, "int4": 4, "uint4": 4, "float4_e2m1fn": 4, "float6_e2m3fn": 6, "float6_e3m2fn": 6}
TypePromotionError = DTypeError


def canonicalize_dtype(dtype: Any, allow_extended_dtype: bool = False) -> np.dtype:
    """A dtype as it is used: nothing is shortened, and None is the default float.

    >>> canonicalize_dtype("float64"), canonicalize_dtype(None)
    (dtype('float64'), dtype('float32'))
    """
    return default_float() if dtype is None else as_np_dtype(dtype)


def itemsize_bits(dtype: Any) -> int:
    """The number of bits that a value of a dtype has.

    >>> itemsize_bits("float32")
    32
    """
    dtype = as_np_dtype(dtype)
    return _BITS.get(dtype.name, 8 * dtype.itemsize)


def scalar_type_of(x: Any) -> type:
    """The Python type of a scalar or of an array's elements: bool, int, float or complex.

    >>> scalar_type_of(np.ones(2, "int8"))
    <class 'int'>
    """
    dtype = result_type(x)
    for kind, python in ((np.bool_, bool), (np.integer, int), (np.floating, float), (np.complexfloating, complex)):
        if issubdtype(dtype, kind):
            return python
    raise DTypeError(f"[scalar_type_of] expected numbers, got {dtype.name}.")


def __getattr__(name: str) -> Any:
    if name in EXTENDED:
        return extended_type(name)
    raise AttributeError(f"module 'fnets.dtypes' has no attribute {name!r}")


__all__ = [
    "TypePromotionError",
    "canonicalize_dtype",
    "finfo",
    "iinfo",
    "isdtype",
    "issubdtype",
    "itemsize_bits",
    "promote_types",
    "result_type",
    "scalar_type_of",
]
