"""`microbatch` against the function of the whole batch; every accumulator, trees, jit, grad, wrong calls."""

from __future__ import annotations

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp
from fnets.errors import ArgumentError, DTypeError, ShapeError
from fnets.optim import microbatch
from fnets.optim.microbatching import AccumulationType, Accumulator

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((6, 3)), rng.standard_normal((4, 6))


def f(x, y=None, k=1.0):
    return {"total": fnp.sum(x["u"] ** 2) * k, "rows": x["u"] + 1, "other": None if y is None else fnp.sum(y, 1)}


@pytest.mark.parametrize("wrap", [lambda g: g, fnets.jit])
def test_parts_give_the_whole(wrap):
    kinds = {"total": AccumulationType.SUM, "rows": AccumulationType.CONCAT, "other": AccumulationType.SUM}
    got = wrap(microbatch(f, 0, 2, kinds, argnames="y", in_axes=(0, 1)))({"u": X}, y=Y, k=2.0)
    expected = f({"u": X}, Y, 2.0)
    for name in kinds:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-12)


@pytest.mark.parametrize("parts", [None, 2])
def test_means(parts):
    order = X.reshape(2, 3, 3).swapaxes(0, 1)  # the rows of a part are as far apart as can be
    values = np.sin(order).sum(2)
    done = values if parts is None else values[:parts]
    mean = microbatch(lambda x: fnp.sum(fnp.sin(x), 1), 0, 2, AccumulationType.MEAN, num_real_microbatches=parts)(X)
    np.testing.assert_allclose(mean, done.sum(0) / 3, rtol=1e-12)
    running = microbatch(
        lambda x: fnp.sum(fnp.sin(x), 1), 0, 2, AccumulationType.RUNNING_MEAN, num_real_microbatches=parts
    )(X)
    np.testing.assert_allclose(running, done.mean(0), rtol=1e-12)


def test_of_gradients_and_differentiated():
    def loss(w, x):
        return fnp.sum(fnp.tanh(x @ w))

    w = rng.standard_normal(3)
    whole = fnets.value_and_grad(loss)(w, X)
    for got in (
        microbatch(fnets.value_and_grad(loss), 1, 3)(w, X),
        fnets.value_and_grad(microbatch(loss, -1, 3))(w, X),
        fnets.jit(fnets.value_and_grad(microbatch(loss, 1, 3)))(w, X),
    ):
        np.testing.assert_allclose(got[0], whole[0], rtol=1e-12)
        np.testing.assert_allclose(got[1], whole[1], rtol=1e-12)


def test_an_accumulator_of_ones_own():
    largest = Accumulator(lambda x: np.full(x.shape, -np.inf), lambda c, v, i: fnp.maximum(c, v), lambda c: c)
    assert microbatch(fnp.max, 0, 2, largest)(X) == X.max()
    assert microbatch(fnp.max, 0, None) is fnp.max


def test_wrong_calls_say_so():
    with pytest.raises(ShapeError, match="multiple of 4"):
        microbatch(fnp.sum, 0, 4)(X)
    with pytest.raises(ShapeError, match="one length"):
        microbatch(lambda x, y: 0.0, (0, 1), 2)(X, Y)
    with pytest.raises(DTypeError, match="mean"):
        microbatch(fnp.sum, 0, 2, AccumulationType.MEAN)(np.arange(4))
    with pytest.raises(ArgumentError, match="AccumulationType"):
        microbatch(fnp.sum, 0, 2, "sum")(X)
    with pytest.raises(ArgumentError, match="in_axes"):
        microbatch(fnp.sum, 0, 2, in_axes=(0, 1))
