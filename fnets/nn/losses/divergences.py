"""Distances between probability distributions given as (log) probabilities. May import the losses' arguments, fnets.numpy."""

from __future__ import annotations

from typing import Any

import fnets.numpy as fnp
from fnets.nn.losses.arguments import floats, total
from fnets.primitives import elementwise as ew

Axis = int | tuple[int, ...] | None


def kl_divergence(log_predictions: Any, targets: Any, axis: Axis = -1, where: Any = None) -> Any:
    """sum(targets * (log(targets) - log_predictions)), where a target of 0 counts 0 (Kullback and Leibler, 1951).

    Args:
      log_predictions: log probabilities, float array (..., classes).
      targets: probabilities of the same shape.
      axis: axis of the classes.
      where: classes that count.

    Returns:
      One value an example, shape (...).

    >>> kl_divergence(fnp.log(fnp.array([0.5, 0.5])), fnp.array([1.0, 0.0])).round(3)
    np.float32(0.693)
    """
    log_p = floats("kl_divergence", "log_predictions", log_predictions)
    q = floats("kl_divergence", "targets", targets)
    zero = ew.eq(q, 0)
    log_q = ew.select(zero, ew.fill_like(q, 0), ew.log(ew.select(zero, ew.fill_like(q, 1), q)))
    return total(ew.mul(q, ew.sub(log_q, log_p)), axis, where)


def kl_divergence_with_log_targets(log_predictions: Any, log_targets: Any, axis: Axis = -1, where: Any = None) -> Any:
    """`kl_divergence` of targets given as log probabilities.

    Args:
      log_predictions, log_targets: log probabilities, float arrays (..., classes).
      axis, where: as in `kl_divergence`.

    >>> p = fnp.log(fnp.array([0.5, 0.5]))
    >>> kl_divergence_with_log_targets(p, fnp.log(fnp.array([0.75, 0.25]))).round(3)
    np.float32(0.131)
    """
    log_p = floats("kl_divergence_with_log_targets", "log_predictions", log_predictions)
    log_q = floats("kl_divergence_with_log_targets", "log_targets", log_targets)
    return total(ew.mul(ew.exp(log_q), ew.sub(log_q, log_p)), axis, where)


def generalized_kl_divergence(log_predictions: Any, targets: Any, axis: Axis = -1, where: Any = None) -> Any:
    """`kl_divergence` plus sum(predictions) - sum(targets): convex also where these don't sum to one.

    Args:
      log_predictions, targets, axis, where: as in `kl_divergence`.

    >>> generalized_kl_divergence(fnp.log(fnp.array([0.5, 0.5])), fnp.array([1.0, 0.0])).round(3)
    np.float32(0.693)
    """
    divergence = kl_divergence(log_predictions, targets, axis, where)
    return ew.add(divergence, total(fnp.subtract(fnp.exp(log_predictions), targets), axis, where))


convex_kl_divergence = generalized_kl_divergence  # its older name
