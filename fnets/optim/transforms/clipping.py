"""Limiting the size of updates. May import the package's base modules, fnets.numpy, tree, transforms."""

from __future__ import annotations

from typing import Any

import fnets.numpy as fnp
from fnets import tree
from fnets.core.trace import shape_of
from fnets.errors import ShapeError
from fnets.optim import tree as otu
from fnets.optim.base import GradientTransformation, OptState, Params, Updates, init_empty_state, require_params
from fnets.optim.numerics import abs_sq, like
from fnets.transforms.vmap import vmap

Axis = int | tuple[int, ...] | None


def clip(max_delta: Any) -> GradientTransformation:
    """Limits every element of the updates to `[-max_delta, max_delta]`.

    >>> tx = clip(0.5)
    >>> tx.update(fnp.array([-2.0, 0.25]), tx.init(None))[0]
    array([-0.5 ,  0.25], dtype=float32)
    """

    def update(updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, OptState]:
        return otu.clip(updates, -max_delta, max_delta), state

    return GradientTransformation(init_empty_state, update)


def clip_by_block_rms(threshold: Any) -> GradientTransformation:
    """Scales each leaf down so that its root mean square is at most `threshold` (Shazeer and Stern, 2018).

    >>> tx = clip_by_block_rms(1.0)
    >>> tx.update(fnp.array([2.0, -2.0]), tx.init(None))[0]
    array([ 1., -1.], dtype=float32)
    """

    def limit(u: Any) -> Any:
        rms = fnp.sqrt(fnp.mean(abs_sq(u)))
        return fnp.divide(u, fnp.maximum(1.0, fnp.divide(rms, like(threshold, rms))))

    def update(updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, OptState]:
        return tree.map(limit, updates), state

    return GradientTransformation(init_empty_state, update)


def clip_by_global_norm(max_norm: Any) -> GradientTransformation:
    """Scales all updates by one factor so that their global norm is at most `max_norm` (Pascanu et al., 2012).

    Place it before the optimizer in a chain. Updates whose norm is below the limit pass unchanged.

    >>> tx = clip_by_global_norm(1.0)
    >>> [float(u) for u in tx.update([fnp.array(3.0), fnp.array(-4.0)], tx.init(None))[0]]
    [0.6000000238418579, -0.800000011920929]
    """

    def update(updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, OptState]:
        norm = otu.norm(updates)
        if shape_of(max_norm) not in ((), (1,)):
            raise ShapeError(f"[clip_by_global_norm] expected a scalar max_norm, got shape {shape_of(max_norm)}.")
        limit = fnp.reshape(max_norm, ()) if shape_of(max_norm) else max_norm
        small = fnp.less(norm, limit)
        factor = fnp.where(small, 1.0, fnp.divide(like(limit, norm), fnp.where(small, 1.0, norm)))
        return otu.scale(factor, updates), state

    return GradientTransformation(init_empty_state, update)


# ---------------------------------------------------------------- a gradient per example


def _check_batch(op: str, grads: Updates) -> None:
    shapes = [shape_of(g) for g in tree.leaves(grads)]
    if not shapes or any(s[:1] != shapes[0][:1] or not s for s in shapes):
        raise ShapeError(
            f"[{op}] expected gradients that all have a leading batch axis of one length, got shapes {shapes}. "
            "Compute them with vmap(grad(loss), in_axes=(None, 0))."
        )


def per_example_global_norm_clip(grads: Updates, l2_norm_clip: Any) -> tuple[Updates, Any]:
    """Clips each example's gradient to a global norm, and sums over the examples (Abadi et al., 2016).

    Args:
      grads: a tree of arrays with a leading batch axis.
      l2_norm_clip: the greatest norm of one example's gradient.

    Returns:
      The sum of the clipped gradients, without the batch axis, and how many were clipped.

    Raises:
      ShapeError: leaves without a common leading axis.

    >>> total, clipped = per_example_global_norm_clip([fnp.array([[3.0, 4.0], [0.0, 0.5]])], 1.0)
    >>> total[0].tolist(), int(clipped)
    ([0.6000000238418579, 1.2999999523162842], 1)
    """
    _check_batch("per_example_global_norm_clip", grads)
    norms = vmap(otu.norm)(grads)
    # an example whose gradient is zero has nothing to clip
    below = fnp.where(fnp.equal(norms, 0), 1.0, norms)
    factors = fnp.where(fnp.equal(norms, 0), 1.0, fnp.minimum(fnp.divide(like(l2_norm_clip, norms), below), 1.0))
    return tree.map(lambda g: fnp.tensordot(like(factors, g), g, 1), grads), fnp.sum(fnp.less(factors, 1.0))


