"""The calls of a program's stages: straight where a chain is one part, as a task for the threads where it is several. May import chains, memory, pool, text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fnets.backends.llvm import pool
from fnets.backends.llvm.chains import Chain
from fnets.backends.llvm.memory import Plan
from fnets.backends.llvm.stage import Stage
from fnets.backends.llvm.text import Function
from fnets.core.ir import Var


class Driver:
    """Writes calls into a function. `pointer` says where the variables are that the plan does not place; `block` is the plan's memory."""

    def __init__(
        self, f: Function, plan: Plan, names: Mapping[Stage, str], pointer: Mapping[Var, str], block: str, threads: str
    ):
        self.f = f
        self.names = names
        self.threads = threads
        self.pointer = {**pointer, **{v: str(f.address(block, offset, 1)) for v, offset in plan.place.items()}}
        self.scratch_bytes = plan.scratch
        self.scratch = str(f.address(block, plan.size, 1)) if plan.scratch else "null"

    def run(self, chains: Sequence[Chain]) -> None:
        for chain in chains:
            if chain.parts > 1:
                self._share(chain)
                continue
            for v in [v for s in chain.stages for v in s.accumulated]:
                self._clear(self.f, self.pointer[v], v.aval.nbytes)
            for s in chain.stages:
                self._call(self.f, s, self.pointer, self.scratch, "0", str(s.extent))

    def errors(self, stages: Sequence[Stage]) -> str:
        """How many errors the stages have counted; nothing if none of them counts."""
        total = ""
        for s in stages:
            if s.errors is not None:
                count = self.f.op(f"load i64, ptr {self.pointer[s.errors]}")
                total = self.f.op(f"add i64 {total}, {count}") if total else count
        return total

    def _share(self, chain: Chain) -> None:
        f, buffers = self.f, chain.buffers
        operands = f.allocate(8 * (len(buffers) + 1))
        for i, p in enumerate([*[self.pointer[v] for v in buffers], self.scratch]):
            f.do(f"store ptr {p}, ptr {f.address(operands, i, 8)}")
        name = f.new(f"{f.name}_chain")
        f.take(self._task(name, chain))
        f.call(
            "void",
            pool.PARFOR,
            ("ptr", f"@{name}"),
            ("ptr", operands),
            ("i64", str(chain.parts)),
            ("i64", self.threads),
        )

    def _task(self, name: str, chain: Chain) -> Function:
        """The function that runs one part of a chain."""
        task = Function(name, ["ptr %operands", "i64 %part", "i64 %thread"], linkage="internal")
        buffers = chain.buffers
        loaded = [task.op(f"load ptr, ptr {task.address('%operands', i, 8)}") for i in range(len(buffers) + 1)]
        pointer = dict(zip(buffers, loaded))
        for v, copies in chain.copies.items():
            pointer[v] = str(task.address(pointer[copies], task.mul("%part", v.aval.size), v.aval.dtype.itemsize))
            self._clear(task, pointer[v], v.aval.nbytes)
        scratch = str(task.address(loaded[-1], task.mul("%thread", self.scratch_bytes), 1))
        low = task.mul("%part", chain.chunk)
        high = task.add(low, chain.chunk)
        inside = task.op(f"icmp slt i64 {high}, {chain.extent}")
        high = task.op(f"select i1 {inside}, i64 {high}, i64 {chain.extent}")
        for s in chain.stages:
            times = s.extent // chain.extent
            self._call(task, s, pointer, scratch, str(task.mul(low, times)), str(task.mul(high, times)))
        task.do("ret void")
        return task

    def _call(self, f: Function, s: Stage, pointer: Mapping[Var, str], scratch: str, low: str, high: str) -> None:
        pointers = ", ".join(f"ptr {pointer[v]}" for v in (*s.sources, *s.stored))
        f.do(f"call void @{self.names[s]}({pointers}, ptr {scratch}, i64 {low}, i64 {high})")

    @staticmethod
    def _clear(f: Function, pointer: str, nbytes: int) -> None:
        f.call("ptr", "memset", ("ptr", pointer), ("i32", "0"), ("i64", str(nbytes)))
