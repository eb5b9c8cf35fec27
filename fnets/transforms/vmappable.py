"""Types of the user's own that vmap takes apart by a rule of theirs instead of as pytrees. May import core, errors, tree.

Such a type has two rules. `to_elt(cont, get_index, value, spec)` gives what the mapped function sees of `value`, and `from_elt(cont, size, elt,
spec)` puts its result together; `spec` is the entry of in_axes or out_axes, of a type of the user's own or an int. `cont(x, axis)` and
`cont(size, x, axis)` do the same with the arrays inside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fnets.errors import ArgumentError


class Rules(NamedTuple):
    """How vmap handles a registered type."""

    spec_type: type
    to_elt: Callable
    from_elt: Callable


registry: dict[type, Rules] = {}


def register_vmappable(
    data_type: type,
    spec_type: type,
    axis_size_type: type,
    to_elt: Callable,
    from_elt: Callable,
    make_iota: Callable | None = None,
) -> None:
    """Let vmap take apart and put together objects of a class by rules, with axes that are told by objects of another.

    Args:
      data_type: the class.
      spec_type: the class of its entries in in_axes and out_axes; ints and None are allowed as well.
      axis_size_type: int; sizes are ints here.
      to_elt: `to_elt(cont, get_index, value, spec)`, what the mapped function sees of `value`; `cont(x, axis)` maps an array in it, and
        `get_index()` is the position along the mapped axis.
      from_elt: `from_elt(cont, size, elt, spec)`, the result of which `elt` is one slice; `cont(size, x, axis)` gives an array in it.
      make_iota: accepted for JAX's sake.

    >>> import numpy as np
    >>> import fnets
    >>> class Rows:
    ...     def __init__(self, data):
    ...         self.data = data
    >>> register_vmappable(Rows, int, int, lambda cont, _, x, axis: Rows(cont(x.data, axis)),
    ...                    lambda cont, n, x, axis: Rows(cont(n, x.data, axis)))
    >>> fnets.vmap(lambda x: Rows(x.data.sum()), axis_size=2)(Rows(np.ones((2, 3)))).data
    array([3., 3.])
    >>> unregister_vmappable(Rows)
    """
    for kind in (data_type, spec_type):
        if not isinstance(kind, type):
            raise ArgumentError(
                f"[register_vmappable] expected classes, got {kind!r}. Pass the class, not an instance."
            )
    registry[data_type] = Rules(spec_type, to_elt, from_elt)


def unregister_vmappable(data_type: type) -> None:
    """Take back `register_vmappable`. A class that is not registered is left alone.

    >>> unregister_vmappable(dict)
    """
    registry.pop(data_type, None)


def is_vmappable(x: Any) -> bool:
    """True for objects of a registered class.

    >>> is_vmappable(1.0)
    False
    """
    return type(x) in registry


def is_spec(x: Any) -> bool:
    """True for what a registered class takes as an entry of in_axes.

    >>> is_spec("rows")
    False
    """
    return any([isinstance(x, rules.spec_type) for rules in registry.values()])
