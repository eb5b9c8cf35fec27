"""Overheads: one eager operation, an eager gradient, a jitted gradient, the import."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

import numpy as np

import fnets
import fnets.numpy as fnp
from benchmarks.timing import Row, compare


def add() -> list[Row]:
    x = np.arange(10.0)
    t = compare({"ours": lambda: fnp.add(x, x), "numpy": lambda: np.add(x, x)}, rounds=31)
    return [Row("eager `fnp.add`, 10 elements", "NumPy", t["ours"], t["numpy"], 0.5, difference=True)]


def gradients() -> list[Row]:
    import autograd
    import autograd.numpy as anp
    import jax
    import jax.numpy as jnp
    import torch

    x = np.arange(10.0, dtype=np.float32)
    tx = torch.arange(10.0, requires_grad=True)
    jx = jnp.arange(10.0)
    ours = fnets.grad(lambda x: fnp.sum(fnp.sin(x) * x))
    plain = fnets.grad(lambda x: np.sum(np.sin(x) * x))
    theirs = autograd.grad(lambda x: anp.sum(anp.sin(x) * x))
    jax_eager = jax.grad(lambda x: jnp.sum(jnp.sin(x) * x))

    def torch_grad() -> object:
        return torch.autograd.grad((torch.sin(tx) * tx).sum(), tx)[0]

    t = compare(
        {
            "ours": lambda: ours(x),
            "plain": lambda: plain(x),
            "autograd": lambda: theirs(x),
            "torch": torch_grad,
            "jax": lambda: jax_eager(jx).block_until_ready(),
        },
        rounds=31,
    )
    rows = [
        Row("eager `grad(sum(sin(x) * x))`, 10 elements", "autograd", t["ours"], t["autograd"], 0.5),
        Row("eager `grad(sum(sin(x) * x))`, 10 elements", "PyTorch", t["ours"], t["torch"], 0.6),
        Row("eager `grad(sum(sin(x) * x))`, 10 elements", "JAX eager", t["ours"], t["jax"]),
        Row("the same with `np.sin`, `np.sum`", "autograd", t["plain"], t["autograd"]),
    ]
    jitted, jax_jitted = fnets.jit(ours), jax.jit(jax_eager)
    t = compare({"ours": lambda: jitted(x), "jax": lambda: jax_jitted(jx).block_until_ready()}, rounds=31)
    rows.append(Row("call of `jit(grad)` of it", "JAX", t["ours"], t["jax"], 1.0))

    def chain(sin):
        def f(x):
            for _ in range(1000):
                x = sin(x)
            return x

        return f

    one = np.float64(1.0)
    g, a = fnets.grad(chain(fnp.sin)), autograd.grad(chain(anp.sin))
    t = compare({"ours": lambda: g(one), "autograd": lambda: a(one)}, rounds=15)
    rows.append(Row("eager `grad` of a chain of 1000 scalar operations", "autograd", t["ours"], t["autograd"]))
    return rows


def imports() -> list[Row]:
    def run(code: str) -> float:
        # compiled modules are kept, as on a user's machine
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        program = f"import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"
        return float(
            subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env).stdout
        )

    ours, numpy = [], []
    for _ in range(9):
        numpy.append(run("import numpy"))
        ours.append(run("import numpy, fnets"))
    return [
        Row(
            "`import fnets`", "import numpy", statistics.median(ours), statistics.median(numpy), 40_000, difference=True
        )
    ]


def rows() -> list[Row]:
    return [*add(), *gradients(), *imports()]
