"""Measuring updates on their way through a chain. May import the package's base modules, accumulation, combining."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fnets.optim.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    OptState,
    Params,
    Updates,
    stateless,
    with_extra_args_support,
)
from fnets.optim.transforms.accumulation import ema
from fnets.optim.transforms.combining import chain

Measure = Callable[[Updates], Any]


class SnapshotState(NamedTuple):
    """The last measurement, by its name.

    >>> SnapshotState(measurement={"norm": 1.0})
    SnapshotState(measurement={'norm': 1.0})
    """

    measurement: dict[str, Any]


def snapshot(measure_name: str, measure: Measure) -> GradientTransformation:
    """Keeps a measurement of the updates in the state; the updates pass through.

    Args:
      measure_name: key of the measurement, for `optim.tree.get(state, measure_name)`.
      measure: function of the updates.

    >>> tx = snapshot("first", lambda updates: updates[0])
    >>> tx.update([3.0], tx.init([0.0]))[1]
    SnapshotState(measurement={'first': 3.0})
    """

    def init(params: Params) -> SnapshotState:
        return SnapshotState({measure_name: measure(params)})

    def update(updates: Updates, state: SnapshotState, params: Params | None = None) -> tuple[Updates, SnapshotState]:
        return updates, SnapshotState({measure_name: measure(updates)})

    return GradientTransformation(init, update)


class MonitorState(NamedTuple):
    """The last measurements by name (none before the first update), and the measures' own states.

    >>> MonitorState(measurements={}, measure_states=())
    MonitorState(measurements={}, measure_states=())
    """

    measurements: dict[str, Any]
    measure_states: tuple[OptState, ...]


def monitor(measures: dict[str, GradientTransformation | Measure]) -> GradientTransformationExtraArgs:
    """Keeps several measurements, which may have states of their own; the updates pass through.

    Args:
      measures: functions of the updates, or transformations from updates to a measurement such as `measure_with_ema`, by name.

    >>> tx = monitor({"first": lambda updates: updates[0]})
    >>> tx.update([3.0], tx.init([0.0]))[1].measurements
    {'first': 3.0}
    """

    def as_transformation(measure: Any) -> GradientTransformationExtraArgs:
        return with_extra_args_support(
            stateless(lambda updates, params: measure(updates)) if callable(measure) else measure
        )

    steps = {name: as_transformation(measure) for name, measure in measures.items()}

    def init(params: Params) -> MonitorState:
        return MonitorState({}, tuple([tx.init(params) for tx in steps.values()]))

    def update(
        updates: Updates, state: MonitorState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, MonitorState]:
        results = {
            name: tx.update(updates, own, params, **extra_args)
            for (name, tx), own in zip(steps.items(), state.measure_states)
        }
        found = {name: measurement for name, (measurement, _) in results.items()}
        return updates, MonitorState(found, tuple([own for _, own in results.values()]))

    return GradientTransformationExtraArgs(init, update)


def measure_with_ema(
    measure: Measure, decay: Any, debias: bool = True, accumulator_dtype: Any = None
) -> GradientTransformationExtraArgs:
    """A measure for `monitor`: the exponential moving average of a function of the updates.

    Args:
      measure: function of the updates.
      decay, debias, accumulator_dtype: as in `ema`.

    >>> tx = measure_with_ema(lambda updates: updates[0], 0.5)
    >>> float(tx.update([3.0], tx.init([0.0]))[0])
    3.0
    """
    average = ema(decay, debias, accumulator_dtype)
    return chain(
        stateless(lambda updates, params: measure(updates)),
        average._replace(init=lambda params: average.init(measure(params))),
    )
