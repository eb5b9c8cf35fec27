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
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

FORMAT = "modules, each after its length"  # of what `object_code` gives
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
    lock: Any  # llvmlite's own, which each of its functions takes, finalizers too


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
    lock: Any = getattr(getattr(binding.ffi, "lib", None), "_lock", contextlib.nullcontext())
    _hold_while_forking(lock)
    return Host(
        binding,
        binding.get_host_cpu_name(),
        features.flatten(),
        f"{version} {'.'.join(map(str, binding.llvm_version_info))}",
        64 if features.get("avx512vl") and features.get("avx512dq") and features.get("avx512bw") else 32,
        head,
        lock,
    )


def _hold_while_forking(theirs: Any) -> None:
    """Let no fork happen while another thread is inside of llvmlite: the child would find its locks taken, for good."""

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


class Module(NamedTuple):
    """A module's text, and how hard LLVM tries: level 0 takes a quarter of the time, and is good enough for code that only calls. Level 2 takes three
    times as long as 1 for long blocks, and made none of the kernels faster.
    """

    text: str
    level: int = 1


class Emission(ctypes.Structure):
    """A call `buffer = emit(target, module, 1, message)` of LLVM's, by addresses, for whoever makes it."""

    _fields_ = tuple((name, ctypes.c_void_p) for name in ("emit", "target", "module", "message", "buffer"))


def object_code(*modules: Module, share: Callable[[ctypes.Array[Emission]], None] | None = None) -> bytes:
    """Machine code of modules. `share` makes the calls for several of them, at the same time, without running Python code.

    No optimisation pass runs: the text is already what it should be (twice the speed of compiling).
    """
    h = host()
    with _lock, h.lock:
        parsed = []
        for text, level in modules:
            module = h.binding.parse_assembly(text, h.binding.create_context())
            module.verify()
            parsed.append((module, _target(h, level)))
        if share is None or len(parsed) == 1:
            codes = [target.emit_object(module) for module, target in parsed]
        else:
            codes = _emitted(h, parsed, share)
        return b"".join(len(code).to_bytes(8, "little") + code for code in codes)


def _emitted(h: Host, modules: list[tuple[Any, Any]], share: Callable[[ctypes.Array[Emission]], None]) -> list[bytes]:
    """The code of each (module, target machine). These have nothing in common, so LLVM can work on all of them at the same time. llvmlite's own
    functions would wait for its lock, which the caller must hold, as anybody else may then not use LLVM.
    """
    library = ctypes.CDLL(h.binding.ffi.lib._name)
    start, size = library.LLVMPY_GetBufferStart, library.LLVMPY_GetBufferSize
    start.restype, size.restype = ctypes.c_void_p, ctypes.c_size_t
    emit = ctypes.cast(library.LLVMPY_TargetMachineEmitToMemory, ctypes.c_void_p)
    messages = (ctypes.c_char_p * len(modules))()
    calls = (Emission * len(modules))()
    for i, (call, (module, target)) in enumerate(zip(calls, modules)):
        call.emit, call.message = emit, ctypes.addressof(messages) + i * ctypes.sizeof(ctypes.c_char_p)
        call.target, call.module = (ctypes.cast(x, ctypes.c_void_p) for x in (target, module))
    share(calls)
    if not all([call.buffer for call in calls]):
        raise RuntimeError(f"LLVM made no object code: {[m.decode() for m in messages if m]}")
    buffers = [ctypes.c_void_p(call.buffer) for call in calls]
    codes = [ctypes.string_at(start(buffer), size(buffer)) for buffer in buffers]
    for buffer in buffers:
        library.LLVMPY_DisposeMemoryBuffer(buffer)
    return codes


def _target(h: Host, level: int) -> Any:
    return h.binding.Target.from_default_triple().create_target_machine(
        cpu=h.cpu, features=h.features, opt=level, reloc="default", codemodel="jitdefault", jit=True
    )


class Loaded:
    """What `object_code` gave in executable memory, for as long as this lives."""

    def __init__(self, code: bytes):
        h = host()
        with _lock:
            self._engine = h.binding.create_mcjit_compiler(h.binding.parse_assembly(""), _target(h, 1))
            at = 0
            while at < len(code):
                size = int.from_bytes(code[at : at + 8], "little")
                at += 8 + size
                self._engine.add_object_file(h.binding.ObjectFileRef.from_data(code[at - size : at]))
            self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Where a function is."""
        return self._engine.get_function_address(name)

    def variable(self, name: str) -> int:
        """Where a global variable is."""
        return self._engine.get_global_value_address(name)
