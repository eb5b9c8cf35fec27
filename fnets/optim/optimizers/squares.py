"""Steps divided by accumulated squares. May import the package's transforms and base modules."""

from __future__ import annotations

from typing import Any

import numpy as np

from fnets.optim.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    MaskOrFn,
    ScalarOrSchedule,
    identity,
)
from fnets.optim.transforms.accumulation import ema, trace
from fnets.optim.transforms.adding import add_decayed_weights
from fnets.optim.transforms.clipping import clip_by_block_rms
from fnets.optim.transforms.combining import chain
from fnets.optim.transforms.scaling import scale, scale_by_learning_rate, scale_by_param_block_rms
from fnets.optim.transforms.squares import (
    scale_by_adadelta,
    scale_by_factored_rms,
    scale_by_rms,
    scale_by_rss,
    scale_by_sm3,
    scale_by_stddev,
)

Optimizer = GradientTransformationExtraArgs


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
