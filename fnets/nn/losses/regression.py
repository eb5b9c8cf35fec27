"""Losses of real predictions. May import the losses' arguments, fnets.numpy, primitives."""

from __future__ import annotations

import math
from typing import Any

import fnets.numpy as fnp
from fnets.nn.losses.arguments import floats, reduce_loss, same_shape, total
from fnets.numpy.arguments import to_array


def _errors(op: str, predictions: Any, targets: Any) -> Any:
    predictions = floats(op, "predictions", predictions)
    return predictions if targets is None else fnp.subtract(predictions, to_array(targets))


def squared_error(predictions: Any, targets: Any = None) -> Any:
    """(predictions - targets)**2, elementwise.

    Args:
      predictions: float array of any shape.
      targets: array of the same shape; 0 by default.

    Raises:
      DTypeError: predictions that aren't floats.
      ShapeError: different shapes.

    >>> squared_error(fnp.array([1.0, 3.0]), fnp.array([0.0, 1.0]))
    array([1., 4.], dtype=float32)
    """
    if targets is not None:
        same_shape("squared_error", "predictions and targets", to_array(predictions), to_array(targets))
    return fnp.square(_errors("squared_error", predictions, targets))


def l2_loss(predictions: Any, targets: Any = None) -> Any:
    """(predictions - targets)**2 / 2, elementwise.

    Args:
      predictions, targets: as in `squared_error`.

    >>> l2_loss(fnp.array([1.0, 3.0]), fnp.array([0.0, 1.0]))
    array([0.5, 2. ], dtype=float32)
    """
    return fnp.multiply(0.5, squared_error(predictions, targets))


def mse(pred: Any, target: Any, reduction: str = "mean") -> Any:
    """The squared error, averaged ("mean"), summed ("sum") or elementwise ("none").

    Args:
      pred, target: as in `squared_error`.
      reduction: what to do with the elements.

    Raises:
      ArgumentError: another reduction.

    >>> mse(fnp.array([1.0, 3.0]), fnp.array([0.0, 1.0]))
    np.float32(2.5)
    """
    return reduce_loss("mse", squared_error(pred, target), reduction)


def mae(pred: Any, target: Any, reduction: str = "mean") -> Any:
    """The absolute error, averaged ("mean"), summed ("sum") or elementwise ("none").

    Args:
      pred: float array of any shape.
      target: array of the same shape.
      reduction: what to do with the elements.

    >>> mae(fnp.array([1.0, 3.0]), fnp.array([0.0, 1.0]))
    np.float32(1.5)
    """
    same_shape("mae", "pred and target", to_array(pred), to_array(target))
    return reduce_loss("mae", fnp.abs(_errors("mae", pred, target)), reduction)


def huber_loss(predictions: Any, targets: Any = None, *, delta: Any = 1.0) -> Any:
    """Half the square of errors up to `delta`, linear beyond, elementwise (Huber, 1964).

    Args:
      predictions: float array.
      targets: array; 0 by default.
      delta: where the parabola ends.

    >>> huber_loss(fnp.array([0.5, 3.0]))
    array([0.125, 2.5  ], dtype=float32)
    """
    size = fnp.abs(_errors("huber_loss", predictions, targets))
    near = fnp.minimum(size, delta)
    return fnp.add(fnp.multiply(0.5, fnp.square(near)), fnp.multiply(delta, fnp.subtract(size, near)))


def log_cosh(predictions: Any, targets: Any = None) -> Any:
    """log(cosh(predictions - targets)), elementwise: half the square of small errors, the absolute value of large ones.

    Args:
      predictions: float array.
      targets: array; 0 by default.

    >>> log_cosh(fnp.array([0.0, 1000.0])).round(3)
    array([  0.   , 999.307], dtype=float32)
    """
    errors = _errors("log_cosh", predictions, targets)
    return fnp.subtract(fnp.logaddexp(errors, fnp.negative(errors)), math.log(2.0))


def cosine_similarity(
    predictions: Any, targets: Any, *, epsilon: Any = 0.0, axis: int | tuple[int, ...] | None = -1, where: Any = None
) -> Any:
    """The cosine of the angle between vectors along an axis.

    Args:
      predictions, targets: float arrays.
      epsilon: least squared length that a vector counts with.
      axis: axis of the vectors.
      where: elements that count.

    >>> cosine_similarity(fnp.array([3.0, 4.0]), fnp.array([4.0, 3.0])).round(3)
    np.float32(0.96)
    """
    a = floats("cosine_similarity", "predictions", predictions)
    b = floats("cosine_similarity", "targets", targets)

    def unit(x: Any) -> Any:
        mask = {} if where is None else {"where": where}
        square = fnp.sum(fnp.square(x), axis=axis, keepdims=True, **mask)
        return fnp.divide(x, fnp.sqrt(fnp.maximum(square, epsilon)))

    return total(fnp.multiply(unit(a), unit(b)), axis, where)


def cosine_distance(
    predictions: Any, targets: Any, *, epsilon: Any = 0.0, axis: int | tuple[int, ...] | None = -1, where: Any = None
) -> Any:
    """One minus `cosine_similarity`.

    Args:
      predictions, targets, epsilon, axis, where: as in `cosine_similarity`.

    >>> cosine_distance(fnp.array([3.0, 4.0]), fnp.array([4.0, 3.0])).round(3)
    np.float32(0.04)
    """
    return fnp.subtract(1.0, cosine_similarity(predictions, targets, epsilon=epsilon, axis=axis, where=where))
