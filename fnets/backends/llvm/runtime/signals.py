"""Signals while a native loop runs: machine code that all loops share. May import text.

`fnets_interrupted(clock)` returns whether a loop must end because a signal's handler has raised an error, as that of Ctrl-C does; the entry of the call
leaves the error to Python. `clock` holds when to ask the interpreter next, by the processor's counter, and 0 at first.
"""

from __future__ import annotations

from fnets.backends.llvm.code.text import Function

INTERRUPTED = "fnets_interrupted"
_CYCLES = 100_000_000  # between two questions: some 40 ms
_OFTEN = 2000.0  # estimated nanoseconds between two looks at the counter

TEXT = f"""
declare i64 @llvm.readcyclecounter()
declare i32 @PyGILState_Ensure()
declare void @PyGILState_Release(i32)
declare ptr @PyErr_Occurred()
declare i32 @PyErr_CheckSignals()

define i1 @{INTERRUPTED}(ptr %clock) #0 {{
entry:
  %now = call i64 @llvm.readcyclecounter()
  %next = load i64, ptr %clock
  %due = icmp uge i64 %now, %next
  br i1 %due, label %set, label %no
set:
  %later = add i64 %now, {_CYCLES}
  store i64 %later, ptr %clock
  %first = icmp eq i64 %next, 0
  br i1 %first, label %no, label %ask
ask:
  %lock = call i32 @PyGILState_Ensure()
  %error = call ptr @PyErr_Occurred()
  %raised = icmp ne ptr %error, null
  br i1 %raised, label %leave, label %handle
handle:
  %answer = call i32 @PyErr_CheckSignals()
  %failed = icmp ne i32 %answer, 0
  br label %leave
leave:
  %stop = phi i1 [ true, %ask ], [ %failed, %handle ]
  call void @PyGILState_Release(i32 %lock)
  ret i1 %stop
no:
  ret i1 false
}}
"""


class Watch:
    """Looks for signals in a loop that is being written, whose trips take so many nanoseconds."""

    def __init__(self, f: Function, nanoseconds: float):
        self.f = f
        self.trips = max(1, int(_OFTEN / max(nanoseconds, 1.0)))
        self.clock = f.allocate(16)
        f.do(f"store <2 x i64> <i64 0, i64 {self.trips}>, ptr {self.clock}")

    def interrupted(self) -> str:
        """Whether the loop must end, asked once in each trip."""
        f = self.f
        left_at = f.address(self.clock, 1, 8)
        left = f.op(f"add i64 {f.op(f'load i64, ptr {left_at}')}, -1")
        f.do(f"store i64 {left}, ptr {left_at}")
        look, join, before = f.new("look"), f.new("join"), f.block
        f.do(f"br i1 {f.op(f'icmp sle i64 {left}, 0')}, label %{look}, label %{join}")
        f.label(look)
        f.do(f"store i64 {self.trips}, ptr {left_at}")
        answer = f.call("i1", INTERRUPTED, ("ptr", self.clock))
        f.do(f"br label %{join}")
        f.label(join)
        return f.op(f"phi i1 [ false, %{before} ], [ {answer}, %{look} ]")
