"""Overlap losses of segmentation: channels last, one channel a class. May import the losses' arguments, the package's rows."""

from __future__ import annotations

from typing import Any

import fnets.numpy as fnp
from fnets.core.trace import Tracer, shape_of
from fnets.errors import ArgumentError, ShapeError
from fnets.nn.losses.arguments import floats, reduce_loss, same_shape
from fnets.nn.losses.classification import convert_like
from fnets.nn.rows import softmax
from fnets.numpy.arguments import to_array
from fnets.primitives import elementwise as ew

_ALIGN = "predictions and targets"


def dice_loss(
    predictions: Any,
    targets: Any,
    *,
    class_weights: Any = None,
    smooth: Any = 1.0,
    alpha: Any = 0.5,
    beta: Any = 0.5,
    apply_softmax: bool = True,
    reduction: str = "mean",
    ignore_background: bool = False,
    axis: int | tuple[int, ...] | None = None,
) -> Any:
    """One minus the overlap of two segmentations, (I + s) / (I + alpha (P - I) + beta (T - I) + s) (Milletari, 2016; Salehi, 2017).

    Args:
      predictions: logits, float array (batch, ..., classes); with one class a sigmoid takes softmax's place.
      targets: one-hot or soft labels of the same shape; either may lack the axis of the classes.
      class_weights: a factor for each class.
      smooth: s above.
      alpha, beta: weights of false positives and false negatives; 1/2 and 1/2 is the Dice coefficient.
      apply_softmax: False takes the predictions as probabilities.
      reduction: over the classes: "mean", "sum" or "none".
      ignore_background: leave the first class out.
      axis: axes to sum over; by default all between the first and the last.

    Returns:
      One loss an example, shape (batch,), or (batch, classes) for reduction "none".

    Raises:
      ShapeError: different shapes, or weights that aren't one vector.
      ArgumentError: probabilities that don't sum to one, another reduction.

    >>> dice_loss(fnp.array([[[9.0, -9.0]]]), fnp.array([[[1.0, 0.0]]])).round(3)
    array([0.], dtype=float32)
    """
    predictions, targets = floats("dice_loss", "predictions", predictions), to_array(targets)
    if len(shape_of(predictions)) == len(shape_of(targets)) - 1:
        predictions = fnp.expand_dims(predictions, -1)
    if len(shape_of(targets)) == len(shape_of(predictions)) - 1:
        targets = fnp.expand_dims(targets, -1)
    same_shape("dice_loss", _ALIGN, predictions, targets)
    targets = convert_like(targets, predictions)
    probabilities = predictions
    if apply_softmax:
        probabilities = ew.logistic(predictions) if shape_of(predictions)[-1] == 1 else softmax(predictions)
    else:
        _check_probabilities(predictions)
    axis = tuple(range(1, len(shape_of(predictions)) - 1)) if axis is None else axis
    hits = fnp.sum(ew.mul(probabilities, targets), axis=axis)
    false_positives = ew.sub(fnp.sum(probabilities, axis=axis), hits)
    false_negatives = ew.sub(fnp.sum(targets, axis=axis), hits)
    missed = ew.add(ew.mul(alpha, false_positives), ew.mul(beta, false_negatives))
    loss = ew.sub(1, ew.div(ew.add(hits, smooth), ew.add(ew.add(hits, missed), smooth)))
    if class_weights is not None:
        weights = convert_like(class_weights, loss)
        if len(shape_of(weights)) != 1:
            raise ShapeError(
                f"[dice_loss] expected class_weights of one axis, got shape {shape_of(weights)}. Give one number a class."
            )
        loss = ew.mul(loss, weights)
    if ignore_background and shape_of(predictions)[-1] > 1:
        loss = loss[..., 1:]
    return reduce_loss("dice_loss", loss, reduction, axis=-1)


def _check_probabilities(predictions: Any) -> None:
    sums = fnp.sum(predictions, axis=-1)
    if isinstance(sums, Tracer) and sums.concrete() is None:
        return
    if not fnp.allclose(sums, 1.0, rtol=1e-5):
        raise ArgumentError(
            f"[dice_loss] expected predictions that sum to 1 over the classes, as apply_softmax=False says, got sums from "
            f"{float(fnp.min(sums)):.6g} to {float(fnp.max(sums)):.6g}. Pass logits with apply_softmax=True."
        )


def multiclass_generalized_dice_loss(
    predictions: Any, targets: Any, *, smooth: Any = 1.0, apply_softmax: bool = True, ignore_background: bool = False
) -> Any:
    """The mean `dice_loss` with classes weighted by one over their squared frequency (Sudre et al., 2017).

    Args:
      predictions: logits, float array (batch, ..., classes).
      targets: one-hot or soft labels of the same shape.
      smooth, apply_softmax, ignore_background: as in `dice_loss`.

    >>> multiclass_generalized_dice_loss(fnp.array([[[9.0, -9.0]]]), fnp.array([[[1.0, 0.0]]])).round(3)
    np.float32(0.0)
    """
    predictions, targets = floats("multiclass_generalized_dice_loss", "predictions", predictions), to_array(targets)
    same_shape("multiclass_generalized_dice_loss", _ALIGN, predictions, targets)
    targets = convert_like(targets, predictions)
    shape = shape_of(targets)
    frequency = fnp.sum(targets, axis=tuple(range(len(shape) - 1)))
    weights = ew.reciprocal(ew.add(ew.square(frequency), 1e-7))
    weights = ew.mul(ew.div(weights, fnp.sum(weights)), float(shape[-1]))
    loss = dice_loss(
        predictions,
        targets,
        class_weights=weights,
        smooth=smooth,
        apply_softmax=apply_softmax,
        reduction="none",
        ignore_background=ignore_background,
    )
    return fnp.mean(loss)


def binary_dice_loss(predictions: Any, targets: Any, *, smooth: Any = 1.0, apply_sigmoid: bool = True) -> Any:
    """`dice_loss` of a single class.

    Args:
      predictions: logits, float array (batch, ...) or (batch, ..., 1).
      targets: 0 or 1, of the same shape.
      smooth: as in `dice_loss`.
      apply_sigmoid: False takes the predictions as probabilities.

    >>> binary_dice_loss(fnp.array([[9.0, -9.0]]), fnp.array([[1.0, 0.0]])).round(3)
    array([0.], dtype=float32)
    """
    predictions, targets = to_array(predictions), to_array(targets)
    if len(shape_of(predictions)) == len(shape_of(targets)) and shape_of(predictions)[-1] != 1:
        predictions, targets = fnp.expand_dims(predictions, -1), fnp.expand_dims(targets, -1)
    return dice_loss(predictions, targets, smooth=smooth, apply_softmax=apply_sigmoid, reduction="mean")
