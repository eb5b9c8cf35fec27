"""Golden convolutions and pools, float64: conv_pool.npz from PyTorch, conv_jax.npz from JAX. Needs the `bench` extra.

PyTorch's arrays are channels first: x (N, C, *space), w (O, C / groups, *window), for transposed convolutions
w (C, O / groups, *window). `padding` is always [[low, high], ...] per spatial dimension.
"""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import torch
import torch.nn.functional as F
from golden_io import encode, save
from jax import lax

Case = dict[str, Any]

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def normal(rng: np.random.Generator, shape: Any) -> np.ndarray:
    """Normal values on a grid of 1/64, so that the files compress."""
    return np.round(rng.normal(size=tuple(shape)) * 64) / 64


def distinct(rng: np.random.Generator, shape: Any) -> np.ndarray:
    """Values of which no two are equal, so that a maximum has one place."""
    count = int(np.prod(shape))
    return (rng.permutation(count).reshape(shape) - count / 2) / 64


def per_dim(value: Any, rank: int) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value] * rank


def conv(x: tuple[int, ...], w: tuple[int, ...], stride=1, pad=0, dilation=1, groups=1, note="") -> Case:
    rank = len(x) - 2
    pads = [[p, p] if isinstance(p, int) else list(p) for p in per_dim(pad, rank)]
    settings = {"stride": per_dim(stride, rank), "padding": pads, "dilation": per_dim(dilation, rank), "groups": groups}
    return {"kind": "conv", "rank": rank, "x_shape": list(x), "w_shape": list(w), **settings, "note": note}


def conv_transpose(x, w, stride=1, pad=0, dilation=1, groups=1, output_padding=0, note="") -> Case:
    case = conv(x, w, stride, pad, dilation, groups, note)
    return {**case, "kind": "conv_transpose", "output_padding": per_dim(output_padding, case["rank"])}


def pool(kind, x, window, stride=None, pad=0, dilation=1, include_pad=True, ties=False, note="") -> Case:
    rank = len(x) - 2
    window = per_dim(window, rank)
    case = {
        "kind": kind,
        "rank": rank,
        "x_shape": list(x),
        "window": window,
        "stride": per_dim(window if stride is None else stride, rank),
        "padding": [[p, p] if isinstance(p, int) else list(p) for p in per_dim(pad, rank)],
        "dilation": per_dim(dilation, rank),
        "ties": ties,
        "note": note,
    }
    return {**case, "count_include_pad": include_pad} if kind == "avg_pool" else case


