"""Nearest points of simple convex sets, for projected gradient methods. May import fnets.nn.losses.sparsemax, fnets.numpy, control, tree.

All take a tree and treat it as one vector.
"""

from __future__ import annotations

from typing import Any

import fnets.numpy as fnp
from fnets import tree as _tree
from fnets.nn.losses.sparsemax import unit_simplex
from fnets.optim import tree as otu
from fnets.optim.numerics import choose, like
from fnets.optim.transforms.layouts import pack, unpack
from fnets.primitives.base import arr
from fnets.primitives.elementwise import relu


def projection_non_negative(tree: Any) -> Any:
    """Onto the vectors without a negative element.

    >>> projection_non_negative([fnp.array([-1.0, 2.0])])
    [array([0., 2.], dtype=float32)]
    """
    return _tree.map(lambda x: relu(arr(x)), tree)


def projection_box(tree: Any, lower: Any, upper: Any) -> Any:
    """Onto the vectors between two bounds.

    Args:
      tree: the point.
      lower, upper: numbers, or trees of numbers or arrays that are prefixes of `tree`.

    >>> projection_box([fnp.array([-1.0, 2.0])], 0.0, 1.0)
    [array([0., 1.], dtype=float32)]
    """
    lower, upper = (_tree.broadcast(bound, tree) for bound in (lower, upper))
    return _tree.map(lambda x, low, high: fnp.clip(x, like(low, arr(x)), like(high, arr(x))), tree, lower, upper)


def projection_hypercube(tree: Any, scale: Any = 1) -> Any:
    """Onto the vectors with elements between 0 and `scale`.

    >>> projection_hypercube(fnp.array([-1.0, 0.5, 2.0]))
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return projection_box(tree, 0, scale)


def projection_simplex(tree: Any, scale: Any = 1) -> Any:
    """Onto the non-negative vectors whose elements add up to `scale` (Duchi et al., 2008).

    >>> projection_simplex(fnp.array([0.5, 1.5, -3.0]))
    array([0., 1., 0.], dtype=float32)
    """
    values = pack(_tree.map(fnp.asarray, tree))
    scale = like(scale, values)
    return unpack(fnp.multiply(scale, unit_simplex(fnp.divide(values, scale))), _tree.map(fnp.asarray, tree))


def projection_l1_sphere(tree: Any, scale: Any = 1) -> Any:
    """Onto the vectors whose absolute values add up to `scale`.

    >>> projection_l1_sphere(fnp.array([0.5, -1.5]))
    array([ 0., -1.], dtype=float32)
    """
    return otu.mul(_tree.map(fnp.sign, tree), projection_simplex(_tree.map(fnp.abs, tree), scale))


def projection_l1_ball(tree: Any, scale: Any = 1) -> Any:
    """Onto the vectors whose absolute values add up to at most `scale`.

    >>> projection_l1_ball(fnp.array([0.25, -0.5]))
    array([ 0.25, -0.5 ], dtype=float32)
    """
    inside = fnp.less_equal(otu.norm(tree, ord=1), scale)
    return choose(inside, lambda: tree, lambda: projection_l1_sphere(tree, scale))


def projection_l2_sphere(tree: Any, scale: Any = 1) -> Any:
    """Onto the vectors of length `scale`.

    >>> projection_l2_sphere(fnp.array([3.0, -4.0]))
    array([ 0.6, -0.8], dtype=float32)
    """
    return otu.scale(fnp.divide(scale, otu.norm(tree)), tree)


def projection_l2_ball(tree: Any, scale: Any = 1) -> Any:
    """Onto the vectors of length at most `scale`.

    >>> projection_l2_ball(fnp.array([3.0, -4.0]))
    array([ 0.6, -0.8], dtype=float32)
    """
    square = otu.norm(tree, squared=True)
    scale = like(scale, square)
    return otu.scale(fnp.divide(scale, fnp.sqrt(fnp.maximum(square, fnp.square(scale)))), tree)


def projection_linf_ball(tree: Any, scale: Any = 1) -> Any:
    """Onto the vectors whose elements are at most `scale` in absolute value.

    >>> projection_linf_ball(fnp.array([3.0, -0.5]))
    array([ 1. , -0.5], dtype=float32)
    """
    return projection_box(tree, fnp.negative(scale), scale)


def projection_vector(x: Any, a: Any) -> Any:
    """Onto the multiples of `a`.

    >>> projection_vector(fnp.array([1.0, 2.0]), fnp.array([0.0, 1.0]))
    array([0., 2.], dtype=float32)
    """
    return otu.scale(fnp.divide(otu.vdot(x, a), otu.vdot(a, a)), a)


def projection_hyperplane(x: Any, a: Any, b: Any) -> Any:
    """Onto the vectors whose inner product with `a` is `b`.

    >>> projection_hyperplane(fnp.array([1.0, 2.0]), fnp.array([0.0, 1.0]), 5.0)
    array([1., 5.], dtype=float32)
    """
    return otu.add_scale(x, fnp.divide(fnp.subtract(b, otu.vdot(x, a)), otu.vdot(a, a)), a)


def projection_halfspace(x: Any, a: Any, b: Any) -> Any:
    """Onto the vectors whose inner product with `a` is at most `b`.

    >>> projection_halfspace(fnp.array([1.0, 2.0]), fnp.array([0.0, 1.0]), 5.0)
    array([1., 2.], dtype=float32)
    """
    distance = fnp.divide(fnp.subtract(b, otu.vdot(x, a)), otu.vdot(a, a))
    return otu.add_scale(x, fnp.minimum(distance, 0), a)
