"""Transforming only some of the updates. May import the package's base modules, tree_state, fnets.tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fnets import tree
from fnets.optim.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    OptState,
    Params,
    Updates,
    with_extra_args_support,
)
from fnets.optim.tree_state import ParamsPlaceholder


class MaskedState(NamedTuple):
    """The state of the wrapped transformation; its trees hold `MaskedNode()` where the mask is False.

    >>> MaskedState(inner_state=())
    MaskedState(inner_state=())
    """

    inner_state: Any


class MaskedNode(NamedTuple):
    """Stands where a leaf is masked out: a node without leaves.

    >>> tree.leaves([1.0, MaskedNode()])
    [1.0]
    """


def _is_function(mask: Any) -> bool:
    """True for a function that makes the mask; False for a tree, also one whose class happens to be callable."""
    leaves = tree.leaves(mask)
    return bool(leaves) and all(map(callable, leaves))


def masked(
    inner: GradientTransformation,
    mask: Any | Callable[[Params], Any],
    *,
    mask_compatible_extra_args: bool = False,
) -> GradientTransformationExtraArgs:
    """Applies a transformation where a mask is True, and passes the other updates through.

    Args:
      inner: the transformation.
      mask: a tree of bools with the structure of the parameters, or a prefix of it; or a function of the parameters that returns one.
      mask_compatible_extra_args: mask those extra arguments of `update` too that have the structure of the updates.

    Raises:
      TreeStructureError: the mask is no prefix of the tree.

    >>> from fnets.optim.transforms.scaling import scale
    >>> tx = masked(scale(-1.0), {"w": True, "b": False})
    >>> params = {"w": 1.0, "b": 2.0}
    >>> tx.update(params, tx.init(params))[0]
    {'b': 2.0, 'w': -1.0}
    """
    inner = with_extra_args_support(inner)

    def hide(mask_tree: Any, values: Any) -> Any:
        return tree.map(lambda m, v: v if m else MaskedNode(), mask_tree, values)

    def mask_for(values: Any) -> Any:
        return mask(values) if _is_function(mask) else mask

    def init(params: Params) -> MaskedState:
        if isinstance(params, ParamsPlaceholder):
            return MaskedState(inner.init(params))
        return MaskedState(inner.init(hide(mask_for(params), params)))

    def update(
        updates: Updates, state: MaskedState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        mask_tree = mask_for(updates)
        if mask_compatible_extra_args:
            structure = tree.structure(updates)
            extra_args = {k: hide(mask_tree, v) if tree.structure(v) == structure else v for k, v in extra_args.items()}
        new, inner_state = inner.update(
            hide(mask_tree, updates),
            state.inner_state,
            None if params is None else hide(mask_tree, params),
            **extra_args,
        )
        merged = tree.map(lambda m, ours, theirs: ours if m else theirs, mask_tree, new, updates)
        return merged, MaskedState(inner_state)

    return GradientTransformationExtraArgs(init, update)
