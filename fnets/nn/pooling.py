"""Pools of images and the like, channels first. May import primitives, errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fnets.core.trace import shape_of
from fnets.errors import ShapeError
from fnets.nn.convolution import Padding, Size, as_pads
from fnets.numpy.arguments import to_array
from fnets.primitives import pool as primitives


def _operand(op: str, x: Any, window: Size) -> tuple[Any, int]:
    """x (N, C, *space) and the number of spatial axes."""
    x = to_array(x)
    shape = shape_of(x)
    rank = len(shape) - 2
    if rank < 1 or (isinstance(window, Sequence) and len(window) != rank):
        told = f"a window of {rank} dimensions for x" if rank >= 1 else "x of shape (N, C, space, ...),"
        raise ShapeError(f"[{op}] expected {told} got window {window} and shape {shape}. Add an axis with x[None].")
    return x, rank


def max_pool(x: Any, window: Size, stride: Size | None = None, padding: Padding = 0, dilation: Size = 1) -> Any:
    """The greatest element of each window; its gradient goes to the first of equal ones.

    Args:
      x: (N, C, *space).
      window: its lengths, an int or one a dimension.
      stride: its step; by default the window, so that windows don't overlap.
      padding: an int, one a dimension, a (low, high) pair a dimension, "SAME" or "VALID"; padding never wins.
      dilation: distance between the window's elements.

    Returns:
      (N, C, *new space), where new = (space + padding - window) // stride + 1.

    Raises:
      ShapeError, ArgumentError: shapes or arguments that don't go together.

    >>> import fnets.numpy as fnp
    >>> max_pool(fnp.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """
    x, rank = _operand("max_pool", x, window)
    return primitives.max_pool(x, window, stride, as_pads("max_pool", padding, rank), dilation)


def avg_pool(
    x: Any, window: Size, stride: Size | None = None, padding: Padding = 0, count_include_pad: bool = True
) -> Any:
    """The mean of each window.

    Args:
      x, window, stride, padding: as in `max_pool`.
      count_include_pad: padding counts as zeros; False takes the mean over the elements that are there.

    Returns:
      (N, C, *new space), as `max_pool`.

    >>> import fnets.numpy as fnp
    >>> avg_pool(fnp.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]], dtype=float32)
    """
    x, rank = _operand("avg_pool", x, window)
    return primitives.avg_pool(x, window, stride, as_pads("avg_pool", padding, rank), count_include_pad)
