"""Parameters that stay as they are. May import the package's base modules, combining, masking, fnets.tree."""

from __future__ import annotations

from typing import Any

from fnets import tree
from fnets.optim.base import GradientTransformation, GradientTransformationExtraArgs, Params, set_to_zero
from fnets.optim.transforms.combining import partition
from fnets.optim.transforms.masking import masked


def freeze(mask: Any) -> GradientTransformationExtraArgs:
    """Sets the updates to zero where a mask is True.

    Args:
      mask: a bool, or a tree of bools with the structure of the parameters or a prefix of it.

    >>> tx = freeze({"w": True, "b": False})
    >>> float(tx.update({"w": 1.0, "b": 2.0}, tx.init({"w": 0.0, "b": 0.0}))[0]["w"])
    0.0
    """
    return masked(set_to_zero(), mask)


def selective_transform(optimizer: GradientTransformation, *, freeze_mask: Any) -> GradientTransformationExtraArgs:
    """An optimizer for the parameters that are not frozen; the others stay, and cost no memory in the state.

    Args:
      optimizer: for the parameters where `freeze_mask` is False.
      freeze_mask: a bool, or a tree of bools with the structure of the parameters or a prefix of it.

    >>> from fnets.optim.transforms.scaling import scale
    >>> tx = selective_transform(scale(-1.0), freeze_mask={"w": True, "b": False})
    >>> updates, _ = tx.update({"w": 1.0, "b": 2.0}, tx.init({"w": 0.0, "b": 0.0}))
    >>> float(updates["w"]), updates["b"]
    (0.0, -2.0)
    """

    def labels(params: Params) -> Any:
        return tree.map(lambda frozen: "freeze" if frozen else "train", freeze_mask)

    return partition({"train": optimizer, "freeze": set_to_zero()}, labels)
