"""Threads and memory for native code. May import checked, engine, loading, operands, signals, text, violations.

`fnets_parfor(task, operands, n, limit)` runs task(operands, i, thread) for all i below n, on several threads, whose numbers are below `limit`.
`fnets_take(bytes)` gives a block of memory, the one that was given back last if it is large enough; `fnets_give` gives it back.

The workers are native threads that run a loop of this module's machine code and never touch Python. A state word holds the generation of the
job and the next chunk, which threads claim by compare-and-swap, the caller among them: a late worker holds nobody up. Chunks are fixed by
the shapes, so results do not depend on who runs them or on how many there are. Workers wait actively for some microseconds, then in a
futex. While one Python thread's job runs, the jobs of others run on those threads alone, and so they do in a child after a fork.

`FNETS_NUM_THREADS` sets the number of threads, the caller's included; by default that of the processors that the process may use.
"""

from __future__ import annotations

import ctypes
import os
import threading

from fnets.backends.llvm.code.checked import CHECK, CHECK_BYTES, CHECK_LANES
from fnets.backends.llvm.code.text import ATTRIBUTES
from fnets.backends.llvm.runtime import operands, signals, violations
from fnets.backends.llvm.runtime.engine import Emission, Loaded, Module, host
from fnets.backends.llvm.runtime.loading import load

PARFOR, TAKE, GIVE, THREADS = "fnets_parfor", "fnets_take", "fnets_give", "fnets_threads"
_SPIN = 1000  # pauses before a worker sleeps: longer would take the processor from BLAS's threads

