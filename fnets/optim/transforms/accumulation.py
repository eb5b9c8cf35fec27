"""Momentum, moving averages of updates, and gradient accumulation over several steps. May import the package's base modules, fnets.numpy, tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

import fnets.numpy as fnp
from fnets import tree
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError
from fnets.optim import tree as otu
from fnets.optim.base import (
    GradientTransformation,
    Params,
    Updates,
    with_extra_args_support,
)
from fnets.optim.numerics import choose, like, map_or_none, safe_increment, zero_count
from fnets.primitives.base import convert


class TraceState(NamedTuple):
    """The decaying sum of past updates.

    >>> TraceState(trace=[1.0])
    TraceState(trace=[1.0])
    """

    trace: Params


def trace(decay: Any, nesterov: bool = False, accumulator_dtype: Any = None) -> GradientTransformation:
    """Momentum: the decaying sum `t = g + decay * t`.

    Args:
      decay: how much of the sum stays at each step.
      nesterov: look ahead, `g + decay * t`, as Nesterov's momentum does.
      accumulator_dtype: dtype of the sum; by default that of the parameters.

    >>> tx = trace(0.5)
    >>> updates, state = tx.update([1.0], tx.init([0.0]))
    >>> float(tx.update([1.0], state)[0][0])
    1.5
    """

    def init(params: Params) -> TraceState:
        return TraceState(trace=otu.zeros_like(params, dtype=accumulator_dtype))

    def step(g: Any, t: Any) -> Any:
        return fnp.add(g, fnp.multiply(like(decay, t), t))

    def update(updates: Updates, state: TraceState, params: Params | None = None) -> tuple[Updates, TraceState]:
        new = map_or_none(step, updates, state.trace)
        out = map_or_none(step, updates, new) if nesterov else new
        return out, TraceState(trace=otu.cast(new, accumulator_dtype))

    return GradientTransformation(init, update)


class EmaState(NamedTuple):
    """The number of updates and their exponential moving average.

    >>> EmaState(count=0, ema=[1.0])
    EmaState(count=0, ema=[1.0])
    """

    count: Any
    ema: Params


def ema(decay: Any, debias: bool = True, accumulator_dtype: Any = None) -> GradientTransformation:
    """Replaces updates by their exponential moving average.

    Args:
      decay: the weight of the past, between 0 and 1.
      debias: undo the pull towards the initial zero.
      accumulator_dtype: dtype of the average; by default that of the parameters.

    >>> tx = ema(0.9)
    >>> round(float(tx.update([2.0], tx.init([0.0]))[0][0]), 5)
    2.0
    """

    def init(params: Params) -> EmaState:
        return EmaState(count=zero_count(), ema=otu.zeros_like(params, dtype=accumulator_dtype))

    def update(updates: Updates, state: EmaState, params: Params | None = None) -> tuple[Updates, EmaState]:
        new = otu.update_moment(updates, state.ema, decay, 1)
        count = safe_increment(state.count)
        out = otu.bias_correction(new, decay, count) if debias else new
        return out, EmaState(count=count, ema=otu.cast(new, accumulator_dtype))

    return GradientTransformation(init, update)


class ApplyEvery(NamedTuple):
    """The step within the current period and the sum of its updates.

    >>> ApplyEvery(count=0, grad_acc=[1.0])
    ApplyEvery(count=0, grad_acc=[1.0])
    """

    count: Any
    grad_acc: Updates


def apply_every(k: int = 1) -> GradientTransformation:
    """Adds updates up and lets the sum through every `k` steps; zeros in between. See also `MultiSteps`.

    >>> tx = apply_every(2)
    >>> first, state = tx.update([1.0], tx.init([0.0]))
    >>> float(first[0]), float(tx.update([1.0], state)[0][0])
    (0.0, 2.0)
    """

    def init(params: Params) -> ApplyEvery:
        return ApplyEvery(count=zero_count(), grad_acc=otu.zeros_like(params))

    def update(updates: Updates, state: ApplyEvery, params: Params | None = None) -> tuple[Updates, ApplyEvery]:
        c = fnp.mod(state.count, k)
        keep, emit = fnp.not_equal(c, 0), fnp.equal(c, k - 1)
        total = tree.map(lambda g, acc: fnp.add(fnp.multiply(keep, acc), g), updates, state.grad_acc)
        out = tree.map(lambda acc: fnp.multiply(emit, acc), total)
        return out, ApplyEvery(count=fnp.mod(safe_increment(state.count), k), grad_acc=total)

    return GradientTransformation(init, update)


# ---------------------------------------------------------------- several small steps for one big one


class ShouldSkipUpdateFunction(Protocol):
    """`f(updates, gradient_step, params) -> (bool scalar, tree to keep in the state)`: whether `MultiSteps` leaves a gradient out.

    >>> hasattr(ShouldSkipUpdateFunction, "__call__")
    True
    """

    def __call__(self, updates: Updates, gradient_step: Any, params: Params | None) -> tuple[Any, Any]: ...


def skip_not_finite(updates: Updates, gradient_step: Any, params: Params | None) -> tuple[Any, dict[str, Any]]:
    """True if any update is infinite or NaN.

    Returns:
      The decision, and `{"should_skip", "num_not_finite"}`.

    >>> bool(skip_not_finite([fnp.array([1.0, float("nan")])], 0, None)[0])
    True
    """
    bad = otu.sum(tree.map(lambda u: fnp.logical_not(fnp.isfinite(u)), updates))
    skip = fnp.asarray(fnp.greater(bad, 0))
    return skip, {"should_skip": skip, "num_not_finite": fnp.asarray(bad)}


def skip_large_updates(
    updates: Updates, gradient_step: Any, params: Params | None, max_squared_norm: float
) -> tuple[Any, dict[str, Any]]:
    """True if the squared global norm isn't below a limit, also if it is NaN.

    Args:
      updates: a tree of gradients.
      gradient_step, params: not used.
      max_squared_norm: the limit; fix it with `functools.partial`.

    Returns:
      The decision, and `{"should_skip", "norm_squared"}`.

    >>> bool(skip_large_updates([fnp.array([3.0])], 0, None, 10.0)[0])
    False
    """
    square = otu.norm(updates, squared=True)
    skip = fnp.asarray(fnp.logical_not(fnp.less(square, max_squared_norm)))
    return skip, {"should_skip": skip, "norm_squared": square}


class MultiStepsState(NamedTuple):
    """What `MultiSteps` remembers.

    Fields: `mini_step`, gradients accumulated so far; `gradient_step`, updates made; `inner_opt_state`; `acc_grads`; `skip_state`, what
    the skip function returned last.

    >>> MultiStepsState(0, 0, (), [1.0])
    MultiStepsState(mini_step=0, gradient_step=0, inner_opt_state=(), acc_grads=[1.0], skip_state=())
    """

    mini_step: Any
    gradient_step: Any
    inner_opt_state: Any
    acc_grads: Any
    skip_state: Any = ()


def _never_skip(updates: Updates, gradient_step: Any, params: Params | None) -> tuple[Any, tuple]:
    return np.asarray(False), ()


class MultiSteps:
    """Accumulates gradients and updates the parameters once every k steps; the updates in between are zero.

    Args:
      opt: the optimizer that sees the accumulated gradients.
      every_k_schedule: k, or a function from the number of updates made to k.
      use_grad_mean: accumulate the mean instead of the sum.
      should_skip_update_fn: which gradients to leave out, see `ShouldSkipUpdateFunction`.
      accumulator_dtype: dtype of the accumulated gradients; None for that of the parameters.

    >>> from fnets.optim.transforms.scaling import scale
    >>> tx = MultiSteps(scale(-1.0), 2)
    >>> first, state = tx.update([fnp.ones(1)], tx.init([fnp.zeros(1)]))
    >>> float(first[0][0]), float(tx.update([fnp.ones(1)], state)[0][0][0])
    (0.0, -1.0)
    """

    def __init__(
        self,
        opt: GradientTransformation,
        every_k_schedule: int | Callable[[Any], Any],
        use_grad_mean: bool = True,
        should_skip_update_fn: ShouldSkipUpdateFunction | None = None,
        accumulator_dtype: Any = np.float32,
    ):
        self._opt = with_extra_args_support(opt)
        self._every_k = every_k_schedule if callable(every_k_schedule) else lambda step: every_k_schedule
        self._use_grad_mean = use_grad_mean
        self._should_skip = should_skip_update_fn or _never_skip
        self._accumulator_dtype = accumulator_dtype

    @property
    def inner_opt(self) -> GradientTransformation:
        """The wrapped optimizer."""
        return self._opt

    def init(self, params: Params) -> MultiStepsState:
        """The state before the first step."""
        step = zero_count()
        return MultiStepsState(
            mini_step=zero_count(),
            gradient_step=step,
            inner_opt_state=self._opt.init(params),
            acc_grads=otu.zeros_like(params, dtype=self._accumulator_dtype),
            skip_state=self._should_skip(otu.zeros_like(params), step, params)[1],
        )

    def _accumulate(self, updates: Updates, state: MultiStepsState) -> Updates:
        if not self._use_grad_mean:
            return tree.map(fnp.add, updates, state.acc_grads)
        n = state.mini_step + 1
        return tree.map(
            lambda g, acc: fnp.add(acc, fnp.divide(fnp.subtract(g, acc), like(n, acc))), updates, state.acc_grads
        )

    def update(
        self, updates: Updates, state: MultiStepsState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, MultiStepsState]:
        """Accumulates; every k-th time the inner optimizer's update, else zeros."""
        k_steps = self._every_k(state.gradient_step)
        skip, skip_state = self._should_skip(updates, state.gradient_step, params)
        if dtype_of(skip) != np.bool_ or shape_of(skip) != ():
            raise ArgumentError(
                f"[MultiSteps] expected should_skip_update_fn to return a boolean scalar first, got {dtype_of(skip).name} of shape "
                f"{shape_of(skip)}. Reduce it with fnp.any or fnp.all."
            )

        def accumulate() -> tuple[Updates, MultiStepsState]:
            grads = self._accumulate(updates, state)

            def emit() -> tuple:
                final, inner = self._opt.update(
                    otu.cast_like(grads, updates), state.inner_opt_state, params, **extra_args
                )
                inner = otu.cast_like(inner, state.inner_opt_state)
                return final, inner, safe_increment(state.gradient_step), otu.zeros_like(state.acc_grads)

            def wait() -> tuple:
                kept = otu.cast(grads, self._accumulator_dtype)
                return otu.zeros_like(updates), state.inner_opt_state, state.gradient_step, kept

            final, inner, gradient_step, kept = choose(fnp.equal(state.mini_step, k_steps - 1), emit, wait)
            mini_step = convert(fnp.mod(safe_increment(state.mini_step), k_steps), dtype_of(state.mini_step))
            return final, MultiStepsState(mini_step, gradient_step, inner, kept, skip_state)

        return choose(skip, lambda: (otu.zeros_like(updates), state._replace(skip_state=skip_state)), accumulate)

    def has_updated(self, state: MultiStepsState) -> Any:
        """Whether the last call of `update` let an update through."""
        return fnp.logical_and(fnp.equal(state.mini_step, 0), fnp.greater(state.gradient_step, 0))

    def gradient_transformation(self) -> GradientTransformation:
        """This wrapper as a plain pair of functions."""
        return GradientTransformation(init=self.init, update=self.update)


__all__ = [
    "ApplyEvery",
    "EmaState",
    "MultiSteps",
    "MultiStepsState",
    "ShouldSkipUpdateFunction",
    "TraceState",
    "apply_every",
    "ema",
    "skip_large_updates",
    "skip_not_finite",
    "trace",
]
