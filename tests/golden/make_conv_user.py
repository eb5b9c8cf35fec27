"""Golden values of what JAX's lax builds on convolutions and windows, in conv_user.npz: transposed convolutions, patches, reductions by
other computations. All float64. Needs the `bench` extra.

A case has `name`, `kind`, `shapes` of the operands and `kwargs`; its arrays are `<name>_x`, `<name>_w` (where there is one) and `<name>_y`.
Kinds: `conv_transpose`, `conv_general_dilated`, `conv_general_dilated_patches` of jax.lax, and `reduce_window` with `computation` one of
"mul", "add", "max", "min" and the initial value `init`.
"""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from golden_io import encode, save
from jax import lax

NHWC = ("NHWC", "HWIO", "NHWC")
NCHW = ("NCHW", "OIHW", "NCHW")


def transposes() -> Iterator[tuple]:
    for padding in ("SAME", "VALID"):
        for window, stride in ((3, 1), (3, 2), (2, 3), (1, 2), (4, 2), (5, 4)):
            for turned in (False, True):
                shapes = ((2, 4, 3), (window, 2, 3) if turned else (window, 3, 2))
                yield shapes, {"strides": (stride,), "padding": padding, "transpose_kernel": turned}
    shapes = ((2, 4, 5, 3), (3, 2, 3, 4))
    yield shapes, {"strides": (2, 3), "padding": "SAME"}
    yield shapes, {"strides": (2, 3), "padding": "VALID", "rhs_dilation": (2, 1)}
    yield shapes, {"strides": (2, 1), "padding": ((1, 2), (0, 3))}
    yield shapes, {"strides": (2, 1), "padding": ((1, 2), (0, 1)), "use_consistent_padding": True}
    yield ((2, 3, 4, 5), (4, 3, 3, 2)), {"strides": (2, 2), "padding": "SAME", "dimension_numbers": NCHW}
    turned = {"strides": (2, 2), "padding": "SAME", "dimension_numbers": NCHW, "transpose_kernel": True}
    yield ((2, 4, 4, 5), (4, 3, 3, 2)), turned
    yield ((2, 3), (3, 4)), {"strides": (), "padding": "VALID"}
    yield ((1, 2, 3, 2, 2), (2, 2, 3, 2, 3)), {"strides": (2, 1, 2), "padding": "SAME"}


def patches() -> Iterator[tuple]:
    x = (2, 3, 6, 5)
    yield x, {"filter_shape": (2, 3), "window_strides": (1, 1), "padding": "VALID"}
    yield x, {"filter_shape": (3, 2), "window_strides": (2, 1), "padding": "SAME"}
    dilated = {"filter_shape": (2, 2), "window_strides": (1, 2), "padding": ((1, 0), (2, 1))}
    yield x, {**dilated, "lhs_dilation": (2, 1), "rhs_dilation": (1, 2)}
    yield (2, 6, 5, 3), {"filter_shape": (2, 3), "window_strides": (1, 1), "padding": "SAME", "dimension_numbers": NHWC}


def convolutions() -> Iterator[tuple]:
    for strides in ((1, 1), (2, 2), (3, 2)):
        yield ((2, 3, 7, 6), (4, 3, 4, 2)), {"window_strides": strides, "padding": "SAME_LOWER"}
    yield ((2, 3, 7, 6), (4, 3, 4, 2)), {"window_strides": (2, 1), "padding": "SAME", "rhs_dilation": (1, 3)}


def reductions() -> Iterator[tuple]:
    dims = {"window_dimensions": (1, 2, 3), "window_strides": (1, 2, 1)}
    pads = ((0, 0), (1, 0), (1, 2))
    for computation in ("mul", "add", "max", "min"):
        for init in (0.5, 1.0, 0.0):
            yield (2, 4, 5), {**dims, "padding": "VALID"}, computation, init
            yield (2, 4, 5), {**dims, "padding": pads, "window_dilation": (1, 2, 1)}, computation, init
    yield (2, 4, 5), {**dims, "padding": pads, "base_dilation": (1, 2, 3)}, "mul", 1.0


def cases() -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    rng = np.random.default_rng(20240603)
    for kind, source in (("conv_transpose", transposes), ("conv_general_dilated", convolutions)):
        for shapes, kwargs in source():
            x, w = (rng.integers(-8, 9, s).astype(float) for s in shapes)
            y = getattr(lax, kind)(x, w, **kwargs)
            yield {"kind": kind, "shapes": shapes, "kwargs": kwargs}, {"x": x, "w": w, "y": y}
    for shape, kwargs in patches():
        x = rng.integers(-8, 9, shape).astype(float)
        y = lax.conv_general_dilated_patches(x, **kwargs)
        yield {"kind": "conv_general_dilated_patches", "shapes": (shape,), "kwargs": kwargs}, {"x": x, "y": y}
    functions = {"mul": lax.mul, "add": lax.add, "max": lax.max, "min": lax.min}
    for shape, kwargs, computation, init in reductions():
        x = rng.integers(-4, 5, shape) / 4
        y = lax.reduce_window(x, init, functions[computation], **kwargs)
        case = {"kind": "reduce_window", "shapes": (shape,), "kwargs": kwargs, "computation": computation, "init": init}
        yield case, {"x": x, "y": y}


if __name__ == "__main__":
    arrays, config = {}, []
    with jax.enable_x64(True):
        for number, (case, values) in enumerate(cases()):
            name = f"{case['kind']}_{number:02d}"
            arrays.update({f"{name}_{key}": np.asarray(value) for key, value in values.items()})
            config.append(encode({"name": name, **case}))
    save("conv_user", arrays, config)
