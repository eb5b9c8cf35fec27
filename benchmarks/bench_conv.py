"""Convolution and pooling against PyTorch (its default threads), `jax.jit` and hand-written NumPy, the passes of all contenders in turns.

`python benchmarks/bench_conv.py` prints the medians, and the ratios as their time / ours: above 1 fnets is faster. Needs the extra `bench`.
`--rounds` is the number of turns, `--only` picks lines by a part of their name. Backward means both gradients.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

if not __package__:  # run as a script
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from benchmarks.timing import Row, compare
from benchmarks.workloads.conv import SHAPES
from fnets.primitives import conv, pool

# N, C, H, window, stride
POOLS = [(64, 1, 26, 2, 2), (64, 32, 32, 2, 2), (64, 32, 32, 3, 2)]
Contenders = dict[str, Callable[[], Any]]  # "who pass" -> call


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def conv_contenders(n: int, c: int, h: int, k: int, r: int, stride: int) -> Contenders:
    import jax
    import torch

    pad = r // 2
    pads, strides = ((pad, pad), (pad, pad)), (stride, stride)
    x, w = normal(n, c, h, h), normal(k, c, r, r)
    given = {"window_strides": strides, "padding": pads, "lhs_dilation": (1, 1), "rhs_dilation": (1, 1)}
    given |= {"feature_group_count": 1, "batch_group_count": 1}
    ct = normal(*conv.conv_of(x, w, given).shape)

    tx, tw, tc = (torch.from_numpy(a) for a in (x, w, ct))
    torch_sizes = ([stride] * 2, [pad] * 2, [1, 1], False, [0, 0], 1, [True, True, False])

    def apply(x: Any, w: Any) -> Any:
        return jax.lax.conv_general_dilated(x, w, strides, pads)

    jx, jw, jc = (jax.numpy.asarray(a) for a in (x, w, ct))
    forward, backward = jax.jit(apply), jax.jit(lambda x, w, ct: jax.vjp(apply, x, w)[1](ct))
    return {
        "fnets forward": lambda: conv.conv_of(x, w, given),
        "fnets backward": lambda: (
            conv.input_grad_of(ct, w, x.shape, given),
            conv.weight_grad_of(x, ct, w.shape, given),
        ),
        "torch forward": lambda: torch.nn.functional.conv2d(tx, tw, None, stride, pad),
        "torch backward": lambda: torch.ops.aten.convolution_backward(tc, tx, tw, None, *torch_sizes),
        "jax forward": lambda: forward(jx, jw).block_until_ready(),
        "jax backward": lambda: jax.block_until_ready(backward(jx, jw, jc)),
    }


def pool_contenders(n: int, c: int, h: int, window: int, stride: int) -> Contenders:
    """Max pooling; "backward" is a training step's part: the maximum with its places, and the gradient."""
    import jax
    import torch

    x = normal(n, c, h, h)
    dims, strides = (1, 1, window, window), (1, 1, stride, stride)
    given = {"window_dimensions": dims, "window_strides": strides, "padding": ((0, 0),) * 4}
    given |= {"window_dilation": (1,) * 4}
    ct = normal(*pool.reduce_window_max_p.bind(x, **given).shape)
    tx, tc = torch.from_numpy(x), torch.from_numpy(ct)
    sizes = ([window] * 2, [stride] * 2)

    def torch_backward() -> Any:
        _, index = torch.ops.aten.max_pool2d_with_indices(tx, *sizes)
        return torch.ops.aten.max_pool2d_with_indices_backward(tc, tx, *sizes, [0, 0], [1, 1], False, index)

    def apply(x: Any) -> Any:
        return jax.lax.reduce_window(x, -np.inf, jax.lax.max, dims, strides, "VALID")

    jx, jc = jax.numpy.asarray(x), jax.numpy.asarray(ct)
    forward, backward = jax.jit(apply), jax.jit(lambda x, ct: jax.vjp(apply, x)[1](ct))
    return {
        "fnets forward": lambda: pool.reduce_window_max_p.bind(x, **given),
        "fnets backward": lambda: pool.reduce_window_max_p.vjp((0,), x, **given)[1](ct),
        "torch forward": lambda: torch.nn.functional.max_pool2d(tx, window, stride),
        "torch backward": torch_backward,
        "jax forward": lambda: forward(jx).block_until_ready(),
        "jax backward": lambda: jax.block_until_ready(backward(jx, jc)),
    }


