"""Vectors of lanes: what loads and stores touch."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from fnets.backends.llvm.code.text import Function, Lanes
from fnets.backends.llvm.runtime.engine import Loaded, Module, object_code
from tests.backends.stage_runner import module

pytest.importorskip("llvmlite")


@pytest.mark.parametrize("from_, to, how", [("i4", "u1", "trunc"), ("i8", "i2", "trunc"), ("u1", "i4", "zext")])
@pytest.mark.parametrize("lanes, count", [(2, 1), (8, 1), (16, 1), (16, 3), (8, 8)])
def test_masked_rest(from_: str, to: str, how: str, lanes: int, count: int):
    f = Function("kernel", ["ptr %a", "ptr %b"])
    v = Lanes(f, lanes).first(count)
    v.store(v.cast(how, v.load("%a", np.dtype(from_)), np.dtype(from_), np.dtype(to)), "%b", np.dtype(to))
    f.do("ret void")
    loaded = Loaded(object_code(Module(module([f]))))
    a, b = np.arange(1, 33, dtype=from_), np.full(32, 99, to)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(loaded.address("kernel"))(a.ctypes.data, b.ctypes.data)
    np.testing.assert_array_equal(b[:count], a[:count])
    assert (b[count:] == 99).all()
