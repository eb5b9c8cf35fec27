"""Training steps on sequences with Adam: an LSTM, and a transformer's encoder."""

from __future__ import annotations

from typing import Any

from benchmarks.workloads.functional import Library, cross_entropy, training
from benchmarks.workloads.program import Draw, Program, Workload
from benchmarks.workloads.pytorch import PyTorch

CLASSES = 10
RATE = 1e-3
GOALS = {"torch": 1.0, "jax": 1.0}

# ------------------------------------------------------------------ LSTM: the last state is classified

UNITS, STEPS, LSTM_BATCH = 128, 64, 32


def lstm_data() -> Any:
    draw = Draw()
    params = {
        "input": draw.linear(UNITS, 4 * UNITS),  # the gates: input, forget, cell, output
        "hidden": {"w": draw.linear(UNITS, 4 * UNITS)["w"]},
        "last": draw.linear(UNITS, CLASSES),
    }
    return params, draw.normal(STEPS, LSTM_BATCH, UNITS), draw.labels(LSTM_BATCH, CLASSES)


def lstm(library: Library, data: Any) -> Program:
    np, nn = library.np, library.nn
    params, x, labels = library.arrays(data)

    def loss_fn(params: Any, x: Any, labels: Any) -> Any:
        def cell(carry: Any, projected: Any) -> Any:
            h, c = carry
            i, f, g, o = np.split(projected + h @ params["hidden"]["w"], 4, axis=-1)
            c = nn.sigmoid(f) * c + nn.sigmoid(i) * np.tanh(g)
            h = nn.sigmoid(o) * np.tanh(c)
            return (h, c), None

        zeros = np.zeros((x.shape[1], UNITS), x.dtype)
        (h, _), _ = library.lax.scan(cell, (zeros, zeros), nn.linear(params["input"], x))
        return cross_entropy(library, nn.linear(params["last"], h), labels)

    return training(library, loss_fn, params, (x, labels), library.optim.adam(RATE))


def lstm_pytorch(library: PyTorch, data: Any) -> Program:
    torch = library.torch
    params, x, labels = data
    module = torch.nn.LSTM(UNITS, UNITS)
    with torch.no_grad():
        module.weight_ih_l0.copy_(torch.tensor(params["input"]["w"].T))
        module.weight_hh_l0.copy_(torch.tensor(params["hidden"]["w"].T))
        module.bias_ih_l0.copy_(torch.tensor(params["input"]["b"]))
        module.bias_hh_l0.zero_()
    module.bias_hh_l0.requires_grad_(False)  # one bias is enough
    last = library.params(params["last"])

    def loss_fn(params: Any, x: Any, labels: Any) -> Any:
        _, (h, _) = module(x)
        return library.F.cross_entropy(library.linear(last, h[0]), labels)

    learning = [p for p in module.parameters() if p.requires_grad] + [last]
    return library.training(loss_fn, learning, (torch.tensor(x), torch.tensor(labels)), library.adam(RATE))


LSTM = Workload(
    "LSTM 128 units, 64 steps, training step, batch 32", lstm_data, lstm, lstm_pytorch, GOALS, training=True
)

# ------------------------------------------------------------------ the transformer's encoder, normalising first; the mean is classified

WIDTH, HEADS, TOKENS, BATCH, HIDDEN, LAYERS = 128, 4, 64, 16, 512, 2


def transformer_data() -> Any:
    draw = Draw()
    layers = [
        {
            "norms": [draw.norm(WIDTH), draw.norm(WIDTH)],
            "qkv": draw.linear(WIDTH, 3 * WIDTH),
            "out": draw.linear(WIDTH, WIDTH),
            "mlp": [draw.linear(WIDTH, HIDDEN), draw.linear(HIDDEN, WIDTH)],
        }
        for _ in range(LAYERS)
    ]
    params = {"layers": layers, "norm": draw.norm(WIDTH), "last": draw.linear(WIDTH, CLASSES)}
    return params, draw.normal(BATCH, TOKENS, WIDTH), draw.labels(BATCH, CLASSES)


def transformer(library: Library, data: Any) -> Program:
    np, nn = library.np, library.nn
    params, x, labels = library.arrays(data)

    def attention(layer: Any, x: Any) -> Any:
        batch, tokens, width = x.shape
        q, k, v = np.split(nn.linear(layer["qkv"], x), 3, axis=-1)
        q, k, v = (a.reshape(batch, tokens, HEADS, width // HEADS) for a in (q, k, v))
        return nn.linear(layer["out"], nn.dot_product_attention(q, k, v).reshape(x.shape))

    def loss_fn(params: Any, x: Any, labels: Any) -> Any:
        for layer in params["layers"]:
            x = x + attention(layer, nn.layer_norm(layer["norms"][0], x))
            h = nn.gelu(nn.linear(layer["mlp"][0], nn.layer_norm(layer["norms"][1], x)))
            x = x + nn.linear(layer["mlp"][1], h)
        x = nn.layer_norm(params["norm"], x).mean(1)
        return cross_entropy(library, nn.linear(params["last"], x), labels)

    return training(library, loss_fn, params, (x, labels), library.optim.adam(RATE))


def transformer_pytorch(library: PyTorch, data: Any) -> Program:
    torch, F = library.torch, library.F
    params, x, labels = data

    def norm(p: Any, x: Any) -> Any:
        return F.layer_norm(x, (WIDTH,), p["scale"], p["bias"])

    def attention(layer: Any, x: Any) -> Any:
        batch, tokens, width = x.shape
        q, k, v = library.linear(layer["qkv"], x).chunk(3, -1)
        q, k, v = (a.reshape(batch, tokens, HEADS, width // HEADS).transpose(1, 2) for a in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        return library.linear(layer["out"], y)

    def loss_fn(params: Any, x: Any, labels: Any) -> Any:
        for layer in params["layers"]:
            x = x + attention(layer, norm(layer["norms"][0], x))
            h = F.gelu(library.linear(layer["mlp"][0], norm(layer["norms"][1], x)), approximate="tanh")
            x = x + library.linear(layer["mlp"][1], h)
        return F.cross_entropy(library.linear(params["last"], norm(params["norm"], x).mean(1)), labels)

    batch = torch.tensor(x), torch.tensor(labels)
    return library.training(loss_fn, library.params(params), batch, library.adam(RATE))


TRANSFORMER = Workload(
    "transformer encoder, 2 layers, training step, batch 16",
    transformer_data,
    transformer,
    transformer_pytorch,
    GOALS,
    training=True,
)
