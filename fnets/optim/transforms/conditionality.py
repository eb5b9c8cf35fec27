"""Updating only under a condition. May import the package's base modules, fnets.numpy, tree."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, Protocol

import numpy as np

import fnets.numpy as fnp
from fnets import tree
from fnets.optim import tree as otu
from fnets.optim.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    OptState,
    Params,
    Updates,
    with_extra_args_support,
)
from fnets.optim.numerics import choose, safe_increment, zero_count


class ConditionFn(Protocol):
    """`f(step, **extra_args) -> bool scalar`.

    >>> hasattr(ConditionFn, "__call__")
    True
    """

    def __call__(self, step: Any, **extra_args: Any) -> Any: ...


class ConditionallyTransformState(NamedTuple):
    """The wrapped transformation's state and the number of calls so far.

    >>> ConditionallyTransformState(inner_state=(), step=0)
    ConditionallyTransformState(inner_state=(), step=0)
    """

    inner_state: Any
    step: Any


class ConditionallyMaskState(NamedTuple):
    """The number of calls so far and the wrapped transformation's state.

    >>> ConditionallyMaskState(step=0, inner_state=())
    ConditionallyMaskState(step=0, inner_state=())
    """

    step: Any
    inner_state: OptState


def _conditionally(
    state_type: type, inner: GradientTransformation, condition: ConditionFn, forward: bool, otherwise: Any
) -> GradientTransformationExtraArgs:
    tx = with_extra_args_support(inner)

    def init(params: Params) -> Any:
        return state_type(inner_state=tx.init(params), step=zero_count())

    def update(updates: Updates, state: Any, params: Params | None = None, **extra_args: Any) -> tuple[Updates, Any]:
        go = condition(state.step, **extra_args) if forward else condition(state.step)
        out, inner_state = choose(
            go,
            lambda: tx.update(updates, state.inner_state, params, **extra_args),
            lambda: (otherwise(updates), state.inner_state),
        )
        return out, state_type(inner_state=inner_state, step=safe_increment(state.step))

    return GradientTransformationExtraArgs(init, update)


def conditionally_transform(
    inner: GradientTransformation, should_transform_fn: ConditionFn, forward_extra_args: bool = False
) -> GradientTransformationExtraArgs:
    """Applies a transformation at some steps; at the others the updates pass as they are, and the inner state stays.

    Args:
      inner: the transformation.
      should_transform_fn: function of the number of calls so far.
      forward_extra_args: pass it the extra arguments of `update` too.

    >>> from fnets.optim.transforms.scaling import scale
    >>> tx = conditionally_transform(scale(-1.0), lambda step: step >= 1)
    >>> first, state = tx.update([1.0], tx.init([0.0]))
    >>> first, tx.update([1.0], state)[0]
    ([1.0], [-1.0])
    """
    return _conditionally(
        ConditionallyTransformState, inner, should_transform_fn, forward_extra_args, lambda updates: updates
    )


def conditionally_mask(
    inner: GradientTransformation, should_transform_fn: ConditionFn, forward_extra_args: bool = False
) -> GradientTransformationExtraArgs:
    """Applies a transformation at some steps; at the others the updates are zero, and the inner state stays.

    Args:
      inner, should_transform_fn, forward_extra_args: as in `conditionally_transform`.

    >>> from fnets.optim.transforms.scaling import scale
    >>> tx = conditionally_mask(scale(-1.0), lambda step: step >= 1)
    >>> float(tx.update([1.0], tx.init([0.0]))[0][0])
    0.0
    """
    return _conditionally(ConditionallyMaskState, inner, should_transform_fn, forward_extra_args, otu.zeros_like)


class ApplyIfFiniteState(NamedTuple):
    """What `apply_if_finite` remembers.

    Fields: `notfinite_count`, non-finite gradients in a row until now; `last_finite`; `total_notfinite`; `inner_state`.

    >>> ApplyIfFiniteState(0, True, 0, ())
    ApplyIfFiniteState(notfinite_count=0, last_finite=True, total_notfinite=0, inner_state=())
    """

    notfinite_count: Any
    last_finite: Any
    total_notfinite: Any
    inner_state: Any


def apply_if_finite(inner: GradientTransformation, max_consecutive_errors: int) -> GradientTransformationExtraArgs:
    """Leaves gradients with a NaN or an infinity out: zero updates, the inner state stays.

    Args:
      inner: the optimizer.
      max_consecutive_errors: after more non-finite gradients in a row than this, they are applied all the same.

    >>> from fnets.optim.transforms.scaling import scale
    >>> tx = apply_if_finite(scale(-1.0), 5)
    >>> updates, state = tx.update([fnp.array(float("nan"))], tx.init([fnp.zeros(())]))
    >>> float(updates[0]), int(state.total_notfinite)
    (0.0, 1)
    """
    tx = with_extra_args_support(inner)

    def init(params: Params) -> ApplyIfFiniteState:
        return ApplyIfFiniteState(
            notfinite_count=zero_count(),
            last_finite=np.asarray(True),
            total_notfinite=zero_count(),
            inner_state=tx.init(params),
        )

    def update(
        updates: Updates, state: ApplyIfFiniteState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, ApplyIfFiniteState]:
        each = [fnp.all(fnp.isfinite(u)) for u in tree.leaves(updates)]
        finite = functools.reduce(fnp.logical_and, each, np.asarray(True))
        in_a_row = fnp.where(finite, zero_count(), safe_increment(state.notfinite_count))
        out, inner_state = choose(
            fnp.logical_or(finite, fnp.greater(in_a_row, max_consecutive_errors)),
            lambda: tx.update(updates, state.inner_state, params, **extra_args),
            lambda: (otu.zeros_like(updates), state.inner_state),
        )
        total = fnp.where(finite, state.total_notfinite, safe_increment(state.total_notfinite))
        return out, ApplyIfFiniteState(in_a_row, finite, total, inner_state)

    return GradientTransformationExtraArgs(init, update)
