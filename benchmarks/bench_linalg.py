"""Small linear algebra: batches of matrices, single ones, a Kalman filter and a Gaussian process with their gradients. Double precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fnets
import fnets.numpy as fnp
import fnets.scipy.linalg as fsl
from benchmarks.timing import Row, compare
from fnets import lax


def _rows(what: str, f: Callable, peer: Callable, *args: np.ndarray, goal: float | None = None) -> list[Row]:
    """`f` natively and in NumPy, `peer` by jax.jit."""
    import jax

    with jax.enable_x64(True):
        native, plain, theirs = fnets.jit(f, backend="llvm"), fnets.jit(f, backend="numpy"), jax.jit(peer)
        operands = [jax.numpy.asarray(a) for a in args]
        np.testing.assert_allclose(native(*args), theirs(*operands), rtol=1e-6, atol=1e-6)
        t = compare(
            {
                "ours": lambda: native(*args),
                "numpy": lambda: plain(*args),
                "jax": lambda: theirs(*operands).block_until_ready(),
            }
        )
    return [Row(what, "JAX", t["ours"], t["jax"], goal), Row(what, "NumPy", t["ours"], t["numpy"], goal)]


def matrices() -> list[Row]:
    """Cholesky factors and solutions."""
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    out: list[Row] = []
    for shape in ((500, 8, 8), (16, 16), (64, 64), (200, 200)):
        a, b = rng.standard_normal((2, *shape))
        definite = a @ a.swapaxes(-1, -2) + shape[-1] * np.eye(shape[-1])
        size = " x ".join(map(str, shape))
        out += _rows(f"cholesky, {size}", fnp.linalg.cholesky, jnp.linalg.cholesky, definite, goal=1.0)
        out += _rows(f"solve, {size}", fnp.linalg.solve, jnp.linalg.solve, definite, b, goal=1.0)
        out += _rows(
            f"triangular_solve, {size}",
            lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True, lower=True),
            lambda a, b: jax.lax.linalg.triangular_solve(a, b, left_side=True, lower=True),
            definite,
            b,
            goal=1.0,
        )
    return out


def _filter(xp: Any, scan: Callable) -> Callable:
    move, noise = np.array([[1.0, 0.1], [0.0, 1.0]]), 0.1 * np.eye(2)

    def loss(q: Any, ys: Any) -> Any:
        def step(carry: Any, y: Any) -> Any:
            x, p = carry
            x, p = move @ x, move @ p @ move.T + q * np.eye(2)
            s, r = p + noise, y - x
            gain = xp.linalg.solve(s, p).T
            change = r @ xp.linalg.solve(s, r) + xp.linalg.slogdet(s)[1]
            return (x + gain @ r, p - gain @ p), change

        return xp.sum(scan(step, (np.zeros(2), np.eye(2)), ys)[1])

    return loss


def _process(xp: Any, cho_solve: Callable) -> Callable:
    def likelihood(p: Any, x: Any, y: Any) -> Any:
        k = p[0] ** 2 * xp.exp(-((x - x.T) ** 2) / (2 * p[1] ** 2)) + p[2] ** 2 * np.eye(len(y))
        factor = xp.linalg.cholesky(k)
        return -0.5 * y @ cho_solve((factor, True), y) - xp.log(xp.diag(factor)).sum()

    return likelihood


def models() -> list[Row]:
    """What runs small matrices in loops and gradients."""
    import jax
    import jax.numpy as jnp
    import jax.scipy.linalg as jsl

    rng = np.random.default_rng(0)
    ys = rng.standard_normal((200, 2))
    ours, theirs = _filter(fnp, lax.scan), _filter(jnp, jax.lax.scan)
    out = _rows("Kalman filter, 200 steps", ours, theirs, np.array(0.5), ys, goal=0.5)
    out += _rows("its gradient", fnets.grad(ours), jax.grad(theirs), np.array(0.5), ys, goal=0.5)
    x = np.sort(rng.standard_normal((50, 1)), axis=0)
    p, y = np.array([1.0, 0.5, 0.3]), np.sin(3 * x[:, 0])
    ours, theirs = _process(fnp, fsl.cho_solve), _process(jnp, jsl.cho_solve)
    out += _rows("Gaussian process, 50 points", ours, theirs, p, x, y, goal=1.0)
    return [*out, *_rows("its gradient", fnets.grad(ours), jax.grad(theirs), p, x, y, goal=1.0)]


def rows() -> list[Row]:
    return [*matrices(), *models()]
