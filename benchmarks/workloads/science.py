"""Steps in float64: logistic regression by gradient descent, and gravitating bodies."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.workloads.functional import Library, repeating, training
from benchmarks.workloads.program import Draw, Program, Workload
from benchmarks.workloads.pytorch import PyTorch

# ------------------------------------------------------------------ logistic regression

EXAMPLES, FEATURES = 10_000, 100
RATE = 0.1


def logistic_data() -> Any:
    draw = Draw(dtype=np.float64)
    params = {"w": draw.normal(FEATURES, scale=0.1), "b": draw.normal(1)}
    return params, draw.normal(EXAMPLES, FEATURES), draw.labels(EXAMPLES, 2).astype(np.float64)


def logistic(library: Library, data: Any) -> Program:
    params, x, labels = library.arrays(data)

    def loss_fn(params: Any, x: Any, labels: Any) -> Any:
        return library.optim.sigmoid_binary_cross_entropy(x @ params["w"] + params["b"], labels).mean()

    return training(library, loss_fn, params, (x, labels), library.optim.sgd(RATE))


def logistic_pytorch(library: PyTorch, data: Any) -> Program:
    params, x, labels = data

    def loss_fn(params: Any, x: Any, labels: Any) -> Any:
        return library.F.binary_cross_entropy_with_logits(x @ params["w"] + params["b"], labels)

    batch = library.torch.tensor(x), library.torch.tensor(labels)
    return library.training(loss_fn, library.params(params), batch, library.sgd(RATE))


LOGISTIC = Workload(
    "logistic regression step, float64, 10000 x 100",
    logistic_data,
    logistic,
    logistic_pytorch,
    {},
    tolerance=1e-9,
    double=True,
)

# ------------------------------------------------------------------ gravitating bodies: leapfrog, the force is the potential's gradient

BODIES = 256
STEP, SOFTENING = 1e-3, 1e-2


def bodies_data() -> Any:
    draw = Draw(dtype=np.float64)
    return (draw.normal(BODIES, 3), draw.normal(BODIES, 3)), np.abs(draw.normal(BODIES)) + 0.1


def bodies(library: Library, data: Any) -> Program:
    np = library.np
    state, masses = library.arrays(data)

    def potential(positions: Any, masses: Any) -> Any:
        between = positions[:, None] - positions
        distance = np.sqrt((between * between).sum(-1) + SOFTENING)
        return -0.5 * (masses[:, None] * masses / distance).sum()

    def step(state: Any, masses: Any) -> Any:
        positions, velocities = state
        positions = positions + 0.5 * STEP * velocities
        energy, slope = library.value_and_grad(potential)(positions, masses)
        velocities = velocities - STEP * slope / masses[:, None]
        return (positions + 0.5 * STEP * velocities, velocities), energy

    return repeating(library, step, state, masses)


def bodies_pytorch(library: PyTorch, data: Any) -> Program:
    torch = library.torch
    (positions, velocities), masses = data
    positions, velocities, masses = torch.tensor(positions), torch.tensor(velocities), torch.tensor(masses)

    def potential(positions: Any, masses: Any) -> Any:
        between = positions[:, None] - positions
        distance = ((between * between).sum(-1) + SOFTENING).sqrt()
        return -0.5 * (masses[:, None] * masses / distance).sum()

    def call() -> Any:
        positions.add_(velocities, alpha=0.5 * STEP)
        at = positions.detach().requires_grad_()
        energy = potential(at, masses)
        (slope,) = torch.autograd.grad(energy, at)
        velocities.sub_(slope / masses[:, None], alpha=STEP)
        positions.add_(velocities, alpha=0.5 * STEP)
        return energy.detach()

    return Program(call)


N_BODY = Workload(
    "N-body step, float64, 256 bodies", bodies_data, bodies, bodies_pytorch, {}, tolerance=1e-9, double=True
)
