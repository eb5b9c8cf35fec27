"""Steps in float64: logistic regression by gradient descent, and gravitating bodies; finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.workloads.functional import Library, calling, repeating, training
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

# ------------------------------------------------------------------ heat along a line: explicit steps with fixed ends

POINTS, HEAT_STEPS = 1_000_000, 100


def heat_data() -> Any:
    return Draw().normal(POINTS)


def heat(library: Library, data: Any) -> Program:
    def steps(u: Any) -> Any:
        def step(_: Any, u: Any) -> Any:
            inside = u[1:-1] + 0.25 * (u[2:] - 2 * u[1:-1] + u[:-2])
            return library.np.concatenate([u[:1], inside, u[-1:]])

        return library.lax.fori_loop(0, HEAT_STEPS, step, u)

    return calling(library, steps, library.array(data))


def heat_pytorch(library: PyTorch, data: Any) -> Program:
    torch = library.torch
    u = torch.tensor(data)

    def call() -> Any:
        v = u
        for _ in range(HEAT_STEPS):
            v = torch.cat([v[:1], v[1:-1] + 0.25 * (v[2:] - 2 * v[1:-1] + v[:-2]), v[-1:]])
        return v

    return Program(call)


HEAT = Workload("heat equation, 100 steps of 1M points", heat_data, heat, heat_pytorch, {"jax": 1})

# ------------------------------------------------------------------ a plane: the gradient of a residual of finite differences

SIDE = 1000


def plane_data() -> Any:
    return Draw(dtype=np.float64).normal(SIDE, SIDE)


def _residual(u: Any) -> Any:
    laplacian = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1]
    return (laplacian * laplacian).sum()


def plane(library: Library, data: Any) -> Program:
    return calling(library, library.value_and_grad(_residual), library.array(data))


def plane_pytorch(library: PyTorch, data: Any) -> Program:
    torch = library.torch
    u = torch.tensor(data).requires_grad_()

    def call() -> Any:
        value = _residual(u)
        return value, torch.autograd.grad(value, u)[0]

    return Program(call)


PLANE = Workload(
    "Laplacian of 1000 x 1000, float64, value + gradient of its square",
    plane_data,
    plane,
    plane_pytorch,
    {},
    tolerance=1e-9,
    double=True,
)
