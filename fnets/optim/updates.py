"""Applying updates to parameters, and averaging parameters. May import the package's numerics, fnets.numpy and tree."""

from __future__ import annotations

from typing import Any

import fnets.numpy as fnp
from fnets.core.trace import dtype_of
from fnets.optim.numerics import choose, like, map_or_none
from fnets.primitives.base import arr, convert


def apply_updates(params: Any, updates: Any) -> Any:
    """The parameters plus the updates, in the parameters' own dtypes.

    Args:
      params: a tree of arrays.
      updates: a tree of the same structure.

    Returns:
      A new tree; a parameter that is None stays None.

    >>> apply_updates({"w": fnp.ones(2)}, {"w": fnp.array([-0.5, 0.5])})
    {'w': array([0.5, 1.5], dtype=float32)}
    """

    def step(p: Any, u: Any) -> Any:
        p = arr(p)
        return convert(fnp.add(p, u), dtype_of(p))

    return map_or_none(step, params, updates)


def incremental_update(new_tensors: Any, old_tensors: Any, step_size: Any) -> Any:
    """`step_size * new + (1 - step_size) * old`: a moving average of parameters (Polyak averaging).

    >>> incremental_update([2.0], [0.0], 0.25)
    [0.5]
    """

    def average(new: Any, old: Any) -> Any:
        return fnp.add(fnp.multiply(like(step_size, new), new), fnp.multiply(like(1.0 - step_size, old), old))

    return map_or_none(average, new_tensors, old_tensors)


def periodic_update(new_tensors: Any, old_tensors: Any, steps: Any, update_period: Any) -> Any:
    """The new parameters at every `update_period`-th step, else the old ones.

    Args:
      new_tensors, old_tensors: trees of one structure.
      steps: the number of steps so far.
      update_period: how often to switch.

    >>> periodic_update([2.0], [0.0], 4, 2), periodic_update([2.0], [0.0], 5, 2)
    ([2.0], [0.0])
    """
    return choose(fnp.equal(fnp.mod(steps, update_period), 0), lambda: new_tensors, lambda: old_tensors)