CONVS = [
    conv((2, 3, 6, 6), (4, 3, 3, 3), note="plain"),
    conv((2, 3, 6, 6), (4, 3, 3, 3), pad=1, note="same size"),
    conv((2, 3, 7, 7), (4, 3, 3, 3), stride=2, pad=1),
    conv((2, 3, 8, 8), (4, 3, 3, 3), stride=2, pad=1, note="last column unused"),
    conv((1, 2, 9, 7), (3, 2, 3, 2), stride=(2, 3), pad=(1, 0), note="rectangular everything"),
    conv((2, 2, 9, 9), (3, 2, 2, 2), stride=3, note="window smaller than stride: input left over"),
    conv((2, 2, 10, 11), (3, 2, 2, 3), stride=(4, 5), note="window smaller than stride, remainder"),
    conv((2, 3, 5, 5), (4, 3, 1, 1), note="1x1"),
    conv((2, 3, 6, 6), (4, 3, 1, 1), stride=2, note="1x1 strided"),
    conv((2, 3, 5, 5), (4, 3, 1, 1), pad=1, note="1x1 padded"),
    conv((1, 3, 6, 6), (2, 3, 4, 4), pad=2, note="even window"),
    conv((1, 3, 7, 7), (2, 3, 2, 4), stride=2, pad=(1, 2), note="even windows, strided"),
    conv((2, 2, 8, 8), (3, 2, 5, 5), stride=2, pad=2, note="window bigger than stride"),
    conv((1, 2, 3, 3), (2, 2, 3, 3), note="one output position"),
    conv((1, 2, 3, 3), (2, 2, 5, 5), pad=2, note="window bigger than the input"),
    conv((1, 2, 4, 4), (2, 2, 3, 3), pad=4, note="outputs that see padding alone"),
    conv((2, 3, 8, 8), (4, 3, 3, 3), dilation=2),
    conv((1, 2, 9, 10), (3, 2, 3, 2), stride=2, pad=(2, 1), dilation=(2, 3), note="dilated and strided"),
    conv((1, 2, 7, 7), (2, 2, 3, 3), pad=2, dilation=2, note="dilated, same size"),
    conv((2, 4, 6, 6), (6, 2, 3, 3), pad=1, groups=2),
    conv((2, 6, 5, 5), (3, 2, 3, 3), stride=2, pad=1, groups=3),
    conv((2, 4, 6, 6), (4, 1, 3, 3), pad=1, groups=4, note="depthwise"),
    conv((2, 3, 6, 7), (6, 1, 3, 2), stride=2, groups=3, note="depthwise, multiplier 2"),
    conv((2, 4, 5, 5), (4, 2, 1, 1), groups=2, note="grouped 1x1"),
    conv((2, 4, 9, 9), (4, 1, 3, 3), pad=2, dilation=2, groups=4, note="depthwise dilated"),
    conv((2, 3, 6, 6), (4, 3, 3, 3), pad=((0, 1), (0, 1)), note="asymmetric"),
    conv((1, 2, 7, 6), (3, 2, 3, 3), stride=2, pad=((0, 1), (2, 0)), note="asymmetric, strided"),
    conv((1, 2, 6, 6), (2, 2, 2, 2), pad=((0, 1), (0, 1)), note="SAME for an even window"),
    conv((1, 4, 7, 7), (4, 2, 3, 3), stride=2, pad=((1, 2), (0, 3)), dilation=(1, 2), groups=2, note="all at once"),
    conv((1, 1, 1, 8), (1, 1, 1, 3), note="height 1"),
    conv((2, 3, 10), (4, 3, 3), note="1-D"),
    conv((2, 3, 11), (4, 3, 4), stride=3, pad=2, note="1-D, even window, strided"),
    conv((2, 4, 12), (4, 2, 3), pad=((3, 0),), dilation=2, groups=2, note="1-D causal, dilated, grouped"),
    conv((1, 2, 9), (3, 2, 2), stride=4, note="1-D, input left over"),
    conv((1, 2, 4, 5, 6), (3, 2, 3, 3, 3), pad=1, note="3-D"),
    conv((1, 2, 6, 5, 5), (2, 2, 2, 3, 2), stride=(2, 1, 2), note="3-D rectangular, strided"),
    conv((1, 4, 5, 5, 5), (4, 1, 3, 2, 1), pad=(1, 0, 1), dilation=(1, 2, 1), groups=4, note="3-D depthwise"),
    conv((1, 2, 4, 4, 4), (2, 2, 2, 2, 2), pad=((0, 1), (1, 0), (0, 0)), note="3-D asymmetric"),
    conv_transpose((2, 3, 4, 4), (3, 4, 3, 3), note="transposed"),
    conv_transpose((2, 3, 4, 4), (3, 4, 3, 3), stride=2, pad=1),
    conv_transpose((2, 3, 4, 4), (3, 4, 3, 3), stride=2, pad=1, output_padding=1),
    conv_transpose((1, 2, 3, 4), (2, 3, 2, 3), stride=(3, 2), output_padding=(2, 1), note="window smaller than stride"),
    conv_transpose((1, 4, 4, 4), (4, 2, 3, 3), stride=2, pad=1, dilation=2, groups=2, output_padding=1),
    conv_transpose((2, 3, 5), (3, 2, 4), stride=2, pad=1, note="1-D"),
    conv_transpose((1, 2, 3, 3, 3), (2, 3, 2, 2, 2), stride=2, note="3-D"),
]

