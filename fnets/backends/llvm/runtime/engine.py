"""llvmlite: object code from IR text for this machine's processor, and loading it. Imports nothing of fnets.

Nothing here runs before the backend is used for the first time; `host()` imports llvmlite then, and raises `Unavailable` where the backend cannot work.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import os
import platform
import sys
import threading
from typing import Any, NamedTuple

import numpy as np

FORMAT = "two modules, the length of the first before them"  # of what `object_code` gives
_lock = threading.Lock()


class Unavailable(Exception):
    """The reason why there is no native code here."""


class Host(NamedTuple):
    """The processor that code is made for, and where CPython keeps what."""

    binding: Any
    cpu: str
    features: str
    version: str
    vector_bytes: int
    head: int  # bytes of a Python object before its own fields


@functools.cache
def host() -> Host:
    """This machine, or `Unavailable`. Found out once."""
    if sys.platform != "linux" or platform.machine() != "x86_64" or sys.implementation.name != "cpython":
        raise Unavailable(f"native code needs CPython on Linux on x86-64, this is {platform.platform()}")
    try:
        binding = importlib.import_module("llvmlite.binding")
        version = importlib.import_module("llvmlite").__version__
    except Exception as error:
        raise Unavailable(f"llvmlite cannot be imported ({error}); install it with: pip install 'fnets[jit]'") from None
    with contextlib.suppress(Exception):  # recent versions initialise themselves, and say so
        binding.initialize()
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    features = binding.get_host_cpu_features()
    if not (features.get("avx2") and features.get("fma")):
        raise Unavailable("native code needs a processor with AVX2 and FMA")
    head = object.__basicsize__
    _check_layout(head)
    _hold_while_forking(binding)
    return Host(
        binding,
        binding.get_host_cpu_name(),
        features.flatten(),
        f"{version} {'.'.join(map(str, binding.llvm_version_info))}",
        64 if features.get("avx512vl") and features.get("avx512dq") and features.get("avx512bw") else 32,
        head,
    )


def _hold_while_forking(binding: Any) -> None:
    """Let no fork happen while another thread is inside of llvmlite: the child would find its locks taken, for good."""
    # llvmlite's own lock, which each of its functions takes, finalizers too
    theirs: Any = getattr(getattr(binding.ffi, "lib", None), "_lock", contextlib.nullcontext())

    def hold() -> None:
        _lock.acquire()
        theirs.__enter__()

    def release() -> None:
        theirs.__exit__(None, None, None)
        _lock.release()

    os.register_at_fork(before=hold, after_in_parent=release, after_in_child=release)


def _check_layout(head: int) -> None:
    """Raise unless arrays and scalars keep their data where the kernels look for it."""
    word = lambda x, offset: ctypes.c_void_p.from_address(id(x) + offset).value  # noqa: E731
    x, y = np.empty((2, 3)), np.empty((3, 2)).T
    flags = [ctypes.c_int.from_address(id(a) + head + 48).value & 1 for a in (x, y)]
    scalar = ctypes.c_float.from_address(id(one := np.float32(1.5)) + head).value
    weak = ctypes.c_double.from_address(id(two := 2.5) + head).value
    good = word(x, head) == x.ctypes.data and word(x, head - 8) == id(np.ndarray) and flags == [1, 0]
    if not good or scalar != one or weak != two:
        raise Unavailable("this build of Python or NumPy lays its objects out in an unknown way")


def object_code(text: str, calls: str = "") -> bytes:
    """Machine code of a module, and of one that only calls: that is translated in a hurry, which takes a quarter of the time.

    No optimisation pass runs: the text is already what it should be (twice the speed of compiling).
    """
    # level 2 takes three times as long as 1 for long blocks, and made none of the kernels faster
    code = _object_code(text, 1)
    return len(code).to_bytes(8, "little") + code + (_object_code(calls, 0) if calls else b"")


def _object_code(text: str, level: int) -> bytes:
    h = host()
    with _lock:
        module = h.binding.parse_assembly(text)
        module.verify()
        return _target(h, level).emit_object(module)


def _target(h: Host, level: int) -> Any:
    return h.binding.Target.from_default_triple().create_target_machine(
        cpu=h.cpu, features=h.features, opt=level, reloc="default", codemodel="jitdefault", jit=True
    )


class Loaded:
    """What `object_code` gave in executable memory, for as long as this lives."""

    def __init__(self, code: bytes):
        h = host()
        end = 8 + int.from_bytes(code[:8], "little")
        with _lock:
            target = _target(h, 1)
            empty = h.binding.parse_assembly("")
            self._engine = h.binding.create_mcjit_compiler(empty, target)
            for part in (code[8:end], code[end:]):
                if part:
                    self._engine.add_object_file(h.binding.ObjectFileRef.from_data(part))
            self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Where a function is."""
        return self._engine.get_function_address(name)

    def variable(self, name: str) -> int:
        """Where a global variable is."""
        return self._engine.get_global_value_address(name)
