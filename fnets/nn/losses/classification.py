"""Losses of classifiers, one value an example: callers take the mean. May import the losses' arguments, the package's rows, primitives."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import fnets.numpy as fnp
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError
from fnets.nn.activations import log_sigmoid
from fnets.nn.losses.arguments import floats, labels_in, same_shape, total, with_axis
from fnets.nn.rows import log_softmax, logsumexp, one_hot, softmax
from fnets.numpy.arguments import to_array
from fnets.primitives import elementwise as ew
from fnets.primitives.base import as_axes, as_axis, convert

Axis = int | tuple[int, ...] | None

# ---------------------------------------------------------------- one of many classes


def softmax_cross_entropy(logits: Any, labels: Any, axis: Axis = -1, where: Any = None) -> Any:
    """-sum(labels * log_softmax(logits)) along the axis of the classes.

    Args:
      logits: unnormalised log probabilities, float array (..., classes).
      labels: probabilities or one-hot vectors, to broadcast against them.
      axis: axis of the classes.
      where: classes that count, or whole examples.

    Returns:
      One loss an example, shape (...).

    Raises:
      DTypeError: logits that aren't floats.

    >>> softmax_cross_entropy(fnp.array([[2.0, 0.0]]), fnp.array([[1.0, 0.0]])).round(3)
    array([0.127], dtype=float32)
    """
    logits = floats("softmax_cross_entropy", "logits", logits)
    where = with_axis(where, logits, axis)
    log_p = log_softmax(logits, axis, where)
    labels = convert_like(labels, logits)
    if where is not None:
        log_p = ew.select(where, log_p, ew.fill_like(log_p, 0))
    return ew.neg(total(ew.mul(labels, log_p), axis, where))


def convert_like(labels: Any, logits: Any) -> Any:
    """Labels in the logits' dtype: integer or float64 one-hot vectors must not widen a float32 loss."""
    labels = to_array(labels)
    return labels if dtype_of(labels) == dtype_of(logits) else convert(labels, dtype_of(logits))


def softmax_cross_entropy_with_integer_labels(
    logits: Any, labels: Any, axis: int | tuple[int, ...] = -1, where: Any = None
) -> Any:
    """logsumexp(logits) - logits[label] along the axis of the classes.

    Args:
      logits: unnormalised log probabilities, float array (..., classes).
      labels: the right class of each example, integer array (...).
      axis: axis of the classes; several axes count as one, in C order.
      where: classes that count, or whole examples.

    Returns:
      One loss an example, shape (...); 0 where nothing counts.

    Raises:
      DTypeError: logits that aren't floats, labels that aren't integers.
      IndexError: a label outside the classes (unless it is traced under jit).

    >>> softmax_cross_entropy_with_integer_labels(fnp.array([[2.0, 0.0]]), fnp.array([0])).round(3)
    array([0.127], dtype=float32)
    """
    op = "softmax_cross_entropy_with_integer_labels"
    logits, labels = floats(op, "logits", logits), labels_in(op, labels)
    if not isinstance(axis, (int, tuple)):
        raise ArgumentError(f"[{op}] expected axis to be an int or a tuple of ints, got {axis!r}.")
    where = with_axis(where, logits, axis)
    if isinstance(axis, tuple):
        logits, where = _joined(logits, axis), None if where is None else _joined(where, axis)
        axis = -1
    axis = as_axis(axis, len(shape_of(logits)), op)
    picked = fnp.take_along_axis(logits, fnp.expand_dims(labels, axis), axis)
    out = ew.sub(logsumexp(logits, axis, where=where), fnp.squeeze(picked, axis=axis))
    if where is None:
        return out
    return ew.select(fnp.any(fnp.broadcast_to(where, shape_of(logits)), axis=axis), out, ew.fill_like(out, 0))


def _joined(x: Any, axes: tuple[int, ...]) -> Any:
    """x with several axes moved to the end, in the order given, and made one."""
    ndim = len(shape_of(x))
    last = [as_axis(a, ndim, "softmax_cross_entropy_with_integer_labels") for a in axes]
    first = [i for i in range(ndim) if i not in last]
    moved = fnp.transpose(x, (*first, *last))
    return fnp.reshape(moved, (*shape_of(moved)[: len(first)], -1))


