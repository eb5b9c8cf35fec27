"""Hyperparameters that live in the optimizer's state, where they can be read and set. May import the package's base modules, fnets.numpy."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from fnets.core.avals import is_float
from fnets.core.trace import Tracer, dtype_of, is_weak
from fnets.errors import ArgumentError
from fnets.optim import tree as otu
from fnets.optim.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    OptState,
    Params,
    Schedule,
    ScheduleState,
    StatefulSchedule,
    Updates,
    with_extra_args_support,
)
from fnets.optim.numerics import safe_increment, zero_count
from fnets.primitives.base import arr, convert


def exact(schedule: Schedule) -> Schedule:
    """A schedule without its last rounding to the default dtype, if it is one of `optim.schedules`; else itself.

    >>> def own(count): return 0.5
    >>> exact(own) is own
    True
    """
    return getattr(schedule, "exact", schedule)


class WrappedScheduleState(NamedTuple):
    """The number of updates so far.

    >>> WrappedScheduleState(count=0)
    WrappedScheduleState(count=0)
    """

    count: Any


class WrappedSchedule:
    """An ordinary schedule as a stateful one, whose state is the count.

    >>> schedule = WrappedSchedule(lambda count: 0.5 ** int(count))
    >>> schedule(schedule.update(schedule.init()))
    0.5
    """

    def __init__(self, schedule_fn: Schedule):
        self.schedule_fn = schedule_fn

    def init(self) -> WrappedScheduleState:
        return WrappedScheduleState(count=zero_count())

    def update(self, state: WrappedScheduleState, **extra_args: Any) -> WrappedScheduleState:
        return WrappedScheduleState(count=safe_increment(state.count))

    def __call__(self, state: WrappedScheduleState, **extra_args: Any) -> Any:
        return exact(self.schedule_fn)(state.count)


class InjectHyperparamsState(NamedTuple):
    """The state of older versions, kept so that checkpoints load.

    >>> InjectHyperparamsState(count=0, hyperparams={}, inner_state=())
    InjectHyperparamsState(count=0, hyperparams={}, inner_state=())
    """

    count: Any
    hyperparams: dict[str, Any]
    inner_state: OptState


class InjectStatefulHyperparamsState(NamedTuple):
    """What `inject_hyperparams` remembers.

    Fields: `count`, updates so far; `hyperparams`, their current values by name; `hyperparams_states`, the schedules' states; `inner_state`.

    >>> InjectStatefulHyperparamsState(0, {}, {}, ()).inner_state
    ()
    """

    count: Any
    hyperparams: dict[str, Any]
    hyperparams_states: dict[str, ScheduleState]
    inner_state: OptState


def _as_hyperparam(value: Any, dtype: Any) -> Any:
    """A float that a schedule computed or a user wrote, in the given dtype; arrays that a user made keep theirs."""
    if isinstance(value, np.ndarray) or (isinstance(value, Tracer) and not is_weak(value)):
        return value
    return _as_scheduled(value, dtype)


def _as_scheduled(value: Any, dtype: Any) -> Any:
    out = convert(value, dtype) if is_float(dtype_of(value)) else arr(value)
    return np.asarray(out) if isinstance(out, np.generic) else out


def inject_hyperparams(
    inner_factory: Callable[..., GradientTransformation],
    static_args: str | Iterable[str] = (),
    hyperparam_dtype: Any = None,
) -> Callable[..., GradientTransformationExtraArgs]:
    """Makes an optimizer keep its numeric hyperparameters in its state, as `state.hyperparams["learning_rate"]`.

    Any of them may then be a schedule, and any may be replaced between updates.

    Args:
      inner_factory: a function that makes a transformation, such as `adam`.
      static_args: names of numeric arguments that stay as they are.
      hyperparam_dtype: dtype of the float ones; by default the widest dtype of the parameters.

    Returns:
      A function with the arguments of `inner_factory`.

    Raises:
      ArgumentError: `inner_factory` has no argument of a name in `static_args`.

    >>> from fnets.optim.transforms.scaling import scale
    >>> tx = inject_hyperparams(scale)(step_size=lambda count: -0.5)
    >>> params = np.ones(2, "float32")
    >>> tx.update(params, tx.init(params), params)[1].hyperparams
    {'step_size': array(-0.5, dtype=float32)}
    """
    static = {static_args} if isinstance(static_args, str) else set(static_args)
    signature = inspect.signature(inner_factory)
    if not static <= set(signature.parameters):
        raise ArgumentError(
            f"[inject_hyperparams] expected static_args among {list(signature.parameters)}, the arguments of "
            f"{inner_factory.__name__}, got {sorted(static)}."
        )

    @functools.wraps(inner_factory)
    def factory(*args: Any, **kwargs: Any) -> GradientTransformationExtraArgs:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        scheduled: dict[str, Any] = {}
        numeric: dict[str, Any] = {}
        other: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            if name in static or isinstance(value, bool):
                other[name] = value
            elif isinstance(value, StatefulSchedule):
                scheduled[name] = value
            elif callable(value):
                scheduled[name] = WrappedSchedule(value)
            elif isinstance(value, (int, float, complex, np.ndarray, np.generic, Tracer)):
                numeric[name] = value
            else:
                other[name] = value

        def dtype_for(params: Params | None) -> Any:
            return otu.dtype(params, "highest") if hyperparam_dtype is None else hyperparam_dtype

        def inner(hyperparams: dict[str, Any]) -> GradientTransformationExtraArgs:
            return with_extra_args_support(inner_factory(**other, **hyperparams))

        def init(params: Params) -> InjectStatefulHyperparamsState:
            dtype = dtype_for(params)
            states = {name: schedule.init() for name, schedule in scheduled.items()}
            values = {name: _as_hyperparam(value, dtype) for name, value in numeric.items()}
            values |= {name: _as_scheduled(schedule(states[name]), dtype) for name, schedule in scheduled.items()}
            return InjectStatefulHyperparamsState(zero_count(), values, states, inner(values).init(params))

        def update(
            updates: Updates, state: InjectStatefulHyperparamsState, params: Params | None = None, **extra_args: Any
        ) -> tuple[Updates, InjectStatefulHyperparamsState]:
            dtype = dtype_for(updates if params is None else params)
            old = state.hyperparams_states
            values = {name: _as_hyperparam(value, dtype) for name, value in state.hyperparams.items()}
            values |= {
                name: _as_scheduled(schedule(old[name], **extra_args), dtype) for name, schedule in scheduled.items()
            }
            states = {name: schedule.update(old[name], **extra_args) for name, schedule in scheduled.items()}
            out, inner_state = inner(values).update(updates, state.inner_state, params, **extra_args)
            return out, InjectStatefulHyperparamsState(safe_increment(state.count), values, states, inner_state)

        return GradientTransformationExtraArgs(init, update)

    return factory


inject_stateful_hyperparams = inject_hyperparams  # its older name
