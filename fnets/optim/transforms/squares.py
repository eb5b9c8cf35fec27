"""Scaling by accumulated squares of the gradients alone: Adagrad, RMSProp, Adadelta, SM3, Adafactor's factored squares.

May import the package's base modules, fnets.numpy, tree.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fnets.numpy as fnp
from fnets import tree
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import DTypeError
from fnets.optim import tree as otu
from fnets.optim.base import GradientTransformation, OptState, Params, Updates, require_params
from fnets.optim.numerics import abs_sq, like, safe_increment, zero_count
from fnets.primitives.base import convert
from fnets.primitives.elementwise import rsqrt


def _rsqrt_or_zero(s: Any, eps: Any) -> Any:
    """1 / sqrt(s + eps) where s is positive, else 0."""
    positive = fnp.greater(s, 0)
    return fnp.where(positive, rsqrt(fnp.where(positive, fnp.add(s, like(eps, s)), 1.0)), 0.0)


class ScaleByRssState(NamedTuple):
    """The sum of the squared gradients so far.

    >>> ScaleByRssState(sum_of_squares=[0.1])
    ScaleByRssState(sum_of_squares=[0.1])
    """

    sum_of_squares: Updates


def scale_by_rss(initial_accumulator_value: Any = 0.1, eps: Any = 1e-7) -> GradientTransformation:
    """Divides by the root of the sum of all squared gradients so far (Duchi et al., 2011).

    Args:
      initial_accumulator_value: where the sum starts.
      eps: added under the root.

    >>> tx = scale_by_rss(initial_accumulator_value=0.0)
    >>> tx.update(fnp.array([0.5, -2.0, 0.0]), tx.init(fnp.zeros(3)))[0].round(5)
    array([ 1., -1.,  0.], dtype=float32)
    """

    def init(params: Params) -> ScaleByRssState:
        return ScaleByRssState(otu.full_like(params, initial_accumulator_value))

    def update(
        updates: Updates, state: ScaleByRssState, params: Params | None = None
    ) -> tuple[Updates, ScaleByRssState]:
        total = tree.map(lambda g, s: fnp.add(abs_sq(g), s), updates, state.sum_of_squares)
        out = tree.map(lambda s, g: fnp.multiply(_rsqrt_or_zero(s, eps), g), total, updates)
        return out, ScaleByRssState(total)

    return GradientTransformation(init, update)


# ---------------------------------------------------------------- moving averages of squares


class ScaleByRmsState(NamedTuple):
    """The average of the squared gradients.

    >>> ScaleByRmsState(nu=[0.0])
    ScaleByRmsState(nu=[0.0])
    """

    nu: Updates


class ScaleByRmsWithCountState(NamedTuple):
    """The number of updates and the average of the squared gradients.

    >>> ScaleByRmsWithCountState(count=0, nu=[0.0])
    ScaleByRmsWithCountState(count=0, nu=[0.0])
    """

    count: Any
    nu: Updates


class ScaleByRStdDevState(NamedTuple):
    """The averages of the gradients and of their squares.

    >>> ScaleByRStdDevState(mu=[0.0], nu=[0.0])
    ScaleByRStdDevState(mu=[0.0], nu=[0.0])
    """

    mu: Updates
    nu: Updates


class ScaleByRStdDevWithCountState(NamedTuple):
    """The number of updates and the averages of the gradients and of their squares.

    >>> ScaleByRStdDevWithCountState(count=0, mu=[0.0], nu=[0.0])
    ScaleByRStdDevWithCountState(count=0, mu=[0.0], nu=[0.0])
    """

    count: Any
    mu: Updates
    nu: Updates


def _inverse_root(v: Any, eps: Any, eps_in_sqrt: bool) -> Any:
    if eps_in_sqrt:
        return rsqrt(fnp.add(v, like(eps, v)))
    return fnp.reciprocal(fnp.add(fnp.sqrt(v), like(eps, v)))


def scale_by_rms(
    decay: Any = 0.9,
    eps: Any = 1e-8,
    initial_scale: Any = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> GradientTransformation:
    """Divides by the root of the average of the squared gradients (Tieleman and Hinton, 2012).

    Args:
      decay: the decay of the average.
      eps: added under the root, or to it.
      initial_scale: where the average starts.
      eps_in_sqrt: under the root; PyTorch adds it to the root.
      bias_correction: undo the pull towards zero.

    >>> tx = scale_by_rms(decay=0.75)
    >>> tx.update(fnp.array([0.5, -2.0]), tx.init(fnp.zeros(2)))[0].round(5)
    array([ 2., -2.], dtype=float32)
    """

    def init(params: Params) -> OptState:
        nu = otu.full_like(params, initial_scale)
        return ScaleByRmsWithCountState(zero_count(), nu) if bias_correction else ScaleByRmsState(nu)

    def update(updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, OptState]:
        nu = nu_hat = otu.update_moment_per_elem_norm(updates, state.nu, decay, 2)
        new_state: OptState = ScaleByRmsState(nu)
        if bias_correction:
            count = safe_increment(state.count)
            nu_hat = otu.bias_correction(nu, decay, count)
            new_state = ScaleByRmsWithCountState(count, nu)
        return tree.map(lambda g, v: fnp.multiply(_inverse_root(v, eps, eps_in_sqrt), g), updates, nu_hat), new_state

    return GradientTransformation(init, update)


def scale_by_stddev(
    decay: Any = 0.9,
    eps: Any = 1e-8,
    initial_scale: Any = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> GradientTransformation:
    """Divides by an average standard deviation of the gradients, `sqrt(average of squares - average**2)` (Graves, 2013).

    Args:
      decay, eps, initial_scale, eps_in_sqrt, bias_correction: as in `scale_by_rms`.

    >>> tx = scale_by_stddev(decay=0.75, eps=0.0)
    >>> tx.update(fnp.array([0.5, -2.0]), tx.init(fnp.zeros(2)))[0].round(4)
    array([ 2.3094, -2.3094], dtype=float32)
    """

    def init(params: Params) -> OptState:
        mu, nu = otu.zeros_like(params), otu.full_like(params, initial_scale)
        return ScaleByRStdDevWithCountState(zero_count(), mu, nu) if bias_correction else ScaleByRStdDevState(mu, nu)

    def update(updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, OptState]:
        mu = mu_hat = otu.update_moment(updates, state.mu, decay, 1)
        nu = nu_hat = otu.update_moment_per_elem_norm(updates, state.nu, decay, 2)
        new_state: OptState = ScaleByRStdDevState(mu, nu)
        if bias_correction:
            count = safe_increment(state.count)
            mu_hat, nu_hat = otu.bias_correction(mu, decay, count), otu.bias_correction(nu, decay, count)
            new_state = ScaleByRStdDevWithCountState(count, mu, nu)

        def rescale(g: Any, m: Any, v: Any) -> Any:
            return fnp.multiply(_inverse_root(fnp.subtract(v, abs_sq(m)), eps, eps_in_sqrt), g)

        return tree.map(rescale, updates, mu_hat, nu_hat), new_state

    return GradientTransformation(init, update)


class ScaleByAdaDeltaState(NamedTuple):
    """The averages of the squared gradients (`e_g`) and of the squared updates (`e_x`).

    >>> ScaleByAdaDeltaState(e_g=[0.0], e_x=[0.0])
    ScaleByAdaDeltaState(e_g=[0.0], e_x=[0.0])
    """

    e_g: Updates
    e_x: Updates


def scale_by_adadelta(rho: Any = 0.9, eps: Any = 1e-6) -> GradientTransformation:
    """`sqrt(average update**2 + eps) / sqrt(average g**2 + eps) * g`: steps in the parameters' own units (Zeiler, 2012).

    Args:
      rho: the decay of both averages.
      eps: added under the roots.

    >>> tx = scale_by_adadelta(rho=0.75, eps=1e-4)
    >>> tx.update(fnp.array([0.5, -2.0]), tx.init(fnp.zeros(2)))[0].round(3)
    array([ 0.02, -0.02], dtype=float32)
    """

    def init(params: Params) -> ScaleByAdaDeltaState:
        return ScaleByAdaDeltaState(otu.zeros_like(params), otu.zeros_like(params))

    def rescale(g: Any, e_g: Any, e_x: Any) -> Any:
        roots = [fnp.sqrt(fnp.add(e, like(eps, e))) for e in (e_x, e_g)]
        return fnp.multiply(fnp.divide(*roots), g)

    def update(
        updates: Updates, state: ScaleByAdaDeltaState, params: Params | None = None
    ) -> tuple[Updates, ScaleByAdaDeltaState]:
        e_g = otu.update_moment(updates, state.e_g, rho, 2)
        out = tree.map(rescale, updates, e_g, state.e_x)
        return out, ScaleByAdaDeltaState(e_g, otu.update_moment(out, state.e_x, rho, 2))

    return GradientTransformation(init, update)


# ---------------------------------------------------------------- squares in less memory


class ScaleBySM3State(NamedTuple):
    """For each leaf one vector of squares per axis (`mu`), and the momentum (`nu`).

    >>> ScaleBySM3State(mu=[[0.0]], nu=[0.0])
    ScaleBySM3State(mu=[[0.0]], nu=[0.0])
    """

    mu: Updates
    nu: Updates


def scale_by_sm3(b1: Any = 0.9, b2: Any = 1.0, eps: Any = 1e-8) -> GradientTransformation:
    """Divides by roots of squares that are kept per row and column instead of per element (Anil et al., 2019).

    Args:
      b1: the decay of the momentum.
      b2: the decay of the squares; 1 sums them up.
      eps: added under the root.

    Raises:
      DTypeError: complex parameters.

    >>> tx = scale_by_sm3(b1=0.0)
    >>> tx.update(fnp.array([0.5, -2.0]), tx.init(fnp.zeros(2)))[0].round(5)
    array([ 1., -1.], dtype=float32)
    """

    def init(params: Params) -> ScaleBySM3State:
        for p in tree.leaves(params):
            if dtype_of(p).kind == "c":
                raise DTypeError(
                    "[scale_by_sm3] expected real parameters, got complex ones. Split them into two parts."
                )
        mu = tree.map(lambda p: [fnp.zeros(n, dtype_of(p)) for n in shape_of(p)], params)
        return ScaleBySM3State(mu, otu.zeros_like(params))

    def accumulate(g: Any, rows: list) -> Any:
        ndim = len(shape_of(g))
        spread = [fnp.reshape(r, (1,) * i + (-1,) + (1,) * (ndim - i - 1)) for i, r in enumerate(rows)]
        fresh = (
            fnp.square(g)
            if isinstance(b2, (int, float)) and b2 == 1.0
            else fnp.multiply(like(1.0 - b2, g), fnp.square(g))
        )
        if not spread:
            return fresh
        return fnp.add(fresh, fnp.multiply(like(b2, g), functools.reduce(fnp.minimum, spread)))

    def summarise(s: Any) -> list:
        ndim = len(shape_of(s))
        return [s if ndim < 2 else fnp.max(s, axis=tuple(a for a in range(ndim) if a != i)) for i in range(ndim)]

    def update(
        updates: Updates, state: ScaleBySM3State, params: Params | None = None
    ) -> tuple[Updates, ScaleBySM3State]:
        squares = tree.map(accumulate, updates, state.mu)
        scaled = tree.map(lambda g, s: fnp.multiply(g, _rsqrt_or_zero(s, eps)), updates, squares)
        nu = otu.update_moment(scaled, state.nu, b1, 1)
        return nu, ScaleBySM3State(tree.map(summarise, squares), nu)

    return GradientTransformation(init, update)


class FactoredState(NamedTuple):
    """The number of updates, and for each leaf either row and column averages of squares, or all of them (the rest is a placeholder).

    >>> FactoredState(count=0, v_row=[0.0], v_col=[0.0], v=[0.0])
    FactoredState(count=0, v_row=[0.0], v_col=[0.0], v=[0.0])
    """

    count: Any
    v_row: Any
    v_col: Any
    v: Any


def _growing_decay(step: Any, exponent: Any) -> Any:
    """Adafactor's decay, `1 - (step + 1) ** -exponent`: no memory at first, ever more later."""
    return fnp.subtract(1.0, fnp.power(convert(fnp.add(step, 1), "float64"), -exponent))


