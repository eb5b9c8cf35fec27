"""Scaling by averages of the gradients and of their squares: Adam and its relatives. May import the package's base modules, fnets.numpy, tree.

In all docstrings `m` and `v` are the exponential moving averages of the gradients and of their squares, `g` is the gradient, and a hat
is the correction of the bias towards the initial zeros.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import fnets.numpy as fnp
from fnets import tree
from fnets.core.trace import dtype_of
from fnets.errors import ArgumentError
from fnets.optim import tree as otu
from fnets.optim.base import GradientTransformation, Params, Updates, require_params
from fnets.optim.numerics import (
    abs_sq,
    choose,
    decay_power,
    like,
    map_or_none,
    safe_increment,
    zero_count,
)
from fnets.primitives.base import convert


class ScaleByAdamState(NamedTuple):
    """The number of updates and the averages of the gradients (`mu`) and of their squares (`nu`).

    >>> ScaleByAdamState(count=0, mu=[0.0], nu=[0.0])
    ScaleByAdamState(count=0, mu=[0.0], nu=[0.0])
    """

    count: Any
    mu: Updates
    nu: Updates


def _zeros_state(params: Params, mu_dtype: Any = None) -> ScaleByAdamState:
    return ScaleByAdamState(zero_count(), otu.zeros_like(params, dtype=mu_dtype), otu.zeros_like(params))


def _corrected_mean(mu: Updates, updates: Updates, b1: Any, count: Any, nesterov: bool) -> Updates:
    """The first moment without its bias; Nesterov's looks one step ahead (Dozat, 2016)."""
    if not nesterov:
        return otu.bias_correction(mu, b1, count)
    ahead = otu.bias_correction(mu, b1, safe_increment(count))
    return otu.update_moment(otu.bias_correction(updates, b1, count), ahead, b1, 1)


def _over_root(m: Any, v: Any, eps: Any, eps_root: Any) -> Any:
    """m / (sqrt(v + eps_root) + eps)."""
    if not isinstance(eps_root, float) or eps_root != 0.0:
        v = fnp.add(v, like(eps_root, v))
    return fnp.divide(m, fnp.add(fnp.sqrt(v), like(eps, v)))


def _divided(mu_hat: Updates, nu_hat: Updates, eps: Any, eps_root: Any) -> Updates:
    return map_or_none(lambda m, v: _over_root(m, v, eps, eps_root), mu_hat, nu_hat)


