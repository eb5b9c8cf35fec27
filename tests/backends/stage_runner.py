"""Runs one native stage by itself, part by part, as the driver would: for tests and measurements of kernels.

Every load and store is checked, but with `FNETS_CHECK_BOUNDS=0` or for who asks for the plain code, to measure it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence

import numpy as np

from fnets import config
from fnets.backends.llvm.code.text import ATTRIBUTES, Function
from fnets.backends.llvm.kernels.stage import Stage
from fnets.backends.llvm.runtime import pool
from fnets.backends.llvm.runtime.engine import Loaded, Module, object_code


def module(functions: Sequence[Function]) -> str:
    """The text of a module with these functions."""
    declarations = sorted(set().union(*[f.declarations for f in functions]))
    helpers = {k: v for f in functions for k, v in {**f.helpers, **f.tasks}.items()}
    variables = sorted({line for f in functions for line in f.globals.values()})
    texts = [f.text() for f in (*helpers.values(), *functions)]
    return "\n".join([*variables, *declarations, *texts, ATTRIBUTES, ""])


_MARGIN, _UNTOUCHED = 64, 0xA5
_CHECKED = os.environ.get("FNETS_CHECK_BOUNDS") != "0"


def aligned(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """An array of zeros whose memory begins at a multiple of 64 bytes, with a margin that `intact` checks."""
    n = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.full(n + 3 * _MARGIN, _UNTOUCHED, np.uint8)
    start = _MARGIN + -raw.ctypes.data % 64
    raw[start : start + n] = 0
    return raw[start : start + n].view(dtype).reshape(shape)


def intact(x: np.ndarray) -> bool:
    """True if nothing has been written around an array that `aligned` made."""
    raw = x.base
    assert isinstance(raw, np.ndarray)
    start = x.ctypes.data - raw.ctypes.data
    around = (raw[:start], raw[start + x.nbytes :])
    return all([(part == _UNTOUCHED).all() for part in around])


def prepare(stage: Stage, parts: int = 3, checked: bool = _CHECKED) -> Callable[..., list[np.ndarray]]:
    """A function of the operands' arrays (in the order of `stage.loaded`, contiguous) that returns those of `stage.stored`.

    The stage is cut into so many parts, as far as it can be.
    """
    stage.chunk = min(stage.extent, -(-stage.extent // (parts * stage.blocking)) * stage.blocking)
    pool.start()  # has what a module refers to
    with config.using(check_bounds=checked):
        function = stage.function("stage")
    loaded = Loaded(object_code(Module(module([function]))))
    count = len(stage.buffers)
    kernel = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (count + 1), ctypes.c_long, ctypes.c_long)(
        loaded.address("stage")
    )
    scratch = aligned((max(stage.scratch, 1),), np.dtype(np.uint8))

    def run(*arrays: np.ndarray, whole: bool = False) -> list[np.ndarray]:
        for v, a in zip(stage.loaded, arrays, strict=True):
            assert a.shape == v.aval.shape and a.dtype == v.aval.dtype and a.flags.c_contiguous, (a.shape, v.aval)
        results = [aligned(v.aval.shape, v.aval.dtype) for v in stage.stored]
        step = stage.extent if whole else stage.chunk
        for low in range(0, stage.extent, step):
            scratch[:] = 255  # what is in it is nobody's to read
            parts = [aligned(r.shape, r.dtype) if v in stage.accumulated else r for v, r in zip(stage.stored, results)]
            pointers = [a.ctypes.data for a in (*arrays, *parts)]
            kernel(*pointers, scratch.ctypes.data, low, min(low + step, stage.extent))
            pool.raise_violation()
            assert all([intact(p) for p in (*parts, scratch)]), "written outside of the results"
            for v, r, p in zip(stage.stored, results, parts):
                if v in stage.accumulated:
                    r += p
        return results

    run.loaded = loaded  # type: ignore[attr-defined]
    return run