POOLS = [
    pool("max_pool", (2, 3, 6, 6), 2),
    pool("max_pool", (2, 3, 7, 7), 3, stride=2, note="overlapping"),
    pool("max_pool", (2, 2, 7, 7), 3, stride=2, pad=1, note="overlapping, padded"),
    pool("max_pool", (2, 2, 7, 8), (3, 2), stride=(1, 2), pad=(1, 0), note="rectangular"),
    pool("max_pool", (1, 2, 8, 8), 2, stride=3, note="window smaller than stride"),
    pool("max_pool", (1, 2, 8, 8), 3, stride=1, dilation=2, note="dilated"),
    pool("max_pool", (1, 2, 9, 8), 2, stride=2, pad=1, dilation=(3, 2), note="dilated, strided, padded"),
    pool("max_pool", (1, 2, 5, 5), 5, note="global"),
    pool("max_pool", (1, 2, 6, 6), 3, stride=2, pad=((0, 1), (1, 0)), note="asymmetric"),
    pool("max_pool", (2, 2, 6, 6), 2, ties=True, note="ties: the first in row-major order takes the gradient"),
    pool("max_pool", (2, 2, 6, 6), 3, stride=1, pad=1, ties=True, note="ties, overlapping"),
    pool("max_pool", (2, 3, 9), 3, stride=2, pad=1, note="1-D"),
    pool("max_pool", (1, 2, 5, 4, 6), 2, note="3-D"),
    pool("max_pool", (1, 2, 5, 5, 5), 3, stride=2, pad=1, note="3-D overlapping"),
    pool("min_pool", (2, 2, 6, 6), 2),
    pool("min_pool", (1, 2, 7, 7), 3, stride=2, pad=1),
    pool("avg_pool", (2, 3, 6, 6), 2),
    pool("avg_pool", (2, 3, 7, 7), 3, stride=2, note="overlapping"),
    pool("avg_pool", (2, 2, 7, 7), 3, stride=2, pad=1, note="padding counts"),
    pool("avg_pool", (2, 2, 7, 7), 3, stride=2, pad=1, include_pad=False, note="padding doesn't count"),
    pool("avg_pool", (1, 2, 8, 7), (2, 3), stride=(3, 1), pad=(0, 1), include_pad=False, note="rectangular"),
    pool("avg_pool", (1, 2, 5, 5), 5, note="global"),
    pool("avg_pool", (1, 2, 6, 6), 3, stride=2, pad=((0, 1), (1, 0)), note="asymmetric"),
    pool("avg_pool", (2, 3, 9), 4, stride=3, pad=2, include_pad=False, note="1-D"),
    pool("avg_pool", (1, 2, 5, 4, 6), 2, note="3-D"),
    pool("avg_pool", (1, 2, 5, 5, 5), 3, stride=2, pad=1, include_pad=False, note="3-D overlapping"),
]


def torch_padded(x: torch.Tensor, case: Case, fill: float) -> tuple[torch.Tensor, list[int]]:
    """Symmetric padding is left to PyTorch's own argument; asymmetric padding is applied here."""
    if all(low == high for low, high in case["padding"]):
        return x, [low for low, _ in case["padding"]]
    last_dim_first = [width for pair in reversed(case["padding"]) for width in pair]
    return F.pad(x, last_dim_first, value=fill), [0] * case["rank"]


