"""The tutorial's training step (batch 64, SGD 0.1): hand-written NumPy, PyTorch and JAX against fnets; and the time to trace and compile it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

import numpy as np

import fnets
import fnets.numpy as fnp
from benchmarks.timing import Row, compare
from fnets import lax, nn

rng = np.random.default_rng(0)


def parameters() -> dict:
    def normal(*shape: int, scale: float) -> np.ndarray:
        return (rng.standard_normal(shape) * scale).astype(np.float32)

    return {
        "cw": normal(1, 1, 3, 3, scale=0.3),
        "cb": np.zeros(1, np.float32),
        "w1": normal(169, 100, scale=0.1),
        "b1": np.zeros(100, np.float32),
        "w2": normal(100, 100, scale=0.1),
        "b2": np.zeros(100, np.float32),
        "w3": normal(100, 10, scale=0.1),
        "b3": np.zeros(10, np.float32),
    }


X = rng.standard_normal((64, 1, 28, 28)).astype(np.float32)
Y = rng.integers(0, 10, 64)


def loss_fn(p, x, y):
    h = lax.conv_general_dilated(x, p["cw"], (1, 1), "VALID") + p["cb"].reshape(1, 1, 1, 1)
    h = nn.max_pool(h, (2, 2), (2, 2)).reshape(64, 169)
    h = nn.relu(h @ p["w1"] + p["b1"])
    h = nn.relu(h @ p["w2"] + p["b2"])
    logits = h @ p["w3"] + p["b3"]
    return fnp.mean(nn.softmax_cross_entropy_with_integer_labels(logits, y))


def step(p, x, y):
    loss, g = fnets.value_and_grad(loss_fn)(p, x, y)
    return fnets.tree.map(lambda p, g: p - 0.1 * g, p, g), loss


def numpy_step(p, x, y):
    """The step written by hand: the convolution as nine shifted products, the pool by comparing strided halves."""
    n = len(x)
    xx, w = x[:, 0], p["cw"][0, 0]
    o = xx[:, 0:26, 0:26] * w[0, 0]
    for i in range(3):
        for j in range(3):
            if i or j:
                o += xx[:, i : i + 26, j : j + 26] * w[i, j]
    o += p["cb"]
    o4 = o.reshape(n, 13, 2, 13, 2)
    a = np.maximum(o4[:, :, 0], o4[:, :, 1])
    pooled = np.maximum(a[..., 0], a[..., 1])
    h0 = pooled.reshape(n, 169)
    z1 = h0 @ p["w1"]
    z1 += p["b1"]
    h1 = np.maximum(z1, 0)
    z2 = h1 @ p["w2"]
    z2 += p["b2"]
    h2 = np.maximum(z2, 0)
    z3 = h2 @ p["w3"]
    z3 += p["b3"]
    m = z3.max(1, keepdims=True)
    e = np.exp(z3 - m)
    s = e.sum(1, keepdims=True)
    r = np.arange(n)
    loss = -(z3[r, y] - m[:, 0] - np.log(s[:, 0])).mean()
    d3 = e / s
    d3[r, y] -= 1
    d3 /= n
    g = {"w3": h2.T @ d3, "b3": d3.sum(0)}
    d2 = d3 @ p["w3"].T
    d2 *= z2 > 0
    g |= {"w2": h1.T @ d2, "b2": d2.sum(0)}
    d1 = d2 @ p["w2"].T
    d1 *= z1 > 0
    g |= {"w1": h0.T @ d1, "b1": d1.sum(0)}
    d0 = (d1 @ p["w1"].T).reshape(n, 13, 1, 13, 1)
    do = ((o4 == pooled[:, :, None, :, None]) * d0).reshape(n, 26, 26)
    g["cb"] = do.sum()
    g["cw"] = np.empty((1, 1, 3, 3), np.float32)
    for i in range(3):
        for j in range(3):
            g["cw"][0, 0, i, j] = np.vdot(xx[:, i : i + 26, j : j + 26], do)
    return {k: p[k] - np.float32(0.1) * g[k] for k in p}, loss


def torch_step():
    import torch
    import torch.nn.functional as F

    # PyTorch stores linear weights as (out, in)
    p = {k: torch.tensor(v.T if k in ("w1", "w2", "w3") else v, requires_grad=True) for k, v in parameters().items()}
    optimizer = torch.optim.SGD(p.values(), lr=0.1)
    x, y = torch.tensor(X), torch.tensor(Y)

    def run():
        optimizer.zero_grad()
        h = F.max_pool2d(F.conv2d(x, p["cw"], p["cb"]), 2).reshape(64, 169)
        h = F.relu(F.linear(h, p["w1"], p["b1"]))
        h = F.relu(F.linear(h, p["w2"], p["b2"]))
        loss = F.cross_entropy(F.linear(h, p["w3"], p["b3"]), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return run


def jax_step():
    import jax
    import jax.numpy as jnp

    def loss_fn(p, x, y):
        h = jax.lax.conv_general_dilated(x, p["cw"], (1, 1), "VALID") + p["cb"].reshape(1, 1, 1, 1)
        h = jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID").reshape(64, 169)
        h = jax.nn.relu(h @ p["w1"] + p["b1"])
        h = jax.nn.relu(h @ p["w2"] + p["b2"])
        logp = jax.nn.log_softmax(h @ p["w3"] + p["b3"])
        return -jnp.mean(jnp.take_along_axis(logp, y[:, None], 1))

    def step(p, x, y):
        loss, g = jax.value_and_grad(loss_fn)(p, x, y)
        return jax.tree.map(lambda p, g: p - 0.1 * g, p, g), loss

    return jax.jit(step), jax.tree.map(jnp.asarray, parameters()), jnp.asarray(X), jnp.asarray(Y)


class Training:
    """A step that feeds its own result back."""

    def __init__(self, step, p, *batch):
        self.step, self.p, self.batch = step, p, batch

    def __call__(self):
        self.p, loss = self.step(self.p, *self.batch)
        return float(loss)


def first_step(backend: str) -> float:
    """Seconds to trace, compile and run it once."""
    jitted, p = fnets.jit(step, backend=backend), parameters()
    start = time.perf_counter()
    jitted(p, X, Y)
    return time.perf_counter() - start


def first_in_a_process(backend: str, cache: str) -> float:
    """The same in a fresh process, which keeps object code in this directory. What is imported is not timed, as it is not for JAX."""
    program = "import fnets.backends.llvm.program, llvmlite.binding; from benchmarks.mnist_step import first_step; "
    program += f"print(first_step({backend!r}))"
    environment = os.environ | {"FNETS_CACHE_DIR": cache}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    return float(done.stdout)


def rows() -> list[Row]:
    import jax

    jitted = fnets.jit(step)
    with tempfile.TemporaryDirectory() as cache:
        first_numpy, first_native, first_cached = [first_in_a_process(b, cache) for b in ("numpy", "llvm", "llvm")]
    jax_jitted, jp, jx, jy = jax_step()
    start = time.perf_counter()
    jax.block_until_ready(jax_jitted(jp, jx, jy))
    first_jax = time.perf_counter() - start
    t = compare(
        {
            "ours": Training(jitted, parameters(), X, Y),
            "eager": Training(step, parameters(), X, Y),
            "numpy": Training(numpy_step, parameters(), X, Y),
            "torch": torch_step(),
            "jax": Training(jax_jitted, jp, jx, jy),
        },
        rounds=31,
        round_seconds=0.03,
    )
    what = "MNIST CNN training step, batch 64"
    return [
        Row(what, "hand-written NumPy", t["ours"], t["numpy"], 1.15),
        Row(what, "PyTorch", t["ours"], t["torch"], 0.8),
        Row(what, "jax.jit", t["ours"], t["jax"], 0.4),
        Row("the same, not jitted", "PyTorch", t["eager"], t["torch"]),
        Row("its trace, compilation and first step, NumPy backend", "jax.jit", first_numpy, first_jax, 0.1),
        Row("the same, native, for the first time ever", "jax.jit", first_native, first_jax),
        Row("the same, native, with its code on disk", "jax.jit", first_cached, first_jax, 0.1),
    ]