def per_example_layer_norm_clip(
    grads: Updates, global_l2_norm_clip: Any, uniform: bool = True
) -> tuple[Updates, Updates]:
    """Clips each example's gradient leaf by leaf, and sums over the examples (McMahan et al., 2018).

    Args:
      grads: a tree of arrays with a leading batch axis.
      global_l2_norm_clip: bound of the global norm that the leaves' bounds add up to.
      uniform: the same bound for every leaf; else in proportion to the square root of its size.

    Returns:
      The sum of the clipped gradients, and for each leaf how many were clipped.

    Raises:
      ShapeError: leaves without a common leading axis.

    >>> total, clipped = per_example_layer_norm_clip([fnp.array([[3.0, 4.0]])], 1.0)
    >>> total[0].tolist(), int(clipped[0])
    ([0.6000000238418579, 0.800000011920929], 1)
    """
    _check_batch("per_example_layer_norm_clip", grads)
    leaves, structure = tree.flatten(grads)
    sizes = [fnp.size(g) // shape_of(g)[0] for g in leaves]
    shares = [1 / len(leaves) if uniform else n / sum(sizes) for n in sizes]
    results = [per_example_global_norm_clip(g, global_l2_norm_clip * share**0.5) for g, share in zip(leaves, shares)]
    return structure.unflatten([total for total, _ in results]), structure.unflatten([n for _, n in results])


# ---------------------------------------------------------------- unit by unit


def unitwise_norm(x: Any, axis: Axis = None) -> Any:
    """The Euclidean norm of the weights that lead to each output unit, repeated to the shape of `x`.

    Args:
      x: up to one axis longer than 1: the norm of all; 2 or 3 axes: along axis 0; 4 or 5 axes: along all but the last.
      axis: the axes to reduce instead.

    Raises:
      ShapeError: more than 5 axes and no `axis`.

    >>> unitwise_norm(fnp.array([[3.0, 1.0], [4.0, 0.0]])).tolist()
    [[5.0, 1.0], [5.0, 1.0]]
    """
    shape = shape_of(x)
    if axis is None:
        if sum(n != 1 for n in shape) <= 1:
            axis = tuple(range(len(shape)))
        elif len(shape) in (2, 3):
            axis = 0
        elif len(shape) in (4, 5):
            axis = tuple(range(len(shape) - 1))
        else:
            raise ShapeError(f"[unitwise_norm] expected at most 5 axes, got shape {shape}. Pass axis=.")
    return fnp.broadcast_to(fnp.sqrt(fnp.sum(abs_sq(x), axis=axis, keepdims=True)), shape)


def unitwise_clip(g_norm: Any, max_norm: Any, grad: Any, div_eps: Any = 1e-6) -> Any:
    """The gradient, scaled to `max_norm` where its norm `g_norm` is not below it; all of one shape.

    Raises:
      ShapeError: the shapes differ.

    >>> unitwise_clip(fnp.array([2.0, 1.0]), fnp.array([1.0, 2.0]), fnp.array([2.0, 1.0])).tolist()
    [1.0, 1.0]
    """
    shapes = [shape_of(v) for v in (g_norm, max_norm, grad)]
    if len(set(shapes)) != 1:
        raise ShapeError(
            f"[unitwise_clip] expected g_norm, max_norm and grad of one shape, got {shapes}. Use unitwise_norm."
        )
    clipped = fnp.multiply(grad, fnp.divide(max_norm, fnp.maximum(g_norm, like(div_eps, g_norm))))
    return fnp.where(fnp.less(g_norm, max_norm), grad, clipped)


def adaptive_grad_clip(clipping: Any, eps: Any = 1e-3, axis: Axis = None) -> GradientTransformation:
    """Limits the norm of each unit's update to `clipping` times the norm of its parameters (Brock et al., 2021).

    Args:
      clipping: the greatest ratio.
      eps: least norm that a unit's parameters count with.
      axis: as in `unitwise_norm`.

    Raises:
      ArgumentError: `update` is called without `params`.

    >>> tx = adaptive_grad_clip(0.5)
    >>> tx.update(fnp.array([3.0, 4.0]), tx.init(None), fnp.array([0.6, 0.8]))[0].round(6)
    array([0.3, 0.4], dtype=float32)
    """

    def limit(u: Any, p: Any) -> Any:
        norm = unitwise_norm(p, axis)
        bound = fnp.multiply(like(clipping, norm), fnp.maximum(norm, like(eps, norm)))
        return unitwise_clip(unitwise_norm(u, axis), bound, u)

    def update(updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, OptState]:
        require_params("adaptive_grad_clip", params)
        return tree.map(limit, updates, params), state

    return GradientTransformation(init_empty_state, update)
