"""Convolution and transposed convolution as functions of their parameters, with PyTorch's layouts and arguments. May import primitives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fnets.numpy as fnp
from fnets.core.trace import shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.nn.activations import as_float
from fnets.primitives import elementwise as ew
from fnets.primitives.conv import conv_general_dilated, input_grad_of, per_dimension

Params = dict[str, Any]
Size = int | Sequence[int]
Padding = int | str | Sequence[Any]


def as_pads(op: str, padding: Padding, rank: int) -> Any:
    """A padding argument as a name or as (low, high) pairs: an int, one int a dimension, or one pair a dimension.

    >>> as_pads("conv", 1, 2), as_pads("conv", (1, 0), 2), as_pads("conv", [(1, 2), (0, 0)], 2)
    ([(1, 1), (1, 1)], [(1, 1), (0, 0)], [(1, 2), (0, 0)])
    """
    if isinstance(padding, str):
        return padding.upper()
    if isinstance(padding, int):
        return [(padding, padding)] * rank
    pads = [(p, p) if isinstance(p, int) else tuple(p) for p in padding]
    if len(pads) != rank or any(len(p) != 2 for p in pads):
        raise ArgumentError(
            f"[{op}] expected padding as an int, {rank} ints, {rank} (low, high) pairs, 'SAME' or 'VALID', got {padding!r}."
        )
    return pads


def _operands(op: str, params: Params, x: Any, rank: int) -> tuple[Any, Any]:
    x, w = as_float(x), params["w"]
    for name, a, layout in (("x", x, "(N, C"), ("w", w, "(out, in")):
        if len(shape_of(a)) != rank + 2:
            space = ", ".join(["space"] * rank)
            raise ShapeError(
                f"[{op}] expected {name} of shape {layout}, {space}), got {shape_of(a)}. Add a batch or channel axis with x[:, None]."
            )
    return x, w


def _plus_bias(params: Params, y: Any, rank: int) -> Any:
    b = params.get("b")
    return y if b is None else ew.add(y, fnp.reshape(b, (-1,) + (1,) * rank))


def _conv(
    op: str, rank: int, params: Params, x: Any, stride: Size, padding: Padding, dilation: Size, groups: int
) -> Any:
    x, w = _operands(op, params, x, rank)
    y = conv_general_dilated(
        x,
        w,
        per_dimension(op, "stride", stride, rank),
        as_pads(op, padding, rank),
        rhs_dilation=per_dimension(op, "dilation", dilation, rank),
        feature_group_count=groups,
    )
    return _plus_bias(params, y, rank)


def conv1d(params: Params, x: Any, stride: Size = 1, padding: Padding = 0, dilation: Size = 1, groups: int = 1) -> Any:
    """Convolution along one axis.

    Args:
      params: "w" (out, in / groups, window), and "b" (out,) if there is one.
      x: (N, in, length).
      stride, padding, dilation, groups: as in `conv2d`.

    Returns:
      (N, out, new length).

    >>> conv1d({"w": fnp.ones((1, 1, 2))}, fnp.ones((1, 1, 4)))
    array([[[2., 2., 2.]]], dtype=float32)
    """
    return _conv("conv1d", 1, params, x, stride, padding, dilation, groups)


def conv2d(params: Params, x: Any, stride: Size = 1, padding: Padding = 0, dilation: Size = 1, groups: int = 1) -> Any:
    """Convolution of images (without mirroring the window, as everywhere in deep learning).

    Args:
      params: "w" (out, in / groups, height, width), and "b" (out,) if there is one.
      x: (N, in, height, width).
      stride: step of the window, an int or one a dimension.
      padding: zeros around the image: an int, one a dimension, a (low, high) pair a dimension, "SAME" or "VALID".
      dilation: distance between the window's elements.
      groups: that many groups of channels are convolved independently.

    Returns:
      (N, out, new height, new width).

    Raises:
      ShapeError, ArgumentError: shapes or arguments that don't go together.

    >>> conv2d({"w": fnp.ones((1, 1, 2, 2)), "b": fnp.ones(1)}, fnp.ones((1, 1, 3, 3)))[0, 0]
    array([[5., 5.],
           [5., 5.]], dtype=float32)
    """
    return _conv("conv2d", 2, params, x, stride, padding, dilation, groups)


def conv3d(params: Params, x: Any, stride: Size = 1, padding: Padding = 0, dilation: Size = 1, groups: int = 1) -> Any:
    """Convolution of volumes.

    Args:
      params: "w" (out, in / groups, depth, height, width), and "b" (out,) if there is one.
      x: (N, in, depth, height, width).
      stride, padding, dilation, groups: as in `conv2d`.

    Returns:
      (N, out, new depth, new height, new width).

    >>> conv3d({"w": fnp.ones((1, 1, 2, 2, 2))}, fnp.ones((1, 1, 2, 2, 2)))
    array([[[[[8.]]]]], dtype=float32)
    """
    return _conv("conv3d", 3, params, x, stride, padding, dilation, groups)


def _conv_transpose(
    op: str,
    rank: int,
    params: Params,
    x: Any,
    stride: Size,
    padding: Padding,
    output_padding: Size,
    groups: int,
    dilation: Size,
) -> Any:
    x, w = _operands(op, params, x, rank)
    strides = per_dimension(op, "stride", stride, rank)
    dilations = per_dimension(op, "dilation", dilation, rank)
    extra = (output_padding,) * rank if isinstance(output_padding, int) else tuple(output_padding)
    pads = as_pads(op, padding, rank)
    if isinstance(pads, str) or len(extra) != rank or min(extra) < 0:
        raise ArgumentError(
            f"[{op}] expected padding and output_padding as ints or {rank} of them, got {padding!r} and {output_padding!r}."
        )
    shape, window = shape_of(x), shape_of(w)
    if shape[1] != window[0] or shape[1] % groups:
        raise ShapeError(
            f"[{op}] expected x (N, in, ...) with in = {window[0]} to match w {window}, in groups of {groups}, got {shape}."
        )
    space = [
        (n - 1) * s + d * (k - 1) + 1 - low - high + more
        for n, s, d, k, (low, high), more in zip(shape[2:], strides, dilations, window[2:], pads, extra)
    ]
    out_shape = (shape[0], window[1] * groups, *space)
    options = {
        "window_strides": strides,
        "padding": tuple(pads),
        "lhs_dilation": (1,) * rank,
        "rhs_dilation": dilations,
        "feature_group_count": groups,
        "batch_group_count": 1,
    }
    # a transposed convolution is the gradient of a convolution with respect to its input
    return _plus_bias(params, input_grad_of(x, w, out_shape, options), rank)


def conv_transpose1d(
    params: Params,
    x: Any,
    stride: Size = 1,
    padding: Padding = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Any:
    """Transposed convolution along one axis.

    Args:
      params: "w" (in, out / groups, window), and "b" (out,) if there is one.
      x: (N, in, length).
      stride, padding, output_padding, groups, dilation: as in `conv_transpose2d`.

    >>> conv_transpose1d({"w": fnp.ones((1, 1, 2))}, fnp.ones((1, 1, 3)), stride=2).shape
    (1, 1, 6)
    """
    return _conv_transpose("conv_transpose1d", 1, params, x, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    params: Params,
    x: Any,
    stride: Size = 1,
    padding: Padding = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Any:
    """Transposed convolution of images, which enlarges them by the stride; arguments as in PyTorch.

    Args:
      params: "w" (in, out / groups, height, width), and "b" (out,) if there is one.
      x: (N, in, height, width).
      stride: by which the window moves in the result.
      padding: rows and columns cut off the result on either side.
      output_padding: rows and columns added at its end.
      groups: that many groups of channels are treated independently.
      dilation: distance between the window's elements.

    Returns:
      (N, out, (height - 1) * stride - 2 * padding + dilation * (window - 1) + output_padding + 1, likewise the width).

    Raises:
      ShapeError, ArgumentError: shapes or arguments that don't go together.

    >>> conv_transpose2d({"w": fnp.ones((1, 2, 2, 2))}, fnp.ones((1, 1, 3, 3)), stride=2).shape
    (1, 2, 6, 6)
    """
    return _conv_transpose("conv_transpose2d", 2, params, x, stride, padding, output_padding, groups, dilation)
