"""Line searches: how far to go along a direction. May import transforms, control, the package's base modules.

Both take `value=`, `grad=` and `value_fn=` in `update`, and remember the value at the new point (and its gradient), which
`value_and_grad_from_state` picks up instead of computing them again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fnets.numpy as fnp
from fnets import tree
from fnets.control.cond import cond
from fnets.control.while_loop import while_loop
from fnets.core.avals import strong_dtype
from fnets.core.trace import dtype_of, typeof
from fnets.errors import ArgumentError
from fnets.optim import tree as otu
from fnets.optim.base import GradientTransformationExtraArgs, OptState, Params, Updates
from fnets.optim.numerics import choose, like, real_dtype
from fnets.primitives.base import convert
from fnets.transforms.vjp import value_and_grad


def _value_dtype(params: Params) -> np.dtype:
    """The dtype of step sizes and values: the real part's of the first parameter, or the default float."""
    leaves = tree.leaves(params)
    return real_dtype(strong_dtype(typeof(leaves[0])) if leaves else strong_dtype(typeof(1.0)))


def _slope(updates: Updates, grad: Updates, dtype: Any) -> Any:
    """The derivative along a direction."""
    return convert(fnp.real(otu.vdot(updates, otu.conj(grad))), dtype)


def _arguments_of(op: str, value_fn: Callable, extra_args: dict[str, Any]) -> Callable:
    """`value_fn` with the extra arguments that are its own; others are an error."""
    known = inspect.signature(value_fn).parameters
    unknown = sorted(set(extra_args) - set(known))
    if unknown:
        raise ArgumentError(
            f"[{op}] expected extra arguments that value_fn takes, {list(known)}, got {unknown}. Remove them from update(...)."
        )
    return lambda params: value_fn(params, **extra_args)


def _nan_to_inf(x: Any) -> Any:
    return fnp.where(fnp.isnan(x), float("inf"), x)


# ---------------------------------------------------------------- backtracking


class BacktrackingLinesearchInfo(NamedTuple):
    """How many points were tried, and by how much the last one missed sufficient decrease.

    >>> BacktrackingLinesearchInfo(3, 0.0)
    BacktrackingLinesearchInfo(num_linesearch_steps=3, decrease_error=0.0)
    """

    num_linesearch_steps: Any
    decrease_error: Any


class ScaleByBacktrackingLinesearchState(NamedTuple):
    """The last step size, value and gradient (None unless stored), and information about the search.

    >>> ScaleByBacktrackingLinesearchState(1.0, 0.0, None, ()).learning_rate
    1.0
    """

    learning_rate: Any
    value: Any
    grad: Updates | None
    info: Any


class _Trial(NamedTuple):
    learning_rate: Any
    value: Any
    grad: Any
    error: Any
    count: Any


