"""The native backend on chains of elementwise work, row reductions, sorting: against the NumPy backend, jax.jit and PyTorch, in turns in one process.

Threads are everybody's default; `FNETS_NUM_THREADS=1` gives ours with one.
"""

from __future__ import annotations

import os
import time

import numpy as np

import fnets
import fnets.numpy as fnp
from benchmarks import mnist_step
from benchmarks.timing import Row, compare
from fnets import lax, nn

rng = np.random.default_rng(0)
N = 1 << 20


def normal(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


# ------------------------------------------------------------------ gelu forward and backward


def gelu(xp, tanh, x):
    return 0.5 * x * (1.0 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))


def gelu_both(x, g):
    y, pull = fnets.vjp(lambda x: gelu(fnp, fnp.tanh, x), x)
    return y, pull(g)[0]


def gelu_contenders() -> dict:
    import jax
    import jax.numpy as jnp
    import torch

    def jax_both(x, g):
        y, pull = jax.vjp(lambda x: gelu(jnp, jnp.tanh, x), x)
        return y, pull(g)[0]

    x, g = normal(N), normal(N)
    tx, tg = torch.tensor(x, requires_grad=True), torch.tensor(g)
    jx, jg = jnp.asarray(x), jnp.asarray(g)
    jitted = jax.jit(jax_both)

    def torch_both():
        y = torch.nn.functional.gelu(tx, approximate="tanh")
        return y, torch.autograd.grad(y, tx, tg)

    return {**ours(gelu_both, x, g), "jax": lambda: jax.block_until_ready(jitted(jx, jg)), "torch": torch_both}


# ------------------------------------------------------------------ Adam


def adam(p, g, m, v, count):
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g * g
    return p - 0.001 * (m / (1 - 0.9**count)) / ((v / (1 - 0.999**count)) ** 0.5 + 1e-8), m, v


def adam_contenders() -> dict:
    import jax
    import jax.numpy as jnp
    import torch

    p, g, m, v = normal(N), normal(N), normal(N), normal(N) ** 2
    count = np.float32(7)

    def training(step, *state):
        """Feeds the new parameters and moments, whose memory may be taken, back."""
        state = [*state]

        def run():
            state[0], state[2], state[3] = step(*state, count)
            return state[0]

        return run

    jax_step = training(jax.jit(adam, donate_argnums=(0, 2, 3)), *[jnp.asarray(a) for a in (p, g, m, v)])
    t = torch.tensor(p, requires_grad=True)
    t.grad = torch.tensor(g)
    optimizer = torch.optim.Adam([t], lr=0.001, fused=True)

    def ours(backend):
        jitted = fnets.jit(adam, donate_argnums=(0, 2, 3), backend=backend)
        return training(jitted, *[a.copy() for a in (p, g, m, v)])

    return {
        "llvm": ours("llvm"),
        "numpy": ours("numpy"),
        "jax": lambda: jax.block_until_ready(jax_step()),
        "torch": optimizer.step,
    }


# ------------------------------------------------------------------ layer norm


def layer_norm(mean, rsqrt, x, scale, offset):
    centred = x - mean(x, -1, keepdims=True)
    variance = mean(centred * centred, -1, keepdims=True)
    return centred * rsqrt(variance + 1e-5) * scale + offset


def norm_contenders() -> dict:
    import jax
    import jax.numpy as jnp
    import torch

    x, s, o = normal(1024, 1024), normal(1024), normal(1024)
    jitted = jax.jit(lambda *a: layer_norm(jnp.mean, jax.lax.rsqrt, *a))
    j = [jnp.asarray(a) for a in (x, s, o)]
    t = [torch.tensor(a) for a in (x, s, o)]
    return {
        **ours(lambda *a: layer_norm(fnp.mean, lax.rsqrt, *a), x, s, o),
        "jax": lambda: jax.block_until_ready(jitted(*j)),
        "torch": lambda: torch.nn.functional.layer_norm(t[0], (1024,), t[1], t[2]),
    }


# ------------------------------------------------------------------ softmax cross-entropy with its gradient


def cross_entropy(x, labels):
    return fnp.mean(nn.softmax_cross_entropy(x, labels))