def safe_softmax_cross_entropy(logits: Any, labels: Any) -> Any:
    """`softmax_cross_entropy` where a label of 0 makes 0 also of a logit of -inf, and of its derivative.

    Args:
      logits: float array (..., classes).
      labels: probabilities or one-hot vectors of the same shape.

    >>> float(safe_softmax_cross_entropy(fnp.array([0.0, -float("inf")]), fnp.array([1.0, 0.0]))) == 0
    True
    """
    logits = floats("safe_softmax_cross_entropy", "logits", logits)
    labels = convert_like(labels, logits)
    log_p = log_softmax(logits)
    known = ew.logical_or(ew.ne(labels, 0), ew.is_finite(log_p))
    return ew.neg(fnp.sum(ew.mul(labels, ew.select(known, log_p, ew.fill_like(log_p, 0))), axis=-1))


def poly_loss_cross_entropy(logits: Any, labels: Any, *, epsilon: Any = 2.0, axis: Axis = -1, where: Any = None) -> Any:
    """Cross-entropy plus `epsilon` times the probability that the labels miss (Leng et al., 2022).

    Args:
      logits, labels, axis, where: as in `softmax_cross_entropy`.
      epsilon: weight of the first term of the loss's polynomial.

    >>> poly_loss_cross_entropy(fnp.array([2.0, 0.0]), fnp.array([1.0, 0.0])).round(3)
    np.float32(0.365)
    """
    op = "poly_loss_cross_entropy"
    logits, labels = floats(op, "logits", logits), floats(op, "labels", labels)
    mask = with_axis(where, logits, axis)
    missed = total(ew.mul(labels, ew.sub(1, softmax(logits, axis, mask))), axis, mask)
    return ew.add(softmax_cross_entropy(logits, labels, axis, where), ew.mul(epsilon, missed))


def multiclass_hinge_loss(scores: Any, labels: Any) -> Any:
    """max(scores + 1 - one_hot) - scores[label] (Crammer and Singer, 2001).

    Args:
      scores: float array (..., classes).
      labels: integer array (...).

    >>> multiclass_hinge_loss(fnp.array([2.0, 1.5, 0.0]), fnp.array(0))
    np.float32(0.5)
    """
    scores = floats("multiclass_hinge_loss", "scores", scores)
    right = one_hot(labels_in("multiclass_hinge_loss", labels), shape_of(scores)[-1], dtype=dtype_of(scores))
    best = fnp.max(ew.sub(ew.add(scores, 1), right), axis=-1)
    return ew.sub(best, fnp.sum(ew.mul(scores, right), axis=-1))


def multiclass_perceptron_loss(scores: Any, labels: Any) -> Any:
    """max(scores) - scores[label].

    Args:
      scores: float array (..., classes).
      labels: integer array (...).

    >>> multiclass_perceptron_loss(fnp.array([2.0, 3.0, 0.0]), fnp.array(0))
    np.float32(1.0)
    """
    scores = floats("multiclass_perceptron_loss", "scores", scores)
    right = one_hot(labels_in("multiclass_perceptron_loss", labels), shape_of(scores)[-1], dtype=dtype_of(scores))
    return ew.sub(fnp.max(scores, axis=-1), fnp.sum(ew.mul(scores, right), axis=-1))


# ---------------------------------------------------------------- yes or no


def sigmoid_binary_cross_entropy(logits: Any, labels: Any) -> Any:
    """-labels * log(sigmoid(logits)) - (1 - labels) * log(1 - sigmoid(logits)), elementwise and without overflow.

    Args:
      logits: float array.
      labels: 0 or 1, or probabilities, to broadcast against them.

    >>> sigmoid_binary_cross_entropy(fnp.array([2.0, -1000.0]), fnp.array([1.0, 0.0])).round(3)
    array([0.127, 0.   ], dtype=float32)
    """
    logits = floats("sigmoid_binary_cross_entropy", "logits", logits)
    labels = convert_like(labels, logits)
    no = ew.mul(ew.sub(1, labels), ew.softplus(logits))
    return ew.add(ew.mul(labels, ew.softplus(ew.neg(logits))), no)


