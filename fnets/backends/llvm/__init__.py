"""The native backend "llvm": elementwise work and reductions as machine code, the rest by NumPy. May import numpy_codegen.

It needs llvmlite (the extra `jit`), which is imported when the backend is first used. Where it cannot work, the NumPy backend runs instead, and one
warning says why.

    text        LLVM IR as text: functions, loops, vectors
    vmath       exp, log, tanh, ... of vectors
    operations  primitives in terms of vectors
    expand      softmax and the like in simpler primitives
    short_axes  points in space as arrays of coordinates
    layout      channels-last arrays around convolutions
    regions     which equations run natively, in one call, in one loop nest
    nest        a loop nest as a function
    kernel      a region as a C function of CPython's calling convention
    pool        threads
    cache       object code on disk
    engine      llvmlite, this processor
    program     the backend itself
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable

from fnets.backends.numpy_codegen import compile_numpy
from fnets.core.ir import Jaxpr

_told: set[str] = set()


def compile_llvm(jaxpr: Jaxpr, own_outputs: bool = False, donated: tuple[int, ...] = ()) -> Callable[..., list]:
    """Compile natively; where that is impossible, by NumPy, with one notice."""
    try:
        # loaded when it is first asked for, so that `import fnets` does not pay for it
        program = importlib.import_module("fnets.backends.llvm.program")
        return program.compile_native(jaxpr, own_outputs, donated)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        if reason not in _told:
            _told.add(reason)
            warnings.warn(f"[llvm] no native code, NumPy runs instead: {reason}", RuntimeWarning, stacklevel=2)
        return compile_numpy(jaxpr, own_outputs, donated)