def loss_contenders() -> dict:
    import jax
    import jax.numpy as jnp
    import torch

    x = normal(512, 1000)
    labels = np.eye(1000, dtype=np.float32)[rng.integers(0, 1000, 512)]
    jitted = jax.jit(jax.value_and_grad(lambda x, labels: -jnp.mean(jnp.sum(labels * jax.nn.log_softmax(x), -1))))
    j = [jnp.asarray(a) for a in (x, labels)]
    tx, tl = torch.tensor(x, requires_grad=True), torch.tensor(labels)

    def torch_both():
        loss = torch.nn.functional.cross_entropy(tx, tl)
        return loss, torch.autograd.grad(loss, tx)

    return {
        **ours(fnets.value_and_grad(cross_entropy), x, labels),
        "jax": lambda: jax.block_until_ready(jitted(*j)),
        "torch": torch_both,
    }


# ------------------------------------------------------------------ sorting, selecting, searching


def largest_contenders() -> dict:
    import jax
    import jax.numpy as jnp
    import torch

    x = normal(1000, 1000)
    jitted, j, t = jax.jit(lambda x: jax.lax.top_k(x, 10)), jnp.asarray(x), torch.tensor(x)
    return {
        **ours(lambda x: lax.top_k(x, 10), x),
        "jax": lambda: jax.block_until_ready(jitted(j)),
        "torch": lambda: torch.topk(t, 10),
    }


def order_contenders() -> dict:
    import jax
    import jax.numpy as jnp
    import torch

    x = normal(1000, 100)
    jitted, j, t = jax.jit(jnp.argsort), jnp.asarray(x), torch.tensor(x)
    return {
        **ours(fnp.argsort, x),
        "jax": lambda: jax.block_until_ready(jitted(j)),
        "torch": lambda: torch.argsort(t, stable=True),
    }


def search_contenders() -> dict:
    import jax
    import jax.numpy as jnp
    import torch

    a, v = np.sort(normal(10_000)), normal(100_000)
    jitted, j, t = jax.jit(jnp.searchsorted), [jnp.asarray(x) for x in (a, v)], [torch.tensor(x) for x in (a, v)]
    return {
        **ours(fnp.searchsorted, a, v),
        "jax": lambda: jax.block_until_ready(jitted(*j)),
        "torch": lambda: torch.searchsorted(*t),
    }


# ------------------------------------------------------------------ the tutorial's step


def step_contenders() -> dict:
    m = mnist_step
    jitted, *state = m.jax_step()
    return {
        "llvm": m.Training(fnets.jit(m.step, backend="llvm"), m.parameters(), m.X, m.Y),
        "numpy": m.Training(fnets.jit(m.step, backend="numpy"), m.parameters(), m.X, m.Y),
        "jax": m.Training(jitted, *state),
        "torch": m.torch_step(),
    }


def ours(f, *args) -> dict:
    native, plain = fnets.jit(f, backend="llvm"), fnets.jit(f, backend="numpy")
    return {"llvm": lambda: native(*args), "numpy": lambda: plain(*args)}


def first_step(backend: str) -> float:
    """Seconds from nothing to the tutorial step's result; natively the code may come from the cache."""
    jitted = fnets.jit(lambda *a: mnist_step.step(*a), backend=backend)
    start = time.perf_counter()
    jitted(mnist_step.parameters(), mnist_step.X, mnist_step.Y)
    return time.perf_counter() - start


WORKLOADS = {
    "gelu forward + backward, 1M float32": (gelu_contenders, 0.5, 0.2),
    "Adam update of 1M parameters": (adam_contenders, None, None),
    "layer norm, 1024 x 1024": (norm_contenders, None, None),
    "softmax cross-entropy and gradient, 512 x 1000": (loss_contenders, None, None),
    "10 largest of each of 1000 rows of 1000": (largest_contenders, None, None),
    "order of each of 1000 rows of 100": (order_contenders, None, None),
    "places of 100000 values among 10000": (search_contenders, None, None),
    "MNIST CNN training step, batch 64": (step_contenders, None, None),
}


def rows() -> list[Row]:
    out = []
    for what, (contenders, jax_goal, torch_goal) in WORKLOADS.items():
        t = compare(contenders(), rounds=21, round_seconds=0.03)
        out.append(Row(what, "NumPy backend", t["llvm"], t["numpy"]))
        out.append(Row(what, "jax.jit", t["llvm"], t["jax"], jax_goal))
        out.append(Row(what, "PyTorch", t["llvm"], t["torch"], torch_goal))
    os.environ["FNETS_CACHE"] = "0"
    out.append(
        Row("trace, compilation and first step of that", "NumPy backend", first_step("llvm"), first_step("numpy"))
    )
    del os.environ["FNETS_CACHE"]
    return out