def sigmoid_focal_loss(logits: Any, labels: Any, *, alpha: Any = None, gamma: Any = 2.0) -> Any:
    """`sigmoid_binary_cross_entropy` times (1 - p)**gamma, p being the probability of the right answer (Lin et al., 2017).

    Args:
      logits: float array.
      labels: 0 or 1, or probabilities, of the same shape.
      alpha: weight of the positive examples, and 1 - alpha of the others; None for 1 and 1.
      gamma: how much less easy examples count.

    >>> sigmoid_focal_loss(fnp.array([2.0]), fnp.array([1.0])).round(4)
    array([0.0018], dtype=float32)
    """
    logits = floats("sigmoid_focal_loss", "logits", logits)
    labels = convert_like(labels, logits)
    yes, no = log_sigmoid(logits), log_sigmoid(ew.neg(logits))
    # log(1 - p), where p = labels * sigmoid + (1 - labels) * (1 - sigmoid)
    miss = logsumexp(fnp.stack([yes, no], -1), axis=-1, b=fnp.stack([ew.sub(1, labels), labels], -1))
    loss = ew.mul(sigmoid_binary_cross_entropy(logits, labels), ew.exp(ew.mul(gamma, miss)))
    if alpha is None:
        return loss
    return ew.mul(ew.add(ew.mul(alpha, labels), ew.mul(1.0 - alpha, ew.sub(1, labels))), loss)


def hinge_loss(predictor_outputs: Any, targets: Any) -> Any:
    """max(0, 1 - outputs * targets), elementwise, for targets -1 and 1.

    >>> hinge_loss(fnp.array([0.5, -2.0]), fnp.array([1.0, -1.0]))
    array([0.5, 0. ], dtype=float32)
    """
    return fnp.maximum(0, fnp.subtract(1, fnp.multiply(predictor_outputs, targets)))


def perceptron_loss(predictor_outputs: Any, targets: Any) -> Any:
    """max(0, -outputs * targets), elementwise, for targets -1 and 1.

    Raises:
      ShapeError: different shapes.

    >>> perceptron_loss(fnp.array([0.5, 2.0]), fnp.array([1.0, -1.0]))
    array([0., 2.], dtype=float32)
    """
    outputs, targets = to_array(predictor_outputs), to_array(targets)
    same_shape("perceptron_loss", "predictor_outputs and targets", outputs, targets)
    return fnp.maximum(0, fnp.multiply(fnp.negative(outputs), targets))


# ---------------------------------------------------------------- labels


def smooth_labels(labels: Any, alpha: Any, *, axis: Axis = -1, where: Any = None) -> Any:
    """(1 - alpha) * labels + alpha / classes: one-hot vectors mixed with the uniform distribution (Müller et al., 2019).

    Args:
      labels: one-hot vectors, float array (..., classes).
      alpha: how much of the uniform distribution.
      axis: axis of the classes.
      where: classes that count.

    Raises:
      DTypeError: labels that aren't floats.

    >>> smooth_labels(fnp.array([1.0, 0.0]), 0.5)
    array([0.75, 0.25], dtype=float32)
    """
    labels = floats("smooth_labels", "labels", labels)
    if where is None:
        axes = as_axes(axis, len(shape_of(labels)), "smooth_labels")
        share: Any = alpha / int(np.prod([shape_of(labels)[a] for a in axes]))
    else:
        share = ew.div(alpha, convert(fnp.sum(where, axis=axis, keepdims=True), dtype_of(labels)))
    return ew.add(ew.mul(1.0 - alpha, labels), share)


def make_fenchel_young_loss(max_fun: Any) -> Any:
    """The loss max_fun(scores) - <targets, scores> that belongs to a (smoothed) maximum (Blondel et al., 2020).

    Args:
      max_fun: from a vector of scores (and further arguments) to a number, such as `logsumexp`.

    Returns:
      A function `loss(scores, targets, *args, **kwargs)` over the last axis.

    >>> loss = make_fenchel_young_loss(logsumexp)
    >>> loss(fnp.array([2.0, 0.0]), fnp.array([1.0, 0.0])).round(3)
    np.float32(0.127)
    """

    def loss(scores: Any, targets: Any, *args: Any, **kwargs: Any) -> Any:
        scores = to_array(scores)
        f = functools.partial(max_fun, **kwargs)
        rows = fnp.reshape(scores, (-1, shape_of(scores)[-1]))
        values = fnp.stack([f(rows[i], *args) for i in range(shape_of(rows)[0])])
        product = fnp.sum(fnp.multiply(fnp.conj(targets), scores), axis=-1)
        return fnp.subtract(fnp.reshape(values, shape_of(scores)[:-1]), product)

    return loss
