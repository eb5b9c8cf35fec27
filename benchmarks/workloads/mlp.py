"""A training step of a multilayer perceptron: 784-512-512-10, batch 128, SGD."""

from __future__ import annotations

from typing import Any

from benchmarks.workloads.functional import Library, cross_entropy, training
from benchmarks.workloads.program import Draw, Program, Workload
from benchmarks.workloads.pytorch import PyTorch

SIZES = (784, 512, 512, 10)
BATCH = 128
RATE = 0.1


def data() -> Any:
    draw = Draw()
    params = [draw.linear(inputs, outputs) for inputs, outputs in zip(SIZES, SIZES[1:])]
    return params, draw.normal(BATCH, SIZES[0]), draw.labels(BATCH, SIZES[-1])


def functional(library: Library, data: Any) -> Program:
    nn = library.nn
    params, x, labels = library.arrays(data)

    def loss_fn(params: Any, x: Any, labels: Any) -> Any:
        *hidden, last = params
        for layer in hidden:
            x = nn.relu(nn.linear(layer, x))
        return cross_entropy(library, nn.linear(last, x), labels)

    return training(library, loss_fn, params, (x, labels), library.optim.sgd(RATE))


def pytorch(library: PyTorch, data: Any) -> Program:
    params, x, labels = data

    def loss_fn(params: Any, x: Any, labels: Any) -> Any:
        *hidden, last = params
        for layer in hidden:
            x = library.F.relu(library.linear(layer, x))
        return library.F.cross_entropy(library.linear(last, x), labels)

    batch = library.torch.tensor(x), library.torch.tensor(labels)
    return library.training(loss_fn, library.params(params), batch, library.sgd(RATE))


MLP = Workload(
    "MLP 784-512-512-10 training step, batch 128", data, functional, pytorch, {"torch": 1.3, "jax": 1.1}, training=True
)
