"""Work without products: gelu, layer normalisation and softmax cross-entropy with their gradients, and an update of Adam."""

from __future__ import annotations

from typing import Any

from benchmarks.workloads.functional import Library, calling, cross_entropy, repeating
from benchmarks.workloads.program import Draw, Program, Workload
from benchmarks.workloads.pytorch import PyTorch

N = 1 << 20

# ------------------------------------------------------------------ gelu (its approximation by tanh)


def gelu_data() -> Any:
    draw = Draw()
    return draw.normal(N), draw.normal(N)


def gelu(library: Library, data: Any) -> Program:
    def both(x: Any, ct: Any) -> Any:
        y, pull = library.vjp(library.nn.gelu, x)
        return y, pull(ct)[0]

    return calling(library, both, *library.arrays(data))


def gelu_pytorch(library: PyTorch, data: Any) -> Program:
    torch, F = library.torch, library.F
    x, ct = torch.tensor(data[0]).requires_grad_(), torch.tensor(data[1])

    def call() -> Any:
        y = F.gelu(x, approximate="tanh")
        return y, torch.autograd.grad(y, x, ct)[0]

    return Program(call)


GELU = Workload("gelu of 1M float32, forward + gradient", gelu_data, gelu, gelu_pytorch, {"torch": 5, "jax": 2})

# ------------------------------------------------------------------ layer normalisation

ROWS, FEATURES = 1024, 1024


def norm_data() -> Any:
    draw = Draw()
    return draw.norm(FEATURES), draw.normal(ROWS, FEATURES), draw.normal(ROWS, FEATURES)


def norm(library: Library, data: Any) -> Program:
    def both(params: Any, x: Any, ct: Any) -> Any:
        y, pull = library.vjp(library.nn.layer_norm, params, x)
        params_ct, x_ct = pull(ct)
        return y, params_ct["scale"], params_ct["bias"], x_ct

    return calling(library, both, *library.arrays(data))


def norm_pytorch(library: PyTorch, data: Any) -> Program:
    torch, F = library.torch, library.F
    params, x, ct = library.params(data[0]), torch.tensor(data[1]).requires_grad_(), torch.tensor(data[2])

    def call() -> Any:
        y = F.layer_norm(x, (FEATURES,), params["scale"], params["bias"])
        return y, *torch.autograd.grad(y, (params["scale"], params["bias"], x), ct)

    return Program(call)


LAYER_NORM = Workload("layer norm of 1024 x 1024, forward + gradient", norm_data, norm, norm_pytorch, {})

# ------------------------------------------------------------------ softmax cross-entropy

EXAMPLES, CLASSES = 4096, 1000


def loss_data() -> Any:
    draw = Draw()
    return draw.normal(EXAMPLES, CLASSES), draw.labels(EXAMPLES, CLASSES)


def loss(library: Library, data: Any) -> Program:
    both = library.value_and_grad(lambda x, labels: cross_entropy(library, x, labels))
    return calling(library, both, *library.arrays(data))


def loss_pytorch(library: PyTorch, data: Any) -> Program:
    torch = library.torch
    x, labels = torch.tensor(data[0]).requires_grad_(), torch.tensor(data[1])

    def call() -> Any:
        value = library.F.cross_entropy(x, labels)
        return value, torch.autograd.grad(value, x)[0]

    return Program(call)


CROSS_ENTROPY = Workload("softmax cross-entropy of 4096 x 1000, value + gradient", loss_data, loss, loss_pytorch, {})

# ------------------------------------------------------------------ Adam

RATE = 1e-3


def adam_data() -> Any:
    draw = Draw()
    return draw.normal(N), draw.normal(N)


def adam(library: Library, data: Any) -> Program:
    params, grads = library.arrays(data)
    optimizer = library.optim.adam(RATE)

    def step(carried: Any, grads: Any) -> Any:
        params, moments = carried
        updates, moments = optimizer.update(grads, moments, params)
        params = library.optim.apply_updates(params, updates)
        return (params, moments), params[:10]

    return repeating(library, step, (params, optimizer.init(params)), grads)


def adam_pytorch(library: PyTorch, data: Any) -> Program:
    torch = library.torch
    params = torch.tensor(data[0]).requires_grad_()
    params.grad = torch.tensor(data[1])
    optimizer = library.adam(RATE)([params])

    def call() -> Any:
        optimizer.step()
        return params[:10]

    return Program(call)


ADAM = Workload("Adam update of 1M parameters", adam_data, adam, adam_pytorch, {})
