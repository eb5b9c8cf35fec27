"""Keeping parameters, or updates, within bounds. May import the package's base modules, fnets.numpy, tree."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import fnets.numpy as fnp
from fnets import tree
from fnets.optim.base import (
    EmptyState,
    GradientTransformation,
    OptState,
    Params,
    Updates,
    init_empty_state,
    require_params,
)
from fnets.optim.numerics import map_or_none

NonNegativeParamsState = EmptyState


def keep_params_nonnegative() -> GradientTransformation:
    """Shortens updates so that parameters which are non-negative stay so. Place it last in a chain.

    Raises:
      ArgumentError: `update` is called without `params`.

    >>> tx = keep_params_nonnegative()
    >>> tx.update(fnp.array([-3.0, -1.0]), tx.init(None), fnp.array([2.0, 2.0]))[0]
    array([-2., -1.], dtype=float32)
    """

    def update(updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, OptState]:
        require_params("keep_params_nonnegative", params)
        return map_or_none(
            lambda p, u: fnp.where(fnp.less(fnp.add(p, u), 0), fnp.negative(p), u), params, updates
        ), state

    return GradientTransformation(init_empty_state, update)


class ZeroNansState(NamedTuple):
    """For each leaf whether its last update had a NaN.

    >>> ZeroNansState(found_nan=[False])
    ZeroNansState(found_nan=[False])
    """

    found_nan: Any


def zero_nans() -> GradientTransformation:
    """Replaces NaNs in the updates by zeros; the state tells which leaves had any.

    >>> tx = zero_nans()
    >>> tx.update(fnp.array([float("nan"), 1.0]), tx.init(fnp.zeros(2)))[0]
    array([0., 1.], dtype=float32)
    """

    def init(params: Params) -> ZeroNansState:
        return ZeroNansState(tree.map(lambda p: np.asarray(False), params))

    def update(updates: Updates, state: ZeroNansState, params: Params | None = None) -> tuple[Updates, ZeroNansState]:
        found = tree.map(lambda u: fnp.any(fnp.isnan(u)), updates)
        return tree.map(lambda u: fnp.where(fnp.isnan(u), fnp.zeros_like(u), u), updates), ZeroNansState(found)

    return GradientTransformation(init, update)
