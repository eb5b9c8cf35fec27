"""Policies for `checkpoint`: which intermediate values are kept, told per equation. May import core.

A policy is a function `(primitive, *avals of operands, **parameters) -> bool`: True if the equation's results may be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Policy = Callable[..., bool]
_CONTRACTIONS = ("dot_general", "conv")


def nothing_saveable(prim: Any, *avals: Any, **params: Any) -> bool:
    """Keep nothing: compute everything again.

    >>> nothing_saveable(None)
    False
    """
    return False


def everything_saveable(prim: Any, *avals: Any, **params: Any) -> bool:
    """Keep everything, as without `checkpoint`.

    >>> everything_saveable(None)
    True
    """
    return True


def dots_saveable(prim: Any, *avals: Any, **params: Any) -> bool:
    """Keep the results of matrix products and convolutions, which cost most to compute again.

    >>> import fnets.primitives.linear_algebra as la
    >>> dots_saveable(la.dot_general_p)
    True
    """
    return prim.name in _CONTRACTIONS


checkpoint_dots = dots_saveable


def dots_with_no_batch_dims_saveable(prim: Any, *avals: Any, **params: Any) -> bool:
    """Keep the results of matrix products without batch dimensions.

    >>> import fnets.primitives.linear_algebra as la
    >>> dots_with_no_batch_dims_saveable(la.dot_general_p, dimension_numbers=(((1,), (0,)), ((), ())))
    True
    """
    return prim.name == "dot_general" and params["dimension_numbers"][1] == ((), ())


checkpoint_dots_with_no_batch_dims = dots_with_no_batch_dims_saveable


def _by_name(keep: Callable[[str], bool], others: bool) -> Policy:
    def policy(prim: Any, *avals: Any, **params: Any) -> bool:
        return keep(params["name"]) if prim.name == "name" else others

    return policy


def save_only_these_names(*names: str) -> Policy:
    """Keep only values marked by `checkpoint_name` with one of these names.

    >>> from fnets.control.checkpoint import name_p
    >>> save_only_these_names("a")(name_p, name="a")
    True
    """
    return _by_name(lambda name: name in names, False)


def save_any_names_but_these(*names: str) -> Policy:
    """Keep only values marked by `checkpoint_name`, but none of these names.

    >>> from fnets.control.checkpoint import name_p
    >>> save_any_names_but_these("a")(name_p, name="a")
    False
    """
    return _by_name(lambda name: name not in names, False)


def save_anything_except_these_names(*names: str) -> Policy:
    """Keep every value, but none marked with one of these names.

    >>> from fnets.control.checkpoint import name_p
    >>> save_anything_except_these_names("a")(name_p, name="b")
    True
    """
    return _by_name(lambda name: name not in names, True)


def save_and_offload_only_these_names(
    *, names_which_can_be_saved: Sequence[str], names_which_can_be_offloaded: Sequence[str], **memories: str
) -> Policy:
    """Keep only values marked with these names. There is one memory: what JAX would move to the host is kept.

    >>> from fnets.control.checkpoint import name_p
    >>> save_and_offload_only_these_names(names_which_can_be_saved=["a"], names_which_can_be_offloaded=["b"])(name_p, name="b")
    True
    """
    return save_only_these_names(*names_which_can_be_saved, *names_which_can_be_offloaded)


def offload_dot_with_no_batch_dims(offload_src: str = "device", offload_dst: str = "pinned_host") -> Policy:
    """Keep the results of matrix products without batch dimensions; see `save_and_offload_only_these_names`.

    >>> offload_dot_with_no_batch_dims() is dots_with_no_batch_dims_saveable
    True
    """
    return dots_with_no_batch_dims_saveable


def save_from_both_policies(policy_1: Policy, policy_2: Policy) -> Policy:
    """Keep what either policy keeps.

    >>> save_from_both_policies(nothing_saveable, everything_saveable)(None)
    True
    """

    def policy(prim: Any, *avals: Any, **params: Any) -> bool:
        return policy_1(prim, *avals, **params) or policy_2(prim, *avals, **params)

    return policy
