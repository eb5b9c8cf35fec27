"""Schedules: functions from the number of updates so far to a value, such as a learning rate. May import the package's inject, primitives, config, errors.

Called with a Python number a schedule gives a Python number, which adapts to any array. Called with an integer array it gives the
default float dtype; with a float array, that array's. `exact(schedule)` is the function without that last rounding, for use where the result
is converted to the updates' own dtype anyway.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fnets.config import default_float
from fnets.core.trace import dtype_of, is_weak
from fnets.errors import ArgumentError
from fnets.optim.base import Schedule, StatefulSchedule
from fnets.optim.inject import (
    InjectHyperparamsState,
    InjectStatefulHyperparamsState,
    WrappedSchedule,
    WrappedScheduleState,
    exact,
    inject_hyperparams,
    inject_stateful_hyperparams,
)
from fnets.primitives import elementwise as ew
from fnets.primitives.base import convert


def _rounding(value_at: Schedule) -> Schedule:
    """The schedule for users of a function that computes in double precision for integer counts."""

    @functools.wraps(value_at)
    def schedule(count: Any) -> Any:
        value = value_at(count)
        if is_weak(value) or dtype_of(count).kind not in "iu" or dtype_of(value).kind != "f":
            return value
        return convert(value, default_float())

    schedule.exact = value_at  # type: ignore[attr-defined]
    return schedule


def _check_positive(op: str, name: str, value: Any) -> None:
    if not value > 0:
        raise ArgumentError(f"[{op}] expected {name} > 0, got {value!r}. It counts updates.")


def constant_schedule(value: Any) -> Schedule:
    """The same value at every step.

    >>> constant_schedule(0.1)(100)
    0.1
    """
    return lambda count: value


def polynomial_schedule(
    init_value: Any, end_value: Any, power: Any, transition_steps: int, transition_begin: int = 0
) -> Schedule:
    """From one value to another along a polynomial: `(init - end) * (1 - t) ** power + end`, t going from 0 to 1.

    Args:
      init_value, end_value: the values before and after the transition.
      power: 1 is linear.
      transition_steps: how long the transition takes; 0 or less: `init_value` for ever.
      transition_begin: when it begins.

    >>> polynomial_schedule(1.0, 0.0, 2, 10)(5)
    0.25
    """
    if transition_steps <= 0:
        return constant_schedule(init_value)
    begin = max(transition_begin, 0)

    @_rounding
    def schedule(count: Any) -> Any:
        passed = ew.minimum(ew.maximum(ew.sub(count, begin), 0), transition_steps)
        left = ew.sub(1, ew.div(passed, transition_steps))
        return ew.add(ew.mul(init_value - end_value, ew.power(left, power)), end_value)

    return schedule


def linear_schedule(init_value: Any, end_value: Any, transition_steps: int, transition_begin: int = 0) -> Schedule:
    """From one value to another along a line.

    Args:
      init_value, end_value, transition_steps, transition_begin: as in `polynomial_schedule`.

    >>> linear_schedule(0.0, 1.0, 4)(1)
    0.25
    """
    return polynomial_schedule(init_value, end_value, 1, transition_steps, transition_begin)


def piecewise_constant_schedule(init_value: Any, boundaries_and_scales: dict[int, float] | None = None) -> Schedule:
    """A value that is multiplied by a factor at each boundary.

    Args:
      init_value: the value before the first boundary.
      boundaries_and_scales: step -> factor that the value is multiplied with from that step on.

    Raises:
      ArgumentError: a negative factor.

    >>> schedule = piecewise_constant_schedule(1.0, {2: 0.5, 4: 0.1})
    >>> [schedule(count) for count in (1, 2, 4)]
    [1.0, 0.5, 0.05]
    """
    jumps = sorted((boundaries_and_scales or {}).items())
    _check_scales("piecewise_constant_schedule", [scale for _, scale in jumps])

    @_rounding
    def schedule(count: Any) -> Any:
        value = init_value
        for boundary, scale in jumps:
            value = ew.select(ew.lt(count, boundary), value, ew.mul(value, scale))
        return value

    return schedule


def _check_scales(op: str, scales: Sequence[float]) -> None:
    if any(scale < 0 for scale in scales):
        raise ArgumentError(
            f"[{op}] expected factors that aren't negative, got {list(scales)}. A value of 0 switches off."
        )


def exponential_decay(
    init_value: Any,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: Any = None,
) -> Schedule:
    """`init_value * decay_rate ** (count / transition_steps)`.

    Args:
      init_value: the value at the beginning.
      transition_steps: in how many steps it is multiplied by `decay_rate`; 0 or less: `init_value` for ever.
      decay_rate: the factor; 0: `init_value` for ever.
      transition_begin: when the decay begins.
      staircase: all at once at the end of each transition instead of smoothly.
      end_value: where the decay (or growth) stops.

    >>> exponential_decay(1.0, 10, 0.5)(20)
    0.25
    """
    if transition_steps <= 0 or decay_rate == 0:
        return constant_schedule(init_value)
    begin = max(transition_begin, 0)

    @_rounding
    def schedule(count: Any) -> Any:
        passed = ew.sub(count, begin)
        exponent = ew.div(passed, transition_steps)
        if staircase:
            exponent = ew.floor(exponent)
        value = ew.select(ew.le(passed, 0), init_value, ew.mul(init_value, ew.power(decay_rate, exponent)))
        if end_value is None:
            return value
        return ew.maximum(value, end_value) if decay_rate < 1 else ew.minimum(value, end_value)

    return schedule


def cosine_decay_schedule(init_value: Any, decay_steps: int, alpha: Any = 0.0, exponent: Any = 1.0) -> Schedule:
    """From `init_value` down to `alpha * init_value` along half a cosine wave (Loshchilov and Hutter, 2017).

    Args:
      init_value: the value at the beginning.
      decay_steps: how many steps it takes.
      alpha: the last value as a fraction of the first.
      exponent: the cosine factor is raised to this power.

    Raises:
      ArgumentError: `decay_steps` isn't positive.

    >>> round(cosine_decay_schedule(1.0, 10)(5), 6)
    0.5
    """
    _check_positive("cosine_decay_schedule", "decay_steps", decay_steps)

    @_rounding
    def schedule(count: Any) -> Any:
        passed = ew.div(ew.minimum(count, decay_steps), decay_steps)
        wave = ew.mul(0.5, ew.add(1.0, ew.cos(ew.mul(math.pi, passed))))
        return ew.mul(init_value, ew.add(ew.mul(1.0 - alpha, ew.power(wave, exponent)), alpha))

    return schedule


# ---------------------------------------------------------------- one after another


def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[int]) -> Schedule:
    """One schedule after another; each counts from its own beginning.

    Args:
      schedules: at least one.
      boundaries: the steps at which the second and further ones begin.

    >>> schedule = join_schedules([constant_schedule(1.0), linear_schedule(2.0, 0.0, 10)], [5])
    >>> schedule(4), schedule(10)
    (1.0, 1.0)
    """
    parts = [exact(schedule) for schedule in schedules]

    @_rounding
    def schedule(count: Any) -> Any:
        value = parts[0](count)
        for begin, part in zip(boundaries, parts[1:]):
            value = ew.select(ew.lt(count, begin), value, part(ew.sub(count, begin)))
        return value

    return schedule


def warmup_constant_schedule(init_value: Any, peak_value: Any, warmup_steps: int) -> Schedule:
    """Up along a line, then constant.

    Args:
      init_value, peak_value: the values at both ends of the line.
      warmup_steps: its length.

    >>> schedule = warmup_constant_schedule(0.0, 1.0, 4)
    >>> schedule(2), schedule(9)
    (0.5, 1.0)
    """
    return linear_schedule(init_value, peak_value, warmup_steps)


def warmup_cosine_decay_schedule(
    init_value: Any,
    peak_value: Any,
    warmup_steps: int,
    decay_steps: int,
    end_value: Any = 0.0,
    exponent: Any = 1.0,
) -> Schedule:
    """Up along a line, then down along half a cosine wave.

    Args:
      init_value, peak_value, end_value: the values at the beginning, after the warm-up, and at the end.
      warmup_steps: length of the warm-up.
      decay_steps: length of the whole schedule, with the warm-up.
      exponent: as in `cosine_decay_schedule`.

    Raises:
      ArgumentError: `decay_steps` isn't greater than `warmup_steps`.

    >>> schedule = warmup_cosine_decay_schedule(0.0, 1.0, 4, 12)
    >>> schedule(2), round(schedule(8), 6)
    (0.5, 0.5)
    """
    alpha = 0.0 if peak_value == 0.0 else end_value / peak_value
    rise = linear_schedule(init_value, peak_value, warmup_steps)
    return join_schedules(
        [rise, cosine_decay_schedule(peak_value, decay_steps - warmup_steps, alpha, exponent)], [warmup_steps]
    )


def warmup_exponential_decay_schedule(
    init_value: Any,
    peak_value: Any,
    warmup_steps: int,
    transition_steps: int,
    decay_rate: Any,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: Any = None,
) -> Schedule:
    """Up along a line, then exponential decay.

    Args:
      init_value, peak_value: the values at both ends of the warm-up.
      warmup_steps: its length.
      transition_steps, decay_rate, transition_begin, staircase, end_value: as in `exponential_decay`, counted from the end of the warm-up.

    >>> schedule = warmup_exponential_decay_schedule(0.0, 1.0, 4, 10, 0.5)
    >>> schedule(2), schedule(14)
    (0.5, 0.5)
    """
    rise = linear_schedule(init_value, peak_value, warmup_steps)
    fall = exponential_decay(peak_value, transition_steps, decay_rate, transition_begin, staircase, end_value)
    return join_schedules([rise, fall], [warmup_steps])


def sgdr_schedule(cosine_kwargs: Iterable[dict[str, Any]]) -> Schedule:
    """Warm restarts (Loshchilov and Hutter, 2017): several `warmup_cosine_decay_schedule` one after another.

    Args:
      cosine_kwargs: the arguments of each.

    >>> cycle = {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 2, "decay_steps": 10}
    >>> schedule = sgdr_schedule([cycle, cycle])
    >>> schedule(2), schedule(12)
    (1.0, 1.0)
    """
    cycles = list(cosine_kwargs)
    ends = list(itertools.accumulate(cycle["decay_steps"] for cycle in cycles))
    return join_schedules([warmup_cosine_decay_schedule(**cycle) for cycle in cycles], ends[:-1])


# ---------------------------------------------------------------- between given points


def _line(start: Any, end: Any, t: Any) -> Any:
    return ew.add(ew.mul(end - start, t), start)


def _half_wave(start: Any, end: Any, t: Any) -> Any:
    return ew.add(end, ew.mul((start - end) / 2, ew.add(ew.cos(ew.mul(math.pi, t)), 1)))


_INTERPOLATIONS: dict[str, Callable] = {"linear": _line, "cosine": _half_wave}


def piecewise_interpolate_schedule(
    interpolate_type: str, init_value: Any, boundaries_and_scales: dict[int, float] | None = None
) -> Schedule:
    """A value that reaches the next of a row of given values at each boundary, along lines or half cosine waves.

    Args:
      interpolate_type: "linear" or "cosine".
      init_value: the value at step 0.
      boundaries_and_scales: step -> factor by which the value has changed there since the boundary before.

    Raises:
      ArgumentError: another interpolation, or a negative factor.

    >>> schedule = piecewise_interpolate_schedule("linear", 1.0, {10: 3.0, 20: 0.5})
    >>> schedule(5), schedule(10), schedule(15)
    (2.0, 3.0, 2.25)
    """
    if interpolate_type not in _INTERPOLATIONS:
        raise ArgumentError(
            f"[piecewise_interpolate_schedule] expected interpolate_type 'linear' or 'cosine', got {interpolate_type!r}."
        )
    interpolate = _INTERPOLATIONS[interpolate_type]
    points = sorted((boundaries_and_scales or {}).items())
    _check_scales("piecewise_interpolate_schedule", [scale for _, scale in points])
    bounds = [0, *[boundary for boundary, _ in points]]
    values = list(itertools.accumulate([scale for _, scale in points], lambda v, scale: v * scale, initial=init_value))

    @_rounding
    def schedule(count: Any) -> Any:
        value = values[-1]
        for i in reversed(range(len(points))):
            t = ew.div(ew.sub(count, bounds[i]), max(bounds[i + 1] - bounds[i], 1))
            value = ew.select(ew.lt(count, bounds[i + 1]), interpolate(values[i], values[i + 1], t), value)
        return value

    return schedule


def linear_onecycle_schedule(
    transition_steps: int,
    peak_value: Any,
    pct_start: float = 0.3,
    pct_final: float = 0.85,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """One cycle in three lines: up to the peak, back down, and further down (Smith and Topin, 2018).

    Args:
      transition_steps: length of the cycle.
      peak_value: the greatest value.
      pct_start, pct_final: where the first and the second line end, as fractions of the length.
      div_factor: the first value is the peak divided by this.
      final_div_factor: the last value is the first one divided by this.

    Raises:
      ArgumentError: `transition_steps` isn't positive.

    >>> linear_onecycle_schedule(100, 1.0)(30)
    1.0
    """
    _check_positive("linear_onecycle_schedule", "transition_steps", transition_steps)
    return piecewise_interpolate_schedule(
        "linear",
        peak_value / div_factor,
        {
            int(pct_start * transition_steps): div_factor,
            int(pct_final * transition_steps): 1.0 / div_factor,
            transition_steps: 1.0 / final_div_factor,
        },
    )


def cosine_onecycle_schedule(
    transition_steps: int,
    peak_value: Any,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """One cycle in two half cosine waves: up to the peak, and down (Smith and Topin, 2018).

    Args:
      transition_steps: length of the cycle.
      peak_value: the greatest value.
      pct_start: where the peak is, as a fraction of the length.
      div_factor: the first value is the peak divided by this.
      final_div_factor: the last value is the first one divided by this.

    Raises:
      ArgumentError: `transition_steps` isn't positive.

    >>> cosine_onecycle_schedule(100, 1.0)(30)
    1.0
    """
    _check_positive("cosine_onecycle_schedule", "transition_steps", transition_steps)
    return piecewise_interpolate_schedule(
        "cosine",
        peak_value / div_factor,
        {
            int(pct_start * transition_steps): div_factor,
            int(transition_steps): 1.0 / (div_factor * final_div_factor),
        },
    )


__all__ = [
    "InjectHyperparamsState",
    "InjectStatefulHyperparamsState",
    "Schedule",
    "StatefulSchedule",
    "WrappedSchedule",
    "WrappedScheduleState",
    "constant_schedule",
    "cosine_decay_schedule",
    "cosine_onecycle_schedule",
    "exact",
    "exponential_decay",
    "inject_hyperparams",
    "inject_stateful_hyperparams",
    "join_schedules",
    "linear_onecycle_schedule",
    "linear_schedule",
    "piecewise_constant_schedule",
    "piecewise_interpolate_schedule",
    "polynomial_schedule",
    "sgdr_schedule",
    "warmup_constant_schedule",
    "warmup_cosine_decay_schedule",
    "warmup_exponential_decay_schedule",
]
