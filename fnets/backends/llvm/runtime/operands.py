"""What the entries of native calls do with Python's objects: machine code that all of them share. May import cache, core.

`fnets_operands(objects, count, kinds, data)` puts the data pointers of the operands into a table and returns whether each of them is exactly
what it should be: an array of the right dtype, contiguous; for a value without axes also a NumPy scalar, which holds its value itself; for a weak
one a Python float. `fnets_results(objects, count, kinds)` returns one result, or a tuple; a result without axes as a NumPy scalar.

A kind is a number for an operand: below, the number of the dtype that an array must have; above, where `@scalar_types` has the type
of a scalar that may stand for it, 0 if none may. The last operand is an array, newly made for a result.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable

import numpy as np

from fnets.backends.llvm.runtime.cache import key_of
from fnets.core.avals import ShapedArray

OPERANDS, RESULTS = "fnets_operands", "fnets_results"
_TYPES = "scalar_types"
_DTYPES = {np.dtype(c).num: np.dtype(c) for c in np.typecodes["All"] if np.dtype(c).isnative}
_FLOAT = 1 + max(_DTYPES)  # where Python's float is
_NO_ARRAY = 0xFFFF


def kind_of(aval: ShapedArray) -> int:
    """The kind of an operand.

    >>> kind_of(ShapedArray((2,), np.float32)), kind_of(ShapedArray((), np.float32)) >> 16
    (11, 12)
    """
    if aval.weak_type:
        return _NO_ARRAY | (1 + _FLOAT) << 16
    return aval.dtype.num | (0 if aval.shape else (1 + aval.dtype.num) << 16)


def constant_of(avals: Iterable[ShapedArray]) -> tuple[str, str]:
    """A constant with the kinds of operands: its name, which says what is in it, and its text."""
    kinds = [kind_of(a) for a in avals]
    content = f"[{len(kinds)} x i32] [{', '.join(f'i32 {k}' for k in kinds)}]"
    name = f"@kinds_{key_of(content)[:16]}"
    return name, f"{name} = private constant {content}"


def fill(variable: Callable[[str], int]) -> None:
    """Tell newly loaded code the types of scalars."""
    types = (ctypes.c_void_p * (2 + _FLOAT)).from_address(variable(_TYPES))
    for number, dtype in _DTYPES.items():
        types[1 + number] = id(dtype.type)
    types[1 + _FLOAT] = id(float)


def text(head: int) -> str:
    """The functions; `head` is the size of a Python object before its own fields."""
    return f"""
@{_TYPES} = global [{2 + _FLOAT} x ptr] zeroinitializer
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare ptr @PyObject_GetItem(ptr, ptr)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)

define i1 @{OPERANDS}(ptr %objects, i64 %count, ptr %kinds, ptr %data) #0 {{
entry:
  %last = add i64 %count, -1
  %result_at = getelementptr ptr, ptr %objects, i64 %last
  %result = load ptr, ptr %result_at
  %array_type_at = getelementptr i8, ptr %result, i64 {head - 8}
  %array_type = load ptr, ptr %array_type_at
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %more, %found ]
  %object_at = getelementptr ptr, ptr %objects, i64 %i
  %object = load ptr, ptr %object_at
  %kind_at = getelementptr i32, ptr %kinds, i64 %i
  %kind = load i32, ptr %kind_at
  %type_at = getelementptr i8, ptr %object, i64 {head - 8}
  %type = load ptr, ptr %type_at
  %own = getelementptr i8, ptr %object, i64 {head}
  %is_array = icmp eq ptr %type, %array_type
  br i1 %is_array, label %array, label %scalar
array:
  %dtype_at = getelementptr i8, ptr %own, i64 40
  %dtype = load ptr, ptr %dtype_at
  %number_at = getelementptr i8, ptr %dtype, i64 {head + 12}
  %number = load i32, ptr %number_at
  %wanted = and i32 %kind, 65535
  %right = icmp eq i32 %number, %wanted
  %flags_at = getelementptr i8, ptr %own, i64 48
  %flags = load i32, ptr %flags_at
  %contiguous = trunc i32 %flags to i1
  %good = and i1 %right, %contiguous
  %its = load ptr, ptr %own
  br i1 %good, label %found, label %wrong
scalar:
  %which = lshr i32 %kind, 16
  %known_at = getelementptr ptr, ptr @{_TYPES}, i32 %which
  %known = load ptr, ptr %known_at
  %same = icmp eq ptr %type, %known
  br i1 %same, label %found, label %wrong
found:
  %pointer = phi ptr [ %its, %array ], [ %own, %scalar ]
  %to = getelementptr ptr, ptr %data, i64 %i
  store ptr %pointer, ptr %to
  %more = add i64 %i, 1
  %all = icmp eq i64 %more, %count
  br i1 %all, label %end, label %next
end:
  ret i1 true
wrong:
  ret i1 false
}}

define ptr @{RESULTS}(ptr %objects, i64 %count, ptr %kinds) #0 {{
entry:
  %none = call ptr @PyTuple_New(i64 0)
  %single = icmp eq i64 %count, 1
  br i1 %single, label %next, label %several
several:
  %tuple = call ptr @PyTuple_New(i64 %count)
  br label %next
next:
  %out = phi ptr [ null, %entry ], [ %tuple, %several ], [ %out, %put ]
  %i = phi i64 [ 0, %entry ], [ 0, %several ], [ %more, %put ]
  %object_at = getelementptr ptr, ptr %objects, i64 %i
  %object = load ptr, ptr %object_at
  %kind_at = getelementptr i32, ptr %kinds, i64 %i
  %kind = load i32, ptr %kind_at
  %is_scalar = icmp ugt i32 %kind, 65535
  br i1 %is_scalar, label %scalar, label %array
scalar:
  %item = call ptr @PyObject_GetItem(ptr %object, ptr %none)
  br label %found
array:
  call void @Py_IncRef(ptr %object)
  br label %found
found:
  %value = phi ptr [ %item, %scalar ], [ %object, %array ]
  br i1 %single, label %end, label %put
put:
  call i32 @PyTuple_SetItem(ptr %out, i64 %i, ptr %value)
  %more = add i64 %i, 1
  %all = icmp eq i64 %more, %count
  br i1 %all, label %end, label %next
end:
  %whole = phi ptr [ %value, %found ], [ %out, %put ]
  call void @Py_DecRef(ptr %none)
  ret ptr %whole
}}
"""
