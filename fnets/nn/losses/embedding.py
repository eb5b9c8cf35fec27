"""Losses of embeddings and rankings, which compare examples with each other. May import the losses' arguments, the package's rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fnets.numpy as fnp
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ShapeError
from fnets.nn.losses.arguments import floats, total
from fnets.nn.losses.regression import cosine_similarity
from fnets.nn.rows import log_softmax, logsumexp
from fnets.numpy.arguments import to_array
from fnets.primitives import elementwise as ew
from fnets.primitives.base import convert


def triplet_margin_loss(
    anchors: Any,
    positives: Any,
    negatives: Any,
    axis: int = -1,
    norm_degree: Any = 2,
    margin: Any = 1.0,
    eps: Any = 1e-6,
) -> Any:
    """max(distance to the positive - distance to the negative + margin, 0) (Schroff et al., 2015).

    Args:
      anchors, positives, negatives: float arrays (..., features).
      axis: axis of the features.
      norm_degree: p of the distance (sum(d**p) + eps)**(1/p).
      margin: by how much the negative must be further away.
      eps: see `norm_degree`.

    >>> triplet_margin_loss(fnp.zeros(1), fnp.array([0.5]), fnp.array([1.0])).round(3)
    np.float32(0.5)
    """
    op = "triplet_margin_loss"
    anchors, positives, negatives = (
        floats(op, name, x) for name, x in (("anchors", anchors), ("positives", positives), ("negatives", negatives))
    )

    def distance(x: Any) -> Any:
        powers = fnp.sum(fnp.power(ew.sub(anchors, x), norm_degree), axis=axis)
        return fnp.power(ew.add(powers, eps), 1 / norm_degree)

    return ew.maximum(ew.add(ew.sub(distance(positives), distance(negatives)), margin), 0)


def ntxent(embeddings: Any, labels: Any, temperature: Any = 0.07) -> Any:
    """The normalised, temperature-scaled cross-entropy of contrastive learning (Chen et al., 2020).

    Args:
      embeddings: float array (batch, features).
      labels: integer array (batch,); examples with the same label attract each other.
      temperature: divides the cosine similarities.

    Returns:
      The mean over all pairs with the same label, a scalar.

    Raises:
      ShapeError: different batch sizes.

    >>> x = fnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> ntxent(x, fnp.array([0, 0, 1]), temperature=1.0).round(3)
    np.float32(0.313)
    """
    x, labels = floats("ntxent", "embeddings", embeddings), to_array(labels)
    n = shape_of(x)[0]
    if shape_of(labels)[:1] != (n,):
        raise ShapeError(
            f"[ntxent] expected as many labels as embeddings, got shapes {shape_of(labels)} and {shape_of(x)}."
        )
    eps = float(np.finfo(dtype_of(x)).eps)
    similarity = ew.div(cosine_similarity(x[None, :, :], x[:, None, :], epsilon=eps), temperature)
    same = ew.eq(labels[:, None], labels[None, :])
    pairs = ew.logical_and(same, np.logical_not(np.eye(n, dtype=bool)))
    # log of (this pair + all that differ), by the usual shift: from the sum over those that differ, and the pair itself
    others = logsumexp(similarity, axis=1, keepdims=True, where=ew.logical_not(same))
    log_p = ew.sub(similarity, ew.logaddexp(similarity, others))
    count = convert(fnp.sum(pairs), dtype_of(x))
    return ew.neg(ew.div(fnp.sum(ew.select(pairs, log_p, ew.fill_like(log_p, 0))), count))


def ranking_softmax_loss(
    logits: Any,
    labels: Any,
    *,
    where: Any = None,
    weights: Any = None,
    reduce_fn: Callable[..., Any] | None = fnp.mean,
) -> Any:
    """The cross-entropy of a softmax over the items of a list, labels being their relevance (Cao et al., 2007).

    Args:
      logits: scores, float array (..., list).
      labels: relevance of the items, same shape.
      where: items that count.
      weights: factors of the labels.
      reduce_fn: over the lists, called as `reduce_fn(loss, where=...)`; None for one loss a list.

    >>> ranking_softmax_loss(fnp.array([[2.0, 0.0]]), fnp.array([[1.0, 0.0]])).round(3)
    np.float32(0.127)
    """
    logits = floats("ranking_softmax_loss", "logits", logits)
    labels = convert(to_array(labels), dtype_of(logits))
    if where is not None:
        labels = ew.select(where, labels, ew.fill_like(labels, 0))
    if weights is not None:
        labels = ew.mul(labels, convert(to_array(weights), dtype_of(logits)))
    log_p = log_softmax(logits, -1, where)
    if where is not None:
        log_p = ew.select(where, log_p, ew.fill_like(log_p, 0))
    loss = ew.neg(total(ew.mul(labels, log_p), -1))
    lists = None if where is None else fnp.any(where, axis=-1)
    if reduce_fn is None:
        return loss if lists is None else ew.select(lists, loss, ew.fill_like(loss, 0))
    if lists is None:
        return reduce_fn(loss)
    if reduce_fn is not fnp.mean:
        return reduce_fn(loss, where=lists)
    count = ew.maximum(convert(fnp.sum(lists), dtype_of(loss)), 1)  # no list at all: 0, not 0 / 0
    return ew.div(fnp.sum(loss, where=lists), count)
