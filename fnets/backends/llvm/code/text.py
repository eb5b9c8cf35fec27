"""LLVM IR as text: functions, loops, and vectors of a fixed number of lanes. May import nothing of fnets.

Everything is emitted in SSA form by hand, so that no optimisation pass has to run: loops carry their values in phi nodes, and constants that
a loop needs are literals, which the code generator hoists.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

ATTRIBUTES = 'attributes #0 = { nounwind "no-trapping-math"="true" "min-legal-vector-width"="512" }'

BOOL = np.dtype(bool)
SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)
_TYPES = {SINGLE: "float", DOUBLE: "double", BOOL: "i1"}
_TYPES |= {np.dtype(f"{kind}{size}"): f"i{8 * size}" for kind in "iu" for size in (1, 2, 4, 8)}


def scalar_type(dtype: np.dtype) -> str:
    """The LLVM type of a value in a register.

    >>> scalar_type(np.dtype("int64")), scalar_type(np.dtype(bool))
    ('i64', 'i1')
    """
    return _TYPES[dtype]


def is_supported(dtype: np.dtype) -> bool:
    """True for the dtypes that kernels compute with.

    >>> is_supported(np.dtype("float32")), is_supported(np.dtype("complex64"))
    (True, False)
    """
    return dtype in _TYPES


def vector_type(element: str, lanes: int) -> str:
    """`<lanes x element>`; one lane is a plain scalar.

    >>> vector_type("float", 8), vector_type("float", 1)
    ('<8 x float>', 'float')
    """
    return element if lanes == 1 else f"<{lanes} x {element}>"


def constant(value: object, dtype: np.dtype) -> str:
    """A scalar in LLVM's notation; floats by their bits.

    >>> constant(1.0, np.dtype("float32")), constant(True, np.dtype(bool))
    ('0x3FF0000000000000', 'true')
    """
    if dtype == BOOL:
        return "true" if value else "false"
    if dtype.kind == "f":
        return f"0x{struct.unpack('Q', struct.pack('d', float(dtype.type(value))))[0]:016X}"
    return str(int(value))  # type: ignore[call-overload]


class Loop:
    """A loop that is being written: `index`, the carried `values`, and what they become in the `next` round; `results` after it. A round that finds that
    `ends`, if that is set, is the last.
    """

    def __init__(self, index: str, values: list[str]):
        self.index = index
        self.values = values
        self.next: list[str] = list(values)
        self.results: list[str] = []
        self.ends = ""


class Function:
    """The text of one function, grown line by line."""

    def __init__(self, name: str, parameters: Sequence[str], returns: str = "void", linkage: str = ""):
        self.name = name
        self.declaration = f"declare {returns} @{name}({', '.join(p.rsplit(' %', 1)[0] for p in parameters)})"
        self.header = f"define {linkage}{' ' if linkage else ''}{returns} @{name}({', '.join(parameters)}) #0 {{"
        self.allocations: list[str] = []
        self.lines: list[str] = []
        self.declarations: set[str] = set()
        self.globals: dict[str, str] = {}  # global variables, by name
        self.helpers: dict[str, Function] = {}  # other functions that this one calls, by name
        self.tasks: dict[str, Function] = {}  # functions that others call for this one, which consist of calls
        self.spaces: Sequence[Any] = ()  # what its pointers may touch, where it is `checked`
        self.block = "entry"
        self._count = 0

    def new(self, stem: str = "%v") -> str:
        self._count += 1
        return f"{stem}{self._count}"

    def do(self, line: str) -> None:
        self.lines.append("  " + line)

    def op(self, right: str) -> str:
        name = self.new()
        self.lines.append(f"  {name} = {right}")
        return name

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")
        self.block = name

    def call(self, returns: str, name: str, *operands: tuple[str, str], declare: bool = True) -> str:
        """Call a function by name; operands are (type, value)."""
        if declare:
            self.declarations.add(f"declare {returns} @{name}({', '.join(t for t, _ in operands)})")
        text = f"call {returns} @{name}({', '.join(f'{t} {v}' for t, v in operands)})"
        if returns == "void":
            self.do(text)
            return ""
        return self.op(text)

    def allocate(self, nbytes: int) -> str:
        """Memory on the stack for as long as the function runs."""
        name = self.new("%m")
        self.allocations.append(f"  {name} = alloca i8, i64 {nbytes}, align 64")
        return name

    def add(self, a: str | int, b: str | int) -> str | int:
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if a == 0 or b == 0:
            return b if a == 0 else a
        return self.op(f"add nsw i64 {a}, {b}")

    def mul(self, a: str | int, b: int) -> str | int:
        if isinstance(a, int) or b == 0:
            return 0 if b == 0 else a * b  # type: ignore[operator]
        return a if b == 1 else self.op(f"mul nsw i64 {a}, {b}")

    def smaller(self, a: str | int, b: str | int) -> str | int:
        """The smaller of two integers."""
        if isinstance(a, int) and isinstance(b, int):
            return min(a, b)
        return self.op(f"select i1 {self.op(f'icmp slt i64 {a}, {b}')}, i64 {a}, i64 {b}")

    def address(self, pointer: str, offset: str | int, size: int) -> str:
        """`pointer` moved by `offset` elements of `size` bytes."""
        if offset == 0:
            return pointer
        return self.op(f"getelementptr inbounds i{8 * size}, ptr {pointer}, i64 {offset}")

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """Code that runs only under a condition."""
        inside, after = self.new("then"), self.new("after")
        self.do(f"br i1 {condition}, label %{inside}, label %{after}")
        self.label(inside)
        yield
        self.do(f"br label %{after}")
        self.label(after)

    @contextmanager
    def leaving(self, condition: str) -> Iterator[None]:
        """Code under a condition that ends with a return."""
        inside, after = self.new("leave"), self.new("after")
        self.do(f"br i1 {condition}, label %{inside}, label %{after}")
        self.label(inside)
        yield
        self.label(after)

    @contextmanager
    def loop(
        self, low: str | int, high: str | int, step: int, carried: Sequence[tuple[str, str]] = ()
    ) -> Iterator[Loop]:
        """A loop that runs at least once; `carried` holds (type, first value) of what goes from round to round."""
        before, head, after = self.block, self.new("loop"), self.new("done")
        self.do(f"br label %{head}")
        self.label(head)
        loop = Loop(self.new("%i"), [self.new("%c") for _ in carried])
        at = len(self.lines)
        yield loop
        # what LLVM does not see through it does not try to strength-reduce: that takes a third of the time of compiling, and does not make kernels faster
        index = self.op(f"add nuw nsw i64 {self.op(f'freeze i64 {loop.index}')}, {step}")
        more = self.op(f"icmp slt i64 {index}, {high}")
        if loop.ends:
            more = self.op(f"select i1 {loop.ends}, i1 false, i1 {more}")
        latch = self.block
        self.do(f"br i1 {more}, label %{head}, label %{after}")
        phis = [f"  {loop.index} = phi i64 [ {low}, %{before} ], [ {index}, %{latch} ]"]
        for (type_, first), value, following in zip(carried, loop.values, loop.next):
            phis.append(f"  {value} = phi {type_} [ {first}, %{before} ], [ {following}, %{latch} ]")
        self.lines[at:at] = phis
        self.label(after)
        loop.results = loop.next

    @contextmanager
    def repeat(self, carried: Sequence[tuple[str, str]]) -> Iterator[Loop]:
        """A loop that goes on as long as `go_on`, which must be called in it once, says; `results` are the values of the trip that it ends."""
        before, head, after = self.block, self.new("loop"), self.new("done")
        self.do(f"br label %{head}")
        self.label(head)
        loop = Loop(after, [self.new("%c") for _ in carried])
        at = len(self.lines)
        yield loop
        if loop.ends:
            self.go_on(loop, self.op(f"xor i1 {loop.ends}, true"))
        latch = self.block
        self.do(f"br label %{head}")
        self.lines[at:at] = [
            f"  {value} = phi {type_} [ {first}, %{before} ], [ {following}, %{latch} ]"
            for (type_, first), value, following in zip(carried, loop.values, loop.next)
        ]
        self.label(after)
        loop.results = loop.values

    def go_on(self, loop: Loop, condition: str) -> None:
        """Leave the loop unless the condition holds."""
        inside = self.new("inside")
        self.do(f"br i1 {condition}, label %{inside}, label %{loop.index}")
        self.label(inside)

    @contextmanager
    def count(self, high: int, step: int = 1) -> Iterator[str | int]:
        """The indices 0, step, ... below a constant; no loop where there is one."""
        if high <= step:
            yield 0
        else:
            with self.loop(0, high, step) as loop:
                yield loop.index

    def take(self, helper: Function) -> None:
        """Have another function, which this one calls, in the module too."""
        self.helpers |= {helper.name: helper, **helper.helpers}
        self.tasks |= helper.tasks
        self.declarations |= helper.declarations
        self.globals |= helper.globals

    def text(self) -> str:
        return "\n".join([self.header, "entry:", *self.allocations, *self.lines, "}"])


class Lanes:
    """Operations on `count` lanes at once; with `mask`, loads and stores touch only the lanes that it allows."""

    def __init__(self, function: Function, count: int, mask: str | None = None):
        self.function = function
        self.count = count
        self.mask = mask
        self.op = function.op

    def of(self, count: int) -> Lanes:
        return Lanes(self.function, count)

    def first(self, count: int) -> Lanes:
        """As many lanes, of which loads and stores touch the first `count`."""
        if count >= self.count:
            return self.of(self.count)
        bits = ", ".join(f"i1 {'true' if i < count else 'false'}" for i in range(self.count))
        return Lanes(self.function, self.count, f"<{bits}>")

    def only(self, condition: str) -> Lanes:
        """The same lanes if a condition holds, else none."""
        masks = self.type(BOOL)
        some = self.splat(condition, BOOL)
        return Lanes(self.function, self.count, self.op(f"and {masks} {some}, {self.mask}") if self.mask else some)

    def type(self, dtype: np.dtype) -> str:
        return vector_type(_TYPES[dtype], self.count)

    def const(self, value: object, dtype: np.dtype) -> str:
        text = constant(value, dtype)
        return text if self.count == 1 else f"splat ({_TYPES[dtype]} {text})"

    def splat(self, x: str, dtype: np.dtype) -> str:
        """A scalar in every lane."""
        if self.count == 1:
            return x
        t = self.type(dtype)
        first = self.op(f"insertelement {t} poison, {_TYPES[dtype]} {x}, i32 0")
        return self.op(f"shufflevector {t} {first}, {t} poison, <{self.count} x i32> zeroinitializer")

    def shuffle(self, a: str, b: str, picks: Sequence[int], dtype: np.dtype) -> str:
        """The lanes `picks` of `a` and `b` side by side; a negative one may be anything."""
        t = self.type(dtype)
        lanes = ", ".join(f"i32 {'poison' if i < 0 else i}" for i in picks)
        return self.op(f"shufflevector {t} {a}, {t} {b}, <{len(picks)} x i32> <{lanes}>")

    def halves(self, x: str, dtype: np.dtype) -> list[str]:
        """The lower and the upper lanes of a vector."""
        n = self.count // 2
        parts = [self.shuffle(x, "poison", [*range(k, k + n)], dtype) for k in (0, n)]
        if n == 1:
            parts = [self.op(f"extractelement <1 x {_TYPES[dtype]}> {p}, i32 0") for p in parts]
        return parts

    def intrinsic(self, name: str, dtype: np.dtype, *operands: str) -> str:
        t = self.type(dtype)
        letter = {"float": "f32", "double": "f64"}.get(_TYPES[dtype], _TYPES[dtype])
        suffix = letter if self.count == 1 else f"v{self.count}{letter}"
        return self.function.call(t, f"llvm.{name}.{suffix}", *[(t, x) for x in operands])

    def binary(self, name: str, a: str, b: str, dtype: np.dtype) -> str:
        return self.op(f"{name} {self.type(dtype)} {a}, {b}")

    def compare(self, condition: str, a: str, b: str, dtype: np.dtype) -> str:
        return self.op(f"{'fcmp' if dtype.kind == 'f' else 'icmp'} {condition} {self.type(dtype)} {a}, {b}")

    def select(self, condition: str, a: str, b: str, dtype: np.dtype) -> str:
        t = self.type(dtype)
        return self.op(f"select {self.type(BOOL)} {condition}, {t} {a}, {t} {b}")

    def cast(self, how: str, x: str, from_: np.dtype, to: np.dtype) -> str:
        return self.op(f"{how} {self.type(from_)} {x} to {self.type(to)}")

    def fma(self, a: str, b: str, c: str, dtype: np.dtype) -> str:
        return self.intrinsic("fma", dtype, a, b, c)

    def load(self, pointer: str, dtype: np.dtype) -> str:
        element = "i8" if dtype == BOOL else _TYPES[dtype]
        t, align = vector_type(element, self.count), dtype.itemsize
        if self.mask is None:
            x = self.op(f"load {t}, ptr {pointer}, align {align}")
        else:
            name = f"llvm.masked.load.v{self.count}{_suffix(element)}.p0"
            masks = vector_type("i1", self.count)
            self.function.declarations.add(f"declare {t} @{name}(ptr, i32 immarg, {masks}, {t})")
            x = self.op(f"call {t} @{name}(ptr {pointer}, i32 {align}, {masks} {self.mask}, {t} zeroinitializer)")
        return self.op(f"icmp ne {t} {x}, {'0' if self.count == 1 else 'zeroinitializer'}") if dtype == BOOL else x

    def gather(self, pointer: str, offsets: str, index: np.dtype, dtype: np.dtype) -> str:
        """What lies `offsets` elements from a pointer, lane by lane."""
        t, element, n = self.type(dtype), _TYPES[dtype], self.count
        places = self.op(f"getelementptr inbounds {element}, ptr {pointer}, {self.type(index)} {offsets}")
        name = f"llvm.masked.gather.v{n}{_suffix(element)}.v{n}p0"
        self.function.declarations.add(f"declare {t} @{name}(<{n} x ptr>, i32 immarg, <{n} x i1>, {t})")
        operands = (f"<{n} x ptr> {places}", f"i32 {dtype.itemsize}", f"<{n} x i1> splat (i1 true)", f"{t} poison")
        return self.op(f"call {t} @{name}({', '.join(operands)})")

    def store(self, x: str, pointer: str, dtype: np.dtype) -> None:
        element = "i8" if dtype == BOOL else _TYPES[dtype]
        t, align = vector_type(element, self.count), dtype.itemsize
        if dtype == BOOL:
            x = self.op(f"zext {self.type(dtype)} {x} to {t}")
        if self.mask is None:
            self.function.do(f"store {t} {x}, ptr {pointer}, align {align}")
        elif self.mask.count("true") == 1 and self.mask.startswith("<i1 true"):
            # a masked store of one lane is miscompiled after a `trunc`: it writes the bytes that were taken off, too
            self.function.do(
                f"store {element} {self.op(f'extractelement {t} {x}, i32 0')}, ptr {pointer}, align {align}"
            )
        else:
            name = f"llvm.masked.store.v{self.count}{_suffix(element)}.p0"
            masks = vector_type("i1", self.count)
            self.function.declarations.add(f"declare void @{name}({t}, ptr, i32 immarg, {masks})")
            self.function.do(f"call void @{name}({t} {x}, ptr {pointer}, i32 {align}, {masks} {self.mask})")


def _suffix(element: str) -> str:
    return {"float": "f32", "double": "f64"}.get(element, element)
