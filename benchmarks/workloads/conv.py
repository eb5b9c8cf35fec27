"""Convolutions of channels-last images, dense, grouped and depthwise: forward, and the gradients with respect to the input and to the weights."""

from __future__ import annotations

import functools
from typing import Any

from benchmarks.workloads.functional import Library, calling
from benchmarks.workloads.program import Draw, Program, Workload
from benchmarks.workloads.pytorch import PyTorch

# N, C, H, K, R, stride; padding R // 2 on every side
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
# the same with their groups; JAX takes seconds for more images
GROUPED = [(4, 128, 14, 128, 3, 1, 32), (16, 128, 28, 128, 3, 1, 128)]
LAYOUT = ("NHWC", "HWIO", "NHWC")
Shape = tuple[int, ...]


def groups_of(shape: Shape) -> int:
    return shape[6] if len(shape) > 6 else 1


def data(shape: Shape) -> Any:
    n, c, h, k, r, stride = shape[:6]
    draw = Draw()
    out = h // stride
    return draw.normal(n, h, h, c), draw.normal(r, r, c // groups_of(shape), k), draw.normal(n, out, out, k)


def functional(part: str, shape: Shape, library: Library, data: Any) -> Program:
    r, stride = shape[4:6]

    def conv(x: Any, w: Any) -> Any:
        return library.lax.conv_general_dilated(
            x,
            w,
            (stride, stride),
            [(r // 2, r // 2)] * 2,
            dimension_numbers=LAYOUT,
            feature_group_count=groups_of(shape),
        )

    def input_gradient(x: Any, w: Any, ct: Any) -> Any:
        return library.vjp(lambda x: conv(x, w), x)[1](ct)[0]

    def weight_gradient(x: Any, w: Any, ct: Any) -> Any:
        return library.vjp(lambda w: conv(x, w), w)[1](ct)[0]

    x, w, ct = library.arrays(data)
    if part == "forward":
        return calling(library, conv, x, w)
    return calling(library, input_gradient if part == "input gradient" else weight_gradient, x, w, ct)


def pytorch(part: str, shape: Shape, library: PyTorch, data: Any) -> Program:
    r, stride = shape[4:6]
    x, w, ct = library.image(data[0]), library.filters(data[1]), library.image(data[2])
    options = {"stride": stride, "padding": r // 2, "groups": groups_of(shape)}
    grad = library.torch.nn.grad
    if part == "weight gradient":
        run = lambda: grad.conv2d_weight(x, w.shape, ct, **options)  # noqa: E731
        return Program(run, lambda w: w.permute(2, 3, 1, 0))
    if part == "forward":
        run = lambda: library.F.conv2d(x, w, **options)  # noqa: E731
    else:
        run = lambda: grad.conv2d_input(x.shape, w, ct, **options)  # noqa: E731
    return Program(run, lambda y: y.permute(0, 2, 3, 1))


def goals(shape: Shape) -> dict[str, float]:
    """Winograd's F(2x2) is for windows of 3 x 3 at stride 1."""
    if groups_of(shape) > 1:
        return {"torch": 1.0, "jax": 2.5}
    return {"torch": 1.5 if shape[4:] == (3, 1) else 0.95, "jax": 2.5}


CONVOLUTIONS = [
    Workload(
        f"conv N,C,H,K,R,stride{',groups' * (len(shape) > 6)} = {','.join(map(str, shape))}, {part}",
        functools.partial(data, shape),
        functools.partial(functional, part, shape),
        functools.partial(pytorch, part, shape),
        goals(shape),
    )
    for shape in [*SHAPES, *GROUPED]
    for part in ("forward", "input gradient", "weight gradient")
]
