"""The setting `promotion`: operands that widen a float result are told, at the user's line; NumPy's promotion stays as it is."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import grad, jit, vmap
from fnets.errors import DTypeError, PromotionWarning

F, I, D = np.ones(3, np.float32), np.arange(3), np.ones(3)
WIDENING = {
    "integers": (fnp.add, F, I),
    "float64": (fnp.multiply, F, D),
    "a NumPy scalar": (fnp.add, F, np.float64(2)),
    "complex": (fnp.add, F, D + 1j),
    "where": (fnp.where, F > 0, F, D),
    "concatenate": (lambda a, b: fnp.concatenate([a, b]), F, D),
    "matmul": (fnp.matmul, F, D),
    "traced": (jit(lambda a, b: a * b), F, D),
    "differentiated": (grad(lambda a: fnp.sum(a * D)), F),
    "mapped": (vmap(lambda a, b: a - b), F, D),
}
KEPT = {
    "Python scalars": (jit(lambda a: a * 2.0 + 1), F),
    "single precision complex": (fnp.add, F, (F + 1j).astype(np.complex64)),
    "indices": (fnp.take, F, I),
    "a condition": (fnp.where, F > 0, F, 2 * F),
    "integers alone": (fnp.add, I, I.astype(np.int32)),
    "a conversion": (lambda a: fnp.add(a.astype(np.float64), D), F),
    "a network's functions": (grad(lambda a: fnp.sum(fnets.nn.softmax(a) * fnp.std(fnp.tanh(a)))), F),
}


@pytest.mark.parametrize("call", WIDENING.values(), ids=WIDENING)
def test_strict_raises_where_a_result_widens(call):
    with fnets.config.using(promotion="strict"), pytest.raises(DTypeError, match="float32.*promotion is 'strict'"):
        call[0](*call[1:])


@pytest.mark.parametrize("call", KEPT.values(), ids=KEPT)
def test_strict_is_silent_where_none_does(call):
    expected = call[0](*call[1:])
    with fnets.config.using(promotion="strict"):
        got = call[0](*call[1:])
    np.testing.assert_array_equal(got, expected)


def test_warn_names_the_line_and_goes_on():
    with warnings.catch_warnings(record=True) as told, fnets.config.using(promotion="warn"):
        warnings.simplefilter("default")
        for _ in range(3):
            out = fnp.add(F, I)
    assert out.dtype == np.float64 and told[0].filename == __file__ and told[0].category is PromotionWarning
    assert "Convert the int64 operand with x.astype('float32')" in str(told[0].message)


def test_afterwards_nothing_is_asked():
    before = fnp.add(F, I)
    own = {name: p.impl for name, p in fnets.core.primitive.registry.items()}
    with fnets.config.using(promotion="strict", debug_nans=True), fnets.config.using(debug_infs=True):
        assert fnets.core.checked.checking == 3
    assert fnets.core.checked.checking == 0
    assert {name: p.impl for name, p in fnets.core.primitive.registry.items() if name in own} == own
    np.testing.assert_array_equal(fnp.add(F, I), before)


@pytest.mark.parametrize(
    ("variable", "value", "error"), [("PROMOTION", "strict", "DTypeError"), ("DEBUG_NANS", "1", "NonFiniteError")]
)
def test_the_environment_turns_checks_on(variable, value, error):
    code = "import numpy as np, fnets.numpy as fnp; fnp.log(fnp.multiply(np.float32([-1]), np.ones(1)))"
    ran = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {f"FNETS_{variable}": value}, capture_output=True, text=True
    )
    assert ran.returncode == 1 and f"fnets.errors.{error}" in ran.stderr