def torch_conv(case: Case, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    if case["kind"] == "conv":
        padded, pad = torch_padded(x, case, 0.0)
        return CONV[case["rank"]](padded, w, None, case["stride"], pad, case["dilation"], case["groups"])
    pad = [low for low, _ in case["padding"]]
    apply = CONV_TRANSPOSE[case["rank"]]
    return apply(x, w, None, case["stride"], pad, case["output_padding"], case["groups"], case["dilation"])


def torch_pool(case: Case, x: torch.Tensor) -> torch.Tensor:
    window, stride = case["window"], case["stride"]
    if case["kind"] == "avg_pool":
        padded, pad = torch_padded(x, case, 0.0)
        return AVG_POOL[case["rank"]](padded, window, stride, pad, False, case["count_include_pad"])
    if case["kind"] == "min_pool":
        return -torch_pool({**case, "kind": "max_pool"}, -x)
    padded, pad = torch_padded(x, case, -np.inf)
    return MAX_POOL[case["rank"]](padded, window, stride, pad, case["dilation"])


def conv_arrays(case: Case, second_order: bool, rng: np.random.Generator) -> dict[str, np.ndarray]:
    x, w = (torch.tensor(normal(rng, case[f"{name}_shape"]), requires_grad=True) for name in "xw")
    y = torch_conv(case, x, w)
    ct = torch.tensor(normal(rng, y.shape), requires_grad=True)
    dx, dw = torch.autograd.grad(y, (x, w), ct, create_graph=True)
    out = {"x": x, "w": w, "y": y, "ct": ct, "dx": dx, "dw": dw}
    if second_order:
        v = torch.tensor(normal(rng, w.shape))
        out["v"] = v
        out["dx_of_dwv"], out["dct_of_dwv"] = torch.autograd.grad((dw * v).sum(), (x, ct))
    return {name: value.detach().numpy() for name, value in out.items()}


def pool_arrays(case: Case, rng: np.random.Generator) -> dict[str, np.ndarray]:
    shape = case["x_shape"]
    values = rng.integers(0, 3, shape).astype(float) if case["ties"] else distinct(rng, shape)
    x = torch.tensor(values, requires_grad=True)
    y = torch_pool(case, x)
    ct = torch.tensor(normal(rng, y.shape))
    (dx,) = torch.autograd.grad(y, x, ct)
    return {name: value.detach().numpy() for name, value in {"x": x, "y": y, "ct": ct, "dx": dx}.items()}


def make_torch() -> None:
    rng = np.random.default_rng(20240601)
    arrays, config = {}, []
    for number, case in enumerate(CONVS + POOLS):
        name = f"{case['kind']}_{number:02d}"
        if "conv" in case["kind"]:
            case["second_order"] = number % 3 == 0 or case["kind"] == "conv_transpose" and number % 2 == 0
            values = conv_arrays(case, case["second_order"], rng)
        else:
            values = pool_arrays(case, rng)
        arrays.update({f"{name}_{key}": value for key, value in values.items()})
        config.append({"name": name, **case})
    save("conv_pool", arrays, config)


# JAX: what PyTorch has no word for.

NCHW = ("NCHW", "OIHW", "NCHW")
NHWC = ("NHWC", "HWIO", "NHWC")


def general(x, w, strides, padding, numbers=NCHW, lhs=None, rhs=None, groups=1, batch_groups=1, note="") -> Case:
    rank = len(x) - 2
    kwargs = {
        "window_strides": strides,
        "padding": padding,
        "lhs_dilation": lhs or (1,) * rank,
        "rhs_dilation": rhs or (1,) * rank,
        "dimension_numbers": numbers,
        "feature_group_count": groups,
        "batch_group_count": batch_groups,
    }
    return {"kind": "conv_general_dilated", "x_shape": x, "w_shape": w, "kwargs": kwargs, "note": note}


GENERAL = [
    general((2, 3, 5, 5), (4, 3, 3, 3), (1, 1), ((1, 1), (1, 1)), lhs=(2, 2), note="input dilation"),
    general((1, 2, 4, 5), (3, 2, 3, 2), (2, 1), ((2, 1), (0, 3)), lhs=(3, 2), note="input dilation, strided"),
    general((1, 2, 4, 4), (3, 2, 2, 3), (1, 2), ((3, 2), (4, 4)), lhs=(2, 3), rhs=(2, 2), note="both dilations"),
    general((2, 5, 6, 3), (3, 3, 3, 4), (1, 1), "SAME", NHWC, note="NHWC"),
    general((2, 7, 6, 3), (3, 2, 3, 4), (2, 2), "SAME", NHWC, note="NHWC SAME strided"),
    general((2, 6, 6, 3), (2, 2, 3, 4), (2, 1), "VALID", NHWC, note="NHWC VALID"),
    general((1, 5, 5, 4), (3, 3, 2, 6), (1, 1), ((1, 1), (2, 0)), NHWC, lhs=(2, 1), groups=2, note="NHWC grouped"),
    general((2, 6, 6, 4), (3, 3, 1, 4), (1, 1), "SAME", NHWC, groups=4, note="NHWC depthwise"),
    general((4, 3, 5, 5), (4, 3, 3, 3), (1, 1), ((1, 1), (1, 1)), batch_groups=2, note="batch groups"),
    general(
        (6, 4, 5, 2), (2, 3, 2, 6), (2, 1), ((0, 1), (1, 1)), NHWC, rhs=(1, 2), batch_groups=3, note="NHWC batch groups"
    ),
    general((5, 5, 2, 3), (3, 3, 3, 4), (1, 1), "VALID", ("HWNC", "HWIO", "HWNC"), note="HWNC"),
    general((2, 3, 6, 6), (4, 3, 3, 3), (1, 1), "SAME", ("NCHW", "OIHW", "NHWC"), note="NCHW in, NHWC out"),
    general((3, 2, 6, 6), (3, 3, 3, 4), (2, 2), "SAME", ("CNHW", "HWIO", "NCHW"), note="CNHW in"),
    general((2, 3, 6, 6), (4, 3, 3, 3), (1, 1), ((-1, 1), (0, -2)), note="negative padding"),
    general(
        (1, 2, 5, 5), (2, 2, 3, 3), (1, 1), ((-1, 2), (-2, -1)), lhs=(3, 3), note="negative padding, input dilation"
    ),
    general((2, 8, 3), (3, 3, 4), (2,), "SAME", ("NWC", "WIO", "NWC"), note="1-D NWC"),
    general((2, 3, 8), (4, 3, 3), (1,), ((2, 0),), ("NCH", "OIH", "NCH"), lhs=(2,), note="1-D input dilation"),
    general((1, 4, 4, 3, 2), (2, 2, 2, 2, 3), (1, 2, 1), "SAME", ("NDHWC", "DHWIO", "NDHWC"), note="3-D NDHWC"),
    general((2, 3), (4, 3), (), (), ("NC", "OI", "NC"), note="no spatial dimension"),
]


def window(reducer, x, dims, strides, padding, base=None, dilation=None, note="") -> Case:
    kwargs = {
        "window_dimensions": dims,
        "window_strides": strides,
        "padding": padding,
        "base_dilation": base or (1,) * len(x),
        "window_dilation": dilation or (1,) * len(x),
    }
    return {"kind": "reduce_window", "reducer": reducer, "x_shape": x, "kwargs": kwargs, "note": note}


WINDOWS = [
    window("max", (2, 3, 6, 6), (1, 1, 2, 2), (1, 1, 2, 2), "VALID"),
    window("max", (2, 6, 7, 3), (1, 3, 3, 1), (1, 2, 2, 1), "SAME", note="NHWC"),
    window("max", (1, 2, 8, 8), (1, 1, 3, 2), (1, 1, 1, 2), ((0, 0), (0, 0), (2, 1), (0, 1)), dilation=(1, 1, 2, 3)),
    window("min", (2, 3, 7, 6), (1, 1, 3, 2), (1, 1, 2, 2), "SAME"),
    window("min", (1, 2, 8, 7), (1, 1, 2, 3), (1, 1, 2, 1), "VALID", dilation=(1, 1, 3, 2)),
    window("add", (2, 3, 6, 6), (1, 1, 3, 3), (1, 1, 2, 1), "SAME"),
    window("add", (2, 6, 6, 3), (1, 2, 3, 1), (1, 3, 1, 1), ((0, 0), (1, 2), (0, 1), (0, 0)), dilation=(1, 2, 2, 1)),
    window("add", (1, 2, 4, 5), (1, 1, 3, 2), (1, 1, 2, 1), ((0, 0), (0, 0), (1, 2), (3, 0)), base=(1, 1, 2, 3)),
    window("add", (1, 2, 4, 4), (1, 1, 2, 2), (1, 1, 1, 2), "VALID", base=(1, 1, 3, 2), dilation=(1, 1, 2, 3)),
    window("add", (3, 4, 5), (2, 3, 2), (1, 2, 1), "SAME", note="windows over every dimension"),
    window("max", (3, 4, 5), (2, 3, 2), (1, 2, 1), "VALID", note="windows over every dimension"),
    window("max", (9,), (3,), (2,), ((1, 1),), note="one dimension"),
    window("max", (1, 2, 4, 4), (1, 1, 3, 3), (1, 1, 2, 1), "VALID", base=(1, 1, 2, 2), note="base dilation"),
    window("min", (1, 2, 4, 4), (1, 1, 3, 3), (1, 1, 1, 1), "SAME", base=(1, 1, 2, 2), dilation=(1, 1, 1, 2)),
]

REDUCERS = {"max": (lax.max, -np.inf), "min": (lax.min, np.inf), "add": (lax.add, 0.0)}


def jax_window(case: Case, x: jax.Array) -> jax.Array:
    function, start = REDUCERS[case["reducer"]]
    return lax.reduce_window(x, start, function, **case["kwargs"])


def jax_cases() -> Iterator[tuple[Case, dict[str, np.ndarray]]]:
    rng = np.random.default_rng(20240602)
    for case in GENERAL:
        x, w = normal(rng, case["x_shape"]), normal(rng, case["w_shape"])
        y, pull = jax.vjp(lambda x, w, case=case: lax.conv_general_dilated(x, w, **case["kwargs"]), x, w)
        ct = normal(rng, y.shape)
        dx, dw = pull(ct)
        yield case, {"x": x, "w": w, "y": y, "ct": ct, "dx": dx, "dw": dw}
    for case in WINDOWS:
        x = distinct(rng, case["x_shape"])
        y = jax_window(case, x)
        ct = normal(rng, y.shape)
        arrays = {"x": x, "y": y, "ct": ct}
        # JAX has no reverse mode for a dilated max or min, so the gradient is read off the forward-mode Jacobian.
        jacobian = jax.jacfwd(lambda x, case=case: jax_window(case, x))(x)
        arrays["dx"] = np.tensordot(ct, jacobian, ct.ndim)
        yield case, arrays


def make_jax() -> None:
    arrays, config = {}, []
    with jax.enable_x64(True):
        for number, (case, values) in enumerate(jax_cases()):
            name = f"{case['kind']}_{number:02d}"
            arrays.update({f"{name}_{key}": np.asarray(value) for key, value in values.items()})
            config.append(encode({"name": name, **case}))
    save("conv_jax", arrays, config)


if __name__ == "__main__":
    make_torch()
    make_jax()