TEXT = f"""
@generation = global i64 0, align 64
@state = global i64 0, align 64
@done = global i64 0, align 64
@task = global ptr null, align 64
@operands = global ptr null
@total = global i64 0
@busy = global i64 0, align 64
@sleeping = global i64 0, align 64
@workers = global i64 0, align 64
@threads = global i64 1, align 64
@limit = global i64 0
@block = global ptr null, align 64
declare i64 @syscall(i64, ...)
declare i32 @sched_yield()
declare ptr @aligned_alloc(i64, i64)
declare void @free(ptr)
declare void @llvm.x86.sse2.pause()

define internal void @claim(i64 %generation, i64 %thread) #0 {{
entry:
  %limit = load i64, ptr @limit
  %enough = icmp uge i64 %thread, %limit
  br i1 %enough, label %out, label %begin
begin:
  %total = load i64, ptr @total
  %task = load ptr, ptr @task
  %operands = load ptr, ptr @operands
  br label %next
next:
  %state = load atomic i64, ptr @state acquire, align 8
  %owner = lshr i64 %state, 32
  %chunk = and i64 %state, 4294967295
  %mine = icmp eq i64 %owner, %generation
  %left = icmp ult i64 %chunk, %total
  %go = and i1 %mine, %left
  br i1 %go, label %try, label %out
try:
  %following = add i64 %state, 1
  %exchange = cmpxchg ptr @state, i64 %state, i64 %following acq_rel monotonic, align 8
  %won = extractvalue {{i64, i1}} %exchange, 1
  br i1 %won, label %run, label %next
run:
  call void %task(ptr %operands, i64 %chunk, i64 %thread)
  %before = atomicrmw add ptr @done, i64 1 release, align 8
  br label %next
out:
  ret void
}}

define ptr @worker(ptr %argument) #0 {{
entry:
  %thread = ptrtoint ptr %argument to i64
  br label %again
again:
  %last = phi i64 [ 0, %entry ], [ %now, %work ]
  br label %look
look:
  %spins = phi i64 [ 0, %again ], [ %more, %pause ], [ 0, %sleep ]
  %now = load atomic i64, ptr @generation acquire, align 8
  %new = icmp ne i64 %now, %last
  br i1 %new, label %work, label %pause
pause:
  call void @llvm.x86.sse2.pause()
  %more = add i64 %spins, 1
  %long = icmp ugt i64 %more, {_SPIN}
  br i1 %long, label %sleep, label %look
sleep:
  %up = atomicrmw add ptr @sleeping, i64 1 seq_cst, align 8
  %expected = trunc i64 %last to i32
  %waited = call i64 (i64, ...) @syscall(i64 202, ptr @generation, i64 128, i32 %expected, ptr null, ptr null, i64 0)
  %down = atomicrmw sub ptr @sleeping, i64 1 seq_cst, align 8
  br label %look
work:
  %owner = and i64 %now, 4294967295
  call void @claim(i64 %owner, i64 %thread)
  br label %again
}}

define void @{PARFOR}(ptr %task, ptr %operands, i64 %n, i64 %limit) #0 {{
entry:
  %alone = icmp ult i64 %limit, 2
  br i1 %alone, label %serial, label %try
try:
  %exchange = cmpxchg ptr @busy, i64 0, i64 1 acquire monotonic, align 8
  %won = extractvalue {{i64, i1}} %exchange, 1
  br i1 %won, label %begin, label %serial
serial:
  %i = phi i64 [ 0, %entry ], [ 0, %try ], [ %next, %serial ]
  call void %task(ptr %operands, i64 %i, i64 0)
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %n
  br i1 %more, label %serial, label %end
begin:
  %last = load i64, ptr @generation
  %now = add i64 %last, 1
  %owner = and i64 %now, 4294967295
  %first = shl i64 %owner, 32
  %closed = or i64 %first, 4294967295
  ; nothing can be claimed while the job is being described
  store atomic i64 %closed, ptr @state seq_cst, align 8
  store ptr %task, ptr @task
  store ptr %operands, ptr @operands
  store i64 %n, ptr @total
  store i64 %limit, ptr @limit
  store atomic i64 0, ptr @done release, align 8
  store atomic i64 %first, ptr @state release, align 8
  %old = atomicrmw xchg ptr @generation, i64 %now seq_cst, align 8
  %sleepers = load atomic i64, ptr @sleeping seq_cst, align 8
  %asleep = icmp ne i64 %sleepers, 0
  br i1 %asleep, label %wake, label %own
wake:
  %woken = call i64 (i64, ...) @syscall(i64 202, ptr @generation, i64 129, i32 2147483647, ptr null, ptr null, i64 0)
  br label %own
own:
  call void @claim(i64 %owner, i64 0)
  br label %join
join:
  %spins = phi i64 [ 0, %own ], [ %longer, %pause ], [ 0, %yield ]
  %done = load atomic i64, ptr @done acquire, align 8
  %finished = icmp eq i64 %done, %n
  br i1 %finished, label %release, label %pause
pause:
  call void @llvm.x86.sse2.pause()
  %longer = add i64 %spins, 1
  %long = icmp ugt i64 %longer, 2000
  br i1 %long, label %yield, label %join
yield:
  %yielded = call i32 @sched_yield()
  br label %join
release:
  store atomic i64 0, ptr @busy release, align 8
  br label %end
end:
  ret void
}}

; task of parfor: the call number %part of an array of `Emission`s
define void @emission(ptr %calls, i64 %part, i64 %thread) {{
entry:
  %call = getelementptr [5 x ptr], ptr %calls, i64 %part
  %target_at = getelementptr ptr, ptr %call, i64 1
  %module_at = getelementptr ptr, ptr %call, i64 2
  %message_at = getelementptr ptr, ptr %call, i64 3
  %buffer_at = getelementptr ptr, ptr %call, i64 4
  %emit = load ptr, ptr %call
  %target = load ptr, ptr %target_at
  %module = load ptr, ptr %module_at
  %message = load ptr, ptr %message_at
  %buffer = call ptr %emit(ptr %target, ptr %module, i32 1, ptr %message)
  store ptr %buffer, ptr %buffer_at
  ret void
}}

define i64 @{THREADS}() #0 {{
  %n = load atomic i64, ptr @threads monotonic, align 8
  ret i64 %n
}}

; a block begins with its size; what is asked for follows 64 bytes later
define ptr @{TAKE}(i64 %bytes) #0 {{
entry:
  %old = atomicrmw xchg ptr @block, ptr null acq_rel, align 8
  %none = icmp eq ptr %old, null
  br i1 %none, label %new, label %look
look:
  %size = load i64, ptr %old
  %large = icmp uge i64 %size, %bytes
  br i1 %large, label %found, label %small
small:
  call void @free(ptr %old)
  br label %new
new:
  %more = add i64 %bytes, 127
  %whole = and i64 %more, -64
  %block = call ptr @aligned_alloc(i64 64, i64 %whole)
  %failed = icmp eq ptr %block, null
  br i1 %failed, label %nothing, label %made
made:
  store i64 %bytes, ptr %block
  br label %found
found:
  %it = phi ptr [ %old, %look ], [ %block, %made ]
  %inside = getelementptr i8, ptr %it, i64 64
  ret ptr %inside
nothing:
  ret ptr null
}}

define void @{GIVE}(ptr %inside) #0 {{
entry:
  %it = getelementptr i8, ptr %inside, i64 -64
  %old = atomicrmw xchg ptr @block, ptr %it acq_rel, align 8
  %none = icmp eq ptr %old, null
  br i1 %none, label %end, label %other
other:
  call void @free(ptr %old)
  br label %end
end:
  ret void
}}
"""

