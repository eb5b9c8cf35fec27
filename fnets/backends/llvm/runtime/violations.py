"""Accesses outside of what a stage may touch: the functions that find them, which all modules share, and the error that they become. May import
checked, errors.

`fnets_check(pointer, size, space, writes, what)` returns the pointer, or, if the access does not lie in the space, memory that nobody needs;
`fnets_check_lanes` does so for the lanes of a vector whose bits are set, `fnets_check_bytes` returns how many bytes may be touched, all or none.
The first access that is wrong is kept, and `fnets_violated()` says how many there have been. They are those of the whole process: with
several calls at once, another one may raise the error.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from fnets.backends.llvm.code.checked import CHECK, CHECK_BYTES, CHECK_LANES, LARGEST
from fnets.errors import KernelBoundsError

VIOLATED = "fnets_violated"
_COUNT, _FIRST = "violations", "violation"

TEXT = f"""
@{_COUNT} = global i64 0, align 64
@{_FIRST} = global [6 x i64] zeroinitializer
@nowhere = internal global [{LARGEST} x i8] zeroinitializer, align 64 ; is read instead, and never written
@anywhere = internal global [{LARGEST} x i8] zeroinitializer, align 64 ; is written instead
declare ptr @calloc(i64, i64)
declare i64 @llvm.cttz.i64(i64, i1)
declare i64 @llvm.ctlz.i64(i64, i1)

define i64 @{VIOLATED}() #0 {{
  %n = load atomic i64, ptr @{_COUNT} monotonic, align 8
  ret i64 %n
}}

define internal i1 @fits(ptr %pointer, i64 %size, ptr %space, i1 %writes, ptr %what) #0 {{
entry:
  %low_at = getelementptr i64, ptr %space, i64 1
  %high_at = getelementptr i64, ptr %space, i64 2
  %writable_at = getelementptr i64, ptr %space, i64 3
  %base = load i64, ptr %space
  %low = load i64, ptr %low_at
  %high = load i64, ptr %high_at
  %writable = load i64, ptr %writable_at
  %to = ptrtoint ptr %pointer to i64
  %at = sub i64 %to, %base
  %allowed = sub i64 %high, %low
  %into = sub i64 %at, %low
  %left = sub i64 %allowed, %into
  %begins = icmp ule i64 %into, %allowed
  %ends = icmp ule i64 %size, %left
  %may = icmp ne i64 %writable, 0
  %reads = xor i1 %writes, true
  %permitted = or i1 %may, %reads
  %inside = and i1 %begins, %ends
  %good = and i1 %inside, %permitted
  br i1 %good, label %out, label %wrong
wrong:
  %before = atomicrmw add ptr @{_COUNT}, i64 1 monotonic, align 8
  %first = icmp eq i64 %before, 0
  br i1 %first, label %keep, label %out
keep:
  %name_at = getelementptr i64, ptr %space, i64 4
  %name = load i64, ptr %name_at
  %what_is = ptrtoint ptr %what to i64
  store i64 %what_is, ptr @{_FIRST}
  store i64 %name, ptr getelementptr (i64, ptr @{_FIRST}, i64 1)
  store i64 %at, ptr getelementptr (i64, ptr @{_FIRST}, i64 2)
  store i64 %size, ptr getelementptr (i64, ptr @{_FIRST}, i64 3)
  store i64 %low, ptr getelementptr (i64, ptr @{_FIRST}, i64 4)
  store i64 %high, ptr getelementptr (i64, ptr @{_FIRST}, i64 5)
  br label %out
out:
  ret i1 %good
}}

define ptr @{CHECK}(ptr %pointer, i64 %size, ptr %space, i1 %writes, ptr %what) #0 {{
entry:
  %good = call i1 @fits(ptr %pointer, i64 %size, ptr %space, i1 %writes, ptr %what)
  br i1 %good, label %out, label %wrong
out:
  ret ptr %pointer
wrong:
  %small = icmp ule i64 %size, {LARGEST}
  br i1 %small, label %ours, label %large
ours:
  %place = select i1 %writes, ptr @anywhere, ptr @nowhere
  ret ptr %place
large: ; the operand of a call: it is never given back, as the program is wrong anyway
  %new = call ptr @calloc(i64 1, i64 %size)
  ret ptr %new
}}

define ptr @{CHECK_LANES}(ptr %pointer, i64 %element, i64 %lanes, ptr %space, i1 %writes, ptr %what) #0 {{
entry:
  %none = icmp eq i64 %lanes, 0
  br i1 %none, label %same, label %some
some:
  %first = call i64 @llvm.cttz.i64(i64 %lanes, i1 true)
  %zeros = call i64 @llvm.ctlz.i64(i64 %lanes, i1 true)
  %end = sub i64 64, %zeros
  %count = sub i64 %end, %first
  %size = mul i64 %count, %element
  %skipped = mul i64 %first, %element
  %begin = getelementptr i8, ptr %pointer, i64 %skipped
  %place = call ptr @{CHECK}(ptr %begin, i64 %size, ptr %space, i1 %writes, ptr %what)
  %good = icmp eq ptr %place, %begin
  br i1 %good, label %same, label %other
same:
  ret ptr %pointer
other:
  ret ptr %place
}}

define i64 @{CHECK_BYTES}(ptr %pointer, i64 %size, ptr %space, i1 %writes, ptr %what) #0 {{
entry:
  %none = icmp eq i64 %size, 0
  br i1 %none, label %out, label %some
some:
  %good = call i1 @fits(ptr %pointer, i64 %size, ptr %space, i1 %writes, ptr %what)
  %all = select i1 %good, i64 %size, i64 0
  ret i64 %all
out:
  ret i64 0
}}
"""


def raise_first(variable: Callable[[str], int]) -> None:
    """Raise the error for the first access that was wrong, if there is one, and forget them all; `variable` finds the shared module's."""
    count = ctypes.c_int64.from_address(variable(_COUNT))
    if not count.value:
        return
    what, name, *numbers = (ctypes.c_int64 * 6).from_address(variable(_FIRST))
    instruction, space = [ctypes.string_at(p).decode() for p in (what, name)]
    at, size, low, high = numbers
    wrong, count.value = count.value, 0
    expected = f"bytes {low} to {high} of {space}"
    if low <= at and at + size <= high:
        expected = f"no writes to {space}"
    raise KernelBoundsError(
        f"[check_bounds] expected {expected}, got bytes {at} to {at + size} in `{instruction}` (and {wrong - 1} more accesses). "
        "This is a bug of a native kernel, please report it; backend='numpy' goes without it."
    )
