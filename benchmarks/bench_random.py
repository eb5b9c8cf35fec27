"""Random numbers: a million of several distributions and the cost of a small eager draw, against JAX and NumPy's generators."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.timing import Row, compare
from fnets import random

MILLION = 1_000_000


def _jax(call: Callable) -> Callable[[], object]:
    import jax

    key = jax.random.key(0)
    return lambda: jax.block_until_ready(call(jax.random, key))


def fast_normals() -> list[Row]:
    key = random.key(0, impl="rbg")
    philox, default = np.random.Generator(np.random.Philox(0)), np.random.default_rng(0)
    out = []
    for dtype in ("float32", "float64"):
        t = compare(
            {
                "ours": lambda dtype=dtype: random.normal(key, (MILLION,), dtype),
                "philox": lambda dtype=dtype: philox.standard_normal(MILLION, dtype=dtype),
                "default": lambda dtype=dtype: default.standard_normal(MILLION, dtype=dtype),
            }
        )
        what = f"1M {dtype} normals, rbg key"
        out.append(Row(what, "NumPy, Generator(Philox)", t["ours"], t["philox"], 1.2))
        out.append(Row(what, "NumPy, default_rng", t["ours"], t["default"], 1.2))
    return out


def millions() -> list[Row]:
    key = random.key(0)
    half, rates = np.full(MILLION, 0.5, np.float32), np.full(MILLION, 20, np.float32)
    draws: dict[str, Callable] = {
        "bits": lambda r, k: r.bits(k, (MILLION,), "uint32"),
        "float32 uniform numbers": lambda r, k: r.uniform(k, (MILLION,)),
        "float32 normals": lambda r, k: r.normal(k, (MILLION,)),
        "coin flips": lambda r, k: r.bernoulli(k, 0.3, (MILLION,)),
        "int32 below 1000": lambda r, k: r.randint(k, (MILLION,), 0, 1000, "int32"),
        "permutation": lambda r, k: r.permutation(k, MILLION),
        "gamma numbers": lambda r, k: r.gamma(k, half),
        "Poisson numbers": lambda r, k: r.poisson(k, rates),
    }
    numpy = np.random.default_rng(0)
    numpys: dict[str, Callable[[], object]] = {
        "float32 uniform numbers": lambda: numpy.random(MILLION, dtype=np.float32),
        "float32 normals": lambda: numpy.standard_normal(MILLION, dtype=np.float32),
        "int32 below 1000": lambda: numpy.integers(0, 1000, MILLION, dtype=np.int32),
        "permutation": lambda: numpy.permutation(MILLION),
        "gamma numbers": lambda: numpy.standard_gamma(half),
        "Poisson numbers": lambda: numpy.poisson(rates),
    }
    out = []
    for name, draw in draws.items():
        contenders = {"ours": lambda draw=draw: draw(random, key), "jax": _jax(draw)}
        if name in numpys:
            contenders["numpy"] = numpys[name]
        t = compare(contenders, rounds=9)
        out.append(Row(f"1M {name}", "JAX", t["ours"], t["jax"]))
        if name in numpys:
            out.append(Row(f"1M {name}", "NumPy, default_rng", t["ours"], t["numpy"]))
    return out


def small() -> list[Row]:
    key = random.key(0)
    draws: dict[str, Callable] = {
        "key(0)": lambda r, k: r.key(0),
        "split(key)": lambda r, k: r.split(k),
        "normal(key, (1,))": lambda r, k: r.normal(k, (1,)),
        "uniform(key, (1,))": lambda r, k: r.uniform(k, (1,)),
        "randint(key, (1,), 0, 10)": lambda r, k: r.randint(k, (1,), 0, 10),
        "permutation(key, 10)": lambda r, k: r.permutation(k, 10),
    }
    out = []
    for name, draw in draws.items():
        t = compare({"ours": lambda draw=draw: draw(random, key), "jax": _jax(draw)})
        out.append(Row(f"eager `{name}`", "JAX", t["ours"], t["jax"]))
    return out


def rows() -> list[Row]:
    """The table's lines."""
    return [*fast_normals(), *millions(), *small()]
