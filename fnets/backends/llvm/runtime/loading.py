"""What is in the cache: machine code by the text of its modules, and schedules by the programs that they are of. May import cache, core, engine, pool,
portable.

A schedule is what the passes and the grouping make of a program: who finds it has neither to run them nor to write a module's text.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import marshal
import pathlib
from typing import Any

import numpy as np

from fnets.backends.llvm.runtime import cache
from fnets.backends.llvm.runtime.engine import FORMAT, Loaded, Module, host, object_code
from fnets.backends.llvm.runtime.portable import NotPortable, Writer, read
from fnets.core.ir import Jaxpr


def code_name(*modules: Module) -> str:
    """What the code of modules is called in the cache."""
    h = host()
    texts = [text for m in modules for text in (m.text, str(m.level))]
    return cache.key_of(FORMAT, *texts, h.cpu, h.features, h.version)


def load(*modules: Module, share: Any = None) -> Loaded:
    """The `object_code` of modules: from the cache, or compiled (see there for `share`) and put there."""
    name = code_name(*modules)
    loaded = _load_cached(name)
    if loaded is None:
        code = object_code(*modules, share=share)
        cache.write(name, code)
        loaded = Loaded(code)
    return loaded


def _load_cached(name: str) -> Loaded | None:
    code = cache.read(name)
    if code is not None:
        with contextlib.suppress(Exception):  # an object that cannot be loaded is built again
            return Loaded(code)
    return None


@functools.cache
def _versions() -> str:
    """Of all that has a say in what becomes of a program: this library's source, NumPy, llvmlite, the processor."""
    root = pathlib.Path(__file__).parents[3]
    digest = hashlib.sha256()
    for folder in ("core", "primitives", "backends"):
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    h = host()
    return " ".join([digest.hexdigest(), np.__version__, h.version, h.cpu, h.features])


class Saved:
    """The place of a program's schedule in the cache; none for a program that is not portable."""

    def __init__(self, jaxpr: Jaxpr, settings: str):
        self._consts = jaxpr.consts
        self._name = None
        writer = Writer()
        self._wheres = writer.wheres
        if cache.is_on():
            with contextlib.suppress(NotPortable):
                self._name = cache.key_of(marshal.dumps(writer.write(jaxpr), 2), _versions(), settings)

    def find(self) -> tuple[Jaxpr, Loaded] | None:
        """The schedule and its code."""
        found = None if self._name is None else cache.read(self._name, cache.PROGRAM)
        if found is None:
            return None
        module, program = json.loads(found)
        loaded = _load_cached(module)
        return None if loaded is None else (read(program, self._wheres, self._consts), loaded)

    def keep(self, schedule: Jaxpr, *modules: Module) -> None:
        """Put it there."""
        if self._name is None:
            return
        with contextlib.suppress(NotPortable):
            program = Writer(self._wheres, self._consts).write(schedule)
            cache.write(self._name, json.dumps([code_name(*modules), program]).encode(), cache.PROGRAM)