def scale_by_backtracking_linesearch(
    max_backtracking_steps: int,
    slope_rtol: Any = 1e-4,
    decrease_factor: Any = 0.8,
    increase_factor: Any = 1.5,
    max_learning_rate: Any = 1.0,
    atol: Any = 0.0,
    rtol: Any = 0.0,
    store_grad: bool = False,
    verbose: bool = False,
) -> GradientTransformationExtraArgs:
    """Shrinks the step until the objective decreases enough: `f(p + s u) <= (1 + rtol) f(p) + slope_rtol * s * <u, grad> + atol` (Armijo).

    Args:
      max_backtracking_steps: how often to shrink at most.
      slope_rtol: the share of the decrease that the slope promises.
      decrease_factor: by which a step shrinks.
      increase_factor: by which the last step grows into the first trial of the next search.
      max_learning_rate: the greatest step.
      atol, rtol: tolerances.
      store_grad: also keep the gradient at the new point.
      verbose: print when no step is found.

    Raises:
      ArgumentError: `update` gets arguments that `value_fn` does not take.

    >>> import fnets
    >>> tx = scale_by_backtracking_linesearch(10)
    >>> f = lambda x: fnp.sum(x**2)
    >>> x = fnp.array([1.0])
    >>> value, grad = fnets.value_and_grad(f)(x)
    >>> updates, state = tx.update(-grad, tx.init(x), x, value=value, grad=grad, value_fn=f)
    >>> bool(f(x + updates) < f(x))
    True
    """

    def init(params: Params) -> ScaleByBacktrackingLinesearchState:
        dtype = _value_dtype(params)
        return ScaleByBacktrackingLinesearchState(
            learning_rate=np.ones((), dtype),
            value=np.full((), np.inf, dtype),
            grad=otu.zeros_like(params) if store_grad else None,
            info=BacktrackingLinesearchInfo(np.zeros((), np.int64), np.full((), np.inf, dtype)),
        )

    def update(
        updates: Updates,
        state: ScaleByBacktrackingLinesearchState,
        params: Params | None = None,
        *,
        value: Any,
        grad: Updates,
        value_fn: Callable[..., Any],
        **extra_args: Any,
    ) -> tuple[Updates, ScaleByBacktrackingLinesearchState]:
        objective = _arguments_of("scale_by_backtracking_linesearch", value_fn, extra_args)
        dtype = dtype_of(state.learning_rate)
        value = convert(value, dtype)
        slope = _slope(updates, grad, dtype)
        zero_grad = otu.zeros_like(params) if store_grad else None

        def go_on(trial: _Trial) -> Any:
            unsatisfied = fnp.logical_not(fnp.less_equal(trial.error, atol))
            return fnp.logical_and(unsatisfied, fnp.less_equal(trial.count, max_backtracking_steps))

        def attempt(trial: _Trial) -> _Trial:
            shrunk = fnp.multiply(like(decrease_factor, trial.learning_rate), trial.learning_rate)
            rate = fnp.where(fnp.greater(trial.count, 0), shrunk, trial.learning_rate)
            point = otu.add_scale(params, rate, updates)
            new = convert(objective(point), dtype)
            promised = fnp.add(fnp.multiply(1.0 + rtol, value), fnp.multiply(fnp.multiply(rate, slope_rtol), slope))
            error = fnp.maximum(_nan_to_inf(fnp.subtract(new, promised)), 0.0)
            new_grad = trial.grad
            if store_grad:
                last = fnp.logical_or(fnp.less_equal(error, atol), fnp.equal(trial.count, max_backtracking_steps))
                new_grad = choose(last, lambda: value_and_grad(objective)(point)[1], lambda: trial.grad)
            return _Trial(convert(rate, dtype), new, new_grad, convert(error, dtype), fnp.add(trial.count, 1))

        first = convert(fnp.minimum(fnp.multiply(increase_factor, state.learning_rate), max_learning_rate), dtype)
        start = _Trial(first, value, zero_grad, np.full((), np.inf, dtype), np.zeros((), np.int64))
        trial = while_loop(go_on, attempt, start)
        rate = fnp.where(fnp.isinf(trial.error), 0.0, trial.learning_rate)
        if verbose:
            _report(trial.error, atol, rate, slope)
        info = BacktrackingLinesearchInfo(trial.count, trial.error)
        new_state = ScaleByBacktrackingLinesearchState(rate, trial.value, trial.grad, info)
        return otu.scale(rate, updates), otu.cast_like(new_state, state)

    return GradientTransformationExtraArgs(init, update)


def _report(error: Any, atol: Any, rate: Any, slope: Any) -> None:
    """Prints why a search failed, where its values are known."""
    try:
        if not float(error) <= atol:
            print(
                f"[linesearch] no step decreases the objective enough: slope {float(slope):.3g}, last step {float(rate):.3g}, "
                f"missing {float(error):.3g}."
            )
    except TypeError:  # traced: nothing is known yet
        return


# ---------------------------------------------------------------- zoom


class ZoomLinesearchInfo(NamedTuple):
    """How many points were tried, and by how much the last one missed either condition.

    >>> ZoomLinesearchInfo(3, 0.0, 0.0).num_linesearch_steps
    3
    """

    num_linesearch_steps: Any
    decrease_error: Any
    curvature_error: Any