def scale_by_adam(
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Adam's scaling, `m_hat / (sqrt(v_hat + eps_root) + eps)` (Kingma and Ba, 2014).

    Args:
      b1, b2: the decay of the two averages.
      eps: added to the root.
      eps_root: added under the root; differentiating through an update needs it.
      mu_dtype: dtype of `m`; by default that of the parameters.
      nesterov: Nesterov's momentum (Dozat, 2016).

    >>> tx = scale_by_adam()
    >>> tx.update(fnp.array([0.5, -2.0]), tx.init(fnp.zeros(2)))[0].round(4)
    array([ 1., -1.], dtype=float32)
    """

    def update(
        updates: Updates, state: ScaleByAdamState, params: Params | None = None
    ) -> tuple[Updates, ScaleByAdamState]:
        mu = otu.update_moment(updates, state.mu, b1, 1)
        nu = otu.update_moment_per_elem_norm(updates, state.nu, b2, 2)
        count = safe_increment(state.count)
        mu_hat = _corrected_mean(mu, updates, b1, count, nesterov)
        out = _divided(mu_hat, otu.bias_correction(nu, b2, count), eps, eps_root)
        return out, ScaleByAdamState(count, otu.cast(mu, mu_dtype), otu.cast_like(nu, state.nu))

    return GradientTransformation(lambda params: _zeros_state(params, mu_dtype), update)


class ScaleByAmsgradState(NamedTuple):
    """The number of updates, the two averages, and the greatest second average so far.

    >>> ScaleByAmsgradState(0, [0.0], [0.0], [0.0]).nu_max
    [0.0]
    """

    count: Any
    mu: Updates
    nu: Updates
    nu_max: Updates


def scale_by_amsgrad(
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    mu_dtype: Any = None,
    bias_correction_mu: bool = True,
    bias_correction_nu: bool = True,
) -> GradientTransformation:
    """Adam's scaling with the greatest `v` so far, so that steps never grow again (Reddi et al., 2018).

    Args:
      b1, b2, eps, eps_root, mu_dtype: as in `scale_by_adam`.
      bias_correction_mu, bias_correction_nu: whether the averages are corrected.

    >>> tx = scale_by_amsgrad()
    >>> tx.update(fnp.array([0.5, -2.0]), tx.init(fnp.zeros(2)))[0].round(4)
    array([ 1., -1.], dtype=float32)
    """

    def init(params: Params) -> ScaleByAmsgradState:
        return ScaleByAmsgradState(*_zeros_state(params, mu_dtype), nu_max=otu.zeros_like(params))

    def update(
        updates: Updates, state: ScaleByAmsgradState, params: Params | None = None
    ) -> tuple[Updates, ScaleByAmsgradState]:
        mu = otu.update_moment(updates, state.mu, b1, 1)
        nu = otu.update_moment_per_elem_norm(updates, state.nu, b2, 2)
        count = safe_increment(state.count)
        mu_hat = otu.bias_correction(mu, b1, count) if bias_correction_mu else mu
        nu_hat = otu.bias_correction(nu, b2, count) if bias_correction_nu else nu
        nu_max = tree.map(fnp.maximum, state.nu_max, nu_hat)
        out = _divided(mu_hat, nu_max, eps, eps_root)
        return out, ScaleByAmsgradState(count, otu.cast(mu, mu_dtype), nu, nu_max)

    return GradientTransformation(init, update)


def scale_by_adamax(b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8) -> GradientTransformation:
    """`m_hat` over the decaying maximum of `|g| + eps`: Adam's infinity-norm variant (Kingma and Ba, 2014).

    Args:
      b1, b2: the decay of the average and of the maximum.
      eps: added to `|g|`.

    >>> tx = scale_by_adamax()
    >>> tx.update(fnp.array([0.5, -2.0]), tx.init(fnp.zeros(2)))[0].round(4)
    array([ 1., -1.], dtype=float32)
    """

    def update(
        updates: Updates, state: ScaleByAdamState, params: Params | None = None
    ) -> tuple[Updates, ScaleByAdamState]:
        count = safe_increment(state.count)
        mu = otu.update_moment(updates, state.mu, b1, 1)
        nu = otu.update_infinity_moment(updates, state.nu, b2, eps)
        return otu.div(otu.bias_correction(mu, b1, count), nu), ScaleByAdamState(count, mu, nu)

    return GradientTransformation(_zeros_state, update)


class ScaleByBeliefState(NamedTuple):
    """The number of updates, the average gradient, and the average squared surprise.

    >>> ScaleByBeliefState(count=0, mu=[0.0], nu=[0.0])
    ScaleByBeliefState(count=0, mu=[0.0], nu=[0.0])
    """

    count: Any
    mu: Updates
    nu: Updates


def scale_by_belief(
    b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-16, eps_root: Any = 1e-16, *, nesterov: bool = False
) -> GradientTransformation:
    """Adam's scaling with the average of `(g - m)**2` as `v`: small steps where gradients surprise (Zhuang et al., 2020).

    Args:
      b1, b2: the decay of the two averages.
      eps: added to the root.
      eps_root: added to `v` itself at each step.
      nesterov: Nesterov's momentum (Dozat, 2016).

    >>> tx = scale_by_belief()
    >>> tx.update(fnp.array([0.5, -2.0]), tx.init(fnp.zeros(2)))[0].round(4)
    array([ 1.1111, -1.1111], dtype=float32)
    """

    def init(params: Params) -> ScaleByBeliefState:
        return ScaleByBeliefState(*_zeros_state(params))

    def update(
        updates: Updates, state: ScaleByBeliefState, params: Params | None = None
    ) -> tuple[Updates, ScaleByBeliefState]:
        mu = otu.update_moment(updates, state.mu, b1, 1)
        surprise = tree.map(fnp.subtract, updates, mu)
        nu = otu.update_moment_per_elem_norm(surprise, state.nu, b2, 2)
        nu = tree.map(lambda v: fnp.add(v, like(eps_root, v)), nu)
        count = safe_increment(state.count)
        mu_hat = _corrected_mean(mu, updates, b1, count, nesterov)
        out = _divided(mu_hat, otu.bias_correction(nu, b2, count), eps, 0.0)
        return out, ScaleByBeliefState(count, mu, nu)

    return GradientTransformation(init, update)


def scale_by_yogi(
    b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-3, eps_root: Any = 0.0, initial_accumulator_value: Any = 1e-6
) -> GradientTransformation:
    """Adam's scaling with `v - (1 - b2) * sign(v - g**2) * g**2`, which follows the squares additively (Zaheer et al., 2018).

    Args:
      b1, b2: the decay of the two averages.
      eps, eps_root: added to the root, and under it.
      initial_accumulator_value: where both averages start.

    >>> tx = scale_by_yogi()
    >>> tx.update(fnp.array([0.5, -2.0]), tx.init(fnp.zeros(2)))[0].round(3)
    array([ 0.996, -0.999], dtype=float32)
    """

    def init(params: Params) -> ScaleByAdamState:
        start = otu.full_like(params, initial_accumulator_value)
        return ScaleByAdamState(zero_count(), start, start)

    def follow(g: Any, v: Any) -> Any:
        square = abs_sq(g)
        step = fnp.multiply(fnp.multiply(like(1 - b2, v), fnp.sign(fnp.subtract(v, square))), square)
        return fnp.subtract(v, step)

    def update(
        updates: Updates, state: ScaleByAdamState, params: Params | None = None
    ) -> tuple[Updates, ScaleByAdamState]:
        mu = otu.update_moment(updates, state.mu, b1, 1)
        nu = tree.map(follow, updates, state.nu)
        count = safe_increment(state.count)
        mu_hat, nu_hat = otu.bias_correction(mu, b1, count), otu.bias_correction(nu, b2, count)
        return _divided(mu_hat, nu_hat, eps, eps_root), ScaleByAdamState(count, mu, nu)

    return GradientTransformation(init, update)


def scale_by_radam(
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    threshold: Any = 5.0,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Adam's scaling once the variance of `v` can be told, plain momentum before (Liu et al., 2020).

    Args:
      b1, b2, eps, eps_root, nesterov: as in `scale_by_adam`.
      threshold: length of the approximated average from which on the scaling is used.

    >>> tx = scale_by_radam()
    >>> tx.update(fnp.array([0.5, -2.0]), tx.init(fnp.zeros(2)))[0].round(5)
    array([ 0.5, -2. ], dtype=float32)
    """
    longest = 2.0 / (1.0 - b2) - 1.0

    def rectification(length: Any) -> Any:
        # below the threshold the root may be of a negative number; its result is not used there
        above = fnp.multiply(fnp.multiply(length - 4.0, length - 2.0), longest)
        below = fnp.multiply((longest - 4.0) * (longest - 2.0), length)
        return fnp.sqrt(fnp.maximum(fnp.divide(above, below), 0.0))

    def update(
        updates: Updates, state: ScaleByAdamState, params: Params | None = None
    ) -> tuple[Updates, ScaleByAdamState]:
        mu = otu.update_moment(updates, state.mu, b1, 1)
        nu = otu.update_moment_per_elem_norm(updates, state.nu, b2, 2)
        count = safe_increment(state.count)
        # the difference of two numbers near 2 / (1 - b2): float32 would leave it four digits
        power = decay_power(b2, count, np.dtype("float64"))
        lag = fnp.divide(fnp.multiply(fnp.multiply(2.0, count), power), fnp.subtract(1, power))
        length = fnp.subtract(longest, lag)
        mu_hat = _corrected_mean(mu, updates, b1, count, nesterov)
        nu_hat = otu.bias_correction(nu, b2, count)
        known, r = fnp.greater_equal(length, threshold), rectification(length)
        out = tree.map(
            lambda m, v: fnp.where(known, fnp.multiply(like(r, m), _over_root(m, v, eps, eps_root)), m), mu_hat, nu_hat
        )
        return out, ScaleByAdamState(count, mu, nu)

    return GradientTransformation(_zeros_state, update)


class ScaleByLionState(NamedTuple):
    """The number of updates and the average gradient.

    >>> ScaleByLionState(count=0, mu=[0.0])
    ScaleByLionState(count=0, mu=[0.0])
    """

    count: Any
    mu: Updates


def scale_by_lion(
    b1: Any = 0.9, b2: Any = 0.99, mu_dtype: Any = None, *, mode: str = "hard", smooth_beta: float = 1.0
) -> GradientTransformation:
    """The sign of a mixture of momentum and gradient, `sign(b1 * m + (1 - b1) * g)` (Chen et al., 2023).

    Args:
      b1: the share of momentum in the mixture.
      b2: the decay of the momentum.
      mu_dtype: dtype of the momentum; by default that of the parameters.
      mode: "hard" for the sign, "smooth" for `tanh(smooth_beta * x)`, "refined" for `x` itself where it is smaller than one.
      smooth_beta: steepness of the smooth sign.

    Raises:
      ArgumentError: another mode.

    >>> tx = scale_by_lion()
    >>> tx.update(fnp.array([0.5, -2.0]), tx.init(fnp.zeros(2)))[0]
    array([ 1., -1.], dtype=float32)
    """
    signs = {
        "hard": fnp.sign,
        "smooth": lambda x: fnp.tanh(fnp.multiply(like(smooth_beta, x), x)),
        "refined": lambda x: fnp.where(fnp.less(fnp.abs(x), 1.0), x, fnp.sign(x)),
    }
    if mode not in signs:
        raise ArgumentError(f"[scale_by_lion] expected mode 'hard', 'smooth' or 'refined', got {mode!r}.")

    def init(params: Params) -> ScaleByLionState:
        return ScaleByLionState(zero_count(), otu.zeros_like(params, dtype=mu_dtype))

    def update(
        updates: Updates, state: ScaleByLionState, params: Params | None = None
    ) -> tuple[Updates, ScaleByLionState]:
        out = tree.map(signs[mode], otu.update_moment(updates, state.mu, b1, 1))
        mu = otu.cast(otu.update_moment(updates, state.mu, b2, 1), mu_dtype)
        return out, ScaleByLionState(safe_increment(state.count), mu)

    return GradientTransformation(init, update)


class ScaleByAdanState(NamedTuple):
    """Averages of the gradients (`m`), of their changes (`v`) and of a squared mixture (`n`); the last gradient; the count.

    >>> ScaleByAdanState([0.0], [0.0], [0.0], [0.0], 0).t
    0
    """

    m: Updates
    v: Updates
    n: Updates
    g: Updates
    t: Any


def scale_by_adan(
    b1: Any = 0.98, b2: Any = 0.92, b3: Any = 0.99, eps: Any = 1e-8, eps_root: Any = 0.0
) -> GradientTransformation:
    """Adam's scaling with an average of gradient changes added, an adaptive Nesterov momentum (Xie et al., 2022).

    Args:
      b1, b2, b3: the decay of the averages of gradients, changes and squares.
      eps, eps_root: added to the root, and under it.

    >>> tx = scale_by_adan()
    >>> tx.update(fnp.array([0.5, -2.0]), tx.init(fnp.zeros(2)))[0].round(4)
    array([ 1., -1.], dtype=float32)
    """

    def init(params: Params) -> ScaleByAdanState:
        zeros = otu.zeros_like(params)
        return ScaleByAdanState(m=zeros, v=zeros, n=zeros, g=zeros, t=zero_count())

    def update(
        updates: Updates, state: ScaleByAdanState, params: Params | None = None
    ) -> tuple[Updates, ScaleByAdanState]:
        first = fnp.equal(state.t, 0)
        change = tree.map(lambda g, old: fnp.where(first, fnp.zeros_like(g), fnp.subtract(g, old)), updates, state.g)
        m = otu.update_moment(updates, state.m, b1, 1)
        v = otu.update_moment(change, state.v, b2, 1)
        n = otu.update_moment_per_elem_norm(otu.add_scale(updates, 1 - b2, change), state.n, b3, 2)
        t = safe_increment(state.t)
        m_hat, v_hat, n_hat = (otu.bias_correction(x, b, t) for x, b in ((m, b1), (v, b2), (n, b3)))
        out = _divided(otu.add_scale(m_hat, 1 - b2, v_hat), n_hat, eps, eps_root)
        return out, ScaleByAdanState(m, v, n, updates, t)

    return GradientTransformation(init, update)


class ScaleByNovogradState(NamedTuple):
    """The number of updates, the momentum, and for each leaf the average squared norm of its gradient.

    >>> ScaleByNovogradState(count=0, mu=[0.0], nu=[0.0])
    ScaleByNovogradState(count=0, mu=[0.0], nu=[0.0])
    """

    count: Any
    mu: Updates
    nu: Updates


def scale_by_novograd(
    b1: Any = 0.9,
    b2: Any = 0.25,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    weight_decay: Any = 0.0,
    mu_dtype: Any = None,
) -> GradientTransformation:
    """Momentum of gradients that are divided by their leaf's average norm (Ginsburg et al., 2019).

    Args:
      b1, b2: the decay of the momentum and of the squared norms.
      eps, eps_root: added to the root, and under it.
      weight_decay: share of the parameters added before the momentum.
      mu_dtype: dtype of the momentum; by default that of the parameters.

    >>> tx = scale_by_novograd()
    >>> params = fnp.zeros(2)
    >>> tx.update(fnp.array([3.0, 4.0]), tx.init(params), params)[0].round(5)
    array([0.6, 0.8], dtype=float32)
    """

    def init(params: Params) -> ScaleByNovogradState:
        nu = tree.map(lambda p: fnp.zeros((), dtype_of(p)), params)
        return ScaleByNovogradState(zero_count(), otu.zeros_like(params, dtype=mu_dtype), nu)

    def update(
        updates: Updates, state: ScaleByNovogradState, params: Params | None = None
    ) -> tuple[Updates, ScaleByNovogradState]:
        require_params("scale_by_novograd", params)
        count = safe_increment(state.count)
        first = fnp.equal(count, 1)
        squares = tree.map(lambda g, v: convert(fnp.sum(abs_sq(g)), dtype_of(v)), updates, state.nu)
        nu = choose(first, lambda: squares, lambda: otu.update_moment(squares, state.nu, b2, 1))

        def addition(g: Any, p: Any, v: Any) -> Any:
            return fnp.add(_over_root(g, v, eps, eps_root), fnp.multiply(like(weight_decay, p), p))

        new = tree.map(addition, updates, params, nu)
        mu = choose(first, lambda: new, lambda: otu.add_scale(new, b1, state.mu))
        mu = otu.cast(mu, mu_dtype)
        return mu, ScaleByNovogradState(count, mu, nu)

    return GradientTransformation(init, update)
