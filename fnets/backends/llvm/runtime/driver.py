"""The calls of a program's stages: straight where a chain is one part, as a task for the threads where it is several. May import chains, memory, pool, text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fnets.backends.llvm.code.text import Function
from fnets.backends.llvm.kernels.stage import Stage
from fnets.backends.llvm.runtime import pool
from fnets.backends.llvm.schedule.chains import Chain
from fnets.backends.llvm.schedule.memory import Plan
from fnets.core.ir import Var


class Table(Mapping[Var, str]):
    """Pointers in memory, to be filled by others: each use loads one, so that none of them needs a register for long."""

    def __init__(self, f: Function, variables: Sequence[Var]):
        self.f = f
        self.position = {v: i for i, v in enumerate(variables)}
        self.pointer = f.allocate(8 * (len(variables) + 1))  # the last is that of the planned memory

    def __getitem__(self, v: Var) -> str:
        return self.load(self.f, self.pointer, self.position[v])

    def __iter__(self) -> Iterator[Var]:
        return iter(self.position)

    def __len__(self) -> int:
        return len(self.position)

    @staticmethod
    def load(f: Function, pointer: str, position: int) -> str:
        return f.op(f"load ptr, ptr {f.address(pointer, position, 8)}")

    def store(self, value: str, position: int) -> None:
        self.f.do(f"store ptr {value}, ptr {self.f.address(self.pointer, position, 8)}")


class Driver:
    """Writes calls into a function. `given` says where the variables are that the plan does not place; `block` is the plan's memory."""

    def __init__(
        self, f: Function, plan: Plan, names: Mapping[Stage, str], given: Mapping[Var, str], block: str, threads: str
    ):
        self.f = f
        self.names = names
        self.threads = threads
        self.given = given
        self.plan = plan
        self.block = block or "null"

    def run(self, chains: Sequence[Chain]) -> None:
        table = self._table(chains)
        for chain in chains:
            if chain.parts > 1 and table is not None:
                self._share(chain, table)
                continue
            pointer = self._pointers(self.f, chain.buffers, self.given, self.block)
            for v in [v for s in chain.stages for v in s.accumulated]:
                self._clear(self.f, pointer[v], v.aval.nbytes)
            for s in chain.stages:
                self._call(self.f, s, pointer, self._scratch(self.f, self.block), "0", str(s.extent))

    def _table(self, chains: Sequence[Chain]) -> Table | None:
        """The pointers by which tasks find what they need."""
        if not any([c.parts > 1 for c in chains]):
            return None
        if isinstance(self.given, Table):
            table = self.given
        else:
            used = dict.fromkeys([v for c in chains if c.parts > 1 for v in c.buffers if self._is_given(v)])
            table = Table(self.f, list(used))
            for i, v in enumerate(used):
                table.store(self.given[v], i)
        table.store(self.block, len(table))
        return table

    def _scratch(self, f: Function, block: str) -> str:
        return str(f.address(block, self.plan.size, 1)) if self.plan.scratch else "null"

    def _pointers(self, f: Function, variables: Sequence[Var], given: Mapping[Var, str], block: str) -> dict[Var, str]:
        place = self.plan.place
        return {v: str(f.address(block, place[v], 1)) if v in place else given[v] for v in variables}

    def _is_given(self, v: Var) -> bool:
        return v not in self.plan.place and v not in self.plan.local

    def errors(self, stages: Sequence[Stage]) -> str:
        """How many errors the stages have counted; nothing if none of them counts."""
        total = ""
        for s in stages:
            if s.errors is not None:
                pointer = self._pointers(self.f, [s.errors], self.given, self.block)[s.errors]
                count = self.f.op(f"load i64, ptr {pointer}")
                total = self.f.op(f"add i64 {total}, {count}") if total else count
        return total

    def _share(self, chain: Chain, table: Table) -> None:
        f = self.f
        name = f.new(f"{f.name}_chain")
        f.tasks[name] = self._task(name, chain, table)
        f.call(
            "void",
            pool.PARFOR,
            ("ptr", f"@{name}"),
            ("ptr", table.pointer),
            ("i64", str(chain.parts)),
            ("i64", self.threads),
        )

    def _task(self, name: str, chain: Chain, table: Table) -> Function:
        """The function that runs one part of a chain."""
        task = Function(name, ["ptr %table", "i64 %part", "i64 %thread"])
        block = table.load(task, "%table", len(table))
        low = task.mul("%part", chain.chunk)
        high = task.add(low, chain.chunk)
        inside = task.op(f"icmp slt i64 {high}, {chain.extent}")
        high = task.op(f"select i1 {inside}, i64 {high}, i64 {chain.extent}")
        scratch = self._scratch(task, block)
        if self.plan.scratch:
            scratch = str(task.address(scratch, task.mul("%thread", self.plan.scratch), 1))
        placed = [v for v in chain.buffers if v not in self.plan.local]
        given = {v: table.load(task, "%table", table.position[v]) for v in placed if self._is_given(v)}
        pointer = self._pointers(task, placed, given, block)
        for v in chain.buffers:
            if v in self.plan.local:  # where the whole would begin if this part of it were in the scratch
                start = task.op(f"sub i64 {self.plan.local[v]}, {task.mul(low, v.aval.nbytes // chain.extent)}")
                pointer[v] = str(task.address(scratch, start, 1))
        for v, copies in chain.copies.items():
            pointer[v] = str(task.address(pointer[copies], task.mul("%part", v.aval.size), v.aval.dtype.itemsize))
            self._clear(task, pointer[v], v.aval.nbytes)
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
