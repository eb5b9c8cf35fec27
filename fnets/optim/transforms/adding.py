"""Adding something to the updates: weight decay, noise. May import the package's base modules, masking, schedules, fnets.numpy, random."""

from __future__ import annotations

from typing import Any, NamedTuple

import fnets.numpy as fnp
from fnets import random
from fnets.errors import ArgumentError
from fnets.optim import tree as otu
from fnets.optim.base import (
    EmptyState,
    GradientTransformation,
    MaskOrFn,
    OptState,
    Params,
    ScalarOrSchedule,
    Updates,
    require_params,
)
from fnets.optim.numerics import like, map_or_none, safe_increment, zero_count
from fnets.optim.schedules import exact
from fnets.optim.transforms.masking import masked
from fnets.primitives.base import convert


class WeightDecaySchedule(NamedTuple):
    """The number of updates so far, for a weight decay that follows a schedule.

    >>> WeightDecaySchedule(count=0)
    WeightDecaySchedule(count=0)
    """

    count: Any


def add_decayed_weights(weight_decay: ScalarOrSchedule = 0.0, mask: MaskOrFn = None) -> GradientTransformation:
    """Adds `weight_decay * params` to the updates.

    Before the learning rate in a chain this is decoupled weight decay as in AdamW (Loshchilov and Hutter, 2019); before an adaptive
    scaling it is L2 regularisation.

    Args:
      weight_decay: a number, or a schedule.
      mask: a tree of bools (or a function of the parameters that returns one): True where it applies; a prefix will do.

    Raises:
      ArgumentError: `update` is called without `params`.

    >>> tx = add_decayed_weights(0.5)
    >>> float(tx.update([1.0], tx.init([2.0]), [2.0])[0][0])
    2.0
    """
    scheduled = callable(weight_decay)

    def init(params: Params) -> OptState:
        return WeightDecaySchedule(count=zero_count()) if scheduled else EmptyState()

    def update(updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, OptState]:
        require_params("add_decayed_weights", params)
        if scheduled:
            factor = exact(weight_decay)(state.count)
            state = WeightDecaySchedule(count=safe_increment(state.count))
        elif isinstance(weight_decay, (int, float)) and weight_decay == 0.0:
            return updates, state
        else:
            factor = weight_decay
        return map_or_none(lambda g, p: fnp.add(g, fnp.multiply(like(factor, p), p)), updates, params), state

    tx = GradientTransformation(init, update)
    return tx if mask is None else masked(tx, mask)


class AddNoiseState(NamedTuple):
    """The number of updates so far and the random key for the next.

    >>> AddNoiseState(count=0, rng_key=None)
    AddNoiseState(count=0, rng_key=None)
    """

    count: Any
    rng_key: Any


def add_noise(eta: Any, gamma: Any, key: Any = None, *, seed: int | None = None) -> GradientTransformation:
    """Adds Gaussian noise of variance `eta / count ** gamma` (Neelakantan et al., 2015).

    Args:
      eta: variance of the noise at the first step.
      gamma: how fast it decays.
      key: a random key, or an int to make one from; 0 if neither it nor `seed` is given.
      seed: the older name of an int `key`.

    Raises:
      ArgumentError: both `key` and `seed` are given.

    >>> tx = add_noise(0.01, 0.55, key=0)
    >>> tx.update(fnp.ones(3), tx.init(fnp.ones(3)))[0].dtype
    dtype('float32')
    """
    if key is not None and seed is not None:
        raise ArgumentError("[add_noise] expected one of key and seed, got both. Pass key= alone.")
    key = seed if key is None else key
    key = 0 if key is None else key

    def init(params: Params) -> AddNoiseState:
        return AddNoiseState(count=zero_count(), rng_key=random.key(key) if isinstance(key, int) else key)

    def update(updates: Updates, state: AddNoiseState, params: Params | None = None) -> tuple[Updates, AddNoiseState]:
        count = safe_increment(state.count)
        deviation = fnp.sqrt(fnp.divide(eta, fnp.power(convert(count, "float64"), gamma)))
        keys = random.split(state.rng_key)
        noise = otu.random_like(keys[1], updates, sampler=random.normal)
        return otu.add_scale(updates, deviation, noise), AddNoiseState(count=count, rng_key=keys[0])

    return GradientTransformation(init, update)
