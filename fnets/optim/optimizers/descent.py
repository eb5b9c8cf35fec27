"""Gradient descent in its variants. May import the package's transforms and base modules."""

from __future__ import annotations

from typing import Any

import fnets.numpy as fnp
from fnets.optim.base import (
    GradientTransformationExtraArgs,
    ScalarOrSchedule,
    identity,
)
from fnets.optim.schedules import exact
from fnets.optim.transforms.accumulation import ema, trace
from fnets.optim.transforms.adding import add_decayed_weights, add_noise
from fnets.optim.transforms.combining import chain
from fnets.optim.transforms.scaling import (
    scale,
    scale_by_learning_rate,
    scale_by_optimistic_gradient,
    scale_by_polyak,
    scale_by_rprop,
    scale_by_sign,
    scale_by_trust_ratio,
)

Optimizer = GradientTransformationExtraArgs


def sgd(
    learning_rate: ScalarOrSchedule, momentum: Any = None, nesterov: bool = False, accumulator_dtype: Any = None
) -> Optimizer:
    """Stochastic gradient descent: `p - learning_rate * g`.

    Args:
      learning_rate: a number or a schedule.
      momentum: decay of the sum of past gradients, which then takes the gradient's place (no dampening).
      nesterov: Nesterov's momentum.
      accumulator_dtype: dtype of that sum; by default that of the parameters.

    >>> import fnets.numpy as fnp
    >>> tx = sgd(0.5)
    >>> tx.update(fnp.ones(2), tx.init(fnp.zeros(2)))[0]
    array([-0.5, -0.5], dtype=float32)
    """
    first = identity() if momentum is None else trace(momentum, nesterov, accumulator_dtype)
    return chain(first, scale_by_learning_rate(learning_rate))


def noisy_sgd(
    learning_rate: ScalarOrSchedule, eta: Any = 0.01, gamma: Any = 0.55, key: Any = None, *, seed: int | None = None
) -> Optimizer:
    """Gradient descent with decaying Gaussian noise (Neelakantan et al., 2015).

    Args:
      learning_rate: a number or a schedule.
      eta, gamma, key, seed: as in `add_noise`.

    >>> import fnets.numpy as fnp
    >>> tx = noisy_sgd(0.5, key=0)
    >>> tx.update(fnp.ones(2), tx.init(fnp.zeros(2)))[0].shape
    (2,)
    """
    return chain(add_noise(eta, gamma, key, seed=seed), scale_by_learning_rate(learning_rate))


def sign_sgd(learning_rate: ScalarOrSchedule) -> Optimizer:
    """Steps of one size along the signs of the gradient (Bernstein et al., 2018).

    >>> import fnets.numpy as fnp
    >>> tx = sign_sgd(0.5)
    >>> tx.update(fnp.array([3.0, -0.1]), tx.init(fnp.zeros(2)))[0]
    array([-0.5,  0.5], dtype=float32)
    """
    return chain(scale_by_sign(), scale_by_learning_rate(learning_rate))


def signum(learning_rate: ScalarOrSchedule, beta: Any = 0.9, accumulator_dtype: Any = None) -> Optimizer:
    """Steps of one size along the signs of the average gradient (Bernstein et al., 2018).

    Args:
      learning_rate: a number or a schedule.
      beta: the decay of the average.
      accumulator_dtype: dtype of the average; by default that of the parameters.

    >>> import fnets.numpy as fnp
    >>> tx = signum(0.5)
    >>> tx.update(fnp.array([3.0, -0.1]), tx.init(fnp.zeros(2)))[0]
    array([-0.5,  0.5], dtype=float32)
    """
    average = ema(beta, debias=False, accumulator_dtype=accumulator_dtype)
    return chain(average, scale_by_sign(), scale_by_learning_rate(learning_rate))


def optimistic_gradient_descent(learning_rate: ScalarOrSchedule, alpha: Any = 1.0, beta: Any = 1.0) -> Optimizer:
    """Gradient descent that expects the next gradient to change as the last did, for games (Mokhtari et al., 2019).

    Args:
      learning_rate: a number or a schedule.
      alpha, beta: as in `scale_by_optimistic_gradient`.

    >>> import fnets.numpy as fnp
    >>> tx = optimistic_gradient_descent(0.5)
    >>> tx.update(fnp.ones(2), tx.init(fnp.zeros(2)))[0]
    array([-0.5, -0.5], dtype=float32)
    """
    return chain(scale_by_optimistic_gradient(alpha, beta), scale_by_learning_rate(learning_rate))


def polyak_sgd(
    max_learning_rate: Any = 1.0,
    scaling: ScalarOrSchedule = 1.0,
    f_min: Any = 0.0,
    eps: Any = 0.0,
    variant: str = "sps",
) -> Optimizer:
    """Gradient descent with Polyak's step size; `update` needs `value=`, the objective's value (Loizou et al., 2021).

    Args:
      max_learning_rate, f_min, eps, variant: as in `scale_by_polyak`.
      scaling: a factor of the step, a number or a schedule.

    >>> import fnets.numpy as fnp
    >>> tx = polyak_sgd()
    >>> tx.update(fnp.array([2.0]), tx.init(fnp.zeros(1)), value=1.0)[0]
    array([-0.5], dtype=float32)
    """
    step = scale_by_polyak(max_learning_rate=max_learning_rate, f_min=f_min, eps=eps, variant=variant)
    return chain(sgd(scaling), step)


def rprop(
    learning_rate: Any,
    eta_minus: Any = 0.5,
    eta_plus: Any = 1.2,
    min_step_size: Any = 1e-6,
    max_step_size: Any = 50.0,
) -> Optimizer:
    """Resilient propagation: a step size for every element, driven by the gradients' signs; for full batches.

    Args:
      learning_rate: the first step size, a number.
      eta_minus, eta_plus, min_step_size, max_step_size: as in `scale_by_rprop`.

    >>> import fnets.numpy as fnp
    >>> tx = rprop(0.5)
    >>> _, state = tx.update(fnp.ones(1), tx.init(fnp.zeros(1)))
    >>> tx.update(fnp.ones(1), state)[0]
    array([-0.5], dtype=float32)
    """
    return chain(scale_by_rprop(learning_rate, eta_minus, eta_plus, min_step_size, max_step_size), scale(-1.0))


def fromage(learning_rate: ScalarOrSchedule, min_norm: Any = 1e-6) -> Optimizer:
    """Steps relative to each leaf's norm, with the parameters shrunk to keep theirs (Bernstein et al., 2020).

    Args:
      learning_rate: a number or a schedule.
      min_norm: least norm that a leaf and its gradient count with.

    >>> import fnets.numpy as fnp
    >>> tx = fromage(0.75)
    >>> tx.update(fnp.ones(1), tx.init(fnp.ones(1)), fnp.ones(1))[0].round(4)
    array([-0.8], dtype=float32)
    """

    def shrink(rate: Any) -> Any:
        return fnp.divide(1.0, fnp.sqrt(fnp.add(1.0, fnp.square(rate))))

    rate, decay = learning_rate, None
    if callable(learning_rate):
        at = exact(learning_rate)
        rate = lambda count: fnp.multiply(at(count), shrink(at(count)))  # noqa: E731
        decay = lambda count: fnp.subtract(shrink(at(count)), 1)  # noqa: E731
    else:
        rate, decay = learning_rate * shrink(learning_rate), shrink(learning_rate) - 1
    return chain(scale_by_trust_ratio(min_norm), scale_by_learning_rate(rate), add_decayed_weights(decay))
