"""The contract of an optimizer: two pure functions, `init` and `update`. Lives here: the types, the simplest transformations, hyperparameters.

May import fnets.numpy, tree, errors and the layers below.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import fnets.numpy as fnp
from fnets import tree
from fnets.errors import ArgumentError

Params = Any  # a pytree of arrays
Updates = Any  # a pytree of the same structure: gradients on their way in, steps on their way out
OptState = Any  # a pytree, usually of NamedTuples
Schedule = Callable[[Any], Any]  # from the number of updates so far to a value
ScalarOrSchedule = float | Any | Schedule
ScheduleState = Any
MaskOrFn = Any | Callable[[Params], Any] | None


class TransformInitFn(Protocol):
    """`init(params) -> state`.

    >>> hasattr(TransformInitFn, "__call__")
    True
    """

    def __call__(self, params: Params) -> OptState: ...


class TransformUpdateFn(Protocol):
    """`update(updates, state, params=None) -> (updates, state)`.

    >>> hasattr(TransformUpdateFn, "__call__")
    True
    """

    def __call__(self, updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, OptState]: ...


class TransformUpdateExtraArgsFn(Protocol):
    """`update(updates, state, params=None, **extra_args) -> (updates, state)`.

    >>> hasattr(TransformUpdateExtraArgsFn, "__call__")
    True
    """

    def __call__(
        self, updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]: ...


@runtime_checkable
class StatefulSchedule(Protocol):
    """A schedule with a state of its own, for `inject_hyperparams`: `init()`, `update(state)`, and the value `schedule(state)`.

    >>> isinstance(0.1, StatefulSchedule)
    False
    """

    def init(self) -> ScheduleState: ...

    def update(self, state: ScheduleState, **extra_args: Any) -> ScheduleState: ...

    def __call__(self, state: ScheduleState, **extra_args: Any) -> Any: ...


class GradientTransformation(NamedTuple):
    """A pair of pure functions: `init(params) -> state` and `update(updates, state, params=None) -> (updates, state)`.

    The updates that come out are *added* to the parameters (`apply_updates`); the learning rate is already negated.

    >>> init, update = identity()
    >>> update([1.0], init([2.0]))
    ([1.0], EmptyState())
    """

    init: TransformInitFn
    update: TransformUpdateFn


class GradientTransformationExtraArgs(GradientTransformation):
    """A `GradientTransformation` whose `update` takes further keyword arguments, and ignores those that it does not know.

    >>> tx = with_extra_args_support(identity())
    >>> tx.update([1.0], tx.init([2.0]), value=3.0)
    ([1.0], EmptyState())
    """

    update: TransformUpdateExtraArgsFn


class EmptyState(NamedTuple):
    """The state of a transformation that remembers nothing.

    >>> tree.leaves(EmptyState())
    []
    """


def init_empty_state(params: Params) -> EmptyState:
    """The `init` of a transformation without state.

    >>> init_empty_state([1.0])
    EmptyState()
    """
    del params
    return EmptyState()


def require_params(op: str, params: Params | None) -> None:
    """Raise unless `update` was given the parameters."""
    if params is None:
        raise ArgumentError(
            f"[{op}] expected the current parameters, got params=None. Call update(grads, state, params)."
        )


def identity() -> GradientTransformation:
    """Passes the updates through.

    >>> tx = identity()
    >>> tx.update(5.0, tx.init(1.0))[0]
    5.0
    """

    def update(updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, OptState]:
        return updates, state

    return GradientTransformation(init_empty_state, update)


def set_to_zero() -> GradientTransformation:
    """Replaces every update by zeros, so that the parameters stay as they are.

    >>> tx = set_to_zero()
    >>> tx.update(fnp.ones(2), tx.init(None))[0]
    array([0., 0.], dtype=float32)
    """

    def update(updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, OptState]:
        return tree.map(fnp.zeros_like, updates), state

    return GradientTransformation(init_empty_state, update)


def stateless(f: Callable[[Updates, Params | None], Updates]) -> GradientTransformation:
    """A transformation from a function `f(updates, params) -> updates` of whole trees.

    >>> tx = stateless(lambda updates, params: [u + p for u, p in zip(updates, params)])
    >>> tx.update([1.0], tx.init([2.0]), [2.0])
    ([3.0], EmptyState())
    """

    def update(updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, EmptyState]:
        return f(updates, params), EmptyState()

    return GradientTransformation(init_empty_state, update)


def stateless_with_tree_map(f: Callable[[Any, Any], Any]) -> GradientTransformation:
    """A transformation from a function `f(update, param) -> update` of single leaves; `param` is None when no params are given.

    >>> tx = stateless_with_tree_map(lambda u, p: 2 * u)
    >>> tx.update([1.0], tx.init([2.0]))
    ([2.0], EmptyState())
    """

    def update(updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, EmptyState]:
        if params is None:
            return tree.map(lambda u: f(u, None), updates), EmptyState()
        return tree.map(f, updates, params), EmptyState()

    return GradientTransformation(init_empty_state, update)


def with_extra_args_support(tx: GradientTransformation) -> GradientTransformationExtraArgs:
    """The same transformation with an `update` that accepts, and ignores, further keyword arguments.

    >>> isinstance(with_extra_args_support(identity()), GradientTransformationExtraArgs)
    True
    """
    if isinstance(tx, GradientTransformationExtraArgs):
        return tx
    if not (hasattr(tx, "init") and hasattr(tx, "update")):
        raise ArgumentError(
            f"[optim] expected a gradient transformation, with init and update, got {type(tx).__name__}. "
            "Call the function that makes it: optim.scale(0.1), optim.adam(1e-3)."
        )

    def update(
        updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]:
        return tx.update(updates, state, params)

    return GradientTransformationExtraArgs(tx.init, update)
