"""One flat vector instead of many leaves. May import the package's base modules, fnets.numpy, tree."""

from __future__ import annotations

from typing import Any

import fnets.numpy as fnp
from fnets import tree
from fnets.core.trace import dtype_of, shape_of
from fnets.optim.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    OptState,
    Params,
    Updates,
    with_extra_args_support,
)
from fnets.primitives.base import convert


def pack(values: Any) -> Any:
    """All leaves of a tree in one vector.

    >>> pack({"w": fnp.ones((1, 2)), "b": fnp.zeros(1)})
    array([0., 1., 1.], dtype=float32)
    """
    return fnp.concatenate([fnp.reshape(v, (-1,)) for v in tree.leaves(values)])


def unpack(flat: Any, values: Any) -> Any:
    """The vector's elements in a tree of the structure, shapes and dtypes of `values`; undoes `pack`.

    >>> unpack(fnp.array([0.0, 1.0, 2.0]), {"w": fnp.ones((1, 2)), "b": fnp.zeros(1)})["w"]
    array([[1., 2.]], dtype=float32)
    """
    leaves, structure = tree.flatten(values)
    parts, start = [], 0
    for leaf in leaves:
        end = start + int(fnp.size(leaf))
        parts.append(convert(fnp.reshape(flat[start:end], shape_of(leaf)), dtype_of(leaf)))
        start = end
    return structure.unflatten(parts)


def flatten(inner: GradientTransformation) -> GradientTransformationExtraArgs:
    """Runs a transformation on one vector of all updates: a few long calls instead of many short ones.

    Leaves of different dtypes meet in their common dtype. What looks at single leaves (layer norms, masks) sees one.

    Args:
      inner: the transformation.

    >>> from fnets.optim.transforms.scaling import scale
    >>> tx = flatten(scale(-1.0))
    >>> params = {"w": fnp.ones((1, 2)), "b": fnp.ones(1)}
    >>> tx.update(params, tx.init(params))[0]["w"]
    array([[-1., -1.]], dtype=float32)
    """
    tx = with_extra_args_support(inner)

    def init(params: Params) -> OptState:
        return tx.init(pack(params))

    def update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        flat = None if params is None else pack(params)
        out, state = tx.update(pack(updates), state, flat, **extra_args)
        return unpack(out, updates), state

    return GradientTransformationExtraArgs(init, update)
