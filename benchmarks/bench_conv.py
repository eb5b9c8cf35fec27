"""Convolution and pooling against PyTorch and JAX on the same machine, interleaved call by call: `python benchmarks/bench_conv.py`.

Every contender runs once in turn until the time is up, so that other work on the machine meets all alike; the table holds medians.
Needs the `bench` extra; without JAX or PyTorch their columns stay empty. `--seconds` is the time per shape, `--only` filters rows.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fnets.primitives import conv, pool

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    torch = None
try:
    import jax
    from jax import lax
except ImportError:
    jax = None

# N, C, H, K, R, stride
SHAPES = [
    (64, 3, 32, 32, 3, 1),
    (64, 32, 32, 32, 3, 1),
    (64, 32, 16, 64, 3, 1),
    (64, 64, 16, 64, 3, 1),
    (64, 128, 8, 128, 3, 1),
    (16, 64, 56, 64, 3, 1),
    (64, 64, 16, 128, 1, 1),
    (64, 32, 32, 64, 3, 2),
]
Contenders = dict[str, dict[str, Callable[[], Any]]]


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def conv_contenders(n: int, c: int, h: int, k: int, r: int, stride: int) -> Contenders:
    """{"fnets": {"forward": ..., "backward": ...}, ...}; backward gives both gradients."""
    pad = r // 2
    x, w = normal(n, c, h, h), normal(k, c, r, r)
    given = {
        "window_strides": (stride, stride),
        "padding": ((pad, pad), (pad, pad)),
        "lhs_dilation": (1, 1),
        "rhs_dilation": (1, 1),
        "feature_group_count": 1,
        "batch_group_count": 1,
    }
    y = conv.conv_of(x, w, given)
    ct = normal(*y.shape)
    out: Contenders = {
        "fnets": {
            "forward": lambda: conv.conv_of(x, w, given),
            "backward": lambda: (conv.input_grad_of(ct, w, x.shape, given), conv.weight_grad_of(x, ct, w.shape, given)),
        }
    }
    if torch is not None:
        tx, tw, tc = (torch.from_numpy(a) for a in (x, w, ct))
        sizes = ([stride] * 2, [pad] * 2, [1, 1], False, [0, 0], 1)

        def torch_backward() -> Any:
            return torch.ops.aten.convolution_backward(tc, tx, tw, None, *sizes, [True, True, False])

        out["torch"] = {"forward": lambda: F.conv2d(tx, tw, None, stride, pad), "backward": torch_backward}
    if jax is not None:
        jx, jw, jc = (jax.numpy.asarray(a) for a in (x, w, ct))

        def apply(x: Any, w: Any) -> Any:
            return lax.conv_general_dilated(x, w, (stride, stride), ((pad, pad), (pad, pad)))

        forward, backward = jax.jit(apply), jax.jit(lambda x, w, ct: jax.vjp(apply, x, w)[1](ct))
        out["jax"] = {
            "forward": lambda: forward(jx, jw).block_until_ready(),
            "backward": lambda: jax.block_until_ready(backward(jx, jw, jc)),
        }
    return out


def pool_contenders(n: int, c: int, h: int, window: int, stride: int) -> Contenders:
    """Max pooling: forward, and the gradient including its forward pass."""
    x = normal(n, c, h, h)
    dims, strides, pads = (1, 1, window, window), (1, 1, stride, stride), ((0, 0),) * 4
    given = {"window_dimensions": dims, "window_strides": strides, "padding": pads, "window_dilation": (1,) * 4}
    y = pool.reduce_window_max_p.bind(x, **given)
    ct = normal(*y.shape)

    def backward() -> Any:
        _, pull = pool.reduce_window_max_p.vjp((0,), x, **given)
        return pull(ct)

    out: Contenders = {"fnets": {"forward": lambda: pool.reduce_window_max_p.bind(x, **given), "backward": backward}}
    if torch is not None:
        tx, tc = torch.from_numpy(x), torch.from_numpy(ct)

        def torch_backward() -> Any:
            _, index = torch.ops.aten.max_pool2d_with_indices(tx, [window] * 2, [stride] * 2)
            return torch.ops.aten.max_pool2d_with_indices_backward(
                tc, tx, [window] * 2, [stride] * 2, [0, 0], [1, 1], False, index
            )

        out["torch"] = {"forward": lambda: F.max_pool2d(tx, window, stride), "backward": torch_backward}
    if jax is not None:
        jx, jc = jax.numpy.asarray(x), jax.numpy.asarray(ct)

        def apply(x: Any) -> Any:
            return lax.reduce_window(x, -np.inf, lax.max, dims, strides, "VALID")

        forward, backward_ = jax.jit(apply), jax.jit(lambda x, ct: jax.vjp(apply, x)[1](ct))
        out["jax"] = {
            "forward": lambda: forward(jx).block_until_ready(),
            "backward": lambda: jax.block_until_ready(backward_(jx, jc)),
        }
    return out


def medians(contenders: Contenders, seconds: float) -> dict[tuple[str, str], float]:
    """Median milliseconds by (contender, pass), all interleaved."""
    calls = [(name, direction, f) for name, passes in contenders.items() for direction, f in passes.items()]
    times: dict[tuple[str, str], list[float]] = {(name, direction): [] for name, direction, _ in calls}
    for _, _, f in calls:
        f()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[calls[0][:2]]) < 5:
        for name, direction, f in calls:
            start = time.perf_counter()
            f()
            times[name, direction].append(time.perf_counter() - start)
    return {key: statistics.median(values) * 1e3 for key, values in times.items()}


def row(title: str, contenders: Contenders, seconds: float) -> dict[str, float]:
    """Measure, print and return the ratios (a contender's time / ours, so above 1 we are faster)."""
    ms = medians(contenders, seconds)
    ratios: dict[str, float] = {}
    cells = []
    for direction in ("forward", "backward"):
        ours = ms["fnets", direction]
        cells.append(f"{ours:8.2f}")
        for name in ("torch", "jax"):
            if name in contenders:
                ratios[f"{name} {direction}"] = ms[name, direction] / ours
            cells.append(f"{ratios[f'{name} {direction}']:6.2f}" if name in contenders else "     -")
    for name in ("torch", "jax"):
        if name in contenders:
            ratios[f"{name} both"] = (ms[name, "forward"] + ms[name, "backward"]) / (
                ms["fnets", "forward"] + ms["fnets", "backward"]
            )
        cells.append(f"{ratios[f'{name} both']:6.2f}" if name in contenders else "     -")
    print(f"{title:34}" + " ".join(cells), flush=True)
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    heads = ("fwd ms", "/torch", "/jax", "bwd ms", "/torch", "/jax", "both/t", "both/j")
    print(f"{'median; ratio = their time / ours':34}" + " ".join(f"{h:>{8 if 'ms' in h else 6}}" for h in heads))
    rows = []
    for shape in SHAPES:
        title = "conv N,C,H,K,R,s " + ",".join(map(str, shape))
        if args.only in title:
            rows.append(row(title, conv_contenders(*shape), args.seconds))
    if rows:
        middle = {key: statistics.median(r[key] for r in rows) for key in rows[0]}
        print("median over shapes: " + ", ".join(f"{key} {value:.2f}" for key, value in middle.items()))
    for shape in ((64, 1, 26, 2, 2), (64, 32, 32, 2, 2), (64, 32, 32, 3, 2)):
        title = "max pool N,C,H,window,s " + ",".join(map(str, shape))
        if args.only in title:
            row(title, pool_contenders(*shape), args.seconds / 2)


if __name__ == "__main__":
    main()
