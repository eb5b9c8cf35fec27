"""Scaling updates by a number, a schedule, a norm, or their own signs. May import the package's base modules, fnets.numpy, tree."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import fnets.numpy as fnp
from fnets import tree
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError
from fnets.optim import tree as otu
from fnets.optim.base import (
    EmptyState,
    GradientTransformation,
    GradientTransformationExtraArgs,
    OptState,
    Params,
    ScalarOrSchedule,
    Schedule,
    Updates,
    identity,
    init_empty_state,
    require_params,
)
from fnets.optim.numerics import (
    like,
    real_dtype,
    safe_increment,
    safe_norm,
    safe_root_mean_squares,
    zero_count,
)
from fnets.optim.schedules import exact
from fnets.primitives.base import convert

ScaleState = EmptyState
ScaleByTrustRatioState = EmptyState


def scale(step_size: Any) -> GradientTransformation:
    """Multiplies the updates by a number; they keep their dtypes.

    >>> tx = scale(-0.5)
    >>> tx.update(fnp.ones(2), tx.init(None))[0]
    array([-0.5, -0.5], dtype=float32)
    """

    def update(updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, OptState]:
        return otu.scale(step_size, updates), state

    return GradientTransformation(init_empty_state, update)


class ScaleByScheduleState(NamedTuple):
    """The number of updates so far.

    >>> ScaleByScheduleState(count=0)
    ScaleByScheduleState(count=0)
    """

    count: Any


def scale_by_schedule(step_size_fn: Schedule) -> GradientTransformation:
    """Multiplies the updates by a schedule's value; the first update uses its value at 0.

    >>> tx = scale_by_schedule(lambda count: 0.5 ** (count + 1))
    >>> tx.update(fnp.ones(2), tx.init(None))[0]
    array([0.5, 0.5], dtype=float32)
    """

    def init(params: Params) -> ScaleByScheduleState:
        return ScaleByScheduleState(count=zero_count())

    def update(
        updates: Updates, state: ScaleByScheduleState, params: Params | None = None
    ) -> tuple[Updates, ScaleByScheduleState]:
        out = otu.scale(exact(step_size_fn)(state.count), updates)
        return out, ScaleByScheduleState(count=safe_increment(state.count))

    return GradientTransformation(init, update)


def scale_by_learning_rate(
    learning_rate: ScalarOrSchedule | None = None, *, flip_sign: bool = True
) -> GradientTransformation:
    """Multiplies the updates by the learning rate, negated, so that adding them descends.

    Args:
      learning_rate: a number or a schedule; None lets the updates through as they are.
      flip_sign: False leaves the sign.

    >>> tx = scale_by_learning_rate(0.5)
    >>> tx.update(fnp.ones(2), tx.init(None))[0]
    array([-0.5, -0.5], dtype=float32)
    """
    if learning_rate is None:
        return identity()
    sign = -1 if flip_sign else 1
    if callable(learning_rate):
        return scale_by_schedule(lambda count: fnp.multiply(sign, exact(learning_rate)(count)))
    return scale(sign * learning_rate)


def scale_by_sign() -> GradientTransformation:
    """Replaces every element of the updates by its sign.

    >>> tx = scale_by_sign()
    >>> tx.update(fnp.array([-3.0, 0.0, 2.0]), tx.init(None))[0]
    array([-1.,  0.,  1.], dtype=float32)
    """

    def update(updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, OptState]:
        return tree.map(fnp.sign, updates), state

    return GradientTransformation(init_empty_state, update)


def scale_by_param_block_norm(min_scale: Any = 1e-3) -> GradientTransformation:
    """Multiplies each leaf's update by the norm of its parameters, at least `min_scale`.

    Raises:
      ArgumentError: `update` is called without `params`.

    >>> tx = scale_by_param_block_norm()
    >>> tx.update(fnp.ones(2), tx.init(None), fnp.array([3.0, 4.0]))[0]
    array([5., 5.], dtype=float32)
    """

    def update(updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, OptState]:
        require_params("scale_by_param_block_norm", params)
        return tree.map(lambda u, p: fnp.multiply(u, safe_norm(p, min_scale)), updates, params), state

    return GradientTransformation(init_empty_state, update)


def scale_by_param_block_rms(min_scale: Any = 1e-3) -> GradientTransformation:
    """Multiplies each leaf's update by the root mean square of its parameters, at least `min_scale`.

    Raises:
      ArgumentError: `update` is called without `params`.

    >>> tx = scale_by_param_block_rms()
    >>> tx.update(fnp.ones(2), tx.init(None), fnp.array([2.0, 2.0]))[0]
    array([2., 2.], dtype=float32)
    """

    def update(updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, OptState]:
        require_params("scale_by_param_block_rms", params)
        return tree.map(lambda u, p: fnp.multiply(u, safe_root_mean_squares(p, min_scale)), updates, params), state

    return GradientTransformation(init_empty_state, update)


def scale_by_trust_ratio(min_norm: Any = 0.0, trust_coefficient: Any = 1.0, eps: Any = 0.0) -> GradientTransformation:
    """Multiplies each leaf's update by `trust_coefficient * |params| / (|update| + eps)` (You et al., 2017 and 2020).

    Args:
      min_norm: least value of both norms.
      trust_coefficient: a factor.
      eps: added to the denominator.

    Raises:
      ArgumentError: `update` is called without `params`.

    >>> tx = scale_by_trust_ratio()
    >>> tx.update(fnp.array([0.0, 2.0]), tx.init(None), fnp.array([3.0, 4.0]))[0]
    array([0., 5.], dtype=float32)
    """

    def rescale(u: Any, p: Any) -> Any:
        p_norm, u_norm = safe_norm(p, min_norm), safe_norm(u, min_norm)
        either_zero = fnp.logical_or(fnp.equal(p_norm, 0), fnp.equal(u_norm, 0))
        below = fnp.where(either_zero, 1.0, fnp.add(u_norm, like(eps, u_norm)))
        ratio = fnp.divide(fnp.multiply(like(trust_coefficient, p_norm), p_norm), below)
        return fnp.multiply(u, like(fnp.where(either_zero, 1.0, ratio), u))

    def update(updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, OptState]:
        require_params("scale_by_trust_ratio", params)
        return tree.map(rescale, updates, params), state

    return GradientTransformation(init_empty_state, update)


def normalize_by_update_norm(scale_factor: Any = 1.0, eps: Any = 1e-6) -> GradientTransformation:
    """Divides the updates by their global norm: `scale_factor * updates / (norm + eps)`.

    >>> tx = normalize_by_update_norm()
    >>> tx.update(fnp.array([3.0, 4.0]), tx.init(None))[0].round(5)
    array([0.6, 0.8], dtype=float32)
    """

    def update(updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, OptState]:
        norm = otu.norm(updates)
        norm = fnp.divide(fnp.add(norm, like(eps, norm)), like(scale_factor, norm))
        return tree.map(lambda u: fnp.divide(u, like(norm, u)), updates), state

    return GradientTransformation(init_empty_state, update)


def centralize() -> GradientTransformation:
    """Subtracts from each update its mean over all axes but the first; vectors and scalars pass (Yong et al., 2020).

    >>> tx = centralize()
    >>> tx.update(fnp.array([[1.0, 3.0]]), tx.init(None))[0]
    array([[-1.,  1.]], dtype=float32)
    """

    def centred(u: Any) -> Any:
        ndim = len(shape_of(u))
        return u if ndim < 2 else fnp.subtract(u, fnp.mean(u, axis=tuple(range(1, ndim)), keepdims=True))

    def update(updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, OptState]:
        return tree.map(centred, updates), state

    return GradientTransformation(init_empty_state, update)


# ---------------------------------------------------------------- step sizes that adapt


class ScaleByRpropState(NamedTuple):
    """The step size of every element and the updates of the step before.

    >>> ScaleByRpropState(step_sizes=[0.1], prev_updates=[0.0])
    ScaleByRpropState(step_sizes=[0.1], prev_updates=[0.0])
    """

    step_sizes: Updates
    prev_updates: Updates


def scale_by_rprop(
    learning_rate: Any,
    eta_minus: Any = 0.5,
    eta_plus: Any = 1.2,
    min_step_size: Any = 1e-6,
    max_step_size: Any = 50.0,
) -> GradientTransformation:
    """Steps by the gradients' signs; each element's step grows while its sign stays, and shrinks when it turns (Riedmiller and Braun, 1993).

    Args:
      learning_rate: the first step size.
      eta_minus, eta_plus: the factors by which steps shrink and grow.
      min_step_size, max_step_size: bounds of the step size.

    >>> tx = scale_by_rprop(0.5)
    >>> float(tx.update([fnp.array(3.0)], tx.init([fnp.array(0.0)]))[0][0])
    0.0
    """

    def init(params: Params) -> ScaleByRpropState:
        return ScaleByRpropState(otu.full_like(params, learning_rate), otu.zeros_like(params))

    def resize(s: Any, size: Any) -> Any:
        factor = fnp.where(fnp.greater(s, 0), eta_plus, eta_minus)
        low, high = like(min_step_size, size), like(max_step_size, size)
        changed = fnp.clip(fnp.multiply(size, like(factor, size)), low, high)
        return fnp.where(fnp.equal(s, 0), size, changed)

    def update(
        updates: Updates, state: ScaleByRpropState, params: Params | None = None
    ) -> tuple[Updates, ScaleByRpropState]:
        turned = otu.mul(updates, state.prev_updates)
        sizes = tree.map(resize, turned, state.step_sizes)
        steps = tree.map(
            lambda s, g, size: fnp.where(fnp.less(s, 0), fnp.zeros_like(g), fnp.multiply(size, fnp.sign(g))),
            turned,
            updates,
            sizes,
        )
        # what comes out is the step before, unless the sign has turned since
        out = tree.map(lambda s, old: fnp.where(fnp.less(s, 0), fnp.zeros_like(old), old), turned, state.prev_updates)
        return out, ScaleByRpropState(sizes, steps)

    return GradientTransformation(init, update)


class ScaleByOptimisticGradientState(NamedTuple):
    """Whether the first step is still to come, and the gradients of the step before.

    >>> ScaleByOptimisticGradientState(True, [0.0])
    ScaleByOptimisticGradientState(is_initial_step=True, previous_gradient=[0.0])
    """

    is_initial_step: Any
    previous_gradient: Updates


def scale_by_optimistic_gradient(alpha: Any = 1.0, beta: Any = 1.0) -> GradientTransformation:
    """`(alpha + beta) * g - beta * previous g`, which expects the next gradient to change as the last did (Mokhtari et al., 2019).

    Args:
      alpha: weight of the gradient.
      beta: weight of its change.

    >>> tx = scale_by_optimistic_gradient()
    >>> updates, state = tx.update([fnp.array(1.0)], tx.init([fnp.array(0.0)]))
    >>> float(updates[0]), float(tx.update([fnp.array(3.0)], state)[0][0])
    (1.0, 5.0)
    """

    def init(params: Params) -> ScaleByOptimisticGradientState:
        return ScaleByOptimisticGradientState(np.asarray(True), otu.zeros_like(params))

    def update(
        updates: Updates, state: ScaleByOptimisticGradientState, params: Params | None = None
    ) -> tuple[Updates, ScaleByOptimisticGradientState]:
        def ahead(g: Any, old: Any) -> Any:
            old = fnp.where(state.is_initial_step, g, old)
            return fnp.subtract(fnp.multiply(like(alpha + beta, g), g), fnp.multiply(like(beta, old), old))

        out = tree.map(ahead, updates, state.previous_gradient)
        return out, ScaleByOptimisticGradientState(np.asarray(False), updates)

    return GradientTransformation(init, update)


class ScaleByDistanceOverGradientsState(NamedTuple):
    """For each leaf the greatest distance from the start, the sum of squared gradients, and the start.

    >>> ScaleByDistanceOverGradientsState([0.0], [0.0], [0.0]).max_dist
    [0.0]
    """

    max_dist: OptState
    grad_sum_of_squares: OptState
    init_params: OptState


def scale_by_distance_over_gradients(
    reps_rel: Any = 1e-6, eps: Any = 1e-8, param_dtype: Any = np.float32, global_scale: Any = 1.0
) -> GradientTransformation:
    """Chooses the step by the distance travelled so far over the root of the summed squared gradients, leaf by leaf (Ivgi et al., 2023).

    Args:
      reps_rel: the first distance, relative to one plus the norm of the parameters.
      eps: added under the root.
      param_dtype: dtype in which the first parameters are kept.
      global_scale: a factor of all steps.

    >>> tx = scale_by_distance_over_gradients(reps_rel=1.0)
    >>> params = [fnp.array([0.0, 0.0])]
    >>> tx.update([fnp.array([3.0, 4.0])], tx.init(params), params)[0][0].round(4)
    array([0.6, 0.8], dtype=float32)
    """

    def init(params: Params) -> ScaleByDistanceOverGradientsState:
        def first(p: Any) -> Any:
            norm = fnp.sqrt(fnp.sum(fnp.square(p)))
            return fnp.multiply(like(reps_rel, norm), fnp.add(norm, 1))

        return ScaleByDistanceOverGradientsState(
            tree.map(first, params),
            tree.map(lambda p: fnp.zeros(1, dtype_of(p)), params),
            otu.cast(params, param_dtype),
        )

    def update(
        updates: Updates, state: ScaleByDistanceOverGradientsState, params: Params | None = None
    ) -> tuple[Updates, ScaleByDistanceOverGradientsState]:
        require_params("scale_by_distance_over_gradients", params)
        max_dist = tree.map(
            lambda d, p, start: fnp.maximum(d, fnp.sqrt(fnp.sum(fnp.square(fnp.subtract(p, like(start, p)))))),
            state.max_dist,
            params,
            state.init_params,
        )
        squares = tree.map(lambda s, g: fnp.add(s, fnp.sum(fnp.square(g))), state.grad_sum_of_squares, updates)

        def step(g: Any, d: Any, s: Any) -> Any:
            rate = fnp.divide(d, fnp.sqrt(fnp.add(s, like(eps, s))))
            return fnp.multiply(like(fnp.multiply(like(global_scale, rate), rate), g), g)

        out = tree.map(step, updates, max_dist, squares)
        return out, ScaleByDistanceOverGradientsState(max_dist, squares, state.init_params)

    return GradientTransformation(init, update)


def scale_by_polyak(
    f_min: Any = 0.0, max_learning_rate: Any = 1.0, eps: Any = 0.0, variant: str = "sps"
) -> GradientTransformationExtraArgs:
    """Polyak's step size: `min((value - f_min) / (|updates|**2 + eps), max_learning_rate)` (Loizou et al., 2021).

    `update` needs the objective's current value as `value=`.

    Args:
      f_min: a lower bound of the objective.
      max_learning_rate: the greatest step size.
      eps: added to the denominator.
      variant: "sps", or "sps+", which takes a value below `f_min` as `f_min`.

    Raises:
      ArgumentError: another variant.

    >>> tx = scale_by_polyak()
    >>> tx.update(fnp.array([2.0]), tx.init(None), value=1.0)[0]
    array([0.5], dtype=float32)
    """
    if variant not in ("sps", "sps+"):
        raise ArgumentError(f"[scale_by_polyak] expected variant 'sps' or 'sps+', got {variant!r}.")

    def update(
        updates: Updates, state: OptState, params: Params | None = None, *, value: Any, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        square = otu.norm(updates, squared=True)
        gap = convert(fnp.subtract(value, f_min), dtype_of(square))
        if variant == "sps+":
            gap = fnp.maximum(gap, 0)
        below = fnp.add(square, like(eps, square))
        tiny = fnp.less_equal(below, float(np.finfo(real_dtype(dtype_of(square))).eps))
        step = fnp.minimum(fnp.divide(gap, fnp.where(tiny, 1.0, below)), like(max_learning_rate, square))
        return otu.scale(fnp.where(tiny, 0.0, step), updates), state

    return GradientTransformationExtraArgs(init_empty_state, update)
