"""The native backend "llvm": what kernels exist for as machine code, the rest by NumPy; and "auto". May import costs, numpy_codegen, passes.

It needs llvmlite (the extra `jit`), which is imported when the backend is first used. Where it cannot work, the NumPy backend runs instead, and one
warning says why. The backend "auto" is this one for programs that are long enough, and says nothing where it cannot work.

    passes      jaxpr to jaxpr, before anything is grouped
    schedule    which equations run natively, in one call, in one loop nest, in which parts, and where their memory is
    kernels     stages: nests, products, convolutions, pooling, copies, index arrays, running operations, random numbers, loops
    code        LLVM's language as text, register tiles, functions of vectors
    runtime     llvmlite, CPython's calling convention, threads, what is kept on disk
    program     the backend itself
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
import warnings
from collections.abc import Callable

from fnets.backends.costs import takes_longer
from fnets.backends.numpy_codegen import compile_numpy, generate
from fnets.backends.passes import optimise
from fnets.core.ir import Jaxpr

# Nanoseconds that NumPy must need for a program to be compiled natively unasked. Native code saves most of them, and takes 30 to 100 ms to make
# (150 more the first time): 30 operations on scalars, or the gradient of a tiny network, of 14 us with NumPy, earn that in 10,000 calls.
WORTH_COMPILING = 20_000
_told: set[str] = set()


@functools.cache
def is_expected() -> bool:
    """True if this looks like a machine that native code can run on, found out without importing anything."""
    if sys.platform != "linux" or sys.implementation.name != "cpython" or os.uname().machine != "x86_64":
        return False
    util = importlib.import_module("importlib.util")  # here, for the sake of the time that `import fnets` takes
    return util.find_spec("llvmlite") is not None


def _native(jaxpr: Jaxpr, own_outputs: bool, donated: tuple[int, ...]) -> Callable[..., list]:
    # loaded when it is first asked for, so that `import fnets` does not pay for it
    program = importlib.import_module("fnets.backends.llvm.program")
    return program.compile_native(jaxpr, own_outputs, donated)


def compile_llvm(jaxpr: Jaxpr, own_outputs: bool = False, donated: tuple[int, ...] = ()) -> Callable[..., list]:
    """Compile natively; where that is impossible, by NumPy, with one notice."""
    try:
        return _native(jaxpr, own_outputs, donated)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        if reason not in _told:
            _told.add(reason)
            warnings.warn(f"[llvm] no native code, NumPy runs instead: {reason}", RuntimeWarning, stacklevel=2)
        return compile_numpy(jaxpr, own_outputs, donated)


def compile_auto(jaxpr: Jaxpr, own_outputs: bool = False, donated: tuple[int, ...] = ()) -> Callable[..., list]:
    """Compile natively where that is possible and the program is long enough to earn it, elsewhere by NumPy."""
    jaxpr = optimise(jaxpr)
    if is_expected() and takes_longer(jaxpr, WORTH_COMPILING):
        with contextlib.suppress(Exception):
            return _native(jaxpr, own_outputs, donated)
    return generate(jaxpr, own_outputs, donated)