class ScaleByZoomLinesearchState(NamedTuple):
    """The last step size, the value and gradient there, and information about the search.

    >>> ScaleByZoomLinesearchState(1.0, 0.0, [0.0], ()).value
    0.0
    """

    learning_rate: Any
    value: Any
    grad: Updates
    info: Any


class _Point(NamedTuple):
    """A point on the line: step, value, slope."""

    step: Any
    value: Any
    slope: Any


class _Safe(NamedTuple):
    """The best point so far that decreases the objective enough; step 0 if there is none."""

    step: Any
    value: Any
    grad: Any


class _Search(NamedTuple):
    count: Any
    here: _Point
    grad: Any
    decrease_error: Any
    curvature_error: Any
    interval_found: Any
    done: Any
    failed: Any
    low: _Point
    high: _Point
    cubic_ref: Any
    value_cubic_ref: Any
    safe: _Safe


def _quotient(x: Any, y: Any) -> tuple[Any, Any]:
    """x / y where y isn't zero, and whether it isn't."""
    usable = fnp.not_equal(y, 0)
    return fnp.divide(x, fnp.where(usable, y, 1.0)), usable


def _cubic_minimum(a: Any, fa: Any, slope: Any, b: Any, fb: Any, c: Any, fc: Any) -> tuple[Any, Any]:
    """Minimum of the cubic through three points with a slope at the first, and whether it has one (Nocedal and Wright, 2006, 3.59)."""
    db, dc = fnp.subtract(b, a), fnp.subtract(c, a)
    rb = fnp.subtract(fnp.subtract(fb, fa), fnp.multiply(slope, db))
    rc = fnp.subtract(fnp.subtract(fc, fa), fnp.multiply(slope, dc))
    below = fnp.multiply(fnp.square(fnp.multiply(db, dc)), fnp.subtract(db, dc))
    above = fnp.subtract(fnp.multiply(fnp.square(dc), rb), fnp.multiply(fnp.square(db), rc))
    cubic, apart = _quotient(above, below)
    square, _ = _quotient(fnp.subtract(fnp.multiply(db**3, rc), fnp.multiply(dc**3, rb)), below)
    radicand = fnp.subtract(fnp.square(square), fnp.multiply(fnp.multiply(3.0, cubic), slope))
    root = fnp.sqrt(fnp.maximum(radicand, 0.0))
    distance, curved = _quotient(fnp.subtract(root, square), fnp.multiply(3.0, cubic))
    exists = fnp.logical_and(fnp.logical_and(apart, curved), fnp.greater_equal(radicand, 0.0))
    return fnp.add(a, distance), exists


def _quadratic_minimum(a: Any, fa: Any, slope: Any, b: Any, fb: Any) -> tuple[Any, Any]:
    """Minimum of the parabola through two points with a slope at the first, and whether it has one."""
    db = fnp.subtract(b, a)
    square, apart = _quotient(fnp.subtract(fnp.subtract(fb, fa), fnp.multiply(slope, db)), fnp.square(db))
    distance, curved = _quotient(slope, fnp.multiply(2.0, square))
    return fnp.subtract(a, distance), fnp.logical_and(apart, curved)


def _strictly_inside(x: Any, low: Any, high: Any, margin: Any) -> Any:
    left, right = fnp.minimum(low, high), fnp.maximum(low, high)
    return fnp.logical_and(fnp.greater(x, fnp.add(left, margin)), fnp.less(x, fnp.subtract(right, margin)))


def _middle(s: _Search) -> Any:
    """The next trial in an interval: by a cubic, else by a parabola, else its middle."""
    low, high = s.low, s.high
    width = fnp.abs(fnp.subtract(high.step, low.step))
    cubic, has_cubic = _cubic_minimum(*low, high.step, high.value, s.cubic_ref, s.value_cubic_ref)
    parabola, has_parabola = _quadratic_minimum(*low, high.step, high.value)
    cubic_inside = _strictly_inside(cubic, low.step, high.step, fnp.multiply(0.2, width))
    parabola_inside = _strictly_inside(parabola, low.step, high.step, fnp.multiply(0.1, width))
    half = fnp.divide(fnp.add(low.step, high.step), 2.0)
    best = fnp.where(fnp.logical_and(has_parabola, parabola_inside), parabola, half)
    return fnp.where(fnp.logical_and(has_cubic, cubic_inside), cubic, best)


