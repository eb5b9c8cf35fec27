"""The optimizers: chains of the transformations. May import the package's transforms, line searches and base modules.

All take their learning rate as a number or as a schedule, and are used in the same way:

>>> import fnets, fnets.numpy as fnp
>>> from fnets.optim.updates import apply_updates
>>> optimizer = adam(0.1)
>>> params = {"w": fnp.array([1.0, -2.0])}
>>> state = optimizer.init(params)
>>> for _ in range(100):
...     grads = fnets.grad(lambda p: fnp.sum(p["w"] ** 2))(params)
...     updates, state = optimizer.update(grads, state, params)
...     params = apply_updates(params, updates)
>>> bool(fnp.all(fnp.abs(params["w"]) < 0.1))
True
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import fnets.numpy as fnp
from fnets.errors import ArgumentError
from fnets.optim.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    MaskOrFn,
    ScalarOrSchedule,
    identity,
)
from fnets.optim.lbfgs import scale_by_lbfgs
from fnets.optim.linesearch import scale_by_zoom_linesearch
from fnets.optim.schedules import exact
from fnets.optim.transforms.accumulation import ema, trace
from fnets.optim.transforms.adaptive import (
    scale_by_adam,
    scale_by_adamax,
    scale_by_adan,
    scale_by_amsgrad,
    scale_by_belief,
    scale_by_lion,
    scale_by_novograd,
    scale_by_radam,
    scale_by_yogi,
)
from fnets.optim.transforms.adding import add_decayed_weights, add_noise
from fnets.optim.transforms.clipping import clip_by_block_rms
from fnets.optim.transforms.combining import chain
from fnets.optim.transforms.masking import masked
from fnets.optim.transforms.scaling import (
    scale,
    scale_by_learning_rate,
    scale_by_optimistic_gradient,
    scale_by_param_block_rms,
    scale_by_polyak,
    scale_by_rprop,
    scale_by_sign,
    scale_by_trust_ratio,
)
from fnets.optim.transforms.squares import (
    scale_by_adadelta,
    scale_by_factored_rms,
    scale_by_rms,
    scale_by_rss,
    scale_by_sm3,
    scale_by_stddev,
)

Optimizer = GradientTransformationExtraArgs

# ---------------------------------------------------------------- gradient descent


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


# ---------------------------------------------------------------- Adam and its relatives


def adam(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    *,
    nesterov: bool = False,
) -> Optimizer:
    """Adam (Kingma and Ba, 2014): steps along the average gradient over the root of the average square.

    Args:
      learning_rate: a number or a schedule.
      b1, b2: the decay of the averages of the gradients and of their squares.
      eps: added to the root.
      eps_root: added under the root; differentiating through an update needs it.
      mu_dtype: dtype of the average gradient; by default that of the parameters.
      nesterov: Nesterov's momentum (Dozat, 2016).

    >>> import fnets.numpy as fnp
    >>> tx = adam(0.5)
    >>> tx.update(fnp.array([3.0, -0.1]), tx.init(fnp.zeros(2)))[0].round(4)
    array([-0.5,  0.5], dtype=float32)
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov), scale_by_learning_rate(learning_rate)
    )


