"""One transformation after another, or different ones for different parameters. May import the package's base modules, masking, fnets.tree."""

from __future__ import annotations

import collections
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

from fnets import tree
from fnets.errors import ArgumentError
from fnets.optim.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    OptState,
    Params,
    Updates,
    with_extra_args_support,
)
from fnets.optim.transforms.masking import masked


def chain(*args: GradientTransformation) -> GradientTransformationExtraArgs:
    """Transformations applied from left to right: what one returns, the next receives.

    The state is the tuple of their states. Extra arguments of `update` go to all that accept them.

    Raises:
      ArgumentError: `update` gets a state of another chain.

    >>> from fnets.optim.transforms.scaling import scale
    >>> tx = chain(scale(2.0), scale(-1.0))
    >>> tx.update([3.0], tx.init([0.0]))[0]
    [-6.0]
    """
    steps = [with_extra_args_support(tx) for tx in args]

    def init(params: Params) -> tuple[OptState, ...]:
        return tuple([tx.init(params) for tx in steps])

    def update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        if len(state) != len(steps):
            raise ArgumentError(
                f"[chain] expected a state of {len(steps)} parts, one for each transformation, got {len(state)}. "
                "Make it with this chain's init(params)."
            )
        states = []
        for tx, own in zip(steps, state):
            updates, own = tx.update(updates, own, params, **extra_args)
            states.append(own)
        return updates, tuple(states)

    return GradientTransformationExtraArgs(init, update)


def named_chain(*args: tuple[str, GradientTransformation]) -> GradientTransformationExtraArgs:
    """`chain` of (name, transformation) pairs, whose state is a dict by name.

    Raises:
      ArgumentError: two have the same name.

    >>> from fnets.optim.transforms.scaling import scale
    >>> tx = named_chain(("double", scale(2.0)), ("flip", scale(-1.0)))
    >>> list(tx.init([0.0]))
    ['double', 'flip']
    """
    names = [name for name, _ in args]
    if len(set(names)) != len(names):
        raise ArgumentError(f"[named_chain] expected different names, got {names}. Rename one.")
    steps = [(name, with_extra_args_support(tx)) for name, tx in args]

    def init(params: Params) -> OptState:
        return collections.OrderedDict((name, tx.init(params)) for name, tx in steps)

    def update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        states = collections.OrderedDict()
        for name, tx in steps:
            updates, states[name] = tx.update(updates, state[name], params, **extra_args)
        return updates, states

    return GradientTransformationExtraArgs(init, update)


class PartitionState(NamedTuple):
    """The states of the transformations of a partition, by label.

    >>> PartitionState(inner_states={})
    PartitionState(inner_states={})
    """

    inner_states: Mapping[Hashable, OptState]


def partition(
    transforms: Mapping[Hashable, GradientTransformation],
    param_labels: Any | Callable[[Params], Any],
    *,
    mask_compatible_extra_args: bool = False,
) -> GradientTransformationExtraArgs:
    """A transformation for each group of parameters.

    Args:
      transforms: transformations by label.
      param_labels: a tree of labels with the structure of the parameters, or a prefix of it; or a function of the parameters that returns one.
      mask_compatible_extra_args: as in `masked`.

    Raises:
      ArgumentError: a label without a transformation.

    >>> from fnets.optim.base import set_to_zero
    >>> from fnets.optim.transforms.scaling import scale
    >>> tx = partition({"train": scale(-1.0), "freeze": set_to_zero()}, {"w": "train", "b": "freeze"})
    >>> params = {"w": 1.0, "b": 2.0}
    >>> [float(u) for u in tree.leaves(tx.update(params, tx.init(params))[0])]
    [0.0, -1.0]
    """
    steps = {label: with_extra_args_support(tx) for label, tx in transforms.items()}

    def labels_of(values: Any) -> Any:
        return param_labels(values) if callable(param_labels) else param_labels

    def group(labels: Any, label: Hashable) -> GradientTransformationExtraArgs:
        mask = tree.map(lambda found: found == label, labels)
        return masked(steps[label], mask, mask_compatible_extra_args=mask_compatible_extra_args)

    def init(params: Params) -> PartitionState:
        labels = labels_of(params)
        unknown = {label for label in tree.leaves(labels) if label not in steps}
        if unknown:
            raise ArgumentError(
                f"[partition] expected labels among {sorted(map(str, steps))}, got {sorted(map(str, unknown))}. "
                "Add a transformation for each label; set_to_zero() freezes."
            )
        return PartitionState({label: group(labels, label).init(params) for label in steps})

    def update(
        updates: Updates, state: PartitionState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, PartitionState]:
        labels = labels_of(updates)
        states = {}
        for label in steps:
            updates, states[label] = group(labels, label).update(
                updates, state.inner_states[label], params, **extra_args
            )
        return updates, PartitionState(states)

    return GradientTransformationExtraArgs(init, update)
