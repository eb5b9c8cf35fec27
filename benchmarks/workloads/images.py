"""Training steps of convolutional networks: the tutorial's, one for CIFAR, and a ResNet with batch normalisation."""

from __future__ import annotations

from typing import Any

from benchmarks.workloads.functional import Library, cross_entropy, training
from benchmarks.workloads.program import Draw, Program, Workload, rows_channels_first
from benchmarks.workloads.pytorch import PyTorch

BATCH = 64

# ------------------------------------------------------------------ the tutorial: conv1-pool-100-100-10 on 28 x 28, SGD


def tutorial_data() -> Any:
    draw = Draw()
    params = {
        "conv": draw.conv(3, 1, 1),
        "dense": [draw.linear(*sizes) for sizes in ((169, 100), (100, 100), (100, 10))],
    }
    return params, draw.normal(BATCH, 28, 28, 1), draw.labels(BATCH, 10)


def tutorial(library: Library, data: Any) -> Program:
    nn, images = library.nn, library.images
    params, x, labels = data

    def loss_fn(params: Any, x: Any, labels: Any) -> Any:
        h = images.max_pool(images.conv2d(params["conv"], x), 2).reshape(len(x), -1)
        *hidden, last = params["dense"]
        for layer in hidden:
            h = nn.relu(nn.linear(layer, h))
        return cross_entropy(library, nn.linear(last, h), labels)

    batch = library.image(x), library.array(labels)
    return training(library, loss_fn, library.params(params), batch, library.optim.sgd(0.1))


def tutorial_pytorch(library: PyTorch, data: Any) -> Program:
    F = library.F
    params, x, labels = data

    def loss_fn(params: Any, x: Any, labels: Any) -> Any:
        h = F.max_pool2d(F.conv2d(x, params["conv"]["w"], params["conv"]["b"]), 2).flatten(1)
        *hidden, last = params["dense"]
        for layer in hidden:
            h = F.relu(library.linear(layer, h))
        return F.cross_entropy(library.linear(last, h), labels)

    batch = library.image(x), library.torch.tensor(labels)
    return library.training(loss_fn, library.params(params), batch, library.sgd(0.1))


TUTORIAL = Workload(
    "tutorial's training step, batch 64",
    tutorial_data,
    tutorial,
    tutorial_pytorch,
    {"torch": 8, "jax": 16},
    training=True,
)

# ------------------------------------------------------------------ CIFAR: conv32-32-pool-64-64-pool-256-10, SGD

SPACE = (8, 8)  # of the last pool's images


def cifar_data() -> Any:
    draw = Draw()
    params = {
        "conv": [draw.conv(3, *channels) for channels in ((3, 32), (32, 32), (32, 64), (64, 64))],
        "dense": [draw.linear(*sizes) for sizes in ((64 * SPACE[0] * SPACE[1], 256), (256, 10))],
    }
    return params, draw.normal(BATCH, 32, 32, 3), draw.labels(BATCH, 10)


def cifar(library: Library, data: Any) -> Program:
    nn, images = library.nn, library.images
    params, x, labels = data
    first, last = params["dense"]
    params = {**params, "dense": [{**first, "w": library.flat_rows(first["w"], SPACE)}, last]}

    def loss_fn(params: Any, x: Any, labels: Any) -> Any:
        for i, layer in enumerate(params["conv"]):
            x = nn.relu(images.conv2d(layer, x, padding=1))
            if i % 2:
                x = images.max_pool(x, 2)
        first, last = params["dense"]
        h = nn.relu(nn.linear(first, x.reshape(len(x), -1)))
        return cross_entropy(library, nn.linear(last, h), labels)

    batch = library.image(x), library.array(labels)
    return training(library, loss_fn, library.params(params), batch, library.optim.sgd(0.01))


def cifar_pytorch(library: PyTorch, data: Any) -> Program:
    F = library.F
    params, x, labels = data
    first, last = params["dense"]
    params = {**params, "dense": [{**first, "w": rows_channels_first(first["w"], SPACE)}, last]}

    def loss_fn(params: Any, x: Any, labels: Any) -> Any:
        for i, layer in enumerate(params["conv"]):
            x = F.relu(F.conv2d(x, layer["w"], layer["b"], padding=1))
            if i % 2:
                x = F.max_pool2d(x, 2)
        first, last = params["dense"]
        h = F.relu(library.linear(first, x.flatten(1)))
        return F.cross_entropy(library.linear(last, h), labels)

    batch = library.image(x), library.torch.tensor(labels)
    return library.training(loss_fn, library.params(params), batch, library.sgd(0.01))


CIFAR = Workload(
    "CIFAR CNN training step, batch 64",
    cifar_data,
    cifar,
    cifar_pytorch,
    {"torch": 1.8, "jax": 4},
    {"torch": 1},
    training=True,
)
