"""What rules with `symbolic_zeros=True` receive: zeros that are told apart, and which arguments are differentiated. May import core, tree, errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fnets import tree
from fnets.core.avals import ShapedArray
from fnets.core.trace import typeof
from fnets.errors import ArgumentError
from fnets.primitives.base import owned, zeros_like


class SymbolicZero:
    """A tangent or cotangent that is known to be zero; it has a type and no contents.

    >>> SymbolicZero(ShapedArray((2,), "float32")).shape
    (2,)
    """

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray):
        self.aval = aval

    shape = property(lambda self: self.aval.shape)
    dtype = property(lambda self: self.aval.dtype)
    ndim = property(lambda self: self.aval.ndim)
    size = property(lambda self: self.aval.size)

    def __repr__(self) -> str:
        return f"SymbolicZero({self.aval.str_short()})"


def zero_from_primal(primal: Any, symbolic_zeros: bool = False) -> Any:
    """The zero tangent of a value, for a rule to return.

    >>> zero_from_primal(2.0), zero_from_primal(2.0, symbolic_zeros=True)
    (0.0, SymbolicZero(f64[]))
    """
    if symbolic_zeros:
        return tree.map(lambda x: SymbolicZero(typeof(x)), primal)
    return tree.map(lambda x: owned(zeros_like(x)), primal)


@dataclass(frozen=True, slots=True)
class CustomVJPPrimal:
    """What stands for an argument in a forward rule with `symbolic_zeros=True`.

    value: the argument; perturbed: whether it is differentiated.

    >>> CustomVJPPrimal(2.0, False).perturbed
    False
    """

    value: Any
    perturbed: bool


def custom_vjp_primal_tree_values(tree_of_primals: Any) -> Any:
    """A tree of `CustomVJPPrimal`s as the tree of their values.

    >>> custom_vjp_primal_tree_values({"w": CustomVJPPrimal(2.0, True)})
    {'w': 2.0}
    """

    def value(leaf: Any) -> Any:
        if type(leaf) is not CustomVJPPrimal:
            raise ArgumentError(
                f"[custom_vjp] expected a tree of CustomVJPPrimal, got a leaf of {type(leaf).__name__}. "
                "Forward rules receive them with defvjp(..., symbolic_zeros=True)."
            )
        return leaf.value

    return tree.map(value, tree_of_primals)
