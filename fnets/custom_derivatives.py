"""Functions with their own derivative rules, under JAX's module name. May import control."""

from fnets.control.custom import (
    CustomVJPPrimal,
    SymbolicZero,
    closure_convert,
    custom_gradient,
    custom_jvp,
    custom_jvp_p,
    custom_vjp,
    custom_vjp_p,
    custom_vjp_primal_tree_values,
    zero_from_primal,
)

custom_jvp_call_p = custom_jvp_p
custom_vjp_call_p = custom_vjp_p

__all__ = [
    "CustomVJPPrimal",
    "SymbolicZero",
    "closure_convert",
    "custom_gradient",
    "custom_jvp",
    "custom_jvp_call_p",
    "custom_vjp",
    "custom_vjp_call_p",
    "custom_vjp_primal_tree_values",
    "zero_from_primal",
]
