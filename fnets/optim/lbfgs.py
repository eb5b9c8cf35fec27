"""L-BFGS: multiplication by an inverse Hessian that is estimated from the last few steps. May import control, the package's base modules."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import fnets.numpy as fnp
from fnets import tree
from fnets.control.scan import scan
from fnets.core.trace import dtype_of, shape_of
from fnets.errors import ArgumentError
from fnets.optim import tree as otu
from fnets.optim.base import GradientTransformation, Params, Updates, require_params
from fnets.optim.numerics import like, real_dtype, safe_increment, zero_count
from fnets.primitives.base import convert
from fnets.primitives.indexing import dynamic_index_in_dim, dynamic_update_index_in_dim


class ScaleByLBFGSState(NamedTuple):
    """What L-BFGS remembers.

    Fields: `count`; the last `params` and `updates`; the last differences of both, stacked along a leading axis used as a ring; `weights_memory`, one
    over their inner products.

    >>> ScaleByLBFGSState(0, [0.0], [0.0], [], [], []).count
    0
    """

    count: Any
    params: Params
    updates: Params
    diff_params_memory: Any
    diff_updates_memory: Any
    weights_memory: Any


def _real_vdot(x: Any, y: Any) -> Any:
    return fnp.real(otu.vdot(x, y))


def _precondition(updates: Updates, state: ScaleByLBFGSState, scale: Any, size: int) -> Updates:
    """The two-loop recursion (Nocedal and Wright, 2006, algorithm 7.4), newest difference first and then back again."""
    order = fnp.mod(fnp.add(state.count, np.arange(size)), size)  # from the oldest to the newest

    def at(memory: Any, i: Any) -> Any:
        return tree.map(lambda x: dynamic_index_in_dim(x, i, 0, keepdims=False), memory)

    def right(vector: Updates, i: Any) -> tuple[Updates, Any]:
        s, y = at(state.diff_params_memory, i), at(state.diff_updates_memory, i)
        weight = dynamic_index_in_dim(state.weights_memory, i, 0, keepdims=False)
        alpha = fnp.multiply(weight, like(_real_vdot(s, vector), weight))
        return otu.cast_like(otu.add_scale(vector, fnp.negative(alpha), y), vector), alpha

    def left(vector: Updates, step: tuple) -> tuple[Updates, None]:
        i, alpha = step
        s, y = at(state.diff_params_memory, i), at(state.diff_updates_memory, i)
        weight = dynamic_index_in_dim(state.weights_memory, i, 0, keepdims=False)
        beta = fnp.multiply(weight, like(_real_vdot(y, vector), weight))
        return otu.cast_like(otu.add_scale(vector, fnp.subtract(alpha, beta), s), vector), None

    vector, alphas = scan(right, updates, order, reverse=True)
    vector, _ = scan(left, otu.scale(scale, vector), (order, alphas))
    return vector


def scale_by_lbfgs(memory_size: int = 10, scale_init_precond: bool = True) -> GradientTransformation:
    """Multiplies the updates by an estimate of the inverse Hessian from the last steps (Liu and Nocedal, 1989).

    Args:
      memory_size: how many steps to remember.
      scale_init_precond: start each estimate from the curvature along the last step; the first from a step of at most unit length.

    Raises:
      ArgumentError: `memory_size` is less than 1; `update` is called without `params`.

    >>> tx = scale_by_lbfgs()
    >>> x = fnp.array([3.0, 4.0])
    >>> tx.update(x, tx.init(x), x)[0].round(5)
    array([0.6, 0.8], dtype=float32)
    """
    if memory_size < 1:
        raise ArgumentError(f"[scale_by_lbfgs] expected memory_size of at least 1, got {memory_size}.")

    def init(params: Params) -> ScaleByLBFGSState:
        zeros = otu.zeros_like(params)
        stacked = tree.map(lambda p: fnp.zeros((memory_size, *shape_of(p)), dtype_of(p)), params)
        weights = fnp.zeros(memory_size, real_dtype(otu.dtype(params, "promote")))
        return ScaleByLBFGSState(zero_count(), zeros, zeros, stacked, stacked, weights)

    def remember(state: ScaleByLBFGSState, ds: Any, dy: Any, weight: Any) -> ScaleByLBFGSState:
        slot = fnp.mod(fnp.subtract(state.count, 1), memory_size)

        def put(memory: Any, x: Any) -> Any:
            return dynamic_update_index_in_dim(memory, convert(fnp.asarray(x), dtype_of(memory)), slot, 0)

        return state._replace(
            diff_params_memory=tree.map(put, state.diff_params_memory, ds),
            diff_updates_memory=tree.map(put, state.diff_updates_memory, dy),
            weights_memory=put(state.weights_memory, weight),
        )

    def initial_scale(updates: Updates, started: Any, product: Any, dy: Any) -> Any:
        square = otu.norm(dy, squared=True)
        usable = fnp.greater(square, 0)
        curvature = fnp.where(usable, fnp.divide(product, fnp.where(usable, square, 1.0)), 1.0)
        return fnp.where(started, curvature, fnp.reciprocal(fnp.maximum(otu.norm(updates), 1.0)))

    def update(
        updates: Updates, state: ScaleByLBFGSState, params: Params | None = None
    ) -> tuple[Updates, ScaleByLBFGSState]:
        require_params("scale_by_lbfgs", params)
        started = fnp.greater(state.count, 0)

        def since(x: Any, old: Any) -> Any:
            difference = fnp.subtract(x, old)
            return fnp.where(started, difference, fnp.zeros_like(difference))

        ds, dy = tree.map(since, params, state.params), tree.map(since, updates, state.updates)
        product = _real_vdot(dy, ds)
        flat = fnp.equal(product, 0)
        weight = fnp.where(flat, 0.0, fnp.reciprocal(fnp.where(flat, 1.0, product)))
        state = remember(state, ds, dy, weight)
        scale = initial_scale(updates, started, product, dy) if scale_init_precond else 1.0
        out = _precondition(updates, state, scale, memory_size)
        return out, state._replace(count=safe_increment(state.count), params=params, updates=updates)

    return GradientTransformation(init, update)