_lock = threading.Lock()
_pool: list[Loaded] = []  # never given back: workers run its code until the process ends


_chosen: list[int] = []  # what set_num_threads said last


def num_threads() -> int:
    """How many threads share a job, the caller's included: see `fnets.set_num_threads`."""
    if _chosen:
        return _chosen[-1]
    text = os.environ.get("FNETS_NUM_THREADS", "")
    if text.isdecimal():
        return max(1, int(text))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_num_threads(count: int) -> None:
    """Have jobs shared by so many threads from now on."""
    _chosen[:] = [count]
    if _pool:
        start()


def _word(name: str) -> ctypes.c_int64:
    return ctypes.c_int64.from_address(_pool[0].variable(name))


def start() -> None:
    """Load the code that all modules share and have the workers running."""
    with _lock:
        if not _pool:
            shared = (TEXT, operands.text(host().head), signals.TEXT, violations.TEXT, ATTRIBUTES)
            _pool.append(load(Module("".join(shared))))
            operands.fill(_pool[0].variable)
            own = (PARFOR, TAKE, GIVE, THREADS)
            others = (operands.OPERANDS, operands.RESULTS, signals.INTERRUPTED, violations.VIOLATED)
            for name in (*own, *others, CHECK, CHECK_LANES, CHECK_BYTES):
                host().binding.add_symbol(name, _pool[0].address(name))
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(_pool[0]))
            os.register_at_fork(after_in_child=_after_fork)
        workers = _word("workers")
        create = ctypes.CDLL(None).pthread_create
        create.argtypes = (ctypes.c_void_p,) * 4
        while workers.value < num_threads() - 1:
            handle = ctypes.c_uint64()
            if create(ctypes.addressof(handle), None, _pool[0].address("worker"), workers.value + 1):
                break
            workers.value += 1
        _word("threads").value = min(num_threads(), workers.value + 1)


def emit(calls: ctypes.Array[Emission]) -> None:
    """Have the threads compile, each a module at a time. `start` must have run."""
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    code = _pool[0]
    run(code.address(PARFOR))(code.address("emission"), ctypes.addressof(calls), len(calls), _word("threads").value)


def raise_violation() -> None:
    """Raise the error for an access outside of what a checked stage may touch, if there has been one."""
    violations.raise_first(_pool[0].variable)


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    for name in ("workers", "busy", "sleeping"):
        _word(name).value = 0
    _word("threads").value = 1