def adamw(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    weight_decay: ScalarOrSchedule = 1e-4,
    mask: MaskOrFn = None,
    *,
    nesterov: bool = False,
) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019); the decay is multiplied with the learning rate.

    Args:
      learning_rate, b1, b2, eps, eps_root, mu_dtype, nesterov: as in `adam`.
      weight_decay: a number or a schedule (PyTorch's default is 1e-2).
      mask: which parameters decay, as in `add_decayed_weights`.

    >>> import fnets.numpy as fnp
    >>> tx = adamw(0.5, weight_decay=1.0)
    >>> tx.update(fnp.ones(2), tx.init(fnp.ones(2)), fnp.ones(2))[0].round(4)
    array([-1., -1.], dtype=float32)
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


nadam = functools.partial(adam, nesterov=True)
nadam.__doc__ = """Adam with Nesterov's momentum (Dozat, 2016): `adam(..., nesterov=True)`.

>>> import fnets.numpy as fnp
>>> tx = nadam(0.5)
>>> tx.update(fnp.ones(1), tx.init(fnp.zeros(1)))[0].round(4)
array([-0.7368], dtype=float32)
"""

nadamw = functools.partial(adamw, nesterov=True)
nadamw.__doc__ = """AdamW with Nesterov's momentum (Dozat, 2016): `adamw(..., nesterov=True)`.

>>> import fnets.numpy as fnp
>>> tx = nadamw(0.5)
>>> tx.update(fnp.ones(1), tx.init(fnp.zeros(1)), fnp.zeros(1))[0].round(4)
array([-0.7368], dtype=float32)
"""


def adabelief(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-16,
    eps_root: Any = 1e-16,
    *,
    nesterov: bool = False,
) -> Optimizer:
    """Adam with small steps where gradients differ from their average (Zhuang et al., 2020).

    Args:
      learning_rate: a number or a schedule.
      b1, b2, eps, eps_root, nesterov: as in `scale_by_belief`.

    >>> import fnets.numpy as fnp
    >>> tx = adabelief(0.5)
    >>> tx.update(fnp.ones(1), tx.init(fnp.zeros(1)))[0].round(4)
    array([-0.5556], dtype=float32)
    """
    return chain(scale_by_belief(b1, b2, eps, eps_root, nesterov=nesterov), scale_by_learning_rate(learning_rate))


def adamax(learning_rate: ScalarOrSchedule, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8) -> Optimizer:
    """Adam with the decaying maximum of the gradients' sizes in place of the root (Kingma and Ba, 2014).

    Args:
      learning_rate: a number or a schedule.
      b1, b2, eps: as in `scale_by_adamax`.

    >>> import fnets.numpy as fnp
    >>> tx = adamax(0.5)
    >>> tx.update(fnp.ones(1), tx.init(fnp.zeros(1)))[0].round(4)
    array([-0.5], dtype=float32)
    """
    return chain(scale_by_adamax(b1, b2, eps), scale_by_learning_rate(learning_rate))


def adamaxw(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    weight_decay: ScalarOrSchedule = 1e-4,
    mask: MaskOrFn = None,
) -> Optimizer:
    """`adamax` with decoupled weight decay.

    Args:
      learning_rate, b1, b2, eps: as in `adamax`.
      weight_decay, mask: as in `add_decayed_weights`.

    >>> import fnets.numpy as fnp
    >>> tx = adamaxw(0.5, weight_decay=1.0)
    >>> tx.update(fnp.ones(1), tx.init(fnp.ones(1)), fnp.ones(1))[0].round(4)
    array([-1.], dtype=float32)
    """
    return chain(
        scale_by_adamax(b1, b2, eps), add_decayed_weights(weight_decay, mask), scale_by_learning_rate(learning_rate)
    )


def adan(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.98,
    b2: Any = 0.92,
    b3: Any = 0.99,
    eps: Any = 1e-8,
    eps_root: Any = 1e-8,
    weight_decay: ScalarOrSchedule = 0.0,
    mask: MaskOrFn = None,
) -> Optimizer:
    """Adaptive Nesterov momentum (Xie et al., 2022).

    Args:
      learning_rate: a number or a schedule.
      b1, b2, b3, eps, eps_root: as in `scale_by_adan`.
      weight_decay, mask: as in `add_decayed_weights`.

    >>> import fnets.numpy as fnp
    >>> tx = adan(0.5)
    >>> tx.update(fnp.ones(1), tx.init(fnp.zeros(1)), fnp.zeros(1))[0].round(4)
    array([-0.5], dtype=float32)
    """
    return chain(
        scale_by_adan(b1, b2, b3, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def amsgrad(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    bias_correction_mu: bool = True,
    bias_correction_nu: bool = True,
) -> Optimizer:
    """Adam whose denominator never shrinks (Reddi et al., 2018).

    Args:
      learning_rate, b1, b2, eps, eps_root, mu_dtype: as in `adam`.
      bias_correction_mu, bias_correction_nu: as in `scale_by_amsgrad`.

    >>> import fnets.numpy as fnp
    >>> tx = amsgrad(0.5)
    >>> tx.update(fnp.ones(1), tx.init(fnp.zeros(1)))[0].round(4)
    array([-0.5], dtype=float32)
    """
    return chain(
        scale_by_amsgrad(b1, b2, eps, eps_root, mu_dtype, bias_correction_mu, bias_correction_nu),
        scale_by_learning_rate(learning_rate),
    )


def lamb(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-6,
    eps_root: Any = 0.0,
    weight_decay: ScalarOrSchedule = 0.0,
    mask: MaskOrFn = None,
) -> Optimizer:
    """AdamW with steps in proportion to each layer's weights, for large batches (You et al., 2020).

    Args:
      learning_rate, b1, b2, eps, eps_root: as in `adam`.
      weight_decay, mask: as in `add_decayed_weights`.

    >>> import fnets.numpy as fnp
    >>> tx = lamb(0.5)
    >>> tx.update(fnp.ones(4), tx.init(fnp.ones(4)), fnp.ones(4))[0].round(4)
    array([-0.5, -0.5, -0.5, -0.5], dtype=float32)
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_trust_ratio(),
        scale_by_learning_rate(learning_rate),
    )


def lars(
    learning_rate: ScalarOrSchedule,
    weight_decay: ScalarOrSchedule = 0.0,
    weight_decay_mask: MaskOrFn = True,
    trust_coefficient: Any = 0.001,
    eps: Any = 0.0,
    trust_ratio_mask: MaskOrFn = True,
    momentum: Any = 0.9,
    nesterov: bool = False,
) -> Optimizer:
    """Momentum with steps in proportion to each layer's weights, for large batches (You et al., 2017).

    Args:
      learning_rate: a number or a schedule.
      weight_decay, weight_decay_mask: as in `add_decayed_weights`.
      trust_coefficient, eps: as in `scale_by_trust_ratio`.
      trust_ratio_mask: which parameters' steps are scaled.
      momentum, nesterov: as in `trace`.

    >>> import fnets.numpy as fnp
    >>> tx = lars(1.0)
    >>> tx.update(fnp.ones(1), tx.init(fnp.ones(1)), fnp.ones(1))[0].round(4)
    array([-0.001], dtype=float32)
    """
    return chain(
        add_decayed_weights(weight_decay, mask=weight_decay_mask),
        masked(scale_by_trust_ratio(trust_coefficient=trust_coefficient, eps=eps), trust_ratio_mask),
        scale_by_learning_rate(learning_rate),
        trace(momentum, nesterov),
    )


def lion(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.99,
    mu_dtype: Any = None,
    weight_decay: ScalarOrSchedule = 1e-3,
    mask: MaskOrFn = None,
) -> Optimizer:
    """Steps of one size along the sign of a mixture of momentum and gradient (Chen et al., 2023).

    Args:
      learning_rate: a number or a schedule; three to ten times smaller than Adam's.
      b1, b2, mu_dtype: as in `scale_by_lion`.
      weight_decay, mask: as in `add_decayed_weights`.

    >>> import fnets.numpy as fnp
    >>> tx = lion(0.5)
    >>> tx.update(fnp.ones(1), tx.init(fnp.zeros(1)), fnp.zeros(1))[0]
    array([-0.5], dtype=float32)
    """
    return chain(
        scale_by_lion(b1, b2, mu_dtype), add_decayed_weights(weight_decay, mask), scale_by_learning_rate(learning_rate)
    )


def novograd(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.25,
    eps: Any = 1e-6,
    eps_root: Any = 0.0,
    weight_decay: Any = 0.0,
) -> Optimizer:
    """Momentum of gradients normalised layer by layer (Ginsburg et al., 2019).

    Args:
      learning_rate: a number or a schedule.
      b1, b2, eps, eps_root, weight_decay: as in `scale_by_novograd`.

    >>> import fnets.numpy as fnp
    >>> tx = novograd(0.5)
    >>> tx.update(fnp.ones(1), tx.init(fnp.zeros(1)), fnp.zeros(1))[0].round(4)
    array([-0.5], dtype=float32)
    """
    return chain(
        scale_by_novograd(b1=b1, b2=b2, eps=eps, eps_root=eps_root, weight_decay=weight_decay),
        scale_by_learning_rate(learning_rate),
    )


def optimistic_adam(
    learning_rate: float,
    optimism: Any = None,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    *,
    nesterov: bool = True,
) -> Optimizer:
    """The first form of `optimistic_adam_v2`, with a fixed learning rate (Daskalakis et al., 2018).

    Args:
      learning_rate: a number.
      optimism: weight of the change, by default the learning rate.
      b1, b2, eps, eps_root, mu_dtype, nesterov: as in `adam`.

    Raises:
      ArgumentError: the learning rate is a schedule.

    >>> import fnets.numpy as fnp
    >>> tx = optimistic_adam(0.5, nesterov=False)
    >>> tx.update(fnp.ones(1), tx.init(fnp.zeros(1)))[0].round(4)
    array([-0.5], dtype=float32)
    """
    if callable(learning_rate):
        raise ArgumentError(
            "[optimistic_adam] expected a number as learning_rate, got a schedule. Use optimistic_adam_v2."
        )
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        scale_by_optimistic_gradient(learning_rate, learning_rate if optimism is None else optimism),
        scale_by_learning_rate(1.0),
    )


def optimistic_adam_v2(
    learning_rate: ScalarOrSchedule,
    *,
    alpha: Any = 1.0,
    beta: Any = 1.0,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    nesterov: bool = True,
) -> Optimizer:
    """Adam that expects the next step to change as the last did, for games (Daskalakis et al., 2018).

    Args:
      learning_rate, b1, b2, eps, eps_root, mu_dtype, nesterov: as in `adam`.
      alpha, beta: as in `scale_by_optimistic_gradient`.

    >>> import fnets.numpy as fnp
    >>> tx = optimistic_adam_v2(0.5, nesterov=False)
    >>> tx.update(fnp.ones(1), tx.init(fnp.zeros(1)))[0].round(4)
    array([-0.5], dtype=float32)
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        scale_by_optimistic_gradient(alpha, beta),
        scale_by_learning_rate(learning_rate),
    )


def radam(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    threshold: Any = 5.0,
    *,
    nesterov: bool = False,
) -> Optimizer:
    """Adam that starts as plain momentum until its average squares are reliable (Liu et al., 2020).

    Args:
      learning_rate, b1, b2, eps, eps_root, nesterov: as in `adam`.
      threshold: as in `scale_by_radam`.

    >>> import fnets.numpy as fnp
    >>> tx = radam(0.5)
    >>> tx.update(fnp.ones(1), tx.init(fnp.zeros(1)))[0].round(4)
    array([-0.5], dtype=float32)
    """
    return chain(
        scale_by_radam(b1, b2, eps, eps_root, threshold, nesterov=nesterov), scale_by_learning_rate(learning_rate)
    )


def yogi(learning_rate: ScalarOrSchedule, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-3) -> Optimizer:
    """Adam whose squares change by steps of bounded size (Zaheer et al., 2018).

    Args:
      learning_rate: a number or a schedule.
      b1, b2, eps: as in `scale_by_yogi`.

    >>> import fnets.numpy as fnp
    >>> tx = yogi(0.5)
    >>> tx.update(fnp.ones(1), tx.init(fnp.zeros(1)))[0].round(3)
    array([-0.499], dtype=float32)
    """
    return chain(scale_by_yogi(b1, b2, eps), scale_by_learning_rate(learning_rate))


# ---------------------------------------------------------------- accumulated squares


def adagrad(learning_rate: ScalarOrSchedule, initial_accumulator_value: Any = 0.1, eps: Any = 1e-7) -> Optimizer:
    """Steps divided by the root of the sum of all squared gradients so far (Duchi et al., 2011).

    Args:
      learning_rate: a number or a schedule.
      initial_accumulator_value: where the sum starts.
      eps: added under the root.

    >>> import fnets.numpy as fnp
    >>> tx = adagrad(0.5, initial_accumulator_value=0.0)
    >>> tx.update(fnp.array([3.0]), tx.init(fnp.zeros(1)))[0].round(4)
    array([-0.5], dtype=float32)
    """
    return chain(scale_by_rss(initial_accumulator_value, eps), scale_by_learning_rate(learning_rate))


def rmsprop(
    learning_rate: ScalarOrSchedule,
    decay: Any = 0.9,
    eps: Any = 1e-8,
    initial_scale: Any = 0.0,
    eps_in_sqrt: bool = True,
    centered: bool = False,
    momentum: Any = None,
    nesterov: bool = False,
    bias_correction: bool = False,
) -> Optimizer:
    """Steps divided by the root of the average squared gradient (Tieleman and Hinton, 2012).

    Args:
      learning_rate: a number or a schedule.
      decay: the decay of the average.
      eps: added under the root, or to it.
      initial_scale: where the average starts.
      eps_in_sqrt: under the root; False is PyTorch's way.
      centered: divide by the standard deviation instead (Graves, 2013).
      momentum, nesterov: as in `trace`, applied to the steps.
      bias_correction: undo the pull towards the initial value.

    >>> import fnets.numpy as fnp
    >>> tx = rmsprop(0.5, decay=0.75)
    >>> tx.update(fnp.array([3.0]), tx.init(fnp.zeros(1)))[0].round(4)
    array([-1.], dtype=float32)
    """
    rescale = scale_by_stddev if centered else scale_by_rms
    return chain(
        rescale(decay, eps, initial_scale, eps_in_sqrt, bias_correction),
        scale_by_learning_rate(learning_rate),
        identity() if momentum is None else trace(momentum, nesterov),
    )


def adadelta(
    learning_rate: ScalarOrSchedule | None = None,
    rho: Any = 0.9,
    eps: Any = 1e-6,
    weight_decay: ScalarOrSchedule = 0.0,
    weight_decay_mask: MaskOrFn = None,
) -> Optimizer:
    """Steps in the parameters' own units, from averages of squared gradients and squared steps (Zeiler, 2012).

    Args:
      learning_rate: a number or a schedule. As in optax, None leaves the steps as they are, sign included.
      rho, eps: as in `scale_by_adadelta`.
      weight_decay, weight_decay_mask: as in `add_decayed_weights`.

    >>> import fnets.numpy as fnp
    >>> tx = adadelta(1.0, rho=0.75, eps=1e-4)
    >>> tx.update(fnp.ones(1), tx.init(fnp.zeros(1)), fnp.zeros(1))[0].round(3)
    array([-0.02], dtype=float32)
    """
    return chain(
        add_decayed_weights(weight_decay, mask=weight_decay_mask),
        scale_by_adadelta(rho, eps),
        scale_by_learning_rate(learning_rate),
    )


def adafactor(
    learning_rate: ScalarOrSchedule | None = None,
    min_dim_size_to_factor: int = 128,
    decay_rate: Any = 0.8,
    decay_offset: Any = 0,
    multiply_by_parameter_scale: bool = True,
    clipping_threshold: Any = 1.0,
    momentum: Any = None,
    dtype_momentum: Any = np.float32,
    weight_decay_rate: ScalarOrSchedule | None = None,
    eps: Any = 1e-30,
    factored: bool = True,
    weight_decay_mask: MaskOrFn = None,
) -> Optimizer:
    """Adaptive steps whose squares take the memory of a row and a column per matrix (Shazeer and Stern, 2018).

    Args:
      learning_rate: a number or a schedule; None for a relative step alone.
      min_dim_size_to_factor, decay_rate, decay_offset, eps, factored: as in `scale_by_factored_rms`.
      multiply_by_parameter_scale: steps in proportion to each leaf's root mean square.
      clipping_threshold: greatest root mean square of a leaf's step before scaling; None for no limit.
      momentum: the decay of an average of the steps; None for none.
      dtype_momentum: dtype of that average.
      weight_decay_rate, weight_decay_mask: as in `add_decayed_weights`, not multiplied with the learning rate.

    >>> import fnets.numpy as fnp
    >>> tx = adafactor(0.5)
    >>> tx.update(fnp.ones(1), tx.init(fnp.ones(1)), fnp.ones(1))[0].round(4)
    array([-0.5], dtype=float32)
    """
    steps: list[GradientTransformation] = [
        scale_by_factored_rms(factored, decay_rate, decay_offset, min_dim_size_to_factor, eps)
    ]
    if clipping_threshold is not None:
        steps.append(clip_by_block_rms(clipping_threshold))
    if learning_rate is not None:
        steps.append(scale_by_learning_rate(learning_rate, flip_sign=False))
    if multiply_by_parameter_scale:
        steps.append(scale_by_param_block_rms())
    if momentum is not None:
        steps.append(ema(momentum, debias=False, accumulator_dtype=dtype_momentum))
    if weight_decay_rate is not None:
        steps.append(add_decayed_weights(weight_decay_rate, mask=weight_decay_mask))
    return chain(*steps, scale(-1))


def sm3(learning_rate: float, momentum: Any = 0.9) -> Optimizer:
    """Adagrad with the memory of rows and columns (Anil et al., 2019).

    Args:
      learning_rate: a number.
      momentum: the decay of the average of the steps.

    >>> import fnets.numpy as fnp
    >>> tx = sm3(0.5, momentum=0.0)
    >>> tx.update(fnp.array([3.0]), tx.init(fnp.zeros(1)))[0].round(4)
    array([-0.5], dtype=float32)
    """
    return chain(scale_by_sm3(momentum), scale(-learning_rate))


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


# ---------------------------------------------------------------- quasi-Newton

_ZOOM = scale_by_zoom_linesearch(max_linesearch_steps=20, initial_guess_strategy="one")


def lbfgs(
    learning_rate: ScalarOrSchedule | None = None,
    memory_size: int = 10,
    scale_init_precond: bool = True,
    linesearch: GradientTransformation | None = _ZOOM,
) -> Optimizer:
    """Limited-memory BFGS: gradients multiplied with an inverse Hessian estimated from the last steps (Liu and Nocedal, 1989).

    With a line search `update` needs `value=`, `grad=` and `value_fn=`; see `value_and_grad_from_state` to compute each value once.

    Args:
      learning_rate: a number or a schedule; None for 1.
      memory_size: how many steps the estimate remembers.
      scale_init_precond: scale the estimate by the last step's curvature.
      linesearch: finds the step's length; None for the learning rate alone.

    >>> import fnets, fnets.numpy as fnp
    >>> tx = lbfgs()
    >>> f = lambda x: fnp.sum(x**2)
    >>> x = fnp.array([1.0, -2.0])
    >>> value, grad = fnets.value_and_grad(f)(x)
    >>> updates, _ = tx.update(grad, tx.init(x), x, value=value, grad=grad, value_fn=f)
    >>> bool(f(x + updates) < f(x))
    True
    """
    direction = scale(-1.0) if learning_rate is None else scale_by_learning_rate(learning_rate)
    search = identity() if linesearch is None else linesearch
    return chain(scale_by_lbfgs(memory_size, scale_init_precond), direction, search)