class _Zoom:
    """The zoom search along one line (Nocedal and Wright, 2006, algorithms 3.5 and 3.6), with the approximate condition of Hager and Zhang (2006)."""

    def __init__(self, options: dict[str, Any], objective: Callable, params: Params, updates: Updates, start: _Point):
        self.options = options
        self.value_and_grad = value_and_grad(objective)
        self.params = params
        self.updates = updates
        self.start = start
        self.dtype = dtype_of(start.value)

    def evaluate(self, step: Any) -> tuple[_Point, Updates, Any, Any]:
        """The point at a step, its gradient, and how far it misses either condition."""
        o = self.options
        value, grad = self.value_and_grad(otu.add_scale(self.params, step, self.updates))
        slope = _slope(self.updates, grad, self.dtype)
        point = _Point(convert(step, self.dtype), convert(value, self.dtype), slope)
        rise = fnp.subtract(point.value, self.start.value)
        promised = fnp.multiply(fnp.multiply(o["slope_rtol"], step), self.start.slope)
        error = fnp.subtract(rise, promised)
        if o["approx_dec_rtol"] is not None:
            bent = fnp.subtract(slope, fnp.multiply(2 * o["slope_rtol"] - 1.0, self.start.slope))
            small = fnp.subtract(rise, fnp.multiply(o["approx_dec_rtol"], fnp.abs(self.start.value)))
            error = fnp.minimum(fnp.maximum(bent, small), error)
        decrease = convert(_nan_to_inf(fnp.maximum(error, 0.0)), self.dtype)
        flat = fnp.subtract(fnp.abs(slope), fnp.multiply(o["curv_rtol"], fnp.abs(self.start.slope)))
        return point, grad, decrease, convert(_nan_to_inf(fnp.maximum(flat, 0.0)), self.dtype)

    def search(self, s: _Search) -> _Search:
        """One step outwards, until an interval is found that must contain a good point."""
        o = self.options
        guess = fnp.where(fnp.equal(s.count, 0), s.high.step, fnp.multiply(o["increase_factor"], s.here.step))
        at_limit = np.asarray(False)
        if o["max_stepsize"] is not None:
            at_limit = fnp.greater_equal(guess, o["max_stepsize"])
            guess = fnp.minimum(guess, o["max_stepsize"])
        new, grad, decrease, curvature = self.evaluate(guess)
        error = fnp.maximum(decrease, curvature)
        good = fnp.less_equal(error, o["tol"])
        safe = otu.where(fnp.less_equal(decrease, o["tol"]), _Safe(new.step, new.value, grad), s.safe)
        rising = fnp.logical_and(fnp.greater_equal(new.value, s.here.value), fnp.greater(s.count, 0))
        high_is_new = fnp.logical_or(fnp.greater(decrease, 0.0), rising)
        low_is_new = fnp.logical_and(fnp.greater_equal(new.slope, 0.0), fnp.logical_not(high_is_new))
        low, high = otu.where(low_is_new, (new, s.here), (s.here, new))
        found = fnp.logical_or(fnp.logical_or(high_is_new, low_is_new), good)
        done = fnp.logical_or(good, fnp.logical_and(at_limit, fnp.logical_not(found)))
        exhausted = fnp.greater_equal(fnp.add(s.count, 1), o["max_linesearch_steps"])
        failed = fnp.logical_and(exhausted, fnp.logical_not(done))
        return _Search(
            fnp.add(s.count, 1),
            new,
            grad,
            decrease,
            curvature,
            found,
            done,
            failed,
            low,
            high,
            low.step,
            low.value,
            safe,
        )

    def zoom(self, s: _Search) -> _Search:
        """One step inwards: a trial inside the interval takes the place of one of its ends."""
        o = self.options
        low, high = s.low, s.high
        new, grad, decrease, curvature = self.evaluate(_middle(s))
        done = fnp.less_equal(fnp.maximum(decrease, curvature), o["tol"])
        better = fnp.logical_and(fnp.less_equal(decrease, o["tol"]), fnp.less(new.value, s.safe.value))
        safe = otu.where(better, _Safe(new.step, new.value, grad), s.safe)
        high_is_new = fnp.logical_or(fnp.greater(decrease, 0.0), fnp.greater_equal(new.value, low.value))
        turned = fnp.greater_equal(fnp.multiply(new.slope, fnp.subtract(high.step, low.step)), 0.0)
        high_is_low = fnp.logical_and(turned, fnp.logical_not(high_is_new))
        new_high = otu.where(high_is_new, new, otu.where(high_is_low, low, high))
        new_low = otu.where(high_is_new, low, new)
        dropped = otu.where(fnp.logical_or(high_is_new, high_is_low), high, low)  # the end that was given up
        narrow = fnp.less_equal(fnp.abs(fnp.subtract(high.step, low.step)), o["interval_threshold"])
        exhausted = fnp.greater_equal(fnp.add(s.count, 1), o["max_linesearch_steps"])
        stuck = fnp.logical_or(exhausted, fnp.logical_and(narrow, fnp.greater(safe.step, 0.0)))
        failed = fnp.logical_and(stuck, fnp.logical_not(done))
        return _Search(
            fnp.add(s.count, 1),
            new,
            grad,
            decrease,
            curvature,
            s.interval_found,
            done,
            failed,
            new_low,
            new_high,
            dropped.step,
            dropped.value,
            safe,
        )

    def run(self, guess: Any, grad: Updates) -> _Search:
        """The whole search from a first guess of the step."""
        inf, no = np.full((), np.inf, self.dtype), np.asarray(False)
        zero = np.zeros((), self.dtype)
        begin = _Search(
            np.zeros((), np.int64),
            self.start,
            grad,
            inf,
            inf,
            no,
            no,
            no,
            self.start,
            self.start._replace(step=convert(guess, self.dtype)),  # only the guess is read before an interval is found
            zero,
            self.start.value,
            _Safe(zero, self.start.value, grad),
        )

        def step(s: _Search) -> _Search:
            s = choose(s.interval_found, lambda: self.zoom(s), lambda: self.search(s))
            return otu.cast_like(s, begin)

        s = while_loop(lambda s: fnp.logical_not(fnp.logical_or(s.done, s.failed)), step, begin)
        outside = fnp.isinf(s.decrease_error)  # not a single finite value on the line: stay where we are
        take_safe = fnp.logical_and(s.failed, fnp.logical_or(fnp.greater(s.safe.step, 0.0), outside))
        final = otu.where(take_safe, s.safe, _Safe(s.here.step, s.here.value, s.grad))
        return s._replace(here=s.here._replace(step=final.step, value=final.value), grad=final.grad)


