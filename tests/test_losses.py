"""Losses against optax's values and gradients (tests/golden/losses.npz), in float32 and float64, and what they refuse."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets import nn, optim
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.nn import losses

sys.path.insert(0, str(Path(__file__).parent / "golden"))
from golden_io import load

CASES, ARRAYS = load("losses")
IDS = [case["name"] for case in CASES]


def arguments(case: dict, dtype: Any) -> list:
    args = [ARRAYS[f"{case['name']}_arg{i}"] for i in range(case["nargs"])]
    args = [a.astype(dtype) if a.dtype.kind == "f" else a for a in args]
    return [a.item() if a.ndim == 0 and case["fn"] == "smooth_labels" else a for a in args]


def keywords(case: dict, dtype: Any) -> dict:
    return {
        k: v.astype(dtype) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v
        for k, v in case["kwargs"].items()
    }


def value_and_grads(case: dict, dtype: Any) -> tuple[Any, list]:
    args, kwargs = arguments(case, dtype), keywords(case, dtype)

    def loss(*active: Any) -> Any:
        merged = list(args)
        for position, value in zip(case["argnums"], active):
            merged[position] = value
        return getattr(losses, case["fn"])(*merged, **kwargs)

    value, pull = fnets.vjp(loss, *[args[i] for i in case["argnums"]])
    return value, list(pull(ARRAYS[f"{case['name']}_ct"].astype(value.dtype)))


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_float64_values_and_gradients(case: dict):
    value, grads = value_and_grads(case, np.float64)
    assert value.dtype == np.float64
    np.testing.assert_allclose(value, ARRAYS[f"{case['name']}_value"], rtol=1e-9, atol=1e-12)
    for position, grad in zip(case["argnums"], grads):
        np.testing.assert_allclose(grad, ARRAYS[f"{case['name']}_grad{position}"], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_float32_stays_float32(case: dict):
    value, grads = value_and_grads(case, np.float32)
    assert value.dtype == np.float32
    assert all(g.dtype == np.float32 for g in grads)
    np.testing.assert_allclose(value, ARRAYS[f"{case['name']}_value"], rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_jitted_equals_eager(case: dict):
    args, kwargs = arguments(case, np.float64), keywords(case, np.float64)
    fixed = {i for i, a in enumerate(args) if not isinstance(a, np.ndarray)}
    function = getattr(losses, case["fn"])
    jitted = fnets.jit(lambda *dynamic: function(*merge(args, fixed, dynamic), **kwargs))
    got = jitted(*[a for i, a in enumerate(args) if i not in fixed])
    np.testing.assert_allclose(got, function(*args, **kwargs), rtol=1e-12, atol=1e-14)


def merge(args: list, fixed: set, dynamic: tuple) -> list:
    it = iter(dynamic)
    return [a if i in fixed else next(it) for i, a in enumerate(args)]


def test_optim_and_nn_share_the_losses():
    for name in losses.__all__:
        assert getattr(optim.losses, name) is getattr(losses, name)
    assert optim.softmax_cross_entropy is nn.softmax_cross_entropy is losses.softmax_cross_entropy


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_mse_reductions(reduction: str):
    pred, target = np.array([[1.0, 3.0]], np.float32), np.array([[0.0, 1.0]], np.float32)
    square = (pred - target) ** 2
    expected = {"mean": square.mean(), "sum": square.sum(), "none": square}[reduction]
    np.testing.assert_allclose(losses.mse(pred, target, reduction), expected)


@pytest.mark.parametrize(
    ("error", "call", "says"),
    [
        (DTypeError, lambda: losses.softmax_cross_entropy(np.array([1, 2]), np.array([0.0, 1.0])), "float dtype"),
        (
            DTypeError,
            lambda: losses.softmax_cross_entropy_with_integer_labels(np.ones((2, 3)), np.ones(2)),
            "integer labels",
        ),
        (ShapeError, lambda: losses.squared_error(np.ones((2, 1)), np.ones(2)), "one shape"),
        (ShapeError, lambda: losses.l2_loss(np.ones((2, 1)), np.ones(2)), "one shape"),
        (ArgumentError, lambda: losses.mse(np.ones(2), np.ones(2), "max"), "reduction"),
        (ShapeError, lambda: losses.ctc_loss(np.ones((2, 3)), np.ones(2), np.ones(2, int), np.ones(2)), "logits"),
        (ShapeError, lambda: losses.ntxent(np.ones((3, 2)), np.array([0, 1])), "as many labels"),
        (
            IndexError,
            lambda: losses.softmax_cross_entropy_with_integer_labels(np.ones((2, 3)), np.array([0, 3])),
            "3",
        ),
        (
            ArgumentError,
            lambda: losses.dice_loss(np.ones((1, 2, 3)), np.ones((1, 2, 3)), apply_softmax=False),
            "sum to 1",
        ),
    ],
)
def test_wrong_arguments(error: type, call: Any, says: str):
    with pytest.raises(error, match=says):
        call()


def test_cross_entropy_of_the_tutorial_is_a_handful_of_calls():
    logits = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)
    labels = np.arange(64) % 10

    def loss(logits: Any) -> Any:
        return fnp.mean(losses.softmax_cross_entropy_with_integer_labels(logits, labels))

    jaxpr = fnets.make_jaxpr(fnets.value_and_grad(loss))(logits)
    heavy = [e.prim.name for e in jaxpr.eqns if any(v.aval.size >= 640 for v in (*e.invars, *e.outvars))]
    assert len(heavy) <= 9, heavy
