"""Index arrays: embedding gradients, scatter-add with many and few repetitions, the pick of the cross-entropy, the k largest."""

from __future__ import annotations

import numpy as np

import fnets
import fnets.numpy as fnp
from benchmarks.timing import Row, compare
from fnets.primitives.sort import top_k

# rows of the table, indices, width of a row
EMBEDDINGS = [(50_000, 8192, 256), (50_000, 8192, 16), (1000, 8192, 64), (100, 8192, 256), (100_000, 64, 4096)]


def embedding(count: int, picked: int, width: int) -> list[Row]:
    """The gradient with respect to a table of which rows are read, some of them several times."""
    import jax
    import jax.numpy as jnp
    import torch

    rng = np.random.default_rng(0)
    table = rng.standard_normal((count, width), dtype=np.float32)
    indices = rng.integers(0, count, picked)
    ct = rng.standard_normal((picked, width), dtype=np.float32)

    def loss(table, indices, ct, xp):
        return xp.sum(table[indices] * ct)

    ours = fnets.jit(fnets.grad(lambda table, indices, ct: loss(table, indices, ct, fnp)))
    theirs = jax.jit(jax.grad(lambda table, indices, ct: loss(table, indices, ct, jnp)))
    ja = [jnp.asarray(a) for a in (table, indices, ct)]
    weight, ti, tc = torch.from_numpy(table).requires_grad_(), torch.from_numpy(indices), torch.from_numpy(ct)

    def torch_gradient() -> object:
        return torch.autograd.grad(torch.nn.functional.embedding(ti, weight), weight, tc)[0]

    np.testing.assert_allclose(ours(table, indices, ct), torch_gradient().numpy(), rtol=1e-4, atol=1e-4)
    t = compare(
        {
            "ours": lambda: ours(table, indices, ct),
            "torch": torch_gradient,
            "jax": lambda: theirs(*ja).block_until_ready(),
            "add.at": lambda: np.add.at(np.zeros_like(table), indices, ct),
        },
        rounds=11,
    )
    what = f"gradient of an embedding, {count} x {width}, {picked} indices"
    return [
        Row(what, "PyTorch", t["ours"], t["torch"], 1.0 if count == 50_000 and width == 256 else None),
        Row(what, "JAX", t["ours"], t["jax"], 1.0 if count == 50_000 and width == 256 else None),
        Row(what, "np.add.at", t["ours"], t["add.at"]),
    ]


def histogram() -> list[Row]:
    """Scatter-add of numbers into few places."""
    import jax
    import jax.numpy as jnp
    import torch

    rng = np.random.default_rng(0)
    i, w = rng.integers(0, 1000, 100_000), rng.standard_normal(100_000, dtype=np.float32)
    ours = fnets.jit(lambda i, w: fnp.at(np.zeros(1000, np.float32))[i].add(w))
    theirs = jax.jit(lambda i, w: jnp.zeros(1000, jnp.float32).at[i].add(w))
    ji, jw = jnp.asarray(i), jnp.asarray(w)
    ti, tw = torch.from_numpy(i), torch.from_numpy(w)
    t = compare(
        {
            "ours": lambda: ours(i, w),
            "jax": lambda: theirs(ji, jw).block_until_ready(),
            "torch": lambda: torch.zeros(1000).index_add_(0, ti, tw),
        }
    )
    what = "`at(zeros(1000))[i].add(w)`, 100,000 numbers"
    return [Row(what, "PyTorch", t["ours"], t["torch"]), Row(what, "JAX", t["ours"], t["jax"])]


def picks() -> list[Row]:
    """What a cross-entropy does: one entry of each row, forward and backward."""
    import torch

    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((64, 10), dtype=np.float32), rng.integers(0, 10, (64, 1))
    ours = fnets.grad(lambda x: fnp.sum(fnp.take_along_axis(x, labels, axis=1)))
    tx, tl = torch.from_numpy(x).requires_grad_(), torch.from_numpy(labels)
    t = compare(
        {
            "ours": lambda: ours(x),
            "torch": lambda: torch.autograd.grad(torch.gather(tx, 1, tl).sum(), tx)[0],
        }
    )
    forward = compare(
        {
            "ours": lambda: fnp.take_along_axis(x, labels, axis=1),
            "numpy": lambda: np.take_along_axis(x, labels, axis=1),
        }
    )
    return [
        Row("eager gradient of one entry of each row, 64 x 10", "PyTorch", t["ours"], t["torch"], 1.0),
        Row("eager `take_along_axis`, 64 x 10", "NumPy", forward["ours"], forward["numpy"], 1.0),
    ]


def largest() -> list[Row]:
    """The ten largest of a million."""
    import jax
    import jax.numpy as jnp
    import torch

    x = np.random.default_rng(0).standard_normal(1_000_000, dtype=np.float32)
    jx, tx = jnp.asarray(x), torch.from_numpy(x)
    theirs = jax.jit(lambda x: jax.lax.top_k(x, 10))
    t = compare(
        {
            "ours": lambda: top_k(x, 10),
            "jax": lambda: jax.block_until_ready(theirs(jx)),
            "torch": lambda: torch.topk(tx, 10),
        },
        rounds=7,
    )
    what = "the ten largest of 1,000,000"
    return [Row(what, "PyTorch", t["ours"], t["torch"]), Row(what, "JAX", t["ours"], t["jax"])]


def rows() -> list[Row]:
    out: list[Row] = []
    for sizes in EMBEDDINGS:
        out += embedding(*sizes)
    return [*out, *histogram(), *picks(), *largest()]
