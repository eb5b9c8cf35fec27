"""Lookahead: slow parameters that follow fast ones. May import the package's base modules, fnets.numpy, tree."""

from __future__ import annotations

from typing import Any, NamedTuple

import fnets.numpy as fnp
from fnets import tree
from fnets.errors import ArgumentError
from fnets.optim.base import GradientTransformation, OptState, Params, Updates
from fnets.optim.numerics import choose, like, zero_count


class LookaheadState(NamedTuple):
    """The fast optimizer's state and the number of steps since the last synchronisation.

    >>> LookaheadState(fast_state=(), steps_since_sync=0)
    LookaheadState(fast_state=(), steps_since_sync=0)
    """

    fast_state: OptState
    steps_since_sync: Any


class LookaheadParams(NamedTuple):
    """Fast parameters, at which gradients are taken, and the slow ones that follow them.

    >>> LookaheadParams.init_synced([1.0])
    LookaheadParams(fast=[1.0], slow=[1.0])
    """

    fast: Params
    slow: Params

    @classmethod
    def init_synced(cls, params: Params) -> LookaheadParams:
        """Both start from the same parameters."""
        return cls(fast=params, slow=params)


def lookahead(
    fast_optimizer: GradientTransformation, sync_period: int, slow_step_size: Any, reset_state: bool = False
) -> GradientTransformation:
    """Every `sync_period` steps moves the slow parameters towards the fast ones, and the fast ones onto them (Zhang et al., 2019).

    The parameters of `init` and `update` are `LookaheadParams`, and so are the updates; the gradients are those of the fast ones.

    Args:
      fast_optimizer: the optimizer of the fast parameters.
      sync_period: how often to synchronise.
      slow_step_size: how far the slow parameters go, as a fraction of the distance.
      reset_state: start the fast optimizer anew each time.

    Raises:
      ArgumentError: `sync_period` is less than 1; `update` gets other parameters.

    >>> from fnets.optim.transforms.scaling import scale
    >>> tx = lookahead(scale(-1.0), sync_period=1, slow_step_size=0.5)
    >>> params = LookaheadParams.init_synced([fnp.array(1.0)])
    >>> updates, _ = tx.update([fnp.array(1.0)], tx.init(params), params)
    >>> float(updates.fast[0]), float(updates.slow[0])
    (-0.5, -0.5)
    """
    if sync_period < 1:
        raise ArgumentError(f"[lookahead] expected sync_period of at least 1, got {sync_period}.")

    def init(params: Params) -> LookaheadState:
        return LookaheadState(fast_optimizer.init(getattr(params, "fast", params)), zero_count())

    def update(
        updates: Updates, state: LookaheadState, params: LookaheadParams | None = None
    ) -> tuple[LookaheadParams, LookaheadState]:
        if not hasattr(params, "fast") or not hasattr(params, "slow"):
            raise ArgumentError(
                f"[lookahead] expected LookaheadParams as params, got {type(params).__name__}. Use LookaheadParams.init_synced(params)."
            )
        fast, fast_state = fast_optimizer.update(updates, state.fast_state, params.fast)
        sync = fnp.equal(state.steps_since_sync, sync_period - 1)
        ahead = tree.map(lambda f, u, s: fnp.subtract(fnp.add(f, u), s), params.fast, fast, params.slow)
        slow = tree.map(lambda d: fnp.where(sync, fnp.multiply(like(slow_step_size, d), d), fnp.zeros_like(d)), ahead)
        back = tree.map(lambda d: fnp.multiply(like(1.0 - slow_step_size, d), d), ahead)
        fast = tree.map(lambda u, b: fnp.where(sync, fnp.subtract(u, b), u), fast, back)
        if reset_state:
            fast_state = choose(sync, lambda: fast_optimizer.init(params.fast), lambda: fast_state)
        steps = fnp.mod(fnp.add(state.steps_since_sync, 1), sync_period)
        return LookaheadParams(fast=fast, slow=slow), LookaheadState(fast_state, steps)

    return GradientTransformation(init, update)