def scale_by_zoom_linesearch(
    max_linesearch_steps: int,
    max_learning_rate: Any = None,
    tol: Any = 0.0,
    increase_factor: Any = 2.0,
    slope_rtol: Any = 1e-4,
    curv_rtol: Any = 0.9,
    approx_dec_rtol: Any = 1e-6,
    stepsize_precision: Any = 1e-5,
    initial_guess_strategy: str = "keep",
    verbose: bool = False,
) -> GradientTransformationExtraArgs:
    """Finds a step that decreases the objective enough and where its slope has flattened enough (the strong Wolfe conditions).

    The step grows until an interval must contain such a point, which is then narrowed by cubic and quadratic interpolation.

    Args:
      max_linesearch_steps: how many points to try at most.
      max_learning_rate: the greatest step; None for no limit.
      tol: tolerance of both conditions.
      increase_factor: by which the step grows.
      slope_rtol: the share of the decrease that the slope promises.
      curv_rtol: how much of the slope may be left; infinite drops this condition.
      approx_dec_rtol: relative rise of the value up to which a condition on the slope may take the place of the decrease; None never.
      stepsize_precision: length below which an interval is not narrowed further.
      initial_guess_strategy: "keep" starts from the last step, "one" from 1.
      verbose: print when no step is found.

    Raises:
      ArgumentError: another strategy; `update` gets arguments that `value_fn` does not take.

    >>> import fnets
    >>> tx = scale_by_zoom_linesearch(10)
    >>> f = lambda x: fnp.sum(x**2)
    >>> x = fnp.array([1.0])
    >>> value, grad = fnets.value_and_grad(f)(x)
    >>> updates, state = tx.update(-grad, tx.init(x), x, value=value, grad=grad, value_fn=f)
    >>> bool(f(x + updates) < f(x))
    True
    """
    if initial_guess_strategy not in ("one", "keep"):
        raise ArgumentError(
            f"[scale_by_zoom_linesearch] expected initial_guess_strategy 'one' or 'keep', got {initial_guess_strategy!r}."
        )
    options = {
        "max_linesearch_steps": max_linesearch_steps,
        "max_stepsize": max_learning_rate,
        "tol": tol,
        "increase_factor": increase_factor,
        "slope_rtol": slope_rtol,
        "curv_rtol": curv_rtol,
        "approx_dec_rtol": approx_dec_rtol,
        "interval_threshold": stepsize_precision,
    }

    def init(params: Params) -> ScaleByZoomLinesearchState:
        dtype = _value_dtype(params)
        inf = np.full((), np.inf, dtype)
        info = ZoomLinesearchInfo(np.zeros((), np.int64), inf, inf)
        return ScaleByZoomLinesearchState(np.ones((), dtype), inf, otu.zeros_like(params), info)

    def update(
        updates: Updates,
        state: ScaleByZoomLinesearchState,
        params: Params | None = None,
        *,
        value: Any,
        grad: Updates,
        value_fn: Callable[..., Any],
        **extra_args: Any,
    ) -> tuple[Updates, ScaleByZoomLinesearchState]:
        objective = _arguments_of("scale_by_zoom_linesearch", value_fn, extra_args)
        dtype = dtype_of(state.learning_rate)
        start = _Point(np.zeros((), dtype), convert(value, dtype), _slope(updates, grad, dtype))
        guess = 1.0 if initial_guess_strategy == "one" else state.learning_rate
        s = _Zoom(options, objective, params, updates, start).run(guess, grad)
        if verbose:
            _report(s.decrease_error, tol, s.here.step, start.slope)
        info = ZoomLinesearchInfo(s.count, s.decrease_error, s.curvature_error)
        new_state = ScaleByZoomLinesearchState(s.here.step, s.here.value, s.grad, info)
        return otu.scale(s.here.step, updates), otu.cast_like(new_state, state)

    return GradientTransformationExtraArgs(init, update)


