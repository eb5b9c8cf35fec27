"""What the losses check about their arguments. May import fnets.numpy, errors."""

from __future__ import annotations

from typing import Any

import fnets.numpy as fnp
from fnets.core.avals import is_float
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.numpy.arguments import to_array


def floats(op: str, name: str, x: Any) -> Any:
    """An array of a float dtype; integers are an error, as they are mostly labels in the wrong place.

    >>> floats("loss", "predictions", 1.5)
    array(1.5, dtype=float32)
    """
    x = to_array(x)
    if not is_float(dtype_of(x)):
        raise DTypeError(
            f"[{op}] expected {name} of a float dtype, got {dtype_of(x).name}. Convert with .astype('float32')."
        )
    return x


def labels_in(op: str, labels: Any) -> Any:
    """An array of an integer dtype."""
    labels = to_array(labels)
    if dtype_of(labels).kind not in "iu":
        raise DTypeError(
            f"[{op}] expected integer labels, got {dtype_of(labels).name}. One-hot or soft labels belong to softmax_cross_entropy."
        )
    return labels


def same_shape(op: str, names: str, x: Any, y: Any) -> None:
    """Raise unless two arrays have one shape: broadcasting would hide a mistake."""
    if shape_of(x) != shape_of(y):
        raise ShapeError(
            f"[{op}] expected {names} of one shape, got {shape_of(x)} and {shape_of(y)}. Reshape one of them, for example with x[:, None]."
        )


def with_axis(where: Any, x: Any, axis: Any) -> Any:
    """A mask over whole rows as a mask over elements: it gets the axes that it lacks."""
    if where is None or len(shape_of(where)) == len(shape_of(x)):
        return where
    return fnp.expand_dims(where, axis)


def total(x: Any, axis: Any, where: Any = None) -> Any:
    """The sum along axes over the elements that count."""
    return fnp.sum(x, axis=axis) if where is None else fnp.sum(x, axis=axis, where=where)


def reduce_loss(op: str, loss: Any, reduction: str, axis: Any = None) -> Any:
    """A loss by element, its mean or its sum."""
    if reduction == "mean":
        return fnp.mean(loss, axis=axis)
    if reduction == "sum":
        return fnp.sum(loss, axis=axis)
    if reduction == "none":
        return loss
    raise ArgumentError(f"[{op}] expected reduction 'mean', 'sum' or 'none', got {reduction!r}.")
