"""Dtypes, constants, promotion and questions about types: `float32`, `pi`, `result_type`, `issubdtype`, `finfo`, `iscomplexobj`.

May import arguments, core, errors.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from fnets.config import default_complex, default_float
from fnets.core.avals import as_np_dtype, float_info, is_float
from fnets.core.trace import Tracer, shape_of
from fnets.errors import DTypeError
from fnets.numpy.arguments import as_dtype, item_type, to_array

__all__ = [
    "ComplexWarning", "bool", "bool_", "can_cast", "cdouble", "character", "complex128", "complex64", "complex_",
    "complexfloating", "csingle", "double", "dtype", "e", "euler_gamma", "finfo", "flexible", "float16", "float32",
    "float64", "float_", "floating", "generic", "iinfo", "inexact", "inf", "int16", "int32", "int64", "int8", "int_",
    "integer", "iscomplexobj", "isdtype", "isrealobj", "isscalar", "issubdtype", "iterable", "nan", "ndarray", "ndim",
    "newaxis", "number", "object_", "pi", "promote_types", "result_type", "shape", "signedinteger", "single", "size",
    "uint", "uint16", "uint32", "uint64", "uint8", "unsignedinteger",
]  # fmt: skip

bool_ = np.bool_
int8, int16, int32, int64 = np.int8, np.int16, np.int32, np.int64
uint8, uint16, uint32, uint64 = np.uint8, np.uint16, np.uint32, np.uint64
float16, float32, float64 = np.float16, np.float32, np.float64
complex64, complex128 = np.complex64, np.complex128
int_, uint, single, double = np.int_, np.uint, np.single, np.double
float_, complex_ = np.float64, np.complex128
csingle, cdouble = np.csingle, np.cdouble
generic, number, inexact, integer = np.generic, np.number, np.inexact, np.integer
signedinteger, unsignedinteger = np.signedinteger, np.unsignedinteger
floating, complexfloating = np.floating, np.complexfloating
flexible, character, object_ = np.flexible, np.character, np.object_
dtype, ndarray = np.dtype, np.ndarray
ComplexWarning = np.exceptions.ComplexWarning

e, pi, euler_gamma = np.e, np.pi, np.euler_gamma
inf, nan, newaxis = np.inf, np.nan, np.newaxis

SCALAR_TYPES = [
    "bool_",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
    "int_",
    "uint",
    "single",
    "double",
    "float_",
    "complex_",
    "csingle",
    "cdouble",
    "generic",
    "number",
    "inexact",
    "integer",
    "signedinteger",
    "unsignedinteger",
    "floating",
    "complexfloating",
    "flexible",
    "character",
    "object_",
]
CONSTANTS = ["e", "pi", "euler_gamma", "inf", "nan", "newaxis"]
EXTENDED = [
    "bfloat16",
    "float8_e3m4",
    "float8_e4m3",
    "float8_e4m3b11fnuz",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
]
EXTENDED += ["float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn", "int2", "int4", "uint2", "uint4"]


def extended_type(name: str) -> type:
    """A scalar type of `ml_dtypes` (bfloat16, float8, ...), imported when it is first asked for.

    Raises:
      AttributeError: `ml_dtypes` is not installed, or has no such type.
    """
    try:
        return getattr(importlib.import_module("ml_dtypes"), name)
    except ImportError:
        raise AttributeError(f"fnets.numpy.{name} needs the package ml_dtypes. Install fnets[bf16].") from None


def result_type(*args: Any) -> np.dtype:
    """The dtype that arrays, dtypes and Python scalars combine to, by NumPy's rules.

    Python scalars are weak: they do not widen an array of the same kind.

    Args:
      args: arrays, traced values, dtypes, or Python scalars.

    Returns:
      The common dtype.

    >>> result_type(np.zeros(2, "float32"), 2.0)
    dtype('float32')
    """
    return np.result_type(*[a if isinstance(a, (type, np.dtype, str)) or a is None else item_type(a) for a in args])


def promote_types(a: Any, b: Any) -> np.dtype:
    """The smallest dtype that both dtypes can be cast to safely.

    >>> promote_types("int32", "float32")
    dtype('float64')
    """
    return np.promote_types(as_dtype(a), as_dtype(b))


def can_cast(from_: Any, to: Any, casting: str = "safe") -> bool:
    """True if a dtype (or an array) can be cast to another under the rule `casting`.

    >>> can_cast("int32", "float32"), can_cast("float64", "float32", "same_kind")
    (False, True)
    """
    return np.can_cast(from_.dtype if isinstance(from_, (np.ndarray, Tracer)) else from_, to, casting)


def _kinds_of_extended(scalar_type: Any) -> tuple[type, ...]:
    """The abstract types above a type of `ml_dtypes`, which NumPy's hierarchy does not know; empty for NumPy's own types."""
    name = getattr(scalar_type, "__name__", "")
    if not getattr(scalar_type, "__module__", "").startswith("ml_dtypes"):
        return ()
    if name.startswith("uint"):
        return (np.unsignedinteger, np.integer, np.number, np.generic)
    if name.startswith("int"):
        return (np.signedinteger, np.integer, np.number, np.generic)
    return (np.floating, np.inexact, np.number, np.generic)


def issubdtype(arg1: Any, arg2: Any) -> bool:
    """True if the first dtype or scalar type is the second or below it in NumPy's hierarchy.

    >>> issubdtype(np.float32, np.floating), issubdtype(np.int32, np.floating)
    (True, False)
    """
    scalar_type = arg1.type if isinstance(arg1, np.dtype) else arg1
    kinds = _kinds_of_extended(scalar_type)
    if kinds:
        return arg2 in kinds or (arg2.type if isinstance(arg2, np.dtype) else arg2) is scalar_type
    return np.issubdtype(arg1, arg2)


_API_KINDS = {
    np.floating: ("real floating", "numeric"),
    np.signedinteger: ("signed integer", "integral", "numeric"),
    np.unsignedinteger: ("unsigned integer", "integral", "numeric"),
}


def isdtype(dtype: Any, kind: Any) -> bool:
    """True if `dtype` is of a kind: a dtype, one of the array-API names ("real floating", "integral", ...), or a tuple of such.

    >>> isdtype(np.dtype("float32"), "real floating")
    True
    """
    kinds = _kinds_of_extended(np.dtype(dtype).type)
    if kinds:
        names = kind if isinstance(kind, tuple) else (kind,)
        return any([n in _API_KINDS[kinds[0]] if isinstance(n, str) else np.dtype(n) == dtype for n in names])
    try:
        return np.isdtype(np.dtype(dtype), kind)
    except (TypeError, ValueError) as error:
        raise DTypeError(f"[isdtype] {error}") from None


def finfo(dtype: Any) -> Any:
    """Limits of a float dtype: `eps`, `max`, `min`, `tiny`, `bits`, ...; also of an array or traced value's dtype.

    >>> float(finfo("float32").eps)
    1.1920928955078125e-07
    """
    dtype = as_np_dtype(dtype.dtype if isinstance(dtype, (np.ndarray, Tracer)) else dtype)
    if not is_float(dtype):
        raise DTypeError(f"[finfo] expected a float dtype, got {dtype.name}. Use iinfo for integers.")
    return float_info(dtype)


def iinfo(dtype: Any) -> Any:
    """Limits of an integer dtype: `min`, `max`, `bits`; also of an array or traced value's dtype.

    >>> iinfo("int8").max
    127
    """
    dtype = as_np_dtype(dtype.dtype if isinstance(dtype, (np.ndarray, Tracer)) else dtype)
    if dtype.kind == "V" and issubdtype(dtype, np.integer):
        return importlib.import_module("ml_dtypes").iinfo(dtype)
    if dtype.kind not in "iu":
        raise DTypeError(f"[iinfo] expected an integer dtype, got {dtype.name}. Use finfo for floats.")
    return np.iinfo(dtype)


def isscalar(element: Any) -> bool:
    """True for Python and NumPy scalars, and for arrays without axes.

    >>> isscalar(1.0), isscalar(np.zeros(3))
    (True, False)
    """
    if isinstance(element, (Tracer, np.ndarray)):
        return element.ndim == 0
    return np.isscalar(element) or isinstance(element, np.generic)


def iscomplexobj(x: Any) -> bool:
    """True if `x` has a complex dtype, whatever its values.

    >>> iscomplexobj(1j), iscomplexobj(np.zeros(2))
    (True, False)
    """
    return x.dtype.kind == "c" if isinstance(x, Tracer) else np.iscomplexobj(x)


def isrealobj(x: Any) -> bool:
    """True if `x` does not have a complex dtype.

    >>> isrealobj(np.zeros(2))
    True
    """
    return not iscomplexobj(x)


def shape(a: Any) -> tuple[int, ...]:
    """The shape of an array, scalar or nested list.

    >>> shape([[1, 2], [3, 4]])
    (2, 2)
    """
    return shape_of(a) if isinstance(a, (np.ndarray, Tracer)) else shape_of(to_array(a))


def ndim(a: Any) -> int:
    """The number of axes.

    >>> ndim([[1, 2], [3, 4]])
    2
    """
    return len(shape(a))


def size(a: Any, axis: int | tuple[int, ...] | None = None) -> int:
    """The number of elements, of the whole array or along one or more axes.

    >>> size(np.zeros((2, 3))), size(np.zeros((2, 3)), 1)
    (6, 3)
    """
    own = shape(a)
    total = 1
    for n in own if axis is None else [own[i] for i in (axis if isinstance(axis, tuple) else (axis,))]:
        total *= n
    return total


def iterable(y: Any) -> bool:
    """True if `y` can be iterated over.

    >>> iterable([1]), iterable(1)
    (True, False)
    """
    if isinstance(y, Tracer):
        return y.ndim > 0
    return np.iterable(y)


class NamespaceInfo:
    """What the array API's `__array_namespace_info__` returns: devices, dtypes and capabilities of this module.

    >>> __array_namespace_info__().default_dtypes()["integral"]
    dtype('int64')
    """

    def capabilities(self) -> dict[str, Any]:
        """Boolean indexing and shapes that depend on data exist; so they do outside of `jit`."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """The one device."""
        return "cpu"

    def devices(self) -> list[str]:
        """All devices."""
        return ["cpu"]

    def default_dtypes(self, *, device: Any = None) -> dict[str, np.dtype]:
        """The dtypes of arrays made from Python numbers."""
        integral = np.dtype(np.int64)
        return {
            "real floating": default_float(),
            "complex floating": default_complex(),
            "integral": integral,
            "indexing": integral,
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, np.dtype]:
        """The array API's dtypes, of one kind or all."""
        return np.__array_namespace_info__().dtypes(kind=kind)


def __array_namespace_info__() -> NamespaceInfo:
    """Devices, dtypes and capabilities of this module, as the array API asks for them.

    >>> __array_namespace_info__().devices()
    ['cpu']
    """
    return NamespaceInfo()


bool = np.bool_  # the array API's name; last, so that it hides nothing above
