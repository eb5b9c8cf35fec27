"""Transformations at work: a recurrent net by scan, per-example gradients, Hessian-vector products."""

from __future__ import annotations

import numpy as np

import fnets
import fnets.numpy as fnp
from benchmarks.timing import Row, compare
from fnets import lax

rng = np.random.default_rng(0)


def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def rnn() -> list[Row]:
    """Value and gradient of a 128-unit net over 200 steps of a batch of 16."""
    import jax
    import jax.numpy as jnp

    n, steps, batch = 128, 200, 16
    w, u = normal(n, n, scale=0.05), normal(n, n, scale=0.05)
    xs, h0 = normal(steps, batch, n), np.zeros((batch, n), np.float32)

    def loss(params, xs):
        def step(h, x):
            h = fnp.tanh(h @ params[0] + x @ params[1])
            return h, None

        h, _ = lax.scan(step, h0, xs)
        return fnp.sum(h * h)

    def jax_loss(params, xs):
        def step(h, x):
            return jnp.tanh(h @ params[0] + x @ params[1]), None

        h, _ = jax.lax.scan(step, h0, xs)
        return jnp.sum(h * h)

    def by_hand(w, u, xs):
        hs = [h0]
        for x in xs:
            h = hs[-1] @ w
            h += x @ u
            np.tanh(h, out=h)
            hs.append(h)
        ct = 2 * hs[-1]
        gw, gu = np.zeros_like(w), np.zeros_like(u)
        for x, before, h in zip(xs[::-1], hs[-2::-1], hs[:0:-1]):
            ct *= 1 - h * h
            gw += before.T @ ct
            gu += x.T @ ct
            ct = ct @ w.T
        return np.sum(hs[-1] * hs[-1]), (gw, gu)

    ours = fnets.jit(fnets.value_and_grad(loss))
    theirs = jax.jit(jax.value_and_grad(jax_loss))
    jw, ju, jxs = jnp.asarray(w), jnp.asarray(u), jnp.asarray(xs)
    t = compare(
        {
            "ours": lambda: ours((w, u), xs),
            "numpy": lambda: by_hand(w, u, xs),
            "jax": lambda: jax.block_until_ready(theirs((jw, ju), jxs)),
        },
        rounds=15,
        round_seconds=0.1,
    )
    what = "RNN by scan, 128 units, 200 steps: value and gradient, jitted"
    return [Row(what, "NumPy loop by hand", t["ours"], t["numpy"], 1.3), Row(what, "jax.jit", t["ours"], t["jax"])]


def per_example() -> list[Row]:
    """Per-example gradients of a dense net and of a small convolution."""
    import jax
    import jax.numpy as jnp
    import torch

    sizes = (784, 128, 10)
    params = [(normal(a, b, scale=0.05), np.zeros(b, np.float32)) for a, b in zip(sizes, sizes[1:])]
    x, y = normal(64, 784), normal(64, 10)

    def loss_of(m):
        def loss(params, x, y):
            (w1, b1), (w2, b2) = params
            return m.sum((m.tanh(x @ w1 + b1) @ w2 + b2 - y) ** 2)

        return loss

    ours = fnets.jit(fnets.vmap(fnets.grad(loss_of(fnp)), (None, 0, 0)))
    one = fnets.jit(fnets.grad(loss_of(fnp)))
    theirs = jax.jit(jax.vmap(jax.grad(loss_of(jnp)), (None, 0, 0)))
    tp = [tuple(map(torch.tensor, pair)) for pair in params]
    tx, ty = torch.tensor(x), torch.tensor(y)
    torch_grads = torch.func.vmap(torch.func.grad(loss_of(torch)), (None, 0, 0))
    jp, jx, jy = jax.tree.map(jnp.asarray, params), jnp.asarray(x), jnp.asarray(y)
    t = compare(
        {
            "ours": lambda: ours(params, x, y),
            "loop": lambda: [one(params, a, b) for a, b in zip(x, y)],
            "jax": lambda: jax.block_until_ready(theirs(jp, jx, jy)),
            "torch": lambda: torch_grads(tp, tx, ty),
        },
        rounds=15,
        round_seconds=0.05,
    )
    what = "per-example gradients, dense 784-128-10, batch 64"
    rows = [
        Row(what, who, t["ours"], t[key])
        for who, key in (("a Python loop", "loop"), ("jax.jit", "jax"), ("torch.func", "torch"))
    ]

    w, images = normal(8, 3, 3, 3, scale=0.1), normal(32, 3, 16, 16)

    def conv_loss(w, image):
        return fnp.sum(fnp.tanh(lax.conv_general_dilated(image[None], w, (1, 1), "SAME")) ** 2)

    def jax_conv_loss(w, image):
        return jnp.sum(jnp.tanh(jax.lax.conv_general_dilated(image[None], w, (1, 1), "SAME")) ** 2)

    def torch_conv_loss(w, image):
        return torch.sum(torch.tanh(torch.nn.functional.conv2d(image[None], w, padding=1)) ** 2)

    ours = fnets.jit(fnets.vmap(fnets.grad(conv_loss), (None, 0)))
    one = fnets.jit(fnets.grad(conv_loss))
    theirs = jax.jit(jax.vmap(jax.grad(jax_conv_loss), (None, 0)))
    torch_grads = torch.func.vmap(torch.func.grad(torch_conv_loss), (None, 0))
    jw, ji, tw, ti = jnp.asarray(w), jnp.asarray(images), torch.tensor(w), torch.tensor(images)
    t = compare(
        {
            "ours": lambda: ours(w, images),
            "loop": lambda: [one(w, a) for a in images],
            "jax": lambda: jax.block_until_ready(theirs(jw, ji)),
            "torch": lambda: torch_grads(tw, ti),
        },
        rounds=15,
        round_seconds=0.05,
    )
    what = "per-example gradients, convolution 3x16x16 to 8, batch 32"
    return rows + [
        Row(what, who, t["ours"], t[key])
        for who, key in (("a Python loop", "loop"), ("jax.jit", "jax"), ("torch.func", "torch"))
    ]


def hvp() -> list[Row]:
    import jax
    import jax.numpy as jnp
    import torch

    a = normal(200, 200, scale=0.05)
    x, v = normal(200), normal(200)

    def f_of(m):
        return lambda x: m.sum(m.tanh(a_of[m] @ x) ** 2)

    a_of = {fnp: a, jnp: jnp.asarray(a), torch: torch.tensor(a)}
    ours = fnets.jit(lambda x, v: fnets.hvp(f_of(fnp), (x,), (v,)))
    theirs = jax.jit(lambda x, v: jax.jvp(jax.grad(f_of(jnp)), (x,), (v,))[1])
    jx, jv, tx, tv = jnp.asarray(x), jnp.asarray(v), torch.tensor(x), torch.tensor(v)
    t = compare(
        {
            "ours": lambda: ours(x, v),
            "eager": lambda: fnets.hvp(f_of(fnp), (x,), (v,)),
            "jax": lambda: jax.block_until_ready(theirs(jx, jv)),
            "torch": lambda: torch.func.jvp(torch.func.grad(f_of(torch)), (tx,), (tv,))[1],
        }
    )
    what = "Hessian-vector product, 200 dimensions"
    return [
        Row(what + ", jitted", "jax.jit", t["ours"], t["jax"]),
        Row(what + ", jitted", "torch.func", t["ours"], t["torch"]),
        Row(what + ", eager", "torch.func", t["eager"], t["torch"]),
    ]


def rows() -> list[Row]:
    return [*rnn(), *per_example(), *hvp()]
