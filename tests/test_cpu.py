"""The names about devices, segments, dtypes: what scripts written for JAX call."""

from __future__ import annotations

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import dtypes, ops

IDS = np.array([0, 2, 2, -1, 5, 0, 9])
DATA = np.random.default_rng(0).standard_normal((7, 3))


def test_one_device():
    assert fnets.devices() == fnets.local_devices() == fnets.devices("cpu")
    assert fnets.device_count() == fnets.local_device_count() == fnets.process_count() == 1
    assert fnets.default_backend() == fnets.devices()[0].platform == "cpu"
    with pytest.raises(ValueError, match="cpu"):
        fnets.devices("gpu")
    with fnets.default_device(fnets.devices()[0]), fnets.default_matmul_precision("float32"):
        assert fnets.jit(lambda x: x + 1)(1.0) == 2.0


def test_device_put_and_get():
    tree = {"a": 1.5, "b": np.arange(3)}
    put = fnets.device_put(tree, fnets.devices()[0])
    assert put["a"].dtype == np.float32 and put["b"] is tree["b"]
    assert fnets.device_put(tree, may_alias=False)["b"] is not tree["b"]
    assert fnets.device_get(put)["b"] is tree["b"]
    assert fnets.grad(lambda x: fnets.device_put(x) ** 2)(3.0) == 6.0
    with pytest.raises(TypeError, match="ordinary array"):
        fnets.jit(fnets.device_get)(1.0)
    assert fnets.block_until_ready(put) is put


def test_array_type():
    seen = []
    fnets.grad(lambda x: seen.append(isinstance(x, fnets.Array)) or x)(1.0)
    assert seen == [True]
    assert issubclass(np.ndarray, fnets.Array) and not isinstance([1.0], fnets.Array)
    assert fnets.typing.Array is fnets.Array
    assert fnets.typeof(np.ones((2, 3))).str_short() == "f64[2,3]"


def _by_loop(combine, start):
    out = np.full((6, 3), start)
    for i, row in zip(IDS, DATA):
        if 0 <= i < 6:
            out[i] = combine(out[i], row)
    return out


@pytest.mark.parametrize(
    "f,combine,start",
    [
        (ops.segment_sum, np.add, 0.0),
        (ops.segment_prod, np.multiply, 1.0),
        (ops.segment_max, np.maximum, -np.inf),
        (ops.segment_min, np.minimum, np.inf),
    ],
    ids=["sum", "prod", "max", "min"],
)
def test_segments(f, combine, start):
    expected = _by_loop(combine, start)
    np.testing.assert_allclose(f(DATA, IDS, 6), expected)
    np.testing.assert_allclose(f(DATA, IDS, 6, bucket_size=3), expected)
    np.testing.assert_allclose(fnets.jit(f, static_argnums=2)(DATA, IDS, 6), expected)
    np.testing.assert_allclose(fnets.vmap(lambda d: f(d, IDS, 6))(np.stack([DATA, DATA]))[1], expected)
    assert f(DATA, IDS).shape == (10, 3)
    ints = f(np.array([3, 4], np.int8), np.array([1, 1]), 3)
    assert ints.dtype == np.int8
    with pytest.raises(ValueError, match="segment_ids"):
        f(DATA, IDS[:3])
    with pytest.raises(IndexError):
        f(DATA, IDS, 6, mode="promise_in_bounds")


def test_segment_gradient():
    g = fnets.grad(lambda d: fnp.sum(ops.segment_sum(d, IDS, 6) * np.arange(6.0)[:, None]))(DATA)
    np.testing.assert_allclose(g[:, 0], np.where((IDS >= 0) & (IDS < 6), IDS, 0))


def test_dtypes():
    assert dtypes.canonicalize_dtype("float64") == np.float64
    assert dtypes.itemsize_bits(np.int16) == 16
    assert dtypes.scalar_type_of(np.float16(1)) is float and dtypes.scalar_type_of(True) is bool
    assert dtypes.result_type(np.int32, np.float32) == np.float64
    assert dtypes.issubdtype(np.float32, np.floating)
    with pytest.raises(AttributeError):
        dtypes.float0  # noqa: B018


def test_named_call():
    jaxpr = fnets.make_jaxpr(fnets.named_call(lambda x: fnp.sin(x), name="wave"))(1.0)
    assert "[wave]" in jaxpr.pretty_print(source_info=True)
    assert fnets.grad(fnets.named_call(fnp.sin))(0.0) == 1.0


def test_fwd_and_bwd():
    runs = []

    def f(p, x):
        runs.append(1)
        return fnp.sum(p["w"] * x**2), {"n": x}

    fwd, bwd = fnets.fwd_and_bwd(f, argnums=(0, 1), has_aux=True)
    for k in range(3):
        x = np.array([1.0, 2.0]) + k
        value, residuals, aux = fwd({"w": 3.0}, x)
        dp, dx = bwd(residuals, 2.0)
        assert value == np.sum(3 * x**2) and aux["n"] is not None
        np.testing.assert_allclose(dx, 12 * x)
        np.testing.assert_allclose(dp["w"], 2 * np.sum(x**2))
    assert len(runs) == 1  # both halves are compiled once
    fwd, bwd = fnets.fwd_and_bwd(lambda x: x * x, argnums=-1, jitted=False)
    assert bwd(fwd(3.0)[1], 1.0) == 6.0


def test_clear_caches_and_checks():
    f = fnets.jit(lambda x: x + 1)
    f(1.0)
    assert f.cache_info().currsize == 1
    fnets.clear_caches()
    assert f.cache_info().currsize == 0
    with fnets.enable_checks():
        assert f(1.0) == 2.0
