"""Compound primitives, and sums of pieces, in the primitives that kernels are made of."""

from __future__ import annotations

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
import fnets.optim
from fnets.backends.llvm.passes.expand import expand
from fnets.backends.passes import optimise
from tests.backends.test_llvm import check

pytest.importorskip("llvmlite")

rng = np.random.default_rng(0)


def primitives(f, *args) -> list[str]:
    return [e.prim.name for e in expand(optimise(fnets.make_jaxpr(f)(*args).jaxpr)).eqns]


def gates(x, axis):
    i, f, g, o = fnp.split(x, 4, axis)
    return fnp.sum(fnp.tanh(i) * f + g * o * o)


@pytest.mark.parametrize("axis", [0, 1])
def test_gradients_of_pieces_are_joined(axis):
    x = rng.standard_normal((8, 12)).astype(np.float32)
    f = fnets.grad(lambda x: gates(x, axis))
    names = primitives(f, x)
    assert names.count("concatenate") == 1 and "pad" not in names
    check(f, x)


def test_what_overlaps_or_leaves_gaps_stays_a_sum():
    x = rng.standard_normal((6, 9)).astype(np.float32)
    for f in (
        lambda x: fnp.sum(x[:, :5] ** 2) + fnp.sum(x[:, 4:] ** 3),
        lambda x: fnp.sum(x[:, :4] ** 2) + fnp.sum(x[:, 5:] ** 3),
        lambda x: fnp.sum(x[:3] ** 2) + fnp.sum(x[3:, 2:] ** 3),
    ):
        assert "concatenate" not in primitives(fnets.grad(f), x)
        check(fnets.grad(f), x)


def test_some_pieces_of_a_larger_sum():
    x = rng.standard_normal((6, 9)).astype(np.float32)
    check(fnets.grad(lambda x: fnp.sum(x[:, :4] ** 2) + fnp.sum(x[:, 4:] ** 3) + fnp.sum(x**4)), x)


def test_zeros_keep_the_sign_of_the_sum():
    def f(a, b):
        return fnp.pad(a, ((0, 2),)) + fnp.pad(b, ((2, 0),))

    a, b = np.array([-0.0, 1.0]), np.array([0.0, -0.0])
    assert "concatenate" in primitives(f, a, b)
    np.testing.assert_array_equal(np.signbit(fnets.jit(f, backend="llvm")(a, b)), np.signbit(f(a, b)))


def cross_entropy(x, labels):
    return fnets.optim.softmax_cross_entropy_with_integer_labels(x, labels).mean()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("index", [np.int8, np.int32, np.int64])
def test_labels_are_compared_with_the_numbers_of_columns(dtype, index):
    x, labels = rng.standard_normal((37, 19)).astype(dtype), rng.integers(-19, 19, 37).astype(index)
    f = fnets.value_and_grad(cross_entropy)
    assert ("gather_transpose" in primitives(f, x, labels)) == (index is np.int8)
    check(f, x, labels)
    labels[5] = 19
    with pytest.raises(IndexError):
        fnets.jit(f, backend="llvm")(x, labels)


def test_without_the_gather_its_transpose_checks_the_labels():
    x, labels = rng.standard_normal((7, 5)), np.array([0, 4, 2, 2, 1, 0, 3])
    f = fnets.grad(lambda x, labels: fnp.sum(3 * x[np.arange(7), labels]))
    check(f, x, labels)
    labels[2] = 5
    with pytest.raises(IndexError):
        fnets.jit(f, backend="llvm")(x, labels)


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 2), (0, 1), (0, 1, 2)])
@pytest.mark.parametrize("f", [fnets.nn.softmax, fnets.nn.log_softmax, fnets.nn.logsumexp])
def test_rows_in_any_direction_run_natively(f, axes):
    x = rng.standard_normal((5, 6, 7)).astype(np.float32)
    x[0, 0] = -np.inf if len(axes) == 1 and axes != (2,) else x[0, 0]
    report = check(lambda x: f(x, axis=axes), x)
    assert report.numpy == []
    check(fnets.grad(lambda x: fnp.sum(fnp.sin(f(x[1:], axis=axes)))), x)


def test_a_product_with_a_number_is_a_multiplication():
    def f(x, y):
        return 3.0 * (x @ y)

    x, y = rng.standard_normal((2, 9))
    names = primitives(fnets.grad(f), x, y)
    assert "dot_general" not in names and "mul" in names
    check(fnets.grad(f), x, y)
