"""Adam and its relatives. May import the package's transforms and base modules."""

from __future__ import annotations

import functools
from typing import Any

from fnets.errors import ArgumentError
from fnets.optim.base import (
    GradientTransformationExtraArgs,
    MaskOrFn,
    ScalarOrSchedule,
)
from fnets.optim.transforms.accumulation import trace
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
from fnets.optim.transforms.adding import add_decayed_weights
from fnets.optim.transforms.combining import chain
from fnets.optim.transforms.masking import masked
from fnets.optim.transforms.scaling import scale_by_learning_rate, scale_by_optimistic_gradient, scale_by_trust_ratio

Optimizer = GradientTransformationExtraArgs


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
