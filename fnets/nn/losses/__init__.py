"""Losses, with the names, signatures and values of `optax.losses`: one value an element or example, without reduction.

Lives here: names only; classification, regression, divergences between distributions, segmentation, embeddings, sequences, sparsemax.

>>> import fnets.numpy as fnp
>>> softmax_cross_entropy_with_integer_labels(fnp.array([[2.0, 0.0], [0.0, 2.0]]), fnp.array([0, 0])).round(3)
array([0.127, 2.127], dtype=float32)
"""

from fnets.nn.losses.classification import (
    hinge_loss,
    make_fenchel_young_loss,
    multiclass_hinge_loss,
    multiclass_perceptron_loss,
    perceptron_loss,
    poly_loss_cross_entropy,
    safe_softmax_cross_entropy,
    sigmoid_binary_cross_entropy,
    sigmoid_focal_loss,
    smooth_labels,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
)
from fnets.nn.losses.divergences import (
    convex_kl_divergence,
    generalized_kl_divergence,
    kl_divergence,
    kl_divergence_with_log_targets,
)
from fnets.nn.losses.embedding import ntxent, ranking_softmax_loss, triplet_margin_loss
from fnets.nn.losses.regression import (
    cosine_distance,
    cosine_similarity,
    huber_loss,
    l2_loss,
    log_cosh,
    mae,
    mse,
    squared_error,
)
from fnets.nn.losses.segmentation import binary_dice_loss, dice_loss, multiclass_generalized_dice_loss
from fnets.nn.losses.sequence import ctc_loss, ctc_loss_with_forward_probs
from fnets.nn.losses.sparsemax import multiclass_sparsemax_loss, sparsemax_loss

__all__ = [
    "binary_dice_loss",
    "convex_kl_divergence",
    "cosine_distance",
    "cosine_similarity",
    "ctc_loss",
    "ctc_loss_with_forward_probs",
    "dice_loss",
    "generalized_kl_divergence",
    "hinge_loss",
    "huber_loss",
    "kl_divergence",
    "kl_divergence_with_log_targets",
    "l2_loss",
    "log_cosh",
    "mae",
    "make_fenchel_young_loss",
    "mse",
    "multiclass_generalized_dice_loss",
    "multiclass_hinge_loss",
    "multiclass_perceptron_loss",
    "multiclass_sparsemax_loss",
    "ntxent",
    "perceptron_loss",
    "poly_loss_cross_entropy",
    "ranking_softmax_loss",
    "safe_softmax_cross_entropy",
    "sigmoid_binary_cross_entropy",
    "sigmoid_focal_loss",
    "smooth_labels",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
    "sparsemax_loss",
    "squared_error",
    "triplet_margin_loss",
]
