"""Abstract values: the shape and dtype of an array without its contents. May import errors and config.

A `weak_type` aval stands for a raw Python scalar, or for what is computed from such scalars alone: it takes part in
NumPy's promotion as a Python scalar does (NEP 50), and at run time it *is* a Python scalar.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from fnets.config import default_complex, default_float
from fnets.errors import ArgumentError

PYTHON_SCALARS = (bool, int, float, complex)


def as_np_dtype(dtype: Any) -> np.dtype:
    """`np.dtype(dtype)` that knows the names of `ml_dtypes`, such as "bfloat16", before that package is loaded.

    >>> as_np_dtype("float32")
    dtype('float32')
    """
    try:
        return np.dtype(dtype)
    except TypeError as error:
        if isinstance(dtype, str):
            with contextlib.suppress(ImportError, AttributeError, TypeError):
                found = np.dtype(getattr(importlib.import_module("ml_dtypes"), dtype))
                if found.name == dtype:
                    return found
        raise error


def is_extended(dtype: np.dtype) -> bool:
    """True for the number types of `ml_dtypes`, which NumPy calls void.

    >>> is_extended(np.dtype("float32")), is_extended(np.dtype("V2"))
    (False, False)
    """
    return dtype.kind == "V" and dtype.type.__module__.startswith("ml_dtypes")


class ShapedArray:
    """Shape, dtype and weakness of an array.

    >>> ShapedArray((2, 3), np.float32)
    ShapedArray(float32[2,3])
    """

    __slots__ = ("shape", "dtype", "weak_type", "_hash")

    def __init__(self, shape: Sequence[int], dtype: Any, weak_type: bool = False):
        self.shape = tuple(shape)
        self.dtype = dtype if isinstance(dtype, np.dtype) else as_np_dtype(dtype)
        self.weak_type = weak_type
        self._hash: int | None = None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def update(self, **changes: Any) -> ShapedArray:
        """A copy with some of `shape`, `dtype`, `weak_type` replaced."""
        new = {"shape": self.shape, "dtype": self.dtype, "weak_type": self.weak_type} | changes
        return type(self)(**new)

    def str_short(self, short_dtypes: bool = True) -> str:
        name = short_dtype(self.dtype) if short_dtypes else self.dtype.name
        return f"{name}[{','.join(map(str, self.shape))}]"

    def __eq__(self, other: object) -> bool:
        return (
            type(other) is ShapedArray
            and self.shape == other.shape
            and self.dtype == other.dtype
            and self.weak_type == other.weak_type
        )

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash((self.shape, self.dtype, self.weak_type))
        return self._hash

    def __str__(self) -> str:
        return f"{'~' if self.weak_type else ''}{self.str_short(short_dtypes=False)}"

    def __repr__(self) -> str:
        weak = ", weak_type=True" if self.weak_type else ""
        return f"ShapedArray({self.str_short(short_dtypes=False)}{weak})"


class ShapeDtypeStruct:
    """What `eval_shape` returns, and what it takes in place of arrays.

    >>> ShapeDtypeStruct((2,), "float32")
    ShapeDtypeStruct(shape=(2,), dtype=float32)
    """

    __slots__ = ("shape", "dtype", "weak_type")

    def __init__(self, shape: Sequence[int], dtype: Any, *, sharding: Any = None, weak_type: bool = False):
        if dtype is None or isinstance(shape, int):
            raise ArgumentError(
                f"[ShapeDtypeStruct] expected a tuple of ints and a dtype, got shape={shape!r} and dtype={dtype!r}. "
                "Write ShapeDtypeStruct((3,), 'float32')."
            )
        self.shape = tuple(shape)
        self.dtype = as_np_dtype(dtype)
        self.weak_type = weak_type

    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: math.prod(self.shape))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an unsized ShapeDtypeStruct")
        return self.shape[0]

    def update(self, **changes: Any) -> ShapeDtypeStruct:
        """A copy with some of `shape`, `dtype`, `weak_type` replaced."""
        new = {"shape": self.shape, "dtype": self.dtype, "weak_type": self.weak_type} | changes
        return ShapeDtypeStruct(new["shape"], new["dtype"], weak_type=new["weak_type"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShapeDtypeStruct) and (self.shape, self.dtype, self.weak_type) == (
            other.shape,
            other.dtype,
            other.weak_type,
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype, self.weak_type))

    def __repr__(self) -> str:
        weak = ", weak_type=True" if self.weak_type else ""
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={self.dtype.name}{weak})"


_SHORT = {"float": "f", "int": "i", "uint": "u", "complex": "c", "bfloat": "bf"}


def short_dtype(dtype: np.dtype) -> str:
    """`f32`, `i64`, `bool`: JAX's abbreviations.

    >>> short_dtype(np.dtype("float32"))
    'f32'
    """
    name = dtype.name
    stem = name.rstrip("0123456789")
    return _SHORT[stem] + name[len(stem) :] if stem in _SHORT else name


WEAK_AVALS = {t: ShapedArray((), np.dtype(t), True) for t in PYTHON_SCALARS}
_PYTHON_TYPE_OF_KIND = {"b": bool, "i": int, "u": int, "f": float, "c": complex}


def python_type(dtype: np.dtype) -> type:
    """The Python scalar type of a dtype's kind.

    >>> python_type(np.dtype("int32"))
    <class 'int'>
    """
    return _PYTHON_TYPE_OF_KIND[dtype.kind]


def strong_dtype(aval: Any) -> np.dtype:
    """The dtype that an array made from this value has: Python floats become the default float.

    >>> strong_dtype(WEAK_AVALS[float])
    dtype('float32')
    """
    if not aval.weak_type:
        return aval.dtype
    kind = aval.dtype.kind
    return default_float() if kind == "f" else default_complex() if kind == "c" else aval.dtype


@functools.cache
def float_info(dtype: np.dtype) -> Any:
    """What `np.finfo` tells, also of the floats of `ml_dtypes` (bfloat16, float8), whose package has a `finfo` of its own.

    >>> float_info(np.dtype("float32")).nmant
    23
    """
    if dtype.kind in "fc":
        return np.finfo(dtype)
    return sys.modules[dtype.type.__module__.partition(".")[0]].finfo(dtype)


def is_float(dtype: np.dtype) -> bool:
    """True for the dtypes that carry derivatives: floats and complex numbers (also `ml_dtypes`' floats).

    >>> is_float(np.dtype("float32")), is_float(np.dtype("int32"))
    (True, False)
    """
    return dtype.kind in "fc" or (dtype.kind == "V" and "float" in dtype.name)