def _two_longest(shape: tuple[int, ...], factored: bool, least: int) -> tuple[int, int] | None:
    """The axes of the second longest and the longest length, or None where factoring doesn't pay."""
    if not factored or len(shape) < 2:
        return None
    order = np.argsort(shape)
    return (int(order[-2]), int(order[-1])) if shape[order[-2]] >= least else None


def scale_by_factored_rms(
    factored: bool = True,
    decay_rate: Any = 0.8,
    step_offset: Any = 0,
    min_dim_size_to_factor: int = 128,
    epsilon: Any = 1e-30,
    decay_rate_fn: Callable[[Any, Any], Any] = _growing_decay,
) -> GradientTransformation:
    """Divides by roots of average squares that are kept as a product of row and column averages (Shazeer and Stern, 2018).

    Args:
      factored: False keeps all squares.
      decay_rate: how fast the decay approaches 1.
      step_offset: subtracted from the number of updates.
      min_dim_size_to_factor: leaves whose second longest axis is shorter keep all squares.
      epsilon: added to the squared gradients.
      decay_rate_fn: function of the number of updates and `decay_rate`.

    Raises:
      ArgumentError: `update` is called without `params`.

    >>> tx = scale_by_factored_rms(min_dim_size_to_factor=2)
    >>> params = fnp.zeros((2, 2))
    >>> tx.update(fnp.array([[0.5, 0.5], [2.0, 2.0]]), tx.init(params), params)[0].round(5)
    array([[1., 1.],
           [1., 1.]], dtype=float32)
    """

    def init_leaf(p: Any) -> tuple:
        shape, dtype = shape_of(p), dtype_of(p)
        axes = _two_longest(shape, factored, min_dim_size_to_factor)
        unused = fnp.zeros(1, dtype)
        if axes is None:
            return unused, unused, fnp.zeros_like(p)
        second, longest = axes
        row, col = (tuple(n for i, n in enumerate(shape) if i != axis) for axis in (longest, second))
        return fnp.zeros(row, dtype), fnp.zeros(col, dtype), unused

    def update_leaf(g: Any, v_row: Any, v_col: Any, v: Any, p: Any, decay: Any) -> tuple:
        dtype = dtype_of(p)
        axes = _two_longest(shape_of(p), factored, min_dim_size_to_factor)
        square = abs_sq(g)
        square = fnp.add(square, like(epsilon, square))

        def mix(old: Any, new: Any) -> Any:
            return convert(
                fnp.add(fnp.multiply(like(decay, old), old), fnp.multiply(like(1.0 - decay, new), new)), dtype
            )

        if axes is None:
            v = mix(v, square)
            return fnp.multiply(g, rsqrt(v)), v_row, v_col, v
        second, longest = axes
        v_row = mix(v_row, fnp.mean(square, axis=longest))
        v_col = mix(v_col, fnp.mean(square, axis=second))
        mean = fnp.mean(v_row, axis=second - 1 if second > longest else second, keepdims=True)
        rows = fnp.expand_dims(rsqrt(fnp.divide(v_row, mean)), longest)
        columns = fnp.expand_dims(rsqrt(v_col), second)
        return fnp.multiply(fnp.multiply(g, rows), columns), v_row, v_col, v

    def split(results: list, structure: Any, n: int) -> list:
        return [structure.unflatten([r[i] for r in results]) for i in range(n)]

    def init(params: Params) -> FactoredState:
        leaves, structure = tree.flatten(params)
        return FactoredState(zero_count(), *split([init_leaf(p) for p in leaves], structure, 3))

    def update(updates: Updates, state: FactoredState, params: Params | None = None) -> tuple[Updates, FactoredState]:
        require_params("scale_by_factored_rms", params)
        decay = decay_rate_fn(fnp.subtract(state.count, step_offset), decay_rate)
        leaves, structure = tree.flatten(updates)
        columns = [structure.flatten_up_to(t) for t in (state.v_row, state.v_col, state.v, params)]
        results = [update_leaf(*row, decay) for row in zip(leaves, *columns)]
        out, *squares = split(results, structure, 4)
        return out, FactoredState(safe_increment(state.count), *squares)

    return GradientTransformation(init, update)
