"""Optimizer steps on the tutorial's eight parameter arrays: optax under `jax.jit`, and PyTorch's optimizers. `python -m benchmarks bench_optim`."""

from __future__ import annotations

from typing import Any

import numpy as np

import fnets
from benchmarks.timing import Row, compare
from fnets import optim

SHAPES = [(1, 1, 3, 3), (1,), (169, 100), (100,), (100, 100), (100,), (100, 10), (10,)]


def arrays(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(np.float32) for shape in SHAPES]


def step_of(module: Any, tx: Any) -> Any:
    def step(params: Any, state: Any, grads: Any) -> tuple:
        updates, state = tx.update(grads, state, params)
        return module.apply_updates(params, updates), state

    return step


def optimizers(module: Any) -> dict[str, Any]:
    return {
        "sgd": module.sgd(0.1),
        "sgd with momentum": module.sgd(0.1, momentum=0.9),
        "adam": module.adam(1e-3),
        "adamw after clipping": module.chain(module.clip_by_global_norm(1.0), module.adamw(1e-3)),
    }


def against_optax() -> list[Row]:
    import jax
    import optax

    params, grads = arrays(0), arrays(1)
    jax_params, jax_grads = jax.tree.map(jax.numpy.asarray, (params, grads))
    theirs = optimizers(optax)
    rows = []
    for name, tx in optimizers(optim).items():
        run, jax_run = fnets.jit(step_of(optim, tx)), jax.jit(step_of(optax, theirs[name]))
        state, jax_state = run(params, tx.init(params), grads)[1], theirs[name].init(jax_params)
        times = compare(
            {
                "fnets": lambda run=run, state=state: run(params, state, grads),
                "optax": lambda run=jax_run, state=jax_state: jax.block_until_ready(run(jax_params, state, jax_grads)),
            }
        )
        rows.append(Row(f"jitted {name} step, 8 arrays", "optax in jax.jit", times["fnets"], times["optax"]))
    return rows


def against_torch() -> list[Row]:
    import torch

    torch.set_num_threads(1)
    params, grads = arrays(0), arrays(1)
    made = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
        "sgd with momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        "adam": lambda p: torch.optim.Adam(p, lr=1e-3),
    }
    rows = []
    for name, make in made.items():
        tensors = [torch.nn.Parameter(torch.from_numpy(p.copy())) for p in params]
        for t, g in zip(tensors, grads):
            t.grad = torch.from_numpy(g)
        optimizer = make(tensors)
        tx = optimizers(optim)[name]
        run = fnets.jit(step_of(optim, tx))
        state = run(params, tx.init(params), grads)[1]
        times = compare({"fnets": lambda run=run, state=state: run(params, state, grads), "torch": optimizer.step})
        rows.append(Row(f"jitted {name} step, 8 arrays", "PyTorch, in place", times["fnets"], times["torch"]))
    return rows


def rows() -> list[Row]:
    """All rows of this benchmark."""
    return against_optax() + against_torch()
