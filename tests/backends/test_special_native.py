"""Special functions of the native backend: golden values of mpmath, and the NumPy kernels at arguments of all sizes and at the limits."""

from __future__ import annotations

import numpy as np
import pytest
from golden.golden_io import load

import fnets.scipy.special as scs
from fnets import lax
from fnets.backends.llvm.schedule import regions
from fnets.primitives import special
from tests.backends.test_llvm_math import native

pytest.importorskip("llvmlite")

rng = np.random.default_rng(0)
_, GOLDEN = load("special_kernels")
UNARY = {
    "erf": lax.erf,
    "erfc": lax.erfc,
    "erf_inv": lax.erf_inv,
    "ndtr": scs.ndtr,
    "log_ndtr": scs.log_ndtr,
    "ndtri": scs.ndtri,
    "lgamma": lax.lgamma,
    "digamma": lax.digamma,
}
CROSS_ZERO = ("lgamma", "digamma")  # at arguments that are not floats: there absolutely close


@pytest.fixture(autouse=True)
def everything_native(monkeypatch):
    monkeypatch.setenv("FNETS_CACHE", "0")
    monkeypatch.setattr(regions, "is_worthwhile", lambda eqns: True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", UNARY)
def test_golden(name, dtype):
    x, expected = GOLDEN[f"{name}_arg0"].astype(dtype), GOLDEN[f"{name}_value"]
    info = np.finfo(dtype)
    inside = (np.abs(expected) < info.max) & ((np.abs(expected) > info.tiny) | (expected == 0))
    rtol = 6e-6 if (name, dtype) == ("erf_inv", np.float32) else 5 * info.eps  # which is JAX's formula
    got = native(UNARY[name], x)
    assert got.dtype == dtype and inside.sum() > 20
    np.testing.assert_allclose(
        got[inside].astype(float), expected[inside], rtol=rtol, atol=4 * info.eps * (name in CROSS_ZERO)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", UNARY)
def test_like_the_numpy_kernel(name, dtype):
    info = np.finfo(dtype)
    sizes = np.exp(rng.uniform(np.log(info.smallest_subnormal), np.log(info.max), 20_000))
    values = [
        0,
        1,
        2,
        3,
        0.5,
        2.5,
        0.425,
        170,
        1e10,
        np.inf,
        np.nan,
        info.tiny,
        info.max,
        1 - info.epsneg,
        1 + info.eps,
    ]
    x = np.concatenate(
        [values, sizes, rng.uniform(0, 1, 20_000), 1 - rng.uniform(0, 1e-3, 5000), rng.uniform(0, 40, 20_000)]
    )
    x = np.concatenate([x, -x]).astype(dtype)
    got, want = native(UNARY[name], x), getattr(special, name)(x)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(np.isfinite(got), np.isfinite(want))
    np.testing.assert_array_equal(got[~np.isfinite(got)], want[~np.isfinite(got)])
    zeros = (got == 0) & (want == 0)
    np.testing.assert_array_equal(np.signbit(got[zeros]), np.signbit(want[zeros]))
    finite = np.isfinite(got)
    # next to its poles a function of x - round(x) takes what is near 0 from what is large
    tolerance = {"lgamma": 20, "digamma": 60}.get(name, 5) * info.eps
    np.testing.assert_allclose(
        got[finite], want[finite], rtol=tolerance, atol=tolerance * (name in CROSS_ZERO) or info.tiny * 1e-6
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["xlogy", "xlog1py"])
def test_products_with_logarithms(name, dtype):
    f, log = getattr(scs, name), {"xlogy": np.log, "xlog1py": np.log1p}[name]
    values = np.array([0.0, -0.0, 1.0, -1.0, 2.0, 0.3, -2.0, np.inf, -np.inf, np.nan, 1e-30, 1e30], dtype)
    x, y = (m.ravel() for m in np.meshgrid(values, values))
    x, y = np.append(x, rng.normal(size=10_000)).astype(dtype), np.append(y, rng.exponential(2, 10_000)).astype(dtype)
    got = native(f, x, y)
    assert got.dtype == dtype
    with np.errstate(all="ignore"):
        want = np.where((x == 0) & ~np.isnan(y), 0, x * log(y.astype(np.longdouble)))
    np.testing.assert_allclose(got, want.astype(dtype), rtol=4 * np.finfo(dtype).eps)


def test_integers_and_mixed_operands():
    x = np.arange(1, 40, dtype=np.int32)
    np.testing.assert_allclose(native(lax.lgamma, x), special.lgamma(x), rtol=1e-14, atol=1e-15)
    got = native(scs.xlogy, x, x.astype(np.float32))
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, x * np.log(x), rtol=1e-14)
    got = native(lambda x: scs.xlogy(2.0, x), x.astype(np.float32))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, 2 * np.log(x), rtol=1e-6)
