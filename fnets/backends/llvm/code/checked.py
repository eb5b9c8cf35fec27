"""Functions in which every access to memory is checked, for the setting `check_bounds`. May import text.

Each pointer in a function derives from one parameter or allocation, and may touch that `Space` alone. A descriptor of the space goes along
with the pointer: `getelementptr` keeps it, and where a phi or a select chooses between pointers, another one chooses between descriptors. Before each
access a call compares; it gives the pointer back, or, if the access would leave its space, notes that and gives memory that nobody
needs. So what is wrong touches nothing, what is right computes the same, and nothing depends on what happens to lie behind an array.

A line with a pointer that is not understood is an error: nothing goes unchecked. A call of another stage is an access to all that this may touch;
a helper that functions share takes the descriptors of its pointers as further operands. Only the operands of tasks, which go through a table in memory, are the driver's.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fnets.backends.llvm.code.text import Function

CHECK, CHECK_LANES, CHECK_BYTES = "fnets_check", "fnets_check_lanes", "fnets_check_bytes"
SHARED = {"fnets_interrupted": 8}  # shared functions, and how many bytes they write through their operand
LARGEST = 4096  # bytes of the memory that nobody needs: as large as any single access

_POINTER, _VALUE = r"(%[\w.]+)", r"(%[\w.]+|-?\d+)"
_TYPE = r"(<\d+ x \w+>|\w+)"
_DERIVED = re.compile(rf"  (%[\w.]+) = getelementptr (?:inbounds )?\w+, ptr {_POINTER}, ")
_CHOICE = re.compile(r"  (%[\w.]+) = (phi|select i1 %[\w.]+,) (ptr .*)")
_ALLOCATION = re.compile(r"  (%[\w.]+) = alloca i8, i64 (\d+)")
_ACCESS = re.compile(rf"  (?:%[\w.]+ = load {_TYPE}|store {_TYPE} .*), ptr {_POINTER}(?:, align \d+)?")
_MASKED = re.compile(
    rf"  .*@llvm\.masked\.(load|store)\.v(\d+)[if](\d+)\.p0\(.*?ptr {_POINTER}, i32 \d+, <\d+ x i1> (<[^>]*>|%[\w.]+)[,)].*"
)
_BYTES = re.compile(
    rf"  .*@(?:llvm\.)?mem(?:set|cpy)[\w.]*\(ptr {_POINTER}, (?:ptr {_POINTER}|i\d+ \d+), i64 {_VALUE}(?:, i1 false)?\)"
)
_GATHER = re.compile(
    rf"  .*@llvm\.masked\.gather\.v(\d+)[if](\d+)\.v\d+p0\(<\d+ x ptr> {_POINTER}, i32 \d+, <\d+ x i1> splat \(i1 true\), .*\)"
)
_CALL = re.compile(r"  .*call \w+ @(\w+)\((.*)\)")
_HARMLESS = re.compile(r"  (%[\w.]+ = icmp \w+ ptr .*|.*@llvm\.prefetch.*|call void @fnets_parfor\(.*)")


class Space(NamedTuple):
    """What may be touched through a pointer: so many bytes of it, or of these the part [low, high) * step of a function with such parameters."""

    pointer: str
    nbytes: int
    writes: bool
    name: str
    step: int | None = None


def checked(f: Function, spaces: Sequence[Space]) -> Function:
    """The function, rewritten; `spaces` are those of its pointers among the parameters, in order."""
    for helper in [h if h.spaces else _described(h, f.helpers) for h in f.helpers.values()]:
        f.take(helper)
    _Rewriting(f, f.helpers).run(spaces)
    f.spaces = spaces
    return f


def _described(helper: Function, others: Mapping[str, Function]) -> Function:
    """A helper that takes the descriptors of its pointers, too, rewritten, and which calls others; the plain one stays as it is."""
    pointers = re.findall(rf"ptr {_POINTER}", helper.header)
    if not pointers:
        return helper
    f = copy.copy(helper)
    f.allocations, f.lines = [*helper.allocations], [*helper.lines]
    f.declarations, f.globals, f.helpers = {*helper.declarations}, {**helper.globals}, {}
    f.header = helper.header.replace(") #0", f"{''.join([f', ptr {p}.space' for p in pointers])}) #0")
    rewriting = _Rewriting(f, others)
    rewriting.space = {p: f"{p}.space" for p in pointers}
    rewriting.run([])
    return f


class _Rewriting:
    def __init__(self, f: Function, helpers: Mapping[str, Function]):
        self.f, self.helpers = f, helpers
        self.before: list[str] = []  # makes the descriptors
        self.out: list[str] = []
        self.space: dict[str, str] = {}  # of each pointer, its descriptor
        self.count = 0

    def run(self, spaces: Sequence[Space]) -> None:
        f = self.f
        own = [_ALLOCATION.match(line) for line in f.allocations]
        local = [Space(m[1], int(m[2]), True, "memory on the stack") for m in own if m]
        for s in (*spaces, *local):
            self.describe(s)
        self.follow()
        for line in f.lines:
            if not re.search(r"\bptr\b", line):
                self.out.append(line)
            elif not self.rewrite(line):
                raise _unknown(line)
        f.lines = [*self.before, *self.out]

    def new(self) -> str:
        self.count += 1
        return f"%check.{self.count}"

    def describe(self, s: Space) -> None:
        """Have the descriptor of a space on the stack: pointer, first byte, end, whether it may be written, name."""
        name = self.space[s.pointer] = f"{s.pointer}.space"
        self.f.allocations.append(f"  {name} = alloca [5 x i64], align 8")
        low, high = "0", str(s.nbytes)
        if s.step is not None:
            low, high = self.new(), self.new()
            self.before += [f"  {low} = mul i64 %low, {s.step}", f"  {high} = mul i64 %high, {s.step}"]
        fields = [f"ptr {s.pointer}", f"i64 {low}", f"i64 {high}", f"i64 {int(s.writes)}", f"ptr {self.text(s.name)}"]
        for k, field in enumerate(fields):
            place = self.new()
            self.before += [f"  {place} = getelementptr i64, ptr {name}, i64 {k}", f"  store {field}, ptr {place}"]

    def text(self, content: str) -> str:
        """A constant with a text, named by what is in it."""
        name = f"@text_{hashlib.sha256(content.encode()).hexdigest()[:16]}"
        letters = "".join([c if c.isalnum() or c in " %@.,()<>[]=:-_" else f"\\{ord(c):02X}" for c in content])
        self.f.globals[name] = f'{name} = private constant [{len(content) + 1} x i8] c"{letters}\\00"'
        return name

    def follow(self) -> None:
        """Find the space of each pointer: that of what it derives from, or of its own where it is chosen."""
        derived = {}
        for line in self.f.lines:
            if m := _DERIVED.match(line):
                derived[m[1]] = m[2]
            elif m := _CHOICE.match(line):
                self.space[m[1]] = f"{m[1]}.space"
        for pointer in derived:
            source = pointer
            while source in derived:
                source = derived[source]
            if source not in self.space:
                raise _unknown(pointer)
            self.space[pointer] = self.space[source]

    def check(self, pointer: str, size: int | str, writes: bool, line: str, function: str = CHECK) -> str:
        """Check an access of `size` (all that comes between pointer and space in the call); what to use instead."""
        returns = "i64" if function == CHECK_BYTES else "ptr"
        if pointer not in self.space:
            raise _unknown(line)
        between = size if isinstance(size, str) else f"i64 {size}"
        types = ", ".join([part.split()[0] for part in between.split(", ")])
        self.f.declarations.add(f"declare {returns} @{function}(ptr, {types}, ptr, i1, ptr)")
        name = self.new()
        self.out.append(
            f"  {name} = call {returns} @{function}(ptr {pointer}, {between}, ptr {self.space[pointer]}, "
            f"i1 {str(writes).lower()}, ptr {self.text(line.strip())})"
        )
        return name

    def rewrite(self, line: str) -> bool:
        """Write a line that has to do with pointers, and its checks; False if it is of no known kind."""
        if _DERIVED.match(line) or _HARMLESS.fullmatch(line):
            self.out.append(line)
        elif m := _CHOICE.match(line):
            spaces = re.sub(r"((?<=\[ )|(?<=ptr ))" + _POINTER, lambda x: self.space[x[2]], m[3])
            self.out += [line, f"  {self.space[m[1]]} = {m[2]} {spaces}"]
        elif m := _ACCESS.fullmatch(line):
            place = self.check(m[3], _size(m[1] or m[2]), m[1] is None, line)
            self.out.append(line[: m.start(3)] + place + line[m.end(3) :])
        elif m := _MASKED.fullmatch(line):
            bits, wide = self.new(), self.new()
            self.out.append(f"  {bits} = bitcast <{m[2]} x i1> {m[5]} to i{m[2]}")
            if m[2] == "64":
                wide = bits
            else:
                self.out.append(f"  {wide} = zext i{m[2]} {bits} to i64")
            place = self.check(m[4], f"i64 {int(m[3]) // 8}, i64 {wide}", m[1] == "store", line, CHECK_LANES)
            self.out.append(line[: m.start(4)] + place + line[m.end(4) :])
        elif m := _BYTES.fullmatch(line):
            n = self.check(m[1], f"i64 {m[3]}", True, line, CHECK_BYTES)
            if m[2]:
                n = self.check(m[2], f"i64 {n}", False, line, CHECK_BYTES)
            self.out.append(line[: m.start(3)] + n + line[m.end(3) :])
        elif m := _GATHER.fullmatch(line):
            self.gather(line, m)
        elif (m := _CALL.fullmatch(line)) and m[1] in SHARED:
            self.out.append(
                f"{line[: m.start(2)]}ptr {self.check(m[2].removeprefix('ptr '), SHARED[m[1]], True, line)})"
            )
        elif (m := _CALL.fullmatch(line)) and (called := self.helpers.get(m[1])) is not None and called.spaces:
            operands = m[2].split(", ")
            for k, s in enumerate(called.spaces):
                pointer = operands[k].removeprefix("ptr ")
                if s.nbytes:
                    operands[k] = f"ptr {self.check(pointer, s.nbytes, s.writes, line)}"
            self.out.append(f"{line[: m.start(2)]}{', '.join(operands)})")
        elif (m := _CALL.fullmatch(line)) and m[1] in self.helpers:
            spaces = [f", ptr {self.space[pointer]}" for pointer in re.findall(rf"ptr {_POINTER}", m[2])]
            self.out.append(f"{line.removesuffix(')')}{''.join(spaces)})")
        else:
            return False
        return True

    def gather(self, line: str, m: re.Match) -> None:
        """Check each lane of a gather."""
        t, all_of = f"<{m[1]} x ptr>", m[3]
        pointers = all_of
        for k in range(int(m[1])):
            lane, following = self.new(), self.new()
            self.space[lane] = self.space[all_of]
            self.out.append(f"  {lane} = extractelement {t} {all_of}, i32 {k}")
            place = self.check(lane, int(m[2]) // 8, False, line)
            self.out.append(f"  {following} = insertelement {t} {pointers}, ptr {place}, i32 {k}")
            pointers = following
        self.out.append(line[: m.start(3)] + pointers + line[m.end(3) :])


def _unknown(what: str) -> ValueError:
    return ValueError(f"[check_bounds] expected pointers and accesses of known kinds, got {what.strip()}")


def _size(type_: str) -> int:
    """Bytes of a value in memory.

    >>> _size("<16 x float>"), _size("i8"), _size("ptr")
    (64, 1, 8)
    """
    if m := re.fullmatch(r"<(\d+) x (\w+)>", type_):
        return int(m[1]) * _size(m[2])
    return {"float": 4, "double": 8, "ptr": 8}.get(type_) or int(type_.removeprefix("i")) // 8
