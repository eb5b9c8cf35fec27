"""Training steps of convolutional networks: the tutorial's, one for CIFAR, and a ResNet with batch normalisation."""

from __future__ import annotations

from collections.abc import Callable
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

# ------------------------------------------------------------------ ResNet-8 (He et al., 2016) with batch normalisation, Adam

STAGES = ((16, 16, 1), (16, 32, 2), (32, 64, 2))  # channels in and out, stride of a block


def resnet_data() -> Any:
    draw = Draw()

    def conv_and_norm(window: int, inputs: int, outputs: int) -> dict:
        return {"conv": {"w": draw.conv(window, inputs, outputs)["w"]}, "norm": draw.norm(outputs)}

    blocks = []
    for inputs, outputs, stride in STAGES:
        block = {"first": conv_and_norm(3, inputs, outputs), "second": conv_and_norm(3, outputs, outputs)}
        if stride > 1:
            block["shortcut"] = conv_and_norm(1, inputs, outputs)
        blocks.append(block)
    params = {"stem": conv_and_norm(3, 3, 16), "blocks": blocks, "last": draw.linear(64, 10)}
    return params, draw.normal(BATCH, 32, 32, 3), draw.labels(BATCH, 10)


def resnet_layers(params: Any, apply: Callable, relu: Callable, x: Any) -> Any:
    """The network up to its last images; `apply(name, params, x, stride)` is a convolution with its normalisation."""
    x = relu(apply("stem", params["stem"], x, 1))
    for i, (block, (_, _, stride)) in enumerate(zip(params["blocks"], STAGES)):
        h = relu(apply(f"{i} first", block["first"], x, stride))
        h = apply(f"{i} second", block["second"], h, 1)
        x = relu(h + (apply(f"{i} shortcut", block["shortcut"], x, stride) if stride > 1 else x))
    return x


def running_statistics(params: Any, zeros: Callable, ones: Callable) -> dict[str, Any]:
    """The normalisations' state, by the names that `resnet_layers` gives them."""
    state: dict[str, Any] = {}

    def add(name: str, layer: Any, x: Any, stride: int) -> float:
        features = len(layer["norm"]["scale"])
        state[name] = {"mean": zeros(features), "var": ones(features)}
        return 0.0

    resnet_layers(params, add, lambda x: x, 0.0)
    return state


def resnet(library: Library, data: Any) -> Program:
    nn, images = library.nn, library.images
    params, x, labels = data

    def loss_fn(params: Any, state: Any, x: Any, labels: Any) -> Any:
        moved = {}

        def apply(name: str, layer: Any, x: Any, stride: int) -> Any:
            x = images.conv2d(layer["conv"], x, stride, padding=layer["conv"]["w"].shape[library.space[0]] // 2)
            x, moved[name] = images.batch_norm(layer["norm"], state[name], x, train=True)
            return x

        h = resnet_layers(params, apply, nn.relu, x).mean(library.space)
        return cross_entropy(library, nn.linear(params["last"], h), labels), moved

    batch = library.image(x), library.array(labels)
    state = running_statistics(params, library.np.zeros, library.np.ones)
    return training(library, loss_fn, library.params(params), batch, library.optim.adam(1e-3), state)


def resnet_pytorch(library: PyTorch, data: Any) -> Program:
    F = library.F
    params, x, labels = data
    state = running_statistics(params, library.torch.zeros, library.torch.ones)

    def apply(name: str, layer: Any, x: Any, stride: int) -> Any:
        w, norm, running = layer["conv"]["w"], layer["norm"], state[name]
        x = F.conv2d(x, w, stride=stride, padding=w.shape[-1] // 2)
        return F.batch_norm(x, running["mean"], running["var"], norm["scale"], norm["bias"], training=True)

    def loss_fn(params: Any, x: Any, labels: Any) -> Any:
        h = resnet_layers(params, apply, F.relu, x).mean((2, 3))
        return F.cross_entropy(library.linear(params["last"], h), labels)

    batch = library.image(x), library.torch.tensor(labels)
    return library.training(loss_fn, library.params(params), batch, library.adam(1e-3))


RESNET = Workload(
    "CIFAR ResNet-8 training step, batch 64",
    resnet_data,
    resnet,
    resnet_pytorch,
    {"torch": 1, "jax": 1},
    training=True,
)
