"""Losses of sparsemax, and the projection onto the simplex that they need. May import control, the losses' arguments, the package's activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import fnets.numpy as fnp
from fnets.control.custom import custom_jvp
from fnets.core.trace import dtype_of, shape_of
from fnets.nn.activations import sparse_plus
from fnets.nn.losses.arguments import floats, labels_in
from fnets.nn.rows import one_hot
from fnets.numpy.arguments import to_array
from fnets.primitives import elementwise as ew
from fnets.primitives.base import convert


@custom_jvp
def unit_simplex(values: Any) -> Any:
    """The nearest point of the probability simplex, along the last axis (Duchi et al., 2008).

    Args:
      values: float array (..., n).

    >>> unit_simplex(fnp.array([0.5, 1.5, -3.0]))
    array([0., 1., 0.], dtype=float32)
    """
    n = shape_of(values)[-1]
    falling = fnp.flip(fnp.sort(values, axis=-1), -1)
    excess = ew.sub(fnp.cumsum(falling, axis=-1), 1)
    sizes = np.arange(1, n + 1, dtype=dtype_of(values))
    support = fnp.sum(ew.gt(ew.mul(sizes, falling), excess), axis=-1, keepdims=True)  # how many stay positive
    threshold = ew.div(fnp.take_along_axis(excess, ew.sub(support, 1), -1), convert(support, dtype_of(values)))
    return ew.relu(ew.sub(values, threshold))


@unit_simplex.defjvp
def _unit_simplex_jvp(primals: Sequence, tangents: Sequence) -> tuple:
    # on the support the projection subtracts a common number, elsewhere it is constant
    out, t = unit_simplex(primals[0]), tangents[0]
    positive = convert(ew.gt(out, 0), dtype_of(out))
    mean = ew.div(fnp.sum(ew.mul(positive, t), axis=-1, keepdims=True), fnp.sum(positive, axis=-1, keepdims=True))
    return out, ew.mul(positive, ew.sub(t, mean))


def sparsemax_loss(logits: Any, labels: Any) -> Any:
    """The binary loss of sparsemax, elementwise (Martins and Astudillo, 2016).

    Args:
      logits: float array.
      labels: 0 or 1, of the same shape.

    >>> sparsemax_loss(fnp.array([2.0, 0.0]), fnp.array([1, 0]))
    array([0.  , 0.25], dtype=float32)
    """
    logits = floats("sparsemax_loss", "logits", logits)
    return sparse_plus(ew.select(ew.ne(to_array(labels), 0), ew.neg(logits), logits))


def multiclass_sparsemax_loss(scores: Any, labels: Any) -> Any:
    """The loss of sparsemax (Martins and Astudillo, 2016).

    Args:
      scores: float array (batch, classes).
      labels: integer array (batch,).

    Returns:
      One loss an example, shape (batch,).

    >>> multiclass_sparsemax_loss(fnp.array([[2.0, 0.0], [0.0, 0.0]]), fnp.array([0, 0]))
    array([0.  , 0.25], dtype=float32)
    """
    scores = floats("multiclass_sparsemax_loss", "scores", scores)
    right = one_hot(labels_in("multiclass_sparsemax_loss", labels), shape_of(scores)[-1], dtype=dtype_of(scores))
    p = unit_simplex(scores)
    relative = ew.sub(scores, fnp.sum(ew.mul(scores, right), axis=-1, keepdims=True))
    linear = fnp.sum(ew.mul(p, ew.select(ew.gt(p, 0), relative, ew.fill_like(relative, 0))), axis=-1)
    return ew.add(linear, ew.mul(0.5, ew.sub(1, fnp.sum(ew.square(p), axis=-1))))
