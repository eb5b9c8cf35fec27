"""Functions with derivative rules of their own: `custom_vjp`, `custom_jvp` and what belongs to them. Names only. May import the files beside it."""

from fnets.control.custom.closures import closure_convert
from fnets.control.custom.jvp import custom_jvp, custom_jvp_p
from fnets.control.custom.symbolic import (
    CustomVJPPrimal,
    SymbolicZero,
    custom_vjp_primal_tree_values,
    zero_from_primal,
)
from fnets.control.custom.vjp import custom_gradient, custom_vjp, custom_vjp_p

__all__ = [
    "CustomVJPPrimal",
    "SymbolicZero",
    "closure_convert",
    "custom_gradient",
    "custom_jvp",
    "custom_jvp_p",
    "custom_vjp",
    "custom_vjp_p",
    "custom_vjp_primal_tree_values",
    "zero_from_primal",
]