def value_and_grad_from_state(value_fn: Callable[..., Any]) -> Callable[..., tuple[Any, Updates]]:
    """`value_and_grad` that takes the value and gradient that a line search left in the state, if they are there.

    Args:
      value_fn: the objective; its first argument are the parameters.

    Returns:
      A function of the arguments of `value_fn` and of `state=`.

    Raises:
      ArgumentError: the state has no value or no gradient.

    >>> state = ScaleByZoomLinesearchState(1.0, fnp.array(3.0), [fnp.array(4.0)], ())
    >>> value, grad = value_and_grad_from_state(lambda params: params[0] ** 2)([fnp.array(1.0)], state=state)
    >>> float(value), float(grad[0])
    (3.0, 4.0)
    """

    def fun(params: Params, *args: Any, state: OptState, **kwargs: Any) -> tuple[Any, Updates]:
        value, grad = otu.get(state, "value"), otu.get(state, "grad")
        if value is None or grad is None:
            raise ArgumentError(
                "[value_and_grad_from_state] expected a state with a value and a gradient, got one without. "
                "Use it with lbfgs or a line search that stores its gradient."
            )

        def compute() -> tuple[Any, Updates]:
            fresh, fresh_grad = value_and_grad(value_fn)(params, *args, **kwargs)
            return convert(fresh, dtype_of(value)), otu.cast_like(fresh_grad, grad)

        return cond(fnp.isfinite(value), lambda: (value, grad), compute)

    return fun