def tutorial_contenders() -> Contenders:
    """The tutorial's convolution and pool against what one writes by hand in NumPy: sums of shifted slices, masks of maxima."""
    x, w, ct = normal(64, 1, 28, 28), normal(1, 1, 3, 3), normal(64, 1, 26, 26)
    own_ct = normal(64, 1, 13, 13)
    given = {"window_strides": (1, 1), "padding": ((0, 0), (0, 0)), "lhs_dilation": (1, 1), "rhs_dilation": (1, 1)}
    given |= {"feature_group_count": 1, "batch_group_count": 1}
    windows = {"window_dimensions": (1, 1, 2, 2), "window_strides": (1, 1, 2, 2), "padding": ((0, 0),) * 4}
    windows |= {"window_dilation": (1,) * 4}
    shifts = [(i, j) for i in range(3) for j in range(3)]
    image, grad = x[:, 0], ct[:, 0]

    def numpy_conv() -> Any:
        out = image[:, :26, :26] * w[0, 0, 0, 0]
        for i, j in shifts[1:]:
            out += image[:, i : i + 26, j : j + 26] * w[0, 0, i, j]
        return out, [np.vdot(image[:, i : i + 26, j : j + 26], grad) for i, j in shifts]

    def numpy_pool() -> Any:
        tiles = grad.reshape(64, 13, 2, 13, 2)
        rows = np.maximum(tiles[:, :, 0], tiles[:, :, 1])
        top = np.maximum(rows[..., 0], rows[..., 1])
        return top, ((tiles == top[:, :, None, :, None]) * own_ct.reshape(64, 13, 1, 13, 1)).reshape(64, 26, 26)

    return {
        "fnets conv": lambda: (conv.conv_of(x, w, given), conv.weight_grad_of(x, ct, w.shape, given)),
        "numpy conv": numpy_conv,
        "fnets pool": lambda: pool.reduce_window_max_p.vjp((0,), ct, **windows)[1](own_ct),
        "numpy pool": numpy_pool,
    }


def title(kind: str, shape: tuple) -> str:
    letters = "N,C,H,K,R,stride" if kind == "conv" else "N,C,H,window,stride"
    return f"{kind} {letters} = {','.join(map(str, shape))}"


def rows() -> list[Row]:
    """The lines of the common table."""
    out = []
    for shape in SHAPES:
        t = compare(conv_contenders(*shape))
        both = {who: t[f"{who} forward"] + t[f"{who} backward"] for who in ("fnets", "torch", "jax")}
        out.append(
            Row(f"{title('conv', shape)}, forward + backward", "PyTorch", both["fnets"], both["torch"], 1 / 0.45)
        )
        out.append(Row(f"{title('conv', shape)}, backward", "jax.jit", t["fnets backward"], t["jax backward"], 1.0))
    t = compare(tutorial_contenders())
    out.append(
        Row("tutorial's conv, forward + weight gradient", "hand-written NumPy", t["fnets conv"], t["numpy conv"], 0.7)
    )
    out.append(Row("tutorial's pool, forward + gradient", "hand-written NumPy", t["fnets pool"], t["numpy pool"], 1.0))
    return out


def line(name: str, t: dict[str, float]) -> dict[str, float]:
    """Print a line and return its ratios."""
    for who in ("fnets", "torch", "jax"):
        t[f"{who} both"] = t[f"{who} forward"] + t[f"{who} backward"]
    ratios, cells = {}, []
    for direction in ("forward", "backward", "both"):
        ours = t[f"fnets {direction}"]
        cells.append(f"{ours * 1e3:9.3f}")
        for who in ("torch", "jax"):
            ratios[f"{who} {direction}"] = t[f"{who} {direction}"] / ours
            cells.append(f"{ratios[f'{who} {direction}']:6.2f}")
    print(f"{name:44}" + " ".join(cells), flush=True)
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    heads = [f"{h:>9} {'/torch':>6} {'/jax':>6}" for h in ("fwd ms", "bwd ms", "both ms")]
    print(f"{'median time; ratio = theirs / ours':44}" + " ".join(heads))
    kinds = [("conv", SHAPES, conv_contenders), ("pool", POOLS, pool_contenders)]
    for kind, shapes, contenders in kinds:
        chosen = [s for s in shapes if args.only in title(kind, s)]
        ratios = [line(title(kind, s), compare(contenders(*s), rounds=args.rounds)) for s in chosen]
        if kind == "conv" and ratios:
            middle = {key: statistics.median(r[key] for r in ratios) for key in ratios[0]}
            print("median over shapes: " + ", ".join(f"{key} {value:.2f}" for key, value in middle.items()))
    if args.only in "tutorial":
        t = compare(tutorial_contenders(), rounds=args.rounds)
        for what in ("conv", "pool"):
            ours, theirs = t[f"fnets {what}"] * 1e6, t[f"numpy {what}"] * 1e6
            print(
                f"tutorial's {what}, forward + gradient: {ours:.0f} us, by hand in NumPy {theirs:.0f} us, ratio {theirs / ours:.2f}"
            )


if __name__ == "__main__":
    main()
