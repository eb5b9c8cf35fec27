"""Golden losses of optax, float64: losses.npz. Needs the `bench` extra.

Each case is `optax.losses.<fn>(*args, **kwargs)`, its value and the gradients of sum(ct * value) with respect to the
floating-point arguments listed in `argnums`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import optax
from golden_io import encode, save

Loss = tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]  # function, args, kwargs, differentiable arguments

BATCH, CLASSES = 5, 4


def normal(seed: int, *shape: int, scale: float = 1.0) -> np.ndarray:
    return np.round(np.random.default_rng(seed).normal(size=shape) * scale * 256) / 256


def probabilities(seed: int, *shape: int) -> np.ndarray:
    weights = np.exp(normal(seed, *shape))
    return weights / weights.sum(-1, keepdims=True)


def one_hot(labels: np.ndarray, classes: int = CLASSES) -> np.ndarray:
    return np.eye(classes)[labels]


LABELS = np.array([2, 0, 3, 1, 2])
WHERE = np.array([[1, 1, 0, 1], [1, 1, 1, 1], [0, 1, 1, 1], [1, 0, 0, 1], [1, 1, 1, 0]], bool)
# Logits that overflow a naive softmax, and a row with -inf.
EXTREME = np.array([[1000.0, 0.0, -1000.0, 5.0], [-800.0, -801.0, -802.0, -803.0], [0.0, -np.inf, 1.0, 2.0]])


def regression_cases() -> Iterator[Loss]:
    p, t = normal(1, BATCH, 3, scale=2), normal(2, BATCH, 3)
    for fn in ("l2_loss", "squared_error", "huber_loss", "log_cosh"):
        yield fn, (p, t), {}, (0, 1)
        yield fn, (p,), {}, (0,)
    yield "huber_loss", (p, t), {"delta": 0.3}, (0, 1)
    yield "log_cosh", (p * 500, t), {}, (0, 1)
    for fn in ("cosine_similarity", "cosine_distance"):
        yield fn, (p, t), {}, (0, 1)
        yield fn, (p, t), {"epsilon": 0.5}, (0, 1)
        yield fn, (p, t), {"axis": 0}, (0, 1)
        yield fn, (p, t), {"where": WHERE[:, :3]}, (0, 1)


def categorical_cases() -> Iterator[Loss]:
    logits, targets = normal(3, BATCH, CLASSES, scale=2), probabilities(4, BATCH, CLASSES)
    dense = "softmax_cross_entropy"
    sparse = "softmax_cross_entropy_with_integer_labels"
    yield dense, (logits, targets), {}, (0, 1)
    yield dense, (logits, one_hot(LABELS)), {}, (0,)
    yield dense, (logits.T, targets.T), {"axis": 0}, (0, 1)
    yield dense, (logits, targets), {"where": WHERE}, (0,)
    yield dense, (EXTREME[:2], one_hot(np.array([1, 3]))), {}, (0,)
    yield sparse, (logits, LABELS), {}, (0,)
    yield sparse, (logits.T, LABELS), {"axis": 0}, (0,)
    yield sparse, (normal(5, 2, 3, CLASSES), np.array([[0, 1, 2], [3, 3, 0]])), {}, (0,)
    yield sparse, (logits, np.array([0, 0, 1, 3, 2])), {"where": WHERE}, (0,)
    yield sparse, (EXTREME[:2], np.array([1, 3])), {}, (0,)
    yield "safe_softmax_cross_entropy", (logits, targets), {}, (0, 1)
    yield "safe_softmax_cross_entropy", (EXTREME, one_hot(np.array([1, 3, 2]))), {}, (0,)
    yield "poly_loss_cross_entropy", (logits, targets), {}, (0, 1)
    yield "poly_loss_cross_entropy", (logits, one_hot(LABELS)), {"epsilon": -0.5}, (0,)
    yield "poly_loss_cross_entropy", (logits, targets), {"where": WHERE}, (0,)
    yield "smooth_labels", (one_hot(LABELS), 0.1), {}, (0,)
    yield "smooth_labels", (one_hot(LABELS).T.copy(), 0.3), {"axis": 0}, (0,)
    yield "multiclass_hinge_loss", (logits, LABELS), {}, (0,)
    yield "multiclass_perceptron_loss", (logits, LABELS), {}, (0,)
    yield "multiclass_sparsemax_loss", (logits, LABELS), {}, (0,)
    yield "multiclass_hinge_loss", (logits[0], np.array(2)), {}, (0,)


def binary_cases() -> Iterator[Loss]:
    logits, targets = normal(6, BATCH, 3, scale=3), probabilities(7, BATCH, 3)
    hard = (normal(8, BATCH, 3) > 0).astype(float)
    yield "sigmoid_binary_cross_entropy", (logits, targets), {}, (0, 1)
    yield "sigmoid_binary_cross_entropy", (logits * 300, hard), {}, (0,)
    yield "sigmoid_focal_loss", (logits, hard), {}, (0,)
    yield "sigmoid_focal_loss", (logits, hard), {"alpha": 0.25, "gamma": 1.5}, (0,)
    yield "sigmoid_focal_loss", (logits * 100, hard), {"gamma": 2.0}, (0,)
    for fn in ("hinge_loss", "perceptron_loss"):
        yield fn, (logits, 2 * hard - 1), {}, (0,)
    yield "sparsemax_loss", (logits, hard), {}, (0,)


def divergence_cases() -> Iterator[Loss]:
    p, q = np.log(probabilities(9, BATCH, CLASSES)), probabilities(10, BATCH, CLASSES)
    with_zero = q.copy()
    with_zero[0, 1] = 0.0
    for fn in ("kl_divergence", "convex_kl_divergence", "generalized_kl_divergence"):
        yield fn, (p, q), {}, (0, 1)
        yield fn, (p, with_zero), {}, (0,)
        yield fn, (p.T.copy(), q.T.copy()), {"axis": 0}, (0, 1)
        yield fn, (p, q), {"where": WHERE}, (0, 1)
    yield "kl_divergence_with_log_targets", (p, np.log(q)), {}, (0, 1)
    yield "kl_divergence_with_log_targets", (p, np.log(q)), {"where": WHERE}, (0, 1)


def segmentation_cases() -> Iterator[Loss]:
    logits = normal(11, 2, 3, 3, CLASSES)
    labels = one_hot(np.random.default_rng(12).integers(0, CLASSES, (2, 3, 3)))
    yield "dice_loss", (logits, labels), {}, (0,)
    yield "dice_loss", (logits, labels), {"reduction": "none", "alpha": 0.3, "beta": 0.7}, (0,)
    yield "dice_loss", (logits, labels), {"reduction": "sum", "ignore_background": True, "smooth": 0.5}, (0,)
    weights = np.array([0.5, 1.0, 2.0, 0.25])
    yield "dice_loss", (logits, labels), {"class_weights": weights}, (0,)
    yield "dice_loss", (probabilities(13, 2, 3, 3, CLASSES), labels), {"apply_softmax": False}, (0,)
    yield "multiclass_generalized_dice_loss", (logits, labels), {}, (0,)
    yield "multiclass_generalized_dice_loss", (logits, labels), {"ignore_background": True}, (0,)
    yield "binary_dice_loss", (logits[..., :1], labels[..., :1]), {}, (0,)
    yield "binary_dice_loss", (logits[..., :1], labels[..., :1]), {"smooth": 0.1}, (0,)


def embedding_cases() -> Iterator[Loss]:
    a, b, c = (normal(seed, BATCH, 3) for seed in (14, 15, 16))
    yield "triplet_margin_loss", (a, b, c), {}, (0, 1, 2)
    yield "triplet_margin_loss", (a, b, c), {"margin": 3.0, "norm_degree": 4}, (0, 1, 2)
    yield "triplet_margin_loss", (a, b, c), {"axis": 0, "eps": 1e-2}, (0, 1, 2)
    yield "ntxent", (normal(17, 6, 3), np.array([0, 1, 0, 2, 1, 2])), {}, (0,)
    yield "ntxent", (normal(17, 6, 3), np.array([0, 0, 0, 1, 1, 1])), {"temperature": 0.5}, (0,)
    yield "ranking_softmax_loss", (normal(18, 3, 5), np.abs(normal(19, 3, 5))), {}, (0,)
    yield (
        "ranking_softmax_loss",
        (normal(18, 3, 4), np.abs(normal(19, 3, 4))),
        {"where": WHERE[:3], "weights": np.array([[0.5, 1.0, 2.0, 0.25]] * 3)},
        (0,),
    )


def sequence_cases() -> Iterator[Loss]:
    logits = normal(20, 3, 7, CLASSES)
    padding = np.zeros((3, 7))
    padding[1, 5:] = 1
    labels = np.array([[1, 2, 3], [2, 2, 0], [3, 0, 0]])
    label_padding = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    yield "ctc_loss", (logits, padding, labels, label_padding), {}, (0,)
    yield "ctc_loss", (logits, padding, np.where(labels == 3, 1, labels), label_padding), {"blank_id": 3}, (0,)
    impossible = (logits[:, :2], np.zeros((3, 2)), np.array([[1, 1, 1]] * 3), np.zeros((3, 3)))
    yield "ctc_loss", impossible, {}, ()


FAMILIES: tuple[Callable[[], Iterator[Loss]], ...] = (
    regression_cases,
    categorical_cases,
    binary_cases,
    divergence_cases,
    segmentation_cases,
    embedding_cases,
    sequence_cases,
)


def evaluate(fn: str, args: tuple[Any, ...], kwargs: dict[str, Any], argnums: tuple[int, ...]) -> dict[str, np.ndarray]:
    def loss(*active: Any) -> jax.Array:
        merged = list(args)
        for position, value in zip(argnums, active, strict=True):
            merged[position] = value
        return getattr(optax.losses, fn)(*merged, **kwargs)

    value, pull = jax.vjp(loss, *(args[position] for position in argnums))
    ct = normal(99, *value.shape)
    arrays = {"value": value, "ct": ct}
    for position, grad in zip(argnums, pull(ct), strict=True):
        arrays[f"grad{position}"] = grad
    return {name: np.asarray(array) for name, array in arrays.items()}


def main() -> None:
    arrays: dict[str, np.ndarray] = {}
    config: list[dict[str, Any]] = []
    for family in FAMILIES:
        for fn, args, kwargs, argnums in family():
            name = f"{fn}_{len(config):02d}"
            with jax.enable_x64(True):
                values = evaluate(fn, args, kwargs, argnums)
            arrays.update({f"{name}_{part}": value for part, value in values.items()})
            arrays.update({f"{name}_arg{i}": np.asarray(arg) for i, arg in enumerate(args)})
            config.append({"name": name, "fn": fn, "nargs": len(args), "kwargs": encode(kwargs), "argnums": argnums})
    save("losses", arrays, config)


if __name__ == "__main__":
    main()
